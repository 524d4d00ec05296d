"""Ensembles as real processes that are killed, drained, stopped and started again while graphs run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from systems import HEAD, LIMIT, NUMBERS, Process, System, alive, children, free_port, kill, standstill, until

from ticktalk.cli.remote import Remote
from ticktalk.errors import TTRuntimeError
from ticktalk.hosted.lease import Times
from ticktalk.payloads import OutputToken
from ticktalk.values.codec import decode_value

GAP = 5_000_000
"""Microseconds within which a stateful SQ goes on elsewhere: about 2 s when the machine is free. Should all of it stand
still, that time does not count."""

COUNTED = (
    NUMBERS
    + """
@SQify
def count(x):
    global sq_state
    sq_state["count"] = sq_state.get("count", 0) + 1
    return [x, sq_state["count"]]
@GRAPHify
def main(trigger):
    with TTConstraint(name="edge"):
        s = src(trigger, TTPeriod=100000)
    return count(s)
"""
)
"""A stateful SQ that may live anywhere, fed at 10 Hz."""

ENDED = (
    NUMBERS
    + """
@GRAPHify
def main(trigger):
    with TTConstraint(name=["a", "b"]):
        return src(trigger, TTPeriod=50000)
"""
)
"""A stream on one of two ensembles."""

WOVEN = (
    NUMBERS
    + """
@SQify
def total(x):
    global sq_state
    sq_state["seen"] = sq_state.get("seen", 0) + 1
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return [x, sq_state["seen"], sq_state["sum"]]
@SQify
def same(x):
    return x
@SQify
def both(x, y):
    return [x, y]
@SQify
def far(x):
    return x
@SQify
def third(x):
    return x
@GRAPHify
def main(trigger):
    fast = src(trigger, TTPeriod=10000)
    summed = total(fast)
    copy = same(fast)
    pair = both(copy, summed)
    with TTConstraint(name="c"):
        third(pair)
        there = far(copy)
        slow = src(trigger, TTPeriod=20000)
    back = same(slow)
    same(there)
    with TTConstraint(name="runtime-manager"):
        far(back)
"""
)
"""A stream at 100 Hz and SQs behind it, with arcs to and from SQs elsewhere."""


@pytest.fixture
def own() -> Iterator[Callable[..., System]]:
    """Makes systems of a test's own."""
    made: list[System] = []

    def make(**options: Any) -> System:
        made.append(System(**options))
        return made[-1]

    yield make
    for system in made:
        system.end()


def of(system: System, graph: str, sq: str = "") -> list[OutputToken]:
    """The outputs of a graph so far (of one SQ)."""
    return [token for token in list(system.outputs) if token.graph == graph and sq in ("", token.sq)]


def consecutive(values: list[int]) -> bool:
    """True if each is one more than the one before."""
    return all(after == before + 1 for before, after in pairwise(values))


def found(system: System, graph: str) -> dict[str, Any]:
    """A graph in the manager's status."""
    (entry,) = [entry for entry in system.manager.status()["graphs"] if entry["name"] == graph]
    return entry  # type: ignore[no-any-return]


def saved(system: System, graph: str, sq: str) -> Any:
    """The `sq_state` of the manager's last checkpoint of an SQ, or None."""
    for context in list(system.manager.process.state.graphs[graph].contexts.values()):
        kept = context.checkpoints.get(sq)
        if kept is not None and kept.body is not None:
            return decode_value(kept.body)
    return None


def runs_on(system: System, graph: str, more: int = 5) -> None:
    """Wait until that many more outputs of each SQ of a graph have come."""
    before: dict[str, int] = {}
    for token in of(system, graph):
        before[token.sq] = before.get(token.sq, 0) + 1
    assert before

    def grown() -> bool:
        return all(len(of(system, graph, sq)) >= count + more for sq, count in before.items())

    until(grown, f"{graph} goes on: {before}")


def silent(system: System) -> None:
    """No faults but the requested ones."""
    for name, process in system.ensembles.items():
        assert "Traceback" not in process.said and "error in the runtime" not in process.said, (name, process.said)


