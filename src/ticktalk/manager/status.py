"""The status of a system, simulated or real, as plain JSON data: its ensembles, its graphs, their counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from ticktalk.counters import Counts, merged
from ticktalk.errors import TTRuntimeError
from ticktalk.explain.silence import silent
from ticktalk.log_file import LogFile
from ticktalk.manager.driver import Usage
from ticktalk.manager.state import EnsembleState, GraphState, ManagerState, no_graph
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import IdleReport
from ticktalk.series import Series
from ticktalk.time import Tick

ERRORS_SHOWN = 5
"""The latest errors that a status lists."""


def status(
    state: ManagerState,
    now: int,
    counts: dict[str, Counts],
    log: LogFile | None,
    refused: dict[str, int],
    loads: Iterable[Usage],
    latencies: Callable[[str], Mapping[str, Any]],
    recording: str = "",
    kept: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The status at a root tick.

    Args:
        state: all that the manager knows.
        now: the tick.
        counts: the counters, by graph.
        log: the file of outputs.
        refused: by kind, how much came to the manager and was not taken.
        loads: the use of cores and links.
        latencies: of the outputs of a graph, by SQ.
        recording: the file to which the manager records all starts; "": none.
        kept: where all of this is kept (`Driver.kept`).
    """
    ensembles = [_ensemble(ensemble.info, ensemble, now) for ensemble in state.ensembles.values()]
    ensembles.append(_ensemble(state.manager, EnsembleState(state.manager, now, refused=refused), now))
    return {
        "manager": state.manager.name,
        "now": now,
        "ensembles": ensembles,
        "lost": list(state.lost),
        "restarts": state.restarts,
        "restarted_at": state.restarted or None,
        "awaited": list(state.awaited),
        "under_way": _under_way(state),
        "graphs": [
            {**_graph(graph, counts[name], latencies(name)), "name": _shown(state, graph)}
            for name, graph in state.graphs.items()
        ],
        "loads": [load._asdict() for load in loads],
        "errors": state.errors,
        "log": None if log is None else {"file": log.name, "failure": log.failure, "left_out": log.left_out},
        "state": kept,
        "recording": recording or None,
        "worker_deaths": {name: {"count": count, "latest": latest} for name, (count, latest) in state.deaths.items()},
        "latest_errors": [str(error) for error in state.latest_errors[-ERRORS_SHOWN:]],
    }


def entry_of(status: Mapping[str, Any], graph: str) -> dict[str, Any]:
    """The entry of a graph in a status.

    Raises:
        TTRuntimeError: there is no such graph.
    """
    for entry in status["graphs"]:
        if entry["name"] == graph:
            return cast("dict[str, Any]", entry)
    raise TTRuntimeError(no_graph(graph, [entry["name"] for entry in status["graphs"]]))


def _under_way(state: ManagerState) -> list[dict[str, Any]]:
    """Drains and replacements: what they are, the graph, and the ensembles for whose answers they wait."""
    found = []
    for graph in state.graphs.values():
        move = graph.move
        if move is not None:
            hands_over = [move.source] if move.ordered and not move.handed else []
            waits = sorted(graph.preparing | move.waits_for) or hands_over
            found.append({"what": f"the drain of {move.source!r}", "graph": graph.title, "waits_for": waits})
    for title, replacement in state.replacements.items():
        if replacement.stage != "watch":
            waits = sorted(replacement.waits_for or state.graphs[replacement.new].waits_for)
            found.append({"what": "its replacement", "graph": title, "waits_for": waits})
    return found


def _shown(state: ManagerState, graph: GraphState) -> str:
    """The name of a graph; of a version that does not count, that which ensembles know, with its state."""
    return graph.title if state.graph(graph.title) is graph else f"{graph.name} ({graph.state})"


def _ensemble(info: EnsembleInfo, ensemble: EnsembleState, now: int) -> dict[str, Any]:
    return {
        "name": info.name,
        "address": info.address,
        "components": info.components,
        "cores": info.cores,
        "memory": info.memory,
        "python": info.python,
        "direct": info.direct,
        "certificate_expires": info.expires or None,
        "clock_offset_us": ensemble.offset,
        "clock_uncertainty_us": ensemble.uncertainty,
        "heard_us_ago": max(0, now - ensemble.heard),
        "refused": ensemble.refused,
    }


