"""Firing at the instants of a grid: a `@STREAMify` SQ is driven by time, within the window that its inputs leave."""

from __future__ import annotations

from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import TTSQSync, loaded, values_of
from ticktalk.engine.lateness import lateness
from ticktalk.engine.matching import Waiting
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import Period, instant_after, last_instant

MANY = 100
"""Periods by which a stream may be behind and still count each skipped instant by itself."""


class GridSync(TTSQSync):
    """A grid of instants (`@STREAMify`): all inputs are sticky, their intersection is the window (start, end].

    `fire`'s interval is the data's: `width` ticks, `start = instant - width // 2`.

    Attributes:
        every: the period; `period`: the whole ticks of it.
        catch_up: ticks by which an instant may be late and be run all the same (`TTMissed="catch-up"`); 0: not at all.
    """

    kept = (*TTSQSync.kept, "considered", "not_before", "known")
    change: tuple[Period, int, int] | None = None  # the next grid, from after the instant that is due now

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.every = sq.every
        self.period = int(sq.every)
        self.phase = sq.phase
        self.width = sq.width
        # A token that old would not find its partners any more.
        self.catch_up = eviction_bound if sq.missed == "catch-up" else 0
        self.settled: list[Waiting | None] = [None] * len(self.arc_ports)
        self.values: tuple[Any, ...] = ()  # of the settled tokens, as `fire` takes them
        self.window_start: Tick = INFINITY
        self.end: Tick = NEG_INFINITY
        self.last: Tick = INFINITY  # no instant is due after this tick, with any window
        self.considered: Tick = NEG_INFINITY  # the last instant that fired or was counted as skipped
        self.known: Tick = NEG_INFINITY  # when the window was
        self.not_before: Tick | None = None  # set by the first firing
        self.instant: int | None = None  # the next one due

    def step(self, now: int) -> None:
        if self.inbox or self.remote:
            for port, start, stop, value in self._arrived():
                self.settled[self.slot[port]] = (start, 0, stop, value)
            self._open_window(now)
        instant, turns = self.instant, MANY
        while instant is not None and instant <= now and turns:
            late = now - instant
            if late and late > max(MANY * max(self.period, self.width), self.catch_up) and not self.sq.first_delay:
                past = now - self._reach
                self._skip_between(instant - 1, min(past, self.end))
                self.next_after(max(past, instant - 1))
            else:
                self._due(instant, now)
                if self.catch_up:
                    turns -= 1
            instant = self.instant
        if not turns and instant is not None and instant <= now:
            self.agenda.at(now + 1, self)  # others have their turns in between
        if self.change is not None:
            self.set_grid(*self.change, now)

    def _open_window(self, now: int) -> None:
        if not self._settle():
            return
        self.known = now
        passed = max(self.window_start, self.considered)
        if self.not_before is not None:
            passed = max(passed, self.not_before)
        after: Tick = now
        if passed != NEG_INFINITY:
            after = max(now - self.catch_up, passed)
            self._skip_between(passed, min(after, self.end))
        self.next_after(after)

    def _settle(self) -> bool:
        """Take the window from the tokens that are there; whether there is one."""
        settled = [token for token in self.settled if token is not None]
        if len(settled) < len(self.settled):
            return False
        self.values = values_of(settled, self.full)
        self.window_start = max(token[0] for token in settled)
        self.end = min(self.last, *[token[2] for token in settled])
        if not self.window_start < self.end:
            self.instant = None
            return False
        if self.end == INFINITY:
            self.agenda.on_endless(self.sq.name)
        return True

    def _skip_between(self, after: Tick, upto: Tick) -> None:
        """Count the instants in (after, upto] as skipped."""
        if upto > after:
            last, first = (last_instant(int(tick), self.every, self.phase) for tick in (upto, after))
            self.counters.add(self.sq.name, "skipped", last - first)
            self.considered = upto

    def next_after(self, tick: Tick) -> None:
        """Make the first instant later than `tick` the next one due, if the window holds it."""
        if self.not_before is not None and tick < self.not_before:
            tick = self.not_before
        if tick == INFINITY:
            self.instant = None
            return
        instant = instant_after(int(tick), self.every, self.phase)
        if instant > self.end:
            self.instant = None
        elif instant != self.instant:
            self.instant = instant
            if instant > self.agenda.now:
                self.agenda.at(instant, self)

    def following(self, instant: int) -> int:
        """The instant after another."""
        period = self.every
        return instant + period if isinstance(period, int) else instant_after(instant, period, self.phase)

    def limit(self, instant: int) -> int:
        """The tick from which on the body cannot start for an instant any more."""
        return max(self.following(instant), instant + self.catch_up)

    @property
    def _reach(self) -> int:
        """The ticks by which an instant may be past and still be run, at most."""
        return self.catch_up or 2 * max(self.period, self.width)

    def _due(self, instant: int, now: int) -> None:
        self.considered = instant
        start = instant - self.width // 2
        stop = start + self.width
        every = self.every
        following = instant + every if isinstance(every, int) else self.following(instant)
        limit = max(following, instant + self.catch_up) if self.catch_up else following
        if self.sq.first_delay:
            if self.not_before is None and (now < stop or now < limit):
                self.not_before = instant + self.sq.first_delay
            self.instant = None
            self.next_after(instant)
        elif following > self.end:
            self.instant = None
        else:
            self.instant = following
            if following > now:
                self.agenda.at(following, self)
        late = lateness(now, stop, limit) if now >= stop else None
        if late is not None:
            self.counters.add(self.sq.name, late)
            if late == "skipped":
                return
        self.fire(start, stop, self.values, now)

    @property
    def pending(self) -> bool:
        return self.instant is not None

    def close(self) -> None:
        super().close()
        self.instant, self.window_start = None, INFINITY

    def end_before(self, tick: int) -> None:
        """Let no instant at `tick` or later be due."""
        self.last = tick - 1
        self.end = min(self.end, self.last)
        if self.instant is not None and self.instant > self.end:
            self.instant = None

    def set_grid(self, period: Period, phase: int, width: int, now: int) -> None:
        """Change period, phase and interval width (root ticks) for the instants later than `now`."""
        self.change = None
        if (period, phase, width) == (self.every, self.phase, self.width):
            return
        if self.instant is not None and self.instant <= now:
            self.change = period, phase, width  # that one is still to have its turn
            return
        self.every, self.period, self.phase, self.width = period, int(period), phase, width
        if self.window_start < self.end:
            self.instant = None
            self.next_after(max(now, self.considered, self.window_start))
            if self.instant is not None and self.instant <= self.agenda.now:
                self.agenda.make_ready(self)

    def save(self, saver: Saver) -> dict[str, Any]:
        saved = super().save(saver)
        saved["settled"] = [
            None if token is None else self._saved(slot, token, saver) for slot, token in enumerate(self.settled)
        ]
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        self.settled = [None if token is None else loaded(token[1:], load) for token in saved["settled"]]
        super().restore(saved, load, now)
        if self._settle():
            # Instants that passed meanwhile are skipped, except the last ones: they may still start late.
            passed = max(self.window_start, self.considered, self.not_before or NEG_INFINITY)
            if not self.catch_up or passed == NEG_INFINITY:
                passed = max(passed, self.known)
            past = now - self._reach
            self._skip_between(passed, min(past, self.end))
            self.next_after(max(passed, past))
