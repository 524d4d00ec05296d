"""`make faults`: faults of processes, links, disks and clocks, and the promises that the system keeps then.

    python faults.py [--write] [NAME | NAME,NAME | others]...

Each fault of the table strikes a system of real processes under load (`lab.py`): with keys, each process on a host of
its own, then without, all on one loopback. So do PAIRS (14) of two faults that overlap, drawn from SEED (1). The
promise is checked: streams that do not depend on what was struck miss nothing, nothing comes twice, all streams
are whole again within some seconds without a restart, and missing instants were counted. A pair keeps what both of its
faults promise. Then the document's other tests of processes run with keys, on an address (`others`). `--write` writes
the figures into `docs/guarantees.md`.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bad_link import Rule
from lab import ENSEMBLES, IDLE, STREAMS, UNDER_WAY, Bend, Lab, lacking, tool
from systems import until

DOCUMENT = Path(__file__).parents[2] / "docs" / "guarantees.md"

LOSSES = ("skipped", "lost", "overflow", "evicted", "late", "out_of_order", "stale")
"""The counters that say that an instant gave no output."""


ROW_OF_SKIPS = 15
"""Instants in a row that a busy machine may skip; more are the doing of a fault."""


class Fault(NamedTuple):
    """A fault and its promise.

    Attributes:
        name: for the command line and the document.
        target: "link", "ensemble", "worker", "manager", or "idle", an ensemble that hosts nothing: what is struck.
        text: what happens to it.
        begin, end: make it so on a host, and no more.
        seconds: between the two.
        within: seconds after the end in which all streams are whole.
        spares: True: also what depends on the target misses nothing.
        counted: True: all that is missing was counted. False: what dies with a process is not.
        moves: what may run elsewhere goes on there.
        restarts: the process is started again.
        promise: what else holds, for the document.
    """

    name: str
    target: str
    text: str
    begin: Callable[[Lab, str], None]
    end: Callable[[Lab, str], None]
    seconds: float
    within: float
    spares: bool = False
    counted: bool = True
    moves: bool = False
    restarts: bool = False
    promise: str = ""


def link(name: str, text: str, rule: Rule, seconds: float, within: float, **more: Any) -> Fault:
    """A fault of the link between an ensemble and all others."""

    def begin(lab: Lab, host: str) -> None:
        lab.link(host, rule)

    def end(lab: Lab, host: str) -> None:
        lab.link(host, Rule())

    return Fault(name, "link", text, begin, end, seconds, within, **more)


def still(name: str, target: str, seconds: float, within: float, **more: Any) -> Fault:
    """Processes that stand still."""

    def send(lab: Lab, host: str, number: signal.Signals) -> None:
        for pid in lab.workers(host) if target == "worker" else [lab.pid(host)]:
            os.kill(pid, number)

    def begin(lab: Lab, host: str) -> None:
        send(lab, host, signal.SIGSTOP)

    def end(lab: Lab, host: str) -> None:
        send(lab, host, signal.SIGCONT)

    return Fault(name, target, f"stands still for {seconds:g} s (SIGSTOP)", begin, end, seconds, within, **more)


def no_descriptors(target: str) -> Fault:
    """A process that gets no more descriptors."""

    def begin(lab: Lab, host: str) -> None:
        used = {int(number) for number in os.listdir(f"/proc/{lab.pid(host)}/fd")}
        lab.descriptors(host, min(set(range(len(used) + 1)) - used))

    def end(lab: Lab, host: str) -> None:
        lab.descriptors(host)

    name = f"no-descriptors-{target}"
    return Fault(name, target, "gets no more descriptors for 3 s", begin, end, 3, 5, spares=True)


def memory(target: str, text: str, within: float, **more: Any) -> Fault:
    """A group of processes whose memory is used up: the kernel kills the one that takes it, or a worker."""

    def begin(lab: Lab, host: str) -> None:
        lab.memory[host].take(lab.workers(host)[0] if target == "worker" else 0)

    def end(lab: Lab, host: str) -> None:
        lab.memory[host].give()

    return Fault(f"memory-{target}", target, text, begin, end, 3, within, **more)


def clock(
    name: str, text: str, seconds: float, within: float, bend: Bend, target: str = "ensemble", **more: Any
) -> Fault:
    """A clock that is wrong."""
    return Fault(
        name, target, text, lambda lab, host: lab.bend(host, bend), lambda lab, host: lab.bend(host, Bend()),
        seconds, within, **more,
    )  # fmt: skip


def full_disk_of_outputs(lab: Lab, host: str) -> None:
    lab.fill(host)
    lab.signal("m", signal.SIGSTOP)


def room_for_outputs(lab: Lab, host: str) -> None:
    lab.signal("m", signal.SIGCONT)
    lab.empty(host)


def kill_workers(lab: Lab, host: str) -> None:
    for pid in lab.workers(host):
        os.kill(pid, signal.SIGKILL)


def nothing(lab: Lab, host: str) -> None:
    """It ends by itself."""


HALF = 500_000_000
"""Nanoseconds: half a second."""

SHORT = "has no more memory than it uses for 3 s: a process of its cgroup takes the rest, and is killed by the kernel"

FAULTS = [
    link("late", "delays packets by 80 ms, more or less 20 ms, for 3 s", Rule(80, 20), 3, 5, spares=True),
    link("overtaken", "for 3 s lets a quarter of the packets overtake others, which take 20 ms, and a tenth come twice",
         Rule(20, 5, overtakes=0.25, copied=0.1), 3, 5, spares=True),
    link("lossy", "loses 20 % of the packets for 3 s", Rule(5, loss=0.2), 3, 5, spares=True),
    link("cut", "is cut for 1 s", Rule(loss=1.0), 1, 8),
    link("cut-long", "is cut for 6 s", Rule(loss=1.0), 6, 15, moves=True),
    Fault("kill", "ensemble", "dies with its worker (`kill -9`), and is started again after 1 s",
          lambda lab, host: lab.kill(host), lambda lab, host: lab.begin(host), 1, 15, counted=False, moves=True,
          restarts=True),
    still("still", "ensemble", 1, 8),
    still("still-long", "ensemble", 6, 12, moves=True),
    Fault("kill-worker", "worker", "dies (`kill -9`)", kill_workers, nothing, 0, 10,
          promise="it is replaced, and told with the firing that ran"),
    still("still-worker", "worker", 2, 8),
    Fault("kill-manager", "manager", "dies (`kill -9`), and is started again after 1 s over the same state",
          lambda lab, host: lab.kill(host), lambda lab, host: lab.begin(host), 1, 15, spares=True, restarts=True,
          promise="ensembles go on without it, and their outputs wait"),
    still("still-manager", "manager", 1, 5, spares=True),
    still("still-manager-long", "manager", 6, 10, spares=True,
          promise="ensembles go on without it, and their outputs wait"),
    Fault("full-disk", "manager", "finds the disk of its log full for 3 s", lambda lab, host: lab.fill(host),
          lambda lab, host: lab.empty(host), 3, 5, spares=True, promise="up to 1 MB of lines wait until there is room"),
    no_descriptors("ensemble"),
    no_descriptors("manager"),
    memory("ensemble", SHORT, 5, spares=True),
    memory("manager", SHORT, 5, spares=True),
    memory("worker", "is killed by the kernel, as the memory of its cgroup is used up", 10,
           promise="it is replaced, and told with the firing that ran"),
    clock("utc-step", "has its UTC set 500 ms ahead for 3 s", 3, 5, Bend(utc=HALF), spares=True,
          promise="UTC is read once, at the start"),
    clock("utc-step-manager", "has its UTC set 500 ms ahead for 3 s", 3, 5, Bend(utc=HALF), "manager", spares=True,
          promise="UTC is read once, at the start"),
    clock("clock-step", "has its monotonic clock jump ahead by 500 ms, as after a pause of its host, and stand still as"
          " long 2 s later", 2, 5, Bend(monotonic=HALF), promise="what is jumped over is counted as skipped"),
    clock("clock-drift", "has a clock that gains 2 ms a second for 5 s", 5, 5, Bend(drift=2_000_000), spares=True),
    Fault("full-disk-ensemble", "ensemble", "finds its disk full while the manager stands still for 6 s; it keeps"
          f" {UNDER_WAY} messages of outputs in memory, and others on the disk", full_disk_of_outputs,
          room_for_outputs, 6, 10, promise="the newest outputs that find no room are left out"),
    clock("clock-step-manager", "has its monotonic clock jump ahead by 500 ms, and stand still as long 2 s later", 2, 5,
          Bend(monotonic=HALF), "manager", spares=True, promise="ensembles keep their time"),
    clock("clock-drift-manager", "has a clock that gains 2 ms a second for 5 s", 5, 5, Bend(drift=2_000_000), "manager",
          spares=True),
    Fault("kill-idle", "idle", "dies (`kill -9`), and is started again after 3 s", lambda lab, host: lab.kill(host),
          lambda lab, host: lab.begin(host), 3, 5, spares=True, restarts=True),
    still("still-idle", "idle", 6, 5, spares=True),
]  # fmt: skip
"""All faults. An ensemble that is struck is the one on which the stream lives that may move."""


class Found(NamedTuple):
    """What a fault did.

    Attributes:
        whole: seconds after its end from which on all streams were whole.
        missing: instants without an output, by stream.
        counted: what the system counted meanwhile, by kind.
        struck: the hosts.
        problems: what was promised and did not hold.
    """

    whole: float
    missing: dict[str, int]
    counted: dict[str, int]
    struck: str
    problems: list[str]


def hosts_of(faults: Sequence[Fault], mover: str) -> list[str]:
    """Which host each fault strikes: the manager's, the idle one, or that of the stream that may move, then `a`."""
    ensembles = iter((mover, "a"))
    return [{"manager": "m", "idle": IDLE}.get(fault.target) or next(ensembles) for fault in faults]


