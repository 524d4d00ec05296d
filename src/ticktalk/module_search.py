"""Modules are found as Python finds them, and nothing of them is run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder

EXTRAS = {
    "mcap": "record",
    "numpy": "numpy",
    "paho": "mqtt",
    "psutil": "telemetry",
    "pyarrow": "parquet",
    "rosbags": "rosbag",
    "serial": "serial",
}
"""Top-level modules that programs and drivers may want, and the extra of TickTalk that brings them."""


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


def told(error: BaseException) -> str:
    """The text of an error that a statement raised; of a module that cannot be imported, what to do, too."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        top = error.name.partition(".")[0]
        if top in EXTRAS:
            text += f"; install it there: pip install 'ticktalk[{EXTRAS[top]}]'"
        else:
            text += f"; install what has it there, or lay {top!r} beside the program"
    elif isinstance(error, ImportError) and "relative import" in str(error):
        text += "; the program is in no package: write the import without its leading dots"
    return text
