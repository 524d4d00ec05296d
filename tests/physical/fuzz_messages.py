"""What participants with valid keys send, anything well formed: none of it may break or hold up a receiver.

The receivers are a device's node and a manager's, without sockets. All comes through their guards, from a manager, an
ensemble, an operator and a viewer, each with keys of its own. The test makes messages from the table of messages and
their types, so a new message is sent, too; and tokens, questions, and frames that came before. A message is taken or
counted. `make fuzz` sends more of them, from any seed:

    python tests/physical/fuzz_messages.py [COUNT] [SEED]
"""

from __future__ import annotations

import logging
import math
import queue
import random
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from ticktalk.language.compiler import compile_source
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RECIPIENTS, ROWS, ExecuteMsg, Message, Role, RuntimeMsg, SyncMsg
from ticktalk.network_interface import Handle, Receive
from ticktalk.network_keys import COMMAND, HELLO, JOIN, RESUME
from ticktalk.payloads import Deployment, DeployRequest, ReadyAnswer, StartRequest, StopRequest
from ticktalk.physical.commands import Command, Commands
from ticktalk.physical.ensemble_handle import EnsembleHandle
from ticktalk.physical.host_facts import describe_host
from ticktalk.physical.manager_node import ManagerNode
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.link import Link, Withdraw
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping.root_clock import ClockDiscipline
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.trust.user_token import new_token
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.values.codec import encode_value

OTHERS: dict[str, Role] = {"far": "ensemble", "anna": "operator", "vera": "viewer"}
"""Participants beside the two receivers."""

MOST_MEMORY = 200.0
"""MB by which 100,000 messages may make a receiver grow."""

SLOWEST = 2.0
"""Seconds of a core that a receiver may take over one message."""

