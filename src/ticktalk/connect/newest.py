"""The newest of values that another thread puts in: bounded, and what finds no room is counted."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from ticktalk.time import TTEmpty

MOST = 1000
"""Values that wait."""


class Newest:
    """Values that wait to be read.

    Attributes:
        dropped: how many were dropped, the oldest first, because too many waited.
    """

    def __init__(self, most: int = MOST) -> None:
        self._waiting: deque[Any] = deque(maxlen=most)
        self._lock = threading.Lock()
        self.dropped = 0

    def put(self, value: Any) -> None:
        """A value has come."""
        with self._lock:
            self.dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(value)

    def read(self) -> Any:
        """The newest value, and forget those before it; `TTEmpty()` if none has come since the last."""
        with self._lock:
            if not self._waiting:
                return TTEmpty()
            newest = self._waiting[-1]
            self._waiting.clear()
            return newest

    def read_all(self) -> list[Any]:
        """All values that have come since the last, the oldest first."""
        with self._lock:
            found = list(self._waiting)
            self._waiting.clear()
            return found
