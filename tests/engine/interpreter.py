"""What programs mean, once more: a slow interpreter of the language's page that shares nothing with the engine.

It knows streams in windows, sticky ports, matching, eviction, deadlines with plan Bs, `RESAMPLE`, and ensembles with a
delay between them. Every tick is visited, and every combination of tokens is tried.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

INFINITY = float("inf")
MOD = 1_000_003

PLAN_B = ("stand_in", "stand_in_1", "stand_in_2")
BODIES = f"""\
from ticktalk import *
@STREAMify
def stream(window):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n
@STREAMify
def stream_2(window, other):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n
@SQify
def some(x):
    return TTEmpty() if x % 3 == 1 else x
@SQify
def two(x, y):
    return (x * 31 + y * 17 + 1) % {MOD}
@SQify
def three(x, y, z):
    return (x * 31 + y * 17 + z * 7) % {MOD}
@SQify
def total(x):
    global sq_state
    s = sq_state["s"] = (sq_state.get("s", 0) * 7 + x) % {MOD}
    return s
@SQify
def total_2(x, y):
    global sq_state
    s = sq_state["s"] = (sq_state.get("s", 0) * 7 + x + 3 * y) % {MOD}
    return s
@SQify
def stand_in():
    return 5
@SQify
def stand_in_1(x):
    return (x + 500_000) % {MOD}
@SQify
def stand_in_2(x, y):
    return (x + y + 700_000) % {MOD}
