"""A role that one thread has at a time, and that a thread that stands by takes over."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from systems import LIMIT, until

from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.timekeeping.root_clock import monotonic_us

pytestmark = pytest.mark.usefixtures("means")

NEVER = 3_600_000_000
"""Microseconds: an hour."""


class Serving:
    """Threads that take jobs from a list, with the role lent while they do them."""

    def __init__(self, jobs: list[tuple[int, Callable[[], Any]]]) -> None:
        self.jobs = jobs
        self.servers: list[int] = []
        self.inside = 0
        self.crowded = False
        self.role = Role(self.serve, "test")
        self.thread = threading.Thread(target=self.role.hold, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        self.servers.append(threading.get_ident())
        while self.jobs:
            self.inside += 1
            self.crowded = self.crowded or self.inside > 1
            limit, job = self.jobs.pop(0)
            self.inside -= 1
            loan = self.role.lend(limit)
            job()
            if not self.role.back(loan):
                return
        self.role.end()

    def finished(self) -> None:
        assert self.role.ended.wait(LIMIT)
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()


def test_fast_work_stays_in_one_thread() -> None:
    done: list[int] = []
    serving = Serving([(NEVER, lambda: done.append(threading.get_ident()))] * 100)
    serving.finished()
    assert len(done) == 100
    assert set(done) == set(serving.servers)
    assert len(serving.servers) == 1


def test_a_thread_that_is_held_up_delays_no_other_work() -> None:
    """Three stand until the fourth lets them go, which so has to be done by yet another thread."""
    gate = threading.Event()
    waited: list[bool] = []
    jobs: list[tuple[int, Callable[[], Any]]] = [(1_000, lambda: waited.append(gate.wait(LIMIT)))] * 3
    serving = Serving([*jobs, (NEVER, gate.set)])
    serving.finished()
    while len(waited) < 3:
        threading.Event().wait(0.001)
    assert waited == [True] * 3
    assert len(serving.servers) == 4


def test_one_thread_at_a_time_has_the_role() -> None:
    """Loans so short that the role is taken back just when another thread takes it over."""
    done: list[int] = []

    def job() -> None:
        done.append(1)
        os.sched_yield()

    serving = Serving([(0, job)] * 1_000)
    serving.finished()
    while len(done) < 1_000:
        threading.Event().wait(0.001)
    assert not serving.crowded
    assert len(done) == 1_000


def test_closing_frees_all_threads_and_descriptors() -> None:
    before = set(os.listdir("/proc/self/fd"))
    threads = threading.active_count()
    serving = Serving([(0, lambda: None)] * 50)
    serving.finished()
    end = threading.Event()
    for _ in range(int(LIMIT * 100)):
        if set(os.listdir("/proc/self/fd")) <= before and threading.active_count() <= threads:
            return
        end.wait(0.01)
    left = set(os.listdir("/proc/self/fd")) - before
    raise AssertionError(f"left: {left}, {threading.enumerate()}")


def test_a_thread_that_wakes_as_the_role_ends_leaves_the_timer_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a thread that still stood by slept for ever, and the timer stayed open."""
    role = Role(lambda: None, "test")
    role.mutex.acquire()
    threads = [threading.Thread(target=role._stand_by, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: role._standing_by == 2, "both stand by")
    role._timer.set(0)
    until(lambda: role._standing_by == 1, "one wakes, and waits for the role")
    cleared: list[int] = []
    monkeypatch.setattr(role._timer, "clear", lambda: cleared.append(1))
    role.end()
    for thread in threads:
        thread.join(LIMIT)
    assert not any(thread.is_alive() for thread in threads)
    assert not cleared


def test_rests_that_end_at_about_the_same_time_set_the_timer_once(monkeypatch: pytest.MonkeyPatch) -> None:
    role = Role(lambda: None, "test")
    times: list[int] = []
    monkeypatch.setattr(role._timer, "set", times.append)
    until = monotonic_us() + 1_000_000
    for end in (until, until + 3, until - 3, until + 5_000):
        role.rest(end)
    assert len(times) == 2
    role.leave()


def test_hurry_ends_the_slack_of_a_loan() -> None:
    lent, gate = threading.Event(), threading.Event()
    served: list[int] = []
    back: list[bool] = []

    def serve() -> None:
        served.append(threading.get_ident())
        if len(served) == 1:
            role.rest(monotonic_us() + NEVER)  # the time of the next look
            loan = role.lend(1_000, 2 * NEVER)
            lent.set()
            gate.wait(LIMIT)
            back.append(role.back(loan))
            return
        gate.set()
        role.end()

    role = Role(serve, "test")
    thread = threading.Thread(target=role.hold, daemon=True)
    thread.start()
    assert lent.wait(LIMIT)
    role.hurry()
    assert role.ended.wait(LIMIT)
    thread.join(LIMIT)
    assert len(set(served)) == 2 and back == [False]


def test_a_thread_that_wakes_before_a_loan_is_due_looks_again() -> None:
    """The timer is left set from one loan to the next, which is due later."""
    gate = threading.Event()
    waited: list[bool] = []
    jobs: list[tuple[int, Callable[[], Any]]] = [
        (20_000, lambda: None),
        (40_000, lambda: waited.append(gate.wait(LIMIT))),
        (NEVER, gate.set),
    ]
    serving = Serving(jobs)
    serving.finished()
    while not waited:
        threading.Event().wait(0.001)
    assert waited == [True] and 2 <= len(serving.servers) <= 3  # a busy machine may lend the first to another
