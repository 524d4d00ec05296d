"""Systems of real processes on loopback, as tests start them, watch them and end them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.lease import Times
from ticktalk.language.compiler import compile_source
from ticktalk.manager.liveness import WATCH_PERIOD
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

Result = TypeVar("Result")

LIMIT = 60.0
"""Seconds after which a condition that should come true has failed, on a machine that is ever so busy."""

ADDRESS = os.environ.get("TICKTALK_TESTS_ADDRESS", "")
"""The address of the host on which systems run, with keys; empty: on loopback, without. `faults.py` sets it."""

OPERATOR = "op"
"""Of the participants with keys, the one that deploys, starts and asks."""

ROUNDED = 50_000
"""Microseconds by which a silence is rounded where it is told."""

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify, TTClock, TTEmpty, component\n"

ONE = HEAD + "@SQify\ndef f(x):\n    return x + 1\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"

NUMBERS = (
    HEAD
    + """\
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
"""
)
"""A stream whose values are 1, 2, 3 and so on."""

ENDLESS = (
    NUMBERS
    + """
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        s = src(trigger, TTPeriod=100000, TTDataIntervalWidth=50000)
    with TTConstraint(name="far"):
        return same(s)
"""
)


def until(condition: Callable[[], Any], what: str, limit: float = LIMIT) -> Any:
    """Wait until a condition is true; its value."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {limit} s: {what}")


