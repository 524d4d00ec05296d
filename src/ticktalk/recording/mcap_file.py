"""Recordings as MCAP files, which other tools open, too: https://mcap.dev.

One channel for each arc: JSON with a JSON Schema where values allow it exactly, else MessagePack. Its metadata say of
which SQ and ensemble. One channel for the records of all ensembles, as MessagePack, in the order in which each made
them. The setup of a run is an attachment. The last thing written says whether the recording is complete, and what it
lacks: one that was cut off does not say so.
"""

from __future__ import annotations

import json
import os
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import IO, Any, NamedTuple

import msgspec
from mcap.exceptions import EndOfFile, McapError
from mcap.records import Attachment, Channel, Chunk, Metadata
from mcap.stream_reader import StreamReader
from mcap.writer import MCAP0_MAGIC

from ticktalk.durations import NANOSECONDS
from ticktalk.errors import TTError, writing
from ticktalk.ranges import FARTHEST
from ticktalk.recording.columns import Column, in_json
from ticktalk.recording.json_values import as_json, values_together
from ticktalk.recording.mcap_chunks import McapWriter, messages_of
from ticktalk.recording.repeated_tokens import BEGIN, TokenSeries, series_of, tokens_of
from ticktalk.recording.setup import Setup
from ticktalk.records import (
    AnyRecord,
    Noted,
    Records,
    Repeated,
    Sent,
    SentTogether,
    TookOver,
    count_of,
    each_of,
    names_of,
)
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.codec import Data, split

PROFILE = "ticktalk"
RECORDS = "records"
"""The topic of the records of all ensembles, after the graph's name."""

TOOK_OVER = "took over"
"""The name of the metadata that say when a version of a graph took over from another."""

LONGEST_RECORD = 256 << 20
"""Bytes of what is read at a time."""

MADE_BY = "`ticktalk simulate|run|manager --record FILE.mcap` makes one"
"""Said of a file that is no recording."""

BLOCK = 1 << 14
"""Tokens of a period that comes again and again, of which those of one arc follow one another in the file."""

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

_encoder = msgspec.msgpack.Encoder()
_records = msgspec.msgpack.Decoder(Records)


