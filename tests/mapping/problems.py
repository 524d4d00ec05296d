"""Graphs and deployments for the tests of mapping; the checker of schedules; the optimum by exhaustive search."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import product

from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTConstraintSpec, TTDestination, TTInput, TTPort
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec
from ticktalk.mapping.schedule import MappingProblem, Slot


def graph_of(
    arcs: Mapping[str, Sequence[str]],
    constraints: Mapping[str, TTConstraintSpec] | None = None,
    plan_b: Mapping[str, str] | None = None,
) -> TTGraph:
    """A graph whose SQs consume the SQs that `arcs` says (in topological order); each is named like its function."""
    to: dict[str, list[TTDestination]] = {name: [] for name in arcs}
    inputs = []
    for name, sources in arcs.items():
        for port, source in enumerate(sources):
            to[source].append(TTDestination(name, port))
        if not sources:
            inputs.append(TTDestination(name, 0))
    sqs = [
        TTSQ(
            name,
            name,
            ports=[TTPort(str(k)) for k in range(max(1, len(sources)))],
            arcs=[TTArc(to=to[name], output=not to[name])],
            constraints=[constraints[name]] if constraints and name in constraints else [],
            plan_b=(plan_b or {}).get(name),
        )
        for name, sources in arcs.items()
    ]
    graph = TTGraph("g", inputs=[TTInput("trigger", inputs)], sqs=sqs)
    graph.check()
    return graph


def hosts(*speeds: float, cores: int = 1) -> tuple[EnsembleSpec, ...]:
    """Ensembles a, b, ... of these speeds."""
    return tuple(EnsembleSpec(chr(97 + k), speed=Fraction(speed), cores=cores) for k, speed in enumerate(speeds))


def random_problem(seed: int, sqs: int, speeds: Sequence[float] = (1, 2, 4), cores: int = 1) -> MappingProblem:
    """A layered or scattered graph; a token's way takes a tenth of a body's mean time up to as long."""
    chance = random.Random(seed)
    arcs: dict[str, list[str]] = {}
    for k in range(sqs):
        earlier = list(arcs)[-5:]
        wanted = chance.choice([1, 1, 2, 3]) if k and chance.random() < 0.85 else 0
        arcs[f"f{k}"] = chance.sample(earlier, min(wanted, len(earlier)))
    share = chance.uniform(0.1, 1.0)
    costs = {
        name: CostSpec(chance.randint(1_000, 10_000), round(5_500 * share * chance.uniform(0.5, 1.5))) for name in arcs
    }
    # A byte takes a microsecond.
    link = LinkSpec(chance.choice([0, 100]), Fraction(1_000_000))
    return MappingProblem(graph_of(arcs), DeploymentFile("d", hosts(*speeds, cores=cores), default=link, costs=costs))


def tangled_problem(seed: int, sqs: int = 6) -> MappingProblem:
    """As `random_problem`, with all restrictions: constraints, memory, a plan B, links, cores, work of no time."""
    chance = random.Random(seed)
    plain = random_problem(seed, sqs).graph
    arcs: dict[str, list[str]] = {sq.name: [] for sq in plain.sqs}
    for sq in plain.sqs:
        for arc in sq.arcs:
            for to in arc.to:
                arcs[to.sq].append(sq.name)
    names = list(arcs)
    constraints = {names[1]: TTConstraintSpec(["a", "b"]), names[3]: TTConstraintSpec(components=["camera"])}
    ensembles = (
        EnsembleSpec("a", ("camera",), Fraction(1), 2, 60),
        EnsembleSpec("b", ("camera", "gps"), Fraction(3, 2), 1, 50),
        EnsembleSpec("c", (), Fraction(4), chance.choice([1, 2]), 40),
    )
    links = {("a", "c"): LinkSpec(chance.choice([0, 900, 9_000]), Fraction(2_000_000))}
    costs = {
        name: CostSpec(chance.choice([0, 1, 3_000, 5_001, 8_000]), chance.choice([0, 1_500, 4_000]), 20)
        for name in names
    }
    return MappingProblem(
        graph_of(arcs, constraints, {names[2]: names[4]}),
        DeploymentFile("d", ensembles, links, LinkSpec(200, Fraction(1_000_000)), costs),
    )


def least_latency(problem: MappingProblem, at_most: int) -> int:
    """The optimum below `at_most`: a search in depth, SQs in the order of starts, each on each host's first core."""
    count = len(problem.names)
    shortest = [problem.duration(k, problem.eligible[problem.group[k]][0]) for k in range(count)]
    tails = [0] * count
    for k in reversed(range(count)):
        tails[k] = shortest[k] + max((tails[target] for target in problem.after[k]), default=0)
    best = at_most
    ends: dict[int, tuple[int, int]] = {}
    free = [[0] * cores for cores in problem.cores]

    def search(last: int, latency: int) -> None:
        nonlocal best
        if len(ends) == count:
            best = min(best, latency)
            return
        for sq in range(count):
            if sq in ends or any(source not in ends for source in problem.before[sq]):
                continue
            group = problem.group[sq]
            together = [ends[other][1] for other in problem.groups[group] if other in ends]
            for host in together[:1] or problem.eligible[group]:
                room = problem.capacity[host]
                if not together and room is not None:
                    here = {problem.group[other] for other, (_, at) in ends.items() if at == host}
                    if sum(problem.memory[k] for k in {*here, group}) > room:
                        continue
                lane = free[host].index(min(free[host]))
                was = free[host][lane]
                start = max(
                    [was]
                    + [
                        ends[source][0] + problem.transfer(source, ends[source][1], host)
                        for source in problem.before[sq]
                    ]
                )
                # Any schedule can be made in the order of starts, so the others need no look.
                if start < last or start + problem.duration(sq, host) + tails[sq] - shortest[sq] >= best:
                    continue
                end = start + problem.duration(sq, host)
                ends[sq] = (end, host)
                free[host][lane] = end
                search(start, max(latency, end))
                del ends[sq]
                free[host][lane] = was

    search(0, 0)
    return best


