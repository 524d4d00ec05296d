"""Expressions of a graph body: folded where everything is known at compile time, else made into SQs.

Nothing of the program is run: constants are computed here, by `ticktalk.language.folding`.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from ticktalk.graph.constants import encode_constant
from ticktalk.instructions import BY_NAME
from ticktalk.language import folding
from ticktalk.language.folding import OPERATORS, CannotFold
from ticktalk.language.imports import KNOWN, construct_at
from ticktalk.language.network import Arc, Branch, Constant, Network, Node, Port
from ticktalk.language.values import UNKNOWN, Data, Foreign, Listing, Reference, Unknown, Value
from ticktalk.problems import Place, Problems, did_you_mean
from ticktalk.time import TTClock

MOST_STEPS = 1_000_000


class GiveUp(Exception):
    """Evaluation cannot go on at all; the problem is reported already."""


class ModuleNames(Protocol):
    """What the names at module level mean in a graph."""

    def lookup(self, name: str) -> Value | None:
        """The meaning of a name that the module binds; None if it binds no such name."""

    def names(self) -> Iterable[str]:
        """All names that the module binds."""


class Caller(Protocol):
    """What evaluates a call."""

    def call(self, node: ast.Call) -> Data:
        """The value of a call."""


class Expressions:
    """Evaluates expressions in the scopes of a graph body.

    Args:
        problems: where what is wrong goes.
        module: the names at module level.
        network: the graph that is made; None at module level, where nothing makes an SQ.
        local_names: names that the graph body binds anywhere, so that they never mean the module's.
    """

    def __init__(
        self,
        problems: Problems,
        module: ModuleNames,
        network: Network | None,
        local_names: frozenset[str] = frozenset(),
    ) -> None:
        self.problems = problems
        self.module = module
        self.network = network
        self.local_names = local_names
        self.scopes: list[dict[str, Value]] = [{}]
        self.calls: Caller
        self._steps = 0

    # -- the three ways to ask for a value

    def evaluate(self, node: ast.expr) -> Value:
        """The value of an expression, or what it refers to."""
        method = _EVALUATE.get(type(node))
        if method is None:
            return self.problem(node, *_refused_expression(node))
        return method(self, node)

    def data(self, node: ast.expr) -> Data:
        """The value of an expression; a function, module or the like is a problem."""
        value = self.evaluate(node)
        if isinstance(value, Reference):
            if value.kind == "module":
                return self.problem(node, f"`{ast.unparse(node)}` is a module, not a value")
            return self.problem(
                node, f"`{ast.unparse(node)}` is not a value in a graph", f"call it: `{ast.unparse(node)}(...)`"
            )
        if isinstance(value, Foreign):
            return self.problem(node, value.what, value.instead)
        return value

    def operand(self, node: ast.expr) -> Arc | Constant | Unknown:
        """The value of an expression as it comes to a port."""
        return self.to_port(self.data(node), node)

    # -- helpers that statements and calls use too

    def problem(self, place: Place, what: str, instead: str = "") -> Unknown:
        """Report a problem; the value of what is wrong is unknown."""
        self.problems.report(place, what, instead)
        return UNKNOWN

    def spend(self, place: Place, steps: int = 1) -> None:
        """Count steps of unrolling.

        Raises:
            GiveUp: there were too many.
        """
        self._steps += steps
        if self._steps > MOST_STEPS:
            self.problem(
                place,
                f"too large to unroll: more than {MOST_STEPS} steps at compile time",
                "a graph's loops are unrolled; put the loop into an SQ",
            )
            raise GiveUp

    def bind(self, name: str, value: Value) -> None:
        """Let `name` mean `value` from here on; the first name an arc gets is its own."""
        if isinstance(value, Arc) and not value.name and value.source is not None:
            value.name = name
        self.scopes[-1][name] = value

    def add(self, function: str, place: Place, operands: Sequence[Arc | Constant | Unknown], **fields: Any) -> Data:
        """A new SQ of a primitive whose ports are named by their positions."""
        known = [operand for operand in operands if not isinstance(operand, Unknown)]
        if len(known) < len(operands) or self.network is None:
            return UNKNOWN
        ports = [Port(str(index), operand) for index, operand in enumerate(known)]
        return self.network.add(function, place, ports, **fields).whole

    def to_port(self, value: Data, place: Place) -> Arc | Constant | Unknown:
        """`value` as something that can be on a port; a compile-time list with arcs becomes an SQ."""
        if isinstance(value, Listing):
            lowered = self.lower(value, place)
            if lowered is None:
                return self._listing_sq(value, place)
            value = lowered
        if isinstance(value, Constant):
            reason = folding.why_not_storable(value.value)
            if reason is not None:
                return self.problem(place, f"this constant cannot be given to an SQ: {reason}")
        return value

    def lower(self, value: Data, place: Place) -> Constant | Unknown | None:
        """The value if it is known at compile time; None if an arc is in it."""
        if isinstance(value, Constant | Unknown):
            return value
        if isinstance(value, Arc):
            return None
        self.spend(place, len(value.items))
        items: list[Any] = []
        has_arc = False
        for item in value.items:
            lowered = self.lower(item, place) if isinstance(item, Constant | Arc | Listing | Unknown) else UNKNOWN
            if isinstance(lowered, Unknown):
                return UNKNOWN
            if lowered is None:
                has_arc = True
            else:
                items.append(lowered.value)
        if has_arc:
            return None
        return Constant(tuple(items) if value.is_tuple else items)

    def lift(self, value: Any, frozen: bool = False) -> Data:
        """The constant `value`; lists in it as compile-time lists."""
        if type(value) is list:
            return Listing([self.lift(item, frozen) for item in value], frozen=frozen)
        return Constant(value)

    def known(self, value: Data, place: Place, what: str) -> Constant | Unknown:
        """`value`, which must be known at compile time; `what` it is, for the message."""
        lowered = self.lower(value, place)
        if lowered is None:
            return self.problem(place, f"{what} must be known at compile time, but this is an arc")
        return lowered

    def truth(self, value: Data, place: Place) -> bool | Unknown | None:
        """The truth of a value that is known at compile time; None if only its token tells."""
        if isinstance(value, Listing):
            return bool(value.items)
        if isinstance(value, Arc):
            return None
        return self._truth_of(value, place)

    def items(self, value: Data, place: Place) -> list[Value] | None:
        """The items that a loop, an unpacking or a star sees; None when there was a problem."""
        if isinstance(value, Listing):
            return list(value.items)
        if isinstance(value, Constant):
            try:
                return [self.lift(item, frozen=True) for item in folding.items_of(value.value)]
            except CannotFold as error:
                self.problem(place, str(error))
        elif isinstance(value, Arc):
            self.problem(
                place,
                "the length of an arc's value is not known at compile time",
                "loop over a list of arcs, or put the loop into an SQ; `p, q = ...` unpacks a known number of elements",
            )
        return None

    def fold(self, place: Place, function: Callable[..., Any], *operands: Any) -> Data:
        """The result of a computation with constants, as a value."""
        try:
            return self.lift(folding.fold(function, *operands))
        except CannotFold as error:
            return self.problem(place, str(error))

    @contextmanager
    def inner_scope(self) -> Iterator[None]:
        """The scope of a comprehension."""
        self.scopes.append({})
        try:
            yield
        finally:
            self.scopes.pop()

    # -- names

    def _name(self, node: ast.Name) -> Value:
        for scope in reversed(self.scopes):
            if node.id in scope:
                return scope[node.id]
        found = self.module.lookup(node.id)
        # `avg = avg(x)` can only mean the function; a graph is not run, so there is no local variable in its way.
        if node.id in self.local_names and not isinstance(found, Reference) and (found or node.id not in KNOWN):
            return self.problem(node, f"`{node.id}` is used before it is bound in the graph")
        if found is not None:
            return found
        if node.id in KNOWN:
            return reference_to(node.id)
        if node.id in folding.BUILTINS:
            return Reference("builtin", node.id)
        if hasattr(builtins, node.id):
            return Foreign(
                f"`{node.id}` has no meaning in a graph", "call it in the body of an SQ: a graph only joins SQs"
            )
        visible = {*self.module.names(), *KNOWN, *folding.BUILTINS, *(name for scope in self.scopes for name in scope)}
        return self.problem(node, f"`{node.id}` is not defined", did_you_mean(node.id, visible))

    def _attribute(self, node: ast.Attribute) -> Value:
        base = self.evaluate(node.value)
        if isinstance(base, Unknown):
            return UNKNOWN
        if isinstance(base, Reference):
            if base.kind == "module":
                path = f"{base.name}.{node.attr}"
                return reference_to(path)
            if base.kind == "construct" and base.name == "TTClock" and node.attr == "root":
                return Reference("construct", "TTClock.root")
            return self.problem(node, f"`{ast.unparse(node.value)}` has no attribute `{node.attr}` in a graph")
        if isinstance(base, Foreign):
            return base
        if isinstance(base, Arc):
            return self.problem(
                node,
                f"`.{node.attr}` of an arc: a graph does not look into values",
                f"write an SQ that returns `value.{node.attr}`",
            )
        if isinstance(base, Constant) and isinstance(base.value, TTClock) and node.attr in ("name", "period", "epoch"):
            return Constant(getattr(base.value, node.attr))
        return self.problem(node, f"the attribute `.{node.attr}` of a constant has no meaning in a graph")

    # -- displays and comprehensions

    def _constant(self, node: ast.Constant) -> Data:
        return Constant(node.value)

    def _list(self, node: ast.List) -> Data:
        return Listing(self.elements(node.elts))

    def _tuple(self, node: ast.Tuple) -> Data:
        listing = Listing(self.elements(node.elts), is_tuple=True)
        lowered = self.lower(listing, node)
        return listing if lowered is None or isinstance(lowered, Unknown) else lowered

    def elements(self, nodes: Sequence[ast.expr]) -> list[Value]:
        """The values of a display's elements, starred ones in place."""
        values: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                values.extend(self.items(self.data(node.value), node) or [UNKNOWN])
            else:
                values.append(self.data(node))
        return values

    def _dict(self, node: ast.Dict) -> Data:
        operands: list[Data] = []
        places: list[ast.expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                return self.problem(value, "`**` in a dict display is not taken apart in a graph", "write out each key")
            operands += [self.data(key), self.data(value)]
            places += [key, value]
        return self._pairs(node, operands, places)

    def _pairs(self, node: ast.expr, operands: list[Data], places: list[ast.expr]) -> Data:
        lowered = [self.lower(operand, place) for operand, place in zip(operands, places, strict=True)]
        if all(isinstance(value, Constant) for value in lowered):
            constants = [value.value for value in lowered if isinstance(value, Constant)]
            return self.fold(node, lambda: dict(zip(constants[::2], constants[1::2], strict=True)))
        ports = [self.to_port(operand, place) for operand, place in zip(operands, places, strict=True)]
        return self.add("DICT", node, ports)

    def _set(self, node: ast.Set) -> Data:
        for element in node.elts:
            if isinstance(element, ast.Starred):
                return self.problem(
                    element, "`*` in a set display is not taken apart in a graph", "write out each element"
                )
        return self._elements_of_set(node, [self.data(element) for element in node.elts], node.elts)

    def _elements_of_set(self, node: ast.expr, operands: list[Data], places: Sequence[ast.expr]) -> Data:
        lowered = [self.lower(operand, place) for operand, place in zip(operands, places, strict=True)]
        if all(isinstance(value, Constant) for value in lowered):
            constants = [value.value for value in lowered if isinstance(value, Constant)]
            return self.fold(node, lambda: set(constants))
        ports = [self.to_port(operand, place) for operand, place in zip(operands, places, strict=True)]
        return self.add("SET", node, ports)

    def _list_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Data:
        values: list[Value] = []
        self._comprehend(node.generators, lambda: values.append(self.data(node.elt)))
        return Listing(values)

    def _set_comprehension(self, node: ast.SetComp) -> Data:
        values: list[Data] = []
        self._comprehend(node.generators, lambda: values.append(self.data(node.elt)))
        return self._elements_of_set(node, values, [node.elt] * len(values))

    def _dict_comprehension(self, node: ast.DictComp) -> Data:
        values: list[Data] = []
        self._comprehend(node.generators, lambda: values.extend((self.data(node.key), self.data(node.value))))
        return self._pairs(node, values, [node.key, node.value] * (len(values) // 2))

    def _comprehend(self, generators: Sequence[ast.comprehension], each: Callable[[], None]) -> None:
        with self.inner_scope():
            self._generate(generators, each)

    def _generate(self, generators: Sequence[ast.comprehension], each: Callable[[], None]) -> None:
        if not generators:
            each()
            return
        first = generators[0]
        if first.is_async:
            self.problem(first.target, "`async for` has no meaning in a graph", "write a plain comprehension")
        for item in self.loop_items(first.iter):
            self.spend(first.iter)
            self.assign(first.target, item)
            if all(self._chosen(condition) for condition in first.ifs):
                self._generate(generators[1:], each)

    def _chosen(self, condition: ast.expr) -> bool:
        truth = self.truth(self.data(condition), condition)
        if truth is None:
            self.problem(
                condition,
                "the condition of a comprehension must be known at compile time, but this is an arc",
                "write `x if condition else y` for its element",
            )
        return truth is not False

    def loop_items(self, node: ast.expr) -> list[Value]:
        """The items of a loop; after a problem, one that is unknown, so that the loop's body is seen."""
        value = self.data(node)
        if isinstance(value, Unknown):
            return [UNKNOWN]
        items = self.items(value, node)
        return [UNKNOWN] if items is None else items

    # -- binding targets

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target of an assignment or loop, taking the value apart as the target says."""
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._assign_elements(target, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value)
        elif isinstance(target, ast.Subscript):
            self._assign_item(target, value)
        else:
            self.problem(target, "an attribute cannot be set in a graph", "bind a name")

    def _assign_elements(self, target: ast.Tuple | ast.List, value: Value) -> None:
        if isinstance(value, Arc):
            self._unpack_arc(target, value)
            return
        items: list[Value] | None = None
        if isinstance(value, Constant | Listing):
            items = self.items(value, target)
        if items is None:
            for element in target.elts:
                self.assign(element, UNKNOWN)
            return
        starred = [index for index, element in enumerate(target.elts) if isinstance(element, ast.Starred)]
        wanted = len(target.elts) - len(starred)
        if len(items) < wanted or (not starred and len(items) > wanted):
            at_least = "at least " if starred else ""
            self.problem(target, f"{at_least}{wanted} values are needed to unpack here, but there are {len(items)}")
            for element in target.elts:
                self.assign(element, UNKNOWN)
            return
        if starred:
            split, after = starred[0], len(target.elts) - starred[0] - 1
            middle = Listing(items[split : len(items) - after])
            items = [*items[:split], middle, *items[len(items) - after :]]
        for element, item in zip(target.elts, items, strict=True):
            self.assign(element, item)

    def _assign_item(self, target: ast.Subscript, value: Value) -> None:
        container, index = self.data(target.value), self.data(target.slice)
        if isinstance(container, Unknown) or isinstance(index, Unknown):
            return
        if not isinstance(container, Listing) or container.is_tuple:
            self.problem(
                target, "only an item of a compile-time list can be set in a graph", "write an SQ that does it"
            )
        elif not (isinstance(index, Constant) and isinstance(index.value, int)):
            self.problem(target.slice, "the index must be an int that is known at compile time")
        elif self.may_change(container, target):
            try:
                container.items[index.value] = value
            except IndexError:
                self.problem(
                    target.slice,
                    f"index {folding.shown(index.value)} is out of range: the list has {len(container.items)} items",
                )

    def may_change(self, listing: Listing, place: Place) -> bool:
        """Whether a compile-time list can be changed here; if not, a problem is reported."""
        if listing.frozen:
            self.problem(place, "this list is part of a constant and cannot be changed", "copy it: `list(...)`")
            return False
        if self.network is not None and self.network.branch is not None:
            self.problem(
                place,
                "a list cannot be changed in a conditional expression, because it is changed at compile time",
                "write `xs.append(a if c else b)`",
            )
            return False
        return True

    def _unpack_arc(self, target: ast.Tuple | ast.List, arc: Arc) -> None:
        shape = self._shape(target)
        if shape is None or self.network is None:
            for name in [n for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]:
                self.bind(name.id, UNKNOWN)
            return
        node = arc.source
        if not isinstance(node, Node) or arc.path or arc.kind == "tag":
            node = self.network.add("UNPACK", target, [Port("0", arc)])
        sq = node.sq
        if sq.unpack is not None and sq.unpack != shape:
            self.problem(target, f"the value of {sq.name} is unpacked in two different ways", "unpack it once")
        sq.unpack = shape
        self._bind_elements(target, node, ())

    def _shape(self, target: ast.Tuple | ast.List) -> list[Any] | None:
        shape: list[Any] = []
        for element in target.elts:
            if isinstance(element, ast.Starred):
                self.problem(
                    element, "`*` takes a number of elements that is not known at compile time", "name each element"
                )
                return None
            inner = self._shape(element) if isinstance(element, ast.Tuple | ast.List) else None
            if inner is None and isinstance(element, ast.Tuple | ast.List):
                return None
            shape.append(inner)
        if not shape:
            self.problem(target, "an SQ's value is unpacked into at least one name")
            return None
        return shape

    def _bind_elements(self, target: ast.Tuple | ast.List, node: Node, path: tuple[int, ...]) -> None:
        for index, element in enumerate(target.elts):
            if isinstance(element, ast.Tuple | ast.List):
                self._bind_elements(element, node, (*path, index))
            else:
                self.assign(element, node.element((*path, index)))

    # -- operators

    def _binary(self, node: ast.BinOp) -> Data:
        # The left side can be a thousand additions deep; it is walked without recursion.
        spine: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            spine.append(left)
            left = left.left
        value = self.data(left)
        for operation in reversed(spine):
            value = self.binary(operation, operation.op, value, self.data(operation.right))
        return value

    def binary(self, place: ast.expr | ast.stmt, operator: ast.operator, left: Data, right: Data) -> Data:
        """`left operator right`."""
        if isinstance(operator, ast.MatMult):
            return self.problem(place, "`@` is no operator of a graph", "write an SQ that returns `a @ b`")
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        joined = self._list_operation(place, operator, left, right)
        if joined is not None:
            return joined
        row = OPERATORS[type(operator)]
        a, b = self.lower(left, place), self.lower(right, place)
        if isinstance(a, Constant) and isinstance(b, Constant):
            return self.fold(place, row.compute, a.value, b.value)
        return self.add(row.name, place, [self.to_port(left, place), self.to_port(right, place)])

    def _list_operation(self, place: Place, operator: ast.operator, left: Data, right: Data) -> Data | None:
        if isinstance(operator, ast.Add):
            a, b = _as_tuple(left, right), _as_tuple(right, left)
            if isinstance(a, Listing) and isinstance(b, Listing) and a.is_tuple == b.is_tuple:
                self.spend(place, len(a.items) + len(b.items))
                return Listing([*a.items, *b.items], is_tuple=a.is_tuple)
        elif isinstance(operator, ast.Mult):
            for listing, times in ((left, right), (right, left)):
                if isinstance(listing, Listing) and isinstance(times, Constant) and isinstance(times.value, int):
                    self.spend(place, len(listing.items) * max(times.value, 0))
                    return Listing(listing.items * times.value, is_tuple=listing.is_tuple)
        return None

    def _unary(self, node: ast.UnaryOp) -> Data:
        value = self.data(node.operand)
        if isinstance(value, Listing) and isinstance(node.op, ast.Not):
            return Constant(not value.items)
        row = OPERATORS[type(node.op)]
        lowered = self.lower(value, node.operand)
        if isinstance(lowered, Unknown):
            return UNKNOWN
        if lowered is not None:
            return self.fold(node, row.compute, lowered.value)
        return self.add(row.name, node, [self.to_port(value, node.operand)])

    def _boolean(self, node: ast.BoolOp) -> Data:
        values = [self.data(operand) for operand in node.values]
        name = "AND" if isinstance(node.op, ast.And) else "OR"
        return self._join(name, node, values, node.values)

    def _join(self, name: str, node: ast.expr, values: Sequence[Data], places: Sequence[ast.expr]) -> Data:
        lowered = [self.lower(value, place) for value, place in zip(values, places, strict=True)]
        if any(isinstance(value, Unknown) for value in lowered):
            return UNKNOWN
        if any(value is None for value in lowered):
            return self.add(
                name, node, [self.to_port(value, place) for value, place in zip(values, places, strict=True)]
            )
        for value in values:
            truth = self.truth(value, node)
            if isinstance(truth, Unknown) or truth is (name == "OR"):
                return UNKNOWN if isinstance(truth, Unknown) else value
        return values[-1]

    def _compare(self, node: ast.Compare) -> Data:
        places = [node.left, *node.comparators]
        values = [self.data(place) for place in places]
        links: list[Data] = []
        for index, operator in enumerate(node.ops):
            links.append(self._link(node, operator, values[index : index + 2], places[index : index + 2]))
        return links[0] if len(links) == 1 else self._join("AND", node, links, [node] * len(links))

    def _link(self, node: ast.Compare, operator: ast.cmpop, values: list[Data], places: list[ast.expr]) -> Data:
        row = OPERATORS[type(operator)]
        a, b = (self.lower(value, place) for value, place in zip(values, places, strict=True))
        if isinstance(a, Unknown) or isinstance(b, Unknown):
            return UNKNOWN
        if a is not None and b is not None:
            return self.fold(node, row.compute, a.value, b.value)
        return self.add(
            row.name, node, [self.to_port(value, place) for value, place in zip(values, places, strict=True)]
        )

    def _conditional(self, node: ast.IfExp) -> Value:
        test = self.data(node.test)
        truth = self.truth(test, node.test)
        if isinstance(truth, bool):
            return self.evaluate(node.body if truth else node.orelse)
        if not isinstance(test, Arc) or self.network is None:
            self.data(node.body)
            self.data(node.orelse)
            return UNKNOWN
        network = self.network
        outer, condition = network.branch, network.here(test, node.test)
        values: list[Arc | Unknown] = []
        for when, side in ((True, node.body), (False, node.orelse)):
            network.branch = Branch(outer, condition, when)
            try:
                value = self.operand(side)
                if isinstance(value, Constant):
                    instruction = {"const": encode_constant(value.value)}
                    trigger = Port("trigger", network.trigger(side))
                    value = network.add("CONST", side, [trigger], instruction=instruction).whole
                values.append(network.here(value, side) if isinstance(value, Arc) else UNKNOWN)
            finally:
                network.branch = outer
        yes, no = values
        if isinstance(yes, Unknown) or isinstance(no, Unknown):
            return UNKNOWN
        return network.join(node, yes, no).whole

    def _subscript(self, node: ast.Subscript) -> Data:
        value = self.data(node.value)
        if isinstance(node.slice, ast.Slice):
            index = self._slice(node.slice)
            if isinstance(index, list):
                ports = [self.to_port(value, node.value), *index]
                return self._slice_sq(node, ports)
        else:
            index = self.data(node.slice)
        if isinstance(value, Unknown) or isinstance(index, Unknown):
            return UNKNOWN
        key = self.lower(index, node.slice)
        if isinstance(value, Listing) and isinstance(key, Constant):
            if not isinstance(key.value, int | slice):
                return self.problem(node.slice, f"the index of a list is an int, not {folding.shown(key.value)}")
            try:
                if isinstance(key.value, slice):
                    return Listing(value.items[key.value], is_tuple=value.is_tuple)
                item = value.items[key.value]
            except IndexError:
                return self.problem(
                    node.slice, f"index {folding.shown(key.value)} is out of range: there are {len(value.items)} items"
                )
            except (TypeError, ValueError) as error:
                return self.problem(node.slice, f"{type(error).__name__}: {error}")
            return item if isinstance(item, Constant | Arc | Listing) else UNKNOWN
        container = self.lower(value, node.value)
        if isinstance(container, Constant) and isinstance(key, Constant):
            try:
                return self.lift(folding.fold(lambda a, b: a[b], container.value, key.value), frozen=True)
            except CannotFold as error:
                return self.problem(node, str(error))
        return self.add("GETITEM", node, [self.to_port(value, node.value), self.to_port(index, node.slice)])

    def _slice(self, node: ast.Slice) -> Data | list[Arc | Constant | Unknown]:
        """The slice if its bounds are known, else the three bounds."""
        bounds = [
            Constant(None) if part is None else self.operand(part) for part in (node.lower, node.upper, node.step)
        ]
        if all(isinstance(bound, Constant) for bound in bounds):
            return Constant(slice(*(bound.value for bound in bounds if isinstance(bound, Constant))))
        return bounds

    def _slice_sq(self, node: ast.Subscript, operands: list[Arc | Constant | Unknown]) -> Data:
        known = [operand for operand in operands if not isinstance(operand, Unknown)]
        if len(known) < len(operands) or self.network is None:
            return UNKNOWN
        names = ("value", "lower", "upper", "step")
        ports = [Port(name, operand) for name, operand in zip(names, known, strict=True)]
        return self.network.add("GETITEM", node, ports, instruction={"slice": True}).whole

    def _slice_element(self, node: ast.Slice) -> Data:
        value = self._slice(node)
        if isinstance(value, list):
            return self.problem(
                node.lower or node.upper or node.step or ast.Name("", lineno=1, col_offset=0),
                "a slice in a tuple index must be known at compile time",
                "write an SQ that does it",
            )
        return value

    def _f_string(self, node: ast.JoinedStr) -> Data:
        parts: list[str] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            assert isinstance(part, ast.FormattedValue)
            value = self.known(self.data(part.value), part.value, "what an f-string of a graph shows")
            spec = self._f_string(part.format_spec) if isinstance(part.format_spec, ast.JoinedStr) else Constant("")
            if not isinstance(value, Constant) or not isinstance(spec, Constant):
                return UNKNOWN
            try:
                parts.append(folding.fold_format(value.value, part.conversion, spec.value))
            except CannotFold as error:
                return self.problem(part.value, str(error))
        self.spend(node, sum(map(len, parts)) // 1000)
        return Constant("".join(parts))

    def _call(self, node: ast.Call) -> Data:
        return self.calls.call(node)

    # -- helpers of this file

    def _truth_of(self, value: Constant | Unknown, place: Place) -> bool | Unknown:
        if isinstance(value, Unknown):
            return UNKNOWN
        folded = self.fold(place, bool, value.value)
        return folded.value if isinstance(folded, Constant) else UNKNOWN

    def _listing_sq(self, listing: Listing, place: Place) -> Arc | Unknown:
        """The `LIST` or `TUPLE` SQ of a compile-time list; a tuple cannot change, so it becomes one only once."""
        if self.network is None:
            return UNKNOWN
        if listing.arc is not None and self.network.is_visible(listing.arc[1]):
            return listing.arc[0]
        items = [item for item in listing.items if isinstance(item, Constant | Arc | Listing | Unknown)]
        made = self.add("TUPLE" if listing.is_tuple else "LIST", place, [self.to_port(item, place) for item in items])
        if not isinstance(made, Arc):
            return UNKNOWN
        if listing.is_tuple:
            listing.arc = (made, self.network.branch)
        return made


def reference_to(path: str) -> Reference:
    """What a dotted path of ours refers to."""
    construct = construct_at(path)
    if construct is None:
        return Reference("module", path)
    return Reference("instruction" if construct in BY_NAME else "construct", construct)


def _as_tuple(value: Data, other: Data) -> Data:
    """A constant tuple as a `Listing` where it meets one."""
    if isinstance(value, Constant) and isinstance(value.value, tuple) and isinstance(other, Listing):
        return Listing([Constant(item) for item in value.value], is_tuple=True)
    return value


def _refused_expression(node: ast.expr) -> tuple[str, str]:
    match node:
        case ast.Lambda():
            return "a `lambda` has no meaning in a graph", "write a function with @SQify"
        case ast.NamedExpr():
            return "`:=` has no meaning in a graph", "bind the name in a statement of its own"
        case ast.Await():
            return "`await` has no meaning in a graph", "an SQ is called without `await`"
        case ast.Yield() | ast.YieldFrom():
            return "`yield` has no meaning in a graph", "write `return`; every arc that nobody consumes is an output"
        case ast.Starred():
            return "`*` stands in a call, a list or a tuple only", ""
        case _:
            return f"`{type(node).__name__}` has no meaning in a graph", "put it into an SQ"


_EVALUATE: dict[type[ast.expr], Callable[[Expressions, Any], Value]] = {
    ast.Name: Expressions._name,
    ast.Attribute: Expressions._attribute,
    ast.Constant: Expressions._constant,
    ast.List: Expressions._list,
    ast.Tuple: Expressions._tuple,
    ast.Dict: Expressions._dict,
    ast.Set: Expressions._set,
    ast.ListComp: Expressions._list_comprehension,
    ast.GeneratorExp: Expressions._list_comprehension,
    ast.SetComp: Expressions._set_comprehension,
    ast.DictComp: Expressions._dict_comprehension,
    ast.BinOp: Expressions._binary,
    ast.UnaryOp: Expressions._unary,
    ast.BoolOp: Expressions._boolean,
    ast.Compare: Expressions._compare,
    ast.IfExp: Expressions._conditional,
    ast.Subscript: Expressions._subscript,
    ast.Slice: Expressions._slice_element,
    ast.JoinedStr: Expressions._f_string,
    ast.Call: Expressions._call,
}
