"""Numbers of tokens where SQs move after a loss: `lost` counts tokens that are missing, and no others."""

from __future__ import annotations

import random

from played_system import MANAGER, MS, S, World, played

from programs import HEAD
from ticktalk.language.compiler import compile_source
from ticktalk.manager.events import Moved
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, DrainRequest, OutputToken, StartRequest, StopRequest

GRAPH = compile_source(
    f"""{HEAD}
@GRAPHify
def main(trigger):
    with TTConstraint(components=["source"]):
        x = count(trigger, TTPeriod=100000)
    with TTConstraint(components=["sink"]):
        y = same(x)
    with TTConstraint(components=["other"]):
        z = ones(trigger, TTPeriod=1000000)
""",
    "g.py",
    "g",
)
"""The values 1, 2, 3 and so on, ten a second."""


def system(world: World, **ensembles: str) -> list[int]:
    """Start ensembles with some components, and the graph; the list gets the starts of all outputs that come."""
    for name, components in ensembles.items():
        world.start(name, tuple(components.split()))
        world.run(world.now + 200 * MS)  # so they join in this order
    world.request(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(GRAPH))
    world.request(RuntimeMsg.EXECUTE_GRAPH, StartRequest("g", {}, again=True))
    starts: list[int] = []

    def take(token: OutputToken) -> None:
        if token.sq == "same-1":
            starts.append(int(token.start))

    world.process.outputs.listeners.append(take)
    return starts


def hosts(world: World) -> dict[str, str]:
    return dict(world.state.graphs["g"].host_of)


def lost(world: World) -> int:
    counts = world.process.requests.reports.counts("g")
    return sum(kinds.get("lost", 0) for kinds in counts.values())


def test_an_sq_that_begins_anew_where_it_was_before_does_not_go_on_with_its_old_numbers() -> None:
    choice = random.Random(1)
    with played(choice):
        world = World(choice, checkpoint=0)
        came = system(world, a="source other", d="sink")
        world.run(4 * S)
        world.ensembles["d"].host.die()
        world.start("e", ("source", "sink"))
        world.run(7 * S)
        assert hosts(world)["same-1"] == "e"
        for other in ("e", MANAGER):
            world.network.cut("a", other, "loses")
        world.run(11 * S)
        assert hosts(world)["count-1"] == "e"  # the source begins at 1 there
        for other in ("e", MANAGER):
            world.network.heal("a", other)
        world.start("c", ("sink",))
        world.run(14 * S)
        before, seen = lost(world), len(came)
        world.request(RuntimeMsg.DRAIN, DrainRequest("e"))
        world.run(17 * S)
        assert hosts(world) == {"count-1": "a", "same-1": "c", "ones-1": "a"}
        after = came[seen:]
        assert after == list(range(after[0], after[0] + 100_000 * len(after), 100_000)) and len(after) > 20
        assert lost(world) == before


def test_a_receiver_that_moves_while_its_sender_is_still_to_come_counts_nothing_from_before() -> None:
    choice = random.Random(1)
    with played(choice):
        world = World(choice, checkpoint=500 * MS)
        came = system(world, a="source", b="source other", c="sink", d="sink")
        world.run(6 * S)
        assert hosts(world) == {"count-1": "a", "same-1": "c", "ones-1": "b"}
        moved: list[int] = []
        slow, prepares = frozenset(("b", MANAGER)), frozenset(("d", MANAGER))

        def lag(event: object) -> None:
            if isinstance(event, Moved) and not moved:
                moved.append(world.now)
                del world.network.delay[prepares]
                world.network.delay[slow] = 600 * MS  # it hears of its SQ later than `d` of its own

        world.process.requests.watchers.append(lag)
        world.network.delay[prepares] = 1200 * MS
        world.request(RuntimeMsg.DRAIN, DrainRequest("c"))
        world.ensembles["a"].host.die()
        world.run(10 * S)
        world.network.delay.clear()
        world.run(13 * S)
        assert moved and hosts(world) == {"count-1": "b", "same-1": "d", "ones-1": "b"}
        missing = (came[-1] - came[0]) // 100_000 + 1 - len(came)
        assert lost(world) <= missing, missing


def test_tokens_that_an_sq_s_next_host_has_counted_are_not_counted_again_at_the_one_that_was_lost() -> None:
    choice = random.Random(1)
    with played(choice):
        world = World(choice, checkpoint=500 * MS)
        came = system(world, a="source other", d="sink", e="sink")
        world.run(4 * S)
        world.ensembles["d"].host.die()
        world.run(8 * S)
        assert hosts(world)["same-1"] == "e"
        missing = (came[-1] - came[0]) // 100_000 + 1 - len(came)
        assert missing > 10 and missing <= lost(world) <= missing + 5, "what it took after its checkpoint counts, too"
        before = lost(world)
        stopped = world.request(RuntimeMsg.STOP_GRAPH, StopRequest("g"))
        world.run(10 * S)
        assert sum(count for by_sq in stopped.result().values() for count in by_sq.values()) == before


def test_heads_ups_before_instants_are_no_tokens() -> None:
    sent = []
    for rehearses in (False, True):
        choice = random.Random(1)
        with played(choice):
            world = World(choice, rehearses=rehearses)
            starts = system(world, a="source", b="sink", c="other")
            world.run(world.now + 2 * S)
            assert lost(world) == 0 and starts == list(range(starts[0], starts[-1] + 1, 100 * MS))
            sent.append(world.network.sent)
    assert sent[1] > sent[0] + 15, "one goes ahead of nearly each token"
