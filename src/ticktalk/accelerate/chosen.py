"""Which bodies of a plan stand in its code as statements, and whether they can run there now.

They are simple (`bodies/statements.py`), and their global names hold Python's own functions or constants. In the code
they run on plain values only (`bodies/plain.py`). So no code of a program runs in them that could see the difference.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any, NamedTuple

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.code import made_anew
from ticktalk.accelerate.events import Part, PlanEvent, StandIn, passes_on, wires_of
from ticktalk.bodies.names import BUILTINS, held_at, held_by
from ticktalk.bodies.plain import HOLDERS, SCALARS, held_in, is_scalar
from ticktalk.bodies.source import NotPlainError
from ticktalk.bodies.statements import Simple, simple_of
from ticktalk.engine.execution import TTSQExecute
from ticktalk.graph.graph import TTFunction, TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.time import TTEmpty

MOST_IN_PLACE = 40_000
"""Nodes of the syntax trees of all bodies in the code of a period, at most: a longer function takes long to compile."""

MOST_KEPT = 64
"""Values in `sq_state`, at most: they are looked through whenever the plan is entered."""


class InPlace(NamedTuple):
    """A simple body, as it is at one SQ.

    Attributes:
        function: its source.
        simple: what is known of that.
        held: what its global names hold.
        defaults: by parameter, its default.
        namespace: of the instance; it has the state.
    """

    function: TTFunction
    simple: Simple
    held: dict[str, Any]
    defaults: dict[str, Any]
    namespace: dict[str, Any]

    @property
    def ready(self) -> bool:
        """True if it may run now: nobody has changed what its names mean, and its state is plain."""
        held, namespace = self.held, self.namespace
        if any(held_at(name, namespace) is not value for name, value in held.items()):
            return False
        return not self.simple.stateful or (
            namespace.get("sq_state").__class__ is dict and is_plain([namespace["sq_state"]])
        )


def body_of(sq: TTSQ, execute: TTSQExecute) -> InPlace | None:
    """The body of an SQ; None: it has to be called."""
    body, state = execute.body, execute.state
    if not (sq.body and isinstance(body, FunctionType) and execute.code.is_plain(sq, body)) or _is_watched():
        return None
    function = execute.code.graph.functions[sq.function]
    simple = simple_of(function.source, function.line)
    if simple is None or sq.singly or sq.full_token:
        return None
    try:
        held_by(simple.free, state, is_scalar)
    except NotPlainError:
        return None
    held = {name: held_at(name, state) for name in simple.free}
    names = body.__code__.co_varnames[: body.__code__.co_argcount]
    given = body.__defaults__ or ()
    defaults = dict(zip(names[len(names) - len(given) :], given, strict=True)) | (body.__kwdefaults__ or {})
    if not all(map(is_scalar, defaults.values())):
        return None
    return InPlace(function, simple, held, defaults, state)


def body_in(graph: TTGraph, sq: TTSQ) -> InPlace | None:
    """The body of an SQ of a graph that does not run."""
    if not sq.body or sq.singly or sq.full_token or graph.functions[sq.function].module:
        return None
    function = graph.functions[sq.function]
    simple = simple_of(function.source, function.line)
    if simple is None or not simple.free <= {*BUILTINS, "TTEmpty"}:
        return None
    return InPlace(function, simple, {}, {}, {})


class Inline:
    """The bodies that stand in the code of a period.

    They take plain values only, that are looked at where they are made, or stand there at the begin.

    Args:
        events: of the period.
        begin, end: what stands there at its begin and at its end, place by place.
        body_of: gives the bodies that may stand there.

    Attributes:
        of: by place of the event.
        strict: the ids of the values that they take.
    """

    def __init__(
        self, events: list[PlanEvent], begin: list[StandIn], end: list[Any], body_of: Callable[[Part], InPlace | None]
    ) -> None:
        self._events, self._begin = events, begin
        self._back = [(id(here), id(there)) for here, there in zip(begin, end, strict=True)]
        self._onward = [(there, here) for here, there in self._back]
        unseen = {id(value) for event in events if not passes_on(event) for value in wires_of(event)}
        unseen = _reached(unseen, self._onward)
        self.of: dict[int, InPlace] = {}
        found: dict[Part, InPlace | None] = {}
        room = MOST_IN_PLACE
        for place, event in enumerate(events):
            if event.runs and not made_anew(event.part.sq) and not unseen & {*map(id, event.inputs)}:
                if event.part not in found:
                    found[event.part] = body_of(event.part)
                body = found[event.part]
                if body is not None and body.simple.size <= room:
                    room -= body.simple.size
                    self.of[place] = body
        self._bodies = {events[place].part: body for place, body in self.of.items()}
        self.strict = _reached({id(value) for place in self.of for value in events[place].inputs}, self._back)

    @property
    def names(self) -> dict[str, Any]:
        """The names of the bodies in the code, and their meanings."""
        names: dict[str, Any] = {}
        for part, body in self._bodies.items():
            names |= {f"g{part.index}_{name}": value for name, value in body.held.items()}
            names |= {f"d{part.index}_{name}": value for name, value in body.defaults.items()}
            names[f"state{part.index}"] = body.namespace
        return names

    def not_ready(self, values: list[Any]) -> list[Part]:
        """The SQs whose bodies stand in the code and cannot run there now, where these values are at the begin."""
        watched = _is_watched()
        parts = [part for part, body in self._bodies.items() if watched or not body.ready]
        for value, known in zip(values, self._begin, strict=True):
            if id(known) in self.strict and value is not GONE and value.__class__ not in SCALARS:
                parts += self._takers({id(known)})
        return parts

    def strange(self, place: int, value: Any) -> list[Part]:
        """The SQs whose bodies cannot run on a value that the event at a place has made."""
        if value is GONE or value.__class__ in SCALARS or type(value) is TTEmpty:
            return []
        return self._takers({id(made) for made in wires_of(self._events[place])})

    def _takers(self, values: set[int]) -> list[Part]:
        """The SQs whose bodies stand in the code and take some of these values, in this period or a later one."""
        values = _reached(values, self._onward)
        return [self._events[place].part for place in self.of if values & {*map(id, self._events[place].inputs)}]


def _reached(values: set[int], onward: Iterable[tuple[int, int]]) -> set[int]:
    """These values, and those that any of them becomes; `onward`: what becomes what."""
    onward = [*onward]
    while more := {new for old, new in onward if old in values and new not in values}:
        values = values | more
    return values


NO_BODIES = Inline([], [], [], lambda part: None)


def _is_watched() -> bool:
    """True if somebody follows which code runs: a debugger, a profiler, what measures coverage."""
    watching = getattr(sys, "monitoring", None)
    tools = () if watching is None else map(watching.get_tool, range(6))
    return sys.gettrace() is not None or sys.getprofile() is not None or any(tools)


def is_plain(values: Iterable[Any], most: int = MOST_KEPT) -> bool:
    """True if these are plain values, and containers of them, not too many."""
    waiting = deque(values)
    while waiting:
        most -= 1
        value = waiting.pop()
        kind = value.__class__
        if kind in SCALARS:
            continue
        if kind not in HOLDERS or len(value) > most:
            return False
        waiting.extend(held_in(value))
    return most >= 0
