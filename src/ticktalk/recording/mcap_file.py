"""Recordings as MCAP files, which other tools open, too: https://mcap.dev.

One channel for each arc: JSON with a JSON Schema where values allow it exactly, else MessagePack. One channel for the
records of all ensembles, as MessagePack, in the order in which each made them. The setup of a run is an attachment. The
last thing written says whether the recording is complete, and what it lacks: one that was cut off does not say so.
"""

from __future__ import annotations

import json
import os
import struct
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import IO, Any

import msgspec
from mcap.exceptions import EndOfFile, McapError
from mcap.records import Attachment, Channel, Message, Metadata
from mcap.stream_reader import StreamReader
from mcap.writer import CompressionType, Writer

from ticktalk.errors import TTError
from ticktalk.ranges import FARTHEST
from ticktalk.recording.setup import Setup
from ticktalk.records import AnyRecord, Records, Sent
from ticktalk.time import INFINITY, NEG_INFINITY

PROFILE = "ticktalk"
RECORDS = "records"
"""The topic of the records of all ensembles, after the graph's name."""

CHUNK = 1 << 18
"""Bytes of messages that are written together at most; `flush` writes fewer."""

LONGEST_RECORD = 256 << 20
"""Bytes of what is read at a time."""

NANOSECONDS = 1000
"""Of a root tick: the unit of MCAP's times."""

_PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean", list: "array", dict: "object"}


def _no_extension(code: int, data: memoryview) -> Any:
    raise ValueError("a value that JSON does not have")


