#!/usr/bin/env python3
"""Record this machine's telemetry into two CSV files at two different rates.

    python record_telemetry.py --seconds 300 --out telemetry

writes into the directory given with --out

    fast.csv       every 200 ms: t_us, cpu_percent, load1
    slow.csv       every 1 s:    t_us, memory_percent, disk and network bytes
    PROVENANCE.md  what was recorded, when, and on what kind of machine

Samples are taken on a fixed grid that does not drift: each sleep ends at the
next instant of the grid, whatever the last sample cost.  An instant that cannot
be met (the machine was too busy, or the recorder was suspended) is skipped
and never made up for, so it shows in the CSV as a gap.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import math
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

try:
    import psutil  # type: ignore[import-untyped,unused-ignore]
except ImportError:
    sys.exit("error: this script needs psutil: pip install psutil")

FAST_PERIOD_US = 200_000
SLOW_PERIOD_US = 1_000_000
MAX_LATE_US = 50_000  # an instant missed by more than this is skipped

Value = int | float | None  # None: this machine has no such counter (empty cell)


@dataclass
class Stream:
    """One CSV file: what goes into a row, how often, and what became of it."""

    name: str
    period_us: int
    columns: dict[str, str]  # column name -> what it means
    read: Callable[[], list[Value]]
    next_us: int = 0
    last_us: int | None = None
    rows: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def skip_past_instants(self, now_us: int) -> None:
        """Give up the instants that can no longer be met."""
        late_us = now_us - self.next_us - MAX_LATE_US
        if late_us > 0:
            self.next_us += math.ceil(late_us / self.period_us) * self.period_us

    def sampled(self, t_us: int) -> None:
        """Note that a row was written for the sample taken at t_us."""
        if self.last_us is not None and t_us - self.last_us > 1.5 * self.period_us:
            self.gaps.append((self.last_us, t_us))
        self.last_us = t_us
        self.rows += 1
        self.next_us += self.period_us


def read_fast() -> list[Value]:
    return [psutil.cpu_percent(interval=None), round(psutil.getloadavg()[0], 2)]


def read_slow() -> list[Value]:
    disk = psutil.disk_io_counters()  # None on a machine without disks
    net = psutil.net_io_counters()  # None on a machine without interfaces
    return [
        psutil.virtual_memory().percent,
        disk.read_bytes if disk else None,
        disk.write_bytes if disk else None,
        net.bytes_sent if net else None,
        net.bytes_recv if net else None,
    ]


def make_streams() -> list[Stream]:
    t_us = "microseconds from the start of the recording to this sample (monotonic clock)"
    return [
        Stream(
            "fast.csv",
            FAST_PERIOD_US,
            {
                "t_us": t_us,
                "cpu_percent": "CPU use since the previous row, 0..100 over all cores",
                "load1": "load average over one minute",
            },
            read_fast,
        ),
        Stream(
            "slow.csv",
            SLOW_PERIOD_US,
            {
                "t_us": t_us,
                "memory_percent": "memory in use: (total - available) / total, 0..100",
                "disk_read_bytes": "bytes read, all disks, cumulative (not from 0)",
                "disk_write_bytes": "bytes written, all disks, cumulative (not from 0)",
                "net_sent_bytes": "bytes sent, all interfaces with loopback, cumulative (not from 0)",
                "net_recv_bytes": "bytes received, all interfaces with loopback, cumulative (not from 0)",
            },
            read_slow,
        ),
    ]


class StopRequest:
    """Set by Ctrl-C or SIGTERM; polled, so that a row is never cut in half."""

    def __init__(self) -> None:
        self.requested = False
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._handle)

    def _handle(self, _signum: int, _frame: FrameType | None) -> None:
        self.requested = True


class Progress:
    """A line on stderr, rewritten in place; nothing if stderr is no terminal."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.enabled = sys.stderr.isatty()

    def show(self, now_us: int, streams: list[Stream]) -> None:
        if self.enabled:
            counts = ", ".join(f"{s.name}: {s.rows} rows" for s in streams)
            line = f"{now_us / 1e6:.0f}/{self.seconds:g} s  {counts}"
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.enabled:
            print(file=sys.stderr)


@contextlib.contextmanager
def csv_sink(path: Path, header: list[str]) -> Iterator[Callable[[list[Value]], object]]:
    """Yield a function that writes one row; every row reaches the file at once."""
    with path.open("w", encoding="ascii", newline="", buffering=1) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        yield writer.writerow


