"""A role that one thread has at a time, and that another takes over when it is held up.

Waking another thread costs more than most of what a thread is woken for. So whoever has the role (keeps time, reads
commands) does itself what might take long, a body for one, and lends the role meanwhile: if it is not back within a
limit, a thread that stands by takes the role. That one sleeps on a timer of the kernel, and looks when it goes off
whether there is a loan that is overdue. The timer is set before there is nothing to do (`rest`), for when something is
to be done again; by `lend`, which somebody waits for, only if it would go off too late.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable

from ticktalk.physical.timekeeping.root_clock import monotonic_us

_PR_SET_TIMERSLACK = 29
_CLOCK_MONOTONIC = 1
_TFD_CLOEXEC = 0o2000000

_libc = ctypes.PyDLL(None, use_errno=True)  # these calls are short: the interpreter's lock is kept


SPARE = 2
"""Threads that stand by at most: one takes over, the other is there for it until who was held up is back."""


class _Setting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("after_s", ctypes.c_long),
        ("after_ns", ctypes.c_long),
    )


class _Timer:
    """A timer that a thread can sleep on, set by another."""

    def __init__(self) -> None:
        self._descriptor = _libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting(0, 0, 0, 0)
        self._pointer = ctypes.byref(self._setting)
        self._set = _libc.timerfd_settime

    def set(self, microseconds: int) -> None:
        """Let it go off after so long; at once if that is not positive."""
        nanoseconds = max(1, microseconds * 1000)
        self._setting.after_s, self._setting.after_ns = divmod(nanoseconds, 1_000_000_000)
        self._set(self._descriptor, 0, self._pointer, None)

    def clear(self) -> None:
        """Let it not go off."""
        self._setting.after_s = self._setting.after_ns = 0
        self._set(self._descriptor, 0, self._pointer, None)

    def repeat(self) -> None:
        """Let it go off every millisecond from now on."""
        self._setting.every_ns = 1_000_000
        self.set(0)

    def wait(self) -> None:
        """Sleep until it goes off; of several threads one wakes."""
        os.read(self._descriptor, 8)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class Role:
    """What one thread does at a time.

    Args:
        serve: does it: called with the role, in one thread after the other; returns when `back` has told it that
            another thread has the role, or after `end`.
        name: of the threads.

    Attributes:
        mutex: held by who acts in the role. Its holder may give it up while it waits; then others may take it for
            a moment.
        ended: set by `end`.
    """

    def __init__(self, serve: Callable[[], None], name: str) -> None:
        self._serve = serve
        self._name = name
        self.mutex = threading.Lock()
        self._timer = _Timer()
        self._count = threading.Lock()
        self._standing_by = 0
        self._lent = 0  # the number of the present loan; 0: there is none
        self._loans = 0
        self._due = 0  # when the role has to be back (monotonic microseconds)
        self._goes_off = 0  # when the timer wakes somebody; 0: it is not set
        self.ended = threading.Event()

    def hold(self) -> None:
        """Take the role in this thread, and return when it has ended; called once."""
        self.mutex.acquire()
        self._begin()
        self._stand_by()
        self.ended.wait()

    def _begin(self) -> None:
        if sys.platform == "linux":
            _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
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
            if self._lent and monotonic_us() >= self._due:
                self._lent = 0
                self._begin()
                continue
            self._look_at(self._due if self._lent else 0)
            self.mutex.release()

    def lend(self, microseconds: int, slack: int = 0) -> int:
        """Give the role up for a while; if it is not taken back within so long, another thread has it.

        Args:
            microseconds: how long.
            slack: how long it may be if nobody calls `hurry`; setting the timer can cost more than what is done.

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
        """Somebody waits for the role: a loan has no slack any more; from any thread."""
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

    def rest(self, until: int = 0) -> None:
        """There is nothing to do in the role until a time (monotonic microseconds; 0: nobody knows); by who has it."""
        if self._goes_off != until:
            self._look_at(until)

    def _look_at(self, time: int) -> None:
        """Have a thread that stands by look then; 0: not at all."""
        self._goes_off = time
        if time:
            self._timer.set(time - monotonic_us())
        else:
            self._timer.clear()

    def end(self) -> None:
        """Let nobody have the role any more; by who has it."""
        with self._count:
            self.ended.set()
            if self._standing_by:
                self._timer.repeat()  # whoever stands by sees that it has ended
            else:
                self._timer.close()
        self.mutex.release()

    def leave(self) -> None:
        """Give the role's descriptors back where it was never taken."""
        self._timer.close()