"""


class Token(NamedTuple):
    start: float
    number: int
    stop: float
    value: Any


@dataclass
class Node:
    """An SQ. Its inputs are names of nodes, `NAME.tag` the tag of a stream, `a` the input of the graph."""

    name: str
    kind: str  # a function of `BODIES`, or `setting`, `MERGE`, `shift`, `due`, `RESAMPLE`, `deadline`
    inputs: list[str]
    host: str = ""
    period: int = 1
    phase: int = 0
    width: int = 1
    first_delay: int = 0
    by: int = 0  # of `shift` and `due`: the ticks that are added
    start: int = 0  # of a `setting`: its interval
    stop: int = 0
    gap: int = 0
    plan_b: Node | None = None
    goes_on: bool = True
    tagged: bool = False

    # What it keeps.
    number: int = 0
    newest: float = -INFINITY
    last: float = -INFINITY  # the start of the last set that fired
    state: dict[str, Any] = field(default_factory=dict)
    ports: dict[int, list[Token]] = field(default_factory=dict)
    sticky: dict[int, Token | None] = field(default_factory=dict)
    due: list[Token] = field(default_factory=list)
    missed: list[Token] = field(default_factory=list)
    known: float = -INFINITY  # of a stream: when its window was
    considered: float = -INFINITY
    not_before: float = -INFINITY

    @property
    def is_stream(self) -> bool:
        return self.kind.startswith("stream")


class Interpreter:
    """Runs nodes, each after those of lower rank, from tick 0 on; there is `delay` between two hosts."""

    def __init__(self, nodes: Sequence[Node], ranks: dict[str, tuple[int, int]], bound: int, delay: int) -> None:
        self.nodes = sorted(nodes, key=lambda node: ranks[node.name])
        self.named = {node.name: node for node in nodes}
        self.bound, self.delay, self.now = bound, delay, 0
        self.outputs: list[tuple[str, int, float, float, int]] = []  # name, value, start, stop, tick
        self.counts: dict[str, Counter[str]] = {}
        self.inbox: dict[str, list[tuple[int, float, float, Any]]] = {node.name: [] for node in nodes}
        self.remote: dict[tuple[str, int], list[tuple[int, float, float, Any]]] = {}
        self.functions: dict[str, Any] = {}
        exec(BODIES, self.functions)
        self.receivers: dict[str, list[tuple[str, int]]] = {}
        for node in nodes:
            streams = [each[0] not in "aw" for each in node.inputs]
            for port, (source, streamed) in enumerate(zip(node.inputs, streams, strict=True)):
                self.receivers.setdefault(source, []).append((node.name, port))
                stays = node.is_stream or (not streamed and (any(streams) or node.kind in PLAN_B))
                if stays:
                    node.sticky[port] = None
                else:
                    node.ports[port] = []

    def run(self, until: int) -> None:
        for name, port in self.receivers.get("a", []):
            self.inbox[name].append((port, -INFINITY, INFINITY, 1))
        for self.now in range(until):
            for node in self.nodes:
                arrived = self.remote.pop((node.name, self.now), []) + self.inbox[node.name]
                self.inbox[node.name] = []
                act = getattr(self, f"_{node.kind}", self._stream if node.is_stream else self._body)
                act(node, [self._taken(node, *each) for each in arrived])

    # -- tokens

    def _taken(self, node: Node, port: int, start: float, stop: float, value: Any) -> tuple[int, Token]:
        node.number += 1
        node.newest = max(node.newest, start)
        return port, Token(start, node.number, stop, value)

    def _send(self, source: str, value: Any, start: float, stop: float) -> None:
        receivers = self.receivers.get(source, [])
        if not receivers:
            self.outputs.append((source, value, start, stop, self.now))
        for name, port in receivers:
            token = (port, start, stop, value)
            if self.named[name].host == self.named[source.partition(".")[0]].host:
                self.inbox[name].append(token)
            else:
                self.remote.setdefault((name, self.now + self.delay), []).append(token)

    def _count(self, node: Node, kind: str, number: int = 1) -> None:
        if number:
            self.counts.setdefault(node.name, Counter())[kind] += number

    def _computed(self, node: Node, values: Sequence[Any], start: float, stop: float, name: str = "") -> None:
        function = self.functions[node.kind]
        function.sq_state = node.state
        result = function(*values)
        if type(result) is int:
            self._send(name or node.name, result, start, stop)

    def _evict(self, node: Node, ports: Sequence[list[Token]]) -> None:
        limit = node.newest - self.bound
        for waiting in ports:
            self._count(node, "evicted", sum(token.stop < limit for token in waiting))
            waiting[:] = [token for token in waiting if token.stop >= limit]

    def _best(self, node: Node, start: float, stop: float, fixed: dict[int, Token]) -> list[Token] | None:
        """The set with the widest overlap; ties: the earlier start, then the earlier arrival, port by port."""
        choices: list[list[Token]] = []
        for port in range(len(node.inputs)):
            stays = node.sticky.get(port)
            settled = [] if stays is None else [stays]
            choices.append([fixed[port]] if port in fixed else settled if port in node.sticky else node.ports[port])
        sets = [
            (begin - end, [each[:2] for port, each in enumerate(tokens) if port not in fixed], tokens)
            for tokens in itertools.product(*choices)
            if (begin := max([start, *(each.start for each in tokens)]))
            < (end := min([stop, *(each.stop for each in tokens)]))
        ]
        return list(min(sets, key=lambda each: each[:2])[2]) if sets else None

    def _use(self, node: Node, tokens: Sequence[Token]) -> None:
        for port, token in enumerate(tokens):
            if port in node.ports:
                node.ports[port].remove(token)

    # -- kinds of nodes

    def _setting(self, node: Node, arrived: object) -> None:
        if self.now == 0:
            self._send(node.name, 3, node.start, node.stop)

    def _MERGE(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        for _, token in arrived:
            self._send(node.name, token.value, token.start, token.stop)

    def _shift(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        for _, token in arrived:
            self._send(node.name, token.value, token.start + node.by, token.stop + node.by)

    def _due(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        for _, token in arrived:
            self._send(node.name, token.value + node.by, token.start, token.stop)

    def _RESAMPLE(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        for _, token in arrived:
            centre = token.start + (token.stop - token.start) // 2
            first, value = node.state.get("sample", (centre, None))
            if token.start < node.last or centre < first:
                self._count(node, "out_of_order")
                if token.start >= node.last:
                    node.last = token.start
                continue
            node.last, node.state["sample"] = token.start, (centre, token.value)
            if node.gap and centre - first > node.gap:
                self._count(node, "gaps")
                continue
            for instant in range(int(first), int(centre)):
                if instant % node.period == node.phase:
                    start = instant - node.period // 2
                    self._send(node.name, value, start, start + node.period)

    def _stream(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        node.sticky.update(arrived)
        windows = [each for each in node.sticky.values() if each is not None]
        start = max([each.start for each in windows], default=0)
        stop = min([each.stop for each in windows], default=0)
        if len(windows) < len(node.sticky) or start >= stop:
            return
        if arrived:
            node.known = self.now
            passed, past = max(start, node.considered, node.not_before), min(self.now, stop)
            if -INFINITY < passed < past:
                instants = range(int(passed) + 1, int(past) + 1)
                self._count(node, "skipped", sum(each % node.period == node.phase for each in instants))
                node.considered = past
        after = max(start, node.known, node.considered, node.not_before)
        if self.now % node.period == node.phase and after < self.now <= stop:
            if node.first_delay and node.not_before == -INFINITY:
                node.not_before = self.now + node.first_delay
            node.considered = self.now
            begin = self.now - node.width // 2
            if node.tagged:
                self._send(f"{node.name}.tag", self.now, begin, begin + node.width)
            self._computed(node, [None] * len(node.inputs), begin, begin + node.width)

    def _body(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        """A body that fires at arrivals, or a plan B, which waits until it is asked."""
        forward, single = node.kind.startswith("total"), len(node.inputs) == 1
        if not arrived:
            return
        if node.kind not in PLAN_B and not single:
            self._evict(node, list(node.ports.values()))
        for port, token in arrived:
            if port in node.sticky:
                node.sticky[port] = token
            else:
                node.ports[port].append(token)
        if node.kind in PLAN_B:
            self._evict(node, list(node.ports.values()))
            return
        for port, token in arrived:
            again = [(port, token)]
            if port in node.sticky:
                self._evict(node, list(node.ports.values()))
                again = [(other, each) for other, waiting in node.ports.items() for each in waiting]
            for place, waiting in sorted(again, key=lambda each: each[1].number):
                fixed = {place: waiting}
                if waiting not in node.ports[place] or not (tokens := self._best(node, -INFINITY, INFINITY, fixed)):
                    continue
                self._use(node, tokens)
                start, stop = max(each.start for each in tokens), min(each.stop for each in tokens)
                if forward and start < node.last:
                    self._count(node, "out_of_order")
                    continue
                node.last = start
                self._computed(node, [each.value for each in tokens], start, stop)
        if not single:
            self._evict(node, list(node.ports.values()))

    def _deadline(self, node: Node, arrived: list[tuple[int, Token]]) -> None:
        data = node.ports[0]
        came = [(p, token._replace(value=(self.now, token.value)) if p == 0 else token) for p, token in arrived]
        for port, token in came:
            (data if port == 0 else node.due).append(token)
        for port, token in came:
            if port == 1 and token in node.due:
                if (met := _widest(token, [each for each in data if each.value[0] < token.value])) is not None:
                    self._meet(node, met, token)
                elif token.value <= self.now:
                    self._miss(node, token)
            elif port == 0 and token in data and (due := _widest(token, node.due + node.missed)) is not None:
                if self.now < due.value:
                    self._meet(node, token, due)
                    continue
                data.remove(token)
                self._count(node, "late")
                if due in node.due:
                    self._miss(node, due)
                if due in node.missed:
                    node.missed.remove(due)
        for token in sorted(node.due):
            if token.value <= self.now:
                self._miss(node, token)
        if arrived:
            self._evict(node, [data])
            node.missed = [each for each in node.missed if each.stop >= node.newest - self.bound]

    def _meet(self, node: Node, data: Token, due: Token) -> None:
        node.ports[0].remove(data)
        node.due.remove(due)
        self._send(node.name, data.value[1], max(data.start, due.start), min(data.stop, due.stop))

    def _miss(self, node: Node, due: Token) -> None:
        node.due.remove(due)
        late = _widest(due, [each for each in node.ports[0] if each.value[0] >= due.value])
        if late is None:
            node.missed.append(due)
        else:
            node.ports[0].remove(late)
            self._count(node, "late")
        plan_b = node.plan_b
        if plan_b is None:
            self._count(node, "missed")
        elif (tokens := self._best(plan_b, due.start, due.stop, {})) is None:
            self._count(plan_b, "errors")
        else:
            self._use(plan_b, tokens)
            self._count(node, "plan_b")
            name = node.name if node.goes_on else plan_b.name
            self._computed(plan_b, [each.value for each in tokens], due.start, due.stop, name)


def _widest(token: Token, others: Sequence[Token]) -> Token | None:
    """Of the tokens that overlap one, the one that does so most; ties: the earlier start, then the earlier arrival."""

    def overlap(other: Token) -> float:
        return min(token.stop, other.stop) - max(token.start, other.start)

    near = [each for each in others if overlap(each) > 0]
    return min(near, key=lambda each: (-overlap(each), each.start, each.number)) if near else None
