"""A simulation that is recorded runs plans, and its records are those of the general engine, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import at_once, programs

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.setup import Setup
from ticktalk.records import AnyRecord, Records, Repeated, TookOver, each_of


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


class Kept:
    """Takes what is recorded, and keeps the records of each ensemble."""

    def __init__(self) -> None:
        self.of: dict[tuple[str, int, str], list[AnyRecord]] = {}
        self.repeated = 0

    def begin(self, setup: Setup) -> None:
        """A context starts."""

    def took_over(self, told: TookOver) -> None:
        """No graph is replaced here."""

    def add(self, batch: Records) -> None:
        """Take records."""
        found = self.of.setdefault((batch.graph, batch.context, batch.ensemble), [])
        assert batch.first == len(found)
        found += each_of(batch.records)
        self.repeated += sum(record.count for record in batch.records if isinstance(record, Repeated))

    def flush(self) -> None:
        """Nothing waits."""

    def finish(self, *lacks: str) -> list[str]:
        """Nothing is missing."""
        return []


def recorded(
    graph: TTGraph,
    accelerated: bool,
    until: int,
    delay: int = 0,
    bound: int = 1_000_000,
    starts: tuple[int, ...] = (0,),
) -> tuple[Kept, Any]:
    names = sorted({name for sq in graph.sqs for spec in sq.constraints for name in spec.names})
    ensembles = [TTEnsemble(None, name) for name in names]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=delay)
    kept = Kept()
    recording = RecordedSimulation(manager, kept, {})
    if not accelerated:
        manager.simulation.accelerator = None
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = bound
    errors: list[Any] = []
    manager.on_error(errors.append)
    outputs: list[Any] = []
    manager.on_output(outputs.append, notes=True)
    manager.instantiate_and_map_graph(graph)
    for start in starts:
        if start:
            manager.simulation.run(start)
        manager.execute_graph(graph, {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {})
    manager.simulation.run(until)
    recording.finish()
    return kept, (outputs, [str(error) for error in errors], manager.counters(graph), manager.waiting(graph))


def same(graph: TTGraph, **how: Any) -> Kept:
    general, seen = recorded(graph, False, **how)
    ours, also = recorded(graph, True, **how)
    assert general.repeated == 0
    assert ours.of.keys() == general.of.keys()
    for place, records in general.of.items():
        mine = ours.of[place]
        for number, (one, other) in enumerate(zip(mine, records, strict=False)):
            assert one == other, (place, number)
        assert len(mine) == len(records)
    assert also == seen
    return ours


@settings(max_examples=30)
@given(
    programs(hosts=True, rates=True),
    st.sampled_from([0, 0, 1, 7]),
    st.sampled_from([(0,), (0, 13)]),
    st.sampled_from([20, 1_000_000]),
)
def test_records_are_the_same(text: str, delay: int, starts: tuple[int, ...], bound: int) -> None:
    same(compile_source(text, "net.py", "net"), until=300, delay=delay, starts=starts, bound=bound)


USED = {
    "two ensembles": "x = step(a)\n    with TTConstraint(name='b'):\n        y = step(x)\n    return y",
    "two rates": "b = src(trigger, TTPeriod=15)\n    return step(MERGE(a, b))",
    "a deadline that is kept": "return TTFinishByOtherwise(step(a), TTTimeDeadline=tag + 8, TTPlanB=late())",
    "a deadline that is missed": "return TTFinishByOtherwise(some(a), TTTimeDeadline=tag + 8, TTPlanB=late())",
    "nothing sometimes": "some(a)\n    return step(some(a))",
    "a list that changes": "x = all_of(a)\n    more(x)\n    return more(x)",
    "an error sometimes": "return step(bad(a))",
    "a value that stays": "return keep(a, trigger)",
    "parts": "x, y = twice(a)\n    return keep(step(x), y)",
}
BODIES = """from ticktalk import *
@STREAMify
def src(trigger):
    global sq_state
    n = sq_state['n'] = sq_state.get('n', 0) + 1
    return n
@SQify
def step(x):
    return x + 0.5
@SQify
def late():
    return -1
@SQify
def some(x):
    return x if x % 5 else TTEmpty()
@SQify
def bad(x):
    return 1 // (x % 9)
@SQify
def all_of(x):
    global sq_state
    kept = sq_state.setdefault('all', [])
    kept.append(x)
    return kept
@SQify
def more(xs):
    xs.append(-1)
    return len(xs)
@SQify
def twice(x):
    return x, [x]
@SQify
def keep(x, y):
    return [x, y]
@GRAPHify
def main(trigger):
    tag, a = src(trigger, TTPeriod=10)
    """


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("what", USED)
def test_a_plan_is_recorded(what: str, delay: int) -> None:
    kept = same(compile_source(BODIES + USED[what], "net.py", "net"), until=2000, delay=delay)
    assert kept.repeated > 0.3 * sum(map(len, kept.of.values()))