CUT_OFF = {"kill-manager", "no-descriptors-ensemble"}
"""Together they do more than each: an ensemble without descriptors cannot connect to the manager that starts anew."""


def together(one: Fault, other: Fault) -> Fault:
    """The promise of two faults that overlap: all that both promise, within the longer time.

    The manager has what may move go on elsewhere, so that is promised of no pair that strikes the manager.
    """
    moves = one.moves and "manager" not in (one.target, other.target)
    return one._replace(
        name=f"{one.name},{other.name}",
        within=max(one.within, other.within),
        spares=one.spares and other.spares and {one.name, other.name} != CUT_OFF,
        counted=one.counted and other.counted,
        moves=moves,
        restarts=one.restarts or other.restarts,
        promise="",
    )


def strike(lab: Lab, *faults: Fault) -> Found:
    """Let a fault, or two that overlap, strike; what came of it."""
    mover, before = lab.mover_and_counts()
    struck = hosts_of(faults, mover)
    promised = faults[0] if len(faults) == 1 else together(*faults)
    for host in set(struck) - set(lab.processes):
        lab.begin(host)
        lab.is_there(host)
    processes = {host: lab.pid(host) for host in lab.processes}
    began, twice = lab.latest(), lab.twice()
    ends, over = [], 0
    for number, (fault, host) in enumerate(zip(faults, struck, strict=True)):
        fault.begin(lab, host)
        ends.append((time.monotonic() + fault.seconds + 0.3 * number, fault, host))
    for at, fault, host in sorted(ends, key=lambda end: end[0]):
        time.sleep(max(0.0, at - time.monotonic()))  # the length of the fault
        over = lab.now()
        fault.end(lab, host)
    again = [host for fault, host in zip(faults, struck, strict=True) if fault.restarts]
    for host in again:
        lab.is_there(host)
    whole = lab.steady(over)
    lab.read()
    missing = {name: lab.missing(name, began, whole + 400_000) for name in STREAMS}
    problems = []
    spared = missing
    if not promised.spares:
        spared = {name: missing[name] for name in STREAMS if not set(struck) & set(STREAMS[name])}
    row = max((lab.in_a_row(name, began, whole + 400_000) for name in spared), default=0)
    if row > ROW_OF_SKIPS:
        problems.append(f"{row} instants in a row are missing where nothing should be")
    counted: dict[str, int] = {}

    def adds_up() -> bool:
        """Counters come with reports, a while later. A busy machine starts instants too late, and counts them."""
        nonlocal mover
        mover, now = lab.mover_and_counts()
        counted.update({kind: now[kind] - before[kind] for kind in now if now[kind] > before[kind]})
        every = sum(missing.values()) if promised.counted else 0
        lost = sum(counted.get(kind, 0) for kind in LOSSES)
        return lost >= every and counted.get("skipped", 0) >= sum(spared.values())

    try:
        until(adds_up, "all that is missing is counted", 20)
    except AssertionError:
        problems.append(f"missing are {missing}, of which should not be {spared}, and these were counted: {counted}")
    seconds = max(0.0, (whole - over) / 1e6)
    if seconds > promised.within:
        problems.append(f"whole again after {seconds:.1f} s, promised were {promised.within:g} s")
    if lab.twice() > twice:
        problems.append(f"{lab.twice() - twice} outputs came twice")
    if promised.moves and mover == struck[0]:
        problems.append(f"what may move stayed on {mover!r}")
    restarted = [host for host, pid in processes.items() if lab.pid(host) != pid and host not in again]
    if restarted:
        problems.append(f"processes were restarted: {restarted}")
    if IDLE in lab.processes:
        lab.leave(IDLE)
    problems += lab.said_badly()
    return Found(seconds, missing, counted, "".join(sorted(struck)), problems)


