"""A region in its worker: runs the bodies of one instant, or behind one token, and gives the results that leave it.

Inside, a value is passed as between ensembles: encoded and decoded, unless it is immutable. So it makes no
difference to a program whether its SQs form a region.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ticktalk.accelerate.bind import ALWAYS, GONE, IN_REGION, function_of
from ticktalk.accelerate.code import once_code, once_inputs
from ticktalk.accelerate.plan import InnerWire, Member
from ticktalk.accelerate.region_messages import MemberInWorker
from ticktalk.engine.components import Running, running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.forwarding import unpacked
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTDestination
from ticktalk.payloads import FiringError
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import PLAIN, Data, ValueFormatError, encode_value, split

ORDERS_KEPT = 1000
"""Sets of arcs that came together that are remembered."""


class Codecs(NamedTuple):
    """The worker's ways to read commands and write answers.

    Attributes:
        encode: makes MessagePack of a value, or a mark that stands for it in an answer.
        encoder: `(paths, shape)`: makes the encoder of an SQ's results; see `RegionRan.edges`.
        failure: `(execute, error, start, stop)`: the error of a firing, with text that can be encoded.
        arcs_in: the indexes of arcs whose tokens came together.
    """

    encode: Callable[[Any], Any]
    encoder: Callable[[Sequence[Any], Any], Callable[[Any], list[Any]]]
    failure: Callable[[TTSQExecute, BaseException, Tick, Tick], FiringError]
    arcs_in: Callable[[bytes], Sequence[int]]


class WorkerSQ:
    """One SQ of a region, in its worker, as the generated code calls it where more is to be done than to run its body.

    `hand`, `edge` and `ended` give the values for the consumers inside, as the code takes them.
    """

    __slots__ = ("decode", "encode", "execute", "index", "inner", "outer", "ports", "region")

    def __init__(self, region: WorkerRegion, index: int, execute: TTSQExecute, member: MemberInWorker) -> None:
        self.region = region
        self.index = index
        self.execute = execute
        self.decode = execute.code.decode
        self.encode = region.codecs.encoder(member.outer, execute.sq.unpack)
        self.inner = [tuple(path) for path in member.inner]
        self.outer = bool(member.outer)
        self.ports = list(member.wires)

    @property
    def names(self) -> dict[str, Any]:
        """What generated code calls, and the constants on the SQ's ports."""
        index, execute = self.index, self.execute
        names = {f"f{index}": execute.body, f"arrange{index}": execute.arrange}
        names |= {f"{act}{index}": getattr(self, act) for act in ("hand", "edge", "ended", "absent")}
        for port, kind in enumerate(execute.sq.ports):
            if kind.constant is not None:
                names[f"a{index}_{port}"] = decode_constant(kind.constant[0])
        return names

    def hand(self, value: Any) -> Any:
        """Copy a mutable value, one for each consumer inside."""
        wires = [GONE] * len(self.inner)
        if value.__class__ is not TTEmpty:
            running.current = None
            data = encode_value(value)
            wires = [self.decode(data) for _ in wires]
            running.current = IN_REGION
        return wires[0] if len(wires) == 1 else wires

    def edge(self, value: Any) -> Any:
        """Keep the results that leave the region for the answer."""
        sent = self.encode(value) if self.outer else []
        wires = [GONE] * len(self.inner)
        if wires:
            parts = unpacked(value, self.execute.sq.unpack if any(self.inner) else None)
            for way, path in enumerate(self.inner):
                part = parts[path]
                if part.__class__ is not TTEmpty:
                    wires[way] = part if part.__class__ in PLAIN else self.decode(encode_value(part))
        if sent:
            self.region.edges.append([self.index, *sent])
        return wires[0] if len(wires) == 1 else wires

    def ended(self, error: BaseException, start: Tick) -> Any:
        """Keep the error of a firing for the answer."""
        self.region.fail(self.execute, error, start)
        running.current = IN_REGION
        wires = [GONE] * len(self.inner)
        return wires[0] if len(wires) == 1 else wires

    def absent(self, start: Tick, *values: Any) -> None:
        """Not all inputs are there: those that are wait at the sync of the SQ."""
        self.region.absent.append(self.index)
        for port, value in zip(self.ports, values, strict=True):
            if value is not GONE:
                try:
                    self.region.leftovers.append([self.index, port, self.region.codecs.encode(value)])
                except BaseException as error:  # text that no encoding has, a user's codec
                    self.region.fail(self.execute, error, start)


