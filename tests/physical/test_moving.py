"""An SQ that moves to another ensemble and back takes each token once, with any order of messages."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from systems import LIMIT

from ticktalk.bodies.budget import LONGEST
from ticktalk.language.compiler import compile_source
from ticktalk.messages import Message, NetMsg, RuntimeMsg
from ticktalk.network_keys import arc_key, control_key
from ticktalk.payloads import (
    Deployment,
    Expect,
    Handed,
    HandOver,
    Placement,
    ReadyAnswer,
    ReportRequest,
    SoFar,
    StartContext,
)
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.network.control_frames import control_frame, parse_control
from ticktalk.physical.network.frames import LONG
from ticktalk.physical.network.token_frames import long_parcel, token_frame
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh
from ticktalk.physical.node import Node
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.values.codec import decode_value, encode_value, plain

PROGRAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@SQify
def total(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + len(x)
    return sq_state["sum"]
@SQify
def other(x):
    return len(x)
@GRAPHify
def main(trigger):
    s = src(trigger, TTPeriod=1000)
    return total(s), other(s)
"""


def until(count: int, found: Callable[[], list[Any]]) -> list[Any]:
    """The result of `found` as soon as it has so many entries, or after `LIMIT`."""
    end = time.monotonic() + LIMIT
    while len(found()) < count and time.monotonic() < end:
        time.sleep(0.001)
    return found()


class Network:
    """Stands for the network, the manager and the sender: messages for an ensemble wait until they are delivered."""

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.sent = 0  # tokens
        self.told: deque[Any] = deque()  # to the manager
        self.said: list[tuple[str, int, int]] = []  # by SQs: key, start, value

    def publish(self, key: str, frame: bytes, attached: bytes | None = None) -> None:
        for link in self.links:
            receive = link.receives.get(key)
            if receive is not None:
                link.under_way.append((receive, frame, attached))

    def take(self, key: str, part: Any) -> None:
        """The tokens that an ensemble publishes."""
        if not key.startswith("ticktalk/ensemble/"):
            self.said.append((key, int(part[4]), plain(decode_value(part[-1]))))
            return
        message = parse_control(part)
        if key.endswith("/a"):
            if message.msg_type is NetMsg.TAKEN:
                return
            assert message.msg_type == NetMsg.HOW_FAR
            asked = message.payload
            answer = SoFar("a", "moved", {1: dict.fromkeys(asked.arcs, self.sent)}, asked.number)
            frame = control_frame(Message(NetMsg.SO_FAR, answer, "TTNetworkManager"))
            self.publish(f"ticktalk/ensemble/{asked.name}", frame)
        else:
            self.told.append(message)

    def wait_for(self, kind: RuntimeMsg, meanwhile: Callable[[], None]) -> Any:
        """A message of an ensemble to the manager; meanwhile other events go on."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            while self.told:
                message = self.told.popleft()
                if message.msg_type == kind:
                    return message.payload
            meanwhile()
            time.sleep(0.001)
        raise AssertionError(f"no {kind}")


class FakeLink(TTNetworkInterfaceZenoh):
    """An ensemble's part of it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.receives: dict[str, Callable[[bytes, bytes | None], None]] = {}
        self.under_way: deque[tuple[Callable[[bytes, bytes | None], None], bytes, bytes | None]] = deque()
        self._network = network
        network.links.append(self)

    def subscribe(self, key: str, receive: Callable[[bytes, bytes | None], None]) -> None:
        self.receives[key] = receive

    def unsubscribe(self, key: str) -> None:
        del self.receives[key]
        self.under_way = deque([entry for entry in self.under_way if entry[0] in self.receives.values()])

    def subscribed(self, key: str) -> bool:
        return False

    def publish(self, key: str, part: Any, join: Any = None, to: Any = None, size: int = 0) -> None:
        self._network.take(key, part)

    def send(self, ensemble: str, message: Message) -> None:
        self._network.take(control_key(ensemble), control_frame(message))

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.under_way))):
            receive, frame, attached = self.under_way.popleft()
            receive(frame, attached)


