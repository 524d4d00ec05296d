"""The sentences on the manager's silences: of many short ones within a minute, the first and how many more there were.

On a host without time for its ensemble, or a bad link, leases end again and again. A silence that lasts is always told,
and one that suspends other SQs than those before. Its end is told if it was. Times are microseconds of the ensemble's
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

SPAN = 60_000_000
"""After a silence that was told, the shorter ones that follow within this time are counted."""

LASTS = 3_000_000
"""A silence that has lasted so long is told: it needs somebody."""


class ToldSilences:
    """The silences of one ensemble's manager, and which of them people have been told of.

    Args:
        tell: told sentences for people.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._since: int | None = None  # when the silence that is now began; None: there is none
        self._told = False  # that silence was told
        self._sqs: Sequence[str] = ()
        self._named: set[str] = set()  # SQs that were told to be suspended within the present span
        self._next = 0  # from when on each silence is told at once
        self._short = 0  # silences that were not told

    def began(self, now: int, sqs: Sequence[str]) -> None:
        """The lease has ended, and these SQs are suspended."""
        self._since, self._told, self._sqs = now, False, sqs
        self.look(now)
        if now >= self._next or not self._named.issuperset(sqs):
            self._say(now)

    def ended(self, now: int) -> None:
        """The manager is heard again."""
        if self._told:
            self._tell("the manager is heard again; what was suspended and is still this ensemble's goes on")
        elif self._since is not None:
            self._short += 1
        self.joined()
        self.look(now)

    def joined(self) -> None:
        """The ensemble has joined, which is told: a silence before that is over."""
        self._since, self._told = None, False

    def look(self, now: int) -> None:
        """Tell of what has lasted, and how many were not told; called again and again."""
        if self._since is not None and not self._told and now - self._since >= LASTS:
            self._say(now)
        if self._short and now >= self._next and (self._since is None or self._told):
            short, self._short = self._short, 0
            times = "once more" if short == 1 else f"{short} more times"
            self._tell(
                f"within a minute the manager was not heard {times}, each time for less than {LASTS // 1_000_000} s:"
                " a host is overloaded, or the link is bad"
            )

    def _say(self, now: int) -> None:
        self._told = True
        if now >= self._next:
            self._next = now + SPAN
            self._named.clear()
        self._named.update(self._sqs)
        sqs = ", ".join(self._sqs)
        self._tell("the manager is not heard" + (f"; suspended, because others may host them: {sqs}" if sqs else ""))
