"""`ticktalk map`: the table, the JSON, the file for `--mapping`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ticktalk.cli.map import map_command
from ticktalk.errors import TTError
from ticktalk.mapping.mapping_file import read_mapping

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(map_command)

PROGRAM = """\
from ticktalk import SQify, GRAPHify
@SQify
def look(x):
    component("camera")
    return x
@SQify
def fuse(x):
    return x
@GRAPHify
def main(trigger):
    return fuse(look(trigger))
"""
DEPLOYMENT = """\
ensembles:
  - {name: edge, components: [camera]}
  - {name: rsu, speed: 4}
links:
  - default: {latency: 500us, bandwidth: 1MB/s}
costs:
  look: {time: 1ms, bytes: 250B}
  fuse: {time: 6ms}
"""
MAPPING = {"look-1": "edge", "fuse-1": "rsu"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "d.yaml").write_text(DEPLOYMENT)
    return str(tmp_path / "prog.py"), str(tmp_path / "d.yaml")


def test_the_mapping_as_json_has_its_schedule_and_objective(files: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, [files[0], "--deployment", files[1], "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "mapping": MAPPING,
        "schedule": [
            {"sq": "look-1", "ensemble": "edge", "start": 0, "end": 1000},
            {"sq": "fuse-1", "ensemble": "rsu", "start": 1750, "end": 3250},
        ],
        "objective": "latency",
        "latency": 3250,
        "balance": 1500,
        "bound": 3250,
        "proven": True,
        "use": {},
    }


def test_the_table_has_a_row_for_each_sq_with_its_times(files: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, [files[0], "--deployment", files[1], "--objective", "balance"])
    assert result.exit_code == 0
    rows = [line.split("│")[1:-1] for line in result.stdout.splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["edge", "look-1", "1ms", "1ms"],
        ["rsu", "fuse-1", "1.5ms", "3.25ms"],
    ]
    assert result.stdout.splitlines()[-1] == "balance: 1.5ms (proven: no mapping is better)"


def test_the_file_is_a_mapping_for_deploy(files: tuple[str, str], tmp_path: Path) -> None:
    made = tmp_path / "m.json"
    assert CliRunner().invoke(app, [files[0], "--deployment", files[1], "-o", str(made)]).exit_code == 0
    assert read_mapping(made).mapping == MAPPING


def test_mistakes_are_reported(files: tuple[str, str], tmp_path: Path) -> None:
    for option in (["--strategy", "best"], ["--objective", "cost"], ["--time-limit", "5"], ["--time-limit", "0s"]):
        assert CliRunner().invoke(app, [files[0], "--deployment", files[1], *option]).exit_code == 2
    (tmp_path / "d.yaml").write_text(DEPLOYMENT.replace("camera", "lidar"))
    result = CliRunner().invoke(app, [files[0], "--deployment", files[1]])
    assert isinstance(result.exception, TTError)
    assert "'edge' has no component 'camera'" in str(result.exception)
