"""A manager that starts with the state of one that died goes on with its ensembles, which ran on meanwhile."""

from __future__ import annotations

import enum
import heapq
import json
import random
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec
import pytest
from world import MANAGER, MS, S, World, graph_of

from ticktalk.errors import InvalidMessageError, TTRuntimeError
from ticktalk.heartbeats import Voters
from ticktalk.hosted.lease import ManagerWatch, Times
from ticktalk.manager.driver import Driver
from ticktalk.manager.events import Gone
from ticktalk.manager.liveness import WATCH_PERIOD
from ticktalk.manager.outputs import Outputs
from ticktalk.manager.requests import Requests
from ticktalk.manager.saving import ChangedParts, Keeper, joined
from ticktalk.manager.state import ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, NetMsg, RuntimeMsg, SyncMsg
from ticktalk.payloads import (
    DeployRequest,
    OutputToken,
    Ping,
    Placed,
    ReadyAnswer,
    SetRequest,
    StartRequest,
    StatusRequest,
)

BODY = """
with TTConstraint(name=["b", "c"]):
    x = [total(count(trigger, TTPeriod=250000 + 1000 * i)) for i in range(3)]
with TTConstraint(name="d"):
    y = same(x[0])
with TTConstraint(name="runtime-manager"):
    z = same(x[1])
return y, z
"""


def kept_of(state: ManagerState) -> dict[str, bytes]:
    return {key: content for key, content in ChangedParts({}).of(state).items() if content is not None}


class Successor(Driver):
    """A manager that starts with a state, at a tick; the messages that it sends, and the events it tells."""

    def __init__(self, known: ManagerState, tick: int) -> None:
        self.known, self.tick = known, tick
        self.sent: list[tuple[str, enum.Enum, Any]] = []
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self.requests = Requests(MANAGER, None, lambda *sent: self.sent.append(sent), self)
        self.told: list[str] = []
        self.requests.watchers.append(lambda event: self.told.append(str(event)))
        self.state = self.requests.state
        self.requests.liveness.votes.heard_at = lambda name, tick: tick  # each that is back sends heartbeats
        self.requests.restarted()

    def now(self) -> int:
        return self.tick

    def after(self, ticks: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.tick + ticks, len(self.sent), act))

    def loses(self, name: str) -> None:
        """It has heard nothing of an ensemble for long."""
        self.state.ensembles[name].heard -= 2 * S
        self.requests.liveness.gone(name, Gone(name, 2 * S))

    def run(self, tick: int) -> None:
        while self._timers and self._timers[0][0] <= tick:
            self.tick, _, act = heapq.heappop(self._timers)
            act()
        self.tick = tick

    def resumes(self, name: str) -> None:
        info = self.state.lost[name].info
        assert self.requests.liveness.knows(info)
        self.requests.liveness.resumes(info)
        self.requests.liveness.ping(Ping(name, self.tick), self.tick)

    def of(self, *kinds: enum.Enum) -> list[tuple[str, Any]]:
        return [(to, payload) for to, kind, payload in self.sent if kind in kinds]


def kept_by(world: World) -> ManagerState:
    """The state of a manager that dies now, as it was kept; its ensembles are processes of one host."""
    known = joined(kept_of(world.manager.process.state))
    assert known is not None
    for order, ensemble in enumerate([*known.ensembles.values(), *known.lost.values()]):
        ensemble.info = msgspec.structs.replace(ensemble.info, started=1 + order, boot_id="boot")
    return known


def known_at(tick: int, eventful: bool = False) -> ManagerState:
    """The state of a manager that died at a tick, as it was kept."""
    world = World(["b", "c", "d"], delay=2 * MS)
    if eventful:
        world.events("- {at: 2s, fail: b}\n- {at: 5s, recover: b}\n")
        world.at(6 * S, lambda: world.manager.drain("c"))
    world.start(graph_of(BODY))
    world.run(tick)
    return kept_by(world)


