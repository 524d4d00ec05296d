"""Which bodies of a plan stand in its code as statements, and whether they can run there now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ticktalk.accelerate.bind import GONE
from ticktalk.accelerate.code import made_anew
from ticktalk.accelerate.events import Part, PlanEvent, StandIn, passes_on, wires_of
from ticktalk.accelerate.simple import VALUES, InPlace, is_watched
from ticktalk.time import TTEmpty

MOST_IN_PLACE = 40_000
"""Nodes of the syntax trees of all bodies in the code of a period, at most: a longer function takes long to compile."""


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
        room = MOST_IN_PLACE
        for place, event in enumerate(events):
            if event.runs and not made_anew(event.part.sq) and not unseen & {*map(id, event.inputs)}:
                body = body_of(event.part)
                if body is not None and body.simple.size <= room:
                    room -= body.simple.size
                    self.of[place] = body
        self._bodies = {events[place].part: body for place, body in self.of.items()}
        self.strict = _reached({id(value) for place in self.of for value in events[place].inputs}, self._back)

    @property
    def names(self) -> dict[str, Any]:
        """What the names of the bodies mean in the code."""
        names: dict[str, Any] = {}
        for part, body in self._bodies.items():
            names |= {f"g{part.index}_{name}": value for name, value in body.held.items()}
            names |= {f"d{part.index}_{name}": value for name, value in body.defaults.items()}
            names[f"state{part.index}"] = body.namespace
        return names

    def not_ready(self, values: list[Any]) -> list[Part]:
        """The SQs whose bodies stand in the code and cannot run there now, where these values are at the begin."""
        watched = is_watched()
        parts = [part for part, body in self._bodies.items() if watched or not body.ready]
        for value, known in zip(values, self._begin, strict=True):
            if id(known) in self.strict and value is not GONE and value.__class__ not in VALUES:
                parts += self._takers({id(known)})
        return parts

    def strange(self, place: int, value: Any) -> list[Part]:
        """The SQs whose bodies cannot run on a value that the event at a place has made."""
        if value is GONE or value.__class__ in VALUES or type(value) is TTEmpty:
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
