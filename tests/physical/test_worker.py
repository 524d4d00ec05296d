"""Bodies in workers, as threads and as processes: one ensemble's timekeeper with real workers, and no network."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from systems import repeated, until

from ticktalk.language.compiler import compile_source
from ticktalk.payloads import Deployment, FiringError, OutputToken, ReadyAnswer, ReportRequest, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.node import Node
from ticktalk.values.codec import plain

HEAD = "from ticktalk import SQify, STREAMify, GRAPHify, TTClock, TTEmpty, component\n"

STREAM = """
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {length}))
        return {last}(src(window, TTPeriod={period}, TTDataIntervalWidth={width}))
"""


class Host:
    """An ensemble without a network."""

    def __init__(self, processes: bool, components: dict[str, Any] | None = None, near: str = "") -> None:
        self.processes = processes
        self.outputs: list[OutputToken] = []
        self.errors: list[FiringError] = []
        self.node = Node("edge", components or {}, processes=processes, near=near)
        self.node.take_output = self.outputs.append
        self.node.take_error = self.errors.append
        self.node.run_in_thread()
        self.count = 0

    def prepare(self, text: str) -> ReadyAnswer:
        """Deploy a program; the ensemble's answer."""
        self.count += 1
        graph = compile_source(HEAD + text, f"prog{self.count}.py", f"prog{self.count}")
        answers: list[ReadyAnswer] = []
        deployment = Deployment(graph, {sq.name: "edge" for sq in graph.sqs})
        in_loop(self.node, lambda: self.node.prepare(deployment, answers.append))
        answer: ReadyAnswer = until(lambda: answers, "the answer to a deployment")[0]
        return answer

    def start(self, graph: str, context: int = 1, **inputs: Any) -> None:
        """Start a graph that is ready."""
        start = StartContext(graph, context, self.node.clock.now() + 20_000, inputs or {"trigger": 1})
        in_loop(self.node, lambda: self.node.start_context(start))

    def run(self, text: str, **inputs: Any) -> str:
        """Deploy and start; the graph's name."""
        answer = self.prepare(text)
        assert answer.problem is None
        self.start(answer.graph, **inputs)
        return answer.graph

    def shown(self, text: str, shows: Callable[[str], Any], what: str, **inputs: Any) -> str:
        """Run a program to its end, until a run of it shows what it is for (`repeated`); the graph's name."""
        return repeated(lambda: self.finished(self.run(text, **inputs)), shows, what)

    def finished(self, graph: str) -> str:
        """Wait until nothing runs any more; the graph's name."""
        until(lambda: not self.busy(graph), f"{graph} is idle, not {self.busy(graph)!r}")
        return graph

    def busy(self, graph: str) -> str:
        busy: str = in_loop(self.node, lambda: self.node.duties.reports.report(ReportRequest(graph, 1, 0))).busy
        return busy

    def counts(self, graph: str) -> dict[str, dict[str, int]]:
        counts: dict[str, dict[str, int]] = in_loop(
            self.node, lambda: self.node.duties.reports.report(ReportRequest(graph, 1, 0))
        ).counts
        return counts

    def values(self, graph: str) -> list[Any]:
        """The results so far."""
        return [plain(token.value) for token in list(self.outputs) if token.graph == graph]

    def errors_of(self, file: str) -> list[FiringError]:
        return [error for error in list(self.errors) if error.file == f"{file}.py"]

    def worker(self, name: str) -> Any:
        return in_loop(self.node, lambda: self.node.workers._channels.get(name))


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


def test_an_instance_fires_in_order_one_at_a_time(host: Host) -> None:
    text = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def slow_at_times(x):
    import time
    global sq_state
    assert not sq_state.get("inside")
    sq_state["inside"] = True
    time.sleep(0.02 if x % 7 == 0 else 0)
    sq_state["inside"] = False
    sq_state["n"] = sq_state.get("n", 0) + 1
    return (x, sq_state["n"])
