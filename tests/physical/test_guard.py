"""The guard: what is proven, for this recipient, new, and within its sender's rights is taken; all else is counted."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ticktalk.errors import TTError
from ticktalk.language.compiler import compile_source
from ticktalk.messages import ROWS, ExecuteMsg, NetMsg, Role, RuntimeMsg, SyncMsg, message
from ticktalk.network_keys import COMMAND, JOIN, RESUME, arc_key
from ticktalk.network_keys import Path as NetworkPath
from ticktalk.payloads import Deployment, Ping, StopGraph
from ticktalk.physical.network.control_frames import UnsignedCodeError, control_frame, parse_control
from ticktalk.physical.network.frames import HEAD, LONGEST, FrameError
from ticktalk.physical.trust import guard as guards
from ticktalk.physical.trust import identity, questions, token_seals, trust
from ticktalk.physical.trust.authority import init_authority, issue, revoke
from ticktalk.physical.trust.guard import DroppedError, Guard, NotForThisError
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.questions import NotNewError
from ticktalk.physical.trust.shared_keys import WINDOW, Purpose
from ticktalk.physical.trust.trust import Trust, is_loopback
from ticktalk.physical.trust.user_token import new_token, own_token

ADDRESS = "192.0.2.1:5555"
MANAGER = "runtime-manager"

PROGRAM = "from ticktalk import *\n"
PROGRAM += "@SQify\ndef f(x):\n    return x\n@GRAPHify\ndef main(trigger):\n    return f(trigger)\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = tmp_path_factory.mktemp("made") / "keys"
    init_authority(keys)
    for name, role in (("edge", "ensemble"), ("other", "ensemble"), ("anna", "operator"), ("vera", "viewer")):
        issue(keys, name, role=role)  # type: ignore[arg-type]
    return keys


@pytest.fixture(params=["credentials", "token"])
def system(request: pytest.FixtureRequest, made: Path) -> dict[str, Guard]:
    """The guards of a manager, two ensembles and two users who know one another, in one of the two ways."""
    roles: dict[str, Role] = {
        MANAGER: "manager",
        "edge": "ensemble",
        "other": "ensemble",
        "anna": "operator",
        "vera": "viewer",
    }
    token = new_token()
    guards = {
        name: Trust(name, role, str(made / f"{name}.json"), ADDRESS).guard
        if request.param == "credentials"
        else Guard(ByToken(token, name, role))
        for name, role in roles.items()
    }
    for guard in guards.values():
        for name, each in guards.items():
            guard.admit(each.badge, name)
    return guards


def dropped(act: Any) -> str:
    with pytest.raises(DroppedError) as raised:
        act()
    return raised.value.kind


def altered(whole: bytes) -> list[bytes]:
    """`whole` with one bit that is another, at any place."""
    return [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(len(whole))]


def test_a_sealed_message_is_its_sender_s_for_one_recipient_and_taken_once(system: dict[str, Guard]) -> None:
    manager, edge, other = system[MANAGER], system["edge"], system["other"]
    frame = edge.seal(MANAGER, b"hello")
    opened = manager.open(frame)
    assert (opened.sender.name, opened.sender.role, opened.body) == ("edge", "ensemble", b"hello")
    assert dropped(lambda: manager.open(frame)) == "replayed"
    for recipient in (other, edge):  # for another, and back to its sender
        assert dropped(lambda recipient=recipient: recipient.open(edge.seal(MANAGER, b"hello"))) == "forged"
    whole = edge.seal(MANAGER, b"hello")
    for changed in altered(whole):
        with pytest.raises(FrameError):
            manager.open(changed)
    assert manager.open(whole).body == b"hello"


def test_messages_out_of_order_are_taken_and_those_far_behind_are_not(system: dict[str, Guard]) -> None:
    manager, edge = system[MANAGER], system["edge"]
    frames = [edge.seal(MANAGER, bytes([n % 256])) for n in range(WINDOW + 10)]
    for n in (3, 1, 2, 0):
        assert manager.open(frames[n]).body == bytes([n])
    for n in (3, 1, 2, 0):
        assert dropped(lambda n=n: manager.open(frames[n])) == "replayed"
    assert manager.open(frames[-1])
    assert dropped(lambda: manager.open(frames[4])) == "replayed"  # never came, and too far behind
    assert manager.open(frames[-5])


def test_frames_that_waited_on_one_path_are_not_old_beside_those_of_another(system: dict[str, Guard]) -> None:
    """Outputs may wait while heartbeats pass by: they are no old messages."""
    manager, edge = system[MANAGER], system["edge"]
    outputs = [edge.seal(MANAGER, b"", path=NetworkPath.OUTPUTS) for _ in range(3)]
    heartbeats = [edge.seal(MANAGER, b"", path=NetworkPath.HEARTBEATS) for _ in range(2 * WINDOW)]
    assert manager.open(heartbeats[-1])
    assert all(manager.open(frame) for frame in outputs)
    assert dropped(lambda: manager.open(outputs[0])) == "replayed"
    assert dropped(lambda: manager.open(heartbeats[0])) == "replayed"
    moved = edge.seal(MANAGER, b"x", path=NetworkPath.OUTPUTS).replace(b"outputs", b"control")
    assert dropped(lambda: manager.open(moved)) == "forged"


def test_a_heartbeat_is_short(system: dict[str, Guard]) -> None:
    """They are taken before all else: one as long as a graph would hold up everything."""
    manager, edge = system[MANAGER], system["edge"]
    long = bytes(LONGEST[NetworkPath.HEARTBEATS])
    assert manager.open(edge.seal(MANAGER, long[:-1000], path=NetworkPath.HEARTBEATS))
    with pytest.raises(FrameError, match="longer than 1048576"):
        manager.open(edge.seal(MANAGER, long, path=NetworkPath.HEARTBEATS))
    assert manager.open(edge.seal(MANAGER, long, path=NetworkPath.CONTROL))


@pytest.mark.parametrize("follows", [True, False])
def test_a_session_that_was_forgotten_and_comes_again_gets_new_numbers(
    system: dict[str, Guard], monkeypatch: pytest.MonkeyPatch, follows: bool
) -> None:
    manager, anna = system[MANAGER], system["anna"]

    def admit() -> str:
        if follows:
            return manager.admit_alias(anna.badge)
        manager.admit(anna.badge, "anna")
        return "anna"

    name = admit()
    before = [manager.seal(name, b"row", path=NetworkPath.TOKENS) for _ in range(3)]
    assert [anna.open(frame).body for frame in before] == [b"row"] * 3
    if follows:
        manager.forget(name)
    else:
        monkeypatch.setattr(guards, "PEERS", 1)
        manager.admit(system["edge"].badge, "edge")  # there is room for one only
    assert dropped(lambda: manager.seal(name, b"row")) == "untimely"
    admit()
    after = [manager.seal(name, b"row", path=NetworkPath.TOKENS) for _ in range(3)]
    assert [anna.open(frame).body for frame in after] == [b"row"] * 3
    assert len({*before, *after}) == 6, "a number serves once, or what was sealed could be read"


def test_another_start_of_a_process_is_another_sender(system: dict[str, Guard]) -> None:
    """What was captured in one session is worth nothing in the next, of its sender or of its recipient."""
    manager, edge = system[MANAGER], system["edge"]
    captured = edge.seal(MANAGER, b"stop")
    again = Guard(manager.identity)
    again.admit(edge.badge, "edge")
    assert dropped(lambda: again.open(captured)) == "untimely", "it is proven to be for the start before"
    new = Guard(edge.identity)
    manager.admit(new.badge, "edge")
    assert dropped(lambda: manager.open(captured)) == "untimely", "it was edge's, and is old"
    tokens = edge.seal_tokens(KEY, [MANAGER], b"tokens")[0]
    assert dropped(lambda: manager.open_tokens(KEY, bytes(tokens))) == "untimely"
    new.admit(manager.badge, MANAGER)
    assert manager.open(new.seal(MANAGER, b"x")).body == b"x"


def test_nothing_but_keys_says_that_a_message_is_for_a_former_start(system: dict[str, Guard]) -> None:
    """The sessions that a frame names are anybody's to write."""
    manager, edge = system[MANAGER], system["edge"]
    captured = guards._sealed.decode(edge.seal(MANAGER, b"stop")[len(HEAD) :])
    again = Guard(manager.identity)
    again.admit(edge.badge, "edge")

    def comes(**changed: Any) -> str:
        frame = HEAD + guards._encoder.encode(msgspec.structs.replace(captured, **changed))
        return dropped(lambda: again.open(frame))

    assert comes() == "untimely"
    assert comes(body=captured.body[:-1] + bytes((captured.body[-1] ^ 1,))) == "forged"
    assert comes(counter=captured.counter + 1) == "forged"
    for session in (b"", bytes(16), again.session):
        assert comes(recipient_session=session) == "forged"
    assert comes(session=bytes(16)) == comes(session=again.session) == "forged"
    for changed in altered(captured.body):
        assert comes(body=changed) == "forged"


