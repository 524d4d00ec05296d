"""Programs of random modules, imports and graphs give what the same files give in plain Python.

Outside a graph a decorated function is the plain function; here a graph is one, too. So Python itself runs each
program: it imports `prog.py` and calls `main`. TickTalk compiles the same files, saves and loads the
graph, and simulates it.
"""

from __future__ import annotations

import importlib
import itertools
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ticktalk
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_program
from ticktalk.runtime_manager import TTRuntimeManagerSim

NUMBERS = itertools.count()
TICKTALK = "from ticktalk import GRAPHify, SQify\n"

# Functions of the modules: {0} is the function's name, {1} a number of its own.
SQS = {
    "one": "@SQify\ndef {0}(x):\n    return x + {1}\n",
    "two": "@SQify\ndef {0}(x, y, k={1}):\n    return x * k - y\n",
    "helped": "def help_{0}(x):\n    return TABLE_{0}[x % 3] + x\nTABLE_{0} = [{1}]\nTABLE_{0}.append(5)\n"
    "TABLE_{0} += [7]\n@SQify\ndef {0}(x):\n    return help_{0}(x)\n",
    "imports": "@SQify\ndef {0}(x):\n    import operator as o\n    from math import floor\n"
    "    return floor(o.add(x, {1}))\n",
    "pair": "@SQify\ndef {0}(x):\n    return x, [x, {1}]\n",
    "object": "class Kept_{0}:\n    def __init__(self, x): self.x = x\n    def text(self): return f'{{self.x}}:{1}'\n"
    "@SQify\ndef {0}(x):\n    return len(Kept_{0}(x).text())\n",
    "total": "@SQify\ndef {0}(xs):\n    return sum(xs) + {1}\n",
    "graph": "@SQify\ndef step_{0}(x, y=2):\n    return x * y + {1}\n@GRAPHify\ndef {0}(a, n=2, more=()):\n"
    "    xs = [step_{0}(a) for _ in range(n)] + list(more)\n    return step_{0}(xs[-1], y=n) + xs[0]\n",
    "results": "@SQify\ndef twice_{0}(x):\n    return 2 * x\n@GRAPHify\ndef {0}(a, b={1}):\n"
    "    return twice_{0}(a), [a, twice_{0}(a) + b]\n",
    "recursion": "@SQify\ndef leaf_{0}(x):\n    return x + {1}\n@GRAPHify\ndef {0}(a, depth):\n"
    "    if depth == 0:\n        return leaf_{0}(a)\n"
    "    return {0}(a, depth - 1) + {0}(leaf_{0}(a), depth=depth - 1)\n",
}
PLACES = {
    "the program": "",
    "a module": "mod",
    "a package": "pack/__init__",
    "in a package": "pack/inner",
    "deep in a package": "pack/deep/far",
    "a folder without __init__": "space/mod",
    "deep in one": "space/deep/far",
    "an installed module": "lib",
    "an installed package": "libs/inner",
}
WAYS = ["from", "as", "module", "module as", "star", "parent", "handed on", "relative", "bound"]
WAYS += ["graph from", "graph as"]


@dataclass
class Program:
    """Files, and the way in which the program uses each function."""

    number: int
    files: dict[str, str] = field(default_factory=dict)
    top: list[str] = field(default_factory=list)  # import statements of the program
    inside: list[str] = field(default_factory=list)  # those in its graph
    own: list[str] = field(default_factory=list)  # functions of the program itself
    relative: set[str] = field(default_factory=set)  # imports that have dots in the compiled program
    uses: dict[str, list[str]] = field(default_factory=dict)  # kind of function to the names by which it is called
    body: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)

    def text(self, dots: bool) -> str:
        imports = [line.replace("from ", "from .", 1) if dots and line in self.relative else line for line in self.top]
        lines = [TICKTALK, *imports, *self.own, "@GRAPHify\ndef main(a):"]
        lines += [f"    {line}" for line in (*self.inside, *self.body, f"return [{', '.join(self.results)}]")]
        return "\n".join(lines) + "\n"


