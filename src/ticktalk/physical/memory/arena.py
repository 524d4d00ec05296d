"""Memory that processes of one host share: a long value is written once and read in place.

A memory is written by one process (a worker, an ensemble) and read by others. It begins with rows of marks, one row
for each process that reads, in a row a mark for each place that a value can have. Who hands a value to a process sets
its mark in that process's row, who reads clears it once nothing there looks at the value any more, and a place is used
again when no row has a mark for it. So nothing has to be told, and a process that dies leaves nothing behind: the
memory goes with the last process, or the last value, that has it, and a row is known to be nobody's by a lock on it
that the kernel takes away. Where there is no such memory, and for what does not fit, values are sent.

A value is handed from row 0, the process that the writer writes to, to rows with higher numbers, and its mark there is
set before the former is cleared. The writer looks at the rows in this order, so it cannot miss a value on its way.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
import threading
import time
import weakref
from collections.abc import Sequence
from typing import NamedTuple

from ticktalk.engine.codec import Data

SIZE = 64 << 20
"""Bytes of a memory; the kernel gives only those that were written once."""

PLACES = 255
"""Values that may be in a memory at once."""

BACK = 1
"""By which row, and number, a worker reads in the memory that it writes itself."""

ROWS = 63
"""Processes that may read in a memory."""

KEPT = 32 << 20
"""Bytes that a memory keeps when there is nothing in it."""

PATIENCE = 0.002
"""Seconds for which a body's process waits for room, if there was room the last time."""

_ROW = PLACES + 1
_CLOSED = PLACES  # the last mark of a row: its process wants nothing here any more
_FIRST = (ROWS + 1) * _ROW  # where values begin; before the rows:
_NONCE = 16  # bytes by which a memory is known
_USED = _NONCE  # then, how many rows are in use
_OWNER = ROWS  # what is locked as long as the process that made it, or that writes it, lives
_WHERE = struct.Struct("<HBQQ")
WHERE = _NONCE + _WHERE.size
"""Bytes that say where a value is to who knows a memory only by its nonce."""

_LOCK = struct.Struct("hhqqi4x")  # the kernel's `struct flock`
_NAME = "ticktalk"

HELD, SENT = 1, 2
"""Marks: a process has a value, or will have it; from `SENT` on: it is on its way to a process that may not get it. Of
those each time another one is taken: what is said of one value does not hold for the next one in its place."""


