"""What others forge or have captured changes nothing in a real system, is counted, and the system serves on.

In two shapes: on loopback the attacker is another user of the host, who does not know the token. On an address with
keys, the attacker has the bundle of an ensemble that has not joined, and that is revoked later.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from systems import LIMIT, ONE, free_port, until

from ticktalk.cli.remote import Remote
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import ExecuteMsg, NetMsg, RuntimeMsg, SyncMsg, message
from ticktalk.network_keys import COMMAND, GREET, HELLO, JOIN, arc_key, control_key
from ticktalk.network_keys import Path as NetworkPath
from ticktalk.payloads import Deployment, OutputToken, OutputTokens, Ping, StopGraph
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.token_frames import token_frame
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh
from ticktalk.physical.trust.authority import init_authority, issue, revoke
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.questions import SealedAnswer
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.trust.user_token import new_token
from ticktalk.runtime_manager import TTRuntimeManagerPhysical
from ticktalk.values.codec import encode_value

MANAGER = "runtime-manager"

STREAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return "secret"
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    return same(src(trigger, TTPeriod=50000))
"""


class Attacked:
    """A manager and an ensemble with a stream between them, and the session of an attacker."""

    def __init__(self, shape: str, folder: Path) -> None:
        self.shape, self.keys = shape, folder / "keys"
        self.ip = "127.0.0.1"
        if shape == "keys":
            self.ip = "127.0.0.2"
            init_authority(self.keys, [self.ip])
            issue(self.keys, "edge", [self.ip])
            issue(self.keys, "spy", [self.ip])
            issue(self.keys, "late")
            issue(self.keys, "anna", role="operator")
        options: dict[str, Any] = {"workers": 0}
        self.manager = TTRuntimeManagerPhysical(None, self.ip, 0, 0, credentials=self.bundle(MANAGER), **options)
        self.edge = TTEnsemble(None, "edge")
        options |= {"ip": self.ip, "credentials": self.bundle("edge")}
        self.thread = threading.Thread(
            target=self.edge.run_phy, args=(self.manager.address,), kwargs=options, daemon=True
        )
        self.thread.start()
        assert self.manager.wait_for_ensembles(["edge"], LIMIT) == []
        self.guard, door = Guard(ByToken(new_token(), "edge", "ensemble")), None
        if shape == "keys":
            trust = Trust("spy", "ensemble", self.bundle("spy"), self.manager.address)
            self.guard, door = trust.guard, trust.door
        for name in ("edge", MANAGER):
            self.guard._peers[name] = self._peer(name)
        self.link = TTNetworkInterfaceZenoh()
        self.link.open("client", connect=[self.manager.address], door=door)
        self.captured: dict[str, list[bytes]] = {"edge": [], MANAGER: []}
        for name, frames in self.captured.items():
            self.link.subscribe(control_key(name), lambda frame, attached, frames=frames: frames.append(frame))  # type: ignore[misc]
        self.read: list[bytes] = []
        self.link.subscribe("ticktalk/**", lambda frame, attached: self.read.append(frame + (attached or b"")))
        graph = compile_source(STREAM, "running.py", "running")
        self.graph = self.deploy(graph, {sq.name: "edge" if sq.name == "src-1" else MANAGER for sq in graph.sqs})
        self.manager.execute_graph(self.graph, {"trigger": 1})

    def bundle(self, name: str) -> str | None:
        return str(self.keys / f"{name}.json") if self.shape == "keys" else None

    def _peer(self, name: str) -> Any:
        """What the attacker makes of a badge that it saw: it may be of any session."""
        badge = self.info(name).badge
        try:
            self.guard.admit(badge, name)
        except TTError:
            self.guard.admit_alias(badge)
        return next(reversed(self.guard._peers.values()))

    def info(self, name: str) -> EnsembleInfo:
        state = self.manager.process.state
        return state.manager if name == MANAGER else state.ensembles[name].info

    def deploy(self, graph: TTGraph, mapping: dict[str, str]) -> TTGraph:
        self.manager.instantiate_and_map_graph(graph, mapping=mapping)
        return graph

    def publish(self, key: str, frame: bytes) -> None:
        self.link._put(NetworkPath.CONTROL, key, frame, None)

    def tell(self, name: str, frame: bytes) -> None:
        """A control frame for an ensemble, as it is and sealed with the attacker's keys."""
        self.publish(control_key(name), frame)
        self.publish(control_key(name), self.guard.seal(name, frame))

    def refused(self, name: str) -> dict[str, int]:
        (found,) = [each for each in self.manager.status()["ensembles"] if each["name"] == name]
        return dict(found["refused"])

    def serves(self, name: str) -> None:
        """The stream goes on, and another graph runs to its end."""
        outputs = self.manager.process.outputs
        count = outputs.count
        until(lambda: outputs.count > count + 3, "the stream goes on")
        graph = compile_source(ONE, f"{name}.py", name)
        self.deploy(graph, {sq.name: "edge" for sq in graph.sqs})
        self.manager.execute_graph(graph, {"trigger": 1})
        assert self.manager.wait(graph, LIMIT)
        self.manager.stop_graph(graph)
        assert set(self.manager.ensembles) - {MANAGER} == {"edge"}

    def end(self) -> None:
        self.link.close(0)
        self.edge.stop()
        self.thread.join(LIMIT)
        self.manager.stop()


