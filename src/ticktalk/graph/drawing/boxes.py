"""Graphs that a graph calls: each is drawn as a box around its SQs, or folded to one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from ticktalk.graph.sq import TTSQ, Nodes, TTArc, TTDestination, TTInput, TTPort


def box_of(sq: str) -> str:
    """The outermost called graph that an SQ belongs to; "" for the program's own."""
    return sq.partition("/")[0] if "/" in sq else ""


def with_boxes(graph: Nodes, hosts: Mapping[str, str]) -> dict[str, str]:
    """SQ name to its group, where each box is a group, too: within a host, if it has one."""
    groups = dict(hosts)
    for sq in graph.sqs:
        if box := box_of(sq.name):
            groups[sq.name] = f"{box} on {hosts[sq.name]}" if sq.name in hosts else box
    return groups


class _Folded(NamedTuple):
    name: str
    inputs: list[TTInput]
    sqs: list[TTSQ]


def collapsed(graph: Nodes) -> Nodes:
    """A graph for drawing only, in which each box is one node: a port for each arc that enters, the arcs that leave."""
    by_name = {sq.name: sq for sq in graph.sqs}
    sizes = Counter(box_of(name) for name in by_name)
    nodes: dict[str, TTSQ] = {}
    places: dict[TTDestination, TTDestination] = {}
    for sq in graph.sqs:
        if not (box := box_of(sq.name)):
            nodes[sq.name] = msgspec.structs.replace(sq, arcs=[])
        elif box not in nodes:
            what = f"a graph of {sizes[box]} SQ{'s' * (sizes[box] > 1)}"
            nodes[box] = TTSQ(box, what, line=sq.line, rank=sq.rank, constraints=sq.constraints)
    sources = [(box_of(sq.name), arc.to) for sq in graph.sqs for arc in sq.arcs]
    for source, to in [*sources, *(("", each.to) for each in graph.inputs)]:
        entered: dict[str, TTDestination] = {}
        for end in to:
            box = box_of(end.sq)
            if box and box != source:
                if box not in entered:
                    port = by_name[end.sq].ports[end.port]
                    entered[box] = TTDestination(box, len(nodes[box].ports))
                    nodes[box].ports.append(TTPort(port.name, sticky=port.sticky))
                places[end] = entered[box]
    for sq in graph.sqs:
        box = box_of(sq.name)
        for arc in sq.arcs:
            to = _once(places.get(end, end) for end in arc.to if not box or box_of(end.sq) != box)
            if to or arc.output or not box:
                nodes[box or sq.name].arcs.append(TTArc(arc.name, arc.kind, () if box else arc.path, to, arc.output))
    inputs = [msgspec.structs.replace(each, to=_once(places.get(end, end) for end in each.to)) for each in graph.inputs]
    return _Folded(graph.name, inputs, list(nodes.values()))


def _once(ends: Iterable[TTDestination]) -> list[TTDestination]:
    return list(dict.fromkeys(ends))
