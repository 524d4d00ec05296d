"""Tokens: a value, the time-interval in which it holds, and the port to which it belongs."""

from __future__ import annotations

from typing import Any, NamedTuple

from ticktalk.time.interval import TTTime


class TTTag(NamedTuple):
    """The port to which a token belongs.

    Attributes:
        u: the context: one start of one graph.
        sq: the name of the SQ.
        p: the index of the SQ's port.
        e: the name of the ensemble.
    """

    u: int = 0
    sq: str = ""
    p: int = 0
    e: str = ""


class TTToken:
    """A value that holds during an interval.

    Args:
        value: any Python object; it needs a codec to cross to another ensemble.
        time: the interval in which the value holds.
        tag: the port to which it belongs; the runtime sets it, a body need not.

    Tokens are immutable; a body with `TTExecuteOnFullToken=True` gets and returns them.
    """

    __slots__ = ("tag", "time", "value")

    value: Any
    time: TTTime
    tag: TTTag

    def __init__(self, value: Any, time: TTTime, tag: TTTag = TTTag()) -> None:
        if not isinstance(time, TTTime):
            raise TypeError(f"a TTToken's second argument is its interval, a TTTime, not {time!r}")
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "tag", tag)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a TTToken cannot be changed (tried to set {name!r}); make another one")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TTToken):
            return NotImplemented
        return bool(self.value == other.value) and self.time == other.time and self.tag == other.tag

    __hash__ = None  # type: ignore[assignment]  # the value may be unhashable

    def __repr__(self) -> str:
        return f"TTToken({self.value!r}, {self.time!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (TTToken, (self.value, self.time, self.tag))


class TTEmpty:
    """The result of a firing that sends no token."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "TTEmpty()"
