"""OpenTelemetry: firings as spans, the metrics of a status, sent by OTLP. An extra: `pip install 'ticktalk[otel]'`."""
