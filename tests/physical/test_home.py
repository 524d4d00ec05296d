"""Bodies at home: harmless ones run where time is kept, and leave for the worker process when they must."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from systems import NUMBERS, System, until
from test_worker import Host

from ticktalk.graph.sq import TTSQ, TTArc, TTDestination
from ticktalk.hosted.assignment import HOME, beside, reached
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import ReportRequest, StopGraph
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.workers import home as home_module

COUNTING = """
@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
"""


def stream(chain: str, length: int) -> str:
    """The graph in which so many microseconds of `count` go through a chain such as `last(grow({}))`."""
    counted = "count(window, TTPeriod=20000, TTDataIntervalWidth=10000)"
    return f"""
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + {length}))
        return {chain.format(counted)}
"""


@pytest.fixture
def home() -> Iterator[Host]:
    made = Host(True)
    made.node.workers.loading.home = True
    yield made
    made.node.close()


def workers_of(host: Host, graph: str) -> dict[str, str]:
    """By SQ of a graph, the worker of its body; instructions are left out."""

    def found() -> dict[str, str]:
        bodies = host.node.workers._of.items()
        mine = [body for context, of in bodies if context.prepared.graph.name == graph for body in of.values()]
        return {body.elsewhere.sq.name: body.worker for body in mine if body.elsewhere.sq.body}

    return in_loop(host.node, found)  # type: ignore[no-any-return]


def test_harmless_bodies_run_here_and_others_in_the_worker_process(home: Host) -> None:
    text = """
@SQify
def twice(x):
    return 2 * x
@SQify
def pid(x):
    import os
    return os.getpid(), x
@GRAPHify
def main(trigger):
    near = twice(twice(trigger))
    far = pid(trigger)
    return near, far
"""
    graph = home.finished(home.run(text, trigger=3))
    ((near, (pid, far)),) = home.values(graph)
    assert (near, far) == (12, 3) and pid != os.getpid()
    assert workers_of(home, graph) == {"twice-1": HOME, "twice-2": HOME, "pid-1": "main"}


def test_a_stream_whose_body_leaves_misses_nothing_and_repeats_nothing(home: Host) -> None:
    """The text doubles until it is too long for home. Its sender, and the one behind it, leave as well."""
    text = (
        COUNTING
        + """
@SQify
def grow(n):
    global sq_state
    sq_state["text"] = sq_state.get("text", "a") + sq_state.get("text", "a")[:400]
    return n, len(sq_state["text"])
@SQify
def last(pair):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    return sq_state["seen"], pair
"""
        + stream("last(grow({}))", 1_000_000)
    )
    graph = home.shown(text, lambda graph: len(home.values(graph)) > 20, "a run with values")
    assert set(workers_of(home, graph).values()) == {"main"}
    sizes, size = [], 1
    values = home.values(graph)
    for _ in values:
        size += min(size, 400)
        sizes.append(size)
    assert sizes[-1] > 5_000
    assert [seen for seen, _ in values] == [n for _, (n, _) in values] == list(range(1, len(values) + 1))
    assert [length for _, (_, length) in values] == sizes
    assert not home.errors_of(graph)


def test_a_body_that_leaves_takes_along_those_beside_it(home: Host) -> None:
    text = (
        COUNTING
        + """
@SQify
def work(n):
    return sum(range(10_000)) + n
@SQify
def last(n):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    return sq_state["seen"], n
@SQify
def apart(n):
    return n
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 300_000))
        apart(count(window, TTPeriod=20000, TTDataIntervalWidth=10000))
        return last(work(count(window, TTPeriod=20000, TTDataIntervalWidth=10000)))
