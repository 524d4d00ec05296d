"""Grids of instants: instant k is at `phase + round(k * period)`, for every integer k.

A period may be a fraction, such as that of 60 Hz. Each instant is rounded by itself, as Python rounds, so the average
rate is exact. All ticks are of the root clock.
"""

from __future__ import annotations

from fractions import Fraction

Period = int | Fraction
"""Root ticks between two instants: at least 1."""


def period_of(ticks: int, per: int) -> Period:
    """The period of which so many take `ticks`."""
    return ticks if per == 1 else Fraction(ticks, per)


def last_instant(tick: int, period: Period, phase: int) -> int:
    """The number of the last instant at `tick` or before."""
    number = (tick - phase) // period
    return number + (round((number + 1) * period) <= tick - phase)


def instant_at(number: int, period: Period, phase: int) -> int:
    """The tick of an instant."""
    return phase + round(number * period)


def instant_after(tick: int, period: Period, phase: int) -> int:
    """The tick of the first instant later than `tick`."""
    return instant_at(last_instant(tick, period, phase) + 1, period, phase)


def repeats_after(period: Period) -> int:
    """The ticks after which the instants of a grid repeat; a phase is below them."""
    # Half a tick is rounded to the even one, so an odd number of ticks may shift the rounding.
    return period if isinstance(period, int) else 2 * period.numerator
