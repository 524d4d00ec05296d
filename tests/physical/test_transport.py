"""`Link` gives every transport of a device the outbox and its order, and subscriptions that outlive a session."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from ticktalk.messages import Message, NetMsg, RuntimeMsg, message
from ticktalk.network_interface import Handle, Receive, Reply
from ticktalk.network_keys import Path, control_key
from ticktalk.payloads import Pong
from ticktalk.physical.network import outbox
from ticktalk.physical.network.control_frames import parse_control
from ticktalk.physical.network.link import Link, LinkError, NobodyAnswersError, Withdraw
from ticktalk.physical.trust.connection_keys import Door


class Session(Link):
    """A transport that only notes its calls.

    Attributes:
        put: the published payloads, with key and attachment.
        declared: the keys that are subscribed to, in the order in which that was declared.
        opened: the modes in which sessions opened.
    """

    def __init__(self) -> None:
        super().__init__()
        self.put: list[tuple[str, Any, bytes | None]] = []
        self.declared: list[str] = []
        self.opened: list[str] = []

    @property
    def identity(self) -> str:
        return "here"

    def reachable(self) -> set[str]:
        return set()

    def subscribed(self, key: str) -> bool:
        return False

    def ask(self, key: str, payload: bytes, timeout: float, wanted: Any = None) -> Reply | None:
        return None

    def _start(self, mode: str, listen: str, connect: Sequence[str], door: Door, bind: str, timeout: float) -> None:
        if "nobody" in connect:
            raise NobodyAnswersError("nobody answers")
        self.opened.append(mode)

    def _end(self) -> None:
        self.declared.clear()

    def _subscribe(self, key: str, receive: Receive) -> Withdraw:
        self.declared.append(key)
        return lambda: self.declared.remove(key)

    def _answer(self, key: str, handle: Handle) -> None:
        self.declared.append(f"{key}?")

    def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
        if payload == b"too much":
            raise LinkError("the session refuses it")
        self.put.append((key, payload, attached))


@pytest.fixture
def session() -> Session:
    session = Session()
    session.open("peer")
    return session


def test_a_closed_link_keeps_declarations_and_drops_publications() -> None:
    session = Session()
    session.publish("key", b"lost")
    session.subscribe("a", lambda payload, attached: None)
    session.subscribe("b", lambda payload, attached: None)
    session.unsubscribe("a")
    session.answer("q", lambda question: None)
    with pytest.raises(NobodyAnswersError):
        session.open("peer", connect=["nobody"])
    assert not session.is_open and session.declared == []
    session.open("peer")
    assert session.declared == ["b", "q?"]
    session.open("client")  # in place of the one before
    assert session.mode == "client" and session.opened == ["peer", "client"] and session.declared == ["b", "q?"]
    with pytest.raises(NobodyAnswersError):
        session.open("client", connect=["nobody"])
    assert not session.is_open
    session.open("client")
    session.publish("key", b"sent")
    assert session.put == [("key", b"sent", None)]


def test_waiting_parts_of_one_key_are_joined_in_order(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "JOINED", 3)
    wanted: list[None] = []
    session.waiting = lambda: wanted.append(None)

    def join(parts: list[Any]) -> bytes:
        return b"".join(parts)

    for number in range(5):
        session.publish("a", b"%d" % number, join)
    session.publish("b", b"5", join)
    session.publish("a", b"6", join)
    session.publish("a", b"7")
    session.publish("a", lambda: iter([(b"8", b"attached"), (b"9", None)]))
    assert len(wanted) == 1 and session.put == []
    session.flush()
    assert session.put == [
        ("a", b"012", None),
        ("a", b"34", None),
        ("b", b"5", None),
        ("a", b"6", None),
        ("a", b"7", None),
        ("a", b"8", b"attached"),
        ("a", b"9", None),
    ]


def test_a_full_outbox_drops_its_stalest_part(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "OUTBOX", 3)
    dropped: list[None] = []
    session.waiting, session.overflow = lambda: None, lambda: dropped.append(None)
    for number in range(5):
        session.publish("a", b"%d" % number)
    session.close()
    assert len(dropped) == 2
    assert [payload for _, payload, _ in session.put] == [b"2", b"3", b"4"]


def test_a_part_that_cannot_be_sent_holds_up_no_other(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "ticktalk.link"):
        session.publish("a", b"too much")
    assert "a: not sent: the session refuses it" in caplog.text
    session.publish("a", b"next")
    assert session.put == [("a", b"next", None)]


def test_a_message_to_the_ensemble_itself_does_not_cross(session: Session) -> None:
    taken: list[Message] = []
    session.name, session.take = "edge", taken.append
    message = Message(NetMsg.FORGET, "other", "TTNetworkManager")
    session.send("edge", message)
    assert taken == [message] and session.put == []
    session.send("other", message)
    ((key, frame, _),) = session.put
    assert key == control_key("other") and parse_control(frame) == message


def test_a_receiver_that_stands_still_holds_up_no_other_receiver_and_no_other_path() -> None:
    """Control for it waits; control for others, heartbeats, outputs and tokens go on, each in order."""
    stands_still, released = control_key("stopped"), threading.Event()

    class Held(Session):
        def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
            if (path, key) == (Path.CONTROL, stands_still):
                assert released.wait(60)
            super()._put(path, key, payload, attached)

    session = Held()
    session.open("peer")
    threads: list[threading.Thread] = []

    def flush() -> None:
        threads.append(threading.Thread(target=session.flush, daemon=True))
        threads[-1].start()

    session.waiting = flush
    for _ in range(3):
        session.send("stopped", message(NetMsg.FORGET, "b"))
        session.send("healthy", message(NetMsg.FORGET, "b"))
        session.send("stopped", message(NetMsg.PONG, Pong(1, 2, 3)))
        session.send("stopped", message(RuntimeMsg.LEAVE, "a"))
        session.publish("arc", b"token")
    for thread in threads[1:]:
        thread.join(60)
    assert len(session.put) == 12
    released.set()
    threads[0].join(60)
    assert len(session.put) == 15


def test_outputs_that_wait_for_the_manager_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stalest go, and each is counted; the latest waits however long it is."""
    monkeypatch.setattr(outbox, "HELD", 100)
    held = outbox.Outbox(Path.OUTPUTS)
    dropped = [held.add("manager", b"%d" % n, None, 40)[1] for n in range(5)]
    assert sum(dropped) == 3 and [part for _, part, _, _ in held.waits] == [b"3", b"4"]
    assert held.add("manager", b"long", None, 1000) == (True, 2)
    assert held.add("manager", b"next", None, 40) == (True, 1)
    found = held.next()
    assert found is not None and list(found[1]) == [(b"next", None)]
