"""The timekeeper of an ensemble: one loop over timers, sockets and an inbox; nothing in it blocks.

One thread at a time has the role of timekeeper. It does slow work (a body in a thread, a publication) after its turn,
with the role lent: if that work takes too long, another thread keeps time (`Role`). While the timekeeper sleeps, the
thread of an arrival may take a turn in its place (`visit`). It may also do a job that follows and is expected to be
short. It does so without the role: the timekeeper wakes for its timers and for arrivals as ever, so no loan is needed.

Each arrival is stamped at once (in the network's thread, in the worker). Arrivals are handled in the order of time:
timers that were due before an arrival run first. So the clock decides, not the order of handling.
"""

from __future__ import annotations

import heapq
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from ticktalk.engine.agenda import Agenda
from ticktalk.physical.process_end import or_end
from ticktalk.physical.timekeeping.interruption import Exposure, Interruption
from ticktalk.physical.timekeeping.role import Role
from ticktalk.physical.timekeeping.root_clock import RootClock, monotonic_us
from ticktalk.physical.timekeeping.waiting import READABLE, WRITABLE, descriptors

logger = logging.getLogger("ticktalk.loop")

SWITCH_INTERVAL = 0.0005
"""Seconds after which a busy thread of this process lets the timekeeper run."""

LOAN = 1_000
"""Microseconds for which the role of timekeeper is lent, unless a timer is due before."""

SOCKETS = 20_000
"""Microseconds after which a loan is overdue at the latest while worker processes may answer. Their answers come on
sockets, and cannot hurry a loan."""

SHORT = 100
"""Microseconds for which it is lent at least, except to slow work: about as long as waking another thread takes."""

REST = 100
"""Microseconds between two jobs of visitors at least; besides, as long as the first one took. Arrivals that have queued
up behind it are left to the timekeeper: so the thread that brings them is held up for half of its time at most."""

LOOK = 1_000_000
"""Microseconds between two looks for a visitor's job that nobody waits for any more. One that is found twice is
interrupted, because its thread is the network's."""

FREED = 500_000
"""Microseconds for which the end waits for a visitor's job that it has interrupted."""

TURN = 5_000
"""Microseconds for which arrivals are handled before timers are looked at again."""

GLANCE = 200
"""Microseconds after a look at the sockets in which no turn looks again: a token takes several turns."""

EARLY = 0.0006
"""Seconds before an instant at which a long sleep is interrupted once. Most of its lateness comes from waking core and
caches. They are awake by the instant. Time is left for a rehearsal (`before_instant`), too, here and where it is heard:
the timekeeper wakes some 100 us late."""

REHEARSAL = 250
"""Microseconds that a rehearsal may take, here and where it is heard. An instant that is nearer is not rehearsed: that
would make it late, and its token would meet the heads-up at its receiver."""

LONG = 0.005
"""Seconds from which on a sleep is long."""

NEAR = 0.00005
"""Seconds before an instant from which on the timekeeper waits without sleeping, because no sleep is more exact."""


class Job(NamedTuple):
    """Slow work.

    Attributes:
        limit: microseconds for which the role is lent to it at most.
        call, arguments: the call to make.
        brief: the call that a visitor may make in place of it, because it is expected to be short; None: it may not.
        over: given the arguments, whether nobody waits for its end any more; None: somebody always does.
    """

    limit: int
    call: Callable[..., object]
    arguments: tuple[Any, ...] = ()
    brief: Callable[..., object] | None = None
    over: Callable[..., bool] | None = None


NEVER = 1 << 62
"""After all root ticks."""

Ready = Callable[[bool, bool], None]
"""`(readable, writable)`: called when a watched file descriptor is either."""


