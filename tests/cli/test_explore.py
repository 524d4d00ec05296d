"""`ticktalk explore` finds the bounds that are worked out by hand, and its findings can be replayed."""

from __future__ import annotations

import json
import logging
import multiprocessing
import random
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import ticktalk
from ticktalk import TTError
from ticktalk.cli import explore_search, explore_worker
from ticktalk.cli.main import app_of
from ticktalk.exploration.all_dimensions import SearchBox, least, search
from ticktalk.exploration.certificate import AxisBound, Certificate
from ticktalk.exploration.dimensions import SEEDS, Dimension, Point
from ticktalk.exploration.one_dimension import bound
from ticktalk.exploration.outcomes import FirstDifference
from ticktalk.mapping.deployment_file import LinkSpec, Spread
from ticktalk.simulation.event_file import events_text, parse_events

HEAD = """
from ticktalk import *

@STREAMify
def sample(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def work(x):
    return x * 10

@SQify
def checked(x):
    global sq_state
    assert x == sq_state.get("last", 0) + 1, f"{x} after {sq_state.get('last', 0)}"
    sq_state["last"] = x
    return x

@SQify
def count(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@SQify
def copied(x):
    return x

@SQify
def gap(x, most):
    global sq_state
    before, sq_state["last"] = sq_state.get("last", x - 1), x
    return (before, x) if x - before > most else TTEmpty()

@SQify
def add(x, y):
    return (x, y)

@SQify
def unlike(x):
    import os
    return os.urandom(8).hex()

@SQify
def fallback():
    return -1

@GRAPHify
def graph(trigger):
"""

DEADLINE = """
    with TTConstraint(name="a"):
        tag, x = sample(trigger, TTPeriod=500_000)
    with TTConstraint(name="b"):
        y = work(x)
        return TTFinishByOtherwise(y, TTTimeDeadline=tag + 100_000, TTPlanB=fallback())
"""
COSTS = "ensembles: [{name: a}, {name: b}]\ncosts: {work: {time: 60ms}}\n"


class Inline:
    """Stands for the processes: runs in this one are as good, and start at once."""

    def __init__(self, jobs: int, context: Any, begin: Callable[..., None], given: tuple[Any, ...]) -> None:
        explore_worker.begin(*given)

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*given))
        return future

    def shutdown(self, **given: bool) -> None: ...


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Do the runs in this process."""
    monkeypatch.setattr(explore_search, "ProcessPoolExecutor", Inline)
    yield
    logging.disable(logging.NOTSET)
    explore_worker._runs = None


def explored(folder: Path, body: str, vary: dict[str, str], deployment: str = COSTS, **more: Any) -> Certificate:
    (folder / "program.py").write_text(HEAD + body)
    (folder / "deployment.yaml").write_text(deployment)
    given = {"until": "3s", "runs": 0, **more}
    return ticktalk.explore(folder / "program.py", vary, deployment=folder / "deployment.yaml", **given)


def safe(certificate: Certificate) -> dict[str, int]:
    return {axis.dimension: axis.safe for axis in certificate.bounds}


def axis_of(certificate: Certificate, name: str) -> AxisBound:
    return next(axis for axis in certificate.bounds if axis.dimension == name)


@pytest.mark.usefixtures("here")
def test_events_of_every_run_are_in_the_counterexample_and_no_run_is_done_twice(tmp_path: Path) -> None:
    """The link takes 30 ms in every run, and the work 60 ms: 9.999 ms of 100 ms are to spare."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "new.py").write_text(HEAD + DEADLINE)
    (tmp_path / "beside" / "events.yaml").write_text(
        "- {at: 0s, link: {between: [a, b], latency: 30ms}}\n- {at: 1s, replace: {program: new.py, watch: 0s}}\n"
    )
    vary = {"body-time:work": "90ms"}
    found = explored(tmp_path, DEADLINE, vary, events=tmp_path / "beside" / "events.yaml")
    assert safe(found) == {"body-time:work": 9_999}
    assert found.runs == 1 + sum(axis.runs for axis in found.bounds)
    first = axis_of(found, "body-time:work").first
    assert first is not None
    happens = parse_events(first.events, ["a", "b"], "runtime-manager")
    assert [event.kind for event in happens] == ["link", "cost", "replace"]
    assert happens[2].program == str(tmp_path / "beside" / "new.py")


