"""A whole system in one thread and in simulated time: the processes of a device as they are, the rest played.

Real are the node of each ensemble, its membership, its timekeeper's order of work, its workers' bodies, tokens, guards,
and all of the manager. Played are the network's sessions, the clocks of hosts, threads, and the join's questions.
Everything follows from one random generator, as long as Python's hashes are the same (`PYTHONHASHSEED`).
"""

from __future__ import annotations

import heapq
import itertools
import os
import queue
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from played_disk import Disk, PlayedLog, PlayedManager
from played_keys import Keys, Token
from played_network import MANAGER, MS, Network, PlayedLink, S

from ticktalk.errors import TTError
from ticktalk.hosted.lease import Times
from ticktalk.manager.events import Event
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RuntimeMsg, message
from ticktalk.network_keys import GREET, HELLO, JOIN, RESUME
from ticktalk.physical.membership import Membership
from ticktalk.physical.network import joining
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping import loop, root_clock
from ticktalk.physical.timekeeping.loop import NEVER, Loop
from ticktalk.physical.trust import questions, shared_keys, token_seals
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import Known
from ticktalk.physical.workers.worker import Worker
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.records import TookOver
from ticktalk.values.codec import Data

UTC_AT_START = 1_800_000_000 * S
RETRY = 300 * MS
EARLY, LONG = int(loop.EARLY * S), int(loop.LONG * S)
"""Those of a device's timekeeper, in microseconds."""

LOOKS = 100 * MS
"""Between two looks of an ensemble's handle whether there is another manager."""


class DefectError(AssertionError):
    """An error in the runtime itself."""


class PlayedTime:
    """Stands in for the module `time`: the clock of the host that acts now."""

    def __init__(self) -> None:
        self.host: Host | None = None
        self._reading = 0  # nanoseconds

    def let_act(self, host: Host | None, now: int) -> None:
        """From now on show the clock of this host; None: that of the world."""
        self.host = host
        self._reading = 1000 * (now if host is None else host.read(now))

    def monotonic_ns(self) -> int:
        return self._reading

    def monotonic(self) -> float:
        return self._reading / 1e9

    def thread_time_ns(self) -> int:
        return 0  # work takes no time

    def time_ns(self) -> int:
        return self._reading + 1000 * (UTC_AT_START + (0 if self.host is None else self.host.utc))


TIME = PlayedTime()


class _NoSockets:
    def poll(self, timeout: int) -> list[Any]:
        return []


class _NoRole:
    def hurry(self) -> None:
        """There is one thread."""