class Memory:
    """A file in memory, mapped.

    Args:
        descriptor: the file's; it belongs to this object from now on.
        own: whether it was made here, for processes that others are told of.

    Attributes:
        nonce: what it is known by.

    Raises:
        OSError: it cannot be mapped.
    """

    def __init__(self, descriptor: int, own: bool = True) -> None:
        self.descriptor = -1  # until it is known that it can be mapped
        self.own = own
        self.map = mmap.mmap(descriptor, SIZE)
        self.descriptor = descriptor
        self.bytes = memoryview(self.map)
        self.nonce = bytes(self.bytes[:_NONCE])
        self._rows = [self.bytes[(row + 1) * _ROW : (row + 2) * _ROW] for row in range(ROWS)]

    def row(self, row: int) -> memoryview:
        """The marks of a process that reads."""
        return self._rows[row]

    @property
    def used(self) -> int:
        """How many rows are in use."""
        return self.bytes[_USED]

    def use(self, rows: int) -> None:
        """Have the writer look at so many rows."""
        self.bytes[_USED] = rows

    def claim(self, row: int) -> bool:
        """Read by a row from now on; False: another process does."""
        return self._lock(row, fcntl.F_WRLCK)

    def claimed(self, row: int) -> bool:
        """Whether another process reads by a row."""
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, row, 1, 0)
        try:
            kind, *_ = _LOCK.unpack(fcntl.fcntl(self.descriptor, fcntl.F_OFD_GETLK, asked))
        except (OSError, ValueError):
            return False  # closed meanwhile, by another thread
        return bool(kind != fcntl.F_UNLCK)

    @property
    def owned(self) -> bool:
        """Whether a process that wrote it, or to which that wrote, still lives (and is not this one)."""
        return self.claimed(_OWNER)

    def clear(self, row: int) -> bool:
        """Free what nobody reads by a row any more; False: somebody does."""
        if not self.claim(row):
            return False
        self._rows[row][:] = bytes(_ROW)
        return self._lock(row, fcntl.F_UNLCK)

    def _lock(self, row: int, kind: int) -> bool:
        try:
            fcntl.fcntl(self.descriptor, fcntl.F_OFD_SETLK, _LOCK.pack(kind, os.SEEK_SET, row, 1, 0))
        except BlockingIOError:
            return False
        return True

    @property
    def closed(self) -> bool:
        """Whether it was."""
        return self.descriptor < 0

    def close(self) -> None:
        """Give the descriptor back; what is mapped stays."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def create() -> Memory | None:
    """A memory of this process; None where it cannot be had."""
    try:
        descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (OSError, AttributeError):
        return None
    memory = None
    try:
        os.ftruncate(descriptor, SIZE)
        # Nobody who reads may find that there is less of it.
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        os.pwrite(descriptor, os.urandom(_NONCE) + bytes([1]), 0)
        memory = Memory(descriptor)
        memory.claim(_OWNER)
    except OSError:
        if memory is None:
            os.close(descriptor)
        return None
    return memory


def opened(process: int, descriptor: int, nonce: bytes) -> Memory | None:
    """The memory that another process of this user has under a descriptor; None: it is not there."""
    path = f"/proc/{process}/fd/{descriptor}"
    memory = None
    try:
        if not os.readlink(path).startswith(f"/memfd:{_NAME}"):
            return None
        mine = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(mine).st_size == SIZE and fcntl.fcntl(mine, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
                memory = Memory(mine, own=False)
        finally:
            if memory is None:
                os.close(mine)
    except OSError:
        return None
    return memory if memory is not None and memory.nonce == nonce else None


def number_of(where: bytes | memoryview) -> int:
    """The number by which the process that a value was handed to knows its memory."""
    return where[0] | where[1] << 8


def parted(where: memoryview) -> tuple[bytes, memoryview]:
    """Of a memory's nonce and where in it a value is: each."""
    return bytes(where[:_NONCE]), where[_NONCE:]


class SharedValue:
    """A value that was handed to a process, on its way there; if it does not get there, its place is free again.

    Attributes:
        where: what the process has to know.
        sent: set when it is on its way: the mark is that process's from then on.
    """

    __slots__ = ("_marks", "_place", "sent", "where")

    def __init__(self, marks: memoryview, place: int, where: bytes) -> None:
        self._marks = marks
        self._place = place
        self.where = where
        self.sent = False

    def __del__(self) -> None:
        if not self.sent:
            self._marks[self._place] = 0


class Lent(NamedTuple):
    """Where a value is that this process reads in place, or has written."""

    memory: Memory
    place: int
    begin: int
    length: int

    def to(self, row: int, number: int = 0) -> SharedValue | None:
        """Hand it to the process that reads by a row and knows the memory by a number; None: that cannot be."""
        return self._to(row, HELD, number)

    def send_to(self, row: int, mark: int) -> SharedValue | None:
        """Send it to the process that reads by a row and knows the memory by its nonce; None: that cannot be."""
        return self._to(row, mark, mark)

    def _to(self, row: int, mark: int, number: int) -> SharedValue | None:
        marks = self.memory.row(row)
        if marks[self.place] or marks[_CLOSED]:
            return None
        marks[self.place] = mark
        return SharedValue(marks, self.place, _WHERE.pack(number, self.place, self.begin, self.length))


def lent(data: Data) -> Lent | None:
    """Where in shared memory a value is; None: it is not, or only a part of what is there."""
    if data.__class__ is not memoryview:
        return None
    found: Lent | None = getattr(data.obj, "lent", None)
    return found if found is not None and found.length == len(data) else None


