"""Lower bounds of a mapping's objective, by which one sees how far a mapping may be from the best."""

from __future__ import annotations

from fractions import Fraction

from ticktalk.mapping.schedule import MappingProblem, Objective

PATH_LIMIT = 3_000_000
"""SQs times (hosts + links) up to which the longest path through the graph is followed host by host."""

WINDOWS_LIMIT = 60
"""SQs up to which every window between a head and a tail is examined."""


def bound(problem: MappingProblem, objective: Objective) -> Fraction:
    """A lower bound for the objective, in us."""
    if not problem.names:
        return Fraction(0)
    if objective is Objective.balance:
        return max(_largest_group(problem), _area(problem, range(len(problem.names))))
    heads = _heads(problem)
    shortest = [_shortest(problem, sq) for sq in range(len(problem.names))]
    tails = _tails(problem, shortest)
    best = max(Fraction(head + length) for head, length in zip(heads, shortest, strict=True))
    links = sum(len(links) for links in problem.links_of)
    if len(problem.names) * (len(problem.hosts) + links) <= PATH_LIMIT:
        best = max(best, Fraction(_longest_path(problem)))
    best = max(best, _area(problem, range(len(problem.names))))
    if len(problem.names) <= WINDOWS_LIMIT:
        for head in set(heads):
            for tail in set(tails):
                inside = [sq for sq in range(len(heads)) if heads[sq] >= head and tails[sq] >= tail]
                if inside:
                    best = max(best, head + tail + _area(problem, inside))
    return Fraction(-(-best.numerator // best.denominator))  # ends are whole microseconds


def _shortest(problem: MappingProblem, sq: int) -> int:
    return problem.duration(sq, problem.eligible[problem.group[sq]][0])


def _heads(problem: MappingProblem) -> list[int]:
    """The earliest start of each SQ, if its inputs came in no time and ran on their fastest hosts."""
    heads = [0] * len(problem.names)
    for sq, sources in enumerate(problem.before):
        heads[sq] = max((heads[source] + _shortest(problem, source) for source in sources), default=0)
    return heads


def _tails(problem: MappingProblem, shortest: list[int]) -> list[int]:
    """The least time from each SQ's end to the end of the graph."""
    tails = [0] * len(shortest)
    for sq in reversed(range(len(shortest))):
        tails[sq] = max((tails[target] + shortest[target] for target in problem.after[sq]), default=0)
    return tails


def _longest_path(problem: MappingProblem) -> int:
    """The longest path through the graph, every SQ on the best host for it.

    Cores are free at any time, with one exception. Sources of an SQ whose tokens would come too late from elsewhere run
    on its own host, and share the cores there.
    """
    ends: list[dict[int, int]] = []
    least: list[int] = []  # of an SQ's token anywhere else, links of their own apart
    for sq, sources in enumerate(problem.before):
        mine: dict[int, int] = {}
        row = problem.durations(sq)
        far = [least[source] + problem.default_transfer(source) for source in sources]
        for host in problem.eligible[problem.group[sq]]:
            ready = 0
            near: list[tuple[int, int, int, int]] = []  # (from elsewhere, start here, end here, duration here)
            links = problem.links_of[host]
            for source, there in zip(sources, far, strict=True):
                for other, link in links.items():
                    end = ends[source].get(other)
                    if end is not None and end < there:
                        there = min(there, end + link.transfer(problem.sizes[source]))
                own = ends[source].get(host)
                if own is not None and own < there:
                    length = problem.durations(source)[problem.speed_class[host]]
                    near.append((there, own - length, own, length))
                elif there > ready:
                    ready = there
            if near:
                ready = max(ready, near[0][2]) if len(near) == 1 else _together(near, ready, problem.cores[host])
            mine[host] = ready + row[problem.speed_class[host]]
        ends.append(mine)
        least.append(min(mine.values()))
    return max(min(mine.values()) for mine in ends)


def _together(near: list[tuple[int, int, int, int]], ready: int, cores: int) -> int:
    """The earliest time at which all these tokens are here, if the best number of them is made here."""
    near.sort(reverse=True)
    best = max(ready, near[0][0])  # all from elsewhere
    here: list[tuple[int, int, int, int]] = []
    for k, entry in enumerate(near):
        here.append(entry)
        rest = near[k + 1][0] if k + 1 < len(near) else 0  # the last of the others comes from elsewhere
        at = max(ready, max(end for _, _, end, _ in here))
        work = 0
        for _, start, _, length in sorted(here, key=lambda source: -source[1]):
            work += length
            at = max(at, start - (-work // cores))
        best = min(best, max(at, rest))
        if rest <= at:
            break  # more of them here take no less
    return best


def _area(problem: MappingProblem, sqs: range | list[int]) -> Fraction:
    """The work of these SQs, spread evenly over the cores that may do it: all cores, and those of each constraint."""
    work: dict[int, int] = {}
    hosts: dict[int, list[int]] = {}
    for sq in sqs:
        eligible = problem.eligible[problem.group[sq]]
        work[id(eligible)] = work.get(id(eligible), 0) + problem.work[sq]
        hosts[id(eligible)] = eligible
    best = Fraction(0)
    sets = {key: frozenset(eligible) for key, eligible in hosts.items()}
    unions = (
        {*sets.values(), frozenset().union(*sets.values())} if len(sets) <= 50 else {frozenset().union(*sets.values())}
    )
    for union in unions:
        inside = sum(amount for key, amount in work.items() if sets[key] <= union)
        best = max(best, inside / sum((problem.speeds[host] * problem.cores[host] for host in union), Fraction(0)))
    return best


def _largest_group(problem: MappingProblem) -> Fraction:
    """The load that the largest group gives to the host that bears it best."""
    best = Fraction(0)
    power = [speed * cores for speed, cores in zip(problem.speeds, problem.cores, strict=True)]
    strongest: dict[int, Fraction] = {}
    for group, eligible in zip(problem.groups, problem.eligible, strict=True):
        most = strongest.get(id(eligible))
        if most is None:
            most = strongest[id(eligible)] = max(power[host] for host in eligible)
        best = max(best, sum(problem.work[sq] for sq in group) / most)
    return best
