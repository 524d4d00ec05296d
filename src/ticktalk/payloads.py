"""The payloads of messages: plain data, one struct each. `messages.py` gives the payload of each message.

Ticks are those of the root clock unless a field says otherwise. Microseconds are those of the device that measured.
The structs that cross between devices hold fields in the order in which they are on the wire.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from ticktalk.durations import interval_and_ticks
from ticktalk.graph.graph import TTGraph
from ticktalk.heartbeats import Ask as Ask
from ticktalk.heartbeats import Ping as Ping
from ticktalk.heartbeats import Pong as Pong
from ticktalk.heartbeats import Tell as Tell
from ticktalk.heartbeats import Voters as Voters
from ticktalk.json_text import as_json, json_line, json_name
from ticktalk.printable import line
from ticktalk.ranges import Count, EnsembleName, Host, Name, Period, RootTick, Span, Text, is_interval
from ticktalk.saved_state import Checkpoint as Checkpoint
from ticktalk.saved_state import Handed as Handed
from ticktalk.saved_state import InstanceState as InstanceState
from ticktalk.saved_state import LongCheckpoint as LongCheckpoint
from ticktalk.saved_state import LongHanded as LongHanded
from ticktalk.saved_state import SavedSync as SavedSync
from ticktalk.saved_state import StatesOfStarts
from ticktalk.series import MetricName, Series
from ticktalk.stuck import Stuck as Stuck
from ticktalk.time import INFINITY, Tick, grid

if TYPE_CHECKING:
    from ticktalk.mapping.weights import Weights

# Requests to the manager. `reply` is a future of this process, or None; it never crosses.


class DeployRequest(msgspec.Struct):
    """Map, distribute and prepare `graph`; `weights`: its costs by ensemble. `reply` gets the `GraphState`."""

    graph: TTGraph
    name: str | None = None
    mapping: Mapping[str, str] | None = None
    reply: Future[Any] | None = None
    weights: Weights | None = None


class StartRequest(msgspec.Struct):
    """Start a graph that is ready; `reply` gets the context's number, or the error.

    Attributes:
        inputs: one value per graph input.
        start_tick: when it starts; None: now, or on devices as soon as all have heard of it.
        length: ticks after which its streams end (exclusive); None: as long as their windows last.
        again: start it even if a context of it goes on.
    """

    graph: str
    inputs: Mapping[Any, Any] = {}
    start_tick: int | None = None
    reply: Future[Any] | None = None
    length: int | None = None
    again: bool = True


class StopRequest(msgspec.Struct):
    """End a graph; `reply` gets what was lost (`Reports.losses`), or the error."""

    graph: str
    reply: Future[Any] | None = None


class DrainRequest(msgspec.Struct):
    """Move all that lives on an ensemble, then let it go; `reply` gets None when it is empty, or the error."""

    ensemble: str
    reply: Future[Any] | None = None


class SetRequest(msgspec.Struct):
    """Change a stream's period and phase (ticks; None: as it is); `reply` gets the `SetGrid`, or the error."""

    graph: str
    sq: str
    period: int | Fraction | None = None
    phase: int | None = None
    reply: Future[Any] | None = None


class StatusRequest(msgspec.Struct):
    """Ask without further details; `reply` gets plain JSON data."""

    reply: Future[Any] | None = None


class OutputsRequest(msgspec.Struct):
    """Ask for the latest outputs of a graph; `reply` gets JSON lines, or the error."""

    graph: str
    reply: Future[Any] | None = None


class ProfileRequest(msgspec.Struct):
    """Ask for the costs of a graph's bodies; `reply` gets function, times and token sizes, for each ensemble."""

    graph: str
    reply: Future[Any] | None = None


# Deployments, starts and ends.


class Deployment(msgspec.Struct, frozen=True):
    """A graph on its way to the ensembles: all of it, and the host of each SQ.

    `generations` says how often an SQ has been placed anew (left out: never): receivers drop tokens of an older one.
    """

    graph: TTGraph
    host_of: dict[Name, Host]
    generations: dict[Name, Count] = {}


