"""The prints of bodies: they go to stderr, marked, so that stdout holds results only."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, TextIO

from ticktalk.engine.components import what_runs
from ticktalk.printable import line, more

LINE = 10_000
"""Characters of a printed line that are shown; of a longer one, how many there were."""


class BodyOutput:
    """Stands in for `sys.stdout` and `sys.stderr`: the prints of bodies go to stderr, each line marked with its SQ.

    Prints outside bodies go where they went before. A stderr that takes nothing more is no error of a body.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO) -> None:
        self._stderr = stderr
        self._begun: dict[str, tuple[str, int]] = {}  # by SQ: the line's text so far, and how much was left out
        self._standing_in = (_Stream(self, stdout), _Stream(self, stderr))

    def printed(self, name: str, text: str) -> None:
        """The body or graph `name` has printed `text`."""
        *ended, rest = text.split("\n")
        begun, left_out = self._begun.pop(name, ("", 0))
        for part in ended:
            self._show(name, *_joined(begun, left_out, part))
            begun, left_out = "", 0
        if rest or begun:
            self._begun[name] = _joined(begun, left_out, rest)

    def flush(self) -> None:
        """Flush whole lines; a begun line waits for its end."""
        try:
            self._stderr.flush()
        except OSError:
            pass

    def close_lines(self) -> None:
        """End the lines that were begun."""
        for name in list(self._begun):
            self._show(name, *self._begun.pop(name))

    def _show(self, name: str, text: str, left_out: int) -> None:
        try:
            self._stderr.write(f"[{name}] {line(text, LINE)}{more(left_out) if left_out else ''}\n")
        except OSError:
            pass  # its reader is gone, or the disk is full: that ends no body

    def __enter__(self) -> BodyOutput:
        self._before = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = self._standing_in
        return self

    def __exit__(self, *error: object) -> None:
        self.close_lines()
        if (sys.stdout, sys.stderr) == self._standing_in:
            sys.stdout, sys.stderr = self._before


class _Stream:
    """Stands in for one stream."""

    def __init__(self, bodies: BodyOutput, stream: TextIO) -> None:
        self._bodies = bodies
        self._stream = stream

    def write(self, text: str) -> int:
        """Mark the prints of a body; pass on all else."""
        current = what_runs()
        if current is None:
            return self._stream.write(text)
        self._bodies.printed(current.name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As `write`, for each."""
        for text in lines:
            self.write(text)

    def flush(self) -> None:
        """Flush whole lines."""
        if what_runs() is None:
            self._stream.flush()
        else:
            self._bodies.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _joined(begun: str, left_out: int, text: str) -> tuple[str, int]:
    room = LINE - len(begun)
    return begun + text[:room], left_out + max(0, len(text) - room)


def keep_bodies_from_stdout() -> BodyOutput | nullcontext[None]:
    """While it is open, the prints of bodies go to stderr (`BodyOutput`), unless another one is open already."""
    if isinstance(sys.stdout, _Stream):
        return nullcontext()
    return BodyOutput(sys.stdout, sys.stderr)
