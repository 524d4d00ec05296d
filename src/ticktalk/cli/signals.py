"""Ctrl-C: the first asks for an orderly end, the second ends at once."""

from __future__ import annotations

import _thread
import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

END_LIMIT = 30.0
"""Seconds that an orderly end may take."""

INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

STOPPING = b"stopping; press Ctrl-C again to end at once\n"


def on_interrupt(stop: Callable[[], None]) -> None:
    """Call `stop()`, in a thread of its own, at the first SIGINT or SIGTERM.

    A second signal ends the process, and so does an end that takes longer than `END_LIMIT`.
    """
    asked = False
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as long as the process lives

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        # By a thread that needs no interpreter: whatever runs here, the process ends.
        faulthandler.dump_traceback_later(END_LIMIT, exit=True, file=nowhere)
        # The interrupted code may hold the lock of an event that `stop` sets, or of the stream stderr.
        _thread.start_new_thread(stop, ())
        with suppress(OSError):
            os.write(2, STOPPING)

    for interrupt in INTERRUPTS:
        signal.signal(interrupt, handle)


@contextmanager
def until_interrupted() -> Iterator[None]:
    """Do what stands here until Ctrl-C, which ends that and nothing else."""
    # A shell starts background commands with Ctrl-C ignored; the user has to be able to end it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        pass


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """Start processes here: SIGINT and SIGTERM, which may reach a whole group, wait in each until they may come."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker  # few commands start processes

    resource_tracker.ensure_running()  # where it starts it, multiprocessing lets signals come again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_interrupts_come() -> None:
    """Take the signals that have waited since this process began."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, INTERRUPTS)