def test_ensembles_that_come_back_keep_their_sqs_and_generations() -> None:
    before = known_at(5 * S)
    hosts = dict(before.graphs["prog"].host_of)
    successor = Successor(known_at(5 * S), 6 * S)
    state = successor.state
    assert state.awaited == ["b", "c", "d"] and not state.ensembles
    assert successor.told == [], "nothing is said of SQs that wait for ensembles which are awaited"
    with pytest.raises(TTRuntimeError, match=r"^'b' is not heard now: try again when it is back$"):
        successor.requests.heal.drain("b", lambda why: None)
    for name in ("c", "d"):
        successor.resumes(name)
        successor.run(successor.tick + 1 * S)
    assert state.awaited == ["b"]
    assert successor.of(ExecuteMsg.INSTANTIATE) == [], "nothing is placed before all are back"
    assert {to for to, start in successor.of(SyncMsg.START)} == {"c", "d"} - {
        n for n in ("c", "d") if n not in hosts.values()
    }
    successor.resumes("b")
    graph = state.graphs["prog"]
    own = {sq for sq, host in hosts.items() if host == MANAGER}
    assert own and graph.host_of == hosts
    assert graph.generations == {**before.graphs["prog"].generations, **dict.fromkeys(own, 1)}, (
        "only what lived on the manager's own ensemble ended with it"
    )
    (prepared,) = successor.of(ExecuteMsg.INSTANTIATE)
    assert prepared[0] == MANAGER and prepared[1].graph == before.graphs["prog"].graph
    successor.requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", MANAGER))
    starts = [start for to, start in successor.of(SyncMsg.START) if to == MANAGER]
    context = before.graphs["prog"].contexts[1]
    assert [(start.context, start.start_tick, start.checkpoint) for start in starts] == [
        (1, context.start_tick, context.checkpoint)
    ]
    placements = [placement for to, placement in successor.of(SyncMsg.PLACE) if to == MANAGER]
    assert placements[-1].states[1].keys() >= own & context.checkpoints.keys()
    assert successor.told[:3] == ["'c' is back", "'d' is back", "'b' is back"]


def test_an_ensemble_that_does_not_come_back_is_lost_after_the_patience_and_its_sqs_go_elsewhere() -> None:
    before = known_at(5 * S)
    hosts = before.graphs["prog"].host_of
    gone = next(host for host in hosts.values() if host in ("b", "c"))
    other = {"b": "c", "c": "b"}[gone]
    successor = Successor(known_at(5 * S), 6 * S)
    successor.resumes(other)
    successor.resumes("d")
    patience = Times().restart_patience
    successor.run(6 * S + patience - 1)
    assert [sq for sq, host in successor.state.graphs["prog"].host_of.items() if not host]
    successor.run(6 * S + patience)
    found = successor.state.graphs["prog"].host_of
    assert {sq: found[sq] for sq, host in hosts.items() if host == gone} == {
        sq: other for sq, host in hosts.items() if host == gone
    }
    assert f"'{gone}' has not come back since the manager's restart: it counts as gone" in successor.told
    assert successor.state.awaited == []


def test_a_new_start_of_an_ensemble_is_not_the_one_that_is_awaited() -> None:
    successor = Successor(known_at(5 * S), 6 * S)
    info = EnsembleInfo("b", "b", started=99, boot_id="boot")
    assert not successor.requests.liveness.knows(info)
    assert successor.requests.liveness.join(info) is None
    assert successor.state.awaited == ["c", "d"] and "b" in successor.state.ensembles
    successor.requests.liveness.left("d")
    assert successor.state.awaited == ["c"]


@pytest.mark.parametrize("seed", range(8))
def test_from_any_moment_every_sq_is_placed_once_and_no_generation_goes_back(seed: int) -> None:
    rng = random.Random(seed)
    tick = rng.randrange(100 * MS, 9 * S)
    before = known_at(tick, eventful=True)
    successor = Successor(known_at(tick, eventful=True), tick + 2 * S)
    names = list(successor.state.awaited)
    rng.shuffle(names)
    lost = names.pop() if rng.random() < 0.3 else ""
    for name in names:
        successor.resumes(name)
        successor.run(successor.tick + rng.randrange(3 * S))
    successor.run(successor.tick + 2 * Times().restart_patience)
    assert not successor.state.awaited
    graph = successor.state.graphs["prog"]
    alive = {MANAGER, *successor.state.ensembles}
    for sq in graph.graph.sqs:
        wanted = {name for constraint in sq.constraints for name in constraint.names} or alive
        assert graph.host_of[sq.name] in (wanted & alive or {""}), (lost, sq.name)
        assert graph.generations.get(sq.name, 0) >= before.graphs["prog"].generations.get(sq.name, 0)
    again = joined(kept_of(successor.state))
    assert again is not None and again.graphs["prog"].host_of == graph.host_of


