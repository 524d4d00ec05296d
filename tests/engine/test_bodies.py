"""Bodies travel as source: the modules they need, the namespace of each instance, and the lines of their errors."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import simpy

from ticktalk import TTEnsemble, TTGraph, TTRuntimeManagerSim
from ticktalk.engine.bodies import GraphCode
from ticktalk.errors import TTError
from ticktalk.graph import travelled_modules
from ticktalk.graph.travelled_modules import TravelledModules
from ticktalk.language.compiler import compile_program

LIMIT = 30
"""Seconds after which threads that wait for each other are given up."""

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify, TTEmpty\n"


def travelled(files: dict[str, str], directory: Path, file: str = "prog.py") -> TTGraph:
    """The graph of one of `files`, from its JSON file, after the sources are gone."""
    beside = directory / "sources"
    for name, text in files.items():
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / name).write_text(text, encoding="utf-8")
    compile_program(beside / file).save(directory / "prog.json")
    shutil.rmtree(beside)
    return TTGraph.load(directory / "prog.json")


def run(
    files: dict[str, str], directory: Path, ensembles: tuple[str, ...] = (), starts: int = 1
) -> tuple[list[Any], TTRuntimeManagerSim]:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in ensembles], simpy.Environment())
    values: list[Any] = []
    manager.on_output(lambda token: values.append(token.value))
    graph = travelled(files, directory)
    manager.instantiate_and_map_graph(graph)
    for _ in range(starts):
        manager.execute_graph(graph)
        manager.simulation.run()
    return values, manager


def program(body: str, graph: str = "return f(trigger)") -> str:
    lines = "".join(f"    {line}\n" for line in graph.split("\n"))
    return f"{HEAD}{body}\n@GRAPHify\ndef main(trigger):\n{lines}"


PACKAGE = {
    "pack/__init__.py": "from . import shapes\nfrom .deep import inner as renamed\nVERSION = 3\n",
    "pack/shapes.py": "from .deep.inner import half\n\ndef area(a):\n    return half(a * a)\n",
    "pack/deep/__init__.py": "LEVEL = 2\n",
    "pack/deep/inner.py": "from .. import deep\n\ndef half(a):\n    return a / deep.LEVEL\n",
    "helper.py": "import other\n\ndef double(a):\n    return other.TWO * a\n",
    "other.py": "TWO = 2\n",
}


@pytest.mark.parametrize(
    ("imports", "expression", "value"),
    [
        ("import helper", "helper.double(4)", 8),
        ("import helper as h", "h.double(4)", 8),
        ("from helper import double", "double(4)", 8),
        ("from helper import double as twice", "twice(4)", 8),
        ("from helper import *", "double(4)", 8),
        ("import pack", "pack.VERSION, pack.shapes.area(4), pack.renamed.half(6)", (3, 8.0, 3.0)),
        ("import pack.shapes", "pack.shapes.area(4)", 8.0),
        ("import pack.deep.inner as inner", "inner.half(6)", 3.0),
        ("from pack import shapes", "shapes.area(4)", 8.0),
        ("from pack.deep import inner", "inner.half(6)", 3.0),
        ("from pack.deep.inner import half", "half(6)", 3.0),
        ("import json, math", "json.loads('[1]') + [math.floor(2.5)]", [1, 2]),
    ],
)
@pytest.mark.parametrize("where", ["module", "body"])
def test_modules_beside_the_program_travel(
    imports: str, expression: str, value: Any, where: str, tmp_path: Path
) -> None:
    if where == "body" and "*" in imports:
        return  # Python allows it at module level only
    inner = f"    {imports}\n" if where == "body" else ""
    outer = f"{imports}\n" if where == "module" else ""
    files = {**PACKAGE, "prog.py": program(f"{outer}@SQify\ndef f(t):\n{inner}    return {expression}")}
    values, manager = run(files, tmp_path)
    assert not manager.errors
    assert values == [value]
    for name in ("helper", "other", "pack"):
        assert not hasattr(sys.modules.get(name), "__file__")
        with pytest.raises(ImportError):  # outside of the graph there is none
            exec(f"from {name} import anything", {})


def test_two_graphs_with_modules_of_one_name_do_not_meet(tmp_path: Path) -> None:
    text = program("import helper\n@SQify\ndef f(t):\n    return helper.NAME")
    for name in ("first", "second", "first"):
        values, _ = run({"prog.py": text, "helper.py": f"NAME = {name!r}\n"}, tmp_path)
        assert values == [name]


def test_a_program_imports_itself_however_its_graph_is_called(tmp_path: Path) -> None:
    text = program(
        "import dataclasses, own\nN = {0}\n@dataclasses.dataclass\nclass C:\n    n: int\n@SQify\n"
        "def f(t):\n    import prog\n    return [prog.N, own.taken(), __name__, repr(prog.C(N))]"
    )
    manager, values = TTRuntimeManagerSim(None, [], simpy.Environment()), []
    manager.on_output(lambda token: values.append(token.value))
    for number, name in enumerate(("prog", "other")):
        files = {"prog.py": text.format(number), "own.py": "def taken():\n    import prog\n    return prog.N\n"}
        manager.instantiate_and_map_graph(travelled(files, tmp_path), name=name)
    for name in ("prog", "other"):
        manager.execute_graph(name)
    manager.simulation.run()
    assert values == [[number, number, "prog", f"C(n={number})"] for number in range(2)]


MOD = """from __future__ import annotations
import dataclasses, importlib, logging, sys, typing
NAME = {0!r}
LOGGED = logging.getLogger(__name__).name
@dataclasses.dataclass
class Reading:
    of: Reading | None = None
