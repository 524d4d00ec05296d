"""An ensemble whose root clock is wrong does what a device with such a clock does: its timers go by its clock."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import ticktalk
from ticktalk import TTError
from ticktalk.cli.simulated_run import Simulated
from ticktalk.simulation.clocks import WrongClock

HEAD = """
from ticktalk import *

@STREAMify
def sample(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def same(x):
    return x

@SQify
def late(x):
    return -1

@SQify
def seen(x):
    return firing().late_by

@SQify
def add(x, y):
    return (x, y)
"""

DEPLOYMENT = """
ensembles: [{name: a, clock: CLOCK_A}, {name: b, clock: CLOCK_B}]
links: [{default: {latency: 1ms}}]
"""


def run(folder: Path, body: str, a: str = "{}", b: str = "{}", until: str = "1s", events: str = "") -> Simulated:
    """Run a graph body; SQs that are not under `with A:` are on `b`."""
    graph = ["@GRAPHify", "def graph(trigger):"]
    for line in body.strip().splitlines():
        if not line.startswith(("with", " ")):
            graph.append('    with TTConstraint(name="b"):')
            line = f"    {line}"
        graph.append(f"    {line}")
    program = HEAD + "\n".join(graph).replace("with A:", 'with TTConstraint(name="a"):') + "\n"
    (folder / "program.py").write_text(program)
    (folder / "deployment.yaml").write_text(DEPLOYMENT.replace("CLOCK_A", a).replace("CLOCK_B", b))
    (folder / "events.yaml").write_text(events)
    return ticktalk.simulate(
        folder / "program.py",
        until=until,
        deployment=folder / "deployment.yaml",
        events=folder / "events.yaml" if events else None,
    )


def outputs(done: Simulated) -> list[tuple[Any, Any, Any]]:
    return sorted((token.start, token.stop, token.value) for token in done.outputs)


FROM_A = """
with A:
    x = sample(trigger, TTPeriod=100_000)
"""


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("{}", [101_000, 201_000, 301_000]),
        ("{offset: 3ms}", [104_000, 204_000, 304_000]),
        ("{offset: -3ms}", [98_000, 198_000, 298_000]),
        ("{drift: 100ppm}", [101_010, 201_020, 301_030]),  # 101 ms at 100 in a million: 10.1, 20.1, 30.1 us
        ("{offset: 1us, drift: -20ppm}", [100_998, 200_996, 300_994]),  # 2.02, 4.02, 6.02 us, rounded away from 0
    ],
)
def test_now_on_an_ensemble_is_what_its_clock_shows(tmp_path: Path, clock: str, expected: list[int]) -> None:
    done = run(tmp_path, FROM_A + "return TIME_TOKEN(x)", b=clock, until="350ms")
    assert done.values == expected


@pytest.mark.parametrize(("ahead", "value"), [("8999us", 1), ("9ms", -1)])
def test_data_is_late_when_the_clock_of_the_deadline_is_ahead_by_the_time_to_spare(
    tmp_path: Path, ahead: str, value: int
) -> None:
    """The data come 1 ms after their instant, the deadline is 10 ms after it: 9 ms are to spare."""
    body = (
        "with A:\n    tag, x = sample(trigger, TTPeriod=100_000, TTPhase=50_000)\n"
        "return TTFinishByOtherwise(x, TTTimeDeadline=tag + 10_000, TTPlanB=late(1))"
    )
    done = run(tmp_path, body, b=f"{{offset: {ahead}}}", until="120ms")
    assert done.values == [value]


@pytest.mark.parametrize("offset", ["-250ms", "-1us", "1us", "70ms", "100ms", "250ms"])
def test_a_stream_has_its_instants_whatever_its_clock_shows(tmp_path: Path, offset: str) -> None:
    """Its intervals are those of the grid, and each instant is run: at another time, which shows at no token."""
    body = FROM_A + "y = sample(trigger, TTPeriod=50_000)\nreturn add(x, y)"
    right = run(tmp_path, body)
    wrong = run(tmp_path, body, a=f"{{offset: {offset}}}", until="2s")
    assert len(right.outputs) == 9
    assert outputs(wrong)[:9] == outputs(right)
    assert wrong.counters == right.counters == {}


@pytest.mark.parametrize(
    ("offset", "expected"),
    [("30ms", [71_000, 171_000, 271_000]), ("-30ms", [131_000, 231_000, 331_000]), ("130ms", [1_000, 71_000, 171_000])],
)
def test_a_clock_that_is_ahead_samples_early(tmp_path: Path, offset: str, expected: list[int]) -> None:
    """What would have been before the simulation began comes with its begin."""
    done = run(tmp_path, FROM_A + "return TIME_TOKEN(x)", a=f"{{offset: {offset}}}", until="340ms")
    assert done.values[:3] == expected


def test_an_ensemble_whose_clock_is_behind_begins_later_and_loses_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, FROM_A + "return TIME_TOKEN(x)", b="{offset: -250ms}", until="340ms")
    # The tokens of 100 ms and 200 ms wait until b shows 0, at 250 ms; that of 300 ms comes at 301 ms.
    assert done.values == [0, 0, 51_000]
    assert done.counters == {}


STEPPED = "with A:\n    x = sample(trigger, TTPeriod=100_000)\n    y = TIME_TOKEN(x)\nreturn TIME_TOKEN(y)"


def test_instants_over_which_a_clock_jumps_are_skipped_and_counted(tmp_path: Path) -> None:
    done = run(tmp_path, STEPPED, events="- {at: 220ms, clock: {ensemble: a, step: 330ms}}", until="510ms")
    # At 220 ms it shows 550 ms: 300 and 400 are past; that of 500 begins late, behind its interval's end (525 ms).
    assert done.values == [101_000, 201_000, 221_000, 271_000, 371_000, 471_000]
    assert done.counters["sample-1"] == {"skipped": 2, "late_starts": 1}


def test_a_clock_that_is_set_back_stands_still_until_it_is_right(tmp_path: Path) -> None:
    events = "- {at: 220ms, clock: {ensemble: a, step: -150ms}}\n- {at: 260ms, clock: {ensemble: b, step: -30ms}}"
    body = "with A:\n    x = sample(trigger, TTPeriod=100_000)\ny = sample(trigger, TTPeriod=10_000)\nTIME_TOKEN(y)\n"
    done = run(tmp_path, body + "return TIME_TOKEN(x)", events=events, until="600ms")
    # a shows 300 ms at 450 ms, 400 at 550.
    assert done.counters == {}
    times = [token.value for token in done.outputs if token.sq == "TIME_TOKEN-2"]
    assert times == [101_000, 201_000, 421_000, 521_000]
    assert sorted(token.value for token in done.outputs if token.sq == "TIME_TOKEN-1") == list(
        range(10_000, 570_000, 10_000)
    )


def test_a_clock_that_stands_still_shows_what_it_showed_last(tmp_path: Path) -> None:
    """b shows 250 ms from 250 ms to 400 ms, so the token of 300 ms finds it there, and that of 400 ms 1 ms later."""
    events = "- {at: 250ms, clock: {ensemble: b, step: -150ms}}"
    done = run(tmp_path, FROM_A + "return TIME_TOKEN(x)", events=events, until="420ms")
    assert done.values == [101_000, 201_000, 250_000, 251_000]


def test_clocks_that_are_right_change_nothing(tmp_path: Path) -> None:
    body = (
        "with A:\n    tag, x = sample(trigger, TTPeriod=100_000)\n    z = same(x)\n"
        "y = sample(trigger, TTPeriod=30_000, TTPhase=10_000)\nw = seen(add(z, y))\n"
        "return TTFinishByOtherwise(w, TTTimeDeadline=tag + 20_000, TTPlanB=late(1))"
    )
    none = "- {at: 0s, clock: {ensemble: a, drift: 0}}\n- {at: 0s, clock: {ensemble: b, step: 0s}}"
    without, there = run(tmp_path, body), run(tmp_path, body, events=none)
    assert there.rows() == without.rows()
    assert there.counters == without.counters


def test_a_body_takes_its_time_whatever_its_clock_does_meanwhile(tmp_path: Path) -> None:
    events = "- {at: 0s, cost: {function: same, time: 40ms}}\n- {at: 120ms, clock: {ensemble: b, step: 500ms}}\n"
    done = run(tmp_path, FROM_A + "return same(x)", events=events, until="200ms")
    assert [token.arrival for token in done.outputs] == [101_000 + 40_000 + 1_000]


def test_sqs_go_on_on_an_ensemble_whose_clock_is_wrong(tmp_path: Path) -> None:
    """The instants are those of the grid, on whichever ensemble; those that pass until the loss is noticed are lost."""
    body = 'with TTConstraint(name=["b", "a"]):\n    x = same(sample(trigger, TTPeriod=500_000))\n    return x'
    done = run(tmp_path, body, a="{offset: 20ms}", b="{offset: -20ms}", events="- {at: 3s, fail: a}", until="8s")
    instants = [token.start + 125_000 for token in done.outputs]
    # a shows 3 s before it fails. It is noticed at 5 s, when b shows 4.98 s: the instant of 4.5 s is late, not skipped.
    assert instants == [500_000 * n for n in (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15)]
    assert done.counters["sample-1"] == {"skipped": 2, "late_starts": 1}


@given(
    offset=st.integers(-(10**7), 10**7),
    drift=st.fractions(-1000, 1000, max_denominator=1000),
    step=st.integers(-(10**6), 10**6),
    shown=st.integers(0, 10**8),
)
@example(offset=0, drift=Fraction(0), step=-500_000, shown=900_000)  # shown before it was set back
def test_the_tick_at_which_a_clock_shows_a_time(offset: int, drift: Fraction, step: int, shown: int) -> None:
    clock = WrongClock(5_000, offset, drift)
    clock.set(1_000_000, step, drift)
    tick = clock.when(shown)
    assert clock.read(tick) >= shown
    assert tick == 1_000_000 or clock.read(tick - 1) < shown


def test_mistakes_in_clocks_are_told(tmp_path: Path) -> None:
    with pytest.raises(TTError, match="the clock of 'runtime-manager' is the root clock"):
        run(tmp_path, FROM_A + "return x", b="{}}, {name: runtime-manager, clock: {drift: 3}")
    with pytest.raises(TTError, match=r"deployment.yaml:2: error: `drift: fast`: a drift is .* such as 20ppm"):
        run(tmp_path, FROM_A + "return x", a="{drift: fast}")
    with pytest.raises(TTError, match=r"deployment.yaml:2: error: a clock has no key 'skew'; it has offset, drift"):
        run(tmp_path, FROM_A + "return x", a="{skew: 1ms}")
    with pytest.raises(TTError, match=r"events.yaml:1: error: write `clock: {ensemble: b, step: 3ms, drift: 20ppm}`"):
        run(tmp_path, FROM_A + "return x", events="- {at: 1s, clock: {ensemble: b}}")
    with pytest.raises(TTError, match="clock of 'runtime-manager', the manager's own ensemble, is the root clock"):
        run(tmp_path, FROM_A + "return x", events="- {at: 1s, clock: {ensemble: runtime-manager, step: 1ms}}")
    with pytest.raises(TTError, match=r"events.yaml:1: error: the graph has no function 'smae'; did you mean `same`"):
        run(tmp_path, FROM_A + "return same(x)", events="- {at: 0s, cost: {function: smae, time: 1ms}}")
    with pytest.raises(TTError, match=r"events.yaml:1: error: 'same' has no costs before"):
        run(tmp_path, FROM_A + "return same(x)", events="- {at: 1s, cost: {function: same, time: 1ms}}")
