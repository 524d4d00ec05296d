"""Files that are none, or absurd: each is an error at once, with what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from commands import ticktalk
from ticktalk import input_file
from ticktalk.errors import TTError, TTGraphError
from ticktalk.graph.graph import LAST_LINE, TTGraph
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.mapping.deployment_file import read_deployment

PROGRAM = """\
from ticktalk import SQify, GRAPHify
@SQify
def f(x):
    return x + 1
@GRAPHify
def main(trigger):
    return f(trigger)
"""


@pytest.mark.parametrize("read", [compile_program, TTGraph.load, read_deployment])
def test_a_pipe_is_no_file(read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TTError, match="it is no file but a pipe"):
        read(tmp_path / "pipe")
    monkeypatch.setattr(input_file, "LARGEST_FILE", 10)
    (tmp_path / "long").write_text("# " + "x" * 10)
    with pytest.raises(TTError, match="it is longer than"):
        read(tmp_path / "long")


def test_a_graph_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    (tmp_path / "prog.json").write_bytes(b"\xef\xbb\xbf" + graph.to_json())
    assert TTGraph.load(tmp_path / "prog.json").to_json() == graph.to_json()


@pytest.mark.parametrize("line", [10**15, LAST_LINE + 1, -1])
@pytest.mark.parametrize("where", ["sqs", "functions"])
def test_a_line_that_no_file_has_is_refused(where: str, line: int) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    place: Any = graph.sqs[0] if where == "sqs" else graph.functions["f"]
    place.line = line
    content = graph.to_json()
    with pytest.raises(TTGraphError, match="a line of the program has a number that no file has"):
        TTGraph.from_json(content)


@pytest.mark.parametrize("command", [["manager"], ["ensemble", "e"], ["status"], ["outputs", "g"]])
def test_credentials_that_are_a_pipe_are_refused_at_once(command: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    where = [] if command == ["manager"] else ["--manager", "127.0.0.1:5999"]
    done = ticktalk(*command, *where, "--credentials", str(tmp_path / "pipe"))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "pipe: the credentials cannot be read: it is no file but a pipe" in done.stderr


@pytest.mark.parametrize(
    ("imported", "told"),
    [
        ("import helper", "No module named 'helper'; install what has it there, or lay 'helper' beside the program"),
        ("from helper import g", "No module named 'helper'"),
        ("import folder.helper as helper", "it is no file but a pipe"),
        ("from .helper import g", "write the import without its leading dots"),
    ],
)
def test_a_module_that_is_a_pipe_is_refused_at_once(imported: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "helper.py")
    os.mkfifo(tmp_path / "folder" / "helper.py")
    used = PROGRAM.replace("x + 1", "g(x)" if "from" in imported else "helper.g(x)")
    (tmp_path / "prog.py").write_text(f"{imported}\n{used}")
    done = ticktalk("simulate", str(tmp_path / "prog.py"))
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr


def test_a_factory_in_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "driver.py")
    (tmp_path / "prog.py").write_text(PROGRAM.replace("x + 1", 'component("c").read(x)'))
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--component", "e.c=driver:make")
    assert done.returncode == 1 and "there is no module 'driver'" in done.stderr


@pytest.mark.parametrize("option", ["--rx-port", "--tx-port"])
@pytest.mark.parametrize("command", [["manager"], ["ensemble", "e", "--manager", "127.0.0.1:5999"]])
def test_a_port_out_of_range_is_wrong_usage(command: list[str], option: str) -> None:
    done = ticktalk(*command, option, "70000")
    assert done.returncode == 2 and option in done.stderr and "65535" in done.stderr


def test_a_component_that_nobody_gave_is_one_line(tmp_path: Path) -> None:
    lines = PROGRAM.replace("return x + 1", 'return component("camera").read(x)').replace(
        "return f(trigger)", "return [f(trigger), f(trigger), f(trigger)]"
    )
    (tmp_path / "prog.py").write_text(lines)
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--ensemble", "a", "--ensemble", "b")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "camera" in line]
    assert "--component a.camera=MODULE:FACTORY" in line and "f-1 (line 7) and 2 more want" in line
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("porg.py", "; did you mean `prog.py`?"),
        (r"folder\other.py", "; write folder/other.py"),
        ("none.py", " (looked for in {folder})"),
        ("prog.ipynb", "the program is a notebook: save its cells as a Python file"),
    ],
)
def test_a_program_that_is_not_there_is_told_with_what_may_be_meant(given: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "prog.ipynb").write_text("{}")
    done = ticktalk("simulate", given, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {given}: the program ")
    assert done.stderr.rstrip().endswith(told.format(folder=tmp_path)) or told in done.stderr


@pytest.mark.parametrize(
    ("word", "told"),
    [("prog.py", "`ticktalk simulate prog.py`"), ("sim", "`simulate`"), ("drew", "`draw`"), ("zzz", "--help")],
)
def test_a_word_that_is_no_command_is_told_with_one(word: str, told: str) -> None:
    done = ticktalk(word)
    assert done.returncode == 2 and f"there is no command {word!r}" in done.stderr and told in done.stderr
