"""The thread that keeps time on an ensemble: one loop over timers, sockets and an inbox; nothing in it blocks.

What came in is stamped when it came in (in Zenoh's thread, in the worker), and handled in the order of time: timers
that were due before it run first. So the clock decides, not the order in which messages were handled.
"""

from __future__ import annotations

import ctypes
import heapq
import logging
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ticktalk.engine.agenda import Agenda
from ticktalk.physical.clock import RootClock, monotonic_us

logger = logging.getLogger("ticktalk.loop")

SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread of this process lets the one that keeps time in."""

_PR_SET_TIMERSLACK = 29

Ready = Callable[[bool, bool], None]
"""`(readable, writable)`: called when a watched file descriptor is either."""


class Loop:
    """Timers, sockets and messages of one ensemble.

    Args:
        clock: the root clock.
        agenda: the ensemble's agenda (root ticks); this loop is its driver.
    """

    def __init__(self, clock: RootClock, agenda: Agenda) -> None:
        self.clock = clock
        self.agenda = agenda
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._inbox: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self._signalled = False
        self._watched: dict[int, Ready] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._stopping = False
        self._thread: int | None = None
        self._closed = False

    def post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the loop's thread call `call(*arguments)`; from any thread, never blocks."""
        self._inbox.append((monotonic_us(), call, arguments))
        if not self._signalled:
            self._signalled = True
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time; from the loop's thread (or before it runs)."""
        self._timer_count += 1
        heapq.heappush(self._timers, (monotonic_us() + microseconds, self._timer_count, call))

    def every(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` again and again."""

        def again() -> None:
            self.after(microseconds, again)
            call()

        self.after(microseconds, again)

    def watch(self, descriptor: int, ready: Ready) -> None:
        """Call `ready(readable, writable)` when the descriptor can be read."""
        self._watched[descriptor] = ready
        self._epoll.register(descriptor, select.EPOLLIN)

    def watch_writing(self, descriptor: int, on: bool) -> None:
        """Whether to call `ready` also when the descriptor can be written."""
        if descriptor in self._watched:
            self._epoll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if on else 0))

    def forget(self, descriptor: int) -> None:
        """Watch no more; before the descriptor is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def spawn(self, call: Callable[[], None]) -> None:
        """Run what may block in a thread of its own."""
        threading.Thread(target=call, daemon=True).start()

    def advance(self, tick: int) -> None:
        """Bring the agenda to root tick `tick`, at which something came in; due timers run first."""
        agenda = self.agenda
        if tick > agenda.now:
            agenda.run_until(tick)

    @property
    def in_loop(self) -> bool:
        """Whether the caller is the loop's thread."""
        return self._thread == threading.get_ident()

    def run(self) -> None:
        """Keep time until `stop`."""
        self._thread = threading.get_ident()
        sys.setswitchinterval(SWITCH_INTERVAL)
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        epoll = self._epoll.fileno()
        clock, agenda = self.clock, self.agenda
        while not self._stopping:
            wait = 1.0
            tick = agenda.next_tick()
            if tick is not None:
                wait = min(wait, (tick - clock.now()) / 1e6)
            if self._timers:
                wait = min(wait, (self._timers[0][0] - monotonic_us()) / 1e6)
            # select has microsecond time-outs, epoll rounds up to milliseconds.
            if wait > 0 and not self._inbox:
                select.select([epoll], (), (), wait)
            self._turn()

    def _turn(self) -> None:
        clock, agenda = self.clock, self.agenda
        for descriptor, events in self._epoll.poll(0):
            if descriptor == self._wake:
                os.eventfd_read(self._wake)
                continue
            ready = self._watched.get(descriptor)
            if ready is not None:
                errors = events & (select.EPOLLHUP | select.EPOLLERR)
                self._guarded(ready, bool(events & select.EPOLLIN or errors), bool(events & select.EPOLLOUT))
        self._signalled = False  # before the inbox is drained, so that nothing posted meanwhile sleeps in it
        for _ in range(len(self._inbox)):
            stamp, call, arguments = self._inbox.popleft()
            self._guarded(self.advance, clock.at(stamp))
            self._guarded(call, *arguments)
        now = monotonic_us()
        while self._timers and self._timers[0][0] <= now:
            self._guarded(heapq.heappop(self._timers)[2])
        self._guarded(agenda.run_until, max(clock.now(), agenda.now))

    def _guarded(self, call: Callable[..., None], *arguments: Any) -> None:
        """Nothing that goes wrong in one message ends the thread that keeps time."""
        try:
            call(*arguments)
        except Exception:
            logger.exception("an error in the runtime itself")

    def stop(self) -> None:
        """End `run` after its present turn; from any thread."""
        self._stopping = True
        if not self._closed:
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Give back the file descriptors; after `run` has ended."""
        if not self._closed:
            self._closed = True
            self._epoll.close()
            os.close(self._wake)
