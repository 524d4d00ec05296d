"""Draining loses nothing: after any moves at any times, outputs are those of an undisturbed run."""

from __future__ import annotations

import random
from typing import Any

import pytest
import simpy
from hypothesis import given, note, settings
from hypothesis import strategies as st
from oracle import Node, run
from test_oracle import as_graph
from world import MANAGER, MS, S, World, graph_of

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.engine.agenda import Agenda
from ticktalk.errors import TTMappingError, TTRuntimeError
from ticktalk.graph.sq import TTDestination
from ticktalk.hosted import checkpoints
from ticktalk.hosted.asked_senders import AskedSenders
from ticktalk.hosted.moves import Moves
from ticktalk.manager.heal import Heal
from ticktalk.payloads import Checkpoint, Handed, HowFar, InstanceState, SoFar
from ticktalk.simulation import network as simulated_network
from ticktalk.simulation.faults import Faults

NAMES = ["a", "b", "c", "d"]


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    """Streams and their consumers. No token overlaps two of one port: order of arrival decides nothing."""
    nodes = []
    period = draw(st.integers(4, 12))
    for index in range(draw(st.integers(1, 3))):
        nodes.append(
            Node(
                f"s{index}-1",
                period=period,
                phase=draw(st.integers(0, period - 1)),
                width=draw(st.integers(1, period // 2)),
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
            )
        )
    return nodes


def drain_when_possible(world: World, name: str) -> None:
    """Drain an ensemble, as soon as no other drain moves its graph."""
    try:
        world.manager.drain(name)
    except TTRuntimeError as error:
        assert "is on the move" in str(error)
        world.at(world.simulation.now() + 1, lambda: drain_when_possible(world, name))


def run_drained(
    nodes: list[Node], delay: int, drains: list[tuple[int, str]], hosts: dict[str, str], checkpoint: int, until: int
) -> World:
    """The network of `nodes` on `hosts`, where ensembles are drained at these ticks."""
    world = World(
        sorted({*hosts.values(), *(name for _, name in drains)} - {MANAGER}), delay=delay, checkpoint=checkpoint
    )
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]  # the streams are driven by the trigger itself
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    world.start(graph, hosts)
    for tick, name in drains:
        world.at(tick, lambda name=name: drain_when_possible(world, name))
    return world.run(until)


def test_an_output_of_the_new_host_waits_for_those_of_the_old_one_at_its_tick() -> None:
    """Outputs on the manager's own ensemble take no time; those of the old host arrive at that very tick."""
    nodes = [Node("s0-1", [], 3, False, 10, 0, 1, 1, False), Node("f0-1", [0], 0, False, 0, 0, 0, 100, False)]
    hosts = {"s0-1": MANAGER, "f0-1": "a"}
    world = run_drained(nodes, 20, [(31, "a")], hosts, 0, 310)
    assert [token.start for token in world.outputs][:4] == [10, 30, 40, 60]


@settings(max_examples=200)
@given(
    networks(),
    st.sampled_from([0, 0, 1, 3, 20]),
    st.lists(st.tuples(st.integers(0, 70), st.sampled_from(NAMES)), min_size=1, max_size=3, unique_by=lambda d: d[1]),
    st.randoms(use_true_random=False),
)
def test_drained_at_any_tick_the_outputs_are_those_of_the_oracle(
    nodes: list[Node], delay: int, drains: list[tuple[int, str]], choice: random.Random
) -> None:
    """Every arc keeps its order. So wherever ways of different length meet, sets are complete in the order they had.

    Tokens that waited behind others can arrive together. Which set is first at one tick says nothing then.
    """
    meet = delay and any(len(node.inputs) > 1 for node in nodes)
    for node in nodes:
        node.stateful = node.stateful and not meet
    expected, _ = run(nodes, 100, 101, 10**9)
    hosts = {node.name: choice.choice([*NAMES, MANAGER]) for node in nodes}
    note(f"hosts: {hosts}")
    world = run_drained(nodes, delay, drains, hosts, choice.choice([0, 7]), 100 + 10 * (delay + 1))
    outputs = sorted(world.outputs, key=lambda token: (token.arrival, token.start)) if meet else world.outputs
    found = [(token.sq, token.value, token.start, token.stop) for token in outputs]
    for name in {node.name for node in nodes}:
        # For every SQ, the results of the first 100 ticks come first, on all arcs with a delay.
        wanted = [token for token in expected if token[0] == name]
        assert [token for token in found if token[0] == name][: len(wanted)] == wanted
    for _, name in drains:
        assert name not in world.hosts("net").values()
        assert name not in world.manager.ensembles
    for kind in ("lost", "stale", "skipped", "out_of_order", "errors"):
        assert not world.counted(kind, "net")
    world.check()


def outputs(program: str, hosts: dict[str, str], drain: str | None, delay: int = 0, more: str = "") -> World:
    world = World(["a", "b", "c"], delay=delay)
    world.start(graph_of(program, more=more), hosts)
    if drain is not None:
        world.at(3100 * MS, lambda: world.manager.drain(drain))
    world.run(6 * S)
    world.check()
    return world


@pytest.mark.parametrize("delay", [0, 300 * MS])
def test_the_state_of_an_instruction_moves_too(delay: int) -> None:
    program = "return RESAMPLE(count(trigger, TTPeriod=250000), TTPeriod=100000, order=1)"
    hosts = {"count-1": "a", "RESAMPLE-1": "b"}
    moved, still = (outputs(program, hosts, name, delay) for name in ("b", None))
    wanted = [(t.value, t.start) for t in still.outputs]
    assert [(t.value, t.start) for t in moved.outputs][: len(wanted)] == wanted  # its way is shorter now, so more came
    assert moved.outputs[-1].ensemble == "a"


@pytest.mark.parametrize("to", ["a", "b"])
def test_a_token_on_its_way_to_two_reaches_each_once(to: str) -> None:
    # One consumer is drained to where the other is (`b`), or to where the producer is (`a`).
    program = "x = count(trigger, TTPeriod=250000)\ny = total(x)\nz = same(x)\nreturn y, z"
    hosts = {"count-1": "a", "total-1": "c", "same-1": "b", "TUPLE-1": "b"}
    world = World(["a", "b", "c"] if to == "a" else ["b", "a", "c"], delay=300 * MS)
    world.start(graph_of(program), hosts)
    world.at(3100 * MS, lambda: world.manager.drain("c"))
    world.run(6 * S)
    assert world.hosts()["total-1"] == to
    values = sorted(world.values())
    assert values == [(n * (n + 1) // 2, n) for n in range(1, len(values) + 1)] and len(values) >= 20


def test_pending_deadlines_and_waiting_tokens_move_too() -> None:
    more = "@SQify\ndef otherwise(x):\n    return -x\n@SQify\ndef odd(x):\n    return x if x % 2 else TTEmpty()\n"
    program = """
tag, x = count(trigger, TTPeriod=1000000)
return TTFinishByOtherwise(odd(x), TTTimeDeadline=tag + 300000, TTPlanB=otherwise(same(x)))
"""
    names = ("count-1", "same-1", "odd-1", "otherwise-1", "ADD-1", "TTFinishByOtherwise-1")
    moved, still = (outputs(program, dict.fromkeys(names, "b"), name, 0, more) for name in ("b", None))
    assert [(t.arrival, t.value) for t in moved.outputs] == [(t.arrival, t.value) for t in still.outputs]
    # 4.1 s is between the instant and its deadline at 4.3 s.
    late = World(["a", "b"])
    late.start(graph_of(program, more=more), dict.fromkeys(names, "b"))
    late.at(4100 * MS, lambda: late.manager.drain("b"))
    late.run(6 * S)
    assert [(t.arrival, t.value) for t in late.outputs] == [(t.arrival, t.value) for t in still.outputs]
    assert late.outputs[-1].ensemble == "a" and -4 in late.values()


def test_refused_with_the_constraint_nothing_moves() -> None:
    world = World(["a", "b=camera", "c"])
    world.start(
        graph_of(
            """
with TTConstraint(name="b"):
    x = count(trigger, TTPeriod=250000)
with TTConstraint(components=["camera"]):
    y = total(x)
return same(y)
"""
        )
    )
    before = dict(world.hosts())

    def refused() -> None:
        with pytest.raises(TTRuntimeError) as raised:
            world.manager.drain("b")
        text = str(raised.value)
        assert "count-1 of graph 'prog' (wants the ensemble 'b')" in text
        assert "total-1 of graph 'prog'" in text and "camera" in text and "same-1" not in text

    world.at(1100 * MS, refused)
    for name, part in (("d", "no ensemble 'd'"), (MANAGER, "manager's own")):
        with pytest.raises(TTRuntimeError, match=part):
            world.manager.drain(name)
    world.run(2 * S)
    assert world.hosts() == before and "b" in world.manager.ensembles
    assert len(world.outputs) == 7


def test_drained_it_gets_nothing_any_more() -> None:
    world = World(["a", "b", "c"])
    world.manager.drain("c")  # hosts nothing
    assert world.manager.ensembles == ["a", "b", MANAGER]
    world.start(graph_of("return count(trigger, TTPeriod=250000)"))
    world.at(1100 * MS, lambda: world.manager.drain("a"))
    world.at(2 * S, lambda: world.start(graph_of("return same(trigger)", "other")))
    world.events("- {at: 3s, fail: b}")
    world.run(6 * S)
    assert world.hosts() == {"count-1": MANAGER} and world.hosts("other") == {"same-1": MANAGER}
    world.check()


def test_only_where_sqs_can_move() -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a")], simpy.Environment())
    with pytest.raises(TTRuntimeError, match="movable=True"):
        manager.drain("a")


def test_an_ensemble_to_which_sqs_move_is_not_drained_meanwhile() -> None:
    """The drain waits for tokens that are under way to where its SQs were."""
    world = World(["a", "b"], delay=300 * MS)
    program = "return total(count(trigger, TTPeriod=250000))"
    world.start(graph_of(program), {"count-1": "a", "total-1": "b"})

    def drain_both() -> None:
        world.manager.drain("b")
        with pytest.raises(TTRuntimeError, match="is on the move from 'b'"):
            world.manager.drain("a")

    world.at(3100 * MS, drain_both)
    world.run(6 * S)
    world.check()
    assert world.hosts() == {"count-1": "a", "total-1": "a"}
    assert world.values() == [n * (n + 1) // 2 for n in range(1, len(world.values()) + 1)] and len(world.values()) >= 20


def test_a_graph_that_is_deployed_meanwhile_is_not_placed_on_an_ensemble_being_drained() -> None:
    world = World(["a", "b"], delay=300 * MS)
    world.start(graph_of("return total(count(trigger, TTPeriod=250000))"), {"count-1": "a", "total-1": "b"})

    def deploy_meanwhile() -> None:
        world.manager.drain("b")
        with pytest.raises(TTMappingError, match="'b' is being drained"):
            world.start(graph_of('with TTConstraint(name="b"):\n    x = same(trigger)\nreturn x', "there"))
        with pytest.raises(TTMappingError, match="mapped to 'b', which is being drained"):
            world.start(graph_of("return same(trigger)", "given"), {"same-1": "b"})
        world.start(
            graph_of('with TTConstraint(name=["b", "a"]):\n    x = count(trigger, TTPeriod=250000)\nreturn x', "more")
        )

    world.at(3100 * MS, deploy_meanwhile)
    world.run(6 * S)
    assert world.manager.ensembles == ["a", MANAGER] and world.hosts("more") == {"count-1": "a"}


FAR_AND_NEAR = """
ensembles: [{name: a}, {name: b}, {name: c, cores: 2}]
links:
  - {between: [a, c], latency: 900ms}
  - {between: [b, c], latency: 1ms}
  - {default: {latency: 1ms}}
costs:
  total: {time: 20ms}
"""


def test_tokens_keep_their_order_when_their_sq_moves_nearer() -> None:
    """The arc leads from a to c, far away. Its SQ moves to b, near c, while bodies take their time."""
    program = "x = total(count(trigger, TTPeriod=250000))\nreturn same(x)"
    hosts = {"count-1": "a", "total-1": "a", "same-1": "c"}
    world = World(["b", "a", "c"], deployment=FAR_AND_NEAR)
    world.start(graph_of(program), hosts)
    world.at(3010 * MS, lambda: world.manager.drain("a"))  # a body runs
    world.run(6 * S)
    world.check()
    assert world.hosts()["total-1"] == "b"
    values = world.values()
    assert values == [n * (n + 1) // 2 for n in range(1, len(values) + 1)] and len(values) >= 22
    for kind in ("lost", "stale", "skipped", "out_of_order"):
        assert not world.counted(kind)


PARTS = """
x = count(trigger, TTPeriod=250000)
y = total(x)
return pair(y, ADD_TIME_DELAY(same(x), delay=1500000))
"""


def test_states_that_are_long_move_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the manager, and from there to the new host: with `pair`, tokens move that wait for a second and a half."""
    hosts = dict.fromkeys(("count-1", "total-1", "same-1", "ADD_TIME_DELAY-1", "pair-1"), "b")
    still = outputs(PARTS, hosts, None)
    monkeypatch.setattr(checkpoints, "LARGE", 1)
    sent: list[tuple[str, bool]] = []
    handed, place = Heal.handed, Moves.place
    monkeypatch.setattr(Heal, "handed", lambda self, told: (sent.append(("handed", told.more)), handed(self, told)))
    monkeypatch.setattr(Moves, "place", lambda self, told: (sent.append(("place", told.more)), place(self, told)))
    moved = outputs(PARTS, hosts, "b")
    assert [(t.arrival, t.value) for t in moved.outputs] == [(t.arrival, t.value) for t in still.outputs]
    assert moved.outputs[-1].ensemble == "a"
    assert sent.count(("handed", True)) >= 3 and sent.count(("handed", False)) == 1
    assert sent.count(("place", True)) >= 3


@pytest.mark.parametrize(
    ("bound", "most", "why"),
    [
        ("ticktalk.hosted.moves.LONGEST", 3, r".*-1 of graph 'prog' holds \d+ bytes"),
        ("ticktalk.saved_state.MOST_WAITING", 0, "more tokens wait at .*-1 of graph 'prog' than"),
    ],
    ids=["bytes", "tokens"],
)
def test_an_instance_that_no_message_holds_stays_where_it_is(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int, why: str
) -> None:
    """The requester is told why; the SQs go on, and move when their states are shorter."""
    hosts = dict.fromkeys(("count-1", "total-1", "same-1", "ADD_TIME_DELAY-1", "pair-1"), "b")
    still = outputs(PARTS, hosts, None)
    world = World(["a", "b", "c"])
    world.start(graph_of(PARTS), hosts)

    def refused() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(bound, most)
            with pytest.raises(TTRuntimeError, match=f"'b' is not drained: {why}"):
                world.manager.drain("b")
        assert set(world.hosts().values()) == {"b"} and "b" in world.manager.ensembles

    world.at(2100 * MS, refused)
    world.at(4100 * MS, lambda: world.manager.drain("b"))
    world.run(6 * S)
    world.check()
    assert [(t.arrival, t.value) for t in world.outputs] == [(t.arrival, t.value) for t in still.outputs]
    assert world.outputs[-1].ensemble == "a" and "b" not in world.manager.ensembles


@pytest.mark.parametrize("parts", [1, 2])
def test_a_source_that_dies_between_the_parts_of_what_it_hands_over(
    monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    """Its SQs go on from their checkpoints, all of them, not from the parts that came before."""
    monkeypatch.setattr(checkpoints, "LARGE", 1)
    handed, came = Heal.handed, []

    def until_it_dies(self: Heal, told: Handed) -> None:
        came.append(told.more)
        if len(came) <= parts:
            handed(self, told)

    monkeypatch.setattr(Heal, "handed", until_it_dies)
    world = World(["a", "b", "c"], delay=5 * MS)
    world.start(graph_of(PARTS), dict.fromkeys(("count-1", "total-1", "same-1", "ADD_TIME_DELAY-1", "pair-1"), "b"))
    world.at(3850 * MS, lambda: world.manager.drain("b"))
    world.events("- {at: 3900ms, fail: b}")
    world.run(12 * S)
    world.check()
    assert came[:parts] == [True] * parts and len(came) > parts, "the last part is not among those that came"
    assert world.manager.process.state.graphs["prog"].move is None and set(world.hosts().values()) == {"a"}
    values = [(token.value, token.ensemble) for token in world.outputs]
    assert all(total == n * (n + 1) // 2 for (total, delayed), _ in values for n in [delayed + 6]), "of one checkpoint"
    for host, first, least in (("b", 1, 8), ("a", 13, 15)):  # its last checkpoint is of 3 s, when it was at 12
        numbers = [delayed for (_, delayed), ensemble in values if ensemble == host]
        assert numbers == list(range(first, first + len(numbers))) and len(numbers) >= least


def test_a_context_that_begins_while_states_are_saved_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = dict.fromkeys(("count-1", "total-1"), "b")
    world = World(["a", "b"])
    graph = graph_of("return total(count(trigger, TTPeriod=250000))")
    world.start(graph, hosts)
    save, saved = checkpoints.Checkpoints.bodies_of, []

    def slow(self: Any, contexts: Any, sqs: Any, got: Any) -> None:
        if world.simulation.agenda.now >= 2100 * MS and "a" not in set(world.hosts().values()):
            saved.append(len(contexts))
        if len(saved) != 1:
            save(self, contexts, sqs, got)
            return
        begun = list(contexts)
        world.at(world.simulation.agenda.now + 5 * MS, lambda: world.manager.execute_graph(graph))
        world.at(world.simulation.agenda.now + 10 * MS, lambda: save(self, begun, sqs, got))

    monkeypatch.setattr(checkpoints.Checkpoints, "bodies_of", slow)
    world.at(2100 * MS, lambda: world.manager.drain("b"))
    world.run(4 * S)
    assert (saved[0], saved[-1]) == (1, 2), "they are saved again, with those of the context that began"


def movable(*ensembles: TTEnsemble, name: str = "runtime-manager") -> tuple[TTRuntimeManagerSim, list[Any]]:
    """A manager with a graph that has run for 2 s, and the hosts of its outputs."""
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), name, movable=True)
    hosts: list[Any] = []
    manager.on_output(lambda output: hosts.append(output.ensemble))
    manager.instantiate_and_map_graph(graph_of("return count(trigger, TTPeriod=100000)"))
    manager.execute_graph("prog")
    manager.sim.run(until=2 * S)
    return manager, hosts


def test_a_simulated_manager_can_be_made_so_that_sqs_move() -> None:
    manager, hosts = movable(TTEnsemble(None, "a"), TTEnsemble(None, "b"))
    manager.drain("a")
    manager.sim.run(until=3 * S)
    assert (set(hosts[:19]), set(hosts[20:])) == ({"a"}, {"b"})
    assert manager.ensembles == ["b", "runtime-manager"]


def test_the_name_of_an_ensemble_that_was_drained_is_free() -> None:
    """Its next start joins, or the same object does; before that nobody else has left it."""
    first = TTEnsemble(None, "a")
    manager, _ = movable(first)
    with pytest.raises(TTRuntimeError, match="in use"):
        TTEnsemble(None, "a", sim=manager.sim)
    manager.drain("a")
    manager.sim.run(until=3 * S)
    second = TTEnsemble(None, "a", sim=manager.sim)
    with pytest.raises(TTRuntimeError, match="in use"):
        first.join()
    manager.instantiate_and_map_graph(graph_of("return count(trigger, TTPeriod=100000)"), name="next")
    manager.execute_graph("next")
    manager.sim.run(until=4 * S)
    assert manager.process.state.graphs["next"].host_of == {"count-1": "a"}
    manager.drain("a")
    manager.sim.run(until=5 * S)
    second.join()
    with pytest.raises(TTRuntimeError, match="in use"):
        TTEnsemble(None, "a", sim=manager.sim)
    assert manager.ensembles == ["a", "runtime-manager"]
    assert not manager.counters("prog") and not manager.counters("next")


def test_it_is_too_late_to_let_sqs_move_when_a_graph_is_there() -> None:
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a")], simpy.Environment())
    manager.instantiate_and_map_graph(graph_of("return count(trigger, TTPeriod=100000)"))
    with pytest.raises(TTRuntimeError, match="a graph is here already"):
        TTRuntimeManagerSim(None, [TTEnsemble(None, "b")], manager.sim, "other", movable=True)
    with pytest.raises(TTRuntimeError, match="a graph is here already"):
        Faults(manager)
    other = TTRuntimeManagerSim(None, [TTEnsemble(None, "b")], manager.sim, "other")
    assert other.ensembles == ["b", "other"]


def test_a_second_answer_to_a_question_is_none_to_the_next_question() -> None:
    """A sender that was asked twice answers twice: how far it is now, it says when it has the next question."""
    sent: list[HowFar] = []
    senders = AskedSenders("new", lambda to, kind, asked: sent.append(asked), lambda tick, call: None, lambda far: 0)
    told: list[Any] = []
    senders.ask("prog", {"a": ["src-1/0"]}, told.append)
    senders.hurry("prog")
    first, again = (SoFar("a", "prog", {1: {"src-1/0": 3}}, asked.number) for asked in sent)
    senders.take(first)
    senders.ask("prog", {"a": ["src-1/0"]}, told.append)
    senders.take(again)
    assert told == [{1: {"src-1/0": 3}}]
    senders.take(SoFar("a", "prog", {1: {"src-1/0": 5}}, sent[-1].number))
    assert told[1:] == [{1: {"src-1/0": 5}}]


def test_an_instance_that_no_message_holds_is_left_out_of_checkpoints_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint with it would be refused as a whole, with the states of other SQs."""
    monkeypatch.setattr(InstanceState, "fits", property(lambda state: state.body is None))
    sent: list[Checkpoint] = []
    taken = Heal.checkpoint
    monkeypatch.setattr(Heal, "checkpoint", lambda self, told: (sent.append(told), taken(self, told)))
    world = World(["a", "b"])
    world.start(graph_of(PARTS), dict.fromkeys(("count-1", "total-1", "same-1", "ADD_TIME_DELAY-1", "pair-1"), "b"))
    world.run(6 * S)
    states = [(sq, state) for told in sent for sq, state in told.states.items()]
    assert "pair-1" in {sq for sq, _ in states} and all(state.fits for _, state in states)
    assert len(world.told("total-1: more tokens wait than a message may have")) == 1


def test_of_arcs_whose_tokens_have_all_arrived_the_network_remembers_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start of a graph has arcs of its own."""
    monkeypatch.setattr(simulated_network, "REMEMBERED", 10)
    agenda = Agenda()
    network = simulated_network.SimulatedNetwork(agenda)
    network.keeps_arcs_in_order = True
    for start in range(1000):
        agenda.now = start
        assert network.in_order("first", "b", 2000) == 2000
        assert network.in_order(start, "b", start + 5) == start + 5
        assert network.in_order(start, "b", start + 3) == start + 5 == network.latest(start, "b")
        assert len(network._latest) <= 20
    assert network.latest("first", "b") == 2000 and network.latest(0, "b") < agenda.now
