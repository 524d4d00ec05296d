"""`TTMissed="catch-up"`: instants that could not be run in time are run late, in order, up to a bound; else skipped."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cores import Simulated
from world import MS, S, World, graph_of

from ticktalk.engine import hosting
from ticktalk.errors import TTSyntaxError

KNOWN_LATE = """
with TTConstraint(name="a"):
    now = READ_TTCLOCK(trigger)
    w = COPY_TTTIME(1, VALUES_TO_TTTIME(now, now + {length}))
with TTConstraint(name="b"):
    x = count(w, TTPeriod={period}{more})
"""
CATCH_UP = ', TTMissed="catch-up"'


def known_late(more: str, delay: int, period: str = "100000", length: int = S) -> World:
    world = World(["a", "b"], delay=delay)
    world.start(graph_of(KNOWN_LATE.format(period=period, more=more, length=length)))
    return world.run(length + 3 * delay + 1)


@pytest.mark.parametrize("more", ["", ', TTMissed="skip"', CATCH_UP])
def test_a_window_that_is_known_late(more: str) -> None:
    # Known at 250 ms; an output takes 250 ms to the manager.
    world = known_late(more, 250 * MS)
    if more == CATCH_UP:
        arrivals = [250, 250, 300, 400, 500, 600, 700, 800, 900, 1000]
        assert not world.counted("skipped") and world.counted("late_starts") == {"count-1": 2}
    else:
        arrivals = [300, 400, 500, 600, 700, 800, 900, 1000]
        assert world.counted("skipped") == {"count-1": 2}
    assert [token.arrival for token in world.outputs] == [(tick + 250) * MS for tick in arrivals]
    instants = list(range(100, 1001, 100))[-len(arrivals) :]
    assert [(t.start, t.stop) for t in world.outputs] == [((i - 25) * MS, (i + 25) * MS) for i in instants]
    assert world.values() == list(range(1, len(arrivals) + 1))


def test_many_are_run_in_turns_so_that_others_have_theirs() -> None:
    world = known_late(CATCH_UP, 250 * MS, period="1000")
    assert [token.start + 250 for token in world.outputs] == [k * MS for k in range(1, 1001)]
    late = [token.arrival - 500 * MS for token in world.outputs if token.start + 250 <= 250 * MS]
    assert late == [0] * 100 + [1] * 100 + [2] * 50


def test_a_rate_that_is_no_whole_number_catches_up_too() -> None:
    world = known_late(CATCH_UP, 250 * MS, period="Hz(30)")
    assert [token.start + 8_333 for token in world.outputs] == [round(k * Fraction(S, 30)) for k in range(1, 31)]


def test_none_is_made_up_from_before_an_open_window() -> None:
    world = World(["b"])
    world.manager.simulation.run(1050 * MS)
    world.start(graph_of(f"count(trigger, TTPeriod=100000{CATCH_UP})"))
    world.run(1350 * MS)
    assert [token.arrival for token in world.outputs] == [1100 * MS, 1200 * MS, 1300 * MS]


STREAM = """
@STREAMify
def s(trigger):
    return 1
@GRAPHify
def main(trigger):
    now = READ_TTCLOCK(trigger)
    w = COPY_TTTIME(1, VALUES_TO_TTTIME(now, now + 1000))
    return s(w, TTPeriod={period}, TTDataIntervalWidth={width}{more})
