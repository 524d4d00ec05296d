"""Recorded values at their recorded times: CSV, Parquet (extra `parquet`), MCAP (`record`), rosbag2 (`rosbag`).

The first instant of the stream that asks is the time of the first recorded value. So a recording of a morning plays at
any time, simulated or real.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ticktalk.errors import TTError
from ticktalk.printable import line
from ticktalk.ranges import FARTHEST
from ticktalk.time import TTEmpty

MICROSECONDS = {"ns": 0.001, "us": 1, "ms": 1000, "s": 1_000_000, "min": 60_000_000}
"""By unit of a column of times."""


class Playback:
    """Values with times.

    Args:
        rows: pairs of a time in microseconds, from any beginning, and a value; in any order.
        hold: an instant without a new value gets the last one again; else it gets none.
        what: names the source in messages.
    """

    def __init__(self, rows: Iterable[tuple[int, Any]], *, hold: bool = False, what: str = "playback") -> None:
        ordered = sorted(rows, key=lambda row: row[0])
        if not ordered:
            raise TTError(f"{what}: there is nothing to play")
        first = ordered[0][0]
        self._times = [time - first for time, _ in ordered]
        self._values = [value for _, value in ordered]
        self._hold = hold
        self._begin: int | None = None  # the instant at which the first value is due
        self._next = 0

    def at(self, instant: int) -> Any:
        """The newest value up to an instant (root ticks); `TTEmpty()` if there is no new one.

        In the body of a stream: `component("imu").at(firing().instant)`.
        """
        if self._begin is None:
            self._begin = instant
        found = bisect_right(self._times, instant - self._begin)
        if found <= self._next and not self._hold:
            return TTEmpty()
        self._next = max(self._next, found)
        return self._values[self._next - 1]


class CsvPlayback(Playback):
    """The rows of a CSV file with a line of names, each a dict; numbers are numbers.

    Args:
        path: the file.
        time: the column of times.
        unit: of that column: `"ns"`, `"us"`, `"ms"`, `"s"` or `"min"`.
        column: the one column that is the value; None: the whole row.
        hold: see `Playback`.
    """

    def __init__(
        self, path: str | Path, time: str, unit: str = "us", column: str | None = None, *, hold: bool = False
    ) -> None:
        with _readable(path, "CSV"), open(_there(path), encoding="utf-8-sig", newline="") as file:
            rows = [{name: _number(cell) for name, cell in row.items()} for row in csv.DictReader(file)]
        super().__init__(_timed(rows, time, unit, column, path), hold=hold, what=str(path))


class ParquetPlayback(Playback):
    """The rows of a Parquet file, each a dict. Arguments as for `CsvPlayback`."""

    def __init__(
        self, path: str | Path, time: str, unit: str = "us", column: str | None = None, *, hold: bool = False
    ) -> None:
        import pyarrow.parquet

        with _readable(path, "Parquet"):
            rows = pyarrow.parquet.read_table(_there(path), page_checksum_verification=True).to_pylist()
        super().__init__(_timed(rows, time, unit, column, path), hold=hold, what=str(path))


class McapPlayback(Playback):
    """The messages of one topic of an MCAP file: JSON as data, all else as `bytes`.

    Args:
        path: the file.
        topic: the topic.
        hold: see `Playback`.
    """

    def __init__(self, path: str | Path, topic: str, *, hold: bool = False) -> None:
        from mcap.reader import make_reader

        with _readable(path, "MCAP"), open(_there(path), "rb") as file:
            reader = make_reader(file, validate_crcs=True)
            summary = reader.get_summary()
            # A file may go without a summary, or without the channels in it: then only its messages tell the topics.
            topics = sorted({each.topic for each in summary.channels.values()}) if summary is not None else []
            if topics and topic not in topics:
                raise TTError(f"{path}: no topic {topic!r}; there are: {', '.join(topics)}")
            rows = [
                (message.log_time // 1000, _content(channel.message_encoding, message.data))
                for _, channel, message in reader.iter_messages(topics=[topic])
            ]
        super().__init__(rows, hold=hold, what=f"{path}: {topic}")


class RosbagPlayback(Playback):
    """The messages of one topic of a rosbag2, as nested dicts with NumPy arrays.

    Args:
        path: the bag's folder.
        topic: the topic.
        hold: see `Playback`.
    """

    def __init__(self, path: str | Path, topic: str, *, hold: bool = False) -> None:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore

        with (
            _readable(path, "rosbag2"),
            AnyReader([_there(path)], default_typestore=get_typestore(Stores.LATEST)) as reader,
        ):
            connections = [each for each in reader.connections if each.topic == topic]
            if not connections:
                raise TTError(f"{path}: no topic {topic!r}; there are: {', '.join(sorted(reader.topics))}")
            rows = [
                (time // 1000, _plain(reader.deserialize(data, connection.msgtype)))
                for connection, time, data in reader.messages(connections=connections)
            ]
        super().__init__(rows, hold=hold, what=f"{path}: {topic}")


@contextmanager
def _readable(path: str | Path, kind: str) -> Iterator[None]:
    """While a file is read: each library has many errors for one that is damaged."""
    try:
        yield
    except TTError:
        raise
    except PermissionError as error:
        raise TTError(f"{path}: it cannot be read: {error.strerror}") from None
    except Exception as error:
        why = f"{type(error).__name__}: {line(str(error), 200)}"
        raise TTError(f"{path}: it cannot be read as {kind} ({why}): it is damaged, or of another kind") from None


def _there(path: str | Path) -> Path:
    """The path, if something is there."""
    if not Path(path).exists():
        where = "" if Path(path).is_absolute() else f" in the current folder, {Path.cwd()}"
        raise TTError(f"{path}: there is nothing of this name{where}; a module's own is `Path(__file__).parent`")
    return Path(path)


def _timed(
    rows: Iterable[dict[str, Any]], time: str, unit: str, column: str | None, path: str | Path
) -> list[tuple[int, Any]]:
    if unit not in MICROSECONDS:
        raise TTError(f"{path}: the unit of time {unit!r} is not one of {', '.join(MICROSECONDS)}")
    found = []
    for number, row in enumerate(rows, start=1):
        for name in (time, column):
            if name is not None and name not in row:
                raise TTError(f"{path}: no column {name!r}; there are: {', '.join(map(str, row))}")
        at = row[time]
        if not isinstance(at, (int, float)) or not abs(at) < math.inf:  # NaN is not, either
            raise TTError(f"{path}: row {number}: {time} is {at!r}, and no number")
        if abs(at) > FARTHEST / MICROSECONDS[unit]:
            raise TTError(f"{path}: row {number}: {time} is too far: times reach to {FARTHEST} microseconds")
        found.append((round(at * MICROSECONDS[unit]), row if column is None else row[column]))
    return found


def _number(cell: Any) -> Any:
    """A cell as a number, if it is one; `2026_11` is text, though Python's own numbers may be written so."""
    if isinstance(cell, str) and "_" not in cell:
        for kind in (int, float):
            with suppress(ValueError):
                return kind(cell)
    return cell


def _content(encoding: str, data: bytes) -> Any:
    return json.loads(data) if encoding == "json" else data


def _plain(message: Any) -> Any:
    """A message of rosbags as data that crosses between devices."""
    if dataclasses.is_dataclass(message):
        names = (each.name for each in dataclasses.fields(message))
        return {name: _plain(getattr(message, name)) for name in names if not name.startswith("__")}
    return [_plain(each) for each in message] if isinstance(message, list) else message
