"""Programs pass `mypy --strict` and pyright as users write them; wrong settings do not. The stub is as what runs."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ticktalk
from ticktalk.instructions import BY_NAME
from ticktalk.language.call_arguments import BODY_KEYWORDS, COMMON_KEYWORDS
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.language.function_templates import STREAM_KEYWORDS
from type_checker import mypy_errors

SOURCE = Path(ticktalk.__file__).parents[1]
PROJECT = Path(__file__).parents[2]
STUB, INSTRUCTIONS, PACKAGE = (
    ast.parse((SOURCE / f"ticktalk/{name}.pyi").read_text()) for name in ("typed", "instruction_types", "__init__")
)

RIGHT = """\
from typing import Any, TypeVar

import ticktalk as tt
import ticktalkpython.SQ as old
from ticktalk import *
from ticktalkpython.Clock import TTClock as OldClock
from ticktalkpython.Instructions import SQRT as root_of
from ticktalkpython.Query import TTConstraint as OldConstraint

T = TypeVar("T")


@STREAMify
def camera(trigger: int) -> float:
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return float(component("camera").read())


@tt.STREAMify
def texts(trigger: int, TTPeriod: int = 100) -> str | TTEmpty:
    return TTEmpty() if sq_state.get("n") else "a"


@SQify
def mean(x: float, k: int = 3) -> float:
    return x * k


@SQify
def maybe(x: float) -> float | TTEmpty:
    return x if firing().late_by < 1000 else TTEmpty()


@SQify
def pair(x: float) -> tuple[int, str]:
    return 1, "a"


@SQify
def nothing(x: float) -> None: ...


@SQify
def anyway(x: Any) -> Any:
    return x


@SQify
def generic(x: T) -> T:
    return x


@SQify
def token(x: TTToken, TTExecuteOnFullToken: bool = True) -> TTToken:
    return TTToken(x.value, TTTime(x.time.clock, 0, 5))


@SQify
def tokens(x: TTToken, y: TTToken, TTExecuteOnFullToken: bool = True) -> TTToken | TTEmpty:
    return x


@SQify
def default() -> float:
    return 1.0


@SQify
def lost(value: float, interval: TTTime, missing: tuple[str, ...]) -> str:
    return "a"


@old.SQify
def older(x: float) -> float:
    return x


@GRAPHify
def room(x: float, n: int = 2) -> tuple[float, float]:
    return mean(x, k=n), mean(x)


@GRAPHify
def main(trigger: int) -> float:
    with TTClock.root() as c:
        start = READ_TTCLOCK(trigger, TTClock=c)
        window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + 100))
        first = camera(window, TTPeriod=100_000, TTClock=c)
    with TTClock("tenths", TTClock.root(), 100_000) as tenths, TTConstraint(name="rsu", components=["camera"]):
        tag, data = camera(trigger, TTPeriod=1, TTPhase=0, TTClock=tenths, TTName="cam", TTMissed="catch-up")
    with TTQuery("rsu"), OldConstraint("rsu"):
        m = mean(data, k=4, TTName="x", TTUnmatched=lost)
        with TTPlanB(default), TTDeadline(OldClock.root(), 10):
            late = mean(data)
    p, q = pair(m)
    both = mean(token(m)) + mean(tokens(m, late), TTTimeout=5)
    d = TTFinishByOtherwise(maybe(mean(p)), TTTimeDeadline=tag + 5, TTPlanB=default, TTWillContinue=True)
    e = TTFinishByOtherwise(data, TTTimeDeadline=start + 5, TTPlanB=TTSingleRunTimeout(mean(first), TTTimeout=5))
    nothing(d)
    anyway(generic(e))
    text = texts(trigger)
    texts_tag, text = texts(trigger, TTName="texts")
    z = data + 3 if data > 4 else m
    s = SQRT(SYSLOG(MERGE(m, RESAMPLE(data, TTPeriod=50, order=1))), TTName="root")
    u = ADD(m, ABS(s))
    v, w = room(u, n=3, TTName="kitchen")
    for each in [mean(v, k=i) for i in range(3)]:
        u = MIN(u, each)
    r = camera(trigger, TTPeriod=tt.ms(7), TTPersistent=True)
    r = mean(r)
    root_of(older(z))
    return u


@GRAPHify
def shortest(trigger: int) -> float:
    return camera(trigger, TTPeriod=Hz(60))


def test() -> None:
    camera.sq_state.clear()
    assert camera(1) == 1.0 and mean(2.0) == 6.0 and ADD(1, 2) == 3
    compile_program("prog.py").save("prog.json")
"""
WRONG = """\
from right import camera, mean, nothing, pair, room
from ticktalk import *
@GRAPHify
def main(trigger: int) -> str:
    p, q = pair(1.0)
    camera(trigger, TTPeriod="x")
    camera(trigger, TTPeroid=3)
    camera(trigger, TTPeriod=3, TTClock=5)
    camera(trigger, TTPeriod=3, TTStamp="bod")
    camera(trigger, TTName="x", TTPeriod="y")
    mean("x")
    mean(1, k="x")
    mean(q)
    mean(1.0, TTName=5)
    mean(1.0, TTNmae="x")
    nothing(1, 2)
    room("x")
    SQRT("x")
    ADD(1)
    RESAMPLE(1, TTPeriod="x")
    CONST(trigger)
    TTFinishByOtherwise(p, TTTimeDeadline="x")
    TTSingleRunTimeout(p)
    component(3)
    sq_state.missing
    with TTConstraint(nam="x"): pass
    with TTConstraint(name=3): pass
    with TTClock("c", 3) as c: pass
    return mean(1.0)