class WorkerRegion:
    """The SQs of a region in their worker.

    Args:
        roots: how many of the members, the first ones, are its roots.
        members: its SQs.
        executes: theirs, in the same order.
        feeds: by root, the arc of the SQ elsewhere that feeds it; empty if none does.
        codecs: those of the worker.

    Attributes (while it runs):
        edges, leftovers, errors, absent: the parts of the next answer of `run`.
    """

    def __init__(
        self,
        roots: int,
        members: list[MemberInWorker],
        executes: list[TTSQExecute],
        feeds: Sequence[int],
        codecs: Codecs,
    ) -> None:
        self.edges: list[list[Any]] = []
        self.leftovers: list[list[Any]] = []
        self.errors: list[FiringError] = []
        self.absent: list[int] = []
        self.codecs = codecs
        self._stop: Tick = 0
        self._feeds = feeds
        self._orders: dict[int | bytes, tuple[int, list[int], list[int]]] = {}  # by arcs that came together
        self._parts = [
            WorkerSQ(self, index, execute, member)
            for index, (member, execute) in enumerate(zip(members, executes, strict=True))
        ]
        self._roots = self._parts[:roots]
        names = ALWAYS | {"region": self}
        plan = []
        for part, member in zip(self._parts, members, strict=True):
            wires = {port: InnerWire(*wire) for port, wire in sorted(member.wires.items())}
            inner = [TTDestination("", 0) for _ in member.inner]
            plan.append(Member(part.execute.sq, wires, inner, part.outer or any(member.inner)))
            names |= part.names | _settled(part, member.settled)
        text, self._lines = once_code(plan, roots)
        self._inputs = once_inputs(plan, roots)
        self._once = function_of(text, names)

    def at_line(self, line: int) -> Running:
        """The SQ whose firing is at a line of the generated code."""
        return self._parts[self._lines[line]].execute

    def fail(self, execute: TTSQExecute, error: BaseException, start: Tick) -> None:
        """Keep the error of a firing for the answer."""
        self.errors.append(self.codecs.failure(execute, error, start, self._stop))

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
                self.fail(root.execute, error, start)
        else:
            gone = [index for value, (index, _) in zip(values, self._inputs, strict=True) if value is GONE]
            self.absent += dict.fromkeys(gone)
            self._once(start, *values)
        left = self.edges, self.leftovers, self.errors, self.absent
        self.edges, self.leftovers, self.errors, self.absent = [], [], [], []
        return left

    def _one_by_one(self, start: Tick, arcs: int | bytes, data: Any) -> list[Any]:
        """The values for `once`; one that cannot be read is an error of the roots that it is for, and of no others."""
        if self._feeds:
            came = [arcs] if isinstance(arcs, int) else self.codecs.arcs_in(bytes(arcs))
            by_arc = dict(zip(came, [data] if isinstance(arcs, int) else split(data), strict=True))
            data = [by_arc.get(arc) for arc in self._feeds]
        values: list[Any] = []
        failed: set[int] = set()
        for part, (root, _) in zip(data, self._inputs, strict=True):
            value = GONE
            try:
                if part is not None:
                    value = self._parts[root].decode(part)
            except BaseException as error:
                if root not in failed:
                    failed.add(root)
                    self.fail(self._parts[root].execute, error, start)
            values.append(value)
        if not failed:
            return values
        return [GONE if root in failed else value for value, (root, _) in zip(values, self._inputs, strict=True)]

    def _in_order(self, arcs: int | bytes, data: Data) -> list[Any]:
        """The values for `once`, of tokens that came together: decoded at once."""
        decode = self._roots[0].decode
        value = decode(data)
        values: list[Any] = [value] if isinstance(arcs, int) else list(value)
        count, order, again = self._order(arcs if isinstance(arcs, int) else bytes(arcs))
        if len(values) != count:
            raise ValueFormatError(f"{len(values)} values came for {count} arcs")
        if order:
            values.append(GONE)
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
            indexes = [arcs] if isinstance(arcs, int) else self.codecs.arcs_in(arcs)
            came = {arc: index for index, arc in enumerate(indexes)}
            order = [came.get(arc, len(came)) for arc in self._feeds]
            again = [index for index, place in enumerate(order) if place < len(came) and place in order[:index]]
            if len(self._orders) >= ORDERS_KEPT:
                self._orders.clear()
            in_order = order == list(range(len(came)))
            known = self._orders[arcs] = (len(came), [] if in_order else order, again)
        return known


def _settled(part: WorkerSQ, settled: dict[int, bytes]) -> dict[str, Any]:
    """The names of the values that stay on an SQ's ports, and of a body that gets anew those that it could change."""
    names: dict[str, Any] = {}
    anew: dict[int | str, Data] = {}
    ports = part.execute.sq.ports
    for port, data in settled.items():
        try:
            value = part.decode(data)
        except BaseException:
            value = None  # each firing will tell
        names[f"a{part.index}_{port}"] = value
        kind = ports[port]
        if part.execute.sq.body and not kind.hidden and (value is None or value.__class__ not in PLAIN):
            before = [other for other in ports[:port] if not (other.hidden or other.keyword)]
            anew[kind.name if kind.keyword else len(before)] = data
    if anew:
        names[f"f{part.index}"] = _given_anew(part.execute.body, anew, part.decode)
    return names


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
