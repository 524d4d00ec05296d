"""Calls that are computed at compile time: Python's builtins, and methods of constants and compile-time lists."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ticktalk.instructions import BY_NAME
from ticktalk.language import folding
from ticktalk.language.call_arguments import Argument, Arguments, Attempts, Refused
from ticktalk.language.draft import Arc, Constant
from ticktalk.language.folding import CannotFold
from ticktalk.language.meanings import UNKNOWN, Foreign, Listing, Meaning, Unknown, Value
from ticktalk.time import TTClock

_LIST_METHODS = {
    "append": (1, 1),
    "clear": (0, 0),
    "copy": (0, 0),
    "extend": (1, 1),
    "insert": (2, 2),
    "pop": (0, 1),
    "reverse": (0, 0),
}
"""Methods of a compile-time list, with the least and the most arguments of each."""

_OF_LISTS = frozenset({"len", "zip", "enumerate", "reversed", "list", "tuple", "bool"})
"""Builtins that handle the items of a compile-time list without looking into them: items may be arcs."""


class BuiltinCalls:
    """Computes calls. A mistake is reported, then `Refused` is raised."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._expressions = arguments.expressions

    # -- builtins

    def function(self, node: ast.Call, name: str) -> Value:
        """The value of the call of a builtin."""
        arguments = self._arguments.of(node)
        self._arguments.evaluate(arguments)
        values = [argument.given for argument in arguments]
        if any(isinstance(value, Unknown) for value in values):
            raise Refused
        if name in _OF_LISTS and any(isinstance(value, Listing) for value in values):
            return self._of_lists(node, name, arguments)
        lowered = [
            self._expressions.lower(value, argument.place) for value, argument in zip(values, arguments, strict=True)
        ]
        for value, argument in zip(lowered, arguments, strict=True):
            if value is None:
                what = f"`{name}` is computed at compile time, but this is an arc"
                instead = f"write `{name.upper()}(...)`" if name.upper() in BY_NAME else "write an SQ that does it"
                raise self._arguments.refused(argument.where, what, instead)
        positional, keywords = _known(arguments, lowered)
        self._expressions.spend(node, sum(map(folding.steps_over, (*positional, *keywords.values()))))
        try:
            return self._expressions.lift(folding.fold_builtin(name, positional, keywords))
        except CannotFold as error:
            raise self._arguments.refused(node, str(error)) from None

    def _of_lists(self, node: ast.Call, name: str, arguments: list[Argument]) -> Value:
        match name:
            case "len":
                if len(arguments) != 1:
                    raise self._arguments.refused(node, "len() takes one argument")
                value = arguments[0].given
                assert isinstance(value, Listing)
                return Constant(len(value.items))
            case "zip":
                return self._zip(node, arguments)
            case "enumerate":
                return self._enumerate(node, arguments)
            case "bool":
                truth = self._expressions.truth(arguments[0].given, node)
                return Constant(truth) if isinstance(truth, bool) else UNKNOWN
        if len(arguments) != 1:
            raise self._arguments.refused(node, f"`{ast.unparse(node.func)}` takes one argument here")
        column = self._columns(arguments)[0]
        return Listing(column[::-1] if name == "reversed" else column, is_tuple=name == "tuple")

    def _zip(self, node: ast.Call, arguments: list[Argument]) -> Value:
        columns = self._columns(arguments, ("strict",))
        strict = False
        with suppress(Refused):
            strict = self._arguments.flag(next((a for a in arguments if a.keyword is not None), None), "strict", False)
        if strict and len({len(column) for column in columns}) > 1:
            raise self._arguments.refused(node, "ValueError: the arguments of zip() have different lengths")
        return Listing([Listing(list(row), is_tuple=True) for row in zip(*columns, strict=False)])

    def _enumerate(self, node: ast.Call, arguments: list[Argument]) -> Value:
        starts = [a for i, a in enumerate(arguments) if i == 1 or (a.keyword is not None and a.keyword.arg == "start")]
        attempts = Attempts()
        with attempts:
            start = self._arguments.ticks(starts[0] if starts else None, "start", 0)
        with attempts:
            items = self._items(arguments[0])
        attempts.check()
        self._expressions.spend(node, len(items))
        return Listing([Listing([Constant(start + i), item], is_tuple=True) for i, item in enumerate(items)])

    def _items(self, argument: Argument) -> list[Meaning]:
        items = self._expressions.items(argument.given, argument.place)
        if items is None:
            raise Refused
        return items

    def _columns(self, arguments: list[Argument], keywords: Sequence[str] = ()) -> list[list[Meaning]]:
        columns: list[list[Meaning]] = []
        for argument in arguments:
            if argument.keyword is None:
                columns.append(self._items(argument))
                self._expressions.spend(argument.place, len(columns[-1]))
            elif argument.keyword.arg not in keywords:
                raise self._arguments.refused(argument.where, f"unexpected keyword `{argument.keyword.arg}`")
        return columns

    # -- methods

    def method(self, node: ast.Call, function: ast.Attribute) -> Value | None:
        """The value of a method call on a constant or compile-time list; None if the callee is something else."""
        base = self._expressions.evaluate(function.value)
        if isinstance(base, Constant) and isinstance(base.value, TTClock):
            what = "a clock's methods have no meaning in a graph"
            raise self._arguments.refused(function, what, "write `READ_TTCLOCK(...)`")
        if isinstance(base, Foreign):
            raise self._arguments.refused(function, base.what, base.instead)
        if not isinstance(base, Constant | Listing | Arc | Unknown):
            return None
        arguments = self._arguments.of(node)
        self._arguments.evaluate(arguments)
        if isinstance(base, Unknown):
            raise Refused
        if isinstance(base, Arc):
            raise self._arguments.refused(
                function,
                f"`.{function.attr}()` of an arc: a graph does not look into values",
                f"write an SQ that returns `value.{function.attr}(...)`",
            )
        if isinstance(base, Listing) and not base.is_tuple and function.attr in _LIST_METHODS:
            return self._list_method(node, base, function.attr, arguments)
        lowered = [self._expressions.lower(argument.given, node) for argument in arguments]
        value = self._expressions.lower(base, node)
        if any(isinstance(each, Unknown) for each in (value, *lowered)):
            raise Refused
        if not isinstance(value, Constant) or None in lowered:
            what = f"`.{function.attr}()` is computed at compile time, but there is an arc in it"
            raise self._arguments.refused(function, what, "write an SQ that does it")
        positional, keywords = _known(arguments, lowered)
        try:
            return self._expressions.lift(folding.fold_method(value.value, function.attr, positional, keywords))
        except CannotFold as error:
            raise self._arguments.refused(function, str(error)) from None

    def _list_method(self, node: ast.Call, listing: Listing, name: str, arguments: list[Argument]) -> Value:
        if name == "copy" and not arguments:
            return Listing(list(listing.items))
        least, most = _LIST_METHODS[name]
        if any(a.keyword is not None for a in arguments) or not least <= len(arguments) <= most:
            raise self._arguments.refused(node, f"`.{name}()` of a list does not take these arguments")
        if not self._expressions.may_change(listing, node):
            raise Refused
        match name:
            case "append":
                self._expressions.spend(node)
                listing.items.append(arguments[0].given)
            case "extend":
                items = self._expressions.items(arguments[0].given, arguments[0].place)
                self._expressions.spend(node, len(items or ()))
                listing.items.extend([UNKNOWN] if items is None else items)
            case "reverse":
                listing.items.reverse()
            case "clear":
                listing.items.clear()
            case "insert":
                index = self._arguments.ticks(arguments[0], "the index", 0)
                self._expressions.spend(node)
                listing.items.insert(index, arguments[1].given)
            case "pop":
                index = self._arguments.ticks(arguments[0], "the index", 0) if arguments else -1
                try:
                    item = listing.items.pop(index)
                except IndexError as error:
                    raise self._arguments.refused(node, f"IndexError: {error}") from None
                return item if isinstance(item, Constant | Arc | Listing) else UNKNOWN
        return Constant(None)


def _known(arguments: list[Argument], lowered: Sequence[Constant | Unknown | None]) -> tuple[list[Any], dict[str, Any]]:
    """The positional and the keyword arguments of a call, all of which are known.

    Raises:
        Refused: one is not, because of a problem.
    """
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for argument, value in zip(arguments, lowered, strict=True):
        if not isinstance(value, Constant):
            raise Refused
        if argument.keyword is None:
            positional.append(value.value)
        else:
            keywords[str(argument.keyword.arg)] = value.value
    return positional, keywords
