"""`--start-at` and `--until` take dates and clock times, in simulated and in real time: a graph starts aligned."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from commands import Done, ticktalk
from ticktalk.cli import arguments
from ticktalk.durations import moment
from ticktalk.errors import TTRuntimeError
from ticktalk.language.compiler import compile_source
from ticktalk.physical.commands import Command
from ticktalk.runtime_manager import TTRuntimeManagerPhysical
from ticktalk.values.codec import encode_value

# Instants that pass while a busy machine stands still are caught up: what matters here is where they are.
PROGRAM = """
from ticktalk import *
@STREAMify
def s(trigger):
    return 1
@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    return start, s(COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + ms(500))), TTPeriod=ms(200), TTMissed="catch-up")
"""
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def ticks(date: datetime) -> int:
    return (date - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.fixture
def vienna(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Vienna")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("vienna")
@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2026-11-29T12:00Z", NOON),
        ("2026-11-29 13:00", NOON),
        (" 2026-07-01 14:00:00.25 ", datetime(2026, 7, 1, 12, 0, 0, 250_000, UTC)),
        ("2026-11-29T07:00:00-05:00", NOON),
        ("2026-11-29", NOON - timedelta(hours=13)),
        ("13:00", NOON),  # it is 12:30 there
        ("12:30:00.5", NOON - timedelta(minutes=30) + timedelta(microseconds=500_000)),
        ("12:29", NOON + timedelta(hours=23, minutes=29)),
    ],
)
def test_the_tick_of_a_time(text: str, date: datetime) -> None:
    assert moment(text, datetime(2026, 11, 29, 12, 30)) == ticks(date)


@pytest.mark.parametrize("text", ["noon", "", "25:00", "2026-13-01", "12:00 tomorrow", "5 parsecs"])
def test_a_text_that_is_no_time_is_refused_with_advice(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write a"):
        arguments.start_tick(text)


def test_the_length_of_a_run() -> None:
    start = ticks(NOON)
    assert arguments.length(None, None) is None
    assert arguments.length("5s", start) == 5_000_000
    assert arguments.length("2026-11-29T12:00:01.5Z", start) == 1_500_000
    with pytest.raises(typer.BadParameter, match="that is not after the start"):
        arguments.length("2026-11-29T12:00Z", start)
    with pytest.raises(typer.BadParameter, match="no duration"):
        arguments.length("soon", start)
    for early in (0, 3_000_000):  # decades of simulated time lie between
        with pytest.raises(typer.BadParameter, match="give a duration, or --start-at a date"):
            arguments.length("2026-11-29T12:00Z", early)


def simulated(tmp_path: Path, *options: str) -> Done:
    program = tmp_path / "prog.py"
    program.write_text(PROGRAM)
    return ticktalk("simulate", str(program), *options, "--jsonl", TZ="UTC")


def test_a_simulation_starts_at_a_date(tmp_path: Path) -> None:
    done = simulated(tmp_path, "--start-at", "2026-11-29 12:00", "--until", "2026-11-29 12:00:00.300001")
    assert done.returncode == 0, done.stderr
    (row,) = map(json.loads, done.stdout.splitlines())
    assert row["value"] == [ticks(NOON), 1]
    assert (row["start"], row["stop"]) == (ticks(NOON) + 150_000, ticks(NOON) + 250_000)


def test_a_simulation_starts_at_a_duration_or_tick(tmp_path: Path) -> None:
    for start in ("3s", "3000000"):
        done = simulated(tmp_path, "--start", start)
        assert [json.loads(line)["value"] for line in done.stdout.splitlines()] == [[3_000_000, 1]] * 2, done.stderr


def test_a_real_start_is_aligned_and_not_past() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager:
        outputs: list[Any] = []
        manager.on_output(outputs.append)
        manager.instantiate_and_map_graph(graph)
        now = time.time_ns() // 1_000
        with pytest.raises(TTRuntimeError, match=r"cannot start at .*that is past, it is .* now"):
            manager.execute_graph(graph, start_tick=now - 1)
        # The next whole fifth of a second that is far enough ahead.
        start = (now // 200_000 + 4) * 200_000
        manager.execute_graph(graph, start_tick=start)
        assert not manager.wait(graph, 0)
        assert manager.wait(graph, 60)
        end = time.monotonic() + 60
        while len(outputs) < 2 and time.monotonic() < end:
            time.sleep(0.01)  # the graph may be done before the listener is told
        assert [tuple(token.value) for token in outputs] == [(start, 1), (start, 1)]
        assert [token.start for token in outputs] == [start + 150_000, start + 350_000]


def test_a_command_says_when() -> None:
    question = Command("start", graph="prog", inputs=encode_value({}), start_tick=5)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(question), type=Command)
    assert again.request(Future()).start_tick == 5
