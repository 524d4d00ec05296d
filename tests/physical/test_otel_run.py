"""A real run on two ensembles as OpenTelemetry sees it: each firing once, linked to the one that sent its token."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from collector import collecting, values
from systems import ENDLESS, Process


def test_firings_of_two_ensembles_are_linked(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(ENDLESS)
    with collecting() as collector:
        run = Process("run", "prog.py", "--until", "1s", "--jsonl", "--otel", collector.address, cwd=tmp_path)
        assert run.wait() == 0, run.said
    assert "--otel" not in run.said
    rows = [json.loads(line) for line in run.out]
    by_id = {span.span_id: (ensemble, span) for ensemble, span in collector.spans}
    counted = Counter((span.name, ensemble) for ensemble, span in collector.spans)
    assert len(by_id) == len(collector.spans)
    assert counted["same-1", "far"] == len(rows) > 0
    linked = [(span, *by_id[span.parent_span_id]) for _, span in collector.spans if span.parent_span_id]
    assert linked
    for span, ensemble, parent in linked:
        assert (span.name, parent.name, ensemble) == ("same-1", "src-1", "near")
        assert span.trace_id == parent.trace_id
        begin = "ticktalk.interval.start"
        assert values(span.attributes)[begin] == values(parent.attributes)[begin]
    (metrics,) = collector.metrics[-1].resource_metrics[0].scope_metrics
    sums = {metric.name: metric.sum.data_points for metric in metrics.metrics if metric.HasField("sum")}
    (outputs,) = sums["ticktalk_outputs"]
    assert outputs.as_double == len(rows) or outputs.as_int == len(rows)
