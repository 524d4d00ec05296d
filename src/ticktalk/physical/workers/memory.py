"""The memory of worker processes: one that takes too much is ended. Looked at off the thread that keeps time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ticktalk.physical.system import own_memory
from ticktalk.physical.workers.channels import ProcessChannel

PERIOD = 0.1
"""Seconds between two looks. A body can take much within it: so the limit holds to that, not to the byte."""


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
