"""A body in a worker, as the timekeeper sees it: the firings and saves under way in it, and what it costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ticktalk.engine.context import Context
from ticktalk.engine.firing import GridSync
from ticktalk.engine.firing_chain import Elsewhere, outcome_of
from ticktalk.hosted.meter import BodyCosts
from ticktalk.physical.timekeeping.root_clock import RootClock
from ticktalk.physical.workers.protocol import Failed, Fired, NewInstance, SavedState, Skipped
from ticktalk.physical.workers.results import parts_of, sizes
from ticktalk.time import Tick

TakeState = Callable[[Context, str, bytes | None, list[str]], None]
"""`(context, sq, sq_state, left_out)`: takes an instance's `sq_state` as MessagePack, and the names without a codec."""


class WorkerBody:
    """A body that runs in a worker.

    Args:
        ident: the number by which its worker knows it.
        worker: the name of its worker.
        context: the context that it belongs to.
        elsewhere: takes its results, errors and counts.
        grid: its sync, if it is a source.

    Attributes:
        in_flight: the firings under way, oldest first: instant (monotonic; None: it is no source), interval.
        saved: the requesters of its `sq_state`, oldest first.
        begun: its worker has made it.
        gone: its instance here has ended.
        lateness: count, sum and maximum of the microseconds from its instants to its starts; empty: none yet.
        costs: samples of its runs.
        recent: microseconds of its latest runs by themselves, on average; None: not measured.
        ended: called when a firing or a save of it has ended.
    """

    __slots__ = (
        "begun",
        "context",
        "costs",
        "elsewhere",
        "ended",
        "gone",
        "grid",
        "ident",
        "in_flight",
        "lateness",
        "recent",
        "saved",
        "worker",
    )

    def __init__(self, ident: int, worker: str, context: Context, elsewhere: Elsewhere, grid: GridSync | None) -> None:
        self.ident = ident
        self.worker = worker
        self.context = context
        self.elsewhere = elsewhere
        self.grid = grid
        self.in_flight: deque[tuple[int | None, Tick, Tick]] = deque()
        self.saved: deque[TakeState] = deque()
        self.begun = False
        self.gone = False
        self.lateness: list[int] = []
        self.costs = BodyCosts()
        self.recent: float | None = None
        self.ended: Callable[[], None] | None = None

    def as_new(self) -> NewInstance:
        """What its worker has to know."""
        return NewInstance(self.ident, self.elsewhere.sq.name, self.elsewhere.paths, self.elsewhere.unpack)

    def late(self, late: int) -> None:
        """Its body started so many microseconds after its instant."""
        if not self.lateness:
            self.lateness = [0, 0, 0]
        self.lateness[0] += 1
        self.lateness[1] += late
        self.lateness[2] = max(self.lateness[2], late)

    def firing_ended(self, answer: Fired | Failed | Skipped, clock: RootClock) -> None:
        """Take the answer to its oldest firing."""
        elsewhere = self.elsewhere
        instant, first, last = self.in_flight.popleft() if self.in_flight else (None, 0, 0)
        if isinstance(answer, Skipped):
            elsewhere.tally("skipped")
        else:
            begun, ended = answer.begun, answer.ended
            self._took(ended - begun)
            parts = None
            if answer.late:
                elsewhere.tally("late_starts")
            if isinstance(answer, Failed):
                elsewhere.report(answer.error)
            else:
                if answer.result:
                    parts = parts_of(answer.result, elsewhere)
                if parts is not None:
                    start, stop = answer.start, answer.stop
                    if self.grid is not None and elsewhere.sq.stamp == "body":
                        start = clock.at((begun + ended) // 2) - self.grid.width // 2
                        stop = start + self.grid.width
                    elsewhere.send(parts, start, stop)
                if instant is not None:
                    self.late(begun - instant)
                self.costs.add(ended - begun, sizes(parts) if self.costs.wanted else ())
            if elsewhere.fired is not None:
                outcome = outcome_of(isinstance(answer, Failed), parts is not None)
                elsewhere.fired(first, last, clock.at(begun), clock.at(ended), outcome)
        elsewhere.done()
        if self.ended is not None:
            self.ended()

    def firings_lost(self) -> None:
        """Its worker died: the firings under way will not end."""
        for _ in self.in_flight:
            self.elsewhere.tally("lost")
            self.elsewhere.done()
        self.in_flight.clear()

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