def place_function(draw: st.DrawFn, made: Program, kind: str, index: int) -> None:
    """Write a function into some module, and import it in some way."""
    name, number = f"f{index}", made.number
    code = SQS[kind].format(name, draw(st.integers(-9, 9)))
    place = draw(st.sampled_from(sorted(PLACES)))
    stem = PLACES[place]
    if not stem:
        made.own.append(code)
        made.uses.setdefault(kind, []).append(name)
        return
    first, *inner = stem.split("/")
    parts = [f"{first}{number}", *inner]  # no two examples have modules of one name
    root = "site" if first.startswith("lib") else "near"
    file = f"{root}/{'/'.join(parts)}.py"
    made.files[file] = made.files.get(file, TICKTALK) + code
    for depth in range(1, len(parts)):
        if first != "space":
            made.files.setdefault(f"{root}/{'/'.join(parts[:depth])}/__init__.py", TICKTALK)
    module = ".".join(part for part in parts if part != "__init__")
    parent, _, last = module.rpartition(".")
    way = draw(st.sampled_from(WAYS))
    alias = f"{name}_{index}"
    line, used = f"from {module} import {name}", name
    if way in ("as", "graph as"):
        line, used = f"from {module} import {name} as {alias}", alias
    elif way == "module":
        line, used = f"import {module}", f"{module}.{name}"
    elif way == "module as":
        line, used = f"import {module} as m{index}", f"m{index}.{name}"
    elif way == "star":
        line = f"from {module} import *"
    elif way == "parent" and parent:
        line, used = f"from {parent} import {last} as m{index}", f"m{index}.{name}"
    elif way == "handed on":
        made.files[f"near/front{number}_{index}.py"] = f"{line}\n"
        line = f"from front{number}_{index} import {name}"
    elif way == "relative" and root == "near":
        made.relative.add(line)
    elif way == "bound":
        line, used = f"import {module} as m{index}\n{alias} = m{index}.{name}", alias
    (made.inside if way.startswith("graph") else made.top).append(line)
    made.uses.setdefault(kind, []).append(used)


def statement(draw: st.DrawFn, made: Program, arcs: list[str], index: int) -> None:
    """Write a statement of the graph; the names that it binds to numbers become arcs."""
    arc = st.sampled_from(list(arcs))
    constant = st.integers(-4, 4).map(str)
    kind = draw(st.sampled_from([*sorted(made.uses), "+", "if", "list", "again"]))
    f = draw(st.sampled_from(made.uses[kind])) if kind in made.uses else ""
    v = f"v{index}"
    u, w = draw(arc), draw(st.one_of(arc, constant))
    bound = [v]
    if kind in ("one", "helped", "imports", "object"):
        line = f"{v} = {f}({draw(st.sampled_from([u, f'{u} + {w}', f'{f}({u})']))})"
    elif kind == "two":
        line = f"{v} = {f}({draw(st.sampled_from([f'{u}, {w}', f'{u}, {w}, k=3', f'y={u}, x={w}']))})"
    elif kind == "pair":
        line = f"{v}, {v}_list = {f}({u})"
        made.results.append(f"{v}_list")
    elif kind == "total":
        many = [f"[{u}, {w}]", f"[{u} for _ in range(3)]", f"[i * {u} for i in (1, 2)]"]
        line = f"{v} = {f}({draw(st.sampled_from(many))})"
    elif kind == "graph":
        given = draw(st.sampled_from([u, f"{u}, 1", f"{u}, n=3", f"{u}, 1, [{u}]", f"{u}, more=[{u}, 4]"]))
        line = f"{v} = {f}({given})"
    elif kind == "results":
        given, bound = draw(st.sampled_from([u, f"{u}, 3", f"{u}, b={w}"])), [v, f"{v}_b"]
        line = f"{v}, ({v}_a, {v}_b) = {f}({given})"
    elif kind == "recursion":
        line = f"{v} = {f}({u}, {draw(st.integers(0, 2))})"
    elif kind == "if":
        line = f"{v} = {u} + 1 if {u} > {w} else {u} - {w}"
    elif kind == "list":
        line = f"{v}s = [{u} + i for i in range(2)]\n    {v} = {v}s[1] - {v}s[0] * {w}"
    elif kind == "again":
        line = f"{u}_too = {u}\n    {v} = {u}_too * {w}"
    else:
        line = f"{v} = {u} {draw(st.sampled_from('+-*'))} {w}"
    made.body.append(line)
    made.results += bound
    arcs += bound


