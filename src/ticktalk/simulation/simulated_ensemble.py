"""One simulated ensemble: its contexts send to the network, and take tokens from it.

Tokens, outputs and errors leave through `Site` (`Outside`). A token to another ensemble is published on the key of its
arc. Where SQs can move, it carries its number and its receivers (`Addressed`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import arc_name
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.hosted.ensemble_duties import Duties
from ticktalk.hosted.lease import Lease
from ticktalk.hosted.subscriptions import Listening, arcs_to
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, NetMsg, SyncMsg
from ticktalk.network_keys import OUTPUT, arc_key
from ticktalk.payloads import Deployment, FiringError, OutputToken, StartContext, StopGraph, Tell
from ticktalk.processes import TTExecuteProcess, TTInputTokenProcess, TTNetworkManager, TTProcess
from ticktalk.replacement import title_of
from ticktalk.simulation.clocks import ClockedAgenda
from ticktalk.simulation.cores import Cores
from ticktalk.simulation.network import SimulatedNetwork
from ticktalk.simulation.simulated_bodies import SimulatedBodies
from ticktalk.time import Tick
from ticktalk.values.codec import PLAIN, Data, ValueFormatError, decode_value, encode_value, handed_on

if TYPE_CHECKING:
    from ticktalk.simulation.timing import Timing


class Addressed(NamedTuple):
    """The number and the receivers of a token; needed where SQs can move.

    Attributes:
        number: its number on the arc.
        consumers: by receiver, the SQs there that it is for.
        moving: SQs that are to move, and where to: that ensemble gets the token, too.
        spare: it is only for SQs that are to move, and that get it at their present host too.
    """

    number: int
    consumers: Mapping[str, set[str]]
    moving: Mapping[str, str]
    spare: bool = False


SentToken = tuple[Context, str, Any, Data | None, Tick, Tick, str, int, Addressed | None]
"""A token on its way: `(sender, sq, value, data, start, stop, arc, generation, addressed)`; `data`: the value encoded,
unless nobody can change it; `addressed`: None where SQs cannot move."""

SentOutput = tuple[Context | None, str, Any, Data | None, Tick, Tick, str, int, str]
"""An output on its way: `(sender, sq, value, data, start, stop, graph, context, ensemble)`; no sender: its context has
ended just now."""


def size_of(sent: SentToken | SentOutput, timing: Timing) -> int:
    """The bytes that a token or an output takes on its way."""
    sender, sq, value, data = sent[:4]
    return timing.size(None if sender is None else sender.prepared, sq, value, data)


class SiteDriver(Protocol):
    """The simulation, as a site needs it."""

    @property
    def accelerator(self) -> Accelerator | None:
        """The surroundings of contexts that start now."""

    def at_end_of(self, tick: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call `call(argument)` when all else of a tick is done."""

    def settle(self) -> None:
        """Let all control messages take their course."""


