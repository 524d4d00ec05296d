"""The arcs that an ensemble subscribes to: those that end here, or at SQs that will come here; no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from ticktalk.engine.forwarding import arc_name
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.network_interface import Receive, TTNetworkInterface
from ticktalk.network_keys import arc_key


class Listening:
    """The subscriptions of one ensemble to the arcs of its graphs.

    Args:
        network: where it subscribes.
        receiver: `(graph, arc)`: makes the callback for the tokens of an arc.
    """

    def __init__(self, network: TTNetworkInterface, receiver: Callable[[str, str], Receive]) -> None:
        self._network = network
        self._receiver = receiver
        self._keys: dict[str, dict[str, str]] = {}  # by graph: key to arc

    def listen(self, graph: str, arcs: Iterable[str]) -> None:
        """Subscribe to these arcs of a graph, and to no others of it."""
        wanted = {arc_key(graph, arc): arc for arc in arcs}
        known = self._keys.get(graph, {})
        for key in known:
            if key not in wanted:
                self._network.unsubscribe(key)
        for key, arc in wanted.items():
            if key not in known:
                self._network.subscribe(key, self._receiver(graph, arc))
        self._keys[graph] = wanted

    def stop(self, graph: str) -> None:
        """Take nothing more of a graph."""
        for key in self._keys.pop(graph, ()):
            self._network.unsubscribe(key)


def arcs_to(prepared: PreparedGraph, expected: Collection[str] = ()) -> Iterator[str]:
    """The arcs of SQs elsewhere that end at an SQ here, or that may carry tokens for SQs that will come."""
    host_of, wiring = prepared.host_of, prepared.wiring

    def feeders(sq: TTSQ) -> Iterator[tuple[str, int]]:
        for port in range(len(sq.ports)):
            for producer, index in wiring.feeders.get((sq.name, port), ()):
                if producer and host_of[producer] != prepared.here:
                    yield producer, index

    found = dict.fromkeys(arc for sq in prepared.sqs for arc in feeders(sq))
    # Tokens of arcs that lead to the same ensembles go on the key of one of them: all of a sender's may carry them.
    for name in wiring.by_name.keys() & expected:
        for sender, _ in feeders(wiring.by_name[name]):
            found.update(dict.fromkeys((sender, index) for index in range(len(wiring.by_name[sender].arcs))))
    return (arc_name(name, index) for name, index in found)


def senders_to(prepared: PreparedGraph | None, sqs: Collection[str]) -> dict[str, list[str]]:
    """By ensemble, the arcs on which it sends tokens to these SQs of a graph, if it is here."""
    found: dict[str, list[str]] = {}
    if prepared is not None and sqs:
        for producer in prepared.graph.sqs:
            host = prepared.host_of[producer.name]
            for index, arc in enumerate(producer.arcs):
                if host and any(to.sq in sqs for to in arc.to):
                    found.setdefault(host, []).append(arc_name(producer.name, index))
    return found
