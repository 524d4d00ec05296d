"""A thread that brings an arrival while the timekeeper sleeps: it does a brief job that follows, and holds up none.

Such a thread is a visitor. The jobs are bodies that run in threads (`--workers 0`) and were short so far.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from systems import HEAD, LIMIT, System, repeated, until
from test_loop import Running, settled

from ticktalk.language.compiler import compile_source
from ticktalk.network_keys import arc_key
from ticktalk.payloads import Deployment, FiringError, OutputToken, ReadyAnswer, ReportRequest, StartContext, StopGraph
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.network.token_frames import token_frame
from ticktalk.physical.network.tokens import Incoming
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping import interruption, loop
from ticktalk.physical.timekeeping.interruption import Interruption
from ticktalk.physical.timekeeping.loop import LOAN, REST, Job
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.workers.units import SLOW, UNKNOWN, Unit
from ticktalk.values.codec import encode_value, plain

AFTER_REST = 1_000_000
"""Microseconds after which no visitor rests any more."""


class Visited(Running):
    """A loop with a visitor, which is the thread of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        settled(self)

    def visit(self, call: Callable[..., None], may_stay: bool = True, after: int = AFTER_REST) -> None:
        """Make a call as a visitor, for an arrival so long after the latest job of one."""
        loop = self.loop

        def visited() -> bool:
            stamp = max(monotonic_us(), loop._visitor_may + after - AFTER_REST)
            return loop.visit(stamp, may_stay, call)

        until(visited, "the timekeeper sleeps")

    def job(self, job: Callable[[], Any], usual: Callable[[], Any] | None = None) -> Callable[[], None]:
        """A call that has a job follow which a visitor may do; `usual`: what the timekeeper does in its place."""
        return lambda: self.loop.do_aside(lambda: Job(LOAN, usual or job, (), job))

    def begun(self, job: Callable[[], Any], here: threading.Event) -> threading.Thread:
        """Another thread, which does a job as a visitor; the job has set `here`."""
        thread = threading.Thread(target=self.visit, args=(self.job(job),), daemon=True)
        thread.start()
        assert here.wait(LIMIT)
        return thread


@pytest.fixture
def visited(means: None) -> Iterator[Visited]:
    made = Visited()
    yield made
    made.end()


def test_a_brief_job_and_what_it_hands_back_stay_in_the_thread_of_the_visit(visited: Visited) -> None:
    seen: list[tuple[str, int]] = []

    def note(what: str) -> None:
        seen.append((what, threading.get_ident()))

    def job() -> None:
        assert not visited.loop.in_loop
        note("job")
        visited.loop.hand_back(note, "first")
        visited.loop.hand_back(note, "second")

    visited.visit(visited.job(job, lambda: note("by the timekeeper")))
    settled(visited)
    assert [what for what, _ in seen] == ["job", "first", "second"]
    assert {thread for _, thread in seen} == {threading.get_ident()}


@pytest.mark.parametrize("brief", [False, True], ids=["a job that may be long", "a visitor that may not stay"])
def test_other_jobs_are_done_by_the_timekeeper(visited: Visited, brief: bool) -> None:
    done: list[int] = []

    def job() -> None:
        done.append(threading.get_ident())

    def follows() -> None:
        visited.loop.do_aside(lambda: Job(LOAN, job, (), job if brief else None))

    visited.visit(follows, may_stay=not brief)
    until(lambda: done, "it is done")
    assert done != [threading.get_ident()]


