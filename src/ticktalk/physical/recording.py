"""The records of a device, on their way to the manager.

The timekeeper only puts records into a queue, bounded in number and bytes. A thread of its own encodes them, some at a
time. Records that find no room are counted by arc, so that the recording tells what it lacks.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from ticktalk.engine.tap import Tap
from ticktalk.errors import InvalidMessageError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.tapping import Tapped
from ticktalk.payloads import StartContext, StopGraph
from ticktalk.records import (
    Counted,
    Deadline,
    Decided,
    Fired,
    GoesOnLate,
    GridSet,
    InstanceMoved,
    Noted,
    Received,
    Recorded,
    Records,
    Sent,
    SentTogether,
    Together,
    TokenLeft,
    TookOver,
    Turn,
    count_of,
    names_of,
)

WAITING = 200_000
"""Records of a context that may wait to be encoded."""

WAITING_BYTES = 64 << 20
"""Bytes of the values in them."""

TOGETHER = 2000
"""Records that go together at most; `TOGETHER_BYTES`: bytes of their values from which on no more do."""

TOGETHER_BYTES = 1 << 20

PERIOD = 0.1
"""Seconds between two looks for records."""


NOTE = 64
"""Bytes that each note of several that go as one counts for."""


_SINGLE: frozenset[type] = frozenset(
    {Received, Turn, Decided, TokenLeft, Counted, Fired, Deadline, InstanceMoved, GridSet, GoesOnLate}
)
"""The kinds of records of one note, without a value of a token."""


class _Waiting:
    """The records of one context that wait to be encoded."""

    def __init__(self, graph: str, context: int) -> None:
        self.graph, self.context = graph, context
        self.waiting: deque[Noted] = deque()
        self.ended = False
        self.written = 0
        self._put = self._taken = 0  # bytes, by the timekeeper; by the thread that encodes
        self._missing: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, record: Noted) -> None:
        """Take a record; in the timekeeper."""
        size = _size_of(record)
        if len(self.waiting) >= WAITING or self._put - self._taken + size > WAITING_BYTES:
            with self._lock:
                self._missing.update(names_of(record))
            return
        self._put += size
        self.waiting.append(record)

    def next(self) -> tuple[int, list[Noted], dict[str, int]]:
        """The number of the first record, and records to send; and how many were left out by then."""
        waiting, size = self.waiting, 0
        found: list[Noted] = []
        while waiting and len(found) < TOGETHER and size < TOGETHER_BYTES:
            record = waiting.popleft()
            size += _size_of(record)
            found.append(record)
        self._taken += size
        with self._lock:
            missing, self._missing = self._missing, Counter()
        first = self.written + sum(missing.values())
        self.written = first + count_of(found)
        return first, found, dict(missing)


def _size_of(record: Noted) -> int:
    """The bytes of the values in a record, and of many names."""
    kind = record.__class__
    if kind in _SINGLE:
        return 0
    if isinstance(record, Sent):
        return len(record.value)
    assert isinstance(record, Together)
    return NOTE * record.count + (len(record.value) if isinstance(record, SentTogether) else 0)


class Noting:
    """The recordings of an ensemble's contexts.

    Args:
        ensemble: its name.
        now: gives the present root tick.
        send: sends records to the manager; called in a thread of its own.

    Attributes:
        uncertainty: microseconds by which its clock may differ from the manager's.
    """

    def __init__(self, ensemble: str, now: Callable[[], int], send: Callable[[Recorded], None]) -> None:
        self.ensemble = ensemble
        self.uncertainty = 0
        self._now, self._send = now, send
        self._noted: dict[tuple[str, int], _Waiting] = {}
        self._thread: threading.Thread | None = None
        self._wake, self._closed = threading.Event(), False
        self._encoder = msgspec.msgpack.Encoder()

    def tap(self, start: StartContext) -> Tap | None:
        """The tap of a context that starts; None: it is not recorded."""
        if not start.record:
            return None
        noted = self._noted[start.graph, start.context] = _Waiting(start.graph, start.context)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"records of {self.ensemble}", daemon=True)
            self._thread.start()
        return Tapped(noted.note, self._now)

    def stop(self, stop: StopGraph) -> None:
        """A graph, or a context, has ended: its last records go now."""
        for key, noted in list(self._noted.items()):
            if stop.ends(key):
                noted.ended = True
                self._wake.set()

    def close(self) -> None:
        """End the thread, after it has sent what there is; from any thread but the timekeeper."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(PERIOD)
            self._wake.clear()
            self._send_all()
        self._send_all()  # what was noted after the last look

    def _send_all(self) -> None:
        for key, noted in list(self._noted.items()):
            ended = noted.ended
            while noted.waiting:
                self._send_next(noted, False)
            if ended:
                self._send_next(noted, True)
                del self._noted[key]

    def _send_next(self, noted: _Waiting, last: bool) -> None:
        first, records, missing = noted.next()
        batch = Records(noted.graph, noted.context, self.ensemble, first, self.uncertainty, records, missing)
        self._send(Recorded(noted.graph, noted.context, self.ensemble, self._encoder.encode(batch), last))


class RecordSink(Protocol):
    """Takes what the manager has recorded; called by the thread that keeps time."""

    def begin(self, start: StartContext, graph: TTGraph, host_of: Mapping[str, str], takes_over: bool = False) -> None:
        """A context starts: of which graph, and on which ensembles; or it is to take over from another version."""

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""

    def take(self, recorded: Recorded) -> None:
        """Records have come."""


class NoRecorder:
    """A recorder that records nothing: nobody has asked for records that come all the same."""

    def begin(self, start: StartContext, graph: TTGraph, host_of: Mapping[str, str], takes_over: bool = False) -> None:
        """A context starts."""

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""

    def take(self, recorded: Recorded) -> None:
        """Records have come: they are refused."""
        raise InvalidMessageError("records, and nothing is recorded")
