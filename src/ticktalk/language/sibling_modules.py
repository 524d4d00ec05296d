"""Modules that lie beside a program and are imported by travelling sources: they travel too."""

from __future__ import annotations

import ast
import importlib.util
import sys
import tokenize
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from ticktalk.language.imports import PACKAGES
from ticktalk.source_problems import Problems


class Siblings:
    """Gathers the modules beside a program.

    Args:
        directory: where the program lies.
        program: the name under which the program itself could be imported; it never travels.
        problems: where a module that cannot be read is reported, at the program's import of it.
    """

    def __init__(self, directory: Path, program: str, problems: Problems) -> None:
        self._directory = directory
        self._program = program
        self._problems = problems
        self.sources: dict[str, str] = {}

    def add(self, nodes: Iterable[ast.stmt]) -> None:
        """Add the modules that these statements of the program import, and the ones that those import in turn."""
        for node in nodes:
            for statement, top in _imported(node):
                self._add_module(top, statement)

    def _add_module(self, first: str, statement: ast.stmt) -> None:
        waiting = [first]
        while waiting:
            top = waiting.pop()
            if top in (self._program, *PACKAGES) or top in self.sources or f"{top}.__init__" in self.sources:
                continue
            if top in sys.builtin_module_names:
                continue
            for name, path in self._files(top):
                source, tree = self._read(path, statement)
                if tree is None:
                    continue
                self.sources[name] = source
                waiting.extend(found for _, found in _imported(tree))

    def _files(self, top: str) -> list[tuple[str, Path]]:
        """The files of a module or package, with their dotted names.

        As in Python, a package goes before a module, and that before a folder without `__init__.py`. Such a folder goes
        behind what is installed, too.
        """
        package, module = self._directory / top, self._directory / f"{top}.py"
        regular = (package / "__init__.py").is_file()
        if regular or (package.is_dir() and not module.is_file() and not _is_installed(top)):
            files = []
            for path in sorted(package.rglob("*.py")):
                parts = path.relative_to(self._directory).with_suffix("").parts
                if all(part.isidentifier() for part in parts):
                    files.append((".".join(parts), path))
            return files
        return [(top, module)] if module.is_file() else []

    def _read(self, path: Path, statement: ast.stmt) -> tuple[str, ast.Module | None]:
        shown = path.relative_to(self._directory)
        try:
            with tokenize.open(path) as file:
                source = file.read()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return source, ast.parse(source, str(shown))
        except SyntaxError as error:
            what = f"`{shown}`, which is imported here, is not valid Python: line {error.lineno}: {error.msg}"
        except (OSError, ValueError, RecursionError, MemoryError) as error:
            what = f"`{shown}`, which is imported here, cannot be read: {error}"
        self._problems.report(statement, what, "mend that file")
        return "", None


def _is_installed(top: str) -> bool:
    """Whether a module or package of this name is found without the folder of the program; nothing of it is run."""
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
