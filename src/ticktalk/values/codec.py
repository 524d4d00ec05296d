"""Values: passed by value, and as MessagePack between ensembles.

Within an ensemble a receiver gets a copy (`handed_on`), except of immutable values. Between ensembles a value crosses
as MessagePack. Plain scalars, lists and dicts with string keys cross as they are, other values as an extension of our
own. So a value arrives with its type. Nothing received is unpickled or evaluated. A value without a
codec is a `NoCodecError`, on one ensemble too; `register_codec` adds one. The types that are taken apart into plainer
values are rows of `ticktalk.values.kinds`. Those known by their class are in `ticktalk.values.classes`.
"""

from __future__ import annotations

import datetime
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ticktalk.values.classes import Classes, class_name, made, no_codec, put_together, take_apart
from ticktalk.values.kinds import NoCodecError as NoCodecError
from ticktalk.values.kinds import ValueFormatError as ValueFormatError
from ticktalk.values.kinds import kind_named, kind_of
from ticktalk.values.kinds import type_name as type_name
from ticktalk.values.pieces import LONG_BYTES, Array, array_head, encode, ext, long_head, pieces_of
from ticktalk.values.pieces import Data as Data


class Encoded:
    """A value on its way, as MessagePack: the timekeeper passes it on unopened.

    Attributes:
        data: the bytes that `encode_value` gave.
        shown: the value as a field of a JSON object (`json_text.value_field`), where it goes to the outputs; else None.
    """

    __slots__ = ("data", "shown")

    def __init__(self, data: Data, shown: str | None = None) -> None:
        self.data = data
        self.shown = shown


class Parts:
    """A result, encoded where its body ran: the parts that its arcs carry, by their path.

    Args:
        by_path: the parts; or
        together: a MessagePack array of all of them, and their paths in its order.
    """

    __slots__ = ("_by_path", "together")

    def __init__(
        self,
        by_path: dict[tuple[int, ...], Any] | None = None,
        together: tuple[tuple[tuple[int, ...], ...], Data] | None = None,
    ) -> None:
        self._by_path = by_path
        self.together = together

    @property
    def by_path(self) -> dict[tuple[int, ...], Any]:
        """Each part by itself."""
        if self._by_path is None:
            assert self.together is not None
            paths, data = self.together
            self._by_path = dict(zip(paths, (Encoded(part) for part in split(data)), strict=True))
        return self._by_path


_raw_parts = msgspec.msgpack.Decoder(list[msgspec.Raw])


def split(together: Data) -> list[Data]:
    """The values of which `encode_value` was given a list, each by itself.

    Raises:
        ValueFormatError: it is no list.
    """
    try:
        return [memoryview(part) for part in _raw_parts.decode(together)]
    except msgspec.DecodeError as error:
        raise ValueFormatError(f"not a list of values: {error}") from None


PLAIN: frozenset[type] = frozenset({int, float, bool, str, bytes, type(None), complex, Encoded})
"""Types whose values cannot be changed: they are shared, not copied."""

_FIXED = PLAIN | {datetime.date, datetime.timedelta}

# Extension codes of the wire format. A new type takes a new code; a code is never used again for another.
(
    EXT_INT,
    EXT_COMPLEX,
    EXT_TUPLE,
    EXT_SET,
    EXT_FROZENSET,
    EXT_DICT,
    EXT_DATETIME,
    EXT_ARRAY,
    EXT_SCALAR,
    EXT_OBJECT,
    EXT_REGISTERED,
    EXT_BYTEARRAY,
    EXT_KIND,
    EXT_TEXT,
) = range(1, 15)


class TooLongError(NoCodecError):
    """A value with more bytes than may leave its body: send less of it, or let the ensemble allow more."""


class Codec(NamedTuple):
    """The codec of one type: `encode` gives a value that has a codec, `decode` undoes it."""

    type: type
    name: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


_codecs_by_type: dict[type, Codec] = {}
_codecs_by_name: dict[str, Codec] = {}


