"""A participant that sends as much as it can fills only its own room: others are heard, and the losses are counted."""

from __future__ import annotations

import heapq
import itertools
import resource
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from fuzz_messages import Fuzz
from systems import ENDLESS, System, until

from ticktalk import network_keys, repeats
from ticktalk.errors import TTError
from ticktalk.graph.graph import TTGraph
from ticktalk.messages import RECIPIENTS, ROWS, NetMsg, RuntimeMsg, message
from ticktalk.network_keys import COMMAND
from ticktalk.payloads import OutputToken, OutputTokens
from ticktalk.physical import manager_node
from ticktalk.physical.commands import Command
from ticktalk.physical.network import control_frames, rooms
from ticktalk.physical.network import inboxes as inboxes_file
from ticktalk.physical.network.control_frames import control_frame
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.inboxes import Inboxes
from ticktalk.physical.node import Node
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import MET, ByToken, Certified
from ticktalk.physical.trust.questions import Asking
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.trust.user_token import new_token
from ticktalk.repeats import FEW


def sealed(receivers: Fuzz, node: Node, sender: str, kind: RuntimeMsg | NetMsg, payload: object) -> bytes:
    name = control_frames._NAMES[kind]
    content = HEAD + msgspec.msgpack.encode([name, RECIPIENTS[type(kind)], msgspec.msgpack.encode(payload)])
    return receivers.guards[sender].seal(node.name, content, ROWS[kind].signed, ROWS[kind].path)


def all_taken(receivers: Fuzz) -> None:
    while receivers.node._inboxes.waiting:
        receivers.turn()


def test_each_sender_has_a_room_of_its_own(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(rooms, "MESSAGES", 50)
    monkeypatch.setattr(rooms, "CONTROL_BYTES", 20_000)
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
        assert taken == ["boss", "far", "boss", *["far"] * 49], "nobody's wait for all those of another"
        assert node.own["overflow"] - before == 150 + 20
        told = [text for text in caplog.messages if "more than it can take in" in text]
        assert len(told) == 1 and "by 'far'" in told[0], "told once"
        for length in (8_000, 8_000, 8_000, 50_000):
            node._on_control(sealed(receivers, node, "far", NetMsg.SETTLE, ["far", bytes(length), []]), None)
        all_taken(receivers)
        assert node.own["overflow"] - before == 170 + 3, "they are bounded in bytes; the latest is kept"
    finally:
        receivers.close()


def test_outputs_are_taken_by_the_thread_that_brings_them_while_the_timekeeper_sleeps() -> None:
    """Not before what came before them, nor in the middle of a turn; other messages are left to the timekeeper."""
    receivers = Fuzz(4)
    try:
        node, taken = receivers.node, []
        node.manager = node.name  # no other takes outputs
        for kind in (RuntimeMsg.OUTPUT_TOKENS, NetMsg.TELL):
            node.take_control[kind] = lambda payload, stamp: taken.append(payload.__class__.__name__)
        told = control_frame(message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens([OutputToken("g", 1, 0, 1, "f", "far")])))

        def outputs() -> bytes:
            return receivers.guards["far"].seal(node.name, told, path=network_keys.Path.OUTPUTS)

        def sleeps() -> None:  # no thread keeps time here: the loop only has to look as if one slept
            node.loop._inbox.clear()
            node.loop._signalled = False

        first = outputs()
        sleeps()
        node._on_control(first, None)
        assert taken == ["OutputTokens"]
        node._on_control(first, None)
        assert taken == ["OutputTokens"], "it has come before"
        node._on_control(sealed(receivers, node, "boss", NetMsg.TELL, ["boss", 5]), None)
        node._on_control(outputs(), None)
        assert taken == ["OutputTokens"]
        all_taken(receivers)
        assert taken == ["OutputTokens", "Tell", "OutputTokens"]
        sleeps()
        node.loop._role.mutex.acquire()  # the timekeeper acts
        node._on_control(outputs(), None)
        node.loop._role.mutex.release()
        assert len(taken) == 3
        all_taken(receivers)
        assert len(taken) == 4
    finally:
        receivers.close()


