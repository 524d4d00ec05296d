"""A graph that is replaced by another version goes on with its state: nothing is lost, nothing comes twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from oracle import Node, run
from test_drain import networks
from test_oracle import as_graph
from world import HEAD, MANAGER, MS, S, World, graph_of

from ticktalk import simulate
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTDestination
from ticktalk.manager.events import NotReplaced, Replaced, RolledBack
from ticktalk.messages import RuntimeMsg, message
from ticktalk.payloads import DeployRequest
from ticktalk.records import WatchRequest
from ticktalk.replacement import Switch, Switched

NAMES = ["a", "b", "c"]

ADDS = graph_of("""
n = count(trigger, TTPeriod=100)
return total(same(n))
""")

MULTIPLIES = graph_of(
    """
n = count(trigger, TTPeriod=100)
return product(same(n), TTName="total-1")
""",
    more="""
@SQify
def product(x):
    global sq_state
    sq_state["sum"] = sq_state["sum"] * x
    return sq_state["sum"]
""",
)


def replaced(world: World, tick: int, graph: TTGraph, **options: Any) -> list[Any]:
    """Let a graph be replaced at a tick; gets the answer, or the error."""
    answers: list[Any] = []

    def act() -> None:
        try:
            answers.append(world.manager.replace_graph(graph, **options))
        except TTError as error:
            answers.append(error)

    world.at(tick, act)
    return answers


def events(world: World) -> list[Any]:
    """What happens from now on, as values."""
    found: list[Any] = []
    world.manager.watch(found.append)
    return found


def hosts(world: World) -> dict[str, str]:
    """The hosts of the graph's SQs, in the version that counts."""
    graph = world.manager.process.state.graph("prog")
    assert graph is not None
    return graph.host_of


def rows(world: World) -> list[tuple[Any, ...]]:
    return [(token.sq, token.value, token.start, token.stop) for token in world.outputs]


def in_plain_python(switch: int, until: int) -> list[tuple[int, int]]:
    """Start and value of each output: before the switch numbers are added up, after it they are multiplied."""
    found, kept = [], 0
    for n in range(1, until // 100 + 1):
        kept = kept + n if n * 100 < switch else kept * n
        found.append((n * 100 - 25, kept))
    return found


@pytest.mark.parametrize("delay", [0, 7])
@pytest.mark.parametrize("switch", [450, 500, 501, 505])
def test_a_stream_that_counts_is_added_up_before_the_switch_and_multiplied_after_it(delay: int, switch: int) -> None:
    world = World(["a", "b"], delay=delay)
    told = events(world)
    world.start(ADDS, {"count-1": "a", "same-1": "b", "total-1": MANAGER})
    world.simulation.agenda.deliver_at(switch, lambda: world.manager.replace_graph(MULTIPLIES, watch=300))
    world.run(2000)
    expected = in_plain_python(switch, 1999 - 2 * delay)
    assert [(token.start, token.value) for token in world.outputs] == expected
    assert {token.graph for token in world.outputs} == {"prog"}
    (event,) = [each for each in told if isinstance(each, Replaced)]
    assert (event.changes.at, event.changes.carried) == (switch, ["count-1", "same-1", "total-1"])
    assert not world.counted("skipped") and not world.counted("lost")
    assert list(world.manager.process.state.graphs) == ["prog~2"] and not world.manager.process.state.replacements
    assert [graph["name"] for graph in world.manager.status()["graphs"]] == ["prog"]
    world.check()


def run_replaced(
    nodes: list[Node], delay: int, ticks: list[int], hosts: dict[str, str], other_hosts: list[str], until: int
) -> World:
    """The network of `nodes` on `hosts`, replaced by itself at these ticks, then on `other_hosts`."""
    world = World(NAMES, delay=delay, checkpoint=0)
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]  # the streams are driven by the trigger itself
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    world.start(graph, hosts)

    def replace(tick: int, mapping: dict[str, str]) -> None:
        try:
            world.manager.replace_graph(graph, mapping=mapping, watch=0)
        except TTRuntimeError as error:
            assert "being replaced already" in str(error)
            world.at(world.simulation.now() + 1, lambda: replace(tick + 1, mapping))

    choice = random.Random(until)
    for tick in ticks:
        mapping = {name: choice.choice(other_hosts) for name in hosts}
        world.at(tick, lambda tick=tick, mapping=mapping: replace(tick, mapping))
    return world.run(until)


