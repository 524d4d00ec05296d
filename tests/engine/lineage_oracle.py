"""What each token of a program came from: all of the language's rules of matching once more, slow and obvious.

Every tick is visited, and every combination of waiting tokens is tried. Only the compiled graph is read: its SQs, their
ports, ranks and settings. Bodies are plain Python functions of the test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ

EMPTY = object()
"""A body gives this for no result."""


@dataclass(eq=False)
class Tok:
    """A token of an arc, and the tokens from which it came."""

    arc: str
    start: float
    stop: float
    value: Any
    tick: int
    before: list[Tok] = field(default_factory=list)

    def all_before(self) -> list[Tok]:
        found: dict[int, Tok] = {}
        waits = [self]
        while waits:
            token = waits.pop()
            if id(token) not in found:
                found[id(token)] = token
                waits += token.before
        return list(found.values())


@dataclass(eq=False)
class At:
    """A token at a port: its number among those that came to the SQ, and when it came."""

    token: Tok
    number: int
    came: int
    due: float = 0  # of a deadline

    @property
    def start(self) -> float:
        return self.token.start

    @property
    def stop(self) -> float:
        return self.token.stop


def overlap(*tokens: Any) -> float:
    return min(t.stop for t in tokens) - max(t.start for t in tokens)


@dataclass(eq=False)
class Span:
    start: float
    stop: float


def best(within: Any, choices: list[list[At]]) -> tuple[At, ...] | None:
    """One token of each port with the widest common overlap within; then earlier starts, then earlier arrivals."""
    sets = [chosen for chosen in itertools.product(*choices) if overlap(within, *chosen) > 0]
    return min(sets, key=lambda s: (-overlap(within, *s), [(t.start, t.number) for t in s]), default=None)


class Oracle:
    """A run of a graph up to a tick; `tokens` are all that were sent."""

    def __init__(
        self, graph: TTGraph, host_of: dict[str, str], delay: int, until: int, bound: int, body: Callable[..., Any]
    ) -> None:
        self.by_name = {sq.name: sq for sq in graph.sqs}
        self.order = [graph.sqs[i] for i in sorted(range(len(graph.sqs)), key=lambda i: (graph.sqs[i].rank, i))]
        self.host_of, self.delay, self.bound, self.body = host_of, delay, bound, body
        self.tokens: list[Tok] = []
        self.local: dict[str, list[tuple[int, Tok]]] = {name: [] for name in self.by_name}
        self.remote: dict[int, list[tuple[str, int, Tok]]] = {}
        self.ports = {sq.name: [[] for _ in sq.ports] for sq in graph.sqs}
        self.numbers = dict.fromkeys(self.by_name, 0)
        self.newest = dict.fromkeys(self.by_name, float("-inf"))
        self.last = dict.fromkeys(self.by_name, float("-inf"))
        self.counts = dict.fromkeys(self.by_name, 0)
        self.samples: dict[str, Tok] = {}
        self.due: dict[str, list[At]] = {name: [] for name in self.by_name}
        self.passed: dict[str, list[At]] = {name: [] for name in self.by_name}
        self.now = 0
        for self.now in range(until):
            for sq in self.order:
                come = [(port, token) for name, port, token in self.remote.get(self.now, []) if name == sq.name]
                arrived = come + self.local[sq.name]
                self.local[sq.name] = []
                self.turn(sq, arrived)

    def turn(self, sq: TTSQ, arrived: list[tuple[int, Tok]]) -> None:
        if sq.trigger == "grid":
            if self.now > 0 and (self.now - sq.phase) % sq.period == 0:
                start = self.now - sq.width // 2
                self.send(sq, "tag", self.now, start, start + sq.width, [])
                self.run(sq, [], start, start + sq.width)
            return
        at = []
        for port, token in arrived:
            self.numbers[sq.name] += 1
            at.append((port, At(token, self.numbers[sq.name], self.now)))
        if sq.trigger == "deadline":
            self.deadline(sq, at)
        elif sq.trigger == "plan_b":
            for port, token in at:
                self.newest[sq.name] = max(self.newest[sq.name], token.start)
                self.ports[sq.name][port].append(token)
                self.evict(sq)
        elif sq.function == "RESAMPLE":
            for _, token in at:
                self.resample(sq, token.token)
        elif sq.function == "ADD_TIME_DELAY":
            for _, token in at:
                delay = decode_constant(sq.instruction["delay"])
                self.send(sq, "value", token.token.value, token.start + delay, token.stop + delay, [token.token])
        elif len(self.arc_ports(sq)) == 1 or sq.singly:
            for _, token in at:
                if self.forward(sq, token.start, [token]):
                    self.run(sq, [token.token], token.start, token.stop)
        elif at:
            self.match(sq, at)

    def arc_ports(self, sq: TTSQ) -> list[int]:
        return [port for port, each in enumerate(sq.ports) if each.constant is None]

    def match(self, sq: TTSQ, at: list[tuple[int, At]]) -> None:
        waiting = self.ports[sq.name]
        self.newest[sq.name] = max([self.newest[sq.name], *(token.start for _, token in at)])
        self.evict(sq)
        for port, token in at:
            waiting[port].append(token)
        for port, token in at:
            if token not in waiting[port]:
                continue
            ports = self.arc_ports(sq)
            chosen = best(token, [waiting[p] if p != port else [token] for p in ports])
            if chosen is None:
                continue
            for p, used in zip(ports, chosen, strict=True):
                waiting[p].remove(used)
            start, stop = max(t.start for t in chosen), min(t.stop for t in chosen)
            if self.forward(sq, start, list(chosen)):
                self.run(sq, [t.token for t in chosen], start, stop)
        self.evict(sq)

    def forward(self, sq: TTSQ, start: float, used: list[At]) -> bool:
        if sq.order == "forward":
            if start < self.last[sq.name]:
                self.unused(sq, used)
                return False
            self.last[sq.name] = start
        return True

    def evict(self, sq: TTSQ) -> None:
        for waiting in self.ports[sq.name]:
            gone = [t for t in waiting if self.newest[sq.name] - t.stop > self.bound]
            waiting[:] = [t for t in waiting if t not in gone]
            self.unused(sq, sorted(gone, key=lambda t: (t.start, t.number)))

    def unused(self, sq: TTSQ, gone: list[At]) -> None:
        for at in gone:
            self.send(sq, "unmatched", at.token.value, at.start, at.stop, [at.token])

    def resample(self, sq: TTSQ, token: Tok) -> None:
        if not self.forward(sq, token.start, []):
            return
        centre = token.start + (token.stop - token.start) // 2
        former = self.samples.get(sq.name)
        since = centre if former is None else former.start + (former.stop - former.start) // 2
        if centre < since:
            return
        self.samples[sq.name] = token
        for instant in range(int(since), int(centre)):
            if former is not None and (instant - sq.phase) % sq.period == 0:
                start = instant - sq.width // 2
                self.send(sq, "value", former.value, start, start + sq.width, [token, former])

    def run(self, sq: TTSQ, tokens: list[Tok], start: float, stop: float, also: tuple[Tok, ...] = ()) -> Any:
        self.counts[sq.name] += 1
        given = iter([token.value for token in tokens])
        constants = [p.constant and decode_constant(p.constant[0]) for p in sq.ports]
        values = (
            [next(given) if p.constant is None else c for p, c in zip(sq.ports, constants, strict=True)]
            if tokens and not sq.singly
            else list(given)
        )
        value = self.body(sq, values, self.counts[sq.name])
        if value is not EMPTY:
            self.send(sq, "value", value, start, stop, [*tokens, *also])
        return value

    def send(self, sq: TTSQ, kind: str, value: Any, start: float, stop: float, before: list[Tok]) -> None:
        for index, arc in enumerate(sq.arcs):
            if arc.kind != kind:
                continue
            token = Tok(f"{sq.name}/{index}", start, stop, value, self.now, before)
            self.tokens.append(token)
            for to in arc.to:
                here, there = self.host_of[sq.name], self.host_of[to.sq]
                if here == there:
                    self.local[to.sq].append((to.port, token))
                else:
                    self.remote.setdefault(self.now + self.delay, []).append((to.sq, to.port, token))

    # Deadlines.

    def deadline(self, sq: TTSQ, at: list[tuple[int, At]]) -> None:
        data, due, passed = self.ports[sq.name][0], self.due[sq.name], self.passed[sq.name]
        for port, token in at:
            self.newest[sq.name] = max(self.newest[sq.name], token.start)
            if port == 1:
                token.due = token.token.value + sq.offset
            (due if port == 1 else data).append(token)
        for port, token in at:
            if port == 0 and token in data:
                chosen = best(token, [sorted(due + passed, key=lambda t: (t.start, t.number))])
                if chosen is None:
                    continue
                (limit,) = chosen
                data.remove(token)
                if token.came < limit.due:
                    self.meet(sq, limit, token)
                    continue
                self.unused(sq, [token])
                if limit in due:
                    self.miss(sq, limit)
                if limit in passed:
                    passed.remove(limit)
            elif port == 1 and token in due:
                in_time = [t for t in data if t.came < token.due]
                chosen = best(token, [in_time])
                if chosen is not None:
                    data.remove(chosen[0])
                    self.meet(sq, token, chosen[0])
                elif token.due <= self.now:
                    self.miss(sq, token)
        for token in [t for t in due if t.due <= self.now]:
            self.miss(sq, token)
        if at:
            gone = [t for t in data if self.newest[sq.name] - t.stop > self.bound]
            data[:] = [t for t in data if t not in gone]
            self.unused(sq, sorted(gone, key=lambda t: (t.start, t.number)))
            passed[:] = [t for t in passed if self.newest[sq.name] - t.stop <= self.bound]

    def meet(self, sq: TTSQ, limit: At, data: At) -> None:
        self.due[sq.name].remove(limit)
        start, stop = max(limit.start, data.start), min(limit.stop, data.stop)
        self.send(sq, "value", data.token.value, start, stop, [data.token, limit.token])

    def miss(self, sq: TTSQ, limit: At) -> None:
        data = self.ports[sq.name][0]
        self.due[sq.name].remove(limit)
        self.passed[sq.name].append(limit)
        chosen = best(limit, [[t for t in data if t.came >= limit.due]])
        if chosen is not None:
            data.remove(chosen[0])
            self.unused(sq, [chosen[0]])
            self.passed[sq.name].remove(limit)
        if sq.plan_b is None:
            return
        plan_b = self.by_name[sq.plan_b]
        waiting = self.ports[plan_b.name]
        ports = self.arc_ports(plan_b)
        taken = best(limit, [waiting[p] for p in ports]) if ports else ()
        if taken is None:
            return
        for p, token in zip(ports, taken, strict=True):
            waiting[p].remove(token)
        self.counts[plan_b.name] += 1
        tokens = [t.token for t in taken]
        value = self.body(plan_b, [t.value for t in tokens], self.counts[plan_b.name])
        if value is not EMPTY:
            sender = sq if sq.will_continue else plan_b
            self.send(sender, "value", value, limit.start, limit.stop, [*tokens, limit.token])
