"""An ensemble subscribes to the arcs that end at its SQs, and looks at no others to find them."""

from __future__ import annotations

import random

from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTDestination, TTPort
from ticktalk.hosted.subscriptions import arcs_to


def random_graph(chance: random.Random, sqs: int) -> TTGraph:
    """SQs with up to three arcs each, which lead to some of the SQs behind them."""
    nodes = [TTSQ(f"f-{k}", "f", arcs=[TTArc() for _ in range(chance.randint(1, 3))]) for k in range(sqs)]
    for k, node in enumerate(nodes[1:], 1):
        for _ in range(chance.randint(1, 3)):
            arc = chance.choice(chance.choice(nodes[max(0, k - 20) : k]).arcs)
            arc.to.append(TTDestination(node.name, len(node.ports)))
            node.ports.append(TTPort(str(len(node.ports))))
    return TTGraph("g", sqs=nodes)


def test_the_arcs_of_an_ensemble_are_those_that_a_look_at_every_arc_finds() -> None:
    chance = random.Random(7)
    for _ in range(60):
        graph = random_graph(chance, chance.randint(1, 25))
        host_of = {sq.name: f"e{chance.randrange(3)}" for sq in graph.sqs}
        expected = {sq.name for sq in graph.sqs if chance.random() < 0.1} | {"unknown"}
        wanted = set()
        for sq in graph.sqs:
            if host_of[sq.name] != "e0":
                comes = any(to.sq in expected for arc in sq.arcs for to in arc.to)
                for index, arc in enumerate(sq.arcs):
                    if comes or any(host_of[to.sq] == "e0" for to in arc.to):
                        wanted.add(f"{sq.name}/{index}")
        found = list(arcs_to(PreparedGraph(graph, host_of, "e0", {}), expected))
        assert set(found) == wanted and len(found) == len(wanted)


class Counted(dict[str, str]):
    """A mapping that counts how often it is asked."""

    asked = 0

    def __getitem__(self, key: str) -> str:
        self.asked += 1
        return super().__getitem__(key)


def test_of_a_long_graph_only_what_ends_here_is_looked_at() -> None:
    graph = random_graph(random.Random(8), 2_000)
    host_of = Counted({sq.name: f"e{k % 1_000}" for k, sq in enumerate(graph.sqs)})
    prepared = PreparedGraph(graph, host_of, "e5", {})
    host_of.asked = 0
    assert list(arcs_to(prepared))
    assert host_of.asked <= sum(len(sq.ports) for sq in prepared.sqs) < 10
