"""Computing with constants at compile time, as Python itself does, within bounds.

An operation that needs more than `LIMIT` items, characters or steps is refused, so that the compiler never hangs.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import reprlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial, reduce
from typing import Any

from ticktalk.durations import WRITTEN
from ticktalk.graph.constants import encode_constant
from ticktalk.instructions import INSTRUCTIONS, Instruction

LIMIT = 1_000_000
"""The most items, characters or steps of one constant."""
_TOO_LARGE = "too large to compute at compile time"
_BITS = 50_000
_DEPTH = 100
_SEQUENCES = (str, bytes, list, tuple)
_SIZED = (*_SEQUENCES, set, frozenset, dict)


def _syntax_of(row: Instruction) -> type[ast.AST]:
    """The class by which Python's syntax tree says the operator of an instruction."""
    a, *b = row.inputs
    expression = ast.parse(f"{a} {row.operator} {b[0]}" if b else f"{row.operator} {a}", mode="eval").body
    match expression:
        case ast.BinOp(op=found) | ast.UnaryOp(op=found) | ast.Compare(ops=[found]):
            return type(found)
    raise AssertionError(row.name)


OPERATORS: dict[type[ast.AST], Instruction] = {_syntax_of(row): row for row in INSTRUCTIONS.values() if row.operator}
"""The instruction that each operator of the language becomes, or that computes it at compile time."""

BUILTINS: dict[str, Callable[..., Any]] = {
    **{
        function.__name__: function
        for function in (
            *(abs, all, any, bin, bool, chr, complex, dict, divmod, float, frozenset, hex, int, len, list, max, min),
            *(oct, ord, pow, range, repr, round, set, slice, sorted, str, sum, tuple),
        )
    },
    # As lists: an iterator could be used only once, and its use would not show.
    "enumerate": lambda *a, **k: list(enumerate(*a, **k)),
    "reversed": lambda *a: list(reversed(*a)),
    "zip": lambda *a, **k: list(zip(*a, **k)),  # noqa: B905 (the program says whether it is strict)
    **{name: partial(lambda function, *a, **k: _written(function(*a, **k)), unit) for name, unit in WRITTEN.items()},
}

_MATH_WITHIN_BOUNDS: dict[str, Callable[..., Any]] = {
    "comb": lambda n, k, /: _sized(_whole(min(k, n - k)) * _bits(n), math.comb, n, k),
    "factorial": lambda n, /: _sized(_whole(n) * _bits(n), math.factorial, n),
    "perm": lambda n, k=None, /: _sized(_whole(n if k is None else k) * _bits(n), math.perm, n, k),
    "prod": lambda numbers, /, *, start=1: reduce(partial(fold, operator.mul), numbers, start),
    "sumprod": lambda p, q, /: _sum_of_products(p, q),
}
"""Functions of `math` whose result can be out of all proportion to what they are given."""

MATH: dict[str, Any] = {
    name: _MATH_WITHIN_BOUNDS.get(name, member) for name, member in vars(math).items() if not name.startswith("_")
}
"""The constants and functions of the module `math`, which are known at compile time."""

_CALLED = BUILTINS | {f"math.{name}": function for name, function in MATH.items() if callable(function)}

_STR_METHODS = frozenset({
    "capitalize", "casefold", "center", "count", "endswith", "find", "format", "index", "isalnum", "isalpha",
    "isdigit", "islower", "isspace", "isupper", "join", "ljust", "lower", "lstrip", "partition",
    "removeprefix", "removesuffix", "replace", "rfind", "rjust", "rpartition", "rsplit", "rstrip", "split",
    "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill",
})  # fmt: skip
_METHODS: dict[type, frozenset[str]] = {
    str: _STR_METHODS,
    bytes: frozenset({"decode", "hex"}),
    int: frozenset({"bit_length"}),
    float: frozenset({"is_integer"}),
    dict: frozenset({"get", "items", "keys", "values", "copy"}),
    list: frozenset({"index", "count", "copy"}),
    tuple: frozenset({"index", "count"}),
    set: frozenset({"union", "intersection", "difference", "issubset", "issuperset"}),
    range: frozenset({"index", "count"}),
}


