"""How workers start and end: the first one of an ensemble of `ticktalk run` is a fork, replaced by one that is none."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from systems import HEAD, Process, alive, until

from ticktalk.engine.agenda import Agenda
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import RootClock
from ticktalk.physical.workers import starting
from ticktalk.physical.workers.channels import ProcessChannel

PROGRAM = """
@STREAMify
def facts(trigger):
    import gc, os, random, signal, sys
    if os.path.exists({dies!r}):
        os.remove({dies!r})
        os.kill(os.getpid(), signal.SIGKILL)
    return [
        gc.get_freeze_count() > 0,
        os.getcwd() in sys.path or "" in sys.path,
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN,
        os.path.realpath("/proc/self/fd/0"),
        random.random(),
        os.getpriority(os.PRIO_PROCESS, 0),
    ]

@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        one = facts(trigger, TTPeriod=100000)
    with TTConstraint(name="b"):
        return one, facts(trigger, TTPeriod=100000)
"""


def test_a_forked_worker_is_as_one_that_starts_by_itself_and_replaced_by_one(tmp_path: Path) -> None:
    dies, program = tmp_path / "dies", tmp_path / "facts.py"
    program.write_text(HEAD + PROGRAM.format(dies=str(dies)))
    run = Process("run", str(program), "--until", "1min", "--jsonl", cwd=tmp_path)

    def told(since: int, forked: list[bool]) -> list[Any]:
        """The two first facts, of bodies in forked workers or in others, from some output on."""

        def found() -> Any:
            rows = [json.loads(line)["value"] for line in list(run.out)[since:]]
            return next((row for row in rows if sorted(one[0] for one in row) == forked), None)

        return cast(list[Any], until(found, f"{forked}: {run.said} {run.out[-3:]}"))

    try:
        a, b = told(0, [True, True])  # both workers come from a process that had loaded everything
        assert a[1:4] == b[1:4] == [False, True, "/dev/null"]
        assert a[4] != b[4], "chance is their own"
        assert a[5] == b[5] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
        dies.touch()
        both = told(len(run.out), [False, True])
        assert all(one[1:4] == [False, True, "/dev/null"] for one in both)
        assert "was ended by signal 9 (SIGKILL)" in run.said
    finally:
        run.end()


def test_a_worker_that_has_just_ended_by_itself_may_be_ended_at_the_same_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its connection has ended, and the end of its process was not seen yet, when a firing there takes too long."""
    clock, deaths = RootClock(), list[str]()
    loop = Loop(clock, Agenda(clock.now()))
    settings = {"ensemble": "e", "components": {}, "near": "", "max_value": 1000, "nice": 0}
    channel = ProcessChannel(loop, settings, lambda answer: None, deaths.append)
    try:
        monkeypatch.setattr(channel.process, "poll", lambda: None)
        channel.process.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]
        assert select.select([channel._socket], (), (), 20)[0]
        channel._ready(True, False)
        assert deaths == []
        channel.end_at_once()
        assert deaths == [""], "it is replaced, and no graph is to blame"
    finally:
        monkeypatch.undo()
        channel.close()
        loop.close()


def spare(before: str) -> list[int]:
    """The process of the spare worker of a process that has ended, if it had one."""
    code = (
        f"import threading, time\nfrom ticktalk.physical.workers import starting\n{before}\n"
        "starting.keep_spare()\nprint(*[process.pid for _, process in starting._spare])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return [int(pid) for pid in done.stdout.split()]


def test_a_spare_worker_ends_with_its_process() -> None:
    (pid,) = spare("")
    until(lambda: not alive(pid), "it ends")


def test_a_process_with_threads_is_not_forked() -> None:
    assert spare("threading.Thread(target=time.sleep, args=(0.2,)).start()") == []


def test_two_threads_may_look_at_once_whether_a_forked_process_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is there for one of them only."""
    pid = os.fork()
    if not pid:
        os._exit(3)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    forked, waitpid, seen = starting._Forked(pid), os.waitpid, []
    looks = [threading.Thread(target=lambda: seen.append(forked.poll()))]

    def slow(which: int, options: int) -> tuple[int, int]:
        found = waitpid(which, options)
        if looks:
            looks[0].start()
            looks.pop().join(0.2)
        return found

    monkeypatch.setattr(os, "waitpid", slow)
    (other,) = looks
    assert forked.poll() == 3
    other.join()
    assert seen == [3] and forked.wait() == 3
