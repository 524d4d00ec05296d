"""Calls of Python's builtins, and of methods of constants and compile-time lists.

They are computed at compile time. A builtin of an arc's value becomes an SQ.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ticktalk.instructions import OF_PYTHON
from ticktalk.language import folding
from ticktalk.language.call_arguments import Argument, Arguments
from ticktalk.language.evaluation import UNKNOWN, Attempts, Listing, NoValue, Unknown, Value
from ticktalk.language.graph_draft import Arc, Constant, PortDraft
from ticktalk.time import TTClock

_LIST_METHODS = {
    "append": (1, 1), "clear": (0, 0), "copy": (0, 0), "extend": (1, 1), "insert": (2, 2), "pop": (0, 1),
    "reverse": (0, 0),
}  # fmt: skip
"""Methods of a compile-time list, with the least and the most arguments of each."""

_OF_LISTS = frozenset({"len", "zip", "enumerate", "reversed", "list", "tuple", "bool"})
"""Builtins that handle the items of a compile-time list without looking into them: items may be arcs."""

_TAKE_KEYS = frozenset({"max", "min", "sorted"})
"""Builtins that call a function by which they compare."""


def in_a_body(builtin: str) -> str:
    """The remedy for a builtin that a graph has not."""
    return f"write a function with @SQify whose body has `{builtin}`, and call that"


class BuiltinCalls(Arguments):
    """Computes calls of builtins and methods."""

    def builtin(self, node: ast.Call, name: str) -> Value:
        """The value of the call of a builtin."""
        arguments = self.arguments_of(node)
        keys = [each for each in arguments if each.keyword and each.keyword.arg == "key" and name in _TAKE_KEYS]
        keys = [each for each in keys if not isinstance(each.place, ast.Constant)]
        self.evaluate_all([each for each in arguments if each not in keys])
        if keys:
            what = f"the key of `{name}` is a function, which is no value"
            raise self.refused(keys[0].where, what, "write an SQ that does it")
        if any(isinstance(argument.value, Unknown) for argument in arguments):
            raise NoValue
        if name in _OF_LISTS and any(isinstance(argument.value, Listing) for argument in arguments):
            return self._of_lists(node, name, arguments)
        lowered = [self.lower(argument.given, argument.place) for argument in arguments]
        if None in lowered:
            return self._of_arcs(node, name, arguments, lowered.index(None))
        positional, keywords = _known(arguments, lowered)
        self.spend(node, sum(map(folding.steps_over, (*positional, *keywords.values()))))
        return self.lift(self.compute(node, folding.fold_builtin, name, positional, keywords))

    def _of_arcs(self, node: ast.Call, name: str, arguments: list[Argument], arc: int) -> Arc:
        """A new SQ that computes a builtin; `arc`: the first of its arguments that is not known at compile time."""
        row = OF_PYTHON.get(name)
        if row is None:
            what = f"`{name}` is computed at compile time, but this is an arc"
            raise self.refused(arguments[arc].where, what, f"give a constant, or {in_a_body(name)}")
        positional = [each for each in arguments if each.keyword is None]
        keywords = {str(each.keyword.arg): each for each in arguments if each.keyword is not None}
        with suppress(ValueError):  # some builtins tell no signature
            signature = inspect.signature(row.compute)
            try:
                signature.bind(*positional, **keywords)
            except TypeError as error:
                raise self.refused(node, f"TypeError: {name}(): {error}") from None
        return self.apply(row.name, node, arguments)

    def apply(self, name: str, node: ast.Call, arguments: Sequence[Argument]) -> Arc:
        """A new SQ of a primitive, whose ports take the arguments of a call."""
        ports: list[PortDraft] = []
        attempts = Attempts()
        for index, argument in enumerate(arguments):
            with attempts:
                value = self.to_port(argument.given, argument.place)
                keyword = None if argument.keyword is None else argument.keyword.arg
                ports.append(PortDraft(keyword or str(index), value, keyword=keyword is not None))
        attempts.check()
        return self.draft.add(name, node, ports).whole

    def _of_lists(self, node: ast.Call, name: str, arguments: list[Argument]) -> Value:
        first = arguments[0].given
        match name:
            case "zip":
                return self._zip(node, arguments)
            case "enumerate":
                return self._enumerate(node, arguments)
            case "bool":
                truth = self.truth(first, node)
                return UNKNOWN if truth is None else Constant(truth)
            case "len" if len(arguments) != 1:
                raise self.refused(node, "len() takes one argument")
            case "len":
                assert isinstance(first, Listing)
                return Constant(len(first.items))
        if len(arguments) != 1:
            raise self.refused(node, f"`{ast.unparse(node.func)}` takes one argument here")
        column = self._columns(arguments)[0]
        return Listing(column[::-1] if name == "reversed" else column, is_tuple=name == "tuple")

    def _zip(self, node: ast.Call, arguments: list[Argument]) -> Value:
        columns = self._columns(arguments, ("strict",))
        strict = False
        with suppress(NoValue):
            strict = self.flag(next((a for a in arguments if a.keyword is not None), None), "strict")
        if strict and len({len(column) for column in columns}) > 1:
            raise self.refused(node, "ValueError: the arguments of zip() have different lengths")
        return Listing([Listing(list(row), is_tuple=True) for row in zip(*columns, strict=False)])

    def _enumerate(self, node: ast.Call, arguments: list[Argument]) -> Value:
        starts = [a for i, a in enumerate(arguments) if i == 1 or (a.keyword is not None and a.keyword.arg == "start")]
        attempts = Attempts()
        with attempts:
            start = self.ticks(starts[0] if starts else None, "start")
        with attempts:
            items = self.items(arguments[0].given, arguments[0].place)
        attempts.check()
        self.spend(node, len(items))
        return Listing([Listing([Constant(start + i), item], is_tuple=True) for i, item in enumerate(items)])

    def _columns(self, arguments: list[Argument], keywords: Sequence[str] = ()) -> list[list[Value]]:
        columns: list[list[Value]] = []
        for argument in arguments:
            if argument.keyword is None:
                columns.append(self.items(argument.given, argument.place))
                self.spend(argument.place, len(columns[-1]))
            elif argument.keyword.arg not in keywords:
                raise self.refused(argument.where, f"unexpected keyword `{argument.keyword.arg}`")
        return columns

    # -- methods

    def method(self, node: ast.Call, function: ast.Attribute) -> Value | None:
        """The value of a method call on a constant or compile-time list; None if the callee is something else."""
        base, name = self.evaluate(function.value), function.attr
        if isinstance(base, Constant) and isinstance(base.value, TTClock):
            what = "a clock's methods have no meaning in a graph"
            raise self.refused(function, what, "write `READ_TTCLOCK(...)`")
        if not isinstance(base, Constant | Listing | Arc | Unknown):
            return None
        arguments = self.arguments_of(node)
        self.evaluate_all(arguments)
        if isinstance(base, Arc):
            what = f"`.{name}()` of an arc: a graph does not look into values"
            raise self.refused(function, what, f"write an SQ that returns `value.{name}(...)`")
        if isinstance(base, Listing) and not base.is_tuple and name in _LIST_METHODS:
            return self._list_method(node, base, name, arguments)
        lowered = [self.lower(argument.given, node) for argument in arguments]
        value = self.lower(base, node)
        if any(isinstance(each, Unknown) for each in (value, *lowered)):
            raise NoValue
        if isinstance(base, Constant) and isinstance(base.value, str) and name == "format" and None in lowered:
            return self.apply("FORMAT", node, [Argument(function.value, value=base), *arguments])
        if not isinstance(value, Constant) or None in lowered:
            what = f"`.{name}()` is computed at compile time, but there is an arc in it"
            raise self.refused(function, what, "write an SQ that does it")
        positional, keywords = _known(arguments, lowered)
        return self.lift(self.compute(function, folding.fold_method, value.value, name, positional, keywords))

    def _list_method(self, node: ast.Call, listing: Listing, name: str, arguments: list[Argument]) -> Value:
        if name == "copy" and not arguments:
            return Listing(list(listing.items))
        least, most = _LIST_METHODS[name]
        if any(a.keyword is not None for a in arguments) or not least <= len(arguments) <= most:
            raise self.refused(node, f"`.{name}()` of a list does not take these arguments")
        self.check_change(listing, node)
        match name:
            case "append":
                self.spend(node)
                listing.items.append(arguments[0].given)
            case "extend":
                items = self.items_seen(arguments[0].given, arguments[0].place)
                self.spend(node, len(items))
                listing.items.extend(items)
            case "reverse":
                listing.items.reverse()
            case "clear":
                listing.items.clear()
            case "insert":
                index = self.ticks(arguments[0], "the index")
                self.spend(node)
                listing.items.insert(index, arguments[1].given)
            case "pop":
                index = self.ticks(arguments[0] if arguments else None, "the index", -1)
                try:
                    return listing.items.pop(index)
                except IndexError as error:
                    raise self.refused(node, f"IndexError: {error}") from None
        return Constant(None)


def _known(arguments: list[Argument], lowered: Sequence[Constant | Unknown | None]) -> tuple[list[Any], dict[str, Any]]:
    """The positional and the keyword arguments of a call; refused if one of them is unknown."""
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for argument, value in zip(arguments, lowered, strict=True):
        if not isinstance(value, Constant):
            raise NoValue
        if argument.keyword is None:
            positional.append(value.value)
        else:
            keywords[str(argument.keyword.arg)] = value.value
    return positional, keywords
