"""Honest systems on bad links, and after the death of a manager: what is counted of them, and what is said."""

from __future__ import annotations

import random
from collections import Counter

from played_system import MANAGER, MS, S, World, played
from test_token_numbers import system


def counted(world: World) -> Counter[str]:
    """What the manager and the ensembles have counted."""
    return sum((each.node.own for each in world.ensembles.values()), Counter(world.node.own))


def test_nothing_is_forged_where_a_manager_dies_and_is_started_again() -> None:
    """Ensembles send for its former start until they hear of the next one, which sends before they do."""
    counts: Counter[str] = Counter()
    for seed in range(4):
        with played(random.Random(seed)):
            world = World(random.Random(seed), keeps=True)
            starts = system(world, a="source", b="sink", c="sink other")
            for name in world.ensembles:
                world.network.delay[frozenset((name, MANAGER))] = 60 * MS
            world.run(world.now + 2 * S + 70 * seed * MS)
            world.kill_manager()
            world.run(world.now + 300 * MS)
            world.follow_manager()
            world.run(world.now + 4 * S)
            assert starts and set(world.state.ensembles) == {"a", "b", "c"}
            counts += counted(world)
    assert counts["untimely"] > 20, "there were such messages"
    assert not counts["forged"]


def test_short_silences_of_a_manager_are_few_lines_and_a_long_one_is_told_in_time() -> None:
    with played(random.Random(1)):
        world = World(random.Random(1))
        system(world, a="source", b="sink")
        ensemble = world.ensembles["a"]
        rests = 0
        for _ in range(40):
            world.network.muted.add((MANAGER, "a"))
            world.run(world.now + 2 * S)
            rests += bool(ensemble.member._lease.watch.held)
            world.network.muted.clear()
            world.run(world.now + 1 * S)
        assert rests > 20 and ensemble.joins == 1
        assert len(ensemble.said) <= 3 * 3, ensemble.said
        before = len(ensemble.said)
        world.network.muted.add((MANAGER, "a"))
        world.run(world.now + 6 * S)
        assert any("the manager is not heard" in text for text in ensemble.said[before:])