class ReadyAnswer(msgspec.Struct, frozen=True):
    """An ensemble's answer to a deployment: ready, or the problem that keeps it from being so."""

    graph: Name
    ensemble: EnsembleName
    problem: Text | None = None


class StartContext(msgspec.Struct, frozen=True):
    """One start of a graph: the same for every ensemble.

    Attributes:
        graph, context: the graph's name, and the number of the start.
        start_tick, inputs: when it starts, and the graph's inputs.
        until: the tick from which on no stream fires; None: as long as their windows last.
        checkpoint: ticks between two checkpoints of its instances; 0: none.
        record: what happens in it is recorded.
    """

    graph: Name
    context: Count
    start_tick: RootTick
    inputs: dict[str, Any]
    until: RootTick | None = None
    checkpoint: Span = 0
    record: bool = False


class StopGraph(msgspec.Struct, frozen=True):
    """End a graph: its contexts fire no more, its name is free. With a `context`, forget that one only."""

    graph: Name
    context: Count | None = None

    def ends(self, context: tuple[str, int]) -> bool:
        """True if this context of a graph ends."""
        return context[0] == self.graph and self.context in (None, context[1])


class SetGrid(msgspec.Struct, frozen=True):
    """Another period, phase and interval width (ticks) for a stream, from its next instant on."""

    graph: Name
    sq: Name
    period: Period
    phase: Span
    width: Period
    per: Period = 1  # so many periods take `period` ticks

    def __post_init__(self) -> None:
        if self.period < self.per or self.phase >= grid.repeats_after(grid.period_of(self.period, self.per)):
            raise ValueError(f"no grid: the phase is {self.phase}, and {self.per} periods take {self.period}")


# Tokens, outputs and errors.


class TokenMessage(msgspec.Struct, frozen=True):
    """A token between two ensembles: on which arc of which context, its value and interval."""

    graph: Name
    context: Count
    arc: Name
    value: Any
    start: Tick
    stop: Tick


class OutputToken(msgspec.Struct, frozen=True):
    """An output token of a graph, as it reached the manager.

    Attributes:
        graph, value: the graph's name, and its value.
        start, stop: its interval, root ticks, possibly infinite.
        sq, ensemble: the SQ that sent it, and the SQ's host.
        context: the start it belongs to.
        arrival: the root tick at which it reached the manager.
        shown: the value as a field of a JSON object, where it was rendered already: then `value` may be encoded.
    """

    graph: Name
    value: Any
    start: Tick
    stop: Tick
    sq: Name
    ensemble: EnsembleName
    context: Count = 0
    arrival: RootTick = 0
    shown: str | None = None

    def line(self, *more: str, shown: str | None = None) -> str:
        """`row` as one line of JSON, with more of the numbers; `shown` in place of the value. Made for each output."""
        field = shown or self.shown
        if field is None:
            return json_line({**self.row(), **{name: getattr(self, name) for name in more}})
        begin, end = ["null" if abs(tick) == INFINITY else tick for tick in (self.start, self.stop)]
        rest = f'"sq": {json_name(self.sq)}, "ensemble": {json_name(self.ensemble)}'
        rest += "".join([f', "{name}": {getattr(self, name)}' for name in more])
        return f'{{"graph": {json_name(self.graph)}, {field}, "start": {begin}, "stop": {end}, {rest}}}'

    def row(self) -> dict[str, Any]:
        """The token as a JSON object: `value` or `repr`, ticks of the root clock, None for an infinite end."""
        exact, shown = as_json(self.value)
        begin, end = [None if abs(tick) == INFINITY else tick for tick in (self.start, self.stop)]
        rest = {"start": begin, "stop": end, "sq": self.sq, "ensemble": self.ensemble}
        return {"graph": self.graph, "value" if exact else "repr": shown, **rest}

    def log_row(self) -> dict[str, Any]:
        """`row` with `context` and `arrival`, as the output log has it."""
        return {**self.row(), "context": self.context, "arrival": self.arrival}


