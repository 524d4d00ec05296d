"""Runs whose SQs moved, by a drain or after a loss, are computed again to the same tokens."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Node
from test_oracle import as_graph
from test_replay import Kept, replayed
from test_unmatched import NAMES, networks
from world import MANAGER, MS, World, graph_of

from ticktalk.graph.sq import TTDestination
from ticktalk.recording.departures import same_value
from ticktalk.recording.moment import moments
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.replay import Replay
from ticktalk.records import InstanceMoved, TokenLeft


def recorded(world: World, nodes: list[Node], rng: random.Random, until: int) -> Kept:
    """A recorded run of streams on the manager, and SQs with handlers on the ensembles."""
    for site in world.simulation.sites.values():
        site.host.eviction_bound = 15
    kept = Kept()
    recording = RecordedSimulation(world.manager, kept, {})  # type: ignore[arg-type]
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    hosts = {sq.name: MANAGER if sq.trigger == "grid" else rng.choice(NAMES) for sq in graph.sqs}
    world.start(graph, hosts)
    world.run(until)
    recording.finish()
    return kept


@settings(max_examples=30)
@given(networks(), st.lists(st.integers(1, 90), min_size=1, max_size=2), st.randoms(use_true_random=False))
def test_a_run_with_drains_is_replayed_without_a_departure(
    nodes: list[Node], drains: list[int], rng: random.Random
) -> None:
    world = World(NAMES)
    for tick, name in zip(drains, ["a", "b"], strict=False):
        world.at(tick, lambda name=name: world.manager.drain(name))
    kept = recorded(world, nodes, rng, 105)
    departures, replay = replayed(kept)
    assert [str(each) for each in departures] == []
    hosts = kept.setups[0].host_of | {
        each.sq: ensemble for ensemble, each in kept.records() if isinstance(each, InstanceMoved) and each.here
    }
    assert {each.sq: each.ensemble for each in moments(replay)} == hosts
    start = Replay(kept.setups[0], kept.records())
    assert {each.sq: each.ensemble for each in moments(start)} == kept.setups[0].host_of


@settings(max_examples=30)
@given(networks(), st.integers(20, 90), st.integers(2, 20), st.randoms(use_true_random=False))
def test_a_run_with_a_loss_is_replayed_without_a_departure(
    nodes: list[Node], fails: int, checkpoint: int, rng: random.Random
) -> None:
    """An ensemble fails; its SQs go on elsewhere from their last checkpoint."""
    world = World(NAMES, notice=5, checkpoint=checkpoint)
    world.events(f"- {{at: {fails}us, fail: a}}\n")
    kept = recorded(world, nodes, rng, 130)
    departures, _ = replayed(kept)
    assert [str(each) for each in departures] == []
    lost = {sq for sq, host in kept.setups[0].host_of.items() if host == "a"}
    assert {each.sq for _, each in kept.records() if isinstance(each, InstanceMoved) and each.here} == lost


def test_a_value_that_was_too_long_is_like_no_other() -> None:
    assert same_value(b"", b"") and same_value(b"\1", b"\1")
    assert not same_value(b"", b"\1") and not same_value(b"\1", b"")


class _Hosts:
    """Gives these ensembles one after the other, in place of chance."""

    def __init__(self, *names: str) -> None:
        self.choice = lambda _, names=iter(names): next(names)


def test_a_handler_whose_host_is_lost_does_not_change_why_the_next_token_leaves() -> None:
    """Two tokens leave together; the first one goes to a handler on an ensemble that has failed, and is lost."""
    sources = [Node(f"s{n}-1", [], period=period, width=1, salt=1) for n, period in enumerate((2, 3))]
    world = World(NAMES, notice=5, checkpoint=2)
    world.events("- {at: 20us, fail: a}\n")
    kept = recorded(world, [*sources, Node("f0-1", [0, 1], handled=True)], _Hosts("b", "a"), 130)  # type: ignore[arg-type]
    departures, _ = replayed(kept)
    assert [str(each) for each in departures] == []
    assert {each.why for _, each in kept.records() if isinstance(each, TokenLeft)} == {"evicted"}


def test_a_plan_b_and_its_deadline_go_on_together_after_a_loss() -> None:
    """Plan B stands in before the loss and after it; what it gives goes to the receiver of the data."""
    graph = graph_of(
        """
tag, n = count(trigger, TTPeriod=100000)
with TTConstraint(name=["a", "b"]):
    return TTFinishByOtherwise(n, TTTimeDeadline=tag + us(1), TTPlanB=late()) + 1
""",
    )
    world = World(NAMES, delay=20 * MS, notice=50 * MS, checkpoint=100 * MS)
    world.events("- {at: 450ms, fail: a}\n")
    kept = Kept()
    recording = RecordedSimulation(world.manager, kept, {})  # type: ignore[arg-type]
    world.start(graph, {sq.name: MANAGER if sq.trigger == "grid" else "a" for sq in graph.sqs})
    world.run(1_000 * MS)
    recording.finish()
    departures, replay = replayed(kept)
    assert [str(each) for each in departures] == []
    assert {each.sq: each.ensemble for each in moments(replay)}["TTFinishByOtherwise-1"] == "b"
    assert replay.ended["late-1"] == world.counted("plan_b")["TTFinishByOtherwise-1"] > 5