"""


def write_programs(directory: Path) -> list[str]:
    """The programs above, those of the documents and the examples, and where they are."""
    programs = {"right.py": RIGHT, "wrong.py": WRONG}
    for name, text in (("readme", "README.md"), ("typed_docs", "docs/types.md")):
        found = re.findall(r"```python[^\n]*\n(.*?)```", (PROJECT / text).read_text(), re.S)
        programs[f"{name}.py"] = next(block for block in found if "@GRAPHify" in block)
    for name, text in programs.items():
        (directory / name).write_text(text)
    return [*map(str, (PROJECT / "examples").glob("*.py")), *(str(directory / name) for name in programs)]


def test_programs_pass_mypy_and_wrong_settings_do_not(tmp_path: Path):
    files = write_programs(tmp_path)
    config = tmp_path / "mypy.ini"
    path = f"{SOURCE}:{tmp_path}:{PROJECT / 'examples'}"
    config.write_text(f"[mypy]\nstrict = True\nmypy_path = {path}\n[mypy-psutil.*]\nignore_missing_imports = True\n")
    found = mypy_errors("--config-file", str(config), "--cache-dir", str(tmp_path.parent / "mypy"), *files)
    errors = [line for line in found if "ticktalk/" not in line]
    lines = [line.rpartition("wrong.py:")[2].split(":")[0] for line in errors if "wrong.py:" in line]
    assert [line for line in errors if "wrong.py:" not in line] == []
    body = WRONG.splitlines()
    assert [body[int(line) - 1] for line in dict.fromkeys(lines)] == body[5:]


def test_programs_pass_pyright_and_wrong_settings_do_not(tmp_path: Path):
    pytest.importorskip("basedpyright", reason="it comes with the extra `pyright`, as it brings a node.js")
    settings = {"typeCheckingMode": "standard", "reportMissingModuleSource": False, "reportMissingImports": False}
    paths = {"include": write_programs(tmp_path), "extraPaths": [str(SOURCE), str(PROJECT / "examples")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({**settings, **paths}))
    command = [sys.executable, "-m", "basedpyright", "--project", str(tmp_path), "--outputjson"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    told = json.loads(done.stdout)["generalDiagnostics"]
    errors = [(Path(each["file"]).name, each["range"]["start"]["line"]) for each in told if each["severity"] == "error"]
    assert [each for each in errors if each[0] != "wrong.py"] == []
    assert sorted({line for _, line in errors}) == [*range(5, len(WRONG.splitlines()))]


def test_programs_that_pass_mypy_compile(tmp_path: Path):
    (tmp_path / "right.py").write_text(RIGHT)
    graph = compile_program(tmp_path / "right.py", "main")
    assert [sq.stateful for sq in graph.sqs if sq.function in ("camera", "texts", "mean")][:1] == [True]
    assert {sq.function for sq in graph.sqs if sq.stateful} == {"camera", "texts"}


def _stubs() -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in [*STUB.body, *INSTRUCTIONS.body] if isinstance(node, ast.FunctionDef)}


def test_the_stub_names_the_exports():
    names = {name for name in _stubs() if not name.startswith("_")}
    names |= {node.name for node in STUB.body if isinstance(node, ast.ClassDef) and node.name.startswith("TT")}
    assert BY_NAME.keys() <= names <= set(ticktalk.__all__)
    listed = {alias.name for node in PACKAGE.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert listed - {"*"} | BY_NAME.keys() == set(ticktalk.__all__)
    assert set(importlib.import_module("ticktalkpython.Instructions").__all__) == BY_NAME.keys()
    for name in ticktalk.__all__:
        assert getattr(ticktalk, name) is not None


@pytest.mark.parametrize("name", BY_NAME)
def test_an_instruction_has_the_parameters_of_its_stub(name: str):
    arguments = _stubs()[name].args
    parameters = inspect.signature(getattr(ticktalk, name)).parameters.values()
    needed = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
    names = [argument.arg for argument in arguments.args]
    assert sorted(names) == sorted(parameter.name for parameter in parameters)
    assert names[: len(names) - len(arguments.defaults)] == needed


def test_each_setting_of_a_call_is_in_the_stub():
    common = {*COMMON_KEYWORDS, *BODY_KEYWORDS}
    for name, settings in (("SQ", common), ("Stream", common | {*STREAM_KEYWORDS})):
        (found,) = [node for node in STUB.body if isinstance(node, ast.ClassDef) and node.name == name]
        variants = [node.args for node in found.body if isinstance(node, ast.FunctionDef) and node.args.kwonlyargs]
        needed = [next(a.arg for a, d in zip(v.kwonlyargs, v.kw_defaults, strict=True) if d is None) for v in variants]
        assert sorted(needed) == sorted(settings)
        assert all({argument.arg for argument in variant.kwonlyargs} == settings for variant in variants)


@pytest.mark.parametrize("body, stateful", [
    ('sq_state["n"] = 1', True),
    ('return [sq_state.get("n") for _ in range(1)]', True),
    ("global sq_state\n    sq_state = {}", True),
    ("sq_state = {}\n    return sq_state", False),
    ("return x", False),
])  # fmt: skip
def test_a_body_that_uses_the_imported_state_is_stateful(body: str, stateful: bool):
    for names in ("SQify, GRAPHify, sq_state", "*"):
        text = f"from ticktalk import {names}\n@SQify\ndef f(x):\n    {body}\n@GRAPHify\ndef main(a): f(a)\n"
        assert compile_source(text, "prog.py", "prog").sqs[0].stateful is stateful


def test_the_state_outside_a_body_says_where_it_is():
    for wrong in (lambda: ticktalk.sq_state["n"], lambda: ticktalk.sq_state.get("n"), lambda: len(ticktalk.sq_state)):
        with pytest.raises((ticktalk.TTError, AttributeError), match="in the body of"):
            wrong()
