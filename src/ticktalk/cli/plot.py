"""Outputs over time as a picture: a row for each quantity of each SQ that sent some, one time axis for all.

The items of a dict and the fields of a record are quantities; what each is called, such as `speed in m/s`, is its row's
label. The items of a list are lines in one row.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import sys
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ticktalk import printable
from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError
from ticktalk.graph.drawing.captions import shortened
from ticktalk.graph.drawing.hosts import COLOURS
from ticktalk.json_text import shown_repr
from ticktalk.time import Tick

ENDINGS = ("png", "svg", "pdf", "jpg", "jpeg", "webp")

MOST_ROWS = 12
MOST_QUANTITIES = 16  # of one value
MOST_LINES = 8  # in a row, of one tuple
MOST_LABELS = 10  # in a row, of values that are no numbers
MOST_MARKS = 300  # in a line; with more, the points would hide it

# A root clock that shows more than this many microseconds shows the time of day, not the time since a start.
_TIME_OF_DAY = 10**14
_LAST_DATE = 250_000_000_000_000_000


class PlottedToken(Protocol):
    """The plotted part of an output token; `start` and `stop` are root ticks or infinite floats."""

    @property
    def value(self) -> Any: ...
    @property
    def start(self) -> Tick: ...
    @property
    def stop(self) -> Tick: ...
    @property
    def sq(self) -> str: ...
    @property
    def ensemble(self) -> str: ...


def check_plot_file(path: str) -> None:
    """Make sure that a plot can be drawn and `path` is a name for it, before a long run.

    Raises:
        TTError: Matplotlib is not installed, or the file's ending is of no picture.
    """
    if Path(path).suffix.lower().lstrip(".") not in ENDINGS:
        endings = ", ".join("." + ending for ending in ENDINGS)
        raise TTError(f"{path}: no picture has this ending; let the name of the plot end in one of {endings}")
    if not Path(path).absolute().parent.is_dir():
        raise TTError(f"{path}: the plot cannot be written: there is no folder {Path(path).parent}")
    with wanted_by("--plot"):
        import matplotlib.figure  # noqa: F401


def plot_outputs(tokens: Iterable[PlottedToken], path: str, title: str) -> None:
    """Draw the outputs over time into the file `path`; its ending tells the format.

    Numbers are points with their interval as a bar; tuples and lists of them are several lines. Truth values and
    any other values are states: each has a level of its own. Dicts and records have a row for each item or field.

    Args:
        tokens: output tokens in any order; an infinite end reaches to the edge of the picture.
        path: the file to write.
        title: the text above.

    Raises:
        TTError: Matplotlib is not installed, the ending is of no picture, or the file cannot be written.
    """
    check_plot_file(path)
    from matplotlib.figure import Figure

    rows: dict[tuple[str, str], list[PlottedToken]] = {}
    for token in tokens:
        for name, value in _quantities(token.value).items():
            of = token if not name else _Part(value, token.start, token.stop, token.sq, token.ensemble)
            rows.setdefault((token.sq, name), []).append(of)
    order = {sq: index for index, sq in enumerate(dict.fromkeys(sq for sq, _ in rows))}
    shown = sorted(rows.items(), key=lambda row: order[row[0][0]])[:MOST_ROWS]
    axis = _TimeAxis(token for _, row in shown for token in row)
    # A figure without pyplot has no window and no state that outlives it; it is drawn by Agg.
    figure = Figure(figsize=(10.0, 1.3 + 1.75 * max(1, len(shown))), layout="constrained")
    figure.suptitle(_plain(title), fontweight="bold")
    if shown:
        panels = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for panel, ((sq, name), row) in zip(panels, shown, strict=True):
            _draw_row(panel, axis, sq, row)
            if name:
                panel.set_ylabel(_plain(shortened(name, 24)), fontsize=9)
        panels[-1].set_xlim(axis.left, axis.right)
        panels[-1].set_xlabel(axis.label)
    else:
        panel = figure.subplots()
        panel.text(0.5, 0.5, "no outputs", ha="center", va="center", fontsize=16, color="#52606d")
        panel.set_axis_off()
    if len(rows) > len(shown):
        there = {place for place, _ in shown}
        rest = [
            f"{sq} {name}".rstrip()
            for sq, name in sorted(rows, key=lambda row: order[row[0]])
            if (sq, name) not in there
        ]
        text = f"not shown: {len(rest)} more rows ({shortened(', '.join(rest), 90)})"
        figure.supxlabel(_plain(text), fontsize=9, color="#52606d")
    try:
        with warnings.catch_warnings():
            # A letter that the font lacks is a box in the picture, and nothing the user need read about.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure.savefig(path, dpi=120)
    except OSError as error:
        why = error.strerror or str(error)
        raise TTError(f"{path}: the plot cannot be written: {why}; name a file in a folder you may write to") from None


class _Part(NamedTuple):
    """A quantity of a token."""

    value: Any
    start: Tick
    stop: Tick
    sq: str
    ensemble: str


def _quantities(value: Any, name: str = "", depth: int = 0) -> dict[str, Any]:
    """The quantities of a value by name: those of a dict with names or a record; else itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        items = dict(zip(value._fields, value, strict=False))
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        items = value
    else:
        return {name: value}
    if not items or len(items) > MOST_QUANTITIES or depth > 2:
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in items.items():
        label = shortened(printable.line(key), 24)
        found.update(_quantities(item, f"{name}.{label}" if name else label, depth + 1))
    return found


