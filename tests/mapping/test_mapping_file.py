"""The mapping file: its entries, every mistake with its line, and the commands that read it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from ticktalk.cli.simulate import simulate
from ticktalk.errors import TTError
from ticktalk.mapping.mapping_file import parse_mapping, read_mapping

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)

PROGRAM = """\
from ticktalk import SQify, GRAPHify, TTConstraint
@SQify
def look(x):
    return x
@SQify
def show(x):
    component("screen")
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="edge"):
        a = look(trigger)
    return show(look(a))
"""
GOOD = {"look-1": "edge", "look-2": "far", "show-1": "rsu"}


def test_a_mapping_is_read_alone_or_as_map_writes_it() -> None:
    bare = parse_mapping('\ufeff{"a-1": "x",\n "b\\u002d1"\t:"y"}'[1:])
    assert bare.mapping == {"a-1": "x", "b-1": "y"}
    assert bare.lines == {"a-1": 1, "b-1": 2}
    whole = parse_mapping('{"latency": [1, {"a-1": 0}],\n "mapping":\n {"a-1": "x"}, "schedule": []}')
    assert (whole.mapping, whole.lines, whole.line) == ({"a-1": "x"}, {"a-1": 3}, 3)
    assert parse_mapping('{"mapping": "x"}').mapping == {"mapping": "x"}  # an SQ may be called so
    assert parse_mapping("{}").mapping == {}


MISTAKES = {
    " \n": [(1, "the file is empty")],
    # From Python 3.13 on the comma is the mistake; before, it was what follows.
    '{"a": "x",\n "b": "y",\n}': [(3 - (sys.version_info >= (3, 13)), "not JSON: ")],
    '{"a": "x"\n "b": "y"}': [(2, "not JSON: Expecting ',' delimiter")],
    "a: x": [(1, "not JSON: ")],
    "\n\n[1]": [(3, 'a mapping is an object such as {"fuse-1": "rsu"}, not a list')],
    '"x"': [(1, 'not "x"')],
    "[" * 100_000: [(1, "a mapping is an object")],
    "{" + '"a":' + "9" * 5000 + "}": [(1, "a mapping is an object")],
    '{\n"a": "x",\n"b": 5,\n"a": "y",\n"c": ["x"],\n"d": null,\n"e": "x y", "f": ""}': [
        (3, 'b: an ensemble is named by a text such as "rsu", not 5'),
        (4, "a: is there twice, first on line 2"),
        (5, 'c: an ensemble is named by a text such as "rsu", not a list'),
        (6, "not null"),
        (7, "'x y' is no name for an ensemble"),
        (7, "'' is no name for an ensemble"),
    ],
    '{"mapping": {"a": "x"},\n"mapping": {"a": "y"}}': [(2, "`mapping` is there twice")],
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text[:12])
def test_every_mistake_has_its_line(text: str) -> None:
    with pytest.raises(TTError) as error:
        parse_mapping(text, "m.json")
    lines = str(error.value).splitlines()
    assert len(lines) == len(MISTAKES[text]), lines
    for number, what in MISTAKES[text]:
        assert any(line.startswith(f"m.json:{number}: error: ") and what in line for line in lines), (what, lines)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TTError, match="the mapping file cannot be read: No such file"):
        read_mapping(tmp_path / "none.json")
    (tmp_path / "m.json").write_bytes(b'{"a":\n"\xff"}')
    with pytest.raises(TTError, match=r"m\.json:2: error: not UTF-8"):
        read_mapping(tmp_path / "m.json")


def simulated(folder: Path, mapping: str, *options: str) -> Result:
    (folder / "prog.py").write_text(PROGRAM)
    (folder / "m.json").write_text(mapping)
    arguments = [str(folder / "prog.py"), "--mapping", str(folder / "m.json"), "--log", str(folder / "log"), *options]
    return CliRunner().invoke(app, arguments)


DRIVER = ["--component", "rsu.screen=builtins:list"]


def test_the_ensembles_of_a_mapping_are_made_up(tmp_path: Path) -> None:
    result = simulated(tmp_path, json.dumps(GOOD), *DRIVER)
    assert result.exit_code == 0
    row = json.loads((tmp_path / "log").read_text())
    assert (row["sq"], row["ensemble"], row["value"]) == ("show-1", "rsu", 1)


def test_the_ensemble_of_the_manager_may_host(tmp_path: Path) -> None:
    result = simulated(tmp_path, json.dumps(GOOD | {"look-2": "runtime-manager"}), *DRIVER)
    assert result.exit_code == 0


def test_a_mapping_for_another_graph_is_refused(tmp_path: Path) -> None:
    bad = '{\n"look-1": "rsu",\n"lok-2": "edge",\n"show-1": "edge"}'
    result = simulated(tmp_path, bad, "--ensemble", "edge", "--ensemble", "rsu=screen")
    assert isinstance(result.exception, TTError)
    said = str(result.exception).replace(str(tmp_path / "m.json"), "m.json").splitlines()
    assert said == [
        "m.json:1: error: look-2: the mapping gives it no ensemble",
        "m.json:2: error: look-1: 'rsu' is not 'edge' (wants the ensemble 'edge')",
        "m.json:3: error: lok-2: the graph 'prog' has no such SQ; did you mean `look-2`?",
        "m.json:4: error: show-1: 'edge' has no component 'screen' (wants the component 'screen')",
    ]


def test_a_missing_ensemble_is_reported(tmp_path: Path) -> None:
    result = simulated(tmp_path, json.dumps(GOOD), "--ensemble", "edge", "--ensemble", "rsu=screen")
    assert "m.json:1: error: look-2: mapped to 'far', which is no ensemble of this run" in str(result.exception)