def run(seed: int, processes: bool, length: int, other_on: str, home: bool = False) -> None:
    chance = random.Random(seed)
    network = Network()
    graph = compile_source(PROGRAM, "moved.py", "moved")
    host_of = {"src-1": "a", "total-1": "b", "other-1": other_on, "TUPLE-1": "a"}
    generations = {"total-1": 0}
    links = {name: FakeLink(network) for name in "bd"}
    nodes = {name: Node(name, {}, manager="runtime-manager", processes=processes, link=links[name]) for name in links}
    tick = 0
    for node in nodes.values():
        node.workers.loading.home = home
        node.run_in_thread()

    sender = Guard(ByToken(b"", "a", "ensemble"))

    def publish(count: int) -> None:
        for _ in range(count):
            network.sent += 1
            sent = network.sent
            parcel = (1, 0, b"", sent, tick + 1000 * sent, tick + 1000 * sent + 500, encode_value(bytes(length)))
            frame, attached = long_parcel(parcel) if length >= LONG else (token_frame([parcel]), None)
            key = arc_key("moved", "src-1/0")
            network.publish(key, *sender.seal_tokens(key, "bd", bytes(frame), attached))

    def meanwhile() -> None:
        for _ in range(chance.randrange(4)):
            publish(chance.randrange(3))
            links[chance.choice("bd")].deliver(chance.randrange(4))

    def slowly() -> None:
        if chance.random() < 0.2:
            publish(1)
        if chance.random() < 0.5:
            links[chance.choice("bd")].deliver(1)

    def said(sq: str) -> list[int]:
        """The results of an SQ, in the order of intervals, as soon as there are enough."""
        key = arc_key("moved", f"{sq}/0")
        return until(
            network.sent, lambda: [value for _, value in sorted(entry[1:] for entry in network.said if entry[0] == key)]
        )

    try:
        for node in nodes.values():
            answers: list[ReadyAnswer] = []
            in_loop(node, partial(node.prepare, Deployment(graph, host_of), answers.append))
            assert until(1, lambda answers=answers: answers)[0].problem is None  # type: ignore[misc]
        tick = nodes["b"].clock.now()
        for node in nodes.values():
            in_loop(node, partial(node.start_context, StartContext("moved", 1, tick, {"trigger": 1})))
        for _ in range(3 + seed % 2):
            meanwhile()
            old = host_of["total-1"]
            new = "d" if old == "b" else "b"
            in_loop(nodes[new], partial(nodes[new].moves.expect, Expect("moved", ["total-1"])))
            expected = network.wait_for(RuntimeMsg.PLACED, slowly)
            assert expected.problem is None and expected.expected
            meanwhile()
            in_loop(nodes[old], partial(nodes[old].moves.hand_over, HandOver("moved", {"total-1": new}, expected.sent)))
            handed: Handed = network.wait_for(RuntimeMsg.HANDED, slowly)
            meanwhile()
            host_of = {**host_of, "total-1": new}
            generations = {"total-1": generations["total-1"] + 1}
            for name in chance.sample("bd", 2):
                placement = Placement("moved", host_of, generations, handed.states if name == new else {})
                in_loop(nodes[name], partial(nodes[name].moves.place, placement))
                if name == new:
                    assert network.wait_for(RuntimeMsg.PLACED, slowly).problem is None
                meanwhile()
            meanwhile()
        publish(1)
        for link in links.values():
            link.deliver(10 * network.sent)
        sent = network.sent
        assert said("total-1") == [length * number for number in range(1, sent + 1)]
        if other_on in nodes:
            assert said("other-1") == [length] * sent
        reports = {
            name: in_loop(node, partial(node.duties.reports.report, ReportRequest("moved", 1, 0)))
            for name, node in nodes.items()
        }
        assert not any(kinds for report in reports.values() for kinds in report.counts.values()), reports
        assert reports[host_of["total-1"]].received["src-1/0"] == sent
    finally:
        for node in nodes.values():
            node.close()


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("other_on", ["a", "d"])
def test_each_token_arrives_once(seed: int, other_on: str) -> None:
    run(seed, False, 40, other_on)


@pytest.mark.parametrize("other_on", ["a", "d"])
def test_each_token_arrives_once_with_processes_and_long_values(other_on: str) -> None:
    run(100, True, LONG, other_on)


@pytest.mark.parametrize("length", [40, LONGEST + 1], ids=["at home", "that leave home at once"])
@pytest.mark.parametrize("other_on", ["a", "d"])
def test_each_token_arrives_once_with_bodies(length: int, other_on: str) -> None:
    run(101, True, length, other_on, home=True)