@settings(max_examples=60, deadline=None)
@given(
    networks(),
    st.sampled_from([0, 0, 1, 3, 20]),
    st.lists(st.integers(1, 90), min_size=1, max_size=3, unique=True),
    st.randoms(use_true_random=False),
)
def test_replaced_by_itself_at_any_tick_the_outputs_are_those_of_the_oracle(
    nodes: list[Node], delay: int, ticks: list[int], choice: random.Random
) -> None:
    """Where ways of different length meet, the order of arrival may differ: then nothing may depend on it."""
    meet = delay and any(len(node.inputs) > 1 for node in nodes)
    for node in nodes:
        node.stateful = node.stateful and not meet
    expected, _ = run(nodes, 100, 101, 10**9)
    hosts = {node.name: choice.choice([*NAMES, MANAGER]) for node in nodes}
    note(f"hosts: {hosts}")
    world = run_replaced(nodes, delay, ticks, hosts, [*NAMES, MANAGER], 100 + 10 * (delay + 1) + 600)
    outputs = sorted(world.outputs, key=lambda token: (token.arrival, token.start)) if meet else world.outputs
    found = [(token.sq, token.value, token.start, token.stop) for token in outputs]
    for name in {node.name for node in nodes}:
        wanted = [token for token in expected if token[0] == name]
        assert [token for token in found if token[0] == name][: len(wanted)] == wanted
    for kind in ("lost", "stale", "skipped", "out_of_order", "errors"):
        assert not world.counted(kind, "net"), kind
    world.check()


def test_outputs_of_the_new_version_on_the_manager_come_after_those_of_the_old_one_that_are_under_way() -> None:
    source, count = Node("s0-1", [], period=4, width=1), Node("f0-1", [0])
    world = run_replaced([source, count], 20, [4], {"s0-1": "a", "f0-1": "a"}, [MANAGER], 200)
    starts = [token.start for token in world.outputs if token.sq == "f0-1"]
    assert starts[:6] == [4, 8, 12, 16, 20, 24] and starts == sorted(starts)
    world.check()


# What the rules hold goes on.

HOLDS = """
fast = count(trigger, TTPeriod=100, TTDataIntervalWidth=80)
slow = ones(trigger, TTPeriod=400, TTPhase=50, TTDataIntervalWidth=40)
late = same(fast)
pairs = pair(late, slow)
finer = RESAMPLE(fast, TTPeriod=30, order=1)
tag, seen = count(trigger, TTPeriod=1000, TTDataIntervalWidth=100)
never = nothing(seen)
answered = TTFinishByOtherwise(never, TTTimeDeadline=tag + 350, TTPlanB=instead(), TTWillContinue=True)
total(finer)
return pairs
"""

MORE = """
@SQify
def nothing(x):
    return TTEmpty()
@SQify
def instead():
    return "plan B"
"""


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("switch", [1000, 1151, 1349, 1350, 1351, 2205])
def test_windows_deadlines_and_waiting_tokens_go_on(switch: int, delay: int) -> None:
    """At 1151 a deadline of 1350 waits, RESAMPLE holds a token, and a token waits for a partner."""
    whole = World(["a", "b"], delay=delay)
    whole.start(graph_of(HOLDS, more=MORE))
    whole.run(6000)
    world = World(["a", "b"], delay=delay)
    world.start(graph_of(HOLDS, more=MORE))
    world.at(switch, lambda: world.manager.replace_graph(graph_of(HOLDS, more=MORE), watch=1000))
    world.run(6000)
    assert world.told("is replaced")
    assert len(whole.outputs) > 30
    assert sorted(map(repr, rows(world))) == sorted(map(repr, rows(whole)))
    assert world.counted("skipped") == world.counted("lost") == {}


def test_an_added_sq_gets_the_settings_that_came_once_before() -> None:
    more = """
@SQify
def setting(x):
    return 10
@SQify
def scaled(x, by):
    return x * by
@SQify
def shifted(x, by, more):
    return x + by + more
"""
    old = graph_of("n = count(trigger, TTPeriod=100)\nk = setting(trigger)\nreturn scaled(n, k)", more=more)
    new = graph_of(
        "n = count(trigger, TTPeriod=100)\nk = setting(trigger)\nreturn scaled(n, k), shifted(n, k, extra)",
        more=more,
        inputs="trigger, extra",
    )
    world = World(["a"])
    world.start(old)
    answers = replaced(world, 250, new, watch=0, inputs={"extra": 1000})
    world.run(500)
    assert answers[0].added == ["shifted-1", "TUPLE-1"]
    assert world.values() == [10, 20, (30, 1013), (40, 1014)]


