"""The instructions: SQs that come with TickTalk. Each has one row, which holds all facts about it.

Two kinds. An instruction *on values* computes a plain function of the values, and its result holds where the intervals
of its inputs meet. One *on tokens* gets each input as `(start, stop, value)`, in root ticks, with a `Setting`, and says
itself which tokens it sends: `(value, start, stop)` each, made one by one where they may be many.

A program calls most of them by name in its graph. Outside of a graph they are plain functions (`ADD(1, 2) == 3`; those
on tokens take `TTToken`s). The others are *primitives*: the compiler makes them of Python's syntax.
"""

from __future__ import annotations

import builtins
import inspect
import logging
import math
import operator
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, NoReturn

import msgspec

from ticktalk.defaults import MAX_GAP
from ticktalk.durations import interval_text
from ticktalk.time import INFINITY, NEG_INFINITY, ROOT, Tick, TTClock, TTTime, TTToken
from ticktalk.time.clock import whole_tick
from ticktalk.time.grid import Period, instant_at, last_instant

REQUIRED: Any = inspect.Parameter.empty
"""In place of a setting's default: a call must give it."""

Results = Iterable[tuple[Any, Tick, Tick]]
Input = tuple[Tick, Tick, Any]

_syslog = logging.getLogger("ticktalk.SYSLOG")


class Instruction(NamedTuple):
    """One row of the table."""

    name: str  # as in a program, and in `TTSQ.function`
    inputs: tuple[str, ...]  # each takes an arc or a constant; empty for a primitive of any number of operands
    compute: Callable[..., Any]  # `(*values) -> value`; on tokens: `(setting, *tokens) -> sent`
    doc: str  # its effect, for programmers
    settings: dict[str, Any] = {}  # fixed by a call at compile time, with defaults (`REQUIRED`: none)
    operator: str = ""  # how Python writes it: an expression with it becomes the instruction, or is computed by it
    builtin: str = ""  # the function of Python's that it is: a call of that with an arc becomes the instruction
    on_tokens: bool = False  # it computes with tokens, not with values
    sees: tuple[str, ...] | None = None  # the inputs whose values it looks at; None: all of them
    passes: bool = False  # it passes the value of an input on, as it is
    slow: bool = False  # it can take long even on small numbers
    keeps: bool = False  # it keeps state from firing to firing
    singly: bool = False  # its ports fire one by one, each token by itself
    forward: bool = False  # it drops tokens that go back in time
    by_name: bool = True  # a program may call it by name; if not, it is a primitive
    outside: Callable[..., Any] | None = None  # called outside a graph instead of `compute`; it may raise

    def port_name(self, index: int) -> str:
        """The name of a port: an input that has a meaning has its name, an operand its position."""
        name = self.inputs[index]
        return name if len(name) > 1 else str(index)


def _as_it_is(value: Any) -> Any:
    return value


class Setting(msgspec.Struct):
    """The circumstances of an instruction on tokens, beside its inputs; times in root ticks."""

    parameter: Callable[[str], Any]  # the constant that a call fixed under a name, fresh each time; None if none
    clock: TTClock = ROOT  # it is set to this clock
    start_tick: int = 0  # when its context started, the same on every ensemble
    grid: tuple[Period, int, int] = (0, 0, 0)  # period, phase and interval width of the grid it is set to
    now: int = 0
    state: dict[str, Any] = {}  # its own, for the life of the context: by name `(tick, value)`
    tally: Callable[[str], object] = _as_it_is  # takes a kind of counter (`counters.KINDS`) to be counted at its SQ


INSTRUCTIONS: dict[str, Instruction] = {}
"""All of them by name."""


def _primitive(name: str, inputs: tuple[str, ...], compute: Callable[..., Any], doc: str, **columns: Any) -> None:
    INSTRUCTIONS[name] = Instruction(name, inputs, compute, doc, by_name=False, **columns)


