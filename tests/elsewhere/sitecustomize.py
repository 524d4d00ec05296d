"""Takes from a process what only Linux has, before anything is loaded; with `TICKTALK_PORTABLE=1`.

It is found where PYTHONPATH has this folder.
"""

import fcntl
import mmap
import os
import resource
import select
import sys

ONLY_LINUX = {
    os: ["fork", "eventfd", "memfd_create", "timerfd_create", "sched_", "pidfd_open", "pipe2", "O_TMPFILE"],
    select: ["epoll", "EPOLL"],
    fcntl: ["F_OFD_", "F_ADD_SEALS", "F_GET_SEALS", "F_SEAL"],
    mmap: ["MADV_REMOVE"],
    resource: ["RLIMIT_RTPRIO", "prlimit"],
}
"""Names, or beginnings of names, by module."""

CALLS = {"prctl", "timerfd_create", "timerfd_settime", "mlockall", "adjtimex"}


def absent(event: str, arguments: tuple[object, ...]) -> None:
    """No files of Linux's kernel, and no calls of Linux in the C library."""
    if event == "ctypes.dlsym" and arguments[1] in CALLS:
        raise AttributeError(arguments[1])
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "there is no such folder elsewhere", str(arguments[0]))


for module, begins in ONLY_LINUX.items():
    for name in [name for name in dir(module) if name.startswith(tuple(begins))]:
        delattr(module, name)
sys.addaudithook(absent)
