"""Durations as people write them: a number and a unit, for the command line and the files that people write."""

from __future__ import annotations

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
"""The microseconds of each unit."""


def duration_text(us: int) -> str:
    """A duration as it is written: in seconds or milliseconds where that needs no decimals, else in microseconds."""
    for unit in ("s", "ms"):
        if us and us % UNITS[unit] == 0:
            return f"{us // UNITS[unit]}{unit}"
    return f"{us}us"
