"""The house: which file may import which, how long a file may be, and that documentation names files that exist.

The rules are those of `docs/architecture.md`. Imports inside functions and under `TYPE_CHECKING` count like others.
"""

from __future__ import annotations

import ast
import io
import re
import runpy
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"

LONGEST = 500
"""Lines of a file."""

SEMANTICS = ("ticktalk.time", "ticktalk.engine")
SEMANTICS_LINES = 3_000
"""Lines of code of the ring of semantics: without blank lines, comments and docstrings."""

RINGS = [
    # Shared by all: tables and plain data.
    "errors source_problems defaults durations counters json_text printable repeats log_file input_file time",
    "instructions ranges series stuck values error_hints module_search output_log memory_payloads no_garbage",
    "graph language mapping yaml_file saved_state heartbeats payloads",
    "records replacement messages factories network_interface network_keys",
    # The meaning of a program.
    "engine",
    # The source of bodies, written anew.
    "bodies",
    # Generated code, which runs settled parts of it.
    "accelerate",
    # The work of both drivers.
    "hosted",
    "explain",
    "manager",
    "processes",
    # Drivers, and the handles that users hold.
    "simulation physical",
    "ensemble runtime_manager",
    "recording",
    "exploration",
    "web otel",
    "cli __main__",
    "testing connect",
]
"""A file imports from its own row and the rows above it, no others."""

APART = [("manager", "accelerate"), ("hosted", "accelerate"), ("simulation", "physical"), ("physical", "simulation")]
"""Folders whose rows would allow an import that is not meant."""

IO = {"threading", "socket", "time", "select", "selectors", "asyncio", "subprocess", "multiprocessing", "sched"}
NOT_USED_FOR_IO = {("ticktalk.engine.components", "threading"), ("ticktalk.bodies.names", "time")}
"""The one holds what a thread runs now (`threading.local`), the other knows functions by name; they call none."""

SANS_IO = ("time", "engine", "bodies", "accelerate", "hosted", "explain", "exploration", "manager", "physical.regions")


def modules(source: Path = SOURCE, package: str = "ticktalk") -> dict[str, Path]:
    """The modules of a package, by name."""
    found = {}
    for path in sorted((source / package).rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, name: str) -> set[str]:
    """The names of modules and their members that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports name their module in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found - {name}


def arrows(found: dict[str, Path]) -> set[tuple[str, str]]:
    """Pairs of modules: the first imports the second. From outside a package, an import loads the package itself."""
    pairs = set()
    for name, path in found.items():
        for target in imported(path, name):
            module = target if target in found else target.rpartition(".")[0]
            if module not in found:
                continue
            pairs.add((name, module))
            while "." in module.partition(".")[2]:
                module = module.rpartition(".")[0]
                if not name.startswith(f"{module}."):
                    pairs.add((name, module))
    return {(one, other) for one, other in pairs if one != other}


def circles(pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Groups of modules that import one another, each sorted (strongly connected components)."""
    ahead: dict[str, set[str]] = {}
    for one, other in pairs:
        ahead.setdefault(one, set()).add(other)
        ahead.setdefault(other, set())
    reach = {one: reached(ahead, one) for one in ahead}
    groups = {tuple(sorted(each for each in reach[one] if one in reach[each])) for one in ahead if one in reach[one]}
    return [list(group) for group in sorted(groups)]


def reached(ahead: dict[str, set[str]], start: str) -> set[str]:
    """The nodes that can be reached from `start` in one step or more."""
    found: set[str] = set()
    open_ = [start]
    while open_:
        for other in ahead[open_.pop()]:
            if other not in found:
                found.add(other)
                open_.append(other)
    return found


