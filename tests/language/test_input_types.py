"""A value for an input of the graph is checked against the input's annotation when the graph is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import simpy

from commands import ticktalk
from ticktalk.errors import TTInputError
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.runtime_manager import TTRuntimeManagerSim

HEAD = """\
from __future__ import annotations
from collections.abc import Sequence
from typing import Any, Literal, Optional
from ticktalk import *
class Photo: ...
Number = int | float
"""
PLAIN = [None, True, 3, 2.5, 1j, "a", b"a", [], [1], ["a"], [1, "a"], (), (1,), (1, 2), (1, "a"), {}, {"a": 1}, {1: 1},
         {1}, frozenset("a")]  # fmt: skip


def compiled(annotation: str) -> TTGraph:
    return compile_source(f"{HEAD}@GRAPHify\ndef main(x: {annotation}): return x\n", "prog.py", "prog")


def refused(graph: TTGraph, values: list[Any]) -> list[Any]:
    """Those of some values with which the graph does not start."""
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.instantiate_and_map_graph(graph)
    found = []
    for value in values:
        try:
            manager.execute_graph(graph, {"x": value})
        except TTInputError as error:
            assert re.match(
                r"input 'x' of graph 'prog' is .*, of type `\w+`, but the graph takes `.*`: give", str(error)
            )
            found.append(value)
    return found


@pytest.mark.parametrize(
    ("annotation", "text", "fits"),
    [
        ("int", "int", [True, 3]),
        ("Number", "int | float", [True, 3, 2.5]),
        ("float", "float", [True, 3, 2.5]),
        ("complex", "complex", [True, 3, 2.5, 1j]),
        ("Optional[str]", "str | None", [None, "a"]),
        ("'bytes'", "bytes", [b"a"]),
        ("list", "list", [[], [1], ["a"], [1, "a"]]),
        ("list[int]", "list[int]", [[], [1]]),
        ("list[Photo]", "list[Any]", [[], [1], ["a"], [1, "a"]]),
        ("tuple[int, ...]", "tuple[int, ...]", [(), (1,), (1, 2)]),
        ("tuple[int, str]", "tuple[int, str]", [(1, "a")]),
        ("tuple[()]", "tuple[()]", [()]),
        ("dict[str, int] | None", "dict[str, int] | None", [None, {}, {"a": 1}]),
        ("set[int]", "set[int]", [{1}]),
        ("Literal[3, 'a', None]", "Literal[3] | Literal['a'] | None", [None, 3, "a"]),
    ],
)
def test_the_values_that_fit(annotation: str, text: str, fits: list[Any]) -> None:
    graph = compiled(annotation)
    assert graph.inputs[0].type == text
    # As the file has it, too.
    again = TTGraph.from_json(graph.to_json())
    assert [repr(value) for value in PLAIN if value not in refused(again, PLAIN)] == [
        repr(value) for value in PLAIN if repr(value) in map(repr, fits)
    ]


@pytest.mark.parametrize("annotation", ["Any", "Photo", "int | Photo", "Sequence[int]", "object", "list[int] | Any"])
def test_types_that_are_not_plain_are_not_checked(annotation: str) -> None:
    assert compiled(annotation).inputs[0].type == "" and refused(compiled(annotation), PLAIN) == []


def test_values_of_other_classes_are_not_checked() -> None:
    numpy = pytest.importorskip("numpy")
    values = [numpy.float32(1), [numpy.int64(1)], numpy.zeros(2)]
    assert refused(compiled("list[float] | float"), values) == []


def test_a_command_names_the_wanted_and_the_given_type(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\n@GRAPHify\ndef main(speed: float, name: str = 'x'): return speed\n"
    )
    for words, told in (
        (["speed=fast"], "input 'speed' of graph 'prog' is 'fast', of type `str`, but the graph takes `float`"),
        (["speed=1", "name=5"], "input 'name' of graph 'prog' is 5, of type `int`, but the graph takes `str`"),
        (["speed=1", "name='5'"], None),
    ):
        options = [option for word in words for option in ("--input", word)]
        done = ticktalk("simulate", "prog.py", *options, cwd=tmp_path)
        assert (done.returncode, told is None or told in done.stderr) == (0 if told is None else 1, True), done.stderr
        assert "Traceback" not in done.stderr
