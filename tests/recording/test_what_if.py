"""A recorded run under other circumstances: which outputs would have been otherwise, by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import programs
from test_replay import Kept, recorded

from commands import ticktalk
from programs import HEAD
from ticktalk.cli.simulated_run import SimulatedRun
from ticktalk.cli.what_if import check_same, what_if, write_picture
from ticktalk.errors import TTError
from ticktalk.explain.what_if_picture import Mark, draw_comparison
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.language.compiler import compile_source
from ticktalk.recording.outputs_compared import ComparedOutput, Comparison
from ticktalk.recording.what_if import usual_delay

PROGRAM = (
    HEAD
    + """
@SQify
def twice(x):
    return 2 * x
@SQify
def plain(x):
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=1000)
        due = tag + 400
    with TTConstraint(name=["a", "b"]):
        y = twice(x)
    with TTConstraint(name="a"):
        plain(x)
        return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
"""
)
DATA = "TTFinishByOtherwise-1"


@pytest.fixture(scope="module")
def run() -> Kept:
    """10 ms, with a token from `a` to `b` and back in 2 times 100 us: each deadline is met."""
    graph = compile_source(PROGRAM.replace('name=["a", "b"]', 'name="b"'), "prog.py", "prog")
    kept, outputs = recorded(graph, 10_350, delay=100)
    assert [value for sq, value, _, _ in outputs if sq == DATA] == [2 * n for n in range(1, 11)]
    return kept


def asked(kept: Kept, **what: Any) -> Comparison:
    return what_if(kept.setups[-1], kept.records(), **what)


def of(comparison: Comparison, name: str) -> ComparedOutput:
    return next(each for each in comparison.outputs if each.name == name)


def test_with_nothing_changed_all_is_the_same(run: Kept) -> None:
    assert usual_delay(run.records()) == 100
    comparison = asked(run)
    assert comparison.counters == {}
    assert of(comparison, DATA) == ComparedOutput(DATA, 10, 10, 0, 0, 0, (0, 0), [])
    assert of(comparison, "plain-1").is_same


def test_a_slower_link_is_told_by_how_much_it_makes_outputs_later(run: Kept) -> None:
    comparison = asked(run, network_delay="150us")
    assert of(comparison, DATA) == ComparedOutput(DATA, 10, 10, 0, 0, 0, (100, 100), [])


def test_a_link_that_is_too_slow_lets_plan_b_fire(run: Kept) -> None:
    comparison = asked(run, network_delay="250us", until=9_900)
    # Data would come 500 us after their instant, their deadline is after 400.
    data = of(comparison, DATA)
    assert (data.recorded, data.same, data.changed, data.gone, data.new) == (9, 0, 9, 0, 0)
    assert (data.differences[0].was.split()[0], data.differences[0].now.split()[0]) == ("2", "-1")
    assert data.later == (200, 200)
    assert comparison.counters == {"plan_b": (0, 9), "late": (0, 9)}
    assert of(comparison, "plain-1").is_same


def test_on_one_ensemble_the_same_outputs_come_earlier(run: Kept, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.json"
    graph = compile_source(PROGRAM, "prog.py", "prog")
    (tmp_path / "prog.py").write_text(PROGRAM)
    mapping.write_text(json.dumps({sq.name: "a" for sq in graph.sqs}))
    comparison = asked(run, mapping=mapping, program=str(tmp_path / "prog.py"))
    assert of(comparison, DATA).is_same and of(comparison, DATA).later == (-200, -200)


def test_outputs_that_another_version_gives_otherwise_are_told(run: Kept, tmp_path: Path) -> None:
    path = tmp_path / "new.py"
    path.write_text(PROGRAM.replace('name=["a", "b"]', 'name="b"').replace("return 2 * x", "return 2 * min(x, 7)"))
    data = of(asked(run, program=str(path)), DATA)
    assert (data.same, data.changed) == (7, 3)
    assert [(each.was.split()[0], each.now.split()[0]) for each in data.differences] == [
        ("16", "14"), ("18", "14"), ("20", "14"),
    ]  # fmt: skip


def test_an_output_that_another_version_does_not_have_is_gone(run: Kept, tmp_path: Path) -> None:
    path = tmp_path / "new.py"
    path.write_text(PROGRAM.replace('name=["a", "b"]', 'name="b"').replace("plain", "named"))
    comparison = asked(run, program=str(path))
    plain, named = of(comparison, "plain-1"), of(comparison, "named-1")
    assert (plain.recorded, plain.gone, plain.new) == (10, 10, 0)
    assert (named.recorded, named.gone, named.new) == (0, 0, 10)
    with pytest.raises(typer.Exit):
        check_same(comparison, ["plain-1"])


def test_a_stream_that_was_not_recorded_is_told(run: Kept, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new.py"
    path.write_text(PROGRAM.replace('name=["a", "b"]', 'name="b"').replace("count", "counted"))
    assert of(asked(run, program=str(path)), "plain-1").gone == 10
    assert "counted-1: the recording has no stream of that name, so it sends nothing" in capsys.readouterr().err


def test_a_recorded_stream_with_one_run_at_a_time_costs_nothing(tmp_path: Path) -> None:
    """Its body does not run, so no run of it is in flight either."""
    call = "count(trigger, TTPeriod=1000)"
    text = PROGRAM.replace('name=["a", "b"]', 'name="b"')
    text = text.replace(f"tag, x = {call}\n        due = tag + 400", f"x = TTSingleRunTimeout({call}, TTTimeout=5000)")
    text = text.replace("return TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())", "return y")
    kept, _ = recorded(compile_source(text, "prog.py", "prog"), 10_350, delay=100)
    deployment = tmp_path / "deployment.yaml"
    deployment.write_text("ensembles: [{name: a}, {name: b}]\ncosts: {count: {time: 10us}}\n")
    comparison = asked(kept, deployment=deployment, until=9_900)
    assert of(comparison, "twice-1").recorded == 9 and of(comparison, "twice-1").is_same


def test_with_twice_the_period_every_second_instant_is_left(run: Kept) -> None:
    """Every second instant is left; the values are those that were recorded then."""
    plain = of(asked(run, changes=["count-1.period=2ms"]), "plain-1")
    assert (plain.recorded, plain.same, plain.changed, plain.gone, plain.new) == (10, 5, 0, 5, 0)
    with pytest.raises(typer.BadParameter, match="the graph has no stream 'twice-1'"):
        asked(run, changes=["twice-1.period=2ms"])
    with pytest.raises(TTError, match="count-1: a period is at least 1 microsecond, not 0"):
        asked(run, changes=["count-1.period=0"])
    with pytest.raises(TTError, match="the phase is 2ms, which is not below the period, 2ms"):
        asked(run, changes=["count-1.phase=2ms", "count-1.period=2ms"])
    with pytest.raises(typer.BadParameter, match="write SQ"):
        asked(run, changes=["period=2ms"])


def test_an_ensemble_that_fails(run: Kept, tmp_path: Path) -> None:
    events = tmp_path / "events.yaml"
    events.write_text("- {at: 4500us, fail: b}\n")
    comparison = asked(run, events=events, until=9_900)
    data = of(comparison, DATA)
    assert (data.same, data.changed, data.gone) == (4, 5, 0) and comparison.counters["plan_b"] == (0, 5)


def test_outputs_that_have_to_be_the_same(run: Kept) -> None:
    comparison = asked(run, network_delay="250us", until=9_900)
    check_same(comparison, ["plain-1"])
    with pytest.raises(typer.Exit):
        check_same(comparison, ["plain-1", DATA])


def test_a_wrong_name_is_told_before_the_simulation(run: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimulatedRun, "go", lambda self: pytest.fail("it ran"))
    with pytest.raises(TTError, match=r"--expect-same nobody-1: there is no such output \(there are: plain"):
        asked(run, expected=["nobody-1"])


def test_the_picture_has_each_token_once_with_what_became_of_it(run: Kept, tmp_path: Path) -> None:
    """With 250 us for a token, data come 100 us late: each is replaced by its plan B, at the deadline."""
    pairs: dict[str, list[Any]] = {}
    comparison = asked(run, network_delay="250us", until=9_900, pairs=pairs)
    write_picture(tmp_path / "w.svg", comparison, pairs, 0)
    root = ElementTree.parse(tmp_path / "w.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    marks = {
        group.get("data-output"): [each.get("data-kind") for each in group.iter(f"{svg}g") if each.get("data-kind")]
        for group in root.iter(f"{svg}g")
        if group.get("data-output")
    }
    assert marks == {"plain-1": ["same"] * 9, DATA: ["changed"] * 9}
    first = next(each for each in root.iter(f"{svg}title") if "another value" in (each.text or ""))
    interval = "in [750us, 1.25ms) (750 to 1250us)"
    assert first.text == f"{DATA}: another value: 2 {interval} -> -1 {interval}"
    assert "9 changed" in root.find(f"{svg}desc").text  # type: ignore[operator, union-attr]
    many = [Mark("same", n, n, "") for n in range(4000)]
    assert "; 1334 of 4000 tokens are drawn" in draw_comparison("t", [("x", many)], "")
    with pytest.raises(TTError, match="cannot be written"):
        write_picture(tmp_path / "none" / "w.svg", comparison, pairs, 0)


@settings(max_examples=20)
@given(programs(hosts=True, rates=True), st.sampled_from([0, 1, 5]))
def test_random_graphs_under_the_same_circumstances_give_the_same(text: str, delay: int) -> None:
    graph = compile_source(text, "net.py", "net")
    with BodyOutput(io.StringIO(), io.StringIO()):
        kept, _ = recorded(graph, 120, delay=delay)
    comparison = asked(kept, network_delay=f"{delay}us", until=110)
    assert all(each.is_same and each.later == (0, 0) for each in comparison.outputs)
    assert comparison.counters in ({}, {"errors": comparison.counters.get("errors")})


LINE = """
from ticktalk import *
@STREAMify
def count(trigger):
    return 1
