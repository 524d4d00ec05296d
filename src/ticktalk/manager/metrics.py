"""A status as metrics: what `/metrics` and OpenTelemetry give, named as Prometheus has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ticktalk.counters import KINDS, LOST, Counts
from ticktalk.series import BOUNDS, SeriesKind


class Histogram(NamedTuple):
    """The number of values, their sum, and the number of those at most as large as each of `BOUNDS`."""

    values: int
    sum: float
    at_most: list[int]


class Family(NamedTuple):
    """The samples of one name.

    Attributes:
        name: without the `_total` of a counter.
        text: what it says, for people.
        labels: their names.
        samples: for each, the values of the labels, and a number or a histogram.
    """

    name: str
    kind: SeriesKind
    text: str
    labels: tuple[str, ...]
    samples: Sequence[tuple[tuple[str, ...], float | Histogram]]


def families(status: dict[str, Any]) -> Iterator[Family]:
    """The metrics of a status."""
    yield from _of_ensembles(status["ensembles"])
    yield from _of_graphs(status["graphs"])
    yield Family("ticktalk_firing_errors", "counter", "Firings that raised.", (), [((), status["errors"])])
    yield from _of_bodies(status["graphs"])


def _of_ensembles(entries: list[dict[str, Any]]) -> Iterator[Family]:
    gauges = {
        "heard_us_ago": ("ticktalk_ensemble_heard_seconds", "Seconds since the manager heard of it."),
        "clock_offset_us": ("ticktalk_ensemble_clock_offset_seconds", "How far its clock is off."),
        "clock_uncertainty_us": ("ticktalk_ensemble_clock_uncertainty_seconds", "How sure that is."),
    }
    for field, (name, text) in gauges.items():
        yield Family(name, "gauge", text, ("ensemble",), [((each["name"],), each[field] / 1e6) for each in entries])
    refused = [((each["name"], kind), count) for each in entries for kind, count in each["refused"].items()]
    yield Family("ticktalk_refused", "counter", "What came and was not taken.", ("ensemble", "kind"), refused)


def _of_graphs(graphs: list[dict[str, Any]]) -> Iterator[Family]:
    graphs = [graph | _parted(graph["counters"]) for graph in graphs]

    def of_each(name: str, kind: SeriesKind, text: str, values: list[float]) -> Family:
        named = zip(graphs, values, strict=True)
        return Family(name, kind, text, ("graph",), [((graph["name"],), value) for graph, value in named])

    def of_parts(name: str, kind: SeriesKind, text: str, field: str, *labels: str) -> Family:
        samples: list[tuple[tuple[str, ...], float | Histogram]] = []
        for graph in graphs:
            for part, found in graph[field].items():
                each = found.items() if isinstance(found, dict) else [(None, found)]
                samples += [((graph["name"], part, *filter(None, (inner,))), value) for inner, value in each]
        return Family(name, kind, text, ("graph", *labels), samples)

    def of_work(name: str, kind: SeriesKind, text: str, what: str, unit: float = 1) -> Family:
        rows = [(graph["name"], sq, work.get(what)) for graph in graphs for sq, work in graph["work"].items()]
        return Family(name, kind, text, ("graph", "sq"), [((g, sq), n / unit) for g, sq, n in rows if n is not None])

    outputs, running = [graph["outputs"] for graph in graphs], [float(graph["state"] == "running") for graph in graphs]
    yield of_each("ticktalk_outputs", "counter", "Outputs that reached the manager.", outputs)
    yield of_each("ticktalk_graph_running", "gauge", "1: it runs.", running)
    meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items() if kind != LOST)
    yield of_parts("ticktalk_sq_events", "counter", meanings, "events", "sq", "kind")
    # A token may come after it counted as lost. A counter that goes down would be read as one that began anew.
    yield of_parts("ticktalk_sq_lost_tokens", "gauge", "Tokens sent that have not come.", "lost", "sq")
    yield of_parts("ticktalk_sq_waiting_tokens", "gauge", "Tokens that wait.", "waiting", "sq", "port")
    yield of_parts("ticktalk_arc_tokens", "counter", "Tokens sent to other ensembles.", "sent", "arc")
    yield of_work("ticktalk_sq_firings", "counter", "Firings whose bodies have run.", "firings")
    yield of_work("ticktalk_sq_body_seconds", "gauge", "The mean time of a body by itself.", "mean_us", 1e6)
    yield of_work("ticktalk_sq_queue", "gauge", "Firings that run, or wait to.", "queue")
    yield of_work("ticktalk_sq_deadlines_kept", "counter", "Deadlines with data in time.", "kept")
    yield of_work("ticktalk_sq_deadlines_missed", "counter", "Deadlines without.", "missed")


def _parted(counters: Counts) -> dict[str, Any]:
    """The counters that only go up (`events`), and by SQ the tokens that are `lost`."""
    events = {sq: {kind: count for kind, count in kinds.items() if kind != LOST} for sq, kinds in counters.items()}
    return {"events": events, "lost": {sq: kinds[LOST] for sq, kinds in counters.items() if LOST in kinds}}


def _of_bodies(graphs: list[dict[str, Any]]) -> Iterator[Family]:
    """The metrics that bodies set, by their names there; a name's second kind is shown as NAME_KIND."""
    found: dict[tuple[str, SeriesKind], list[tuple[tuple[str, ...], float | Histogram]]] = {}
    for graph in graphs:
        for sq, by_name in graph.get("metrics", {}).items():
            for name, told in by_name.items():
                kind: SeriesKind = told["kind"]
                value = _histogram(told) if kind == "histogram" else told["value"]
                found.setdefault((name, kind), []).append(((graph["name"], sq), value))
    named: set[str] = set()
    for (name, kind), samples in found.items():
        shown = name
        while shown in named:
            shown += f"_{kind}"
        named.add(shown)
        yield Family(shown, kind, "Set by bodies.", ("graph", "sq"), samples)


def _histogram(told: dict[str, Any]) -> Histogram:
    counts, up_to = [], 0
    for bound in BOUNDS:
        up_to = told["at_most"].get(f"{bound:g}", up_to)
        counts.append(up_to)
    return Histogram(told["count"], told["sum"], counts)
