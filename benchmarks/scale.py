"""What an SQ and an ensemble cost in a simulation: time to make the graph ready and start it, and memory.

Each size in a process of its own. SQs are in chains of 100, each chain on one ensemble, a stream first: three functions
with many instances, as programs have. Idle: it has fired 5 times, so that all it holds is made, and waits. Memory is
what the process has grown by since the graph was compiled and the ensembles had joined (resident set, after a
collection of garbage), over the number of SQs; what the compiled graph takes is shown apart.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import simpy

from benchmarks.measure import Effort, Failure, Row, Say, at_most, clocks, lesser_since
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source

SQS = (100, 1_000, 10_000, 100_000)
ENSEMBLES = (10, 100, 1_000)
CHAIN = 100
"""SQs from one source."""
MANY = 10_000
"""Ensembles in a deployment file."""
CEILING_MANY = at_most(5.0)
"""Seconds."""
CEILING_IDLE = at_most(8.0)
"""Kilobytes of an idle SQ."""

PROGRAM = """\
from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty

@STREAMify
def source(trigger):
    return 1

@SQify
def step(x):
    return x + 1

@SQify
def sink(x):
    return TTEmpty()

@GRAPHify
def scale(trigger):
    for chain in range(CHAINS):
        with TTConstraint(name=f"e{chain % ENSEMBLES}"):
            x = source(trigger, TTPeriod=1000)
            for _ in range(STEPS):
                x = step(x)
            sink(x)
"""


def resident() -> int:
    """Bytes of memory that this process holds."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise SystemExit("the memory of an SQ is measured on Linux only: /proc/self/statm is missing")
    return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(sqs: int, ensembles: int) -> dict[str, float]:
    """Seconds and bytes of one size, measured in this process."""
    chain = min(CHAIN, max(2, sqs // ensembles))
    chains = sqs // chain
    text = PROGRAM.replace("CHAINS", str(chains)).replace("ENSEMBLES", str(ensembles)).replace("STEPS", str(chain - 2))
    # What is made once, however many SQs there are, is made before.
    small = compile_source(PROGRAM.replace("CHAINS", "1").replace("ENSEMBLES", "1").replace("STEPS", "1"), "s.py", "s")
    warm = TTRuntimeManagerSim(None, [TTEnsemble(None, "e0")], simpy.Environment())
    warm.instantiate_and_map_graph(small)
    warm.execute_graph(small)
    empty = resident()
    began = time.perf_counter()
    graph = compile_source(text, "scale.py", "scale")
    compiled = time.perf_counter()
    graph_bytes = resident() - empty
    joining = time.perf_counter()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, f"e{k}") for k in range(ensembles)], simpy.Environment())
    joined = time.perf_counter()
    before = resident()
    ready_from = time.perf_counter()
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    ready = time.perf_counter()
    idle = resident() - before
    manager.simulation.run(until=1_001)
    running = time.perf_counter()
    manager.simulation.run(until=5_001)
    ran = time.perf_counter() - running
    busy = resident() - before
    if manager.errors:
        raise SystemExit(str(manager.errors[0]))
    return {
        "sqs": len(graph.sqs),
        "compile": compiled - began,
        "graph_bytes": graph_bytes,
        "join": joined - joining,
        "ready": ready - ready_from,
        "idle_bytes": idle,
        "busy_bytes": busy,
        "firing": ran / 4 / (chains * chain),
    }


def alone(sqs: int, ensembles: int) -> dict[str, float]:
    """One size in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.scale", str(sqs), str(ensembles)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Failure(f"{sqs:,} SQs on {ensembles:,} ensembles: {done.stderr.strip().splitlines()[-1:]}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def many(ensembles: int, folder: Path) -> float:
    """Seconds that a small program takes with a deployment file of so many ensembles, from launch to end."""
    (folder / "many.yaml").write_text("ensembles:\n" + "".join(f"  - name: e{k}\n" for k in range(ensembles)))
    small = PROGRAM.replace("CHAINS", "100").replace("ENSEMBLES", "100").replace("STEPS", "1")
    (folder / "small.py").write_text(small)
    command = [sys.executable, "-m", "ticktalk", "simulate", "--until", "1ms", "--deployment", "many.yaml", "small.py"]
    began = clocks()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=folder)
    if done.returncode:
        raise Failure(f"{ensembles:,} ensembles in a deployment file: {done.stderr.strip().splitlines()[-1:]}")
    return lesser_since(began)


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """More and more SQs on 10 ensembles, then more and more ensembles."""
    sizes = [(sqs, 10) for sqs in SQS] + [(10_000, ensembles) for ensembles in ENSEMBLES[1:]]
    for sqs, ensembles in [size for size in sizes if size[0] <= 10_000] if effort.quick else sizes:
        say(f"{sqs:,} SQs on {ensembles:,} ensembles")
        took = alone(sqs, ensembles)
        yield Row(
            f"{sqs:,} SQs on {ensembles:,} simulated ensembles: memory per idle SQ",
            [took["idle_bytes"] / took["sqs"] / 1024],
            "KB",
            ours=(
                f"per SQ: compile {took['compile'] / sqs * 1e6:,.0f} us, ready {took['ready'] / sqs * 1e6:,.0f} us,"
                f" graph {took['graph_bytes'] / sqs / 1024:.1f} KB, when it has fired"
                f" {took['busy_bytes'] / sqs / 1024:.1f} KB, firing {took['firing'] * 1e6:.2f} us;"
                f" join {took['join'] / ensembles * 1e3:.2f} ms an ensemble"
            ),
            # Of few SQs, what is made once counts for more than they do.
            floor=CEILING_IDLE if sqs >= 10_000 else None,
        )
    say(f"{MANY:,} ensembles in a deployment file")
    with tempfile.TemporaryDirectory() as folder:
        took_all = many(MANY, Path(folder))
    what = f"{MANY:,} ensembles in a deployment file: simulate, from launch to end"
    yield Row(what, [took_all], "s", floor=CEILING_MANY)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
