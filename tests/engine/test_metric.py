"""`metric()` in bodies: a sum, a last value, a distribution, as plain Python has them; the outputs stay as they are."""

from __future__ import annotations

import statistics
from typing import Any

import msgspec
import pytest
import simpy
from prometheus_client.parser import text_string_to_metric_families

import ticktalk
from programs import HEAD
from ticktalk import SQify, TTEnsemble, TTRuntimeManagerSim, metric
from ticktalk.cli.ending import metric_lines, tell_end
from ticktalk.cli.tables import status_tables, terminal
from ticktalk.errors import TTSyntaxError, TTWarning
from ticktalk.language.compiler import compile_source
from ticktalk.manager.metrics import _of_bodies
from ticktalk.series import MOST, MOST_TOLD, MetricName, Series, bounded
from ticktalk.simulation.event_file import parse_events
from ticktalk.simulation.faults import Faults
from ticktalk.web.metrics import metrics_text

PROGRAM = (
    HEAD
    + """
@SQify
def half(x):
    metric("half", x / 2)
    metric("seen", 1, "counter")
    if x % 7 == 0:
        raise ValueError(x)
    metric("size", x, "histogram")
    return x / 2
@SQify
def full(x, TTExecuteOnFullToken=True):
    metric("seen", x.value, "counter")
    return x
@GRAPHify
def main(trigger):
    x = count(trigger, TTPeriod=ms(10))
    return half(same(x)), full(x)
"""
)


def run(program: str, general: bool = False, until: int = 1_000_000) -> tuple[list[Any], dict[str, Any]]:
    """The outputs and the status of a simulated run; `general`: without generated code."""
    outputs: list[Any] = []
    with TTRuntimeManagerSim(None, [], simpy.Environment()) as manager:
        if general:
            manager.simulation.accelerator = None
        manager.on_output(lambda token: outputs.append((token.sq, token.value, token.start, token.stop)), notes=True)
        manager.instantiate_and_map_graph(compile_source(program, "prog.py", "prog"))
        manager.execute_graph("prog")
        manager.simulation.run(until)
        return outputs, manager.status()


@pytest.mark.parametrize("general", [True, False])
def test_metrics_are_those_of_plain_python_and_change_no_output(general: bool) -> None:
    outputs, status = run(PROGRAM, general)
    values = range(1, 100)  # instants at 10, 20, ..., 990 ms
    sizes = [x for x in values if x % 7]
    metrics = status["graphs"][0]["metrics"]
    assert metrics["half-1"]["half"] == {"kind": "gauge", "value": 49.5}
    assert metrics["half-1"]["seen"] == {"kind": "counter", "value": 99}
    assert metrics["full-1"]["seen"] == {"kind": "counter", "value": sum(values)}
    size = metrics["half-1"]["size"]
    assert (size["count"], size["sum"]) == (len(sizes), sum(sizes))
    assert all(count == sum(x <= float(bound) for x in sizes) for bound, count in size["at_most"].items())
    assert len(size["at_most"]) == 8, "0.5, 1, 2, 5, ..., 100: those around the values"
    without = "".join(line for line in PROGRAM.splitlines(keepends=True) if "metric(" not in line)
    assert run(without, general)[0] == outputs
    assert f"size of half-1: {len(sizes)} values, {statistics.mean(sizes):.6g} on average" in metric_lines(status)


def test_only_a_status_says_what_lists_the_metrics_that_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of a run there is no manager to ask."""
    _, status = run(PROGRAM)
    status["graphs"][0]["metrics"] = {"f-1": {f"m{number}": {"kind": "gauge", "value": 1.0} for number in range(13)}}
    tell_end(status, "prog")
    assert capsys.readouterr().err.splitlines()[-2:] == ["m9 of f-1: 1", "and 3 more"]
    screen = terminal()
    for table in status_tables(status):
        screen.print(table)
    assert "and 3 more: `ticktalk status --json` lists all" in capsys.readouterr().out


FAILS = (
    HEAD
    + """
@SQify
def seen(x):
    metric("seen", 1, "counter")
    metric("size", x, "histogram")
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(components=["camera"]):
        return seen(count(trigger, TTPeriod=ms(10)))