def against_rings(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The imports that the rings do not allow."""
    row = {part: number for number, parts in enumerate(RINGS) for part in parts.split()}
    wrong = []
    for one, other in pairs:
        a, b = top(one), top(other)
        if a == "" or a == b:
            continue  # the public names of the package are above all
        if b == "" or row[a] < row[b] or (a, b) in APART:
            wrong.append((one, other))
    return sorted(wrong)


def top(module: str) -> str:
    """The folder or file of `ticktalk` that a module belongs to; empty for the package itself."""
    return [*module.split("."), ""][1]


def code_lines(path: Path) -> int:
    """Lines of a file that hold code: no blank ones, comments or docstrings."""
    text = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines - {len(text.splitlines()) + 1})


def uses(name: str) -> list[str]:
    """The modules that import a package from elsewhere."""
    return [
        module for module, path in MODULES.items() if any(each.split(".")[0] == name for each in imported(path, ""))
    ]


MODULES = modules()
ARROWS = arrows(MODULES)


def test_no_modules_import_each_other() -> None:
    assert circles(ARROWS) == []


def test_every_arrow_goes_inwards() -> None:
    assert against_rings(ARROWS) == []


def test_every_file_has_a_ring() -> None:
    placed = {part for parts in RINGS for part in parts.split()}
    assert {top(module) for module in MODULES} - {""} == placed & {top(module) for module in MODULES}


def test_no_two_classes_share_a_name() -> None:
    """A name that begins with an underscore belongs to its file."""
    files: dict[str, list[str]] = {}
    for name, path in MODULES.items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files.setdefault(node.name, []).append(name)
    assert {name: where for name, where in files.items() if len(where) > 1} == {}


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_too_long(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST


def test_semantics_are_read_in_a_day() -> None:
    ring = [path for module, path in MODULES.items() if module.startswith(SEMANTICS)]
    assert sum(map(code_lines, ring)) <= SEMANTICS_LINES


def test_one_file_knows_zenoh() -> None:
    assert uses("zenoh") == ["ticktalk.physical.network.zenoh_link"]


def test_simpy_is_for_simulation_and_the_documented_handles() -> None:
    allowed = ("ticktalk.simulation", "ticktalk.cli.simulate")
    documented = {"ticktalk.processes", "ticktalk.ensemble", "ticktalk.runtime_manager"}
    assert [each for each in uses("simpy") if not each.startswith(allowed) and each not in documented] == []


@pytest.mark.parametrize("part", SANS_IO)
def test_rules_do_no_input_or_output(part: str) -> None:
    found = {
        (module, name)
        for module, path in MODULES.items()
        if f"{module}.".startswith(f"ticktalk.{part}.")
        for name in (each.split(".")[0] for each in imported(path, ""))
        if name in IO | {"simpy", "zenoh"}
    }
    assert found - NOT_USED_FOR_IO == set()


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "CONTRIBUTING.md"])
def test_files_that_the_documentation_names_exist(page: str) -> None:
    bases = (ROOT, SOURCE / "ticktalk", ROOT / "docs")
    named = set(paths_in((ROOT / page).read_text(encoding="utf-8")))
    assert {path for path in named if not any((base / path).exists() for base in bases)} == set()


def test_the_pictures_are_those_that_their_script_draws() -> None:
    drawing = runpy.run_path(str(ROOT / "docs/pictures/draw.py"))
    for name, draw in drawing["PICTURES"].items():
        assert (ROOT / "docs/pictures" / name).read_text(encoding="utf-8") == draw().svg()
        named = set(re.findall(r"\b(?:\w+/)+\w+(?:\.py)?\b", "\n".join(re.findall(r">([^<>]+)</text>", draw().svg()))))
        assert {path for path in named if not (SOURCE / "ticktalk" / path).exists()} == set()


def paths_in(text: str) -> Iterator[str]:
    """The paths that a page names in backticks or links to; paths that a reader makes, such as `a.json`, are none."""
    for quoted, linked in re.findall(r"`([\w./-]+)`|\]\(([\w./-]+)\)", text):
        if linked or "/" in quoted:
            yield linked or quoted


# The rules are enforced: each check finds its faults.


def test_a_circle_is_found(tmp_path: Path) -> None:
    """Also where one arrow is for types only, one inside a function, and one loads a whole package."""
    package = tmp_path / "ticktalk"
    (package / "graph").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "graph" / "__init__.py").write_text("from ticktalk.graph.one import x\n")
    (package / "graph" / "one.py").write_text("x = 1\n")
    (package / "a.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ticktalk.b import f\n")
    (package / "b.py").write_text("def f():\n    import ticktalk.c\n")
    (package / "c.py").write_text("import importlib\nimportlib.import_module('ticktalk.graph.one')\n")
    assert circles(arrows(modules(tmp_path))) == []
    (package / "graph" / "one.py").write_text("from ticktalk import a\n\nx = a\n")
    assert circles(arrows(modules(tmp_path))) == [
        ["ticktalk.a", "ticktalk.b", "ticktalk.c", "ticktalk.graph", "ticktalk.graph.one"]
    ]


def test_an_arrow_against_the_rings_is_found() -> None:
    good = [("ticktalk.physical.node", "ticktalk.engine.agenda"), ("ticktalk", "ticktalk.cli.main")]
    bad = [
        ("ticktalk.engine.agenda", "ticktalk.physical.node"),
        ("ticktalk.engine.context", "ticktalk.accelerate.loops"),
        ("ticktalk.hosted.moves", "ticktalk.accelerate.loops"),
        ("ticktalk.physical.node", "ticktalk.simulation.driver"),
        ("ticktalk.time.clock", "ticktalk"),
    ]
    assert against_rings([*good, *bad]) == sorted(bad)


def test_code_is_counted_without_words(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(
        '"""Words.\n\nMore."""\n\n# why\nx = 1  # here\n\n\ndef f():\n    """Words."""\n    return """a\nb"""\n'
    )
    assert code_lines(path) == 4
