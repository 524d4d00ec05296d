"""The modules that a program imports: found where Python would find them, and read, never run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path

from ticktalk.errors import Problem
from ticktalk.graph.graph import TTFunction
from ticktalk.language import folding
from ticktalk.language.evaluation import UNKNOWN, Foreign, Meaning, Reference
from ticktalk.language.expressions import reference_to
from ticktalk.language.function_templates import KNOWN, OLDER, PACKAGES, Template
from ticktalk.language.graph_draft import Constant
from ticktalk.language.imported_modules import ImportedModules
from ticktalk.language.scope import ModuleScope, elsewhere
from ticktalk.language.settled_names import SettledNames
from ticktalk.language.sibling_modules import file_beside, installed, read_source
from ticktalk.language.travelling_sources import TravellingSources
from ticktalk.source_problems import Problems, did_you_mean


class Modules:
    """Gives the meanings of imports.

    Args:
        directory: where the program lies; None for no modules beside it.
        program: the name under which the program itself could be imported.
        shown: the program's file, as messages show it.
        found: where problems of all files go.
    """

    def __init__(self, directory: Path | None, program: str, shown: str, found: list[Problem]) -> None:
        self._directory = directory
        self._program = program
        self._shown = Path(shown).parent
        self._found = found
        self._scopes: dict[str, tuple[ModuleScope, TravellingSources] | None] = {}
        self._trees: dict[str, tuple[ast.Module, str] | None] = {}
        self._settled = SettledNames(cache(self._files_beside))

    def program(self, tree: ast.Module, problems: Problems) -> ModuleScope:
        """The scope of the program, whose imports are looked up here."""
        self._trees[""] = tree, ""
        with self._settled.reading():
            scope = ModuleScope(tree, problems, partial(self.imported, "", problems))
        self._settled.add("", scope)
        return scope

    def _files_beside(self) -> dict[str, ast.Module]:
        """The trees of the modules beside the program that it imports, by file; its own by ""."""
        beside = ImportedModules(lambda name: self.tree(name) if self._is_beside(name) else None)
        found = {"": self._trees[""]}
        for name in beside.reached([""]) - {""}:
            place = self._beside(name)
            if place is not None and place.is_file():
                found[self._file_of(place)] = self.tree(name)
        return {file: known[0] for file, known in found.items() if known is not None}

    def _is_beside(self, name: str) -> bool:
        place = self._beside(name) if name else None
        return not name or (place is not None and place.is_file())

    def _file_of(self, place: Path) -> str:
        """A file as messages show it."""
        return str(self._shown / self._relative(place))

    def imported(
        self,
        package: str,
        problems: Problems,
        statement: ast.Import | ast.ImportFrom,
        alias: ast.alias,
        libraries: bool,
    ) -> Meaning | None:
        """The names that an import binds; None if that is nothing that is known here.

        Args:
            package: the package of the importing module.
            problems: of its file.
            statement: the import.
            alias: which of its names; it need not stand there, if it is a star import.
            libraries: whether it is looked for in installed libraries, too.
        """
        if isinstance(statement, ast.Import):
            name = alias.name if alias.asname else alias.name.split(".")[0]
            return self._module(name, libraries, statement, problems, alias.asname or name)
        name, shown = statement.module or "", alias.asname or alias.name
        if statement.level:
            parts = package.split(".") if package else []
            outer = parts[: len(parts) + 1 - statement.level]
            if len(parts) + 1 < statement.level:
                if alias not in statement.names:  # of a star
                    return None
                place = f"{problems.file}:{statement.lineno}"
                what = f"`{shown}` is imported from above the folder of the program ({place})"
                return Foreign(what, "put the module beside the program, or into a package there, and count the dots")
            name = ".".join([*outer, *([name] if name else [])])
        if not name:  # `from . import devices` in the program
            return self._module(alias.name, libraries, statement, problems, shown)
        module = self._module(name, libraries, statement, problems, shown)
        if not isinstance(module, Reference):
            return module
        meaning = module.member(alias.name)
        known = self._scopes.get(name)
        if alias not in statement.names and known is not None and not known[0].exports(alias.name):
            return None
        if isinstance(meaning, Foreign) and alias not in statement.names:  # of a star, which may not bind it
            return meaning if known is not None and alias.name in known[0].bound else None
        return meaning

    def travel(self, template: Template) -> TTFunction:
        """The function of another module, as it travels."""
        known = self._scopes[template.module]
        assert known is not None
        scope, sources = known
        function = sources.function(template)
        function.name, function.module = template.key, template.module
        function.assigns = sorted({name for node in scope.tree.body for name in sources.assigned(node)})
        return function

    def tree(self, name: str) -> tuple[ast.Module, str] | None:
        """The syntax tree of a module and the name of its package, if annotations may be looked up there.

        Those are modules beside the program, and of libraries of which the program uses functions or graphs.
        """
        top = name.split(".")[0]
        if name and name not in self._trees:
            self._trees[name] = None
            place = self._beside(name)
            if place is None and top in {known.split(".")[0] for known in self._scopes}:
                place = installed(name)
            if place is not None and place.is_file() and top not in (self._program, *PACKAGES):
                package = name if place.name == "__init__.py" else name.rpartition(".")[0]
                known = self._scopes.get(name)
                with suppress(ValueError):
                    tree = known[0].tree if known is not None else read_source(place, place)[1]
                    self._trees[name] = tree, package
        return self._trees[name]

    def mistakes(self, used: Iterable[Template]) -> list[Problem]:
        """Those in the functions of other modules that are used."""
        found = (mistake for template in used if template.module for mistake in template.mistakes)
        return list(dict.fromkeys(found))  # two bodies may call the same function

    def _module(
        self, name: str, libraries: bool, statement: ast.stmt, problems: Problems, shown: str
    ) -> Meaning | None:
        """The module of a dotted name, which is called `shown`; None if it is not to be found."""
        top = name.split(".")[0]
        if top in (self._program, *PACKAGES):
            return None
        place = None if top in sys.builtin_module_names else self._beside(name)
        if place is None and name == "math":
            return Reference("file", name, member=_of_math)
        if place is None and libraries and top not in sys.stdlib_module_names and self._beside(top) is None:
            place = installed(name)
        if place is None:
            return Reference("module", name, member=partial(_of_older, name)) if name in OLDER else None
        if name not in self._scopes:
            self._scopes[name] = None  # so that a circle of imports ends
            if place.is_file():
                try:
                    text, tree = read_source(place, self._relative(place))
                except ValueError as error:
                    problems.report(statement, str(error), "mend that file")
                    return UNKNOWN
                is_package = place.name == "__init__.py"
                own = Problems(self._file_of(place), text, self._found)
                resolve = partial(self.imported, name if is_package else name.rpartition(".")[0], own)
                file = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
                with self._settled.reading():
                    scope = ModuleScope(tree, own, resolve, name, file)
                self._settled.add(name, scope)
                sources = TravellingSources(text, scope, ImportedModules(lambda _: None))
                sources.add_components(scope.templates.values())
                self._scopes[name] = (scope, sources)
        return Reference("file", name, member=partial(self._member, name, statement, problems, shown))

    def _member(self, module: str, statement: ast.stmt, problems: Problems, shown: str, name: str) -> Meaning | None:
        known = self._scopes[module]
        meaning = known[0].meanings.find(name) if known is not None else None
        if meaning is None and (known is None or name not in known[0].bound):
            meaning = self._module(f"{module}.{name}", True, statement, problems, f"{shown}.{name}")
        if self._beside(module) is None:
            return elsewhere(shown) if meaning is None or isinstance(meaning, Foreign) else meaning
        if meaning is None and known is not None and "__getattr__" not in known[0].bound:
            return Foreign(f"`{module}` has no `{name}`", did_you_mean(name, known[0].bound) or "mend its name")
        return meaning

    def _relative(self, path: Path) -> Path:
        if self._directory is not None and path.is_relative_to(self._directory):
            return path.relative_to(self._directory)
        return path

    def _beside(self, name: str) -> Path | None:
        return None if self._directory is None else file_beside(self._directory, name)


def _of_math(name: str) -> Meaning:
    """The meaning of a name in the module `math`."""
    if name not in folding.MATH:
        return Foreign(f"`math` has no `{name}`", did_you_mean(name, folding.MATH) or "mend its name")
    found = folding.MATH[name]
    return Reference("builtin", f"math.{name}") if callable(found) else Constant(found)


def _of_older(module: str, name: str) -> Meaning | None:
    """The meaning of a name in a module of an older release."""
    return reference_to(f"{module}.{name}") if name in KNOWN else None
