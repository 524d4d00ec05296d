"""What bodies print: it goes to stderr, so that stdout holds results only."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, TextIO

from ticktalk.engine.components import running, what_runs


class BodyOutput:
    """Stands in for `sys.stdout`: what a body prints goes to stderr, each line marked with the SQ's name.

    What is printed outside bodies goes where it went before.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._begun: dict[str, str] = {}

    def write(self, text: str) -> int:
        """Write to stderr line by line when a body runs, else to stdout."""
        current = what_runs()
        if current is None:
            return self._stdout.write(text)
        name = current.name
        *lines, rest = (self._begun.pop(name, "") + text).split("\n")
        for line in lines:
            self._stderr.write(f"[{name}] {line}\n")
        if rest:
            self._begun[name] = rest
        return len(text)

    def flush(self) -> None:
        """Flush what is whole; a begun line waits for its end."""
        (self._stdout if running.current is None else self._stderr).flush()

    def close_lines(self) -> None:
        """End the lines that were begun."""
        for name, text in self._begun.items():
            self._stderr.write(f"[{name}] {text}\n")
        self._begun.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)

    def __enter__(self) -> BodyOutput:
        self._before = sys.stdout
        sys.stdout = self
        return self

    def __exit__(self, *error: object) -> None:
        self.close_lines()
        sys.stdout = self._before


def keep_bodies_from_stdout() -> BodyOutput | nullcontext[None]:
    """While it is open, what bodies print goes to stderr (`BodyOutput`), unless that is seen to already."""
    if isinstance(sys.stdout, BodyOutput):
        return nullcontext()
    return BodyOutput(sys.stdout, sys.stderr)
