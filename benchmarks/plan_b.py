"""What real time costs on one machine: `make bench`, or `python benchmarks/realtime.py`.

A manager in this process, every ensemble an OS process as `ticktalk run` starts it, all on 127.0.0.1. Stamps are of
the host's monotonic clock, which all its processes share. Machines are noisy: what is compared is measured in
alternating rounds, a ratio is taken within its round, and the median over the rounds is shown. A floor that is missed
makes the exit status 1; a target is shown, no more. The figures go to `results.json` beside this file, under
"realtime". `python benchmarks/realtime.py hops start` measures these alone and saves nothing.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import zenoh
from rich.console import Console
from rich.table import Table

from ticktalk import TTGraph
from ticktalk.engine.outputs import OutputToken
from ticktalk.language import compile_source
from ticktalk.manager import TTRuntimeManagerPhysical

ROUNDS = 3
HOP_PERIOD, HOP_SECONDS = 10_000, 5.0
RAW_BYTES = 64
SHORT_GRID, LONG_GRID = 10_000, 100_000
GRID_SECONDS = {SHORT_GRID: 3.0, LONG_GRID: 5.0}
BUSY_SECONDS = {"python": 0.3, "C call": 1.0}
DEADLINES = {"python": (350_000, (60_000, 150_000, 240_000)), "C call": (1_400_000, (150_000, 300_000, 450_000))}
"""By kind of busy body: the stream's period, and the deadlines after each instant; the data comes after all of them."""
DEADLINE_FIRINGS = {"python": 5, "C call": 4}
"""Busy firings of one round: each has as many plan Bs as there are deadlines."""
ENSEMBLES, SQS_PER_ENSEMBLE = 50, 10
JOIN_LIMIT = 60.0

CEILING_HOP = 5.0
TARGET_HOP, TARGET_HOP_THREADS = 3.0, 2.0
CEILING_PLAN_B_US = 20_000
LEAST_PLAN_BS = 30
CEILING_START = 30.0

HOP = """\
import time
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def source(trigger):
    global sq_state
    sq_state["count"] = sq_state.get("count", 0) + 1
    return sq_state["count"], time.monotonic_ns()

@SQify
def sink(sample):
    begun = time.monotonic_ns()
    return sample[0], begun - sample[1]

@GRAPHify
def hop(trigger):
    with TTConstraint(name="SOURCE"):
        sample = source(trigger, TTPeriod=PERIOD)
    with TTConstraint(name="SINK"):
        return sink(sample)
"""

GRID = """\
import time
from ticktalk import GRAPHify, STREAMify

@STREAMify
def tick(trigger):
    return time.monotonic_ns()

@GRAPHify
def grid(trigger):
    with TTConstraint(name="SOURCE"):
        return tick(trigger, TTPeriod=PERIOD)
"""

DEADLINE = """\
import time
from ticktalk import GRAPHify, SQify, STREAMify

@STREAMify
def source(trigger):
    return 0

@SQify
def busy(sample):
    begun = time.monotonic_ns()
    BUSY
    return (time.monotonic_ns() - begun) / 1e9

@SQify
def took(seconds):
    return "took", seconds

@SQify
def plan_b(deadline):
    begun = time.monotonic_ns()
    return "plan B", deadline, begun // 1000

@GRAPHify
def deadline(trigger):
    with TTConstraint(name="SOURCE"):
        tag, sample = source(trigger, TTPeriod=PERIOD)
        late = busy(sample)
        took(late)
        for after in AFTER:
            limit = tag + after
            TTFinishByOtherwise(late, TTTimeDeadline=limit, TTPlanB=plan_b(limit), TTWillContinue=False)
"""

CHAIN = """\
from ticktalk import GRAPHify, SQify

@SQify
def step(x):
    return x + 1

@GRAPHify
def chain(trigger):
    x = trigger
    for ensemble in range(ENSEMBLES):
        with TTConstraint(name=f"e{ensemble}"):
            for k in range(SQS):
                x = step(x)
    return x
"""


Say = Callable[[str], None]
Measure = Callable[[dict[str, Any], Say], None]
"""Adds to the figures what it measured, and says meanwhile what that is."""


def program(text: str, name: str, **words: Any) -> TTGraph:
    """The graph of a program, its capital words replaced."""
    for word, value in words.items():
        text = text.replace(word, str(value))
    return compile_source(text, f"{name}.py", name)


