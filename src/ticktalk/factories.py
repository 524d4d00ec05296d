"""Drivers of components, made from `module:factory` texts where the SQs that use them run."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from pathlib import Path
from typing import Any

from ticktalk.errors import TTError


def make_driver(ensemble: str, component: str, factory: str, near: Path, **context: Any) -> Any:
    """The driver object that `factory` (`module:name`) makes.

    Args:
        ensemble, component: their names, for messages.
        factory: a module found beside the program, in the current directory or installed, and a callable in it.
        near: the program's folder.
        context: offered to the factory by name, such as `env`, the SimPy environment.

    Raises:
        TTError: the module or the callable is not there, or it fails.
    """
    what = f"component {component!r} of ensemble {ensemble!r} ({factory})"
    for folder in (str(Path.cwd()), str(near)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module_name, _, name = factory.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise TTError(f"{what}: the module {module_name!r} cannot be imported: {_text_of(error)}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise TTError(f"{what}: the module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    try:
        wanted = inspect.signature(found).parameters
    except (TypeError, ValueError):
        wanted = {}  # type: ignore[assignment]
    try:
        return found(**{key: item for key, item in context.items() if key in wanted})
    except Exception as error:
        raise TTError(f"{what}: the factory failed: {_text_of(error)}") from None


def _text_of(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {error}{at}"
