"""The names of a module whose values nothing can change in place: numbers, texts, and tuples of these."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator

from ticktalk.durations import WRITTEN
from ticktalk.language.bindings import bound_names

_PLAIN_CALLS = frozenset({
    "bin", "bool", "chr", "complex", "float", "format", "hash", "hex", "int", "isinstance", "len", "oct", "ord", "repr",
    "round", "str", *WRITTEN,
})  # fmt: skip
_PLAIN_OF_PLAIN = frozenset({"abs", "divmod", "max", "min", "pow", "range", "sum"})


def plain_names(tree: ast.Module) -> set[str]:
    """The names of that kind, with dots in classes."""
    bindings: dict[str, list[ast.expr | None]] = defaultdict(list)
    for statement in tree.body:
        _gather(statement, "", bindings)
    for node in ast.walk(tree):
        named = node.names if isinstance(node, ast.Global) else []
        for name in [*named, *([node.target.id] if isinstance(node, ast.NamedExpr) else [])]:
            bindings[name].append(None)
    plain = set(bindings)

    def known(name: str, around: str) -> bool:
        inner = f"{around.rpartition('.')[0]}.{name}"
        return (inner if inner in bindings else name) in plain

    while lost := {n for n in plain if not all(v is not None and _is_plain(v, n, known) for v in bindings[n])}:
        plain -= lost
    return plain


def _gather(statement: ast.stmt, prefix: str, bindings: dict[str, list[ast.expr | None]]) -> None:
    pairs: list[tuple[ast.expr, ast.expr]] = []
    match statement:
        case ast.ClassDef(name=name, body=body):
            bindings[f"{prefix}{name}"].append(None)
            for inner in body:
                _gather(inner, f"{prefix}{name}.", bindings)
            return
        case ast.Assign(targets=targets, value=value):
            pairs = [pair for target in targets for pair in _pairs(target, value)]
        case ast.AnnAssign(target=single, value=ast.expr() as value) | ast.AugAssign(target=single, value=value):
            pairs = [(single, value)]
    told = {target.id for target, _ in pairs if isinstance(target, ast.Name)}
    for target, value in pairs:
        if isinstance(target, ast.Name):
            bindings[f"{prefix}{target.id}"].append(value)
    for name in bound_names(statement) - told:
        bindings[f"{prefix}{name}"].append(None)


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    targets, values = getattr(target, "elts", None), getattr(value, "elts", None)
    if targets is None or values is None or len(targets) != len(values):
        yield target, value
    else:
        for each, given in zip(targets, values, strict=True):
            yield from _pairs(each, given)


def _is_plain(node: ast.expr, around: str, known: Callable[[str, str], bool]) -> bool:
    """True if the value of an expression is of that kind; `around`: the name to which it is bound."""
    match node:
        case ast.Constant() | ast.JoinedStr() | ast.Compare():
            return True
        case ast.Name(id=name):
            return known(name, around)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return name == "math" or known(f"{name}.{attribute}", around)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            every = all(_is_plain(each, around, known) for each in arguments)
            return name in _PLAIN_CALLS or (name in _PLAIN_OF_PLAIN and every)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="math"))):
            return True
        case ast.Tuple(elts=parts) | ast.BoolOp(values=parts):
            return all(_is_plain(part, around, known) for part in parts)
        case ast.UnaryOp(operand=part):
            return _is_plain(part, around, known)
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return _is_plain(left, around, known) and _is_plain(right, around, known)
    return False
