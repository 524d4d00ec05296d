"""A body's source: its parameters, its names, and whether its statements mean the same elsewhere."""

from __future__ import annotations

import ast
import re
import warnings

from ticktalk.engine.execution import GENERATED


class NotPlainError(Exception):
    """A body that cannot be written anew."""


class BodySource:
    """A function whose statements and expressions mean the same elsewhere.

    Args:
        definition: its syntax tree.

    Attributes:
        parameters: its parameters, by place.
        nodes: all nodes of its statements, but for the annotations of variables, which are not evaluated.
        bound: the names that its statements bind.
        free: the names that it takes from its module or from Python, `sq_state` apart.

    Raises:
        NotPlainError: they do not.
    """

    def __init__(self, definition: ast.FunctionDef) -> None:
        self.definition = definition
        given = definition.args
        self.parameters = [each.arg for each in [*given.posonlyargs, *given.args, *given.kwonlyargs]]
        self.nodes = _evaluated(definition.body)
        names = [node for node in self.nodes if isinstance(node, ast.Name)]
        self.bound = {name.id for name in names if not isinstance(name.ctx, ast.Load)}
        self.free = {name.id for name in names} - self.bound - {*self.parameters, "sq_state"}
        if given.vararg or given.kwarg or "TTEmpty" in {*self.bound, *self.parameters}:
            raise NotPlainError
        if not all(map(_means_the_same, self.nodes)):
            raise NotPlainError


def _evaluated(statements: list[ast.stmt]) -> list[ast.AST]:
    found: list[ast.AST] = [*statements]
    for node in found:
        annotation = node.annotation if isinstance(node, ast.AnnAssign) else None
        found += [child for child in ast.iter_child_nodes(node) if child is not annotation]
    return found


def _means_the_same(node: ast.AST) -> bool:
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
    if isinstance(node, ast.Name):
        return not isinstance(node.ctx, ast.Del)
    return not isinstance(node, ast.Invert)  # of a bool Python warns, with the place


def definition_of(source: str, line: int = 1) -> ast.FunctionDef:
    """The syntax tree of a function that stands at a line of a program.

    Raises:
        NotPlainError: it is none. Or Python warns when it compiles it: it would warn once more, with another line. Or
            it is nested too deep.
    """
    text = "\n" * (line - 1) + source
    # `warnings.catch_warnings` would let warnings come again that are told once.
    kept = warnings.filters
    warnings.filters = [("error", None, Warning, re.compile(re.escape(GENERATED)), 0), *kept]
    try:
        module = ast.parse(text, GENERATED)
        compile(module, GENERATED, "exec", dont_inherit=True)
    except (SyntaxError, Warning, RecursionError, ValueError, MemoryError):
        raise NotPlainError from None
    finally:
        warnings.filters = kept
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        raise NotPlainError
    return module.body[0]
