"""The same programs in simulated time on TickTalk, csp, xronos and beside SimPy's kernel: bodies run a second.

Each run is a process of its own. The time is that of the run alone: programs are compiled and graphs built before, and
sinks give nothing. It is the lesser of wall clock and processor time, so that neither what else the machine does nor a
system's second thread counts against it. Before the rounds, each program runs on each system once with a counter in
every body, and the count must be what the periods say.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Effort, Failure, Floor, Row, Say, at_least, compared, rate
from benchmarks.peers.in_ticktalk import BUILT_AFTER, NOTICED_AFTER

SPARSE_PERIODS = [10_000 + 37 * i for i in range(1000)]


def wanted(program: str, microseconds: int) -> int:
    """How many bodies must run: told by the periods alone."""
    samples = microseconds // 1000
    match program.removesuffix("-alarms"):
        case "fusion" | "heard" | "hosts" | "costs" | "failure" | "unfailed":
            return 4 * samples
        case "thirds":
            return samples + 3 * (samples // 3)
        case "deadlines":
            return 301 * (microseconds // 150_000)
        case "pipeline":
            return 22 * samples
        case "fan-out":
            return 53 * samples
        case "average":
            return 3 * samples
        case "rates":
            # Each sample of the slower source is fused: with the faster one's 0.5 ms before it, or of the same instant.
            return samples + 3 * (microseconds // 1500)
        case _:
            return sum(2 * (microseconds // period) for period in SPARSE_PERIODS)


CHECKED_MICROSECONDS = 900_000
"""Of simulated time in the run that is counted."""

FLOORS: dict[str, dict[str, Floor | None]] = {
    "fusion": {"csp": at_least(0.8), "csp, alarms": None, "xronos": None},
    "pipeline": {"csp": at_least(0.8), "xronos": None},
    "average": {"csp": at_least(1.0), "csp, alarms": None, "xronos": None},
    "fan-out": {"csp": at_least(0.6), "xronos": None},
    "sparse": {"csp": at_least(0.8), "csp, alarms": None, "xronos": at_least(2.0)},
    "rates": {"SimPy": at_least(0.4)},
    "heard": {"csp": at_least(1.5)},
    "hosts": {"csp on one": at_least(0.8), "lean SimPy": at_least(8)},
    "thirds": {"csp": at_least(0.8)},
    "costs": {"lean SimPy": at_least(3)},
    "failure": {"no failure": at_least(0.7)},
    "deadlines": {"lean SimPy": at_least(3)},
}
"""By program and peer."""

TITLES = {
    "fusion": "two-source fusion",
    "pipeline": "20-stage pipeline",
    "average": "stateful average",
    "fan-out": "50-way fan-out and fusion",
    "sparse": "sparse: 1,000 streams of different periods",
    "rates": "two sources of different rates",
    "heard": "fusion with an output in 40,000 firings to a callback",
    "hosts": "fusion on three ensembles, 2 ms delay",
    "thirds": "two sources, one at a third of the other's rate",
    "costs": "the same with a deployment file: bodies take 0.3 and 0.4 ms on a core, links 2 ms",
    "failure": "the same where an ensemble fails in the middle and its source goes on elsewhere",
    "deadlines": "different rates on three ensembles, 2 ms delay, deadline and plan B",
}


class Runner:
    """Runs one program on one system, always for as much simulated time as takes it `seconds`."""

    def __init__(self, system: str, program: str, seconds: float) -> None:
        self.program = program + ("-alarms" if system == "csp, alarms" else "")
        self.program = {"csp on one": "fusion", "no failure": "unfailed"}.get(system, self.program)
        names = {"TickTalk": "ticktalk", "csp, alarms": "csp", "csp on one": "csp", "SimPy": "simpy"}
        names["no failure"] = "ticktalk"
        self.system = (names | {"lean SimPy": "simpy"}).get(system, system)
        self._check()
        self.microseconds = CHECKED_MICROSECONDS
        for _ in range(2):  # the second look from a run that is long enough to tell
            took = self._run(self.microseconds)[0]
            self.microseconds = max(CHECKED_MICROSECONDS, int(self.microseconds * seconds / took))

    def _wanted(self, microseconds: int) -> int:
        if self.program == "rates" and self.system == "simpy":
            return microseconds // 1000
        before = BUILT_AFTER if self.system in ("ticktalk", "simpy") else 0
        return wanted(self.program, before + microseconds) - wanted(self.program, before)

    def _check(self) -> None:
        ran = self._run(CHECKED_MICROSECONDS, "--count")[1]
        lost = 3 * (NOTICED_AFTER // 1000 + 4) if self.program == "failure" else 0  # of the source, fusion and sink
        if not self._wanted(CHECKED_MICROSECONDS) - lost <= ran <= self._wanted(CHECKED_MICROSECONDS):
            raise Failure(
                f"{self.program} on {self.system}: {ran} bodies ran, not {self._wanted(CHECKED_MICROSECONDS)}"
            )

    def _run(self, microseconds: int, *options: str) -> tuple[float, int]:
        command = [sys.executable, "-m", "benchmarks.peers.run", self.system, self.program, str(microseconds)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise Failure(f"{self.program} on {self.system}: {done.stderr.strip().splitlines()[-1:]}")
        took = json.loads(done.stdout.splitlines()[-1])
        return min(took["wall"], took["processor"]), took["ran"]

    def firings_per_second(self) -> float:
        """Of one run; SimPy's are timeouts."""
        return self._wanted(self.microseconds) / self._run(self.microseconds)[0]


def measure(program: str, effort: Effort, say: Say) -> Iterator[Row]:
    """One program on every system that can run it."""
    title = TITLES[program]
    systems = ["TickTalk", *FLOORS[program]]
    say(f"{title}: counting what runs")
    runners = {system: Runner(system, program, effort.pick(0.5, 0.15)) for system in systems}
    figures: dict[str, list[float]] = {system: [] for system in systems}
    for number in range(effort.rounds):
        say(f"{title}, round {number + 1} of {effort.rounds}")
        # There and back again: whoever is first in one round is last in the next.
        for system in systems if number % 2 == 0 else systems[::-1]:
            figures[system].append(runners[system].firings_per_second())
    for peer, floor in FLOORS[program].items():
        unit = rate("timeouts" if peer == "SimPy" else "firings")
        yield compared(f"{title}, over {peer}", figures["TickTalk"], figures[peer], rate("firings"), peer, floor, unit)
