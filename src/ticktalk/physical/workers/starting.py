"""The start of a worker process: as an interpreter of its own, or as the spare one that was forked for this process.

An interpreter that loads what a worker needs takes a fifth of a second of processor time. A fork of a process that has
loaded it takes milliseconds. It is made before there are threads: a lock that another thread holds stays locked in a
fork for ever.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Protocol

from ticktalk.physical.system import threads
from ticktalk.physical.workers.process import serve

POLL = 0.001
"""Seconds between two looks whether a forked process has ended."""

BUFFER = 1 << 20
"""Bytes that may be under way to a worker, and as many back: what there is no room for waits with its sender."""


class StartedProcess(Protocol):
    """A worker process, as `subprocess.Popen` has it; `returncode` is None until its end was seen."""

    pid: int
    returncode: int | None

    def kill(self) -> None:
        """End it at once."""

    def poll(self) -> int | None:
        """Its status, if it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end: its status.

        Raises:
            subprocess.TimeoutExpired: it has not ended within so many seconds.
        """


class _Forked:
    """A process that was forked here."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._polling = threading.Lock()

    def kill(self) -> None:
        with self._polling:
            if self.returncode is None:  # until then nobody else has its number
                os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        with self._polling:  # its status is there once
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = math.inf if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if timeout is not None and time.monotonic() >= until:
                raise subprocess.TimeoutExpired("a worker", timeout)
            time.sleep(POLL)
        return status


def _pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for side in pair:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    return pair


_spare: list[tuple[socket.socket, _Forked]] = []  # at most one


def keep_spare() -> None:
    """Fork a worker for the first ensemble of this process that needs one; it ends with this process.

    Called by a process that has loaded nothing of a user's yet: a worker loads that anew. With more than one thread
    there is no spare worker, nor where that is not known.
    """
    if threads() != 1:
        return
    ours, theirs = _pair()
    pid = os.fork()
    if pid:
        theirs.close()
        _spare.append((ours, _Forked(pid)))
        return
    try:
        ours.close()
        gc.freeze()  # to look through what is shared with the other process would copy it
        serve(theirs)
    finally:
        os._exit(1)


def start(prints: int) -> tuple[socket.socket, StartedProcess]:
    """A worker process that waits for its settings (`process.send_settings`), and the socket to it.

    Args:
        prints: the descriptor to which an interpreter that cannot start writes why.

    Raises:
        OSError: it cannot be started.
    """
    if _spare:
        return _spare.pop()
    ours, theirs = _pair()
    with theirs:
        try:
            command = [sys.executable, "-P", "-m", "ticktalk.physical.workers.process", str(theirs.fileno())]
            process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=prints, stderr=prints
            )
        except OSError:
            ours.close()
            raise
    return ours, process
