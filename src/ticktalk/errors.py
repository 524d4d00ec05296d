"""The errors that users get, and how a problem of a program is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self


class TTError(Exception):
    """A mistake that the user can mend: the message names the fault, its place and the remedy.

    The command line prints it without a traceback and exits with 1.
    """

    placed = False  # whether the message begins each mistake with its file and line

    @classmethod
    def at(cls, file: object, *mistakes: tuple[int, str]) -> Self:
        """An error about lines of a file: each mistake with the number of its line."""
        error = cls("\n".join(f"{file}:{line}: error: {what}" for line, what in mistakes))
        error.placed = True
        return error


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Write a file, named as in `-o FILE: the picture`.

    Raises:
        TTError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise TTError(f"{what} cannot be written: {error.strerror}") from None


class TTWarning(UserWarning):
    """A harmless fault in a program: the message names its place and the remedy."""


class Problem(NamedTuple):
    """One thing that is wrong with a program: `line` counts from 1, `column` from 1; `harmless`: it is a warning."""

    file: str
    line: int
    column: int
    what: str
    instead: str = ""
    source: str = ""
    harmless: bool = False

    def __str__(self) -> str:
        kind = "warning" if self.harmless else "error"
        text = f"{self.file}:{self.line}:{self.column}: {kind}: {self.what}"
        if self.source.strip():
            # Tabs stay tabs, so the caret stands below the character that is meant.
            lead = "".join(c if c == "\t" else " " for c in self.source[: self.column - 1])
            text += f"\n    {self.source.rstrip()}\n    {lead}^"
        if self.instead:
            text += f"\n    {self.instead}"
        return text


class TTSyntaxError(TTError):
    """A program that is not one: `problems` has every problem of each of its files, in the order of the lines."""

    placed = True

    def __init__(self, problems: list[Problem]) -> None:
        files = {problem.file: place for place, problem in reversed(list(enumerate(problems)))}
        self.problems = sorted(problems, key=lambda problem: (files[problem.file], problem.line, problem.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class TTGraphError(TTError):
    """A graph file that cannot be used: altered, truncated, of another version, or no graph at all."""


class TTMappingError(TTError):
    """SQs that no ensemble may host; the message lists each, its constraint and the lacks of each ensemble."""


class TTInputError(TTError):
    """Graph inputs that do not fit the graph; the message lists the graph's inputs."""


class TTRuntimeError(TTError):
    """A request that the runtime refuses, with the reason."""


class InvalidMessageError(TTError):
    """A message with impossible content: it is dropped and counted, and has no other effect.

    Attributes:
        kind: the counter for it (`counters.KINDS`).
    """

    kind = "invalid"


class UntimelyError(InvalidMessageError):
    """A message before its sender or what it names was known here, or after that was gone."""

    kind = "untimely"
