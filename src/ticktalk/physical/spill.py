"""A file for messages that find no room in memory. It has no name, so it is gone with its process."""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from errno import EIO
from typing import IO

logger = logging.getLogger("ticktalk")

SPILL_BYTES = 256 << 20
"""Bytes of messages that may wait there."""


class SpillFile:
    """The spill of one ensemble (`hosted.until_taken.Spill`).

    Args:
        owner: the ensemble's name, for messages.
        most: bytes that may wait.
    """

    def __init__(self, owner: str, most: int = SPILL_BYTES) -> None:
        self._owner, self._most = owner, most
        self._file: IO[bytes] | None = None
        self._waits: deque[tuple[int, int, int]] = deque()  # outputs, where it begins, bytes
        self._end = 0
        self._told = False

    def put(self, count: int, frame: bytes) -> bool:
        """See `Spill.put`."""
        if self._end + len(frame) > self._most:
            return self._full(f"{self._most >> 20} MiB wait there")
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="ticktalk-", buffering=0)  # noqa: SIM115
            self._file.seek(self._end)
            rest = memoryview(frame)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            return self._full(str(error.strerror))
        self._waits.append((count, self._end, len(frame)))
        self._end += len(frame)
        return True

    def take(self) -> tuple[int, bytes] | None:
        """See `Spill.take`."""
        count, begin, size = self._waits.popleft()
        try:
            assert self._file is not None
            self._file.seek(begin)
            frame = self._file.read(size)
            if len(frame) < size:
                raise OSError(EIO, "the file is shorter than what was written")
        except OSError as error:
            logger.warning("ensemble %r: outputs that waited on the disk are lost: %s", self._owner, error.strerror)
            self.clear()
            return None
        if not self._waits:
            self.clear()
        return count, frame

    def clear(self) -> None:
        """See `Spill.clear`."""
        self._waits.clear()
        self._end, self._told = 0, False
        if self._file is not None:
            self._file.close()
            self._file = None

    def _full(self, why: str) -> bool:
        if not self._told:
            self._told = True
            logger.warning(
                "ensemble %r: outputs wait for the manager, and no more find room (%s): further ones are left out, and"
                " counted as overflow",
                self._owner,
                why,
            )
        return False
