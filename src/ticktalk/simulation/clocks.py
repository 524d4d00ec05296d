"""Root clocks that are wrong, in simulation: by an offset, a drift, a step.

An ensemble with such a clock has an agenda of its own, as a device has (`ClockedAgenda`): its timers, deadlines and
late starts go by its clock. The clock says when its next timer is due in the time of the simulation, whose agenda wakes
it then. All turns of one tick of the simulation still go in the order of the graph.

As on a device, a clock never goes back. After a step back it stands still until it is right again.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from heapq import heappop, heappush
from typing import Any

from ticktalk.engine.agenda import Agenda, ReadyItem


class WrongClock:
    """The root clock of an ensemble; root ticks.

    Args:
        now: the present tick of the simulation.
        offset: ticks by which the clock is ahead.
        drift: ticks by which it gets further ahead, in a million.
    """

    def __init__(self, now: int, offset: int = 0, drift: Fraction = Fraction(0)) -> None:
        self.drift = drift
        self._since = now  # the tick of the simulation from which on
        self._then = now + offset  # it shows this, and drifts
        self._shown = min(now, now + offset)  # not before that
        self.agendas: list[ClockedAgenda] = []

    def read(self, tick: int) -> int:
        """The time that the clock shows at a tick of the simulation."""
        return max(self._shown, self._true(tick))

    def when(self, shown: int) -> int:
        """The first tick of the simulation, from its last change on, at which the clock shows so much."""
        if shown <= self._shown:  # it was set back, and stands still
            return self._since
        if not self.drift:
            return self._since + max(0, shown - self._then)
        tick = self._since + max(0, int((shown - self._then) / (1 + self.drift / 1_000_000)) - 1)
        while self._true(tick) < shown:
            tick += 1
        return tick

    def set(self, now: int, step: int, drift: Fraction, seen: bool = True) -> None:
        """Let the clock jump by `step` at a tick of the simulation, and drift from then on.

        Without `seen`, nothing has looked at it so far, so it may go back.
        """
        shown, then = self.read(now), self._true(now) + step
        self._since, self._then, self.drift = now, then, drift
        self._shown = shown if seen else min(now, then)
        for agenda in self.agendas:
            agenda.set_out()

    def _true(self, tick: int) -> int:
        passed = tick - self._since
        return self._then + passed + (passed * self.drift.numerator) // (self.drift.denominator * 1_000_000)


class ClockedAgenda(Agenda):
    """The agenda of an ensemble whose clock is wrong; its ticks are those that the clock shows.

    Args:
        shared: the agenda of the simulation.
        clock: the ensemble's.
    """

    __slots__ = ("_catching_up", "_shared", "_wakes_at", "clock")

    def __init__(self, shared: Agenda, clock: WrongClock) -> None:
        self._shared, self.clock = shared, clock
        self._catching_up: int | None = None  # a tick that the clock showed before the simulation began
        self._wakes_at: int | None = None  # the tick of the simulation at which it is woken next
        super().__init__()
        clock.agendas.append(self)

    @property
    def now(self) -> int:
        """The time that the clock shows."""
        return self.clock.read(self._shared.now) if self._catching_up is None else self._catching_up

    @now.setter
    def now(self, tick: int) -> None:
        """The clock says the time."""

    def at(self, tick: int, turn: ReadyItem) -> None:
        super().at(tick, turn)
        self.set_out()

    def deliver_at(self, tick: int, deliver: Callable[..., None], *message: Any) -> None:
        super().deliver_at(tick, deliver, *message)
        self.set_out()

    def deliver_after(self, ticks: int, deliver: Callable[..., None], *message: Any) -> None:
        """Call `deliver(*message)` so many ticks of the simulation later, whatever the clock shows then."""

        def bring() -> None:
            deliver(*message)
            self._line_up()

        self._shared.deliver_at(self._shared.now + ticks, bring)

    def make_ready(self, turn: ReadyItem) -> None:
        super().make_ready(turn)
        self._line_up()

    def begin(self, tick: int, call: Callable[[], None]) -> None:
        """Call `call` when the clock shows `tick`. If it shows more, all that was due since is done at once.

        A system is given its starts ahead. So an ensemble whose clock is ahead begins before the simulation does. A
        tick that is past there, too, is that of a start before this ensemble took part.
        """
        if self.now < tick:
            self.deliver_at(tick, call)
        elif tick < self._shared.now:
            call()
        else:
            self._catching_up = tick
            call()
            self._first(self._catch_up)

    def set_out(self) -> None:
        """See that the agenda is woken when its next tick is due."""
        if self._ticks and self._catching_up is None:
            now, tick = self._shared.now, self.clock.when(self._ticks[0])
            if tick <= now:
                self._first(self._wake)
            elif self._wakes_at is None or not now < self._wakes_at <= tick:
                self._wakes_at = tick
                self._shared.deliver_at(tick, self._wake)

    def _wake(self) -> None:
        self._wakes_at = None
        now = self.now
        while self._ticks and self._ticks[0] <= now:
            self._begin_tick()
        self._line_up()
        self.set_out()

    def _begin_tick(self) -> None:
        tick = heappop(self._ticks)
        for deliver, message in self._arrivals.pop(tick, ()):
            deliver(*message)
        for turn in self._due.pop(tick, ()):
            super().make_ready(turn)

    def _catch_up(self) -> None:
        """Do what was due from the begin on, tick by tick, up to what the clock shows."""
        now = self.clock.read(self._shared.now)
        while self._catching_up is not None:
            while self.ready:
                self._take_turn()
            self._catching_up = self._ticks[0] if self._ticks and self._ticks[0] <= now else None
            if self._catching_up is not None:
                self._begin_tick()
        self.set_out()

    def _take_turn(self) -> None:
        turn = heappop(self.ready)[1]
        turn.queued = False
        turn.step(self.now)

    def _line_up(self) -> None:
        """Give the first that is ready its place among all turns of the simulation at this tick."""
        if self.ready:
            order, turn = self.ready[0]

            def take() -> None:
                if self.ready and self.ready[0][0] <= order:  # else it has had its turn, or waits no more
                    self._take_turn()
                    self._line_up()

            heappush(self._shared.ready, _Place(order, turn.made, take).key)

    def _first(self, call: Callable[[], None]) -> None:
        """Call before all turns of the present tick."""
        heappush(self._shared.ready, _Place(-1, 0, call).key)


class _Place:
    """A place among the turns of the simulation; between equal ones, what was made first is first."""

    def __init__(self, order: Any, made: Any, call: Callable[[], None]) -> None:
        self.key = (order, self)
        self.queued = True
        self.made = made
        self._call = call

    def __lt__(self, other: Any) -> bool:
        return bool(self.made < other.made)

    def step(self, now: int) -> None:
        self._call()
