"""A recorded run is computed again to the same tokens, and where it is not, that is told with the first of them."""

from __future__ import annotations

import io
import itertools
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import programs

from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.cli.replay import tell_replayed
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.hosted.tapping import Tapped
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.network_keys import OUTPUT
from ticktalk.recording.departures import Departure, told
from ticktalk.recording.mcap_file import Recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.replay import Replay
from ticktalk.recording.setup import Setup
from ticktalk.records import AnyRecord, Counted, Deadline, Decided, Fired, Records, Sent, TokenLeft, TookOver
from ticktalk.simulation.network import SimulatedNetwork, TTNetworkInterfaceSim
from ticktalk.values.codec import encode_value


class Kept(Recording):
    """A recording that is kept in memory, in place of a file."""

    def begin(self, setup: Setup) -> None:
        self.setups.append(setup)

    def took_over(self, note: TookOver) -> None:
        self.switches.append(note)

    def add(self, batch: Records) -> None:
        self.batches.append(batch)

    def flush(self) -> None:
        pass

    def finish(self, *lacks: str) -> list[str]:
        return list(lacks)


def recorded(
    graph: TTGraph, until: int, bound: int = 1_000_000, delay: int = 0, jitter: int = 0, costs: str | None = None
) -> tuple[Kept, list[tuple[Any, ...]]]:
    """A recorded simulation, and its outputs; `jitter`: up to so many ticks more for each token."""
    names = sorted({name for sq in graph.sqs for spec in sq.constraints for name in spec.names})
    deployment = None if costs is None else parse_deployment(costs)
    manager = TTRuntimeManagerSim(
        None, [TTEnsemble(None, name) for name in names], simpy.Environment(), deployment=deployment
    )
    if jitter:
        manager.simulation.network.__class__ = Jittering
        manager.simulation.network.most = jitter  # type: ignore[attr-defined]
    elif costs is None:
        manager.simulation.network.delay = delay
    for site in manager.simulation.sites.values():
        site.host.eviction_bound = bound
    kept = Kept()
    recording = RecordedSimulation(manager, kept, {"until": f"{until}us"})  # type: ignore[arg-type]
    outputs: list[tuple[Any, ...]] = []
    manager.on_output(lambda t: outputs.append((t.sq, t.value, t.start, t.stop)))
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {"gains": [1]} if any(i.name == "gains" for i in graph.inputs) else {})
    manager.simulation.run(until)
    recording.finish()
    return kept, outputs


class Jittering(SimulatedNetwork):
    """Tokens take a random time; a link keeps their order."""

    most: int

    @property
    def delay(self) -> int:  # type: ignore[override]
        now = self.agenda.now
        self.due = max(getattr(self, "due", 0), now + random.Random(now * 7 + self.most).randint(0, self.most))
        return self.due - now

    @delay.setter
    def delay(self, delay: int) -> None:
        pass


def replayed(recording: Recording, **how: Any) -> tuple[list[Departure], Replay]:
    replay = Replay(recording.setups[-1], recording.records(), **how)
    replay.go()
    return replay.finish(), replay


@settings(max_examples=60)
@given(
    programs(hosts=True, rates=True),
    st.sampled_from([(0, 0), (1, 0), (5, 0), (0, 4), (0, 13)]),
    st.sampled_from([20, 1_000_000]),
)
def test_random_graphs_on_two_ensembles_come_out_the_same(text: str, delays: tuple[int, int], bound: int) -> None:
    graph = compile_source(text, "net.py", "net")
    with BodyOutput(io.StringIO(), io.StringIO()):
        recording, _ = recorded(graph, 120, bound, *delays)
        departures, replay = replayed(recording)
    assert [str(each) for each in departures] == []
    sent = [each for _, each in recording.records() if isinstance(each, Sent)]
    assert sum(replay.tokens.values()) == len(sent)