@SQify
def double(x):
    return 2 * x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = count(trigger, TTPeriod=500000, TTPhase=0)
    with TTConstraint(name="b"):
        return double(x)
"""


def test_a_last_output_that_is_later_than_all_that_was_recorded_is_not_gone() -> None:
    kept, _ = recorded(compile_source(LINE, "line.py", "line"), 3_000_000, delay=2_000)
    comparison = asked(kept, network_delay="20ms")
    assert of(comparison, "double-1") == ComparedOutput("double-1", 5, 5, 0, 0, 0, (18_000, 18_000), [])
    comparison = asked(kept, network_delay="600ms")
    assert (of(comparison, "double-1").same, of(comparison, "double-1").gone) == (4, 1), "it comes after the run's end"


STAMPED = """
@GRAPHify
def main(trigger):
    with TTConstraint(name="edge"):
        return count(trigger, TTPeriod=1000, TTDataIntervalWidth={width}{more})
"""


def test_another_width_of_a_stream_is_that_of_the_program(tmp_path: Path) -> None:
    kept, _ = recorded(compile_source(HEAD + STAMPED.format(width=200, more=""), "prog.py", "prog"), 2_500)
    (tmp_path / "prog.py").write_text(HEAD + STAMPED.format(width=600, more=""))
    found = of(asked(kept, program=str(tmp_path / "prog.py")), "count-1")
    # The n-th value is that of the instant n * 1000, whatever the width.
    assert [each.now for each in found.differences if each.now] == [
        "1 in [700us, 1.3ms) (700 to 1300us)", "2 in [1.7ms, 2.3ms) (1700 to 2300us)"
    ]  # fmt: skip


def test_a_stream_that_is_stamped_by_its_body_sends_the_recorded_tokens() -> None:
    text = HEAD + STAMPED.format(width=200, more=', TTStamp="body"')
    costs = "ensembles:\n- name: edge\ncosts:\n  count: {time: 300us}\n"
    kept, outputs = recorded(compile_source(text, "prog.py", "prog"), 4_500, costs=costs)
    # The body runs from n * 1000 on for 300 ticks, so its middle is 150 later.
    assert [row[1:] for row in outputs] == [(n, n * 1000 + 50, n * 1000 + 250) for n in range(1, 5)]
    assert of(asked(kept), "count-1") == ComparedOutput("count-1", 4, 4, 0, 0, 0, (0, 0), [])


def test_another_width_can_be_asked_for_and_where_nothing_is_compared_nothing_is_the_same(run: Kept) -> None:
    wider = asked(run, changes=["count-1.width=600us"])
    # By default a stream holds for half its period: [750, 1250). The values stay those of their instants.
    shown = [each for each in of(wider, "plain-1").differences if each.now]
    assert shown[0].now == "1 in [700us, 1.3ms) (700 to 1300us)"
    with pytest.raises(typer.BadParameter, match="at least 1us"):
        asked(run, changes=["count-1.width=0us"])
    nothing = asked(run, until=run.setups[-1].start_tick + 10)
    with pytest.raises(typer.Exit):
        check_same(nothing, ["plain-1"])


def test_firings_that_fail_under_other_circumstances_are_told(tmp_path: Path) -> None:
    """Such as those that use a component: no driver is there."""
    text = """
