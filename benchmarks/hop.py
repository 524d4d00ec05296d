"""One hop: from a body's return on one ensemble to the next body's start on another, beside Zenoh alone.

A stream on one ensemble, its sink on another, each an OS process; 100 tokens a second. Zenoh alone: from a put of 64
bytes in one process to the direct callback in another, at the same rate. Every token must arrive. On loopback tokens
are sealed by keys that follow from the user's token; beside that, it is measured with nothing proven, and with
certificates and TLS. A heads-up goes ahead of each token (`physical/network/heads_up.py`); Zenoh alone sends none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import TemporaryDirectory

from benchmarks import raw_zenoh
from benchmarks.measure import Effort, Floor, Latencies, Row, Say, at_most, compared, milliseconds
from benchmarks.system import Proofs, System, program

PERIOD = 10_000
FLOORS = {"--workers 0": at_most(2.0), "default": at_most(3.0), "--workers 2": at_most(3.0)}
OTHERS: dict[str, Proofs] = {"--workers 0, nothing proven": "none", "--workers 0, keys and TLS": "keys"}

HOP = """\
import time
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def source(trigger):
    global sq_state
    sq_state["count"] = sq_state.get("count", 0) + 1
    return sq_state["count"], time.monotonic_ns()

@SQify
def sink(sample):
    begun = time.monotonic_ns()
    return sample[0], begun - sample[1]

@GRAPHify
def hop(trigger):
    with TTConstraint(name="SOURCE"):
        sample = source(trigger, TTPeriod=PERIOD)
    with TTConstraint(name="SINK"):
        return sink(sample)
"""


class Hop:
    """The stream from one ensemble to another."""

    def __init__(self, system: System, source: str, sink: str) -> None:
        self._system = system
        self._graph = program(HOP, f"hop_{source}", SOURCE=source, SINK=sink, PERIOD=PERIOD)
        self.sent = self.arrived = self.skipped = 0
        system.manager.instantiate_and_map_graph(self._graph)

    def round(self, seconds: float) -> Latencies:
        """Run it once; what arrived is counted."""
        outputs = self._system.run(self._graph, seconds)
        sent, self.skipped = self._system.instants(self._graph, "source-1")
        self.sent += sent
        self.arrived += len({token.value[0] for token in outputs})
        return Latencies.of([token.value[1] / 1000 for token in outputs])


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Bodies as by default, in threads, in worker processes, and Zenoh alone, in turn."""
    ensembles: dict[str, list[str]] = {"left": [], "right": []}
    for workers in "02":
        ensembles |= {f"{side}{workers}": ["--workers", workers] for side in ("left", "right")}
    seconds = effort.pick(4.0, 1.5)
    raw: list[Latencies] = []
    raw_tls: list[Latencies] = []
    with ExitStack() as opened:
        system = opened.enter_context(System(ensembles))
        hops = {"--workers 0": Hop(system, "left0", "right0"), "default": Hop(system, "left", "right")}
        hops["--workers 2"] = Hop(system, "left2", "right2")
        for what, proofs in OTHERS.items():
            both = {"left0": ["--workers", "0"], "right0": ["--workers", "0"]}
            hops[what] = Hop(opened.enter_context(System(both, proofs)), "left0", "right0")
        bundle = raw_zenoh.bundle(opened.enter_context(TemporaryDirectory()))
        rounds: dict[str, list[Latencies]] = {what: [] for what in hops}
        for number in range(effort.rounds):
            say(f"hop, round {number + 1} of {effort.rounds}")
            raw.append(raw_zenoh.latencies(PERIOD, seconds))
            raw_tls.append(raw_zenoh.latencies(PERIOD, seconds, bundle))
            for workers, hop in hops.items():
                rounds[workers].append(hop.round(seconds))
    for workers, hop in hops.items():
        for part, floor in (("p50", FLOORS[workers.partition(",")[0]]), ("p99", None)):
            ours = [getattr(one, part) for one in rounds[workers]]
            theirs = [getattr(one, part) for one in raw]
            yield compared(f"hop {part}, {workers}", ours, theirs, milliseconds, "Zenoh put to callback", floor)
            if workers.endswith("TLS"):
                theirs = [getattr(one, part) for one in raw_tls]
                yield compared(f"hop {part}, {workers}, over Zenoh with TLS", ours, theirs, milliseconds, "over TLS")
        yield Row(
            f"hop, {workers}: tokens that arrived",
            [hop.arrived / hop.sent],
            "of those sent",
            ours=f"{hop.arrived:,} of {hop.sent:,}; {hop.skipped:,} instants skipped",
            floor=Floor(least=1.0),
        )
