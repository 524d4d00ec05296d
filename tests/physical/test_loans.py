"""Loans that set no timer: the one that was set while nothing was to be done goes off in time for them, too."""

from __future__ import annotations

import queue
import socket
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from systems import HEAD, LIMIT, until
from test_loop import Running, settled

from ticktalk.language.compiler import compile_source
from ticktalk.physical.timekeeping import loop
from ticktalk.physical.timekeeping.loop import LOAN, Job
from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.workers.protocol import (
    Command,
    FiringEnded,
    FiringLeftOut,
    LeaveOutStalest,
    LoadBodies,
    NewInstance,
    RunBody,
    Start,
)
from ticktalk.physical.workers.units import UNKNOWN
from ticktalk.physical.workers.worker import SLACK, Worker

pytestmark = pytest.mark.usefixtures("means")

TWO = (
    HEAD
    + """
@SQify
def first(x):
    if x == "wait":
        component("gate").wait(60)
    return x
@SQify
def second(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(components=["gate"]):
        a = first(trigger)
    return MERGE(a, second(trigger))
"""
)


class Working:
    """A worker in threads of this process."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.commands: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self.answers: list[Any] = []
        self.timers_set = 0
        worker = Worker("edge", {"gate": self.gate}, self.answers.append)
        graph = compile_source(TWO, "two.py", "two")
        worker.take(LoadBodies("two", msgspec.json.encode(graph), ["first-1", "second-1"]))
        new = [NewInstance(number, f"{name}-1", [((), False)], None) for number, name in enumerate(("first", "second"))]
        worker.take(Start("two", 1, 0, new))

        def receive(rest: Any) -> Command | None:
            rest()
            return self.commands.get()

        self.thread = threading.Thread(target=worker.run, args=(receive,))
        self.thread.start()

    def fire(self, number: int, value: Any) -> None:
        self.commands.put(RunBody(number, 0, 100, [msgspec.msgpack.encode(value)], 0))

    def of(self, number: int) -> int:
        """How many answers an instance has given."""
        return sum(isinstance(answer, FiringEnded) and answer.ident == number for answer in list(self.answers))

    def fire_alone(self, number: int, value: Any) -> None:
        """Fire, and wait for the answer."""
        before = self.of(number)
        self.fire(number, value)
        until(lambda: self.of(number) > before, "it has run")


@pytest.fixture
def working() -> Iterator[Working]:
    made = Working()
    yield made
    made.gate.set()
    made.commands.put(None)
    made.thread.join(LIMIT)
    assert not made.thread.is_alive()


def test_a_value_is_let_go_of_before_the_next_one_comes(working: Working) -> None:
    """It may be long, and be in memory that is shared."""
    value = memoryview(msgspec.msgpack.encode(5))
    lives = weakref.ref(value)
    working.commands.put(RunBody(1, 0, 100, [value], 0))
    del value
    until(lambda: working.of(1) == 1 and lives() is None, "it is gone")


def test_a_body_that_was_short_and_becomes_long_does_not_keep_its_worker_from_reading(working: Working) -> None:
    for number in range(UNKNOWN + 5):
        working.fire_alone(0, number)
    working.fire(0, "wait")
    working.fire(1, 1)
    until(lambda: working.of(1) == 1, "the other body runs meanwhile")
    assert working.of(0) == UNKNOWN + 5
    working.gate.set()
    until(lambda: working.of(0) == UNKNOWN + 6, "the long one has ended")
    for number in range(3):
        working.fire_alone(0, number)


def test_the_stalest_firing_that_waits_is_left_out(working: Working) -> None:
    working.fire(0, "wait")
    for start in (200, 300, 400):
        working.commands.put(RunBody(0, start, start + 100, [msgspec.msgpack.encode(start)], 0))
    for number in (0, 1):
        working.commands.put(LeaveOutStalest(number))
    until(lambda: len(working.answers) == 3, "it is asked")
    assert working.answers[1:] == [FiringLeftOut(0, (200, 300)), FiringLeftOut(1, None)]
    working.gate.set()
    until(lambda: working.of(0) == 3, "the others run")
    assert [each.start for each in working.answers if isinstance(each, FiringEnded)] == [0, 300, 400]


def test_a_body_runs_again_after_an_interruption_of_its_thread() -> None:
    answers: list[Any] = []

    def answer(answer: Any) -> None:
        answers.append(answer)
        if sum(isinstance(each, FiringEnded) for each in answers) == 1:
            raise SystemExit  # in another thread's name, as at the end of a visitor's job

    worker = Worker("edge", {}, answer)
    worker.take(LoadBodies("two", msgspec.json.encode(compile_source(TWO, "two.py", "two")), ["second-1"]))
    worker.take(Start("two", 1, 0, [NewInstance(1, "second-1", [((), False)], None)]))
    fire = RunBody(1, 0, 100, [msgspec.msgpack.encode(5)], 0)
    unit = worker.take(fire)
    assert unit is not None
    with pytest.raises(SystemExit):
        worker.run_waiting(unit)
    assert worker.take(fire) is unit
    worker.run_waiting(unit)
    assert sum(isinstance(each, FiringEnded) for each in answers) == 2


def test_short_bodies_set_the_timer_once_in_half_the_slack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role that rests until some time later, again and again, and is lent with that much slack."""
    role = Role(lambda: None, "test")
    now, times = [1_000_000], list[int]()
    monkeypatch.setattr("ticktalk.physical.timekeeping.role.monotonic_us", lambda: now[0])
    monkeypatch.setattr(role._timer, "set", lambda microseconds: times.append(now[0] + microseconds))
    role._standing_by = 1
    for _ in range(20):
        role.rest(now[0] + SLACK, SLACK // 2)
        now[0] += SLACK // 10
        role.mutex.acquire()
        assert role.back(role.lend(LOAN, SLACK))
        role.mutex.release()
    assert times == [1_000_000 + SLACK + each * 6 * SLACK // 10 for each in range(4)]
    role.rest(0)
    role.mutex.acquire()
    role.lend(LOAN, SLACK)
    assert times[4:] == [now[0] + LOAN], "after a rest without a timer the loan sets it"
    role.leave()


@pytest.mark.parametrize("far", [5_000, 400_000], ids=["an instant is near", "the next timer is far"])
def test_the_answer_of_a_worker_process_does_not_wait_for_a_publication_that_takes_long(
    monkeypatch: pytest.MonkeyPatch, far: int
) -> None:
    """A socket cannot hurry a loan."""
    running = Running()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    came, gate = threading.Event(), threading.Event()
    longest: list[int] = []
    usual = running.loop._role.lend

    def lend(microseconds: int, slack: int = 0) -> int:
        longest.append(slack)
        return usual(microseconds, slack)

    monkeypatch.setattr(running.loop._role, "lend", lend)

    def ready(readable: bool, writable: bool) -> None:
        ours.recv(100)
        came.set()

    running.loop.watch(ours.fileno(), ready)
    running.begin()
    try:
        settled(running)
        running.loop.post(running.loop.agenda.deliver_at, running.clock.now() + far, lambda: None)
        settled(running)
        here = threading.Event()
        running.loop.post(running.loop.do_aside, lambda: Job(LOAN, lambda: here.set() or gate.wait(LIMIT)))
        assert here.wait(LIMIT)
        theirs.send(b"one")
        assert came.wait(LIMIT)
        assert max(longest) <= loop.SOCKETS
    finally:
        gate.set()
        running.loop.post(running.loop.forget, ours.fileno())
        settled(running)
        running.end()
        ours.close()
        theirs.close()
