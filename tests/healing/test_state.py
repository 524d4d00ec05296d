"""The manager's state is one tree of data: it can be encoded at any time, amid losses and drains, and comes back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from world import MS, S, World, graph_of

from ticktalk.manager.events import GraphDone, LeftOut, Moved
from ticktalk.manager.state import ManagerState

BODY = """
with TTConstraint(name=["b", "c", "d"]):
    x = [total(count(trigger, TTPeriod=250000 + 1000 * i)) for i in range(4)]
with TTConstraint(name="e"):
    y = same(x[0])
late = pair(x[1], x[2])
return y, late
"""


def again(state: ManagerState) -> ManagerState:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ManagerState)


@pytest.mark.parametrize("delay", [0, 3 * MS])
def test_the_state_is_whole_at_any_time(delay: int) -> None:
    world = World(("b", "c", "d", "e=gpu"), delay=delay)
    state = world.manager.process.state
    world.events("- {at: 3s, fail: b}\n- {at: 6s, cut: [e, runtime-manager]}\n- {at: 9s, heal: [e, runtime-manager]}\n")
    seen: list[dict[str, Any]] = []

    def look() -> None:
        decoded = again(state)
        assert decoded == state
        (graph,) = decoded.graphs.values()
        seen.append(
            {
                "lost": list(decoded.lost),
                "waits": [sq for sq, host in graph.host_of.items() if not host],
                "kept": sorted(graph.contexts[1].checkpoints),
                "moves": sum(graph.generations.values()),
            }
        )

    for tick in range(100 * MS, 12 * S, 490 * MS):
        world.at(tick, look)
    world.at(5 * S, lambda: world.manager.drain("c"))
    graph = graph_of(BODY)
    world.start(graph)
    world.run(12 * S)
    look()
    assert {tuple(each["lost"]) for each in seen} >= {(), ("b",), ("b", "e")}
    assert any(each["waits"] for each in seen) and seen[-1]["waits"] == []
    assert seen[-1]["moves"] > 0 and len(seen[-1]["kept"]) >= 8
    world.manager.stop_graph(graph)
    assert again(state) == state and not state.graphs


def test_inputs_are_kept_as_they_cross_and_those_that_cannot_are_not() -> None:
    world = World(["b"])
    more = "@SQify\ndef kind(x):\n    return type(x).__name__\n"
    body = "with TTConstraint(name='runtime-manager'):\n    return kind(x), kind(y)"
    world.start(graph_of(body, more=more, inputs="x, y"), inputs={"x": {1: (2, 3)}, "y": object()})
    world.run(1 * S)
    assert world.values() == [("dict", "object")]
    (context,) = world.manager.process.state.graphs["prog"].contexts.values()
    assert list(context.inputs) == ["x"] and again(world.manager.process.state).graphs["prog"].contexts[1] == context


def test_events_are_values_and_their_sentences_come_from_them() -> None:
    world = World(["b", "c"])
    events: list[Any] = []
    world.manager.watch(events.append)
    more = "@SQify\ndef keeps(x):\n    global sq_state\n    sq_state['lock'] = open\n    return x\n"
    body = "with TTConstraint(name=['b', 'c']):\n    return keeps(count(trigger, TTPeriod=100000))"
    graph = graph_of(body, more=more)
    world.events("- {at: 2500ms, fail: b}\n")
    world.start(graph)
    world.run(6 * S)
    world.manager.stop_graph(graph)
    (left_out,) = [event for event in events if isinstance(event, LeftOut)]
    (moved,) = [event for event in events if isinstance(event, Moved)]
    (done,) = [event for event in events if isinstance(event, GraphDone)]
    assert left_out.graph == "prog" and left_out.what.startswith("keeps-1: sq_state['lock']")
    assert moved.to == {"count-1": "c", "keeps-1": "c"}
    assert str(moved) == "graph 'prog': count-1, keeps-1 go on on 'c'"
    assert (done.graph, done.context, done.outputs) == ("prog", 1, len(world.outputs))
    assert [str(event) for event in events] == [text for _, text in world.said]
