"""Which names in a program are TickTalk's: by any import, or because nothing else binds them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

from ticktalk.instructions import BY_NAME

PACKAGES = ("ticktalk", "ticktalkpython")
DECORATORS = frozenset({"SQify", "STREAMify", "GRAPHify"})
CONSTRUCTS = frozenset(
    {"TTClock", "TTConstraint", "TTQuery", "TTFinishByOtherwise", "TTPlanB", "TTDeadline", "TTSingleRunTimeout"}
)
KNOWN = DECORATORS | CONSTRUCTS | BY_NAME.keys() | {"component"}


def is_ticktalk(module: str | None) -> bool:
    """Whether the dotted name is that of a module of ours."""
    return module is not None and module.split(".")[0] in PACKAGES


def ticktalk_names(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that an import binds to objects of TickTalk, each with its dotted path."""
    bound: dict[str, str] = {}
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            if is_ticktalk(alias.name):
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
    elif statement.level == 0 and is_ticktalk(statement.module):
        for alias in statement.names:
            if alias.name != "*":
                bound[alias.asname or alias.name] = f"{statement.module}.{alias.name}"
    return bound


def imported_names(statement: ast.Import | ast.ImportFrom) -> list[str]:
    """All names that an import binds; of a star import, none."""
    if isinstance(statement, ast.Import):
        return [alias.asname or alias.name.split(".")[0] for alias in statement.names]
    return [alias.asname or alias.name for alias in statement.names if alias.name != "*"]


def construct_at(path: str) -> str | None:
    """The construct to which a dotted path of ours leads, or None: the path is that of a module."""
    last = path.rpartition(".")[2]
    return last if last in KNOWN else None


def path_of(expression: ast.expr, imports: Mapping[str, str], bound: Iterable[str]) -> str | None:
    """The dotted path of ours that a name or attribute stands for, or None.

    Args:
        imports: names bound by imports of ours, with their paths.
        bound: names bound to anything; one of `KNOWN` that is not among them counts as ours.
    """
    attributes: list[str] = []
    while isinstance(expression, ast.Attribute):
        attributes.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return None
    path = imports.get(expression.id)
    if path is None:
        if expression.id not in KNOWN or expression.id in bound:
            return None
        path = expression.id
    return ".".join([path, *reversed(attributes)])


def construct_of(expression: ast.expr, imports: Mapping[str, str], bound: Iterable[str]) -> str | None:
    """The construct that a name or attribute stands for (`SQify`, `TTClock`, ...), or None."""
    path = path_of(expression, imports, bound)
    return None if path is None else construct_at(path)
