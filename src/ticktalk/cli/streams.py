"""The prints of commands: results on stdout, everything else on stderr, all of it fit to be shown.

If the reader of results goes away, or their disk is full, the command ends with status 1. It is no error of an SQ.
"""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Any

from ticktalk.printable import LogFormatter, block, line


class StdoutGone(Exception):
    """The results have no reader any more: it has ended, the disk is full, or stdout is closed."""

    def __init__(self, error: OSError) -> None:
        quiet = isinstance(error, BrokenPipeError)
        super().__init__("" if quiet else f"error: the results cannot be written to stdout: {error.strerror}")


class _Stdout(io.FileIO):
    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            raise StdoutGone(error) from None


def open_streams() -> None:
    """Open the streams that the process lacks; let stdout end the command when it takes nothing more."""
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # Nothing else may take its number; stdout is opened for reading, so that results are not lost silently.
            os.set_inheritable(os.open(os.devnull, flags), True)
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    terminal = os.isatty(1)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    if sys.stdout is not None:
        sys.stdout.flush()
    raw = io.BufferedWriter(_Stdout(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=terminal)


def give_up_stdout() -> None:
    """Drop the text that still waits for stdout."""
    _give_up(1)


def end_stderr() -> None:
    """Drop the text that still waits for a stderr that takes nothing: Python would end with a status of its own."""
    try:
        sys.stderr.flush()
    except OSError:
        _give_up(2)


def _give_up(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def log_to_stderr() -> None:
    """Have log records shown on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter("%(name)s: %(message)s"))
    # The manager's logger stands at DEBUG; commands tell what happens themselves.
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name != "TTPython.RuntimeManager")
    logging.raiseExceptions = False  # a stderr that takes nothing more is told nothing
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("ticktalk").setLevel(logging.INFO)


def say(text: object) -> None:
    """Tell people something, in one line on stderr."""
    _to_stderr(line(text))


def say_lines(text: object) -> None:
    """Tell people something of several lines."""
    _to_stderr(block(text))


def _to_stderr(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")  # at once: what another thread prints goes before or after the line
        sys.stderr.flush()
    except OSError:
        pass  # its reader is gone, or the disk is full
