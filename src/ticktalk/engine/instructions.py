"""What the instructions and the primitives do.

Two kinds: *value* instructions are plain functions of the values, and carry the intersection of their inputs'
intervals; *token* instructions (`TOKEN_INSTRUCTIONS`) get every input as `(start, stop, value)`, and `Setting`,
and say themselves which tokens they send, as a list of `(value, start, stop)`.
"""

from __future__ import annotations

import logging
import math
import operator
from collections.abc import Callable
from typing import Any

import msgspec

from ticktalk.engine.codec import plain
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTClock
from ticktalk.time.clock import whole_tick
from ticktalk.time.interval import interval_text

Sent = list[tuple[Any, Tick, Tick]]
Input = tuple[Tick, Tick, Any]

syslog = logging.getLogger("ticktalk.SYSLOG")


class Setting(msgspec.Struct):
    """What a token instruction knows beside its inputs; times in root ticks.

    Attributes:
        sq: its SQ.
        clock: the clock it is set to.
        start_tick: when its context started, the same on every ensemble.
        now: the present tick.
        state: its own, for the life of the context.
    """

    sq: TTSQ
    clock: TTClock
    start_tick: int
    now: int = 0
    state: dict[str, Any] = {}

    def parameter(self, name: str) -> Any:
        """The compile-time parameter `name` of the call."""
        return decode_constant(self.sq.instruction.get(name))


def _and(*values: Any) -> Any:
    value = True
    for value in values:
        if not value:
            return value
    return value


def _or(*values: Any) -> Any:
    value = False
    for value in values:
        if value:
            return value
    return value


def _dict(*items: Any) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _getitem(value: Any, *index: Any) -> Any:
    return value[slice(*index)] if len(index) == 3 else value[index[0]]


def _syslog(value: Any) -> Any:
    syslog.info("%s", value)
    return value


def _same(value: Any) -> Any:
    return value


VALUE_INSTRUCTIONS: dict[str, Callable[..., Any]] = {
    "ADD": operator.add,
    "SUB": operator.sub,
    "MULT": operator.mul,
    "DIV": operator.truediv,
    "FLOORDIV": operator.floordiv,
    "MOD": operator.mod,
    "POW": operator.pow,
    "NEG": operator.neg,
    "POS": operator.pos,
    "INVERT": operator.invert,
    "NOT": operator.not_,
    "AND": _and,
    "OR": _or,
    "BITAND": operator.and_,
    "BITOR": operator.or_,
    "BITXOR": operator.xor,
    "LSHIFT": operator.lshift,
    "RSHIFT": operator.rshift,
    "EQ": operator.eq,
    "NEQ": operator.ne,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "IS": operator.is_,
    "ISNOT": operator.is_not,
    "IN": lambda item, container: item in container,
    "NOTIN": lambda item, container: item not in container,
    "GETITEM": _getitem,
    "TUPLE": lambda *values: values,
    "LIST": lambda *values: list(values),
    "SET": lambda *values: set(values),
    "DICT": _dict,
    "MERGE": _same,
    "RETURN": _same,
    "UNPACK": _same,
    "ABS": abs,
    "MIN": min,
    "MAX": max,
    "SQRT": math.sqrt,
    "TUPLE_2": lambda a, b: (a, b),
    "TUPLE_3": lambda a, b, c: (a, b, c),
    "SYSLOG": _syslog,
}


def _common(inputs: tuple[Input, ...]) -> tuple[Tick, Tick]:
    return max((token[0] for token in inputs), default=NEG_INFINITY), min(
        (token[1] for token in inputs), default=INFINITY
    )


def _read_ttclock(setting: Setting, trigger: Input) -> Sent:
    start, stop, _ = trigger
    # At the start of a context every ensemble must read the same, however late the trigger gets there.
    now = setting.start_tick if start == NEG_INFINITY and stop == INFINITY else setting.now
    return [(setting.clock.from_root(now) + (setting.parameter("delay") or 0), start, stop)]


