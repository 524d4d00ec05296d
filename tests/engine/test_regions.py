"""Regions against the general engine, which is the definition: the same bytes, prints, errors and counters."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.engine import region
from ticktalk.engine.execution import BodyOutput
from ticktalk.engine.outputs import json_line
from ticktalk.graph.graph import TTGraph
from ticktalk.language import compile_source

HEADER = """\
from ticktalk import GRAPHify, SQify, STREAMify, TTClock, TTConstraint, TTEmpty
"""

BODIES = {
    # What comes in as `x`, and as many more as there are inputs in `more`.
    "plus": "return x + sum(more) + 1",
    "prints": "print('got', x)\n    return x",
    "silent": "return TTEmpty()",
    "often": "return TTEmpty() if x % 3 == 1 else x + sum(more)",
    "raises": "if x % 4 == 2:\n        raise ValueError(f'no {x}')\n    return x + sum(more)",
    "counts": "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1\n    return n * 100 + x",
    "forgets": "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1\n    return TTEmpty() if n % 2 else n + x",
    "text": "return f'{x}'.count('1')",
    "begun": "print(x, end=' ')\n    return x",
}
LISTS = {
    # Values that somebody could change: `xs` is changed where it comes in.
    "list": "return [x, 1]",
    "kept": "global sq_state\n    kept = sq_state.setdefault('kept', [])\n    kept.append(x)\n    return kept",
    "uncopied": "return [open] if x % 2 else (i for i in range(3))",
}


@st.composite
def programs(draw: st.DrawFn, hosts: bool = False) -> str:
    """A program of streams, and SQs of all kinds behind them."""
    lines: list[str] = []
    functions: dict[str, str] = {}

    def function(decorator: str, name: str, parameters: str, body: str) -> None:
        functions[name] = f"@{decorator}\ndef {name}({parameters}):\n    {body}\n"

    windows = ["trigger"]
    if draw(st.booleans()):
        lines.append("start = READ_TTCLOCK(trigger)")
        for number, end in enumerate(draw(st.lists(st.integers(5, 90), min_size=1, max_size=2))):
            lines.append(f"w{number} = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start + {number * 3}, start + {end}))")
            windows.append(f"w{number}")
    numbers: list[str] = []
    lists: list[str] = []
    hosts_of = draw(st.lists(st.sampled_from(["", "a", "b"]), min_size=1, max_size=5)) if hosts else [""]
    placed = 0

    def add(line: str) -> None:
        nonlocal placed
        host = hosts_of[placed % len(hosts_of)]
        placed += 1
        if host:
            lines.append(f"with TTConstraint(name='{host}'):")
            lines.append(f"    {line}")
        else:
            lines.append(line)

    grids = [(draw(st.integers(2, 12)), 0, 0)]
    grids = [(period, draw(st.integers(0, period - 1)), draw(st.integers(1, 2 * period))) for period, _, _ in grids * 2]
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["number", "number", "empty", "raises", "prints"]))
        body = {
            "number": "return n",
            "empty": "return TTEmpty() if n % 3 == 2 else n",
            "raises": "return 1 // (n % 4)",
            "prints": "print('instant', n)\n    return n",
        }[kind]
        function(
            "STREAMify",
            f"s{number}",
            "trigger",
            "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1\n    " + body,
        )
        period, phase, width = draw(st.sampled_from(grids))
        extra = draw(st.sampled_from(["", "", f", TTDataIntervalWidth={width}"]))
        window = draw(st.sampled_from(windows))
        if draw(st.integers(0, 5)) == 0:
            add(f"t{number}, x{number} = s{number}({window}, TTPeriod={period}, TTPhase={phase}{extra})")
            function("SQify", "late", "", "return -1")
            add(f"d{number} = TTFinishByOtherwise(x{number}, TTTimeDeadline=t{number} + 3, TTPlanB=late())")
        else:
            add(f"x{number} = s{number}({window}, TTPeriod={period}, TTPhase={phase}{extra})")
        numbers.append(f"x{number}")
    for number in range(draw(st.integers(1, 9))):
        kind = draw(
            st.sampled_from(["call", "call", "call", "call", "operator", "list", "take", "unpack", "sticky", "merge"])
        )
        pick = [draw(st.sampled_from(numbers)) for _ in range(draw(st.integers(1, 3)))]
        name = f"y{number}"
        if kind == "call":
            body = draw(st.sampled_from(sorted(BODIES)))
            parameters = ["x", "y", "z"][: len(pick)]
            text = BODIES[body].replace("sum(more)", f"sum([{', '.join(parameters[1:])}])")
            function("SQify", f"{body}{len(pick)}", ", ".join(parameters), text)
            add(f"{name} = {body}{len(pick)}({', '.join(pick)})")
            numbers.append(name)
        elif kind == "operator":
            with_what = draw(st.sampled_from(["3", pick[-1]]))
            add(f"{name} = {pick[0]} {draw(st.sampled_from(['+', '*', '-', '//', '<']))} {with_what}")
            numbers.append(name)
        elif kind == "list":
            body = draw(st.sampled_from(sorted(LISTS)))
            function("SQify", body, "x", LISTS[body])
            add(f"{name} = {body}({pick[0]})")
            lists.append(name)
        elif kind == "take" and lists:
            function("SQify", "take", "xs", "xs.append(len(xs))\n    return xs[-1] * 1000 + xs[0]")
            add(f"{name} = take({draw(st.sampled_from(lists))})")
            numbers.append(name)
        elif kind == "unpack":
            function("SQify", "pair", "x", "return (x, TTEmpty()) if x % 3 == 0 else (x, -x) if x % 5 else (x,)")
            add(f"{name}, {name}b = pair({pick[0]})")
            numbers += [name, f"{name}b"]
        elif kind == "sticky":
            function(
                "SQify", "scaled", "x, gain, k=[]", "k.append(x)\n    gain.append(1)\n    return x + len(gain) + len(k)"
            )
            add(f"{name} = scaled({pick[0]}, gains)")
            numbers.append(name)
        elif kind == "merge":
            add(f"{name} = MERGE({pick[0]}, {pick[-1]})")
            numbers.append(name)
    shown = draw(st.lists(st.sampled_from(numbers + lists), max_size=3, unique=True))
    for number, name in enumerate(shown):
        if draw(st.booleans()):
            lines.append(f"out{number} = {name} + 0" if name in numbers else f"out{number} = (1, {name})")
    body = "\n".join(f"    {line}" for line in lines)
    returned = ", ".join(dict.fromkeys(shown)) if shown else numbers[-1]
    graph = f"@GRAPHify\ndef main(trigger, gains):\n{body}\n    return {returned}\n"
    return HEADER + "\n".join(functions.values()) + "\n" + graph


class Ran:
    """All that anybody can see of a run."""

    def __init__(self, outputs: list[str], printed: str, errors: list[Any], counters: Any, waiting: Any, fired: Any):
        self.seen = (outputs, printed, errors, counters, waiting, fired)


def run(
    graph: TTGraph,
    regions: bool,
    until: int = 70,
    delay: int = 0,
    contexts: tuple[int, ...] = (0,),
    bound: int = 1_000_000,
    slices: int = 1,
    watch: Any = None,
) -> Ran:
    """Simulate `graph`; each context starts at its tick. `watch(manager)` may set callbacks."""
    env = simpy.Environment()
    names = sorted({name for sq in graph.sqs for spec in sq.constraints for name in spec.names})
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in names], env, network_delay=delay)
    manager.simulation.regions = regions
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = bound
    outputs: list[str] = []
    errors: list[Any] = []
    manager.process.outputs.listeners.append(lambda token: outputs.append(json_line(token.log_row())))
    manager.on_error(errors.append)
    if watch is not None:
        watch(manager)
    out, err = io.StringIO(), io.StringIO()
    manager.instantiate_and_map_graph(graph)
    with redirect_stdout(out), redirect_stderr(err), BodyOutput(out, err):
        for start in contexts:
            if start:
                manager.simulation.run(start)
            manager.execute_graph(graph, {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {})
        for piece in range(1, slices + 1):
            manager.simulation.run(until * piece // slices)
    fired = {
        (name, number, sq): execute.fired
        for name, site in manager.simulation.sites.items()
        for (_, number), context in site.host.contexts.items()
        if context.counts is not None
        for sq, execute in context.executes.items()
    }
    return Ran(
        outputs, out.getvalue() + "|" + err.getvalue(), errors, manager.counters(graph), manager.waiting(graph), fired
    )


def same(graph: TTGraph, **how: Any) -> Ran:
    """Both ways; what is seen is the same."""
    general, ours = run(graph, False, **how), run(graph, True, **how)
    for mine, expected in zip(ours.seen, general.seen, strict=True):
        assert mine == expected
    return ours


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "INSTANTS_BEFORE", 0)
    monkeypatch.setattr(region, "MANY", 2)


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(10, 90), st.sampled_from([0, 20, 1_000_000]), st.integers(1, 3))
def test_a_region_does_what_the_general_engine_does(text: str, until: int, bound: int, slices: int) -> None:
    graph = compile_source(text, "net.py", "net")
    same(graph, until=until, bound=bound, slices=slices)


@settings(max_examples=80, deadline=None)
@given(programs(hosts=True), st.sampled_from([0, 0, 1, 7]), st.sampled_from([(0,), (0, 0), (0, 13), (3, 20, 21)]))
def test_several_ensembles_and_contexts(text: str, delay: int, contexts: tuple[int, ...]) -> None:
    graph = compile_source(text, "net.py", "net")
    same(graph, delay=delay, contexts=contexts)
