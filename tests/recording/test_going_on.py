"""A replayed run goes on where its recording ends: its outputs are those of a run without an interruption."""

from __future__ import annotations

import io
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import programs
from test_replay import COSTS, PROGRAM, recorded

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.language.compiler import compile_source
from ticktalk.recording.going_on import begin_anew, graph_now, hand_over
from ticktalk.recording.replay import Replay
from ticktalk.records import Sent


def gone_on(graph: TTGraph, tick: int, until: int, delay: int, costs: str | None = None) -> list[tuple[Any, ...]]:
    """The outputs of a run that was recorded up to a tick, and of its going on up to another."""
    kept, _ = recorded(graph, tick, delay=delay, costs=costs)
    replay = Replay(kept.setups[-1], kept.records(), states=True)
    outputs: list[tuple[Any, ...]] = []  # also those that are still on their way to the manager
    arcs = {f"{sq.name}/{index}" for sq in graph.sqs for index, arc in enumerate(sq.arcs) if arc.output}

    def take(t: Sent) -> None:
        if t.arc in arcs:
            outputs.append((t.sq, replay.load(t.value), t.start, t.stop))

    replay.on_token = take
    replay.go(tick)
    assert replay.finish(tick) == [] and begin_anew(replay) == []
    hosts = sorted({host for host in replay.host_of.values() if host != "runtime-manager"})
    ensembles = [TTEnsemble(None, name) for name in hosts]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(initial_time=tick), network_delay=delay)
    manager.simulation.accelerator = None
    manager.on_output(lambda t: outputs.append((t.sq, t.value, t.start, t.stop)))
    manager.instantiate_and_map_graph(graph_now(replay), mapping=replay.host_of)
    manager.execute_graph(graph.name, {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {})
    contexts = [context for host in manager.simulation.hosts() for context in host.contexts.values()]
    assert hand_over(replay, contexts, delay) == []
    manager.simulation.run(until)
    return sorted(outputs, key=repr)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(programs(hosts=True, rates=True), st.sampled_from([0, 1, 5]), st.integers(1, 100))
def test_random_graphs_go_on_as_if_they_had_not_stopped(text: str, delay: int, tick: int) -> None:
    # A default that a body changes is no state of its SQ, and stays behind, as it does when SQs move.
    graph = compile_source(text.replace("k.append(x)", "k[:] = [x]"), "net.py", "net")
    with BodyOutput(io.StringIO(), io.StringIO()):
        _, whole = recorded(graph, 120, delay=delay)
        assert gone_on(graph, tick, 120, delay) == sorted(whole, key=repr)


@pytest.mark.parametrize("tick", [350, 507, 512, 1234])
def test_states_deadlines_and_tokens_on_their_way_go_on(tick: int) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    _, whole = recorded(graph, 2000, delay=7)
    assert gone_on(graph, tick, 2000, 7) == sorted(whole, key=repr)


def test_a_body_that_had_not_ended_runs_anew() -> None:
    """`slow` takes 130 us from 105 on, so at 200 it runs: it does so again, and its sum is right."""
    graph = compile_source(PROGRAM, "prog.py", "prog")
    found = sorted(gone_on(graph, 200, 450, 0, COSTS), key=lambda output: output[2])
    assert [value for sq, value, *_ in found if sq == "TTFinishByOtherwise-1"] == [-1, 3, 6, 10]
