"""The ranges of messages: the types of numbers, names and texts that cross between devices.

Every decoder of messages checks them, so a message out of range ends where it came in, before it has an effect.
`known`, at the head of a handler, checks conditions on the receiver's own state, such as whether it has an SQ.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated

from msgspec import Meta

from ticktalk.errors import InvalidMessageError
from ticktalk.time import INFINITY, NEG_INFINITY, Tick

FARTHEST = 2**61
"""Ticks from 0 that a message may name, 73,000 years: far from where a sum leaves 64 bits."""

REACH = f"times reach to {FARTHEST} microseconds, 73,000 years"
"""`FARTHEST`, as people are told of it."""

LONGEST_NAME = 1_000
"""Characters of a name."""

LONGEST_TEXT = 100_000
"""Characters of a text that people read, such as an error's."""

MOST_SQS = 50_000
"""SQs of one ensemble whose states are in a message. Of more, there would be no room for their report."""

MOST_STARTS = 10_000
"""Starts of a graph that one message tells something of."""

MOST_WAITING = 800_000
"""Tokens or deadlines that wait in one place of an SQ whose state is in a message; its bound in bytes is met before."""

MOST_MET = 20_000
"""Waiting tokens of such an SQ that others have overlapped which then left unused."""

MOST_MET_BY_ONE = 1_000
"""Ports from which tokens have overlapped one of them."""

MOST_LEFT_OUT = 10_000
"""Values without codec that a message names."""

RootTick = Annotated[int, Meta(ge=-FARTHEST, le=FARTHEST)]
"""A root tick, finite."""

Span = Annotated[int, Meta(ge=0, le=FARTHEST)]
"""A number of ticks."""

Period = Annotated[int, Meta(ge=1, le=FARTHEST)]
"""The ticks between two instants of a stream, or of an interval: at least one."""

Count = Annotated[int, Meta(ge=0, le=FARTHEST)]
"""A count, or the number of a token."""

Name = Annotated[str, Meta(max_length=LONGEST_NAME)]
"""The name of a graph, an SQ, an arc or a port."""

EnsembleName = Annotated[str, Meta(pattern=r"^[^\s/*$?#=,]+\Z", max_length=LONGEST_NAME)]
"""The name of an ensemble: it is part of the keys of the network, so it holds nothing that has a meaning there."""

Host = Annotated[str, Meta(pattern=r"^[^\s/*$?#=,]*\Z", max_length=LONGEST_NAME)]
"""The same, or empty for none."""

Value = Annotated[bytes, Meta(min_length=1)]
"""A value as MessagePack."""

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
"""A text that people read."""


def is_interval(start: Tick, stop: Tick) -> bool:
    """True if `[start, stop)` holds a tick (NaN holds none), and each end is a tick that may be named or infinite."""
    return (
        start < stop
        and (abs(start) <= FARTHEST or start == NEG_INFINITY)
        and (abs(stop) <= FARTHEST or stop == INFINITY)
    )


def known(names: Iterable[str], there: Collection[str], what: str) -> None:
    """Make sure that the names in a message exist.

    Args:
        names: the names to look for.
        there: the names that exist.
        what: for the refusal, such as "SQs of graph 'prog'".

    Raises:
        InvalidMessageError: something is not there.
    """
    missing = [name for name in names if name not in there]
    if missing:
        listed = ", ".join(repr(name[:100]) for name in missing[:3])
        raise InvalidMessageError(f"a message names {what} that are not here: {listed}")
