"""Regions on a device: SQs that run together give the same results as on the general engine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from systems import repeated, until
from test_worker import Host

from ticktalk.language.compiler import compile_source
from ticktalk.network_keys import arc_key
from ticktalk.payloads import Deployment, ReportRequest, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.network.token_frames import arcs_as_bytes, token_frame
from ticktalk.physical.network.tokens import Incoming
from ticktalk.physical.regions import together as crossing
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.workers import worker_body, workers
from ticktalk.values.codec import encode_value

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify, TTClock, TTEmpty, component\n"

NUMBERS = """
@STREAMify
def left(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@STREAMify
def right(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return [sq_state["n"], {"twice": 2 * sq_state["n"]}]
@SQify
def named(x, name):
    return name, x
"""

ONCE = """
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {length}))
"""


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(request.param)
    yield made
    made.node.close()


@pytest.fixture
def process_host() -> Iterator[Host]:
    made = Host(True)
    yield made
    made.node.close()


@pytest.fixture
def generous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions form however busy the machine is."""
    monkeypatch.setattr(crossing, "SHARE", 0.001)
    monkeypatch.setattr(crossing, "KEPT_BACK", 30_000_000)


def regions(host: Host, graph: str) -> list[Any]:
    """The regions of a graph's context 1."""
    found: list[Any] = in_loop(host.node, lambda: list(host.node.host.contexts[graph, 1].accelerated))
    return found


def together(host: Host, graph: str) -> bool:
    return any(region.together for region in regions(host, graph))


def run_together(host: Host, text: str, more_than: int, **inputs: Any) -> str:
    """Run a program to its end, until a run has formed regions and given so many results; the graph's name."""

    def run() -> tuple[str, bool]:
        graph = host.run(text, **inputs)
        until(lambda: together(host, graph) or not host.busy(graph), "it forms regions, or has ended")
        formed = together(host, graph)
        return host.finished(graph), formed and len(host.values(graph)) > more_than

    return repeated(run, lambda done: done[1], "it forms regions")[0]


def named(host: Host, graph: str) -> dict[str, list[Any]]:
    """The outputs by name."""
    found: dict[str, list[Any]] = {}
    for name, value in host.values(graph):
        found.setdefault(name, []).append(value)
    return found


def test_instants_cross_at_once_and_nothing_else_changes(host: Host, generous: None) -> None:
    text = (
        NUMBERS
        + """
@SQify
def both(a, b):
    b[1]["twice"] += 1  # its own: nobody else sees this
    return a, b
@SQify
def odd(a):
    return a if a % 2 else TTEmpty()
@SQify
def breaks(a):
    if a % 5 == 0:
        raise ValueError(a)
    return a
@SQify
def join(a, b, c):
    return a + b, c
@SQify
def summed(a):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + a[0]
    return sq_state["sum"]
"""
        + ONCE.format(length=500_000)
        + """
        a = left(window, TTPeriod=10000)
        b = right(window, TTPeriod=10000)
        pair = both(a, b)
        some = odd(a)
        rest = breaks(some + 1 - 1)
        joined = join(rest, some, b)
        total = summed(joined)
        some_of_them = MERGE(named(pair, "both"), named(joined, "join"))
        return MERGE(some_of_them, MERGE(named(total, "summed"), named(rest, "breaks")))
"""
    )

    # Where the machine was busy, the sources are not in step.
    graph = repeated(
        lambda: run_together(host, text, 20),
        lambda graph: not any(counts.get("skipped") for counts in host.counts(graph).values()),
        "no instant is skipped",
    )
    by_name = named(host, graph)
    firings = len(by_name["both"])
    assert firings > 20
    numbers = range(1, firings + 1)
    assert by_name["both"] == [(n, [n, {"twice": 2 * n + 1}]) for n in numbers]
    assert by_name["breaks"] == [n for n in numbers if n % 2 and n % 5]
    assert by_name["join"] == [(2 * n, [n, {"twice": 2 * n}]) for n in numbers if n % 2 and n % 5]
    sums = [sum(2 * k for k in range(1, n + 1) if k % 2 and k % 5) for n in numbers if n % 2 and n % 5]
    assert by_name["summed"] == sums
    wrong = [n for n in numbers if n % 2 and n % 5 == 0]
    errors = host.errors_of(graph)
    assert [error.exception for error in errors] == [f"ValueError: {n}" for n in wrong]
    assert all("breaks" in error.traceback and "<region>" not in error.traceback for error in errors)
    counts = host.counts(graph)
    assert counts["breaks-1"]["errors"] == len(wrong)
    starts = sorted({token.start for token in list(host.outputs) if token.graph == graph})
    assert len(starts) == firings and not any((start - starts[0]) % 10_000 for start in starts)


