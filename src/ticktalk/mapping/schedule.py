"""The cost of a mapping: the model in which mappings are compared, and schedules in it.

One set of tokens enters at 0. An SQ starts when all its inputs are at its host and a core is free. It takes its time on
the reference divided by the host's speed. A token between two hosts takes the link's latency plus its bytes by the
bandwidth, within a host nothing. In a simulation tokens on one link wait for one another; here they do not. The graph's
inputs are everywhere at 0. An SQ's end and a token's way are rounded up to whole microseconds. The *latency* is when
the last SQ ends. The *balance* is the largest load of a host: the sum of time/speed of its SQs, divided by its cores.

A deadline and its plan B are placed together, so groups of SQs are placed, most of them of one SQ.
"""

from __future__ import annotations

import enum
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ticktalk.errors import TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, LinkSpec
from ticktalk.mapping.ensembles import Hosts
from ticktalk.mapping.mapper import TTMapper, modules_of

GAPS_KEPT = 32
"""Gaps between SQs that a host remembers for later insertion; the oldest are forgotten."""

ROWS_KEPT = 500_000
"""Durations kept at most, so that large problems do not fill the memory."""


class Objective(enum.StrEnum):
    """The quantity that a mapping is to make small."""

    latency = "latency"
    balance = "balance"


class Slot(NamedTuple):
    """A line of a schedule: an SQ runs on an ensemble from `start` to `end` (us)."""

    sq: str
    ensemble: str
    start: int
    end: int


class ScheduledMapping(NamedTuple):
    """A mapping with its predicted schedule.

    Attributes:
        objective: the quantity that was to be small.
        mapping: SQ to ensemble.
        schedule: in the order of starts.
        latency: when the last SQ ends (us).
        balance: the largest load of a host (us).
        bound: no mapping has less of the objective (us).
        proven: no mapping is better than this one.
    """

    objective: Objective
    mapping: dict[str, str]
    schedule: list[Slot]
    latency: int
    balance: Fraction
    bound: Fraction
    proven: bool

    @property
    def value(self) -> Fraction:
        """The objective of this plan (us)."""
        return Fraction(self.latency) if self.objective is Objective.latency else self.balance

    @property
    def gap(self) -> float:
        """The distance of the value from the bound, as a part of the bound; 0 for a plan that is proven the best."""
        if self.proven or self.value <= self.bound:
            return 0.0
        return float((self.value - self.bound) / self.bound) if self.bound else float("inf")