def test_a_graph_that_was_being_prepared_becomes_ready() -> None:
    world = World(["b"])
    world.start(graph_of("return same(trigger)"), {"same-1": "b"})
    state = world.manager.process.state
    graph = state.graphs["prog"]
    graph.state, graph.waits_for, graph.contexts = "preparing", {"b"}, {}
    known = joined(kept_of(state))
    assert known is not None
    known.ensembles["b"].info = EnsembleInfo("b", started=1, boot_id="x")
    successor = Successor(known, 1 * S)
    waits: Future[int] = Future()
    successor.requests.handlers[RuntimeMsg.EXECUTE_GRAPH](StartRequest("prog", reply=waits))
    assert not waits.done()
    successor.resumes("b")
    ((to, deployment),) = successor.of(ExecuteMsg.INSTANTIATE)
    assert (to, deployment.graph.name) == ("b", "prog")
    successor.requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", "b"))
    assert waits.result(0) == 2, "the numbers of starts go on"


@pytest.mark.parametrize("stage", ["prepare", "expect", "drain", "hold", "hand", "try", "back"])
def test_a_replacement_that_waits_for_what_ended_with_the_manager_is_given_up(stage: str) -> None:
    """All of the graph lives on the manager's own ensemble, which has answered nothing when it dies."""
    graph = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(n)")
    world = World(["b"])
    world.start(graph, {"count-1": MANAGER, "total-1": MANAGER})
    world.at(450 * MS, lambda: world.manager.replace_graph(graph, watch=5 * S))
    world.run(1 * S)
    state = world.manager.process.state
    replacement = state.replacements["prog"]
    old, new = state.graphs[replacement.old], state.graphs[replacement.new]
    replacement.stage, replacement.waits_for = stage, {MANAGER}
    if stage != "back":
        state.versions.clear()
        old.state, new.state = "running", "preparing" if stage == "prepare" else "waiting"
    known = joined(kept_of(state))
    assert known is not None
    known.ensembles["b"].info = EnsembleInfo("b", started=1, boot_id="boot")
    successor = Successor(known, 2 * S)
    successor.resumes("b")
    if stage == "back":  # ensembles are asked how far the new version came
        successor.run(5 * S)
    assert not successor.state.replacements
    assert {name: found.state for name, found in successor.state.graphs.items()} == {"prog": "running"}
    placed = {"count-1": "b", "total-1": "b"}
    assert successor.state.graphs["prog"].host_of in (placed, dict.fromkeys(placed, MANAGER))
    assert [sent.graph.name for to, sent in successor.of(ExecuteMsg.INSTANTIATE)] == ["prog"]


def test_a_new_version_that_was_being_placed_comes_with_its_states_and_is_watched() -> None:
    """Some of its SQs may have begun: the others come as after a loss, from the states that were carried over."""
    graph = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(n)")
    world = World(["b"])
    world.start(graph, {"count-1": "b", "total-1": "b"})
    world.at(450 * MS, lambda: world.manager.replace_graph(graph, watch=5 * S))
    world.run(460 * MS)
    state = world.manager.process.state
    replacement = state.replacements["prog"]
    old, new = state.graphs[replacement.old], state.graphs[replacement.new]
    replacement.stage, replacement.waits_for = "place", {"b"}
    state.versions.clear()
    old.state, new.state = "held", "waiting"
    carried = new.contexts[2].checkpoints
    assert sorted(carried) == ["count-1", "total-1"]
    known = joined(kept_of(state))
    assert known is not None
    known.ensembles["b"].info = EnsembleInfo("b", started=1, boot_id="boot")
    successor = Successor(known, 2 * S)
    successor.resumes("b")
    assert successor.state.replacements["prog"].stage == "watch" and successor.state.versions == {"prog": "prog~2"}
    states = {name: found.state for name, found in successor.state.graphs.items()}
    assert states == {"prog": "held", "prog~2": "running"}
    ((to, placement),) = [sent for sent in successor.of(SyncMsg.PLACE) if sent[1].states]
    assert (to, placement.graph, placement.states[2]) == ("b", "prog~2", carried)
    assert successor.of(SyncMsg.STOP) == []
    successor.state.graphs["prog~2"].contexts[2].outputs = {"b": 5}
    successor.run(9 * S)
    assert list(successor.state.graphs) == ["prog~2"] and not successor.state.replacements


