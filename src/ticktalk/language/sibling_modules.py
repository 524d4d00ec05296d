"""Modules that lie beside a program and are imported by travelling sources: they travel too."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from ticktalk.input_file import read_source_text
from ticktalk.language.function_templates import OLDER, PACKAGES, module_of_call
from ticktalk.module_search import find_module
from ticktalk.source_problems import Problems


def sibling_modules(
    directory: Path | None, program: str, nodes: Iterable[ast.stmt], functions: Iterable[str], problems: Problems
) -> dict[str, str]:
    """The sources of the modules that some statements of a program import, and of those that these import in turn.

    `functions` are dotted names of modules whose functions the graph uses. The program itself, which could be imported
    as `program`, never travels. A module that cannot be read is reported at the program's import of it.
    """
    sources: dict[str, str] = {}
    seen = {program, *PACKAGES}
    imports: list[tuple[ast.stmt | ast.expr | None, str]] = [(None, name.split(".")[0]) for name in functions]
    for node in nodes:
        imports += _imported(node, of_program=True)
    for statement, first in imports:
        waiting = [first]
        while waiting:
            top = waiting.pop()
            if top in seen:
                continue
            seen.add(top)
            files = _files(directory, top)
            if not files and top in OLDER and not _is_installed(top):
                sources[top] = f"from ticktalkpython.{top} import *\n"
            for name, path, shown in files:
                try:
                    sources[name], tree = read_source(path, shown)
                except ValueError as error:
                    if statement is not None:
                        problems.report(statement, str(error), "mend that file")
                else:
                    waiting.extend(found for _, found in _imported(tree))
    return sources


def _files(directory: Path | None, top: str) -> list[tuple[str, Path, Path]]:
    """The files of a module or package beside the program, with their dotted names and their places in the folder."""
    found = None if directory is None or top in sys.builtin_module_names else file_beside(directory, top)
    if directory is None or found is None:
        return []
    files = []
    for path in [found] if found == directory / f"{top}.py" else sorted((directory / top).rglob("*.py")):
        place = path.relative_to(directory)
        parts = place.with_suffix("").parts
        if all(part.isidentifier() for part in parts):
            files.append((".".join(parts), path, place))
    return files


def file_beside(directory: Path, name: str) -> Path | None:
    """The file of a module beside the program; of a package without `__init__.py`, its folder.

    As in Python, a package goes before a module, and that before a folder without `__init__.py`. Such a folder goes
    behind installed packages, too.
    """
    path = directory.joinpath(*name.split("."))
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    top = directory / name.split(".")[0]
    return path if path.is_dir() and ((top / "__init__.py").is_file() or not _is_installed(top.name)) else None


def installed(name: str) -> Path | None:
    """The file of an installed module; of a package without `__init__.py`, its folder. Nothing of it is run."""
    spec = find_module(name)
    if spec is None or spec.origin is not None:
        return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None
    folders = list(spec.submodule_search_locations or ())
    return Path(folders[0]) if folders else None


def read_source(path: Path, shown: Path) -> tuple[str, ast.Module]:
    """The text of a module, and its syntax tree.

    Raises:
        ValueError: there is none; the message says why.
    """
    try:
        source = read_source_text(path)
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
    found = find_module(top)
    return found is not None and found.origin is not None


def _imported(tree: ast.AST, of_program: bool = False) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """The imports anywhere in it, statements and calls, with the top-level module of each.

    Relative imports of the program itself count from its own folder; a package travels as a whole.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and (node.level == 0 or (of_program and node.level == 1)):
            for name in [node.module] if node.module else [alias.name for alias in node.names]:
                yield node, name.split(".")[0]
        elif isinstance(node, ast.Call) and (name := module_of_call(node)):
            yield node, name.split(".")[0]
