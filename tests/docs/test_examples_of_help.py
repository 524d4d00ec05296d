"""The help of each command shows an example: one that the documentation runs, or one that the command understands."""

from __future__ import annotations

from typing import Any

import pages
import pytest
import typer

from commands import ticktalk
from ticktalk.cli.main import COMMANDS, EXAMPLES, app_of

NEED_A_SYSTEM = {"start", "stop", "drain", "set", "status", "echo", "rate", "top", "doctor", "new"}
"""Commands that no page runs: tests of them do (`tests/physical`, `tests/cli`), with words of their own."""


def documented() -> set[str]:
    """The commands that pages run."""
    found = set()
    for page in [*pages.DOCS.rglob("*.md"), pages.ROOT / "README.md"]:
        for block in pages.blocks(page.read_text("utf-8")):
            if block.language == "console":
                found |= {command.text for command in pages.commands(block)}
    return found


def test_each_command_has_an_example() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()
    assert {name for name, example in EXAMPLES.items() if f"ticktalk {example}" not in documented()} == NEED_A_SYSTEM


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_command_understands_its_example(name: str) -> None:
    command: Any = typer.main.get_command(app_of([name]))
    rest = EXAMPLES[name].split()
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    assert command.make_context(name, rest).params


def test_the_help_shows_it() -> None:
    assert f"For example:  ticktalk {EXAMPLES['set']}" in ticktalk("set", "--help").stdout
