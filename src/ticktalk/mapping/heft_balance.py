"""Mappings for balance: the largest group first, to the least loaded host; then moves and swaps even out the loads."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

from ticktalk.mapping.heft_packing import Room, has_room
from ticktalk.mapping.schedule import MappingProblem

SWAPS = 3_000_000
"""At most so many moves and swaps are examined to even out a balance."""

SHAKES, SHAKEN = 60, 200
"""The number of times that a balance is shaken up, and of the groups of it at most."""


def largest_first(problem: MappingProblem, order: Sequence[int], fixed: dict[int, int]) -> list[int] | None:
    """The host of each SQ: the largest group first, to the least loaded; None: no memory was left for some group."""
    host_of = [-1] * len(order)
    work = [sum(problem.work[sq] for sq in group) for group in problem.groups]
    cost = _cost(problem)
    loads = [0.0] * len(problem.hosts)
    room = Room(problem, fixed)
    for group in sorted(range(len(work)), key=lambda group: (-work[group], len(problem.eligible[group]))):
        amount, need, best, best_load = work[group], problem.memory[group], -1, float("inf")
        if group in fixed:
            best = fixed[group]
        else:
            for host in problem.eligible[group]:
                load = loads[host] + amount * cost[host]
                if load < best_load and (not need or room.has(host, need)):
                    best, best_load = host, load
            if best < 0:
                return None
            room.take(group, best)
        loads[best] += amount * cost[best]
        for sq in problem.groups[group]:
            host_of[sq] = best
    # An SQ that takes no time burdens no host: it goes where its tokens come from, or go to.
    for sq, group in enumerate(problem.group):
        if not work[group] and not problem.memory[group] and problem.groups[group][0] == sq and group not in fixed:
            near = [host_of[other] for other in problem.before[sq] + problem.after[sq]]
            host = next((host for host in near if host in problem.eligible[group]), host_of[sq])
            for member in problem.groups[group]:
                host_of[member] = host
    return host_of


def _cost(problem: MappingProblem) -> list[float]:
    """The load that a microsecond of work on the reference adds to each host."""
    return [float(1 / (speed * cores)) for speed, cores in zip(problem.speeds, problem.cores, strict=True)]


def evened(problem: MappingProblem, host_of: list[int], least: Fraction) -> list[int]:
    """A better balance, if one is found within the budget; small problems are shaken up when they are stuck."""
    budget = _even_out(problem, host_of, least, SWAPS)
    best, best_load = host_of, problem.balance(host_of)
    movable = [group for group, hosts in enumerate(problem.eligible) if len(hosts) > 1]
    if not movable or len(problem.groups) > SHAKEN:
        return best
    chance = random.Random(1)
    for _ in range(SHAKES):
        if budget <= 0 or best_load <= least:
            break
        shaken = list(best)
        for group in chance.sample(movable, min(chance.randint(2, 4), len(movable))):
            host = chance.choice(problem.eligible[group])
            for sq in problem.groups[group]:
                shaken[sq] = host
        if not has_room(problem, shaken):
            continue
        budget = _even_out(problem, shaken, least, budget)
        load = problem.balance(shaken)
        if load <= best_load:
            best, best_load = shaken, load
    return best


def _even_out(problem: MappingProblem, host_of: list[int], least: Fraction, budget: int) -> int:
    """Move groups off the most loaded host, or swap them with others, as long as that helps.

    Gives the budget that is left.
    """
    work = [sum(problem.work[sq] for sq in group) for group in problem.groups]
    cost = _cost(problem)
    allowed = {id(hosts): frozenset(hosts) for hosts in problem.eligible}
    at = [host_of[sqs[0]] for sqs in problem.groups]
    members: list[set[int]] = [set() for _ in problem.hosts]
    for group, host in enumerate(at):
        members[host].add(group)
    room = Room(problem, dict(enumerate(at)))
    loads = [sum(work[group] for group in groups) * cost[host] for host, groups in enumerate(members)]

    def may(group: int, host: int) -> bool:
        return host in allowed[id(problem.eligible[group])]

    def move(group: int, host: int) -> None:
        room.take(group, at[group], back=True)
        room.take(group, host)
        for here, sign in ((at[group], -1), (host, 1)):
            loads[here] += sign * work[group] * cost[here]
        members[at[group]].remove(group)
        members[host].add(group)
        at[group] = host

    while budget > 0:
        full = max(range(len(loads)), key=loads.__getitem__)
        worst = loads[full]
        if worst <= float(least) * (1 + 1e-12):
            break
        best: tuple[float, int, int, int] | None = None  # the larger of the two loads, group, host, group in return
        limit = worst * (1 - 1e-9)
        for group in sorted(members[full], key=lambda group: -work[group]):
            if budget <= 0 or not work[group]:
                break
            budget -= len(problem.eligible[group])
            for host in problem.eligible[group]:
                load = max(loads[host] + work[group] * cost[host], worst - work[group] * cost[full])
                if host != full and load < limit and room.has(host, problem.memory[group]):
                    best, limit = (load, group, host, -1), load
        if best is None:
            for group in sorted(members[full], key=lambda group: -work[group]):
                if budget <= 0:
                    break
                for host in problem.eligible[group]:
                    if host == full:
                        continue
                    budget -= len(members[host])
                    for other in members[host]:
                        gain = work[group] - work[other]
                        load = max(worst - gain * cost[full], loads[host] + gain * cost[host])
                        if gain > 0 and load < limit and may(other, full):
                            more = problem.memory[group] - problem.memory[other]
                            if room.has(host, more) and room.has(full, -more):
                                best, limit = (load, group, host, other), load
                    if budget <= 0:
                        break
        if best is None:
            break
        _, group, host, other = best
        move(group, host)
        if other >= 0:
            move(other, full)
    for group, host in enumerate(at):
        for sq in problem.groups[group]:
            host_of[sq] = host
    return budget
