"""The graph while it is made: SQs and arcs in the order of evaluation, and the gates of conditional branches.

A branch of `a if c else b` lets a token in only when its condition says so. Every arc from outside goes through an SQ
`IF` at its first use in the branch. The condition, through such an `IF`, triggers an SQ without arc inputs. The
branches' values meet in an SQ `MERGE`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ticktalk.graph.constants import encode_constant
from ticktalk.graph.sq import TTSQ, TTArc, TTConstraintSpec, TTDestination, TTInput, TTPort
from ticktalk.instructions import INSTRUCTIONS
from ticktalk.language.function_templates import Template
from ticktalk.source_problems import Place
from ticktalk.time import TTClock

MOST_IN_GRAPH = 200_000
"""A graph with more SQs is a mistake, such as a loop that was not meant to be unrolled."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value known at compile time. A list is a `Listing` instead, so that it can be changed."""

    value: Any


@dataclass(slots=True, eq=False)
class Arc:
    """An output of a graph input or SQ; it becomes a `TTArc`."""

    source: Source
    kind: Literal["value", "tag", "unmatched"] = "value"
    path: tuple[int, ...] = ()
    name: str = ""
    to: list[TTDestination] = field(default_factory=list)
    returned: bool = False


@dataclass(eq=False, slots=True)
class Branch:
    """One side of a conditional expression: it lives when bool(condition) equals `when`."""

    parent: Branch | None
    condition: Arc
    when: bool
    gates: dict[Arc, Arc] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Source:
    """The begin of arcs: a graph input or an SQ."""

    branch: Branch | None  # in which its tokens are there; None outside of all
    stream: bool = field(default=False, init=False)  # as of `TTSQ`, like the rank; set when the graph is finished
    rank: int = field(default=-1, init=False)
    _arcs: dict[tuple[str, tuple[int, ...]], Arc] = field(default_factory=dict, init=False)

    @property
    def whole(self) -> Arc:
        """The arc that carries the whole value."""
        return self.arc("value")

    def arc(self, kind: Literal["value", "tag", "unmatched"], path: tuple[int, ...] = ()) -> Arc:
        """The arc of the value, of one element of the unpacked value, or of another kind (`TTArc`)."""
        if (kind, path) not in self._arcs:
            self._arcs[kind, path] = Arc(self, kind, path)
        return self._arcs[kind, path]


@dataclass(slots=True, eq=False)
class InputDraft(Source):
    """An input of the graph."""

    made: TTInput


@dataclass(slots=True, eq=False)
class SQDraft(Source):
    """An SQ while the graph is made, and the arcs that end at its ports (None: a constant)."""

    sq: TTSQ
    place: Place
    ends: list[Arc | None] = field(default_factory=list)
    is_source: bool = False  # of a @STREAMify function
    is_silent: bool = False  # a plan B whose value goes on through its deadline
    plan_b: SQDraft | None = None
    template: Template | None = None  # of a function
    places: dict[str, Place] = field(default_factory=dict)  # of its arguments, by parameter; "": where it is unpacked

    def finish(self) -> None:
        """Settle the fields that follow from earlier SQs: stream, sticky ports, order, rank; and which arcs remain."""
        sq = self.sq
        from_stream = any(arc.source.stream for arc in self.ends if arc is not None)
        self.stream = sq.stream = self.is_source or from_stream
        for port, arc in zip(sq.ports, self.ends, strict=True):
            if arc is not None and not sq.singly:
                port.sticky = self.is_source or (from_stream and not arc.source.stream)
        if sq.trigger == "arrival" and sq.stateful and from_stream and not sq.spread:
            sq.order = "forward"
        before = [arc.source.rank for arc in self.ends if arc is not None]
        if self.plan_b is not None:
            before.append(self.plan_b.rank)
            if from_stream:
                # A plan B fired by a stream of deadlines finds its one-shot inputs each time.
                for port, arc in zip(self.plan_b.sq.ports, self.plan_b.ends, strict=True):
                    port.sticky = arc is not None and not arc.source.stream
        self.rank = sq.rank = 1 + max(before, default=-1)
        sq.arcs = [arc for arc in self._remaining_arcs() if not self.is_silent or arc.kind == "unmatched"]

    def _remaining_arcs(self) -> list[TTArc]:
        has_elements = any(path for _, path in self._arcs)
        if not has_elements:
            self.arc("value")
        remaining = []
        for _, arc in sorted(self._arcs.items()):
            if arc.to or arc.returned or (arc.kind == "value" and (arc.path or not has_elements)):
                output = arc.returned or (arc.kind == "value" and not arc.to)
                remaining.append(TTArc(arc.name, arc.kind, arc.path, arc.to, output))
        return remaining


@dataclass(slots=True)
class PortDraft:
    """A port to be made: its name, and the arc or constant on it."""

    name: str
    value: Arc | Constant
    keyword: bool = False
    hidden: bool = False


