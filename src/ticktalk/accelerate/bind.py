"""Compiles generated code, and says what its names mean.

Code is compiled once for all plans of one shape. Each makes functions of it, in which the parameters that are known
beforehand (bodies, settled values, what to call) are defaults. While such a function runs, the thread's `running` is
`IN_PLAN`. A reader finds the running SQ by its line, so a firing pays nothing for it.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from ticktalk.bodies.inlined import Inlined, spliced
from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.components import OneOfMany, Running
from ticktalk.engine.execution import GENERATED
from ticktalk.time import TTEmpty
from ticktalk.values.codec import PLAIN

GONE = object()
"""Stands in the generated code for the value of an SQ that gave none."""

ALWAYS: dict[str, Any] = {"gone": GONE, "nothing": NOTHING, "empty": TTEmpty, "plain": PLAIN}
ALWAYS |= {"type": type, "int": int, "float": float}
"""The names that mean the same in all generated code."""


class _InPlan(OneOfMany):
    """Stands for the SQ whose body runs, while generated code runs several."""

    name = ensemble = GENERATED

    def find(self) -> Running | None:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != GENERATED:
            frame = frame.f_back  # type: ignore[assignment]
        if frame is None:
            return None
        found: Running = frame.f_locals["trace"].at_line(frame.f_lineno)
        return found


IN_PLAN = _InPlan()


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
