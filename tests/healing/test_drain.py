"""Draining loses nothing: whatever moves, and whenever, outputs are those of a run that nobody disturbed."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, note, settings
from hypothesis import strategies as st
from oracle import Node, run
from test_oracle import as_graph
from world import MANAGER, World

from ticktalk.graph.sq import TTDestination

NAMES = ["a", "b", "c", "d"]


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    """Streams and what they feed, such that no token overlaps two of one port: order of arrival decides nothing."""
    nodes = []
    period = draw(st.integers(4, 12))
    for index in range(draw(st.integers(1, 3))):
        nodes.append(
            Node(
                f"s{index}-1",
                period=period,
                phase=draw(st.integers(0, period - 1)),
                width=draw(st.integers(1, period // 2)),
                drop=draw(st.sampled_from([0, 0, 2, 3])),
                salt=index + 1,
            )
        )
    for index in range(draw(st.integers(1, 6))):
        inputs = draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=3))
        nodes.append(
            Node(
                f"f{index}-1",
                inputs=inputs,
                drop=draw(st.sampled_from([0, 0, 0, 2, 5])),
                stateful=draw(st.booleans()),
                salt=100 + index,
            )
        )
    return nodes


@settings(max_examples=200, deadline=None)
@given(
    networks(),
    st.sampled_from([0, 0, 1, 3, 20]),
    st.lists(st.tuples(st.integers(0, 70), st.sampled_from(NAMES)), min_size=1, max_size=3, unique_by=lambda d: d[1]),
    st.randoms(use_true_random=False),
)
def test_drained_at_any_tick_the_outputs_are_those_of_the_oracle(
    nodes: list[Node], delay: int, drains: list[tuple[int, str]], choice: random.Random
) -> None:
    # What the first 100 ticks give comes first, of every SQ, wherever tokens take their time. A drain changes how long
    # they take, so where two ways meet sets can be complete in another order: then nothing may hang on it.
    meet = delay and any(len(node.inputs) > 1 for node in nodes)
    for node in nodes:
        node.stateful = node.stateful and not meet
    expected, _ = run(nodes, 100, 101, 10**9)
    world = World(NAMES, delay=delay, checkpoint=choice.choice([0, 7]))
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]  # the streams are driven by the trigger itself
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    hosts = {sq.name: choice.choice([*NAMES, MANAGER]) for sq in graph.sqs}
    note(f"hosts: {hosts}")
    world.start(graph, hosts)
    for tick, name in drains:
        world.at(tick, lambda name=name: world.manager.drain(name))
    world.run(100 + 10 * (delay + 1))
    found = [(token.sq, token.value, token.start, token.stop) for token in world.outputs]
    for name in {node.name for node in nodes}:
        wanted = [token for token in expected if token[0] == name]
        got = [token for token in found if token[0] == name]
        if meet:
            assert not Counter(wanted) - Counter(got)
            assert max(Counter(token[2:] for token in got).values(), default=1) == 1  # none twice
        else:
            assert got[: len(wanted)] == wanted
    for _, name in drains:
        assert name not in world.hosts("net").values()
        assert name not in world.manager.ensembles
    for kind in ("lost", "stale", "skipped", "out_of_order", "errors"):
        assert not world.counted(kind, "net")
    world.check()
