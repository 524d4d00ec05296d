"""The interruption of a thread's job: in code of bodies only, never in that of the runtime.

Python raises an error in another thread at one of its next steps. In code of the runtime that could leave a lock taken
for ever. So the thread is *exposed* only while it does its job.
"""

from __future__ import annotations

import ctypes
import threading
import time


class Interruption(SystemExit):
    """Ends a job that nobody waits for any more."""


class Exposure:
    """Says if one thread may be interrupted; called by that thread, but for `hold` and `interrupt`."""

    def __init__(self) -> None:
        self._exposed: list[None] = []  # empty, or one item that a thread takes before it acts
        self._interrupted = False

    def begin(self) -> None:
        """Expose the thread, for a job that it begins."""
        self._interrupted = False
        self.expose()

    def expose(self) -> None:
        """Let the thread be interrupted from here on."""
        self._exposed[:] = (None,)

    def hold(self) -> bool:
        """Let nobody else act until `expose`; False: the thread is not exposed, or somebody else acts."""
        try:
            self._exposed.pop()  # one step of the interpreter, so one of two threads succeeds
        except IndexError:
            return False
        return True

    def interrupt(self, thread: int) -> None:
        """Interrupt the thread; called between `hold` and `expose`."""
        self._interrupted = True
        _raise_in(thread)

    def shield(self) -> None:
        """Let the thread not be interrupted from here on.

        Raises:
            Interruption: it was interrupted. Another error, which may still be under way to it, does not come any more.
        """
        while not self.hold():
            time.sleep(0)  # it is interrupted at this moment
        if self._interrupted:
            _raise_in(threading.get_ident())  # in place of one that has not come
            while True:
                pass


def _raise_in(thread: int) -> None:
    """Have `Interruption` raised in a thread, at one of its next steps in Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Interruption))
