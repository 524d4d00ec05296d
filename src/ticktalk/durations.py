"""Times as people write and read them: in programs, on the command line, in files and in messages."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction

from ticktalk.time import INFINITY, Tick

Number = int | float | Fraction | Decimal
"""A number as a program writes it; a float means the decimal number that it shows."""

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
"""The microseconds of each unit."""

NANOSECONDS = 1_000
"""Of a root tick."""


def s(seconds: Number) -> int:
    """So many seconds in ticks of the root clock (microseconds).

    Raises:
        ValueError: it is no whole number of ticks.
    """
    return _whole("s", seconds, 1_000_000)


def ms(milliseconds: Number) -> int:
    """So many milliseconds in ticks of the root clock; raises as `s` does."""
    return _whole("ms", milliseconds, 1_000)


def us(microseconds: Number) -> int:
    """So many microseconds, which are the ticks of the root clock; raises as `s` does."""
    return _whole("us", microseconds, 1)


def Hz(rate: Number) -> int | Fraction:
    """The period of so many instants in a second, in ticks of the root clock: a fraction, where it is not whole.

    Raises:
        ValueError: the rate is not above 0, or above a million.
    """
    times = _exact(rate)
    if not 0 < times <= 1_000_000:
        raise ValueError(f"Hz({rate}): a rate is above 0, and at most one instant a tick, 1000000 in a second")
    period = 1_000_000 / times
    return int(period) if period.denominator == 1 else period


WRITTEN = {function.__name__: function for function in (s, ms, us, Hz)}
"""The functions by which programs write durations."""


def _whole(unit: str, number: Number, size: int) -> int:
    ticks = _exact(number) * size
    if ticks.denominator != 1:
        raise ValueError(f"{unit}({number}) is no whole number of microseconds, the ticks of the root clock")
    return int(ticks)


def _exact(number: Number) -> Fraction:
    return Fraction(str(number)) if isinstance(number, float) else Fraction(number)


def period_text(period: int | Fraction) -> str:
    """A period as a duration, or as a rate where it is no whole number of microseconds."""
    if isinstance(period, int):
        return duration_text(period)
    rate = 1_000_000 / period
    return f"{rate if rate.denominator == 1 else float(rate)}Hz"


def duration_text(us: int) -> str:
    """A duration in the largest unit that needs no more than three decimals: `500ms`, `1.5s`, `2min`, `1234567us`."""
    for unit, size in reversed(UNITS.items()):
        if us and abs(us) >= size and (us % size if unit in ("h", "min") else us * 1000 % size) == 0:
            whole, rest = divmod(abs(us) * 1000 // size, 1000)
            decimals = f".{rest:03}".rstrip("0") if rest else ""
            return f"{'-' if us < 0 else ''}{whole}{decimals}{unit}"
    return f"{us}us" if us else "0s"


def about(us: float | Fraction) -> str:
    """A duration that was measured or computed, to six digits: in hours, seconds, milliseconds or microseconds."""
    size = abs(float(us))
    unit = next((unit for unit in ("h", "s", "ms") if size >= UNITS[unit]), "us")
    return f"{float(us) / UNITS[unit]:.6g}{unit}"


EPOCH_SECONDS = 1_000_000_000
"""From so many seconds on (2001), a root tick is shown as a date: time that began at 0 lasts 31 years until then."""


def instant_text(tick: Tick) -> str:
    """A root tick: as a duration since 0, or as local time with the microseconds of the epoch beside it."""
    if abs(tick) == INFINITY:
        return str(tick)
    tick = int(tick)
    try:
        if tick < EPOCH_SECONDS * 1_000_000:
            raise ValueError
        moment = datetime.fromtimestamp(tick // 1_000_000).replace(microsecond=tick % 1_000_000)
    except (ValueError, OverflowError, OSError):
        return duration_text(tick)
    return f"{moment} ({tick}us)"


def interval_text(start: Tick | None, stop: Tick | None) -> str:
    """An interval of root ticks; None: an end that is open: `[450ms, 550ms)`."""
    begin, end = -INFINITY if start is None else start, INFINITY if stop is None else stop
    return f"[{instant_text(begin)}, {instant_text(end)})"


def interval_and_ticks(start: int | None, stop: int | None) -> str:
    """As `interval_text`, with the ticks beside it, as `--jsonl` has them; local times have them already."""
    ticks = [str(tick) for tick in (start, stop) if tick is not None and tick < EPOCH_SECONDS * 1_000_000]
    return interval_text(start, stop) + (f" ({' to '.join(ticks)}us)" if ticks else "")


def moment(text: str, now: datetime | None = None) -> int:
    """The root tick of a date, or of the next time that a clock shows this: both local, unless a zone is given.

    Args:
        text: such as `2026-11-29 12:30`, `2026-11-29T12:30:05.25Z`, `2026-11-29`, `12:30`, `12:30:05`.
        now: the local time; default: the present one.

    Raises:
        ValueError: it is neither.
    """
    try:
        clock = time.fromisoformat(text.strip())
    except ValueError:
        date = datetime.fromisoformat(text.strip())
    else:
        now = now or datetime.now(clock.tzinfo)
        date = datetime.combine(now, clock)
        if date < now:
            date = datetime.combine(now + timedelta(days=1), clock)
    return (date.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
