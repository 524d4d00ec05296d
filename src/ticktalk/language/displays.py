"""Displays and comprehensions: lists, tuples, sets and dicts, and strings with values in them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from ticktalk.language import folding
from ticktalk.language.draft import Constant
from ticktalk.language.folding import CannotFold
from ticktalk.language.meanings import UNKNOWN, Listing, Meaning, Unknown, Value
from ticktalk.language.targets import Targets


class Displays(Targets):
    """Evaluates displays; a comprehension binds its targets in a scope of its own."""

    def _constant(self, node: ast.Constant) -> Value:
        return Constant(node.value)

    def _list(self, node: ast.List) -> Value:
        return Listing(self.elements(node.elts))

    def _tuple(self, node: ast.Tuple) -> Value:
        listing = Listing(self.elements(node.elts), is_tuple=True)
        lowered = self.lower(listing, node)
        return listing if lowered is None or isinstance(lowered, Unknown) else lowered

    def elements(self, nodes: Sequence[ast.expr]) -> list[Meaning]:
        """The values of a display's elements, starred ones in place."""
        values: list[Meaning] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                items = self.items(self.data(node.value), node)
                values.extend([UNKNOWN] if items is None else items)
            else:
                values.append(self.data(node))
        return values

    def _dict(self, node: ast.Dict) -> Value:
        operands: list[Value] = []
        places: list[ast.expr] = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                return self.problem(value, "`**` in a dict display is not taken apart in a graph", "write out each key")
            operands += [self.data(key), self.data(value)]
            places += [key, value]
        return self.computed("DICT", node, operands, places)

    def _set(self, node: ast.Set) -> Value:
        for element in node.elts:
            if isinstance(element, ast.Starred):
                return self.problem(
                    element, "`*` in a set display is not taken apart in a graph", "write out each element"
                )
        return self.computed("SET", node, [self.data(element) for element in node.elts], node.elts)

    def _list_comprehension(self, node: ast.ListComp | ast.GeneratorExp) -> Value:
        values: list[Meaning] = []
        self._comprehend(node.generators, lambda: values.append(self.data(node.elt)))
        return Listing(values)

    def _set_comprehension(self, node: ast.SetComp) -> Value:
        values: list[Value] = []
        self._comprehend(node.generators, lambda: values.append(self.data(node.elt)))
        return self.computed("SET", node, values, [node.elt] * len(values))

    def _dict_comprehension(self, node: ast.DictComp) -> Value:
        values: list[Value] = []
        self._comprehend(node.generators, lambda: values.extend((self.data(node.key), self.data(node.value))))
        return self.computed("DICT", node, values, [node.key, node.value] * (len(values) // 2))

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

    def _f_string(self, node: ast.JoinedStr) -> Value:
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
