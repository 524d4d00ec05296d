"""Tokens under way between simulated ensembles, as a plan over a common period needs them (`Links`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ticktalk.accelerate.events import Links, Opened, TakesTime, Ways
from ticktalk.engine.acceleration import ContextParts
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.network_keys import OUTPUT, arc_key
from ticktalk.simulation.cores import Cores
from ticktalk.simulation.network import SimulatedNetwork, TTNetworkInterfaceSim
from ticktalk.simulation.simulated_ensemble import Addressed, Site
from ticktalk.values.codec import PLAIN, ValueFormatError, encode_value


class UnderWay(Links):
    """The simulated network, while nothing of it changes.

    Args:
        network: the network.
        sites: the ensembles by name.

    Attributes:
        told: says whether somebody who may act is told of outputs.
    """

    def __init__(self, network: SimulatedNetwork, sites: Mapping[str, Site]) -> None:
        self._network = network
        self._sites = sites
        self.told: Callable[[], bool] = lambda: False

    @property
    def manager(self) -> str:
        """The ensemble that outputs go to."""
        return next(site.manager for site in self._sites.values())

    def crossing(self, context: ContextParts, sq: str, receiver: str) -> tuple[int, int] | None:
        """The root ticks that every token of an SQ takes now; its bytes, as far as they matter.

        None: the time depends on its size, or the link is cut.
        """
        network, sender = self._network, context.prepared.here
        if network.expecting or not network.connected(sender, receiver):
            return None
        if network.timing is None:
            return network.delay, 0
        size = network.timing.bytes_of(sender, receiver, context.prepared, sq)
        link = network.timing.deployment.link(sender, receiver)
        if size is None or (link.bandwidth is not None and not size):
            return None
        return link.transfer(size), size

    @property
    def timing(self) -> Ways | None:
        """The links, if each has a time of its own; None: all have the same."""
        return self._network.timing

    def stage(self, context: ContextParts, sq: str) -> TakesTime | None:
        """The stage of an SQ whose body takes time."""
        cores = self._sites[context.prepared.here].cores
        return None if cores is None else cores.stage_of(context, sq)

    def busy_beside(self, stages: Collection[int]) -> bool:
        """True if bodies run or wait on the cores of other stages than those with these ids."""
        return any(site.cores is not None and site.cores.busy_beside(stages) for site in self._sites.values())

    def ending(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> tuple[TakesTime, int | None] | None:
        """The stage whose run an arrival in the agenda ends, and the middle of its interval; None: it ends none."""
        return Cores.ending(deliver, message)

    def listened(self) -> bool:
        """True if somebody is told of outputs who may act on the simulation."""
        return self.told()

    def opened(self, deliver: Callable[..., None], message: tuple[Any, ...]) -> Opened | None:
        """The token that an arrival in the agenda brings; None: it is something else."""
        interface = getattr(deliver, "__self__", None)
        if not isinstance(interface, TTNetworkInterfaceSim) or len(message) != 4:
            return None
        receiver, key, payload, _ = message
        sender, sq, value, data, start, stop, arc, _, last = payload
        if sender is None or (isinstance(last, Addressed) and not self._regular(payload, receiver)):
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

    def _regular(self, payload: Any, receiver: str) -> bool:
        """True if a token with a number is for the SQs that its arc leads to, where they are now."""
        sender, sq, _, _, _, _, arc, generation, addressed = payload
        there = self._passed(sender, receiver)
        if there is None or addressed.spare or addressed.moving:
            return False
        takers = {sync.sq.name for sync, _ in there.context.incoming.get(arc, ())}
        took = there.took.get(arc, {})
        return (
            addressed.consumers.get(receiver) == takers
            and generation == there.context.prepared.generations.get(sq, 0)
            and all(number < addressed.number for number in took.values())
        )

    # Tokens with numbers, where SQs can move.

    def still(self) -> bool:
        """True if no SQ comes or leaves."""
        if not self.numbered:
            return True
        here = [(site.duties.moves, site.host) for site in self._sites.values() if site.host is not None]
        return not any(moves.keeps or any(map(moves.under_way, host.prepared)) for moves, host in here)

    @property
    def numbered(self) -> bool:
        """Tokens between ensembles have numbers."""
        return self._network.keeps_arcs_in_order

    def _passed(self, context: ContextParts, ensemble: str) -> ContextArcs | None:
        """The tokens of a context that one of its ensembles has sent and received."""
        site = self._sites.get(ensemble)
        return None if site is None else site.duties.arcs.get((context.prepared.graph.name, context.number))

    def in_step(self, context: ContextParts, arc: str, receiver: str, flying: int) -> bool:
        """True if all tokens of an arc have come to an ensemble, but the `flying` last ones."""
        if not self.numbered:
            return True
        here, there = self._passed(context, context.prepared.here), self._passed(context, receiver)
        if here is None or there is None or arc not in there.numbers:
            return False
        came = there.numbers[arc]
        return came + flying == here.sent.get(arc, 0) and all(took <= came for took in there.took.get(arc, {}).values())

    def passed(self, context: ContextParts, arc: str, receiver: str, tokens: int) -> None:
        """So many tokens have come on an arc to an ensemble; `receiver` is "": so many were sent."""
        counts = self._passed(context, receiver or context.prepared.here) if self.numbered else None
        if counts is not None and receiver:
            counts.numbers[arc] += tokens
            counts.came += tokens
        elif counts is not None:
            counts.sent[arc] = counts.sent.get(arc, 0) + tokens

    def tell(self, context: ContextParts, token: Opened) -> None:
        """Tell the manager of an output of `context` that has come."""
        graph, number = token.context
        sent = (None, token.sq, token.value, None, token.start, token.stop, graph, number, context.prepared.here)
        self._sites[self.manager].take_output_of(sent, None)

    def forget_outputs(self, number: int) -> Callable[[], None]:
        """Drop the next outputs that reach the manager, so many at most. A call of the result ends that."""
        site = self._sites[self.manager]
        tell, left = site.take_output, iter(range(number))
        site.take_output = lambda output: tell(output) if next(left, None) is None else None

        def listen() -> None:
            site.take_output = tell

        return listen

    def put(self, tick: int, context: ContextParts, token: Opened, ahead: int) -> None:
        """Let a token of `context` be under way, to arrive at `tick`, with `ahead` ones of its arc ahead of it."""
        data = None if token.value.__class__ in PLAIN else encode_value(token.value)
        sender, here = context, context.prepared.here
        interface = self._sites[here].interface
        if self._network.timing is not None:
            self._network.timing.sent(here, token.receiver, tick)
        graph, number = token.context
        if token.arc:
            generation = context.prepared.generations.get(token.sq, 0)
            key, addressed = arc_key(graph, token.arc), None
            there = self._passed(context, token.receiver) if self.numbered else None
            if there is not None:
                takers = {sync.sq.name for sync, _ in there.context.incoming[token.arc]}
                addressed = Addressed(there.numbers[token.arc] + ahead + 1, {token.receiver: takers}, {})
            value, start, stop = token.value, token.start, token.stop
            payload: Any = (sender, token.sq, value, data, start, stop, token.arc, generation, addressed)
        else:
            key = OUTPUT
            payload = (sender, token.sq, token.value, data, token.start, token.stop, graph, number, here)
        self._network.in_order(interface.arc_of(payload), token.receiver, tick)
        interface.bring_at(tick, token.receiver, key, payload)
