"""Displays, comprehensions and strings with values in them; and the targets of assignments and loops."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from ticktalk.language import folding
from ticktalk.language.evaluation import UNKNOWN, Attempts, Evaluation, Listing, NoValue, Operand, Unknown, Value
from ticktalk.language.graph_draft import Arc, Constant, PortDraft, SQDraft


class Displays(Evaluation):
    """Evaluates displays, and binds targets: a comprehension binds its own in a scope of its own."""

    def visit_Constant(self, node: ast.Constant) -> Value:
        return Constant(node.value)

    def visit_List(self, node: ast.List) -> Value:
        return Listing(self._elements(node.elts))

    def visit_Tuple(self, node: ast.Tuple) -> Value:
        listing = Listing(self._elements(node.elts), is_tuple=True)
        lowered = self.lower(listing, node)
        return lowered if isinstance(lowered, Constant) else listing

    def _elements(self, nodes: Sequence[ast.expr]) -> list[Value]:
        values: list[Value] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                values.extend(self.items_seen(self.data(node.value), node))
            else:
                values.append(self.data(node))
        return values

    def visit_Dict(self, node: ast.Dict) -> Value:
        operands: list[Operand] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                operands += [(self.lift(each), value) for item in self._dict_items(value) for each in item]
            else:
                operands += [(self.data(key), key), (self.data(value), value)]
        return self.computed("DICT", node, operands)

    def _dict_items(self, node: ast.expr) -> list[tuple[Any, Any]]:
        """The items of a dict that stands behind `**` in a dict display."""
        found = self.known(self.data(node), node, "what `**` takes apart")
        if not isinstance(found, dict):
            raise self.refused(node, f"`**` takes a dict, not {folding.shown(found)}")
        self.spend(node, len(found))
        return list(found.items())

    def visit_Set(self, node: ast.Set) -> Value:
        return self.computed("SET", node, [(value, node) for value in self._elements(node.elts)])

    def visit_ListComp(self, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp) -> Value:
        elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        operands: list[Operand] = []
        self.scopes.append({})
        try:
            self._generate(node.generators, lambda: operands.extend((self.data(each), each) for each in elements))
        finally:
            self.scopes.pop()
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            return Listing([value for value, _ in operands])
        return self.computed("SET" if isinstance(node, ast.SetComp) else "DICT", node, operands)

    visit_GeneratorExp = visit_SetComp = visit_DictComp = visit_ListComp

    def _generate(self, generators: Sequence[ast.comprehension], each: Callable[[], None]) -> None:
        if not generators:
            each()
            return
        first = generators[0]
        if first.is_async:
            self.problems.report(first.target, "`async for` has no meaning in a graph", "write a plain comprehension")
        for item in self.items_seen(self.data(first.iter), first.iter):
            self.spend(first.iter)
            self.assign(first.target, item)
            if all(self._chosen(condition) for condition in first.ifs):
                self._generate(generators[1:], each)

    def _chosen(self, condition: ast.expr) -> bool:
        value = self.data(condition)
        if isinstance(value, Arc):
            what = "the condition of a comprehension must be known at compile time, but this is an arc"
            self.problems.report(condition, what, "write `x if condition else y` for its element")
        return self.truth(value, condition) is not False

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Constant:
        parts: list[str] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
                continue
            assert isinstance(part, ast.FormattedValue)
            attempts, spec = Attempts(), Constant("")
            with attempts:
                shown = self.data(part.value)
                if self.lower(shown, part.value) is None:
                    what = "what an f-string of a graph shows must be known at compile time, but this is an arc"
                    raise self.refused(part.value, what, 'write `"{} m".format(a)`, or do this in the body of an SQ')
                value = self.known(shown, part.value, "what an f-string of a graph shows")
            with attempts:
                if isinstance(part.format_spec, ast.JoinedStr):
                    spec = self.visit_JoinedStr(part.format_spec)
            attempts.check()
            parts.append(self.compute(part.value, folding.fold_format, value, part.conversion, spec.value))
        self.spend(node, sum(map(len, parts)) // 1000)
        return Constant("".join(parts))

    # -- targets

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target of an assignment or loop, taking the value apart as the target says."""
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List):
            self._assign_elements(target, value)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, value)
        elif isinstance(target, ast.Subscript):
            with suppress(NoValue):
                self._assign_item(target, value)
        else:
            self.problems.report(target, "an attribute cannot be set in a graph", "bind a name")

    def _assign_elements(self, target: ast.Tuple | ast.List, value: Value) -> None:
        elements: Sequence[ast.expr] = target.elts
        starred = [index for index, element in enumerate(elements) if isinstance(element, ast.Starred)]
        wanted = len(elements) - len(starred)
        try:
            if isinstance(value, Arc):
                self._unpack_arc(target, value)
                return
            items = self.items(value, target)
            if len(items) < wanted or (not starred and len(items) > wanted):
                at_least = "at least " if starred else ""
                what = f"{at_least}{wanted} values are needed to unpack here, but there are {len(items)}"
                raise self.refused(target, what)
        except NoValue:
            items = [UNKNOWN] * len(elements)
        else:
            if starred:
                split, after = starred[0], len(elements) - starred[0] - 1
                middle = Listing(items[split : len(items) - after])
                items = [*items[:split], middle, *items[len(items) - after :]]
        for element, item in zip(elements, items, strict=True):
            self.assign(element, item)

    def _assign_item(self, target: ast.Subscript, value: Value) -> None:
        container, index = self.data(target.value), self.data(target.slice)
        if isinstance(container, Unknown) or isinstance(index, Unknown):
            return
        if not isinstance(container, Listing) or container.is_tuple:
            what = "only an item of a compile-time list can be set in a graph"
            if isinstance(target.value, ast.Name):
                self.bind(target.value.id, UNKNOWN)
            raise self.refused(target, what, "bind the value to a name, add it to a list, or write an SQ that does it")
        if not (isinstance(index, Constant) and isinstance(index.value, int)):
            raise self.refused(target.slice, "the index must be an int that is known at compile time")
        self.check_change(container, target)
        try:
            container.items[index.value] = value
        except IndexError:
            shown = folding.shown(index.value)
            what = f"index {shown} is out of range: the list has {len(container.items)} items"
            raise self.refused(target.slice, what) from None

    def _unpack_arc(self, target: ast.Tuple | ast.List, arc: Arc) -> None:
        try:
            shape = self._shape(target)
        except NoValue:
            for name in ast.walk(target):
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                    self.bind(name.id, UNKNOWN)
            return
        node = arc.source
        # A deadline passes values on and looks at none: an SQ of its own opens them, which may fail as any.
        if not isinstance(node, SQDraft) or arc.path or arc.kind == "tag" or node.sq.trigger == "deadline":
            node = self.draft.add("UNPACK", target, [PortDraft("0", arc)])
        sq = node.sq
        if sq.unpack is not None and sq.unpack != shape:
            self.problems.report(target, f"the value of {sq.name} is unpacked in two different ways", "unpack it once")
        sq.unpack = shape
        if sq.file == self.draft.file:
            node.places[""] = target
        self._bind_elements(target, node, ())

    def _shape(self, target: ast.Tuple | ast.List) -> list[Any]:
        shape: list[Any] = []
        for element in target.elts:
            if isinstance(element, ast.Starred):
                what = "`*` takes a number of elements that is not known at compile time"
                raise self.refused(element, what, "name each element")
            shape.append(self._shape(element) if isinstance(element, ast.Tuple | ast.List) else None)
        if not shape:
            raise self.refused(target, "an SQ's value is unpacked into at least one name")
        return shape

    def _bind_elements(self, target: ast.Tuple | ast.List, node: SQDraft, path: tuple[int, ...]) -> None:
        for index, element in enumerate(target.elts):
            if isinstance(element, ast.Tuple | ast.List):
                self._bind_elements(element, node, (*path, index))
            else:
                self.assign(element, node.arc("value", (*path, index)))