def _time_token(setting: Setting, trigger: Input) -> Sent:
    start, stop, _ = trigger
    return [(setting.now, start, stop)]


def _const(setting: Setting, trigger: Input) -> Sent:
    return [(setting.parameter("const"), trigger[0], trigger[1])]


def _if(setting: Setting, value: Input, condition: Input) -> Sent:
    if bool(plain(condition[2])) is not setting.parameter("when"):
        return []
    return [(value[2], *_common((value, condition)))]


def _tttime_to_values(setting: Setting, token: Input) -> Sent:
    start, stop, _ = token
    return [((start, stop), start, stop)]


def _end(value: Any, infinity: Tick) -> Tick:
    value = plain(value)
    return infinity if isinstance(value, float) and value == infinity else whole_tick(value, "an interval's end")


def _values_to_tttime(setting: Setting, a: Input, b: Input) -> Sent:
    start, stop = _end(a[2], NEG_INFINITY), _end(b[2], INFINITY)
    if not start < stop:
        raise ValueError(f"an interval holds at least one tick: {interval_text(start, stop)} is empty")
    return [(None, start, stop)]


def _copy_tttime(setting: Setting, value: Input, time: Input) -> Sent:
    return [(value[2], time[0], time[1])]


def _add_time_delay(setting: Setting, token: Input) -> Sent:
    delay = whole_tick(setting.parameter("delay"), "a delay")
    start, stop, value = token
    return [(value, start + delay, stop + delay)]


def _set_timeout(setting: Setting, token: Input) -> Sent:
    start, stop, value = token
    if stop == INFINITY:
        raise ValueError(f"SET_TIMEOUT begins where the interval ends, but {interval_text(start, stop)} has no end")
    return [(value, stop, INFINITY)]


def _get_infinity(setting: Setting, trigger: Input) -> Sent:
    return [(INFINITY, trigger[0], trigger[1])]


def _get_neg_infinity(setting: Setting, trigger: Input) -> Sent:
    return [(NEG_INFINITY, trigger[0], trigger[1])]


def _resample(setting: Setting, token: Input) -> Sent:
    """For each instant of the new grid in [centre of the token before, centre of this one): its value there."""
    start, stop, value = token
    if start == NEG_INFINITY or stop == INFINITY:
        raise ValueError(f"RESAMPLE needs tokens with a centre, but {interval_text(start, stop)} has none")
    centre = int(start + (stop - start) // 2)
    value = plain(value)
    before = setting.state.get("last")
    if before is not None and centre < before[0]:
        return []
    setting.state["last"] = (centre, value)
    if before is None:
        return []
    first, first_value = before
    sq = setting.sq
    linear = setting.parameter("order") == 1
    sent: Sent = []
    instant = -((sq.phase - first) // sq.period) * sq.period + sq.phase
    while instant < centre:
        result = first_value
        if linear:
            result = first_value + (value - first_value) * (instant - first) / (centre - first)
        begin = instant - sq.width // 2
        sent.append((result, begin, begin + sq.width))
        instant += sq.period
    return sent


SLOW_ON_NUMBERS = frozenset({"POW", "LSHIFT"})
"""Value instructions that can take long even on two small numbers."""

PASSING_ON = frozenset({"MERGE", "RETURN"})
"""Value instructions that do not look at the value."""

TOKEN_INSTRUCTIONS: dict[str, Callable[..., Sent]] = {
    "READ_TTCLOCK": _read_ttclock,
    "TIME_TOKEN": _time_token,
    "CONST": _const,
    "IF": _if,
    "TTTIME_TO_VALUES": _tttime_to_values,
    "VALUES_TO_TTTIME": _values_to_tttime,
    "COPY_TTTIME": _copy_tttime,
    "ADD_TIME_DELAY": _add_time_delay,
    "SET_TIMEOUT": _set_timeout,
    "GET_INFINITY": _get_infinity,
    "GET_NEG_INFINITY": _get_neg_infinity,
    "RESAMPLE": _resample,
}