def test_a_forged_message_is_opened_by_the_network_s_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timekeeper counts it; a message whose sender is not known yet is opened when it is."""
    receivers = Fuzz(6)
    try:
        node, taken, opened = receivers.node, [], []
        node.take_control[NetMsg.TELL] = lambda tell, stamp: taken.append(tell.name)
        guard = node.guard
        assert guard is not None
        prove = guard.prove
        monkeypatch.setattr(guard, "prove", lambda frame: (opened.append(frame), prove(frame))[1])
        good = sealed(receivers, node, "far", NetMsg.TELL, ["far", 5])
        before = Counter(node.own)
        node._on_control(good[:-5] + bytes((good[-5] ^ 1,)) + good[-4:], None)
        node._on_control(HEAD + b"nobody's", None)
        assert len(opened) == 2 and node.own == before
        all_taken(receivers)
        assert len(opened) == 2 and node.own - before == {"forged": 1, "bad_frames": 1}
        peer = guard._peers.pop("far")
        node._on_control(good, None)
        guard._peers["far"] = peer  # the timekeeper hears of it before its turn comes
        all_taken(receivers)
        assert taken == ["far"] and len(opened) == 4
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


def test_senders_have_their_turns() -> None:
    """One of each, in the order of the sender; what goes for lack of room changes no turn."""
    calls: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
    went: list[object] = []
    inboxes = Inboxes(
        lambda call, *arguments: calls.append((call, arguments)),
        3,
        lambda sender: 100,
        lambda sender, count: went.extend([sender] * count),
        lambda microseconds, call: later.append((microseconds, call)),
    )
    taken: list[str] = []
    later: list[object] = []
    for what in ("a1", "a2", "b1", "a3", "a4", "a5", "b2", "c1"):
        inboxes.put(what[0], 1, taken.append, what)
    assert len(calls) == 3, "one for each sender"
    while calls:
        call, arguments = calls.popleft()
        call(*arguments)
        if len(taken) == 4:
            inboxes.put("c", 1, taken.append, "c2")
    assert taken == ["a3", "b1", "c1", "a4", "b2", "a5", "c2"] and went == ["a", "a"] and not inboxes.waiting
    assert not inboxes._of and not later


def test_a_sender_whose_messages_take_long_gets_a_fifth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In simulated time, against others that send something every now and then."""
    now, due, waits = 0, list[tuple[int, int, Callable[[], None]]](), list[int]()
    order = itertools.count()

    def at(time: int, call: Callable[[], None]) -> None:
        heapq.heappush(due, (time, next(order), call))

    def takes_long() -> None:
        nonlocal now
        now += long
        ended.append(now)

    def floods() -> None:
        inboxes.put("a", 1, takes_long)
        at(now + 10_000, floods)

    def beats(sent: int) -> None:
        inboxes.put("b", 1, lambda: waits.append(now - sent))
        at(sent + 50_000, lambda: beats(sent + 50_000))

    monkeypatch.setattr(inboxes_file, "thread_us", lambda: now)
    inboxes = Inboxes(
        lambda call, *arguments: at(now, lambda: call(*arguments)),
        1_000,
        lambda sender: 1_000,
        lambda sender, count: None,
        lambda microseconds, call: at(now + microseconds, call),
    )
    long, ended = 300_000, list[int]()
    at(0, floods)
    at(0, lambda: beats(0))
    while due and due[0][0] <= 10_000_000:
        time, _, call = heapq.heappop(due)
        now = max(now, time)
        call()
    assert len(ended) == 10_000_000 // (5 * long) + 1, "one in each time of five"
    assert max(waits) <= long and sum(wait > 0 for wait in waits) <= len(waits) / 4


FLOOD = """
import select, sys, threading, time
from ticktalk.ensemble import TTEnsemble
from ticktalk.messages import RuntimeMsg, message
from ticktalk.network_keys import Path, control_key
from ticktalk.payloads import Checkpoint
from ticktalk.physical.network.control_frames import control_frame

address = sys.argv[1]
joined = threading.Event()
far = TTEnsemble(None, "far")
options = {"workers": 0, "on_event": lambda text: joined.set()}
run = threading.Thread(target=far.run_phy, args=(address,), kwargs=options)
run.start()
joined.wait(60)
node = far._handle.node
frame = control_frame(message(RuntimeMsg.CHECKPOINT, Checkpoint("none", 1, "far", 1, {}, {}, ["x" * 20_000])))
end, sent = time.monotonic() + 120, 0
while time.monotonic() < end and not select.select([sys.stdin], (), (), 0)[0]:
    node.link._put(Path.CONTROL, control_key("runtime-manager"), node.guard.seal("runtime-manager", frame), None)
    sent += 1
print(sent, flush=True)
far.stop()
run.join(60)
"""


def test_a_flood_of_a_participant_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, by valid messages that are sealed as they should be, as fast as they can be sent."""
    monkeypatch.setattr(rooms, "MESSAGES", 20)
    monkeypatch.setattr(rooms, "CONTROL_BYTES", 1 << 20)
    system = System(workers=0).with_ensembles("edge")
    rogue = None
    try:
        (tmp_path / "flood.py").write_text(FLOOD)
        command = [sys.executable, str(tmp_path / "flood.py"), system.address]
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

        until(lambda: overflow() > 20, "what the flood lost is counted, in status")
        system.one("beside")
        assert not [event for event in system.events if "is gone" in event], "the others' heartbeats are heard"
        assert slowest < 10, f"the manager took {slowest:.1f} s to answer"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 150_000, f"{grown} kB"
    finally:
        if rogue is not None:
            rogue.communicate()
        system.end()


LONGEST = """
import itertools, select, sys, threading, time
import msgspec
from ticktalk.ensemble import TTEnsemble
from ticktalk.messages import ROWS, VALUES, NetMsg, RuntimeMsg
from ticktalk.network_keys import control_key
from ticktalk.physical.network.control_frames import _NAMES
from ticktalk.physical.network.frames import HEAD

