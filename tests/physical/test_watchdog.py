"""What dies or hangs is named, and replaced; what dies again and again is given up and told."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from systems import HEAD, Process, System, until
from test_worker import Host

from ticktalk.cli.tables import status_tables
from ticktalk.hosted import watchdog
from ticktalk.hosted.watchdog import LONG, OpenFiring, Watchdog
from ticktalk.manager.events import Event
from ticktalk.manager.reports import Reports
from ticktalk.payloads import IdleReport, InstanceState, ReportRequest, StartContext
from ticktalk.physical.manager_node import Callbacks, in_loop
from ticktalk.physical.workers import channels, restarts, workers
from ticktalk.physical.workers.restarts import LIMIT, LIVED, LONGEST, PAUSE, Restarts
from ticktalk.values.codec import encode_value


@pytest.fixture
def process_host() -> Iterator[Host]:
    made = Host(True)
    yield made
    made.node.close()


def test_a_worker_that_dies_in_a_row_is_replaced_after_longer_and_longer_and_then_given_up() -> None:
    rule, now, pauses = Restarts(), 0, []
    rule.started(now)
    while (pause := rule.died(now)) is not None:
        pauses.append(pause)
        now += pause + 1
        rule.started(now)
    assert pauses[:4] == [0, PAUSE, 2 * PAUSE, 4 * PAUSE] and pauses == sorted(pauses)
    assert pauses[-1] == LONGEST and len(pauses) == LIMIT - 1


def test_a_worker_that_lived_for_long_is_replaced_at_once() -> None:
    rule, now = Restarts(), 0
    for _ in range(3 * LIMIT):
        rule.started(now)
        now += LIVED
        assert rule.died(now) == 0


def test_a_worker_that_dies_again_and_again_is_given_up_and_told(
    process_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its SQs fail from then on; other graphs get a worker anew."""
    monkeypatch.setattr(restarts, "LIMIT", 3)
    text = """
@STREAMify
def src(trigger):
    return 1
@SQify
def deadly(x):
    import os
    os._exit(7)
@GRAPHify
def main(trigger):
    return deadly(src(trigger, TTPeriod=100000))
"""
    graph = process_host.run(text)
    until(lambda: process_host.errors, "the worker is given up")
    assert "died 3 times in a row and is not started again" in str(process_host.errors[0])
    assert process_host.counts(graph)["edge"] == {"restarts": 3}
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))
    again = process_host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert process_host.values(process_host.finished(again)) == [5]


