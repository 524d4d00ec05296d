"""The lines that `simulate` and `run` end with on stderr, and `status` has in its tables, all made of the status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ticktalk.cli.console import counter_lines
from ticktalk.cli.streams import say
from ticktalk.counters import Counts
from ticktalk.durations import about, instant_text
from ticktalk.explain.silence import silence_line

LINES = 10
"""Lines of one kind at most."""

LONG = 1_000_000
"""Microseconds from which on it is told that an SQ waits."""

SILENT = 1_000_000
"""Microseconds from which on it is told that an ensemble is not heard: it sends two heartbeats in that time."""

SHOWN = 0.01
"""The use of cores or of a link from which on it is worth a line."""


def first(lines: Sequence[str], all_by: str = "") -> list[str]:
    """The first ones, and how many more there are; `all_by`: what lists them all."""
    rest = len(lines) - LINES
    more = f"and {rest} more" + (f": {all_by} lists all" if all_by else "")
    return [*lines[:LINES], more] if rest > 0 else list(lines)


def load_lines(loads: list[dict[str, Any]]) -> list[str]:
    """`the core of edge worked 83% of the time`, and whether it falls behind, the busiest first."""
    lines = []
    for load in sorted(loads, key=lambda load: (load["overloaded_since"] is None, -load["used"])):
        if load["what"] == "bodies":
            line = f"the bodies on {load['name']} ran for {load['used']:.0%} of the time"
        elif load["what"] == "link":
            line = f"the link {load['name']} was used {load['used']:.0%} of the time"
        else:
            cores = f"{load['cores']} cores" if load["cores"] > 1 else "core"
            line = f"the {cores} of {load['name']} worked {load['used']:.0%} of the time"
        since = load["overloaded_since"]
        if since is not None:
            waits = f", most of it of {load['waits']}" if load["waits"] else ""
            behind = f", and {about(load['behind'])} behind at the end{waits}" if load["behind"] else ""
            line += f": overloaded since {instant_text(since)}{behind}"
        if since is not None or load["used"] >= SHOWN:
            lines.append(line)
    return lines


def latency_lines(latencies: dict[str, dict[str, Any]]) -> list[str]:
    """`latency of ADD-1: median 12ms, 99% 15ms, worst 16ms`, the longest first; those of 0 are left out."""
    lines = []
    for sq, found in sorted(latencies.items(), key=lambda entry: (-entry[1]["worst"], entry[0])):
        if found["worst"] <= 0:
            continue
        times = f"median {about(found['median'])}, 99% {about(found['p99'])}, worst {about(found['worst'])}"
        line = f"latency of {sq}: {times}, of {found['outputs']} output{'s' * (found['outputs'] != 1)}"
        over = found.get("p99_after")
        if over is not None:
            told = f"99% {about(abs(over))} {'after it' if over > 0 else 'before it'}" if over else "99% just at it"
            line += f"; deadline {about(found['deadline'])}: {told}"
        lines.append(line)
    return lines


def lateness_lines(lateness: dict[str, dict[str, int]]) -> list[str]:
    """Lines on bodies of streams that started after their instants, the latest first."""
    late = sorted(lateness.items(), key=lambda entry: (-entry[1]["worst"], entry[0]))
    return [
        f"{sq} started {about(found['mean'])} late on average, {about(found['worst'])} at worst"
        for sq, found in late
        if found["firings"]
    ]


def wait_lines(status: dict[str, Any]) -> list[str]:
    """Drains and replacements that wait, and for whom; SQs that have waited long, and for what, the longest first.

    An ensemble that is not heard is named there, too: another one's answer may depend on it.
    """
    waits = []
    for graph in status["graphs"]:
        for sq, told in graph.get("waits_for", {}).items():
            long = status["now"] - told["since"] if told["since"] is not None else 0
            if long >= LONG:
                ports = " and ".join(f"`{port}`" for port in told["ports"])
                waits.append((-long, f"{sq} has waited for {ports} for {about(round(long, -5))}"))
    silent = [each["name"] for each in status.get("ensembles", ()) if each["heard_us_ago"] > SILENT]
    unheard = f"; not heard for a while: {', '.join(silent)}" if silent else ""
    moves = [
        f"graph {each['graph']}: {each['what']} waits for {', '.join(each['waits_for'])}{unheard}"
        for each in status.get("under_way", ())
        if each["waits_for"]
    ]
    return [*moves, *(line for _, line in sorted(waits))]


def silence(status: dict[str, Any]) -> list[str]:
    """A line for each SQ that never fired, or whose tokens mostly left unmatched; one if there was no output at all."""
    entries = [entry for graph in status["graphs"] for entry in graph.get("silent", [])]
    lines = [silence_line(entry) for entry in entries]
    counted = any(kinds for graph in status["graphs"] for kinds in graph["counters"].values())
    if not lines and not counted and status["graphs"] and not any(graph["outputs"] for graph in status["graphs"]):
        if not any(graph["mapping"] for graph in status["graphs"]):
            return ["no output came: the graph has no SQ and returns nothing"]
        homeless = [sq for graph in status["graphs"] for sq in graph["waits"]]
        if homeless:
            return [f"no output came: {', '.join(first(homeless))} waited for an ensemble that fits"]
        return [
            "no output came, though nothing waits: bodies gave no result, a branch was not taken, or at the end tokens"
            " were still under way. `ticktalk explain FILE --missing SQ@TIME` says which, with --record FILE.mcap"
        ]
    return lines


def times(status: dict[str, Any]) -> list[list[str]]:
    """Lines by kind: latencies, lateness of streams, the use of cores and links. An older manager tells less."""
    latencies = {sq: found for entry in status["graphs"] for sq, found in entry.get("latency_us", {}).items()}
    lateness = {sq: found for entry in status["graphs"] for sq, found in entry["lateness_us"].items()}
    return [latency_lines(latencies), lateness_lines(lateness), load_lines(status.get("loads", []))]


def metric_lines(status: dict[str, Any]) -> list[str]:
    """The metrics that bodies have set; an older manager does not tell them."""
    lines = []
    for graph in status["graphs"]:
        for sq, by_name in graph.get("metrics", {}).items():
            for name, told in by_name.items():
                value = f"{told.get('value', 0.0):.6g}"
                if told["kind"] == "histogram":
                    value = f"{told['count']} values, {told['sum'] / (told['count'] or 1):.6g} on average"
                lines.append(f"{name} of {sq}: {value}")
        left_out = graph.get("metrics_left_out", 0)
        lines += [f"{left_out} more metrics of {graph['name']} are not told: there are too many"] if left_out else []
    return lines


def tell_end(status: dict[str, Any], graph: str) -> Counts:
    """Say on stderr what a run of a graph counted, where it was silent, where its time went; returns the counters."""
    (counters,) = [entry["counters"] for entry in status["graphs"] if entry["name"] == graph]
    kinds = [silence(status), *times(status), metric_lines(status)]
    for line in [*counter_lines(counters), *(line for lines in kinds for line in first(lines))]:
        say(line)
    return counters  # type: ignore[no-any-return]
