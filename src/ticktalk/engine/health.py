"""Health: which ensembles are alive, and whether a context is done.

Given reports and the time; asks for nothing.
"""

from __future__ import annotations

import msgspec

from ticktalk.engine.counters import Counts, merged

DEAD_AFTER = 2_000_000
"""Root ticks without a heartbeat after which an ensemble counts as dead."""

LOST_AFTER = 2_000_000
"""Root ticks for which a difference between sent and received has to stay before it counts as lost."""


class IdleReport(msgspec.Struct, frozen=True):
    """What an ensemble says of a context when asked: whether it is idle, and what passed on each arc.

    Attributes:
        round: the number of the question.
        busy: why it is not idle; empty when it is.
        sent: arc to receiving ensemble to the number of tokens sent.
        received: arc to the number of tokens received.
        outputs: outputs sent to the manager.
        counts: SQ to kind to count.
        waiting: SQ to port to number of tokens that wait.
        lateness: stream to [firings, sum, worst] of how late its bodies started after their instants (microseconds).
        profile: function to some of its runs' times (microseconds) and its tokens' sizes (bytes); None: not asked for.
    """

    graph: str
    context: int
    ensemble: str
    round: int
    busy: str = ""
    sent: dict[str, dict[str, int]] = {}
    received: dict[str, int] = {}
    outputs: int = 0
    counts: Counts = {}
    waiting: dict[str, dict[str, int]] = {}
    lateness: dict[str, list[int]] = {}
    profile: dict[str, tuple[list[int], list[int]]] | None = None


class Heartbeats:
    """When each ensemble was last heard of."""

    def __init__(self, dead_after: int = DEAD_AFTER) -> None:
        self.dead_after = dead_after
        self.seen: dict[str, int] = {}

    def take(self, name: str, now: int) -> None:
        """An ensemble was heard of at `now`."""
        self.seen[name] = now

    def forget(self, name: str) -> None:
        """An ensemble has left."""
        self.seen.pop(name, None)

    def excuse(self, ticks: int) -> None:
        """Nobody could be heard for `ticks`: the one who listens was busy."""
        self.seen = {name: seen + ticks for name, seen in self.seen.items()}

    def dead(self, now: int) -> list[str]:
        """Those that were not heard of for too long."""
        return [name for name, seen in self.seen.items() if now - seen > self.dead_after]


class Completion:
    """Whether one context is done: every ensemble idle and nothing under way, in two equal rounds.

    Args:
        ensembles: those that host its SQs.
    """

    def __init__(self, ensembles: list[str]) -> None:
        self.ensembles = set(ensembles)
        self.round = 0
        self.done = False
        self.lost = 0
        self.latest: dict[str, IdleReport] = {}
        self._before: object = None
        self._different_since: int | None = None
        self._answers: dict[str, IdleReport] = {}

    def ask(self) -> int:
        """Begin a round; its number."""
        self.round += 1
        self._answers = {}
        return self.round

    def gone(self, ensemble: str) -> None:
        """An ensemble has died: what it did is no longer waited for."""
        self.ensembles.discard(ensemble)

    def take(self, report: IdleReport, outputs_arrived: int, now: int) -> bool:
        """Take one ensemble's answer; whether the context is done now.

        Args:
            report: the answer.
            outputs_arrived: outputs of the context that have reached the manager.
            now: the present root tick.
        """
        self.latest[report.ensemble] = report
        if report.round != self.round or self.done:
            return self.done
        self._answers[report.ensemble] = report
        if not self.ensembles <= set(self._answers):
            return False
        answers = [self._answers[name] for name in sorted(self.ensembles)]
        if any(answer.busy for answer in answers):
            self._before = self._different_since = None
            return False
        missing = self._missing(answers, outputs_arrived)
        state = [(a.ensemble, a.sent, a.received, a.outputs) for a in answers]
        same = state == self._before
        self._before = state
        if not same:
            self._different_since = None
            return False
        if missing:
            if self._different_since is None:
                self._different_since = now
            if now - self._different_since < LOST_AFTER:
                return False
        self.lost = missing
        self.done = True
        return True

    def counts(self) -> Counts:
        """What was counted, over all ensembles."""
        return merged(report.counts for report in self.latest.values())

    @staticmethod
    def _missing(answers: list[IdleReport], outputs_arrived: int) -> int:
        received = {(answer.ensemble, arc): count for answer in answers for arc, count in answer.received.items()}
        alive = {answer.ensemble for answer in answers}
        missing = sum(answer.outputs for answer in answers) - outputs_arrived
        for answer in answers:
            for arc, by_ensemble in answer.sent.items():
                for ensemble, count in by_ensemble.items():
                    if ensemble in alive:
                        missing += count - received.get((ensemble, arc), 0)
        return max(0, missing)