@settings(max_examples=40)
@given(programs(hosts=True, rates=True), st.sampled_from([3, 5, 11]), st.integers(0, 3))
def test_runs_that_lose_tokens_come_out_the_same(text: str, every: int, jitter: int) -> None:
    """Of the tokens between ensembles, one of so many is lost."""
    graph = compile_source(text, "net.py", "net")
    bring = TTNetworkInterfaceSim._bring
    count = itertools.count(1)

    def lossy(self: TTNetworkInterfaceSim, ensemble: str, key: str, payload: Any, attached: Any) -> None:
        if key != OUTPUT and next(count) % every == 0:
            self.lost(payload)
        else:
            bring(self, ensemble, key, payload, attached)

    with BodyOutput(io.StringIO(), io.StringIO()), pytest.MonkeyPatch.context() as patch:
        patch.setattr(TTNetworkInterfaceSim, "_bring", lossy)
        recording, _ = recorded(graph, 120, jitter=jitter)
        patch.undo()
        departures, _ = replayed(recording)
    assert [str(each) for each in departures] == []


PROGRAM = (
    HEAD
    + """
@SQify
def slow(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + x
    return sq_state["sum"]
@SQify
def fails(x):
    return 1 // (x % 3)
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=100)
        due = tag + 40
    with TTConstraint(name="b"):
        y = slow(x)
        z = TTSingleRunTimeout(slow(x), TTTimeout=1000)
        fails(x)
    with TTConstraint(name="a"):
        z + x
        return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
"""
)
COSTS = """
ensembles:
- {name: a, cores: 1}
- {name: b, cores: 2}
links: [default: {latency: 5us}]
costs:
  slow: {time: 130us}
"""


def test_bodies_that_take_their_time_on_cores() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 5000, costs=COSTS)
    kinds = {each.kind for _, each in recording.records() if isinstance(each, Counted)}
    assert {"busy", "plan_b", "errors", "late"} <= kinds
    departures, replay = replayed(recording)
    assert [str(each) for each in departures] == []
    fired = [each for _, each in recording.records() if isinstance(each, Fired)]
    assert sum(replay.ended.values()) == len(fired) > 100


def test_another_body_departs_at_the_first_token_that_it_makes_otherwise() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 2000, delay=7)
    changed = compile_source(PROGRAM.replace("+ x\n    return", "+ (x if x < 5 else 0)\n    return"), "prog.py", "prog")
    departures, _ = replayed(recording, graph=changed)
    # The fifth token of either of the two SQs: 1 + 2 + 3 + 4 + 5 was 15, and is 10.
    interval = "in [475us, 525us) (475 to 525us)"
    what = f"token 5 on arc slow-1/0 was 15 {interval} in the recording; here 10 {interval}"
    assert str(departures[0]) == f"slow-1: {what}"
    assert departures[0].tick == 507
    departures, _ = replayed(recording, graph=changed, sources=["slow-1", "slow-2"])
    assert departures == []


@pytest.mark.parametrize("what", ["value", "interval", "gone", "more", "set"])
def test_a_recording_that_was_changed_departs(what: str) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 2000, delay=7)
    batch = next(batch for batch in recording.batches if batch.ensemble == "b")
    records: list[AnyRecord] = list(batch.records)
    kind = Decided if what == "set" else Sent
    place = [at for at, each in enumerate(records) if isinstance(each, kind) and each.sq == "slow-1"][2]
    record = records[place]
    changes: dict[str, Any] = {"value": {"value": encode_value(99)}, "interval": {"stop": 330}, "set": {"start": 280}}
    if what == "gone":
        del records[place]
    elif what == "more":
        records.insert(place, msgspec.structs.replace(record, number=1000))  # type: ignore[type-var]
    else:
        records[place] = msgspec.structs.replace(record, **changes[what])  # type: ignore[type-var]
    batches = [msgspec.structs.replace(batch, records=records) if each is batch else each for each in recording.batches]
    departures, _ = replayed(Recording(recording.setups, batches))
    assert departures
    if what in ("value", "interval", "set"):
        assert departures[0].sq == "slow-1" and departures[0].tick == 307


def test_up_to_a_tick_nothing_later_is_missed() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 2000, delay=7)
    for tick in range(1, 2000, 53):
        replay = Replay(recording.setups[-1], recording.records())
        replay.go(tick)
        assert replay.finish(tick) == []
        replay.go(tick + 31)
        assert replay.finish(tick + 31) == []
        replay.go()
        assert replay.finish() == []


