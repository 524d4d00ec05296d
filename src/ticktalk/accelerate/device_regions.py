"""Which SQs a worker runs together on a device: regions as in simulation, and those that begin with a token.

In real time a region is what crosses to its worker at once. It begins with its *roots*, which stay with the general
engine's rules, and its other SQs are those whose every token comes from them:

* "instant": sources of one grid and window, and all that is settled behind them (as in simulation);
* "token": SQs that are fed by the arcs of one SQ of another ensemble, each by one;
* "firing": any one SQ, whatever its firing rule.

Behind the roots of the latter two come SQs of one arc input only: intervals of tokens that follow one another may
overlap there, so nothing that matches is settled. Nor is the order: what drops sets that come out of order is inside
only where its root keeps order. An SQ that uses a component stays outside: what it talks to may hold it up at any
time. So does all that `engine.regions` leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from ticktalk.accelerate.regions import MOST_NODES, Grid, RegionNode, Wire, region_window, runs_at_once
from ticktalk.engine.wiring import Wiring, wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTDestination
from ticktalk.instructions import OPENING

Kind = Literal["instant", "token", "firing"]


class DevicePlan(NamedTuple):
    """A region on a device.

    Attributes:
        kind: what it begins with.
        roots: how many of the `nodes`, the first ones, are its roots.
        nodes: its SQs; the others by rank, then source order.
        producer: of kind "token": the SQ of another ensemble that feeds the roots.
        feeds: of kind "token": by root, which of the producer's arcs feeds it.
    """

    kind: Kind
    roots: int
    nodes: list[RegionNode]
    producer: str = ""
    feeds: tuple[int, ...] = ()


def find_device_regions(
    graph: TTGraph, here: Iterable[TTSQ], others: Callable[[str], bool], grid_of: Callable[[TTSQ], Grid]
) -> list[DevicePlan]:
    """The regions of SQs that run in one worker.

    Args:
        graph: the graph.
        here: the SQs of the worker.
        others: whether an SQ is on another ensemble.
        grid_of: a source's period, phase and width at present.
    """
    wiring = wiring_of(graph)
    key_of: dict[str, tuple[Kind, object]] = {}
    members: dict[tuple[Kind, object], list[TTSQ]] = {}
    roots: set[str] = set()
    ordered: set[str] = set()  # SQs whose sets follow one another in time
    for sq in sorted(here, key=lambda sq: wiring.order[sq.name]):
        if not _settles(sq):
            continue
        key = _inside(sq, wiring, key_of, ordered) if sq.trigger == "arrival" else None
        if key is None or len(members[key]) >= MOST_NODES:
            key = _root_of(sq, wiring, others, grid_of)
            if len(members.setdefault(key, [])) >= MOST_NODES:
                continue
            roots.add(sq.name)
            if sq.trigger == "grid" or sq.order == "forward":
                ordered.add(sq.name)
        elif all(name in ordered or not name for name in _feeding(sq, wiring)):
            ordered.add(sq.name)
        key_of[sq.name] = key
        members[key].append(sq)
    plans = []
    for (kind, what), sqs in members.items():
        sqs.sort(key=lambda sq: sq.name not in roots)
        if len(sqs) > 1 or kind == "token":
            plans.append(_plan(kind, what, sqs, sum(sq.name in roots for sq in sqs), wiring))
    return plans


def _settles(sq: TTSQ) -> bool:
    """Whether a firing is just the function of the values, with the interval that the firing rule gives."""
    return (
        (sq.body or sq.function in OPENING)
        and sq.trigger in ("arrival", "grid")
        and not (sq.singly or sq.full_token or sq.first_delay)
        and sq.stamp == "instant"
        and runs_at_once(sq)
        and not any(constraint.components for constraint in sq.constraints)
    )


def _inside(
    sq: TTSQ, wiring: Wiring, key_of: dict[str, tuple[Kind, object]], ordered: set[str]
) -> tuple[Kind, object] | None:
    """The one region that all tokens of an SQ come from, if they are settled there."""
    origins = set()
    arcs = 0
    for index, port in enumerate(sq.ports):
        if port.constant is not None:
            continue
        fed = wiring.feeders.get((sq.name, index), [])
        if len(fed) != 1:
            return None
        name, arc = fed[0]
        if not name and port.sticky:
            continue  # there from the start on, and holds for ever
        if not name or port.sticky or wiring.by_name[name].arcs[arc].kind == "tag":
            return None
        arcs += 1
        origins.add(key_of.get(name))
    key = origins.pop() if len(origins) == 1 else None
    if key is None or (key[0] != "instant" and arcs > 1):
        return None
    if sq.order == "forward" and not all(name in ordered or not name for name in _feeding(sq, wiring)):
        return None
    return key


def _feeding(sq: TTSQ, wiring: Wiring) -> list[str]:
    """The SQs that feed an SQ; "": an input of the graph."""
    return [name for index in range(len(sq.ports)) for name, _ in wiring.feeders.get((sq.name, index), ())]


def _root_of(
    sq: TTSQ, wiring: Wiring, others: Callable[[str], bool], grid_of: Callable[[TTSQ], Grid]
) -> tuple[Kind, object]:
    """The region that an SQ begins, alone or with others."""
    if sq.trigger == "grid":
        window = region_window(sq, grid_of(sq), wiring.feeders, wiring.by_name)
        return ("firing", sq.name) if window is None else ("instant", window)
    arcs = [index for index, port in enumerate(sq.ports) if port.constant is None]
    if len(arcs) == 1 and not sq.ports[arcs[0]].sticky:
        fed = wiring.feeders.get((sq.name, arcs[0]), [])
        if (
            len(fed) == 1
            and fed[0][0]
            and others(fed[0][0])
            and wiring.by_name[fed[0][0]].arcs[fed[0][1]].kind != "tag"
        ):
            return "token", fed[0][0]
    return "firing", sq.name


def _plan(kind: Kind, what: object, sqs: list[TTSQ], roots: int, wiring: Wiring) -> DevicePlan:
    place = {sq.name: index for index, sq in enumerate(sqs)}
    inner: list[list[TTDestination]] = [[] for _ in sqs]
    fed: list[dict[int, tuple[int, int]]] = [{} for _ in sqs]
    edges = [False] * len(sqs)
    for index, sq in enumerate(sqs):
        for arc in sq.arcs:
            if arc.kind == "tag":
                continue
            edges[index] |= arc.output or bool(arc.path)
            for to in arc.to:
                if place.get(to.sq, -1) >= roots and wiring.feeders[to.sq, to.port][0][0] == sq.name:
                    fed[place[to.sq]][to.port] = (index, len(inner[index]))
                    inner[index].append(to)
                else:
                    edges[index] = True
    nodes = []
    for index, sq in enumerate(sqs):
        wires = {port: Wire(node, way, len(inner[node]) == 1) for port, (node, way) in sorted(fed[index].items())}
        nodes.append(RegionNode(sq, wires, inner[index], edges[index]))
    feeds: tuple[int, ...] = ()
    if kind == "token":
        ports = [next(i for i, port in enumerate(sq.ports) if port.constant is None) for sq in sqs[:roots]]
        feeds = tuple(wiring.feeders[sq.name, port][0][1] for sq, port in zip(sqs[:roots], ports, strict=True))
    return DevicePlan(kind, roots, nodes, str(what) if kind == "token" else "", feeds)
