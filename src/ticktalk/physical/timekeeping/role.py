"""A role that one thread has at a time, and that another thread takes over when the first is held up.

The role is that of the timekeeper, or of the reader of a worker's commands. Waking another thread costs more than most
of its work. So the thread with the role also does work that may be slow, such as a body, and lends the role meanwhile.
If it does not take the role back within a limit, a thread that stands by takes it.

A thread that stands by sleeps on a `Timer`, and then looks for a loan that is overdue. Setting the timer takes time. So
it is set before a rest (`rest`), and by `lend` only if it would go off too late.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

from ticktalk.physical.slices import SHORT, ask_for_slices
from ticktalk.physical.system import has_linux
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.timekeeping.waiting import timer

_PR_SET_TIMERSLACK = 29

SPARE = 2
"""Threads that stand by at most: one takes the role over, and the other stands by for it."""

ABOUT = 200
"""Microseconds by which the timer may miss the end of a rest: setting it anew costs more than that matters."""


class Role:
    """A role and the threads that stand by for it.

    Args:
        serve: does the work of the role. It is called with the role, in one thread after the other. It returns when
            `back` was False (another thread has the role), or after `end`.
        name: of the threads.

    Attributes:
        mutex: held by the thread that acts in the role. It may release the mutex while it waits; then another thread
            may take it for a moment.
        ended: set by `end`.
    """

    def __init__(self, serve: Callable[[], None], name: str) -> None:
        self._serve = serve
        self._name = name
        self.mutex = threading.Lock()
        self._timer = timer()
        self._count = threading.Lock()
        self._standing_by = 0
        self._lent = 0  # the number of the present loan; 0: there is none
        self._loans = 0
        self._due = 0  # when the role has to be back (monotonic microseconds)
        self._goes_off = 0  # when the timer goes off; 0: it is not set
        self.ended = threading.Event()

    def hold(self) -> None:
        """Take the role in this thread, and return when it has ended; called once."""
        self.mutex.acquire()
        self._begin()
        self._stand_by()
        self.ended.wait()

    def _begin(self) -> None:
        if has_linux():
            ctypes.PyDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        ask_for_slices(SHORT)
        self._serve()

    def _stand_by(self) -> None:
        while True:
            with self._count:
                if self.ended.is_set() or self._standing_by == SPARE:
                    return
                self._standing_by += 1
            self._timer.wait()
            with self._count:
                self._standing_by -= 1
                if self.ended.is_set():
                    if not self._standing_by:
                        self._timer.close()
                    return
            self.mutex.acquire()
            if self.ended.is_set():  # meanwhile: the timer now wakes the other threads, so it is left alone
                self.mutex.release()
                return
            if self._lent and monotonic_us() >= self._due:
                self._lent = 0
                self._begin()
                continue
            self._look_at(self._due if self._lent else 0)
            self.mutex.release()

    def lend(self, microseconds: int, slack: int = 0) -> int:
        """Give the role up for a while; another thread takes it if it is not back in time.

        Args:
            microseconds: the limit.
            slack: the limit without a call of `hurry`; longer, because setting the timer can cost more than the work.

        Returns:
            The number of the loan, for `back`.
        """
        if not self._standing_by:
            threading.Thread(target=self._stand_by, name=self._name, daemon=True).start()
        self._loans += 1
        self._lent = loan = self._loans
        now = monotonic_us()
        self._due = now + microseconds
        if not now < self._goes_off <= now + max(microseconds, slack):
            self._look_at(self._due)
        self.mutex.release()
        return loan

    def hurry(self) -> None:
        """End the slack of a loan: a thread waits for the role; from any thread."""
        if self._lent and self._goes_off > self._due:
            self._look_at(self._due)

    def back(self, loan: int) -> bool:
        """Take the role back; False: another thread has it for good."""
        self.mutex.acquire()
        if self._lent == loan:
            self._lent = 0
            return True
        self.mutex.release()
        return False

    def rest(self, until: int = 0, sooner: int = ABOUT) -> None:
        """Note that the role has no work until about a time; called in the role.

        Args:
            until: the time (monotonic us), so that a loan then need not set the timer; 0: unknown.
            sooner: microseconds by which the timer may go off before that.
        """
        if not -sooner <= self._goes_off - until <= ABOUT:
            self._look_at(until)

    def _look_at(self, time: int) -> None:
        """Have a thread that stands by look at a time; 0: not at all."""
        self._goes_off = time
        if time:
            self._timer.set(time - monotonic_us())
        else:
            self._timer.clear()

    def end(self) -> None:
        """End the role; called in the role."""
        with self._count:
            self.ended.set()
            if self._standing_by:
                self._timer.repeat()  # each thread that stands by wakes and sees the end
            else:
                self._timer.close()
        self.mutex.release()

    def leave(self) -> None:
        """Close the descriptors of a role that no thread ever had."""
        self._timer.close()
