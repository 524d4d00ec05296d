"""`--realtime`: the process that keeps time comes first, its memory stays in memory, and it keeps to some CPUs.

Each of these wants a right that a process often does not have. Missing rights are told, and the rest is done.
Worker processes have none of it: a body that takes long must not hold up the process that keeps time.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Collection
from pathlib import Path

from ticktalk.physical.slices import ask_for_slices
from ticktalk.physical.system import has_linux, resource

PRIORITY = 10
"""Of SCHED_RR: above all ordinary processes, below what a system itself runs in real time."""

CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4
"""Memory is locked once it is used: reserved memory, of which there is much, takes no room before."""

_every: set[int] = set()  # the CPUs of workers, once this process keeps to some


def lacking() -> list[str]:
    """The rights that `--realtime` wants and this process does not have, each with what would give it."""
    if not has_linux():
        return ["scheduling in real time (SCHED_RR), which this system does not have"]
    found = []
    most, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    if not _may(CAP_SYS_NICE) and (most != resource.RLIM_INFINITY and most < PRIORITY):
        how = f"CAP_SYS_NICE, `ulimit -r {PRIORITY}`, or LimitRTPRIO={PRIORITY} gives it"
        found.append(f"priority {PRIORITY} of SCHED_RR ({how})")
    if not _may_lock():
        found.append("locked memory (CAP_IPC_LOCK, `ulimit -l unlimited`, or LimitMEMLOCK=infinity gives it)")
    return found


def keep_time(cpus: Collection[int] = ()) -> list[str]:
    """Let this process keep time in real time, as far as it may; before it starts threads.

    Args:
        cpus: the numbers of those to which it keeps; empty: all.

    Returns:
        The means that it may not use.
    """
    found = lacking()
    if not has_linux():
        return [*found, "CPUs of its own"] if cpus else found
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(PRIORITY))
    except OSError as error:
        found = found or [f"priority {PRIORITY} of SCHED_RR: {error.strerror}"]
    if _may_lock() and ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT):
        found.append(f"locked memory: {os.strerror(ctypes.get_errno())}")
    if cpus:
        before = os.sched_getaffinity(0)
        lacks, why = list(cpus), ""
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            why = f": {error.strerror}"
        else:
            _every.update(before)
            lacks = sorted(set(cpus) - os.sched_getaffinity(0))
        if lacks:
            listed = ",".join(str(cpu) for cpu in sorted(before))
            found.append(f"CPUs {','.join(map(str, lacks))}{why} (there are {listed})")
    return found


def ordinary(pid: int) -> None:
    """Let a worker process that has just started have no priority of real time; batch and idle ones stay so."""
    try:
        if has_linux() and os.sched_getscheduler(pid) in (os.SCHED_RR, os.SCHED_FIFO):
            os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
        ask_for_slices(0, pid)
        if _every:
            os.sched_setaffinity(pid, _every - os.sched_getaffinity(0) or _every)
    except ProcessLookupError:
        pass  # it has ended


def _may_lock() -> bool:
    """True if any amount of memory may be locked: else what is reserved later could be refused."""
    return _may(CAP_IPC_LOCK) or resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY


def _may(capability: int) -> bool:
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        held = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    except (OSError, StopIteration, ValueError):
        return False
    return bool(held >> capability & 1)
