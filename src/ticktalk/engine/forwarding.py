"""Forwarding: the ways of an SQ's results.

Ports on the same ensemble get the result by direct call, a copy each unless the value is immutable. Other ensembles get
one publication per arc. The manager gets it if the arc is an output of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from heapq import heappush
from itertools import islice
from typing import Any

import msgspec

from ticktalk.engine.firing.base import Send, TTSQSync
from ticktalk.graph.sq import TTSQ
from ticktalk.time import ROOT, Tick, TTEmpty, TTTime
from ticktalk.values.codec import PLAIN, Data, Parts, handed_on, plain, tuple_of

Publish = Callable[[str, list[str], Any, Tick, Tick], None]
"""`(arc, ensembles, value, start, stop)`: send a token to every ensemble that consumes the arc; raises
`NoCodecError` before anything is sent."""

Output = Callable[[str, Any, Tick, Tick], None]
"""`(sq, value, start, stop)`: an output of the graph, from the SQ of that name."""


def arc_name(sq: str, index: int) -> str:
    """The name of an arc between ensembles: the SQ's name and the arc's index."""
    return f"{sq}/{index}"


@dataclass(eq=False, slots=True)
class SharedRoute:
    """Arcs of one SQ that lead to the same other ensembles and nowhere else, so that their tokens go together.

    Attributes:
        sq: its name.
        arcs: their indexes.
        names: their names between ensembles.
        ensembles: where they lead.
    """

    sq: str
    arcs: tuple[int, ...]
    names: tuple[str, ...]
    ensembles: list[str]


PublishTogether = Callable[[SharedRoute, Data, Tick, Tick], None]
"""`(together, data, start, stop)`: send a token on each of several arcs; `data`: an array of their values."""


class Way(msgspec.Struct, frozen=True):
    """One arc, as its tokens leave this ensemble.

    Attributes:
        name: its name between ensembles.
        path: which part of a result it carries.
        local: the ports on this ensemble.
        hosts: the other ensembles that consume it.
        output: whether it is an output of the graph.
        unplaced: how many of its consumers no ensemble hosts at present.
    """

    name: str
    path: tuple[int, ...]
    local: list[tuple[TTSQSync, int]]
    hosts: list[str]
    output: bool
    unplaced: int


class TTSQForward:
    """The forward part of one SQ in one context.

    A result goes one of two ways. Where all arcs carry the whole of it to ports on this ensemble that never move,
    `send` only fills their inboxes. Everywhere else the result is taken apart, and each part goes along its arc. Parts
    that a worker encoded as one array go as one publication if their arcs lead to the same ensembles.

    Args:
        sq: the SQ.
        syncs: the sync parts on this ensemble, by SQ name.
        host_of: SQ name to the name of its ensemble.
        here: this ensemble's name.
        publish: sends tokens to other ensembles.
        output: takes outputs of the graph.
        lose: told how many tokens had nowhere to go, because no ensemble hosts their consumers at present.
        fixed: its consumers never move, so that tokens may go the shortest way.
        publish_together: sends the tokens of several arcs to the same ensembles.

    Attributes:
        send: sends a result: `(value, start, stop)`.
        ways: the arcs that carry results; `tags`: those that carry tags; `unmatched`: unused tokens.
        local: the ports on this ensemble to which results go.
        unpack: the shape to which a result is unpacked, or None.
        paths: the parts of a result that its arcs carry, and whether each is an output of the graph.
        all_paths: just the paths.
        copied: gives a port on this ensemble its own copy of a value that can be changed.
    """

    def __init__(
        self,
        sq: TTSQ,
        syncs: dict[str, TTSQSync],
        host_of: dict[str, str],
        here: str,
        publish: Publish,
        output: Output,
        lose: Callable[[int], None],
        fixed: bool = True,
        publish_together: PublishTogether | None = None,
    ) -> None:
        self.sq = sq
        self.here = here
        self.publish, self.output = publish, output
        self.publish_together = publish_together
        self.copied: Callable[[Any], Any] = handed_on
        self._lose = lose
        self.unpack = sq.unpack if any(arc.path for arc in sq.arcs) else None
        self.behind: dict[tuple[str, str], TTSQSync] = {}  # by arc and consumer: takes its tokens in its place
        self.tags: list[Way] = []
        self.unmatched: list[Way] = []
        self.route(syncs, host_of)
        self.simple = fixed and not self.unpack and all(not way.hosts and not way.output for way in self.ways)
        self.send: Send = self._send_local if self.simple else self.send_parts

    def route(self, syncs: dict[str, TTSQSync], host_of: dict[str, str]) -> None:
        """Let tokens go to where their consumers are now; `host_of` is "" for an SQ that waits for an ensemble."""
        ways: list[Way] = []
        self.tags, self.unmatched = [], []
        of_kind = {"value": ways, "tag": self.tags, "unmatched": self.unmatched}
        for index, arc in enumerate(self.sq.arcs):
            name = arc_name(self.sq.name, index)
            local = [(self.behind.get((name, to.sq)) or syncs[to.sq], to.port) for to in arc.to if to.sq in syncs]
            hosts = {host_of[to.sq] for to in arc.to if to.sq not in syncs} - {self.here, ""}
            unplaced = sum(not host_of[to.sq] and to.sq not in syncs for to in arc.to)
            of_kind[arc.kind].append(Way(name, arc.path, local, sorted(hosts), arc.output, unplaced))
        self.use(ways)

    def use(self, ways: list[Way]) -> None:
        """Let results go along `ways`."""
        self.ways = ways
        outputs: dict[tuple[int, ...], bool] = {}
        for way in ways:
            outputs[way.path] = outputs.get(way.path, False) or way.output
        self.paths = list(outputs.items())
        self.all_paths = tuple(outputs)
        self.local = [entry for way in ways for entry in way.local]
        self._ready = self.local[0][0].agenda.ready if self.local else []
        self._alone = ways[0] if len(ways) == 1 and self.unpack is None else None
        self._together: dict[tuple[tuple[int, ...], ...], SharedRoute | None] = {}

    def tag(self, instant: int, start: Tick, stop: Tick) -> None:
        """Send the tag of a firing: its value is the instant."""
        for way in self.tags:
            self.along(way, instant, start, stop)

    def leave(self, value: Any, start: Tick, stop: Tick, missing: Sequence[str]) -> None:
        """Send a token that left the SQ's ports without having fired to its handler."""
        for way in self.unmatched:
            self.along(way, tuple_of(value, TTTime(ROOT, start, stop), tuple(missing)), start, stop)

    def to_others(self) -> list[tuple[str, list[str]]]:
        """The arcs that lead to other ensembles, and which ensembles those are."""
        return [(way.name, way.hosts) for way in (*self.ways, *self.tags, *self.unmatched) if way.hosts]

    def _send_local(self, value: Any, start: Tick, stop: Tick) -> None:
        """The common case: the whole value, to ports on this ensemble."""
        plain = value.__class__ in PLAIN
        ready = self._ready
        for sync, port in self.local:
            sync.inbox.append((port, start, stop, value if plain else self.copied(value)))
            if not sync.queued:
                sync.queued = True
                heappush(ready, sync.key)

    def send_parts(self, value: Any, start: Tick, stop: Tick) -> None:
        """Every part of a result along its arcs."""
        if value.__class__ is Parts:
            if value.together is not None and self.publish_together is not None:
                paths, data = value.together
                together = self._that_go_together(paths)
                if together is not None:
                    self.publish_together(together, data, start, stop)
                    return
            parts = value.by_path
        elif self._alone is not None:
            if value.__class__ is not TTEmpty:
                self.along(self._alone, value, start, stop)
            return
        else:
            parts = unpacked(plain(value) if self.unpack else value, self.unpack)
        for way in self.ways:
            part = parts.get(way.path, _NOTHING)
            if part.__class__ is not TTEmpty:
                self.along(way, part, start, stop)

    def _that_go_together(self, paths: tuple[tuple[int, ...], ...]) -> SharedRoute | None:
        """The arcs that carry the parts of a result at `paths`, if they lead to the same ensembles and nowhere else."""
        if paths not in self._together:
            ways = sorted([way for way in self.ways if way.path in paths], key=lambda way: paths.index(way.path))
            hosts = ways[0].hosts
            alike = all(way.hosts == hosts and not (way.local or way.output or way.unplaced) for way in ways)
            arcs = tuple(int(way.name.rpartition("/")[2]) for way in ways)
            names = tuple(way.name for way in ways)
            together = alike and hosts and len(ways) == len(paths)
            self._together[paths] = SharedRoute(self.sq.name, arcs, names, hosts) if together else None
        return self._together[paths]

    def along(self, way: Way, value: Any, start: Tick, stop: Tick) -> None:
        """Send a token along one arc, to all its receivers."""
        if way.hosts:
            self.publish(way.name, way.hosts, value, start, stop)
        if way.local:
            plain = value.__class__ in PLAIN
            for sync, port in way.local:
                sync.receive(port, start, stop, value if plain else self.copied(value))
        if way.output:
            self.output(self.sq.name, value, start, stop)
        if way.unplaced:
            self._lose(way.unplaced)


_NOTHING = TTEmpty()


def unpacked(value: Any, shape: list[Any] | None) -> dict[tuple[int, ...], Any]:
    """The parts of `value` by path: the whole, and its elements when unpacked to `shape`.

    Raises:
        ValueError: a sequence has another length than `shape`.
        TypeError: the value to unpack is no sequence.
    """
    parts: dict[tuple[int, ...], Any] = {(): value}
    if shape is not None:
        _unpack(value, shape, (), parts)
    return parts


def _unpack(value: Any, shape: list[Any], path: tuple[int, ...], parts: dict[tuple[int, ...], Any]) -> None:
    try:
        items = tuple(islice(value, len(shape) + 1))  # some never end
    except TypeError:
        raise TypeError(f"a sequence of {len(shape)} is unpacked here, but the body returned {value!r}") from None
    if len(items) != len(shape):
        number = len(value) if isinstance(value, Sized) else len(items) if len(items) < len(shape) else "more"
        raise ValueError(f"a sequence of {len(shape)} is unpacked here, but the body returned {number} values")
    for index, (item, inner) in enumerate(zip(items, shape, strict=True)):
        parts[(*path, index)] = item
        if inner is not None:
            _unpack(item, inner, (*path, index), parts)
