"""The timers of an ensemble or a simulation, and the order of turns at one tick.

The agenda is given the time; it never asks for it. In simulation all ensembles share one, so that one tick
runs in graph order across them; on a device each ensemble has its own. At one tick:

1. tokens of other ensembles arrive, in the order sent;
2. timers make their SQs ready;
3. ready SQs take their turn by rank, then source order (`order`). Tokens of this tick come from lower ranks, so they
   are there before the SQ matches.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Protocol


class ReadyItem(Protocol):
    """A thing that can become ready: `key` is `(order, self)` with an order unique in its agenda."""

    key: tuple[Any, Any]
    queued: bool

    def step(self, now: int) -> None:
        """Consider the tokens that arrived, and the instants or deadlines that are due, at root tick `now`."""


class Agenda:
    """Timers, messages under way, and the SQs that are ready; all times in root ticks."""

    __slots__ = ("_arrivals", "_due", "_ticks", "ahead", "now", "on_endless", "ready")

    def __init__(self, now: int = 0) -> None:
        self.now = now
        self.ready: list[tuple[Any, Any]] = []
        # `(tick, limit)`: does what is due from `tick` on, but before `limit`; False: nothing of it.
        self.ahead: Callable[[int, float], bool] | None = None
        # Told the name of a stream whose window has no end.
        self.on_endless: Callable[[str], None] = lambda stream: None
        self._ticks: list[int] = []
        self._due: dict[int, list[ReadyItem]] = {}
        self._arrivals: dict[int, list[tuple[Callable[..., None], tuple[Any, ...]]]] = {}

    def next_tick(self) -> int | None:
        """The next tick at which something is due, or None."""
        return self._ticks[0] if self._ticks else None

    def at(self, tick: int, turn: ReadyItem) -> None:
        """Let `turn` step at `tick`, which is not past."""
        due = self._due.get(tick)
        if due is None:
            self._due[tick] = [turn]
            heappush(self._ticks, tick)
        else:
            due.append(turn)

    def nothing_but(self, turn: ReadyItem) -> bool:
        """True if nothing is due but `turn`."""
        due = all(other is turn for turns in self._due.values() for other in turns)
        return due and not self._arrivals and not self.ready

    def deliver_at(self, tick: int, deliver: Callable[..., None], *message: Any) -> None:
        """Call `deliver(*message)` at `tick`, before anything else of that tick, in the order of these calls."""
        arrivals = self._arrivals.get(tick)
        if arrivals is None:
            self._arrivals[tick] = [(deliver, message)]
            if tick not in self._due:
                self._due[tick] = []
                heappush(self._ticks, tick)
        else:
            arrivals.append((deliver, message))

    def make_ready(self, turn: ReadyItem) -> None:
        """Let `turn` step at the present tick, in graph order."""
        if not turn.queued:
            turn.queued = True
            heappush(self.ready, turn.key)

    def withdraw(self, turn: ReadyItem) -> None:
        """Take back `make_ready`."""
        if turn.queued:
            self.ready[:] = [entry for entry in self.ready if entry[1] is not turn]
            heapify(self.ready)
            turn.queued = False

    def cancel(self, tick: int, turn: ReadyItem) -> None:
        """Let `turn` not step at `tick` after all."""
        due = self._due.get(tick)
        if due is not None and turn in due:
            due.remove(turn)

    def take_out(self, turns: Callable[[ReadyItem], bool], messages: Callable[..., bool]) -> None:
        """Drop the timers of some turns, and the messages under way for which `messages(deliver, message)` is true."""
        for tick, due in list(self._due.items()):
            self._due[tick] = [turn for turn in due if not turns(turn)]
            kept = [entry for entry in self._arrivals.pop(tick, ()) if not messages(*entry)]
            if kept:
                self._arrivals[tick] = kept
            elif not self._due[tick]:
                del self._due[tick]
        self._ticks[:] = self._due
        heapify(self._ticks)

    def run_tick(self, tick: int) -> None:
        """Do all that is due at `tick`, the earliest of the agenda."""
        self.now = tick
        heappop(self._ticks)
        ready = self.ready
        if self._arrivals:
            self._deliver(tick)
        due = self._due.pop(tick, ())
        if not ready and len(due) == 1:
            if not due[0].queued:  # else it is held
                due[0].step(tick)  # no other could have the first turn
        else:
            for turn in due:
                if not turn.queued:
                    turn.queued = True
                    heappush(ready, turn.key)
        while ready:
            turn = heappop(ready)[1]
            turn.queued = False
            turn.step(tick)

    def _deliver(self, tick: int) -> None:
        """Deliver the messages of a tick, also those that others of them add."""
        while (messages := self._arrivals.pop(tick, None)) is not None:
            for deliver, message in messages:
                deliver(*message)

    def run_while(self, peek: Callable[[], float]) -> None:
        """Do all that is due before the tick of `peek`; it is asked anew each time."""
        ticks = self._ticks
        while ticks:
            tick, limit = ticks[0], peek()
            if tick >= limit:
                return
            if self.ahead is None or not self.ahead(tick, limit):
                self.run_tick(tick)

    def run_until(self, now: int) -> None:
        """Let all turns be taken that are ready or due up to and with `now` (real time)."""
        if self.ready:
            self.run_ready(now)
        else:
            self.now = now
        ticks = self._ticks
        while ticks and ticks[0] <= now:
            tick = heappop(ticks)
            if self._arrivals:
                self._deliver(tick)
            for turn in self._due.pop(tick):
                self.make_ready(turn)
            self.run_ready(now)

    def run_ready(self, now: int) -> None:
        """Let the ready SQs take their turns at `now`."""
        self.now = now
        ready = self.ready
        while ready:
            turn = heappop(ready)[1]
            turn.queued = False
            turn.step(now)
