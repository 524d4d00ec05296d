"""The units of a worker: a body by itself, or those of a region. A unit carries out one command after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ticktalk.defaults import MAX_VALUE
from ticktalk.engine.components import running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.lateness import lateness
from ticktalk.engine.state import Saver
from ticktalk.hosted.body_metrics import ANY_SET, taken
from ticktalk.payloads import FiringError
from ticktalk.physical.regions.in_worker import WorkerRegion
from ticktalk.physical.regions.messages import RegionRan, RegionSkipped, RunRegion, SplitRegion
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.workers.protocol import (
    Answer,
    Begun,
    FiringEnded,
    MetricsSet,
    OfUnit,
    Restore,
    RunBody,
    Save,
    SavedState,
    SomeResults,
)
from ticktalk.physical.workers.results import failure, sendable
from ticktalk.time import Tick

SLOW = 500
"""Microseconds from which on a body counts as slow: the thread lends the role of reading at once the next time."""

UNKNOWN = 20
"""Firings of a body that are not slow before it counts as quick."""

LOAN = 1_000
"""Microseconds that a body which was not slow may take before another thread reads on."""

MOST = 64
"""Results of one firing that go to the timekeeper at once: it takes so many in less than a millisecond or two."""

SendAnswer = Callable[[Answer], None]
"""Sends an answer; called from any thread."""


class Unit:
    """Carries out its commands one after the other, in one thread at a time.

    Attributes:
        waits: its commands.
        busy: a thread carries them out.
        lock: for `waits`, `busy` and `unit`.
        unit: the unit in whose turn its commands are carried out: itself, or its region.
        split: a region that ends when nothing waits for it.
        left: why it leaves this worker (`home`), so that its commands are carried out elsewhere; empty: it stays.
        quick: from 0 on, its next firing is expected to be short.
    """

    __slots__ = ("answer", "busy", "ident", "left", "lock", "quick", "slow", "split", "unit", "waits")

    def __init__(self, ident: int, answer: SendAnswer) -> None:
        self.ident = ident
        self.answer = answer
        self.waits: deque[OfUnit] = deque()
        self.busy = False
        self.slow = False  # its last firing was
        self.quick = -UNKNOWN
        self.split, self.left = False, ""
        self.lock = threading.Lock()
        self.unit: Unit = self

    @property
    def loan(self) -> int:
        """Microseconds that its next firing may take before another thread reads commands."""
        return 0 if self.slow else LOAN

    def took(self, time: int) -> None:
        """Its firing took so many microseconds; for each 100 us of a slow one, there has to be one that is not slow."""
        self.slow = time > SLOW
        self.quick = min(self.quick, 0) - time // 100 if self.slow else self.quick + 1

    def leave_out(self, ident: int) -> tuple[Tick, Tick] | None:
        """Forget the first firing of a body that waits here: its interval; None: none waits."""
        with self.lock:
            for at, command in enumerate(self.waits):
                if isinstance(command, RunBody) and command.ident == ident:
                    del self.waits[at]
                    return command.start, command.stop
        return None

    def begins_after(self, member: Unit) -> bool:
        """True if it waited for the commands of `member`, which have been carried out, and is to be run now."""
        return False

    def carry_out(self, command: OfUnit) -> None:
        """Carry out a command and answer it."""
        raise NotImplementedError


class Instance(Unit):
    """The body of one SQ of one context.

    Args:
        ident: its number.
        full: it gets full tokens.
        encode: makes the result to send of a value (`results.encoder`).
        answer: sends answers.
        max_value: bytes of the longest `sq_state` that is saved.

    Attributes:
        execute: its execute part, which calls `send`, `report` and `tally`; set before the first command.
        timed: it says when a firing begins, because its time is limited.
        gone: nobody takes its results any more.
        go_on: set when the timekeeper has taken what the firing under way sent, or it is gone.
    """

    __slots__ = (
        "_counted", "_encode", "_full", "_max_value", "_outcome", "execute", "go_on", "gone", "report", "timed",
    )  # fmt: skip

    execute: TTSQExecute

    def __init__(
        self, ident: int, full: bool, encode: Callable[[Any], list[Any]], answer: SendAnswer, max_value: int = MAX_VALUE
    ) -> None:
        super().__init__(ident, answer)
        self._max_value = max_value
        self._full = full
        self.timed = False
        self._encode = encode
        self.gone = False
        self.go_on = threading.Event()
        self._counted: str | None = None  # of the firing under way
        self._outcome: list[Any] = []  # of the firing under way
        self.report: Callable[[FiringError], None] = self._outcome.append

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """Take a value that the body returned, and its interval; where there are many, wait until some were taken."""
        if len(self._outcome) == MOST:
            self.go_on.clear()
            self._send_outcome()
            if not self.gone:
                self.go_on.wait()
            if self.gone:
                raise InterruptedError("its instance has ended")
        self._outcome.append((self._encode(value), start, stop))

    def _send_outcome(self) -> None:
        self.answer(SomeResults(self.ident, self._outcome[:], monotonic_us()))
        self._outcome.clear()

    def tally(self, kind: str) -> None:
        """Take a counter that the firing under way adds to."""
        self._counted = kind

    def tell_metrics(self) -> None:
        """Send the metrics that the body has set, if any."""
        series = taken(self.execute)
        if series:
            self.answer(MetricsSet(self.ident, series))

    def end(self) -> None:
        """Nobody takes its results any more; from any thread."""
        self.gone = True
        self.go_on.set()

    def carry_out(self, command: OfUnit) -> None:
        """Run the body, or give or take its `sq_state`."""
        if command.__class__ is RunBody:
            self._fire(command)
        elif isinstance(command, Save):
            saver = Saver()
            saver.sq = self.execute.name
            data = saver.body(self.execute.memory)
            if data is not None and len(data) > self._max_value:
                saver.left_out.append(f"{saver.sq}: sq_state ({len(data)} bytes)")
                data = None
            self.answer(SavedState(self.ident, data, saver.left_out))
        elif isinstance(command, Restore):
            self.execute.memory = self.execute.code.decode(command.sq_state)

    def _fire(self, command: RunBody) -> None:
        start, stop = command.start, command.stop
        begun = monotonic_us()
        late = _lateness(begun, command)
        if late == "skipped":
            self.answer(FiringEnded(self.ident, [], start, stop, begun, begun, late))
            return
        if self.timed:
            self.answer(Begun(self.ident, begun))
        execute, outcome = self.execute, self._outcome
        decode = execute.code.decode
        try:
            if self._full:
                arguments = tuple([(begin, end, decode(data)) for begin, end, data in command.values])
            else:
                arguments = tuple([tuple(map(decode, v)) if v.__class__ is list else decode(v) for v in command.values])
            if execute.sq.told and command.instant is not None:
                running.late = begun - command.instant
            execute.fire(start, stop, arguments, command.now)
        except BaseException as error:
            # A body, or the text of its error, may raise anything, and the timekeeper waits for an answer.
            outcome[:] = [failure(execute, error, start, stop)]
        running.current = None
        ended = monotonic_us()
        if ANY_SET:
            self.tell_metrics()
        self.took(ended - begun)
        sent: Any = outcome.pop() if outcome else ([], start, stop)
        if outcome:
            self._send_outcome()
        result, begin, end = (sendable(sent), start, stop) if isinstance(sent, FiringError) else sent
        counted, self._counted = late or self._counted, None
        self.answer(FiringEnded(self.ident, result, begin, end, begun, ended, counted))


class RegionUnit(Unit):
    """The bodies of a region.

    A body may still be given its `sq_state` in another thread as the region forms. The region runs when that is done.

    Args:
        ident: its number.
        region: runs them.
        members: the bodies, which take their turns with it until it ends.
        answer: sends answers.

    Attributes:
        awaited: the bodies with commands of their own under way since before it formed.
    """

    __slots__ = ("_region", "awaited", "members")

    def __init__(self, ident: int, region: WorkerRegion, members: list[Instance], answer: SendAnswer) -> None:
        super().__init__(ident, answer)
        self._region = region
        self.members = members
        self.awaited: set[Unit] = set()
        with self.lock:
            for member in members:
                with member.lock:
                    member.unit = self
                    if member.busy:
                        self.awaited.add(member)
            self.busy = bool(self.awaited)

    def begins_after(self, member: Unit) -> bool:
        """As of `Unit`: it is to be run when the last body that it awaited has carried out its commands."""
        with self.lock:
            waited = member in self.awaited
            self.awaited.discard(member)
            return waited and not self.awaited

    def carry_out(self, command: OfUnit) -> None:
        """Run the region, or note that it ends."""
        if isinstance(command, RunRegion):
            self._run(command)
        elif isinstance(command, SplitRegion):
            self.split = True

    def end(self) -> None:
        """Let the bodies take their turns by themselves again; nothing waits."""
        for member in self.members:
            if member.unit is self:
                member.unit = member

    def _run(self, command: RunRegion) -> None:
        start, stop = command.start, command.stop
        begun = monotonic_us()
        late = _lateness(begun, command)
        if late == "skipped":
            self.answer(RegionSkipped(self.ident))
            return
        edges, leftovers, errors, absent = self._region.run(start, stop, command.arcs, command.data)
        ended = monotonic_us()
        if ANY_SET:
            for member in self.members:
                member.tell_metrics()
        self.took(ended - begun)
        times = start, stop, begun, ended, late is not None
        self.answer(RegionRan(self.ident, edges, leftovers, errors, *times, absent))


def _lateness(begun: int, command: RunBody | RunRegion) -> str | None:
    """The counter for a source's firing that starts now; None: it is in time, or no source's."""
    instant, following = command.instant, command.following
    if instant is None or following is None:
        return None
    start, stop = command.start, command.stop
    # The instant lies in the middle of the interval, which ends as long after it on this clock as on the root clock.
    late = lateness(begun, instant + stop - (start + (stop - start) // 2), following)
    # A firing that was late when it was decided has been counted then.
    return None if late == "late_starts" and command.now >= stop else late
