"""What simulated time costs: `make bench`, or `python benchmarks/simulation.py`.

Machines are noisy, so every figure is a ratio of what was measured side by side: each round measures everything once,
and the medians over the rounds are compared. A floor that is missed makes the exit status 1. The figures go to
`results.json` beside this file.
"""

from __future__ import annotations

import gc
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import simpy
from rich.console import Console
from rich.table import Table

from ticktalk import TTGraph, TTRuntimeManagerSim
from ticktalk.language import compile_source

ROUNDS = 7
SAMPLES = 40_000
"""Of each source in one measurement; the double of it beside, to see that time grows as the samples do."""
MANY_SAMPLES = 1_000_000
SHORT, LONG = 300, 3_000
CHAIN_SAMPLES = 20

FLOOR_FIRINGS = 0.25
CEILING_GROWTH = 1.25
CEILING_MEMORY = 250.0
CEILING_CHAIN = 1.6
RECURSION_LIMIT = 400
"""Of Python frames for the long chain: far fewer than it has SQs."""

FUSE = """\
from ticktalk import SQify, STREAMify, GRAPHify, TTEmpty

@STREAMify
def left(trigger):
    return 1

@STREAMify
def right(trigger):
    return 2

@SQify
def fuse(a, b):
    return a + b

@SQify
def sink(x):
    return TTEmpty()

@GRAPHify
def main(trigger, samples):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + samples * 1000))
    a = left(window, TTPeriod=1000)
    b = right(window, TTPeriod=1000, TTPhase=100)
    sink(fuse(a, b))
"""
FIRINGS_PER_SAMPLE = 4

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
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + SAMPLES * 1000))
    x = src(window, TTPeriod=1000)
"""


def chain_program(length: int) -> str:
    """A source and `length` SQs in a line, one statement each."""
    return CHAIN.replace("SAMPLES", str(CHAIN_SAMPLES)) + "    x = step(x)\n" * length + "    return x\n"


def timed(act: Callable[[], Any]) -> float:
    """Seconds of processor time that `act` takes: what else runs on the machine counts less so."""
    gc.collect()
    began = time.process_time()
    act()
    return time.process_time() - began


def simpy_timeouts(count: int) -> float:
    """Seconds for `count` timeouts of one SimPy process."""
    env = simpy.Environment()

    def ticker() -> Any:
        for _ in range(count):
            yield env.timeout(1)

    env.process(ticker())
    return timed(env.run)


def run_graph(graph: TTGraph, inputs: dict[str, Any] | None = None) -> TTRuntimeManagerSim:
    """A manager on which the graph has started and not yet run."""
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, inputs or {})
    return manager


def fuse(graph: TTGraph, samples: int) -> float:
    """Seconds for `samples` samples of both sources; that each was fused is checked."""
    manager = run_graph(graph, {"samples": samples})
    seconds = timed(manager.simulation.run)
    (context,) = manager.ensemble.host.contexts.values()
    fired = {name: execute.fired for name, execute in context.executes.items()}
    # The first sample of the right source and the last of the left one have no partner.
    expected = {"left-1": samples, "right-1": samples, "fuse-1": samples - 1, "sink-1": samples - 1}
    assert {name: fired[name] for name in expected} == expected, fired
    assert not manager.errors, manager.errors[0]
    return seconds


def chain(length: int) -> float:
    """Seconds to compile and run a chain of `length` SQs; its result is checked."""
    text = chain_program(length)
    values: list[Any] = []

    def act() -> None:
        manager = run_graph(compile_source(text, "chain.py", "chain"))
        manager.process.outputs.listeners.append(lambda token: values.append(token.value))
        manager.simulation.run()

    seconds = timed(act)
    assert values == [length + 1] * CHAIN_SAMPLES, values[:5]
    return seconds


def chain_without_recursion() -> bool:
    """Whether a chain far longer than the stack is deep compiles, is saved, loaded and runs."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(RECURSION_LIMIT)
    try:
        chain(LONG)
        TTGraph.from_json(compile_source(chain_program(LONG), "chain.py", "chain").to_json())
    except RecursionError:
        return False
    finally:
        sys.setrecursionlimit(limit)
    return True


def peak_memory_megabytes() -> float:
    """The most memory that `MANY_SAMPLES` samples take, in a process of their own."""
    done = subprocess.run(
        [sys.executable, __file__, "--peak-memory"], capture_output=True, text=True, check=True, timeout=600
    )
    return float(done.stdout)


def print_peak_memory() -> None:
    """In the process that is measured: run, and print the peak in megabytes."""
    fuse(compile_source(FUSE, "fuse.py", "fuse"), MANY_SAMPLES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (1024 * 1024 if sys.platform == "darwin" else 1024))


