"""Calls at the end of a tick, behind every SQ's turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ticktalk.engine.agenda import Agenda, ReadyItem

LAST = 1 << 80
"""A place in the order of a tick behind every SQ's."""


class Ends(ReadyItem):
    """Calls at the ends of ticks. They alone keep no simulation going: they sleep while nothing else is due.

    Args:
        agenda: the simulation's.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.key = (LAST, self)
        self.queued = False
        self._agenda = agenda
        self._calls: dict[int, list[tuple[Callable[[Any], None], Any]]] = {}
        self._asleep = False

    def add(self, tick: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call `call(argument)` at the end of a root tick."""
        calls = self._calls.setdefault(tick, [])
        calls.append((call, argument))
        if len(calls) == 1:
            self._agenda.at(tick, self)

    def step(self, now: int) -> None:
        """Make the calls that are due."""
        # Looked at before the calls, as what they make due may be their own next turn.
        self._asleep = self._agenda.nothing_but(self)
        for tick in [tick for tick in self._calls if tick <= now]:
            for call, argument in self._calls.pop(tick):
                call(argument)
        for tick in self._calls if self._asleep else ():
            if tick > now:  # what came for the end of this tick is its own
                self._agenda.cancel(tick, self)

    def wake(self) -> None:
        """Go on if something else is due again, as a process of the user may have made it; what is overdue is first."""
        if self._asleep and not self._agenda.nothing_but(self):
            self._asleep = False
            for tick in {max(tick, self._agenda.now) for tick in self._calls}:
                self._agenda.at(tick, self)
