"""What stands in place of Python's operators, functions and methods in a harmless body (`harmless.py`).

Each operation first pays for the size of what it works on. A run that would cost too much ends before it does
(`TooMuchError`): so it can neither hold up its process nor fill its memory. What is not in these tables, a harmless
body does not use.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
import time
from collections.abc import Callable, Mapping
from types import ModuleType, NoneType
from typing import Any

MOST_COST = 5_000
"""What one run may cost. One unit is a short operation: some 0.1 us."""

LONGEST = 4_096
"""Characters of a text, or bytes, that a body works on, at most."""

MOST_BITS = 1_024
"""Bits of an integer that a body works on, at most."""

_PER_UNIT = 32
"""Characters that cost one unit."""

_WORD = 1 << 62
_WHOLE = (int, bool)

_SIZED = (str, bytes)
_FREE = frozenset({float, bool, NoneType, complex})
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_ITERATORS = frozenset({enumerate, zip, reversed, type(reversed([])), type(reversed({})), type(reversed(range(0)))})
_HOLDERS = frozenset({list, tuple, dict, set, frozenset, range, *_VIEWS})


class TooMuchError(Exception):
    """A run that costs too much, works on something too long, or uses what is not known to be harmless."""


class Budget:
    """What the run at hand may still cost.

    Attributes:
        left: units.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_COST

    def pay(self, value: Any) -> None:
        """Pay for an operation that looks at a value and all that it holds.

        Raises:
            TooMuchError: it is too long, not plain, or nothing is left.
        """
        kind = value.__class__
        if kind is int:
            cost = 1
            if not -_WORD < value < _WORD and value.bit_length() > MOST_BITS:
                raise TooMuchError
        elif kind in _FREE:
            cost = 1
        elif kind in _SIZED:
            cost = 1 + len(value) // _PER_UNIT
            if len(value) > LONGEST:
                raise TooMuchError
        else:
            self._pay_all(value)
            return
        self.left -= cost
        if self.left < 0:
            raise TooMuchError

    def step(self) -> bool:
        """Pay for one round of a loop."""
        self.left -= 1
        if self.left < 0:
            raise TooMuchError
        return True

    def _pay_all(self, value: Any) -> None:
        if value.__class__ in _ITERATORS:
            return  # it was paid for when it was made, and only loops and functions that end take it
        waiting = [value]
        while waiting:
            holder = waiting.pop()
            kind = holder.__class__
            if kind not in _HOLDERS:
                raise TooMuchError
            self.left -= 1 + len(holder)
            if self.left < 0:
                raise TooMuchError
            if kind is range:
                continue
            for item in (*holder, *holder.values()) if kind is dict else holder:
                kind = item.__class__
                if kind is int or kind in _SIZED:
                    self.pay(item)
                elif kind not in _FREE:
                    waiting.append(item)


# What stands in place of Python's operators, functions and methods. Each takes the budget and gives what is called.

_Make = Callable[[Budget], Callable[..., Any]]


def _paid(function: Callable[..., Any]) -> _Make:
    """`function`, which takes time and room in proportion to its arguments."""

    def make(budget: Budget) -> Callable[..., Any]:
        pay = budget.pay

        def call(*arguments: Any, **named: Any) -> Any:
            for argument in arguments:
                pay(argument)
            for argument in named.values():
                pay(argument)
            return function(*arguments, **named)

        return call

    return make


def _free(function: Callable[..., Any]) -> _Make:
    """`function`, which takes the same time on all that is plain."""
    return lambda budget: function


def _two(operation: Callable[[Any, Any], Any]) -> _Make:
    """An operator whose result is about as long as both sides together."""

    def make(budget: Budget) -> Callable[..., Any]:
        pay = budget.pay

        def call(left: Any, right: Any) -> Any:
            if left.__class__ is not float and right.__class__ is not float:
                pay(left)
                pay(right)
            return operation(left, right)

        return call

    return make


def _of_numbers(operation: Callable[[Any, Any], Any], fits: Callable[[Any, Any], bool]) -> _Make:
    """An operator on numbers; `fits` says of two integers whether its result is not too long."""

    def make(budget: Budget) -> Callable[..., Any]:
        pay = budget.pay

        def call(left: Any, right: Any) -> Any:
            if left.__class__ is float:
                return operation(left, right)
            pay(left)
            pay(right)
            if left.__class__ in _WHOLE and right.__class__ in _WHOLE:
                if not fits(left, right):
                    raise TooMuchError
            elif not (_is_number(left) and _is_number(right)):
                raise TooMuchError
            return operation(left, right)

        return call

    return make


