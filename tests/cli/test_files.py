"""Files that are none, or absurd: each is an error at once, with what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


def ticktalk(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ticktalk", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


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
