"""Plan B beside bodies that keep the processor busy: one value for every instant, at any cost to the bodies.

How late a plan B starts is measured elsewhere (`benchmarks/`); here it has to be right.
"""

from __future__ import annotations

import time

import pytest
from systems import LIMIT, until

from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment, OutputToken, ReadyAnswer, ReportRequest, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.node import Node
from ticktalk.values.codec import plain

LENGTH = 1_000_000
PERIOD = 200_000
WIDTH = 100_000

PROGRAM = """
from ticktalk import SQify, STREAMify, GRAPHify, TTClock, TTEmpty, component
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def work(x):
{work}
@SQify
def b():
    return -1
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {length}))
        tag, s = src(window, TTPeriod={period}, TTDataIntervalWidth={width})
        instant = tag * 1
        y = work(s)
        return TTFinishByOtherwise(y, TTTimeDeadline=READ_TTCLOCK(tag) + 60000, TTPlanB=b(), TTWillContinue=True)
"""


def run(work: str, processes: bool) -> tuple[int, int]:
    """Run the program on one ensemble until all is done; how many values came in time, and how many plan Bs.

    Every instant that was there (its tag is an output of its own) has one value: data, or plan B's.
    """
    outputs: list[OutputToken] = []
    node = Node("edge", {}, processes=processes)
    node.take_output = outputs.append
    node.run_in_thread()
    try:
        body = "\n".join(f"    {line}" for line in work.splitlines())
        graph = compile_source(PROGRAM.format(work=body, length=LENGTH, period=PERIOD, width=WIDTH), "prog.py", "prog")
        deployment = Deployment(graph, {sq.name: "edge" for sq in graph.sqs})
        answers: list[ReadyAnswer] = []
        in_loop(node, lambda: node.prepare(deployment, answers.append))
        assert until(lambda: answers, "the answer")[0].problem is None
        # The first instant comes a good while after the start.
        tick = (node.clock.now() // PERIOD + 1) * PERIOD + PERIOD // 2
        in_loop(node, lambda: node.start_context(StartContext("prog", 1, tick, {"trigger": 1})))
        until(
            lambda: not in_loop(node, lambda: node.duties.reports.report(ReportRequest("prog", 1, 0))).busy,
            "all is done",
        )
        counts = in_loop(node, lambda: node.duties.reports.report(ReportRequest("prog", 1, 0))).counts
    finally:
        node.close()
    instants = [plain(token.value) for token in outputs if token.sq == "MULT-1"]
    rows = sorted((int(token.start), plain(token.value)) for token in outputs if token.sq != "MULT-1")
    assert instants == sorted(set(instants))
    assert [start + WIDTH // 2 for start, _ in rows] == instants, counts
    data = [value for _, value in rows if value > 0]
    assert data == sorted(set(data))
    missed = len(rows) - len(data)
    deadline = counts.get("TTFinishByOtherwise-1", {})
    assert deadline.get("plan_b", 0) == missed
    assert deadline.get("late", 0) <= missed
    assert not {"errors", "missed"} & set(deadline)
    # The time-keeper skips an instant only when it stood still itself: then that one has no tag.
    assert len(instants) + counts.get("src-1", {}).get("skipped", 0) >= LENGTH // PERIOD
    return len(data), missed


BUSY = {
    "waits": "import time\ntime.sleep(0.12)\nreturn x",
    "computes": "import time\nend = time.monotonic() + 0.12\nwhile time.monotonic() < end:\n    pass\nreturn x",
    # With Python's lock held, however fast the machine is.
    "one long call": "import ctypes\nctypes.PyDLL(None).usleep(120_000)\nreturn x",
    "raises": "raise ValueError(x)",
    "gives nothing": "return TTEmpty()",
}


WAYS = [(work, True) for work in BUSY] + [("waits", False), ("computes", False)]


@pytest.mark.parametrize("work, processes", WAYS, ids=lambda way: way if isinstance(way, str) else f"processes={way}")
def test_each_missed_instant_fires_one_plan_b(work: str, processes: bool) -> None:
    end = time.monotonic() + LIMIT
    in_time, missed = run(BUSY[work], processes)
    while missed == 0 and time.monotonic() < end:  # the machine stood still for as long as the stream lasts
        in_time, missed = run(BUSY[work], processes)
    assert in_time == 0 and missed > 0


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_data_and_plan_b_alternate(processes: bool) -> None:
    run("import time\nif x % 2 == 0:\n    time.sleep(0.1)\nreturn x", processes)


def test_data_in_time_passes() -> None:
    """On a free machine all data is in time; on a busy one, late data has its plan B."""
    in_time, missed = run("return x", processes=True)
    assert in_time + missed > 0
