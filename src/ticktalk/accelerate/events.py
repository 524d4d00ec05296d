"""The parts of a plan over a common period: SQs, ways of their results, events, tokens under way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import Fire, takes_full_tokens
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.engine.forwarding import TTSQForward, Way
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import KEEPING
from ticktalk.time import INFINITY, Tick


class Unsettled(Exception):
    """The events do not repeat, or depend on values; the message says why."""


class Undecided(Exception):
    """The truth of a stand-in was asked for; it is the one argument."""


class TooLong(Unsettled):
    """A period of all of them would be too long."""


class Misfit(Unsettled):
    """A plan stays, but all does not stand as planned at present."""


class Opened(NamedTuple):
    """A token under way between two ensembles; `arc` is "" for an output, whose receiver is the manager's ensemble."""

    context: tuple[str, int]
    sq: str
    arc: str
    receiver: str
    value: Any
    start: Tick
    stop: Tick


class TakesTime(Protocol):
    """The stage of an SQ whose body takes time: it waits for a core, runs there, and its result is sent at the end.

    Attributes:
        body: runs the body, at the begin.
        elsewhere: where its result goes.
    """

    body: Fire
    elsewhere: Elsewhere

    @property
    def pace(self) -> object:
        """How long it takes now, to be compared."""

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Let a firing wait for a core."""

    def kept(self, value: Any) -> Any:
        """A copy of what is wanted of a result."""

    def keep(self, value: Any, start: Tick, stop: Tick) -> None:
        """Keep a result, which nobody else holds, until the run ends."""

    def twin(self, twins: dict[int, Any], agenda: Agenda, grid: GridSync | None, elsewhere: Elsewhere) -> TakesTime:
        """A copy on copies of the cores, which are in `twins` by the id of those here; it has no values yet."""

    def stands(self, base: int, values: list[Any], absent: Any) -> tuple[Any, ...] | None:
        """How it stands at `base`, all ticks counted from it; None: not as a plan can tell.

        Its values are added to `values`: the inputs of the firings that wait, and the result of the run under way,
        `absent` if there will be none.
        """

    def stand(self, base: int, shape: tuple[Any, ...], values: Iterator[Any], absent: Any) -> None:
        """Stand as `stands` has told, at another `base`."""

    def ends_at(self, tick: int, middle: int | None) -> None:
        """Let the run under way end at `tick`."""


class Ways(Protocol):
    """Links on which no token overtakes another one, and where they may have to wait for one another.

    Attributes:
        latest: by sender and receiver, when the last token arrives.
    """

    latest: dict[tuple[str, str], int]

    def twin(self, agenda: Agenda) -> Any:
        """Copies of them, which take note of what they are used for (`uses`)."""

    def arrival(self, sender: str, receiver: str, size: Callable[[], int]) -> int:
        """The tick at which a token that is sent now arrives."""


class Links:
    """The links between ensembles, and their cores, as a plan needs them. On these tokens and bodies take no time.

    Args:
        manager: the ensemble that outputs go to.
    """

    def __init__(self, manager: str) -> None:
        self._manager = manager

    @property
    def manager(self) -> str:
        """The ensemble that outputs go to."""
        return self._manager

    def crossing(self, context: ContextParts, sq: str, receiver: str) -> tuple[int, int] | None:
        """The root ticks that every token of an SQ takes to another ensemble now; its bytes, as far as they matter.

        None: that is not settled.
        """
        return 0, 0

    @property
    def timing(self) -> Ways | None:
        """The links, if each has a time of its own; None: all have the same."""
        return None

    def stage(self, context: ContextParts, sq: str) -> TakesTime | None:
        """The stage of an SQ whose body takes time."""
        return None

    def busy_beside(self, stages: Collection[int]) -> bool:
        """True if bodies run or wait on the cores of other stages than those with these ids."""
        return False

    def ending(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> tuple[TakesTime, int | None] | None:
        """The stage whose run an arrival in the agenda ends, and the middle of its interval; None: it ends none."""
        return None

    def listened(self) -> bool:
        """True if somebody is told of outputs who may act on the simulation."""
        return False

    def tell(self, context: ContextParts, token: Opened) -> None:
        """Tell the manager of an output of `context` that has come."""

    def forget_outputs(self, number: int) -> Callable[[], None]:
        """Drop the next outputs that reach the manager, so many at most. A call of the result ends that."""
        return lambda: None

    def still(self) -> bool:
        """True if no SQ comes or leaves."""
        return True

    @property
    def numbered(self) -> bool:
        """Tokens between ensembles have numbers."""
        return False

    def in_step(self, context: ContextParts, arc: str, receiver: str, flying: int) -> bool:
        """True if all tokens of an arc have come to an ensemble, but the `flying` last ones."""
        return True

    def passed(self, context: ContextParts, arc: str, receiver: str, tokens: int) -> None:
        """So many tokens have come on an arc to an ensemble; `receiver` is "": so many were sent."""

    def opened(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> Opened | None:
        """The token that an arrival in the agenda brings; None: it is something else."""
        return None

    def put(self, tick: int, context: ContextParts, token: Opened, ahead: int) -> None:
        """Let a token of `context` be under way, to arrive at `tick`, with `ahead` ones of its arc ahead of it."""


class StandIn:
    """Stands for the value that one receiver gets.

    Attributes:
        event: the place of the event that made it; -1: it was there before.
        wire: which of the event's receivers gets it; -1: all, it is a tick.
        tick: the number, where that is known beforehand.
        name: in the generated code; "": it has none.
    """

    __slots__ = ("event", "name", "tick", "wire")

    def __init__(self, event: int, wire: int, tick: int | None = None, name: str = "") -> None:
        self.event, self.wire, self.tick, self.name = event, wire, tick, name

    def text(self, begin: int) -> str:
        """Its text in the code of a period, whose stand-ins began at tick `begin`: its name, or a tick."""
        return self.name or f"(base + {self.tick - begin})"  # type: ignore[operator]

    def __bool__(self) -> bool:
        raise Undecided(self)

    def __add__(self, other: Any) -> StandIn:
        return COMPUTED

    __sub__ = __mul__ = __truediv__ = __add__  # on the line of `RESAMPLE`


COMPUTED = StandIn(-1, -1)
"""Stands for what is computed with a stand-in."""

ABSENT = StandIn(-1, 0, name="gone")
"""Stands for a value that may be absent, and is."""


class Leg(NamedTuple):
    """A way of an SQ's results: to ports on one ensemble, or to the manager; or the end of a run, which has no way.

    Attributes:
        way: the arc.
        tag: it carries tags.
        host: the other ensemble, or "".
        to: the ports, each with its SQ.
        output: it leads to the manager.
        delay: ticks that it takes, if it is alone; 0: its tokens are there at once.
        size: the bytes of a token, as far as they matter.
    """

    way: Way
    tag: bool
    host: str
    to: list[tuple[Part, int]]
    output: bool
    delay: int = 0
    size: int = 0

    @property
    def receivers(self) -> int:
        """How many get a value each; an output that is there at once has no stand-in."""
        return len(self.to) or int(self.output and self.delay > 0)

    @property
    def told_at_once(self) -> bool:
        """It is an output that the manager gets in the firing."""
        return self.output and not self.delay


class Result(NamedTuple):
    """A result of an SQ on tokens, on an interval of its own.

    Attributes:
        of: what it is, where that is known without a call: another value, a tick, or a constant.
        when: the condition on which it is given, and how that has to be; None: it is given always.
    """

    value: StandIn
    start: Tick
    stop: Tick
    of: StandIn | Unchanging | None
    when: tuple[StandIn, bool] | None = None


class Unchanging(NamedTuple):
    """A value that is the same in all periods."""

    value: Any


class Part:
    """One SQ of a context, with the stand-in of its firing rule.

    Attributes:
        index: its place among all.
        twin: the copy of its firing rule.
        forward: takes its results, and `legs`: where they go.
        lag: how early tokens that arrive here begin, counted from their arrival.
        active: something happens here in a period.
        refused: why no firing of it can be planned.
        stage: takes its firings, if its body takes time, and `stage_twin`: the copy of that.
        keeps: it is an instruction that keeps something from firing to firing; that is with the plan, if not `called`.
        called: its results are known by a call only.
    """

    def __init__(self, index: int, context: ContextParts, sq: TTSQ, forward: TTSQForward) -> None:
        self.index = index
        self.context = context
        self.sq = sq
        self.sync = context.syncs[sq.name]
        self.twin: Any = copy.copy(self.sync)
        self.asker: Part | None = None  # of a plan B: its deadline
        self.forward = forward
        self.legs: list[Leg] = []
        self.lag: Tick = INFINITY
        self.active = False
        self.refused = _refused(sq, context)
        self.stage: TakesTime | None = None
        self.stage_twin: TakesTime
        self.keeps = not sq.body and sq.function in KEEPING
        self.called = sq.body

    @property
    def context_key(self) -> tuple[str, int]:
        return self.context.prepared.graph.name, self.context.number


ENDING = Leg(Way("", (), [], [], False, 0), False, "", [], False, 1)
"""The end of a run, as it is under way."""


def _refused(sq: TTSQ, context: ContextParts) -> str:
    if sq.spread:
        return f"{sq.name} works on tokens that were not used"
    stages = set() if sq.trigger == "deadline" else set(context.stages_of(sq.name))
    if takes_full_tokens(sq) and (sq.trigger == "grid" or "cores" in stages):
        return f"{sq.name} works on intervals, and takes time or is a stream"
    if context.tap is not None:
        if "cores" in stages:
            return f"{sq.name} takes time, and is recorded"
        stages -= {"tap", "watch"}
    if "drivers" in stages:
        return f"{sq.name} is on an ensemble with drivers, which may look at the time"
    if stages - {"tag", "single run", "cores", "own copies", "in place"} or stages >= {"single run", "cores"}:
        return f"{sq.name} is watched, or runs one at a time"
    if "cores" in stages and (sq.told or sq.timeout):
        return f"{sq.name} takes time, and asks for its firing, or has a timeout"
    if sq.first_delay:
        return f"{sq.name} has a delay after its first firing"
    return ""


class PlanEvent:
    """Something that happens in a period.

    Attributes:
        kind: "fire": a firing; "pass": data that a deadline lets pass; "tell": an output reaches the manager; "end": a
            result is sent, where it is not in the firing. Of a body that takes time: "tag": it was decided; "run": it
            begins, and makes one value.
        tick, start, stop: when, and the interval.
        inputs: by port that takes tokens, the value.
        wires: by leg and receiver, in order, the values that it makes.
        intervals: (on tokens) of the inputs, and `results`: each is sent by an "end" that follows; None: not on tokens.
        asked: (on tokens) the condition on which it depends whether it gives a result; None: it does not.
        gives: it gives a result.
    """

    def __init__(self, part: Part, kind: str, tick: int, start: Tick, stop: Tick, inputs: tuple[StandIn, ...]) -> None:
        self.part, self.kind, self.tick, self.start, self.stop = part, kind, tick, start, stop
        self.inputs = inputs
        self.wires: list[list[StandIn]] = []
        self.intervals: list[tuple[Tick, Tick]] = []
        self.results: list[Result] | None = None
        self.asked: StandIn | None = None
        self.gives = True

    @property
    def runs(self) -> bool:
        """A body runs."""
        return self.kind in ("fire", "run")

    @property
    def calls(self) -> bool:
        """(On tokens) its results are known by a call only."""
        return self.part.called or any(result.of is None for result in self.results or ())

    @property
    def ways(self) -> Iterable[tuple[Leg, list[StandIn]]]:
        """The legs on which something is sent, each with the values."""
        return () if self.kind in ("run", "tell") else zip(self.part.legs, self.wires, strict=True)


def wires_of(event: PlanEvent) -> list[StandIn]:
    """The values that an event makes, without ticks."""
    made = [value for wires in event.wires for value in wires if value.wire >= 0]
    return made if event.results is None else [result.value for result in event.results]


def told_at_once(event: PlanEvent) -> bool:
    """True if an event tells the manager of an output itself, or a result is unpacked there."""
    part = event.part
    return (
        event.kind in ("fire", "pass", "end")
        and event.results is None
        and (part.forward.unpack is not None or any(leg.told_at_once and not leg.tag for leg in part.legs))
    )


def passes_on(event: PlanEvent) -> bool:
    """True if the code looks at what an event makes, and passes it on as it is, if it cannot be changed."""
    return event.results is None and not (
        told_at_once(event) or (event.kind == "run" and event.part.forward.unpack is not None)
    )


class Flying:
    """A token under way: a leg of `part`, and a value for each of its receivers.

    Or the end of a run: `start` is then the middle of the interval of its result, if the run says it.
    """

    __slots__ = ("leg", "part", "start", "stop", "values")

    def __init__(self, part: Part, leg: Leg, values: list[StandIn], start: Any, stop: Any) -> None:
        self.part, self.leg, self.values, self.start, self.stop = part, leg, values, start, stop
