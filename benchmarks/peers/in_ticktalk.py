"""The programs in TickTalk: each is a file in `ticktalk/`."""

import time
from pathlib import Path

import simpy

from benchmarks.peers import ran
from benchmarks.peers.run import without_counting
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec
from ticktalk.simulation.event_file import FileEvent
from ticktalk.simulation.faults import Faults

BUILT_AFTER = 300_000
"""Microseconds of simulated time that come first, untimed: in them plans are made, as peers build their graphs."""

MOVABLE = ("failure", "unfailed")
"""`hosts` with a fourth ensemble, on which the source of one that fails goes on; or could, but none fails."""

ON_THREE = ("hosts", "costs", *MOVABLE, "deadlines")
"""The programs on three ensembles, between which a token takes 2 ms."""

NOTICED_AFTER = 50_000
"""Microseconds after which a failed ensemble is noticed, in `failure`."""

COSTS = {"left": 300, "right": 300, "fuse": 400, "sink": 300}
"""Microseconds that the bodies of `hosts` take as `costs`; each ensemble has one core."""


def run(program: str, microseconds: int, counted: bool) -> tuple[float, float]:
    """Seconds by the wall clock and of processor time that so much simulated time takes."""
    file = "hosts" if program in ("costs", *MOVABLE) else program.replace("-", "_")
    path = Path(__file__).with_name("ticktalk") / f"{file}.py"
    text = path.read_text(encoding="utf-8")
    if program in MOVABLE:
        text = text.replace('name="two"', 'name=["two", "four"]')
    graph = compile_source(text if counted else without_counting(text), str(path), path.stem)
    ensembles = [TTEnsemble(None, name) for name in ("one", "two", "three") if program in ON_THREE]
    deployment = None
    if program == "costs":
        costs = {function: CostSpec(time) for function, time in COSTS.items()}
        specs = tuple(EnsembleSpec(name) for name in ("one", "two", "three"))
        deployment = DeploymentFile("costs", specs, default=LinkSpec(2000), costs=costs)
    manager = TTRuntimeManagerSim(
        None, ensembles, simpy.Environment(), network_delay=2000 if ensembles else 0, deployment=deployment
    )
    if program in MOVABLE:
        manager.start_ensemble("four", [])
        faults = Faults(manager, NOTICED_AFTER)
    if program == "failure":
        faults.schedule(FileEvent(BUILT_AFTER + microseconds // 2, "fail", ("two",)), 0)
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
