"""`status` says how often each body ran, in regions too, how many deadlines were kept; by what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from systems import LIMIT, repeated, until

from programs import HEAD
from ticktalk import TTRuntimeManagerPhysical, compile_program
from ticktalk.cli.tables import _left_home, _place, status_tables, terminal
from ticktalk.graph.graph import TTGraph
from ticktalk.web.metrics import metrics_text

PROGRAM = (
    HEAD
    + """
import time
@SQify
def some(x):
    return TTEmpty() if x % 3 == 0 else x
@SQify
def then(x):
    return 1 / (x % 5)
@SQify
def both(x, y):
    metric("sums", x + y, "histogram")
    return x + y
@SQify
def slow(x):
    metric("latest", x)
    metric("runs", 1, "counter")
    time.sleep(0.03 if x % 10 == 0 else 0)
    return x
@GRAPHify
def main(trigger):
    x = count(trigger, TTPeriod=ms(10))
    y = some(x)
    then(y)
    both(x, y)
    tag, w = count(trigger, TTPeriod=ms(20))
    return TTFinishByOtherwise(slow(w), TTTimeDeadline=tag + 15000, TTPlanB=late())
"""
)
DATA = "TTFinishByOtherwise-1"


def run(graph: TTGraph, workers: int) -> tuple[dict[str, Any], list[Any]]:
    """Run a graph for a second; the status and the outputs."""
    outputs: list[Any] = []
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=workers) as manager:
        manager.on_output(outputs.append)
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph, length=1_000_000)
        assert manager.wait(graph, LIMIT)
        status = manager.status()
        count = manager.process.outputs.count
        until(lambda: len(outputs) == count, "all outputs are told")
    return status, outputs


def tells(done: tuple[dict[str, Any], list[Any]]) -> bool:
    """Whether deadlines were missed, and a body raised."""
    status, outputs = done
    missed = any(token.sq == DATA and token.value == -1 for token in outputs)
    return missed and "then-1" in status["graphs"][0]["counters"]


@pytest.mark.parametrize("workers", [0, 1])
def test_each_body_is_counted(tmp_path: Path, workers: int) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    graph = compile_program(tmp_path / "prog.py")
    status, outputs = repeated(lambda: run(graph, workers), tells, "a second in which each kind of firing comes")
    (entry,) = status["graphs"]
    work, counters = entry["work"], entry["counters"]
    # Each firing of these gave an output or raised.
    came = {sq: sum(token.sq == sq for token in outputs) for sq in ("then-1", "both-1")}
    assert 0 < work["count-1"]["firings"] <= 100
    assert work["some-1"]["firings"] == work["count-1"]["firings"]
    assert work["then-1"]["errors"] == counters["then-1"]["errors"]
    assert work["then-1"]["firings"] == came["then-1"] + work["then-1"]["errors"]
    assert work["both-1"]["firings"] == came["both-1"] < work["some-1"]["firings"]
    kept = [token for token in outputs if token.sq == DATA and token.value != -1]
    plan_b = [token for token in outputs if token.sq == DATA and token.value == -1]
    assert work[DATA] == {"kept": len(kept), "missed": len(plan_b)} and plan_b
    assert work["slow-1"]["queue"] == 0 and any(each.get("mean_us") is not None for each in work.values())
    places = {each["worker"] for each in work.values() if "kept" not in each}
    assert places == ({"main", "plan B"} if workers else {"threads"})
    set_there = entry["metrics"]
    assert set_there["slow-1"]["runs"] == {"kind": "counter", "value": work["slow-1"]["firings"]}
    assert set_there["slow-1"]["latest"] == {"kind": "gauge", "value": work["count-2"]["firings"]}
    sums = [token.value for token in outputs if token.sq == "both-1"]
    told = set_there["both-1"]["sums"]
    assert (told["count"], told["sum"]) == (len(sums), sum(sums))
    assert told["at_most"]["50"] == sum(each <= 50 for each in sums)
    metrics = {
        (sample.name, sample.labels.get("sq")): sample.value
        for family in text_string_to_metric_families(metrics_text(status).decode())
        for sample in family.samples
    }
    assert metrics["ticktalk_sq_firings_total", "both-1"] == work["both-1"]["firings"]
    assert metrics["ticktalk_sq_deadlines_missed_total", DATA] == len(plan_b)
    assert metrics["runs_total", "slow-1"] == work["slow-1"]["firings"] and metrics["sums_count", "both-1"] == len(sums)
    console = terminal()
    with console.capture() as shown:
        for table in status_tables(status):
            console.print(table)
    assert "runs in" in shown.get() and "why bodies left home" not in shown.get()
    assert f"{len(kept)} kept, {len(plan_b)} missed" in shown.get() and "SQs of prog" in shown.get()


def test_bodies_that_left_home_are_told_by_reason() -> None:
    told = {"worker": "main", "together": True, "left_home": "f-1 raised an error"}
    work = {"f-1": told, "g-1": told, "h-1": {"worker": "home", "together": False, "left_home": None}, "i-1": {}}
    graph = {"name": "prog", "work": work, "waiting": {}, "mapping": {}}
    assert _left_home({"graphs": [graph]}) == ["f-1 raised an error: f-1, g-1"]
    assert [_place(each) for each in work.values()] == ["main, with others", "main, with others", "home", ""]
