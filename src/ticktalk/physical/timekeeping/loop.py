"""What keeps time on an ensemble: one loop over timers, sockets and an inbox; nothing in it blocks.

One thread at a time has the role of keeping time. What may take long (a body in a thread, a publication) it does
after its turn, with the role lent: if it is held up, another thread keeps time (`Role`). While it sleeps, a thread
that brings something may take a turn in its place (`visit`).

What came in is stamped when it came in (in Zenoh's thread, in the worker), and handled in the order of time: timers
that were due before it run first. So the clock decides, not the order in which messages were handled.
"""

from __future__ import annotations

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
from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.timekeeping.root_clock import RootClock, monotonic_us

logger = logging.getLogger("ticktalk.loop")

SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread of this process lets the one that keeps time in."""

LOAN = 1_000
"""Microseconds for which the role of keeping time is lent, unless a timer is due before."""

SHORT = 100
"""Microseconds for which it is lent in any case, but to what is slow: as long as it takes to wake another thread."""

TURN = 5_000
"""Microseconds for which what came in is handled before timers are looked at again."""

EARLY = 0.0002
"""Seconds before an instant at which its sleep is interrupted once: that wakes core and caches, which is most of what
a long sleep is late by."""

NEAR = 0.00005
"""Seconds before an instant from which on it is waited for without sleeping: no sleep ends more exactly."""

Job = tuple[int, Callable[..., None], tuple[Any, ...]]
"""`(microseconds, call, arguments)`: what is done with the role lent for at most so long."""

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
        self._epoll.register(self._wake, select.EPOLLIN | select.EPOLLET)  # told once, so it need not be read
        self._inbox: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self._signalled = False
        self._watched: dict[int, Ready] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._jobs: deque[Callable[[], Job | None]] = deque()
        self._role = Role(self._keep_time, "ticktalk time")
        self._wakes_at = 0  # when the sleeping keeper of time will look at its timers again (root ticks)
        self._to_tick = False  # whether that is a timer of the agenda
        self._begun = False
        self._stopping = False
        self._thread: int | None = None
        self._closed = False

    def post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have who keeps time call `call(*arguments)`; from any thread, never blocks."""
        self._inbox.append((monotonic_us(), call, arguments))
        self._role.hurry()
        if not self._signalled:
            self._signal()  # last: who is woken needs the interpreter's lock

    def hand_back(self, call: Callable[..., None], *arguments: Any) -> None:
        """The same for what is done aside, at its end: nobody has to be quick."""
        self._inbox.append((monotonic_us(), call, arguments))
        if not self._signalled:
            self._signal()

    def _signal(self) -> None:
        self._signalled = True
        if not self._closed:
            os.eventfd_write(self._wake, 1)

    def visit(self, stamp: int, call: Callable[..., None], *arguments: Any) -> bool:
        """Call `call(*arguments)`, which came in at `stamp`, in this thread, if whoever keeps time sleeps.

        That saves waking another thread, but where there is something to do aside. False: it could not be done, so
        `post` it.
        """
        role = self._role
        if self._signalled or not role.mutex.acquire(False):
            return False
        if self._signalled or self._inbox or self._stopping:
            role.mutex.release()
            return False
        self._thread = threading.get_ident()
        try:
            agenda = self.agenda
            self._guarded(self.advance, self.clock.at(stamp))
            self._guarded(call, *arguments)
            self._guarded(agenda.run_until, max(self.clock.now(), agenda.now))
            tick = agenda.next_tick()
            wakes = bool(self._jobs or self._inbox) or (tick is not None and tick < self._wakes_at)
        finally:
            self._thread = None
            role.mutex.release()
        if wakes and not self._signalled:
            self._signal()  # last: who is woken needs the interpreter's lock, and the role
        return True

    def do_aside(self, job: Callable[[], Job | None], first: bool = False) -> None:
        """Do after this turn what may take long: `job()`, in the role, says what, or None when it is done already.

        `first`: before all that waits to be done.
        """
        if first:
            self._jobs.appendleft(job)
        else:
            self._jobs.append(job)

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time; by who keeps time (or before it runs)."""
        self._timer_count += 1
        timer = (monotonic_us() + microseconds, self._timer_count, call)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer and not self._signalled:
            self._signal()  # set by a visitor: who sleeps means to sleep longer

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
        """Bring the agenda to root tick `tick`, at which something came in; what is due or ready has its turn first.

        So what comes in late, too, is considered in the order in which it came, and not as if it came at once.
        """
        agenda = self.agenda
        if tick > agenda.now:
            agenda.run_until(tick)
        elif agenda.ready:
            agenda.run_ready(agenda.now)

    @property
    def in_loop(self) -> bool:
        """Whether the caller has the role of keeping time."""
        return self._thread == threading.get_ident()

    def run(self) -> None:
        """Keep time until `stop`."""
        self._begun = True
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._role.hold()

    def _keep_time(self) -> None:
        """Keep time until `stop`, or until the role was lent for too long."""
        mutex, epoll = self._role.mutex, self._epoll.fileno()
        thread = self._thread = threading.get_ident()
        self._signalled = True
        while not self._stopping:
            self._turn()
            if self._jobs:
                job = self._jobs.popleft()()
                if job is not None and not self._lend(*job):
                    return
                self._thread = thread
                continue
            wait = self._until_next()
            if wait <= 0:
                continue
            self._signalled = False  # before the inbox is looked at, so that nothing posted meanwhile sleeps in it
            if not self._inbox:
                self._thread = None
                self._role.rest(monotonic_us() + int(wait * 1e6) + LOAN)
                mutex.release()
                self._sleep(epoll, wait)
                mutex.acquire()
                self._thread = thread
            self._signalled = True
        self._thread = None
        self._role.end()

    def _sleep(self, epoll: int, seconds: float) -> None:
        """Sleep until something comes or a timer is due, at most; sometimes less. Without the role."""
        # select has microsecond time-outs, epoll rounds up to milliseconds.
        if not self._to_tick:
            select.select([epoll], (), (), seconds)
        elif seconds > EARLY:
            select.select([epoll], (), (), seconds - EARLY)
        elif not select.select([epoll], (), (), max(0.0, seconds - NEAR))[0]:
            due, now = self._wakes_at, self.clock.now
            while not self._signalled and now() < due:
                pass

    def _until_next(self) -> float:
        """Seconds until a timer is due."""
        now = self.clock.now()
        self._wakes_at = now + 1_000_000
        tick = self.agenda.next_tick()
        if self._timers:
            self._wakes_at = min(self._wakes_at, now + self._timers[0][0] - monotonic_us())
        self._to_tick = tick is not None and tick < self._wakes_at
        if tick is not None and self._to_tick:
            self._wakes_at = tick
        return (self._wakes_at - now) / 1e6

    def _lend(self, microseconds: int, call: Callable[..., None], arguments: tuple[Any, ...]) -> bool:
        """Do something with the role lent; whether this thread still has it."""
        due = max(SHORT, int(self._until_next() * 1e6))
        self._thread = None
        if not microseconds or self._jobs or self._inbox or self._watched:
            loan = self._role.lend(min(microseconds, due))
        else:
            loan = self._role.lend(min(microseconds, due), due + LOAN)
            if self._inbox:
                self._role.hurry()
        self._guarded(call, *arguments)
        return self._role.back(loan)

    def _turn(self) -> None:
        clock, agenda = self.clock, self.agenda
        for descriptor, events in self._epoll.poll(0):
            ready = self._watched.get(descriptor)
            if ready is not None:
                errors = events & (select.EPOLLHUP | select.EPOLLERR)
                self._guarded(ready, bool(events & select.EPOLLIN or errors), bool(events & select.EPOLLOUT))
        now = monotonic_us()
        until = now + TURN
        for _ in range(len(self._inbox)):
            stamp, call, arguments = self._inbox.popleft()
            self._guarded(self.advance, clock.at(stamp))
            self._guarded(call, *arguments)
            now = monotonic_us()
            if now > until:
                break  # however much comes in, timers have their turn: heartbeats are among them
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
        self._signal()

    def close(self) -> None:
        """Give back the file descriptors; after `run` has ended."""
        if not self._closed:
            self._closed = True
            if not self._begun:
                self._role.leave()
            self._epoll.close()
            os.close(self._wake)
