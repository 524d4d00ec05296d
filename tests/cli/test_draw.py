"""`ticktalk draw --regions` and `--show-code`: SQs that run as one piece, as a picture and as text."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ticktalk.cli.main import app_of

PROGRAM = """\
from ticktalk import GRAPHify, SQify, STREAMify, TTConstraint

@STREAMify
def src(trigger):
    return 1

@SQify
def fuse(a, b):
    return a + b

@GRAPHify
def main(trigger):
    a = src(trigger, TTPeriod=1000)
    b = src(trigger, TTPeriod=1000)
    with TTConstraint(name="rsu"):
        c = fuse(a, 3)
    return fuse(a, b), fuse(src(trigger, TTPeriod=700), a), c
"""


def draw(folder: Path, program: str, *options: str) -> str:
    path = folder / "prog.py"
    path.write_text(program, encoding="utf-8")
    done = CliRunner().invoke(app_of(["draw"]), ["draw", str(path), *options])
    assert done.exit_code == 0, done.output
    return done.output


NO_PLAN = PROGRAM.replace("TTPeriod=700", "TTPeriod=700_001")
"""The common period has too many events, and arcs join all SQs."""

APART = (
    PROGRAM[: PROGRAM.index("    a = src")]
    + """\
    x = fuse(src(trigger, TTPeriod=7001), 1)
    y = fuse(src(trigger, TTPeriod=7003), 2)
    z = fuse(src(trigger, TTPeriod=7001), 3)
"""
)
"""The common period has too many events, but there are three parts, two of them of one period."""


def groups_of(tmp_path: Path, program: str) -> dict[str, list[str]]:
    picture = tmp_path / "prog.dot"
    draw(tmp_path, program, "-o", str(picture), "--regions")
    groups: dict[str, list[str]] = {}
    name = ""
    for line in picture.read_text(encoding="utf-8").splitlines():
        if line.startswith("    graph [label="):
            name = line.split('"')[1]
        elif line.startswith("    sq"):
            groups.setdefault(name, []).append(line.split("<B>")[1].split("</B>")[0])
    return groups


def test_the_groups_of_the_picture_are_what_runs_as_one_function(tmp_path: Path) -> None:
    found = groups_of(tmp_path, PROGRAM)
    assert found == {
        "period of 7ms": ["src-1", "src-2", "fuse-2", "src-3", "fuse-3", "TUPLE-1"],
        "period of 7ms, on rsu": ["fuse-1"],
    }
    draw(tmp_path, PROGRAM, "-o", str(tmp_path / "prog.svg"), "--regions")
    text = (tmp_path / "prog.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "period of 7ms" in text
    assert groups_of(tmp_path, NO_PLAN) == {"rsu": ["fuse-1"]}


def test_the_code_is_shown_with_the_lines_of_the_program(tmp_path: Path) -> None:
    text = draw(tmp_path, PROGRAM, "--show-code")
    tree = ast.parse(text)
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["loop"]
    assert "# A period of 7ms: 52 events of 7 of 7 SQs" in text and "# fuse-2, line 17" in text
    text = draw(tmp_path, NO_PLAN, "--show-code")
    assert "\nno plan over a common period: a common period has more than 4000 events" in f"\n{text}"
    text = draw(tmp_path, APART, "--show-code")
    tree = ast.parse(text)
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] == ["loop", "loop", "loop"]
    assert text.count("# A period of 7.001ms: 2 events of 2 of 6 SQs") == 2 and "# A period of 7.003ms" in text
    assert groups_of(tmp_path, APART) == {
        "part 1, period of 7.001ms": ["src-1", "fuse-1"],
        "part 2, period of 7.003ms": ["src-2", "fuse-2"],
        "part 3, period of 7.001ms": ["src-3", "fuse-3"],
    }


def test_a_graph_without_a_plan_says_so(tmp_path: Path) -> None:
    program = PROGRAM.replace("TTPeriod=", "TTFirstInstanceDelay=5, TTPeriod=")
    assert "; every SQ of this graph runs on the general engine" in draw(tmp_path, program, "--show-code")


@pytest.mark.parametrize("options", [[], ["-o", "prog.png"]])
def test_an_unclear_request_to_draw_is_an_error(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "prog.py"
    path.write_text(PROGRAM, encoding="utf-8")
    assert CliRunner().invoke(app_of(["draw"]), ["draw", str(path), *options]).exit_code == 2


NESTED = """\
from ticktalk import *
@SQify
def double(x): return 2 * x
@GRAPHify
def room(a, b):
    x = double(a)
    return double(x), double(b)
@GRAPHify
def main(trigger):
    p, q = room(trigger, double(trigger))
    s, _ = room(q, p, TTName="hall")
    return double(s)
"""


@pytest.mark.parametrize("ending", ["svg", "dot", "mmd"])
def test_a_called_graph_is_a_box_and_collapses_to_a_node(tmp_path, ending):
    picture = tmp_path / f"graph.{ending}"
    draw(tmp_path, NESTED, "-o", str(picture))
    opened = picture.read_text(encoding="utf-8")
    draw(tmp_path, NESTED, "--collapse", "-o", str(picture))
    folded = picture.read_text(encoding="utf-8")
    assert "room-1/double-1" in opened and "hall/double-3" in opened
    assert "room-1/double" not in folded and "room-1" in folded and "hall" in folded
    assert len(folded) < len(opened)


def test_an_arc_that_enters_a_folded_graph_is_one_line(tmp_path):
    program = NESTED.replace("return double(x), double(b)", "return double(a), double(a)")
    picture = tmp_path / "graph.mmd"
    draw(tmp_path, program, "--collapse", "-o", str(picture))
    folded = picture.read_text(encoding="utf-8").splitlines()
    lines = [line for line in folded if "-->" in line]
    assert len(lines) == len(set(lines)) and sum("in0" in line for line in lines) == 2  # into room-1, and double-1
    assert sum("a graph of 3 SQs" in line for line in folded) == 2
