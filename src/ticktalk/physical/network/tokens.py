"""Tokens between this ensemble and others: one publication on the key of an arc reaches all that consume it.

Owned by the thread that keeps time, but for `Incoming`, which Zenoh's thread calls. What is the same for all tokens of
a context or an arc is looked up once (`Passing`, `Incoming`): a hop is short, and most of it is this.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ticktalk.engine.codec import Data, Encoded, ValueFormatError, encode_value, split
from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import Together, arc_name
from ticktalk.hosted.arc_numbers import Bundle, ContextArcs, Numbers
from ticktalk.network_keys import arc_key
from ticktalk.physical.network.frames import LONG, FrameError
from ticktalk.physical.network.token_frames import (
    AGAIN,
    Head,
    Parcel,
    arcs_as_bytes,
    arcs_in,
    parse_parcels,
    token_frame,
)
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.physical.node import Node

logger = logging.getLogger("ticktalk")

INBOX = 100_000
"""Token frames that may wait to be taken in; beyond that the stalest goes, counted."""

EARLY_KEPT = 10_000
"""Tokens kept for a context whose start has not reached this ensemble yet."""

BUNDLES_KEPT = 10_000
"""Sets of arcs whose tokens come together that are remembered for a context."""


class Passing:
    """The tokens of one context that go from here and come here.

    Attributes:
        context: wired here.
        numbers: how many passed on each arc.
    """

    def __init__(self, node: Node, context: Context, numbers: ContextArcs) -> None:
        self.context = context
        self.numbers = numbers
        self._node = node
        self._graph = context.prepared.graph.name
        self._number = context.number
        self._arcs: dict[str, tuple[str, str]] = {}  # by arc, its key and its SQ
        self._sent: dict[Together, tuple[str, bytes, Bundle]] = {}
        self._came: dict[tuple[str, bytes], tuple[tuple[int, ...], Bundle]] = {}

    # What goes out.

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
        moves = self._node.moves
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
        link = self._node.link
        parcel = (self._number, self.context.prepared.generations.get(sq, 0), arcs, numbers, start, stop, data)
        if len(data) < LONG:
            link.publish(key, parcel, token_frame)
        else:
            link.publish(key, functools.partial(self._node.sharing.frames, parcel, ensembles))

    def _keep(self, names: Sequence[str], numbers: Numbers, start: Tick, stop: Tick, data: Data) -> None:
        moves = self._node.moves
        if moves.keeps:
            each = numbers if isinstance(numbers, list) else [numbers] * len(names)
            for name, number, part in zip(names, each, split(data), strict=True):
                moves.keep(self._graph, self._number, name, number, start, stop, Encoded(part))

    # What comes in.

    def take(self, incoming: Incoming, parcel: Parcel) -> None:
        """Take the tokens of a parcel that came on an arc.

        Raises:
            FrameError: it does not fit together.
        """
        _, generation, arcs, numbers, start, stop, data = parcel
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
        region = self._node.workers.accelerator.taking[self._graph, self._number].get(sq)
        if region is not None and not self._node.moves.keeps and not passed_by and region.takes(indexes):
            # All of it is for what is run together: nobody looks at it on the way.
            self._count(incoming, bundle, numbers)
            region.take(arcs or indexes[0], indexes, data, start, stop, lambda: self._hand_out_later(incoming, parcel))
            return
        if region is not None:
            region.passes(indexes, start)
        if bundle is not None:
            self._keep(bundle.arcs, numbers, start, stop, data)
        elif self._node.moves.keeps and isinstance(numbers, int):
            self._node.moves.keep(self._graph, self._number, incoming.arc, numbers, start, stop, Encoded(data))
        self._count(incoming, bundle, numbers, passed_by)
        self._hand_out(incoming, parcel, passed_by)

    def _count(
        self, incoming: Incoming, bundle: Bundle | None, numbers: Numbers, passed_by: Mapping[str, set[str]] = {}
    ) -> None:
        """Count what came, but for what is for SQs that have still to come, or for nobody here."""
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
        """Give the tokens of a parcel to the ports that its arcs lead to, but for those of some SQs."""
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
        """The same when who kept a parcel gives it back: one that is bad keeps no other from its way."""
        try:
            self._hand_out(incoming, parcel)
        except (FrameError, ValueFormatError) as error:
            self._node.bad_frames += 1
            logger.debug("a bad frame was dropped: %s", error)

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
    """What comes on the key of an arc from other ensembles; called in Zenoh's thread."""

    def __init__(self, tokens: Tokens, graph: str, arc: str) -> None:
        self.graph = graph
        self.arc = arc
        self.sq, _, index = arc.rpartition("/")
        self.indexes = (int(index),)
        self._tokens = tokens
        self._visit = tokens.node.loop.visit
        self._visits = tokens.node.workers.in_processes
        self._missed: Head | None = None  # of the latest parcel, if its data were not for this ensemble to look at

    def __call__(self, frame: bytes, attached: bytes | None) -> None:
        """Take in a frame at once if nobody else keeps time, else have it taken in."""
        tokens = self._tokens
        if self._visits and not tokens.inbox and self._visit(monotonic_us(), tokens.take, self, frame, attached):
            return
        tokens.put(self, frame, attached)

    def find(self, head: Head, where: memoryview, payload: bytes) -> Data | None:
        """The data of a parcel that are somewhere else, or came again; None: they are not for this ensemble.

        Raises:
            FrameError: what is said of where they are is wrong.
        """
        missed, self._missed = self._missed, None
        if where == AGAIN:
            return payload if missed == head else None
        data = self._tokens.node.sharing.view(where)
        if data is None:
            self._missed = head
        return data


