"""The manager's state is one tree of data: it can be encoded at any time, amid losses and drains, and comes back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from world import MS, S, World, graph_of

import ticktalk
from ticktalk.errors import InvalidMessageError, TTInputError, TTRuntimeError
from ticktalk.manager import events as ev
from ticktalk.manager import saving
from ticktalk.manager.events import Gone, GraphDone, LeftOut, Moved
from ticktalk.manager.saving import ChangedParts, joined
from ticktalk.manager.state import EnsembleState, ManagerState, MoveState
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import Handed, IdleReport, InstanceState, OutputToken, Place, ProfileRequest, WorkerDeath
from ticktalk.replacement import Changes

BODY = """
with TTConstraint(name=["b", "c", "d"]):
    x = [total(count(trigger, TTPeriod=250000 + 1000 * i)) for i in range(4)]
with TTConstraint(name="e"):
    y = same(x[0])
late = pair(x[1], x[2])
return y, late
"""


def again(state: ManagerState) -> ManagerState:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ManagerState)


def as_kept(state: ManagerState) -> ManagerState:
    """A state without what a restarted manager learns anew, or does without."""
    for name, ensemble in state.ensembles.items():
        state.ensembles[name] = EnsembleState(ensemble.info)
    for graph in state.graphs.values():
        graph.rows, graph.rows_length = [], 0
    return state


@pytest.mark.parametrize("delay", [0, 3 * MS])
def test_the_state_is_whole_at_any_time(delay: int) -> None:
    world = World(("b", "c", "d", "e=gpu"), delay=delay)
    state = world.manager.process.state
    world.events("- {at: 3s, fail: b}\n- {at: 6s, cut: [e, runtime-manager]}\n- {at: 9s, heal: [e, runtime-manager]}\n")
    seen: list[dict[str, Any]] = []
    changes = ChangedParts({})
    kept: dict[str, bytes] = {}
    written: list[int] = []

    def look() -> None:
        decoded = again(state)
        assert decoded == state
        new = changes.of(state)
        written.append(len(new))
        for key, content in new.items():
            if content is None:
                del kept[key]
            else:
                kept[key] = content
        assert joined(kept) == as_kept(decoded)
        assert ChangedParts({}).of(state) == kept and changes.of(state) == {}
        (graph,) = decoded.graphs.values()
        seen.append(
            {
                "lost": list(decoded.lost),
                "waits": [sq for sq, host in graph.host_of.items() if not host],
                "kept": sorted(graph.contexts[1].checkpoints),
                "moves": sum(graph.generations.values()),
            }
        )

    for tick in range(100 * MS, 12 * S, 490 * MS):
        world.at(tick, look)
    world.at(5 * S, lambda: world.manager.drain("c"))
    graph = graph_of(BODY)
    world.start(graph)
    world.run(12 * S)
    look()
    assert {tuple(each["lost"]) for each in seen} >= {(), ("b",), ("b", "e")}
    assert any(each["waits"] for each in seen) and seen[-1]["waits"] == []
    assert seen[-1]["moves"] > 0 and len(seen[-1]["kept"]) >= 8
    world.manager.stop_graph(graph)
    assert again(state) == state and not state.graphs
    look_again = joined({key: content for key, content in ChangedParts({}).of(state).items() if content is not None})
    assert look_again == as_kept(again(state))
    assert min(written[1:]) < max(written) / 2, "what is as it was is not written again"


class Encoder:
    """Counts what it encodes."""

    def __init__(self) -> None:
        self.count = 0

    def encode(self, content: Any) -> bytes:
        self.count += 1
        return msgspec.msgpack.encode(content)


def test_starts_that_have_ended_are_encoded_again_only_when_something_of_them_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(["b", "c"])
    manager, state = world.manager, world.manager.process.state
    manager.instantiate_and_map_graph(graph_of("return same(count(trigger, TTPeriod=250000))"))
    changes, kept, encoder = ChangedParts({}), dict[str, bytes](), Encoder()
    monkeypatch.setattr(saving, "_encoder", encoder)

    def encoded() -> int:
        before = encoder.count
        for key, content in changes.of(state).items():
            if content is None:
                del kept[key]
            else:
                kept[key] = content
        count = encoder.count - before
        assert ChangedParts({}).of(state) == kept
        return count

    counts = []
    for _ in range(30):
        number = manager.execute_graph("prog", length=1 * S)
        manager.process.requests.reports.end(state.graphs["prog"], state.graphs["prog"].contexts[number])
        encoded()
        state.starts += 1
        counts.append(encoded())
    assert counts[0] == counts[-1] < 10, "thirty starts that have ended cost as much as one"
    graph, first = state.graphs["prog"], next(iter(state.graphs["prog"].contexts.values()))
    handlers = manager.process.requests.handlers
    late = OutputToken("prog", 1, 1, 2, "same-1", "b", first.number)
    manager.process.requests.outputs.take(late, 1)
    assert encoded() > 30, "an output that comes late"
    report = IdleReport("prog", first.number, "b", first.completion.round, "", {}, {}, 1, {"same-1": {"late": 3}})
    handlers[RuntimeMsg.REPORT](report)
    assert encoded() > 30, "a report that comes late"
    handlers[RuntimeMsg.PROFILE](ProfileRequest("prog"))
    assert encoded() > 30, "costs that are asked for"
    manager.process.requests.liveness.gone("b", Gone("b", 1))
    assert encoded() > 30, "an ensemble that goes"
    manager.process.requests.liveness.back("b")
    assert encoded() > 30, "and comes back"
    manager.stop_graph(graph.name)
    encoded()
    assert not any("prog" in key for key in kept)


@pytest.mark.parametrize(
    "told", [{"work": {"none-1": (1, 0, 0, 0)}}, {"places": {"none-1": Place("main", False)}}], ids=["work", "places"]
)
def test_a_report_tells_of_no_sq_that_the_graph_does_not_have(told: dict[str, Any]) -> None:
    world = World(["b"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"), {"count-1": "b"})
    take = world.manager.process.requests.handlers[RuntimeMsg.REPORT]
    with pytest.raises(InvalidMessageError, match="none-1"):
        take(IdleReport("prog", 1, "b", 0, **told))


def test_a_start_that_has_ended_keeps_no_states_of_sqs_that_move_later() -> None:
    """An ensemble that is drained holds it still, and hands its states over, too."""
    world = World(["b", "c"])
    world.start(graph_of("return count(trigger, TTPeriod=250000)"), {"count-1": "b"})
    second = world.manager.execute_graph("prog")
    requests, graph = world.manager.process.requests, world.manager.process.state.graphs["prog"]
    requests.reports.end(graph, graph.contexts[1])
    graph.move = MoveState("b", {"count-1": "c"}, set(), expected=True, ordered=True)
    states = {"count-1": InstanceState()}
    requests.handlers[RuntimeMsg.HANDED](Handed("prog", "b", {1: states, second: states}))
    assert graph.host_of == {"count-1": "c"}
    assert (graph.contexts[1].checkpoints, graph.contexts[second].checkpoints) == ({}, states)


def test_a_state_of_which_a_part_is_missing_or_is_none_is_refused() -> None:
    world = World(["b"])
    world.start(graph_of("return same(trigger)"))
    found = ChangedParts({}).of(world.manager.process.state)
    kept = {key: content for key, content in found.items() if content is not None}
    assert joined({}) is None and joined(kept) is not None
    for key in kept:
        for wrong in ({**kept, key: kept[key][:-1]}, {**kept, key: b"\xc1"}, {**kept, key[:-1]: b""}):
            with pytest.raises(TTRuntimeError, match="it does not hold what a manager knows"):
                joined(wrong)
    for key in ('["manager"]', '["errors"]', '["graph","prog"]', '["context","prog",1]'):
        with pytest.raises(TTRuntimeError, match="it does not hold what a manager knows"):
            joined({each: content for each, content in kept.items() if each != key})


def test_inputs_are_kept_as_they_cross_and_those_that_cannot_are_refused() -> None:
    world = World(["b"])
    more = "@SQify\ndef kind(x):\n    return type(x).__name__\n"
    body = "with TTConstraint(name='runtime-manager'):\n    return kind(x), kind(y)"
    graph = graph_of(body, more=more, inputs="x, y")
    with pytest.raises(TTInputError, match=r"input 'y': .* object has no codec"):
        world.start(graph, inputs={"x": {1: (2, 3)}, "y": object()})
    world.manager.execute_graph(graph, {"x": {1: (2, 3)}, "y": {4}})
    world.run(1 * S)
    assert world.values() == [("dict", "set")]
    (context,) = world.manager.process.state.graphs["prog"].contexts.values()
    assert (
        list(context.inputs) == ["x", "y"] and again(world.manager.process.state).graphs["prog"].contexts[1] == context
    )


def test_events_are_values_and_their_sentences_come_from_them() -> None:
    world = World(["b", "c"])
    events: list[Any] = []
    world.manager.watch(events.append)
    more = "@SQify\ndef keeps(x):\n    global sq_state\n    sq_state['lock'] = open\n    return x\n"
    body = "with TTConstraint(name=['b', 'c']):\n    return keeps(count(trigger, TTPeriod=100000))"
    graph = graph_of(body, more=more)
    world.events("- {at: 2500ms, fail: b}\n")
    world.start(graph)
    world.run(6 * S)
    world.manager.stop_graph(graph)
    (left_out,) = [event for event in events if isinstance(event, LeftOut)]
    (moved,) = [event for event in events if isinstance(event, Moved)]
    (done,) = [event for event in events if isinstance(event, GraphDone)]
    assert left_out.graph == "prog" and left_out.what.startswith("keeps-1: sq_state['lock']")
    assert moved.to == {"count-1": "c", "keeps-1": "c"}
    assert str(moved) == "graph 'prog': count-1, keeps-1 go on on 'c'"
    assert (done.graph, done.context, done.outputs) == ("prog", 1, len(world.outputs))
    assert [str(event) for event in events] == [text for _, text in world.said]


SENTENCES = [
    (ev.Refused("", "a replay"), "refused an ensemble: a replay"),
    (ev.Refused("x", "in use"), "refused 'x': in use"),
    (
        ev.OutputLeftOut("x", "no name"),
        "an output of 'x' cannot be read and is left out (status counts it): no name; let Python and ticktalk be of the"
        " same version there and here",
    ),
    (ev.RefusedMore(5), "refused 5 more questions and joins (status counts them)"),
    (ev.Joined("x", "10.0.0.1:5"), "'x' joined from 10.0.0.1:5"),
    (ev.Joined("x", "10.0.0.1:5", False), "'x' joined from 10.0.0.1:5, relayed by the manager"),
    (ev.Left("x"), "'x' is gone: it has left"),
    (ev.Left("x", True), "'x' is gone: a newer start of it takes over its name"),
    (
        ev.Ended("x", "10.0.0.1:7"),
        "'x' has ended, because connections to 10.0.0.1:7 are refused: SQs that only it could host may go on elsewhere."
        " Let firewalls between drop packets: one that refuses connections looks the same",
    ),
    (ev.Ended("x"), "'x' has ended: SQs that only it could host may go on elsewhere"),
    (ev.Expelled("x"), "'x' is gone: its certificate was revoked"),
    (ev.Expelled("x", lost=True), "'x' was gone already, and is not taken back: its certificate was revoked"),
    (ev.Gone("x", 2_049_000), "'x' is gone: no heartbeat for 2s"),
    (ev.Gone("x", 2_000_000, exact=True), "'x' is gone: no heartbeat for 2s"),
    (ev.Back("x"), "'x' is back"),
    (
        ev.Isolated(),
        "too few ensembles are heard of: the manager may be cut off, so it places nothing elsewhere",
    ),
    (ev.Restarted([], []), "the manager goes on where the one before it was: no graph"),
    (
        ev.Restarted(["f", "g"], ["x", "y"]),
        "the manager goes on where the one before it was: graphs f, g; it awaits x, y",
    ),
    (
        ev.StateNotWritten("here", "disk full"),
        "--state here: it cannot be written: disk full; all else goes on, but a manager that dies now is not followed"
        " by one that knows of it",
    ),
    (ev.StateWritten("here"), "--state here: it is written again"),
    (ev.NotBack("x"), "'x' has not come back since the manager's restart: it counts as gone"),
    (
        ev.ClockWarning("x", 40, "s-1", 70),
        "warning: the clock of 'x' may be off by 40us, more than half the 70us interval of s-1",
    ),
    (ev.GraphDone("g", 1, 5), "graph 'g' is done: 5 outputs"),
    (
        ev.GraphDone("g", 1, 5, {"m": {"a": 1}, "b": {"f-1": 2, "g-1": 1}}),
        "graph 'g' is done: 5 outputs, 4 tokens lost (1 of a to 'm', 2 of f-1 to 'b', 1 of g-1 to 'b')",
    ),
    (ev.Moved("g", {"a": "x", "b": "y", "c": "x"}), "graph 'g': a, c go on on 'x'; b goes on on 'y'"),
    (
        ev.Moved("g", {f"s{i}": "x" for i in range(10)}),
        "graph 'g': s0, s1, s2, s3, s4, s5, s6, s7 and 2 more go on on 'x'",
    ),
    (ev.Waits("g", {"a": "{gpu}"}), "graph 'g' waits for an ensemble that fits: a wants {gpu}"),
    (
        ev.Stays("g", "x", ["a-1", "b-1"]),
        "graph 'g': a-1, b-1 may still run on 'x', which is not heard: they are not started elsewhere as well. If 'x'"
        " has ended for good, start an ensemble of its name",
    ),
    (
        ev.Stays("g", "x", [f"s{n}" for n in range(10)]),
        "graph 'g': s0, s1, s2, s3, s4, s5, s6, s7 and 2 more may still run on 'x', which is not heard: they are not"
        " started elsewhere as well. If 'x' has ended for good, start an ensemble of its name",
    ),
    (ev.CannotGoOn("g", "x", "no {module}"), "graph 'g' cannot go on on 'x': no {module}"),
    (
        ev.RunsLong("g", "x", "a-1", 5, 9, 5_200_000),
        "graph 'g': the firing of [5us, 9us) of a-1 on 'x' has run for 5.2s",
    ),
    (ev.RunsLong("g", "x", "a-1", None, None, 5_200_000), "graph 'g': the firing of a-1 on 'x' has run for 5.2s"),
    (
        ev.WorkerDied(WorkerDeath("x", "main", "was ended by signal 9 (SIGKILL)", [("g", "a-1", 5, 9)])),
        "the worker process (main) of 'x' was ended by signal 9 (SIGKILL) while the firing of [5us, 9us) of a-1 of"
        " graph 'g' ran",
    ),
    (
        ev.WorkerDied(WorkerDeath("x", "main", "ended with status 3", [("g", "a", None, None), ("g", "b", 1, 2)])),
        "the worker process (main) of 'x' ended with status 3 while the firing of a of graph 'g', the firing of"
        " [1us, 2us) of b of graph 'g' ran or waited",
    ),
    (
        ev.WorkerDied(WorkerDeath("x", "main", "was ended, because it used 5 MB (--worker-memory is 2 MB)", [])),
        "the worker process (main) of 'x' was ended, because it used 5 MB (--worker-memory is 2 MB)",
    ),
    (
        ev.LeftOut("g", "a: sq_state['k'] (Lock)"),
        "warning: graph 'g': a: sq_state['k'] (Lock) has no codec or is too long, so it is not in the checkpoints"
        " (see register_codec, --max-value)",
    ),
    (
        ev.Defect("STOP_GRAPH", "KeyError: {x}"),
        "warning: an error in the manager itself, at a request STOP_GRAPH: KeyError: {x} (the log has its traceback:"
        " please report it)",
    ),
    (
        ev.Replaced(Changes("g", 1_500_000, ["a"], ["c"], ["b", "d"], {"b": "c"}, {"a": 2})),
        "graph 'g' is replaced from 1.5s on; 1 SQs go on with their state; removed: d; renamed, without their state:"
        " b (now c?); waiting tokens that have no place: 2 of a",
    ),
    (ev.NotReplaced("g", "it is no graph"), "graph 'g' goes on as it was: it is no graph"),
    (
        ev.NotReplaced("g", "graph 'g' is not replaced:\n  a-1 is gone\n  b-1 too"),
        "graph 'g' goes on as it was: a-1 is gone; b-1 too",
    ),
    (
        ev.RolledBack("g", "a raised 1 error", 1_500_000, 3),
        "graph 'g' goes on in its old version from 1.5s on, with its state of the switch: a raised 1 error;"
        " the new version gave 3 outputs",
    ),
    (ev.Failed("x"), "'x' fails"),
    (ev.Started("x"), "'x' joins"),
    (ev.Cut("x", "y"), "the link between 'x' and 'y' is cut"),
    (ev.Healed("x", "y"), "the link between 'x' and 'y' is whole again"),
    (ev.Slowed("x", 1.5), "the bodies of 'x' take 1.5 times as long"),
    (ev.CostChanged("f", 2_500), "a run of f takes 2.5ms"),
    (ev.LinkChanged("x", "y", 3_000), "the link between 'x' and 'y' has changed: its latency is 3ms"),
    (ev.ClockChanged("x", -3_000, 1.5), "the clock of 'x' jumps by -3ms, and drifts by 1.5ppm"),
    (ev.Suspended("x", ["a", "b"]), "'x' has lost the manager and suspends a, b"),
]


@pytest.mark.parametrize(("event", "text"), SENTENCES, ids=lambda value: type(value).__name__)
def test_the_sentence_of_an_event(event: ev.Event, text: str) -> None:
    assert str(event) == text


def test_every_event_has_a_sentence() -> None:
    assert {type(event) for event, _ in SENTENCES} == set(ev.Event.__subclasses__())


def test_only_the_manager_writes_its_state() -> None:
    """No file outside `ticktalk/manager` assigns to a part of the state, or changes one of its collections."""
    write = re.compile(
        r"\.state\.[\w.\[\]\"']*?( [-+|]?= |\.(append|pop|add|update|clear|setdefault|discard|remove)\()"
    )
    source = Path(ticktalk.__file__).parent
    found = [
        f"{path.name}: {line.strip()}"
        for folder in ("physical", "simulation", "cli", "hosted", ".")
        for path in (source / folder).glob("**/*.py" if folder != "." else "*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if write.search(line)
    ]
    assert found == []
    assert write.search("process.state.manager = own") and write.search("self.state.graphs['g'].rows.append(1)")
