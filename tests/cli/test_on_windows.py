"""Without what Windows lacks, programs are compiled, drawn, simulated and replayed; devices say what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ticktalk.cli import entry

ELSEWHERE = Path(__file__).parents[1] / "elsewhere"

PROGRAM = """
from ticktalk import GRAPHify, SQify, STREAMify


@STREAMify
def sample(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]


@SQify
def double(x):
    return 2 * x  # \N{DEGREE SIGN}C


@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        x = sample(trigger, TTPeriod=100_000)
    return double(x)
"""

COMMANDS = """
compile p.py -o p.json
draw p.json -o p.svg
map p.py --deployment d.yaml -o m.json
simulate p.json --until 250ms --record r.mcap --jsonl --log out.jsonl
replay r.mcap
inspect r.mcap --at 100ms
run p.py
manager
doctor --json
"""


def test_without_what_windows_lacks_all_but_devices_is_there(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text(PROGRAM, "utf-8")
    costs = "costs: {sample: {time: 1ms}, double: {time: 1ms}}\n"
    (tmp_path / "d.yaml").write_text(f"ensembles: [{{name: near}}, {{name: far}}]\n{costs}", "utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", str(ELSEWHERE / "windows.py")],
        input=COMMANDS.strip(), capture_output=True, encoding="utf-8", cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "0", "COLUMNS": "300"},
    )  # fmt: skip
    told = dict(part.split("\n", 1) for part in done.stdout.split("$ ")[1:])
    ends = {command.split()[0]: text.rstrip().rpartition("status ")[2] for command, text in told.items()}
    assert ends == {
        **dict.fromkeys(["compile", "draw", "map", "simulate", "replay", "inspect", "doctor"], "0"),
        "run": "1",
        "manager": "1",
    }
    outputs = [
        json.loads(line)
        for line in told["simulate p.json --until 250ms --record r.mcap --jsonl --log out.jsonl"].splitlines()[:-1]
    ]
    assert [(each["value"], each["start"], each["stop"]) for each in outputs] == [
        (2, 75_000, 125_000),
        (4, 175_000, 225_000),
    ]
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 2
    assert "</svg>" in (tmp_path / "p.svg").read_text("utf-8")
    assert "each is as it was recorded" in done.stderr
    assert done.stderr.count("error: devices and running systems need Linux or macOS, and this is Windows") == 2
    (devices,) = [found for found in json.loads(told["doctor --json"].splitlines()[0]) if found["subject"] == "devices"]
    assert devices["level"] == "mind" and "WSL" in devices["advice"]
    assert "Traceback" not in done.stderr and "EncodingWarning" not in done.stderr


def test_a_simulation_on_windows_ends_with_the_status_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process there cannot be replaced by another one."""
    calls: list[list[str]] = []

    def call(command: list[str]) -> int:
        calls.append(command)
        return 2

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["ticktalk", "simulate", "p.py"])
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    monkeypatch.setattr(subprocess, "call", call)
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 2
    assert [command[-2:] for command in calls] == [["simulate", "p.py"]]


def test_an_interrupt_on_windows_shows_no_traceback_of_the_process_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches both processes."""

    def call(command: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["ticktalk", "simulate", "p.py"])
    monkeypatch.setenv("PYTHONHASHSEED", "random")
    monkeypatch.setattr(subprocess, "call", call)
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 130
