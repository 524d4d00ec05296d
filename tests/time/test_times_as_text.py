"""Times in messages: a duration since 0, or the local time with the microseconds of the epoch beside it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ticktalk.durations import about, instant_text, interval_text
from ticktalk.payloads import FiringError


@pytest.fixture(autouse=True)
def vienna() -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Vienna"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@pytest.mark.parametrize(
    ("tick", "text"),
    [
        (0, "0s"),
        (450_000, "450ms"),
        (-5, "-5us"),
        (3_000_000, "3s"),
        (1_234_567, "1234.567ms"),
        (float("inf"), "inf"),
        (10**30, "1000000000000000000000000s"),
    ],
)
def test_ticks_that_began_at_0(tick: float, text: str) -> None:
    assert instant_text(tick) == text


@pytest.mark.parametrize("moment", [datetime(2026, 11, 29, 4, 5, 6, 250_000), datetime(2024, 7, 1, 0, 0, 0, 7)])
def test_ticks_of_the_epoch(moment: datetime) -> None:
    tick = int(moment.replace(tzinfo=ZoneInfo("Europe/Vienna"), microsecond=0).timestamp()) * 1_000_000
    tick += moment.microsecond
    assert instant_text(tick) == f"{moment} ({tick}us)"


def test_an_error_says_when() -> None:
    error = FiringError("f-1", "edge", 450_000, None, "prog.py", 3, "ValueError: x")
    assert str(error) == "prog.py:3: SQ f-1 on edge, interval [450ms, inf) (450000us): ValueError: x"
    assert interval_text(None, 5) == "[-inf, 5us)"
    whole = FiringError("f-1", "edge", 450_000, 550_000, "prog.py", 3, "ValueError: x")
    assert "interval [450ms, 550ms) (450000 to 550000us): " in str(whole)
    real = FiringError("f-1", "edge", 1_795_929_531_000_000, 1_795_929_532_000_000, "prog.py", 3, "x")
    assert str(real).count("1795929531000000us") == 1


@pytest.mark.parametrize(
    ("us", "text"),
    [(0, "0us"), (1_500, "1.5ms"), (-90_000_000, "-90s"), (5_400_000_000, "1.5h"), (401 * 3_600_000_000, "401h")],
)
def test_a_long_duration_is_in_hours(us: int, text: str) -> None:
    """A progress bar showed 401 h as `1.4436e+06s`."""
    assert about(us) == text
