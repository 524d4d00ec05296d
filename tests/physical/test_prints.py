"""The prints of bodies on devices: marked with their SQ, in threads too, and fit to be shown."""

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
@GRAPHify
def main(trigger):
    return talk(trigger)
"""
)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_prints_of_bodies_are_marked(workers: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(TALKS)
    run = Process("run", "--jsonl", "--workers", workers, "prog.py", cwd=tmp_path)
    assert run.wait() == 0, run.said
    assert len(run.out) == 1
    assert "[talk-1] printed by the body \\x1b[2J\\rforged" in run.err
    assert "[talk-1] aside" in run.err
