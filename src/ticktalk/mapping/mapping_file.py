"""The mapping file: which ensemble hosts which SQ, made beforehand. JSON, as `ticktalk map -o` writes it, or by hand:

    {"look-1": "edge", "fuse-1": "rsu"}

In a file of `ticktalk map` that object is under `mapping`; other keys are ignored. A mapping is for one version of a
graph: SQs are numbered in source order, so after an edit `fuse-1` may be another use of `fuse`. An SQ that the graph
does not have is therefore a mistake, as is an SQ left out. All mistakes are reported at once, each on a line that
begins with FILE:LINE.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ticktalk.errors import TTError, TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.ensembles import EnsembleInfo, check_ensemble_name
from ticktalk.mapping.mapper import TTMapper
from ticktalk.yaml_file import read_text

_SPACE = re.compile(r"[ \t\n\r]*")
_decoder = json.JSONDecoder()


class MappingFile(NamedTuple):
    """A mapping file that was read.

    Attributes:
        file: its name, for messages.
        mapping: SQ name to ensemble name.
        lines: the line of each SQ.
        line: the line at which the mapping begins.
    """

    file: str
    mapping: dict[str, str]
    lines: dict[str, int] = {}
    line: int = 1

    def check(
        self, graph: TTGraph, ensembles: Sequence[EnsembleInfo], absent: str, needs: Mapping[str, int] | None = None
    ) -> dict[str, str]:
        """The mapping, if it holds for this graph and these ensembles.

        Args:
            graph: the graph.
            ensembles: the possible hosts.
            absent: why any other ensemble cannot host, such as "has not joined".
            needs: function to the bytes of memory that an SQ of it takes; left out: none.

        Raises:
            TTMappingError: an SQ is not mapped, not in the graph, or mapped where it must not be; a line for each.
        """
        problems = TTMapper(ensembles, absent).problems(graph, self.mapping)
        mistakes = sorted((self.lines.get(sq, self.line), f"{sq}: {what}") for sq, what in problems)
        for ensemble in ensembles if needs else ():
            here = [sq for sq in graph.sqs if self.mapping.get(sq.name) == ensemble.name]
            need = sum((needs or {}).get(sq.function, 0) for sq in here)
            if need > ensemble.memory > 0:
                what = f"{ensemble.name!r} has {ensemble.memory} bytes of memory, but its SQs need {need}"
                mistakes.append((self.line, what))
        if mistakes:
            raise TTMappingError.at(self.file, *mistakes)
        return {sq.name: self.mapping[sq.name] for sq in graph.sqs}


def read_mapping(path: str | Path) -> MappingFile:
    """Read a mapping file.

    Raises:
        TTError: it cannot be read, or is no mapping: a line for each mistake.
    """
    return parse_mapping(read_text(path, "mapping file"), str(path))


def parse_mapping(text: str, file: str = "mapping") -> MappingFile:
    """As `read_mapping`, of the file's text; `file` is its name for messages."""
    such = 'a mapping is an object such as {"fuse-1": "rsu"}'
    if not text.strip():
        raise TTError.at(file, (1, f"the file is empty: {such}"))
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        raise TTError.at(file, (error.lineno, f"not JSON: {error.msg} (column {error.colno})")) from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets in brackets
        raise TTError.at(file, (1, f"{such}, not this")) from None
    at = _after_space(text, 0)
    if not isinstance(whole, dict):
        raise TTError.at(file, (_line(text, at), f"{such}, not {_kind(whole)}"))
    mistakes: list[tuple[int, str]] = []
    if isinstance(whole.get("mapping"), dict):
        places = [(key_at, value_at) for key, key_at, value_at, _ in _members(text, at) if key == "mapping"]
        mistakes += [(_line(text, key_at), "`mapping` is there twice") for key_at, _ in places[1:]]
        at = next(value_at for _, value_at in reversed(places) if text[value_at] == "{")
    mapping: dict[str, str] = {}
    lines: dict[str, int] = {}
    line, counted = _line(text, at), at
    begins = line
    for sq, key_at, _, host in _members(text, at):
        line += text.count("\n", counted, key_at)
        counted = key_at
        if sq in lines:
            mistakes.append((line, f"{sq}: is there twice, first on line {lines[sq]}"))
            continue
        lines[sq] = line
        if not isinstance(host, str):
            mistakes.append((line, f'{sq}: an ensemble is named by a text such as "rsu", not {_kind(host)}'))
            continue
        try:
            mapping[sq] = check_ensemble_name(host)
        except ValueError as error:
            mistakes.append((line, f"{sq}: {error}"))
    if mistakes:
        raise TTError.at(file, *sorted(mistakes))
    return MappingFile(file, mapping, lines, begins)


def _members(text: str, at: int) -> Iterator[tuple[str, int, int, Any]]:
    """The members of the object that begins at `at` of valid JSON: key, where it is, where its value is, the value.

    The decoder of the standard library keeps the last of two equal keys, and no places.
    """
    at = _after_space(text, at + 1)
    while text[at] != "}":
        key, after = _decoder.raw_decode(text, at)
        value_at = _after_space(text, _after_space(text, after) + 1)  # behind the colon
        value, end = _decoder.raw_decode(text, value_at)
        yield key, at, value_at, value
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return json.dumps(value)[:40]
