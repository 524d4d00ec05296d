"""The programs in TickTalk: each is a file in `ticktalk/`."""

import time
from pathlib import Path

import simpy

from benchmarks.peers import ran
from benchmarks.peers.run import without_counting
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source

BUILT_AFTER = 300_000
"""Microseconds of simulated time that come first, untimed: in them plans are made, as peers build their graphs."""

ON_THREE = ("hosts", "deadlines")
"""The programs on three ensembles, between which a token takes 2 ms."""


def run(program: str, microseconds: int, counted: bool) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time that so much simulated time takes."""
    path = Path(__file__).with_name("ticktalk") / f"{program.replace('-', '_')}.py"
    text = path.read_text(encoding="utf-8")
    graph = compile_source(text if counted else without_counting(text), str(path), path.stem)
    ensembles = [TTEnsemble(None, name) for name in ("one", "two", "three") if program in ON_THREE]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=2000 if ensembles else 0)
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    if program == "heard":
        manager.on_output(lambda token: None)
    manager.simulation.run(until=BUILT_AFTER + 1)
    ran.count = 0
    began, began_cpu = time.perf_counter(), time.process_time()
    manager.simulation.run(until=BUILT_AFTER + microseconds + 1)
    took = time.perf_counter() - began, time.process_time() - began_cpu
    if manager.errors:
        raise SystemExit(f"{program}: {manager.errors[0]}")
    return took
