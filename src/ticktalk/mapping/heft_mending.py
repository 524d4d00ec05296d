"""Mappings for latency, made better: SQs of the critical path go to other hosts or places in the order, at random.

The seed is fixed, and so is the number of schedules that are tried, so a graph always gets the same mapping.
"""

from __future__ import annotations

import random

from ticktalk.mapping.heft_packing import has_room
from ticktalk.mapping.schedule import MappingProblem, schedule_in_order

TRIES = 3_000
"""Schedules that are tried at most."""

PLACEMENTS = 300_000
"""SQs that are placed at most in these tries."""


def mended(problem: MappingProblem, host_of: list[int], order: list[int], least: int) -> tuple[list[int], list[int]]:
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
        """A chain of SQs, each of which starts as soon as the one before permits, up to the last end."""
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
