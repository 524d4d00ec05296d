"""The metrics of a status as OpenTelemetry has them."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource

from ticktalk.manager.metrics import Family, Histogram, families
from ticktalk.otel.spans import SCOPE
from ticktalk.series import BOUNDS

_ALL = AggregationTemporality.CUMULATIVE


def metrics_of(status: dict[str, Any], resource: Resource, since: int, now: int) -> MetricsData:
    """The metrics of a status at `now`, counted from `since` on: both in nanoseconds since 1970."""
    metrics = [_metric(family, since, now) for family in families(status) if family.samples]
    return MetricsData([ResourceMetrics(resource, [ScopeMetrics(SCOPE, metrics, "")], "")])


def _metric(family: Family, since: int, now: int) -> Metric:
    numbers: list[NumberDataPoint] = []
    histograms: list[HistogramDataPoint] = []
    for place, value in family.samples:
        labels = dict(zip(family.labels, place, strict=True))
        if isinstance(value, Histogram):
            ranges = [*value.at_most, value.values]
            counts = [count - before for before, count in zip([0, *ranges], ranges, strict=False)]
            ends: Any = None  # the least and the largest value are not known, and left out on the wire
            histograms.append(
                HistogramDataPoint(labels, since, now, value.values, value.sum, counts, BOUNDS, ends, ends)
            )
        else:
            numbers.append(NumberDataPoint(labels, since, now, value))
    data: Sum | Gauge | HistogramData
    if family.kind == "histogram":
        data = HistogramData(histograms, _ALL)
    else:
        data = Gauge(numbers) if family.kind == "gauge" else Sum(numbers, _ALL, is_monotonic=True)
    return Metric(family.name, family.text, "", data)
