"""The way from the begin of a period to where a plan departed, on the general engine."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from typing import Any

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.events import Leg, Links, Opened, Part, StandIn, passes_on, told_at_once, wires_of
from ticktalk.accelerate.periods import Plan, Trace
from ticktalk.accelerate.standing import at
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.firing.base import Fire, Send
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.tap import outcome_of
from ticktalk.time import NEG_INFINITY, Tick


class Flights:
    """Lets tokens be under way in a simulation.

    Args:
        agenda: the simulation's.
        links: the links between its ensembles.
    """

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.agenda, self.links = agenda, links
        self._ahead: Counter[tuple[tuple[str, int], str, str]] = Counter()  # tokens, by arc and receiver

    def begin(self) -> None:
        """No token of a plan is under way yet."""
        self._ahead.clear()

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


class Again:
    """The way from the begin of a period to where the plan departed, on the general engine.

    Its firing rules decide as the plan did. In place of the firings that have been, the results are sent.

    Args:
        place: of the event at which it departed, of `trace`; as many as there are: after all; -2: before all.
        found: the names of the generated code.
        paused: it departed before that event.

    Attributes:
        until: the tick of that event.
    """

    def __init__(
        self,
        flights: Flights,
        plan: Plan,
        trace: Trace,
        base: int,
        place: int,
        found: dict[str, Any],
        paused: bool = False,
    ) -> None:
        self._flights, self._trace = flights, trace
        self._shift, self._place, self._found = base - plan.begin, place, found
        self._error, trace.raised = trace.raised, None
        self._partial, trace.partial = trace.partial, []
        self._former: list[tuple[Any, str, Any]] = []
        self._queues: dict[tuple[int, str], deque[int]] = {}
        self.until: Tick = NEG_INFINITY
        for number, event in enumerate(trace.events[: place + (not paused)] if place >= 0 else ()):
            self.until = event.tick + self._shift
            if event.kind == "tell":
                continue
            if number < place and event.inputs and self._value(event.inputs[0]) is GONE:
                if event.runs:
                    event.part.context.executes[event.part.sq.name].fired += 1  # it will be taken away as silent
                continue
            self._queue(event.part, event.kind).append(number)

    def _queue(self, part: Part, kind: str) -> deque[int]:
        """The events of one kind that an SQ has still to go over."""
        return self._queues.setdefault((part.index, kind), deque())

    def told_before(self, value: StandIn) -> bool:
        """True if the plan has told the manager of this output already."""
        return self._trace.told.get(id(value), self._place) < self._place

    def _value(self, value: StandIn) -> Any:
        if value.wire < 0 and value.tick is not None:
            return value.tick + self._shift
        return self._found[self._trace.names.of(value)]

    def stand_in(self) -> None:
        """Let the firing rules have the results that there are."""
        for part in self._trace.parts:
            self._stand_in(part)

    def end(self) -> None:
        """Let the firing rules decide by themselves again."""
        for owner, name, former in self._former:
            setattr(owner, name, former)

    def raise_again(self) -> None:
        """Raise the error at which it departed, if no body raised it."""
        inside = self._place >= 0 and self._trace.in_body and self._place < len(self._trace.events)
        error = self._error
        if error is not None and not inside and not (isinstance(error, Exception) and self._place >= 0):
            raise error

    def _stand_in(self, part: Part) -> None:
        """Let a firing rule have the results that there are."""
        sync, stage = part.sync, part.stage
        if isinstance(sync, DeadlineSync):
            self._set(sync, "pass_on", self._sent(self._queue(part, "pass"), sync.pass_on))
        elif stage is not None:
            self._set(stage, "body", self._fired(part, self._queue(part, "run"), stage.body))
            sent = self._sent(self._queue(part, "end"), stage.elsewhere.send)
            self._set(stage, "elsewhere", stage.elsewhere._replace(send=sent))
            tags, decided = self._queue(part, "tag"), sync.fire

            def tagged(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
                if tags:
                    self._send(tags.popleft())
                    stage.fire(start, stop, values, now)
                else:
                    decided(start, stop, values, now)

            if tags:
                self._set(sync, "fire", tagged)
        else:
            fired = self._fired(part, self._queue(part, "fire"), sync.fire)
            if sync.full:
                execute = part.context.executes[part.sq.name]
                self._set(execute, "send", self._sent(self._queue(part, "end"), execute.send))
            self._set(sync, "fire", fired)
            if part.asker is not None:
                self._set(part.asker.sync, "plan_b_fire", fired)

    def _sent(self, queue: deque[int], general: Send) -> Send:
        """Sends what the plan has sent, if it has; else what `general` sends."""

        def sent(value: Any, start: Tick, stop: Tick) -> None:
            if queue and queue[0] != self._place:
                self._send(queue.popleft())
            else:
                general(value, start, stop)

        return sent

    def _fired(self, part: Part, queue: deque[int], general: Fire) -> Fire:
        """Fires with the outcomes that there are."""
        execute, tap = part.context.executes[part.sq.name], part.context.tap
        decided = None if tap is None else tap.deciding(part.sq, _nothing, part.sync.full)

        def fired(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            if not queue:
                general(start, stop, values, now)
            elif queue[0] != self._place and part.keeps and not part.called:  # no body was called
                queue.popleft()
                general(start, stop, values, now)
            elif queue[0] != self._place:
                execute.fired += 1
                if decided is not None:
                    decided(start, stop, values, now)
                place = queue.popleft()
                self._send(place)
                if tap is not None:
                    tap.fired(part.sq.name, start, stop, now, now, outcome_of(False, self._trace.events[place].gives))
            else:
                queue.popleft()
                on_values = self._trace.events[self._place].results is None
                ours = {"body": self._outcome, "arrange": None} if on_values else {"results": self._results}
                former = {name: getattr(execute, name) for name in ours}
                vars(execute).update(ours)
                try:
                    general(start, stop, values, now)
                finally:
                    vars(execute).update(former)

        return fired

    def _set(self, owner: Any, name: str, value: Any) -> None:
        self._former.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def _outcome(self, *values: Any) -> Any:
        """What the body gave where the plan departed."""
        if self._error is not None and self._trace.in_body:
            raise self._error
        return result_of(self._trace, self._place, self._found)

    def _results(self, values: tuple[Any, ...], now: int) -> Iterator[Any]:
        """The results of an SQ on tokens where the plan departed."""
        yield from self._partial if self._error is not None else self._found["result"]
        if self._error is not None:
            raise self._error

    def _send(self, place: int) -> None:
        """Send what an event gave."""
        event, flights, way = self._trace.events[place], self._flights, None
        tap = event.part.context.tap
        start, stop = at(self._shift, event.start, event.stop)
        if event.kind == "run":
            if event.wires and (value := self._value(event.wires[0][0])) is not GONE:
                assert event.part.stage is not None
                event.part.stage.keep(value, start, stop)
            return
        for arc in {leg.way.name for leg, wires in event.ways if leg.host and wires}:
            flights.links.sent(event.part.context, arc, 1)
        for leg, wires, arrival in zip(event.part.legs, event.wires, event.arrivals, strict=True):
            there = bool(wires) and self._value(wires[0]) is not GONE
            if there and leg.delay and flights.links.timing is not None:  # it is used, whatever came of it
                receiver = leg.host or flights.links.manager
                flights.links.timing.arrival(event.part.context.prepared.here, receiver, partial(int, leg.size))
            if tap is not None and leg.way is not way and self._sent_there(place, leg, wires):
                way = leg.way
                tap.sent(event.part.forward.sq.name, way.name, self._noted(place, leg, wires), start, stop)
            if not wires or self.told_before(wires[0]):
                continue
            given = [self._value(value) for value in wires]
            if leg.delay:
                flights.fly(event.part, leg, arrival + self._shift, given, [start, stop], self.until)
                continue
            if leg.host:
                flights.links.came(event.part.context, leg.way.name, leg.host, 1)
                arrive(leg, given, start, stop)
                continue
            for (taker, port), value in zip(leg.to, given, strict=True):
                if value is not GONE:
                    taker.sync.receive(port, start, stop, value, False)
        if tap is not None:
            tap.apart()
        for result in event.results or ():
            if (value := self._value(result.value)) is not GONE:
                interval = at(self._shift, result.start, result.stop)
                event.part.context.executes[event.part.sq.name].send(value, *interval)

    def _sent_there(self, place: int, leg: Leg, wires: list[StandIn]) -> bool:
        """True if an event sent something on a leg."""
        return bool(wires) or (not leg.tag and leg.told_at_once and place not in self._trace.absent)

    def _noted(self, place: int, leg: Leg, wires: list[StandIn]) -> Any:
        """The value that went along an arc, as it is recorded."""
        if wires and wires[0].wire < 0:
            return self._value(wires[0])
        noted = self._found[f"n{place}"]
        return noted[leg.way.name] if told_at_once(self._trace.events[place]) else noted


def arrive(leg: Leg, given: list[Any], start: Tick, stop: Tick) -> None:
    """Let a token reach its receivers on another ensemble."""
    tap = leg.to[0][0].context.tap
    if tap is not None:
        tap.came(leg.way.name)
    for (taker, port), value in zip(leg.to, given, strict=True):
        if value is not GONE:
            taker.sync.receive(port, start, stop, value, True)
    if tap is not None:
        tap.apart()


def _nothing(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
    pass


def go_over(periods: list[Again], agenda: Agenda) -> None:
    """Go over some periods, up to and with the latest tick at which one of them departed."""
    until = max(again.until for again in periods)
    for again in periods:
        again.stand_in()
    try:
        while (tick := agenda.next_tick()) is not None and tick <= until:
            agenda.run_tick(tick)
    finally:
        for again in periods:
            again.end()
    for again in periods:
        again.raise_again()


def result_of(trace: Trace, place: int, found: dict[str, Any]) -> Any:
    """What the body of an event gave, before it was handed on."""
    event = trace.events[place]
    if event.results is not None:
        return found["result"] or NOTHING
    if not passes_on(event):
        return found["result"]
    made = wires_of(event)
    if not made and trace.notes is not None:
        return found.get("result")
    return found[trace.names.of(made[0])] if made else None