""" + STREAM.format(length=1_000_000, last="slow_at_times", period=20_000, width=10_000)
    graph = host.shown(text, host.values, "a run with values")
    values = host.values(graph)
    assert [count for _, count in values] == list(range(1, len(values) + 1))
    assert [x for x, _ in values] == sorted({x for x, _ in values})
    assert not host.errors_of(graph)


def test_a_slow_body_holds_up_no_other_instance(host: Host, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    text = f"""
@SQify
def slow(x):
    import os, time
    while not os.path.exists({str(gate)!r}):
        time.sleep(0.005)
    return "slow"
@SQify
def fast(x):
    return "fast"
@GRAPHify
def main(trigger):
    a = slow(trigger)
    b = slow(trigger)
    c = slow(trigger)
    return fast(fast(trigger))
"""
    graph = host.run(text)
    until(lambda: host.values(graph) == ["fast"], "the fast one comes while three others stand")
    assert "slow" in host.busy(graph)
    other = host.run("@SQify\ndef f(x):\n    return x + 1\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    until(lambda: host.values(other) == [2], "so does another graph's")
    gate.touch()
    host.finished(graph)
    assert sorted(host.values(graph)) == ["fast", "slow", "slow", "slow"]


RAISING = {
    "raise ValueError('on purpose')": "ValueError: on purpose",
    "return 1 / 0": "ZeroDivisionError",
    "import sys; sys.exit(3)": "SystemExit: 3",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise ValueError(chr(0xDCFF))": "ValueError: \\udcff",
    "def g(): g()\n    g()": "RecursionError",
    "class E(Exception):\n        def __str__(self): raise RuntimeError('no text')\n    raise E": "E",
}


@pytest.mark.parametrize("statement", RAISING)
def test_a_firing_that_raises_is_reported_and_ends(host: Host, statement: str) -> None:
    text = f"""
@SQify
def f(x):
    {statement}
@SQify
def g(x):
    return x
@GRAPHify
def main(trigger):
    a = f(trigger)
    return g(trigger)
"""
    graph = host.finished(host.run(text))
    (error,) = until(lambda: host.errors_of(graph), "the error is told")
    assert (error.sq, error.ensemble) == ("f-1", "edge")
    assert RAISING[statement] in error.exception or statement.startswith("class")
    str(error).encode()
    error.traceback.encode()
    assert host.values(graph) == [1]
    assert host.counts(graph)["f-1"] == {"errors": 1}


CONTEXT = """
import contextvars, decimal, threading, time
decimal.getcontext().prec = 6
KEPT = contextvars.ContextVar("KEPT", default=0)
KEPT.set(10)
@STREAMify
def src(trigger):
    return 1
@SQify
def f(x):
    time.sleep(0.002)  # so long that another thread reads on, and runs the next firing
    if KEPT.get() == 12:
        decimal.getcontext().prec = 4
    KEPT.set(KEPT.get() + 1)
    return KEPT.get(), str(decimal.Decimal(2) / 3), threading.get_ident()
@SQify
def other(x):
    return KEPT.get(), str(decimal.Decimal(2) / 3)
@GRAPHify
def main(trigger):
    other(trigger)
    x = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), READ_TTCLOCK(trigger) + 400_000))
    return f(src(x, TTPeriod=40_000))
"""


def test_a_setting_of_a_thread_holds_in_all_firings(host: Host) -> None:
    def shows(graph: str) -> bool:
        return len({thread for _, _, thread in ran(graph)}) > 1

    def ran(graph: str) -> list[Any]:
        return [value for value in host.values(graph) if len(value) == 3]

    graph = host.shown(CONTEXT, shows, "firings ran in several threads")
    assert host.errors_of(graph) == []
    for number, value in enumerate(ran(graph), 11):
        assert value[:2] == (number, "0.666667" if number < 13 else "0.6667")
    assert (10, "0.666667") in host.values(graph)


def test_a_stream_goes_on_after_a_firing_that_raised(host: Host) -> None:
    text = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def odd(x):
    if x % 2 == 0:
        raise ValueError(x)
    return x
""" + STREAM.format(length=1_000_000, last="odd", period=100_000, width=50_000)
    graph = host.shown(text, lambda graph: len(host.values(graph)) > 1, "a run that goes on after a firing that raised")
    values = host.values(graph)
    assert values == list(range(1, 2 * len(values), 2))
    assert host.counts(graph)["odd-1"]["errors"] == len(host.errors_of(graph)) > 0


