"""Memory that processes of one host share: a long value is written once and read in place.

A memory has one writer (a worker, an ensemble) and several readers. It begins with rows of marks: a row for each
reader, and in it a mark for each place of a value. The sender of a value sets its mark in the receiver's row. The
receiver clears it when nothing in its process refers to the value any more. The writer uses a place again when no row
has a mark for it. So no messages are needed for that.

A process that dies leaves nothing behind. The kernel frees the memory with the last process or value that refers to
it. Each reader locks its row, and the kernel releases that lock, so an abandoned row is recognized. Where there is no
such memory, and when a value does not fit, the value is sent.

A value is handed on from row 0 (the writer's first receiver) to rows with higher numbers. Its new mark is set before
the old one is cleared. The writer reads the rows in the same order, so it cannot miss a value on its way.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import threading
import time
import weakref
from collections.abc import Sequence
from typing import NamedTuple

from ticktalk.physical.system import fcntl, has_linux
from ticktalk.values.codec import Data

SIZE = 64 << 20
"""Bytes of a memory; the kernel gives only those that were written once."""

PLACES = 255
"""Places of values in one memory."""

BACK = 1
"""The row and number by which a worker reads in the memory that it writes itself."""

ROWS = 63
"""Processes that may read in a memory."""

KEPT = 32 << 20
"""Bytes that an empty memory keeps."""

PATIENCE = 0.01
"""Seconds for which a body waits for room. To send a whole value of 4 MB takes about as long."""

CROWDED_PATIENCE = 0.1
"""Seconds for which it waits while many bytes wait to be sent already. Else they would become ever more: whole values
delay those in memory, whose places are then taken for longer."""

LOOK = 0.0002
"""Seconds between two looks for room."""

_ROW = PLACES + 1
_CLOSED = PLACES  # the last mark of a row: its process takes no more values here
_FIRST = (ROWS + 1) * _ROW  # where values begin; before the rows:
_NONCE = 16  # bytes that identify a memory
_USED = _NONCE  # then the number of rows in use
_CROWDED = _USED + 1  # then whether many bytes wait to be sent
_OWNER = ROWS  # locked while the process that made it, or that writes it, lives
_WHERE = struct.Struct("<HBQQ")
WHERE = _NONCE + _WHERE.size
"""Bytes that tell the place of a value to a receiver that knows the memory by its nonce."""

_LOCK = struct.Struct("hhqqi4x")  # the kernel's `struct flock`
_NAME = "ticktalk"

HELD, SENT = 1, 2
"""Marks. `HELD`: a process has a value, or will certainly get it. From `SENT` on: the value is on its way and may get
lost. Each sending takes another mark, so a message about one value is not taken for the next one in its place."""


class Memory:
    """A file in memory, mapped.

    Args:
        descriptor: the file's; it belongs to this object from now on.
        own: whether it was made by this process.

    Attributes:
        nonce: identifies it.

    Raises:
        OSError: it cannot be mapped.
    """

    def __init__(self, descriptor: int, own: bool = True) -> None:
        self.descriptor = -1  # until the mapping has succeeded
        self.own = own
        self.map = mmap.mmap(descriptor, SIZE)
        self.descriptor = descriptor
        self.bytes = memoryview(self.map)
        self.nonce = bytes(self.bytes[:_NONCE])
        self._rows = [self.bytes[(row + 1) * _ROW : (row + 2) * _ROW] for row in range(ROWS)]

    def row(self, row: int) -> memoryview:
        """The marks of one reader."""
        return self._rows[row]

    @property
    def used(self) -> int:
        """The number of rows in use."""
        return self.bytes[_USED]

    def use(self, rows: int) -> None:
        """Set the number of rows in use, which the writer looks at."""
        self.bytes[_USED] = rows

    @property
    def crowded(self) -> bool:
        """True if many bytes wait to be sent, as its sender has told the writer."""
        return bool(self.bytes[_CROWDED])

    def crowd(self, crowded: bool) -> None:
        """Tell the writer whether many bytes wait to be sent."""
        self.bytes[_CROWDED] = crowded

    def claim(self, row: int) -> bool:
        """Read by a row from now on; False: another process reads by it."""
        return self._lock(row, fcntl.F_WRLCK)

    def claimed(self, row: int) -> bool:
        """True if another process reads by a row."""
        asked = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, row, 1, 0)
        try:
            kind, *_ = _LOCK.unpack(fcntl.fcntl(self.descriptor, fcntl.F_OFD_GETLK, asked))
        except (OSError, ValueError):
            return False  # closed meanwhile, by another thread
        return bool(kind != fcntl.F_UNLCK)

    @property
    def owned(self) -> bool:
        """True if another process that writes it, or for which it was made, still lives."""
        return self.claimed(_OWNER)

    def clear(self, row: int) -> bool:
        """Free the values of a row without reader; False: it has one."""
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
        """True if the descriptor was given back."""
        return self.descriptor < 0

    def close(self) -> None:
        """Give the descriptor back; the mapping stays."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


def create() -> Memory | None:
    """A new memory of this process; None where the system has no such memory."""
    if not has_linux():
        return None
    try:
        descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    memory = None
    try:
        os.ftruncate(descriptor, SIZE)
        # Its size must not change under a reader.
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
    """The memory that another process of this user has under a descriptor; None: there is none with this nonce."""
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
    """The number by which the receiver of a value knows its memory."""
    return where[0] | where[1] << 8


def parted(where: memoryview) -> tuple[bytes, memoryview]:
    """Part a nonce from the place of a value in that memory."""
    return bytes(where[:_NONCE]), where[_NONCE:]