@pytest.mark.parametrize("outputs", [0, 5])
def test_a_new_version_is_watched_anew_when_its_manager_was_away_for_longer_than_that(outputs: int) -> None:
    """Its ensemble holds the outputs until it is back, five seconds after the end of the first watch."""
    graph = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(n)")
    world = World(["b"])
    world.start(graph, {"count-1": "b", "total-1": "b"})
    world.at(950 * MS, lambda: world.manager.replace_graph(graph, watch=1 * S))
    world.run(960 * MS)
    state = world.manager.process.state
    assert state.replacements["prog"].stage == "watch" and state.replacements["prog"].before >= 9
    known = joined(kept_of(state))
    assert known is not None
    known.ensembles["b"].info = EnsembleInfo("b", started=1, boot_id="boot")
    successor = Successor(known, 6 * S)
    successor.run(7 * S + 500 * MS)
    successor.resumes("b")
    successor.run(8 * S)
    assert successor.state.replacements["prog"].stage == "watch", "its ensemble has not been back for so long"
    successor.state.graphs["prog~2"].contexts[2].outputs = {"b": outputs}
    successor.run(9 * S)
    if outputs:
        assert not successor.state.replacements
        assert {name: found.state for name, found in successor.state.graphs.items()} == {"prog~2": "running"}
    else:
        replacement = successor.state.replacements["prog"]
        assert (replacement.stage, replacement.why[:31]) == ("back", "it gave no output within 1s; th")


# What no other could host.


def cut_off_with_what_no_other_could_host() -> Successor:
    """A manager of `b`, which alone could host `count-1`, and `c`; `b` is lost, and `e` has joined, which could too."""
    world = World(["b=gpu", "c"])
    body = "with TTConstraint(components=['gpu']):\n    x = count(trigger, TTPeriod=250000)\nreturn same(x)"
    for name in ("prog", "other"):
        world.start(graph_of(body, name), {"count-1": "b", "same-1": "c"})
    world.run(2 * S)
    successor = Successor(kept_by(world), 3 * S)
    for name in ("b", "c"):
        successor.resumes(name)
    assert successor.state.graphs["prog"].alone["b"] == ["count-1"]
    successor.loses("b")
    info = msgspec.structs.replace(successor.state.lost["b"].info, name="e", started=9)
    assert successor.requests.liveness.join(info) is None
    assert successor.state.graphs["prog"].host_of["count-1"] == ""
    return successor


@pytest.mark.parametrize("answers", [False, True])
def test_an_ensemble_that_is_lost_again_before_it_heard_that_another_could_host_its_sqs_keeps_them(
    answers: bool,
) -> None:
    successor = cut_off_with_what_no_other_could_host()
    successor.resumes("b")
    graph = successor.state.graphs["prog"]
    assert graph.host_of["count-1"] == "b"
    placement = [placement for to, placement in successor.of(SyncMsg.PLACE) if to == "b"][-1]
    assert placement.alone == []
    if answers:
        successor.requests.handlers[RuntimeMsg.PLACED](Placed("prog", "b", [], told=placement.told))
    successor.loses("b")
    assert graph.host_of["count-1"] == ("e" if answers else "")


def test_of_each_graph_it_is_told_what_could_go_on_elsewhere() -> None:
    told = cut_off_with_what_no_other_could_host().told
    found = [each.partition(" may still run on 'b'")[0] for each in told if "may still run on 'b'" in each]
    assert sorted(found) == ["graph 'other': count-1", "graph 'prog': count-1"]