def test_an_instance_whose_worker_is_given_up_keeps_the_state_that_was_saved_last(
    process_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may go on elsewhere. A save that was asked for before is answered, too."""
    monkeypatch.setattr(restarts, "LIMIT", 2)
    text = "@STREAMify\ndef deadly(trigger):\n    global sq_state\n    import os\n    os._exit(7)\n"
    text += "@GRAPHify\ndef main(trigger):\n    return deadly(trigger, TTPeriod=100000)\n"
    node, graph, state = process_host.node, process_host.prepare(text).graph, encode_value({"n": 3})
    saved: list[bytes | None] = []

    def take_state(context: object, sq: str, sq_state: bytes | None, left_out: list[str]) -> None:
        saved.append(sq_state)

    def start() -> None:
        node.start_context(StartContext(graph, 1, node.clock.now(), {"trigger": 1}))
        node.duties.checkpoints.known((graph, 1), (), {"deadly-1": InstanceState(body=state)})
        node.workers.bodies(node.host.contexts[graph, 1])["deadly-1"].saved.append(take_state)  # never answered there

    in_loop(node, start)
    until(lambda: process_host.errors, "the worker is given up")
    in_loop(node, lambda: node.workers.save(node.host.contexts[graph, 1], "deadly-1", take_state))
    assert saved == [state, state]


SPOILS = {
    "deletes what is built in": ("", "for name in list(vars(builtins)): delattr(builtins, name)"),
    "cannot be loaded again": ("if os.path.exists(MARK): raise OSError", "open(MARK, 'w').close(); os._exit(3)"),
}


@pytest.mark.parametrize("how", SPOILS)
def test_a_worker_that_is_of_no_use_any_more_ends_and_is_given_up(
    process_host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    """No process lives on whose thread for bodies has ended."""
    monkeypatch.setattr(restarts, "LIMIT", 3)
    at_load, in_body = SPOILS[how]
    text = f"import builtins, os\n{at_load}\n@STREAMify\ndef src(trigger):\n    return 1\n"
    text += f"@SQify\ndef spoils(x):\n    {in_body}\n    return x\n"
    text += "@GRAPHify\ndef main(trigger):\n    return spoils(src(trigger, TTPeriod=100000))\n"
    graph = process_host.run(text.replace("MARK", repr(str(tmp_path / "mark"))))
    until(lambda: process_host.errors, "the worker is given up")
    assert "died 3 times in a row and is not started again" in str(process_host.errors[0])
    assert process_host.counts(graph)["edge"] == {"restarts": 3} and not process_host.values(graph)


DEATHS = {
    "a signal": (
        "while True: os.kill(os.getpid(), 11)",  # another thread may get it, a moment later
        "was ended by signal 11 (SIGSEGV)",
    ),
    "a status": ("os._exit(7)", "ended with status 7"),
}


def test_a_worker_that_dies_is_told_with_the_firing_that_ran_and_how_it_ended() -> None:
    """In an event, in the log of its ensemble, and in the status."""
    system = System().with_ensembles("edge")
    try:
        for name, (how, told) in DEATHS.items():
            graph = name.replace(" ", "_")
            text = f"{HEAD}import os\n@SQify\ndef deadly(x):\n    {how}\n@GRAPHify\ndef main(trigger):\n"
            text += '    with TTConstraint(name="edge"):\n        return deadly(trigger)\n'
            system.deploy(text, graph)
            system.manager.execute_graph(graph)
            wanted = f"of 'edge' {told} while the firing of [-inf, inf) of deadly-1 of graph {graph!r} ran"
            event = system.event(wanted)
            until(lambda wanted=wanted: wanted in system.ensembles["edge"].said, "its ensemble logs it")
        deaths = system.manager.status()["worker_deaths"]
        assert deaths == {"edge": {"count": 2, "latest": event}}
        tables = "".join(str(cell) for table in status_tables(system.manager.status()) for cell in table.columns)
        assert "edge: 2" in tables
        system.one("after")
    finally:
        system.end()


def test_a_firing_that_is_still_there_at_a_later_look_runs_long() -> None:
    """It counts from the look at which it was first seen; another firing of its SQ begins anew."""
    watch, context = Watchdog(), ("g", 1)
    one, other = [(None, 0, end) for end in (10, 10)]  # equal, and not the same
    both = {"a": OpenFiring(one, 0, 10), "b": OpenFiring(other, 20, 30)}
    assert watch.look(context, {"a": both["a"]}, 0) == {}
    assert watch.look(context, both, 1_000_000) == {}
    assert watch.look(context, both, LONG - 1) == {}
    assert watch.look(context, both, LONG) == {"a": (0, 10, LONG)}
    assert list(watch.look(context, both, LONG + 1_000_000).items()) == [
        ("a", (0, 10, LONG + 1_000_000)),
        ("b", (20, 30, LONG)),
    ]
    assert watch.look(("g", 2), both, 2 * LONG) == {}
    assert watch.look(context, {"a": OpenFiring(other, 10, 20)}, 2 * LONG) == {}
    assert watch.look(context, {}, 3 * LONG) == {}


def test_the_manager_tells_a_long_firing_once_until_none_runs_long_any_more() -> None:
    told: list[Event] = []
    completion = SimpleNamespace(take=lambda *arguments: False)
    context = SimpleNamespace(runs_long=set(), completion=completion, outputs={}, ended=False)
    state = SimpleNamespace(
        graphs={
            "g": SimpleNamespace(
                name="g", title="g", contexts={1: context}, host_of={"a-1": "edge", "b-1": "edge"}, changed_late=0
            )
        }
    )
    nothing: Any = None
    reports = Reports(state, {}, nothing, told.append, nothing, nothing, nothing)  # type: ignore[arg-type]
    long: dict[str, Any] = {"a-1": (0, 10, 5_200_000), "b-1": (0, 10, 5_100_000)}
    for running in (long, long, {}, {"b-1": (None, None, 7_000_000)}):
        reports.take(IdleReport("g", 1, "edge", 0, running=running), 0)
    assert [str(event) for event in told] == [
        "graph 'g': the firing of [0s, 10us) of a-1 on 'edge' has run for 5.2s",
        "graph 'g': the firing of b-1 on 'edge' has run for 7s",
    ]


HOLDS = {
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
    "holds the interpreter": 're.match("(a+)+$", "a" * 60 + "b")',
}


@pytest.mark.parametrize("how", HOLDS)
def test_a_body_that_holds_up_its_worker_is_named(
    process_host: Host, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """In reports, and in the answer to the next deployment, which does not wait for it."""
    monkeypatch.setattr(watchdog, "LONG", 300_000)
    monkeypatch.setattr(workers, "LOADS", 300_000)
    text = f"import os, re, signal, time\n@SQify\ndef holds(x):\n    {HOLDS[how]}\n"
    text += "@GRAPHify\ndef main(trigger):\n    return holds(trigger)\n"
    graph = process_host.run(text)

    def running() -> dict[str, Any]:
        reports = process_host.node.duties.reports
        found: dict[str, Any] = in_loop(process_host.node, lambda: reports.report(ReportRequest(graph, 1, 0))).running
        return found

    until(running, "the firing is told")
    assert list(running()) == ["holds-1"] and running()["holds-1"][2] >= 300_000
    problem = process_host.prepare(
        "@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(t):\n    return f(t)\n"
    ).problem
    assert problem is not None and f"held up by the firing of holds-1 of graph {graph!r}" in problem
    process_host.worker("main").process.kill()  # as the message says
    process_host.finished(graph)
    again = process_host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert process_host.values(process_host.finished(again)) == [5]


@pytest.mark.parametrize("how", HOLDS)
def test_a_firing_of_a_stopped_graph_holds_up_no_later_graph(
    process_host: Host, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(workers, "LOADS", 300_000)
    text = f"import os, re, signal, time\n@SQify\ndef holds(x):\n    {HOLDS[how]}\n"
    graph = process_host.run(text + "@GRAPHify\ndef main(trigger):\n    return holds(trigger)\n")
    until(lambda: process_host.busy(graph) == "holds-1 runs", "it runs")
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))
    again = process_host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert process_host.values(process_host.finished(again)) == [5]


def test_a_worker_that_reads_is_not_ended_for_what_it_is_sent_later(
    process_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine something is unread at most looks: it holds up nothing, once everything was read in between."""
    monkeypatch.setattr(workers, "LOADS", 300_000)
    graph = process_host.run(
        "import time\n@SQify\ndef holds(x):\n    time.sleep(60)\n"
        "@GRAPHify\ndef main(trigger):\n    return holds(trigger)\n"
    )
    until(lambda: process_host.busy(graph) == "holds-1 runs", "it runs")
    there = process_host.worker("main")
    looks: list[bool] = []

    def unread(channel: Any) -> bool:
        looks.append(len(looks) != 10)
        return looks[-1]

    monkeypatch.setattr(channels.ProcessChannel, "unread", property(unread))
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))
    until(lambda: len(looks) > 10 or process_host.worker("main") is not there, "it is looked at")
    again = process_host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert process_host.values(process_host.finished(again)) == [5]
    assert process_host.worker("main") is there