@pytest.mark.parametrize("known", [True, False])
def test_what_the_next_manager_sends_before_it_has_answered_is_not_forged(
    system: dict[str, Guard], known: bool
) -> None:
    """It sends what the ensemble has missed as soon as it has taken it back: before the answer that says so."""
    edge, after = system["edge"], Guard(system[MANAGER].identity)
    if not known:
        edge.forget(MANAGER)
    after.admit(edge.badge, "edge")
    frame, tokens = after.seal("edge", b"row"), after.seal_tokens(KEY, ["edge"], b"tokens")
    for act in (lambda: edge.open(frame), lambda: edge.open_tokens(KEY, *tokens)):
        assert dropped(act) == "forged", "nothing has said so far that there is such a start"
    asking = edge.ask(after.greeting(), RESUME, b"")
    for act in (lambda: edge.open(frame), lambda: edge.open_tokens(KEY, *tokens)):
        assert dropped(act) == "untimely"
    strange = Guard(ByToken(new_token(), MANAGER, "manager"))
    strange._peers, strange.session = after._peers, after.session
    strange._peers["edge"] = type(strange._peers["edge"])(
        strange._peers["edge"].known._replace(secret=b"guessed"), edge.session, MANAGER, after.session, 1
    )
    assert dropped(lambda: edge.open(strange.seal("edge", b"row"))) == "forged", "that it was asked proves nothing"
    edge.admit(asking.badge, MANAGER)
    assert edge.open(frame).body == b"row", "it is taken when it comes again"


