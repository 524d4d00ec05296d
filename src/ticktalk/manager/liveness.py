"""Liveness: ensembles join, are heard of, fall silent, come back, leave; all are told of one another.

Ticks are those of the manager's root clock (microseconds).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from ticktalk.defaults import PROTOCOL
from ticktalk.hosted.checkpoints import WARNED
from ticktalk.hosted.lease import Times
from ticktalk.manager.deploy import Deploy
from ticktalk.manager.driver import Driver, Send, Tell
from ticktalk.manager.events import (
    Back,
    ClockWarning,
    Ended,
    Event,
    Expelled,
    Gone,
    Isolated,
    Joined,
    Left,
    NotBack,
    WorkerDied,
)
from ticktalk.manager.heal import Heal
from ticktalk.manager.replace import Replace
from ticktalk.manager.reports import Reports
from ticktalk.manager.state import EnsembleState, LostEnsemble, ManagerState
from ticktalk.manager.taken_outputs import Taking
from ticktalk.manager.votes import Votes
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import NetMsg
from ticktalk.payloads import Ping, Pong, Route, WorkerDeath
from ticktalk.ranges import known
from ticktalk.repeats import Repeats

WATCH_PERIOD = 200_000
"""Microseconds between two looks for silent ensembles."""

LOOKS = 8
"""The most questions at one time whether a lost ensemble has ended: each may take a thread."""

LOST_KEPT = 10_000
"""Ensembles that are gone and may come back; the manager knows their graphs."""


class Why(enum.Enum):
    """The reasons for which an ensemble may not join."""

    VERSION = "version"
    OWN_NAME = "own name"
    IN_USE = "in use"  # perhaps by its own last start, so an ensemble asks again for a while


class Refusal(NamedTuple):
    """A refusal, and the sentence that is shown at the ensemble."""

    why: Why
    text: str


class Liveness:
    """Knows which ensembles there are.

    Args:
        state: all that the manager knows.
        send: how ensembles are reached.
        tell: how people are.
        driver: hosts the manager.
        heal: places SQs anew.
        deploy: waits for ensembles to prepare graphs.
        taking: takes the outputs of each.
        replace: waits for ensembles, too.
        reports: counts what was lost.
    """

    def __init__(
        self,
        state: ManagerState,
        send: Send,
        tell: Tell,
        driver: Driver,
        heal: Heal,
        deploy: Deploy,
        taking: Taking,
        replace: Replace,
        reports: Reports,
    ) -> None:
        self._state = state
        self._send, self._tell, self._driver = send, tell, driver
        self._heal, self._deploy, self._taking, self._replace = heal, deploy, taking, replace
        self._reports = reports
        self.times = Times()
        self.votes = Votes(state, lambda: self.times)
        self._silent_since = -1  # when an ensemble that is silent now was heard last; negative: none is
        self._watched_at: int | None = None
        self._looked_at = 0  # when it was looked last whether ensembles that are gone have ended
        self._next_look = 0  # where the next such looks begin: each ensemble has its turn
        self._late = 0  # how late it looked since it last excused silence
        self._deaths = Repeats()
        self._taken_back: set[str] = set()  # ensembles of which no heartbeat has come since then
        self._waits: dict[str, Callable[[], None]] = {}  # by ensemble, the last answer that waits until all is written

    # Joining.

    def introduce(self, manager: EnsembleInfo, root_offset: int = 0) -> None:
        """Take in the facts of the manager's own ensemble, and the offset of its root clock."""
        self._state.manager, self._state.root_offset = manager, root_offset

    def restarted(self) -> None:
        """The manager is the next start of one that has died: for its ensembles it was cut off, and they run on.

        Nothing is placed elsewhere until all are back, or `restart_patience` has passed. The SQs on the manager's
        own ensemble ended with it, and go on then.
        """
        state = self._state
        state.restarts += 1
        state.restarted = self._driver.now()
        state.awaited = state.may_go_on
        gone = list(state.ensembles)
        for name in gone:
            state.lost[name] = LostEnsemble(state.ensembles.pop(name).info, heard=state.restarted)
        for lost in state.lost.values():
            lost.stopped.update({*state.ended} - state.graphs.keys())
        self._replace.restarted()  # before it hears that they are lost: they are not dead
        for name in gone:
            self._miss(name)
        self._deploy.ended_there(state.manager.name)
        self._heal.lost(state.manager.name)
        self._deploy.again(state.manager.name)
        self._driver.after(self.times.restart_patience, self._await_no_more)
        self._see_awaited()

    def _await_no_more(self) -> None:
        for name in self._state.awaited:
            self._tell(NotBack(name))
            self._deploy.given_up(name)
        if self._state.awaited:
            self._state.awaited = []
            self._see_awaited()

    def _see_awaited(self, name: str = "") -> None:
        """This one is awaited no more, after a restart; when none is, the SQs that wait are placed."""
        if name in self._state.awaited:
            self._state.awaited.remove(name)
        elif name:
            return
        if not self._state.awaited:
            self.look()
            self._heal.place_waiting()
            self._deploy.all_back()

    def refusal(self, info: EnsembleInfo) -> Refusal | None:
        """The reason that an ensemble may not join; None when it may."""
        name, manager = info.name, self._state.manager
        if info.protocol != PROTOCOL:
            return Refusal(
                Why.VERSION,
                f"{name!r} speaks protocol version {info.protocol}, this manager version {PROTOCOL}:"
                " install the same version of ticktalk on both",
            )
        if name == manager.name:
            return Refusal(Why.OWN_NAME, f"the name {name!r} is the manager's own: choose another")
        before = self._state.ensembles.get(name)
        if before is None or _same_start(before.info, info):
            return None  # the name is free, or the very same ensemble asks again
        lingers = self._driver.now() - before.heard > self.times.lingers_after
        if lingers and info.started > before.info.started:
            return None  # the ensemble of that name is silent: a newer start takes the name over
        return Refusal(Why.IN_USE, f"the name {name!r} is in use by an ensemble that joined before: choose another")

    def join(self, info: EnsembleInfo) -> Refusal | None:
        """Take an ensemble in and tell all others; or refuse it."""
        refusal = self.refusal(info)
        if refusal is not None:
            self._send(info.name, NetMsg.REFUSED, refusal.text)
            return refusal
        before = self._state.ensembles.get(info.name)
        relayed = before is not None and not (before.info.direct and info.direct)
        if before is not None and relayed and _same_start(before.info, info):
            # It goes through the manager from now on, or no longer, and is what it was. Its session before may have
            # missed messages.
            self._enter(info)
            self._deploy.again(info.name)
            self._tell(Joined(info.name, info.address, info.direct))
            return None
        self.left(info.name, replaced=True)
        self.votes.joined(info.name)
        self._enter(info)
        self._heal.joined(info.name)
        self._tell(Joined(info.name, info.address, info.direct))
        return None

    def _enter(self, info: EnsembleInfo) -> None:
        self._state.ensembles[info.name] = EnsembleState(info, self._driver.now())
        self.votes.changed()
        manager = self._state.manager
        self._send(manager.name, NetMsg.ROUTE, _route(info))
        for other in () if self._driver.one_table else self._state.infos():
            if other.name != info.name:
                self._send(info.name, NetMsg.ROUTE, _route(other))
                if other.name != manager.name:
                    self._send(other.name, NetMsg.ROUTE, _route(info))

    # Being heard of.

    def ping(self, ping: Ping, received: int) -> None:
        """Take a heartbeat that came at tick `received`, and answer it."""
        back = ping.name in self._state.lost
        if back:
            if self._driver.now() - received > self.times.dead_after:
                return  # it waited here for so long that it does not tell of now: a later one will
            self.back(ping.name)
        ensemble = self._state.ensembles.get(ping.name)
        if ensemble is None:
            self._send(ping.name, NetMsg.FORGET, ping.name)
            return
        self._taken_back.discard(ping.name)
        self._see_awaited(ping.name)  # it knows of this manager now, for it seals for it
        ensemble.heard, ensemble.offset, ensemble.uncertainty = received, ping.offset, ping.uncertainty
        ensemble.refused, ensemble.late = ping.refused, ping.late
        self._taking.ping(ping)
        voters, again = self.votes.ping(ping, self._driver.now(), self._silent_since)

        def answer() -> None:
            if self._waits.get(ping.name) is answer:
                del self._waits[ping.name]
            control = self._driver.heartbeat(ping.name, ping.control)
            pong = Pong(ping.asked, received, self._driver.now(), control, voters, again)
            self._send(ping.name, NetMsg.PONG, pong)

        if back or voters is not None or ping.name in self._waits:  # none overtakes another
            self._waits[ping.name] = answer
            self._driver.when_written(answer)  # what it holds goes on after all that it is told now
        else:
            answer()
        self._warn_of_clock(ping)

    def _warn_of_clock(self, ping: Ping) -> None:
        error = abs(ping.offset) + ping.uncertainty
        for state in self._state.graphs.values():
            for sq in state.graph.sqs:
                key = f"{ping.name}/{sq.name}"
                here = sq.trigger == "grid" and state.host_of[sq.name] == ping.name
                if here and 2 * error > sq.width and key not in state.warned and len(state.warned) < WARNED:
                    state.warned.add(key)
                    self._tell(ClockWarning(ping.name, error, sq.name, sq.width))

    def worker_died(self, death: WorkerDeath) -> None:
        """A worker process of an ensemble has ended by itself."""
        names = [info.name for info in self._state.infos()]
        known([death.ensemble], names, "ensembles")
        event, deaths = WorkerDied(death), self._state.deaths
        deaths[death.ensemble] = (deaths.get(death.ensemble, (0, ""))[0] + 1, str(event))
        self._state.deaths = {name: told for name, told in deaths.items() if name in names}
        if self._deaths.may_tell(self._driver.now()):
            self._tell(event)

    def watch(self) -> None:
        """Look for ensembles that are silent; every `WATCH_PERIOD`."""
        now, times = self._driver.now(), self.times
        late = 0 if self._watched_at is None else now - self._watched_at - WATCH_PERIOD
        self._watched_at = now
        ensembles = self._state.ensembles
        self._late += max(late, 0)
        if self._late > times.heartbeat:  # the manager did not run for so long, at once or by and by: it heard nobody
            for ensemble in ensembles.values():
                ensemble.heard += self._late
            self._late = 0
        until = self._driver.heard_until()
        # An ensemble whose host lets it run late now and then is given as much more time, at most twice as much.
        allowed = {name: min(ensemble.late, times.dead_after) for name, ensemble in ensembles.items()}
        silence = {name: until - ensemble.heard - allowed[name] for name, ensemble in ensembles.items()}
        silent = [name for name, ticks in silence.items() if ticks > times.surely_after]
        connected = self._driver.connected() if silent else ()
        for name in silent:
            if silence[name] > times.dead_after or ensembles[name].info.zid not in connected:
                heard = sum(silence[each] <= 2 * times.heartbeat for each in ensembles)
                self.gone(name, Gone(name, silence[name] + allowed[name]), self.votes.few(heard))
        if now - self._looked_at >= times.heartbeat:
            self._looked_at = now
            keep = [(name, lost) for name, lost in self._state.lost.items() if lost.keeps or lost.holds_since is None]
            first, self._next_look = self._next_look, self._next_look + LOOKS
            for place in range(first, first + min(LOOKS, len(keep))):
                self._look_for_end(*keep[place % len(keep)])
        self.look()
        may_go_on = [lost.heard for lost in self._state.lost.values() if lost.holds_since is None]
        may_go_on += [each.heard for each in ensembles.values() if until - each.heard > times.vote]
        self._silent_since = max(may_go_on, default=-1)

    def look(self) -> bool:
        """Let SQs of lost ensembles go elsewhere that surely hold them by now; true if there are any."""
        if self._state.awaited:
            return False
        now, lost = self._driver.now(), self._state.lost
        hold = [n for n, each in lost.items() if each.holds_since is None and self.votes.surely_holds(n, each, now)]
        for name in hold:
            self._holds(name, lost[name])
        return bool(hold)

    def _holds(self, name: str, lost: LostEnsemble) -> None:
        """A lost ensemble surely holds what others may host."""
        lost.holds_since = self._driver.now()
        self.votes.changed()
        self._forget(name)
        self._heal.place_waiting(name)

    def _look_for_end(self, name: str, lost: LostEnsemble) -> None:
        """Let the SQs of an ensemble go elsewhere when its process has surely ended."""

        def ended(refused_at: str) -> None:
            if self._state.lost.get(name) is lost and not self._state.awaited:
                if lost.keeps:
                    self._tell(Ended(name, refused_at))
                lost.keeps.clear()
                if lost.holds_since is None:
                    self._holds(name, lost)
                else:
                    self._heal.place_waiting()

        if lost.keeps or lost.holds_since is None:
            self._driver.if_ended(lost.info, ended)

    # Going and coming back.

    def left(self, name: str, replaced: bool = False) -> None:
        """An ensemble is gone and does not come back as it was; `replaced`: a newer start takes over its name."""
        self._end(name, Left(name, replaced))

    def expelled(self, name: str, why: str = "") -> None:
        """An ensemble has to go: its SQs go elsewhere, and it does not come back as it was; it is told `why`."""
        if why:
            self._send(name, NetMsg.REFUSED, why)
        if name in self._state.lost:
            self._tell(Expelled(name, lost=True))
        self._state.expelled = [*(each for each in self._state.expelled if each != name), name]
        self._end(name, Expelled(name))

    def _end(self, name: str, *events: Event) -> None:
        lost = self._state.lost.pop(name, None)
        self._state.left[name] = self._driver.now()
        self._state.dismissed = [each for each in self._state.dismissed if each != name]
        if name in self._state.ensembles:
            del self._state.ensembles[name]
            self.votes.changed()
            self._miss(name, *events)
            self._forget(name)
        self._deploy.given_up(name)
        self._deploy.ended_there(name)
        self._taking.forget(name)
        if lost is not None and lost.holds_since is None:
            self.votes.changed()
            self._forget(name)
        if lost is not None and (lost.keeps or lost.holds_since is None):
            self._heal.place_waiting()
        self._see_awaited(name)

    def gone(self, name: str, event: Event, few: bool = False) -> None:
        """Nothing is heard of an ensemble, as `event` says: it is dead, or cut off.

        `few`: less than half of the others are heard. Then it may be the manager that is cut off.
        """
        lost, gone = self._state.lost, self._state.ensembles.pop(name)
        mine = lost[name] = LostEnsemble(gone.info, heard=gone.heard)
        if len(lost) > LOST_KEPT:
            del lost[next((each for each, other in lost.items() if other.holds_since is not None), next(iter(lost)))]
        self._miss(name, event, *([Isolated()] if few else []))
        self._look_for_end(name, mine)
        self.look()
        if any(state.state == "preparing" and name in state.hosts for state in self._state.graphs.values()):
            self._driver.after(self.times.given_up_after, lambda: self._give_up(name, mine))

    def _give_up(self, name: str, lost: LostEnsemble) -> None:
        """Refuse the graphs that an ensemble was preparing, unless it was heard since this loss of it."""
        if self._state.lost.get(name) is lost:
            self._deploy.given_up(name)

    def _miss(self, name: str, *events: Event) -> None:
        """An ensemble is not heard any more."""
        self._taken_back.discard(name)
        for state in self._state.graphs.values():
            state.changed_late += 1
            for context in state.contexts.values():
                context.completion.gone(name)
        for event in events:
            self._tell(event)
        self._send(self._state.manager.name, NetMsg.FORGET, name)
        self._replace.lost(name)
        self._heal.lost(name)

    def _forget(self, name: str) -> None:
        """Tell the others of an ensemble that it is gone; while it may go on, they may hear it."""
        for other in () if self._driver.one_table else self._state.ensembles:
            self._send(other, NetMsg.FORGET, name)

    def knows(self, info: EnsembleInfo) -> bool:
        """True if an ensemble is known as it is: it has joined this manager, or the one before, with the same start."""
        before = self._state.ensembles.get(info.name) or self._state.lost.get(info.name)
        return before is not None and info.protocol == PROTOCOL and _same_start(before.info, info)

    def resumes(self, info: EnsembleInfo) -> None:
        """Take an ensemble back that is known as it is: until it sends a heartbeat, its lease may have begun later."""
        name = info.name
        if name in self._state.lost:
            self._state.lost[name].info = info
            self._taken_back.add(name)
            self.back(name)
        if name in self._taken_back:  # also if it asks again, as an answer was lost
            self._state.ensembles[name].heard = self._driver.now() + self.times.taken_back

    def back(self, name: str) -> None:
        """An ensemble that was silent is heard of again: it was cut off, and goes on where it was."""
        lost = self._state.lost.pop(name, None)
        if lost is None:
            return
        for state in self._state.graphs.values():
            state.changed_late += 1
            for context in state.contexts.values():
                context.completion.back(name)
        self._tell(Back(name))
        self._enter(lost.info)
        self._deploy.again(name)  # what it was to prepare; of what it holds, `heal` tells it
        self._heal.back(name, lost)
        self._reports.back(name)
        self._deploy.set_grids_again(name)


def _route(info: EnsembleInfo) -> Route:
    return Route(info.name, info.address, info.badge)


def _same_start(one: EnsembleInfo, other: EnsembleInfo) -> bool:
    """True if both describe the same start of an ensemble."""
    return (one.started, one.boot_id) == (other.started, other.boot_id) != (0, "")