def register_codec(
    type: type, encode: Callable[[Any], Any], decode: Callable[[Any], Any], name: str | None = None
) -> None:
    """Let values of exactly `type` cross between ensembles.

    Args:
        type: the type.
        encode: value to something that has a codec (scalars, bytes, lists, dicts, ...).
        decode: the way back, on the ensemble that receives.
        name: the type's name on the wire, the same everywhere; default: its qualified name.

    Bodies run in processes of their own. So call it in a module beside the program that the bodies import. It travels
    with them.
    """
    codec = Codec(type, name or f"{type.__module__}.{type.__qualname__}", encode, decode)
    _codecs_by_type[type] = codec
    _codecs_by_name[codec.name] = codec


def handed_on(value: Any) -> Any:
    """`value` as a receiver gets it: its own copy, which it may change, of what could cross as well.

    Raises:
        NoCodecError: some part of it has no codec; the message names the type.
    """
    try:
        return value if value.__class__ in _FIXED else _copied(value)
    except RecursionError:
        raise NoCodecError("a value that is nested too deeply, or holds itself, cannot be passed on") from None


def _copied(value: Any) -> Any:
    kind = value.__class__
    if kind in _FIXED:
        return value
    if kind is list:
        return value[:] if PLAIN.issuperset(map(type, value)) else [_copied(item) for item in value]
    if kind is dict:
        if PLAIN.issuperset(map(type, value)) and PLAIN.issuperset(map(type, value.values())):
            return value.copy()
        return {_copied(key): _copied(item) for key, item in value.items()}
    if kind is tuple:
        items = [_copied(item) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else tuple(items)
    if kind is set or kind is frozenset:
        return kind(map(_copied, value))
    if kind is bytearray:
        return value[:]
    codec = _codecs_by_type.get(kind)
    if codec is not None:
        return codec.decode(_copied(codec.encode(value)))
    row = kind_of(kind)
    if row is not None:
        parts = row.parts(value)
        return value if row.fixed else row.make(_copied(parts))
    if _is_numpy(value):
        from ticktalk.values import arrays

        arrays.header_of(value)
        if kind is arrays.ARRAY:
            return arrays.read_only(value)
        return value.copy() if isinstance(value, arrays.RECORD) else value
    taken = take_apart(value)
    if taken is None:
        raise no_codec(value)
    class_name(kind)
    return value if taken[0] in ("enum", "flag") else made(kind, _copied(taken))


def _is_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic))


def plain(value: Any) -> Any:
    """`value`, decoded if it is `Encoded`."""
    return decode_value(value.data) if value.__class__ is Encoded else value


def as_number(value: Any) -> int | float | None:
    """`value` if it is a number of at most 64 bits, or that number encoded; None if it is anything else."""
    kind = value.__class__
    if kind is Encoded:
        data = value.data
        # MessagePack's first byte tells: small ints, booleans, floats, ints of 8 to 64 bits.
        first = data[0]
        if first < 0x80 or first >= 0xE0 or first in (0xC2, 0xC3) or 0xCA <= first <= 0xD3:
            try:
                number: int | float = _plain_decoder.decode(data)
            except msgspec.DecodeError:
                return None  # foreign data may only begin like a number
            return number
        return None
    return value if kind is int or kind is float or kind is bool else None


def encoded(value: Any) -> Data:
    """`value` as MessagePack, as it is if it is `Encoded`.

    Raises:
        NoCodecError: as `encode_value`.
    """
    if value.__class__ is Encoded:
        data: Data = value.data
        return data
    return _joined(value) if held_bytes(value) else encode_value(value)


def encode_value(value: Any) -> bytes:
    """`value` as MessagePack.

    Raises:
        NoCodecError: some part of it has no codec; the message names the type.
    """
    return b"".join(encode_pieces(value))


def encode_pieces(value: Any) -> tuple[Data, ...]:
    """`value` as MessagePack, in pieces that follow each other: a long array's memory is one of them, not copied.

    Raises:
        NoCodecError: as `encode_value`.
    """
    kind = value.__class__
    if kind is bytes and len(value) >= LONG_BYTES:
        return b"\xc6" + len(value).to_bytes(4, "big"), value
    try:
        try:
            return (encode(value),) if kind in _NATIVE else pieces_of(_pack(value))
        except UnicodeEncodeError:  # half a surrogate pair, which UTF-8 has not, so now each text is looked at
            return pieces_of(_pack(value, _NO_TEXT))
    except UnicodeEncodeError:
        raise NoCodecError("an array whose field has half a surrogate pair in its name has no codec") from None
    except RecursionError:
        raise NoCodecError(
            "a value that is nested too deeply, or holds itself, cannot cross to another ensemble"
        ) from None


