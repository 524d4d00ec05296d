"""A graph's order and arcs as look-up tables, made once for all ensembles that hold it."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ


class Wiring(NamedTuple):
    """A graph by its SQs and ports.

    Attributes:
        order: SQ name to its place in the order at one tick: by rank, then source order.
        by_name: SQ name to SQ.
        feeders: `(SQ name, port)` to the arcs that end there, as `(SQ name, arc)`; `("", 0)`: an input of the graph.
    """

    order: dict[str, int]
    by_name: dict[str, TTSQ]
    feeders: dict[tuple[str, int], list[tuple[str, int]]]


_known: deque[tuple[TTGraph, Wiring]] = deque(maxlen=4)
"""The latest ones: a thousand simulated ensembles that hold one graph share its wiring."""


def wiring_of(graph: TTGraph) -> Wiring:
    """The wiring of a graph; it is not to be changed."""
    for known, wiring in _known:
        if known is graph:
            return wiring
    ranked = sorted(range(len(graph.sqs)), key=lambda index: (graph.sqs[index].rank, index))
    order = {graph.sqs[index].name: place for place, index in enumerate(ranked)}
    feeders: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for source in graph.inputs:
        for to in source.to:
            feeders.setdefault((to.sq, to.port), []).append(("", 0))
    for sq in graph.sqs:
        for index, arc in enumerate(sq.arcs):
            for to in arc.to:
                feeders.setdefault((to.sq, to.port), []).append((sq.name, index))
    wiring = Wiring(order, {sq.name: sq for sq in graph.sqs}, feeders)
    _known.append((graph, wiring))
    return wiring
