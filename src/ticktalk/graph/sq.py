"""The nodes of a graph and their connections: SQs, ports, arcs.

Everything here is plain, immutable-by-convention data: the compiler makes it, the graph file stores it,
ensembles are sent it. The behaviour at run time lives in `ticktalk.engine`.
"""

from __future__ import annotations

import enum
from typing import Any, Literal, Protocol

import msgspec

from ticktalk.time.grid import Period, period_of

Trigger = Literal["arrival", "grid", "deadline", "plan_b"]
Order = Literal["any", "forward"]


class TTFiringRule(enum.StrEnum):
    """The documented firing rules: names for combinations of trigger and order."""

    Timed = "Timed"
    """The arrival of a token; any order."""
    TimedRetrigger = "TimedRetrigger"
    """A grid of instants."""
    SequentialRetrigger = "SequentialRetrigger"
    """The arrival of a token; never back in time."""
    Deadline = "Deadline"
    """A deadline."""


class TTPort(msgspec.Struct, omit_defaults=True):
    """An input of an SQ: either an arc ends here, or a constant sits on it.

    Attributes:
        name: the body's parameter it feeds; for primitives, its position as text.
        sticky: the last token stays and is re-used; otherwise a used token leaves.
        constant: `[value]` in the encoding of `ticktalk.graph.constants` when a constant sits here, else None.
        keyword: the body takes it by keyword only.
        hidden: a trigger or gate: it takes part in matching, the body never sees it.
    """

    name: str
    sticky: bool = False
    constant: list[Any] | None = None
    keyword: bool = False
    hidden: bool = False


class TTDestination(msgspec.Struct, array_like=True, frozen=True):
    """The end of an arc: an SQ's name and the index of its port."""

    sq: str
    port: int


class TTArc(msgspec.Struct, omit_defaults=True):
    """Carries tokens from one output of an SQ to the ports that consume it.

    Attributes:
        name: the program's variable, or "" for an unnamed expression.
        kind: "value": the body's result. "tag": sent when a firing is decided, before the body runs (value: the
            instant on the root clock; interval: the firing's). "unmatched": a token that left this SQ's ports without
            having fired (value: `(value, interval, missing)`, the arguments of its handler; interval: the token's).
        path: which element of the returned sequence goes here: () the whole, (1,) the second, (1, 0) nested.
        to: the ports that consume it.
        output: its tokens are outputs of the graph too.
    """

    name: str = ""
    kind: Literal["value", "tag", "unmatched"] = "value"
    path: tuple[int, ...] = ()
    to: list[TTDestination] = []
    output: bool = False


class TTConstraintSpec(msgspec.Struct, omit_defaults=True):
    """Hosts allowed for an SQ: one whose name is among `names` (when given) and that has all `components`."""

    names: list[str] = []
    components: list[str] = []

    def __str__(self) -> str:
        wants = [f"the ensemble {' or '.join(map(repr, self.names))}"] if self.names else []
        wants += [f"the component {component!r}" for component in self.components]
        return " and ".join(wants)


