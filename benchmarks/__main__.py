"""`python -m benchmarks [NAME]... [--quick] [--rounds N]`: measure, show, save.

The exit status is 1 when a floor is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from typing import NamedTuple

from rich.console import Console

from benchmarks import (
    growth,
    hop,
    joining,
    mapping,
    plan_b,
    recording,
    report,
    scale,
    simulated,
    throughput,
    token_cost,
    triggers,
)
from benchmarks.measure import Effort, Failure, Measure, Row


class Benchmark(NamedTuple):
    """What can be measured by itself."""

    title: str
    measure: Measure
    rounds: int


BENCHMARKS: dict[str, Benchmark] = {
    program: Benchmark(f"Simulated time: {title}", partial(simulated.measure, program), 5)
    for program, title in simulated.TITLES.items()
} | {
    "hop": Benchmark("Real time: one hop between two processes", hop.measure, 5),
    "tokens": Benchmark("Real time: 64 B tokens a second", partial(throughput.measure, throughput.SMALL), 5),
    "arrays": Benchmark("Real time: 1 MB arrays", partial(throughput.measure, throughput.LARGE), 5),
    "token-cost": Benchmark("Real time: what a token costs on its whole way", token_cost.measure, 3),
    "triggers": Benchmark("Real time: how late triggers are", triggers.measure, 5),
    "plan-b": Benchmark("Real time: plan B beside a busy SQ", plan_b.measure, 3),
    "joining": Benchmark("Real time: from launch to ready", joining.measure, 1),
    "recording": Benchmark("What a recording costs, and how fast a replay is", recording.measure, 5),
    "growth": Benchmark("Simulated time: how cost grows", growth.measure, 3),
    "scale": Benchmark("Scale: SQs and simulated ensembles", scale.measure, 1),
    "mapping": Benchmark("Scale: mapping", mapping.measure, 1),
}


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure TickTalk beside its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a short look; nothing is written")
    parser.add_argument("--rounds", type=int, help="of what is compared; default: as many as each needs")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds: at least 1")
    console = Console(width=None if sys.stdout.isatty() else 180)
    missed: list[str] = []
    for name in options.names or BENCHMARKS:
        benchmark = BENCHMARKS[name]
        effort = Effort(options.rounds or (2 if options.quick else benchmark.rounds), options.quick)
        rows: list[Row] = []
        began = time.monotonic()
        busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        with console.status(name) as status:
            try:
                for row in benchmark.measure(effort, lambda text: status.update(f"measuring {text}")):
                    rows.append(row)
            except Failure as failure:
                rows.append(Row(benchmark.title, failed=str(failure)))
            except Exception as error:  # the other benchmarks still have something to say
                console.print_exception()
                rows.append(Row(benchmark.title, failed=repr(error)))
        report.show(console, benchmark.title, rows)
        missed += [f"{row.what}: {row.figure}, floor: {row.floor or 'that it runs'}" for row in rows if row.missed]
        measured = {
            "title": benchmark.title,
            "rounds": effort.rounds,
            "seconds": time.monotonic() - began,
            "date": time.strftime("%Y-%m-%d"),
            "load": busy,
            "rows": [row.as_json() for row in rows],
        }
        if not options.quick:
            report.document(report.save({name: measured}), list(BENCHMARKS))
    for line in missed:
        console.print(f"MISSED  {line}", style="bold red", markup=False, highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
