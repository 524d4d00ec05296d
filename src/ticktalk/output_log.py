"""Logs of outputs, read again: as rows for pandas, and flat, for tables.

A log has one JSON object a line (`OutputToken.line`). A value that JSON cannot hold is there as text only (`repr`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ticktalk.errors import TTError
from ticktalk.json_text import any_digits, json_line
from ticktalk.printable import line

logger = logging.getLogger("ticktalk")

COLUMNS = ("graph", "context", "sq", "ensemble", "start", "stop", "arrival")
"""The columns of a row beside its value; times are root ticks (microseconds), None without an end."""

_NUMBER, _TEXT = (int, type(None)), (str, type(None))
_KINDS = {"graph": _TEXT, "context": _NUMBER, "sq": (str,), "ensemble": _TEXT} | dict.fromkeys(COLUMNS[4:], _NUMBER)

DEEPEST = 3
"""Levels of dicts and lists whose items get columns of their own."""

WIDEST = 64
"""Items of a dict or a list, with those of the lists in it, that get columns of their own; a longer one is one text."""


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The outputs in a log, for `pandas.DataFrame(ticktalk.read_log("out.jsonl"))`.

    Args:
        path: a file that `--log`, `--jsonl` or a runtime manager has written.

    Returns:
        A dict for each output, all with the same keys: those of `COLUMNS`, `value`, and `repr`: the text of a value
        that JSON does not hold, whose `value` is None, else "".

    Raises:
        TTError: the file cannot be read, or a line is no output; the message says which.
    """
    return list(outputs_in(path))


def outputs_in(path: str | Path) -> Iterator[dict[str, Any]]:
    """The same, one by one.

    Raises:
        TTError: as `read_log`.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    if (row := _row(text)) is not None:
                        yield row
                    elif text.endswith("\n"):
                        raise TTError(f"{path}:{number}: no output, as --log and --jsonl write them: {line(text, 80)}")
                    else:
                        logger.warning("%s: the last line breaks off, and is left out", path)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise TTError(f"{path}: the log cannot be read: {why}") from None


def _row(text: str) -> dict[str, Any] | None:
    """The row of a line; None: it is none."""
    try:
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            return None
        except ValueError:
            with any_digits():
                found = json.loads(text)
    except RecursionError:
        return None
    if not isinstance(found, dict) or "sq" not in found or ("value" in found) == ("repr" in found):
        return None
    row = {name: found.get(name) for name in COLUMNS}
    if any(row[name].__class__ not in kinds for name, kinds in _KINDS.items()):
        return None
    return {**row, "value": found.get("value"), "repr": found.get("repr", "")}


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row of plain values: `value` of a number or a text, `value.x` of a dict, `value[0]` of a list."""
    cells = {name: row[name] for name in (*COLUMNS, "arc") if name in row}
    if row["repr"]:
        cells["value"] = row["repr"]
    else:
        _spread("value", row["value"], cells, 0)
    return cells


def _spread(name: str, value: Any, cells: dict[str, Any], depth: int) -> None:
    if isinstance(value, (dict, list)) and value and _width(value) <= WIDEST and depth < DEEPEST:
        if isinstance(value, dict):
            for key, item in value.items():
                _spread(f"{name}.{key}", item, cells, depth + 1)
        else:
            for index, item in enumerate(value):
                _spread(f"{name}[{index}]", item, cells, depth + 1)
    else:
        cells[name] = json_line(value) if isinstance(value, (dict, list)) else value


def _width(value: dict[str, Any] | list[Any]) -> int:
    """The items of a dict, or of a list and the lists in it: rows of a picture are no columns of a table."""
    if len(value) > WIDEST or isinstance(value, dict):
        return len(value)
    return sum(_width(item) if isinstance(item, list) else 1 for item in value)
