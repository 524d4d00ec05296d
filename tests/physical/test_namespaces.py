"""Hosts that do not all see each other, and a link that is cut: network namespaces on this machine.

a ---- m ---- b        each line a pair of veth; `m` forwards nothing, so `a` and `b` see only the manager's
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from systems import NUMBERS, Process, in_time, until

from ticktalk.physical.trust.authority import init_authority, issue

PORT = 5555

ENDLESS = 600_000_000
"""Microseconds of a stream that runs until the test is over."""

HOSTS = {"a": 1, "b": 2}
"""By host, the number of the network between it and the manager."""

STREAM = (
    NUMBERS
    + """
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {length}))
        with TTConstraint(name="a"):
            s = src(window, TTPeriod=100000, TTDataIntervalWidth=50000)
        with TTConstraint(name="b"):
            return same(s)
"""
)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=120)


class Network:
    """The namespaces of one test, and the processes in them."""

    def __init__(self) -> None:
        self._prefix = f"tt{os.getpid()}"
        self._made: list[str] = []
        self._processes: list[Process] = []

    def allowed(self) -> None:
        """Try whether namespaces can be made.

        Raises:
            OSError, CalledProcessError: they cannot be made here.
        """
        ip("netns", "add", self.name("x"))
        ip("netns", "del", self.name("x"))

    def begin(self) -> None:
        """Make the namespaces."""
        for host in ("m", "a", "b"):
            ip("netns", "add", self.name(host))
            self._made.append(host)
            ip("-n", self.name(host), "link", "set", "lo", "up")
        for host, number in HOSTS.items():
            ip(
                "-n",
                self.name("m"),
                "link",
                "add",
                f"to-{host}",
                "type",
                "veth",
                "peer",
                "name",
                "wire",
                "netns",
                self.name(host),
            )
            ip("-n", self.name("m"), "addr", "add", f"10.77.{number}.1/24", "dev", f"to-{host}")
            ip("-n", self.name(host), "addr", "add", f"10.77.{number}.2/24", "dev", "wire")
            ip("-n", self.name("m"), "link", "set", f"to-{host}", "up")
            ip("-n", self.name(host), "link", "set", "wire", "up")
            ip("-n", self.name(host), "route", "add", "default", "via", f"10.77.{number}.1")

    def name(self, host: str) -> str:
        return f"{self._prefix}{host}"

    def forward(self, on: bool) -> None:
        """True if `m` forwards between the others."""
        self.run("m", "sh", "-c", f"echo {int(on)} > /proc/sys/net/ipv4/ip_forward")

    def run(self, host: str, *command: str) -> None:
        subprocess.run(["ip", "netns", "exec", self.name(host), *command], check=True, capture_output=True, timeout=120)

    def cut(self, host: str) -> None:
        """Nothing of this host comes through any more, without notice."""
        ip("-n", self.name(host), "link", "set", "wire", "down")

    def mend(self, host: str) -> None:
        ip("-n", self.name(host), "link", "set", "wire", "up")
        ip("-n", self.name(host), "route", "replace", "default", "via", f"10.77.{HOSTS[host]}.1")

    def connected(self, host: str, other: str) -> bool:
        """True if there is a connection from a host to another one; the kernel knows."""
        # Addresses in hexadecimal digits, the bytes of each word reversed; 01: it is established.
        there = "".join(f"{int(part):02X}" for part in reversed(other.split(".")))
        read = ["ip", "netns", "exec", self.name(host), "cat", "/proc/net/tcp"]
        rows = subprocess.run(read, check=True, capture_output=True, text=True, timeout=120).stdout.splitlines()[1:]
        return any(row.split()[2].startswith(f"{there}:") and row.split()[3] == "01" for row in rows)

    def command(self, host: str, *arguments: str) -> Process:
        """Run one of our commands on a host."""
        self._processes.append(Process(*arguments, within=["ip", "netns", "exec", self.name(host)]))
        return self._processes[-1]

    def end(self) -> None:
        for process in self._processes:
            process.end()
        for host in self._made:
            ip("netns", "del", self.name(host))


@pytest.fixture
def network() -> Iterator[Network]:
    if shutil.which("ip") is None:
        pytest.skip("network namespaces need the program `ip` (iproute2)")
    made = Network()
    try:
        try:
            made.allowed()
        except (OSError, subprocess.CalledProcessError) as error:
            why = error.stderr.decode().strip() if isinstance(error, subprocess.CalledProcessError) else error
            pytest.skip(f"network namespaces cannot be made here: {why}")
        made.begin()
        made.forward(False)
        yield made
    finally:
        made.end()


def start_manager(network: Network, folder: Path, keys: bool) -> Process:
    """A manager on `m`, with keys in this folder or with none."""
    if keys:
        init_authority(folder, ["10.77.1.1", "10.77.2.1", "127.0.0.1"])
        issue(folder, "a", ["10.77.1.2"])
        issue(folder, "b", ["10.77.2.2"])
        issue(folder, "op", role="operator")
    trust = trusted(folder, "runtime-manager") or ["--insecure"]
    log = ["--log", str(folder / "out.jsonl")]
    manager = network.command("m", "manager", "--ip", "0.0.0.0", "--rx-port", str(PORT), *trust, *log)
    until(lambda: "listens" in manager.said, f"the manager listens: {manager.said}")
    return manager


def trusted(folder: Path, name: str) -> list[str]:
    """The option that gives a participant its keys, if there are keys."""
    keys = folder / f"{name}.json"
    return ["--credentials", str(keys)] if keys.exists() else []


def start_ensemble(network: Network, folder: Path, name: str, *options: str) -> Process:
    """An ensemble on the host of its name, once it has joined."""
    manager = f"10.77.{HOSTS[name]}.1:{PORT}"
    process = network.command(name, "ensemble", name, "--manager", manager, *options, *trusted(folder, name))
    until(lambda: f"{name!r} joined" in process.said, f"{name} joins: {process.said}")
    return process


def deploy(network: Network, folder: Path, length: int) -> None:
    """Start a stream from `a` to `b` that lasts `length` microseconds."""
    (folder / "prog.py").write_text(STREAM.format(length=length))
    asked = ["--start", "--manager", f"127.0.0.1:{PORT}", *trusted(folder, "op")]
    command = network.command("m", "deploy", str(folder / "prog.py"), *asked)
    assert command.wait() == 0, command.said


def start_all(
    network: Network, tmp_path: Path, length: int, *options: str, keys: bool = False
) -> tuple[Process, Process, Process]:
    """A manager on `m`, ensembles on `a` and `b`, and a stream from `a` to `b` that lasts `length` microseconds."""
    manager = start_manager(network, tmp_path, keys)
    a = start_ensemble(network, tmp_path, "a", *options)
    b = start_ensemble(network, tmp_path, "b")
    deploy(network, tmp_path, length)
    return manager, a, b


def values(tmp_path: Path) -> list[int]:
    log = tmp_path / "out.jsonl"
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line)["value"] for line in lines if line.endswith("}")]


def status(network: Network, *options: str) -> dict[str, Any]:
    asked = network.command("m", "status", "--json", "--manager", f"127.0.0.1:{PORT}", *options)
    assert asked.wait() == 0, asked.said
    found: dict[str, Any] = json.loads(asked.out[0])
    return found


def lost(network: Network, *options: str) -> int:
    (graph,) = status(network, *options)["graphs"]
    return sum(kinds.get("lost", 0) for kinds in graph["counters"].values())


def test_hosts_that_see_only_the_manager_reach_each_other_through_it_until_they_see_each_other(
    network: Network, tmp_path: Path
) -> None:
    manager, a, b = start_all(network, tmp_path, ENDLESS, keys=True)
    options = trusted(tmp_path, "op")
    for process in (b, manager):
        until(lambda process=process: "relayed by the manager" in process.said, f"it says so: {process.said}")
    until(lambda: len(values(tmp_path)) > 3, "the stream runs")
    assert not network.connected("b", "10.77.1.2") and lost(network, *options) == 0
    got = values(tmp_path)
    assert got == list(range(1, len(got) + 1))
    network.forward(True)
    until(lambda: network.connected("b", "10.77.1.2"), f"they are connected directly: {b.said}")
    until(lambda: len([line for line in b.err if "'b' joined" in line and "relayed" not in line]) == 1, "b tells it")
    there = len(values(tmp_path))
    until(lambda: len(values(tmp_path)) > there + 10, "the stream goes on")
    found = {each["name"]: each["direct"] for each in status(network, *options)["ensembles"]}
    assert found["a"] and found["b"]
    got = values(tmp_path)
    assert got == sorted(set(got)) and got[-1] - len(got) <= lost(network, *options)
    assert not any("is gone" in line or "suspended" in line for line in (*manager.err, *a.err, *b.err))


def test_hosts_that_see_each_other_are_not_relayed_though_one_stood_still(network: Network, tmp_path: Path) -> None:
    network.forward(True)
    manager = start_manager(network, tmp_path, keys=True)
    a = start_ensemble(network, tmp_path, "a")
    a.popen.send_signal(signal.SIGSTOP)
    b = start_ensemble(network, tmp_path, "b")
    a.popen.send_signal(signal.SIGCONT)
    until(lambda: network.connected("b", "10.77.1.2"), f"they are connected directly: {b.said}")
    deploy(network, tmp_path, ENDLESS)
    until(lambda: len(values(tmp_path)) > 10, "tokens come")
    got = values(tmp_path)
    assert got == list(range(1, len(got) + 1)) and "relayed" not in manager.said


def test_one_that_joined_while_another_was_lost_is_relayed_to_it_when_it_comes_back(
    network: Network, tmp_path: Path
) -> None:
    """`b` could not know at its join that it would not reach `a`."""
    manager = start_manager(network, tmp_path, keys=True)
    start_ensemble(network, tmp_path, "a")
    network.cut("a")
    until(lambda: "'a' is gone" in manager.said, f"the silence is noticed: {manager.said}")
    b = start_ensemble(network, tmp_path, "b")
    assert "relayed" not in b.said
    network.mend("a")
    until(lambda: "'a' is back" in manager.said, f"it is back: {manager.said}")
    until(lambda: "'a' cannot be reached directly: the manager relays from now on" in b.said, "b is relayed")
    until(lambda: "relayed by the manager" in manager.said, f"the manager says so: {manager.said}")
    deploy(network, tmp_path, ENDLESS)
    until(lambda: len(values(tmp_path)) > 10, "tokens come")
    got = values(tmp_path)
    assert got == list(range(1, len(got) + 1))


def test_an_address_that_others_cannot_reach_is_no_obstacle(network: Network, tmp_path: Path) -> None:
    """`a` listens on an address of its own that has no route: `b` is relayed to it."""
    network.forward(True)
    ip("-n", network.name("a"), "addr", "add", "10.99.0.1/32", "dev", "lo")
    manager, _, _ = start_all(network, tmp_path, 1_000_000, "--ip", "10.99.0.1")
    until(lambda: "is done" in manager.said, f"the graph is done: {manager.said}")
    assert "'a' joined from 10.99.0.1" in manager.said
    got = values(tmp_path)
    assert got == list(range(1, len(got) + 1)) and got


def test_a_link_that_is_cut_for_five_seconds(network: Network, tmp_path: Path) -> None:
    """The stream goes on when the link is back; lost tokens are counted, and the graph ends."""
    host = "a"
    manager, _, b = start_all(network, tmp_path, 9_000_000)
    until(lambda: len(values(tmp_path)) > 3, "the stream runs")
    network.cut(host)
    cut_at = time.monotonic()
    told = until(lambda: [line for line in list(manager.err) if f"'{host}' is gone" in line], "the silence is noticed")
    assert in_time(told[0]), told
    until(lambda: time.monotonic() - cut_at >= 5, "five seconds")  # the test is about a cut of this length
    before = len(values(tmp_path))
    network.mend(host)
    until(lambda: f"'{host}' is back" in manager.said, f"it is back: {manager.said}")
    until(lambda: len(values(tmp_path)) > before + 3, "the stream goes on")
    until(lambda: "is done" in manager.said, "the graph ends")
    assert b.said.count("'b' joined") == 1, "the manager relays on, as the one that was cut off could come back"
    got = values(tmp_path)
    assert got == sorted(set(got))
    # Each value came, or is counted as lost, or its firing as skipped; none is both.
    (graph,) = status(network)["graphs"]
    missing = got[-1] - len(got)
    assert missing <= sum(kinds.get("lost", 0) for kinds in graph["counters"].values())


MARKED = """
from ticktalk import STREAMify, GRAPHify
import time
@STREAMify
def free(trigger):
    global sq_state
    begun = time.monotonic()
    sq_state["n"] = sq_state.get("n", 0) + 1
    print("mark free", sq_state["n"], begun, time.monotonic())
    return sq_state["n"]
