"""A graph as one ensemble holds it, between its distribution and its starts: which SQs are here, and their code.

Its order and its arcs as look-up tables (`Wiring`) are made once for all ensembles of a process that hold it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from ticktalk.engine.bodies import GraphCode
from ticktalk.engine.components import Components
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.time.grid import Period


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


class PreparedGraph:
    """A graph as one ensemble holds it.

    Args:
        graph: the whole graph: an ensemble has to know where its arcs lead.
        host_of: SQ name to ensemble name.
        here: this ensemble's name.
        components: this ensemble's drivers.
        generations: SQ name to how often it has been placed anew; left out: never.
    """

    def __init__(
        self,
        graph: TTGraph,
        host_of: dict[str, str],
        here: str,
        components: Components,
        generations: dict[str, int] | None = None,
    ) -> None:
        self.graph = graph
        self.here = here
        self.components = components
        self.clocks = graph.clock_tree()
        self.code = GraphCode(graph)
        self.wiring = wiring_of(graph)
        self.order = self.wiring.order
        self.place(host_of, generations or {})

    def arriving(self, host_of: dict[str, str], generations: dict[str, int]) -> list[TTSQ]:
        """The SQs that another mapping places here and this one does not."""
        old, kept = self.generations, self.host_of
        return [
            sq
            for sq in self.graph.sqs
            if host_of[sq.name] == self.here
            and (kept[sq.name] != self.here or old.get(sq.name, 0) != generations.get(sq.name, 0))
        ]

    def place(self, host_of: dict[str, str], generations: dict[str, int]) -> None:
        """Take on another mapping."""
        self.host_of, self.generations = host_of, generations
        self.sqs = [sq for sq in self.graph.sqs if host_of[sq.name] == self.here]

    def set_grid(self, name: str, period: Period, phase: int, width: int) -> None:
        """A stream's grid from now on (root ticks), also for instances made later."""
        grid = {"period": period.numerator, "per": period.denominator, "phase": phase, "width": width}
        changed = msgspec.structs.replace(self.graph.sq(name), **grid)
        sqs = [changed if sq.name == name else sq for sq in self.graph.sqs]
        self.graph = msgspec.structs.replace(self.graph, sqs=sqs)
        self.place(self.host_of, self.generations)
