"""The operators, functions and methods of a harmless body, in place of Python's own (`metered.py`).

Each operation first pays for the size of what it works on. A run that would cost too much ends before it does
(`TooMuchError`): so it can neither hold up its process nor fill its memory. A harmless body uses
nothing that is not in these tables.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ticktalk.bodies.budget import FREE, LONGEST, MOST_BITS, MOST_COST, PER_UNIT, SIZED, WORD, Budget, TooMuchError
from ticktalk.bodies.names import KNOWN
from ticktalk.bodies.plain import SCALARS

_WHOLE = (int, bool)

# In place of Python's operators, functions and methods. Each takes the budget, and gives the function to call.

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


def _taking(function: Callable[..., Any]) -> _Make:
    """`function`, which takes each item of its arguments."""

    def make(budget: Budget) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            for argument in (*arguments, *named.values()):
                budget.pay_each(argument)
            return function(*arguments, **named)

        return call

    return make


def _as_text(function: Callable[[Any], str]) -> _Make:
    """`function`, which makes text of one value; another argument could name an encoding, which is a module."""

    def make(budget: Budget) -> Callable[..., Any]:
        def call(value: Any) -> str:
            budget.pay_text(value)
            return function(value)

        return call

    return make


def _of_digits(function: Callable[..., Any]) -> _Make:
    """`function`, which makes a number: the time that takes grows with the square of the digits."""

    def make(budget: Budget) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            for argument in (*arguments, *named.values()):
                budget.pay(argument)
                if argument.__class__ in SIZED:
                    budget.step(len(argument) ** 2 >> 13)
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
                if left.__class__ in (list, deque) and right.__class__ in SIZED:
                    budget.step(len(right))  # `+=` takes each character
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
            budget.left -= length if repeated.__class__ in (list, tuple) else length // PER_UNIT
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
            budget.pay_search(holder, item)
        return item in holder

    return call


def _seen(budget: Budget) -> Callable[..., Any]:
    pay = budget.pay

    def call(value: Any) -> Any:
        if value.__class__ not in FREE:
            pay(value)
        return value

    return call


def _given(budget: Budget) -> Callable[..., Any]:
    """A result: it is encoded, and shown if it is an output."""

    def call(value: Any) -> Any:
        if value.__class__ not in FREE:
            before = budget.left
            budget.pay(value)
            budget.step(3 * (before - budget.left))
        return value

    return call


def _taken(budget: Budget) -> Callable[..., Any]:
    def call(value: Any) -> Any:
        budget.pay_each(value)
        return value

    return call


def _shown(budget: Budget) -> Callable[..., Any]:
    """A value that an f-string shows; `cost`: of the width that it asks for."""

    def call(value: Any, cost: int) -> Any:
        budget.step(cost)
        budget.pay_text(value)
        return value

    return call


def _flat(budget: Budget) -> Callable[..., Any]:
    """A value that is cut: it is copied, but not the values that it holds."""

    def call(value: Any) -> Any:
        if value.__class__ not in (str, bytes, list, tuple, range):
            raise TooMuchError
        budget.step(1 + len(value) // PER_UNIT)
        return value

    return call


def _cut(budget: Budget) -> Callable[..., Any]:
    """A value of which one item is deleted; a deque is turned until that is at its end."""

    def call(value: Any) -> Any:
        if value.__class__ is deque:
            budget.pay(value)
        return value

    return call


def _range(budget: Budget) -> Callable[..., Any]:
    def call(*arguments: Any) -> range:
        for argument in arguments:
            if argument.__class__ is int and not -WORD < argument < WORD:
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
        budget.pay_each(values)
        if start and not _is_number(start[0]):
            raise TooMuchError  # lists would be copied again and again
        return sum(values, *start)

    return call


def _join(budget: Budget) -> Callable[..., Any]:
    def call(between: Any, texts: Any) -> str:
        if between.__class__ is not str or len(between) > PER_UNIT:
            raise TooMuchError
        budget.pay_each(texts)
        return between.join(texts)

    return call


def _method(name: str, looks: Mapping[type, bool]) -> _Make:
    """A method of some types; by each of them, whether it looks at all that its object holds."""

    taking = name in _TAKING

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
                if argument.__class__ in SIZED:
                    if taking:
                        budget.step(len(argument))
                    budget.pay_search(target, argument)
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

_TAKING = frozenset(
    {"difference", "extend", "extendleft", "intersection", "isdisjoint", "issubset", "issuperset", "union", "update"}
)
"""Methods that take each item of their arguments."""

MAKE_ITERATORS = frozenset({"enumerate", "reversed", "zip"})

FUNCTIONS: dict[str, _Make] = {
    **{name: _taking(getattr(builtins, name)) for name in TAKE_ALL | MAKE_ITERATORS},
    **{f.__name__: _paid(f) for f in (abs, chr, divmod, ord)},
    **{f.__name__: _of_digits(f) for f in (complex, float, int)},
    **{f.__name__: _as_text(f) for f in (repr, str)},
    **{f.__name__: _free(f) for f in (bool, len, isinstance)},
    "deque": _taking(deque),
    "range": _range,
    "round": _round,
    "sum": _sum,
    **{
        f"math.{name}": _paid(KNOWN[f"math.{name}"])
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
        f"time.{name}": _free(KNOWN[f"time.{name}"])
        for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "time", "time_ns")
    },
}

NUMBERS = {f"math.{name}": getattr(math, name) for name in ("e", "inf", "nan", "pi", "tau")}


def _methods() -> dict[str, _Make]:
    """By name, the methods that may be called."""
    shallow = {
        dict: ("clear", "get", "items", "keys", "pop", "popitem", "setdefault", "values"),
        list: ("append", "clear"),
        deque: ("append", "appendleft", "clear", "pop", "popleft"),
        set: ("add", "clear", "discard", "remove"),
        float: ("conjugate", "is_integer"),
        int: ("bit_length", "conjugate"),
    }
    looking: dict[type, tuple[str, ...]] = {
        dict: ("copy", "update"),
        list: ("copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"),
        deque: ("copy", "count", "extend", "extendleft", "index", "insert", "remove", "reverse", "rotate"),
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
    ".cut": _cut,
    ".given": _given,
    ".taken": _taken,
    ".shown": _shown,
    ".step": lambda budget: budget.step,
    **{f".{name}": plain for name, plain, _ in OPERATORS.values()},
    **{f".i{name}": in_place for name, _, in_place in OPERATORS.values()},
    **{f".{name}": make for name, make in FUNCTIONS.items()},
    **{f".m {name}": make for name, make in METHODS.items()},
}


def is_short(value: Any) -> bool:
    """True for a number, text, bytes or None that is not long."""
    if value.__class__ is int:
        return -WORD < value < WORD
    return value.__class__ in SCALARS and (value.__class__ not in SIZED or len(value) <= LONGEST)
