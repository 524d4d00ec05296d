"""A tap notes each token, set, firing, loss and deadline, and changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import simpy
import test_plans
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Node, body, run
from test_oracle import BOUND, as_graph, networks
from test_plans import programs

from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.tapping import Tapped
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.records import (
    AnyRecord,
    Counted,
    Deadline,
    Decided,
    Fired,
    Received,
    Records,
    Sent,
    TokenLeft,
    Turn,
)
from ticktalk.values.codec import decode_value


def tapped(manager: TTRuntimeManagerSim) -> dict[str, list[AnyRecord]]:
    """The records of each ensemble, of contexts that start from now on."""
    records: dict[str, list[AnyRecord]] = {}
    for name, site in manager.simulation.sites.items():
        noted = records[name] = []
        site.host.tap = lambda start, noted=noted: Tapped(noted.append, manager.simulation.now)
    return records


def test_without_a_tap_nothing_is_wrapped_and_the_code_is_the_same() -> None:
    """Also where another simulation of the process is recorded."""
    codes, parts = [], []
    for tap in (False, True, False):
        manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a")], simpy.Environment())
        if tap:
            tapped(manager)
        main = "@GRAPHify\ndef main(trigger):\n    return half(count(trigger, TTPeriod=1000))\n"
        text = HEAD + "@SQify\ndef half(x):\n    return x / 2\n" + main
        graph = compile_source(text, "prog.py", "prog")
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        manager.simulation.run(100_000)
        accelerator: Any = manager.simulation.accelerator
        codes.append(None if accelerator.plan is None else accelerator.plan.main.code.text)
        (context,) = manager.simulation.sites["a"].host.contexts.values()  # type: ignore[union-attr]
        wrapped = {"receive", "step", "along", "publish_together", "meet", "miss"}
        of_context = [*context.syncs.values(), *context.forwards.values()]
        parts.append({name for part in of_context for name in vars(part)} & wrapped)
        assert any({"tap", "watch"} & set(chain.stages) for chain in context.chains.values()) == tap
    assert codes[0] is not None and codes[0] == codes[2] and codes[1] is None
    assert "tap" not in codes[0] and "note" not in codes[0]
    assert parts[0] == parts[2] == {"publish_together"} < parts[1]


def of_kind(records: list[AnyRecord], kind: type, sq: str = "") -> list[Any]:
    return [each for each in records if isinstance(each, kind) and sq in ("", each.sq)]


def recorded(graph: TTGraph, until: int, hosts: list[str], bound: int | None = None, delay: int = 0) -> Any:
    """The outputs of a run, and all records in the order in which they were made."""
    manager = TTRuntimeManagerSim(
        None, [TTEnsemble(None, name) for name in hosts], simpy.Environment(), network_delay=delay
    )
    records: list[AnyRecord] = []
    for site in manager.simulation.sites.values():
        site.host.tap = lambda start: Tapped(records.append, manager.simulation.now)
        site.host.eviction_bound = bound or site.host.eviction_bound
    outputs: list[tuple[Any, ...]] = []
    manager.process.outputs.listeners.append(lambda t: outputs.append((t.sq, t.value, t.start, t.stop)))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    return outputs, records, manager


@settings(max_examples=60)
@given(networks(), st.integers(1, 60), st.booleans())
def test_the_noted_sets_are_those_of_the_oracle(nodes: list[Node], window_end: int, alone: bool) -> None:
    """On several ensembles what comes from others goes first, so sets may be others: they fit together all the same."""
    expected, counts = run(nodes, window_end, 70, BOUND)
    hosts = [None] if alone else [None, "a", "b"]
    outputs, records, manager = recorded(as_graph(nodes, window_end, hosts), 70, ["a", "b"], BOUND)
    if alone:
        assert outputs == expected
    else:
        counts = manager.counters("net")
    sent = {(each.arc, each.number): each for each in of_kind(records, Sent)}
    received = {(each.sq, each.number): each for each in of_kind(records, Received)}
    for node in nodes:
        firings = 0
        results = iter(of_kind(records, Sent, node.name))
        for decided, fired in zip(
            of_kind(records, Decided, node.name), of_kind(records, Fired, node.name), strict=True
        ):
            firings += 1
            tokens = [received[node.name, number] for number in decided.tokens]
            values = [decode_value(sent[token.arc, token.token].value) for token in tokens] if node.inputs else []
            value = body(node, values, firings)
            if fired.outcome == "nothing":
                assert node.drop and value % node.drop == 0
                continue
            result = next(each for each in results if each.arc == f"{node.name}/0")
            assert (decode_value(result.value), result.start, result.stop) == (value, decided.start, decided.stop)
            if node.inputs:
                assert decided.start == max(token.start for token in tokens)
                assert decided.stop == min(token.stop for token in tokens)
        kinds: dict[str, int] = {}
        for each in of_kind(records, Counted, node.name):
            kinds[each.kind] = kinds.get(each.kind, 0) + each.count
        assert kinds == counts.get(node.name, {})
        left = [each.why for each in of_kind(records, TokenLeft, node.name)]
        assert left.count("evicted") == kinds.get("evicted", 0)
        assert left.count("out_of_order") == kinds.get("out_of_order", 0) * len(node.inputs)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    test_plans.at_once(monkeypatch)


@settings(max_examples=50)
@given(programs(hosts=True, rates=True), st.sampled_from([0, 1, 5]), st.sampled_from([20, 1_000_000]))
def test_a_tap_changes_nothing(text: str, delay: int, bound: int) -> None:
    graph = compile_source(text, "net.py", "net")
    without = test_plans.run(graph, False, delay=delay, bound=bound)
    with_tap = test_plans.run(graph, False, delay=delay, bound=bound, watch=tapped)
    assert with_tap.seen == without.seen


DEADLINES = """
from ticktalk import *
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def slow(x):
    return x
