"""Operators, comparisons, conditions and subscripts: computed where all is known, else made into SQs."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from operator import getitem

from ticktalk.graph.constants import encode_constant
from ticktalk.language import folding
from ticktalk.language.draft import Arc, Branch, Constant, PortDraft
from ticktalk.language.evaluation import Attempts, Evaluation, Refused
from ticktalk.language.folding import OPERATORS
from ticktalk.language.meanings import UNKNOWN, Listing, Meaning, Unknown, Value


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
            right = self.data(operation.right)
            try:
                value = self.binary(operation, operation.op, value, right)
            except Refused:
                value = UNKNOWN
        return value

    def binary(self, place: ast.expr | ast.stmt, operator: ast.operator, left: Value, right: Value) -> Value:
        """`left operator right`."""
        if isinstance(operator, ast.MatMult):
            raise self.refused(place, "`@` is no operator of a graph", "write an SQ that returns `a @ b`")
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            raise Refused
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
        return self.computed(OPERATORS[type(operator)].name, place, [left, right], [place, place])

    def _unary(self, node: ast.UnaryOp) -> Value:
        value = self.data(node.operand)
        if isinstance(value, Listing) and isinstance(node.op, ast.Not):
            return Constant(not value.items)
        return self.computed(OPERATORS[type(node.op)].name, node, [value], [node.operand])

    def _boolean(self, node: ast.BoolOp) -> Value:
        name = "AND" if isinstance(node.op, ast.And) else "OR"
        return self._join(name, node, [self.data(operand) for operand in node.values], node.values)

    def _join(self, name: str, node: ast.expr, values: Sequence[Value], places: Sequence[ast.expr]) -> Value:
        lowered = [self.lower(value, place) for value, place in zip(values, places, strict=True)]
        if any(isinstance(value, Unknown) for value in lowered):
            raise Refused
        if None in lowered:
            return self.add(name, node, values, places)
        for value in values:
            truth = self.truth(value, node)
            if truth is None:
                raise Refused
            if truth is (name == "OR"):
                return value
        return values[-1]

    def _compare(self, node: ast.Compare) -> Value:
        places = [node.left, *node.comparators]
        values = [self.data(place) for place in places]
        links: list[Value] = []
        attempts = Attempts()
        for index, link in enumerate(node.ops):
            pair = values[index : index + 2]
            with attempts:
                if any(isinstance(value, Unknown) for value in pair):
                    raise Refused
                links.append(self.computed(OPERATORS[type(link)].name, node, pair, places[index : index + 2]))
        attempts.check()
        return links[0] if len(links) == 1 else self._join("AND", node, links, [node] * len(links))

    def _conditional(self, node: ast.IfExp) -> Meaning:
        test = self.data(node.test)
        truth = self.truth(test, node.test)
        if truth is not None:
            return self.evaluate(node.body if truth else node.orelse)
        if not isinstance(test, Arc):
            self.data(node.body)
            self.data(node.orelse)
            raise Refused
        draft = self.draft
        outer, condition = draft.branch, draft.here(test, node.test)
        values: list[Arc] = []
        attempts = Attempts()
        for when, side in ((True, node.body), (False, node.orelse)):
            draft.branch = Branch(outer, condition, when)
            try:
                with attempts:
                    value = self.operand(side)
                    if isinstance(value, Constant):
                        instruction = {"const": encode_constant(value.value)}
                        trigger = PortDraft("trigger", draft.trigger(side))
                        value = draft.add("CONST", side, [trigger], instruction=instruction).whole
                    values.append(draft.here(value, side))
            finally:
                draft.branch = outer
        attempts.check()
        return draft.join(node, *values).whole

    def _subscript(self, node: ast.Subscript) -> Value:
        value = self.data(node.value)
        index = self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.data(node.slice)
        if isinstance(index, list):
            names, places = ("value", "lower", "upper", "step"), [node.value] * 4
            return self.add("GETITEM", node, [value, *index], places, names, instruction={"slice": True})
        if isinstance(value, Unknown) or isinstance(index, Unknown):
            raise Refused
        key = self.lower(index, node.slice)
        if isinstance(value, Listing) and isinstance(key, Constant):
            if not isinstance(key.value, int | slice):
                raise self.refused(node.slice, f"the index of a list is an int, not {folding.shown(key.value)}")
            try:
                if isinstance(key.value, slice):
                    return Listing(value.items[key.value], is_tuple=value.is_tuple)
                return value.items[key.value]
            except IndexError:
                what = f"index {folding.shown(key.value)} is out of range: there are {len(value.items)} items"
                raise self.refused(node.slice, what) from None
            except (TypeError, ValueError) as error:
                raise self.refused(node.slice, f"{type(error).__name__}: {error}") from None
        container = self.lower(value, node.value)
        if isinstance(container, Constant) and isinstance(key, Constant):
            return self.lift(self.compute(node, folding.fold, getitem, container.value, key.value), frozen=True)
        return self.add("GETITEM", node, [value, index], [node.value, node.slice])

    def _slice(self, node: ast.Slice) -> Constant | list[Value]:
        """The slice if its bounds are known, else the three bounds."""
        bounds: list[Value] = [
            Constant(None) if part is None else self.port_seen(self.data(part), part)
            for part in (node.lower, node.upper, node.step)
        ]
        known = [bound.value for bound in bounds if isinstance(bound, Constant)]
        return Constant(slice(*known)) if len(known) == len(bounds) else bounds

    def _slice_element(self, node: ast.Slice) -> Value:
        value = self._slice(node)
        if isinstance(value, list):
            # A slice that is not known has a bound.
            place = node.lower or node.upper or node.step
            assert place is not None
            what = "a slice in a tuple index must be known at compile time"
            raise self.refused(place, what, "write an SQ that does it")
        return value


def _as_tuple(value: Value, other: Value) -> Value:
    """A constant tuple as a `Listing` where it meets one."""
    if isinstance(value, Constant) and isinstance(value.value, tuple) and isinstance(other, Listing):
        return Listing([Constant(item) for item in value.value], is_tuple=True)
    return value
