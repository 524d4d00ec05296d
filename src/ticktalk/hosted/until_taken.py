"""Outputs and errors of firings, which an ensemble keeps until the manager has taken them.

Outputs are numbered. The manager takes them in their order, each once, and says up to which one it has them for good.
Those that it has not are sent again: when another start of it asks, or when some were lost on the way. A bounded number
is under way. Further ones wait in a spill, as on a disk; beyond its bound they are left out, and lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

UNDER_WAY = 5_000
"""Messages under way at most."""

UNDER_WAY_BYTES = 32 << 20
"""Bytes of them; a single one may be longer."""


class Spill(Protocol):
    """A queue of messages that find no room in memory: the first that came in goes out first."""

    def put(self, count: int, frame: bytes) -> bool:
        """Let a message wait that holds so many outputs; False: there is no room."""

    def take(self) -> tuple[int, bytes] | None:
        """The first that waits; None: it cannot be read, so none of them can."""

    def clear(self) -> None:
        """Nothing waits any more."""


class UntilTaken:
    """The outputs and errors of one ensemble that the manager has not taken yet.

    Args:
        send: sends a message to the manager.
        spill: where further ones wait.
        left_out: told how many outputs and errors found no room, or could not be read again.

    Attributes:
        first: the number of the first output that is kept here, or else of the next.
        number: that of the last output.
    """

    def __init__(self, send: Callable[[bytes], None], spill: Spill, left_out: Callable[[int], None]) -> None:
        self._send, self._spill, self._left_out = send, spill, left_out
        self._waits: deque[tuple[int, bytes]] = deque()  # under way: the number of its last output, and the message
        self._bytes = 0
        self._spilled = 0  # outputs and errors in the spill
        self._sent = 0  # the number of the last output that was sent
        self.number = 0
        self.first = 1

    def add(self, count: int, frame_of: Callable[[int], bytes]) -> bool:
        """Send a message that holds so many outputs, now or as soon as there is room; False: it is left out.

        Args:
            count: 0: it is an error, or the like.
            frame_of: gives the message, by the number of its last output.
        """
        frame = frame_of(self.number + count)
        if self._spilled or not self._has_room(frame):
            if not self._spill.put(count, frame):
                self._left_out(count or 1)
                return False
            self._spilled += count or 1
        else:
            self._go(count, frame)
        self.number += count
        return True

    def taken(self, number: int) -> None:
        """The manager has the outputs up to this number for good."""
        waits = self._waits
        while waits and waits[0][0] <= number:
            self._bytes -= len(waits.popleft()[1])
        self.first = max(self.first, min(number, self._sent) + 1)
        self._go_on()

    def again(self) -> None:
        """Send what is under way again."""
        for _, frame in list(self._waits):
            self._send(frame)

    def clear(self) -> None:
        """The manager that is there now wants nothing of before."""
        self._waits.clear()
        self._spill.clear()
        self._bytes = self._spilled = self._sent = self.number = 0
        self.first = 1

    def _has_room(self, frame: bytes) -> bool:
        if len(self._waits) >= UNDER_WAY:
            return False
        return not self._waits or self._bytes + len(frame) <= UNDER_WAY_BYTES

    def _go(self, count: int, frame: bytes) -> None:
        self._sent += count
        self._waits.append((self._sent, frame))
        self._bytes += len(frame)
        self._send(frame)

    def _go_on(self) -> None:
        """Send what waits in the spill, as far as there is room."""
        while self._spilled and self._has_room(b""):
            found = self._spill.take()
            if found is None:
                self._left_out(self._spilled)
                self._spilled, self._sent = 0, self.number
                if not self._waits:
                    self.first = self.number + 1
                return
            self._spilled -= found[0] or 1
            self._go(*found)