def test_sqs_that_an_ensemble_kept_go_elsewhere_when_it_says_that_it_ends() -> None:
    """Its farewell may be the first that is heard of it after a cut."""
    successor = cut_off_with_what_no_other_could_host()
    successor.requests.handlers[RuntimeMsg.LEAVE]("b")
    assert successor.state.graphs["prog"].host_of["count-1"] == "e"


def test_an_answer_to_a_drain_that_was_given_up_does_not_count_for_the_next_one() -> None:
    world = World(["b", "c", "d"])
    graph = graph_of("return same(count(trigger, TTPeriod=250000))")
    world.start(graph, {"count-1": "b", "same-1": "c"})
    world.run(1 * S)
    successor = Successor(kept_by(world), 2 * S)
    for name in ("b", "c", "d"):
        successor.resumes(name)
    state, placed = successor.state.graphs["prog"], successor.requests.handlers[RuntimeMsg.PLACED]

    def drain() -> list[tuple[str, Any]]:
        successor.sent.clear()
        successor.requests.heal.drain("b", lambda problem: None)
        for to, _ in successor.of(ExecuteMsg.INSTANTIATE):
            successor.requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", to))
        return successor.of(SyncMsg.EXPECT)

    first = drain()
    assert {to for to, _ in first} == {"b", "c"} and not any(expect.sqs for _, expect in first)
    assert state.move is not None
    receiver = state.move.to["count-1"]
    successor.requests.liveness.gone(receiver, Gone(receiver, 1))
    assert state.move is None, "it is given up"
    successor.resumes(receiver)
    successor.run(successor.tick + 5 * S)
    again = drain()
    for answers in (first, again):
        assert state.move is not None and not state.move.expected
        for to, expect in answers:
            placed(Placed("prog", to, [], None, True, {}, expect.told))
    assert state.move is not None and state.move.expected


def test_an_ensemble_that_was_not_told_of_the_end_of_a_graph_is_told_when_it_comes_back() -> None:
    """The manager dies when it has written that, and before the message has left. Another graph has its name again."""
    world = World(["b", "c"])
    for name in ("prog", "other"):
        world.start(graph_of("return same(count(trigger, TTPeriod=250000))", name), {"count-1": "b", "same-1": "c"})
    world.at(1 * S, lambda: world.manager.stop_graph("prog"))
    world.at(1 * S, lambda: world.manager.stop_graph("other"))
    again = graph_of("return same(count(trigger, TTPeriod=250000))", "other")
    world.at(1 * S + 1, lambda: world.start(again, {"count-1": "b", "same-1": "c"}))
    world.run(2 * S)
    successor = Successor(kept_by(world), 3 * S)
    successor.resumes("b")
    assert [(to, stop.graph) for to, stop in successor.of(SyncMsg.STOP)] == [("b", "prog")]


# Written before it is acted on.


class Writing(Driver):
    """A manager whose store writes when a test says so."""

    keeps_state = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, enum.Enum, Any]] = []
        self.disk: dict[str, bytes] = {}
        self._writes: list[tuple[Any, Callable[[], None]]] = []
        self._soon: list[Callable[[], None]] = []
        self.requests = Requests(MANAGER, None, lambda *sent: self.sent.append(sent), self)
        self.keeper = Keeper(self.requests.state, {}, self, self._soon.append)

    def when_written(self, act: Callable[[], None]) -> None:
        self.keeper.when_written(act)

    def write(self, changes: Any, then: Callable[[], None]) -> None:
        self._writes.append((changes, then))

    def turn_ends(self) -> None:
        soon, self._soon[:] = self._soon[:], []
        for act in soon:
            act()

    def disk_writes(self) -> None:
        while self._writes:
            changes, then = self._writes.pop(0)
            self.disk.update({key: content for key, content in changes.items() if content is not None})
            for key in [key for key, content in changes.items() if content is None]:
                self.disk.pop(key)
            then()

    def ask(self, kind: enum.Enum, request: Any) -> Future[Any]:
        request.reply = Future()
        self.requests.handlers[kind](request)
        self.turn_ends()
        reply: Future[Any] = request.reply
        return reply


