"""A graph that runs on real ensembles goes on as another version of it, and comes back if that fails."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from systems import HEAD, LIMIT, NUMBERS, ONE, OPERATOR, Process, System, kill, trusted, until
from test_manager_killed import Killed

from ticktalk.cli.record import DeviceRecording
from ticktalk.errors import TTRuntimeError
from ticktalk.hosted.lease import Times
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import OutputToken
from ticktalk.physical.manager_node import ManagerNode
from ticktalk.recording.mcap_file import read_recording

PERIOD = 20_000

LATE = 25.0
"""Seconds in which instants since a switch are run late; older ones are skipped, and counted."""

TEXT = (
    NUMBERS
    + """
@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def folded(x):
    global sq_state
    sq_state["sum"] = (sq_state["sum"] * 3 + x) % 1000003
    return sq_state["sum"]
@SQify
def wrong(x):
    global sq_state
    return [][x]
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        s = src(trigger, TTPeriod=20000)
    with TTConstraint(name="far"):
        return total(s)
"""
)

NEW = TEXT.replace("return total(s)", 'return folded(s, TTName="total-1")')


@pytest.fixture
def system() -> Iterator[System]:
    made = System()
    yield made
    made.end()


def instants(tokens: list[OutputToken]) -> list[int]:
    return [int(token.start) + PERIOD // 4 for token in tokens]


def more(system: System, count: int) -> None:
    """Wait for more outputs."""
    there = len(system.values("prog"))
    until(lambda: len(system.values("prog")) >= there + count, "more outputs")


def skipped(status: dict[str, Any]) -> int:
    """How many instants the stream of the only graph has skipped."""
    (entry,) = status["graphs"]
    number: int = entry["counters"].get("src-1", {}).get("skipped", 0)
    return number


def test_at_50_hz_over_two_ensembles_no_instant_is_lost_or_taken_twice(system: System, tmp_path: Path) -> None:
    system.with_ensembles("near", "far")
    recorded = DeviceRecording(tmp_path / "run.mcap", system.manager, {})
    graph = system.deploy(TEXT, "prog")
    system.manager.execute_graph(graph)
    more(system, 20)
    (tmp_path / "new.py").write_text(NEW)
    options = ["--replace", "--name", "prog", "--watch", "200ms", "--manager", system.address, *trusted(OPERATOR)]
    command = Process("deploy", str(tmp_path / "new.py"), *options)
    assert command.wait() == 0, command.said
    assert "graph 'prog' is replaced from" in command.said and "2 SQs go on with their state" in command.said
    more(system, 20)
    bad = compile_source(NEW.replace("folded(s", "wrong(s"), "bad.py", "bad")
    with pytest.raises(TTRuntimeError, match=r"total-1 raised .*the old version goes on"):
        system.manager.replace_graph(bad, name="prog", watch=10_000_000)
    more(system, 20)

    at = int(re.findall(r"\((\d+)us\)", system.event("is replaced from"))[0])
    switch, back = [int(re.findall(r"\((\d+)us\)", e)[0]) for e in system.events if "us) on" in e][1:]
    tokens = [token for token in list(system.outputs) if token.graph == "prog"]
    found = instants(tokens)
    wanted = {tick for tick in range(found[0], found[-1] + 1, PERIOD) if not switch <= tick < back}
    assert found == sorted(set(found)) and wanted.issuperset(found), "none comes twice, or of the version that failed"
    kept = 0
    for number, (instant, token) in enumerate(zip(found, tokens, strict=True), 1):
        kept = kept + number if instant < at else (kept * 3 + number) % 1000003
        assert token.value == kept, "in plain Python"
    (entry,) = system.manager.status()["graphs"]
    assert (entry["name"], entry["state"]) == ("prog", "running")
    # A busy machine skips some. The reports that count them come a while later.
    until(lambda: skipped(system.manager.status()) >= len(wanted) - len(found), "all that is missing is counted")
    assert not any(kinds.get("lost") for kinds in entry["counters"].values())
    system.manager.stop_graph("prog")
    assert system.manager.wait(timeout=LIMIT) and system.manager.status()["graphs"] == []

    # The recording has all versions.
    recorded.finish()
    versions = read_recording(tmp_path / "run.mcap").versions()
    assert [version.since for version in versions[1:]] == [at, switch, back] and versions[1].setup is versions[3].setup


# A manager that is killed meanwhile.


def replace(system: Killed, folder: Path, text: str) -> Process:
    """Begin to replace the graph `prog`."""
    (folder / "new.py").write_text(text)
    options = ["--replace", "--name", "prog", "--watch", "1500ms", "--manager", system.address, *trusted(OPERATOR)]
    return Process("deploy", str(folder / "new.py"), *options)


def more_of(system: Killed, count: int = 10) -> None:
    there = len(system.rows("prog"))
    until(lambda: len(system.rows("prog")) >= there + count, "more outputs")


def test_a_manager_killed_before_at_and_after_the_switch_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it the old version goes on. When the switch is written, and no ensemble has been told of it, the new one
    begins with the next manager, late. After that the new one goes on, and is watched anew."""
    system = Killed(tmp_path)

    def started(command: Process) -> None:
        """The next manager goes on; the command whose manager has died has ended."""
        # A machine that stands still for long may have seen the end of the watch.
        assert command.wait() in (0, 1) and "Traceback" not in command.said, command.said
        system.start()
        until(lambda: system.ask(do="status")["awaited"] == [], "both are back")

    try:
        system.join("near", "far")
        system.deploy(TEXT, "prog")
        system.begin("prog")
        more_of(system)
        prepares = tmp_path / "prepares"
        slow = f"import pathlib, time\npathlib.Path({str(prepares)!r}).touch()\nlater = time.sleep(2)\n"
        waits = slow + NEW.replace('(sq_state["sum"] * 3', '(later or sq_state["sum"] * 3')
        command = replace(system, tmp_path, waits)
        until(prepares.exists, "the new version is prepared")
        system.kill()
        monkeypatch.setenv("TICKTALK_DIES_AT", "place")
        system.path = Path(__file__).with_name("dies_at")
        started(command)
        until(lambda: "goes on as it was: the manager was started again" in system.manager.said, "the next one says so")
        more_of(system)

        command = replace(system, tmp_path, NEW)
        assert system.manager.wait() == -signal.SIGKILL and "is replaced from" not in system.manager.said
        died, there = time.monotonic(), len(system.rows("prog"))
        system.path = None
        started(command)
        back = time.monotonic() - died
        until(lambda: "is replaced from" in system.manager.said, "it is replaced")
        at = int(re.findall(r"is replaced from .*?\((\d+)us\)", system.manager.said)[0])
        system.kill()
        started(command)

        def names() -> list[str]:
            return [graph["name"] for graph in system.ask(do="status")["graphs"]]

        until(lambda: names() == ["prog"], "it is watched no more")
        more_of(system)
        (graph,) = system.ask(do="status")["graphs"]
        rows = system.rows("prog")
        found = [row["start"] + PERIOD // 4 for row in rows]
        assert found == sorted(set(found)) and found[-1] > at, "none comes twice"
        first = next(instant for instant in found if instant >= at)
        assert found.index(first) >= there
        assert first - at < PERIOD or back > LATE, "they are run late, from the switch on"
        kept = 0
        for number, (instant, row) in enumerate(zip(found, rows, strict=True), 1):
            kept = kept + number if instant < at else (kept * 3 + number) % 1000003
            assert row["value"] == kept, "in plain Python"
        missing = (found[-1] - found[0]) // PERIOD + 1 - len(found)
        until(lambda: skipped(system.ask(do="status")) >= missing, "a busy machine skips some, and counts them")
        assert not any(kinds.get("lost") for kinds in graph["counters"].values())
    finally:
        system.end()


# A deployment that fails on one ensemble.

OVER_BOTH = """
@SQify
def f(x):
    return 1
@SQify
def g(x):
    return later
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        a = f(trigger)
    with TTConstraint(name="far"):
        return g(a)
"""


class Soon(Times):
    """An ensemble that dies while it prepares a graph is given up at once."""

    @property
    def given_up_after(self) -> int:
        return 100_000


def refused(system: System, statement: str, meanwhile: Callable[[], object]) -> str:
    """What is said of a graph that `far` cannot prepare; all ensembles are as before, and its name is free."""
    graph = compile_source(HEAD + statement + OVER_BOTH, "both.py", "both")
    said: list[str] = []

    def deploy() -> None:
        with pytest.raises(TTRuntimeError) as error:
            system.manager.instantiate_and_map_graph(graph)
        said.append(str(error.value))

    deploying = Thread(target=deploy)
    deploying.start()
    meanwhile()
    deploying.join(LIMIT)
    assert system.manager.status()["graphs"] == []
    until(lambda: system.ensembles["near"].view()["graphs"] == [], "nothing of it is left")
    system.deploy(ONE, "both")  # its name is free
    system.manager.stop_graph("both")
    return said[0]


def test_a_deployment_that_fails_on_one_ensemble_leaves_nothing_on_the_others(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("near", "far"):  # SQs that may live anywhere go to the first
        system.begin(name, view=tmp_path / name)
        assert system.manager.wait_for_ensembles([name], LIMIT) == []
    near, far = system.ensembles["near"], system.ensembles["far"]
    said = refused(system, "if True:\n    import no_module_of_this_name as later\n", lambda: None)
    assert "on far:" in said and "no_module_of_this_name" in said and "on near" not in said

    prepares = tmp_path / "prepares"
    slow = f"import time, pathlib\npathlib.Path({str(prepares)!r}).touch()\nlater = time.sleep(3)\n"
    monkeypatch.setattr(ManagerNode, "patience", 500_000)
    assert "on far: it has not answered within 500ms" in refused(system, slow, lambda: None)
    until(lambda: far.view()["graphs"] == [], "it forgets what it has prepared too late")

    monkeypatch.setattr(ManagerNode, "patience", 60_000_000)
    system.manager.process.requests.liveness.times = Soon()
    prepares.unlink()

    def dies() -> None:
        until(lambda: near.view()["graphs"] == ["both"] and prepares.exists(), "it prepares the graph")
        for pid in far.family():
            kill(pid)

    assert "on far: it has gone" in refused(system, slow.replace("sleep(3)", "sleep(30)"), dies)
