"""Which SQs form regions: parts of a graph whose firings are settled before it runs.

A region begins at `@STREAMify` sources of one period, phase, width and window. To it belong the SQs behind them whose
every token comes from the region: all inputs of such an SQ carry the interval of the instant, and no token of one
instant meets one of another, because the width is at most the period. So nothing has to be matched.

What stays outside runs on the general engine, which is the definition of the semantics: sources with a tag that is
used, with a first delay or stamped by their body; instructions that look at intervals, deadlines, plan Bs, single
runs, persistent SQs, bodies on full tokens, `MERGE`, inputs of different streams, sticky values of other SQs. So does
a source that feeds nothing but such.

What comes out of the general engine is settled once more: an SQ with one arc input fires on every token of it. So an
SQ there and those behind it that have no other arc input are a *tree*: the general engine says when its root fires,
and on what, and its function runs from there. A tree holds all of its SQs that have their turns before anybody
outside whom it feeds; those after are trees of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ticktalk.engine.wiring import wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTDestination
from ticktalk.instructions import ON_VALUES

Feeders = dict[tuple[str, int], list[tuple[str, int]]]

Grid = tuple[int, int, int]
"""Period, phase and width of a source, in root ticks."""

MOST_NODES = 1000
"""SQs in one region: a function of more takes long to compile."""


GIVEN = -1
"""In place of a node: what the general engine gives to the root of a tree."""


class Wire(NamedTuple):
    """The way of a value inside a region: to the `way`-th consumer within it of its `node`-th SQ."""

    node: int  # of a tree's root: `GIVEN`, and the way is the value's place in the set that it fires on
    way: int
    alone: bool  # there is no other consumer within it

    @property
    def name(self) -> str:
        """What it is called in the generated code."""
        if self.node == GIVEN:
            return f"given{self.way}"
        return f"v{self.node}" if self.alone else f"v{self.node}_{self.way}"


class RegionNode(NamedTuple):
    """An SQ of a region.

    Attributes:
        sq: the SQ.
        wires: by port, in order, the wire that feeds it; of a source: none.
        inner: where its results go within the region, `wires` of others in this order.
        edge: results leave the region as well (or instead), or are unpacked.
    """

    sq: TTSQ
    wires: dict[int, Wire]
    inner: list[TTDestination]
    edge: bool


class RegionPlan(NamedTuple):
    """A region.

    Attributes:
        sources: how many of the `nodes`, the first ones, are its sources; 0: it is a tree, its first SQ the root.
        nodes: its SQs by rank, then source order.
        whole: nothing that it feeds outside has its turn before its last SQ has, so that one instant may run as a
            whole when nothing else is due.
    """

    sources: int
    nodes: list[RegionNode]
    whole: bool


def find_regions(graph: TTGraph, here: list[TTSQ], grid_of: Callable[[TTSQ], Grid] | None = None) -> list[RegionPlan]:
    """The regions of `graph` on one ensemble.

    Args:
        graph: the graph.
        here: the SQs that the ensemble hosts.
        grid_of: a source's grid where it is not the graph's any more.
    """
    order, by_name, feeders = wiring_of(graph)
    region_of: dict[str, object] = {}
    members: dict[object, list[TTSQ]] = {}
    for sq in sorted(here, key=lambda sq: order[sq.name]):
        key: object = None
        if sq.trigger == "grid":
            grid = grid_of(sq) if grid_of is not None else (sq.period, sq.phase, sq.width)
            key = region_window(sq, grid, feeders, by_name)
        elif _is_plain(sq):
            key = _origin(sq, feeders, by_name, region_of)
        if key is not None and len(members.setdefault(key, [])) < MOST_NODES:
            region_of[sq.name] = key
            members[key].append(sq)
    plans = (_plan(sqs, order) for sqs in members.values())
    # Where nothing stays within, every firing is told to the general engine: that is faster from there.
    return [plan for plan in plans if plan is not None and any(node.inner for node in plan.nodes)]


def find_trees(graph: TTGraph, here: list[TTSQ], regions: list[RegionPlan]) -> list[RegionPlan]:
    """The trees of `graph` on one ensemble, beside its `regions`."""
    order, by_name, feeders = wiring_of(graph)
    taken = {node.sq.name for plan in regions for node in plan.nodes}
    ours = {sq.name for sq in here} - taken
    tree_of: dict[str, list[TTSQ]] = {}
    last: dict[str, int] = {}  # by root, the place in the order that its tree must not reach
    trees: list[list[TTSQ]] = []
    for name in sorted(order, key=order.__getitem__):
        sq = by_name[name]
        tree = None
        if name in ours and _is_plain(sq):
            tree = tree_of.get(_only_producer(sq, feeders, by_name))
            if tree is not None and (len(tree) == MOST_NODES or order[name] > last.get(tree[0].name, len(order))):
                tree = None
            if tree is not None:
                tree.append(sq)
        producers = {producer for port in range(len(sq.ports)) for producer, _ in feeders.get((name, port), ())}
        for producer in producers & tree_of.keys():
            if tree_of[producer] is not tree:
                last.setdefault(tree_of[producer][0].name, order[name])
        if tree is None and name in ours and _is_plain(sq):
            tree = [sq]
            trees.append(tree)
        if tree is not None:
            tree_of[name] = tree
    plans = (_plan(sqs, order) for sqs in trees if len(sqs) > 1)
    return [plan for plan in plans if plan is not None]


def _only_producer(sq: TTSQ, feeders: Feeders, by_name: dict[str, TTSQ]) -> str:
    """The SQ whose tokens `sq` fires on one by one; "" if there is none."""
    found = ""
    for index, port in enumerate(sq.ports):
        if port.constant is not None:
            continue
        fed = feeders.get((sq.name, index), [])
        if port.sticky and fed == [("", 0)]:
            continue  # there from the start on, and holds for ever
        if port.sticky or found or len(fed) != 1 or not fed[0][0] or by_name[fed[0][0]].arcs[fed[0][1]].kind == "tag":
            return ""
        found = fed[0][0]
    return found


def region_window(sq: TTSQ, grid: Grid, feeders: Feeders, by_name: dict[str, TTSQ]) -> object:
    """What a source has in common with all others of its region: its grid, and what its window hangs on."""
    period, _, width = grid
    if sq.full_token or sq.first_delay or sq.stamp != "instant" or width > period or not runs_at_once(sq):
        return None
    arcs = set()
    for index, port in enumerate(sq.ports):
        if port.constant is None:
            arcs.update(feeders.get((sq.name, index), [("", -1)]))
    if ("", -1) in arcs or any(name and by_name[name].stream for name, _ in arcs):
        return None
    # Inputs of the graph all hold for ever, from the start on.
    return (grid, frozenset(arc for arc in arcs if arc[0]))


def _is_plain(sq: TTSQ) -> bool:
    """Whether a firing of the SQ is just its function of values, with the interval of its inputs."""
    return (
        sq.trigger == "arrival"
        and not sq.singly
        and not sq.full_token
        and (sq.body or sq.function in ON_VALUES)
        and runs_at_once(sq)
    )


def runs_at_once(sq: TTSQ) -> bool:
    tag_used = any(arc.kind == "tag" and arc.to for arc in sq.arcs)
    return sq.single_run is None and not sq.persistent and not tag_used


def _origin(
    sq: TTSQ,
    feeders: Feeders,
    by_name: dict[str, TTSQ],
    region_of: dict[str, object],
) -> object:
    """The one region that all tokens of the SQ come from; None if there is none."""
    origins: set[object] = set()
    for index, port in enumerate(sq.ports):
        if port.constant is not None:
            continue
        fed = feeders.get((sq.name, index), [])
        if len(fed) != 1:
            return None
        name, arc = fed[0]
        if not name:
            if not port.sticky:
                return None
            continue  # there from the start on, and holds for ever
        if port.sticky or by_name[name].arcs[arc].kind == "tag":
            return None
        origins.add(region_of.get(name))
    return origins.pop() if len(origins) == 1 else None


def _plan(sqs: list[TTSQ], order: dict[str, int]) -> RegionPlan | None:
    sources = [sq.trigger == "grid" for sq in sqs]
    if sources != sorted(sources, reverse=True):  # the ranks of a graph that nobody compiled
        return None
    place = {sq.name: index for index, sq in enumerate(sqs)}
    inner: list[list[TTDestination]] = [[] for _ in sqs]
    fed: list[dict[int, tuple[int, int]]] = [{} for _ in sqs]
    edges = [False] * len(sqs)
    first_outside = float("inf")
    for index, sq in enumerate(sqs):
        for arc in sq.arcs:
            if arc.kind == "tag":
                continue
            edges[index] |= arc.output or bool(arc.path)
            for to in arc.to:
                if to.sq in place and sqs[place[to.sq]].trigger != "grid":
                    fed[place[to.sq]][to.port] = (index, len(inner[index]))
                    inner[index].append(to)
                else:
                    edges[index] = True
                    first_outside = min(first_outside, order[to.sq])
    wires = [
        {port: Wire(node, index, len(inner[node]) == 1) for port, (node, index) in sorted(ports.items())}
        for ports in fed
    ]
    if not any(sources):
        arcs = [port for port, kind in enumerate(sqs[0].ports) if kind.constant is None]
        wires[0] = {port: Wire(GIVEN, slot, False) for slot, port in enumerate(arcs)}
    nodes = [RegionNode(*entry) for entry in zip(sqs, wires, inner, edges, strict=True)]
    return RegionPlan(sum(sources), nodes, first_outside > order[sqs[-1].name])
