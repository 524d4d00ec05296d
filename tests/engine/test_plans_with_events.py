"""Plans of simulations in which ensembles fail and SQs move, against the general engine and by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import msgspec
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import HEADER, at_once, programs, run
from test_plans_with_costs import deployments

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.errors import TTError
from ticktalk.language.compiler import compile_source
from ticktalk.simulation.event_file import FileEvent
from ticktalk.simulation.faults import Faults


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


NAMES = st.sampled_from(["a", "b", "c"])
PAIRS = st.sampled_from([("a", "b"), ("a", "c"), ("b", "c"), ("a", "runtime-manager"), ("b", "runtime-manager")])
TICKS = st.integers(1, 1400)
EVENTS = st.one_of(
    st.builds(lambda at, name, kind: (FileEvent(at, kind, (name,)),), TICKS, NAMES, st.sampled_from(["fail"])),
    st.builds(
        lambda at, after, name: (FileEvent(at, "fail", (name,)), FileEvent(at + after, "recover", (name,))),
        TICKS, st.integers(1, 600), NAMES,
    ),
    st.builds(
        lambda at, after, pair: (FileEvent(at, "cut", pair), FileEvent(at + after, "heal", pair)),
        TICKS, st.integers(1, 600), PAIRS,
    ),
    st.builds(lambda at, name: (FileEvent(at, "slow", (name,), factor=Fraction(3, 2)),), TICKS, NAMES),
    st.builds(lambda at, name: (at, name), TICKS, NAMES),
)  # fmt: skip
"""Events of a file; `(tick, name)`: that ensemble is drained then."""


@settings(max_examples=20)
@given(
    programs(hosts=True, rates=True, unit=15),
    st.data(),
    st.sampled_from([0, 0, 3, 20]),
    st.sampled_from([0, 70, 200]),
    st.booleans(),
    st.lists(EVENTS, max_size=3),
)
def test_ensembles_fail_and_sqs_move(
    text: str, data: st.DataObject, delay: int, checkpoint: int, costs: bool, events: list[Any]
) -> None:
    text = text.replace("name='a'", "name=['a', 'c']").replace("name='b'", "name=['b', 'c']")
    graph = compile_source(text, "net.py", "net")
    deployment = data.draw(deployments(graph)) if costs else None

    def both(plans: bool) -> tuple[Any, ...]:
        said: list[str] = []
        managers: list[TTRuntimeManagerSim] = []

        def watch(manager: TTRuntimeManagerSim) -> None:
            managers.append(manager)
            manager.on_event(said.append)
            faults = Faults(manager, 100, checkpoint)
            failed: set[str] = set()
            for event in events:
                if isinstance(event[0], FileEvent):
                    fails = event[0].kind == "fail" and event[0].ensembles[0]
                    if fails in failed or not manager.simulation.sites.keys() >= set(event[0].ensembles):
                        continue
                    failed |= {fails} if fails else set()
                    for each in event:
                        faults.schedule(each, 0)
                elif event[1] in manager.simulation.sites:
                    manager.sim.timeout(event[0]).callbacks.append(lambda _, name=event[1]: drain(manager, name))

        def drain(manager: TTRuntimeManagerSim, name: str) -> None:
            try:
                manager.drain(name)
            except TTError as error:
                said.append(f"no drain: {error}")

        ran = run(graph, plans, until=1500, delay=delay, watch=watch, deployment=deployment)
        state = managers[0].process.state.graphs.get("net")
        # Without the order of keys: which SQ's counter went up first is nothing that is told.
        return said, ran.loads, *ran.seen, msgspec.to_builtins(state)

    for mine, expected in zip(both(True), both(False), strict=True):
        assert mine == expected


MOVES = (
    HEADER
    + """
@STREAMify
def read(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n

@SQify
def summed(x):
    global sq_state
    s = sq_state["s"] = sq_state.get("s", 0) + x
    return s

@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = read(trigger, TTPeriod=1000)
    with TTConstraint(name=["b", "c"]):
        y = summed(x)
    return y
"""
)


def test_a_plan_goes_on_after_an_ensemble_has_failed() -> None:
    manager = TTRuntimeManagerSim(
        None, [TTEnsemble(None, name) for name in "abc"], simpy.Environment(), network_delay=2500
    )
    told: list[tuple[int, int]] = []
    manager.on_output(lambda token: told.append((token.value, token.arrival)), notes=True)
    graph = compile_source(MOVES, "prog.py", "prog")
    faults = Faults(manager, noticed_after=20_000, checkpoint=50_000)
    faults.schedule(FileEvent(210_000, "fail", ("b",)), 0)
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    loops: Any = manager.simulation.accelerator  # type: ignore[union-attr]
    for tick, host in ((205_000, "b"), (400_000, "c")):
        manager.simulation.run(tick)
        assert {(part.sq.name, part.context.prepared.here) for part in loops.plan.parts} == {
            ("read-1", "a"), ("summed-1", host)
        }  # fmt: skip
    # Up to 210: the samples that were taken at b by then. The last checkpoint is of 200: there it had those up to 197.
    before = [(sum(range(n + 1)), n * 1000 + 5000) for n in range(1, 208)]
    # At 230 the samples begin to go to c.
    after = [(sum(range(198)) + sum(range(230, n + 1)), n * 1000 + 5000) for n in range(230, 395)]
    assert told == [*before, *after]
