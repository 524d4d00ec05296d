"""Health: which ensembles are alive, and whether a context is done.

Given reports and the time; asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from ticktalk.engine.counters import Counts, merged
from ticktalk.payloads import IdleReport

DEAD_AFTER = 2_000_000
"""Root ticks without a heartbeat after which an ensemble counts as dead."""

LEASE = 3, 4
"""The part of that time for which an ensemble that hears nothing of the manager goes on as if nothing were."""

LOST_AFTER = 2_000_000
"""Root ticks for which a difference between sent and received has to stay before it counts as lost."""


def lease(dead_after: int = DEAD_AFTER) -> int:
    """Root ticks without the manager after which an ensemble holds what could be placed elsewhere.

    It ends before the manager places anything elsewhere, so that nothing runs twice.
    """
    part, whole = LEASE
    return dead_after * part // whole


def goes_on(sees: list[bool]) -> bool:
    """Whether an ensemble that has lost the manager goes on as before.

    Args:
        sees: of the other ensembles that it reaches, whether each sees the manager.
    """
    return bool(sees) and not any(sees)


class ManagerWatch:
    """An ensemble's own watch over the manager: whether it may go on as it is.

    All times are root ticks of this ensemble. The lease counts from when the heartbeat was sent that was answered
    last, so that it ends here before the manager, which counts from when it came, places anything elsewhere.

    What it compares is when it and the others heard the manager last. When the manager goes, these times differ by at
    most the time between two heartbeats. So who has heard it more than half a lease later still sees it; who still
    sees it does hear it so much later, because a question comes later still and makes it send a heartbeat at once.

    Args:
        now: when it joined.
        dead_after: after what silence the manager takes this ensemble for dead.

    Attributes:
        pause: root ticks between two questions, and for which who is asked waits for the manager before it answers:
            less would tell of the time before the question.
    """

    def __init__(self, now: int, dead_after: int = DEAD_AFTER) -> None:
        self.lease = lease(dead_after)
        self.pause = self.lease // 8
        self.heard = now
        self.held = False
        self._told: dict[str, tuple[int, int]] = {}  # by ensemble: when it told, and when it had heard the manager

    def pong(self, asked: int, now: int) -> bool:
        """The manager has answered the heartbeat sent at `asked`; whether what is held goes on."""
        self.heard = max(self.heard, asked)
        if now - asked >= self.lease:
            return False  # it was under way for too long to say anything of now
        released, self.held = self.held, False
        return released

    @property
    def first_question(self) -> int:
        """When to begin to ask the others: late enough that a heartbeat sent half a pause before tells who sees the
        manager, early enough that of the answers before the lease ends all but one may be lost or late."""
        return self.heard + self.lease // 2 + self.pause // 2

    def asks(self, now: int) -> bool:
        """Whether it is time to ask the others."""
        return not self.held and now >= self.first_question

    def told(self, name: str, silence: int, now: int) -> None:
        """Another ensemble says for how long it has heard nothing of the manager."""
        self._told[name] = now, now - silence

    def holds(self, now: int) -> bool:
        """Whether to hold, from now on, what could be placed elsewhere; told once."""
        if self.held or now - self.heard < self.lease:
            return False
        recent = [heard for at, heard in self._told.values() if now - at < self.lease // 2]
        self.held = not goes_on([heard > self.heard + self.lease // 2 for heard in recent])
        return self.held


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
        return self.silent(now, self.dead_after)

    def silent(self, now: int, ticks: int) -> list[str]:
        """Those that were not heard of for more than `ticks`."""
        return [name for name, seen in self.seen.items() if now - seen > ticks]


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
            if now - self._different_since < LOST_AFTER:
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
