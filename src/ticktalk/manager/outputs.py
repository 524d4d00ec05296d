"""Outputs: the tokens that come back to the manager, and how they read as JSON lines.

What JSON cannot hold exactly is `"repr"` in place of `"value"`; sets are sorted, addresses left out, so that a
simulated run prints the same bytes every time.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import json
import math
import re
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import msgspec

from ticktalk.time import INFINITY, NEG_INFINITY, Tick


class OutputToken(msgspec.Struct, frozen=True):
    """An output token of a graph, as it reached the manager.

    Attributes:
        graph: the graph's name.
        value: its value.
        start, stop: its interval, root ticks, possibly infinite.
        sq: the SQ that sent it.
        ensemble: the ensemble that hosts the SQ.
        context: the start it belongs to.
        arrival: the root tick at which it reached the manager.
    """

    graph: str
    value: Any
    start: Tick
    stop: Tick
    sq: str
    ensemble: str
    context: int = 0
    arrival: int = 0

    def row(self) -> dict[str, Any]:
        """The token as a JSON object: `value` or `repr`, ticks of the root clock, None for an infinite end."""
        row: dict[str, Any] = {"graph": self.graph}
        exact, shown = as_json(self.value)
        row["value" if exact else "repr"] = shown
        row["start"] = None if self.start == NEG_INFINITY else self.start
        row["stop"] = None if self.stop == INFINITY else self.stop
        row["sq"] = self.sq
        row["ensemble"] = self.ensemble
        return row

    def log_row(self) -> dict[str, Any]:
        """`row` with `context` and `arrival`, as the output log has it."""
        return {**self.row(), "context": self.context, "arrival": self.arrival}


def json_line(row: dict[str, Any]) -> str:
    """`row` as one line of JSON, without the line's end; ints of any size are numbers."""
    try:
        return _dump(row)
    except ValueError:
        with _any_digits():
            return _dump(row)


@contextmanager
def _any_digits() -> Iterator[None]:
    """Let ints be written beyond Python's limit for decimal digits."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


def _dump(row: dict[str, Any]) -> str:
    text = json.dumps(row, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(row)


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
            with _any_digits():
                return _repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"


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
    """The repr of what holds other values, a set among them perhaps; None of what does not."""
    kind = type(value)
    if dataclasses.is_dataclass(value) and kind.__dataclass_params__.repr:
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


class OutputLog:
    """Takes output tokens: appends them to a file, one JSON object a line, and tells those who listen.

    Args:
        log_file: a path, an open text file, or None for no file.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, log_file: Any = None) -> None:
        self._file: TextIO | None = None
        self._own = False
        if log_file is not None:
            if hasattr(log_file, "write"):
                self._file = log_file
            else:
                self._file = open(log_file, "a", encoding="utf-8")  # noqa: SIM115  closed by close()
                self._own = True
        self.listeners: list[Callable[[OutputToken], None]] = []
        self.count = 0

    def add(self, token: OutputToken) -> None:
        """Take one token, in the order of arrival."""
        self.count += 1
        if self._file is not None:
            self._file.write(json_line(token.log_row()) + "\n")
        for listener in self.listeners:
            listener(token)

    def flush(self) -> None:
        """Bring what was written to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._file is not None:
            self._file.flush()
            if self._own:
                self._file.close()
                self._file = None