LIMITED = """
import os, re, signal, time
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def hangs(x):
    if x == 10 and not os.path.exists(MARK):
        open(MARK, "x").close()
        HOW
    return x
@GRAPHify
def main(trigger):
    return hangs(src(trigger, TTPeriod=100000), TTTimeout=400000)
"""


@pytest.mark.parametrize("how", [*HOLDS, "sleeps"])
def test_a_firing_that_takes_longer_than_its_timeout_ends_with_its_worker(
    process_host: Host, tmp_path: Path, how: str
) -> None:
    """Its error names the firing and the time; its SQ and the others of its worker go on, from their saved states."""
    text = LIMITED.replace("HOW", HOLDS.get(how, "time.sleep(60)")).replace("MARK", repr(str(tmp_path / "mark")))
    assert process_host.prepare(text).problem is None
    start = StartContext("prog1", 1, process_host.node.clock.now() + 20_000, {"trigger": 1}, None, 50_000)
    in_loop(process_host.node, lambda: process_host.node.start_context(start))
    until(lambda: process_host.values("prog1")[-1:] > [12], "it goes on")
    (error,) = process_host.errors
    assert error.sq == "hangs-1" and error.start is not None and error.stop == error.start + 50_000
    assert error.exception == "TTTimeout: its body had not ended after 400ms, so it was ended with its worker"
    values = process_host.values("prog1")
    assert values[:2] == [1, 2] and values.count(1) == 1  # its source did not begin anew
    counts = process_host.counts("prog1")
    assert counts["edge"] == {"restarts": 1} and counts["hangs-1"]["errors"] == 1


