"""Plans of what works on tokens, their intervals and conditions, against the general engine and by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_plans import at_once, planned, program, same

from ticktalk.accelerate import handover

BODIES = """
@SQify
def add(a, b):
    return a + b

@SQify
def same_time(x, TTExecuteOnFullToken=True):
    return TTToken(x.value + 1, x.time)

@SQify
def longer(x, TTExecuteOnFullToken=True):
    more = 1 if x.value % 5 == 4 else 0
    return TTToken(x.value, TTTime(x.time.clock, x.time.start_tick, x.time.stop_tick + more))

@SQify
def some(x, TTExecuteOnFullToken=True):
    return TTToken(x.value, x.time) if x.value % 3 else TTEmpty()

@SQify
def text(x):
    return 'no number' if x == 4 else x

@SQify
def listed(x):
    return [x]

@SQify
def grown(xs):
    xs.append(len(xs))
    return sum(xs)

@SQify
def later():
    return -1

class Loud:
    def __init__(self, x):
        self.x = x

    def __bool__(self):
        print('asked', self.x)
        if self.x == 5:
            raise ValueError('neither')
        return self.x % 2 == 1

@SQify
def loud(x):
    return Loud(x)
"""

SRC = "a = src(trigger, TTPeriod=10)\nb = other(trigger, TTPeriod=10)\n"

PLANNED = {
    "held": "return RESAMPLE(a, TTPeriod=5)",
    "held, of lists": "r = RESAMPLE(listed(a), TTPeriod=5)\nx = grown(r)\ny = grown(r)\nreturn x, y",
    "on a line": "return RESAMPLE(a, TTPeriod=4, order=1)",
    "on a slower grid": "return add(RESAMPLE(a, TTPeriod=30), b)",
    "on a grid beside": "return RESAMPLE(src(trigger, TTPeriod=15), TTPeriod=10, TTPhase=3, order=1)",
    "with gaps": "return RESAMPLE(a, TTPeriod=5, TTMaxGap=4), step(a)",
    "an error on the line": "return RESAMPLE(text(a), TTPeriod=4, order=1)",
    "later": "return step(ADD_TIME_DELAY(a, delay=25))",
    "another's time": "return COPY_TTTIME(a, b), TTTIME_TO_VALUES(a)",
    "constants": "return CONST(a, const=4), CONST(a, const=[])",
    "the time": "return READ_TTCLOCK(a, delay=2), TIME_TOKEN(b)",
    "a deadline": "return TTFinishByOtherwise(some(a), TTTimeDeadline=READ_TTCLOCK(a) + 3, TTPlanB=later())",
    "full tokens": "return same_time(a)",
    "full tokens that end later at times": "return step(longer(a))",
    "full tokens that are absent": "return step(some(a)), add(some(a), b)",
    "a choice": "return step(a) if a % 3 == 0 else b",
    "a choice that others depend on": "c = step(a) if a % 3 == 0 else -a\nreturn add(c, b)",
    "a choice in a choice": "c = (step(a) if a % 2 == 0 else 7) if a % 3 == 0 else -a\nreturn add(c, b)",
    "a choice that joins": "c = add(a, b) if a % 3 == 0 else b\nreturn add(c, b)",
    "choices of which others depend on one": "d = src(trigger, TTPeriod=10, TTPhase=4)\n"
    "c = COPY_TTTIME(d, TIME_TOKEN(a if a % 3 == 1 else a))\nx = 7 if d % 3 == 1 else d\nreturn a",
    "a choice by a class": "c = a if loud(a) else b\nreturn add(c, b)",
    "a choice by a class, alone": "return a if loud(a) else b",
}

SECOND = 1_000_000

FOR_A_WHILE = {
    "a condition that is zero once": "t = READ_TTCLOCK(a) - 100000000\nreturn a if t else step(a)",
    "an interval that begins anew": "t = READ_TTCLOCK(a)\nreturn VALUES_TO_TTTIME(t % 100000000, t + 1)",
    "an interval with a fixed end": "return VALUES_TO_TTTIME(READ_TTCLOCK(a), 100000000)",
    "a deadline that stays": "return TTFinishByOtherwise(\n"
    "        a, TTTimeDeadline=MIN(READ_TTCLOCK(a) + 3, 100000010), TTPlanB=later()\n    )",
}
"""Until second 100 they go with the clock."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("what", PLANNED)
def test_a_plan_of_it_does_the_same(what: str, apart: bool) -> None:
    graph = program(SRC + PLANNED[what], BODIES)
    assert planned(graph, 55) >= {sq.name for sq in graph.sqs if sq.trigger == "arrival"}
    same(graph, until=300, apart=apart)
    same(graph, until=300, slices=5, apart=apart, delay=3)


@pytest.mark.parametrize("what", PLANNED)
@pytest.mark.parametrize("nth", [1, 3, 4, 9])
def test_a_listener_stops_it_in_the_middle(what: str, nth: int) -> None:
    graph = program(SRC + PLANNED[what], BODIES)

    def watch(manager: Any) -> None:
        told: list[Any] = []

        def listen(token: Any) -> None:
            told.append(token)
            if len(told) == nth:
                manager.stop_graph(graph)

        manager.process.outputs.listeners.append(listen)

    same(graph, until=200, watch=watch)


@pytest.mark.parametrize("what", FOR_A_WHILE)
def test_numbers_that_go_with_the_clock_for_a_while_are_no_ticks(what: str) -> None:
    graph = program(f"a = src(trigger, TTPeriod={SECOND})\n{FOR_A_WHILE[what]}", BODIES)
    same(graph, until=110 * SECOND)


def test_samples_on_another_grid_by_hand() -> None:
    graph = program("return RESAMPLE(src(trigger, TTPeriod=10), TTPeriod=4, order=1)", BODIES)
    rows = [json.loads(line) for line in same(graph, until=62).seen[0]]
    # Sample n lies at 10 n; the values between are on the line.
    assert [row["value"] for row in rows] == pytest.approx([tick / 10 for tick in range(12, 60, 4)])
    assert planned(graph, 300) == {"src-1", "RESAMPLE-1"}


def test_a_choice_is_no_call(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    bind = handover.Handover.bind
    monkeypatch.setattr(
        handover.Handover, "bind", lambda self, trace: bind(self, trace) or written.append(trace.code.shown)
    )
    graph = program("a = src(trigger, TTPeriod=10)\nc = step(a) if a % 3 == 0 else -a\nstep(c)")
    same(graph, until=200)
    assert written and not any("run" in text.replace("running", "") for text in written)
    assert any(" if v" in text and " else gone" in text for text in written)