def test_unpacking_a_result_of_another_length_is_an_error(host: Host) -> None:
    text = """
@SQify
def three(x):
    return 1, 2, 3
@SQify
def number(x):
    return 7
@SQify
def two(x):
    return x, [x + 1]
@GRAPHify
def main(trigger):
    a, b = three(trigger)
    c, d = number(trigger)
    e, f = two(trigger)
    return e
"""
    graph = host.finished(host.run(text))
    errors = {error.sq: error.exception for error in host.errors_of(graph)}
    assert set(errors) == {"three-1", "number-1"}
    assert "unpacked" in errors["three-1"] and "3 values" in errors["three-1"]
    assert "unpacked" in errors["number-1"] and "7" in errors["number-1"]
    assert host.values(graph) == [1, [2]]


def test_an_empty_result_is_no_token(host: Host) -> None:
    text = """
@SQify
def nothing(x):
    return TTEmpty()
@SQify
def half(x):
    return TTEmpty(), x
@SQify
def seen(x):
    return x
@GRAPHify
def main(trigger):
    a, b = half(trigger)
    c = seen(nothing(trigger))
    d = seen(a)
    return seen(b)
"""
    graph = host.finished(host.run(text))
    assert host.values(graph) == [1]
    assert host.counts(graph) == {}


def test_a_value_without_codec_names_the_sq_and_the_type(host: Host) -> None:
    text = """
@SQify
def lock(x):
    import threading
    return [threading.Lock()]
@SQify
def g(x):
    return x
@GRAPHify
def main(trigger):
    a = g(lock(trigger))
    return g(trigger)
"""
    graph = host.finished(host.run(text))
    (error,) = host.errors_of(graph)
    assert error.sq == "lock-1" and "lock" in error.exception and "codec" in error.exception
    assert "SQ lock-1 on edge" in str(error)
    assert host.values(graph) == [1]


def test_values_of_the_program_s_own_classes_pass(host: Host) -> None:
    text = """
import dataclasses, enum
class Colour(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Point:
    x: int
    colour: Colour
@SQify
def make(x):
    return Point(x, Colour.RED)
@SQify
def use(p):
    assert isinstance(p, Point) and p.colour is Colour.RED
    return p.x + 1
@GRAPHify
def main(trigger):
    return use(make(trigger))
"""
    graph = host.finished(host.run(text))
    assert host.values(graph) == [2]


def test_large_values_pass(host: Host) -> None:
    text = """
@SQify
def make(x):
    return bytes(20_000_000)
@SQify
def size(data):
    return len(data)
@GRAPHify
def main(trigger):
    data = make(trigger)
    a = size(data)
    return size(data)
"""
    graph = host.finished(host.run(text))
    assert host.values(graph) == [20_000_000, 20_000_000]


WHERE = """
@SQify
def ordinary(x):
    import os, threading
    return "ordinary", os.getpid()
@SQify
def kept(x):
    import os, threading
    return "persistent", os.getpid()
@SQify
def b():
    import os
    return "plan B", os.getpid()
@GRAPHify
def main(trigger):
    late = COPY_TTTIME(1, VALUES_TO_TTTIME(0, 1))
    p = TTFinishByOtherwise(late, TTTimeDeadline=READ_TTCLOCK(trigger) - 5, TTPlanB=b())
    a = ordinary(trigger)
    b = kept(trigger, TTPersistent=True)
    return p
"""


