"""Tokens between this ensemble and others: one publication on the key of an arc reaches all that consume it.

The timekeeper owns all of it; only `Incoming` is called by a thread of the network. A hop is short, and this is most of
it. So everything that is the same for all tokens of a context or an arc is looked up once (`Passing`, `Incoming`).

Tokens of an arc are taken only from the host of its SQ. They may come before their receiver has heard of the SQ's
placement there; then they wait for it. Those under way from the host before are taken for a while.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import SharedRoute, arc_name
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.hosted.arc_numbers import ArcBundle, ContextArcs, Numbers
from ticktalk.hosted.moves import Moves
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.network_keys import arc_key
from ticktalk.payloads import HowFar, StopGraph
from ticktalk.physical.memory.sharing import Sharing
from ticktalk.physical.network import former_hosts
from ticktalk.physical.network.coming_receivers import ComingReceivers
from ticktalk.physical.network.early_tokens import Early, EarlyToken
from ticktalk.physical.network.frames import LONG, FrameError, InvalidError
from ticktalk.physical.network.heads_up import HeadsUps
from ticktalk.physical.network.inboxes import Inboxes
from ticktalk.physical.network.receivers import NO_ARC, Receivers, TokenWay
from ticktalk.physical.network.token_frames import (
    AGAIN,
    Head,
    Parcel,
    TakesParcels,
    arcs_as_bytes,
    arcs_in,
    parse_apart,
    parse_parcels,
)
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.guard import DroppedError, Guard, NotForThisError, OpenedTokens
from ticktalk.ranges import is_interval
from ticktalk.time import Tick
from ticktalk.values.codec import Data, Encoded, ValueFormatError, encoded, split

logger = logging.getLogger("ticktalk")

INBOX = 100_000
"""Token frames of one sender that may wait to be taken in; beyond that its stalest goes, counted."""

INBOX_BYTES = 64 << 20
"""Bytes of such frames."""

TEND = 2_000_000
"""Microseconds between two looks for those that wait in vain."""

BUNDLES_KEPT = 10_000
"""Sets of arcs whose tokens come together that are remembered for a context."""

_NONE: Mapping[str, Any] = {}


class Passing:
    """The tokens of one context that go from here and come here.

    Args:
        tokens: those of all contexts.
        context: wired here.
        numbers: how many passed on each arc.

    Attributes:
        heads_ups: go ahead of the tokens of its streams.
    """

    def __init__(self, tokens: Tokens, context: Context, numbers: ContextArcs) -> None:
        self.context = context
        self.numbers = numbers
        self._tokens = tokens
        self._moves = tokens.moves
        self._graph, self._number = context.prepared.graph.name, context.number
        self._arcs: dict[str, TokenWay] = {}
        self._sent: dict[SharedRoute, tuple[TokenWay, bytes, ArcBundle]] = {}
        self._came: dict[tuple[str, bytes], tuple[tuple[int, ...], ArcBundle]] = {}
        self.heads_ups = HeadsUps(tokens.link)
        self.heads_ups.open(context, self._way)

    # Tokens that go.

    def publish(self, arc: str, ensembles: Sequence[str], value: Any, start: Tick, stop: Tick) -> None:
        """Send a token to all that consume an arc, on these ensembles.

        Raises:
            NoCodecError: before anything is sent.
        """
        data = encoded(value)
        way = self._arcs.get(arc)
        if way is None or way.ensembles is not ensembles:
            way = self._arcs[arc] = self._way(arc, ensembles)
        number = self.numbers.send(arc)
        self._publish(way, b"", number, start, stop, data)
        moves = self._moves
        if moves.keeps:
            moves.keep(self._graph, self._number, arc, number, start, stop, Encoded(data))

    def publish_together(self, together: SharedRoute, data: Data, start: Tick, stop: Tick) -> None:
        """Send a token on each of several arcs to all that consume them: one publication, on the key of the first."""
        known = self._sent.get(together)
        if known is None:
            way = self._way(together.names[0], together.ensembles)
            known = self._sent[together] = (way, arcs_as_bytes(together.arcs), ArcBundle(together.names))
        way, arcs, bundle = known
        numbers = self.numbers.send_together(bundle)
        self._publish(way, arcs, numbers, start, stop, data)
        self._keep(together.names, numbers, start, stop, data)

    def _way(self, arc: str, ensembles: Sequence[str]) -> TokenWay:
        sq = arc.rpartition("/")[0]
        more = [name for name in self._tokens.coming_to(self._graph, sq) if name not in ensembles]
        way = self._tokens.receivers.way(arc_key(self._graph, arc), sq, ensembles, more)
        self.heads_ups.add(self.context.syncs.get(sq), arc, way)
        return way

    def receivers_changed(self) -> None:
        """Tokens have other receivers from now on."""
        self._arcs.clear()
        self._sent.clear()
        self.heads_ups.clear()

    def _publish(self, way: TokenWay, arcs: bytes, numbers: Numbers, start: Tick, stop: Tick, data: Data) -> None:
        link, sq = self._tokens.link, way.sq
        parcel = (self._number, self.context.prepared.generations.get(sq, 0), arcs, numbers, start, stop, data)
        for key, sealing, ensembles in way.each:
            if len(data) < LONG:
                link.publish(key, parcel, sealing, ensembles, len(data))
            else:
                frames = self._tokens.sharing.later(parcel, ensembles)
                link.publish(key, functools.partial(sealing.each, frames), None, ensembles, len(data))
        for receiver in way.left_out:
            count = len(arcs_in(arcs)) or 1
            receiver.left_out += count
            self.numbers.leave_out(receiver.name, sq, count)

    def _keep(self, names: Sequence[str], numbers: Numbers, start: Tick, stop: Tick, data: Data) -> None:
        moves = self._moves
        if moves.keeps:
            each = numbers if isinstance(numbers, list) else [numbers] * len(names)
            for name, number, part in zip(names, each, split(data), strict=True):
                moves.keep(self._graph, self._number, name, number, start, stop, Encoded(part))

    # Tokens that come.

    def take(self, incoming: Incoming, parcel: Parcel) -> None:
        """Take the tokens of a parcel that came on an arc.

        Raises:
            FrameError: it does not fit together.
        """
        _, generation, arcs, numbers, start, stop, data = parcel
        if not is_interval(start, stop) or not len(data):
            raise InvalidError(f"a token whose interval is [{start}, {stop}), or that has no value")
        context, sq = self.context, incoming.sq
        self.numbers.came += 1
        bundle = None
        indexes: tuple[int, ...] = incoming.indexes
        if arcs:
            indexes, bundle = self._bundle(sq, arcs)
            if isinstance(numbers, list) and len(numbers) != len(indexes):
                raise FrameError("a parcel with more or fewer numbers than arcs")
        elif isinstance(numbers, list):
            raise FrameError("a parcel of one arc with several numbers")
        if generation < context.prepared.generations.get(sq, 0):
            context.counters.add(sq, "stale", len(indexes))  # its SQ has been placed elsewhere since
            return
        passed_by: Mapping[str, set[str]] = {}
        if self.numbers.took:
            passed_by = self.numbers.passed_by([incoming.arc] if bundle is None else bundle.arcs, numbers)
        region = self._tokens.taking.get((self._graph, self._number), _NONE).get(sq)
        if region is not None and not self._moves.keeps and not passed_by and region.takes(indexes):
            self._count(incoming, bundle, numbers)  # it goes to their worker as it is
            later = functools.partial(self._hand_out_later, incoming, parcel)
            region.take(arcs or indexes[0], indexes, numbers, data, start, stop, later)
            return
        if region is not None:
            region.passes(indexes, start)
        if bundle is not None:
            self._keep(bundle.arcs, numbers, start, stop, data)
        elif self._moves.keeps and isinstance(numbers, int):
            self._moves.keep(self._graph, self._number, incoming.arc, numbers, start, stop, Encoded(data))
        self._count(incoming, bundle, numbers, passed_by)
        self._hand_out(incoming, parcel, passed_by)

    def _count(
        self, incoming: Incoming, bundle: ArcBundle | None, numbers: Numbers, passed_by: Mapping[str, set[str]] = {}
    ) -> None:
        """Count tokens that came, but not those that only SQs still to come will consume, or none here."""
        here = self.context.incoming
        if passed_by:
            here = {
                arc: found
                for arc, found in here.items()
                if any(sync.sq.name not in passed_by.get(arc, ()) for sync, _ in found)
            }
        if bundle is None:
            if incoming.arc in here and isinstance(numbers, int):
                self.numbers.receive(incoming.arc, numbers)
        elif all(name in here for name in bundle.arcs):
            self.numbers.receive_together(bundle, numbers)
        else:
            each = numbers if isinstance(numbers, list) else [numbers] * len(bundle.arcs)
            for name, number in zip(bundle.arcs, each, strict=True):
                if name in here:
                    self.numbers.receive(name, number)

    def _hand_out(self, incoming: Incoming, parcel: Parcel, passed_by: Mapping[str, set[str]] = {}) -> None:
        """Give the tokens of a parcel to the ports that its arcs lead to, except ports of some SQs."""
        _, _, arcs, _, start, stop, data = parcel
        if not arcs:
            self.context.arrive(incoming.arc, Encoded(data), start, stop, passed_by.get(incoming.arc, ()))
            return
        _, bundle = self._bundle(incoming.sq, arcs)
        parts = split(data)
        if len(parts) != len(bundle.arcs):
            raise FrameError("a parcel with more or fewer values than arcs")
        for name, part in zip(bundle.arcs, parts, strict=True):
            self.context.arrive(name, Encoded(part), start, stop, passed_by.get(name, ()))

    def _hand_out_later(self, incoming: Incoming, parcel: Parcel) -> None:
        """The same for a parcel that was kept for a while: a bad one keeps no other from its way."""
        try:
            self._hand_out(incoming, parcel)
        except (FrameError, ValueFormatError) as error:
            self._tokens.drop(error)

    def overtakes(self, incoming: Incoming, parcel: Parcel) -> bool:
        """True if a token came, and earlier ones on its arc did not."""
        _, _, arcs, numbers, *_ = parcel
        try:
            names = self._bundle(incoming.sq, arcs)[1].arcs if arcs else [incoming.arc]
        except FrameError:
            return False  # it is told when it is taken
        each = numbers if isinstance(numbers, list) else [numbers] * len(names)
        return former_hosts.overtakes(zip(names, each, strict=False), self.numbers.numbers)

    def _bundle(self, sq: str, arcs: bytes) -> tuple[tuple[int, ...], ArcBundle]:
        """Arcs of an SQ whose tokens come together: their indexes, and how their tokens are counted."""
        known = self._came.get((sq, arcs))
        if known is None:
            if len(self._came) >= BUNDLES_KEPT:
                self._came.clear()
            indexes = arcs_in(arcs, len(self.context.prepared.wiring.by_name[sq].arcs))
            known = self._came[sq, arcs] = (indexes, ArcBundle([arc_name(sq, index) for index in indexes]))
        return known


class Incoming:
    """Takes the publications of other ensembles on the key of an arc; called in a thread of the network's."""

    def __init__(self, tokens: Tokens, graph: str, arc: str) -> None:
        self.graph = graph
        self.arc = arc
        self.sq, _, index = arc.rpartition("/")
        self.indexes = (int(index),)
        self._key = arc_key(graph, arc)
        self._tokens = tokens
        self._open = tokens.guard.open_tokens
        self._visit = tokens.loop.visit
        self._missed: Head | None = None  # of the latest parcel, if its data were not for this ensemble to look at

    def __call__(self, payload: bytes, attached: bytes | None) -> None:
        """Open a frame, and take it in at once if no other thread keeps time now; else leave it to the timekeeper."""
        tokens = self._tokens
        try:
            came: OpenedTokens | FrameError = self._open(self._key, payload, attached)
        except FrameError as error:
            error.__traceback__ = error.__context__ = None  # they would hold the frame
            came = error
        sender, size = (came.sender, came.size) if isinstance(came, OpenedTokens) else ("", 0)
        own, waits = tokens.has_own_link(sender), tokens.inboxes.waiting
        if waits or not self._visit(monotonic_us(), own, tokens.take, self, came):
            tokens.inboxes.put(sender, size, tokens.take, self, came)

    def find(self, sender: str, head: Head, where: memoryview, payload: Data) -> Data | None:
        """The data of a parcel that are somewhere else, or came again; None: they are not for this ensemble.

        Raises:
            FrameError: the place that it names is none, or not its sender's.
        """
        missed, self._missed = self._missed, None
        if where == AGAIN:
            return payload if missed == head else None
        data = self._tokens.sharing.view(where, sender)
        if data is None:
            self._missed = head
        return data


