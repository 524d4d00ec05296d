"""The default strategy: good mappings in little time.

For latency HEFT (Topcuoglu, Hariri, Wu 2002): SQs in the order of their upward rank, the longest way from an SQ to the
end in mean times, each to the host where it ends first, into gaps where it fits. Greedy choices are then mended: SQs of
the critical way are moved and re-ordered at random, with a fixed seed, as long as the budget lasts.

For balance the largest group first, each to the host that is then the least loaded; then moves and swaps away from the
most loaded host.

Time grows with (SQs + arcs) x ensembles; the mending has a budget that does not grow.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

from ticktalk.errors import TTMappingError
from ticktalk.mapping.bound import bound
from ticktalk.mapping.schedule import (
    MappingProblem,
    Objective,
    Plan,
    schedule_in_order,
    timelines,
)

TRIES = 3_000
"""Schedules that are tried at most to mend a mapping for latency."""

PLACEMENTS = 300_000
"""SQs that are placed at most in these tries."""

SWAPS = 3_000_000
"""Moves and swaps that are looked at at most to mend a balance."""

SHAKES, SHAKEN = 60, 200
"""How often a balance is shaken up, and of how many groups at most."""

PACKINGS = 200_000
"""Steps in which a packing is looked for when memory is tight."""


def heft(problem: MappingProblem, objective: Objective = Objective.latency) -> Plan:
    """Map for one objective.

    Raises:
        TTMappingError: the memory of the ensembles is not enough (or no way to use it was found).
    """
    order = rank_order(problem)
    place = _first_to_end if objective is Objective.latency else _largest_first
    least = bound(problem, objective)
    host_of = place(problem, order, {})
    if host_of is None:
        host_of = place(problem, order, _packed(problem))
    if host_of is None:
        raise _no_room()
    if objective is Objective.balance:
        host_of = _evened(problem, host_of, least)
    else:
        host_of, order = _mend(problem, host_of, order, int(least))
    return problem.plan(objective, host_of, order, least)


def rank_order(problem: MappingProblem) -> list[int]:
    """The SQs in the order of their upward ranks, each after those whose tokens it consumes."""
    ranks = upward_ranks(problem)
    return _topological(problem, sorted(range(len(ranks)), key=lambda sq: (-ranks[sq], sq)))


def upward_ranks(problem: MappingProblem) -> list[float]:
    """The longest way from each SQ's start to the end of the graph, in mean times and transfers (us)."""
    count = len(problem.hosts)
    pairs = count * (count - 1) / 2
    deployment = problem.deployment
    links = list(deployment.links.values())
    rest = pairs - len(links)
    latency = flow = 0.0  # of the mean link: us, us per byte
    if pairs:
        for link, times in [*((link, 1.0) for link in links), (deployment.default, rest)]:
            latency += times * link.latency / pairs
            if link.bandwidth is not None:
                flow += times * 1e6 / float(link.bandwidth) / pairs
    slowness = [float(1 / speed) for speed in problem.speeds]
    means: dict[int, float] = {}
    ranks = [0.0] * len(problem.names)
    for sq in reversed(range(len(ranks))):
        eligible = problem.eligible[problem.group[sq]]
        if id(eligible) not in means:
            means[id(eligible)] = sum(slowness[host] for host in eligible) / len(eligible)
        rest = max((ranks[target] for target in problem.after[sq]), default=0.0)
        if problem.after[sq]:
            rest += latency + flow * problem.sizes[sq]
        ranks[sq] = problem.work[sq] * means[id(eligible)] + rest
    return ranks


def _topological(problem: MappingProblem, order: Sequence[int]) -> list[int]:
    """`order` with every SQ after those whose tokens it consumes; ranks have it so, but for rounding."""
    done = [False] * len(order)
    made: list[int] = []
    for sq in order:
        stack = [sq]
        while stack:
            if done[stack[-1]]:
                stack.pop()
            elif missing := [source for source in problem.before[stack[-1]] if not done[source]]:
                stack += missing
            else:
                done[stack[-1]] = True
                made.append(stack.pop())
    return made


