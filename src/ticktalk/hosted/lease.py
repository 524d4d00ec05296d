"""The lease of an ensemble: for how long it goes on with its SQs though it hears nothing of the manager.

When the manager hears nothing of an ensemble for long enough, it places its SQs elsewhere. The ensemble may only be cut
off. So it holds those SQs before that, unless more than half of the others say that they do not hear the manager
either. The manager places nothing elsewhere before at least half of the others surely hear it (`manager/votes.py`). So
it is never both, however the network is divided. All times of this kind follow from one (`dead_after`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

import msgspec

from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import UntimelyError
from ticktalk.heartbeats import Voters
from ticktalk.messages import NetMsg
from ticktalk.payloads import Ask, Tell

DEAD_AFTER = 2_000_000
"""Root ticks without a heartbeat after which an ensemble counts as dead."""


NEVER = -(1 << 62), 0
"""Another ensemble was not asked yet."""

FEW = 8
"""Other ensembles that are all asked at each question."""

GROUPS = 2
"""Groups of more than a few others: each question goes to one group, so that all are asked before an answer is too old.

If each of fifty asked all others each time, they would be too busy with answers to hear the manager.
"""


class Times(msgspec.Struct, frozen=True):
    """The lengths of tolerated silences, in root ticks (microseconds).

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
        """After so long without the manager, an ensemble holds the SQs that could be placed elsewhere.

        It ends before the manager places anything elsewhere, so that nothing runs twice.
        """
        return self.dead_after * 3 // 4

    @property
    def vote(self) -> int:
        """An answer of another ensemble counts for so long from the question on.

        An ensemble that heard the manager more than so long after the asking one still hears it.
        """
        return self.lease // 2

    @property
    def surely_after(self) -> int:
        """An ensemble that is silent for longer, and whose connection has closed, is dead: its lease has ended."""
        return self.dead_after * 4 // 5

    @property
    def lost_after(self) -> int:
        """A difference between tokens sent and received that stays for so long counts as lost."""
        return self.dead_after

    @property
    def restart_patience(self) -> int:
        """For so long a manager that was started again awaits its ensembles before it places anything elsewhere."""
        return 5 * self.dead_after

    @property
    def restart_lease(self) -> int:
        """An ensemble that has found no manager at its address goes on for so long: one that starts later awaits it."""
        return self.restart_patience * 3 // 4

    @property
    def taken_back(self) -> int:
        """An ensemble that another start of the manager takes back has a lease that begins at most so long after its
        question. The manager counts from then on, as it does not know when its answer comes."""
        return self.dead_after // 2

    @property
    def given_up_after(self) -> int:
        """A graph that a silent ensemble was preparing is refused after so long: until then it may only be busy."""
        return 5 * self.dead_after