def record(streams: list[Stream], seconds: float, out: Path, stop: StopRequest) -> int:
    """Record until the time is up or a stop is requested; return the microseconds."""
    end_us = round(seconds * 1e6)
    progress = Progress(seconds)
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(csv_sink(out / s.name, list(s.columns))) for s in streams]
        stack.callback(progress.end)

        # The first CPU figure needs something to be measured from.
        psutil.cpu_percent(interval=None)
        time.sleep(FAST_PERIOD_US / 1e6)

        start_ns = time.monotonic_ns()

        def now_us() -> int:
            return (time.monotonic_ns() - start_ns) // 1000

        while not stop.requested:
            due_us = min(s.next_us for s in streams)
            time.sleep(max(0, min(due_us, end_us) - now_us()) / 1e6)
            if due_us >= end_us:
                break
            for stream, write_row in zip(streams, sinks, strict=True):
                t_us = now_us()
                stream.skip_past_instants(t_us)
                if stream.next_us <= t_us and stream.next_us < end_us:
                    write_row([t_us, *stream.read()])
                    stream.sampled(t_us)
            progress.show(now_us(), streams)
        return min(now_us(), end_us)


def cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


def provenance(streams: list[Stream], started: datetime, asked_s: float, recorded_us: int) -> str:
    """Say where the CSVs come from; names no host, no user and no path."""
    cores = psutil.cpu_count() or "unknown"
    physical_cores = psutil.cpu_count(logical=False) or "unknown"
    memory_gib = psutil.virtual_memory().total / 2**30
    lines = [
        "# Provenance",
        "",
        "Telemetry of a real machine, recorded with `record_telemetry.py`.",
        "",
        f"- Started: {started:%Y-%m-%d %H:%M:%S} UTC",
        f"- Recorded: {recorded_us / 1e6:.1f} s (asked for: {asked_s:g} s)",
        f"- Kernel: {platform.system()} {platform.release()} ({platform.machine()})",
        f"- CPU: {cpu_model()}",
        f"- Cores: {cores} logical, {physical_cores} physical",
        f"- Memory: {memory_gib:.1f} GiB",
        f"- Software: Python {platform.python_version()}, psutil {psutil.__version__}",
    ]
    for stream in streams:
        skipped = math.ceil(recorded_us / stream.period_us) - stream.rows
        lines += [
            "",
            f"## {stream.name}",
            "",
            f"- Rate: one row every {stream.period_us // 1000} ms",
            f"- Rows: {stream.rows} ({skipped} instants skipped)",
            "",
            "| column | meaning |",
            "| --- | --- |",
            *(f"| `{name}` | {meaning} |" for name, meaning in stream.columns.items()),
        ]
        if stream.gaps:
            lines += ["", "Gaps (`t_us` of the last row before and the first row after):", ""]
            lines += [f"- {before} to {after}" for before, after in stream.gaps]
    lines += [
        "",
        "## Sampling",
        "",
        "`t_us` is the time a sample was actually taken, not the instant it was due at.",
        f"An instant missed by more than {MAX_LATE_US // 1000} ms is skipped and leaves a gap;",
        "the `cpu_percent` after a gap covers the whole gap.",
        "",
        "## Record again",
        "",
        "    pip install psutil",
        f"    python record_telemetry.py --seconds {asked_s:g} --out DIR",
        "",
    ]
    return "\n".join(lines)


def positive_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError(f"not a positive number of seconds: {text!r}")
    return seconds


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Record this machine's telemetry into fast.csv (every 200 ms) and "
        "slow.csv (every 1 s), with a PROVENANCE.md beside them.",
        epilog="Ctrl-C ends the recording early and keeps what there is.",
    )
    parser.add_argument(
        "--seconds",
        type=positive_seconds,
        default=60.0,
        help="how long to record (default: 60)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="directory for the files, made if missing; an earlier recording is overwritten",
    )
    return parser.parse_args()


def main() -> int:
    arguments = parse_arguments()
    seconds: float = arguments.seconds
    out: Path = arguments.out
    stop = StopRequest()
    streams = make_streams()
    started = datetime.now(UTC)
    try:
        out.mkdir(parents=True, exist_ok=True)
        recorded_us = record(streams, seconds, out, stop)
        text = provenance(streams, started, seconds, recorded_us)
        (out / "PROVENANCE.md").write_text(text, encoding="utf-8")
    except OSError as error:
        print(f"error: cannot record into {out}: {error.strerror or error}", file=sys.stderr)
        return 1
    if stop.requested:
        print(f"stopped after {recorded_us / 1e6:.1f} s; kept what there is", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
