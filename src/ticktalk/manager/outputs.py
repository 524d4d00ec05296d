"""Outputs: the tokens that come back to the manager, and how they read as JSON lines.

What JSON cannot hold exactly is `"repr"` in place of `"value"`; sets are sorted, addresses left out, so that a
simulated run prints the same bytes every time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from ticktalk.json_text import json_line
from ticktalk.payloads import OutputToken


class OutputLog:
    """Takes output tokens: appends them to a file, one JSON object a line, and tells those who listen.

    Args:
        log_file: a path, an open text file, or None for no file.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, log_file: Any = None) -> None:
        self._file: TextIO | None = None
        self._own = False
        if log_file is not None:
            if hasattr(log_file, "write"):
                self._file = log_file
            else:
                self._file = open(log_file, "a", encoding="utf-8")  # noqa: SIM115  closed by close()
                self._own = True
        self.listeners: list[Callable[[OutputToken], None]] = []
        self.count = 0

    def add(self, token: OutputToken) -> None:
        """Take one token, in the order of arrival."""
        self.count += 1
        if self._file is not None:
            self._file.write(json_line(token.log_row()) + "\n")
        for listener in self.listeners:
            listener(token)

    def flush(self) -> None:
        """Bring what was written to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._file is not None:
            self._file.flush()
            if self._own:
                self._file.close()
                self._file = None
