"""Matching against brute force: every combination of waiting tokens is tried, infinite intervals and ties included."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.firing.arrival import ArrivalSync
from ticktalk.engine.matching import Port, Waiting, best_set
from ticktalk.graph.sq import TTSQ, TTPort

INF = math.inf

STARTS = st.integers(-6, 6) | st.just(-INF)
STOPS = st.integers(-5, 8) | st.just(INF)


@st.composite
def spans(draw: st.DrawFn) -> tuple[float, float]:
    start = draw(STARTS)
    return start, draw(STOPS.filter(lambda stop: stop > start))


@st.composite
def questions(draw: st.DrawFn) -> tuple[float, float, list[list[Waiting]]]:
    """A token's interval, and for up to four other ports the tokens that overlap it, by start, then arrival."""
    start, stop = draw(spans())
    numbers = iter(draw(st.permutations(range(24))))
    ports = []
    for _ in range(draw(st.integers(1, 4))):
        tokens = [(a, next(numbers), b, f"{a}..{b}") for a, b in draw(st.lists(spans(), max_size=5))]
        ports.append(sorted(token for token in tokens if token[0] < stop and token[2] > start))
    return start, stop, ports


def brute_force(start: float, stop: float, ports: list[list[Waiting]]) -> list[Waiting] | None:
    best = None
    for chosen in itertools.product(*ports):
        begin = max(start, *(token[0] for token in chosen))
        end = min(stop, *(token[2] for token in chosen))
        if end > begin:
            rank = (-(end - begin), [(token[0], token[1]) for token in chosen])
            if best is None or rank < best[0]:
                best = (rank, list(chosen))
    return None if best is None else best[1]


@settings(max_examples=500)
@given(questions())
@example((0, 10, [[(-5, 1, 5, "a"), (0, 2, 5, "b"), (0, 3, 5, "c")]]))
@example((-INF, INF, [[(-INF, 2, INF, "a"), (0, 1, INF, "b")], [(-INF, 3, 5, "c"), (4, 4, INF, "d")]]))
@example((0, 10, [[(0, 1, 4, "a"), (6, 2, 10, "b")], [(0, 3, 4, "c"), (6, 4, 10, "d")]]))
@example((0, 10, [[(0, 1, 4, "a")], [(4, 2, 10, "b")]]))
def test_the_best_set_is_that_of_brute_force(question: tuple[float, float, list[list[Waiting]]]) -> None:
    assert best_set(*question) == brute_force(*question)


@pytest.mark.parametrize(
    ("start", "stop", "ports", "chosen"),
    [
        # The widest common overlap wins, even against an earlier start.
        (0, 10, [[(-9, 1, 4, "early"), (3, 2, 9, "wide")]], ["wide"]),
        # Equally wide: the earlier start.
        (0, 10, [[(1, 2, 4, "first"), (5, 1, 8, "second")]], ["first"]),
        # Equally wide and equal starts (one ends later, where it does not count): the earlier arrival.
        (0, 5, [[(1, 7, 9, "later"), (1, 4, 8, "sooner")]], ["sooner"]),
        # Ties are settled port by port, not by the sum.
        (
            0,
            10,
            [[(0, 1, 3, "a0"), (5, 2, 8, "a1")], [(-4, 3, 3, "b0"), (-5, 4, 8, "b1")]],
            ["a0", "b1"],
        ),
        # A port's widest token alone is not part of the widest set.
        (0, 20, [[(0, 1, 12, "a0"), (11, 2, 20, "a1")], [(11, 3, 19, "b0")]], ["a1", "b0"]),
        # Both overlap the token, but not each other.
        (0, 10, [[(0, 1, 5, "a")], [(5, 2, 10, "b")]], None),
        # Infinitely wide sets are equally wide.
        (-INF, INF, [[(3, 1, INF, "later"), (-INF, 2, 0, "sooner")]], ["sooner"]),
        (-INF, INF, [[(3, 1, 1000, "wide"), (4, 2, INF, "infinite")]], ["infinite"]),
        (0, 10, [[]], None),
        (0, 10, [[(0, 1, 5, "a")], []], None),
    ],
)
def test_the_set_with_the_widest_overlap_is_chosen_or_none(
    start: float, stop: float, ports: list[list[Waiting]], chosen: list[str] | None
) -> None:
    found = best_set(start, stop, [sorted(port) for port in ports])
    assert (None if found is None else [token[3] for token in found]) == chosen


def test_many_ports_with_many_tokens_take_polynomial_time() -> None:
    # 30 ** 12 combinations; all but the last port's tokens are alike.
    ports = [[(at, port * 100 + at, at + 40, None) for at in range(30)] for port in range(12)]
    began = time.process_time()
    found = best_set(0, 60, ports)
    assert found == [tokens[0] for tokens in ports]
    assert time.process_time() - began < 2


