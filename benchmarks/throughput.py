"""Tokens a second from bodies on one ensemble into bodies on another, beside Zenoh's messages a second.

A stream is driven by the clock and not by what its receiver can take, so how fast it may send is searched for: a
stream's body returns a list of `CHANNELS` values, which the graph unpacks to as many arcs, each with a sink of its own
on the other ensemble; the number of channels is fixed, and the period is made shorter until tokens that reach bodies no
longer become more. The best period is then measured in every round. Only what a sink's body counted counts, over the
time in which it counted: skipped instants and dropped tokens add nothing. Zenoh alone: messages of the same size on one
key, a publisher that waits when the subscriber does not follow, counted in the callback, which makes bytes or an
array of each. On both sides what is sent lies ready, and is the sender's own, so each sending copies it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from benchmarks import raw_zenoh
from benchmarks.measure import Effort, Failure, Floor, Row, Say, at_least, compared, rate
from benchmarks.system import System, program
from ticktalk import TTGraph

PROGRAM = """\
import time
import numpy
from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty

FRAME = VALUE

@STREAMify
def source(trigger):
    return [FRAME] * CHANNELS

@SQify
def sink(value):
    global sq_state
    now = time.monotonic()
    first = sq_state.setdefault("first", now)
    count = sq_state["count"] = sq_state.get("count", 0) + 1
    if now < sq_state.get("next", first + 0.5):
        return TTEmpty()
    sq_state["next"] = now + 0.5
    return count, first, now, len(value)

@GRAPHify
def flood(trigger):
    with TTConstraint(name="SOURCE"):
        tag, (UNPACKED) = source(trigger, TTPeriod=PERIOD)
    with TTConstraint(name="SINK"):
        for value in [UNPACKED]:
            sink(value)
"""


class Load(NamedTuple):
    """What is sent.

    Attributes:
        value: of one channel, as Python.
        size: of a value in bytes; `length`: its len().
        channels: values a firing of the source gives.
        periods: tried, in microseconds.
        floors: by workers.
    """

    title: str
    value: str
    size: int
    length: int
    channels: int
    periods: tuple[int, ...]
    floors: dict[str, Floor]


SMALL = Load(
    "64 B",
    "bytes(64)",
    64,
    64,
    250,
    (10_000, 5_000, 2_500, 1_250, 900, 600, 450),
    {"--workers 0": at_least(0.3), "default": at_least(0.3)},
)
LARGE = Load(
    "1 MB arrays",
    "numpy.zeros(131072)",
    1 << 20,
    131_072,
    4,
    (10_000, 5_000, 2_500, 1_600, 1_250, 1_000, 800, 700, 600, 520, 450),
    {"--workers 0": at_least(0.5), "default": at_least(0.4)},
)


class Flow:
    """One load between two ensembles."""

    def __init__(self, system: System, load: Load, source: str, sink: str) -> None:
        self._system = system
        self._load = load
        self._names = source, sink
        self._graphs: dict[int, TTGraph] = {}
        self.best = load.periods[0]
        self.counters: dict[str, int] = {}

    def _graph(self, period: int) -> TTGraph:
        if period not in self._graphs:
            source, sink = self._names
            channels = range(self._load.channels)
            names = "".join(f"v{k}, " for k in channels)
            graph = program(
                PROGRAM,
                f"flood_{source}_{self._load.size}_{period}",
                SOURCE=source,
                SINK=sink,
                PERIOD=period,
                UNPACKED=names,
                CHANNELS=len(channels),
                VALUE=self._load.value,
            )
            self._system.manager.instantiate_and_map_graph(graph)
            self._graphs[period] = graph
        return self._graphs[period]

    def search(self, seconds: float) -> None:
        """Find the period at which the most tokens reach bodies; the better of two tries at each."""
        most = 0.0
        behind = 0
        for period in self._load.periods:
            reached = max(self.tokens_per_second(seconds, period) for _ in range(2))
            if reached > most * 1.02:
                self.best, most, behind = period, reached, 0
            else:
                behind += 1
                if behind == 3:
                    return

    def tokens_per_second(self, seconds: float, period: int | None = None) -> float:
        """Tokens that bodies took, from each sink's first to its last count."""
        graph = self._graph(period or self.best)
        last: dict[str, Any] = {}
        for token in self._system.run(graph, seconds, settle=60.0):
            if token.value[3] != self._load.length:
                raise Failure(f"a value of {token.value[3]} items arrived, not of {self._load.length}")
            last[token.sq] = max(last.get(token.sq, token.value), token.value)
        (state,) = [g for g in self._system.manager.status()["graphs"] if g["name"] == graph.name]
        self.counters = {}
        for kinds in state["counters"].values():
            for kind, count in kinds.items():
                self.counters[kind] = self.counters.get(kind, 0) + count
        if not last:
            return 0.0
        counted = sum(count - 1 for count, *_ in last.values())
        began = min(first for _, first, *_ in last.values())
        return counted / (max(now for _, _, now, _ in last.values()) - began)

    def stop(self) -> None:
        """Stop its graphs; the last of their records come only then."""
        for graph in self._graphs.values():
            self._system.manager.stop_graph(graph)
        self._graphs.clear()

    @property
    def offered(self) -> float:
        """Tokens a second, were no instant skipped."""
        return self._load.channels * 1e6 / self.best


def measure(load: Load, effort: Effort, say: Say) -> Iterator[Row]:
    """One load in threads, in worker processes, and through Zenoh alone, in turn."""
    pairs = {"--workers 0": ("left0", "right0"), "default": ("left", "right")}
    ensembles = {"left": [], "right": [], "left0": ["--workers", "0"], "right0": ["--workers", "0"]}
    seconds = effort.pick(2.5, 1.5)
    raw: dict[str, list[float]] = {"": [], " (direct callback)": []}
    rounds: dict[str, list[float]] = {workers: [] for workers in pairs}
    with System(ensembles) as system:
        flows = {workers: Flow(system, load, *names) for workers, names in pairs.items()}
        for workers, flow in flows.items():
            say(f"throughput of {load.title}, {workers}: the best period")
            flow.search(1.2)
        for number in range(effort.rounds):
            say(f"throughput of {load.title}, round {number + 1} of {effort.rounds}")
            for kind, figures in raw.items():
                figures.append(raw_zenoh.messages_per_second(load.size, seconds, direct=bool(kind)))
            for workers, flow in flows.items():
                rounds[workers].append(flow.tokens_per_second(seconds))
    for workers, flow in flows.items():
        for kind, figures in raw.items():
            floor = None if kind else load.floors[workers]
            title = f"throughput of {load.title}, {workers}{kind}"
            yield compared(
                title, rounds[workers], figures, shown(load, "tokens"), "Zenoh", floor, shown(load, "messages")
            )
        lost = ", ".join(f"{count:,} {kind}" for kind, count in flow.counters.items()) or "none"
        yield Row(
            f"throughput of {load.title}, {workers}: reached of what was offered",
            [reached / flow.offered for reached in rounds[workers]],
            ours=f"every {flow.best / 1000:g} ms, {flow.offered:,.0f} tokens/s; lost or skipped in all: {lost}",
        )
        if not statistics.median(rounds[workers]):
            raise Failure(f"no token of {load.title} reached a body")


def shown(load: Load, unit: str) -> Callable[[float], str]:
    """Tokens or messages a second, or bytes where a value is large."""
    if load.size < 1 << 20:
        return rate(unit)
    return lambda number: f"{number * load.size / 1e6:,.0f} MB/s"