# A loss.


def test_a_stateful_sq_goes_on_elsewhere_from_its_last_checkpoint(own: Callable[..., System]) -> None:
    system = own().with_ensembles("edge", "b", "c")
    graph = system.deploy(COUNTED, "counted", mapping={"src-1": "edge", "count-1": "b"})
    system.manager.execute_graph(graph)
    until(lambda: (saved(system, "counted", "count-1") or {}).get("count", 0) > 3, "it is saved")
    last_saved = saved(system, "counted", "count-1")["count"]
    with standstill() as stood:
        system.ensembles["b"].popen.kill()
        until(lambda: any(token.ensemble != "b" for token in of(system, "counted")), "it goes on elsewhere")
    runs_on(system, "counted", 12)
    tokens = of(system, "counted")
    hosts = [token.ensemble for token in tokens]
    new = next(index for index, host in enumerate(hosts) if host != "b")
    assert "b" not in hosts[new:] and len(set(hosts[new:])) == 1
    before, after = tokens[:new], tokens[new:]
    gap, counted_on = after[0].start - before[-1].start, after[0].value[1]
    arrived = after[0].arrival - before[-1].arrival
    print(f"gap: {gap / 1e6:.2f} s of intervals, {arrived / 1e6:.2f} s of arrivals")
    assert max(gap, arrived) <= GAP + stood()
    assert last_saved < counted_on <= before[-1].value[1] + 1
    for part in (before, after):
        assert consecutive([token.value[0] for token in part]) and consecutive([token.value[1] for token in part])
    assert found(system, "counted")["mapping"]["count-1"] == hosts[-1]
    silent(system)


@pytest.mark.parametrize("host", ["b", "runtime-manager"])
def test_a_killed_worker_is_replaced_and_its_instances_go_on(own: Callable[..., System], host: str) -> None:
    system = own(workers=2).with_ensembles("edge")
    system.begin("b", "--workers", "2")
    assert system.manager.wait_for_ensembles(["b"], LIMIT) == []
    process = system.ensembles["b"].popen.pid if host == "b" else os.getpid()
    others = set(children(process))
    graph = system.deploy(COUNTED, "counted", mapping={"src-1": "edge", "count-1": host})
    system.manager.execute_graph(graph)
    until(lambda: (saved(system, "counted", "count-1") or {}).get("count", 0) > 3, "it is saved")
    last_saved = saved(system, "counted", "count-1")["count"]
    (worker,) = set(children(process)) - others
    before = len(of(system, "counted"))
    with standstill() as stood:
        kill(worker)
        until(lambda: not alive(worker), "the worker is gone")
        until(lambda: system.manager.counters(graph).get(host, {}).get("restarts") == 1, "the replacement is counted")
    runs_on(system, "counted", 12)
    values = [token.value[1] for token in of(system, "counted")]
    steps = [after - one for one, after in pairwise(values)]
    (broken,) = [index for index, step in enumerate(steps) if step != 1] or [before]
    assert last_saved < values[broken + 1] <= values[broken] + 1
    # Each value of the stream is there, or its firing is counted as lost in the worker.
    numbers = [token.value[0] for token in of(system, "counted")]
    lost = system.manager.counters(graph).get("count-1", {}).get("lost", 0)
    assert numbers == sorted(set(numbers)) and numbers[-1] - len(numbers) == lost <= 1 + (GAP + stood()) // 100_000
    assert found(system, "counted")["mapping"]["count-1"] == host


