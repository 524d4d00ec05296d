"""`make soak`: 40 SQs on eight ensembles, under random faults, for SOAK_SECONDS (3600) from SEED (1).

Memory, descriptors and threads of each process, what became of each instant of each stream, and where each count came
from, are shown as tables at the end, and written to SOAK_REPORT (soak.json). What grows, comes twice, is missing for
long, or is counted too often fails. A count that goes up by more than `JUMP`, and an output that comes twice, are told
at once, with the faults before. `--write` writes the figures into `docs/guarantees.md`, too.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos import Chaos, World, run
from systems import HEAD, children

from ticktalk.payloads import IdleReport, OutputToken

DOCUMENT = Path(__file__).parents[2] / "docs" / "guarantees.md"

LANES = 5
PERIOD = 200_000
"""Root ticks between two values of a stream."""

STAGES = 6
"""SQs of a lane between its stream and its sink."""

NAMES = "abcdefgh"


def lanes() -> str:
    """The program: five streams, each through six SQs that count to a sink; each SQ has two possible hosts."""
    text = [
        HEAD,
        "@STREAMify\ndef source(trigger):\n    global sq_state\n    sq_state['n'] = sq_state.get('n', 0) + 1\n"
        "    return [sq_state['n']]\n"
        "@SQify\ndef stage(x):\n    global sq_state\n    sq_state['seen'] = sq_state.get('seen', 0) + 1\n"
        "    return [*x, sq_state['seen']]\n"
        "@SQify\ndef sink(x):\n    return x\n@GRAPHify\ndef main(trigger):\n",
    ]
    for lane in range(LANES):
        for number in range(STAGES + 2):
            name = f"v{lane}_{number}"
            call = f"stage(v{lane}_{number - 1})"
            if not number:
                call = f"source(trigger, TTPeriod={PERIOD})"
            elif number == STAGES + 1:
                call = f"sink(v{lane}_{number - 1})"
            component = f"c{(3 * lane + number) % len(NAMES)}"
            text.append(f"    with TTConstraint(components=['{component}']):\n        {name} = {call}\n")
    return "".join(text)


def lane_of(sq: str) -> int:
    """The lane of an SQ, from 0."""
    kind, _, number = sq.rpartition("-")
    return (int(number) - 1) // (STAGES if kind == "stage" else 1)


WORLD = World(
    {name: [f"c{number}", f"c{(number + 1) % len(NAMES)}"] for number, name in enumerate(NAMES)},
    {"lanes": lanes()},
    [("lanes", f"sink-{lane + 1}") for lane in range(LANES)],
    (3.0, 12.0),
)

GROWTH = 48
"""MB by which a process may be larger at its end than a minute after its start."""

LOST = 12
"""Seconds of a stream that may be missing for each fault."""

AGAIN = 10
"""Tokens of a stream that may count as lost for each fault though their outputs came: taken since a checkpoint."""

SHOWN = 40
"""Sources of counts that are shown; the report has all."""

JUMP = 100
"""A count that goes up by more at once is told."""

BEFORE = 8
"""Lines of what happened before it, in such a case."""

REMEMBERED = 100
"""Outputs of each sink of which the values are remembered: one that comes again comes soon."""


class Ledger:
    """The instants of each sink whose outputs have come.

    Attributes:
        story: what has happened so far.
    """

    def __init__(self) -> None:
        self.story: list[str] = []
        self._lock = threading.Lock()
        self._seen: dict[str, set[int]] = {}
        self._latest: dict[str, dict[int, OutputToken]] = {}
        self._twice: Counter[str] = Counter()

    def add(self, token: OutputToken) -> None:
        """Take an output."""
        with self._lock:
            seen, start = self._seen.setdefault(token.sq, set()), int(token.start)
            latest = self._latest.setdefault(token.sq, {})
            if start in seen:
                self._twice[token.sq] += 1
                first = latest.get(start)
                before = f"{first.value} from {first.ensemble}" if first is not None else "long ago"
                again = f"{token.value} from {token.ensemble}"
                _tell(f"tick {start}: an output of {token.sq} came again: {again}; before: {before}", self.story)
            seen.add(start)
            latest[start] = token
            if len(latest) > REMEMBERED:
                del latest[next(iter(latest))]

    def lines(self, counted: Mapping[int, Mapping[str, int]]) -> dict[str, dict[str, float]]:
        """By sink: instants that came, came twice, and are missing between the first and the last; the longest gap.

        Args:
            counted: by lane, what its SQs counted, by kind.
        """
        found = {}
        with self._lock:
            for sq, seen in sorted(self._seen.items()):
                order = sorted(seen)
                gaps = [after - before for before, after in itertools.pairwise(order)]
                found[sq] = {
                    "came": len(order),
                    "twice": self._twice[sq],
                    "missing": sum(round(gap / PERIOD) - 1 for gap in gaps),
                    "counted_lost": counted[int(sq.rpartition("-")[2]) - 1]["lost"],
                    "counted_skipped": counted[int(sq.rpartition("-")[2]) - 1]["skipped"],
                    "longest_gap_s": round(max(gaps, default=0) / 1e6, 1),
                }
        return found


class Sources:
    """The sources of each count: its kind, its SQ with the host, the ensemble that counted it, the latest fault before.

    A lost token is counted by its receiver, under its sender.
    """

    def __init__(self) -> None:
        self._counted: Counter[tuple[str, str, str, str, str]] = Counter()
        self._reports: dict[str, IdleReport] = {}

    def look(self, chaos: Chaos) -> None:
        """Compare the latest reports with those before."""
        graph = chaos.system.manager.process.state.graphs["lanes"]
        for context in list(graph.contexts.values()):
            for name, report in dict(context.completion.latest).items():
                before = self._reports.get(name)
                if report is not before:
                    self._reports[name] = report
                    self._compare(before, report, graph.host_of, chaos)

    def _compare(self, before: IdleReport | None, report: IdleReport, host_of: Mapping[str, str], chaos: Chaos) -> None:
        for sq, kinds in report.counts.items():
            known = before.counts.get(sq, {}) if before is not None else {}
            for kind, count in kinds.items():
                more = count - known.get(kind, 0)
                if more < 0:  # its ensemble was started anew
                    more = count
                if more:
                    sender = host_of.get(sq, "")
                    self._counted[kind, sq, sender, report.ensemble, chaos.latest] += more
                if more > JUMP:
                    arc = f"{sq}/0"
                    was = before.received.get(arc) if before is not None else None
                    numbers = f"number {was}, then {report.received.get(arc)} on {arc}"
                    what = f"{report.ensemble} counted {more} {kind} of {sq} on {sender}: {numbers}"
                    _tell(f"tick {time.time_ns() // 1000}: {what}", chaos.story)

    def lines(self) -> list[dict[str, Any]]:
        """Each source and its count, the largest first."""
        columns = "counted", "sq", "of", "by", "after"
        return [{**dict(zip(columns, key, strict=True)), "times": count} for key, count in self._counted.most_common()]


def _tell(text: str, story: list[str]) -> None:
    """Tell of what should not be, with what happened before."""
    print("\n    ".join([text, *story[-BEFORE:]]), file=sys.stderr, flush=True)


class Sizes:
    """The sizes of each process over time: of the manager's, of ensembles, of their workers; over all their starts."""

    def __init__(self) -> None:
        self._next = 0.0
        self.of: dict[str, dict[int, list[tuple[float, int, int, int]]]] = {}  # by name, then by pid

    def look(self, chaos: Chaos) -> None:
        """Look at all processes, every five seconds."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + 5
        self._note("manager", os.getpid(), now)
        for name, process in chaos.system.ensembles.items():
            if process.popen.poll() is None:
                self._note(name, process.popen.pid, now)
                for number, worker in enumerate(sorted(children(process.popen.pid))):
                    self._note(f"{name}, worker {number + 1}", worker, now)

    def _note(self, name: str, pid: int, now: float) -> None:
        try:
            status = dict(
                line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
            )
            size = int(status["VmRSS"].split()[0]) // 1024, len(os.listdir(f"/proc/{pid}/fd")), int(status["Threads"])
        except (OSError, KeyError):
            return  # it has just ended
        self.of.setdefault(name, {}).setdefault(pid, []).append((now, *size))

    def lines(self) -> dict[str, dict[str, int]]:
        """By process: how many there were, and the largest and last sizes of those that lived longest."""
        found = {}
        for name, starts in sorted(self.of.items()):
            longest = max(starts.values(), key=lambda looks: looks[-1][0] - looks[0][0])
            settled = [look for look in longest if look[0] >= longest[0][0] + 60] or longest[-1:]
            every = [look for looks in starts.values() for look in looks]
            found[name] = {
                "starts": len(starts),
                "lived_s": round(longest[-1][0] - longest[0][0]),
                "mb_settled": settled[0][1],
                "mb_last": longest[-1][1],
                "mb_most": max(look[1] for look in every),
                "descriptors_settled": settled[0][2],
                "descriptors_last": longest[-1][2],
                "descriptors_most": max(look[2] for look in every),
                "threads_last": longest[-1][3],
                "threads_most": max(look[3] for look in every),
            }
        return found


def problems(report: dict[str, Any]) -> list[str]:
    """What is not as it must be."""
    found = []
    for name, line in report["processes"].items():
        if line["mb_last"] > line["mb_settled"] + GROWTH:
            found.append(f"the memory of {name} grew from {line['mb_settled']} to {line['mb_last']} MB")
        if line["descriptors_last"] > line["descriptors_settled"] + 16:
            before, after = line["descriptors_settled"], line["descriptors_last"]
            found.append(f"the open descriptors of {name} grew from {before} to {after}")
    faults = sum(report["faults"].values())
    for name, line in report["streams"].items():
        if line["twice"]:
            found.append(f"{line['twice']} outputs of {name} came twice after {faults} faults")
        if line["counted_lost"] > line["missing"] + AGAIN * faults:
            found.append(f"{line['counted_lost']} tokens of {name} count as lost, and {line['missing']} are missing")
        if line["missing"] * PERIOD > LOST * 1e6 * max(1, faults):
            found.append(f"{line['missing']} instants of {name} are missing after {faults} faults")
    return found


def show(report: dict[str, Any]) -> None:
    """Print a report as tables."""
    print(f"\n{report['seconds']} s, seed {report['seed']}; faults: {report['faults']}")
    print(f"counted by SQs: {report['counters']}; by ensembles: {report['of_ensembles']}")
    for part in ("processes", "streams"):
        if not report[part]:
            continue
        columns = list(next(iter(report[part].values())))
        print("\n" + f"{part:14}" + "".join(f"{column:>20}" for column in columns))
        for name, line in report[part].items():
            print(f"{name:14}" + "".join(f"{line[column]:>20}" for column in columns))
    print("\nwhere counts came from")
    for line in report["sources"][:SHOWN]:
        print("{times:>8} {counted:12} of {sq} on {of}, by {by}, after {after}".format_map(line))


def write(report: dict[str, Any]) -> None:
    """Write the figures of a run that went well between their two marks in the document."""
    kinds = {"still": "stand-stills", "kill": "kills", "drain": "drains", "interrupt": "ends", "worker": "worker kills"}
    faults = ", ".join(f"{count} {kinds[kind]}" for kind, count in sorted(report["faults"].items()))
    lines = [
        f"`SEED={report['seed']} make soak` ran for {report['seconds']} s on {report['date']}, beside other work on"
        f" {report['cores']} cores (load average {report['load']}):",
        "40 SQs on eight ensembles, five streams of 5 values a second, each through eight SQs.",
        f"There were {faults}. All checks of `tests/physical/chaos.py` passed.",
        "Missing instants that are not counted lie between the loss of a stream's ensemble and its start elsewhere.",
        "A token that an SQ had taken since its last checkpoint counts as lost, though its output came.",
        "Of each process its longest-lived start is shown: after a minute, at last, and the most of all starts.",
        "",
        "| process | starts | lived | memory | descriptors | threads (last, most) |",
        "|---|---|---|---|---|---|",
    ]
    for name, line in report["processes"].items():
        if "worker" not in name or name == "a, worker 1":
            mb, descriptors = (
                ", ".join(str(line[f"{what}_{when}"]) for when in ("settled", "last", "most"))
                for what in ("mb", "descriptors")
            )
            cells = [name, line["starts"], f"{line['lived_s']} s", f"{mb} MB", descriptors]
            lines.append(f"| {' | '.join(map(str, cells))} | {line['threads_last']}, {line['threads_most']} |")
    lines += ["", "| stream | instants that came | twice | missing | counted as lost | as skipped | longest gap |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, line in report["streams"].items():
        cells = (line[column] for column in ("came", "twice", "missing", "counted_lost", "counted_skipped"))
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {line['longest_gap_s']} s |")
    table = "\n".join(["<!-- soak -->", *lines, "<!-- end of soak -->"])
    text = re.sub(r"<!-- soak -->.*<!-- end of soak -->", lambda _: table, DOCUMENT.read_text(), flags=re.DOTALL)
    DOCUMENT.write_text(text)


def soak(seconds: float, seed: int) -> dict[str, Any]:
    """Run it; the report.

    Raises:
        AssertionError: as `chaos.run`.
    """
    ledger, sizes, sources = Ledger(), Sizes(), Sources()
    counters: dict[int, Counter[str]] = {}
    own: dict[str, Counter[str]] = {}

    def look(chaos: Chaos) -> None:
        if not sizes.of:
            ledger.story = chaos.story
            chaos.system.manager.on_output(ledger.add)
        sizes.look(chaos)
        sources.look(chaos)
        faults.update(chaos.happened - faults)
        counters.update({lane: Counter() for lane in range(LANES)})
        for (_, name, kind), count in chaos.counts().items():
            if name not in (*NAMES, "runtime-manager"):
                counters[lane_of(name)][kind] += count
            else:  # what an ensemble counts as a whole
                own.setdefault(name, Counter())[kind] = count

    problem = ""
    faults: Counter[str] = Counter()
    began = time.monotonic()
    try:
        run(seconds, seed, WORLD, look)
    except AssertionError as error:
        problem = str(error) or "a check of the chaos failed"
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
        "seed": seed,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[2], 1),
        "faults": dict(faults),
        "counters": dict(sum(counters.values(), Counter[str]())),
        "of_ensembles": {name: dict(kinds) for name, kinds in own.items()},
        "processes": sizes.lines(),
        "streams": ledger.lines(counters),
        "sources": sources.lines(),
    }
    report["problems"] = [*([problem] if problem else []), *problems(report)]
    return report


if __name__ == "__main__":
    seconds, seed = float(os.environ.get("SOAK_SECONDS", "3600")), int(os.environ.get("SEED", "1"))
    print(f"40 SQs on eight ensembles for {seconds:.0f} s, seed {seed}", file=sys.stderr, flush=True)
    found = soak(seconds, seed)
    Path(os.environ.get("SOAK_REPORT", "soak.json")).write_text(json.dumps(found, indent=1) + "\n")
    show(found)
    if found["problems"]:
        sys.exit("\n" + "\n".join(found["problems"]))
    if "--write" in sys.argv:
        write(found)
    print("\nall is well")