def test_an_added_stream_begins_at_the_switch_and_one_with_another_period_goes_on_from_there() -> None:
    world = World(["a"])
    world.start(graph_of("return count(trigger, TTPeriod=100)"))
    replaced(world, 250, graph_of("count(trigger, TTPeriod=30)\nreturn ones(trigger, TTPeriod=50)"), watch=0)
    world.run(401)
    instants = {sq: [t.start + (t.stop - t.start) // 2 for t in world.outputs if t.sq == sq] for sq in hosts(world)}
    assert instants == {"count-1": [100, 200, 270, 300, 330, 360, 390], "ones-1": [250, 300, 350, 400]}
    assert world.values("count-1") == [1, 2, 3, 4, 5, 6, 7]
    assert world.manager.counters("prog") == {}, "no instant is skipped"


def test_a_period_that_was_set_goes_on_unless_the_new_program_has_another_one() -> None:
    world = World(["a"])
    body = "count(trigger, TTPeriod=100)\nreturn ones(trigger, TTPeriod={})"
    world.start(graph_of(body.format(40)))
    for sq, tick, period in (("count-1", 110, 50), ("ones-1", 110, 10), ("count-1", 560, 25)):
        world.at(tick, lambda sq=sq, period=period: world.manager.set_grid("prog", sq, period=period))
    first = replaced(world, 250, graph_of(body.format(20)), watch=0)
    second = replaced(world, 450, graph_of(body.format(20)), watch=0)
    third = replaced(world, 650, graph_of(body.format(20).replace("100", "30")), watch=0)
    told = events(world)
    world.run(751)
    changes = [answers[0] for answers in (first, second, third)]
    assert [each.as_set for each in changes] == [["count-1"], ["count-1"], []]
    assert [each.as_written for each in changes] == [["ones-1"], [], ["count-1"]]
    instants = {sq: [t.start + (t.stop - t.start) // 2 for t in world.outputs if t.sq == sq] for sq in hosts(world)}
    assert instants["count-1"] == [100, 150, 200, 250, 300, 350, 400, 450, 500, 550, 575, 600, 625, 660, 690, 720, 750]
    assert instants["ones-1"][-6:] == [640, 660, 680, 700, 720, 740]
    text = next(str(event) for event in told if isinstance(event, Replaced))
    assert "with the period and phase that were set: count-1" in text
    assert "with the period and phase of the new program in place of those that were set: ones-1" in text


def test_no_graph_has_the_name_that_a_version_of_another_will_have() -> None:
    world = World(["a"])
    graph = graph_of("return count(trigger, TTPeriod=100)")
    world.start(graph)
    with pytest.raises(TTRuntimeError, match=r"cannot be called 'prog~2'.*give it another name"):
        world.manager.instantiate_and_map_graph(graph, name="prog~2")
    world.manager.instantiate_and_map_graph(graph, name="prog~new")
    assert replaced(world, 250, graph, watch=0) == [] and world.run(500).told("is replaced")


def test_a_mapping_that_cannot_be_used_is_told_by_the_name_of_the_graph() -> None:
    world = World(["a"])
    graph = graph_of("return count(trigger, TTPeriod=100)")
    world.start(graph)
    for mapping in ({"count-1": "a", "cout-2": "a"}, {"count-1": "nowhere"}):
        with pytest.raises(TTError) as error:
            world.manager.replace_graph(graph, mapping=mapping)
        assert "~2" not in str(error.value)
    assert list(world.manager.process.state.graphs) == ["prog"]


# What cannot be carried.


def test_a_state_that_would_be_lost_is_refused_and_nothing_happens() -> None:
    world = World(["a"])
    world.start(ADDS)
    renamed = graph_of("n = count(trigger, TTPeriod=100)\nreturn total(same(n), TTName='sum')")
    answers = replaced(world, 250, renamed)
    dropped = replaced(world, 450, renamed, drop_state=["total-1"], watch=0)
    unknown = replaced(world, 460, renamed, drop_state=["totl-1"])
    world.run(700)
    assert "total-1 keeps state, and the new version has no SQ of this name" in str(answers[0])
    assert 'if it is sum there, call it TTName="total-1"' in str(answers[0])
    assert "--drop-state totl-1: the graph has no such SQ" in str(unknown[0])
    assert dropped[0].renamed == {"total-1": "sum"}
    assert world.values() == [1, 3, 6, 10, 5, 11]
    world.check()


def test_an_sq_whose_function_has_another_name_now_may_be_the_one_that_is_gone() -> None:
    """Two of the same parameters are told apart by nothing: of the removed ones each has one of the new ones."""
    text = """
@SQify
def NAME(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def other(y):
    global sq_state
    sq_state["y"] = y
    return y
"""
    body = "n = count(trigger, TTPeriod=100)\nreturn other(NAME(n) + NAME(n))"
    world = World(["a"])
    world.start(graph_of(body.replace("NAME", "adds"), more=text.replace("NAME", "adds")))
    renamed = graph_of(body.replace("NAME", "sums"), more=text.replace("NAME", "sums"))
    answers = replaced(world, 250, renamed)
    dropped = replaced(world, 350, renamed, drop_state=["adds-1", "adds-2"], watch=0)
    gone = replaced(world, 450, graph_of("return count(trigger, TTPeriod=100)"))
    world.run(700)
    assert 'if it is sums-1 there, call it TTName="adds-1"' in str(answers[0])
    assert 'if it is sums-2 there, call it TTName="adds-2"' in str(answers[0])
    assert dropped[0].renamed == {"adds-1": "sums-1", "adds-2": "sums-2"}
    assert "other-1 keeps state, and the new version has no such SQ" in str(gone[0])
    world.check()


CLASS = """
import dataclasses
@dataclasses.dataclass
class Kept:
    {fields}
@SQify
def keep(x):
    global sq_state
    kept = sq_state.setdefault("kept", Kept(0))
    kept.n = kept.n + x
    return kept.n
"""


def test_a_class_whose_fields_do_not_fit_is_refused_at_the_switch_and_the_old_version_goes_on() -> None:
    body = "return keep(count(trigger, TTPeriod=100))"
    old = graph_of(body, more=CLASS.format(fields="n: int"))
    new = graph_of(body, more=CLASS.format(fields="n: int\n    more: int = 0"))
    world = World(["a", "b"], delay=3)
    told = events(world)
    world.start(old, {"count-1": "a", "keep-1": "b"})
    replaced(world, 250, new)
    dropped = replaced(world, 550, new, drop_state=["keep-1"], watch=0)
    world.run(900)
    (refused,) = [event for event in told if isinstance(event, NotReplaced)]
    assert "keep-1 holds a value that does not fit its new version: a Kept with the fields n" in refused.why
    assert world.values() == [1, 3, 6, 10, 15, 6, 13, 21]
    assert world.counted("skipped") == {}
    assert dropped[0].at == 550 and list(world.manager.process.state.graphs) == ["prog~3"]
    world.check()


def test_a_new_version_that_cannot_be_placed_or_prepared_changes_nothing() -> None:
    world = World(["a"])
    world.start(ADDS)
    misplaced = graph_of("with TTConstraint(name='nowhere'):\n    return total(count(trigger, TTPeriod=100))")
    unready = graph_of(
        "return total(bad(count(trigger, TTPeriod=100)))",
        more="""
import no_module_of_this_name
@SQify
def bad(x):
    return no_module_of_this_name.f(x)
""",
    )
    answers = replaced(world, 150, misplaced), replaced(world, 250, unready)
    world.run(500)
    assert "nowhere" in str(answers[0][0]) and "of graph 'prog'," in str(answers[0][0])
    assert "no_module_of_this_name" in str(answers[1][0]), answers
    assert world.values() == [1, 3, 6, 10]
    assert list(world.manager.process.state.graphs) == ["prog"]
    world.check()


# A new version that fails.


def test_errors_that_the_old_version_did_not_have_bring_it_back_with_its_state_of_the_switch() -> None:
    bad = graph_of(
        "n = count(trigger, TTPeriod=100000)\nreturn wrong(same(n), TTName='total-1')",
        more="""
@SQify
def wrong(x):
    global sq_state
    return [][x]
""",
    )
    good = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(same(n))")
    world = World(["a", "b"], delay=3)
    told = events(world)
    world.start(good, {"count-1": "a", "same-1": "b", "total-1": "a"})
    replaced(world, 350 * MS, bad, watch=1 * S)
    world.simulation.run(1 * S)
    (back,) = [event for event in told if isinstance(event, RolledBack)]
    assert "total-1 raised" in back.why and back.outputs == 0
    instants = [token.start + 25 * MS for token in world.outputs]
    first = next(tick for tick in instants if tick >= back.at)
    assert instants == [tick for tick in range(100 * MS, 1000 * MS, 100 * MS) if tick < 350 * MS or tick >= first]
    assert first - back.at < 100 * MS, "its streams go on at the next instant"
    numbers = list(range(1, len(instants) + 1))
    assert world.values() == [sum(numbers[:n]) for n in numbers]
    assert not world.counted("skipped")
    (entry,) = world.manager.status()["graphs"]
    raised = len([tick for tick in range(100 * MS, 1000 * MS, 100 * MS) if 350 * MS < tick < first])
    assert raised and entry["counters"]["total-1"]["errors"] == raised, "what the new version has counted still counts"
    world.manager.errors.clear()
    world.manager.process.state.latest_errors.clear()
    world.check()


def test_an_old_version_runs_no_instant_that_the_new_one_has_run_which_heard_late_of_its_end() -> None:
    bad = graph_of("n = count(trigger, TTPeriod=100000)\nreturn [][n]")
    good = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(same(n))")
    world = World(["a"])
    told = events(world)
    world.start(good)
    handlers, state = world.manager.process.handlers, world.manager.process.state
    switched = handlers[RuntimeMsg.SWITCHED]

    def late(answer: Switched) -> None:
        replacement = state.replacements.get("prog")
        if replacement is not None and replacement.stage == "back":
            answer = msgspec.structs.replace(answer, fired={"count-1": replacement.changes.at + 150 * MS})
        switched(answer)

    handlers[RuntimeMsg.SWITCHED] = late
    replaced(world, 350 * MS, bad, watch=1 * S, drop_state=["total-1"])
    world.simulation.run(2 * S)
    (back,) = [event for event in told if isinstance(event, RolledBack)]
    instants = [token.start + 25 * MS for token in world.outputs if token.sq == "total-1"]
    assert instants == [t for t in range(100 * MS, 2000 * MS, 100 * MS) if t < 350 * MS or t > back.at + 150 * MS]


def test_no_output_where_the_old_version_gave_some_brings_it_back() -> None:
    silent = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(nothing(n))", more=MORE)
    world = World(["a"])
    told = events(world)
    world.start(graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(same(n))"))
    replaced(world, 950 * MS, silent, watch=1 * S)
    world.run(3 * S)
    (back,) = [event for event in told if isinstance(event, RolledBack)]
    assert "it gave no output within 1s; the old version gave 9" in back.why
    assert [token.start + 25 * MS for token in world.outputs][9:12] == [2000 * MS, 2100 * MS, 2200 * MS]
    world.check()


def test_a_new_version_of_which_nothing_is_left_is_rolled_back_all_the_same() -> None:
    """Its only ensemble dies while it is watched: nobody can say any more that it has come to rest."""
    graph = graph_of("with TTConstraint(name='a'):\n    return total(count(trigger, TTPeriod=100000))")
    world = World(["a"], delay=3, notice=1000)
    world.start(graph, {"count-1": "a", "total-1": "a"})
    world.at(970 * MS, lambda: world.faults.fail("a"))
    replaced(world, 950 * MS, graph, watch=1 * S)
    world.simulation.run(6 * S)
    assert not world.manager.process.state.replacements
    assert list(world.manager.process.state.graphs) == ["prog"]


def test_an_old_version_comes_back_to_an_ensemble_that_was_started_anew_meanwhile() -> None:
    """It died while the new version was watched, and its next start does not hold the old one."""
    more = """
@SQify
def fails_late(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    if sq_state["n"] > 25:
        raise ValueError(x)
    return x
"""
    body = "n = count(trigger, TTPeriod=100000)\nwith TTConstraint(name='b'):\n    m = {}(n, TTName='same-1')\nreturn m"
    good, bad = graph_of(body.format("same")), graph_of(body.format("fails_late"), more=more)
    world = World(["a", "b"], delay=3, notice=1000)
    told = events(world)
    world.start(good, {"count-1": "a", "same-1": "b"})
    world.at(1210 * MS, lambda: world.faults.fail("b"))
    world.at(1510 * MS, lambda: world.faults.recover("b"))
    replaced(world, 950 * MS, bad, watch=20 * S)
    world.simulation.run(8 * S)
    assert [event for event in told if isinstance(event, RolledBack)]
    assert world.outputs[-1].start > 7 * S, "it fires again"


def test_an_ensemble_that_dies_before_the_switch_ends_it_and_the_graph_heals_as_ever() -> None:
    world = World(["a", "b"], delay=3, checkpoint=100, notice=1000)
    world.start(ADDS, {"count-1": "a", "same-1": "a", "total-1": "b"})
    world.at(420, lambda: world.faults.fail("b"))
    answers = replaced(world, 450, MULTIPLIES)
    world.run(20000)
    assert answers == [None]
    assert world.told("goes on as it was: 'b' died meanwhile")
    assert world.hosts()["total-1"] == "a"
    assert world.values()[-1] > 10
    assert list(world.manager.process.state.graphs) == ["prog"]
    world.check()


def test_while_a_graph_is_replaced_it_is_neither_started_nor_changed_nor_drained_and_a_stop_ends_both() -> None:
    world = World(["a", "b"])
    world.start(ADDS, {"count-1": "a", "same-1": "a", "total-1": "a"})
    answers = replaced(world, 450, MULTIPLIES, watch=1 * S)
    refused: list[str] = []

    def try_all() -> None:
        manager = world.manager
        for act in (
            lambda: manager.execute_graph("prog"),
            lambda: manager.set_grid("prog", "count-1", period=50),
            lambda: manager.drain("a"),
            lambda: manager.replace_graph(ADDS),
            lambda: manager.instantiate_and_map_graph(ADDS),
        ):
            with pytest.raises(TTRuntimeError) as error:
                act()
            refused.append(str(error.value))
        assert [entry["name"] for entry in manager.status()["graphs"]] == ["prog (held)", "prog"]

    world.at(600, try_all)
    world.at(700, lambda: world.manager.stop_graph("prog"))
    world.run(2000)
    assert len(refused) == 5 and all("replaced" in text or "already here" in text for text in refused), refused
    assert answers == [None] and world.manager.process.state.graphs == {}
    assert world.values() == [1, 3, 6, 10, 50, 300]
    assert not world.told("goes on"), "it ends"
    world.check()


def test_messages_of_a_graph_that_was_replaced_call_it_as_people_do() -> None:
    world = World(["a"])
    world.start(ADDS, dict.fromkeys(["count-1", "same-1", "total-1"], "a"))
    only_here = graph_of("""
with TTConstraint(name="a"):
    n = count(trigger, TTPeriod=100)
return total(same(n))
""")
    replaced(world, 450, only_here, watch=0)
    world.run(2000)
    manager = world.manager
    assert [graph.name for graph in manager.process.state.graphs.values()] == ["prog~2"]
    watch: Future[str] = Future()
    manager.send_to_runtime(message(RuntimeMsg.WATCH_ARC, WatchRequest("prog", "sams-1", watch)))
    told = [str(watch.exception())]
    for act in (lambda: manager.execute_graph("prog", {"trigge": 1}), lambda: manager.drain("a")):
        with pytest.raises(TTError) as error:
            act()
        told.append(str(error.value))
    assert all("graph 'prog'" in text for text in told), told


# In a file of events, with and without generated code.


def test_a_file_of_events_replaces_the_graph_by_a_program_beside_it(tmp_path: Path) -> None:
    head = HEAD + "@GRAPHify\ndef main(trigger):\n    n = count(trigger, TTPeriod=100000)\n    return "
    (tmp_path / "prog.py").write_text(head + "total(same(n))\n")
    (tmp_path / "second.py").write_text(head + "total(same(same(n)))\n")
    (tmp_path / "third.py").write_text(head + "pair(n, total(n))\n")
    (tmp_path / "events.yaml").write_text(
        "- {at: 450ms, replace: second.py}\n- {at: 20s, replace: {program: third.py, watch: 0s}}\n"
    )
    outputs = simulate(tmp_path / "prog.py", until="30s", events=tmp_path / "events.yaml").outputs
    sums = [n * (n + 1) // 2 for n in range(1, 300)]
    assert [token.start + 25 * MS for token in outputs] == [n * 100 * MS for n in range(1, 300)]
    assert [token.value for token in outputs] == [s if n < 200 else (n, s) for n, s in enumerate(sums, 1)]
    assert {token.graph for token in outputs} == {"prog"}


# A deployment that fails on one ensemble.


def test_a_graph_is_refused_when_an_ensemble_dies_before_it_has_prepared_it_and_nothing_is_left() -> None:
    """Nothing is heard of it for 2000 ticks, and it is given up 10000 ticks later."""
    world = World(["a", "b"], notice=2000)
    request = DeployRequest(ADDS, mapping={"count-1": "a", "same-1": "b", "total-1": "a"}, reply=Future())

    def deploy() -> None:
        world.manager.send_to_runtime(message(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, request))
        assert not request.reply.done()

    world.at(100, lambda: world.faults.fail("b"))
    world.at(200, deploy)
    world.run(2000)
    assert list(world.manager.process.state.graphs) == ["prog"], "it may only be cut off"
    world.run(12200)
    assert "on b: it has gone" in str(request.reply.exception(timeout=0))
    assert world.manager.status()["graphs"] == []
    world.check()
    world.start(ADDS)
    assert set(hosts(world).values()) == {"a"}


# The reasons for which SQs are held: the lease of an ensemble that does not hear the manager, the replacement, a move.


@pytest.mark.parametrize("begin", list(permutations(["lease", "switch", "move"])), ids=" ".join)
@pytest.mark.parametrize("end", list(permutations(["lease", "switch", "move"])), ids=" ".join)
@pytest.mark.parametrize("hold", [False, True], ids=["streams", "all"])
def test_a_graph_held_for_several_reasons_goes_on_when_all_have_ended(
    begin: tuple[str, ...], end: tuple[str, ...], hold: bool
) -> None:
    world = World(["a"])
    world.start(ADDS)
    world.run(250)
    site = world.simulation.sites["a"]
    host, switching = site.host, site.duties.switching
    assert host is not None
    (context,) = host.contexts.values()
    every = set(context.syncs)
    begins: dict[str, Callable[[], object]] = {
        "lease": host.hold,
        "switch": lambda: switching.switch(Switch("prog", 0, 1, hold=hold)),
        "move": lambda: context.hold(["total-1"]),
    }
    ends: dict[str, Callable[[], object]] = {
        "lease": host.release,
        "switch": lambda: switching.switch(Switch("prog", 0, cancel=True)),
        "move": lambda: context.release(["total-1"]),
    }
    held = {"lease": every, "switch": every if hold else {"count-1"}, "move": {"total-1"}}
    assert every == {"count-1", "same-1", "total-1"} and not context.held
    for at, why in enumerate(begin, 1):
        begins[why]()
        assert context.held == set().union(*(held[each] for each in begin[:at]))
    for at, why in enumerate(end, 1):
        ends[why]()
        assert context.held == set().union(*(held[each] for each in end[at:])), "those still hold them"
    outputs = len(world.outputs)
    world.run(1000)
    assert len(world.outputs) > outputs


def test_a_switch_that_is_taken_back_before_its_tick_holds_nothing() -> None:
    world = World(["a"])
    world.start(ADDS)
    world.run(250)
    site = world.simulation.sites["a"]
    assert site.host is not None
    (context,) = site.host.contexts.values()
    site.duties.switching.switch(Switch("prog", 500))
    world.run(300)
    site.duties.switching.switch(Switch("prog", 0, cancel=True))
    world.run(1000)
    assert context.held == set() and len(world.outputs) == 9


def test_a_question_that_comes_before_its_tick_is_answered_at_that() -> None:
    """The clock of an ensemble may be behind the manager's by more than a message takes."""
    world = World(["a"])
    world.start(ADDS)
    world.run(250)
    site = world.simulation.sites["a"]
    assert site.host is not None
    (context,) = site.host.contexts.values()
    told: list[tuple[int, Switched]] = []
    site.duties.switching._tell = lambda kind, answer: told.append((world.env.now, answer))
    site.duties.switching.switch(Switch("prog", 350, 7))
    world.run(349)
    assert not told and not context.held
    world.run(500)
    ((tick, answer),) = told
    assert (tick, answer.round, answer.fired) == (350, 7, {"count-1": 300}) and context.held == {"count-1"}