def here():
    return __name__, sys.modules[__name__].NAME, importlib.import_module("mod").NAME, __import__("mod").NAME
def fail():
    raise ValueError("no")
"""
NAMES = """
import importlib, json, pickle, pkgutil, sys, traceback, typing
import mod
@SQify
def f(t):
    try:
        mod.fail()
    except ValueError as error:
        frames = [frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__)]
    found = sys.modules["mod"], importlib.import_module("mod"), __import__("mod")
    again = pickle.loads(pickle.dumps(mod.Reading(mod.Reading())))
    return [
        mod.here(), mod.LOGGED, mod.Reading.__module__, repr(mod.Reading), frames[1:],
        [each.NAME for each in found], found[1] is found[2] is mod, type(again.of) is mod.Reading,
        typing.get_type_hints(mod.Reading)["of"] == typing.Optional[mod.Reading],
    ]
"""


def names_seen(name: str) -> list[Any]:
    reading = "<class 'mod.Reading'>"
    return [("mod", name, name, name), "mod", "mod", reading, ["mod"], [name] * 3, True, True, True]


def test_a_travelled_module_has_its_own_name_and_is_found_by_it(tmp_path: Path) -> None:
    assert run({"prog.py": program(NAMES), "mod.py": MOD.format("one")}, tmp_path)[0] == [names_seen("one")]


def test_graphs_of_one_process_find_each_its_own_module_by_name(tmp_path: Path) -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "edge")], simpy.Environment())
    values: dict[str, Any] = {}
    manager.on_output(lambda token: values.update({token.graph: token.value}))
    for name in ("one", "two"):
        files = {f"{name}.py": program(NAMES), "mod.py": MOD.format(name)}
        manager.instantiate_and_map_graph(travelled(files, tmp_path, f"{name}.py"))
    for name in ("two", "one", "two"):
        manager.execute_graph(name)
        manager.simulation.run()
        assert values.pop(name) == names_seen(name)


def test_a_file_of_the_same_name_that_python_finds_stays_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").mkdir()
    for name in ("mod", "prog"):
        (tmp_path / "beside" / f"{name}.py").write_text("NAME = 'outside'\nREAD = True\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "beside")
    for name in ("mod", "prog"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # another test's
    files = {"prog.py": program(NAMES), "mod.py": MOD.format("one")}
    values, manager = run(files, tmp_path)
    assert values == [names_seen("one")]
    assert importlib.util.find_spec("mod").origin == str(tmp_path / "beside" / "mod.py")
    outside: dict[str, Any] = {}
    exec("import mod, prog; from mod import NAME; import importlib; again = importlib.import_module('mod')", outside)
    assert outside["NAME"] == outside["mod"].NAME == outside["prog"].NAME == outside["again"].NAME == "outside"
    manager.execute_graph("prog")
    manager.simulation.run()
    assert values == [names_seen("one")] * 2


def test_a_module_that_was_taken_out_is_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = [TravelledModules({"taken": "NAME = 'of a graph'"}, {}) for _ in range(2)]
    for folder, graph in zip(("first", "second"), graphs, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "taken.py").write_text(f"NAME = {folder!r}\n", encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path / folder)
        graph.load("taken")
        assert folder == importlib.import_module("taken").NAME
        assert graph.load("taken").NAME == "of a graph"
        del sys.modules["taken"]
    for graph in graphs:
        graph.forget()


def test_modules_leave_with_their_graph(tmp_path: Path) -> None:
    # No other test has modules of these names, whose graphs may not have been collected yet.
    text = program("import parted\n@SQify\ndef f(t):\n    return parted.NAME")
    files = {"parting.py": text, "parted.py": "NAME = 1\n"}
    graph = travelled(files, tmp_path, "parting.py")
    codes = [GraphCode(graph), GraphCode(graph)]
    for code in codes:
        code.try_out(graph.sqs)
    for code in codes:
        assert {"parted", "parting"} <= sys.modules.keys()
        code.forget()
    assert not {"parted", "parting"} & sys.modules.keys()


def test_a_module_that_raises_leaves_nothing_behind() -> None:
    modules = TravelledModules({"raises": "1 / 0"}, {})
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            modules.load("raises")
        assert "raises" not in sys.modules and not travelled_modules._holders.get("raises")
    modules.forget()


@pytest.mark.parametrize("way", ["import only_one", "import importlib; importlib.import_module('only_one')"])
def test_a_module_that_only_another_graph_has_is_not_found(way: str) -> None:
    one, two = TravelledModules({"only_one": "X = 1"}, {}), TravelledModules({"only_two": ""}, {})
    one.load("only_one")
    for modules in (one, two):
        code = {"__loader__": modules, "__builtins__": modules.builtins, "__name__": "prog"}
        try:
            exec(way, code)
            found = True
        except ModuleNotFoundError as error:
            found = False
            assert error.name == "only_one"
        assert found == (modules is one)
    one.forget()
    two.forget()


class Seen:
    """Finds nothing, and tells that Python looks for a module, under its lock."""

    def __init__(self, name: str) -> None:
        self.name, self.looked = name, threading.Event()

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == self.name:
            self.looked.set()


def in_threads(*acts: Callable[[], Any]) -> list[Any]:
    """The results of functions that are called at the same time."""
    results: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda at=at, act=act: results.update({at: act()}), daemon=True)
        for at, act in enumerate(acts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "it waits for ever"
    return [results[at] for at in range(len(acts))]


def test_a_thread_that_has_the_lock_of_python_is_not_waited_for_by_one_that_has_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One imports `late_one`, which imports `late_two` by `importlib`; the other is just doing so."""
    seen, begun = Seen("late_two"), threading.Event()
    sources = {
        "late_one": f"import importlib\nbegun.set()\nlooked.wait({LIMIT})\ntwo = importlib.import_module('late_two')\n",
        "late_two": "NAME = 'two'\n",
    }
    modules = TravelledModules(sources, {"begun": begun, "looked": seen.looked})
    monkeypatch.setattr(sys, "meta_path", [seen, *sys.meta_path])

    def second() -> Any:
        begun.wait(LIMIT)
        code = {"__loader__": modules, "__builtins__": modules.builtins, "__name__": "prog"}
        exec("import importlib\ntwo = importlib.import_module('late_two')", code)
        return code["two"]

    one, two = in_threads(lambda: modules.load("late_one"), second)
    assert one.two is two and two.NAME == "two"
    modules.forget()


