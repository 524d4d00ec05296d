"""The rule by which a worker that dies is replaced, and at last given up; it is told the time."""

from __future__ import annotations

LIVED = 10_000_000
"""Microseconds: a worker that dies sooner than this after its start counts as one more failure in a row."""

PAUSE = 100_000
"""Microseconds before the second replacement in a row; each further one waits twice as long. The first waits for
nothing: a single death is an accident."""

LONGEST = 5_000_000
"""Microseconds that a replacement waits at most."""

LIMIT = 10
"""Deaths in a row after which a worker is given up: it would take time from others for ever."""


class Restarts:
    """The deaths of one worker. Times are of a monotonic clock, in microseconds."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self._started = 0

    def started(self, now: int) -> None:
        """It has been started, or replaced."""
        self._started = now

    def died(self, now: int) -> int | None:
        """It has died: for how long to wait before it is replaced; None: not at all."""
        self.in_a_row = self.in_a_row + 1 if now - self._started < LIVED else 1
        if self.in_a_row >= LIMIT:
            return None
        return 0 if self.in_a_row == 1 else min(LONGEST, PAUSE << (self.in_a_row - 2))