class Failure(Exception):
    """The runtime did not do what is measured; the message says what."""


class Latency(NamedTuple):
    """Of one round, in microseconds."""

    p50: float
    p99: float
    samples: int

    @staticmethod
    def of(microseconds: list[float]) -> Latency:
        """What these samples come to."""
        ordered = sorted(microseconds)
        return Latency(statistics.median(ordered), ordered[math.ceil(0.99 * len(ordered)) - 1], len(ordered))


def median_of(rounds: list[Latency]) -> dict[str, float]:
    """The medians over the rounds, and how many samples there are in all."""
    return {
        "p50_us": round(statistics.median(r.p50 for r in rounds), 1),
        "p99_us": round(statistics.median(r.p99 for r in rounds), 1),
        "samples": sum(r.samples for r in rounds),
    }


class System:
    """A manager in this process and ensembles in processes of their own.

    Args:
        ensembles: name to further options of `ticktalk ensemble`.
    """

    def __init__(self, ensembles: dict[str, list[str]]) -> None:
        self.tokens: list[OutputToken] = []
        self.launched = time.monotonic()
        self.to_root_us = (time.time_ns() - time.monotonic_ns()) // 1000
        """Root ticks minus monotonic microseconds, as every ensemble of this host takes it when it starts."""
        self._open = ExitStack()
        try:
            self.manager = self._open.enter_context(TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0))
            self._processes = [self._launch(name, options) for name, options in ensembles.items()]
            self._open.callback(self._end_all)
            missing = self.manager.wait_for_ensembles(ensembles, JOIN_LIMIT)
            if missing:
                raise Failure(f"not joined within {JOIN_LIMIT:.0f} s: {', '.join(missing)}")
        except BaseException:
            self._open.close()
            raise
        self.joined = time.monotonic()
        self.manager.on_output(self._take)
        self.first_output = math.inf

    def _launch(self, name: str, options: list[str]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ticktalk.cli.entry", "ensemble", name, "--manager", self.manager.address]
        # It ends when the pipe to its stdin does, so none outlives this process.
        process = subprocess.Popen([*command, "--with-parent", *options], stdin=subprocess.PIPE, stdout=2)
        self._open.callback(_end, process)
        return process

    def _end_all(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()

    def _take(self, token: OutputToken) -> None:
        if not self.tokens:
            self.first_output = time.monotonic()
        self.tokens.append(token)

    def run(self, graph: TTGraph, seconds: float | None = None, settle: float = 20.0) -> list[OutputToken]:
        """Start a graph, let its streams go on for `seconds`, and give its outputs once it is done."""
        self.tokens.clear()
        length = None if seconds is None else int(seconds * 1e6)
        context = self.manager.execute_graph(graph, length=length)
        if not self.manager.wait(graph, (seconds or 0) + settle):
            raise Failure(f"{graph.name} is not done: {self.manager.status()['graphs']}")
        time.sleep(0.2)  # the callbacks' thread comes after
        if self.manager.errors:
            raise Failure(str(self.manager.errors[0]))
        return [token for token in self.tokens if token.context == context]

    def instants(self, graph: TTGraph, stream: str) -> tuple[int, int]:
        """How many instants of a stream its body ran at in the latest start, and were skipped in all starts."""
        (state,) = [g for g in self.manager.status()["graphs"] if g["name"] == graph.name]
        return state["lateness_us"][stream]["firings"], state["counters"].get(stream, {}).get("skipped", 0)

    def close(self) -> None:
        """End every process."""
        self._open.close()

    def __enter__(self) -> System:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# One hop.


class Hop:
    """The stream from one ensemble to another.

    Args:
        options: of both ensembles.
    """

    def __init__(self, system: System, source: str, sink: str) -> None:
        self._system = system
        self._graph = program(HOP, f"hop_{source}", SOURCE=source, SINK=sink, PERIOD=HOP_PERIOD)
        self.sent = self.arrived = self.skipped = 0
        system.manager.instantiate_and_map_graph(self._graph)

    def round(self) -> Latency:
        """Run it once; that every token has arrived is counted."""
        outputs = self._system.run(self._graph, HOP_SECONDS)
        sent, self.skipped = self._system.instants(self._graph, "source-1")
        self.sent += sent
        self.arrived += len({token.value[0] for token in outputs})
        return Latency.of([token.value[1] / 1000 for token in outputs])


def raw_zenoh() -> Latency:
    """The same without us: a process that publishes on a 10 ms grid, and one whose callback reads the clock."""
    count = int(HOP_SECONDS * 1e6) // HOP_PERIOD
    script = [sys.executable, __file__]
    with subprocess.Popen([*script, "--subscribe", str(count)], stdout=subprocess.PIPE, text=True) as subscriber:
        assert subscriber.stdout is not None
        port = subscriber.stdout.readline().strip()
        with subprocess.Popen([*script, "--publish", str(count), port]) as publisher:
            text = subscriber.stdout.readline()
        subscriber.wait(10)
        publisher.wait(10)
    return Latency.of(json.loads(text))


def zenoh_session(listen: list[str], connect: list[str]) -> zenoh.Session:
    """A peer as plain as can be."""
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    config.insert_json5("listen/endpoints", json.dumps(listen))
    config.insert_json5("connect/endpoints", json.dumps(connect))
    config.insert_json5("scouting/multicast/enabled", "false")
    return zenoh.open(config)


def publish(count: int, port: str) -> None:
    """The publishing process: `count` samples of `RAW_BYTES`, each beginning with when it was published."""
    session = zenoh_session([], [f"tcp/127.0.0.1:{port}"])
    publisher = session.declare_publisher("bench/hop", express=True, congestion_control=zenoh.CongestionControl.BLOCK)
    time.sleep(0.5)  # until the subscription is known here
    at = time.monotonic()
    for _ in range(count):
        at += HOP_PERIOD / 1e6
        time.sleep(max(0.0, at - time.monotonic()))
        publisher.put(time.monotonic_ns().to_bytes(8, "little").ljust(RAW_BYTES, b"\0"))
    time.sleep(0.5)
    session.close()


def subscribe(count: int) -> None:
    """The subscribing process: prints its port, then how many microseconds every sample took."""
    from ticktalk.physical.node import free_port

    port = free_port("127.0.0.1")
    session = zenoh_session([f"tcp/127.0.0.1:{port}"], [])
    took: list[float] = []

    def arrived(sample: zenoh.Sample) -> None:
        now = time.monotonic_ns()
        took.append((now - int.from_bytes(sample.payload.to_bytes()[:8], "little")) / 1000)

    session.declare_subscriber("bench/hop", zenoh.handlers.Callback(arrived, indirect=False))
    print(port, flush=True)
    limit = time.monotonic() + HOP_SECONDS + 10
    while len(took) < count and time.monotonic() < limit:
        time.sleep(0.1)
    print(json.dumps(took), flush=True)
    session.close()


def measure_hops(figures: dict[str, Any], say: Say) -> None:
    """A hop with bodies in worker processes (the default), in threads, and Zenoh alone, in alternating rounds."""
    ensembles = {"left": [], "right": [], "left0": ["--workers", "0"], "right0": ["--workers", "0"]}
    raw, default, threads = [], [], []
    with System(ensembles) as system:
        hop, hop0 = Hop(system, "left", "right"), Hop(system, "left0", "right0")
        for number in range(ROUNDS):
            say(f"hops, round {number + 1} of {ROUNDS}")
            raw.append(raw_zenoh())
            default.append(hop.round())
            threads.append(hop0.round())
    figures["raw"], figures["hop"], figures["hop_threads"] = median_of(raw), median_of(default), median_of(threads)
    for key, rounds, of in (("hop", default, hop), ("hop_threads", threads, hop0)):
        figures[key]["over_raw"] = round(statistics.median(h.p50 / r.p50 for h, r in zip(rounds, raw, strict=True)), 2)
        figures[key]["sent"], figures[key]["arrived"], figures[key]["skipped"] = of.sent, of.arrived, of.skipped


# Plan B beside a busy SQ.


def measure_plan_b(figures: dict[str, Any], say: Say) -> None:
    """How late plan B's body starts after its deadline while the SQ whose data is awaited computes."""
    statements = {
        "python": f"while time.monotonic_ns() - begun < {int(BUSY_SECONDS['python'] * 1e9)}: pass",
        "C call": f"pow(3, {long_power()})",
    }
    late: dict[str, list[float]] = {kind: [] for kind in statements}
    took: dict[str, list[float]] = {kind: [] for kind in statements}
    ran, skipped = dict.fromkeys(statements, 0), dict.fromkeys(statements, 0)
    with System({"busy": []}) as system:
        graphs = {}
        for kind, statement in statements.items():
            period, after = DEADLINES[kind]
            name = "deadline_" + kind.replace(" ", "_")
            graphs[kind] = program(DEADLINE, name, SOURCE="busy", PERIOD=period, BUSY=statement, AFTER=after)
            system.manager.instantiate_and_map_graph(graphs[kind])
        for number in range(ROUNDS):
            say(f"plan B, round {number + 1} of {ROUNDS}")
            for kind, graph in graphs.items():
                seconds = (DEADLINE_FIRINGS[kind] + 0.5) * DEADLINES[kind][0] / 1e6
                for token in system.run(graph, seconds):
                    match token.value:
                        case "took", seconds_busy:
                            took[kind].append(seconds_busy)
                        case "plan B", deadline, begun:
                            late[kind].append(begun + system.to_root_us - deadline)
                fired, skipped[kind] = system.instants(graph, "source-1")
                ran[kind] += fired
    for kind, samples in late.items():
        figures[f"plan_b, {kind}"] = {
            "p50_us": round(statistics.median(samples), 1),
            "worst_us": max(samples),
            "earliest_us": min(samples),
            "samples": len(samples),
            "wanted": (ran[kind] + skipped[kind]) * len(DEADLINES[kind][1]),
            "busy_s": round(statistics.median(took[kind]), 3) if took[kind] else None,
        }


def long_power() -> int:
    """An exponent whose power of 3 takes one C call of about `BUSY_SECONDS["C call"]`."""
    exponent = 1_000_000
    seconds = min(_processor_seconds(exponent) for _ in range(3))
    return int(exponent * (BUSY_SECONDS["C call"] / seconds) ** (1 / math.log2(3)))  # Karatsuba


def _processor_seconds(exponent: int) -> float:
    began = time.process_time()
    pow(3, exponent)
    return time.process_time() - began


# Triggers.


def measure_triggers(figures: dict[str, Any], say: Say) -> None:
    """How late a stream's body starts after its instant, beside `time.sleep` to the same grid in this process."""
    rounds: dict[str, list[Latency]] = {}
    ratios: dict[int, list[float]] = {period: [] for period in GRID_SECONDS}
    with System({"edge": [], "edge0": ["--workers", "0"]}) as system:
        graphs = {}
        for period in GRID_SECONDS:
            for ensemble in ("edge", "edge0"):
                graph = program(GRID, f"grid_{ensemble}_{period}", SOURCE=ensemble, PERIOD=period)
                system.manager.instantiate_and_map_graph(graph)
                graphs[ensemble, period] = graph
        for number in range(ROUNDS):
            say(f"triggers, round {number + 1} of {ROUNDS}")
            for period, seconds in GRID_SECONDS.items():
                bare = Latency.of(list(sleep_grid(period, seconds)))
                rounds.setdefault(f"sleep, {period}", []).append(bare)
                for ensemble, key in (("edge", "trigger"), ("edge0", "trigger_threads")):
                    late = []
                    for token in system.run(graphs[ensemble, period], seconds):
                        instant = token.start + (token.stop - token.start) // 2
                        late.append(token.value / 1000 + system.to_root_us - instant)
                    rounds.setdefault(f"{key}, {period}", []).append(Latency.of(late))
    for name, measured in rounds.items():
        figures[name] = median_of(measured)
    for period in ratios:
        for key in ("trigger", "trigger_threads"):
            pairs = zip(rounds[f"{key}, {period}"], rounds[f"sleep, {period}"], strict=True)
            figures[f"{key}, {period}"]["over_sleep"] = round(statistics.median(t.p50 / s.p50 for t, s in pairs), 2)


def sleep_grid(period: int, seconds: float) -> Iterator[float]:
    """Microseconds by which `time.sleep` misses each instant of a grid."""
    at = time.monotonic_ns()
    for _ in range(int(seconds * 1e6) // period):
        at += period * 1000
        time.sleep(max(0, at - time.monotonic_ns()) / 1e9)
        yield (time.monotonic_ns() - at) / 1000


# Many ensembles.


def measure_start(figures: dict[str, Any], say: Say) -> None:
    """Seconds from launching the first ensemble to the first output of a graph that goes through all of them."""
    say(f"{ENSEMBLES} ensembles")
    sqs = ENSEMBLES * SQS_PER_ENSEMBLE
    graph = program(CHAIN, "chain", ENSEMBLES=ENSEMBLES, SQS=SQS_PER_ENSEMBLE)
    with System({f"e{number}": [] for number in range(ENSEMBLES)}) as system:
        relayed = sum(not e["direct"] for e in system.manager.status()["ensembles"])
        state = system.manager.instantiate_and_map_graph(graph)
        ready = time.monotonic()
        (output,) = system.run(graph, settle=60.0)
        began_closing = time.monotonic()
    if output.value != sqs + 1 or len(set(state.host_of.values())) != ENSEMBLES:
        raise Failure(f"the chain gave {output.value!r} on {len(set(state.host_of.values()))} ensembles")
    figures["start"] = {
        "total_s": round(system.first_output - system.launched, 2),
        "join_s": round(system.joined - system.launched, 2),
        "ready_s": round(ready - system.joined, 2),
        "first_output_s": round(system.first_output - ready, 2),
        "end_s": round(time.monotonic() - began_closing, 2),
        "ensembles": ENSEMBLES,
        "sqs": sqs,
        "relayed": relayed,
    }


# What it comes to.


class Verdict(NamedTuple):
    """A row of the table.

    Attributes:
        holds: None where there is nothing to hold.
        floor: whether missing it fails the run; otherwise it is a target of later work.
    """

    what: str
    figure: str
    limit: str = ""
    holds: bool | None = None
    floor: bool = False
    setting: str = ""


ENSEMBLE = "ticktalk ensemble NAME --manager IP:PORT"
THREADS = f"{ENSEMBLE} --workers 0"


def hop_verdicts(figures: dict[str, Any]) -> Iterator[Verdict]:
    """Of one hop."""
    hz = f"{1e6 / HOP_PERIOD:.0f} Hz, {HOP_SECONDS:g} s x {ROUNDS}"
    yield Verdict("Zenoh alone", spread(figures["raw"]), setting=f"{RAW_BYTES} B, put to direct callback, {hz}")
    for key, name, command, target in (
        ("hop", "hop", ENSEMBLE, TARGET_HOP),
        ("hop_threads", "hop, --workers 0", THREADS, TARGET_HOP_THREADS),
    ):
        hop = figures[key]
        over, arrived = hop["over_raw"], hop["arrived"] == hop["sent"]
        setting = f"{command}; body's return to body's start, {hz}"
        yield Verdict(name, spread(hop), setting=setting)
        if key == "hop":
            limit = f"at most {CEILING_HOP:g} x"
            yield Verdict(f"{name}, p50 over Zenoh's", f"{over:.1f} x", limit, over <= CEILING_HOP, True, setting)
        limit = f"target: {target:g} x"
        yield Verdict(f"{name}, p50 over Zenoh's", f"{over:.1f} x", limit, over <= target, False, setting)
        count = f"{hop['arrived']} of {hop['sent']} ({hop['skipped']} instants skipped)"
        yield Verdict(f"{name}, tokens arrived", count, "every one", arrived, True, setting)


def plan_b_verdicts(figures: dict[str, Any]) -> Iterator[Verdict]:
    """Of plan B."""
    for kind in DEADLINES:
        plan_b = figures[f"plan_b, {kind}"]
        setting = f"{ENSEMBLE}; the SQ waited for is busy for {plan_b['busy_s']} s ({kind})"
        yield Verdict(
            f"plan B's start after its deadline, {kind}",
            f"p50 {plan_b['p50_us'] / 1000:.2f} ms, worst {plan_b['worst_us'] / 1000:.2f} ms",
            f"worst under {CEILING_PLAN_B_US / 1000:.0f} ms",
            plan_b["earliest_us"] >= 0 and plan_b["worst_us"] < CEILING_PLAN_B_US,
            True,
            setting,
        )
        enough = plan_b["samples"] == plan_b["wanted"] >= LEAST_PLAN_BS
        fired = f"{plan_b['samples']} of {plan_b['wanted']}"
        yield Verdict(f"plan Bs fired, {kind}", fired, f"every one, {LEAST_PLAN_BS} or more", enough, True, setting)


def trigger_verdicts(figures: dict[str, Any]) -> Iterator[Verdict]:
    """Of triggers."""
    for period, seconds in GRID_SECONDS.items():
        ms = f"{period / 1000:g} ms"
        grid = f"every {ms}, {seconds:g} s x {ROUNDS}"
        yield Verdict(f"time.sleep's lateness, {ms}", spread(figures[f"sleep, {period}"]), setting=grid)
        for key, of, command in (("trigger", ms, ENSEMBLE), ("trigger_threads", f"{ms}, --workers 0", THREADS)):
            trigger = figures[f"{key}, {period}"]
            ratio = f"{spread(trigger)}: {trigger['over_sleep']:.1f} x sleep's"
            yield Verdict(f"trigger's lateness, {of}", ratio, setting=f"{command}; instant to body's start, {grid}")


def start_verdicts(figures: dict[str, Any]) -> Iterator[Verdict]:
    """Of many ensembles."""
    start = figures["start"]
    setting = f"{start['ensembles']} x {ENSEMBLE}; a chain of {start['sqs']} SQs through all of them"
    parts = f"join {start['join_s']:.1f}, ready {start['ready_s']:.1f}, first output {start['first_output_s']:.1f} s"
    total = f"{start['total_s']:.1f} s ({parts}; {start['relayed']} relayed)"
    held = start["total_s"] < CEILING_START
    yield Verdict("launch to first output", total, f"under {CEILING_START:.0f} s", held, True, setting)


def spread(figure: dict[str, float]) -> str:
    """Median and 99th percentile."""
    return f"p50 {figure['p50_us'] / 1000:.2f} ms, p99 {figure['p99_us'] / 1000:.2f} ms"


def show(console: Console, rows: list[Verdict]) -> None:
    """The table."""
    table = Table(title="real time on one machine")
    table.add_column("measured", overflow="fold")
    table.add_column("figure", overflow="fold")
    table.add_column("floor or target", overflow="fold")
    table.add_column("verdict")
    table.add_column("command and setting", overflow="fold", style="dim")
    for row in rows:
        missed = "[bold red]MISSED[/]" if row.floor else "[yellow]not yet[/]"
        verdict = "" if row.holds is None else "[green]holds[/]" if row.holds else missed
        table.add_row(row.what, row.figure, row.limit, verdict, row.setting)
    console.print(table)


def save(figures: dict[str, Any], rows: list[Verdict]) -> None:
    """Put the figures beside what others have put into the file."""
    path = Path(__file__).with_name("results.json")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        results = {}
    results["realtime"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "rounds": ROUNDS,
        "figures": figures,
        "verdicts": [row._asdict() for row in rows],
    }
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


MEASURES: dict[str, tuple[Measure, Callable[[dict[str, Any]], Iterator[Verdict]]]] = {
    "hops": (measure_hops, hop_verdicts),
    "plan-b": (measure_plan_b, plan_b_verdicts),
    "triggers": (measure_triggers, trigger_verdicts),
    "start": (measure_start, start_verdicts),
}


def main(arguments: list[str]) -> int:
    """Measure, show, save."""
    if arguments[:1] == ["--publish"]:
        publish(int(arguments[1]), arguments[2])
        return 0
    if arguments[:1] == ["--subscribe"]:
        subscribe(int(arguments[1]))
        return 0
    if not set(arguments) <= set(MEASURES):
        print(f"what can be measured alone: {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 180)
    figures: dict[str, Any] = {}
    rows: list[Verdict] = []
    began = time.monotonic()
    with console.status("starting") as status:
        for name in arguments or MEASURES:
            measure, verdicts = MEASURES[name]
            try:
                measure(figures, lambda text: status.update(f"measuring {text}"))
                rows += verdicts(figures)
            except Failure as failure:
                figures[f"{name}, failed"] = str(failure)
                rows.append(Verdict(name, f"failed: {failure}", "", False, True))
    figures["seconds"] = round(time.monotonic() - began, 1)
    figures["load_average"] = [round(load, 1) for load in os.getloadavg()]
    show(console, rows)
    if not arguments:
        save(figures, rows)
    return int(any(row.floor and not row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
