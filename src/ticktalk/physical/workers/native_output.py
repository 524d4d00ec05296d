"""The output of native code and of programs that bodies start: marked and escaped, as the prints of bodies are.

It goes to the descriptors 1 and 2 of a worker, which are a pipe to the process that keeps time. That one shows it, so
it is seen even if the worker ends by it. Python in the worker prints to the stderr of that process itself. Where bodies
run in threads, a small process shows it (`shown_apart`).
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

from ticktalk.hosted.body_output import BodyOutput

logger = logging.getLogger("ticktalk")

AT_ONCE = 1 << 16
"""Bytes that are read at a time."""

ENDS = 2
"""Seconds for which the end of the process that shows the output is waited for."""


class NativeOutput:
    """The output of one worker process.

    Args:
        ensemble: the name of its ensemble, for the mark.

    Attributes:
        taken: the descriptor to which native code of the worker is to write.
        shown: the descriptor to which Python in the worker prints.
    """

    def __init__(self, ensemble: str) -> None:
        self._mark = f"{ensemble}: native code"
        try:
            self.shown = os.dup(2)
        except OSError:  # it is closed
            self.shown = os.open(os.devnull, os.O_WRONLY)
        try:
            self._end, self.taken = os.pipe()
        except OSError:
            os.close(self.shown)
            raise

    def _hand_over(self) -> None:
        os.close(self.taken)
        os.close(self.shown)

    def close(self) -> None:
        """Show nothing: the worker could not be started."""
        self._hand_over()
        os.close(self._end)

    def begin(self) -> None:
        """Show what comes from now on, in a thread of its own; the worker has its descriptors."""
        self._hand_over()
        threading.Thread(target=self._show, name="ticktalk native output", daemon=True).start()

    def _show(self) -> None:
        show(self._end, self._mark)


def show(descriptor: int, mark: str) -> None:
    """Show what comes from a pipe, until its end."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    output = None if sys.stderr is None else BodyOutput(sys.stderr, sys.stderr)
    with open(descriptor, "rb", buffering=0) as pipe:
        while came := pipe.read(AT_ONCE):
            if output is not None:
                output.printed(mark, decoder.decode(came))
                output.flush()
    if output is not None:
        output.close_lines()


@contextmanager
def shown_apart(ensemble: str, in_threads: bool) -> Iterator[None]:
    """While it is open, a process shows what native code of this one prints; if bodies run in threads, else nothing is.

    The streams of Python go on to where they went. They stay the same objects, for others hold them.
    """
    both = ((sys.stdout, 1), (sys.stderr, 2))
    streams = [(stream, number) for stream, number in both if _is_descriptor(stream, number)]
    if not in_threads or len(streams) < 2:
        yield
        return
    for stream, _ in streams:
        stream.flush()
    try:
        kept, taken, shower = _shower(ensemble, [number for _, number in streams])
    except OSError as error:  # no descriptor, no process is left: bodies run all the same
        logger.warning("what native code prints goes to stdout and stderr as it is: %s", error)
        yield
        return
    for (stream, number), to in zip(streams, kept, strict=True):
        _lead(stream, to)
        os.dup2(taken, number)
    os.close(taken)
    try:
        yield
    finally:
        for (stream, number), to in zip(streams, kept, strict=True):
            with suppress(Exception):  # it takes nothing more, which is told where it is written to
                stream.flush()
            os.dup2(to, number)
            _lead(stream, number)
            os.close(to)
        try:
            shower.wait(ENDS)
        except subprocess.TimeoutExpired:
            pass  # a program that a body started still has its end of the pipe


def _shower(ensemble: str, numbers: list[int]) -> tuple[list[int], int, subprocess.Popen[bytes]]:
    """Copies of some descriptors, a pipe, and the process that shows on stderr what comes through it.

    Raises:
        OSError: one of them cannot be made; then there is none of them.
    """
    with ExitStack() as made:

        def closed(descriptor: int) -> int:
            made.callback(os.close, descriptor)
            return descriptor

        kept = [closed(os.dup(number)) for number in numbers]
        end, taken = map(closed, os.pipe())
        command = [sys.executable, "-P", "-m", __name__, f"{ensemble}: native code"]
        shower = subprocess.Popen(command, stdin=end, stdout=subprocess.DEVNULL, stderr=kept[1], start_new_session=True)
        made.pop_all()
    os.close(end)
    return kept, taken, shower


def _raw(stream: Any) -> Any:
    """The writer of a stream of Python, below its buffer."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _is_descriptor(stream: Any, number: int) -> bool:
    raw = _raw(stream)
    return isinstance(raw, io.FileIO) and raw.fileno() == number


def _lead(stream: Any, descriptor: int) -> None:
    io.FileIO.__init__(_raw(stream), descriptor, "wb", closefd=False)


def printing_to(descriptor: int) -> TextIO:
    """The stream for the prints of Python in a worker."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace")


if __name__ == "__main__":
    show(0, sys.argv[1])