def test_a_grid_that_was_set_while_the_run_went_on() -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in "ab"], simpy.Environment())
    kept = Kept()
    recording = RecordedSimulation(manager, kept, {})  # type: ignore[arg-type]
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    for until, period in ((450, 70), (900, 30), (1500, 250)):
        manager.simulation.run(until)
        manager.set_grid(graph, "count-1", period=period)
    manager.simulation.run(3000)
    recording.finish()
    departures, replay = replayed(kept)
    assert [str(each) for each in departures] == [] and replay.ended["count-1"] > 25


@pytest.mark.parametrize("kind", [Deadline, TokenLeft])
def test_the_end_of_a_deadline_or_a_token_is_missed_if_it_does_not_come_here(kind: type) -> None:
    """The recording has one more, at its end."""
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 2000, delay=7)
    name = "TTFinishByOtherwise-1"
    more: AnyRecord = Deadline(1990, name, 1975, 2025, 2040, "set", 0)
    if kind is TokenLeft:
        more = TokenLeft(1990, name, 99, 1975, 2025, "late", [])
    last = max((batch for batch in recording.batches if batch.ensemble == "a"), key=lambda batch: batch.first)
    batches = [
        msgspec.structs.replace(each, records=[*each.records, more]) if each is last else each
        for each in recording.batches
    ]
    departures, replay = replayed(Recording(recording.setups, batches))
    assert [str(each) for each in departures if "and not here" in each.what] == [
        f"{name}: {told(more)} in the recording, and not here"
    ]
    assert replay.finish(1990) == []


def test_a_change_of_a_value_that_stays_is_not_seen_by_the_next_firing() -> None:
    body = "@SQify\ndef longer(x, gain):\n    gain.append(x)\n    return len(gain)\n"
    body += "@GRAPHify\ndef main(trigger, gains):\n    return longer(count(trigger, TTPeriod=100), gains)\n"
    recording, outputs = recorded(compile_source(HEAD + body, "prog.py", "prog"), 450)
    assert [value for _, value, _, _ in outputs] == [2, 2, 2, 2]
    assert replayed(recording)[0] == []


LONG = """
from ticktalk import *
@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def long(x):
    return "x" * x * (LENGTH if x > 1 else 1)
@SQify
def length(x):
    return len(x)
@GRAPHify
def main(trigger):
    return length(long(count(trigger, TTPeriod=100)))
"""


def test_a_value_too_long_to_record_is_computed_again_and_one_of_a_source_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tapped, "longest", 1000)
    monkeypatch.setattr("ticktalk.recording.replay.LONGEST", 1000)
    graph = compile_source(LONG.replace("LENGTH", "1001"), "prog.py", "prog")
    recording, outputs = recorded(graph, 350)
    assert [value for _, value, _, _ in outputs] == [1, 2002, 3003]
    departures, replay = replayed(recording)
    assert [str(each) for each in departures] == [] and replay.tokens["length-1/0"] == 3
    departures, _ = replayed(recording, sources=["long-1"])
    assert departures[0].sq == "length-1"
    assert "what follows from token 2 on arc long-1/0 is not known: (too long to be recorded)" in departures[0].what


def test_where_too_many_waited_the_run_departs_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recording, _ = recorded(graph, 2000, delay=7)
    dropped: AnyRecord = Counted(500, "slow-1", "overflow", 3)
    batch = recording.batches[0]
    batches = [msgspec.structs.replace(batch, records=[dropped, *batch.records]), *recording.batches[1:]]
    _, replay = replayed(Recording(recording.setups, batches))
    tell_replayed(replay.overflowed, [Departure(1, "slow-1", "it was otherwise")], Counter(), [])
    said = "tokens were dropped where too many waited, here none is (slow-1 3): so it departs"
    assert said in capsys.readouterr().err
    tell_replayed(replay.overflowed, [], Counter(), [])
    assert "dropped" not in capsys.readouterr().err
