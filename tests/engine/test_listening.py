"""Listeners, drivers and the user's SimPy processes find `env.now` at the tick of what they see, and cost only that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.cli.simulated_run import SimulatedRun
from ticktalk.language.compiler import compile_source

PROGRAM = """
from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty, component

@STREAMify
def count(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n

@SQify
def rare(n):
    if n == 70:
        raise ValueError("seventy")
    return n if n % 50 == 0 else TTEmpty()

@STREAMify
def sensed(trigger):
    return component("clock").now()

@GRAPHify
def main(trigger):
    WHERE
"""
RARE = "return rare(count(trigger, TTPeriod=1000))"


class Counting(simpy.Environment):
    """An environment that counts the events that it processes."""

    steps = 0

    def step(self) -> None:
        self.steps += 1
        super().step()


class Clock:
    """A driver that looks at the environment."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env

    def now(self) -> float:
        return self.env.now


def started(body: str, accelerated: bool = True, clocks: bool = False) -> tuple[Counting, TTRuntimeManagerSim]:
    env = Counting()
    members = [TTEnsemble(None, "edge", components={"clock": Clock(env)})] if clocks else []
    manager = TTRuntimeManagerSim(None, members, env)
    if not accelerated:
        manager.simulation.accelerator = None
    graph = compile_source(PROGRAM.replace("WHERE", body), "prog.py", "prog")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    return env, manager


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_listener_is_called_at_its_tick_and_costs_one_event(accelerated: bool) -> None:
    env, manager = started(RARE, accelerated)
    seen: list[Any] = []
    manager.on_output(lambda token: seen.append((env.now, token.arrival, token.value)))
    manager.on_error(lambda error: seen.append((env.now, error.exception)))
    manager.simulation.run(150_001)
    assert seen == [
        (50_000, 50_000, 50),
        (70_000, "ValueError: seventy"),
        (100_000, 100_000, 100),
        (150_000, 150_000, 150),
    ]
    assert env.steps < 15  # 150 instants, four of which somebody was told of


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_call_that_a_listener_schedules_comes_in_its_turn(accelerated: bool) -> None:
    env, manager = started(RARE.replace("return rare", "return "), accelerated)
    order: list[Any] = []

    def later(token: Any) -> None:
        order.append((env.now, token.value))
        if token.value % 5 == 0:
            for delay in (0, 700, 1_500):
                env.timeout(delay).callbacks.append(lambda _: order.append((env.now, "timeout")))

    manager.on_output(later)
    manager.simulation.run(12_001)
    told = [(1000 * n, n) for n in range(1, 13)]
    timeouts = [(t, "timeout") for t in (5000, 5700, 6500, 10_000, 10_700, 11_500)]
    assert order == sorted(told + timeouts, key=lambda entry: (entry[0], entry[1] == "timeout"))


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_process_of_the_user_runs_between_instants(accelerated: bool) -> None:
    env, manager = started(RARE, accelerated)
    seen: list[Any] = []

    def process() -> Any:
        while True:
            yield env.timeout(999)
            seen.append((env.now, manager.simulation.agenda.now <= env.now))

    env.process(process())
    manager.simulation.run(40_001)
    assert seen == [(999 * n, True) for n in range(1, 41)]


@pytest.mark.parametrize("accelerated", [False, True])
def test_a_driver_is_called_at_its_tick(accelerated: bool) -> None:
    body = "with TTConstraint(name='edge'):\n        x = sensed(trigger, TTPeriod=1000)\n    return x"
    _, manager = started(body, accelerated, clocks=True)
    manager.simulation.run(20_001)
    seen: list[Any] = []
    manager.process.outputs.listeners.append(lambda token: seen.append((token.value, token.arrival)))
    manager.simulation.run(60_001)
    assert seen == [(1000 * n, 1000 * n) for n in range(21, 61)]


DRIVERS = """
class Tide:
    def __init__(self{more}):
        self.asked = 0

    def at(self, instant):
        self.asked += 1
        return instant // 1000 % 7 + self.asked
"""
TIDE = """
from ticktalk import GRAPHify, SQify, STREAMify, component, firing

@STREAMify
def sensed(trigger):
    return component("tide").at(firing().instant)

@SQify
def between(x, y):
    return component("tide").at(x) - y

@GRAPHify
def main(trigger):
    x = sensed(trigger, TTPeriod=1000)
    return between(x, sensed(trigger, TTPeriod=3000, TTPhase=700))
"""


@pytest.mark.parametrize("more", ["", ", env"])
def test_beside_drivers_that_cannot_look_at_the_time_there_is_a_plan(more: str, tmp_path: Path) -> None:
    """Each driver is called as often and in the same order as on the general engine."""
    module = f"tide_{'env' if more else 'alone'}"
    (tmp_path / f"{module}.py").write_text(DRIVERS.format(more=more))
    seen: dict[bool, list[Any]] = {True: [], False: []}
    for accelerated, told in seen.items():
        run = SimulatedRun(
            graph=compile_source(TIDE, "prog.py", "prog"),
            length=90_000,
            near=tmp_path,
            ensembles=["edge"],
            components=[f"edge.tide={module}:Tide"],
        )
        manager = run.manager()
        if not accelerated:
            manager.simulation.accelerator = manager.simulation.agenda.ahead = None
        manager.on_output(lambda token, told=told: told.append((token.value, token.start, token.arrival)), notes=True)
        run.begin()
        run.go()
        plan = manager.simulation.accelerator and manager.simulation.accelerator.plan
        assert (plan is not None) == (accelerated and not more)
    assert len(seen[True]) > 25 and seen[True] == seen[False]


def test_why_there_is_no_plan_beside_drivers() -> None:
    env, manager = started("return sensed(trigger, TTPeriod=1000)", clocks=True)
    env.run(50_000)
    why = manager.simulation.accelerator.why
    assert why == "sensed-1 is on an ensemble with drivers, which may look at the time"


@pytest.mark.parametrize("accelerated", [True, False])
def test_an_error_of_a_listener_ends_the_run_at_its_tick_and_is_none_of_a_firing(accelerated: bool) -> None:
    env, manager = started(RARE, accelerated)
    seen: list[int] = []

    def listener(token: Any) -> None:
        seen.append(token.value)
        if token.value == 100:
            raise LookupError("mine")

    manager.on_output(listener)
    with pytest.raises(LookupError, match="mine"):
        manager.simulation.run(until=160_000)
    assert env.now == 100_000
    manager.simulation.run(until=160_000)
    assert seen == [50, 100, 150]
    assert [error.exception for error in manager.errors] == ["ValueError: seventy"]
