"""The assignment of SQs to workers: plan Bs have one of their own, so that they start in time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from ticktalk.errors import TTRuntimeError
from ticktalk.graph.sq import TTSQ

ORDINARY = "main"
URGENT = "plan B"
HOME = "home"
"""The worker that is no process: harmless bodies run in threads of the process that keeps time."""
PERSISTENT = "persistent "
"""The name of a persistent SQ's worker begins so; the SQ's name follows."""


class Assignment:
    """Says in which worker an SQ runs.

    The driver of a component lives in one process. All SQs that use it run there, those of other graphs too.

    Args:
        components: the components of the ensemble.
        in_processes: whether workers are processes; threads share the drivers.
    """

    def __init__(self, components: Collection[str], in_processes: bool) -> None:
        self._components = components
        self._in_processes = in_processes
        self._homes: dict[str, str] = {}  # by component that was used: the worker in which its driver lives

    def assign(self, some: Iterable[TTSQ]) -> dict[str, str]:
        """By SQ of one graph, the name of its worker.

        Raises:
            TTRuntimeError: an SQ needs a component that is not here, or components whose drivers live in two processes.
        """
        sqs = list({sq.name: sq for sq in some}.values())
        needs = {sq.name: {name for c in sq.constraints for name in c.components} for sq in sqs}
        for sq, names in needs.items():
            for name in sorted(names.difference(self._components)):
                raise TTRuntimeError(f"{sq} needs component {name!r}, which this ensemble does not have")
        used = {sq.name: needs[sq.name] if sq.body else set() for sq in sqs}
        homes: dict[str, str] = {}
        for group in _together(used.values()):
            home = self._home(group, [sq for sq in sqs if used[sq.name] & group])
            homes |= dict.fromkeys(group, home)
        if self._in_processes:
            self._homes |= homes
        return {sq.name: homes[min(used[sq.name])] if used[sq.name] else _worker_of([sq]) for sq in sqs}

    def _home(self, group: set[str], users: list[TTSQ]) -> str:
        """The worker for components that some SQs use together."""
        there = {name: self._homes[name] for name in sorted(group & self._homes.keys())}
        if len(set(there.values())) > 1:
            listed = ", ".join(f"that of {name!r} in the worker {worker!r}" for name, worker in there.items())
            raise TTRuntimeError(
                f"{', '.join(sq.name for sq in users)}: their components' drivers live in several processes since other"
                f" graphs used them ({listed}): start this ensemble anew and deploy this graph first, or give it"
                " --workers 0"
            )
        return next(iter(there.values())) if there else _worker_of(users)

    def ended(self, worker: str) -> None:
        """A worker has ended, and its drivers with it."""
        self._homes = {name: home for name, home in self._homes.items() if home != worker}


def may_be_at_home(sq: TTSQ) -> bool:
    """True if an SQ has a body that may run at home, should it be harmless."""
    asks = sq.full_token or sq.told or sq.singly or sq.spread or sq.timeout or sq.persistent
    return sq.body and not asks and sq.trigger != "plan_b" and not any(c.components for c in sq.constraints)


def beside(sqs: Sequence[TTSQ], here: Collection[str]) -> dict[str, list[set[str]]]:
    """By name, the bodies here that an SQ here feeds, is fed by, or shares a sender with, in groups.

    Those of a group are at home all together or not at all. So no token crosses to a worker process and back on its
    way, and what a region may hold stays together. Values that stay at their ports are sent once, and do not count.

    Args:
        sqs: those of the graph.
        here: the names of those whose bodies run on this ensemble.
    """
    stays = {(sq.name, at) for sq in sqs for at, port in enumerate(sq.ports) if port.sticky or sq.trigger == "grid"}
    of: dict[str, list[set[str]]] = {}
    for sq in sqs:
        fed = {to.sq for arc in sq.arcs for to in arc.to if (to.sq, to.port) not in stays}
        group = {sq.name, *fed}.intersection(here)
        for name in group:
            of.setdefault(name, []).append(group)
    return of


def reached(of: Mapping[str, Sequence[set[str]]], names: Iterable[str]) -> set[str]:
    """These SQs, and all that are in a group with one of them, and so on."""
    found = set(names)
    waiting = [*found]
    while waiting:
        for group in of.get(waiting.pop(), ()):
            waiting += group - found
            found |= group
    return found


def _worker_of(users: Sequence[TTSQ]) -> str:
    """The worker of SQs that have to share one."""
    if any(sq.trigger == "plan_b" for sq in users):
        return URGENT
    return PERSISTENT + users[0].name if len(users) == 1 and users[0].persistent else ORDINARY


def _together(sets: Collection[set[str]]) -> list[set[str]]:
    """The sets joined, as far as they share something."""
    groups: list[set[str]] = []
    for each in sets:
        if each:
            apart = [group for group in groups if not group & each]
            groups = [*apart, each.union(*(group for group in groups if group & each))]
    return groups
