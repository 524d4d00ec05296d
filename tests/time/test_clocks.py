"""Clocks: a tree of tick counters, converted exactly; erroneous ones are refused."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk import TTClock

ROOT = TTClock.root()
TICKS = st.integers(-(2**80), 2**80)


@st.composite
def clock_trees(draw: st.DrawFn) -> list[TTClock]:
    """The root clock and up to six clocks below it, each after its parent."""
    clocks = [ROOT]
    for index in range(draw(st.integers(0, 6))):
        parent = draw(st.sampled_from(clocks))
        period = draw(st.integers(1, 10) | st.just(10**12))
        clocks.append(TTClock(f"c{index}", parent, period, draw(st.integers(-1000, 1000))))
    return clocks


@st.composite
def two_clocks(draw: st.DrawFn) -> tuple[TTClock, TTClock]:
    clocks = draw(clock_trees())
    return draw(st.sampled_from(clocks)), draw(st.sampled_from(clocks))


@given(two_clocks(), TICKS)
def test_to_the_root_and_back_is_exact(clocks: tuple[TTClock, TTClock], tick: int) -> None:
    clock = clocks[0]
    root_tick = clock.to_root(tick)
    assert type(root_tick) is int
    assert clock.from_root(root_tick) == tick
    assert clock.to_root(tick + 1) - root_tick == clock.root_period


@given(two_clocks(), TICKS)
def test_a_clock_shows_the_last_tick_that_has_begun(clocks: tuple[TTClock, TTClock], root_tick: int) -> None:
    clock = clocks[0]
    shown = clock.from_root(root_tick)
    assert clock.to_root(shown) <= root_tick < clock.to_root(shown + 1)


@given(two_clocks(), TICKS)
def test_going_up_step_by_step_leads_to_the_root_tick(clocks: tuple[TTClock, TTClock], tick: int) -> None:
    by_hand, clock = tick, clocks[0]
    while clock.parent is not None:
        by_hand = clock.epoch + by_hand * clock.period
        clock = clock.parent
    assert clocks[0].to_root(tick) == by_hand == clocks[0].to_ancestor(tick, ROOT)


@given(two_clocks(), st.sampled_from([math.inf, -math.inf]))
def test_infinite_ends_stay_infinite(clocks: tuple[TTClock, TTClock], end: float) -> None:
    clock = clocks[0]
    assert clock.to_root(end) == clock.from_root(end) == clock.to_ancestor(end, ROOT) == end


@given(two_clocks())
def test_two_clocks_meet_on_the_nearest_common_ancestor(clocks: tuple[TTClock, TTClock]) -> None:
    a, b = clocks
    meeting = a.common_ancestor(b)
    shared = [clock for clock in a.ancestors() if clock in b.ancestors()]
    assert meeting in shared
    assert all(clock in meeting.ancestors() for clock in shared), "none of the shared ones is nearer"
    assert meeting == b.common_ancestor(a)


@given(two_clocks())
def test_equal_clocks_are_counted_and_named_alike(clocks: tuple[TTClock, TTClock]) -> None:
    for clock in clocks:
        twin = pickle.loads(pickle.dumps(clock))
        assert twin == clock and hash(twin) == hash(clock)
        assert copy.copy(clock) is copy.deepcopy(clock) is clock
    a, b = clocks
    assert (a == b) == (a.name == b.name)


def test_the_documented_tick() -> None:
    milliseconds = TTClock("ms", ROOT, 1000, 500)
    frames = TTClock("frames", milliseconds, 40, 3)
    assert milliseconds.to_root(0) == 500
    assert milliseconds.to_root(2) == 2500
    assert frames.to_root(0) == 500 + 3 * 1000
    assert frames.to_root(2) == 500 + (3 + 2 * 40) * 1000
    assert frames.to_ancestor(2, milliseconds) == 83
    assert milliseconds.from_root(2499) == 1
    assert milliseconds.from_root(499) == -1


def test_the_root_clock_is_one_and_counts_itself() -> None:
    assert TTClock.root() is ROOT
    assert ROOT.parent is None and ROOT.ancestors() == [ROOT]
    assert ROOT.to_root(7) == 7 == ROOT.from_root(7)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("c", ROOT, 0), ValueError, "period of clock 'c' must be at least 1"),
        (("c", ROOT, -5), ValueError, "must be at least 1"),
        (("c", ROOT, 2.5), ValueError, "period of clock 'c' must be a whole number of ticks, not 2.5"),
        (("c", ROOT, True), ValueError, "whole number"),
        (("c", ROOT, "10"), ValueError, "whole number"),
        (("c", ROOT, math.inf), ValueError, "whole number"),
        (("c", ROOT, math.nan), ValueError, "whole number"),
        (("c", ROOT, 1, 0.5), ValueError, "epoch of clock 'c' must be a whole number of ticks, not 0.5"),
        (("c", ROOT, 1, None), ValueError, "epoch of clock 'c'"),
        (("c", "root", 1, 0), TypeError, "parent of clock 'c' must be a TTClock, not 'root'"),
        (("c", 5), TypeError, "parent of clock 'c'"),
        ((5, ROOT), TypeError, "name must be a string, not 5"),
        (("c", None, 10), ValueError, "needs a parent"),
        (("c", None, 1, 10), ValueError, "needs a parent"),
    ],
)
def test_erroneous_clocks_are_refused(arguments: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TTClock(*arguments)


def test_a_whole_float_is_taken_as_its_int() -> None:
    clock = TTClock("c", ROOT, 1e3, -2.0)
    assert (clock.period, clock.epoch) == (1000, -2)
    assert type(clock.period) is int and type(clock.epoch) is int


def test_clocks_of_two_roots_never_meet() -> None:
    other = TTClock("other", None)
    with pytest.raises(ValueError, match="'c' and 'other' share no root clock"):
        TTClock("c", ROOT, 2).common_ancestor(other)


def test_a_sibling_is_no_ancestor() -> None:
    with pytest.raises(ValueError, match="'b' is no ancestor of clock 'a'"):
        TTClock("a", ROOT, 2).to_ancestor(1, TTClock("b", ROOT, 3))


@pytest.mark.parametrize("attribute", ["name", "parent", "period", "epoch", "root_period", "new"])
def test_a_clock_cannot_be_changed(attribute: str) -> None:
    clock = TTClock("c", ROOT, 2)
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(clock, attribute, 1)
    assert clock == TTClock("c", ROOT, 2)
