"""`make faults`: faults of processes, links, disks and clocks, and the promises that the system keeps then.

    python faults.py [--write] [NAME...]

Each fault of the table strikes a system of real processes under load (`lab.py`): with keys, each process on a host of
its own, then without, all on one loopback. PAIRS (10) pairs from SEED (1) overlap. What the row promises is checked:
streams that do not depend on what was struck miss nothing, nothing comes twice, all streams are whole again within some
seconds without a restart, and missing instants were counted. `--write` writes the figures into `docs/guarantees.md`.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from bad_link import Rule
from lab import STREAMS, Bend, Lab, lacking
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
        target: "link", "ensemble", "worker" or "manager": what is struck.
        text: what happens to it.
        begin, end: make it so on a host, and no more.
        seconds: between the two.
        within: seconds after the end in which all streams are whole.
        spares: True: also what depends on the target misses nothing.
        counted: True: all that is missing was counted. False: what dies with a process is not.
        moves: what may run elsewhere goes on there.
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


def starts_again(lab: Lab, host: str) -> None:
    """As its service would start it."""
    lab.begin(host)
    lab.joined(host)


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
          lambda lab, host: lab.kill(host), starts_again, 1, 15, counted=False, moves=True),
    still("still", "ensemble", 1, 8),
    still("still-long", "ensemble", 6, 12, moves=True),
    Fault("kill-worker", "worker", "dies (`kill -9`)", kill_workers, nothing, 0, 10,
          promise="it is replaced, and told with the firing that ran"),
    still("still-worker", "worker", 2, 8),
    still("still-manager", "manager", 1, 5, spares=True),
    still("still-manager-long", "manager", 6, 10, spares=True,
          promise="ensembles go on without it, and their outputs wait"),
    Fault("full-disk", "manager", "finds the disk of its log full for 3 s", lambda lab, host: lab.fill(),
          lambda lab, host: lab.empty(), 3, 5, spares=True, promise="up to 1 MB of lines wait until there is room"),
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
    clock("clock-drift", "has a clock that gains 0.2 ms a second for 5 s", 5, 5, Bend(drift=200_000), spares=True),
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


def strike(lab: Lab, *faults: Fault) -> Found:
    """Let one fault, or several that overlap, strike; what came of it."""
    # Of two, one strikes the ensemble whose stream may move, and the other one `a`.
    mover, before = lab.mover_and_counts()
    hosts = dict(zip(faults, (mover, "a"), strict=False))
    hosts |= {fault: "m" for fault in faults if fault.target == "manager"}
    others = {host: lab.pid(host) for host in lab.processes}
    began = lab.latest()
    twice = lab.twice()
    ends, over = [], 0
    for number, fault in enumerate(faults):
        fault.begin(lab, hosts[fault])
        ends.append((time.monotonic() + fault.seconds + 0.3 * number, fault))
    for at, fault in sorted(ends, key=lambda end: end[0]):
        time.sleep(max(0.0, at - time.monotonic()))  # the length of the fault
        over = lab.now()
        fault.end(lab, hosts[fault])
    whole = lab.steady(over)
    lab.read()
    missing = {name: lab.missing(name, began, whole + 400_000) for name in STREAMS}
    problems = []
    spared = {name: missing[name] for name in STREAMS if not set(hosts.values()) & set(STREAMS[name])}
    if all(fault.spares for fault in faults):
        spared = missing
    row = max((lab.in_a_row(name, began, whole + 400_000) for name in spared), default=0)
    if row > ROW_OF_SKIPS and all(fault.spares for fault in faults):
        problems.append(f"{row} instants in a row are missing where nothing should be")
    within = sum(fault.within for fault in faults)
    counted: dict[str, int] = {}

    def adds_up() -> bool:
        """Counters come with reports, a while later. A busy machine starts instants too late, and counts them."""
        nonlocal mover
        mover, now = lab.mover_and_counts()
        counted.update({kind: now[kind] - before[kind] for kind in now if now[kind] > before[kind]})
        every = sum(missing.values()) if all(fault.counted for fault in faults) else 0
        lost = sum(counted.get(kind, 0) for kind in LOSSES)
        return lost >= every and counted.get("skipped", 0) >= sum(spared.values())

    try:
        until(adds_up, "all that is missing is counted", 20)
    except AssertionError:
        problems.append(f"missing are {missing}, of which should not be {spared}, and these were counted: {counted}")
    seconds = max(0.0, (whole - over) / 1e6)
    if seconds > within:
        problems.append(f"whole again after {seconds:.1f} s, promised were {within:g} s")
    if lab.twice() > twice:
        problems.append(f"{lab.twice() - twice} outputs came twice")
    for fault in faults:
        if fault.moves and mover == hosts[fault]:
            problems.append(f"what may move stayed on {hosts[fault]!r}")
    restarted = [host for host, pid in others.items() if lab.pid(host) != pid]
    if restarted and not any(fault.name == "kill" for fault in faults):
        problems.append(f"processes were restarted: {restarted}")
    problems += lab.said_badly()
    return Found(seconds, missing, counted, "".join(sorted(set(hosts.values()))), problems)


def pairs(count: int, seed: int) -> list[tuple[Fault, Fault]]:
    """So many pairs of faults that strike different things."""
    chance = random.Random(seed)
    found: list[tuple[Fault, Fault]] = []
    while len(found) < count:
        one, other = chance.sample(FAULTS, 2)
        if {one.target, other.target} != {"manager"} and other.name != "kill":
            found.append((one, other))
    return found


def evidence(found: Found) -> str:
    """The figures of a run, for the document."""
    struck = sum(count for name, count in found.missing.items() if set(found.struck) & set(STREAMS[name]))
    other = sum(found.missing.values()) - struck
    counted = sum(found.counted.get(kind, 0) for kind in LOSSES)
    counts = "all counted" if counted >= sum(found.missing.values()) else f"{counted} counted"
    where = f"{other} instants missing"
    if found.struck != "m":
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


def write(figures: dict[str, list[str]], paired: str) -> None:
    """Write the table between its two marks in the document; faults that were not tried keep their figures.

    Args:
        figures: by fault, what it did.
        paired: the sentence about pairs; empty: as it is.
    """
    text = DOCUMENT.read_text()
    known = {name: evidence for _, name, _, _, evidence in ROW.findall(text)}
    known |= {name: f"{time.strftime('%Y-%m-%d')}. {'. '.join(told)}" for name, told in figures.items()}
    before = re.search(r"^\d+ pairs .*$", text, re.MULTILINE)
    paired = paired or (before[0] if before else "")
    lines = ["| struck | fault | promise | evidence |", "|---|---|---|---|"]
    for fault in FAULTS:
        told = known.get(fault.name, "")
        lines.append(f"| {fault.target} | `{fault.name}`: {fault.text} | {promises(fault)} | {told} |")
    table = "\n".join(["<!-- faults -->", *lines, "", paired, "<!-- end of faults -->"])
    DOCUMENT.write_text(re.sub(r"<!-- faults -->.*<!-- end of faults -->", lambda _: table, text, flags=re.DOTALL))


def main(names: list[str], to_write: bool) -> int:
    """Strike with all faults, or those that are named; the exit status."""
    if why := lacking():
        print(why, file=sys.stderr)
        return 1
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    count, seed = int(os.environ.get("PAIRS", "0" if names else "10")), int(os.environ.get("SEED", "1"))
    figures: dict[str, list[str]] = {}
    paired: list[float] = []
    problems: list[str] = []

    def tell(what: str, found: Found) -> None:
        problems.extend(found.problems)
        print(f"{what:24}{evidence(found)}", found.counted, *found.problems, sep="\n    ", flush=True)

    for keys in (True, False):
        where = "with keys" if keys else "on one host"
        print(f"--- {where}", flush=True)
        lab = Lab(keys)
        try:
            for fault in chosen:
                if left_out(lab, fault):
                    print(f"{fault.name:24}left out: {lab.without_memory}", flush=True)
                elif keys or fault.target != "link":
                    found = strike(lab, fault)
                    if found.problems:  # the machine may have stood still, too: it is not to do so twice
                        print(f"{fault.name} once more: {found.problems}", flush=True)
                        found = strike(lab, fault)
                    tell(fault.name, found)
                    figures.setdefault(fault.name, []).append(f"{where}: {evidence(found)}")
            for one, other in pairs(count, seed) if keys else ():
                if left_out(lab, one) or left_out(lab, other):
                    continue
                found = strike(lab, one, other)
                tell(f"{one.name}, {other.name}", found)
                paired.append(found.whole)
        finally:
            lab.end()
    if to_write and not problems:
        every = f"{count} pairs of them from seed {seed}, overlapping, with keys: whole after at most "
        write(figures, f"{every}{max(paired):.1f} s, none twice." if paired else "")
    return 1 if problems else 0


if __name__ == "__main__":
    asked = [word for word in sys.argv[1:] if word != "--write"]
    unknown = [word for word in asked if word not in [fault.name for fault in FAULTS]]
    if unknown:
        sys.exit(f"no such fault: {', '.join(unknown)} (there are: {', '.join(fault.name for fault in FAULTS)})")
    sys.exit(main(asked, "--write" in sys.argv))