def test_no_message_tells_of_a_change_that_is_not_written() -> None:
    manager = Writing()
    liveness = manager.requests.liveness
    for name in ("a", "b"):
        liveness.join(EnsembleInfo(name))
    manager.turn_ends()
    assert manager.sent == []
    manager.disk_writes()
    assert {to for to, kind, _ in manager.sent if kind is NetMsg.ROUTE} == {MANAGER, "a", "b"}
    graph = graph_of("return same(count(trigger, TTPeriod=250000))")
    deployed = manager.ask(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(graph))
    before = len(manager.sent)
    manager.disk_writes()
    assert len(manager.sent) > before
    for name in list(manager.requests.state.graphs["prog"].waits_for):
        manager.requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", name))
    manager.turn_ends()
    assert not deployed.done(), "its requester is told when it is written"
    manager.disk_writes()
    assert deployed.done()
    started = manager.ask(RuntimeMsg.EXECUTE_GRAPH, StartRequest("prog"))
    changed = manager.ask(RuntimeMsg.SET_GRID, SetRequest("prog", "count-1", period=100_000))
    before = len(manager.sent)
    assert not started.done() and not changed.done()
    read = manager.ask(RuntimeMsg.STATUS, StatusRequest())
    assert read.done(), "who only looks waits for no disk"
    liveness.ping(Ping("a", 0, voters=liveness.votes.present.number), 0)
    assert [kind for _, kind, _ in manager.sent[before:]] == [NetMsg.PONG], "nor does a heartbeat"
    known = joined(manager.disk)
    assert known is not None and known.graphs["prog"].contexts == {}
    manager.disk_writes()
    assert started.result(0) == 1 and changed.done()
    known = joined(manager.disk)
    assert known is not None and list(known.graphs["prog"].contexts) == [1]
    kinds = [kind for _, kind, _ in manager.sent[before:]]
    assert kinds.index(SyncMsg.START) < kinds.index(SyncMsg.SET_GRID), "in the order in which it was decided"


def test_no_heartbeat_of_an_ensemble_that_is_back_is_answered_before_its_orders_are_written() -> None:
    manager = Writing()
    liveness = manager.requests.liveness
    for name in ("a", "b"):
        liveness.join(EnsembleInfo(name))
    graph = graph_of("return same(count(trigger, TTPeriod=250000))")
    manager.ask(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(graph, mapping={"count-1": "a", "same-1": "b"}))
    for name in ("a", "b"):
        manager.requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", name))
    manager.turn_ends()
    manager.disk_writes()
    liveness.gone("a", Gone("a", 2 * S))
    manager.turn_ends()
    manager.disk_writes()
    manager.sent.clear()
    for asked in (1, 2):  # a link that is whole again brings several
        liveness.ping(Ping("a", asked, voters=liveness.votes.present.number), 0)
    assert manager.sent == []
    manager.turn_ends()
    manager.disk_writes()
    kinds = [kind for to, kind, _ in manager.sent if to == "a"]
    assert kinds[-2:] == [NetMsg.PONG] * 2 and SyncMsg.PLACE in kinds[:-2]
    liveness.ping(Ping("a", 3, voters=liveness.votes.present.number), 0)
    assert manager.sent[-1][1] is NetMsg.PONG and manager.sent[-1][2].asked == 3, "later ones wait for no disk"


def test_a_revoked_ensemble_is_told_so_before_the_disk_has_written_it() -> None:
    """The manager forgets its keys at once: after that nothing can be sent there."""
    manager = Writing()
    manager.requests.liveness.join(EnsembleInfo("a"))
    manager.requests.liveness.expelled("a", "its certificate was revoked")
    assert ("a", NetMsg.REFUSED, "its certificate was revoked") in manager.sent


# The lease.


def test_an_ensemble_is_awaited_until_it_has_sent_a_heartbeat_to_the_next_manager() -> None:
    successor = Successor(known_at(5 * S), 6 * S)
    liveness = successor.requests.liveness
    liveness.resumes(successor.state.lost["b"].info)
    assert successor.state.awaited == ["b", "c", "d"], "the answer may be lost: it goes on as if no manager were there"
    liveness.ping(Ping("b", 6 * S), 6 * S)
    assert successor.state.awaited == ["c", "d"]


