"""`ticktalk simulate --runs`: many runs, their progress, one table, one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from ticktalk.cli.console import runs_done
from ticktalk.cli.runs_file import read_runs
from ticktalk.cli.streams import say
from ticktalk.cli.sweep import results, row
from ticktalk.cli.tables import add, table, terminal
from ticktalk.errors import TTError, writing

LAST_LINES = 3
"""Lines that are shown of what a failed run has said."""


def simulate_runs(
    program: str,
    graph: str | None,
    path: Path,
    fixed: Mapping[str, Any],
    jobs: int | None,
    dask: str | None,
    output: Path | None,
) -> None:
    """Do the runs of a file; print a table of them.

    Args:
        fixed: settings of all runs, by the command's options.
        output: a file with a JSON object for each run: its settings, outputs, counters, errors.

    Raises:
        TTError: the file is wrong, or the output cannot be written.
        typer.Exit: a run failed.
    """
    own, whole = read_runs(path, {name: value for name, value in fixed.items() if value is not None and value != []})
    if output is not None and not output.parent.is_dir():
        raise TTError(f"-o {output}: there is no folder {output.parent}")
    with runs_done(len(whole)) as done:
        found = results(program, whole, graph, jobs, dask, done)
    if output is not None:
        lines = (
            json.dumps({"run": number, "settings": settings, **result}, sort_keys=True)
            for number, (settings, result) in enumerate(zip(whole, found, strict=True), 1)
        )
        with writing(f"-o {output}:"):
            output.write_text("".join(f"{line}\n" for line in lines))
    rows = [row(settings, result) for settings, result in zip(own, found, strict=True)]
    for each in rows:
        each["outputs"] = len(each["outputs"])
    shown = list(dict.fromkeys(name for each in rows for name in each if name not in ("told", "status")))
    made = table("run", *shown)
    for number, each in enumerate(rows, 1):
        add(made, number, *(each.get(name, "") for name in shown))
    terminal().print(made)
    failed = [(number, each["told"]) for number, each in enumerate(rows, 1) if each["status"]]
    for number, told in failed:
        say(f"run {number} failed: " + " ".join(told.strip().splitlines()[-LAST_LINES:]))
    if failed:
        raise typer.Exit(1)
