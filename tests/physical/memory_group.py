"""A group of processes whose memory can be limited (cgroup), and a process in it that takes all that is left.

    python memory_group.py PROCS USAGE LIMIT VICTIM BOUND NONE

That process enters the group of the file PROCS. It takes memory until USAGE is almost LIMIT, so the kernel kills it
when another one wants some; then it begins anew. Or, if the kernel is to kill VICTIM, it takes more until that has
happened, and then writes NONE into BOUND, so that the kernel kills no other one. It never takes more than `MOST`,
should the limit not hold.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")

LEFT = 8 << 20
"""Bytes that processes of a group may still take while its memory is short."""

TAKES = 1 << 18
"""Bytes that are taken at a time."""

MOST = 256 << 20
"""Bytes that are taken at most."""


class MemoryGroup:
    """A group of processes.

    Raises:
        OSError: none can be made here; the message says why.
    """

    def __init__(self, name: str) -> None:
        first = (ROOT / "memory").is_dir()  # version 1 of cgroups
        if not first and "memory" not in (ROOT / "cgroup.controllers").read_text().split():
            raise OSError("no controller of memory")
        if not first:
            (ROOT / "cgroup.subtree_control").write_text("+memory")
        self.folder = (ROOT / "memory" if first else ROOT) / name
        self.folder.mkdir()
        self._limit = self.folder / ("memory.limit_in_bytes" if first else "memory.max")
        self._usage = self.folder / ("memory.usage_in_bytes" if first else "memory.current")
        self._none = "-1" if first else "max"
        self._taker: subprocess.Popen[bytes] | None = None
        if not self._limit.exists():
            self.folder.rmdir()
            raise OSError(f"{self._limit} is missing")

    def add(self, pid: int) -> None:
        """Let a process, and those that it starts, belong to the group."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def take(self, victim: int = 0) -> None:
        """Have a process take all that is left; for that the kernel kills `victim`, or (0) that process."""
        if victim:
            Path(f"/proc/{victim}/oom_score_adj").write_text("1000")
        limit = int(self._usage.read_text()) + LEFT
        self._limit.write_text(str(limit))
        files = [str(self.folder / "cgroup.procs"), str(self._usage)]
        command = [sys.executable, "-S", __file__, *files, str(limit), str(victim), str(self._limit), self._none]
        self._taker = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

    def give(self) -> None:
        """There is memory again."""
        if self._taker is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._taker.pid, signal.SIGKILL)
            self._taker.wait()
            self._taker = None
        self._limit.write_text(self._none)

    def end(self) -> None:
        """Remove the group; its processes have ended."""
        with suppress(OSError):
            self.folder.rmdir()


def alive(pid: int) -> bool:
    """Whether a process is there, and has not just been killed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def take(usage: Path, limit: int, victim: int) -> None:
    """Take memory until this process, or the victim, is killed."""
    taken = []
    while not victim or alive(victim):
        if len(taken) * TAKES < MOST and (victim or int(usage.read_text()) + 2 * TAKES < limit):
            taken.append(bytearray(TAKES))
        else:
            time.sleep(0.001)


if __name__ == "__main__":
    procs, usage, limit, victim = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if not victim:
        Path("/proc/self/oom_score_adj").write_text("1000")
    while True:
        child = os.fork()  # the parent takes nothing, and stays
        if not child:
            procs.write_text(str(os.getpid()))
            take(usage, limit, victim)
            os._exit(0)
        os.waitpid(child, 0)
        if victim:
            Path(sys.argv[5]).write_text(sys.argv[6])
            break
