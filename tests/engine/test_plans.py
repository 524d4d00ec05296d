"""Generated code against the general engine, which is the definition: the same bytes, prints, errors and counters."""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
import simpy
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.accelerate import apart as parts
from ticktalk.accelerate import handover, loops, periods
from ticktalk.accelerate.events import TooLong
from ticktalk.accelerate.standing import ports_of
from ticktalk.errors import TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.json_text import json_line
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import DeploymentFile

NEVER = 1 << 60

HEADER = """\
from ticktalk import GRAPHify, SQify, STREAMify, TTClock, TTConstraint, TTEmpty, TTTime, TTToken, firing
"""

BODIES = {
    # The first comes in as `x`, and as many more as there are inputs in `more`.
    "plus": "return x + sum(more) + 1",
    "prints": "print('got', x)\n    return x",
    "silent": "return TTEmpty()",
    "often": "return TTEmpty() if x % 3 == 1 else x + sum(more)",
    "raises": "if x % 4 == 2:\n        raise ValueError(f'no {x}')\n    return x + sum(more)",
    "counts": "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1\n    return n * 100 + x",
    "forgets": "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + 1\n"
    "    return TTEmpty() if n % 2 else n + x",
    "text": "return f'{x}'.count('1')",
    "begun": "print(x, end=' ')\n    return x",
    "asks": "it = firing()\n    print(it.interval.start_tick, it.interval.stop_tick, it.late_by, it.deadline)\n"
    "    return x + it.instant % 5",
}
TOKENS = {
    "same": "return TTToken(x.value + 1, x.time)",
    "some": "return TTToken(x.value, x.time) if x.value % 4 else TTEmpty()",
    "longer": "if x.value % 5 == 4:\n        raise ValueError('no')\n"
    "    return TTToken(x.value, TTTime(x.time.clock, x.time.start_tick, x.time.stop_tick + x.value % 2))",
    "two": "print(x.time.start_tick, y.time.stop_tick)\n    return TTToken(x.value + y.value, y.time)",
}
LISTS = {
    # Mutable values: `xs` is changed where it comes in.
    "list": "return [x, 1]",
    "kept": "global sq_state\n    kept = sq_state.setdefault('kept', [])\n    kept.append(x)\n    return kept",
    "uncopied": "return [open] if x % 2 else (i for i in range(3))",
}


