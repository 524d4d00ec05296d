"""A recorded run once more: each SQ is given again what it was given, when it was, and has to do what it did.

The firing rules and bodies are the same classes as ever, in one context that holds the whole graph. Three things come
from the recording: when a token reaches a port, when an SQ has its turn, and when a body ends. So do the values of
sources: streams, and SQs that want components. All else is computed again, and compared: every token on every arc with
its value and interval, every set, every deadline.

An SQ depends on others only by its tokens. So each goes on by itself as far as its tokens are there, whatever the
clocks of the ensembles said. A deadline and its plan B go together. No rule is written down here a second time.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import Elsewhere, Surroundings
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.engine.state import Load
from ticktalk.errors import TTError
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.switching import go_on_late, late
from ticktalk.hosted.tapping import Tapped
from ticktalk.payloads import FiringError, InstanceState
from ticktalk.recording.departures import Compared, Departure, content_of, put_off, same_tokens, same_value, shown, told
from ticktalk.recording.replayed_bodies import RecordedBody, RecordedFiring, SomeBodies
from ticktalk.recording.setup import Setup
from ticktalk.records import (
    LONGEST,
    AnyRecord,
    Counted,
    Deadline,
    Decided,
    Fired,
    GoesOnLate,
    GridSet,
    InstanceMoved,
    Received,
    Sent,
    TokenLeft,
    Turn,
)
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.time.grid import period_of
from ticktalk.values.codec import decode_value

HERE = "replay"
"""The one ensemble of a replay."""


# Tuples: a union would be made anew at each look.
_COMPARED = (Deadline, TokenLeft)
_OF_STREAMS = (GridSet, GoesOnLate)
_GIVEN = (Turn, Received, InstanceMoved, *_OF_STREAMS)
_OF_BODIES = (Sent, Fired)


@dataclass(eq=False)
class _Group:
    """SQs that are driven together (a deadline and its plan B, or one SQ), by their records."""

    leader: str
    stays: list[list[tuple[int, AnyRecord]]] = field(default_factory=list)  # on one ensemble after the other
    records: list[tuple[int, AnyRecord]] = field(default_factory=list)  # with the tick by which each is due
    at: int = 0
    sent: dict[str, list[Sent]] = field(default_factory=dict)  # by SQ: since its last firing has ended
    astray: bool = False
    handed_over: bool = False  # it comes to its next ensemble as it is
    coming: list[InstanceMoved] = field(default_factory=list)  # a plan B that has come, and its deadline not yet


class Replay:
    """A recorded start of a graph, once more.

    Args:
        setup: of the start.
        records: all of its records, with the ensemble of each; each ensemble's in their order.
        sources: more SQs whose results are taken from the recording.
        graph: another version of the program; None: the recorded one.
        states: bodies of streams run, too, where they need no component: what they give is left out, and their
            `sq_state` is as it was.

    Attributes:
        departures: what is otherwise than in the recording, in the order found.
        tokens: how many tokens were compared, by arc.
        on_token: called with each token that goes along an arc here.
        on_error: called with each error of a body here.
        load: makes a value again from its bytes.
        last_tick: the tick of the last record.
        ended: by SQ, how many firings have ended.
        host_of: by SQ, its ensemble now.
        lost: ensembles whose SQs went on elsewhere without being handed over, and to which none has come since.
        overflowed: by SQ, what was dropped in the recorded run because too many waited; here nothing is.

    Raises:
        TTError: the recorded graph cannot be read.
    """

    def __init__(
        self,
        setup: Setup,
        records: Iterable[tuple[str, AnyRecord]],
        sources: Collection[str] = (),
        graph: TTGraph | None = None,
        states: bool = False,
    ) -> None:
        self.setup = setup
        self.departures: list[Departure] = []
        self.tokens: dict[str, int] = {}
        self.on_token: Callable[[Sent], None] = lambda token: None
        self.on_error: Callable[[FiringError], None] = lambda error: None
        try:
            self.graph = graph or TTGraph.from_json(setup.graph.encode())
        except (ValueError, KeyError, TypeError) as error:
            raise TTError(f"the graph in the recording cannot be read: {error}") from None
        outside = {sq.name for sq in self.graph.sqs if any(spec.components for spec in sq.constraints)}
        self.sources = {sq.name for sq in self.graph.sqs if sq.trigger == "grid" or sq.name in sources} | outside
        self._without_bodies = outside if states else self.sources
        self._by_name = {sq.name: sq for sq in self.graph.sqs}
        self._groups: dict[str, _Group] = {}
        self._group_of: dict[str, _Group] = {}
        together = {sq.plan_b: sq.name for sq in self.graph.sqs if sq.plan_b is not None}
        for sq in self.graph.sqs:
            leader = together.get(sq.name, sq.name)
            self._group_of[sq.name] = self._groups.setdefault(leader, _Group(leader))
        self._expected: dict[tuple[str, type], deque[tuple[int, Compared]]] = {}  # with the tick by which it is due
        self._arcs: dict[str, list[Sent]] = {}  # by arc, as recorded
        self._due: dict[str, list[int]] = {}  # by arc: the ticks by which they are due
        self._results: dict[str, list[str]] = {
            sq.name: [f"{sq.name}/{index}" for index, arc in enumerate(sq.arcs) if arc.kind == "value"]
            for sq in self.graph.sqs
        }
        self._produced: dict[str, list[Sent]] = {}  # by arc, as computed
        self._numbers: dict[tuple[str, int], list[int]] = {}  # by arc and number: places among the recorded
        self._taken: dict[tuple[str, int, str], int] = {}  # by SQ, port and arc: the place of the last token
        self._wait: dict[tuple[str, int], list[_Group]] = {}  # groups that wait for a token
        self._ready: deque[_Group] = deque()
        self.ended: dict[str, int] = {}
        self.overflowed: Counter[str] = Counter()
        self.host_of = dict(setup.host_of)
        self.lost: frozenset[str] = frozenset()
        self._came_to: dict[int, str] = {}  # by id of a record that an SQ came: to which ensemble
        self._ending = False  # a body, in place of a firing rule, sends what is sent now
        self._take_in(records)
        self._start()

    def _take_in(self, records: Iterable[tuple[str, AnyRecord]]) -> None:
        latest: dict[str, int] = {}
        parts: dict[tuple[str, str], list[tuple[int, AnyRecord]]] = {}
        for ensemble, record in records:
            group = self._group_of.get(record.sq)
            if group is None:
                continue  # of an SQ that another version of the program does not have
            before = latest.get(ensemble, record.tick)
            due = latest[ensemble] = record.tick if record.tick > before else before
            kind = record.__class__
            if isinstance(record, Sent):
                recorded = self._arcs.setdefault(record.arc, [])
                self._numbers.setdefault((record.arc, record.number), []).append(len(recorded))
                recorded.append(record)
                self._due.setdefault(record.arc, []).append(due)
            elif isinstance(record, Counted):
                if record.kind == "overflow":
                    self.overflowed[record.sq] += record.count
                continue  # follows from the rest, but for tokens that were lost on their way
            elif isinstance(record, _COMPARED):
                if put_off(record):
                    continue
                self._expected.setdefault((record.sq, kind), deque()).append((due, record))
                continue
            if isinstance(record, InstanceMoved) and record.here:
                self._came_to[id(record)] = ensemble
            parts.setdefault((group.leader, ensemble), []).append((due, record))
        for (leader, _), found in parts.items():
            self._groups[leader].stays += _stays(found)
        for group in self._groups.values():
            # Each begins after the end of the one before, if at the same tick.
            group.stays.sort(key=lambda stay: (stay[0][0], isinstance(stay[0][1], InstanceMoved)))
            group.records = [entry for stay in group.stays for entry in stay]
        self.last_tick = max(latest.values(), default=self.setup.start_tick)

    def _start(self) -> None:
        setup = self.setup
        prepared = PreparedGraph(self.graph, dict.fromkeys(self._by_name, HERE), HERE, {})
        self.load: Load = prepared.code.decode
        self._inputs = dict(setup.inputs)
        self._agenda = Agenda(setup.start_tick)
        self._tap = _Tap(self)
        self._bodies: dict[str, RecordedBody] = {}

        def stage(context: ContextParts, own: Elsewhere) -> RecordedBody:
            made = self._bodies[own.sq.name] = RecordedBody(own, self.note, self.departs)
            return made

        around = Surroundings(
            lambda *token: None,
            lambda *output: None,
            lambda error: self.on_error(error),
            stages={"cores": stage},
            tap=self._tap,
            eviction_bound=setup.eviction_bound,
        )
        self.context = SomeBodies(prepared, setup.context, setup.start_tick, self._agenda, around, self._without_bodies)
        if setup.until is not None:
            self.context.end_streams(setup.until)

    def running(self, sq: str) -> list[RecordedFiring]:
        """An SQ's firings whose bodies have not ended."""
        return list(self._bodies[sq].waiting) if sq in self._bodies else []

    def without_state(self, sq: str) -> bool:
        """True if the `sq_state` of an SQ is not what it was: its body did not run here, or raised."""
        return sq in self._without_bodies or self._bodies[sq].failed

    def under_way(self, sq: str, port: int) -> list[Sent]:
        """The tokens on their way to a port: those that were sent, and later than the last one that reached it."""
        found = []
        for producer, index in self.context.prepared.wiring.feeders.get((sq, port), ()):
            arc = f"{producer}/{index}"
            found += self._produced.get(arc, [])[self._taken.get((sq, port, arc), -1) + 1 :]
        return found

    # Told by the parts of the context.

    def departs(self, record: AnyRecord | None, what: str, sq: str = "") -> None:
        """Note that something is otherwise than in the recording."""
        tick: Tick = INFINITY if record is None else record.tick
        self.departures.append(Departure(tick, sq or (record.sq if record is not None else ""), what))

    def note(self, record: AnyRecord) -> None:
        """Compare what happens here with the recording."""
        if isinstance(record, Sent):
            self._note_sent(record)
        elif isinstance(record, Decided):
            self._note_decided(record)
        elif isinstance(record, _COMPARED) and not put_off(record):
            waiting = self._expected.get((record.sq, type(record)))
            if not waiting:
                self.departs(None, f"{told(record)}, which the recording does not have", record.sq)
                return
            _, recorded = waiting.popleft()
            if content_of(recorded) != content_of(record):
                self.departs(recorded, f"{told(recorded)} in the recording; here {told(record)}")

    def _note_sent(self, token: Sent) -> None:
        arc = token.arc
        if not self._ending:
            self._end_before(token)
        produced = self._produced.setdefault(arc, [])
        place = len(produced)
        produced.append(token)
        self.tokens[arc] = place + 1
        self.on_token(token)
        recorded = self._arcs.get(arc, [])
        if place >= len(recorded):
            self.departs(None, f"token {place + 1} on arc {arc} is not in the recording: {shown(token)}", token.sq)
        else:
            before = recorded[place]
            # Of one that was too long to be recorded the interval is known.
            same = same_value(before.value, token.value) or (not before.value and len(token.value) > LONGEST)
            if (before.start, before.stop) != (token.start, token.stop) or not same:
                self.departs(
                    before, f"token {place + 1} on arc {arc} was {shown(before)} in the recording; here {shown(token)}"
                )
        for group in self._wait.pop((arc, place), ()):
            self._ready.append(group)

    def _end_before(self, token: Sent) -> None:
        """A firing rule sends a token: bodies that ended before, within the same turn, send theirs first."""
        group = self._group_of[token.sq]
        while group.at < len(group.records):
            _, record = group.records[group.at]
            if not isinstance(record, _OF_BODIES):
                return
            group.at += 1
            if isinstance(record, Fired):
                self._end(group, record)
            elif _is(record, token):
                return
            else:
                group.sent.setdefault(record.sq, []).append(record)

    def _note_decided(self, decided: Decided) -> None:
        group = self._group_of[decided.sq]
        while group.at < len(group.records):
            _, record = group.records[group.at]
            if isinstance(record, _GIVEN):
                break
            group.at += 1
            if isinstance(record, Sent):
                group.sent.setdefault(record.sq, []).append(record)
            elif isinstance(record, Fired):
                self._end(group, record)
            elif isinstance(record, Decided):
                same_set = (record.sq, record.start, record.stop) == (decided.sq, decided.start, decided.stop)
                if not same_set or not same_tokens(record.tokens, decided.tokens):
                    self.departs(record, f"{told(record)} in the recording; here {told(decided)}")
                return
        group.astray = True
        self.departs(None, f"{told(decided)}, which the recording does not have", decided.sq)

    def _end(self, group: _Group, fired: Fired) -> None:
        body = self._bodies.get(fired.sq)
        self.ended[fired.sq] = self.ended.get(fired.sq, 0) + 1
        results = group.sent.pop(fired.sq, [])
        sender, leader = fired.sq, group.leader
        if leader != fired.sq and self._by_name[leader].will_continue:
            results, sender = group.sent.pop(leader, []), leader
        if body is not None:
            arcs = self._results[sender]
            self._agenda.now = fired.tick
            self._ending = True
            body.end(fired, [each for each in results if each.arc in arcs], fired.sq in self.sources)
            self._ending = False

    # The way through the records.

    def go(self, until: Tick = INFINITY) -> None:
        """Go on up to a root tick (exclusive), as far as the tokens are there."""
        self._ready = deque(self._groups.values())
        while self._ready:
            self._advance(self._ready.popleft(), until)

    def _advance(self, group: _Group, until: Tick) -> None:
        records = group.records
        while group.at < len(records) and not group.astray:
            due, record = records[group.at]
            if due >= until:
                return
            if isinstance(record, Received):
                token = self._token_of(record)
                if token is None:
                    return  # it waits
                group.at += 1
                arc, place, value = token
                if arc and not value:
                    told_of = shown(self._produced[arc][place])
                    self.departs(record, f"what follows from token {place + 1} on arc {arc} is not known: {told_of}")
                    group.astray = True
                    return
                self._receive(record, *token)
                continue
            group.at += 1
            if isinstance(record, Turn):
                self._agenda.now = record.tick
                self.context.syncs[record.sq].step(record.tick)
            elif isinstance(record, Fired):
                self._end(group, record)
            elif isinstance(record, Sent):
                group.sent.setdefault(record.sq, []).append(record)
            elif isinstance(record, InstanceMoved):
                self._move(group, record)
            elif isinstance(record, _OF_STREAMS):
                self._agenda.now = record.tick
                sync = self.context.syncs[record.sq]
                assert isinstance(sync, GridSync)
                if isinstance(record, GoesOnLate):
                    go_on_late(sync, record.late, record.since)
                else:
                    sync.set_grid(period_of(record.period, record.per), record.phase, record.width, record.after)
            elif isinstance(record, Decided):
                self.departs(record, f"{told(record)} in the recording, and not here")
                group.astray = True

    def _move(self, group: _Group, moved: InstanceMoved) -> None:
        """An instance leaves an ensemble as it is, or comes to one: as it left, or as it was saved some time before."""
        name = moved.sq
        if not moved.here:
            group.handed_over = True
            return
        former, self.host_of[name] = self.host_of[name], self._came_to[id(moved)]
        self.lost = (self.lost if group.handed_over else self.lost | {former}) - {self.host_of[name], ""}
        group.coming.append(moved)
        if name != group.leader:
            return  # its deadline comes next: they are wired to one another
        coming, group.coming = group.coming, []
        if group.handed_over:
            group.handed_over = False
            sync = self.context.syncs[name]
            if isinstance(sync, GridSync):
                sync.catch_up = moved.late
            return
        sqs = [self._by_name[one.sq] for one in coming]
        states = {one.sq: InstanceState(*decode_value(one.state)) for one in coming if one.state}
        self._agenda.now = moved.tick
        self.context.place(late(sqs, sqs if moved.late else ()), states, self.load)

    def _token_of(self, received: Received) -> tuple[str, int, Any] | None:
        """The arc, place and value of a token that reached a port; None: it has not been computed yet."""
        sq, port = self._by_name[received.sq], received.port
        if not received.arc:
            constant = sq.ports[port].constant
            if constant is not None:
                return "", 0, decode_constant(constant[0])
            for source in self.graph.inputs:
                if any((to.sq, to.port) == (sq.name, port) for to in source.to):
                    return "", 0, self.load(self._inputs[source.name])
        arc = received.arc
        if not arc:  # it waited behind others while an SQ moved
            producer, index = self.context.prepared.wiring.feeders[sq.name, port][0]
            arc = f"{producer}/{index}"
        after = self._taken.get((sq.name, port, arc), -1)
        recorded = self._arcs.get(arc, [])
        places = self._numbers.get((arc, received.token), []) if received.token else range(after + 1, len(recorded))
        fitting = [
            place
            for place in places
            if (recorded[place].start, recorded[place].stop) == (received.start, received.stop)
        ]
        if not fitting:  # its number is not known for sure
            fitting = [
                place
                for place in range(after + 1, len(recorded))
                if (recorded[place].start, recorded[place].stop) == (received.start, received.stop)
            ]
        place = next((place for place in fitting if place > after), fitting[0] if fitting else received.token - 1)
        produced = self._produced.get(arc, [])
        if place >= len(produced):
            self._wait.setdefault((arc, place), []).append(self._group_of[sq.name])
            return None
        return arc, place, produced[place].value

    def _receive(self, received: Received, arc: str, place: int, value: Any) -> None:
        start, stop = received.start, received.stop
        if arc:
            token = self._produced[arc][place]
            start, stop = token.start, token.stop
            value = self.load(value)
            self._taken[received.sq, received.port, arc] = place
        else:
            start, stop = NEG_INFINITY, INFINITY
        self._agenda.now = received.tick
        self._tap.comes_on(received, arc, place + 1)
        self.context.syncs[received.sq].receive(received.port, start, stop, value, received.remote)

    def finish(self, until: Tick = INFINITY) -> list[Departure]:
        """The departures from the recording, the earliest first; after `go`, up to a root tick (exclusive)."""
        found = list(self.departures)
        for (arc, place), groups in self._wait.items():
            for group in set(groups):
                due, record = group.records[group.at]
                later = self._due.get(arc, [])[place : place + 1]
                if due >= until or (later and later[0] >= until):
                    continue
                what = f"token {place + 1} on arc {arc} reached it in the recording; here it is not sent"
                found.append(Departure(record.tick, record.sq, what))
        for arc, recorded in self._arcs.items():
            count = len(self._produced.get(arc, []))
            if count < len(recorded) and self._due[arc][count] < until:
                token = recorded[count]
                what = f"token {count + 1} on arc {arc} is in the recording ({shown(token)}); here it is not sent"
                found.append(Departure(token.tick, token.sq, what))
        for waiting in self._expected.values():
            if waiting and waiting[0][0] < until:
                missing = waiting[0][1]
                found.append(Departure(missing.tick, missing.sq, f"{told(missing)} in the recording, and not here"))
        return sorted(found, key=lambda departure: departure.tick)


