"""The root clock of a device: UTC in microseconds, kept near the manager's clock; it goes back only where it is set.

`RootClock` is the clock. `ClockDiscipline` decides on corrections from exchanges with the manager; its input is the
four stamps of each exchange.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from ticktalk.defaults import CLOCK_STEP

SLEW_PPM = 500
"""The rate of slewing, in microseconds per second: so slow that no interval shows it."""

STEP_LIMIT = 1_000_000
"""Microseconds of offset beyond which slewing is given up and the clock is stepped once more."""

SAMPLES = 16
"""Exchanges that are kept; the one with the shortest round trip counts."""


def monotonic_us() -> int:
    """This host's monotonic clock, the same in all its processes, in microseconds."""
    return time.monotonic_ns() // 1000


def thread_us() -> int:
    """The processor time that the thread which asks has used, in microseconds."""
    return time.thread_time_ns() // 1000


class RootClock:
    """Maps this host's monotonic clock to root ticks; goes back only by a `step`.

    Attributes:
        offset: root ticks minus monotonic microseconds.
    """

    __slots__ = ("_last", "_slew_left", "_slewed_at", "offset")

    def __init__(self) -> None:
        self.offset = time.time_ns() // 1000 - monotonic_us()
        self._slew_left = 0  # microseconds still to be added, little by little
        self._slewed_at = monotonic_us()
        self._last = 0

    def now(self) -> int:
        """The present root tick."""
        now = time.monotonic_ns() // 1000 + self.offset  # without a further call: this is asked for many times a token
        if now < self._last:
            return self._last
        self._last = now
        return now

    def at(self, monotonic: int) -> int:
        """The root tick at a monotonic reading."""
        return monotonic + self.offset

    def monotonic(self, tick: int) -> int:
        """The monotonic reading at a root tick."""
        return tick - self.offset

    def step(self, by: int) -> None:
        """Move the clock at once, perhaps back; a slew under way is given up."""
        self.offset += by
        self._slew_left = 0
        if by < 0:
            self._last = 0

    def slew(self, by: int) -> None:
        """Move the clock by `by` microseconds, at `SLEW_PPM`."""
        self._slew_left = by

    def tend(self, monotonic: int) -> None:
        """Apply the part of a slew that is due; called a few times a second."""
        passed = monotonic - self._slewed_at
        self._slewed_at = monotonic
        if self._slew_left:
            most = max(1, passed * SLEW_PPM // 1_000_000)
            part = max(-most, min(most, self._slew_left))
            self.offset += part
            self._slew_left -= part


class Exchange(NamedTuple):
    """The four stamps of one exchange with the manager (microseconds), each by the reader's own clock."""

    asked: int  # this clock
    received: int  # the manager's
    answered: int  # the manager's
    returned: int  # this clock

    @property
    def offset(self) -> int:
        """Microseconds by which the manager's clock is ahead, if both ways took equally long."""
        return ((self.received - self.asked) + (self.answered - self.returned)) // 2

    @property
    def round_trip(self) -> int:
        """Microseconds that both ways took together."""
        return (self.returned - self.asked) - (self.answered - self.received)


class ClockDiscipline:
    """Offset and uncertainty of this clock against the manager's, from exchanges.

    Args:
        follow: whether to correct the clock; False on the manager's own host or with PTP, where it is only watched.
    """

    def __init__(self, follow: bool = True) -> None:
        self.follow = follow
        self.joined = False
        self._exchanges: deque[Exchange] = deque(maxlen=SAMPLES)
        self.offset = 0
        self.uncertainty = 0

    def take(self, exchange: Exchange) -> tuple[str, int]:
        """The correction after an exchange: `("step" | "slew" | "nothing" | "refused", microseconds)`.

        "refused": it would step the clock of an ensemble that has joined by more than `CLOCK_STEP`. No clock drifts so
        far between two heartbeats, and its streams would stand still, or run through all that time at once.
        """
        if self.follow and self.joined and abs(exchange.offset) > CLOCK_STEP:
            return "refused", exchange.offset
        self._exchanges.append(exchange)
        best = min(self._exchanges, key=lambda e: e.round_trip)
        self.offset = best.offset
        self.uncertainty = max(0, best.round_trip) // 2
        if not self.follow:
            return "nothing", 0
        # An exchange that was long under way may be wrong by half of that, so it proves no such offset.
        if not self.joined or abs(self.offset) > max(STEP_LIMIT, 2 * self.uncertainty):
            self.joined = True
            self._exchanges.clear()
            by, self.offset = self.offset, 0
            return "step", by
        if abs(self.offset) <= self.uncertainty // 4:
            return "nothing", 0
        # Exchanges from before this correction would ask for it again.
        self._exchanges.clear()
        return "slew", self.offset