def least_balance(problem: MappingProblem) -> Fraction:
    """The optimum over every placement that is allowed."""
    best = None
    for at in product(*problem.eligible):
        need = [0] * len(problem.hosts)
        for group, host in enumerate(at):
            need[host] += problem.memory[group]
        if all(room is None or room >= used for room, used in zip(problem.capacity, need, strict=True)):
            load = problem.balance([at[group] for group in problem.group])
            best = load if best is None or load < best else best
    assert best is not None
    return best


def check_schedule(problem: MappingProblem, schedule: Iterable[Slot]) -> list[str]:
    """The mistakes of a schedule under the model, a line each; empty when it is valid."""
    wrong: list[str] = []
    slot_of: dict[int, Slot] = {}
    index = {name: k for k, name in enumerate(problem.names)}
    hosts = {name: k for k, name in enumerate(problem.hosts)}
    for slot in schedule:
        if slot.sq not in index or slot.ensemble not in hosts or index[slot.sq] in slot_of:
            wrong.append(f"{slot.sq} on {slot.ensemble}: not known, or there twice")
        else:
            slot_of[index[slot.sq]] = slot
    wrong += [f"{name}: not scheduled" for name, k in index.items() if k not in slot_of]
    if wrong:
        return wrong
    host_of = [hosts[slot_of[sq].ensemble] for sq in range(len(problem.names))]
    for sq, slot in sorted(slot_of.items()):
        if host_of[sq] not in problem.eligible[problem.group[sq]]:
            wrong.append(f"{slot.sq}: must not be on {slot.ensemble}")
        if slot.start < 0 or slot.end - slot.start != problem.duration(sq, host_of[sq]):
            wrong.append(f"{slot.sq}: runs from {slot.start} to {slot.end}")
        for source in problem.before[sq]:
            there = slot_of[source].end + problem.transfer(source, host_of[source], host_of[sq])
            if slot.start < there:
                wrong.append(f"{slot.sq}: starts at {slot.start}, but a token is there at {there}")
    for group in problem.groups:
        if len({host_of[sq] for sq in group}) > 1:
            wrong.append(f"{', '.join(problem.names[sq] for sq in group)}: not together")
    for host, capacity in enumerate(problem.capacity):
        need = sum(problem.needs[sq] for sq, at in enumerate(host_of) if at == host)
        if capacity is not None and need > capacity:
            wrong.append(f"{problem.hosts[host]}: needs {need} bytes, has {capacity}")
    for host in set(host_of):
        wrong += _overlaps(problem, host, [slot_of[sq] for sq, at in enumerate(host_of) if at == host])
    return wrong


def _overlaps(problem: MappingProblem, host: int, slots: list[Slot]) -> list[str]:
    # An end before a start at the same time frees the core; an SQ that takes no time still wants a free one.
    changes = sorted(
        [(slot.end, 0, -1) for slot in slots if slot.end > slot.start]
        + [(slot.start, 1, 0) for slot in slots if slot.end == slot.start]
        + [(slot.start, 2, 1) for slot in slots if slot.end > slot.start]
    )
    running = 0
    for at, _, change in changes:
        running += change
        if running + (change == 0) > problem.cores[host]:
            return [f"{problem.hosts[host]}: more than {problem.cores[host]} SQs at {at}"]
    return []
