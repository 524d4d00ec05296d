"""A simulated ensemble that leaves: nothing of it fires any more, and all goes on elsewhere, as on devices."""

from __future__ import annotations

from typing import Any

import pytest
import simpy

from ticktalk.language.compiler import compile_source
from ticktalk.messages import message
from ticktalkpython.Ensemble import TTEnsemble
from ticktalkpython.Error import TTRuntimeError
from ticktalkpython.IPC import RuntimeMsg
from ticktalkpython.RuntimeManager import TTRuntimeManagerSim

COUNTING = """
from ticktalk import *

@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]

@GRAPHify
def main(trigger):
    with TTConstraint(name="source"):
        values = src(trigger, TTPeriod=ms(100))
    with TTConstraint(name=["first", "second"]):
        return total(values)
"""


class World:
    """Two ensembles that can host the sum, and one with the stream."""

    def __init__(self, movable: bool = True, delay: int = 0, program: str = COUNTING) -> None:
        self.env = simpy.Environment()
        self.ensembles = {name: TTEnsemble(None, name) for name in ("first", "second", "source")}
        self.manager = TTRuntimeManagerSim(
            None, self.ensembles.values(), self.env, movable=movable, network_delay=delay
        )
        self.heard: list[tuple[int, int, str]] = []
        self.manager.on_output(lambda token: self.heard.append((self.env.now, token.value, token.ensemble)))
        self.manager.instantiate_and_map_graph(compile_source(program, "prog.py", "prog"))
        self.manager.execute_graph("prog", length=550_000)

    def run(self, until: int) -> None:
        self.env.run(until=until)


@pytest.mark.parametrize("delay", [0, 30_000])
def test_a_state_goes_on_where_the_next_one_is(delay: int) -> None:
    world = World(delay=delay)
    world.run(250_000)
    world.ensembles["first"].stop()
    world.run(1_000_000)
    late = 2 * delay
    assert world.heard == [
        (100_000 + late, 1, "first"),
        (200_000 + late, 3, "first"),
        (300_000 + late, 6, "second"),
        (400_000 + late, 10, "second"),
        (500_000 + late, 15, "second"),
    ]
    assert world.manager.ensembles == ["second", "source", "runtime-manager"]
    assert not world.manager.counters("prog")


def test_a_process_of_the_user_may_let_it_leave_and_another_take_its_name() -> None:
    world = World()

    def user() -> Any:
        yield world.env.timeout(250_000)
        world.ensembles["first"].stop()
        world.ensembles["first"].stop()  # it has left already
        yield world.env.timeout(100_000)
        world.ensembles["second"].stop()
        yield world.env.timeout(0)
        TTEnsemble(None, "first", sim=world.env)

    world.env.process(user())
    world.run(1_000_000)
    assert [name for _, _, name in world.heard[:3]] == ["first", "first", "second"]
    assert world.manager.ensembles == ["source", "first", "runtime-manager"]
    assert [value for _, value, _ in world.heard][-2:] == [10, 15] and world.heard[-1][2] == "first"


@pytest.mark.parametrize("movable", [False, True])
def test_nothing_fires_of_one_of_which_the_manager_is_told_that_it_has_left(movable: bool) -> None:
    world = World(movable, program=COUNTING.replace('name="source"', 'name=["first", "second"]'))
    world.run(250_000)
    world.manager.send_to_runtime(message(RuntimeMsg.LEAVE, "first"))
    world.run(1_000_000)
    # It had no time to say how its SQs were: they begin anew.
    assert [(name, value) for _, value, name in world.heard] == [
        ("first", 1),
        ("first", 3),
        ("second", 1),
        ("second", 3),
        ("second", 6),
    ]


def test_it_stays_where_nothing_can_move() -> None:
    world = World(movable=False)
    with pytest.raises(TTRuntimeError, match="SQs do not move in this simulation"):
        world.ensembles["first"].stop()
    with pytest.raises(TTRuntimeError, match="the manager's own ensemble"):
        world.manager.ensemble.stop()
    world.ensembles["second"].stop()  # nothing lives there
    world.run(1_000_000)
    assert [value for _, value, _ in world.heard] == [1, 3, 6, 10, 15]
    assert world.manager.ensembles == ["first", "source", "runtime-manager"]


def test_a_drained_one_may_join_again() -> None:
    world = World()
    world.run(150_000)
    world.manager.drain("first")
    world.run(250_000)
    assert "first" not in world.manager.ensembles
    world.ensembles["first"].join()
    assert "first" in world.manager.ensembles
    world.run(1_000_000)
    assert [value for _, value, _ in world.heard] == [1, 3, 6, 10, 15]
