"""A region in its worker: runs the bodies of one instant, or behind one token, and says what leaves it.

Within a region a value is passed as it is between ensembles: encoded and decoded, unless nobody can change it. So it
makes no difference to a program whether its SQs form a region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ticktalk.accelerate.bind import ALWAYS, GONE, function_of
from ticktalk.accelerate.code import once_code, once_inputs
from ticktalk.accelerate.part_messages import Member
from ticktalk.accelerate.plan import Member as PlanMember
from ticktalk.accelerate.plan import Wire
from ticktalk.engine.codec import PLAIN, Data, ValueFormatError, encode_value, split
from ticktalk.engine.components import Running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.forwarding import unpacked
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTDestination
from ticktalk.payloads import FiringError
from ticktalk.physical.network.token_frames import arcs_in
from ticktalk.time import Tick, TTEmpty

ORDERS_KEPT = 1000
"""Sets of arcs that came together that are remembered."""

Encode = Callable[[Any], Any]
"""Makes MessagePack of a value, or a mark that stands for it in an answer."""

EncoderOf = Callable[[Sequence[Any], Any], Callable[[Any], list[Any]]]
"""`(paths, shape)`: what makes the result to send of a value; see `PartRan.edges`."""

Failure = Callable[[TTSQExecute, BaseException, Tick, Tick], FiringError]
"""`(execute, error, start, stop)`: the error of a firing, with text that can be encoded."""


class _Part:
    """One SQ: what the generated code calls when more is to be done than to run its body."""

    __slots__ = ("decode", "encode", "execute", "index", "inner", "outer", "ports", "region")

    def __init__(self, region: WorkerRegion, index: int, execute: TTSQExecute, member: Member) -> None:
        self.region = region
        self.index = index
        self.execute = execute
        self.decode = execute.code.decode
        self.inner = [tuple(path) for path in member.inner]
        self.outer = bool(member.outer)
        self.ports = list(member.wires)
        self.encode = region.encoder(member.outer, execute.sq.unpack)

    def hand(self, value: Any, instant: Tick) -> Any:
        """What each wire gets of a value that is not known to be unchangeable."""
        if value.__class__ is TTEmpty:
            return self._on([GONE] * len(self.inner))
        return self._on(self._passed(value, len(self.inner)))

    def edge(self, value: Any, instant: Tick) -> Any:
        """Take what leaves the region; what each wire gets."""
        sent = self.encode(value) if self.outer else []
        wires: list[Any] = []
        if self.inner:
            parts = unpacked(value, self.execute.sq.unpack if any(self.inner) else None)
            for path in self.inner:
                part = parts[path]
                wires += [GONE] if part.__class__ is TTEmpty else self._passed(part, 1)
        if sent:
            self.region.edges.append([self.index, *sent])
        return self._on(wires)

    def _passed(self, value: Any, times: int) -> list[Any]:
        if value.__class__ in PLAIN:
            return [value] * times
        data = encode_value(value)
        return [self.decode(data) for _ in range(times)]

    def ended(self, error: BaseException, instant: Tick) -> Any:
        """Take the error of a firing."""
        self.region.errors.append(self.region.failure(self.execute, error, instant, self.region.stop))
        return self._on([GONE] * len(self.inner))

    def absent(self, instant: Tick, *values: Any) -> None:
        """Not all inputs are there: those that are wait with the general engine."""
        for port, value in zip(self.ports, values, strict=True):
            if value is not GONE:
                try:
                    self.region.leftovers.append([self.index, port, self.region.encode(value)])
                except BaseException as error:  # text that no encoding has, a user's codec
                    self.ended(error, instant)

    @staticmethod
    def _on(wires: list[Any]) -> Any:
        return wires[0] if len(wires) == 1 else wires


class WorkerRegion:
    """The SQs of a region in their worker.

    Args:
        roots: how many of the members, the first ones, are its roots.
        members: its SQs.
        executes: theirs, in the same order.
        feeds: by root, which arc of the SQ elsewhere feeds it; empty if none does.
        encode: encodes a value that waits for its partner.
        encoder: encodes what leaves.
        failure: makes the error of a firing.

    Attributes (while it runs):
        edges, leftovers, errors: what `run` will give.
    """

    def __init__(
        self,
        roots: int,
        members: list[Member],
        executes: list[TTSQExecute],
        feeds: Sequence[int],
        encode: Encode,
        encoder: EncoderOf,
        failure: Failure,
    ) -> None:
        self.edges: list[list[Any]] = []
        self.leftovers: list[list[Any]] = []
        self.errors: list[FiringError] = []
        self.stop: Tick = 0
        self._feeds = feeds
        self.encode = encode
        self.encoder = encoder
        self.failure = failure
        self._roots = roots
        self._orders: dict[int | bytes, tuple[int, list[int], list[int]]] = {}  # by arcs of a parcel
        nodes = []
        names = {**ALWAYS, "region": self}
        self._parts = []
        for index, (member, execute) in enumerate(zip(members, executes, strict=True)):
            wires = {port: Wire(*wire) for port, wire in sorted(member.wires.items())}
            edge = bool(member.outer) or any(member.inner)
            inner = [TTDestination("", 0) for _ in member.inner]
            nodes.append(PlanMember(execute.sq, wires, inner, edge))
            part = _Part(self, index, execute, member)
            self._parts.append(part)
            anew: dict[int | str, Data] = {}  # what sits on its ports and could be changed: each firing gets its own
            body = _given_anew(execute.body, anew, part.decode)
            names |= {f"f{index}": execute.body, f"arrange{index}": execute.arrange}
            names |= {f"hand{index}": part.hand, f"edge{index}": part.edge}
            names |= {f"ended{index}": part.ended, f"absent{index}": part.absent}
            for port, kind in enumerate(execute.sq.ports):
                if kind.constant is not None:
                    names[f"a{index}_{port}"] = decode_constant(kind.constant[0])
            for port, data in member.settled.items():
                kind = execute.sq.ports[port]
                value = names[f"a{index}_{port}"] = _settled(data, part.decode)
                if execute.sq.body and not kind.hidden and (value is None or value.__class__ not in PLAIN):
                    before = [other for other in execute.sq.ports[:port] if not (other.hidden or other.keyword)]
                    anew[kind.name if kind.keyword else len(before)] = data
                    names[f"f{index}"] = body
        written = once_code(nodes, roots)
        self._lines = written.lines
        self._inputs = once_inputs(nodes, roots)
        self._once = function_of(written.text, names)

    def at_line(self, function: str, line: int) -> Running:
        """The SQ whose firing is at a line of the generated code."""
        return self._parts[self._lines[line]].execute

    def run(
        self, start: Tick, stop: Tick, arcs: int | bytes, data: Any
    ) -> tuple[list[list[Any]], list[list[Any]], list[FiringError]]:
        """Run the bodies on what came.

        Args:
            start, stop: the interval.
            arcs: of a token from another ensemble: the index of its arc, or the bytes of several (`wire.arcs_in`).
            data: the value of that arc, an array of those of several; else of each input of each root (None: it
                does not fire).

        Returns:
            What left the region: `[index, parts]` or `[index, paths, array]`, `index` of the SQ; values that found no
            partner: `[index, port, data]`; errors of firings. None of it is kept here: the room it takes is wanted.
        """
        self.stop = stop
        try:
            try:
                values = self._values(arcs, data) if self._feeds else self._each(data)
            except BaseException:  # bytes that are no value, a class that is not known here, a user's codec
                values = self._one_by_one(start, arcs, data)
        except BaseException as error:
            roots = self._parts[: self._roots]
            self.errors = [self.failure(part.execute, error, start, stop) for part in roots]
        else:
            self._once(start, *values)
        left = self.edges, self.leftovers, self.errors
        self.edges, self.leftovers, self.errors = [], [], []
        return left

    def _one_by_one(self, start: Tick, arcs: int | bytes, data: Any) -> list[Any]:
        """The inputs where some cannot be read: an error of the roots that those are for, and of no others."""
        if self._feeds:
            came = [arcs] if isinstance(arcs, int) else list(arcs_in(bytes(arcs)))
            parts = [data] if isinstance(arcs, int) else split(data)
            by_arc = dict(zip(came, parts, strict=True))
            data = [by_arc.get(arc) for arc in self._feeds]
        values: list[Any] = []
        failed: set[int] = set()
        for part, (root, _) in zip(data, self._inputs, strict=True):
            try:
                values.append(GONE if part is None else self._parts[root].decode(part))
            except BaseException as error:
                values.append(GONE)
                if root not in failed:
                    failed.add(root)
                    self._parts[root].ended(error, start)
        return [GONE if root in failed else value for value, (root, _) in zip(values, self._inputs, strict=True)]

    def _each(self, data: list[Data | None]) -> list[Any]:
        return [
            GONE if part is None else self._parts[root].decode(part)
            for part, (root, _) in zip(data, self._inputs, strict=True)
        ]

    def _values(self, arcs: int | bytes, data: Data) -> list[Any]:
        decode = self._parts[0].decode
        value = decode(data)
        values: list[Any] = [value] if isinstance(arcs, int) else list(value)
        count, order, again = self._order(arcs if isinstance(arcs, int) else bytes(arcs))
        if len(values) != count:
            raise ValueFormatError(f"{len(values)} values came for {count} arcs")
        if order:
            values.append(GONE)
            values = [values[place] for place in order]
            for index in again:
                # Of several that are fed by one arc each gets a value of its own.
                if values[index].__class__ not in PLAIN:
                    values[index] = decode(data if isinstance(arcs, int) else encode_value(values[index]))
        return values

    def _order(self, arcs: int | bytes) -> tuple[int, list[int], list[int]]:
        """How many values come; by root, which is its (empty: in order); roots whose value another root has, too."""
        known = self._orders.get(arcs)
        if known is None:
            came = {arc: index for index, arc in enumerate([arcs] if isinstance(arcs, int) else arcs_in(arcs))}
            order = [came.get(arc, len(came)) for arc in self._feeds]
            again = [index for index, place in enumerate(order) if place < len(came) and place in order[:index]]
            if len(self._orders) >= ORDERS_KEPT:
                self._orders.clear()
            in_order = order == list(range(len(came)))
            known = self._orders[arcs] = (len(came), [] if in_order else order, again)
        return known


def _settled(data: Data, decode: Callable[[Data], Any]) -> Any:
    """The value; None, too, where it cannot be read: each firing will tell."""
    try:
        return decode(data)
    except BaseException:
        return None


def _given_anew(
    body: Callable[..., Any], settled: dict[int | str, Data], decode: Callable[[Data], Any]
) -> Callable[..., Any]:
    """`body` that gets, at some places and names, a value that is decoded for each call."""

    def call(*arguments: Any, **named: Any) -> Any:
        filled = list(arguments)
        for place, data in settled.items():
            if isinstance(place, int):
                filled[place] = decode(data)
            else:
                named[place] = decode(data)
        return body(*filled, **named)

    return call
