"""The table of types that cross as other, plainer values: one row for each.

A row takes a value of exactly its type apart, into something that has a codec, and makes it again. The same rows serve
the copies that receivers on one ensemble get. Rows of libraries are loaded when a value of theirs is met.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import importlib
import ipaddress
import pathlib
import re
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

from ticktalk.time import ROOT, TTClock, TTTime


class NoCodecError(TypeError):
    """A value that cannot leave its SQ: register a codec for its type, or send something plainer."""


class ValueFormatError(ValueError):
    """Bytes that are no value of this format, or of a class that is not known here."""


def type_name(value: Any) -> str:
    """The type of `value` as messages name it: `threading.Lock`, `int`."""
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"


class Kind(NamedTuple):
    """One row.

    Attributes:
        name: of the type, on the wire.
        type: exactly this one, no subclass.
        parts: what stands for a value: something that has a codec.
        make: the way back.
        fixed: values cannot be changed, so they are shared, not copied.
    """

    name: str
    type: type
    parts: Callable[[Any], Any]
    make: Callable[[Any], Any]
    fixed: bool = False


LIBRARIES = {"numpy": "ticktalk.values.arrays", "pandas": "ticktalk.values.tables"}
"""By top-level module of the types, the module with their rows, in `KINDS`; it is imported where the library is."""

_by_type: dict[type, Kind] = {}
_by_name: dict[str, Kind] = {}
_loaded: set[str] = set()


def add_kinds(kinds: list[Kind]) -> None:
    """Add rows."""
    _by_type.update({kind.type: kind for kind in kinds})
    _by_name.update({kind.name: kind for kind in kinds})


def kind_of(type: type) -> Kind | None:
    """The row of exactly this type, or None."""
    found = _by_type.get(type)
    if found is None:
        top = type.__module__.partition(".")[0]
        if top in LIBRARIES and top not in _loaded:
            _load(top)
            found = _by_type.get(type)
    return found


def kind_named(name: str) -> Kind:
    """The row of this name.

    Raises:
        ValueFormatError: there is none here.
    """
    top = name.partition(".")[0]
    if name not in _by_name and top in LIBRARIES and top not in _loaded:
        try:
            _load(top)
        except ImportError:
            raise ValueFormatError(f"a {name} needs {top}, which is not installed here") from None
    try:
        return _by_name[name]
    except (KeyError, TypeError):
        raise ValueFormatError(f"no type of values is called {name!r} here") from None


def _load(top: str) -> None:
    add_kinds(importlib.import_module(LIBRARIES[top]).KINDS)
    _loaded.add(top)


# The standard library's.


def _zone(value: zoneinfo.ZoneInfo) -> str:
    if value.key is None:
        raise NoCodecError("a ZoneInfo that was read from a file has no key, so it has no codec: use ZoneInfo(key)")
    return value.key


def _moment(value: Any) -> list[Any]:
    """Of a datetime or time: the text without its zone, the fold, the zone."""
    zone = value.tzinfo
    if zone is not None and zone.__class__ not in (datetime.timezone, zoneinfo.ZoneInfo):
        raise NoCodecError(
            f"a {type(value).__name__} with the zone {zone!r} has no codec: use UTC, a fixed offset or a ZoneInfo"
        )
    return [value.replace(tzinfo=None).isoformat(), value.fold, zone]


def _moment_again(kind: Any) -> Callable[[Any], Any]:
    return lambda parts: kind.fromisoformat(parts[0]).replace(fold=parts[1], tzinfo=parts[2])


FACTORIES = {kind.__name__: kind for kind in (list, dict, set, frozenset, tuple, int, float, complex, str, bytes, bool)}
"""The functions that a defaultdict may call for a value."""


def _defaultdict(value: Any) -> list[Any]:
    factory = value.default_factory
    if factory is not None and FACTORIES.get(getattr(factory, "__name__", "")) is not factory:
        raise NoCodecError(
            f"a defaultdict that makes its items by {factory!r} has no codec: use one of {', '.join(FACTORIES)}"
        )
    return [factory and factory.__name__, dict(value)]


def _path(kind: Any) -> Kind:
    # A path of the other system cannot be made here; then that is said.
    return Kind(f"pathlib.{kind.__name__}", kind, str, kind, True)


def _address(kind: Any) -> Kind:
    return Kind(f"ipaddress.{kind.__name__}", kind, str, kind, True)


add_kinds(
    [
        Kind("Decimal", decimal.Decimal, str, decimal.Decimal, True),
        Kind(
            "Fraction",
            fractions.Fraction,
            lambda v: [v.numerator, v.denominator],
            lambda p: fractions.Fraction(*p),
            True,
        ),
        Kind("UUID", uuid.UUID, lambda v: v.bytes, lambda p: uuid.UUID(bytes=p), True),
        *map(_path, (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)),
        *map(_address, (ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv4Interface)),
        *map(_address, (ipaddress.IPv6Address, ipaddress.IPv6Network, ipaddress.IPv6Interface)),
        Kind("ZoneInfo", zoneinfo.ZoneInfo, _zone, zoneinfo.ZoneInfo, True),
        Kind(
            "timezone",
            datetime.timezone,
            lambda v: [v.utcoffset(None), v.tzname(None)],
            lambda p: datetime.timezone(p[0]) if str(datetime.timezone(p[0])) == p[1] else datetime.timezone(*p),
            True,
        ),
        Kind("datetime", datetime.datetime, _moment, _moment_again(datetime.datetime), True),
        Kind("time", datetime.time, _moment, _moment_again(datetime.time), True),
        Kind("range", range, lambda v: [v.start, v.stop, v.step], lambda p: range(*p), True),
        Kind("slice", slice, lambda v: [v.start, v.stop, v.step], lambda p: slice(*p)),
        Kind("Ellipsis", type(...), lambda v: None, lambda p: ..., True),
        Kind("Pattern", re.Pattern, lambda v: [v.pattern, v.flags], lambda p: re.compile(*p), True),
        Kind("deque", collections.deque, lambda v: [list(v), v.maxlen], lambda p: collections.deque(*p)),
        Kind(
            "OrderedDict",
            collections.OrderedDict,
            lambda v: [list(pair) for pair in v.items()],
            lambda p: collections.OrderedDict(p),
        ),
        Kind("Counter", collections.Counter, dict, collections.Counter),
        Kind(
            "defaultdict",
            collections.defaultdict,
            _defaultdict,
            lambda p: collections.defaultdict(FACTORIES[p[0]] if p[0] is not None else None, p[1]),
        ),
        Kind(
            "TTClock",
            TTClock,
            lambda v: None if v == ROOT else [v.name, v.parent, v.period, v.epoch],
            lambda p: TTClock(*p) if p else ROOT,
            True,
        ),
        Kind("TTTime", TTTime, lambda v: [v.clock, v.start_tick, v.stop_tick], lambda p: TTTime(*p), True),
        Kind("SimpleNamespace", types.SimpleNamespace, lambda v: dict(vars(v)), lambda p: types.SimpleNamespace(**p)),
        Kind("array", array.array, lambda v: [v.typecode, v.tolist()], lambda p: array.array(*p)),
    ]
)
