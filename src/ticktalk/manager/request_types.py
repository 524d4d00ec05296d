"""The types of callbacks, and of the content of messages that Python made, as the manager is given them.

They are checked before anything is done. Messages of other devices are checked where they are decoded (`ranges.py`).
"""

from __future__ import annotations

import enum
import operator
import reprlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from numbers import Integral
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from ticktalk.mapping.weights import Weights
from ticktalk.messages import ROWS
from ticktalk.printable import bounded

_SHORT = reprlib.Repr()  # it fails nowhere, though a `__repr__` of the user's may: the requester waits for an answer
_SHORT.maxstring = _SHORT.maxother = 100


def check_callback(callback: Callable[[Any], None]) -> Callable[[Any], None]:
    """A callback as it was given.

    Raises:
        TypeError: it cannot be called.
    """
    if not callable(callback):
        raise TypeError(f"a callback is a function of one argument, not {_shown(callback)}")
    return callback


def wrong_payload(kind: enum.Enum, payload: Any) -> str:
    """The reason why a payload is not of this kind; empty: it is."""
    row = ROWS[kind]
    if not _fits(payload, row.payload):
        wanted = getattr(row.payload, "__name__", "str")
        return f"{kind.name} carries a {wanted} ({row.doc}), not {_shown(payload)}"
    return ""


def with_plain_numbers(kind: enum.Enum, request: Any) -> None:
    """Make whole numbers of other kinds, such as NumPy's, plain ones in the fields of a request."""
    for name in _hints(kind):
        value = getattr(request, name)
        if isinstance(value, Integral) and not isinstance(value, int):
            setattr(request, name, operator.index(value))


def wrong_field(kind: enum.Enum, request: Any) -> str:
    """The reason why a field of a request cannot have its value; empty: all can."""
    written = ROWS[kind].payload.__annotations__
    for name, hint in _hints(kind).items():
        value = getattr(request, name)
        if not _fits(value, hint):
            return f"{kind.name}: {name} is {_shown(value)}, which is not of type {written[name]}"
    return ""


@cache
def _hints(kind: enum.Enum) -> dict[str, Any]:
    return get_type_hints(ROWS[kind].payload, localns={"Weights": Weights})


def _fits(value: Any, hint: Any) -> bool:
    """True if a value is of a type, with all that it contains."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Annotated:
        return _fits(value, parts[0])
    if isinstance(value, bool) and hint is int:
        return False
    if not isinstance(value, origin or hint):
        return False
    if isinstance(value, Mapping) and parts:
        return all(_fits(key, parts[0]) and _fits(item, parts[1]) for key, item in value.items())
    if isinstance(value, Sequence) and parts:
        return all(_fits(item, parts[0]) for item in value)
    return True


def _shown(value: Any) -> str:
    return bounded(_SHORT.repr(value), 100)
