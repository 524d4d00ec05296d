"""A collector of OpenTelemetry for tests: what comes is parsed by OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """What has come.

    Attributes:
        spans: each with the name of its ensemble.
        metrics: the requests with metrics.
        headers: of each request.
        status: the HTTP status of answers.
        open: while it is not set, nobody is answered.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.spans: list[tuple[str, Any]] = []
        self.metrics: list[Any] = []
        self.headers: list[Any] = []
        self.status = 200
        self.open = threading.Event()
        self.open.set()

    def take(self, path: str, body: bytes) -> None:
        """Take a request."""
        if path == "/v1/traces":
            for part in ExportTraceServiceRequest.FromString(body).resource_spans:
                ensemble = values(part.resource.attributes)["service.instance.id"]
                self.spans += [(ensemble, span) for scope in part.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/metrics"
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers.append(self.headers)
            collector.open.wait(60)
            if collector.status == 200:
                packed = self.headers.get("Content-Encoding") == "gzip"
                collector.take(self.path, gzip.decompress(body) if packed else body)
            self.send_response(collector.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *told: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.open.set()
        server.shutdown()
        server.server_close()
