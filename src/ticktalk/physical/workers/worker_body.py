"""What the timekeeper knows of one body that runs in a worker: what is under way in it, and what it costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ticktalk.engine.context import Context, Elsewhere
from ticktalk.engine.firing import GridSync
from ticktalk.engine.meter import BodyCosts

TakeState = Callable[[Context, str, bytes | None, list[str]], None]
"""`(context, sq, sq_state, left_out)`: takes an instance's `sq_state` as MessagePack, and what of it has no codec."""


class WorkerBody:
    """A body that runs in a worker.

    Args:
        ident: the number by which its worker knows it.
        worker: the name of its worker.
        context: the context that it belongs to.
        elsewhere: what takes its results, errors and counts.
        grid: its sync, if it is a source.
    """

    __slots__ = (
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
        "stamp",
        "told",
        "worker",
    )

    def __init__(self, ident: int, worker: str, context: Context, elsewhere: Elsewhere, grid: GridSync | None) -> None:
        self.ident = ident
        self.worker = worker
        self.context = context
        self.elsewhere = elsewhere
        self.grid = grid
        self.in_flight: deque[int | None] = deque()  # the instants (monotonic) of firings under way, oldest first
        self.stamp = elsewhere.sq.stamp == "body"
        self.lateness: list[int] = []
        self.gone = False  # its instance here has ended
        self.told = False  # its worker knows of it
        self.saved: deque[TakeState] = deque()  # who asked for its `sq_state`, oldest first
        self.costs = BodyCosts()
        self.recent: float | None = None  # microseconds of its latest runs by themselves, on average
        self.ended: Callable[[], None] | None = None  # called when a firing or a save of it has ended

    def late(self, late: int) -> None:
        """Its body started so many microseconds after its instant."""
        if not self.lateness:
            self.lateness = [0, 0, 0]
        self.lateness[0] += 1
        self.lateness[1] += late
        self.lateness[2] = max(self.lateness[2], late)

    def took(self, time: int) -> None:
        """Its body ran by itself, for so many microseconds."""
        if self.recent is None:
            self.recent = time
        else:
            self.recent += (time - self.recent) / (4 if time > self.recent else 2)  # the first run is mostly dear