class Duration(int):
    """So many root ticks, written as a duration: they are the same on every clock. Else an int, as in plain Python."""

    def __truediv__(self, other: Any) -> Any:
        # Exact, so that `s(1) / 60` is a period; the ratio of two durations is none.
        exact = type(other) is int and other != 0
        return Fraction(self, other) if exact else int.__truediv__(self, other)

    def __floordiv__(self, other: Any) -> Any:
        result = int.__floordiv__(self, other)
        return Duration(result) if type(other) is int else result


def _written(value: int | Fraction) -> Duration | Fraction:
    return Duration(value) if isinstance(value, int) else value


def _still_a_duration(name: str) -> Callable[..., Any]:
    compute = getattr(int, name)

    def computed(*operands: Any) -> Any:
        result = compute(*operands)
        return Duration(result) if type(result) is int else result

    return computed


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "mod", "neg", "pos", "abs"):
    setattr(Duration, f"__{_name}__", _still_a_duration(f"__{_name}__"))


class CannotFold(Exception):
    """Python raised, or the result would be too large: the message says which."""


def fold(function: Callable[..., Any], *operands: Any) -> Any:
    """`function(*operands)`. All functions here raise `CannotFold`, as the class says."""
    for operand in operands:
        _check_size(operand)
    _check_growth(function, operands)
    return _run(function, *operands)


