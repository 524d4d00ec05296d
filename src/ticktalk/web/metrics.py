"""A status as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from ticktalk.manager.metrics import Histogram, families
from ticktalk.series import BOUNDS


def metrics_text(status: dict[str, Any]) -> bytes:
    """The text of `/metrics`."""
    registry = CollectorRegistry()
    registry.register(_Status(status))
    return generate_latest(registry)


class _Status:
    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The metrics of the status."""
        for name, kind, text, labels, samples in families(self._status):
            metric = _KINDS[kind](name, text, labels=labels)
            for place, value in samples:
                if isinstance(value, Histogram):
                    bounds = [*map(str, BOUNDS), "+Inf"]
                    metric.add_metric(place, list(zip(bounds, [*value.at_most, value.values], strict=True)), value.sum)
                else:
                    metric.add_metric(place, value)
            yield metric


_KINDS: dict[str, Any] = {
    "gauge": GaugeMetricFamily,
    "counter": CounterMetricFamily,
    "histogram": HistogramMetricFamily,
}
