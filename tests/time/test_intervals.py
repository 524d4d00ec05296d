"""The laws of the interval algebra, on clocks of one tree: a model in plain root ticks stands beside every law."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktalk import TTClock, TTTime

ROOT = TTClock.root()
MS = TTClock("ms", ROOT, 10, 3)
FRAMES = TTClock("frames", MS, 4, -1)
LINES = TTClock("lines", MS, 6, 2)
AUDIO = TTClock("audio", ROOT, 7, 5)
CLOCKS = [ROOT, MS, FRAMES, LINES, AUDIO]


@st.composite
def intervals(draw: st.DrawFn, clock: TTClock | None = None) -> TTTime:
    """Short intervals near zero, so that they often meet; some with open ends, some far beyond float precision."""
    on = clock or draw(st.sampled_from(CLOCKS))
    # At most a few hundred root ticks either way, on any clock.
    reach = max(2, 200 // on.root_period)
    far = draw(st.sampled_from([0, 0, 0, 2**60]))
    start = draw(st.integers(-reach, reach)) + far
    stop = start + draw(st.integers(1, reach))
    ends = draw(st.sampled_from(["closed", "closed", "closed", "from", "until", "both"]))
    return TTTime(on, None if ends in ("until", "both") else start, None if ends in ("from", "both") else stop)


def root_ends(time: TTTime | None) -> tuple[float, float] | None:
    """The model: the same stretch as a pair of root ticks."""
    return None if time is None else (time.clock.to_root(time.start_tick), time.clock.to_root(time.stop_tick))


def meet(a: TTTime | None, b: TTTime | None) -> TTTime | None:
    return None if a is None or b is None else a.intersect(b)


@given(intervals(), intervals())
def test_intersection_is_commutative(a: TTTime, b: TTTime) -> None:
    assert a.intersect(b) == b.intersect(a)


@settings(max_examples=300)
@given(intervals(), intervals(), intervals())
def test_intersection_is_associative(a: TTTime, b: TTTime, c: TTTime) -> None:
    assert meet(meet(a, b), c) == meet(a, meet(b, c))


@given(intervals())
def test_intersection_is_idempotent(a: TTTime) -> None:
    assert a.intersect(a) == a


@given(intervals(), intervals())
def test_intersection_equals_the_intersection_of_root_ticks(a: TTTime, b: TTTime) -> None:
    (a0, a1), (b0, b1) = root_ends(a), root_ends(b)
    expected = (max(a0, b0), min(a1, b1)) if max(a0, b0) < min(a1, b1) else None
    assert root_ends(a.intersect(b)) == expected


@given(intervals(), intervals())
def test_intersection_is_on_the_nearest_common_ancestor(a: TTTime, b: TTTime) -> None:
    common = a.intersect(b)
    if common is not None:
        assert common.clock == a.clock.common_ancestor(b.clock)


@given(st.sampled_from(CLOCKS).flatmap(lambda c: st.tuples(intervals(c), intervals(c))), st.integers(-250, 250))
def test_a_tick_is_in_the_intersection_if_it_is_in_both(pair: tuple[TTTime, TTTime], tick: int) -> None:
    a, b = pair
    common = a.intersect(b)
    assert (common is not None and tick in common) == (tick in a and tick in b)


@given(intervals(), intervals())
def test_overlap_is_symmetric_and_means_a_common_tick(a: TTTime, b: TTTime) -> None:
    assert a.overlaps(b) is b.overlaps(a) is (a.intersect(b) is not None)


@given(intervals())
def test_intervals_that_only_touch_do_not_overlap(a: TTTime) -> None:
    if a.stop_tick != math.inf:
        after = TTTime(a.clock, a.stop_tick, a.stop_tick + 1)
        assert not a.overlaps(after)
        assert a.overlaps(TTTime(a.clock, a.stop_tick - 1, a.stop_tick))


@given(intervals(), intervals())
def test_an_intersection_is_no_wider_than_either(a: TTTime, b: TTTime) -> None:
    common = a.intersect(b)
    if common is not None:
        assert common.width >= 1
        assert common.width <= a.on(common.clock).width
        assert common.width <= b.on(common.clock).width


@given(intervals())
def test_width_counts_the_ticks_of_its_own_clock(a: TTTime) -> None:
    if math.inf in (a.stop_tick, -a.start_tick):
        assert a.width == math.inf
    else:
        assert a.width == a.stop_tick - a.start_tick >= 1
        assert type(a.width) is int
        assert a.on(ROOT).width == a.width * a.clock.root_period
    assert a.is_infinite == (a.start_tick == -math.inf and a.stop_tick == math.inf)


@given(intervals())
def test_the_infinite_interval_takes_nothing_away(a: TTTime) -> None:
    assert a.intersect(TTTime.infinite(a.clock)) == a
    assert root_ends(a.intersect(TTTime.infinite())) == root_ends(a)
    assert TTTime.infinite().intersect(TTTime.infinite()) == TTTime.infinite()


@given(intervals())
def test_an_open_end_leaves_the_other_end(a: TTTime) -> None:
    if a.start_tick != -math.inf:
        assert a.intersect(TTTime(a.clock, None, a.start_tick + 1)) == TTTime(a.clock, a.start_tick, a.start_tick + 1)
        assert a.intersect(TTTime(a.clock, None, a.start_tick)) is None
    if a.stop_tick != math.inf:
        assert a.intersect(TTTime(a.clock, a.stop_tick - 1, None)) == TTTime(a.clock, a.stop_tick - 1, a.stop_tick)
        assert a.intersect(TTTime(a.clock, a.stop_tick, None)) is None


@given(intervals())
def test_an_interval_on_an_ancestor_is_exactly_the_same_stretch(a: TTTime) -> None:
    for clock in a.clock.ancestors():
        same = a.on(clock)
        assert same.clock == clock
        assert root_ends(same) == root_ends(a)
        assert all(isinstance(end, int) or math.isinf(end) for end in (same.start_tick, same.stop_tick))


def test_an_interval_cannot_be_converted_to_a_clock_that_is_no_ancestor() -> None:
    with pytest.raises(ValueError, match="'frames' is no ancestor of clock 'ms'"):
        TTTime(MS, 0, 1).on(FRAMES)


def test_several_clocks_by_hand() -> None:
    # frames: 4 ms each from ms -1; lines: 6 ms each from ms 2.
    frame, line = TTTime(FRAMES, 1, 3), TTTime(LINES, 0, 1)
    assert frame.on(MS) == TTTime(MS, 3, 11)
    assert line.on(MS) == TTTime(MS, 2, 8)
    assert frame.intersect(line) == TTTime(MS, 3, 8)
    # ms: 10 root ticks each from root 3; audio: 7 each from 5. They meet on the root clock only.
    assert frame.intersect(TTTime(AUDIO, 5, 6)) == TTTime(ROOT, 40, 47)


@given(intervals(), st.integers(-(10**30), 10**30))
def test_a_shift_moves_both_ends_and_can_be_undone(a: TTTime, ticks: int) -> None:
    moved = a.shifted(ticks)
    assert moved.width == a.width and moved.clock == a.clock
    assert moved.start_tick == a.start_tick + ticks
    assert moved.shifted(-ticks) == a


@given(intervals(), intervals())
def test_equal_means_same_clock_and_ends(a: TTTime, b: TTTime) -> None:
    assert (a == b) == ((a.clock, a.start_tick, a.stop_tick) == (b.clock, b.start_tick, b.stop_tick))
    twin = pickle.loads(pickle.dumps(a))
    assert twin == a and hash(twin) == hash(a)
    assert copy.deepcopy(a) is copy.copy(a) is a


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 0),
        (5, 4),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (math.inf, -math.inf),
        (math.inf, None),
        (None, -math.inf),
        (0.5, 2),
        (0, 2.5),
        (math.nan, 1),
        (0, math.nan),
        ("0", 1),
        (False, True),
    ],
)
def test_erroneous_intervals_are_refused(start: object, stop: object) -> None:
    with pytest.raises(ValueError):
        TTTime(ROOT, start, stop)


def test_the_first_argument_is_a_clock() -> None:
    with pytest.raises(TypeError, match="first argument is its clock"):
        TTTime(0, 1, 2)


def test_whole_floats_become_ints_and_none_is_an_open_end() -> None:
    time = TTTime(ROOT, 1e6, 2.0e6)
    assert type(time.start_tick) is int and (time.start_tick, time.stop_tick) == (1_000_000, 2_000_000)
    assert TTTime(ROOT, None, None) == TTTime(ROOT, -math.inf, math.inf) == TTTime.infinite()


@pytest.mark.parametrize("attribute", ["clock", "start_tick", "stop_tick", "new"])
def test_an_interval_cannot_be_changed(attribute: str) -> None:
    time = TTTime(ROOT, 1, 2)
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(time, attribute, 0)
    assert time == TTTime(ROOT, 1, 2)
