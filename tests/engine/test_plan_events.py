"""What happens in the middle of a planned period, against the general engine and by hand."""

from __future__ import annotations

import gc
import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

import pytest
import simpy
from test_plans import at_once, planned, program, run, same

from ticktalk import TTRuntimeManagerSim
from ticktalk.accelerate import loops
from ticktalk.accelerate.periods import Plan
from ticktalk.hosted.body_output import BodyOutput

BOTH = "both = MERGE(src(trigger, TTPeriod=10), other(trigger, TTPeriod=15, TTPhase=4))\n"
"""Tokens of the general engine: 10 at 4, 1 at 10, 10 at 19, 2 at 20, 3 at 30, 10 at 34."""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


def shown(seen: tuple[Any, ...]) -> list[str]:
    """The prints of bodies: `show-1: 5`."""
    out, _, err = seen[1].partition("|")
    assert not out
    return [line.replace("[", "").replace("] shows", ":") for line in err.splitlines()]


def told(nth: int, which: str, act: Callable[[TTRuntimeManagerSim], None]) -> Callable[[TTRuntimeManagerSim], None]:
    """A `watch` that acts when it is told the `nth` output, or error."""

    def watch(manager: TTRuntimeManagerSim) -> None:
        seen: list[Any] = []

        def listen(what: Any) -> None:
            seen.append(what)
            if len(seen) == nth:
                act(manager)

        if which == "output":
            manager.process.outputs.listeners.append(listen)
        else:
            manager.on_error(listen)

    return watch


IN_THE_MIDDLE = {
    "output": "r = show(both)\nx = show(step(step(r)))\n",
    "error": "r = step(both)\nbad = fail(r)\nx = show(step(step(r)))\n",
}


@pytest.mark.parametrize("which", IN_THE_MIDDLE)
def test_a_context_that_starts_in_the_middle_has_its_turns_there(which: str) -> None:
    graph = program(BOTH + IN_THE_MIDDLE[which] + "begun = show(step(show(READ_TTCLOCK(trigger))))\nreturn r")
    assert planned(graph, 300) >= {"MERGE-1", "show-1"}
    start = told(2 if which == "output" else 1, which, lambda manager: manager.execute_graph(graph, {}))
    printed = shown(same(graph, until=35, watch=start).seen)
    # The newcomer has its turns between the firing that told the listener, and the rest of the plan.
    if which == "output":
        assert printed[2:6] == ["show-1: 10", "show-3: 4", "show-4: 5", "show-2: 12"]
    else:
        assert printed[4:8] == ["show-1: 13", "show-2: 20", "show-3: 21", "show-1: 5"]


@pytest.mark.parametrize("which", IN_THE_MIDDLE)
def test_a_listener_that_ends_the_context_ends_the_plan(which: str) -> None:
    graph = program(BOTH + IN_THE_MIDDLE[which] + "return r")
    assert planned(graph, 300) >= {"MERGE-1", "show-1"}
    seen = same(graph, watch=told(3 if which == "output" else 1, which, lambda manager: manager.stop_graph(graph))).seen
    expected = {
        "output": ["show-1: 10", "show-2: 12", "show-1: 1"],  # r and x at 4, r at 10
        "error": ["show-1: 13", "show-1: 4", "show-1: 13"],  # x at 4, 10 and 19
    }
    assert shown(seen) == expected[which]


def test_interrupted_from_the_keyboard_in_the_middle() -> None:
    stop = "signal.default_int_handler(2, None)"
    more = f"import signal\n@SQify\ndef interrupted(x):\n    if x == 2:\n        {stop}\n    return x\n"
    graph = program(BOTH + "between = interrupted(show(both))\nreturn step(between)", more)
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    values: list[int] = []
    manager.process.outputs.listeners.append(lambda token: values.append(token.value))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {})
    with pytest.raises(KeyboardInterrupt), redirect_stdout(io.StringIO()):
        manager.simulation.run(25)
    assert values == [11, 2, 11]  # at 20 it was interrupted


def test_an_interrupt_that_a_body_raises_is_an_error_of_its_firing() -> None:
    more = "@SQify\ndef interrupted(x):\n    if x == 2:\n        raise KeyboardInterrupt('no')\n    return x\n"
    graph = program("return step(interrupted(src(trigger, TTPeriod=10)))", more)
    assert "interrupted-1" in planned(graph, 300)
    outputs, _, errors, *_ = same(graph, until=65).seen
    assert [json.loads(line)["value"] for line in outputs] == [2, 4, 5, 6, 7]
    assert [error.exception for error in errors] == ["KeyboardInterrupt: no"]


class Flushed(io.StringIO):
    """Counts how often it was flushed."""

    times = 0

    def flush(self) -> None:
        self.times += 1


AFTER = {
    "from a firing": BOTH + "never(step(both))",
    "from a firing, left in the middle": BOTH + "r = step(both)\nnever(r)\nreturn r",
    "from an instant": "never(src(trigger, TTPeriod=10))",
    "in turns": "a = src(trigger, TTPeriod=10)\nlate = VALUES_TO_TTTIME(a, a + 100)\nnever(step(step(a)))",
}


@pytest.mark.parametrize("what", AFTER)
def test_no_sq_is_said_to_run_afterwards(what: str) -> None:
    graph = program(AFTER[what], "@SQify\ndef never(x):\n    return TTEmpty()\n")
    assert ("never-1" in planned(graph, 300)) == (what != "in turns")
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.instantiate_and_map_graph(graph)
    if "left" in what:
        manager.process.outputs.listeners.append(lambda _: manager.stop_graph(graph))
    manager.execute_graph(graph, {})
    out, err = Flushed(), Flushed()
    with BodyOutput(out, err):
        manager.simulation.run(31)
        before = out.times, err.times
        sys.stdout.flush()
    assert (out.times, err.times) == (before[0] + 1, before[1])


