"""What SQs wait for, and which tokens came to them in vain: facts from the firing rules, without any cost for firings.

`explain/silence.py` makes the sentences of them.
"""

from __future__ import annotations

from itertools import combinations, islice

from ticktalk.engine.context import Context
from ticktalk.engine.firing.arrival import ArrivalSync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.matching import Waiting
from ticktalk.payloads import StopGraph
from ticktalk.stuck import Stuck
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import last_instant

MOST = 100
"""SQs that one look tells of, where time is kept."""

LATEST = 3
"""The latest tokens of a port, which are compared with those of another. The timekeeper looks at no more."""

PAIRS = 10
"""Pairs of ports that are looked at."""

Near = tuple[str, Tick, Tick, str, Tick, Tick]


def all_stuck(context: Context, most: int | None = None) -> dict[str, Stuck]:
    """By SQ of a context, what it waits for, or that tokens came in vain; of `most` SQs, if it is given."""
    found = ((name, told) for name, sync in context.syncs.items() if (told := stuck(sync)) is not None)
    return dict(islice(found, most))


def stuck(sync: TTSQSync) -> Stuck | None:
    """The ports and tokens for which an SQ waits; None: nothing waits, or came in vain."""
    if isinstance(sync, ArrivalSync):
        return _arrival(sync)
    if isinstance(sync, GridSync):
        return _grid(sync)
    if isinstance(sync, DeadlineSync):
        return _deadline(sync)
    return None


def _arrival(sync: ArrivalSync) -> Stuck | None:
    counts = sync.counters.by_sq.get(sync.sq.name, {})
    waiting = sum(len(sync.ports[slot].tokens) for slot in sync.consuming)
    evicted = counts.get("evicted", 0)
    if not waiting and not evicted:
        return None
    tokens: dict[str, tuple[int, list[Waiting]]] = {}
    waits_for = []
    for port, slot in sync.slot.items():
        name = sync.sq.ports[port].name
        if slot in sync.sticky:
            settled = sync.sticky[slot]
            here = [] if settled is None else [settled]
            tokens[name] = len(here), here
        else:
            place = sync.ports[slot]
            here = place.tokens[-LATEST:]
            tokens[name] = len(place.tokens), here or ([] if place.evicted is None else [place.evicted])
        if not here:
            waits_for.append(name)
    unused = waiting + evicted + counts.get("out_of_order", 0) * len(sync.consuming)
    # A sticky value stays, used or not.
    settled_values = sum(token is not None for token in sync.sticky.values())
    used = max(0, sync.number - unused - settled_values)
    return Stuck(sync.number, used, None, waits_for if waiting else [], _shown(tokens), nearest(tokens))


def _grid(sync: GridSync) -> Stuck | None:
    if _has_had_an_instant(sync):
        return None
    tokens: dict[str, tuple[int, list[Waiting]]] = {
        sync.sq.ports[port].name: (int(settled is not None), [] if settled is None else [settled])
        for (port, _), settled in zip(sync.slot.items(), sync.settled, strict=True)
    }
    waits_for = [name for name, (_, here) in tokens.items() if not here]
    came = len(tokens) - len(waits_for)
    return Stuck(came, 0, None, waits_for, _shown(tokens), nearest(tokens), sync.instant)


def _has_had_an_instant(sync: GridSync) -> bool:
    """True if an instant has fired, or was skipped: of a window that had passed when it was known, perhaps none was."""
    if sync.considered == NEG_INFINITY or abs(sync.window_start) == INFINITY:
        return sync.considered != NEG_INFINITY
    first, last = (last_instant(int(tick), sync.every, sync.phase) for tick in (sync.window_start, sync.considered))
    return last > first


def _deadline(sync: DeadlineSync) -> Stuck | None:
    data = len(sync.data.tokens)
    if sync.due.tokens or sync.missed.tokens or not data or sync.sticky_deadline:
        return None
    names = [port.name for port in sync.sq.ports]
    evicted = sync.counters.by_sq.get(sync.sq.name, {}).get("evicted", 0)
    used = max(0, sync.number - data - evicted)
    return Stuck(sync.number, used, None, [names[1]], _shown({names[0]: (data, sync.data.tokens[-LATEST:])}))


def _shown(tokens: dict[str, tuple[int, list[Waiting]]]) -> dict[str, tuple[int, Tick | None, Tick | None]]:
    return {name: (n, here[-1][0], here[-1][2]) if here else (n, None, None) for name, (n, here) in tokens.items()}


def nearest(tokens: dict[str, tuple[int, list[Waiting]]]) -> Near | None:
    """The tokens of two ports that came closest without an overlap, the earlier one first."""
    best: Near | None = None
    for (one, (_, ones)), (other, (_, others)) in islice(combinations(tokens.items(), 2), PAIRS):
        for a in ones:
            for b in others:
                first, second = ((one, a), (other, b)) if a[0] <= b[0] else ((other, b), (one, a))
                gap = second[1][0] - first[1][2]
                if gap >= 0 and (best is None or gap < best[4] - best[2]):
                    best = (first[0], first[1][0], first[1][2], second[0], second[1][0], second[1][2])
    return best


class WaitingSince:
    """Since when the SQs of one ensemble wait, as seen at each look. All times are root ticks."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, int], dict[str, tuple[tuple[int, list[str]], int]]] = {}

    def look(self, key: tuple[str, int], context: Context, now: int) -> dict[str, Stuck]:
        """The waits of the SQs of a context (graph and number) at the tick `now`."""
        before, since = self._since.get(key, {}), {}
        found = {}
        for name, told in all_stuck(context, MOST).items():
            state = told.used, told.waits_for
            seen, begun = before.get(name, (None, now))
            since[name] = state, begun if seen == state else now
            found[name] = Stuck(
                told.came, told.used, since[name][1], told.waits_for, told.ports, told.near, told.instant
            )
        self._since[key] = since
        return found

    def forget(self, stop: StopGraph) -> None:
        """Contexts have ended."""
        self._since = {key: since for key, since in self._since.items() if not stop.ends(key)}