def test_a_stranger_is_not_heard(system: dict[str, Guard], tmp_path: Path) -> None:
    init_authority(tmp_path / "keys")
    foreign = Trust("edge", "ensemble", str(issue(tmp_path / "keys", "edge")), ADDRESS).guard
    guessing = Guard(ByToken(new_token(), "edge", "ensemble"))
    for stranger in (foreign, guessing):
        with pytest.raises(TTError):
            system[MANAGER].asked(COMMAND, stranger.ask(system[MANAGER].greeting(), COMMAND, b"").payload)
        stranger._peers = dict(system["other"]._peers)  # as if it had listened
        for known in (True, False):
            if not known:
                system[MANAGER].forget("edge")
            assert dropped(lambda stranger=stranger: system[MANAGER].open(stranger.seal(MANAGER, b"x"))) == "forged"
        system[MANAGER]._former.clear()
        assert dropped(lambda stranger=stranger: system[MANAGER].open(stranger.seal(MANAGER, b"x"))) == "untimely"
        system[MANAGER].admit(system["edge"].badge, "edge")
    with pytest.raises(TTError, match="issued to 'edge', so it does not serve for 'other'"):
        system[MANAGER].admit(system["edge"].badge, "other")


def told(system: dict[str, Guard], sender: str, recipient: str, kind: Any, payload: Any) -> Any:
    """A message through the guards of both: what the recipient takes."""
    frame = system[sender].seal(recipient, control_frame(message(kind, payload)), ROWS[kind].signed, ROWS[kind].path)
    opened = system[recipient].open(frame)
    return parse_control(opened.body, opened).payload


def test_a_role_may_send_what_the_table_says(system: dict[str, Guard]) -> None:
    graph = compile_source(PROGRAM, "p.py", "p")
    code = Deployment(graph, {sq.name: "other" for sq in graph.sqs})
    for kind, payload in (
        (ExecuteMsg.INSTANTIATE, code),
        (SyncMsg.STOP, StopGraph("p")),
        (NetMsg.SHUT_DOWN, "over"),
        (NetMsg.FORGET, "other"),
    ):
        assert told(system, MANAGER, "other", kind, payload) == payload
        for sender in ("edge", "anna", "vera"):
            assert (
                dropped(lambda sender=sender, kind=kind, payload=payload: told(system, sender, "other", kind, payload))
                == "unauthorized"
            )
    ping = Ping("edge", 1)
    assert told(system, "edge", MANAGER, RuntimeMsg.PING, ping) == ping
    for sender in ("other", "anna", "vera"):  # an ensemble in another's name; users are no ensembles
        assert dropped(lambda sender=sender: told(system, sender, MANAGER, RuntimeMsg.PING, ping)) == "unauthorized"
        assert dropped(lambda sender=sender: told(system, sender, MANAGER, RuntimeMsg.LEAVE, "edge")) == "unauthorized"
    assert told(system, "edge", MANAGER, RuntimeMsg.LEAVE, "edge") == "edge"