def measure(console: Console) -> dict[str, Any]:
    """All figures."""
    graph = compile_source(FUSE, "fuse.py", "fuse")
    measured: dict[str, list[float]] = {name: [] for name in ("timeouts", "firings", "once", "twice", "short", "long")}
    with console.status(f"{MANY_SAMPLES:,} samples") as status:
        # First of all: a process's peak begins with that of the process that started it.
        memory = peak_memory_megabytes()
        simpy_timeouts(SAMPLES)
        fuse(graph, SAMPLES // 10)
        for number in range(ROUNDS):
            status.update(f"round {number + 1} of {ROUNDS}")
            timeouts = 4 * SAMPLES
            measured["timeouts"].append(timeouts / simpy_timeouts(timeouts))
            # In the order once, twice, twice, once a machine that grows slower treats both alike.
            once = fuse(graph, SAMPLES)
            twice = (fuse(graph, 2 * SAMPLES) + fuse(graph, 2 * SAMPLES)) / 2
            once = (once + fuse(graph, SAMPLES)) / 2
            measured["firings"].append(SAMPLES * FIRINGS_PER_SAMPLE / once)
            measured["once"].append(once / SAMPLES)
            measured["twice"].append(twice / (2 * SAMPLES))
            measured["short"].append(sum(chain(SHORT) for _ in range(LONG // SHORT)) / LONG)
            measured["long"].append(chain(LONG) / LONG)
        status.update("a chain on a short stack")
        flat = chain_without_recursion()

    def ratio(above: str, below: str) -> float:
        return statistics.median(a / b for a, b in zip(measured[above], measured[below], strict=True))

    return {
        **{name: statistics.median(figures) for name, figures in measured.items()},
        "firings_per_timeout": ratio("firings", "timeouts"),
        "growth": ratio("twice", "once"),
        "chain_growth": ratio("long", "short"),
        "memory": memory,
        "flat": flat,
    }


def verdicts(figures: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    """What is measured, the figure, the floor, whether it holds."""
    return [
        (
            f"two sources, fuse, sink: {figures['firings']:,.0f} firings/s;"
            f" SimPy alone: {figures['timeouts']:,.0f} timeouts/s",
            f"{figures['firings_per_timeout']:.2f}",
            f"at least {FLOOR_FIRINGS}",
            figures["firings_per_timeout"] >= FLOOR_FIRINGS,
        ),
        (
            f"time per sample, {2 * SAMPLES:,} samples over {SAMPLES:,}:"
            f" {figures['twice'] * 1e6:.2f} over {figures['once'] * 1e6:.2f} us",
            f"{figures['growth']:.2f}",
            f"{1 / CEILING_GROWTH:.2f} to {CEILING_GROWTH}",
            1 / CEILING_GROWTH <= figures["growth"] <= CEILING_GROWTH,
        ),
        (
            f"peak memory of {MANY_SAMPLES:,} samples",
            f"{figures['memory']:.0f} MB",
            f"under {CEILING_MEMORY:.0f} MB",
            figures["memory"] < CEILING_MEMORY,
        ),
        (
            f"compile and run, per SQ, {LONG:,} SQs over {SHORT}:"
            f" {figures['long'] * 1e6:.0f} over {figures['short'] * 1e6:.0f} us",
            f"{figures['chain_growth']:.2f}",
            f"at most {CEILING_CHAIN}",
            figures["chain_growth"] <= CEILING_CHAIN,
        ),
        (
            f"a chain of {LONG:,} SQs on a stack of {RECURSION_LIMIT} frames",
            "runs" if figures["flat"] else "RecursionError",
            "runs",
            figures["flat"],
        ),
    ]


def main() -> int:
    """Measure, print, write; the exit status."""
    console = Console()
    figures = measure(console)
    rows = verdicts(figures)
    table = Table(title=f"Simulated time: medians of {ROUNDS} rounds")
    table.add_column("what", max_width=64)
    table.add_column("figure", justify="right")
    table.add_column("floor")
    table.add_column("verdict")
    for what, figure, floor, holds in rows:
        table.add_row(what, figure, floor, "[green]holds[/]" if holds else "[bold red]MISSED[/]")
    console.print(table)
    results = {
        "python": platform.python_version(),
        "rounds": ROUNDS,
        "figures": figures,
        "holds": {what.split(":")[0]: holds for what, _, _, holds in rows},
    }
    Path(__file__).with_name("results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if all(holds for *_, holds in rows) else 1


if __name__ == "__main__":
    if "--peak-memory" in sys.argv:
        print_peak_memory()
    else:
        sys.exit(main())