def _is_number(value: Any) -> bool:
    return value.__class__ in (int, float, bool, complex)


def _power_fits(base: int, exponent: int) -> bool:
    return exponent < 0 or base.bit_length() * exponent <= MOST_BITS


def _shift_fits(value: int, by: int) -> bool:
    return value.bit_length() + by <= MOST_BITS


def _times(operation: Callable[[Any, Any], Any]) -> _Make:
    """`*`: of numbers, or of a text or list and how often it is repeated."""

    def make(budget: Budget) -> Callable[..., Any]:
        pay = budget.pay

        def call(left: Any, right: Any) -> Any:
            if left.__class__ is float or right.__class__ is float:
                return operation(left, right)
            pay(left)
            pay(right)
            if _is_number(left) and _is_number(right):
                return operation(left, right)
            repeated, often = (right, left) if left.__class__ in _WHOLE else (left, right)
            if often.__class__ not in _WHOLE or repeated.__class__ not in (str, bytes, list, tuple):
                raise TooMuchError
            length = len(repeated) * max(0, often)
            if length > LONGEST:
                raise TooMuchError
            budget.left -= length if repeated.__class__ in (list, tuple) else length // _PER_UNIT
            return operation(left, right)

        return call

    return make


def _rest(budget: Budget) -> Callable[..., Any]:
    """`%`: of numbers, because texts may ask for any width."""
    return _of_numbers(operator.mod, lambda left, right: True)(budget)


def _is_in(budget: Budget) -> Callable[..., Any]:
    pay = budget.pay

    def call(item: Any, holder: Any) -> bool:
        pay(item)
        if holder.__class__ not in (dict, set, frozenset):
            pay(holder)
        return item in holder

    return call


def _seen(budget: Budget) -> Callable[..., Any]:
    pay = budget.pay

    def call(value: Any) -> Any:
        if value.__class__ not in _FREE:
            pay(value)
        return value

    return call


def _flat(budget: Budget) -> Callable[..., Any]:
    """What is cut: that copies it, but not what it holds."""

    def call(value: Any) -> Any:
        if value.__class__ not in (str, bytes, list, tuple, range):
            raise TooMuchError
        budget.left -= 1 + len(value) // _PER_UNIT
        return value

    return call


def _range(budget: Budget) -> Callable[..., Any]:
    def call(*arguments: Any) -> range:
        for argument in arguments:
            if argument.__class__ is int and not -_WORD < argument < _WORD:
                raise TooMuchError
        made = range(*arguments)
        if made and (made[-1] - made[0]) // made.step >= MOST_COST:
            raise TooMuchError
        return made

    return call


def _round(budget: Budget) -> Callable[..., Any]:
    def call(number: Any, *digits: Any) -> Any:
        budget.pay(number)
        if digits and digits[0].__class__ is int and not -99 < digits[0] < 99:
            raise TooMuchError
        return round(number, *digits)

    return call


def _sum(budget: Budget) -> Callable[..., Any]:
    def call(values: Any, *start: Any) -> Any:
        budget.pay(values)
        if start and not _is_number(start[0]):
            raise TooMuchError  # lists would be copied again and again
        return sum(values, *start)

    return call


def _join(budget: Budget) -> Callable[..., Any]:
    def call(between: Any, texts: Any) -> str:
        if between.__class__ is not str or len(between) > _PER_UNIT:
            raise TooMuchError
        budget.pay(texts)
        return between.join(texts)

    return call


def _method(name: str, looks: Mapping[type, bool]) -> _Make:
    """A method of some types; by each of them, whether it looks at all that its object holds."""

    def make(budget: Budget) -> Callable[..., Any]:
        pay = budget.pay

        def call(target: Any, /, *arguments: Any, **named: Any) -> Any:
            looking = looks.get(target.__class__)
            if looking is None:
                raise TooMuchError
            if looking:
                pay(target)
            budget.step()
            for argument in arguments:
                pay(argument)
            for argument in named.values():
                pay(argument)
            return getattr(target, name)(*arguments, **named)

        return call

    return make


