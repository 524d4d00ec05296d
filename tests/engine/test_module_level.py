"""The module level of a program: a body finds the same there as in plain Python.

Each program is run twice: by Python itself, as one module, and compiled, saved, loaded and simulated.
"""

from __future__ import annotations

import ast
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from test_bodies import PACKAGE, program, run, travelled

from ticktalk.language.imported_modules import ImportedModules

FORMS = {
    name: (statements, expression)
    for name, statements, expression in re.findall(
        r"^## (.*)\n((?:.*\n)+?)=> (.*)$", (Path(__file__).parent / "module_level.txt").read_text(), re.MULTILINE
    )
}

FILES = {**PACKAGE, "folder/tables.py": "T = [3]\n", "folder/deep/more.py": "from ..tables import T\nN = len(T)\n"}


def in_python(body: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A program in plain Python: its functions are plain ones outside a graph."""
    for name, text in FILES.items():
        (directory / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / "plain" / name).write_text(text)
    own = {"helper", "other", "pack", "folder", "prog"}
    for name in [name for name in sys.modules if name.partition(".")[0] in own]:
        monkeypatch.delitem(sys.modules, name)  # another test's
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(str(directory / "plain"))
    module = types.ModuleType("prog")
    sys.modules["prog"] = module
    try:
        exec(compile(body, "prog.py", "exec"), module.__dict__)
        return module.__dict__["f"](1)
    finally:
        for name in sys.modules.keys() - before.keys():
            if name.partition(".")[0] in own:
                del sys.modules[name]


@pytest.mark.parametrize("form", FORMS)
def test_a_body_finds_the_same_as_in_plain_python(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements, expression = FORMS[form]
    text = program(f"{statements}\n@SQify\ndef f(t):\n    return {expression}")
    values, manager = run({**FILES, "prog.py": text}, tmp_path)
    expected = in_python(text, tmp_path, monkeypatch)
    assert not manager.errors
    assert values == [expected]


OTHERS = {
    "raises": "BAD = 1 / 0",
    "opens": "FILE = open('no such file')",
    "calls": "def boom(): raise RuntimeError\nboom()",
    "another table": "U = []\nU.append(1 / 0)",
    "shares a constant": "SCREEN = [1 / 0, N]",
    "an assignment whose call shares a module": "def load(): return math.sqrt(-1)\nDATA = load()",
    "a definition with a function that is needed": "def other(x=5): return boom(T)",
    "starts the program": "def start(): return main(1) / len(T)\nstart()",
    "starts it at once": "main(1).run(T)",
    "main guard": "if __name__ == '__main__':\n    T.append(1 / 0)",
    "a class of a known kind": "@dataclass\nclass Other:\n    x: int = 1 // 0",
}


@pytest.mark.parametrize("other", OTHERS)
def test_statements_that_a_body_does_not_need_do_not_run(other: str, tmp_path: Path) -> None:
    head = "import math\nfrom dataclasses import dataclass\nN = 4\nT = []\n@dataclass\nclass Mine:\n    y: int\n"
    text = program(f"{head}{OTHERS[other]}\n@SQify\ndef f(t):\n    return math.floor(2.5), N, T, Mine(1).y")
    values, manager = run({"prog.py": text}, tmp_path)
    assert not manager.errors
    assert values == [(2, 4, [], 1)]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before, annotations are computed where a function is made")
def test_annotations_may_name_modules_that_are_never_there(tmp_path: Path) -> None:
    statements = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from decimal import Decimal"
    helper = "def helper(x: Decimal) -> Decimal:\n    return x + 1"
    text = program(f"{statements}\n{helper}\n@SQify\ndef f(t: Decimal) -> Decimal:\n    return helper(t)")
    values, manager = run({"prog.py": text}, tmp_path)
    assert not manager.errors
    assert values == [2]


def test_the_prints_of_a_module_stay_off_the_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run({"prog.py": program("T = []\nprint('filled', T)\n@SQify\ndef f(t):\n    return T")}, tmp_path)
    printed = capsys.readouterr()
    assert "filled []" in printed.err and "filled" not in printed.out


def test_a_folder_without_init_goes_behind_installed_packages(tmp_path: Path) -> None:
    graph = travelled(
        {"prog.py": program("import numpy\n@SQify\ndef f(t):\n    return numpy.pi"), "numpy/x.py": ""}, tmp_path
    )
    assert graph.modules == {}


def test_each_module_is_looked_through_once_however_many_imports_lead_to_it() -> None:
    names = [f"m{number}" for number in range(30)]
    trees = {name: ast.parse("\n".join(f"import {other}" for other in names)) for name in names}
    asked: list[str] = []

    def tree(name: str) -> tuple[ast.Module, str] | None:
        asked.append(name)
        return (trees[name], "") if name in trees else None

    imported = ImportedModules(tree)
    for _ in range(2):
        assert all(imported.reached([name]) == set(names) for name in names)
    assert sorted(asked) == sorted(names)
