"""A watcher on a device: it is told of each body that ran, with the times that its worker measured."""

from __future__ import annotations

from typing import Any

import pytest
from test_worker import Host, host, in_loop, until

__all__ = ["host"]

PROGRAM = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def slow(x):
    import time
    if x == 2:
        raise ValueError(x)
    time.sleep(0.003)
    return x if x < 3 else TTEmpty()
@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        start = READ_TTCLOCK(trigger, TTClock=root)
        window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + 450000))
        return slow(src(window, TTPeriod=100000))
"""


def outcomes(told: list[tuple[Any, ...]]) -> list[str]:
    return [firing[6] for firing in told if firing[0] == "slow-1"]


def test_a_watcher_is_told_when_each_body_began_and_ended(host: Host) -> None:
    told: list[tuple[Any, ...]] = []
    host.node.host.fired = lambda *firing: told.append(firing)
    try:
        graph = host.run(PROGRAM)
        until(lambda: len(outcomes(told)) >= 3, "three bodies have run")
        context = in_loop(host.node, lambda: host.node.host.contexts[graph, 1])
        assert not context.accelerated
        assert context.chains["slow-1"].stages == ("worker",)
        host.finished(graph)
    finally:
        host.node.host.fired = None
    assert outcomes(told)[:3] == ["sent", "failed", "nothing"]
    for sq, number, start, stop, began, ended, outcome in told:
        assert number == 1 and began <= ended
        if sq == "slow-1":
            assert stop - start == 50_000 and start < began
            assert outcome == "failed" or ended - began >= 3_000
    sources = [firing for firing in told if firing[0] == "src-1"]
    assert len(sources) == len(outcomes(told)) and all(firing[6] == "sent" for firing in sources)


@pytest.mark.parametrize("accelerated", [True, False])
def test_a_device_needs_no_accelerator(host: Host, accelerated: bool) -> None:
    former = host.node.accelerator
    host.node.accelerator = former if accelerated else None
    try:
        graph = host.run(PROGRAM.replace("if x == 2", "if x == 9").replace("x < 3", "x < 9"))
    finally:
        host.node.accelerator = former
    host.finished(graph)
    context = in_loop(host.node, lambda: host.node.host.contexts[graph, 1])
    assert bool(context.accelerated) == accelerated
    found = host.values(graph)
    assert len(found) >= 3 and found == list(range(1, len(found) + 1))