def test_every_message_that_crosses_has_senders_and_a_join_crosses_as_a_question_only() -> None:
    for kind, row in ROWS.items():
        if row.crosses:
            assert row.senders and not {"operator", "viewer"} & set(row.senders), kind
        if row.crosses and "ensemble" in row.senders:
            assert row.own is not None, f"{kind}: an ensemble could send it in another's name"
    assert not ROWS[RuntimeMsg.JOIN].crosses


def test_code_carries_the_manager_s_signature_for_one_recipient_session_and_number(made: Path) -> None:
    manager = Trust(MANAGER, "manager", str(made / f"{MANAGER}.json"), ADDRESS).guard
    edge = Trust("edge", "ensemble", str(made / "edge.json"), ADDRESS).guard
    manager.admit(edge.badge, "edge")
    edge.admit(manager.badge, MANAGER)
    graph = compile_source(PROGRAM, "p.py", "p")
    code = control_frame(message(ExecuteMsg.INSTANTIATE, Deployment(graph, {sq.name: "edge" for sq in graph.sqs})))
    opened = edge.open(manager.seal("edge", code, signed=True))
    assert opened.signed and parse_control(opened.body, opened)
    bare = edge.open(manager.seal("edge", code))
    with pytest.raises(UnsignedCodeError):
        parse_control(bare.body, bare)
    signature = guards._sealed.decode(manager.seal("edge", code, signed=True)[1:]).signature
    manager._sign = lambda payload: signature  # that of another number
    assert not edge.open(manager.seal("edge", code, signed=True)).signed


# Tokens.


KEY = arc_key("prog", "a-1/0")


def test_tokens_are_their_sender_s_for_these_receivers_on_this_arc_and_taken_once(system: dict[str, Guard]) -> None:
    manager, edge, other = system[MANAGER], system["edge"], system["other"]
    for payload, attached in ((b"tokens", None), (b"long data", b"their frame"), (b"", b"a frame with a place")):
        sealed = edge.seal_tokens(KEY, [MANAGER, "other"], payload, attached)
        alone = edge.seal_tokens(KEY, ["vera"], payload, attached)
        came = system["vera"].open_tokens(KEY, *alone)
        assert (came.payload, came.attached) == (payload, attached)
        assert came.size == sum(len(part) for part in alone if part is not None)
        whole = b"".join(part for part in sealed if part is not None)
        assert b"tokens" not in whole and b"frame" not in whole and b"data" not in whole, "nobody else reads it"
        for receiver in (manager, other):
            came = receiver.open_tokens(KEY, *sealed)
            assert (came.sender, came.payload, came.attached) == ("edge", payload, attached)
            assert came.is_new() and not receiver.open_tokens(KEY, *sealed).is_new()
        with pytest.raises(NotForThisError):
            system["vera"].open_tokens(KEY, *sealed)
        assert dropped(lambda sealed=sealed: manager.open_tokens(arc_key("prog", "b-1/0"), *sealed)) == "forged"
        for recipients in (["other"], ["unknown", "other", MANAGER]):
            sealed = edge.seal_tokens(KEY, recipients, payload, attached)
            mine = bytes(sealed[0] if attached is None else sealed[1] or b"")
            slot = mine.find(manager.session[:8])  # an altered slot of another is its own
            for index, part in enumerate(sealed):
                for at, changed in enumerate(altered(bytes(part or b""))):
                    if part == mine and slot >= 0 and slot <= at < slot + token_seals.SLOT:
                        continue
                    with pytest.raises(FrameError):
                        other.open_tokens(KEY, *sealed[:index], changed, *sealed[index + 1 :])
            if attached is not None:
                with pytest.raises(FrameError):
                    other.open_tokens(KEY, mine)  # the frame without its data
                with pytest.raises(FrameError):
                    other.open_tokens(KEY, b"" if payload else b"more", mine)


