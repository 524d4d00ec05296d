"""Gathers the problems of one program, so that all of them are reported at once."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from difflib import get_close_matches

from ticktalk.errors import Problem

Place = ast.expr | ast.stmt | ast.keyword | ast.arg | ast.alias


class Problems:
    """The problems found so far in one file: `text`, whose lines are ended by newlines only.

    `found` is where they go, if they go where those of other files go, too.
    """

    def __init__(self, file: str, text: str, found: list[Problem] | None = None) -> None:
        self.file = file
        self.lines = text.split("\n")
        self.found: list[Problem] = [] if found is None else found
        self._seen: set[tuple[int, int, str]] = set()

    def beside(self) -> Problems:
        """The problems of the same file which are kept apart."""
        return Problems(self.file, "\n".join(self.lines))

    def report(self, place: Place, what: str, instead: str = "", harmless: bool = False) -> None:
        """Note a problem at `place`; the same one again (an unrolled loop) is noted once."""
        line = "".join(self.lines[place.lineno - 1 : place.lineno])
        # The syntax tree counts bytes, people count characters.
        column = len(line.encode("utf-8", "surrogatepass")[: place.col_offset].decode("utf-8", "replace")) + 1
        self.report_at(place.lineno, column, what, instead, harmless)

    def report_at(self, line: int, column: int, what: str, instead: str = "", harmless: bool = False) -> None:
        """As `report`, at a line and column that count from 1."""
        if (line, column, what) not in self._seen:
            self._seen.add((line, column, what))
            source = "".join(self.lines[line - 1 : line])
            self.found.append(Problem(self.file, line, column, what, instead, source, harmless))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that is most like `name`, or ""."""
    close = get_close_matches(name, sorted(set(known)), n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`?" if close else ""


def no_such(said: str, name: object, kind: str, known: Iterable[str]) -> str:
    """The message for a name of nothing, such as `there is no ensemble 'x'; did you mean `y`? (joined: y, z)`."""
    names = list(known)
    hint = did_you_mean(str(name), names)
    return f"{said}{f'; {hint}' if hint else ''} ({kind}: {', '.join(names) or 'none'})"