def _first_to_end(problem: MappingProblem, order: Sequence[int], fixed: dict[int, int]) -> list[int] | None:
    """Each SQ's host: where it ends first; None: no memory was left for some SQ.

    Args:
        problem: what is mapped.
        order: of the SQs, the most urgent first.
        fixed: groups whose host is known.
    """
    lines = timelines(problem)
    free = [line.free for line in lines]
    left = _Room(problem, fixed)
    host_of = [-1] * len(order)
    ends = [0] * len(order)
    at_group = {group: [host] for group, host in fixed.items()}
    group_of, speed_class, links_of = problem.group, problem.speed_class, problem.links_of
    for sq in order:
        # When its inputs are at a host: `remote` wherever nothing is nearer or has a link of its own to one.
        remote = 0
        special: set[int] = set()
        sources: dict[tuple[int, int], tuple[int, int]] = {}  # (host, bytes) -> (last end, SQ)
        for source in problem.before[sq]:
            key = (host_of[source], problem.sizes[source])
            if key not in sources or sources[key][0] < ends[source]:
                sources[key] = (ends[source], source)
        for (host, _), (end, source) in sources.items():
            remote = max(remote, end + problem.default_transfer(source))
            special.add(host)
            special.update(links_of[host])
        group = group_of[sq]
        eligible = at_group.get(group) or problem.eligible[group]
        row = problem.durations(sq)
        need = problem.memory[group] if group not in at_group else 0
        room = left.free
        best = best_ready = -1
        best_end = 1 << 62
        for host in eligible:
            duration = row[speed_class[host]]
            if host in special:
                ready = 0
                for (other, _), (end, source) in sources.items():
                    there = end + problem.transfer(source, other, host)
                    if there > ready:
                        ready = there
            else:
                ready = remote
            # Mostly this is all: the host is too slow, or too busy and without gaps.
            if ready + duration >= best_end:
                continue
            if need and (have := room[host]) is not None and have < need:
                continue
            start = free[host][0]
            if start <= ready:
                start = ready
            elif lines[host].gaps:
                start = lines[host].earliest(ready, duration)
            if start + duration < best_end:
                best, best_ready, best_end = host, ready, start + duration
        if best < 0:
            return None
        if group not in at_group:
            at_group[group] = [best]
            left.take(group, best)
        host_of[sq] = best
        duration = row[speed_class[best]]
        ends[sq] = lines[best].take(best_ready, duration) + duration
    return host_of


class _Room:
    """The memory that hosts have left."""

    def __init__(self, problem: MappingProblem, fixed: dict[int, int]) -> None:
        self.memory = problem.memory
        self.free = list(problem.capacity)
        for group, host in fixed.items():
            self.take(group, host)

    def take(self, group: int, host: int, back: bool = False) -> None:
        have = self.free[host]
        if have is not None:
            self.free[host] = have + self.memory[group] if back else have - self.memory[group]

    def has(self, host: int, need: int) -> bool:
        have = self.free[host]
        return have is None or need <= have


def has_room(problem: MappingProblem, host_of: Sequence[int]) -> bool:
    """Whether the memory of the hosts is enough for this placement."""
    if not problem.scarce:
        return True
    room = _Room(problem, {group: host_of[sqs[0]] for group, sqs in enumerate(problem.groups)})
    return all(free is None or free >= 0 for free in room.free)


def _packed(problem: MappingProblem) -> dict[int, int]:
    """A host with room for each group that needs memory: a search in depth, the largest and least movable first.

    Each goes to the fastest host that has room; if that leads nowhere, to the one that it fills best.

    Raises:
        TTMappingError: there is none, or it was not found within `PACKINGS` steps either way.
    """
    found = _search_packing(problem, tightest_first=False) or _search_packing(problem, tightest_first=True)
    if found is None:
        raise _no_room()
    return found


