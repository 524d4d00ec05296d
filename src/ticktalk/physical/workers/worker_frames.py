"""Frames between the timekeeper and its worker processes: MessagePack over a socket, long values beside it.

A frame is the length of the rest (4 bytes, little end first; its highest bit: there are long values) and a MessagePack
array. With long values, the array's own length (4 bytes) stands before the array. The bytes of the values come after
it, in the order of their marks in the array: so no long value is copied into MessagePack or out of it. Where memory is
shared (`ArenaWriter`, `Reader`), the frame only holds their places. A place is in the memory between the two processes
(number 0), or in another one that the receiver has mapped.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from ticktalk.defaults import MAX_VALUE
from ticktalk.physical.memory.arena import ArenaWriter, Reader, SharedValue, number_of
from ticktalk.physical.network.frames import LONG
from ticktalk.values.codec import Data, check_length, encode_pieces, encoded, held_bytes

CHUNK = 1 << 16
"""Bytes that are received at once; a longer frame gets memory of its own."""

_HAS_LONG = 1 << 31
_BY_ITSELF = 1  # extension code: the length of a long value
_PLACED = 2  # extension code: where in shared memory a long value is


class ByItself:
    """A value whose bytes are not copied into the frame's MessagePack."""

    __slots__ = ("data",)

    def __init__(self, data: Data) -> None:
        self.data = data


def by_itself(data: Data) -> Data | ByItself:
    """`data`, marked if it is long."""
    return data if len(data) < LONG else ByItself(data)


def parts_by_themselves(value: Any, mark: Callable[[Data], Any]) -> Any:
    """The mark of a value. Of a tuple that holds a long value, the marks of its parts: so that is not copied."""
    return [mark(encoded(part)) for part in value] if held_bytes(value) else mark(encoded(value))


def in_shared_memory(value: Any, writer: ArenaWriter | None, limit: int = MAX_VALUE) -> Data | SharedValue | ByItself:
    """A value as MessagePack: a long one where its receiver reads it, if there is room.

    Raises:
        NoCodecError: as `encode_value`; or it has more than `limit` bytes.
    """
    pieces = encode_pieces(value)
    length = sum(map(len, pieces))
    check_length(length, limit)
    if writer is not None and length >= LONG:
        placed = writer.put(pieces)
        if placed is not None:
            return placed
    return by_itself(b"".join(pieces))


_plain_encode = msgspec.msgpack.Encoder(enc_hook=lambda value: _refuse(value)).encode


class _LongValueError(Exception):
    pass


def _refuse(value: Any) -> Any:
    raise _LongValueError


PutShared = Callable[[Data], SharedValue | None]
"""Puts a long value where its receiver reads it, or hands it on from where it is; None: it has to be sent."""


def encode_frame(message: Any, place: PutShared | None = None) -> list[Data]:
    """A command or an answer as buffers that are sent one after the other.

    Args:
        message: a struct or a tuple, in which long values are marked (`by_itself`), or in shared memory already
            (`SharedValue`).
        place: puts long values into memory that is shared with the receiver.

    Raises:
        OverflowError: it is longer than 2 GB.
    """
    try:
        body = _plain_encode(message)
    except _LongValueError:
        return _with_long_values(message, place)
    if len(body) >= _HAS_LONG:
        raise OverflowError(f"{len(body)} bytes are too long for a frame between an ensemble and its worker")
    return [len(body).to_bytes(4, "little") + body]


def _with_long_values(message: Any, place: PutShared | None) -> list[Data]:
    found: list[Data] = []
    placed: list[SharedValue] = []

    def mention(value: Any) -> msgspec.msgpack.Ext:
        there = value if value.__class__ is SharedValue else None if place is None else place(value.data)
        if there is not None:
            placed.append(there)
            return msgspec.msgpack.Ext(_PLACED, there.where)
        found.append(value.data)
        return msgspec.msgpack.Ext(_BY_ITSELF, len(value.data).to_bytes(8, "little"))

    body = msgspec.msgpack.Encoder(enc_hook=mention).encode(message)
    length = 4 + len(body) + sum(len(data) for data in found)
    if length >= _HAS_LONG:
        raise OverflowError(f"{length} bytes are too long for a frame between an ensemble and its worker")
    for there in placed:
        there.sent = True
    if not found:
        return [len(body).to_bytes(4, "little") + body]
    head = (_HAS_LONG | length).to_bytes(4, "little") + len(body).to_bytes(4, "little")
    return [head + body, *found]


