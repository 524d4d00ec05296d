"""Firing by a deadline: data that comes in time passes; at a deadline without data, plan B fires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from operator import itemgetter
from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import Fire, Send, TTSQSync, loaded, values_of
from ticktalk.engine.matching import Port, Waiting, best_set
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, ROOT, Tick, TTClock
from ticktalk.time.clock import whole_tick
from ticktalk.values.classes import as_data
from ticktalk.values.codec import Encoded, decode_value

Report = Callable[[str, Tick, Tick, BaseException], None]
"""`(sq, start, stop, error)`: takes an error that is no body's."""

LONGEST = 1_000
"""Bytes of an encoded deadline: whoever keeps time opens nothing longer."""


def _tick(value: Any) -> Tick:
    """The tick that a deadline token's value is; a number of a class of the program, too."""
    if value.__class__ is Encoded:
        if len(value.data) > LONGEST:
            raise ValueError(f"a deadline must be a whole number of ticks, not a value of {len(value.data)} bytes")
        value = decode_value(value.data, as_data)
    if value.__class__ is not int and isinstance(value, Real) and value == INFINITY:
        return INFINITY
    return whole_tick(value, "a deadline")


class PlanBSync(TTSQSync):
    """The inputs of a plan B: they wait until its deadline asks for those that overlap its interval."""

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.ports = [Port() for _ in self.arc_ports]

    def step(self, now: int) -> None:
        for port, start, stop, value in self._arrived():
            slot = self.slot[port]
            self.number += 1
            waiting = self.ports[slot]
            if self.sq.ports[port].sticky:
                waiting.tokens = []
            waiting.add((start, self.number, stop, value))
            self.newest = max(self.newest, start)
        limit = self.newest - self.eviction_bound
        self._left("evicted", [(slot, token) for slot, port in self._consuming() for token in port.evict(limit)])

    def _consuming(self) -> Iterable[tuple[int, Port]]:
        return [(slot, port) for slot, port in enumerate(self.ports) if not self.sq.ports[self.arc_ports[slot]].sticky]

    def take(self, start: Tick, stop: Tick) -> tuple[Any, ...]:
        """The values of the best set of inputs that overlaps [start, stop).

        Raises:
            LookupError: an input has not arrived.
        """
        if not self.ports:
            return ()
        candidates = [list(waiting.overlapping(start, stop)) for waiting in self.ports]
        chosen = best_set(start, stop, candidates) if all(candidates) else None
        if chosen is None:
            missing = [self._name(slot) for slot, tokens in enumerate(candidates) if not tokens]
            which = ", ".join(missing) or "a set that overlaps in time"
            raise LookupError(f"plan B {self.sq.name} was due, but its input had not arrived: {which}")
        for slot, (waiting, token) in enumerate(zip(self.ports, chosen, strict=True)):
            self.met.pop(token[1], None)
            if not self.sq.ports[self.arc_ports[slot]].sticky:
                waiting.remove(token)
        return values_of(chosen, self.full)

    def _overlapping(self, slot: int, start: Tick, stop: Tick) -> Sequence[Waiting]:
        return self.ports[slot].overlapping(start, stop)

    def waiting(self) -> dict[str, int]:
        return {self._name(slot): len(port.tokens) for slot, port in enumerate(self.ports) if port.tokens}

    def save(self, saver: Saver) -> dict[str, Any]:
        return {**super().save(saver), "ports": self._all_saved(enumerate(self.ports), saver, everything=True)}

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        for slot, *token in saved["ports"]:
            self.ports[slot].add(loaded(token, load))
        super().restore(saved, load, now)