def _search_packing(problem: MappingProblem, tightest_first: bool) -> dict[int, int] | None:
    groups = sorted(
        (group for group, need in enumerate(problem.memory) if need),
        key=lambda group: (-problem.memory[group], len(problem.eligible[group])),
    )
    # If all may be anywhere, hosts with equally much room left are as good as one another.
    alike = len({id(problem.eligible[group]) for group in groups}) == 1
    room = _Room(problem, {})

    def hosts_for(group: int) -> list[int]:
        """Those with room, the one to try first at the end."""
        hosts = [host for host in problem.eligible[group] if room.has(host, problem.memory[group])]
        if tightest_first:
            hosts.sort(key=lambda host: float("inf") if (left := room.free[host]) is None else left)
        if alike:
            hosts = list({room.free[host]: host for host in reversed(hosts)}.values())
            return hosts if tightest_first else sorted(hosts, key=lambda host: problem.speeds[host])
        return hosts[::-1]

    chosen: list[int] = []  # the host of each group so far
    untried: list[list[int]] = []  # for each of them and the next, the hosts that are left to try
    for _ in range(PACKINGS):
        if len(chosen) == len(groups):
            return dict(zip(groups, chosen, strict=True))
        if len(untried) == len(chosen):
            untried.append(hosts_for(groups[len(chosen)]))
        if untried[-1]:
            chosen.append(untried[-1].pop())
            room.take(groups[len(chosen) - 1], chosen[-1])
            continue
        untried.pop()
        if not chosen:
            break
        room.take(groups[len(chosen) - 1], chosen.pop(), back=True)
    return None


def _no_room() -> TTMappingError:
    return TTMappingError(
        "no mapping was found in which the memory of the ensembles is enough for the SQs: give the ensembles of the"
        " deployment file more `memory`, or the costs less, or look longer with --strategy optimal"
    )


# Latency, mended.