@pytest.fixture(scope="module", params=["token", "keys"])
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    made = Attacked(request.param, tmp_path_factory.mktemp("attacked"))
    yield made
    made.end()


def test_frames_that_pass_can_be_read_by_no_other(system: Attacked) -> None:
    """Tokens, outputs, and the source of what is deployed while the attacker listens."""
    system.serves("listened")
    until(lambda: len(system.read) > 20 and system.captured["edge"], "the attacker hears that something passes")
    told = [frame for frame in system.read if b"secret" in frame or b"def f" in frame or b"return x" in frame]
    assert not told


def test_forged_messages_change_nothing(system: Attacked) -> None:
    graph = compile_source(ONE, "forged.py", "forged")
    code = Deployment(graph, {sq.name: "edge" for sq in graph.sqs})
    output = OutputToken("running", "forged", 0, 1, "same-1", "edge", 1)
    for told in (
        message(SyncMsg.STOP, StopGraph("running")),
        message(NetMsg.SHUT_DOWN, "the end"),
        message(ExecuteMsg.INSTANTIATE, code),
    ):
        system.tell("edge", control_frame(told))
    for told in (
        message(RuntimeMsg.LEAVE, "edge"),
        message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens([output])),
        message(RuntimeMsg.PING, Ping("edge", 1)),
    ):
        system.tell(MANAGER, control_frame(told))
    until(lambda: sum(system.refused("edge").values()) >= 6, "all are counted where they came")
    until(lambda: sum(system.refused(MANAGER).values()) >= 6, "and at the manager")
    assert not [row for row in system.manager.process.state.graphs["running"].rows if "forged" in row]
    system.serves("after_forged")


def test_a_join_comes_as_a_question_only_and_under_a_name_that_can_be(system: Attacked) -> None:
    """Ghosts with a wildcard for a name: by a control frame, and by the question that joins."""
    ghost = msgspec.msgpack.encode({"name": "**", "address": "127.0.0.1:1"})
    assert "RuntimeMsg.JOIN" not in control_frames._KINDS
    before = sum(system.refused(MANAGER).values())
    frame = HEAD + msgspec.msgpack.encode(["RuntimeMsg.JOIN", "TTRuntimeManagerProcess", ghost])
    system.tell(MANAGER, frame)
    until(lambda: sum(system.refused(MANAGER).values()) >= before + 2, "both are counted")
    greeting = system.manager._handle.node.guard.greeting()  # type: ignore[union-attr]
    for key in (JOIN, COMMAND):
        asking = bytes(_asked(system.guard, greeting, key, ghost))
        reply = system.link.ask(key, asking, LIMIT)
        assert reply is not None and (not reply[0] or b"**" not in reply[1])
    assert "**" not in system.manager.ensembles
    system.serves("after_ghosts")


def _asked(guard: Guard, greeting: bytes, key: str, content: bytes) -> bytes:
    try:
        return guard.ask(greeting, key, content).payload
    except TTError:
        return b"\x93\xc4\x00\xc4\x00\xc4\x00"


def test_captured_messages_are_taken_once(system: Attacked) -> None:
    """A signed deployment, a start, a stop, and outputs, sent again as they were."""
    system.serves("captured")
    before = {name: system.refused(name).get("replayed", 0) for name in system.captured}
    frames = {name: list(captured) for name, captured in system.captured.items()}
    assert len(frames["edge"]) > 3 and len(frames[MANAGER]) > 3
    for name, captured in frames.items():
        for frame in captured[-20:]:
            system.publish(control_key(name), frame)
    for name in system.captured:
        until(lambda name=name: system.refused(name).get("replayed", 0) > before[name] + 2, f"counted at {name}")  # type: ignore[misc]
    assert "captured" not in [each["name"] for each in system.manager.status()["graphs"]]
    system.serves("after_captured")


def test_forged_tokens_are_refused_where_they_come(system: Attacked) -> None:
    key = arc_key("running", "src-1/0")
    kind = "forged" if system.shape == "token" else "untimely"  # in the name of edge; in its own, not known here
    before = system.refused(MANAGER).get(kind, 0)
    parcel = token_frame([(1, 0, b"", 10**6, 0, 1, encode_value("forged"))])
    sealed, _ = system.guard.seal_tokens(key, [MANAGER], parcel)
    for frame in (parcel, bytes(sealed)):
        system.publish(key, frame)
    until(lambda: system.refused(MANAGER).get(kind, 0) > before, "the manager counts it")
    assert not [row for row in system.manager.process.state.graphs["running"].rows if "forged" in row]
    system.serves("after_tokens")


