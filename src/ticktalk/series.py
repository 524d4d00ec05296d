"""The metrics that bodies set, as plain data: one `Series` for each name of an SQ; bounded."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Annotated, Any, Literal, get_args

import msgspec

from ticktalk.ranges import Count

SeriesKind = Literal["gauge", "counter", "histogram"]
"""A gauge is the last value. A counter is a sum that only grows. A histogram says how often values came in a range."""

KINDS: tuple[SeriesKind, ...] = get_args(SeriesKind)

MOST = 20
"""Names of an SQ."""

MOST_TOLD = 2_000
"""Series of a context that an ensemble tells the manager of."""

BOUNDS = tuple(float(f"{digit}e{power}") for power in range(-6, 7) for digit in (1, 2, 5))
"""The upper ends of a histogram's ranges; the last range has none."""

_NAME = r"[a-zA-Z][a-zA-Z0-9_]{0,62}"
_TAKEN = "ticktalk"
_ADDED = ("_total", "_count", "_sum", "_bucket", "_created", "_info")

MetricName = Annotated[str, msgspec.Meta(pattern=rf"^(?!{_TAKEN}){_NAME}{''.join(f'(?<!{end})' for end in _ADDED)}\Z")]
"""The name of a metric."""

_LARGEST = math.nextafter(math.inf, 0.0)


class Series(msgspec.Struct, array_like=True):
    """The values of a metric.

    Attributes:
        kind: see `SeriesKind`.
        value: of a gauge: the last one; else the sum of all.
        count: how often it was set.
        buckets: of a histogram: by index among `BOUNDS` (their number: above all), how many values came.
    """

    kind: SeriesKind
    value: float = 0.0
    count: Count = 0
    buckets: dict[Annotated[int, msgspec.Meta(ge=0, le=len(BOUNDS))], Count] = {}

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"{self.value} is no value of a metric")
        if self.kind == "histogram" and sum(self.buckets.values()) != self.count:
            raise ValueError(f"a histogram of {self.count} values has {sum(self.buckets.values())} in its ranges")

    def set(self, value: float) -> None:
        """Take a value."""
        self.count += 1
        self.value = value if self.kind == "gauge" else _finite(self.value + value)
        if self.kind == "histogram":
            at = bisect_left(BOUNDS, value)
            self.buckets[at] = self.buckets.get(at, 0) + 1

    def add(self, later: Series) -> None:
        """Take all that another one took later."""
        if later.kind != self.kind:
            self.kind, self.value, self.count, self.buckets = later.kind, 0.0, 0, {}
        self.count += later.count
        self.value = later.value if self.kind == "gauge" else _finite(self.value + later.value)
        for at, count in later.buckets.items():
            self.buckets[at] = self.buckets.get(at, 0) + count

    def told(self) -> dict[str, Any]:
        """Itself as JSON data; of a histogram, how many values were at most as large as the bounds around them."""
        if self.kind != "histogram":
            return {"kind": self.kind, "value": self.value}
        counts, up_to = {}, 0
        for at, bound in enumerate(BOUNDS):
            up_to += self.buckets.get(at, 0)
            if self.buckets.get(at) or self.buckets.get(at + 1):
                counts[f"{bound:g}"] = up_to
        return {"kind": self.kind, "count": self.count, "sum": self.value, "at_most": counts}


BySQ = dict[str, dict[str, Series]]
"""SQ to name to series."""


def summed(parts: Iterable[BySQ]) -> BySQ:
    """The sum of series of the same name that were told by several, each later than the one before."""
    found: BySQ = {}
    for part in parts:
        for sq, series in part.items():
            known = found.setdefault(sq, {})
            for name, each in series.items():
                known.setdefault(name, Series(each.kind)).add(each)
    return found


def set_value(series: dict[str, Series], name: Any, value: Any, kind: Any) -> None:
    """Set a metric of an SQ that has these series.

    Raises:
        TypeError: the value is no number. ValueError: the name, the value or the kind is none, or there are too many.
    """
    found = series.get(name) if isinstance(name, str) else None
    if found is None:
        _check(name, kind)
        if len(series) >= MOST:
            raise ValueError(f"metric {name!r}: an SQ has at most {MOST} metrics: let values vary, not names")
        found = Series(kind)
    elif found.kind != kind:
        raise ValueError(f"metric {name!r} is a {found.kind} here, not a {kind}: give it another name")
    if not isinstance(value, Real):
        raise TypeError(f"metric {name!r}: a number is wanted, not {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"metric {name!r}: a finite number is wanted, not {value!r:.60}; leave out what is none")
    if kind == "counter" and number < 0:
        raise ValueError(f"metric {name!r}: a counter only grows, so {value!r:.60} cannot be added; a gauge can fall")
    found.set(number)
    series[name] = found


def _check(name: Any, kind: Any) -> None:
    if kind not in KINDS:
        raise ValueError(f"metric {name!r}: kind {kind!r:.60} is none of {', '.join(map(repr, KINDS))}")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise ValueError(
            f"metric {name!r:.80}: a name is made of letters, digits and `_`, begins with a letter, and has at most 63"
            " characters"
        )
    if name.startswith(_TAKEN) or name.endswith(_ADDED):
        part = _TAKEN if name.startswith(_TAKEN) else next(end for end in _ADDED if name.endswith(end))
        raise ValueError(f"metric {name!r}: TickTalk and Prometheus make names with {part!r}; choose another")


def bounded(by_sq: Mapping[str, dict[str, Series]]) -> tuple[BySQ, int]:
    """As many of these series as are told, and how many are left out."""
    found: BySQ = {}
    room = MOST_TOLD
    left_out = 0
    for sq, series in by_sq.items():
        some = dict(list(series.items())[:room]) if len(series) > room else series
        left_out += len(series) - len(some)
        room -= len(some)
        if some:
            found[sq] = some
    return found, left_out


def _finite(value: float) -> float:
    return min(_LARGEST, max(-_LARGEST, value))
