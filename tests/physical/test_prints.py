"""The prints and errors of bodies on devices: marked with their SQ, in threads too, and fit to be shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from systems import HEAD, Process

TALKS = (
    HEAD
    + """
@SQify
def talk(x):
    import sys
    print("printed by", end=" ")
    print("the body \\x1b[2J\\rforged")
    print("aside", file=sys.stderr)
    return x
@SQify
def broken(x):
    from helper import divide
    return divide(x, 0)
@GRAPHify
def main(trigger):
    broken(trigger)
    return talk(trigger)
"""
)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_prints_of_bodies_are_marked_and_errors_have_their_way(workers: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(TALKS)
    (tmp_path / "helper.py").write_text("def divide(a, b):\n    return a / b\n")
    run = Process("run", "--jsonl", "--workers", workers, "prog.py", cwd=tmp_path)
    assert run.wait() == 0, run.said
    assert len(run.out) == 1
    assert "[talk-1] printed by the body \\x1b[2J\\rforged" in run.err
    assert "[talk-1] aside" in run.err
    errors = "\n".join(run.err)
    assert errors.count("helper.py:2") == errors.count("ZeroDivisionError") == 1