@pytest.mark.usefixtures("here")
def test_the_time_to_spare_before_a_deadline_is_found_to_the_microsecond(tmp_path: Path) -> None:
    """100 ms less 60 ms of work: data must come before the deadline, so 39.999 ms are to spare, whoever takes them."""
    found = explored(
        tmp_path,
        DEADLINE,
        {"link-delay": "200ms", "clock": "-100ms..100ms", "body-time:work": "90ms", "drift:b": "0..60000ppm"},
    )
    assert found.outputs == {"TTFinishByOtherwise-1": 5}
    assert safe(found) == {
        "link-delay:a,b": 39_999,
        "link-delay:b,runtime-manager": 200_000,  # an output that comes later is the same
        "clock:a": 100_000,
        "-clock:a": -39_999,
        "clock:b": 39_999,
        "-clock:b": -100_000,
        "body-time:work": 39_999,
        # At the last deadline, 2.6 s, data come at 2.56 s: 40 / 2560, in thousandths of a ppm.
        "drift:b": 15_624_999,
    }
    late = axis_of(found, "link-delay:a,b")
    assert late.steady
    assert late.first is not None
    assert late.first.difference.what == "TTFinishByOtherwise-1 [375ms, 625ms): 10 becomes -1"
    assert late.first.events == "- {at: 0s, link: {between: [a, b], latency: 40ms}}\n"


@pytest.mark.usefixtures("here")
def test_the_share_that_is_safe_together_fits_into_the_time_to_spare(tmp_path: Path) -> None:
    """Four bounds of 39.999 ms add up to less than 40 ms at 25 %, and to more at 26 %."""
    vary = {"link-delay:a,b": "200ms", "clock:a": "-100ms..0ms", "clock:b": "0..100ms", "body-time:work": "90ms"}
    found = explored(tmp_path, DEADLINE, vary, runs=40)
    assert found.together is not None
    assert found.together.percent == 25
    assert found.together.counterexample is not None
    worse = found.together.counterexample.worse
    assert sum(abs(float(text.removesuffix("ms"))) for text in worse.values()) == pytest.approx(40, abs=0.0005)


@pytest.mark.usefixtures("here")
def test_intervals_that_two_clocks_make_meet_up_to_their_width(tmp_path: Path) -> None:
    """Each sample gets an interval of 50 ms from the clock of a, and one from that of b: they meet by a microsecond."""
    body = """
    with TTConstraint(name="a"):
        x = sample(trigger, TTPeriod=500_000)
        t = TIME_TOKEN(x)
        xs = COPY_TTTIME(x, VALUES_TO_TTTIME(t, t + 50_000))
    with TTConstraint(name="b"):
        u = TIME_TOKEN(x)
        ys = COPY_TTTIME(x, VALUES_TO_TTTIME(u, u + 50_000))
    with TTConstraint(name="c"):
        return COPY_TTTIME(count(add(xs, ys)), x)
"""
    places = "ensembles: [{name: a}, {name: b}, {name: c}]\nlinks: [{between: [a, b], latency: 1ms}]\n"
    found = explored(tmp_path, body, {"clock:b": "-100ms..100ms", "link-delay:a,b": "100ms"}, places)
    assert found.outputs == {"COPY_TTTIME-3": 5}
    # The millisecond of the link adds to what b shows.
    assert safe(found) == {"clock:b": 48_999, "-clock:b": -50_999, "link-delay:a,b": 48_999}


@pytest.mark.usefixtures("here")
def test_a_lost_token_changes_a_count(tmp_path: Path) -> None:
    """The bound is the least number that the random numbers of the link give, with any of the seeds."""
    body = '    with TTConstraint(name="a"):\n        x = sample(trigger, TTPeriod=50_000)\n'
    body += '    with TTConstraint(name="b"):\n        return count(x)\n'
    found = explored(tmp_path, body, {"loss:a,b": "0..50%"}, "ensembles: [{name: a}, {name: b}]\n")
    drawn = []
    for seed in range(4):
        chance = random.Random(f"{seed} a b")
        drawn += [chance.random() for _ in range(5 * 59)][::5]  # five for each token: the first is for its loss
    assert safe(found)["loss:a,b"] <= min(drawn) * 1_000_000 <= safe(found)["loss:a,b"] + 100
    assert f"with {SEEDS} seeds" in axis_of(found, "loss:a,b").how, "another seed may lose a token below that"
    first = axis_of(found, "loss:a,b").first
    assert first is not None
    assert first.difference.how in ("gone", "changed")


