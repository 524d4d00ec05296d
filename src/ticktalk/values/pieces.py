"""MessagePack in pieces: a long array's memory is one of them, and is not copied."""

from __future__ import annotations

from typing import Any

import msgspec

from ticktalk.values.kinds import NoCodecError

Data = bytes | bytearray | memoryview
"""A value as MessagePack: a view where it stays in the frame in which it came, so that arrays are not copied."""


class Array:
    """An array (or a NumPy scalar) on its way into MessagePack; its memory is copied once, or left to be copied."""

    __slots__ = ("code", "content", "head")

    def __init__(self, code: int, head: bytes, content: Any) -> None:
        self.code = code
        self.head = bytes([len(head)]) + head
        self.content = content

    def part(self) -> msgspec.msgpack.Ext:
        """As a part of a value."""
        return msgspec.msgpack.Ext(self.code, b"".join((self.head, self.content)))

    def pieces(self) -> tuple[Data, ...]:
        """As a value: pieces of the bytes that `encode(self.part())` gives."""
        length = len(self.head) + len(self.content)
        if length < 2**16:
            return (encode(self.part()),)
        if length >= 2**32:
            raise NoCodecError(
                f"an array of {length} bytes is too long to cross to another ensemble: 4 GB is the limit"
            )
        return long_head(self.code, length) + self.head, self.content


def long_head(code: int, length: int) -> bytes:
    """The head of an extension in MessagePack, of at least 2**16 bytes."""
    return b"\xc9" + length.to_bytes(4, "big") + bytes([code])


def array_head(length: int) -> bytes:
    """The head of an array in MessagePack."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big") if length < 2**16 else b"\xdd" + length.to_bytes(4, "big")


def _part(array: Array) -> msgspec.msgpack.Ext:
    return array.part()


encode = msgspec.msgpack.Encoder(enc_hook=_part).encode
LONG_BYTES = 2**16  # from here on MessagePack writes a length of 4 bytes


def ext(code: int, content: Any) -> msgspec.msgpack.Ext:
    """An extension of these bytes, or of a value that the encoder takes."""
    return msgspec.msgpack.Ext(code, content if isinstance(content, bytes) else encode(content))


def pieces_of(packed: Any) -> tuple[Data, ...]:
    """The input of the encoder, in pieces."""
    if packed.__class__ is Array:
        return packed.pieces()
    if packed.__class__ is list and any(item.__class__ is Array for item in packed):
        # As MessagePack has it: the length, then one item after the other.
        each = [item.pieces() if item.__class__ is Array else (encode(item),) for item in packed]
        return array_head(len(packed)), *[piece for pieces in each for piece in pieces]
    return (encode(packed),)
