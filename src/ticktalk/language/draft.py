"""The graph while it is made: SQs and arcs in the order of evaluation, and the gates of conditional branches.

A branch of `a if c else b` lets a token in only when its condition says so: every arc from outside is led
through an SQ `IF` at its first use in the branch, and an SQ without arc inputs is triggered by the condition,
led through such an `IF` too. The branches' values meet in an SQ `MERGE`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ticktalk.graph.constants import encode_constant
from ticktalk.graph.graph import TTInput
from ticktalk.graph.sq import TTSQ, TTArc, TTConstraintSpec, TTDestination, TTPort
from ticktalk.instructions import INSTRUCTIONS
from ticktalk.problems import Place

MOST_SQS = 200_000
"""A graph with more SQs is a mistake, such as a loop that was not meant to be unrolled."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A value known at compile time. A list is a `Listing` instead, so that it can be changed."""

    value: Any


@dataclass(slots=True, eq=False)
class Arc:
    """An output of a graph input or SQ; it becomes a `TTArc`."""

    source: Source
    kind: Literal["value", "tag"] = "value"
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


class Source:
    """The begin of arcs: a graph input or an SQ.

    Attributes:
        branch: the branch in which its tokens are there; None outside of all.
        stream, rank: as of `TTSQ`; set when the graph is finished.
    """

    __slots__ = ("_arcs", "branch", "rank", "stream")

    def __init__(self, branch: Branch | None) -> None:
        self.branch = branch
        self.rank = -1
        self.stream = False
        self._arcs: dict[tuple[str, tuple[int, ...]], Arc] = {}

    @property
    def whole(self) -> Arc:
        """The arc that carries the whole value."""
        return self.arc("value")

    @property
    def tag(self) -> Arc:
        """The arc on which a token is sent when a firing is decided."""
        return self.arc("tag")

    def arc(self, kind: Literal["value", "tag"], path: tuple[int, ...] = ()) -> Arc:
        """The arc of the value, of one element of the unpacked value, or of the tag."""
        if (kind, path) not in self._arcs:
            self._arcs[kind, path] = Arc(self, kind, path)
        return self._arcs[kind, path]


