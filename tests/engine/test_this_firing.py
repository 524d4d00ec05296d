"""`firing()` tells a body of the firing at hand: its interval, its instant, how late it is, when it is due."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from test_cores import Simulated
from world import World, graph_of

import ticktalk
from ticktalk.language.compiler import compile_program

MORE = """
from ticktalk import firing
def told():
    it = firing()
    return it.interval.start_tick, it.interval.stop_tick, it.instant, it.late_by, it.deadline
@STREAMify
def cam(trigger):
    return told()
@SQify
def work(x):
    return told()
@SQify
def quiet(x):
    return x
@SQify
def last(x):
    return x
@SQify
def later(tag):
    return tag + 500
@SQify
def full(x, TTExecuteOnFullToken=True):
    return TTToken(told(), x.time)
"""
INF = float("inf")


def told(body: str, sq: str, delay: int = 0) -> list[tuple]:
    """What is told at the instants 1000 and 2000 of a stream, whose intervals are 500 wide."""
    world = World(["a", "b"], delay=delay)
    world.start(graph_of(body, more=MORE))
    world.run(2_400)
    return [value for value in world.values(sq) if value is not None]


CAM = "tag, s = cam(trigger, TTPeriod=1000)\n"
DEADLINES = [
    # what is around the call of `work`, its deadline at 1000
    ("y = work(s)", None),
    ("y = TTFinishByOtherwise(work(s), TTTimeDeadline=tag + 70)", 1070),
    ("y = TTFinishByOtherwise(work(s), TTTimeDeadline=80 + tag - 10 + ms(1))", 2070),
    ("y = TTFinishByOtherwise(work(quiet(s)), TTTimeDeadline=tag + 70)", 1070),
    ("y = TTFinishByOtherwise(work(quiet(s)), TTTimeDeadline=later(tag))", None),
    ("with TTClock.root() as c:\n    with TTDeadline(c, 30):\n        y = work(s)", 1030),
    ("y = TTSingleRunTimeout(work(s), TTTimeout=7)", 1007),
    ("y = work(s, TTTimeout=9)", 1009),
    ("w = TTSingleRunTimeout(work(s), TTTimeout=90)\ny = TTFinishByOtherwise(w, TTTimeDeadline=tag + 70)", 1070),
    ("y = TTFinishByOtherwise(full(s), TTTimeDeadline=tag + 70)", 1070),
]


@pytest.mark.parametrize(("body", "deadline"), DEADLINES, ids=[case[0] for case in DEADLINES])
def test_firing_tells_an_sq_its_circumstances(body: str, deadline: int | None) -> None:
    first, second = told(f"{CAM}{body}\nreturn last(y)", "last-1")
    assert first == (750, 1250, 1000, 0, deadline)
    assert second == (1750, 2250, 2000, 0, None if deadline is None else deadline + 1000)


def test_firing_tells_a_stream_its_circumstances() -> None:
    assert told("return cam(trigger, TTPeriod=1000)", "cam-1")[0] == (750, 1250, 1000, 0, None)
    body = "tag, s = cam(trigger, TTPeriod=1000)\nreturn TTFinishByOtherwise(s, TTTimeDeadline=READ_TTCLOCK(tag) + 300)"
    assert told(body, "TTFinishByOtherwise-1")[0] == (750, 1250, 1000, 0, 1300)


def test_on_another_ensemble_it_matched_later() -> None:
    body = f"with TTConstraint(name='a'):\n    {CAM}with TTConstraint(name='b'):\n    y = work(s)\nreturn y"
    assert told(body, "work-1", delay=30)[0] == (750, 1250, 1030, 0, None)


def test_an_input_that_holds_for_ever() -> None:
    assert told("return work(trigger)", "work-1") == [(-INF, INF, 0, 0, None)]


def test_a_body_that_waits_for_a_core_starts_late(tmp_path: Path) -> None:
    program = (
        MORE
        + """
@GRAPHify
def main(trigger):
    tag, s = cam(trigger, TTPeriod=1000)
    return cam(trigger, TTPeriod=1000), TTFinishByOtherwise(work(s), TTTimeDeadline=tag + 600)
