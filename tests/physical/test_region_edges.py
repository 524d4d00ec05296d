"""Regions on a device where something is unusual: each of these once came out otherwise than without a region."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_device_regions import HEAD, NUMBERS, ONCE, Receiver, named, regions, run_together, together
from test_worker import Host, until

from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.network.token_frames import arcs_as_bytes
from ticktalk.physical.regions import together as crossing
from ticktalk.values.codec import encode_value


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(request.param)
    yield made
    made.node.close()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions are formed early, and again soon after they were not."""
    monkeypatch.setattr(crossing, "LOOKS_AFTER", 2)
    monkeypatch.setattr(crossing, "LOOKS_AGAIN", 4)


FEEDS = """
@STREAMify
def src(trigger):
    return 1, 2, 3
@SQify
def named(x, name):
    return name, x
@SQify
def passed(x):
    return x
@SQify
def both(x, y):
    return x, y
@GRAPHify
def main(trigger):
    tag, (a, b, c) = src(trigger, TTPeriod=10000)
"""


STEP = 100_000
"""Ticks between two tokens: a region's bodies may take a tenth of it."""


def send(receiver: Receiver, graph: str, values: dict[int, Any], n: int) -> None:
    receiver.send(graph, "src-1", values, n * STEP, n * STEP + STEP)


def close_up(receiver: Receiver, region: Any) -> None:
    """Let a region close up, and hold it there: something of it seems to be under way."""

    def begin() -> None:
        region.dissolve()
        region.parts[0].body.in_flight.append(None)
        region._look()

    in_loop(receiver.node, begin)
    assert region._state == "closing up"


def warm(receiver: Receiver, graph: str, values: Any, first: int = 0) -> int:
    """Send tokens until the SQs that they feed run together; the number of tokens."""
    for n in range(first, first + 400):
        send(receiver, graph, values(n), n)
        receiver.finished(graph)
        if together(receiver, graph):
            return n + 1
    raise AssertionError("nothing runs together")