class Loop:
    """Timers, sockets and messages of one ensemble.

    Args:
        clock: the root clock.
        agenda: the ensemble's agenda (root ticks); this loop is its driver.
        ensemble: the ensemble's name, for the message if the timekeeper ends by an error.

    Attributes:
        before_instant: called with the root tick of an instant shortly before it, after a long sleep (`REHEARSAL`).
            None: nothing is called.
        at_rest: called before a sleep with its length in microseconds; true if it has done something, which takes time.
            None: nothing is called.
    """

    def __init__(self, clock: RootClock, agenda: Agenda, ensemble: str = "") -> None:
        self.clock = clock
        self.agenda = agenda
        self._descriptors = descriptors()
        self._inbox: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self._signalled = True  # nobody sleeps yet
        self._watched: dict[int, Ready] = {}
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._timer_count = 0
        self._made_at = monotonic_us()
        self._jobs: deque[Callable[[], Job | None]] = deque()
        self._role = Role(lambda: or_end(self._keep_time, f"the timekeeper of ensemble {ensemble!r}"), "ticktalk time")
        self._first: tuple[int, Callable[[], None]] = (NEVER, lambda: None)
        self._wakes_at = 0  # when the sleeping timekeeper will look at its timers again (root ticks)
        self._to_tick = False  # whether that is a timer of the agenda
        self._woken = False  # the last sleep has ended early: descriptors are ready, or the wake has come
        self._looked = 0  # when it was seen last which sockets are ready (monotonic microseconds)
        self._early = False  # the last sleep has ended early: an instant is near
        self.before_instant: Callable[[int], None] | None = None
        self.at_rest: Callable[[int], bool] | None = None
        self._visitor: int | None = None  # the thread of the visitor that does a job: one at a time
        self._visits: Job | None = None  # that job
        self._looked_at: Job | None = None  # the one at the last look
        self._exposure = Exposure()  # of that thread
        self._visitor_wakes = False  # it wakes the timekeeper after that: what it has handed back wants it
        self._visitor_may = 0  # when arrivals may be followed by a job of a visitor again (monotonic microseconds)
        self._begun = False
        self._stopping = False
        self._thread: int | None = None
        self._closed = False
        self.every(LOOK, self._look_at_visitor)
        self._signalled = False

    def post(self, call: Callable[..., None], *arguments: Any) -> None:
        """Have the timekeeper call `call(*arguments)`; from any thread, never blocks."""
        self._inbox.append((monotonic_us(), call, arguments))
        self._role.hurry()
        if not self._signalled:
            self._signal()  # last: the woken thread needs the interpreter's lock

    def hand_back(self, call: Callable[..., None], *arguments: Any) -> None:
        """As `post`, for the end of slow work: a lent role need not come back sooner for it."""
        visits = self._visitor == threading.get_ident() and not self.in_loop
        try:
            if visits:
                self._exposure.shield()
            stamp = monotonic_us()
            if not (visits and self.visit(stamp, False, call, *arguments)):
                self._inbox.append((stamp, call, arguments))
                if not self._signalled:
                    self._signal()
        finally:
            if visits:
                self._exposure.expose()

    def _signal(self) -> None:
        self._signalled = True
        if not self._closed:
            self._descriptors.wake()

    def visit(self, stamp: int, may_stay: bool, call: Callable[..., None], *arguments: Any) -> bool:
        """Call `call(*arguments)` in this thread for an arrival at `stamp`, if the timekeeper sleeps.

        That saves waking a thread, unless slow work follows. False: the timekeeper is awake, so `post` the call.

        Args:
            stamp: when it came (monotonic microseconds).
            may_stay: this thread may do a brief job that follows, and so save waking another.
            call, arguments: the call.
        """
        role = self._role
        if self._signalled or not role.mutex.acquire(False):
            return False
        if self._signalled or self._inbox or self._stopping:
            role.mutex.release()
            return False
        self._thread = thread = threading.get_ident()
        job = None
        try:
            agenda, tick_of_arrival = self.agenda, self.clock.at(stamp)
            if tick_of_arrival >= self._first[0]:
                self._do_first()
            self._guarded(self.advance, tick_of_arrival)
            self._guarded(call, *arguments)
            if agenda.ready or not self._jobs:  # else the timekeeper is woken anyway, and looks
                self._guarded(agenda.run_until, max(self.clock.now(), agenda.now))
            does_job = self._visitor == thread
            if may_stay and self._jobs and self._visitor is None and stamp >= self._visitor_may:
                job = self._brief_job()
            wakes = bool(self._jobs or self._inbox) or self._wakes_late()
        finally:
            self._thread = None
            role.mutex.release()
        if does_job:
            self._visitor_wakes = self._visitor_wakes or wakes
        elif wakes and not self._signalled:
            self._signal()  # last: the woken thread needs the interpreter's lock and the role
        if job is not None:
            self._do_brief(job)
        return True

    def _brief_job(self) -> Job | None:
        """The first job, if a visitor may do it; called in the role."""
        job = self._jobs.popleft()()
        if job is None or job.brief is not None:
            self._visits, self._visitor = job, job and threading.get_ident()
            return job
        self._jobs.appendleft(lambda: job)
        return None

    def _do_brief(self, job: Job) -> None:
        """Do a job without the role; what it hands back is taken in visits of their own."""
        begun, self._visitor_wakes = monotonic_us(), False
        try:
            self._exposure.begin()
            try:
                self._guarded(job.brief or job.call, *job.arguments)
            finally:
                self._exposure.shield()
        except Interruption:
            pass
        finally:
            ended = monotonic_us()
            self._visitor_may = ended + REST + ended - begun
            self._visits = self._visitor = None
            if self._visitor_wakes and not self._signalled:
                self._signal()

    def do_aside(self, job: Callable[[], Job | None], first: bool = False) -> None:
        """Do slow work after this turn.

        Args:
            job: called in the role; gives the work, or None if there is none any more.
            first: do it before the work that waits already.
        """
        if first:
            self._jobs.appendleft(job)
        else:
            self._jobs.append(job)

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time; called by the timekeeper, or before the loop runs."""
        self._call_at(monotonic_us() + microseconds, call)

    def _call_at(self, due: int, call: Callable[[], None]) -> None:
        self._timer_count += 1
        timer = (due, self._timer_count, call)
        heapq.heappush(self._timers, timer)
        if self._timers[0] is timer and not self._signalled and not self.in_loop:
            self._signal()  # the timekeeper means to sleep longer; a visitor sees to that at its end

    def every(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` again and again.

        All such calls keep to one grid, which begins with this loop: those that are due together share a wake.
        """

        def again() -> None:
            now = monotonic_us()
            self._call_at(now - (now - self._made_at) % microseconds + microseconds, again)
            call()

        self.after(microseconds, again)

    def first_at(self, tick: int, call: Callable[[], None]) -> None:
        """Call `call()` at a root tick; if time is kept late then, before all that was due or came meanwhile.

        One call waits like that: a later one takes its place. Each is made at its tick, too.
        """
        self._first = tick, call
        self.agenda.deliver_at(tick, call)

    def _do_first(self) -> None:
        _, call = self._first
        self._first = NEVER, call
        self._guarded(call)

    def watch(self, descriptor: int, ready: Ready) -> None:
        """Call `ready(readable, writable)` when the descriptor can be read."""
        self._watched[descriptor] = ready
        self._descriptors.watch(descriptor)

    def watch_writing(self, descriptor: int, on: bool) -> None:
        """Call `ready` also when the descriptor can be written, or no more."""
        if descriptor in self._watched:
            self._descriptors.watch_writing(descriptor, on)

    def forget(self, descriptor: int) -> None:
        """Stop watching a descriptor; called before it is closed."""
        if self._watched.pop(descriptor, None) is not None:
            self._descriptors.forget(descriptor)

    def spawn(self, call: Callable[[], None]) -> None:
        """Make a call that may block, in a thread of its own."""
        threading.Thread(target=call, daemon=True).start()

    def advance(self, tick: int) -> None:
        """Bring the agenda to the root tick of an arrival; timers due and SQs ready before it have their turn first.

        So arrivals that are handled late still count in the order in which they came.
        """
        agenda = self.agenda
        if tick > agenda.now:
            agenda.run_until(tick)
        elif agenda.ready:
            agenda.run_ready(agenda.now)

    def taken_until(self) -> int:
        """The root tick up to which all arrivals have been handled; called by the timekeeper."""
        return self.clock.at(self._inbox[0][0]) if self._inbox else self.clock.now()

    @property
    def in_loop(self) -> bool:
        """True if the caller is the timekeeper."""
        return self._thread == threading.get_ident()

    def run(self) -> None:
        """Keep time until `stop`."""
        self._begun = True
        sys.setswitchinterval(SWITCH_INTERVAL)
        self._role.hold()

    def _keep_time(self) -> None:
        """Keep time until `stop`, or until the role was lent for too long."""
        mutex = self._role.mutex
        thread = self._thread = threading.get_ident()
        self._signalled = True
        while not self._stopping:
            self._turn()
            if self._jobs:
                job = self._jobs.popleft()()
                if job is not None and not self._lend(job):
                    return
                self._thread = thread
                if self._jobs or self._inbox:
                    continue
            wait = self._until_next()
            if wait <= 0 or (self.at_rest is not None and self.at_rest(wait)):
                continue
            self._signalled = False  # before the inbox is looked at, so that nothing posted meanwhile sleeps in it
            if not self._inbox and not self._stopping:
                self._thread = None
                self._role.rest(monotonic_us() + wait + LOAN)
                mutex.release()
                self._woken = self._sleep(wait / 1e6)
                self._looked = monotonic_us()
                mutex.acquire()
                self._thread = thread
                if self._early:
                    self._rehearse()
            self._signalled = True
        self._thread = None
        self._role.end()

    def _sleep(self, seconds: float) -> bool:
        """Sleep until an arrival or a timer, sometimes less; without the role. True: the descriptors ended it."""
        sleep = self._descriptors.sleep
        if not self._to_tick:
            return sleep(seconds)
        if seconds > LONG:
            woken = sleep(seconds - EARLY)
            self._early = not woken
            return woken
        if sleep(max(0.0, seconds - NEAR)):
            return True
        due, now = self._wakes_at, self.clock.now
        while not self._signalled and now() < due:
            pass
        return self._signalled

    def _rehearse(self) -> None:
        """Do what prepares for the instant that is near, if there is time for it; what it sends follows as a job."""
        self._early = False
        if self.before_instant is not None and self._wakes_at - self.clock.now() > REHEARSAL:
            self._guarded(self.before_instant, self._wakes_at)

    def _until_next(self) -> int:
        """Microseconds until a timer is due."""
        now = self.clock.now()
        wakes_at = now + 1_000_000
        if self._timers and (due := self._timers[0][0] + self.clock.offset) < wakes_at:
            wakes_at = due
        tick = self.agenda.next_tick()
        self._to_tick = False
        if tick is not None and tick < wakes_at:
            wakes_at, self._to_tick = tick, True
        self._wakes_at = wakes_at
        return wakes_at - now

    def _wakes_late(self) -> bool:
        """True if a timer is due before the timekeeper means to look."""
        tick, wakes_at = self.agenda.next_tick(), self._wakes_at
        return (tick is not None and tick < wakes_at) or (
            bool(self._timers) and self._timers[0][0] + self.clock.offset < wakes_at
        )

    def _lend(self, job: Job) -> bool:
        """Do a job with the role lent; whether this thread has the role afterwards."""
        limit, due = job.limit, max(SHORT, self._until_next())
        self._thread = None
        if not limit or self._jobs or self._inbox:
            loan = self._role.lend(min(limit, due))
        else:
            slack = due + LOAN
            loan = self._role.lend(min(limit, due), min(slack, SOCKETS) if self._watched else slack)
            if self._inbox:
                self._role.hurry()
        self._guarded(job.call, *job.arguments)
        return self._role.back(loan)

    def _turn(self) -> None:
        clock, agenda = self.clock, self.agenda
        if self._first[0] < NEVER and clock.now() >= self._first[0]:
            self._do_first()
        now = monotonic_us()
        if self._woken or (self._watched and now - self._looked > GLANCE):
            # With no sockets to workers, only the wake is there, and it is to be taken only if it ended the sleep.
            self._woken, self._looked = False, now
            for descriptor, events in self._descriptors.poll(0):
                ready = self._watched.get(descriptor)
                if ready is not None:
                    self._guarded(ready, bool(events & READABLE), bool(events & WRITABLE))
            now = monotonic_us()
        until = now + TURN
        for _ in range(len(self._inbox)):
            stamp, call, arguments = self._inbox.popleft()
            self._guarded(self.advance, stamp + clock.offset)
            self._guarded(call, *arguments)
            now = monotonic_us()
            if now > until:
                break  # timers have their turn however many arrivals there are: heartbeats are among them
        while self._timers and self._timers[0][0] <= now:
            self._guarded(heapq.heappop(self._timers)[2])
        self._guarded(agenda.run_until, max(clock.now(), agenda.now))

    def _guarded(self, call: Callable[..., object], *arguments: Any) -> None:
        """Make a call and log its error: no message can end the timekeeper."""
        try:
            call(*arguments)
        except Exception:
            logger.exception("an error in the runtime itself")

    def stop(self) -> None:
        """End `run` after its present turn; from any thread."""
        self._stopping = True
        self._signal()

    def close(self) -> None:
        """End a visitor's job, and give back the file descriptors; after `run` has ended."""
        if not self._closed:
            self._closed = True
            self._interrupt_visitor()
            if not self._begun:
                self._role.leave()
            self._descriptors.close()

    def _look_at_visitor(self) -> None:
        """Interrupt a job that nobody waits for, such as a body that does not return though its graph was stopped."""
        job, before, self._looked_at = self._visits, self._looked_at, self._visits
        if job is not None and job is before and job.over is not None and job.over(*job.arguments):
            self._interrupt(job)

    def _interrupt(self, job: Job) -> None:
        """Interrupt a visitor's job, unless its thread is in code of the runtime just now."""
        if self._exposure.hold():
            if self._visits is job and self._visitor is not None:
                self._exposure.interrupt(self._visitor)
            self._exposure.expose()

    def _interrupt_visitor(self) -> None:
        """Interrupt a job that a visitor still does.

        The visitor may be a thread of Zenoh's. Python ends such a thread if it runs Python code while the process ends.
        Zenoh does not survive that: the process would abort.
        """
        job, until = self._visits, monotonic_us() + FREED
        while job is not None and self._visits is job and monotonic_us() < until:
            self._interrupt(job)
            time.sleep(0.001)
