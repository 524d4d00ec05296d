"""Latencies of outputs and the use of cores and links: against a model in SimPy, and tables made by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim, compile_program
from ticktalk.cli.ending import latency_lines, load_lines
from ticktalk.manager.latency import SAMPLES, Latencies, Latency, StreamInstants
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.mapping.expected_use import rates, use_lines, uses

HEAD = "from ticktalk import *\n"


def simulated(
    folder: Path, program: str, deployment: str | None, until: int, mapping: dict[str, str], delay: int = 0
) -> Any:
    (folder / "prog.py").write_text(HEAD + program)
    graph = compile_program(str(folder / "prog.py"))
    read = parse_deployment(deployment) if deployment is not None else None
    ensembles = [TTEnsemble(None, name) for name in sorted(set(mapping.values()))]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment(), deployment=read, network_delay=delay)
    manager.instantiate_and_map_graph(graph, mapping=mapping)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    return manager.status()


PIPE = """
@STREAMify
def src(trigger):
    return 0
@SQify
def work(x):
    return x
@GRAPHify
def main(trigger):
    return work(src(trigger, TTPeriod=PERIOD))
"""


def pipe_in_simpy(period: int, sent: int, transfer: int, latency: int, works: int, until: int) -> tuple[Any, Any, Any]:
    """The latencies at the end of `work`, and for how long link and core have worked, of tokens after a first stage."""
    env = simpy.Environment()
    stages = {name: simpy.Resource(env, 1) for name in ("source", "link", "core")}
    worked = dict.fromkeys(stages, 0)
    latencies: list[int] = []

    def hold(name: str, length: int) -> Iterator[simpy.Event]:
        with stages[name].request() as turn:
            yield turn
            begun = int(env.now)
            worked[name] += min(length, until - begun)
            yield env.timeout(length)

    def token(instant: int) -> Iterator[simpy.Event]:
        yield from hold("source", sent)
        yield from hold("link", transfer)
        yield env.timeout(latency)
        yield from hold("core", works)
        latencies.append(int(env.now) - instant)

    def stream() -> Iterator[simpy.Event]:
        while True:
            yield env.timeout(period)
            env.process(token(int(env.now)))

    env.process(stream())
    env.run(until)
    return latencies, worked["link"], worked["core"]


@pytest.mark.parametrize("seed", range(20))
def test_a_pipe_as_in_simpy(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    period = chance.randint(2_000, 20_000)
    source, transfer, works = (chance.randint(1, int(period * share)) for share in (0.9, 1.4, 1.4))
    latency, until = chance.randint(0, 30_000), 997 * period // 3
    deployment = f"""
ensembles: [{{name: a}}, {{name: b}}, {{name: runtime-manager}}]
links: [{{default: {{latency: {latency}us, bandwidth: 1MB/s}}}}, {{between: [b, runtime-manager], latency: 0}}]
costs:
  src: {{time: {source}us, bytes: {transfer}B}}
  work: {{time: {works}us, bytes: 1B}}