class Tokens:
    """The tokens of all contexts of an ensemble.

    Args:
        node: the ensemble's.

    Attributes:
        of: by graph and context.
        inbox: frames that wait for who keeps time.
    """

    def __init__(self, node: Node) -> None:
        self.node = node
        self.of: dict[tuple[str, int], Passing] = {}
        self.inbox: deque[tuple[Incoming, bytes, bytes | None]] = deque()
        self._early: dict[tuple[str, int], list[tuple[Incoming, Parcel]]] = {}

    def put(self, incoming: Incoming, frame: bytes, attached: bytes | None) -> None:
        """Have a frame taken in by who keeps time."""
        self.inbox.append((incoming, frame, attached))
        if len(self.inbox) > INBOX:
            self.inbox.popleft()  # the stalest; the call that was posted for it takes the next one
            self.node.overflow += 1
        else:
            self.node.loop.post(self._take_next)

    def _take_next(self) -> None:
        self.take(*self.inbox.popleft())

    def take(self, incoming: Incoming, frame: bytes, attached: bytes | None) -> None:
        """Take in a frame; a bad one is counted and dropped."""
        try:
            for parcel in parse_parcels(frame, attached, incoming.find):
                passing = self.of.get((incoming.graph, parcel[0]))
                if passing is not None and passing.numbers.begun:
                    self._take(passing, incoming, parcel)
                elif incoming.graph in self.node.host.prepared:
                    # The start of this context is still on its way from the manager.
                    early = self._early.setdefault((incoming.graph, parcel[0]), [])
                    if len(early) < EARLY_KEPT:
                        early.append((incoming, parcel))
        except (FrameError, ValueFormatError) as error:
            self._drop(error)

    def _take(self, passing: Passing, incoming: Incoming, parcel: Parcel) -> None:
        try:
            passing.take(incoming, parcel)
            if self.node.moves.waits:
                self.node.moves.look()
        except (FrameError, ValueFormatError) as error:
            self._drop(error)

    def _drop(self, error: Exception) -> None:
        self.node.bad_frames += 1
        logger.debug("a bad frame was dropped: %s", error)

    def add(self, context: Context, numbers: ContextArcs) -> Passing:
        """A context has been wired."""
        passing = self.of[context.prepared.graph.name, context.number] = Passing(self.node, context, numbers)
        return passing

    def begin(self, graph: str, context: int) -> None:
        """The start tick of a context has come: what came before is for it."""
        passing = self.of[graph, context]
        passing.numbers.begun = True
        for incoming, parcel in self._early.pop((graph, context), ()):
            self._take(passing, incoming, parcel)

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        tables: list[dict[tuple[str, int], Any]] = [self.of, self._early]
        for table in tables:
            for key in [key for key in table if key[0] == graph]:
                del table[key]