"""
    )
    graph = home.shown(text, lambda graph: len(home.values(graph)) > 4, "a run with values")
    near, far = {"count-1", "apart-1"}, {"count-2", "work-1", "last-1"}
    assert workers_of(home, graph) == {**dict.fromkeys(near, HOME), **dict.fromkeys(far, "main")}
    places = in_loop(home.node, lambda: home.node.duties.reports.report(ReportRequest(graph, 1, 0))).places
    assert {sq: place.worker for sq, place in places.items()} == workers_of(home, graph)
    assert {sq for sq, place in places.items() if place.left} == far
    assert places["work-1"].left == "work-1 was to take too long, or met a value that is long or not plain"
    values = [value for value in home.values(graph) if value.__class__ is tuple]
    assert values == [(n, 49_995_000 + n) for n in range(1, len(values) + 1)]


FAILING = """
def ratio(x):
    return 1 / x
@SQify
def inside(x):
    y = 3
    return ratio(x) + y
@SQify
def index(x):
    return [1, 2][x]
@SQify
def text(x):
    return "a" + x
@SQify
def raised(x):
    if not x:
        raise ValueError(f"no {x}")
    return x
@SQify
def shape(x):
    return x, x, x
@GRAPHify
def main(trigger):
    one, two = shape(trigger)
    return inside(trigger), index(trigger), text(trigger), raised(trigger), one, two
"""


def test_errors_read_as_those_of_the_worker_process(home: Host) -> None:
    def errors() -> list[tuple[Any, ...]]:
        home.errors.clear()
        graph = home.finished(home.run(FAILING, trigger=0))
        told = [(error.sq, error.exception, error.line, error.traceback) for error in home.errors]
        return sorted((sq, what, line, trace.replace(graph, "prog")) for sq, what, line, trace in told)

    here = errors()
    home.node.workers.loading.home = False
    assert here == errors()
    assert [sq for sq, *_ in here] == ["inside-1", "raised-1", "shape-1", "text-1"]


def test_a_worker_process_that_dies_takes_nothing_at_home_along(home: Host) -> None:
    text = (
        COUNTING
        + """
@SQify
def last(n):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    return sq_state["seen"], n
@SQify
def pid(x):
    import os
    return os.getpid()
"""
        + stream("last({})", 60_000_000).replace("        return", "        pid(trigger)\n        return")
    )
    graph = home.run(text)

    def values() -> list[Any]:
        return [value for value in home.values(graph) if value.__class__ is tuple]

    until(lambda: len(values()) > 3, "values come")
    channel = home.worker("main")
    os.kill(channel.process.pid, signal.SIGKILL)
    until(lambda: home.worker("main") not in (channel, None), "it is replaced")
    before = len(values())
    until(lambda: len(values()) > before + 10, "values come")
    came = values()
    assert came == [(n, n) for n in range(1, len(came) + 1)]
    assert set(workers_of(home, graph).values()) == {HOME, "main"}
    in_loop(home.node, lambda: home.node.stop(StopGraph(graph)))


def test_a_region_leaves_in_the_middle_of_a_stream(home: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies that run together leave together: nothing of the run that costs too much has happened."""
    text = (
        COUNTING
        + """
@SQify
def half(n):
    global sq_state
    sq_state["runs"] = sq_state.get("runs", 0) + 1
    return n, sq_state["runs"]
@SQify
def work(pair):
    steps = 0
    for step in range(pair[0] * 20):
        steps += 1
    return pair, steps
"""
        + stream("work(half({}))", 1_500_000)
    )
    workers, together = home.node.workers, list[bool]()
    left = workers._left

    def leaves(answer: Any) -> None:
        together.append(any(region.together and region.worker == HOME for region in workers.accelerator._regions))
        left(answer)

    monkeypatch.setattr(workers, "_left", leaves)
    graph = home.shown(text, lambda graph: any(together) and len(home.values(graph)) > 30, "they leave together")
    assert set(workers_of(home, graph).values()) == {"main"}
    values = home.values(graph)
    assert values == [((n, n), 20 * n) for n in range(1, len(values) + 1)]
    assert not home.errors_of(graph)


