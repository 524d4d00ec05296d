"""How late a stream's body starts after its instant, beside a bare `time.sleep` to the same grid.

The grid of `time.sleep` runs in a process that does nothing else, in the same round.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.measure import Effort, Latencies, Row, Say, at_most, compared, milliseconds
from benchmarks.system import System, program

PERIODS = {1_000: (2.0, 1.0), 10_000: (3.0, 1.5), 100_000: (5.0, 2.0)}
"""Microseconds, to the seconds of a round and of a quick one."""
FLOORS = {"p50": at_most(1.5), "p99": at_most(3.0)}
"""With `--workers 0`."""

GRID = """\
import time
from ticktalk import GRAPHify, STREAMify

@STREAMify
def tick(trigger):
    return time.monotonic_ns()

@GRAPHify
def grid(trigger):
    with TTConstraint(name="SOURCE"):
        return tick(trigger, TTPeriod=PERIOD)
"""


def sleep_grid(period: int, count: int) -> list[float]:
    """Microseconds by which `time.sleep` misses each instant of a grid."""
    late = []
    at = time.monotonic_ns()
    for _ in range(count):
        at += period * 1000
        time.sleep(max(0, at - time.monotonic_ns()) / 1e9)
        late.append((time.monotonic_ns() - at) / 1000)
    return late


def bare(period: int, count: int) -> Latencies:
    """The grid of `time.sleep` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.triggers", str(period), str(count)]
    return Latencies.of(json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Each period on each kind of ensemble."""
    ensembles = {"--workers 0": "edge0", "default": "edge"}
    with System({"edge": [], "edge0": ["--workers", "0"]}) as system:
        for period, (long, brief) in PERIODS.items():
            seconds = effort.pick(long, brief)
            graphs = {
                workers: program(GRID, f"grid_{ensemble}_{period}", SOURCE=ensemble, PERIOD=period)
                for workers, ensemble in ensembles.items()
            }
            for graph in graphs.values():
                system.manager.instantiate_and_map_graph(graph)
            sleeps: list[Latencies] = []
            rounds: dict[str, list[Latencies]] = {workers: [] for workers in ensembles}
            for number in range(effort.rounds):
                say(f"triggers every {period / 1000:g} ms, round {number + 1} of {effort.rounds}")
                sleeps.append(bare(period, int(seconds * 1e6) // period))
                for workers, graph in graphs.items():
                    late = []
                    for token in system.run(graph, seconds):
                        instant = token.start + (token.stop - token.start) // 2
                        late.append(token.value / 1000 + system.to_root_us - instant)
                    rounds[workers].append(Latencies.of(late))
            for workers in ensembles:
                for part, floor in FLOORS.items():
                    yield compared(
                        f"trigger lateness {part}, every {period / 1000:g} ms, {workers}",
                        [getattr(one, part) for one in rounds[workers]],
                        [getattr(one, part) for one in sleeps],
                        milliseconds,
                        "time.sleep",
                        floor if workers == "--workers 0" else None,
                    )


if __name__ == "__main__":
    print(json.dumps(sleep_grid(int(sys.argv[1]), int(sys.argv[2]))))
