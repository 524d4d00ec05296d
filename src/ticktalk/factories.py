"""Drivers of components, made from `module:factory` texts where the SQs that use them run.

A factory asks for facts by parameters without defaults: `component` and `ensemble`, their names, and `folder`, the
program's. A simulation also gives `env`, its SimPy environment, to parameters with and without a default.
"""

from __future__ import annotations

import importlib
import inspect
import re
import symtable
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ticktalk.error_hints import told
from ticktalk.errors import TTError
from ticktalk.input_file import read_source_text
from ticktalk.module_search import find_module
from ticktalk.source_problems import did_you_mean


def check_factory(ensemble: str, component: str, factory: str, near: str) -> None:
    """Check that a factory can be found, as far as this is seen without running anything; arguments: `make_driver`.

    Raises:
        TTError: there is no such module, it cannot be read, or it binds no such name.
    """
    what = _what(ensemble, component, factory)
    module, _, name = factory.partition(":")
    spec = find_module(module, [near, str(Path.cwd())])
    if spec is None:
        hint = f"; write {module.removesuffix('.py')}:{name}" if module.endswith(".py") else ""
        raise TTError(f"{what}: there is no module {module!r} beside the program, in {Path.cwd()}, or installed{hint}")
    if spec.origin is None or not spec.origin.endswith(".py"):
        return
    try:
        text = read_source_text(spec.origin)
        bound = symtable.symtable(text, spec.origin, "exec").get_symbols()
    except (OSError, SyntaxError, ValueError) as error:
        raise TTError(f"{what}: the module {module!r} cannot be read: {error}") from None
    names = {symbol.get_name() for symbol in bound if symbol.is_assigned() or symbol.is_imported()}
    others = re.search(r"import\s*\(?\s*\*|__getattr__|globals|exec", text)  # ways to bind further names
    if name.partition(".")[0] not in names and not others:
        hint = did_you_mean(name, names)
        raise TTError(f"{what}: the module {module!r} has no {name!r}" + (f"; {hint}" if hint else ""))


def make_driver(ensemble: str, component: str, factory: str, near: Path, **context: Any) -> Any:
    """The driver object that `factory` (`module:name`) makes.

    Args:
        ensemble, component: their names.
        factory: a module found beside the program, in the current directory or installed, and a callable in it.
        near: the program's folder.
        context: what only this driver can give, such as `env`, the SimPy environment.

    Raises:
        TTError: the module or the callable is not there, it fails, or it asks for what cannot be given.
    """
    check_factory(ensemble, component, factory, str(near))
    what = _what(ensemble, component, factory)
    found = imported(what, factory, near)
    given = {"component": component, "ensemble": ensemble, "folder": near, **context}
    if not callable(found):
        kind = type(found).__name__
        raise TTError(f"{what}: it is a value of type {kind}: name a class, or a function that makes the driver")
    if inspect.iscoroutinefunction(found):
        raise TTError(f"{what}: the factory is an `async def`, and nothing awaits it: write a plain `def`")
    parameters = _parameters(found)
    asked = {p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if unknown := sorted(asked - given.keys()):
        raise TTError(
            f"{what}: the factory asks for {', '.join(map(repr, unknown))}: give the parameter a default. A factory can"
            " be given component, ensemble and folder, and in a simulation env"
        )
    try:
        return found(**{p.name: given[p.name] for p in parameters if p.name in asked or p.name in context})
    except Exception as error:
        raise TTError(f"{what}: the factory failed: {_text_of(error)}") from None


def is_given(factory: str, near: Path, fact: str) -> bool:
    """True if a factory that has made a driver (`make_driver`) was given a fact that only this driver could give."""
    return any(parameter.name == fact for parameter in _parameters(imported(factory, factory, near)))


def _parameters(found: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return []


def imported(what: str, place: str, near: Path) -> Any:
    """The object that `module:name` names: in a module beside the program, in the current directory or installed.

    Raises:
        TTError: it is not there, or cannot be imported; `what` says whose it is.
    """
    for folder in (str(Path.cwd()), str(near)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module_name, _, name = place.partition(":")
    if not (module_name and name):
        raise TTError(f"{what}: write MODULE:NAME, such as drivers:camera")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise TTError(f"{what}: the module {module_name!r} cannot be imported: {_text_of(error)}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise TTError(f"{what}: the module {module_name!r} has no {name!r}")
        found = getattr(found, part)
    return found


def _what(ensemble: str, component: str, factory: str) -> str:
    return f"component {component!r} of ensemble {ensemble!r} ({factory})"


def _text_of(error: Exception) -> str:
    if isinstance(error, TTError):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{told(error)}{at}"
