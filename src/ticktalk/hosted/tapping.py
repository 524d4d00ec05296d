"""The tap of one context: it makes a record of each thing that happens (`records.py`).

State: the numbers of tokens on arcs and at SQs. Each token that reaches a port gets a number, and keeps it (`Numbered`)
until a firing takes it or it leaves. The parts of an SQ are wrapped once, when they are wired. So nothing lies on a
token's way where there is no tap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.firing.arrival import ArrivalSync
from ticktalk.engine.firing.base import Fire, TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.forwarding import SharedRoute, TTSQForward, Way
from ticktalk.engine.matching import Waiting
from ticktalk.engine.state import Numbered
from ticktalk.engine.tap import Arrivals, Numbers
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import InstanceState
from ticktalk.records import (
    LONGEST,
    Counted,
    Deadline,
    Decided,
    Fired,
    FiredTogether,
    GoesOnLate,
    GridSet,
    InstanceMoved,
    Outcome,
    Received,
    Sent,
    SentTogether,
    TakenTogether,
    TokenLeft,
    Turn,
)
from ticktalk.time import Tick
from ticktalk.time.grid import Period
from ticktalk.values.codec import Data, encoded, split


class ToldCounters(Counters):
    """Counters that tell of each addition."""

    __slots__ = ("_tell",)

    def __init__(self, tell: Callable[[str, str, int], None]) -> None:
        super().__init__()
        self._tell = tell

    def add(self, sq: str, kind: str, count: int = 1) -> None:
        if count:
            self._tell(sq, kind, count)
            super().add(sq, kind, count)


class Tapped:
    """Notes what happens in a context (`engine.tap.Tap`).

    Args:
        note: takes each record (`records.Noted`), where time is kept.
        now: gives the present root tick.
        repeats: periods of a simulation may be noted as one (`records.Repeated`).

    Attributes:
        note: takes each record.
        number_on: gives the number of the token that has just come on an arc of another ensemble; by default they are
            counted here, which is right while none is lost.
    """

    longest = LONGEST

    def __init__(self, note: Callable[[Any], None], now: Callable[[], int], repeats: bool = False) -> None:
        self.note, self._now, self.repeats = note, now, repeats
        self.number_on: Callable[[str], int] | None = None
        self.counters: Counters = ToldCounters(self._counted)
        self.numbers = Numbers(Counter(), Counter(), Counter())
        self._why: dict[str, str] = {}  # by SQ, its counter that went up last
        self._streams: dict[str, GridSync] = {}
        self._way = "", 0, False  # of the tokens that are received now: arc, number, whether from elsewhere

    # Calls of the engine.

    def watch(self, context: Arrivals) -> None:
        """Take note of tokens that come from other ensembles."""
        arrive = context.arrive

        def arriving(arc: str, *token: Any) -> None:
            self.came(arc)
            arrive(arc, *token)
            self.apart()

        _put(context, arrive=arriving)

    def watch_forward(self, forward: TTSQForward) -> None:
        """Take note of every token that goes along an arc."""
        name, along, send_together = forward.sq.name, forward.along, forward.publish_together

        def watched(way: Way, value: Any, start: Tick, stop: Tick) -> None:
            self.sent(name, way.name, value, start, stop)
            along(way, value, start, stop)
            self.apart()

        _put(forward, along=watched)
        if send_together is None:
            return

        def watched_together(together: SharedRoute, data: Data, start: Tick, stop: Tick) -> None:
            numbers = _next_numbers(self.numbers.sent, together.names)
            if len(data) <= self.longest:
                arcs = [*together.names]
                self.note(SentTogether(self._now(), name, arcs, numbers, start, stop, bytes(data)))
            else:
                for arc, number, part in zip(together.names, numbers, split(data), strict=True):
                    self.note(Sent(self._now(), name, arc, number, start, stop, self._whole(part)))
            send_together(together, data, start, stop)

        _put(forward, publish_together=watched_together)

    def came(self, arc: str) -> None:
        """A token has come from another ensemble."""
        number = _next_number(self.numbers.came, arc)
        self._way = arc, number if self.number_on is None else self.number_on(arc), True

    def sent(self, sq: str, arc: str, value: Any, start: Tick, stop: Tick) -> None:
        """A token goes along an arc."""
        number = _next_number(self.numbers.sent, arc)
        self.note(Sent(self._now(), sq, arc, number, start, stop, self._value(value)))
        self._way = arc, number, False

    def apart(self) -> None:
        """Values of ports come on no arc any more."""
        self._way = "", 0, False

    def _value(self, value: Any) -> bytes:
        return self._whole(encoded(value))  # raises for a value that cannot be sent either

    def _whole(self, data: Data) -> bytes:
        return bytes(data) if len(data) <= self.longest else b""

    def watch_sync(self, sync: TTSQSync) -> None:
        """Take note of what a firing rule is given, and of what becomes of it; its parts are wired."""
        name, receive, step, leave = sync.sq.name, sync.receive, sync.step, sync.leave
        deadlines = sync if isinstance(sync, DeadlineSync) else None
        if isinstance(sync, GridSync):
            self._streams[name] = sync
        if isinstance(sync, ArrivalSync):
            sync.patience = sync.eviction_bound  # so it does not depend on others when a token leaves

        def received(port: int, start: Tick, stop: Tick, value: Any, from_other_ensemble: bool = False) -> None:
            number = _next_number(self.numbers.received, name)
            arc, token, remote = self._way
            self.note(Received(self._now(), name, port, number, start, stop, arc, token, remote))
            opened = deadlines is not None and port == 1  # a deadline's value is looked at
            receive(port, start, stop, value if opened else Numbered(number, value), from_other_ensemble)

        def stepped(now: int) -> None:
            self.note(Turn(now, name))
            before = sync.number
            step(now)
            for start, number, stop, due in deadlines.due.tokens if deadlines is not None else ():
                if number > before:
                    self.note(Deadline(now, name, start, stop, due, "set", 0))

        def left(value: Any, start: Tick, stop: Tick, missing: Sequence[str]) -> None:
            number, value = _opened(value)
            self.note(TokenLeft(self._now(), name, number, start, stop, self._why.get(name, ""), list(missing)))
            if leave is not None:
                leave(value, start, stop, missing)

        _put(sync, receive=received, step=stepped, leave=left)
        if deadlines is not None:
            self._watch_deadlines(deadlines)

    def _watch_deadlines(self, sync: DeadlineSync) -> None:
        name, meet, miss, pass_on = sync.sq.name, sync.meet, sync.miss, sync.pass_on

        def met(deadline: Waiting, data: Waiting) -> None:
            start, _, stop, due = deadline
            self.note(Deadline(self._now(), name, start, stop, due, "met", _opened(data[3][1])[0]))
            meet(deadline, data)

        def missed(deadline: Waiting, now: int) -> None:
            start, number, stop, due = deadline
            if number not in sync.answered:
                self.note(Deadline(now, name, start, stop, due, "missed", 0))
            miss(deadline, now)

        _put(sync, meet=met, miss=missed)
        sync.pass_on = lambda value, start, stop: pass_on(_opened(value)[1], start, stop)

    def deciding(self, sq: TTSQ, fire: Fire, full: bool) -> Fire:
        """`fire`, preceded by a note of the set that is to fire; `full`: its tokens come with their intervals."""
        name, note = sq.name, self.note

        def decided(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            tokens = [_opened(value[2] if full else value) for value in values]
            note(Decided(now, name, start, stop, [number for number, _ in tokens]))
            plain = [value for _, value in tokens]
            if full:
                plain = [(*token[:2], value) for token, value in zip(values, plain, strict=True)]
            fire(start, stop, tuple(plain), now)

        return decided

    def fired(self, sq: str, start: Tick, stop: Tick, began: int, ended: int, outcome: Outcome) -> None:
        """The body of an SQ has run."""
        self.note(Fired(self._now(), sq, start, stop, began, ended, outcome))

    def taken_together(
        self, sqs: list[str], ports: list[int], arcs: list[str], tokens: list[int], start: Tick, stop: Tick
    ) -> None:
        """Tokens have come to the one port of each SQ, and fire."""
        numbers = _next_numbers(self.numbers.received, sqs)
        self.note(TakenTogether(self._now(), "", sqs, ports, numbers, arcs, tokens, start, stop))

    def fired_together(
        self, sqs: list[str], start: Tick, stop: Tick, began: int, ended: int, outcomes: list[Outcome]
    ) -> None:
        """The bodies of SQs have run one after the other."""
        self.note(FiredTogether(self._now(), "", sqs, start, stop, began, ended, outcomes))

    def grid_set(self, sq: str, period: Period, phase: int, width: int, after: int) -> None:
        """A stream has another grid."""
        self.note(GridSet(self._now(), sq, period.numerator, period.denominator, phase, width, after))

    def goes_on_late(self, sq: str, late: int, since: int | None) -> None:
        """A stream goes on, and may run instants that are so late."""
        self.note(GoesOnLate(self._now(), sq, late, since))

    def moved(self, sq: str, here: bool, state: InstanceState | None) -> None:
        """An instance has come, or has left."""
        if state is not None:
            self.numbers.sent.update({arc: number - self.numbers.sent[arc] for arc, number in state.sent.items()})
        data = b"" if state is None else bytes(encoded([state.sync, state.body]))
        late = self._streams[sq].catch_up if here and sq in self._streams else 0
        self.note(InstanceMoved(self._now(), sq, here, data, late))

    def twin(self, note: Callable[[Any], None], now: Callable[[], int]) -> Tapped:
        """A tap that counts on from here, of firing rules on stand-ins for values."""
        other = _OnStandIns(note, now)
        for mine, theirs in zip(self.numbers, other.numbers, strict=True):
            theirs.update(mine)
        return other

    def _counted(self, sq: str, kind: str, count: int) -> None:
        if kind != "lost":  # a handler of this SQ does not get a token: no reason why the next one leaves
            self._why[sq] = kind
        self.note(Counted(self._now(), sq, kind, count))


class _OnStandIns(Tapped):
    """Notes stand-ins as they are."""

    def _value(self, value: Any) -> Any:
        return value


def _next_number(numbers: Counter[str], name: str) -> int:
    number = numbers[name] = numbers[name] + 1
    return number


def _next_numbers(numbers: Counter[str], names: Sequence[str]) -> list[int]:
    """Count one more under each name; the counts."""
    numbers.update(names)
    return [*map(numbers.__getitem__, names)]


def _opened(value: Any) -> tuple[int, Any]:
    """The number of a token at its SQ (0: not known) and its value."""
    return (value.number, value.value) if value.__class__ is Numbered else (0, value)


def _put(part: object, **methods: Callable[..., None]) -> None:
    """Let other functions stand in for methods of one object."""
    for name, method in methods.items():
        setattr(part, name, method)
