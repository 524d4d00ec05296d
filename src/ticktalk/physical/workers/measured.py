"""Measurements of the bodies of a context on a device, and of its deadlines.

State: a count of the deadlines that were kept, for each firing rule. It lives as long as that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from weakref import WeakKeyDictionary

from ticktalk.engine.context import Context
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.matching import Waiting
from ticktalk.hosted.body_runner import Measured, Work
from ticktalk.payloads import Place
from ticktalk.physical.workers.worker_body import WorkerBody
from ticktalk.series import BySQ


class KeptDeadlines:
    """Counts of the deadlines that were kept; owned by the timekeeper."""

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[DeadlineSync, list[int]] = WeakKeyDictionary()

    def watch(self, context: Context) -> None:
        """Count at the deadlines that were placed since the last call."""
        for sync in context.syncs.values():
            if isinstance(sync, DeadlineSync) and sync not in self._counts:
                self._count(sync)

    def _count(self, sync: DeadlineSync) -> None:
        meet, counted = sync.meet, [0]

        def met(deadline: Waiting, data: Waiting) -> None:
            counted[0] += 1
            meet(deadline, data)

        sync.meet = met  # type: ignore[method-assign]
        self._counts[sync] = counted

    def of(self, context: Context) -> dict[str, int]:
        """By deadline SQ, how many were kept here."""
        counts = self._counts
        return {
            name: counts[sync][0]
            for name, sync in context.syncs.items()
            if isinstance(sync, DeadlineSync) and sync in counts
        }


def measured(
    bodies: Iterable[WorkerBody], together: Collection[str], in_processes: bool, kept: Mapping[str, int], profile: bool
) -> Measured:
    """The measurements of a context.

    Args:
        bodies: its bodies.
        together: the SQs that cross to their worker as one piece.
        in_processes: whether workers are processes, but for home.
        kept: by deadline SQ, how many were kept.
        profile: the costs of functions are asked for.
    """
    work: dict[str, Work] = {name: (count, 0, 0, 0) for name, count in kept.items()}
    costs: dict[str, tuple[list[int], list[int]]] = {}
    metrics: BySQ = {}
    places: dict[str, Place] = {}
    lateness, worked = {}, 0
    for body in bodies:
        sq, cost = body.elsewhere.sq, body.costs
        worked += cost.total
        if body.lateness:
            lateness[sq.name] = body.lateness
        if body.metrics:
            metrics[sq.name] = body.metrics
        if sq.body:
            worker = body.worker if in_processes else "threads"
            places[sq.name] = Place(worker, sq.name in together, body.left)
            work[sq.name] = (body.alone + body.together, cost.seen, cost.total, len(body.in_flight))
            if profile:
                times, sizes = costs.setdefault(sq.function, ([], []))
                times += cost.times
                sizes += cost.sizes
    return Measured(lateness, worked, costs, work, metrics, places)