@pytest.mark.usefixtures("here")
def test_an_assertion_of_the_program_and_one_of_a_check_are_found(tmp_path: Path) -> None:
    body = '    with TTConstraint(name="a"):\n        x = sample(trigger, TTPeriod=50_000)\n'
    body += '    with TTConstraint(name="b"):\n        return checked(x)\n'
    one = "ensembles: [{name: a}, {name: b}]\n"
    found = explored(tmp_path, body, {"loss:a,b": "50%"}, one, until="1s")
    first = axis_of(found, "loss:a,b").first
    assert first is not None
    assert first.difference.how == "assertion"
    assert "AssertionError: " in first.difference.what
    (tmp_path / "looks_at_60.py").write_text(
        "def all_early(outputs):\n"
        "    for token in outputs:\n"
        "        assert token.arrival < token.start + 25_000 + 30_000, f'{token.value} is late'\n"
    )
    found = explored(tmp_path, body, {"link-delay:a,b": "100ms"}, one, until="1s", check="looks_at_60:all_early")
    assert safe(found) == {"link-delay:a,b": 42_499}  # an interval begins 12.5 ms before its instant
    with pytest.raises(TTError, match="--check looks_at_60: write MODULE:NAME"):
        explored(tmp_path, body, {"link-delay": "1ms"}, one, until="1s", check="looks_at_60")
    (tmp_path / "looks_at_none.py").write_text("def some(outputs):\n    outputs[1000]\n")
    with pytest.raises(TTError, match="nothing is made worse: looks_at_none:some: IndexError: list index"):
        explored(tmp_path, body, {"link-delay": "1ms"}, one, until="1s", check="looks_at_none:some")
    with pytest.raises(
        TTError, match="an assertion does not hold although nothing is made worse: looks_at_60:all_early"
    ):
        explored(tmp_path, body, {"link-delay": "1ms"}, one.replace("\n", "\nlinks: [{default: {latency: 1s}}]\n"),
                 check="looks_at_60:all_early")  # fmt: skip


