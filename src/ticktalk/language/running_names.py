"""What the names in code that runs mean, as `running_code.py` reads it."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass, field

from ticktalk.language.changes import Lost, Node, Objects


@dataclass(slots=True)
class ModuleSource:
    """A module: its names, those of them that are bound once, and those whose values nothing can change in place."""

    tree: ast.Module
    package: str
    names: set[str] = field(default_factory=set)
    once: set[str] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    stars: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scope:
    """The names of a function or class; `outside`: those that belong to the module."""

    prefix: str
    names: frozenset[str]
    around: Scope | None = None
    is_class: bool = False
    outside: frozenset[str] = frozenset()


@dataclass(slots=True)
class KnownCode:
    """What is known of a program's modules.

    Attributes:
        find: the module of a dotted name, if it lies beside the program; it is read, too.
        same_as: of names that imports bind, what these are where they are from.
        of_libraries: of names that imports of libraries bind, their dotted names.
        elsewhere: names that code of another module may change.
    """

    find: Callable[[str], str | None]
    sources: dict[str, ModuleSource] = field(default_factory=dict)
    objects: Objects = field(default_factory=Objects)
    same_as: dict[Node, Node] = field(default_factory=dict)
    of_libraries: dict[Node, str] = field(default_factory=dict)
    elsewhere: dict[Node, Lost] = field(default_factory=dict)


class RunningNames:
    """The meanings of names at one place."""

    def __init__(self, known: KnownCode, module: str, scope: Scope) -> None:
        self._known = known
        self._objects = known.objects
        self._module = module
        self._source = known.sources[module]
        self._scope = scope

    def _node(self, name: str) -> Node | None:
        """What a name refers to; None if nothing that is known binds it."""
        scope: Scope | None = self._scope
        while scope is not None and name not in scope.outside:
            if name in scope.names and (scope is self._scope or not scope.is_class):
                return self._module, f"{scope.prefix}{name}"
            scope = scope.around
        if name in self._source.names:
            return self._module, name
        stars = [star for star in self._source.stars if name in self._known.sources[star].names]
        return (stars[-1], name) if stars else None

    def _fixed(self, node: ast.expr) -> Node | None:
        """The module, class or attribute of one that a dotted name can only mean."""
        if isinstance(node, ast.Name):
            found = self._node(node.id)
        elif isinstance(node, ast.Attribute) and (base := self._fixed(node.value)) is not None:
            if base[1] == "":
                whole = f"{base[0]}.{node.attr}".lstrip(".")
                bound = node.attr in self._known.sources[base[0]].names
                found = (base[0], node.attr) if bound else (whole, "") if whole in self._known.sources else None
            else:
                found = self._objects.members.get(base, {}).get(node.attr)
        else:
            return None
        seen = set()
        while found in self._known.same_as and found not in seen:
            seen.add(found)
            found = self._known.same_as[found]
        return found

    def _library(self, node: ast.expr) -> str | None:
        """The dotted name of what a library has."""
        if isinstance(node, ast.Attribute):
            base = self._library(node.value)
            return f"{base}.{node.attr}" if base is not None else None
        if not isinstance(node, ast.Name):
            return None
        found = self._node(node.id)
        if found is None:
            return None if hasattr(builtins, node.id) else f"ticktalk.{node.id}"
        return self._known.of_libraries.get(found)

    def _is_plain(self, node: ast.expr) -> bool:
        found = self._fixed(node)
        return found is not None and found[0] in self._known.sources and found[1] in self._known.sources[found[0]].plain