def test_two_threads_import_modules_that_import_each_other() -> None:
    both = threading.Barrier(2, timeout=LIMIT)
    sources = {"left_one": "both.wait()\nimport right_one\n", "right_one": "both.wait()\nimport left_one\n"}
    modules = TravelledModules(sources, {"both": both})
    left, right = in_threads(lambda: modules.load("left_one"), lambda: modules.load("right_one"))
    assert left.right_one is right and right.left_one is left
    modules.forget()


@pytest.mark.parametrize(
    "listing",
    [
        "[each.name for each in pkgutil.iter_modules(__path__)]",
        "[name for _, name, _ in pkgutil.iter_modules(__path__)]",
        "['red', 'sub', 'blue']",
    ],
)
def test_a_package_imports_the_plugins_that_it_lists(listing: str, tmp_path: Path) -> None:
    files = {
        "prog.py": program("import plugins, table\n@SQify\ndef f(t):\n    return sorted(table.COLOURS)"),
        "table.py": "COLOURS = []\n",
        "plugins/__init__.py": f"import importlib, pkgutil\nfor name in {listing}:\n"
        "    importlib.import_module(f'{__name__}.{name}')\n",
        "plugins/red.py": "import table\ntable.COLOURS.append(__name__)\n",
        "plugins/blue.py": "from table import COLOURS\nCOLOURS.append(__name__)\n",
        "plugins/sub/__init__.py": "import table\ntable.COLOURS.append(__name__)\n",
    }
    assert run(files, tmp_path)[0] == [["plugins.blue", "plugins.red", "plugins.sub"]]


