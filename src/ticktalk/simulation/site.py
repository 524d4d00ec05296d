"""One simulated ensemble: what its contexts send goes to the network, what the network brings goes to its contexts."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.codec import PLAIN, Data, ValueFormatError, decode_value, encode_value, handed_on
from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import arc_name
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.hosted.listening import Listening, arcs_to
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, SyncMsg
from ticktalk.network_keys import OUTPUT, arc_key
from ticktalk.payloads import Deployment, FiringError, OutputToken
from ticktalk.processes import TTExecuteProcess, TTInputTokenProcess, TTProcess
from ticktalk.simulation.network import SimulatedNetwork
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.simulation.timing import Timing

Sent = tuple[Context, str, Any, Data | None, Tick, Tick, str, int, dict[str, str]]
"""A token on its way: `(sender, sq, value, data, start, stop, arc, generation, host_of)`; `data`: the value encoded,
unless nobody can change it; `host_of`: where the sender believes SQs to be."""

Output = tuple[Context | None, str, Any, Data | None, OutputToken]
"""An output on its way: `(sender, sq, value, data, token)`; no sender: its context has ended just now."""


def size_of(sent: Sent | Output, timing: Timing) -> int:
    """The bytes that a token or an output takes on its way."""
    sender, sq, value, data = sent[:4]
    return timing.size(None if sender is None else sender.prepared, sq, value, data)


class Site:
    """One simulated ensemble (`Outside`).

    Args:
        network: carries its tokens.
        sites: all of the simulation, by name.
        name: the ensemble's.
        manager: the name of the runtime manager.
        info: what it said of itself when it joined.
        accelerator: gives what contexts that start now are given.

    Attributes:
        interface: its end of the network.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        sites: dict[str, Site],
        name: str,
        manager: str,
        info: EnsembleInfo,
        accelerator: Callable[[], Accelerator | None],
    ) -> None:
        self.name = name
        self.manager = manager
        self.info = info
        self.interface = network.enter(name)
        self.interface.lost = self._lost
        self.host: EnsembleHost | None = None
        self.take_output: Any = None  # on the manager's own ensemble
        self.take_error: Any = None
        self.log_error: Any = None
        self._network = network
        self._sites = sites
        self._accelerator = accelerator

    @property
    def alive(self) -> bool:
        """Whether its process has not failed."""
        return self.interface.alive

    @property
    def accelerator(self) -> Accelerator | None:
        """What contexts that start now are given."""
        return self._accelerator()

    # Tokens.

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token over the simulated network, to each ensemble that consumes the arc."""
        data = None if value.__class__ in PLAIN else encode_value(value)
        assert self.host is not None
        sender = self.host.contexts[graph, context]
        prepared, sq = sender.prepared, arc.rpartition("/")[0]
        token: Sent = (
            sender,
            sq,
            value,
            data,
            start,
            stop,
            arc,
            prepared.generations.get(sq, 0),
            prepared.host_of,
        )
        self.interface.publish(arc_key(graph, arc), token, to=ensembles)

    def _lost(self, sent: Sent | Output) -> None:
        if sent[0] is not None:
            sent[0].counters.add(sent[1], "lost")

    def take(self, token: Sent, attached: None) -> None:
        """Take a token that comes from another ensemble."""
        sender, sq, value, data, start, stop, arc, generation, host_of = token
        host, graph, number = self.host, sender.prepared.graph.name, sender.number
        running = host.contexts.get((graph, number)) if host is not None else None
        if running is None or host is None:
            self._lost(token)
            return
        if generation < running.prepared.generations.get(sq, 0):
            running.counters.add(sq, "stale")  # its SQ has been placed elsewhere since
            return
        try:
            received = value if data is None else running.prepared.code.decode(data)
        except ValueFormatError as error:
            running.refuse(arc, start, stop, error)
            return
        if not host.movable:
            running.arrive(arc, received, start, stop)
            return
        # It is for the SQs that were here when it was sent; what has moved since it goes after.
        producer = running.prepared.graph.sq(sq)
        for consumer in dict.fromkeys(to.sq for to in producer.arcs[int(arc.rpartition("/")[2])].to):
            if host_of[consumer] != self.name:
                continue
            if consumer in running.syncs:
                running.arrive_at(consumer, arc, received, start, stop)
            elif not self._follow(graph, number, arc, consumer, value, data, start, stop):
                running.counters.add(sq, "lost")

    def _follow(
        self,
        graph: str,
        context: int,
        arc: str,
        consumer: str,
        value: Any,
        data: Data | None,
        start: Tick,
        stop: Tick,
    ) -> bool:
        """Bring a token to one SQ that was handed over since the token was sent; whether it is found."""
        ensemble, seen = self.name, set[str]()
        while ensemble not in seen:
            seen.add(ensemble)
            site = self._sites.get(ensemble)
            if site is None or not site.alive or site.host is None:
                return False
            running = site.host.contexts.get((graph, context))
            if running is not None and consumer in running.syncs:
                received = value if data is None else running.prepared.code.decode(data)
                running.arrive_at(consumer, arc, received, start, stop)
                return True
            ensemble = site.host.handed.get(graph, {}).get(consumer, ensemble)
        return False

    # Outputs and errors.

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        if self.name == self.manager:
            own = value if value.__class__ in PLAIN else handed_on(value)
            self._log(OutputToken(graph, own, start, stop, sq, self.name, context))
            return
        assert self.host is not None
        data = None if value.__class__ in PLAIN else encode_value(value)
        token = OutputToken(graph, value, start, stop, sq, self.name, context)
        sent: Output = (self.host.contexts.get((graph, context)), sq, value, data, token)
        self.interface.publish(OUTPUT, sent, to=(self.manager,))

    def take_output_of(self, sent: Output, attached: None) -> None:
        """Take an output of another ensemble: on the manager's own."""
        sender, _, _, data, token = sent
        if data is not None:
            value = decode_value(data) if sender is None else sender.prepared.code.decode(data)
            token = msgspec.structs.replace(token, value=value)
        self._log(token)

    def _log(self, token: OutputToken) -> None:
        self.take_output(msgspec.structs.replace(token, arrival=self._network.agenda.now))

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        if self._network.connected(self.name, self.manager):
            self._sites[self.manager].take_error(error)

    # The arcs that are listened to.

    def serve(self, host: EnsembleHost, inputs: TTInputTokenProcess, bodies: TTExecuteProcess) -> None:
        """Be the outside of a host, and listen to the arcs that end at its SQs, whatever its processes are told."""
        self.host = host
        listening = Listening(self.interface, lambda graph, arc: self.take)

        def listen(deployment: Deployment) -> None:
            graph = deployment.graph
            prepared = host.prepared.get(graph.name)
            if prepared is not None:
                # Where SQs move, a token goes after them to where it was not sent.
                every = (arc_name(sq.name, index) for sq in graph.sqs for index in range(len(sq.arcs)))
                listening.listen(graph.name, every if host.movable else arcs_to(prepared))

        self._then(bodies, ExecuteMsg.INSTANTIATE, listen)
        self._then(inputs, SyncMsg.STOP, lambda stop: listening.stop(stop.graph))

    def _then(self, process: TTProcess, kind: enum.Enum, then: Callable[[Any], None]) -> None:
        before = process.handlers[kind]

        def handle(payload: Any) -> None:
            before(payload)
            then(payload)

        process.handlers[kind] = handle
