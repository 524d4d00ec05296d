"""A participant that sends as much as it can fills only its own room: others are heard, and the losses are counted."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from fuzz_messages import Fuzz
from systems import System, until

from ticktalk.messages import RECIPIENTS, ROWS, NetMsg, RuntimeMsg
from ticktalk.physical import node as node_module
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.inboxes import Inboxes
from ticktalk.physical.node import Node


def sealed(receivers: Fuzz, node: Node, sender: str, kind: RuntimeMsg | NetMsg, payload: object) -> bytes:
    name = control_frames._NAMES[kind]
    content = HEAD + msgspec.msgpack.encode([name, RECIPIENTS[type(kind)], msgspec.msgpack.encode(payload)])
    return receivers.guards[sender].seal(node.name, content, ROWS[kind].signed, ROWS[kind].path)


def all_taken(receivers: Fuzz) -> None:
    while receivers.node._inboxes.waiting:
        receivers.turn()


def test_each_sender_has_a_room_of_its_own(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(node_module, "MESSAGES", 50)
    monkeypatch.setattr(node_module, "CONTROL_BYTES", 20_000)
    receivers = Fuzz(3)
    try:
        node, taken = receivers.node, []
        node.take_control[NetMsg.TELL] = lambda tell, stamp: taken.append(tell.name)
        before = node.own["overflow"]
        node._on_control(sealed(receivers, node, "boss", NetMsg.TELL, ["boss", 5]), None)
        for _ in range(200):
            node._on_control(sealed(receivers, node, "far", NetMsg.TELL, ["far", 5]), None)
        for _ in range(70):
            node._on_control(HEAD + b"nobody's", None)  # these wait in one room
        node._on_control(sealed(receivers, node, "boss", NetMsg.TELL, ["boss", 5]), None)
        all_taken(receivers)
        assert taken == ["boss", *["far"] * 50, "boss"], "the others' wait where they came"
        assert node.own["overflow"] - before == 150 + 20
        told = [text for text in caplog.messages if "more than it can take in" in text]
        assert len(told) == 1 and "by 'far'" in told[0], "told once"
        for length in (8_000, 8_000, 8_000, 50_000):
            node._on_control(sealed(receivers, node, "far", NetMsg.SETTLE, ["far", bytes(length), []]), None)
        all_taken(receivers)
        assert node.own["overflow"] - before == 170 + 3, "they are bounded in bytes; the latest is kept"
    finally:
        receivers.close()


def test_an_inbox_keeps_its_bounds_and_its_order() -> None:
    """Against a list that is cut after each arrival, by hand."""
    calls: list[tuple[object, ...]] = []
    went: dict[object, int] = {}
    inboxes = Inboxes(
        lambda call, *arguments: calls.append((call, *arguments)),
        3,
        lambda sender: 100,
        lambda sender, count: went.__setitem__(sender, went.get(sender, 0) + count),
    )
    taken: list[object] = []
    for number, size in enumerate((10, 60, 40, 70, 300, 5, 5, 5, 5)):
        inboxes.put("a", size, taken.append, number)
    inboxes.put("b", 1000, taken.append, "b")
    assert inboxes.waiting == 4
    # 10+60 | 60+40 | 70 | 300 | 5 | 5 5 | 5 5 5 | 5 5 5
    for call, *arguments in calls:
        call(*arguments)  # type: ignore[operator]
    assert taken == [6, 7, 8, "b"] and went == {"a": 6} and inboxes.waiting == 0
    inboxes.put("a", 1, taken.append, "again")
    calls[-1][0](*calls[-1][1:])  # type: ignore[operator]
    assert taken[-1] == "again"


FLOOD = """
import sys, threading, time
from ticktalk.ensemble import TTEnsemble
from ticktalk.messages import RuntimeMsg, message
from ticktalk.network_keys import Path, control_key
from ticktalk.payloads import Checkpoint
from ticktalk.physical.network.control_frames import control_frame

address, seconds = sys.argv[1], float(sys.argv[2])
joined = threading.Event()
far = TTEnsemble(None, "far")
options = {"workers": 0, "on_event": lambda text: joined.set()}
run = threading.Thread(target=far.run_phy, args=(address,), kwargs=options)
run.start()
joined.wait(30)
node = far._handle.node
frame = control_frame(message(RuntimeMsg.CHECKPOINT, Checkpoint("none", 1, "far", 1, {}, {}, ["x" * 20_000])))
end, sent = time.monotonic() + seconds, 0
while time.monotonic() < end:
    node.link._put(Path.CONTROL, control_key("runtime-manager"), node.guard.seal("runtime-manager", frame), None)
    sent += 1
print(sent, flush=True)
sys.stdin.read()
far.stop()
run.join(30)
"""


def test_a_flood_of_a_participant_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, by valid messages that are sealed as they should be, as fast as they can be sent."""
    monkeypatch.setattr(node_module, "MESSAGES", 200)
    monkeypatch.setattr(node_module, "CONTROL_BYTES", 2 << 20)
    system = System(workers=0).with_ensembles("edge")
    rogue = None
    try:
        (tmp_path / "flood.py").write_text(FLOOD)
        command = [sys.executable, str(tmp_path / "flood.py"), system.address, "4"]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        rogue = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        system.event("'far' joined")
        slowest = 0.0

        def overflow() -> int:
            nonlocal slowest
            began = time.monotonic()
            (found,) = [each for each in system.manager.status()["ensembles"] if each["name"] == "runtime-manager"]
            slowest = max(slowest, time.monotonic() - began)
            return int(found["refused"].get("overflow", 0))

        until(lambda: overflow() > 100, "what the flood lost is counted, in status")
        assert rogue.stdout is not None and int(rogue.stdout.readline()) > 1000
        system.one("beside")
        assert not [event for event in system.events if "is gone" in event], "the others' heartbeats are heard"
        assert slowest < 2.0, f"the manager took {slowest:.1f} s to answer"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 150_000, f"{grown} kB"
    finally:
        if rogue is not None:
            rogue.communicate()
        system.end()