def test_a_module_may_put_another_object_in_its_place(tmp_path: Path) -> None:
    lazy = "import sys\nclass Lazy:\n    def __getattr__(self, name): return name\nsys.modules[__name__] = Lazy()\n"
    text = program("import lazy\n@SQify\ndef f(t):\n    import lazy as again\n    return lazy.red + again.blue")
    assert run({"prog.py": text, "lazy.py": lazy}, tmp_path)[0] == ["redblue"]


def test_assigned_values_are_copied_for_each_instance(tmp_path: Path) -> None:
    text = program(
        "SEEN = []\nALIAS = SEEN\n@SQify\ndef f(t):\n    SEEN.append(t)\n    return len(SEEN), ALIAS is SEEN",
        "return f(trigger), f(trigger)",
    )
    values, _ = run({"prog.py": text}, tmp_path, starts=2)
    assert values == [((1, True), (1, True))] * 2, "copied per instance and context, together"


def test_an_instance_keeps_its_own_from_firing_to_firing(tmp_path: Path) -> None:
    text = program(
        "SEEN = []\n@STREAMify\ndef src(t):\n    SEEN.append(len(SEEN))\n    return SEEN[-1]",
        "w = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), 300))\nreturn src(w, TTPeriod=100)",
    )
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [0, 1, 2]


def test_a_function_works_on_its_instances_copy(tmp_path: Path) -> None:
    text = program(
        "SEEN = []\n"
        "def note(x, mark='!'):\n    SEEN.append(x)\n    return deeper() + mark\n"
        "def deeper():\n    return str(len(SEEN))\n"
        "@SQify\ndef f(t):\n    note(t)\n    return note(t), len(SEEN)",
        "return f(trigger), f(trigger)",
    )
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [(("2!", 2), ("2!", 2))]


def test_a_global_of_the_body_is_its_instances(tmp_path: Path) -> None:
    text = program(
        "COUNT = 10\n@SQify\ndef f(t):\n    global COUNT\n    COUNT += 1\n    return COUNT",
        "return f(trigger), f(trigger)",
    )
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [(11, 11)]


def test_classes_and_modules_are_shared(tmp_path: Path) -> None:
    text = program(
        "import helper\n"
        "from dataclasses import dataclass\n@dataclass\nclass Box:\n    count = 0\n"
        "@SQify\ndef f(t):\n    Box.count += 1\n    helper.seen.append(t)\n    return Box()\n"
        "@SQify\ndef g(box):\n    return isinstance(box, Box), Box.count, len(helper.seen)",
        "f(trigger)\nreturn g(f(trigger))",
    )
    values, manager = run({"prog.py": text, "helper.py": "seen = []\n"}, tmp_path)
    assert not manager.errors
    assert values[-1] == (True, 2, 2)


def test_statements_run_once_for_each_graph(tmp_path: Path) -> None:
    text = program(
        "import helper\nNUMBER = helper.next_number()\n"
        "@SQify\ndef f(t):\n    return NUMBER\n@SQify\ndef g(t):\n    return NUMBER",
        "return f(trigger), f(trigger), g(trigger)",
    )
    helper = "numbers = iter(range(1, 9))\n\ndef next_number():\n    return next(numbers)\n"
    values, _ = run({"prog.py": text, "helper.py": helper}, tmp_path, starts=2)
    assert values == [(1, 1, 1)] * 2


