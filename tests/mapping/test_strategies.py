"""`heft` and `optimal`: valid under the model, near the optimum or at it, and no slower than SQs x ensembles."""

from __future__ import annotations

import importlib.util
import random
import statistics
import sys
from fractions import Fraction
from types import FrameType
from typing import Any

import pytest
from problems import check_schedule, graph_of, hosts, least_balance, least_latency, random_problem, tangled_problem

from ticktalk.errors import TTError, TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTConstraintSpec
from ticktalk.mapping import heft_balance as balance
from ticktalk.mapping import heft_mending as mending
from ticktalk.mapping import heft_packing as packing
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec
from ticktalk.mapping.heft import heft
from ticktalk.mapping.lower_bound import bound
from ticktalk.mapping.mapper import TTMapper
from ticktalk.mapping.optimal import optimal
from ticktalk.mapping.schedule import MappingProblem, Objective

BOTH = list(Objective)
needs_ortools = pytest.mark.skipif(
    importlib.util.find_spec("ortools") is None, reason="OR-Tools is not installed (the extra `optimal`)"
)
FOREVER = 10**9


def test_heft_is_near_the_optimum() -> None:
    gaps = []
    for seed in range(28):
        problem = random_problem(seed, 6 + seed % 4)
        plan = heft(problem)
        least = least_latency(problem, plan.latency)
        assert plan.bound <= least
        assert not plan.proven or plan.latency == least
        gaps.append(plan.latency / least - 1)
    assert statistics.mean(gaps) < 0.10


@pytest.mark.parametrize("objective", BOTH)
def test_every_schedule_is_valid(objective: Objective) -> None:
    problems = [random_problem(seed, 6 + seed % 7, cores=1 + seed % 2) for seed in range(10)]
    problems += [random_problem(7, 120, [1, 2, 3.5, 0.3], cores=3)]
    problems += [tangled_problem(seed, 6 + seed % 2) for seed in range(10)]
    for problem in problems:
        plan = heft(problem, objective)
        assert check_schedule(problem, plan.schedule) == []
        assert plan.latency == max(slot.end for slot in plan.schedule)
        assert plan.mapping == {slot.sq: slot.ensemble for slot in plan.schedule}
        infos = [ensemble.info() for ensemble in problem.deployment.ensembles]
        assert TTMapper(infos).check(problem.graph, plan.mapping) == plan.mapping
        assert plan.bound <= plan.value


def test_balance_is_near_the_optimum() -> None:
    for seed in range(8):
        for problem in (random_problem(seed, 6), tangled_problem(seed)):
            plan = heft(problem, Objective.balance)
            least = least_balance(problem)
            assert plan.bound <= least <= plan.balance <= least * Fraction(11, 10)


def test_a_problem_always_has_the_same_plan() -> None:
    assert heft(random_problem(3, 12)) == heft(random_problem(3, 12))


@pytest.mark.parametrize("objective", BOTH)
def test_a_deadline_and_its_plan_b_stay_together(objective: Objective) -> None:
    arcs: dict[str, list[str]] = {"data": [], "check": ["data"], "late": [], "use": ["check", "late"]}
    graph = graph_of(arcs, {"late": TTConstraintSpec(["b"])}, {"check": "late"})
    costs = {name: CostSpec(1000) for name in arcs}
    plan = heft(MappingProblem(graph, DeploymentFile("d", hosts(4, 1), costs=costs)), objective)
    assert plan.mapping["check"] == plan.mapping["late"] == "b"


@pytest.mark.parametrize("objective", BOTH)
def test_tight_memory_is_packed(objective: Objective) -> None:
    """7 + 3 and 6 + 4 is the only way, and a greedy choice of the fastest host misses it."""
    needs = {"p": 4, "q": 3, "r": 7, "s": 6}
    graph = graph_of(dict.fromkeys(needs, ()))
    ensembles = (EnsembleSpec("a", speed=Fraction(4), memory=10), EnsembleSpec("b", memory=10))

    def costs(times: dict[str, int]) -> dict[str, CostSpec]:
        return {name: CostSpec(times[name], 0, need) for name, need in needs.items()}

    for times in ({"p": 9, "q": 8, "r": 2, "s": 1}, {"p": 1, "q": 2, "r": 8, "s": 9}):
        problem = MappingProblem(graph, DeploymentFile("d", ensembles, costs=costs(times)))
        plan = heft(problem, objective)
        assert check_schedule(problem, plan.schedule) == []
        assert {plan.mapping["r"], plan.mapping["p"]} == {"a", "b"} == {plan.mapping["s"], plan.mapping["q"]}
    needs["s"] = 7
    with pytest.raises(TTMappingError, match="memory"):
        heft(MappingProblem(graph, DeploymentFile("d", ensembles, costs=costs(times))), objective)


