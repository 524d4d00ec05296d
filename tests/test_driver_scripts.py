"""Driver scripts, written as TickTalk's own documentation says, run as they are: each prints what it says it prints."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import sys
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
    # Some plan B may come late on a busy machine, but no value may be another one.
    done = subprocess.run([sys.executable, "physical.py"], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == expected("physical"), done.stderr
