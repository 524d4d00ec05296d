"""`ticktalk explain` on a recording: text on stdout, the picture in a file, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ticktalk.cli.main import app_of
from ticktalk.errors import TTError

PROGRAM = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@SQify
def twice(x):
    return 2 * x
@GRAPHify
def main(trigger):
    return twice(cam(trigger, TTPeriod=100_000))
"""


def ticktalk(*command: str) -> Result:
    return CliRunner().invoke(app_of([command[0]]), list(command))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain")
    (folder / "prog.py").write_text(PROGRAM)
    made = folder / "run.mcap"
    assert ticktalk("simulate", str(folder / "prog.py"), "--until", "1s", "--record", str(made)).exit_code == 0
    return made


def test_words_and_picture(recording: Path, tmp_path: Path) -> None:
    done = ticktalk("explain", str(recording), "twice-1@300ms", "-o", str(tmp_path / "why.svg"))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == "twice-1 gave 14 on [275ms, 325ms)"
    assert "      x: cam-1 = 7 on [275ms, 325ms), sent at 300ms" in done.stdout.splitlines()
    assert "cam-1 = 7" in (tmp_path / "why.svg").read_text()


def test_why_none_came(recording: Path) -> None:
    done = ticktalk("explain", str(recording), "--missing", "twice-1@340ms")
    assert done.exit_code == 0
    assert "cam-1: no instant has an interval that holds this tick; the nearest is [275ms, 325ms)" in done.stdout


def test_mistakes_say_what_to_do(recording: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("{}")
    for command, told in (
        ((str(recording), "twice-1@350ms"), "--missing twice-1@350000 says why"),
        ((str(recording), "nix@1s"), "no SQ, arc or variable 'nix'; its outputs are twice-1"),
        ((str(tmp_path / "out.jsonl"), "twice-1@1s"), "run again with `--record FILE.mcap`"),
        ((str(recording), "twice-1@300ms", "-o", str(tmp_path / "none" / "x.svg")), "cannot be written"),
    ):
        error = ticktalk("explain", *command).exception
        assert isinstance(error, TTError) and told in str(error)
    for command in ((str(recording),), (str(recording), "twice-1"), (str(recording), "twice-1@soon")):
        assert ticktalk("explain", *command).exit_code == 2