def tuple_of(*values: Any) -> Any:
    """The tuple of some values; encoded, if one of them is `Encoded`, unless that is long: then it is not copied."""
    if not any(value.__class__ is Encoded for value in values) or held_bytes(values) >= 2**16:
        return values
    return Encoded(_joined(values))


def held_bytes(value: Any) -> int:
    """The bytes of what is `Encoded` in a value; a tuple may hold some (`tuple_of`)."""
    if value.__class__ is Encoded:
        return len(value.data)
    return sum(map(held_bytes, value)) if value.__class__ is tuple else 0


def _joined(values: tuple[Any, ...]) -> bytes:
    """A tuple as MessagePack; some of its values are `Encoded`."""
    pieces = [array_head(len(values)), *map(encoded, values)]
    length = sum(map(len, pieces))
    if length < 2**16:
        return encode(ext(EXT_TUPLE, b"".join(pieces)))
    return b"".join([long_head(EXT_TUPLE, length), *pieces])


def check_length(length: int, limit: int) -> None:
    """Make sure that an encoded value is not longer than `limit` bytes.

    Raises:
        TooLongError: it is.
    """
    if length > limit:
        raise TooLongError(f"a value of {length} bytes: {limit} may be sent (send less, or start with --max-value)")


def decode_value(data: Data, classes: Classes | None = None) -> Any:
    """The value that `encode_value` was given; arrays are read-only views of `data`.

    Raises:
        ValueFormatError: `data` is malformed, or of a class that is not known here.
    """
    return (_decode_plain if classes is None else value_decoder(classes))(data)


def value_decoder(classes: Classes | None) -> Callable[[Data], Any]:
    """`decode_value` for many values of which some may be of the program's classes."""
    decode = msgspec.msgpack.Decoder(ext_hook=lambda code, content: _unpack(code, content, decode_data, classes)).decode

    def decode_data(data: Data) -> Any:
        if data.__class__ is bytearray:
            data = memoryview(data).toreadonly()  # else its receiver could make an array writable again
        try:
            return decode(data)
        except ValueFormatError:
            raise
        except Exception as error:  # any error that a library raises on hostile bytes
            raise ValueFormatError(f"not a value: {error}") from None

    return decode_data


_BUILTIN = frozenset({EXT_INT, EXT_COMPLEX, EXT_TUPLE, EXT_SET, EXT_FROZENSET, EXT_DICT, EXT_TEXT})


def decode_builtin(data: Data) -> Any:
    """As `decode_value`, of numbers, texts, bytes and containers only; nothing is imported.

    Raises:
        ValueFormatError: `data` is malformed, or holds another value.
    """
    try:
        return _builtin_decoder.decode(data)
    except ValueFormatError:
        raise
    except Exception as error:
        raise ValueFormatError(f"not a value: {error}") from None


def _unpack_builtin(code: int, content: memoryview) -> Any:
    if code not in _BUILTIN:
        raise ValueFormatError("a value of another type")
    return _unpack(code, content, decode_builtin, None)


_builtin_decoder = msgspec.msgpack.Decoder(ext_hook=_unpack_builtin)

_NATIVE: frozenset[type] = frozenset({float, bool, str, bytes, type(None)})
_TEXT: frozenset[type] = frozenset({str})
_NO_TEXT = _NATIVE - _TEXT


