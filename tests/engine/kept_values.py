"""Classes whose values tests send, and a text of any value: two values share it only if they are alike in all parts.

The module travels with a program, so that the text is made where a value has arrived. It knows nothing of codecs: a
value is taken apart as `copy` and `pickle` do it.
"""

from __future__ import annotations

import copyreg
import enum
import re
import struct
import sys
from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

from ticktalk import register_codec


@dataclass
class Point:
    x: Any
    y: Any = 0


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    at: Any


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


Old = namedtuple("Old", "a b")


class Fault(Exception):
    """Its arguments are not those of `__init__`."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


class Coded:
    def __init__(self, item: Any) -> None:
        self.item = item


register_codec(Coded, lambda value: [value.item], lambda parts: Coded(*parts), name="kept_values.Coded")


def name_of(thing: Any) -> str:
    module = re.sub(r"^_ticktalk_\d+\.", "", getattr(thing, "__module__", None) or "")
    return f"{module}.{getattr(thing, '__qualname__', repr(thing))}"


def told(value: Any) -> str:
    """The text of a value."""
    kind = type(value)
    name = name_of(kind)
    if value is None or value is ... or kind in (bool, str, bytes, bytearray, re.Pattern, range, slice):
        return f"{name}:{value!r}"
    if kind is float:
        return f"{name}:{'nan' if value != value else struct.pack('>d', value).hex()}"
    if kind is int:
        return hex(value)
    if kind is complex:
        return f"{name}({told(value.real)},{told(value.imag)})"
    if isinstance(value, type) or (callable(value) and not hasattr(kind, "__dataclass_fields__")):
        return name_of(value)
    if kind in (list, tuple):
        return f"{name}({','.join(map(told, value))})"
    if kind is dict:
        return f"{name}({','.join(told(key) + ':' + told(item) for key, item in value.items())})"
    if kind in (set, frozenset):
        return f"{name}({','.join(sorted(map(told, value)))})"
    if isinstance(value, BaseException):
        return f"{name}({told_error(value)})"
    if "pandas" in sys.modules and kind.__module__.startswith("pandas"):
        return f"{name}({told_table(value)})"
    if "numpy" in sys.modules and kind.__module__.startswith("numpy"):
        return f"{name}({told_array(value)})"
    if isinstance(value, enum.Enum):
        return f"{name}:{value._name_}:{value._value_}"
    reduced = copyreg.dispatch_table[kind](value) if kind in copyreg.dispatch_table else value.__reduce_ex__(4)
    if isinstance(reduced, str):
        return f"{name}:{reduced}"
    made_by, arguments, *rest = [*reduced, None, None, None]
    state, items, pairs = rest[:3]
    shown = [name_of(made_by), *map(told, arguments), told_state(state)]
    shown += [told(item) for item in items or ()] + [told(key) + ":" + told(item) for key, item in pairs or ()]
    return f"{name}({','.join(shown)})"


def told_state(state: Any) -> str:
    return ",".join(f"{key}={told(item)}" for key, item in state.items()) if isinstance(state, dict) else told(state)


def told_error(error: BaseException) -> str:
    """An exception, and where in its history its causes are."""
    history = [error]
    for each in history:
        linked = (each.__cause__, each.__context__)
        history += [o for o in linked if o is not None and all(o is not known for known in history)]
    place = {id(None): None} | {id(each): number for number, each in enumerate(history)}
    return ";".join(
        f"{name_of(type(each))}{told(each.args)}{told(dict(vars(each)))}"
        f"{place[id(each.__cause__)]},{place[id(each.__context__)]},{each.__suppress_context__}"
        for each in history
    )


def told_array(value: Any) -> str:
    import numpy

    if isinstance(value, numpy.ma.MaskedArray):
        mask, fill = numpy.ma.getmask(value), value.fill_value
        return f"{told_array(value.filled(0))},{told_array(numpy.asarray(mask))},{told_array(fill)},{value.hardmask}"
    plain = numpy.asarray(value)
    return f"{plain.dtype!r},{plain.shape},{plain.tolist() if plain.dtype.names else plain.tobytes().hex()}"


def told_table(value: Any) -> str:
    import pandas

    if isinstance(value, pandas.MultiIndex):
        return f"{told(list(value.names))},{[told(each) for each in value.levels]},{[list(c) for c in value.codes]}"
    if isinstance(value, pandas.Index):
        freq = getattr(value, "freqstr", None)
        return f"{value.dtype!r},{freq},{told(value.name)},{[told(item) for item in value]}"
    if isinstance(value, pandas.Series):
        items = [told(item) for item in value]
        return f"{value.dtype!r},{told(value.name)},{told(value.index)},{items},{told(value.attrs)}"
    if isinstance(value, pandas.DataFrame):
        columns = [told(value.iloc[:, place]) for place in range(value.shape[1])]
        return f"{columns},{told(value.columns)},{told(value.index)},{told(value.attrs)}"
    return repr(value)


PROGRAM = """
from ticktalk import GRAPHify, SQify, TTConstraint
from kept_values import told

@SQify
def same(values):
    return values

@SQify
def texts(values):
    return [told(value) for value in values]

@GRAPHify
def main(values):
    with TTConstraint(name="{}"):
        first = same(values)
    with TTConstraint(name="{}"):
        return texts(same(first))
"""
