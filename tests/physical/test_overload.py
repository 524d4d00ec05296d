"""Ten times the load: memory is bounded, the stalest firings go, deadlines are answered, and it recovers by itself."""

from __future__ import annotations

import os

import pytest
from systems import NUMBERS, System, children, until

from ticktalk.physical.workers import worker_body
from ticktalk.physical.workers.memory import own_memory

SERVED, TENFOLD = 20_000, 2_000
"""Root ticks between two values: so many that the body keeps up, and ten times as many."""

PROGRAM = (
    NUMBERS
    + f"""
@SQify
def work(x):
    import time
    time.sleep(0.01)
    return x
@SQify
def b():
    return -1
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        tag, s = src(trigger, TTPeriod={SERVED})
    with TTConstraint(name="runtime-manager"):
        y = work(s, TTPersistent=True)
        instant = tag * 1
        return TTFinishByOtherwise(y, TTTimeDeadline=READ_TTCLOCK(tag) + 200000, TTPlanB=b(), TTWillContinue=True)
"""
)

BACKLOG = 200
"""Firings that wait for the body here; by default 10,000, which would take long to fill."""

GROWTH = 40_000_000
"""Bytes that a process may take in addition while it is overloaded."""


def test_ten_times_the_load_is_bounded_counted_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_body, "UNDER_WAY", BACKLOG)
    system = System().with_ensembles("near")
    try:
        graph = system.deploy(PROGRAM, "load")
        system.manager.execute_graph(graph)

        def answers() -> list[tuple[int, int]]:
            """The answers of the deadline: start and value."""
            return [(int(t.start), t.value) for t in list(system.outputs) if t.sq.startswith("TTFinish")]

        def in_time() -> bool:
            return len(answers()) > 50 and all(value > 0 for _, value in answers()[-25:])

        until(in_time, "values come in time at first")
        near = system.ensembles["near"].popen.pid
        before = {pid: own_memory(pid) for pid in [os.getpid(), near, *children(os.getpid()), *children(near)]}
        begun = answers()[-1][0]
        system.manager.set_grid(graph, "src-1", period=TENFOLD)

        def counted(sq: str, kind: str) -> int:
            return system.manager.counters(graph).get(sq, {}).get(kind, 0)

        until(lambda: counted("work-1", "overflow") > 150, "the stalest firings are left out")
        until(lambda: counted("TTFinishByOtherwise-1", "plan_b") > 150, "deadlines are answered by plan B")
        grown = {pid: own_memory(pid) - size for pid, size in before.items()}
        assert max(grown.values()) < GROWTH, grown
        system.manager.set_grid(graph, "src-1", period=SERVED)
        until(lambda: len(answers()) > 100 and in_time(), "values come in time again")
        over = answers()[-1][0]
        asked = {int(t.start) for t in list(system.outputs) if t.sq == "MULT-1" and begun < t.start < over}
        answered = [start for start, _ in answers() if begun < start < over]
        assert len(asked) > 300 and sorted(answered) == sorted(asked), "each deadline has one answer"
        assert {pid for pid in before if own_memory(pid)} == set(before), "nothing was restarted"
        assert not system.errors and not counted("near", "restarts")
    finally:
        system.end()