class Rogue:
    """A process that answers questions in the manager's place: before it, or at an address of its own."""

    def __init__(self, system: Attacked, listen: str = "") -> None:
        self.asked: list[str] = []
        self.guard, door = Guard(ByToken(new_token(), MANAGER, "manager")), None
        if system.shape == "keys":
            trust = Trust("spy", "ensemble", system.bundle("spy"), system.manager.address)
            self.guard, door = trust.guard, trust.door
        self.link = TTNetworkInterfaceZenoh()
        if listen:
            self.link.open("router", listen, door=door)
        else:
            self.link.open("client", connect=[system.manager.address], door=door)
        self.link.answer(GREET, self.greet)
        for key in (HELLO, JOIN, COMMAND):
            self.link.answer(key, self.lie)

    def greet(self, question: Any) -> None:
        self.asked.append(GREET)
        question.answer(self.guard.greeting())

    def lie(self, question: Any) -> None:
        self.asked.append("question")
        question.answer(msgspec.msgpack.encode(SealedAnswer(True, bytes(11), b"graphs: none")))


def test_answers_that_another_participant_invents_are_passed_over(system: Attacked) -> None:
    """An ensemble that is let in answers commands and joins, at once and each time: the manager's answers are taken."""
    rogue = Rogue(system)
    late: list[str] = []
    options: dict[str, Any] = {"ip": system.ip, "workers": 0, "credentials": system.bundle("late")}
    joining = TTEnsemble(None, "late")
    thread = threading.Thread(
        target=joining.run_phy, args=(system.manager.address,), kwargs=options | {"on_event": late.append}, daemon=True
    )
    try:
        for _ in range(5):
            with Remote(system.manager.address, system.bundle("anna")) as anna:
                assert [graph["name"] for graph in anna.ask(do="status")["graphs"]] == ["running"]
        thread.start()
        assert system.manager.wait_for_ensembles(["late"], LIMIT) == [], late
        assert len(rogue.asked) >= 10, "it was asked, too"
    finally:
        rogue.link.close(0)
        joining.stop()
        thread.join(LIMIT)
    until(lambda: "late" not in system.manager.ensembles, "it has left")
    system.serves("after_lies")


def test_a_rogue_that_is_there_before_the_manager_is_not_trusted(system: Attacked) -> None:
    """It listens where the manager is to be: commands and ensembles say why they do not believe it."""
    address = f"{system.ip}:{free_port(system.ip)}"
    rogue = Rogue(system, address)
    why = {
        "token": "the answer is not the manager's: somebody else answers its questions, so nothing was taken",
        "keys": "'spy' answers there, and is no manager: its credentials give the role ensemble",
    }[system.shape]
    options: dict[str, Any] = {"ip": system.ip, "workers": 0, "credentials": system.bundle("edge")}
    refused: list[BaseException] = []

    def join() -> None:
        try:
            TTEnsemble(None, "edge").run_phy(address, **options)
        except TTError as error:
            refused.append(error)

    try:
        with pytest.raises(TTError, match=why), Remote(address, system.bundle("anna")) as anna:
            anna.ask(do="status")
        thread = threading.Thread(target=join, daemon=True)
        thread.start()
        thread.join(LIMIT)
        (error,) = refused
        assert why in str(error), error
        assert "question" not in rogue.asked or system.shape == "token"
    finally:
        rogue.link.close(0)
    host, _, port = address.rpartition(":")
    manager = TTRuntimeManagerPhysical(None, host, int(port), 0, credentials=system.bundle(MANAGER), workers=0)
    with manager, Remote(address, system.bundle("anna")) as anna:
        assert anna.ask(do="status")["graphs"] == []


def test_a_revoked_bundle_forges_and_reads_no_more_than_before(system: Attacked) -> None:
    if system.shape == "token":
        pytest.skip("there are no bundles")
    revoke(system.keys, "spy")
    guard = system.manager._handle.node.guard
    assert guard is not None
    until(lambda: guard.revocations is not None and guard.revocations.number == 1, "the manager takes the list")
    for name in ("runtime-manager", "edge"):
        system.tell(name, control_frame(message(NetMsg.SHUT_DOWN, "the end")))
        system.tell(name, control_frame(message(RuntimeMsg.LEAVE, "edge")))
    del system.read[:]
    test_forged_tokens_are_refused_where_they_come(system)
    test_frames_that_pass_can_be_read_by_no_other(system)
    with pytest.raises(TTError, match="'spy' was revoked"), Remote(system.manager.address, system.bundle("spy")) as spy:
        spy.ask(do="stop", graph="running")
    with Remote(system.manager.address, system.bundle("anna")) as anna:
        assert anna.ask(do="status")["graphs"][0]["state"] == "running"
    system.serves("after_revoked")