"""
    program = PIPE.replace("PERIOD", str(period))
    found = simulated(tmp_path, program, deployment, until, {"src-1": "a", "work-1": "b"})
    latencies, link, core = pipe_in_simpy(period, source, transfer, latency, works, until)
    told = found["graphs"][0]["latency_us"]["work-1"]
    ordered = sorted(latencies)
    assert told["outputs"] == len(ordered)
    assert told["median"] == ordered[(len(ordered) - 1) // 2]
    assert told["worst"] == ordered[-1]
    assert sum(each <= told["p99"] for each in ordered) >= 0.99 * len(ordered)
    assert sum(each < told["p99"] for each in ordered) < 0.99 * len(ordered)
    loads = {load["name"]: load for load in found["loads"]}
    said = uses(compile_program(str(tmp_path / "prog.py")), parse_deployment(deployment), {"src-1": "a", "work-1": "b"})
    assert said == {
        "a": Fraction(source, period),
        "a -> b": Fraction(transfer, period),
        "b": Fraction(works, period),
    }
    assert loads["a -> b"]["used"] == link / until
    assert loads["b"]["used"] == core / until
    assert (loads["a -> b"]["overloaded_since"] is not None) == (transfer > period)
    assert (loads["b"]["overloaded_since"] is not None) == (works > max(period, transfer))


def test_an_overloaded_core_is_told_where_its_streams_skip(tmp_path: Path) -> None:
    deployment = "ensembles: [{name: a}]\ncosts: {src: {time: 15ms}, work: {time: 0}}"
    found = simulated(tmp_path, PIPE.replace("PERIOD", "10_000"), deployment, 1_000_000, {"src-1": "a", "work-1": "a"})
    # Of three instants two are run, 30 ms in all: from 10 ms on there is no pause. That of 990 ms waits at the end.
    assert load_lines(found["loads"]) == [
        "the core of a worked 99% of the time: overloaded since 10ms, and 10ms behind at the end, most of it of src-1"
    ]


def test_a_burst_is_no_overload(tmp_path: Path) -> None:
    """Forty bodies of 20 ms at each second take 0.8 s of it, wherever the run is cut off."""
    calls = "".join(f"    work(x, TTName='w{k}')\n" for k in range(40))
    program = PIPE.replace(
        "    return work(src(trigger, TTPeriod=PERIOD))", "    x = src(trigger, TTPeriod=1_000_000)\n"
    )
    program += calls
    deployment = "ensembles: [{name: a}]\ncosts: {work: {time: 20ms}, src: {time: 0}}"
    mapping = {"src-1": "a"} | {f"w{k}": "a" for k in range(40)}
    for until in (2_050_000, 2_500_000, 2_750_000):
        (load,) = simulated(tmp_path, program, deployment, until, mapping)["loads"]
        assert load["overloaded_since"] is None
        assert load["waits"]


TWO_RATES = """
@STREAMify
def fast(trigger):
    return 1
@STREAMify
def slow(trigger):
    return 2
@SQify
def both(x, y):
    return x + y
@GRAPHify
def main(trigger):
    tag, x = fast(trigger, TTPeriod=10_000, TTPhase=3_000, TTDataIntervalWidth=8_000)
    y = slow(trigger, TTPeriod=30_000, TTDataIntervalWidth=30_000)
    z = both(x, y)
    return TTFinishByOtherwise(z, TTTimeDeadline=tag + 8_000)
