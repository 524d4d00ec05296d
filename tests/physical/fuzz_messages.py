"""Messages of a participant that is let in and sends anything well formed: none may break or hold up a receiver.

The receivers are a device's node and a manager's, without sockets. The test makes messages from the table of messages
and their types, so a new message is sent, too. `make fuzz` sends more of them, from any seed:

    python tests/physical/fuzz_messages.py [COUNT] [SEED]
"""

from __future__ import annotations

import math
import queue
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec
import pytest
from msgspec import inspect

from ticktalk.language.compiler import compile_source
from ticktalk.messages import RECIPIENTS, ExecuteMsg, RuntimeMsg, SyncMsg
from ticktalk.network_interface import Handle, Receive
from ticktalk.payloads import Deployment, DeployRequest, ReadyAnswer, StartRequest
from ticktalk.physical.ensemble_handle import EnsembleHandle
from ticktalk.physical.host_facts import describe_host
from ticktalk.physical.manager_node import ManagerNode
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.link import Link, Withdraw
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping.root_clock import ClockDiscipline
from ticktalk.physical.trust.trust import Trust
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.values.codec import encode_value

SLOWEST = 2.0
"""Seconds that a receiver may take over one message, on a busy machine."""

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

    def ask(self, key: str, payload: bytes, timeout: float) -> None:
        return None

    def subscribed(self, key: str) -> bool:
        return False

    def reachable(self) -> set[str]:
        return set()


def turn(node: Node) -> None:
    """Let a node do its due work, without a thread of its own."""
    node.loop._turn()
    while node.loop._jobs:
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


class Fuzz:
    """Two receivers, and messages for them.

    Args:
        seed: of the messages.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.graph = compile_source(PROGRAM, "prog.py", "prog")
        self.kinds = Counter[str]()
        self.slowest = 0.0
        self.manager, self.node = self._manager(), self._ensemble()
        names = [sq.name for sq in self.graph.sqs]
        arcs = [f"{name}/0" for name in names]
        pool = ["prog", "edge", "boss", "far", *names, *arcs, "trigger"]
        self.content = Content(self.chance, pool, lambda: self.node.clock.now() + self.chance.randrange(-9999, 99_999))
        self._set_up()

    @staticmethod
    def _loud(node: Node) -> Node:
        def call_it(call: Callable[..., None], *arguments: Any) -> None:
            call(*arguments)

        node.guard = None  # past the guard: any content from anybody, whatever a role may send
        node.link.open("peer")
        node.loop._guarded = call_it  # type: ignore[method-assign]  # an error is to be seen
        return node

    def _ensemble(self) -> Node:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("ticktalk.physical.node.TTNetworkInterfaceZenoh", NoLink)
            handle = EnsembleHandle(
                "edge", {}, "boss", "127.0.0.1:1", "127.0.0.1", 1, 0, 0, None, "manager", "", print, lambda text: None
            )
        handle.discipline = ClockDiscipline()
        return self._loud(handle.node)

    def _manager(self) -> ManagerNode:
        node = self._loud(Node("boss", {}, "boss", processes=False, link=NoLink()))
        driver = ManagerNode()
        process = TTRuntimeManagerProcess(None, queue.Queue(), "boss", driver=driver)
        process.requests.liveness.introduce(describe_host("boss", {}, "127.0.0.1:1", "none", True, 1))
        driver.host(node, process, Trust("boss", "manager", None, "127.0.0.1"))
        return driver

    def _set_up(self) -> None:
        """Both hold the graph, and a start of it runs."""
        info = describe_host("edge", {}, "127.0.0.1:2", "none", True, 1)
        requests = self.manager.process.requests
        requests.handlers[RuntimeMsg.JOIN](info)
        hosts = [self.manager.process.state.manager.name, "edge"]
        host_of = {sq.name: hosts[index % 2] for index, sq in enumerate(self.graph.sqs)}
        if "prog" not in self.manager.process.state.graphs:
            requests.handlers[RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH](
                DeployRequest(self.graph, "prog", host_of, reply=Future())
            )
        self.send(self.node, ExecuteMsg.INSTANTIATE, msgspec.to_builtins(Deployment(self.graph, host_of)))
        self.turn()
        state = self.manager.process.state.graphs.get("prog")
        if state is not None:
            for host in hosts:
                requests.handlers[RuntimeMsg.READY](ReadyAnswer("prog", host))
            if state.state in ("ready", "running"):
                requests.handlers[RuntimeMsg.EXECUTE_GRAPH](StartRequest("prog", {"trigger": 1}, reply=Future()))
        number = self.manager.process.state.starts
        start = {"graph": "prog", "context": number, "start_tick": self.node.clock.now(), "until": None}
        self.send(self.node, SyncMsg.START, {**start, "inputs": {"trigger": encode_value(1)}, "checkpoint": 1_000_000})
        self.turn()

    def send(self, node: Node, kind: Any, payload: Any) -> None:
        """Bring a message to a receiver, as from the network."""
        name = control_frames._NAMES[kind]
        body = msgspec.msgpack.encode(payload)
        frame = HEAD + msgspec.msgpack.encode([name, self.recipient(kind), body, b""])
        began = time.monotonic()
        node._control(frame, int(began * 1e6))
        took = time.monotonic() - began
        self.kinds[name] += 1
        self.slowest = max(self.slowest, took)
        assert took < SLOWEST, f"{name} took {took:.1f} s: {payload!r:.2000}"

    @staticmethod
    def recipient(kind: Any) -> str:
        """The process that a kind of message is for."""
        return RECIPIENTS[type(kind)]

    def turn(self) -> None:
        """Let both receivers do their due work."""
        turn(self.node)
        turn(self.manager.node)

    def one(self) -> None:
        """Send one message, or one token."""
        chance = self.chance
        node = self.node if chance.random() < 0.6 else self.manager.node
        if chance.random() < 0.15 and self.tokens(node):
            return
        kinds = [kind for kind in control_frames._CODECS if isinstance(kind, RuntimeMsg) != (node is self.node)]
        kind = chance.choice(kinds)
        if kind is ExecuteMsg.INSTANTIATE:
            host_of = {sq.name: chance.choice(["boss", "edge", ""]) for sq in self.graph.sqs}
            payload = self.content.altered(msgspec.to_builtins(Deployment(self.graph, host_of)))
        else:
            payload = self.content.of(inspect.type_info(control_frames._CODECS[kind].wire))
        self.send(node, kind, payload)

    def tokens(self, node: Node) -> bool:
        """Send tokens on an arc that a receiver listens to, if there is one."""
        link = node.link
        assert isinstance(link, NoLink)
        keys = [key for key in link.receivers if "/arc/" in key]
        if not keys:
            return False
        kind = tuple[int, int, bytes, int | list[int], int | float, int | float, bytes]
        parcels = [self.content.of(inspect.type_info(kind)) for _ in range(self.chance.choice([1, 1, 3]))]
        for parcel in parcels:
            if isinstance(parcel, list) and self.chance.random() < 0.7:
                parcel[:4] = [self.manager.process.state.starts, 0, b"", self.chance.choice([1, 2, 10**6, 5])]
        link.receivers[self.chance.choice(keys)](HEAD + msgspec.msgpack.encode(parcels), None)
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


def main() -> None:
    """Send as many as asked for."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"{count} messages from seed {seed}")
    fuzz = Fuzz(seed)
    fuzz.run(count)
    fuzz.close()
    print(f"refused: {dict(fuzz.refused())}; slowest: {fuzz.slowest:.3f} s; sent: {dict(fuzz.kinds)}")


if __name__ == "__main__":
    main()
