"""A terminal for tests: of another make (pyte), which shows what a user sees."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

LIMIT = 60.0
"""Seconds in which the screen shows what it is to show."""


class Terminal:
    """A command at a terminal of 200 columns; what has left the screen is kept, too.

    Args:
        folder: where it runs.
        command: its words.
        environment: variables beside those of this process.
    """

    def __init__(self, folder: Path, *command: str, environment: Mapping[str, str] | None = None) -> None:
        self.screen = pyte.HistoryScreen(200, 40, history=10_000)
        self._stream = pyte.ByteStream(self.screen)
        self._lock = threading.Lock()
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        self.modes = termios.tcgetattr(theirs)
        self.theirs = theirs
        # Else it asks the terminal for the place of the cursor, which this one does not tell.
        own = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "XDG_STATE_HOME": str(folder), **(environment or {})}
        inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, start_new_session=True,
            env={**inherited, **own}, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self.ours, 1 << 16):
                with self._lock:
                    self._stream.feed(data)
        except OSError:
            pass  # closed

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    @property
    def lines(self) -> list[str]:
        """All lines so far, without spaces at their ends."""
        with self._lock:
            before = ["".join(line[column].data for column in range(200)) for line in self.screen.history.top]
            return [line.rstrip() for line in [*before, *self.screen.display]]

    @property
    def last(self) -> str:
        """The last line that is not empty."""
        return next((line for line in reversed(self.lines) if line), "")

    def shows(self, text: str) -> None:
        self.until(lambda: any(text in line for line in self.lines), f"{text!r} in a line")

    def ends_with(self, line: str) -> None:
        self.until(lambda: self.last == line, f"{line!r} at the end")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; `what` says which."""
        end = time.monotonic() + LIMIT
        while not condition():
            assert time.monotonic() < end, f"not within {LIMIT} s: {what}; the screen: {self.lines}"
            time.sleep(0.01)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)