def _mend(problem: MappingProblem, host_of: list[int], order: list[int], least: int) -> tuple[list[int], list[int]]:
    """A better placement and order of the SQs, if one is found within the budget."""
    count = len(order)
    tries = min(TRIES, PLACEMENTS // max(count, 1))
    movable = [sq for sq in range(count) if len(problem.eligible[problem.group[sq]]) > 1]
    if count < 2 or tries < 10:
        return host_of, order
    chance = random.Random(1)
    best = _Candidate(problem, host_of, order)
    # All on one host takes no transfers: the start for graphs in which these outweigh the rest.
    for host in sorted(range(len(problem.hosts)), key=lambda host: -problem.speeds[host])[:3]:
        alone = _all_on(problem, host_of, host)
        if alone is not None:
            candidate = _Candidate(problem, alone, order)
            if candidate.latency < best.latency:
                best = candidate
    current = best
    since = 0
    for _ in range(tries):
        if best.latency <= least:
            break
        moved = current.moved(chance, movable)
        if moved is None:
            continue
        if moved.latency <= current.latency:
            since = 0 if moved.latency < current.latency else since + 1
            current = moved
        else:
            since += 1
        if current.latency < best.latency:
            best = current
        if since > 40 + 4 * count:
            # Stuck: go on from somewhere near the best.
            since = 0
            current = best
            for _ in range(3):
                current = current.moved(chance, movable) or current
    return best.host_of, best.order


def _all_on(problem: MappingProblem, host_of: list[int], host: int) -> list[int] | None:
    made = [host if host in problem.eligible[problem.group[sq]] else at for sq, at in enumerate(host_of)]
    return made if has_room(problem, made) else None


class _Candidate:
    """A placement, an order, and the schedule they make."""

    def __init__(self, problem: MappingProblem, host_of: list[int], order: list[int]) -> None:
        self.problem = problem
        self.host_of = host_of
        self.order = order
        self.starts = schedule_in_order(problem, host_of, order)
        self.ends = [
            start + problem.duration(sq, host)
            for sq, (start, host) in enumerate(zip(self.starts, host_of, strict=True))
        ]
        self.latency = max(self.ends)
        self._critical: list[int] | None = None

    def critical(self) -> list[int]:
        """A chain of SQs, each of which starts when the one before lets it, up to the last end."""
        if self._critical is None:
            problem = self.problem
            ended: dict[tuple[int, int], list[int]] = {}
            for sq, end in enumerate(self.ends):
                ended.setdefault((self.host_of[sq], end), []).append(sq)
            at = self.ends.index(self.latency)
            chain = [at]
            seen = {at}
            while self.starts[at]:
                start, host = self.starts[at], self.host_of[at]
                held_by = [
                    source
                    for source in problem.before[at]
                    if self.ends[source] + problem.transfer(source, self.host_of[source], host) == start
                ] or ended.get((host, start), [])
                held_by = [sq for sq in held_by if sq not in seen]
                if not held_by:
                    break
                at = held_by[0]
                seen.add(at)
                chain.append(at)
            self._critical = chain
        return self._critical

    def moved(self, chance: random.Random, movable: list[int]) -> _Candidate | None:
        """A neighbour: an SQ (with its group) on another host, or at another place in the order; None: none there."""
        problem = self.problem
        sq = chance.choice(self.critical()) if chance.random() < 0.6 else chance.randrange(len(self.order))
        host_of, order = self.host_of, self.order
        if movable and chance.random() < 0.65:
            group = problem.group[sq]
            if len(problem.eligible[group]) < 2:
                sq = chance.choice(movable)
                group = problem.group[sq]
            host, left = chance.choice(problem.eligible[group]), host_of[sq]
            if host == left:
                return None
            host_of = list(host_of)
            self._put(host_of, group, host)
            if chance.random() < 0.3:
                # Often a whole stretch belongs together: take a neighbour along.
                near = problem.before[sq] + problem.after[sq]
                if near and host in problem.eligible[other := problem.group[chance.choice(near)]]:
                    self._put(host_of, other, host)
            elif chance.random() < 0.3 or not has_room(self.problem, host_of):
                # An exchange: where memory is tight there is often no other way.
                there = [other for other, at in enumerate(host_of) if at == host and problem.group[other] != group]
                if there and left in problem.eligible[other := problem.group[chance.choice(there)]]:
                    self._put(host_of, other, left)
            if not has_room(self.problem, host_of):
                return None
            if chance.random() < 0.7:
                return _Candidate(problem, host_of, order)
        order = list(order)
        at = order.index(sq)
        # It may stand after the last of its sources and before the first of its targets.
        sources, targets = set(problem.before[sq]), set(problem.after[sq])
        low = at
        while low > 0 and order[low - 1] not in sources:
            low -= 1
        high = at
        while high + 1 < len(order) and order[high + 1] not in targets:
            high += 1
        if low == high:
            return None if host_of is self.host_of else _Candidate(problem, host_of, order)
        del order[at]
        order.insert(chance.randint(low, high), sq)
        return _Candidate(problem, host_of, order)

    def _put(self, host_of: list[int], group: int, host: int) -> None:
        for member in self.problem.groups[group]:
            host_of[member] = host


# Balance.


def _largest_first(problem: MappingProblem, order: Sequence[int], fixed: dict[int, int]) -> list[int] | None:
    """Each SQ's host: the largest group first, to the least loaded; None: no memory was left for some group."""
    host_of = [-1] * len(order)
    work = [sum(problem.work[sq] for sq in group) for group in problem.groups]
    cost = _cost(problem)
    loads = [0.0] * len(problem.hosts)
    room = _Room(problem, fixed)
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
    # What takes no time burdens nobody: it goes where its tokens come from, or go to.
    for sq, group in enumerate(problem.group):
        if not work[group] and not problem.memory[group] and problem.groups[group][0] == sq and group not in fixed:
            near = [host_of[other] for other in problem.before[sq] + problem.after[sq]]
            host = next((host for host in near if host in problem.eligible[group]), host_of[sq])
            for member in problem.groups[group]:
                host_of[member] = host
    return host_of


def _cost(problem: MappingProblem) -> list[float]:
    """What a microsecond of work on the reference adds to each host's load."""
    return [float(1 / (speed * cores)) for speed, cores in zip(problem.speeds, problem.cores, strict=True)]


def _evened(problem: MappingProblem, host_of: list[int], least: Fraction) -> list[int]:
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
    """Move groups off the most loaded host, or swap them with others, as long as that helps. The budget left."""
    work = [sum(problem.work[sq] for sq in group) for group in problem.groups]
    cost = _cost(problem)
    allowed = {id(hosts): frozenset(hosts) for hosts in problem.eligible}
    at = [host_of[sqs[0]] for sqs in problem.groups]
    members: list[set[int]] = [set() for _ in problem.hosts]
    for group, host in enumerate(at):
        members[host].add(group)
    room = _Room(problem, dict(enumerate(at)))
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