class Tokens:
    """The tokens of all contexts of an ensemble.

    Args:
        link: its end of the network.
        loop: keeps its time.
        prepared: the graphs that it holds, by name.
        sharing: long values in memory that ensembles share.
        moves: SQs that come and leave.
        taking: by graph and context, the parts that run together and take parcels as they came, by sender.
        own: the ensemble's own counts, by kind.
        guard: seals and opens them.
        dropped: told of a sender, and how many of its frames did not find room.
        has_own_link: true if a connection has only this sender's tokens: a body may hold that up for a moment.

    Attributes:
        of: by graph and context.
        inboxes: frames that wait for the timekeeper, by sender.
    """

    def __init__(
        self,
        link: TTNetworkInterface,
        loop: Loop,
        prepared: Mapping[str, PreparedGraph],
        sharing: Sharing,
        moves: Moves,
        taking: Mapping[tuple[str, int], Mapping[str, TakesParcels]],
        own: Counter[str],
        guard: Guard,
        dropped: Callable[[str, int], None],
        has_own_link: Callable[[str], bool],
    ) -> None:
        self.guard, self.has_own_link = guard, has_own_link
        self.link, self.loop, self.sharing, self.moves = link, loop, sharing, moves
        self.taking = taking
        self._prepared, self._own = prepared, own
        self.of: dict[tuple[str, int], Passing] = {}
        self.inboxes = Inboxes(loop.post, INBOX, lambda sender: INBOX_BYTES, dropped)
        self.receivers = Receivers(link, loop, guard, self._receivers_changed)
        self._incoming: dict[str, Incoming] = {}  # by the key of an arc
        self.incoming(*NO_ARC)
        self._early = Early()
        self._look_again = False  # some of those may be good now
        self._former = former_hosts.Former(loop.after, self._take_early)
        self._coming = ComingReceivers()
        loop.every(TEND, self._tend)

    def incoming(self, graph: str, arc: str) -> Incoming:
        """The receiver of the publications on an arc."""
        made = self._incoming[arc_key(graph, arc)] = Incoming(self, graph, arc)
        return made

    def take_apart(self, payload: bytes, attached: bytes | None) -> None:
        """Take a publication on the key of this ensemble; called in a thread of the network's."""
        try:
            key, sealed = parse_apart(payload if attached is None else attached)
            if (incoming := self._incoming.get(key)) is None:
                raise DroppedError("untimely", "tokens of an arc that does not lead here")
        except FrameError as error:
            self.inboxes.put("", 0, self.drop, error)
            return
        incoming(*((sealed, None) if attached is None else (payload, sealed)))

    def take(self, incoming: Incoming, came: OpenedTokens | FrameError) -> None:
        """Take in a frame; a bad one is counted and dropped."""
        if not isinstance(came, OpenedTokens):
            if not (self.moves.keeps and isinstance(came, NotForThisError)):
                self.drop(came)
            return
        if self._look_again:
            self._take_early()
        try:
            if not came.is_new():
                raise DroppedError("replayed", f"tokens of {came.sender!r} that came before, or too late")
            if came.attached is None:
                parcels = parse_parcels(came.payload)
            else:
                find = functools.partial(incoming.find, came.sender)
                parcels = parse_parcels(came.payload, came.attached, find)
            self.receivers.receipts.took(came.sender, came.number, came.size if incoming.graph else -1)
            for parcel in parcels:
                passing = self._good(incoming, came.sender, parcel)
                if passing is not None:
                    self._take(passing, incoming, parcel)
                    if self._early.tokens and (incoming.graph, incoming.sq) in self._former.awaited:
                        self._take_early()  # those may have waited for this one
                elif incoming.graph in self._prepared:
                    token = EarlyToken(incoming.graph, came.sender, incoming, parcel, monotonic_us())
                    if not self._early.add(token):
                        self._own["overflow"] += 1
        except (FrameError, ValueFormatError) as error:
            self.drop(error)

    def _good(self, incoming: Incoming, sender: str, parcel: Parcel) -> Passing | None:
        """The taker of a token now; None: its context, its SQ at its sender, or a token before it has still to come."""
        passing = self.of.get((incoming.graph, parcel[0]))
        if passing is None or not passing.numbers.begun:
            return None
        if passing.context.prepared.host_of.get(incoming.sq) == sender:
            waits = self._former.awaited and (incoming.graph, incoming.sq) in self._former.awaited
            return None if waits and passing.overtakes(incoming, parcel) else passing
        return passing if self._former.takes(incoming.graph, incoming.sq, sender) else None

    def _take(self, passing: Passing, incoming: Incoming, parcel: Parcel) -> None:
        try:
            passing.take(incoming, parcel)
            if self.moves.waits:
                self.moves.look()
        except (FrameError, ValueFormatError) as error:
            self.drop(error)

    def drop(self, error: Exception) -> None:
        """Count a bad frame; it has no other effect."""
        self._own[getattr(error, "kind", FrameError.kind)] += 1
        logger.debug("a bad frame was dropped: %s", error)

    def before_instant(self, tick: Tick) -> None:
        """Let the ways of the tokens of an instant be awake; called shortly before it."""
        if not sum(passing.heads_ups.send(tick) for passing in self.of.values()):
            self.receivers.rehearse()

    def add(self, context: Context, numbers: ContextArcs) -> Passing:
        """Let the tokens of a context that has been wired go and come."""
        passing = self.of[context.prepared.graph.name, context.number] = Passing(self, context, numbers)
        return passing

    def begin(self, graph: str, context: int) -> None:
        """The start tick of a context has come: take in the tokens that came before."""
        self.of[graph, context].numbers.begun = True
        self._take_early()

    def placed(self, graph: str) -> None:
        """The SQs of a graph may have other hosts now."""
        come = self._former.placed(graph, self._prepared[graph].host_of)
        if come is None:
            return
        self._coming.came(graph, come)
        self._receivers_changed(graph)
        if self._early.tokens and not self._look_again:
            # They go behind the tokens that were kept for SQs which come now.
            self._look_again = True
            self.loop.post(self._take_early)

    def will_come(self, asked: HowFar) -> None:
        """Receivers of SQs' tokens will come to an ensemble, or none will: see `ComingReceivers`."""
        here = self._prepared.get(asked.graph)
        self._coming.add(asked, {} if here is None else here.host_of)
        self._receivers_changed(asked.graph)

    def will_not_come(self, ensemble: str, graph: str | None = None) -> None:
        """No receivers of tokens of a graph (None: of any) will come to an ensemble."""
        self._coming.withdraw(ensemble, graph)
        self._receivers_changed(graph)

    def coming_to(self, graph: str, sq: str) -> Collection[str]:
        """The ensembles to which receivers of an SQ's tokens will come."""
        return self._coming.to(graph, sq)

    def _receivers_changed(self, graph: str | None = None) -> None:
        for key, passing in self.of.items():
            if graph in (None, key[0]):
                passing.receivers_changed()

    def _take_early(self) -> None:
        """Take in the tokens that waited and are good now."""
        self._look_again = False
        before = -1
        while len(self._early.tokens) != before:
            before = len(self._early.tokens)
            good = self._early.take(lambda each: self._good(each.incoming, each.sender, each.parcel))
            for _, _, incoming, parcel, _ in good:
                self._take(self.of[incoming.graph, parcel[0]], incoming, parcel)

    def _tend(self) -> None:
        """Give up tokens whose sender was not placed where they came from."""
        now = monotonic_us()
        self._former.tend(now)

        def is_in_vain(token: EarlyToken) -> bool:
            is_host = self._former.is_host(token.graph, token.incoming.sq, token.sender)
            return now - token.came > former_hosts.LIMIT and not is_host

        for token in self._early.take(is_in_vain):
            self.drop(DroppedError("unauthorized", f"{token.incoming.sq} is not placed at {token.sender!r}"))

    def forget(self, stop: StopGraph) -> None:
        """Forget a graph that was stopped, or a context that has ended."""
        graph = stop.graph
        for key in [key for key in self.of if stop.ends(key)]:
            del self.of[key]
        if not self.of:
            self.receivers.forget()
        if stop.context is not None:
            return
        self._incoming = {key: each for key, each in self._incoming.items() if each.graph != graph}
        self._early.forget(graph)
        self._former.forget(graph)
        self._coming.forget(graph)
