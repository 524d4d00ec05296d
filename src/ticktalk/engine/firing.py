"""The firing rules: when an SQ fires, and on which tokens.

Three independent choices make every rule (the documented names are labels for their combinations):

* a port *consumes* (a used token leaves) or is *sticky* (the last token stays, a newer one replaces it);
* the trigger is the *arrival* of a token, a *grid* of instants, or a *deadline*;
* the order is *any*, or *forward* (a set that starts before the last one fired is dropped).

Each class here is the sync part of one SQ in one context. It is given tokens (`inbox`) and its turn (`step`), and
calls `fire(start, stop, values, now)` with the interval of the result and the values of its arc ports in port order
(for SQs that work on full tokens: `(start, stop, value)` of each). It owns the tokens that wait; it knows nothing of
bodies, networks or threads.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, Protocol

from ticktalk.defaults import EVICTION_BOUND
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.codec import plain
from ticktalk.engine.counters import Counters
from ticktalk.engine.matching import Port, Waiting, best_set
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.sq import TTSQ
from ticktalk.instructions import ON_TOKENS
from ticktalk.time import INFINITY, NEG_INFINITY, ROOT, Tick, TTClock
from ticktalk.time.clock import whole_tick

Fire = Callable[[Tick, Tick, tuple[Any, ...], int], None]
Send = Callable[[Any, Tick, Tick], None]
Report = Callable[[str, Tick, Tick, BaseException], None]

_MADE = count()


class TTSQSync:
    """What every firing rule shares: an inbox, a place in the order of its agenda, counters.

    Attributes:
        inbox: what arrived since the last step from SQs of the same ensemble: `(port, start, stop, value)`.
        remote: the same from other ensembles; it comes first.
        may_fire_again: the turn that it has may fire more than once.
    """

    __slots__ = (
        "agenda",
        "arc_ports",
        "counters",
        "evict_at",
        "eviction_bound",
        "fire",
        "full",
        "inbox",
        "key",
        "made",
        "may_fire_again",
        "newest",
        "number",
        "queued",
        "remote",
        "slot",
        "sq",
    )

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        self.sq = sq
        self.key = (order, self)
        self.made: Tick = next(_MADE)
        self.queued = False
        self.may_fire_again = False
        self.agenda = agenda
        self.counters = counters
        self.inbox: list[tuple[int, Tick, Tick, Any]] = []
        self.remote: list[tuple[int, Tick, Tick, Any]] = []
        # Constants sit on their ports for good; only ports at which an arc ends take part in matching.
        self.arc_ports = [index for index, port in enumerate(sq.ports) if port.constant is None]
        self.slot = {port: slot for slot, port in enumerate(self.arc_ports)}
        self.number = 0  # of arrivals so far
        self.newest: Tick = NEG_INFINITY  # the newest finite start seen on any port
        self.evict_at: Tick = INFINITY  # a newest start at which some waiting token may have to go
        self.eviction_bound = eviction_bound
        self.full = sq.full_token or (not sq.body and sq.function in ON_TOKENS)
        self.fire: Fire = _not_wired

    def __lt__(self, other: TTSQSync) -> bool:
        # Of two instances of one SQ at one tick (one cut off, one in its place) the older goes first.
        return self.made < other.made

    def receive(self, port: int, start: Tick, stop: Tick, value: Any, from_other_ensemble: bool = False) -> None:
        """Take a token that arrives at the present tick; it is considered at this SQ's turn."""
        (self.remote if from_other_ensemble else self.inbox).append((port, start, stop, value))
        if not self.queued:
            self.agenda.make_ready(self)

    def step(self, now: int) -> None:
        """Consider what arrived, and what is due, at root tick `now`."""
        raise NotImplementedError

    def close(self) -> None:
        """Fire no more; timers that are still due find nothing to do, and leave its place to one that comes after."""
        self.hold()
        self.inbox.clear()
        self.remote.clear()

    def hold(self) -> None:
        """Take no turn until `release`; what arrives and what is due waits."""
        self.agenda.withdraw(self)
        self.queued = True  # so nobody makes it ready

    def release(self) -> None:
        """Take turns again, one at once."""
        self.queued = False
        self.agenda.make_ready(self)

    def save(self, saver: Saver) -> dict[str, Any]:
        """What is needed to go on elsewhere (`restore`)."""
        saved: dict[str, Any] = {"newest": self.newest, "number": self.number}
        for name, tokens in (("inbox", self.inbox), ("remote", self.remote)):
            # One without end is a setting: it comes once, also when it has not had its turn yet.
            kept = [
                (port, saver.token(start, stop, value, "a token"))
                for port, start, stop, value in tokens
                if saver.everything or stop == INFINITY
            ]
            if kept:
                saved[name] = [[port, *token] for port, token in kept if token is not None]
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        """Go on where `save` was called, at root tick `now`."""
        self.newest, self.number = saved["newest"], saved["number"]
        self.inbox[:0] = [(port, start, stop, load(data)) for port, start, stop, data in saved.get("inbox", ())]
        self.remote[:0] = [(port, start, stop, load(data)) for port, start, stop, data in saved.get("remote", ())]
        if not self.queued:
            self.agenda.make_ready(self)

    def waiting(self) -> dict[str, int]:
        """Port name to number of tokens that wait there."""
        return {}

    def settle(self) -> None:
        """Count what was put off; before counters are read."""

    @property
    def pending(self) -> bool:
        """Whether something will still happen here without a further token."""
        return False

    def _arrived(self) -> list[tuple[int, Tick, Tick, Any]]:
        if self.remote:
            arrived = self.remote + self.inbox
            self.remote.clear()
        else:
            arrived = self.inbox[:]
        self.inbox.clear()
        return arrived

    def _saved(self, slot: int, token: Waiting, saver: Saver) -> list[Any] | None:
        """`[slot, start, number, stop, value]`, or None when the value has no codec."""
        start, number, stop, value = token
        port = self._name(slot) if slot < len(self.arc_ports) else "data"
        kept = saver.token(start, stop, value, f"the token on {port}")
        return None if kept is None else [slot, start, number, stop, kept[2]]

    def _name(self, slot: int) -> str:
        return self.sq.ports[self.arc_ports[slot]].name


