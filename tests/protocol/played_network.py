"""The network of a world: sessions of hosts, and frames under way that are delayed, doubled, held up or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ticktalk.network_interface import Handle, Receive
from ticktalk.network_keys import Path
from ticktalk.physical.network.link import Link, Withdraw

if TYPE_CHECKING:
    from played_system import Host, World

MS = 1_000
S = 1_000_000
MANAGER = "runtime-manager"
ANSWER_LIMIT = 3 * S
REFUSED = 5 * MS
"""After which it is known that nobody answers, because nobody listens."""


class PlayedLink(Link):
    """A session of a host in the world's network."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        host.link = self
        self._identity = f"{host.name}#{next(host.world.numbers)}"
        self.receivers: dict[str, Receive] = {}
        self.answers: dict[str, Handle] = {}

    @property
    def identity(self) -> str:
        return self._identity

    def _start(self, *arguments: Any) -> None:
        self.host.world.network.enter(self)

    def _end(self) -> None:
        self.host.world.network.end(self.host)

    def _subscribe(self, key: str, receive: Receive) -> Withdraw:
        self.receivers[key] = receive
        return lambda: self.receivers.pop(key, None) and None

    def _answer(self, key: str, handle: Handle) -> None:
        self.answers[key] = handle

    def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
        self.host.world.network.publish(self, path, key, bytes(payload), attached)

    def ask(self, *arguments: Any, **more: Any) -> None:
        raise AssertionError("questions are asked by the world")

    def subscribed(self, key: str) -> bool:
        return any(key in link.receivers for link in self.host.world.network.links if link is not self)

    def reachable(self) -> set[str]:
        network = self.host.world.network
        mine = self.host.name
        return {
            link.identity
            for link in network.links
            if link is not self and network.cuts.get(frozenset((mine, link.host.name))) != "loses"
        }


class Network:
    """Frames under way. On each path between two hosts they keep their order, or are lost together in a cut.

    Attributes:
        delay: microseconds for each frame, by pair of hosts; the others take `ordinary`.
        late: the same from a sender to a receiver only.
        cuts: by pair of hosts: "holds" what is sent for a while, or "loses" it.
        muted: sender and receiver: what the one sends the other is lost, and not what that one sends.
        copies: each frame comes twice with this chance.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.links: list[PlayedLink] = []
        self.ordinary = 1 * MS
        self.jitter = 2 * MS
        self.delay: dict[frozenset[str], int] = {}
        self.late: dict[tuple[str, str], int] = {}
        self.cuts: dict[frozenset[str], str] = {}
        self.muted: set[tuple[str, str]] = set()
        self.copies = 0.0
        self._free: dict[tuple[str, str, Path], int] = {}
        self._waits: dict[frozenset[str], list[tuple[Any, ...]]] = {}
        self.sent = self.dropped = 0

    def enter(self, link: PlayedLink) -> None:
        self.links.append(link)

    def end(self, host: Host) -> None:
        self.links = [link for link in self.links if link.host is not host]

    def publish(self, sender: PlayedLink, path: Path, key: str, payload: bytes, attached: bytes | None) -> None:
        for link in self.links:
            if link is not sender and key in link.receivers:
                self._send(sender, link, path, self._deliver, link, key, payload, attached)

    def _send(self, sender: PlayedLink, to: PlayedLink, path: Path, call: Callable[..., None], *arguments: Any) -> None:
        pair = frozenset((sender.host.name, to.host.name))
        self.sent += 1
        cut = self.cuts.get(pair)
        if cut == "loses" or (sender.host.name, to.host.name) in self.muted:
            self.dropped += 1
        elif cut == "holds":
            self._waits.setdefault(pair, []).append((sender, to, path, call, arguments))
        else:
            self._bring(pair, sender, to, path, call, arguments)

    def _bring(
        self,
        pair: frozenset[str],
        sender: PlayedLink,
        to: PlayedLink,
        path: Path,
        call: Callable[..., None],
        arguments: tuple[Any, ...],
    ) -> None:
        world, way = self.world, (sender.identity, to.identity, path)
        takes = self.late.get((sender.host.name, to.host.name)) or self.delay.get(pair, self.ordinary)
        takes += world.choice.randrange(self.jitter)
        moment = self._free[way] = max(self._free.get(way, 0), world.now + takes)
        world.at(moment - world.now, to.host, call, *arguments)
        if self.copies and world.choice.random() < self.copies:
            world.at(moment - world.now + world.choice.randrange(S), to.host, call, *arguments)

    def _deliver(self, link: PlayedLink, key: str, payload: bytes, attached: bytes | None) -> None:
        receive = link.receivers.get(key)
        if receive is not None and link in self.links:
            receive(payload, attached)

    def refuses(self, one: str, other: str) -> bool:
        """True if the host of another process is reached, and says that the process is not there."""
        here = any(link.host.name == other for link in self.links)
        return not here and frozenset((one, other)) not in self.cuts

    def cut(self, one: str, other: str, how: str) -> None:
        self.cuts[frozenset((one, other))] = how

    def mute(self, sender: str, receiver: str) -> None:
        self.muted.add((sender, receiver))

    def heal(self, one: str, other: str) -> None:
        pair = frozenset((one, other))
        self.muted -= {(one, other), (other, one)}
        self.cuts.pop(pair, None)
        for sender, to, path, call, arguments in self._waits.pop(pair, ()):
            self._bring(pair, sender, to, path, call, arguments)

    def ask(self, asker: PlayedLink, key: str, payload: bytes, then: Callable[[Any], None]) -> None:
        """Ask the manager; `then` gets its reply, or None after a while. Called by the asker."""
        done: list[bool] = []

        def once(reply: Any) -> None:
            if not done:
                done.append(True)
                then(reply)

        limit = REFUSED if self.refuses(asker.host.name, MANAGER) else ANSWER_LIMIT
        self.world.at(limit, asker.host, once, None)
        for link in self.links:
            if key in link.answers:
                question = _Question(self, asker, link, payload, once)
                self._send(asker, link, Path.CONTROL, link.answers[key], question)


class _Question:
    def __init__(
        self, network: Network, asker: PlayedLink, asked: PlayedLink, payload: bytes, then: Callable[[Any], None]
    ) -> None:
        self.payload = payload
        self._network, self._asker, self._asked, self._then = network, asker, asked, then
        self._answered = False

    def answer(self, answer: bytes) -> None:
        self._reply((True, answer))

    def refuse(self, reason: str) -> None:
        self._reply((False, reason.encode()))

    def _reply(self, reply: tuple[bool, bytes]) -> None:
        if not self._answered:
            self._answered = True
            self._network._send(self._asked, self._asker, Path.CONTROL, self._then, reply)