def _pack(value: Any, native: frozenset[type] = _NATIVE) -> Any:
    """`value` as the encoder takes it; of these native types it takes values as they are."""
    kind = value.__class__
    if kind in native:
        return value
    if kind is int:
        if -(2**63) <= value < 2**64:
            return value
        return ext(EXT_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
    if kind is list:
        return value if native.issuperset(map(type, value)) else [_pack(item, native) for item in value]
    if kind is dict:
        if _TEXT.issuperset(map(type, value)) and (native is _NATIVE or all(map(_is_text, value))):
            return {key: item if item.__class__ in native else _pack(item, native) for key, item in value.items()}
        return ext(EXT_DICT, [[_pack(key, native), _pack(item, native)] for key, item in value.items()])
    if kind is tuple:
        return ext(EXT_TUPLE, [_pack(item, native) for item in value])
    if kind is str:
        return value if _is_text(value) else ext(EXT_TEXT, value.encode("utf-8", "surrogatepass"))
    if kind is complex:
        return ext(EXT_COMPLEX, struct.pack(">dd", value.real, value.imag))
    if kind is set:
        return ext(EXT_SET, [_pack(item, native) for item in value])
    if kind is frozenset:
        return ext(EXT_FROZENSET, [_pack(item, native) for item in value])
    if kind is bytearray:
        return ext(EXT_BYTEARRAY, bytes(value))
    if kind in (datetime.datetime, datetime.date, datetime.time) and getattr(value, "tzinfo", None) is None:
        return ext(EXT_DATETIME, [kind.__name__, value.isoformat(), getattr(value, "fold", 0)])
    if kind is datetime.timedelta:
        return ext(EXT_DATETIME, ["timedelta", value.days, value.seconds, value.microseconds])
    codec = _codecs_by_type.get(kind)
    if codec is not None:
        return ext(EXT_REGISTERED, [codec.name, _pack(codec.encode(value), native), _name_if_known(kind)])
    row = kind_of(kind)
    if row is not None:
        return ext(EXT_KIND, [row.name, _pack(row.parts(value), native)])
    if _is_numpy(value):
        from ticktalk.values import arrays

        code = EXT_ARRAY if kind is arrays.ARRAY else EXT_SCALAR
        return Array(code, encode(arrays.header_of(value)), arrays.memory_of(value))
    taken = take_apart(value)
    if taken is None:
        raise no_codec(value)
    return ext(EXT_OBJECT, [class_name(kind), *[_pack(part, native) for part in taken]])


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name_if_known(kind: type) -> str | None:
    try:
        return class_name(kind)
    except NoCodecError:
        return None


def _unpack_numpy(code: int, content: memoryview) -> Any:
    from ticktalk.values import arrays

    length = 1 + content[0]
    told, shape = msgspec.msgpack.decode(content[1:length])
    array = arrays.array_of(told, shape, content[length:])
    return array.reshape(-1)[0] if code == EXT_SCALAR else array


def _unpack(code: int, content: memoryview, decode: Callable[[Data], Any], classes: Classes | None) -> Any:
    if code == EXT_TUPLE:
        return tuple(decode(content))
    if code == EXT_INT:
        return int.from_bytes(content, "big", signed=True)
    if code == EXT_TEXT:
        return str(content, "utf-8", "surrogatepass")
    if code == EXT_COMPLEX:
        return complex(*struct.unpack(">dd", content))
    if code in (EXT_ARRAY, EXT_SCALAR):
        return _unpack_numpy(code, content)
    if code == EXT_BYTEARRAY:
        return bytearray(content)
    inner: Any = decode(content)
    if code == EXT_SET:
        found = set()
        for item in inner:  # one by one, so that other threads have their turn should they collide
            found.add(item)
        return found
    if code == EXT_FROZENSET:
        return frozenset(inner)
    if code == EXT_DICT:
        return dict(inner)
    if code == EXT_DATETIME:
        kind = inner[0]
        if kind == "timedelta":
            return datetime.timedelta(*inner[1:])
        if kind not in ("datetime", "date", "time"):
            raise ValueFormatError(f"no kind of time: {kind!r}")
        moment = getattr(datetime, kind).fromisoformat(inner[1])
        if len(inner) > 3:
            moment = moment.replace(tzinfo=datetime.timezone(datetime.timedelta(*inner[3:])))
        return moment.replace(fold=inner[2]) if inner[2] else moment
    if code == EXT_KIND:
        return kind_named(inner[0]).make(inner[1])
    if code == EXT_REGISTERED:
        # Of one class there may be several here, one for each ensemble; to ask for it also runs what registers it.
        kind = classes(inner[2]) if classes is not None and inner[2] is not None else None
        codec = _codecs_by_type.get(kind) if kind is not None else None
        codec = codec or _codecs_by_name.get(inner[0])
        if codec is None:
            raise ValueFormatError(f"no codec is registered here for {inner[0]}: call ticktalk.register_codec")
        return codec.decode(inner[1])
    if code == EXT_OBJECT:
        name, *taken = inner
        return put_together(name, taken, classes)
    raise ValueFormatError(f"unknown extension {code}")


_plain_decoder = msgspec.msgpack.Decoder()
_decode_plain = value_decoder(None)
