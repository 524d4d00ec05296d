"""Plans over a common period: what repeats, as generated code, with the ways back into it.

A `Plan` has a main `Trace`: the events of one period, compiled as a loop. Where an event gives no result and others'
matching depends on that, a `Trace` of its own leads from there to the begin of a period that goes on as ever.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from math import lcm
from typing import Any

from ticktalk.accelerate.bind import ALWAYS, GONE, IN_PLAN, function_of
from ticktalk.accelerate.chosen import NO_BODIES, Inline, InPlace
from ticktalk.accelerate.events import (
    Leg,
    Links,
    Misfit,
    Part,
    PlanEvent,
    StandIn,
    TooLong,
    Unsettled,
    passes_on,
    wires_of,
)
from ticktalk.accelerate.loop_code import ABSENT, LoopCode, Names, OutOfReach, loop_code, optional_values
from ticktalk.accelerate.noted import MOST_NOTED, Notes, first_eviction, in_step, staying
from ticktalk.accelerate.stand_ins import MOST_EVENTS, Lags, World
from ticktalk.accelerate.standing import (
    Standing,
    counts_evicted,
    first_in_reach,
    flies,
    has_value,
    keeps_order,
    ports_of,
    reach_of,
    stateless,
    take,
    tokens_since,
    value_of,
)
from ticktalk.bodies.inlined import raised_in
from ticktalk.bodies.statements import LINES
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import repeats_after

LOOKED_AHEAD = 8
"""Periods in which the stand-ins have to come to repeat themselves; after an absent value as many more."""

MOST_ABSENT = 4
"""Absent values in a row for which there are traces."""

MOST_TRACES = 64

AT_ONCE = 4096
"""Periods in a row, after which tokens out of reach go to the firing rules, which evict them."""

BEGINNING = 16
"""Periods in a row at first, where they are recorded: their values may be long."""

LONGEST_KEPT = 1 << 22
"""Bytes of long values that may wait to be recorded."""

LEAVE = object()
"""Stands in the generated code for the results of a firing of which somebody is to be told."""


class Trace:
    """The events from the begin of a period up to the begin of another one.

    Attributes:
        events: all of them; the code begins with the `first`.
        length: ticks from the begin to the end.
        left: the tokens that get out of reach meanwhile, and `kept`: their values.
        counted: by part's place, counter and number, what the firing rules count.
        numbers: by part's place, how many tokens arrive.
        newest: by part's place, the newest start of those, counted from the end.
        lasts: by place of a part that keeps order and fires, the start of its last set, counted from the end.
        fired: by part's place, how often it fires, if nothing is absent.
        last_tick: the last tick at which something happens, from the begin.
        tail: that is later than all events: a deadline that was met passes, or a token arrives that waits.
        parts: the SQs at which something happens.
        passed: contexts, arcs, and how many tokens are sent there; or how many come to an ensemble, with its name.
        uses: what cores and links are used for, each with its notes.
        onward: by event, the trace that goes on where that one gives no result; None: there is none.
        tried: by event, how often it gave none.
    """

    def __init__(self, plan: Plan, absent: frozenset[int], first: int) -> None:
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
        self.names = Names(begin, plan.values)
        for place, event in enumerate(self.events):
            self.names.name_wires(place, event)
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
        self.kept: list[list[Any]] = [[] for _ in self.left]
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
            self.optional = optional_values(self.events, plan.values, self._ends, self.left, needed, plan.optional)
        self.notes: Notes | None = None
        if world.taps:
            if any(counts_evicted(left.part, left.port) for left in self.left):
                raise Unsettled("tokens wait that nobody meets, and it is recorded when they go")
            self.notes = Notes(world.notes, counted, world.numbers(), self.names, self.events, self.length)
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

    def choose(self, body_of: Callable[[Part], InPlace | None]) -> None:
        """Choose the bodies that stand in the code; `body_of`: those that may."""
        self.inline = Inline(self.events, self.plan.values, self._ends, body_of)

    def written(self, say_which: bool = False) -> LoopCode:
        """The code; `say_which`: with comments that name the SQs."""
        carried = [(f"c{place}", self.names.of(value)) for place, value in enumerate(self._ends)]
        length = 0 if self.first else self.length
        noted = None if self.notes is None else self.notes.given
        code = self.names, self.events, self.first, length, carried, self.left, self.optional
        return loop_code(*code, say_which, self.plan.apart, self.tail, noted, self.inline)

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
                self._ends = ends
                return periods * plan.period
        raise Unsettled("it does not come to repeat itself again")

    def bind(self, acts: dict[str, Any]) -> None:
        """Make the function; `acts`: what the names of rare steps mean."""
        self.code = self.written()
        names = ALWAYS | {"silent": self.plan.silent, "leave": LEAVE, "trace": self, "where": self.where} | acts
        names["length"] = self.length
        for part in self.parts:
            execute = part.context.executes.get(part.sq.name)
            if execute is None:
                continue
            names |= {f"f{part.index}": execute.body, f"arrange{part.index}": execute.arrange}
            for port, kind in enumerate(part.sq.ports):
                if kind.constant is not None:
                    names[f"a{part.index}_{port}"] = decode_constant(kind.constant[0])
        names |= {f"left{place}": values.append for place, values in enumerate(self.kept)}
        if self.notes is not None:
            names["note"] = self.notes.flat.extend
        names |= self.inline.names
        self.run = function_of(self.code.text, names, own=not self.plan.apart, bodies=self.code.bodies)

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
        return self.inline.strange(place, found.get(self.names.of(made[0]))) if made else []

    def at_line(self, line: int) -> Any:
        """The SQ whose firing is at a line of the generated code."""
        part = self.events[self.code.place(line)].part
        return part.context.executes[part.sq.name]


class Plan:
    """What repeats from some tick on.

    Args:
        sqs: the SQs of contexts with open streams.
        links: the links between their ensembles.
        agenda: theirs; all that is due before its next tick has been done.
        lags: how early tokens begin that arrive, from a plan before.
        apart: they are some of several, and run in turns with others (`apart.py`).

    Attributes:
        begin, period: periods begin at `begin`, and every `period` ticks.
        parts: the SQs at which something happens; `places`: their places.
        silent: by place, how often a firing that was planned has not been, as its input was absent.
        standing: how everything stands at the begin of a period, and `values`: what stands there.
        main: the events of a period.
        done: traces that have been run since the firing rules were told, their begins, how often.
        wanted: where an absence lets tokens arrive that begin earlier than any in `main`: the lags of a plan for that.

    Raises:
        Unsettled: nothing repeats.
    """

    def __init__(
        self,
        sqs: list[tuple[ContextParts, TTSQ]],
        links: Links,
        agenda: Agenda,
        lags: Lags,
        apart: bool = False,
    ) -> None:
        if not links.still():
            raise Unsettled("SQs come or leave")
        self.contexts = list({id(context): context for context, _ in sqs}.values())
        self.apart = apart
        self.done: deque[tuple[Trace, int, int]] = deque()
        self.wanted: Lags | None = None
        world = self.world = World(sqs, links, lags)
        world.begin(agenda)
        periods = [
            part.twin.every for part in world.parts if isinstance(part.twin, GridSync) and part.twin.instant is not None
        ]
        periods += [part.sq.every for part in world.parts if part.keeps]
        tick = agenda.next_tick()
        if not periods or tick is None:
            raise Unsettled("no stream is open")
        self.period = lcm(*map(repeats_after, periods))
        if sum(self.period // period for period in periods) > MOST_EVENTS:
            raise TooLong(f"a common period has more than {MOST_EVENTS} events")
        start = world.save()
        while True:
            self.begin = tick
            try:
                self._find()
                break
            except Unsettled:
                if world.truths is not None or not any(event.asked is not None for event in world.events):
                    raise
            world.truths = {}
            world.load(start)
        if apart and any(event.kind == "tell" for event in self.main.events):
            raise Unsettled("outputs take a while to the manager")

    def _find(self) -> None:
        """Find the events of a period from `begin` on, or from the begin of a later one."""
        world = self.world
        self._settle()
        self.places = {part.index for part in self.parts}
        self.staying = {part.index: staying(part.sync) for part in self.parts}
        self.at_once = BEGINNING if world.taps else AT_ONCE
        world.load(self.saved)
        self.standing = world.standing(self.begin, ABSENT)
        self.values: list[StandIn] = self.standing.values_of(self.parts)
        for value in self.values:
            value.event = -1  # those before are forgotten
        self.needed = {id(value) for _, each in self.standing.flying if self.counted(each.leg) for value in each.values}
        self.optional: set[int] | None = None  # the places of values that may be absent
        self.silent = [0] * len(world.parts)
        self.traces, self.overtaken = 1, False
        self.main = Trace(self, frozenset(), 0)
        chosen = [each for event in self.main.events for each in event.results or () if each.when is not None]
        if world.truths is None and not {id(each.value) for each in chosen} <= self.main.optional:
            raise Unsettled("others depend on a condition")
        self.overtaken = world.overtaken
        numbers = world.standing(self.begin + self.main.length, ABSENT).stickies
        for place in [place for place, number in self.standing.stickies.items() if number != numbers[place]]:
            del self.standing.stickies[place]  # it stays the same token

    def _settle(self) -> None:
        """Run the stand-ins until a period ends as it began."""
        world = self.world
        for _ in range(LOOKED_AHEAD):
            for part in world.parts:
                part.active = False
            world.begin_anew()
            lags = [part.lag for part in world.parts]
            saved, before = world.save(), world.standing(self.begin, ABSENT)
            world.run(self.begin + self.period)
            after = world.standing(self.begin + self.period, ABSENT)
            self.parts = [part for part in world.parts if part.active]
            # What is known of a number that was there before may not be known of those that come after it.
            guessed = any(value.event < 0 and value.tick is not None for value in before.values_of(world.parts))
            lasts = all(before.lasts.get(part.index) == after.lasts.get(part.index) for part in self.parts)
            if lasts and not guessed and lags == [part.lag for part in world.parts] and before.same(after, self.parts):
                self.saved = saved
                self.parts = self._with_choices()
                return
            self.begin += self.period
        raise Unsettled("it does not come to repeat itself")

    def _with_choices(self) -> list[Part]:
        """The SQs at which something happens, and those behind a condition, whatever that was."""
        found = {part.index: part for part in self.parts}
        behind = [event.part for event in self.world.events if event.asked is not None]
        while behind:
            part = behind.pop()
            found[part.index] = part
            behind += [taker for leg in part.legs for taker, _ in leg.to if taker.index not in found]
        return [found[index] for index in sorted(found)]

    def stands(self, base: int, agenda: Agenda) -> tuple[Standing, list[Any]]:
        """How all stands at `base`, and the values there, if that is the begin of a period.

        Raises:
            Misfit: it stands otherwise, or something that it was made from has changed.
        """
        try:
            standing = self.world.standing(base, GONE, agenda)
        except Unsettled as reason:
            raise Misfit(str(reason)) from None
        values = self.match(standing, GONE) if self.holds() and self.in_step(standing) else None
        if values is None:
            raise Misfit("it does not stand as planned")
        return standing, values

    def take(self) -> None:
        """Take from the firing rules the tokens that wait, which stand as at the begin of a period."""
        for part in self.parts:
            take(part, self.standing)

    def holds(self) -> bool:
        """True if nothing that it was made from has changed, other than how the firing rules stand."""
        links = self.world.links
        return (
            links.still()
            and not any(context.closed for context in self.contexts)
            and all(
                links.delay(part.context, part.forward.sq.name, receiver) == delay
                for (part, receiver), delay in self.world.delays.items()
            )
            and all(part.stage is not None and part.stage.pace == pace for part, pace in self.world.paces.items())
        )

    def match(self, standing: Standing, absent: Any) -> list[Any] | None:
        """The values, if all stands as at the begin of a period; `absent` for those that may be, and are.

        None: it stands otherwise.
        """
        mine = self.standing
        if not mine.same_rules(standing, self.parts):
            return None
        for link in {*standing.latest, *mine.latest} if standing.latest != mine.latest else ():
            latest, planned = standing.latest.get(link, 0), mine.latest.get(link, 0)
            if latest > planned or (latest < planned and self.overtaken):
                return None
        if any(standing.lasts[place] > mine.lasts[place] for place in self.places & mine.lasts.keys()):
            return None
        values = [value for part in self.parts for value in standing.values[part.index]]
        there = standing.flying[::-1]
        for since, flying in mine.flying:
            if there and flies(*there[-1]) == flies(since, flying):
                values += there.pop()[1].values
                continue
            places = set(range(len(values), len(values) + len(flying.values)))
            if self.optional is None or not places or not places <= self.optional:
                return None
            values += [absent] * len(places)
        lacking = {place for place, value in enumerate(values) if value is absent}
        return None if there or not lacking <= (self.optional or set()) else values

    def counted(self, leg: Leg) -> bool:
        """True if it is told how many tokens go there, so that none may be absent."""
        return bool(leg.size or (leg.host and self.world.links.numbered))

    def in_step(self, standing: Standing) -> bool:
        """True if the tokens that are under way are all that were sent and have not come."""
        flying = Counter(_way(each.part, each.leg) for _, each in standing.flying if each.leg.host)
        ways = {_way(part, leg): part.context for part in self.parts for leg in part.legs if leg.host}
        if not all(self.world.links.in_step(context, way[1], way[2], flying[way]) for way, context in ways.items()):
            return False
        return not self.world.taps or all(map(self._numbered_as_planned, self.parts))

    def _numbered_as_planned(self, part: Part) -> bool:
        """True if the tokens that wait have the numbers in the notes."""
        moving, now = self.standing.stickies, staying(part.sync)
        stay = {slot for slot in {*now, *self.staying[part.index]} if (part.index, slot) not in moving}
        return in_step(part, ports_of(part.sync)) and all(
            now.get(slot) == self.staying[part.index].get(slot) for slot in stay
        )

    def noted(self, trace: Trace, base: int, times: int) -> None:
        """Let the taps know of so many runs of a trace, from `base` on."""
        if trace.notes is None:
            return
        running.current = None
        size = trace.notes.tell(base - self.begin, times)
        running.current = IN_PLAN
        most = max(1, min(AT_ONCE, MOST_NOTED // (len(trace.notes.given) + 1)))
        self.at_once = min(most, 2 * self.at_once) if size < LONGEST_KEPT else max(1, self.at_once // 2)

    def stops(self, base: int, standing: Standing, limit: float) -> float:
        """The tick up to which periods that begin at `base` may go on."""
        timers = [base + since for since, place in standing.timers if place not in self.places]
        if self.world.taps:
            for part in self.parts:
                used = [len(tokens) for tokens in self.standing.shapes[part.index][: len(ports_of(part.sync))]]
                newest = self.main.newest[part.index] + self.period
                timers.append(first_eviction(part, ports_of(part.sync), used, newest))  # type: ignore[arg-type]
        return min(limit, standing.others, self.windows_end, *timers)

    def most(self, base: int, stop: float) -> int:
        """How many periods fit in from `base` to before `stop`."""
        return int((stop - base) // self.period) if stop < INFINITY else 1 << 40

    @property
    def windows_end(self) -> Tick:
        """The begin of the first period in which the window of a stream closes."""
        streams = [(part.sync.end, part.index) for part in self.parts if isinstance(part.sync, GridSync)]
        instants = [(end, self.standing.shapes[index][0]) for end, index in streams]
        return min([end - instant for end, instant in instants if instant is not None], default=INFINITY)

    def onward(self, trace: Trace, place: int) -> Trace | None:
        """The trace that goes on where the event at a place of `trace` gives no result."""
        if place not in trace.onward:
            trace.onward[place], lags = None, self.world.lags
            if len(trace.absent) < MOST_ABSENT and self.traces < MOST_TRACES:
                try:
                    trace.onward[place] = Trace(self, trace.absent | {place}, place + 1)
                    self.traces += 1
                except Unsettled:
                    pass
                if self.world.lags != lags:  # else what is out of reach in a period could be met after an absence
                    self.wanted, trace.onward[place] = self.world.lags, None
        return trace.onward[place]


def _way(part: Part, leg: Leg) -> tuple[tuple[str, int], str, str]:
    return part.context_key, leg.way.name, leg.host