@SQify
def act(x):
    component("heater").set(x)
    return x
@GRAPHify
def main(trigger):
    with TTConstraint(name="a", components=["heater"]):
        return act(count(trigger, TTPeriod=ms(100)))
"""
    (tmp_path / "drivers.py").write_text("class Heater:\n    def set(self, x):\n        pass\n")
    (tmp_path / "prog.py").write_text(HEAD + text)
    path = tmp_path / "run.mcap"
    words = ["simulate", str(tmp_path / "prog.py"), "--until", "350ms", "--record", str(path)]
    assert ticktalk(*words, "--component", "a.heater=drivers:Heater").returncode == 0
    done = ticktalk("replay", str(path), "--network-delay", "1ms")
    assert "SQ act-1 on a" in done.stderr and "has no driver for component 'heater'" in done.stderr
    assert "module:factory" not in done.stderr, "a replay has other options"
    assert "`--recorded act-1` takes its results from the recording, and does not run it" in done.stderr
    assert "act-1" not in ticktalk("replay", str(path), "--network-delay", "1ms", "--recorded", "act-1").stderr


def test_a_program_that_wants_more_than_the_recording_has(run: Kept, tmp_path: Path) -> None:
    """The errors name nothing that only other commands take, such as `--component` and `--input`."""
    new, change = tmp_path / "new.py", "y = twice(x)"

    def asked_of(inputs: str, instead: str) -> Comparison:
        driven = "@SQify\ndef look(x):\n    return component('radar')\n@GRAPHify"
        text = PROGRAM.replace("@GRAPHify", driven).replace(change, instead)
        new.write_text(text.replace("main(trigger)", f"main({inputs})"))
        return asked(run, program=str(new))

    with pytest.raises(TTError, match=r"no value for input 'gain': give it a default in the program$"):
        asked_of("trigger, gain", "y = twice(x * gain)")
    assert of(asked_of("trigger, gain=1", "y = twice(x * gain)"), DATA).same == 10
    with pytest.raises(TTError, match=r"look-1 \(line \d+\) wants component 'radar', .* a replay has no drivers"):
        asked_of("trigger", "y = twice(look(x))")
