"""Messages that wait for the timekeeper: an inbox for each sender, bounded in number and in bytes.

Threads of the network fill the inboxes, and the timekeeper takes the entries in the order in which they came. Or it
takes them in turn, one of each sender. Where a sender has no room left, its own stalest entry goes. So no sender takes
the room of another.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from ticktalk.physical.timekeeping.root_clock import thread_us

LONG = 10_000
"""Microseconds of processor time from which on an entry takes long. While a host stands still, none passes."""

REST = 4
"""A sender whose entry took long waits so many times as long for its next turn. So it gets a fifth of the time."""


class Inboxes:
    """The inboxes of one receiver, by sender.

    Args:
        post: has the timekeeper make a call, in the order of the posts.
        most: entries of one sender that may wait.
        most_bytes: bytes of them, by sender; the latest is kept however long it is.
        dropped: told by the timekeeper of the sender and the number of entries that went.
        later: `(microseconds, call)`: calls `call()` so much later. The senders have their turns: nobody's entries wait
            for all those of another. One whose entry took long waits longer for its next turn (`REST`). None: there are
            no turns.
    """

    def __init__(
        self,
        post: Callable[..., None],
        most: int,
        most_bytes: Callable[[Any], int],
        dropped: Callable[[Any, int], None],
        later: Callable[[int, Callable[[], None]], None] | None = None,
    ) -> None:
        self._post, self._dropped, self._later = post, dropped, later
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        self._of: dict[Hashable, _Inbox] = {}
        self.waiting = 0  # entries of all senders

    def put(self, sender: Hashable, size: int, call: Callable[..., None], *arguments: Any) -> None:
        """Have the timekeeper make a call for what came from a sender, so many bytes; from any thread."""
        with self._lock:
            inbox = self._of.get(sender)
            new = inbox is None
            if inbox is None:
                inbox = self._of[sender] = _Inbox()
            before = len(inbox.entries)
            while inbox.entries and (len(inbox.entries) >= self._most or inbox.size + size > self._most_bytes(sender)):
                inbox.size -= inbox.entries.popleft()[0]
                inbox.dropped += 1
            inbox.entries.append((size, call, arguments))
            inbox.size += size
            more = len(inbox.entries) - before
            self.waiting += more
        # Else there is a call that was posted for one that went, or for the one whose turn is next.
        if more > 0 and (self._later is None or new):
            self._post(self._take, sender)

    def of(self, sender: Hashable) -> tuple[int, int]:
        """The entries of a sender that wait, and their bytes."""
        with self._lock:
            inbox = self._of.get(sender)
            return (0, 0) if inbox is None else (len(inbox.entries), inbox.size)

    def _take(self, sender: Hashable) -> None:
        with self._lock:
            inbox = self._of.get(sender)
            if inbox is None:
                return  # more than one went for one that came
            size, call, arguments = inbox.entries.popleft()
            inbox.size -= size
            self.waiting -= 1
            dropped, inbox.dropped = inbox.dropped, 0
            if not inbox.entries and self._later is None:
                del self._of[sender]
        if dropped:
            self._dropped(sender, dropped)
        if self._later is None:
            call(*arguments)
            return
        begun = thread_us()
        try:
            call(*arguments)
        finally:
            took = thread_us() - begun
            if took < LONG:
                self._next(sender)
            else:
                self._later(REST * took, partial(self._next, sender))

    def _next(self, sender: Hashable) -> None:
        """A sender may have its next turn."""
        with self._lock:
            if self._of[sender].entries:
                self._post(self._take, sender)
            else:
                del self._of[sender]


class _Inbox:
    """The entries of one sender: size, call, arguments."""

    __slots__ = ("dropped", "entries", "size")

    def __init__(self) -> None:
        self.entries: deque[tuple[int, Callable[..., None], tuple[Any, ...]]] = deque()
        self.size = 0
        self.dropped = 0
