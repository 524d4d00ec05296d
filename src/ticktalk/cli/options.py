"""Options and arguments that several commands take, each with its one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli.settings import VARIABLES

MOST_JOBS = 1_000
"""Processes that a command starts at most: one a core of a large machine."""

Program = Annotated[str, typer.Argument(metavar="PROGRAM|GRAPH.json", help="A program, or a compiled graph.")]
Graph = Annotated[
    str | None, typer.Option("--graph", metavar="NAME", help="Which graph of the program; default: the outermost one.")
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="DURATION|DATE",
        help="How long, such as 20s, or a date (exclusive); default: until nothing is left to do.",
    ),
]
StartAt = Annotated[
    str | None,
    typer.Option("--start-at", metavar="TIME", help="When it begins: a date, or a clock time; default: at once."),
]
Inputs = Annotated[
    list[str] | None, typer.Option(metavar="NAME=VALUE", help="A graph input; VALUE is a Python literal, else text.")
]
Ensembles = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME[=COMPONENT,...]", help="An ensemble; default: one per name that constraints ask for."),
]
Components = Annotated[
    list[str] | None,
    typer.Option(metavar="ENSEMBLE.NAME=MODULE:FACTORY", help="A component and the factory of its driver."),
]
OwnComponents = Annotated[
    list[str] | None, typer.Option(metavar="NAME[=MODULE:FACTORY]", help="A component and the factory of its driver.")
]
Deployment = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML: the ensembles, their links, the costs of SQs.")
]
Mapping = Annotated[
    Path | None, typer.Option(metavar="FILE", help="JSON: SQ to ensemble, such as `ticktalk map -o` writes.")
]
Workers = Annotated[
    int,
    typer.Option(
        metavar="0|1|2",
        min=0,
        max=2,
        help="1: bodies in worker processes, but for harmless ones; 2: all of them; 0: none.",
    ),
]
MaxValue = Annotated[
    int,
    typer.Option(
        metavar="BYTES", min=1, help="Bytes of the longest value that a body may send; a longer one is an error."
    ),
]
WorkerMemory = Annotated[
    str, typer.Option(metavar="SIZE", help="What a worker process may take for itself, such as 500MB; 0: any amount.")
]
Realtime = Annotated[
    bool, typer.Option("--realtime", help="Keep time before all ordinary processes, with locked memory, if it may.")
]
Cpus = Annotated[
    str | None, typer.Option(metavar="LIST", help="With --realtime: keep time on these CPUs only, such as 2 or 0,2.")
]
Checkpoint = Annotated[
    str,
    typer.Option(
        metavar="DURATION", help="How often the states of SQs are saved, so that they can go on elsewhere; 0s: never."
    ),
]
Log = Annotated[Path | None, typer.Option(metavar="FILE", help="Append the outputs to FILE, a JSON object a line.")]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object per output token, nothing else.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the outputs over time.")]
Record = Annotated[
    Path | None, typer.Option(metavar="FILE.mcap", help="Record every token and firing, for `ticktalk replay`.")
]
RecordOutputs = Annotated[
    Path | None,
    typer.Option("--record-outputs", metavar="FILE.mcap", help="Record outputs, at the manager alone; no replay."),
]
Profile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the measured costs of bodies as a deployment file (YAML).")
]
Trace = Annotated[
    Path | None, typer.Option(metavar="FILE.pftrace", help="Write a timeline of all firings, for ui.perfetto.dev.")
]
Otel = Annotated[
    str | None,
    typer.Option("--otel", metavar="URL", help="Send firings and metrics to a collector of OpenTelemetry (OTLP)."),
]
Web = Annotated[
    str | None, typer.Option("--web", metavar="[IP:]PORT", help="Show the system on a page, to be opened in a browser.")
]
Context = Annotated[
    int | None,
    typer.Option("--context", metavar="NUMBER", min=1, help="Which start, where there are several; default: the last."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if a body raised.")]
Manager = Annotated[
    str,
    typer.Option(
        "--manager",
        metavar="IP:PORT",
        envvar=VARIABLES["manager"],
        help="Where the runtime manager listens, as it says when it starts.",
    ),
]
OwnCredentials = Annotated[str | None, typer.Option("--credentials", metavar="FILE", help="A bundle of keys.")]
Credentials = Annotated[
    str | None, typer.Option("--credentials", metavar="FILE", envvar=VARIABLES["credentials"], help="A bundle of keys.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
