"""Sources that travel with a graph: bodies, module-level statements they need, modules beside the program."""

import pytest

from ticktalk.errors import TTSyntaxError
from ticktalk.language.compiler import compile_program, compile_source

PROGRAM = '''\
"""A program."""
from __future__ import annotations
import functools
import json as js, math
from ticktalk import *
from elsewhere import *
N = 3
M: int = N + 1
M += 1
UNUSED = open("never")
CONFIG = {"x": 1}
CONFIG["y"] = N
try:
    import fast as quick
except ImportError:
    quick = None
class Base:
    pass
class Filter(Base):
    size = M
    def run(self, x):
        return helper(x)
def helper(x):
    return math.sqrt(x) + second(x)
@functools.lru_cache
def second(x): return UNIQUE
UNIQUE = 1; OTHER = 2
print(N)

@SQify
@functools.cache  # keeps results
def f(x: Sample, k=CONFIG):
    N = 5
    return [Filter().run(i) for i in range(k) if quick]

@functools.wraps(
    helper
)
@SQify
def g(x): return f(x) + N

@STREAMify
def s(t):
    def inner():
        return OTHER
    return s

@SQify
def pure(x):
    """Adds."""
    return x + 1

@SQify
def unused(x): return UNUSED

@GRAPHify
def main(a):
    f(a); g(a); s(a, TTPeriod=5); pure(a)

if __name__ == "__main__":
    N = main(1)
'''


@pytest.fixture
def graph():
    return compile_source(PROGRAM, "p.py", "p")


def needs(graph, name):
    return [graph.statements[index].source.split("\n")[0] for index in graph.functions[name].needs]


def test_only_used_bodies_travel(graph):
    assert list(graph.functions) == ["f", "g", "s", "pure"]


def test_a_body_travels_without_our_decorator_and_at_its_line(graph):
    f, g, s = (graph.functions[name] for name in ("f", "g", "s"))
    lines = PROGRAM.split("\n")
    for function in (f, g, s):
        for offset, line in enumerate(function.source.rstrip("\n").split("\n")):
            assert line in (lines[function.line + offset - 1], "")
        assert "ify" not in function.source
        compile(function.source, "p.py", "exec")
    assert f.source.startswith("@functools.cache  # keeps results\ndef f(")
    assert g.source == "@functools.wraps(\n    helper\n)\n\ndef g(x): return f(x) + N\n"


def test_statements_that_a_body_needs_travel(graph):
    assert needs(graph, "f") == [
        "from __future__ import annotations",
        "import functools",
        "import json as js, math",
        "from ticktalk import *",
        "from elsewhere import *",
        "N = 3",
        "M: int = N + 1",
        "M += 1",
        'CONFIG = {"x": 1}',
        'CONFIG["y"] = N',
        "try:",
        "class Base:",
        "class Filter(Base):",
        "def helper(x):",
        "@functools.lru_cache",
        "UNIQUE = 1",
        "print(N)",
    ]
    assert needs(graph, "s") == ["from __future__ import annotations", "OTHER = 2"]


def test_a_decorated_function_travels_as_a_plain_one(graph):
    (statement,) = (s for s in graph.statements if "def f" in s.source)
    assert statement.source == graph.functions["f"].source
    assert "@functools.cache  # keeps results" in needs(graph, "g")


def test_statements_that_no_body_needs_stay(graph):
    text = "\n".join(statement.source for statement in graph.statements)
    assert "UNUSED" not in text and "__main__" not in text and "GRAPHify" not in text


def test_statements_list_the_names_they_assign(graph):
    assigns = {s.source.split("\n")[0]: s.assigns for s in graph.statements}
    assert assigns["N = 3"] == ["N"]
    assert assigns["M += 1"] == ["M"]
    assert assigns["try:"] == ["quick"]
    assert assigns["import functools"] == assigns["class Base:"] == assigns['CONFIG["y"] = N'] == []


def test_statements_keep_their_lines(graph):
    lines = PROGRAM.split("\n")
    assert all(s.source.split("\n")[0] in lines[s.line - 1] for s in graph.statements)


def test_a_local_name_needs_no_statement_of_the_module(graph):
    assert needs(graph, "pure") == ["from __future__ import annotations"]
    assert "N = 3" in needs(graph, "g")


def write(directory, **files):
    for name, text in files.items():
        path = directory / (name.replace("__slash__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / "prog.py"


MAIN = "@GRAPHify\ndef main(a): return f(a)\n"


def test_modules_beside_the_program_travel(tmp_path):
    path = write(
        tmp_path,
        prog="import one, json, sys\nimport never\n@SQify\ndef f(x):\n  from pack.sub import thing\n"
        "  return one.x, sys\n" + MAIN,
        one="import two\nimport math\nx = 1\n",
        two="from one import x\nimport prog\n",
        never="",
        sys="raise SystemExit\n",
        pack__slash____init__="from . import other\n",
        pack__slash__sub="from .other import thing\nimport three\n",
        pack__slash__other="thing = 1\n",
        pack__slash__deep__slash____init__="",
        three="",
        ticktalk="raise SystemExit\n",
    )
    graph = compile_program(path)
    assert list(graph.modules) == [
        "one",
        "pack.__init__",
        "pack.deep.__init__",
        "pack.other",
        "pack.sub",
        "three",
        "two",
    ]
    assert graph.modules["one"] == "import two\nimport math\nx = 1\n"


def test_modules_that_are_imported_by_a_call_travel(tmp_path):
    path = write(
        tmp_path,
        prog="import importlib\nlate = importlib.import_module('pack.late')\n@SQify\ndef f(x):\n"
        "  one = importlib.import_module('one')\n  return one.x, late, __import__('two'), importlib.import_module(x)\n"
        + MAIN,
        one="from importlib import import_module\nx = import_module('three').x\n",
        two="",
        three="x = 3\n",
        four="import_module('.five')\n",
        pack__slash__late="__import__('json')\n",
    )
    assert list(compile_program(path).modules) == ["one", "pack.late", "three", "two"]


def test_of_the_program_only_what_a_module_takes_travels(tmp_path):
    path = write(
        tmp_path,
        prog="import tools\nfrom tools import g\nN = 1\nM = N\nUNUSED = open('never')\ndef own(): return M\n"
        "def other(): return UNUSED\n@SQify\ndef f(x): return tools.late()\n@SQify\ndef h(x): return x\n"
        "@GRAPHify\ndef main(a): return f(a), g(a), h(a)\n",
        tools="from ticktalk import SQify\ndef late():\n  import prog\n  return prog.own()\n"
        "@SQify\ndef g(x): return late()\n",
    )
    graph = compile_program(path)
    assert needs(graph, "f") == ["import tools", "N = 1", "M = N", "def own(): return M"]
    assert needs(graph, "tools.g") == ["N = 1", "M = N", "def own(): return M"]
    assert not needs(graph, "h") and len(graph.statements) == 4


def test_an_erroneous_module_is_reported_at_its_import(tmp_path):
    path = write(
        tmp_path, prog="import one\n@SQify\ndef f(x): return one.x\n" + MAIN, one="import two\n", two="x = (\n"
    )
    with pytest.raises(TTSyntaxError) as caught:
        compile_program(path)
    (problem,) = caught.value.problems
    assert problem.line == 1 and "`two.py`" in problem.what and "line 1" in problem.what


def test_without_a_directory_no_modules_travel(tmp_path):
    assert compile_source("import one\n@SQify\ndef f(x): return one.x\n" + MAIN, "p.py", "p").modules == {}
