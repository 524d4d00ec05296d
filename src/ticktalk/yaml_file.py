"""Reading YAML files that people write: all mistakes are reported at once, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import yaml

from ticktalk.durations import UNITS
from ticktalk.errors import TTError
from ticktalk.input_file import read_bytes
from ticktalk.ranges import FARTHEST, REACH
from ticktalk.source_problems import did_you_mean

LARGEST = 2**40
"""Microseconds of what a mapping is computed of, bytes (times a thousand): more would overflow a solver."""

SIZES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
SIZES |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}

MOST_NESTED = 100
"""Nodes in nodes: for thousands of them, LibYAML before 0.2.6 overflows the stack, which ends the process."""

T = TypeVar("T")


class _Bounded:
    """A loader that refuses what is nested too deeply; nothing here asks for the resolvers by path that it replaces."""

    depth = 0

    def descend_resolver(self, current_node: object, current_index: object) -> None:
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise RecursionError

    def ascend_resolver(self) -> None:
        self.depth -= 1


class PlainLoader(_Bounded, yaml.SafeLoader):  # type: ignore[misc]
    """Says what is wrong better than the fast one."""


class FastLoader(_Bounded, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads twice as fast, where PyYAML came with it."""


def read_text(path: str | Path, what: str) -> str:
    """The text of a file; `what` names its kind in messages.

    Raises:
        TTError: it cannot be read, or is no UTF-8 text.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except OSError as error:
        raise TTError(f"{path}: the {what} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise TTError.at(path, (line, "not UTF-8 text")) from None


class YamlFile:
    """Walks YAML nodes and gathers mistakes by line; an erroneous entry is left out and reading goes on.

    Args:
        file: its name, for messages.
        what: its kind, such as "deployment file".
    """

    def __init__(self, file: str, what: str) -> None:
        self.file = file
        self.what = what
        self.mistakes: set[tuple[int, str]] = set()

    def compose(self, text: str) -> yaml.Node | None:
        """The root node of the file's text; None of an empty one.

        Raises:
            TTError: it is not YAML.
        """
        try:
            return yaml.compose(text, Loader=FastLoader)
        except (yaml.YAMLError, RecursionError):
            pass
        try:
            return yaml.compose(text, Loader=PlainLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else 1
            raise TTError.at(self.file, (line, f"not YAML: {error.problem or error.context}")) from None
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1
            raise TTError.at(self.file, (line, f"not YAML: {error.reason}")) from None
        except RecursionError:
            raise TTError.at(self.file, (1, f"not a {self.what}: nested too deeply")) from None

    def check(self) -> None:
        """Tell of the mistakes.

        Raises:
            TTError: there are some: a line for each.
        """
        if self.mistakes:
            raise TTError.at(self.file, *sorted(self.mistakes))

    # The content of the file.

    def wrong(self, node: yaml.Node, what: str, hint: str = "") -> None:
        self.mistakes.add((node.start_mark.line + 1, f"{what}; {hint}" if hint else what))

    def fields(self, node: yaml.Node, what: str, known: tuple[str, ...]) -> dict[str, yaml.Node]:
        found: dict[str, yaml.Node] = {}
        for key, name, value in self.pairs(node, what, " with " + ", ".join(known)):
            if name in known:
                found[name] = value
            else:
                hint = did_you_mean(name, known) or "it has " + ", ".join(known)
                self.wrong(key, f"{what} has no key {name!r}", hint)
        return found

    def pairs(self, node: yaml.Node, what: str, such: str = "") -> list[tuple[yaml.Node, str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} is a mapping `key: value`{such}, not {kind_of(node)}")
            return []
        found: dict[str, tuple[yaml.Node, str, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.wrong(key, f"a key is text, not {kind_of(key)}")
            elif key.value in found:
                self.wrong(key, f"key {key.value!r} is there twice in {what}")
            else:
                found[key.value] = (key, key.value, value)
        return list(found.values())

    def sequence(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.wrong(node, f"`{what}` is a list, each entry with a `-`, not {kind_of(node)}")
        return []

    def names(self, node: yaml.Node, what: str, check: Callable[[str], str]) -> list[str]:
        if not isinstance(node, yaml.SequenceNode):
            self.wrong(node, f"`{what}` is a list such as [a, b], not {kind_of(node)}")
            return []
        return [name for entry in node.value if (name := self.name(entry, what, check)) is not None]

    def name(self, node: yaml.Node, what: str, check: Callable[[str], str]) -> str | None:
        """A name as `check` gives it; None, if it raises `ValueError`."""
        text = self.text(node, what)
        try:
            return None if text is None else check(text)
        except ValueError as error:
            self.wrong(node, str(error))
            return None

    def text(self, node: yaml.Node, what: str) -> str | None:
        if not isinstance(node, yaml.ScalarNode) or not node.value:
            self.wrong(node, f"`{what}` wants a value, not {kind_of(node)}")
            return None
        return str(node.value)

    def of(self, found: dict[str, yaml.Node], key: str, read: Callable[[str], T | str], otherwise: T) -> T:
        """The value at `key`; `read` gives the value, or a text that says why it is wrong."""
        if key not in found:
            return otherwise
        text = self.text(found[key], key)
        if text is None:
            return otherwise
        value = read(text.strip())
        if isinstance(value, str):
            self.wrong(found[key], f"`{key}: {text}`: {value}")
            return otherwise
        return value

    # Readers of values: they give the value, or a text that says why it is wrong.

    @staticmethod
    def duration(text: str) -> int | str:
        if number(text) == 0:
            return 0
        found = with_unit(text, UNITS)
        if found is None:
            return "a duration is a number and a unit (us, ms, s, min, h), such as 20ms"
        if found.denominator != 1:
            return "no whole number of microseconds, the unit of the root clock"
        return int(found) if found <= FARTHEST else f"too long: {REACH}"

    @staticmethod
    def computed_duration(text: str) -> int | str:
        """A duration of which a mapping is computed: one that a solver can add up."""
        found = YamlFile.duration(text)
        too_long = isinstance(found, int) and found > LARGEST
        return f"too long: {LARGEST // UNITS['h']}h at most, that mappings can be computed of it" if too_long else found


def kind_of(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return repr(node.value) if node.value else "nothing"


def number(text: str) -> Fraction | None:
    return Fraction(text) if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18}", text) else None


def with_unit(text: str, units: dict[str, int] | dict[str, Fraction]) -> Fraction | None:
    match = re.fullmatch(r"([0-9.]+)\s*([A-Za-z/]+)", text)
    found = number(match[1]) if match else None
    if match is None or found is None or match[2] not in units:
        return None
    return found * units[match[2]]


def size(text: str) -> int | str:
    """The bytes of a size such as `20kB`; or why it is none."""
    found = number(text)
    if found is None:
        found = with_unit(text, SIZES)
    if found is None:
        return "a size is a number and a unit (B, kB, MB, GB, KiB, MiB, GiB), such as 20kB"
    if found.denominator != 1:
        return "no whole number of bytes"
    return int(found) if found <= LARGEST * 1000 else "more than anything that is meant"
