"""How firing rules stand at a tick, counted from it, so that it can be compared with another tick; and back again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.events import ENDING, Flying, Part, Unsettled
from ticktalk.accelerate.noted import ahead_of_rule, numbered, opened, settled
from ticktalk.engine.firing.arrival import ArrivalSync, SinglePortSync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync, PlanBSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.matching import Port
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import instant_at, last_instant
from ticktalk.values.codec import PLAIN


class Standing(NamedTuple):
    """How the rules stand at a tick, all times counted from it.

    Attributes:
        shapes: by place of a part, equal for two ticks if what follows there is; without values.
        values: by place of a part, its values in the order of the shape.
        lasts: by place of a part that keeps order, the latest start: an earlier one is the same, if nothing came late.
        timers: when parts have their turns.
        flying: the tokens under way.
        others: the first tick at which something else is due.
        stickies: by place of a part and slot, the number of its last sticky token, counted from its latest arrival.
        latest: by link on which no token overtakes another one, when it is free.
    """

    shapes: dict[int, tuple[Any, ...]]
    values: dict[int, list[Any]]
    lasts: dict[int, Tick]
    timers: list[tuple[int, int]]
    flying: list[tuple[int, Flying]]
    others: Tick
    stickies: dict[tuple[int, int], int]
    latest: dict[tuple[str, str], int]

    def values_of(self, parts: Iterable[Part]) -> list[Any]:
        """The values that stand there at some parts, and those under way, in order."""
        values = [value for part in parts for value in self.values[part.index]]
        return values + [value for _, flying in self.flying for value in flying.values]

    def same_rules(self, other: Standing, parts: Iterable[Part]) -> bool:
        """True if the rules of these parts will do the same, with the same tokens."""
        mine = {part.index for part in parts}
        return all(self.shapes[index] == other.shapes[index] for index in mine) and [
            entry for entry in self.timers if entry[1] in mine
        ] == [entry for entry in other.timers if entry[1] in mine]

    def same(self, other: Standing, parts: Iterable[Part]) -> bool:
        """True if what follows at these parts is the same."""
        under_way = [flies(*entry) for entry in self.flying] == [flies(*entry) for entry in other.flying]
        return under_way and self.latest == other.latest and self.same_rules(other, parts)


def flies(since: int, flying: Flying) -> tuple[Any, ...]:
    """The marks that tell tokens under way apart, without their values."""
    leg = -1 if flying.leg is ENDING else flying.part.legs.index(flying.leg)
    return since, flying.part.index, leg, flying.start, flying.stop


def since(tick: Any, base: int) -> Any:
    """`tick`, counted from `base`; one without end, or none, is as it is."""
    return tick if tick is None or abs(tick) == INFINITY else tick - base


def at(base: int, *ticks: Tick) -> list[Tick]:
    return [base + tick if abs(tick) < INFINITY else tick for tick in ticks]


def reach_of(part: Part, sync: TTSQSync, place: int, base: int) -> Tick:
    """The start before which no token or deadline begins that can still meet what waits at a port at `base`."""
    asker, real = part.asker or part, sync is part.sync
    if isinstance(sync, PlanBSync) and sync.sq.ports[sync.arc_ports[place]].sticky:
        return NEG_INFINITY
    reach: Tick = base + asker.lag
    deadline = sync if part.asker is None else asker.sync if real else asker.twin
    if isinstance(deadline, DeadlineSync):
        return min(reach, min((token[0] for token in deadline.due.tokens), default=INFINITY))
    return reach


def evicts_in_reach(part: Part, newest: Tick, now: int) -> bool:
    """True if tokens are evicted, when one has started at `newest`, that others which arrive could still meet."""
    limit = newest - part.sync.eviction_bound
    reaches = [reach_of(part, part.twin, place, now) for place in range(len(ports_of(part.twin)))]
    return any(NEG_INFINITY < reach < limit for reach in reaches)  # what stays at a port is not evicted


def first_in_reach(port: Port, reach: Tick) -> int:
    """The place of the first token that ends after `reach`; all before it are of no use any more."""
    tokens = port.tokens
    first = len(tokens)
    while first and not tokens[first - 1][0] + port.widest <= reach:  # a sum with no begin and no end is no number
        first -= 1
    while first < len(tokens) and tokens[first][2] <= reach:
        first += 1
    return first


def ports_of(sync: TTSQSync) -> list[Port]:
    """The ports at which tokens wait that may get out of reach."""
    if isinstance(sync, ArrivalSync):
        return [sync.ports[slot] for slot in sync.consuming]
    if isinstance(sync, PlanBSync):
        return sync.ports
    return [sync.data, sync.missed] if isinstance(sync, DeadlineSync) else []


def counts_evicted(part: Part, port: int) -> bool:
    """True if tokens that are evicted from that port are counted: missed deadlines are not."""
    return not isinstance(part.sync, DeadlineSync) or port == 0


def stands(part: Part, sync: Any, base: int, values: list[Any], lasts: dict[int, Tick]) -> tuple[Any, ...]:
    if sync is part.sync and _can_change(sync):
        raise Unsettled(f"each firing of {part.sq.name} gets a copy of a value that stays")
    if isinstance(sync, GridSync):
        values.extend(map(opened, settled(sync).values()))
        return since(sync.instant, base), sync.every, sync.phase, sync.width, sync.change
    if keeps_order(sync):
        lasts[part.index] = since(sync.last_start, base)
    found: list[Any] = []
    for place, port in enumerate(ports_of(sync)):
        waiting = port.tokens[first_in_reach(port, reach_of(part, sync, place, base)) :]
        values.extend(value_of(sync, token) for token in waiting if has_value(sync, port))
        found.append([tokens_since(sync, port, token, base) for token in waiting])
    if isinstance(sync, ArrivalSync):
        found.append([None if t is None else (since(t[0], base), since(t[2], base)) for t in sync.sticky.values()])
        values.extend(map(opened, settled(sync).values()))
    elif isinstance(sync, DeadlineSync):
        found.append([tokens_since(sync, sync.due, token, base) for token in sync.due.tokens])
        found.append(sorted(number - sync.number for number in sync.answered))
    return tuple(found)


def _can_change(sync: Any) -> bool:
    """True if a value that stays at a firing rule can be changed by a body: each firing then gets a copy of it."""
    stay = [*settled(sync).values()]
    if isinstance(sync, PlanBSync):
        ports = zip(sync.arc_ports, sync.ports, strict=True)
        stay += [token[3] for place, port in ports if sync.sq.ports[place].sticky for token in port.tokens]
    return any(opened(value).__class__ not in PLAIN for value in stay)


def keeps_order(sync: Any) -> bool:
    """True if a firing rule drops sets that start before the last one."""
    return isinstance(sync, (SinglePortSync, ArrivalSync)) and sync.forward


def has_value(sync: Any, port: Port) -> bool:
    """True if tokens at this port have a value of the program; deadlines have a tick."""
    return not (isinstance(sync, DeadlineSync) and port is not sync.data)


def value_of(sync: Any, token: Any) -> Any:
    """The value of a token at a port for which `has_value` is true."""
    return opened(token[3][1] if isinstance(sync, DeadlineSync) else token[3])


def tokens_since(sync: Any, port: Port, token: Any, base: int) -> tuple[Any, ...]:
    """A waiting token without its value, counted from `base` and from the rule's latest arrival."""
    shape = since(token[0], base), token[1] - sync.number, since(token[2], base)
    if not isinstance(sync, DeadlineSync):
        return shape
    return (*shape, since(token[3][0] if port is sync.data else token[3], base))


