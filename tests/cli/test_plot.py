"""`--plot`: a picture of any outputs, and an error with advice."""

from __future__ import annotations

import math
import re
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ticktalk.cli import plot
from ticktalk.cli.plot import check_plot_file, plot_outputs
from ticktalk.errors import TTError
from ticktalk.payloads import OutputToken

pytest.importorskip("matplotlib")
numpy = pytest.importorskip("numpy")


def token(value: Any, start: float = 0, stop: float = 100_000, sq: str = "f-1") -> OutputToken:
    return OutputToken("g", value, start, stop, sq, "edge")  # type: ignore[arg-type]


def stream(values: Iterable[Any], sq: str = "f-1", start: int = 0) -> list[OutputToken]:
    return [token(value, start + k * 500_000, start + k * 500_000 + 100_000, sq) for k, value in enumerate(values)]


def texts(tokens: list[OutputToken], folder: Path, title: str = "prog") -> list[str]:
    """Everything written in the plot: Matplotlib leaves each text of an SVG in a comment."""
    path = folder / "plot.svg"
    plot_outputs(tokens, str(path), title)
    text = path.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    return [comment.strip() for comment in re.findall(r"<!--(.*?)-->", text, re.S)]


def test_a_png_is_written(tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    plot_outputs(stream([1, 2.5, -3]), str(path), "prog")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_each_sq_has_a_row_with_its_ensemble(tmp_path: Path) -> None:
    said = texts(stream([1, 2], "a-1") + stream([3, 4], "b-1"), tmp_path)
    assert {"prog", "a-1  ·  edge", "b-1  ·  edge", "time in s"} <= set(said)


def test_parts_of_a_value_are_lines_with_names(tmp_path: Path) -> None:
    assert {"[0]", "[1]"} <= set(texts(stream([(1, 2), (3, 4)]), tmp_path))
    assert {"[3]", "[7]"} <= set(texts(stream([{3: 1, 7: 2}]), tmp_path))
    assert {"[0]", "[1][0]", "[1][1]"} <= set(texts(stream([[1, (2, 3)]]), tmp_path))
    assert {"[0]", "[2]"} <= set(texts(stream([numpy.array([1.0, 2.0, 3.0])]), tmp_path))
    assert "and 12 more" in texts(stream([list(range(20))]), tmp_path)


@dataclass
class Pose:
    x: float
    heading: Any


class Wind(NamedTuple):
    speed: float
    gusts: bool


def test_each_quantity_of_a_value_has_a_row_with_its_name(tmp_path: Path) -> None:
    said = texts(stream([{"speed in m/s": 3.5, "_y": [1, 2], "open": True}]), tmp_path)
    assert said.count("f-1  ·  edge") == 3
    assert {"speed in m/s", "_y", "[0]", "[1]", "open", "True"} <= set(said)
    said = texts(stream([Pose(1.5, {"north": 0.5, "east": Wind(2.0, False)})]), tmp_path)
    assert {"x", "heading.north", "heading.east.speed", "heading.east.gusts", "False"} <= set(said)


def test_the_rows_of_an_sq_stand_together(tmp_path: Path) -> None:
    tokens = [token({"x": 1}, sq="a-1"), token({"x": 1}, sq="b-1"), token({"y": 1}, sq="a-1")]
    names = [name for name in texts(tokens, tmp_path) if name in ("x", "y")]
    assert names == ["x", "y", "x"]


def test_truth_values_and_names_are_levels(tmp_path: Path) -> None:
    assert {"False", "True"} <= set(texts(stream([True, False, numpy.True_]), tmp_path))
    assert {"red", "green", "None"} <= set(texts(stream(["red", "green", None]), tmp_path))
    assert "others" in texts(stream([f"state {k}" for k in range(40)]), tmp_path)


def test_a_text_among_numbers_is_marked(tmp_path: Path) -> None:
    assert "'late'" not in texts(stream([1, 2, "late", 4]), tmp_path)
    assert "late" in texts(stream([1, 2, "late", 4]), tmp_path)


ANYTHING = [
    math.nan, math.inf, 10**400, 1 + 2j, {1, 2}, b"\x00", "", "$x^$", "a\nb\x00\ud800 <&>", (), {}, [1, "a"], [[[[1]]]],
    numpy.zeros((40, 40)), numpy.float64(2), numpy.array(3), object(), 10**5000, {"a": None}, {1: 2}, "中",
]  # fmt: skip


@pytest.mark.parametrize("group", range(3))
def test_any_value_can_be_shown(group: int, tmp_path: Path) -> None:
    values = ANYTHING[group::3]
    tokens = [made for k, value in enumerate(values) for made in stream([value, value], f"f-{k} $<>")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_outputs(tokens, str(tmp_path / "plot.svg"), "$ <prog>")
    ElementTree.parse(tmp_path / "plot.svg")


INTERVALS = [(-math.inf, math.inf), (-math.inf, 5), (5, math.inf), (0, 1), (-(10**18), 10**18)]


@pytest.mark.parametrize("value", [1, "a", (1, True)], ids=str)
def test_intervals_may_be_infinite(value: Any, tmp_path: Path) -> None:
    tokens = [token(value, start, stop, f"f-{k}") for k, (start, stop) in enumerate(INTERVALS)]
    plot_outputs(tokens, str(tmp_path / "plot.png"), "prog")


def test_infinite_intervals_alone_are_drawn(tmp_path: Path) -> None:
    plot_outputs([token(1, -math.inf, math.inf), token(2, -math.inf, math.inf)], str(tmp_path / "plot.png"), "prog")


def test_ticks_of_a_real_clock_are_shown_from_the_first(tmp_path: Path) -> None:
    at = 1_750_000_000_000_000
    assert "time in s since 2025-06-15 15:06:40 UTC" in texts(stream([1, 2], start=at), tmp_path)


def test_sqs_that_do_not_fit_are_mentioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plot.MOST_ROWS == 12
    monkeypatch.setattr(plot, "MOST_ROWS", 2)
    said = texts([made for k in range(5) for made in stream([k], f"f-{k}")], tmp_path)
    assert "f-1  ·  edge" in said
    assert "f-2  ·  edge" not in said
    assert "not shown: 3 more rows (f-2, f-3, f-4)" in said


def test_a_plot_without_outputs_is_written(tmp_path: Path) -> None:
    assert "no outputs" in texts([], tmp_path)


def test_a_plot_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "plot.png"
    with pytest.raises(TTError, match=r"plot\.png: the plot cannot be written: there is no folder .*missing"):
        check_plot_file(str(path))
    (tmp_path / "plot.png").mkdir()
    with pytest.raises(TTError, match=r"plot\.png: the plot cannot be written: Is a directory; name a file in"):
        plot_outputs([], str(tmp_path / "plot.png"), "prog")


@pytest.mark.parametrize("name", ["plot.xyz", "plot", "plot.pgf", ".png"])
def test_an_unknown_file_ending_is_an_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(TTError, match=r"no picture has this ending; .* \.png, \.svg"):
        plot_outputs([], str(tmp_path / name), "prog")


def test_a_missing_matplotlib_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TTError, match=re.escape("--plot needs matplotlib: pip install 'ticktalk[plot]'")):
        check_plot_file(str(tmp_path / "plot.png"))