@settings(max_examples=200)
@given(st.lists(spans(), max_size=12), spans(), st.data())
def test_a_port_gives_back_overlapping_tokens(held: list[tuple], asked: tuple, data: st.DataObject) -> None:
    tokens = [(start, number, stop, object()) for number, (start, stop) in enumerate(held)]
    port = Port()
    for token in data.draw(st.permutations(tokens)):
        port.add(token)
    gone = data.draw(st.sets(st.sampled_from(tokens))) if tokens else set()
    for token in gone:
        port.remove(token)
    stay = sorted((token for token in tokens if token not in gone), key=lambda token: token[:2])
    assert port.tokens == stay
    assert [port.holds(token) for token in tokens] == [token not in gone for token in tokens]
    overlapping = [token for token in stay if token[0] < asked[1] and token[2] > asked[0]]
    assert list(port.overlapping(*asked)) == overlapping


@given(st.lists(spans(), max_size=12), st.integers(-6, 9))
def test_eviction_takes_tokens_that_end_before_the_limit(held: list[tuple], limit: int) -> None:
    port = Port()
    for number, (start, stop) in enumerate(held):
        port.add((start, number, stop, None))
    evicted = port.evict(limit)
    assert sorted(token[1] for token in evicted) == [n for n, (_, stop) in enumerate(held) if stop < limit]
    assert sorted(token[2] for token in port.tokens) == sorted(stop for _, stop in held if stop >= limit)


def test_tokens_that_hold_for_ever_meet_whenever_they_come() -> None:
    sq = TTSQ("fuse-1", "fuse", body=True, ports=[TTPort("a"), TTPort("b")])
    agenda = Agenda()
    sync = make_sync(sq, 0, agenda, Counters())
    fired: list[Any] = []
    sync.fire = lambda *firing: fired.append(firing)
    ever = (float("-inf"), float("inf"))
    arrivals = [(0, *ever), (1, *ever), (0, 5, 9), (1, *ever), (1, *ever), (0, 7, 8)]
    for tick, (port, start, stop) in enumerate(arrivals):
        agenda.deliver_at(tick, sync.receive, port, start, stop, tick)
    while (tick := agenda.next_tick()) is not None:
        agenda.run_tick(tick)
    assert fired == [(*ever, (0, 1), 1), (5, 9, (2, 3), 3), (7, 8, (5, 4), 5)]


BOUND = 640


@settings(max_examples=300)
@given(
    st.integers(2, 3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3000), st.integers(1, 700)), max_size=40),
)
def test_evictions_that_are_put_off_change_nothing(ports: int, arrivals: list[tuple[int, int, int]]) -> None:
    """Against a list of waiting tokens that is gone through at every arrival."""
    sq = TTSQ("f-1", "f", body=True, ports=[TTPort(f"p{k}") for k in range(ports)])
    counters = Counters()
    agenda = Agenda()
    sync = make_sync(sq, 0, agenda, counters, eviction_bound=BOUND)
    assert isinstance(sync, ArrivalSync)
    sync.patience = 100 * BOUND  # they are put off for ever, unless they would be seen
    fired: list[Any] = []
    sync.fire = lambda start, stop, values, now: fired.append((start, stop, values))
    waiting: list[list[Waiting]] = [[] for _ in range(ports)]
    wanted: list[Any] = []
    newest, evicted = -INF, 0
    for number, (port, start, width) in enumerate(arrivals, start=1):
        port %= ports
        sync.receive(port, start, start + width, number)
        agenda.run_ready(number)
        token: Waiting = (start, number, start + width, number)
        newest = max(newest, start)
        for tokens in waiting:
            kept = [other for other in tokens if other[2] >= newest - BOUND]
            evicted += len(tokens) - len(kept)
            tokens[:] = kept
        others = [sorted(tokens) for k, tokens in enumerate(waiting) if k != port]
        chosen = brute_force(start, start + width, others) if all(others) else None
        if chosen is None:
            waiting[port].append(token)
            if token[2] < newest - BOUND:
                waiting[port].remove(token)
                evicted += 1
            continue
        for other in chosen:
            next(tokens for tokens in waiting if other in tokens).remove(other)
        all_of_them = [*chosen[:port], token, *chosen[port:]]
        begin, end = max(t[0] for t in all_of_them), min(t[2] for t in all_of_them)
        wanted.append((begin, end, tuple(t[3] for t in all_of_them)))
    assert fired == wanted
    assert sync.waiting() == {f"p{k}": len(tokens) for k, tokens in enumerate(waiting) if tokens}
    sync.settle()
    assert counters.by_sq.get("f-1", {}).get("evicted", 0) == evicted
