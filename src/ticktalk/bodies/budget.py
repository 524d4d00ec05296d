"""The cost of a run of a harmless body: its limit, and the price of the values that it works on (`meter.py`)."""

from __future__ import annotations

from collections import deque
from types import GeneratorType, NoneType
from typing import Any

from ticktalk.bodies.plain import HOLDERS, SCALARS, held_in

MOST_COST = 5_000
"""The most that one run may cost. One unit is a short operation: some 0.1 us."""

LONGEST = 4_096
"""Characters of a text, or bytes, that a body works on, at most."""

MOST_BITS = 1_024
"""Bits of an integer that a body works on, at most."""

PER_UNIT = 32
"""Characters that cost one unit."""

WORD = 1 << 62
_SHORT_INT = 1 << 64
_DEAR = 32
"""The price of a longer integer, or of a complex number: many may have one hash, so a set of them is slow."""
_AS_TEXT = 8
"""The factor by which a number is dearer as text."""
_COMPARED = 400
"""Pairs of characters that cost one unit where one text is looked for in another."""

SIZED = (str, bytes)
FREE = frozenset({float, bool, NoneType})
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_EMPTY: tuple[Any, ...] = ([], {}, range(0), deque())
_REVERSED: tuple[type, ...] = tuple(type(reversed(each)) for each in _EMPTY)
_ITERATORS = frozenset({enumerate, zip, reversed, GeneratorType, *_REVERSED})
_CHANGEABLE = frozenset({list, dict, set, deque})
_HOLDERS = HOLDERS | {range, *_VIEWS}


class TooMuchError(Exception):
    """A run that costs too much, works on something too long, or uses what is not known to be harmless."""


class Budget:
    """The rest of what the run at hand may cost.

    Attributes:
        left: units.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_COST

    def pay(self, value: Any) -> None:
        """Pay for an operation that looks at a value and all that it holds.

        Raises:
            TooMuchError: it is too long, not plain, or nothing is left.
        """
        kind = value.__class__
        if kind is int:
            cost = 1
            if not -_SHORT_INT < value < _SHORT_INT:
                cost = _DEAR
                if value.bit_length() > MOST_BITS:
                    raise TooMuchError
        elif kind in FREE:
            cost = 1
        elif kind in SIZED:
            cost = 1 + len(value) // PER_UNIT
            if len(value) > LONGEST:
                raise TooMuchError
        elif kind is complex:
            cost = _DEAR
        else:
            self._pay_all(value)
            return
        self.left -= cost
        if self.left < 0:
            raise TooMuchError

    def step(self, cost: int = 1) -> bool:
        """Pay for one round of a loop, or for something else that costs so much."""
        self.left -= cost
        if self.left < 0:
            raise TooMuchError
        return True

    def pay_each(self, value: Any) -> None:
        """As `pay`, where each character of a text is taken by itself."""
        self.pay(value)
        if value.__class__ in SIZED:
            self.step(len(value))

    def pay_search(self, holder: Any, item: Any) -> None:
        """Pay for looking for one text in another."""
        if holder.__class__ in SIZED and item.__class__ in SIZED:
            self.step(len(holder) * len(item) // _COMPARED)

    def pay_text(self, value: Any) -> None:
        """Pay for making text of a value."""
        before = self.left
        self.pay(value)
        if value.__class__ not in SIZED:
            self.step((_AS_TEXT - 1) * (before - self.left))

    def pay_state(self, value: Any) -> None:
        """As `pay`, for what is to be encoded.

        Raises:
            TooMuchError: as `pay`; or a list, dict, set or deque is at two places. When decoded, it would be two.
        """
        self._pay_all([value], set())

    def _pay_all(self, value: Any, known: set[int] | None = None) -> None:
        if value.__class__ in _ITERATORS:
            return  # it is paid for when it is made or goes on, and only loops and functions that end take it
        waiting = [value]
        while waiting:
            holder = waiting.pop()
            kind = holder.__class__
            if kind not in _HOLDERS:
                raise TooMuchError
            if known is not None and kind in _CHANGEABLE:
                if id(holder) in known:
                    raise TooMuchError
                known.add(id(holder))
            self.left -= 1 + len(holder)
            if self.left < 0:
                raise TooMuchError
            if kind is range:
                continue
            for item in held_in(holder):
                kind = item.__class__
                if kind in FREE:
                    continue
                if kind is int and -_SHORT_INT < item < _SHORT_INT:
                    self.left -= 1
                elif kind in SCALARS:
                    self.pay(item)
                else:
                    waiting.append(item)
            if self.left < 0:
                raise TooMuchError
