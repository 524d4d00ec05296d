"""Whether what simulated time costs grows only as the work does: samples, the memory they take, the length of a graph.

Programs are those of `peers/ticktalk/` and a chain of SQs; all in processes of their own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import simpy

from benchmarks.measure import Effort, Failure, Floor, Row, Say, at_most
from benchmarks.peers import in_ticktalk
from ticktalk import TTGraph, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source

SAMPLES = 50_000
MANY_SAMPLES = 1_000_000
SHORT, LONG = 300, 3_000
CHAIN_SAMPLES = 20
RECURSION_LIMIT = 400
"""Of Python frames for the long chain: far fewer than it has SQs."""
FLOOR_GROWTH = Floor(least=0.8, most=1.25)
CEILING_MEMORY = at_most(250.0)
"""Megabytes."""
CEILING_CHAIN = at_most(1.6)

CHAIN = """\
from ticktalk import SQify, STREAMify, GRAPHify

@STREAMify
def src(trigger):
    return 1

@SQify
def step(x):
    return x + 1

@GRAPHify
def main(trigger):
    x = src(trigger, TTPeriod=1000)
    for _ in range(LENGTH):
        x = step(x)
    return x
"""


def chain_seconds(length: int) -> float:
    """Processor time to compile and run a chain of `length` SQs; its result is checked."""
    values: list[Any] = []
    began = time.process_time()
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    graph = compile_source(CHAIN.replace("LENGTH", str(length)), "chain.py", "chain")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.process.outputs.listeners.append(lambda token: values.append(token.value))
    manager.simulation.run(until=CHAIN_SAMPLES * 1000 + 1)
    took = time.process_time() - began
    if values != [length + 1] * CHAIN_SAMPLES:
        raise SystemExit(f"a chain of {length} SQs gave {values[:5]}")
    return took


def flat() -> float:
    """Whether a chain far longer than the stack is deep compiles, is saved, loaded and runs: 1 or 0."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    try:
        chain_seconds(LONG)
        TTGraph.from_json(compile_source(CHAIN.replace("LENGTH", str(LONG)), "chain.py", "chain").to_json())
    except RecursionError:
        return 0.0
    return 1.0


def fusion_seconds(samples: int) -> float:
    """Processor time of so many samples of two sources that are fused."""
    return in_ticktalk.run("fusion", samples * 1000, counted=False)[1]


def peak_memory(samples: int) -> float:
    """The most memory that so many samples take, in megabytes."""
    fusion_seconds(samples)
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)
    # On Linux, `ru_maxrss` counts what the parent held before this program was loaded, too.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 1024


PARTS = {"fusion": fusion_seconds, "memory": peak_memory, "chain": chain_seconds}


def alone(part: str, size: int = 0) -> float:
    """A part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", part, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failure(f"{part} {size}: {done.stderr.strip().splitlines()[-1:]}")
    return float(json.loads(done.stdout))


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """Time twice, memory once, chains of two lengths."""
    samples = int(effort.pick(SAMPLES, SAMPLES // 5))
    once, twice, short, long = [], [], [], []
    for number in range(effort.rounds):
        say(f"growth, round {number + 1} of {effort.rounds}")
        # In the order once, twice, twice, once a machine that grows slower treats both alike.
        first = alone("fusion", samples)
        twice.append((alone("fusion", 2 * samples) + alone("fusion", 2 * samples)) / 4)
        once.append((first + alone("fusion", samples)) / 2)
        short.append((alone("chain", SHORT) + alone("chain", SHORT)) / 2 / SHORT)
        long.append(alone("chain", LONG) / LONG)
    yield Row(
        f"time per sample, {2 * samples:,} samples over {samples:,}",
        [b / a for a, b in zip(once, twice, strict=True)],
        floor=FLOOR_GROWTH,
    )
    yield Row(
        f"compile and run, per SQ, a chain of {LONG:,} SQs over {SHORT}",
        [b / a for a, b in zip(short, long, strict=True)],
        floor=CEILING_CHAIN,
    )
    many = int(effort.pick(MANY_SAMPLES, MANY_SAMPLES // 10))
    yield Row(f"peak memory of {many:,} samples", [alone("memory", many)], "MB", floor=CEILING_MEMORY)
    what = f"a chain of {LONG:,} SQs on a stack of {RECURSION_LIMIT} frames runs"
    yield Row(what, [alone("flat")], "(1: yes)", floor=Floor(least=1.0))


if __name__ == "__main__":
    part = sys.argv[1]
    print(json.dumps(flat() if part == "flat" else PARTS[part](int(sys.argv[2]))))