@st.composite
def programs(draw: st.DrawFn) -> Program:
    made = Program(next(NUMBERS))
    for index, kind in enumerate(draw(st.lists(st.sampled_from(sorted(SQS)), min_size=1, max_size=4))):
        place_function(draw, made, kind, index)
    arcs = ["a"]
    for index in range(draw(st.integers(1, 5))):
        statement(draw, made, arcs, index)
    return made


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Let modules be imported from these folders; those that were are forgotten at the end."""
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = map(str, folders)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in sys.modules.keys() - before:
            origin = str(getattr(sys.modules[name], "__file__", None) or getattr(sys.modules[name], "__path__", ""))
            if any(str(folder) in origin for folder in folders):
                del sys.modules[name]


def in_python(program: Path, value: int) -> Any:
    """The result of `main` in plain Python."""
    plain = mock.patch.object(ticktalk, "GRAPHify", lambda function: function)
    with plain, importable(program.parent, program.parent.parent / "site"):
        return importlib.import_module(program.stem).main(value)


def in_ticktalk(program: Path, value: int) -> list[Any]:
    """What the simulated program returns; instances that nobody reads have outputs beside."""
    with importable(program.parent.parent / "site"):
        graph = compile_program(program, "main")
        graph = TTGraph.from_json(graph.to_json())
        outputs: list[Any] = []
        manager = TTRuntimeManagerSim(None, [], simpy.Environment())
        last = graph.sqs[-1].name
        manager.on_output(lambda token: outputs.append(token.value) if token.sq == last else None)
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph, {"a": value})
        manager.simulation.run()
        manager.stop_graph(graph)
        assert not manager.errors, manager.errors
        return outputs


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(-20, 20))
def test_modules_imports_and_graphs(made: Program, value: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "near" / f"prog{made.number}.py"
        for file, text in {**made.files, f"near/{program.name}": made.text(False)}.items():
            (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / file).write_text(text)
        expected = in_python(program, value)
        program.write_text(made.text(True))
        assert in_ticktalk(program, value) == [expected]


# Statements of a module that change T (a list), D (a dict) or what hangs on them; {0} is a number of its own.
STATEMENTS = [
    "T.append({0})",
    "T += [{0}]",
    "T[:0] = [{0}]",
    "T.sort(key=lambda item: -item)",
    "for i{0} in range(3):\n    T.append(i{0} * {0})",
    "if len(T) > 2:\n    T.pop()\nelse:\n    T.append({0})",
    "D['{0}'] = len(T)",
    "D.setdefault('k', []).append({0})",
    "ALIAS{0} = T\nALIAS{0}.append({0})",
    "def fill{0}(n):\n    T.append(n)\n    return n\nfill{0}({0})",
    "X{0} = [T.append(n) for n in range(2)]",
    "@register\ndef handler{0}(x):\n    return x + {0} + len(T)",
    "class Kind{0}(Base):\n    value = {0}\n    T.append(value)",
    "try:\n    T.remove({0})\nexcept ValueError:\n    T.append(-{0})",
    "with Counting() as counted{0}:\n    counted{0}.n += {0}\n    D['with'] = counted{0}.n",
    "N{0}, (M{0}, *R{0}) = {0}, (1, 2, 3)\nD['n'] = N{0} + M{0} + sum(R{0})",
    "while len(T) < {0} % 5:\n    T.append(0)",
    "setattr(Counting, 'n', {0})",
    "globals()['G'] = {0}",
    "T = T + [{0}]",
    "D = dict(D, new={0})",
    "del T[{0} % 7:]",
    "match len(T):\n    case 0:\n        T.append({0})\n    case more{0}:\n        D['more'] = more{0}",
    "print('nobody', 1 // 1, file=open(__import__('os').devnull, 'w'))",
    "UNUSED{0} = [1, 2, {0}]\nUNUSED{0}.append(3)",
]
MODULE = """\
T = []
D = {}
G = 0
HANDLERS = []
def register(function):
    HANDLERS.append(function)
    return function
class Base:
    kinds = []
    def __init_subclass__(cls):
        Base.kinds.append(cls.__name__)
        T.append(len(Base.kinds))
class Counting:
    n = 0
    def __enter__(self): return self
    def __exit__(self, *error): pass
"""
BODY = """\
@SQify
def {name}(x):
    T.append(x)
    return [T, D, G, [handler(x) for handler in HANDLERS], Base.kinds, Counting.n]
"""


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(STATEMENTS), st.integers(0, 99)), max_size=8), st.booleans())
def test_statements_of_a_module(chosen: list[tuple[str, int]], beside: bool) -> None:
    made = Program(next(NUMBERS))
    body = "".join(statement.format(number) + "\n" for statement, number in chosen)
    module = TICKTALK + MODULE + body + BODY.format(name="look")
    calls = "@GRAPHify\ndef main(a):\n    return [look(a)]\n"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "near" / f"prog{made.number}.py"
        program.parent.mkdir()
        if beside:
            program.with_name(f"mod{made.number}.py").write_text(module)
            program.write_text(f"{TICKTALK}from mod{made.number} import look\n{calls}")
        else:
            program.write_text(module + calls)
        assert in_ticktalk(program, 3) == [in_python(program, 3)]
