"""The root clock and its discipline, given their stamps by hand."""

from __future__ import annotations

import random

import pytest

from ticktalk.physical.timekeeping.root_clock import (
    SAMPLES,
    SLEW_PPM,
    STEP_LIMIT,
    ClockDiscipline,
    Exchange,
    RootClock,
    monotonic_us,
)


def exchange(offset: int, there: int = 100, back: int = 100, at: int = 1_000_000) -> Exchange:
    """An exchange with a manager whose clock is `offset` ahead, over ways of these lengths."""
    received = at + there + offset
    return Exchange(at, received, received + 5, at + there + 5 + back)


def test_the_clock_maps_both_ways() -> None:
    clock = RootClock()
    for monotonic in (0, 1, 123_456_789, monotonic_us()):
        assert clock.monotonic(clock.at(monotonic)) == monotonic


def test_the_clock_never_goes_back_by_itself() -> None:
    clock = RootClock()
    seen = [clock.now() for _ in range(10_000)]
    assert seen == sorted(seen)
    clock.slew(-50_000)
    before = clock.now()
    clock.tend(monotonic_us() + 100_000_000)  # 100 s are tended at once: all of the slew is due
    assert clock.now() >= before


@pytest.mark.parametrize("by", [-3_600_000_000, -1, 0, 1, 3_600_000_000])
def test_a_step_shows_at_once(by: int) -> None:
    clock = RootClock()
    before = clock.now()
    clock.step(by)
    after = clock.now()
    assert by <= after - before < by + 1_000_000


def test_a_step_ends_a_slew() -> None:
    clock = RootClock()
    offset = clock.offset
    clock.slew(1_000_000)
    clock.step(10)
    clock.tend(monotonic_us() + 10_000_000)
    assert clock.offset == offset + 10


@pytest.mark.parametrize("by", [-2_000, 2_000])
def test_a_slew_is_made_little_by_little(by: int) -> None:
    clock = RootClock()
    offset, now = clock.offset, monotonic_us()
    clock.tend(now)
    clock.slew(by)
    for second in range(1, 4):
        clock.tend(now + second * 1_000_000)
        moved = abs(clock.offset - offset)
        assert moved == SLEW_PPM * second
    for second in range(4, 20):
        clock.tend(now + second * 1_000_000)
    assert clock.offset == offset + by  # all of it, and no more


def test_an_exchange_tells_offset_and_round_trip() -> None:
    made = exchange(12_345, there=300, back=300)
    assert (made.offset, made.round_trip) == (12_345, 600)
    uneven = exchange(12_345, there=900, back=100)
    assert abs(uneven.offset - 12_345) <= uneven.round_trip // 2


def test_a_following_clock_steps_first_and_slews_afterwards() -> None:
    discipline = ClockDiscipline()
    assert discipline.take(exchange(5_000_000)) == ("step", 5_000_000)
    assert discipline.take(exchange(3)) == ("nothing", 0)
    assert discipline.take(exchange(800, there=90, back=90)) == ("slew", 800)
    assert discipline.take(exchange(-800)) == ("slew", -800)


def test_a_clock_that_is_far_off_is_stepped_again() -> None:
    discipline = ClockDiscipline()
    discipline.take(exchange(0))
    assert discipline.take(exchange(STEP_LIMIT + 1)) == ("step", STEP_LIMIT + 1)
    assert discipline.take(exchange(-STEP_LIMIT - 1)) == ("step", -STEP_LIMIT - 1)
    assert discipline.take(exchange(STEP_LIMIT))[0] == "slew"


def test_an_exchange_that_was_long_under_way_steps_no_clock() -> None:
    """Its question was held up in a cut for two seconds, its answer came at once: the clock is right."""
    discipline = ClockDiscipline()
    discipline.take(exchange(0))
    held_up = Exchange(10_000_000, 12_100_000, 12_100_000, 12_101_000)
    assert held_up.offset > STEP_LIMIT
    assert discipline.take(held_up)[0] != "step"


def test_an_offset_that_was_stepped_away_is_no_offset_any_more() -> None:
    discipline = ClockDiscipline()
    assert discipline.take(exchange(5_000_000)) == ("step", 5_000_000)
    assert discipline.offset == 0


def test_a_watching_clock_is_not_corrected() -> None:
    discipline = ClockDiscipline(follow=False)
    for offset in (10, 5_000_000, -5_000_000):
        assert discipline.take(exchange(offset)) == ("nothing", 0)
    assert discipline.uncertainty == 100


def test_the_exchange_with_the_shortest_round_trip_counts() -> None:
    discipline = ClockDiscipline(follow=False)
    discipline.take(exchange(40, there=50, back=50))
    for _ in range(SAMPLES - 1):
        discipline.take(exchange(9_000, there=20_000, back=1_000))
    assert (discipline.offset, discipline.uncertainty) == (40, 50)
    discipline.take(exchange(9_000, there=20_000, back=1_000))  # the good one is forgotten by now
    assert discipline.offset != 40


@pytest.mark.parametrize("drift_ppm", [-100, 0, 100])
def test_a_drifting_clock_is_kept_within_the_network_s_jitter(drift_ppm: int) -> None:
    """Two clocks, one with a drift, exchanges every half second over an uneven network: the error stays small."""
    chance = random.Random(7)
    discipline, slew_left, error = ClockDiscipline(), 0, 250_000.0
    worst = 0.0
    for round in range(600):
        there, back = chance.randint(100, 3_000), chance.randint(100, 3_000)
        at = round * 500_000
        received = int(at + there + error)
        what, by = discipline.take(Exchange(at, received, received, at + there + back))
        if what == "step":
            error -= by
            slew_left = 0
        elif what == "slew":
            slew_left = by
        part = max(-250, min(250, slew_left))  # half a second at SLEW_PPM
        slew_left -= part
        error += drift_ppm * 0.5 - part
        if round > 200:
            worst = max(worst, abs(error))
    assert worst < 2_000  # half of the longest round trip, and the drift meanwhile
