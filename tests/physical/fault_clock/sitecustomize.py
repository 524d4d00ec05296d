"""A clock that tests bend, and a bound that they set: loaded by the processes of the fault laboratory only.

The file that `TICKTALK_FAULT_CLOCK` names holds three numbers (as `struct` "=qqq"): nanoseconds that are added to UTC,
nanoseconds that are added to the monotonic clock, and a drift of it in nanoseconds per second since its begin.
`TICKTALK_FAULT_UNDER_WAY` is how many messages of outputs an ensemble keeps in memory: further ones wait on its disk.
"""

from __future__ import annotations

import mmap
import os
import struct
import time

path = os.environ.get("TICKTALK_FAULT_CLOCK")
if path:
    with open(path, "r+b") as file:
        bent = mmap.mmap(file.fileno(), 24, access=mmap.ACCESS_READ)
    monotonic_ns, time_ns = time.monotonic_ns, time.time_ns
    unpack = struct.Struct("=qqq").unpack_from
    held = [0, 0, monotonic_ns(), 0]  # drift, what it has given so far, since when; the last reading

    def bent_monotonic_ns() -> int:
        """The monotonic clock with its faults."""
        now = monotonic_ns()
        _, added, drift = unpack(bent)
        if drift != held[0]:
            held[1] += (now - held[2]) * held[0] // 1_000_000_000
            held[0], held[2] = drift, now
        held[3] = max(held[3], now + added + held[1] + (now - held[2]) * drift // 1_000_000_000)
        return held[3]

    time.monotonic_ns = bent_monotonic_ns
    time.monotonic = lambda: bent_monotonic_ns() / 1e9
    if "LD_PRELOAD" not in os.environ:  # else all libraries see it (`realtime.c`)
        time.time_ns = lambda: time_ns() + unpack(bent)[0]
        time.time = lambda: time.time_ns() / 1e9

under_way = os.environ.get("TICKTALK_FAULT_UNDER_WAY")
if under_way:
    import tempfile

    tempfile.tempdir = os.environ["TMPDIR"]  # else another folder is taken if that one is full at first
    from ticktalk.hosted import until_taken

    until_taken.UNDER_WAY = int(under_way)
