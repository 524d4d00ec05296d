"""A stream's period and phase changed while it runs: the instants and intervals, by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest
from world import MS, S, World, graph_of

from ticktalk import Hz
from ticktalk.errors import TTRuntimeError

STREAM = "return count(trigger, TTPeriod=250000)"
WIDE = "return count(trigger, TTPeriod=250000, TTDataIntervalWidth=50000)"
WINDOW = """
now = READ_TTCLOCK(trigger)
w = COPY_TTTIME(1, VALUES_TO_TTTIME(now, now + 2000000))
return count(w, TTPeriod=250000)
"""


def instants(world: World) -> list[int]:
    """The arrivals of the outputs, in milliseconds."""
    return [token.arrival // MS for token in world.outputs]


@pytest.mark.parametrize(
    ("program", "width", "new_width"), [(STREAM, 125, 200), (WIDE, 50, 50)], ids=["default width", "explicit width"]
)
@pytest.mark.parametrize("at", [1_000, 1_001, 1_100, 1_249])
def test_the_new_grid_begins_after_the_change(program: str, width: int, new_width: int, at: int) -> None:
    world = World(["b"])
    world.start(graph_of(program))
    world.at(at * MS, lambda: world.manager.set_grid("prog", "count-1", period=400 * MS, phase=100 * MS))
    world.run(2200 * MS)
    grid = [(t, width) for t in (250, 500, 750, 1000)] + [(t, new_width) for t in (1300, 1700, 2100)]
    assert [(t.arrival, t.start, t.stop) for t in world.outputs] == [
        (t * MS, t * MS - wide * MS // 2, t * MS + wide * MS // 2) for t, wide in grid
    ]
    assert world.values() == [1, 2, 3, 4, 5, 6, 7]
    assert not world.counted("skipped")


def test_a_rate_whose_period_is_no_whole_number() -> None:
    world = World(["b"])
    world.start(graph_of(STREAM))
    world.at(1 * S, lambda: world.manager.set_grid("prog", "count-1", period=Hz(3), phase=100 * MS))
    world.run(3 * S)
    grid = [100 * MS + round(k * Fraction(S, 3)) for k in range(3, 9)]  # the intervals are half a period wide
    assert [(t.arrival, t.stop - t.start) for t in world.outputs] == [
        *((t * MS, 125 * MS) for t in (250, 500, 750, 1000)),
        *((t, S // 6) for t in grid),
    ]
    world.manager.set_grid("prog", "count-1", period=400 * MS)
    world.run(4 * S)
    assert instants(world)[-2:] == [3300, 3700]


def test_a_window_that_ends_ends_under_the_new_grid_too() -> None:
    world = World(["b"])
    world.start(graph_of(WINDOW))
    world.at(1100 * MS, lambda: world.manager.set_grid("prog", "count-1", period=300 * MS))
    world.at(5 * S, lambda: world.manager.set_grid("prog", "count-1", period=100 * MS))  # nothing is left of it
    world.run()
    assert instants(world) == [250, 500, 750, 1000, 1200, 1500, 1800]


def test_before_the_start_and_for_every_start() -> None:
    world = World(["b"])
    graph = graph_of(STREAM)
    world.manager.instantiate_and_map_graph(graph)
    world.manager.set_grid(graph, "count-1", period=500 * MS, phase=100 * MS)
    first, second = world.start_again(graph), world.start_again(graph)
    world.run(1200 * MS)
    for context in (first, second):
        assert [t.arrival // MS for t in world.outputs if t.context == context] == [100, 600, 1100]


@pytest.mark.parametrize("checkpoint", [0, 1 * S])
def test_the_new_grid_survives_a_failure_though_the_checkpoint_is_older(checkpoint: int) -> None:
    world = World(["b", "c"], notice=500 * MS, checkpoint=checkpoint)
    world.start(graph_of(STREAM))
    world.at(1100 * MS, lambda: world.manager.set_grid("prog", "count-1", period=400 * MS, phase=100 * MS))
    world.events("- {at: 1200ms, fail: b}")  # noticed at 1.7 s; it is 1.7 s that is the first instant again
    world.run(2600 * MS)
    after = [(t.arrival // MS, t.value, t.ensemble) for t in world.outputs if t.arrival > 1200 * MS]
    if checkpoint:  # at 1.0 s it had counted to 4; the instant at 1.3 s can no longer start
        assert after == [(1700, 5, "c"), (2100, 6, "c"), (2500, 7, "c")]
    else:
        assert after == [(2100, 1, "c"), (2500, 2, "c")]


def test_an_ensemble_that_was_cut_off_is_told_when_it_is_back() -> None:
    world = World(["b"])
    world.start(graph_of(f"with TTConstraint(name='b'):\n    x = {STREAM.removeprefix('return ')}\nreturn x"))
    world.events("- {at: 2s, cut: [b, runtime-manager]}\n- {at: 6s, heal: [b, runtime-manager]}")
    world.at(5 * S, lambda: world.manager.set_grid("prog", "count-1", period=500 * MS))
    world.run(8 * S)
    fired = [firing.tick // MS for firing in world.firings if firing.sq == "count-1"]
    assert fired == [*range(250, 6001, 250), 6500, 7000, 7500]


def test_a_refused_change_changes_nothing() -> None:
    world = World(["b"])
    graph = graph_of("x = count(trigger, TTPeriod=250000, TTPhase=100000)\nreturn same(x)")
    world.start(graph)
    for graph_name, sq, grid, part in [
        ("prog", "count-1", {"period": 0}, "at least 1 microsecond"),
        ("prog", "count-1", {"period": 100 * MS}, "not below the period"),
        ("prog", "count-1", {"phase": 250 * MS}, "not below the period"),
        ("prog", "count-1", {"phase": -1}, "not below the period"),
        ("prog", "cuont-1", {"period": 1}, "did you mean `count-1`"),
        ("prog", "same-1", {"period": 1}, "is no stream"),
        ("grop", "count-1", {"period": 1}, r"no graph named 'grop' here \(graphs: prog\)"),
    ]:
        with pytest.raises(TTRuntimeError, match=part):
            world.manager.set_grid(graph_name, sq, **grid)
    world.run(1 * S)
    assert [t.arrival // MS for t in world.outputs] == [100, 350, 600, 850]
