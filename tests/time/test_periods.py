"""A period may be a fraction: each instant is rounded by itself, so the average rate is exact.

Against lists of fractions, as Python rounds them.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from ticktalk import Hz, TTRuntimeManagerSim, ms, s, us
from ticktalk.errors import TTSyntaxError
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.time.grid import instant_after, instant_at, last_instant, repeats_after

PERIODS = st.one_of(st.integers(1, 9), st.fractions(1, 9, max_denominator=12))


@given(PERIODS, st.integers(-20, 20), st.integers(-200, 200))
def test_the_instants_are_those_of_a_list(period: Any, phase: int, tick: int) -> None:
    numbers = range(-400, 401)
    instants = [phase + round(number * Fraction(period)) for number in numbers]
    assert instants == [instant_at(number, period, phase) for number in numbers]
    assert instants == sorted(set(instants))
    later = [instant for instant in instants if instant > tick]
    assert instant_after(tick, period, phase) == later[0]
    assert last_instant(tick, period, phase) == numbers[len(instants) - len(later) - 1]


@given(PERIODS, st.integers(-50, 50))
def test_a_phase_can_be_taken_back_by_the_length_of_the_pattern(period: Any, phase: int) -> None:
    length = repeats_after(period)
    known = {instant_at(number, period, phase) for number in range(-900, 901)}
    assert {instant_at(number, period, phase % length) for number in range(-90, 91)} <= known


@pytest.mark.parametrize(
    ("written", "ticks"),
    [
        (s(1), 1_000_000),
        (s(0.1), 100_000),
        (s(Decimal("1.5")), 1_500_000),
        (ms(250), 250_000),
        (ms(2.5), 2_500),
        (us(5), 5),
        (us(Fraction(10, 2)), 5),
        (Hz(50), 20_000),
        (Hz(60), Fraction(50_000, 3)),
        (Hz(59.94), Fraction(100_000_000, 5994)),
        (Hz(0.5), 2_000_000),
    ],
)
def test_durations_as_a_program_writes_them(written: Any, ticks: Any) -> None:
    assert written == ticks and type(written) is type(ticks)


@pytest.mark.parametrize("written", [lambda: us(0.5), lambda: s(1e-7), lambda: Hz(0), lambda: Hz(2e6), lambda: Hz(-1)])
def test_a_text_that_is_no_duration_says_why(written: Any) -> None:
    with pytest.raises(ValueError, match=r"no whole number of microseconds|a rate is above 0"):
        written()


PROGRAM = """
from ticktalk import *
import ticktalk as tt
RATE = Hz(60)
@STREAMify
def src(trigger, TTPeriod=RATE):
    return 1
@SQify
def f(x, width=ms(5), rate=RATE):
    return [x, width, rate]
@GRAPHify
def main(trigger):
    with TTClock("c", TTClock.root(), ms(2), s(3)) as c:
        {body}
"""


def compiled(body: str) -> TTGraph:
    graph = compile_source(PROGRAM.format(body=body), "prog.py", "prog")
    graph.check()
    assert TTGraph.from_json(graph.to_json()) == graph
    return graph


def outputs(body: str, until: int) -> list[tuple[Any, int | None]]:
    with TTRuntimeManagerSim(None, [], simpy.Environment()) as manager:
        tokens: list[Any] = []
        manager.on_output(tokens.append)
        graph = compiled(body)
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph, {"trigger": 1})
        manager.simulation.run(until)
        assert not manager.errors, manager.errors
        return [(token.value, token.arrival) for token in tokens]


def test_a_stream_of_60_hz_has_3600_instants_in_a_minute() -> None:
    found = [arrival for _, arrival in outputs("return src(trigger)", 60_000_001)]
    assert found == [round(k * Fraction(1_000_000, 60)) for k in range(1, 3601)]
    assert found[-1] == 60_000_000


@pytest.mark.parametrize(
    "period",
    ["TTPeriod=ms(10)", "TTPeriod=5, TTClock=c", "TTPeriod=ms(10), TTClock=c", "TTPeriod=ms(20) // 2, TTClock=c"],
)
def test_a_duration_is_the_same_on_every_clock(period: str) -> None:
    sq = compiled(f"return src(trigger, {period})").sq("src-1")
    assert (sq.period, sq.per, sq.phase, sq.width) == (10_000, 1, 0, 5_000)


def test_durations_in_every_place() -> None:
    graph = compiled(
        "return (src(trigger, TTPeriod=2 * ms(5), TTPhase=ms(4), TTClock=c, TTDataIntervalWidth=us(7)),"
        " READ_TTCLOCK(trigger, TTClock=c, delay=s(1)), trigger + s(2), f(trigger, width=ms(1) + us(1), rate=Hz(3)),"
        " RESAMPLE(src(trigger), TTPeriod=tt.Hz(24), TTPhase=ms(1)), SUB(trigger, s(1) - ms(1)))"
    )
    stream, resample = graph.sq("src-1"), graph.sq("RESAMPLE-1")
    assert (stream.every, stream.phase, stream.width) == (10_000, 4_000, 7)
    assert (resample.every, resample.phase, resample.width) == (Fraction(125_000, 3), 1_000, 41_666)
    assert graph.sq("READ_TTCLOCK-1").instruction == {"delay": 500}
    assert graph.sq("ADD-1").ports[1].constant == [2_000_000]
    assert graph.sq("SUB-1").ports[1].constant == [999_000]
    assert graph.sq("f-1").parameters == {"width": 1_001, "rate": {"fraction": [1_000_000, 3]}}
    assert [(clock.period, clock.epoch) for clock in graph.clocks] == [(2_000, 3_000_000)]


def test_a_body_gets_a_duration_as_plain_python_has_it() -> None:
    assert outputs("return f(trigger)", 10) == [([1, 5_000, Fraction(50_000, 3)], 0)]
    assert outputs("return f(trigger, width=ms(3), rate=Hz(100))", 10) == [([1, 3_000, 10_000], 0)]


def test_a_duration_is_an_int_where_annotations_are_checked() -> None:
    source = """
