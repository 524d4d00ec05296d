"""Runs commands of `ticktalk` in a process that lacks what Windows lacks: `windows.py`, each command a line on stdin.

What the standard library and other packages have for Windows cannot be had here, so they are loaded before.
"""

import concurrent.futures
import getpass
import mmap
import multiprocessing
import os
import platform
import select
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import uuid

import cryptography.hazmat.primitives.asymmetric.ed25519
import mcap.reader
import mcap.writer
import msgspec
import rich.console
import simpy
import typer
import yaml

LOADED = [
    concurrent.futures, cryptography, getpass, mcap, msgspec, multiprocessing, platform, rich, shutil, simpy, sqlite3,
    subprocess, tempfile, typer, uuid, yaml,
]  # fmt: skip

MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty", "_posixshmem"}

NAMES = {
    os: """O_CLOEXEC O_NOFOLLOW O_NONBLOCK chown eventfd eventfd_write fchmod fchown fork forkpty geteuid getloadavg
        getpgid getpriority getuid killpg memfd_create mkfifo posix_fadvise posix_spawn pread pwrite register_at_fork
        sched_getaffinity sched_getscheduler sched_setaffinity sched_setscheduler sendfile setpriority setsid sysconf
        uname waitid""",
    select: "epoll poll",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGUSR1 SIGUSR2 pthread_sigmask setitimer",
    mmap: "MADV_REMOVE MAP_SHARED PROT_READ",
    socket: "AF_UNIX recv_fds send_fds",
}


class Missing:
    """Finds that there is no such module."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def absent(event: str, arguments: tuple[object, ...]) -> None:
    """No files of Linux's kernel."""
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(("/proc", "/sys", "/dev/")):
        raise FileNotFoundError(2, "there is no such folder on Windows", str(arguments[0]))


for module in MODULES:
    sys.modules.pop(module, None)
sys.meta_path.insert(0, Missing())
for place, names in NAMES.items():
    for name in names.split():
        if hasattr(place, name):
            delattr(place, name)
platform.system = lambda: "Windows"
commands = [shlex.split(line) for line in sys.stdin]

from ticktalk.cli.main import main  # noqa: E402

sys.addaudithook(absent)
for command in commands:
    sys.argv = ["ticktalk", *command]
    print(f"$ {shlex.join(command)}", flush=True)
    try:
        main()
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    print(f"status {status}", flush=True)
