"""Forwarding: where the results of an SQ go.

To ports on the same ensemble by direct call, a copy each unless nobody can change the value; to other ensembles as
one publication per arc; to the manager if the arc is an output of the graph.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from heapq import heappush
from typing import Any

from ticktalk.engine.codec import PLAIN, Data, Parts, handed_on, plain
from ticktalk.engine.firing import TTSQSync
from ticktalk.graph.sq import TTSQ, TTArc
from ticktalk.time import Tick, TTEmpty

Publish = Callable[[str, list[str], Any, Tick, Tick], None]
"""`(arc, ensembles, value, start, stop)`: send a token to every ensemble that consumes the arc; raises
`NoCodecError` before anything is sent."""

Output = Callable[[str, Any, Tick, Tick], None]
"""`(sq, value, start, stop)`: an output of the graph, from the SQ of that name."""

SendWithin = Callable[[Any, Tick, Tick, list[Any]], None]
"""`(value, start, stop, wires)`: send a result, to the consumers in a region through `wires`."""


def arc_name(sq: str, index: int) -> str:
    """What an arc is called between ensembles: the SQ's name and the arc's index."""
    return f"{sq}/{index}"


class Together:
    """Arcs of one SQ that lead to the same other ensembles and nowhere else, so that their tokens go together.

    Attributes:
        sq: its name.
        arcs: their indexes.
        names: what they are called between ensembles.
        ensembles: where they lead.
    """

    __slots__ = ("arcs", "ensembles", "names", "sq")

    def __init__(self, sq: str, arcs: tuple[int, ...], ensembles: list[str]) -> None:
        self.sq = sq
        self.arcs = arcs
        self.ensembles = ensembles
        self.names = tuple(arc_name(sq, index) for index in arcs)


PublishTogether = Callable[[Together, Data, Tick, Tick], None]
"""`(together, data, start, stop)`: send a token on each of several arcs; `data`: an array of their values."""


class _Way:
    """One arc, on this ensemble; `unplaced`: how many of its consumers no ensemble hosts at present."""

    __slots__ = ("hosts", "local", "name", "output", "path", "unplaced")

    def __init__(
        self, name: str, arc: TTArc, local: list[tuple[TTSQSync, int]], hosts: list[str], unplaced: int
    ) -> None:
        self.name = name
        self.path = arc.path
        self.local = local
        self.hosts = hosts
        self.output = arc.output
        self.unplaced = unplaced


class TTSQForward:
    """The forward part of one SQ in one context.

    Args:
        sq: the SQ.
        syncs: the sync parts on this ensemble, by SQ name.
        host_of: SQ name to the name of its ensemble.
        here: this ensemble's name.
        publish: sends tokens to other ensembles.
        output: takes outputs of the graph.
        lose: told how many tokens had nowhere to go, because no ensemble hosts their consumers at present.
        fixed: its consumers never move, so that tokens may go the shortest way.
        publish_together: sends what several arcs carry to the same ensembles.
    """

    __slots__ = (
        "_all_together",
        "_alone",
        "_here",
        "_lose",
        "_output",
        "_publish",
        "_publish_together",
        "_ready",
        "_sq",
        "_tags",
        "_together",
        "_unpack",
        "_ways",
        "all_paths",
        "also",
        "local",
        "send",
    )

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
        self._sq = sq
        self._publish_together = publish_together
        self._here = here
        self._publish = publish
        self._output = output
        self._lose = lose
        self._unpack = sq.unpack if any(arc.path for arc in sq.arcs) else None
        self.also: dict[str, list[str]] = {}  # arc to ensembles that take its tokens though they host no consumer yet
        self.route(syncs, host_of)
        simple = fixed and not self._unpack and all(not way.hosts and not way.output for way in self._ways)
        self.send: Callable[[Any, Tick, Tick], None] = self._send_local if simple else self._send

    def route(self, syncs: dict[str, TTSQSync], host_of: dict[str, str]) -> None:
        """Let tokens go to where their consumers are now; `host_of` is "" for an SQ that waits for an ensemble."""
        self._ways: list[_Way] = []
        self._tags: list[_Way] = []
        here = self._here
        for index, arc in enumerate(self._sq.arcs):
            name = arc_name(self._sq.name, index)
            local = [(syncs[to.sq], to.port) for to in arc.to if to.sq in syncs]
            hosts = {host_of[to.sq] for to in arc.to if to.sq not in syncs} | set(self.also.get(name, ()))
            unplaced = sum(not host_of[to.sq] and to.sq not in syncs for to in arc.to)
            way = _Way(name, arc, local, sorted(hosts - {here, ""}), unplaced)
            (self._tags if arc.kind == "tag" else self._ways).append(way)
        self._together: dict[tuple[tuple[int, ...], ...], Together | None] = {}
        self._all_together: Together | None = None
        self._alone = self._ways[0] if len(self._ways) == 1 and self._unpack is None else None
        self.all_paths = tuple(path for path, _ in self.paths)
        self.local = [entry for way in self._ways for entry in way.local]
        self._ready = self.local[0][0].agenda.ready if self.local else []

    def outside(self, region: set[tuple[str, int]]) -> TTSQForward:
        """The same without what goes to ports of a region, given as SQ and port."""
        rest = copy.copy(self)
        rest._ways = []
        rest._together = {}
        for way in self._ways:
            local = [(sync, port) for sync, port in way.local if (sync.sq.name, port) not in region]
            if local or way.hosts or way.output or way.unplaced:
                arc = TTArc(path=way.path, output=way.output)
                rest._ways.append(_Way(way.name, arc, local, way.hosts, way.unplaced))
        rest._all_together = None
        rest.all_paths = tuple(path for path, _ in rest.paths)
        rest._alone = rest._ways[0] if len(rest._ways) == 1 and self._unpack is None else None
        rest.local = [entry for way in rest._ways for entry in way.local]
        rest.send = rest._send
        return rest

    def tag(self, instant: int, start: Tick, stop: Tick) -> None:
        """Send the tag of a firing: its value is the instant."""
        for way in self._tags:
            self._along(way, instant, start, stop)

    def to_others(self) -> list[tuple[str, list[str]]]:
        """The arcs that lead to other ensembles, and which ensembles those are."""
        return [(way.name, way.hosts) for way in (*self._ways, *self._tags) if way.hosts]

    @property
    def paths(self) -> list[tuple[tuple[int, ...], bool]]:
        """The parts of a result that its arcs carry, and whether each is an output of the graph."""
        found: dict[tuple[int, ...], bool] = {}
        for way in self._ways:
            found[way.path] = found.get(way.path, False) or way.output
        return list(found.items())

    @property
    def unpack(self) -> list[Any] | None:
        """The shape to which a result is unpacked, or None."""
        return self._unpack

    @property
    def has_tag(self) -> bool:
        """Whether anybody consumes the tag."""
        return bool(self._tags)

    def _send_local(self, value: Any, start: Tick, stop: Tick) -> None:
        """The common case: the whole value, to ports on this ensemble."""
        plain = value.__class__ in PLAIN
        ready = self._ready
        for sync, port in self.local:
            sync.inbox.append((port, start, stop, value if plain else handed_on(value)))
            if not sync.queued:
                sync.queued = True
                heappush(ready, sync.key)

    def within(self, wires: dict[tuple[str, int], int]) -> SendWithin:
        """`send` for an SQ of a region: what goes to a port in `wires` is put there into the list that is given."""
        ways = [
            (way, [(sync, port, wires.get((sync.sq.name, port), -1)) for sync, port in way.local]) for way in self._ways
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
            parts = unpacked(value, self._unpack)
            for way, local in ways:
                part = parts.get(way.path, _NOTHING)
                if part.__class__ is TTEmpty:
                    continue
                if way.hosts:
                    self._publish(way.name, way.hosts, part, start, stop)
                plain = part.__class__ in PLAIN
                for sync, port, wire in local:
                    own = part if plain else handed_on(part)
                    if wire >= 0:
                        inside[wire] = own
                    else:
                        sync.receive(port, start, stop, own)
                if way.output:
                    self._output(self._sq.name, part, start, stop)

        return send_local if self.send == self._send_local else send

    def _send(self, value: Any, start: Tick, stop: Tick) -> None:
        if self._alone is not None and value.__class__ is not Parts:
            if value.__class__ is not TTEmpty:
                self._along(self._alone, value, start, stop)
            return
        if value.__class__ is Parts:
            if value.together is not None and self._publish_together is not None:
                paths, data = value.together
                together = self._that_go_together(paths)
                if together is not None:
                    self._publish_together(together, data, start, stop)
                    return
            parts = value.by_path
        else:
            parts = unpacked(plain(value) if self._unpack else value, self._unpack)
        for way in self._ways:
            part = parts.get(way.path, _NOTHING)
            if part.__class__ is not TTEmpty:
                self._along(way, part, start, stop)

    def _that_go_together(self, paths: tuple[tuple[int, ...], ...]) -> Together | None:
        """The arcs that carry the parts of a result at `paths`, if they lead to the same ensembles and nowhere else."""
        if paths is self.all_paths and self._all_together is not None:
            return self._all_together
        if paths in self._together:
            return self._together[paths]
        here = [way for way in self._ways if way.path in paths]
        alike = all(way.hosts == here[0].hosts and not (way.local or way.output or way.unplaced) for way in here)
        together = None
        if alike and here[0].hosts and len(here) == len(paths):
            here.sort(key=lambda way: paths.index(way.path))
            indexes = tuple(int(way.name.rpartition("/")[2]) for way in here)
            together = Together(self._sq.name, indexes, here[0].hosts)
        self._together[paths] = together
        if paths is self.all_paths:
            self._all_together = together
        return together

    def _along(self, way: _Way, value: Any, start: Tick, stop: Tick) -> None:
        if way.hosts:
            self._publish(way.name, way.hosts, value, start, stop)
        if way.local:
            plain = value.__class__ in PLAIN
        for sync, port in way.local:
            sync.receive(port, start, stop, value if plain else handed_on(value))
        if way.output:
            self._output(self._sq.name, value, start, stop)
        if way.unplaced:
            self._lose(way.unplaced)


_NOTHING = TTEmpty()


def unpacked(value: Any, shape: list[Any] | None) -> dict[tuple[int, ...], Any]:
    """The parts of `value` by path: the whole, and what unpacking it to `shape` gives.

    Raises:
        ValueError: a sequence has another length than `shape`.
        TypeError: what is to be unpacked is no sequence.
    """
    parts: dict[tuple[int, ...], Any] = {(): value}
    if shape is not None:
        _unpack(value, shape, (), parts)
    return parts


def _unpack(value: Any, shape: list[Any], path: tuple[int, ...], parts: dict[tuple[int, ...], Any]) -> None:
    try:
        items = tuple(value)
    except TypeError:
        raise TypeError(f"a sequence of {len(shape)} is unpacked here, but the body returned {value!r}") from None
    if len(items) != len(shape):
        raise ValueError(f"a sequence of {len(shape)} is unpacked here, but the body returned {len(items)} values")
    for index, (item, inner) in enumerate(zip(items, shape, strict=True)):
        parts[(*path, index)] = item
        if inner is not None:
            _unpack(item, inner, (*path, index), parts)