def test_the_lease_of_an_ensemble_that_was_taken_back_counts_from_then_on() -> None:
    watch, lease = ManagerWatch(0), Times().lease
    watch.nobody(1_000_000)
    assert not watch.holds(3_000_000)
    watch.found(2_600_000, 3_000_000)
    assert not watch.holds(3_000_000 + lease - 1)
    assert watch.holds(3_000_000 + lease)


@pytest.mark.parametrize("lost_answers", [0, 1])
def test_an_ensemble_that_is_taken_back_late_is_given_up_after_its_lease(lost_answers: int) -> None:
    """It goes on as others do not hear the manager either. A last answer reaches it, and stood still with it before."""
    successor, watch = Successor(known_at(5 * S), 6 * S), ManagerWatch(0)
    liveness, graph, lost = successor.requests.liveness, successor.state.graphs["prog"], successor.state.lost
    b = lost["b"].info
    asked = successor.tick + Times().restart_patience - 10 * MS
    questions = [asked + 1800 * MS * again for again in range(lost_answers + 1)]
    (sq, *_) = [sq for sq, host in known_at(5 * S).graphs["prog"].host_of.items() if host == "b"]
    for tick in range(7 * S, 25 * S, 10 * MS):
        successor.run(tick)
        for name in ("c", "d"):
            if name in lost:
                successor.resumes(name)
            liveness.ping(Ping(name, tick), tick)
        if questions and tick >= questions[0]:
            liveness.resumes(b)
            asked = questions.pop(0)
        if tick % WATCH_PERIOD == 0:
            liveness.watch()
        if graph.host_of[sq] == "c":
            break
    watch.found(asked, tick)
    assert not questions and watch.holds(tick), "its SQs go elsewhere only when it holds them"
    assert watch.heard < tick, "the answer was taken long after it came, and does not tell of then"


def test_where_no_manager_listens_an_ensemble_goes_on_until_the_next_one_would_place_its_sqs_elsewhere() -> None:
    times = Times()
    watch = ManagerWatch(0)
    watch.voters = Voters(1, ["a", "b", "c"])
    assert not watch.holds(times.lease - 1)
    watch.nobody(1_000_000)
    for name in ("b", "c"):
        watch.told(name, 0, times.lease, times.lease)  # others may see the next manager already, which awaits this one
    assert not watch.holds(times.lease)
    watch.nobody(3_000_000)
    assert not watch.holds(3_000_000 + times.restart_lease - 1)
    assert watch.holds(3_000_000 + times.restart_lease)
    assert times.restart_lease < times.restart_patience, "a manager that starts later waits longer than that"
    watch.nobody(20_000_000)
    assert watch.held, "what is held may have been placed elsewhere by a manager that died since"
    assert watch.pong(20_000_000, 20_000_100), "what is held goes on"
    assert watch.holds(20_000_000 + times.lease), "heard again: the lease is the usual one"


# The log of outputs.


