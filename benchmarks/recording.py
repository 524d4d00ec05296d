"""What a recording costs, and how fast a replay is.

Tokens that reach bodies a second, while all that happens is recorded, over those of the same load when nothing is. And
a graph of ten SQs at 100 Hz, recorded in simulated time: how many times as fast as real time it is computed once more.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import simpy

from benchmarks.measure import Effort, Failure, Floor, Row, Say, at_least, compared
from benchmarks.system import System
from benchmarks.throughput import SMALL, Flow, shown
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.recorder import Recorder
from ticktalk.recording.replay import Replay
from ticktalk.recording.simulated import RecordedSimulation

RECORDED = Floor(least=0.5, binding=False)
"""Not reached where tokens of many arcs cross in one publication: each is noted by itself while all is recorded."""

SECONDS = 60
"""Of the run that is replayed."""

TEN = """\
from ticktalk import *

@STREAMify
def source(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def step(x):
    return x + 1

@GRAPHify
def ten(trigger):
    with TTConstraint(name="a"):
        x = source(trigger, TTPeriod=Hz(100))
        for _ in range(4):
            x = step(x)
    with TTConstraint(name="b"):
        for _ in range(5):
            x = step(x)
    return x
"""


def measure(effort: Effort, say: Say) -> Iterator[Row]:
    """The throughput with a recording and without, in turn; then a replay."""
    seconds = effort.pick(2.5, 1.5)
    with tempfile.TemporaryDirectory() as folder:
        with System({"left0": ["--workers", "0"], "right0": ["--workers", "0"]}) as system:
            recorder = Recorder(RecordingWriter(Path(folder, "run.mcap")), {})
            flow = Flow(system, SMALL, "left0", "right0")
            node = system.manager._handle.manager
            say("the best period without a recording")
            flow.search(1.2)
            plain, recorded = [], []
            system.manager.record(recorder)
            for number in range(effort.rounds):
                say(f"throughput, round {number + 1} of {effort.rounds}")
                node.records = False
                plain.append(flow.tokens_per_second(seconds))
                node.records = True
                recorded.append(flow.tokens_per_second(seconds))
            recorder.finish()
        title = "64 B tokens a second while all is recorded, --workers 0"
        yield compared(title, recorded, plain, shown(SMALL, "tokens"), "not recorded", RECORDED)
        say("a replay")
        path = Path(folder, "ten.mcap")
        _simulate(path)
        rounds = []
        for _ in range(effort.rounds):
            gc.collect()
            recording = read_recording(path)
            began = time.process_time()
            replay = Replay(recording.setups[0], recording.records())
            replay.go()
            departures = replay.finish()
            took = time.process_time() - began
            if departures:
                raise Failure(str(departures[0]))
            rounds.append(SECONDS / took)
        yield Row("replay of ten SQs at 100 Hz, times real time (of a processor)", rounds, floor=at_least(20))


def _simulate(path: Path) -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a"), TTEnsemble(None, "b")], simpy.Environment())
    recorded = RecordedSimulation(manager, RecordingWriter(path), {})
    manager.instantiate_and_map_graph(compile_source(TEN, "ten.py", "ten"))
    manager.execute_graph("ten")
    manager.simulation.run(SECONDS * 1_000_000)
    recorded.finish()
