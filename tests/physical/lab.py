"""The fault laboratory: a manager and three ensembles as real processes under load, each on a host of its own.

a ---- m ---- b    each host is a network namespace, each line a link that can suffer (`bad_link`). `m` forwards, so
      / |          all see one another, and all have keys. Or all are on one host with a loopback of its own, and
     c   d         without keys (`keys=False`). `d` has no ensemble until a fault starts one, which hosts nothing.

Five streams of 50 values a second: one lives on each ensemble, one goes from `a` by `b` to `c`, and one lives on `b`
and may go on on `c`. The log of the manager says which instants of which stream have come.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bad_link import Links, Rule
from memory_group import MemoryGroup
from systems import Process, children, until

from ticktalk.physical.trust.authority import init_authority, issue

PORT = 5555

PERIOD = 20_000
"""Microseconds between two values of a stream."""

GOOD = 25
"""Instants in a row after which a stream counts as recovered."""

PROGRAM = f"""
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def source(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
def passed(x):
    return x
@SQify
def same(x):
    return passed(x)  # a call of the program's own: it runs in the worker process, and `kept` beside it does not
@SQify
def kept(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        on_a = kept(source(trigger, TTPeriod={PERIOD}), TTName="on_a")
        first = same(source(trigger, TTPeriod={PERIOD}))
    with TTConstraint(name="b"):
        on_b = kept(source(trigger, TTPeriod={PERIOD}), TTName="on_b")
        second = same(first)
    with TTConstraint(name="c"):
        on_c = kept(source(trigger, TTPeriod={PERIOD}), TTName="on_c")
        chain = same(second, TTName="chain")
    with TTConstraint(components=["spare"]):
        moves = kept(source(trigger, TTPeriod={PERIOD}), TTName="moves")
"""

STREAMS = {"on_a": "a", "on_b": "b", "on_c": "c", "chain": "abc", "moves": "bc"}
"""By stream, the ensembles on which it may depend."""

HOSTS = {"m": 0, "a": 1, "b": 2, "c": 3, "d": 4}

ENSEMBLES, IDLE = "abc", "d"

UNDER_WAY = 100
"""Messages of outputs that an ensemble keeps in memory: what it makes in a second or two. Others wait on its disk."""


class Bend(NamedTuple):
    """Faults of a clock: nanoseconds added to UTC and to the monotonic clock, and its drift in nanoseconds a second."""

    utc: int = 0
    monotonic: int = 0
    drift: int = 0


def tool(*command: str) -> None:
    """Run a command of the system; its words go into the error.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def lacking() -> str:
    """Why there can be no laboratory here; empty: there can."""
    for name in ("ip", "mount"):
        if shutil.which(name) is None:
            return f"the program `{name}` is missing (iproute2, util-linux)"
    name = f"tt{os.getpid()}x"
    try:
        tool("ip", "netns", "add", name)
        tool("ip", "-n", name, "tuntap", "add", "dev", "x", "mode", "tun")
    except (OSError, RuntimeError) as error:
        return f"network namespaces cannot be made here: {error}"
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    return ""


class Lab:
    """The hosts, the processes on them, the graph that runs, and the log of its outputs.

    Args:
        keys: each process on a host of its own, with keys; else all on one loopback, without.
        options: of each ensemble.
    """

    def __init__(self, keys: bool = True, options: tuple[str, ...] = ()) -> None:
        self.keys, self._options = keys, options
        self.folder = Path(tempfile.mkdtemp(prefix="tt-lab-"))
        self._prefix = f"tt{os.getpid()}"
        self._made: list[str] = []
        self.links: Links | None = None
        self.memory: dict[str, MemoryGroup] = {}  # by host
        self.without_memory = self._preloaded = ""
        self.processes: dict[str, Process] = {}
        self.ended: list[Process] = []
        self.came: dict[str, dict[int, int]] = {name: {} for name in STREAMS}  # by start tick, how often
        self._read = 0
        try:
            self._set_up()
        except BaseException:
            self.end()
            raise

    # Hosts.

    def _set_up(self) -> None:
        for host in HOSTS if self.keys else ["m"]:
            tool("ip", "netns", "add", self.name(host))
            self._made.append(host)
            tool("ip", "-n", self.name(host), "link", "set", "lo", "up")
        if self.keys:
            ends = [((self.name("m"), f"to-{host}"), (self.name(host), "wire")) for host in ENSEMBLES + IDLE]
            self.links = Links(self.folder / "rules", ends)
        for host in ENSEMBLES + IDLE if self.keys else "":
            net = f"10.78.{HOSTS[host]}"
            tool("ip", "-n", self.name("m"), "addr", "add", f"{net}.1/24", "dev", f"to-{host}")
            tool("ip", "-n", self.name(host), "addr", "add", f"{net}.2/24", "dev", "wire")
            tool("ip", "-n", self.name("m"), "link", "set", f"to-{host}", "up")
            tool("ip", "-n", self.name(host), "link", "set", "wire", "up")
            tool("ip", "-n", self.name(host), "route", "add", "default", "via", f"{net}.1")
        if self.keys:
            tool(*self.within("m"), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
            keys = self.folder / "keys"
            init_authority(keys, [f"10.78.{HOSTS[host]}.1" for host in ENSEMBLES + IDLE] + ["127.0.0.1"])
            for host in ENSEMBLES + IDLE:
                issue(keys, host, [f"10.78.{HOSTS[host]}.2"])
            issue(keys, "op", role="operator")
        try:
            for host in HOSTS:
                self.memory[host] = MemoryGroup(f"{self._prefix}{host}")
        except OSError as error:
            self.without_memory = f"the memory of processes cannot be limited here (cgroup): {error}"
        source = Path(__file__).with_name("fault_clock") / "realtime.c"
        made = self.folder / "realtime.so"
        with contextlib.suppress(OSError, RuntimeError):  # without a compiler Python's UTC is bent alone
            tool("cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(source))
            self._preloaded = str(made)
        for host in HOSTS:
            self.disk(host).mkdir()
            tool("mount", "-t", "tmpfs", "-o", f"size={48 if host == 'm' else 4}m", "tmpfs", str(self.disk(host)))
            (self.folder / f"clock-{host}").write_bytes(bytes(24))
            (self.folder / f"boot-{host}").write_text(f"{HOSTS[host]:08}-0000-4000-8000-000000000000\n")
        self.begin("m")
        self.is_there("m")
        for host in ENSEMBLES:
            self.begin(host)
        for host in ENSEMBLES:
            self.is_there(host)
        (self.folder / "lab.py").write_text(PROGRAM)
        self.command("deploy", str(self.folder / "lab.py"), "--start")
        self.steady()

    @property
    def log(self) -> Path:
        """The manager's log of outputs."""
        return self.disk("m") / "out.jsonl"

    def disk(self, host: str) -> Path:
        """The disk of a host: the manager's is for the log, that of an ensemble for files without a name."""
        return self.folder / f"disk-{host}"

    def name(self, host: str) -> str:
        """The namespace of a host."""
        return self._prefix + (host if self.keys else "m")

    def within(self, host: str) -> list[str]:
        """The begin of a command that runs on a host."""
        return ["ip", "netns", "exec", self.name(host)]

    def bundle(self, name: str) -> str:
        return str(self.folder / "keys" / f"{name}.json")

    def address(self, host: str) -> str:
        """The manager's address, as seen from a host."""
        return f"10.78.{HOSTS[host]}.1:{PORT}" if self.keys and host != "m" else f"127.0.0.1:{PORT}"

    # Processes.

    def start(self, host: str, *arguments: str) -> Process:
        """Start a command of ours on a host; its clock can be bent, and its host's boot id is its own."""
        boot = f"mount --bind {self.folder / f'boot-{host}'} /proc/sys/kernel/random/boot_id"
        shell = f'{boot if self.keys else ":"} && exec "$@"'
        environment = [f"TICKTALK_FAULT_CLOCK={self.folder / f'clock-{host}'}", f"TMPDIR={self.disk(host)}"]
        environment.append(f"TICKTALK_FAULT_UNDER_WAY={UNDER_WAY}")
        if self._preloaded:
            environment.append(f"LD_PRELOAD={self._preloaded}")
        path = Path(__file__).with_name("fault_clock")
        within = [*self.within(host), "env", *environment, "sh", "-c", shell, "sh"]
        process = Process(*arguments, within=within, path=path)
        if host in self.memory:
            self.memory[host].add(process.popen.pid)
        self.processes[host] = process
        return process

    def begin(self, host: str) -> None:
        """Start the manager, or an ensemble."""
        if host == "m":
            options = ["--ip", "0.0.0.0", "--credentials", self.bundle("runtime-manager")] if self.keys else []
            self.start(host, "manager", "--rx-port", str(PORT), "--log", str(self.log), *options)
            return
        options = ["--component", "spare"] if host in STREAMS["moves"] else []
        options += ["--credentials", self.bundle(host)] if self.keys else []
        self.start(host, "ensemble", host, "--manager", self.address(host), *options, *self._options)

    def is_there(self, host: str) -> None:
        """Wait until the manager listens, or an ensemble has joined."""
        process, word = self.processes[host], "listens" if host == "m" else "joined"
        until(lambda: word in process.said, f"{host} {word}: {process.said}")

    def command(self, *arguments: str) -> Process:
        """Run a command for the manager; it has to succeed."""
        options = ["--credentials", self.bundle("op")] if self.keys else []
        done = Process(*arguments, "--manager", self.address("m"), *options, within=self.within("m"))
        try:
            assert done.wait() == 0, f"{arguments}: {done.said}"
        finally:
            done.end()
        return done

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.command("status", "--json").out[0])
        return found

    def pid(self, host: str) -> int:
        return self.processes[host].popen.pid

    def signal(self, host: str, number: signal.Signals) -> None:
        os.kill(self.pid(host), number)

    def workers(self, host: str) -> list[int]:
        return children(self.pid(host))

    def kill(self, host: str) -> None:
        """End a process and its workers at once, as a host that loses power."""
        process = self.processes[host]
        for pid in process.family():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.popen.wait(20)
        self.ended.append(process)

    def leave(self, host: str) -> None:
        """End an ensemble as a user would: it leaves."""
        process = self.processes.pop(host)
        process.end()
        self.ended.append(process)

    def link(self, host: str, rule: Rule) -> None:
        """Let the packets of a host's link suffer, in both directions."""
        assert self.links is not None, "there are no links on one host"
        self.links.set((ENSEMBLES + IDLE).index(host), rule)

    def bend(self, host: str, to: Bend) -> None:
        """Bend the clock of a host's processes."""
        with open(self.folder / f"clock-{host}", "r+b") as file:
            file.write(struct.pack("=qqq", *to))

    def descriptors(self, host: str, most: int = 0) -> None:
        """Let a process have so many descriptors; 0: as many as it may."""
        _, hard = resource.prlimit(self.pid(host), resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid(host), resource.RLIMIT_NOFILE, (most or hard, hard))

    def fill(self, host: str) -> None:
        """Leave no room on the disk of a host."""
        with open(self.disk(host) / "filler", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def empty(self, host: str) -> None:
        """Make room again."""
        (self.disk(host) / "filler").unlink()

    def mover_and_counts(self) -> tuple[str, Counter[str]]:
        """The ensemble on which the stream lives that may move; and what all have counted, by kind."""
        (graph,) = self.status()["graphs"]
        found: Counter[str] = Counter()
        for kinds in graph["counters"].values():
            found.update(kinds)
        return graph["mapping"]["moves"], found

    # What has come.

    def read(self) -> None:
        """Read what is new in the log."""
        with open(self.log, "rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]  # a manager that starts anew cuts off the rest
        self._read += len(whole)
        for line in whole.splitlines():
            row = json.loads(line)
            starts = self.came[row["sq"]]
            starts[row["start"]] = starts.get(row["start"], 0) + 1

    def missing(self, stream: str, since: int, until: int) -> int:
        """The instants of a stream between two ticks of which nothing has come."""
        starts = sorted(start for start in self.came[stream] if since <= start <= until)
        return sum(round((after - before) / PERIOD) - 1 for before, after in itertools.pairwise(starts))

    def in_a_row(self, stream: str, since: int, until: int) -> int:
        """The most instants in a row between two ticks of which nothing has come."""
        starts = sorted(start for start in self.came[stream] if since <= start <= until)
        return max((round((b - a) / PERIOD) - 1 for a, b in itertools.pairwise(starts)), default=0)

    def twice(self) -> int:
        """How many outputs came again."""
        return sum(times - 1 for starts in self.came.values() for times in starts.values())

    def latest(self) -> int:
        """The latest tick up to which all streams have come."""
        self.read()
        return min(max(starts, default=0) for starts in self.came.values())

    def good_since(self, stream: str, after: int) -> int | None:
        """The first instant after a tick from which on `GOOD` of a stream have come in a row; None: not yet."""
        run: list[int] = []
        for start in sorted(start for start in self.came[stream] if start > after):
            run = [*run, start] if run and start - run[-1] <= PERIOD else [start]
            if len(run) >= GOOD:
                return run[0]
        return None

    def steady(self, after: int = -1, streams: Callable[[str], bool] = lambda name: True, limit: float = 40.0) -> int:
        """Wait until the streams are good; the tick since which all are."""
        after = self.latest() if after < 0 else after

        def good() -> int:
            self.read()
            found = [self.good_since(name, after) for name in STREAMS if streams(name)]
            return 0 if None in found else max(tick for tick in found if tick is not None)

        try:
            tick: int = until(good, "all streams come", limit)
        except AssertionError:
            lacking = [name for name in STREAMS if streams(name) and self.good_since(name, after) is None]
            said = {host: process.err[-5:] for host, process in self.processes.items()}
            raise AssertionError(f"not within {limit} s: {', '.join(lacking)} recovered; {said}") from None
        return tick

    def now(self) -> int:
        """The root tick (the manager's clock, which is that of this machine)."""
        return time.time_ns() // 1000

    def said_badly(self) -> list[str]:
        """Lines of processes that tell of a fault of ours."""
        every = [*self.processes.values(), *self.ended]
        return [line for process in every for line in process.err if "Traceback" in line or "error in the" in line]

    def end(self) -> None:
        """End all processes, and remove all hosts."""
        for host in reversed(list(self.processes)):
            process = self.processes[host]
            for pid in process.family() if process.popen.poll() is None else ():
                try:
                    os.kill(pid, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            process.end()
        if self.links is not None:
            self.links.end()
        for group in self.memory.values():
            group.give()
            group.end()
        for host in self._made:
            subprocess.run(["ip", "netns", "del", self.name(host)], capture_output=True)
        for host in HOSTS:
            subprocess.run(["umount", str(self.disk(host))], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)
