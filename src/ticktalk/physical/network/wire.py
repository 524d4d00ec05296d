"""Frames between ensembles: versioned, bounded, parsed without running anything.

Every frame begins with a byte that names its version. What follows is MessagePack: a control frame is
`[kind, recipient, payload, signature]`, a token frame a list of parcels
`[context, generation, arcs, numbers, start, stop, data]`: a token of the arc whose key it was published on (`arcs` is
empty, `numbers` its number, `data` its value), or one of each of several arcs of that arc's SQ (`arcs_in`; a number for
each or one for all, `data` an array of their values). Long data are published by themselves, with a token frame
attached that holds their parcel without them; or not at all, if that parcel says instead where in shared memory they
are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from ticktalk.engine.codec import Data, Encoded, ValueFormatError, decode_value, encode_value, encoded
from ticktalk.hosted.arc_numbers import Numbers
from ticktalk.messages import ROWS, Message, RuntimeMsg, SyncMsg
from ticktalk.payloads import (
    OutputToken,
    StartContext,
)
from ticktalk.time import Tick

VERSION = 1
MAX_FRAME = 256 * 1024 * 1024
"""Bytes; a longer frame is dropped unread."""

LONG = 1 << 14
"""Bytes from which on a value is not copied where that can be helped."""

_HEAD = bytes([VERSION])


class FrameError(ValueError):
    """Bytes that are no frame of this version."""


class _StartWire(msgspec.Struct):
    graph: str
    context: int
    start_tick: int
    inputs: bytes
    until: int | None
    checkpoint: int


class _OutputWire(msgspec.Struct):
    graph: str
    value: bytes
    shown: str | None
    start: Tick
    stop: Tick
    sq: str
    ensemble: str
    context: int


class Opaque:
    """A value of a class that is not known here; its repr is what was shown where it came from."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def _start_out(start: StartContext) -> Any:
    return _StartWire(
        start.graph, start.context, start.start_tick, encode_value(start.inputs), start.until, start.checkpoint
    )


def _start_in(data: bytes) -> StartContext:
    wire = msgspec.msgpack.decode(data, type=_StartWire)
    return StartContext(
        wire.graph, wire.context, wire.start_tick, decode_value(wire.inputs), wire.until, wire.checkpoint
    )


def _output_out(token: OutputToken) -> Any:
    shown = token.value.shown if token.value.__class__ is Encoded else None
    return _OutputWire(
        token.graph,
        bytes(encoded(token.value)),
        shown,
        token.start,
        token.stop,
        token.sq,
        token.ensemble,
        token.context,
    )


def _output_in(data: bytes) -> OutputToken:
    wire = msgspec.msgpack.decode(data, type=_OutputWire)
    return OutputToken(
        wire.graph, shown_value(wire.value, wire.shown), wire.start, wire.stop, wire.sq, wire.ensemble, wire.context
    )


def shown_value(data: Data, shown: str | None) -> Any:
    """An output's value; one of a class of the program, which is not known here, stands as its repr."""
    try:
        return decode_value(data)
    except ValueFormatError:
        return Opaque(shown or "<a value of a class that is not known here>")


class _Codec(NamedTuple):
    out: Callable[[Any], Any]
    back: Callable[[bytes], Any]


def _plain(kind: Any) -> _Codec:
    decoder = msgspec.msgpack.Decoder(kind)
    return _Codec(lambda payload: payload, decoder.decode)


_WITH_VALUES = {SyncMsg.START: _Codec(_start_out, _start_in), RuntimeMsg.OUTPUT_TOKEN: _Codec(_output_out, _output_in)}
_CODECS = {kind: _WITH_VALUES[kind] if row.values else _plain(row.payload) for kind, row in ROWS.items() if row.crosses}
_KINDS = {f"{kind.__class__.__name__}.{kind.name}": kind for kind in _CODECS}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class _Control(msgspec.Struct, array_like=True):
    kind: str
    recipient: str
    payload: bytes
    signature: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_control = msgspec.msgpack.Decoder(_Control)
_parcels = msgspec.msgpack.Decoder(list[tuple[int, int, bytes, int | list[int], Tick, Tick, memoryview]])

Head = list[Any]
"""What a parcel is without its data."""

