"""The thread that keeps time: timers, messages and sockets, and their order."""

from __future__ import annotations

import heapq
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from systems import LIMIT

from ticktalk.engine.agenda import Agenda
from ticktalk.physical.timekeeping import loop as loop_module
from ticktalk.physical.timekeeping.loop import GLANCE, LOAN, LONG, REHEARSAL, Job, Loop
from ticktalk.physical.timekeeping.root_clock import RootClock

pytestmark = pytest.mark.usefixtures("means")


class Running:
    """A loop in a thread of its own."""

    def __init__(self) -> None:
        self.clock = RootClock()
        self.agenda = Agenda(self.clock.now())
        self.loop = Loop(self.clock, self.agenda)
        self.thread = threading.Thread(target=self.loop.run, daemon=True)

    def begin(self) -> None:
        self.thread.start()

    def end(self) -> None:
        self.loop.stop()
        if self.thread.ident is not None:
            self.thread.join(LIMIT)
            assert not self.thread.is_alive()
        self.loop.close()


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.end()


def settled(running: Running) -> None:
    """Everything posted before has been done."""
    done = threading.Event()
    running.loop.post(done.set)
    assert done.wait(LIMIT)


def test_messages_of_one_thread_keep_their_order(running: Running) -> None:
    running.begin()
    taken: list[int] = []
    for number in range(20_000):
        running.loop.post(taken.append, number)
    settled(running)
    assert taken == list(range(20_000))


def test_an_urgent_call_precedes_all_that_waited_while_no_time_was_kept(running: Running) -> None:
    """A lease that has ended meanwhile is seen before a token fires an SQ that may run elsewhere by now."""
    taken: list[str] = []
    running.loop.post(taken.append, "came before")
    running.agenda.deliver_at(running.clock.now(), taken.append, "was due")
    running.loop.first_at(running.clock.now(), lambda: taken.append("first"))
    running.begin()
    settled(running)
    assert taken == ["first", "came before", "was due", "first"]


