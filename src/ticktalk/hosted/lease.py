"""For how long who hears nothing of whom: the times of liveness, and an ensemble's own watch over the manager.

All of these times follow from one (`dead_after`), so that what may run elsewhere is held before it is placed there.
"""

from __future__ import annotations

import msgspec

DEAD_AFTER = 2_000_000
"""Root ticks without a heartbeat after which an ensemble counts as dead."""


class Times(msgspec.Struct, frozen=True):
    """How long each silence may last, in root ticks (microseconds).

    Attributes:
        dead_after: an ensemble that the manager does not hear for longer than this is dead.
    """

    dead_after: int = DEAD_AFTER

    @property
    def heartbeat(self) -> int:
        """Between two heartbeats of an ensemble: some may be lost before it counts as dead."""
        return self.dead_after // 4

    @property
    def lingers_after(self) -> int:
        """An ensemble that is silent for longer gives its name to a newer start of it."""
        return self.dead_after * 3 // 5

    @property
    def lease(self) -> int:
        """An ensemble that hears nothing of the manager for so long holds what could be placed elsewhere.

        It ends before the manager places anything elsewhere, so that nothing runs twice.
        """
        return self.dead_after * 3 // 4

    @property
    def surely_after(self) -> int:
        """An ensemble that is silent for longer, and whose connection has closed, is dead: its lease has ended."""
        return self.dead_after * 4 // 5

    @property
    def lost_after(self) -> int:
        """A difference between tokens sent and received that stays for so long counts as lost."""
        return self.dead_after

    @property
    def given_up_after(self) -> int:
        """A graph that a silent ensemble was preparing is refused after so long: until then it may only be busy."""
        return 5 * self.dead_after


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
        self.lease = Times(dead_after).lease
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
