"""`ticktalk export`: a log of outputs, or all tokens of a recording, as a table for other programs; also a timeline."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from ticktalk.cli.record import is_recording, recording_at, recording_writer, write_trace
from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError
from ticktalk.json_text import json_line
from ticktalk.output_log import COLUMNS, flat, outputs_in
from ticktalk.time import INFINITY, NEG_INFINITY

BATCH = 10_000
"""Rows that are written to Parquet at a time."""

_EXACT = 2**53
"""Every smaller int is a float exactly."""


class Format(StrEnum):
    """The formats of `--to`."""

    CSV = "csv"
    PARQUET = "parquet"
    JSONL = "jsonl"
    MCAP = "mcap"
    TIMELINE = "pftrace"


BINARY = (Format.PARQUET, Format.MCAP, Format.TIMELINE)


def export(
    log: Annotated[
        Path, typer.Argument(metavar="LOG|FILE.mcap", help="A log of outputs (--log, --jsonl), or a recording.")
    ],
    to: Annotated[Format, typer.Option("--to", help="The format of the table.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The file to write; default: stdout.")
    ] = None,
) -> None:
    if log.is_fifo():
        raise TTError(f"{log}: a pipe cannot be read twice: write the log into a file, and name that")
    if output is not None and output.exists() and log.exists() and output.samefile(log):
        raise TTError(f"-o {output}: that is the log itself, which would be lost: name another file")
    if to in BINARY:
        if output is None:
            raise typer.BadParameter(f"--to {to} is no text for a terminal: name a file with -o FILE.{to}")
        with whole(output) as part:
            _TO_FILE[to](log, part)
    elif output is None:
        _TEXT[to](log, sys.stdout)
    else:
        with whole(output) as part, open(part, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
            _TEXT[to](log, file)


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """The path of a file that takes its name when it is whole; if it does not get so far, what was there stays.

    Raises:
        TTError: it cannot be written.
    """
    target = output.resolve()  # a link stays one
    part = target.with_name(f".{os.getpid()}.part") if output.is_file() or not output.exists() else output
    try:
        yield part
        if part != output:
            part.replace(target)
    except OSError as error:
        raise _unwritten(output, error) from None
    except TTError as error:
        raise TTError(str(error).replace(str(part), str(output))) from None
    finally:
        if part != output:
            part.unlink(missing_ok=True)


def _rows(log: Path) -> Iterator[dict[str, Any]]:
    """The outputs in a log, or the tokens of a recording."""
    if not is_recording(log):
        return outputs_in(log)
    recording = recording_at(log)
    from ticktalk.recording.token_rows import rows_of

    return rows_of(recording)


def _unwritten(output: Path, error: OSError) -> TTError:
    return TTError(f"-o {output}: the file cannot be written: {error.strerror or error}")


def _csv(log: Path, file: TextIO) -> None:
    columns = list(_kinds(log))
    table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    table.writeheader()
    for row in _rows(log):
        table.writerow({name: _cell(value) for name, value in flat(row).items()})


def _cell(value: Any) -> Any:
    return json_line(value) if value is None or isinstance(value, bool) else value


def _jsonl(log: Path, file: TextIO) -> None:
    for row in _rows(log):
        file.write(json_line(flat(row)) + "\n")


_TEXT: dict[Format, Callable[[Path, TextIO], None]] = {Format.CSV: _csv, Format.JSONL: _jsonl}


def _kinds(log: Path) -> dict[str, set[str]]:
    """The columns of a log's table, and the kinds of their values."""
    kinds: dict[str, set[str]] = {name: set() for name in COLUMNS}
    for row in _rows(log):
        for name, value in flat(row).items():
            kinds.setdefault(name, set()).add(_kind(value))
    return kinds


def _kind(value: Any) -> str:
    if value.__class__ is int and not -_EXACT <= value <= _EXACT:
        return "long" if -(2**63) <= value < 2**63 else "huge"
    return type(value).__name__


_TYPES = {
    frozenset({"int"}): "int64",
    frozenset({"long"}): "int64",
    frozenset({"int", "long"}): "int64",
    frozenset({"float"}): "float64",
    frozenset({"int", "float"}): "float64",
    frozenset({"bool"}): "bool_",
}
"""By the kinds of a column's values, its type in Parquet; every other column is text."""


def _parquet(log: Path, output: Path) -> None:
    with wanted_by("--to parquet"):
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
    kinds = _kinds(log)
    types = {name: _TYPES.get(frozenset(found - {"NoneType"}), "string") for name, found in kinds.items()}
    types = {name: "int64" if name in ("start", "stop") and not kinds[name] else kind for name, kind in types.items()}
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in types.items()])
    with parquet.ParquetWriter(output, schema) as writer:
        for rows in _batches(_rows(log)):
            columns = {name: [_fit(row.get(name), kind) for row in rows] for name, kind in types.items()}
            writer.write_table(arrow.table(columns, schema=schema))


def _fit(value: Any, kind: str) -> Any:
    """A value as a column of that type takes it: in a column of text, what is no text is JSON."""
    return json_line(value) if kind == "string" and value is not None and not isinstance(value, str) else value


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := [flat(row) for row in islice(rows, BATCH)]:
        yield batch


def _mcap(log: Path, output: Path) -> None:
    if is_recording(log):
        raise TTError(f"{log}: it is an MCAP file already")
    writer = recording_writer(output)
    from ticktalk.records import Records, Sent
    from ticktalk.values.codec import encode_value

    numbers: Counter[str] = Counter()
    for first, row in enumerate(outputs_in(log)):
        sq = row["sq"]
        numbers[sq] += 1
        start = NEG_INFINITY if row["start"] is None else row["start"]
        stop = INFINITY if row["stop"] is None else row["stop"]
        value = encode_value(row["repr"] or row["value"])
        sent = Sent(row["arrival"] or 0, sq, sq, numbers[sq], start, stop, value)
        place = row["graph"] or "", row["context"] or 0, row["ensemble"] or ""
        writer.add(Records(*place, first, None, [sent]))
    if writer.failure:
        raise TTError(f"-o {output}: {writer.failure}")
    writer.finish("all but the outputs: it was made of a log")


def _timeline(log: Path, output: Path) -> None:
    if not is_recording(log):
        raise TTError(f"{log}: a timeline is made of a recording: `ticktalk run|simulate --record FILE.mcap` makes one")
    write_trace(log, output)


_TO_FILE = {Format.PARQUET: _parquet, Format.MCAP: _mcap, Format.TIMELINE: _timeline}
