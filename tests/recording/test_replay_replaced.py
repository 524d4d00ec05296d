"""A graph that is replaced while it is recorded: the file has both versions, and each comes out the same once more."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st
from oracle import Node
from test_drain import networks
from test_oracle import as_graph
from test_replace import NAMES, replaced
from test_replay import Kept
from world import HEAD, MANAGER, MS, World, graph_of

from commands import ticktalk
from ticktalk.graph.sq import TTDestination
from ticktalk.recording.mcap_file import read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.replay import Replay
from ticktalk.records import Sent


def replays(recording: Any) -> dict[int, Replay]:
    """Each version of the start in a recording, replayed; it departs nowhere."""
    found = {}
    for version in recording.versions():
        number = version.setup.context
        replay = found[number] = Replay(version.setup, recording.records(number))
        replay.go()
        assert [str(each) for each in replay.finish()] == [], f"start {number}"
        sent = [each for _, each in recording.records(number) if isinstance(each, Sent)]
        assert sum(replay.tokens.values()) == len(sent)
    return found


@settings(max_examples=12, deadline=None)
@given(
    networks(),
    st.sampled_from([0, 0, 1, 3, 20]),
    st.lists(st.integers(1, 90), min_size=1, max_size=3, unique=True),
    st.randoms(use_true_random=False),
)
def test_random_graphs_replaced_by_themselves(
    nodes: list[Node], delay: int, ticks: list[int], rng: random.Random
) -> None:
    hosts = {node.name: rng.choice([*NAMES, MANAGER]) for node in nodes}
    note(f"hosts: {hosts}")
    kept, world = Kept(), World(NAMES, delay=delay, checkpoint=0)
    recording = RecordedSimulation(world.manager, kept, {})  # type: ignore[arg-type]
    graph = as_graph(nodes, 0, [None])
    graph.sqs = [sq for sq in graph.sqs if sq.body]  # the streams are driven by the trigger itself
    graph.inputs[0].to = [TTDestination(sq.name, 0) for sq in graph.sqs if sq.trigger == "grid"]
    for tick in ticks:
        replaced(world, tick, graph, mapping={name: rng.choice([*NAMES, MANAGER]) for name in hosts}, watch=0)
    world.start(graph, hosts)
    world.run(100 + 10 * (delay + 1) + 600)
    recording.finish()
    numbers = [version.setup.context for version in kept.versions()]
    assert len(numbers) == 1 + len(kept.switches) and numbers[0] == 1 and numbers == sorted(set(numbers))
    assert {version.setup.title for version in kept.versions()} == {"net"}
    replays(kept)


WRONG = graph_of(
    "n = count(trigger, TTPeriod=100000)\nreturn wrong(n, TTName='total-1')",
    more="@SQify\ndef wrong(x):\n    global sq_state\n    return [][x]\n",
)

RIGHT = graph_of("n = count(trigger, TTPeriod=100000)\nreturn total(n)")


def test_a_version_that_failed_and_the_one_that_came_back() -> None:
    kept, world = Kept(), World(["a"])
    recording = RecordedSimulation(world.manager, kept, {})  # type: ignore[arg-type]
    replaced(world, 450 * MS, WRONG, watch=1000 * MS)
    world.start(RIGHT, {"count-1": MANAGER, "total-1": "a"})
    world.simulation.run(1_000 * MS)
    recording.finish()
    (back,) = world.told("goes on in its old version")
    first, second, third = kept.versions()
    assert [each.setup.context for each in (first, second, third)] == [1, 2, 1]
    assert (second.since, third.since) == (450 * MS, 550 * MS) and third.since <= back
    found = replays(kept)
    assert set(found) == {1, 2}
    outputs = [token.value for token in world.outputs]
    assert outputs == [sum(range(1, number + 1)) for number in range(1, len(outputs) + 1)]


def test_its_commands_read_it(tmp_path: Path) -> None:
    """Outputs are those in plain Python; each command knows which version is meant by a time."""
    text = HEAD + "@GRAPHify\ndef main(trigger):\n    n = count(trigger, TTPeriod=100000)\n    return "
    (tmp_path / "prog.py").write_text(text + "total(n)\n")
    (tmp_path / "new.py").write_text(
        HEAD + "@SQify\ndef product(x):\n    global sq_state\n    sq_state['sum'] = sq_state['sum'] * x\n"
        "    return sq_state['sum']\n@GRAPHify\ndef main(trigger):\n    n = count(trigger, TTPeriod=100000)\n"
        "    return product(n, TTName='total-1')\n"
    )
    (tmp_path / "events.yaml").write_text("- {at: 450ms, replace: new.py}\n")
    file = str(tmp_path / "run.mcap")
    options = ["--until", "1s", "--events", str(tmp_path / "events.yaml"), "--record", file, "--jsonl"]
    run = ticktalk("simulate", str(tmp_path / "prog.py"), *options)
    assert run.returncode == 0, run.stderr
    recording = read_recording(file)
    before, after = recording.versions()
    assert (before.setup.context, after.setup.context, after.since) == (1, 2, 450_000)

    replay = ticktalk("replay", file, "--jsonl")
    assert replay.returncode == 0, replay.stderr
    assert replay.stdout == run.stdout
    assert "the graph was replaced after 450ms (start 2): each version is replayed" in replay.stderr
    assert "each is as it was recorded" in replay.stderr

    shown = ticktalk("inspect", file, "--at", "900ms", "--json")
    (total,) = [sq for sq in json.loads(shown.stdout)["sqs"] if sq["sq"] == "total-1"]
    assert total["state"] == str({"sum": [json.loads(line) for line in run.stdout.splitlines()][-1]["value"]})

    old, new = (ticktalk("explain", file, f"total-1@{at}") for at in ("300ms", "900ms"))
    assert "total-1 gave 6 on" in old.stdout and "explained is start 1" in old.stderr, old.stdout
    assert "explained is start 2" in new.stderr and "count-1" in new.stdout, new.stderr

    rows = ticktalk("export", file, "--to", "jsonl")
    found = [json.loads(line) for line in rows.stdout.splitlines()]
    values = [row["value"] for row in found if row["sq"] == "total-1"]
    assert values == [json.loads(line)["value"] for line in run.stdout.splitlines()]
    assert {row["graph"] for row in found} == {"prog"} and {row["context"] for row in found} == {1, 2}

    what_if = ticktalk("replay", file, "--network-delay", "1ms")
    assert "compared is start 1, up to there" in what_if.stderr and what_if.returncode == 0
    late = ticktalk("replay", file, "--network-delay", "1ms", "--context", "2")
    assert late.returncode == 1 and "took over from another version" in late.stderr


def test_an_sq_that_is_added_later_is_not_missing_before(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(HEAD + "@GRAPHify\ndef main(trigger): return count(trigger, TTPeriod=100000)\n")
    (tmp_path / "new.py").write_text(
        HEAD + "@GRAPHify\ndef main(trigger): return count(trigger, TTPeriod=100000) + 0\n"
    )
    (tmp_path / "events.yaml").write_text("- {at: 250ms, replace: new.py}\n")
    file = str(tmp_path / "run.mcap")
    options = ["--until", "450ms", "--events", str(tmp_path / "events.yaml"), "--record", file]
    assert ticktalk("simulate", str(tmp_path / "prog.py"), *options).returncode == 0
    early = ticktalk("explain", file, "--missing", "ADD-1@100ms")
    assert early.returncode == 1 and "has no SQ, arc or variable 'ADD-1'" in early.stderr, early.stdout
    assert "the graph was replaced after 250ms (start 2): looked at first is start 1" in early.stderr
    late = ticktalk("explain", file, "--missing", "ADD-1@360ms")
    assert late.returncode == 0 and "ADD-1: nothing that holds at 360ms came" in late.stdout, late
    shown = ticktalk("inspect", file, "--at", "100ms", "--sq", "ADD-1")
    assert shown.returncode == 0 and "ADD-1 is of another version: the graph had no such SQ then" in shown.stderr
