"""Programs of many files: SQs, streams, constants and graphs of other modules; truth is Python's own import."""

import json
import sys
from pathlib import Path

import pytest

from commands import ticktalk
from ticktalk.errors import TTSyntaxError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.needed_modules import needed_modules
from ticktalk.language.compiler import compile_program

DEVICES = """\
from __future__ import annotations
from dataclasses import dataclass
from ticktalk import SQify, STREAMify, GRAPHify
PERIOD = 100_000
TABLE = [1]
TABLE.append(2)
@dataclass
class Photo:
    n: int
@STREAMify
def ticks(trigger, TTPeriod=PERIOD):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n
@SQify
def camera(x, k=PERIOD):
    TABLE.append(x)
    return Photo(sum(TABLE))
@SQify
def plain(x): return helper(x)
def helper(x): return x + len(TABLE)
"""
WAYS = {
    "from": ("from devices import camera", "", "camera"),
    "as": ("from devices import camera as cam", "", "cam"),
    "attribute": ("import devices", "", "devices.camera"),
    "attribute as": ("import devices as d", "", "d.camera"),
    "star": ("from devices import *", "", "camera"),
    "bound again": ("import devices\ncam = devices.camera", "", "cam"),
    "in the graph": ("", "from devices import camera", "camera"),
    "in the graph, as": ("", "import devices as d", "d.camera"),
    "in a try": ("try:\n    from devices import camera\nexcept ImportError:\n    pass", "", "camera"),
    "handed on": ("from front import camera", "", "camera"),
    "handed on by a star": ("from front2 import camera", "", "camera"),
    "package": ("from house.room.eye import camera", "", "camera"),
    "package, attribute": ("import house.room.eye", "", "house.room.eye.camera"),
    "package, module": ("from house.room import eye", "", "eye.camera"),
    "package, relative": ("from house.hall import camera", "", "camera"),
    "package without __init__": ("from shed.eye import camera", "", "camera"),
    "package without __init__, relative": ("from shed.deep.eye import camera", "", "camera"),
    "package without __init__, by its whole name": ("from shed.whole import camera", "", "camera"),
    "relative in the program": ("from .devices import camera", "", "camera"),
}


