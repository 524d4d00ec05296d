"""A running ensemble: it joins, keeps to its clock and its lease, and serves until it is stopped."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from ticktalk.defaults import MAX_VALUE
from ticktalk.engine.components import Components
from ticktalk.hosted.lease import Times
from ticktalk.manager.liveness import Why
from ticktalk.mapping.ensembles import EnsembleInfo, check_address, check_host, check_port
from ticktalk.messages import RuntimeMsg, message
from ticktalk.network_keys import HELLO, JOIN, RESUME, Path
from ticktalk.payloads import FiringError
from ticktalk.physical.host_facts import describe_host, free_port
from ticktalk.physical.limits import ENSEMBLE, check_limits, check_memory
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.membership import Membership
from ticktalk.physical.network.joining import (
    MEANWHILE_LIMIT,
    ProvenAnswer,
    ReachableEnsemble,
    RefusedError,
    Welcome,
    ask,
    can_reach,
    heard,
    heard_of,
    hello,
    nobody_listens,
    open_session,
    own_address,
    peers_of,
    question,
    relay,
    unreached,
    welcomed,
)
from ticktalk.physical.network.link import LinkError, NobodyAnswersError, PortInUseError
from ticktalk.physical.network.probing import why_nobody
from ticktalk.physical.node import Node
from ticktalk.physical.system import boot_id
from ticktalk.physical.taking_back import NO_ANSWER, TakingBack
from ticktalk.physical.timekeeping.garbage import Garbage, loaded_before
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.workers.memory import check_workers

logger = logging.getLogger("ticktalk")

RETRY = 0.3
"""Seconds between two attempts to join."""

LEAVE_LIMIT = 3.0
"""Seconds for which an ensemble that leaves waits for the states of its bodies, because a body may run for long.
After that it waits as long at most until they are sent, because the manager may stand still."""

LOOK_PERIOD = 0.1
"""Seconds between two looks for another manager while this one is not heard."""

LOOK_FOR_LINKS = 2_000_000
"""Microseconds between two looks for direct connections that did not come about."""

SELDOM = 32
"""By so much longer are these pauses at most, where the manager relays: each is twice as long as the one before."""

BIND_LIMIT = 3.0
"""Seconds without a connection from the given local port after which this is told."""

LOOK_WHY = 10.0
"""Seconds between two looks why no manager answers."""

NAME_LIMIT = 2.5
"""Seconds for which a name in use is asked for again."""


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
        worker_memory: int = 0,
    ) -> None:
        check_limits(ENSEMBLE)
        check_memory()
        check_workers(workers, worker_memory)
        check_address(manager)
        if ip is not None:
            check_host(ip)
        check_port(rx_port, "rx_port")
        check_port(tx_port, "tx_port")
        self.name = name
        self._manager = manager
        self._trust = Trust(name, "ensemble", credentials, manager, token)
        self._ip = own_address(manager) if ip is None else ip
        self._any_port = not rx_port
        self._rx_port = rx_port or free_port(self._ip)
        self._bind = f"{self._ip}:{tx_port}" if tx_port else ""
        self._event = on_event or (lambda text: None)
        self._stop = threading.Event()
        self._woken = threading.Event()  # set with `_stop` and `_again`: ends the pause between two looks
        self._ended_here = False  # not by the manager
        guard = self._trust.guard
        self.node = Node(
            name, components, manager_name, workers > 0, near, guard, max_value=max_value, worker_memory=worker_memory
        )
        self.node.workers.loading.home = workers == 1
        self.node.log_error = log_error
        self._again = threading.Event()
        self._taking_back = TakingBack(manager)
        self._unlinked: list[ReachableEnsemble] = []  # ensembles that stood still, or were lost, when this one joined
        self._linked_at = 0  # when it was looked last whether others are reached
        self._pause = LOOK_FOR_LINKS  # until it is looked again
        self.member = Membership(self.node, guard, clock == "manager", self._event, self._join_again, self._end)
        self.node.loop.every(Times().heartbeat, self.member.beat)

    def run(self) -> None:
        """Join, and serve until stopped."""
        if threading.current_thread() is not threading.main_thread():
            self._serve()
            return
        # The process is this ensemble's: it is idle or ends when the ensemble is or does.
        self.node.loop.at_rest = Garbage().look
        with loaded_before():
            self._serve()

    def _serve(self) -> None:
        started = False
        try:
            while not self._stop.is_set():
                if not self._join():
                    break
                self._again.clear()
                self._woken.clear()
                if started:
                    in_loop(self.node, self.member.joined)
                else:
                    # Before time is kept: the first heartbeat may be due, and joining have taken long.
                    self.member.joined()
                    self.node.run_in_thread()
                    started = True
                while not self._stop.is_set() and not self._again.is_set():
                    self._look_for_another()
                    self._look_for_links()
                    self._woken.wait(self._pause_before_look())
        finally:
            if started and self.node.link.is_open and not self._again.is_set():
                try:
                    self._leave()
                except Exception:
                    pass  # the manager will notice by itself
            self.node.close()
        if self.member.expelled:
            raise RefusedError(self.member.expelled)

    def _leave(self) -> None:
        """Tell the manager how all instances stand, if they go on elsewhere, and that this ensemble leaves."""
        node = self.node
        if self._ended_here:
            sent = threading.Event()
            in_loop(node, lambda: node.duties.checkpoints.leave(sent.set))
            sent.wait(LEAVE_LIMIT)
            node.link.wait_for(Path.CONTROL, node.manager, LEAVE_LIMIT)  # it goes before the farewell, on another path
        bye = message(RuntimeMsg.LEAVE, self.name)
        in_loop(node, lambda: node.send(node.manager, bye))

    def stop(self) -> None:
        """End `run`; from any thread."""
        self._ended_here = True
        self._end()

    def _end(self) -> None:
        self._stop.set()
        self._woken.set()

    def _join_again(self) -> None:
        self._again.set()
        self._woken.set()

    def _pause_before_look(self) -> float:
        """Seconds until it is looked again for another manager and for links: a heard manager needs no look."""
        return max(LOOK_PERIOD, (self.member.hears_until() - monotonic_us()) / 1e6)

    def _look_for_another(self) -> None:
        """In place of a manager that is not heard there may be none, or another start of it, with other keys.

        One that knows this ensemble as it is takes it back, and all goes on. Any other is joined anew.
        """
        self._trust.warn_of_end()
        if not self.member.looks_for_another():
            return
        if nobody_listens(self._manager):
            self._taking_back.clear()
            self.node.loop.post(self.member.nobody)
            return
        if not self._taking_back.may_ask(monotonic_us()):
            return
        before = self._trust.guard.session_of(self.node.manager)
        link = self.node.link
        info = self._info(self._address(), link.identity, link.mode == "peer")
        asked = self.node.clock.now()
        try:
            answer = question(link, RESUME, msgspec.msgpack.encode(info), self._trust, 1.0)
        except RefusedError as error:
            self._not_taken_back(str(error))
            return
        if answer is None:
            self._not_taken_back(NO_ANSWER)
            return
        self._taking_back.clear()
        if before in (None, self._trust.guard.read(answer.badge)[1]):
            return
        if answer.accepted:
            in_loop(self.node, lambda: self._resume(answer, asked))
        else:
            in_loop(self.node, lambda: self.member.forgotten(self.name))

    def _not_taken_back(self, why: str) -> None:
        if said := self._taking_back.refused(monotonic_us(), why):
            self._event(said)

    def _resume(self, answer: ProvenAnswer, asked: int) -> None:
        if not self.member.out:
            self.member.resumed(welcomed(answer, self._trust), asked)

    def _look_for_links(self) -> None:
        """See whether those that stood still are reached now, or, if the manager relays, whether all can be."""
        link = self.node.link
        relayed = link.mode == "client"
        if not (relayed or self._unlinked) or monotonic_us() - self._linked_at < self._pause:
            return
        try:
            if relayed:
                self._reach_all()
            else:
                self._reach_rest()
        except (RefusedError, NobodyAnswersError) as error:
            logger.debug("looking for direct connections: %s", error)
            if not link.is_open:
                self._join_again()  # the manager went meanwhile: without a session it is joined anew
        self._linked_at = monotonic_us()

    def _reach_rest(self) -> None:
        """If one that stood still, or was lost, goes on and is not reached, the manager relays.

        One with another session than before looks for its links itself.
        """
        link = self.node.link
        self._unlinked = unreached(link, self._unlinked, 0)
        there = [each for each in self._unlinked if each.name in self.node.network_manager.routing_table]
        welcome = ask(link, HELLO, self._info(), self._trust) if there else None
        if welcome is None:
            return  # the others are lost, and may come back; or the manager stands still
        sessions = {peer.name: peer.zid for peer in welcome.peers}
        self._unlinked = [each for each in self._unlinked if sessions.get(each.name, each.zid) == each.zid]
        alive = heard_of(welcome, self._unlinked)
        if alive and unreached(link, alive, MEANWHILE_LIMIT):
            relay(link, self._manager, self._trust)
            self._unlinked = []
            ask(link, JOIN, self._info(self._address(), link.identity, False), self._trust)
            self._event(f"{alive[0].name!r} cannot be reached directly: the manager relays from now on")

    def _reach_all(self) -> None:
        """If all others can be reached, the manager need not relay: another session takes the place of this one.

        So can those be that the manager has lost: they may come back, and the manager does not relay between peers.
        """
        link = self.node.link
        welcome = ask(link, HELLO, self._info(), self._trust)
        if welcome is None or not can_reach([*peers_of(welcome), *welcome.lost], self._trust):
            self._pause = min(2 * self._pause, SELDOM * LOOK_FOR_LINKS)
            return
        try:
            if self._any_port:
                self._rx_port = free_port(self._ip)  # the one of before may be in use now
            open_session(link, welcome, self._manager, self._info(self._address()), self._trust, self._bind)
        except LinkError:
            relay(link, self._manager, self._trust)  # its port is in use, or this host has another address now
        self._pause = LOOK_FOR_LINKS if link.mode == "peer" else SELDOM * LOOK_FOR_LINKS
        if not self._enter(welcome, self._address()):
            self._join_again()

    def _join(self) -> bool:
        """Ask until the manager answers; False when stopped before."""
        told, look = "", 0.0
        began = time.monotonic()
        while not self._stop.is_set():
            address = self._address()
            try:
                welcome = hello(self._info(address), self._manager, self._trust)
            except RefusedError as error:
                # After a crash the name is this ensemble's own: the manager will find the old one silent.
                if error.why is not Why.IN_USE or time.monotonic() - began > NAME_LIMIT:
                    raise
                self._stop.wait(RETRY)
                continue
            if welcome is None:
                if time.monotonic() >= look:
                    look = time.monotonic() + LOOK_WHY
                    why = f"nobody answers at {self._manager} yet"
                    if not nobody_listens(self._manager):
                        why = why_nobody(self._manager, self._trust)
                    if why != told:
                        told = why
                        self._event(f"{why}; still trying")
                self._stop.wait(RETRY)
                continue
            if self._enter(welcome, address):
                return True
            if self._bind and not told and time.monotonic() - began > BIND_LIMIT:
                told = "no connection"
                port = self._bind.rpartition(":")[2]
                self._event(
                    f"no connection from port {port} (--tx-port): it is free a minute after its last one ended; still"
                    " trying"
                )
            self._stop.wait(RETRY)
        return False

    def _address(self) -> str:
        return f"{'[' + self._ip + ']' if ':' in self._ip else self._ip}:{self._rx_port}"

    def _info(self, address: str = "", zid: str = "", direct: bool = True) -> EnsembleInfo:
        return describe_host(self.name, self.node.components, address, zid, direct, self.member.since)

    def _enter(self, welcome: Welcome, address: str) -> bool:
        link = self.node.link
        if not link.is_open:
            try:
                open_session(link, welcome, self._manager, self._info(address), self._trust, self._bind)
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
        if answer is not None and link.mode == "peer":
            # There may be more than before: those that joined meanwhile.
            self._unlinked, self._linked_at = unreached(link, peers_of(answer), MEANWHILE_LIMIT), monotonic_us()
            if heard(link, self._unlinked, info, self._trust):
                try:
                    relay(link, self._manager, self._trust)
                except NobodyAnswersError:
                    return False  # the manager has gone meanwhile
                self._unlinked = []
                asked = self.node.clock.now()
                answer = ask(link, JOIN, self._info(address, link.identity, False), self._trust)
            else:
                self._unlinked += answer.lost  # they may come back
        if answer is None:
            return False
        same_host = bool(answer.boot_id) and answer.boot_id == boot_id()
        self.member.take(answer, same_host, asked, self.node.clock.now())
        way = "" if link.mode == "peer" else " (relayed by the manager)"
        self._event(f"{self.name!r} joined {welcome.manager!r} at {self._manager}{way}")
        self._warn_if_unnamed()
        return True

    def _warn_if_unnamed(self) -> None:
        """Tell when others open no connection to this ensemble: its certificate must name the address."""
        credentials = self._trust.credentials
        if credentials is not None and self._ip not in credentials.addresses:
            self._event(
                f"warning: {credentials.path} does not name the address {self._ip}: others reach {self.name!r} through"
                f" the manager only, which is slower. Issue it with `ticktalk keys issue {self.name} --address"
                f" {self._ip}`, and copy the file again"
            )
