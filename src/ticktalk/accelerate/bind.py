"""Compiles generated code, and says what the firing rules of SQs that run together know.

Code is compiled once for all regions and plans of one shape. Each makes functions of it, in which the parameters that
are known beforehand (bodies, settled values, what to call) are defaults. While such a function runs, the thread's
`running` is `IN_REGION`. A reader finds the running SQ by its line, so a firing pays nothing for it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from ticktalk.accelerate.inlining import Inlined, spliced
from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.components import OneOfMany, Running
from ticktalk.engine.execution import GENERATED
from ticktalk.engine.firing.arrival import ArrivalSync, SinglePortSync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.grid import GridSync
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
        found: Running = frame.f_locals["region"].at_line(frame.f_lineno)
        return found


IN_REGION = _InRegion()


@lru_cache(64)
def _compiled(text: str, bodies: tuple[Inlined, ...] = ()) -> CodeType:
    """The code of the function in `text`."""
    module = compile(spliced(text, bodies) if bodies else text, GENERATED, "exec", dont_inherit=True)
    return next(code for code in module.co_consts if isinstance(code, CodeType))


def function_of(text: str, names: dict[str, Any], own: bool = True, bodies: tuple[Inlined, ...] = ()) -> FunctionType:
    """The function in `text`; its parameters from the first on that is in `names` get their values from there.

    `own`: it gets code of its own. Python keeps there facts about the functions that it calls, so this is faster, if
    these functions are few. `bodies`: what stands in place of their marks.
    """
    code = _compiled(text, bodies).replace() if own else _compiled(text, bodies)
    parameters = code.co_varnames[: code.co_argcount]
    first = next(index for index, name in enumerate(parameters) if name in names)
    return FunctionType(code, names, code.co_name, tuple([names[name] for name in parameters[first:]]))


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
