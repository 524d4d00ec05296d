"""Gives everything that is with a plan back to the general engine: tokens, timers, what is to be counted.

While a plan runs, the tokens that wait or are under way at the begin of its period are with it, and so are its timers.
It notes which traces have run. From that the firing rules get, at the end, the tokens that got out of reach, and the
counters get what happened.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import Any

from ticktalk.accelerate.again import Again
from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.chosen import Inline, InPlace, body_of
from ticktalk.accelerate.events import ENDING, Links, Opened, Part
from ticktalk.accelerate.periods import Plan
from ticktalk.accelerate.rare_steps import bind
from ticktalk.accelerate.standing import add_sorted, at, counts_evicted, ports_of, put_back, take
from ticktalk.accelerate.trace import OutOfReach, Trace
from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.matching import Waiting
from ticktalk.time import INFINITY

MOST_STRANGE = 20
"""SQs that meet other values than plain ones, after which no body stands in the code: it is written anew each time."""


class Handover:
    """The way of tokens, counters and streams between plans and the general engine.

    Args:
        agenda: the simulation's.
        links: the links between its ensembles, and their cores.

    Attributes:
        periods: that have run, and `departed`: how often a plan has been left within one, since the last look at both.
    """

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.agenda, self.links = agenda, links
        self.periods = self.departed = 0
        self._last = 0
        self._called: set[tuple[str, int, str]] = set()  # the SQs whose bodies do not stand in the code

    # The code of a trace.

    def bind(self, trace: Trace) -> None:
        """Make the code of a trace. Bodies stand in that of the main one only: others lead back from an absence."""
        if not trace.absent:
            trace.inline = Inline(trace.events, trace.plan.values, trace.ends, self._body_of)
        bind(trace, self.links, self.agenda)

    def _body_of(self, part: Part) -> InPlace | None:
        if (*part.context_key, part.sq.name) in self._called or len(self._called) > MOST_STRANGE:
            return None
        return body_of(part.sq, part.context.executes[part.sq.name])

    def call(self, trace: Trace, parts: list[Part]) -> None:
        """Let the bodies of some SQs be called from now on."""
        self._called |= {(*part.context_key, part.sq.name) for part in parts}
        if parts:
            self.bind(trace)

    def take(self, plans: list[Plan], theirs: Callable[..., bool]) -> None:
        """Take from the general engine what is with plans while they run: timers, tokens that wait or are under way.

        All stands as at the begin of their periods. `theirs`: true for an arrival that brings a token of theirs.
        """
        active = {id(part.sync) for plan in plans for part in plan.parts}
        self.agenda.take_out(lambda turn: id(turn) in active, theirs)
        for plan in plans:
            for part in plan.parts:
                take(part, plan.standing)

    # The work that a plan has done.

    def note(self, plan: Plan, trace: Trace, base: int, times: int) -> int:
        """A trace has run so often from `base` on; gives the begin of the next period."""
        end = base + times * trace.length
        plan.noted(trace, base, times)
        if times:
            self.periods += times
            self._last = max(self._last, end - trace.length + trace.last_tick)
            done = plan.done
            if done and done[-1][0] is trace:  # then it ends at `base`
                _, base, before = done.pop()
                times += before
            done.append((trace, base, times))
        return end

    def trim(self, done: deque[tuple[Trace, int, int]]) -> None:
        """Drop what is evicted by now from what a plan has kept, so that it stays bounded.

        It does not become tokens on the way: that would cost more than the plan itself.
        """
        for each in done:
            _tell_newest(*each)
        while done:
            trace, base, times = done[0]
            gone = min([_evicted(left, trace, base, times) for left in trace.left], default=times)
            for left in trace.left:
                if counts_evicted(left.part, left.port):
                    left.part.sync.counters.add(left.part.sq.name, "evicted", gone)
            del trace.kept[: gone * len(trace.taken)]
            self._account(trace, base, gone)
            if gone < times:
                done[0] = trace, base + gone * trace.length, times - gone
                return
            done.popleft()

    def _tell(self, plan: Plan) -> None:
        """Let the firing rules have what was done: tokens out of reach, counters."""
        for place, times in enumerate(plan.silent):
            if times:
                part = plan.world.parts[place]
                part.context.executes[part.sq.name].fired -= times
                plan.silent[place] = 0
        self.trim(plan.done)
        fresh: dict[tuple[int, int], list[Any]] = {}
        for trace, base, times in plan.done:
            width, column = len(trace.taken), 0
            for left in trace.left:
                values: Iterable[Any] = repeat(None, times)
                if left.value is not None:
                    values, column = trace.kept[column : times * width : width], column + 1
                fresh.setdefault((left.part.index, left.port), []).extend(_out_of_reach(left, trace, base, values))
            del trace.kept[: times * width]
            self._account(trace, base, times)
        for part in plan.parts:
            for index, port in enumerate(ports_of(part.sync)):
                add_sorted(port, fresh.get((part.index, index), []))
                evicted = port.evict(part.sync.newest - part.sync.eviction_bound)
                if counts_evicted(part, index):
                    part.sync.counters.add(part.sq.name, "evicted", len(evicted))
        plan.done.clear()

    def _account(self, trace: Trace, base: int, times: int) -> None:
        """Count what happened in so many runs of a trace, from `base` on."""
        for use, notes in trace.uses if times else ():
            use.repeat(notes, base - trace.plan.begin, trace.length, times)
        for part, kind, count in trace.counted:
            Counters.add(part.sync.counters, part.sq.name, kind, count * times)  # a tap has been told
        for place, count in trace.fired.items():
            part = trace.plan.world.parts[place]
            part.context.executes[part.sq.name].fired += count * times
        for part in trace.plan.parts:
            part.sync.number += trace.numbers[part.index] * times
        for context, arc, receiver, count in trace.passed:
            self.links.passed(context, arc, receiver, count * times)

    def give(self, plan: Plan, base: int, advanced: bool, values: list[Any], departed: Again | None) -> None:
        """Give all back, as it stands at the begin of the period at `base`, to the firing rules and the agenda."""
        self._tell(plan)
        if advanced:
            self.agenda.now = max(self.agenda.now, self._last)
        here = iter(values)
        ahead: Counter[tuple[tuple[str, int], str, str]] = Counter()  # tokens under way, by arc and receiver
        for part in plan.parts:
            put_back(part, plan.standing, base, advanced, here)
        for since, place in plan.standing.timers:
            if place in plan.places:
                self.agenda.at(base + since, plan.world.parts[place].sync)
        for since, flying in plan.standing.flying:
            if flying.leg is ENDING:
                assert flying.part.stage is not None
                flying.part.stage.ends_at(base + since, flying.start if flying.start is None else base + flying.start)
                continue
            given = [next(here) for _ in flying.values]
            if given[0] is GONE:
                continue
            part, leg = flying.part, flying.leg
            arc, receiver = ("", self.links.manager) if leg.output else (leg.way.name, leg.host)
            value = given[0] if departed is None else departed.unchanged(flying.values)
            interval = at(base, flying.start, flying.stop)
            token = Opened(part.context_key, part.forward.sq.name, arc, receiver, value, *interval)
            self.links.put(base + since, part.context, token, ahead[part.context_key, arc, receiver])
            ahead[part.context_key, arc, receiver] += 1


def _tell_newest(trace: Trace, base: int, times: int) -> None:
    end = base + times * trace.length
    for part in trace.parts:
        part.sync.newest = max(part.sync.newest, end + trace.newest[part.index])
    for place, last in trace.lasts.items():
        trace.plan.world.parts[place].sync.last_start = end + last  # type: ignore[attr-defined]


def _evicted(left: OutOfReach, trace: Trace, base: int, times: int) -> int:
    """How many of the tokens at one place of a trace, run so often from `base` on, are too old by now."""
    limit = left.part.sync.newest - left.part.sync.eviction_bound
    if abs(limit) == INFINITY:
        return 0
    return min(times, max(0, int(-((base + left.since[2] - limit) // trace.length))))


def _out_of_reach(left: OutOfReach, trace: Trace, base: int, values: Iterable[Any]) -> Iterator[Waiting]:
    """The tokens that got out of reach at one place of a trace, in runs from `base` on, with these values."""
    start, number, stop, *ticks = left.since
    number += left.part.sync.number
    for value in values:
        if ticks:
            value = base + ticks[0] if left.value is None else (base + ticks[0], value)
        yield base + start, number, base + stop, value
        base += trace.length
        number += trace.numbers[left.part.index]
