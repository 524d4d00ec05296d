"""A body in a worker, as the timekeeper sees it: the firings and saves under way in it, and its costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.engine.tap import outcome_of
from ticktalk.hosted.body_costs import BodyCosts
from ticktalk.hosted.watchdog import overran
from ticktalk.payloads import FiringError
from ticktalk.physical.timekeeping.root_clock import RootClock
from ticktalk.physical.workers.protocol import (
    FiringEnded,
    FiringLeftOut,
    LeaveOutStalest,
    MetricsSet,
    NewInstance,
    SavedState,
    SomeResults,
)
from ticktalk.physical.workers.results import parts_of, sizes
from ticktalk.series import Series
from ticktalk.time import Tick
from ticktalk.values.codec import held_bytes

FEW = 16
"""Firings of a body that may be under way whatever their values are."""

UNDER_WAY = 10_000
"""Firings of a body that may be under way in all, and wait for the one that runs; one more while its worker is asked to
leave the stalest one out."""

UNDER_WAY_BYTES = 64 << 20
"""Bytes of the values of those beyond the first few."""

TakeState = Callable[[Context, str, bytes | None, list[str]], None]
"""`(context, sq, sq_state, left_out)`: takes an instance's `sq_state` as MessagePack, and the names without a codec."""


@dataclass(eq=False, slots=True)
class WorkerBody:
    """A body that runs in a worker.

    Attributes:
        ident: the number by which its worker knows it.
        worker: the name of its worker.
        left: why it has left home; empty: it has not.
        context: the context that it belongs to.
        elsewhere: takes its results, errors and counts.
        grid: its sync, if it is a source.
        send_command: sends a command to its worker.
        in_flight: the firings under way, oldest first: instant (monotonic; None: it is no source), interval, and bytes
            that count as held.
        held: bytes of values in firings under way, but for the first `FEW`.
        leaves_out: its worker was asked to leave the stalest one out, and has not answered.
        saved: the requesters of its `sq_state`, oldest first.
        begun: its worker has made it.
        began: when the oldest firing under way began (monotonic; told by bodies with a timeout); None: it has not.
        limited: a timer looks how long that takes.
        timed_out: its worker is ended because the oldest firing takes too long.
        gone: its instance here has ended.
        given_up: why it is not run any more; empty: it is.
        lateness: count, sum and maximum of the microseconds from its instants to its starts; empty: none yet.
        costs: samples of its runs.
        recent: microseconds of its latest runs by themselves, on average; None: not measured.
        together: its runs in regions.
        alone: its other runs.
        metrics: those that it has set, by name.
        ended: called when a firing or a save of it has ended.
    """

    ident: int
    worker: str
    context: Context
    elsewhere: Elsewhere
    grid: GridSync | None
    send_command: Callable[[LeaveOutStalest], None]
    in_flight: deque[tuple[int | None, Tick, Tick, int]] = field(default_factory=deque)
    held: int = 0
    leaves_out: bool = False
    left: str = ""
    saved: deque[TakeState] = field(default_factory=deque)
    begun: bool = False
    began: int | None = None
    limited: bool = False
    timed_out: bool = False
    gone: bool = False
    given_up: str = ""
    lateness: list[int] = field(default_factory=list)
    costs: BodyCosts = field(default_factory=BodyCosts)
    recent: float | None = None
    together: int = 0
    alone: int = 0
    metrics: dict[str, Series] = field(default_factory=dict)
    ended: Callable[[], None] | None = None

    def as_new(self) -> NewInstance:
        """Itself as its worker has to make it."""
        return NewInstance(self.ident, self.elsewhere.sq.name, self.elsewhere.paths, self.elsewhere.unpack)

    def put(self, instant: int | None, start: Tick, stop: Tick, values: tuple[Any, ...]) -> bool:
        """Note a firing that is to run; False: this one is left out, and counted.

        Where as many as may be are under way, the stalest one that waits is left out. The worker is asked for it, as
        only the worker knows which one waits. Until it has answered, newer ones are left out.
        """
        size = 0
        if len(self.in_flight) >= FEW:
            full = takes_full_tokens(self.elsewhere.sq)
            size = sum(held_bytes(value[2] if full else value) for value in values)
            if len(self.in_flight) >= UNDER_WAY or self.held + size > UNDER_WAY_BYTES:
                if self.leaves_out:
                    self._left_out()
                    return False
                self._leave_out_stalest()
            self.held += size
        self.in_flight.append((instant, start, stop, size))
        return True

    def late(self, late: int) -> None:
        """Its body started so many microseconds after its instant."""
        if not self.lateness:
            self.lateness = [0, 0, 0]
        self.lateness[0] += 1
        self.lateness[1] += late
        self.lateness[2] = max(self.lateness[2], late)

    def firing_ended(self, answer: FiringEnded, clock: RootClock) -> None:
        """Take the answer to its oldest firing."""
        instant, start, stop, size = self.in_flight.popleft() if self.in_flight else (None, 0, 0, 0)
        self.held -= size
        self.began, self.timed_out = None, False
        if answer.counted:
            self.elsewhere.tally(answer.counted)
        if answer.counted != "skipped":
            self.alone += 1
            self._took(answer.ended - answer.begun)
            if isinstance(answer.outcome, FiringError):
                self.elsewhere.report(answer.outcome)
            else:
                self._send(answer.outcome, answer, clock)
                if instant is not None:
                    self.late(answer.begun - instant)
            if self.elsewhere.fired is not None:
                outcome = outcome_of(isinstance(answer.outcome, FiringError), bool(answer.outcome))
                self.elsewhere.fired(start, stop, clock.at(answer.begun), clock.at(answer.ended), outcome)
        self.elsewhere.done()
        if self.ended is not None:
            self.ended()

    def stalest_left_out(self, answer: FiringLeftOut) -> None:
        """Take the answer to the question for the stalest firing that waits."""
        self.leaves_out = False
        for at, (_, start, stop, size) in enumerate(self.in_flight):
            if (start, stop) == answer.interval:
                del self.in_flight[at]
                self.held -= size
                self._left_out()
                if self.ended is not None:
                    self.ended()
                if len(self.in_flight) > UNDER_WAY or self.held > UNDER_WAY_BYTES:  # a long value came for a short one
                    self._leave_out_stalest()
                return

    def _leave_out_stalest(self) -> None:
        self.leaves_out = True
        self.send_command(LeaveOutStalest(self.ident))

    def _left_out(self) -> None:
        """A firing does not run, as too many wait."""
        self.elsewhere.tally("overflow" if self.grid is None else "skipped")
        self.elsewhere.done()

    def metrics_set(self, answer: MetricsSet) -> None:
        """Take metrics that its firing has set."""
        for name, series in answer.series.items():
            self.metrics.setdefault(name, Series(series.kind)).add(series)

    def sent(self, answer: SomeResults) -> None:
        """Take results of its oldest firing, which goes on."""
        for result, start, stop in answer.results:
            if result:
                self.elsewhere.send(parts_of(result, self.elsewhere), start, stop)

    def _send(self, result: list[Any], answer: FiringEnded, clock: RootClock) -> None:
        parts = parts_of(result, self.elsewhere) if result else None
        if parts is not None:
            start, stop = answer.start, answer.stop
            if self.grid is not None and self.elsewhere.sq.stamp == "body":
                start = clock.at((answer.begun + answer.ended) // 2) - self.grid.width // 2
                stop = start + self.grid.width
            self.elsewhere.send(parts, start, stop)
        self.costs.add(answer.ended - answer.begun, sizes(parts) if self.costs.wanted else ())

    def firings_lost(self, clock: RootClock) -> None:
        """Its worker died: the firings under way will not end."""
        if self.timed_out and self.in_flight and self.began is not None:
            _, start, stop, _ = self.in_flight.popleft()
            self.elsewhere.report(overran(self.elsewhere.sq, self.context.prepared, start, stop))
            if self.elsewhere.fired is not None:
                self.elsewhere.fired(start, stop, clock.at(self.began), clock.now(), "failed")
            self.elsewhere.done()
        self.began, self.timed_out = None, False
        for _ in self.in_flight:
            self.elsewhere.tally("lost")
            self.elsewhere.done()
        self.in_flight.clear()
        self.held, self.leaves_out = 0, False

    def give_up(self, why: str, ensemble: str, sq_state: bytes | None) -> None:
        """Its worker is not replaced: its firings fail from now on, and its `sq_state` stays as it was last saved."""
        self.given_up, self.recent = why, float("inf")  # so slow that it joins no region
        self.fails(why, ensemble)
        while self.saved:
            self.state_came(SavedState(self.ident, sq_state, []))

    def fails(self, why: str, ensemble: str) -> None:
        """Report that it does not run."""
        sq = self.elsewhere.sq
        self.elsewhere.report(FiringError(sq.name, ensemble, None, None, "", sq.line, why))

    def state_came(self, answer: SavedState) -> None:
        """Take the answer to its oldest save."""
        self.saved.popleft()(self.context, self.elsewhere.sq.name, answer.sq_state, answer.left_out)
        if self.ended is not None:
            self.ended()

    def _took(self, time: int) -> None:
        """Its body ran by itself, for so many microseconds."""
        if self.recent is None:
            self.recent = time
        else:
            self.recent += (time - self.recent) / (4 if time > self.recent else 2)  # the first run is mostly dear