def stateless(part: Part) -> bool:
    """True if nothing waits at a firing rule from one turn to the next."""
    rule = part.twin
    if part.stage is not None or part.keeps:
        return False
    return (isinstance(rule, PlanBSync) and not rule.ports) or (isinstance(rule, SinglePortSync) and not rule.forward)


def take(part: Part, standing: Standing) -> None:
    """Take from a firing rule the tokens that wait, which stand as at the begin of a period."""
    shape = standing.shapes[part.index]
    for index, port in enumerate(ports_of(part.sync)):
        del port.tokens[len(port.tokens) - len(shape[index]) :]
    if isinstance(part.sync, DeadlineSync):
        part.sync.due.tokens.clear()


def put_back(part: Part, standing: Standing, base: int, advanced: bool, here: Iterator[Any]) -> None:
    """Let a firing rule stand as at the begin of a period at `base`; its values come from `here`."""
    _put_rule_back(part, standing, base, advanced, here)
    if part.stage is not None:
        part.stage.stand(base, standing.shapes[part.index][-1], here, GONE)
    if part.keeps and not part.called:
        kept = standing.shapes[part.index][-1]
        part.context.executes[part.sq.name].memory = {name: (base + tick, next(here)) for name, tick in kept}


def _put_rule_back(part: Part, standing: Standing, base: int, advanced: bool, here: Iterator[Any]) -> None:
    sync, shape = part.sync, standing.shapes[part.index]
    if isinstance(sync, GridSync):
        for _ in sync.values:
            next(here)
        sync.instant = None if shape[0] is None else base + shape[0]
        if advanced and sync.instant is not None:
            sync.considered = instant_at(last_instant(sync.instant - 1, sync.every, sync.phase), sync.every, sync.phase)
        return
    ahead = ahead_of_rule(part)
    for index, port in enumerate(ports_of(sync)):
        tokens = []
        for start, number, stop, *rest in shape[index]:
            start, stop, *ticks = at(base, start, stop, *rest)
            value = numbered(next(here), sync.number + number, ahead) if has_value(sync, port) else ticks[0]
            if ticks and has_value(sync, port):
                value = ticks[0], value
            tokens.append((start, sync.number + number, stop, value))
        add_sorted(port, tokens)
    if isinstance(sync, ArrivalSync):
        for slot, interval in zip(sync.sticky, shape[len(sync.consuming)], strict=True):
            if interval is not None:
                start, stop = at(base, *interval)
                since = standing.stickies.get((part.index, slot))
                number = sync.sticky[slot][1] if since is None else sync.number + since  # type: ignore[index]
                former = sync.sticky[slot][3]  # type: ignore[index]
                value = numbered(next(here), number, ahead)
                sync.sticky[slot] = (start, number, stop, former if since is None and ahead is not None else value)
        sync.evict_at = NEG_INFINITY
    elif isinstance(sync, DeadlineSync):
        for start, number, stop, tick in shape[2]:
            start, stop, tick = at(base, start, stop, tick)
            sync.due.add((start, sync.number + number, stop, tick))
        sync.answered = {sync.number + number for number in shape[3]}


def add_sorted(port: Port, tokens: list[Any]) -> None:
    tokens.sort(key=_start_and_number)
    if tokens and port.tokens and _start_and_number(tokens[0]) < _start_and_number(port.tokens[-1]):
        tokens = sorted([*port.tokens, *tokens], key=_start_and_number)
        port.tokens.clear()
    port.tokens += tokens
    port.widest = max([port.widest, *(token[2] - token[0] for token in tokens)])


def _start_and_number(token: Any) -> tuple[Tick, int]:
    return token[0], token[1]


def copied(value: Any) -> Any:
    """A copy of a part of a rule's state; tokens and values in it are the same."""
    kind = value.__class__
    if kind is list:
        return [copied(item) for item in value]
    if kind is dict:
        return {key: copied(item) for key, item in value.items()}
    if kind is set or kind is deque:
        return kind(value)
    if kind is Port:
        other = Port()
        other.tokens, other.widest = value.tokens[:], value.widest
        return other
    return value
