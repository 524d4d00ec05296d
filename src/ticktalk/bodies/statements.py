"""Bodies as statements: which may stand in generated code in place of calls, with what follows after each return."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ticktalk.bodies.source import BodySource, NotPlainError, definition_of

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


class Tails(NamedTuple):
    """The code that follows when a body has given its result.

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


class Simple(BodySource):
    """A function whose statements may stand in other code.

    Args:
        definition: its syntax tree.

    Attributes:
        stateful: it uses `sq_state`.
        size: nodes of its syntax tree in that code, at most.

    Raises:
        NotPlainError: they may not.
    """

    def __init__(self, definition: ast.FunctionDef) -> None:
        super().__init__(definition)
        nodes = self.nodes
        self.stateful = any(isinstance(node, ast.Name) and node.id == "sq_state" for node in nodes)
        if len(nodes) > MOST_NODES or not all(isinstance(node, _ALLOWED) for node in nodes):
            raise NotPlainError
        if "sq_state" in {*self.bound, *self.parameters} or not _only_returns_empty(nodes):
            raise NotPlainError
        if (definition.end_lineno or LINES) >= LINES:
            raise NotPlainError
        if self.stateful and not any(isinstance(node, ast.Global) for node in nodes):
            self.free.add("sq_state")  # it is in the module: not of this mechanism
        self._bound_after(definition.body, {*self.parameters})
        self.exits(Tails((), (), (), ()))  # raises
        self.size = len(nodes) * self._exits

    def _bound_after(self, block: list[ast.stmt], known: set[str]) -> set[str] | None:
        """The names that are bound after a block; None: it is left.

        Raises:
            NotPlainError: a name may be used before it is bound.
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
                raise NotPlainError
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
            NotPlainError: it returns within a loop, or too often.
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
                    raise NotPlainError
                other = copy.deepcopy(rest)
                statement.body = self._with_exits(statement.body + rest)
                statement.orelse = self._with_exits(statement.orelse + other)
                return [*done, statement]
            if not isinstance(statement, ast.Global):
                done.append(statement)
        return done + self._exit(None, block[-1] if block else self.definition)

    def _exit(self, value: ast.expr | None, at: ast.stmt) -> list[ast.stmt]:
        """The statements in place of `return value`."""
        if isinstance(value, ast.IfExp):
            both = [self._exit(each, at) for each in (value.body, value.orelse)]
            return [ast.copy_location(ast.If(value.test, *both), at)]
        self._exits += 1
        if self._exits > MOST_EXITS:
            raise NotPlainError
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
    """Statements of other code, which have no place in the user's file."""
    made = ast.parse("\n".join(lines)).body
    for node in (node for statement in made for node in ast.walk(statement) if hasattr(node, "lineno")):
        node.lineno = 0
    return made


@lru_cache(256)
def simple_of(source: str, line: int) -> Simple | None:
    """The function that stands in a program at a line, if its statements may stand elsewhere."""
    try:
        return Simple(definition_of(source, line))
    except NotPlainError:
        return None
