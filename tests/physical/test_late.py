"""On a device: the tokens that nothing was done with reach their handler, whoever encoded their values."""

from __future__ import annotations

from typing import Any

import pytest
from systems import repeated, until

from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment, FiringError, OutputToken, ReadyAnswer, ReportRequest, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.node import Node
from ticktalk.values.codec import plain

PERIOD = 100_000

HEAD = "from ticktalk import *\nimport time\n"


class Done:
    """A program that ran on one ensemble until all was done: its outputs, errors and counters."""

    def __init__(self, source: str, processes: bool, bound: int = 30_000_000) -> None:
        self.outputs: list[OutputToken] = []
        self.errors: list[FiringError] = []
        node = Node("edge", {}, processes=processes)
        node.host.eviction_bound = bound
        node.take_output, node.take_error = self.outputs.append, self.errors.append
        node.run_in_thread()
        try:
            graph = compile_source(HEAD + source, "prog.py", "prog")
            deployment = Deployment(graph, {sq.name: "edge" for sq in graph.sqs})
            answers: list[ReadyAnswer] = []
            in_loop(node, lambda: node.prepare(deployment, answers.append))
            assert until(lambda: answers, "the answer")[0].problem is None
            self.tick = (node.clock.now() // PERIOD + 1) * PERIOD + PERIOD // 2
            in_loop(node, lambda: node.start_context(StartContext("prog", 1, self.tick, {"trigger": 1})))

            def report() -> Any:
                return in_loop(node, lambda: node.duties.reports.report(ReportRequest("prog", 1, 0)))

            until(lambda: not report().busy, "all is done")
            self.counts = report().counts
        finally:
            node.close()

    def values(self, sq: str) -> list[Any]:
        """The values of an output."""
        return [plain(token.value) for token in self.outputs if token.sq == sq]

    def counted(self, sq: str, kind: str) -> int:
        """A counter."""
        return self.counts.get(sq, {}).get(kind, 0)


UNMATCHED = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return ["x" * 200_000, sq_state["n"]]
@SQify
def slow(x):
    time.sleep(0.03)
    return x
@SQify
def lone(value, interval, missing):
    if value[1] == 2:
        raise ValueError(missing)
    return len(value[0]), value[1], interval.start_tick, interval.stop_tick, missing
@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 450_000))
    tag, s = src(window, TTPeriod=100_000)
    return TTFinishByOtherwise(slow(s), TTTimeDeadline=tag + 10_000, TTUnmatched=lone)
"""


@pytest.mark.parametrize("processes", [True, False])
def test_late_data_reaches_its_handler(processes: bool) -> None:
    done = repeated(lambda: Done(UNMATCHED, processes), lambda done: len(done.outputs) > 1 and done.errors, "late data")
    found = done.values("lone-1")
    assert [(error.sq, error.exception) for error in done.errors] == [("lone-1", "ValueError: ('deadline',)")]
    assert len(found) + 1 == done.counted("TTFinishByOtherwise-1", "late")
    tokens = [(token.start, token.stop) for token in done.outputs if token.sq == "lone-1"]
    assert [(length, *interval, *missing) for length, _, *interval, missing in found] == [
        (200_000, start, stop, "deadline") for start, stop in tokens
    ]


EVICTED = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def odd(x):
    return str(x) if x % 2 else TTEmpty()
@SQify
def pair(x, y):
    return x, y
@SQify
def lone(value, interval, missing):
    return value, missing
@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 1_450_000))
    s = src(window, TTPeriod=100_000)
    return pair(s, odd(s), TTUnmatched=lone)
"""


@pytest.mark.parametrize("processes", [True, False])
def test_a_token_without_a_partner_reaches_its_handler(processes: bool) -> None:
    done = repeated(
        lambda: Done(EVICTED, processes, bound=600_000),
        lambda done: not done.counted("src-1", "skipped"),
        "a run on a machine that does not stand still",
    )
    lone = done.values("lone-1")
    assert len(lone) == done.counted("pair-1", "evicted") >= 2
    assert lone == [(value, ("y",)) for value in range(2, 2 * len(lone) + 2, 2)]
    assert done.values("pair-1") == [(n, str(n)) for n in range(1, 2 * len(done.values("pair-1")), 2)]
    assert not done.errors


MISSED = """
@STREAMify
def src(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    if n == 1:
        time.sleep(0.35)
    return n
@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 1_000_000))
    return src(window, TTPeriod=100_000, TTMissed="MISSED")
"""


@pytest.mark.parametrize("processes", [True, False])
@pytest.mark.parametrize("missed", ["skip", "catch-up"])
def test_instants_that_a_slow_body_missed(processes: bool, missed: str) -> None:
    done = Done(MISSED.replace("MISSED", missed), processes)
    instants = [(token.start + token.stop) // 2 for token in done.outputs]
    assert done.values("src-1") == list(range(1, len(instants) + 1))
    assert instants == sorted(set(instants)) and not done.errors
    skipped = done.counted("src-1", "skipped")
    assert len(instants) + skipped == 10
    assert skipped == 0 if missed == "catch-up" else skipped >= 2
    assert done.counted("src-1", "late_starts") >= (3 if missed == "catch-up" else 0)


TOLD = """
@STREAMify
def src(trigger):
    it = firing()
    return it.interval.start_tick, it.interval.stop_tick, it.instant, it.late_by, it.deadline
@SQify
def work(x):
    before = time.time_ns() // 1000
    it = firing()
    return it.interval.start_tick, it.instant, it.late_by, it.deadline, before, x
@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 350_000))
    tag, s = src(window, TTPeriod=100_000)
    return TTFinishByOtherwise(work(s), TTTimeDeadline=tag + 90_000)
"""


@pytest.mark.parametrize("processes", [True, False])
def test_bodies_are_told_of_their_firings(processes: bool) -> None:
    done = repeated(lambda: Done(TOLD, processes), lambda done: done.values("TTFinishByOtherwise-1"), "data in time")
    rows = done.values("TTFinishByOtherwise-1")
    assert not done.errors
    for start, matched, late_by, deadline, before, (begin, stop, instant, source_late_by, due) in rows:
        assert (stop - begin, instant - begin, begin, due) == (50_000, 25_000, start, None)
        assert 0 <= source_late_by < 100_000 and deadline == instant + 90_000
        # The body asks a moment after it has begun; both clocks are the host's.
        assert instant <= matched <= before + 2_000 and late_by >= 0
        assert matched + late_by <= before + 2_000