def test_states_that_are_false_outlive_a_worker_and_a_drain(own: Callable[..., System]) -> None:
    states = {"nought": "0", "text": "''", "items": "[]", "no": "False", "nothing": "None"}
    bodies = "".join(
        f"""
@SQify
def {name}(x):
    global sq_state
    before, sq_state = sq_state, {state}
    return repr(before)
"""
        for name, state in states.items()
    )
    calls = "\n    ".join(f"{name}(s)" for name in states)
    system = own().with_ensembles("edge", "c")
    system.begin("b", "--workers", "2")
    assert system.manager.wait_for_ensembles(["b"], LIMIT) == []
    head, _, _ = COUNTED.partition("@SQify\ndef count")
    text = f"{head}{bodies}@GRAPHify\ndef main(trigger):\n    s = src(trigger, TTPeriod=100000)\n    {calls}\n"
    graph = system.deploy(text, "kept", mapping={"src-1": "edge"} | {f"{name}-1": "b" for name in states})
    system.manager.execute_graph(graph)
    contexts = system.manager.process.state.graphs["kept"].contexts.values()

    def all_saved() -> bool:
        kept = [context.checkpoints.get(f"{name}-1") for context in list(contexts) for name in states]
        return all(each is not None and each.body is not None for each in kept)

    until(all_saved, "they are saved")
    (worker,) = children(system.ensembles["b"].popen.pid)
    kill(worker)
    until(lambda: system.manager.counters(graph).get("b", {}).get("restarts") == 1, "the replacement is counted")
    runs_on(system, "kept")
    system.manager.drain("b")
    until(lambda: all(of(system, "kept", f"{name}-1")[-1].ensemble != "b" for name in states), "they go on elsewhere")
    runs_on(system, "kept")
    for name, state in states.items():
        first, *others = (token.value for token in of(system, "kept", f"{name}-1"))
        assert first == "{}" and set(others) == {state}


def test_an_instance_that_rests_is_not_saved_again(own: Callable[..., System]) -> None:
    system = own(checkpoint=20_000).with_ensembles("edge")
    host = system.manager._handle.node.host
    times: dict[str, int] = {}
    checkpoint = host.checkpoint

    def counted(graph: str, number: int) -> Any:
        times[graph] = times.get(graph, 0) + 1
        return checkpoint(graph, number)

    def skipped() -> int:
        return system.manager.counters("slow").get("src-1", {}).get("skipped", 0)

    host.checkpoint = counted
    here = {"src-1": "edge", "count-1": "runtime-manager"}
    slow = system.deploy(COUNTED.replace("100000", "400000"), "slow", mapping=here)
    system.manager.execute_graph(slow, length=1_600_000)
    # The last state is saved, although nothing is under way in between.
    until(lambda: (saved(system, "slow", "count-1") or {}).get("count", 0) + skipped() == 4, "all that came is saved")
    assert system.manager.wait(slow, LIMIT)
    busy = system.deploy(COUNTED.replace("100000", "10000"), "busy", mapping=here)
    system.manager.execute_graph(busy)
    until(lambda: times.get("busy", 0) > 5, "the other is saved")
    before = times["slow"], times["busy"]
    until(lambda: times["busy"] > before[1] + 10, "the other is saved again and again")
    assert times["slow"] == before[0] <= 25, "a graph that is done is not saved again"


# A drain.


def test_a_drain_under_load_loses_nothing(own: Callable[..., System]) -> None:
    system = own().with_ensembles("a", "b", "c")
    fixed = {"src-2": "c", "far-1": "c", "third-1": "c", "far-2": "runtime-manager"}
    moving = ("src-1", "total-1", "same-1", "both-1", "same-2", "same-3")
    graph = system.deploy(WOVEN, "woven", mapping=dict.fromkeys(moving, "a") | fixed)
    system.manager.execute_graph(graph)
    sinks = ("third-1", "same-3", "far-2")
    until(lambda: all(len(of(system, "woven", sq)) > 30 for sq in sinks), "it runs")
    for leaving, to in (("a", "b"), ("b", "a"), ("a", "b")):
        process = system.ensembles[leaving]
        system.manager.drain(leaving)
        assert leaving not in system.manager.ensembles
        assert process.wait() == 0 and "it was drained" in process.said
        mapping = found(system, "woven")["mapping"]
        assert {mapping[sq] for sq in moving} <= {to, "c"} and fixed.items() <= mapping.items()
        runs_on(system, "woven", 30)
        system.begin(leaving)
        assert system.manager.wait_for_ensembles([leaving], LIMIT) == []
    numbers = {sq: [token.value for token in of(system, "woven", sq)] for sq in sinks}
    for sq in ("same-3", "far-2"):
        assert numbers[sq] == list(range(1, len(numbers[sq]) + 1)), sq
    sums, pairs = 0, numbers["third-1"]
    for number, (x, (y, seen, summed)) in enumerate(pairs, 1):
        sums += number
        assert (x, y, seen, summed) == (number, number, number, sums)
    counts = system.manager.counters(graph)
    assert not any(kind in kinds for kinds in counts.values() for kind in ("lost", "stale", "evicted", "overflow"))
    silent(system)


