"""Time-intervals: half-open ranges of a clock's ticks, possibly infinite at an end."""

from __future__ import annotations

import math
from typing import Any

from ticktalk.time.clock import ROOT, Immutable, Tick, TTClock, whole_tick

INFINITY = math.inf
NEG_INFINITY = -math.inf


class TTTime(Immutable):
    """The interval [start_tick, stop_tick) of `clock`: at least one tick, or infinite at an end.

    Args:
        clock: the clock whose ticks are meant.
        start_tick: the first tick; `-math.inf` (or None) for none.
        stop_tick: the tick after the last; `math.inf` (or None) for none.

    Raises:
        ValueError: the interval would be empty, or an end is neither whole nor infinite.

    Intervals are immutable. Those of two clocks meet on the clocks' nearest common ancestor.
    """

    __slots__ = ("clock", "start_tick", "stop_tick")

    clock: TTClock
    start_tick: Tick
    stop_tick: Tick

    def __init__(self, clock: TTClock, start_tick: Tick | None, stop_tick: Tick | None) -> None:
        if not isinstance(clock, TTClock):
            raise TypeError(f"a TTTime's first argument is its clock, such as TTClock.root(), not {clock!r}")
        start = NEG_INFINITY if start_tick is None or start_tick == NEG_INFINITY else whole_tick(start_tick)
        stop = INFINITY if stop_tick is None or stop_tick == INFINITY else whole_tick(stop_tick)
        if not start < stop:
            raise ValueError(f"an interval holds at least one tick: [{start}, {stop}) is empty")
        object.__setattr__(self, "clock", clock)
        object.__setattr__(self, "start_tick", start)
        object.__setattr__(self, "stop_tick", stop)

    @classmethod
    def infinite(cls, clock: TTClock = ROOT) -> TTTime:
        """The interval that holds every tick of `clock`."""
        return cls(clock, NEG_INFINITY, INFINITY)

    @property
    def width(self) -> Tick:
        """Ticks of the interval's own clock that it holds; `math.inf` when an end is open."""
        return self.stop_tick - self.start_tick

    @property
    def is_infinite(self) -> bool:
        """True if both ends are open."""
        return self.start_tick == NEG_INFINITY and self.stop_tick == INFINITY

    def on(self, clock: TTClock) -> TTTime:
        """The same stretch of time in ticks of `clock`, an ancestor of this interval's clock."""
        if clock == self.clock:
            return self
        return TTTime(
            clock, self.clock.to_ancestor(self.start_tick, clock), self.clock.to_ancestor(self.stop_tick, clock)
        )

    def intersect(self, other: TTTime) -> TTTime | None:
        """The ticks both hold, on the nearest common ancestor of the clocks; None when there is none."""
        clock = self.clock if self.clock == other.clock else self.clock.common_ancestor(other.clock)
        a, b = self.on(clock), other.on(clock)
        start, stop = max(a.start_tick, b.start_tick), min(a.stop_tick, b.stop_tick)
        return TTTime(clock, start, stop) if start < stop else None

    def overlaps(self, other: TTTime) -> bool:
        """True if the two share at least one tick."""
        return self.intersect(other) is not None

    def shifted(self, ticks: int) -> TTTime:
        """The interval moved by `ticks` of its own clock."""
        ticks = whole_tick(ticks, "a shift")
        return TTTime(self.clock, self.start_tick + ticks, self.stop_tick + ticks)

    def __contains__(self, tick: Tick) -> bool:
        return self.start_tick <= tick < self.stop_tick

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TTTime):
            return NotImplemented
        return (self.start_tick, self.stop_tick, self.clock) == (other.start_tick, other.stop_tick, other.clock)

    def __hash__(self) -> int:
        return hash((self.start_tick, self.stop_tick))

    def __repr__(self) -> str:
        return f"TTTime({self.clock.name}, {self.start_tick}, {self.stop_tick})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (TTTime, (self.clock, self.start_tick, self.stop_tick))
