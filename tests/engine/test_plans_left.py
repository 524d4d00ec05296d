"""A plan that is left in the middle of its period: what has been in it happens once, as on the general engine."""

from __future__ import annotations

from typing import Any

import pytest
from test_plans import at_once, program, same

from ticktalk.accelerate import loops
from ticktalk.accelerate.again import Again


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Again]:
    """The periods in which plans were left."""
    at_once(monkeypatch)
    found: list[Again] = []

    def going_over(periods: list[Again], *of: Any) -> None:
        found.extend(periods)
        go_over(periods, *of)

    go_over = loops.go_over
    monkeypatch.setattr(loops, "go_over", going_over)
    return found


def test_outputs_of_the_period_are_not_told_again(left: list[Again]) -> None:
    graph = program(
        """
with TTConstraint(name="a"):
    a = src(trigger, TTPeriod=10)
with TTConstraint(name="a"):
    b = src(trigger, TTPeriod=30, TTPhase=25)
with TTConstraint(name="a"):
    late = fail(b)
with TTConstraint(name="a"):
    out = step(a)
return out
"""
    )
    same(graph, delay=2, until=400)
    assert max(again.told for again in left) > 0


def test_a_receiver_that_has_changed_its_copy_changes_no_other(left: list[Again]) -> None:
    more = """
@SQify
def boxed(x):
    return [x]

@SQify
def grow(xs):
    xs.append(9)
    return 1 // (xs[0] % 3)

@SQify
def look(xs):
    print(xs)
    return len(xs)
"""
    graph = program(
        """
with TTConstraint(name="a"):
    xs = boxed(src(trigger, TTPeriod=10))
with TTConstraint(name="b"):
    grown = grow(xs)
with TTConstraint(name="c"):
    out = look(xs)
return out
""",
        more,
    )
    ran = same(graph, delay=7, until=200)
    assert "[3]\n" in ran.seen[1] and ", 9]" not in ran.seen[1]
    assert left
