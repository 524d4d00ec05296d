"""Lines that others can cause again and again: the first ones are told, and the rest is counted. Told the time."""

from __future__ import annotations

FEW = 10
"""Lines of one kind that are told within a span."""

SPAN = 10_000_000
"""Microseconds of a span."""


class Repeats:
    """The lines of one kind. Times are of one clock, in microseconds.

    Args:
        few: lines that are told within a span.
    """

    def __init__(self, few: int = FEW) -> None:
        self._few = few
        self._since: int | None = None  # when the span began; None: there is none
        self._lines = 0

    def may_tell(self, now: int) -> bool:
        """True if the line that has come now is told; else it is counted."""
        if self._since is None or now - self._since >= SPAN:
            self._since, self._lines = now, 0
        self._lines += 1
        return self._lines <= self._few

    def left_out(self, now: int) -> int:
        """The number of lines that were not told in a span that is over; given once."""
        if self._since is None or now - self._since < SPAN:
            return 0
        left_out = max(0, self._lines - self._few)
        self._since = None
        return left_out