def test_a_job_that_turns_out_to_be_long_holds_up_no_timer_no_arrival_and_no_other_job(visited: Visited) -> None:
    gate, here = threading.Event(), threading.Event()
    done: list[str] = []

    def long() -> None:
        here.set()
        assert gate.wait(LIMIT)
        done.append("long")

    thread = visited.begun(long, here)
    due = threading.Event()
    visited.loop.post(visited.loop.agenda.deliver_at, visited.clock.now() + 20_000, due.set)
    assert due.wait(LIMIT), "a timer"
    settled(visited)
    visited.visit(lambda: done.append("arrival"))
    visited.visit(visited.job(lambda: done.append("by a visitor"), lambda: done.append("by the timekeeper")))
    until(lambda: len(done) == 2, "the other job")
    assert done == ["arrival", "by the timekeeper"], "one visitor at a time does a job"
    gate.set()
    thread.join(LIMIT)
    assert done[2:] == ["long"]
    visited.visit(visited.job(lambda: done.append("again")))
    assert done[3:] == ["again"]


def test_arrivals_that_queue_up_behind_a_job_are_left_to_the_timekeeper(visited: Visited) -> None:
    """Else a thread of the network would do nothing but jobs, and what it brings would not be taken in."""
    took = 20_000
    done: list[str] = []
    visited.visit(visited.job(lambda: time.sleep(took / 1e6)))
    each = visited.job(lambda: done.append("by a visitor"), lambda: done.append("by the timekeeper"))
    rested = AFTER_REST - took - REST  # at the end of the job
    visited.visit(each, after=rested - took)
    until(lambda: done, "it is done")
    visited.visit(each)
    until(lambda: len(done) == 2, "it is done")
    assert done == ["by the timekeeper", "by a visitor"]


@pytest.mark.parametrize("handed", [False, True], ids=["an arrival", "the end of a job"])
@pytest.mark.parametrize("of_agenda", [False, True], ids=["a timer of the loop", "one of the agenda"])
def test_a_timer_that_a_visitor_sets_wakes_the_timekeeper(
    visited: Visited, monkeypatch: pytest.MonkeyPatch, handed: bool, of_agenda: bool
) -> None:
    """The timekeeper means to sleep longer. It wakes once, when the visitor has ended: both need the role."""
    due, loop = threading.Event(), visited.loop
    usual, signals = loop._signal, list[tuple[bool, int | None]]()

    def signal() -> None:
        signals.append((loop.in_loop, loop._visitor))
        usual()

    monkeypatch.setattr(loop, "_signal", signal)

    def sets() -> None:
        if of_agenda:
            loop.agenda.deliver_at(visited.clock.now() + 5_000, due.set)
        else:
            loop.after(5_000, due.set)

    for _ in range(5):  # the timekeeper may just have been awake
        due.clear()
        visited.visit(visited.job(lambda: loop.hand_back(sets)) if handed else sets)
        assert due.wait(LIMIT)
        if signals:
            break
    assert signals == [(False, None)]