from ticktalk import *
BOTH = [ms(5), s(1)]
@SQify
def k(x: int, d: int = 0) -> int:
    return x + d
@SQify
def last(x: list[int]) -> int:
    return x[-1]
@STREAMify
def src(trigger: int) -> int:
    return 1
@GRAPHify
def inner(a: int, width: int, rate: float):
    return k(a, d=width), k(width), src(a, TTPeriod=rate)
@GRAPHify
def main(trigger: int):
    return inner(trigger, ms(9), Hz(60)), k(ms(5)), k(trigger, d=us(5)), k(max(BOTH)), last(BOTH)
"""
    graph = compile_source(source, "prog.py", "prog")
    assert graph.sq("last-1").ports[0].constant == [[5_000, 1_000_000]]
    assert graph.sq("inner-1/k-2").ports[0].constant == [9_000] and graph.sq("inner-1/src-1").per == 3


@pytest.mark.parametrize("order", [0, 1])
def test_another_rate_by_resample(order: int) -> None:
    # The values are the instants of the samples themselves, so a line gives the instant.
    body = f"return RESAMPLE(READ_TTCLOCK(src(trigger, TTPeriod=ms(10))), TTPeriod=Hz(24), order={order})"
    found = [value for value, _ in outputs(body, 1_000_001)]
    instants = [k for k in (round(k * Fraction(1_000_000, 24)) for k in range(1, 24)) if 10_000 <= k < 1_000_000]
    assert found == [k if order else k // 10_000 * 10_000 for k in instants]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return src(trigger, TTPeriod=1e6 / 60)", "or a rate, such as Hz(60)"),
        ("return src(trigger, TTPeriod=Hz(0))", "a rate is above 0"),
        ("return src(trigger, TTPeriod=us(0))", "TTPeriod must be at least 1, not 0"),
        ("return src(trigger, TTPhase=ms(20))", "TTPhase must be at least 0 and less than TTPeriod"),
        ("return src(trigger, TTPhase=Hz(61))", "TTPhase is a whole number of root ticks"),
        ("return READ_TTCLOCK(trigger, TTClock=c, delay=ms(3))", "a whole number of ticks of clock 'c': 2ms"),
        ("return f(trigger, width=ms(0.0001))", "is no whole number of microseconds"),
        ("return f(ms)", "call it: `ms(...)`"),
    ],
)
def test_mistakes_in_a_duration(body: str, what: str) -> None:
    with pytest.raises(TTSyntaxError) as error:
        compiled(body)
    assert what in str(error.value)


def test_names_of_the_program_go_before_those_of_durations() -> None:
    source = """
from ticktalk import SQify, GRAPHify
@SQify
def s(x):
    return x
@GRAPHify
def main(trigger):
    ms = s(trigger)
    return s(ms)
"""
    graph = compile_source(source, "prog.py", "prog")
    assert [sq.name for sq in graph.sqs] == ["s-1", "s-2"]


def test_python_writes_them_too() -> None:
    assert {"s", "ms", "us", "Hz"} <= set(sys.modules["ticktalk"].__all__)
