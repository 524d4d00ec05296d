"""A status as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from ticktalk.counters import KINDS


def metrics_text(status: dict[str, Any]) -> bytes:
    """The text of `/metrics`."""
    registry = CollectorRegistry()
    registry.register(_Status(status))
    return generate_latest(registry)


class _Status:
    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """The metrics of the status."""
        yield from self._ensembles()
        yield from self._graphs()
        yield CounterMetricFamily("ticktalk_firing_errors", "Firings that raised.", self._status["errors"])

    def _ensembles(self) -> Iterable[Metric]:
        entries = self._status["ensembles"]
        gauges = {
            "heard_us_ago": ("ticktalk_ensemble_heard_seconds", "Seconds since the manager heard of it."),
            "clock_offset_us": ("ticktalk_ensemble_clock_offset_seconds", "How far its clock is off."),
            "clock_uncertainty_us": ("ticktalk_ensemble_clock_uncertainty_seconds", "How sure that is."),
        }
        for field, (name, text) in gauges.items():
            gauge = GaugeMetricFamily(name, text, labels=["ensemble"])
            for entry in entries:
                gauge.add_metric([entry["name"]], entry[field] / 1e6)
            yield gauge
        refused = CounterMetricFamily("ticktalk_refused", "What came and was not taken.", labels=["ensemble", "kind"])
        for entry in entries:
            for kind, count in entry["refused"].items():
                refused.add_metric([entry["name"], kind], count)
        yield refused

    def _graphs(self) -> Iterable[Metric]:
        outputs = CounterMetricFamily("ticktalk_outputs", "Outputs that reached the manager.", labels=["graph"])
        running = GaugeMetricFamily("ticktalk_graph_running", "1: it runs.", labels=["graph"])
        meanings = "; ".join(f"{kind}: {meaning}" for kind, meaning in KINDS.items())
        events = CounterMetricFamily("ticktalk_sq_events", meanings, labels=["graph", "sq", "kind"])
        waiting = GaugeMetricFamily("ticktalk_sq_waiting_tokens", "Tokens that wait.", labels=["graph", "sq", "port"])
        sent = CounterMetricFamily("ticktalk_arc_tokens", "Tokens sent to other ensembles.", labels=["graph", "arc"])
        labels = ["graph", "sq"]
        fired = CounterMetricFamily("ticktalk_sq_firings", "Firings whose bodies have run.", labels=labels)
        mean = GaugeMetricFamily("ticktalk_sq_body_seconds", "The mean time of a body by itself.", labels=labels)
        queue = GaugeMetricFamily("ticktalk_sq_queue", "Firings that run, or wait to.", labels=labels)
        kept = CounterMetricFamily("ticktalk_sq_deadlines_kept", "Deadlines with data in time.", labels=labels)
        missed = CounterMetricFamily("ticktalk_sq_deadlines_missed", "Deadlines without.", labels=labels)
        for graph in self._status["graphs"]:
            for sq, work in graph["work"].items():
                place = [graph["name"], sq]
                for metric, what, unit in (
                    (fired, "firings", 1), (mean, "mean_us", 1e6), (queue, "queue", 1), (kept, "kept", 1),
                    (missed, "missed", 1),
                ):  # fmt: skip
                    if work.get(what) is not None:
                        metric.add_metric(place, work[what] / unit)
            name = graph["name"]
            outputs.add_metric([name], graph["outputs"])
            running.add_metric([name], float(graph["state"] == "running"))
            for sq, kinds in graph["counters"].items():
                for kind, count in kinds.items():
                    events.add_metric([name, sq, kind], count)
            for sq, ports in graph["waiting"].items():
                for port, count in ports.items():
                    waiting.add_metric([name, sq, port], count)
            for arc, count in graph["sent"].items():
                sent.add_metric([name, arc], count)
        yield from (outputs, running, events, waiting, sent, fired, mean, queue, kept, missed)
