"""The constants of modules that are known at compile time.

A constant is what its assignment says, where no code that runs at import may change it (`changes_at_import.py`). Else
it is not known, as that code is never run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ticktalk.language.changes_at_import import ChangesAtImport, ModuleConstant
from ticktalk.language.classes import ClassName, EnumMember
from ticktalk.language.evaluation import Foreign, Imported, Listing, Meaning
from ticktalk.language.graph_draft import Constant
from ticktalk.language.scope import ModuleScope
from ticktalk.language.value_flow import Depths, of_holder

_INSTEAD = "give that code a copy (`list(...)`), bind it to a literal, or use it in the body of an SQ"


@dataclass(frozen=True, slots=True, eq=False)
class _SettledClass(Foreign):
    """A class whose constants are looked at where they are used."""

    of: Callable[[str], Meaning | None]

    def member(self, name: str) -> Meaning | None:
        """The constant of that name, or why it is none."""
        return self.of(name)


class SettledNames:
    """Knows the constants of a program and of the modules that it imports.

    Args:
        beside: gives the trees of the program and of the modules beside it that it imports, by file.
    """

    def __init__(self, beside: Callable[[], dict[str, ast.Module]]) -> None:
        self._beside = beside
        self._scopes: dict[str, ModuleScope] = {}
        self._reading = 0  # modules, whose names are not settled before their end is reached
        self._looks: dict[str, ChangesAtImport] = {}

    @contextmanager
    def reading(self) -> Iterator[None]:
        """While a module is read, each name means what the assignment above says."""
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1

    def add(self, module: str, scope: ModuleScope) -> None:
        """Settle the names of a module that was read; "" is the program."""
        self._scopes[module] = scope
        scope.meanings.settled = lambda name, meaning: self._settled(module, name, meaning)

    def _settled(self, module: str, name: str, meaning: Meaning) -> Meaning:
        if self._reading:
            return meaning
        if isinstance(meaning, ClassName):
            return self._class(module, name, meaning)
        if isinstance(meaning, Constant | Listing):
            return self._constant(module, name, meaning)
        return meaning

    def _class(self, module: str, path: str, found: ClassName) -> Foreign:
        """A class whose constants are looked at where they are used."""

        def member(name: str) -> Meaning:
            inner = found.member(name)
            if isinstance(inner, ClassName):
                return self._class(module, f"{path}.{name}", inner)
            if isinstance(inner, EnumMember) and isinstance(inner.value, Constant | Listing):
                return replace(inner, value=self._constant(module, f"{path}.{name}.value", inner.value))
            return self._constant(module, f"{path}.{name}", inner) if isinstance(inner, Constant | Listing) else inner

        return _SettledClass(found.what, found.instead, member)

    def _constant(self, module: str, path: str, meaning: Constant | Listing) -> Meaning:
        """A constant, if no code may change it; else why it is none."""
        look, file, names = self._look(module), self._file_of(module), path.split(".")
        depths = _depths_of(meaning)
        asked = [ModuleConstant(file, name, frozenset()) for name in names[:1] if len(names) > 1]
        asked += [ModuleConstant(file, name, depths, len(names) > 1) for name in names[1:] or names]
        place = next((found for each in asked if (found := look.place(each)) is not None), None)
        if place is None:
            return meaning
        if place.of:
            return Foreign(f"`{place.of}` is changed in {place}, so `{path}` is not known at compile time", _INSTEAD)
        return Foreign(f"`{path}` ({place}) is not known at compile time: it may be changed there", _INSTEAD)

    def _file_of(self, module: str) -> str:
        return self._scopes[module].home.problems.file if module else ""

    def _look(self, module: str) -> ChangesAtImport:
        """The look at the modules beside the program, and at the module of a library."""
        beside, file = self._beside(), self._file_of(module)
        library = file if file not in beside else ""
        if library not in self._looks:
            trees = {**beside, library: self._scopes[module].tree} if library else beside
            self._looks[library] = ChangesAtImport(trees, self._kind)
        return self._looks[library]

    def _kind(self, name: str) -> Depths | None:
        """At which depths the constants of that name in all modules can be changed; None if there are none."""
        meanings = [
            meaning
            for scope in self._scopes.values()
            for meaning in [scope.meanings.get(name), *_in_classes(scope.meanings.values(), name)]
            if isinstance(meaning, Constant | Listing)
        ]
        return frozenset().union(*map(_depths_of, meanings)) if meanings else None


def _depths_of(meaning: Constant | Listing) -> Depths:
    """At which depths a constant can be changed in place."""
    value = meaning.value if isinstance(meaning, Constant) else meaning
    items: list[object] = []
    if isinstance(value, Listing):
        items = list(value.items)
    elif isinstance(value, dict | list | tuple):
        items = [*value.values()] if isinstance(value, dict) else list(value)
    below = frozenset[int]().union(
        *(_depths_of(item if isinstance(item, Listing | Constant) else Constant(item)) for item in items)
    )
    changes = isinstance(value, dict | list | set) or (isinstance(value, Listing) and not value.is_tuple)
    return of_holder(below) | ({0} if changes else frozenset())


def _in_classes(meanings: Iterable[Meaning | Imported], name: str) -> Iterator[Meaning]:
    """The meanings of a name in the classes among some meanings, and in the classes in those."""
    for meaning in meanings:
        if isinstance(meaning, ClassName):
            own = {key: value for key, value in vars(meaning.twin).items() if key.startswith(".")}
            if (found := own.get(f".{name}")) is not None:
                yield found
            yield from _in_classes(own.values(), name)
