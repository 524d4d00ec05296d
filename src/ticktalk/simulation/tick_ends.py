"""Calls at the end of a tick, behind every SQ's turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticktalk.engine.agenda import Agenda, Turn

LAST = 1 << 80
"""A place in the order of a tick behind every SQ's."""


class Ends(Turn):
    """Calls at the ends of ticks; they end with the simulation, as soon as nothing else is due.

    Args:
        agenda: the simulation's.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.key = (LAST, self)
        self.queued = False
        self._agenda = agenda
        self._calls: dict[int, list[tuple[Callable[[Any], None], Any]]] = {}

    def add(self, tick: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call `call(argument)` at the end of a root tick."""
        calls = self._calls.setdefault(tick, [])
        calls.append((call, argument))
        if len(calls) == 1:
            self._agenda.at(tick, self)

    def step(self, now: int) -> None:
        """Make the calls that are due."""
        goes_on = not self._agenda.nothing_but(self)
        for tick in [tick for tick in self._calls if tick <= now]:
            for call, argument in self._calls.pop(tick):
                call(argument)
        if not goes_on:
            self._calls.clear()
