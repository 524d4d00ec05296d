"""The parts that wait to be sent on one path: to one receiver, or tokens to any.

One thread at a time sends from an outbox, so it keeps its order. It is bounded: the stalest part goes when there is no
room, and the caller counts it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from ticktalk.network_interface import Join
from ticktalk.network_keys import Path

OUTBOX = 65_536
"""Parts that may wait to be sent."""

HELD = 64 << 20
"""Bytes of outputs that may wait for the manager, or of rows for a command; the latest is kept however long it is."""

JOINED = 64
"""Parts for the same key that are sent as one frame when they wait anyway."""

Frames = Iterable[tuple[Any, bytes | None]]
"""Payloads and their attachments."""


class Outbox:
    """See above.

    Args:
        path: the path of its parts.

    Attributes:
        sending: held by the thread that sends from it.
        waits: its parts: key, part, how it is joined with others, bytes (0: not known).
    """

    __slots__ = ("_size", "_sized", "path", "sending", "waits")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sending = threading.Lock()
        self.waits: deque[tuple[str, Any, Join | None, int]] = deque()
        self._sized = path in (Path.OUTPUTS, Path.RECORDS, Path.TOKENS)
        self._size = [0, 0]  # bytes that the timekeeper added; bytes that the sending thread took

    def add(self, key: str, part: Any, join: Join | None, size: int = 0) -> tuple[bool, int]:
        """Let a part wait; whether it is the only one now, and how many were dropped for it."""
        waits = self.waits
        dropped = 0
        if self._sized:
            self._size[0] += size
        while len(waits) >= OUTBOX or (self._sized and waits and self._size[0] - self._size[1] > HELD):
            try:
                self._size[0] -= waits.popleft()[3]
            except IndexError:
                break  # the sender was faster
            dropped += 1
        waits.append((key, part, join, size))
        return len(waits) == 1, dropped

    def next(self) -> tuple[str, Frames] | None:
        """The key and the frames to send next; None: nothing waits."""
        waits = self.waits
        try:
            key, part, join, size = waits.popleft()
            self._size[1] += size
            if join is None:
                return key, part() if callable(part) else ((part, None),)
            parts = [part]
            while waits and waits[0][2] is join and waits[0][0] == key and len(parts) < JOINED:
                parts.append(waits.popleft()[1])
            return key, ((join(parts), None),)
        except IndexError:
            return None  # the last one became too old meanwhile