SLOW = COUNTED.replace(
    "    return [x, sq", "    import time; time.sleep(3.5 if x == 4 else 0)\n    return [x, sq"
).replace("    return count(s)", '    with TTConstraint(name=["b", "c"]):\n        return count(s)')
"""The same, but its fourth firing takes long, and only two ensembles may host it."""


def problem_of_drain(system: System, name: str) -> str:
    """The refusal to drain an ensemble; empty when it is drained."""
    try:
        system.manager.drain(name)
    except TTRuntimeError as error:
        return str(error)
    return ""


def test_a_refused_drain_changes_nothing(own: Callable[..., System], tmp_path: Path) -> None:
    system = own()
    works, fails = tmp_path / "works", tmp_path / "fails"
    for folder, text in ((works, "ONE = 1\n"), (fails, "raise OSError('no such bus')\n")):
        folder.mkdir()
        (folder / "bus_of_test_healing.py").write_text(text)
    for name, path in (("edge", None), ("b", works), ("c", fails)):
        system.begin(name, path=path)
    assert system.manager.wait_for_ensembles(["edge", "b", "c"], LIMIT) == []
    text = COUNTED.replace("@SQify", "import bus_of_test_healing\n@SQify").replace(
        "x, sq", "x + 0 * bus_of_test_healing.ONE, sq"
    )
    graph = system.deploy(text, "counted", mapping={"src-1": "edge", "count-1": "b"})
    system.manager.execute_graph(graph)
    until(lambda: len(of(system, "counted")) > 3, "it runs")
    for name, why in (
        ("edge", r"(?s)'edge' cannot be drained.*src-1 of graph 'counted' \(wants the ensemble 'edge'\)"),
        ("nobody", r"there is no ensemble 'nobody' \(joined: (\w+, ){2}\w+\)"),
        ("runtime-manager", r"the manager's own ensemble: it cannot be drained"),
    ):
        with pytest.raises(TTRuntimeError, match=why):
            system.manager.drain(name)
    # Every attempt finds one more ensemble on which its code does not run.
    problems = [problem_of_drain(system, "b") for _ in range(4)]
    assert any("'b' is not drained: 'c' cannot take its work: " in each and "no such bus" in each for each in problems)
    assert "'b' cannot be drained, because no other ensemble may host\n  count-1" in problems[-1]
    asked = Process("drain", "edge", "--manager", system.address)
    assert asked.wait() == 1 and "cannot be drained" in asked.said and "Traceback" not in asked.said
    runs_on(system, "counted")
    assert consecutive([token.value[1] for token in of(system, "counted")])
    assert found(system, "counted")["mapping"] == {"src-1": "edge", "count-1": "b"}
    silent(system)


def asked_to_leave(system: System, graph: str) -> bool:
    """True if SQs of a graph have been told to end where they are, and go on elsewhere."""
    move = system.manager.process.state.graphs[graph].move
    return move is not None and move.ordered