def _instruction(
    name: str, inputs: tuple[str, ...], compute: Callable[..., Any], doc: str, **columns: Any
) -> Callable[..., Any]:
    """Add the row of an instruction that programs call; gives the function to call outside a graph."""
    row = INSTRUCTIONS[name] = Instruction(name, inputs, compute, doc, **columns)
    # Required parameters come first, as in any signature.
    defaults = {**dict.fromkeys(inputs, REQUIRED), **row.settings}
    ordered = sorted(defaults, key=lambda parameter: defaults[parameter] is not REQUIRED)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature([inspect.Parameter(each, kind, default=defaults[each]) for each in ordered])

    def function(*arguments: Any, **named: Any) -> Any:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        if row.outside is not None:
            return row.outside(**bound.arguments)
        return _on_plain_tokens(row, bound.arguments) if row.on_tokens else row.compute(*bound.args)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def _on_plain_tokens(row: Instruction, arguments: dict[str, Any]) -> TTToken:
    """The token that one on tokens makes of `TTToken`s, on the clock of the last one's interval."""
    tokens = [arguments[name] for name in row.inputs]
    inputs = [(token.time.start_tick, token.time.stop_tick, token.value) for token in tokens]
    ((value, start, stop),) = row.compute(Setting(arguments.get), *inputs)
    return TTToken(value, TTTime(tokens[-1].time.clock, start, stop))


def in_a_graph_only(name: str, doc: str = "") -> Callable[..., NoReturn]:
    """A function in place of something that has no meaning outside a graph."""

    def refuse(*arguments: Any, **named: Any) -> NoReturn:
        raise TypeError(f"{name} means something in a @GRAPHify function only; compile the program and simulate it")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = doc
    return refuse


# The functions.


def _and(*values: Any) -> Any:
    *before, last = values
    return next((value for value in before if not value), last)  # the truth of the last is not asked for


def _or(*values: Any) -> Any:
    *before, last = values
    return next((value for value in before if value), last)


def _dict(*items: Any) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _getitem(value: Any, *index: Any) -> Any:
    return value[slice(*index)] if len(index) == 3 else value[index[0]]


def _log(value: Any) -> Any:
    _syslog.info("%s", value)
    return value


def _tuple(*values: Any) -> tuple[Any, ...]:
    return values


def _on_trigger(value_of: Callable[[Setting], Any]) -> Callable[[Setting, Input], Results]:
    """A value on the interval of the trigger."""
    return lambda setting, trigger: [(value_of(setting), *trigger[:2])]


def _read_ttclock(setting: Setting, trigger: Input) -> Results:
    start, stop, _ = trigger
    # At the start of a context every ensemble must read the same, however late the trigger gets there.
    now = setting.start_tick if start == NEG_INFINITY and stop == INFINITY else setting.now
    return [(setting.clock.from_root(now) + (setting.parameter("delay") or 0), start, stop)]


def _if(setting: Setting, value: Input, condition: Input) -> Results:
    if bool(condition[2]) is not setting.parameter("when"):
        return []
    return [(value[2], max(value[0], condition[0]), min(value[1], condition[1]))]


def _values_to_tttime(setting: Setting, a: Input, b: Input) -> Results:
    start, stop = _end(a[2], NEG_INFINITY), _end(b[2], INFINITY)
    if not start < stop:
        raise ValueError(f"an interval holds at least one tick: {interval_text(start, stop)} is empty")
    return [(None, start, stop)]


def _end(value: Any, infinity: Tick) -> Tick:
    return infinity if isinstance(value, float) and value == infinity else whole_tick(value, "an interval's end")


def _add_time_delay(setting: Setting, token: Input) -> Results:
    delay = whole_tick(setting.parameter("delay"), "a delay")
    start, stop, value = token
    return [(value, start + delay, stop + delay)]


def _set_timeout(setting: Setting, token: Input) -> Results:
    start, stop, value = token
    if stop == INFINITY:
        raise ValueError(f"SET_TIMEOUT begins where the interval ends, but {interval_text(start, stop)} has no end")
    return [(value, stop, INFINITY)]


