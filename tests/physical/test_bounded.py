"""Nothing unbounded happens where time is kept: heavy values are rendered, sized and refused in workers."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from systems import HEAD, System, until

from ticktalk.ensemble import TTEnsemble
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.completion import Completion
from ticktalk.manager.outputs import LONGEST_ROW, ROWS_LENGTH, Outputs
from ticktalk.manager.state import ContextState, GraphState, ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import OutputToken
from ticktalk.physical.manager_node import in_loop

HEAVY = (
    HEAD
    + """
@SQify
def huge(trigger):
    return 3 ** 200000
@SQify
def colliding(trigger):
    return {(2**61 - 1) * n for n in range(4000)}
@GRAPHify
def main(trigger):
    return huge(trigger), colliding(trigger)
"""
)


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    made = System()
    yield made
    made.end()


def test_heavy_outputs_hold_up_no_manager(system: System) -> None:
    """An int of a million bits and a set of ints that collide: rendering or opening either takes seconds."""
    system.deploy(HEAVY, "heavy")
    beats: list[float] = []

    def beat() -> None:
        beats.append(time.monotonic())

    system.manager._handle.node.loop.every(20_000, beat)
    system.manager.execute_graph("heavy")
    until(lambda: len(system.manager.process.state.graphs["heavy"].rows) == 1, "both come", 60)
    slowest = max(after - before for before, after in itertools.pairwise(beats))
    assert slowest < 1.0, f"the manager stood still for {slowest:.1f} s"
    rows = system.manager.process.state.graphs["heavy"].rows
    assert rows[0].isprintable() and len(rows[0]) > 100_000


def state_with(graph: str) -> ManagerState:
    state = ManagerState(EnsembleInfo("boss"))
    held = state.graphs[graph] = GraphState(TTGraph(graph), {"f-1": "boss"}, ["boss"], set())
    held.contexts[1] = ContextState(1, 0, {}, None, 0, Completion({"boss"}))
    return state


def test_kept_rows_are_bounded_in_bytes(tmp_path: Path) -> None:
    state = state_with("g")
    log = tmp_path / "log.jsonl"
    outputs = Outputs(state, str(log), rows_kept=1000)
    outputs.begin(state.graphs["g"].contexts[1])
    for number in range(40):
        size = 3 * LONGEST_ROW if number == 7 else LONGEST_ROW // 2
        shown = f'"value": "{"x" * size}"'
        outputs.take(OutputToken("g", b"", number, number + 1, "f-1", "boss", 1, shown=shown), 5)
    outputs.close()
    kept: Any = state.graphs["g"]
    assert sum(map(len, kept.rows)) == kept.rows_length <= ROWS_LENGTH
    assert json.loads(kept.rows[-1])["start"] == 39 and max(map(len, kept.rows)) <= LONGEST_ROW
    assert len(log.read_text().splitlines()) == 40, "the log has them all, whole"


LONG = (
    HEAD
    + """
@SQify
def make(n):
    global sq_state
    sq_state["kept"] = b"s" * n
    return b"x" * n
@SQify
def length(x):
    return len(x)
@GRAPHify
def main(n):
    return length(make(n))
"""
)


@pytest.mark.parametrize("workers", [1, 0])
def test_a_value_that_is_too_long_is_an_error_of_its_firing(workers: int) -> None:
    system = System(workers=workers, max_value=1_000_000)
    try:
        for number, size in enumerate((900_000, 1_100_000)):
            system.deploy(LONG, f"long{number}")
            system.manager.execute_graph(f"long{number}", {"n": size})
            assert system.manager.wait(f"long{number}", 30)
        until(lambda: system.values("long0") == [900_000], "what is short enough passes")
        (error,) = system.manager.process.state.latest_errors
        assert error.sq == "make-1" and "1100005 bytes: 1000000 may be sent" in error.exception
        assert not system.values("long1")
        system.one("after")
    finally:
        system.end()


OFTEN = (
    HEAD
    + """
@SQify
def first(n):
    return n
@SQify
def inverse(n):
    return 1 // n
@GRAPHify
def main(n):
    with TTConstraint(name="edge"):
        x = first(n)
    with TTConstraint(name="runtime-manager"):
        return inverse(x)
"""
)


def test_contexts_that_ended_long_ago_are_sums(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.manager.reports.ENDED_KEPT", 3)
    manager, node = system.manager, system.manager._handle.node
    system.with_ensembles("edge")
    system.deploy(OFTEN, "often")
    for number in range(9):
        manager.execute_graph("often", {"n": number % 3})
        assert manager.wait("often", 30)
    (state,) = [graph for graph in manager.process.state.graphs.values() if graph.name == "often"]
    until(lambda: len(system.values("often")) == 6, "the outputs come")
    (told,) = [graph for graph in manager.status()["graphs"] if graph["name"] == "often"]
    assert len(told["contexts"]) == 4 and told["former_contexts"] == 5 == state.former.contexts
    assert told["outputs"] == 6 and told["counters"]["inverse-1"] == {"errors": 3}
    kept = set(state.contexts)

    def here() -> list[set[int]]:
        stores = (node.host.contexts, node.duties.arcs, node.tokens.of, node.duties.reports.outputs)
        bodies = {(body.context.prepared.graph.name, body.context.number) for body in node.workers._bodies.values()}
        return [{number for graph, number in store if graph == "often"} for store in (*stores, bodies)]

    until(lambda: all(numbers <= kept for numbers in in_loop(node, here)), "the ensemble has forgotten them too")
    assert in_loop(node, here)[0] == kept
    manager.stop_graph("often")
    system.one("after_often")


def open_files() -> Counter[str]:
    """What this process has open, by kind."""
    found: Counter[str] = Counter()
    for number in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{number}").partition(":[")[0]] += 1
        except OSError:
            pass  # closed meanwhile
    return found


def test_fifty_ensembles_that_join_and_go_leave_nothing_open(system: System) -> None:
    manager = system.manager

    def round_of(number: int) -> None:
        members = [TTEnsemble(None, f"many{number}-{k}") for k in range(10)]
        runs = [
            threading.Thread(target=each.run_phy, args=(manager.address,), kwargs={"workers": 0}) for each in members
        ]
        for run in runs:
            run.start()
        assert manager.wait_for_ensembles([each.name for each in members], 60) == []
        for each in members:
            each.stop()
        for run in runs:
            run.join(60)
        until(lambda: not [name for name in manager.ensembles if name.startswith("many")], "they have gone")

    round_of(0)  # the first ones make what is made once
    before = open_files()
    assert not [name for name in before if name.startswith("/dev/shm") and "zenoh" in name]
    for number in range(1, 6):
        round_of(number)
    until(lambda: not open_files() - before, "all that they had open is closed")
