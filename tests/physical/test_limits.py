"""What is too low or fails is said at once, with what to do: limits, workers that cannot start, questions."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from systems import HEAD, ONE, Process, System, repeated
from test_worker import Host

from ticktalk.cli.remote import Remote
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.physical import limits
from ticktalk.physical.workers import channels

TICKTALK = [sys.executable, "-m", "ticktalk.cli.entry"]


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    made = System()
    yield made
    made.end()


def told(arguments: list[str], limit: int, value: int, hard: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command under a limit."""

    def lower() -> None:
        resource.setrlimit(limit, (value, value if hard else resource.getrlimit(limit)[1]))

    return subprocess.run([*TICKTALK, *arguments], preexec_fn=lower, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("command", "descriptors"), [("run", 16), ("run", 30), ("manager", 30), ("ensemble", 30), ("status", 16)]
)
def test_too_few_descriptors_are_named_at_the_start(tmp_path: Path, command: str, descriptors: int) -> None:
    (tmp_path / "one.py").write_text(ONE)
    at = ["--manager", "127.0.0.1:1"]
    arguments = {"run": [str(tmp_path / "one.py")], "manager": [], "ensemble": ["edge", *at], "status": at}[command]
    done = told([command, *arguments], resource.RLIMIT_NOFILE, descriptors)
    assert done.returncode == 1 and done.stdout == ""
    assert f"this process may have {descriptors}: raise the limit with `ulimit -n 4096`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_limit_that_may_be_raised_is_raised(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE)
    done = told(["run", str(tmp_path / "one.py")], resource.RLIMIT_NOFILE, 16, hard=False)
    assert done.returncode == 0 and "limit" not in done.stderr and done.stdout.endswith(":  2\n")


def test_memory_that_cannot_be_shared_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(ONE)
    done = told(["run", str(tmp_path / "one.py")], resource.RLIMIT_FSIZE, 1 << 20)
    assert done.returncode == 0 and done.stdout.endswith(":  2\n")
    assert "long values are copied" in done.stderr and "`ulimit -f unlimited`" in done.stderr


def test_too_few_processes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_tasks_left", lambda: (3, "the limit with `ulimit -u 4096`"))
    with pytest.raises(TTRuntimeError, match=r"40 more processes and threads, and 3 are left: .*`ulimit -u 4096`"):
        limits.check_limits(limits.ENSEMBLE)
    alone = len(os.listdir("/proc/self/task"))
    assert limits._tasks_of(os.getuid()) >= alone


def pipes() -> int:
    """The open ends of pipes."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # that of the folder itself
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:")
    return count


def test_a_worker_that_cannot_be_started_is_the_answer_to_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"
    host = Host(True)
    try:
        with monkeypatch.context() as patched:

            def fails(*arguments: Any, **options: Any) -> None:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

            patched.setattr(channels.subprocess, "Popen", fails)
            before = pipes()
            problem = host.prepare(text).problem
            assert problem is not None and "cannot be started: Too many open files (see `ulimit -a`)" in problem
            assert pipes() == before, "the pipe for what it would have printed is closed"
        assert host.values(host.finished(host.run(text))) == [5]
    finally:
        host.node.close()


@pytest.mark.parametrize("place", ["before it is read", "while it is done", "in the answer"])
def test_a_question_whose_handling_fails_is_answered_with_the_failure(
    system: System, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fails(*arguments: Any) -> Any:
        raise RuntimeError("out of order")

    with Remote(system.address, None) as remote, monkeypatch.context() as patched:
        if place == "before it is read":
            patched.setattr(system.manager._handle.manager.trust, "look", fails)
        elif place == "while it is done":
            patched.setattr(system.manager.process.requests, "_status", fails)
        else:
            patched.setattr(system.manager.process.requests, "_status", lambda: {"it": object()})

        def answered() -> float:
            begun = time.monotonic()
            with pytest.raises(
                TTError, match=r"the manager could not do this: (RuntimeError: out of order|TypeError: )"
            ):
                remote.ask(do="status")
            return time.monotonic() - begun

        repeated(answered, lambda took: took < 5, "it is answered at once")
    with Remote(system.address, None) as remote:
        assert remote.ask(do="status")["manager"] == "runtime-manager"


def test_a_run_ends_when_an_ensemble_ends_by_an_error(tmp_path: Path) -> None:
    """One that is killed is an ensemble that is lost: what it hosted goes on elsewhere."""
    text = HEAD + (
        "import os\n@STREAMify\ndef src(trigger):\n    return 1\n@SQify\ndef ends(x):\n    os._exit(1)\n"
        "@GRAPHify\ndef main(trigger):\n    s = src(trigger, TTPeriod=100000)\n"
        "    with TTConstraint(name='edge'):\n        return ends(s)\n"
    )
    (tmp_path / "ends.py").write_text(text)
    run = Process("run", "--workers", "0", "ends.py", cwd=tmp_path)
    try:
        assert run.wait() == 1
        assert "error: ensemble 'edge' ended by itself, with exit status 1" in run.said
    finally:
        run.end()