def test_messages_of_many_threads_all_arrive(running: Running) -> None:
    running.begin()
    taken: list[tuple[int, int]] = []

    def post(thread: int) -> None:
        for number in range(2_000):
            running.loop.post(taken.append, (thread, number))

    threads = [threading.Thread(target=post, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    settled(running)
    for thread in range(8):
        assert [number for who, number in taken if who == thread] == list(range(2_000))


def test_a_message_wakes_the_loop(running: Running) -> None:
    """Again and again while it sleeps: no wake is lost."""
    running.begin()
    for _ in range(500):
        settled(running)


def test_timers_come_in_the_order_of_their_times(running: Running) -> None:
    taken: list[int] = []
    for after in (30_000, 10_000, 20_000, 10_000):
        running.loop.after(after, lambda after=after: taken.append(after))  # type: ignore[misc]
    done = threading.Event()
    running.loop.after(40_000, done.set)
    begun = time.monotonic()
    running.begin()
    assert done.wait(LIMIT)
    assert time.monotonic() - begun >= 0.039
    assert taken == [10_000, 10_000, 20_000, 30_000]


def test_a_repeated_call_goes_on_after_an_error(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    enough = threading.Event()
    count = 0

    def again() -> None:
        nonlocal count
        count += 1
        if count == 5:
            enough.set()
        raise ValueError("on purpose")

    caplog.set_level(logging.CRITICAL, "ticktalk.loop")
    running.loop.every(2_000, again)
    running.begin()
    assert enough.wait(LIMIT)


def test_periodic_calls_share_their_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that began at different times are due together; one that is late keeps to its grid."""
    now, made = 1_000, 1_000
    monkeypatch.setattr("ticktalk.physical.timekeeping.loop.monotonic_us", lambda: now)
    loop = Running().loop
    loop._timers.clear()  # its own look at visitors
    for begun, period in ((4_000, 20_000), (9_000, 20_000), (13_000, 40_000)):
        now = begun
        loop.every(period, lambda: None)
    calls = []
    for _ in range(13):
        due, _, call = heapq.heappop(loop._timers)
        calls.append(due - made)
        now = due + 7
        call()
    assert calls == [
        23_000,
        28_000,
        40_000,
        40_000,
        52_000,
        60_000,
        60_000,
        80_000,
        80_000,
        80_000,
        100_000,
        100_000,
        120_000,
    ]
    loop.close()


def test_an_error_in_a_message_is_logged_and_the_loop_goes_on(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.begin()
    running.loop.post(lambda: 1 / 0)
    settled(running)
    assert "ZeroDivisionError" in caplog.text


def test_a_timer_that_was_due_runs_before_a_later_message(running: Running) -> None:
    """The clock decides, not the order of handling: a timer due before a message came runs before it."""
    taken: list[str] = []
    running.loop.post(lambda: taken.append("early"))
    due = running.clock.now() + 1_000
    running.agenda.deliver_at(due, lambda: taken.append("timer"))
    while running.clock.now() <= due:
        pass
    running.loop.post(lambda: taken.append("late"))
    running.begin()
    settled(running)
    assert taken == ["early", "timer", "late"]


def test_a_message_sees_the_tick_at_which_it_came(running: Running) -> None:
    seen: list[int] = []
    before = running.clock.now()
    running.loop.post(lambda: seen.append(running.agenda.now))
    after = running.clock.now()
    while running.clock.now() < after + 5_000:
        pass
    running.begin()
    settled(running)
    assert before <= seen[0] <= after


@pytest.mark.parametrize("ahead, sleeps", [(3_000, 1), (30_000, 2)])
def test_a_short_sleep_before_an_instant_is_not_interrupted(
    running: Running, monkeypatch: pytest.MonkeyPatch, ahead: int, sleeps: int
) -> None:
    """Waking costs more than what it would make exact."""
    slept: list[float] = []
    usual = select.select

    def counted(*arguments: Any) -> Any:
        slept.append(arguments[3])
        return usual(*arguments)

    monkeypatch.setattr(select, "select", counted)
    found: list[list[float]] = []
    done = threading.Event()

    def due() -> None:
        found.append(slept[:])
        done.set()

    running.agenda.deliver_at(running.loop.clock.now() + ahead, due)
    running.begin()
    assert done.wait(LIMIT)
    # On a busy machine the instant may come before the first sleep, or in it.
    assert len(found[0]) <= sleeps


def test_a_socket_is_watched_until_it_is_forgotten(running: Running) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    got: list[bytes] = []
    came = threading.Event()

    def ready(readable: bool, writable: bool) -> None:
        if readable:
            got.append(ours.recv(100))
            came.set()

    running.loop.watch(ours.fileno(), ready)
    running.begin()
    theirs.send(b"one")
    assert came.wait(LIMIT)
    running.loop.post(running.loop.forget, ours.fileno())
    running.loop.post(running.loop.forget, ours.fileno())  # nothing happens
    settled(running)
    theirs.send(b"two")
    settled(running)
    assert got == [b"one"]
    ours.close()
    theirs.close()


def test_a_writable_socket_is_reported_only_on_request(running: Running) -> None:
    ours, theirs = socket.socketpair()
    writable_told = threading.Event()

    def ready(readable: bool, writable: bool) -> None:
        if writable:
            writable_told.set()
            running.loop.watch_writing(ours.fileno(), False)

    running.loop.watch(ours.fileno(), ready)
    running.begin()
    settled(running)
    assert not writable_told.is_set()
    running.loop.post(running.loop.watch_writing, ours.fileno(), True)
    assert writable_told.wait(LIMIT)
    running.loop.post(running.loop.forget, ours.fileno())
    settled(running)
    ours.close()
    theirs.close()


@pytest.mark.parametrize(
    ("seconds", "to_tick", "woken", "left", "rehearsed"),
    [
        (2 * LONG, True, False, 60_000_000, 1),
        (2 * LONG, True, True, 60_000_000, 0),
        (2 * LONG, False, False, 60_000_000, 0),
        (LONG / 2, True, True, 60_000_000, 0),
        (2 * LONG, True, False, REHEARSAL, 0),
    ],
    ids=["a long sleep", "an arrival ends it", "to another timer", "a short sleep", "no time is left for it"],
)
def test_only_a_long_sleep_to_an_instant_is_followed_by_a_rehearsal(
    running: Running, seconds: float, to_tick: bool, woken: bool, left: int, rehearsed: int
) -> None:
    calls: list[object] = []
    loop: Any = running.loop
    loop._descriptors.sleep = lambda seconds: calls.append("slept") or woken
    loop.before_instant = calls.append
    loop._to_tick, loop._wakes_at = to_tick, running.clock.now() + left
    assert loop._sleep(seconds) is woken
    if loop._early:
        loop._rehearse()
    assert calls == ["slept", *[loop._wakes_at] * rehearsed] and not loop._early, "once, and after the sleep"


def test_sockets_are_looked_at_again_only_after_a_while(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by a timekeeper that does not sleep; one that has slept knows that none is ready."""
    time = [loop_module.monotonic_us()]
    monkeypatch.setattr(loop_module, "monotonic_us", lambda: time[0])
    loop: Any = running.loop
    ours, theirs = socket.socketpair()
    seen: list[int] = []
    looks: list[int] = []
    poll = loop._descriptors.poll
    loop._descriptors.poll = lambda timeout: looks.append(len(seen)) or poll(timeout)
    running.loop.watch(ours.fileno(), lambda readable, writable: seen.append(ours.recv(1)[0]))
    loop._looked = time[0]
    theirs.send(b"1")
    loop._turn()
    time[0] += GLANCE
    loop._turn()
    assert not looks and not seen
    time[0] += 1
    loop._turn()
    loop._turn()
    assert looks == [0] and seen == [ord("1")]
    loop.forget(ours.fileno())
    ours.close()
    theirs.close()


def test_a_timekeeper_rehearses_an_instant_before_it_comes_and_sends_before_it_too(running: Running) -> None:
    """Frames of a rehearsal are sent as a job: its thread may block, and another one keeps time then."""
    done: list[str] = []
    enough = threading.Event()

    def rehearse(tick: int) -> None:
        done.append(f"{tick} rehearsed")
        running.loop.do_aside(lambda: Job(LOAN, done.append, (f"{tick} sent",)))

    def come(tick: int) -> None:
        if done == [f"{tick} rehearsed", f"{tick} sent"]:
            done.append(f"{tick} came")
            enough.set()
        else:  # a busy machine left no time for them
            done.clear()
            begin(running.clock.now() + 20_000)

    def begin(tick: int) -> None:
        running.agenda.deliver_at(tick, come, tick)

    loop: Any = running.loop
    loop.before_instant = rehearse
    begin(running.clock.now() + 20_000)
    running.begin()
    assert enough.wait(LIMIT)
    tick = done[0].split()[0]
    assert done == [f"{tick} rehearsed", f"{tick} sent", f"{tick} came"]


def test_an_error_in_a_rehearsal_ends_no_timekeeper(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    def broken(tick: int) -> None:
        raise ValueError("broken")

    loop: Any = running.loop
    loop.before_instant = broken
    loop._wakes_at = running.clock.now() + 60_000_000
    loop._rehearse()
    assert "an error in the runtime itself" in caplog.text


def test_closing_frees_all_threads_and_descriptors() -> None:
    before = set(os.listdir("/proc/self/fd"))
    made = Running()
    made.begin()
    settled(made)
    made.end()
    made.loop.post(lambda: None)  # from a thread that does not know yet: nothing happens
    made.loop.stop()
    made.loop.close()
    assert set(os.listdir("/proc/self/fd")) <= before


def test_a_loop_that_is_stopped_while_it_looks_at_its_sockets_sleeps_no_more(running: Running) -> None:
    """The look takes the wake."""
    loop: Any = running.loop
    slept: list[float] = []

    def stop() -> None:
        loop._sleep = slept.append
        loop.stop()
        loop._descriptors.poll(0)

    running.begin()
    loop.post(stop)
    running.thread.join(LIMIT)
    assert not running.thread.is_alive() and not slept


def test_the_loop_knows_its_thread(running: Running) -> None:
    running.begin()
    seen: list[bool] = []
    running.loop.post(lambda: seen.append(running.loop.in_loop))
    settled(running)
    assert seen == [True]
    assert not running.loop.in_loop


def test_an_idle_loop_sleeps(running: Running) -> None:
    turns: list[None] = []
    usual = running.loop._turn

    def turn() -> None:
        turns.append(None)
        usual()

    running.loop._turn = turn  # type: ignore[method-assign]
    running.begin()
    settled(running)
    time.sleep(0.2)
    assert 1 <= len(turns) < 10