@pytest.mark.parametrize("objective", BOTH)
def test_an_empty_graph(objective: Objective) -> None:
    plan = heft(MappingProblem(TTGraph("g"), DeploymentFile("d", hosts(1))), objective)
    assert (plan.mapping, plan.latency, plan.balance, plan.proven) == ({}, 0, 0, True)


@pytest.mark.parametrize("objective", BOTH)
def test_work_grows_no_faster_than_sqs_times_ensembles(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in executed lines, which do not depend on how busy the machine is; searches with a budget are off."""
    for module, budget in ((mending, "TRIES"), (balance, "SWAPS"), (balance, "SHAKES")):
        monkeypatch.setattr(module, budget, 0)

    def lines(sqs: int, ensembles: int) -> int:
        problem = random_problem(1, sqs, [1 + k % 7 / 2 for k in range(ensembles)])
        count = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal count
            count += event == "line"
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            heft(problem, objective)
        finally:
            sys.settrace(before)
        return count

    small = lines(80, 15)
    assert lines(320, 15) < 4 * 1.3 * small
    assert lines(80, 60) < 4 * 1.3 * small
    assert lines(320, 60) < 16 * 1.3 * small


@needs_ortools
def test_optimal_is_exact() -> None:
    for seed in range(8):
        for problem in (random_problem(seed, 6), tangled_problem(seed)):
            plan = optimal(problem, limit=60)
            assert plan.proven
            assert plan.latency == least_latency(problem, FOREVER)
            assert check_schedule(problem, plan.schedule) == []
            plan = optimal(problem, Objective.balance, limit=60)
            assert plan.proven
            assert plan.balance == least_balance(problem)
            assert check_schedule(problem, plan.schedule) == []


@needs_ortools
def test_optimal_reports_the_gap_at_the_time_limit() -> None:
    problem = random_problem(5, 60)
    plan = optimal(problem, limit=0.3)
    assert check_schedule(problem, plan.schedule) == []
    assert bound(problem, Objective.latency) <= plan.bound <= plan.latency <= heft(problem).latency
    assert plan.proven == (plan.gap == 0)


def test_optimal_without_ortools_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python.cp_model", None)
    with pytest.raises(TTError, match=r"pip install 'ticktalk\[optimal\]'"):
        optimal(random_problem(1, 6))


def full_problem(seed: int, spare: int) -> MappingProblem:
    """Groups cut from the hosts' memory, which they fill up to `spare` bytes each; shuffled."""
    chance = random.Random(seed)
    needs: list[int] = []
    ensembles = []
    for k in range(chance.randint(2, 9)):
        parts = [chance.randint(1, 60) for _ in range(chance.randint(1, 6))]
        needs += parts
        ensembles.append(EnsembleSpec(f"e{k}", speed=Fraction(chance.randint(1, 5)), memory=sum(parts) + spare))
    chance.shuffle(needs)
    names = [f"f{k}" for k in range(len(needs))]
    costs = {name: CostSpec(chance.randint(1, 1000), 0, need) for name, need in zip(names, needs, strict=True)}
    arcs: dict[str, list[str]] = {name: [] for name in names}
    return MappingProblem(graph_of(arcs), DeploymentFile("d", tuple(ensembles), costs=costs))


@pytest.mark.parametrize("seed", range(12))
def test_a_packing_is_found_where_memory_is_nearly_full(seed: int) -> None:
    problem = full_problem(seed, 2)
    assert check_schedule(problem, heft(problem).schedule) == []


@needs_ortools
def test_optimal_finds_a_packing_where_heft_finds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "PACKINGS", 0)
    problem = full_problem(1, 0)
    with pytest.raises(TTMappingError, match="or look longer with `ticktalk map --strategy optimal`"):
        heft(problem)
    assert check_schedule(problem, optimal(problem, limit=1).schedule) == []


@needs_ortools
def test_optimal_proves_that_memory_is_not_enough() -> None:
    with pytest.raises(TTMappingError, match="no mapping exists in which the memory"):
        optimal(full_problem(1, -1), limit=20)