@dataclass(slots=True)
class GivenArgument:
    """A value that is given to a parameter of a graph in a graph, which has an annotation."""

    value: object
    place: Place
    file: str  # in which the call stands: see `Home.file`
    graph: str
    parameter: str
    annotation: ast.expr
    module: str  # of the annotation
    shown: str  # its file, as messages show it


class TooLarge(Exception):
    """The graph has more than `MOST_IN_GRAPH` SQs."""


class GraphDraft:
    """The graph while it is made."""

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = [InputDraft(None, TTInput(name)) for name in inputs]
        self.sqs: list[SQDraft] = []  # in the order of evaluation
        self.branch: Branch | None = None  # the conditional branch that is being evaluated
        self.constraints: list[TTConstraintSpec] = []  # of the `with` blocks around the present expression
        self.clocks: dict[str, TTClock] = {}  # clocks other than the root by name, parents first
        self.used: dict[str, Template] = {}  # the function templates of which there are instances, by key
        self.file = ""  # in which the present expression stands: see `Home.file`
        self.handed: list[GivenArgument] = []
        self.prefix = ""  # of the names of SQs: for each graph that is being expanded, its name and a slash
        self._uses: Counter[str] = Counter()

    def add(self, function: str, place: Place, ports: list[PortDraft], **fields: Any) -> SQDraft:
        """A new SQ in the present branch; arcs from outside the branch are gated on their way to its ports.

        `fields`: further fields of the `TTSQ`; a name that is left out is counted, as that of a use of the function
        `called` (by default `function`).

        Raises:
            TooLarge: there are too many.
            TypeError: a constant cannot be stored in a graph.
        """
        for port in ports:
            if isinstance(port.value, Arc):
                port.value = self.here(port.value, place)
        # A plan B is fired by its deadline, so it needs no trigger.
        if fields.get("trigger") != "plan_b" and not any(isinstance(port.value, Arc) for port in ports):
            ports.append(PortDraft("trigger", self.trigger(place), hidden=True))
        return self._connect(function, place, ports, self.branch, **fields)

    def counted(self, function: str) -> str:
        """The name of the next instance of a function in the present graph."""
        self._uses[self.prefix + function] += 1
        return f"{function}-{self._uses[self.prefix + function]}"

    def join(self, place: Place, yes: Arc, no: Arc) -> SQDraft:
        """The `MERGE` of two branches' values, each from its branch, in the present one."""
        return self._connect("MERGE", place, [PortDraft("0", yes), PortDraft("1", no)], self.branch)

    def trigger(self, place: Place) -> Arc:
        """The arc that fires an SQ without arc inputs: the graph's first input, or the branch's gated condition."""
        return self.inputs[0].whole if self.branch is None else self.here(self.branch.condition, place)

    def here(self, arc: Arc, place: Place) -> Arc:
        """`arc` as an SQ of the present branch gets it: led through the gates of all branches it is not in."""
        entered: list[Branch] = []
        branch = self.branch
        while branch is not None and branch is not arc.source.branch:
            entered.append(branch)
            branch = branch.parent
        for branch in reversed(entered):
            if arc not in branch.gates:
                ports = [PortDraft("value", arc), PortDraft("condition", branch.condition)]
                gate = self._connect("IF", place, ports, branch, instruction={"when": branch.when})
                branch.gates[arc] = gate.whole
            arc = branch.gates[arc]
        return arc

    def is_visible(self, branch: Branch | None) -> bool:
        """True if SQs of `branch` may be used in the present one."""
        here = self.branch
        while here is not None and here is not branch:
            here = here.parent
        return here is branch

    def _connect(
        self,
        function: str,
        place: Place,
        ports: Sequence[PortDraft],
        branch: Branch | None,
        *,
        name: str | None = None,
        called: str = "",
        **fields: Any,
    ) -> SQDraft:
        if len(self.sqs) >= MOST_IN_GRAPH:
            raise TooLarge(f"the graph has more than {MOST_IN_GRAPH} SQs")
        counted = self.counted(called or function)
        name = self.prefix + (name or counted)
        row = None if fields.get("body") else INSTRUCTIONS.get(function)
        if row is not None:
            fields.update(singly=row.singly, order="forward" if row.forward else "any")
        fields.update(file=self.file, constraints=[*self.constraints])
        sq = TTSQ(name=name, function=function, line=place.lineno, **fields)
        node = SQDraft(branch, sq, place)
        for index, port in enumerate(ports):
            made = TTPort(port.name, keyword=port.keyword, hidden=port.hidden)
            if isinstance(port.value, Arc):
                node.ends.append(port.value)
                port.value.to.append(TTDestination(name, index))
            else:
                node.ends.append(None)
                made.constant = [encode_constant(port.value.value)]
            sq.ports.append(made)
        self.sqs.append(node)
        return node

    def finish(self) -> tuple[list[TTInput], list[TTSQ]]:
        """The inputs and SQs of the graph."""
        for node in self.sqs:
            node.finish()
        for source in self.inputs:
            source.made.to = source.whole.to
        return [source.made for source in self.inputs], [node.sq for node in self.sqs]
