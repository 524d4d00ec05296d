"""The output of native code and of programs that bodies start: marked and escaped, as the prints of bodies are.

It goes to the descriptors 1 and 2 of a worker, which are a pipe to the process that keeps time. That one shows it, so
it is seen even if the worker ends by it. Python in the worker prints to the stderr of that process itself.
"""

from __future__ import annotations

import codecs
import os
import sys
import threading
from typing import TextIO

from ticktalk.hosted.body_output import BodyOutput

AT_ONCE = 1 << 16
"""Bytes that are read at a time."""


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
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        output = None if sys.stderr is None else BodyOutput(sys.stderr, sys.stderr)
        with open(self._end, "rb", buffering=0) as pipe:
            while came := pipe.read(AT_ONCE):
                if output is not None:
                    output.printed(self._mark, decoder.decode(came))
                    output.flush()
        if output is not None:
            output.close_lines()


def printing_to(descriptor: int) -> TextIO:
    """The stream for the prints of Python in a worker."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