joined = threading.Event()
rogue = TTEnsemble(None, "rogue")
options = {"workers": 0, "on_event": lambda text: joined.set()}
run = threading.Thread(target=rogue.run_phy, args=(sys.argv[1],), kwargs=options)
run.start()
joined.wait(60)
node = rogue._handle.node
while node.guard.session_of("near") is None:
    time.sleep(0.1)
pack = msgspec.msgpack.encode
many = {str(number): {} for number in range(250_000)}
report = {"graph": "steady", "context": 1, "ensemble": "rogue", "round": 1}
costly = {
    RuntimeMsg.REPORT: report | {"sent": many},
    RuntimeMsg.SWITCHED: {"graph": "steady", "ensemble": "rogue", "round": 1, "reports": [report] * 10_000},
    RuntimeMsg.PLACED: {"graph": "steady", "ensemble": "rogue", "sqs": [""] * 4_000_000},
    RuntimeMsg.CHECKPOINT: report | {"tick": 1, "states": {str(number): {} for number in range(50_000)}},
    NetMsg.SETTLE: ["rogue", b"", [[1, 1]] * 20_000],
    NetMsg.HOW_FAR: ["rogue", "steady", [""] * 4_000_000],
    NetMsg.SO_FAR: ["rogue", "steady", {number: {} for number in range(700_000)}],
}
flood = []
for kind, row in ROWS.items():
    if row.crosses and "ensemble" in row.senders and (row.most < VALUES or kind in costly):
        for to in ("runtime-manager", "near"):
            for content in (pack(costly.get(kind, ["rogue", bytes(row.most - 100)])), bytes(row.most + 1)[: 5 << 20]):
                frame = HEAD + pack([_NAMES[kind], "", content])
                flood.append((to, row.path, frame))
end, sent = time.monotonic() + 120, 0
for to, path, frame in itertools.cycle(flood):
    if time.monotonic() > end or select.select([sys.stdin], (), (), 0)[0]:
        break
    node.link._put(path, control_key(to), node.guard.seal(to, frame, path=path), None)
    sent += 1
print(sent, flush=True)
rogue.stop()
run.join(60)
"""


def test_a_flood_of_the_longest_messages_of_each_kind_loses_others_nothing(tmp_path: Path) -> None:
    """By a real participant, to the manager and to the host of a stream, and of a costly shape where there is one."""
    system = System().with_ensembles("near", "far")
    rogue = None
    try:
        graph = system.deploy(ENDLESS, "steady", {"src-1": "near", "same-1": "far"})
        system.manager.execute_graph(graph, {"trigger": 1})
        until(lambda: system.values("steady"), "the stream has begun")
        (tmp_path / "flood.py").write_text(LONGEST)
        command = [sys.executable, str(tmp_path / "flood.py"), system.address]
        rogue = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        system.event("'rogue' joined")

        def refused(name: str) -> int:
            (found,) = [each for each in system.manager.status()["ensembles"] if each["name"] == name]
            return int(found["refused"].get("invalid", 0))

        begun = time.monotonic()
        until(lambda: min(map(refused, ("runtime-manager", "near"))) > 15, "what is refused is counted, in status")
        until(lambda: time.monotonic() > begun + 6, "the flood goes on for a while")
        said, _ = rogue.communicate()
        before = len(system.values("steady"))
        until(lambda: len(system.values("steady")) > before + 5, "the stream goes on")
        values = system.values("steady")
        gone = [event for event in system.events if "no heartbeat" in event and "'rogue'" not in event]
        # A host that stands still for seconds by itself is given up, as ever.
        assert gone or values == list(range(1, len(values) + 1)), f"of {said} messages"
    finally:
        if rogue is not None and rogue.poll() is None:
            rogue.communicate()
        system.end()


class Asked:
    """A question on its way, as a network brings it."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.answers: list[bytes | str] = []

    def answer(self, answer: bytes) -> None:
        self.answers.append(answer)

    def refuse(self, reason: str) -> None:
        self.answers.append(reason)


def turned(receivers: Fuzz) -> None:
    for _ in range(200):
        receivers.turn()


