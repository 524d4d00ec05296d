"""A deadline that is no tick is an error of that firing alone, whatever kind of value it is."""

from __future__ import annotations

import pytest
from world import World, graph_of

MORE = """
from typing import NamedTuple
class Odd(NamedTuple):
    x: int = 1
    def __index__(self):
        raise OSError("no such register")
@SQify
def made(x):
    import numpy
    return {value}
"""
BODY = """
d = made(trigger)
TTFinishByOtherwise(trigger, TTTimeDeadline=d)
"""
NO_TICK = "a deadline must be a whole number of ticks, not "


def errors_of(value: str) -> list[str]:
    world = World(["a"])
    world.start(graph_of(BODY, more=MORE.format(value=value)))
    world.simulation.run(1_000)
    return [f"{error.sq}: {error.exception}" for error in world.manager.errors]


@pytest.mark.parametrize(
    "value",
    ["'soon'", "7.5", "None", "True", "numpy.array([1, 2])", "numpy.array([7.5])", "numpy.array([1 + 2j])",
     "numpy.array([])", "numpy.float64('nan')", "numpy.bool_(True)"],
)  # fmt: skip
def test_a_deadline_that_is_no_whole_number_is_an_error_of_its_sq(value: str) -> None:
    (error,) = errors_of(value)
    assert error.startswith(f"TTFinishByOtherwise-1: ValueError: {NO_TICK}")


def test_an_object_whose_number_cannot_be_had() -> None:
    (error,) = errors_of("Odd()")
    assert error.startswith("TTFinishByOtherwise-1: OSError: no such register")


@pytest.mark.parametrize(
    "value", ["700", "700.0", "numpy.int64(700)", "numpy.array(700)", "float('inf')", "numpy.float32('inf')"]
)
def test_a_deadline_is_a_whole_number_of_any_class_or_never(value: str) -> None:
    assert errors_of(value) == []
