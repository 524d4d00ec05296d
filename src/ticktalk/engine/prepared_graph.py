"""A graph as one ensemble holds it, between its distribution and its starts: which SQs are here, and their code."""

from __future__ import annotations

import msgspec

from ticktalk.engine.bodies import GraphCode
from ticktalk.engine.components import Components
from ticktalk.engine.wiring import wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ


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
        self.generations = generations or {}
        self.host_of = host_of
        self.here = here
        self.components = components
        self.clocks = graph.clock_tree()
        self.code = GraphCode(graph)
        self.wiring = wiring_of(graph)
        self.order = self.wiring.order
        self.sqs = [sq for sq in graph.sqs if host_of[sq.name] == here]

    def prepare_code(self) -> None:
        """Compile the bodies placed here, run the module-level statements they need, and make each body once.

        Raises:
            BodyError: one of them cannot be prepared here.
        """
        self.code.try_out(self.sqs)

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

    def set_grid(self, name: str, period: int, phase: int, width: int) -> None:
        """A stream's grid from now on (root ticks), also for instances made later."""
        changed = msgspec.structs.replace(self.graph.sq(name), period=period, phase=phase, width=width)
        sqs = [changed if sq.name == name else sq for sq in self.graph.sqs]
        self.graph = msgspec.structs.replace(self.graph, sqs=sqs)
        self.sqs = [sq for sq in sqs if self.host_of[sq.name] == self.here]