class Process:
    """A command of ours in a process of its own; its output is kept, line by line.

    `path`: a folder of modules that only this process finds. `view`: the file of the ensemble's own view. `script`: a
    program in place of `ticktalk`. `within`: the command that begins it elsewhere, such as in a network namespace.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        path: Path | None = None,
        view: Path | None = None,
        script: Path | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self._view = view
        if view is not None:
            script = Path(__file__).with_name("viewed_ensemble.py")
        command = ["-m", "ticktalk.cli.main"] if script is None else [str(script)]
        environment = {"NO_COLOR": "1", "COLUMNS": "300"}
        if path is not None:
            more = os.environ.get("PYTHONPATH")
            environment["PYTHONPATH"] = f"{path}{os.pathsep}{more}" if more else str(path)
        if view is not None:
            environment["TICKTALK_VIEW"] = str(view)
        self.popen = subprocess.Popen(
            [*within, sys.executable, *command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            cwd=cwd,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(self.popen.stdout, self.out), daemon=True),
            threading.Thread(target=self._read, args=(self.popen.stderr, self.err), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    @property
    def said(self) -> str:
        """Its stderr so far."""
        return "\n".join(self.err)

    def wait(self, limit: float = LIMIT) -> int:
        """Its exit status; everything it wrote has been read."""
        status = self.popen.wait(limit)
        for reader in self._readers:
            reader.join(5)
        return status

    def view(self) -> Any:
        """The instances on this ensemble, by its own view (see `viewed_ensemble`), once it has joined."""
        assert self._view is not None
        until(lambda: "joined" in self.said, f"it joins: {self.said}")  # before it would end of the signal
        self._view.unlink(missing_ok=True)
        self.popen.send_signal(signal.SIGUSR1)
        until(self._view.exists, "the ensemble tells what lives on it")
        return json.loads(self._view.read_text())

    def family(self) -> set[int]:
        """Its process and the processes that it started."""
        found = {self.popen.pid}
        while True:
            more = {child for pid in found for child in children(pid)} - found
            if not more:
                return found
            found |= more

    def end(self) -> None:
        """It ends in any case."""
        if self.popen.poll() is None:
            family = self.family()
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                for pid in family:
                    kill(pid)
        self.wait()


@contextmanager
def standstill() -> Iterator[Callable[[], int]]:
    """Notices when this machine stands still; gives the microseconds for which it did so far."""
    over, stood = threading.Event(), [0.0]

    def look() -> None:
        before = time.monotonic()
        while not over.wait(0.02):
            now = time.monotonic()
            stood[0] += now - before if now - before > 0.2 else 0
            before = now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield lambda: round(stood[0] * 1e6)
    finally:
        over.set()
        thread.join()


def in_time(event: str) -> bool:
    """Whether a manager has taken an ensemble for dead when it should: its event says how long the silence was.

    That is by its own clock, and without the time in which it did not run itself. An ensemble that ran late is given up
    to twice the time. The manager looks now and then, and may be late itself by as much as a heartbeat.
    """
    times, silence = Times(), float(event.rpartition("no heartbeat for ")[2].removesuffix("s")) * 1e6
    return times.surely_after - ROUNDED <= silence <= 2 * times.dead_after + WATCH_PERIOD + times.heartbeat + ROUNDED


_numbers = itertools.count(os.getpid() * 10)
_claims: list[socket.socket] = []  # as long as this process lives


def free_port(ip: str = "127.0.0.1") -> int:
    """A port that stays free until the test uses it, although nobody listens there: a system gives away those above.

    Tests of other processes are given none that this process was given: its name among Unix sockets is taken.
    """
    while True:
        number = 20_000 + next(_numbers) % 10_000
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0port {number} of a test of TickTalk")
            with socket.socket() as probe:
                probe.bind((ip, number))
        except OSError:
            claim.close()
            continue
        _claims.append(claim)
        return number


def repeated(run: Callable[[], Result], shows: Callable[[Result], Any], what: str) -> Result:
    """Make a run in real time until it shows what it is for; its result.

    A machine that stands still while a short stream lasts leaves it hardly an instant. What must hold of each run is
    asserted by the run itself.
    """
    end = time.monotonic() + LIMIT
    while not shows(result := run()):
        assert time.monotonic() < end, f"not within {LIMIT} s: {what}"
    return result


def children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return [
            int(child)
            for thread in threads
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        ]
    except OSError:
        return []


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def alive(pid: int) -> bool:
    return bool(begun([pid]))


def begun(pids: Iterable[int]) -> set[tuple[int, str]]:
    """Of those of these processes that run: the number, and when it began; another one may get the number later."""
    found = set()
    for pid in pids:
        try:
            words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            found.add((pid, words[19]))
    return found


@cache
def _keys() -> Path:
    """A folder with an authority for systems on `ADDRESS`."""
    folder = Path(tempfile.mkdtemp(prefix="tt-keys-"))
    init_authority(folder, [ADDRESS])
    return folder


@cache
def bundle(name: str) -> str | None:
    """The file with the keys of a participant of systems on `ADDRESS`; None: there are none, on loopback."""
    if not ADDRESS:
        return None
    if name == OPERATOR:
        issue(_keys(), name, role="operator")
    elif name != "runtime-manager":
        issue(_keys(), name, [ADDRESS])
    return str(_keys() / f"{name}.json")


def trusted(name: str) -> list[str]:
    """The option that gives a participant its keys, if there are any."""
    keys = bundle(name)
    return [] if keys is None else ["--credentials", keys]


class System:
    """A manager in this process and ensembles in others."""

    def __init__(self, log: Any = None, port: int = 0, workers: int = 1, **options: Any) -> None:
        if ADDRESS:
            options.setdefault("credentials", bundle("runtime-manager"))
        self.manager = TTRuntimeManagerPhysical(log, ADDRESS or "127.0.0.1", port, 0, workers=workers, **options)
        self.ensembles: dict[str, Process] = {}
        self.outputs: list[OutputToken] = []
        self.events: list[str] = []
        self.errors: list[FiringError] = []
        self.manager.on_output(self.outputs.append)
        self.manager.on_event(self.events.append)
        self.manager.on_error(self.errors.append)

    @property
    def address(self) -> str:
        return self.manager.address

    def begin(self, name: str, *options: str, **others: Any) -> Process:
        """Start an ensemble; `others` as for `Process`."""
        process = Process("ensemble", name, "--manager", self.address, *trusted(name), *options, **others)
        self.ensembles[name] = process
        return process

    def with_ensembles(self, *names: str, options: Sequence[str] = ()) -> System:
        for name in names:
            self.begin(name, *options)
        assert self.manager.wait_for_ensembles(names, LIMIT) == []
        return self

    def end(self) -> None:
        self.manager.stop(ensembles=True)
        for process in self.ensembles.values():
            process.end()

    def values(self, graph: str) -> list[Any]:
        return [token.value for token in list(self.outputs) if token.graph == graph]

    def deploy(self, text: str, name: str, mapping: dict[str, str] | None = None) -> TTGraph:
        graph = compile_source(text, f"{name}.py", name)
        self.manager.instantiate_and_map_graph(graph, mapping=mapping)
        return graph

    def one(self, name: str) -> None:
        """A graph runs from end to end: the system is well."""
        graph = self.deploy(ONE, name)
        self.manager.execute_graph(graph, {"trigger": 1})
        assert self.manager.wait(graph, LIMIT)
        until(lambda: self.values(name) == [2], f"the output of {name}")
        self.manager.stop_graph(graph)

    def all_told(self, graph: str) -> None:
        """Every output that the manager counts has come to us, too."""
        (found,) = [entry for entry in self.manager.status()["graphs"] if entry["name"] == graph]
        until(lambda: len(self.values(graph)) >= found["outputs"], f"all outputs of {graph}")

    def event(self, *words: str) -> str:
        """Wait for an event that holds these words."""

        def found() -> str:
            return next((event for event in list(self.events) if all(word in event for word in words)), "")

        event: str = until(found, f"an event with {words}, not {self.events}")
        return event
