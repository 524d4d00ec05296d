"""Operators, comparisons, conditions and subscripts: computed where all is known, else made into SQs."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from operator import getitem

from ticktalk.graph.constants import encode_constant
from ticktalk.language import folding
from ticktalk.language.evaluation import Attempts, Evaluation, Listing, Meaning, NoValue, Operand, Unknown, Value
from ticktalk.language.folding import OPERATORS
from ticktalk.language.graph_draft import Arc, Branch, Constant, PortDraft


class Operators(Evaluation):
    """Evaluates operators."""

    def visit_BinOp(self, node: ast.BinOp) -> Value:
        # The left side can be a thousand additions deep; it is walked without recursion.
        spine: list[ast.BinOp] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            spine.append(left)
            left = left.left
        value = self.data(left)
        for operation in reversed(spine):
            right = self.data(operation.right)
            value = self.seen(self.binary, operation, operation.op, value, right)
        return value

    def binary(self, place: ast.expr | ast.stmt, operator: ast.operator, left: Value, right: Value) -> Value:
        """`left operator right`."""
        if isinstance(operator, ast.MatMult):
            raise self.refused(place, "`@` is no operator of a graph", "write an SQ that returns `a @ b`")
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            raise NoValue
        if isinstance(operator, ast.Add):
            a, b = _as_tuple(left, right), _as_tuple(right, left)
            if isinstance(a, Listing) and isinstance(b, Listing) and a.is_tuple == b.is_tuple:
                self.spend(place, len(a.items) + len(b.items))
                return Listing([*a.items, *b.items], is_tuple=a.is_tuple)
            for tag, ticks in ((left, right), (right, left)):
                if isinstance(tag, Arc) and tag.kind == "tag" and isinstance(ticks, Constant):
                    self.doubt_unit(place, ticks.value, f"{folding.shown(ticks.value)} added to a tag")
        elif isinstance(operator, ast.Mult):
            for listing, times in ((left, right), (right, left)):
                if isinstance(listing, Listing) and isinstance(times, Constant) and isinstance(times.value, int):
                    self.spend(place, len(listing.items) * max(times.value, 0))
                    return Listing(listing.items * times.value, is_tuple=listing.is_tuple)
        return self.computed(OPERATORS[type(operator)].name, place, [(left, place), (right, place)])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Value:
        value = self.data(node.operand)
        if isinstance(value, Listing) and isinstance(node.op, ast.Not):
            return Constant(not value.items)
        return self.computed(OPERATORS[type(node.op)].name, node, [(value, node.operand)])

    def visit_BoolOp(self, node: ast.BoolOp) -> Value:
        name = "AND" if isinstance(node.op, ast.And) else "OR"
        return self._join(name, node, [(self.data(operand), operand) for operand in node.values])

    def _join(self, name: str, node: ast.expr, operands: Sequence[Operand]) -> Value:
        lowered = [self.lower(*operand) for operand in operands]
        if any(isinstance(value, Unknown) for value in lowered):
            raise NoValue
        if None in lowered:
            return self.add(name, node, operands)
        for value, _ in operands:
            truth = self.truth(value, node)
            if truth is None:
                raise NoValue
            if truth is (name == "OR"):
                return value
        return operands[-1][0]

    def visit_Compare(self, node: ast.Compare) -> Value:
        operands = [(self.data(place), place) for place in (node.left, *node.comparators)]
        links: list[Operand] = []
        attempts = Attempts()
        for link, left, right in zip(node.ops, operands, operands[1:], strict=False):
            with attempts:
                if isinstance(left[0], Unknown) or isinstance(right[0], Unknown):
                    raise NoValue
                links.append((self.computed(OPERATORS[type(link)].name, node, [left, right]), node))
        attempts.check()
        return links[0][0] if len(links) == 1 else self._join("AND", node, links)

    def visit_IfExp(self, node: ast.IfExp) -> Meaning:
        test = self.data(node.test)
        truth = self.truth(test, node.test)
        if truth is not None:
            return self.evaluate(node.body if truth else node.orelse)
        if not isinstance(test, Arc):
            self.data(node.body)
            self.data(node.orelse)
            raise NoValue
        draft = self.draft
        outer, condition = draft.branch, draft.here(test, node.test)
        values: list[Arc] = []
        attempts = Attempts()
        for when, side in ((True, node.body), (False, node.orelse)):
            draft.branch = Branch(outer, condition, when)
            try:
                with attempts:
                    value = self.to_port(self.data(side), side)
                    if isinstance(value, Constant):
                        instruction = {"const": encode_constant(value.value)}
                        trigger = PortDraft("trigger", draft.trigger(side))
                        value = draft.add("CONST", side, [trigger], instruction=instruction).whole
                    values.append(draft.here(value, side))
            finally:
                draft.branch = outer
        attempts.check()
        return draft.join(node, *values).whole

    def visit_Subscript(self, node: ast.Subscript) -> Value:
        value = self.data(node.value)
        index = self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.data(node.slice)
        if isinstance(index, list):
            operands = [(each, node.value) for each in (value, *index)]
            return self.add("GETITEM", node, operands, ("value", "lower", "upper", "step"), instruction={"slice": True})
        if isinstance(value, Unknown) or isinstance(index, Unknown):
            raise NoValue
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
        return self.add("GETITEM", node, [(value, node.value), (index, node.slice)])

    def _slice(self, node: ast.Slice) -> Constant | list[Value]:
        """The slice if its bounds are known, else the three bounds."""
        bounds: list[Value] = [
            Constant(None) if part is None else self.seen(self.to_port, self.data(part), part)
            for part in (node.lower, node.upper, node.step)
        ]
        known = [bound.value for bound in bounds if isinstance(bound, Constant)]
        return Constant(slice(*known)) if len(known) == len(bounds) else bounds

    def visit_Slice(self, node: ast.Slice) -> Value:
        value = self._slice(node)
        if isinstance(value, list):
            place = node.lower or node.upper or node.step
            assert place is not None, "a slice that is not known has a bound"
            what = "a slice in a tuple index must be known at compile time"
            raise self.refused(place, what, "write an SQ that does it")
        return value


def _as_tuple(value: Value, other: Value) -> Value:
    """A constant tuple as a `Listing` where it meets one."""
    if isinstance(value, Constant) and isinstance(value.value, tuple) and isinstance(other, Listing):
        return Listing([Constant(item) for item in value.value], is_tuple=True)
    return value
