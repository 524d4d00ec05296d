"""Many rows of bytes of one length, such as messages: made column by column, each for all rows at once."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec


class Column(NamedTuple):
    """A part of each row: `width` bytes, which begin each `step` bytes of `data`."""

    data: bytes
    width: int
    step: int


def table(count: int, parts: Iterable[bytes | Column]) -> bytearray:
    """So many rows of these parts; bytes are the same in all rows."""
    row, columns = b"", []
    for part in parts:
        if isinstance(part, bytes):
            row += part
        else:
            columns.append((len(row), part))
            row += bytes(part.width)
    rows = bytearray(row * count)
    for place, column in columns:
        put(rows, len(row), place, column)
    return rows


def put(rows: bytearray, size: int, place: int, column: Column) -> None:
    """Put a column at a place into rows of this size."""
    for byte in range(column.width):
        rows[place + byte :: size] = column.data[byte :: column.step]


def binary(code: str, numbers: Sequence[int]) -> Column:
    """Numbers as `struct` has them, the lowest byte first."""
    width = struct.calcsize(f"<{code}")
    return Column(struct.pack(f"<{len(numbers)}{code}", *numbers), width, width)


def in_json(numbers: Sequence[int | float]) -> Column:
    """Numbers as JSON has them; shorter ones have spaces after them."""
    return items_of(msgspec.json.encode([*numbers]))


def items_of(text: bytes) -> Column:
    """The items of a JSON array, in which there are no other commas; shorter ones have spaces after them."""
    width, count = text.find(b",") - 1, text.count(b",")
    if width > 0 and len(text) == (width + 1) * (count + 1) + 1 and text[width + 1 :: width + 1].count(b",") == count:
        return Column(text[1:-1] + b",", width, width + 1)
    return padded(text[1:-1].split(b","))


def padded(texts: list[bytes]) -> Column:
    """Texts of JSON; shorter ones have spaces after them."""
    width = max(map(len, texts))
    return Column((b"%%-%db" % width * len(texts)) % tuple(texts), width, width)