"""
)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_failure_lets_no_counter_fall(elsewhere: bool) -> None:
    """The SQ goes on where it was, or elsewhere."""
    names = ["a", "b"] if elsewhere else ["a"]
    members = [TTEnsemble(None, name, components=["camera"]) for name in names]
    with TTRuntimeManagerSim(None, members, simpy.Environment()) as manager:
        faults = Faults(manager, 20_000, 0)
        for event in parse_events("- {at: 205ms, fail: a}\n- {at: 300ms, recover: a}\n", names, "runtime-manager"):
            faults.schedule(event, 0)
        manager.instantiate_and_map_graph(compile_source(FAILS, "prog.py", "prog"))
        manager.execute_graph("prog")
        was, outputs = 0.0, 0
        for until in range(50_000, 600_001, 50_000):
            manager.simulation.run(until)
            (graph,) = manager.status()["graphs"]
            found = graph["metrics"]["seen-1"]
            assert found["seen"]["value"] >= was and found["size"]["count"] == found["seen"]["value"]
            was, outputs = found["seen"]["value"], graph["outputs"]
        assert was == outputs > 40


def test_prometheus_reads_them_by_their_own_names() -> None:
    _, status = run(PROGRAM)
    families = {family.name: family for family in text_string_to_metric_families(metrics_text(status).decode())}
    assert {name: families[name].type for name in ("half", "seen", "size")} == {
        "half": "gauge", "seen": "counter", "size": "histogram"
    }  # fmt: skip
    seen = {sample.labels["sq"]: sample.value for sample in families["seen"].samples}
    assert seen == {"half-1": 99, "full-1": sum(range(1, 100))}
    buckets = [sample for sample in families["size"].samples if sample.name == "size_bucket"]
    sizes = [x for x in range(1, 100) if x % 7]
    assert len(buckets) == 40 and buckets[-1].labels["le"] == "+Inf"
    assert all(sample.value == sum(x <= float(sample.labels["le"]) for x in sizes) for sample in buckets)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('metric("a b", 1)', "ValueError: metric 'a b': a name is made of letters"),
        ('metric("", 1)', "a name is made of letters"),
        ('metric("a" * 64, 1)', "has at most 63"),
        ("metric(7, 1)", "metric 7: a name is made of letters"),
        ('metric("ticktalk_x", 1)', "TickTalk and Prometheus make names with 'ticktalk'"),
        ('metric("x_total", 1)', "TickTalk and Prometheus make names with '_total'"),
        ('metric("x", "1")', "TypeError: metric 'x': a number is wanted, not '1'"),
        ('metric("x", float("nan"))', "a finite number is wanted, not nan"),
        ('metric("x", 10**400)', "a finite number is wanted"),
        ('metric("x", -1, "counter")', "a counter only grows"),
        ('metric("x", 1, "timer")', "kind 'timer' is none of 'gauge', 'counter', 'histogram'"),
        ('metric("x", 1); metric("x", 1, "counter")', "metric 'x' is a gauge here, not a counter"),
        ('[metric(f"x{n}", 1) for n in range(21)]', f"an SQ has at most {MOST} metrics: let values vary"),
    ],
)
def test_a_misuse_is_an_error_of_that_firing(call: str, error: str) -> None:
    body = f"{HEAD}@SQify\ndef f(x):\n    {call}\n    return x\n"
    found = []
    with TTRuntimeManagerSim(None, [], simpy.Environment()) as manager:
        manager.on_error(found.append)
        program = f"{body}@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"
        manager.instantiate_and_map_graph(compile_source(program, "prog.py", "prog"))
        manager.execute_graph("prog")
        manager.simulation.run()
        (told,) = found
        assert error in str(told) and told.line == body.splitlines().index(f"    {call}") + 1
        assert len(manager.status()["graphs"][0]["metrics"].get("f-1", {})) <= MOST


def test_outside_a_graph_a_body_with_metrics_is_a_plain_function() -> None:
    @SQify
    def double(x: float) -> float:
        metric("input", x)
        return 2 * x

    with pytest.warns(TTWarning, match="no SQ's body runs"):
        assert double(3) == 6
    with pytest.raises(TypeError, match="a number is wanted"):
        double("x")  # type: ignore[arg-type]


def test_a_metric_outside_a_body_is_refused() -> None:
    with pytest.raises(TTSyntaxError, match=r"`metric\(\)` has a meaning in the body of an SQ only"):
        run(f'{HEAD}@GRAPHify\ndef main(trigger):\n    metric("x", 1)\n    return same(trigger)\n')
    beside = f'{HEAD}X = metric("x", 1)\n@SQify\ndef f(x):\n    return X\n'
    with pytest.raises(ticktalk.TTError, match=r"metric\('x', ...\) sets a metric of the SQ whose body runs"):
        run(f"{beside}@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")


def test_more_series_than_are_told_are_counted() -> None:
    many = {f"sq-{n}": {f"x{k}": Series("gauge", 1.0, 1) for k in range(MOST)} for n in range(MOST_TOLD // MOST + 1)}
    some, left_out = bounded(many)
    assert sum(map(len, some.values())) == MOST_TOLD and left_out == MOST
    assert bounded(some) == (some, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_report_with_a_value_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="is no value of a metric"):
        Series("gauge", value)


def test_a_report_with_a_name_or_a_histogram_that_no_body_sets_is_refused() -> None:
    """One ensemble would break what a collector is told of all others."""
    told = msgspec.msgpack.Decoder(dict[MetricName, Series])
    good = {"x": ["histogram", 1.0, 2, {3: 1, 4: 1}], "total": ["gauge", 1.0, 1, {}], "x_totals": ["gauge"]}
    assert list(told.decode(msgspec.msgpack.encode(good))) == list(good)
    for name in ("ticktalk_outputs", "ticktalk", "x_total", "x_bucket", "x_info", "1x", "x\n"):
        with pytest.raises(msgspec.ValidationError):
            told.decode(msgspec.msgpack.encode({name: ["gauge", 1.0, 1, {}]}))
    with pytest.raises(msgspec.ValidationError, match="a histogram of 1 values has 2 in its ranges"):
        told.decode(msgspec.msgpack.encode({"x": ["histogram", 1.0, 1, {3: 1, 4: 1}]}))


def test_a_sum_beyond_all_numbers_is_the_largest_one() -> None:
    series = Series("counter")
    for _ in range(3):
        series.set(1.7e308)
    assert series.value == 1.7976931348623157e308


def test_a_name_of_several_kinds_takes_the_name_of_no_other() -> None:
    gauge, counter = Series("gauge", 1.0, 1).told(), Series("counter", 2.0, 1).told()
    histogram = Series("histogram", 3.0, 1, {3: 1}).told()
    of_each = {"a-1": {"x_histogram": gauge, "x": gauge}, "b-1": {"x": histogram}, "c-1": {"x": counter}}
    found = {each.name: each.kind for each in _of_bodies([{"name": "g", "metrics": of_each}])}
    assert found == {"x_histogram": "gauge", "x": "gauge", "x_histogram_histogram": "histogram", "x_counter": "counter"}
