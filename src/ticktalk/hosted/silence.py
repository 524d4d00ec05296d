"""The ports that SQs wait for, and the tokens that came to them in vain: facts from the firing rules.

They cost firings nothing. `explain/silence.py` makes the sentences of them.
"""

from __future__ import annotations

from itertools import islice

import msgspec

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

PORTS = 10
"""Ports whose tokens are compared."""

Near = tuple[str, Tick, Tick, str, Tick, Tick]
"""Two ports, and the intervals of two tokens there; the first one ends before the second one begins."""


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
    return _told(sync.number, used, waits_for if waiting else [], tokens)


def _grid(sync: GridSync) -> Stuck | None:
    if _has_had_an_instant(sync):
        return None
    tokens: dict[str, tuple[int, list[Waiting]]] = {
        sync.sq.ports[port].name: (int(settled is not None), [] if settled is None else [settled])
        for (port, _), settled in zip(sync.slot.items(), sync.settled, strict=True)
    }
    waits_for = [name for name, (_, here) in tokens.items() if not here]
    came = len(tokens) - len(waits_for)
    return _told(came, 0, waits_for, tokens, sync.instant)


def _has_had_an_instant(sync: GridSync) -> bool:
    """True if an instant has fired, or was skipped: of a window that had passed when it was known, perhaps none was."""
    if sync.considered == NEG_INFINITY or abs(sync.window_start) == INFINITY:
        return sync.considered != NEG_INFINITY
    first, last = (last_instant(int(tick), sync.every, sync.phase) for tick in (sync.window_start, sync.considered))
    return last > first


def _deadline(sync: DeadlineSync) -> Stuck | None:
    data = len(sync.data.tokens)
    counts = sync.counters.by_sq.get(sync.sq.name, {})
    late = counts.get("late", 0)
    if late and not sync.sticky_deadline:
        gone = late + counts.get("evicted", 0) + data
        passed = counts.get("plan_b", 0) + counts.get("missed", 0) + len(sync.due.tokens)  # deadlines without data
        met = max(0, sync.number - gone - passed) // 2  # each with its deadline
        return Stuck(met + gone, met, None, [], {}) if late >= met else None
    if sync.due.tokens or sync.missed.tokens or not data or sync.sticky_deadline:
        return None
    names = [port.name for port in sync.sq.ports]
    used = max(0, sync.number - data - counts.get("evicted", 0))
    return Stuck(sync.number, used, None, [names[1]], _shown({names[0]: (data, sync.data.tokens[-LATEST:])}))


def _shown(tokens: dict[str, tuple[int, list[Waiting]]]) -> dict[str, tuple[int, Tick | None, Tick | None]]:
    return {name: (n, here[-1][0], here[-1][2]) if here else (n, None, None) for name, (n, here) in tokens.items()}


def _told(
    came: int, used: int, waits_for: list[str], tokens: dict[str, tuple[int, list[Waiting]]], instant: int | None = None
) -> Stuck:
    near, others = nearest(tokens)
    return Stuck(came, used, None, waits_for, _shown(tokens), near, instant, others)


def nearest(tokens: dict[str, tuple[int, list[Waiting]]]) -> tuple[Near | None, list[tuple[str, Tick, Tick]]]:
    """The set of tokens, one of each port, that came closest to an overlap.

    Returns:
        The token that ends first and the one that begins last, with their ports; and the others of the set. None in
        place of the two: no set without an overlap was found.
    """
    ports = [(name, here) for name, (_, here) in islice(tokens.items(), PORTS) if here]
    best: list[tuple[str, Tick, Tick]] = []
    for name, here in ports if len(ports) > 1 else ():
        for latest in here:
            chosen = []
            for other, there in ports:
                begun = [(each[2], each[0]) for each in there if each[0] <= latest[0]]
                if other != name and begun:
                    stop, start = max(begun)
                    chosen.append((other, start, stop))
            if len(chosen) < len(ports) - 1:
                continue
            first = min(chosen, key=lambda each: each[2])
            gap = latest[0] - first[2]
            if gap >= 0 and (not best or gap < best[1][1] - best[0][2]):
                chosen.remove(first)
                best = [first, (name, latest[0], latest[2]), *chosen]
    return (*best[0], *best[1]) if best else None, best[2:]


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
            found[name] = msgspec.structs.replace(told, since=since[name][1])
        self._since[key] = since
        return found

    def forget(self, stop: StopGraph) -> None:
        """Contexts have ended."""
        self._since = {key: since for key, since in self._since.items() if not stop.ends(key)}