def _resample(setting: Setting, token: Input) -> Results:
    """For each instant of the new grid in [centre of the sample before, centre of this one): its value there."""
    start, stop, value = token
    if start == NEG_INFINITY or stop == INFINITY:
        raise ValueError(f"RESAMPLE needs tokens with a centre, but {interval_text(start, stop)} has none")
    centre = int(start + (stop - start) // 2)
    first, first_value = setting.state.get("last", (centre, value))
    if centre < first:
        setting.tally("out_of_order")
        return
    setting.state["last"] = (centre, value)
    if centre - first > (setting.parameter("TTMaxGap") or MAX_GAP):
        setting.tally("gaps")
        return
    period, phase, width = setting.grid
    numbers = range(last_instant(first - 1, period, phase) + 1, last_instant(centre - 1, period, phase) + 1)
    linear = setting.parameter("order") == 1
    value_at = _line(first_value, value, centre - first) if numbers and linear else lambda after: first_value
    for number in numbers:
        instant = instant_at(number, period, phase)
        begin = instant - width // 2
        yield value_at(instant - first), begin, begin + width


def _line(first: Any, last: Any, distance: int) -> Callable[[int], Any]:
    """The values on the line from one sample to another, by the distance from the first; as Python's numbers are."""
    first = _wide(first)
    difference = _wide(last) - first
    if _kind(difference) == "m":  # ticks of a NumPy time wrap around, too
        return lambda after: first + difference * (after / distance)
    # Nothing is added at the sample itself: an infinite difference would make it NaN.
    is_real = isinstance(difference, float) or _kind(difference) == "f"
    return lambda after: first + (difference * after / distance if after or not is_real else 0.0)


def _wide(sample: Any) -> Any:
    """A NumPy number as Python's, arrays of numbers in double precision at least; anything else as it is."""
    if not _kind(sample) or _kind(sample) not in "biufc":
        return sample
    numpy = sys.modules["numpy"]
    return sample.item() if isinstance(sample, numpy.generic) else sample.astype(numpy.result_type(sample.dtype, float))


def _kind(value: Any) -> str:
    """NumPy's letter for the kind of type that a NumPy value, or a column of pandas over one, has; empty for others."""
    numpy = sys.modules.get("numpy")
    dtype = getattr(value, "dtype", None)
    return dtype.kind if numpy is not None and isinstance(dtype, numpy.dtype) else ""


# On values, written as operators.

ADD = _instruction("ADD", ("a", "b"), operator.add, "`a + b`.", operator="+")
SUB = _instruction("SUB", ("a", "b"), operator.sub, "`a - b`.", operator="-")
MULT = _instruction("MULT", ("a", "b"), operator.mul, "`a * b`.", operator="*")
DIV = _instruction("DIV", ("a", "b"), operator.truediv, "`a / b`.", operator="/")
EQ = _instruction("EQ", ("a", "b"), operator.eq, "`a == b`.", operator="==")
NEQ = _instruction("NEQ", ("a", "b"), operator.ne, "`a != b`.", operator="!=")
LT = _instruction("LT", ("a", "b"), operator.lt, "`a < b`.", operator="<")
LTE = _instruction("LTE", ("a", "b"), operator.le, "`a <= b`.", operator="<=")
GT = _instruction("GT", ("a", "b"), operator.gt, "`a > b`.", operator=">")
GTE = _instruction("GTE", ("a", "b"), operator.ge, "`a >= b`.", operator=">=")
NEG = _instruction("NEG", ("a",), operator.neg, "`-a`.", operator="-")
NOT = _instruction("NOT", ("a",), operator.not_, "`not a`.", operator="not")
_primitive("FLOORDIV", ("a", "b"), operator.floordiv, "`a // b`.", operator="//")
_primitive("MOD", ("a", "b"), operator.mod, "`a % b`.", operator="%")
_primitive("POW", ("a", "b"), pow, "`a ** b`.", operator="**", builtin="pow", slow=True)
_primitive("BITAND", ("a", "b"), operator.and_, "`a & b`.", operator="&")
_primitive("BITOR", ("a", "b"), operator.or_, "`a | b`.", operator="|")
_primitive("BITXOR", ("a", "b"), operator.xor, "`a ^ b`.", operator="^")
_primitive("LSHIFT", ("a", "b"), operator.lshift, "`a << b`.", operator="<<", slow=True)
_primitive("RSHIFT", ("a", "b"), operator.rshift, "`a >> b`.", operator=">>")
_primitive("IS", ("a", "b"), operator.is_, "`a is b`.", operator="is")
_primitive("ISNOT", ("a", "b"), operator.is_not, "`a is not b`.", operator="is not")
_primitive("IN", ("a", "b"), lambda item, container: item in container, "`a in b`.", operator="in")
_primitive("NOTIN", ("a", "b"), lambda item, container: item not in container, "`a not in b`.", operator="not in")
_primitive("POS", ("a",), operator.pos, "`+a`.", operator="+")
_primitive("INVERT", ("a",), operator.invert, "`~a`.", operator="~")

# On values.

ABS = _instruction("ABS", ("a",), abs, "The absolute value of `a`.", builtin="abs")
MIN = _instruction("MIN", ("a", "b"), min, "The lesser of the two.", builtin="min")
MAX = _instruction("MAX", ("a", "b"), max, "The greater of the two.", builtin="max")
SQRT = _instruction("SQRT", ("a",), math.sqrt, "The square root of `a`.", builtin="math.sqrt")
TUPLE_2 = _instruction("TUPLE_2", ("a", "b"), _tuple, "`(a, b)`.")
TUPLE_3 = _instruction("TUPLE_3", ("a", "b", "c"), _tuple, "`(a, b, c)`.")
SYSLOG = _instruction(
    "SYSLOG", ("a",), _log, 'Log `a` through `logging.getLogger("ticktalk.SYSLOG")` and pass it on.', slow=True
)
MERGE = _instruction(
    "MERGE", ("a", "b"), _as_it_is, "Either input, as it comes: in a graph only.",
    sees=(), passes=True, singly=True, outside=in_a_graph_only("MERGE"),
)  # fmt: skip
_primitive(
    "RETURN", ("a",), _as_it_is, "The value that a graph returns, where no SQ computes it.", sees=(), passes=True
)
_primitive("UNPACK", ("a",), _as_it_is, "A sequence whose elements go separate ways: `p, q = ...`.")
_primitive("AND", (), _and, "`a and b`, of any number.")
_primitive("OR", (), _or, "`a or b`, of any number.")
_primitive("GETITEM", (), _getitem, "`a[b]`, and `a[b:c:d]`.")
_primitive("TUPLE", (), _tuple, "`(a, b, ...)`.")
_primitive("LIST", (), lambda *values: list(values), "`[a, b, ...]`.")
_primitive("SET", (), lambda *values: set(values), "`{a, b, ...}`.")
_primitive("DICT", (), _dict, "`{a: b, c: d, ...}`.")
_primitive("FORMAT", (), str.format, '`"{} {}".format(a, b)`.', slow=True)

# On values, called as in Python.

_SLOW = frozenset({"round", "math.comb", "math.factorial", "math.ldexp", "math.perm"})
"""Functions whose result can be a number of any length."""


def _of_python(module: Any, names: Iterable[str], prefix: str = "", taken: str = "") -> None:
    """Add a row for each of these functions of a module; `taken` stands before a name that another row has."""
    for name in names:
        if any(row.builtin == prefix + name for row in INSTRUCTIONS.values()):
            continue
        row = taken + name.upper() if name.upper() in INSTRUCTIONS else name.upper()
        slow = prefix + name in _SLOW
        _primitive(row, (), getattr(module, name), f"`{prefix}{name}(...)`.", builtin=prefix + name, slow=slow)


_of_python(
    builtins,
    [
        *("all", "any", "bin", "bool", "chr", "complex", "dict", "divmod", "float", "frozenset", "hex", "int", "len"),
        *("list", "oct", "ord", "repr", "round", "set", "sorted", "str", "sum", "tuple"),
    ],
    taken="AS_",
)
_of_python(math, (name for name in vars(math) if callable(getattr(math, name)) and name[0] != "_"), "math.", "MATH_")

# On tokens.

_on_tokens = partial(_instruction, on_tokens=True, sees=())
CONST = _on_tokens(
    "CONST", ("trigger",), _on_trigger(lambda setting: setting.parameter("const")), "`const` for each `trigger`.",
    settings={"const": REQUIRED}, outside=lambda trigger, const: const,
)  # fmt: skip
TIME_TOKEN = _on_tokens(
    "TIME_TOKEN", ("trigger",), _on_trigger(lambda setting: setting.now), "Now on the root clock: in a graph only.",
    outside=in_a_graph_only("TIME_TOKEN"),
)  # fmt: skip
READ_TTCLOCK = _on_tokens(
    "READ_TTCLOCK", ("trigger",), _read_ttclock, "Now plus `delay` in ticks of `TTClock`: in a graph only.",
    settings={"TTClock": ROOT, "delay": 0}, outside=in_a_graph_only("READ_TTCLOCK"),
)  # fmt: skip
TTTIME_TO_VALUES = _on_tokens(
    "TTTIME_TO_VALUES", ("a",), lambda setting, token: [((token[0], token[1]), *token[:2])],
    "The value `(start, stop)` of the token's interval, on it.",
)  # fmt: skip
VALUES_TO_TTTIME = _on_tokens(
    "VALUES_TO_TTTIME", ("a", "b"), _values_to_tttime, "The interval [a, b) of the root clock; the value is None.",
    sees=None, outside=lambda a, b: TTToken(None, TTTime(ROOT, a.value, b.value)),
)  # fmt: skip
COPY_TTTIME = _on_tokens(
    "COPY_TTTIME", ("value", "time"), lambda setting, value, time: [(value[2], *time[:2])],
    "The value of one on the interval of the other.", passes=True,
)  # fmt: skip
ADD_TIME_DELAY = _on_tokens(
    "ADD_TIME_DELAY", ("a",), _add_time_delay, "The token, its interval `delay` ticks of the interval's clock later.",
    settings={"delay": REQUIRED}, passes=True,
)  # fmt: skip
SET_TIMEOUT = _on_tokens(
    "SET_TIMEOUT", ("a",), _set_timeout, "The value from its interval's end to infinity.", passes=True
)
GET_INFINITY = _on_tokens(
    "GET_INFINITY", ("trigger",), _on_trigger(lambda setting: INFINITY),
    "Positive infinity: the end of an interval without end.", outside=lambda trigger: INFINITY,
)  # fmt: skip
GET_NEG_INFINITY = _on_tokens(
    "GET_NEG_INFINITY", ("trigger",), _on_trigger(lambda setting: NEG_INFINITY),
    "Negative infinity: the start of an interval without start.", outside=lambda trigger: NEG_INFINITY,
)  # fmt: skip
RESAMPLE = _on_tokens(
    "RESAMPLE", ("stream",), _resample,
    "The stream on another grid: in a graph only. `order`: 0 holds each sample, 1 computes the values on the line to"
    " the next one. Two samples more than `TTMaxGap` ticks of `TTClock` apart (default: 30 s) give nothing (`gaps`).",
    settings={"TTClock": ROOT, "TTPeriod": REQUIRED, "TTPhase": 0, "order": 0, "TTMaxGap": None},
    sees=None, slow=True, keeps=True, forward=True, outside=in_a_graph_only("RESAMPLE"),
)  # fmt: skip
_primitive(
    "IF", ("value", "condition"), _if, "The value, if the condition is as the branch wants it.",
    on_tokens=True, sees=("condition",), passes=True,
)  # fmt: skip

OF_PYTHON = {row.builtin: row for row in INSTRUCTIONS.values() if row.builtin}
"""Those that are functions of Python's, by the name of the function."""

BY_NAME = {row.name: row for row in INSTRUCTIONS.values() if row.by_name}
"""Those that a program calls by name."""

ON_TOKENS = frozenset(row.name for row in INSTRUCTIONS.values() if row.on_tokens)
ON_VALUES = INSTRUCTIONS.keys() - ON_TOKENS
OPENING = frozenset(row.name for row in INSTRUCTIONS.values() if row.sees != ())
"""Instructions that look at values."""
PASSING = frozenset(row.name for row in INSTRUCTIONS.values() if row.passes)
KEEPING = frozenset(row.name for row in INSTRUCTIONS.values() if row.keeps)

__all__ = [*BY_NAME]
