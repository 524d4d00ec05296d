"""What a plan over a common period consists of: SQs, ways of their results, events, tokens under way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.forwarding import TTSQForward, Way
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import ON_VALUES
from ticktalk.time import INFINITY, Tick


class Unsettled(Exception):
    """What happens does not repeat, or depends on values; the message says why."""


class Opened(NamedTuple):
    """A token under way between two ensembles; `arc` is "" for an output, whose receiver is the manager's ensemble."""

    context: tuple[str, int]
    sq: str
    arc: str
    receiver: str
    value: Any
    start: Tick
    stop: Tick


class Links(Protocol):
    """The links between simulated ensembles, as a plan needs them."""

    @property
    def manager(self) -> str:
        """The ensemble that outputs go to."""

    def delay(self, sender: str, receiver: str) -> int | None:
        """The root ticks that every token takes now; None: that is not settled."""

    def listened(self) -> bool:
        """True if somebody is told of outputs who may act on the simulation."""

    def tell(self, context: ContextParts, token: Opened) -> None:
        """Tell the manager of an output of `context` that has come."""

    def opened(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> Opened | None:
        """The token that an arrival in the agenda brings; None: it is something else."""

    def put(self, tick: int, context: ContextParts, token: Opened) -> None:
        """Let a token of `context` be under way, to arrive at `tick`."""


class StandIn:
    """Stands for the value that one receiver gets.

    Attributes:
        event: the place of the event that made it; -1: it was there before.
        wire: which of the event's receivers gets it; -1: all, it is a tick.
        tick: the number, where that is known beforehand.
    """

    __slots__ = ("event", "tick", "wire")

    def __init__(self, event: int, wire: int, tick: int | None = None) -> None:
        self.event, self.wire, self.tick = event, wire, tick


class Leg(NamedTuple):
    """A way of an SQ's results: to ports on one ensemble, or to the manager.

    Attributes:
        way: the arc.
        tag: it carries tags.
        host: the other ensemble, or "".
        to: the ports, each with its SQ.
        delay: ticks that it takes; 0: its tokens are there at once.
        output: it leads to the manager.
    """

    way: Way
    tag: bool
    host: str
    to: list[tuple[Part, int]]
    delay: int
    output: bool

    @property
    def receivers(self) -> int:
        """How many get a value each; an output that is there at once has no stand-in."""
        return len(self.to) or int(self.output and self.delay > 0)

    @property
    def told_at_once(self) -> bool:
        """It is an output that the manager gets in the firing."""
        return self.output and not self.delay


class Part:
    """One SQ of a context, with the stand-in of its firing rule.

    Attributes:
        index: its place among all.
        twin: the copy of its firing rule.
        forward: takes its results, and `legs`: where they go.
        lag: how early tokens that arrive here begin, counted from their arrival.
        active: something happens here in a period.
        refused: why no firing of it can be planned.
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
        self.arrivals = 0
        self.refused = _refused(sq, context)

    @property
    def context_key(self) -> tuple[str, int]:
        return self.context.prepared.graph.name, self.context.number


def _refused(sq: TTSQ, context: ContextParts) -> str:
    if sq.full_token or sq.spread or not (sq.body or sq.function in ON_VALUES or sq.trigger == "deadline"):
        return f"{sq.name} works on intervals, or on tokens that were not used"
    if sq.trigger != "deadline" and set(context.stages_of(sq.name)) - {"tag", "single run", "in place"}:
        return f"bodies take time or are watched: {sq.name}"
    if sq.told or sq.timeout:
        return f"{sq.name} asks for its firing, or has a timeout"
    if sq.first_delay:
        return f"{sq.name} has a delay after its first firing"
    return ""


class Event:
    """A firing, data that a deadline lets pass, or an output that reaches the manager later.

    Attributes:
        kind: which of them.
        tick, start, stop: when, and the interval.
        inputs: by port that takes tokens, the value.
        wires: by leg and receiver, in order, the values that it makes.
    """

    __slots__ = ("inputs", "kind", "leg", "part", "start", "stop", "tick", "wires")

    def __init__(
        self, part: Part, kind: str, tick: int, start: Tick, stop: Tick, inputs: tuple[StandIn, ...], leg: Leg | None
    ) -> None:
        self.part, self.kind, self.tick, self.start, self.stop = part, kind, tick, start, stop
        self.inputs, self.leg = inputs, leg
        self.wires: list[list[StandIn]] = []


class Flying:
    """A token under way: a leg of `part`, and a value for each of its receivers."""

    __slots__ = ("leg", "part", "start", "stop", "values")

    def __init__(self, part: Part, leg: Leg, values: list[StandIn], start: Tick, stop: Tick) -> None:
        self.part, self.leg, self.values, self.start, self.stop = part, leg, values, start, stop