@pytest.mark.usefixtures("eager")
def test_arithmetic_overtakes_nothing_when_its_region_splits(receiver: Receiver, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    slow = f"""
@SQify
def slow(x):
    import os, time
    while x == 1000 and not os.path.exists({str(gate)!r}):
        time.sleep(0.002)
    return str(x)
"""
    graph = receiver.begin(slow + FEEDS + "    return MERGE(a + 1, slow(b))\n", "src-1")
    n = warm(receiver, graph, lambda n: {0: n, 1: n})
    send(receiver, graph, {0: n, 1: 1000}, n)
    for later in range(n + 1, n + 5):
        send(receiver, graph, {0: later, 1: later}, later)
    context = receiver.node.host.contexts[graph, 1]
    in_loop(receiver.node, lambda: (context.hold([]), context.accelerate()))
    for later in range(n + 5, n + 20):
        send(receiver, graph, {0: later, 1: later}, later)
    gate.touch()
    receiver.finished(graph)
    sums = [value for value in receiver.values(graph) if isinstance(value, int)]
    assert sums == list(range(1, n + 21))


@pytest.mark.usefixtures("eager")
def test_tokens_of_one_arc_stay_in_order_whatever_arrives_with_them(receiver: Receiver) -> None:
    graph = receiver.begin(FEEDS + "    return MERGE(both(b, c), named(passed(passed(passed(a))), 'a'))\n", "src-1")
    n = warm(receiver, graph, lambda n: {0: n})
    for later in range(n, n + 200):
        # Arc 1 leads to an SQ that matches, so tokens on both arcs go by the general engine.
        values = {0: later, 1: later} if later % 3 == 1 else {0: later}
        send(receiver, graph, values, later)
    receiver.finished(graph)
    assert named(receiver, graph)["a"] == list(range(n + 200))


def test_a_set_out_of_order_is_dropped_while_a_region_forms(receiver: Receiver) -> None:
    counts = """
@SQify
def count(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
"""
    graph = receiver.begin(counts + FEEDS + "    return named(passed(count(a)), 'a')\n", "src-1")
    (region,) = regions(receiver, graph)
    for n in range(5):
        send(receiver, graph, {0: n}, n)
        receiver.finished(graph)

    def go_on() -> None:
        region.parts[0].body.in_flight.clear()
        region.look_whether_idle()

    close_up(receiver, region)
    send(receiver, graph, {0: 5}, 3)  # older than the tokens before it closed up
    in_loop(receiver.node, go_on)
    receiver.finished(graph)
    assert receiver.counts(graph)["count-1"] == {"out_of_order": 1}
    close_up(receiver, region)
    send(receiver, graph, {0: 6}, 20)
    in_loop(receiver.node, go_on)
    assert region.together
    send(receiver, graph, {0: 7}, 15)  # older than the tokens that were kept back
    receiver.finished(graph)
    assert receiver.counts(graph)["count-1"] == {"out_of_order": 2}
    assert named(receiver, graph)["a"] == list(range(1, 7))


@pytest.mark.usefixtures("eager")
def test_a_bad_parcel_does_not_keep_others_from_being_handed_back(receiver: Receiver) -> None:
    graph = receiver.begin(FEEDS + "    return MERGE(named(passed(a), 'a'), named(passed(b), 'b'))\n", "src-1")
    (region,) = regions(receiver, graph)
    n = warm(receiver, graph, lambda n: {0: n, 1: n})
    close_up(receiver, region)
    bad = (1, 0, arcs_as_bytes([0, 1]), n + 1, n * STEP, n * STEP + 1, encode_value(7))
    receiver.came(graph, "src-1/0", bad)
    receiver.sent = {arc: count + 1 for arc, count in receiver.sent.items()}
    send(receiver, graph, {0: -1, 1: -1}, n)
    before = receiver.node.own["bad_frames"]

    def give_back() -> None:
        region.parts[0].body.in_flight.clear()
        region.dissolve()

    in_loop(receiver.node, give_back)
    receiver.finished(graph)
    assert receiver.node.own["bad_frames"] == before + 1
    assert {name: values[-1] for name, values in named(receiver, graph).items()} == {"a": -1, "b": -1}


def test_a_bad_parcel_before_the_start_does_not_keep_others_away(receiver: Receiver) -> None:
    receiver.count += 1
    name = f"bad{receiver.count}"
    text = FEEDS + "    return MERGE(named(passed(a), 'a'), named(passed(b), 'b'))\n"
    graph = compile_source(HEAD + text, f"{name}.py", name)
    answers: list[Any] = []
    host_of = {sq.name: "other" if sq.name == "src-1" else "edge" for sq in graph.sqs}
    in_loop(receiver.node, lambda: receiver.node.prepare(Deployment(graph, host_of), answers.append))
    until(lambda: answers, "the answer to a deployment")
    receiver.came(name, "src-1/0", (1, 0, arcs_as_bytes([0, 1]), 1, 0, 1, encode_value(7)))
    receiver.sent = {0: 1, 1: 1}
    receiver.send(name, "src-1", {0: 5, 1: 6}, 0, 1000)
    start = StartContext(name, 1, receiver.node.clock.now() + 50_000, {"trigger": 1})
    in_loop(receiver.node, lambda: receiver.node.start_context(start))
    until(lambda: len(receiver.values(name)) == 2, "the other one arrives")


@pytest.mark.usefixtures("eager")
def test_a_value_that_cannot_be_decoded_is_an_error_of_its_receivers_only(receiver: Receiver) -> None:
    text = """
class Odd:
    pass
@SQify
def reads(x):
    return 1
"""
    graph = receiver.begin(text + FEEDS + "    return MERGE(named(passed(a), 'a'), reads(b))\n", "src-1")
    n = warm(receiver, graph, lambda n: {0: n, 1: n})
    data = b"\x92\x05" + b"\xc7\x01\x63\x00"  # 5, and an unknown extension
    arcs = arcs_as_bytes([0, 1])
    receiver.came(graph, "src-1/0", (1, 0, arcs, n + 1, n * STEP, n * STEP + 1, data))
    receiver.finished(graph)
    assert named_only(receiver, graph)[-1] == 5
    assert receiver.counts(graph).get("reads-1") == {"errors": 1}
    assert "passed-1" not in receiver.counts(graph)


def named_only(host: Host, graph: str) -> list[Any]:
    return [value[1] for value in host.values(graph) if isinstance(value, tuple)]


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(request.param)
    yield made
    made.node.close()


@pytest.mark.usefixtures("eager")
def test_no_error_of_a_body_stops_its_worker(host: Host) -> None:
    text = (
        NUMBERS
        + """
class Shown(Exception):
    def __str__(self):
        raise SystemExit(3)
@SQify
def raises(a):
    if a % 5 == 0:
        raise Shown
    return a
@SQify
def half(a):
    return chr(0xDC00) if a % 4 == 0 else a
@SQify
def odd(a):
    return a if a % 2 else TTEmpty()
@SQify
def join(a, b):
    return a, b
"""
        + ONCE.format(length=500_000)
        + """
        a = left(window, TTPeriod=10000)
        return MERGE(named(raises(a), "raises"), join(half(a), odd(a)))
"""
    )
    graph = run_together(host, text, 40)
    counts = host.counts(graph)
    firings = max(value[1] for value in host.values(graph) if value[0] == "raises")
    assert counts["raises-1"]["errors"] in (firings // 5, firings // 5 + 1)
    joined = [a for a, b in host.values(graph) if a == b]
    assert joined == list(range(1, len(joined) * 2, 2)) and abs(len(joined) - firings // 2) <= 2
    other = host.run("@SQify\ndef f(x):\n    return x + 1\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    until(lambda: host.values(other) == [2], "the worker goes on")


@pytest.mark.usefixtures("eager")
def test_arithmetic_at_the_end_keeps_no_region_apart(host: Host) -> None:
    text = NUMBERS + ONCE.format(length=500_000) + "        return left(window, TTPeriod=10000) + 1 + 2\n"
    graph = run_together(host, text, 20)
    values = host.values(graph)
    assert values == list(range(4, len(values) + 4))


@pytest.mark.usefixtures("eager")
def test_each_firing_gets_its_own_copy_of_a_setting(host: Host) -> None:
    text = (
        NUMBERS
        + """
@SQify
def grows(a, setting):
    setting.append(a)
    return len(setting)
@GRAPHify
def main(trigger, setting):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 500000))
        return grows(left(window, TTPeriod=10000), setting)
"""
    )
    graph = run_together(host, text, 20, trigger=1, setting=[1, 2])
    assert set(host.values(graph)) == {3}


@pytest.mark.usefixtures("eager")
def test_a_region_that_has_split_is_forgotten(receiver: Receiver) -> None:
    graph = receiver.begin(FEEDS + "    return named(passed(a), 'a')\n", "src-1")
    n = 0
    for _ in range(5):
        n = warm(receiver, graph, lambda n: {0: n}, n)
        context = receiver.node.host.contexts[graph, 1]
        in_loop(receiver.node, lambda context=context: (context.hold([]), context.accelerate()))
    assert named(receiver, graph)["a"] == list(range(n))
    of_graph = [
        r for r in receiver.node.workers.accelerator._together.values() if r.context.prepared.graph.name == graph
    ]
    assert not of_graph