"""
    )
    deployment = "ensembles:\n- {name: a}\ncosts:\n  cam: {time: 100us}\n  work: {time: 100us}\n"
    found = Simulated(tmp_path, program, deployment).run(1_900)
    # The first cam ends at 1100, the second one at 1200; work can start then.
    assert found == [(((750, 1250, 1000, 100, None), (750, 1250, 1100, 100, 1600)), 1300)]


def test_a_handler_is_told_of_its_token() -> None:
    more = MORE + "@SQify\ndef lone(value, interval, missing):\n    return firing().interval == interval\n"
    world = World(["a"])
    for site in world.simulation.sites.values():
        site.host.eviction_bound = 1000
    body = "pair(count(trigger, TTPeriod=1000), count(trigger, TTPeriod=5000), TTUnmatched=lone)"
    world.start(graph_of(body, more=more))
    world.run(9_000)
    assert world.values("lone-1") and set(world.values("lone-1")) == {True}


def test_a_module_beside_the_program_asks(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import ticktalk as tt\ndef late():\n    return tt.firing().instant\n")
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\nimport helper\n@SQify\ndef f(x):\n    return helper.late()\n"
        "@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"
    )
    graph = compile_program(str(tmp_path / "prog.py"))
    world = World()
    world.start(graph)
    assert world.run(10).values() == [0]


def test_a_body_asks_under_another_name() -> None:
    more = "from ticktalk import SQRT, firing as now\n@SQify\ndef f(x):\n    return now().instant\n"
    world = World()
    world.start(graph_of("return f(trigger)", more=more))
    assert world.run(10).values() == [0]


def test_a_word_in_a_comment_or_a_text_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text('"""For each firing."""\ndef half(x):\n    return x / 2  # of a firing\n')
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\nfrom helper import half\n@SQify\ndef f(x):\n    'A firing.'\n    return half(x)\n"
        "@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"
    )
    assert not any(sq.told for sq in compile_program(str(tmp_path / "prog.py")).sqs)


def test_a_program_that_does_not_ask_pays_nothing() -> None:
    graph = graph_of("return same(work(count(trigger, TTPeriod=10)))", more=MORE)
    assert {sq.name: sq.told for sq in graph.sqs} == {"count-1": False, "work-1": True, "same-1": False}


def test_outside_a_body_it_says_where_it_works() -> None:
    with pytest.raises(LookupError, match="works in a running SQ only"):
        ticktalk.firing()
    assert {"firing", "Firing"} <= set(ticktalk.__all__)


def test_an_sq_that_nobody_saw_asking_is_told_what_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    # As an installed library's helper would: nothing of it travels.
    monkeypatch.setattr(ticktalk, "hidden", lambda: ticktalk.firing(), raising=False)
    more = "@SQify\ndef f(x):\n    import ticktalk\n    return ticktalk.hidden()\n"
    world = World()
    world.manager.instantiate_and_map_graph(graph_of("return f(trigger)", more=more))
    world.manager.execute_graph("prog")
    world.simulation.run(10)
    (error,) = world.manager.errors
    assert "names it: `from ticktalk import firing`" in str(error)


def test_fields_of_a_firing() -> None:
    fields: dict[str, Any] = ticktalk.Firing.__annotations__
    assert list(fields) == ["interval", "instant", "late_by", "deadline"]


def test_compiling_looks_at_each_deadline_once() -> None:
    def lines(count: int) -> int:
        """Lines that run in the file, for so many deadlines."""
        run = 0

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal run
            if not frame.f_code.co_filename.endswith("due_times.py"):
                return None
            run += event == "line"
            return trace

        late = "TTFinishByOtherwise(work(data), TTTimeDeadline=tag + 50, TTPlanB=same(0))"
        body = f"tag, data = cam(trigger, TTPeriod=100)\nreturn [{late} for i in range({count})]"
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            graph = graph_of(body, more=MORE)
        finally:
            sys.settrace(before)
        assert sum(sq.due == {"middle": 50} for sq in graph.sqs) == count
        return run

    assert lines(80) < 2.5 * lines(40)
