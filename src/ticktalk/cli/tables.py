"""Tables for people: on a terminal as wide as it is, elsewhere never cut."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticktalk.cli.console import CELL, counter_lines
from ticktalk.cli.ending import first, metric_lines, silence, times, wait_lines
from ticktalk.durations import about
from ticktalk.manager.events import StateNotWritten
from ticktalk.printable import line

CONTEXTS = 5
"""Contexts of a graph that a table shows: the latest."""

ROWS = 500
"""Rows of a table: to lay out ten thousand takes seconds, and nobody reads them."""

WIDE = 100_000
"""Columns of a table that goes into a file or a pipe: it is not cut there."""


ALL_BY = "`ticktalk status --json`"
"""The command that lists what a table leaves out."""

EXPIRES_SOON = 7 * 86_400
"""Seconds before the end of a certificate from which on a status warns of it."""


def terminal() -> Console:
    """Stdout for people: nothing in a text is taken for markup."""
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def table(*columns: str, title: str = "") -> Table:
    """A table to which `add` adds rows."""
    made = Table(title=Text(line(title, CELL)) if title else None)
    for column in columns:
        made.add_column(Text(line(column, CELL)))
    return made


def add(to: Table, *cells: object) -> None:
    """Add a row; line ends in a cell stay."""
    to.add_row(*(Text("\n".join(line(part, CELL) for part in str(cell).split("\n"))) for cell in cells))


def some(rows: list[Any]) -> tuple[list[Any], str]:
    """The rows of a long table that are shown, and a line that counts the others; empty: there are none."""
    more = len(rows) - ROWS
    return rows[:ROWS], f"and {more} more (--json lists all)" if more > 0 else ""


def status_tables(status: dict[str, Any]) -> list[Table]:
    """A manager's status for people: ensembles, then each graph."""
    title = "ensembles"
    if status.get("restarts"):  # an older manager does not tell it
        title += f", since the manager's restart {about(round(status['now'] - status['restarted_at'], -6))} ago"
    ensembles = table("ensemble", "address", "components", "cores", "clock offset", "heard", title=title)
    entries, more = some(status["ensembles"])
    for entry in entries:
        own = entry["name"] == status["manager"]
        clock = "(the clock)" if own else f"{about(entry['clock_offset_us'])} +- {about(entry['clock_uncertainty_us'])}"
        heard = "" if own else f"{about(round(entry['heard_us_ago'], -5))} ago"
        where = entry["address"] + ("" if entry["direct"] else " (relayed)")
        ends = entry.get("certificate_expires")
        if ends is not None and ends - time.time() < EXPIRES_SOON:
            where += f"\nits certificate expires on {datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M} UTC"
        refused = ", ".join(f"{kind}: {count}" for kind, count in entry["refused"].items())
        where += f"\nrefused there: {refused}" if refused else ""
        add(ensembles, entry["name"], where, ", ".join(entry["components"]), str(entry["cores"]), clock, heard)
    for name in status.get("awaited", ()):
        add(ensembles, name, "(awaited since the restart)", "", "", "", "")
    if more:
        add(ensembles, more)
    graphs = table("graph", "state", "contexts", "outputs", "busy", "SQs by ensemble", "counters", title="graphs")
    for graph in status["graphs"]:
        by_host: dict[str, int] = {}
        for host in graph["mapping"].values():
            by_host[host] = by_host.get(host, 0) + 1
        hosts, more = some([f"{host}: {count}" for host, count in by_host.items()])
        add(
            graphs,
            graph["name"],
            graph["state"],
            "\n".join(_contexts(graph["contexts"], graph["former_contexts"])),
            str(graph["outputs"]),
            "\n".join([f"{host}: {why}" for host, why in graph["busy"].items()] + _running(graph["running"])),
            "\n".join([*hosts, *([more] if more else []), *_waits(graph["waits"])]),
            "\n".join(counter_lines(graph["counters"]) + _left_out(graph["left_out"])) or "none",
        )
    tables = [ensembles, graphs, *(_work(graph) for graph in status["graphs"] if graph.get("work"))]
    said = {
        "what cannot be written": [not_written(status)],
        "what waits": [wait_lines(status), silence(status)],
        "where time goes": times(status),
        "metrics of bodies": [metric_lines(status)],
        "why bodies left home": [_left_home(status)],
    }
    for title, kinds in said.items():
        if lines := [line for kind in kinds for line in first(kind, ALL_BY)]:
            shown = table(title)
            for told in lines:
                add(shown, told)
            tables.append(shown)
    if status["errors"]:
        errors = table(f"errors of firings: {status['errors']}, the latest")
        for line in status["latest_errors"]:
            add(errors, line)
        tables.append(errors)
    if status.get("worker_deaths"):  # an older manager does not tell them
        deaths = table("worker processes that ended by themselves", "the latest")
        for name, told in status["worker_deaths"].items():
            add(deaths, f"{name}: {told['count']}", told["latest"])
        tables.append(deaths)
    return tables


