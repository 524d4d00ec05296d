"""Firing at the arrival of a token: on it alone, or on the best set that holds it, one token per port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import TTSQSync, loaded, values_of
from ticktalk.engine.matching import Port, Waiting, best_set
from ticktalk.engine.state import Load, Saver
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, NEG_INFINITY, Tick


class SinglePortSync(TTSQSync):
    """Arrival at an SQ with one arc input: every token is a set of its own. `MERGE` too: its ports fire singly."""

    kept = (*TTSQSync.kept, "last_start")

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.forward = sq.order == "forward"
        self.last_start: Tick = NEG_INFINITY

    def step(self, now: int) -> None:
        if len(self.inbox) == 1 and not self.remote:
            _, start, stop, value = self.inbox.pop()
            if self.forward:
                if start < self.last_start:
                    self._drop(start, stop, value)
                    return
                self.last_start = start
            self.fire(start, stop, ((start, stop, value) if self.full else value,), now)
            return
        for _, start, stop, value in self._arrived():
            if self.forward:
                if start < self.last_start:
                    self._drop(start, stop, value)
                    continue
                self.last_start = start
            self.fire(start, stop, ((start, stop, value) if self.full else value,), now)

    def _drop(self, start: Tick, stop: Tick, value: Any) -> None:
        self.counters.add(self.sq.name, "out_of_order")
        if self.leave is not None:
            self.leave(value, start, stop, ())


class ArrivalSync(TTSQSync):
    """Arrival of a token at an SQ with several arc inputs, consuming or sticky; order any or forward."""

    kept = (*TTSQSync.kept, "last_start")

    def __init__(self, sq: TTSQ, order: int, agenda: Agenda, counters: Counters, eviction_bound: int) -> None:
        super().__init__(sq, order, agenda, counters, eviction_bound)
        self.forward = sq.order == "forward"
        self.last_start: Tick = NEG_INFINITY
        sticky = [sq.ports[port].sticky for port in self.arc_ports]
        self.ports = [Port() for _ in sticky]  # those of sticky slots stay empty
        self.consuming = [slot for slot, is_sticky in enumerate(sticky) if not is_sticky]
        self.others = [[other for other in self.consuming if other != slot] for slot in range(len(sticky))]
        self.sticky: dict[int, Waiting | None] = {slot: None for slot, is_sticky in enumerate(sticky) if is_sticky}
        # Evicting many at once is cheaper. A token that is overdue can only meet tokens that start before its end.
        # Only a handler can tell when it leaves.
        self.patience = eviction_bound + (0 if self.handled else eviction_bound // 64)
        self.evict_at: Tick = INFINITY  # a newest start at which some waiting token may have to go

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
        for slot, token in arrived:
            if slot in self.sticky:
                self._reconsider(now)
            elif self.ports[slot].holds(token):
                self._consider(slot, token, True, now)
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
        if self.met:
            for partner in used:
                self.met.pop(partner[1], None)
        if self.forward:
            if start < self.last_start:
                self._drop([used[slot] for slot in self.consuming])
                return True
            self.last_start = start
        self.fire(start, stop, values_of(used, self.full), now)
        return True

    def _drop(self, used: list[Waiting]) -> None:
        self.counters.add(self.sq.name, "out_of_order")
        if self.leave is not None:
            for start, _, stop, value in used:
                self.leave(value, start, stop, ())

    def reach(self, start: Tick) -> None:
        """A token that starts at `start` came to this SQ and was used, though no sync saw it."""
        if start > self.newest:
            self.newest = start
            if start > self.evict_at:
                self._evict()

    def _evict(self) -> None:
        limit = self.newest - self.eviction_bound
        self.evict_at = INFINITY
        gone: list[tuple[int, Waiting]] = []
        for slot, waiting in enumerate(self.ports):
            if waiting.tokens:
                gone += [(slot, token) for token in waiting.evict(limit)]
                self.evict_at = min(self.evict_at, waiting.first_end() + self.patience)
        self._left("evicted", gone)

    def _consuming(self) -> Iterable[tuple[int, Port]]:
        return [(slot, self.ports[slot]) for slot in self.consuming]

    def _overlapping(self, slot: int, start: Tick, stop: Tick) -> Sequence[Waiting]:
        if slot not in self.sticky:
            return self.ports[slot].overlapping(start, stop)
        settled = self.sticky[slot]
        return [settled] if settled is not None and settled[0] < stop and settled[2] > start else []

    def settle(self) -> None:
        self._evict()

    def waiting(self) -> dict[str, int]:
        self._evict()
        return {self._name(slot): len(self.ports[slot].tokens) for slot in self.consuming if self.ports[slot].tokens}

    def save(self, saver: Saver) -> dict[str, Any]:
        self._evict()
        saved = super().save(saver)
        settled = [(slot, token) for slot, token in self.sticky.items() if token is not None]
        saved["sticky"] = [entry for slot, token in settled if (entry := self._saved(slot, token, saver))]
        # A token that waits may be used after this. One without end is a setting: it comes once.
        saved["ports"] = self._all_saved(enumerate(self.ports), saver, saver.everything)
        return saved

    def restore(self, saved: dict[str, Any], load: Load, now: int) -> None:
        super().restore(saved, load, now)
        for slot, *token in saved["sticky"]:
            self.sticky[slot] = loaded(token, load)
        for slot, *token in saved["ports"]:
            self._wait(slot, loaded(token, load))


class PairSync(ArrivalSync):
    """`ArrivalSync` for the most common of its SQs: two ports that consume, plain values; written for speed."""

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
                self._drop([partner, token] if slot else [token, partner])
                return True
            self.last_start = start
        self.fire(start, stop, (partner[3], value) if slot else (value, partner[3]), now)
        return True
