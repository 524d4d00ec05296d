"""The names that a body looks up in its module: one that nothing binds is an error of each firing that comes there.

It is warned of when the program is compiled, unless something may bind the name after all.
"""

from __future__ import annotations

import ast
import builtins
import dis
import types
import warnings
from collections.abc import Collection, Iterator

from ticktalk.language.annotation_names import may_be_bound
from ticktalk.language.function_templates import Function
from ticktalk.source_problems import Problems, did_you_mean

IN_BODIES = frozenset({"TTClock", "TTEmpty", "TTTime", "TTToken", "component", "firing", "sq_state"})
"""Names of TickTalk that a body has without an import."""

_BINDS_ELSEWHERE = frozenset({"builtins", "__builtins__", "gettext", "modules", "__dict__", "f_globals"})
"""Names and attributes by which code binds names that no statement of the module binds."""


def warn_of_names(node: Function, tree: ast.Module, bound: Collection[str], problems: Problems) -> None:
    """Warn of the names that a body looks up in vain.

    Args:
        node: the function.
        tree: its module.
        bound: the names that statements of the module bind, those of star imports left out.
        problems: of its file.
    """
    code = _code(node)
    if code is None:
        return
    missing = {
        name: place
        for name, place in reversed(list(_looked_up(code)))
        if not (name in bound or name in IN_BODIES or hasattr(builtins, name) or name.startswith("__"))
    }
    if not missing or _catches_name_errors(node) or _binds_elsewhere(tree):
        return
    for name, place in reversed(missing.items()):
        if not may_be_bound(name, tree):
            what = f"`{name}` is not defined, so a firing of `{node.name}` that comes here fails"
            instead = did_you_mean(name, {*bound, *code.co_varnames}) or "import it, or define it at module level"
            problems.report(place, what, instead, harmless=True)


def _code(node: Function) -> types.CodeType | None:
    """The code of a function; None if Python refuses it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module: types.CodeType = compile(ast.Module([node], []), "", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    inner = [part for part in module.co_consts if isinstance(part, types.CodeType)]
    return next((part for part in inner if part.co_name == node.name), None)


def _looked_up(code: types.CodeType) -> Iterator[tuple[str, ast.Name]]:
    """The names that a piece of code, and the functions in it, look up in the module; each with its place."""
    for step in dis.get_instructions(code):
        at = step.positions
        if step.opname == "LOAD_GLOBAL" and at is not None and at.lineno is not None and at.col_offset is not None:
            yield step.argval, ast.Name(step.argval, ast.Load(), lineno=at.lineno, col_offset=at.col_offset)
    for part in code.co_consts:
        if isinstance(part, types.CodeType) and part.co_name != "__annotate__":  # of annotations, from Python 3.14 on
            yield from _looked_up(part)


def _catches_name_errors(node: Function) -> bool:
    """True if a function is prepared for names that are not there."""
    handlers = (inner.type for inner in ast.walk(node) if isinstance(inner, ast.ExceptHandler))
    caught = [ast.unparse(each) if each is not None else "NameError" for each in handlers]
    return any("NameError" in each for each in caught)


def _binds_elsewhere(tree: ast.Module) -> bool:
    """True if a module may bind names by other means than its statements."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) if name in _BINDS_ELSEWHERE:
                return True
    return False
