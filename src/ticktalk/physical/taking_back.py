"""The questions of an ensemble that is not taken back: more and more rarely.

Nothing proves a refusal: anybody could send one. So it ends no ensemble, which goes on as one that is cut off.
Times are microseconds of the ensemble's monotonic clock.
"""

from __future__ import annotations

FIRST_PAUSE = 800_000
"""Between the first two questions; each pause is twice as long as the one before."""

LONGEST_PAUSE = 5_000_000
"""Shorter than the time for which a manager that was started again awaits its ensembles."""

TOLD_AFTER = 8_000_000
"""From the first question on: a manager that just starts, or a link that just comes about, answers before."""

NO_ANSWER = "it gives no answer: it stands still, or does not accept this certificate, or is of another authority"


class TakingBack:
    """The questions of one ensemble: when the next one is asked, and what is said when it was not taken back.

    Args:
        address: where the manager is looked for.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self.clear()

    def clear(self) -> None:
        """It was taken back, or no process listens there now: the next question is a first one."""
        self._since: int | None = None
        self._next = 0
        self._pause = FIRST_PAUSE
        self._told = ""

    def may_ask(self, now: int) -> bool:
        """True if it is time for a question."""
        if self._since is not None and now - self._next > 2 * LONGEST_PAUSE:
            self.clear()  # it has heard its manager meanwhile
        if now < self._next:
            return False
        if self._since is None:
            self._since = now
        self._next, self._pause = now + self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return True

    def refused(self, now: int, why: str) -> str:
        """It was not taken back: the sentence for people; empty: there is none to be said now."""
        if self._since is None or now - self._since < TOLD_AFTER or why == self._told:
            return ""
        self._told = why
        return (
            f"the process that listens at {self._address} does not take this ensemble back: {why}. It is asked again"
            f" every {LONGEST_PAUSE // 1_000_000} s, and until then this ensemble is cut off. Start the manager again"
            " with its own state and keys; or, if its keys are to be others, end this ensemble and start it with"
            " credentials of that authority (`ticktalk keys issue`)"
        )
