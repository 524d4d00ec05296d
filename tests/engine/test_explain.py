"""An explanation names exactly the tokens that the oracle matched; a change that it names makes an output come."""

from __future__ import annotations

import ast
import io
import operator
from typing import Any
from xml.etree import ElementTree

import msgspec
import oracle
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Node
from test_oracle import BOUND, as_graph, networks
from test_plans import programs

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.errors import TTError
from ticktalk.explain.history import History, Key
from ticktalk.explain.picture import draw_explanation
from ticktalk.explain.why import shown_value, token_at, why, why_missing
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.hosted.tapping import Tapped
from ticktalk.language.compiler import compile_source
from ticktalk.records import AnyRecord, InstanceMoved, Received
from ticktalk.values.codec import decode_value

UNTIL = 70


def history_of(
    graph: TTGraph,
    until: int,
    hosts: list[str],
    delay: int = 0,
    bound: int | None = None,
    drain: tuple[int, str] = (0, ""),
) -> History:
    """The records of a simulation, joined; `drain`: at that tick all SQs of this ensemble move elsewhere."""
    ensembles = [TTEnsemble(None, name) for name in hosts]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), network_delay=delay)
    records: list[tuple[str, AnyRecord]] = []
    for name, site in manager.simulation.sites.items():
        assert site.host is not None
        site.host.eviction_bound = bound or site.host.eviction_bound
        site.host.tap = lambda start, name=name: Tapped(
            lambda record: records.append((name, record)), manager.simulation.now
        )
    if drain[0]:
        manager.simulation.make_movable()
        manager.sim.timeout(drain[0]).callbacks.append(lambda _: manager.drain(drain[1]))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {each.name: [1] for each in graph.inputs if each.name == "gains"})
    manager.simulation.run(until)
    return History(graph, records)


class Traced(int):
    """A value that knows which firing of which SQ made it, of which values."""

    line: tuple[Any, ...]


def traced_body(node: Node, values: list[int], count: int) -> int:
    made = Traced(plain_body(node, values, count))
    made.line = (node.name, count, *(value.line for value in values))  # type: ignore[attr-defined]
    return made


plain_body = oracle.body


def line_of(history: History, key: Key) -> tuple[Any, ...]:
    """The same of a token, by the history; the window of streams is no part of it."""
    firing = history.sender[key]
    if firing.how == "left":
        return line_of(history, firing.took[0].key)
    count = 1 + [id(each) for each in history.firings[firing.sq]].index(id(firing))
    before = [came.key for came in firing.took if came.record.arc.partition("-")[0][0] in "sf"]
    return (firing.sq, count, *(line_of(history, each) for each in before))


@settings(max_examples=80)
@given(networks(), st.integers(1, 60))
def test_an_output_came_from_the_tokens_that_the_oracle_matched(nodes: list[Node], end: int) -> None:
    oracle.body = traced_body
    try:
        expected, _ = oracle.run(nodes, end, UNTIL, BOUND)
    finally:
        oracle.body = plain_body
    graph = as_graph(nodes, end, [None])
    history = history_of(graph, UNTIL, [], bound=BOUND)
    outputs = {f"{sq.name}/{index}" for sq, arc in graph.outputs() for index, each in enumerate(sq.arcs) if each is arc}
    found = [(key, sent) for key, sent in history.tokens.items() if sent.arc in outputs]
    assert len(found) == len(expected)
    assert not any(firing.unknown for firings in history.firings.values() for firing in firings)
    mine = [(sent.sq, sent.start, sent.stop, line_of(history, key)) for key, sent in found if sent.sq[0] != "l"]
    theirs = [(name, start, stop, value.line) for name, value, start, stop in expected if name[0] != "l"]
    assert sorted(mine) == sorted(theirs)
    # What went to a handler is the token that left, and no other.
    lone = sorted((sent.start, sent.stop, line_of(history, key)[2:]) for key, sent in found if sent.sq[0] == "l")
    told = sorted((start, stop, (value[0].line,)) for name, value, start, stop in expected if name[0] == "l")
    assert lone == told


PLAIN: dict[str, Any] = {
    "ADD": operator.add, "SUB": operator.sub, "MULT": operator.mul, "FLOORDIV": operator.floordiv, "LT": operator.lt,
    "TUPLE": lambda *values: values,
}  # fmt: skip
STATELESS = ("plus", "text", "pick2", "begun", "often", "silent", "raises", "inside")


def plain_functions(text: str) -> dict[str, Any]:
    """The functions of a program that keep nothing from one firing to the next, as plain Python."""
    found: dict[str, Any] = {"TTEmpty": lambda: None}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith(STATELESS):
            node.decorator_list = []
            exec(compile(ast.Module([node], []), "plain", "exec"), found)
    return {**PLAIN, **found}


