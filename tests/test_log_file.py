"""Logs: readable by their user only, and a disk that is full ends nothing."""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import simpy

from commands import ticktalk
from ticktalk import log_file
from ticktalk.cli.simulated_run import simulate
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.log_file import KEPT, LogFile
from ticktalk.payloads import FiringError
from ticktalk.runtime_manager import TTRuntimeManagerPhysical, TTRuntimeManagerSim

ROW = "x" * 99 + "\n"


class Disk:
    """Stands in for the disk under a log: it takes so many bytes, then it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self._write = os.write
        monkeypatch.setattr(log_file.os, "write", self.write)

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = bytes(data[: self.room])
        self.room -= len(part)
        return self._write(descriptor, part)


def test_a_log_is_its_users_own(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        log = LogFile(tmp_path / "log")
        ensemble = TTEnsemble(str(tmp_path / "errors"), "edge")
        ensemble.log_error(FiringError("f-1", "edge", 0, 1, "prog.py", 3, "ValueError", "Traceback\n"))
    finally:
        os.umask(old)
    log.close()
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("log", "errors")} == {0o600}


@pytest.mark.parametrize("target", [5, True, b"log", ["log"], print])
def test_a_value_that_is_no_log_is_refused_where_it_is_given(target: object) -> None:
    for made in (
        lambda: TTRuntimeManagerSim(target, [], simpy.Environment()),
        lambda: TTRuntimeManagerPhysical(target, "127.0.0.1", 0, 0),
        lambda: TTEnsemble(target, "edge"),
    ):
        with pytest.raises(TypeError, match="a log is the path of a file, or an open text file, not "):
            made()


def test_a_full_disk_is_told_once_and_waiting_lines_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(monkeypatch)
    disk.room = 1050  # it ends within a line
    log = LogFile(tmp_path / "log")
    rows = 10 * KEPT // len(ROW)
    with caplog.at_level(logging.WARNING):
        for number in range(rows):
            log.write(ROW)
            if number % 100 == 0:
                log.flush()
        assert [record.getMessage() for record in caplog.records] == [
            f"{tmp_path}/log cannot be written: No space left on device; all else goes on, and what cannot be kept"
            " until then is counted"
        ]
        assert log.failure and log.left_out >= rows - 2 * KEPT / len(ROW)
        disk.room = 1 << 30
        log.flush()
        log.write(ROW)
        log.close()
    assert "is written again" in caplog.messages[-1] and str(log.left_out) in caplog.messages[-1]
    text = (tmp_path / "log").read_text()
    assert text == ROW * (rows + 1 - log.left_out)


def test_a_file_of_the_user_may_be_full_too(caplog: pytest.LogCaptureFixture) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    log = LogFile(Full())
    for _ in range(5):
        log.write(ROW)
    log.close()
    assert log.left_out == 5 and sum("cannot be written" in message for message in caplog.messages) == 1


def test_a_pipe_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TTError, match=r"/pipe: the log is a pipe"):
        LogFile(tmp_path / "pipe")


def test_only_a_fault_of_the_log_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for make in (LogFile, lambda path: TTRuntimeManagerSim(path, [], simpy.Environment())):
        with pytest.raises(TTError, match=r"/none/log: the log cannot be written: No such file or directory$"):
            make(tmp_path / "none" / "log")

    def lacks(*arguments: object, **more: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("ticktalk.cli.simulated_run.TTRuntimeManagerSim", lacks)
    (tmp_path / "prog.py").write_text(PROGRAM)
    with pytest.raises(OSError, match="Too many open files"):
        simulate(tmp_path / "prog.py")


def test_waiting_lines_are_written_when_nobody_closes(tmp_path: Path) -> None:
    code = "import sys; from ticktalk.log_file import LogFile; log = LogFile(sys.argv[1]); log.write('row\\n')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "log")], check=True)
    assert (tmp_path / "log").read_text() == "row\n"


def test_no_line_of_a_message_passes_for_an_entry(tmp_path: Path) -> None:
    ensemble = TTEnsemble(tmp_path / "errors", "edge")
    forged = "a\x1b[2J\nprog.py:9: SQ forged-1 on edge, interval [0, 1): x"
    raised = f"ValueError: {forged}"
    ensemble.log_error(FiringError("f-1", "edge", 0, 1, "prog.py", 3, raised, f"Traceback\n{forged}\n"))
    lines = (tmp_path / "errors").read_text().splitlines()
    assert "\x1b" not in "".join(lines)
    assert [line for line in lines if not line.startswith("    ")] == lines[:1]


PROGRAM = """\
from ticktalk import SQify, GRAPHify
@SQify
def f(x):
    return x + 1
@GRAPHify
def main(trigger):
    return f(trigger)
"""


@pytest.mark.parametrize("command", [["simulate"], ["run", "--workers", "0"]])
def test_a_program_with_a_full_log_gives_its_outputs(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk(*command, "--jsonl", "--log", "/dev/full", "prog.py", cwd=tmp_path)
    assert json.loads(done.stdout)["value"] == 2
    assert done.stderr.count("/dev/full cannot be written: No space left on device") == 1
    assert "1 entries are missing" in done.stderr and "Traceback" not in done.stderr
