"""The strategy that proves its answer: the model of `schedule` as constraints for OR-Tools CP-SAT.

Needs the extra `ticktalk[optimal]`. It starts from the mapping of `heft`. Without a proof at the time limit, the answer
is the best found so far, with the bound that was proven.
"""

from __future__ import annotations

import importlib
import math
import os
from fractions import Fraction
from typing import Any

from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTMappingError
from ticktalk.mapping.heft import heft, rank_order
from ticktalk.mapping.lower_bound import bound
from ticktalk.mapping.schedule import MappingProblem, Objective, ScheduledMapping

FINEST = 2**50
"""The largest number that a balance is counted in; with stranger speeds it is proven to the last digit but a few."""


def optimal(problem: MappingProblem, objective: Objective = Objective.latency, limit: float = 10.0) -> ScheduledMapping:
    """Map for one objective, within `limit` seconds.

    Raises:
        TTError: OR-Tools is not installed.
        TTMappingError: the memory of the ensembles is not enough, or no way to use it was found in time.
    """
    solver_module = _ortools()
    try:
        first = heft(problem, objective)
    except TTMappingError:
        first = _packed(solver_module, problem, objective, limit)
    if first.proven or not problem.names:
        return first
    build = _Latency if objective is Objective.latency else _Balance
    model = build(solver_module, problem, first)
    solver = solver_module.CpSolver()
    solver.parameters.max_time_in_seconds = limit
    solver.parameters.num_workers = min(8, os.cpu_count() or 1)
    solver.parameters.random_seed = 1
    status = solver.solve(model.model)
    proven = status == solver_module.OPTIMAL
    least = max(first.bound, model.bound(solver.best_objective_bound))
    if status not in (solver_module.OPTIMAL, solver_module.FEASIBLE):
        return first._replace(bound=min(least, first.value), proven=first.value <= least)
    host_of = model.host_of(solver)
    plan = problem.plan(objective, host_of, model.order(solver), least)
    if plan.value > first.value:
        plan = first._replace(bound=min(least, first.value))
        proven = False
    if proven:
        plan = plan._replace(bound=plan.value, proven=True)
    return plan


def _packed(solver_module: Any, problem: MappingProblem, objective: Objective, limit: float) -> ScheduledMapping:
    """Any mapping for which there is memory, where `heft` found none."""
    model = _Model(solver_module, problem, None)
    solver = solver_module.CpSolver()
    solver.parameters.max_time_in_seconds = limit
    solver.parameters.random_seed = 1
    status = solver.solve(model.model)
    if status == solver_module.INFEASIBLE:
        raise TTMappingError(
            "no mapping exists in which the memory of the ensembles is enough for the SQs (proven): give the ensembles"
            " of the deployment file more `memory`, or the costs less"
        )
    if status not in (solver_module.OPTIMAL, solver_module.FEASIBLE):
        raise TTMappingError("no mapping was found within the time limit in which the memory is enough: --time-limit")
    return problem.plan(objective, model.host_of(solver), rank_order(problem), bound(problem, objective))


def _ortools() -> Any:
    with wanted_by("the strategy `optimal`", ", or use --strategy heft"):
        return importlib.import_module("ortools.sat.python.cp_model")


class _Model:
    """The hosts of the groups, within memory; `first`, if there is one, is the hint."""

    def __init__(self, cp_model: Any, problem: MappingProblem, first: ScheduledMapping | None) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.on: list[dict[int, Any]] = []
        """For each group and host that it may be on, whether it is there."""
        for group, sqs in enumerate(problem.groups):
            on = {host: self.model.new_bool_var(f"{group}@{host}") for host in problem.eligible[group]}
            self.model.add_exactly_one(on.values())
            if first is not None:
                chosen = first.mapping[problem.names[sqs[0]]]
                for host, there in on.items():
                    self.model.add_hint(there, problem.hosts[host] == chosen)
            self.on.append(on)
        for host, capacity in enumerate(problem.capacity):
            here = [(on[host], problem.memory[group]) for group, on in enumerate(self.on) if host in on]
            if capacity is not None and any(need for _, need in here):
                self.model.add(sum(need * there for there, need in here) <= capacity)

    def host_of(self, solver: Any) -> list[int]:
        at = [next(host for host, there in on.items() if solver.value(there)) for on in self.on]
        return [at[group] for group in self.problem.group]