class SharedValue:
    """A value in shared memory that is handed to a process; its place is freed if it is never sent.

    Attributes:
        where: tells the receiver the place of the value.
        sent: set once it is on its way: from then on the receiver clears the mark.
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
    """The place of a value that this process reads in shared memory."""

    memory: Memory
    place: int
    begin: int
    length: int

    def to(self, row: int, number: int = 0) -> SharedValue | None:
        """Hand it to the reader of a row, which knows the memory by a number; None: impossible now."""
        return self._to(row, HELD, number)

    def send_to(self, row: int, mark: int) -> SharedValue | None:
        """Send it to the reader of a row, which knows the memory by its nonce; None: impossible now."""
        return self._to(row, mark, mark)

    def _to(self, row: int, mark: int, number: int) -> SharedValue | None:
        marks = self.memory.row(row)
        if marks[self.place] or marks[_CLOSED]:
            return None
        marks[self.place] = mark
        return SharedValue(marks, self.place, _WHERE.pack(number, self.place, self.begin, self.length))


def lent(data: Data) -> Lent | None:
    """The place of a value in shared memory; None: it is not there, or it is only a part of a value there."""
    if data.__class__ is not memoryview:
        return None
    found: Lent | None = getattr(data.obj, "lent", None)
    return found if found is not None and found.length == len(data) else None


class ArenaWriter:
    """Writes values for the reader of row 0; from any thread.

    Args:
        memory: without another writer.
        waits: whether it may wait for room.
    """

    def __init__(self, memory: Memory, waits: bool = False) -> None:
        self.memory = memory
        self._first = memory.row(0)
        self._lock = threading.Lock()
        self._fence = threading.Lock()
        self._taken: list[tuple[int, int, int]] = []  # (begin, end, place), by where they begin
        self._highest = _FIRST
        self._waits = waits
        self._freed = 0  # how many places have become free again
        self._in_vain = -1  # that number during a wait that has found no room

    def put(self, pieces: Sequence[Data]) -> SharedValue | None:
        """Write a value; None: it does not fit now, or its reader takes no more values here."""
        length = sum(map(len, pieces))
        if length > SIZE - _FIRST or self._first[_CLOSED]:
            return None
        found = self._take(length)
        if found is None and self._waits:
            found = self._wait(length)
        if found is None:
            return None
        begin, place = found
        placed = SharedValue(self._first, place, _WHERE.pack(0, place, begin, length))
        for piece in pieces:
            self.memory.bytes[begin : begin + len(piece)] = piece
            begin += len(piece)
        return placed

    def _wait(self, length: int) -> tuple[int, int] | None:
        """Wait for room; not again before readers have freed a place, unless many bytes wait to be sent."""
        if self._freed == self._in_vain and not self.memory.crowded:
            return None
        self._in_vain = self._freed
        began, found = time.monotonic(), None
        while found is None and time.monotonic() - began < (CROWDED_PATIENCE if self.memory.crowded else PATIENCE):
            time.sleep(LOOK)
            found = self._take(length)
        return found

    def _marks(self) -> bytes:
        """The marks of all rows as one."""
        marks = 0
        for row in range(self.memory.used):
            with self._fence:  # a barrier: the processor must not change the order in which rows are read
                marks |= int.from_bytes(self.memory.row(row), "little")
        return marks.to_bytes(_ROW, "little")

    def _take(self, length: int) -> tuple[int, int] | None:
        """The first byte and the place for a value: the lowest free memory, which is most likely in the caches."""
        size = _rounded(length)
        with self._lock:
            marks = self._marks()
            place = marks.find(0, 0, PLACES)
            if place < 0:
                return None
            taken = [one for one in self._taken if marks[one[2]]]
            self._freed += len(self._taken) - len(taken)
            self._taken = taken
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
        """Give memory back to the kernel when there are no values and there were many."""
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
        """`view` of a value that was sent to several processes; None: not to this one.

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
        """Free the places of values that did not arrive: place and mark of each."""
        for place, mark in places:
            if 0 <= place < PLACES and self._marks[place] == mark >= SENT:
                self._marks[place] = 0

    def view(self, where: bytes | memoryview) -> memoryview:
        """The value at a place; the place is not used again while anything refers to the value."""
        _, place, begin, length = _WHERE.unpack(where)
        # Every memoryview and array over it refers to this object, so its end is the end of the last of them.
        held = _kind(min(_rounded(length), SIZE - begin)).from_buffer(self.memory.map, begin)
        held.lent = Lent(self.memory, place, begin, length)  # type: ignore[attr-defined]
        marks = self._marks

        def free(_: object) -> None:
            if not marks[_CLOSED]:
                marks[place] = 0

        self._looked_at[place] = weakref.ref(held, free)
        return memoryview(held).cast("B")[:length].toreadonly()

    def close(self) -> None:
        """Let no place with a mark in this row be used again."""
        self._marks[_CLOSED] = 1


_readers: weakref.WeakSet[Reader] = weakref.WeakSet()


def _before_fork() -> None:
    """Keep all values: a forked process goes on reading them, and clears no marks."""
    for reader in list(_readers):
        reader.close()


os.register_at_fork(before=_before_fork)


def _rounded(length: int) -> int:
    """Bytes that a value takes up: whole pages, and few different lengths, so that few types are made (`_kind`)."""
    step = max(mmap.PAGESIZE, 1 << max(0, length.bit_length() - 4))
    return max(-(-length // step), 1) * step


_kinds: dict[int, type[ctypes.Array[ctypes.c_ubyte]]] = {}


def _kind(size: int) -> type[ctypes.Array[ctypes.c_ubyte]]:
    kind = _kinds.get(size)
    if kind is None:
        kind = _kinds[size] = ctypes.c_ubyte * size
    return kind
