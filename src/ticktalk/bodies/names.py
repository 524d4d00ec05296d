"""The values of global names of a body with which no code of a program runs in it: Python's own, and plain ones."""

from __future__ import annotations

import builtins
import math
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple

from ticktalk.bodies.source import NotPlainError
from ticktalk.time import TTEmpty

BUILTINS: dict[str, Any] = {
    f.__name__: f
    for f in (
        *(abs, all, any, bin, bool, bytes, chr, complex, dict, divmod, enumerate, float, format, frozenset, hash, hex),
        *(int, isinstance, len, list, max, min, oct, ord, pow, range, repr, reversed, round, set, sorted, str, sum),
        *(tuple, zip, ArithmeticError, AssertionError, Exception, IndexError, KeyError, LookupError, OverflowError),
        *(RuntimeError, TypeError, ValueError, ZeroDivisionError),
    )
}
"""By name, the functions of Python that run no other code on plain values."""

MODULES: dict[str, ModuleType] = {"math": math, "time": time}

KNOWN: dict[str, Any] = BUILTINS | {
    f"{module}.{name}": value
    for module, its in MODULES.items()
    for name, value in vars(its).items()
    if callable(value) and not name.startswith("_")
}
"""By name, these functions and those of the modules, as they are before any program runs."""

_NAMES = {id(value): name for name, value in KNOWN.items()}


class Held(NamedTuple):
    """The functions, modules and values that the global names of a body hold.

    Attributes:
        means: by name, the function or module of Python (`len`, `math.sqrt`, `time`).
        constants: by name, the plain value.
    """

    means: dict[str, str]
    constants: dict[str, Any]


def held_by(names: Iterable[str], namespace: Mapping[str, Any], is_constant: Callable[[Any], bool]) -> Held:
    """The functions, modules and values that these names hold in a namespace.

    Args:
        names: the names.
        namespace: of the body.
        is_constant: true of the plain values that a name may hold.

    Raises:
        NotPlainError: one holds something else.
    """
    means, constants = {}, {}
    for name in names:
        value = held_at(name, namespace)
        if is_constant(value):
            constants[name] = value
        elif value is TTEmpty and name == "TTEmpty":
            means[name] = name
        else:
            means[name] = _name_of(value)
    return Held(means, constants)


def held_at(name: str, namespace: Mapping[str, Any]) -> Any:
    """The value of a global name in a namespace; `NotPlainError`, if it is unknown there."""
    return namespace.get(name, getattr(builtins, name, NotPlainError))


def _name_of(value: Any) -> str:
    """The name of one of Python's functions or modules, as long as nobody has changed that."""
    if id(value) in _NAMES:
        return _NAMES[id(value)]
    for name, module in MODULES.items():
        own = {key: known for key, known in KNOWN.items() if key.startswith(f"{name}.")}
        if value is module and all(getattr(module, key[len(name) + 1 :], None) is each for key, each in own.items()):
            return name
    raise NotPlainError