def test_persistent_sqs_and_plan_bs_have_workers_of_their_own(host: Host) -> None:
    graph = host.finished(host.run(WHERE))
    pids = dict(until(lambda: len(found := host.values(graph)) == 3 and found, "three results"))
    assert set(pids) == {"ordinary", "persistent", "plan B"}
    workers = [host.worker(name) for name in ("main", "persistent kept-1", "plan B")]
    assert len({id(worker) for worker in workers if worker is not None}) == 3
    if host.processes:
        assert len(set(pids.values())) == 3 and os.getpid() not in pids.values()
        assert [worker.process.pid for worker in workers] == [pids[k] for k in ("ordinary", "persistent", "plan B")]
    else:
        assert set(pids.values()) == {os.getpid()}
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    until(lambda: host.worker("persistent kept-1") is None, "the persistent SQ's worker ends with its graph")
    if host.processes:
        until(lambda: workers[1].process.poll() is not None, "its process too")


@pytest.mark.parametrize("module_level", ["import no_such_module_here", "X = 1 / 0", "import sys\nX = sys.exit(3)"])
def test_a_body_that_does_not_compile_is_the_answer_to_the_deployment(host: Host, module_level: str) -> None:
    name = "no_such_module_here" if "import no" in module_level else "X"
    text = f"{module_level}\n@SQify\ndef f(x):\n    return {name}\n@GRAPHify\ndef main(t):\n    return f(t)\n"
    answer = host.prepare(text)
    assert answer.problem is not None and answer.graph in answer.problem
    assert any(word in answer.problem for word in ("no_such_module_here", "ZeroDivisionError", "SystemExit"))
    again = host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert host.values(host.finished(again)) == [5]


def test_a_graph_that_was_stopped_fires_no_more(host: Host) -> None:
    text = """
@STREAMify
def src(trigger):
    return 1
@SQify
def same(x):
    return x
""" + STREAM.format(length=60_000_000, last="same", period=50_000, width=20_000)
    graph = host.run(text)
    until(lambda: len(host.values(graph)) > 3, "the stream runs")
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    in_loop(host.node, lambda: None)
    count = len(host.values(graph))
    other = host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    host.finished(other)
    assert len(host.values(graph)) == count


def test_a_firing_whose_instant_is_long_past_is_skipped(host: Host) -> None:
    text = """
@STREAMify
def src(trigger):
    import time
    time.sleep(0.05)
    return 1
@SQify
def same(x):
    return x
""" + STREAM.format(length=400_000, last="same", period=10_000, width=2_000)
    graph = host.finished(host.run(text))
    skipped = host.counts(graph)["src-1"]["skipped"]
    assert skipped > 0
    assert len(host.values(graph)) + skipped == 40


@pytest.fixture
def drivers(tmp_path: Path) -> Path:
    (tmp_path / "drivers_of_test_worker.py").write_text(
        "import os\nmade = []\n"
        "class Camera:\n"
        "    def __init__(self):\n        made.append(self)\n        self.count = 0\n"
        "    def take(self):\n        self.count += 1\n        return len(made), self.count\n"
        "class Tool:\n"
        "    def __init__(self):\n        self.key, self.count = os.urandom(4).hex(), 0\n"
        "    def take(self):\n        self.count += 1\n        return self.key, self.count\n"
        "def broken():\n    raise OSError('no camera on this bus')\n"
        "def leaves():\n    raise SystemExit(4)\n"
    )
    return tmp_path


USES = """
@SQify
def take(x):
    return component("camera").take()
@SQify
def take_too(x):
    return component("camera").take()
@GRAPHify
def main(trigger):
    return take_too(take(trigger))
"""


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_a_component_is_made_once_and_shared(processes: bool, drivers: Path) -> None:
    made = Host(processes, {"camera": "drivers_of_test_worker:Camera"}, str(drivers))
    try:
        graph = made.finished(made.run(USES))
        assert made.values(graph) == [(1, 2)]
    finally:
        made.node.close()


