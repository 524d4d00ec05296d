"""The changes of a program that make a missing output come: each is tried, in a run of the changed graph; sans-I/O.

Tokens that are made to meet need not lead to an output: another port may have nothing, or another token takes the
partner. So an explanation's changes are tried, and only those are told with which the output came. Where none is
enough, the runs that let most SQs before it send are explained in turn, and more changes are added to theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ticktalk.durations import interval_text
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.explain.applied_change import applied
from ticktalk.explain.history import History
from ticktalk.explain.least_change import Change
from ticktalk.explain.why import distance, why_missing
from ticktalk.graph.graph import TTGraph
from ticktalk.time import Tick

SHOWN = 5
"""Ways to make an output come that are told at most."""

RUNS = 60
"""Runs at most."""

WIDE = 5
"""Changes which were not enough and to which others are added, at a time."""

TOGETHER = 4
"""Changes that are made together at most."""

FAR = 1 << 60
"""Root ticks to a result that there is not."""

RunGraph = Callable[[TTGraph], History | None]
"""Runs a changed graph, under the circumstances in which the output was missing; None: that would take too long."""


Interval = tuple[Tick, Tick]


class Help(NamedTuple):
    """Changes that together make a missing output come, and the interval on which it then does."""

    changes: tuple[Change, ...]
    start: Tick
    stop: Tick

    def text(self) -> str:
        """The changes, and what comes of them, in words."""
        changes = " and ".join(change.text for change in self.changes)
        return f"with {changes} it comes, on {interval_text(self.start, self.stop)}"


def what_helps(history: History, name: str, tick: int, run: RunGraph, most: int = RUNS) -> tuple[list[Help], int]:
    """The changes with which an SQ gives an output for a root tick, or nearer to it than any was; the nearest first.

    Of each kind of change there is the one with which the output is nearest; of several, the least. An output counts
    if it is at most one period of the slowest stream before the SQ from the tick, and is no other form of one that was
    there. Given, too, is how many runs there were, at most `most`.
    """
    around = [name, *_before(history.graph, name)]
    reach = max((int(sq.every) for sq in history.graph.sqs if sq.name in around and sq.period), default=0)
    was = _away(history, name, tick)
    had = _results(history, name)
    frontier: list[tuple[tuple[int, ...], tuple[Change, ...], History]] = [((), (), history)]
    found: list[Help] = []
    runs = 0
    while frontier and not found:
        _, done, history = frontier.pop(frontier.index(max(frontier, key=lambda entry: entry[0])))
        tries = why_missing(history, name, tick, lambda data: "").tries if len(done) < TOGETHER else []
        for change in tries:
            if change in done or runs >= most:
                continue
            changed = run(applied(history.graph, change))
            if changed is None:
                continue
            runs += 1
            best = _nearest([each for each in _results(changed, name) if _is_new(each, had, tick)], tick)
            if distance(tick, *best) < was and distance(tick, *best) <= reach:
                found.append(Help((*done, change), *best))
            else:
                sending = sum(_away(changed, each, tick) <= reach for each in around)
                score = (-len(done), sending, *(-_away(changed, each, tick) for each in around))
                frontier.append((score, (*done, change), changed))
        frontier = sorted(frontier, key=lambda entry: entry[0])[-WIDE:]
    kinds: dict[tuple[str, ...], Help] = {}
    for each in sorted(found, key=lambda each: distance(tick, each.start, each.stop)):
        kinds.setdefault(tuple(change.setting for change in each.changes), each)
    return list(kinds.values())[:SHOWN], runs


def _before(graph: TTGraph, name: str) -> Iterator[str]:
    """The SQs before one, each once."""
    wiring = wiring_of(graph)
    seen, waits = {name}, [name]
    while waits:
        each = waits.pop()
        for port in range(len(wiring.by_name[each].ports)):
            for producer, _ in wiring.feeders.get((each, port), ()):
                if producer and producer not in seen:
                    seen.add(producer)
                    waits.append(producer)
                    yield producer


def nearest(history: History, name: str, tick: int) -> Interval:
    """The interval of the result of an SQ that is nearest to a root tick; without results: one that is far away."""
    return _nearest(_results(history, name), tick)


def _nearest(results: list[Interval], tick: int) -> Interval:
    far = tick + FAR, tick + FAR + 1
    return min(results, key=lambda interval: (distance(tick, *interval), interval), default=far)


def _results(history: History, name: str) -> list[Interval]:
    kinds = {f"{name}/{index}": arc.kind for index, arc in enumerate(history.graph.sq(name).arcs)}
    return [(each.start, each.stop) for each in history.tokens.values() if kinds.get(each.arc) == "value"]


def _is_new(result: Interval, had: list[Interval], tick: int) -> bool:
    """True if a result holds at a root tick, or meets none of those that were there: a wider one is the same output."""
    start, stop = result
    return start <= tick < stop or not any(max(start, begin) < min(stop, end) for begin, end in had)


def _away(history: History, name: str, tick: int) -> int:
    """The distance of the nearest result of an SQ, in ticks."""
    return int(distance(tick, *nearest(history, name, tick)))
