"""Whom a real system listens to: each attack is refused and told, and the system serves on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from systems import LIMIT, ONE, Process, until

from ticktalk.cli.remote import Remote
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.physical.host_facts import free_port
from ticktalk.physical.trust.authority import init_authority, issue, revoke
from ticktalk.runtime_manager import TTRuntimeManagerPhysical


class Guarded:
    """A manager with credentials and one ensemble, in this process."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        init_authority(keys)
        for name, role in (("edge", "ensemble"), ("anna", "operator"), ("vera", "viewer")):
            issue(keys, name, role=role)  # type: ignore[arg-type]
        self.manager = TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, credentials=self.bundle("runtime-manager"))
        self.address = self.manager.address
        self.events: list[str] = []
        self.manager.on_event(self.events.append)
        self.edge = TTEnsemble(None, "edge")
        self.thread = threading.Thread(
            target=self.edge.run_phy, args=(self.address,), kwargs={"credentials": self.bundle("edge")}, daemon=True
        )
        self.thread.start()

    def bundle(self, name: str) -> str:
        return str(self.keys / f"{name}.json")

    def serves(self, name: str) -> None:
        """A graph on the ensemble runs to its end, for an operator."""
        graph = self.manager.instantiate_and_map_graph(
            _compiled(name), mapping={sq.name: "edge" for sq in _compiled(name).sqs}
        ).graph
        self.manager.execute_graph(graph, {"trigger": 1})
        assert self.manager.wait(graph, LIMIT)
        self.manager.stop_graph(graph)

    def end(self) -> None:
        self.edge.stop()
        self.thread.join(LIMIT)
        self.manager.stop()


def _compiled(name: str):  # type: ignore[no-untyped-def]
    from ticktalk.language.compiler import compile_source

    return compile_source(ONE, f"{name}.py", name)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = Guarded(tmp_path_factory.mktemp("guarded") / "keys")
    try:
        assert made.manager.wait_for_ensembles(["edge"], LIMIT) == []
        yield made
    finally:
        made.end()


def test_a_role_says_what_a_command_may_ask(system: Guarded) -> None:
    json = _compiled("asked").to_json()
    with Remote(system.address, system.bundle("anna")) as anna:
        assert anna.ask(do="deploy", json=json)["graph"] == "asked"
        assert anna.ask(do="start", graph="asked")["context"] >= 0
    for name in ("vera", "edge"):
        with Remote(system.address, system.bundle(name)) as remote:
            for do in ("deploy", "start", "stop", "drain", "set", "ensembles", "shut down"):
                with pytest.raises(TTError, match=rf"'{name}' give the role .*, which may not .*--role operator"):
                    remote.ask(do=do, json=json, graph="asked", name="edge")
    with Remote(system.address, system.bundle("vera")) as vera:
        assert vera.ask(do="status")["graphs"][0]["name"] == "asked"
        assert vera.ask(do="outputs", graph="asked") is not None
    with Remote(system.address, system.bundle("edge")) as edge, pytest.raises(TTError, match="--role viewer"):
        edge.ask(do="status")
    with Remote(system.address, system.bundle("anna")) as anna:
        anna.ask(do="stop", graph="asked")
    system.serves("after_roles")


@pytest.mark.parametrize("name", ["anna", "vera"])
def test_a_user_does_not_join(system: Guarded, name: str) -> None:
    joining = Process("ensemble", name, "--manager", system.address, "--credentials", system.bundle(name))
    assert joining.wait() == 1
    assert "so it cannot join" in joining.said and "Traceback" not in joining.said
    until(lambda: any("so it cannot join" in str(event) for event in system.events), "the manager tells")
    system.serves(f"after_{name}")


def test_an_ensemble_joins_under_its_own_name_only(system: Guarded) -> None:
    joining = Process("ensemble", "better", "--manager", system.address, "--credentials", system.bundle("edge"))
    assert joining.wait() == 1
    assert "does not serve for 'better'" in joining.said and "Traceback" not in joining.said


def test_a_command_without_credentials_is_told_which_to_use(system: Guarded) -> None:
    command = Process("status", "--manager", system.address)
    assert command.wait() == 1
    assert "wants credentials" in command.said and "keys issue NAME --role ROLE" in command.said


def test_credentials_for_a_manager_without_are_told_so(system: Guarded) -> None:
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as open_manager:
        command = Process("status", "--manager", open_manager.address, "--credentials", system.bundle("vera"))
        assert command.wait() == 1
        assert "has no credentials" in command.said


def test_a_revoked_ensemble_goes_at_once_and_its_work_goes_on_elsewhere(tmp_path: Path) -> None:
    system = Guarded(tmp_path / "keys")
    thief: Process | None = None
    try:
        issue(system.keys, "lost")
        thief = Process("ensemble", "lost", "--manager", system.address, "--credentials", system.bundle("lost"))
        assert system.manager.wait_for_ensembles(["edge", "lost"], LIMIT) == []
        graph = _compiled("moves")
        hosts = {sq.name: "lost" for sq in graph.sqs}
        system.manager.instantiate_and_map_graph(graph, mapping=hosts)
        revoke(system.keys, "lost")
        assert thief.wait() == 1
        assert "the certificate of 'lost' was revoked" in thief.said and "Traceback" not in thief.said
        until(lambda: "'lost' is gone: its certificate was revoked" in system.events, "the manager tells")
        until(
            lambda: "lost" not in system.manager.process.state.graphs["moves"].host_of.values(), "its SQs go elsewhere"
        )
        again = Process("ensemble", "lost", "--manager", system.address, "--credentials", system.bundle("lost"))
        assert again.wait() == 1
        assert "was revoked" in again.said and "keys issue lost --role ensemble" in again.said
        system.manager.execute_graph(graph, {"trigger": 1})
        assert system.manager.wait(graph, LIMIT)
        issue(system.keys, "lost")
        thief = Process("ensemble", "lost", "--manager", system.address, "--credentials", system.bundle("lost"))
        assert system.manager.wait_for_ensembles(["edge", "lost"], LIMIT) == []
    finally:
        if thief is not None:
            thief.end()
        system.end()


# Loopback without credentials.


def test_another_user_of_the_host_is_refused_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user has another token: the same as another folder for the time that the host runs."""
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager:
        with Remote(manager.address, None) as same_user:
            assert same_user.ask(do="status")["graphs"] == []
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
        commands = [
            Process("status", "--manager", manager.address),
            Process("stop", "--yes", "--manager", manager.address),
        ]
        for command in commands:
            assert command.wait() == 1
            assert "serves only the user who started it" in command.said and "Traceback" not in command.said
        monkeypatch.undo()
        with Remote(manager.address, None) as same_user:
            assert same_user.ask(do="status")["graphs"] == []


def test_an_ensemble_finds_a_manager_that_was_started_again() -> None:
    port = free_port("127.0.0.1")
    address = f"127.0.0.1:{port}"
    edge = TTEnsemble(None, "edge")
    thread = threading.Thread(target=edge.run_phy, args=(address,), kwargs={"workers": 0}, daemon=True)
    thread.start()
    try:
        for _ in range(2):
            with TTRuntimeManagerPhysical(None, "127.0.0.1", port, 0, workers=0) as manager:
                assert manager.wait_for_ensembles(["edge"], LIMIT) == []
    finally:
        edge.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()
