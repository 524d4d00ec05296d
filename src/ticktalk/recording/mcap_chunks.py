"""Writes MCAP files of many small messages, and reads their chunks.

The `mcap` library makes several objects of each message. Here a message is a head and its bytes, and all else is done
once for each chunk: compression, checksum, the indexes of its channels. The records around messages are the library's.
"""

from __future__ import annotations

import errno
import io
import struct
import sys
import zlib
from array import array
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import IO

import lz4.frame
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Attachment,
    AttachmentIndex,
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)
from mcap.stream_reader import get_chunk_data_stream
from mcap.writer import MCAP0_MAGIC

from ticktalk.recording.columns import Column, binary, put, table

CHUNK = 1 << 22
"""Bytes of messages that are written together at most; `settle` writes fewer."""

MOST_CHANNELS = (1 << 16) - 1
"""The most that the format can number: an arc has a channel for each ensemble and each JSON type of its values."""

AHEAD = 2
"""Chunks that may be compressed and written, in a thread of their own, while messages are added."""

_HEAD = struct.Struct("<BQH")  # of a message: opcode, length, channel
_STAMPS = struct.Struct("<IQQ")  # after that: sequence, log time, publish time
_BEFORE = _HEAD.size + _STAMPS.size
_AFTER_LENGTH = _BEFORE - 9
_RECORD = struct.Struct("<BQ")  # of any record: opcode, length
_CHANNEL_AT = 9
_CHUNK = struct.Struct("<BQQQQII3sQ")  # of a chunk: opcode, length, times, bytes, checksum, its compression, bytes
_INDEX = struct.Struct("<BQHI")  # of an index: opcode, length, channel, bytes of the entries


_NO_SPAN = 1 << 64, -1

_Places = defaultdict[int, "array[int]"]
"""By channel, the time and the place of each message of a chunk."""

_Rows = defaultdict[tuple[tuple[int, ...], int], "tuple[array[int], array[int]]"]
"""By the channels that have messages one after the other, and their length: the times, and the places of the first."""


class Stencil:
    """Messages that may go on several channels, if a part of each is put in.

    Args:
        times: of each, in order, in nanoseconds.
        sequence: their numbers.
        content: their parts; all have the same length.
    """

    def __init__(self, times: Sequence[int], sequence: Sequence[int], content: Sequence[bytes | Column]) -> None:
        self.times, stamp = array("Q", times), binary("Q", times)
        self.rows = bytes(_rows(b"\0\0", stamp, sequence, content))
        self.size = len(self.rows) // len(times)


def _rows(
    channel: bytes | Column, stamp: bytes | Column, sequence: Sequence[int], content: Sequence[bytes | Column]
) -> bytearray:
    """Messages of one length; `stamp`: the time of each."""
    length = sum(len(part) if isinstance(part, bytes) else part.width for part in content)
    head = _RECORD.pack(Opcode.MESSAGE, _AFTER_LENGTH + length)
    numbers = binary("I", sequence if max(sequence) < 2**32 else [number % 2**32 for number in sequence])
    return table(len(sequence), (head, channel, numbers, stamp, stamp, *content))


