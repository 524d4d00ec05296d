"""The search along one axis: the largest value up to which nothing changes, found by halving and then doubted.

A value is tried in several cases: with several seeds, or begun at several moments. It is safe if it is in each of them.
Halving is done in one case only. The others are then tried just below what it found, and it goes on with one of those
that differ there. So one case more is about one run more.

Halving is right where worse is never better. Nobody knows whether that is so. Therefore values below and above the
bound are tried, too. One below it that changes something makes the search begin anew below that.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from random import Random
from typing import NamedTuple

DOUBTS = 6
"""Values that are tried below a bound, and above it."""

DOUBTED = 4
"""Cases, at most, in which each of them is tried; and the end, if it is not safe in one of them."""

Trial = tuple[int, int]
"""A value, and the case in which it is tried, from 0 on."""

Trying = Generator[list[Trial], Sequence[bool], list[Trial]]
"""Yields what to try, is sent whether each is safe, and returns those that are not."""


class Bound(NamedTuple):
    """The finding along an axis.

    Attributes:
        safe: the largest value up to which all that were tried change nothing.
        differs: the least value found that changes something; None: none up to the end.
        case: the first in which it does.
        steady: all that were tried above `differs` change something, too, and none below `safe` ever did.
        tried: how many values.
    """

    safe: int
    differs: int | None
    case: int
    steady: bool
    tried: int


def bound(end: int, cases: int, resolution: int, chance: Random) -> Generator[list[Trial], Sequence[bool], Bound]:
    """Search from 0, which is safe, to `end`: yields what to try, and is sent whether each is safe."""
    values: set[int] = set()

    def bad(trials: list[Trial]) -> Trying:
        values.update(value for value, _ in trials)
        answers = (yield trials) if trials else []
        return [trial for trial, safe in zip(trials, answers, strict=True) if not safe]

    def doubted(low: int, high: int) -> list[Trial]:
        drawn = sorted({chance.randrange(low, high) for _ in range(DOUBTS)}) if high > low else []
        return [(value, case) for value in drawn for case in chance.sample(range(cases), min(cases, DOUBTED))]

    few = range(0, cases, -(-cases // DOUBTED))
    found = yield from bad([(end, case) for case in few])
    found = found or (yield from bad([(end, case) for case in range(cases) if case not in few]))
    low, steady = 0 if found else end, True
    while True:
        while found:
            value, case = found[0]
            while value - low > resolution:
                middle = (low + value) // 2
                if (yield from bad([(middle, case)])):
                    value = middle
                else:
                    low = middle
            lower = (yield from bad([(low, other) for other in range(cases) if other != case])) if low else []
            if not lower:
                break
            # Drawn by chance: in any fixed order each case may be worse than the one before, and all be gone through.
            found, low = [chance.choice(lower)], 0
        worse = yield from bad(doubted(1, low))
        if not worse:
            break
        found, low, steady = worse, 0, False
    if not found:
        return Bound(end, None, 0, steady, len(values))
    first = yield from bad([(value, earlier) for earlier in range(case)])
    above = doubted(value + 1, end)
    differ = yield from bad([(each, case) for each in sorted({each for each, _ in above})])
    differing = {each for each, _ in differ}
    differ = yield from bad([(each, other) for each, other in above if each not in differing and other != case])
    differing |= {each for each, _ in differ}
    steady = steady and all(each in differing for each, _ in above)
    return Bound(low, value, first[0][1] if first else case, steady, len(values))
