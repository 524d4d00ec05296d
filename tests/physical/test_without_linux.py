"""Devices run without what only Linux has: real ensembles give what a simulation gives, and wait without being busy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from systems import HEAD, LIMIT

from ticktalk.physical.system import own_memory
from ticktalk.physical.timekeeping import waiting

ELSEWHERE = Path(__file__).parents[1] / "elsewhere"

PROGRAM = (
    HEAD
    + """
import numpy

@STREAMify
def ramp(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return numpy.full(50_000, float(sq_state["n"]))

@SQify
def mean(x):
    return float(x.mean())

@SQify
def never():
    return -1.0

@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        start = READ_TTCLOCK(trigger)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 500_000))
        tag, x = ramp(window, TTPeriod=100_000, TTMissed="catch-up")
    with TTConstraint(name="far"):
        m = mean(x)
        return TTFinishByOtherwise(m, TTTimeDeadline=tag + 90_000_000, TTPlanB=never())
"""
)


def test_ensembles_run_without_what_only_linux_has(tmp_path: Path) -> None:
    """Long values between two ensembles and their workers, a deadline, and an end in order."""
    (tmp_path / "p.py").write_text(PROGRAM, "utf-8")
    paths = [str(ELSEWHERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    run = ["run", "p.py", "--jsonl", "--worker-memory", "1GB"]
    done = subprocess.run(
        [sys.executable, "-m", "ticktalk.cli.entry", *run],
        capture_output=True, encoding="utf-8", cwd=tmp_path, timeout=3 * LIMIT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TICKTALK_PORTABLE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["value"] for each in outputs] == [1.0, 2.0, 3.0, 4.0, 5.0], done.stderr
    assert {each["stop"] - each["start"] for each in outputs} == {50_000}
    assert {each["ensemble"] for each in outputs} == {"far"}
    assert "Traceback" not in done.stderr and "(memfd_create)" in done.stderr


def test_the_memory_of_a_process_is_told_without_linux(means: None) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert 5e6 < own_memory(os.getpid()) < 5e9
    assert own_memory(ended.pid) == 0


def test_a_timer_goes_off_at_its_time_also_if_another_sets_an_earlier_one(means: None) -> None:
    timer = waiting.timer()
    woken: list[float] = []

    def wait() -> None:
        timer.wait()
        woken.append(time.monotonic())

    thread = threading.Thread(target=wait, daemon=True)
    timer.set(3_600_000_000)
    thread.start()
    begun = time.monotonic()
    timer.set(20_000)
    thread.join(LIMIT)
    assert woken and woken[0] - begun >= 0.02
    timer.clear()
    threads = [threading.Thread(target=wait, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    timer.repeat()
    for thread in threads:
        thread.join(LIMIT)
    assert len(woken) == 4
    timer.close()