def test_a_receiver_of_tokens_cannot_forge_those_of_another(system: dict[str, Guard]) -> None:
    """It knows the key of a frame. What it seals with it anew does not fit what the sender gave to the other."""
    edge, other, manager = system["edge"], system["other"], system[MANAGER]
    sealed = token_seals._tokens.decode(edge.seal_tokens(KEY, [MANAGER, "other"], b"tokens")[0][1:])
    at = sealed.slots.find(other.session[:8])
    number = sealed.number.to_bytes(11, "big")
    about = token_seals._about(KEY, b"", None)
    digest = token_seals._digest(about, sealed.body, b"")
    once = other._peers["edge"].open(Purpose.SLOT, number, sealed.slots[at + 8 : at + token_seals.SLOT], digest)
    assert once is not None and AESGCM(once).decrypt(bytes(12), bytes(sealed.body), about) == b"tokens"
    body = AESGCM(once).encrypt(bytes(12), b"forged", about)
    forged = HEAD + guards._encoder.encode(("edge", sealed.number, sealed.slots, body))
    assert dropped(lambda: manager.open_tokens(KEY, forged)) == "forged"
    in_its_name = other.seal_tokens(KEY, [MANAGER], b"forged")[0]
    sealed = token_seals._tokens.decode(in_its_name[1:])
    forged = HEAD + guards._encoder.encode(("edge", sealed.number, sealed.slots, sealed.body))
    assert dropped(lambda: manager.open_tokens(KEY, forged)) == "forged"


def test_without_proofs_tokens_go_as_they_are() -> None:
    one, another = (Guard(ByToken(b"", name, "ensemble")) for name in ("one", "another"))
    payload, attached = one.seal_tokens(KEY, ["another"], b"tokens")
    assert b"tokens" in payload and attached is None
    came = another.open_tokens(KEY, bytes(payload))
    assert (came.sender, came.payload) == ("one", b"tokens") and came.is_new() and came.is_new()


# Questions.


def test_a_question_and_its_answer_are_proven(system: dict[str, Guard]) -> None:
    manager, anna = system[MANAGER], system["anna"]
    asking = anna.ask(manager.greeting(), COMMAND, b"status?")
    asked = manager.asked(COMMAND, asking.payload)
    assert (asked.requester.name, asked.requester.role, asked.body) == ("anna", "operator", b"status?")
    assert asking.answer(asked.answer(True, b"well")) == (True, b"well")
    assert asking.answer(asked.answer(False, b"no")) == (False, b"no")
    other = anna.ask(manager.greeting(), COMMAND, b"status?")
    answers = [
        b"",
        *altered(asked.answer(True, b"well")),
        manager.asked(COMMAND, other.payload).answer(True, b"well"),  # to another question
    ]
    for answer in answers:
        with pytest.raises(TTError, match="not the manager's"):
            asking.answer(answer)


def test_a_question_is_answered_once_and_soon(system: dict[str, Guard], monkeypatch: pytest.MonkeyPatch) -> None:
    manager, anna = system[MANAGER], system["anna"]
    greeting = manager.greeting()
    asking = anna.ask(greeting, COMMAND, b"stop")
    manager.asked(COMMAND, asking.payload)
    for payload in (asking.payload, anna.ask(greeting, COMMAND, b"stop").payload):
        with pytest.raises(NotNewError, match="came too late, or came before") as again:
            manager.asked(COMMAND, payload)
        assert again.value.kind == "replayed"
    late = anna.ask(manager.greeting(), COMMAND, b"stop")
    now = questions.time.monotonic()
    monkeypatch.setattr(questions.time, "monotonic", lambda: now + questions.CHALLENGE_LIMIT + 1)
    with pytest.raises(NotNewError, match="came too late") as slow:
        manager.asked(COMMAND, late.payload)
    assert slow.value.kind == "untimely"
    monkeypatch.undo()
    with pytest.raises(TTError, match="too late"):  # a challenge of its own making
        badge, _ = guards._greeting.decode(manager.greeting())
        manager.asked(COMMAND, anna.ask(guards._encoder.encode((badge, bytes(32))), COMMAND, b"stop").payload)
    fresh = anna.ask(manager.greeting(), COMMAND, b"stop")
    with pytest.raises(TTError, match="not proven"):  # asked on another key
        manager.asked("ticktalk/join", fresh.payload)
    for payload in altered(fresh.payload):
        with pytest.raises(TTError):
            manager.asked(COMMAND, payload)
    assert manager.asked(COMMAND, fresh.payload).body == b"stop"


