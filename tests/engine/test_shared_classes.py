"""Classes are shared by the instances of an ensemble; their methods work on the variables of the instance that calls.

Each program is run by Python itself, its module once for each instance, and compiled, saved, loaded and simulated.
"""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from test_bodies import HEAD, run, travelled

from ticktalk.engine.bodies import GraphCode

FORMS = {
    name: (statements, expression)
    for name, statements, expression in re.findall(
        r"^## (.*)\n((?:.*\n)+?)=> (.*)$", (Path(__file__).parent / "shared_classes.txt").read_text(), re.MULTILINE
    )
}
HANDLERS = "KNOWN = []\ndef register(handler):\n    KNOWN[:] = [handler]\n    return handler\n" + (
    "def dispatch(x):\n    return [handler(x) for handler in KNOWN]\n"
)
FIRINGS = 3
WINDOW = f"w = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), {FIRINGS}00))\n    "


def in_python(text: str, instances: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each firing of some instances gives, each of which has a module of its own."""
    given = []
    for _ in range(instances):
        for name, source in (("handlers", HANDLERS), ("prog", text)):
            module = types.ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(compile(source, f"{name}.py", "exec"), module.__dict__)
        given.append([repr(module.__dict__["f"](1)) for _ in range(FIRINGS)])
    return [each for firing in zip(*given, strict=True) for each in firing]


@pytest.mark.parametrize("where", ["program", "module"])
@pytest.mark.parametrize("form", FORMS)
def test_a_method_changes_what_the_body_of_its_instance_reads(
    form: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements, expression = FORMS[form]
    if "itertools.count" in statements and sys.version_info >= (3, 14):
        pytest.skip("Python 3.14 cannot copy it, so instances share it")
    module = f"{HEAD}{statements}\n@STREAMify\ndef f(t):\n    return repr(({expression}))\n"
    plain = module.replace("repr((", "((").replace("))\n", "))\n")
    graph = f"@GRAPHify\ndef main(trigger):\n    {WINDOW}f(w, TTPeriod=100)\n    f(w, TTPeriod=100)\n"
    files = {"handlers.py": HANDLERS, "prog.py": module + graph}
    if where == "module":
        files |= {"sources.py": module, "prog.py": f"{HEAD}from sources import f\n{graph}"}
    values, manager = run(files, tmp_path)
    assert not manager.errors
    assert values == in_python(plain, 2, monkeypatch)


def test_a_body_that_a_decorator_made_an_object_works_on_names_of_its_own(tmp_path: Path) -> None:
    text = f"""{HEAD}
SEEN = []
class Counted:
    def __init__(self, function):
        self.function = function
    def __call__(self, x):
        SEEN.append(x)
        return self.function(x)
@STREAMify
@Counted
def f(t):
    return len(SEEN)
@GRAPHify
def main(trigger):
    {WINDOW}f(w, TTPeriod=100)
    f(w, TTPeriod=100)
"""
    values, manager = run({"prog.py": text}, tmp_path)
    assert not manager.errors
    assert values == [1, 1, 2, 2, 3, 3]


def test_a_class_that_comes_with_a_later_instance_holds_its_own_attributes(tmp_path: Path) -> None:
    text = f"""{HEAD}
SEEN = []
ENTRIES = []
class Tracker:
    def add(self, x):
        SEEN.append(x)
class Log:
    entries = ENTRIES
@SQify
def f(x):
    Tracker().add(x)
    return SEEN
@SQify
def g(x):
    Log.entries.append(x)
    return ENTRIES
@GRAPHify
def main(trigger):
    return g(f(trigger))
"""
    code = GraphCode(travelled({"prog.py": text}, tmp_path))
    try:
        first, second = sorted((sq for sq in code.graph.sqs if sq.body), key=lambda sq: sq.name)
        assert code.body(first)[0](1) == [1]
        assert code.body(second)[0](1) == [1]  # as where an instance moves to an ensemble that has run the first
    finally:
        code.forget()