def test_a_print_in_a_region_is_marked_with_its_sq(host: Host, generous: None) -> None:
    text = (
        NUMBERS
        + """
@SQify
def who(a):
    from ticktalk.engine.components import what_runs
    return what_runs().name, a
"""
        + ONCE.format(length=600_000)
        + """
        a = left(window, TTPeriod=10000)
        return MERGE(who(a), who(a))
"""
    )
    graph = run_together(host, text, 40)
    by_name = named(host, graph)
    numbers = list(range(1, len(host.values(graph)) // 2 + 1))
    assert by_name == {"who-1": numbers, "who-2": numbers}


def test_a_body_that_becomes_slow_splits_its_region_until_it_is_fast_again(host: Host) -> None:
    text = (
        NUMBERS
        + """
@SQify
def slow_for_a_while(a):
    import time
    if 60 <= a < 80:
        time.sleep(0.004)
    return a
@SQify
def passed(a):
    return a
"""
        + ONCE.format(length=600_000_000)
        + """
        return passed(slow_for_a_while(left(window, TTPeriod=10000)))
"""
    )
    graph = host.run(text)
    until(lambda: together(host, graph), "it is fast")
    until(lambda: len(host.values(graph)) >= 60, "it comes to where it is slow")
    until(lambda: not together(host, graph), "it is slow")
    until(lambda: len(host.values(graph)) >= 80, "it comes to where it is fast again")
    until(lambda: together(host, graph), "it is fast again")
    values = host.values(graph)
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    assert values == list(range(1, len(values) + 1))


def test_a_firing_of_a_region_that_holds_up_its_worker_is_named_and_ends_with_its_graph(
    process_host: Host, generous: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "LOADS", 300_000)
    text = (
        NUMBERS
        + """
@SQify
def holds(a):
    import re
    if a == 60:
        re.match("(a+)+$", "a" * 60 + "b")
    return a
@SQify
def passed(a):
    return a
"""
        + ONCE.format(length=600_000_000)
        + """
        return passed(holds(left(window, TTPeriod=10000)))
"""
    )
    other = "@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"
    graph = process_host.run(text)
    until(lambda: len(process_host.values(graph)) == 59, "it comes to where it is held up")
    until(lambda: any(len(region.runs) > 5 for region in regions(process_host, graph)), "its worker is held up")
    problem = process_host.prepare(other).problem
    assert problem is not None and f"held up by the firing of left-1 of graph {graph!r}" in problem
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))
    again = process_host.run(other)
    assert process_host.values(process_host.finished(again)) == [5]


def test_an_sq_with_a_component_stays_out_of_regions(generous: None) -> None:
    host = Host(False, {"lamp": object()})
    try:
        text = (
            NUMBERS
            + """
@SQify
def lit(a):
    component("lamp")
    return a
@SQify
def passed(a):
    return a
"""
            + ONCE.format(length=600_000)
            + """
        return passed(passed(lit(left(window, TTPeriod=10000))))
"""
        )
        graph = run_together(host, text, 40)
        (region,) = regions(host, graph)
        assert [member.sq.name for member in region.shape.members] == ["passed-1", "passed-2"]
        values = host.values(graph)
        assert values == list(range(1, len(values) + 1))
    finally:
        host.node.close()


