"""Recording on devices: the manager hands on what its ensembles have noted, and a thread writes it.

The thread that keeps the manager's time only puts things into a queue, which is bounded in bytes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Mapping

import msgspec

from ticktalk.defaults import EVICTION_BOUND
from ticktalk.graph.graph import TTGraph
from ticktalk.payloads import StartContext
from ticktalk.recording.setup import Setup, setup_of
from ticktalk.recording.writer import Writer
from ticktalk.records import Recorded, Records, Repeated, TookOver

WAITING_BYTES = 256 << 20
"""Bytes of records that may wait to be written."""

FLUSH = 1.0
"""Seconds after which what was written reaches the disk."""

WAIT = 5.0
"""Seconds for which the last records of ensembles are waited for, and again if some have come meanwhile."""

WAITS = 12
"""Such times at most."""


class Recorder:
    """Writes what is recorded.

    Args:
        writer: takes it, in a thread of its own.
        options: what was asked for in the run, by option.
    """

    def __init__(self, writer: Writer, options: dict[str, str]) -> None:
        self._writer, self._options = writer, options
        self._queue: queue.SimpleQueue[Setup | TookOver | Recorded | None] = queue.SimpleQueue()
        self._put = self._taken = 0  # bytes, by the thread that keeps time; by the one that writes
        self._come = 0  # parcels of records
        self._lost: Counter[str] = Counter()
        self._awaited: set[tuple[int, str]] = set()  # context and ensemble: whose last records have not come
        self._settled = threading.Event()
        self._decoder = msgspec.msgpack.Decoder(Records)
        self._thread = threading.Thread(target=self._run, name="ticktalk recording", daemon=True)
        self._thread.start()

    def begin(self, start: StartContext, graph: TTGraph, host_of: Mapping[str, str], takes_over: bool = False) -> None:
        """A context starts: of which graph, and on which ensembles; or it is to take over from another version."""
        for ensemble in set(host_of.values()) - {""}:
            self._awaited.add((start.context, ensemble))
        self._settled.clear()
        self._queue.put(setup_of(start, graph, dict(host_of), "devices", EVICTION_BOUND, self._options, takes_over))

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""
        self._queue.put(note)

    def take(self, recorded: Recorded) -> None:
        """Records have come."""
        self._come += 1
        if recorded.last:
            self._awaited.discard((recorded.context, recorded.ensemble))
            if not self._awaited:
                self._settled.set()
        if self._put - self._taken + len(recorded.data) > WAITING_BYTES:
            self._lost[recorded.ensemble] += 1
            return
        self._put += len(recorded.data)
        self._queue.put(recorded)

    def finish(self) -> list[str]:
        """End the file when the last records have come, or none come any more; gives what it lacks, as sentences."""
        for _ in range(WAITS):
            come = self._come
            if not self._awaited or self._settled.wait(WAIT) or come == self._come:
                break
        lacks = [
            f"what ensemble {ensemble!r} noted last of context {context}: it did not send it"
            for context, ensemble in sorted(self._awaited)
        ]
        self._queue.put(None)
        self._thread.join()
        lacks += [
            f"{count} parcels of records of {name}, which could not be written or read"
            for name, count in sorted(self._lost.items())
        ]
        return self._writer.finish(*lacks)

    def _run(self) -> None:
        flushed = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=FLUSH)
            except queue.Empty:
                self._writer.flush()
                flushed = time.monotonic()
                continue
            if item is None:
                return
            if isinstance(item, Setup):
                self._writer.begin(item)
                continue
            if isinstance(item, TookOver):
                self._writer.took_over(item)
                continue
            self._taken += len(item.data)
            try:
                batch = self._decoder.decode(item.data)
                if (batch.graph, batch.context, batch.ensemble) != (item.graph, item.context, item.ensemble):
                    raise ValueError("records in the name of another")
                if any(isinstance(record, Repeated) for record in batch.records):
                    raise ValueError("a few bytes that stand for many records: only a simulation makes these")
                self._writer.add(batch)
            except Exception:  # whatever an ensemble sends, the others are recorded
                self._lost[item.ensemble] += 1
            if time.monotonic() - flushed > FLUSH:
                self._writer.flush()
                flushed = time.monotonic()