def test_a_timeout_where_bodies_run_in_threads_is_refused_at_the_deployment() -> None:
    host = Host(False)
    try:
        problem = host.prepare(LIMITED.replace("HOW", "pass").replace("MARK", "''")).problem
        assert problem is not None and "hangs-1 has a TTTimeout" in problem and "--workers 1" in problem
    finally:
        host.node.close()


def test_a_callback_that_ends_programs_ends_neither_callbacks_nor_the_process() -> None:
    callbacks, came = Callbacks(), threading.Event()
    callbacks.wrap(lambda item: sys.exit(3))(None)
    callbacks.wrap(lambda item: came.set())(None)
    assert came.wait(60)
    callbacks.close()


@pytest.mark.parametrize(
    "code",
    [
        "from ticktalk.physical.timekeeping.loop import Loop; from ticktalk.physical.timekeeping.root_clock import"
        " RootClock; from ticktalk.engine.agenda import Agenda; clock = RootClock(); loop = Loop(clock,"
        " Agenda(clock.now())); loop.post(sys.exit, 0)\n"
        "threading.Thread(target=loop.run, daemon=True).start()",
        "from ticktalk.physical.workers.worker import Worker\nWorker('edge', {}, print).run(lambda rest: 1 / 0)",
    ],
    ids=["timekeeper", "worker"],
)
def test_a_process_whose_thread_ends_by_an_error_ends_with_1(code: str) -> None:
    program = f"import sys, threading, time\n{code}\ntime.sleep(60)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1 and "has ended by an error, so this process" in ended.stderr


@pytest.mark.parametrize("host", ["edge", "runtime-manager"])
def test_a_run_ends_when_a_timekeeper_dies_and_keeps_the_outputs_before(tmp_path: Path, host: str) -> None:
    (tmp_path / "faulty.py").write_text(
        HEAD
        + f"""
@SQify
def named(x):
    return "before", x
@SQify
def faulty(x):
    import gc, sys
    from ticktalk.physical.timekeeping.loop import Loop
    gc.unfreeze()  # what an ensemble has loaded is not among the collector's objects
    for each in gc.get_objects():
        if isinstance(each, Loop):
            each.post(sys.exit, 3)
@STREAMify
def src(trigger):
    return 1
@GRAPHify
def main(trigger):
    s = src(trigger, TTPeriod=300000)
    with TTConstraint(name={host!r}):
        faulty(ADD_TIME_DELAY(s, delay=5))
    return named(trigger)
"""
    )
    run = Process("run", "--jsonl", "--workers", "0", "faulty.py", cwd=tmp_path)
    try:
        assert run.wait() == 1
        assert f"the timekeeper of ensemble {host!r} has ended by an error, so this process" in run.said
        assert '"value": ["before", 1]' in "".join(run.out)
        assert (host == "edge") is ("error: ensemble 'edge' ended by itself, with exit status 1" in run.said)
    finally:
        run.end()