def test_a_killed_worker_ends_its_regions_and_they_form_again(process_host: Host, generous: None) -> None:
    host = process_host
    text = NUMBERS + "@SQify\ndef passed(a):\n    return a\n" + ONCE.format(length=600_000_000)
    graph = host.run(text + "        return passed(left(window, TTPeriod=10000))\n")
    until(lambda: together(host, graph), "it forms a region")
    until(lambda: len(host.values(graph)) > 5, "it runs")
    os.kill(host.worker("main").process.pid, signal.SIGKILL)
    until(lambda: host.counts(graph).get("edge", {}).get("restarts"), "the worker is replaced")
    before = len(host.values(graph))
    until(lambda: len(host.values(graph)) > before + 20, "it goes on")
    until(lambda: together(host, graph), "it forms a region again")
    values = host.values(graph)
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    again = values.index(1, 1)  # nothing was saved of it
    assert values[:again] == list(range(1, again + 1))
    assert values[again:] == list(range(1, len(values) - again + 1))


def test_firings_that_wait_for_a_region_whose_worker_stands_still_are_bounded(
    process_host: Host, generous: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes apart, and the general engine leaves out what is too much; all that is kept comes, once and in order."""
    monkeypatch.setattr(crossing, "RUNS", 20)
    monkeypatch.setattr(worker_body, "UNDER_WAY", 40)
    host = process_host
    text = NUMBERS + "@SQify\ndef passed(a):\n    return a\n" + ONCE.format(length=60_000_000)
    graph = host.run(text + "        return passed(left(window, TTPeriod=5000))\n")
    until(lambda: together(host, graph), "it forms a region")
    worker = host.worker("main").process
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        (region,) = regions(host, graph)
        until(lambda: not region.together, "it goes apart")
        assert len(region.runs) <= 20
        until(lambda: host.counts(graph).get("left-1", {}).get("skipped", 0) > 50, "later instants are left out")
        bodies = host.node.workers._bodies.values()
        assert in_loop(host.node, lambda: max(len(body.in_flight) for body in bodies)) <= 40 + 1
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    before = len(host.values(graph))
    until(lambda: len(host.values(graph)) > before + 50, "it goes on")
    values = host.values(graph)
    assert values == list(range(1, len(values) + 1))
    in_loop(host.node, lambda: host.node.stop_graph(graph))


def test_a_grid_that_is_set_forms_regions_anew(host: Host, generous: None) -> None:
    text = NUMBERS + "@SQify\ndef both(a, b):\n    return a, b[0]\n" + ONCE.format(length=60_000_000)
    graph = host.run(text + "        return both(left(window, TTPeriod=10000), right(window, TTPeriod=10000))\n")
    until(lambda: together(host, graph), "it forms a region")
    assert [len(region.shape.members) for region in regions(host, graph)] == [3]

    def set_grid(name: str, period: int) -> None:
        context = host.node.host.contexts[graph, 1]
        in_loop(host.node, lambda: context.set_grid(name, period, 0, period // 2))

    set_grid("left-1", 20_000)
    until(lambda: not together(host, graph), "the sources are of different rates")
    assert not [region for region in regions(host, graph) if len(region.shape.members) > 2]
    set_grid("right-1", 20_000)
    until(lambda: together(host, graph), "they are of one rate again")
    before = len(host.values(graph))
    until(lambda: len(host.values(graph)) > before + 10, "it goes on")
    in_loop(host.node, lambda: host.node.stop_graph(graph))


class Receiver(Host):
    """An ensemble whose SQs are fed by another ensemble; the test plays that one."""

    def begin(self, text: str, elsewhere: str) -> str:
        """Deploy and start a program whose SQ `elsewhere` is on another ensemble; the graph's name."""
        self.count += 1
        graph = compile_source(HEAD + text, f"prog{self.count}.py", f"prog{self.count}")
        answers: list[Any] = []
        host_of = {sq.name: "other" if sq.name == elsewhere else "edge" for sq in graph.sqs}
        in_loop(self.node, lambda: self.node.prepare(Deployment(graph, host_of), answers.append))
        until(lambda: answers, "the answer to a deployment")
        self.start(graph.name)
        self.sent: dict[int, int] = {}
        until(lambda: self.node.tokens.of[graph.name, 1].numbers.begun, "it has begun")
        return graph.name

    def send(self, graph: str, sq: str, values: dict[int, Any], start: int, stop: int) -> None:
        """Send a token on each of some arcs of the SQ that is elsewhere."""
        numbers = []
        for arc in values:
            self.sent[arc] = self.sent.get(arc, 0) + 1
            numbers.append(self.sent[arc])
        if len(values) == 1:
            ((arc, value),) = values.items()
            parcel = (1, 0, b"", numbers[0], start, stop, encode_value(value))
        else:
            arc = min(values)
            alike = numbers[0] if len(set(numbers)) == 1 else numbers
            parcel = (1, 0, arcs_as_bytes(list(values)), alike, start, stop, encode_value(list(values.values())))
        self.came(graph, f"{sq}/{arc}", parcel)

    def came(self, graph: str, arc: str, parcel: Any) -> None:
        """A parcel of the ensemble elsewhere comes on an arc."""
        sender = Guard(ByToken(b"", "other", "ensemble"))
        frame, _ = sender.seal_tokens(arc_key(graph, arc), ["edge"], token_frame([parcel]))
        Incoming(self.node.tokens, graph, arc)(bytes(frame), None)


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(request.param)
    yield made
    made.node.close()


FED = """
@STREAMify
def src(trigger):
    return 1, [2], 3
@SQify
def named(x, name):
    return name, x
@SQify
def add(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def own(x):
    x.append(0)
    return x
@SQify
def twice(x):
    return x * 2
@GRAPHify
def main(trigger):
    tag, (a, b, c) = src(trigger, TTPeriod=10000)
    first, second = named(own(b), "own 1"), named(own(b), "own 2")
    return MERGE(MERGE(first, second), MERGE(named(add(a), "add"), named(twice(twice(c)), "twice")))
"""


def test_sqs_fed_by_one_token_run_together(receiver: Receiver, generous: None) -> None:
    graph = receiver.begin(FED, "src-1")
    expected: dict[str, list[Any]] = {"add": [], "own 1": [], "own 2": [], "twice": []}
    total = 0
    (region,) = regions(receiver, graph)
    assert region.shape.kind == "token" and len(region.shape.members) == 9
    for n in range(200):
        values: dict[int, Any] = {0: n, 1: [n], 2: n}
        if n % 7 == 3:
            del values[1]  # the body had nothing to say there
        if n % 11 == 5:
            values = {2: n}
        receiver.send(graph, "src-1", values, n * 1000, n * 1000 + 1000)
        if 0 in values:
            total += n
            expected["add"].append(total)
        if 1 in values:
            expected["own 1"].append([n, 0])
            expected["own 2"].append([n, 0])
        expected["twice"].append(4 * n)
        if n == 40:
            until(lambda: region.together, "it runs together")
    assert region.together
    receiver.finished(graph)
    assert named(receiver, graph) == expected
    assert not receiver.counts(graph).get("src-1")
    report = in_loop(receiver.node, lambda: receiver.node.duties.reports.report(ReportRequest(graph, 1, 0)))
    assert report.received == {f"src-1/{arc}": count for arc, count in receiver.sent.items()}


def test_a_released_instance_gets_all_tokens(receiver: Receiver, generous: None) -> None:
    graph = receiver.begin(FED, "src-1")
    (region,) = regions(receiver, graph)
    for n in range(40):
        receiver.send(graph, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    until(lambda: region.together, "it runs together")
    context = receiver.node.host.contexts[graph, 1]
    in_loop(receiver.node, lambda: context.hold(["add-1"]))
    for n in range(40, 60):
        receiver.send(graph, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    until(lambda: len(named(receiver, graph)["twice"]) == 60, "what is not held goes on")
    assert max(named(receiver, graph)["add"]) <= 40
    in_loop(receiver.node, lambda: context.release(["add-1"]))
    for n in range(60, 100):
        receiver.send(graph, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    receiver.finished(graph)
    assert named(receiver, graph)["add"] == list(range(1, 101))
    assert named(receiver, graph)["twice"] == [4 * n for n in range(100)]
    assert together(receiver, graph)


def test_sets_out_of_order_and_losses_are_counted(receiver: Receiver, generous: None) -> None:
    graph = receiver.begin(FED, "src-1")
    (region,) = regions(receiver, graph)
    for n in range(40):
        receiver.send(graph, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    until(lambda: region.together, "it runs together")
    receiver.sent = {arc: count + 3 for arc, count in receiver.sent.items()}  # three are lost
    receiver.send(graph, "src-1", {0: 1, 1: [40], 2: 40}, 40_000, 41_000)
    receiver.send(graph, "src-1", {0: 1, 1: [41], 2: 41}, 39_500, 40_500)  # too old for the SQs that keep order
    receiver.send(graph, "src-1", {0: 1, 1: [42], 2: 42}, 41_000, 42_000)
    receiver.finished(graph)
    counts = receiver.counts(graph)
    assert counts["src-1"] == {"lost": 9}
    assert counts["add-1"] == {"out_of_order": 1}
    last = {name: values[-1] for name, values in named(receiver, graph).items()}
    assert last == {"add": 42, "own 1": [42, 0], "own 2": [42, 0], "twice": 168}


def test_bad_parcels_disturb_nothing(receiver: Receiver, generous: None) -> None:
    graph = receiver.begin(FED, "src-1")
    (region,) = regions(receiver, graph)
    for n in range(40):
        receiver.send(graph, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    until(lambda: region.together, "it runs together")
    three, numbers = arcs_as_bytes([0, 1, 2]), 41
    bad = [
        (three, numbers, encode_value([1, 2])),
        (three, numbers, encode_value(7)),
        (three, [1, 2], encode_value([1, 2, 3])),
        (b"abc", numbers, encode_value([1, 2, 3])),
        (three, numbers, b"\xc1"),
        (b"", [1], encode_value(1)),
        (arcs_as_bytes([0, 900_000]), numbers, encode_value([1, 2])),
    ]
    for arcs, its_numbers, data in bad:
        frame = token_frame([(1, 0, arcs, its_numbers, 50_000, 51_000, data)])  # type: ignore[list-item]
        Incoming(receiver.node.tokens, graph, "src-1/0")(frame, None)
    receiver.sent = dict.fromkeys(receiver.sent, 41)
    receiver.send(graph, "src-1", {0: 1, 1: [99], 2: 99}, 60_000, 61_000)
    receiver.finished(graph)
    last = {name: values[-1] for name, values in named(receiver, graph).items()}
    assert last["own 1"] == last["own 2"] == [99, 0] and last["twice"] == 4 * 99


def test_the_start_of_a_context_may_come_after_its_first_tokens(receiver: Receiver, generous: None) -> None:
    receiver.count += 1
    name = f"early{receiver.count}"
    graph = compile_source(HEAD + FED, f"{name}.py", name)
    answers: list[Any] = []
    host_of = {sq.name: "other" if sq.name == "src-1" else "edge" for sq in graph.sqs}
    in_loop(receiver.node, lambda: receiver.node.prepare(Deployment(graph, host_of), answers.append))
    until(lambda: answers, "the answer to a deployment")
    receiver.sent = {}
    for n in range(5):
        receiver.send(name, "src-1", {0: 1, 1: [n], 2: n}, n * 1000, n * 1000 + 1000)
    start = StartContext(name, 1, receiver.node.clock.now() + 50_000, {"trigger": 1})
    in_loop(receiver.node, lambda: receiver.node.start_context(start))
    until(lambda: len(receiver.values(name)) == 20, "all of them arrive")
    assert ("twice", 4 * 4) in receiver.values(name) and set(receiver.counts(name)) <= {"edge"}