class PlayedLoop(Loop):
    """The order of a timekeeper's work, without threads: what it would sleep for is an event of the world."""

    def __init__(self, clock: Any, agenda: Any, ensemble: str = "") -> None:
        self.clock, self.agenda = clock, agenda
        self._descriptors: Any = _NoSockets()
        self._inbox = deque()
        self._watched, self._timers, self._timer_count = {}, [], 0
        self._made_at = root_clock.monotonic_us()
        self._jobs = deque()
        self._role: Any = _NoRole()
        self._signalled = self._stopping = self._woken = self._early = False
        self.before_instant = None
        self._wakes_at, self._to_tick = 0, False
        self._first = NEVER, lambda: None
        self._thread = self._visitor = None
        assert TIME.host is not None
        self.host = TIME.host
        self.host.loop = self
        self.acts = False

    @property
    def in_loop(self) -> bool:
        return self.acts

    def _signal(self) -> None:
        self._signalled = True
        self.host.wake()

    def visit(self, stamp: int, may_stay: bool, call: Callable[..., None], *arguments: Any) -> bool:
        return False

    def spawn(self, call: Callable[[], None]) -> None:
        call()

    def close(self) -> None:
        """There is nothing to give back."""

    def _guarded(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:
            raise DefectError(f"{self.host.name}: {type(error).__name__}: {error}") from error

    def turn(self) -> None:
        """Do all that is due now."""
        self._signalled = True
        if self._early and self.clock.now() >= self._wakes_at - EARLY:  # else something came before
            self.acts = True
            self._rehearse()
            self.acts = False
        while True:
            self.acts = True
            self._turn()
            self.acts = False
            while self._jobs:
                self.acts = True
                job = self._jobs.popleft()()
                self.acts = False
                if job is not None:
                    call, arguments = job.call, job.arguments
                    if self.host.body_time and getattr(call, "__func__", None) is Worker.run_waiting:
                        self.host.world.at(self.host.body_time, self.host, call, *arguments)
                    else:
                        call(*arguments)
            if not self._inbox:
                break
        self._signalled = False
        due = self._timers[0][0] if self._timers else NEVER
        tick = self.agenda.next_tick()
        self._early = False
        if tick is not None and (moment := self.clock.monotonic(tick)) < due:
            self._wakes_at = tick
            self._early = self.host.world.rehearses and moment - root_clock.monotonic_us() > LONG
            due = moment - EARLY * self._early
        if due < NEVER:
            self.host.wake_at(due)


class Host:
    """One process on a host of its own: it is alive, stands still, or is dead.

    Attributes:
        ppm: millionths by which its monotonic clock runs fast.
        utc: microseconds by which its UTC was wrong when it started.
        body_time: microseconds for which each body runs.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.alive = True
        self.died = 1 << 62  # when it did; much later: it has not
        self.ppm = 0
        self.utc = 0
        self.body_time = 0
        self.loop: PlayedLoop
        self.link: PlayedLink
        self._base = (world.now, 1_000 * S + world.choice.randrange(S))
        self._stands: str = ""  # "stopped": the whole process; "busy": its timekeeper
        self._later: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._wakes = -1

    def read(self, now: int) -> int:
        """Its monotonic clock at a moment."""
        begin, reading = self._base
        return reading + (now - begin) + (now - begin) * self.ppm // 1_000_000

    def step(self, by: int) -> None:
        """Let its monotonic clock leap ahead, as after a pause of a virtual machine."""
        begin, reading = self._base
        self._base = (begin, reading + by)
        self.wake()

    def succeed(self, before: Host) -> None:
        """Be the next process on the host of one that is dead: it has that host's clocks."""
        self.ppm, self.utc, self._base = before.ppm, before.utc, before._base

    def drift(self, ppm: int) -> None:
        """Let its clock run fast by so many millionths from now on."""
        self._base = (self.world.now, self.read(self.world.now))
        self.ppm = ppm

    def wake(self) -> None:
        """Have its timekeeper take a turn."""
        self.wake_at(self.read(self.world.now))

    def wake_at(self, reading: int) -> None:
        """Have its timekeeper take a turn when its clock shows this."""
        begin, base = self._base
        ahead = reading - base
        moment = max(self.world.now, begin + -(-ahead * 1_000_000 // (1_000_000 + self.ppm)))
        if self._wakes < self.world.now or moment < self._wakes:
            self._wakes = moment
            self.world.at(moment - self.world.now, self, self._turn, moment)

    def _turn(self, moment: int) -> None:
        if self._wakes == moment:
            self._wakes = -1
            self.loop.turn()

    def act(self, call: Callable[..., None], *arguments: Any) -> None:
        """Do something in this process, unless it is dead; later, while it stands still."""
        if not self.alive:
            return
        if self._stands and (self._stands == "stopped" or getattr(call, "__func__", None) is Host._turn):
            self._later.append((call, arguments))
            return
        before = TIME.host
        TIME.let_act(self, self.world.now)
        try:
            call(*arguments)
        finally:
            TIME.let_act(before, self.world.now)

    def stand(self, how: str) -> None:
        """Stand still, or go on (empty)."""
        self._stands = how
        later, self._later = self._later, []
        for call, arguments in later:  # in their order, as far as it goes on
            self.act(call, *arguments)
        if not how:
            self._wakes = -1
            self.act(self.loop.turn)

    def die(self) -> None:
        """End without a word."""
        self.alive, self.died = False, self.world.now
        self.world.network.end(self)


class PlayedTrust:
    """The manager's trust: the revocation list is the authority's newest one."""

    credentials = None

    def __init__(self, world: World, guard: Guard) -> None:
        self._world, self.guard = world, guard

    def warn_of_end(self) -> None:
        """Nothing expires."""

    @property
    def list_content(self) -> bytes:
        return self._world.keys.list_content

    def look(self) -> list[Known]:
        return self.guard.revoke(self.list_content)


class Ensemble:
    """A process of an ensemble: it joins as its handle would, and then is its membership."""

    def __init__(self, world: World, name: str, components: tuple[str, ...] = ()) -> None:
        self.world, self.name = world, name
        self.host = Host(world, name)
        self.host.utc = world.choice.randrange(-200 * MS, 200 * MS)
        self.joins = 0
        self.starts = 1  # processes of this name, with this one
        self.ended = False
        self.refused = ""
        with world.acting(self.host):
            self.guard = world.keys.guard(name, "ensemble")
            self.node = Node(
                name, dict.fromkeys(components), MANAGER, False, "", self.guard, PlayedLink(self.host), loop=PlayedLoop
            )
            self.said: list[str] = []
            self.member = Membership(self.node, self.guard, True, self.said.append, self._again, self._end)
            self.node.accelerator = None  # the watch sees each firing
            self.node.loop.every(Times().heartbeat, self.member.beat)
            self.join()
            world.at(LOOKS, self.host, self._look)

    def _end(self) -> None:
        self.ended = True
        if not self.member.out:
            self.node.loop.post(lambda: self.node.send(MANAGER, message(RuntimeMsg.LEAVE, self.name)))
        self.world.at(5 * MS, self.host, self.host.die)

    def _again(self) -> None:
        self.world.at(1 * MS, self.host, self.join)

    def _info(self) -> EnsembleInfo:
        link = self.node.link
        return EnsembleInfo(
            self.name,
            f"{self.name}:1",
            sorted(self.node.components),
            boot_id=f"host of {self.name}",
            started=self.member.since,
            zid=link.identity,
        )

    def _look(self) -> None:
        """See whether there is another manager, as `EnsembleHandle` does."""
        self.world.at(LOOKS, self.host, self._look)
        if self.ended or self.member.out or not self.member.looks_for_another():
            return
        if self.world.network.refuses(self.name, MANAGER):
            self.node.loop.post(self.member.nobody)
            return
        before, asked = self.guard.session_of(MANAGER), self.node.clock.now()

        def answered(answer: joining.ProvenAnswer | None) -> None:
            if answer is None or before in (None, self.guard.read(answer.badge)[1]) or self.member.out:
                return
            if answer.accepted:
                welcome = joining.welcomed(answer, self)  # type: ignore[arg-type]
                self.node.loop.post(self.member.resumed, welcome, asked)
            else:
                self.node.loop.post(self.member.forgotten, self.name)

        self._question(RESUME, answered)

    def join(self) -> None:
        """Ask until the manager answers, as `EnsembleHandle` does."""
        link = self.node.link
        if not link.is_open:
            link.open("peer")
        self.asked = self.node.clock.now()
        self._question(HELLO, lambda answer: self._welcomed(answer, lambda welcome: self._join()))

    def _join(self) -> None:
        self.asked = self.node.clock.now()
        self._question(JOIN, lambda answer: self._welcomed(answer, self._enter))

    def _welcomed(self, answer: joining.ProvenAnswer | None, then: Callable[[joining.Welcome], None]) -> None:
        if answer is not None and answer.accepted:
            try:
                then(joining.welcomed(answer, self))  # type: ignore[arg-type]
                return
            except joining.RefusedError as error:
                self.refused = str(error)
        elif answer is not None:
            self.refused = str(joining.refusal_in(answer.payload))
        self._later()

    def _question(self, key: str, then: Callable[[joining.ProvenAnswer | None], None]) -> None:
        """Ask the manager; `then` is given the answer, or None if none is proven to be its own."""
        link = self.node.link
        assert isinstance(link, PlayedLink)

        def greeted(reply: Any) -> None:
            if reply is None or not reply[0]:
                then(None)
                return
            try:
                asking = self.guard.ask(reply[1], key, msgspec.msgpack.encode(self._info()))
            except TTError:  # a revoked one has not got the credentials by which it would know this manager
                then(None)
                return

            def answered(reply: Any) -> None:
                try:
                    proven = None if reply is None or not reply[0] else asking.answer(reply[1])
                except TTError:
                    proven = None
                then(None if proven is None else joining.ProvenAnswer(*proven, asking.answerer.name, asking.badge))

            self.world.network.ask(link, key, asking.payload, answered)

        self.world.network.ask(link, GREET, b"", greeted)

    def _later(self) -> None:
        if not self.ended:
            self.world.at(RETRY, self.host, self.join)

    def _enter(self, welcome: joining.Welcome) -> None:
        self.joins += 1
        self.member.take(welcome, False, self.asked, self.node.clock.now())
        if self.joins == 1:
            self.member.joined()
            self.host.wake()
        else:
            self.node.loop.post(self.member.joined)


class World:
    """See above.

    Args:
        choice: decides all that is left to chance.
        checkpoint: microseconds between two checkpoints.
        keeps: what the manager knows is kept on a disk, so that another one can follow it.
        keys: the credentials; None: there are none.
        rehearses: heads-ups go before later instants of streams, too.
    """

    def __init__(
        self,
        choice: random.Random,
        checkpoint: int = 500 * MS,
        keeps: bool = False,
        keys: Keys | None = None,
        rehearses: bool = False,
    ) -> None:
        self.choice, self.rehearses = choice, rehearses
        self.now = 0
        TIME.let_act(None, 0)
        self.numbers = itertools.count(1)
        self._events: list[tuple[int, int, Host | None, Callable[..., None], tuple[Any, ...]]] = []
        self.network = Network(self)
        self.keys = keys or Token()
        self.ensembles: dict[str, Ensemble] = {}
        self.told: list[tuple[int, Event]] = []
        self.took_over: list[tuple[TookOver, list[str]]] = []
        self.disk = Disk()
        self._checkpoint, self._keeps = checkpoint, keeps
        self.start_manager(Host(self, MANAGER))

    def start_manager(self, host: Host) -> None:
        """Start a process of the manager."""
        self.manager_host = host
        with self.acting(host):
            guard = self.keys.guard(MANAGER, "manager")
            self.driver = driver = PlayedManager(self, host, self._checkpoint, self._keeps)
            self.process = TTRuntimeManagerProcess(None, queue.SimpleQueue(), MANAGER, driver=driver)
            self.log = self.process.outputs.log = PlayedLog(self.disk)  # type: ignore[assignment]
            self.node = Node(MANAGER, {}, MANAGER, False, "", guard, PlayedLink(host), loop=PlayedLoop)
            self.node.accelerator = None
            self.node.link.open("router")
            if driver.known is not None:
                self.node.go_on_from(driver.known.root_offset)
            now, identity = self.node.clock.now(), self.node.link.identity
            self.process.requests.liveness.introduce(
                EnsembleInfo(
                    MANAGER, "m:1", [], boot_id="host of the manager", started=now, zid=identity, badge=guard.badge
                ),
                self.node.clock.offset,
            )
            self.trust = PlayedTrust(self, guard)
            driver.host(self.node, self.process, self.trust)  # type: ignore[arg-type]
            self.process.requests.watchers.append(lambda event: self.told.append((self.now, event)))
            driver.begin()
        host.wake()

    def kill_manager(self) -> None:
        """End the manager's process without a word; of what it has not flushed to its log, a part may be there."""
        self.manager_host.die()
        self.log.break_off(self.choice)

    def follow_manager(self) -> None:
        """Start another process of the manager on the host of the one that is dead."""
        host = Host(self, MANAGER)
        host.succeed(self.manager_host)
        self.start_manager(host)

    @property
    def state(self) -> Any:
        return self.process.state

    @contextmanager
    def acting(self, host: Host) -> Iterator[None]:
        """A host acts: its clock is read."""
        before = TIME.host
        TIME.let_act(host, self.now)
        try:
            yield
        finally:
            TIME.let_act(before, self.now)

    def at(self, ahead: int, host: Host | None, call: Callable[..., None], *arguments: Any) -> None:
        """Have a host do something so much later; None: the world itself."""
        heapq.heappush(self._events, (self.now + max(0, ahead), next(self.numbers), host, call, arguments))

    def run(self, until: int) -> None:
        """Let time pass up to a moment."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, host, call, arguments = heapq.heappop(events)
            if host is None:
                TIME.let_act(None, self.now)
                call(*arguments)
            else:
                host.act(call, *arguments)
        self.now = until
        TIME.let_act(None, until)

    def start(self, name: str, components: tuple[str, ...] = ()) -> Ensemble:
        """Start the process of an ensemble."""
        before = self.ensembles.get(name)
        made = self.ensembles[name] = Ensemble(self, name, components)
        made.starts = 1 if before is None else before.starts + 1
        return made

    def request(self, kind: RuntimeMsg, request: Any) -> Future[Any]:
        """Have a user ask the manager for something; the reply is in the future that is returned."""
        reply: Future[Any] = Future()
        handlers = self.process.requests.handlers

        def ask() -> None:
            handlers[kind](msgspec.structs.replace(request, reply=reply))
            self.node._drain()

        self.manager_host.act(self.node.loop.post, ask)
        return reply

    def revoke(self, name: str) -> None:
        """Take back the certificate of an ensemble."""
        self.keys.revoke(name)


class PlayedLock:
    """Stands in for `AESGCM`, at a tenth of its cost: it hides nothing, and opens what it would open."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, number: bytes, content: Data, about: bytes) -> bytes:
        content = bytes(content)
        return content + self._mark(number, content, about)

    def decrypt(self, number: bytes, sealed: Data, about: bytes) -> bytes:
        content = bytes(sealed[:-16])
        if sealed[-16:] != self._mark(number, content, about):
            raise InvalidTag
        return content

    def _mark(self, number: bytes, content: bytes, about: bytes) -> bytes:
        return hash((self._key, number, content, about)).to_bytes(16, "big", signed=True)


class played:
    """While it is open, clocks and random bytes are the world's.

    Args:
        choice: gives the random bytes.
        seals: messages and tokens are sealed as on a device; False: by a `PlayedLock`.
    """

    def __init__(self, choice: random.Random, seals: bool = True) -> None:
        self._choice, self._seals = choice, seals

    def __enter__(self) -> None:
        self._before = root_clock.time, questions.time, os.urandom, shared_keys.AESGCM, token_seals.AESGCM
        root_clock.time = questions.time = TIME  # type: ignore[assignment]
        os.urandom = self._choice.randbytes
        if not self._seals:
            shared_keys.AESGCM = token_seals.AESGCM = PlayedLock  # type: ignore[assignment,misc]
        assert threading.main_thread() is threading.current_thread()

    def __exit__(self, *error: object) -> None:
        root_clock.time, questions.time, os.urandom, shared_keys.AESGCM, token_seals.AESGCM = self._before  # type: ignore[misc]
