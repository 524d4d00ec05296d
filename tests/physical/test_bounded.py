"""Nothing unbounded happens where time is kept: heavy values are rendered, sized and refused in workers."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from systems import HEAD, System, until

from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.completion import Completion
from ticktalk.manager.outputs import LONGEST_ROW, ROWS_LENGTH, Outputs
from ticktalk.manager.state import ContextState, GraphState, ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import OutputToken

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