def fold_builtin(name: str, arguments: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """The call of a builtin of `BUILTINS`, or of `math.sqrt` and the like; iterators become lists."""
    iterates = name not in ("range", "len", "bool", "repr", "str", "slice")
    for argument in (*arguments, *keywords.values()):
        _check_size(argument)
        _refuse_if(iterates and isinstance(argument, range) and _length(argument) > LIMIT)
    if name == "pow" and len(arguments) == 2:
        _check_growth(pow, arguments)
    if name.startswith("math."):
        _refuse_if(sum(map(_bits, arguments)) > _BITS)
    if name == "round":
        _refuse_if(any(_is_large(places) for places in (*arguments[1:], *keywords.values())))
    for argument in arguments if name == "sum" else ():
        # Sums of sequences copy every partial result.
        items = argument if isinstance(argument, (list, tuple)) else []
        _refuse_if(sum(_length(item) for item in items if isinstance(item, (list, tuple))) * len(items) > LIMIT)
    return _run(_CALLED[name], *arguments, **keywords)


def fold_method(value: Any, name: str, arguments: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """The call of a method that changes nothing; dict views become lists."""
    if name not in _METHODS.get(type(value), ()):
        raise CannotFold(f"`.{name}()` of a constant of type {type(value).__name__} is not computed at compile time")
    for argument in (value, *arguments, *keywords.values()):
        _check_size(argument)
    if isinstance(value, range):
        _refuse_if(_length(value) > LIMIT)
    elif isinstance(value, str):
        if name in ("center", "ljust", "rjust", "zfill"):
            _refuse_if(any(map(_is_large, arguments[:1])))
        elif name == "replace" and len(arguments) >= 2:
            _refuse_if((len(value) + 1) * (len(str(arguments[1])) + 1) > LIMIT)
        elif name == "join" and arguments:
            _refuse_if((len(value) + 1) * _length(arguments[0]) > LIMIT)
        elif name == "format":
            nested = re.search(r":[^{}]*\{", value) is not None
            _refuse_if(_wide(value) or (nested and any(map(_is_large, (*arguments, *keywords.values())))))
    result = _run(getattr(value, name), *arguments, **keywords)
    return list(result) if isinstance(value, dict) and name in ("items", "keys", "values") else result


def fold_format(value: Any, conversion: int, spec: str) -> str:
    """One replacement field of an f-string."""
    _check_size(value)
    _refuse_if(_wide(spec))
    if conversion != -1:
        convert: dict[str, Callable[[Any], str]] = {"s": str, "r": repr, "a": ascii}
        value = _run(convert[chr(conversion)], value)
    return str(_run(format, value, spec))


def items_of(value: Any) -> list[Any]:
    """The items that a loop over the constant sees; a set's in an order that is the same in every run."""
    if not isinstance(value, (*_SIZED, range)):
        raise CannotFold(f"a constant of type {type(value).__name__} cannot be looped over")
    _refuse_if(_length(value) > LIMIT)
    return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else list(value)


def steps_over(value: Any) -> int:
    """The cost of a walk over a constant, in steps of unrolling."""
    return min(_length(value), LIMIT) // 10


def _check_size(value: Any) -> None:
    """Refuse a constant with more than `LIMIT` items, however deep."""
    if type(value) in (int, float, bool, type(None)):
        return
    level, seen, depth = [value], 0, 0
    while level:
        inner: list[Any] = []
        for item in level:
            seen += len(item) + 1 if isinstance(item, _SIZED) else 1
            if seen > LIMIT:
                raise CannotFold(_TOO_LARGE)
            if isinstance(item, (dict, list, tuple, set, frozenset)):
                inner.extend(item)
            if isinstance(item, dict):
                inner.extend(item.values())
        level, depth = inner, depth + 1
        if depth > _DEPTH:
            raise CannotFold("nested too deeply to compute at compile time")


def settled(value: Any) -> Any:
    """A constant as a body gets it: a duration is a number of root ticks, as in plain Python."""
    if isinstance(value, Duration) or (isinstance(value, Fraction) and value.denominator == 1):
        return int(value)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(settled, value))
    return {settled(key): settled(item) for key, item in value.items()} if type(value) is dict else value


def why_not_storable(value: Any) -> str | None:
    """The reason why a constant cannot be stored in a graph; None if it can."""
    if type(value) in (int, float, bool, type(None)):
        return None
    try:
        _check_size(value)
        encode_constant(value)
    except (CannotFold, TypeError) as error:
        return str(error)
    return None


def shown(value: Any) -> str:
    """A constant as messages show it."""
    try:
        return str(value) if isinstance(value, Fraction) else reprlib.repr(value)
    except ValueError:
        return "a huge number"


def _check_growth(function: Callable[..., Any], operands: Sequence[Any]) -> None:
    """Refuse the operations whose result can be out of all proportion to their operands."""
    if len(operands) != 2:
        return
    a, b = operands
    too_large = False
    if isinstance(a, int) and isinstance(b, int):
        if function is pow:
            too_large = b > 0 and abs(a) > 1 and a.bit_length() * b > _BITS
        elif function is operator.lshift:
            too_large = a.bit_length() + b > _BITS
        elif function is operator.mul:
            too_large = a.bit_length() + b.bit_length() > _BITS
    elif function is operator.mul:
        for sequence, times in ((a, b), (b, a)):
            if isinstance(sequence, _SEQUENCES) and isinstance(times, int):
                too_large = len(sequence) * max(times, 0) > LIMIT
    elif function is operator.add:
        too_large = isinstance(a, _SEQUENCES) and isinstance(b, _SEQUENCES) and len(a) + len(b) > LIMIT
    elif function is operator.mod and isinstance(a, (str, bytes)):
        text = a if isinstance(a, str) else a.decode("latin-1")
        widths = b if isinstance(b, tuple) else (b,)
        too_large = _wide(text) or ("*" in text and any(_is_large(width) for width in widths))
    elif function in (INSTRUCTIONS["IN"].compute, INSTRUCTIONS["NOTIN"].compute) and isinstance(b, range):
        # Python walks the whole range to look for anything that is no int.
        too_large = type(a) not in (int, bool) and _length(b) > LIMIT
    _refuse_if(too_large)


def _run(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    try:
        return function(*arguments, **keywords)
    except CannotFold:
        raise
    except Exception as error:
        raise CannotFold(f"{type(error).__name__}: {error}") from None


def _sized(bits: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function of whole numbers, which has at most about so many bits."""
    _refuse_if(bits > _BITS)
    return function(*arguments)


def _sum_of_products(p: Any, q: Any) -> Any:
    for pair in zip(p, q, strict=False):
        _check_growth(operator.mul, pair)
    return vars(math)["sumprod"](p, q)  # which Python 3.11 does not have


def _whole(number: Any) -> int:
    return number if isinstance(number, int) else 0


def _bits(number: Any) -> int:
    return _whole(number).bit_length()


def _length(value: Any) -> int:
    try:
        return len(value)
    except OverflowError:
        return LIMIT + 1
    except TypeError:
        return 0


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > LIMIT


def _wide(text: str) -> bool:
    """True if a format asks for a field of a million characters or more."""
    return re.search(r"\d{7,}", text) is not None


def _refuse_if(too_large: bool) -> None:
    if too_large:
        raise CannotFold(_TOO_LARGE)