@STREAMify
def fixed(trigger):
    global sq_state
    begun = time.monotonic()
    sq_state["n"] = sq_state.get("n", 0) + 1
    print("mark fixed", sq_state["n"], begun, time.monotonic())
    return sq_state["n"]
@GRAPHify
def main(trigger):
    free(trigger, TTPeriod=50000)
    with TTConstraint(name="a"):
        fixed(trigger, TTPeriod=50000)
"""
"""Two streams that say on which host, and when (one clock for all namespaces), they ran."""


def marks(ensemble: Process, sq: str) -> list[tuple[int, float, float]]:
    """Of each firing on an ensemble: its number, and from when to when it ran."""
    found = []
    for line in list(ensemble.err):
        _, mark, said = line.partition("mark ")
        words = said.split()
        if mark and len(words) == 4 and words[0] == sq:
            found.append((int(words[1]), float(words[2]), float(words[3])))
    return found


def test_an_ensemble_that_is_cut_off_holds_movable_sqs_and_fixed_ones_go_on(network: Network, tmp_path: Path) -> None:
    network.forward(True)
    (tmp_path / "marked.py").write_text(MARKED)
    (tmp_path / "mapping.json").write_text('{"free-1": "a", "fixed-1": "a"}')
    manager = network.command("m", "manager", "--ip", "0.0.0.0", "--rx-port", str(PORT), "--insecure")
    until(lambda: "listens" in manager.said, f"the manager listens: {manager.said}")
    a = network.command("a", "ensemble", "a", "--manager", f"10.77.1.1:{PORT}")
    b = network.command("b", "ensemble", "b", "--manager", f"10.77.2.1:{PORT}")
    until(lambda: "'a' joined" in manager.said and "'b' joined" in manager.said, "they join")
    assert "relayed" not in manager.said
    asked = ["--mapping", str(tmp_path / "mapping.json"), "--start", "--manager", f"127.0.0.1:{PORT}"]
    deploy = network.command("m", "deploy", str(tmp_path / "marked.py"), *asked)
    assert deploy.wait() == 0, deploy.said
    until(lambda: len(marks(a, "free")) > 40, "it runs, and is saved")
    network.cut("a")
    cut_at = time.monotonic()
    until(lambda: len(marks(b, "free")) > 10, f"what moves goes on on the other side: {manager.said}")
    until(lambda: time.monotonic() - cut_at >= 5, "five seconds")  # the test is about a cut of this length
    network.mend("a")
    mended_at = time.monotonic()
    until(lambda: "'a' is back" in manager.said, f"it is back: {manager.said}")
    told = [line for line in list(manager.err) if "'a' is gone" in line]
    assert in_time(told[0]), told
    until(lambda: "the manager is heard again" in a.said, "it hears the manager")
    before = len(marks(b, "free")), len(marks(a, "fixed"))
    until(lambda: len(marks(b, "free")) > before[0] + 20 and len(marks(a, "fixed")) > before[1] + 20, "all goes on")
    assert "suspended, because others may host them: free-1" in a.said
    # On one side at any time.
    there, here = marks(a, "free"), marks(b, "free")
    assert max(ended for _, _, ended in there) < min(begun for _, begun, _ in here)
    # From the last checkpoint, and on from there.
    numbers = [number for number, _, _ in here]
    assert 1 < numbers[0] <= there[-1][0] + 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    # Fixed SQs went on meanwhile, and went on after.
    fixed = marks(a, "fixed")
    during = [number for number, begun, _ in fixed if cut_at < begun < mended_at]
    assert len(during) >= 20 and not marks(b, "fixed")
    assert [number for number, _, _ in fixed] == list(range(1, len(fixed) + 1))
    (graph,) = status(network)["graphs"]
    assert graph["mapping"] == {"free-1": "b", "fixed-1": "a"} and graph["waits"] == []
    for process in (manager, a, b):
        assert "Traceback" not in process.said and "error in the runtime" not in process.said
