"""The search with all dimensions at once, by Hypothesis, which also makes what it finds less and less."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from ticktalk.exploration.dimensions import KINDS, SEEDS, Dimension, Point

Differs = Callable[[Point], bool]
"""Runs a point; True if something is otherwise."""


class SearchBox(NamedTuple):
    """The part of a space that is searched.

    Attributes:
        dimensions: its dimensions.
        ranges: by their names, the lowest and the highest number.
        seed: the first seed.
        moments: by their names, the ticks at which a cut or a failure may begin, in order.
    """

    dimensions: Sequence[Dimension]
    ranges: Mapping[str, tuple[int, int]]
    seed: int
    moments: Mapping[str, Sequence[int]]


def search(box: SearchBox, runs: int, chance: int, differs: Differs) -> tuple[Point | None, int]:
    """Try points of a box; the least that was found to differ, if any, and how many were tried.

    Args:
        box: what is searched.
        runs: how many points to try.
        chance: a seed of the search.
        differs: runs a point.
    """
    # An extra: all else of the search goes without it.
    from hypothesis import HealthCheck, Phase, Verbosity, errors, find, settings
    from hypothesis import strategies as st

    tried = 0

    def fails(drawn: tuple[int, tuple[int, ...], tuple[int, ...]]) -> bool:
        nonlocal tried
        tried += 1
        return differs(_point(box, drawn))

    strategy = st.tuples(
        st.integers(0, SEEDS - 1),
        st.tuples(*(st.integers(*box.ranges[each.name]) for each in box.dimensions)),
        st.tuples(*(st.sampled_from(ticks) for ticks in box.moments.values())),
    )
    quiet = settings(
        max_examples=runs,
        database=None,
        derandomize=False,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        drawn = find(strategy, fails, settings=quiet, random=Random(chance))
    except errors.NoSuchExample:
        return None, tried
    point, more = least(_point(box, drawn), differs)
    return point, tried + more


def _point(box: SearchBox, drawn: tuple[int, tuple[int, ...], tuple[int, ...]]) -> Point:
    seed, values, moments = drawn
    given = {each.name: value for each, value in zip(box.dimensions, values, strict=True) if value}
    begins = zip(box.moments, moments, strict=True)
    return Point(given, box.seed + seed, {name: tick for name, tick in begins if name in given})


def least(point: Point, differs: Differs) -> tuple[Point, int]:
    """A point that differs, too, with fewer and smaller numbers, and in how many runs it was found.

    None of its numbers can be left out, and none can be smaller by 1, as long as smaller is never worse.
    """
    runs = 0
    for name in list(point.values):
        without = point._replace(values={each: value for each, value in point.values.items() if each != name})
        if without.values:
            runs += 1
            point = without if differs(without) else point
    for name in list(point.values):
        sign = 1 if point.values[name] > 0 else -1
        low, high = 0, abs(point.values[name])
        while high - low > 1:
            runs += 1
            middle = (low + high) // 2
            tried = point._replace(values={**point.values, name: sign * middle})
            low, high, point = (low, middle, tried) if differs(tried) else (middle, high, point)
    return point, runs


def corners(box: SearchBox, most: int, chance: Random) -> list[Point]:
    """The corners of a box, or some of them, with each seed: nothing in it is worse, if worse is never better."""
    signed = [each for each in box.dimensions if box.ranges[each.name][0] < 0 < box.ranges[each.name][1]]
    sides = {tuple(chance.random() < 0.5 for _ in signed) for _ in range(most)} if signed else {()}
    found = []
    random = bool(box.moments) or any(KINDS[each.kind].by_chance for each in box.dimensions)
    for side in sorted(sides):
        low = {each.name for each, is_low in zip(signed, side, strict=True) if is_low}
        values = {}
        for each in box.dimensions:
            lowest, highest = box.ranges[each.name]
            value = lowest if each.name in low or not highest else highest
            if value:
                values[each.name] = value
        for seed in range(SEEDS if random else 1):
            moments = {name: chance.choice(box.moments[name]) for name in values if name in box.moments}
            found.append(Point(values, box.seed + seed, moments))
    return found
