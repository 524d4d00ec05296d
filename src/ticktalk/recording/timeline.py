"""A recording as a timeline that Perfetto shows (https://ui.perfetto.dev): TrackEvents in protobuf.

Each ensemble is a process there and each SQ a track of it, all on the root clock. A firing is a slice. An arrow leads
from the firing that sent a token to each firing that took it. A drop, a miss or a skip is an instant.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent
from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

from ticktalk.durations import NANOSECONDS, interval_text
from ticktalk.errors import writing
from ticktalk.explain.history import History, Key
from ticktalk.graph.graph import TTGraph
from ticktalk.recording.mcap_file import Recording
from ticktalk.records import AnyRecord, Counted, Deadline, Fired, TokenLeft

_SEQUENCE = 1


@dataclass
class Slice:
    """A firing: when its body began and ended (root ticks), and the tokens that it took and sent."""

    record: Fired
    took: list[Key]
    sent: list[Key]


def slices_of(
    graph: TTGraph, records: list[tuple[str, AnyRecord]]
) -> Iterator[tuple[str, Slice | TokenLeft | Deadline | Counted]]:
    """The firings of a recording with their tokens, and what else is shown, with the ensemble of each."""
    history = History(graph, records)
    firings = {id(firing.ran): firing for each in history.firings.values() for firing in each}
    for ensemble, record in records:
        match record:
            case Fired():
                firing = firings.get(id(record))
                took = [] if firing is None else [history.origin(came.key) for came in firing.took]
                yield ensemble, Slice(record, took, [] if firing is None else firing.sent)
            case TokenLeft() | Counted() | Deadline(how="missed"):
                yield ensemble, record


def write_timeline(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write the last start in a recording as a Perfetto trace, with all versions of its graph.

    Raises:
        TTError: the file cannot be written.
    """
    setups = {version.setup.context: version.setup for version in recording.versions()}
    with writing(f"{path}: the timeline"), open(path, "wb") as file:
        trace = _Trace(StreamingTraceProtoBuilder(file))
        for trace.context, setup in setups.items():
            graph = TTGraph.from_json(setup.graph.encode())
            for ensemble, shown in slices_of(graph, recording.records(trace.context)):
                trace.add(ensemble, shown)


class _Trace:
    """Writes packets, and tells of each track before its first event.

    Attributes:
        context: of the start whose firings are written.
    """

    context = 0

    def __init__(self, builder: StreamingTraceProtoBuilder) -> None:
        self._builder = builder
        self._tracks: dict[tuple[str, str], int] = {}
        self._flows: dict[tuple[int, Key], int] = {}
        self._first = True

    def add(self, ensemble: str, shown: Slice | TokenLeft | Deadline | Counted) -> None:
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

    def _instant(self, ensemble: str, record: TokenLeft | Deadline | Counted) -> None:
        if isinstance(record, TokenLeft):
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

    def _flow(self, token: Key) -> int:
        return self._flows.setdefault((self.context, token), len(self._flows) + 1)

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
