"""Whom a real system listens to: each attack is refused and told, and the system serves on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from systems import HEAD, LIMIT, ONE, Process, free_port, until

from ticktalk.cli.remote import Remote
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.language.compiler import compile_source
from ticktalk.messages import NetMsg, message
from ticktalk.network_keys import Path as NetworkPath
from ticktalk.network_keys import control_key
from ticktalk.physical import ensemble_handle
from ticktalk.physical.network import probing
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.joining import client, open_session
from ticktalk.physical.trust.authority import init_authority, issue, revoke
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.trust import Trust
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

MANAGER = "runtime-manager"


class Guarded:
    """A manager with credentials and one ensemble, in this process."""

    def __init__(self, keys: Path) -> None:
        self.keys = keys
        init_authority(keys)
        for name, role in (("edge", "ensemble"), ("anna", "operator"), ("vera", "viewer")):
            issue(keys, name, role=role)  # type: ignore[arg-type]
        self.manager = TTRuntimeManagerPhysical(
            None, "127.0.0.1", 0, 0, workers=0, credentials=self.bundle("runtime-manager")
        )
        self.address = self.manager.address
        self.events: list[str] = []
        self.manager.on_event(self.events.append)
        self.edge = TTEnsemble(None, "edge")
        self.thread = threading.Thread(
            target=self.edge.run_phy,
            args=(self.address,),
            kwargs={"workers": 0, "credentials": self.bundle("edge")},
            daemon=True,
        )
        self.thread.start()

    @property
    def guard(self) -> Guard:
        """The manager's."""
        found = self.manager._handle.node.guard
        assert found is not None
        return found

    @property
    def revoked(self) -> int:
        """The number of the revocation list that the manager has."""
        found = self.guard.revocations
        return 0 if found is None else found.number

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
    program = _compiled("asked").to_json()
    with Remote(system.address, system.bundle("anna")) as anna:
        assert anna.ask(do="deploy", json=program)["graph"] == "asked"
        assert anna.ask(do="start", graph="asked")["context"] >= 0
    for name in ("vera", "edge"):
        with Remote(system.address, system.bundle(name)) as remote:
            for do in ("deploy", "start", "stop", "drain", "set", "ensembles", "shut down", "watch"):
                with pytest.raises(TTError, match=rf"'{name}' give the role .*, which may not .*--role operator"):
                    remote.ask(do=do, json=program, graph="asked", name="edge")
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


