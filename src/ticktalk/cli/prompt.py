"""The line that a user types at a terminal: with history and completion, and whole whatever is printed meanwhile.

While a line is typed, stdout of this process prints above it. So does stderr, also that of worker processes and native
code: descriptor 2 is a pipe meanwhile, and a thread shows its text.
"""

from __future__ import annotations

import codecs
import io
import os
import queue
import signal
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from ticktalk.physical.process_end import FLUSHES
from ticktalk.printable import block

AT_ONCE = 1 << 16
"""Bytes of stderr that are read at a time."""

DRAINS = 1.0
"""Seconds that an end waits for the last line to be left, and for the last text on stderr."""

LOOK = 0.05
"""Seconds after which a print looks whether there still is a line to print above."""

MOST_LINES = 1_000
"""Lines of earlier consoles that are kept, at least; when there are twice as many, the older ones go."""

FILE = object()
"""Stands among the words that may follow for the name of a file."""

Words = Callable[[Sequence[str]], Iterable[object]]
"""Gives the words that may follow those typed so far; `FILE` among them stands for files."""


class Prompt:
    """Asks for lines at the terminal. A context manager; within it all prints go above the typed line.

    Args:
        text: what stands before the line.
        words: which words are completed.
    """

    def __init__(self, text: str, words: Words) -> None:
        self._text = text
        self._session: PromptSession[str] = PromptSession(
            history=_history(), completer=_Completer(words), complete_while_typing=False
        )
        self._above = _Above(self._session)
        self._stdout = sys.stdout
        self._stderr = -1  # a copy of descriptor 2 as it was; -1: that is no terminal, and left as it is
        self._mark = os.urandom(8).hex()
        self._drained = threading.Event()
        self._left = False
        self._idle = threading.Event()  # no line is asked for
        self._idle.set()
        self._modes: list[Any] | None = None  # of the terminal, as they were
        self._changing = threading.Lock()

    def __enter__(self) -> Prompt:
        with suppress(termios.error):
            self._modes = termios.tcgetattr(0)
        self._stdout, sys.stdout = sys.stdout, self._above
        if os.isatty(2):
            sys.stderr.flush()
            self._stderr = os.dup(2)
            end, taken = os.pipe()
            os.dup2(taken, 2)
            os.close(taken)
            threading.Thread(target=self._show, args=(end,), name="ticktalk stderr", daemon=True).start()
        FLUSHES.append(self._finish)
        return self

    def __exit__(self, *error: object) -> None:
        FLUSHES.remove(self._finish)
        self._finish()
        sys.stdout = self._stdout

    def _finish(self) -> None:
        """Print all that was written, and give the terminal and stderr back; what workers still write goes there."""
        self.leave()
        self._idle.wait(DRAINS)
        if self._stderr >= 0:
            sys.stderr.flush()
            os.write(2, f"{self._mark}\n".encode())
            os.dup2(self._stderr, 2)
            self._drained.wait(DRAINS)
        self._above.close()
        if self._modes is not None:
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSANOW, self._modes)

    def ask(self) -> str:
        """The next line. Keys that are typed before it is asked for are shown then, and not by the terminal.

        Raises:
            EOFError: there are no more, or `leave` was called.
        """
        with self._changing:
            if self._left:
                raise EOFError
            self._idle.clear()
            _echo(True)  # the session leaves the terminal as it finds it
        try:
            return self._session.prompt(self._text, pre_run=self._end_if_left)
        except KeyboardInterrupt:
            os.kill(os.getpid(), signal.SIGINT)  # the terminal made a key of it
            raise EOFError from None
        finally:
            with self._changing:
                if not self._left:
                    _echo(False)
            self._idle.set()

    def leave(self) -> None:
        """Have `ask` end, from another thread."""
        with self._changing:
            self._left = True
        loop = self._session.app.loop
        if loop is not None:
            with suppress(RuntimeError):  # the line has just ended, and so has the loop
                loop.call_soon_threadsafe(self._end_if_left)

    def _end_if_left(self) -> None:
        app = self._session.app
        if self._left and app.is_running and not app.is_done:
            app.exit(exception=EOFError())

    def _show(self, end: int) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        write: Callable[[str], object] = self._above.write
        rest = ""
        while data := os.read(end, AT_ONCE):
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            for line in lines:
                text = line.removesuffix(self._mark)
                if text or not line:
                    write(f"{block(text)}\n")
                if text != line:
                    self._drained.set()
                    write = self._to_stderr

    def _to_stderr(self, text: str) -> None:
        with suppress(OSError):
            os.write(self._stderr, text.encode())


