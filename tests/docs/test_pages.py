"""The documentation: each file, command and session that a page shows is run, and its output compared.

`docs/build/pages.py` says how pages are written.
"""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest
from made import MADE, MARK, filled
from mkdocs.commands.build import build
from mkdocs.config import load_config
from namespaces import possible
from pages import DOCS, ROOT, Runner, blocks, differs, groups, pages
from readme import pictures

from ticktalk.language.call_arguments import ALL_KEYWORDS
from ticktalk.language.function_templates import CONSTRUCTS, DECORATORS

SHOWN = {
    "howto/raspberry-pi.md": ("sh",),  # they need a Raspberry Pi
    "reference/python.md": ("text",),  # signatures
}
"""Blocks that are not run: their languages, by page, with the reason."""

MORE = ("architecture.md", "bounds.md", "guarantees.md", "performance.md", "types.md")
"""Pages that show nothing to run here. Other tests look at what they say."""


@pytest.mark.parametrize("group", [name for name in groups() if f"{name}.md" not in MORE])
def test_a_page_shows_what_happens(group: str, tmp_path: Path) -> None:
    runner = Runner(tmp_path / "files", hosts=possible())
    for page in groups()[group]:
        runner.run(page)


def test_each_block_is_run_or_listed_with_a_reason() -> None:
    for page in pages():
        if str(page) not in MORE:
            shown = {block.language for block in blocks(filled((DOCS / page).read_text("utf-8"))) if not block.runs}
            assert shown == set(SHOWN.get(str(page), ())), page


def test_each_page_is_in_the_navigation() -> None:
    found = {path.relative_to(DOCS) for path in DOCS.rglob("*.md")}
    assert {page for page in found if page.parts[0] != "decisions"} == set(pages())


def test_the_site_is_built_without_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `make docs` builds it, but for the runs of the pages: another test runs them. Pictures stay empty."""

    class Drawn:
        def __init__(self, folder: Path, hosts: bool) -> None:
            self.folder = folder

        def run(self, page: Path) -> None:
            for name in re.findall(r"!\[[^\]]*\]\(([^):]+)\)", (DOCS / page).read_text("utf-8")):
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name).write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")

    monkeypatch.setattr("pages.Runner", Drawn)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"))
    assert config.strict  # so that a warning ends it
    build(config)
    assert (tmp_path / "site" / "tutorial" / "10-watch.html").exists()


def test_the_reference_names_each_construct_and_each_setting() -> None:
    page = (DOCS / "reference" / "language.md").read_text("utf-8")
    assert [name for name in sorted({*DECORATORS, *CONSTRUCTS, *ALL_KEYWORDS}) if name not in page] == []


def test_numbers_say_of_what() -> None:
    assert "--rx-port PORT" in MADE["commands"]() and not re.search(r"<(int|float)", MADE["commands"]())


def test_a_session_that_differs_is_told_and_one_that_does_not_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also under `pytest -v`: `doctest` looks at the words of the command line."""
    monkeypatch.setattr("sys.argv", ["pytest", "-v"])
    page = tmp_path / "page.md"
    page.write_text("```pycon\n>>> 1 + 1\n2\n```\n")
    Runner(tmp_path / "files").run(page)
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match="the Python session differs"):
        Runner(tmp_path / "others").run(page)


def test_lists_made_from_the_code_have_a_place() -> None:
    marks = [mark["name"] for page in pages() for mark in MARK.finditer((DOCS / page).read_text("utf-8"))]
    assert sorted(marks) == sorted(MADE)


def test_the_unit_of_the_how_to_starts_a_command_that_there_is() -> None:
    page = (DOCS / "howto" / "raspberry-pi.md").read_text("utf-8")
    (unit,) = [block for block in blocks(page) if block.title == "ticktalk.service"]
    parsed = configparser.ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.text)
    words = parsed["Service"]["ExecStart"].split()
    options = {word for word in words if word.startswith("--")}
    assert words[1] == "ensemble" and all(f"`{option} " in MADE["commands"]() for option in options)


def test_an_option_that_takes_text_says_of_what_kind() -> None:
    assert "--until DURATION" in MADE["commands"]() and "<str>" not in MADE["commands"]()


@pytest.mark.parametrize(
    ("wanted", "got", "same"),
    [
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["a", "c"], False),
        (["a"], ["a", "b"], False),
        (["...", "b"], ["x", "y", "b"], True),
        (["...", "b"], ["b"], True),
        (["...", "b"], ["b", "c"], False),
        (["took … s"], ["took 5 s"], True),
        (["took … s"], ["took 5 min"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_shown_lines_are_compared_whole(wanted: list[str], got: list[str], same: bool) -> None:
    assert (differs(wanted, got) is None) == same


def test_the_readme_shows_what_happens(tmp_path: Path) -> None:
    Runner(tmp_path / "files").run(Path("..") / "README.md")


def test_the_program_of_the_readme_is_an_example() -> None:
    (program,) = [each for each in blocks((ROOT / "README.md").read_text("utf-8")) if each.title == "crossing.py"]
    example = (ROOT / "examples" / "crossing.py").read_text("utf-8")
    assert ast.dump(ast.parse(program.text)) == ast.dump(ast.Module(ast.parse(example).body[1:], []))
    assert len([line for line in program.lines if line]) <= 25


def test_the_pictures_of_the_readme_are_those_of_a_run() -> None:
    """`python docs/build/readme.py` draws them anew."""
    for name, svg in pictures().items():
        assert (DOCS / "pictures" / name).read_text("utf-8") == svg


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) < 150