PLAN_B = """
@SQify
def never(x):
    return TTEmpty()
@SQify
def take(x):
    return component("camera").take()
@SQify
def move(x):
    return component("camera").take(), component("arm").take()
@GRAPHify
def main(trigger):
    with TTClock.root() as c:
        late = READ_TTCLOCK(trigger, TTClock=c) + 50_000
        return TTFinishByOtherwise(never(trigger), TTTimeDeadline=late, TTPlanB=take(trigger)){beside}
"""
ARM = """
@SQify
def wave(x):
    return component("arm").take()
@GRAPHify
def main(trigger):
    return wave(trigger{persistent})
"""


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_a_component_has_one_driver_for_all_its_users(processes: bool, drivers: Path) -> None:
    camera = "drivers_of_test_worker:Tool"
    made = Host(processes, {"camera": camera, "arm": camera}, str(drivers))
    try:
        first = made.finished(made.run(USES))
        second = made.finished(made.run(PLAN_B.format(beside="")))
        until(lambda: made.values(second), "plan B")
        in_loop(made.node, lambda: made.node.stop_graph(first))
        third = made.finished(made.run(PLAN_B.format(beside=", move(trigger)")))
        [[(plan_b, taken), (moved, arm)]] = until(lambda: made.values(third), "plan B and the arm")
        [(of_first, _)], [(of_second, _)] = made.values(first), made.values(second)
        assert of_first == of_second == plan_b == moved[0] != arm[0], "one driver for each component"
        assert made.values(first)[0][1] == 2 and made.values(second)[0][1] == 3
        assert {taken, moved[1]} == {4, 5} and arm[1] == 1
    finally:
        made.node.close()


def test_a_persistent_user_s_worker_stays_as_long_as_others_use_its_driver(drivers: Path) -> None:
    made = Host(True, {"arm": "drivers_of_test_worker:Tool"}, str(drivers))
    try:
        first = made.finished(made.run(ARM.format(persistent=", TTPersistent=True")))
        second = made.finished(made.run(ARM.format(persistent="")))
        in_loop(made.node, lambda: made.node.stop_graph(first))
        made.start(second, 2)
        until(lambda: len(made.values(second)) == 2, "it goes on")
        [(key, count)], later = made.values(first), made.values(second)
        assert count == 1 and later == [(key, 2), (key, 3)]
        in_loop(made.node, lambda: made.node.stop_graph(second))
        until(lambda: made.worker("persistent wave-1") is None, "nobody uses it any more")
        third = made.finished(made.run(ARM.format(persistent="")))
        [(other, count)] = made.values(third)
        assert other != key and count == 1, "its driver has ended with the worker, so there is a new one"
    finally:
        made.node.close()


def test_drivers_that_live_apart_are_not_used_together(drivers: Path) -> None:
    camera = "drivers_of_test_worker:Tool"
    made = Host(True, {"camera": camera, "arm": camera}, str(drivers))
    try:
        made.finished(made.run(PLAN_B.format(beside="")))
        made.finished(made.run(ARM.format(persistent="")))
        problem = made.prepare(PLAN_B.format(beside=", move(trigger)")).problem
        assert (
            problem is not None
            and "'arm' in the worker 'main'" in problem
            and "'camera' in the worker 'plan B'" in problem
        )
        assert "--workers 0" in problem
    finally:
        made.node.close()


@pytest.mark.parametrize("factory, words", [("broken", "no camera on this bus"), ("leaves", "SystemExit")])
@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_a_factory_that_fails_is_the_answer(processes: bool, factory: str, words: str, drivers: Path) -> None:
    made = Host(processes, {"camera": f"drivers_of_test_worker:{factory}"}, str(drivers))
    try:
        problem = made.prepare(USES).problem
        assert problem is not None and "camera" in problem and words in problem
    finally:
        made.node.close()


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_a_driver_object_stays_in_its_process(processes: bool) -> None:
    class Camera:
        def take(self) -> int:
            return os.getpid()

    made = Host(processes, {"camera": Camera()})
    try:
        assert made.values(made.finished(made.run(USES))) == [os.getpid()]
    finally:
        made.node.close()


COUNTING = """
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def same(x):
    return x
""" + STREAM.format(length=60_000_000, last="same", period=100_000, width=50_000)


