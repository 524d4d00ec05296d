"""Votes: whether an ensemble that the manager does not hear may go on with its SQs.

An ensemble that does not hear the manager goes on while more than half of the others say that they do not hear it
either (`hosted/lease.py`). So the manager places its SQs elsewhere only when at least half of these others are known
to contradict: each hears the manager, holds its own SQs, or has ended. Both cannot be.

Which others there are, both know from one list. Each change of it has a number. An ensemble says in its heartbeats
which list it has, and is sent the present one with the answer. Every list that an ensemble may still have counts.

An answer counts for a while from its question on (`Times.vote`). So the manager, too, waits for so long before it
counts what it has learnt of an ensemble.

No clocks are compared. An ensemble has heard the manager when it sent the last heartbeat whose answer it took
(`Ping.heard`). That heartbeat said which answer the ensemble had taken before. So the heartbeat
was sent after the manager gave that answer.

Sans-I/O; ticks are those of the manager's root clock (microseconds).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ticktalk.hosted.lease import Times
from ticktalk.manager.state import LostEnsemble, ManagerState
from ticktalk.payloads import Ping, Voters

KEPT = 64
"""Heartbeats of one ensemble whose answers may not have come."""


class _Heard:
    """The known times at which an ensemble has heard the manager."""

    __slots__ = ("answered", "has", "knew", "sent")

    def __init__(self, joined: bool) -> None:
        self.has: int | None = 0 if joined else None  # the list that it has at least; None: it may have any
        self.sent = 0  # the last list that it was sent
        self.answered: dict[int, tuple[int, int]] = {}  # by heartbeat: a tick before it was sent, and of its answer
        self.knew: deque[tuple[int, int]] = deque()  # since when it is known that it has heard the manager at a tick


class Votes:
    """The votes on ensembles that the manager does not hear.

    Args:
        state: all that the manager knows.
        times: how long silences may be.

    Attributes:
        heard_at: `(ensemble, tick)`: a tick at which it had surely heard the manager, as was known at `tick`; 0: none.
    """

    def __init__(self, state: ManagerState, times: Callable[[], Times]) -> None:
        self._state, self._times = state, times
        self.heard_at: Callable[[str, int], int] = self._by_heartbeats
        self._heard: dict[str, _Heard] = {}
        self._stale = True  # ensembles may have come or gone since the last list was numbered

    @property
    def present(self) -> Voters:
        """The present list."""
        number = self._number()
        return Voters(number, self._state.voters.get(number, []))

    def joined(self, name: str) -> None:
        """An ensemble has joined: it has no list yet."""
        self._heard[name] = _Heard(joined=True)

    def changed(self) -> None:
        """Ensembles have come, or surely hold or have ended: all others are told of it."""
        self._stale = True

    def _number(self) -> int:
        """The number of the present list. It gets one when it is asked for: nobody has those between many joins."""
        voters = self._state.voters
        number = max(voters, default=0)
        if self._stale:
            self._stale = False
            names = sorted(self._state.may_go_on)
            if names != voters.get(number, []):
                number += 1
                voters[number] = names
        return number

    def told(self, name: str) -> Voters:
        """An ensemble is told the present list, and has it at once."""
        heard = self._heard.setdefault(name, _Heard(joined=True))
        heard.has = heard.sent = self.present.number
        return self.present

    def ping(self, ping: Ping, now: int, silent_since: int) -> tuple[Voters | None, bool]:
        """A heartbeat has come and is answered now.

        Args:
            ping: the heartbeat.
            now: the present tick.
            silent_since: the last tick at which an ensemble was heard that is silent now; negative: there is none.

        Returns:
            The list that it lacks, and whether its next heartbeat is wanted at once.
        """
        heard = self._heard.setdefault(ping.name, _Heard(joined=False))
        answered, knew = heard.answered, heard.knew
        at_least, taken_after = answered.get(ping.heard, (0, 0))
        for asked in [asked for asked in answered if asked < ping.heard]:
            del answered[asked]
        if len(answered) < KEPT:
            answered[ping.asked] = taken_after, now
        if at_least > (knew[-1][1] if knew else 0):
            knew.append((now, at_least))
        while len(knew) > 1 and knew[1][0] <= now - self._times().vote:
            knew.popleft()
        if heard.has is None or ping.voters > heard.has:
            heard.has = ping.voters
            self._prune()
        present = self.present
        lacks = present if ping.voters != present.number else None
        heard.sent = max(heard.sent, present.number)
        return lacks, silent_since >= 0 and at_least <= silent_since + self._times().vote

    def surely_holds(self, name: str, lost: LostEnsemble, now: int) -> bool:
        """True if an ensemble that is not heard cannot go on, as others contradict; its lease has ended."""
        self._number()
        for number, names in self._state.voters.items():
            if self._may_have(name, number):
                others = [other for other in names if other != name]
                if 2 * sum(self._contradicts(other, lost, now) for other in others) < len(others):
                    return False
        return True

    def _may_have(self, name: str, number: int) -> bool:
        """True if it may be that an ensemble goes by the list of this number."""
        heard = self._heard.get(name)
        return heard is None or heard.has is None or heard.has <= number <= heard.sent

    def few(self, heard: int) -> bool:
        """True if less than half of the others than a silent one are heard: the manager may be cut off itself."""
        return 2 * heard < len(self.present.names) - 1

    def _contradicts(self, name: str, lost: LostEnsemble, now: int) -> bool:
        state, then = self._state, now - self._times().vote
        if name in state.ensembles:
            return self.heard_at(name, then) > lost.heard + self._times().vote
        if name in state.lost:
            since = state.lost[name].holds_since
            return since is not None and since <= then
        # One that left has ended, but its last answers may still count; one that was expelled may not have heard of it.
        return name not in state.expelled and state.left.get(name, then) <= then

    def _by_heartbeats(self, name: str, tick: int) -> int:
        heard = self._heard.get(name)
        return max((at for known, at in heard.knew if known <= tick), default=0) if heard is not None else 0

    def _prune(self) -> None:
        """Forget lists that nobody has any more."""
        state = self._state
        may_go_on = state.may_go_on
        self._heard = {name: heard for name, heard in self._heard.items() if name in may_go_on}
        present = self._number()
        old = [number for number in state.voters if number != present]
        for number in [number for number in old if not any(self._may_have(name, number) for name in may_go_on)]:
            del state.voters[number]
        listed = {name for names in state.voters.values() for name in names}
        state.expelled = [name for name in state.expelled if name in listed]
        state.left = {name: tick for name, tick in state.left.items() if name in listed}
