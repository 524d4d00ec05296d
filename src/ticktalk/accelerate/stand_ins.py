"""Finds what repeats in a simulation: the firing rules themselves run on stand-ins for values.

All streams that are open have a common period. Copies of the firing rules, with an agenda of their own, run on from
where the simulation stands, with a `StandIn` for each value; each firing is a `PlanEvent`, and no body runs. If
the rules stand at the end of a period as they stood at its begin, the events of that period repeat. So no rule of
matching is written down a second time here, and whatever the firing rules do can repeat: different rates, tokens that
are under way between ensembles, deadlines and their plan Bs.

An event that depends on a value does not settle: `Unsettled`. A tick that the program computes from an instant
(`tag + n`) is known, so a deadline is, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.events import (
    ENDING,
    Flying,
    Leg,
    Links,
    Part,
    PlanEvent,
    StandIn,
    TakesTime,
    TooLong,
    Unsettled,
)
from ticktalk.accelerate.noted import Given, stand_in
from ticktalk.accelerate.on_tokens import GIVE_TICKS, known_tick, run_on_tokens
from ticktalk.accelerate.standing import Standing, copied, evicts_in_reach, since, stands
from ticktalk.counters import Counters
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.arrival import ArrivalSync
from ticktalk.engine.firing.deadline import DeadlineSync, PlanBSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.tap import Numbers, Tap, outcome_of
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, Tick
from ticktalk.values.codec import handed_on

MOST_EVENTS = 4000
"""Events of a period that is planned: a longer function takes long to compile."""

LOOKED_BACK = 256
"""Tokens of a port that the stand-ins begin with: the latest. Older ones have to be out of reach."""

Lags = dict[tuple[str, int, str], Tick]


class World:
    """The stand-ins of some SQs, and of what is under way between them.

    Args:
        sqs: the SQs, each with its context; they share an agenda, and no arc leads to others.
        links: the links between their ensembles.
        lags: see `Part.lag`, as far as known; by graph, context and SQ.
    """

    def __init__(self, sqs: list[tuple[ContextParts, TTSQ]], links: Links, lags: Lags) -> None:
        self.links = links
        self.agenda = Agenda()
        self.counters: dict[int, Counters] = {}
        self.parts: list[Part] = []
        self.part_of: dict[int, Part] = {}  # by id of the real firing rule
        self.crossings: dict[tuple[Part, str], tuple[int, int] | None] = {}  # by sender and receiver
        self.ways: Any = None if links.timing is None else links.timing.twin(self.agenda)
        self.came: Counter[tuple[Part, str, str]] = Counter()  # by sender, arc and receiver, the tokens
        self.overtaken = False  # a token has waited for another one on its way
        self.cores: dict[int, Any] = {}  # by id of the real ones, the copies
        self.events: list[PlanEvent] = []
        self.taps: dict[int, Tap] = {}  # by id of a context, the copy of its tap
        self.notes: list[tuple[ContextParts, Any]] = []  # what those have noted
        self.absent: Collection[int] = ()  # the events that give no result
        self.truths: dict[int, bool] | None = None  # of conditions, by event
        self._twin_of: dict[int, Part] = {}
        self._by_name: dict[tuple[str, int, str], Part] = {}
        self._by_stage: dict[int, Part] = {}
        deadline_of = {(id(context), sq.plan_b): sq for context, sq in sqs if sq.plan_b is not None}
        for context, sq in sqs:
            self._add(context, sq, deadline_of.get((id(context), sq.name)))
        by_place = {(*part.context_key, part.context.prepared.here): part.context for part in self.parts}
        self._legs_of_all(by_place)
        for name, part in self._by_name.items():
            part.lag = lags.get(name, INFINITY)
        self.paces = {part: part.stage.pace for part in self.parts if part.stage is not None}

    def _add(self, context: ContextParts, sq: TTSQ, deadline: TTSQ | None) -> None:
        if id(context) not in self.counters:
            self.counters[id(context)] = Counters() if context.tap is None else self._tap(context, context.tap)
        forward = context.forwards[deadline.name if deadline is not None and deadline.will_continue else sq.name]
        part = Part(len(self.parts), context, sq, forward)
        self.parts.append(part)
        self.part_of[id(part.sync)] = part
        self._twin_of[id(part.twin)] = part
        self._by_name[(*part.context_key, sq.name)] = part
        self._stand_in(part, self.counters[id(context)])

    def _tap(self, context: ContextParts, tap: Tap) -> Counters:
        """Let a copy of a tap take note; its counters."""
        if self.links.numbered:
            raise Unsettled("SQs may move while they are recorded")
        twin = tap.twin(lambda record: self.notes.append((context, record)), lambda: self.agenda.now)
        self.taps[id(context)] = twin
        return twin.counters

    def _stand_in(self, part: Part, counters: Counters) -> None:
        """Let the copy of a firing rule hold stand-ins, and note what it does."""
        sync, twin = part.sync, part.twin
        if sync.inbox or sync.remote or sync.queued or part.sq.name in part.context.one_by_one:
            raise Unsettled(f"{part.sq.name} is held, or has its turn now")
        vars(twin).update({name: copied(value) for name, value in vars(sync).items() if name not in _SHARED})
        for name in _WATCHED:
            vars(twin).pop(name, None)
        twin.key, twin.agenda, twin.counters = (sync.key[0], twin), self.agenda, counters
        twin.evict_at = twin.eviction_bound = twin.patience = INFINITY
        twin.fire = lambda start, stop, values, now: self._note(part, "fire", start, stop, values, now)
        if part.keeps:
            memory: dict[str, Any] = part.context.executes[part.sq.name].memory
            twin.memory = {name: (tick, StandIn(-1, 0)) for name, (tick, _) in memory.items()}
        part.stage = None if part.refused else self.links.stage(part.context, part.sq.name)
        if part.stage is not None:
            self._take_time(part, part.stage, counters)
        if isinstance(twin, GridSync):
            if twin.change is not None or not twin.window_start < twin.end:
                twin.instant = None
            twin.end = INFINITY
            twin.values = tuple([stand_in(value, stays=True) for value in twin.values])
        elif isinstance(twin, (ArrivalSync, PlanBSync)):
            for port in twin.ports:
                port.tokens = [(*token[:3], stand_in(token[3])) for token in port.tokens[-LOOKED_BACK:]]
            sticky = twin.sticky if isinstance(twin, ArrivalSync) else {}
            for slot, token in sticky.items():
                sticky[slot] = None if token is None else (*token[:3], stand_in(token[3], stays=True))
        elif isinstance(twin, DeadlineSync):
            for port in (twin.data, twin.missed):
                del port.tokens[:-LOOKED_BACK]
            twin.data.tokens = [(*token[:3], (token[3][0], stand_in(token[3][1]))) for token in twin.data.tokens]
            twin.pass_on = lambda value, start, stop: self._note(part, "pass", start, stop, (value,), self.agenda.now)
            twin.report = _fails
        tap = self.taps.get(id(part.context))
        if tap is not None:
            twin.leave = None
            tap.watch_sync(twin)
            if not isinstance(twin, DeadlineSync):
                twin.fire = tap.deciding(part.sq, twin.fire, twin.full)

    def _take_time(self, part: Part, stage: TakesTime, counters: Counters) -> None:
        """Let the body of an SQ take its time on a copy of its core."""
        twin = part.stage_twin = stage.twin(
            self.cores,
            self.agenda,
            part.twin if isinstance(part.twin, GridSync) else None,
            stage.elsewhere._replace(
                send=lambda value, start, stop: self._note(part, "end", start, stop, (value,), self.agenda.now),
                failed=_fails,
                tally=lambda kind: counters.add(part.sq.name, kind),
            ),
        )
        twin.body = lambda start, stop, values, now: self._note(part, "run", start, stop, values, self.agenda.now)
        part.twin.fire = twin.fire
        if part.forward.tags and part.sq.trigger in ("arrival", "grid"):

            def fire(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
                self._note(part, "tag", start, stop, (), now)
                twin.fire(start, stop, values, now)

            part.twin.fire = fire
        given: list[Any] = []
        shape = self._stage_stands(part, stage, 0, given, GONE)
        twin.stand(0, shape, iter([StandIn(-1, 0) for _ in given]), GONE)
        self._by_stage |= {id(stage): part, id(twin): part}

    def _stage_stands(self, part: Part, stage: TakesTime, base: int, values: list[Any], absent: Any) -> tuple[Any, ...]:
        shape = stage.stands(base, values, absent)
        if shape is None:
            raise Unsettled(f"a run of {part.sq.name} has failed, or it is to move")
        return shape

    def _legs_of_all(self, by_place: dict[tuple[str, int, str], ContextParts]) -> None:
        for part in self.parts:
            forward, key = part.forward, part.context_key
            for tag, ways in ((True, forward.tags), (False, forward.ways)):
                for way in ways:
                    if way.unplaced:
                        part.refused = f"receivers of {part.sq.name} have no ensemble"
                    if part.context.tap is not None and not (way.hosts or way.local or (way.output and not tag)):
                        part.refused = f"a token of {part.sq.name} that goes nowhere is recorded"
                    for host in way.hosts:
                        context = by_place.get((*key, host))
                        there = [] if context is None else context.incoming.get(way.name, [])
                        to = [(self.part_of[id(sync)], port) for sync, port in there]
                        if not to:
                            part.refused = f"nobody takes tokens of {part.sq.name} on {host}"
                        part.legs.append(Leg(way, tag, host, to, False, *self._crossing(part, host)))
                    if way.local:
                        to = [(self.part_of[id(sync)], port) for sync, port in way.local if id(sync) in self.part_of]
                        if len(to) < len(way.local):
                            part.refused = f"receivers of {part.sq.name} move"
                        part.legs.append(Leg(way, tag, "", to, False))
                    if way.output:
                        part.legs.append(Leg(way, tag, "", [], True, *self._crossing(part, self.links.manager)))
            if part.sq.trigger == "deadline" and part.sq.plan_b is not None:
                plan_b = self.part_of[id(part.context.syncs[part.sq.plan_b])]
                part.twin.plan_b, part.twin.plan_b_fire, plan_b.asker = plan_b.twin, plan_b.twin.fire, part

    def _crossing(self, part: Part, receiver: str) -> tuple[int, int]:
        """The ticks that its tokens take, and their bytes."""
        if part.context.prepared.here == receiver:
            return 0, 0
        found = self.crossings[part, receiver] = self.links.crossing(part.context, part.forward.sq.name, receiver)
        if found is None:
            part.refused = f"tokens of {part.sq.name} to {receiver} take no settled time"
        return found or (0, 0)

    # What the stand-ins do.

    def _note(self, part: Part, kind: str, start: Tick, stop: Tick, inputs: Any, now: int) -> None:
        if part.refused:
            raise Unsettled(part.refused)
        place = len(self.events)
        if place >= MOST_EVENTS:
            raise TooLong(f"more than {MOST_EVENTS} events in a period")
        part.active = True
        tap, way = self.taps.get(id(part.context)), None
        tokens = inputs if kind == "fire" and part.twin.full else None
        taken = tuple(inputs) if tokens is None else tuple([token[2] for token in tokens])
        event = PlanEvent(part, kind, now, start, stop, taken)
        event.gives = place not in self.absent
        self.events.append(event)
        if kind == "tell":
            return
        if tokens is not None:
            event.intervals = [token[:2] for token in tokens]
            event.results = run_on_tokens(event, place, tokens, event.gives, self.truths)
            event.gives, known = bool(event.results), None
        else:
            known = known_tick(part, taken) if event.runs else taken[0].tick if kind == "end" else None
        if kind == "run":
            if part.stage_twin.elsewhere.paths and event.gives:
                event.wires.append([StandIn(place, 0, known)])
                part.stage_twin.keep(event.wires[0][0], start, stop)
            return
        wire = 0
        fires_tag = kind == "tag" or (kind == "fire" and part.sq.trigger in ("arrival", "grid"))
        for leg in part.legs:
            if (leg.tag and not fires_tag) or (kind == "tag" and not leg.tag):
                event.wires.append([])
                continue
            if leg.tag:
                tick = int(start + (stop - start) // 2) if part.sq.trigger == "grid" else now
                values = [StandIn(place, -1, tick) for _ in range(leg.receivers)]
            else:
                values = [StandIn(place, wire + each, known) for each in range(leg.receivers)]
                wire += len(values)
                if not event.gives or event.results is not None:
                    event.wires.append([])
                    continue
            event.wires.append(values)
            if tap is not None and leg.way is not way:
                way, given = leg.way, values[0] if values else None
                tap.sent(part.forward.sq.name, way.name, Given(place, way.name, given), start, stop)
            if leg.delay:
                arrival = self._arrival(part, leg, now)
                self.agenda.deliver_at(arrival, self.arrive, Flying(part, leg, values, start, stop))
            elif leg.to:
                self.arrive(Flying(part, leg, values, start, stop))
        if tap is not None:
            tap.apart()
        for result in event.results or ():
            self._note(part, "end", result.start, result.stop, (result.value,), now)
        if tap is not None and kind == "fire":
            tap.fired(part.sq.name, start, stop, now, now, outcome_of(False, event.gives))

    def _arrival(self, part: Part, leg: Leg, now: int) -> int:
        """When a token arrives that is sent now: it may have to wait for those ahead of it."""
        alone = now + leg.delay
        if self.ways is None:
            return alone
        tick: int = self.ways.arrival(part.context.prepared.here, leg.host or self.links.manager, lambda: leg.size)
        self.overtaken |= tick != alone
        return tick

    @property
    def uses(self) -> list[Any]:
        """The use of cores and links."""
        return [*(cores.use for cores in self.cores.values()), *(() if self.ways is None else self.ways.uses)]

    @property
    def lags(self) -> Lags:
        """How early tokens begin that arrive, as far as it has been seen."""
        return {name: part.lag for name, part in self._by_name.items()}

    def arrive(self, flying: Flying) -> None:
        """A token reaches its receivers."""
        leg, now = flying.leg, self.agenda.now
        if leg.output:
            self._note(flying.part, "tell", flying.start, flying.stop, flying.values, now)
            return
        if leg.host:
            self.came[flying.part, leg.way.name, leg.host] += 1
        tap = self.taps.get(id(leg.to[0][0].context)) if leg.host and leg.to else None
        if tap is not None:
            tap.came(leg.way.name)
        for (taker, port), value in zip(leg.to, flying.values, strict=True):
            given: Any = value
            if taker.twin.handled:
                raise Unsettled(f"tokens that leave {taker.sq.name} unused have a handler")
            if isinstance(taker.twin, GridSync):
                raise Unsettled(f"windows of {taker.sq.name} come anew")
            if isinstance(taker.twin, DeadlineSync) and (taker.twin.sticky_data or taker.twin.sticky_deadline):
                raise Unsettled(f"the deadlines or the data of {taker.sq.name} stay")
            if isinstance(taker.twin, DeadlineSync) and port == 1:
                if value.tick is None:
                    raise Unsettled(f"a deadline of {taker.sq.name} depends on values")
                given = value.tick
            taker.active = True
            taker.lag = min(taker.lag, flying.start - now)
            if evicts_in_reach(taker, max(taker.twin.newest, flying.start), now):
                raise Unsettled(f"tokens of {taker.sq.name} are too old before others arrive that meet them")
            taker.twin.receive(port, flying.start, flying.stop, given, bool(leg.host))
        if tap is not None:
            tap.apart()

    def begin_anew(self) -> None:
        """No event has been yet."""
        self.events = []
        if self.truths is not None:
            self.truths = {}

    def run(self, until: int) -> None:
        """Let everything happen that is due before `until`."""
        agenda = self.agenda
        while (tick := agenda.next_tick()) is not None and tick < until:
            agenda.run_tick(tick)

    # How they stand.

    def save(self) -> tuple[Any, ...]:
        """All that `load` needs to go back here."""
        agenda = self.agenda
        timers = agenda.now, copied(agenda._ticks), copied(agenda._due), copied(agenda._arrivals)
        return timers, [{k: copied(v) for k, v in vars(each).items()} for each in self._twins], self.numbers()

    def numbers(self) -> dict[int, Numbers]:
        """By id of a context, what the copy of its tap has counted."""
        return {place: Numbers(*map(Counter, tap.numbers)) for place, tap in self.taps.items()}

    @property
    def _twins(self) -> list[Any]:
        """All that changes."""
        stages = [part.stage_twin for part in self.parts if part.stage is not None]
        ways = () if self.ways is None else (self.ways,)
        return [*(part.twin for part in self.parts), *stages, *self.cores.values(), *ways]

    def load(self, saved: tuple[Any, ...]) -> None:
        """Go back to where `save` was called."""
        agenda, (timers, twins, numbers) = self.agenda, saved
        agenda.ready.clear()
        agenda.now, agenda._ticks, agenda._due, agenda._arrivals = timers[0], *map(copied, timers[1:])
        for twin, state in zip(self._twins, twins, strict=True):
            vars(twin).update({k: copied(v) for k, v in state.items()})
        for place, tap in self.taps.items():
            tap.numbers = Numbers(*map(Counter, numbers[place]))
        self.notes, self.overtaken = [], False
        self.begin_anew()
        self.came.clear()
        for use in self.uses:
            use.notes.clear()

    def standing(self, base: int, absent: Any, agenda: Agenda | None = None) -> Standing:
        """How everything stands at the begin of tick `base`; `agenda`: the real one, else the stand-ins are looked at.

        `absent` stands for results of runs under way that will give none.

        Raises:
            Unsettled: a rule is in its turn, or changes.
        """
        standing = Standing({}, {}, {}, [], [], INFINITY, {}, {})
        if agenda is not None and self.links.busy_beside(self._by_stage):
            raise Unsettled("bodies run that have no part in it")
        ways = self.ways if agenda is None else self.links.timing
        for link, tick in () if ways is None else ways.latest.items():
            if tick > base:
                standing.latest[link] = tick - base
        for part in self.parts:
            sync = part.sync if agenda is not None else part.twin
            if sync.inbox or sync.remote or sync.queued:
                raise Unsettled(f"{part.sq.name} has its turn now")
            values = standing.values[part.index] = []
            for slot, token in sync.sticky.items() if isinstance(sync, ArrivalSync) else ():
                standing.stickies[part.index, slot] = 0 if token is None else token[1] - sync.number
            standing.shapes[part.index] = stands(part, sync, base, values, standing.lasts)
            if part.stage is not None:
                stage = part.stage if agenda is not None else part.stage_twin
                standing.shapes[part.index] += (self._stage_stands(part, stage, base, values, absent),)
            if part.keeps:
                memory = part.twin.memory if agenda is None else part.context.executes[part.sq.name].memory
                standing.shapes[part.index] += (
                    part.called,
                    [(name, memory[name][0] - base) for name in sorted(memory)],
                )
                values += [] if part.called else [memory[name][1] for name in sorted(memory)]
        others: Tick = INFINITY
        of = self.part_of if agenda is not None else self._twin_of
        for tick, turns in (agenda or self.agenda)._due.items():
            for turn in turns:
                part_there = of.get(id(turn))
                if part_there is None:
                    others = min(others, tick)
                else:
                    standing.timers.append((tick - base, part_there.index))
        standing.timers.sort()
        for tick, messages in sorted((agenda or self.agenda)._arrivals.items()):
            for deliver, message in messages:
                flying = self.flying(deliver, message)
                if flying is None:
                    others = min(others, tick)
                else:
                    start, stop = since(flying.start, base), since(flying.stop, base)
                    counted = Flying(flying.part, flying.leg, flying.values, start, stop)
                    standing.flying.append((tick - base, counted))
        if any(tick + base == others for tick, _ in standing.flying):
            raise Unsettled("something else arrives with a token")
        return standing._replace(others=others)

    def flying(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> Flying | None:
        """The token that an arrival brings, with a value for each receiver, or the end of a run; None: neither."""
        if deliver == self.arrive:
            flying: Flying = message[0]
            return flying
        ending = self.links.ending(deliver, message)
        if ending is not None:
            part = self._by_stage.get(id(ending[0]))
            return None if part is None else Flying(part, ENDING, [], ending[1], None)
        opened = self.links.opened(deliver, message)
        part = None if opened is None else self._by_name.get((*opened.context, opened.sq))
        if opened is None or part is None:
            return None
        for leg in part.legs:
            if leg.output if not opened.arc else (leg.host == opened.receiver and leg.way.name == opened.arc):
                alone = leg.receivers == 1
                values = [opened.value if alone else handed_on(opened.value) for _ in range(leg.receivers)]
                return Flying(part, leg, values, opened.start, opened.stop)
        return None

    def begin(self, agenda: Agenda) -> None:
        """Let the stand-ins have the timers and the tokens under way of the real agenda."""
        self.agenda.now = agenda.now
        for tick, turns in agenda._due.items():
            for turn in turns:
                if id(turn) in self.part_of:
                    self.agenda.at(tick, self.part_of[id(turn)].twin)
        for tick, messages in agenda._arrivals.items():
            for deliver, message in messages:
                flying = self.flying(deliver, message)
                if flying is not None and flying.leg is ENDING:
                    flying.part.stage_twin.ends_at(tick, flying.start)
                elif flying is not None:
                    sq, tag = flying.part.sq, flying.leg.tag
                    is_tick = tag or (not sq.body and sq.function in GIVE_TICKS and not flying.leg.output)
                    arrived: list[Any] = flying.values
                    flying.values = [
                        StandIn(-1, 0, int(given) if is_tick and type(given) is int else None) for given in arrived
                    ]
                    self.agenda.deliver_at(tick, self.arrive, flying)


_WATCHED = ("receive", "step", "meet", "miss")
"""The methods in whose place a tap has its own."""

_SHARED = frozenset({"sq", "plan_b", "arc_ports", "slot", "consuming", "others"})


def _fails(*of: Any) -> None:
    raise Unsettled(f"an error of a firing: {of[-1]}")