def test_refused_questions_are_answered_at_once_and_told_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's, by keys that are not ours: without the timekeeper, which counts some of them."""
    receivers = Fuzz(4)
    try:
        node, told = receivers.manager.node, []
        receivers.manager.process.requests.watchers.append(lambda event: told.append(str(event)))
        handle = node.link._handles[COMMAND]
        stranger = Guard(ByToken(new_token(), "anna", "operator"))
        payload = stranger.ask(node.guard.greeting(), COMMAND, b"").payload
        before, asked = node.own["forged"], [Asked(payload) for _ in range(300)]
        for question in asked:
            handle(question)
        assert all("not proven to be 'anna'" in str(question.answers) for question in asked)
        assert node.own["forged"] == before, "the timekeeper has still to hear of it"
        turned(receivers)
        assert node.own["forged"] - before == manager_node.QUESTIONS
        assert node.own["overflow"] >= 200
        assert len([text for text in told if text.startswith("refused an ensemble")]) == FEW
        monkeypatch.setattr(repeats, "SPAN", 0)
        receivers.manager._tell_more_refused()
        assert told[-1] == f"refused {manager_node.QUESTIONS - FEW} more questions and joins (status counts them)"
    finally:
        receivers.close()


def test_a_requester_fills_only_its_own_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_node, "QUESTIONS", 20)
    receivers = Fuzz(5)
    try:
        node = receivers.manager.node
        handle = node.link._handles[COMMAND]
        status = msgspec.msgpack.encode(Command("status"))

        def ask(name: str) -> tuple[Asking, Asked]:
            asking = receivers.guards[name].ask(node.guard.greeting(), COMMAND, status)
            question = Asked(asking.payload)
            handle(question)
            return asking, question

        flood = [ask("vera") for _ in range(100)]
        other = ask("anna")
        refused = [(asking, question) for asking, question in flood if question.answers]
        assert len(refused) == 80, "at once"
        for asking, question in refused:
            assert asking.answer(question.answers[0]) == (False, b"too many questions of 'vera' wait: ask again later")
        turned(receivers)
        for asking, question in [*flood[:20], other]:
            accepted, answer = asking.answer(question.answers[0])  # type: ignore[arg-type]
            assert accepted and msgspec.msgpack.decode(answer)["manager"] == "boss"
        again = Asked(flood[0][0].payload)
        handle(again)
        turned(receivers)
        assert "came before" in str(again.answers), "a question is taken once"
    finally:
        receivers.close()


def test_only_graphs_make_a_question_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer's question is short, and of a command that it may not give nothing is read."""
    read: list[bytes] = []
    monkeypatch.setattr(TTGraph, "from_json", lambda content, what: read.append(content))
    receivers = Fuzz(6)
    try:
        node = receivers.manager.node

        def ask(name: str, command: Command) -> str:
            asking = receivers.guards[name].ask(node.guard.greeting(), COMMAND, msgspec.msgpack.encode(command))
            question = Asked(asking.payload)
            node.link._handles[COMMAND](question)
            turned(receivers)
            accepted, answer = asking.answer(question.answers[0])  # type: ignore[arg-type]
            assert not accepted
            return answer.decode()

        graph = receivers.graph.to_json()
        assert "the role viewer, which may not ask for 'deploy'" in ask("vera", Command("deploy", json=graph))
        assert "longer than 1048576 bytes" in ask("vera", Command("status", json=bytes(1 << 20)))
        assert not read
        assert "length <= 1000" in ask("vera", Command("outputs", "x" * 1001))
        ask("anna", Command("deploy", json=bytes(1 << 21)))
        assert len(read) == 1, "an operator's is read"
    finally:
        receivers.close()


def test_a_certificate_that_was_refused_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init_authority(tmp_path / "ours", ["127.0.0.1"])
    init_authority(tmp_path / "other", ["127.0.0.1"])
    issue(tmp_path / "other", "spy")
    manager = Trust("runtime-manager", "manager", str(tmp_path / "ours" / "runtime-manager.json"), "127.0.0.1")
    identity = manager.guard.identity
    assert isinstance(identity, Certified)
    spy = Trust("spy", "ensemble", str(tmp_path / "other" / "spy.json"), "127.0.0.1").guard.identity.certificate
    reads = []
    read = Certified._read
    monkeypatch.setattr(Certified, "_read", lambda self, shown: (reads.append(shown), read(self, shown))[1])
    for _ in range(50):
        with pytest.raises(TTError, match="is of another authority"):
            identity.meet(spy)
    assert len(reads) == 1
    for number in range(3 * MET):
        with pytest.raises(TTError, match="wants credentials"):
            identity.meet(b"%d" % number)
    assert len(identity._refused) <= MET
    with pytest.raises(TTError, match="none of ours"):
        identity.meet(bytes(1 << 20))