_BROKEN = (
    McapError,
    msgspec.MsgspecError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""The errors with which the libraries answer a file that is broken."""

_decoder = msgspec.msgpack.Decoder(ext_hook=_no_extension)
_encoder = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(Records)


def as_json(data: bytes) -> tuple[str, bytes] | None:
    """The JSON type of an encoded value, and its JSON; None: JSON cannot hold it exactly."""
    try:
        value = _decoder.decode(data)
        text = msgspec.json.encode(value)
        exact: bool = value is None or _encoder.encode(msgspec.json.decode(text)) == data
    except (ValueError, TypeError, RecursionError):
        return None
    return (_PLAIN.get(type(value), "null"), text) if exact else None


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # values of a program are not for others


def _time(tick: int) -> int:
    return min(max(0, tick), FARTHEST // NANOSECONDS) * NANOSECONDS


def schema_of(kind: str) -> dict[str, Any]:
    """The JSON Schema of the tokens of an arc whose values have this JSON type."""
    tick = {"type": ["integer", "null"]}
    properties = {
        "value": {"type": kind},
        "start": {**tick, "description": "the interval's first root tick (us); null: it has no begin"},
        "stop": {**tick, "description": "the root tick at which it ends (us), exclusive; null: it has no end"},
        "number": {"type": "integer", "description": "of the token on its arc, from 1"},
        "sq": {"type": "string"},
        "ensemble": {"type": "string"},
        "context": {"type": "integer", "description": "which start of the graph"},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"a token with a value of type {kind}",
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


class RecordingWriter:
    """Writes a recording.

    Args:
        path: of the file, or an open binary file.

    Attributes:
        failure: why nothing is written any more; "": it is.
        missing: by arc or SQ, the records that are not in the file.

    Raises:
        TTError: the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str] | IO[bytes]) -> None:
        self.failure = ""
        self.missing: Counter[str] = Counter()
        self._channels: dict[tuple[str, str], int] = {}
        self._schemas: dict[str, int] = {}
        self._next: dict[tuple[str, int, str], int] = {}  # by graph, context and ensemble: the record that is next
        try:
            self._file = path if not isinstance(path, str | os.PathLike) else open(path, "wb", opener=_own)  # noqa: SIM115
            self._writer = Writer(self._file, CHUNK, CompressionType.LZ4)
            self._writer.start(PROFILE, "ticktalk")
            self._file.flush()
        except OSError as error:
            raise TTError(f"{path}: the recording cannot be written: {error.strerror}") from None

    def begin(self, setup: Setup) -> None:
        """Write the setup of a start; before its records."""
        name = f"{setup.name}/{setup.context}.json"
        tick = _time(setup.start_tick)
        self._try(lambda: self._writer.add_attachment(tick, tick, name, "application/json", msgspec.json.encode(setup)))
        self.flush()

    def add(self, batch: Records) -> None:
        """Write records; after a failure they count as missing."""
        self.missing.update(batch.missing)
        place = batch.graph, batch.context, batch.ensemble
        lost = batch.first - self._next.get(place, 0) - sum(batch.missing.values())
        if lost > 0:
            self.missing[batch.ensemble] += lost
        self._next[place] = batch.first + len(batch.records)
        if self.failure:
            self._left_out(batch)
            return
        kept: list[AnyRecord] = []
        for record in batch.records:
            if isinstance(record, Sent):
                if record.value:
                    self._try(lambda record=record: self._token(batch, record))
                    record = msgspec.structs.replace(record, value=b"")
                else:
                    self.missing[record.arc] += 1
            kept.append(record)
        tick = _time(batch.records[-1].tick if batch.records else 0)
        channel = self._channel(f"{batch.graph}/{RECORDS}", "msgpack", "")
        data = _encoder.encode(msgspec.structs.replace(batch, records=kept))
        self._try(lambda: self._writer.add_message(channel, tick, data, tick))
        if self.failure:
            self._left_out(batch)

    def _left_out(self, batch: Records) -> None:
        self.missing.update(record.arc if isinstance(record, Sent) else record.sq for record in batch.records)

    def _token(self, batch: Records, record: Sent) -> None:
        exact = as_json(record.value)
        rest = {
            "start": None if record.start == NEG_INFINITY else record.start,
            "stop": None if record.stop == INFINITY else record.stop,
            "number": record.number,
            "sq": record.sq,
            "ensemble": batch.ensemble,
            "context": batch.context,
        }
        topic = f"{batch.graph}/{record.arc}"
        tick = _time(record.tick)
        if exact is not None:
            kind, text = exact
            data = b'{"value": ' + text + b", " + msgspec.json.encode(rest)[1:]
            channel = self._channel(topic, "json", kind)
        else:
            data = _encoder.encode({"value": msgspec.Raw(record.value), **rest})
            channel = self._channel(topic, "msgpack", "")
        self._writer.add_message(channel, tick, data, tick, record.number % 2**32)

    def _channel(self, topic: str, encoding: str, kind: str) -> int:
        known = self._channels.get((topic, kind))
        if known is None:
            schema = self._schemas.get(kind, 0)
            if kind and not schema:
                content = json.dumps(schema_of(kind)).encode()
                schema = self._schemas[kind] = self._writer.register_schema(f"ticktalk.{kind}", "jsonschema", content)
            known = self._channels[topic, kind] = self._writer.register_channel(topic, encoding, schema)
        return known

    def flush(self) -> None:
        """Write what was added, so that it is there should this process be killed."""
        # The library ends a chunk by its size only.
        end_chunk = getattr(self._writer, "_Writer__finalize_chunk", lambda: None)
        self._try(end_chunk)
        self._try(self._file.flush)

    def finish(self, *lacks: str) -> list[str]:
        """End the file; gives the sentences that say what it lacks, `lacks` among them (none: it is complete)."""
        told = [*lacks, *(f"{count} records of {name}" for name, count in sorted(self.missing.items()))]
        if self.failure:
            told.insert(0, self.failure)
        self.flush()
        said = {"complete": str(not told).lower(), "lacks": "\n".join(told)}
        if not self.failure:
            self._try(lambda: self._writer.add_metadata("end", said))
            self._try(self._writer.finish)
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or f"the file cannot be written: {error.strerror}"
        return told if not self.failure or told else [self.failure]

    def _try(self, write: Any) -> None:
        if self.failure:
            return
        try:
            write()
        except OSError as error:
            self.failure = f"the file cannot be written any more: {error.strerror}"