class McapWriter:
    """Writes one file; times are in nanoseconds.

    Args:
        file: a binary file, at its begin.
        profile: of the file.

    Attributes:
        ended: how many chunks have ended, and `written`: how many of these are surely written.
    """

    def __init__(self, file: IO[bytes], profile: str) -> None:
        self._file = file
        self._size = 0  # bytes of the file
        self._checksum = 0  # of these bytes
        self._failure: OSError | None = None
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._chunks: list[ChunkIndex] = []
        self._attachments: list[AttachmentIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._counts: defaultdict[int, int] = defaultdict(int)  # messages by channel
        self._begin_chunk()
        self._thread = ThreadPoolExecutor(1, "ticktalk chunks")  # to compress lets go of the interpreter
        self._under_way: deque[Future[None]] = deque()  # the latest chunks
        self.ended = self.written = 0
        self._write(MCAP0_MAGIC)
        self._write(_bytes_of(Header(profile, profile)))

    def _write(self, *data: bytes) -> int:
        """Write bytes; gives where they begin. After a failure, nothing more is written."""
        if self._failure is not None:
            raise self._failure
        place = self._size
        try:
            for each in data:
                self._size += self._file.write(each)
                self._checksum = zlib.crc32(each, self._checksum)
        except OSError as error:
            raise self._failed(error) from None
        return place

    def _failed(self, why: OSError) -> OSError:
        """Write nothing more, for this reason; gives it."""
        self._failure = why
        return why

    def _begin_chunk(self) -> None:
        self._messages = bytearray()
        self._span = _NO_SPAN  # the first and the last time of its messages
        self._places: _Places = defaultdict(partial(array, "Q"))
        self._rows: _Rows = defaultdict(lambda: (array("Q"), array("Q")))

    def schema(self, name: str, encoding: str, data: bytes) -> int:
        """Add a schema; gives its number."""
        self._schemas.append(Schema(data=data, encoding=encoding, id=len(self._schemas) + 1, name=name))
        self._messages += _bytes_of(self._schemas[-1])
        return len(self._schemas)

    def channel(self, topic: str, encoding: str, schema: int, said: dict[str, str] | None = None) -> int:
        """Add a channel whose messages have a schema (0: none), with its metadata; gives its number.

        Raises:
            OSError: there are `MOST_CHANNELS`.
        """
        number = len(self._channels) + 1
        if number > MOST_CHANNELS:
            raise self._failed(OSError(errno.EOVERFLOW, f"MCAP has no more than {MOST_CHANNELS:,} channels"))
        self._channels.append(Channel(number, topic, encoding, said or {}, schema))
        self._messages += _bytes_of(self._channels[-1])
        return number

    def message(self, channel: int, time: int, data: bytes, sequence: int = 0) -> None:
        """Add a message."""
        self._places[channel].extend((time, len(self._messages)))
        self._cover(time, time)
        self._messages += _HEAD.pack(Opcode.MESSAGE, _AFTER_LENGTH + len(data), channel)
        self._messages += _STAMPS.pack(sequence, time, time)
        self._messages += data
        if len(self._messages) > CHUNK:
            self.end_chunk()

    def message_each(
        self, channels: tuple[int, ...], time: int, sequence: Sequence[int], content: Sequence[bytes | Column]
    ) -> None:
        """Add a message on each of these channels; `content`: the parts of each, which have one length."""
        rows = _rows(binary("H", channels), struct.pack("<Q", time), sequence, content)
        times, begins = self._rows[channels, len(rows) // len(channels)]
        times.append(time)
        begins.append(len(self._messages))
        self._messages += rows
        self._cover(time, time)
        if len(self._messages) > CHUNK:
            self.end_chunk()

    def messages(self, channel: int, stencil: Stencil, place: int, column: Column) -> None:
        """Add messages on a channel; `column` is a part of them, at this place."""
        size, count, begin = stencil.size, len(stencil.times), len(self._messages)
        self._messages += stencil.rows
        put(self._messages, size, begin + _CHANNEL_AT, Column(channel.to_bytes(2, "little") * count, 2, 2))
        put(self._messages, size, begin + _BEFORE + place, column)
        entries = array("Q", bytes(16 * count))
        entries[::2], entries[1::2] = stencil.times, array("Q", range(begin, len(self._messages), size))
        self._places[channel] += entries
        self._cover(stencil.times[0], stencil.times[-1])
        if len(self._messages) > CHUNK:
            self.end_chunk()

    def _cover(self, first: int, last: int) -> None:
        begin, end = self._span
        if first < begin or last > end:
            self._span = min(first, begin), max(last, end)

    def end_chunk(self) -> None:
        """Let the messages that were added be a chunk, which is written soon.

        Raises:
            OSError: one before could not be written.
        """
        if self._span == _NO_SPAN:
            return
        chunk = self._messages, self._span, self._places, self._rows
        self._begin_chunk()
        self._under_way.append(self._thread.submit(self._write_chunk, *chunk))
        self.ended += 1
        if len(self._under_way) > AHEAD:
            self._wait()

    def settle(self) -> None:
        """Write the messages that were added.

        Raises:
            OSError: they cannot be written.
        """
        self.end_chunk()
        while self._under_way:
            self._wait()

    def _wait(self) -> None:
        self._under_way.popleft().result()
        self.written += 1

    def _write_chunk(self, data: bytearray, span: tuple[int, int], places: _Places, rows: _Rows) -> None:
        try:
            packed = lz4.frame.compress(data)
        except (MemoryError, RuntimeError) as error:  # of lz4, where it finds no memory
            raise self._failed(OSError(errno.ENOMEM, "no memory to compress a chunk")) from error
        begin, end = span
        length = _CHUNK.size - _RECORD.size + len(packed)
        head = _CHUNK.pack(Opcode.CHUNK, length, begin, end, len(data), zlib.crc32(data), 3, b"lz4", len(packed))
        start = self._write(head, packed)
        first = self._size
        for (channels, size), (times, begins) in rows.items():
            for number, channel in enumerate(channels):
                entries = array("Q", bytes(16 * len(times)))
                entries[::2], entries[1::2] = times, array("Q", [begin + number * size for begin in begins])
                places[channel] += entries
        offsets: dict[int, int] = {}
        for channel, entries in places.items():
            count = len(entries) // 2
            self._counts[channel] += count
            head = _INDEX.pack(Opcode.MESSAGE_INDEX, 6 + 16 * count, channel, 16 * count)
            if sys.byteorder == "big":
                entries.byteswap()
            offsets[channel] = self._write(head, entries.tobytes())
        self._chunks.append(
            ChunkIndex(
                chunk_length=first - start,
                chunk_start_offset=start,
                compression="lz4",
                compressed_size=len(packed),
                message_end_time=end,
                message_index_length=self._size - first,
                message_index_offsets=offsets,
                message_start_time=begin,
                uncompressed_size=len(data),
            )
        )

    def attachment(self, time: int, name: str, media_type: str, data: bytes) -> None:
        """Write an attachment, after all that was added."""
        self.settle()
        made = Attachment(create_time=time, log_time=time, name=name, media_type=media_type, data=data)
        start = self._write(_bytes_of(made))
        length = self._size - start
        self._attachments.append(AttachmentIndex(start, length, time, time, len(data), name, media_type))

    def metadata(self, name: str, said: dict[str, str]) -> None:
        """Write metadata, after all that was added."""
        self.settle()
        start = self._write(_bytes_of(Metadata(name, said)))
        self._metadata.append(MetadataIndex(start, self._size - start, name))

    def finish(self) -> None:
        """Write what was added, and the summary; the file stays open."""
        self.settle()
        self._thread.shutdown()
        self._write(_bytes_of(DataEnd(self._checksum)))
        start = self._size
        statistics = Statistics(
            attachment_count=len(self._attachments),
            channel_count=len(self._channels),
            channel_message_counts=self._counts,
            chunk_count=len(self._chunks),
            message_count=sum(self._counts.values()),
            message_end_time=max((each.message_end_time for each in self._chunks), default=0),
            message_start_time=min((each.message_start_time for each in self._chunks), default=0),
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )
        groups: list[tuple[Opcode, list[McapRecord]]] = [
            (Opcode.SCHEMA, [*self._schemas]),
            (Opcode.CHANNEL, [*self._channels]),
            (Opcode.STATISTICS, [statistics]),
            (Opcode.CHUNK_INDEX, [*self._chunks]),
            (Opcode.ATTACHMENT_INDEX, [*self._attachments]),
            (Opcode.METADATA_INDEX, [*self._metadata]),
        ]
        summary, offsets = b"", []
        for code, records in groups:
            data = b"".join(map(_bytes_of, records))
            offsets.append(SummaryOffset(code, start + len(summary), len(data)))
            summary += data
        where = start + len(summary)
        summary += b"".join(map(_bytes_of, offsets))
        head = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, where)
        footer = Footer(summary_start=start, summary_offset_start=where, summary_crc=zlib.crc32(summary + head))
        self._write(summary + _bytes_of(footer) + MCAP0_MAGIC)


def messages_of(chunk: Chunk, channels: dict[int, Channel]) -> Iterator[tuple[int, bytes]]:
    """The messages of a chunk, each after the number of its channel; `channels` get those that begin there.

    Raises:
        ValueError: it is broken.
    """
    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
    data, place = stream.read(size), 0
    while place < len(data):
        code, length = _RECORD.unpack_from(data, place)
        place += _RECORD.size
        content = data[place : place + length]
        place += length
        if len(content) < length:
            raise ValueError("a chunk that ends within a record")
        if code == Opcode.MESSAGE:
            yield int.from_bytes(content[:2], "little"), content[_AFTER_LENGTH:]
        elif code == Opcode.CHANNEL:
            found = Channel.read(ReadDataStream(io.BytesIO(content)))
            channels[found.id] = found


def _bytes_of(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return bytes(builder.end())  # type: ignore[no-untyped-call]
