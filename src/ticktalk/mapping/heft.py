"""The default strategy: good mappings in little time.

For latency it uses HEFT (Topcuoglu, Hariri, Wu 2002). SQs go in the order of their upward rank: the longest path from
an SQ to the end in mean times. Each goes to the host where it ends first, into gaps where it fits. Greedy choices are
mended afterwards (`mending.py`). For balance see `balance.py`.

Time grows with (SQs + arcs) x ensembles; the mending has a budget that does not grow.
"""

from __future__ import annotations

from collections.abc import Sequence

from ticktalk.mapping.heft_balance import evened, largest_first
from ticktalk.mapping.heft_mending import mended
from ticktalk.mapping.heft_packing import Room, no_room, packed
from ticktalk.mapping.lower_bound import bound
from ticktalk.mapping.schedule import MappingProblem, Objective, ScheduledMapping, timelines


def heft(problem: MappingProblem, objective: Objective = Objective.latency) -> ScheduledMapping:
    """Map for one objective.

    Raises:
        TTMappingError: the memory of the ensembles is not enough (or no way to use it was found).
    """
    order = rank_order(problem)
    place = _first_to_end if objective is Objective.latency else largest_first
    least = bound(problem, objective)
    host_of = place(problem, order, {})
    if host_of is None:
        host_of = place(problem, order, packed(problem))
    if host_of is None:
        raise no_room()
    if objective is Objective.balance:
        host_of = evened(problem, host_of, least)
    else:
        host_of, order = mended(problem, host_of, order, int(least))
    return problem.plan(objective, host_of, order, least)


def rank_order(problem: MappingProblem) -> list[int]:
    """The SQs in the order of their upward ranks, each after the sources of its tokens."""
    ranks = upward_ranks(problem)
    return _topological(problem, sorted(range(len(ranks)), key=lambda sq: (-ranks[sq], sq)))


def upward_ranks(problem: MappingProblem) -> list[float]:
    """The longest path from each SQ's start to the end of the graph, in mean times and transfers (us)."""
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
    """`order` with every SQ after the sources of its tokens; it differs only where ranks were rounded."""
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
    """The host on which each SQ ends first; None: no memory was left for some SQ.

    Args:
        problem: the graph and the deployment.
        order: of the SQs, the most urgent first.
        fixed: groups whose host is known.
    """
    lines = timelines(problem)
    free = [line.free for line in lines]
    left = Room(problem, fixed)
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
