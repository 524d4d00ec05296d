"""OpenTelemetry: a span for each firing, linked to those that sent its tokens; the metrics are those of `/metrics`."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import simpy
from collector import Collector, collecting, values
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.cli.main import app_of
from ticktalk.cli.record import writer_to
from ticktalk.explain import running_history
from ticktalk.language.compiler import compile_source
from ticktalk.otel import sending
from ticktalk.otel import spans as spans_of
from ticktalk.otel.spans import HOLD, Spans
from ticktalk.recording.mcap_file import read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.setup import Setup
from ticktalk.records import Deadline, Decided, Fired, FiredTogether, Received, Records, Sent, TookOver
from ticktalk.web.metrics import metrics_text

PROGRAM = (
    HEAD
    + """
from ticktalk import metric
@SQify
def half(x):
    metric("halves", x / 2, "histogram")
    metric("last", x)
    return TTEmpty() if x % 5 == 0 else x / 2
@SQify
def both(x, y):
    if x == 4:
        raise ValueError(x)
    return x + y
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=ms(100), TTDataIntervalWidth=ms(50))
        in_time = TTFinishByOtherwise(half(x), TTTimeDeadline=tag + 20000, TTPlanB=late())
    with TTConstraint(name="b"):
        y = ones(trigger, TTPeriod=ms(200), TTDataIntervalWidth=ms(50))
        same(in_time)
        return both(x, y)