@pytest.mark.usefixtures("here")
def test_the_shortest_cut_loses_a_token_that_is_sent_just_then(tmp_path: Path) -> None:
    body = '    with TTConstraint(name="a"):\n        x = sample(trigger, TTPeriod=500_000)\n'
    body += '    with TTConstraint(name="b"):\n        return work(x)\n'
    vary = {"cut:a,b": "0..2s", "link-delay:a,b": "1s"}
    found = explored(tmp_path, body, vary, "ensembles: [{name: a}, {name: b}]\n", runs=10)
    assert axis_of(found, "link-delay:a,b").end and found.together is None, "no two can be made worse at once"
    axis = axis_of(found, "cut:a,b")
    assert (axis.safe, axis.cases) == (0, "begun at each tick (5) when tokens cross")
    assert axis.first is not None
    assert axis.first.worse == {"cut:a,b": "1us from 500ms on"}
    assert axis.first.difference.what == "work-1 [375ms, 625ms): 10 does not come"
    assert axis.runs < 50


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("kind", "seed"), [("cut", 0), ("cut", 3), ("fail", 1), ("fail", 2)])
def test_the_shortest_cut_or_failure_is_that_of_all_moments(tmp_path: Path, kind: str, seed: int) -> None:
    """Against one at each tick of the run: a body tells when several tokens in a row are lost."""
    chance = random.Random(seed)
    period, other = chance.choice([(12, 18), (18, 12), (12, 24)] if kind == "cut" else [(24, 36), (36, 24)])
    body = f"""
    with TTConstraint(name="a"):
        x = sample(trigger, TTPeriod=us({period}), TTDataIntervalWidth=us(4))
        y = sample(trigger, TTPeriod=us({other}), TTPhase=us({chance.randrange(9)}), TTDataIntervalWidth=us(4))
    with TTConstraint(name="b"):
        xs = copied(x)
        ys = copied(y)
    with TTConstraint(name="c"):
        return gap(xs, {chance.choice([2, 3])}), gap(ys, 2)
"""
    places = "ensembles: [{name: a}, {name: b}, {name: c}]\ncosts: {copied: {time: 2us}}\n"
    places += f"links: [{{default: {{latency: {chance.randrange(5)}us}}}}]\n"
    name = "cut:a,b" if kind == "cut" else "fail:b"
    axis = axis_of(explored(tmp_path, body, {name: "0..60us"}, places, until="150us"), name)
    assert explore_worker._runs is not None
    runs = explore_worker.Runs(explore_worker._runs._job, lambda: False)

    def changing(length: int) -> list[int]:
        points = [Point({name: length}, 0, {name: begin}) for begin in range(150)]
        return [point.moments[name] for point in points if runs.tried(point) is not None]

    assert "begun at each tick (" in axis.how
    assert 0 < axis.safe < 60
    assert changing(axis.safe) == []
    assert axis.first is not None
    assert axis.first.worse == {name: f"{axis.safe + 1}us from {changing(axis.safe + 1)[0]}us on"}
    assert axis.runs < 200


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("seed", range(3))
def test_no_value_below_a_bound_differs(tmp_path: Path, seed: int) -> None:
    """Against every value of a grid, simulated one by one with another deployment file."""
    chance = random.Random(seed)
    period, other = chance.choice([70, 100, 130]), chance.choice([50, 90, 110])
    due, time, width = chance.randrange(20, 60), chance.randrange(0, 15), chance.randrange(5, 40)
    body = f"""
    with TTConstraint(name="a"):
        tag, x = sample(trigger, TTPeriod={period}_000, TTDataIntervalWidth={width}_000)
    with TTConstraint(name="b"):
        y = sample(trigger, TTPeriod={other}_000, TTPhase={chance.randrange(40)}_000)
        z = add(work(x), y)
        return TTFinishByOtherwise(z, TTTimeDeadline=tag + {due}_000, TTPlanB=fallback())
"""
    text = "ensembles: [{name: a}, {name: b}]\nlinks: [{default: {latency: DELAY}}]\ncosts: {work: {time: TIME}}\n"
    text = text.replace("TIME", f"{time}ms")
    found = explored(
        tmp_path, body, {"link-delay:a,b": "80ms"}, text.replace("DELAY", "0ms"), resolution="1ms", until="1500ms"
    )

    def outputs(delay: int) -> list[Any]:
        (tmp_path / "deployment.yaml").write_text(text.replace("DELAY", f"{delay}ms"))
        done = ticktalk.simulate(tmp_path / "program.py", until="2s", deployment=tmp_path / "deployment.yaml")
        return sorted((token.start, token.stop, token.value) for token in done.outputs if token.stop < 1_500_000)

    usual = outputs(0)
    limit = safe(found)["link-delay:a,b"] // 1_000
    assert all(outputs(delay) == usual for delay in range(0, limit + 1, 5))
    assert outputs(limit) == usual
    assert limit == 80 or outputs(limit + 1) != usual


def test_the_search_along_an_axis_doubts_what_halving_finds() -> None:
    def run(safe_at: Callable[[int], bool], end: int = 1_000) -> Any:
        searching = bound(end, 1, 1, random.Random(1))
        trials = next(searching)
        while True:
            try:
                trials = searching.send([safe_at(value) for value, _ in trials])
            except StopIteration as ended:
                return ended.value

    assert run(lambda value: value < 123)[:4] == (122, 123, 0, True)
    assert run(lambda value: True)[:4] == (1_000, None, 0, True)
    assert run(lambda value: False)[:4] == (0, 1, 0, True)
    found = run(lambda value: not 100 <= value < 400)
    assert found.safe == 99
    assert not found.steady


@pytest.mark.parametrize("seed", range(20))
def test_the_bound_is_that_of_the_worst_case_in_little_more_than_a_run_for_each(seed: int) -> None:
    chance = random.Random(seed)
    worst = [chance.randrange(1, 2_500_000) for _ in range(48)]  # the least that differs, by case
    worst = [worst, sorted(worst), sorted(worst, reverse=True), [worst[0]] * 48][seed % 4]
    searching, runs = bound(2_000_000, 48, 1, chance), 0
    trials = next(searching)
    while True:
        runs += len(trials)
        try:
            trials = searching.send([value < worst[case] for value, case in trials])
        except StopIteration as ended:
            found = ended.value
            break
    least = min(worst)
    assert found[:4] == (least - 1, least, worst.index(least), True)
    assert runs < 170 if seed % 4 == 3 else runs < 700


