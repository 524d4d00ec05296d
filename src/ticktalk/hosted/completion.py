"""Whether a context is done: the manager's conclusion from the reports of its ensembles.

Given reports and the time; asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from ticktalk.engine.counters import Counts, merged
from ticktalk.hosted.lease import Times
from ticktalk.payloads import IdleReport


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
        self._gone: dict[str, IdleReport] = {}  # what those said last that are gone, and may be back
        self._former: Counts = {}  # what was counted by those that are not
        self._before: object = None
        self._different_since: int | None = None
        self._answers: dict[str, IdleReport] = {}

    def ask(self) -> int:
        """Begin a round; its number."""
        self.round += 1
        self._answers = {}
        return self.round

    def begin_again(self) -> None:
        """SQs have been placed anew: what was answered before says nothing of now."""
        self.round += 1
        self._answers = {}
        self._before = self._different_since = None

    def gone(self, ensemble: str) -> None:
        """An ensemble has died: what it did is no longer waited for, what it counted still counts."""
        self.ensembles.discard(ensemble)
        before = self._gone.pop(ensemble, None)
        if before is not None:
            self._former = merged([self._former, before.counts])
        report = self.latest.pop(ensemble, None)
        if report is not None:
            self._gone[ensemble] = report

    def back(self, ensemble: str) -> None:
        """An ensemble was not dead but cut off: it tells itself again what it has counted."""
        report = self._gone.pop(ensemble, None)
        if report is not None:
            self.latest[ensemble] = report

    def take(self, report: IdleReport, outputs_arrived: Mapping[str, int], now: int) -> bool:
        """Take one ensemble's answer; whether the context is done now.

        Args:
            report: the answer.
            outputs_arrived: by ensemble, outputs of the context that have reached the manager.
            now: the present root tick.
        """
        if report.ensemble not in self.ensembles:
            return self.done  # it was taken for dead; before it is back it counts as it did when it was
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
            if now - self._different_since < Times().lost_after:
                return False
        self.lost = missing
        self.done = True
        return True

    def counts(self) -> Counts:
        """What was counted, over all ensembles."""
        told = [*self._gone.values(), *self.latest.values()]
        return merged([self._former, *(report.counts for report in told)])

    @staticmethod
    def _missing(answers: list[IdleReport], outputs_arrived: Mapping[str, int]) -> int:
        received = {(answer.ensemble, arc): count for answer in answers for arc, count in answer.received.items()}
        alive = {answer.ensemble for answer in answers}
        missing = sum(max(0, answer.outputs - outputs_arrived.get(answer.ensemble, 0)) for answer in answers)
        for answer in answers:
            for arc, by_ensemble in answer.sent.items():
                for ensemble, count in by_ensemble.items():
                    if ensemble in alive:
                        missing += max(0, count - received.get((ensemble, arc), 0))
        return missing
