#!/usr/bin/env python3
"""The demo: host_health.py compiled, drawn, simulated on recorded telemetry, and run on this machine's own.

    make demo

leaves everything in demo-output/, which is emptied first.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent  # where commands run; the paths below are relative to it
OUT = Path("demo-output")
PROGRAM = Path("examples/host_health.py")

GRAPH = "host_health.json"
PICTURE = "host_health.svg"
OUTPUTS = "outputs.jsonl"
PLOT = "host_health.png"
LIVE_OUTPUTS = "live.jsonl"

ROW_US = 30_000_000  # microseconds that a row of the table stands for


def main() -> None:
    """Run every step, each under a heading; the first that fails ends the demo with its exit status."""
    shutil.rmtree(PROJECT / OUT, ignore_errors=True)
    (PROJECT / OUT).mkdir()
    for number, (heading, step) in enumerate(STEPS.items(), start=1):
        print(f"\n{number}. {heading}\n", flush=True)
        step(OUT)
    print()


def compile_program(out: Path) -> None:
    """Compile the program into the folder `out`."""
    ticktalk("compile", PROGRAM, "-o", out / GRAPH)


def draw_graph(out: Path) -> None:
    """Draw the graph there."""
    ticktalk("draw", out / GRAPH, "-o", out / PICTURE)


def simulate(out: Path) -> None:
    """Simulate it on the recording; the ensembles are those that the program's constraints name."""
    ticktalk(
        *("simulate", out / GRAPH, "--until", "300s", "--network-delay", "2ms"),
        *("--component", "sensor-fast.cpu_counters=examples.telemetry:RecordedCpu"),
        *("--component", "sensor-slow.system_counters=examples.telemetry:RecordedSystem"),
        *("--log", out / OUTPUTS, "--plot", out / PLOT),
        quiet=True,
    )


def show_outputs(out: Path) -> None:
    """Show the outputs as a table, and say which files there are."""
    for line in table(PROJECT / out / OUTPUTS):
        print(line)
    print("\n   lowest score, plan B: in the 30 s up to then; plan B stands in for cpu samples that did not come")
    print(f"\n   In {out}/ there are now\n")
    for file, what in (
        (GRAPH, "the graph, compiled"),
        (PICTURE, "its picture; a browser shows it"),
        (OUTPUTS, "every output token, a JSON object a line"),
        (PLOT, "the outputs over time"),
    ):
        print(f"     {file:20}{what}")


def run_live(out: Path) -> None:
    """Run the same graph in real time, on this machine's own counters, each ensemble an OS process."""
    ticktalk(
        *("run", out / GRAPH, "--until", "10s"),
        *("--component", "sensor-fast.cpu_counters=examples.telemetry:LiveCpu"),
        *("--component", "sensor-slow.system_counters=examples.telemetry:LiveSystem"),
        *("--log", out / LIVE_OUTPUTS),
        quiet=True,
    )
    values = [json.loads(line)["value"] for line in (PROJECT / out / LIVE_OUTPUTS).read_text("utf-8").splitlines()]
    last = values[-1]
    print(f"\n   {len(values)} outputs in 10 s, the last: score {last['score']:.1f}, cpu average {last['cpu']:.1f} %,")
    print(f"   memory {last['memory']:.1f} %; all of them in {out / LIVE_OUTPUTS}")


STEPS = {
    "Compile the program to a graph": compile_program,
    "Draw the graph": draw_graph,
    "Simulate three devices: 5 min of recorded samples, 2 ms from device to device": simulate,
    "What came out": show_outputs,
    "The same graph in real time: this machine's live counters, three processes, 10 s": run_live,
}


def ticktalk(*arguments: str | Path, quiet: bool = False) -> None:
    """Run this environment's `ticktalk` in the project's folder, and show its command line.

    Args:
        arguments: what follows `ticktalk`.
        quiet: its results are not shown; what it has to say beside them is.
    """
    words = [str(argument) for argument in arguments]
    line = shlex.join(["ticktalk", *words]) + (" > /dev/null" if quiet else "")
    print("   $ " + (line if len(line) < 100 else line.replace(" --", " \\\n       --")), flush=True)
    command = [sys.executable, "-m", "ticktalk.cli.main", *words]
    done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.DEVNULL if quiet else None, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def table(log: Path) -> Iterator[str]:
    """The lines of a table of what host_health.py gave, a row for each half minute.

    Args:
        log: the file that `--log` wrote.
    """
    rows: dict[int, list[dict[str, Any]]] = {}
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            token = json.loads(line)
            instant = (token["start"] + token["stop"]) // 2
            rows.setdefault(instant // ROW_US, []).append(token["value"])
    yield f"   {'time':>5}{'cpu average':>14}{'memory':>10}{'score':>9}{'lowest score':>15}{'plan B':>9}"
    for number, values in sorted(rows.items()):
        minutes, seconds = divmod((number + 1) * ROW_US // 1_000_000, 60)
        last = values[-1]
        lowest = min(value["score"] for value in values)
        plan_b = sum(value["estimated"] for value in values)
        yield (
            f"   {minutes:2}:{seconds:02}{last['cpu']:12.1f} %{last['memory']:8.1f} %{last['score']:9.1f}"
            f"{lowest:15.1f}{plan_b or '-':>9}"
        )


if __name__ == "__main__":
    main()
