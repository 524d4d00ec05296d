"""A real system says which port an SQ waits for and since when, how long outputs take, and how much bodies run."""

from __future__ import annotations

import time
from typing import Any

from systems import HEAD, until

from ticktalk.cli.ending import silence, times
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import OutputToken
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

PROGRAM = (
    HEAD
    + """
import time
@STREAMify
def cam(t):
    return 1
@SQify
def nothing(x):
    return TTEmpty()
@SQify
def fuse(x, y):
    return x
@SQify
def slow(x):
    time.sleep(0.02)
    return x
@GRAPHify
def main(trigger):
    x = cam(trigger, TTPeriod=100_000)
    y = nothing(cam(trigger, TTPeriod=100_000))
    return fuse(x, y), slow(x)
"""
)

NEAR = 100_000
"""Microseconds by which the system's clock may have moved beside the manager's."""


PERIOD = 100_000


def fits(status: dict[str, Any]) -> bool:
    """Whether the use of the bodies is what their runs took, by the time in which so many instants came."""
    (graph,), (load,) = status["graphs"], status["loads"]
    instants = graph["work"]["cam-1"]["firings"] + graph["counters"].get("cam-1", {}).get("skipped", 0)
    took = sum(each["firings"] * (each["mean_us"] or 0) for each in graph["work"].values())
    least, most = took / (instants + 2) / PERIOD, took / (instants - 2) / PERIOD
    return load["what"] == "bodies" and 0 < least <= load["used"] <= most


def test_status_tells_waiting_ports_and_latencies() -> None:
    outputs: list[OutputToken] = []
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager:
        manager.on_output(outputs.append)
        graph = compile_source(PROGRAM.replace("return fuse(x, y), slow(x)", "fuse(x, y)\n    slow(x)"), "w.py", "w")
        manager.instantiate_and_map_graph(graph)
        begun = time.time() * 1e6
        manager.execute_graph(graph)

        def waits() -> Any:
            return manager.status()["graphs"][0]["waits_for"].get("fuse-1")

        # The first instant is at most 100 ms after the start; the first token of x waits from then on.
        found = until(waits, "fuse-1 waits")
        assert found["ports"] == ["y"] and begun - NEAR < found["since"] < time.time() * 1e6 + NEAR
        until(lambda: manager.status()["graphs"][0]["outputs"] >= 10, "ten outputs")
        later = waits()
        assert later["ports"] == ["y"] and begun - NEAR < later["since"] < time.time() * 1e6 + NEAR
        status = manager.status()
        latency = status["graphs"][0]["latency_us"]["slow-1"]
        until(lambda: len(outputs) >= latency["outputs"], "they come to the listener, too")
        # How far the clock had come when one of the looks was taken is told by the instants, unless it stood still.
        until(lambda: fits(manager.status()), "the use of the bodies is that of their runs")
    (told,) = silence(status)
    assert told.startswith("fuse-1 never fired: nothing came on `y` from nothing-1 (")
    assert "nothing-1 gave nothing so far: " in told and "), while tokens wait: " in told
    # An instant lies in the middle of its token's interval.
    took = sorted(o.arrival - (int(o.start) + int(o.stop)) // 2 for o in outputs[: latency["outputs"]])
    assert latency["outputs"] >= 10 and took[0] >= 20_000
    assert (latency["median"], latency["worst"]) == (took[(len(took) - 1) // 2], took[-1])
    assert latency["p99"] == took[-1 - len(took) // 100]
    assert any(line.startswith("the bodies on runtime-manager ran for ") for lines in times(status) for line in lines)
