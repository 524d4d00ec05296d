"""A recording as a timeline that Perfetto shows (https://ui.perfetto.dev): TrackEvents in protobuf.

Each ensemble is a process there and each SQ a track of it, all on the root clock. A firing is a slice. An arrow leads
from the firing that sent a token to each firing that took it. What was dropped, missed or skipped is an instant.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent
from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

from ticktalk.durations import interval_text
from ticktalk.errors import TTError
from ticktalk.recording.mcap_file import Recording
from ticktalk.records import AnyRecord, Counted, Deadline, Decided, Fired, Left, Received, Sent
from ticktalk.time import Tick

NANOSECONDS = 1000
"""Of a root tick."""

_SEQUENCE = 1

Arc = tuple[str, int]
"""A token: its arc, and its number there."""


@dataclass
class Slice:
    """A firing: when its body began and ended (root ticks), and the tokens that it took and sent."""

    record: Fired
    took: list[Arc]
    sent: list[Arc]


@dataclass
class _Track:
    """What is known of an SQ on an ensemble, up to a record.

    Attributes:
        came: by its number at the SQ, the token that waits there.
        decided: the sets that are to fire.
        sent: the tokens of the firing that is told next.
    """

    came: dict[int, Arc] = field(default_factory=dict)
    decided: list[tuple[Decided, list[Arc]]] = field(default_factory=list)
    sent: list[Arc] = field(default_factory=list)


def slices_of(records: Iterable[tuple[str, AnyRecord]]) -> Iterable[tuple[str, Slice | Left | Deadline | Counted]]:
    """The firings of a recording with their tokens, and what else is shown, with the ensemble of each."""
    tracks: defaultdict[tuple[str, str], _Track] = defaultdict(_Track)
    for ensemble, record in records:
        track = tracks[ensemble, record.sq]
        match record:
            case Received():
                track.came[record.number] = record.arc, record.token
            case Decided():
                # A token of a sticky port stays, and may be taken again.
                taken = [track.came[number] for number in record.tokens if number in track.came]
                track.decided.append((record, taken))
            case Sent():
                track.sent.append((record.arc, record.number))
            case Fired():
                yield ensemble, Slice(record, _taken(track, record.start, record.stop), track.sent)
                track.sent = []
            case Left() | Counted():
                yield ensemble, record
            case Deadline(how="missed"):
                yield ensemble, record


def _taken(track: _Track, start: Tick, stop: Tick) -> list[Arc]:
    """The tokens of the oldest set of an interval; sets before it did not fire."""
    for index, (decided, taken) in enumerate(track.decided):
        if (decided.start, decided.stop) == (start, stop):
            del track.decided[: index + 1]
            return taken
    return []


def write_timeline(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write the last start in a recording as a Perfetto trace.

    Raises:
        TTError: the file cannot be written.
    """
    try:
        with open(path, "wb") as file:
            trace = _Trace(StreamingTraceProtoBuilder(file))
            for ensemble, shown in slices_of(recording.records()):
                trace.add(ensemble, shown)
    except OSError as error:
        raise TTError(f"{path}: the timeline cannot be written: {error.strerror}") from None


class _Trace:
    """Writes packets, and tells of each track before its first event."""

    def __init__(self, builder: StreamingTraceProtoBuilder) -> None:
        self._builder = builder
        self._tracks: dict[tuple[str, str], int] = {}
        self._flows: dict[Arc, int] = {}
        self._first = True

    def add(self, ensemble: str, shown: Slice | Left | Deadline | Counted) -> None:
        """Write a firing, or an instant."""
        if not isinstance(shown, Slice):
            self._instant(ensemble, shown)
            return
        fired = shown.record
        begin = self._event(ensemble, fired.sq, fired.began, TrackEvent.TYPE_SLICE_BEGIN, fired.sq)
        _note(begin, interval=interval_text(fired.start, fired.stop), outcome=fired.outcome)
        begin.track_event.flow_ids.extend(self._flow(token) for token in (*shown.took, *shown.sent))
        self._write(begin)
        self._write(self._event(ensemble, fired.sq, fired.ended, TrackEvent.TYPE_SLICE_END))

    def _instant(self, ensemble: str, record: Left | Deadline | Counted) -> None:
        if isinstance(record, Left):
            name = record.why or "left"
            notes = {"interval": interval_text(record.start, record.stop), "missing": ", ".join(record.missing)}
        elif isinstance(record, Deadline):
            name, notes = "deadline missed", {"interval": interval_text(record.start, record.stop)}
        else:
            name, notes = record.kind, {"count": str(record.count)}
        packet = self._event(ensemble, record.sq, record.tick, TrackEvent.TYPE_INSTANT, name)
        _note(packet, **notes)
        self._write(packet)

    def _event(self, ensemble: str, sq: str, tick: int, kind: int, name: str = "") -> Any:
        packet = self._packet()
        packet.timestamp = max(0, tick) * NANOSECONDS
        packet.track_event.type = kind
        packet.track_event.track_uuid = self._track(ensemble, sq)
        if name:
            packet.track_event.name = name
        return packet

    def _track(self, ensemble: str, sq: str) -> int:
        known = self._tracks.get((ensemble, sq))
        if known is not None:
            return known
        number = self._tracks[ensemble, sq] = len(self._tracks) + 1
        packet = self._packet()
        track = packet.track_descriptor
        track.uuid = number
        if sq:
            track.parent_uuid, track.name = self._track(ensemble, ""), sq
        else:
            track.process.pid, track.process.process_name = number, ensemble
        self._write(packet)
        return number

    def _flow(self, token: Arc) -> int:
        return self._flows.setdefault(token, len(self._flows) + 1)

    def _packet(self) -> Any:
        packet = self._builder.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        return packet

    def _write(self, packet: Any) -> None:
        if self._first:
            packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
            self._first = False
        self._builder.write_packet(packet)


def _note(packet: Any, **notes: str) -> None:
    for name, text in notes.items():
        if text:
            note = packet.track_event.debug_annotations.add()
            note.name, note.string_value = name, text
