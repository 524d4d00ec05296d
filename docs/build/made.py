"""Parts of the reference that are made from the code: `<!-- made: NAME -->` on a page stands for `MADE[NAME]()`.

A line in italics below it is for those who read the source of the page.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer.main

import ticktalk
from ticktalk.cli.main import COMMANDS, app_of
from ticktalk.counters import KINDS
from ticktalk.instructions import INSTRUCTIONS, REQUIRED, Instruction

MARK = re.compile(r"<!-- made: (?P<name>\w+) -->(\n_.+_$)?", re.MULTILINE)
ROOT = Path(__file__).resolve().parents[2]


def filled(markdown: str) -> str:
    """A page, with what is made put in."""
    return MARK.sub(lambda mark: MADE[mark["name"]](), markdown)


def counters() -> str:
    """A table of what is counted."""
    rows = [f"| `{kind}` | {meaning} |" for kind, meaning in KINDS.items()]
    return "\n".join(["| counter | counts |", "|---|---|", *rows])


def instructions() -> str:
    """Tables of the instructions: those that are called by name, on values and on tokens, and Python's operators."""
    by_name = [row for row in INSTRUCTIONS.values() if row.by_name]
    called = [row for row in INSTRUCTIONS.values() if row.builtin and not row.by_name and not row.operator]
    others = [row for row in INSTRUCTIONS.values() if not row.by_name and row not in called]
    return "\n\n".join(
        [
            "## On values\n\nThe result holds where the intervals of the inputs meet.",
            _calls(row for row in by_name if not row.on_tokens),
            "## On tokens\n\nThese say themselves in which interval their result holds.",
            _calls(row for row in by_name if row.on_tokens),
            "## Made from Python's syntax\n\nThe compiler makes these. Pictures and logs have their names.",
            "\n".join(
                [
                    "| SQ | is written as |",
                    "|---|---|",
                    *(f"| `{row.name}` | {_cell(row.doc)} |" for row in others),
                ]
            ),
            "Calls of these functions of Python's with an arc are SQs of their names:\n"
            + ", ".join(f"`{row.builtin}` (`{row.name}`)" for row in called)
            + ".",
        ]
    )


def _calls(rows: Any) -> str:
    return "\n".join(
        ["| call | gives |", "|---|---|", *(f"| `{_signature(row)}` | {_cell(row.doc)} |" for row in rows)]
    )


def _signature(row: Instruction) -> str:
    settings = [name if value is REQUIRED else f"{name}={_shown(value)}" for name, value in row.settings.items()]
    return f"{row.name}({', '.join([*row.inputs, *settings])})"


def _shown(value: Any) -> str:
    return "root" if isinstance(value, ticktalk.TTClock) else repr(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def commands() -> str:
    """The commands and their options, as `--help` has them."""
    parts = []
    for name in COMMANDS:
        whole: Any = typer.main.get_command(app_of([name]))
        parts += _commands(whole.commands[name], f"ticktalk {name}")
    return "\n\n".join(parts)


def _commands(command: Any, name: str) -> list[str]:
    context = typer.Context(command, info_name=name)
    if hasattr(command, "commands"):
        parts = [f"## `{name}`\n\n{_prose(command.help)}"]
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                parts += _commands(found, f"{name} {child}")
        return parts
    lines = [f"## `{name}`", "", _prose(command.help), "", "| | |", "|---|---|"]
    for parameter in command.get_params(context):
        row = parameter.get_help_record(context)
        if parameter.param_type_name == "argument":
            row = (parameter.make_metavar(context), getattr(parameter, "help", "") or "")
        if row is not None:
            lines.append(f"| `{_cell(row[0])}` | {_cell(' '.join(row[1].split()))} |")
    return ["\n".join(lines)]


def _prose(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\f", "")


LANGUAGE = {"component", "firing", "metric", "sq_state", "Firing"}
"""Names that the page of the language explains."""


def python() -> str:
    """The public classes and functions, with their docstrings."""
    parts = []
    for name in ticktalk.__all__:
        found = getattr(ticktalk, name)
        if name in LANGUAGE or name.isupper() or name.endswith("ify") or not (inspect.getdoc(found) or ""):
            continue
        if inspect.isclass(found):
            parts.append(_class(name, found))
        elif callable(found):
            parts.append(f"## `{name}`\n\n```text\n{name}{_parameters(found)}\n```\n\n{_doc(found)}")
    return "\n\n".join(parts)


def _class(name: str, found: type) -> str:
    parts = [f"## `{name}`"]
    if issubclass(found, BaseException):
        return f"{parts[0]}\n\n{_doc(found)}"
    if issubclass(found, enum.Enum):
        return f"{parts[0]}\n\n{_doc(found)}\n\n" + ", ".join(f"`{member.name}`" for member in found)
    parts.append(f"```text\n{name}{_parameters(found)}\n```\n\n{_doc(found)}")
    for method, function in vars(found).items():
        if method.startswith("_") or not callable(getattr(found, method)) or not inspect.getdoc(function):
            continue
        parts.append(f"### `{name}.{method}`")
        parts.append(f"```text\n{method}{_parameters(getattr(found, method))}\n```\n\n{_doc(function)}")
    return "\n\n".join(parts)


def _parameters(found: Any) -> str:
    try:
        text = str(inspect.signature(found))
    except (TypeError, ValueError):
        return "(...)"
    text = re.sub(r"'", "", text).replace("ticktalk.", "").replace("typing.", "")
    text = re.sub(r"ForwardRef\(([^()]*)\)", r"\1", text)
    while (simpler := re.sub(r"Annotated\[([^\[\],]+), [^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]", r"\1", text)) != text:
        text = simpler  # bounds are for messages; a reader wants the type
    text = re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "...", text)
    return text.replace("(self, ", "(").replace("(self)", "()")


SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Yields):$")


def _doc(found: Any) -> str:
    """A docstring as Markdown: its sections as lists."""
    lines: list[str] = []
    inside = False
    for line in (inspect.getdoc(found) or "").splitlines():
        section = SECTION.match(line)
        if section:
            inside = True
            lines += ["", f"**{section[1]}**", ""]
        elif inside and line.startswith("    ") and not line.startswith("        "):
            item = re.match(r" {4}(\*{0,2}[\w., ]+): (.*)", line)
            lines.append(f"- `{item[1]}`: {item[2]}" if item else line.strip())
        else:
            inside = inside and (not line or line.startswith(" "))
            lines.append(line.strip() if inside else line)
    return "\n".join(lines)


def changes() -> str:
    """`CHANGELOG.md` without its title, for a page of the reference: its links lead to pages of the site."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n")[2].strip()
    text = re.sub(r"\[([^\]]+)\]\((?!docs/)([\w./]+\.md)\)", r"\1 (`\2`)", text)
    return text.replace("](docs/", "](../")


MADE: dict[str, Callable[[], str]] = {
    "changes": changes,
    "counters": counters,
    "instructions": instructions,
    "commands": commands,
    "python": python,
}
