"""Arcs that are watched: each context's SQ goes back to the accelerator, and an SQ that came anew is watched."""

from __future__ import annotations

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.hosted import arc_watch
from ticktalk.hosted.arc_watch import ArcWatch
from ticktalk.language.compiler import compile_source
from ticktalk.records import ArcToken, WatchArc

PROGRAM = """
from ticktalk import *
@STREAMify
def read(trigger):
    return 1
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        return same(read(trigger, TTPeriod=1000))
"""


@pytest.fixture
def manager() -> TTRuntimeManagerSim:
    """Two contexts of one graph on `a`, with an instant each ms."""
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a")], simpy.Environment())
    manager.simulation.make_movable()  # then tokens go along arcs one by one, as on devices
    graph = compile_source(PROGRAM, "prog.py", "prog")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(5_500)
    return manager


def watch_of(manager: TTRuntimeManagerSim, told: list[ArcToken]) -> ArcWatch:
    host = manager.simulation.sites["a"].host
    assert host is not None
    return ArcWatch("a", host.contexts, manager.simulation.now, told.append)


def test_all_contexts_go_back_to_the_accelerator(manager: TTRuntimeManagerSim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arc_watch, "WATCHED", 10_000)
    told: list[ArcToken] = []
    watch_of(manager, told).watch(WatchArc("prog", "read-1/0"))
    manager.simulation.run(30_500)
    assert [token.tick for token in told] == [tick for tick in range(6_000, 15_001, 1_000) for _ in range(2)]
    host = manager.simulation.sites["a"].host
    assert host is not None
    assert [context.watched for context in host.contexts.values()] == [set(), set()]


def test_an_arc_in_whose_place_newer_ones_are_watched(
    manager: TTRuntimeManagerSim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arc_watch, "MOST", 1)
    told: list[ArcToken] = []
    watch = watch_of(manager, told)
    watch.watch(WatchArc("prog", "read-1/0"))
    watch.watch(WatchArc("prog", "same-1/0"))
    manager.simulation.run(10_500)
    assert {token.arc for token in told} == {"same-1/0"}
    host = manager.simulation.sites["a"].host
    assert host is not None
    assert [context.watched for context in host.contexts.values()] == [{"same-1"}, {"same-1"}]


def test_an_sq_that_ended_and_comes_again_can_be_watched_again(manager: TTRuntimeManagerSim) -> None:
    watch_of(manager, []).watch(WatchArc("prog", "same-1/0"))
    host = manager.simulation.sites["a"].host
    assert host is not None
    for context in host.contexts.values():
        context.remove("same-1")
        assert not context.watched
