"""Which source of a body may stand in the code of a plan as statements, in place of calls.

In: the source of a function. Out: what is known of it, and its statements, with what follows in place of each return.
`chosen.py` says what its names may hold, and which values it may run on. `inlining.py` writes it into the code.
"""

from __future__ import annotations

import ast
import copy
import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ticktalk.engine.execution import GENERATED

LINES = 1 << 18
"""Lines of a user's file, at most: the line 7 of the body of event 2 is `7 + 3 * LINES`."""

MOST_EXITS = 4
"""Places at which a body may return: what follows stands behind each."""

MOST_NODES = 300
"""Nodes of a body's syntax tree, at most: the call of a longer one costs little beside it."""

_ALLOWED = (
    *(ast.operator, ast.cmpop, ast.unaryop, ast.boolop, ast.expr_context, ast.Constant, ast.Name, ast.BinOp),
    *(ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Dict),
    *(ast.Set, ast.Starred, ast.JoinedStr, ast.FormattedValue, ast.Attribute, ast.Call, ast.keyword),
    *(ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.If, ast.For, ast.While, ast.Break, ast.Continue),
    *(ast.Pass, ast.Return, ast.Global, ast.Delete, ast.Raise, ast.Assert),
)

_MEANT = frozenset({"sq_state", "TTEmpty"})
"""Names that a body may not give another meaning."""


class Tails(NamedTuple):
    """What follows in the code of a plan when a body has given its result.

    Attributes:
        targets: the names that take the result.
        checked: for a result of any kind.
        plain: for a value that cannot be changed.
        empty: for none; the targets are bound here, where they need to be.
    """

    targets: tuple[str, ...]
    checked: tuple[str, ...]
    plain: tuple[str, ...]
    empty: tuple[str, ...]


class Simple:
    """A function whose statements may stand elsewhere.

    Args:
        definition: its syntax tree.

    Attributes:
        parameters: its parameters, by place.
        globals: the names that it takes from its module or from Python, `sq_state` apart.
        stateful: it uses `sq_state`.
        size: nodes of its syntax tree in the code of a plan, at most.

    Raises:
        NotSimpleError: they may not.
    """

    def __init__(self, definition: ast.FunctionDef) -> None:
        self.definition = definition
        given = definition.args
        self.parameters = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
        nodes = [node for statement in definition.body for node in ast.walk(statement)]
        names = [node for node in nodes if isinstance(node, ast.Name)]
        self.bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
        self.globals = {name.id for name in names} - self.bound - {*self.parameters, "sq_state"}
        self.stateful = any(name.id == "sq_state" for name in names)
        if given.vararg or given.kwarg or len(nodes) > MOST_NODES or not all(map(_stands, nodes)):
            raise NotSimpleError
        if not _MEANT.isdisjoint({*self.bound, *self.parameters}) or not _only_returns_empty(nodes):
            raise NotSimpleError
        if any(isinstance(name.ctx, ast.Del) for name in names) or (definition.end_lineno or LINES) >= LINES:
            raise NotSimpleError
        if self.stateful and not any(isinstance(node, ast.Global) for node in nodes):
            self.globals.add("sq_state")  # it is in the module: not of this mechanism
        self._bound_after(definition.body, {*self.parameters})
        self.exits(Tails((), (), (), ()))  # raises
        self.size = len(nodes) * self._exits

    def _bound_after(self, block: list[ast.stmt], known: set[str]) -> set[str] | None:
        """What is bound after a block; None: it is left.

        Raises:
            NotSimpleError: a name may be used before it is bound.
        """
        local = self.bound - {*self.parameters}
        now: set[str] | None = {*known}
        for statement in block:
            if now is None:
                break
            inner = [*getattr(statement, "body", ()), *getattr(statement, "orelse", ())]
            within = {id(node) for each in inner for node in ast.walk(each)}
            names = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and id(n) not in within]
            used = {name.id for name in names if isinstance(name.ctx, ast.Load)}
            stored = {name.id for name in names} - used
            if isinstance(statement, ast.AugAssign):
                used, stored = used | stored, stored
            if (used & local) - now:
                raise NotSimpleError
            if isinstance(statement, ast.If):
                ends = [self._bound_after(each, now) for each in (statement.body, statement.orelse)]
                there = [each for each in ends if each is not None]
                now = set.intersection(*there) if there else None
            elif isinstance(statement, ast.For | ast.While):
                self._bound_after(statement.body, now | stored)
                self._bound_after(statement.orelse, now)
            elif isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
                now = None
            elif not (isinstance(statement, ast.AnnAssign) and statement.value is None):
                now |= stored
        return now

    def exits(self, tails: Tails) -> list[ast.stmt]:
        """Its statements, with what follows in place of each return.

        Raises:
            NotSimpleError: it returns within a loop, or too often.
        """
        self._exits, self._tails = 0, tails
        return self._with_exits(copy.deepcopy(self.definition.body))

    def _with_exits(self, block: list[ast.stmt]) -> list[ast.stmt]:
        done: list[ast.stmt] = []
        for place, statement in enumerate(block):
            rest = block[place + 1 :]
            if isinstance(statement, ast.Return):
                return done + self._exit(statement.value, statement)
            if isinstance(statement, ast.Raise):
                return [*done, statement]
            if any(isinstance(node, ast.Return) for node in ast.walk(statement)):
                if not isinstance(statement, ast.If):
                    raise NotSimpleError
                other = copy.deepcopy(rest)
                statement.body = self._with_exits(statement.body + rest)
                statement.orelse = self._with_exits(statement.orelse + other)
                return [*done, statement]
            if not isinstance(statement, ast.Global):
                done.append(statement)
        return done + self._exit(None, block[-1] if block else self.definition)

    def _exit(self, value: ast.expr | None, at: ast.stmt) -> list[ast.stmt]:
        """What stands in place of `return value`."""
        if isinstance(value, ast.IfExp):
            both = [self._exit(each, at) for each in (value.body, value.orelse)]
            return [ast.copy_location(ast.If(value.test, *both), at)]
        self._exits += 1
        if self._exits > MOST_EXITS:
            raise NotSimpleError
        if value is None:
            value = ast.copy_location(ast.Constant(None), at)
        tails = self._tails
        if _is_empty(value):
            return parsed(tails.empty) or [ast.copy_location(ast.Pass(), at)]
        takes: ast.stmt = ast.Expr(value)
        if tails.targets:
            (takes,) = parsed([f"{' = '.join(tails.targets)} = 0"])
            takes.value = value  # type: ignore[attr-defined]
        follows = tails.plain if isinstance(value, ast.Constant) else tails.checked
        return [ast.copy_location(takes, at), *parsed(follows)]