Pair = tuple[Fault, Fault]

ALONE = ("manager", "idle")
"""Targets of which there is one."""


PART = 23
"""Faults that are drawn before those behind them in the table: one that is added leaves earlier pairs as they are."""


def pairs(count: int, seed: int) -> list[Pair]:
    """So many pairs of faults that strike different processes; each fault is in one before any is in a second."""
    chance = random.Random(seed)
    parts = itertools.cycle([FAULTS[at : at + PART] for at in range(0, len(FAULTS), PART)])
    found: list[Pair] = []
    pool: list[Fault] = []
    while len(found) < count:
        if len(pool) < 2 or (len({fault.target for fault in pool}) == 1 and pool[0].target in ALONE):
            more = [fault for fault in next(parts) if fault not in pool]
            chance.shuffle(more)
            pool += more
        one = pool.pop(0)
        other = next(each for each in pool if one.target not in ALONE or each.target != one.target)
        pool.remove(other)
        found.append((one, other))
    return found


COUNT, SEED = 14, 1
"""The pairs of the document."""


def evidence(found: Found) -> str:
    """The figures of a run, for the document."""
    struck = sum(count for name, count in found.missing.items() if set(found.struck) & set(STREAMS[name]))
    other = sum(found.missing.values()) - struck
    counted = sum(found.counted.get(kind, 0) for kind in LOSSES)
    counts = "all counted" if counted >= sum(found.missing.values()) else f"{counted} counted"
    where = f"{other} instants missing"
    if set(found.struck) & set(ENSEMBLES):
        where = f"{struck} instants missing in what depends on it, {other} elsewhere"
    return f"whole after {found.whole:.1f} s; {where}; {counts}; none twice"