class ManagerWatch:
    """An ensemble's own watch over the manager: whether it may go on as it is.

    All times are root ticks of this ensemble. The lease counts from the sending of the last answered heartbeat; the
    manager counts from its arrival. So the lease ends here before the manager places anything elsewhere.

    It compares when it and the others heard the manager last. When the manager goes, these times differ by at most the
    time between two heartbeats. So an ensemble that heard it more than half a lease later still hears it. One that
    still hears it has heard it so much later: a question comes later still, and makes it send a heartbeat at once.
    If one of the others hears the manager, or no more than half of them answer, this ensemble does not go on.

    Where no process listens at the manager's address, there is no manager that could place anything. One that starts
    there later awaits this ensemble first. So such a look renews the lease (`nobody`), until a manager is there. It
    renews none that has ended: the manager may have placed SQs elsewhere before it died.

    Args:
        now: the tick of its join.
        dead_after: the silence after which the manager takes this ensemble for dead.

    Attributes:
        voters: all ensembles, as the manager said last.
        pause: root ticks between two questions. A witness waits for the manager for so long before it answers: an
            earlier answer would tell of the time before the question.
    """

    def __init__(self, now: int, dead_after: int = DEAD_AFTER) -> None:
        self.lease, self._vote = Times(dead_after).lease, Times(dead_after).vote
        self.voters = Voters()
        self._restart_lease, self._taken_back = Times(dead_after).restart_lease, Times(dead_after).taken_back
        self._nobody: int | None = None  # when no process listened at the manager's address
        self.pause = max(1, self.lease // 8)
        self.heard = now
        self.held = False
        self._told: dict[str, tuple[int, int]] = {}  # by ensemble: when it was asked, and when it had heard the manager

    def pong(self, asked: int, now: int) -> bool:
        """The manager has answered the heartbeat sent at `asked`; true if the held SQs go on."""
        self.heard = max(self.heard, asked)
        self._nobody = None
        if now - asked >= self.lease:
            return False  # it was under way for too long to say anything of now
        released, self.held = self.held, False
        return released

    @property
    def first_question(self) -> int:
        """The tick of the first question to the others. A heartbeat sent half a pause earlier tells whether they see
        the manager. Before the lease ends, all answers but one may be lost or late."""
        return self.heard + self.lease // 2 + self.pause // 2

    def asks(self, now: int) -> bool:
        """True if it is time to ask the others."""
        return not self.held and now >= self.first_question

    def told(self, name: str, silence: int, asked: int, now: int) -> None:
        """Another ensemble has heard nothing of the manager for so long; it was asked at `asked`, and answers now."""
        self._told[name] = min(asked, now), now - silence

    def nobody(self, now: int) -> None:
        """No process listened at the manager's address at this tick."""
        self._nobody = now

    def found(self, asked: int, now: int) -> None:
        """Another start of the manager, asked at a tick, has taken this ensemble back, which sends a heartbeat now.

        The manager counts from the arrival of that heartbeat, or as if it were long under way (`Times.taken_back`).
        """
        self.heard = max(self.heard, min(now, asked + self._taken_back))
        self._nobody = None

    def stepped(self, by: int) -> None:
        """The root clock was stepped: the ticks of all that has happened move with it."""
        self.heard += by
        self._nobody = None if self._nobody is None else self._nobody + by
        self._told = {name: (asked + by, heard + by) for name, (asked, heard) in list(self._told.items())}

    def until(self, now: int) -> int:
        """The tick up to which it goes on, as far as is known now."""
        ends = [self.heard + self.lease]
        if self._nobody is not None:
            ends.append(self._nobody + self._restart_lease)
        others = len(self.voters.names) - 1
        votes = [told for name in self.voters.names if now - (told := self._told.get(name, NEVER))[0] < self._vote]
        if 2 * len(votes) > others > 0 and all(heard <= self.heard + self._vote for _, heard in votes):
            ends.append(sorted((asked for asked, _ in votes), reverse=True)[others // 2] + self._vote)
        return max(ends)

    def holds(self, now: int) -> bool:
        """True, once, when SQs that could be placed elsewhere are to be held from now on."""
        if self.held or now < self.until(now):
            return False
        self.held = True
        return True


class Lease:
    """The lease of one ensemble: it asks the others whether they hear the manager, holds its SQs, lets them go on.

    Args:
        host: the ensemble's contexts.
        send: `(ensemble, kind, payload)`: sends a control message.
        others: the other ensembles, as far as this one knows.
        ping: sends the manager a heartbeat now.
        now: the present root tick.
        at: `(tick, call)`: calls `call()` at a root tick, or when this runs again after it, before anything else.
        later: the same, for questions and answers.
        held: told of SQs that are held from now on.
        released: told that the manager is heard again, and those that were held go on.

    Attributes:
        watch: the ticks at which this ensemble and others heard the manager.
        pinged_at: when the latest heartbeat was sent.
    """

    def __init__(
        self,
        host: EnsembleHost,
        send: Callable[[str, enum.Enum, object], None],
        others: Callable[[], Iterable[str]],
        ping: Callable[[], None],
        now: Callable[[], int],
        at: Callable[[int, Callable[[], None]], None],
        later: Callable[[int, Callable[[], None]], None],
        held: Callable[[list[str]], None],
        released: Callable[[], None] = lambda: None,
    ) -> None:
        self._host, self._send, self._others, self._ping = host, send, others, ping
        self._now, self._at, self._later = now, at, later
        self._tell_held, self._tell_released = held, released
        self.watch = ManagerWatch(now())
        self.pinged_at = now()
        self._stepped = 0  # ticks by which the root clock was stepped: questions are stamped as if it were not
        self._asks: dict[Ask, None] = {}  # they are answered as soon as the manager is heard, or after a pause
        self._questions = self._looks_at = 0

    def begin(self, dead_after: int = DEAD_AFTER) -> None:
        """The ensemble has joined: the manager was heard now, and what was held goes on."""
        self._host.release()
        self.watch = ManagerWatch(self._now(), dead_after)

    def notice_silence(self) -> None:
        """See to it that a silence from when the manager was heard last is noticed in time."""
        watch, now = self.watch, self._now()
        heard = watch.heard
        self._later(max(now, watch.first_question), lambda: self._ask(heard))
        self._look_at(watch.heard + watch.lease)

    def _look_at(self, tick: int) -> None:
        """Look at the lease then, before anything later: the time may be spent where nothing here can run."""
        if tick != self._looks_at:
            self._looks_at = tick
            self._at(max(self._now(), tick), self.check)

    def take(self, voters: Voters) -> None:
        """The manager says which ensembles there are."""
        if voters.number > self.watch.voters.number:
            self.watch.voters = voters

    def pong(self, asked: int) -> bool:
        """The manager has answered the heartbeat sent at `asked`; whether it is heard later than before."""
        before = self.watch.heard
        if self.watch.pong(asked, self._now()):
            self._tell_released()
            self._host.release()
        if self.watch.heard <= before:
            return False
        for ask in list(self._asks):
            self._answer(ask)
        return True

    def nobody(self) -> None:
        """No process listens at the manager's address now."""
        self.watch.nobody(self._now())

    def stepped(self, by: int) -> None:
        """The root clock was stepped by so much."""
        self.pinged_at += by
        self._stepped += by
        self.watch.stepped(by)

    def check(self) -> None:
        """Hold what may be placed elsewhere, if it is time."""
        watch, now = self.watch, self._now()
        if watch.holds(now):
            self._tell_held(self._host.hold())
        elif not watch.held and now >= watch.heard + watch.lease:
            self._look_at(watch.until(now))

    def _ask(self, heard: int) -> None:
        """Ask the others whether they hear the manager, again and again while it is not heard here."""
        watch, now = self.watch, self._now()
        if watch.heard != heard or not watch.asks(now):
            return  # it was heard meanwhile: another series of questions has been planned
        others = [name for name in self._others() if name in watch.voters.names]
        groups = GROUPS if len(others) > FEW else 1
        self._questions += 1
        for name in others[self._questions % groups :: groups]:
            self._send(name, NetMsg.ASK, Ask(self._host.name, now - self._stepped))
        self._later(now + watch.pause, lambda: self._ask(heard))
        self.check()

    def asked(self, ask: Ask) -> None:
        """Find out whether the manager is there; answer as soon as it is heard, and after a while anyway."""
        self._check(ask.name)
        now = self._now()
        self._asks[ask] = None
        if now - self.pinged_at > self.watch.pause // 2:
            self.pinged_at = now
            self._ping()
        if ask in self._asks:
            self._later(now + self.watch.pause, lambda: self._answer(ask))

    def _check(self, name: str) -> None:
        """Take nothing of an ensemble that the manager has not told of yet, or has told to be gone."""
        if name not in self._others():
            raise UntimelyError(f"a question or an answer of {name!r}, which is not here")

    def _answer(self, ask: Ask) -> None:
        if ask not in self._asks:
            return  # it has been answered
        del self._asks[ask]
        if not self.watch.held:  # else it has learnt that the manager is there for others: it is no witness of its end
            self._send(ask.name, NetMsg.TELL, Tell(self._host.name, self._now() - self.watch.heard, ask.asked))

    def told(self, tell: Tell, came: int | None = None) -> None:
        """Take the answer of another ensemble, which came at a root tick (None: now)."""
        self._check(tell.name)
        asked = tell.asked + self._stepped
        self.watch.told(tell.name, tell.silence, asked, self._now() if came is None else came)
        self.check()
