"""Tokens between this ensemble and others: one publication on the key of an arc reaches all that consume it.

The timekeeper owns all of it; only `Incoming` is called by a thread of the network. A hop is short, and this is most of
it. So everything that is the same for all tokens of a context or an arc is looked up once (`Passing`, `Incoming`).
"""

from __future__ import annotations

import functools
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import Together, arc_name
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.hosted.arc_numbers import Bundle, ContextArcs, Numbers
from ticktalk.hosted.moves import Moves
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.network_keys import arc_key
from ticktalk.physical.memory.sharing import Sharing
from ticktalk.physical.network.frames import LONG, FrameError, InvalidError
from ticktalk.physical.network.token_frames import (
    AGAIN,
    Head,
    Parcel,
    arcs_as_bytes,
    arcs_in,
    parse_parcels,
    token_frame,
)
from ticktalk.physical.timekeeping.loop import Loop
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.ranges import is_interval
from ticktalk.time import Tick
from ticktalk.values.codec import Data, Encoded, ValueFormatError, encode_value, split

logger = logging.getLogger("ticktalk")

INBOX = 100_000
"""Token frames that may wait to be taken in; beyond that the stalest goes, counted."""

EARLY_KEPT = 10_000
"""Tokens kept for contexts whose starts have not reached this ensemble yet."""

EARLY_BYTES = 64 << 20
"""Bytes of such tokens."""

BUNDLES_KEPT = 10_000
"""Sets of arcs whose tokens come together that are remembered for a context."""


class TakesParcels(Protocol):
    """SQs that run together in a worker, fed by one SQ of another ensemble: they take its parcels as they came."""

    def takes(self, arcs: Iterable[int]) -> bool:
        """True if parcels of these arcs are for them, and for nothing else here."""

    def take(
        self, arcs: int | bytes, indexes: Iterable[int], data: Data, start: Tick, stop: Tick, apart: Callable[[], None]
    ) -> None:
        """Take a parcel; `apart` gives its tokens to the ports instead."""

    def passes(self, arcs: Iterable[int], start: Tick) -> None:
        """A parcel of these arcs goes to the ports."""


class Passing:
    """The tokens of one context that go from here and come here.

    Args:
        tokens: those of all contexts.
        context: wired here.
        numbers: how many passed on each arc.
    """

    def __init__(self, tokens: Tokens, context: Context, numbers: ContextArcs) -> None:
        self.context = context
        self.numbers = numbers
        self._tokens = tokens
        self._moves = tokens.moves
        self._graph = context.prepared.graph.name
        self._number = context.number
        self._arcs: dict[str, tuple[str, str]] = {}  # by arc, its key and its SQ
        self._sent: dict[Together, tuple[str, bytes, Bundle]] = {}
        self._came: dict[tuple[str, bytes], tuple[tuple[int, ...], Bundle]] = {}

    # Tokens that go.

    def publish(self, arc: str, ensembles: Sequence[str], value: Any, start: Tick, stop: Tick) -> None:
        """Send a token to all that consume an arc, on these ensembles.

        Raises:
            NoCodecError: before anything is sent.
        """
        data = value.data if value.__class__ is Encoded else encode_value(value)
        known = self._arcs.get(arc)
        if known is None:
            known = self._arcs[arc] = (arc_key(self._graph, arc), arc.rpartition("/")[0])
        number = self.numbers.send(arc)
        self._publish(*known, b"", number, start, stop, data, ensembles)
        moves = self._moves
        if moves.keeps:
            moves.keep(self._graph, self._number, arc, number, start, stop, Encoded(data))

    def publish_together(self, together: Together, data: Data, start: Tick, stop: Tick) -> None:
        """Send a token on each of several arcs to all that consume them: one publication, on the key of the first."""
        known = self._sent.get(together)
        if known is None:
            key = arc_key(self._graph, together.names[0])
            known = self._sent[together] = (key, arcs_as_bytes(together.arcs), Bundle(together.names))
        key, arcs, bundle = known
        numbers = self.numbers.send_together(bundle)
        self._publish(key, together.sq, arcs, numbers, start, stop, data, together.ensembles)
        self._keep(together.names, numbers, start, stop, data)

    def _publish(
        self,
        key: str,
        sq: str,
        arcs: bytes,
        numbers: Numbers,
        start: Tick,
        stop: Tick,
        data: Data,
        ensembles: Sequence[str],
    ) -> None:
        link = self._tokens.link
        parcel = (self._number, self.context.prepared.generations.get(sq, 0), arcs, numbers, start, stop, data)
        if len(data) < LONG:
            link.publish(key, parcel, token_frame, ensembles)
        else:
            link.publish(key, functools.partial(self._tokens.sharing.frames, parcel, ensembles), None, ensembles)

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
        region = self._tokens.taking[self._graph, self._number].get(sq)
        if region is not None and not self._moves.keeps and not passed_by and region.takes(indexes):
            # All of it is for SQs that run together in a worker: the timekeeper does not open it.
            self._count(incoming, bundle, numbers)
            region.take(arcs or indexes[0], indexes, data, start, stop, lambda: self._hand_out_later(incoming, parcel))
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
        self, incoming: Incoming, bundle: Bundle | None, numbers: Numbers, passed_by: Mapping[str, set[str]] = {}
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

    def _bundle(self, sq: str, arcs: bytes) -> tuple[tuple[int, ...], Bundle]:
        """Arcs of an SQ whose tokens come together: their indexes, and how their tokens are counted."""
        known = self._came.get((sq, arcs))
        if known is None:
            if len(self._came) >= BUNDLES_KEPT:
                self._came.clear()
            indexes = arcs_in(arcs)
            known = self._came[sq, arcs] = (indexes, Bundle([arc_name(sq, index) for index in indexes]))
        return known


