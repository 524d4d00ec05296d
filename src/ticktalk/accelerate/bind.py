"""Gives the names in the code of a region their meaning, and compiles it.

The code is compiled once for all regions of one shape. A region makes functions of it, in which the parameters that are
known beforehand (bodies, settled values, what to call) are defaults. While such a function runs, the thread's `running`
is `IN_REGION`. A reader finds the running SQ by its line, so a firing pays nothing for it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.components import OneOfMany, Running, running
from ticktalk.engine.execution import GENERATED, TTSQExecute
from ticktalk.engine.firing.arrival import ArrivalSync, SinglePortSync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.constants import decode_constant
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty
from ticktalk.values.codec import PLAIN

GONE = object()
"""Stands in the generated code for the value of an SQ that gave none."""

ALWAYS: dict[str, Any] = {"gone": GONE, "nothing": NOTHING, "empty": TTEmpty, "plain": PLAIN}
ALWAYS |= {"type": type, "int": int, "float": float}
"""The names that mean the same in all generated code."""


class _InRegion(OneOfMany):
    """Stands for the SQ whose body runs, while generated code runs several."""

    name = ensemble = GENERATED

    def find(self) -> Running | None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != GENERATED:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is None:
            return None
        known = frame.f_locals
        region = known["regions"][known["entry"] & known["mask"]] if "regions" in known else known["region"]
        found: Running = region.at_line(frame.f_code.co_name, frame.f_lineno)
        return found


IN_REGION = _InRegion()


@lru_cache(64)
def _compiled(text: str) -> CodeType:
    """The code of the function in `text`."""
    module = compile(text, GENERATED, "exec", dont_inherit=True)
    return next(code for code in module.co_consts if isinstance(code, CodeType))


def function_of(text: str, names: dict[str, Any], own: bool = True) -> FunctionType:
    """The function in `text`; its parameters from the first on that is in `names` get their values from there.

    `own`: it gets code of its own. Python keeps there facts about the functions that it calls, so this is
    faster where it runs often.
    """
    code = _compiled(text).replace() if own else _compiled(text)
    parameters = code.co_varnames[: code.co_argcount]
    first = next(index for index, name in enumerate(parameters) if name in names)
    return FunctionType(code, names, code.co_name, tuple([names[name] for name in parameters[first:]]))


class BoundSQ:
    """One SQ of a region, as the generated code calls it where more is to be done than to run its body.

    Each method gives the values for the consumers inside, as the code takes them. `when` and `stop` are the interval,
    or `when` is the instant.
    """

    __slots__ = ("execute", "partial", "silent")

    acts: tuple[str, ...] = ("hand", "edge", "ended")
    """The methods that generated code calls by name and place, as `edge3`."""

    def __init__(self, execute: TTSQExecute, inner: int) -> None:
        self.execute = execute
        self.silent = [0] * inner  # by consumer inside: firings whose result did not go there
        self.partial: list[Any] | None = None  # the values inside of a result that could not be handed on to all

    def hand(self, value: Any, when: Tick, stop: Tick | None = None) -> Any:
        """Copy a mutable value, one for each consumer inside."""
        wires = [GONE] * len(self.silent)
        if value.__class__ is not TTEmpty:
            running.current = None
            try:
                self.copy(value, wires)
            except BaseException:
                self.partial = wires
                raise
            running.current = IN_REGION
        return self._given(wires)

    def copy(self, value: Any, wires: list[Any]) -> None:
        """Fill `wires` with copies of a value."""
        raise NotImplementedError

    def ended(self, error: BaseException, when: Tick, stop: Tick | None = None) -> Any:
        """Report the error of a firing; some consumers inside may have got a value nevertheless."""
        self.tell(error, when, stop)
        wires, self.partial = self.partial or [GONE] * len(self.silent), None
        running.current = IN_REGION
        return self._given(wires)

    def tell(self, error: BaseException, when: Tick, stop: Tick | None) -> None:
        """Report an error."""
        raise NotImplementedError

    def _given(self, wires: list[Any]) -> Any:
        silent = self.silent
        for index, value in enumerate(wires):
            if value is GONE:
                silent[index] += 1
        return wires[0] if len(wires) == 1 else wires


def names_of(parts: Iterable[BoundSQ]) -> dict[str, Any]:
    """The names of the functions that generated code calls, and of the constants on the SQs' ports."""
    names = ALWAYS.copy()
    for index, part in enumerate(parts):
        execute = part.execute
        names |= {f"f{index}": execute.body, f"arrange{index}": execute.arrange, f"e{index}": execute}
        names |= {f"{act}{index}": getattr(part, act) for act in part.acts}
        for port, kind in enumerate(execute.sq.ports):
            if kind.constant is not None:
                names[f"a{index}_{port}"] = decode_constant(kind.constant[0])
    return names


# The sync of an SQ, before, while and after its region runs it.


def settled_values(sync: TTSQSync) -> dict[int, Any] | None:
    """By port, the values that hold for good; None: one has not come yet, or holds for a while only."""
    if isinstance(sync, GridSync):
        return dict(zip(sync.arc_ports, sync.values, strict=True))
    settled = {}
    for slot, token in sync.sticky.items() if isinstance(sync, ArrivalSync) else ():
        if token is None or token[0] != NEG_INFINITY or token[2] != INFINITY:
            return None
        settled[sync.arc_ports[slot]] = token[3]
    return settled


def holds_tokens_after(sync: TTSQSync, start: Tick) -> bool:
    """True if a token waits at a sync that may overlap one that starts at `start`."""
    return isinstance(sync, ArrivalSync) and any(token[2] > start for port in sync.ports for token in port.tokens)


def bring_up(sync: TTSQSync, start: Tick) -> None:
    """Let a sync know that its SQ fired on tokens that start at `start`, and on none that starts later."""
    if isinstance(sync, (ArrivalSync, SinglePortSync)) and sync.forward:
        sync.last_start = max(sync.last_start, start)
    if isinstance(sync, ArrivalSync):
        sync.reach(start)