Find = Callable[[Head, memoryview, bytes], Data | None]
"""`(head, where, payload)`: the data of a parcel whose payload is not all there is to it; None: there are none."""

AGAIN = b"\0"
"""In place of where data are: the payload is what was said to be somewhere, for who was not to look there."""

Parcel = tuple[int, int, bytes, Numbers, Tick, Tick, Data]
"""`(context, generation, arcs, numbers, start, stop, data)`: `numbers` count the tokens of an arc from one sender."""


def arcs_as_bytes(arcs: Sequence[int]) -> bytes:
    """The indexes of the arcs of a parcel as they stand in it."""
    return struct.pack(f"<{len(arcs)}I", *arcs)


def arcs_in(arcs: bytes) -> tuple[int, ...]:
    """What `arcs_as_bytes` was given.

    Raises:
        FrameError: they are no such bytes.
    """
    if len(arcs) % 4:
        raise FrameError("the arcs of a parcel are whole numbers of 4 bytes")
    return struct.unpack(f"<{len(arcs) // 4}I", arcs)


def control_frame(message: Message, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    """A message for a process of another ensemble.

    Raises:
        NoCodecError: the payload holds a value without codec.
    """
    payload = _encoder.encode(_CODECS[message.msg_type].out(message.payload))
    signature = sign(payload) if sign is not None and ROWS[message.msg_type].signed else b""
    return _HEAD + _encoder.encode(_Control(_NAMES[message.msg_type], message.recipient_name or "", payload, signature))


def parse_control(frame: bytes, verify: Callable[[bytes, bytes], bool] | None = None) -> Message:
    """The message in a frame.

    Raises:
        FrameError: the bytes are no control frame, or it carries code without the manager's signature.
    """
    body = _body(frame)
    try:
        control = _control.decode(body)
        kind = _KINDS[control.kind]
        if ROWS[kind].signed and verify is not None and not verify(control.payload, control.signature):
            raise UnsignedCodeError("code without the manager's signature")
        return Message(kind, _CODECS[kind].back(control.payload), control.recipient)
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError) as error:
        if isinstance(error, FrameError):
            raise
        raise FrameError(f"not a control frame: {error}") from None


class UnsignedCodeError(FrameError):
    """A deployment that does not carry the signature of the manager that this ensemble joined."""


def token_frame(parcels: list[Parcel]) -> bytes:
    """Tokens of one arc, or of one SQ."""
    return _HEAD + _encoder.encode(parcels)


def long_parcel(parcel: Parcel, where: bytes = b"") -> tuple[Data, bytes]:
    """A parcel with long data as `(payload, attached)`: the data by themselves, so that they are not copied.

    Args:
        parcel: the parcel.
        where: instead of the data, if not empty; or `AGAIN`.
    """
    *head, data = parcel
    return data if where in (b"", AGAIN) else b"", _HEAD + _encoder.encode([(*head, where)])


def _nowhere(head: Head, where: memoryview, payload: bytes) -> None:
    return None


def parse_parcels(frame: bytes, attached: bytes | None = None, find: Find = _nowhere) -> Sequence[Parcel]:
    """The parcels in a frame, or the one that is attached to its data; data are views of what they came in.

    Args:
        frame, attached: as they came.
        find: gives data that are somewhere else, or came again.

    Raises:
        FrameError: the bytes are no token frame.
    """
    try:
        if attached is None:
            return _parcels.decode(_body(frame))
        if len(frame) > MAX_FRAME:
            raise FrameError(f"a value of {len(frame)} bytes, longer than {MAX_FRAME}")
        ((*head, where),) = _parcels.decode(_body(attached))
        data = find(head, where, frame) if len(where) else frame
        if data is None:
            return []
        return [(*head, data)]  # type: ignore[list-item]  # mypy forgets the types of `head`
    except FrameError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise FrameError(f"not a token frame: {error}") from None


def _body(frame: bytes) -> memoryview:
    if len(frame) > MAX_FRAME:
        raise FrameError(f"a frame of {len(frame)} bytes, longer than {MAX_FRAME}")
    if not frame or frame[0] != VERSION:
        raise FrameError(f"a frame of version {frame[0] if frame else None}, not {VERSION}")
    return memoryview(frame)[1:]
