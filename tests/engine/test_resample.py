"""RESAMPLE computes as Python's numbers do, whatever its samples are, and makes up nothing in a long gap."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktalk.instructions import INSTRUCTIONS, Results, Setting
from ticktalk.language.compiler import compile_source
from ticktalk.runtime_manager import TTRuntimeManagerSim

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64"]
LONG = 30_000_000
"""The longest distance of two samples that is filled: half precision does not even hold it."""


class Resampled:
    """RESAMPLE by itself: the values that it sends, and what it counts."""

    def __init__(self, period: int, **parameters: Any) -> None:
        self.counted: list[str] = []
        parameters = {"order": 1, **parameters}
        self._setting = Setting(parameters.get, grid=(period, 0, period), state={}, tally=self.counted.append)

    def take(self, centre: int, value: Any) -> Results:
        sent: Results = INSTRUCTIONS["RESAMPLE"].compute(self._setting, (centre - 10, centre + 10, value))
        return sent

    def values(self, *samples: tuple[int, Any]) -> list[Any]:
        return [value for sample in samples for value, _, _ in self.take(*sample)]


def between(first: Any, last: Any, parts: int, distance: int = LONG) -> list[Any]:
    """The values at so many instants of equal distance, from the first sample on."""
    return Resampled(distance // parts).values((0, first), (distance, last))


def check_line(found: list[Any], first: Any, last: Any) -> None:
    """The values are those of exact arithmetic, rounded to double precision."""
    a, b = Fraction(first), Fraction(last)
    for number, value in enumerate(found):
        exact = a + (b - a) * number / len(found)
        assert abs(Fraction(value) - exact) <= max(abs(a), abs(b)) / 2**50, (number, value)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(INTEGERS), parts=st.sampled_from([1, 2, 3, 8, 40]))
def test_integers_do_not_wrap_around(data: st.DataObject, kind: str, parts: int) -> None:
    limits = np.iinfo(kind)
    first, last = (data.draw(st.integers(int(limits.min), int(limits.max))) for _ in range(2))
    scalars = between(np.dtype(kind).type(first), np.dtype(kind).type(last), parts)
    assert scalars == between(first, last, parts)
    assert {type(value) for value in scalars} == {float}
    check_line(scalars, first, last)
    arrays = between(np.full((2, 3), first, kind), np.full((2, 3), last, kind), parts)
    assert all(array.dtype == np.float64 and array.shape == (2, 3) for array in arrays)
    check_line([array[1, 2] for array in arrays], first, last)


@settings(max_examples=60)
@given(data=st.data(), kind=st.sampled_from(FLOATS), parts=st.sampled_from([1, 2, 3, 8, 40]))
def test_short_floats_are_computed_in_double_precision(data: st.DataObject, kind: str, parts: int) -> None:
    bits = 8 * np.dtype(kind).itemsize
    first, last = (data.draw(st.floats(-6e4, 6e4, width=bits, allow_subnormal=False)) for _ in range(2))
    plain = between(first, last, parts)
    scalars = between(np.dtype(kind).type(first), np.dtype(kind).type(last), parts)
    assert scalars == plain and {type(value) for value in scalars} == {float}
    check_line(plain, first, last)
    arrays = between(np.array([first], kind), np.array([last], kind), parts)
    assert [array[0] for array in arrays] == plain  # element by element what Python computes
    assert all(array.dtype == np.float64 for array in arrays)


DAY = datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("first", "last", "middle"),
    [
        (True, False, 0.5),
        (np.True_, np.False_, 0.5),
        (10**400, 10**400 + 2, OverflowError),
        (2**70, 2**70 + 2**40, 2.0**70 + 2.0**39),
        (np.longdouble(1), np.longdouble(2), np.longdouble(1.5)),
        (1j, 3j, 2j),
        (np.complex64(1j), np.complex64(3j), 2j),
        (Fraction(1, 3), Fraction(2, 3), Fraction(1, 2)),
        (Decimal("0.1"), Decimal("0.3"), Decimal("0.2")),
        (DAY, DAY + timedelta(days=2), DAY + timedelta(days=1)),
        (np.datetime64("2024-02-29", "ns"), np.datetime64("2024-08-29", "ns"), np.datetime64("2024-05-30", "ns")),
        (np.timedelta64(10**15, "us"), np.timedelta64(3 * 10**15, "us"), np.timedelta64(2 * 10**15, "us")),
        (np.uint8(200), 100, 150.0),
        (np.uint8(200), Fraction(100), Fraction(150)),
        ("a", "b", TypeError),
        ([1], [2], TypeError),
        (np.zeros(2), np.zeros(3), ValueError),
    ],
    ids=repr,
)
def test_other_values_are_computed_by_their_own_operators(first: Any, last: Any, middle: Any) -> None:
    if isinstance(middle, type):
        with pytest.raises(middle):
            between(first, last, 2)
        return
    found = between(first, last, 2)[1]
    assert found == middle and type(found) is type(middle)


@pytest.mark.parametrize(
    ("first", "last", "middle"),
    [
        (np.array([True]), np.array([False]), np.array([0.5])),
        (np.array([200, 1], "u1"), np.array([100, 2], "u1"), np.array([150.0, 1.5])),
        (np.array([1j], "c8"), np.array([3j], "c8"), np.array([2j])),
        (np.array([10**30], object), np.array([3 * 10**30], object), np.array([2e30], object)),
        (np.array([0], "m8[s]"), np.array([10**12], "m8[s]"), np.array([5 * 10**11], "m8[s]")),
        (pd.Series([200], dtype="u1"), pd.Series([100], dtype="u1"), pd.Series([150.0])),
    ],
    ids=["bool", "uint8", "complex64", "object", "timedelta", "series"],
)
def test_arrays_of_any_kind(first: Any, last: Any, middle: Any) -> None:
    found = between(first, last, 2)[1]
    assert type(found) is type(middle) and found.dtype == middle.dtype
    assert list(found) == list(middle)


INFINITE = [(1, math.inf), (math.inf, 1), (2.5, math.nan), (-math.inf, math.inf)]


@pytest.mark.parametrize(("first", "last"), INFINITE, ids=repr)
def test_at_a_sample_its_value_is_given_whatever_the_next_one_is(first: Any, last: Any) -> None:
    (found,) = between(first, last, 1)
    assert found == first and type(found) is type(first + last)
    (found,) = between(np.array([first, 3.0]), np.array([last, 4.0]), 1)
    assert found.tolist() == [first, 3.0] and type(found) is np.ndarray


def test_the_mask_of_the_next_sample_begins_after_this_one() -> None:
    first, last = (np.ma.masked_array([1.0, 2.0], mask) for mask in ([False, True], [True, False]))
    assert [each.mask.tolist() for each in between(first, last, 2)] == [[False, True], [True, True]]


def test_a_masked_array_stays_masked() -> None:
    first, last = (np.ma.masked_array([x, 0], [False, True], "u1") for x in (200, 100))
    found = between(first, last, 2)[1]
    assert found.mask.tolist() == [False, True] and found[0] == 150.0


def test_samples_are_made_one_by_one() -> None:
    """However many there are between two: nothing is computed before it is wanted."""
    resampled = Resampled(1)
    assert not list(resampled.take(0, 5))
    sent = resampled.take(LONG, 8)
    assert list(islice(sent, 3)) == [(5.0, 0, 1), (5.0000001, 1, 2), (5.0000002, 2, 3)]


@settings(max_examples=30)
@given(
    steps=st.lists(st.integers(0, 2 * LONG) | st.integers(0, 10**15), min_size=1, max_size=8),
    bound=st.sampled_from([None, 7, LONG]),
    order=st.sampled_from([0, 1]),
)
def test_a_pair_too_far_apart_gives_nothing_and_is_counted(steps: list[int], bound: int | None, order: int) -> None:
    resampled = Resampled(10_000_000, TTMaxGap=bound, order=order)
    at = 0
    assert not list(resampled.take(0, 0))
    gaps = 0
    for step in steps:
        filled = step <= (LONG if bound is None else bound)
        gaps += not filled
        found = [start + 5_000_000 for _, start, _ in resampled.take(at + step, 1)]
        # The instants in [one sample, the next), counted by hand.
        instants = [n * 10_000_000 for n in range(-(-at // 10_000_000), -(-(at + step) // 10_000_000))]
        assert found == (instants if filled else [])
        at += step
    assert resampled.counted == ["gaps"] * gaps


def test_a_sample_before_the_last_one_is_counted() -> None:
    resampled = Resampled(10)
    assert resampled.values((100, 1), (90, 2), (110, 2)) == [1.0]
    assert resampled.counted == ["out_of_order"]


PROGRAM = """
from ticktalk import *
@STREAMify
def at(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", -1) + 1
    return [0, 1, 5, 7][n] if n < 4 else TTEmpty()
@SQify
def stamped(second, TTExecuteOnFullToken=True):
    middle = second.value * 1_000_000
    return TTToken(second.value, TTTime(second.time.clock, middle - 10, middle + 10))
@GRAPHify
def main(trigger):
    with TTClock("ms", TTClock.root(), 1000, 0) as ms:
        return RESAMPLE(stamped(at(trigger, TTPeriod=10)), TTClock=ms, TTPeriod=500, order=1{setting})
"""


@pytest.mark.parametrize(
    ("setting", "values", "gaps"),
    [
        ("", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5], {}),
        (", TTMaxGap=4000", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5], {}),
        (", TTMaxGap=3999", [0.0, 0.5, 5.0, 5.5, 6.0, 6.5], {"gaps": 1}),
        (", TTMaxGap=1000", [0.0, 0.5], {"gaps": 2}),
    ],
)
def test_a_program_sets_the_gap_in_ticks_of_its_clock(setting: str, values: list[float], gaps: dict[str, int]) -> None:
    environment = simpy.Environment()
    found: list[Any] = []
    with TTRuntimeManagerSim(None, [], environment) as manager:
        manager.instantiate_and_map_graph(compile_source(PROGRAM.format(setting=setting), "prog.py", "prog"))
        manager.on_output(lambda token: found.append(token.value))
        manager.execute_graph("prog")
        environment.run(until=200)
        assert found == values
        assert manager.counters("prog").get("RESAMPLE-1", {}) == gaps
