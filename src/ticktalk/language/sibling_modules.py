"""Modules that lie beside a program and are imported by travelling sources: they travel too."""

from __future__ import annotations

import ast
import importlib.util
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from ticktalk.language.templates import PACKAGES
from ticktalk.source_problems import Problems


def sibling_modules(directory: Path, program: str, nodes: Iterable[ast.stmt], problems: Problems) -> dict[str, str]:
    """The sources of the modules that some statements of a program import, and of those that these import in turn.

    The program itself, which could be imported as `program`, never travels. A module that cannot be read is reported
    at the program's import of it.
    """
    sources: dict[str, str] = {}
    for node in nodes:
        for statement, first in _imported(node):
            waiting = [first]
            while waiting:
                top = waiting.pop()
                if top in (program, *PACKAGES) or top in sources or f"{top}.__init__" in sources:
                    continue
                for name, path in _files(directory, top) if top not in sys.builtin_module_names else ():
                    try:
                        sources[name], tree = _read(path, path.relative_to(directory))
                    except ValueError as error:
                        problems.report(statement, str(error), "mend that file")
                    else:
                        waiting.extend(found for _, found in _imported(tree))
    return sources


def _files(directory: Path, top: str) -> list[tuple[str, Path]]:
    """The files of a module or package, with their dotted names.

    As in Python, a package goes before a module, and that before a folder without `__init__.py`. Such a folder goes
    behind what is installed, too.
    """
    package, module = directory / top, directory / f"{top}.py"
    regular = (package / "__init__.py").is_file()
    if not regular and (module.is_file() or not package.is_dir() or _is_installed(top)):
        return [(top, module)] if module.is_file() else []
    files = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(directory).with_suffix("").parts
        if all(part.isidentifier() for part in parts):
            files.append((".".join(parts), path))
    return files


def _read(path: Path, shown: Path) -> tuple[str, ast.Module]:
    """The text of a module, and its syntax tree.

    Raises:
        ValueError: there is none; the message says why.
    """
    try:
        with tokenize.open(path) as file:
            source = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return source, ast.parse(source, str(shown))
    except SyntaxError as error:
        what = f"is not valid Python: line {error.lineno}: {error.msg}"
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        what = f"cannot be read: {error}"
    raise ValueError(f"`{shown}`, which is imported here, {what}")


def _is_installed(top: str) -> bool:
    """True if a module or package of this name is found without the folder of the program; nothing of it is run."""
    if top in sys.stdlib_module_names:
        return True
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None


def _imported(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """The import statements anywhere in it, with the top-level module of each absolute import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node, node.module.split(".")[0]