def _stays(records: list[tuple[int, AnyRecord]]) -> list[list[tuple[int, AnyRecord]]]:
    """The records of a group on one ensemble, by its stays there."""
    stays: list[list[tuple[int, AnyRecord]]] = [[]]
    comes = False  # the one before was the coming of a part of the group
    for entry in records:
        here = isinstance(entry[1], InstanceMoved) and entry[1].here
        if here and not comes and stays[-1]:
            stays.append([])
        comes = here
        stays[-1].append(entry)
    return [stay for stay in stays if stay]


def _is(one: Sent, other: Sent) -> bool:
    return (one.arc, one.start, one.stop, one.value) == (other.arc, other.start, other.stop, other.value)


class _Tap(Tapped):
    """The tap of a replay: tokens go nowhere by themselves, and what happens is compared."""

    longest = sys.maxsize  # a value that is computed here is at hand

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay.note, lambda: replay._agenda.now)

    def comes_on(self, received: Received, arc: str, number: int) -> None:
        """The next token that is received comes on this arc; each ensemble counts those that reach an SQ there."""
        self.numbers.received[received.sq] = received.number - 1
        self._way = arc, number if arc else 0, received.remote

    def watch_forward(self, forward: TTSQForward) -> None:
        forward.along = lambda way, value, start, stop: None  # type: ignore[method-assign]
        super().watch_forward(forward)