def not_written(status: dict[str, Any]) -> list[str]:
    """The files of a manager that take nothing at present, and what that means."""
    lines = []
    log, state = status.get("log"), status.get("state")  # an older manager does not tell of its state
    if log is not None and log["failure"]:
        lines.append(f"the log {log['file']}: {log['failure']}; {log['left_out']} outputs are left out of it so far")
    if state is not None and state["failure"]:
        lines.append(str(StateNotWritten(state["folder"], state["failure"])))
    return lines


def _work(graph: dict[str, Any]) -> Table:
    """The work of each SQ of a graph; an older manager does not tell it."""
    columns = ("SQ", "ensemble", "runs in", "firings", "body", "waiting", "errors", "deadlines")
    shown = table(*columns, title=f"SQs of {graph['name']}")
    entries, more = some(sorted(graph["work"].items()))
    for sq, work in entries:
        waiting = sum(graph["waiting"].get(sq, {}).values()) + work.get("queue", 0)
        mean = "" if work.get("mean_us") is None else about(work["mean_us"])
        kept = f"{work['kept']} kept, {work['missed']} missed" if "kept" in work else ""
        where = graph["mapping"].get(sq, "")
        add(shown, sq, where, _place(work), work.get("firings", ""), mean, waiting, work.get("errors", ""), kept)
    if more:
        add(shown, more)
    return shown


def _place(work: dict[str, Any]) -> str:
    """The place in which a body runs; empty: an older manager, or a simulation, does not tell it."""
    return f"{work.get('worker', '')}{', with others' if work.get('together') else ''}"


def _left_home(status: dict[str, Any]) -> list[str]:
    """Reasons why bodies have left the process that keeps time, each with its SQs."""
    by_reason: dict[str, list[str]] = {}
    for graph in status["graphs"]:
        for sq, work in graph.get("work", {}).items():
            if why := work.get("left_home"):
                by_reason.setdefault(why, []).append(sq)
    return [f"{why}: {_names(sqs)}" for why, sqs in by_reason.items()]


def _contexts(contexts: list[dict[str, Any]], former: int) -> list[str]:
    lines = [f"{entry['context']}: {entry['state']}, {entry['outputs']} outputs" for entry in contexts[-CONTEXTS:]]
    before = former + max(0, len(contexts) - CONTEXTS)
    return [f"{before} before"] * (before > 0) + lines


def _running(running: dict[str, Any]) -> list[str]:
    return [f"{sq}: one firing for {about(round(entry['us'], -6))} now" for sq, entry in running.items()]


def _left_out(receivers: dict[str, dict[str, int]]) -> list[str]:
    told = [(sq, count, to) for to, by_sq in receivers.items() for sq, count in by_sq.items()]
    return [f"{sq}: {count} not sent to {to}, which took none" for sq, count, to in told]


def _waits(sqs: list[str]) -> list[str]:
    return [f"wait for an ensemble that fits: {_names(sqs)}"] if sqs else []


def _names(sqs: list[str]) -> str:
    more = f" and {len(sqs) - 8} more" if len(sqs) > 8 else ""
    return ", ".join(sqs[:8]) + more
