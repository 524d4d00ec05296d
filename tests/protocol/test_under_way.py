"""A status shows the ensembles that a drain waits for."""

from __future__ import annotations

import random
from concurrent.futures import Future
from typing import Any

from played_system import MS, S, World, played
from test_token_numbers import hosts, system

from ticktalk.cli.ending import wait_lines
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DrainRequest, StatusRequest


def waits(world: World) -> list[str]:
    """What a status says for people of what waits."""
    asked: Future[Any] = world.request(RuntimeMsg.STATUS, StatusRequest())
    world.run(world.now + MS)
    return [line for line in wait_lines(asked.result()) if "drain" in line]


def test_a_drain_that_waits_for_an_ensemble_that_stands_still_says_so() -> None:
    with played(random.Random(1)):
        world = World(random.Random(1))
        system(world, a="source", b="sink", c="sink other")
        world.run(world.now + 1 * S)
        still = world.ensembles["a"].host
        still.stand("stopped")
        drained = world.request(RuntimeMsg.DRAIN, DrainRequest("b"))
        world.run(world.now + 500 * MS)
        assert waits(world) == ["graph g: the drain of 'b' waits for a"]
        world.run(world.now + 1000 * MS)
        assert waits(world) == ["graph g: the drain of 'b' waits for a; not heard for a while: a"]
        still.stand("")
        world.run(world.now + 3 * S)
        assert drained.result() is None and waits(world) == []
        assert hosts(world) == {"count-1": "a", "same-1": "c", "ones-1": "c"}