def test_a_drain_whose_target_dies_loses_no_instance(own: Callable[..., System]) -> None:
    """The target dies when the instances for it were told to leave and wait for their bodies."""
    system = own().with_ensembles("edge", "b", "c")
    graph = system.deploy(SLOW, "counted", mapping={"src-1": "edge", "count-1": "c"})
    system.manager.execute_graph(graph)
    until(lambda: len(of(system, "counted")) == 3 and found(system, "counted")["busy"].get("c"), "the long body runs")
    outcome: list[str] = []
    drain = threading.Thread(target=lambda: outcome.append(problem_of_drain(system, "c")))
    drain.start()
    until(lambda: asked_to_leave(system, "counted"), "it is asked to leave")
    system.ensembles["b"].popen.kill()
    assert problem_of_drain(system, "c") == "'c' is being drained already"
    drain.join(LIMIT)
    assert outcome == ["'b' died while 'c' was drained: drain it again"]
    until(lambda: len(of(system, "counted")) > 10, "it goes on")
    assert found(system, "counted")["mapping"]["count-1"] == "c"
    assert consecutive([token.value[1] for token in of(system, "counted")])
    system.begin("b")
    assert system.manager.wait_for_ensembles(["b"], LIMIT) == []
    assert problem_of_drain(system, "c") == ""
    runs_on(system, "counted")
    assert consecutive([token.value[1] for token in of(system, "counted")])
    assert found(system, "counted")["mapping"]["count-1"] == "b"
    silent(system)


# Changes of a stream.


