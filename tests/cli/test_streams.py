"""Results go to stdout as long as it has a reader; tables are whole; nothing in a text is markup."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import ticktalk
from ticktalk.cli import tables
from ticktalk.cli.streams import say, say_lines

TICKTALK = [sys.executable, "-m", "ticktalk"]

ENDLESS = """\
from ticktalk import STREAMify, SQify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    return same(src(trigger, TTPeriod=1000))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "prog.py"
    path.write_text(ENDLESS)
    return path


@pytest.mark.parametrize("hosts", [[], ["--ensemble", "a", "--network-delay", "1ms"]])
@pytest.mark.parametrize("jsonl", [["--jsonl"], []])
def test_a_reader_that_goes_away_ends_a_simulation_quietly(program: Path, jsonl: list[str], hosts: list[str]) -> None:
    command = [*TICKTALK, "simulate", "--until", "100000s", *jsonl, *hosts, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert "same-1" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""


ORDERED = """\
from ticktalk import STREAMify, SQify, GRAPHify, TTConstraint
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def same(x):
    if x == 2:
        print("two")
    return 1 // (x - 4)
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        return same(src(trigger, TTPeriod=100_000))
"""


def test_results_and_all_else_in_one_pipe_are_in_order(program: Path, tmp_path: Path) -> None:
    program.write_text(ORDERED)
    (tmp_path / "events.yaml").write_text("- {at: 650ms, fail: a}\n- {at: 1050ms, recover: a}\n")
    command = [*TICKTALK, "simulate", "--until", "1300ms", "--events", str(tmp_path / "events.yaml"), str(program)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    lines = done.stdout.splitlines()
    assert [line.split(")")[0] for line in lines[:4]] == [
        "[75ms, 125ms",
        "[same-1] two",
        "[175ms, 225ms",
        "[275ms, 325ms",
    ]
    assert "ZeroDivisionError" in lines[4] and lines[5].startswith("[475ms, 525ms)")
    assert lines[7] == "650ms: 'a' fails"
    back = lines.index("1.05s: 'a' joins")
    assert not any(line.startswith("[") for line in lines[7:back]) and lines[back + 2].startswith("[")


def test_results_of_a_run_come_as_they_are_made_and_a_reader_that_goes_away_ends_it(program: Path) -> None:
    program.write_text(ENDLESS.replace("1000", "500_000"))
    command = [*TICKTALK, "run", "--until", "100s", "--jsonl", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        began = time.monotonic()
        assert "same-1" in process.stdout.readline()
        assert time.monotonic() - began < 30, "8 kB of results take 40 s"
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--until", "1s", "PROGRAM"],
        ["run", "--until", "1s", "--workers", "0", "PROGRAM"],
        ["draw", "--show-code", "PROGRAM"],
        ["--version"],
        ["--help"],
    ],
)
def test_a_full_disk_under_stdout_is_one_line(program: Path, arguments: list[str]) -> None:
    given = [str(program) if argument == "PROGRAM" else argument for argument in arguments]
    done = ticktalk(*given, stdout="/dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: the results cannot be written to stdout: No space left on device\n"


@pytest.mark.parametrize("closed", [(1,), (0, 1, 2), (0,), (2,)])
def test_streams_that_are_closed(program: Path, tmp_path: Path, closed: tuple[int, ...]) -> None:
    done = subprocess.run(
        [*TICKTALK, "simulate", "--until", "3ms", "--log", str(tmp_path / "log"), str(program)],
        preexec_fn=lambda: [os.close(number) for number in closed],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == (1 in closed)
    assert "Traceback" not in done.stderr and ("Bad file descriptor" in done.stderr) == (closed == (1,))
    assert [json.loads(row)["value"] for row in (tmp_path / "log").read_text().splitlines()] == [1, 1]


def test_a_reader_that_stands_still_holds_up_no_run(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(ENDLESS.replace("return 1", "return 'x' * 10_000").replace("=1000", "=10_000"))
    command = [*TICKTALK, "run", "--workers", "0", "--jsonl", "--log", str(tmp_path / "log")]
    with subprocess.Popen([*command, str(tmp_path / "prog.py")], stdout=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 60
            while not (log := tmp_path / "log").exists() or log.stat().st_size < 200_000:  # a pipe holds 64 KB
                assert time.monotonic() < until, "it goes on while nobody reads"
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        rows = process.stdout.read().splitlines()
        assert process.wait(60) == 0
    logged = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert len(rows) > 10 and [json.loads(row)["start"] for row in rows] == [entry["start"] for entry in logged]


def test_a_stderr_that_takes_nothing_is_no_error_of_a_body(tmp_path: Path) -> None:
    talks = ENDLESS.replace("    return x\n", "    print('x')\n    return x\n")
    (tmp_path / "prog.py").write_text(talks)
    with open("/dev/full", "w") as full:
        command = [*TICKTALK, "simulate", "--strict", "--until", "3ms", str(tmp_path / "prog.py")]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, timeout=120)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 2


STATUS = {
    "manager": "m",
    "ensembles": [
        {
            "name": "[/dev/video0]",
            "address": "\x1b[2J",
            "direct": True,
            "components": ["[bold]c[/bold]", ":smile:"],
            "cores": 2,
            "clock_offset_us": 0,
            "clock_uncertainty_us": 1,
            "heard_us_ago": 0,
            "refused": {},
        }
    ],
    "graphs": [],
    "errors": 1,
    "latest_errors": ["prog.py:3: OSError: [/dev/video0] busy\r\x1b[A", "y" * 300],
}


def test_a_status_shows_any_text_whole(capsys: pytest.CaptureFixture[str]) -> None:
    screen = tables.terminal()
    for shown in tables.status_tables(STATUS):
        screen.print(shown)
    text = capsys.readouterr().out
    for whole in ("[/dev/video0] busy\\r\\x1b[A", "[bold]c[/bold], :smile:", "\\x1b[2J", "y" * 300):
        assert whole in text
    assert "\x1b" not in text and "\r" not in text


def test_a_message_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise what a body prints in another thread, or in a worker, could come before the end of its line."""
    written: list[str] = []

    class Notes(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Notes())
    say("one")
    say_lines("two\nthree")
    assert written == ["one\n", "two\nthree\n"]


def test_every_message_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", told := io.StringIO())
    say("one\ntwo\x1b[31m")
    assert told.getvalue() == "one\\ntwo\\x1b[31m\n"


def test_the_version_is_printed_with_the_name() -> None:
    done = subprocess.run([*TICKTALK, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("ticktalk ") and done.stdout.split()[1][0].isdigit()
