"""A running ensemble: it joins, keeps to its clock and its lease, and serves until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import msgspec

from ticktalk.defaults import MAX_VALUE
from ticktalk.durations import about
from ticktalk.engine.components import Components
from ticktalk.errors import TTError, UntimelyError
from ticktalk.hosted.lease import Lease, Times
from ticktalk.manager.liveness import Why
from ticktalk.mapping.ensembles import EnsembleInfo, check_address, check_port
from ticktalk.messages import NetMsg, RuntimeMsg, message
from ticktalk.network_keys import HELLO, JOIN
from ticktalk.payloads import FiringError, Ping, Pong
from ticktalk.physical.host_facts import describe_host, free_port
from ticktalk.physical.limits import ENSEMBLE, check_limits, check_memory
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.network.joining import (
    RefusedError,
    Welcome,
    ask,
    hello,
    joined_meanwhile,
    open_session,
    own_address,
    question,
    relay,
)
from ticktalk.physical.network.link import NobodyAnswersError, PortInUseError
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping.root_clock import ClockDiscipline, Exchange, boot_id, monotonic_us
from ticktalk.physical.trust.trust import Trust

logger = logging.getLogger("ticktalk")

UNHEARD = 1_000_000
"""Microseconds after which an ensemble that does not hear its manager asks whether another one is in its place."""

SETTLED_AFTER = 1_000_000
"""Microseconds after a join for which "I do not know you" still answers a heartbeat from before it."""

RETRY = 0.3
"""Seconds between two attempts to join."""

BIND_LIMIT = 3.0
"""Seconds without a connection from the given local port after which this is told."""

NAME_LIMIT = 2.5
"""Seconds for which a name in use is asked for again."""

PINGS_KEPT = 64
"""Heartbeats whose answers are taken."""


class EnsembleHandle:
    """A running ensemble.

    Args: see `TTEnsemble.run_phy`.
    """

    def __init__(
        self,
        name: str,
        components: Components,
        manager_name: str,
        manager: str,
        ip: str | None,
        rx_port: int,
        tx_port: int,
        workers: int,
        credentials: str | None,
        clock: str,
        near: str,
        log_error: Callable[[FiringError], None],
        on_event: Callable[[str], None] | None,
        max_value: int = MAX_VALUE,
        token: bytes | None = None,
    ) -> None:
        check_limits(ENSEMBLE)
        check_memory()
        check_address(manager)
        check_port(rx_port, "rx_port")
        check_port(tx_port, "tx_port")
        self.name = name
        self._manager = manager
        self._trust = Trust(name, "ensemble", credentials, manager, token)
        self._ip = ip or own_address(manager)
        self._any_port = not rx_port
        self._rx_port = rx_port or free_port(self._ip)
        self._bind = f"{self._ip}:{tx_port}" if tx_port else ""
        self._clock = clock
        self._event = on_event or (lambda text: None)
        self._stop = threading.Event()
        self._expelled = ""  # why the manager lets it take part no more
        self.node = Node(name, components, manager_name, workers > 0, near, self._trust.guard, max_value=max_value)
        self.node.log_error = log_error
        self.discipline = ClockDiscipline(follow=False)
        self._started = self.node.clock.now()  # the same however often it asks
        self._clock_refused = False  # it was told
        self._pinged: deque[int] = deque(maxlen=PINGS_KEPT)  # when the latest heartbeats were sent
        self._joined_at = self._heard_at = self._asked_at = 0
        self._again = threading.Event()
        self.node.take_control[NetMsg.PONG] = self._pong
        self.node.take_control[NetMsg.SHUT_DOWN] = lambda reason, stamp: self._shut_down(reason)
        self.node.take_control[NetMsg.FORGET] = self._forgotten
        self.node.take_control[NetMsg.REFUSED] = lambda reason, stamp: self._refused(reason)
        self.node.take_control[NetMsg.REVOKED] = lambda content, stamp: self._revoke(content)
        node = self.node
        heard_again = "the manager is heard again; what was suspended and is still this ensemble's goes on"
        self._lease = Lease(
            node.host,
            lambda ensemble, kind, payload: node.send(ensemble, message(kind, payload)),
            self._others,
            self._ping,
            node.clock.now,
            node.agenda.deliver_at,
            node.agenda.deliver_at,
            self._held,
            lambda: self._event(heard_again),
        )
        node.take_control[NetMsg.ASK] = lambda ask, stamp: self._lease.asked(ask)
        node.take_control[NetMsg.TELL] = self._lease.told
        self.node.loop.every(Times().heartbeat, self._beat)

    def run(self) -> None:
        """Join, and serve until stopped."""
        started = False
        try:
            while not self._stop.is_set():
                if not self._join():
                    break
                self._joined_at = monotonic_us()
                if started:
                    in_loop(self.node, self._joined)
                else:
                    self._joined()  # before time is kept: the first heartbeat may be due, and joining have taken long
                    self.node.run_in_thread()
                    started = True
                self._again.clear()
                while not self._stop.wait(0.1) and not self._again.is_set():
                    self._look_for_another()
        finally:
            if started and self.node.link.is_open and not self._again.is_set():
                try:
                    bye = message(RuntimeMsg.LEAVE, self.name)
                    in_loop(self.node, lambda: self.node.send(self.node.manager, bye))
                except Exception:
                    pass  # the manager will notice by itself
            self.node.close()
        if self._expelled:
            raise RefusedError(self._expelled)

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._stop.set()

    def _look_for_another(self) -> None:
        """In place of a manager that is not heard there may be another one: it knows no key of this ensemble's."""
        self._trust.warn_of_end()
        now = monotonic_us()
        if now - max(self._heard_at, self._joined_at, self._asked_at) < UNHEARD:
            return
        self._asked_at = now
        before = self._trust.guard.session_of(self.node.manager)
        try:
            answer = question(self.node.link, HELLO, msgspec.msgpack.encode(self._info()), self._trust, 1.0)
        except RefusedError as error:
            logger.debug("asking for another manager: %s", error)
            return
        if answer is not None and before not in (None, self._trust.guard.read(answer.badge)[1]):
            in_loop(self.node, lambda: self._forgotten(self.name, now))

    def _joined(self) -> None:
        self._lease.begin()
        self._lease.notice_silence()

    def _join(self) -> bool:
        """Ask until the manager answers; False when stopped before."""
        told = False
        began = time.monotonic()
        while not self._stop.is_set():
            address = f"{'[' + self._ip + ']' if ':' in self._ip else self._ip}:{self._rx_port}"
            try:
                welcome = hello(self._info(address), self._manager, self._trust)
            except RefusedError as error:
                # After a crash the name is this ensemble's own: the manager will find the old one silent.
                if error.why is not Why.IN_USE or time.monotonic() - began > NAME_LIMIT:
                    raise
                self._stop.wait(RETRY)
                continue
            if welcome is None:
                if not told:
                    told = True
                    why = ""
                    if self._trust.credentials is not None:
                        why = " (or it does not accept this certificate: expired, revoked, or of another authority)"
                    self._event(f"nobody answers at {self._manager} yet{why}; still trying")
                self._stop.wait(RETRY)
                continue
            if self._enter(welcome, address):
                return True
            if self._bind and not told and time.monotonic() - began > BIND_LIMIT:
                told = True
                port = self._bind.rpartition(":")[2]
                self._event(
                    f"no connection from port {port} (--tx-port): it is free a minute after its last one ended; still"
                    " trying"
                )
            self._stop.wait(RETRY)
        return False

    def _info(self, address: str = "", zid: str = "", direct: bool = True) -> EnsembleInfo:
        return describe_host(self.name, self.node.components, address, zid, direct, self._started)

    def _enter(self, welcome: Welcome, address: str) -> bool:
        link = self.node.link
        if not link.is_open:
            try:
                open_session(link, welcome, self._manager, address, self._trust, self._bind)
            except NobodyAnswersError:
                return False  # the manager has gone meanwhile
            except PortInUseError:
                if not self._any_port:
                    raise
                self._rx_port = free_port(self._ip)  # another process took the free one
                return False
        info = self._info(address, link.identity, link.mode == "peer")
        asked = self.node.clock.now()
        answer = ask(link, JOIN, info, self._trust)
        if answer is not None and link.mode == "peer" and joined_meanwhile(link, answer):
            try:
                relay(link, self._manager, self._trust)
            except NobodyAnswersError:
                return False  # the manager has gone meanwhile
            asked = self.node.clock.now()
            answer = ask(link, JOIN, self._info(address, link.identity, False), self._trust)
        if answer is None:
            return False
        self._take_clock(answer, asked, self.node.clock.now())
        way = "" if link.mode == "peer" else " (relayed by the manager)"
        self._event(f"{self.name!r} joined {welcome.manager!r} at {self._manager}{way}")
        return True

    def _take_clock(self, welcome: Welcome, asked: int, returned: int) -> None:
        same_host = bool(welcome.boot_id) and welcome.boot_id == boot_id()
        follow = self._clock == "manager" and not same_host
        if follow != self.discipline.follow or not self.discipline.joined:
            self.discipline = ClockDiscipline(follow)
            self._exchange(Exchange(asked, welcome.now, welcome.now, returned))

    def _exchange(self, exchange: Exchange) -> None:
        what, by = self.discipline.take(exchange)
        if what == "step":
            self.node.clock.step(by)
            # Timers are ticks of the root clock, which has just changed under them.
            self.node.agenda.now = max(self.node.agenda.now, self.node.clock.now()) if by > 0 else self.node.clock.now()
        elif what == "slew":
            self.node.clock.slew(by)
        elif what == "refused":
            self.node.own["invalid"] += 1
            if not self._clock_refused:
                self._clock_refused = True
                self._event(
                    f"the manager's clock would move this one by {about(by)} at once, which is refused: start this"
                    " ensemble anew if its clock is the wrong one (after a suspension, for one)"
                )

    def _beat(self) -> None:
        if not self.node.link.is_open or self._again.is_set():
            return
        self.node.clock.tend(monotonic_us())
        self._ping()
        self._lease.check()

    def _ping(self) -> None:
        self.node.noting.uncertainty = self.discipline.uncertainty
        now = self._lease.pinged_at = self.node.clock.now()
        self._pinged.append(now)
        ping = Ping(
            self.name,
            now,
            self.discipline.offset,
            self.discipline.uncertainty,
            self.node.refused(),
        )
        self.node.send(self.node.manager, message(RuntimeMsg.PING, ping))

    def _pong(self, pong: Pong, stamp: int) -> None:
        if pong.asked not in self._pinged:
            raise UntimelyError("an answer to a heartbeat that was not sent, or long ago")
        self._heard_at = monotonic_us()
        self._exchange(Exchange(pong.asked, pong.received, pong.answered, stamp))
        if self._lease.pong(pong.asked):
            self._lease.notice_silence()

    def _held(self, sqs: list[str]) -> None:
        what = f"; suspended, because others may host them: {', '.join(sqs)}" if sqs else ""
        self._event(f"the manager is not heard{what}")

    def _others(self) -> list[str]:
        """The ensembles that are asked whether they hear the manager; none while this one joins again."""
        table = [] if self._again.is_set() else list(self.node.network_manager.routing_table)
        return [name for name in table if name not in (self.name, self.node.manager)]

    def _forgotten(self, name: str, stamp: int) -> None:
        if name == self.name:
            if self._again.is_set() or monotonic_us() - self._joined_at < SETTLED_AFTER:
                return
            self._event("the manager does not know this ensemble any more; joining again")
            for graph in list(self.node.host.prepared):
                self.node.stop_graph(graph)
            self._again.set()
        else:
            self.node.network_manager.receive(message(NetMsg.FORGET, name))
            self.node._drain()

    def _refused(self, reason: str) -> None:
        self._expelled = reason
        self._stop.set()

    def _revoke(self, content: bytes) -> None:
        try:
            for known in self._trust.guard.revoke(content):
                self._trust.guard.forget(known.name)
        except TTError as error:
            self._event(str(error))

    def _shut_down(self, reason: str) -> None:
        self._event(reason)
        self._stop.set()
