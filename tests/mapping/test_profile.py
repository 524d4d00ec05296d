"""`--profile`: the costs of a run are written as a deployment file that reads back the same."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import pytest
import simpy
import typer
from typer.testing import CliRunner, Result

from commands import ticktalk
from ticktalk import TTEnsemble, TTRuntimeManagerSim, compile_program
from ticktalk.cli.simulate import simulate
from ticktalk.errors import TTError
from ticktalk.hosted.body_costs import SAMPLES_KEPT, BodyCosts, Meter
from ticktalk.mapping.deployment_file import (
    CostSpec,
    DeploymentFile,
    EnsembleSpec,
    LinkSpec,
    parse_deployment,
    read_deployment,
)
from ticktalk.mapping.measured_costs import completed, costs_of
from ticktalk.mapping.write_deployment import deployment_text

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(simulate)

PROGRAM = """\
from ticktalk import *
@STREAMify
def tick(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    component("clock").pass_by(sq_state["n"])
    return "x" * 100 * sq_state["n"]
@SQify
def halves(text):
    component("clock").pass_by(1000)
    return text[:5], TTEmpty() if len(text) > 100 else b"1234567890"
@SQify
def fails(text):
    component("clock").pass_by(7)
    raise ValueError
@SQify
def never():
    return 1
@GRAPHify
def main(trigger):
    text = tick(trigger, TTPeriod=100_000)
    a, b = halves(text)
    fails(text)
"""


class Clock:
    """Microseconds that pass only when a body says so."""

    def __init__(self) -> None:
        self.now = 0

    def pass_by(self, us: int) -> None:
        self.now += us


@pytest.mark.parametrize("with_costs", [False, True])
def test_median_times_and_sizes(tmp_path: Path, with_costs: bool) -> None:
    """Bodies run in place or, on simulated cores, in simulated time; both ways their real time is measured."""
    (tmp_path / "prog.py").write_text(PROGRAM)
    graph = compile_program(str(tmp_path / "prog.py"))
    clock, env = Clock(), simpy.Environment()
    meter = Meter(lambda: clock.now)
    costs = {name: CostSpec(5_000) for name in ("tick", "halves", "fails")} if with_costs else {}
    deployment = DeploymentFile("d", (EnsembleSpec("a"),), costs=costs)
    ensembles = [TTEnsemble(None, "a", components={"clock": clock})]
    manager = TTRuntimeManagerSim(None, ensembles, env, meter=meter, deployment=deployment)
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(550_000)
    # MessagePack: five bytes of text take 6, 10 bytes 12; 100 bytes of text take 102, from 256 on 3 more.
    assert costs_of(meter.samples()) == {"tick": CostSpec(3, 303), "halves": CostSpec(1000, 6)}


def test_samples_are_thinned_out() -> None:
    costs = BodyCosts()
    for k in range(50_001):
        costs.add(k, [2 * k, 2 * k])
    assert SAMPLES_KEPT / 2 <= len(costs.times) <= SAMPLES_KEPT
    found = costs_of([("f", costs.times, costs.sizes)])["f"]
    assert found.time is not None
    assert 24_000 < found.time < 26_000


def test_a_time_is_at_least_a_microsecond_and_several_hosts_count() -> None:
    assert costs_of([("f", [0, 0], []), ("g", [], [])]) == {"f": CostSpec(1, None)}
    assert costs_of([("f", [1, 9], [5]), ("f", [9], [])]) == {"f": CostSpec(9, 5)}


def test_measured_costs_count_and_given_ones_where_nothing_was_measured() -> None:
    given = {"f": CostSpec(None, 7, 9), "g": CostSpec(0), "other": CostSpec(3)}
    measured = {"f": CostSpec(50, 60), "g": CostSpec(50, 60), "h": CostSpec(1)}
    assert completed(given, measured) == {
        "f": CostSpec(50, 60, 9),
        "g": CostSpec(50, 60),
        "other": CostSpec(3),
        "h": CostSpec(1),
    }


@pytest.mark.parametrize("seed", range(20))
def test_a_written_deployment_reads_back_the_same(seed: int) -> None:
    chance = random.Random(seed)
    names = ["no", "1", "null", "a-b.c", "x_y", "ütz"]
    specs = tuple(
        EnsembleSpec(
            name,
            tuple(chance.sample(["camera", "yes", "a: b", "- #x", "'", "0x1"], chance.randint(0, 4))),
            Fraction(chance.choice(["1", "0.5", "2.125", "1e-6", "0.1", "999999.999"])),
            chance.randint(1, 9),
            chance.choice([None, 0, 12345]),
            chance.choice([None, (), ("numpy", "cv2")]),
        )
        for name in names
    )
    links = {
        (min(pair), max(pair)): LinkSpec(
            chance.choice([0, 1, 1_500, 2_000_000]),
            chance.choice([None, Fraction(1, 8), Fraction(10**9), Fraction(5, 4)]),
        )
        for pair in [("no", "1"), ("null", "no"), ("x_y", "ütz")]
    }
    costs = {
        name: CostSpec(*(chance.choice([None, 0, 17, 60_000_000]) for _ in range(3))) for name in ("f", "ADD", "on")
    }
    default = chance.choice([LinkSpec(), LinkSpec(5)])
    deployment = DeploymentFile("d", specs, links, default, costs)
    read = parse_deployment(deployment_text(deployment), "d")
    assert read._replace(cost_lines={}) == deployment


def test_speeds_and_bandwidths_as_people_write_them() -> None:
    text = "ensembles:\n- {name: a, speed: 0.000123456789012345}\n"
    text += "links:\n- default: {bandwidth: 1.1234567890123456bit/s}"
    read = parse_deployment(text)
    assert parse_deployment(deployment_text(read)) == read


PLAIN = PROGRAM.replace('component("clock").pass_by', "str")


def simulated(folder: Path, *options: str) -> Result:
    (folder / "prog.py").write_text(PLAIN)
    return CliRunner().invoke(app, [str(folder / "prog.py"), "--until", "1s", *options])


def test_simulate_writes_measured_costs(tmp_path: Path) -> None:
    made = tmp_path / "p.yaml"
    options = ["--profile", str(made), "--ensemble", "a=camera", "--ensemble", "b", "--network-delay", "2ms"]
    result = simulated(tmp_path, *options)
    assert result.exit_code == 0, result.exception
    read = read_deployment(made)
    assert read.ensembles == (EnsembleSpec("a", ("camera",)), EnsembleSpec("b"))
    assert read.default == LinkSpec(2_000)
    assert read.costs.keys() == {"tick", "halves"}
    assert "no run of fails was seen" in result.output
    # It is a deployment file like any other, and can be written over as one.
    assert simulated(tmp_path, "--deployment", str(made)).exit_code == 0
    assert simulated(tmp_path, "--profile", str(made)).exit_code == 0
    assert read_deployment(made).ensembles == (EnsembleSpec("runtime-manager"),)


def test_the_entries_of_a_deployment_file_are_written_again(tmp_path: Path) -> None:
    (tmp_path / "d.yaml").write_text(
        "ensembles:\n- {name: a, speed: 2}\ncosts:\n  tick: {time: 180ms, memory: 5kB}\n  other: {time: 1ms}\n"
    )
    made = tmp_path / "p.yaml"
    assert simulated(tmp_path, "--deployment", str(tmp_path / "d.yaml"), "--profile", str(made)).exit_code == 0
    read = read_deployment(made)
    assert read.ensembles == (EnsembleSpec("a", speed=Fraction(2)),)
    tick = read.costs["tick"]
    # The body takes no 180 ms here, whatever the simulation lets it take.
    assert tick.time is not None and tick.time < 180_000 and tick.memory == 5_000
    assert tick.bytes is not None
    assert read.costs["other"] == CostSpec(1_000)
    assert f"# Not measured, so they are as {tmp_path / 'd.yaml'} gives them: other.\n" in made.read_text()
    assert read.costs["halves"].time is not None


def test_only_a_deployment_file_is_overwritten(tmp_path: Path) -> None:
    result = simulated(tmp_path, "--profile", str(tmp_path / "prog.py"))
    assert isinstance(result.exception, TTError)
    assert "it is no deployment file, so it is not written over" in str(result.exception)
    assert (tmp_path / "prog.py").read_text() == PLAIN
    deployment = tmp_path / "d.yaml"
    deployment.write_text("# mine\nensembles: [name: a]\n")
    result = simulated(tmp_path, "--deployment", str(deployment), "--profile", str(deployment))
    assert result.exit_code == 2
    assert deployment.read_text().startswith("# mine")
    result = simulated(tmp_path, "--profile", str(tmp_path / "none" / "p.yaml"))
    assert "there is no folder" in str(result.exception)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_run_gathers_costs_from_every_ensemble(tmp_path: Path, workers: str) -> None:
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\n@SQify\ndef f(x):\n    return b'12345678'\n@SQify\ndef g(x):\n    return len(x)\n"
        "@GRAPHify\ndef main(trigger):\n    with TTConstraint(name='a'):\n        x = f(trigger)\n"
        "    with TTConstraint(name='runtime-manager'):\n        return g(x)\n"
    )
    made = tmp_path / "p.yaml"
    done = ticktalk("run", str(tmp_path / "prog.py"), "--profile", str(made), "--workers", workers)
    assert done.returncode == 0, done.stderr
    read = read_deployment(made)
    assert read.ensembles == (EnsembleSpec("a"), EnsembleSpec("runtime-manager"))
    assert (read.costs["f"].bytes, read.costs["g"].bytes) == (10, 1)
    assert all(cost.time is not None and cost.time >= 1 for cost in read.costs.values())