class Incoming:
    """Takes the publications of other ensembles on the key of an arc; called in a thread of the network's."""

    def __init__(self, tokens: Tokens, graph: str, arc: str) -> None:
        self.graph = graph
        self.arc = arc
        self.sq, _, index = arc.rpartition("/")
        self.indexes = (int(index),)
        self._tokens = tokens
        self._visit = tokens.loop.visit
        self._visits = tokens.in_processes
        self._missed: Head | None = None  # of the latest parcel, if its data were not for this ensemble to look at

    def __call__(self, frame: bytes, attached: bytes | None) -> None:
        """Take in a frame at once if no other thread keeps time now; else leave it to the timekeeper."""
        tokens = self._tokens
        if self._visits and not tokens.inbox and self._visit(monotonic_us(), tokens.take, self, frame, attached):
            return
        tokens.put(self, frame, attached)

    def find(self, head: Head, where: memoryview, payload: bytes) -> Data | None:
        """The data of a parcel that are somewhere else, or came again; None: they are not for this ensemble.

        Raises:
            FrameError: the place that it names is none.
        """
        missed, self._missed = self._missed, None
        if where == AGAIN:
            return payload if missed == head else None
        data = self._tokens.sharing.view(where)
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
        in_processes: bodies run in processes of their own.
        own: the ensemble's own counts, by kind.

    Attributes:
        of: by graph and context.
        inbox: frames that wait for the timekeeper.
    """

    def __init__(
        self,
        link: TTNetworkInterface,
        loop: Loop,
        prepared: Mapping[str, PreparedGraph],
        sharing: Sharing,
        moves: Moves,
        taking: Mapping[tuple[str, int], Mapping[str, TakesParcels]],
        in_processes: bool,
        own: Counter[str],
    ) -> None:
        self.link, self.loop, self.sharing, self.moves = link, loop, sharing, moves
        self.taking, self.in_processes = taking, in_processes
        self._prepared, self._own = prepared, own
        self.of: dict[tuple[str, int], Passing] = {}
        self.inbox: deque[tuple[Incoming, bytes, bytes | None]] = deque()
        self._early: dict[tuple[str, int], list[tuple[Incoming, Parcel]]] = {}
        self._early_kept, self._early_bytes = 0, 0

    def put(self, incoming: Incoming, frame: bytes, attached: bytes | None) -> None:
        """Have a frame taken in by the timekeeper."""
        self.inbox.append((incoming, frame, attached))
        if len(self.inbox) > INBOX:
            self.inbox.popleft()  # the stalest; the call that was posted for it takes the next one
            self._own["overflow"] += 1
        else:
            self.loop.post(self._take_next)

    def _take_next(self) -> None:
        self.take(*self.inbox.popleft())

    def take(self, incoming: Incoming, frame: bytes, attached: bytes | None) -> None:
        """Take in a frame; a bad one is counted and dropped."""
        try:
            for parcel in parse_parcels(frame, attached, incoming.find):
                passing = self.of.get((incoming.graph, parcel[0]))
                if passing is not None and passing.numbers.begun:
                    self._take(passing, incoming, parcel)
                elif incoming.graph in self._prepared:
                    # The start of this context is still on its way from the manager.
                    self._early_kept += 1
                    self._early_bytes += len(parcel[-1])
                    if self._early_kept <= EARLY_KEPT and self._early_bytes <= EARLY_BYTES:
                        self._early.setdefault((incoming.graph, parcel[0]), []).append((incoming, parcel))
                    else:
                        self._own["overflow"] += 1
                        self._early_kept -= 1
                        self._early_bytes -= len(parcel[-1])
        except (FrameError, ValueFormatError) as error:
            self.drop(error)

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

    def add(self, context: Context, numbers: ContextArcs) -> Passing:
        """Let the tokens of a context that has been wired go and come."""
        passing = self.of[context.prepared.graph.name, context.number] = Passing(self, context, numbers)
        return passing

    def begin(self, graph: str, context: int) -> None:
        """The start tick of a context has come: take in the tokens that came before."""
        passing = self.of[graph, context]
        passing.numbers.begun = True
        for incoming, parcel in self._early_of((graph, context)):
            self._take(passing, incoming, parcel)

    def _early_of(self, key: tuple[str, int]) -> list[tuple[Incoming, Parcel]]:
        """The tokens that were kept for a context; they are kept no longer."""
        early = self._early.pop(key, [])
        self._early_kept -= len(early)
        self._early_bytes -= sum(len(parcel[-1]) for _, parcel in early)
        return early

    def forget(self, graph: str) -> None:
        """Forget a graph that was stopped."""
        for key in [key for key in self.of if key[0] == graph]:
            del self.of[key]
        for key in [key for key in self._early if key[0] == graph]:
            self._early_of(key)
