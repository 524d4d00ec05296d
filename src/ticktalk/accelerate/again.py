"""The way from the begin of a period to where a plan departed, on the general engine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.events import Links, Part, PlanEvent, StandIn, passes_on, told_at_once, wires_of
from ticktalk.accelerate.standing import at
from ticktalk.accelerate.trace import Trace
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.firing.base import Send
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty
from ticktalk.values.codec import Encoded, Parts, handed_on

NO_COPIES: Iterator[StandIn] = iter(())


class Again:
    """The way from the begin of a period to where the plan departed, on the general engine.

    All happens there once more, but for the calls of bodies: what they gave is taken from the plan. The manager is
    told nothing again.

    Args:
        place: of the event at which it departed, of `trace`; as many as there are: after all; -2: before all.
        found: the names of the generated code.
        paused: it departed before that event.

    Attributes:
        until: the tick of that event.
        told: the number of outputs that have reached the manager.
    """

    def __init__(self, trace: Trace, base: int, place: int, found: dict[str, Any], paused: bool = False) -> None:
        self._trace = trace
        self._shift, self._place, self._found = base - trace.plan.begin, place, found
        self._error, trace.raised = trace.raised, None
        self._partial, trace.partial = trace.partial, []
        self._former: list[tuple[Any, str, Any]] = []
        self._queues: dict[tuple[int, str], deque[int]] = {}
        self._taken: set[int] = set()  # by id, the values that bodies have had, and may have changed
        self._at: Tick = INFINITY  # the event that happens again; without end: it has not been
        self._copies: dict[int, Iterator[StandIn]] = {}  # by id of a value that it sends, those of ports
        self.until: Tick = NEG_INFINITY
        self.told = 0
        for number, event in enumerate(trace.events[: place + (not paused)] if place >= 0 else ()):
            self.until = event.tick + self._shift
            if event.runs:
                self._taken.update(map(id, event.inputs))
            if number < place and event.inputs and self._value(event.inputs[0]) is GONE:
                if event.runs:
                    event.part.context.executes[event.part.sq.name].fired += 1  # it will be taken away as silent
            elif event.kind == "tell":
                self.told += number < place
            else:
                self._queue(event.part, event.kind).append(number)

    def _queue(self, part: Part, kind: str) -> deque[int]:
        """The events of one kind that an SQ has still to go over."""
        return self._queues.setdefault((part.index, kind), deque())

    def _value(self, value: StandIn) -> Any:
        if value.wire < 0 and value.tick is not None:
            return value.tick + self._shift
        return self._found[value.name]

    def unchanged(self, of_receivers: Sequence[StandIn]) -> Any:
        """A value as it was sent: the copy of a receiver whose body has not had it yet, else of the first one."""
        given = (value for value in of_receivers if id(value) not in self._taken)
        return self._value(next(given, of_receivers[0]))

    def stand_in(self) -> None:
        """Let the results that there are stand in for bodies."""
        for part in self._trace.parts:
            self._stand_in(part)

    def end(self) -> None:
        """Let bodies run again."""
        for owner, name, former in self._former:
            setattr(owner, name, former)

    def raise_again(self) -> None:
        """Raise the error at which it departed, if no body raised it."""
        inside = self._place >= 0 and self._trace.in_body and self._place < len(self._trace.events)
        error = self._error
        if error is not None and not inside and not (isinstance(error, Exception) and self._place >= 0):
            raise error

    def _stand_in(self, part: Part) -> None:
        sync, stage, execute = part.sync, part.stage, part.context.executes.get(part.sq.name)
        if any(leg.told_at_once for leg in part.legs):
            output = part.forward.output
            self._set(part.forward, "output", lambda *token: None if self._at < self._place else output(*token))
        self._set(part.forward, "copied", self._copied)
        if isinstance(sync, DeadlineSync):
            self._set(sync, "pass_on", self._sent(self._queue(part, "pass"), sync.pass_on))
        if execute is None:
            return
        fired = self._queue(part, "fire" if stage is None else "run")
        if stage is not None:
            sent = self._sent(self._queue(part, "end"), stage.elsewhere.send)
            self._set(stage, "elsewhere", stage.elsewhere._replace(send=sent))
        if sync.full:
            self._set(execute, "send", self._sent(self._queue(part, "end"), execute.send))
            if not part.keeps or part.called:  # else no body was called
                self._set(execute, "results", self._results(fired, execute.results))
        else:
            self._set(execute, "body", self._result(fired, execute.body, execute.arrange))
            self._set(execute, "arrange", None)

    def _set(self, owner: Any, name: str, value: Any) -> None:
        self._former.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def _next(self, queue: deque[int]) -> bool:
        """True if what happens now is an event of the plan: that at `_at`."""
        self._at = queue.popleft() if queue else INFINITY
        self._copies.clear()
        return self._at < INFINITY

    def _sent(self, queue: deque[int], general: Send) -> Send:
        def sent(value: Any, start: Tick, stop: Tick) -> None:
            self._next(queue)
            self._copy(value.by_path if value.__class__ is Parts else {(): value})
            general(value, start, stop)

        return sent

    def _copy(self, by_path: dict[tuple[int, ...], Any]) -> None:
        """Let ports get the copies that they have had, of what is sent next."""
        ways = self._trace.events[int(self._at)].ways if self._at < self._place else ()
        for leg, wires in ways:
            if not leg.tag and not leg.host and not leg.output and wires:
                copies = self._copies.get(id(by_path[leg.way.path]), ())
                self._copies[id(by_path[leg.way.path])] = chain(copies, wires)

    def _copied(self, value: Any) -> Any:
        copy = next(self._copies.get(id(value), NO_COPIES), None)
        return handed_on(value) if copy is None else self._value(copy)

    def _result(self, queue: deque[int], body: Any, arrange: Any) -> Callable[..., Any]:
        """A function that gives the results that a body gave; after the last of them the body runs."""

        def result(*values: Any) -> Any:
            if not self._next(queue):
                return body(*values) if arrange is None else arrange(body, values)
            if self._at < self._place:
                return self._given(self._trace.events[int(self._at)])
            if self._error is not None and self._trace.in_body:
                raise self._error
            return result_of(self._trace, self._place, self._found)

        return result

    def _given(self, event: PlanEvent) -> Any:
        """The result of a body, with values as they were sent."""
        if not event.gives:
            return TTEmpty()
        if event.kind == "run":  # it is kept until the run ends
            value = self._value(event.wires[0][0]) if event.wires else None
            return TTEmpty() if value is GONE else value
        place, trace, forward = int(self._at), self._trace, event.part.forward
        by_path: dict[tuple[int, ...], Any] = {}
        for way in forward.ways:
            wires = [value for leg, each in event.ways if not leg.tag and leg.way.path == way.path for value in each]
            value = self.unchanged(wires) if wires else None
            if trace.notes is not None:
                noted = self._found[f"n{place}"]
                value = noted.get(way.name, GONE) if told_at_once(event) else noted
                if value.__class__ is Encoded:
                    value = event.part.context.prepared.code.decode(value.data)
            by_path[way.path] = TTEmpty() if value is GONE else value
        self._copy(by_path)
        return Parts(by_path) if forward.unpack is not None else by_path.get(())

    def _results(self, queue: deque[int], general: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        """A function that gives the results of an SQ on tokens; after the last of them its body runs."""

        def results(values: tuple[Any, ...], now: int) -> Iterator[Any]:
            if not self._next(queue):
                yield from general(values, now)
                return
            if self._at < self._place:
                place, events = int(self._at), self._trace.events
                for number, result in enumerate(events[place].results or (), place + 1):
                    value = self._value(result.value)
                    wires = [value for _, each in events[number].ways for value in each if number < self._place]
                    if value is not GONE:
                        yield (self.unchanged(wires) if wires else value, *at(self._shift, result.start, result.stop))
                return
            yield from self._partial if self._error is not None else self._found["result"]
            if self._error is not None:
                raise self._error

        return results


def go_over(periods: list[Again], agenda: Agenda, links: Links) -> None:
    """Go over some periods, up to and with the latest tick at which one of them departed."""
    until = max(again.until for again in periods)
    for again in periods:
        again.stand_in()
    listen = links.forget_outputs(sum(again.told for again in periods))
    try:
        while (tick := agenda.next_tick()) is not None and tick <= until:
            agenda.run_tick(tick)
    finally:
        listen()
        for again in periods:
            again.end()
    for again in periods:
        again.raise_again()


def result_of(trace: Trace, place: int, found: dict[str, Any]) -> Any:
    """The result of the body of an event, before it was handed on."""
    event = trace.events[place]
    if event.results is not None:
        return found["result"] or NOTHING
    if not passes_on(event):
        return found["result"]
    made = wires_of(event)
    if not made and trace.notes is not None:
        return found.get("result")
    return found[made[0].name] if made else None