class Writer:
    """Writes values for the process of row 0; from any thread.

    Args:
        memory: that nobody else writes.
        patience: seconds for which room is waited for.
    """

    def __init__(self, memory: Memory, patience: float = 0.0) -> None:
        self.memory = memory
        self._first = memory.row(0)
        self._lock = threading.Lock()
        self._fence = threading.Lock()
        self._taken: list[tuple[int, int, int]] = []  # (begin, end, place), by where they begin
        self._highest = _FIRST
        self._patience = patience
        self._waits = True

    def put(self, pieces: Sequence[Data]) -> SharedValue | None:
        """Write a value; None: it does not fit now, or its reader wants nothing here any more."""
        length = sum(map(len, pieces))
        if length > SIZE - _FIRST or self._first[_CLOSED]:
            return None
        found = self._take(length)
        if found is None and self._patience and self._waits:
            until = time.monotonic() + self._patience
            while found is None and time.monotonic() < until:
                time.sleep(self._patience / 10)
                found = self._take(length)
        self._waits = found is not None
        if found is None:
            return None
        begin, place = found
        placed = SharedValue(self._first, place, _WHERE.pack(0, place, begin, length))
        for piece in pieces:
            self.memory.bytes[begin : begin + len(piece)] = piece
            begin += len(piece)
        return placed

    def _marks(self) -> bytes:
        """The marks of all rows as one."""
        marks = 0
        for row in range(self.memory.used):
            with self._fence:  # one row is read after the other also by a processor that would do it otherwise
                marks |= int.from_bytes(self.memory.row(row), "little")
        return marks.to_bytes(_ROW, "little")

    def _take(self, length: int) -> tuple[int, int] | None:
        """Where a value goes, and its place: the lowest, whose memory the caches know best."""
        size = _rounded(length)
        with self._lock:
            marks = self._marks()
            place = marks.find(0, 0, PLACES)
            if place < 0:
                return None
            self._taken = taken = [one for one in self._taken if marks[one[2]]]
            if not taken:
                self._give_back()
            begin, before = _FIRST, 0
            for other, end, _ in taken:
                if other - begin >= size:
                    break
                begin, before = end, before + 1
            if begin + size > SIZE:
                return None
            taken.insert(before, (begin, begin + size, place))
            self._first[place] = HELD
            self._highest = max(self._highest, begin + size)
            return begin, place

    def _give_back(self) -> None:
        """Give the kernel back what a time with many values has left; when there are none."""
        if self._highest > KEPT:
            self.memory.map.madvise(mmap.MADV_REMOVE, KEPT, SIZE - KEPT)
            self._highest = KEPT


class Reader:
    """Reads values in a memory by a row; from any thread."""

    def __init__(self, memory: Memory, row: int = 0) -> None:
        self.memory = memory
        self._marks = memory.row(row)
        self._looked_at: dict[int, weakref.ref[ctypes.Array[ctypes.c_ubyte]]] = {}
        _readers.add(self)

    def take(self, where: bytes | memoryview) -> memoryview | None:
        """`view` of a value that was sent to this process and to others; None: not to this one.

        Raises:
            ValueError: there is no such place.
        """
        mark, place, begin, length = _WHERE.unpack(where)
        if self._marks[place] != mark or mark < SENT:
            return None
        if begin < _FIRST or begin + length > SIZE:
            raise ValueError(f"{length} bytes at {begin} of a memory of {SIZE}")
        self._marks[place] = HELD
        return self.view(where)

    def settle(self, places: Sequence[tuple[int, int]]) -> None:
        """Free places of values that should have come and have not: place and mark of each."""
        for place, mark in places:
            if 0 <= place < PLACES and self._marks[place] == mark >= SENT:
                self._marks[place] = 0

    def view(self, where: bytes | memoryview) -> memoryview:
        """The value that is there; its memory stays as it is as long as anything looks at it."""
        _, place, begin, length = _WHERE.unpack(where)
        # What every view of it refers to, however it was made: memoryviews and arrays over it do.
        held = _kind(min(_rounded(length), SIZE - begin)).from_buffer(self.memory.map, begin)
        held.lent = Lent(self.memory, place, begin, length)  # type: ignore[attr-defined]
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
