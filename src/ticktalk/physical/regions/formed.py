"""The regions of a graph on a device: parts that cross to their worker as one piece.

A region begins with its *roots*. The general engine, or the grid, says when these fire and on which values. All
tokens of its other SQs come from within it, so nothing has to be matched there. Its kind names its beginning:

* "instant": sources (`@STREAMify`) of one period, phase, width and window. An SQ behind them may have several
  inputs: all carry the interval of one instant. Tokens of two instants never meet, as the width is at most the period.
* "firing": any one SQ, with any firing rule.
* "token": the SQs that are fed by the arcs of one SQ of another ensemble, each by one arc.

Behind the roots of the latter two come SQs of one arc input only. Intervals of tokens that follow one another may
overlap there, so an SQ that matches stays outside.

SQs that need more than values are always outside. These are sources with a first delay or stamped by their body, used
tags, deadlines, plan Bs and single runs. So are persistent SQs and those with a timeout, bodies on full tokens,
instructions on intervals, `MERGE`, sticky values of other SQs. So are handlers of unused tokens (`TTSQ.spread`), bodies
that ask for their firing (`told`), and streams whose period is a fraction (`per`) or that catch up (`missed`).

Turns do not show on a device, but time does: an SQ that uses a component stays outside, as its driver may hold it up.
An SQ that drops sets out of order is inside only where its region keeps order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import runs_elsewhere
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTDestination
from ticktalk.instructions import ON_VALUES

Kind = Literal["instant", "token", "firing"]

Grid = tuple[int, int, int]
"""Period, phase and width of a source, in root ticks."""

MOST_MEMBERS = 1000
"""SQs in one region: one slow body splits all of it."""


class Member(NamedTuple):
    """An SQ of a region.

    Attributes:
        sq: the SQ.
        wires: by port, the number of the wire that feeds it; of a root: none. Wires have numbers in the order of the
            SQs at which they begin.
        inner: where its results go within the region, a wire each.
    """

    sq: TTSQ
    wires: dict[int, int]
    inner: list[TTDestination]

    @property
    def arcs(self) -> list[int]:
        """The ports at which arcs end."""
        return [index for index, port in enumerate(self.sq.ports) if port.constant is None]


class RegionShape(NamedTuple):
    """A region.

    Attributes:
        kind: its beginning.
        roots: how many of the `members`, the first ones, are its roots.
        members: its SQs; after the roots by rank, then source order.
        producer: of kind "token": the SQ of another ensemble that feeds the roots.
        feeds: of kind "token": by root, which of the producer's arcs feeds it.
    """

    kind: Kind
    roots: int
    members: list[Member]
    producer: str = ""
    feeds: tuple[int, ...] = ()

    @property
    def tells_all(self) -> bool:
        """True if the timekeeper knows all that a tap is told: no token stays inside, and none waits for another."""
        return self.kind == "token" and len(self.members) == self.roots


def shapes_on_device(
    graph: TTGraph, here: Iterable[TTSQ], grid_of: Callable[[TTSQ], Grid], elsewhere: Callable[[str], bool]
) -> list[RegionShape]:
    """The regions of SQs that run in one worker.

    Args:
        graph: the graph.
        here: the SQs of the worker.
        grid_of: a source's grid at present.
        elsewhere: whether the SQ of that name is on another ensemble.
    """
    shapes = _Grouping(graph, here, grid_of, elsewhere).shapes()
    return [shape for shape in shapes if len(shape.members) > 1 or shape.kind == "token"]


def grids_in(context: ContextParts) -> Callable[[TTSQ], Grid]:
    """Gives the grid of a source at present."""

    def grid_of(sq: TTSQ) -> Grid:
        sync = context.syncs[sq.name]
        assert isinstance(sync, GridSync)
        return sync.period, sync.phase, sync.width

    return grid_of


class _Region:
    """A region to which SQs are added."""

    def __init__(self, kind: Kind, producer: str) -> None:
        self.kind = kind
        self.producer = producer
        self.roots: list[TTSQ] = []
        self.inside: list[TTSQ] = []

    @property
    def full(self) -> bool:
        return len(self.roots) + len(self.inside) >= MOST_MEMBERS


class _Grouping:
    """Goes through the graph once, in order."""

    def __init__(
        self, graph: TTGraph, here: Iterable[TTSQ], grid_of: Callable[[TTSQ], Grid], elsewhere: Callable[[str], bool]
    ) -> None:
        self._order, self._by_name, self._feeders = wiring_of(graph)
        self._here = {sq.name for sq in here}
        self._grid_of = grid_of
        self._elsewhere = elsewhere
        self._begun: dict[tuple[Kind, object], _Region] = {}
        self._region_of: dict[str, _Region] = {}
        self._ordered: set[str] = set()  # SQs whose sets follow one another in time

    def shapes(self) -> list[RegionShape]:
        order = self._order
        for name in sorted(order, key=order.__getitem__):
            sq = self._by_name[name]
            if name in self._here and self._settles(sq):
                self._add(sq)
        return [self._shape(region) for region in self._begun.values()]

    def _settles(self, sq: TTSQ) -> bool:
        """True if a firing is just the function of values, with the interval that the firing rule gives."""
        if sq.trigger not in ("arrival", "grid") or sq.singly or sq.full_token or sq.first_delay:
            return False
        if sq.per > 1 or sq.missed != "skip" or sq.told:
            return False
        if sq.stamp != "instant" or sq.single_run is not None or sq.persistent or sq.timeout:
            return False
        if sq.spread or any(arc.kind != "value" and arc.to for arc in sq.arcs):
            return False
        on_values = bool(sq.body) or sq.function in ON_VALUES
        return on_values and runs_elsewhere(sq) and not any(constraint.components for constraint in sq.constraints)

    def _add(self, sq: TTSQ) -> None:
        """Let the SQ belong to a region, as one inside or as a root."""
        region = self._behind(sq) if sq.trigger == "arrival" else None
        if region is not None:
            region.inside.append(sq)
            in_order = self._comes_in_order(sq)
        else:
            region = self._begin(sq)
            if region.full:
                return
            region.roots.append(sq)
            in_order = sq.trigger == "grid" or sq.order == "forward"
        if in_order:
            self._ordered.add(sq.name)
        self._region_of[sq.name] = region

    def _behind(self, sq: TTSQ) -> _Region | None:
        """The one region that all tokens of the SQ come from, if it may hold the SQ."""
        producers = self._producers(sq)
        origins = {self._region_of.get(name) for name in producers}
        region = origins.pop() if len(origins) == 1 else None
        if region is None or region.full or (region.kind != "instant" and len(producers) > 1):
            return None
        return None if sq.order == "forward" and not self._comes_in_order(sq) else region

    def _begin(self, sq: TTSQ) -> _Region:
        """The region of which the SQ is a root, alone or with others."""
        kind: Kind = "firing"
        what: object = sq.name
        if sq.trigger == "grid":
            window = self._window(sq)
            if window is not None:
                kind, what = "instant", window
        else:
            producers = self._producers(sq)
            if len(producers) == sum(port.constant is None for port in sq.ports) == 1 and self._elsewhere(producers[0]):
                kind, what = "token", producers[0]
        return self._begun.setdefault((kind, what), _Region(kind, str(what) if kind == "token" else ""))

    def _window(self, sq: TTSQ) -> object:
        """The traits that all sources of a region share: the grid, and the origin of the window."""
        grid = self._grid_of(sq)
        if grid[2] > grid[0]:
            return None
        arcs = set()
        for index, port in enumerate(sq.ports):
            if port.constant is None:
                arcs.update(self._feeders.get((sq.name, index), [("", -1)]))
        if ("", -1) in arcs or any(name and self._by_name[name].stream for name, _ in arcs):
            return None
        # Inputs of the graph all hold for ever, from the start on.
        return (grid, frozenset(arc for arc in arcs if arc[0]))

    def _producers(self, sq: TTSQ) -> list[str]:
        """By port that takes tokens, the one SQ that feeds it; empty if that is not so at each."""
        found = []
        for index, port in enumerate(sq.ports):
            if port.constant is not None:
                continue
            fed = self._feeders.get((sq.name, index), [])
            if len(fed) != 1:
                return []
            name, arc = fed[0]
            if not name and port.sticky:
                continue  # there from the start on, and holds for ever
            if not name or port.sticky or self._by_name[name].arcs[arc].kind != "value":
                return []
            found.append(name)
        return found

    def _feeding(self, sq: TTSQ) -> list[str]:
        """The SQs that feed an SQ; "": an input of the graph."""
        return [name for index in range(len(sq.ports)) for name, _ in self._feeders.get((sq.name, index), ())]

    def _comes_in_order(self, sq: TTSQ) -> bool:
        return all(name in self._ordered or not name for name in self._feeding(sq))

    def _shape(self, region: _Region) -> RegionShape:
        sqs = region.roots + region.inside
        roots = len(region.roots)
        place = {sq.name: index for index, sq in enumerate(sqs)}
        wires: list[dict[int, int]] = [{} for _ in sqs]
        inner: list[list[TTDestination]] = []
        wire = 0
        for sq in sqs:
            to_all = [to for arc in sq.arcs if arc.kind == "value" for to in arc.to]
            inner.append([to for to in to_all if place.get(to.sq, -1) >= roots])
            for to in inner[-1]:
                wires[place[to.sq]][to.port] = wire
                wire += 1
        members = [Member(*each) for each in zip(sqs, wires, inner, strict=True)]
        feeds: tuple[int, ...] = ()
        if region.kind == "token":
            feeds = tuple(self._feeders[member.sq.name, member.arcs[0]][0][1] for member in members[:roots])
        return RegionShape(region.kind, roots, members, region.producer, feeds)