@st.composite
def programs(draw: st.DrawFn, hosts: bool = False, rates: bool = False, unit: int = 1) -> str:
    """A program of streams, and SQs of all kinds behind them; `unit`: of the periods, in ticks."""
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

    def plan_b() -> str:
        """A plan B that takes nothing, a value that stays, or what is there by then."""
        if not numbers or draw(st.booleans()):
            function("SQify", "late", "", "return -1")
            return "late()"
        function("SQify", "late_with", "x", "return -2 if type(x) is list else x")
        return f"late_with({draw(st.sampled_from([*numbers, 'gains']))})"

    def add(line: str) -> None:
        nonlocal placed
        host = hosts_of[placed % len(hosts_of)]
        placed += 1
        if host:
            lines.append(f"with TTConstraint(name='{host}'):")
            lines.append(f"    {line}")
        else:
            lines.append(line)

    periods = draw(st.lists(st.sampled_from([2, 3, 4, 6, 12]), min_size=2, max_size=3))
    periods = [period * unit for period in periods] if rates else [draw(st.integers(2, 12))] * 2
    grids = [(period, draw(st.integers(0, period - 1)), draw(st.integers(1, 2 * period))) for period in periods]
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["number", "number", "empty", "raises", "prints", "asks"]))
        body = {
            "number": "return n",
            "empty": "return TTEmpty() if n % 3 == 2 else n",
            "raises": "return 1 // (n % 4)",
            "prints": "print('instant', n)\n    return n",
            "asks": "return n + firing().instant % 4",
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
            due = 3 * unit
            add(f"d{number} = TTFinishByOtherwise(x{number}, TTTimeDeadline=t{number} + {due}, TTPlanB={plan_b()})")
        else:
            add(f"x{number} = s{number}({window}, TTPeriod={period}, TTPhase={phase}{extra})")
        numbers.append(f"x{number}")
    kinds = ["call", "call", "call", "call", "operator", "list", "take", "unpack", "sticky", "merge", "shift", "chain"]
    kinds += ["resample", "if", "tokens", "clock"]
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from(kinds))
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
        elif kind == "shift":
            # Intervals beside those of its stream.
            delay = draw(st.sampled_from(["1", "7"]))
            add(f"{name} = ADD_TIME_DELAY({pick[0]}, delay={delay})")
            numbers.append(name)
        elif kind == "resample":
            what = draw(st.sampled_from([*numbers, *lists]))
            order = "" if what in lists else draw(st.sampled_from(["", ", order=1", f", order=1, TTMaxGap={4 * unit}"]))
            period, phase, _ = draw(st.sampled_from(grids))
            period = draw(st.sampled_from([period, max(2, period // 2), 2 * period]))
            add(f"{name} = RESAMPLE({what}, TTPeriod={period}, TTPhase={phase % period}{order})")
            (lists if what in lists else numbers).append(name)
        elif kind == "if":
            condition = draw(st.sampled_from([f"{pick[0]} % 3 == 1", f"{pick[-1]} > 4", pick[-1]]))
            yes = draw(st.sampled_from([pick[0], f"{pick[0]} + 1", "7", f"asks1({pick[0]})"]))
            function("SQify", "asks1", "x", BODIES["asks"].replace("sum(more)", "0"))
            add(f"{name} = {yes} if {condition} else {draw(st.sampled_from([pick[-1], f'-{pick[0]}', '0']))}")
            numbers.append(name)
        elif kind == "tokens":
            body = draw(st.sampled_from(sorted(TOKENS)))
            if body == "two":
                function("SQify", body, "x, y, TTExecuteOnFullToken=True", TOKENS[body])
                add(f"{name} = two({pick[0]}, {pick[-1]})")
            else:
                function("SQify", body, "x, TTExecuteOnFullToken=True", TOKENS[body])
                add(f"{name} = {body}({pick[0]})")
            numbers.append(name)
        elif kind == "clock":
            what = draw(
                st.sampled_from(
                    ["READ_TTCLOCK({})", "TIME_TOKEN({})", "CONST({}, const=5)", "READ_TTCLOCK({}, delay=3)"]
                )
            )
            add(f"{name} = {what.format(pick[0])}")
            numbers.append(name)
            if draw(st.booleans()):
                add(f"{name}c = COPY_TTTIME({pick[-1]}, {name})")
                numbers.append(f"{name}c")
            if draw(st.booleans()):
                data, due = draw(st.sampled_from(numbers)), draw(st.sampled_from([2, 5])) * unit
                add(f"{name}d = TTFinishByOtherwise({data}, TTTimeDeadline={name} + {due}, TTPlanB={plan_b()})")
                numbers.append(f"{name}d")
        elif kind == "chain":
            # SQs with one arc input, behind one that may be of the general engine.
            function("SQify", "pick2", "x, y", "return x * 10 + y")
            add(f"{name} = pick2({pick[0]}, {draw(st.sampled_from(numbers))})")
            grown = [name]
            for leaf in range(draw(st.integers(1, 6))):
                body = draw(st.sampled_from([*sorted(BODIES), "list", "scaled"]))
                above = draw(st.sampled_from(grown[-2:]))
                if body == "scaled":
                    function("SQify", "scales", "x, gain", "gain.append(1)\n    return x + len(gain)")
                    add(f"{name}_{leaf} = scales({above}, gains)")
                elif body == "list":
                    function("SQify", "inside", "x", "return [x, 2]")
                    function("SQify", "first", "xs", "xs.append(x := xs[0])\n    return x")
                    add(f"{name}_{leaf}_ = inside({above})")
                    add(f"{name}_{leaf} = first({name}_{leaf}_)")
                else:
                    function("SQify", f"{body}1", "x", BODIES[body].replace("sum(more)", "0"))
                    add(f"{name}_{leaf} = {body}1({above})")
                grown.append(f"{name}_{leaf}")
            numbers += grown
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
    """All visible effects of a run.

    Attributes:
        tokens: by instance and port, those that wait at the end, with their numbers and values.
        loads: how much of cores and links was used.
    """

    tokens: dict[Any, Any]
    loads: list[Any]

    def __init__(self, outputs: list[str], printed: str, errors: list[Any], counters: Any, waiting: Any, fired: Any):
        self.seen = (outputs, printed, errors, counters, waiting, fired)


def run(
    graph: TTGraph,
    accelerated: bool,
    until: int = 70,
    delay: int = 0,
    contexts: tuple[int, ...] = (0,),
    bound: int = 1_000_000,
    slices: int = 1,
    watch: Any = None,
    apart: bool = False,
    deployment: DeploymentFile | None = None,
) -> Ran:
    """Simulate `graph`; each context starts at its tick. `watch(manager)` may set callbacks.

    `accelerated`: with the accelerator; `apart`: it makes no plan of the whole, but one of each part.
    """
    with pytest.MonkeyPatch.context() as patch:
        if apart:
            patch.setattr(loops, "Plan", no_plan)
        return _run(graph, accelerated, until, delay, contexts, bound, slices, watch, deployment)


def no_plan(*what: Any) -> Any:
    """Stands in for `Plan` where there is to be none of the whole."""
    raise TooLong


def _run(
    graph: TTGraph,
    accelerated: bool,
    until: int,
    delay: int,
    contexts: tuple[int, ...],
    bound: int,
    slices: int,
    watch: Any,
    deployment: DeploymentFile | None,
) -> Ran:
    env = simpy.Environment()
    names = sorted({name for sq in graph.sqs for spec in sq.constraints for name in spec.names})
    ensembles = [TTEnsemble(None, name) for name in names]
    manager = TTRuntimeManagerSim(None, ensembles, env, network_delay=delay, deployment=deployment)
    if not accelerated:
        manager.simulation.accelerator = manager.simulation.agenda.ahead = None
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = bound
    outputs: list[str] = []
    errors: list[Any] = []
    manager.on_output(lambda token: outputs.append(json_line(token.log_row())), notes=True)
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
    ran = Ran(
        outputs, out.getvalue() + "|" + err.getvalue(), errors,
        _told(manager.counters, graph), _told(manager.waiting, graph), fired,
    )  # fmt: skip
    ran.tokens = {
        (name, number, sq): [[(*token[:3], repr(token[3])) for token in port.tokens] for port in ports_of(sync)]
        for name, site in manager.simulation.sites.items()
        for (_, number), context in site.host.contexts.items()
        for sq, sync in context.syncs.items()
    }
    ran.loads = [] if deployment is None else manager.simulation.timing.loads(until)
    return ran


def _told(ask: Any, graph: TTGraph) -> Any:
    """What the manager tells of a graph; that there is none, if it was stopped."""
    try:
        return ask(graph)
    except TTRuntimeError as error:
        return str(error)


def same(graph: TTGraph, **how: Any) -> Ran:
    """Both ways; the visible effects are the same."""
    general, ours = run(graph, False, **how), run(graph, True, **how)
    for mine, expected in zip(ours.seen, general.seen, strict=True):
        assert mine == expected
    assert ours.tokens == general.tokens
    return ours


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the accelerator begin with the first instants."""
    monkeypatch.setattr(loops, "TICKS_BEFORE", 1)
    monkeypatch.setattr(loops, "TICKS_EACH", 0)
    monkeypatch.setattr(loops, "LEAST", 1)
    monkeypatch.setattr(parts, "LEAST_EACH", 1)
    monkeypatch.setattr(loops, "TRIED", 1)
    monkeypatch.setattr(loops, "LONGEST_WAIT", 4)
    monkeypatch.setattr(periods, "AT_ONCE", 4)
    monkeypatch.setattr(loops, "AT_ONCE", 2)


@settings(max_examples=150)
@given(programs(), st.integers(10, 90), st.sampled_from([0, 20, 1_000_000]), st.integers(1, 3), st.booleans())
def test_a_plan_does_the_same_as_the_general_engine(
    text: str, until: int, bound: int, slices: int, apart: bool
) -> None:
    graph = compile_source(text, "net.py", "net")
    same(graph, until=until, bound=bound, slices=slices, apart=apart)


@settings(max_examples=80)
@given(
    programs(hosts=True),
    st.sampled_from([0, 0, 1, 7]),
    st.sampled_from([(0,), (0, 0), (0, 13), (3, 20, 21)]),
    st.booleans(),
)
def test_several_ensembles_and_contexts(text: str, delay: int, contexts: tuple[int, ...], apart: bool) -> None:
    graph = compile_source(text, "net.py", "net")
    same(graph, delay=delay, contexts=contexts, apart=apart)


@settings(max_examples=80)
@given(
    programs(hosts=True, rates=True),
    st.sampled_from([0, 1, 5, 30]),
    st.sampled_from([20, 1_000_000]),
    st.lists(st.tuples(st.integers(1, 290), st.sampled_from(["look", "set", "start", "stop"])), max_size=3),
    st.sampled_from([None, (0,), (0, 0), (0, 13)]),
)
def test_different_rates_and_events_of_the_user(
    text: str, delay: int, bound: int, events: list[tuple[int, str]], apart: tuple[int, ...] | None
) -> None:
    """A process of the user's looks at the counters, sets a grid, starts the graph once more or stops it.

    `apart`: each part has a plan of its own; when contexts start. None: one context, and a plan of the whole.
    """
    assume(all(what != "stop" or tick > max(apart or (0,)) for tick, what in events))  # what has ended starts no more
    graph = compile_source(text, "net.py", "net")
    streams = [sq.name for sq in graph.sqs if sq.trigger == "grid"]
    inputs = {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {}

    def both(accelerated: bool) -> tuple[Any, ...]:
        looked: list[Any] = []

        def watch(manager: TTRuntimeManagerSim) -> None:
            def act(what: str) -> None:
                if what == "look":
                    looked.append((manager.sim.now, _told(manager.counters, graph), _told(manager.waiting, graph)))
                elif manager.simulation.sites and any(g["name"] == "net" for g in manager.status()["graphs"]):
                    if what == "set":
                        manager.set_grid(graph, streams[0], period=5, phase=1)
                    elif what == "start":
                        manager.execute_graph(graph, inputs)
                    else:
                        manager.stop_graph(graph)

            for tick, what in events:
                manager.sim.timeout(tick).callbacks.append(lambda _, what=what: act(what))

        how: Any = {"apart": apart is not None, "contexts": apart or (0,)}
        ran = run(graph, accelerated, until=300, delay=delay, bound=bound, watch=watch, **how)
        return looked, *ran.seen[: 3 if any(what == "stop" for _, what in events) else 6]

    for mine, expected in zip(both(True), both(False), strict=True):
        assert mine == expected


@settings(max_examples=60)
@given(
    programs(hosts=True, rates=True),
    st.sampled_from([0, 0, 3]),
    st.sampled_from(["stop", "start", "set", "wait"]),
    st.integers(1, 40),
    st.sampled_from([None, (0,), (0, 0)]),
)
def test_a_listener_acts_at_once_among_different_rates(
    text: str, delay: int, what: str, nth: int, apart: tuple[int, ...] | None
) -> None:
    graph = compile_source(text, "net.py", "net")
    inputs = {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {}
    streams = [sq.name for sq in graph.sqs if sq.trigger == "grid"]

    def both(accelerated: bool) -> tuple[Any, ...]:
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
                    manager.set_grid(graph, streams[0], period=5, phase=0)
                else:
                    for delay in (0, 1, 7):
                        manager.sim.timeout(delay).callbacks.append(lambda _: now.append(("waited", manager.sim.now)))

            manager.on_output(act)
            manager.on_error(act)

        how: Any = {"apart": apart is not None, "contexts": apart or (0,)}
        ran = run(graph, accelerated, until=150, delay=delay, watch=watch, **how)
        return now, *ran.seen[: 3 if what == "stop" else 6]

    for mine, expected in zip(both(True), both(False), strict=True):
        assert mine == expected


TWO_WINDOWS = f"""{HEADER}
@STREAMify
def src(trigger):
    global sq_state
    n = sq_state['n'] = sq_state.get('n', 0) + 1
    return n

@SQify
def step(x):
    return x + 1

@GRAPHify
def main(trigger):
    start = READ_TTCLOCK(trigger)
    window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + 5))
    a = src(trigger, TTPeriod=2)
    b = step(a)
    c = step(src(window, TTPeriod=2))
    return a
"""
"""Two parts that are due at one tick; a listener that sets a grid there once made the second run twice."""


@settings(max_examples=120)
@given(programs(), st.sampled_from(["stop", "start", "set"]), st.integers(1, 12), st.booleans())
@example(TWO_WINDOWS, "set", 4, True)
@example(TWO_WINDOWS, "set", 5, True)
def test_a_listener_acts_at_once(text: str, what: str, nth: int, apart: bool) -> None:
    graph = compile_source(text, "net.py", "net")
    inputs = {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {}
    streams = [sq.name for sq in graph.sqs if sq.trigger == "grid"]

    def watch(manager: TTRuntimeManagerSim) -> None:
        told = 0

        def act(_: Any) -> None:
            nonlocal told
            told += 1
            if told == nth:
                if what == "stop":
                    manager.stop_graph(graph)
                elif what == "start":
                    manager.execute_graph(graph, inputs)
                else:
                    manager.set_grid(graph, streams[0], period=5, phase=0)

        manager.process.outputs.listeners.append(act)
        manager.on_error(act)

    compared = 3 if what == "stop" else 6
    ours = run(graph, True, watch=watch, apart=apart)
    assert ours.seen[:compared] == run(graph, False, watch=watch).seen[:compared]


STREAM = """\
@STREAMify
def src(trigger):
    global sq_state
    n = sq_state['n'] = sq_state.get('n', 0) + 1
    return n

@STREAMify
def other(trigger):
    return 10

@SQify
def step(x):
    return x + 1

@SQify
def odd(x):
    return x if x % 2 else TTEmpty()

@SQify
def fuse(a, b):
    global sq_state
    sq_state['sum'] = sq_state.get('sum', 0) + a
    return (a, b, sq_state['sum'])

@SQify
def show(x):
    print('shows', x)
    return x

@SQify
def fail(x):
    return 1 // (x % 3)

"""


def program(body: str, more: str = "") -> TTGraph:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return compile_source(f"{HEADER}\n{STREAM}\n{more}\n@GRAPHify\ndef main(trigger):\n{lines}\n", "prog.py", "prog")


def planned(graph: TTGraph, until: int) -> set[str]:
    """The names of the SQs that are planned over a common period."""
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {})
    manager.simulation.run(until)
    plan = manager.simulation.accelerator.plan
    return set() if plan is None else {part.sq.name for part in plan.parts}


FUSION = """
a = src(trigger, TTPeriod=10)
b = other(trigger, TTPeriod=10)
return fuse(odd(a), b)
"""


def test_a_listener_and_a_copy_are_outside_the_bodies() -> None:
    more = """
from ticktalk import register_codec
class Loud:
    pass

def copied(value):
    print('copied')

register_codec(Loud, copied, lambda parts: Loud())

@SQify
def loud(x):
    return Loud()

@SQify
def hear(x):
    print('hears')
    return 1
"""
    graph = program(
        """
a = src(trigger, TTPeriod=10)
first = hear(loud(a))
return show(a), first, show(fail(a)), show(step(a))
""",
        more,
    )

    def watch(manager: TTRuntimeManagerSim) -> None:
        manager.process.outputs.listeners.append(lambda token: print("output of", token.sq))
        manager.on_error(lambda error: print("error of", error.sq))

    printed = same(graph, watch=watch).seen[1]
    out, _, err = printed.partition("|")
    assert "copied\n" in out and "output of TUPLE-1\n" in out and "error of fail-1\n" in out
    assert {line.partition(" ")[0] for line in err.splitlines()} == {"[show-1]", "[show-2]", "[show-3]", "[hear-1]"}


def test_an_error_shows_the_lines_of_the_program() -> None:
    graph = program("return fail(src(trigger, TTPeriod=10)) + show(other(trigger, TTPeriod=10))")
    errors = same(graph).seen[2]
    assert [error.sq for error in errors] == ["fail-1"] * 2
    assert errors[0].traceback.splitlines()[1:-1] == [
        f'  File "prog.py", line {graph.sq("fail-1").line}, in prog',
        f'  File "prog.py", line {errors[0].line}, in fail',
        "    return 1 // (x % 3)",
        "           ~~^^~~~~~~~~",
    ]


@pytest.mark.parametrize("end", ["output", "error"])
def test_a_listener_can_end_the_context_in_the_middle_of_an_instant(end: str) -> None:
    graph = program(
        """
a = src(trigger, TTPeriod=10)
return show(a), show(fail(a)), show(step(a)), step(show(a))
"""
    )

    def watch(manager: TTRuntimeManagerSim) -> None:
        def stop(token: Any) -> None:
            if manager.simulation.now() == 30:
                manager.stop_graph(graph)

        if end == "output":
            manager.process.outputs.listeners.append(stop)
        else:
            manager.on_error(stop)

    def seen(accelerated: bool) -> Any:
        return run(graph, accelerated, watch=watch).seen[:3]

    assert seen(True) == seen(False)


ADD = """
@SQify
def add(a, b):
    return a + b
"""

STARTS = """
a{n} = src(trigger, TTPeriod=10, TTPhase={n})
first{n} = show(a{n})
b{n} = show(a{n})
c{n} = show(step(add(odd(b{n}), fail(a{n}))))
d{n} = show(step(step(b{n})))
"""


@pytest.mark.parametrize(("streams", "apart"), [(1, False), (2, True)])
@pytest.mark.parametrize("contexts", [(0,), (0, 3)])
@pytest.mark.parametrize("which", ["output", "error"])
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_a_listener_can_start_another_context_in_the_middle_of_an_instant(
    which: str, nth: int, contexts: tuple[int, ...], streams: int, apart: bool
) -> None:
    lines = [STARTS.format(n=number) for number in range(streams)]
    body = "".join(lines) + "begun = show(step(show(READ_TTCLOCK(trigger))))\nreturn begun"
    graph = program(body, ADD)

    def watch(manager: TTRuntimeManagerSim) -> None:
        told = 0

        def start(_: Any) -> None:
            nonlocal told
            told += 1
            if told == nth:
                manager.execute_graph(graph, {})

        if which == "output":
            manager.process.outputs.listeners.append(start)
        else:
            manager.on_error(start)

    printed = same(graph, watch=watch, contexts=contexts, until=150, apart=apart).seen[1]
    assert printed.count(f"[show-{streams * 4 + 2}]") == len(contexts) + 1


def test_two_tokens_at_one_tick_go_through_a_plan_side_by_side() -> None:
    graph = program(
        """
both = MERGE(src(trigger, TTPeriod=10), other(trigger, TTPeriod=15))
return show(step(show(both)))
"""
    )
    assert planned(graph, 300) >= {"MERGE-1", "show-1", "step-1", "show-2"}
    printed = same(graph, until=31).seen[1].partition("|")[2].splitlines()
    assert [line.split()[0] for line in printed[-4:]] == ["[show-1]", "[show-1]", "[show-2]", "[show-2]"]  # at 30


def test_an_instant_at_the_end_of_a_planned_stretch_is_not_lost() -> None:
    graph = program("return never(src(trigger, TTPeriod=2))", "@SQify\ndef never(x):\n    return TTEmpty()\n")
    fired = same(graph, contexts=(0, 0), until=140, slices=2).seen[5]
    assert [fired["runtime-manager", number, "src-1"] for number in (1, 2)] == [69, 69]  # 2, 4, ... 138


def test_a_window_that_ends_within_a_planned_stretch() -> None:
    graph = program(
        """
start = READ_TTCLOCK(trigger)
window = COPY_TTTIME(trigger, VALUES_TO_TTTIME(start, start + 5))
return never(src(window, TTPeriod=2))
""",
        "@SQify\ndef never(x):\n    return TTEmpty()\n",
    )
    fired = same(graph, contexts=(0, 0)).seen[5]
    assert [fired["runtime-manager", number, "src-1"] for number in (1, 2)] == [2, 2]  # 2, 4


def test_streams_that_share_code_keep_their_states_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    more = """
@SQify
def divided(x):
    return 60 // (x % 16)

@SQify
def tell(x):
    print(x)
    return TTEmpty()
"""
    periods = [7, 9, 10, 12]
    graph = program("\n".join(f"tell(divided(src(trigger, TTPeriod={period})))" for period in periods), more)
    written: dict[str, list[str]] = {}
    bind = handover.Handover.bind
    monkeypatch.setattr(
        handover.Handover,
        "bind",
        lambda self, trace: bind(self, trace) or written.setdefault(trace.code.text, []).append(trace.parts[0].sq.name),
    )
    _, printed, errors, _, _, _ = same(graph, until=400, apart=True).seen
    assert sorted(set(*written.values())) == ["src-1", "src-2", "src-3", "src-4"]
    told = printed.partition("|")[2].splitlines()
    for number, period in enumerate(periods, 1):
        samples = range(1, 399 // period + 1)
        mine = [line for line in told if line.startswith(f"[tell-{number}] ")]
        assert mine == [f"[tell-{number}] {60 // (n % 16)}" for n in samples if n % 16]
        assert [error.sq for error in errors].count(f"divided-{number}") == len(samples) // 16


@pytest.mark.parametrize("at", range(181, 201, 3))
def test_a_part_is_not_ahead_of_a_deadline_that_is_to_pass(at: int) -> None:
    """Nothing fires when a deadline passes that was met, or has no plan B."""
    body = """
tag, a = src(trigger, TTPeriod=20, TTDataIntervalWidth=4)
b = src(trigger, TTPeriod=7)
TTFinishByOtherwise(a, TTTimeDeadline=tag + 6)
"""
    graph = program(body)
    looked: list[Any] = []

    def watch(manager: TTRuntimeManagerSim) -> None:
        def look(_: Any) -> None:
            looked.append((manager.simulation.now(), manager.counters(graph), manager.waiting(graph)))

        manager.sim.timeout(at).callbacks.append(look)

    same(graph, until=300, watch=watch, apart=True)
    general, ours = looked
    assert ours == general
    assert ours[0] == at


def test_parts_are_planned_once_where_something_else_is_due_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "LEAST_EACH", 6)
    graph = program("step(src(trigger, TTPeriod=7))\nstep(src(trigger, TTPeriod=9))")
    planned: list[int] = []
    plan = parts.Apart.plan
    monkeypatch.setattr(parts.Apart, "plan", lambda self, place, due: planned.append(place) or plan(self, place, due))

    def watch(manager: TTRuntimeManagerSim) -> None:
        def often() -> Any:
            while True:
                yield manager.sim.timeout(30)

        manager.sim.process(often())

    same(graph, until=3000, watch=watch, apart=True)
    assert planned == [0, 1]


def test_parts_leave_a_tick_at_which_nothing_fires_to_the_general_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that was met passes at 900; no body runs between that and the user's next event, at 999."""
    monkeypatch.setattr(parts, "LEAST_EACH", 6)
    tried, run_parts = Counter[int](), parts.Apart.run

    def counted(self: parts.Apart, handover: Any, tick: int, limit: float) -> int:
        tried[tick] += 1
        assert tried[tick] < 100, "it does not go on"
        return run_parts(self, handover, tick, limit)

    monkeypatch.setattr(parts.Apart, "run", counted)
    body = """
tag, a = src(trigger, TTPeriod=1000, TTDataIntervalWidth=4)
b = src(trigger, TTPeriod=7)
TTFinishByOtherwise(a, TTTimeDeadline=tag + 900)
"""

    def watch(manager: TTRuntimeManagerSim) -> None:
        for tick in range(10_000):
            if tick % 1000 in (890, 999):
                manager.sim.timeout(tick)

    same(program(body), until=10_000, watch=watch, apart=True)


def test_tokens_of_streams_that_are_planned_ahead_arrive_at_their_tick() -> None:
    body = """
a = odd(src(trigger, TTPeriod=7))
b = odd(src(trigger, TTPeriod=10))
return READ_TTCLOCK(MERGE(a, b))
"""
    outputs = same(program(body), until=400).seen[0]
    told = sorted([*range(7, 400, 14), *range(10, 400, 20)])
    assert [json.loads(line)["value"] for line in outputs] == told


def test_counters_can_be_read_after_an_interrupt_from_the_keyboard() -> None:
    more = """
import signal
@SQify
def interrupted(x):
    if x == 3:
        signal.default_int_handler(2, None)
    return x
"""
    graph = program("return step(interrupted(src(trigger, TTPeriod=10)))", more)
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    values: list[int] = []
    manager.process.outputs.listeners.append(lambda token: values.append(token.value))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {})
    with pytest.raises(KeyboardInterrupt):
        manager.simulation.run(100)
    assert values == [2, 3]
    (context,) = manager.ensemble.host.contexts.values()
    assert context.counts == {} and context.executes["src-1"].fired >= 2


CHANGES = [(33, "all", 4), (47, "src-1", 6), (61, "other-1", 6), (75, "all", 20)]


@pytest.mark.parametrize("how", ["set", "look anew"])
def test_a_period_that_is_set_while_a_plan_runs(how: str) -> None:
    graph = program(FUSION)

    def seen(accelerated: bool) -> Any:
        manager = TTRuntimeManagerSim(None, [], simpy.Environment())
        if not accelerated:
            manager.simulation.accelerator = manager.simulation.agenda.ahead = None
        outputs: list[str] = []
        manager.process.outputs.listeners.append(lambda token: outputs.append(json_line(token.log_row())))
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph, {})
        (context,) = manager.ensemble.host.contexts.values()
        for tick, which, period in CHANGES:
            manager.simulation.run(tick)
            if how == "look anew":
                context.decelerate()
                manager.simulation.run(tick + 4)
                context.accelerate()
                continue
            for name in ("src-1", "other-1") if which == "all" else (which,):
                context.set_grid(name, period, 0, period // 2, tick - 1)
        manager.simulation.run(200)
        return outputs, manager.counters(graph), manager.waiting(graph), context.executes["fuse-1"].fired

    assert seen(True) == seen(False)


def test_a_window_that_comes_anew_while_a_plan_runs() -> None:
    graph = program(
        """
start = READ_TTCLOCK(trigger)
slow = VALUES_TO_TTTIME(start, start + 45)
data = CONST(slow, const=1)
late = TTFinishByOtherwise(SET_TIMEOUT(slow), TTTimeDeadline=start + 30, TTPlanB=later())
again = MERGE(COPY_TTTIME(data, slow), late)
a = src(again, TTPeriod=10)
b = other(again, TTPeriod=10)
return fuse(odd(a), b), step(a)
""",
        "@SQify\ndef later():\n    return 2\n",
    )
    same(graph, until=120)


def test_a_chain_longer_than_one_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "LONGEST_WAIT", NEVER)
    chain = "".join(f"b{number + 1} = step(b{number})\n" for number in range(2500))
    graph = program(f"b0 = src(trigger, TTPeriod=10)\n{chain}return b2500")
    assert len(planned(graph, 300)) == 2501
    outputs, _, _, counters, _, fired = same(graph, until=42).seen
    assert [json.loads(line)["value"] for line in outputs] == [2501, 2502, 2503, 2504]
    assert not counters and len(fired) == 2501 and set(fired.values()) == {4}


