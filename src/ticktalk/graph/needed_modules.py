"""The Python modules without which a body is sure to fail, so that it is not placed where they are missing.

An import counts if it is sure to run: at the top of the program, of a travelling module, or of the body itself. It does
not count in `try`, `if`, another function or a class, nor after a `return`. The standard library, the program
itself, the sources that travel with it and TickTalk are everywhere.
"""

from __future__ import annotations

import ast
import sys
import warnings
from functools import lru_cache

from ticktalk.graph.graph import TTGraph

EVERYWHERE = frozenset({*sys.stdlib_module_names, *sys.builtin_module_names, "ticktalk", "ticktalkpython"})

NONE: frozenset[str] = frozenset()


def needed_modules(graph: TTGraph) -> dict[str, frozenset[str]]:
    """By function, the top-level modules that it needs; functions that need none are left out."""
    sources: dict[str, list[str]] = {}  # of the modules that travel, by the name that is imported
    for name, source in graph.modules.items():
        top, _, rest = name.partition(".")
        # Of a package only its own source is sure to run.
        sources.setdefault(top, []).extend([source] if rest in ("", "__init__") else [])
    travelling = {top: _through(top, sources) for top in sources}
    found = {}
    for function in graph.functions.values():
        names = set(_imports_of_body(function.source))
        for need in function.needs:
            names |= _imports(graph.statements[need].source)
        names |= {function.module.partition(".")[0]} - {""}
        for name in names & sources.keys():
            names |= travelling[name]
        missing = frozenset(names - sources.keys() - EVERYWHERE - {graph.module})
        if missing:
            found[function.name] = missing
    return found


def _through(top: str, sources: dict[str, list[str]]) -> set[str]:
    """The modules that the import of a travelling module imports in turn."""
    found: set[str] = set()
    waiting = [top]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            for source in sources.get(name, ()):
                imported = _imports(source)
                found |= imported
                waiting.extend(imported)
    return found


def imported_modules(sources: list[str]) -> frozenset[str]:
    """The top-level modules that these sources import, anywhere in them."""
    found = set()
    for node in (node for source in sources if (tree := _parsed(source)) is not None for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return frozenset(found)


@lru_cache(4096)
def _imports(source: str) -> frozenset[str]:
    """The top-level modules that running this source is sure to import."""
    tree = _parsed(source)
    return frozenset(_sure(tree.body)) if tree is not None else NONE


@lru_cache(4096)
def _imports_of_body(source: str) -> frozenset[str]:
    """The same of calling the function that this source defines."""
    tree = _parsed(source)
    if tree is None or not tree.body or not isinstance(tree.body[-1], ast.FunctionDef):
        return NONE
    return frozenset(_sure(tree.body[-1].body))


def _parsed(source: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None  # of another Python's syntax: the ensemble says so when it prepares the graph


def _sure(statements: list[ast.stmt]) -> set[str]:
    found: set[str] = set()
    for statement in statements:
        if isinstance(statement, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            if statement.level == 0 and statement.module:
                found.add(statement.module.partition(".")[0])
        elif isinstance(statement, ast.Return | ast.Raise) or _may_leave(statement):
            break
    return found


def _may_leave(statement: ast.stmt) -> bool:
    """True if the next statement may not be reached: there is a `return` or `raise` somewhere in this one."""
    return not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and any(
        isinstance(node, ast.Return | ast.Raise) for node in ast.walk(statement)
    )
