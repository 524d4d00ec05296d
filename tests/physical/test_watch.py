"""A tap on a device: it is told of each body that ran, with the times that its worker measured."""

from __future__ import annotations

from typing import Any

import pytest
from test_worker import Host, host, in_loop, until

from ticktalk.hosted.tapping import Tapped
from ticktalk.records import Decided, Fired, Received, Sent
from ticktalk.values.codec import decode_value

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


def fired(records: list[Any], sq: str) -> list[Fired]:
    return [each for each in list(records) if isinstance(each, Fired) and each.sq == sq]


def test_a_tap_is_told_when_each_body_began_and_ended(host: Host) -> None:
    records: list[Any] = []
    former, host.node.host.tap = host.node.host.tap, lambda start: Tapped(records.append, host.node.clock.now)
    try:
        graph = host.run(PROGRAM)
        until(lambda: len(fired(records, "slow-1")) >= 3, "three bodies have run")
        context = in_loop(host.node, lambda: host.node.host.contexts[graph, 1])
        assert not context.accelerated
        assert context.chains["slow-1"].stages == ("tap", "worker")
        host.finished(graph)
    finally:
        host.node.host.tap = former
    slow, sources = fired(records, "slow-1"), fired(records, "src-1")
    assert [each.outcome for each in slow[:3]] == ["sent", "failed", "nothing"]
    for each in slow + sources:
        assert each.began <= each.ended <= each.tick
    for each in slow:
        assert each.stop - each.start == 50_000 and each.start < each.began
        assert each.outcome == "failed" or each.ended - each.began >= 3_000
    assert len(sources) == len(slow) and all(each.outcome == "sent" for each in sources)
    # Each set of slow holds one token of src, with its number and its value.
    sent = [each for each in records if isinstance(each, Sent) and each.sq == "src-1"]
    assert [(each.number, decode_value(each.value)) for each in sent] == [(n, n) for n in range(1, len(sent) + 1)]
    received = [each for each in records if isinstance(each, Received) and each.sq == "slow-1"]
    assert [(each.arc, each.token, each.number) for each in received] == [
        ("src-1/0", n, n) for n in range(1, len(sent) + 1)
    ]
    decided = [each for each in records if isinstance(each, Decided) and each.sq == "slow-1"]
    assert [(each.tokens, each.start) for each in decided] == [
        ([n], sent[n - 1].start) for n in range(1, len(sent) + 1)
    ]


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