class Unreadable(msgspec.Struct, frozen=True):
    """Stands for an output of an ensemble that cannot be read here, and says why."""

    ensemble: EnsembleName
    why: Text = ""


class OutputTokens(msgspec.Struct, frozen=True):
    """Outputs of one ensemble; `number` counts all that it has sent, up to the last of these (0: it counts none)."""

    tokens: Sequence[OutputToken | Unreadable]
    number: Count = 0


class OutputsTaken(msgspec.Struct, frozen=True, array_like=True):
    """The manager has an ensemble's outputs up to this number for good; `again`: it lacks those that follow."""

    number: Count
    again: bool = False


class FiringError(msgspec.Struct, frozen=True):
    """A firing that raised, for the log and the manager. Ticks of the root clock; None: an infinite end."""

    sq: Name
    ensemble: EnsembleName
    start: RootTick | None
    stop: RootTick | None
    file: Name
    line: int
    exception: Text
    traceback: Text = ""

    def __str__(self) -> str:
        interval = interval_and_ticks(self.start, self.stop)
        where = f"{self.file}:{self.line}: SQ {self.sq} on {self.ensemble}, interval {interval}"
        return line(f"{where}: {self.exception}")


# Instances that move, and their checkpoints.


class Placement(msgspec.Struct, frozen=True):
    """The hosts of a graph's SQs from now on.

    Attributes:
        host_of, generations: SQ to ensemble, "" for one that waits for one that fits; to how often it was placed anew.
        states: by context, the states of the instances that come to the receiver.
        alone: the receiver's SQs that no other ensemble may host: it keeps them when it loses the manager.
        more: this one gives a part of the states only; another one follows.
        told: a number with which the receiver is to answer, for it may keep fewer SQs than before; 0: it need not.
    """

    graph: Name
    host_of: dict[Name, Host]
    generations: dict[Name, Count]
    states: StatesOfStarts = {}
    alone: list[Name] = []
    more: bool = False
    told: Count = 0


class Expect(msgspec.Struct, frozen=True):
    """These SQs, and no others of the graph, will come to the receiver: it prepares them and keeps their tokens.

    It answers when it does (`Placed`), also where there are none, with the number `told`.
    """

    graph: Name
    sqs: list[Name]
    told: Count = 0


class Placed(msgspec.Struct, frozen=True):
    """An ensemble's answer about SQs that are to come: they are there, or the problem that keeps them away.

    `expected`: it holds them ready, and keeps their tokens until they come: by context and arc, tokens after the number
    in `sent`. `told`: that of the placement, or of `Expect`. An answer without SQs says nothing else.
    """

    graph: Name
    ensemble: EnsembleName
    sqs: list[Name]
    problem: Text | None = None
    expected: bool = False
    sent: dict[Count, dict[Name, Count]] = {}
    told: Count = 0


class HandOver(msgspec.Struct, frozen=True):
    """SQs of the receiver go to other ensembles: SQ to ensemble. It ends them and sends their states.

    `sent`: by context and arc, the token up to which they take all before they end. `stay`: they do not end, but are
    held: a new version of the graph goes on with copies of their states.
    """

    graph: Name
    to: dict[Name, Host]
    sent: dict[Count, dict[Name, Count]] = {}
    stay: bool = False


class HowFar(msgspec.Struct, frozen=True, array_like=True):
    """An ensemble to which SQs will come asks a sender how much it has sent on these arcs; none: none will come."""

    name: EnsembleName
    graph: Name
    arcs: list[Name]
    number: Count = 0


class SoFar(msgspec.Struct, frozen=True, array_like=True):
    """The answer to the `HowFar` of this number: by context and arc, the number of the last token sent."""

    name: EnsembleName
    graph: Name
    sent: dict[Count, dict[Name, Count]]
    number: Count = 0


# Being alive, clocks, being done; where ensembles are.

Lateness = Annotated[list[int], msgspec.Meta(min_length=3, max_length=3)]
"""Firings, sum and worst of how late they started (microseconds)."""


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """A receiver tells a sender of tokens up to which of its frames it has taken what came."""

    name: EnsembleName
    number: Count