class _Above(io.TextIOBase):
    """Text that is printed above the line of a session, by a thread of its own; whole lines at a time.

    Each print draws the line anew, in some milliseconds. So what has come meanwhile is printed at once.
    """

    def __init__(self, session: PromptSession[str]) -> None:
        self._session = session
        self._output = session.app.output
        self._texts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._begun = ""
        self._printing = threading.Lock()
        self._thread = threading.Thread(target=self._print, name="ticktalk prints", daemon=True)
        self._thread.start()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._lock:
            lines, end, self._begun = (self._begun + text).rpartition("\n")
            if end:
                self._texts.put(lines + end)
        return len(text)

    def close(self) -> None:
        """Print all that was written, and end."""
        if not self.closed:
            self._texts.put(self._begun)
            self._texts.put(None)
            self._thread.join()
            super().close()

    def _print(self) -> None:
        ended = False
        while not ended:
            texts = [self._texts.get()]
            while not self._texts.empty():
                texts.append(self._texts.get())
            ended = None in texts
            text = "".join(each for each in texts if each is not None)
            if not text:
                continue
            app, printed = self._session.app, threading.Event()

            def print_text(text: str = text, printed: threading.Event = printed) -> None:
                with self._printing:
                    if not printed.is_set():
                        # A line that begins now makes the terminal raw: "\n" alone does not go back to the left.
                        self._output.write_raw(text.replace("\n", "\r\n"))
                        self._output.flush()
                        printed.set()

            while not printed.is_set():
                loop = app.loop
                if loop is None:
                    print_text()  # no line is typed
                    break
                with suppress(RuntimeError):  # the line has just ended, and so has the loop
                    loop.call_soon_threadsafe(run_in_terminal, print_text)
                while not printed.wait(LOOK) and app.loop is loop:
                    pass


class _Completer(Completer):
    def __init__(self, words: Words) -> None:
        self._words = words
        self._files = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        typed = document.text_before_cursor.split(" ")
        begun = typed[-1]
        for word in self._words([each for each in typed[:-1] if each]):
            if word is FILE:
                yield from self._files.get_completions(Document(begun), complete_event)
            elif str(word).startswith(begun):
                yield Completion(str(word), -len(begun))


class _Lines(FileHistory):
    """Lines in a file. A line that the disk does not take is known to this console only."""

    def store_string(self, string: str) -> None:
        with suppress(OSError):
            super().store_string(string)


def _echo(shown: bool) -> None:
    """Have the terminal show what is typed, or not."""
    with suppress(termios.error):
        modes = termios.tcgetattr(0)
        modes[3] = modes[3] | termios.ECHO if shown else modes[3] & ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, modes)


def _history() -> History:
    """The lines of earlier consoles, in a file of this user; only of this one where there can be none."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "ticktalk"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "console"
        file.touch(0o600)
        _shorten(file)
    except (OSError, RuntimeError):
        return InMemoryHistory()
    return _Lines(str(file))


def _shorten(file: Path) -> None:
    """Leave the last lines in a file of many. Each begins with a date behind `#`; `+` is before what was typed."""
    _, *lines = file.read_bytes().split(b"\n# ")
    if len(lines) <= 2 * MOST_LINES:
        return
    descriptor, shorter = tempfile.mkstemp(dir=file.parent)  # readable for this user only
    try:
        with open(descriptor, "wb") as written:
            written.writelines(b"\n# " + line for line in lines[-MOST_LINES:])
        os.replace(shorter, file)
    finally:
        Path(shorter).unlink(missing_ok=True)  # it is still there if the disk is full