def _own(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # values of a program are not for others


def _finite(tick: Tick) -> Tick | None:
    return None if tick in (NEG_INFINITY, INFINITY) else tick


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
        self._arcs: dict[tuple[str, int, str, str], _Arc] = {}  # by graph, context, ensemble and arc
        self._together_on: dict[_Together, tuple[int, ...]] = {}  # the channels of arcs that go together
        self._channels: dict[tuple[str, str, str], int] = {}  # by topic, ensemble and JSON type
        self._schemas: dict[str, int] = {}
        self._next: dict[tuple[str, int, str], int] = {}  # by graph, context and ensemble: the record that is next
        self._unsure: deque[tuple[int, list[Noted]]] = deque()  # added and perhaps not written: their chunk, and they
        with writing(f"{path}: the recording"):
            self._file = path if not isinstance(path, str | os.PathLike) else open(path, "wb", opener=_own)  # noqa: SIM115
            self._writer = McapWriter(self._file, PROFILE)
            self._file.flush()

    def begin(self, setup: Setup) -> None:
        """Write the setup of a start; before its records."""
        name = f"{setup.name}/{setup.context}.json"
        content = msgspec.json.encode(setup)
        self._try(self._writer.attachment, _time(setup.start_tick), name, "application/json", content)
        self.flush()

    def took_over(self, note: TookOver) -> None:
        """Write that a graph goes on as another version of itself."""
        contexts = msgspec.json.encode(note.contexts).decode()
        self._try(self._writer.metadata, TOOK_OVER, {"at": str(note.at), "contexts": contexts})

    def add(self, batch: Records) -> None:
        """Write records; after a failure they count as missing."""
        self.missing.update(batch.missing)
        place = batch.graph, batch.context, batch.ensemble
        lost = batch.first - self._next.get(place, 0) - sum(batch.missing.values())
        if lost > 0:
            self.missing[batch.ensemble] += lost
        self._next[place] = batch.first + count_of(batch.records)
        self._try(self._add, batch)
        if self.failure:
            self.missing.update(name for record in batch.records for name in names_of(record))

    def _add(self, batch: Records) -> None:
        kept: list[Noted] = []
        for record in batch.records:
            if record.__class__ is Sent:
                sent: Sent = record
                self._tokens(batch, sent, ((sent.arc, sent.number, sent.value),))
                record = Sent(sent.tick, sent.sq, sent.arc, sent.number, sent.start, sent.stop, b"")
            elif isinstance(record, SentTogether):
                if not self._together(batch, record):
                    values = split(record.value) if record.value else [b""] * record.count
                    self._tokens(batch, record, zip(record.arcs, record.numbers, values, strict=True))
                record = msgspec.structs.replace(record, value=b"")
            elif isinstance(record, Repeated):
                self._repeated(batch, record)
                record = msgspec.structs.replace(record, values=[])
            kept.append(record)
        tick = _time(batch.records[-1].tick if batch.records else 0)
        channel = self._channel(f"{batch.graph}/{RECORDS}", "msgpack", "", {})
        self._writer.message(channel, tick, _encoder.encode(msgspec.structs.replace(batch, records=kept)))
        self._unsure.append((self._writer.ended, kept))
        while self._unsure[0][0] < self._writer.written:
            self._unsure.popleft()

    def _tokens(self, batch: Records, sent: Sent | SentTogether, tokens: Iterable[tuple[str, int, Data]]) -> None:
        """Write tokens, each on the channel of its arc: arc, number and value; the interval is the same."""
        start, stop = _finite(sent.start), _finite(sent.stop)
        interval = b'%b,"stop":%b,"number":' % (msgspec.json.encode(start), msgspec.json.encode(stop))
        time, write = _time(sent.tick), self._writer.message
        for name, number, value in tokens:
            if not value:
                self.missing[name] += 1
                continue
            arc = self._arc(batch, sent.sq, name)
            exact = as_json(value)
            if exact is not None:
                kind, text = exact
                data = b'{"value": %b, "start":%b%d,%b' % (text, interval, number, arc.rest)
            else:
                kind = ""
                own = {"value": msgspec.Raw(value), "start": start, "stop": stop, "number": number}
                data = _encoder.encode({**own, "context": batch.context})
            write(self._channel_of(arc, kind), time, data, number % 2**32)

    def _together(self, batch: Records, sent: SentTogether) -> bool:
        """Write tokens that went at once, if their messages have one length; whether they have."""
        found = values_together(sent.value, sent.count) if sent.value else None
        number = sent.numbers[0] if sent.numbers else 0
        same = sent.numbers.count(number) == sent.count
        if found is None or not (found[0] or same):
            return False
        kind, values = found
        key = batch.graph, batch.context, batch.ensemble, kind, tuple(sent.arcs)
        channels = self._together_on.get(key)
        if channels is None:
            arcs = [self._arc(batch, sent.sq, name) for name in sent.arcs]
            channels = self._together_on[key] = tuple(self._channel_of(arc, kind) for arc in arcs)
        own = {"start": _finite(sent.start), "stop": _finite(sent.stop), "number": number, "context": batch.context}
        parts: list[bytes | Column]
        if not kind:
            parts = [b"\x85\xa5value", values, _encoder.encode(own)[1:]]
        elif same:
            parts = [BEGIN, values, b", " + msgspec.json.encode(own)[1:]]
        else:
            interval, rest = msgspec.json.encode(own)[1:].split(b'"number":%d' % number)
            parts = [BEGIN, values, b", " + interval + b'"number":', in_json(sent.numbers), rest]
        self._writer.message_each(channels, _time(sent.tick), sent.numbers, parts)
        return True

    def _repeated(self, batch: Records, repeated: Repeated) -> None:
        """Write the tokens of records that come again and again, block by block: those of one time stay together."""
        arcs: dict[str, list[TokenSeries]] = {}
        for series in series_of(repeated):
            arcs.setdefault(series.first.arc, []).append(series)
        block = BLOCK // max(1, sum(map(len, arcs.values()))) + 1
        for begin in range(0, repeated.times, block):
            times = range(begin, min(begin + block, repeated.times))
            for each in arcs.values():
                self._some_of_arc(batch, each, times)

    def _some_of_arc(self, batch: Records, series: list[TokenSeries], times: range) -> None:
        """Write what goes along an arc at these times: `series` has one entry for each token of one time."""
        arc = self._arc(batch, series[0].first.sq, series[0].first.arc)
        found = tokens_of(series, times, NANOSECONDS, arc.rest)
        ends = [tick for each in series for tick in (each.at(times[0]).tick, each.at(times[-1]).tick)]
        if found is None or any(_time(tick) != tick * NANOSECONDS for tick in ends):
            for time in times:
                for each in series:
                    sent = each.at(time)
                    self._tokens(batch, sent, ((sent.arc, sent.number, each.value(time)),))
            return
        self._writer.messages(self._channel_of(arc, found.kind), found.stencil, found.place, found.values)

    def _arc(self, batch: Records, sq: str, name: str) -> _Arc:
        key = batch.graph, batch.context, batch.ensemble, name
        arc = self._arcs.get(key)
        if arc is None:
            arc = self._arcs[key] = _Arc(batch, sq, name)
        return arc

    def _channel_of(self, arc: _Arc, kind: str) -> int:
        channel = arc.channels.get(kind)
        if channel is None:
            channel = arc.channels[kind] = self._channel(arc.topic, "json" if kind else "msgpack", kind, arc.said)
        return channel

    def _channel(self, topic: str, encoding: str, kind: str, said: dict[str, str]) -> int:
        key = topic, said.get("ensemble", ""), kind
        known = self._channels.get(key)
        if known is None:
            schema = self._schemas.get(kind, 0)
            if kind and not schema:
                content = json.dumps(schema_of(kind)).encode()
                schema = self._schemas[kind] = self._writer.schema(f"ticktalk.{kind}", "jsonschema", content)
            known = self._channels[key] = self._writer.channel(topic, encoding, schema, said)
        return known

    def flush(self) -> None:
        """Write what was added, so that it is there should this process be killed."""
        self._try(self._writer.settle)
        self._try(self._file.flush)

    def finish(self, *lacks: str) -> list[str]:
        """End the file; gives the sentences that say what it lacks, `lacks` among them (none: it is complete)."""
        self.flush()
        told = [*lacks, *(f"{count} records of {name}" for name, count in sorted(self.missing.items()))]
        if self.failure:
            told.insert(0, self.failure)
        said = {"complete": str(not told).lower(), "lacks": "\n".join(told)}
        if not self.failure:
            self._try(self._writer.metadata, "end", said)
            self._try(self._writer.finish)
        try:
            self._file.close()
        except OSError as error:
            self.failure = self.failure or f"the file cannot be written: {error.strerror}"
        return told if not self.failure or told else [self.failure]

    def _try(self, write: Callable[..., None], *arguments: Any) -> None:
        if self.failure:
            return
        try:
            write(*arguments)
        except OSError as error:
            self.failure = f"the file cannot be written any more: {error.strerror}"
            self.missing.update(name for _, records in self._unsure for record in records for name in names_of(record))
            self._unsure.clear()


class _Arc:
    """An arc of one ensemble in one start, as its tokens are written.

    Attributes:
        topic: of its channels, and `channels`: by JSON type, or "" for MessagePack.
        said: the metadata of its channels.
        rest: the end of the JSON of each token.
    """

    def __init__(self, batch: Records, sq: str, arc: str) -> None:
        self.topic = f"{batch.graph}/{arc}"
        self.channels: dict[str, int] = {}
        self.said = {"sq": sq, "ensemble": batch.ensemble}
        self.rest = b'"context":%d}' % batch.context


_Together = tuple[str, int, str, str, tuple[str, ...]]
"""By graph, context, ensemble, JSON type and arcs."""


class Version(NamedTuple):
    """A version of a graph: its streams fire from the root tick `since` on, until the next one takes over."""

    since: int
    setup: Setup


class Recording(msgspec.Struct):
    """A recording, as it was read.

    Attributes:
        setups: of each start in it.
        batches: the records, each ensemble's in their order, with the values of tokens.
        switches: when versions of a graph took over from others, in order.
        lacks: sentences that say what it lacks; none: it is complete.
        values: by graph, context, ensemble, arc and number: the encoded value of a token.
    """

    setups: list[Setup] = []
    batches: list[Records] = []
    switches: list[TookOver] = []
    lacks: list[str] = []
    values: dict[tuple[str, int, str, str, int], bytes] = {}

    def versions(self, context: int | None = None) -> list[Version]:
        """A start: as it was, and as each version of it that took over; by default the last one, else that alone."""
        if context is not None:
            return [Version(setup.start_tick, setup) for setup in self.setups if setup.context == context]
        first = [setup for setup in self.setups if not setup.takes_over] or self.setups
        found = [Version(first[-1].start_tick, first[-1])]
        by_number = {setup.context: setup for setup in self.setups}
        for note in self.switches:
            successor = note.contexts.get(found[-1].setup.context)
            if successor in by_number:
                found.append(Version(note.at, by_number[successor]))
        return found

    def records(self, context: int | None = None) -> list[tuple[str, AnyRecord]]:
        """All records of a start (default: the last one), with their ensembles, by tick; each ensemble's in order."""
        wanted = self.setups[-1].context if context is None else context
        latest: dict[str, Tick] = {}
        found: list[tuple[Tick, str, AnyRecord]] = []
        for batch in self.batches:
            if batch.context != wanted:
                continue
            ensemble = batch.ensemble
            tick = latest.get(ensemble, NEG_INFINITY)
            for each in each_of(batch.records):
                if each.tick > tick:
                    tick = each.tick
                found.append((tick, ensemble, each))
            latest[ensemble] = tick
        found.sort(key=itemgetter(0))
        return [(ensemble, each) for _, ensemble, each in found]


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a recording; one that was cut off is read up to there.

    Raises:
        TTError: it is no recording of TickTalk's, or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            begin = file.peek()
            if not begin.startswith(MCAP0_MAGIC):
                what = "no MCAP file" if begin else "it is empty"
                raise TTError(f"{path}: not a recording of ticktalk: {what}; {MADE_BY}")
            recording = _read(file)
    except OSError as error:
        raise TTError(f"{path}: the recording cannot be read: {error.strerror}") from None
    except _BROKEN as error:
        raise TTError(f"{path}: not a recording of ticktalk: {error}") from None
    if not recording.setups:
        raise TTError(f"{path}: not a recording of ticktalk, or cut off: it does not say which graph ran; {MADE_BY}")
    return recording


def _read(file: IO[bytes]) -> Recording:
    found = Recording(lacks=["the end: it was cut off"])
    channels: dict[int, Channel] = {}
    for record in _until_cut(file):
        if isinstance(record, Chunk):
            for number, data in messages_of(record, channels):
                channel = channels[number]
                graph, _, arc = channel.topic.partition("/")
                if arc == RECORDS:
                    found.batches.append(_filled(found, _records.decode(data)))
                else:
                    value, token = _token_of(channel, data)
                    # Up to version 0.1.0, each message could name its ensemble.
                    ensemble = token.ensemble or channel.metadata.get("ensemble", "")
                    found.values[graph, token.context, ensemble, arc, token.number] = value
        elif isinstance(record, Attachment) and record.media_type == "application/json":
            found.setups.append(msgspec.json.decode(record.data, type=Setup))
        elif isinstance(record, Metadata) and record.name == TOOK_OVER:
            at, contexts = record.metadata["at"], record.metadata["contexts"]
            found.switches.append(TookOver(int(at), msgspec.json.decode(contexts, type=dict[int, int])))
        elif isinstance(record, Metadata) and record.name == "end":
            said = record.metadata
            found.lacks = said["lacks"].split("\n") if said["complete"] != "true" else []
    return found


class _Token(msgspec.Struct, gc=False):
    """The wanted fields of a token's message; `value`: as JSON or as MessagePack."""

    value: msgspec.Raw
    number: int
    context: int
    ensemble: str = ""


_json_token = msgspec.json.Decoder(_Token)
_msgpack_token = msgspec.msgpack.Decoder(_Token)


def _token_of(channel: Channel, data: bytes) -> tuple[bytes, _Token]:
    if channel.message_encoding == "json":
        token = _json_token.decode(data)
        return _encoder.encode(msgspec.json.decode(token.value)), token
    token = _msgpack_token.decode(data)
    return bytes(token.value), token


def _filled(found: Recording, batch: Records) -> Records:
    """A batch whose records are each by itself, and have their values."""
    place, records = (batch.graph, batch.context, batch.ensemble), []
    for each in each_of(batch.records):
        if isinstance(each, Sent):
            value = found.values.get((*place, each.arc, each.number), b"")
            each = Sent(each.tick, each.sq, each.arc, each.number, each.start, each.stop, value)
        records.append(each)
    return msgspec.structs.replace(batch, records=records)


def _until_cut(file: IO[bytes]) -> Iterator[Any]:
    """The records of an MCAP file, up to its end or to where it was cut off."""
    try:
        yield from StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=LONGEST_RECORD).records
    except (EndOfFile, struct.error):
        pass