@pytest.fixture
def folder(tmp_path):
    files = {
        "devices.py": DEVICES,
        "front.py": "from devices import camera",
        "front2.py": "from front import *",
        "house/__init__.py": "",
        "house/room/__init__.py": "",
        "house/room/eye.py": DEVICES,
        "house/hall.py": "from .room.eye import camera\nfrom . import room",
        "shed/eye.py": DEVICES,
        "shed/deep/eye.py": "from ..eye import *",
        "shed/whole.py": "from shed.eye import *",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def compiled(folder: Path, text: str, graph: str | None = None) -> TTGraph:
    (folder / "prog.py").write_text(text)
    return compile_program(folder / "prog.py", graph)


def outputs(folder: Path, text: str, *options: str) -> list[object]:
    """The values that a simulation of the program gives, in another process."""
    (folder / "prog.py").write_text(text)
    given = options or ("--input", "a=1")
    done = ticktalk("simulate", "prog.py", "--jsonl", "--until", "1s", *given, cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [row.get("value", row.get("repr")) for row in rows]


@pytest.mark.parametrize("way", WAYS)
def test_an_sq_of_another_module_is_found_by_any_import(folder, way):
    at_module, in_graph, name = WAYS[way]
    body = f"    {in_graph}\n" if in_graph else ""
    text = f"from ticktalk import *\n{at_module}\n@GRAPHify\ndef main(a):\n{body}    return {name}(a)\n"
    graph = compiled(folder, text)
    assert [sq.name for sq in graph.sqs] == ["camera-1"]
    function = graph.functions[graph.sqs[0].function]
    assert function.module in ("devices", "house.room.eye", "shed.eye")
    assert function.module in graph.modules
    assert not needed_modules(graph)
    assert TTGraph.from_json(graph.to_json()) == graph


def test_bodies_of_other_modules_run_as_python_runs_them(folder):
    text = """\
from ticktalk import *
from devices import Photo, camera, plain
import devices as d
import house.room.eye as other
@SQify
def show(p): return isinstance(p, Photo), p.n
@GRAPHify
def main(a):
    n = d.ticks(a, TTPeriod=5 * d.PERIOD)
    return show(camera(n)), show(other.camera(a)), plain(a)
"""
    # Each instance has a table of its own: [1, 2], and the values that its own firings append.
    assert outputs(folder, text) == [[[True, 4], [False, 4], 3]]


def test_functions_of_one_name_in_two_modules_stay_apart(folder):
    (folder / "other.py").write_text("from ticktalk import SQify\n@SQify\ndef plain(x): return -x\n")
    text = """\
from ticktalk import *
import devices, other
@SQify
def plain(x): return 10 * x
@GRAPHify
def main(a): return devices.plain(a), other.plain(a), plain(a)
"""
    graph = compiled(folder, text)
    assert [sq.name for sq in graph.sqs] == ["plain-1", "plain-2", "plain-3", "TUPLE-1"]
    assert list(graph.functions) == ["plain", "devices.plain", "other.plain"]
    assert outputs(folder, text) == [[3, -1, 10]]


def test_an_installed_library_is_wanted_of_the_ensembles(folder, tmp_path_factory, monkeypatch):
    library = tmp_path_factory.mktemp("library")
    (library / "sensors").mkdir()
    (library / "sensors" / "__init__.py").write_text("from .eye import camera\n")
    (library / "sensors" / "eye.py").write_text(DEVICES)
    monkeypatch.syspath_prepend(library)
    graph = compiled(
        folder, "from ticktalk import *\nimport sensors\n@GRAPHify\ndef main(a): return sensors.camera(a)\n"
    )
    assert not graph.modules
    assert needed_modules(graph) == {"sensors.eye.camera": frozenset({"sensors"})}
    assert "sensors" not in sys.modules


def mistakes(folder: Path, text: str) -> list[tuple[str, int, str]]:
    with pytest.raises(TTSyntaxError) as caught:
        compiled(folder, text)
    return [(str(Path(p.file).relative_to(folder)), p.line, p.what) for p in caught.value.problems]


def test_errors_point_into_the_right_file(folder):
    (folder / "bad.py").write_text(
        "from ticktalk import *\n@SQify\ndef f(x, **k): pass\n@SQify\ndef unused(*a): pass\n"
        "@GRAPHify\ndef g(a):\n    return nothing(a)\n@STREAMify\ndef s(a, TTPeriod=0): pass\n"
    )
    (folder / "worse.py").write_text("x = = 1")
    head = "from ticktalk import *\nimport bad, devices\n"
    found = mistakes(folder, head + "@GRAPHify\ndef main(a):\n    bad.f(a)\n    bad.g(a)\n    bad.s(a)\n")
    assert sorted(found) == [
        ("bad.py", 3, "`**k` in `f`: a @SQify function has a fixed number of inputs"),
        ("bad.py", 8, "`nothing` is not defined"),
        ("prog.py", 7, "TTPeriod must be at least 1, not 0"),
    ]
    found = mistakes(folder, head + "@GRAPHify\ndef main(a):\n    devices.missing(a)\n    devices.helper(a)\n")
    assert [line for _, line, _ in found] == [5, 6]
    assert "has no `missing`" in found[0][2] and "`helper` is not an SQ" in found[1][2]
    ((file, line, what),) = mistakes(folder, "from worse import f\n@GRAPHify\ndef main(a): return f(a)\n")
    assert (file, line) == ("prog.py", 1) and "`worse.py`, which is imported here, is not valid Python" in what
    ((file, line, what),) = mistakes(folder, "from devices import camrea\n@GRAPHify\ndef main(a): return camrea(a)\n")
    assert "`devices` has no `camrea`" in what


@pytest.mark.parametrize(
    ("first", "named"),
    [
        ("from devices import camrea", "camrea"),
        ("import devices", "devices.camrea"),
        ("import devices as d", "d.camrea"),
        ("import devices\nshort = devices.camrea", "short"),
    ],
)
def test_a_name_that_a_module_lacks_is_refused_with_what_may_be_meant(folder, first, named):
    (folder / "prog.py").write_text(f"from ticktalk import *\n{first}\n@GRAPHify\ndef main(a): return {named}(a)\n")
    with pytest.raises(TTSyntaxError) as caught:
        compile_program(folder / "prog.py")
    (problem,) = caught.value.problems
    assert (problem.what, problem.instead) == ("`devices` has no `camrea`", "did you mean `camera`?")


def test_an_error_of_a_body_names_its_own_file(folder):
    (folder / "deep.py").write_text("from ticktalk import *\n@SQify\ndef f(x):\n    return 1 / (x - 1)\n")
    (folder / "prog.py").write_text("from ticktalk import *\nimport deep\n@GRAPHify\ndef main(a): return deep.f(a)\n")
    done = ticktalk("simulate", "prog.py", "--input", "a=1", cwd=folder)
    assert "deep.py:4: SQ f-1" in done.stderr and "ZeroDivisionError" in done.stderr


def test_a_circle_of_imports_ends(folder):
    (folder / "one.py").write_text("from ticktalk import *\nfrom two import g\n@SQify\ndef f(x): return x\n")
    (folder / "two.py").write_text("from ticktalk import *\nimport one\n@SQify\ndef g(x): return x\n")
    graph = compiled(folder, "from one import f, g\n@GRAPHify\ndef main(a): return g(f(a))\n")
    assert list(graph.functions) == ["one.f", "two.g"]


def test_graphs_written_before_still_load(folder):
    graph = compiled(folder, "from ticktalk import *\n@SQify\ndef f(x): return x\n@GRAPHify\ndef main(a): f(a)\n")
    document = json.loads(graph.to_json())
    assert "file" not in document["graph"]["sqs"][0] and "module" not in document["graph"]["functions"]["f"]
    assert TTGraph.from_json(json.dumps({**document, "version": 1}).encode()) == graph


def test_relative_imports_of_the_program_count_from_its_folder(folder):
    text = """\
from ticktalk import *
from .devices import helper
@SQify
def f(x):
    from . import devices
    return helper(x), devices.PERIOD
@GRAPHify
def main(a): return f(a)
"""
    assert outputs(folder, text) == [[3, 100_000]]


@pytest.mark.parametrize(
    ("first", "place", "name"),
    [
        ("from ..devices import camera", "prog.py:1", "camera"),
        ("from .. import devices\ncamera = devices.camera", "prog.py:1", "devices"),
        ("from house.room.far import camera", "house/room/far.py:2", "camera"),
    ],
)
def test_a_relative_import_above_the_folder_of_the_program_is_refused_where_it_is_used(folder, first, place, name):
    (folder / "house" / "room" / "far.py").write_text("\nfrom ....devices import camera\n")
    with pytest.raises(TTSyntaxError) as caught:
        compiled(folder, first + "\nfrom ticktalk import *\n@GRAPHify\ndef main(a): return camera(a)\n")
    (problem,) = caught.value.problems
    assert problem.what == f"`{name}` is imported from above the folder of the program ({folder}/{place})"
    (folder / "house" / "room" / "far.py").write_text("\nfrom ...devices import camera\n")
    assert compiled(folder, "from house.room.far import camera\n@GRAPHify\ndef main(a): return camera(a)\n").sqs