@settings(max_examples=15)
@given(programs(hosts=True, rates=True), st.sampled_from([0, 1, 5]), st.sampled_from([20, 1_000_000]))
def test_plain_python_makes_the_output_of_the_named_tokens(text: str, delay: int, bound: int) -> None:
    """Over three ensembles, with deadlines, plan Bs, sticky values, streams of several rates and evictions."""
    graph = compile_source(text, "net.py", "net")
    with BodyOutput(io.StringIO(), io.StringIO()):
        history = history_of(graph, 120, ["a", "b"], delay, bound)
    functions, by_name = plain_functions(text), {sq.name: sq for sq in graph.sqs}
    for key, sent in history.tokens.items():
        firing, sq = history.sender[key], by_name[sent.sq]
        took = [history.tokens[came.key] for came in firing.took if came.key in history.tokens]
        if any(each not in history.tokens for each in (came.key for came in firing.took)) or firing.unknown:
            continue  # of the graph's inputs
        if firing.how == "met":
            assert [(each.value, each.start <= sent.start, sent.stop <= each.stop) for each in took] == [
                (sent.value, True, True)
            ]
            continue
        names = [came.record.port for came in firing.took]
        if sq.singly:
            assert [each.value for each in took] == [sent.value]
            continue
        assert names == [port for port, each in enumerate(sq.ports) if each.constant is None] or firing.sq != sent.sq
        if firing.sq != sent.sq or sq.function not in functions or len(sq.arcs) != 1:
            continue
        values = iter([decode_value(each.value) for each in took])
        given = [next(values) if port.constant is None else decode_constant(port.constant[0]) for port in sq.ports]
        assert decode_value(sent.value) == functions[sq.function](*given), (sent, given)
        assert sent.start == max(each.start for each in took) and sent.stop == min(each.stop for each in took)


HEAD = """
from ticktalk import *
@STREAMify
def cam(t):
    return 7
@STREAMify
def lidar(t):
    return 1
@SQify
def fuse(x, y):
    return [x, y]
@SQify
def slow(x):
    return x
@SQify
def late(tag):
    return -1
@SQify
def bad(x):
    raise ValueError(x)
@SQify
def nothing(x):
    return TTEmpty()
@GRAPHify
def main(trigger):
"""


def compiled(body: str) -> TTGraph:
    return compile_source(HEAD + "".join(f"    {line}\n" for line in body.splitlines()), "prog.py", "prog")


def shown(data: bytes) -> str:
    return shown_value(decode_value(data))


PIPE = "x = cam(trigger, TTPeriod=100_000)\ny = lidar(trigger, TTPeriod=100_000, TTPhase=20_000)\nreturn fuse(x, y)"


def test_an_explanation_by_hand() -> None:
    history = history_of(compiled(PIPE), 500_000, [])
    made = why(history, token_at(history, "fuse-1", 200_000), shown)
    # x of 200 ms has [175, 225), y of 220 ms [195, 245); what they have in common is [195, 225).
    assert made.text().split("\n") == [
        "fuse-1 gave [7, 1] on [195ms, 225ms)",
        "  fuse-1 = [7, 1] on [195ms, 225ms), sent at 220ms",
        "    fired at 220ms on runtime-manager, on [195ms, 225ms)",
        "      x: cam-1 `x` = 7 on [175ms, 225ms), sent at 200ms",
        "        fired at 200ms on runtime-manager, on [175ms, 225ms)",
        "          t: of the graph's inputs, without end",
        "      y: lidar-1 `y` = 1 on [195ms, 245ms), sent at 220ms",
        "        fired at 220ms on runtime-manager, on [195ms, 245ms)",
        "          t: of the graph's inputs, without end",
    ]
    assert made.tokens == [("fuse-1/0", 2), ("lidar-1/0", 3), ("cam-1/0", 2)]
    assert [(bar.label, bar.start, bar.stop, bar.sent) for bar in made.bars] == [
        ("fuse-1", 195_000, 225_000, 220_000),
        ("x \N{LEFTWARDS ARROW} cam-1 x", 175_000, 225_000, 200_000),
        ("y \N{LEFTWARDS ARROW} lidar-1 y", 195_000, 245_000, 220_000),
    ]
    with pytest.raises(TTError, match=r"fuse-1 gave nothing at 180ms \(the nearest are \[195ms, 225ms\) and"):
        token_at(history, "fuse-1", 180_000)
    with pytest.raises(TTError, match="has no SQ, arc or variable 'fuze'; its outputs are fuse-1"):
        token_at(history, "fuze", 180_000)


