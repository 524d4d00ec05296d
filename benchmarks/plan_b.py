"""How late plan B's body starts after its deadline while the SQ whose data is awaited computes, in Python and in C."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator

from benchmarks.measure import Effort, Floor, Row, Say, at_most, milliseconds
from benchmarks.system import System, program

BUSY_SECONDS = {"python": 0.3, "C call": 1.0}
DEADLINES = {"python": (350_000, (60_000, 150_000, 240_000)), "C call": (1_400_000, (150_000, 300_000, 450_000))}
"""By kind of busy body: the stream's period, and the deadlines after each instant; the data comes after all of them."""
FIRINGS = {"python": 5, "C call": 4}
"""Busy firings of one round: each has as many plan Bs as there are deadlines."""
CEILING = at_most(20.0)
"""Milliseconds."""

DEADLINE = """\
import time
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def source(trigger):
    return 0

@SQify
def busy(sample):
    begun = time.monotonic_ns()
    BUSY
    return (time.monotonic_ns() - begun) / 1e9

@SQify
def took(seconds):
    return "took", seconds

@SQify
def plan_b(deadline):
    begun = time.monotonic_ns()
    return "plan B", deadline, begun // 1000

@GRAPHify
def deadline(trigger):
    with TTConstraint(name="SOURCE"):
        tag, sample = source(trigger, TTPeriod=PERIOD)
        late = busy(sample)
        took(late)
        for after in AFTER:
            limit = tag + after
            TTFinishByOtherwise(late, TTTimeDeadline=limit, TTPlanB=plan_b(limit), TTWillContinue=False)
"""


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Both kinds of busy bodies, in turn."""
    statements = {
        "python": f"while time.monotonic_ns() - begun < {int(BUSY_SECONDS['python'] * 1e9)}: pass",
        "C call": f"pow(3, {long_power()})",
    }
    late: dict[str, list[list[float]]] = {kind: [] for kind in statements}
    took: dict[str, list[float]] = {kind: [] for kind in statements}
    ran, skipped = dict.fromkeys(statements, 0), dict.fromkeys(statements, 0)
    with System({"busy": []}) as system:
        graphs = {}
        for kind, statement in statements.items():
            period, after = DEADLINES[kind]
            name = "deadline_" + kind.replace(" ", "_")
            graphs[kind] = program(DEADLINE, name, SOURCE="busy", PERIOD=period, BUSY=statement, AFTER=after)
            system.manager.instantiate_and_map_graph(graphs[kind])
        for number in range(effort.rounds):
            say(f"plan B, round {number + 1} of {effort.rounds}")
            for kind, graph in graphs.items():
                seconds = (FIRINGS[kind] + 0.5) * DEADLINES[kind][0] / 1e6
                late[kind].append([])
                for token in system.run(graph, seconds):
                    match token.value:
                        case "took", seconds_busy:
                            took[kind].append(seconds_busy)
                        case "plan B", deadline, begun:
                            late[kind][-1].append(begun + system.to_root_us - deadline)
                fired, skipped[kind] = system.instants(graph, "source-1")
                ran[kind] += fired
    for kind, rounds in late.items():
        samples = [sample for one in rounds for sample in one]
        busy = f"the SQ waited for is busy for {statistics.median(took[kind]):.2f} s" if took[kind] else ""
        yield Row(
            f"plan B after its deadline, the latest of a round, {kind}",
            [max(one) / 1000 for one in rounds if one],
            "ms",
            ours=f"p50 {milliseconds(statistics.median(samples))}; {busy}",
            floor=CEILING,
        )
        early = sum(sample < 0 for sample in samples)
        yield Row(f"plan Bs before their deadline, {kind}", [early], "plan Bs", floor=at_most(0))
        wanted = (ran[kind] + skipped[kind]) * len(DEADLINES[kind][1])
        yield Row(
            f"plan Bs fired, {kind}",
            [len(samples) / wanted],
            "of those wanted",
            ours=f"{len(samples)} of {wanted}",
            floor=Floor(least=1.0, most=1.0),
        )


def long_power() -> int:
    """An exponent whose power of 3 takes one C call of about `BUSY_SECONDS["C call"]`."""
    exponent = 1_000_000
    seconds = min(_processor_seconds(exponent) for _ in range(3))
    return int(exponent * (BUSY_SECONDS["C call"] / seconds) ** (1 / math.log2(3)))  # Karatsuba


def _processor_seconds(exponent: int) -> float:
    began = time.process_time()
    pow(3, exponent)
    return time.process_time() - began