def test_a_graph_that_is_run_again_starts_afresh(tmp_path: Path) -> None:
    """The content of a travelling module belongs to one graph: a run repeated in one process gives the same."""
    text = program("import helper\n@SQify\ndef f(t):\n    helper.seen.append(t)\n    return len(helper.seen)")
    files = {"prog.py": text, "helper.py": "seen = []\n"}
    assert [run(files, tmp_path)[0] for _ in range(2)] == [[1], [1]]
    other = {**files, "prog.py": text.replace("return len", "return -len")}
    assert run(other, tmp_path)[0] == [-1], "another graph with the same module"


@pytest.mark.parametrize(
    ("imports", "place"),
    [("import helper", r"prog\.py:2: "), ("from helper import go as f", "helper cannot be imported: ")],
)
def test_an_error_of_a_module_beside_the_program_is_told_with_its_line(
    imports: str, place: str, tmp_path: Path
) -> None:
    own = "" if " as f" in imports else "\n@SQify\ndef f(t):\n    return helper.go(t)"
    helper = "from ticktalk import SQify\n@SQify\ndef go(x):\n    return 1\nX = 1 / 0\n"
    with pytest.raises(TTError, match=place + r"ZeroDivisionError: division by zero \(helper\.py:5\)"):
        run({"prog.py": program(imports + own), "helper.py": helper}, tmp_path)


def test_statements_that_no_body_needs_do_not_run(tmp_path: Path) -> None:
    text = program("import no_such_module\nx = 1 / 0\nprint('run')\n@SQify\ndef f(t):\n    return t")
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [1]


def test_a_decorated_function_called_by_a_body_is_the_plain_function(tmp_path: Path) -> None:
    text = program("@SQify\ndef g(x, k=2):\n    return x * k\n@SQify\ndef f(t):\n    return g(t + 4) + g(1, k=5)")
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [15]


def test_states_of_instances_and_contexts_never_meet(tmp_path: Path) -> None:
    text = program(
        "@SQify\ndef f(t):\n    global sq_state\n"
        "    sq_state['n'] = sq_state.get('n', 0) + 1\n    return sq_state['n']",
        "return f(trigger), f(trigger)",
    )
    values, _ = run({"prog.py": text}, tmp_path, starts=3)
    assert values == [(1, 1)] * 3


def test_parameters_are_those_of_the_instance(tmp_path: Path) -> None:
    text = program(
        "@SQify\ndef f(t, a=1, *, k=(2,), m=[3]):\n    m.append(t)\n    return a, k, m",
        "return f(trigger), f(trigger, a=5), f(trigger, k='k', m=[9])",
    )
    values, manager = run({"prog.py": text}, tmp_path)
    assert not manager.errors
    assert values == [((1, (2,), [3, 1]), (5, (2,), [3, 1]), (1, "k", [9, 1]))]


