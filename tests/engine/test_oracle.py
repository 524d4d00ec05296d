"""The engine against the oracle, on random graphs of streams, diamonds and bodies that send nothing."""

from __future__ import annotations

from math import ceil

import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import Node, run

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.graph.graph import TTFunction, TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTConstraintSpec, TTDestination, TTInput, TTPort

BOUND = 40

LONE = """\
def lone(value, interval, missing):
    return [value, interval.start_tick, interval.stop_tick, list(missing)]
"""


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    nodes = []
    for index in range(draw(st.integers(1, 3))):
        period = draw(st.integers(1, 12) | st.fractions(1, 12, max_denominator=7))
        nodes.append(
            Node(
                f"s{index}-1",
                period=period,
                phase=draw(st.integers(0, ceil(period) - 1)),
                width=draw(st.integers(1, 30)),
                drop=draw(st.sampled_from([0, 0, 2, 3])),
                salt=index + 1,
            )
        )
    for index in range(draw(st.integers(1, 6))):
        inputs = draw(st.lists(st.integers(0, len(nodes) - 1), min_size=1, max_size=3))
        nodes.append(
            Node(
                f"f{index}-1",
                inputs=inputs,
                drop=draw(st.sampled_from([0, 0, 0, 2, 5])),
                stateful=draw(st.booleans()),
                salt=100 + index,
                handled=draw(st.booleans()),
            )
        )
    return nodes


def as_graph(nodes: list[Node], window_end: int, hosts: list[str | None]) -> TTGraph:
    """The same network as a compiled program would be."""
    sqs = [
        TTSQ("READ_TTCLOCK-1", "READ_TTCLOCK", ports=[TTPort("trigger")], instruction={"delay": 0}),
        TTSQ("ADD-1", "ADD", ports=[TTPort("0"), TTPort("1", constant=[window_end])], rank=1),
        TTSQ("VALUES_TO_TTTIME-1", "VALUES_TO_TTTIME", ports=[TTPort("a"), TTPort("b")], rank=2),
    ]
    sqs[0].arcs = [TTArc(to=[TTDestination("ADD-1", 0), TTDestination("VALUES_TO_TTTIME-1", 0)])]
    sqs[1].arcs = [TTArc(to=[TTDestination("VALUES_TO_TTTIME-1", 1)])]
    functions = {}
    window = TTArc()
    sqs[2].arcs = [window]
    made: list[TTSQ] = []
    for index, node in enumerate(nodes):
        function = node.name.partition("-")[0]
        names = [f"p{i}" for i in range(len(node.inputs))]
        lines = [f"def {function}({', '.join(names) or 'trigger'}):"]
        if node.stateful or node.period:
            lines += ["    global sq_state", "    n = sq_state['n'] = sq_state.get('n', 0) + 1"]
        else:
            lines += ["    n = 0"]
        lines += [f"    v = {node.salt} + n"]
        lines += [f"    v = (v * 31 + {name} + 7) % 1000003" for name in names]
        if node.drop:
            lines += ["    from ticktalk import TTEmpty", f"    if v % {node.drop} == 0:", "        return TTEmpty()"]
        lines += ["    return v"]
        functions[function] = TTFunction(function, 1, "\n".join(lines) + "\n")
        sq = TTSQ(node.name, function, body=True, stream=True, stateful=node.stateful, arcs=[TTArc()])
        if node.period:
            sq.trigger, sq.phase, sq.width = "grid", node.phase, node.width
            sq.period, sq.per = node.period.numerator, node.period.denominator
            sq.ports = [TTPort("trigger", sticky=True)]
            window.to.append(TTDestination(node.name, 0))
            sq.rank = 3
        else:
            sq.order = "forward" if node.stateful else "any"
            sq.ports = [TTPort(name) for name in names]
            for port, source in enumerate(node.inputs):
                made[source].arcs[0].to.append(TTDestination(node.name, port))
            sq.rank = 1 + max(made[source].rank for source in node.inputs)
        if hosts[index % len(hosts)]:
            sq.constraints = [TTConstraintSpec(names=[hosts[index % len(hosts)]])]
        made.append(sq)
    for sq in made:
        sq.arcs[0].output = not sq.arcs[0].to
    handlers = []
    for sq, node in zip(list(made), nodes, strict=True):
        if node.handled:
            name = f"lone{node.name}"
            handlers.append(TTSQ(name, "lone", body=True, spread=True, stream=True, rank=sq.rank + 1))
            handlers[-1].ports, handlers[-1].arcs = [TTPort("unmatched")], [TTArc(output=True)]
            handlers[-1].constraints = sq.constraints
            sq.arcs.append(TTArc(kind="unmatched", to=[TTDestination(name, 0)]))
    functions["lone"] = TTFunction("lone", 1, LONE)
    trigger = TTInput("trigger", [TTDestination("READ_TTCLOCK-1", 0)])
    return TTGraph("net", "net.py", [trigger], sqs + made + handlers, [], functions)


def simulate(nodes: list[Node], window_end: int, until: int, hosts: list[str | None]) -> tuple[list[tuple], dict]:
    env = simpy.Environment()
    names = sorted({host for host in hosts if host})
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in names], env)
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = BOUND
    graph = as_graph(nodes, window_end, hosts)
    tokens: list[tuple] = []
    manager.process.outputs.listeners.append(lambda t: tokens.append((t.sq, t.value, t.start, t.stop)))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    assert not manager.errors
    return tokens, manager.counters(graph)


DROPPED_PAIR = [
    Node("s0-1", period=1, width=1, drop=2, salt=1),
    Node("s1-1", period=3, width=10, salt=2),
    Node("f0-1", inputs=[0, 1], stateful=True, salt=100, handled=True),
]
"""A handler gets the tokens of a set that goes back in time, in the order of the ports."""


@example(DROPPED_PAIR, 9)
@settings(max_examples=150)
@given(networks(), st.integers(1, 60))
def test_engine_agrees_with_the_oracle(nodes: list[Node], window_end: int) -> None:
    expected, counts = run(nodes, window_end, 70, BOUND)
    outputs, counted = simulate(nodes, window_end, 70, [None])
    assert outputs == expected
    assert counted == counts


@settings(max_examples=50)
@given(networks(), st.integers(1, 60), st.lists(st.sampled_from([None, "a", "b"]), min_size=1, max_size=4))
def test_each_output_is_the_same_wherever_a_line_of_sqs_runs(
    nodes: list[Node], window_end: int, hosts: list[str | None]
) -> None:
    # Where every SQ has one input, nothing hangs on the order in which tokens of two arcs arrive.
    for node in nodes:
        node.inputs = node.inputs[:1]
    alone, _ = simulate(nodes, window_end, 70, [None])
    spread, _ = simulate(nodes, window_end, 70, hosts)
    assert sorted(alone) == sorted(spread)
