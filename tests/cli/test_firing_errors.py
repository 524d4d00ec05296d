"""An error of a body is told with its way through the user's modules, once; truth is Python's own traceback."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from pathlib import Path

import pytest
import simpy

from ticktalk.cli.firing_errors import KEPT, FiringErrors
from ticktalk.language.compiler import compile_program
from ticktalk.payloads import FiringError
from ticktalk.runtime_manager import TTRuntimeManagerSim

HELPER = """\
def divide(a, b):
    return a / b
def chain(x):
    try:
        return divide(x, 0)
    except ZeroDivisionError as error:
        raise ValueError("two\\n    lines") from error
"""
PROGRAM = """\
from ticktalk import *
import helper_of_errors as helper
from rooms_of_errors.attic import open_box
@STREAMify
def s(trigger): return 1
@SQify
def f(x):
    {body}
def inner(x):
    return helper.divide(x, 0)
@GRAPHify
def main(trigger):
    return f(s(trigger, TTPeriod=100_000))
"""


def told(folder: Path, body: str) -> None:
    """Simulate three firings of a program, and tell their errors."""
    (folder / "prog.py").write_text(PROGRAM.format(body=body))
    (folder / "helper_of_errors.py").write_text(HELPER)
    (folder / "rooms_of_errors").mkdir(exist_ok=True)
    (folder / "rooms_of_errors" / "attic.py").write_text("from helper_of_errors import divide as open_box\n")
    errors = FiringErrors()
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.on_error(errors.add)
    graph = compile_program(folder / "prog.py")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(350_000)
    errors.tell_repeats()


def in_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files and lines of the traceback that Python gives, causes first."""
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if "_of_errors" in name]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location("prog_of_errors", folder / "prog.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        module.f(1)
    except Exception as error:
        chain: list[BaseException] = [error]
        while chain[0].__cause__ is not None:
            chain.insert(0, chain[0].__cause__)
        frames = [frame for each in chain for frame in traceback.extract_tb(each.__traceback__)]
        return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if frame.filename != __file__]
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    "body", ["return helper.divide(x, 0)", "return inner(x)", "return open_box(x, 0)", "return helper.chain(x)"]
)
def test_the_way_to_an_error_is_told_once(
    body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(tmp_path, body)
    first, *way, repeats = capsys.readouterr().err.splitlines()
    place = re.match(r"prog\.py:\d+: SQ f-1 on runtime-manager(?=, interval )", first)
    assert place is not None
    shown = re.findall(r"^  (\S+:\d+), in \w+$", "\n".join(way), re.MULTILINE)
    assert [place for place in shown if place != "prog.py:13"] == in_python(tmp_path, monkeypatch)
    assert "prog.py:13" in shown, "the line at which the SQ is used"
    what = first.partition(": ")[2].partition("us): ")[2]  # behind the interval
    last = "2 more, the last in interval [275ms, 325ms) (275000 to 325000us)"
    assert what and repeats == f"{place[0]}: {last}: {what}"


def test_calls_of_ours_are_no_part_of_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "late_of_errors.py").write_text("import helper_of_errors\nhelper_of_errors.divide(1, 0)\n")
    told(tmp_path, "return inner_import()\ndef inner_import():\n    import late_of_errors")
    shown = re.findall(r"^  (\S+:\d+), in", capsys.readouterr().err, re.MULTILINE)
    frames = ["prog.py:15", "prog.py:8", "prog.py:10", "late_of_errors.py:2", "helper_of_errors.py:2"]
    assert [place for place in shown if "importlib" not in place] == frames


def test_an_error_whose_line_says_it_all_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(tmp_path, "raise KeyError(7)")
    first, repeats = capsys.readouterr().err.splitlines()
    assert first.endswith("KeyError: 7") and repeats.endswith("KeyError: 7") and ": 2 more, " in repeats


def test_errors_with_texts_of_their_own_are_told_each(capsys: pytest.CaptureFixture[str]) -> None:
    errors = FiringErrors()
    way = 'Traceback (most recent call last):\n  File "p.py", line 9, in p\n  File "p.py", line 1, in f\n    g()\n'
    way += '  File "h.py", line 2, in g\n    raise E\nE: '
    for number in range(KEPT + 2):
        errors.add(FiringError("f-1", "edge", 0, 1, "p.py", 1, f"E: {number}", f"{way}{number}"))
    errors.add(FiringError("f-1", "edge", 1, 2, "p.py", 1, "E: 0", f"{way}0"))
    errors.tell_repeats()
    lines = capsys.readouterr().err.splitlines()
    assert lines[1:6] == ["  p.py:9, in p", "  p.py:1, in f", "    g()", "  h.py:2, in g", "    raise E"]
    assert [line.rpartition(" ")[2] for line in lines[6:-1]] == [str(number) for number in range(1, KEPT + 2)]
    assert lines[-1] == "p.py:1: SQ f-1 on edge: 1 more, the last in interval [1us, 2us) (1 to 2us): E: 0"
