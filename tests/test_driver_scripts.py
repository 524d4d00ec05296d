"""Driver scripts, written as TickTalk's own documentation says, run as they are: each prints what it says it prints."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "driver_scripts"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(SCRIPTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def expected(name: str) -> list[str]:
    return (SCRIPTS / f"{name}.py").read_text().split('"""')[1].partition("Prints:\n")[2].splitlines()


@pytest.mark.parametrize(
    "name", ["messages", "methods", "tokens", "saved", "joining", "sensors", "processes", "older", "paths"]
)
def test_a_script_in_simulation(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(f"{name}.py", run_name="__main__")
    assert capsys.readouterr().out.splitlines() == expected(name) != []


def test_a_script_on_devices(folder: Path) -> None:
    def run() -> list[str]:
        """The lines that it prints: a late machine skips pulses, or misses the deadline of an odd one, nothing else.

        Of a pulse that is later than its deadline there is no value to replace, which its log tells.
        """
        done = subprocess.run([sys.executable, "physical.py"], capture_output=True, text=True, timeout=120)
        values, logged = done.stdout.splitlines()
        pulses = json.loads(values)
        numbers = [abs(pulse) for pulse in pulses]
        own = Path("ens1.log")  # there once something is told
        told = own.read_text() if own.exists() else ""
        too_late = told.count("LookupError: plan B late-1 was due") // 2  # and in its traceback
        assert numbers == sorted({*numbers}) and max(numbers, default=0) - len(numbers) <= too_late, done.stderr
        assert all(pulse < 0 for pulse in pulses if pulse % 2 == 0) and logged == f"{len(pulses)} lines in the log"
        Path("physical.log").unlink()
        own.unlink(missing_ok=True)
        return [values, logged]

    until = time.monotonic() + 120
    while run() != expected("physical"):
        assert time.monotonic() < until, "no run in time, in two minutes"