"""


@settings(max_examples=60)
@given(st.integers(20, 150), st.integers(1, 300), st.integers(1, 250), st.sampled_from([0, 100, 700, 10**6]))
def test_a_body_that_takes_longer_than_a_period(
    tmp_path_factory: pytest.TempPathFactory, period: int, cost: int, width: int, bound: int
) -> None:
    """A queue in plain Python: each instant is run when the last one has ended, unless it is too late by then."""
    expected, free, counts = [], 0, {"skipped": 0, "late_starts": 0}
    for instant in range(period, 1001, period):
        begun = max(instant, free)
        end = instant - width // 2 + width
        if begun < max(end, instant + max(bound, period)):
            free = begun + cost
            expected.append((instant, free))
            counts["late_starts"] += begun >= end
        else:
            counts["skipped"] += 1
    more = CATCH_UP if bound else ""
    text = STREAM.format(period=period, width=width, more=more)
    deployment = f"ensembles:\n- {{name: a}}\ncosts:\n  s: {{time: {cost}us}}\n"
    folder = tmp_path_factory.mktemp("p")
    found = _simulated(folder, text, deployment, bound)
    assert [(token.start + width // 2, token.arrival) for token in found.tokens] == expected
    assert found.counters.get("s-1", {}) == {kind: count for kind, count in counts.items() if count}


def _simulated(folder: Path, text: str, deployment: str, bound: int) -> Simulated:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosting, "EVICTION_BOUND", bound or 10**6)
        found = Simulated(folder, text, deployment)
        found.run()
    return found


@pytest.mark.parametrize("more", ["", CATCH_UP])
def test_after_a_loss_it_goes_on_from_its_checkpoint(more: str) -> None:
    world = World(["b", "c"], notice=500 * MS, checkpoint=1 * S)
    world.start(graph_of(f"return count(trigger, TTPeriod=250000{more})"))
    world.events("- {at: 1200ms, fail: b}")  # noticed at 1.7 s; at 1.0 s it had counted to 4
    world.run(2100 * MS)
    after = [(t.arrival // MS, (t.start + t.stop) // 2 // MS, t.value) for t in world.outputs if t.arrival > 1200 * MS]
    late = [(1700, 1250, 5)] if more else []
    # 1.5 s may still start late: its next instant is to come.
    assert after == [*late, (1700, 1500, 5 + len(late)), (1750, 1750, 6 + len(late)), (2000, 2000, 7 + len(late))]


@pytest.mark.parametrize("more", ["", CATCH_UP])
def test_an_ensemble_that_was_held_makes_up_for_it(more: str) -> None:
    # Without the manager, `b` holds what could run elsewhere before that happens, and goes on when it is back.
    world = World(["b"], notice=4 * S)
    world.start(graph_of(f"return count(trigger, TTPeriod=250000{more})"), {"count-1": "b"})
    world.events("- {at: 1100ms, cut: [b, runtime-manager]}\n- {at: 5050ms, heal: [b, runtime-manager]}")
    world.run(6_100 * MS)
    instants = [(token.start + token.stop) // 2 // MS for token in world.outputs]
    assert instants == sorted(set(instants)) and instants[-1] == 6000
    skipped = world.counted("skipped").get("count-1", 0)
    assert world.values()[-1] + skipped == 24
    assert skipped == 0 if more else skipped >= 2


@pytest.mark.parametrize("at", [400, 401, 650, 999])
def test_a_move_runs_each_instant_once(at: int) -> None:
    world = World(["a", "b", "c"], delay=30 * MS)
    graph = graph_of(f"x = count(trigger, TTPeriod=100000{CATCH_UP})\nreturn same(x)")
    world.start(graph, {"count-1": "a", "same-1": "b"})
    world.at(at * MS, lambda: world.manager.drain("a"))
    world.run(1500 * MS)
    assert world.values() == list(range(1, len(world.outputs) + 1)) and len(world.outputs) >= 14
    assert [(t.start + t.stop) // 2 for t in world.outputs] == [100 * MS * k for k in world.values()]


def test_how_it_is_written() -> None:
    assert graph_of("count(trigger, TTPeriod=10)").sq("count-1").missed == "skip"
    assert graph_of('count(trigger, TTPeriod=10, TTMissed="catch-up")').sq("count-1").missed == "catch-up"
    with pytest.raises(TTSyntaxError, match='TTMissed is "skip" or "catch-up", not \'late\''):
        graph_of("count(trigger, TTPeriod=10, TTMissed='late')")
    with pytest.raises(TTSyntaxError, match="`TTMissed` is for calls of a @STREAMify function"):
        graph_of("same(trigger, TTMissed='skip')")


def test_a_stream_that_catches_up_runs_past_instants_before_another_period_holds() -> None:
    deployment = "ensembles:\n  - {name: b}\ncosts:\n  slow: {time: 250ms}\n"
    world = World(["b"], deployment=deployment)
    body = f"with TTConstraint(name='b'):\n    return slow(trigger, TTPeriod=100000{CATCH_UP})"
    world.start(graph_of(body, more="@STREAMify\ndef slow(t): return 1\n"))
    world.at(1 * S, lambda: world.manager.set_grid("prog", "slow-1", period=500 * MS))
    world.run(5 * S)
    # A run takes 250 ms, so ten of the old grid end at 350, 600, ... 2600 ms. The new grid's first is at 1.5 s.
    middles = [(token.start + token.stop) // 2 // MS for token in world.outputs]
    assert middles == [*range(100, 1001, 100), *range(1500, 4501, 500)]
    arrivals = [token.arrival // MS for token in world.outputs]
    assert arrivals == [*range(350, 2601, 250), 2850, 3100, 3350, 3600, 3850, 4250, 4750]