class _Latency(_Model):
    def __init__(self, cp_model: Any, problem: MappingProblem, first: ScheduledMapping) -> None:
        super().__init__(cp_model, problem, first)
        horizon = first.latency
        self.starts = [self.model.new_int_var(0, horizon, f"start {name}") for name in problem.names]
        self.ends = [self.model.new_int_var(0, horizon, f"end {name}") for name in problem.names]
        begins = {slot.sq: slot.start for slot in first.schedule}
        runs: list[list[tuple[int, Any, Any]]] = [[] for _ in problem.hosts]
        for sq, name in enumerate(problem.names):
            on = self.on[problem.group[sq]]
            length = {host: problem.duration(sq, host) for host in on}
            self.model.add(self.ends[sq] == self.starts[sq] + sum(length[host] * there for host, there in on.items()))
            self.model.add_hint(self.starts[sq], begins[name])
            for host, there in on.items():
                run = self.model.new_optional_fixed_size_interval_var(
                    self.starts[sq], length[host], there, f"{name}@{host}"
                )
                runs[host].append((length[host], run, there))
        for host, here in enumerate(runs):
            self._cores(host, here)
        for source, targets in enumerate(problem.after):
            for target in targets:
                self._arc(source, target)
        self.latency = self.model.new_int_var(int(first.bound), horizon, "latency")
        self.model.add_max_equality(self.latency, self.ends)
        self.model.minimize(self.latency)

    def _cores(self, host: int, here: list[tuple[int, Any, Any]]) -> None:
        """At most as many at once as there are cores."""
        cores = self.problem.cores[host]
        if cores >= len(here):
            return
        if cores == 1:
            self.model.add_no_overlap([run for _, run, _ in here])
        elif all(length for length, _, _ in here):
            self.model.add_cumulative([run for _, run, _ in here], [1] * len(here), cores)
        else:
            # SQs that take no time still want a free core, which a cumulative does not see: each core by itself.
            lanes: list[list[Any]] = [[] for _ in range(cores)]
            for k, (length, run, there) in enumerate(here):
                lane_of = [self.model.new_bool_var(f"{host}/{lane}: {k}") for lane in range(cores)]
                self.model.add(sum(lane_of) == there)
                for lane, taken in zip(lanes, lane_of, strict=True):
                    lane.append(
                        self.model.new_optional_fixed_size_interval_var(run.start_expr(), length, taken, f"{k}")
                    )
            for lane in lanes:
                self.model.add_no_overlap(lane)

    def _arc(self, source: int, target: int) -> None:
        """The target starts when the token is there."""
        problem = self.problem
        start, end = self.starts[target], self.ends[source]
        self.model.add(start >= end)
        if problem.group[source] == problem.group[target]:
            return
        on, to = self.on[problem.group[source]], self.on[problem.group[target]]
        default = problem.default_transfer(source)
        for host, there in on.items():
            ways = {
                other: link.transfer(problem.sizes[source])
                for other, link in problem.links_of[host].items()
                if other in to
            }
            least = min([default, *ways.values()])
            if least:
                away = [there] if host not in to else [there, ~to[host]]
                self.model.add(start >= end + least).only_enforce_if(*away)
            for other, arrives in to.items():
                took = ways.get(other, default)
                if other != host and took > least:
                    self.model.add(start >= end + took).only_enforce_if(there, arrives)

    def order(self, solver: Any) -> list[int]:
        """By start; SQs that take no time come first, in the graph's order, which no arc goes against."""
        return sorted(
            range(len(self.starts)), key=lambda sq: (solver.value(self.starts[sq]), solver.value(self.ends[sq]), sq)
        )

    def bound(self, found: float) -> Fraction:
        return Fraction(math.ceil(found - 1e-6))


class _Balance(_Model):
    def __init__(self, cp_model: Any, problem: MappingProblem, first: ScheduledMapping) -> None:
        super().__init__(cp_model, problem, first)
        work = [sum(problem.work[sq] for sq in group) for group in problem.groups]
        costs = [1 / (speed * cores) for speed, cores in zip(problem.speeds, problem.cores, strict=True)]
        self.scale = math.lcm(*(cost.denominator for cost in costs))
        most = FINEST // max(1, math.ceil(sum(work) * max(costs)))
        self.scale = min(self.scale, max(most, 1))
        top = math.ceil(first.balance * self.scale) + len(work)
        self.load = self.model.new_int_var(0, top, "load")
        for host, cost in enumerate(costs):
            # Rounded down, if at all, so that the bound stays one.
            units = [
                (math.floor(work[group] * cost * self.scale), on[host])
                for group, on in enumerate(self.on)
                if host in on
            ]
            if any(amount for amount, _ in units):
                self.model.add(sum(amount * there for amount, there in units) <= self.load)
        self.model.minimize(self.load)

    def order(self, solver: Any) -> list[int]:
        return rank_order(self.problem)

    def bound(self, found: float) -> Fraction:
        return Fraction(math.ceil(found - 1e-6), self.scale)