def _graph(state: GraphState, counts: Counts, latencies: Mapping[str, Any]) -> dict[str, Any]:
    contexts = state.contexts.values()
    reports = [report for context in contexts for report in context.completion.latest.values()]
    live = [context for context in state.live if not context.completion.done]
    busy = [report for context in live for report in context.completion.latest.values() if report.busy]
    stuck = {sq: told for report in reports for sq, told in report.stuck.items()}
    lateness = {sq: told for report in reports for sq, told in report.lateness.items()}
    return {
        "name": state.name,
        "state": "done" if contexts and not live else state.state,
        "mapping": {sq: host for sq, host in state.host_of.items() if host},
        "waits": [sq for sq, host in state.host_of.items() if not host],
        "inputs": [source.name for source in state.graph.inputs],
        "outputs": state.former.outputs + sum(context.output_count for context in contexts),
        "former_contexts": state.former.contexts,
        "contexts": [
            {
                "context": context.number,
                "state": "done" if context not in live else "running",
                "start_tick": context.start_tick,
                "outputs": context.output_count,
            }
            for context in contexts
        ],
        "sent": _sent(reports),
        "busy": {report.ensemble: report.busy for report in busy},
        "running": {
            sq: {"ensemble": report.ensemble, "start": _tick(start), "stop": _tick(stop), "us": time}
            for report in reports
            for sq, (start, stop, time) in report.running.items()
        },
        "counters": counts,
        "left_out": merged(report.left_out for report in reports),
        "waiting": {sq: ports for report in reports for sq, ports in report.waiting.items()},
        "waits_for": {
            sq: {"ports": told.waits_for, "since": told.since} for sq, told in stuck.items() if told.waits_for
        },
        "silent": silent(state.graph, stuck, counts, [sq for sq, host in state.host_of.items() if not host]),
        "work": _work(state, reports, counts),
        "metrics": _metrics(state, reports),
        "metrics_left_out": sum(report.metrics_left_out for report in reports),
        "latency_us": latencies,
        "lateness_us": {
            sq: {"firings": n, "mean": n and total // n, "worst": worst} for sq, (n, total, worst) in lateness.items()
        },
    }


def _work(state: GraphState, reports: list[IdleReport], counts: Counts) -> dict[str, dict[str, int | str | None]]:
    """SQ to what it did, over all starts, and where; of an SQ that its ensembles do not count, nothing."""
    graph = state.graph
    deadlines = {sq.name for sq in graph.sqs if sq.trigger == "deadline"}
    totals: dict[str, Sequence[int]] = {}
    for report in reports:
        for sq, numbers in report.work.items():
            known = totals.get(sq)
            totals[sq] = numbers if known is None else [a + b for a, b in zip(known, numbers, strict=True)]
    places = {
        sq: place
        for report in sorted(reports, key=lambda report: report.context)
        for sq, place in report.places.items()
        if report.ensemble == state.host_of.get(sq)
    }
    found: dict[str, dict[str, int | str | None]] = {}
    for sq, (number, timed, time, queue) in totals.items():
        kinds = counts.get(sq, {})
        if sq in deadlines:
            found[sq] = {"kept": number, "missed": kinds.get("missed", 0) + kinds.get("plan_b", 0)}
        else:
            mean = time // timed if timed else None
            found[sq] = {"firings": number, "mean_us": mean, "queue": queue, "errors": kinds.get("errors", 0)}
            if place := places.get(sq):
                found[sq] |= {"worker": place.worker, "together": place.together, "left_home": place.left or None}
    return found


def _metrics(state: GraphState, reports: list[IdleReport]) -> dict[str, dict[str, dict[str, Any]]]:
    """SQ to name to the metric that its body has set, over all starts; a gauge is that of the latest start."""
    found: dict[tuple[str, str], Series] = {}
    for report in sorted(reports, key=lambda report: report.context):
        for sq, by_name in report.metrics.items():
            for name, series in by_name.items():
                known = found.setdefault((sq, name), Series(series.kind))
                if series.kind != "gauge" or report.ensemble == state.host_of.get(sq) or not known.count:
                    known.add(series)
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for (sq, name), series in sorted(found.items()):
        told.setdefault(sq, {})[name] = series.told()
    return told


def _sent(reports: list[IdleReport]) -> dict[str, int]:
    """Arc between ensembles to the number of tokens that have gone there."""
    found: dict[str, int] = {}
    for report in reports:
        for arc, numbers in report.sent.items():
            found[arc] = found.get(arc, 0) + max(numbers.values(), default=0)
    return found


def _tick(tick: Tick | None) -> Tick | None:
    """A tick as JSON has it; None: an infinite one, or none."""
    return None if tick is None or abs(tick) == float("inf") else tick
