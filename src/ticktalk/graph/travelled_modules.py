"""Imports of modules that came with a graph, from memory, under a name of the graph's own in `sys.modules`."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import linecache
import sys
import types
from collections.abc import Sequence
from typing import Any


class TravelledModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules that came with a graph, from memory."""

    _sets: dict[str, tuple[dict[str, str], Any]] = {}

    @classmethod
    def add(cls, prefix: str, modules: dict[str, str], names: Any) -> None:
        if not any(isinstance(finder, cls) for finder in sys.meta_path):
            sys.meta_path.insert(0, cls())
        cls._sets[prefix] = (modules, names)

    @classmethod
    def remove(cls, prefix: str) -> None:
        cls._sets.pop(prefix, None)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        prefix, _, name = fullname.partition(".")
        if prefix not in self._sets:
            return None
        modules, _ = self._sets[prefix]
        if not name or f"{name}.__init__" in modules:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        if name in modules:
            return importlib.machinery.ModuleSpec(fullname, self)
        if any(module.startswith(f"{name}.") for module in modules):  # a namespace package
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        prefix, _, name = module.__name__.partition(".")
        modules, names = self._sets[prefix]
        source = modules.get(f"{name}.__init__", modules.get(name, ""))
        file = name.replace(".", "/") + ("/__init__.py" if f"{name}.__init__" in modules else ".py")
        module.__file__ = file
        module.__dict__["__builtins__"] = names
        lines = source.splitlines(keepends=True)
        linecache.cache[file] = (len(source), None, lines, file)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
