"""Operators, comparisons, conditions and subscripts: computed where all is known, else made into SQs."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ticktalk.graph.constants import encode_constant
from ticktalk.language import folding
from ticktalk.language.draft import Arc, Branch, Constant, PortDraft
from ticktalk.language.evaluation import Evaluation
from ticktalk.language.folding import OPERATORS, CannotFold
from ticktalk.language.meanings import UNKNOWN, Listing, Meaning, Unknown, Value
from ticktalk.problems import Place


class Operators(Evaluation):
    """Evaluates operators."""

    def _binary(self, node: ast.BinOp) -> Value:
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

    def binary(self, place: ast.expr | ast.stmt, operator: ast.operator, left: Value, right: Value) -> Value:
        """`left operator right`."""
        if isinstance(operator, ast.MatMult):
            return self.problem(place, "`@` is no operator of a graph", "write an SQ that returns `a @ b`")
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        joined = self._list_operation(place, operator, left, right)
        if joined is not None:
            return joined
        return self.computed(OPERATORS[type(operator)].name, place, [left, right], [place, place])

    def _list_operation(self, place: Place, operator: ast.operator, left: Value, right: Value) -> Value | None:
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

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.data(node.operand)
        if isinstance(value, Listing) and isinstance(node.op, ast.Not):
            return Constant(not value.items)
        return self.computed(OPERATORS[type(node.op)].name, node, [value], [node.operand])

    def _boolean(self, node: ast.BoolOp) -> Value:
        values = [self.data(operand) for operand in node.values]
        name = "AND" if isinstance(node.op, ast.And) else "OR"
        return self._join(name, node, values, node.values)

    def _join(self, name: str, node: ast.expr, values: Sequence[Value], places: Sequence[ast.expr]) -> Value:
        lowered = [self.lower(value, place) for value, place in zip(values, places, strict=True)]
        if any(isinstance(value, Unknown) for value in lowered):
            return UNKNOWN
        if any(value is None for value in lowered):
            return self.add(name, node, values, places)
        for value in values:
            truth = self.truth(value, node)
            if isinstance(truth, Unknown) or truth is (name == "OR"):
                return UNKNOWN if isinstance(truth, Unknown) else value
        return values[-1]

    def _compare(self, node: ast.Compare) -> Value:
        places = [node.left, *node.comparators]
        values = [self.data(place) for place in places]
        links: list[Value] = []
        for index, operator in enumerate(node.ops):
            links.append(self._link(node, operator, values[index : index + 2], places[index : index + 2]))
        return links[0] if len(links) == 1 else self._join("AND", node, links, [node] * len(links))

    def _link(self, node: ast.Compare, operator: ast.cmpop, values: list[Value], places: list[ast.expr]) -> Value:
        if any(isinstance(value, Unknown) for value in values):
            return UNKNOWN
        return self.computed(OPERATORS[type(operator)].name, node, values, places)

    def _conditional(self, node: ast.IfExp) -> Meaning:
        test = self.data(node.test)
        truth = self.truth(test, node.test)
        if isinstance(truth, bool):
            return self.evaluate(node.body if truth else node.orelse)
        if not isinstance(test, Arc) or self.draft is None:
            self.data(node.body)
            self.data(node.orelse)
            return UNKNOWN
        draft = self.draft
        outer, condition = draft.branch, draft.here(test, node.test)
        values: list[Arc | Unknown] = []
        for when, side in ((True, node.body), (False, node.orelse)):
            draft.branch = Branch(outer, condition, when)
            try:
                value = self.operand(side)
                if isinstance(value, Constant):
                    instruction = {"const": encode_constant(value.value)}
                    trigger = PortDraft("trigger", draft.trigger(side))
                    value = draft.add("CONST", side, [trigger], instruction=instruction).whole
                values.append(draft.here(value, side) if isinstance(value, Arc) else UNKNOWN)
            finally:
                draft.branch = outer
        yes, no = values
        if isinstance(yes, Unknown) or isinstance(no, Unknown):
            return UNKNOWN
        return draft.join(node, yes, no).whole

    def _subscript(self, node: ast.Subscript) -> Value:
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
        return self.add("GETITEM", node, [value, index], [node.value, node.slice])

    def _slice(self, node: ast.Slice) -> Value | list[Arc | Constant | Unknown]:
        """The slice if its bounds are known, else the three bounds."""
        bounds = [
            Constant(None) if part is None else self.operand(part) for part in (node.lower, node.upper, node.step)
        ]
        if all(isinstance(bound, Constant) for bound in bounds):
            return Constant(slice(*(bound.value for bound in bounds if isinstance(bound, Constant))))
        return bounds

    def _slice_sq(self, node: ast.Subscript, operands: list[Arc | Constant | Unknown]) -> Value:
        known = [operand for operand in operands if not isinstance(operand, Unknown)]
        if len(known) < len(operands) or self.draft is None:
            return UNKNOWN
        names = ("value", "lower", "upper", "step")
        ports = [PortDraft(name, operand) for name, operand in zip(names, known, strict=True)]
        return self.draft.add("GETITEM", node, ports, instruction={"slice": True}).whole

    def _slice_element(self, node: ast.Slice) -> Value:
        value = self._slice(node)
        if isinstance(value, list):
            return self.problem(
                node.lower or node.upper or node.step or ast.Name("", lineno=1, col_offset=0),
                "a slice in a tuple index must be known at compile time",
                "write an SQ that does it",
            )
        return value


def _as_tuple(value: Value, other: Value) -> Value:
    """A constant tuple as a `Listing` where it meets one."""
    if isinstance(value, Constant) and isinstance(value.value, tuple) and isinstance(other, Listing):
        return Listing([Constant(item) for item in value.value], is_tuple=True)
    return value
