"""The names in annotations of decorated functions: each has to be bound somewhere in the module, or it is a mistake.

Where it is bound does not matter: below the function or under `if TYPE_CHECKING:`, as annotations are read only. What
Python would run all the same, a quoted name or one in a module whose annotations are all text, is worth a warning.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator
from importlib import import_module

from ticktalk.language.function_templates import KNOWN, Function, is_ticktalk
from ticktalk.module_search import find_module
from ticktalk.source_problems import Problems, did_you_mean

_BY_TEXT = frozenset({"globals", "locals", "vars", "exec", "setattr"})
"""Functions that bind names of a module by text."""


def check_names(node: Function, tree: ast.Module, bound: Collection[str], problems: Problems) -> None:
    """Report the names in the annotations of a function that nothing binds.

    Args:
        node: the function.
        tree: its module.
        bound: the names that statements of the module bind, those of star imports left out.
        problems: of its file.
    """
    arguments = node.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    own = {each.name for each in getattr(node, "type_params", ())}
    for annotation in filter(None, [node.returns, *(each.annotation for each in parameters)]):
        for name, quoted in _names(annotation):
            known = name in bound or name in KNOWN or name in own or hasattr(builtins, name)
            if not known and not may_be_bound(name, tree):
                what = f"`{name}` is not defined, but an annotation names it"
                instead = did_you_mean(name, bound) or "import it, or define it at module level"
                problems.report(annotation, what, instead, harmless=quoted or _as_text(tree))


def _names(annotation: ast.expr, quoted: bool = False) -> Iterator[tuple[str, bool]]:
    """The names in an annotation, and whether they are quoted; of text that could not be one, none."""
    match annotation:
        case ast.Constant(value=str() as text):
            try:
                yield from _names(ast.parse(text.strip(), mode="eval").body, True)
            except (SyntaxError, ValueError, RecursionError):
                return
        case ast.Subscript(value=base, slice=inside):
            yield from _names(base, quoted)
            form = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
            if form == "Annotated" and isinstance(inside, ast.Tuple):
                yield from _names(inside.elts[0], quoted)
            elif form not in ("Literal", "Annotated"):
                yield from _names(inside, quoted)
        case ast.Name(id=name):
            yield name, quoted
        case ast.expr():
            for inner in ast.iter_child_nodes(annotation):
                if isinstance(inner, ast.expr):
                    yield from _names(inner, quoted)


def _as_text(tree: ast.Module) -> bool:
    """True if Python evaluates no annotation of a module: `from __future__ import annotations`."""
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


def may_be_bound(name: str, tree: ast.Module) -> bool:
    """True if a star import, a `global` statement or a text may bind a name of a module."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=[ast.alias(name="*")]):
                if not is_ticktalk(module) or find_module(str(module)) is None:
                    return True
                ours = import_module(str(module))
                if name in getattr(ours, "__all__", dir(ours)):
                    return True
            case ast.Global(names=names) if name in names:
                return True
            case ast.Name(id=function) if function in _BY_TEXT:
                return True
    return False
