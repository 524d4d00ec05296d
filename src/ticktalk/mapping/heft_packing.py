"""Memory of hosts: how much is left, and packings that fit where it is tight."""

from __future__ import annotations

from collections.abc import Sequence

from ticktalk.errors import TTMappingError
from ticktalk.mapping.schedule import MappingProblem

PACKINGS = 200_000
"""Steps after which the search for a packing ends."""


class Room:
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
    """True if the memory of the hosts is enough for this placement."""
    if not problem.scarce:
        return True
    room = Room(problem, {group: host_of[sqs[0]] for group, sqs in enumerate(problem.groups)})
    return all(free is None or free >= 0 for free in room.free)


def packed(problem: MappingProblem) -> dict[int, int]:
    """A host with room for each group that needs memory: a search in depth, the largest and least movable first.

    Each goes to the fastest host that has room; if that leads nowhere, to the one that it fills best.

    Raises:
        TTMappingError: there is none, or it was not found within `PACKINGS` steps either way.
    """
    found = _search_packing(problem, tightest_first=False) or _search_packing(problem, tightest_first=True)
    if found is None:
        raise no_room()
    return found


def _search_packing(problem: MappingProblem, tightest_first: bool) -> dict[int, int] | None:
    groups = sorted(
        (group for group, need in enumerate(problem.memory) if need),
        key=lambda group: (-problem.memory[group], len(problem.eligible[group])),
    )
    # If all may be anywhere, hosts with equally much room left are as good as one another.
    alike = len({id(problem.eligible[group]) for group in groups}) == 1
    room = Room(problem, {})

    def hosts_for(group: int) -> list[int]:
        """The hosts with room, the one to try first at the end."""
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


def no_room() -> TTMappingError:
    return TTMappingError(
        "no mapping was found in which the memory of the ensembles is enough for the SQs: give the ensembles of the"
        " deployment file more `memory`, or the costs less, or look longer with `ticktalk map --strategy optimal`"
    )