MIDDLE = {
    "an output": ("first = show(both)\nx = show(step(first))\nreturn first", ""),
    "an error": ("r = step(both)\nbad = fail(r)\nx = show(step(r))\nreturn x", ""),
    "a copy": (
        "both2 = listed(show(both))\nfirst = told(both2)\nreturn first",
        "@SQify\ndef listed(x):\n    return [x]\n\n@SQify\ndef told(x):\n    print('shows', x[0])\n    return x[0]\n",
    ),
}


@pytest.mark.parametrize("what", MIDDLE)
def test_prints_after_a_listener_was_called_are_still_those_of_bodies(what: str) -> None:
    body, more = MIDDLE[what]
    graph = program(BOTH + body, more)
    assert planned(graph, 300)
    assert shown(same(graph, until=25).seen)


def test_a_listener_in_the_middle_prints_outside_bodies() -> None:
    graph = program(BOTH + "r = step(both)\nx = show(r)\nreturn r")

    def watch(manager: TTRuntimeManagerSim) -> None:
        manager.process.outputs.listeners.append(lambda token: print("told", token.value))

    out, _, err = same(graph, until=12, watch=watch).seen[1].partition("|")
    assert out.splitlines() == ["told 11", "told 11", "told 2", "told 2"]
    assert err.splitlines() == ["[show-1] shows 11", "[show-1] shows 2"]


def test_sqs_of_several_ways_have_their_turns_in_order() -> None:
    graph = program(BOTH + "r = show(both)\na = step(r)\no = show(fuse(r, r))\nc = show(step(step(a)))\nreturn c")
    assert planned(graph, 300) >= {"show-1", "step-1", "fuse-1", "show-2", "step-2", "step-3", "show-3"}
    assert shown(same(graph, until=5).seen) == ["show-1: 10", "show-2: (10, 10, 10)", "show-3: 13"]
    same(graph, until=300)


def test_two_ways_behind_one_sq_have_their_turns_by_rank() -> None:
    graph = program(BOTH + "a = show(step(show(both)))\nb = show(step(show(both)))\nreturn a")
    assert planned(graph, 300) >= {"show-1", "step-1", "show-2", "show-3", "step-2", "show-4"}
    assert shown(same(graph, until=6).seen) == ["show-1: 10", "show-3: 10", "show-2: 11", "show-4: 11"]


def test_a_rate_that_is_no_whole_number_of_ticks_repeats_too() -> None:
    graph = program(
        "a = src(trigger, TTPeriod=Hz(60), TTDataIntervalWidth=9000)\nb = other(trigger, TTPeriod=Hz(30))\n"
        "with TTConstraint(name='there'):\n    c = fuse(a, b)\nreturn c"
    )
    seen = same(graph, until=1_000_000, delay=700).seen
    assert len(seen[0]) == 29  # the 30th is under way at the end


def test_an_output_that_could_be_changed_is_told_once() -> None:
    more = "@SQify\ndef kept(x):\n    global sq_state\n    kept = sq_state.setdefault('kept', [])\n"
    more += "    kept.append(x)\n    return kept\n\n@SQify\ndef take(xs):\n    xs.append(0)\n    return len(xs)\n"
    graph = program("k = kept(src(trigger, TTPeriod=10))\nn = take(k)\nreturn k", more)
    assert planned(graph, 300) >= {"kept-1", "take-1"}
    assert len(same(graph, until=75).seen[0]) == 14


def test_a_program_that_departs_often_is_looked_at_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "LONGEST_WAIT", 1 << 16)
    made: list[int] = []

    def plan(*what: Any) -> Plan:
        made.append(1)
        return Plan(*what)

    monkeypatch.setattr(loops, "Plan", plan)
    odd = "@SQify\ndef odd(x):\n    if x % 2:\n        raise ValueError(x)\n    return x\n"
    graph = program("return odd(src(trigger, TTPeriod=10))", odd)
    run(graph, True, until=40_000)
    assert 1 < len(made) < 15


def test_a_body_that_asks_for_its_firing_is_in_the_plan() -> None:
    told = "[it.interval.start_tick, it.instant, it.late_by, it.deadline]"
    more = f"@SQify\ndef ask(x):\n    it = firing()\n    return {told}\n"
    graph = program("x = ask(step(src(trigger, TTPeriod=10, TTDataIntervalWidth=6)))\nreturn x", more)
    assert planned(graph, 300) == {"src-1", "step-1", "ask-1"}
    outputs = [json.loads(line) for line in same(graph, until=100).seen[0]]
    assert [output["value"] for output in outputs] == [[10 * n - 3, 10 * n, 0, None] for n in range(1, 10)]


@pytest.mark.parametrize("settles", [True, False])
def test_while_a_plan_is_found_the_collector_of_garbage_is_left_out(
    settles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go through all that is made again and again: a third of the time of long graphs."""
    enabled: list[bool] = []

    def plan(*what: Any) -> Plan:
        enabled.append(gc.isenabled())
        return Plan(*what)

    monkeypatch.setattr(loops, "Plan", plan)
    late = "" if settles else "x = COPY_TTTIME(x, VALUES_TO_TTTIME(x, x + 9))\n"
    graph = program(f"x = step(src(trigger, TTPeriod=10))\n{late}return x")
    assert bool(planned(graph, 300)) == settles
    assert enabled and not any(enabled) and gc.isenabled()
