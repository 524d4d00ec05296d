"""The search along one axis: the largest value up to which nothing changes, found by halving and then doubted.

Halving is right where worse is never better. Nobody knows whether that is so. Therefore values below and above the
bound are tried, too. One below it that changes something makes the search begin anew below that.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import NamedTuple

DOUBTS = 6
"""Values that are tried below a bound, and above it."""


class Bound(NamedTuple):
    """The finding along an axis.

    Attributes:
        safe: the largest value up to which all that were tried change nothing.
        differs: the least value found that changes something; None: none up to the end.
        steady: all that were tried above `differs` change something, too, and none below `safe` ever did.
        tried: how many values.
    """

    safe: int
    differs: int | None
    steady: bool
    tried: int


def bound(end: int, resolution: int, chance: Random) -> Generator[list[int], Sequence[bool], Bound]:
    """Search from 0, which is safe, to `end`: yields values to try, and is sent whether each is safe."""
    tried = 1
    (safe,) = yield [end]
    low, high = (end, None) if safe else (0, end)
    steady = True
    while True:
        while high is not None and high - low > resolution:
            tried += 1
            (safe,) = yield [(low + high) // 2]
            low, high = ((low + high) // 2, high) if safe else (low, (low + high) // 2)
        below = sorted({chance.randrange(1, low) for _ in range(DOUBTS)}) if low > 1 else []
        answers = (yield below) if below else []
        tried += len(below)
        bad = [value for value, safe in zip(below, answers, strict=True) if not safe]
        if not bad:
            break
        steady = False
        high = bad[0]
        low = max([value for value in below if value < high], default=0)
    if high is not None and end - high > 1:
        above = sorted({chance.randrange(high + 1, end) for _ in range(DOUBTS)})
        answers = yield above
        tried += len(above)
        steady = steady and not any(answers)
    return Bound(low, high, steady, tried)