ERRORS = {
    "in the body": (
        "@SQify\ndef f(t):\n    x = t\n\n    return x / 0",
        6,
        "ZeroDivisionError",
    ),
    "in a function of the program": (
        "def deep(x):\n    return [x][5]\n@SQify\ndef f(t):\n    return deep(t)",
        3,
        "IndexError",
    ),
    "in an expression of several lines": (
        "@SQify\ndef f(t):\n    return (t\n        + 1\n        + None)",
        4,
        "TypeError",
    ),
    "in a library: the program's innermost line": (
        "import json\n@SQify\ndef f(t):\n    x = 1\n    return json.loads('{')",
        6,
        "JSONDecodeError",
    ),
    "beneath a decorator and a comment": (
        "# a comment\n\n\n@SQify\n# another\ndef f(t):\n    '''Docstring\n    of two lines.'''\n    raise KeyError(t)",
        10,
        "KeyError",
    ),
    "in a name of the module, which is assigned": (
        "COUNT = 0\n@SQify\ndef f(t):\n    COUNT += 1",
        5,
        "UnboundLocalError: cannot access local variable 'COUNT' where it is not associated with a value; "
        "bind it above; what is kept for the next firing is in `sq_state`",
    ),
    "in an array that others may have": (
        "import numpy as np\n@SQify\ndef f(t):\n    a = np.frombuffer(b'12', 'u1')\n    a[0] = 1",
        6,
        "ValueError: assignment destination is read-only; other SQs may have it, too: change a copy, `a.copy()`",
    ),
    "in an import of a module that is not there": (
        "@SQify\ndef f(t):\n    import mcapx",
        4,
        "ModuleNotFoundError: No module named 'mcapx'; install what has it there, or lay 'mcapx' beside the program",
    ),
    "SystemExit": ("import sys\n@SQify\ndef f(t):\n    sys.exit('bye')", 5, "SystemExit"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_names_the_line_of_the_program(name: str, tmp_path: Path) -> None:
    body, line, exception = ERRORS[name]
    values, manager = run({"prog.py": program(body)}, tmp_path)
    assert not values
    (error,) = manager.errors
    assert (error.file, error.line, error.sq, error.ensemble) == ("prog.py", line, "f-1", "runtime-manager")
    assert exception in error.exception
    told = program(body).splitlines()[line - 1].strip()
    assert told in error.traceback, "the traceback shows the program's own line"
    assert str(error).startswith(f"prog.py:{line}: SQ f-1 on runtime-manager, interval [-inf, inf): {exception}")
    assert "\n" not in str(error)
    assert manager.counters("prog") == {"f-1": {"errors": 1}}


def test_an_error_in_a_travelling_module_names_the_call_in_the_program(tmp_path: Path) -> None:
    text = program("import helper\n@SQify\ndef f(t):\n    return helper.fail(t)")
    helper = "def fail(x):\n    return x.nothing\n"
    _, manager = run({"prog.py": text, "helper.py": helper}, tmp_path)
    (error,) = manager.errors
    assert (error.file, error.line) == ("prog.py", 5)
    assert "return x.nothing" in error.traceback and "helper.py" in error.traceback


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import no_such_module\n@SQify\ndef f(t):\n    return no_such_module", ["prog.py:2", "no_such_module"]),
        ("X = 1\nY = X / 0\n@SQify\ndef f(t):\n    return Y", ["prog.py:3", "ZeroDivisionError"]),
    ],
)
def test_a_failed_preparation_names_its_place(body: str, words: list[str], tmp_path: Path) -> None:
    with pytest.raises(TTError) as refused:
        run({"prog.py": program(body, 'with TTConstraint(name="edge"):\n    return f(trigger)')}, tmp_path, ("edge",))
    for word in [*words, "on edge"]:
        assert word in str(refused.value)


def test_after_an_error_everything_else_goes_on(tmp_path: Path) -> None:
    text = program(
        "@STREAMify\ndef src(t):\n    global sq_state\n"
        "    sq_state['n'] = sq_state.get('n', 0) + 1\n    return sq_state['n']\n"
        "@SQify\ndef f(x):\n    return 6 / (x - 2)",
        "w = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), 400))\ns = src(w, TTPeriod=100)\nreturn f(s)",
    )
    values, manager = run({"prog.py": text}, tmp_path)
    assert values == [-6, 6, 3]
    assert manager.process.errors.count == 1


def test_none_is_a_value_and_empty_is_nothing(tmp_path: Path) -> None:
    text = program(
        "@SQify\ndef f(t):\n    return None\n@SQify\ndef g(t):\n    return TTEmpty()", "g(trigger)\nreturn f(trigger)"
    )
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [None]


@pytest.mark.parametrize(
    "body",
    [
        "def TTEmpty():\n        return 7\n    return TTEmpty()",
        "TTEmpty = lambda: 7\n    return TTEmpty()",
        "from operator import neg as TTEmpty\n    TTEmpty = TTEmpty and (lambda: 7)\n    return TTEmpty()",
        "for TTEmpty in [lambda: 7]:\n        return TTEmpty()",
    ],
)
def test_a_name_of_a_body_s_own_is_its_own(body: str, tmp_path: Path) -> None:
    values, _ = run({"prog.py": program(f"@SQify\ndef f(t):\n    {body}")}, tmp_path)
    assert values == [7]


def test_a_program_may_mean_something_else_by_a_construct(tmp_path: Path) -> None:
    text = program("TTEmpty = int\n@SQify\ndef f(t):\n    return TTEmpty()")
    values, _ = run({"prog.py": text}, tmp_path)
    assert values == [0]


def test_the_prints_of_a_body_go_to_stderr_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = program(
        "@SQify\ndef f(t):\n    print('one\\ntwo', end='')\n    print(' still two')\n    return t",
        "return f(f(trigger))",
    )
    run({"prog.py": text}, tmp_path)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [f"[f-{k}] {line}" for k in (1, 2) for line in ("one", "two still two")]
