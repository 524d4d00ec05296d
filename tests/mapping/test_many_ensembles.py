"""A deployment of very many ensembles costs as much as it is long: joins, placement and messages are counted here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import simpy

from ticktalk import TTEnsemble, TTRuntimeManagerSim, yaml_file
from ticktalk.cli.map import hosts_table
from ticktalk.cli.placement import placement
from ticktalk.cli.tables import terminal
from ticktalk.errors import TTError
from ticktalk.language.compiler import compile_source
from ticktalk.mapping import ensembles as candidates
from ticktalk.mapping.deployment_file import read_deployment
from ticktalk.mapping.heft import heft
from ticktalk.mapping.schedule import MappingProblem
from ticktalk.processes import TTProcess

PROGRAM = """\
from ticktalk import SQify, GRAPHify
@SQify
def f(x):
    return x + 1
@GRAPHify
def main(trigger):
    for k in range(50):
        with TTConstraint(name=f"e{k}"):
            trigger = f(trigger)
    return trigger
"""


class Work:
    """Counts the turns and the messages of all processes, and how often an ensemble was tried for an SQ."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns = self.messages = self.tried = 0
        handle_pending, handle_message, why_not = TTProcess.handle_pending, TTProcess.handle_message, candidates.why_not

        def turn(process: TTProcess) -> bool:
            self.turns += 1
            return handle_pending(process)

        def taken(process: TTProcess, message: object) -> None:
            self.messages += 1
            handle_message(process, message)  # type: ignore[arg-type]

        def tried(*given: object) -> str | None:
            self.tried += 1
            return why_not(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(TTProcess, "handle_pending", turn)
        monkeypatch.setattr(TTProcess, "handle_message", taken)
        for place in ("ensembles", "mapper"):
            monkeypatch.setattr(f"ticktalk.mapping.{place}.why_not", tried)


def at_once(count: int) -> TTRuntimeManagerSim:
    return TTRuntimeManagerSim(None, [TTEnsemble(None, f"e{k}") for k in range(count)], simpy.Environment())


def one_by_one(count: int) -> TTRuntimeManagerSim:
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    for k in range(count):
        TTEnsemble(None, f"e{k}", sim=manager.sim)
    return manager


@pytest.mark.parametrize("join", [at_once, one_by_one])
def test_each_join_is_as_much_work_as_the_first(
    join: Callable[[int], TTRuntimeManagerSim], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work(monkeypatch)
    manager = join(1000)
    assert work.turns < 8 * 1000 and work.messages < 8 * 1000
    assert manager.ensembles == [*(f"e{k}" for k in range(1000)), "runtime-manager"]
    assert set(manager.ensemble.routing_table) == set(manager.ensembles)
    later = TTEnsemble(None, "later", sim=manager.sim)
    assert "e999" in later.routing_table and "later" in manager.ensemble.routing_table


def test_constraints_by_name_are_looked_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    (tmp_path / "many.yaml").write_text("ensembles:\n" + "".join(f"  - name: e{k}\n" for k in range(1000)))
    manager, work = at_once(1000), Work(monkeypatch)
    placed = placement(graph, [], [], tmp_path / "many.yaml", None)
    assert work.tried <= 2 * 50
    state = manager.instantiate_and_map_graph(graph)
    assert work.tried <= 8 * 50
    assert list(state.host_of.values()) == list((placed.mapping or {}).values()) == [f"e{k}" for k in range(50)]
    manager.execute_graph(graph, {"trigger": 1})
    manager.simulation.run()
    assert work.turns < 4 * 1000 and work.messages < 10 * 50
    assert manager.process.outputs.count == 1
    manager.status()
    assert work.turns < 4 * 1000


def test_a_faulty_file_is_told_of_as_the_slower_reader_tells_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faults = ["ensembles: [a\n", "ensembles:\n\t- name: a\n", "a: &x [*y]\n", "[" * 1000, "a: b: c\n", "? \x07\n"]
    told: list[list[str]] = []
    for reader in (yaml_file.FastLoader, yaml_file.PlainLoader):
        monkeypatch.setattr(yaml_file, "FastLoader", reader)
        told.append([])
        for fault in faults:
            (tmp_path / "faulty.yaml").write_text(fault)
            with pytest.raises(TTError) as raised:
                read_deployment(tmp_path / "faulty.yaml")
            told[-1].append(str(raised.value))
    assert told[0] == told[1]


def test_a_long_table_shows_what_matters_and_counts_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = compile_source(PROGRAM.replace("e{k}", "e{9 * k + 1500}"), "prog.py", "prog")
    (tmp_path / "many.yaml").write_text("ensembles:\n" + "".join(f"  - name: e{k}\n" for k in range(2000)))
    problem = MappingProblem(graph, read_deployment(tmp_path / "many.yaml"))
    terminal().print(hosts_table(problem, heft(problem)))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "e1941" in line and "f-50" in line]
    assert len(lines) < 520 and "and 1500 more (--json lists all)" in lines[-2]
