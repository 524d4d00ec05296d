"""Clocks: a tree of tick counters below one root that ticks in microseconds."""

from __future__ import annotations

import math
import operator
from contextlib import suppress
from typing import Any, Self

Tick = int | float
"""A tick of some clock: an int, or an infinite float for an open end."""


def whole_tick(value: Any, what: str = "a tick count") -> int:
    """`value` as an int number of ticks; a whole float counts as its int.

    Raises:
        ValueError: `value` is not a whole, finite number.
    """
    if type(value) is int:
        return value
    if hasattr(value, "__index__") and not isinstance(value, bool):
        with suppress(TypeError):  # that is what arrays of NumPy raise, which have the method
            return operator.index(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ValueError(f"{what} must be a whole number of ticks, not {value!r}")


class Immutable:
    """A value whose attributes are set once, by its own `__init__`."""

    __slots__ = ()

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed (tried to set {name!r}); make another one")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class TTClock(Immutable):
    """A clock: its tick `k` is tick `epoch + k * period` of its parent.

    Args:
        name: as in messages and graph files.
        parent: the clock it is counted on; None for the root clock only.
        period: ticks of the parent in one tick of this clock; at least 1.
        epoch: the parent's tick at which this clock shows 0.

    Raises:
        ValueError: a period below 1, or a tick count that is not whole.
        TypeError: the parent is not a clock.

    Clocks are immutable, and equal when they are counted alike and named alike.
    """

    __slots__ = ("epoch", "name", "parent", "period", "root_epoch", "root_period")

    name: str
    parent: TTClock | None
    period: int
    epoch: int
    root_period: int  # root ticks in one tick of this clock
    root_epoch: int  # the root tick at which this clock shows 0

    def __init__(self, name: str, parent: TTClock | None = None, period: int = 1, epoch: int = 0) -> None:
        if not isinstance(name, str):
            raise TypeError(f"a clock's name must be a string, not {name!r}")
        if parent is not None and not isinstance(parent, TTClock):
            raise TypeError(f"the parent of clock {name!r} must be a TTClock, not {parent!r}")
        period = whole_tick(period, f"the period of clock {name!r}")
        epoch = whole_tick(epoch, f"the epoch of clock {name!r}")
        if period < 1:
            raise ValueError(f"the period of clock {name!r} must be at least 1 tick of its parent, not {period}")
        if parent is None and (period != 1 or epoch != 0):
            raise ValueError(f"clock {name!r} has a period or an epoch, so it needs a parent such as TTClock.root()")
        root_period = period * (parent.root_period if parent else 1)
        root_epoch = epoch * parent.root_period + parent.root_epoch if parent else 0
        super().__init__(
            name=name, parent=parent, period=period, epoch=epoch, root_period=root_period, root_epoch=root_epoch
        )

    @staticmethod
    def root() -> TTClock:
        """The root clock: microseconds, UTC on devices, from 0 in simulation."""
        return ROOT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def to_root(self, tick: Tick) -> Tick:
        """The root tick of tick `tick` of this clock; infinite ends stay so."""
        if isinstance(tick, float) and math.isinf(tick):
            return tick
        return self.root_epoch + tick * self.root_period

    def from_root(self, tick: Tick) -> Tick:
        """The tick this clock shows at root tick `tick`: rounded down, as a clock shows it."""
        if isinstance(tick, float) and math.isinf(tick):
            return tick
        return (tick - self.root_epoch) // self.root_period

    def ancestors(self) -> list[TTClock]:
        """This clock, its parent, and so on up to the root."""
        line, clock = [], self
        while True:
            line.append(clock)
            if clock.parent is None:
                return line
            clock = clock.parent

    def common_ancestor(self, other: TTClock) -> TTClock:
        """The nearest clock on which both are counted.

        Raises:
            ValueError: the clocks share no root.
        """
        mine = self.ancestors()
        for clock in other.ancestors():
            if clock in mine:
                return clock
        raise ValueError(f"the clocks {self.name!r} and {other.name!r} share no root clock")

    def to_ancestor(self, tick: Tick, ancestor: TTClock) -> Tick:
        """The tick of `ancestor` at which this clock's tick `tick` begins."""
        clock = self
        while clock != ancestor:
            if clock.parent is None:
                raise ValueError(f"clock {ancestor.name!r} is no ancestor of clock {self.name!r}")
            if not (isinstance(tick, float) and math.isinf(tick)):
                tick = clock.epoch + tick * clock.period
            clock = clock.parent
        return tick

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, TTClock):
            return NotImplemented
        return self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash((self.name, self.root_period, self.root_epoch))

    def __repr__(self) -> str:
        if self.parent is None:
            return f"TTClock.root({self.name!r})" if self.name != "root" else "TTClock.root()"
        return f"TTClock({self.name!r}, {self.parent.name}, {self.period}, {self.epoch})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.parent is None:
            return (TTClock, (self.name, None))
        return (TTClock, (self.name, self.parent, self.period, self.epoch))


ROOT = TTClock("root", None)
