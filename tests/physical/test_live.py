"""Any arc of a running graph is watched from outside, and its tap ends by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import simpy
from systems import ENDLESS, Process, until

from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.cli import live
from ticktalk.cli.live import Drawn, rate_of
from ticktalk.hosted.arc_watch import WATCHED, ArcWatch
from ticktalk.language.compiler import compile_source
from ticktalk.records import ArcToken, WatchArc
from ticktalk.simulation.faults import Faults
from ticktalk.values.codec import decode_value

FANNED = """
from ticktalk import *
@STREAMify
def count(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"], sq_state["n"] / 2
@SQify
def add(x):
    return x + 1
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, pair = count(trigger, TTPeriod=1000000, TTPhase=0)
        more = add(tag)
    with TTConstraint(name="b"):
        return same(pair), add(more)
"""


def test_a_watched_arc_tells_each_token_for_a_while_and_then_none() -> None:
    env = simpy.Environment()
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in "ab"], env, network_delay=7)
    Faults(manager)  # SQs may move, as on devices
    manager.instantiate_and_map_graph(compile_source(FANNED, "prog.py", "prog"))
    manager.execute_graph("prog")
    host = manager.simulation.sites["a"].host
    told: list[ArcToken] = []
    watch = ArcWatch("a", host.contexts, manager.simulation.now, told.append)
    manager.simulation.run(2_500_000)
    assert told == []
    watch.watch(WatchArc("prog", "count-1/1"))
    watch.watch(WatchArc("prog", "same-1/0"))  # lives elsewhere at present
    (context,) = host.contexts.values()
    forward = context.forwards["count-1"]
    assert context.watched == {"count-1"}
    manager.simulation.run(6_500_000)
    watch.watch(WatchArc("prog", "count-1/1"))
    manager.simulation.run(6_500_000 + WATCHED + 2_500_000)
    # By hand: the n-th value leaves at second n; asked at 2.5 s, again at 6.5 s, for 10 s.
    assert [(decode_value(token.data), token.tick) for token in told] == [
        ((n, n / 2), n * 1_000_000) for n in range(3, 17)
    ]  # fmt: skip
    assert {(token.graph, token.arc, token.ensemble) for token in told} == {("prog", "count-1/1", "a")}
    assert context.watched == set()
    assert "along" not in vars(forward) or forward.along.__func__ is type(forward).along
    manager.close()


def test_a_rate_is_that_of_the_latest_tokens() -> None:
    assert rate_of([]) is None and rate_of([(5, 1)]) is None
    sent = [(0, 100), (100_000, 10), (200_000, 10), (500_000, 30)]
    assert rate_of(sent) == (3 / 0.5, 50 / 0.5, 300_000)
    assert str(rate_of(sent)) == "6.00 tokens/s, 0.1 kB/s, the longest pause 300ms"


def test_a_slow_arc_has_a_rate_and_one_that_ends_has_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    coming = [2.0, 4.0, 6.0, 8.0]

    class Coming:
        arc = "slow-1/0"

        def __init__(self, *arguments: object) -> None:
            pass

        def next(self, limit: float) -> object:
            nonlocal now
            if coming and coming[0] <= now + limit:
                now = coming.pop(0)
                return SimpleNamespace(tick=int(now * 1e6), data=b"1")
            now += limit
            return None

    monkeypatch.setattr(live, "Watch", Coming)
    monkeypatch.setattr(live, "Remote", lambda *arguments: nullcontext())
    monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: now))
    live.rate("g", "slow-1", "manager", count=14)
    shown = [row.partition(": ")[2] for row in capsys.readouterr().out.splitlines()]
    # By hand: two tokens are there after 4 s; the last one comes at 8 s, and twice 2 s later it is plain that it ended.
    none, slow = ["no tokens come"], ["0.50 tokens/s, 0.0 kB/s, the longest pause 2s"]
    assert shown == none * 3 + slow * 9 + none * 2


def test_numbers_are_drawn_as_bars_and_other_values_as_text() -> None:
    drawn = Drawn()
    assert drawn.add(1).startswith("▁ ")
    assert drawn.add(3).startswith("▁█ ")
    assert drawn.add(2).split()[0] in ("▁█▄", "▁█▅")
    assert drawn.add({"a": "\x1b[31m"}) == r"{'a': '\x1b[31m'}"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[str]:
    """A graph that runs on two ensembles: the address of its manager."""
    (tmp_path / "count.py").write_text(ENDLESS)
    processes = [Process("manager", "--rx-port", "0", cwd=tmp_path)]
    try:
        listening = processes[0]
        until(lambda: "listens at" in listening.said, "the manager listens")
        address = listening.said.partition("listens at ")[2].split()[0]
        processes += [Process("ensemble", name, "--manager", address, cwd=tmp_path) for name in ("near", "far")]
        until(lambda: all("joined" in each.said for each in processes[1:]), "both join")
        deploy = Process("deploy", "count.py", "--manager", address, "--start", cwd=tmp_path)
        assert deploy.wait() == 0, deploy.said
        yield address
    finally:
        for process in reversed(processes):
            process.end()


def test_commands_show_arcs_that_are_no_outputs(manager: str) -> None:
    to = ("--manager", manager)
    commands = {
        "echo": Process("echo", "count", "src-1", *to, "--count", "5", "--json"),
        "again": Process("echo", "count", "src-1/0", *to, "--count", "3"),
        "plot": Process("echo", "count", "same-1", *to, "--count", "3", "--plot"),
        "rate": Process("rate", "count", "src-1", *to, "--count", "2"),
        "top": Process("top", *to, "--count", "2", "--every", "200ms"),
        "none": Process("echo", "count", "sams-1", *to),
    }
    assert [command.wait() for command in commands.values()] == [0, 0, 0, 0, 0, 1]
    rows = [json.loads(row) for row in commands["echo"].out]
    assert [row["value"] for row in rows] == list(range(rows[0]["value"], rows[0]["value"] + 5)), "none is left out"
    assert {(row["arc"], row["ensemble"]) for row in rows} == {("src-1/0", "near")}
    assert [row["stop"] - row["start"] for row in rows] == [50_000] * 5
    assert all("src-1/0 on near:" in row for row in commands["again"].out) and len(commands["again"].out) == 3
    assert len(commands["plot"].out) == 3
    assert "tokens/s" in commands["rate"].out[-1]
    assert "a second" in "\n".join(commands["top"].out)
    assert "has no arc 'sams-1'; did you mean `same-1`?" in commands["none"].said