def test_a_killed_worker_is_replaced_and_counted(process_host: Host) -> None:
    graph = process_host.run(COUNTING)
    until(lambda: len(process_host.values(graph)) > 5, "the stream runs")
    first = process_host.worker("main").process.pid
    os.kill(first, signal.SIGKILL)
    before = len(process_host.values(graph))
    until(lambda: 1 in process_host.values(graph)[before:], "its instances begin anew")
    until(lambda: 5 in process_host.values(graph)[before:], "and go on")
    assert process_host.worker("main").process.pid != first
    assert process_host.counts(graph)["edge"] == {"restarts": 1}
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))


def test_a_worker_killed_in_a_firing_ends_that_firing(process_host: Host, tmp_path: Path) -> None:
    """Firings in flight are lost and counted, nothing waits for them; other graphs go on."""
    began = tmp_path / "began"
    text = f"""
@SQify
def hangs(x):
    import os, time
    open({str(began)!r}, "a").close()
    time.sleep(600)
@GRAPHify
def main(trigger):
    return hangs(trigger)
"""
    other = process_host.run(COUNTING)
    graph = process_host.run(text)
    until(began.exists, "the body runs")
    os.kill(process_host.worker("main").process.pid, signal.SIGKILL)
    process_host.finished(graph)
    assert process_host.counts(graph)["hangs-1"] == {"lost": 1}
    before = len(process_host.values(other))
    until(lambda: len(process_host.values(other)) > before + 3, "the other graph goes on")
    in_loop(process_host.node, lambda: process_host.node.stop_graph(other))


def test_a_worker_takes_no_notice_of_an_interrupt_but_what_bodies_start_does(process_host: Host) -> None:
    """Interrupts may reach a whole group of processes, and its ensemble still wants the states."""
    graph = process_host.run(COUNTING)
    until(lambda: len(process_host.values(graph)) > 5, "the stream runs")
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(process_host.worker("main").process.pid, number)
    text = """
@SQify
def f(x):
    import os, signal, subprocess
    other = subprocess.Popen(["sleep", "600"])
    forked = os.fork()
    if not forked:
        signal.pause()
        os._exit(0)
    other.terminate()
    os.kill(forked, signal.SIGTERM)
    return [-other.wait(), os.waitpid(forked, 0)[1]]
@GRAPHify
def main(trigger):
    return f(trigger)
"""
    assert process_host.values(process_host.finished(process_host.run(text))) == [[signal.SIGTERM, signal.SIGTERM]]
    seen = len(process_host.values(graph))
    until(lambda: len(process_host.values(graph)) > seen + 3, "the stream goes on")
    values = process_host.values(graph)
    assert values == list(range(1, len(values) + 1)) and "edge" not in process_host.counts(graph)
    in_loop(process_host.node, lambda: process_host.node.stop_graph(graph))


def test_a_body_that_ends_its_process_does_not_end_the_ensemble(process_host: Host) -> None:
    text = """
@SQify
def f(x):
    import os
    os._exit(7)
@GRAPHify
def main(trigger):
    return f(trigger)
"""
    graph = process_host.finished(process_host.run(text))
    assert process_host.counts(graph) == {"f-1": {"lost": 1}, "edge": {"restarts": 1}}
    again = process_host.run("@SQify\ndef f(x):\n    return 5\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n")
    assert process_host.values(process_host.finished(again)) == [5]


def test_a_worker_that_dies_while_loading_is_the_answer_to_the_deployment(process_host: Host) -> None:
    other = process_host.run(COUNTING)
    text = "import os\nX = os._exit(3)\n@SQify\ndef f(x):\n    return X\n@GRAPHify\ndef main(t):\n    return f(t)\n"
    problem = process_host.prepare(text).problem
    assert problem is not None and "ended with status 3" in problem
    before = len(process_host.values(other))
    until(lambda: len(process_host.values(other)) > before + 3, "the other graph goes on in the new worker")
    in_loop(process_host.node, lambda: process_host.node.stop_graph(other))