def test_an_ensemble_says_why_it_goes_on_trying(system: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another reason is told when there is one: the manager comes, and wants credentials."""
    monkeypatch.setattr(ensemble_handle, "LOOK_WHY", 0.2)
    port = free_port()
    said: list[str] = []
    bare = TTEnsemble(None, "bare")
    thread = threading.Thread(target=lambda: bare.run_phy(f"127.0.0.1:{port}", on_event=said.append))
    thread.start()
    try:
        until(lambda: said == [f"nobody answers at 127.0.0.1:{port} yet; still trying"], "it waits")
        keys = system.bundle("runtime-manager")
        with TTRuntimeManagerPhysical(None, "127.0.0.1", port, 0, workers=0, credentials=keys):
            until(lambda: "wants credentials" in said[-1] and said[-1].endswith("; still trying"), "it says what to do")
            assert sum("wants credentials" in each for each in said) == 1
    finally:
        bare.stop()
        thread.join(LIMIT)


def test_a_certificate_that_nobody_can_read_ends_no_look(system: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may listen in the manager's place; an ensemble looks again and again while it goes on trying."""
    monkeypatch.setattr(probing, "_certificate", lambda manager: b"none")
    trust = Trust("edge", "ensemble", system.bundle("edge"), system.address)
    assert probing.why_nobody(system.address, trust).startswith("no manager that accepts this certificate answers")


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


def test_ensembles_that_no_other_can_reach_and_that_join_at_once_hear_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their certificates name no address. Neither knows of the other when it opens its session."""
    keys = tmp_path / "keys"
    init_authority(keys)
    both = threading.Barrier(2)

    def at_once(*arguments: Any) -> None:
        both.wait(LIMIT)
        open_session(*arguments)

    monkeypatch.setattr(ensemble_handle, "open_session", at_once)
    threads, ensembles = [], []
    said: list[str] = []
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0, credentials=str(keys / f"{MANAGER}.json")) as m:
        for name in ("edge", "far"):
            issue(keys, name)
            ensembles.append(TTEnsemble(None, name))
            options = {"workers": 0, "credentials": str(keys / f"{name}.json"), "on_event": said.append}
            threads.append(
                threading.Thread(target=ensembles[-1].run_phy, args=(m.address,), kwargs=options, daemon=True)
            )
            threads[-1].start()
        try:
            assert m.wait_for_ensembles(["edge", "far"], LIMIT) == []
            until(lambda: sum(each["direct"] for each in m.status()["ensembles"]) == 2, "one of them is relayed")
            for name in ("edge", "far"):
                advice = f"Issue it with `ticktalk keys issue {name} --address 127.0.0.1`"
                until(lambda advice=advice: any(advice in line for line in said), f"{name} says why: {said}")  # type: ignore[misc]
            text = HEAD + "@SQify\ndef give(x):\n    return x\n@SQify\ndef take(x):\n    return x + 1\n"
            text += "@GRAPHify\ndef main(trigger):\n    return take(give(trigger))\n"
            graph = compile_source(text, "at_once.py", "at_once")
            for there, here in (("edge", "far"), ("far", "edge")):
                m.instantiate_and_map_graph(graph, mapping={"give-1": there, "take-1": here})
                m.execute_graph(graph, {"trigger": 1})
                outputs = m.process.state.graphs["at_once"].rows
                until(lambda outputs=outputs: outputs, f"a token comes from {there} to {here}")  # type: ignore[misc]
                m.stop_graph(graph)
        finally:
            for ensemble, thread in zip(ensembles, threads, strict=True):
                ensemble.stop()
                thread.join(LIMIT)


# Outputs that are followed, and a session that only listens.

FOLLOWED = """
from ticktalk import STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return "seen"
@GRAPHify
def main(trigger):
    return src(trigger, TTPeriod=50000)
"""


class Listener:
    """A session with a bundle that joins nothing: it sees all that is published, and can publish on any key."""

    def __init__(self, address: str, bundle: str) -> None:
        self.trust = Trust("listener", "operator", bundle, address)
        self.link = client(address, self.trust)
        self.seen: list[bytes] = []
        self.link.subscribe("ticktalk/**", lambda payload, attached: self.seen.append(payload + (attached or b"")))

    def publish(self, key: str, frame: bytes) -> None:
        self.link._put(NetworkPath.CONTROL, key, frame, None)


def follow(system: Guarded, name: str, graph: str) -> Process:
    return Process("outputs", graph, "--follow", "--manager", system.address, "--credentials", system.bundle(name))


def test_rows_that_are_followed_are_the_manager_s(system: Guarded) -> None:
    graph = compile_source(FOLLOWED, "rows.py", "rows")
    system.manager.instantiate_and_map_graph(graph, mapping={sq.name: "edge" for sq in graph.sqs})
    context = system.manager.execute_graph(graph, {"trigger": 1})
    following = follow(system, "vera", "rows")
    listener = Listener(system.address, system.bundle("edge"))
    try:
        until(lambda: len(following.out) > 3, f"vera follows: {following.said}")
        peers = system.guard._peers
        (alias,) = [name for name in peers if name.startswith("vera@")]
        until(lambda: len(listener.seen) > 5, "a listener hears that messages pass")
        assert not [frame for frame in listener.seen if b"seen" in frame or b"src-1" in frame], "and reads none"
        forger = listener.trust.guard
        forger.admit(system.guard.badge, "runtime-manager")
        row = control_frame(message(NetMsg.ROW, "forged"))
        captured = listener.seen[:]
        for frame in (row, forger.seal("runtime-manager", row), *captured):
            listener.publish(control_key(alias), frame)
        before = len(following.out)
        until(lambda: len(following.out) > before + 3, "it goes on")
    finally:
        listener.link.close(0)
        following.popen.send_signal(signal.SIGINT)
    assert following.wait() == 0 and "Traceback" not in following.said
    starts = [json.loads(line)["start"] for line in following.out]
    assert len(set(starts)) == len(starts) and starts == sorted(starts), "each once, none of another"
    assert all('"value": "seen"' in line and f'"context": {context}' in line for line in following.out)
    system.manager.stop_graph(graph)
    system.serves("after_rows")


def test_rows_of_a_graph_that_is_not_there_are_sent_to_nobody(system: Guarded) -> None:
    before = set(system.guard._peers)
    with Remote(system.address, system.bundle("vera")) as vera:
        for follow in ("begin", "renew"):
            with pytest.raises(TTError, match=r"no graph .*'nothing'"):
                vera.ask(do="outputs", graph="nothing", follow=follow)
    assert set(system.guard._peers) <= before


def test_a_revoked_viewer_is_sent_no_more_rows_and_told_why(tmp_path: Path) -> None:
    system = Guarded(tmp_path / "keys")
    graph = compile_source(FOLLOWED, "viewed.py", "viewed")
    assert system.manager.wait_for_ensembles(["edge"], LIMIT) == []
    system.manager.instantiate_and_map_graph(graph)
    system.manager.execute_graph(graph, {"trigger": 1})
    following = follow(system, "vera", "viewed")
    try:
        until(lambda: len(following.out) > 3, f"vera follows: {following.said}")
        revoke(system.keys, "vera")
        until(lambda: system.revoked == 1, "the manager takes the list")
        assert not [name for name in system.guard._peers if name.startswith("vera@")], "no row is sealed for it"
        assert following.wait() == 1 and "'vera' was revoked" in following.said
        count = system.manager.process.outputs.count
        until(lambda: system.manager.process.outputs.count > count + 3, "the stream goes on")
    finally:
        following.end()
        system.end()


def test_a_command_that_follows_says_when_its_manager_is_gone(tmp_path: Path) -> None:
    system = Guarded(tmp_path / "keys")
    graph = compile_source(FOLLOWED, "ends.py", "ends")
    assert system.manager.wait_for_ensembles(["edge"], LIMIT) == []
    system.manager.instantiate_and_map_graph(graph)
    system.manager.execute_graph(graph, {"trigger": 1})
    following = follow(system, "anna", "ends")
    try:
        until(lambda: len(following.out) > 3, f"anna follows: {following.said}")
    finally:
        system.end()
    assert following.wait() == 1
    assert f"no manager answers at {system.address}" in following.said and "Traceback" not in following.said


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


AS_ANOTHER = """
import os, sys
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.physical import ensemble_handle
from ticktalk.physical.host_facts import describe_host
describe_host("spy", {}, "", "", True, 0)  # all is loaded before: the other user may not be able to read it
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    TTEnsemble(None, "spy").run_phy(sys.argv[1], workers=0)
except TTError as error:
    sys.exit(f"{os.getuid()}: {error}")
"""


def test_an_ensemble_of_another_user_of_the_host_cannot_join() -> None:
    """Really of another user where the test may become one (root may); of another folder everywhere."""
    becomes = 65534 if os.getuid() == 0 else os.getuid()
    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager, TemporaryDirectory() as folder:
        os.chown(folder, becomes, -1)
        events: list[str] = []
        manager.on_event(events.append)
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        command = [sys.executable, "-c", AS_ANOTHER, manager.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 1 and done.stderr.startswith(f"{becomes}: "), done.stderr
        assert "serves only the user who started it" in done.stderr and "Traceback" not in done.stderr
        until(lambda: any("refused an ensemble" in event for event in events), "the manager tells it")
        assert list(manager.ensembles) == [MANAGER]
        (own,) = manager.status()["ensembles"]
        assert own["refused"] == {"forged": 1}


def test_an_ensemble_finds_a_manager_that_was_started_again() -> None:
    port = free_port()
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
