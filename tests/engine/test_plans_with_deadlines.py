"""Plans with deadlines that are open at the begin of a period, plan Bs that take values, tokens that get too old."""

from __future__ import annotations

from itertools import product

import pytest
from test_plans import HEADER, STREAM, at_once, program, same

from ticktalk.language.compiler import compile_source

PLAN_BS = {
    "nothing": "late()",
    "a value that stays": "late_with(gains)",
    "a stream": "late_with(b)",
    "both": "late_with_both(b, gains)",
}
DATA = {"always": "a", "sometimes": "odd(a)"}

LATE = """
@SQify
def late():
    return -1

@SQify
def late_with(x):
    return ("late", x)

@SQify
def late_with_both(x, gains):
    return (x, gains)
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


@pytest.mark.parametrize("what", PLAN_BS)
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("delay", "due"), [*product([0, 3, 47], [2, 61])])
def test_a_deadline_does_the_same(what: str, data: str, delay: int, due: int) -> None:
    text = f"""{HEADER}{STREAM}{LATE}
@GRAPHify
def main(trigger, gains):
    with TTConstraint(name="a"):
        a = src(trigger, TTPeriod=10)
    with TTConstraint(name="b"):
        tag, b = src(trigger, TTPeriod=30)
    with TTConstraint(name="b"):
        out = TTFinishByOtherwise({DATA[data]}, TTTimeDeadline=tag + {due}, TTPlanB={PLAN_BS[what]})
    return out
"""
    assert same(compile_source(text, "prog.py", "prog"), until=600, delay=delay).seen[0]


def test_tokens_that_are_evicted_before_others_meet_them() -> None:
    graph = program(
        """
with TTConstraint(name="a"):
    a = src(trigger, TTPeriod=20)
with TTConstraint(name="b"):
    far = step(a)
with TTConstraint(name="c"):
    out = far + a
return out
"""
    )
    for bound in (20, 200):
        outputs, _, _, counters, *_ = same(graph, until=700, delay=47, bound=bound).seen
        assert bool(outputs) == (bound == 200)
        assert bool(counters) == (bound == 20)


def test_a_deadline_that_was_missed_long_ago_leaves_after_a_plan() -> None:
    graph = program(
        """
a = src(trigger, TTPeriod=10)
b = src(trigger, TTPeriod=10, TTPhase=3)
tick = READ_TTCLOCK(b)
return TTFinishByOtherwise(a, TTTimeDeadline=tick + 61, TTPlanB=late())
""",
        LATE,
    )
    same(graph, until=700, bound=20)
