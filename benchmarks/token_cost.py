"""What a token costs on its whole way, in processor time: a body, another ensemble's body, the manager's log.

A stream of small dicts on one ensemble, its reader on another, every output in a log; all bodies in worker processes.
Beside it two hops of Zenoh alone at the same rate. Both are taken from the difference of a long run and a short one, so
that starting and ending are left out. Beside the skipped instants: those that a loop misses which only sleeps.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import raw_zenoh
from benchmarks.measure import Effort, Floor, Row, Say, compared
from benchmarks.system import System, program

TICKS = os.sysconf("SC_CLK_TCK")

RATES = {500: 0.0, 1000: 0.01}
"""By samples a second: the share of instants that may be skipped."""

PROGRAM = """\
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def imu(trigger):
    return {"x": 0.1, "y": 0.2, "z": 9.8, "seq": 1}

@SQify
def norm(v):
    return {"norm": (v["x"] ** 2 + v["y"] ** 2 + v["z"] ** 2) ** 0.5, "seq": v["seq"]}

@GRAPHify
def way(trigger):
    with TTConstraint(name="sensor"):
        v = imu(trigger, TTPeriod=PERIOD)
    with TTConstraint(name="fusion"):
        return norm(v)
"""


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """At each rate: the cost of a token over Zenoh's, and the instants that were skipped."""
    long, short = effort.pick((10.0, 2.0), (3.0, 1.0))
    with tempfile.TemporaryDirectory() as folder:
        log = str(Path(folder, "outputs.jsonl"))
        with System({"sensor": [], "fusion": []}, log=log) as system:
            for rate, share in RATES.items():
                period = 1_000_000 // rate
                graph = program(PROGRAM, f"way_{rate}", PERIOD=period)
                system.manager.instantiate_and_map_graph(graph)
                ours, theirs = [], []
                sent = skipped = missed = 0
                for number in range(effort.rounds):
                    say(f"a token's cost at {rate} Hz, round {number + 1} of {effort.rounds}")
                    spent = []
                    for seconds in (short, long):
                        before = _spent()
                        system.run(graph, seconds)
                        fired, skipped = system.instants(graph, "imu-1")
                        spent.append((_spent() - before, fired))
                        sent += fired
                        missed += _missed(period, seconds)
                    (less, few), (more, many) = spent
                    ours.append((more - less) / (many - few) * 1e6)
                    theirs.append(2 * _hop(period, long, short) * 1e6)
                yield compared(
                    f"processor time of a token at {rate} Hz",
                    ours,
                    theirs,
                    lambda microseconds: f"{microseconds:.0f} us",
                    "two hops of Zenoh",
                    Floor(most=2.0, binding=False) if rate == 500 else None,
                )
                yield Row(
                    f"instants skipped at {rate} Hz",
                    [skipped / (sent + skipped)],
                    "of all",
                    ours=f"{skipped:,} of {sent + skipped:,}",
                    theirs=f"a loop that only sleeps: {missed:,}",
                    floor=Floor(most=share, binding=False),
                )


def _hop(period: int, long: float, short: float) -> float:
    """Seconds of processor time for one message of Zenoh alone, both ends."""
    spent = []
    for seconds in (short, long):
        before = _of_children()
        raw_zenoh.latencies(period, seconds)
        spent.append(_of_children() - before)
    return (spent[1] - spent[0]) / ((long - short) * 1e6 / period)


def _missed(period: int, seconds: float) -> int:
    """The instants that a loop which only sleeps comes to after the next one is due: the machine stood still."""
    missed, at = 0, time.monotonic()
    end = at + seconds
    while at < end:
        at += period / 1e6
        time.sleep(max(0.0, at - time.monotonic()))
        while time.monotonic() >= at + period / 1e6:
            missed += 1
            at += period / 1e6
    return missed


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _spent() -> float:
    """Seconds of processor time of this process and all that live below it."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            parents[int(entry.name)], ticks[int(entry.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    total = 0
    for process, used in ticks.items():
        above: int | None = process
        while above is not None and above != os.getpid():
            above = parents.get(above)
        total += used if above is not None else 0
    return total / TICKS
