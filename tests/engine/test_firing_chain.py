"""The way from a decided firing to its body's run: the stages, what a tap is told, no need of an accelerator."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import simpy
from typer.testing import CliRunner

from ticktalk import TTRuntimeManagerSim
from ticktalk.cli.main import app_of
from ticktalk.engine.firing.grid import GridSync
from ticktalk.hosted.body_costs import Meter
from ticktalk.hosted.tapping import Tapped
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.records import Fired
from ticktalk.simulation.driver import Simulation

CASES = Path(__file__).parents[1] / "conformance" / "cases"

PROGRAM = """
from ticktalk import *
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def odd(x):
    return x if x % 2 else TTEmpty()
@SQify
def breaks(x):
    return 6 // (x - 3)
@SQify
def once(x):
    return x
@GRAPHify
def main(trigger):
    with TTClock.root() as root:
        tag, a = src(trigger, TTClock=root, TTPeriod=10)
        with TTConstraint(name="here"):
            c = breaks(odd(a))
        return c, TTSingleRunTimeout(once(a), TTTimeout=50), tag + 1
"""


def started(
    records: list[Any] | None = None, deployment: str | None = None, meter: Meter | None = None
) -> tuple[Any, Any]:
    """A manager that runs the program up to tick 60, and its context."""
    text = PROGRAM.replace('        with TTConstraint(name="here"):\n            c =', "        c =")
    graph = compile_source(text, "prog.py", "prog")
    costs = None if deployment is None else parse_deployment(deployment)
    manager = TTRuntimeManagerSim(None, [], simpy.Environment(), deployment=costs, meter=meter)
    if records is not None:
        manager.ensemble.host.tap = lambda start: Tapped(records.append, manager.simulation.now)
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph, {})
    manager.simulation.run(60)
    (context,) = manager.ensemble.host.contexts.values()
    return manager, context


COSTS = "ensembles:\n- {name: runtime-manager}\ncosts:\n  breaks: {time: 4us}\n"


def test_the_stages_of_each_sq_can_be_read() -> None:
    _, context = started()
    assert {name: chain.stages for name, chain in context.chains.items()} == {
        "src-1": ("tag", "own copies", "in place"),
        "odd-1": ("in place",),
        "breaks-1": ("in place",),
        "once-1": ("single run", "in place"),
        "ADD-1": ("in place",),
        "TUPLE-1": ("in place",),
    }
    _, context = started([], COSTS, Meter(lambda: 0))
    assert {name: chain.stages for name, chain in context.chains.items()} == {
        "src-1": ("tap", "tag", "own copies", "meter", "watch", "in place"),
        "odd-1": ("tap", "meter", "watch", "in place"),
        "breaks-1": ("tap", "cores", "meter", "in place"),  # the cores tell the tap
        "once-1": ("tap", "single run", "meter", "watch", "in place"),
        "ADD-1": ("tap", "watch", "in place"),
        "TUPLE-1": ("tap", "watch", "in place"),
    }


def test_without_stages_the_rule_calls_the_body_itself() -> None:
    _, context = started()
    chain = context.chains["odd-1"]
    assert chain.execute is context.executes["odd-1"] and chain.fire == chain.execute.fire


def test_a_tap_is_told_of_every_body_that_ran() -> None:
    records: list[Any] = []
    _, context = started(records)
    fired = [each for each in records if isinstance(each, Fired)]
    told = [(each.sq, 1, each.start, each.stop, each.began, each.ended, each.outcome) for each in fired]
    assert [firing for firing in told if firing[0] == "src-1"] == [
        ("src-1", 1, tick - 2, tick + 3, tick, tick, "sent") for tick in range(10, 60, 10)
    ]
    assert [firing[6] for firing in told if firing[0] == "odd-1"] == ["sent", "nothing", "sent", "nothing", "sent"]
    assert [firing[4:] for firing in told if firing[0] == "breaks-1"] == [
        (10, 10, "sent"), (30, 30, "failed"), (50, 50, "sent"),
    ]  # fmt: skip
    count = {name: execute.fired for name, execute in context.executes.items()}
    assert count == {name: sum(firing[0] == name for firing in told) for name in count}


def test_a_tap_is_told_when_a_body_on_a_core_began_and_ended() -> None:
    records: list[Any] = []
    started(records, COSTS)
    fired = [each for each in records if isinstance(each, Fired) and each.sq == "breaks-1"]
    assert [(each.start, each.stop, each.began, each.ended, each.outcome) for each in fired] == [
        (8, 13, 10, 14, "sent"), (28, 33, 30, 34, "failed"), (48, 53, 50, 54, "sent"),
    ]  # fmt: skip


def test_without_a_tap_nothing_is_added_and_with_one_there_is_no_generated_code() -> None:
    manager, context = started()
    assert context in manager.simulation.accelerator.contexts.values()
    assert not any({"tap", "watch"} & set(chain.stages) for chain in context.chains.values())
    manager, context = started([])
    assert not context.accelerated and not manager.simulation.accelerator.contexts


def test_nothing_sets_fire_but_the_accelerator() -> None:
    """Where none is given, each SQ has at the end the fire that its chain gave it."""
    _, context = started([])
    for name, chain in context.chains.items():
        assert context.syncs[name].fire == chain.fire
    assert isinstance(context.syncs["src-1"], GridSync)


def test_the_picture_of_a_program_tells_the_stages(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(PROGRAM)
    shown = CliRunner().invoke(app_of(["draw"]), ["draw", str(tmp_path / "prog.py"), "--show-code"]).output
    assert "# src-1: tag, own copies, in place\n" in shown
    assert "# once-1: single run, in place\n" in shown


def simulated(arguments: list[str]) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            app_of(arguments)(arguments, standalone_mode=False)
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        except Exception as error:
            status = 1
            err.write(f"{type(error).__name__}: {error}")
    return status, out.getvalue(), err.getvalue()


SOME = sorted(path.stem for path in CASES.glob("*.json"))[::12]


@pytest.mark.parametrize("name", SOME)
def test_without_an_accelerator_everything_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case = json.loads((CASES / f"{name}.json").read_text(encoding="utf-8"))
    arguments = ["simulate", "--jsonl", "--until", case.get("until") or "20s", *case["args"], str(CASES / f"{name}.py")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "COLUMNS", "500")
    with_one = simulated(arguments)
    made: Callable[..., None] = Simulation.__init__

    def without(self: Simulation, env: simpy.Environment) -> None:
        made(self, env)
        self.accelerator = None
        self.agenda.ahead = None

    monkeypatch.setattr(Simulation, "__init__", without)
    assert simulated(arguments) == with_one
