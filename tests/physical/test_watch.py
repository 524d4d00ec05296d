"""A tap on a device: it is told of each body that ran, with the times that its worker measured."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from systems import repeated
from test_device_regions import FED, HEAD, Receiver, generous, receiver, regions
from test_worker import Host, host, in_loop, until

from ticktalk.hosted.tapping import Tapped
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment
from ticktalk.records import Decided, Fired, Received, Sent, SentTogether, TakenTogether, Turn, each_of
from ticktalk.values.codec import decode_value

__all__ = ["generous", "host", "receiver"]

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
        # A busy machine runs its four instants late, and skips none.
        graph = host.run(PROGRAM.replace("TTPeriod=100000", "TTPeriod=100000, TTMissed='catch-up'"))
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

    def run() -> list[Any]:
        graph = host.run(PROGRAM.replace("if x == 2", "if x == 9").replace("x < 3", "x < 9"))
        host.finished(graph)
        context = in_loop(host.node, lambda: host.node.host.contexts[graph, 1])
        assert bool(context.accelerated) == accelerated
        found: list[Any] = host.values(graph)
        assert found == list(range(1, len(found) + 1))
        return found

    try:
        repeated(run, lambda found: len(found) >= 3, "three of its four instants are in time")
    finally:
        host.node.accelerator = former


FLAT = """
@STREAMify
def src(trigger):
    return 1, [2], 3
@SQify
def add(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def breaks(x):
    if x[0] % 5 == 0:
        raise ValueError(x)
    return x
@SQify
def silent(x):
    return TTEmpty()
@GRAPHify
def main(trigger):
    tag, (a, b, c) = src(trigger, TTPeriod=10000)
    silent(c)
    return MERGE(add(a), breaks(b))
"""


def noted(receiver: Receiver, accelerated: bool) -> tuple[list[Any], str]:
    """What is noted of 100 parcels, and the name of the graph."""
    records: list[Any] = []
    node = receiver.node
    former, node.host.tap = node.host.tap, lambda start: Tapped(records.append, node.clock.now)
    accelerator, node.accelerator = node.accelerator, node.accelerator if accelerated else None
    try:
        graph = receiver.begin(FLAT, "src-1")
        for n in range(100):
            values: dict[int, Any] = {0: n, 1: [n], 2: n}
            if n % 7 == 3:
                del values[1]
            receiver.send(graph, "src-1", values, n * 1000, n * 1000 + 1000)
            if n == 40 and accelerated:
                until(lambda: regions(receiver, graph)[0].together, "it runs together")
        receiver.finished(graph)
    finally:
        node.host.tap, node.accelerator = former, accelerator
    return records, graph


def test_sqs_that_run_together_are_noted_as_if_each_ran_by_itself(receiver: Receiver, generous: None) -> None:
    records, _ = noted(receiver, accelerated=True)
    assert 50 < sum(isinstance(each, TakenTogether) for each in records) < len(records)
    alone, _ = noted(receiver, accelerated=False)
    assert not any(isinstance(each, TakenTogether) for each in alone)

    def of(kind: Any, sq: str, records: list[Any]) -> list[Any]:
        same = {"tick": 0, "began": 0, "ended": 0} if kind is Fired else {"tick": 0}
        found = [each for each in each_of(records) if type(each) is kind and each.sq == sq]
        return [msgspec.structs.replace(each, **same) for each in found]

    for sq in ("add-1", "breaks-1", "silent-1"):
        for kind in (Received, Turn, Decided, Sent, Fired):
            assert of(kind, sq, records) == of(kind, sq, alone)
    came = [n for n in range(100) if n % 7 != 3]
    assert [(each.token, each.number, each.start) for each in of(Received, "breaks-1", records)] == [
        (k, k, 1000 * n) for k, n in enumerate(came, 1)
    ]
    assert [each.outcome for each in of(Fired, "breaks-1", records)] == [
        "failed" if n % 5 == 0 else "sent" for n in came
    ]
    assert {each.outcome for each in of(Fired, "silent-1", records)} == {"nothing"}
    sums = [decode_value(each.value) for each in of(Sent, "add-1", records)]
    assert sums == [n * (n + 1) // 2 for n in range(100)]
    # A body ran after its set was decided, and sent before it was told to have run.
    at = [each for each in each_of(records) if each.sq == "add-1"]
    for number, fired in enumerate((k for k, each in enumerate(at) if isinstance(each, Fired)), 1):
        before = at[:fired]
        assert sum(isinstance(each, Decided) for each in before) >= number
        assert sum(isinstance(each, Sent) for each in before) == number


def test_while_a_tap_is_told_what_stays_inside_runs_alone(receiver: Receiver, generous: None) -> None:
    node = receiver.node
    former, node.host.tap = node.host.tap, lambda start: Tapped(lambda record: None, node.clock.now)
    try:
        graph = receiver.begin(FED, "src-1")
    finally:
        node.host.tap = former
    assert regions(receiver, graph) == []


def test_tokens_that_go_together_are_noted_each(host: Host) -> None:
    """They go as one publication, as without a tap."""
    records: list[Any] = []
    node = host.node
    former, node.host.tap = node.host.tap, lambda start: Tapped(records.append, node.clock.now)
    try:
        host.count += 1
        name = f"prog{host.count}"
        graph = compile_source(HEAD + FLAT, f"{name}.py", name)
        host_of = {sq.name: "edge" if sq.name == "src-1" else "other" for sq in graph.sqs}
        answers: list[Any] = []
        in_loop(node, lambda: node.prepare(Deployment(graph, host_of), answers.append))
        until(lambda: answers, "the answer to a deployment")
        host.start(name)
        until(lambda: sum(isinstance(each, SentTogether) for each in list(records)) > 5, "tokens go together")
    finally:
        node.host.tap = former
    in_loop(node, lambda: node.stop_graph(name))
    tokens: dict[str, list[Any]] = {}
    for each in each_of(list(records)):
        if isinstance(each, Sent):
            tokens.setdefault(each.arc, []).append((each.number, decode_value(each.value)))
    for index, value in enumerate((1, [2], 3)):
        numbers = tokens[f"src-1/{index}"]
        assert numbers == [(n, value) for n in range(1, len(numbers) + 1)]
