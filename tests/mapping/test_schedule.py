"""The model of cost against tables made by hand, and the checker of schedules against wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from problems import check_schedule, graph_of, hosts

from ticktalk.errors import TTMappingError
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec
from ticktalk.mapping.lower_bound import bound
from ticktalk.mapping.schedule import (
    MappingProblem,
    Objective,
    Slot,
    Timeline,
    schedule_in_order,
)

DIAMOND = {"s": [], "l": ["s"], "r": ["s"], "e": ["l", "r"]}
COSTS = {"s": CostSpec(1_000, 500), "l": CostSpec(4_000, 100), "r": CostSpec(2_000, 0), "e": CostSpec(1_000)}
LINK = LinkSpec(300, Fraction(1_000_000))
"""300 us and a microsecond a byte."""


def diamond(*speeds: float, cores: int = 1) -> MappingProblem:
    return MappingProblem(graph_of(DIAMOND), DeploymentFile("d", hosts(*speeds, cores=cores), {}, LINK, COSTS))


TABLES: list[tuple[str, Sequence[float], int, Sequence[int], list[tuple[int, int]]]] = [
    (
        "one host, one core: one after the other",
        [1],
        1,
        [0, 0, 0, 0],
        [(0, 1000), (1000, 5000), (5000, 7000), (7000, 8000)],
    ),
    ("two cores: side by side", [1], 2, [0, 0, 0, 0], [(0, 1000), (1000, 5000), (1000, 3000), (5000, 6000)]),
    ("twice as fast", [2], 1, [0, 0, 0, 0], [(0, 500), (500, 2500), (2500, 3500), (3500, 4000)]),
    ("rounded up", [3], 1, [0, 0, 0, 0], [(0, 334), (334, 1668), (1668, 2335), (2335, 2669)]),
    # r gets 500 bytes: 300 + 500 us; e gets 0 bytes: 300 us.
    ("r elsewhere", [1, 1], 1, [0, 0, 1, 0], [(0, 1000), (1000, 5000), (1800, 3800), (5000, 6000)]),
    ("r elsewhere and slow", [1, 0.5], 1, [0, 0, 1, 0], [(0, 1000), (1000, 5000), (1800, 5800), (6100, 7100)]),
    # l's 100 bytes to b: 5000 + 400.
    ("e elsewhere", [1, 1], 1, [0, 0, 0, 1], [(0, 1000), (1000, 5000), (5000, 7000), (7300, 8300)]),
]


@pytest.mark.parametrize(("what", "speeds", "cores", "host_of", "expected"), TABLES, ids=[row[0] for row in TABLES])
def test_schedules_made_by_hand(
    what: str, speeds: Sequence[float], cores: int, host_of: Sequence[int], expected: list[tuple[int, int]]
) -> None:
    problem = diamond(*speeds, cores=cores)
    starts = schedule_in_order(problem, host_of, range(4))
    assert [(start, start + problem.duration(k, host_of[k])) for k, start in enumerate(starts)] == expected
    plan = problem.plan(Objective.latency, host_of, range(4), Fraction(0))
    assert plan.latency == max(end for _, end in expected)
    assert check_schedule(problem, plan.schedule) == []
    assert bound(problem, Objective.latency) <= plan.latency


def test_the_link_of_a_pair_goes_before_the_default() -> None:
    links = {("a", "b"): LinkSpec(50, None)}
    problem = MappingProblem(graph_of(DIAMOND), DeploymentFile("d", hosts(1, 1, 1), links, LINK, COSTS))
    assert [problem.transfer(0, *pair) for pair in [(0, 1), (1, 0), (0, 2), (2, 1), (1, 1)]] == [50, 50, 800, 800, 0]


def test_balance_is_work_by_speed_and_cores() -> None:
    problem = MappingProblem(
        graph_of(DIAMOND),
        DeploymentFile("d", (EnsembleSpec("a", speed=Fraction(3)), EnsembleSpec("b", cores=4)), {}, LINK, COSTS),
    )
    assert problem.loads([0, 0, 1, 1]) == [Fraction(5000, 3), Fraction(3000, 4)]
    assert problem.balance([0, 0, 1, 1]) == Fraction(5000, 3)


def test_gaps_are_used_and_an_sq_without_duration_needs_a_core() -> None:
    line = Timeline(1)
    assert line.take(100, 50) == 100
    assert line.take(0, 100) == 0  # the gap before
    assert line.take(120, 0) == 150  # not in the middle of the first
    assert line.take(10, 5) == 150
    two = Timeline(2)
    assert [two.take(0, 10), two.take(0, 20), two.take(0, 5), two.take(12, 3)] == [0, 0, 10, 15]


SLOTS = [Slot("s", "a", 0, 1000), Slot("l", "a", 1000, 5000), Slot("r", "b", 1800, 3800), Slot("e", "a", 5000, 6000)]
MISTAKES: dict[str, tuple[Mapping[int, Slot | None], str]] = {
    "too early": ({2: Slot("r", "b", 1799, 3799)}, "r: starts at 1799, but a token is there at 1800"),
    "two on a core": ({2: Slot("r", "a", 1000, 3000)}, "a: more than 1 SQs at 1000"),
    "too short": ({3: Slot("e", "a", 5000, 5999)}, "e: runs from 5000 to 5999"),
    "left out": ({1: None}, "l: not scheduled"),
    "nowhere": ({0: Slot("s", "z", 0, 1000)}, "s on z: not known, or there twice"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_checker_finds(mistake: str) -> None:
    changes, expected = MISTAKES[mistake]
    slots = [changes.get(k, slot) for k, slot in enumerate(SLOTS)]
    problem = diamond(1, 1)
    assert check_schedule(problem, SLOTS) == []
    assert expected in check_schedule(problem, [slot for slot in slots if slot is not None])


def test_the_checker_finds_broken_constraints() -> None:
    problem = MappingProblem(
        graph_of(DIAMOND, {"s": TTConstraintSpec(["b"])}, {"l": "r"}),
        DeploymentFile(
            "d",
            (EnsembleSpec("a", memory=9), EnsembleSpec("b")),
            {},
            LinkSpec(),
            {"e": CostSpec(0, 0, 5), "r": CostSpec(0, 0, 5)},
        ),
    )
    slots = [Slot(name, host, 0, 0) for name, host in zip("slre", "abaa", strict=True)]
    assert check_schedule(problem, slots) == [
        "s: must not be on a",
        "l, r: not together",
        "a: needs 10 bytes, has 9",
    ]


def test_a_bound_looks_at_each_constraint_alone() -> None:
    """s only on a, l only on b: the token must travel."""
    problem = MappingProblem(
        graph_of(DIAMOND, {"s": TTConstraintSpec(["a"]), "l": TTConstraintSpec(["b"])}),
        DeploymentFile("d", hosts(1, 1), {}, LINK, COSTS),
    )
    assert bound(problem, Objective.latency) == 1000 + 800 + 4000 + 1000


def test_an_sq_that_fits_nowhere_is_reported() -> None:
    graph = graph_of(DIAMOND, {"s": TTConstraintSpec(components=["camera"])})
    wanted = r"s .line 0. wants the component 'camera'\n    'a' has no component 'camera'"
    with pytest.raises(TTMappingError, match=wanted):
        MappingProblem(graph, DeploymentFile("d", hosts(1)))
    graph = graph_of(DIAMOND, {"s": TTConstraintSpec(["a"]), "r": TTConstraintSpec(["b"])}, {"s": "r"})
    with pytest.raises(TTMappingError, match="s and r are placed together, but no ensemble"):
        MappingProblem(graph, DeploymentFile("d", hosts(1, 1)))
    with pytest.raises(TTMappingError, match=r"s: needs 100 bytes of memory, but no ensemble .* more than 99"):
        MappingProblem(
            graph_of(DIAMOND), DeploymentFile("d", (EnsembleSpec("a", memory=99),), costs={"s": CostSpec(0, 0, 100)})
        )
