"""The network between simulated ensembles: its members, its cuts, the time that publications take.

Control messages and questions take no simulated time. A publication takes the delay, or the time that a deployment file
gives for its bytes. A link keeps order. At one tick, publications arrive in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ticktalk.engine.agenda import Agenda
from ticktalk.messages import Message
from ticktalk.network_interface import Handle, Join, Receive, Reply, TTNetworkInterface, Wanted, any_reply

if TYPE_CHECKING:
    from ticktalk.simulation.timing import Timing


REMEMBERED = 10_000
"""Ways whose last arrival is remembered, or twice as many as have one to come; each start of a graph has its own."""


class SimulatedNetwork:
    """The network that all ensembles of one simulation share.

    Args:
        agenda: the simulation's.

    Attributes:
        delay: root ticks that a publication takes from one ensemble to another.
        timing: gives that time instead, if a deployment file does.
        members: by name, the ensembles that are on the network.
        size: the bytes of a payload, where they matter for the time.
        cuts: the pairs of ensembles between which nothing gets through.
        keeps_arcs_in_order: tokens of an arc arrive in the order sent, although their SQ moves meanwhile.
        routing_tables: by manager, the table that all read which hear it.
        expecting: by graph and ensemble, SQs that will move there: their tokens go there, too.
    """

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.delay = 0
        self.timing: Timing | None = None
        self.size: Callable[[Any], int] = len
        self.members: dict[str, TTNetworkInterfaceSim] = {}
        self.cuts: set[frozenset[str]] = set()
        self.keeps_arcs_in_order = False
        self.routing_tables: dict[str, dict[str, str]] = {}
        self.expecting: dict[str, dict[str, set[str]]] = {}
        self._latest: dict[tuple[Any, str], int] = {}  # by arc and receiver, when the last token arrives
        self._room = REMEMBERED
        self._waiting: list[tuple[str, str, Message]] = []  # sender, receiver, message: until their link is whole
        self._early: dict[str, list[Message]] = {}  # by ensemble: until it is on the network

    def enter(self, name: str) -> TTNetworkInterfaceSim:
        """An end of the network for an ensemble; while another one has that name, nothing reaches the new one."""
        interface = TTNetworkInterfaceSim(self, name)
        self.members.setdefault(name, interface)
        return interface

    def leave(self, name: str) -> None:
        """Forget an ensemble; its name is free."""
        self.members.pop(name, None)

    def connected(self, one: str, other: str) -> bool:
        """True if messages get through between two ensembles."""
        return not self.cuts or one == other or frozenset((one, other)) not in self.cuts

    def cut(self, one: str, other: str) -> None:
        """Let nothing through between two ensembles."""
        self.cuts.add(frozenset((one, other)))

    def heal(self, one: str, other: str) -> None:
        """Let messages through again."""
        self.cuts.discard(frozenset((one, other)))

    def send_waiting(self, one: str, other: str) -> None:
        """Send the control messages that waited for a link to be whole."""
        waited = [entry for entry in self._waiting if {entry[0], entry[1]} == {one, other}]
        self._waiting = [entry for entry in self._waiting if {entry[0], entry[1]} != {one, other}]
        for _, ensemble, message in waited:
            self._deliver(ensemble, message)

    def hang_up(self, name: str) -> None:
        """Drop the messages that wait to get to an ensemble, or from it: its session has ended."""
        self._waiting = [entry for entry in self._waiting if name not in entry[:2]]

    def send(self, sender: str, ensemble: str, message: Message) -> None:
        """Bring a control message to an ensemble: now, when their link is whole, or when it comes."""
        if self.connected(sender, ensemble):
            self._deliver(ensemble, message)
        else:
            self._waiting.append((sender, ensemble, message))

    def _deliver(self, ensemble: str, message: Message) -> None:
        member = self.members.get(ensemble)
        if member is None or member.take is None:
            self._early.setdefault(ensemble, []).append(message)
        elif member.alive:
            member.take(message)

    def arrived(self, name: str) -> None:
        """An ensemble takes messages now: those sent to it before reach it."""
        for message in self._early.pop(name, ()):
            self._deliver(name, message)

    def in_order(self, arc: Any, receiver: str, tick: int) -> int:
        """The arrival of a token due at `tick`: not before earlier tokens on its arc to the same ensemble."""
        if self.keeps_arcs_in_order:
            tick = self._latest[arc, receiver] = max(tick, self._latest.get((arc, receiver), 0))
            if len(self._latest) > self._room:
                self._latest = {way: latest for way, latest in self._latest.items() if latest >= self.agenda.now}
                self._room = max(REMEMBERED, 2 * len(self._latest))
        return tick

    def latest(self, arc: Any, receiver: str) -> int:
        """The arrival of the last token that was sent on an arc to an ensemble; a past tick, or -1: none is to come."""
        return self._latest.get((arc, receiver), -1)

    def come_by(self, answers: bool) -> int:
        """The root tick by which everything that was published before now has arrived, and each answer."""
        return self.agenda.now + self.delay if self.timing is None else self.timing.all_arrived()

    def expect(self, ensemble: str, graph: str, sqs: Collection[str]) -> None:
        """Let an ensemble have the tokens for these SQs of a graph, too, and for no others that will come."""
        expecting = self.expecting.setdefault(graph, {})
        expecting.pop(ensemble, None)
        if sqs:
            expecting[ensemble] = set(sqs)
        if not expecting:
            del self.expecting[graph]


class TTNetworkInterfaceSim(TTNetworkInterface):
    """The simulated network as one ensemble sees it: the seam at which the physical one takes its place.

    Attributes:
        name: the ensemble's.
        alive: its process has not failed.
        take: takes its control messages; None: not yet.
        lost: called with a payload that did not reach an ensemble.
        repeated: called with a payload that reached an ensemble once more.
        arc_of: tells payloads apart that keep an order among themselves.
    """

    def __init__(self, network: SimulatedNetwork, name: str) -> None:
        self._network = network
        self.name = name
        self.alive = True
        self.take: Callable[[Message], None] | None = None
        self.lost: Callable[[Any], None] = lambda payload: None
        self.repeated: Callable[[Any], None] = lambda payload: None
        self.arc_of: Callable[[Any], Any] = lambda payload: None
        self.subscriptions: dict[str, Receive] = {}
        self.handles: dict[str, Handle] = {}

    @property
    def identity(self) -> str:
        """The ensemble's name."""
        return self.name

    def open(self, take: Callable[[Message], None]) -> None:
        """Take control messages from now on; those sent before come now."""
        self.take = take
        self._network.arrived(self.name)

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message; it takes no simulated time, but waits while the link is cut."""
        self._network.send(self.name, ensemble, message)

    def publish(
        self, key: str, part: Any, join: Join | None = None, to: Sequence[str] | None = None, size: int = 0
    ) -> None:
        """Publish on a key; with `to`, it reaches these ensembles only."""
        if to is None:
            to = [name for name, member in sorted(self._network.members.items()) if key in member.subscriptions]
        if join is None and callable(part):
            for payload, attached in part():
                for ensemble in to:
                    self._bring(ensemble, key, payload, attached)
            return
        for ensemble in to:
            self._bring(ensemble, key, part if join is None else join([part]), None)

    def _bring(self, ensemble: str, key: str, payload: Any, attached: Any) -> None:
        network = self._network
        if network.cuts and not network.connected(self.name, ensemble):
            self.lost(payload)
            return
        in_order = network.keeps_arcs_in_order
        if network.timing is None:
            tick = network.agenda.now + network.delay
        elif network.timing.by_chance:
            ways = network.timing.ways(self.name, ensemble, partial(network.size, payload))
            if not ways:
                self.lost(payload)
                return
            if len(ways) > 1:  # the one that comes first is taken, as by its number
                ways.sort()
                network.agenda.deliver_at(max(ways.pop().tick, network.agenda.now + 1), self.repeated, payload)
            tick, kept = ways[0]
            in_order = in_order and kept
        else:
            tick = network.timing.arrival(self.name, ensemble, partial(network.size, payload))
        if in_order:
            tick = network.in_order(self.arc_of(payload), ensemble, tick)
        if tick > network.agenda.now:
            self.bring_at(tick, ensemble, key, payload, attached)
        else:
            self._arrive(ensemble, key, payload, attached)

    def bring_at(self, tick: int, ensemble: str, key: str, payload: Any, attached: Any = None) -> None:
        """Let a publication arrive at `tick`."""
        self._network.agenda.deliver_at(tick, self._arrive, ensemble, key, payload, attached)

    def _arrive(self, ensemble: str, key: str, payload: Any, attached: Any) -> None:
        member = self._network.members.get(ensemble)
        receive = member.subscriptions.get(key) if member is not None and member.alive else None
        if receive is None:
            self.lost(payload)
        else:
            receive(payload, attached)

    def subscribe(self, key: str, receive: Receive) -> None:
        self.subscriptions[key] = receive

    def unsubscribe(self, key: str) -> None:
        self.subscriptions.pop(key, None)

    def subscribed(self, key: str) -> bool:
        return any(key in member.subscriptions for member in self._network.members.values())

    def ask(self, key: str, payload: bytes, timeout: float, wanted: Wanted = any_reply) -> Reply | None:
        """Ask a question; an answer comes at once or never."""
        first = None
        for name in sorted(self.reachable()):
            handle = self._network.members[name].handles.get(key)
            if handle is not None:
                question = _Question(payload)
                handle(question)
                if question.answered is not None and wanted(question.answered):
                    return question.answered
                first = first or question.answered
        return first

    def answer(self, key: str, handle: Handle) -> None:
        self.handles[key] = handle

    def reachable(self) -> set[str]:
        """The names of the other ensembles that live and to which no link is cut."""
        network = self._network
        return {
            name
            for name, member in network.members.items()
            if member.alive and name != self.name and network.connected(self.name, name)
        }


class _Question:
    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.answered: Reply | None = None

    def answer(self, answer: bytes) -> None:
        self.answered = True, answer

    def refuse(self, reason: str) -> None:
        self.answered = False, reason.encode()
