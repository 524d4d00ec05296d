"""The instructions: SQs that come with TickTalk, callable by name in a graph.

`INSTRUCTIONS` is the one table that says which there are, what their inputs are called and what they are set
to. Outside a graph the value-level ones compute plainly (`ADD(1, 2) == 3`), those on full tokens work on
`TTToken`s; the others mean something in a graph only and raise a `TypeError`.
"""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple, NoReturn

from ticktalk.time import INFINITY, NEG_INFINITY, ROOT, TTTime, TTToken

REQUIRED = object()
"""In place of a setting's default: a call must give it."""


class Instruction(NamedTuple):
    """An instruction as a call sees it.

    Attributes:
        inputs: names of its inputs; each takes an arc or a constant.
        settings: what is fixed at compile time, with defaults (`REQUIRED`: none).
    """

    inputs: tuple[str, ...]
    settings: dict[str, Any] = {}

    def port_name(self, index: int) -> str:
        """The name of a port: an input that has a meaning has its name, an operand its position."""
        name = self.inputs[index]
        return name if len(name) > 1 else str(index)


INSTRUCTIONS: dict[str, Instruction] = {
    **{name: Instruction(("a",)) for name in ("NEG", "NOT", "ABS", "SQRT", "SYSLOG")},
    **{
        name: Instruction(("a", "b"))
        for name in ("ADD", "SUB", "MULT", "DIV", "EQ", "NEQ", "LT", "LTE", "GT", "GTE", "MIN", "MAX", "TUPLE_2")
    },
    "TUPLE_3": Instruction(("a", "b", "c")),
    "CONST": Instruction(("trigger",), {"const": REQUIRED}),
    "MERGE": Instruction(("a", "b")),
    "TIME_TOKEN": Instruction(("trigger",)),
    "TTTIME_TO_VALUES": Instruction(("a",)),
    "VALUES_TO_TTTIME": Instruction(("a", "b")),
    "READ_TTCLOCK": Instruction(("trigger",), {"TTClock": ROOT, "delay": 0}),
    "COPY_TTTIME": Instruction(("value", "time")),
    "ADD_TIME_DELAY": Instruction(("a",), {"delay": REQUIRED}),
    "SET_TIMEOUT": Instruction(("a",)),
    "GET_INFINITY": Instruction(("trigger",)),
    "GET_NEG_INFINITY": Instruction(("trigger",)),
    "RESAMPLE": Instruction(("stream",), {"TTClock": ROOT, "TTPeriod": REQUIRED, "TTPhase": 0, "order": 0}),
}

__all__ = [*INSTRUCTIONS]


def NEG(a: Any) -> Any:
    """`-a`."""
    return -a


def NOT(a: Any) -> bool:
    """`not a`."""
    return not a


def ABS(a: Any) -> Any:
    """The absolute value of `a`."""
    return abs(a)


def ADD(a: Any, b: Any) -> Any:
    """`a + b`."""
    return a + b


def SUB(a: Any, b: Any) -> Any:
    """`a - b`."""
    return a - b


def MULT(a: Any, b: Any) -> Any:
    """`a * b`."""
    return a * b


def DIV(a: Any, b: Any) -> Any:
    """`a / b`."""
    return a / b


def EQ(a: Any, b: Any) -> Any:
    """`a == b`."""
    return a == b


def NEQ(a: Any, b: Any) -> Any:
    """`a != b`."""
    return a != b


def LT(a: Any, b: Any) -> Any:
    """`a < b`."""
    return a < b


def LTE(a: Any, b: Any) -> Any:
    """`a <= b`."""
    return a <= b


def GT(a: Any, b: Any) -> Any:
    """`a > b`."""
    return a > b


def GTE(a: Any, b: Any) -> Any:
    """`a >= b`."""
    return a >= b


def MIN(a: Any, b: Any) -> Any:
    """The lesser of the two."""
    return min(a, b)


def MAX(a: Any, b: Any) -> Any:
    """The greater of the two."""
    return max(a, b)


def SQRT(a: Any) -> float:
    """The square root of `a`."""
    return math.sqrt(a)


def TUPLE_2(a: Any, b: Any) -> tuple[Any, Any]:
    """`(a, b)`."""
    return (a, b)


def TUPLE_3(a: Any, b: Any, c: Any) -> tuple[Any, Any, Any]:
    """`(a, b, c)`."""
    return (a, b, c)


def CONST(trigger: Any, const: Any) -> Any:
    """`const`, whenever `trigger` comes."""
    return const


def SYSLOG(a: Any) -> Any:
    """Log `a` through `logging` and pass it on."""
    logging.getLogger("ticktalk.syslog").info("%s", a)
    return a


def TTTIME_TO_VALUES(a: TTToken) -> TTToken:
    """The value `(start, stop)` of the token's interval, on that interval."""
    return TTToken((a.time.start_tick, a.time.stop_tick), a.time)


def VALUES_TO_TTTIME(a: TTToken, b: TTToken) -> TTToken:
    """The interval [a, b) of the root clock; the value is None."""
    return TTToken(None, TTTime(ROOT, a.value, b.value))


def COPY_TTTIME(value: TTToken, time: TTToken) -> TTToken:
    """The value of one on the interval of the other."""
    return TTToken(value.value, time.time)


def ADD_TIME_DELAY(a: TTToken, delay: int) -> TTToken:
    """The token with its interval shifted by `delay` ticks of the interval's clock."""
    return TTToken(a.value, a.time.shifted(delay))


def SET_TIMEOUT(a: TTToken) -> TTToken:
    """The value from its interval's end to infinity."""
    return TTToken(a.value, TTTime(a.time.clock, a.time.stop_tick, INFINITY))


def GET_INFINITY(trigger: Any) -> float:
    """Positive infinity: the end of an interval without end."""
    return INFINITY


def GET_NEG_INFINITY(trigger: Any) -> float:
    """Negative infinity: the start of an interval without start."""
    return NEG_INFINITY


def MERGE(a: Any, b: Any) -> NoReturn:
    """Either input, as it comes: in a graph only."""
    raise _in_a_graph_only("MERGE")


def TIME_TOKEN(trigger: Any) -> NoReturn:
    """Now on the root clock: in a graph only."""
    raise _in_a_graph_only("TIME_TOKEN")


def READ_TTCLOCK(trigger: Any, TTClock: Any = ROOT, delay: int = 0) -> NoReturn:
    """Now plus `delay` in ticks of `TTClock`: in a graph only."""
    raise _in_a_graph_only("READ_TTCLOCK")


def RESAMPLE(stream: Any, TTPeriod: int, TTClock: Any = ROOT, TTPhase: int = 0, order: int = 0) -> NoReturn:
    """The stream on another grid: in a graph only."""
    raise _in_a_graph_only("RESAMPLE")


def _in_a_graph_only(name: str) -> TypeError:
    return TypeError(f"{name} means something in a @GRAPHify function only; compile the program and simulate it")
