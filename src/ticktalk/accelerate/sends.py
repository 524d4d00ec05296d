"""Sending results of SQs that run together: some of their tokens stay within, the others leave as ever."""

from __future__ import annotations

import copy
from collections.abc import Callable
from heapq import heappush
from typing import Any

import msgspec

from ticktalk.engine.forwarding import TTSQForward, unpacked
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import PLAIN, handed_on

SendWithin = Callable[[Any, Tick, Tick, list[Any]], None]
"""`(value, start, stop, wires)`: send a result, to the consumers that run together with its SQ through `wires`."""

_NOTHING = TTEmpty()


def within(forward: TTSQForward, wires: dict[tuple[str, int], int]) -> SendWithin:
    """`send`, but results for a port in `wires` (SQ and port) are put into the list given there."""
    ways = [
        (way, [(sync, port, wires.get((sync.sq.name, port), -1)) for sync, port in way.local]) for way in forward.ways
    ]
    alone = [entry for _, local in ways for entry in local]

    def send_local(value: Any, start: Tick, stop: Tick, inside: list[Any]) -> None:
        plain = value.__class__ in PLAIN
        for sync, port, wire in alone:
            own = value if plain else handed_on(value)
            if wire >= 0:
                inside[wire] = own
                continue
            sync.inbox.append((port, start, stop, own))
            if not sync.queued:
                sync.queued = True
                heappush(sync.agenda.ready, sync.key)

    def send(value: Any, start: Tick, stop: Tick, inside: list[Any]) -> None:
        parts = unpacked(value, forward.unpack)
        for way, local in ways:
            part = parts.get(way.path, _NOTHING)
            if part.__class__ is TTEmpty:
                continue
            if way.hosts:
                forward.publish(way.name, way.hosts, part, start, stop)
            plain = part.__class__ in PLAIN
            for sync, port, wire in local:
                own = part if plain else handed_on(part)
                if wire >= 0:
                    inside[wire] = own
                else:
                    sync.receive(port, start, stop, own)
            if way.output:
                forward.output(forward.sq.name, part, start, stop)

    return send_local if forward.simple else send


def outside(forward: TTSQForward, inside: set[tuple[str, int]]) -> TTSQForward:
    """A forward part without the ways to the ports of `inside` (SQ and port)."""
    rest = copy.copy(forward)
    ways = []
    for way in forward.ways:
        local = [(sync, port) for sync, port in way.local if (sync.sq.name, port) not in inside]
        if local or way.hosts or way.output or way.unplaced:
            ways.append(msgspec.structs.replace(way, local=local))
    rest.use(ways)
    rest.send = rest.send_parts
    return rest
