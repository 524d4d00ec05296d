"""Memory that an ensemble's process shares with a worker process: a long value is written once and read in place.

One half is written by the process that keeps time, the other by the worker. A half begins with a mark for each place
that its values can have: whoever writes sets it, whoever reads clears it once nothing there looks at the value any
more, and only then is its memory used again. So nothing has to be told, and a process that dies leaves nothing behind:
the memory goes with the last process, or the last value, that has it. Where there is no such memory, and for what
does not fit, values go through the socket.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import threading
import weakref
from collections.abc import Sequence

from ticktalk.engine.values import Data

HALF = 64 << 20
"""Bytes of a half; the kernel gives only those that were written once."""

PLACES = 255
"""Values that may be in a half at once."""

KEPT = 32 << 20
"""Bytes that a half keeps when there is nothing in it."""

_CLOSED = PLACES  # the last mark: the reader wants nothing here any more
_FIRST = mmap.PAGESIZE  # where values begin
_WHERE = struct.Struct("<BQQ")


class Placed:
    """A value that was written, on its way to the reader; if it does not get there, its place is free again.

    Attributes:
        where: what the reader has to know.
        sent: set when it is on its way: the place is the reader's from then on.
    """

    __slots__ = ("_marks", "sent", "where")

    def __init__(self, marks: memoryview, where: bytes) -> None:
        self._marks = marks
        self.where = where
        self.sent = False

    def __del__(self) -> None:
        if not self.sent:
            self._marks[self.where[0]] = 0


class Writer:
    """The side that writes into a half; from any thread."""

    def __init__(self, memory: mmap.mmap, begin: int) -> None:
        self._map = memory
        self._begin = begin
        self._half = memoryview(memory)[begin : begin + HALF]
        self._marks = self._half[: PLACES + 1]
        self._lock = threading.Lock()
        self._taken: list[tuple[int, int, int]] = []  # (begin, end, place), by where they begin
        self._highest = _FIRST

    def put(self, pieces: Sequence[Data]) -> Placed | None:
        """Write a value; None: it does not fit now, or the reader wants nothing here any more."""
        length = sum(map(len, pieces))
        found = self._take(length)
        if found is None:
            return None
        begin, place = found
        placed = Placed(self._marks, _WHERE.pack(place, begin, length))
        for piece in pieces:
            self._half[begin : begin + len(piece)] = piece
            begin += len(piece)
        return placed

    def _take(self, length: int) -> tuple[int, int] | None:
        """Where a value goes, and its place: the lowest, whose memory the caches know best."""
        size = _rounded(length)
        with self._lock:
            marks = bytes(self._marks)
            place = marks.find(0, 0, PLACES)
            if marks[_CLOSED] or place < 0:
                return None
            self._taken = taken = [one for one in self._taken if marks[one[2]]]
            if not taken:
                self._give_back()
            begin, before = _FIRST, 0
            for other, end, _ in taken:
                if other - begin >= size:
                    break
                begin, before = end, before + 1
            if begin + size > HALF:
                return None
            taken.insert(before, (begin, begin + size, place))
            self._marks[place] = 1
            self._highest = max(self._highest, begin + size)
            return begin, place

    def _give_back(self) -> None:
        """Give the kernel back what a time with many values has left; when there are none."""
        if self._highest > KEPT:
            self._map.madvise(mmap.MADV_REMOVE, self._begin + KEPT, HALF - KEPT)
            self._highest = KEPT


class Reader:
    """The side that reads a half; from any thread."""

    def __init__(self, memory: mmap.mmap, begin: int) -> None:
        self._map = memory
        self._begin = begin
        self._marks = memoryview(memory)[begin : begin + PLACES + 1]
        self._looked_at: dict[int, weakref.ref[ctypes.Array[ctypes.c_ubyte]]] = {}
        _readers.add(self)

    def view(self, where: bytes | memoryview) -> memoryview:
        """The value that is there; its memory stays as it is as long as anything looks at it."""
        place, begin, length = _WHERE.unpack(where)
        # What every view of it refers to, however it was made: memoryviews and arrays over it do.
        held = _kind(_rounded(length)).from_buffer(self._map, self._begin + begin)
        marks = self._marks

        def free(_: object) -> None:
            if not marks[_CLOSED]:
                marks[place] = 0

        self._looked_at[place] = weakref.ref(held, free)
        return memoryview(held).cast("B")[:length].toreadonly()

    def close(self) -> None:
        """Let nothing that is here be overwritten any more."""
        self._marks[_CLOSED] = 1


_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


def _before_fork() -> None:
    """A process that is forked off goes on looking at values, and nobody is told when it has done."""
    for reader in list(_readers):
        reader.close()


os.register_at_fork(before=_before_fork)


NONE: tuple[Reader | None, Writer | None] = (None, None)
"""The sides where there is no such memory."""


def create() -> tuple[int, mmap.mmap] | None:
    """Memory for both halves as `(file descriptor, mapping)`; None where it cannot be had."""
    try:
        descriptor = os.memfd_create("ticktalk", os.MFD_CLOEXEC)
    except (OSError, AttributeError):
        return None
    try:
        os.ftruncate(descriptor, 2 * HALF)
        return descriptor, mmap.mmap(descriptor, 2 * HALF)
    except OSError:
        os.close(descriptor)
        return None


def of_ensemble(memory: mmap.mmap) -> tuple[Reader, Writer]:
    """The sides of the process that keeps time."""
    return Reader(memory, HALF), Writer(memory, 0)


def of_worker(descriptor: int) -> tuple[Reader, Writer]:
    """The sides of the worker process that was given this descriptor."""
    memory = mmap.mmap(descriptor, 2 * HALF)
    os.close(descriptor)
    return Reader(memory, 0), Writer(memory, HALF)


def _rounded(length: int) -> int:
    """Bytes that a value takes up: few different lengths, each a whole number of pages."""
    step = max(mmap.PAGESIZE, 1 << max(0, length.bit_length() - 4))
    return max(-(-length // step), 1) * step


_kinds: dict[int, type[ctypes.Array[ctypes.c_ubyte]]] = {}


def _kind(size: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    kind = _kinds.get(size)
    if kind is None:
        kind = _kinds[size] = ctypes.c_ubyte * size
    return kind
