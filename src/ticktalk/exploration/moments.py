"""The moments at which a cut or a failure is begun: those at which it takes the most away.

A cut takes the tokens that are sent while it lasts. So it is begun when a token is sent: one that is as long and begins
earlier ends earlier, and takes no more. A failure also takes what its ensemble holds. So it is begun when something
happens there: before it happens, and right after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from math import lcm
from typing import NamedTuple, TypeVar

from ticktalk.engine.forwarding import arc_name
from ticktalk.exploration.dimensions import Dimension
from ticktalk.graph.graph import TTGraph
from ticktalk.records import Noted, Sent, Together
from ticktalk.time.grid import repeats_after

MOST = 48
"""Moments, at most, at which one cut or failure is begun."""

T = TypeVar("T")

Happening = tuple[str, str, str]
"""The kind of a record, its ensemble, and its SQ or its arc."""


class Moments(NamedTuple):
    """The moments of a cut or a failure.

    Attributes:
        ticks: those that are tried, in order; there is one at least.
        words: their number, and how they were chosen, for a certificate.
    """

    ticks: list[int]
    words: str


class Happenings:
    """All that happens in a run with nothing made worse, by tick.

    Args:
        graph: what runs.
    """

    def __init__(self, graph: TTGraph) -> None:
        self._graph = graph
        self._period = lcm(*(repeats_after(sq.every) for sq in graph.sqs if sq.period))
        self._at: dict[int, set[Happening]] = {}

    def note(self, ensemble: str, noted: Noted) -> None:
        """Take note of what a tap has noted on an ensemble."""
        for record in noted.each() if isinstance(noted, Together) else (noted,):
            what = record.arc if isinstance(record, Sent) else record.sq
            self._at.setdefault(record.tick, set()).add((type(record).__name__, ensemble, what))

    def moments(self, dimension: Dimension, host_of: Mapping[str, str], manager: str) -> Moments:
        """The moments at which to begin a cut or a failure, where SQs are placed so.

        One of each situation comes first, then more of each: what happens, and where in the common period that is.
        """
        situations: dict[tuple[frozenset[Happening], bool, int], list[int]] = {}
        crossing = self._crossing(dimension.target, host_of, manager)
        cut = dimension.kind == "cut"
        for tick, happened in sorted(self._at.items()):
            what = frozenset(each for each in happened if (each in crossing if cut else each[1] in dimension.target))
            phase = tick % self._period if self._period > 1 else tick
            for after in (False,) if cut else (False, True):
                if what:
                    situations.setdefault((what, after, phase), []).append(tick + after)
        when = "tokens cross" if cut else "something happens there, or just has"
        there = sorted({*chain(*situations.values())})
        if not there:
            return Moments([1], f"begun at 1us: at no tick {when}")
        each_in_turn = zip_longest(*(_spread(ticks) for ticks in _spread(list(situations.values()))))
        chosen = dict.fromkeys(tick for tick in chain(*each_in_turn) if tick is not None)
        ticks = sorted(islice(chosen, MOST))
        of = f"{len(ticks)} of the {len(there)} ticks" if len(there) > len(ticks) else f"each tick ({len(ticks)})"
        return Moments(ticks, f"begun at {of} when {when}")

    def _crossing(self, link: tuple[str, ...], host_of: Mapping[str, str], manager: str) -> set[Happening]:
        """The tokens that cross a link."""
        found = set()
        for sq in self._graph.sqs:
            here = host_of[sq.name]
            for index, arc in enumerate(sq.arcs):
                there = {host_of[to.sq] for to in arc.to} | ({manager} if arc.output else set())
                if here in link and there & {*link} - {here}:
                    found.add((Sent.__name__, here, arc_name(sq.name, index)))
        return found


def _spread(listed: Sequence[T]) -> Iterator[T]:
    """All of a list: the first, the last, then always what is in the middle between two of these."""
    yield from listed[:1]
    yield from listed[1:][-1:]
    gaps = deque([(0, len(listed) - 1)])
    while gaps:
        low, high = gaps.popleft()
        if high - low > 1:
            middle = (low + high) // 2
            yield listed[middle]
            gaps += (low, middle), (middle, high)