class MappingProblem:
    """A graph and a deployment as numbers: SQs and hosts by index, SQs in the graph's order.

    Attributes:
        hosts: the ensembles' names; `speeds`, `cores`, `capacity` (bytes, None: without limit) go with them.
        work: each SQ's time on the reference (us).
        sizes: the bytes of each SQ's output tokens; `needs`: the bytes of memory it needs.
        before, after: the SQs whose tokens an SQ consumes, and the ones that consume its own.
        group: the group of each SQ; `groups`: the SQs of each group.
        eligible: the hosts of each group, the fastest first.
        memory: the bytes that each group needs; `scarce`: some need memory, and not every ensemble has enough for all.

    Raises:
        TTMappingError: an SQ, or a deadline with its plan B, fits nowhere.
    """

    def __init__(self, graph: TTGraph, deployment: DeploymentFile) -> None:
        self.graph = graph
        self.deployment = deployment
        self.names = [sq.name for sq in graph.sqs]
        self.hosts = [ensemble.name for ensemble in deployment.ensembles]
        self.speeds = [ensemble.speed for ensemble in deployment.ensembles]
        self.cores = [ensemble.cores for ensemble in deployment.ensembles]
        self.capacity = [ensemble.memory for ensemble in deployment.ensembles]
        costs = [deployment.costs.get(sq.function, CostSpec()) for sq in graph.sqs]
        self.work = [cost.time or 0 for cost in costs]
        self.sizes = [cost.bytes or 0 for cost in costs]
        self._arcs()
        self.needs = [cost.memory or 0 for cost in costs]
        self._groups()
        self._links()
        classes = {speed: k for k, speed in enumerate(dict.fromkeys(self.speeds))}
        self.speed_class = [classes[speed] for speed in self.speeds]
        self._speeds = [(speed.numerator, speed.denominator) for speed in classes]
        self._rows: dict[int, list[int]] = {}

    def durations(self, sq: int) -> list[int]:
        """The time of an SQ (us), by the speed class of the host (`speed_class`)."""
        work = self.work[sq]
        row = self._rows.get(work)
        if row is None:
            row = [-(-work * under // over) for over, under in self._speeds]
            if len(self._rows) * len(row) < ROWS_KEPT:
                self._rows[work] = row
        return row

    def duration(self, sq: int, host: int) -> int:
        """The time of an SQ on a host (us)."""
        return self.durations(sq)[self.speed_class[host]]

    def transfer(self, source: int, host: int, other: int) -> int:
        """The time of a token of an SQ from one host to another (us)."""
        if host == other:
            return 0
        link = self.links_of[host].get(other)
        return self.default_transfer(source) if link is None else link.transfer(self.sizes[source])

    def default_transfer(self, source: int) -> int:
        """The time of a token of an SQ between two hosts that have no link of their own (us)."""
        size = self.sizes[source]
        found = self._transfers.get(size)
        if found is None:
            found = self._transfers[size] = self.deployment.default.transfer(size)
        return found

    def load(self, work: int, host: int) -> Fraction:
        """The load that so much work (us on the reference) adds to a host."""
        return Fraction(work) / (self.speeds[host] * self.cores[host])

    def balance(self, host_of: Sequence[int]) -> Fraction:
        """The largest load of a host when each SQ is where `host_of` says."""
        return max((load for load in self.loads(host_of)), default=Fraction(0))

    def loads(self, host_of: Sequence[int]) -> list[Fraction]:
        """Each host's load."""
        work = [0] * len(self.hosts)
        for sq, host in enumerate(host_of):
            work[host] += self.work[sq]
        return [self.load(work[host], host) for host in range(len(self.hosts))]

    def plan(
        self, objective: Objective, host_of: Sequence[int], order: Sequence[int], bound: Fraction
    ) -> ScheduledMapping:
        """The plan of a placement, its SQs scheduled in this order."""
        starts = schedule_in_order(self, host_of, order)
        ends = [start + self.duration(sq, host_of[sq]) for sq, start in enumerate(starts)]
        slots = [Slot(self.names[sq], self.hosts[host_of[sq]], starts[sq], ends[sq]) for sq in range(len(starts))]
        slots.sort(key=lambda slot: (slot.start, slot.end))
        latency, balance = max(ends, default=0), self.balance(host_of)
        mapping = {name: self.hosts[host] for name, host in zip(self.names, host_of, strict=True)}
        value = Fraction(latency) if objective is Objective.latency else balance
        return ScheduledMapping(objective, mapping, slots, latency, balance, min(bound, value), value <= bound)

    def _arcs(self) -> None:
        index = {name: k for k, name in enumerate(self.names)}
        self.after: list[list[int]] = [
            list(dict.fromkeys(index[to.sq] for arc in sq.arcs for to in arc.to)) for sq in self.graph.sqs
        ]
        self.before: list[list[int]] = [[] for _ in self.names]
        for source, targets in enumerate(self.after):
            for target in targets:
                self.before[target].append(source)

    def _groups(self) -> None:
        index = {name: k for k, name in enumerate(self.names)}
        first = list(range(len(self.names)))

        def first_of(sq: int) -> int:
            while first[sq] != sq:
                first[sq] = sq = first[first[sq]]
            return sq

        for k, sq in enumerate(self.graph.sqs):
            if sq.plan_b is not None:
                one, other = first_of(k), first_of(index[sq.plan_b])
                first[max(one, other)] = min(one, other)
        first = [first_of(k) for k in range(len(first))]
        number = {at: k for k, at in enumerate(dict.fromkeys(first))}
        self.group = [number[at] for at in first]
        self.groups: list[list[int]] = [[] for _ in number]
        for k, group in enumerate(self.group):
            self.groups[group].append(k)
        self.memory = [sum(self.needs[sq] for sq in group) for group in self.groups]
        self.eligible = self._eligible()
        self.scarce = any(self.memory) and any(room is not None for room in self.capacity)

    def _eligible(self) -> list[list[int]]:
        infos = [ensemble.info() for ensemble in self.deployment.ensembles]
        by_speed = sorted(range(len(infos)), key=lambda host: -self.speeds[host])
        number = {info.name: host for host, info in enumerate(infos)}
        possible = Hosts(infos[host] for host in by_speed)
        needs = modules_of(self.graph)
        wants = [(repr(sq.constraints), needs[sq.name]) for sq in self.graph.sqs]
        found: dict[tuple[str, frozenset[str]], list[int]] = {}
        for sq, key in zip(self.graph.sqs, wants, strict=True):
            if key not in found:
                found[key] = [number[ensemble.name] for ensemble in possible.of(sq, key[1])]
        if not all(found.values()):
            TTMapper(infos).map(self.graph)  # raises, with the reason for each ensemble
        made: dict[tuple[Any, ...], list[int]] = {}
        eligible = []
        problems = []
        for k, group in enumerate(self.groups):
            keys = dict.fromkeys(wants[sq] for sq in group)
            together = (*keys, self.memory[k])
            if together not in made:
                first, *others = (found[key] for key in keys)
                sets = [set(other) for other in others]
                allowed = [host for host in first if all(host in hosts for hosts in sets)]
                made[together] = [host for host in allowed if self.fits(k, self.capacity[host])]
                if not allowed:
                    names = " and ".join(self.names[sq] for sq in group)
                    problems.append(f"{names} are placed together, but no ensemble meets the constraints of all")
                elif not made[together]:
                    names = ", ".join(self.names[sq] for sq in group)
                    most = max(self.capacity[host] or 0 for host in allowed)
                    problems.append(
                        f"{names}: needs {self.memory[k]} bytes of memory, but no ensemble that it may be on has more"
                        f" than {most}"
                    )
            eligible.append(made[together])
        if problems:
            raise TTMappingError("the graph cannot be mapped:\n  " + "\n  ".join(problems))
        return eligible

    def fits(self, group: int, free: int | None) -> bool:
        """True if so many free bytes (None: without limit) are enough for a group."""
        return free is None or self.memory[group] <= free

    def _links(self) -> None:
        index = {name: k for k, name in enumerate(self.hosts)}
        self.links_of: list[dict[int, LinkSpec]] = [{} for _ in self.hosts]
        for (one, other), link in self.deployment.links.items():
            self.links_of[index[one]][index[other]] = link
            self.links_of[index[other]][index[one]] = link
        self._transfers: dict[int, int] = {}


class Timeline:
    """The times at which the cores of one host are taken."""

    __slots__ = ("free", "gaps")

    def __init__(self, cores: int) -> None:
        self.free = [0] * cores
        """The times from which each core stays free, in order."""
        self.gaps: list[tuple[int, int]] = []
        """Idle times of a core before that, as (end, start) in order of end."""

    def earliest(self, ready: int, duration: int) -> int:
        """The first possible start of an SQ that is ready then."""
        at = self.free[0] if self.free[0] > ready else ready
        if at > ready and self.gaps:
            for k in range(bisect_right(self.gaps, (ready + duration, -1)), len(self.gaps)):
                end, start = self.gaps[k]
                if start < ready:
                    start = ready
                if start + duration <= end and start < at:
                    at = start
        return at

    def take(self, ready: int, duration: int) -> int:
        """Let an SQ run as early as it can; gives its start."""
        at = self.earliest(ready, duration)
        if at < self.free[0]:
            for k, (end, start) in enumerate(self.gaps):
                if start <= at and at + duration <= end:
                    del self.gaps[k]
                    self._idle(start, at)
                    self._idle(at + duration, end)
                    return at
        # The core that is idle for the shortest time before.
        k = max(bisect_right(self.free, at) - 1, 0)
        self._idle(self.free.pop(k), at)
        insort(self.free, at + duration)
        return at

    def _idle(self, start: int, end: int) -> None:
        if start < end:
            insort(self.gaps, (end, start))
            if len(self.gaps) > GAPS_KEPT:
                del self.gaps[0]


def timelines(problem: MappingProblem) -> list[Timeline]:
    """The hosts' timelines, all free."""
    most = max(len(problem.names), 1)
    return [Timeline(min(cores, most)) for cores in problem.cores]


def schedule_in_order(problem: MappingProblem, host_of: Sequence[int], order: Iterable[int]) -> list[int]:
    """The start of each SQ (us), if SQs in this order take the first time that suits them.

    Args:
        problem: the graph and the deployment.
        host_of: the host of each SQ.
        order: every SQ once, after the sources of its tokens.
    """
    lines: dict[int, Timeline] = {}
    starts = [0] * len(host_of)
    ends = [0] * len(host_of)
    for sq in order:
        host = host_of[sq]
        ready = 0
        for source in problem.before[sq]:
            there = ends[source]
            if host_of[source] != host:
                there += problem.transfer(source, host_of[source], host)
            if there > ready:
                ready = there
        duration = problem.duration(sq, host)
        line = lines.get(host)
        if line is None:
            line = lines[host] = Timeline(min(problem.cores[host], len(host_of)))
        starts[sq] = start = line.take(ready, duration)
        ends[sq] = start + duration
    return starts
