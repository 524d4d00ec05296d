"""The use of what a simulation has in limited amount: an ensemble's cores, a link's bandwidth."""

from __future__ import annotations

FEW = 10
"""Pieces of work without a pause that are too few to say whether a queue grows."""


class Use:
    """The work that a resource took on, and its queue.

    Attributes:
        work: root ticks of work in all; of all cores together.
        since: the root tick since which there was no pause.
    """

    __slots__ = ("_longest", "_longest_at", "_pieces", "_until", "since", "work")

    def __init__(self) -> None:
        self.work = 0
        self.since = 0
        self._pieces = 0  # since then
        self._longest = 0  # the queue since then, and when it was so long
        self._longest_at = 0
        self._until = -1  # a piece that had to wait ends then

    def queued(self, now: int, length: int) -> None:
        """A piece of work comes at root tick `now`; the queue is so long with it. 0: it begins at once."""
        self._pieces += 1
        if not length and now > self._until:
            self.since, self._longest, self._longest_at, self._pieces = now, 0, now, 1
        elif length > self._longest:
            self._longest, self._longest_at = length, now

    def works(self, begin: int, end: int, waited: bool) -> None:
        """A piece is worked on from `begin` to `end`; it had to wait for that, or not."""
        self.work += end - begin
        if waited:
            self._until = max(self._until, end)

    def missed(self, now: int) -> None:
        """A piece has waited for too long, and is not done."""
        self._longest_at = now

    def grows(self, now: int) -> bool:
        """True if the queue has grown up to `now`. That of a burst is longest when it begins."""
        return self._pieces > FEW and 2 * (self._longest_at - self.since) > now - self.since
