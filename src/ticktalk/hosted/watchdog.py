"""Sees which firings have run for long. It costs nothing where firings take their time and no more.

Now and then it looks at the oldest firing under way of each body. One that is still there at a later look has run, or
has waited for its turn, at least since the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ticktalk.durations import duration_text
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import FiringError, StopGraph
from ticktalk.time import Tick

LONG = 5_000_000
"""Root ticks from which on a firing is told: bodies that learn or load take some."""


class OpenFiring(NamedTuple):
    """The oldest firing of a body that has not ended.

    Attributes:
        mark: this very object as long as it is this firing.
        start, stop: its interval; None: several SQs run together.
    """

    mark: object
    start: Tick | None
    stop: Tick | None


class Watchdog:
    """Watches the bodies of one ensemble. All times are root ticks."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], dict[str, tuple[object, int]]] = {}

    def look(
        self, context: tuple[str, int], under_way: Mapping[str, OpenFiring], now: int
    ) -> dict[str, tuple[Tick | None, Tick | None, int]]:
        """The firings of a context that have run for long, the longest first: SQ to interval and ticks.

        Args:
            context: graph and number.
            under_way: SQ to its oldest firing; only of those that run or wait to.
            now: the present tick.
        """
        before = self._since.get(context, {})
        since: dict[str, tuple[object, int]] = {}
        for sq, firing in under_way.items():
            mark, seen = before.get(sq, (None, now))
            since[sq] = (firing.mark, seen if mark is firing.mark else now)
        self._since[context] = since
        long = sorted((seen, sq) for sq, (_, seen) in since.items() if now - seen >= LONG)
        return {sq: (under_way[sq].start, under_way[sq].stop, now - seen) for seen, sq in long}

    def forget(self, stop: StopGraph) -> None:
        """Contexts have ended."""
        self._since = {context: since for context, since in self._since.items() if not stop.ends(context)}


def overran(sq: TTSQ, prepared: PreparedGraph, start: Tick, stop: Tick) -> FiringError:
    """The error of a firing that took longer than `TTTimeout` permits, on an interval of root ticks."""
    begin, end = (int(tick) if abs(tick) != float("inf") else None for tick in (start, stop))
    what = f"TTTimeout: its body had not ended after {duration_text(sq.timeout)}, so it was ended with its worker"
    return FiringError(sq.name, prepared.here, begin, end, sq.file or prepared.graph.file, sq.line, what)