def test_no_requester_takes_the_room_of_others(
    system: dict[str, Guard], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(questions, "OF_ONE", 3)
    monkeypatch.setattr(questions, "ANSWERED", 5)
    manager = system[MANAGER]

    def ask(name: str, key: str) -> bytes:
        return manager.asked(key, system[name].ask(manager.greeting(), key, b"x").payload).body

    proven = bool(manager.identity.meet(system["vera"].identity.certificate).serial)
    for _ in range(3 if proven else 5):
        ask("vera", COMMAND)
    full = "too many questions of 'vera' came" if proven else r"too many questions of one kind \(command\) came"
    with pytest.raises(NotNewError, match=full) as refused:
        ask("vera", COMMAND)
    assert refused.value.kind == "overflow"
    for name in ("edge", "other"):
        assert ask(name, JOIN) == b"x"
    if proven:  # a question without a certificate may have any name: then only joins have a room of their own
        assert [ask("anna", COMMAND) for _ in range(3)] == [b"x"] * 3
    now = questions.time.monotonic()
    monkeypatch.setattr(questions.time, "monotonic", lambda: now + questions.CHALLENGE_LIMIT + 1)
    monkeypatch.setattr(questions.time, "monotonic_ns", lambda: int((now + questions.CHALLENGE_LIMIT + 1) * 1e9))
    assert ask("vera", COMMAND) == b"x"
    assert manager._challenges._taken.total() == (2 if proven else 1), "empty rooms are forgotten"


def test_a_question_costs_the_same_however_many_requesters_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rooms(Counter[str]):
        def items(self) -> Any:
            raise AssertionError("the rooms of all requesters are looked through")

    challenges = questions.Challenges()
    challenges._taken = Rooms()
    for number in range(100):
        challenges.use(challenges.make(), {"the role viewer": 1000, f"'viewer {number}'": 10})
    now = questions.time.monotonic()
    later = now + questions.CHALLENGE_LIMIT + 1
    monkeypatch.setattr(questions.time, "monotonic", lambda: later)
    monkeypatch.setattr(questions.time, "monotonic_ns", lambda: int(later * 1e9))
    challenges.use(challenges.make(), {"the role viewer": 1000, "'anna'": 10})
    assert list(challenges._taken) == ["the role viewer", "'anna'"] and list(challenges._taken.values()) == [1, 1]


def test_only_a_manager_is_asked(system: dict[str, Guard]) -> None:
    with pytest.raises(TTError, match="'edge' answers there, and is no manager"):
        system["anna"].ask(system["edge"].greeting(), COMMAND, b"")
    with pytest.raises(TTError, match="no manager of this version"):
        system["anna"].ask(b"rogue", COMMAND, b"")


def test_a_rogue_without_the_token_is_not_believed() -> None:
    rogue = Guard(ByToken(new_token(), MANAGER, "manager"))
    mine = Guard(ByToken(new_token(), "anna", "operator"))
    asking = mine.ask(rogue.greeting(), COMMAND, b"status?")
    with pytest.raises(TTError, match="not proven"):
        rogue.asked(COMMAND, asking.payload)
    pretended = rogue.ask(rogue.greeting(), COMMAND, b"status?")
    answer = rogue.asked(COMMAND, pretended.payload).answer(True, b"all is well")
    with pytest.raises(TTError, match="not the manager's"):
        asking.answer(answer)


def test_a_revoked_certificate_is_met_no_more(made: Path, tmp_path: Path) -> None:
    keys = Path(shutil.copytree(made, tmp_path / "keys"))
    manager = Trust(MANAGER, "manager", str(keys / f"{MANAGER}.json"), ADDRESS)
    edge = Trust("edge", "ensemble", str(keys / "edge.json"), ADDRESS)
    manager.guard.asked(COMMAND, edge.guard.ask(manager.guard.greeting(), COMMAND, b"").payload)
    old = (keys / "revocations.signed").read_bytes()
    revoke(keys, "edge")
    manager.look()
    with pytest.raises(TTError, match=r"'edge' was revoked: .*keys issue edge --role ensemble"):
        manager.guard.asked(COMMAND, edge.guard.ask(manager.guard.greeting(), COMMAND, b"").payload)
    (keys / "revocations.signed").write_bytes(old)  # an older list
    with pytest.raises(TTError, match="an older revocation list"):
        manager.look()
    with pytest.raises(TTError, match="was revoked"):
        manager.guard.admit(edge.guard.badge, "edge")


def test_a_list_reaches_members_and_never_an_older_one(made: Path, tmp_path: Path) -> None:
    keys = Path(shutil.copytree(made, tmp_path / "keys"))
    old = (keys / "revocations.signed").read_bytes()
    edge, other = (Trust(name, "ensemble", str(keys / f"{name}.json"), ADDRESS).guard for name in ("edge", "other"))
    for one, another in ((edge, other), (other, edge)):
        one.admit(another.badge, another.identity.name)
    revoke(keys, "edge")
    new = (keys / "revocations.signed").read_bytes()
    with pytest.raises(TTError, match="altered"):
        other.revoke(new.replace(b"edge", b"egde"))
    init_authority(tmp_path / "foreign")
    with pytest.raises(TTError, match="another authority's"):
        other.revoke((tmp_path / "foreign" / "revocations.signed").read_bytes())
    came = other.open_tokens(KEY, *edge.seal_tokens(KEY, ["other"], b"tokens"))
    assert [known.name for known in other.revoke(new)] == ["edge"]
    assert not came.is_new(), "tokens that waited to be taken are not taken from one revoked"
    other.forget("edge")
    assert dropped(lambda: other.open(edge.seal("other", b"x"))) == "untimely"
    assert dropped(lambda: other.seal("edge", b"x")) == "untimely"
    assert other.revoke(old) == [] and other.revocations is not None and other.revocations.number == 1
    with pytest.raises(TTError, match="was revoked"):
        other.admit(edge.badge, "edge")


def test_a_certificate_that_expires_soon_is_warned_of_and_an_expired_one_is_the_reason(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Path(shutil.copytree(made, tmp_path / "keys"))
    manager = Trust(MANAGER, "manager", str(keys / f"{MANAGER}.json"), ADDRESS)
    assert not caplog.records
    edge = Trust("edge", "ensemble", str(issue(keys, "edge", valid_for=timedelta(days=6))), ADDRESS)
    assert "the certificate of 'edge' expires on" in caplog.text and "keys issue edge" in caplog.text
    asked = manager.guard.asked(COMMAND, edge.guard.ask(manager.guard.greeting(), COMMAND, b"").payload)
    assert asked.requester.expires == edge.expires > 0

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=7)

    lasting = Trust("edge", "ensemble", str(issue(keys, "edge", valid_for=timedelta(days=10))), ADDRESS)
    caplog.clear()
    lasting.warn_of_end()
    assert not caplog.records
    monkeypatch.setattr(trust, "datetime", Later)
    for _ in range(3):  # a process that has run for a week, and looks from time to time
        lasting.warn_of_end()
    assert len(caplog.records) == 1 and "the certificate of 'edge' expires on" in caplog.text
    monkeypatch.setattr(identity, "datetime", Later)
    with pytest.raises(TTError, match=r"'edge' expired on .*: issue a new one with `ticktalk keys issue edge`"):
        manager.guard.asked(COMMAND, edge.guard.ask(manager.guard.greeting(), COMMAND, b"").payload)


# The token of a user.


def test_a_token_is_made_once_and_is_the_user_s_alone(tmp_path: Path) -> None:
    token = own_token(tmp_path / "t")
    assert own_token(tmp_path / "t") == token and len(token) == 32
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "t" / "token").stat().st_mode & 0o777 == 0o600
    (tmp_path / "t" / "token").chmod(0o644)
    with pytest.raises(TTError, match="other users of this host can use it"):
        own_token(tmp_path / "t")
    (tmp_path / "t" / "token").unlink()
    (tmp_path / "t" / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TTError, match=r"cannot be used|other users"):
        own_token(tmp_path / "t")
    (tmp_path / "t" / "token").unlink()
    (tmp_path / "t").chmod(0o777)
    with pytest.raises(TTError, match="other users of this host can use it"):
        own_token(tmp_path / "t")


def test_loopback_is_known_with_and_without_a_port() -> None:
    here = ("127.0.0.1", "127.0.0.1:5555", "127.9.9.9", "localhost", "localhost:1", "::1", "[::1]", "[::1]:5555")
    for address in here:
        assert is_loopback(address), address
    others = ("127.x.example", "127.0.0.1.example:5555", "127.1:5", "localhost.example", "", "::", "[::]:5")
    for address in ("192.0.2.1", "192.0.2.1:5555", "2001:db8::1", "[2001:db8::1]:5", "0.0.0.0:1", *others):
        assert not is_loopback(address), address
