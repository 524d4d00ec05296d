"""Targets of assignments and loops: names, elements of a value that is unpacked, items of compile-time lists."""

from __future__ import annotations

import ast
from typing import Any

from ticktalk.language import folding
from ticktalk.language.draft import Arc, Constant, PortDraft, SQDraft
from ticktalk.language.evaluation import Evaluation
from ticktalk.language.meanings import UNKNOWN, Listing, Meaning, Unknown


class Targets(Evaluation):
    """Binds targets."""

    def assign(self, target: ast.expr, value: Meaning) -> None:
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

    def _assign_elements(self, target: ast.Tuple | ast.List, value: Meaning) -> None:
        if isinstance(value, Arc):
            self._unpack_arc(target, value)
            return
        items: list[Meaning] | None = None
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

    def _assign_item(self, target: ast.Subscript, value: Meaning) -> None:
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

    def _unpack_arc(self, target: ast.Tuple | ast.List, arc: Arc) -> None:
        shape = self._shape(target)
        if shape is None or self.draft is None:
            for name in [n for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]:
                self.bind(name.id, UNKNOWN)
            return
        node = arc.source
        if not isinstance(node, SQDraft) or arc.path or arc.kind == "tag":
            node = self.draft.add("UNPACK", target, [PortDraft("0", arc)])
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

    def _bind_elements(self, target: ast.Tuple | ast.List, node: SQDraft, path: tuple[int, ...]) -> None:
        for index, element in enumerate(target.elts):
            if isinstance(element, ast.Tuple | ast.List):
                self._bind_elements(element, node, (*path, index))
            else:
                self.assign(element, node.arc("value", (*path, index)))