def test_a_chain_of_many_sqs_of_two_inputs() -> None:
    chain = "".join(f"b{number + 1} = add(b{number}, a)\n" for number in range(500))
    graph = program(f"a = src(trigger, TTPeriod=10)\nb0 = odd(a)\n{chain}return b500", ADD)
    outputs, _, _, counters, waiting, fired = same(graph, until=42).seen
    assert [json.loads(line)["value"] for line in outputs] == [501, 3 * 501]  # at 10 and 30
    assert not counters and set(fired.values()) == {2, 4}
    assert waiting == {f"add-{number}": {"b": 2} for number in range(1, 501)}


@pytest.mark.parametrize("bound", [40, 300, 100_000])
def test_tokens_that_nobody_meets_wait_as_on_the_general_engine(bound: int) -> None:
    graph = program("a = src(trigger, TTPeriod=10)\nb = src(trigger, TTPeriod=30)\nreturn a + b")
    ran = same(graph, until=2000, bound=bound)
    left = [tokens for ports in ran.tokens.values() for tokens in ports if tokens]
    # Two of three samples of `a` meet none of `b`.
    assert len(left) == 1 and len(left[0]) == pytest.approx(min(bound, 2000) // 15, abs=2)


def test_sums_that_are_under_way_for_many_periods_are_planned() -> None:
    graph = program("with TTConstraint(name='a'):\n    a = src(trigger, TTPeriod=10)\n    b = a + 1\nreturn b")
    managers: list[TTRuntimeManagerSim] = []
    assert same(graph, delay=200, until=2000, watch=managers.append).seen[0]
    assert managers[1].simulation.accelerator.plan is not None
