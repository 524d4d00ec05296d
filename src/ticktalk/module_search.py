"""Modules are found as Python finds them, and nothing of them is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder


def find_module(name: str, folders: Sequence[str] = ()) -> ModuleSpec | None:
    """The specification of a module, None if there is none; `folders` go before those of `sys.path`.

    A folder without `__init__.py` goes behind everything else, as in Python.
    """
    top, *inner = name.split(".")
    try:
        beside = PathFinder.find_spec(top, folders) if folders else None
        specs = [beside, *(finder.find_spec(top, None) for finder in sys.meta_path)]
        found = next((spec for spec in specs if spec is not None and spec.origin is not None), None)
        found = found or next((spec for spec in specs if spec is not None), None)
        for part in inner:
            # By its own name alone: with the name of a package, Python would import that.
            found = found and PathFinder.find_spec(part, list(found.submodule_search_locations or ()))
        if found is None and beside is None and top in sys.stdlib_module_names and name in sys.modules:
            found = sys.modules[name].__spec__  # its package has put it there, as `os.path`: there is no file of it
    except (ImportError, AttributeError, ValueError):
        return None
    return found