def test_a_plan_b_says_which_deadline_passed() -> None:
    body = "tag, x = cam(trigger, TTPeriod=100_000)\nwith TTConstraint(name='far'):\n    z = slow(x)\n"
    body += "with TTConstraint(name='here'):\n"
    body += "    w = TTFinishByOtherwise(z, TTTimeDeadline=tag + 30_000, TTPlanB=late(tag), TTWillContinue=True)\n"
    body += "return slow(w)"
    history = history_of(compiled(body), 500_000, ["here", "far"], delay=20_000)
    made = why(history, token_at(history, "w", 200_000), shown)
    # The tag is there at 220, so the plan B is due at 230. The data is there at 240, over two links.
    assert made.lines[1:4] == [
        (1, "the deadline 230ms passed without data, so late-1, its plan B,"),
        (1, "(data on [175ms, 225ms) came at 240ms, too late)"),
        (1, "fired at 230ms on here, on [175ms, 225ms)"),
    ]
    on_time = history_of(compiled(body), 500_000, ["here", "far"], delay=10_000)
    made = why(on_time, token_at(on_time, "w", 200_000), shown)
    assert made.lines[1] == (1, "data met its deadline at 220ms on here, on [175ms, 225ms)")
    # Data and deadline were matched: both go back to the stream.
    assert {arc for arc, _ in made.tokens} == {
        "TTFinishByOtherwise-1/0", "slow-1/0", "cam-1/1", "ADD-1/0", "cam-1/0"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "sq", "told"),
    [
        ("return slow(bad(cam(trigger, TTPeriod=100_000)))", "slow-1",
         ["bad-1: fired at 200ms on runtime-manager, on [175ms, 225ms), and its body raised"]),
        ("return slow(nothing(cam(trigger, TTPeriod=100_000)))", "slow-1",
         ["nothing-1: fired at 200ms on runtime-manager, on [175ms, 225ms), and its body gave nothing (TTEmpty)"]),
        (PIPE.replace("TTPhase=20_000", "TTPhase=50_000").replace("100_000)", "100_000, TTDataIntervalWidth=50_000)"),
         "fuse-1", ["nearest miss: ", "0us apart; they would meet with TTDataIntervalWidth="]),
        ("return slow(cam(trigger, TTPeriod=300_000, TTDataIntervalWidth=10_000))", "slow-1",
         ["cam-1: no instant has an interval that holds this tick; the nearest is [295ms, 305ms): a wider"]),
    ],
)  # fmt: skip
def test_why_nothing_came(body: str, sq: str, told: list[str]) -> None:
    made = why_missing(history_of(compiled(body), 500_000, []), sq, 200_000, shown)
    for part in told:
        assert part in made.text()


@settings(max_examples=30)
@given(st.integers(20, 60), st.integers(1, 9), st.integers(1, 9), st.integers(2, 6))
def test_a_change_for_a_missing_output_makes_it_come(period: int, one: int, other: int, part: int) -> None:
    phase = period // part
    body = f"x = cam(trigger, TTPeriod={period}, TTDataIntervalWidth={min(one, phase)})\n"
    body += f"y = lidar(trigger, TTPeriod={period}, TTPhase={phase}, TTDataIntervalWidth={min(other, phase)})\n"
    graph = compiled(body + "return fuse(x, y)")
    history = history_of(graph, 10 * period, [])
    if history.firings["fuse-1"]:
        return
    at = 4 * period
    made = why_missing(history, "fuse-1", at, shown)
    assert made.changes
    for change in made.changes:
        field = {"TTDataIntervalWidth": "width", "TTPhase": "phase"}[change.setting]
        setting = {field: change.ticks}
        sqs = [msgspec.structs.replace(sq, **setting) if sq.name == change.sq else sq for sq in graph.sqs]
        changed = history_of(msgspec.structs.replace(graph, sqs=sqs), 10 * period, [])
        near = [firing for firing in changed.firings["fuse-1"] if abs(firing.start - at) <= 2 * period]
        assert near


def test_a_token_that_is_lost_on_its_way() -> None:
    body = "with TTConstraint(name='a'):\n    x = cam(trigger, TTPeriod=100_000)\n"
    graph = compiled(body + "with TTConstraint(name='b'):\n    return slow(x)")
    history = history_of(graph, 500_000, ["a", "b"], delay=350_000)
    made = why_missing(history, "slow-1", 200_000, shown)
    assert (
        "`x` never got the token [175ms, 225ms), which cam-1 sent at 200ms: it had not come by the end" in made.text()
    )


