"""Writes MCAP files of many small messages, and reads their chunks.

The `mcap` library makes several objects of each message. Here a message is a head and its bytes, and all else is done
once for each chunk: compression, checksum, the indexes of its channels. The records around messages are the library's.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain
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

CHUNK = 1 << 18
"""Bytes of messages that are written together at most; `flush` writes fewer."""

_HEAD = struct.Struct("<BQH")  # of a message: opcode, length, channel
_STAMPS = struct.Struct("<IQQ")  # after that: sequence, log time, publish time
_BEFORE = _HEAD.size + _STAMPS.size
_AFTER_LENGTH = _BEFORE - 9
_RECORD = struct.Struct("<BQ")  # of any record: opcode, length
_INDEX = struct.Struct("<BQHI")  # of an index: opcode, length, channel, bytes of the entries


_NO_SPAN = 1 << 64, -1


class McapWriter:
    """Writes one file; times are in nanoseconds.

    Args:
        file: a binary file, at its begin.
        profile: of the file.
    """

    def __init__(self, file: IO[bytes], profile: str) -> None:
        self._file = file
        self._size = 0  # bytes of the file
        self._schemas: list[Schema] = []
        self._channels: list[Channel] = []
        self._chunks: list[ChunkIndex] = []
        self._attachments: list[AttachmentIndex] = []
        self._metadata: list[MetadataIndex] = []
        self._counts: defaultdict[int, int] = defaultdict(int)  # messages by channel
        self._parts: list[bytes] = []  # of the present chunk
        self._filled = 0  # its bytes
        self._span = _NO_SPAN  # the first and the last time of its messages
        self._places: defaultdict[int, list[int]] = defaultdict(list)  # by channel: time and place of each message
        self._write(MCAP0_MAGIC)
        self._write(_bytes_of(Header(profile, profile)))

    def _write(self, data: bytes) -> int:
        """Write bytes; gives where they begin."""
        place = self._size
        self._file.write(data)
        self._size += len(data)
        return place

    def schema(self, name: str, encoding: str, data: bytes) -> int:
        """Add a schema; gives its number."""
        self._schemas.append(Schema(data=data, encoding=encoding, id=len(self._schemas) + 1, name=name))
        self._put(_bytes_of(self._schemas[-1]))
        return len(self._schemas)

    def channel(self, topic: str, encoding: str, schema: int) -> int:
        """Add a channel whose messages have a schema (0: none); gives its number."""
        number = len(self._channels) + 1
        self._channels.append(Channel(id=number, topic=topic, message_encoding=encoding, metadata={}, schema_id=schema))
        self._put(_bytes_of(self._channels[-1]))
        return number

    def _put(self, data: bytes) -> None:
        self._parts.append(data)
        self._filled += len(data)

    def message(self, channel: int, time: int, data: bytes, sequence: int = 0) -> None:
        """Add a message."""
        self._places[channel] += time, self._filled
        self._cover(time, time)
        length = len(data)
        head = _HEAD.pack(Opcode.MESSAGE, _AFTER_LENGTH + length, channel)
        self._parts += head, _STAMPS.pack(sequence, time, time), data
        self._filled += _BEFORE + length
        if self._filled > CHUNK:
            self.end_chunk()

    def messages(self, channel: int, times: Sequence[int], data: Sequence[bytes], sequence: Sequence[int]) -> None:
        """Add messages on a channel, sorted by time."""
        sizes = [*map(len, data)]
        heads = {size: _HEAD.pack(Opcode.MESSAGE, _AFTER_LENGTH + size, channel) for size in set(sizes)}
        stamps = _stamps(sequence, times) if isinstance(times, range) and isinstance(sequence, range) else [
            *map(_STAMPS.pack, sequence, times, times)
        ]  # fmt: skip
        places = [*accumulate(map(_BEFORE.__add__, sizes), initial=self._filled)]
        self._places[channel] += chain.from_iterable(zip(times, places, strict=False))
        self._cover(times[0], times[-1])
        self._parts += chain.from_iterable(zip(map(heads.__getitem__, sizes), stamps, data, strict=True))
        self._filled = places[-1]
        if self._filled > CHUNK:
            self.end_chunk()

    def _cover(self, first: int, last: int) -> None:
        begin, end = self._span
        if first < begin or last > end:
            self._span = min(first, begin), max(last, end)

    def end_chunk(self) -> None:
        """Write the messages that were added."""
        if not self._places:
            return
        data, places = b"".join(self._parts), dict(self._places)
        self._parts.clear()
        self._places.clear()
        self._filled = 0
        packed = lz4.frame.compress(data)
        begin, end, self._span = *self._span, _NO_SPAN
        chunk = Chunk(
            compression="lz4",
            data=packed,
            message_end_time=end,
            message_start_time=begin,
            uncompressed_crc=zlib.crc32(data),
            uncompressed_size=len(data),
        )
        start = self._write(_bytes_of(chunk))
        length, first = self._size - start, self._size
        indexes: list[bytes] = []
        offsets: dict[int, int] = {}
        place = first
        for channel, entries in places.items():
            count = len(entries) // 2
            self._counts[channel] += count
            offsets[channel] = place
            head = _INDEX.pack(Opcode.MESSAGE_INDEX, 6 + 16 * count, channel, 16 * count)
            indexes.append(head + struct.pack(f"<{2 * count}Q", *entries))
            place += len(indexes[-1])
        self._write(b"".join(indexes))
        self._chunks.append(
            ChunkIndex(
                chunk_length=length,
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
        """Write an attachment."""
        made = Attachment(create_time=time, log_time=time, name=name, media_type=media_type, data=data)
        start = self._write(_bytes_of(made))
        length = self._size - start
        self._attachments.append(AttachmentIndex(start, length, time, time, len(data), name, media_type))

    def metadata(self, name: str, said: dict[str, str]) -> None:
        """Write metadata."""
        start = self._write(_bytes_of(Metadata(name, said)))
        self._metadata.append(MetadataIndex(start, self._size - start, name))

    def finish(self) -> None:
        """Write what was added, and the summary; the file stays open."""
        self.end_chunk()
        self._write(_bytes_of(DataEnd(0)))
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


@lru_cache(8)
def _stamps(sequence: range, times: range) -> list[bytes]:
    """The stamps of messages: many arcs have the same."""
    return [*map(_STAMPS.pack, (number % 2**32 for number in sequence), times, times)]


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