class ReportRequest(msgspec.Struct, frozen=True):
    """The manager asks for an `IdleReport`: with the costs of bodies (`profile`), or of a graph that `ends`."""

    graph: Name
    context: Count
    round: Count
    profile: bool = False
    ends: bool = False


class Place(msgspec.Struct, frozen=True, array_like=True):
    """The place on an ensemble in which a body runs.

    Attributes:
        worker: the name of its worker process; "home": where time is kept; "threads": there, too, with `--workers 0`.
        together: it crosses to that as one piece with others.
        left: why it has left home; empty: it has not.
    """

    worker: Name
    together: bool
    left: Text = ""


class IdleReport(msgspec.Struct, frozen=True):
    """An ensemble's report of a context: whether it is idle, and the numbers of tokens on each arc.

    Attributes:
        round, busy: the number of the question; why it is not idle, empty when it is.
        sent, received: arc to receiving ensemble to the number of tokens sent; arc to that of the last one received.
        outputs, counts: outputs sent to the manager; SQ to kind to count.
        waiting: SQ to port to number of tokens that wait.
        lateness: stream to [firings, sum, worst] of how late its bodies started after their instants (microseconds).
        profile: function to some of its runs' times (microseconds) and its tokens' sizes (bytes); None: not asked for.
        running: SQ to [start, stop, microseconds] of a firing that has run for long, the longest first.
        stuck: by SQ, what it waits for.
        left_out: ensemble that stood still to SQ to number of its tokens that were not sent there.
        worked: microseconds for which its bodies have run, and those since its start; where that takes real time.
        work: SQ to what it did, since it came to this ensemble (`hosted.body_runner.Work`).
        metrics: SQ to name to the metric that its body has set there.
        metrics_left_out: how many more there are.
        places: SQ to where its body runs.
    """

    graph: Name
    context: Count
    ensemble: EnsembleName
    round: Count
    busy: Text = ""
    sent: dict[Name, dict[EnsembleName, Count]] = {}
    received: dict[Name, Count] = {}
    outputs: Count = 0
    counts: dict[Name, dict[Name, Count]] = {}
    waiting: dict[Name, dict[Name, Count]] = {}
    lateness: dict[Name, Lateness] = {}
    profile: dict[Name, tuple[list[Span], list[Count]]] | None = None
    running: dict[Name, tuple[Tick | None, Tick | None, Span]] = {}
    stuck: dict[Name, Stuck] = {}
    left_out: dict[EnsembleName, dict[Name, Count]] = {}
    worked: tuple[Span, Span] = (0, 0)
    work: dict[Name, tuple[Count, Count, Span, Count]] = {}
    metrics: dict[Name, dict[MetricName, Series]] = {}
    metrics_left_out: Count = 0
    places: dict[Name, Place] = {}

    def __post_init__(self) -> None:
        _check_firings((start, stop) for start, stop, _ in self.running.values())


Firings = list[tuple[Name, Name, Tick | None, Tick | None]]
"""Graph, SQ, start and stop of firings; None: several SQs run together."""


def _check_firings(intervals: Iterable[tuple[Tick | None, Tick | None]]) -> None:
    for start, stop in intervals:
        if (start, stop) != (None, None) and (start is None or stop is None or not is_interval(start, stop)):
            raise ValueError(f"[{start}, {stop}) is no interval")


class WorkerDeath(msgspec.Struct, frozen=True):
    """A worker process of an ensemble has ended by itself: its name, its signal or exit status in words (`how`), and
    the firings that ran there or waited to, the oldest of each SQ.
    """

    ensemble: EnsembleName
    worker: Name
    how: Text
    running: Firings = []

    def __post_init__(self) -> None:
        _check_firings((start, stop) for _, _, start, stop in self.running)


class Route(NamedTuple):
    """An entry of the routing table: which ensemble is where, and what tells that a message is its own."""

    name: EnsembleName
    address: Name
    badge: bytes = b""
