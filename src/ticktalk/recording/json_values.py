"""Values as JSON where JSON can hold them exactly: one, or many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from ticktalk.recording.columns import Column, items_of, padded
from ticktalk.values.codec import Data, split

_NOT_JSON = frozenset([0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8])
"""The first bytes of bytes, and of the types that MessagePack itself does not have."""

_SCALAR = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
_PLAIN = {**_SCALAR, list: "array", dict: "object"}
_FIXED = {float: "number", bool: "boolean"}
_NUMBERS = ("integer", "number", "boolean")

LONG = 19
"""Digits from which on an integer may be more than 64 bits hold."""

WIDE = 256
"""Bytes of a value from which on it is cheaper to write values one by one."""


def _no_extension(code: int, data: memoryview) -> Any:
    raise ValueError("a value that JSON does not have")


_decoder = msgspec.msgpack.Decoder(ext_hook=_no_extension)
_encoder = msgspec.msgpack.Encoder()


def as_json(data: Data) -> tuple[str, bytes] | None:
    """The JSON type of an encoded value, and its JSON; None: JSON cannot hold it exactly."""
    first = data[0]
    if first < 0x80:  # a small number
        return "integer", b"%d" % first
    if first in _NOT_JSON:
        return None
    try:
        value = _decoder.decode(data)
        kind, text = value.__class__, msgspec.json.encode(value)
        again = value if kind in _SCALAR and not (kind is float and math.isinf(value)) else msgspec.json.decode(text)
        exact: bool = value is None or _encoder.encode(again) == data
    except (ValueError, TypeError, RecursionError):
        return None
    return (_PLAIN[kind], text) if exact and not (kind is float and text == b"null") else None


def numbers_as_json(values: Sequence[Any]) -> tuple[str, Column] | None:
    """The JSON type of values, and their JSON; None: they have several types, or are not plain numbers."""
    first = values[0].__class__
    try:
        text = msgspec.json.encode(values)
    except (TypeError, ValueError):
        return None
    if first is int and text.translate(None, b"0123456789,-") == b"[]":
        column = items_of(text)
        exact = column.width < LONG or (min(values) >= -(2**63) and max(values) < 2**64)
        return ("integer", column) if exact else None
    if first not in _FIXED or not {first}.issuperset(map(type, values)) or b"null" in text:
        return None  # null: not a number, or without end
    return _FIXED[first], items_of(text)


def values_together(data: bytes, count: int) -> tuple[str, Column] | None:
    """So many values that `data` has as one array: their JSON type, and their JSON.

    Values of one length that JSON does not have come as MessagePack, and with "" as their type. None: they have several
    types, or are long.
    """
    values = split(data)
    if len(values) != count or not count:
        return None
    if values[0][0] in _NOT_JSON:
        width = len(values[0])
        if width > WIDE or {width} != {*map(len, values)}:
            return None
        every = data[-count * width :]
        return ("", Column(every, width, width)) if _NOT_JSON.issuperset(every[::width]) else None
    try:
        plain = _decoder.decode(data)
        kind = _PLAIN[plain[0].__class__]
        if len({*map(type, plain)}) > 1 or _encoder.encode(msgspec.json.decode(msgspec.json.encode(plain))) != data:
            return None
        texts = None if kind in _NUMBERS else [*map(msgspec.json.encode, plain)]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    if texts is None:
        return numbers_as_json(plain)
    return (kind, padded(texts)) if max(map(len, texts)) <= WIDE else None