def test_an_error_in_a_visitors_job_is_logged_and_others_follow(
    visited: Visited, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []
    visited.visit(visited.job(lambda: 1 / 0))
    assert "ZeroDivisionError" in caplog.text
    visited.visit(visited.job(lambda: done.append(threading.get_ident())))
    assert done == [threading.get_ident()]


def test_a_loop_ends_while_a_visitor_does_a_job(visited: Visited) -> None:
    gate, here = threading.Event(), threading.Event()
    taken: list[int] = []

    def long() -> None:
        here.set()
        assert gate.wait(LIMIT)
        visited.loop.hand_back(taken.append, 1)

    thread = visited.begun(long, here)
    visited.loop.stop()
    visited.thread.join(LIMIT)
    assert not visited.thread.is_alive()
    gate.set()
    thread.join(LIMIT)
    assert not thread.is_alive() and taken == []


def test_an_end_interrupts_a_visitors_job_that_never_returns(visited: Visited) -> None:
    """Python would end the thread as the process ends; if that is one of Zenoh's, the process would abort."""
    here = threading.Event()
    ended: list[type[BaseException]] = []

    def endless() -> None:
        try:
            while True:
                here.set()
                time.sleep(0.0001)
        except BaseException as error:
            ended.append(type(error))

    thread = visited.begun(endless, here)
    visited.end()
    thread.join(LIMIT)
    assert not thread.is_alive() and ended[0] is Interruption


@pytest.fixture
def unwatched(means: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Visited]:
    """A loop that looks for what a visitor does only when it is told to."""
    monkeypatch.setattr(loop, "LOOK", 3_600_000_000)
    made = Visited()
    yield made
    made.end()


@pytest.mark.parametrize("over", [True, False])
def test_a_visitors_job_that_nobody_waits_for_is_interrupted_when_it_is_found_twice(
    unwatched: Visited, over: bool
) -> None:
    here, leave = threading.Event(), threading.Event()
    ended: list[type[BaseException]] = []
    asked: list[str] = []

    def endless(which: str) -> None:
        try:
            while not leave.is_set():
                here.set()
                time.sleep(0.0001)
        except BaseException as error:
            ended.append(type(error))
            raise

    def is_over(which: str) -> bool:
        asked.append(which)
        return over

    job = Job(LOAN, endless, ("this",), endless, is_over)
    call = unwatched.loop.do_aside
    thread = threading.Thread(target=unwatched.visit, args=(lambda: call(lambda: job),), daemon=True)
    thread.start()
    assert here.wait(LIMIT)
    in_turn(unwatched, unwatched.loop._look_at_visitor)
    assert not asked, "it may just have begun"
    in_turn(unwatched, unwatched.loop._look_at_visitor)
    assert asked == ["this"]
    if over:
        until(lambda: ended, "it is interrupted")
        assert ended == [Interruption]
    leave.set()
    thread.join(LIMIT)
    assert not thread.is_alive() and unwatched.loop._visits is None and len(ended) == over
    unwatched.visit(unwatched.job(lambda: asked.append("next")))
    assert asked[-1] == "next"


RUNTIME = (loop.__file__, interruption.__file__)


def interrupted_at(visited: Visited, step: int) -> tuple[bool, bool]:
    """Have a visitor interrupted at a step of the runtime's code, as it does a job that hands something back.

    Steps are the beginnings of functions and the ends of functions in C: there the interpreter lets an error come.

    Returns:
        Whether the visit had so many steps, and whether the job came to its end.
    """
    seen, kept = 0, visited.loop
    done: list[str] = []

    def job() -> None:
        kept.hand_back(done.append, "a")
        kept.hand_back(done.append, "b")
        kept.hand_back(done.append, "c")

    call = visited.job(job)

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal seen
        if frame.f_code.co_filename in RUNTIME and event in ("call", "c_return") and kept._visits is not None:
            seen += 1
            if seen == step:
                other = threading.Thread(target=kept._interrupt, args=(kept._visits,))
                other.start()
                other.join(LIMIT)

    def visits() -> None:
        sys.setprofile(profile)
        try:
            visited.visit(call)
        finally:
            sys.setprofile(None)
        for _ in range(1_000):
            pass  # what is to be raised would be raised here

    thread = threading.Thread(target=visits, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive() and kept._visitor is None and kept._visits is None
    settled(visited)
    assert "abc".startswith("".join(done))
    return seen >= step, len(done) == 3


def test_an_interruption_at_any_moment_leaves_the_loop_whole(
    unwatched: Visited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the role nor the place of the visitor is left taken, and nothing is raised after the job."""
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    ends = 0
    for step in itertools.count(1):
        there, whole = interrupted_at(unwatched, step)
        ends += whole
        if not there:
            break
    assert 0 < ends < step - 10 and not raised, (ends, step)
    done: list[int] = []
    unwatched.visit(unwatched.job(lambda: done.append(1), lambda: done.append(2)))
    assert done == [1]


def in_turn(visited: Visited, call: Callable[[], None]) -> None:
    """Have the timekeeper make a call, and wait for it."""
    visited.loop.post(call)
    settled(visited)


def test_a_visitors_job_that_ends_its_thread_holds_up_no_other(visited: Visited) -> None:
    done: list[int] = []

    def leaves() -> None:
        visited.loop.hand_back(visited.loop.do_aside, lambda: Job(LOAN, lambda: done.append(1)))
        raise SystemExit

    with pytest.raises(SystemExit):
        visited.visit(visited.job(leaves))
    until(lambda: done, "what it handed back is done")
    visited.visit(visited.job(lambda: done.append(2), lambda: done.append(3)))
    assert done == [1, 2]


# Which bodies count as quick.


def test_a_body_is_quick_after_some_short_runs_and_a_long_one_takes_it_out_for_long() -> None:
    unit = Unit(1, lambda answer: None)
    for _ in range(UNKNOWN):
        assert unit.quick < 0
        unit.took(50)
    assert unit.quick >= 0
    unit.took(SLOW + 1)
    assert unit.quick == -5, "600 us are made up for by five runs"
    unit.took(3_000_000)
    assert unit.quick == -30_005
    for _ in range(30_005):
        assert unit.quick < 0
        unit.took(SLOW)
    assert unit.quick >= 0


def test_a_body_that_is_mostly_slow_is_never_quick() -> None:
    unit = Unit(1, lambda answer: None)
    for _ in range(1_000):
        unit.took(50)
        unit.took(1_000)
    assert unit.quick < -1_000


# Bodies on an ensemble whose tokens are brought by two threads.

TWO = (
    HEAD
    + """
@STREAMify
def one(trigger):
    return 1
@STREAMify
def two(trigger):
    return 2
@SQify
def first(x):
    import threading
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    if x == "raise":
        raise ValueError("on purpose")
    if x == "wait":
        component("gate").wait()
    return "first", x, sq_state["n"], threading.current_thread().name
@SQify
def second(x):
    import threading
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return "second", x, sq_state["n"], threading.current_thread().name
@GRAPHify
def main(trigger):
    a = one(trigger, TTPeriod=10000)
    b = two(trigger, TTPeriod=10000)
    with TTConstraint(components=["gate"]):
        x = first(a)
    return MERGE(x, second(b))
"""
)


class Gate:
    """A driver at which a body waits; `by`: the thread that waits there."""

    def __init__(self) -> None:
        self.here, self.open = threading.Event(), threading.Event()
        self.by = ""

    def wait(self) -> None:
        self.by = threading.current_thread().name
        self.here.set()
        self.open.wait(LIMIT)

    def loop(self) -> None:
        """Wait as a body does that computes for ever."""
        self.by = threading.current_thread().name
        self.here.set()
        while not self.open.is_set():
            time.sleep(0.0001)


class Sender:
    """Another ensemble: its tokens are brought by the thread that calls `send`."""

    def __init__(self, node: Node, graph: str, sq: str) -> None:
        self.guard = Guard(ByToken(b"", sq, "ensemble"))
        self.incoming, self.key = Incoming(node.tokens, graph, f"{sq}/0"), arc_key(graph, f"{sq}/0")
        self.sent = 0

    def send(self, value: Any) -> None:
        self.sent += 1
        at = 1_000 * self.sent
        parcel = (1, 0, b"", self.sent, at, at + 1_000, encode_value(value))
        frame, _ = self.guard.seal_tokens(self.key, ["edge"], token_frame([parcel]))
        self.incoming(bytes(frame), None)


class Fed:
    """An ensemble without a network, and two that send to it; bodies run in threads."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.node = Node("edge", {"gate": self.gate}, processes=False)
        self.node.tokens.has_own_link = lambda sender: True
        self.outputs: list[OutputToken] = []
        self.errors: list[FiringError] = []
        self.node.take_output, self.node.take_error = self.outputs.append, self.errors.append
        self.node.run_in_thread()
        graph = compile_source(TWO, "two.py", "two")
        host_of = {sq.name: sq.name if sq.name in ("one-1", "two-1") else "edge" for sq in graph.sqs}
        answers: list[ReadyAnswer] = []
        in_loop(self.node, lambda: self.node.prepare(Deployment(graph, host_of), answers.append))
        assert until(lambda: answers, "the answer")[0].problem is None
        start = StartContext("two", 1, self.node.clock.now(), {"trigger": 1})
        in_loop(self.node, lambda: self.node.start_context(start))
        until(lambda: self.node.tokens.of["two", 1].numbers.begun, "it has begun")
        self.one, self.two = Sender(self.node, "two", "one-1"), Sender(self.node, "two", "two-1")

    def of(self, name: str) -> list[Any]:
        """What an SQ has returned: its value, how often it has fired, the thread."""
        return [value[1:] for token in list(self.outputs) if (value := plain(token.value))[0] == name]

    def finished(self) -> None:
        def busy() -> str:
            found: str = in_loop(self.node, lambda: self.node.duties.reports.report(ReportRequest("two", 1, 0))).busy
            return found

        until(lambda: not busy(), "nothing runs")

    def until_visited(self, sender: Sender, name: str) -> None:
        """Send until a body has run in the thread that sends."""

        def visited() -> bool:
            sender.send("more")
            self.finished()
            return any(thread == threading.current_thread().name for _, _, thread in self.of(name))

        until(visited, "a body has run in the thread that brought its token")

    def held(self) -> threading.Thread:
        """A thread that is held up: the body waits in the thread that brought its token."""

        def bring() -> None:
            self.until_visited(self.one, "first")
            self.one.send("wait")

        def held() -> threading.Thread | None:
            self.gate.here.clear()
            self.gate.open.clear()
            thread = threading.Thread(target=bring)
            thread.start()
            assert self.gate.here.wait(LIMIT)
            if self.gate.by == thread.name:
                return thread
            self.gate.open.set()
            thread.join(LIMIT)
            return None

        found: threading.Thread = until(held, "a body waits in the thread that brought its token")
        return found


@pytest.fixture
def fed() -> Iterator[Fed]:
    made = Fed()
    yield made
    made.gate.open.set()
    made.node.close()


def test_every_token_of_two_senders_is_taken_once_and_in_order(fed: Fed) -> None:
    count = 1_000
    threads: dict[str, int] = {}

    def bring(sender: Sender, name: str) -> None:
        threads[name] = threading.current_thread().name
        for number in range(count):
            sender.send(number)
            if number % 20 > 15:
                time.sleep(0.0005)  # some come together, some alone

    both = [threading.Thread(target=bring, args=each) for each in ((fed.one, "first"), (fed.two, "second"))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(LIMIT)
    fed.finished()
    for name in ("first", "second"):
        assert [(x, n) for x, n, _ in fed.of(name)] == [(number, number + 1) for number in range(count)]
    assert not fed.errors


def test_a_body_that_raises_in_a_visitor_is_reported_and_fires_again(fed: Fed) -> None:
    fed.until_visited(fed.one, "first")
    threads = [thread for _, _, thread in fed.of("first")]
    assert threads.index(threading.current_thread().name) >= UNKNOWN, "it was not known before whether it is short"

    def raised() -> bool:
        fed.one.send("raise")
        return len(fed.errors) > 0

    until(raised, "an error")
    fed.finished()
    assert {(error.sq, error.exception) for error in fed.errors} == {("first-1", "ValueError: on purpose")}
    before = len(fed.of("first"))
    fed.one.send(7)
    fed.finished()
    assert [x for x, _, _ in fed.of("first")[before:]] == [7]


def test_a_body_that_was_quick_and_becomes_long_holds_up_only_the_thread_that_brought_its_token(fed: Fed) -> None:
    thread = fed.held()
    fired = len(fed.of("first"))
    for number in range(20):
        fed.two.send(number)
    for number in range(3):
        fed.one.send(number)
    until(lambda: len(fed.of("second")) == 20, "the other sender's tokens go on")
    due = threading.Event()
    in_loop(fed.node, lambda: fed.node.loop.agenda.deliver_at(fed.node.clock.now() + 1_000, due.set))
    assert due.wait(LIMIT), "a timer"
    assert thread.is_alive() and len(fed.of("first")) == fired
    fed.gate.open.set()
    thread.join(LIMIT)
    fed.finished()
    waited, *later = fed.of("first")[-4:]
    assert (waited[0], waited[2]) == ("wait", thread.name) and not fed.errors
    assert [x for x, _, _ in later] == [0, 1, 2] and thread.name not in [ran for _, _, ran in later]
    before = len(fed.of("first"))
    fed.one.send("more")
    fed.finished()
    assert fed.of("first")[before][2] != threading.current_thread().name, "it is not expected to be short any more"


def test_an_ensemble_ends_while_a_body_runs_in_the_thread_that_brought_its_token(
    fed: Fed, caplog: pytest.LogCaptureFixture
) -> None:
    thread = fed.held()
    fed.node.close()
    fed.gate.open.set()
    thread.join(LIMIT)
    assert not thread.is_alive()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_body_that_never_returns_leaves_the_thread_that_brought_its_token_when_its_graph_is_stopped(fed: Fed) -> None:
    """That thread brings all tokens of one ensemble: also those of graphs that are started later."""
    fed.gate.wait = fed.gate.loop  # type: ignore[method-assign]
    thread = fed.held()
    in_loop(fed.node, lambda: fed.node.stop(StopGraph("two")))
    thread.join(LIMIT)
    assert not thread.is_alive() and not fed.gate.open.is_set()


# Real ensembles.

SLEEPS = 2.4
"""Seconds: longer than a silence after which an ensemble is dead."""

SLEEPER = (
    HEAD
    + f"""
@STREAMify
def fast(trigger):
    return 1
@STREAMify
def slow(trigger):
    return 1
@SQify
def sleeper(x):
    import threading, time
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    if sq_state["n"] < 60 or not threading.current_thread().name.startswith("Dummy"):
        return TTEmpty()
    sq_state["n"] = -100_000
    begun = time.monotonic()
    time.sleep({SLEEPS})
    return "slept", begun, time.monotonic()
@SQify
def brought(x):
    import time
    return "brought", time.monotonic()
@STREAMify
def clock(trigger):
    import time
    return "due", time.monotonic()
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        a = fast(trigger, TTPeriod=8000)
    with TTConstraint(name="other"):
        b = slow(trigger, TTPeriod=20000)
    with TTConstraint(name="far"):
        return MERGE(sleeper(a), MERGE(brought(b), clock(trigger, TTPeriod=20000)))
"""
)


def test_a_body_that_sleeps_in_a_thread_of_the_network_makes_nobody_gone() -> None:
    """It was short before. The other ensemble's tokens and the timers of its own ensemble go on meanwhile."""
    system = System(workers=0)
    try:
        for name in ("near", "other", "far"):
            system.begin(name, "--workers", "0")
        assert system.manager.wait_for_ensembles(("near", "other", "far"), LIMIT) == []
        names = (f"sleeper{number}" for number in itertools.count())

        def run() -> int:
            """How many ensembles were gone."""
            before, name = len(system.events), next(names)
            graph = system.deploy(SLEEPER, name)
            system.manager.execute_graph(graph)

            def slept() -> Any:
                return next((value for value in system.values(name) if value[0] == "slept"), None)

            _, begun, ended = until(slept, "a body has slept in a thread of the network")
            for what in ("brought", "due"):
                times = [value[1] for value in system.values(name) if value[0] == what]
                assert sum(begun < at < ended for at in times) > 10, f"{what} while a body sleeps"
            system.manager.stop_graph(graph)
            return sum("gone" in event for event in system.events[before:])

        repeated(run, lambda gone: not gone, "a run on a machine that lets all ensembles send their heartbeats")
    finally:
        system.end()
