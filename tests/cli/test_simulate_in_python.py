"""`ticktalk.simulate`: a run in one line of Python, the same as the command's."""

import json
import subprocess
import sys

import pytest

import commands
import ticktalk

PROGRAM = """
import random
from ticktalk import GRAPHify, SQify, STREAMify, TTClock, TTConstraint


@STREAMify
def sample(x):
    return x + random.randint(0, 9)


@SQify
def scale(x, gain):
    if gain == 13:
        raise ValueError("unlucky")
    return {"a set": {x}, "scaled": x * gain}


@GRAPHify
def main(x, gain):
    with TTClock.root() as clock:
        s = sample(x, TTClock=clock, TTPeriod=500000, TTPhase=0, TTDataIntervalWidth=100000)
        with TTConstraint(name="far"):
            return scale(s, gain)
"""

CAMERA = """
from ticktalk import GRAPHify, STREAMify, TTClock, TTConstraint, component


@STREAMify
def look(trigger):
    return component("camera").frame()


@GRAPHify
def main(trigger):
    with TTClock.root() as clock:
        with TTConstraint(name="edge", components=["camera"]):
            return look(trigger, TTClock=clock, TTPeriod=1000000, TTPhase=0, TTDataIntervalWidth=100000)
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "prog.py"
    path.write_text(PROGRAM)
    return path


def test_outputs_are_those_of_the_command(program):
    line = ["simulate", str(program), "--until", "2s", "--seed", "3", "--input", "x=1", "--input", "gain=2"]
    told = commands.ticktalk(*line, "--network-delay", "5ms", "--jsonl")
    found = ticktalk.simulate(program, until="2s", seed=3, input={"x": 1, "gain": 2}, network_delay="5ms")
    assert [token.row() for token in found.outputs] == [json.loads(row) for row in told.stdout.splitlines()]
    assert len(found.outputs) == 3
    assert found.values[0]["a set"] == {found.values[0]["scaled"] // 2}, "values are Python's own, not text"
    assert [row["arrival"] - row["start"] for row in found.rows()] == [5_000 + 50_000] * 3


def test_errors_and_counters_are_kept(program):
    found = ticktalk.simulate(str(program), until="1s", input={"x": 1, "gain": 13})
    assert found.outputs == []
    assert ["ValueError: unlucky" in error.exception for error in found.errors] == [True]
    assert found.counters == {"scale-1": {"errors": 1}}
    assert repr(found) == "<0 outputs of 'prog', 1 of firings failed>"


def test_a_driver_object_is_used(tmp_path):
    class Camera:
        def frame(self):
            return "a frame"

    path = tmp_path / "watch.py"
    path.write_text(CAMERA)
    assert ticktalk.simulate(path, until="2s", component={"edge.camera": Camera()}).values == ["a frame"]


def test_wrong_arguments_are_named(program):
    with pytest.raises(ticktalk.TTError, match="--until 0s: nothing runs in no time: give a longer one"):
        ticktalk.simulate(program, until="0s")
    with pytest.raises(ticktalk.TTError, match="'20' is no duration: write a number and a unit"):
        ticktalk.simulate(program, until="20", input={"x": 1, "gain": 2})
    with pytest.raises(ticktalk.TTError, match="until=3: write a text with its unit, such as until='10s'"):
        ticktalk.simulate(program, until=3, input={"x": 1, "gain": 2})
    for given, told in (
        ({"ensemble": "far"}, r"ensemble='far': write a list of texts"),
        ({"component": ["far.x=m:f"]}, r"component=\['far.x=m:f'\]: write a dict, such as component={'NAME'"),
        ({"events": [{"at": "1s", "fail": "far"}]}, r"events=.*: write the name of a file"),
        ({"seed": -1}, r"seed=-1: write a whole number from 0 to 4294967295"),
        ({"input": "x=1"}, r"input='x=1': write a dict"),
        ({"input": {1: 2}}, r"1 is no input \(the inputs of graph 'prog': x, gain\)"),
    ):
        with pytest.raises(ticktalk.TTError, match=told):
            ticktalk.simulate(program, until="1s", **{"input": {"x": 1, "gain": 2}, **given})
    with pytest.raises(ticktalk.TTError, match="has no end"):
        ticktalk.simulate(program, input={"x": 1, "gain": 2})
    with pytest.raises(ticktalk.TTInputError, match="gain"):
        ticktalk.simulate(program, until="1s", input={"x": 1})
    with pytest.raises(ticktalk.TTError, match=r"component 'camera': name it ENSEMBLE\.NAME"):
        ticktalk.simulate(program, until="1s", input={"x": 1, "gain": 2}, component={"camera": 1})


WITHOUT_MCAP = "import sys; sys.modules['mcap'] = None; from ticktalk.cli.main import main; main()"


def test_a_recording_without_its_library_is_one_line(program, tmp_path):
    file = tmp_path / "x.mcap"
    file.write_bytes(b"\x89MCAP0\r\n")
    words = ["simulate", str(program), "--until", "1s", "--input", "x=1", "--input", "gain=2", "--record", str(file)]
    for command in (words, ["export", str(file), "--to", "csv"], ["replay", str(file)]):
        line = [sys.executable, "-c", WITHOUT_MCAP, *command]
        told = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert (told.returncode, told.stdout) == (1, ""), command
        assert told.stderr in {
            "error: --record needs mcap: pip install 'ticktalk[record]'\n",
            "error: a recording needs mcap: pip install 'ticktalk[record]'\n",
        }, command