VALUES = [
    *(encode_value(value) for value in ({1: {2, 3}}, 10**400, [1.5] * 50, "text", 5)),
    *(b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xc7\xff\x01", b""),
]
"""Stands where a value is expected, good or bad; nothing: any bytes."""

PROGRAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@SQify
def double(x, y):
    return 2 * x
@GRAPHify
def main(trigger):
    a = src(trigger, TTPeriod=200000)
    b = double(a, trigger)
    return double(b, a), b
"""


JOBS = 1000
"""Pieces of slow work that a node does in one turn."""


class NoLink(Link):
    """A link that leads nowhere, and remembers subscriptions."""

    identity = "none"

    def __init__(self) -> None:
        super().__init__()
        self.receivers: dict[str, Receive] = {}
        self.published = 0

    def _start(self, *arguments: Any) -> None:
        pass

    def _end(self) -> None:
        pass

    def _subscribe(self, key: str, receive: Receive) -> Withdraw:
        self.receivers[key] = receive
        return lambda: self.receivers.pop(key, None) and None

    def _answer(self, key: str, handle: Handle) -> None:
        pass

    def _put(self, *arguments: Any) -> None:
        self.published += 1

    def ask(self, key: str, payload: bytes, timeout: float, wanted: Any = None) -> None:
        return None

    def subscribed(self, key: str) -> bool:
        return False

    def reachable(self) -> set[str]:
        return set()


def turn(node: Node) -> None:
    """Let a node do its due work, without a thread of its own: not for ever, for a stream may always have more."""
    node.loop._turn()
    for _ in range(JOBS):
        if not node.loop._jobs:
            return
        job = node.loop._jobs.popleft()()
        if job is not None:
            job[1](*job[2])
        node.loop._turn()


class Content:
    """Makes values that a type allows, and a few that it does not; from one seed always the same.

    Args:
        chance: the source of it.
        names: names that mean something to the receivers.
        near: numbers that do.
    """

    def __init__(self, chance: random.Random, names: Sequence[str], near: Callable[[], int]) -> None:
        self.chance, self.names, self.near = chance, names, near

    def of(self, kind: inspect.Type, depth: int = 0) -> Any:
        """Something of a type, as builtins."""
        chance = self.chance
        if depth and chance.random() < 0.002:
            return chance.choice([None, "?", 2**63, -(2**63), math.nan, [], {}, b"\xc1"])
        match kind:
            case inspect.UnionType():
                return self.of(chance.choice(kind.types), depth)
            case inspect.NoneType():
                return None
            case inspect.BoolType():
                return chance.random() < 0.5
            case inspect.IntType():
                return self._number()
            case inspect.FloatType():
                return chance.choice([math.inf, -math.inf, math.nan, 0.5, 1e300, float(self.near())])
            case inspect.StrType():
                return chance.choice(["", "**", "a/0", "x" * 2_000, "\x1b[2J", *self.names * 6])
            case inspect.BytesType():
                return chance.choice(VALUES) or chance.randbytes(16)
            case inspect.ListType() | inspect.SetType() | inspect.VarTupleType():
                return [self.of(kind.item_type, depth + 1) for _ in range(self._length(depth))]
            case inspect.TupleType():
                return [self.of(item, depth + 1) for item in kind.item_types]
            case inspect.DictType():
                length = self._length(depth)
                return {self._key(kind.key_type): self.of(kind.value_type, depth + 1) for _ in range(length)}
            case inspect.StructType():
                fields = [self.of(field.type, depth + 1) for field in kind.fields]
                if kind.array_like:
                    return fields
                return {field.encode_name: value for field, value in zip(kind.fields, fields, strict=True)}
            case inspect.TypedDictType():
                drop = chance.random() * 0.5
                return {f.encode_name: self.of(f.type, depth + 1) for f in kind.fields if chance.random() > drop}
            case inspect.NamedTupleType():
                return [self.of(field.type, depth + 1) for field in kind.fields]
            case inspect.LiteralType():
                return chance.choice(kind.values)
            case inspect.AnyType():
                return chance.choice([None, 1, "x", [1], {"a": 1}])
        raise NotImplementedError(f"what is a {kind}?")

    def _key(self, kind: inspect.Type) -> Any:
        return self._number() if isinstance(kind, inspect.IntType) else self.chance.choice(["?", "", *self.names * 3])

    def _number(self) -> int:
        chance = self.chance
        return chance.choice(
            [0, 1, 2, 3, -1, -5, 1000, 200_000, 2**20, 2**31, 2**61, 2**62, -(2**61), self.near(), self.near()]
        )

    def _length(self, depth: int) -> int:
        return self.chance.choice([0, 1, 1, 2, 3, 8] if depth < 3 else [0, 1, 2])

    def altered(self, data: Any) -> Any:
        """`data` with one thing in it, at any depth, that is another."""
        if isinstance(data, dict) and data:
            key = self.chance.choice(sorted(data, key=str))
            return {**data, key: self.altered(data[key])}
        if isinstance(data, list) and data:
            at = self.chance.randrange(len(data))
            return [*data[:at], self.altered(data[at]), *data[at + 1 :]]
        if isinstance(data, str):
            return self.chance.choice(["", "**", *self.names])
        return self._number() if not isinstance(data, bytes) else self.chance.randbytes(3)


class Asked:
    """A question on its way; what comes back."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.answers: list[bytes | str] = []

    def answer(self, answer: bytes) -> None:
        self.answers.append(answer)

    refuse = answer


class Fuzz:
    """Two receivers, participants with valid keys, and what they send.

    Args:
        seed: of all that is sent.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.graph = compile_source(PROGRAM, "prog.py", "prog")
        self.kinds = Counter[str]()
        self.taken = 0
        self.slowest = 0.0
        self.token = new_token()
        self.said: list[str] = []  # by the ensemble
        self.guards: dict[str, Guard] = {}
        self.manager, self.node = self._manager(), self._ensemble()
        for name, role in OTHERS.items():
            self.guards[name] = Guard(ByToken(self.token, name, role))
        self.captured: list[tuple[Node, bytes]] = []
        names = [sq.name for sq in self.graph.sqs]
        arcs = [f"{name}/0" for name in names]
        pool = ["prog", "edge", "boss", "far", *names, *arcs, "trigger"]
        self.content = Content(self.chance, pool, lambda: self.node.clock.now() + self.chance.randrange(-9999, 99_999))
        self._set_up()

    def _watched(self, node: Node, guard: Guard) -> Node:
        def call_it(call: Callable[..., None], *arguments: Any) -> None:
            call(*arguments)

        def receive(message: Message, stamp: int | None = None) -> None:
            self.taken += 1
            take(message, stamp)

        take, node.receive = node.receive, receive  # type: ignore[method-assign]
        node.order.take = lambda proven: [proven]  # type: ignore[method-assign]  # real ones between them do not come
        node.link.open("peer")
        node.loop._guarded = call_it  # type: ignore[method-assign]  # an error is to be seen
        self.guards[node.name] = guard
        return node

    def _ensemble(self) -> Node:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
            handle = EnsembleHandle(
                *("edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 0, 0, None, "manager", "", lambda error: None),  # type: ignore
                on_event=self.said.append,
                token=self.token,
            )
        handle.member.discipline = ClockDiscipline()
        handle.member.out = False
        self.member = handle.member
        assert handle.node.guard is not None
        return self._watched(handle.node, handle.node.guard)

    def _manager(self) -> ManagerNode:
        trust = Trust("boss", "manager", None, "127.0.0.1", self.token)
        node = self._watched(Node("boss", {}, "boss", processes=False, link=NoLink(), guard=trust.guard), trust.guard)
        driver = ManagerNode()
        process = TTRuntimeManagerProcess(None, queue.Queue(), "boss", driver=driver)
        process.requests.liveness.introduce(describe_host("boss", {}, "127.0.0.1:1", "none", True, 1))
        driver.host(node, process, trust)
        Commands(driver)
        return driver

    def _set_up(self) -> None:
        """All know one another, both hold the graph, and a start of it runs; what was before is over."""
        for guard in self.guards.values():
            for name, other in self.guards.items():
                guard.admit(other.badge, name)
        requests, state = self.manager.process.requests, self.manager.process.state
        for name in list(state.graphs):
            requests.handlers[RuntimeMsg.STOP_GRAPH](StopRequest(name, reply=Future()))
        for node in (self.node, self.manager.node):
            for name in list(node.host.prepared):
                node.stop_graph(name)
        requests.handlers[RuntimeMsg.JOIN](describe_host("edge", {}, "127.0.0.1:2", "none", True, 1))
        hosts = [state.manager.name, "edge"]
        host_of = {sq.name: hosts[index % 2] for index, sq in enumerate(self.graph.sqs)}
        requests.handlers[RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH](
            DeployRequest(self.graph, "prog", host_of, reply=Future())
        )
        self.send(self.node, "boss", ExecuteMsg.INSTANTIATE, msgspec.to_builtins(Deployment(self.graph, host_of)))
        self.turn()
        prog = state.graphs.get("prog")
        if prog is not None:
            for host in hosts:
                requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", host))
            if prog.state in ("ready", "running"):
                requests.handlers[RuntimeMsg.EXECUTE_GRAPH](StartRequest("prog", {"trigger": 1}, reply=Future()))
        start = {"graph": "prog", "context": state.starts, "start_tick": self.node.clock.now(), "until": None}
        inputs = {"trigger": encode_value(1)}
        self.send(self.node, "boss", SyncMsg.START, {**start, "inputs": inputs, "checkpoint": 1_000_000})
        self.turn()

    def send(self, node: Node, sender: str, kind: Any, payload: Any) -> None:
        """Bring a message of a participant to a receiver, through both guards."""
        name = control_frames._NAMES[kind]
        content = HEAD + msgspec.msgpack.encode([name, RECIPIENTS[type(kind)], msgspec.msgpack.encode(payload)])
        self.kinds[name] += 1
        self.bring(node, self.guards[sender].seal(node.name, content, ROWS[kind].signed, ROWS[kind].path), payload)

    def bring(self, node: Node, frame: bytes, what: Any = b"") -> None:
        """Bring a frame to a receiver: it takes it, or counts it."""
        before = self.taken + self.counted(node)
        began = time.thread_time()
        node._control(frame, time.monotonic_ns() // 1000)
        self._timed(began, what)
        assert self.taken + self.counted(node) > before, f"neither taken nor counted: {what!r:.2000}"
        if self.chance.random() < 0.01:
            self.captured = [*self.captured[-50:], (node, frame)]

    def _timed(self, began: float, what: Any) -> None:
        took = time.thread_time() - began
        self.slowest = max(self.slowest, took)
        assert took < SLOWEST, f"it took {took:.1f} s: {what!r:.2000}"

    @staticmethod
    def counted(node: Node) -> int:
        """How much a receiver refused."""
        return sum(node.refused().values())

    def turn(self) -> None:
        """Let both receivers do their due work."""
        turn(self.node)
        turn(self.manager.node)

    def one(self) -> None:
        """Send one message, one token or one question."""
        chance = self.chance
        node = self.node if chance.random() < 0.6 else self.manager.node
        kind = chance.random()
        if kind < 0.15 and self.tokens(node):
            return
        if kind < 0.25:
            self.question()
            return
        if kind < 0.28 and self.captured:
            self.again(*chance.choice(self.captured))
            return
        kinds = [kind for kind in control_frames._CODECS if isinstance(kind, RuntimeMsg) != (node is self.node)]
        self.message(node, chance.choice(kinds))

    def message(self, node: Node, kind: Any) -> None:
        """Send a message; most of them from a sender that may send it, in its own name."""
        chance, row = self.chance, ROWS[kind]
        senders = [name for name in self.guards if name != node.name]
        may = [name for name in senders if self.guards[name].identity.role in row.senders]
        sender = chance.choice(may if may and chance.random() < 0.9 else senders)
        if kind is ExecuteMsg.INSTANTIATE:
            host_of = {sq.name: chance.choice(["boss", "edge", ""]) for sq in self.graph.sqs}
            payload = self.content.altered(msgspec.to_builtins(Deployment(self.graph, host_of)))
        else:
            wire = inspect.type_info(control_frames._CODECS[kind].wire)
            payload = self.content.of(wire)
            if row.own is not None and chance.random() < 0.9:
                payload = named(wire, payload, sender)
        self.send(node, sender, kind, payload)

    def again(self, node: Node, frame: bytes) -> None:
        """Send what was sent before, as it was or altered."""
        self.kinds["again"] += 1
        if self.chance.random() < 0.5:
            at = self.chance.randrange(len(frame))
            frame = frame[:at] + bytes([self.chance.randrange(256)]) + frame[at + 1 :]
        self.bring(node, frame)

    def question(self) -> None:
        """Ask the manager; it answers, or refuses, or has begun what it will answer."""
        chance, node = self.chance, self.manager.node
        key = chance.choice([HELLO, JOIN, RESUME, COMMAND, COMMAND])
        name = chance.choice([name for name in self.guards if name != node.name])
        wire = inspect.type_info(Command if key == COMMAND else EnsembleInfo)
        content = self.content.of(wire)
        if isinstance(content, dict) and key == COMMAND:
            content["do"] = chance.choice(["start", "stop", "drain", "set", "status", "ensembles", "outputs", "deploy"])
            content["json"] = chance.choice([b"", b"{}", self.graph.to_json()])
        elif isinstance(content, dict) and chance.random() < 0.7:
            content["name"] = name
        payload = self.guards[name].ask(node.guard.greeting(), key, msgspec.msgpack.encode(content)).payload  # type: ignore
        asked = Asked(payload)
        began = time.thread_time()
        node.link._handles[key](asked)
        for _ in range(100):  # a turn ends when time is up
            turn(node)
            if asked.answers or key == COMMAND:
                break
        self._timed(began, content)
        self.kinds["question"] += 1
        self.kinds["answered"] += bool(asked.answers)
        assert asked.answers or key == COMMAND, f"no answer to {content!r:.2000}"

    def tokens(self, node: Node) -> bool:
        """Send tokens on an arc that a receiver listens to, if there is one: of the arc's host, or of another."""
        link, chance = node.link, self.chance
        assert isinstance(link, NoLink)
        keys = [key for key in link.receivers if "/arc/" in key]
        if not keys:
            return False
        kind = tuple[int, int, bytes, int | list[int], int | float, int | float, bytes]
        parcels = [self.content.of(inspect.type_info(kind)) for _ in range(chance.choice([1, 1, 3]))]
        for parcel in parcels:
            if isinstance(parcel, list) and chance.random() < 0.7:
                parcel[:4] = [self.manager.process.state.starts, 0, b"", chance.choice([1, 2, 10**6, 5])]
        host = "boss" if node is self.node else "edge"
        sender = self.guards[host if chance.random() < 0.7 else "far"]
        key = chance.choice(keys)
        frame = HEAD + msgspec.msgpack.encode(parcels)
        attached = frame if chance.random() < 0.2 else None
        data = frame if attached is None else chance.choice([b"", chance.randbytes(40)])
        sealed, beside = sender.seal_tokens(key, [node.name], data, attached)
        link.receivers[key](bytes(sealed), beside)
        self.kinds["token"] += 1
        return True

    def run(self, count: int) -> None:
        """Send so many."""
        for number in range(count):
            self.one()
            if number % 10 == 0:
                self.turn()
            if number % 500 == 0 and number:
                self._set_up()

    def refused(self) -> Counter[str]:
        """The counts of both receivers."""
        return self.node.own + self.manager.node.own

    def close(self) -> None:
        """End both."""
        for node in (self.node, self.manager.node):
            node.close(0)


def named(wire: inspect.Type, payload: Any, name: str) -> Any:
    """A payload that names its sender so."""
    match wire, payload:
        case inspect.StrType(), _:
            return name
        case inspect.ListType(), list():
            return [named(wire.item_type, item, name) for item in payload]
        case inspect.StructType(), list():
            names = ("name", "ensemble", "tokens")
            at = next(index for index, field in enumerate(wire.fields) if field.name in names)
            if at >= len(payload):  # it was cut off
                return payload
            name = named(wire.fields[at].type, payload[at], name)
            return [*payload[:at], name, *payload[at + 1 :]]
        case inspect.StructType(), dict():
            return {**payload, "ensemble": name}
    return payload


def memory() -> float:
    """MB that this process has at most used."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Send as many as asked for."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"{count} messages from seed {seed}", flush=True)
    logging.disable(logging.CRITICAL)  # refusals are counted, not told
    fuzz = Fuzz(seed)
    fuzz.run(min(count, 2000))
    before, began = memory(), time.monotonic()
    fuzz.run(count - min(count, 2000))
    fuzz.close()
    grown = memory() - before
    print(f"refused: {dict(fuzz.refused())}; taken: {fuzz.taken}; slowest: {fuzz.slowest:.3f} s")
    print(f"sent: {dict(fuzz.kinds)}")
    print(f"{time.monotonic() - began:.0f} s; memory has grown by {grown:.0f} MB")
    assert grown < MOST_MEMORY, f"more than {MOST_MEMORY} MB"
    threads = [
        thread.name for thread in threading.enumerate() if not thread.daemon and thread is not threading.main_thread()
    ]
    assert not threads, f"still run: {threads}"


if __name__ == "__main__":
    main()
