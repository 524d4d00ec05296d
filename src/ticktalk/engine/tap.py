"""The seam to a tap, which takes note of what happens in a context on one ensemble.

A context is given a `Tap`, or None. With None nothing is wrapped, and no firing pays for it. A tap wraps the parts of
each SQ when they are wired (`hosted/tapping.py`). An accelerator that runs SQs together tells it what they did.
All ticks are those of the root clock. A tap is called where time is kept: it takes note, and does nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, Protocol

from ticktalk.counters import Counters
from ticktalk.engine.firing.base import Fire, TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import InstanceState
from ticktalk.records import Noted, Outcome
from ticktalk.time import Tick
from ticktalk.time.grid import Period


def outcome_of(failed: bool, sent: bool) -> Outcome:
    """The outcome of a firing that raised, or sent something, or neither."""
    return "failed" if failed else "sent" if sent else "nothing"


class Arrivals(Protocol):
    """A context, as a tap sees it."""

    def arrive(self, arc: str, value: Any, start: Tick, stop: Tick, without: Collection[str] = ()) -> None:
        """Take a token from another ensemble."""


class Numbers(NamedTuple):
    """The numbers of tokens that were sent on each arc, came on each arc of another ensemble, and reached each SQ."""

    sent: Counter[str]
    came: Counter[str]
    received: Counter[str]


class Tap(Protocol):
    """Takes note of what happens in one context on one ensemble.

    Attributes:
        counters: those of the context.
        numbers: those of its tokens.
        repeats: a period that comes again and again may be noted as one (`records.Repeated`).
        number_on: gives the number of the token that has just come on an arc of another ensemble; None: nobody counts.
    """

    counters: Counters
    numbers: Numbers
    repeats: bool
    number_on: Callable[[str], int] | None

    def watch(self, context: Arrivals) -> None:
        """Take note of what comes to a context from other ensembles."""

    def watch_forward(self, forward: TTSQForward) -> None:
        """Take note of every token that goes along an arc."""

    def watch_sync(self, sync: TTSQSync) -> None:
        """Take note of what a firing rule is given, and of what becomes of it; its parts are wired."""

    def sent(self, sq: str, arc: str, value: Any, start: Tick, stop: Tick) -> None:
        """A token goes along an arc; up to `apart`, what ports get is that token."""

    def came(self, arc: str) -> None:
        """A token of another ensemble has come on an arc; up to `apart`, what ports get is that token."""

    def apart(self) -> None:
        """See `sent` and `came`."""

    def deciding(self, sq: TTSQ, fire: Fire, full: bool) -> Fire:
        """`fire`, preceded by a note of the set that is to fire; `full`: its tokens come with their intervals."""

    def fired(self, sq: str, start: Tick, stop: Tick, began: int, ended: int, outcome: Outcome) -> None:
        """The body of an SQ has run, on a set of interval [start, stop).

        In simulation a body takes no time, unless a deployment file says so. On a device its worker measured when it
        began and ended. A firing that was skipped or lost has no body that ran: counters say how many.
        """

    def taken_together(
        self, sqs: list[str], ports: list[int], arcs: list[str], tokens: list[int], start: Tick, stop: Tick
    ) -> None:
        """Tokens of arcs of other ensembles, with these numbers, have come to the one port of each SQ, and fire."""

    def fired_together(
        self, sqs: list[str], start: Tick, stop: Tick, began: int, ended: int, outcomes: list[Outcome]
    ) -> None:
        """The bodies of SQs have run one after the other, from `began` to `ended`."""

    def grid_set(self, sq: str, period: Period, phase: int, width: int, after: int) -> None:
        """A stream has another grid, for instants later than `after`."""

    def goes_on_late(self, sq: str, late: int, since: int | None) -> None:
        """A stream goes on with its instants from `since` on, and runs those that are at most `late` ticks late."""

    def moved(self, sq: str, here: bool, state: InstanceState | None) -> None:
        """An instance has come here, with its state if it had one, or has left."""

    # For a plan over a common period (`accelerate/noted.py`).

    def twin(self, note: Callable[[Noted], None], now: Callable[[], int]) -> Tap:
        """A tap of copies of the firing rules, whose values are not looked at; it counts on from here."""

    def note(self, record: Noted) -> None:
        """Take note of what has been made a record."""
