"""The tokens of records that come again and again: their numbers and values as JSON, many at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from ticktalk.recording.columns import Column, in_json
from ticktalk.recording.json_values import numbers_as_json
from ticktalk.recording.mcap_chunks import Stencil
from ticktalk.records import Repeated, Sent, noted
from ticktalk.time import Tick

BEGIN = b'{"value": '
"""Of the JSON of a token."""


class TokenSeries:
    """The tokens of one arc: the first one, the second one, and the values of all."""

    def __init__(self, first: Sent, second: Sent, values: Sequence[Any]) -> None:
        self.first, self.values = first, values
        self.period = second.tick - first.tick
        self.grows = second.number - first.number

    def at(self, time: int) -> Sent:
        """The token of one time, without its value."""
        first, later = self.first, time * self.period
        start, stop = (tick + later if math.isfinite(tick) else tick for tick in (first.start, first.stop))
        return Sent(first.tick + later, first.sq, first.arc, first.number + time * self.grows, start, stop, b"")

    def value(self, time: int) -> bytes:
        """The value of one time, as MessagePack."""
        return noted(self.values[time])

    def numbers(self, times: range) -> range:
        """The numbers of the tokens of these times."""
        first = self.first.number + times.start * self.grows
        return range(first, first + len(times) * self.grows, self.grows)

    def ticks(self, first: Tick, times: range, unit: int = 1) -> range | None:
        """A tick at these times, in so many units each, which is `first` at the first time; None: it is infinite."""
        if not math.isfinite(first):
            return None
        begin = (int(first) + times.start * self.period) * unit
        return range(begin, begin + len(times) * self.period * unit, self.period * unit)


class ArcTokens(NamedTuple):
    """The tokens of one arc at some times, as JSON.

    Attributes:
        kind: the JSON type of their values.
        values: theirs.
        stencil: their messages, without the values, which begin at `place`.
    """

    kind: str
    values: Column
    stencil: Stencil
    place: int = len(BEGIN)


def tokens_of(series: list[TokenSeries], times: range, unit: int, rest: bytes) -> ArcTokens | None:
    """The tokens of an arc at some times; None: one by one, please.

    Args:
        series: one for each token of one time.
        unit: the nanoseconds of a tick.
        rest: the end of their JSON.
    """
    values = numbers_as_json(_in_turn([each.values[times.start : times.stop] for each in series]))
    starts = [each.ticks(each.first.start, times) for each in series]
    stops = [each.ticks(each.first.stop, times) for each in series]
    if values is None or any(None in ticks and any(ticks) for ticks in (starts, stops)):
        return None
    kind, column = values
    start, stop = (None if ticks[0] is None else _in_turn(ticks) for ticks in (starts, stops))
    sent = _in_turn([each.ticks(each.first.tick, times, unit) for each in series])
    numbers = _in_turn([each.numbers(times) for each in series])
    return ArcTokens(kind, column, _stencil(column.width, sent, start, stop, numbers, rest))


@lru_cache(8)
def _stencil(
    width: int,
    sent: Sequence[int],
    starts: Sequence[int] | None,
    stops: Sequence[int] | None,
    numbers: Sequence[int],
    rest: bytes,
) -> Stencil:
    """The messages of tokens without their values: many arcs have the same; None: without begin, or end."""
    start, stop = (b"null" if ticks is None else in_json(ticks) for ticks in (starts, stops))
    interval = b', "start":', start, b',"stop":', stop
    return Stencil(sent, numbers, [BEGIN, bytes(width), *interval, b',"number":', in_json(numbers), b"," + rest])


def _in_turn(columns: list[Any]) -> Sequence[Any]:
    """The first of all, the second of all, ..."""
    return columns[0] if len(columns) == 1 else (*chain.from_iterable(zip(*columns, strict=True)),)


def series_of(repeated: Repeated) -> Iterator[TokenSeries]:
    """The tokens of each arc, in the order of a period."""
    values = iter(repeated.values)
    for first, second in zip(repeated.first, repeated.second, strict=True):
        if isinstance(first, Sent) and isinstance(second, Sent):
            yield TokenSeries(first, second, next(values, ()))
