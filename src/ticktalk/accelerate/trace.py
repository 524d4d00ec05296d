"""A trace: the events from the begin of a period up to the begin of another one, and their effects.

The main one is that of a period. Where an event gives no result and others' matching depends on that, one of its own
leads from there to the begin of a period that goes on as ever.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from ticktalk.accelerate.chosen import NO_BODIES
from ticktalk.accelerate.code import LoopCode
from ticktalk.accelerate.events import ABSENT, Part, PlanEvent, StandIn, Unsettled, passes_on, wires_of
from ticktalk.accelerate.noted import Notes
from ticktalk.accelerate.settled import LOOKED_AHEAD, Settled
from ticktalk.accelerate.standing import (
    counts_evicted,
    first_in_reach,
    has_value,
    keeps_order,
    ports_of,
    reach_of,
    stateless,
    tokens_since,
    value_of,
)
from ticktalk.bodies.inlined import raised_in
from ticktalk.bodies.statements import LINES
from ticktalk.engine.firing.arrival import SinglePortSync
from ticktalk.time import NEG_INFINITY


class OutOfReach(NamedTuple):
    """A token that gets out of reach in a period, while it waits at a port; times count from the period's begin.

    Attributes:
        part: whose port it is.
        port: the place of the port.
        since: its start, number, stop, and the tick of a deadline or of the arrival of data.
        value: the value; None: it has none.
    """

    part: Part
    port: int
    since: tuple[int, ...]
    value: StandIn | None


class Trace:
    """The events from the begin of a period up to the begin of another one.

    Attributes:
        events: all of them; the code begins with the `first`.
        length: ticks from the begin to the end.
        left: the tokens that get out of reach meanwhile.
        taken: what the code keeps at the end of each period: values of these tokens, or of all that is recorded.
        kept: that, one period after the other. A tuple for each would be looked at by the collector of garbage.
        counted: by part's place, counter and number, what the firing rules count.
        numbers: by part's place, how many tokens arrive.
        newest: by part's place, the newest start of those, counted from the end.
        lasts: by place of a part that keeps order and fires, the start of its last set, counted from the end.
        fired: by part's place, how often it fires, if nothing is absent.
        last_tick: the last tick at which something happens, from the begin.
        tail: true if `last_tick` is later than all events: a deadline that was met passes, or a token comes that waits.
        parts: the SQs at which something happens.
        passed: contexts, arcs, and how many tokens are sent there; or how many come to an ensemble, with its name.
        uses: what cores and links are used for, each with its notes.
        onward: by event, the trace that goes on where that one gives no result; None: there is none.
        tried: by event, how often it gave none.
    """

    def __init__(self, plan: Settled, absent: frozenset[int], first: int) -> None:
        world, begin = plan.world, plan.begin
        world.load(plan.saved)
        world.absent = absent
        starts = {
            (part.index, place): first_in_reach(port, reach_of(part, part.twin, place, begin))
            for part in plan.parts
            for place, port in enumerate(ports_of(part.twin))
        }
        numbers, counted = {part.index: part.twin.number for part in plan.parts}, world.numbers()
        ordered = {part: part.twin.last_start for part in world.parts if keeps_order(part.twin)}
        for part in world.parts:
            part.active, part.twin.newest = False, NEG_INFINITY
        self.plan, self.absent, self.first = plan, absent, first
        self.length = self._run_up_to_a_begin()
        end = begin + self.length
        self.events: list[PlanEvent] = world.events
        self.last_tick = world.agenda.now - begin
        self.tail = bool(self.events) and world.agenda.now > self.events[-1].tick
        came, overtaken = dict(world.came), world.overtaken  # then an absence would let others arrive sooner
        for place, event in enumerate(self.events):
            made = wires_of(event)
            for wire in made:
                wire.name = f"v{place}" if len(made) == 1 else f"v{place}_{wire.wire}"
        self.left: list[OutOfReach] = []
        for part in plan.parts:
            for index, port in enumerate(ports_of(part.twin)):
                last = first_in_reach(port, reach_of(part, part.twin, index, end))
                for token in port.tokens[starts[part.index, index] : last]:
                    start, number, *rest = tokens_since(part.twin, port, token, begin)
                    since = (start, number + part.twin.number - numbers[part.index], *rest)
                    value = value_of(part.twin, token) if has_value(part.twin, port) else None
                    self.left.append(OutOfReach(part, index, since, value))
        self.parts = [part for part in world.parts if part.index in plan.places or part.active]
        for part in self.parts:
            if part.index not in plan.places and not stateless(part):
                raise Unsettled(f"{part.sq.name} has its part after an absence only")
        self.numbers = {part.index: part.twin.number - numbers[part.index] for part in plan.parts}
        self.newest = {part.index: part.twin.newest - end for part in self.parts}
        self.lasts = {
            part.index: part.twin.last_start - end for part, last in ordered.items() if part.twin.last_start != last
        }
        self.counted = [
            (part, kind, count)
            for part in self.parts
            for kind, count in world.counters[id(part.context)].by_sq.get(part.sq.name, {}).items()
        ]
        self.fired = Counter(event.part.index for event in self.events if event.runs)
        self.onward: dict[int, Trace | None] = {}
        self.tried: Counter[int] = Counter()
        sent = Counter(
            (event.part, arc)
            for event in self.events
            for arc in {leg.way.name for leg, wires in event.ways if leg.host and wires}
        )
        self.passed = [(part.context, arc, "", count) for (part, arc), count in sent.items()]
        self.passed += [(part.context, arc, host, count) for (part, arc, host), count in came.items()]
        self.uses = [(use.of, use.notes.copy()) for use in world.uses if use.notes]
        self.optional: set[int] = set()
        if not (overtaken or world.taps):
            ways = [way for event in self.events for way in event.ways]
            needed = plan.needed | {id(value) for leg, wires in ways for value in wires if plan.counted(leg)}
            if world.truths is not None:  # then others with the same condition give nothing
                needed |= {id(result.value) for event in self.events for result in event.results or () if result.when}
            self.optional = self._optional(needed)
        self.notes: Notes | None = None
        if world.taps:
            if any(counts_evicted(left.part, left.port) for left in self.left):
                raise Unsettled("tokens wait that nobody meets, and it is recorded when they go")
            self.notes = Notes(world.notes, counted, world.numbers(), begin, self.events, self.length)
        with_value = [left.value.text(begin) for left in self.left if left.value is not None]
        self.taken = with_value if self.notes is None else self.notes.given
        self.kept: list[Any] = []
        begin_may_lack = {place for place, value in enumerate(plan.values) if id(value) in self.optional}
        if plan.optional is None:
            plan.optional = begin_may_lack
        elif not plan.optional <= begin_may_lack:
            raise Unsettled("what may be absent is needed after an absence")
        self.raised: BaseException | None = None
        self.partial: list[Any] = []  # the results of an SQ on tokens before that
        self.in_body = False
        self.inline = NO_BODIES
        self.code: LoopCode
        self.run: Any = None

    def _optional(self, needed: set[int]) -> set[int]:
        """The ids of the values whose absence changes only whether the SQs behind fire.

        Those SQs have one input, keep no order and tell no tags. `needed`: the ids of values that may not be absent.
        """
        begin, allowed = self.plan.values, self.plan.optional
        uses: Counter[int] = Counter(id(value) for event in self.events for value in event.inputs)
        uses.update(id(value) for value in self.ends)
        found = {id(value) for value in [*begin, *(value for event in self.events for value in wires_of(event))]}
        found = {value for value in found if uses[value] == 1}
        found -= needed | {id(entry.value) for entry in self.left}
        while True:
            lost: set[int] = set()
            for event in self.events:
                single = isinstance(event.part.twin, SinglePortSync) and not event.part.twin.forward
                single &= event.kind == "fire" and not event.part.keeps and not any(leg.tag for leg in event.part.legs)
                single |= event.kind == "end"
                if not (event.kind == "tell" or (single and all(id(value) in found for value in wires_of(event)))):
                    lost.update(id(value) for value in event.inputs)
            for place, value in enumerate(self.ends):
                if not (id(begin[place]) in found if allowed is None else place in allowed):
                    lost.add(id(value))
            if not lost & found:
                return found
            found -= lost

    def _run_up_to_a_begin(self) -> int:
        """Run the stand-ins up to the begin of a period that goes on as ever; gives the ticks up to there."""
        plan, world = self.plan, self.plan.world
        for counters in world.counters.values():
            counters.by_sq.clear()
        for periods in range(1, LOOKED_AHEAD + 1):
            end = plan.begin + periods * plan.period
            world.run(end)
            ends = plan.match(world.standing(end, ABSENT), ABSENT)
            if ends is not None:
                self.ends = ends
                return periods * plan.period
        raise Unsettled("it does not come to repeat itself again")

    def where(self, error: BaseException) -> int:
        """The place of the event at which an error came up."""
        trace = error.__traceback__
        assert trace is not None
        line = trace.tb_lineno
        self.raised, self.in_body = error, self.code.is_body(line)
        place = self.code.place(line)
        if line >= LINES and not isinstance(error, KeyboardInterrupt):
            part = self.events[place].part
            raised_in(part.context.executes[part.sq.name].body, error)
        return -2 if place == -1 else place

    def strange(self, place: int, found: dict[str, Any]) -> list[Part]:
        """The SQs whose bodies cannot stand in the code, because of a value at which it has departed."""
        if self.raised is not None or not self.inline.of or not 0 <= place < len(self.events):
            return []
        made = wires_of(self.events[place]) if passes_on(self.events[place]) else []
        return self.inline.strange(place, found.get(made[0].name)) if made else []

    def at_line(self, line: int) -> Any:
        """The SQ whose firing is at a line of the generated code."""
        part = self.events[self.code.place(line)].part
        return part.context.executes[part.sq.name]