"""
)
FIRINGS = {"count-1": 19, "ADD-1": 19, "half-1": 19, "late-1": 3, "ones-1": 9, "both-1": 9, "same-1": 19}
"""Instants at 0.1, ..., 1.9 s and 0.2, ..., 1.8 s; every fifth half is missing, so its plan B fires."""


def simulated(collector: str, told: list[str], until: int = 1_950_000, name: str = "prog") -> dict[str, Any]:
    """The last status of a simulation that is sent to a collector."""
    graph = compile_source(PROGRAM, f"{name}.py", name)
    ensembles = [TTEnsemble(None, "a"), TTEnsemble(None, "b")]
    with TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=3_000) as manager:
        writer = sending.Telemetry(collector, "runtime-manager", manager.status, told.append, asks=False)
        recorded = RecordedSimulation(manager, writer, {})
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        manager.simulation.run(until)
        assert recorded.finish() == []
        return manager.status()


@pytest.fixture(scope="module")
def run() -> tuple[Collector, dict[str, Any]]:
    told: list[str] = []
    with collecting() as collector, pytest.MonkeyPatch.context() as patched:
        patched.setattr(sending, "REQUEST", 60.0)  # this machine may stand still
        status = simulated(collector.address, told)
    assert told == []
    return collector, status


def test_each_firing_is_a_span_whose_parents_sent_its_tokens(run: tuple[Collector, dict[str, Any]]) -> None:
    collector, _ = run
    by_id = {span.span_id: (ensemble, span) for ensemble, span in collector.spans}
    assert Counter(span.name for _, span in collector.spans) == FIRINGS and len(by_id) == sum(FIRINGS.values())
    assert {(span.name, ensemble) for ensemble, span in collector.spans} == {
        *((name, "a") for name in ("count-1", "ADD-1", "half-1", "late-1")),
        *((name, "b") for name in ("ones-1", "both-1", "same-1")),
    }
    came: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for _, span in collector.spans:
        told = values(span.attributes)
        sent = [by_id[each][1] for each in (span.parent_span_id, *(link.span_id for link in span.links)) if each]
        came[span.name].add(tuple(each.name for each in sent))
        if span.name in ("both-1", "half-1"):  # their tokens are those of the same instant
            assert {values(each.attributes)["ticktalk.interval.start"] for each in sent} == {
                told["ticktalk.interval.start"]
            }
        if span.parent_span_id:
            assert span.trace_id == by_id[span.parent_span_id][1].trace_id
        assert told["ticktalk.interval.stop"] - told["ticktalk.interval.start"] == 50_000
    assert came == {
        "count-1": {()},
        "ones-1": {()},
        "ADD-1": {("count-1",)},  # the tag of the same instant
        "half-1": {("count-1",)},
        "both-1": {("count-1", "ones-1")},
        "late-1": {()},  # a plan B without arguments takes no tokens
        "same-1": {("half-1",), ("late-1",)},  # by way of the deadline
    }
    failed = [span for _, span in collector.spans if span.status.code == Status.STATUS_CODE_ERROR]
    assert [span.name for span in failed] == ["both-1"]
    traces = {span.trace_id for _, span in collector.spans}
    assert len(traces) == FIRINGS["count-1"] + FIRINGS["ones-1"] + FIRINGS["late-1"], "each source begins one"


def test_the_spans_of_a_run_without_a_date_are_of_now(run: tuple[Collector, dict[str, Any]]) -> None:
    starts = sorted(span.start_time_unix_nano for _, span in run[0].spans if span.name == "count-1")
    assert {later - before for before, later in pairwise(starts)} == {100_000_000}
    assert starts[0] > 1_700_000_000 * 10**9


def test_the_metrics_are_those_that_prometheus_is_given(run: tuple[Collector, dict[str, Any]]) -> None:
    collector, status = run
    wanted = {}
    for family in text_string_to_metric_families(metrics_text(status).decode()):
        for sample in family.samples:
            wanted[sample.name, frozenset(sample.labels.items())] = sample.value
    found = {}
    (sent,) = collector.metrics[-1].resource_metrics
    for metric in sent.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            labels = values(point.attributes)
            if kind == "histogram":
                assert not point.HasField("min") and not point.HasField("max")
                up_to = 0
                for bound, count in zip([*point.explicit_bounds, math.inf], point.bucket_counts, strict=True):
                    up_to += count
                    le = "+Inf" if bound == math.inf else str(bound)
                    found[f"{metric.name}_bucket", frozenset({**labels, "le": le}.items())] = up_to
                found[f"{metric.name}_count", frozenset(labels.items())] = point.count
                found[f"{metric.name}_sum", frozenset(labels.items())] = point.sum
            else:
                name = f"{metric.name}_total" if kind == "sum" else metric.name
                found[name, frozenset(labels.items())] = getattr(point, point.WhichOneof("value"))
    assert found == wanted
    assert found["last", frozenset({"graph": "prog", "sq": "half-1"}.items())] == 19
    assert values(sent.resource.attributes)["service.instance.id"] == "runtime-manager"


@pytest.mark.parametrize("status", [0, 400])
def test_spans_that_do_not_reach_a_collector_are_counted_and_told(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "REQUEST", 0.2)
    told: list[str] = []
    with collecting() as collector:
        collector.status = status or 200
        address = collector.address if status else "http://127.0.0.1:9"
        assert simulated(address, told)["graphs"][0]["outputs"] == 27, "the run is as ever"
    reached, lost = told
    assert f"nothing reaches {address} (" in reached
    assert lost == f"--otel: {sum(FIRINGS.values())} spans were lost, 0 reached {address}"


def test_a_collector_that_stands_still_holds_nobody_up_and_what_finds_no_room_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending, "WAITING", 30)
    monkeypatch.setattr(sending, "REQUEST", 60.0)  # this machine may stand still
    monkeypatch.setattr(sending, "END", 60.0)
    told: list[str] = []
    with collecting() as collector:
        collector.open.clear()
        telemetry = sending.Telemetry(collector.address, "manager", status_of_none, told.append, asks=True)
        for each in some_spans(200):
            telemetry._put([each])
        assert len(telemetry._waiting) <= 30
        collector.open.set()
        telemetry.finish(*(f"the last records of {name!r}" for name in "abcdefghijkl"))
        assert telemetry.sent + telemetry.lost == 200 and telemetry.sent == len(collector.spans) >= 30
    assert f"--otel: {telemetry.lost} spans were lost, {telemetry.sent} reached {collector.address}" in told
    assert "for lack of the last records of 'a'; the last" in told[-1]
    assert told[-1].endswith("the last records of 'j'; and 2 more")


def test_metrics_are_sent_though_more_spans_wait_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "REQUEST", 60.0)  # this machine may stand still
    monkeypatch.setattr(sending, "TOGETHER", 1)
    monkeypatch.setattr(sending, "METRICS_PERIOD", 0.0)
    sent: list[int] = []

    def status() -> dict[str, Any]:
        sent.append(telemetry.sent)
        return status_of_none()

    with collecting() as collector:
        telemetry = sending.Telemetry(collector.address, "manager", status, [].append, asks=True)
        telemetry._put(some_spans(20))
        end = time.monotonic() + 60
        while telemetry.sent < 20 and time.monotonic() < end:
            time.sleep(0.01)
        telemetry.finish()
    assert telemetry.sent == 20 and any(0 < count < 20 for count in sent)


def test_only_the_latest_starts_are_known_and_records_of_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "REQUEST", 60.0)  # this machine may stand still
    monkeypatch.setattr(sending, "END", 60.0)
    monkeypatch.setattr(spans_of, "CONTEXTS", 2)
    told: list[str] = []
    graph = compile_source(PROGRAM, "prog.py", "prog").to_json().decode()

    def fired(context: int) -> Records:
        records: list[Any] = [Decided(1, "count-1", 0, 9, []), Fired(2, "count-1", 0, 9, 1, 2, "sent")]
        return Records("prog", context, "a", 0, 0, records)

    with collecting() as collector:
        telemetry = sending.Telemetry(collector.address, "manager", status_of_none, told.append, asks=False)
        for context in (1, 2):
            telemetry.begin(Setup("1", "devices", graph, "prog", context, 0, None, {}, {}, 0))
        telemetry.add(fired(1))  # so the second one is the one that has been silent for longest
        telemetry.begin(Setup("1", "devices", graph, "prog", 3, 0, None, {}, {}, 0))
        for context in (1, 2, 3):
            telemetry.add(fired(context))
        together = FiredTogether(3, "", ["half-1", "both-1"], 0, 9, 1, 2, ["sent", "sent"])  # counts twice
        telemetry.add(Records("prog", 2, "a", 2, 0, [together]))
        telemetry.finish()
    assert [values(span.attributes)["ticktalk.context"] for _, span in collector.spans] == [1, 1, 3]
    assert told == ["--otel: spans or links are missing, for lack of 4 records of prog"]


@pytest.mark.parametrize(
    ("said", "service"),
    [
        ({}, "ticktalk"),
        ({"OTEL_SERVICE_NAME": "plant"}, "plant"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=plant,site=north"}, "plant"),
    ],
)
def test_the_variables_of_opentelemetry_count(
    said: dict[str, str], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "REQUEST", 60.0)  # this machine may stand still
    for name, value in {**said, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=of-anna"}.items():
        monkeypatch.setenv(name, value)
    with collecting() as collector:
        sending.Telemetry(collector.address, "manager", status_of_none, [].append, asks=False).finish()
    (sent,) = collector.metrics[0].resource_metrics
    found = values(sent.resource.attributes)
    assert (found["service.name"], found["service.instance.id"]) == (service, "manager")
    assert ("site" in found) == ("OTEL_RESOURCE_ATTRIBUTES" in said)
    assert [headers["x-key"] for headers in collector.headers] == ["of-anna"]


def status_of_none() -> dict[str, Any]:
    """The status of a system without graphs."""
    return {"ensembles": [], "graphs": [], "errors": 0}


def some_spans(count: int) -> list[Any]:
    """Spans of a simulation of so many firings."""
    graph = compile_source(PROGRAM, "prog.py", "prog")
    spans = Spans()
    spans.begin(Setup("1", "devices", graph.to_json().decode(), "prog", 1, 0, None, {}, {}, 0), 0)
    records: list[Any] = []
    for tick in range(count):
        interval = tick, tick + 1
        records += [Decided(tick, "count-1", *interval, []), Fired(tick, "count-1", *interval, tick, tick, "sent")]
    return spans.take(Records("prog", 1, "a", 0, 0, records), 0.0)


def test_a_firing_waits_for_its_sender_for_a_while_only() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    arc = next(f"count-1/{index}" for index, arc in enumerate(graph.sqs[0].arcs) if arc.kind == "value")

    def taken(number: int) -> Records:
        return Records("prog", 1, "b", 0, 0, [
            Received(5, "half-1", 0, number, 0, 9, arc, number, True), Decided(5, "half-1", 0, 9, [number]),
            Fired(6, "half-1", 0, 9, 5, 6, "sent"),
        ])  # fmt: skip

    def sent(number: int) -> Records:
        return Records("prog", 1, "a", 0, 0, [
            Decided(1, "count-1", 0, 9, []), Sent(2, "count-1", arc, number, 0, 9, b"\x01"),
            Fired(2, "count-1", 0, 9, 1, 2, "sent"),
        ])  # fmt: skip

    spans = Spans()
    spans.begin(Setup("1", "devices", graph.to_json().decode(), "prog", 1, 0, None, {}, {}, 0), 0)
    assert spans.take(taken(1), 0.0) == []
    sender, receiver = spans.take(sent(1), 1.0)
    assert receiver.parent == sender.context
    assert spans.take(taken(2), 2.0) == []
    assert spans.ready(2.0 + HOLD / 2) == []
    (alone,) = spans.ready(2.0 + HOLD)
    assert alone.parent is None


def test_a_batch_of_records_looks_at_no_firing_that_waits_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    arc = next(f"count-1/{index}" for index, arc in enumerate(graph.sqs[0].arcs) if arc.kind == "value")
    looks: list[Any] = []
    origin = running_history.Following.origin
    monkeypatch.setattr(running_history.Following, "origin", lambda self, key: looks.append(key) or origin(self, key))
    spans = Spans()
    spans.begin(Setup("1", "devices", graph.to_json().decode(), "prog", 1, 0, None, {}, {}, 0), 0)
    count = 300
    for n in range(1, count + 1):
        taken = [
            Received(n, "half-1", 0, n, n, n + 1, arc, n, True), Decided(n, "half-1", n, n + 1, [n]),
            Fired(n, "half-1", n, n + 1, n, n, "sent"),
        ]  # fmt: skip
        assert spans.take(Records("prog", 1, "b", 0, 0, taken), 0.0) == []
    assert len(looks) == count
    made = []
    for n in range(1, count + 1):
        sent = [
            Decided(n, "count-1", n, n + 1, []), Sent(n, "count-1", arc, n, n, n + 1, b"\x01"),
            Fired(n, "count-1", n, n + 1, n, n, "sent"),
        ]  # fmt: skip
        made += spans.take(Records("prog", 1, "a", 0, 0, sent), 0.0)
    assert len(looks) == 2 * count and len(made) == 2 * count  # each when it came, and when its sender was known
    assert all(child.parent == parent.context for parent, child in zip(made[::2], made[1::2], strict=True))
    assert spans.ready() == [] and not spans._awaited


class Kept:
    """Takes what is recorded, and keeps it."""

    def __init__(self) -> None:
        self.setups: list[Setup] = []
        self.batches: list[Records] = []

    def begin(self, setup: Setup) -> None:
        """A context starts."""
        self.setups.append(setup)

    def took_over(self, note: TookOver) -> None:
        """No graph here is replaced."""

    def add(self, batch: Records) -> None:
        """Take records."""
        self.batches.append(batch)

    def flush(self) -> None:
        """Nothing waits."""

    def finish(self, *lacks: str) -> list[str]:
        """Nothing is missing."""
        return []


@pytest.mark.parametrize("first", ["a", "b"])
def test_the_order_of_two_ensembles_records_does_not_matter(first: str) -> None:
    """Also where a token has passed a deadline, so that its body is known by a later record only."""
    kept = Kept()
    graph = compile_source(PROGRAM, "prog.py", "prog")
    ensembles = [TTEnsemble(None, "a"), TTEnsemble(None, "b")]
    with TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=3_000) as manager:
        recorded = RecordedSimulation(manager, kept, {})
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        manager.simulation.run(1_950_000)
        recorded.finish()
    spans, made = Spans(), []
    spans.begin(kept.setups[0], 0)
    for batch in sorted(kept.batches, key=lambda batch: batch.ensemble != first):
        for record in batch.records:
            made += spans.take(Records("prog", 1, batch.ensemble, 0, 0, [record]), 0.0)
    made += spans.ready()
    by_id = {span.context.span_id: span.name for span in made}
    parents = Counter((span.name, by_id[span.parent.span_id] if span.parent else "") for span in made)
    assert Counter(span.name for span in made) == FIRINGS
    assert parents["same-1", "half-1"] == 16 and parents["same-1", "late-1"] == 3
    assert parents["half-1", "count-1"] == 19 and parents["both-1", "count-1"] == 9


def test_memory_of_a_long_run_is_bounded_but_for_tokens_that_a_port_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_history, "KEPT", 10)
    graph = compile_source(PROGRAM, "prog.py", "prog")
    known = running_history.Following(graph)
    known.take("a", [Received(0, "both-1", 1, 1, 0, 9, "ones-1/0", 1, True)])
    for n in range(2, 200):
        (firing,) = known.take("a", [
            Received(n, "both-1", 0, n, 0, 9, "count-1/1", n, True), Decided(n, "both-1", 0, 9, [n, 1]),
            Sent(n, "both-1", "both-1/0", n, 0, 9, b""), Fired(n, "both-1", 0, 9, n, n, "sent"),
        ])  # fmt: skip
        assert [came.key for came in firing.took] == [("count-1/1", n), ("ones-1/0", 1)]
    history = known._history
    assert [len(each) for each in (history.tokens, history.sender)] == [10, 10]
    assert all(len(each.came) <= 11 for each in history.instances()) and not any(history.firings.values())


def test_memory_is_bounded_though_firings_never_run_and_deadlines_never_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_history, "KEPT", 10)
    known = running_history.Following(compile_source(PROGRAM, "prog.py", "prog"))
    deadline, never = "TTFinishByOtherwise-1", math.inf
    for n in range(1, 200):
        known.take("a", [
            Decided(n, "half-1", 10 * n, 10 * n + 5, [n]), Sent(n, "half-1", "half-1/0", n, 10 * n, 10 * n + 5, b""),
            Received(n, deadline, 1, n, 10 * n, 10 * n + 5, "ADD-1/0", n, False),
            Deadline(n, deadline, 10 * n, 10 * n + 5, never, "set", 0),
        ])  # fmt: skip
    sizes = [(len(each.open), len(each.results), len(each.due)) for each in known._history.instances()]
    assert sorted(sizes) == [(0, 0, 10), (10, 10, 0)]


def ticktalk(*words: object) -> Any:
    return CliRunner().invoke(app_of([str(words[0])]), [str(word) for word in words])


@pytest.mark.parametrize("address", ["localhost:4318", "ftp://x", "http://", "http://x:99999", "4318"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    done = ticktalk("simulate", tmp_path / "prog.py", "--until", "1s", "--otel", address)
    assert done.exit_code == 2 and "give the collector's address, such as http://localhost:4318" in done.stderr


def test_a_password_in_the_address_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "REQUEST", 0.2)
    monkeypatch.setattr(sending, "END", 0.2)
    (tmp_path / "prog.py").write_text(PROGRAM)
    secret = "anna:secret@localhost:1"
    for address in (secret, f"http://{secret}", f"http://{secret}?x", "http://anna:se@cret@x:99999"):
        done = ticktalk("simulate", tmp_path / "prog.py", "--until", "1s", "--otel", address)
        assert "localhost:1" in done.stderr or "x:99999" in done.stderr
        assert "secret" not in done.output and "cret" not in done.output and "anna" not in done.output


def test_without_the_extra_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    monkeypatch.delitem(sys.modules, "ticktalk.otel.sending")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    done = ticktalk("simulate", tmp_path / "prog.py", "--until", "1s", "--otel", "http://localhost:4318")
    assert "pip install 'ticktalk[otel]'" in str(done.exception)


def test_a_file_is_recorded_beside(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    with collecting() as collector:
        done = ticktalk(
            "simulate", tmp_path / "prog.py", "--until", "1s", "--jsonl", "--otel", collector.address,
            "--record", tmp_path / "run.mcap",
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    records = [record for _, record in read_recording(tmp_path / "run.mcap").records()]
    fired = Counter(record.sq for record in records if isinstance(record, Fired))
    assert fired == Counter(span.name for _, span in collector.spans)


def test_a_file_is_whole_before_a_collector_is_waited_for(tmp_path: Path) -> None:
    class Slow:
        """A collector."""

        def finish(self, *lacks: str) -> list[str]:
            complete.append(read_recording(tmp_path / "run.mcap").lacks)
            return []

        begin = add = flush = finish

    complete: list[list[str]] = []
    writer = writer_to(tmp_path / "run.mcap", cast(Any, Slow()))
    assert writer is not None
    writer.begin(Setup("1", "devices", "{}", "prog", 1, 0, None, {}, {}, 0))
    assert writer.finish() == [] and complete[-1] == []
