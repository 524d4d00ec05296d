"""`--record FILE.mcap`: the run is as without it, and the file holds it."""

from __future__ import annotations

import json
from pathlib import Path

from mcap.reader import make_reader

from commands import ticktalk
from programs import HEAD
from ticktalk.recording.mcap_file import read_recording
from ticktalk.records import Sent
from ticktalk.values.codec import decode_value

PROGRAM = (
    HEAD
    + """
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = count(trigger, TTPeriod=ms(100))
    with TTConstraint(name="b"):
        return x + 1
"""
)


def test_a_recording_that_cannot_be_written_is_the_error_with_a_trace_too(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    files = ["--record", str(tmp_path / "none" / "x.mcap"), "--trace", str(tmp_path / "t.pftrace")]
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "1s", *files)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "cannot be read" not in done.stderr
    same = ["--record", str(tmp_path / "x.mcap"), "--trace", str(tmp_path / "x.mcap")]
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "1s", *same)
    assert done.returncode == 1 and "that is the file of --record" in done.stderr


def simulate(folder: Path, *more: str) -> tuple[str, str]:
    program = folder / "prog.py"
    program.write_text(PROGRAM)
    command = ["simulate", str(program), "--until", "1s", "--network-delay", "5ms", *more]
    done = ticktalk(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return done.stdout, done.stderr


def test_a_simulation_is_recorded_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    assert simulate(tmp_path, "--record", str(path)) == simulate(tmp_path)
    recording = read_recording(path)
    assert recording.lacks == []
    assert recording.setups[0].options == {"until": "1s", "network-delay": "5ms"}
    sent = [(ensemble, each) for ensemble, each in recording.records() if isinstance(each, Sent)]
    assert [(ensemble, each.tick, decode_value(each.value)) for ensemble, each in sent if each.sq == "ADD-1"] == [
        ("b", 100_000 * n + 5_000, n + 1) for n in range(1, 10)
    ]


def test_a_folder_that_is_not_there_is_told_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    path = tmp_path / "gone" / "run.mcap"
    done = ticktalk("simulate", str(tmp_path / "prog.py"), "--until", "1s", "--record", str(path))
    assert done.returncode == 1 and "cannot be written" in done.stderr and not done.stdout


def test_many_runs_are_not_recorded(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    (tmp_path / "runs.yaml").write_text("until: 1s\n")
    arguments = ["simulate", str(tmp_path / "prog.py"), "--runs", str(tmp_path / "runs.yaml"), "--record", "x.mcap"]
    done = ticktalk(*arguments)
    assert done.returncode == 2 and "--record is for one run" in done.stderr


def test_the_manager_alone_records_outputs(tmp_path: Path) -> None:
    """The file is whole for other tools, and says that it has outputs only."""
    path, log = tmp_path / "out.mcap", tmp_path / "out.jsonl"
    assert simulate(tmp_path, "--record-outputs", str(path), "--log", str(log)) == simulate(tmp_path)
    with open(path, "rb") as file:
        messages = [json.loads(m.data) for _, c, m in make_reader(file).iter_messages() if c.topic == "prog/ADD-1/0"]
    assert [(row["value"], row["start"], row["number"]) for row in messages] == [
        (n + 1, 100_000 * n - 25_000, n) for n in range(1, 10)
    ]
    assert [row["value"] for row in map(json.loads, log.read_text().splitlines())] == [n + 1 for n in range(1, 10)]
    recording = read_recording(path)
    assert recording.setups[0].outputs_only
    assert recording.lacks == ["all but the outputs: only the manager recorded (--record-outputs)"]
    done = ticktalk("replay", str(path))
    assert done.returncode == 1 and "this recording has outputs only" in done.stderr


def test_a_run_without_outputs_is_recorded_too(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk(
        "simulate", str(tmp_path / "prog.py"), "--until", "50ms", "--record-outputs", str(tmp_path / "out.mcap")
    )
    assert done.returncode == 0, done.stderr
    assert read_recording(tmp_path / "out.mcap").setups[0].name == "prog"


def test_two_options_do_not_name_one_file(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    for command in ("simulate", "run"):
        both = ["--log", str(tmp_path / "x"), "--record", str(tmp_path / "." / "x")]
        done = ticktalk(command, str(tmp_path / "prog.py"), "--until", "1s", *both)
        assert done.returncode == 1 and "that is the file of --record, which would be lost" in done.stderr
        assert not (tmp_path / "x").exists()
