"""A real system says which port an SQ waits for and since when, how long outputs take, and how much bodies run."""

from __future__ import annotations

import time
from typing import Any

from systems import HEAD, LIMIT, until

from ticktalk.cli.ending import silence, times
from ticktalk.language.compiler import compile_source
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


def test_what_waits_and_where_time_goes() -> None:
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager:
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
    (told,) = silence(status)
    assert told.startswith("fuse-1 never fired: nothing came on `y` from nothing-1, while tokens wait: ")
    latency = status["graphs"][0]["latency_us"]["slow-1"]
    assert 20_000 <= latency["median"] <= latency["p99"] <= latency["worst"] < 1e6 * LIMIT
    (load,) = status["loads"]
    assert load["what"] == "bodies" and 0 < load["used"] <= 1  # 20 ms of each 100, on a quiet machine
    assert any(line.startswith("the bodies on runtime-manager ran for ") for line in times(status))