@SQify
def late():
    return -1
@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        with TTConstraint(name="near"):
            tag, x = src(trigger, TTClock=root, TTPeriod=100)
            due = tag + 30
        with TTConstraint(name="far"):
            y = slow(x)
        with TTConstraint(name="near"):
            return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
"""


def test_deadlines_are_set_met_and_missed() -> None:
    graph = compile_source(DEADLINES, "prog.py", "prog")
    for delay, how in ((10, "met"), (20, "missed")):
        outputs, records, _ = recorded(graph, 260, ["far", "near"], delay=delay)
        told = of_kind(records, Deadline)
        assert [(each.tick, each.start, each.stop, each.due, each.how) for each in told] == [
            (100, 75, 125, 130, "set"),
            (120 if how == "met" else 130, 75, 125, 130, how),
            (200, 175, 225, 230, "set"),
            (220 if how == "met" else 230, 175, 225, 230, how),
        ]
        late = [(each.tick, each.why, each.missing) for each in of_kind(records, TokenLeft)]
        assert late == ([] if how == "met" else [(140, "late", ["deadline"]), (240, "late", ["deadline"])])
        assert [value for _, value, _, _ in outputs] == ([1, 2] if how == "met" else [-1, -1])
        met = [each.number for each in told if each.how == "met"]
        data = {each.number: each.arc for each in of_kind(records, Received, told[0].sq)}
        assert {data[number] for number in met} <= {"slow-1/0"} and len(met) == (2 if how == "met" else 0)


def test_a_busy_single_run_tells_what_it_drops() -> None:
    once = "return TTSingleRunTimeout(heavy(x), TTTimeout=1000)"
    text = DEADLINES.replace("return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())", once)
    text = text.replace("@SQify\ndef late():\n    return -1", "@SQify\ndef heavy(x):\n    return x")
    costs = parse_deployment("ensembles:\n- {name: far}\n- {name: near}\ncosts:\n  heavy: {time: 250us}\n")
    ensembles = [TTEnsemble(None, name) for name in ("far", "near")]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), deployment=costs)
    records = tapped(manager)
    graph = compile_source(text, "prog.py", "prog")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(700)
    told = [each for each in records["near"] if each.sq == "heavy-1" and not isinstance(each, Received | Turn)]
    assert [(each.tick, type(each).__name__) for each in told] == [
        (100, "Decided"),
        *((tick, kind) for tick in (200, 300) for kind in ("Decided", "Counted")),
        (350, "Sent"),
        (350, "Fired"),
        (400, "Decided"),
        *((tick, kind) for tick in (500, 600) for kind in ("Decided", "Counted")),
        (650, "Sent"),
        (650, "Fired"),
    ]
    assert {each.kind for each in told if isinstance(each, Counted)} == {"busy"}
    assert [(each.began, each.ended) for each in told if isinstance(each, Fired)] == [(100, 350), (400, 650)]


def test_records_cross_between_devices() -> None:
    graph = compile_source(DEADLINES, "prog.py", "prog")
    _, records, _ = recorded(graph, 260, ["far", "near"], delay=20)
    batch = Records("prog", 1, "near", 0, 12, records, {"slow-1/0": 3})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Records) == batch