def test_a_worker_that_dies_does_not_answer_for_one_that_still_loads(process_host: Host) -> None:
    text = """
import time
SLOW = time.sleep(1)
@SQify
def alone(x):
    return x
@SQify
def slow(x):
    return SLOW
@GRAPHify
def main(trigger):
    return slow(alone(trigger, TTPersistent=True))
"""
    graph = compile_source(HEAD + text, "loads.py", "loads")
    node, answers = process_host.node, []
    sqs = {sq.function: sq for sq in graph.sqs}
    in_loop(node, lambda: node.workers.load(graph, [sqs["alone"]], answers.append))
    assert until(lambda: answers, "the first answer") == [None]
    in_loop(node, lambda: node.workers.load(graph, [sqs["slow"]], answers.append))
    process_host.worker(f"persistent {sqs['alone'].name}").process.kill()
    assert until(lambda: answers[1:], "the second answer") == [None]


def test_instances_go_on_when_their_worker_dies_while_more_of_the_graph_is_loaded(process_host: Host) -> None:
    text = """
import os
DEADLY = os._exit(1)
@STREAMify
def src(trigger):
    return 1
@SQify
def deadly(x):
    return DEADLY
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 600000000))
        ones = src(window, TTPeriod=20000, TTDataIntervalWidth=10000)
        deadly(ones)
        return ones
"""
    graph = compile_source(HEAD + text, "dies.py", "dies")
    hosts = {sq.name: "other" if sq.function == "deadly" else "edge" for sq in graph.sqs}
    node, answers = process_host.node, []
    in_loop(node, lambda: node.prepare(Deployment(graph, hosts), answers.append))
    assert until(lambda: answers, "the answer to a deployment")[0].problem is None
    process_host.start("dies")
    until(lambda: process_host.values("dies"), "a first token")
    problems: list[str | None] = []
    late = [sq for sq in graph.sqs if sq.function == "deadly"]
    in_loop(node, lambda: node.workers.load(graph, late, problems.append))
    until(lambda: problems, "the answer to the second load")
    assert problems[0] is not None and "ended with status 1 while it prepared the graph" in problems[0]
    so_far = len(process_host.values("dies"))
    until(lambda: len(process_host.values("dies")) > so_far + 3, "tokens of the replaced worker")


@pytest.mark.parametrize("processes", [False, True], ids=["threads", "process"])
def test_closing_leaves_no_thread_and_no_process(processes: bool) -> None:
    threads = set(threading.enumerate())
    descriptors = set(os.listdir("/proc/self/fd"))
    made = Host(processes)
    graph = made.run(COUNTING)
    made.run(WHERE)
    until(lambda: len(made.values(graph)) > 3, "the stream runs")
    channels = dict(made.node.workers._channels)
    assert len(channels) == 3
    made.node.close()
    until(lambda: set(threading.enumerate()) <= threads, "every thread has ended")
    if processes:
        assert all(channel.process.returncode is not None for channel in channels.values())
    assert set(os.listdir("/proc/self/fd")) <= descriptors


ALONE = """
@GRAPHify
def main(trigger):
    return same(src(trigger))
"""
TOGETHER = STREAM.format(length=600_000, last="same", period=20_000, width=10_000)


@pytest.mark.parametrize("kind, main", [("SQify", ALONE), ("STREAMify", TOGETHER)], ids=["by itself", "in a region"])
def test_the_result_of_a_body_is_not_kept_in_memory(kind: str, main: str) -> None:
    """Otherwise the last results of a graph would take up room as long as the graph is there."""
    host = Host(False)
    host.node.take_output = lambda token: None
    host.node.sharing._needs_own = True  # as if some other ensemble consumed it
    try:
        text = f"""
import numpy
@{kind}
def src(trigger):
    return numpy.zeros(100_000)
@SQify
def same(x):
    return x
{main}"""
        host.finished(host.run(text))
        memories = host.node.sharing._own
        assert memories is not None
        until(lambda: not any(memories[0].memory.row(0)), "all room is free again")
    finally:
        host.node.close()
