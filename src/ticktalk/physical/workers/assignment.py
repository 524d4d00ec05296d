"""The assignment of SQs to workers: plan Bs have one of their own, so that they start in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ticktalk.graph.sq import TTSQ

ORDINARY = "main"
URGENT = "plan B"
PERSISTENT = "persistent "
"""The name of a persistent SQ's worker begins so; the SQ's name follows."""


def assign(sqs: Iterable[TTSQ]) -> dict[str, str]:
    """By SQ, the name of its worker. A component lives in one process, and the SQs that use it run there."""
    components = {sq.name: {name for c in sq.constraints for name in c.components if sq.body} for sq in sqs}
    urgent = set().union(*(components[sq.name] for sq in sqs if sq.trigger == "plan_b"))
    users = Counter(name for names in components.values() for name in names)
    assigned = {}
    for sq in sqs:
        mine = components[sq.name]
        if sq.trigger == "plan_b" or mine & urgent:
            assigned[sq.name] = URGENT
        elif sq.persistent and all(users[name] == 1 for name in mine):
            assigned[sq.name] = PERSISTENT + sq.name
        else:
            assigned[sq.name] = ORDINARY
    return assigned
