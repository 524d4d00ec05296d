"""A region in its worker: runs the bodies of one instant, or behind one token, and gives the results that leave it.

Inside, a value is passed as between SQs on one ensemble: a copy, unless it is immutable. So it makes no difference to
a program whether its SQs form a region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from ticktalk.engine.components import OneOfMany, Running, running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.forwarding import unpacked
from ticktalk.payloads import FiringError
from ticktalk.physical.network.token_frames import arcs_in
from ticktalk.physical.regions.messages import ORDERS_KEPT, MemberInWorker
from ticktalk.physical.workers.results import Encode, encoder, failure
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import PLAIN, Data, ValueFormatError, encode_value, handed_on, split

MISSING = object()
"""Stands for the value of an input that is not there."""


class WorkerSQ:
    """One SQ of a region, in its worker.

    Args:
        index: its place in the region.
        execute: its execute part.
        member: what the worker was told of it.
        takes: the places of its inputs among the values of a run.
        first: the place of the value for its first consumer inside.
        encode: makes what leaves the region of a result; None: nothing does.

    Attributes:
        takes: gives its inputs among the values of a run.
        call: gives the result of its body for these.
        passes: its results go anywhere.
    """

    __slots__ = ("call", "encode", "execute", "gives", "index", "passes", "ports", "settled", "takes", "unpack")

    def __init__(
        self,
        index: int,
        execute: TTSQExecute,
        member: MemberInWorker,
        takes: Sequence[int],
        first: int,
        encode: Callable[[Any], list[Any]] | None,
    ) -> None:
        self.index, self.execute, self.encode = index, execute, encode
        self.ports = sorted(member.wires)
        # Of several places `itemgetter` gives a tuple. A slice makes one of a single place, too.
        self.takes = itemgetter(*takes) if len(takes) > 1 else itemgetter(slice(takes[0], takes[0] + 1))
        arcs = [port for port, kind in enumerate(execute.sq.ports) if kind.constant is None]
        self.settled = [(arcs.index(port), data) for port, data in sorted(member.settled.items())]
        self.call = execute.body if execute.arrange is None and not self.settled else self._arranged
        self.gives = [(place, tuple(path)) for place, path in enumerate(member.inner, first)]
        self.passes = bool(self.gives) or encode is not None
        self.unpack = execute.sq.unpack if any(member.inner) else None

    def _arranged(self, *inputs: Any) -> Any:
        """Call the body; each firing gets its own copy of a value that stays."""
        values = [*inputs]
        for place, data in self.settled:
            values.insert(place, self.execute.code.decode(data))
        arrange = self.execute.arrange
        return self.execute.body(*values) if arrange is None else arrange(self.execute.body, tuple(values))

    def pass_on(self, result: Any, values: list[Any]) -> list[Any]:
        """Give each consumer inside its own copy; what leaves the region."""
        sent = [] if self.encode is None else self.encode(result)
        if self.gives:
            parts = unpacked(result, self.unpack)
            there = [(place, parts[path]) for place, path in self.gives if parts[path].__class__ is not TTEmpty]
            for place, copy in [(place, handed_on(part)) for place, part in there]:
                values[place] = copy
        return sent


class WorkerRegion(OneOfMany):
    """The SQs of a region in their worker.

    Args:
        roots: how many of the members, the first ones, are its roots.
        members: its SQs.
        executes: theirs, in the same order.
        feeds: by root, the arc of the SQ elsewhere that feeds it; empty if none does.
        encode: makes MessagePack of a value, or a mark that stands for it in an answer.

    Attributes (while it runs):
        edges, leftovers, errors, absent: the parts of the next answer of `run`.
    """

    def __init__(
        self,
        roots: int,
        members: list[MemberInWorker],
        executes: list[TTSQExecute],
        feeds: Sequence[int],
        encode: Encode,
    ) -> None:
        self.edges: list[list[Any]] = []
        self.leftovers: list[list[Any]] = []
        self.errors: list[FiringError] = []
        self.absent: list[int] = []
        self._encode = encode
        self._stop: Tick = 0
        self._feeds = feeds
        self._orders: dict[int | bytes, tuple[int, list[int], list[int]]] = {}  # by arcs that came together
        self._roots = executes[:roots]
        self._inputs: list[int] = []  # of each input, the root
        for index, root in enumerate(self._roots):
            self._inputs += [index for port in root.sq.ports if port.constant is None]
        begin = len(self._inputs)
        takes = [[begin + wire for _, wire in sorted(member.wires.items())] for member in members]
        for place, index in enumerate(self._inputs):
            takes[index].append(place)
        self._sqs: list[WorkerSQ] = []
        place = begin
        for index, (member, execute) in enumerate(zip(members, executes, strict=True)):
            leaves = encoder(member.outer, execute.sq.unpack, encode) if member.outer else None
            self._sqs.append(WorkerSQ(index, execute, member, takes[index], place, leaves))
            place += len(member.inner)
        self._wires = place - begin
        self._now: Running | None = None  # the SQ whose body runs

    def find(self) -> Running | None:
        """The SQ whose body runs."""
        return self._now

    def fail(self, execute: TTSQExecute, error: BaseException, start: Tick) -> None:
        """Keep the error of a firing for the answer."""
        self.errors.append(failure(execute, error, start, self._stop))

    def run(
        self, start: Tick, stop: Tick, arcs: int | bytes, data: Any
    ) -> tuple[list[list[Any]], list[list[Any]], list[FiringError], list[int]]:
        """Run the bodies on the values that came; see `RunRegion`.

        Returns:
            `edges`, `leftovers`, `errors` and `absent` as in `RegionRan`. Nothing of them is kept
            here: their room is wanted.
        """
        self._stop = stop
        try:
            values = self._in_order(arcs, data) if self._feeds else None
        except BaseException:  # bytes that are no value, a class that is not known here, a user's codec
            values = None
        try:
            if values is None:
                values = self._one_by_one(start, arcs, data)
        except BaseException as error:
            for root in self._roots:
                self.fail(root, error, start)
        else:
            self._fire_all(start, values)
        left = self.edges, self.leftovers, self.errors, self.absent
        self.edges, self.leftovers, self.errors, self.absent = [], [], [], []
        return left

    def _fire_all(self, start: Tick, given: list[Any]) -> None:
        """Fire the SQs whose inputs are there, one after the other; `given`: the inputs of the roots."""
        values = [*given, *[MISSING] * self._wires]
        running.current = self
        for sq in self._sqs:
            inputs = sq.takes(values)
            for value in inputs:
                if value is MISSING:
                    self._absent(sq, start, inputs)
                    break
            else:
                self._now = sq.execute
                try:
                    result = sq.call(*inputs)
                    self._now = None  # the receiver of the result is not this body
                    if sq.passes and result.__class__ is not TTEmpty:
                        sent = sq.pass_on(result, values)
                        if sent:
                            self.edges.append([sq.index, *sent])
                except BaseException as error:
                    self._now = None
                    self.fail(sq.execute, error, start)
        running.current = None

    def _absent(self, sq: WorkerSQ, start: Tick, inputs: Sequence[Any]) -> None:
        """Not all inputs are there: those that came along wires wait at the sync of the SQ."""
        self.absent.append(sq.index)
        for port, value in zip(sq.ports, inputs, strict=False):  # a root has inputs, but no wires
            if value is not MISSING:
                try:
                    self.leftovers.append([sq.index, port, self._encode(value)])
                except BaseException as error:  # text that no encoding has, a user's codec
                    self.fail(sq.execute, error, start)

    def _one_by_one(self, start: Tick, arcs: int | bytes, data: Any) -> list[Any]:
        """The inputs of the roots; one that cannot be read is an error of those that it is for, and of no others."""
        if self._feeds:
            came = [arcs] if isinstance(arcs, int) else arcs_in(bytes(arcs))
            by_arc = dict(zip(came, [data] if isinstance(arcs, int) else split(data), strict=True))
            data = [by_arc.get(arc) for arc in self._feeds]
        values: list[Any] = []
        failed: set[int] = set()
        for part, root in zip(data, self._inputs, strict=True):
            value = MISSING
            try:
                if part is not None:
                    value = self._roots[root].code.decode(part)
            except BaseException as error:
                if root not in failed:
                    failed.add(root)
                    self.fail(self._roots[root], error, start)
            values.append(value)
        return [MISSING if root in failed else value for value, root in zip(values, self._inputs, strict=True)]

    def _in_order(self, arcs: int | bytes, data: Data) -> list[Any]:
        """The inputs of the roots, of tokens that came together: decoded at once."""
        decode = self._roots[0].code.decode
        value = decode(data)
        values: list[Any] = [value] if isinstance(arcs, int) else list(value)
        count, order, again = self._order(arcs if isinstance(arcs, int) else bytes(arcs))
        if len(values) != count:
            raise ValueFormatError(f"{len(values)} values came for {count} arcs")
        if order:
            values.append(MISSING)
            values = [values[place] for place in order]
            for index in again:
                # Of several roots that one arc feeds each gets a value of its own.
                if values[index].__class__ not in PLAIN:
                    values[index] = decode(data if isinstance(arcs, int) else encode_value(values[index]))
        return values

    def _order(self, arcs: int | bytes) -> tuple[int, list[int], list[int]]:
        """The number of values; by root, the index of its own (empty: in order); roots that share a value."""
        known = self._orders.get(arcs)
        if known is None:
            indexes = [arcs] if isinstance(arcs, int) else arcs_in(arcs)
            came = {arc: index for index, arc in enumerate(indexes)}
            order = [came.get(arc, len(came)) for arc in self._feeds]
            again = [index for index, place in enumerate(order) if place < len(came) and place in order[:index]]
            if len(self._orders) >= ORDERS_KEPT:
                self._orders.clear()
            in_order = order == list(range(len(came)))
            known = self._orders[arcs] = (len(came), [] if in_order else order, again)
        return known
