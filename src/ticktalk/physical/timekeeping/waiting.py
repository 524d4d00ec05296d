"""Descriptors and a wake, on which the timekeeper sleeps; timers, on which threads sleep that stand by for it.

Linux has system calls for both. Elsewhere the standard library's means stand in for them (`system.has_linux`).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import select
import selectors
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from ticktalk.physical.system import has_linux

READABLE, WRITABLE = 1 | 8 | 16, 4
"""Bits of what `Descriptors.poll` gives, as epoll has them; one that has failed or ended can be read."""

_CLOCK_MONOTONIC = 1
_TFD_CLOEXEC = 0o2000000


class Descriptors(ABC):
    """Descriptors that are watched, and a wake.

    Attributes:
        wake: ends the present sleep, or the next one; from any thread.
        poll: given 0, the descriptors that are ready, and how (`READABLE`, `WRITABLE`); it takes the wake.
    """

    wake: Callable[[], object]
    poll: Callable[[int], list[tuple[int, int]]]

    @abstractmethod
    def watch(self, descriptor: int) -> None:
        """Look whether it can be read."""

    @abstractmethod
    def watch_writing(self, descriptor: int, on: bool) -> None:
        """Look also whether it can be written, or no more."""

    @abstractmethod
    def forget(self, descriptor: int) -> None:
        """Look at it no more."""

    @abstractmethod
    def sleep(self, seconds: float) -> bool:
        """Sleep until one is ready or the wake comes: True; or for so long."""

    @abstractmethod
    def close(self) -> None:
        """Give back the descriptors made here."""


def descriptors() -> Descriptors:
    """Those of this system."""
    return _Epoll() if has_linux() else _Selected()


class _Epoll(Descriptors):
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._event, select.EPOLLIN | select.EPOLLET)  # edge-triggered, so it need not be read
        self.poll = self._epoll.poll
        self.wake = functools.partial(os.eventfd_write, self._event, 1)

    def watch(self, descriptor: int) -> None:
        self._epoll.register(descriptor, select.EPOLLIN)

    def watch_writing(self, descriptor: int, on: bool) -> None:
        self._epoll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if on else 0))

    def forget(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)

    def sleep(self, seconds: float) -> bool:
        # select has microsecond time-outs, epoll rounds up to milliseconds.
        return bool(select.select([self._epoll], (), (), seconds)[0])

    def close(self) -> None:
        self._epoll.close()
        os.close(self._event)


class _Selected(Descriptors):
    def __init__(self) -> None:
        # These two have microsecond time-outs, too.
        self._selector: selectors.BaseSelector = getattr(selectors, "KqueueSelector", selectors.SelectSelector)()
        self._woken, self._waker = socket.socketpair()
        for side in (self._woken, self._waker):
            side.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self.poll = self._poll
        self.wake = self._wake

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # there are many wakes already
            self._waker.send(b"\0")

    def _poll(self, timeout: int) -> list[tuple[int, int]]:
        found = []
        for key, events in self._selector.select(timeout):
            if key.fileobj is self._woken:
                with contextlib.suppress(BlockingIOError):
                    self._woken.recv(1 << 16)
            else:
                readable, writable = events & selectors.EVENT_READ, events & selectors.EVENT_WRITE
                found.append((key.fd, (READABLE if readable else 0) | (WRITABLE if writable else 0)))
        return found

    # A visitor may change what is watched while the timekeeper sleeps, so that it has to look anew.

    def watch(self, descriptor: int) -> None:
        self._selector.register(descriptor, selectors.EVENT_READ)
        self._wake()

    def watch_writing(self, descriptor: int, on: bool) -> None:
        self._selector.modify(descriptor, selectors.EVENT_READ | (selectors.EVENT_WRITE if on else 0))
        self._wake()

    def forget(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        self._wake()

    def sleep(self, seconds: float) -> bool:
        return bool(self._selector.select(seconds))

    def close(self) -> None:
        self._selector.close()
        self._woken.close()
        self._waker.close()


class Timer(ABC):
    """A time that threads sleep on, set by another."""

    @abstractmethod
    def set(self, microseconds: int) -> None:
        """Let it go off after so many microseconds; at once if that is not positive."""

    @abstractmethod
    def clear(self) -> None:
        """Let it not go off."""

    @abstractmethod
    def repeat(self) -> None:
        """Let it go off every millisecond from now on."""

    @abstractmethod
    def wait(self) -> None:
        """Sleep until it goes off; one of the sleeping threads wakes."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it has of the system."""


def timer() -> Timer:
    """One of this system."""
    return _KernelTimer() if has_linux() else _ConditionTimer()


class _Setting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("every_s", ctypes.c_long),
        ("every_ns", ctypes.c_long),
        ("after_s", ctypes.c_long),
        ("after_ns", ctypes.c_long),
    )


class _KernelTimer(Timer):
    def __init__(self) -> None:
        libc = ctypes.PyDLL(None, use_errno=True)  # these calls are short: the interpreter's lock is kept
        self._descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting(0, 0, 0, 0)
        self._pointer = ctypes.byref(self._setting)
        self._set = libc.timerfd_settime

    def set(self, microseconds: int) -> None:
        nanoseconds = max(1, microseconds * 1000)
        self._setting.after_s, self._setting.after_ns = divmod(nanoseconds, 1_000_000_000)
        self._set(self._descriptor, 0, self._pointer, None)

    def clear(self) -> None:
        self._setting.after_s = self._setting.after_ns = 0
        self._set(self._descriptor, 0, self._pointer, None)

    def repeat(self) -> None:
        self._setting.every_ns = 1_000_000
        self.set(0)

    def wait(self) -> None:
        os.read(self._descriptor, 8)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class _ConditionTimer(Timer):
    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at = math.inf  # monotonic seconds
        self._every = math.inf
        self._looks = math.inf  # when a sleeping thread looks again

    def set(self, microseconds: int) -> None:
        with self._changed:
            self._at = time.monotonic() + max(0, microseconds) / 1e6
            if self._at < self._looks:
                self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._at = math.inf

    def repeat(self) -> None:
        self._every = 0.001
        self.set(0)

    def wait(self) -> None:
        with self._changed:
            while (left := self._at - time.monotonic()) > 0:
                self._looks = min(self._looks, self._at)
                self._changed.wait(None if left == math.inf else left)
                self._looks = math.inf
            self._at = time.monotonic() + self._every

    def close(self) -> None:
        """There is nothing to give back."""
