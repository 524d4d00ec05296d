"""The use of what a simulation has in limited amount: an ensemble's cores, a link's bandwidth."""

from __future__ import annotations

Note = tuple[str, int, int, bool]
"""An act of a `Use`, and its arguments."""

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

    def repeat(self, notes: list[Note], shift: int, length: int, times: int) -> None:
        """Be told what was noted, `shift` ticks later; `times` times, every `length` ticks."""
        self._tell(notes, shift)
        if times > 1:
            # In between it is the same each time, except how much there was.
            self.work += (times - 2) * sum(note[2] - note[1] for note in notes if note[0] == "works")
            self._pieces += (times - 2) * sum(note[0] == "queued" for note in notes)
            self._tell(notes, shift + (times - 1) * length)

    def _tell(self, notes: list[Note], shift: int) -> None:
        for what, tick, number, waited in notes:
            if what == "queued":
                self.queued(tick + shift, number)
            elif what == "works":
                self.works(tick + shift, number + shift, waited)
            else:
                self.missed(tick + shift)


class UseNotes:
    """Takes note of what a `Use` is told, in place of it.

    Attributes:
        of: that.
        notes: what it is to be told.
    """

    def __init__(self, of: Use | UseNotes) -> None:
        self.of = of
        self.notes: list[Note] = []

    def queued(self, now: int, length: int) -> None:
        """A piece of work comes."""
        self.notes.append(("queued", now, length, False))

    def works(self, begin: int, end: int, waited: bool) -> None:
        """A piece is worked on."""
        self.notes.append(("works", begin, end, waited))

    def missed(self, now: int) -> None:
        """A piece has waited for too long."""
        self.notes.append(("missed", now, 0, False))
