"""The names that statements bind, and the meanings of those that are known at compile time."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from ticktalk.language.evaluation import Foreign, GiveUp, Listing, Meaning, Reference
from ticktalk.language.expressions import Expressions
from ticktalk.language.function_templates import DECORATORS, imported_names
from ticktalk.language.graph_draft import Constant

Compound = (ast.If, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.While, ast.Match)


def bound_names(statement: ast.stmt, only_assigned: bool = False) -> set[str]:
    """The names that a statement binds in the scope in which it stands.

    `only_assigned`: those of `=`, `for`, `with`, `except`, `match` and `:=`, not those of `import`, `def` and `class`.
    """
    names: set[str] = set()
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names |= set() if only_assigned else {name}
                waiting += [*node.decorator_list, node.args]
                continue
            case ast.ClassDef(name=name):
                names |= set() if only_assigned else {name}
                names |= _declared_in_class(node)
                waiting += [*node.decorator_list, *node.bases, *node.keywords]
                continue
            case ast.Import() | ast.ImportFrom():
                names.update(() if only_assigned else imported_names(node))
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                # A comprehension's targets are its own; only `:=` binds outside of it.
                names |= {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
                continue
            case ast.Lambda() | ast.AnnAssign(value=None):
                continue
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case (
                ast.ExceptHandler(name=str() as name)
                | ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                names.add(name)
        waiting.extend(ast.iter_child_nodes(node))
    return names


def _declared_in_class(node: ast.ClassDef) -> set[str]:
    """The names of the module that the body of a class binds: `global N`."""
    inside = [inner for statement in node.body for inner in ast.walk(statement)]
    declared = {name for inner in node.body if isinstance(inner, ast.Global) for name in inner.names}
    return {n.id for n in inside if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)} & declared


def assignments(statement: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment, each with the expression of its value; of other statements, none."""
    match statement:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            return [(target, value)]
        case ast.AugAssign(target=ast.Name(id=name) as target, value=value, op=operator):
            left = ast.copy_location(ast.Name(name, ast.Load()), target)
            return [(target, ast.copy_location(ast.BinOp(left, operator, value), value))]
    return []


def assigned_meanings(
    constants: Expressions,
    target: ast.expr,
    value: ast.expr,
    statement: ast.stmt,
    around: Mapping[str, Meaning],
    prefix: str = "",
) -> dict[str, Meaning]:
    """The meanings of the names that an assignment binds; `around`: those of the class in which it stands.

    `prefix`: the name of that class, with a dot.
    """
    names = {n.id for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if not names:
        return {}
    bound: dict[str, Meaning] = {}
    constants.scopes = [dict(around), bound]
    try:
        meaning = constants.evaluate(value)
        if isinstance(target, ast.Name):
            constants.bind(target.id, meaning)
        elif isinstance(meaning, Constant | Listing):
            constants.assign(target, meaning)
    except (GiveUp, RecursionError, MemoryError):
        bound.clear()
    meanings: dict[str, Meaning] = {name: not_known(prefix + name, statement) for name in names}
    for name, found in bound.items():
        if isinstance(found, Constant | Listing | Reference | Foreign):
            meanings[name] = found
    return meanings


def not_known(name: str, statement: ast.stmt) -> Foreign:
    """The meaning of a name to which a statement binds what is not known at compile time."""
    instead = "bind it to a literal or to arithmetic on literals, or use it in the body of an SQ"
    value = getattr(statement, "value", None)
    called = ast.unparse(value.func).rpartition(".")[2] if isinstance(value, ast.Call) else ""
    if called in DECORATORS:
        instead = f"write `@{called}` above a `def {name}(...):`"
    return Foreign(f"`{name}` (line {statement.lineno}) is not known at compile time", instead)


def is_main_guard(statement: ast.stmt) -> bool:
    """True if the statement runs only when the program is run as a script: `if __name__ == "__main__":`."""
    if not isinstance(statement, ast.If):
        return False
    nodes = list(ast.walk(statement.test))
    return any(isinstance(n, ast.Name) and n.id == "__name__" for n in nodes) and any(
        isinstance(n, ast.Constant) and n.value == "__main__" for n in nodes
    )
