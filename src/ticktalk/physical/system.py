"""The means of this host's system. Devices run on Linux and macOS. A stand-in serves where only Linux has a means.

| on Linux | elsewhere |
|---|---|
| epoll, eventfd | a selector and a pair of sockets (`timekeeping/waiting.py`) |
| timerfd | a condition (`timekeeping/waiting.py`) |
| sealed memory that processes share | long values are sent as short ones are (`memory/arena.py`) |
| a spare worker, ensembles forked from one process | interpreters of their own (`workers/starting.py`) |
| what waits in a worker's socket | only what finds no room there (`workers/channels.py`) |
| the boot's id, the memory of a process from `/proc` | `sysctl`, `ps` (below) |
| short slices of the processor's time (`slices.py`) | the usual ones |
| limits of control groups, capabilities | are not looked at |

With `TICKTALK_PORTABLE=1` they serve on Linux, too. Tests do so.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from pathlib import Path

from ticktalk.errors import TTRuntimeError

try:
    import fcntl
    import resource
    import termios
except ModuleNotFoundError:
    raise TTRuntimeError(
        f"devices and running systems need Linux or macOS, and this is {platform.system()}: here you can compile,"
        " draw, map, simulate and replay; for more use a Linux of its own, such as WSL"
    ) from None

__all__ = ["boot_id", "fcntl", "has_linux", "open_files", "own_memory", "resource", "termios", "threads"]


@functools.cache
def has_linux() -> bool:
    """True if the means that only Linux has are used."""
    return sys.platform == "linux" and not os.environ.get("TICKTALK_PORTABLE")


@functools.cache
def boot_id() -> str:
    """An id that all processes on one running host share; empty where the system has none."""
    if not has_linux():
        return _printed("sysctl", "-n", "kern.bootsessionuuid")
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def open_files() -> int:
    """The number of this process's descriptors."""
    return len(os.listdir("/proc/self/fd" if has_linux() else "/dev/fd"))


def threads() -> int | None:
    """The number of this process's threads, those of native code included; None: the system does not tell."""
    return len(os.listdir("/proc/self/task")) if has_linux() else None


def own_memory(pid: int) -> int:
    """The resident bytes of a process, on Linux without those of files and of others; 0: it has ended."""
    if not has_linux():
        resident = _printed("ps", "-o", "rss=", "-p", str(pid))
        return int(resident) * 1024 if resident.isdecimal() else 0
    try:
        _, pages, shared, *_ = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    except (OSError, ValueError):
        return 0
    return (int(pages) - int(shared)) * resource.getpagesize()


def _printed(*command: str) -> str:
    """The text that a command prints; empty if it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
