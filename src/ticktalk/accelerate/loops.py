"""Runs plans over a common period, and gives everything back to the general engine, exactly where it stands.

While a plan runs, what stands at the begin of its period is with it: the tokens that wait or are under way, the timers.
`take` and `Agenda.take_out` take them from the firing rules and the agenda. `Loops.give` gives them back at the begin
of a later period. Where something departs within a period, the firing rules go over that period again: the results that
the plan has are given to them in place of firings (`Again`), until they are where the plan was. The event at which it
departed then happens on the general engine: an error is reported, somebody is told of an output, whatever follows from
it follows there.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from ticktalk.accelerate.again import Again, arrive, go_over, result_of
from ticktalk.accelerate.apart import Apart, Partition
from ticktalk.accelerate.bind import GONE, IN_PLAN
from ticktalk.accelerate.chosen import InPlace, body_of
from ticktalk.accelerate.events import ENDING, Leg, Links, Opened, Part, TooLong, Unsettled
from ticktalk.accelerate.loop_code import OutOfReach
from ticktalk.accelerate.periods import AT_ONCE, Plan, Trace
from ticktalk.accelerate.rare_steps import rare_steps
from ticktalk.accelerate.stand_ins import Lags
from ticktalk.accelerate.standing import add_sorted, at, counts_evicted, ports_of, put_back
from ticktalk.counters import Counters
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty

TICKS_BEFORE = 6
"""Ticks on the general engine before the first look for a plan: graphs that hardly run need none."""

TICKS_EACH = 4
"""Ticks for each part on the general engine before the parts have plans of their own."""

LEAST = 3
"""Periods from which on a plan is entered."""

TRIED = 3
"""How often an event gives no result before there is a trace that goes on from there."""

MOST_STRANGE = 20
"""SQs that meet other values than plain ones, after which no body stands in the code: it is written anew each time."""

OFTEN = 32
"""How often it departs from a plan before it is looked whether that pays."""

PAYS = 8
"""Periods of a plan, for each time that it departs, from which on it pays."""

LONGEST_WAIT = 1 << 16
"""Ticks between two looks for a plan, where there is none."""


class Loops:
    """Runs the plan of a simulation, if there is one (`Ahead`).

    Args:
        agenda: the simulation's.
        links: the links between its ensembles, and their cores.

    Attributes:
        contexts: all that may have a part in a plan, by id.
        plan: what runs ahead; None: there is none, for now.
        apart: the plans of parts that no arc joins, where there is none of all of them.
        why: why there is none.
    """

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.contexts: dict[int, ContextParts] = {}
        self.plan: Plan | None = None
        self.apart: Apart | None = None
        self.why = ""
        self.agenda = agenda
        self.links, self._last = links, 0
        self._wait = self._wait_again = TICKS_BEFORE
        self._misses = 0
        self._periods = 0  # run since the last look how often it departs
        self._departed = 0
        self._ahead: Counter[tuple[tuple[str, int], str, str]] = Counter()  # tokens given back, by arc and receiver
        self._lags: Lags = {}
        self._called: set[tuple[str, int, str]] = set()  # the SQs whose bodies do not stand in the code

    def add(self, context: ContextParts) -> None:
        """A context has started, or something of it has changed: look anew."""
        self.contexts[id(context)] = context
        self.plan, self.apart, self._lags = None, None, {}
        self._wait = self._wait_again = TICKS_BEFORE

    def run(self, tick: int, limit: float) -> bool:
        """Run periods, as many as end before `limit`, if a plan fits; `tick` is the next at which something is due."""
        self._wait -= 1
        agenda = self.agenda
        if self._wait > 0 or agenda.ready:
            return False
        if self.plan is None and self.apart is None:
            self._look()
            if self._wait > 0:
                return False
        plan = self.plan
        if plan is None:
            return self._run_apart(tick, limit)
        base = tick - (tick - plan.begin) % plan.period
        if base <= agenda.now < tick or limit - base < LEAST * plan.period:
            return False
        try:
            standing, values = plan.stands(base, agenda)
        except Unsettled:
            return self.missed()
        stop = plan.stops(base, standing, limit)
        if plan.most(base, stop) < LEAST:
            return self.rests(2)
        self.stands()
        mine = {id(part.sync) for part in plan.parts}
        agenda.take_out(
            lambda turn: id(turn) in mine,
            lambda deliver, message: plan.world.flying(deliver, message) is not None,
        )
        plan.take()
        self._run(plan, base, stop, values)
        return True

    def _run_apart(self, tick: int, limit: float) -> bool:
        try:
            return self.apart is not None and self.apart.run(tick, limit)
        except Unsettled as reason:
            self._drop(str(reason))
            return False

    def missed(self) -> bool:
        """It does not stand as planned; False."""
        self._misses += 1
        if self._misses > 50:
            self._drop("it does not stand as planned any more")
        return False

    def stands(self) -> None:
        """It stands as planned."""
        self._misses = 0

    def rests(self, ticks: int) -> bool:
        """Leave so many ticks to the general engine, before anything is looked at again; False."""
        self._wait = ticks
        return False

    def _look(self) -> None:
        """Look for a plan, or for one of each part."""
        self.contexts = {number: context for number, context in self.contexts.items() if not context.closed}
        keys = {
            (context.prepared.graph.name, context.number)
            for context in self.contexts.values()
            if any(isinstance(sync, GridSync) and sync.pending for sync in context.syncs.values())
        }
        of_these = [c for c in self.contexts.values() if (c.prepared.graph.name, c.number) in keys]
        sqs = [(context, sq) for context in of_these for sq in context.prepared.sqs]
        try:
            try:
                self.plan = Plan(sqs, self.links, self.agenda, self._lags)
                self.bind(self.plan.main)
            except TooLong:
                self.apart = Apart(self, Partition(sqs, self.links))
                self._wait = TICKS_EACH * len(self.apart.parts.sqs)
        except Unsettled as reason:
            self._drop(str(reason))

    def _drop(self, why: str) -> None:
        self.plan, self.apart, self.why, self._misses = None, None, why, 0
        paid = self._periods >= PAYS * max(self._departed, OFTEN)
        self._wait_again = TICKS_BEFORE if paid else min(2 * self._wait_again, LONGEST_WAIT)
        self._periods = self._departed = 0
        self._wait = self._wait_again

    def bind(self, trace: Trace) -> None:
        """Make the code of a trace. Bodies stand in that of the main one only: others lead back from an absence."""
        if not trace.absent:
            trace.choose(self._body_of)
        trace.bind(rare_steps(trace, self.links, self.agenda))

    def _body_of(self, part: Part) -> InPlace | None:
        if (*part.context_key, part.sq.name) in self._called or len(self._called) > MOST_STRANGE:
            return None
        return body_of(part.sq, part.context.executes[part.sq.name])

    def call(self, trace: Trace, parts: list[Part]) -> None:
        """Let the bodies of some SQs be called from now on."""
        self._called |= {(*part.context_key, part.sq.name) for part in parts}
        if parts:
            self.bind(trace)

    # From the general engine to the plan, and back.

    def _run(self, plan: Plan, base: int, stop: float, values: list[Any]) -> None:
        """Run periods from `base` on, up to `stop`, or up to where it departs; give everything back."""
        begun, trace, trimmed = base, plan.main, self._periods
        departed: Again | None = None
        running.current = IN_PLAN
        while departed is None and (most := min(plan.most(base, stop), plan.at_once)) > 0:
            trace = plan.main
            self.call(trace, trace.inline.not_ready(values))
            place, at, found = trace.run(base, base + most * plan.period, *values)
            if place == -1:
                values = list(found)
                base = self.note(trace, base, most)
            else:
                values = [found[f"c{index}"] for index in range(len(values))]
                base = self.note(trace, base, (at - base) // plan.period + (place == -2))
                while (onward := self._onward(trace, place, found)) is not None:
                    if onward.length > plan.most(base, stop) * plan.period:
                        break
                    trace = onward
                    place, _, more = trace.run(base, 0, *[found[name] for name in trace.code.parameters[2:]])
                    if place == -1:
                        values = list(more)
                        base = self.note(trace, base, 1)
                        break
                    found = {**found, **more}
                if place != -1:
                    self.call(plan.main, trace.strange(place, found))
                    departed = Again(self, plan, trace, base, place, found)
            if self._periods > trimmed + AT_ONCE:
                self._trim(plan.done)
                trimmed = self._periods
        running.current = None
        self.give(plan, base, base > begun, values, departed)
        if departed is not None:
            if plan.wanted is not None:
                self._lags, self.plan = plan.wanted, None
            else:
                self.departs(1)
            go_over([departed], self.agenda)
            plan.aside.clear()

    def departs(self, weight: int) -> None:
        """It has departed from its plan, which costs as much as so many periods."""
        self._departed += weight
        if self._departed >= OFTEN:
            if self._periods < PAYS * self._departed:
                self._drop("it departs from the plan too often")
            self._departed = self._periods = 0

    def note(self, trace: Trace, base: int, times: int) -> int:
        """A trace has run so often from `base` on; gives the begin of the next period."""
        end = base + times * trace.length
        trace.plan.noted(trace, base, times)
        if times:
            self._periods += times
            self._last = max(self._last, end - trace.length + trace.last_tick)
            done = trace.plan.done
            if done and done[-1][0] is trace:  # then it ends at `base`
                _, base, before = done.pop()
                times += before
            done.append((trace, base, times))
        return end

    def _onward(self, trace: Trace, place: int, found: dict[str, Any]) -> Trace | None:
        """The trace that goes on where the event at `place` gave no result, if that is what happened."""
        if trace.raised is not None or not 0 <= place < len(trace.events):
            return None
        event = trace.events[place]
        if not event.runs or (event.kind == "fire" and any(leg.told_at_once for leg in event.part.legs)):
            return None
        if result_of(trace, place, found).__class__ is not TTEmpty:
            return None
        trace.tried[place] += 1
        if trace.tried[place] < TRIED:
            return None
        onward = trace.plan.onward(trace, place)
        if onward is not None and onward.run is None:
            self.bind(onward)
        return onward

    def _trim(self, done: deque[tuple[Trace, int, int]]) -> None:
        """Drop what is evicted by now from what the plan has kept, so that it stays bounded."""
        self._tell_newest(*done[-1])
        while done:
            trace, base, times = done[0]
            gone = min([evicted_of(left, trace, base, times) for left in trace.left], default=times)
            for left, kept in zip(trace.left, trace.kept, strict=True):
                if counts_evicted(left.part, left.port):
                    left.part.sync.counters.add(left.part.sq.name, "evicted", gone)
                del kept[:gone]
            self._account(trace, base, gone)
            if gone < times:
                done[0] = trace, base + gone * trace.length, times - gone
                return
            done.popleft()

    def _tell_newest(self, trace: Trace, base: int, times: int) -> None:
        for part in trace.parts:
            newest = base + times * trace.length + trace.newest[part.index]
            part.sync.newest = max(part.sync.newest, newest)
        for place, last in trace.lasts.items():
            trace.plan.world.parts[place].sync.last_start = base + times * trace.length + last  # type: ignore[attr-defined]

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
            if receiver:
                self.links.came(context, arc, receiver, count * times)
            else:
                self.links.sent(context, arc, count * times)

    def _keep(self, plan: Plan) -> None:
        """Let the firing rules have what was done: tokens out of reach, counters."""
        for place, times in enumerate(plan.silent):
            if times:
                part = plan.world.parts[place]
                part.context.executes[part.sq.name].fired -= times
                plan.silent[place] = 0
        if not plan.done:
            return
        for each in plan.done:
            self._tell_newest(*each)
        taken: dict[int, int] = {}
        fresh: dict[tuple[int, int], list[Any]] = {}
        for trace, base, times in plan.done:
            begin = taken.get(id(trace), 0)
            taken[id(trace)] = begin + times
            for left, kept in zip(trace.left, trace.kept, strict=True):
                tokens = fresh.setdefault((left.part.index, left.port), [])
                out_of_reach(left, trace, base, times, kept[begin : begin + times], tokens)
            self._account(trace, base, times)
        for trace, _, _ in plan.done:
            for kept in trace.kept:
                kept.clear()
        for part in plan.parts:
            for index, port in enumerate(ports_of(part.sync)):
                add_sorted(port, fresh.get((part.index, index), []))
                evicted = port.evict(part.sync.newest - part.sync.eviction_bound)
                if counts_evicted(part, index):
                    part.sync.counters.add(part.sq.name, "evicted", len(evicted))
        plan.done.clear()

    def give(self, plan: Plan, base: int, advanced: bool, values: list[Any], departed: Again | None) -> None:
        """Give all back, as it stands at the begin of the period at `base`, to the firing rules and the agenda."""
        self._keep(plan)
        if advanced:
            self.agenda.now = max(self.agenda.now, self._last)
        here = iter(values)
        self._ahead.clear()
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
            if departed is None or not departed.told_before(flying.values[0]):
                until = NEG_INFINITY if departed is None else departed.until
                interval = at(base, flying.start, flying.stop)
                self.fly(flying.part, flying.leg, base + since, given, interval, until)

    def fly(self, part: Part, leg: Leg, tick: int, given: list[Any], interval: list[Tick], until: Tick) -> None:
        """Let a token be under way, to arrive at `tick`; by itself at each receiver, if that is not after `until`."""
        start, stop = interval
        if leg.output or tick > until:
            value = next((value for value in given if value is not GONE), GONE)
            if value is not GONE:
                sq, arc = part.forward.sq.name, "" if leg.output else leg.way.name
                receiver = self.links.manager if leg.output else leg.host
                token = Opened(part.context_key, sq, arc, receiver, value, start, stop)
                self.links.put(tick, part.context, token, self._ahead[part.context_key, arc, receiver])
                self._ahead[part.context_key, arc, receiver] += 1
            return
        self.links.came(part.context, leg.way.name, leg.host, 1 if given[0] is not GONE else 0)
        self.agenda.deliver_at(tick, arrive, leg, given, start, stop)


def evicted_of(left: OutOfReach, trace: Trace, base: int, times: int) -> int:
    """How many of the tokens at one place of a trace, run so often from `base` on, are too old by now."""
    sync = left.part.sync
    limit = sync.newest - sync.eviction_bound
    if abs(limit) == INFINITY:
        return 0
    return min(times, max(0, int(-((base + left.since[2] - limit) // trace.length))))


def out_of_reach(left: OutOfReach, trace: Trace, base: int, times: int, kept: list[Any], tokens: list[Any]) -> None:
    """Add to `tokens` those that got out of reach at one place of a trace; count those that are evicted already."""
    sync, length = left.part.sync, trace.length
    start, number, stop, *rest = left.since
    first = evicted_of(left, trace, base, times)
    if counts_evicted(left.part, left.port):
        sync.counters.add(left.part.sq.name, "evicted", first)
    step = trace.numbers[left.part.index]
    for each in range(first, times):
        at = base + each * length
        value = kept[each] if left.value is not None else at + rest[0]
        if left.value is not None and rest:
            value = at + rest[0], value
        tokens.append((at + start, sync.number + each * step + number, at + stop, value))
