"""`replay --web`: the page of a replay shows what that of the run did: counters, waiting tokens, outputs, errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import simpy

from commands import ticktalk
from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.recording.as_system import ReplayedSystem
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.replay import Replay

PROGRAM = (
    HEAD
    + """
@SQify
def third(x):
    return 1 // (x % 3)
@SQify
def both(x, y):
    return x + y
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=ms(100))
        due = tag + 4000
    with TTConstraint(name="b"):
        y = third(x)
        both(x, count(trigger, TTPeriod=ms(1000)))
    with TTConstraint(name="a"):
        return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
"""
)


def test_its_status_is_that_of_the_run(tmp_path: Path) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    ensembles = [TTEnsemble(None, name) for name in "ab"]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=3000)
    recorded = RecordedSimulation(manager, RecordingWriter(tmp_path / "run.mcap"), {})
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(1_950_000)
    recorded.finish()
    (was,) = manager.status()["graphs"]
    recording = read_recording(tmp_path / "run.mcap")
    replay = Replay(recording.setups[0], recording.records())
    system = ReplayedSystem(replay, "runtime-manager")
    half = system.status(0)
    replay.go()
    whole = system.status(replay.last_tick)
    (now,) = whole["graphs"]
    assert half["graphs"][0]["counters"] == {} and half["graphs"][0]["sent"] == {}
    assert set(was["counters"]) >= {"third-1", "TTFinishByOtherwise-1"} and was["waiting"]["both-1"]
    for what in ("counters", "waiting", "mapping", "inputs", "silent"):
        assert now[what] == was[what], what
    assert whole["errors"] == was["counters"]["third-1"]["errors"] and "ZeroDivisionError" in whole["latest_errors"][-1]
    assert now["sent"]["count-1/1"] == 19


def test_an_ensemble_that_is_lost_and_its_spare_are_listed_as_such(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM.replace('name="a"', 'name=["a", "spare"]'))
    (tmp_path / "events.yaml").write_text("- {at: 450ms, fail: a}\n")
    path, events = str(tmp_path / "run.mcap"), str(tmp_path / "events.yaml")
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "4s", "--events", events, "--record", path)
    assert done.returncode == 0, done.stderr
    recording = read_recording(path)
    replay = Replay(recording.setups[0], recording.records())
    system = ReplayedSystem(replay, "runtime-manager")
    replay.go(1_000_000)
    early = system.status(1_000_000)
    assert [each["name"] for each in early["ensembles"]] == ["a", "b", "runtime-manager"] and early["lost"] == []
    replay.go()
    late = system.status(replay.last_tick)
    assert [each["name"] for each in late["ensembles"]] == ["b", "spare", "runtime-manager"]
    assert late["lost"] == ["a"]
    assert {*late["graphs"][0]["mapping"].values()} == {"b", "spare"}


def _ignores_interrupts() -> None:
    """As a shell starts what a script has in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("shown", ["replay", "simulate"])
def test_the_page_of_a_run_that_has_ended_says_so_and_stays_until_ctrl_c(shown: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    path = str(tmp_path / "run.mcap")
    command = [sys.executable, "-m", "ticktalk.cli.entry"]
    done = subprocess.run(
        [*command, "simulate", str(tmp_path / "prog.py"), "--until", "2s", "--record", path],
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    of = ["replay", path] if shown == "replay" else ["simulate", str(tmp_path / "prog.py"), "--until", "2s"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *of, "--web", "0"], preexec_fn=_ignores_interrupts, **pipes) as run:
        try:
            assert run.stderr is not None and run.stdout is not None
            address = run.stderr.readline().split()[-1]
            while "until Ctrl-C" not in run.stderr.readline():
                pass
            base, _, token = address.partition("/?token=")

            def asked(what: str) -> str:
                request = urllib.request.Request(f"{base}{what}", headers={"Authorization": f"Bearer {token}"})
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return str(answer.read().decode())

            status = json.loads(asked("/api/status"))
            assert status["graphs"][0]["name"] == "prog" and status["graphs"][0]["outputs"] > 10
            assert status["graphs"][0]["state"] == "ended" and status["graphs"][0]["contexts"][0]["state"] == "ended"
            assert {each["name"] for each in status["ensembles"]} == {"a", "b", "runtime-manager"}
            looks = json.loads(asked("/api/looks"))
            assert 200 <= len(looks) <= 202
            early = json.loads(asked(f"/api/looks/{looks[20][0]}"))
            assert early["now"] < 300_000 and early["graphs"][0]["outputs"] < 5
            assert early["graphs"][0]["state"] == "running"
        finally:
            run.send_signal(signal.SIGINT)
            try:
                assert run.wait(20) == 0
            finally:
                run.kill()
