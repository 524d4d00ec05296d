"""Counters of skipped, evicted, late, dropped, failed tokens and firings: the answer to "why did nothing fire"."""

from __future__ import annotations

from collections.abc import Iterable

LOST = "lost"
"""The one kind whose count may go down: a token may come after it counted as lost."""

KINDS = {
    "skipped": "instants of a stream that were past before they could start",
    "late_starts": "stream firings that started after their interval",
    "evicted": "tokens that waited until their end was too far behind",
    "late": "data that came after its deadline",
    "missed": "deadlines without data and without plan B",
    "plan_b": "plan Bs fired",
    "out_of_order": "sets dropped because they start before the last one fired",
    "gaps": "pairs of samples too far apart for RESAMPLE to make up those between them",
    "busy": "inputs dropped while a single run was in flight",
    "late_results": "results of single runs that came after their timeout, when another input had been taken",
    "errors": "firings that raised",
    LOST: "tokens sent and never received",
    "overflow": "tokens and messages dropped because too many wait",
    "stale": "tokens of an older generation",
    "bad_frames": "frames that could not be read",
    "invalid": "messages with what cannot be: out of range, or naming what is not there",
    "untimely": "messages of senders that are not known, yet or any more; what is for others, or for a former start",
    "forged": "messages that are not proven to be their sender's",
    "replayed": "messages that came again",
    "unauthorized": "messages that their sender's role or name does not entitle to",
    "restarts": "workers replaced",
}
"""The kinds of counters, and the events that each counts."""

REFUSED = ("bad_frames", "invalid", "untimely", "forged", "replayed", "unauthorized", "overflow")
"""The kinds that count what came from outside and was not taken."""

Counts = dict[str, dict[str, int]]
"""SQ (or ensemble) name -> kind -> count; only what is not zero."""


class Counters:
    """The counters of one context on one ensemble."""

    __slots__ = ("by_sq",)

    def __init__(self) -> None:
        self.by_sq: Counts = {}

    def add(self, sq: str, kind: str, count: int = 1) -> None:
        """Count `count` more of `kind` at `sq`; below zero: so many less."""
        if count:
            kinds = self.by_sq.setdefault(sq, {})
            kinds[kind] = kinds.get(kind, 0) + count
            if not kinds[kind]:
                del kinds[kind]
                if not kinds:
                    del self.by_sq[sq]


def merged(many: Iterable[Counts]) -> Counts:
    """The sum of several ensembles' counters."""
    total: Counts = {}
    for counts in many:
        for sq, kinds in counts.items():
            mine = total.setdefault(sq, {})
            for kind, count in kinds.items():
                mine[kind] = mine.get(kind, 0) + count
    return total