class Site:
    """One simulated ensemble (`Outside`).

    Args:
        network: carries its tokens.
        sites: all of the simulation, by name.
        name: the ensemble's.
        manager: the name of the runtime manager.
        info: its description when it joined.
        driver: the simulation.

    Attributes:
        interface: its end of the network.
        duties: its moves, checkpoints and reports.
        lease: whether it goes on while it hears nothing of the manager.
        suspended: told of its SQs that are held because the manager is not heard.
        left: the manager has let it go.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        sites: dict[str, Site],
        name: str,
        manager: str,
        info: EnsembleInfo,
        driver: SiteDriver,
    ) -> None:
        self.name = name
        self.manager = manager
        self.info = info
        self.interface = network.enter(name)
        self.interface.lost, self.interface.arc_of = self._lost, _arc_of
        self.interface.repeated = self._repeated
        self.host: EnsembleHost | None = None
        self.cores: Cores | None = None  # on which its bodies take their time
        self.suspended: Callable[[list[str]], None] = lambda sqs: None
        self.left = False
        self.take_output: Any = None  # on the manager's own ensemble
        self.take_error: Any = None
        self.log_error: Any = None
        self._network = network
        self._sites = sites
        self._driver = driver
        self._early: dict[tuple[str, int], list[SentToken]] = {}  # by context that begins when the clock here says so

    @property
    def alive(self) -> bool:
        """True if its process has not failed."""
        return self.interface.alive

    @property
    def accelerator(self) -> Accelerator | None:
        """The surroundings of contexts that start now."""
        return self._driver.accelerator

    # Tokens.

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token over the simulated network, to each ensemble that consumes the arc."""
        data = None if value.__class__ in PLAIN else encode_value(value)
        assert self.host is not None
        sender, sq = self.host.contexts[graph, context], arc.rpartition("/")[0]
        generation = sender.prepared.generations.get(sq, 0)
        key = arc_key(graph, arc)
        if not self.host.movable:
            self.interface.publish(key, (sender, sq, value, data, start, stop, arc, generation, None), to=ensembles)
            return
        number = self.duties.arcs[graph, context].send(arc)
        consumers, moving = self._consumers(sender, sq, arc, ensembles)
        if self.name in moving.values():
            self.duties.moves.keep(graph, context, arc, number, start, stop, handed_on(value))
        spare = [ensemble for ensemble in consumers if ensemble not in ensembles]
        for to in (ensembles, spare):
            addressed = Addressed(number, consumers, moving, to is spare)
            self.interface.publish(key, (sender, sq, value, data, start, stop, arc, generation, addressed), to=to)

    def _consumers(
        self, sender: Context, sq: str, arc: str, ensembles: list[str]
    ) -> tuple[dict[str, set[str]], dict[str, str]]:
        """By receiver, the SQs there that consume an arc, also those that are to move there; and where they move to."""
        prepared = sender.prepared
        to = {to.sq for to in prepared.wiring.by_name[sq].arcs[int(arc.rpartition("/")[2])].to}
        consumers = {ensemble: {name for name in to if prepared.host_of[name] == ensemble} for ensemble in ensembles}
        moving: dict[str, str] = {}
        for ensemble, expected in self._network.expecting.get(prepared.graph.name, {}).items():
            coming = expected & to
            if coming and self._network.connected(self.name, ensemble):
                moving |= dict.fromkeys(coming, ensemble)
                if ensemble != self.name:
                    consumers[ensemble] = consumers.get(ensemble, set()) | coming
        return consumers, moving

    def _lost(self, sent: SentToken | SentOutput) -> None:
        addressed = sent[-1]
        if sent[0] is not None and not (isinstance(addressed, Addressed) and addressed.spare):
            sent[0].counters.add(sent[1], "lost")

    def _repeated(self, sent: SentToken | SentOutput) -> None:
        """A token that has come comes again: its number says so, and it is dropped."""
        if sent[0] is not None:
            sent[0].counters.add(sent[1], "replayed")

    def take(self, token: SentToken, attached: None) -> None:
        """Take a token that comes from another ensemble."""
        sender, sq, value, data, start, stop, arc, generation, addressed = token
        host, key = self.host, (sender.prepared.graph.name, sender.number)
        running = host.contexts.get(key) if host is not None else None
        if running is None:
            if key in self._early:
                self._early[key].append(token)
            else:
                self._lost(token)
            return
        known = running.prepared.generations.get(sq, 0)
        if generation > known:  # its SQ was placed anew, and nobody could tell this ensemble: its numbers say nothing
            self._lost(token)
            return
        if generation < known:
            if addressed is None or not addressed.spare:
                running.counters.add(sq, "stale")  # its SQ has been placed elsewhere since
            return
        try:
            received = value if data is None else running.prepared.code.decode(data)
        except ValueFormatError as error:
            running.refuse(arc, start, stop, error)
            return
        if addressed is None:
            running.arrive(arc, received, start, stop)
            return
        number, moves, passed = addressed.number, self.duties.moves, self.duties.arcs[key]
        passed.came += 1
        if moves.keeps:
            moves.keep(*key, arc, number, start, stop, handed_on(received))
        consumers = addressed.consumers[self.name]
        here = {sync.sq.name for sync, _ in running.incoming.get(arc, ())}
        takes = (consumers & here) - passed.passed_by([arc], number).get(arc, set())
        if takes:
            passed.receive(arc, number)
            running.arrive(arc, received, start, stop, here - takes)
        for name in consumers - here:
            if name not in addressed.moving:  # else it has the token where it has moved to
                running.counters.add(sq, "lost")
        if moves.waits:
            moves.look()
            self._driver.settle()

    # Outputs and errors.

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        if self.name == self.manager:
            own = value if value.__class__ in PLAIN else handed_on(value)
            sent: SentOutput = (None, sq, own, None, start, stop, graph, context, self.name)
            tick, now = self._network.latest(_way_of_output(graph, sq), self.name), self._network.agenda.now
            # Those that its SQ sent from elsewhere come first.
            if tick > now:
                self._network.agenda.deliver_at(tick, self.take_output_of, sent)
            elif tick == now:
                self._driver.at_end_of(tick, self.take_output_of, sent)
            else:
                self.take_output_of(sent)
            return
        assert self.host is not None
        data = None if value.__class__ in PLAIN else encode_value(value)
        sender = self.host.contexts.get((graph, context))
        self.interface.publish(
            OUTPUT, (sender, sq, value, data, start, stop, graph, context, self.name), to=(self.manager,)
        )

    def take_output_of(self, sent: SentOutput, attached: None = None) -> None:
        """Take an output, on the manager's own ensemble."""
        sender, sq, value, data, start, stop, graph, context, ensemble = sent
        if data is not None:
            value = decode_value(data) if sender is None else sender.prepared.code.decode(data)
        self.take_output(OutputToken(graph, value, start, stop, sq, ensemble, context, self._network.agenda.now))

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        if self._network.connected(self.name, self.manager):
            self._sites[self.manager].take_error(error)

    # The arcs that are listened to.

    def serve(
        self, host: EnsembleHost, inputs: TTInputTokenProcess, bodies: TTExecuteProcess, network: TTNetworkManager
    ) -> None:
        """Be the outside of a host, do its duties, and listen to its arcs, regardless of messages to its processes."""
        self.host = host
        self.network_manager = network
        self.hear_manager()
        listening = Listening(self.interface, lambda graph, arc: self.take)

        def listen(deployment: Deployment) -> None:
            graph = deployment.graph
            prepared = host.prepared.get(graph.name)
            if prepared is not None:
                every = (arc_name(sq.name, index) for sq in graph.sqs for index in range(len(sq.arcs)))
                listening.listen(graph.name, every if host.movable else arcs_to(prepared))

        def start(start: StartContext) -> None:
            if isinstance(host.agenda, ClockedAgenda):
                self._early[start.graph, start.context] = []
                host.agenda.begin(start.start_tick, lambda: self._do(lambda: begin_early(start)))
            else:
                begin(start)

        def begin_early(start: StartContext) -> None:
            early = self._early.pop((start.graph, start.context), None)
            if early is not None and start.graph in host.prepared:  # else it was stopped before
                begin(start)
                for token in early:
                    self.take(token, None)

        def begin(start: StartContext) -> None:
            known = (start.graph, start.context) in host.contexts
            context = host.start(start)
            if host.movable and not known:
                self.duties.add(context).begun = True
                self.duties.checkpoints.begin(start)

        def stop(stop: StopGraph) -> None:
            for key in [key for key in self._early if stop.ends(key)]:
                del self._early[key]
            if stop.context is None:
                listening.stop(stop.graph)
                self._network.expect(self.name, stop.graph, ())
            self.duties.forget(stop)

        self.duties = Duties(
            host,
            SimulatedBodies(host, self.cores, self._driver.settle),
            self.manager,
            inputs.send,
            lambda graph, expected, arcs: self._network.expect(self.name, graph, expected),
            lambda tick, call: self._network.agenda.deliver_at(tick, self._do, call),
            self._network.come_by,
            self._at_end_of,
            lambda: self.alive and self._network.connected(self.name, self.manager),
        )
        self.lease = Lease(
            host,
            lambda ensemble, kind, payload: (
                inputs.send(ensemble, kind, payload) if self._network.connected(self.name, ensemble) else None
            ),
            lambda: [name for name in network.routing_table if name not in (self.name, self.manager)],
            self._ping,
            lambda: self._network.agenda.now,
            lambda tick, call: self._network.agenda.deliver_at(tick, self._check_lease, call),
            lambda tick, call: self._driver.at_end_of(tick, self._do, call),
            lambda sqs: self.suspended(sqs),
        )
        network.handlers |= {NetMsg.ASK: self.lease.asked, NetMsg.TELL: self._told}
        inputs.handlers |= {SyncMsg.START: start, **self.duties.handlers(SyncMsg)}
        network.handlers |= self.duties.handlers(NetMsg)
        self._then(network, NetMsg.SHUT_DOWN, lambda reason: self._leaves(True))
        self._then(network, NetMsg.JOIN, lambda info: self._leaves(False))
        self._then(bodies, ExecuteMsg.INSTANTIATE, listen)
        self._then(inputs, SyncMsg.STOP, stop)

    def _leaves(self, left: bool) -> None:
        self.left = left

    def hear_manager(self) -> None:
        """Read the manager's own routing table: so all ensembles know of a change without a message to each."""
        self.network_manager.routing_table = self._network.routing_tables.setdefault(self.manager, {})

    def lose_manager(self) -> None:
        """Keep the routing table as it is: nobody tells this ensemble of changes."""
        self.network_manager.routing_table = dict(self.network_manager.routing_table)

    def _ping(self) -> None:
        """Hear the manager, if it can be heard; in simulation a heartbeat is answered at once."""
        if self._network.connected(self.name, self.manager):
            self.lease.pong(self._network.agenda.now)

    def _check_lease(self, check: Callable[[], None]) -> None:
        self._ping()  # it may have been heard again at the tick of the cut
        self._do(check)

    def _told(self, tell: Tell) -> None:
        self._ping()  # heartbeats go on all the time
        self.lease.told(tell)

    def _at_end_of(self, tick: int, call: Callable[[StartContext], None], argument: StartContext) -> None:
        """Call at the end of a tick of this ensemble's clock."""
        agenda = self.host.agenda if self.host is not None else None
        tick = agenda.clock.when(tick) if isinstance(agenda, ClockedAgenda) else tick
        self._driver.at_end_of(tick, call, argument)

    def _do(self, call: Callable[[], None]) -> None:
        if self.alive:
            call()
            self._driver.settle()

    def _then(self, process: TTProcess, kind: enum.Enum, then: Callable[[Any], None]) -> None:
        before = process.handlers[kind]

        def handle(payload: Any) -> None:
            before(payload)
            then(payload)

        process.handlers[kind] = handle


def _arc_of(sent: SentToken | SentOutput) -> Any:
    """The arc on which a token keeps its place among others; an output keeps it among those of its SQ."""
    sender, sq, _, _, _, _, arc, _, last = sent
    if isinstance(last, str):
        return _way_of_output(arc, sq)
    assert sender is not None
    return sender.prepared.graph.name, sender.number, arc


def _way_of_output(graph: str, sq: str) -> Any:
    """The way on which an output keeps its place: that of its SQ, whichever version of its graph sends it."""
    return title_of(graph), sq
