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

TOKENS_HELD = 256 << 20
"""Bytes of tokens that may wait."""

CONTROL_HELD = 1 << 30
"""Bytes of control messages that may wait for a receiver: the states of instances that move are among them."""

JOINED = 64
"""Parts for the same key that are sent as one frame when they wait anyway."""

Frames = Iterable[tuple[Any, bytes | None]]
"""Payloads and their attachments."""


class Outbox:
    """The parts that wait on one path.

    Args:
        path: the path of its parts.
        held: bytes of its parts that may wait; None: as the path has it.

    Attributes:
        sending: held by the thread that sends from it.
        waits: its parts: key, part, how it is joined with others, bytes (0: not known).
    """

    __slots__ = ("_held", "_size", "path", "sending", "waits")

    def __init__(self, path: Path, held: int | None = None) -> None:
        self.path = path
        self.sending = threading.Lock()
        self.waits: deque[tuple[str, Any, Join | None, int]] = deque()
        self._held = held or (CONTROL_HELD if path is Path.CONTROL else HELD)
        self._size = [0, 0]  # bytes that the timekeeper added; bytes that the sending thread took

    @property
    def size(self) -> int:
        """Bytes of its parts, as far as known."""
        added, taken = self._size
        return added - taken

    def add(self, key: str, part: Any, join: Join | None, size: int = 0) -> tuple[bool, int]:
        """Let a part wait; whether it is the only one now, and how many were dropped for it."""
        waits, sizes = self.waits, self._size
        dropped = 0
        sizes[0] += size
        while len(waits) >= OUTBOX or (waits and sizes[0] - sizes[1] > self._held):
            try:
                sizes[0] -= waits.popleft()[3]
            except IndexError:
                break  # the sender was faster
            dropped += 1
        waits.append((key, part, join, size))
        return len(waits) == 1, dropped

    def next(self) -> tuple[str, Frames] | None:
        """The key and the frames to send next; None: nothing waits."""
        waits = self.waits
        if not waits:
            return None
        try:
            key, part, join, size = waits.popleft()
        except IndexError:
            return None  # the last one became too old meanwhile
        self._size[1] += size
        if join is None:
            return key, part() if callable(part) else ((part, None),)
        parts = [part]
        try:
            while waits and len(parts) < JOINED:
                following = waits.popleft()  # taken before it is looked at: the one in front may go at any moment
                if following[2] is not join or following[0] != key:
                    waits.appendleft(following)
                    break
                parts.append(following[1])
                self._size[1] += following[3]
        except IndexError:
            pass  # the others became too old meanwhile
        return key, ((join(parts), None),)
