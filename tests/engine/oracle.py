"""The semantics of streams and matching once more: slow, obvious, and sharing nothing with the engine.

Every tick is visited; every combination of waiting tokens is tried; eviction looks at every token.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass
class Node:
    """An SQ: a stream source (`period` set) or a function of its inputs."""

    name: str
    inputs: list[int] = field(default_factory=list)
    drop: int = 0  # a result divisible by this is not emitted; 0: all are
    stateful: bool = False
    period: int | Fraction = 0
    phase: int = 0
    width: int = 0
    salt: int = 1
    handled: bool = False  # tokens that leave its ports without having fired go to a handler, `lone<name>`


def body(node: Node, values: list[int], count: int) -> int:
    """The function that both sides compute: distinct inputs mostly give distinct results."""
    result = node.salt + (count if node.stateful or node.period else 0)
    for value in values:
        result = (result * 31 + value + 7) % 1_000_003
    return result


@dataclass
class Token:
    start: int
    stop: int
    value: int
    number: int
    met: set[int] = field(default_factory=set)  # ports with an unused token that overlapped it, as far as noted


def run(nodes: list[Node], window_end: int, until: int, bound: int) -> tuple[list[tuple], dict[str, dict[str, int]]]:
    """Output tokens `(node, value, start, stop)` in order, and counters, of the sinks of `nodes` and of handlers.

    Node `i` takes its inputs from nodes before it. The window of all streams is (0, window_end].
    """
    rank = []
    for node in nodes:
        rank.append(1 + max((rank[i] for i in node.inputs), default=-1))
    handler_of = {}
    for i in [i for i, node in enumerate(nodes) if node.handled]:
        handler_of[i] = len(rank)
        rank.append(rank[i] + 1)
    node_of = {handler: i for i, handler in handler_of.items()}
    order = sorted(range(len(rank)), key=lambda i: (rank[i], i))
    consumers = [
        [(j, p) for j, node in enumerate(nodes) for p, i in enumerate(node.inputs) if i == k] for k in range(len(nodes))
    ]
    ports = [[[] for _ in n.inputs] for n in nodes]
    numbers = [0] * len(nodes)
    newest = [None] * len(nodes)
    last_start = [None] * len(nodes)
    fired = [0] * len(nodes)
    outputs: list[tuple] = []
    counts: dict[str, dict[str, int]] = {}

    def count(i: int, kind: str) -> None:
        counts.setdefault(nodes[i].name, {}).setdefault(kind, 0)
        counts[nodes[i].name][kind] += 1

    instants = [{n.phase + round(k * n.period) for k in range(-1, until + 1)} for n in nodes]
    for tick in range(until):
        inbox: list[list[tuple[int, Token]]] = [[] for _ in nodes]
        alone: list[list[tuple]] = [[] for _ in nodes]  # by node, what its handler is given

        def emit(i: int, values: list[int], start: int, stop: int, inbox: list = inbox) -> None:
            node = nodes[i]
            fired[i] += 1
            value = body(node, values, fired[i])
            if node.drop and value % node.drop == 0:
                return
            for j, p in consumers[i]:
                inbox[j].append((p, Token(start, stop, value, 0)))
            if not consumers[i]:
                outputs.append((node.name, value, start, stop))

        def unused(i: int, gone: list[tuple[int, Token]], alone: list = alone) -> None:
            """Tokens leave node `i` together, by port, without having fired; the others are still on its ports."""

            def overlap(a: Token, b: Token) -> bool:
                return max(a.start, b.start) < min(a.stop, b.stop)

            there = gone + [(p, token) for p, waiting in enumerate(ports[i]) for token in waiting]
            for p, token in gone:
                for q, other in there:
                    if overlap(token, other):
                        token.met.add(q)
                        other.met.add(p)
            for p, token in gone:
                missing = [f"p{q}" for q in range(len(nodes[i].inputs)) if q != p and q not in token.met]
                alone[i].append((token.value, token.start, token.stop, missing))

        for i in order:
            if i in node_of:
                for value, start, stop, missing in alone[node_of[i]]:
                    outputs.append((f"lone{nodes[node_of[i]].name}", [value, start, stop, missing], start, stop))
                continue
            node = nodes[i]
            if node.period:
                if 0 < tick <= window_end and tick in instants[i]:
                    start = tick - node.width // 2
                    emit(i, [], start, start + node.width)
                continue
            if not inbox[i]:
                continue
            for _, token in inbox[i]:
                numbers[i] += 1
                token.number = numbers[i]
                newest[i] = token.start if newest[i] is None else max(newest[i], token.start)

            def evict(i: int = i) -> None:
                gone = []
                for p, waiting in enumerate(ports[i]):
                    for token in sorted(waiting, key=lambda token: (token.start, token.number)):
                        if newest[i] - token.stop > bound:
                            waiting.remove(token)
                            count(i, "evicted")
                            gone.append((p, token))
                unused(i, gone)

            evict()
            for port, token in inbox[i]:
                ports[i][port].append(token)
            for port, token in inbox[i]:
                if not any(token is other for other in ports[i][port]):
                    continue
                best = None
                choices = [ports[i][p] if p != port else [token] for p in range(len(node.inputs))]
                for combination in itertools.product(*choices):
                    start = max(t.start for t in combination)
                    stop = min(t.stop for t in combination)
                    if stop <= start:
                        continue
                    key = (start - stop, [(t.start, t.number) for p, t in enumerate(combination) if p != port])
                    if best is None or key < best[0]:
                        best = (key, combination, start, stop)
                if best is None:
                    continue
                _, combination, start, stop = best
                for p, t in enumerate(combination):
                    ports[i][p] = [other for other in ports[i][p] if other is not t]
                if node.stateful:
                    if last_start[i] is not None and start < last_start[i]:
                        count(i, "out_of_order")
                        alone[i] += [(t.value, t.start, t.stop, []) for t in combination]
                        continue
                    last_start[i] = start
                emit(i, [t.value for t in combination], start, stop)
            evict()
    return outputs, counts