class DeadlineSync(TTSQSync):
    """A deadline: data that comes in time passes; at the deadline without data, plan B fires.

    Port 0 takes the data, port 1 the deadlines (value: an absolute tick of `clock`). `pass_on` sends data on;
    `plan_b_fire` runs plan B. A waiting entry's value is `(arrival tick, value)` for data, the root tick of the
    deadline for a deadline.
    """

    def __init__(
        self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int, clock: TTClock = ROOT
    ) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.clock = clock
        self.data = Port()
        self.due = Port()  # deadlines that wait for data
        self.missed = Port()  # deadlines that passed without; tokens that overlap them are late
        self.sticky_data = sq.ports[0].sticky or sq.ports[0].constant is not None
        self.sticky_deadline = sq.ports[1].sticky or sq.ports[1].constant is not None
        self.answered: set[int] = set()  # sticky deadlines that data has met
        self.pass_on: Send
        self.plan_b: PlanBSync | None = None
        self.plan_b_fire: Fire
        self.report: Report

    def step(self, now: int) -> None:
        arrived: list[tuple[bool, Waiting]] = []
        token: Waiting
        for port, start, stop, value in self._arrived():
            self.number += 1
            if start > self.newest:
                self.newest = start
            if port == 0:
                token = (start, self.number, stop, (now, value))
                if self.sticky_data:
                    self.data.tokens = []
                self.data.add(token)
            else:
                try:
                    deadline = self.clock.to_root(_tick(value)) + self.sq.offset
                except Exception as error:  # also what a class of the program raises
                    self.report(self.sq.name, start, stop, error)
                    continue
                token = (start, self.number, stop, deadline)
                if self.sticky_deadline:
                    self.due.tokens, self.missed.tokens = [], []
                self.due.add(token)
                if now < deadline < INFINITY:
                    self.agenda.at(int(deadline), self)
            arrived.append((port == 0, token))
        for is_data, token in arrived:
            if is_data and self.sticky_data:
                for pending in sorted(self.due.tokens, key=_by_arrival):
                    self._deadline(pending, now)
            elif is_data:
                if self.data.holds(token):
                    self._data(token, now)
            elif self.sticky_deadline and not self.sticky_data:
                for data in sorted(self.data.tokens, key=_by_arrival):
                    self._data(data, now)
            elif self.due.holds(token):
                self._deadline(token, now)
        for token in [token for token in self.due.tokens if token[3] <= now]:
            self.miss(token, now)
        if arrived:
            limit = self.newest - self.eviction_bound
            if not self.sticky_data:
                self._gone("evicted", self.data.evict(limit))
            if not self.sticky_deadline:
                self.missed.evict(limit)
                self._evict_endless(limit)

    def _evict_endless(self, limit: Tick) -> None:
        """Take away deadlines that never pass, and whose intervals end before `limit`: nothing else would."""
        due = self.due.tokens
        if due and due[0][0] < limit:
            self.due.tokens = [token for token in due if token[3] < INFINITY or token[2] >= limit]
            self.counters.add(self.sq.name, "evicted", len(due) - len(self.due.tokens))

    def _data(self, token: Waiting, now: int) -> None:
        """Data came: it meets the deadline it overlaps most; if that one has passed, the data is late."""
        start, _, stop, (arrival, _) = token
        known = sorted([*self.due.overlapping(start, stop), *self.missed.overlapping(start, stop)])
        chosen = best_set(start, stop, [known]) if known else None
        if chosen is None:
            return
        deadline = chosen[0]
        if arrival < deadline[3]:
            if not self.sticky_data:
                self.data.remove(token)
            self.meet(deadline, token)
            return
        self.data.remove(token)
        self._gone("late", [token])
        if not self.sticky_deadline and self.missed.holds(deadline):
            self.missed.remove(deadline)
        elif self.due.holds(deadline):
            # Due at this very tick: the deadline is missed, and its late data has been seen.
            self.miss(deadline, now)
            if self.missed.holds(deadline) and not self.sticky_deadline:
                self.missed.remove(deadline)

    def _deadline(self, token: Waiting, now: int) -> None:
        """A deadline came: data that reached the port before it passes, even if the deadline itself comes later."""
        start, _, stop, deadline = token
        in_time = [data for data in self.data.overlapping(start, stop) if data[3][0] < deadline]
        chosen = best_set(start, stop, [in_time]) if in_time else None
        if chosen is not None:
            if not self.sticky_data:
                self.data.remove(chosen[0])
            self.meet(token, chosen[0])
        elif deadline <= now:
            self.miss(token, now)

    def meet(self, deadline: Waiting, data: Waiting) -> None:
        """Data meets a deadline, and passes."""
        if self.sticky_deadline:
            self.answered.add(deadline[1])
        else:
            self.due.remove(deadline)
        self.pass_on(data[3][1], max(deadline[0], data[0]), min(deadline[2], data[2]))

    def miss(self, token: Waiting, now: int) -> None:
        """The deadline passes."""
        self.due.remove(token)
        self.missed.add(token)
        if token[1] in self.answered:
            self.answered.discard(token[1])
            return
        # Data that waits and overlaps came too late for this deadline.
        start, _, stop, deadline = token
        late = [data for data in self.data.overlapping(start, stop) if data[3][0] >= deadline]
        if late and not self.sticky_data:
            chosen = best_set(start, stop, [late])
            if chosen is not None:
                self.data.remove(chosen[0])
                self._gone("late", chosen)
                if not self.sticky_deadline:
                    self.missed.remove(token)
        if self.plan_b is None:
            self.counters.add(self.sq.name, "missed")
            return
        try:
            values = self.plan_b.take(start, stop)
        except LookupError as error:
            self.report(self.plan_b.sq.name, start, stop, error)
            return
        self.counters.add(self.sq.name, "plan_b")
        self.plan_b_fire(start, stop, values, now)

    def _consuming(self) -> Iterable[tuple[int, Port]]:
        return () if self.sticky_data else [(0, self.data)]

    def _left(self, kind: str, gone: Sequence[tuple[int, Waiting]]) -> None:
        self._gone(kind, [token for _, token in gone])

    def _gone(self, kind: str, tokens: Sequence[Waiting]) -> None:
        """Data leaves without having met a deadline in time."""
        self.counters.add(self.sq.name, kind, len(tokens))
        for start, _, stop, (_, value) in tokens if self.leave is not None else ():
            assert self.leave is not None
            self.leave(value, start, stop, ("deadline",))

    def close(self) -> None:
        super().close()
        self.due.tokens = []

    @property
    def pending(self) -> bool:
        return any(token[3] < INFINITY for token in self.due.tokens)

    def waiting(self) -> dict[str, int]:
        counts = {"data": len(self.data.tokens), "deadline": len(self.due.tokens)}
        return {name: count for name, count in counts.items() if count}

    def save(self, saver: Saver) -> dict[str, Any]:
        saved = super().save(saver)
        saved["due"] = [tuple(token) for token in self.due.tokens]
        saved["missed"] = [tuple(token) for token in self.missed.tokens]
        saved["answered"] = sorted(self.answered)
        saved["data"] = [
            (token[3][0], entry)
            for token in self.data.tokens
            if (saver.everything or self.sticky_data or token[2] == INFINITY)
            and (entry := self._saved(0, (*token[:3], token[3][1]), saver))
        ]
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        for port, name in ((self.due, "due"), (self.missed, "missed")):
            for start, number, stop, deadline in saved[name]:
                port.add((start, number, stop, deadline))
        self.answered = set(saved["answered"])
        for arrival, entry in saved["data"]:
            start, number, stop, value = loaded(entry[1:], load)
            self.data.add((start, number, stop, (arrival, value)))
        for token in self.due.tokens:
            if now < token[3] < INFINITY:
                self.agenda.at(int(token[3]), self)
        super().restore(saved, load, now)


_by_arrival = itemgetter(1)