class InputDraft(Source):
    """An input of the graph."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self.name = name


class SQDraft(Source):
    """An SQ while the graph is made, and the arcs that end at its ports (None: a constant)."""

    __slots__ = ("ends", "is_silent", "is_source", "place", "plan_b", "sq")

    def __init__(self, sq: TTSQ, branch: Branch | None, place: Place) -> None:
        super().__init__(branch)
        self.sq = sq
        self.place = place
        self.ends: list[Arc | None] = []
        self.is_source = False  # of a @STREAMify function
        self.is_silent = False  # a plan B whose value goes on through its deadline
        self.plan_b: SQDraft | None = None

    def finish(self) -> None:
        """Settle the fields that follow from earlier SQs: stream, sticky ports, order, rank; and which arcs remain."""
        sq = self.sq
        from_stream = any(arc.source.stream for arc in self.ends if arc is not None)
        self.stream = sq.stream = self.is_source or from_stream
        for port, arc in zip(sq.ports, self.ends, strict=True):
            if arc is not None and not sq.singly:
                port.sticky = self.is_source or (from_stream and not arc.source.stream)
        if sq.trigger == "arrival" and sq.stateful and from_stream:
            sq.order = "forward"
        before = [arc.source.rank for arc in self.ends if arc is not None]
        if self.plan_b is not None:
            before.append(self.plan_b.rank)
            if from_stream:
                # A plan B fired by a stream of deadlines finds its one-shot inputs each time.
                for port, arc in zip(self.plan_b.sq.ports, self.plan_b.ends, strict=True):
                    port.sticky = arc is not None and not arc.source.stream
        self.rank = sq.rank = 1 + max(before, default=-1)
        sq.arcs = self._remaining_arcs()

    def _remaining_arcs(self) -> list[TTArc]:
        if self.is_silent:
            return []
        arcs = list(self._arcs.values())
        has_elements = any(arc.path for arc in arcs)
        if not has_elements:
            arcs = [self.whole, *(arc for arc in arcs if arc is not self.whole)]
        remaining = []
        for arc in sorted(arcs, key=lambda arc: (arc.kind, arc.path)):
            if not arc.to and not arc.returned and (arc.kind == "tag" or (has_elements and not arc.path)):
                continue
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


class TooLarge(Exception):
    """The graph has more than `MOST_SQS` SQs."""


class GraphDraft:
    """The graph while it is made.

    Attributes:
        inputs: the graph's inputs.
        sqs: its SQs in the order of evaluation.
        branch: the conditional branch that is being evaluated.
        constraints: of the `with` blocks around the present expression.
    """

    def __init__(self, inputs: Sequence[str]) -> None:
        self.inputs = [InputDraft(name) for name in inputs]
        self.defaults: dict[str, Any] = {}  # of inputs, encoded
        self.sqs: list[SQDraft] = []
        self.branch: Branch | None = None
        self.constraints: list[TTConstraintSpec] = []
        self._uses: dict[str, int] = {}

    def use(self, function: str) -> str:
        """The name of the next instance of a function."""
        count = self._uses[function] = self._uses.get(function, 0) + 1
        return f"{function}-{count}"

    def add(
        self,
        function: str,
        place: Place,
        ports: Sequence[PortDraft],
        *,
        pinned: str | None = None,
        at_deadline: bool = False,
        **fields: Any,
    ) -> SQDraft:
        """A new SQ in the present branch.

        Args:
            ports: its ports; arcs from outside the branch are gated on the way.
            pinned: its name, if the program says it.
            at_deadline: it is a plan B: its deadline fires it, so it needs no trigger.
            fields: further fields of the `TTSQ`.

        Raises:
            TooLarge: there are too many.
            TypeError: a constant cannot be stored in a graph.
        """
        gated = [
            PortDraft(port.name, self._gated(port.value, self.branch, place), port.keyword, port.hidden)
            if isinstance(port.value, Arc)
            else port
            for port in ports
        ]
        if not at_deadline and not any(isinstance(port.value, Arc) for port in gated):
            gated.append(PortDraft("trigger", self.trigger(place), hidden=True))
        if at_deadline:
            fields["trigger"] = "plan_b"
        return self._connect(function, place, gated, self.branch, pinned, fields)

    def join(self, place: Place, yes: Arc, no: Arc) -> SQDraft:
        """The `MERGE` of two branches' values, each from its branch, in the present one."""
        return self._connect("MERGE", place, [PortDraft("0", yes), PortDraft("1", no)], self.branch, None, {})

    def here(self, arc: Arc, place: Place) -> Arc:
        """`arc` as an SQ of the present branch gets it."""
        return self._gated(arc, self.branch, place)

    def trigger(self, place: Place) -> Arc:
        """The arc that fires an SQ without arc inputs: the graph's first input, or the branch's gated condition."""
        if self.branch is None:
            return self.inputs[0].whole
        return self._gated(self.branch.condition, self.branch, place)

    def is_visible(self, branch: Branch | None) -> bool:
        """Whether SQs of `branch` may be used in the present one."""
        here = self.branch
        while here is not None and here is not branch:
            here = here.parent
        return here is branch

    def _gated(self, arc: Arc, branch: Branch | None, place: Place) -> Arc:
        """`arc` as an SQ of `branch` gets it: led through the gates of all branches it is not in."""
        entered: list[Branch] = []
        here = branch
        while here is not None and here is not arc.source.branch:
            entered.append(here)
            here = here.parent
        for inner in reversed(entered):
            gate = inner.gates.get(arc)
            if gate is None:
                ports = [PortDraft("value", arc), PortDraft("condition", inner.condition)]
                settings = {"instruction": {"when": inner.when}}
                gate = self._connect("IF", place, ports, inner, None, settings).whole
                inner.gates[arc] = gate
            arc = gate
        return arc

    def _connect(
        self,
        function: str,
        place: Place,
        ports: Sequence[PortDraft],
        branch: Branch | None,
        pinned: str | None,
        fields: dict[str, Any],
    ) -> SQDraft:
        if len(self.sqs) >= MOST_SQS:
            raise TooLarge(f"the graph has more than {MOST_SQS} SQs")
        name = self.use(function)
        if pinned is not None:
            name = pinned
        row = None if fields.get("body") else INSTRUCTIONS.get(function)
        if row is not None:
            fields.update(singly=row.singly, order="forward" if row.forward else "any")
        constraints = [*self.constraints, *fields.pop("constraints", [])]
        node = SQDraft(
            TTSQ(name=name, function=function, line=place.lineno, constraints=constraints, **fields), branch, place
        )
        for index, port in enumerate(ports):
            if isinstance(port.value, Arc):
                node.ends.append(port.value)
                node.sq.ports.append(TTPort(port.name, keyword=port.keyword, hidden=port.hidden))
                port.value.to.append(TTDestination(name, index))
            else:
                node.ends.append(None)
                constant = [encode_constant(port.value.value)]
                node.sq.ports.append(TTPort(port.name, constant=constant, keyword=port.keyword))
        self.sqs.append(node)
        return node

    def finish(self) -> tuple[list[TTInput], list[TTSQ]]:
        """The inputs and SQs of the graph."""
        for node in self.sqs:
            node.finish()
        inputs = [
            TTInput(
                source.name,
                source.whole.to,
                [self.defaults[source.name]] if source.name in self.defaults else None,
            )
            for source in self.inputs
        ]
        return inputs, [node.sq for node in self.sqs]
