"""Classes are shared by the instances of an ensemble; their methods work on the variables of the instance that calls.

Each program is run by Python itself, its module once for each instance, and compiled, saved, loaded and simulated.
"""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from test_bodies import HEAD, run

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
    module = f"{HEAD}{statements}\n@STREAMify\ndef f(t):\n    return repr(({expression}))\n"
    plain = module.replace("repr((", "((").replace("))\n", "))\n")
    graph = f"@GRAPHify\ndef main(trigger):\n    {WINDOW}f(w, TTPeriod=100)\n    f(w, TTPeriod=100)\n"
    files = {"handlers.py": HANDLERS, "prog.py": module + graph}
    if where == "module":
        files |= {"sources.py": module, "prog.py": f"{HEAD}from sources import f\n{graph}"}
    values, manager = run(files, tmp_path)
    assert not manager.errors
    assert values == in_python(plain, 2, monkeypatch)
