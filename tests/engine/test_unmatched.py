"""A token that leaves its SQ's ports without having fired goes to the SQ's handler: once, with its interval.

By tables that were worked out by hand. `test_oracle.py` compares random graphs with the oracle.
"""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Node, run
from test_oracle import as_graph
from world import MANAGER, MS, S, World, graph_of

from ticktalk.errors import TTSyntaxError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTDestination
from ticktalk.language.compiler import compile_source
from ticktalk.time import ROOT, TTTime
from ticktalk.values.codec import Encoded, decode_value, encode_value, encoded, tuple_of

MORE = """
@SQify
def lone(value, interval, missing):
    return value, interval, missing
@SQify
def odd(x):
    return x if x % 2 else TTEmpty()
@SQify
def third(x):
    return x if x % 3 == 0 else TTEmpty()
@SQify
def three(x, y, z):
    return (x, y, z)
@SQify
def otherwise(x):
    return -x
"""


def simulated(body: str, until: int, bound: int = 3 * S, more: str = "", **settings: Any) -> World:
    world = World(["a", "b"], **settings)
    for site in world.simulation.sites.values():
        site.host.eviction_bound = bound
    world.start(graph_of(body, more=MORE + more))
    return world.run(until)


def given_to(world: World, handler: str = "lone-1") -> list[tuple[int, Any, int, int, tuple[str, ...]]]:
    """When the handler ran (ms), the value, the interval (ms), the missing ones; its result is on that interval."""
    found = []
    for token in world.outputs:
        if token.sq == handler:
            value, interval, missing = token.value
            assert interval == TTTime(ROOT, token.start, token.stop)
            found.append((token.arrival // MS, value, token.start // MS, token.stop // MS, missing))
    return found


def test_a_token_whose_partner_never_came() -> None:
    # Ticks of 1 s, intervals of 0.5 s around them. A token that ends at t goes when one starts later than t + 3 s.
    world = simulated("x = count(trigger, TTPeriod=1000000)\npair(x, odd(x), TTUnmatched=lone)", 7_900_000)
    assert given_to(world) == [(6000, 2, 1750, 2250, ("y",))]
    assert world.counted("evicted") == {"pair-1": 1}


def test_all_ports_without_a_token_are_named() -> None:
    world = simulated(
        "x = count(trigger, TTPeriod=1000000)\nthree(x, odd(x), third(x), TTUnmatched=lone)", 9_500_000, bound=1 * S
    )
    # 1: no z. 2: neither. 3: fires. 4: neither. 5: no z. A token that leaves with its partners had them.
    assert given_to(world) == [
        (3000, 1, 750, 1250, ("z",)),
        (3000, 1, 750, 1250, ("z",)),
        (4000, 2, 1750, 2250, ("y", "z")),
        (6000, 4, 3750, 4250, ("y", "z")),
        (7000, 5, 4750, 5250, ("z",)),
        (7000, 5, 4750, 5250, ("z",)),
        (8000, 6, 5750, 6250, ("y",)),
        (8000, 6, 5750, 6250, ("y",)),
        (9000, 7, 6750, 7250, ("z",)),
        (9000, 7, 6750, 7250, ("z",)),
    ]


def test_a_partner_that_left_before_it_was_there_all_the_same() -> None:
    # The narrow one ends at 1.05 s and goes first, the wide one ends at 1.4 s.
    body = """
x = count(trigger, TTPeriod=1000000, TTDataIntervalWidth=800000)
y = count(trigger, TTPeriod=1000000, TTDataIntervalWidth=100000)
three(x, y, third(x), TTUnmatched=lone)
"""
    world = simulated(body, 3_700_000, bound=700 * MS)
    assert given_to(world) == [
        (2000, 1, 950, 1050, ("z",)),
        (3000, 1, 600, 1400, ("z",)),
        (3000, 2, 1950, 2050, ("z",)),
    ]


@pytest.mark.parametrize("call", ["pair(x, y, TTUnmatched=lone)", "three(x, y, y, TTUnmatched=lone)"])
def test_nothing_is_noted_of_tokens_that_have_left(call: str) -> None:
    # Tokens of x are as wide as four periods, and those of y late: x that leave overlap others that are used later.
    more = """
@SQify
def seventh(x):
    return x if x % 7 == 0 else TTEmpty()
"""
    body = f"""
x = count(trigger, TTPeriod=1000000, TTDataIntervalWidth=4000000)
with TTConstraint(name="b"):
    y = seventh(count(trigger, TTPeriod=1000000))
{call}
"""
    world = simulated(body, 60_000_000, more=more, delay=5 * S)
    fired = world.values(call[: call.index("(")] + "-1")
    assert len(fired) > 5 and len(given_to(world)) > 20
    hosts = [site.host for site in world.simulation.sites.values()]
    noted = [sync.met for host in hosts for context in host.contexts.values() for sync in context.syncs.values()]
    assert sum(map(len, noted)) < 5


def test_a_partner_that_another_set_took_was_not_there() -> None:
    # Two of x to one of y: the second has nothing.
    body = """
x = count(trigger, TTPeriod=500000, TTDataIntervalWidth=1000000)
y = count(trigger, TTPeriod=1000000, TTDataIntervalWidth=1000000)
pair(x, y, TTUnmatched=lone)
"""
    world = simulated(body, 3_400_000, bound=1 * S)
    taken = [token.value[0] for token in world.outputs if token.sq == "pair-1"]
    alone = [(value, missing) for _, value, _, _, missing in given_to(world)]
    assert alone and all(missing == ("y",) and value not in taken for value, missing in alone)


def test_a_sticky_value_is_a_partner_that_may_be_missing() -> None:
    body = """
now = READ_TTCLOCK(trigger)
until = COPY_TTTIME(7, VALUES_TO_TTTIME(now, now + 2000000))
pair(count(trigger, TTPeriod=1000000), until, TTUnmatched=lone)
"""
    world = simulated(body, 7_500_000)
    assert world.values("pair-1") == [(1, 7), (2, 7)]  # [1.75 s, 2.25 s) still meets [0 s, 2 s)
    assert given_to(world) == [(7000, 3, 2750, 3250, ("y",))]


LATE = """
tag, x = count(trigger, TTPeriod=1000000)
with TTConstraint(name="b"):
    slow = same(x)
TTFinishByOtherwise(slow, TTTimeDeadline=tag + 100000, {more}TTUnmatched=lone)
"""


@pytest.mark.parametrize("more", ["", "TTPlanB=otherwise(x), "])
def test_data_that_comes_after_its_deadline(more: str) -> None:
    world = simulated(LATE.format(more=more), 3_900_000, delay=150 * MS)
    assert given_to(world) == [
        # There at 1.3 s, for a deadline at 1.1 s; an output takes 150 ms to the manager.
        (1450, 1, 750, 1250, ("deadline",)),
        (2450, 2, 1750, 2250, ("deadline",)),
        (3450, 3, 2750, 3250, ("deadline",)),
    ]
    assert world.counted("late") == {"TTFinishByOtherwise-1": 3}


def test_data_that_no_deadline_was_for() -> None:
    body = "x = count(trigger, TTPeriod=1000000)\nTTFinishByOtherwise(x, TTTimeDeadline=third(x), TTUnmatched=lone)"
    world = simulated(body, 6_500_000)
    # The deadlines are ticks 3 and 6 of the root clock: long past.
    assert [entry[:2] for entry in given_to(world)] == [(3000, 3), (5000, 1), (6000, 6), (6000, 2)]
    assert {entry[4] for entry in given_to(world)} == {("deadline",)}
    assert world.counted("evicted") == world.counted("late") == {"TTFinishByOtherwise-1": 2}


def test_the_inputs_of_a_plan_b_that_was_not_needed() -> None:
    body = """
tag, x = count(trigger, TTPeriod=1000000)
TTFinishByOtherwise(x, TTTimeDeadline=tag + 300000, TTPlanB=otherwise(same(x), TTUnmatched=lone))
"""
    world = simulated(body, 6_500_000)
    assert world.values("TTFinishByOtherwise-1") == [1, 2, 3, 4, 5, 6]
    assert given_to(world) == [(5000, 1, 750, 1250, ()), (6000, 2, 1750, 2250, ())]


def test_tokens_that_come_while_a_single_run_is_busy() -> None:
    body = """
x = count(trigger, TTPeriod=1000000)
TTSingleRunTimeout(pair(x, trigger, TTUnmatched=lone), TTTimeout=5000000)
"""
    deployment = "ensembles:\n- {name: a}\n- {name: b}\ncosts:\n  pair: {time: 1500ms}\n"
    world = simulated(body, 4_900_000, deployment=deployment)
    assert [token.value[0] for token in world.outputs if token.sq == "pair-1"] == [1, 3]
    assert given_to(world) == [(2000, 2, 1750, 2250, ()), (4000, 4, 3750, 4250, ())]  # not the sticky one
    assert world.counted("busy") == {"pair-1": 2}


def test_pairs_that_come_while_a_single_run_is_busy() -> None:
    body = """
x = count(trigger, TTPeriod=1000000)
TTSingleRunTimeout(pair(x, same(x), TTUnmatched=lone), TTTimeout=5000000)
"""
    deployment = "ensembles:\n- {name: a}\n- {name: b}\ncosts:\n  pair: {time: 1500ms}\n"
    world = simulated(body, 4_900_000, deployment=deployment)
    assert [token.value[0] for token in world.outputs if token.sq == "pair-1"] == [1, 3]
    assert given_to(world) == [(2000, 2, 1750, 2250, ())] * 2 + [(4000, 4, 3750, 4250, ())] * 2  # of both inputs
    assert world.counted("busy") == {"pair-1": 2}


def test_a_set_that_goes_back_in_time() -> None:
    body = """
fast = count(trigger, TTPeriod=1000000)
with TTConstraint(name="b"):
    slow = same(same(fast))
MERGE(total(MERGE(fast, slow), TTUnmatched=lone), 1)
"""
    world = simulated(body, 3_900_000, delay=600 * MS)
    # The slow way takes 1.2 s, to where 2 came at 2 s; an output takes 0.6 s to the manager.
    assert given_to(world) == [(2800, 1, 750, 1250, ()), (3800, 2, 1750, 2250, ())]
    assert world.counted("out_of_order") == {"total-1": 2}


def test_an_error_of_the_handler_is_its_own() -> None:
    more = "@SQify\ndef breaks(value, interval, missing):\n    raise ValueError(missing)\n"
    world = World(["a"])
    for site in world.simulation.sites.values():
        site.host.eviction_bound = 1 * S
    body = "x = count(trigger, TTPeriod=1000000)\npair(x, odd(x), TTUnmatched=breaks)"
    world.start(graph_of(body, more=MORE + more))
    world.simulation.run(5_500_000)
    assert [error.sq for error in world.manager.errors] == ["breaks-1"]
    assert "ValueError: ('y',)" in str(world.manager.errors[0])
    assert len(world.values("pair-1")) == 3


def test_a_handler_with_a_state_gets_tokens_in_any_order() -> None:
    more = """
@SQify
def many(value, interval, missing, start=100):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", start) + 1
    return n
"""
    body = "x = count(trigger, TTPeriod=1000000)\nthree(x, odd(x), third(x), TTUnmatched=many)"
    world = simulated(body, 9_500_000, bound=1 * S, more=more)
    assert world.values("many-1") == list(range(101, 111))
    assert not world.counted("out_of_order")


def test_the_handler_may_live_elsewhere_and_use_a_component() -> None:
    more = '@SQify\ndef far(value, interval, missing):\n    return value, interval, missing, component("lamp")\n'
    body = "x = count(trigger, TTPeriod=1000000)\npair(x, odd(x), TTUnmatched=far)"
    graph = graph_of(body, more=MORE + more)
    assert [constraint.components for constraint in graph.sq("far-1").constraints] == [["lamp"]]
    world = simulated(body.replace("far", "lone"), 8_000_000)
    graph = graph_of(body.replace("far", "lone"), more=MORE)
    other = World(["a", "b"], delay=5 * MS)
    for site in other.simulation.sites.values():
        site.host.eviction_bound = 3 * S
    other.start(graph, {"lone-1": "b", "pair-1": "a", "odd-1": "a", "count-1": "a"})
    other.run(8_000_000)
    # 5 ms to the handler, and 5 ms to the manager.
    assert given_to(other) == [(arrival + 10, *rest) for arrival, *rest in given_to(world)] != []


NAMES = ["a", "b", "c"]


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    """Streams, and SQs on several of them that have handlers."""
    nodes = []
    for index in range(3):
        period = draw(st.integers(2, 12))
        phase, width = draw(st.integers(0, period - 1)), draw(st.integers(1, 20))
        nodes.append(Node(f"s{index}-1", period=period, phase=phase, width=width, drop=draw(st.sampled_from([0, 2]))))
    for index in range(draw(st.integers(1, 3))):
        inputs = draw(st.lists(st.integers(0, 2), min_size=2, max_size=3))
        nodes.append(Node(f"f{index}-1", inputs=inputs, salt=100 + index, handled=True))
    return nodes


@settings(max_examples=60)
@given(networks(), st.lists(st.integers(1, 90), min_size=1, max_size=2), st.randoms(use_true_random=False))
def test_moves_do_not_change_what_a_handler_gets(nodes: list[Node], drains: list[int], rng: random.Random) -> None:
    # The streams stay: what is due at one tick keeps its order. What waits at the others moves.
    expected, _ = run(nodes, 100, 101, 15)
    world = World(NAMES)
    for site in world.simulation.sites.values():
        site.host.eviction_bound = 15
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    hosts = {sq.name: MANAGER if sq.trigger == "grid" else rng.choice(NAMES) for sq in graph.sqs}
    world.start(graph, hosts)
    for tick, name in zip(drains, ["a", "b"], strict=False):
        world.at(tick, lambda name=name: world.manager.drain(name))
    world.run(105)
    found = [(token.sq, token.value, token.start, token.stop) for token in world.outputs]
    for name in {sq.name for sq in graph.sqs}:
        wanted = [token for token in expected if token[0] == name]
        assert [token for token in found if token[0] == name][: len(wanted)] == wanted
    for kind in ("lost", "stale", "errors"):
        assert not world.counted(kind, "net")
    world.check()


def test_the_graph_of_a_handler() -> None:
    graph = graph_of("x = count(trigger, TTPeriod=10)\npair(x, odd(x), TTName='p', TTUnmatched=lone)", more=MORE)
    graph.check()
    assert TTGraph.from_json(graph.to_json()) == graph
    arc = graph.sq("p").arcs[0]
    assert (arc.kind, arc.to, arc.output) == ("unmatched", [TTDestination("lone-1", 0)], False)
    handler = graph.sq("lone-1")
    assert handler.spread and handler.rank == graph.sq("p").rank + 1 and handler.arcs[0].output


def test_a_graph_in_a_graph_names_its_handlers() -> None:
    source = """
from ticktalk import *
@SQify
def f(x, y):
    return x
@SQify
def lone(value, interval, missing):
    return value
@GRAPHify
def inner(a):
    return f(a, a, TTUnmatched=lone)
@GRAPHify
def main(trigger):
    return inner(trigger), f(trigger, trigger, TTUnmatched=lone)
"""
    graph = compile_source(source, "prog.py", "prog")
    assert [sq.name for sq in graph.sqs if sq.spread] == ["inner-1/lone-1", "lone-1"]


def test_a_tuple_with_an_encoded_value_is_encoded() -> None:
    interval = TTTime(ROOT, -5, float("inf"))
    for value in (1, "x" * 300, [1, (2, b"y")], {"k": None}):
        made = tuple_of(Encoded(encode_value(value)), interval, ("a", "b"))
        assert decode_value(made.data) == (value, interval, ("a", "b"))
        assert tuple_of(value, interval) == (value, interval)


@pytest.mark.parametrize("length", [0, 2**16 - 100, 2**16, 2**22])
def test_a_long_value_is_not_copied_on_its_way_to_a_handler(length: int) -> None:
    value = Encoded(memoryview(encode_value(bytes(length))))
    interval = TTTime(ROOT, 3, 7)
    tracemalloc.start()
    try:
        made = tuple_of(value, interval, ("a",))
        _, peak = tracemalloc.get_traced_memory()
        again = encoded(made)
        _, joined = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert decode_value(again) == (bytes(length), interval, ("a",))
    assert length < 2**20 or (peak < 0.01 * length and joined < 1.5 * length)


def test_the_result_of_a_handler_goes_on_by_its_name() -> None:
    body = """
both = pair(count(trigger, TTPeriod=1000000), odd(count(trigger, TTPeriod=1000000)))
late = TTUnmatched(both, lone, TTName="late")
return same(late)
"""
    world = simulated(body, 40 * S)
    by_keyword = simulated(
        body.replace(
            "odd(count(trigger, TTPeriod=1000000))", "odd(count(trigger, TTPeriod=1000000)), TTUnmatched=lone"
        ).replace('late = TTUnmatched(both, lone, TTName="late")\nreturn same(late)', "return both"),
        40 * S,
    )
    # Every second count finds no partner, and goes after the bound of 3 s.
    expected = [(token.arrival, token.value) for token in by_keyword.outputs if token.sq == "lone-1"]
    assert [value[0] for _, value in expected][:3] == [2, 4, 6]
    assert [(token.arrival, token.value) for token in world.outputs if token.sq == "same-1"] == expected
    assert {token.sq for token in world.outputs} == {"same-1", "pair-1"}


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("TTUnmatched(trigger, lone)", "takes the result of a call"),
        ("TTUnmatched(3, lone)", "takes the result of a call"),
        ("TTUnmatched(both, same)", "`same` is no handler"),
        ("TTUnmatched(both, 3)", "takes the name of an @SQify function"),
        ("TTUnmatched(both)", "is missing `handler`"),
        ("TTUnmatched(both, lone, TTUnmatched=lone)", "no parameter `TTUnmatched`"),
        ("TTUnmatched(gone, lone)", "`gone` is not defined"),
    ],
)
def test_a_call_of_a_handler_that_cannot_be_is_reported(call: str, what: str) -> None:
    with pytest.raises(TTSyntaxError) as caught:
        graph_of(f"both = pair(trigger, same(trigger))\nreturn {call}", more=MORE)
    (problem,) = caught.value.problems
    assert what in problem.what
