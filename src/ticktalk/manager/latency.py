"""The latency of outputs: from the instant of a stream to their arrival at the manager.

No token carries when it was made. But a stream's tokens have the interval of their instant, and a result has the
intersection of its inputs'. So an output begins where the newest of its streams' tokens began, and that stream's grid
has the instant. An output of the graph's inputs alone is as old as its start. Times are of the root clock.
"""

from __future__ import annotations

from typing import NamedTuple

from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.engine.prepared_graph import Wiring, wiring_of
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, Tick
from ticktalk.time.grid import Period, instant_after

SAMPLES = 2_000
"""Latencies of one output that are kept at least; then every second one goes, and every second one is left out."""

GRIDS = 16
"""Grids of streams before one output at most: of more of them nothing is told."""

ON_ITS_INPUTS = {"IF", "CONST", "TIME_TOKEN", "READ_TTCLOCK", "TTTIME_TO_VALUES", "GET_INFINITY", "GET_NEG_INFINITY"}
"""Instructions on tokens that give a result the interval of its inputs."""


class StreamInstants(NamedTuple):
    """The instants of a stream, and the width of its tokens; `exact`: they are stamped with their instants."""

    every: Period
    phase: int
    width: int
    exact: bool

    def instant(self, start: int) -> int | None:
        """The instant of a token that begins at `start`; None: this stream has no such token."""
        instant = start + self.width // 2
        if isinstance(self.every, int):
            there = (instant - self.phase) % self.every == 0
        else:
            there = instant_after(instant - 1, self.every, self.phase) == instant
        return instant if there or not self.exact else None

    def instant_around(self, start: int, stop: Tick) -> int | None:
        """The one instant whose token holds from `start` to `stop`; None: there is none, or more than one."""
        # From the first token that ends at `stop` or later: it ends `width - width // 2` after its instant.
        if stop == INFINITY:
            return None
        instant = instant_after(int(stop) - (self.width - self.width // 2) - 1, self.every, self.phase)
        following = instant_after(instant, self.every, self.phase)
        holds = instant - self.width // 2 <= start
        return instant if self.exact and holds and following - self.width // 2 > start else None


class Latency:
    """The latencies of one output.

    Attributes:
        grids: of the streams that it comes from, as they are and as they were just before.
        allowed: ticks after the instant of a stream at which its deadline is; None: it has none.
        due: the grid of that stream.
        count, worst: the outputs, and their longest latency.
    """

    def __init__(self, grids: list[StreamInstants]) -> None:
        self.grids = self._present = grids
        self.allowed: int | None = None
        self.due: StreamInstants | None = None
        self.count = self.worst = 0
        self._samples: list[int] = []  # in order as far as they were when they were last shown: to sort them is cheap
        self._after_deadlines: list[int] = []
        self._every = 1
        self._shown: dict[str, int | None] = {}  # after so many outputs, with this deadline: `_shown_at`
        self._shown_at: tuple[int, int | None] = 0, None

    def follow(self, grids: list[StreamInstants]) -> None:
        """Its streams have these grids from now on; tokens of the ones before may still be under way."""
        if grids != self._present:
            self.grids = [*grids, *(grid for grid in self._present if grid not in grids)]
            self._present = grids

    def add(self, start: Tick, stop: Tick, arrival: int, begun: int) -> None:
        """An output on [start, stop) has arrived, of a context that was begun at the tick `begun`."""
        instants = [begun]
        if start != -INFINITY:
            found = [grid.instant(int(start)) for grid in self.grids]
            instants = [instant for instant in found if instant is not None]
            if not instants:
                return
        latency = arrival - max(instants)
        if self.count % self._every == 0:
            self._samples.append(latency)
            instant = self.due.instant_around(int(start), stop) if self.due is not None and start != -INFINITY else None
            if instant is not None and self.allowed is not None:
                self._after_deadlines.append(arrival - instant - self.allowed)
            if len(self._samples) >= 2 * SAMPLES:
                self._samples, self._after_deadlines = self._samples[::2], self._after_deadlines[::2]
                self._every *= 2
        self.count += 1
        if latency > self.worst:
            self.worst = latency

    def shown(self) -> dict[str, int | None]:
        """As JSON; the 99th of a hundred in order is the 99 %, also of how long after the deadline they came."""
        if self._shown_at != (self.count, self.allowed):
            self._shown, self._shown_at = self._tell(), (self.count, self.allowed)
        return self._shown

    def _tell(self) -> dict[str, int | None]:
        ordered, after = self._samples, self._after_deadlines
        ordered.sort()
        after.sort()
        found = {"outputs": self.count, "median": ordered[(len(ordered) - 1) // 2], "p99": _p99(ordered)}
        return {**found, "worst": self.worst, "deadline": self.allowed, "p99_after": _p99(after) if after else None}


def _p99(ordered: list[int]) -> int:
    return ordered[(len(ordered) * 99 + 99) // 100 - 1]


class Latencies:
    """The latencies of all outputs of a graph; those whose intervals do not tell their instants are left out."""

    def __init__(self, graph: TTGraph) -> None:
        self.by_sq: dict[str, Latency] = {}
        self.follow(graph)

    def follow(self, graph: TTGraph) -> None:
        """The graph has these grids from now on."""
        self.graph = graph
        self._wiring = wiring_of(graph)
        self._grids: dict[str, list[StreamInstants] | None] = {}
        self._after: dict[str, TTSQ] = {sq.plan_b: sq for sq in graph.sqs if sq.plan_b is not None}
        for sq in graph.sqs:
            grids = self._of(sq)
            if grids is not None and any(arc.output for arc in sq.arcs):
                known = self.by_sq.get(sq.name)
                if known is None:
                    known = self.by_sq[sq.name] = Latency([])
                due = _allowed(self._after.get(sq.name, sq), self._wiring)
                if due is not None:
                    known.allowed, known.due = due[0], _instants_of(due[1])
                known.follow(grids)

    def shown(self) -> dict[str, dict[str, int | None]]:
        """SQ to its latencies, as JSON."""
        return {sq: latency.shown() for sq, latency in self.by_sq.items() if latency.count}

    def _of(self, sq: TTSQ) -> list[StreamInstants] | None:
        """The grids before an SQ; None: its intervals are of its own making."""
        if sq.name not in self._grids:
            self._grids[sq.name] = self._find(sq)
        return self._grids[sq.name]

    def _find(self, sq: TTSQ) -> list[StreamInstants] | None:
        if sq.trigger == "grid" or (sq.function == "RESAMPLE" and not sq.body):
            return [_instants_of(sq)]
        if takes_full_tokens(sq) and (sq.body or sq.function not in ON_ITS_INPUTS):
            return None
        if any(arc.kind == "unmatched" and arc.output for arc in sq.arcs):
            return None
        found: dict[StreamInstants, None] = {}
        source = self._after.get(sq.name, sq)  # a plan B has the interval of its deadline
        for port in range(len(source.ports)):
            for producer, _ in self._wiring.feeders.get((source.name, port), ()):
                grids = self._of(self._wiring.by_name[producer]) if producer else []
                if grids is None:
                    return None
                found |= dict.fromkeys(grids)
        return list(found) if len(found) <= GRIDS else None


def _instants_of(stream: TTSQ) -> StreamInstants:
    return StreamInstants(stream.every, stream.phase, stream.width, stream.stamp == "instant")


def _allowed(sq: TTSQ, wiring: Wiring) -> tuple[int, TTSQ] | None:
    """The time from a stream's instant to the deadline of an SQ, and the stream; None where only a run tells that."""
    if sq.trigger != "deadline" or sq.clock != "root":
        return None
    ticks, at = sq.offset, (sq.name, 1)
    while True:
        found = wiring.feeders.get(at, ())
        if len(found) != 1 or not found[0][0]:
            return None
        producer = wiring.by_name[found[0][0]]
        if producer.arcs[found[0][1]].kind == "tag":
            return (ticks, producer) if producer.trigger == "grid" else None
        constants = [decode_constant(port.constant[0]) for port in producer.ports if port.constant is not None]
        if producer.body or producer.function not in ("ADD", "SUB") or len(constants) != 1:
            return None
        first = next(port for port, each in enumerate(producer.ports) if each.constant is None)
        if not isinstance(constants[0], int) or (producer.function == "SUB" and first == 1):
            return None
        ticks += constants[0] if producer.function == "ADD" else -constants[0]
        at = (producer.name, first)