def test_a_cut_begins_at_the_earliest_of_the_moments_that_are_given() -> None:
    cut, drift = Dimension("cut", ("a", "b"), 0, 100), Dimension("drift", ("a",), 0, 100)
    box = SearchBox([cut, drift], {cut.name: (0, 100), drift.name: (0, 100)}, 0, {cut.name: [10, 20, 30, 40]})
    point, _ = search(box, 200, 0, lambda p: p.values.get(cut.name, 0) >= 5 and p.moments[cut.name] in (20, 30))
    assert point == Point({cut.name: 5}, 0, {cut.name: 20})


@pytest.mark.parametrize(("kind", "step"), [("clock:b", 10_000), ("drift:b", 1), ("loss:a,b", 100)])
def test_the_resolution_is_of_durations_only(kind: str, step: int) -> None:
    """Those of 4001 and more differ; a resolution of 10 ms is none of drifts (0.001 ppm) or shares (millionths)."""

    class Runs:
        def submit(self, call: object, point: Point) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_result(FirstDifference("gone", "") if abs(next(iter(point.values.values()))) > 4_000 else None)
            return future

        def count(self, runs: int) -> None: ...

    name, _, target = kind.partition(":")
    space = [Dimension(name, tuple(target.split(",")), 0, 100_000)]
    ((_, found, _),) = explore_search.Search(Runs(), space, 0, {}, 10_000).bounds()  # type: ignore[arg-type]
    assert found.differs is not None and 4_001 - step <= found.safe <= 4_000
    assert found.differs - found.safe <= step


def test_a_counterexample_is_made_less() -> None:
    point = Point({"clock:a": -900, "link-delay:a,b": 700, "jitter:a,b": 3}, 0, {})
    found, runs = least(point, lambda p: p.values.get("link-delay:a,b", 0) - p.values.get("clock:a", 0) >= 1_000)
    assert sum(abs(value) for value in found.values.values()) == 1_000
    assert "jitter:a,b" not in found.values
    assert runs < 40


def test_events_are_written_as_they_are_read() -> None:
    text = """
- {at: 0s, link: {between: [a, b], latency: 20ms, jitter: 1.5ms, distribution: normal, loss: 1.25%, reorder: 5%}}
- {at: 0s, cost: {function: fuse, time: 20ms}}
- {at: 1s, clock: {ensemble: b, step: -3ms, drift: -20.5ppm}}
- {at: 2s, slow: {ensemble: b, factor: 1.5}}
- {at: 3s, fail: b}
- {at: 4s, recover: b}
- {at: 5s, join: "c=gpu,camera"}
- {at: 6s, cut: [a, b]}
- {at: 7s, heal: [a, b]}
"""
    events = parse_events(text, ["a", "b"], "m")
    again = parse_events(events_text(events), ["a", "b"], "m")
    assert [event._replace(line=0) for event in again] == [event._replace(line=0) for event in events]
    assert events[0].link["distribution"] is Spread.NORMAL
    assert set(events[0].link) <= set(LinkSpec._fields)


def test_the_command_gives_the_same_wherever_its_runs_are_done_and_a_file_that_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(HEAD + DEADLINE)
    (tmp_path / "deployment.yaml").write_text(COSTS)
    (tmp_path / "bounds.yaml").write_text("link-delay:a,b: 0..200ms\nclock:a: -50ms..0ms\n")
    words = [
        "explore",
        str(tmp_path / "program.py"),
        "--deployment",
        str(tmp_path / "deployment.yaml"),
        "--until",
        "3s",
    ]
    words += ["--bounds", str(tmp_path / "bounds.yaml"), "--runs", "16", "--json", "-o", str(tmp_path / "found")]
    words += ["-j", "2", "--expect", "link-delay:a,b=39ms", "--expect", "clock:a=40ms"]
    over_processes = CliRunner().invoke(app_of(words), words)
    monkeypatch.setattr(explore_search, "ProcessPoolExecutor", Inline)
    found = CliRunner().invoke(app_of(words), words)
    logging.disable(logging.NOTSET)
    assert found.stdout == over_processes.stdout
    assert found.exit_code == over_processes.exit_code == 1
    assert "-clock:a: -39.999ms stands, -40ms was expected" in found.stderr
    assert "link-delay" not in found.stderr
    one = json.loads(found.stdout)
    assert [axis["safe"] for axis in one["bounds"]] == [39_999, -39_999]
    assert one["together"]["percent"] == 50
    first = one["bounds"][0]["first"]
    assert shlex.split(first["replay"]) == [
        *["ticktalk", "simulate", str(tmp_path / "program.py"), "--until", "3s"],
        *["--deployment", str(tmp_path / "deployment.yaml"), "--seed", "0", "--events", first["file"]],
    ]
    shown = ticktalk.simulate(
        tmp_path / "program.py",
        until="3s",
        deployment=tmp_path / "deployment.yaml",
        events=first["file"],
        seed=first["seed"],
    )
    assert (shown.outputs[0].value, shown.outputs[0].start, shown.outputs[0].stop) == (-1, 375_000, 625_000)