def _not_wired(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
    raise RuntimeError("this SQ has no body yet")


class SinglePortSync(TTSQSync):
    """Arrival at an SQ with one arc input: every token is a set of its own. `MERGE` too: its ports fire singly."""

    __slots__ = ("forward", "last_start")

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.forward = sq.order == "forward"
        self.last_start: Tick = NEG_INFINITY

    def step(self, now: int) -> None:
        if len(self.inbox) == 1 and not self.remote:
            _, start, stop, value = self.inbox.pop()
            if self.forward:
                if start < self.last_start:
                    self.counters.add(self.sq.name, "out_of_order")
                    return
                self.last_start = start
            self.fire(start, stop, ((start, stop, value) if self.full else value,), now)
            return
        arrived = self._arrived()
        self.may_fire_again = len(arrived) > 1
        for _, start, stop, value in arrived:
            if self.forward:
                if start < self.last_start:
                    self.counters.add(self.sq.name, "out_of_order")
                    continue
                self.last_start = start
            self.fire(start, stop, ((start, stop, value) if self.full else value,), now)
        self.may_fire_again = False

    def save(self, saver: Saver) -> dict[str, Any]:
        return {**super().save(saver), "last_start": self.last_start}

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        self.last_start = saved["last_start"]
        super().restore(saved, load, now)


class ArrivalSync(TTSQSync):
    """Arrival of a token at an SQ with several arc inputs, consuming or sticky; order any or forward."""

    __slots__ = ("consuming", "forward", "last_start", "others", "patience", "ports", "sticky")

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.forward = sq.order == "forward"
        self.last_start: Tick = NEG_INFINITY
        sticky = [sq.ports[port].sticky for port in self.arc_ports]
        self.ports = [Port() for _ in sticky]  # those of sticky slots stay empty
        self.consuming = [slot for slot, is_sticky in enumerate(sticky) if not is_sticky]
        self.others = [[other for other in self.consuming if other != slot] for slot in range(len(sticky))]
        self.sticky: dict[int, Waiting | None] = {slot: None for slot, is_sticky in enumerate(sticky) if is_sticky}
        # Evicting many at once is cheaper. What has to go can meet nothing but what starts as far back as it ends.
        self.patience = eviction_bound + eviction_bound // 64

    def step(self, now: int) -> None:
        if len(self.inbox) == 1 and not self.remote:
            # One arrival alone need not wait on its port before it is matched.
            port, start, stop, value = self.inbox[0]
            slot = self.slot[port]
            if slot not in self.sticky:
                self.inbox.clear()
                self.number += 1
                if start > self.newest:
                    self.newest = start
                    if start > self.evict_at:
                        self._evict()
                elif start < self.newest - self.eviction_bound:
                    self._evict()
                token: Waiting = (start, self.number, stop, value)
                if not self._consider(slot, token, False, now):
                    self._wait(slot, token)
                    if self.newest > self.evict_at:
                        self._evict()
                return
        # All that came at this tick is there before the first of it is matched.
        arrived: list[tuple[int, Waiting]] = []
        oldest: Tick = INFINITY
        for port, start, stop, value in self._arrived():
            self.number += 1
            arrived.append((self.slot[port], (start, self.number, stop, value)))
            if start > self.newest:
                self.newest = start
            if start < oldest:
                oldest = start
        if self.newest > self.evict_at or oldest < self.newest - self.eviction_bound:
            self._evict()
        for slot, token in arrived:
            if slot in self.sticky:
                self.sticky[slot] = token
            else:
                self._wait(slot, token)
        # A firing takes a token of each port that consumes: if there is but one, there is but one firing.
        self.may_fire_again = all(len(self.ports[slot].tokens) > 1 for slot in self.consuming)
        for slot, token in arrived:
            if slot in self.sticky:
                self._reconsider(now)
            elif self.ports[slot].holds(token):
                self._consider(slot, token, True, now)
        self.may_fire_again = False
        if self.newest > self.evict_at:
            self._evict()

    def _wait(self, slot: int, token: Waiting) -> None:
        self.ports[slot].add(token)
        go = token[2] + self.patience
        if go < self.evict_at:
            self.evict_at = go

    def _reconsider(self, now: int) -> None:
        """A sticky value has come: the tokens that wait are considered again, in the order in which they arrived."""
        if None in self.sticky.values():
            return
        self._evict()
        again = [(token[1], slot, token) for slot in self.consuming for token in self.ports[slot].tokens]
        again.sort(key=lambda entry: entry[0])
        for _, slot, token in again:
            if self.ports[slot].holds(token):
                self._consider(slot, token, True, now)

    def _consider(self, slot: int, token: Waiting, waits: bool, now: int) -> bool:
        """Fire on the best set that holds `token` (which `waits` on its port, or has just come), if there is one."""
        start, _, stop, _ = token
        if self.sticky:
            for settled in self.sticky.values():
                if settled is None:
                    return False
                if settled[0] > start:
                    start = settled[0]
                if settled[2] < stop:
                    stop = settled[2]
            if not start < stop:
                return False
        others = self.others[slot]
        candidates = []
        for other in others:
            overlapping = self.ports[other].overlapping(start, stop)
            if not overlapping:
                return False
            candidates.append(overlapping)
        if len(candidates) == 1 and len(candidates[0]) == 1:
            chosen = candidates[0]
        elif candidates:
            best = best_set(start, stop, candidates)
            if best is None:
                return False
            chosen = best
        else:
            chosen = []
        used: list[Any] = [None] * len(self.ports)
        used[slot] = token
        if waits:
            self.ports[slot].remove(token)
        for other, partner in zip(others, chosen, strict=True):
            used[other] = partner
            if partner[0] > start:
                start = partner[0]
            if partner[2] < stop:
                stop = partner[2]
        for other in others:
            self.ports[other].remove(used[other])
        for port, settled in self.sticky.items():
            used[port] = settled
        if self.forward:
            if start < self.last_start:
                self.counters.add(self.sq.name, "out_of_order")
                return True
            self.last_start = start
        self.fire(start, stop, _values(used, self.full), now)
        return True

    def reach(self, start: Tick) -> None:
        """A token that starts at `start` came to this SQ and was used, though no sync saw it."""
        if start > self.newest:
            self.newest = start
            if start > self.evict_at:
                self._evict()

    def _evict(self) -> None:
        limit = self.newest - self.eviction_bound
        self.evict_at = INFINITY
        for waiting in self.ports:
            if waiting.tokens:
                self.counters.add(self.sq.name, "evicted", waiting.evict(limit))
                self.evict_at = min(self.evict_at, waiting.first_end() + self.patience)

    def settle(self) -> None:
        self._evict()

    def waiting(self) -> dict[str, int]:
        self._evict()
        return {self._name(slot): len(self.ports[slot].tokens) for slot in self.consuming if self.ports[slot].tokens}

    def save(self, saver: Saver) -> dict[str, Any]:
        self._evict()
        saved = super().save(saver)
        saved["last_start"] = self.last_start
        settled = [(slot, token) for slot, token in self.sticky.items() if token is not None]
        saved["sticky"] = [entry for slot, token in settled if (entry := self._saved(slot, token, saver))]
        # A token that waits may be used after this. One without end is a setting: it comes once.
        saved["ports"] = [
            entry
            for slot in self.consuming
            for token in self.ports[slot].tokens
            if (saver.everything or token[2] == INFINITY) and (entry := self._saved(slot, token, saver))
        ]
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        self.last_start = saved["last_start"]
        for slot, *token in saved["sticky"]:
            self.sticky[slot] = _loaded(token, load)
        for slot, *token in saved["ports"]:
            self._wait(slot, _loaded(token, load))
        super().restore(saved, load, now)


class PairSync(ArrivalSync):
    """`ArrivalSync` for the most common of its SQs: two ports that consume, plain values; written for speed."""

    __slots__ = ()

    def step(self, now: int) -> None:
        if len(self.inbox) != 1 or self.remote:
            super().step(now)
            return
        port, start, stop, value = self.inbox.pop()
        slot = self.slot[port]
        number = self.number = self.number + 1
        if start > self.newest:
            self.newest = start
            if start > self.evict_at:
                self._evict()
        elif start < self.newest - self.eviction_bound:
            self._evict()
        token: Waiting = (start, number, stop, value)
        other = self.ports[1 - slot]
        tokens = other.tokens
        # Where the last one to start cannot reach this one, as mostly where there is no partner, none can.
        near = tokens and not tokens[-1][0] + other.widest <= start  # true of infinite ones too
        if near and self._consider(slot, token, False, now):
            return
        self.ports[slot].add(token)
        go = stop + self.patience
        if go < self.evict_at:
            self.evict_at = go
        if self.newest > self.evict_at:
            self._evict()

    def _consider(self, slot: int, token: Waiting, waits: bool, now: int) -> bool:
        start, _, stop, value = token
        other = self.ports[1 - slot]
        overlapping = other.overlapping(start, stop)
        if not overlapping:
            return False
        partner = overlapping[0]
        if len(overlapping) > 1:
            best = best_set(start, stop, [overlapping])
            if best is None:
                return False
            partner = best[0]
        if waits:
            self.ports[slot].remove(token)
        other.remove(partner)
        if partner[0] > start:
            start = partner[0]
        if partner[2] < stop:
            stop = partner[2]
        if self.forward:
            if start < self.last_start:
                self.counters.add(self.sq.name, "out_of_order")
                return True
            self.last_start = start
        self.fire(start, stop, (partner[3], value) if slot else (value, partner[3]), now)
        return True


class Taker(Protocol):
    """What may take over the instants of several sources, to run them together."""

    armed: bool  # it has them now

    def dissolve(self) -> None:
        """Give the instants back to the sources."""

    def source_stepped(self, source: GridSync) -> None:
        """A source had its turn."""


class GridSync(TTSQSync):
    """A grid of instants (`@STREAMify`): all inputs are sticky, their intersection is the window (start, end].

    `fire`'s interval is the data's: `width` ticks, `start = instant - width // 2`. `tag`, if set, is called with the
    instant and that interval before `fire`.
    """

    __slots__ = (
        "change",
        "considered",
        "end",
        "first_delay",
        "instant",
        "known",
        "last",
        "not_before",
        "period",
        "phase",
        "settled",
        "tag",
        "taker",
        "values",
        "width",
        "window_start",
    )

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.period = sq.period
        self.phase = sq.phase
        self.width = sq.width
        self.settled: list[Waiting | None] = [None] * len(self.arc_ports)
        self.values: tuple[Any, ...] = ()  # of the settled tokens, as `fire` takes them
        self.window_start: Tick = INFINITY
        self.end: Tick = NEG_INFINITY
        self.last: Tick = INFINITY  # no instant is due after this tick, whatever the window
        self.considered: Tick = NEG_INFINITY  # the last instant that fired or was counted as skipped
        self.known: Tick = NEG_INFINITY  # when the window was
        self.first_delay = sq.first_delay
        self.not_before: Tick | None = None  # set by the first firing
        self.instant: int | None = None  # the next one due
        self.tag: Send | None = None
        self.taker: Taker | None = None
        self.change: tuple[int, int, int] | None = None  # of the grid, after what is due now

    def step(self, now: int) -> None:
        taker = self.taker
        arrived = self._arrived() if self.inbox or self.remote else None
        if taker is not None and taker.armed:
            if not arrived:
                return
            taker.dissolve()
        if arrived:
            for port, start, stop, value in arrived:
                self.settled[self.slot[port]] = (start, 0, stop, value)
            self._open_window(now)
        instant = self.instant
        while instant is not None and instant <= now:
            self._due(instant, now)
            instant = self.instant
        if self.change is not None:
            self.set_grid(*self.change, now)
        if taker is not None:
            taker.source_stepped(self)

    def _open_window(self, now: int) -> None:
        if not self._settle():
            return
        self.known = now
        passed = max(self.window_start, self.considered)
        if self.not_before is not None:
            passed = max(passed, self.not_before)
        if passed != NEG_INFINITY:
            self._skip_between(passed, min(now, self.end))
        self._next_after(max(now, self.window_start))

    def _settle(self) -> bool:
        """Take the window from the tokens that are there; whether there is one."""
        settled = [token for token in self.settled if token is not None]
        if len(settled) < len(self.settled):
            return False
        self.values = _values(settled, self.full)
        self.window_start = max(token[0] for token in settled)
        self.end = min(self.last, *[token[2] for token in settled])
        if not self.window_start < self.end:
            self.instant = None
            return False
        if self.end == INFINITY:
            self.agenda.on_endless(self.sq.name)
        return True

    def _skip_between(self, after: Tick, upto: Tick) -> None:
        """Count the instants in (after, upto] as skipped."""
        if upto > after:
            skipped = (upto - self.phase) // self.period - (after - self.phase) // self.period
            self.counters.add(self.sq.name, "skipped", int(skipped))
            self.considered = upto

    def _next_after(self, tick: Tick) -> None:
        """Make the first instant later than `tick` the next one due, if the window holds it."""
        if self.not_before is not None and tick < self.not_before:
            tick = self.not_before
        if tick == INFINITY:
            self.instant = None
            return
        instant = int((tick - self.phase) // self.period + 1) * self.period + self.phase
        if instant > self.end:
            self.instant = None
        elif instant != self.instant:
            self.instant = instant
            if instant > self.agenda.now:
                self.agenda.at(instant, self)

    def _due(self, instant: int, now: int) -> None:
        self.considered = instant
        start = instant - self.width // 2
        stop = start + self.width
        instant_after = instant + self.period
        if self.first_delay:
            if self.not_before is None and (now < stop or now < instant_after):
                self.not_before = instant + self.first_delay
            self.instant = None
            self._next_after(instant)
        elif instant_after > self.end:
            self.instant = None
        else:
            self.instant = instant_after
            if instant_after > now:
                self.agenda.at(instant_after, self)
        if now >= stop:
            if now >= instant_after:
                self.counters.add(self.sq.name, "skipped")
                return
            self.counters.add(self.sq.name, "late_starts")
        if self.tag is not None:
            self.tag(instant, start, stop)
        self.fire(start, stop, self.values, now)

    @property
    def pending(self) -> bool:
        return self.instant is not None

    def close(self) -> None:
        super().close()
        self.instant, self.window_start = None, INFINITY

    def end_before(self, tick: int) -> None:
        """Let no instant at `tick` or later be due."""
        if self.taker is not None:
            self.taker.dissolve()
        self.last = tick - 1
        self.end = min(self.end, self.last)
        if self.instant is not None and self.instant > self.end:
            self.instant = None

    @property
    def endless(self) -> bool:
        """Whether the stream is open and its window has no end."""
        return self.instant is not None and self.end == INFINITY

    def set_grid(self, period: int, phase: int, width: int, now: int) -> None:
        """Change period, phase and interval width (root ticks) for the instants later than `now`."""
        if self.taker is not None:
            self.taker.dissolve()
        self.change = None
        if (period, phase, width) == (self.period, self.phase, self.width):
            return
        if self.instant is not None and self.instant <= now:
            self.change = period, phase, width  # that one is still to have its turn
            return
        self.period, self.phase, self.width = period, phase, width
        if self.window_start < self.end:
            self.instant = None
            self._next_after(max(now, self.considered, self.window_start))
            if self.instant is not None and self.instant <= self.agenda.now:
                self.agenda.make_ready(self)

    def save(self, saver: Saver) -> dict[str, Any]:
        saved = super().save(saver)
        saved["settled"] = [
            None if token is None else self._saved(slot, token, saver) for slot, token in enumerate(self.settled)
        ]
        saved["considered"], saved["not_before"], saved["known"] = self.considered, self.not_before, self.known
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        self.settled = [None if token is None else _loaded(token[1:], load) for token in saved["settled"]]
        self.considered, self.not_before, self.known = saved["considered"], saved["not_before"], saved["known"]
        if self._settle():
            # Instants that passed meanwhile are skipped, but for the last ones: those may still start late.
            passed = max(self.window_start, self.considered, self.known, self.not_before or NEG_INFINITY)
            past = now - 2 * max(self.period, self.width)
            self._skip_between(passed, min(past, self.end))
            self._next_after(max(passed, past))
        super().restore(saved, load, now)


class PlanBSync(TTSQSync):
    """The inputs of a plan B: they wait until its deadline asks for those that overlap its interval."""

    __slots__ = ("ports",)

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.ports = [Port() for _ in self.arc_ports]

    def step(self, now: int) -> None:
        for port, start, stop, value in self._arrived():
            slot = self.slot[port]
            self.number += 1
            waiting = self.ports[slot]
            token = (start, self.number, stop, value)
            if self.sq.ports[port].sticky:
                waiting.tokens = [token]
            else:
                waiting.add(token)
                self.newest = max(self.newest, start)
                self.counters.add(self.sq.name, "evicted", waiting.evict(self.newest - self.eviction_bound))

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
            if not self.sq.ports[self.arc_ports[slot]].sticky:
                waiting.remove(token)
        return _values(chosen, self.full)

    def waiting(self) -> dict[str, int]:
        return {self._name(slot): len(port.tokens) for slot, port in enumerate(self.ports) if port.tokens}

    def save(self, saver: Saver) -> dict[str, Any]:
        saved = super().save(saver)
        saved["ports"] = [
            entry
            for slot, port in enumerate(self.ports)
            for token in port.tokens
            if (entry := self._saved(slot, token, saver))
        ]
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        for slot, *token in saved["ports"]:
            self.ports[slot].add(_loaded(token, load))
        super().restore(saved, load, now)


class DeadlineSync(TTSQSync):
    """A deadline: data that comes in time passes; at the deadline without data, plan B fires.

    Port 0 takes the data, port 1 the deadlines (value: an absolute tick of `clock`). `pass_on` sends data on;
    `plan_b_fire` runs plan B. A waiting entry's value is `(arrival tick, value)` for data, the root tick of the
    deadline for a deadline.
    """

    __slots__ = (
        "answered",
        "clock",
        "data",
        "due",
        "missed",
        "pass_on",
        "plan_b",
        "plan_b_fire",
        "report",
        "sticky_data",
        "sticky_deadline",
    )

    def __init__(
        self,
        sq: TTSQ,
        order: int,
        agenda: Agenda,
        counters: Counters,
        eviction_bound: int,
        clock: TTClock = ROOT,
    ) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.clock = clock
        self.data = Port()
        self.due = Port()  # deadlines that wait for data
        self.missed = Port()  # deadlines that passed without; what overlaps them comes late
        self.sticky_data = sq.ports[0].sticky or sq.ports[0].constant is not None
        self.sticky_deadline = sq.ports[1].sticky or sq.ports[1].constant is not None
        self.answered: set[int] = set()  # sticky deadlines that data has met
        self.pass_on: Send = _no_send
        self.plan_b: PlanBSync | None = None
        self.plan_b_fire: Fire = _not_wired
        self.report: Report = _no_report

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
                    tick = plain(value)
                    if tick != INFINITY:
                        tick = whole_tick(tick, "a deadline")
                    deadline = self.clock.to_root(tick) + self.sq.offset
                except ValueError as error:
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
            self._pass(token, now)
        if arrived:
            limit = self.newest - self.eviction_bound
            if not self.sticky_data:
                self.counters.add(self.sq.name, "evicted", self.data.evict(limit))
            if not self.sticky_deadline:
                self.missed.evict(limit)

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
            self._meet(deadline, token)
            return
        self.data.remove(token)
        self.counters.add(self.sq.name, "late")
        if not self.sticky_deadline and self.missed.holds(deadline):
            self.missed.remove(deadline)
        elif self.due.holds(deadline):
            # Due at this very tick: the deadline is missed, and its late data has been seen.
            self._pass(deadline, now)
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
            self._meet(token, chosen[0])
        elif deadline <= now:
            self._pass(token, now)

    def _meet(self, deadline: Waiting, data: Waiting) -> None:
        if self.sticky_deadline:
            self.answered.add(deadline[1])
        else:
            self.due.remove(deadline)
        self.pass_on(data[3][1], max(deadline[0], data[0]), min(deadline[2], data[2]))

    def _pass(self, token: Waiting, now: int) -> None:
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
                self.counters.add(self.sq.name, "late")
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
        saved["due"] = [list(token) for token in self.due.tokens]
        saved["missed"] = [list(token) for token in self.missed.tokens]
        saved["answered"] = sorted(self.answered)
        saved["data"] = [
            [token[3][0], entry]
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
            start, number, stop, value = _loaded(entry[1:], load)
            self.data.add((start, number, stop, (arrival, value)))
        for token in self.due.tokens:
            if now < token[3] < INFINITY:
                self.agenda.at(int(token[3]), self)
        super().restore(saved, load, now)


def _values(tokens: list[Any], full: bool) -> tuple[Any, ...]:
    if full:
        return tuple([(token[0], token[2], token[3]) for token in tokens])
    return tuple([token[3] for token in tokens])


def _loaded(token: list[Any], load: Load) -> Waiting:
    start, number, stop, data = token
    return start, number, stop, load(data)


def _by_arrival(token: Waiting) -> int:
    return token[1]


def _no_send(value: Any, start: Tick, stop: Tick) -> None:
    raise RuntimeError("this SQ leads nowhere yet")


def _no_report(sq: str, start: Tick, stop: Tick, error: BaseException) -> None:
    raise error


class SingleRun:
    """At most one firing of an SQ in flight (`TTSingleRunTimeout`).

    Inputs that come meanwhile are dropped and counted. It is free again when the body ends, however it ends, or
    `timeout` root ticks after it was taken; a result that comes later than that is dropped and counted. An
    instance runs its firings one at a time and in order, so the first result is that of the first firing.

    Args:
        sq: the SQ.
        counters: where drops are counted.
        send: where results go.
    """

    __slots__ = ("_counters", "_send", "_sq", "ended", "fire_body", "free_at", "taken", "timeout")

    def __init__(self, sq: TTSQ, counters: Counters, send: Send) -> None:
        self._sq = sq.name
        self._counters = counters
        self._send = send
        self.timeout = sq.single_run or 0
        self.taken = 0  # firings begun, and ended
        self.ended = 0
        self.free_at: Tick = NEG_INFINITY
        self.fire_body: Fire = _not_wired

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Take the set unless a firing is in flight."""
        if self.ended < self.taken and now < self.free_at:
            self._counters.add(self._sq, "busy")
            return
        self.taken += 1
        self.free_at = now + self.timeout
        self.fire_body(start, stop, values, now)

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """Pass a result on, unless a later firing has taken its place."""
        if self.ended + 1 < self.taken:
            self._counters.add(self._sq, "late_results")
        else:
            self._send(value, start, stop)

    def done(self) -> None:
        """The body of the oldest firing in flight has ended."""
        self.ended += 1


def make_sync(
    sq: TTSQ,
    order: int,
    agenda: Agenda,
    counters: Counters,
    clock: TTClock = ROOT,
    eviction_bound: int = EVICTION_BOUND,
) -> TTSQSync:
    """The sync part that the SQ's trigger, ports and order ask for.

    Args:
        sq: the SQ.
        order: its place among all that share `agenda`: rank first, then source order.
        agenda: given the time by the driver.
        counters: where skipped, evicted, late and dropped tokens are counted.
        clock: the clock in which a deadline's values are given.
        eviction_bound: see `EVICTION_BOUND`.
    """
    if sq.trigger == "grid":
        return GridSync(sq, order, agenda, counters, eviction_bound)
    if sq.trigger == "deadline":
        return DeadlineSync(sq, order, agenda, counters, eviction_bound, clock)
    if sq.trigger == "plan_b":
        return PlanBSync(sq, order, agenda, counters, eviction_bound)
    arcs = sum(port.constant is None for port in sq.ports)
    if arcs == 1 or sq.singly:
        return SinglePortSync(sq, order, agenda, counters, eviction_bound)
    full = sq.full_token or (not sq.body and sq.function in ON_TOKENS)
    pair = arcs == 2 and not full and not any(port.sticky for port in sq.ports)
    return (PairSync if pair else ArrivalSync)(sq, order, agenda, counters, eviction_bound)
