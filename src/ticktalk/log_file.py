"""Files to which lines are appended while time is kept: outputs, tracebacks.

Only their user may read them. A full disk holds nothing up and is told once. Unwritten lines are kept up to a bound and
tried again at each flush; lines beyond the bound are counted.
"""

from __future__ import annotations

import atexit
import logging
import os
import stat
import weakref
from typing import Any

from ticktalk.errors import TTError, writing
from ticktalk.printable import line

logger = logging.getLogger("ticktalk")

BATCH = 1 << 16
"""Characters that wait before they are written without a flush."""

KEPT = 1 << 20
"""Characters that are kept while the file takes nothing."""


def check_log(path: Any) -> None:
    """See that a log may be appended to at `path`.

    Raises:
        TTError: it is a pipe: opening one waits for a reader, and writing waits until it reads.
    """
    try:
        piped = stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return  # it is not there yet, or opening it says why not
    if piped:
        raise TTError(f"{path}: the log is a pipe, and its reader could hold up everything: give the name of a file")


def check_target(target: Any) -> None:
    """See that a log may be made of `target`.

    Raises:
        TypeError: it is neither a path nor an open file.
    """
    if not hasattr(target, "write") and not isinstance(target, (str, os.PathLike)):
        raise TypeError(f"a log is the path of a file, or an open text file, not {target!r}")


class LogFile:
    """A file of lines.

    Args:
        target: a path, which is opened here with mode 0600, or an open text file of the user.

    Attributes:
        name: for messages.
        failure: why it takes nothing at present; empty: it does.
        left_out: lines that were given up.

    Raises:
        TTError: it cannot be opened.
        TypeError: it is neither a path nor an open text file.
    """

    def __init__(self, target: Any) -> None:
        check_target(target)
        self._file: Any = None
        self._descriptor = -1
        if hasattr(target, "write"):
            self._file = target
            self.name = str(getattr(target, "name", "the log"))
        else:
            check_log(target)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)  # the last on Windows
            with writing(f"{target}: the log"):
                self._descriptor = os.open(target, flags, 0o600)
            self.name = str(target)
            _opened.add(self)
        self.failure = ""
        self.left_out = 0
        self._lines: list[str] = []
        self._size = 0
        self._rest = b""  # of the text to be written; it may begin within a line

    def write(self, text: str) -> None:
        """Append `text`, one line or several with their ends, now or at the next flush."""
        if self._file is not None:
            self._to_file(text)
            return
        if self.failure and self._size + len(self._rest) >= KEPT:
            self.left_out += 1
            return
        self._lines.append(text)
        self._size += len(text)
        if self._size >= BATCH and not self.failure:
            self.flush()

    def flush(self) -> None:
        """Write all that waits; what cannot be written waits on."""
        try:
            if self._file is not None:
                self._file.flush()
            else:
                self._to_descriptor()
        except Exception as error:  # the user's file may be closed, or raise whatever it does
            self._fails(error)
        else:
            if self.failure:
                self.failure = ""
                logger.warning("%s is written again; %d entries are missing there", line(self.name), self.left_out)

    def _to_descriptor(self) -> None:
        if self._lines:
            self._rest += "".join(self._lines).encode("utf-8", "backslashreplace")
            self._lines.clear()
            self._size = 0
        while self._rest:
            self._rest = self._rest[os.write(self._descriptor, self._rest) :]

    def _to_file(self, text: str) -> None:
        """The user's file keeps waiting lines by itself; while it takes nothing, it is given nothing."""
        if self.failure:
            self.left_out += 1
            return
        try:
            self._file.write(text)
        except Exception as error:
            self.left_out += 1
            self._fails(error)

    def _fails(self, error: Exception) -> None:
        why = getattr(error, "strerror", None) or str(error)
        if not self.failure:
            logger.warning(
                "%s cannot be written: %s; all else goes on, and what cannot be kept until then is counted",
                line(self.name),
                line(why),
            )
        self.failure = why

    @property
    def size(self) -> int:
        """The bytes that are in the file; 0 for an open file of the user."""
        return os.fstat(self._descriptor).st_size if self._descriptor >= 0 else 0

    def lines_from(self, offset: int) -> list[bytes]:
        """The lines from there to the end of a file that was opened here; a piece of one at the end is cut off."""
        if self._descriptor < 0 or self.size <= offset:
            return []
        with open(self.name, "rb") as file:
            file.seek(offset)
            content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._descriptor, offset + whole)
        return content[:whole].splitlines()

    def close(self) -> None:
        """Write what waits, and close the file if it was opened here."""
        self.flush()
        self.left_out += self._rest.count(b"\n") + len(self._lines)
        if self.failure and self.left_out:
            logger.warning("%s: %d entries are missing there: %s", line(self.name), self.left_out, line(self.failure))
        self._rest = b""
        self._lines.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


_opened: weakref.WeakSet[LogFile] = weakref.WeakSet()
"""The files opened here: lines that wait in an unclosed one are written at the end of the process."""


@atexit.register
def _close_opened() -> None:
    for log in list(_opened):
        log.close()