class NotSimpleError(Exception):
    """A body that is called."""


def _stands(node: ast.AST) -> bool:
    """True if a node means the same elsewhere."""
    if isinstance(node, ast.Compare):  # of constants it depends on the code around which of them are one object
        pairs = zip(node.ops, node.comparators, strict=True)
        others = [each for op, each in pairs if isinstance(op, ast.Is | ast.IsNot)]
        return all(isinstance(each, ast.Constant) and isinstance(each.value, bool | None) for each in others)
    if isinstance(node, ast.Attribute):
        return isinstance(node.ctx, ast.Load) and not node.attr.startswith("_")
    if isinstance(node, ast.AnnAssign):
        return isinstance(node.target, ast.Name)
    if isinstance(node, ast.Global):
        return node.names == ["sq_state"]
    if isinstance(node, ast.Invert):  # of a bool Python warns, with the place
        return False
    return isinstance(node, _ALLOWED)


def _is_empty(value: ast.expr) -> bool:
    """True for `TTEmpty()`."""
    if not isinstance(value, ast.Call) or value.args or value.keywords:
        return False
    return isinstance(value.func, ast.Name) and value.func.id == "TTEmpty"


def _only_returns_empty(nodes: list[ast.AST]) -> bool:
    """True if `TTEmpty` stands for an absent result only."""
    returned = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
    for value in returned:
        if isinstance(value, ast.IfExp):
            returned += [value.body, value.orelse]
    used = sum(isinstance(node, ast.Name) and node.id == "TTEmpty" for node in nodes)
    return used == sum(map(_is_empty, returned))


def parsed(lines: Iterable[str]) -> list[ast.stmt]:
    """Statements of the plan, which have no place in the user's file."""
    made = ast.parse("\n".join(lines)).body
    for node in (node for statement in made for node in ast.walk(statement) if hasattr(node, "lineno")):
        node.lineno = 0
    return made


@lru_cache(256)
def simple_of(source: str, line: int) -> Simple | None:
    """The function that stands in a program at a line, if its statements may stand elsewhere."""
    try:
        (definition,) = parsed_without_warnings("\n" * (line - 1) + source).body
        return Simple(definition) if isinstance(definition, ast.FunctionDef) else None
    except NotSimpleError:
        return None


def parsed_without_warnings(text: str) -> ast.Module:
    """The syntax tree of a function.

    Raises:
        NotSimpleError: Python warns when it compiles it; it would warn once more, with a line of the plan. Or it is
            nested too deep.
    """
    # `warnings.catch_warnings` would let warnings come again that are told once.
    kept = warnings.filters
    warnings.filters = [("error", None, Warning, re.compile(re.escape(GENERATED)), 0), *kept]
    try:
        module = ast.parse(text, GENERATED)
        compile(module, GENERATED, "exec", dont_inherit=True)
    except (SyntaxError, Warning, RecursionError):
        raise NotSimpleError from None
    finally:
        warnings.filters = kept
    return module