@pytest.mark.usefixtures("here")
def test_a_search_without_outputs_says_what_would_differ(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(HEAD + DEADLINE)
    (tmp_path / "deployment.yaml").write_text(COSTS)
    words = ["explore", str(tmp_path / "program.py"), "--deployment", str(tmp_path / "deployment.yaml")]
    words += ["--until", "1ms", "--vary", "link-delay:a,b=10ms", "--runs", "0"]
    shown = " ".join(CliRunner().invoke(app_of(words), words).stdout.split())
    logging.disable(logging.NOTSET)
    assert "output tokens of a run: none, so only an output that comes when something is worse makes a" in shown


@pytest.mark.usefixtures("here")
def test_a_search_that_is_not_possible_is_refused(tmp_path: Path) -> None:
    for vary, message in {
        "link-dely": "did you mean `link-delay`",
        "loss:a,c": r"the graph as it is placed has no such link \(there are: a,b b,runtime-manager\)",
        "clock:runtime-manager": "has no such ensemble",
        "body-time:wrok": "has no such function",
    }.items():
        with pytest.raises(TTError, match=message):
            explored(tmp_path, DEADLINE, {vary: "1ms"})
    for text, message in {
        "fast": "a duration is a number and a unit",
        "10ms..20ms": "with 0 in it",
        "-1ms..2ms": "it begins at 0",
        "0..0s": "link-delay=0..0s: nothing is made worse by that: a range such as",
    }.items():
        with pytest.raises(TTError, match=message):
            explored(tmp_path, DEADLINE, {"link-delay": text})
    with pytest.raises(TTError, match=r"--outputs wrok-1: there is no such output \(there are: TTFinish"):
        explored(tmp_path, DEADLINE, {"link-delay": "1ms"}, outputs=["wrok-1"])
    with pytest.raises(TTError, match="two runs that are alike differ, so nothing can be searched"):
        explored(tmp_path, DEADLINE.replace("work(x)", "unlike(work(x))"), {"link-delay": "1ms"})
    with pytest.raises(TTError, match="--expect clock:b: it is not searched"):
        explored(tmp_path, DEADLINE, {"link-delay": "1ms", "clock:a": "1ms"}, expect={"clock:b": "1ms"})
    with pytest.raises(TTError, match=r"stream sample-1 has no end, so the run would have none"):
        explored(tmp_path, DEADLINE, {"link-delay": "1ms"}, until=None)


@pytest.mark.usefixtures("here")
def test_the_bounds_of_the_junction_of_the_examples() -> None:
    examples = Path(__file__).parent.parent.parent / "examples"
    vary = {"link-delay:box,pole-south": "200ms", "clock:pole-north": "-100ms..0ms"}
    place = examples / "junction.yaml"
    found = ticktalk.explore(examples / "junction.py", vary, deployment=place, until="1s", runs=0)
    # 80 ms from the instant: 20 to see, 5 on the way and 15 to fuse in the south; 10, 5 and 15 in the north.
    assert {axis.dimension: axis.safe_text for axis in found.bounds} == {
        "link-delay:box,pole-south": "39.999ms",
        "-clock:pole-north": "-49.999ms",
    }


def test_the_processes_of_a_search_have_ended_with_it(tmp_path: Path) -> None:
    """One that was still starting would not find what its parent shares with it, and show a traceback."""
    body = "    return sample(trigger, TTPeriod=ms(500))\n"
    explored(tmp_path, body, {"body-time:sample": "0..1us"}, jobs=3)
    with pytest.raises(TTError, match="--check json:nix: the module 'json' has no 'nix'"):
        explored(tmp_path, body, {"body-time:sample": "0..1us"}, jobs=1, check="json:nix")
    assert multiprocessing.active_children() == []