@pytest.mark.parametrize(("cut", "name"), [(0, "prog"), (1, "prog"), (25, "prog"), (0, "prog~2")])
def test_lines_that_were_written_after_the_state_count_and_a_piece_of_one_is_cut_off(
    cut: int, name: str, tmp_path: Path
) -> None:
    """The manager dies when the log has more than the state; the last line is there but for `cut` bytes.

    The graph may be the second version of itself: then lines have the name that people know.
    """
    log = tmp_path / "out.jsonl"
    log.write_text("a line of before\n")
    known = known_at(5 * S)
    if name != "prog":
        graph = known.graphs[name] = known.graphs.pop("prog")
        graph.graph, graph.version_of = msgspec.structs.replace(graph.graph, name=name), "prog"
        known.versions["prog"] = name

    def output(value: int, ensemble: str = "d") -> OutputToken:
        return OutputToken(name, value, value, value + 1, "same-1", ensemble, 1)

    first = Outputs(known, str(log))
    known.graphs[name].hosted_before["same-1"] = [MANAGER]  # from where it has moved
    context = known.graphs[name].contexts[1]
    context.outputs.clear()
    first.begin(context)
    for value in range(3):
        first.take(output(value), 5)
    known.taken["d"] = 3
    first.mark()
    died = joined(kept_of(known))
    assert died is not None and died.log_size == log.stat().st_size
    for value in range(3, 6):
        first.take(output(value), 6)
    first.take(output(6, MANAGER), 6)
    first.take(output(7), 6)
    first.close()
    content = log.read_bytes()
    log.write_bytes(content[: len(content) - cut])
    successor = Outputs(died, str(log))
    successor.begin(died.graphs[name].contexts[1])
    successor.recover()
    assert died.taken == {"d": 3}, "the ensemble sends again what came after the state was written"
    assert died.graphs[name].contexts[1].outputs == {"d": 6 if cut else 7, MANAGER: 1}
    again = [output(value) for value in (3, 4, 5, 7, 8)]
    for token in again[:2]:
        successor.take(token, 7)
    kept = kept_of(died)  # it dies once more, when some have come again
    last = joined(kept)
    assert last is not None
    last.log_size = log.stat().st_size
    third = Outputs(last, str(log))
    third.begin(last.graphs[name].contexts[1])
    third.recover()
    for token in again[2:]:
        third.take(token, 8)
    assert last.graphs[name].contexts[1].outputs == {"d": 8, MANAGER: 1} and not last.logged
    third.close()
    rows = [json.loads(line) for line in log.read_text().splitlines()[1:]]
    assert [row["value"] for row in rows] == list(range(9)), "each once, and each line whole"


def test_an_output_that_was_refused_lets_no_other_come_twice(tmp_path: Path) -> None:
    """It has no line, and its number counts: so the number of lines is not that of outputs taken."""
    log = tmp_path / "out.jsonl"
    known = known_at(5 * S)
    context = known.graphs["prog"].contexts[1]
    context.outputs.clear()
    known.graphs["prog"].hosted_before["same-1"] = ["d"]

    def output(value: int) -> OutputToken:
        sq = "count-1" if value % 4 == 1 else "same-1"  # `d` does not host count-1, as it says falsely
        return OutputToken("prog", value, value, value + 1, sq, "d", 1)

    def take(outputs: Outputs, values: range) -> None:
        for value in values:
            try:
                outputs.take(output(value), value)
            except InvalidMessageError:
                assert value % 4 == 1

    first = Outputs(known, str(log))
    first.begin(context)
    died = joined(kept_of(known))
    assert died is not None
    take(first, range(10))
    first.close()
    successor = Outputs(died, str(log))
    successor.begin(died.graphs["prog"].contexts[1])
    successor.recover()
    take(successor, range(14))
    successor.close()
    values = [json.loads(line)["value"] for line in log.read_text().splitlines()]
    assert values == [value for value in range(14) if value % 4 != 1]
    assert died.graphs["prog"].contexts[1].outputs == {"d": len(values)}


def test_an_output_with_half_a_surrogate_pair_does_not_come_twice_either(tmp_path: Path) -> None:
    """Its line is JSON as Python writes and reads it, which a strict reader does not take."""
    log, known = tmp_path / "out.jsonl", known_at(5 * S)
    known.graphs["prog"].contexts[1].outputs.clear()
    outputs = [OutputToken("prog", f"{i} \udcff", i, i + 1, "same-1", "d", 1) for i in range(3)]
    for state in (known, joined(kept_of(known))):
        assert state is not None
        taken = Outputs(state, str(log))
        taken.begin(state.graphs["prog"].contexts[1])
        taken.recover()
        for output in outputs:
            taken.take(output, 0)
        taken.close()
        assert state.graphs["prog"].contexts[1].outputs == {"d": len(outputs)}
    assert [json.loads(line)["value"] for line in log.read_text().splitlines()] == [each.value for each in outputs]


def test_a_log_that_was_taken_away_meanwhile_counts_nothing(tmp_path: Path) -> None:
    known = known_at(5 * S)
    known.log_size = 10_000
    outputs = Outputs(known, str(tmp_path / "new.jsonl"))
    outputs.recover()
    outputs.mark()
    assert known.taken == {} and known.log_size == 0
    outputs.close()
