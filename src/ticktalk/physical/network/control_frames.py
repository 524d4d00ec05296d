"""Control frames: messages between processes of different ensembles, by their rows in `ticktalk.messages`.

A frame is `[kind, recipient, payload]`. The payload is MessagePack of its own: it is decoded only when its sender may
send this kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from ticktalk.messages import LITTLE, OF_GRAPH, ROWS, Message, Row, RuntimeMsg, SyncMsg
from ticktalk.no_garbage import no_garbage
from ticktalk.payloads import OutputToken, OutputTokens, StartContext, Unreadable
from ticktalk.physical.network.frames import HEAD, FrameError, InvalidError, body
from ticktalk.physical.output_batch import MOST
from ticktalk.physical.output_values import check_field, rendered
from ticktalk.physical.trust.guard import DroppedError, OpenedMessage
from ticktalk.ranges import Count, EnsembleName, Name, RootTick, Span, Value, is_interval
from ticktalk.time import Tick
from ticktalk.values.codec import Encoded, encoded


class UnsignedCodeError(FrameError):
    """A deployment that does not carry the signature of the manager that this ensemble joined."""


class LongerThanKindError(InvalidError):
    """A message that is longer than one of its kind may be."""


class _Control(msgspec.Struct, array_like=True):
    kind: Name
    recipient: Name
    payload: memoryview  # of the frame: it is not copied


def control_frame(message: Message) -> bytes:
    """A message for a process of another ensemble.

    Raises:
        NoCodecError: the payload holds a value without codec.
    """
    payload = _encoder.encode(_CODECS[message.msg_type].out(message.payload))
    return HEAD + _encoder.encode(_Control(_NAMES[message.msg_type], message.recipient_name or "", memoryview(payload)))


def parse_control(frame: bytes, opened: OpenedMessage | None = None, manages: bool = True) -> Message:
    """The message in a frame.

    Args:
        frame: as `control_frame` made it.
        opened: who sealed it; None: it is not asked who.
        manages: the receiver is the manager; no other takes what is for the manager.

    Raises:
        FrameError: the bytes are no control frame, its sender may not send it, it came on another path than its own, it
            carries code without the manager's signature, it is longer than its kind may be, or what it says cannot be
            (`ranges`).
    """
    content = body(frame)
    name = ""
    try:
        control = _control.decode(content)
        name = control.kind
        kind = _KINDS[control.kind]
        row = ROWS[kind]
        if opened is None:
            return Message(kind, _CODECS[kind].back(control.payload), control.recipient)
        sender = opened.sender
        if sender.role not in row.senders:
            raise DroppedError("unauthorized", f"{control.kind} from {sender.name!r}, which has the role {sender.role}")
        if opened.path is not row.path:  # each has its order, its room and its bounds
            raise InvalidError(f"{control.kind} on the path of {opened.path.value}")
        if row.signed and not opened.signed:
            raise UnsignedCodeError("code without the manager's signature")
        if isinstance(kind, RuntimeMsg) and not manages:
            raise InvalidError(f"{control.kind} from {sender.name!r} to one that is not the manager")
        if len(frame) > row.most:
            raise LongerThanKindError(
                f"{control.kind} of {len(frame)} bytes from {sender.name!r}, where {row.most} may come"
            )
        payload = _CODECS[kind].back(control.payload)
        if row.own is not None and row.own(payload) != sender.name:
            raise DroppedError(
                "unauthorized", f"{control.kind} from {sender.name!r} in the name of {row.own(payload)!r}"
            )
        return Message(kind, payload, control.recipient)
    except (msgspec.DecodeError, KeyError, ValueError, RecursionError) as error:
        if isinstance(error, FrameError):
            raise
        if name and isinstance(error, msgspec.ValidationError):
            raise InvalidError(f"a {name} that cannot be: {error}") from None
        raise FrameError(f"not a control frame: {error}") from None


class _StartWire(msgspec.Struct):
    graph: Name
    context: Count
    start_tick: RootTick
    inputs: dict[Name, Value]
    until: RootTick | None
    checkpoint: Span
    record: bool = False


class _OutputOut(msgspec.Struct):
    graph: Name
    value: Value
    shown: str
    start: Tick
    stop: Tick
    sq: Name
    ensemble: EnsembleName
    context: Count


class _OutputWire(_OutputOut):
    def __post_init__(self) -> None:
        if not is_interval(self.start, self.stop):
            raise ValueError(f"[{self.start}, {self.stop}) is no interval")
        check_field(self.shown)


class _OutputsOut(msgspec.Struct, array_like=True):
    tokens: list[Any]
    number: Count

    def __post_init__(self) -> None:
        if self.number and self.number < len(self.tokens):
            raise ValueError(f"{len(self.tokens)} outputs, and the last has number {self.number}")


class _OutputsWire(_OutputsOut, array_like=True):
    tokens: Annotated[list[_OutputWire], msgspec.Meta(max_length=MOST)]


class _OutputsUnread(_OutputsOut, array_like=True):
    tokens: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MOST)]


def _start_out(start: StartContext) -> Any:
    inputs = {name: bytes(encoded(value)) for name, value in start.inputs.items()}
    rest = start.until, start.checkpoint, start.record
    return _StartWire(start.graph, start.context, start.start_tick, inputs, *rest)


def _start_in(data: memoryview) -> StartContext:
    wire = _start.decode(data)
    inputs: dict[str, Any] = {name: Encoded(data) for name, data in wire.inputs.items()}
    rest = wire.until, wire.checkpoint, wire.record
    return StartContext(wire.graph, wire.context, wire.start_tick, inputs, *rest)


def _output_out(token: OutputToken) -> Any:
    value, shown = (encoded(token.value), token.shown) if token.shown else rendered(token.value)
    ends = token.start, token.stop
    return _OutputOut(token.graph, bytes(value), shown, *ends, token.sq, token.ensemble, token.context)


def _outputs_out(outputs: OutputTokens) -> Any:
    tokens = [_output_out(token) for token in outputs.tokens if isinstance(token, OutputToken)]
    return _OutputsOut(tokens, outputs.number)  # whoever takes it looks at each value, and leaves out a bad one only


def _outputs_in(data: memoryview) -> OutputTokens:
    try:
        wire = _outputs.decode(data)
        return OutputTokens([_output(token) for token in wire.tokens], wire.number)
    except msgspec.ValidationError:  # one that cannot be read is to hold up no other
        unread = _outputs_unread.decode(data)
        return OutputTokens([_readable(token) for token in unread.tokens], unread.number)


def _readable(data: msgspec.Raw) -> OutputToken | Unreadable:
    try:
        return _output(_one_output.decode(data))
    except msgspec.ValidationError as error:
        return Unreadable(_unreadable.decode(data).ensemble, str(error))


def _output(wire: _OutputWire) -> OutputToken:
    ends = wire.start, wire.stop
    value = Encoded(wire.value)
    return OutputToken(wire.graph, value, *ends, wire.sq, wire.ensemble, wire.context, shown=wire.shown)


class _Codec(NamedTuple):
    wire: Any  # the type on the wire
    out: Callable[[Any], Any]
    back: Callable[[memoryview], Any]


def _plain(row: Row) -> _Codec:
    decoder = msgspec.msgpack.Decoder(row.payload)
    long = decoder if row.long is None else msgspec.msgpack.Decoder(row.long)

    def back(data: memoryview) -> Any:
        if len(data) <= LITTLE:
            return decoder.decode(data)
        with no_garbage():
            return (decoder if len(data) <= OF_GRAPH else long).decode(data)

    return _Codec(row.payload, lambda payload: payload, back)


_WITH_VALUES = {
    SyncMsg.START: _Codec(_StartWire, _start_out, _start_in),
    RuntimeMsg.OUTPUT_TOKENS: _Codec(_OutputsWire, _outputs_out, _outputs_in),
}
_CODECS = {kind: _WITH_VALUES[kind] if row.values else _plain(row) for kind, row in ROWS.items() if row.crosses}
_KINDS = {f"{kind.__class__.__name__}.{kind.name}": kind for kind in _CODECS}
_NAMES = {kind: name for name, kind in _KINDS.items()}


_encoder = msgspec.msgpack.Encoder()
_control = msgspec.msgpack.Decoder(_Control)
_start = msgspec.msgpack.Decoder(_StartWire)
_outputs = msgspec.msgpack.Decoder(_OutputsWire)
_outputs_unread = msgspec.msgpack.Decoder(_OutputsUnread)
_one_output = msgspec.msgpack.Decoder(_OutputWire)
_unreadable = msgspec.msgpack.Decoder(Unreadable)