def promises(fault: Fault) -> str:
    """The promise of a row, in words."""
    told = [
        "no output is missing" if fault.spares else "what does not depend on it misses nothing",
        "nothing comes twice",
        f"all is whole again within {fault.within:g} s, without a restart",
    ]
    if fault.moves:
        told.append("what may run elsewhere goes on there from its last checkpoint, and never on both")
    if not fault.spares and fault.counted:
        told.append("what is missing is counted")
    return "; ".join([*told, *filter(None, [fault.promise])])


def left_out(lab: Lab, fault: Fault) -> bool:
    """Whether a fault cannot be made here."""
    return fault.name.startswith("memory") and bool(lab.without_memory)


ROW = re.compile(r"^\| (\w+) \| `([\w-]+)`: (.*?) \| (.*?) \| (.*) \|$", re.MULTILINE)
"""A row of the document: target, name, text, promise and evidence of a fault."""

PAIR = re.compile(r"^\| `([\w-]+)`, `([\w-]+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
"""A row of a pair: the two names, promise and evidence."""


def write(figures: dict[str, list[str]]) -> None:
    """Write the tables between their marks in the document; what was not tried keeps its figures.

    Args:
        figures: by fault, or by pair (`NAME,NAME`), what it did.
    """
    text = DOCUMENT.read_text()
    known = {name: evidence for _, name, _, _, evidence in ROW.findall(text)}
    known |= {f"{one},{other}": evidence for one, other, _, evidence in PAIR.findall(text)}
    known |= {name: f"{time.strftime('%Y-%m-%d')}. {'. '.join(told)}" for name, told in figures.items()}
    lines = ["| struck | fault | promise | evidence |", "|---|---|---|---|"]
    for fault in FAULTS:
        told = known.get(fault.name, "")
        lines.append(f"| {fault.target} | `{fault.name}`: {fault.text} | {promises(fault)} | {told} |")
    paired = ["| pair | promise | evidence |", "|---|---|---|"]
    for one, other in pairs(COUNT, SEED):
        both = together(one, other)
        paired.append(f"| `{one.name}`, `{other.name}` | {promises(both)} | {known.get(both.name, '')} |")
    for mark, table in (("faults", lines), ("pairs", paired)):
        made = "\n".join([f"<!-- {mark} -->", *table, f"<!-- end of {mark} -->"])
        there = re.compile(f"<!-- {mark} -->.*<!-- end of {mark} -->", re.DOTALL)
        text = there.sub(lambda _, made=made: made, text)
    DOCUMENT.write_text(text)


def tried(lab: Lab, faults: Sequence[Fault]) -> Found:
    """Strike; once more if something did not hold, because the machine may have stood still, too: not twice."""
    found = strike(lab, *faults)
    if found.problems:
        print(f"once more: {found.problems}", flush=True)
        found = strike(lab, *faults)
    return found


def chosen(names: Sequence[str]) -> list[tuple[Fault, ...]]:
    """The faults and pairs with these names; all of them, and the drawn pairs, where none is named.

    Raises:
        SystemExit: there is no such fault.
    """
    known = {fault.name: fault for fault in FAULTS}
    wanted = [tuple(name.split(",")) for name in names]
    unknown = {name for each in wanted for name in each} - set(known)
    if unknown:
        sys.exit(f"no such fault: {', '.join(sorted(unknown))} (there are: {', '.join(known)})")
    found = [tuple(known[name] for name in each) for each in wanted or [(name,) for name in known]]
    count, seed = int(os.environ.get("PAIRS", "0" if names else COUNT)), int(os.environ.get("SEED", SEED))
    return [*found, *pairs(count, seed)]


OTHERS = "others"
"""The name of the tests below."""

TESTS = [
    "test_overload.py::test_ten_times_the_load_is_bounded_counted_and_answered",
    "test_worker_memory.py::test_a_worker_over_its_memory_is_replaced_and_the_firing_is_named",
    "test_healing.py::test_a_killed_worker_is_replaced_and_its_instances_go_on",
    "test_links.py::test_an_ensemble_that_stood_still_is_reached_directly_when_it_goes_on",
    "test_realtime.py::test_an_ensemble_keeps_time_before_all_others_and_its_worker_is_an_ordinary_process",
    "test_manager_killed.py::test_each_output_of_a_stream_arrives_once_and_the_ensembles_run_on",
    "test_manager_killed.py::test_killed_amid_deployments_starts_and_drains_it_goes_on",
    "test_manager_killed.py::test_an_ensemble_that_is_alone_goes_on_while_no_manager_listens",
    "test_replacing.py::test_a_manager_killed_before_at_and_after_the_switch_loses_nothing",
]
"""Tests of the document's second table that start processes. `make test` runs them on loopback, without keys."""


def with_keys(tests: Sequence[str]) -> int:
    """Run tests once more: with keys, on an address of a host of its own; the exit status."""
    name, address = f"tt{os.getpid()}k", "10.79.0.1"
    tool("ip", "netns", "add", name)
    try:
        tool("ip", "-n", name, "link", "set", "lo", "up")
        tool("ip", "-n", name, "addr", "add", f"{address}/32", "dev", "lo")
        paths = [str(Path(__file__).with_name(test)) for test in tests]
        command = ["ip", "netns", "exec", name, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths]
        return subprocess.run(command, env={**os.environ, "TICKTALK_TESTS_ADDRESS": address}).returncode
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def strike_all(every: Sequence[tuple[Fault, ...]], to_write: bool) -> set[str]:
    """Strike with faults and pairs, both ways; those of which not all held that was promised."""
    figures: dict[str, list[str]] = {}
    failed: set[str] = set()
    for keys in (True, False):
        where = "with keys" if keys else "on one host"
        print(f"--- {where}", flush=True)
        lab = Lab(keys)
        try:
            for faults in every:
                name = ",".join(fault.name for fault in faults)
                if any(left_out(lab, fault) for fault in faults):
                    print(f"{name:24}left out: {lab.without_memory}", flush=True)
                elif keys or all(fault.target != "link" for fault in faults):
                    found = tried(lab, faults)
                    print(f"{name:24} {evidence(found)}", found.counted, *found.problems, sep="\n    ", flush=True)
                    figures.setdefault(name, []).append(f"{where}: {evidence(found)}")
                    if found.problems:
                        failed.add(name)
        finally:
            lab.end()
    if to_write:
        write({name: told for name, told in figures.items() if name not in failed})
    return failed


def main(names: list[str], to_write: bool) -> int:
    """Strike with all faults and pairs, and run the other tests with keys; or what is named; the exit status."""
    faults = [name for name in names if name != OTHERS]
    every = chosen(faults) if faults or not names else []
    if why := lacking():
        print(why, file=sys.stderr)
        return 1
    failed = strike_all(every, to_write) if every else set()
    if not names or OTHERS in names:
        print("--- the other tests with keys, on an address", flush=True)
        if with_keys(TESTS):
            failed.add(OTHERS)
        elif to_write:
            text = re.sub(r"(<!-- others -->\n)[\d-]+", rf"\g<1>{time.strftime('%Y-%m-%d')}", DOCUMENT.read_text())
            DOCUMENT.write_text(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main([word for word in sys.argv[1:] if word != "--write"], "--write" in sys.argv))
