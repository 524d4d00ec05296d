"""A manager is killed at any moment and started again: its ensembles run on, and each output arrives once."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from systems import ADDRESS, NUMBERS, OPERATOR, Process, bundle, free_port, until

from ticktalk.cli.manager_command import state_folder
from ticktalk.cli.remote import Remote
from ticktalk.errors import TTError
from ticktalk.hosted.lease import Times
from ticktalk.language.compiler import compile_source
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.values.codec import encode_value

FAST = (
    NUMBERS
    + """
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        s = src(trigger, TTPeriod=20000, TTDataIntervalWidth=10000)
    with TTConstraint(name=["far", "near"]):
        return same(s)
"""
)

FREE = FAST.replace("        s = src", "    s = src").replace("        return", "    return")
FREE = "".join(line for line in FREE.splitlines(keepends=True) if "TTConstraint(name" not in line)
"""The same where any ensemble may host all of it."""

KILLS = int(os.environ.get("KILLS", "2"))
"""Kills of the manager in the test of random moments."""


class Killed:
    """A manager that is killed and started again at one address, with one log, and its ensembles."""

    def __init__(self, folder: Path, keys: Path | None = None, path: Path | None = None) -> None:
        self._ip = "127.0.0.1" if keys or not ADDRESS else ADDRESS
        self.port, self.log, self.keys = free_port(self._ip), folder / "out.jsonl", keys
        self.path = path  # of modules that the next manager finds
        self.address = f"{self._ip}:{self.port}"
        self.ensembles: dict[str, Process] = {}
        self.start()

    def bundle(self, name: str) -> str | None:
        return bundle(name) if self.keys is None else str(self.keys / f"{name}.json")

    def _keys_of(self, name: str) -> list[str]:
        keys = self.bundle(name)
        return [] if keys is None else ["--credentials", keys]

    def start(self) -> None:
        options = ("--ip", self._ip, "--rx-port", str(self.port), "--log", str(self.log), "--workers", "0")
        self.manager = Process("manager", *options, *self._keys_of("runtime-manager"), path=self.path)
        until(lambda: "listens at" in self.manager.said, f"the manager starts: {self.manager.said}")

    def another_manager(self, port: int) -> Process:
        """Start a manager over the same state."""
        options = ("--ip", self._ip, "--rx-port", str(port), "--log", str(self.log))
        return Process("manager", *options, *self._keys_of("runtime-manager"))

    def kill(self) -> None:
        self.manager.popen.kill()
        self.manager.wait()

    def join(self, *names: str) -> None:
        for name in names:
            self.ensembles[name] = Process(
                "ensemble", name, "--manager", self.address, "--workers", "0", *self._keys_of(name)
            )
        for name in names:
            until(lambda name=name: f"'{name}' joined" in self.manager.said, f"{name} joins")

    def ask(self, **what: Any) -> Any:
        with Remote(self.address, self.bundle(OPERATOR)) as remote:
            return remote.ask(**what)

    def deploy(self, source: str, name: str) -> None:
        self.ask(do="deploy", json=compile_source(source, f"{name}.py", name).to_json())

    def begin(self, name: str) -> None:
        self.ask(do="start", graph=name, inputs=encode_value({"trigger": 1}))

    def rows(self, graph: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines(keepends=True) if self.log.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [row for row in found if row["graph"] == graph]

    def end(self) -> None:
        for process in (*self.ensembles.values(), self.manager):
            process.end()


@pytest.fixture(params=["a user's token", "keys"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killed]:
    keys = None
    if request.param == "keys":
        keys = tmp_path / "keys"
        init_authority(keys, ["127.0.0.1"])
        for name in ("near", "far"):
            issue(keys, name, ["127.0.0.1"])
        issue(keys, OPERATOR, role="operator")
    system = Killed(tmp_path, keys)
    try:
        yield system
    finally:
        system.end()


def test_each_output_of_a_stream_arrives_once_and_the_ensembles_run_on(system: Killed) -> None:
    system.join("near", "far")
    system.deploy(FAST, "fast")
    system.begin("fast")
    until(lambda: len(system.rows("fast")) > 20, "the stream runs")
    kills = 2 if system.bundle(OPERATOR) is None else 1
    for count in range(1, kills + 1):
        before = len(system.rows("fast"))
        system.kill()
        system.start()
        until(lambda before=before: len(system.rows("fast")) > before + 50, "outputs of before and after the kill come")
        status = system.ask(do="status")
        until(lambda: system.ask(do="status")["awaited"] == [], "both are back")
        assert (status["restarts"], status["errors"]) == (count, 0)
    system.ask(do="stop", graph="fast")
    values = [row["value"] for row in system.rows("fast")]
    assert values == list(range(1, len(values) + 1))
    assert all(process.popen.poll() is None for process in system.ensembles.values())
    for name, process in system.ensembles.items():
        assert "joining again" not in process.said, name
        until(lambda said=process: said.said.count("the manager was started again") == kills, f"{name} says so")
    assert system.manager.said.count("goes on where the one before it was: graphs fast") == 1


def test_an_ensemble_that_is_alone_goes_on_while_no_manager_listens(tmp_path: Path) -> None:
    system = Killed(tmp_path)
    try:
        system.join("near")
        told = FREE.replace("def same(x):\n", "def same(x):\n    print('value', x)\n")
        system.deploy(told, "fast")
        system.begin("fast")
        until(lambda: len(system.rows("fast")) > 5, "the stream runs")
        system.kill()
        last = system.rows("fast")[-1]["start"]
        refused = system.another_manager(free_port())
        try:
            assert refused.wait() == 1 and "it is that of the manager 'runtime-manager' at" in refused.said
        finally:
            refused.end()
        ended = last + Times().lease + 500_000
        until(lambda: time.time() * 1e6 > ended, "its lease would have ended long ago")
        near = system.ensembles["near"].err
        before = sum("value" in line for line in list(near))
        until(lambda: sum("value" in line for line in list(near)) > before + 50, "it goes on")
        alone = time.time() * 1e6
        system.start()
        second = system.another_manager(system.port)
        try:
            assert second.wait() == 1
            assert f"another manager has it (process {system.manager.popen.pid}, at {system.address})" in second.said
        finally:
            second.end()
        until(lambda: system.rows("fast")[-1]["start"] > alone, "what it has kept comes")
        rows = system.rows("fast")
        assert [row["value"] for row in rows] == list(range(1, len(rows) + 1))
        assert sum(ended < row["start"] < alone for row in rows) > 40, "it went on though the lease would have ended"
    finally:
        system.end()


def test_killed_amid_deployments_starts_and_drains_it_goes_on(tmp_path: Path) -> None:
    rng = random.Random(int(os.environ.get("SEED", "0")))
    system = Killed(tmp_path)
    try:
        system.join("near", "far")
        for number in range(KILLS):
            name = f"g{number}"
            drained = "far" if number == KILLS - 1 else ""

            def work(name: str = name, drained: str = drained) -> None:
                with suppress(TTError):  # the manager dies meanwhile
                    system.deploy(FAST, name)
                    system.begin(name)
                    if drained:
                        system.ask(do="drain", name=drained)

            worker = threading.Thread(target=work)
            worker.start()
            threading.Event().wait(rng.uniform(0, 0.8))  # any moment
            system.kill()
            system.start()
            worker.join()
            until(lambda: system.ask(do="status")["awaited"] == [], "they are back, or counted as gone")

            def goes_on(name: str = name) -> bool:
                graphs = {graph["name"]: graph for graph in system.ask(do="status")["graphs"]}
                if name not in graphs:
                    system.deploy(FAST, name)  # the request was not taken: the name is free
                if not graphs.get(name, {}).get("contexts"):
                    with suppress(TTError):
                        system.begin(name)
                hosts = graphs.get(name, {}).get("mapping", {})
                alive = {each for each, process in system.ensembles.items() if process.popen.poll() is None}
                return len(hosts) == 2 and set(hosts.values()) <= alive and not graphs[name]["waits"]

            until(goes_on, f"{name} is placed")
            before = len(system.rows(name))
            until(lambda name=name, before=before: len(system.rows(name)) > before + 10, f"outputs of {name} come")
            if not drained:
                values = [row["value"] for row in system.rows(name)]
                assert values == list(range(1, len(values) + 1)), "each once"
            system.ask(do="stop", graph=name)
            assert name not in [graph["name"] for graph in system.ask(do="status")["graphs"]]
    finally:
        system.end()


def test_a_command_whose_manager_is_killed_says_that_it_may_be_done(tmp_path: Path) -> None:
    system = Killed(tmp_path)
    try:
        system.join("near")
        system.deploy(FREE, "fast")
        system.begin("fast")
        program = tmp_path / "fast.py"
        program.write_text(FREE)
        options = ("--replace", "--watch", "60s", "--manager", system.address, *system._keys_of(OPERATOR))
        asked = Process("deploy", str(program), *options)
        until(lambda: "'fast' is replaced" in system.manager.said, "the new version runs, and is watched")
        system.kill()
        assert asked.wait() == 1
        assert f"the manager at {system.address} ended before it answered: it may have done" in asked.said
    finally:
        system.end()


def test_the_state_is_kept_beside_a_log_that_is_a_file(tmp_path: Path) -> None:
    log = tmp_path / "out.jsonl"
    assert state_folder(None, log) == f"{log}.state"
    log.write_text("")
    assert state_folder(None, log) == f"{log}.state"
    assert state_folder(None, None) is state_folder("none", log) is None
    assert state_folder(None, Path("/dev/null")) is state_folder(None, tmp_path) is None
    assert state_folder(None, tmp_path / "not there" / "out.jsonl") is None, "the log says what is wrong"
    assert state_folder("here", None) == state_folder("here", log) == "here"


def test_after_an_end_in_order_the_next_manager_begins_anew(tmp_path: Path) -> None:
    system = Killed(tmp_path)
    try:
        assert (tmp_path / "out.jsonl.state").is_dir()
        assert system.manager.popen.poll() is None
        system.manager.end()
        system.start()
        assert "goes on where" not in system.manager.said
    finally:
        system.end()
