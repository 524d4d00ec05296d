"""Values as text: as JSON lines, and as a repr that is the same in every run.

A value that JSON cannot hold exactly is `"repr"` in place of `"value"`. Sets are sorted and addresses left out: a
simulated run prints the same bytes every time.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import json
import math
import re
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ticktalk.printable import joined


def json_line(row: Any) -> str:
    """`row` as one line of JSON, without the line's end; ints of any size are numbers."""
    try:
        return _dump(row)
    except ValueError:
        with any_digits():
            return _dump(row)


@functools.lru_cache(1024)
def json_name(name: str) -> str:
    """A name as JSON: the same ones come again and again."""
    return json_line(name)


def value_field(value: Any) -> str:
    """`value` as a field of a JSON object: `"value": ...` if JSON can hold it exactly, else `"repr": "..."`."""
    exact, shown = as_json(value)
    return json_line({"value" if exact else "repr": shown})[1:-1]


def whole_pairs(text: str) -> str:
    """JSON text for a strict reader: U+FFFD in place of each escaped half of a surrogate pair, as Python writes it."""
    return _HALF.sub(r"\\ufffd", text)


_HALF = re.compile(r"\\ud[89a-f][0-9a-f]{2}")


@contextmanager
def any_digits() -> Iterator[None]:
    """Let ints be written beyond Python's limit for decimal digits."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


_dump_as_it_is = json.JSONEncoder(ensure_ascii=False).encode
_dump_ascii = json.JSONEncoder().encode


def _dump(row: Any) -> str:
    text = _dump_as_it_is(row)
    return text if text.isprintable() else _dump_ascii(row)


def as_json(value: Any) -> tuple[bool, Any]:
    """`(True, JSON data)` if JSON can hold `value` exactly (a tuple is a list), else `(False, its repr)`."""
    try:
        return True, _json(value)
    except (_NotExact, RecursionError):
        return False, stable_repr(value)


class _NotExact(Exception):
    pass


def _json(value: Any) -> Any:
    kind = value.__class__
    if value is None or kind is bool or kind is int or kind is str:
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        raise _NotExact
    if isinstance(value, enum.Enum):
        raise _NotExact
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise _NotExact
        return {str(key): _json(item) for key, item in value.items()}
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.bool_, numpy.integer, numpy.floating)):
        plain = value.item()
        if plain.__class__ in (bool, int, float):
            return _json(plain)
        raise _NotExact
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    raise _NotExact


def stable_repr(value: Any) -> str:
    """`repr(value)` that is the same in every run: sets sorted, no addresses."""
    try:
        try:
            return _repr(value)
        except ValueError:
            with any_digits():
                return _repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"


def shown_repr(value: Any) -> str:
    """`stable_repr` for people: the lines of an array or a table follow one another on one."""
    return joined(stable_repr(value))


_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def _repr(value: Any) -> str:
    kind = value.__class__
    if kind is list:
        return "[" + ", ".join(map(_repr, value)) + "]"
    if kind is tuple:
        return "(" + ", ".join(map(_repr, value)) + ("," if len(value) == 1 else "") + ")"
    if kind is dict:
        return "{" + ", ".join(f"{_repr(key)}: {_repr(item)}" for key, item in value.items()) + "}"
    if kind is set or kind is frozenset:
        if not value:
            return repr(value)
        items = _in_order(value)
        text = "{" + ", ".join(map(_repr, items)) + "}"
        return text if kind is set else f"frozenset({text})"
    parts = _parts(value)
    if parts is not None:
        return parts
    text = repr(value)
    return text if kind is str else _ADDRESS.sub("", text)


def _in_order(items: Any) -> list[Any]:
    """A set's items in their own order if they have one, else by type and repr."""
    kinds = {item.__class__ for item in items}
    ordered = kinds <= {bool, int, float} or (len(kinds) == 1 and not kinds & {set, frozenset})
    if ordered and all(item == item for item in items):  # NaN is in no order
        try:
            return sorted(items)
        except TypeError:
            pass
    return sorted(items, key=lambda item: (type(item).__qualname__, _repr(item)))


def _parts(value: Any) -> str | None:
    """The repr of a value that holds others, perhaps a set; None of other values."""
    kind = type(value)
    # A repr that `dataclass` made is wrapped against values that hold themselves; one of the program's own is used.
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.repr and hasattr(kind.__repr__, "__wrapped__"):
        shown = [
            f"{field.name}={_repr(getattr(value, field.name))}" for field in dataclasses.fields(value) if field.repr
        ]
        return f"{kind.__qualname__}({', '.join(shown)})"
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return f"{kind.__name__}({', '.join(f'{n}={_repr(v)}' for n, v in zip(kind._fields, value, strict=True))})"
    if kind is types.SimpleNamespace:
        return f"namespace({', '.join(f'{name}={_repr(item)}' for name, item in vars(value).items())})"
    if kind is collections.deque:
        bound = "" if value.maxlen is None else f", maxlen={value.maxlen}"
        return f"deque({_repr(list(value))}{bound})"
    if kind is collections.defaultdict:
        return f"defaultdict({_repr(value.default_factory)}, {_repr(dict(value))})"
    if kind is collections.OrderedDict:
        return f"OrderedDict({_repr(list(value.items()) if sys.version_info < (3, 12) else dict(value))})"
    return None