def test_a_graph_is_stopped_while_its_bodies_leave(home: Host) -> None:
    text = (
        COUNTING
        + """
@SQify
def same(n):
    return "a" * 100 * n
"""
        + stream("same({})", 60_000_000)
    )
    graph = home.run(text)
    until(lambda: home.values(graph), "values come")
    in_loop(home.node, lambda: home.node.stop(StopGraph(graph)))
    seen = len(home.values(graph))
    assert len(home.values(graph)) <= seen + 1
    other = home.finished(home.run(COUNTING + stream("{}", 200_000)))
    assert not home.errors_of(graph) and not home.errors_of(other)


def test_bodies_that_take_too_much_together_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_module, "SHARE", 1_000)
    host = Host(True)
    host.node.workers.loading.home = True
    try:
        text = COUNTING + stream("{}", 500_000)
        graph = host.shown(text, lambda graph: set(workers_of(host, graph).values()) == {"main"}, "it leaves")
        values = host.values(graph)
        assert values == list(range(1, len(values) + 1))
    finally:
        host.node.close()


MOVED = (
    NUMBERS
    + """
@SQify
def fold(x):
    global sq_state
    sq_state["h"] = h = (sq_state.get("h", 0) * 31 + x) % 1000003
    for _ in range(9000 if x > LEAVES else 1):
        pass
    return x, h
@SQify
def last(pair):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return pair, sq_state["n"], TURN
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        s = src(trigger, TTPeriod=20000)
    with TTConstraint(name=["far", "spare"]):
        return last(fold(s))
"""
)


@pytest.mark.parametrize("what", ["drained", "replaced"])
def test_bodies_that_leave_as_they_move_lose_nothing(what: str) -> None:
    """They leave at different moments about the drain, or the switch to the next version; as in plain Python."""
    system = System(checkpoint=100_000).with_ensembles("near", "far", "spare")
    try:
        names = [f"leaves{instant}" for instant in range(26, 36)]
        texts = {name: MOVED.replace("LEAVES", name[6:]) for name in names}
        for name, text in texts.items():
            mapping = {"src-1": "near", "fold-1": "far", "last-1": "far"}
            graph = system.deploy(text.replace("TURN", "1"), name, mapping)
            system.manager.execute_graph(graph)
        until(lambda: len(system.values(names[-1])) > 24, "values come")
        if what == "drained":
            system.manager.drain("far")
        for name, text in texts.items() if what == "replaced" else ():
            new = compile_source(text.replace("TURN", "2"), f"{name}.py", name)
            system.manager.replace_graph(new, name=name, watch=0)
        for name in names:
            until(lambda name=name: len(system.values(name)) > 60, "values come")  # type: ignore[misc]
            system.manager.stop_graph(name)
        for name in names:
            values, folded, before = system.values(name), 0, 0
            for count, ((x, h), n, turn) in enumerate(values, 1):
                folded, before = (folded * 31 + x) % 1000003, max(before, turn)
                assert (h, n, turn) == (folded, count, before), (name, x)
            assert before == (2 if what == "replaced" else 1)
        assert not system.errors
    finally:
        system.end()


GROUPS = [
    ("a", "ab", {"a"}),  # b is not here
    ("ab", "b", set()),  # a feeds b
    ("abc", "ab", {"a", "b"}),
    ("acd", "acd", {"a", "c", "d"}),
    ("acd", "ac", {"a"}),  # c and d have one sender
    ("cd", "c", set()),
    ("abcd", "abd", {"a", "b"}),
]


@pytest.mark.parametrize("here, harmless, expected", GROUPS)
def test_bodies_stay_together(here: str, harmless: str, expected: set[str]) -> None:
    """a feeds b; e feeds c and d."""
    feeds = {"a": "b", "b": "", "c": "", "d": "", "e": "cd"}
    sqs = [TTSQ(name, name, arcs=[TTArc(to=[TTDestination(one, 0) for one in to])]) for name, to in feeds.items()]
    assert set(here) - reached(beside(sqs, [*here]), set(here) - set(harmless)) == expected
