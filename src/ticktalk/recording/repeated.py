"""The tokens of records that come again and again: their numbers and values as JSON, many at once."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import msgspec

from ticktalk.records import Repeated, Sent, noted

_KINDS = {frozenset([int]): "integer", frozenset([float]): "number"}


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

    def texts(self, times: range, rest: bytes) -> tuple[str, list[bytes]] | None:
        """The JSON type of values, and the JSON of their tokens, which end with `rest`; None: one by one, please."""
        values = self.values[times.start : times.stop]
        kind = _KINDS.get(frozenset(map(type, values)))
        if kind is None or (kind == "integer" and (min(values) < -(2**63) or max(values) >= 2**64)):
            return None
        texts = _texts(values)
        if kind == "number" and b"null" in texts:  # not a number, or without end
            return None
        token = self.at(times.start)
        interval = [self._ticks(int(t), len(times)) if math.isfinite(t) else None for t in (token.start, token.stop)]
        intervals = _intervals(*interval, self.numbers(times)[1])
        return kind, [*map(b'{"value": %b%b%b'.__mod__, zip(texts, intervals, repeat(rest)))]

    def numbers(self, times: range, unit: int = 1) -> tuple[range, range]:
        """When the tokens were sent, in so many units a tick; and their numbers."""
        first = self.first.number + times.start * self.grows
        numbers = range(first, first + len(times) * self.grows, self.grows)
        return self._ticks(self.first.tick + times.start * self.period, len(times), unit), numbers

    def _ticks(self, first: int, count: int, unit: int = 1) -> range:
        return range(first * unit, (first + count * self.period) * unit, self.period * unit)


@lru_cache(8)
def _intervals(starts: range | None, stops: range | None, numbers: range) -> list[bytes]:
    """What follows the values of tokens: many arcs have the same; None: without begin, or end."""
    columns = [repeat(b"null") if ticks is None else _texts(ticks) for ticks in (starts, stops)]
    return [*map(b', "start":%b,"stop":%b,"number":%b,'.__mod__, zip(*columns, _texts(numbers), strict=False))]


def in_turn(columns: list[Any]) -> Sequence[Any]:
    """The first of all, the second of all, ..."""
    return columns[0] if len(columns) == 1 else [*chain.from_iterable(zip(*columns, strict=True))]


def series_of(repeated: Repeated) -> Iterator[TokenSeries]:
    """The tokens of each arc, in the order of a period."""
    values = iter(repeated.values)
    for first, second in zip(repeated.first, repeated.second, strict=True):
        if isinstance(first, Sent) and isinstance(second, Sent):
            yield TokenSeries(first, second, next(values, ()))


def _texts(numbers: Sequence[int | float]) -> list[bytes]:
    return msgspec.json.encode(list(numbers))[1:-1].split(b",")
