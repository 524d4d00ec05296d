"""Sends spans and metrics to a collector, in a thread of its own; bounded, and what is lost is counted.

It takes what a recording takes (`recording.writer.Writer`): the starts of graphs, and the records of their ensembles.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ticktalk.errors import TTError
from ticktalk.otel.metrics import metrics_of
from ticktalk.otel.spans import Spans
from ticktalk.printable import without_password
from ticktalk.recording.setup import Setup
from ticktalk.recording.writer import lacks_text
from ticktalk.records import Records, TookOver

WAITING = 50_000
"""Spans that wait to be sent; more are lost, and counted."""

TOGETHER = 1_000
"""Spans of one request at most."""

PERIOD = 1.0
"""Seconds between two requests with spans, unless many wait."""

METRICS_PERIOD = 5.0
"""Seconds between two requests with metrics."""

REQUEST = 5.0
"""Seconds that a request may take, with what is tried again."""

END = 10.0
"""Seconds in which what is left is sent at the end."""


class Telemetry:
    """Takes records, and sends spans and metrics of them.

    Args:
        endpoint: of the collector, such as `http://localhost:4318`.
        manager: the name of the manager.
        status: gives the status of the system.
        tell: says a sentence to people.
        asks: the thread asks for the status every `METRICS_PERIOD`; else it is asked for at the end only, in place.

    Attributes:
        latest: the latest status of which metrics are sent, with graphs if there were any; None: none yet.
    """

    def __init__(
        self,
        endpoint: str,
        manager: str,
        status: Callable[[], dict[str, Any]],
        tell: Callable[[str], object],
        asks: bool,
    ) -> None:
        self._endpoint, self._status, self._tell, self._asks = without_password(endpoint), status, tell, asks
        self._reasons = _Reasons()
        self._spans = Spans()
        self._resource = self._spans.resource(manager)
        address = endpoint.rstrip("/")
        self._to_spans = OTLPSpanExporter(f"{address}/v1/traces", timeout=REQUEST)
        self._to_metrics = OTLPMetricExporter(f"{address}/v1/metrics", timeout=REQUEST)
        self._waiting: deque[ReadableSpan] = deque()
        self._lacks: Counter[str] = Counter()  # by arc, SQ or graph: records that did not come, or too late
        self._room = threading.Condition()  # for what waits
        self._wake = threading.Event()
        self._since = time.time_ns()
        self._ends: float | None = None  # monotonic: when what is left is given up
        self._metrics_at = time.monotonic() + METRICS_PERIOD
        self._failed = False
        self.sent = self.lost = 0
        self.latest: dict[str, Any] | None = None
        self._thread = threading.Thread(target=self._run, name="ticktalk telemetry", daemon=True)
        self._thread.start()

    # A writer of records.

    def begin(self, setup: Setup) -> None:
        """A context starts."""
        self._spans.begin(setup, time.time_ns() // 1000)

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself: its spans have another context."""

    def add(self, batch: Records) -> None:
        """Take records."""
        self._lacks.update(batch.missing)
        self._put(self._spans.take(batch, self._now()))

    def flush(self) -> None:
        """Let no firing wait for ever, though no records come."""
        self._put(self._spans.ready(self._now()))

    def _now(self) -> float:
        """The time for firings that wait for others: in a simulation none passes."""
        return time.monotonic() if self._asks else 0.0

    def finish(self, *lacks: str) -> list[str]:
        """Send what is left, and say what was lost."""
        self._put(self._spans.ready())
        self._look()
        self._ends = time.monotonic() + END
        self._wake.set()
        self._thread.join(END + REQUEST + 1)
        if self.latest is not None and not self._failed:
            self._send_metrics(self.latest)
        self._to_spans.shutdown()  # type: ignore[no-untyped-call]
        self._to_metrics.shutdown()
        self._reasons.close()
        if self.lost:
            self._tell(f"--otel: {self.lost} spans were lost, {self.sent} reached {self._endpoint}")
        self._lacks.update(self._spans.unknown)
        missing = [*lacks, *(f"{count} records of {name}" for name, count in sorted(self._lacks.items()))]
        if missing:
            self._tell(f"--otel: spans or links are missing, for lack of {lacks_text(missing)}")
        return []

    def _put(self, spans: list[ReadableSpan]) -> None:
        with self._room:
            if not self._asks:  # a simulation may wait while the collector takes some
                self._wake.set()
                self._room.wait_for(lambda: self._failed or len(self._waiting) + len(spans) <= WAITING, 2 * REQUEST)
            room = max(0, WAITING - len(self._waiting))
            self._waiting.extend(spans[:room])
            self.lost += len(spans) - min(room, len(spans))
            if len(self._waiting) >= TOGETHER:
                self._wake.set()

    # The thread.

    def _run(self) -> None:
        while True:
            self._wake.wait(PERIOD)
            self._wake.clear()
            ends = self._ends
            self._send_spans()
            if ends is not None:
                return
            self._send_due_metrics()

    def _send_due_metrics(self) -> None:
        if self._asks and self._ends is None and time.monotonic() >= self._metrics_at:
            self._metrics_at = time.monotonic() + METRICS_PERIOD
            self._look()
            if self.latest is not None:
                self._send_metrics(self.latest)

    def _send_spans(self) -> None:
        """Send all that waits; metrics between, as there may always be more."""
        while True:
            with self._room:
                batch = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
                self._room.notify_all()
            if not batch:
                return
            late = self._ends is not None and time.monotonic() > self._ends
            reached = not late and self._to_spans.export(batch) is SpanExportResult.SUCCESS
            with self._room:
                self.sent += len(batch) if reached else 0
                self.lost += 0 if reached else len(batch)
            self._tell_once(reached)
            self._send_due_metrics()

    def _look(self) -> None:
        with suppress(TTError):  # the manager ends
            status = self._status()
            if status["graphs"] or self.latest is None:  # else they are stopped and forgotten: the end is told
                self.latest = status

    def _send_metrics(self, status: dict[str, Any]) -> None:
        data = metrics_of(status, self._resource, self._since, time.time_ns())
        self._tell_once(self._to_metrics.export(data) is MetricExportResult.SUCCESS)

    def _tell_once(self, reached: bool) -> None:
        """Say that nothing reaches the collector, when that begins."""
        if reached:
            self._reasons.first = ""
        if self._failed is reached:
            self._failed = not reached
            if self._failed:
                why = self._reasons.first or "it does not answer"
                self._tell(f"--otel: nothing reaches {self._endpoint} ({why}); it is tried again, losses are counted")


class _Reasons(logging.Handler):
    """Keeps what the library logged first, which is told once nothing reaches the collector."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""
        self._logger = logging.getLogger("opentelemetry")
        self._logger.addHandler(self)
        self._logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        known = re.search(r"\[Errno \d+\] [\w ]+", text)  # that of the system, deep in what the library says
        self.first = self.first or (known[0] if known else text[:150])

    def close(self) -> None:
        """Let the library log as before."""
        self._logger.removeHandler(self)
        self._logger.propagate = True
        super().close()
