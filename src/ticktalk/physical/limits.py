"""The limits of this process and its host: what is too low is said at the start, with the command that raises it.

Without that, a process would run on without workers, leave questions unanswered, or be ended within a library.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ticktalk.errors import TTRuntimeError
from ticktalk.physical.memory import arena
from ticktalk.physical.system import has_linux, open_files, resource

logger = logging.getLogger("ticktalk")

MOST_DESCRIPTORS = 65_536
"""Descriptors up to which a process raises its own limit, where it may."""

FEW_DESCRIPTORS = 10_240
"""Descriptors that macOS allows a process whose limit says that there is none."""

FEW_TASKS = 16_384
"""Limits of processes above this are not looked into: counting those of a user takes time."""


class Needs(NamedTuple):
    """The needs of a process that starts: its name, and the descriptors, processes and threads that it has to get."""

    what: str
    descriptors: int
    tasks: int


ENSEMBLE = Needs("an ensemble", 56, 40)
"""Also a manager. Zenoh takes 25 descriptors and 12 threads, a worker process 5 and 3, and each other ensemble 2."""

COMMAND = Needs("a command for a running system", 24, 16)


def check_limits(needs: Needs) -> None:
    """Make sure that this process can have what it needs; raises the limit of descriptors as far as it may.

    Raises:
        TTRuntimeError: a limit is too low; the message gives the command that raises it.
    """
    wants = open_files() + needs.descriptors
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (MOST_DESCRIPTORS, FEW_DESCRIPTORS):
        most = most if hard == resource.RLIM_INFINITY else min(hard, most)
        if soft == resource.RLIM_INFINITY or soft >= most:
            break
        with suppress(ValueError, OSError):  # a system may allow fewer than the limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft != resource.RLIM_INFINITY and soft < wants:
        raise TTRuntimeError(
            f"{needs.what} needs {wants} open files here, and this process may have {soft}: raise the limit with"
            " `ulimit -n 4096` (as root, if it is refused), or LimitNOFILE=4096 of its service"
        )
    left = _tasks_left()
    if left is not None and left[0] < needs.tasks:
        raise TTRuntimeError(
            f"{needs.what} needs {needs.tasks} more processes and threads, and {max(0, left[0])} are left: raise"
            f" {left[1]}"
        )


def check_memory() -> None:
    """Warn where long values cannot be shared between processes: they are copied, which takes longer."""
    if why := unshared():
        logger.warning("long values are copied between processes, because they cannot be shared: %s", why)


def unshared() -> str:
    """The reason that long values cannot be shared between processes here; empty: they can."""
    memory = arena.create()
    if memory is not None:
        memory.close()
        return ""
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if has_linux() and soft != resource.RLIM_INFINITY and soft < arena.SIZE:
        return f"files may have {soft} bytes, and {arena.SIZE} are needed: raise the limit with `ulimit -f unlimited`"
    return "this system has no memory files (memfd_create)"


def _tasks_left() -> tuple[int, str] | None:
    """The processes and threads that this one may still start, and a way to raise that; None: any number."""
    if not has_linux():
        return None
    found = []
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and soft < FEW_TASKS and os.geteuid() != 0:
        found.append((soft - _tasks_of(os.getuid()), "the limit with `ulimit -u 4096`, or LimitNPROC= of its service"))
    try:
        group = Path("/proc/self/cgroup").read_text("utf-8").rpartition("::")[2].strip().lstrip("/")
        folder = Path("/sys/fs/cgroup", group)
        most = (folder / "pids.max").read_text().strip()
        if most != "max":
            used = int((folder / "pids.current").read_text())
            how = f"{folder}/pids.max (of a container: --pids-limit; of a service: TasksMax=)"
            found.append((int(most) - used, how))
    except (OSError, ValueError):
        pass  # no such groups here
    return min(found, default=None)


def _tasks_of(user: int) -> int:
    """The threads of a user's processes."""
    count = 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == user:
                count += len(os.listdir(f"/proc/{entry.name}/task"))
        except OSError:
            pass  # it has ended meanwhile
    return count