def test_a_missing_output_is_drawn_with_the_time_that_was_asked_for() -> None:
    made = why_missing(history_of(compiled(PIPE), 500_000, []), "fuse-1", 180_000, shown)
    root = ElementTree.fromstring(draw_explanation(made))
    space = "{http://www.w3.org/2000/svg}"
    (asked,) = [float(each.attrib["x1"]) for each in root.iter(f"{space}line") if each.attrib["class"] == "asked"]
    (label,) = [each for each in root.iter(f"{space}text") if each.text == "180ms"]
    assert float(label.attrib["x"]) == asked
    for bar in (each for each in root.iter(f"{space}g") if "data-token" in each.attrib):
        on = bar.find(f"{space}title").text.rpartition(" on ")[2]  # type: ignore[union-attr]
        left = float(bar.find(f"{space}rect").attrib["x"])  # type: ignore[union-attr]
        assert (left > asked) == (float(on[1:].partition("ms")[0]) > 180), on


def test_the_picture_has_every_token_and_its_text() -> None:
    history = history_of(compiled(PIPE), 500_000, [])
    made = why(history, token_at(history, "fuse-1", 200_000), shown)
    root = ElementTree.fromstring(draw_explanation(made))
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}desc").text == made.text()  # type: ignore[union-attr]
    tokens = [each for each in root.iter(f"{space}g") if "data-token" in each.attrib]
    bars = [next(each for each in token.iter(f"{space}rect")) for token in tokens]
    # The axis is one for all: widths and places are as the intervals.
    scale = float(bars[1].attrib["width"]) / 50_000
    assert abs(float(bars[0].attrib["width"]) - 30_000 * scale) < 0.2
    assert abs(float(bars[2].attrib["x"]) - float(bars[1].attrib["x"]) - 20_000 * scale) < 0.2


MOVES = """
from ticktalk import *
@STREAMify
def read(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n
@SQify
def plain(x):
    return x
@SQify
def both(x, y):
    return [x, y]
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = read(trigger, TTPeriod=1000)
        early = ADD_TIME_DELAY(x, delay=0)
    with TTConstraint(name="c"):
        far = ADD_TIME_DELAY(plain(x), delay=200)
    with TTConstraint(name=["b", "c"]):
        y = plain(x)
        z = both(x, far)
    with TTConstraint(name="c"):
        return plain(y), z
"""
"""Tokens take 2.5 ms; `far` comes 2.5 ms after `x` and holds 0.2 ms later."""


def test_an_sq_that_moved() -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, n) for n in "abc"], simpy.Environment(), network_delay=2500)
    records: list[tuple[str, AnyRecord]] = []
    for name, site in manager.simulation.sites.items():
        assert site.host is not None
        site.host.tap = lambda start, name=name: Tapped(
            lambda record: records.append((name, record)), manager.simulation.now
        )
    manager.simulation.make_movable()
    graph = compile_source(MOVES, "moves.py", "moves")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.sim.timeout(21_300).callbacks.append(lambda _: manager.drain("b"))
    manager.simulation.run(60_000)
    history = History(graph, records)
    moved = next(record.tick for _, record in records if isinstance(record, InstanceMoved) and record.here)

    def told(key: Key) -> str:
        return why(history, key, shown).text()

    # Some of the moved SQ waited behind those under way from `b`: they come of their SQ, not of the graph's inputs.
    last = [key for key in history.tokens if key[0] == "plain-3/0"]
    behind = [r for _, r in records if isinstance(r, Received) and r.sq == "plain-3" and not r.arc]
    assert behind
    assert all("x: plain-2" in told(key) and "x: of the graph's inputs" not in told(key) for key in last)
    # A pair that was half there when it moved: the half is one of those that waited on `b`.
    waited_on_b = list(history._instances["b", "both-1"].came.values())
    halves = [
        (firing, decode_value(history.tokens[firing.sent[0]].value))
        for firing in history.firings["both-1"]
        if firing.ensemble == "c" and any(came in waited_on_b for came in firing.took)
    ]
    assert halves and not any(firing.unknown for firing, _ in halves)
    for firing, value in halves:
        assert [decode_value(history.tokens[came.key].value) for came in firing.took] == value
    # Where that was not recorded, the explanation does not guess.
    known = [each for each in records if each[0] != "b" or not isinstance(each[1], Received)]
    less = History(graph, known)
    unknown = [firing for firing in less.firings["both-1"] if firing.unknown and firing.ensemble == "c"]
    assert len(unknown) == len(halves) and all(firing.tick >= moved for firing in unknown)
    assert "1 more token, and the recording does not say which" in why(less, unknown[0].sent[0], shown).text()
    # What waited there and was not used.
    cut = [each for each in records if each[0] == "b" or each[1].sq != "both-1" or isinstance(each[1], InstanceMoved)]
    lost = History(graph, cut)
    waited = [came for came in lost.came["both-1"] if came.moved]
    lines = why_missing(lost, "both-1", int(waited[0].record.start), shown).text()
    assert "it waited when the SQ moved to c" in lines and "still waited" not in lines
