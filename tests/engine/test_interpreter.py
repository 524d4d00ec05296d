"""Random programs on one to three ensembles, with and without generated code, against the slow interpreter."""

from __future__ import annotations

import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreter import BODIES, Interpreter, Node

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source

UNTIL = 120


@st.composite
def programs(draw: st.DrawFn) -> tuple[list[Node], str]:
    nodes: list[Node] = []
    lines: list[str] = []
    hosts = draw(st.sampled_from([["p"], ["p", "q"], ["p", "q", "r"]]))
    grid = st.integers(2, 14)

    def add(line: str, *made: Node) -> None:
        host = draw(st.sampled_from(hosts))
        for node in made:
            node.host = host
        nodes.extend(made)
        lines.extend([f"with TTConstraint(name='{host}'):", f"    {line}"])

    for number in range(draw(st.integers(0, 2))):
        start = draw(st.integers(-10, 40))
        node = Node(f"w{number}", "setting", [], start=start, stop=start + draw(st.integers(1, 70)))
        call = f"COPY_TTTIME(3, VALUES_TO_TTTIME({node.start}, {node.stop}), TTName='{node.name}')"
        add(f"{node.name} = {call}", node)
    settings_ = [node.name for node in nodes]
    streams: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        windows = draw(st.lists(st.sampled_from(["a", *settings_, *streams]), min_size=1, max_size=2))
        node = Node(f"s{number}", "stream" if len(windows) == 1 else "stream_2", windows, period=draw(grid))
        node.phase, node.width = draw(st.integers(0, node.period - 1)), draw(st.integers(1, 2 * node.period))
        node.first_delay = draw(st.sampled_from([0, 0, 0, 7, 30]))
        text = f"TTPeriod={node.period}, TTPhase={node.phase}, TTDataIntervalWidth={node.width}, TTName='{node.name}'"
        text += f", TTFirstInstanceDelay={node.first_delay}" if node.first_delay else ""
        add(f"{node.name}t, {node.name} = {node.kind}({', '.join(windows)}, {text})", node)
        streams.append(node.name)
    tags = list(streams)
    for number in range(draw(st.integers(1, 6))):
        name = f"n{number}"
        kinds = ["some", "two", "two", "three", "total", "total_2", "MERGE", "shift", "RESAMPLE", *["deadline"] * 4]
        kind = draw(st.sampled_from(kinds))
        count = {"two": 2, "three": 3, "total_2": 2, "MERGE": 2}.get(kind, 1)
        either = st.sampled_from(streams if kind == "MERGE" else [*streams, *settings_])
        inputs = [draw(st.sampled_from(streams)), *draw(st.lists(either, min_size=count - 1, max_size=count - 1))]
        node = Node(name, kind, draw(st.permutations(inputs)))
        if kind == "shift":
            node.by = draw(st.integers(-30, 30))
            add(f"{name} = ADD_TIME_DELAY({inputs[0]}, delay={node.by}, TTName='{name}')", node)
        elif kind == "RESAMPLE":
            node.period, node.gap = draw(grid), draw(st.sampled_from([0, 0, 5, 20]))
            node.phase = draw(st.integers(0, node.period - 1))
            text = f"TTPeriod={node.period}, TTPhase={node.phase}" + (f", TTMaxGap={node.gap}" if node.gap else "")
            add(f"{name} = RESAMPLE({inputs[0]}, {text}, TTName='{name}')", node)
        elif kind == "deadline":
            tag = draw(st.sampled_from(tags))
            due = Node(f"{name}d", "due", [f"{tag}.tag"], by=draw(st.integers(-3, 30)))
            add(f"{due.name} = ADD({tag}t, {due.by}, TTName='{due.name}')", due)
            node.inputs.append(due.name)
            text, made = "", [node]
            asked = draw(st.none() | st.lists(st.sampled_from([*streams, *settings_]), max_size=2))
            if asked is not None:
                node.goes_on = draw(st.booleans())
                node.plan_b = Node(f"{name}p", ["stand_in", "stand_in_1", "stand_in_2"][len(asked)], asked)
                given_ = ", ".join([*asked, f"TTName='{name}p'"])
                text = f"TTPlanB={node.plan_b.kind}({given_}), TTWillContinue={node.goes_on}, "
                made.append(node.plan_b)
            call = f"TTFinishByOtherwise({inputs[0]}, TTTimeDeadline={due.name}, {text}TTName='{name}')"
            add(f"{name} = {call}", *made)
        else:
            add(f"{name} = {kind}({', '.join(node.inputs)}, TTName='{name}')", node)
        streams.append(name)
    return nodes, BODIES + "@GRAPHify\ndef main(a):\n" + "".join(f"    {line}\n" for line in lines)


def simulate(graph: TTGraph, bound: int, delay: int, accelerated: bool) -> tuple[list[tuple], dict]:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in "pqr"], env, network_delay=delay)
    if not accelerated:
        manager.simulation.accelerator = None
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = bound
    tokens: list[tuple] = []
    manager.process.outputs.listeners.append(lambda t: tokens.append((t.sq, t.value, t.start, t.stop)))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, inputs={"a": 1})
    manager.simulation.run(UNTIL)
    return tokens, manager.counters(graph)


@settings(max_examples=150)
@given(programs(), st.sampled_from([15, 40, 1000]), st.sampled_from([0, 1, 3, 10, 25]), st.booleans())
def test_programs_do_what_the_page_says(
    program: tuple[list[Node], str], bound: int, delay: int, accelerated: bool
) -> None:
    nodes, text = program
    graph = compile_source(text, "prog.py", "prog")
    ranks = {sq.name: (sq.rank, index) for index, sq in enumerate(graph.sqs)}
    for node in nodes:  # a tag that nobody consumes is not sent
        node.tagged = any(f"{node.name}.tag" in other.inputs for other in nodes)
    oracle = Interpreter(nodes, ranks, bound, delay)
    oracle.run(UNTIL)
    outputs, counts = simulate(graph, bound, delay, accelerated)
    assert outputs == [output[:4] for output in oracle.outputs if output[4] + delay < UNTIL]
    assert counts == oracle.counts
