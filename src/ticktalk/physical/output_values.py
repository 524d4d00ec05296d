"""The values of outputs: rendered where their bodies ran, passed on unopened, opened only for callbacks.

To open or to render a value can take long: an int of a million digits, a set of ints that collide. So a worker renders
a value that goes to the outputs, as a field of its JSON line. The timekeeper only passes that on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ticktalk.json_text import value_field, whole_pairs
from ticktalk.payloads import OutputToken
from ticktalk.values.classes import as_data
from ticktalk.values.codec import Data, Encoded, ValueFormatError, encoded, value_decoder

SHORT = 4_096
"""Bytes of a value up to which the timekeeper renders one that no worker has: it passed an SQ without a body."""


class Opaque:
    """A value of a class that is not known here, with the text that it had at its sender."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


class _Field(msgspec.Struct, forbid_unknown_fields=True):
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    repr: str | msgspec.UnsetType = msgspec.UNSET


_field = msgspec.json.Decoder(_Field)
_decode = value_decoder(as_data)


def _parsed(field: str) -> _Field:
    try:
        return _field.decode("{" + field + "}")
    except msgspec.DecodeError:
        return _field.decode("{" + whole_pairs(field) + "}")


def check_field(field: str) -> None:
    """Make sure that a rendered value is one field of a JSON line, and nothing more.

    Raises:
        ValueError: it is not.
    """
    if not field.isprintable():
        raise ValueError("a rendered value with what cannot be printed")
    try:
        parsed = _parsed(field)
    except msgspec.DecodeError as error:
        raise ValueError(f"a rendered value that is none: {error}") from None
    if (parsed.value is msgspec.UNSET) == (parsed.repr is msgspec.UNSET):
        raise ValueError("a rendered value that is none")


def rendered(value: Any) -> tuple[Data, str]:
    """A value on its way to the outputs as MessagePack, and as a field of its JSON line.

    Raises:
        NoCodecError: as `encode_value`.
    """
    if value.__class__ is not Encoded:
        return encoded(value), value_field(value)
    if value.shown is not None:
        return value.data, value.shown
    if len(value.data) > SHORT:
        return value.data, value_field(Opaque(f"<a value of {len(value.data)} bytes that no body has opened>"))
    return value.data, value_field(_decoded(value.data, None))


def opened(token: OutputToken) -> OutputToken:
    """An output as callbacks get it: with its value; one of a class of the program is data."""
    value = token.value
    if value.__class__ is not Encoded:
        return token
    return msgspec.structs.replace(token, value=_decoded(value.data, token.shown))


def _decoded(data: Data, field: str | None) -> Any:
    try:
        return _decode(data)
    except ValueFormatError:
        parsed = _parsed(field) if field is not None else _Field()
        if isinstance(parsed.value, msgspec.Raw):
            return Opaque(bytes(parsed.value).decode())
        return Opaque(parsed.repr if isinstance(parsed.repr, str) else "<a value of a class that is not known here>")