class Recording(msgspec.Struct):
    """A recording, as it was read.

    Attributes:
        setups: of each start in it.
        batches: the records, each ensemble's in their order, with the values of tokens.
        lacks: sentences that say what it lacks; none: it is complete.
        values: by graph, context, ensemble, arc and number: the encoded value of a token.
    """

    setups: list[Setup] = []
    batches: list[Records] = []
    lacks: list[str] = []
    values: dict[tuple[str, int, str, str, int], bytes] = {}

    def records(self, context: int | None = None) -> list[tuple[str, AnyRecord]]:
        """All records of a start (default: the last one), with their ensembles, by tick; each ensemble's in order."""
        wanted = self.setups[-1].context if context is None else context
        latest: dict[str, int] = {}
        found: list[tuple[int, str, AnyRecord]] = []
        for batch in self.batches:
            for each in batch.records if batch.context == wanted else ():
                tick = latest[batch.ensemble] = max(each.tick, latest.get(batch.ensemble, each.tick))
                found.append((tick, batch.ensemble, each))
        found.sort(key=itemgetter(0))
        return [(ensemble, each) for _, ensemble, each in found]


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording; one that was cut off is read up to there.

    Raises:
        TTError: it is no recording of TickTalk's, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            recording = _read(file)
    except OSError as error:
        raise TTError(f"{path}: cannot be read: {error.strerror}") from None
    except _BROKEN as error:
        raise TTError(f"{path}: not a recording of ticktalk: {error}") from None
    if not recording.setups:
        raise TTError(f"{path}: not a recording of ticktalk: it does not say which graph ran")
    return recording


def _read(file: IO[bytes]) -> Recording:
    found = Recording(lacks=["the end: it was cut off"])
    channels: dict[int, Channel] = {}
    for record in _until_cut(file):
        if isinstance(record, Channel):
            channels[record.id] = record
        elif isinstance(record, Attachment) and record.media_type == "application/json":
            found.setups.append(msgspec.json.decode(record.data, type=Setup))
        elif isinstance(record, Metadata) and record.name == "end":
            said = record.metadata
            found.lacks = said["lacks"].split("\n") if said["complete"] != "true" else []
        elif isinstance(record, Message):
            channel = channels[record.channel_id]
            graph, _, arc = channel.topic.partition("/")
            if arc == RECORDS:
                found.batches.append(_filled(found, _records.decode(record.data)))
            else:
                value, token = _token_of(channel, record.data)
                place = graph, token["context"], token["ensemble"], arc, token["number"]
                found.values[place] = value
    return found


def _token_of(channel: Channel, data: bytes) -> tuple[bytes, dict[str, Any]]:
    if channel.message_encoding == "json":
        token = msgspec.json.decode(data)
        return _encoder.encode(token["value"]), token
    token = msgspec.msgpack.decode(data, type=dict[str, msgspec.Raw])
    rest = {name: msgspec.msgpack.decode(token[name]) for name in ("context", "ensemble", "number")}
    return bytes(token["value"]), rest


def _filled(found: Recording, batch: Records) -> Records:
    place = batch.graph, batch.context, batch.ensemble
    return msgspec.structs.replace(
        batch,
        records=[
            msgspec.structs.replace(each, value=found.values.get((*place, each.arc, each.number), b""))
            if isinstance(each, Sent)
            else each
            for each in batch.records
        ],
    )


def _until_cut(file: IO[bytes]) -> Iterator[Any]:
    """The records of an MCAP file, up to its end or to where it was cut off."""
    try:
        yield from StreamReader(file, validate_crcs=True, record_size_limit=LONGEST_RECORD).records
    except (EndOfFile, struct.error):
        pass
