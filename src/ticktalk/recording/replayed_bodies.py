"""The bodies of a replayed run: each ends when the recording says so; those of sources do not run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.context import Context
from ticktalk.engine.execution import Send, TTSQExecute
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing_chain import Elsewhere, Report, Surroundings
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import FiringError
from ticktalk.records import AnyRecord, Fired, Sent
from ticktalk.time import Tick


class NoBody:
    """Stands in for the body of an SQ that does not run."""

    body = arrange = None
    memory: Any = {}  # nothing is in it

    def __init__(self, sq: TTSQ) -> None:
        self.sq = sq

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Give nothing."""


class SomeBodies(Context):
    """A context with the bodies of all SQs but those in `without`."""

    def __init__(
        self,
        prepared: PreparedGraph,
        number: int,
        start_tick: int,
        agenda: Agenda,
        around: Surroundings,
        without: Collection[str],
    ) -> None:
        self.without = without
        super().__init__(prepared, number, start_tick, agenda, around)

    def _execute(self, sq: TTSQ, send: Send, report: Report) -> TTSQExecute:
        if sq.name in self.without:
            return NoBody(sq)  # type: ignore[return-value]
        return super()._execute(sq, send, report)


class RecordedFiring(NamedTuple):
    """A firing whose body has not ended yet."""

    start: Tick
    stop: Tick
    values: tuple[Any, ...]
    now: int


class RecordedBody:
    """The stage around a body: it runs when the recording says that it ended.

    Args:
        own: of its SQ.
        put: sends a recorded result along its arc.
        departs: told what is otherwise than in the recording.

    Attributes:
        waiting: the firings that have not ended.
        failed: that of a source raised here, and not in the recording.
    """

    failed = False

    def __init__(self, own: Elsewhere, put: Callable[[Sent], None], departs: Callable[[AnyRecord, str], None]) -> None:
        self.own, self._put, self._departs = own, put, departs
        self.body: Fire
        self.waiting: deque[RecordedFiring] = deque()
        self.raised = ""
        self.dropped = False  # what the body gives: in the recording it failed

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        self.waiting.append(RecordedFiring(start, stop, values, now))

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        if not self.dropped:
            self.own.send(value, start, stop)

    def report(self, error: FiringError) -> None:
        self.raised = error.exception
        self.own.report(error)

    def end(self, fired: Fired, results: list[Sent], source: bool) -> None:
        """The body ends: it runs now, or its recorded results go out."""
        waiting, interval = self.waiting, (fired.start, fired.stop)
        while waiting and waiting[0][:2] != interval and any(each[:2] == interval for each in waiting):
            waiting.popleft()  # it was skipped or lost
            self.own.done()
        if not waiting or waiting[0][:2] != interval:
            self._departs(fired, "a body ran in the recording on a set that is not fired here")
            return
        firing = waiting.popleft()
        self.raised, self.dropped = "", source or fired.outcome == "failed"
        sq = self.own.sq
        instant = int(firing.start) + sq.width // 2 if sq.trigger == "grid" else firing.now
        running.late = fired.began - instant
        self.body(*firing)  # that of a source: `NoBody`, or for its state only
        running.late = None
        if source:
            for each in results:
                self._put(each)
        if self.raised and fired.outcome != "failed":
            if source:
                self.failed = True
            else:
                self._departs(fired, f"its body raises here, and did not in the recording: {self.raised}")
        self.own.done()
