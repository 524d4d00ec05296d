"""Drivers of the two sensors of host_health.py: recorded samples for simulation, live ones for real devices.

A driver has one method, `read()`, which returns the sample of the present instant, or None if there is none.

    component          recorded          live          read() returns
    cpu_counters       RecordedCpu       LiveCpu       CPU use in percent
    system_counters    RecordedSystem    LiveSystem    a `SystemSample`
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import TypedDict

import simpy

RECORDING = Path(__file__).parent / "telemetry"  # what and whence: PROVENANCE.md in it
CPU_PERIOD_US = 200_000
SYSTEM_PERIOD_US = 1_000_000


class SystemSample(TypedDict):
    """Memory, and counters that only their differences give a meaning.

    Keys:
        t_us: when it was taken, microseconds from any beginning.
        memory_percent: memory in use, 0 to 100.
        disk_bytes: read and written, all disks.
        network_bytes: sent and received, all interfaces, loopback too.
    """

    t_us: int
    memory_percent: float
    disk_bytes: int
    network_bytes: int


class RecordedCpu:
    """CPU use in percent, as recorded: 0 to 100 over all cores, since the recorded sample before.

    Args:
        env: the simulation; the recording begins where `env.now` (microseconds) is when the driver is made.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.recording = Recording(env, "fast.csv", CPU_PERIOD_US)

    def read(self) -> float | None:
        """The sample recorded at the present instant, None in a gap of the recording."""
        row = self.recording.row()
        return None if row is None else float(row["cpu_percent"])


class RecordedSystem:
    """Memory, disk and network, as recorded.

    Args:
        env: see `RecordedCpu`.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.recording = Recording(env, "slow.csv", SYSTEM_PERIOD_US)

    def read(self) -> SystemSample | None:
        """The sample recorded at the present instant, None in a gap of the recording."""
        row = self.recording.row()
        if row is None:
            return None
        return SystemSample(
            t_us=int(row["t_us"]),
            memory_percent=float(row["memory_percent"]),
            disk_bytes=int(row["disk_read_bytes"]) + int(row["disk_write_bytes"]),
            network_bytes=int(row["net_sent_bytes"]) + int(row["net_recv_bytes"]),
        )


class Recording:
    """The rows of a CSV file by the instant at which each was due.

    Args:
        env: see `RecordedCpu`.
        file: in the folder of the recording.
        period_us: of the recorder's grid. It took each sample at its instant or a little (up to 50 ms) later, and
            left out those that it could not take.
    """

    def __init__(self, env: simpy.Environment, file: str, period_us: int) -> None:
        self.env = env
        self.start = env.now
        self.period_us = period_us
        with (RECORDING / file).open(encoding="ascii", newline="") as lines:
            self.rows = {int(row["t_us"]) // period_us: row for row in csv.DictReader(lines)}

    def row(self) -> dict[str, str] | None:
        """The row of the present instant."""
        return self.rows.get(int(self.env.now - self.start) // self.period_us)


class LiveCpu:
    """CPU use of this machine in percent, 0 to 100 over all cores, since the last call."""

    def __init__(self) -> None:
        import psutil

        self.psutil = psutil
        psutil.cpu_percent()  # the first figure has nothing to be measured from

    def read(self) -> float | None:
        """The use since the last call."""
        return float(self.psutil.cpu_percent())


class LiveSystem:
    """Memory, disk and network of this machine."""

    def __init__(self) -> None:
        import psutil

        self.psutil = psutil

    def read(self) -> SystemSample | None:
        """What is so now; counters that this machine does not have stay 0."""
        disk = self.psutil.disk_io_counters()
        network = self.psutil.net_io_counters()
        return SystemSample(
            t_us=time.monotonic_ns() // 1000,
            memory_percent=float(self.psutil.virtual_memory().percent),
            disk_bytes=disk.read_bytes + disk.write_bytes if disk else 0,
            network_bytes=network.bytes_sent + network.bytes_recv if network else 0,
        )