def grid(token: OutputToken, period: int) -> bool:
    """True if a stream's token is of an instant of this period, and half as wide."""
    width = period // 2
    return (token.start + width // 2) % period == 0 and token.stop - token.start == width


def test_a_new_period_holds_from_the_next_instant_on_and_after_a_loss(own: Callable[..., System]) -> None:
    system = own().with_ensembles("b", "c")
    text = NUMBERS + "@GRAPHify\ndef main(trigger):\n    return src(trigger, TTPeriod=200000)\n"
    graph = system.deploy(text, "paced", mapping={"src-1": "b"})
    system.manager.execute_graph(graph)
    until(lambda: len(of(system, "paced")) > 3, "it runs")
    asked = Process("set", "paced", "src-1", "period=70ms", "phase=0", "--manager", system.address)
    assert asked.wait() == 0 and "src-1: period 70ms, phase 0s, interval width 35ms" in asked.said
    until(lambda: grid(of(system, "paced")[-1], 70_000), "the new period holds")
    runs_on(system, "paced", 20)  # and is saved
    before = len(of(system, "paced"))
    tokens = of(system, "paced")
    assert consecutive([token.value for token in tokens])  # no restart
    changed = next(index for index, token in enumerate(tokens) if token.stop - token.start == 35_000)
    assert changed > 3 and all(grid(token, 200_000) for token in tokens[:changed])
    assert all(grid(token, 70_000) for token in tokens[changed:])
    between = tokens[changed].start + 35_000 // 2 - (tokens[changed - 1].start + 100_000 // 2)
    # The change comes before another instant of the old grid, and the next instant is one of the new grid.
    skipped = system.manager.counters("paced").get("src-1", {}).get("skipped", 0)  # if the machine cannot keep up
    assert 0 < between <= 200_000 + 70_000 + skipped * 200_000
    system.ensembles["b"].popen.kill()
    until(lambda: of(system, "paced")[-1].ensemble != "b", "it goes on elsewhere")
    runs_on(system, "paced", 10)
    assert all(grid(token, 70_000) for token in of(system, "paced")[before:])
    for change, why in ((("phase=70ms",), "is not below the period"), (("period=0",), "at least 1 microsecond")):
        refused = Process("set", "paced", "src-1", *change, "--manager", system.address)
        assert refused.wait() == 1 and why in refused.said and "Traceback" not in refused.said
    silent(system)


# SQs that wait.

NEEDY = COUNTED.replace("    return count(s)", "    with TTConstraint(components=['scale']):\n        return count(s)")


def test_waiting_sqs_start_where_they_fit_and_a_returned_ensemble_takes_no_others(
    own: Callable[..., System], tmp_path: Path
) -> None:
    system = own()
    views = {name: tmp_path / f"{name}.json" for name in ("edge", "b", "other")}
    system.begin("edge", view=views["edge"])
    system.begin("b", "--component", "scale", view=views["b"])
    assert system.manager.wait_for_ensembles(["edge", "b"], LIMIT) == []
    on_b = COUNTED.replace("    return count(s)", '    with TTConstraint(name="b"):\n        return count(s)')
    for name, text in (("needy", NEEDY), ("fixed", on_b), ("ended", on_b)):
        system.manager.execute_graph(system.deploy(text, name))
    until(
        lambda: all((saved(system, name, "count-1") or {}).get("count", 0) > 3 for name in ("needy", "fixed")), "saved"
    )
    counted = saved(system, "needy", "count-1")["count"]
    system.ensembles["b"].popen.kill()
    until(lambda: all(found(system, name)["waits"] == ["count-1"] for name in ("needy", "fixed", "ended")), "they wait")
    assert not system.manager.wait("needy", 0.5)  # nothing is done for that
    asked = Process("status", "needy", "--manager", system.address)
    assert asked.wait() == 0 and "wait for an ensemble that fits: count-1" in "\n".join(asked.out)
    system.event("graph 'needy' waits for an ensemble that fits: count-1 wants the component 'scale'")
    system.manager.stop_graph("ended")
    system.begin("other", "--component", "scale", view=views["other"])
    until(lambda: any(token.ensemble == "other" for token in of(system, "needy")), "it starts where it fits")
    first = next(token for token in of(system, "needy") if token.ensemble == "other")
    last = [token for token in of(system, "needy") if token.ensemble == "b"][-1]
    assert counted < first.value[1] <= last.value[1] + 1
    assert found(system, "fixed")["waits"] == ["count-1"]
    before = len(of(system, "fixed"))
    system.begin("b", "--component", "scale", view=views["b"])
    until(lambda: len(of(system, "fixed")) > before + 3, "what waited for it goes on")
    assert found(system, "needy")["mapping"]["count-1"] == "other"
    view = system.ensembles["b"].view()
    assert view["graphs"] == ["fixed"] and [here["runs"] for here in view["here"].values()] == [["count-1"]]
    assert [here["runs"] for here in system.ensembles["other"].view()["here"].values()] == [["count-1"]]
    silent(system)


def test_an_ensemble_that_was_cut_off_forgets_a_graph_stopped_meanwhile(
    own: Callable[..., System], tmp_path: Path
) -> None:
    system = own().with_ensembles("edge")
    b = system.begin("b", view=tmp_path / "b.json")
    assert system.manager.wait_for_ensembles(["b"], LIMIT) == []
    for name in ("stays", "ends"):
        system.manager.execute_graph(system.deploy(COUNTED, name, mapping={"src-1": "edge", "count-1": "b"}))
    until(lambda: len(of(system, "stays")) > 3 and len(of(system, "ends")) > 3, "they run")
    b.popen.send_signal(signal.SIGSTOP)
    try:
        system.event("'b' is gone")
        system.manager.stop_graph("ends")
    finally:
        b.popen.send_signal(signal.SIGCONT)
    system.event("'b' is back")
    until(lambda: b.view()["graphs"] == ["stays"], "it forgets what was stopped")
    until(lambda: [here["runs"] for here in b.view()["here"].values()] == [[]], "what went elsewhere ends there")
    assert found(system, "stays")["mapping"]["count-1"] == "edge"
    runs_on(system, "stays")
    silent(system)


# Without the manager.

MARKED = (
    HEAD
    + """
@STREAMify
def free(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    print("free", sq_state["n"])
    return sq_state["n"]
@STREAMify
def fixed(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    print("fixed", sq_state["n"])
    return sq_state["n"]
@GRAPHify
def main(trigger):
    free(trigger, TTPeriod=50000)
    with TTConstraint(name="a"):
        fixed(trigger, TTPeriod=50000)
"""
)


def marks(process: Process, sq: str) -> list[int]:
    """The prints of an SQ on an ensemble."""
    return [int(line.split()[-1]) for line in list(process.err) if f"{sq} " in line and line.split()[-1].isdigit()]


def heard(address: str) -> set[str]:
    """The ensembles that a manager has heard of in the last second."""
    with Remote(address, None) as remote:
        ensembles = remote.ask(do="status")["ensembles"]
    return {entry["name"] for entry in ensembles if entry["heard_us_ago"] < 1_000_000}


def test_an_ensemble_without_the_manager_goes_on_beside_others_and_holds_movable_sqs_when_alone(tmp_path: Path) -> None:
    (tmp_path / "marked.py").write_text(MARKED)
    (tmp_path / "mapping.json").write_text('{"free-1": "a", "fixed-1": "a"}')
    port = free_port()
    address = f"127.0.0.1:{port}"
    manager = Process("manager", "--rx-port", str(port), "--log", str(tmp_path / "out.jsonl"))
    a, b = (Process("ensemble", name, "--manager", address) for name in ("a", "b"))
    try:
        until(lambda: manager.said.count(" joined ") == 2, "both have joined")
        command = ["deploy", str(tmp_path / "marked.py"), "--mapping", str(tmp_path / "mapping.json"), "--start"]
        deploy = Process(*command, "--manager", address)
        assert deploy.wait() == 0, deploy.said
        until(lambda: len(marks(a, "free")) > 5, "it runs")
        # No ensemble sees the manager: all go on.
        manager.popen.send_signal(signal.SIGSTOP)
        before = {sq: len(marks(a, sq)) for sq in ("free", "fixed")}
        longer_than_the_lease = 2 * Times().lease // 50_000
        until(
            lambda: all(len(marks(a, sq)) > count + longer_than_the_lease for sq, count in before.items()), "both go on"
        )
        assert "not heard" not in a.said and "not heard" not in b.said
        manager.popen.send_signal(signal.SIGCONT)
        until(lambda: heard(address) == {"a", "b", "runtime-manager"}, "it hears them again")
        # Alone: movable SQs are held, the rest goes on.
        b.popen.send_signal(signal.SIGSTOP)
        manager.popen.send_signal(signal.SIGSTOP)
        held, since = -1, 0

        def only_the_fixed_one_goes_on() -> bool:
            nonlocal held, since
            free, fixed = len(marks(a, "free")), len(marks(a, "fixed"))
            if free != held:
                held, since = free, fixed
            return fixed > since + 30

        until(only_the_fixed_one_goes_on, "what moves is held, what only it may host goes on")
        assert "suspended, because others may host them: free-1" in a.said
        b.popen.send_signal(signal.SIGCONT)
        manager.popen.send_signal(signal.SIGCONT)
        until(lambda: len(marks(a, "free")) > held + 10, "what was held goes on")
        assert consecutive(marks(a, "fixed")) and consecutive(marks(a, "free"))
        with Remote(address, None) as remote:
            (entry,) = remote.ask(do="status")["graphs"]
        assert entry["mapping"] == {"free-1": "a", "fixed-1": "a"} and not marks(b, "free")
        for process in (a, b, manager):
            assert "Traceback" not in process.said and "error in the runtime" not in process.said
    finally:
        for process in (manager, a, b):
            process.popen.send_signal(signal.SIGCONT)
            process.end()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_ensemble_that_is_ended_says_how_its_sqs_stand_and_they_go_on_from_there(
    workers: str, own: Callable[..., System]
) -> None:
    """Where bodies run at home, by Ctrl-C; in a worker, by a service manager, which ends all its processes at once."""
    system = own().with_ensembles("a", "b", options=("--workers", workers))
    system.manager.execute_graph(system.deploy(ENDED, "ended"))
    until(lambda: len(system.values("ended")) > 30, "values come")
    process = system.ensembles[found(system, "ended")["mapping"]["src-1"]]
    for pid in process.family() if workers == "2" else [process.popen.pid]:
        os.kill(pid, signal.SIGTERM if workers == "2" else signal.SIGINT)
    assert process.wait() == 0
    seen = len(system.values("ended"))
    until(lambda: len(system.values("ended")) > seen + 15, "values come from the other one")
    if "is not heard" not in process.said:  # else it was busy for so long that others could have its SQs
        values, starts = system.values("ended"), [token.start for token in system.outputs]
        assert values == sorted(set(values)), "its successor goes on counting"
        assert starts == sorted(set(starts)), "none of its instants comes twice"