"""


def test_the_newest_instant_counts_and_the_deadline_after_it(tmp_path: Path) -> None:
    # y at 30 has [15, 45), x at 23 has [19, 27): both are there at 30, 7 ms after 23. So it is each 30 ms.
    mapping = dict.fromkeys(["fast-1", "slow-1", "both-1", "ADD-1", "TTFinishByOtherwise-1"], "a")
    found = simulated(tmp_path, TWO_RATES, None, 400_000, mapping, delay=1_000)
    told = found["graphs"][0]["latency_us"]["TTFinishByOtherwise-1"]
    assert told == {"outputs": 13, "median": 8_000, "p99": 8_000, "worst": 8_000, "deadline": 8_000, "p99_after": 0}
    assert latency_lines(
        {"d": {"outputs": 3, "median": 1_000, "p99": 4_000, "worst": 4_500, "deadline": 5_000, "p99_after": -1_000}}
    ) == ["latency of d: median 1ms, 99% 4ms, worst 4.5ms, of 3 outputs; deadline 5ms: 99% 1ms before it"]


def test_the_instant_of_a_token() -> None:
    assert StreamInstants(10_000, 3_000, 8_000, True).instant(19_000) == 23_000
    assert StreamInstants(10_000, 3_000, 8_000, True).instant(19_001) is None
    assert StreamInstants(10_000, 3_000, 8_000, False).instant(19_001) == 23_001
    # [19, 27) is of 23; no token holds all of [18, 20), and with widths above the period two hold [24, 26).
    assert StreamInstants(10_000, 3_000, 8_000, True).instant_around(20_000, 27_000) == 23_000
    assert StreamInstants(10_000, 3_000, 8_000, True).instant_around(18_000, 20_000) is None
    assert StreamInstants(10_000, 3_000, 8_000, True).instant_around(26_000, 28_000) is None
    assert StreamInstants(10_000, 3_000, 20_000, True).instant_around(24_000, 26_000) is None


def test_many_samples_are_thinned_out_evenly_and_the_worst_stays() -> None:
    latency = Latency([StreamInstants(10, 0, 5, True)])
    for k in range(10 * SAMPLES):
        latency.add(10 * k - 2, 10 * k + 3, 10 * k + (7 if k == 1 else k % 5), 0)
    shown = latency.shown()
    assert shown["outputs"] == 10 * SAMPLES and shown["worst"] == 7
    assert abs(shown["median"] - 2) <= 1


def test_of_a_stream_whose_period_is_set_again_and_again_the_last_two_grids_are_kept() -> None:
    """Tokens of the one before may still be under way."""
    grids = [StreamInstants(1000 + k, 0, 10, True) for k in range(100)]
    latency = Latency(grids[:1])
    for grid in grids:
        latency.follow([grid])
    assert latency.grids == [grids[99], grids[98]]
    latency.follow([grids[99]])
    for k in (97, 98, 99):
        latency.add(1000 + k - 5, 1000 + k + 5, 1000 + k + 7, 0)
    assert latency.shown()["outputs"] == 2 and latency.worst == 7


def test_intervals_of_an_sqs_own_making_tell_no_latency(tmp_path: Path) -> None:
    program = PIPE.replace("work(src(trigger, TTPeriod=PERIOD))", "ADD_TIME_DELAY(src(trigger, TTPeriod=10), delay=5)")
    (tmp_path / "prog.py").write_text(HEAD + program)
    assert not Latencies(compile_program(str(tmp_path / "prog.py"))).by_sq


def test_the_rates_of_a_graph(tmp_path: Path) -> None:
    graph = """
@STREAMify
def s(trigger):
    return 0
@SQify
def f(x, y):
    return 0
@GRAPHify
def main(trigger):
    a = s(trigger, TTPeriod=100)
    b = s(trigger, TTPeriod=Hz(3))
    return f(a, b), f(a, trigger), MERGE(a, b), RESAMPLE(a, TTPeriod=50), f(trigger, 1)
"""
    (tmp_path / "prog.py").write_text(HEAD + graph)
    found = rates(compile_program(str(tmp_path / "prog.py")))
    hundred, third = Fraction(1, 100), Fraction(3, 1_000_000)
    assert [found[f"f-{k}"] for k in (1, 2, 3)] == [third, hundred, 0]
    assert (found["MERGE-1"], found["RESAMPLE-1"]) == (hundred + third, Fraction(1, 50))


def test_map_tells_use_and_overload_by_periods() -> None:
    shares = {"a": Fraction(3, 2), "a -> b": Fraction(1, 4), "b": Fraction(1, 8)}
    assert use_lines(shares) == [
        "overloaded: with these periods, the cores of a would have 150% of what can be done",
        "with these periods, the link a -> b would be used 25% of the time",
    ]


def test_a_deadline_is_that_of_its_stream_though_another_one_came_later(tmp_path: Path) -> None:
    # Data of 20 and 28 ms is there at 28 + 1 = 29 (one link), the output at 30: 10 ms after the tag, 2 after the last.
    program = TWO_RATES.replace("TTPeriod=10_000, TTPhase=3_000", "TTPeriod=20_000")
    program = program.replace("TTPeriod=30_000, TTDataIntervalWidth=30_000", "TTPeriod=20_000, TTPhase=8_000")
    mapping = dict.fromkeys(["fast-1", "slow-1", "both-1"], "a") | dict.fromkeys(
        ["ADD-1", "TTFinishByOtherwise-1"], "b"
    )
    found = simulated(tmp_path, program.replace("tag + 8_000", "tag + 9_500"), None, 400_000, mapping, delay=1_000)
    told = found["graphs"][0]["latency_us"]["TTFinishByOtherwise-1"]
    assert (told["median"], told["deadline"], told["p99_after"]) == (2_000, 9_500, 500)
