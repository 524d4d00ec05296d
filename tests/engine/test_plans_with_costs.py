"""Plans of simulations in which bodies and tokens take time, against the general engine and by hand."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import HEADER, at_once, programs, run

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.engine.agenda import Agenda
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


@st.composite
def deployments(draw: st.DrawFn, graph: TTGraph) -> DeploymentFile:
    """Costs of all functions of a graph, links between its ensembles, cores."""
    functions = sorted({sq.function for sq in graph.sqs})
    times, sizes = st.sampled_from([None, None, 1, 1, 2, 3, 5]), st.sampled_from([10, 10, 20, None])
    costs = {function: CostSpec(draw(times), draw(sizes)) for function in functions}
    latencies, widths = st.sampled_from([0, 1, 3, 7, 20, 40]), st.sampled_from([None, None, Fraction(10_000_000)])
    pairs = [("a", "b"), ("a", "runtime-manager"), ("b", "runtime-manager")]
    links = {pair: LinkSpec(draw(latencies), draw(widths)) for pair in pairs}
    specs = tuple(EnsembleSpec(name, cores=draw(st.integers(1, 3))) for name in ("a", "b"))
    return DeploymentFile("deployment", specs, links, costs=costs)


def same(graph: TTGraph, deployment: DeploymentFile, **how: Any) -> tuple[Any, ...]:
    general, ours = (run(graph, plans, deployment=deployment, **how) for plans in (False, True))
    for mine, expected in zip([*ours.seen, ours.loads], [*general.seen, general.loads], strict=True):
        assert mine == expected
    return ours.seen


@settings(max_examples=25)
@given(
    programs(hosts=True, rates=True, unit=15),
    st.data(),
    st.sampled_from([20, 1_000_000]),
    st.integers(1, 2),
    st.sampled_from([(0,), (0,), (0, 13)]),
)
def test_costs_links_and_cores(
    text: str, data: st.DataObject, bound: int, slices: int, contexts: tuple[int, ...]
) -> None:
    graph = compile_source(text, "net.py", "net")
    deployment = data.draw(deployments(graph))
    same(graph, deployment, until=1500, bound=bound, slices=slices, contexts=contexts)


@settings(max_examples=15)
@given(
    programs(hosts=True, rates=True, unit=15),
    st.data(),
    st.sampled_from(["stop", "start", "set", "wait", "slow"]),
    st.integers(1, 20),
)
def test_a_listener_acts_while_bodies_run(text: str, data: st.DataObject, what: str, nth: int) -> None:
    graph = compile_source(text, "net.py", "net")
    deployment = data.draw(deployments(graph))
    inputs = {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {}
    streams = [sq.name for sq in graph.sqs if sq.trigger == "grid"]

    def both(plans: bool) -> tuple[Any, ...]:
        now: list[Any] = []

        def watch(manager: TTRuntimeManagerSim) -> None:
            def act(_: Any) -> None:
                now.append(manager.sim.now)
                if len(now) != nth:
                    return
                if what == "stop":
                    manager.stop_graph(graph)
                elif what == "start":
                    manager.execute_graph(graph, inputs)
                elif what == "set":
                    manager.set_grid(graph, streams[0], period=50, phase=0)
                elif what == "slow":
                    for name in ("a", "runtime-manager"):
                        manager.simulation.slow(name, Fraction(3, 2))
                else:
                    for delay in (0, 1, 7):
                        manager.sim.timeout(delay).callbacks.append(lambda _: now.append(("waited", manager.sim.now)))

            manager.on_output(act)
            manager.on_error(act)

        ran = run(graph, plans, until=900, watch=watch, deployment=deployment)
        return now, ran.loads, *ran.seen[: 3 if what == "stop" else 6]

    for mine, expected in zip(both(True), both(False), strict=True):
        assert mine == expected


CHAIN = (
    HEADER
    + """
@STREAMify
def read(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n

@SQify
def first(x):
    MORE
    return x * 10

@SQify
def second(x):
    return [x + 1]

@SQify
def pair(xs):
    return xs[0], [xs[0]]

@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = first(read(trigger, TTPeriod=100, TTDataIntervalWidth=10))
    with TTConstraint(name="b"):
        p, q = pair(second(x))
    return p
"""
)
"""`a` has one core, for `read` (30) and `first` (60); `b` one for `second` (20) and `pair` (40); links take 250."""

COSTS = {"read": CostSpec(30), "first": CostSpec(60), "second": CostSpec(20), "pair": CostSpec(40)}
DEPLOYMENT = DeploymentFile("d", (EnsembleSpec("a"), EnsembleSpec("b")), default=LinkSpec(250), costs=COSTS)
FIRST_ARRIVAL = 100 + 30 + 60 + 250 + 20 + 40 + 250


def simulated(more: str = "pass", until: int = 5000) -> tuple[TTRuntimeManagerSim, list[Any]]:
    graph = compile_source(CHAIN.replace("MORE", more), "prog.py", "prog")
    ensembles = [TTEnsemble(None, name) for name in ("a", "b")]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), deployment=DEPLOYMENT)
    told: list[Any] = []
    manager.on_output(lambda token: told.append((token.value, token.start, token.arrival)), notes=True)
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    return manager, told


def test_runs_and_tokens_that_are_under_way_over_several_periods() -> None:
    manager, told = simulated()
    loops: Any = manager.simulation.accelerator  # type: ignore[union-attr]
    assert {part.sq.name for part in loops.plan.parts} == {"read-1", "first-1", "second-1", "pair-1"}
    arrivals = range(FIRST_ARRIVAL, 5000, 100)
    expected = [(10 * n + 1, 100 * n - 5, tick) for n, tick in enumerate(arrivals, 1)]
    assert told == [row for value, *when in expected for row in ((value, *when), ([value], *when))]


def test_an_error_of_a_run_is_told_at_its_end_and_the_rest_goes_on() -> None:
    manager, told = simulated("assert x != 23")
    assert [value for value, *_ in told[::2]] == [10 * n + 1 for n in range(1, len(told) // 2 + 2) if n != 23]
    assert [(error.sq, error.start) for error in manager.errors] == [("first-1", 2295)]
    assert manager.counters("prog") == {"first-1": {"errors": 1}}


def test_an_ensemble_that_becomes_slow_is_overloaded_at_once() -> None:
    # 45 + 90 at `a` for each 100: late starts, then instants that are skipped.
    def slowed(plans: bool) -> Any:
        graph = compile_source(CHAIN.replace("MORE", "pass"), "prog.py", "prog")

        def watch(manager: TTRuntimeManagerSim) -> None:
            def slow(_: Any) -> None:
                manager.simulation.slow("a", Fraction(3, 2))

            manager.sim.timeout(2020).callbacks.append(slow)

        return run(graph, plans, until=5000, watch=watch, deployment=DEPLOYMENT).seen

    mine, expected = slowed(True), slowed(False)
    assert mine == expected
    kinds = Counter({kind for counts in mine[3].values() for kind in counts})
    assert kinds["late_starts"] and kinds["skipped"]


def test_an_output_that_never_comes_keeps_no_plan_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    run_tick = Agenda.run_tick

    def counted(agenda: Agenda, tick: int) -> None:
        ticks.append(tick)
        run_tick(agenda, tick)

    monkeypatch.setattr(Agenda, "run_tick", counted)
    monkeypatch.setitem(globals(), "CHAIN", CHAIN.replace("return xs[0], [xs[0]]", "return TTEmpty()"))
    _, told = simulated(until=50_000)
    assert not told and len(ticks) < 100  # of some 2,500 at which something happens