class TTSQ(msgspec.Struct, omit_defaults=True):
    """A Scheduling Quantum: a node of the graph.

    Times are in ticks of the root clock.

    Attributes:
        name: `<function>-<k>`, or as given by `TTName`.
        function: the key of a function of the program or of its modules, the name of an instruction or primitive.
        line: the line where it is used.
        file: the file in which it is used, such as `rooms/kitchen.py`, if that is not the program's.
        body: the function is the program's (its source is in `TTGraph.functions`), not an instruction.
        ports: inputs in the order of the function's parameters.
        arcs: outputs; `unpack` says of which shape the returned sequence must be, if any arc has a path.
        unpack: None, or nested lengths: `[None, None]` a sequence of 2, `[None, [None, None]]` its second one of 2 too.
        parameters: compile-time parameters that the call overrides, name to encoded constant.
        instruction: the settings of an instruction (`delay`, `order`, ...), name to encoded constant.
        trigger: the cause of firings: the arrival of a token; a grid of instants; a deadline; "plan_b": its deadline.
        order: "forward": a set that starts before the last one fired is dropped.
        singly: its ports fire one by one (`MERGE`).
        spread: the value of its one arc port is a tuple of the body's arguments (of a handler, `TTUnmatched=`).
        stream: its output is a stream.
        stateful: its body has `global sq_state`.
        full_token: its body gets and returns `TTToken`s.
        clock: the name of the clock it is set to (`TTClock=`), in `TTGraph.clocks`.
        period, per: the root ticks of so many periods; more than one where a period is a fraction (60 Hz: 50000 of 3).
        phase, width: the grid's first instant (`time.grid`) and the interval width of a `@STREAMify` SQ, of `RESAMPLE`.
        first_delay: root ticks after the first firing before which no instant is due.
        missed: what happens to an instant that could not be run in time: it is skipped and counted, or run late.
        stamp: "instant", or "body": centred on the middle of the body's run.
        single_run: at most one firing in flight; free again after this many ticks.
        told: its body may call `firing()`.
        due: (told) when its result is due, as far as the graph says it beforehand: ticks after the "instant" of a
            stream, after "now", when it was decided, after the "middle" of its interval, after the "start" of its body.
        persistent: a worker of its own.
        timeout: how long its body may run; 0: as long as it likes. One that runs longer is ended with its worker.
        constraints: all of them hold for its host.
        plan_b: (deadline) the SQ that fires when there is no data, or None.
        will_continue: (deadline) plan B's value takes the data's place.
        offset: (deadline) root ticks added to the deadline token's value.
        rank: the length of the longest path from the graph's inputs, in SQs.
    """

    name: str
    function: str
    line: int = 0
    body: bool = False
    ports: list[TTPort] = []
    arcs: list[TTArc] = []
    unpack: list[Any] | None = None
    parameters: dict[str, Any] = {}
    instruction: dict[str, Any] = {}
    trigger: Trigger = "arrival"
    order: Order = "any"
    singly: bool = False
    spread: bool = False
    stream: bool = False
    stateful: bool = False
    full_token: bool = False
    clock: str = "root"
    period: int = 0
    per: int = 1
    phase: int = 0
    width: int = 0
    first_delay: int = 0
    missed: Literal["skip", "catch-up"] = "skip"
    stamp: Literal["instant", "body"] = "instant"
    single_run: int | None = None
    told: bool = False
    due: dict[Literal["instant", "now", "middle", "start"], int] = {}
    persistent: bool = False
    constraints: list[TTConstraintSpec] = []
    plan_b: str | None = None
    will_continue: bool = True
    offset: int = 0
    rank: int = 0
    file: str = ""
    timeout: int = 0

    @property
    def every(self) -> Period:
        """The period in root ticks."""
        return period_of(self.period, self.per)

    @property
    def firing_rule(self) -> TTFiringRule:
        """The documented label of this combination of trigger and order."""
        if self.trigger == "grid":
            return TTFiringRule.TimedRetrigger
        if self.trigger in ("deadline", "plan_b"):
            return TTFiringRule.Deadline
        return TTFiringRule.SequentialRetrigger if self.order == "forward" else TTFiringRule.Timed


class TTInput(msgspec.Struct, omit_defaults=True):
    """An input of the graph: a parameter of the `@GRAPHify` function.

    Attributes:
        name: the parameter's name.
        to: the ports its token goes to at every start.
        default: `[value]`, an encoded constant for starts that give no value; else None.
        type: its annotation, as far as it names plain types of Python, such as `int | list[Any]`; empty: unchecked.
    """

    name: str
    to: list[TTDestination] = []
    default: list[Any] | None = None
    type: str = ""


class Nodes(Protocol):
    """The part of a graph that is drawn: its inputs and SQs.

    Attributes:
        name, inputs, sqs: as `TTGraph` has them.
    """

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> list[TTInput]: ...
    @property
    def sqs(self) -> list[TTSQ]: ...