class _TimeAxis:
    """Seconds from a tick that is near, and how far the picture reaches, from the finite ends of all intervals."""

    def __init__(self, tokens: Iterable[PlottedToken]) -> None:
        ends = [end for token in tokens for end in (token.start, token.stop) if math.isfinite(end)]
        first, last = (min(ends), max(ends)) if ends else (0, 1_000_000)
        self.origin = 0
        self.label = "time in s"
        if _TIME_OF_DAY < first < _LAST_DATE:
            self.origin = int(first) // 1_000_000 * 1_000_000
            since = datetime.fromtimestamp(self.origin // 1_000_000, UTC)
            self.label = f"time in s since {since:%Y-%m-%d %H:%M:%S} UTC"
        room = (last - first) * 0.03 or 50_000
        self.left = self.seconds(first - room)
        self.right = self.seconds(last + room)

    def seconds(self, tick: Tick) -> float:
        """The place of a tick; an infinite one is at the picture's edge."""
        if math.isinf(tick):
            return self.left if tick < 0 else self.right
        return (tick - self.origin) / 1_000_000

    def span(self, token: PlottedToken) -> tuple[float, float]:
        """The begin and end of the token's interval."""
        return self.seconds(token.start), self.seconds(token.stop)

    def place(self, token: PlottedToken) -> float:
        """The place of the token's point: the middle of its interval, or the end that is finite."""
        start, stop = self.span(token)
        if math.isinf(token.start) != math.isinf(token.stop):
            return stop if math.isinf(token.start) else start
        return (start + stop) / 2


class _Point(NamedTuple):
    """A number and the token it is of."""

    y: float
    token: PlottedToken


def _draw_row(panel: Any, axis: _TimeAxis, sq: str, row: Sequence[PlottedToken]) -> None:
    ensembles = ", ".join(dict.fromkeys(token.ensemble for token in row))
    panel.set_title(_plain(f"{shortened(sq, 60)}  ·  {shortened(ensembles, 40)}"), loc="left", fontsize=10)
    panel.grid(True, color="#d9dee4", linewidth=0.6)
    panel.set_axisbelow(True)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    lines: dict[str, list[_Point]] = {}
    others = []
    for token in row:
        found = _numbers(token.value)
        if found is None:
            others.append(token)
        for name, y in (found or {}).items():
            lines.setdefault(name, []).append(_Point(y, token))
    # Few numbers among other values are values like these; truth values are states.
    if len(others) > len(row) / 2 or all(_is_truth(token.value) for token in row):
        _draw_levels(panel, axis, row)
        return
    for index, (name, points) in enumerate(list(lines.items())[:MOST_LINES]):
        _draw_line(panel, axis, name, points, COLOURS[index % len(COLOURS)])
    if len(lines) > 1:
        more = len(lines) - MOST_LINES
        panel.legend(
            loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False,
            title=f"and {more} more" if more > 0 else None, title_fontsize=8,
        )  # fmt: skip
    for token in others[:MOST_LABELS]:
        place = axis.place(token)
        panel.axvline(place, color="#b3261e", linewidth=1, linestyle=":")
        panel.annotate(
            _value_text(token.value), (place, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -2),
            textcoords="offset points", fontsize=8, va="top", color="#b3261e",
        )  # fmt: skip


def _draw_line(panel: Any, axis: _TimeAxis, name: str, points: list[_Point], colour: str) -> None:
    points = sorted(points, key=lambda point: axis.place(point.token))
    heights = [point.y for point in points]
    marker = "o" if len(points) <= MOST_MARKS else ","
    places = [axis.place(point.token) for point in points]
    panel.plot(places, heights, linestyle="", marker=marker, markersize=3.5, color=colour)
    # The line leads the eye from sample to sample; a value that holds for ever is no sample.
    samples = [point for point in points if math.isfinite(point.token.start) and math.isfinite(point.token.stop)]
    panel.plot(
        [axis.place(point.token) for point in samples],
        [point.y for point in samples],
        color=colour,
        linewidth=0.9,
        alpha=0.75,
        drawstyle="steps-post" if all(_is_truth(point.token.value) for point in points) else "default",
        label=_plain(name),
    )
    spans = [axis.span(point.token) for point in points]
    panel.hlines(
        heights, [span[0] for span in spans], [span[1] for span in spans], color=colour, linewidth=4, alpha=0.3
    )
    _draw_open_ends(panel, axis, points, colour)


def _draw_levels(panel: Any, axis: _TimeAxis, row: Sequence[PlottedToken]) -> None:
    """Values that are no numbers: a level for each that differs."""
    texts = [_value_text(token.value) for token in row]
    levels = ["True", "False"] if all(_is_truth(token.value) for token in row) else list(dict.fromkeys(texts))
    if len(levels) > MOST_LABELS:
        levels = [*levels[: MOST_LABELS - 1], "others"]
    height = {text: len(levels) - 1 - index for index, text in enumerate(levels)}
    points = [_Point(height.get(text, 0), token) for text, token in zip(texts, row, strict=True)]
    spans = [axis.span(token) for token in row]
    panel.hlines(
        [point.y for point in points], [span[0] for span in spans], [span[1] for span in spans],
        color=COLOURS[0], linewidth=4, alpha=0.3,
    )  # fmt: skip
    panel.plot(
        [axis.place(token) for token in row], [point.y for point in points], linestyle="", marker="D", markersize=4,
        color=COLOURS[0],
    )  # fmt: skip
    _draw_open_ends(panel, axis, points, COLOURS[0])
    panel.set_yticks([height[text] for text in levels], [_plain(text) for text in levels], fontsize=8)
    panel.set_ylim(-0.6, len(levels) - 0.4)


def _draw_open_ends(panel: Any, axis: _TimeAxis, points: list[_Point], colour: str) -> None:
    for marker, place, ends in (
        ("<", axis.left, [point.y for point in points if point.token.start == -math.inf]),
        (">", axis.right, [point.y for point in points if point.token.stop == math.inf]),
    ):
        if ends:
            panel.plot(
                [place] * len(ends), ends, linestyle="", marker=marker, color=colour, markersize=7, clip_on=False
            )


def _numbers(value: Any, name: str = "", depth: int = 0) -> dict[str, float] | None:
    """The finite numbers in `value`, by where in it they are; None if there is anything else, or nothing."""
    if not isinstance(value, (list, tuple, dict)):
        value = _plain_array(value)
    if isinstance(value, (list, tuple, dict)):
        if depth > 2 or not value or len(value) > 1_000:
            return None
        items = value.items() if isinstance(value, dict) else enumerate(value)
        found: dict[str, float] = {}
        for key, item in items:
            # A name with "_" in front would be left out of a legend.
            label = key if isinstance(key, str) and not key.startswith("_") and not name else f"{name}[{key!r}]"
            inner = _numbers(item, shortened(printable.line(label), 24), depth + 1)
            if inner is None:
                return None
            found.update(inner)
        return found
    if _is_truth(value) or isinstance(value, numbers.Real):
        try:
            number = float(value)
        except (OverflowError, TypeError, ValueError):
            return None
        return {name: number} if math.isfinite(number) else None
    return None


def _plain_array(value: Any) -> Any:
    """A NumPy array as nested lists, if it is small enough for lines."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and value.size <= MOST_LINES:
        return value.tolist()
    return value


def _is_truth(value: Any) -> bool:
    numpy = sys.modules.get("numpy")
    return isinstance(value, bool) or (numpy is not None and isinstance(value, numpy.bool_))


def _value_text(value: Any) -> str:
    if isinstance(value, str):
        return shortened(printable.line(value), 24) or "''"
    return shortened(printable.line(shown_repr(value)), 24)


def _plain(text: str) -> str:
    """`text` as Matplotlib shows it letter by letter: it would set text between dollars as a formula."""
    return printable.line(text).replace("$", r"\$")
