"""The SQs of a region on a device, and what a tap is told of those that run together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.firing.arrival import ArrivalSync, SinglePortSync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.forwarding import TTSQForward, arc_name
from ticktalk.engine.tap import Tap, outcome_of
from ticktalk.graph.sq import TTSQ
from ticktalk.physical.regions.formed import Member
from ticktalk.physical.regions.messages import (
    ORDERS_KEPT,
    FormRegion,
    MemberInWorker,
    RegionRan,
    RunRegion,
    SplitRegion,
)
from ticktalk.physical.workers.worker_body import WorkerBody
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.codec import Data, encoded


class RegionWorkers(Protocol):
    """The workers of a device, as its regions use them."""

    mark: Callable[[Data], Any]
    """Makes the mark that stands for a value in a command."""

    at: Callable[[int], int]
    """Gives the root tick of a time (monotonic)."""

    def number(self) -> int:
        """A number by which no body and no region is known yet."""

    def bodies(self, context: ContextParts) -> Mapping[str, WorkerBody]:
        """By SQ, a context's bodies in workers."""

    def ended_at(self, microseconds: int) -> None:
        """Bodies ended at this time (monotonic), and their results are handled next."""

    def send(self, worker: str, command: FormRegion | RunRegion | SplitRegion) -> None:
        """Send a command to a worker."""

    def due(self, grid: GridSync, start: Tick) -> tuple[int, int]:
        """The instant of a source's firing, and the next one (monotonic)."""

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time."""


class DeviceSQ:
    """One SQ of a region: its parts in the general engine, and its body in the worker."""

    __slots__ = ("body", "forward", "member", "sync")

    def __init__(self, member: Member, body: WorkerBody, context: ContextParts) -> None:
        self.member = member
        self.body = body
        self.sync = context.syncs[member.sq.name]
        self.forward = self.outside(context)

    def outside(self, context: ContextParts) -> TTSQForward:
        """The routes of its results out of the region, as SQs are placed now."""
        inside = {(to.sq, to.port) for to in self.member.inner}
        forward = context.forwards[self.member.sq.name]
        rest, ways = copy.copy(forward), []
        for way in forward.ways:
            local = [(sync, port) for sync, port in way.local if (sync.sq.name, port) not in inside]
            if local or way.hosts or way.output or way.unplaced:
                ways.append(msgspec.structs.replace(way, local=local))
        rest.use(ways)
        rest.send = rest.send_parts
        return rest

    def in_worker(self, is_root: bool) -> MemberInWorker:
        """The SQ as its worker has to know it."""
        sq = self.member.sq
        paths = {(to.sq, to.port): arc.path for arc in sq.arcs if arc.kind == "value" for to in arc.to}
        settled = None if is_root else settled_values(self.sync)
        return MemberInWorker(
            self.body.ident,
            self.member.wires,
            [list(paths[to.sq, to.port]) for to in self.member.inner],
            [(list(path), output) for path, output in self.forward.paths],
            {port: bytes(encoded(value)) for port, value in (settled or {}).items()},
        )


def settled_values(sync: TTSQSync) -> dict[int, Any] | None:
    """By port, the values that hold for good; None: one has not come yet, or holds for a while only."""
    settled = {}
    for slot, token in sync.sticky.items() if isinstance(sync, ArrivalSync) else ():
        if token is None or token[0] != NEG_INFINITY or token[2] != INFINITY:
            return None
        settled[sync.arc_ports[slot]] = token[3]
    return settled


def holds_tokens_after(sync: TTSQSync, start: Tick) -> bool:
    """True if a token waits at a sync that may overlap one that starts at `start`."""
    return isinstance(sync, ArrivalSync) and any(token[2] > start for port in sync.ports for token in port.tokens)


def bring_up(sync: TTSQSync, start: Tick) -> None:
    """Let a sync know that its SQ fired on tokens that start at `start`, and on none that starts later."""
    if isinstance(sync, (ArrivalSync, SinglePortSync)) and sync.forward:
        sync.last_start = max(sync.last_start, start)
    if isinstance(sync, ArrivalSync):
        sync.reach(start)


class RegionTap:
    """Tells a tap what a region does, each of whose SQs is fed by an arc from elsewhere.

    Args:
        tap: that of its context.
        producer: the SQ elsewhere.
        sqs: those of the region; `feeds`: by SQ, the arc that feeds it.
    """

    def __init__(self, tap: Tap, producer: str, sqs: list[TTSQ], feeds: tuple[int, ...]) -> None:
        self._tap = tap
        self._names = [sq.name for sq in sqs]
        self._fed = [
            (sq.name, next(index for index, port in enumerate(sq.ports) if port.constant is None), arc)
            for sq, arc in zip(sqs, feeds, strict=True)
        ]
        self._producer = producer
        self._taken: dict[tuple[int, ...], list[list[Any]]] = {}  # by arcs that came: SQs, ports, arcs, places of these

    def taken(self, indexes: tuple[int, ...], numbers: int | list[int], start: Tick, stop: Tick) -> None:
        """Tokens of some arcs, with these numbers, go to its worker."""
        known = self._taken.get(indexes)
        if known is None:
            place = {arc: place for place, arc in enumerate(indexes)}
            fed = [(sq, port, arc_name(self._producer, arc), place[arc]) for sq, port, arc in self._fed if arc in place]
            if len(self._taken) >= ORDERS_KEPT:
                self._taken.clear()
            known = self._taken[indexes] = [list(column) for column in zip(*fed, strict=True)]
        sqs, ports, arcs, places = known
        tokens = [numbers[place] for place in places] if isinstance(numbers, list) else [numbers] * len(sqs)
        self._tap.taken_together(sqs, ports, arcs, tokens, start, stop)

    def fired(self, answer: RegionRan, at: Callable[[int], int]) -> None:
        """Its bodies have run; `at`: the root tick of a time."""
        sent, failed = {index for index, *_ in answer.edges}, {error.sq for error in answer.errors}
        absent = set(answer.absent)
        fired = [(index, sq) for index, sq in enumerate(self._names) if index not in absent]
        outcomes = [outcome_of(sq in failed, index in sent) for index, sq in fired]
        sqs = [sq for _, sq in fired]
        self._tap.fired_together(sqs, answer.start, answer.stop, at(answer.begun), at(answer.ended), outcomes)
