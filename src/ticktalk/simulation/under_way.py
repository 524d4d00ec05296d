"""Tokens under way between simulated ensembles, as a plan over a common period needs them (`Links`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ticktalk.accelerate.events import Opened
from ticktalk.engine.acceleration import ContextParts
from ticktalk.network_keys import OUTPUT, arc_key
from ticktalk.simulation.network import SimulatedNetwork, TTNetworkInterfaceSim
from ticktalk.values.codec import PLAIN, ValueFormatError, encode_value

if TYPE_CHECKING:
    from ticktalk.simulation.site import Site


class UnderWay:
    """The simulated network, while nothing of it changes.

    Args:
        network: the network.
        sites: the ensembles by name.

    Attributes:
        listened: says whether somebody who may act is told of outputs.
    """

    def __init__(self, network: SimulatedNetwork, sites: Mapping[str, Site]) -> None:
        self._network = network
        self._sites = sites
        self.listened: Callable[[], bool] = lambda: False

    @property
    def manager(self) -> str:
        """The ensemble that outputs go to."""
        return next(site.manager for site in self._sites.values())

    def delay(self, sender: str, receiver: str) -> int | None:
        """The root ticks that every token takes now; None: that depends on its size, or the link is cut."""
        network = self._network
        if network.timing is not None or network.keeps_arcs_in_order or not network.connected(sender, receiver):
            return None
        return network.delay

    def opened(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> Opened | None:
        """The token that an arrival in the agenda brings; None: it is something else."""
        interface = getattr(deliver, "__self__", None)
        if not isinstance(interface, TTNetworkInterfaceSim) or len(message) != 4:
            return None
        receiver, key, payload, _ = message
        sender, sq, value, data, start, stop, arc, _, last = payload
        if sender is None or not (key == OUTPUT or last is None):
            return None
        try:
            if data is not None and key == OUTPUT:
                value = sender.prepared.code.decode(data)
            elif data is not None:
                host = self._sites[receiver].host
                assert host is not None
                value = host.contexts[sender.prepared.graph.name, sender.number].prepared.code.decode(data)
        except (KeyError, ValueFormatError):
            return None
        context = sender.prepared.graph.name, sender.number
        return Opened(context, sq, "" if key == OUTPUT else arc, receiver, value, start, stop)

    def tell(self, context: ContextParts, token: Opened) -> None:
        """Tell the manager of an output of `context` that has come."""
        graph, number = token.context
        sent = (None, token.sq, token.value, None, token.start, token.stop, graph, number, context.prepared.here)
        self._sites[self.manager].take_output_of(sent, None)

    def put(self, tick: int, context: ContextParts, token: Opened) -> None:
        """Let a token of `context` be under way, to arrive at `tick`."""
        data = None if token.value.__class__ in PLAIN else encode_value(token.value)
        sender, here = context, context.prepared.here
        interface = self._sites[here].interface
        graph, number = token.context
        if token.arc:
            generation = context.prepared.generations.get(token.sq, 0)
            key = arc_key(graph, token.arc)
            payload: Any = (sender, token.sq, token.value, data, token.start, token.stop, token.arc, generation, None)
        else:
            key = OUTPUT
            payload = (sender, token.sq, token.value, data, token.start, token.stop, graph, number, here)
        interface.bring_at(tick, token.receiver, key, payload)