def unsent(buffers: list[Data], sent: int) -> list[memoryview]:
    """The rest of `buffers` after `sent` bytes."""
    left = []
    for buffer in buffers:
        if sent >= len(buffer):
            sent -= len(buffer)
        else:
            left.append(memoryview(buffer)[sent:])
            sent = 0
    return left


class Frames:
    """Cuts the bytes from a socket into frames.

    Args:
        readers: of the memories in which values of the sender may be, by number.
        kind: the type of the messages; structs in it are arrays (`protocol`).
    """

    def __init__(self, readers: dict[int, Reader] | None = None, kind: Any = tuple) -> None:
        self._kind = kind
        self._placed = _views({} if readers is None else readers)
        self._decode = msgspec.msgpack.Decoder(self._kind, ext_hook=self._placed).decode
        self._chunk = memoryview(bytearray(CHUNK))
        self._begin = 0  # of the bytes that were received and not given yet
        self._end = 0
        self._message: Callable[[], Any] | None = None  # gives the message that waits for its long values
        self._missing: deque[memoryview] = deque()  # the memory for those

    def next(self) -> Any:
        """The next message, None: it is not here whole; long values in it have memory of their own, or are shared."""
        if self._message is None:
            begin, here = self._begin, self._end - self._begin
            if here < 4:
                return None
            length = int.from_bytes(self._chunk[begin : begin + 4], "little")
            if length < here - 3:
                self._begin = begin + 4 + length
                return self._decode(self._chunk[begin + 4 : self._begin])
            self._begin_long(length, here)
        made = self._message
        if made is None or self._missing:
            return None
        self._message = None
        message = made()
        return self.next() if message is None else message

    def drop(self) -> None:
        """Let go of shared memory and of messages that are not whole; once the sender is gone."""
        self._message = None  # it refers to this object
        self._missing.clear()
        self._placed = _views({})
        self._decode = msgspec.msgpack.Decoder(self._kind, ext_hook=self._placed).decode
        self._begin = self._end = 0

    def _begin_long(self, length: int, here: int) -> None:
        """Make room for a message that does not fit into the chunk, if its lengths are here."""
        begin = self._begin
        if length >= _HAS_LONG:
            if here < 8:
                return
            length = int.from_bytes(self._chunk[begin + 4 : begin + 8], "little")
            if length > CHUNK - 8:
                self._expect_body(length)
            elif here - 8 >= length:
                self._begin = begin + 8 + length
                self._expect_values(self._chunk[begin + 8 : self._begin])
        elif length > CHUNK - 4:
            body = bytearray(length)
            self._begin += 4
            self._message = lambda: self._decode(body)
            self._expect([memoryview(body)])

    def _expect_body(self, length: int) -> None:
        """A body that is long itself, before the long values that it mentions."""
        body = bytearray(length)
        self._begin += 8
        self._message = lambda: self._expect_values(memoryview(body))
        self._expect([memoryview(body)])

    def _expect_values(self, body: memoryview) -> None:
        values: list[memoryview] = []
        placed = self._placed

        def long_value(code: int, mention: memoryview) -> Data:
            if code == _PLACED:
                return placed(code, mention)
            value = bytearray(int.from_bytes(mention, "little"))
            values.append(memoryview(value))
            return value

        message = msgspec.msgpack.Decoder(self._kind, ext_hook=long_value).decode(body)
        self._message = lambda: message
        self._expect(values)

    def _expect(self, places: list[memoryview]) -> None:
        """Let the next bytes go to these places."""
        for place in places:
            here = min(self._end - self._begin, len(place))
            place[:here] = self._chunk[self._begin : self._begin + here]
            self._begin += here
            if here < len(place):
                self._missing.append(place[here:])

    def fill(self, connection: socket.socket) -> int:
        """Receive once; how many bytes came, 0 at the end.

        Raises:
            OSError: as `recv_into`.
        """
        if self._missing:
            place = self._missing[0]
            # Where this may wait, it waits for all of it: one change of thread instead of one for each piece.
            count = connection.recv_into(place, 0, socket.MSG_WAITALL)
            if count < len(place):
                self._missing[0] = place[count:]
            else:
                self._missing.popleft()
            return count
        if self._begin:
            rest = bytes(self._chunk[self._begin : self._end])
            self._begin, self._end = 0, len(rest)
            self._chunk[: self._end] = rest
        count = connection.recv_into(self._chunk[self._end :])
        self._end += count
        return count


def _views(readers: dict[int, Reader]) -> Callable[[int, memoryview], memoryview]:
    """The decoding of the places of values in shared memory."""

    def view(code: int, where: memoryview) -> memoryview:
        return readers[number_of(where)].view(where)

    return view
