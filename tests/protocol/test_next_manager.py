"""What becomes of ensembles that another manager has had between the death of theirs and its next start."""

from __future__ import annotations

import random

from played_system import S, World, played
from test_token_numbers import hosts, system


def test_what_another_manager_has_ended_goes_on_when_the_next_start_of_theirs_is_there() -> None:
    """One without the state, such as one whose `--log` was forgotten, lets them begin anew."""
    choice = random.Random(1)
    with played(choice):
        world = World(choice, keeps=True)
        system(world, a="source", b="sink", c="sink other")
        world.run(4 * S)
        before = hosts(world)
        world.kill_manager()
        world._keeps = False
        world.follow_manager()
        world.run(8 * S)
        assert set(world.state.ensembles) == {"a", "b", "c"} and not world.state.graphs
        assert all(each.said[-1].endswith("joining again; ended here: g") for each in world.ensembles.values())
        world.kill_manager()
        world._keeps = True
        world.follow_manager()
        came: list[int] = []
        world.process.outputs.listeners.append(lambda token: came.append(int(token.start)))
        world.run(14 * S)
        assert set(world.state.ensembles) == {"a", "b", "c"} and hosts(world) == before
        assert len(came) > 20
