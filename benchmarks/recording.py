"""What a recording costs, and how fast a replay is.

Tokens that reach bodies a second, while all that happens is recorded, over those of the same load when nothing is: on
two ensembles and their manager, which share the machine. The same while all counters are asked for each half second, as
`ticktalk top` does each second. In simulation a plan runs while all is recorded, too; it is compared with the same plan
and with the general engine, neither recorded. The same while each firing goes to a collector as a span (`--otel`). And
a graph of ten SQs at 100 Hz, recorded in simulated time: how many times as fast as real time it is computed once more.
"""

from __future__ import annotations

import gc
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import simpy

from benchmarks.measure import Effort, Failure, Floor, Row, Say, at_least, compared, rate
from benchmarks.system import System
from benchmarks.throughput import SMALL, Flow, shown
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.otel.sending import Telemetry
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.recorder import Recorder
from ticktalk.recording.replay import Replay
from ticktalk.recording.writer import Writer, lacks_text

RECORDED = Floor(least=0.5, binding=False)
"""Three processes share the machine at the load that two of them can just take: it holds where nothing else runs."""

COUNTED = Floor(least=0.95, binding=False)
"""Two runs differ by more on a busy machine."""

SIMULATED = Floor(least=0.5, binding=False)
"""Over a plan it wants a second core: chunks of the file are compressed there."""

SECONDS = 60
"""Of the run that is replayed."""

SIMULATED_SECONDS = 600
"""Of those whose firings are counted: so many that what comes before the first one weighs little."""

TELEMETRY_SECONDS = 5
"""Of those whose firings are sent to a collector."""

NO_STATUS: dict[str, Any] = {"ensembles": [], "graphs": [], "errors": 0}
"""So that the spans alone are measured."""

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
    """What is noted of a run, and what it costs; then a replay."""
    seconds = effort.pick(2.5, 1.5)
    with tempfile.TemporaryDirectory() as folder:
        with System({"left0": ["--workers", "0"], "right0": ["--workers", "0"]}) as system:
            flow = Flow(system, SMALL, "left0", "right0")
            say("the best period without a recording")
            flow.search(1.2)
            yield _counted(system, flow, seconds, effort, say)
            yield _recorded(system, flow, seconds, effort, say, Path(folder))
        say("in simulated time")
        yield from _simulated(effort, Path(folder))
        say("a replay")
        yield _replayed(Path(folder, "ten.mcap"), effort)


def _counted(system: System, flow: Flow, seconds: float, effort: Effort, say: Say) -> Row:
    """The throughput while all counters are asked for; each is measured first in every second round."""
    figures: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * effort.rounds):
        say(f"counters, round {number + 1} of {2 * effort.rounds}")
        for asked in (number % 2 == 0, number % 2 == 1):
            with _asking(system) if asked else nullcontext():
                figures[asked].append(flow.tokens_per_second(seconds))
    if not all(figures[False]):
        raise Failure("no token reached a body")
    title = "64 B tokens a second while all counters are asked for, --workers 0"
    return compared(title, figures[True], figures[False], shown(SMALL, "tokens"), "nobody asks", COUNTED)


def _recorded(system: System, flow: Flow, seconds: float, effort: Effort, say: Say, folder: Path) -> Row:
    """The throughput with a recording and without. What is still to be written when a run ends takes its time, too."""
    plain, recorded, lacks = [], [], []
    for number in range(effort.rounds):
        say(f"throughput, round {number + 1} of {effort.rounds}")
        plain.append(flow.tokens_per_second(seconds))
        recorder = Recorder(RecordingWriter(folder / "run.mcap"), {})
        system.manager.record(recorder)
        reached = flow.tokens_per_second(seconds)
        ended = time.monotonic()
        flow.stop()  # the last records come only then
        lacks += recorder.finish()
        system.manager._handle.manager.records = False
        recorded.append(reached * seconds / (seconds + time.monotonic() - ended))
    title = "64 B tokens a second while all is recorded, --workers 0"
    if lacks:
        return Row(title, failed=f"the recording lacks {lacks_text(lacks)}")
    return compared(title, recorded, plain, shown(SMALL, "tokens"), "not recorded", RECORDED)


def _replayed(path: Path, effort: Effort) -> Row:
    """How many times as fast as real time a recording is computed once more."""
    _simulate(RecordingWriter(path), SECONDS)
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
    return Row("replay of ten SQs at 100 Hz, times real time (of a processor)", rounds, floor=at_least(20))


@contextmanager
def _asking(system: System) -> Iterator[None]:
    """Ask for the state of the system, as `ticktalk top` does, but twice as often."""
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.5):
            system.manager.status()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _simulated(effort: Effort, folder: Path) -> Iterator[Row]:
    """Firings a second of a simulation that is recorded, or sent to a collector, over those of one that is not."""
    figures: dict[str, list[float]] = {"recorded": [], "the general engine": [], "a plan": []}
    for _ in range(effort.rounds):
        for kind, found in figures.items():
            writer = RecordingWriter(folder / "simulated.mcap") if kind == "recorded" else None
            took = _simulate(writer, SIMULATED_SECONDS, accelerated=kind != "the general engine")
            found.append(SIMULATED_SECONDS * 1000 / took)
    for kind in ("the general engine", "a plan"):
        title = f"firings a second of ten SQs while all is recorded, over {kind}"
        yield compared(title, figures["recorded"], figures[kind], rate("firings"), kind, SIMULATED)
    sent = []
    with _collector() as address:
        for _ in range(effort.rounds):
            telemetry = Telemetry(address, "runtime-manager", lambda: NO_STATUS, _ignored, asks=False)
            sent.append(TELEMETRY_SECONDS * 1000 / _simulate(telemetry, TELEMETRY_SECONDS))
            if telemetry.lost:
                raise Failure(f"{telemetry.lost} spans were lost")
    kind = "the general engine"
    yield compared("the same with --otel, each firing a span", sent, figures[kind], rate("firings"), kind)


def _ignored(sentence: str) -> None:
    """Say it to nobody."""


@contextmanager
def _collector() -> Iterator[str]:
    """The address of a collector that takes all, and looks at nothing."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _simulate(writer: Writer | None, seconds: int, accelerated: bool = True) -> float:
    """Simulate a graph for so long, all of which a writer takes if there is one; the seconds that it takes."""
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a"), TTEnsemble(None, "b")], simpy.Environment())
    recorded = None if writer is None else RecordedSimulation(manager, writer, {})
    if not accelerated:
        manager.simulation.accelerator = None
    manager.instantiate_and_map_graph(compile_source(TEN, "ten.py", "ten"))
    manager.execute_graph("ten")
    gc.collect()
    began = time.perf_counter()
    manager.simulation.run(seconds * 1_000_000)
    if recorded is not None:
        recorded.finish()
    return time.perf_counter() - began
