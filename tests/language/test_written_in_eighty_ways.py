"""Programs written in eighty ways give what plain Python gives: `written.txt` has them.

Python itself runs each in a process of its own, where `GRAPHify` leaves the graph a plain function. TickTalk compiles
it, saves and loads its graph, and simulates it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import simpy
from test_written_in_python import importable

from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_program
from ticktalk.runtime_manager import TTRuntimeManagerSim

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify\n"

HANGS = 1800
"""Seconds after which plain Python hangs that runs all programs: it takes seconds, on a busy machine minutes."""

WAYS: dict[str, dict[str, str]] = {}
for _way in re.split(r"^## ", (Path(__file__).parent / "written.txt").read_text(), flags=re.MULTILINE)[1:]:
    _name, *_files = re.split(r"^--- (.*)\n", _way, flags=re.MULTILINE)
    WAYS[_name.strip()] = dict(zip(_files[::2], _files[1::2], strict=True))


def with_head(text: str) -> str:
    """A program with the imports of TickTalk, behind what has to stand first."""
    first = re.match(r'("""(.*\n)*?.*"""\n)?(from __future__ .*\n)?', text)
    assert first is not None
    return first[0] + HEAD + text[first.end() :]


IN_PYTHON = """
import json, os, sys
import ticktalk
ticktalk.GRAPHify = lambda function: function
for folder in json.load(sys.stdin):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        sys.path[:0] = [folder, folder + "/site"]
        try:
            import prog
            told = repr(prog.main(1))
        except BaseException as error:
            told = f"raises {error!r}"
        with open(write, "w", encoding="utf-8") as out:
            out.write(told)
        os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as told:
        print(json.dumps(told.read()))
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """By way, the folder with its files."""
    made = {}
    for number, (way, files) in enumerate(WAYS.items()):
        made[way] = tmp_path_factory.mktemp(f"way{number}")
        for file, text in files.items():
            (made[way] / file).parent.mkdir(parents=True, exist_ok=True)
            (made[way] / file).write_text(with_head(text) if file == "prog.py" else text)
    return made


@pytest.fixture(scope="module")
def expected(folders: dict[str, Path]) -> dict[str, str]:
    """By way, what plain Python gives."""
    given = json.dumps([str(folder) for folder in folders.values()])
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTHON], input=given, capture_output=True, text=True, check=True, timeout=HANGS
    )
    return dict(zip(folders, map(json.loads, done.stdout.splitlines()), strict=True))


def in_ticktalk(folder: Path) -> Iterator[str]:
    with importable(folder / "site"):
        graph = TTGraph.from_json(compile_program(folder / "prog.py", "main").to_json())
        outputs: list[Any] = []
        with TTRuntimeManagerSim(None, [], simpy.Environment()) as manager:
            last = graph.sqs[-1].name
            manager.on_output(lambda token: outputs.append(token.value) if token.sq == last else None)
            manager.instantiate_and_map_graph(graph)
            manager.execute_graph(graph, {"a": 1})
            manager.simulation.run()
            assert not manager.errors, [each.traceback for each in manager.errors]
        return [repr(value) for value in outputs]


@pytest.mark.parametrize("way", WAYS)
def test_a_program_gives_what_plain_python_gives(way: str, folders: dict[str, Path], expected: dict[str, str]) -> None:
    assert in_ticktalk(folders[way]) == [expected[way]]


def test_eighty_ways_are_listed() -> None:
    assert len(WAYS) >= 80
