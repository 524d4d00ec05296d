"""The prints and errors of bodies on devices: marked with their SQ, in threads too, and fit to be shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from systems import HEAD, Process, alive, until

from ticktalk.physical.workers import native_output

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


NATIVE = (
    HEAD
    + """
@SQify
def writes(x):
    import os
    os.write(2, b"\\x1b[2Jraw\\xff\\n")
    os.write(1, b"y" * 30_000 + b"\\n")
    os.system("echo started by a body")
    print("printed")
    return x
@SQify
def aborts(x):
    import os
    os.write(2, b"double free")
    os.abort()
@GRAPHify
def main(trigger):
    return aborts(writes(trigger))
"""
)


@pytest.mark.parametrize("workers", ["1", "0"])
@pytest.mark.parametrize("host", ["runtime-manager", "edge"])
def test_output_of_native_code_is_marked_escaped_and_bounded(host: str, workers: str, tmp_path: Path) -> None:
    """Also where bodies run in threads: then a process of its own shows it, for this one ends by it."""
    text = NATIVE.replace("    return aborts", f'    with TTConstraint(name="{host}"):\n        return aborts')
    (tmp_path / "prog.py").write_text(text)
    run = Process("run", "--jsonl", "--workers", workers, "prog.py", cwd=tmp_path)
    try:
        mark = f"[{host}: native code] "
        until(lambda: mark + "double free" in run.err, f"its last words are seen: {run.err}")
        assert mark + "\\x1b[2Jraw\\xff" in run.err and mark + "started by a body" in run.err
        until(lambda: "[writes-1] printed" in run.err, f"it comes another way: {run.err}")
        assert "\x1b" not in run.said and max(map(len, run.err)) < 11_000
        assert [line for line in run.err if line.startswith(mark + "yyy") and "more characters" in line]
        assert not [line for line in run.out if "repr" not in line and "value" not in line]
    finally:
        family = run.family()
        run.end()
    until(lambda: not any(alive(pid) for pid in family), "nothing of it is left")


def test_results_go_on_to_stdout_while_native_code_is_marked(tmp_path: Path) -> None:
    text = NATIVE.replace("return aborts(writes(trigger))", "return writes(trigger)")
    (tmp_path / "prog.py").write_text(text)
    run = Process("run", "--jsonl", "--workers", "0", "prog.py", cwd=tmp_path)
    assert run.wait() == 0, run.said
    assert len(run.out) == 1 and '"value": 1' in run.out[0]
    assert "[runtime-manager: native code] started by a body" in run.err


def test_without_descriptors_native_output_is_not_shown_apart_and_nothing_stays_open(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(*args: Any, **keywords: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(native_output.subprocess, "Popen", none_left)
    monkeypatch.setattr(native_output, "_is_descriptor", lambda stream, number: True)
    before = set(os.listdir("/proc/self/fd"))
    with native_output.shown_apart("edge", in_threads=True):
        print("goes on")
    assert set(os.listdir("/proc/self/fd")) == before
    assert "Too many open files" in caplog.text
