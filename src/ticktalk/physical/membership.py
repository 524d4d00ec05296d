"""An ensemble's part in its system: heartbeats, the manager's clock, the lease, and the end of all that.

The handle of the ensemble asks to join and opens sessions (`ensemble_handle`). It tells the membership of the answer,
and is told when to join again or to end. Owned by the timekeeper.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ticktalk.durations import about
from ticktalk.errors import TTError, UntimelyError
from ticktalk.hosted.lease import Lease, Times
from ticktalk.messages import NetMsg, RuntimeMsg, message
from ticktalk.payloads import Ping, Pong
from ticktalk.physical.network.joining import Welcome
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping.root_clock import ClockDiscipline, Exchange, monotonic_us
from ticktalk.physical.told_silences import ToldSilences
from ticktalk.physical.trust.guard import Guard
from ticktalk.replacement import title_of

UNHEARD = 700_000
"""Microseconds after which an ensemble that does not hear its manager looks whether none, or another one, is there.

Longer than between two answers, with some room. The rest of its lease is for two questions to the next manager, and for
a look that is late: with messages that take up to 110 ms, all that takes less than the lease.
"""

LOOK = 200_000
"""Microseconds between two looks whether a manager has been started where none was."""

SETTLED_AFTER = 1_000_000
"""Microseconds after a join for which "I do not know you" still answers a heartbeat from before it."""

LOOK_AGAIN = 20_000
"""Root ticks between two looks whether the messages have come that were sent before an answer."""

PINGS_KEPT = 64
"""Heartbeats whose answers are taken."""


class Membership:
    """One ensemble's membership in its system.

    Args:
        node: the ensemble's.
        guard: opens what others send.
        follows: its clock is kept near the manager's, unless both are on one host.
        event: told sentences for people.
        join_again: called when the manager does not know this ensemble any more.
        end: called when the ensemble is to end.

    Attributes:
        out: the ensemble does not take part now: it has still to join, or to join again.
        since: the root tick at which it began, or began anew as it was forgotten: for managers that is another start.
        expelled: why the manager lets it take part no more.
    """

    def __init__(
        self,
        node: Node,
        guard: Guard,
        follows: bool,
        event: Callable[[str], None],
        join_again: Callable[[], None],
        end: Callable[[], None],
    ) -> None:
        self._node, self._guard, self._follows = node, guard, follows
        self._event, self._join_again, self._end = event, join_again, end
        self.out = True
        self.since = node.clock.now()  # the same however often it asks to join
        self.expelled = ""
        self.discipline = ClockDiscipline(follow=False)
        self._clock_refused = False  # it was told
        self._pinged: deque[int] = deque(maxlen=PINGS_KEPT)  # when the latest heartbeats were sent
        self._joined_at = self._heard_at = self._asked_at = 0
        self._first = 0  # the number of the manager's first control message
        self._beat_at = self._late = 0  # the latest heartbeat that was due, and how late one of the latest was
        self._nobody = False  # at the last look no process listened at the manager's address
        self._silences = ToldSilences(event)
        self._lease = Lease(
            node.host,
            lambda ensemble, kind, payload: node.send(ensemble, message(kind, payload)),
            self._others,
            self._ping,
            node.clock.now,
            node.loop.first_at,
            node.agenda.deliver_at,
            lambda sqs: self._silences.began(monotonic_us(), sqs),
            lambda: self._silences.ended(monotonic_us()),
        )
        node.take_control[NetMsg.PONG] = self._pong
        node.take_control[NetMsg.SHUT_DOWN] = lambda reason, stamp: self._shut_down(reason)
        node.take_control[NetMsg.FORGET] = lambda name, stamp: self.forgotten(name)
        node.take_control[NetMsg.REFUSED] = lambda reason, stamp: self._refused(reason)
        node.take_control[NetMsg.REVOKED] = lambda content, stamp: self._revoke(content)
        node.take_control[NetMsg.ASK] = lambda ask, stamp: self._lease.asked(ask)
        node.take_control[NetMsg.TELL] = self._lease.told

    # Joining.

    def take(self, welcome: Welcome, same_host: bool, asked: int, returned: int) -> None:
        """The manager has answered the join.

        Args:
            welcome: its answer.
            same_host: it is on the same host.
            asked, returned: root ticks here, when it was asked and when the answer came.
        """
        self._first = welcome.first
        follow = self._follows and not same_host
        if follow != self.discipline.follow or not self.discipline.joined:
            self.discipline = ClockDiscipline(follow)
            self._exchange(Exchange(asked, welcome.now, welcome.now, returned))

    def joined(self) -> None:
        """The ensemble takes part from now on."""
        self._joined_at = monotonic_us()
        self._node.order.begin(self._node.manager, self._first)
        self._lease.begin()
        self._lease.notice_silence()
        self._silences.joined()
        self.out = False

    def hears_until(self) -> int:
        """When the manager counts as not heard, should nothing more of it come until then (monotonic microseconds)."""
        return max(self._heard_at, self._joined_at) + UNHEARD

    def looks_for_another(self) -> bool:
        """True, now and then, while the manager is not heard: none, or another one, may be in its place."""
        now = monotonic_us()
        if now - max(self._heard_at, self._joined_at, self._asked_at) < (LOOK if self._nobody else UNHEARD):
            return False
        self._asked_at, self._nobody = now, False
        return True

    def nobody(self) -> None:
        """No process listens at the manager's address now: there is no manager that could place anything."""
        self._nobody = True
        self._lease.nobody()

    def resumed(self, welcome: Welcome, asked: int) -> None:
        """Another start of the manager, asked at a root tick, knows this ensemble: it gets all that is not taken."""
        self._heard_at = monotonic_us()
        self._lease.watch.found(asked, self._node.clock.now())
        self._lease.notice_silence()
        self._node.order.begin(self._node.manager, welcome.first)
        self._event("the manager was started again, and knows this ensemble: all goes on")
        self._node.to_manager.kept.again()
        self._node.duties.checkpoints.send_anew()
        self._ping()

    def forgotten(self, name: str) -> None:
        """The manager has forgotten an ensemble: this one then joins again."""
        node = self._node
        if name == node.name:
            if self.out or monotonic_us() - self._joined_at < SETTLED_AFTER:
                return
            graphs = list(node.host.prepared)
            ended = f"; ended here: {', '.join(sorted(set(map(title_of, graphs))))}" if graphs else ""
            self._event(f"the manager does not know this ensemble any more; joining again{ended}")
            for graph in graphs:
                node.stop_graph(graph)
            node.to_manager.kept.clear()
            self.since = max(self.since + 1, node.clock.now())  # one that knew it does not take it for what it was
            self.out = True
            self._join_again()
        else:
            node.take_in(message(NetMsg.FORGET, name))

    # Heartbeats.

    def beat(self) -> None:
        """Send a heartbeat, and look at clock and lease; called again and again."""
        if not self._node.link.is_open or self.out:
            return
        now = monotonic_us()
        self._node.clock.tend(now)
        late = now - self._beat_at - Times().heartbeat if self._beat_at else 0
        self._beat_at, self._late = now, max(late, self._late * 7 // 8)
        self._ping()
        self._lease.check()
        self._silences.look(now)

    def _ping(self) -> None:
        node = self._node
        node.noting.uncertainty = self.discipline.uncertainty
        now = self._lease.pinged_at = node.clock.now()
        self._pinged.append(now)
        kept, clock, control = node.to_manager.kept, self.discipline, node.order.says(node.manager)
        outputs = kept.first, kept.number
        watch = self._lease.watch
        about_clock = clock.offset, clock.uncertainty
        heard = self._late, watch.heard, watch.voters.number
        ping = Ping(node.name, now, *about_clock, node.refused(), *outputs, control, *heard)
        node.send(node.manager, message(RuntimeMsg.PING, ping))

    def _pong(self, pong: Pong, stamp: int) -> None:
        if pong.asked not in self._pinged:
            raise UntimelyError("an answer to a heartbeat that was not sent, or long ago")
        self._heard_at = monotonic_us()
        by = self._exchange(Exchange(pong.asked, pong.received, pong.answered, stamp))
        if by:
            self._lease.notice_silence()  # what was planned is due at other ticks now
        self._node.heard(self._node.manager, pong.control)
        if pong.voters is not None:
            self._lease.take(pong.voters)
        self._go_on(pong.asked + by, self._guard.session_of(self._node.manager))
        if pong.again:
            self._ping()

    def _go_on(self, asked: int, session: bytes | None) -> None:
        """The manager has answered the heartbeat sent at `asked`, in this session of its.

        It may have sent other hosts for held SQs before. So these go on after all such messages. After its death, its
        next start sends the others. Then an answer of the former start no longer says that all have come.
        """
        node = self._node
        if session != self._guard.session_of(node.manager):
            return
        moves = any(node.moves.under_way(graph) for graph in node.host.prepared)
        if self._lease.watch.held and (moves or node.order.is_behind(node.manager)):
            node.agenda.deliver_at(node.clock.now() + LOOK_AGAIN, self._go_on, asked, session)
        elif self._lease.pong(asked):
            self._lease.notice_silence()

    def _exchange(self, exchange: Exchange) -> int:
        """Correct the clock; the root ticks by which it was stepped."""
        followed = self.discipline.joined
        what, by = self.discipline.take(exchange)
        node = self._node
        if what == "step":
            if followed:
                which, then = ("ahead", "skip") if by > 0 else ("back", "stand still for")
                self._event(
                    f"this clock is set {which} by {about(abs(by))}, to the manager's: streams {then} that time"
                )
            node.clock.step(by)
            self._pinged.clear()  # of the stamps of an exchange that is under way, some would be from before the step
            self._lease.stepped(by)
            # Timers are ticks of the root clock, which has just changed under them.
            node.agenda.now = max(node.agenda.now, node.clock.now()) if by > 0 else node.clock.now()
            return by
        if what == "slew":
            node.clock.slew(by)
        elif what == "refused":
            node.own["invalid"] += 1
            if not self._clock_refused:
                self._clock_refused = True
                self._event(
                    f"the manager's clock would move this one by {about(by)} at once, which is refused: start this"
                    " ensemble anew if its clock is the wrong one (after a suspension, for one)"
                )
        return 0

    def _others(self) -> list[str]:
        """The ensembles that are asked whether they hear the manager; none while this one joins again."""
        table = [] if self.out else list(self._node.network_manager.routing_table)
        return [name for name in table if name not in (self._node.name, self._node.manager)]

    # The end.

    def _refused(self, reason: str) -> None:
        self.expelled = reason
        self._end()

    def _revoke(self, content: bytes) -> None:
        try:
            for known in self._guard.revoke(content):
                self._guard.forget(known.name)
        except TTError as error:
            self._event(str(error))

    def _shut_down(self, reason: str) -> None:
        self._event(reason)
        self._end()