OPERATORS: dict[type[ast.operator], tuple[str, _Make, _Make]] = {
    ast.Add: ("add", _two(operator.add), _two(operator.iadd)),
    ast.Sub: ("sub", _two(operator.sub), _two(operator.isub)),
    ast.Mult: ("mul", _times(operator.mul), _times(operator.imul)),
    ast.Div: ("div", _two(operator.truediv), _two(operator.itruediv)),
    ast.FloorDiv: ("floordiv", _two(operator.floordiv), _two(operator.ifloordiv)),
    ast.Mod: ("mod", _rest, _rest),
    ast.Pow: ("pow", _of_numbers(operator.pow, _power_fits), _of_numbers(operator.ipow, _power_fits)),
    ast.LShift: ("lshift", _of_numbers(operator.lshift, _shift_fits), _of_numbers(operator.ilshift, _shift_fits)),
    ast.RShift: ("rshift", _two(operator.rshift), _two(operator.irshift)),
    ast.BitAnd: ("and", _two(operator.and_), _two(operator.iand)),
    ast.BitOr: ("or", _two(operator.or_), _two(operator.ior)),
    ast.BitXor: ("xor", _two(operator.xor), _two(operator.ixor)),
}

TYPES = frozenset({"bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"})

TAKE_ALL = frozenset({"all", "any", "dict", "frozenset", "list", "max", "min", "set", "sorted", "sum", "tuple"})
"""Functions that look at all that an iterator gives, and keep no iterator."""

MAKE_ITERATORS = frozenset({"enumerate", "reversed", "zip"})

FUNCTIONS: dict[str, _Make] = {
    **{name: _paid(getattr(builtins, name)) for name in TAKE_ALL | MAKE_ITERATORS},
    **{f.__name__: _paid(f) for f in (abs, chr, complex, divmod, float, int, ord, repr, str)},
    **{f.__name__: _free(f) for f in (bool, len, isinstance)},
    "range": _range,
    "round": _round,
    "sum": _sum,
    **{
        f"math.{name}": _paid(getattr(math, name))
        for name in (
            *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "ceil", "copysign", "cos", "cosh"),
            *("degrees", "dist", "exp", "expm1", "fabs", "floor", "fmod", "fsum", "hypot", "isclose", "isfinite"),
            *(
                "isinf",
                "isnan",
                "log",
                "log10",
                "log1p",
                "log2",
                "pow",
                "radians",
                "sin",
                "sinh",
                "sqrt",
                "tan",
                "tanh",
                "trunc",
            ),
        )
    },
    **{
        f"time.{name}": _free(getattr(time, name))
        for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns")
    },
}

NUMBERS = {f"math.{name}": getattr(math, name) for name in ("e", "inf", "nan", "pi", "tau")}

MODULES: dict[str, ModuleType] = {"math": math, "time": time}

KNOWN: dict[str, Any] = {
    name: getattr(MODULES.get(name.partition(".")[0], builtins), name.rpartition(".")[2])
    for name in (*FUNCTIONS, *TYPES)
}
"""By name, the functions and types as they are before any program runs."""


def _methods() -> dict[str, _Make]:
    """By name, the methods that may be called."""
    shallow = {
        dict: ("clear", "get", "items", "keys", "pop", "popitem", "setdefault", "values"),
        list: ("append", "clear"),
        set: ("add", "clear", "discard", "remove"),
        float: ("conjugate", "is_integer"),
        int: ("bit_length", "conjugate"),
    }
    looking: dict[type, tuple[str, ...]] = {
        dict: ("copy", "update"),
        list: ("copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),
        tuple: ("count", "index"),
        set: ("copy", "difference", "intersection", "isdisjoint", "issubset", "issuperset", "union", "update"),
        str: (
            *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum", "isalpha", "isdigit"),
            *(
                "isspace",
                "lower",
                "lstrip",
                "partition",
                "rfind",
                "rpartition",
                "rsplit",
                "rstrip",
                "split",
                "splitlines",
            ),
            *("startswith", "strip", "title", "upper"),
        ),
    }
    kinds: dict[str, dict[type, bool]] = {}
    for table, looks in ((shallow, False), (looking, True)):
        for kind, names in table.items():
            for name in names:
                kinds.setdefault(name, {})[kind] = looks
    return {name: _method(name, looks) for name, looks in kinds.items()} | {"join": _join}


METHODS = _methods()

HELPERS: dict[str, _Make] = {
    ".in": _is_in,
    ".seen": _seen,
    ".flat": _flat,
    ".step": lambda budget: budget.step,
    **{f".{name}": plain for name, plain, _ in OPERATORS.values()},
    **{f".i{name}": in_place for name, _, in_place in OPERATORS.values()},
    **{f".{name}": make for name, make in FUNCTIONS.items()},
    **{f".m {name}": make for name, make in METHODS.items()},
}


def is_short(value: Any) -> bool:
    """True for a number, text, bytes or None that is not long."""
    if value.__class__ is int:
        return -_WORD < value < _WORD
    return value.__class__ in _FREE or (value.__class__ in _SIZED and len(value) <= LONGEST)
