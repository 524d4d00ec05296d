"""The explanation of an output from a log of outputs: what came just before and after it, and how long it took.

No tokens before the outputs are in a log. So the lines say what the outputs themselves show, and which recording
would say the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from statistics import median
from typing import Any

from ticktalk.durations import about, instant_text, interval_text
from ticktalk.errors import TTError
from ticktalk.explain.why import Bar, Explanation
from ticktalk.time import INFINITY, NEG_INFINITY, Tick

RECORD = (
    "the tokens before it are not in a log of outputs: run again with --record FILE.mcap (simulate, run, manager), and"
    " explain that file"
)

NEAR = 2
"""Outputs before and after a time that are shown."""

LogRow = dict[str, Any]
"""An output, as `output_log.read_log` has it."""


def explain_output(
    rows: Iterable[LogRow], sq: str, tick: int, missing: bool, context: int | None, shown: Callable[[LogRow], str]
) -> Explanation:
    """The explanation that outputs alone give of that of an SQ at a root tick, or of its absence.

    Args:
        rows: the outputs, in the order in which they came.
        sq: the SQ.
        tick: the root tick.
        missing: the question is why none came.
        context: of which start; None: of the last one in the log.
        shown: shows a value.

    Raises:
        TTError: the SQ gave no outputs, or none that holds then, or there is no such start.
    """
    every = list(rows)
    numbers = sorted({row["context"] for row in every if row["context"] is not None})
    wanted = (numbers[-1] if numbers else None) if context is None else context
    if context is not None and context not in numbers:
        raise TTError(f"the log has no outputs of start {context} (there are: {', '.join(map(str, numbers))})")
    of_start = [row for row in every if row["context"] == wanted]
    own = sorted((row for row in of_start if row["sq"] == sq), key=_start)
    if not own:
        others = ", ".join(sorted({row["sq"] for row in of_start}))
        raise TTError(f"the log has no output of {sq!r}; it has those of {others or 'nothing'}")
    there = [row for row in own if _start(row) <= tick < _stop(row)]
    before = [row for row in own if _stop(row) <= tick][-NEAR:]
    later = [row for row in own if _start(row) > tick][:NEAR]
    if not there and not missing:
        near = " and ".join(_interval(row) for row in (*before[-1:], *later[:1]))
        hint = f"the nearest are {near}: --missing says what a log shows of that"
        raise TTError(f"{sq} gave nothing at {instant_text(tick)}; {hint}")
    made = Explanation(f"{sq} at {instant_text(tick)}")
    if there:
        chosen = min(there, key=lambda row: _stop(row) - _start(row))
        made.title = f"{sq} gave {shown(chosen)} on {_interval(chosen)}"
        sender = chosen["ensemble"] or "an ensemble that the log does not name"
        made.lines.append((0, f"it {_came(chosen)}, from {sender}"))
        made.bars.append(_bar(chosen, shown))
    else:
        made.lines.append((0, f"no output of {sq} in the log holds then"))
    steps = [_start(after) - _start(row) for row, after in pairwise(own)]
    usual = median(steps) if steps and all(abs(step) < INFINITY for step in steps) else 0
    if usual > 0:
        made.lines.append((0, f"its outputs usually begin {about(usual)} apart"))
        if before and later and not there:
            gone = round((_start(later[0]) - _start(before[-1])) / usual) - 1
            if gone > 0:
                made.lines.append((0, f"so {gone} {'is' if gone == 1 else 'are'} missing between these two"))
    for told, near_by in (("before", before), ("after", later)):
        for row in near_by:
            made.lines.append((1, f"{told} it: {shown(row)} on {_interval(row)}, {_came(row)}"))
            made.bars.append(_bar(row, shown))
    if not there and not later:
        made.lines.append((0, f"none came after: the last output in the log {_came(max(of_start, key=_arrival))}"))
    made.lines.append((0, RECORD))
    return made


def _start(row: LogRow) -> Tick:
    return NEG_INFINITY if row["start"] is None else int(row["start"])


def _stop(row: LogRow) -> Tick:
    return INFINITY if row["stop"] is None else int(row["stop"])


def _arrival(row: LogRow) -> int:
    return int(row["arrival"] or 0)


def _interval(row: LogRow) -> str:
    return interval_text(row["start"], row["stop"])


def _came(row: LogRow) -> str:
    if row["arrival"] is None:
        return "came at a time that the log does not say"
    came, end = int(row["arrival"]), row["stop"]
    after = f", {about(abs(came - end))} {'after' if came >= end else 'before'} its end" if end is not None else ""
    return f"came to the manager at {instant_text(came)}{after}"


def _bar(row: LogRow, shown: Callable[[LogRow], str]) -> Bar:
    return Bar(row["sq"], _start(row), _stop(row), shown(row), row["arrival"], 0)
