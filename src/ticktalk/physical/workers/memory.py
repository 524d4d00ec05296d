"""The memory of worker processes: one that takes too much is ended. Looked at off the thread that keeps time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ticktalk.errors import TTRuntimeError
from ticktalk.physical.system import own_memory
from ticktalk.physical.workers.channels import ProcessChannel

PERIOD = 0.1
"""Seconds between two looks. A body can take much within it: so the limit holds to that, not to the byte."""

LEAST = 50_000_000
"""Bytes that a limit leaves a worker process at least: about 30 MB are its own before it has loaded a program."""


def problem(limit: int, workers: int) -> str:
    """The reason that workers cannot have this limit (bytes; 0: none), and what to do; empty: they can."""
    if not limit:
        return ""
    if not workers:
        return "it is for worker processes, and with --workers 0 there are none: give one of the two"
    if limit < LEAST:
        return (
            f"{limit:,} bytes are too few: a worker process takes about 30 MB before it has loaded a program; give"
            f" {LEAST / 1e6:g}MB or more"
        )
    return ""


def check_workers(workers: int, limit: int) -> None:
    """See that there can be such workers, and that they can have this limit.

    Raises:
        ValueError: `workers` is none of 0, 1 and 2.
        TTRuntimeError: they cannot have the limit; the message says why.
    """
    if workers not in (0, 1, 2):
        raise ValueError(
            f"workers is {workers!r}: 1 (all bodies but harmless ones are in a worker), 2 (all) or 0 (none)"
        )
    if why := problem(limit, workers):
        raise TTRuntimeError(f"worker_memory={limit}: {why}")


class MemoryLimit:
    """Ends each worker process that takes more memory of its own than it may; it is replaced as one that died.

    Memory that several processes share, such as that of long values, does not count.

    Args:
        limit: bytes for each process.
        processes: gives the ways to them; called in a thread of its own.
    """

    def __init__(self, limit: int, processes: Callable[[], list[ProcessChannel]]) -> None:
        self._limit, self._processes = limit, processes
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="ticktalk memory", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(PERIOD):
            for channel in self._processes():
                used = 0 if channel.over else own_memory(channel.process.pid)
                if used > self._limit:
                    most = f"--worker-memory is {self._limit / 1e6:g} MB"
                    channel.over = f"was ended, because it used {used / 1e6:.0f} MB ({most})"
                    channel.process.kill()
