"""Tokens of an arc are taken from the host of its SQ, once each; all others are refused, counted, and disturb nothing.

An ensemble without sockets; the test plays the others, each with keys of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzz_messages import NoLink, turn
from systems import LIMIT

from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.messages import NetMsg, Role, message
from ticktalk.network_keys import arc_key
from ticktalk.payloads import Deployment, Expect, HowFar, OutputToken, Placement, StartContext
from ticktalk.physical.network import early_tokens, former_hosts
from ticktalk.physical.network.frames import HEAD
from ticktalk.physical.network.token_frames import arcs_as_bytes, token_frame
from ticktalk.physical.network.tokens import Passing
from ticktalk.physical.node import Node
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.trust import Trust
from ticktalk.physical.trust.user_token import new_token
from ticktalk.values.codec import encode_value, plain

PROGRAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@SQify
def tenfold(x):
    return 10 * x
@GRAPHify
def main(trigger):
    return tenfold(src(trigger, TTPeriod=100000))
"""

ROLES: dict[str, Role] = {
    "runtime-manager": "manager",
    "edge": "ensemble",
    "far": "ensemble",
    "new": "ensemble",
    "rogue": "ensemble",
}


class Edge:
    """The ensemble `edge`, with an SQ that is fed by one of `far`."""

    def __init__(self, guards: dict[str, Guard]) -> None:
        for guard in guards.values():
            for name, each in guards.items():
                guard.admit(each.badge, name)
        self.guards = guards
        self.link = NoLink()
        self.node = Node("edge", {}, processes=False, guard=guards["edge"], link=self.link)
        self.node.link.open("peer")
        self.outputs: list[OutputToken] = []
        self.node.take_output = self.outputs.append
        self.graph: TTGraph = compile_source(PROGRAM, "prog.py", "prog")
        self.host_of = {sq.name: "edge" for sq in self.graph.sqs} | {"src-1": "far"}
        self.node.prepare(Deployment(self.graph, self.host_of), lambda answer: None)
        self.turn()
        self.sent = 0
        self.tick = self.node.clock.now()

    def begin(self) -> None:
        self.node.start_context(StartContext("prog", 1, self.tick, {"trigger": 1}))
        self.turn()

    def turn(self) -> None:
        turn(self.node)

    def place(self, host: str) -> None:
        """The manager tells who hosts the stream from now on."""
        self.host_of = {**self.host_of, "src-1": host}
        self.node.moves.place(Placement("prog", self.host_of, {}))
        self.turn()

    def frame(self, sender: str, value: int, arc: str = "src-1/0", to: str = "edge") -> bytes:
        """A token as a sender seals it: the next one of its arc."""
        self.sent += 1
        start = self.tick + 1000 * self.sent
        parcel = token_frame([(1, 0, b"", self.sent, start, start + 1000, encode_value(value))])
        return bytes(self.guards[sender].seal_tokens(arc_key("prog", arc), [to], parcel)[0])

    def comes(self, frame: bytes) -> None:
        self.link.receivers[arc_key("prog", "src-1/0")](frame, None)
        self.turn()

    def values(self, count: int) -> list[Any]:
        """The first outputs, as soon as there are so many; then nothing more is under way."""
        end = time.monotonic() + LIMIT
        while len(self.outputs) < count and time.monotonic() < end:
            self.turn()
            time.sleep(0.001)
        self.turn()
        return [plain(token.value) for token in self.outputs]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "keys"
    init_authority(made)
    for name in ROLES:
        issue(made, name)
    return made


@pytest.fixture(params=["credentials", "token"])
def make(request: pytest.FixtureRequest, keys: Path) -> Iterator[Callable[[], Edge]]:
    """Makes it with keys on an address, and with the token of a user on loopback."""
    made: list[Edge] = []
    token = new_token()

    def guard(name: str, role: Role) -> Guard:
        if request.param == "token":
            return Guard(ByToken(token, name, role))
        return Trust(name, role, str(keys / f"{name}.json"), "192.0.2.1:5555").guard

    def edge() -> Edge:
        made.append(Edge({name: guard(name, role) for name, role in ROLES.items()}))
        return made[-1]

    yield edge
    for each in made:
        each.node.close(0)


def test_tokens_are_taken_from_the_host_of_their_sq_once(make: Callable[[], Edge]) -> None:
    edge = make()
    edge.begin()
    edge.comes(edge.frame("far", 1))
    captured = edge.frame("far", 2)
    edge.comes(captured)
    assert edge.values(2) == [10, 20]
    edge.comes(captured)
    assert edge.node.own == {"replayed": 1}
    edge.comes(edge.frame("far", 3, arc="other-1/0"))  # sealed for another arc
    edge.comes(edge.frame("far", 3, to="new"))  # for another receiver
    edge.comes(HEAD + b"\x94\xa3far\x01\xc4\x00\xc4\x00")  # not sealed at all
    altered = bytearray(edge.frame("far", 3))
    altered[-1] ^= 1
    edge.comes(bytes(altered))
    refused = {"replayed": 1, "forged": 2, "untimely": 2}  # two are for others, or say so
    assert edge.node.own == refused
    edge.sent = 2
    edge.comes(edge.frame("far", 3))
    assert edge.values(3) == [10, 20, 30]
    assert edge.node.refused() == refused, "the status shows it"


def test_a_participant_feeds_no_arc_of_another(make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its token could be that of an SQ that was just placed there. So it waits for a while, then it is refused."""
    edge = make()
    edge.begin()
    edge.comes(edge.frame("rogue", 7))
    edge.comes(edge.frame("runtime-manager", 7))
    edge.sent = 0
    edge.comes(edge.frame("far", 1))
    assert edge.values(1) == [10] and not edge.node.own
    monkeypatch.setattr(former_hosts, "LIMIT", -1)
    edge.node.tokens._tend()
    assert edge.node.own == {"unauthorized": 2}
    edge.place("rogue")  # now it would be its token, but it waits no more
    assert edge.values(1) == [10]


def test_waiting_tokens_take_no_room_of_others(make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_tokens, "KEPT", 3)
    edge = make()
    for _ in range(5):
        edge.comes(edge.frame("rogue", 7))
    assert edge.node.own == {"overflow": 2}
    edge.sent = 0
    for value in (1, 2, 3):
        edge.comes(edge.frame("far", value))
    edge.begin()
    assert edge.values(3) == [10, 20, 30], "those from before the start of their context"
    edge.node.stop_graph("prog")
    assert not edge.node.tokens._early.tokens and not edge.node.tokens._early._room


def test_waiting_tokens_are_bounded_in_all_parts(make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_tokens, "KEPT_BYTES", 10_000)
    edge = make()
    key, start = arc_key("prog", "src-1/0"), edge.tick

    def comes(*parcels: Any) -> int:
        edge.comes(bytes(edge.guards["rogue"].seal_tokens(key, ["edge"], token_frame(list(parcels)))[0]))
        return edge.node.own["overflow"]

    value = encode_value(7)
    assert comes((1, 0, bytes(6_000), 1, start, start + 1, value)) == 0
    assert comes((1, 0, bytes(6_000), 2, start, start + 1, value)) == 1, "names of arcs take room"
    assert comes((1, 0, b"", [3] * 200, start, start + 1, value)) == 2, "so do numbers"
    long = (1, 0, b"", 4, start, start + 1, encode_value(bytes(1_000_000)))
    assert comes(long, (1, 0, b"", 5, start, start + 1, value)) == 3
    held = [len(memoryview(token.parcel[-1]).obj) for token in edge.node.tokens._early.tokens.values()]  # type: ignore[arg-type]
    assert held == [len(value)] * 2, "a short token does not hold the frame in which a long one came"
    edge.node.stop_graph("prog")
    assert not edge.node.tokens._early._room


def test_arcs_that_an_sq_does_not_have_take_no_room(make: Callable[[], Edge]) -> None:
    """Its host says which arcs tokens are of: each set of them is remembered."""
    edge = make()
    edge.begin()
    key, value = arc_key("prog", "src-1/0"), encode_value([1])

    def comes(arcs: bytes) -> None:
        parcel = token_frame([(1, 0, arcs, 1, edge.tick, edge.tick + 1, value)])
        edge.comes(bytes(edge.guards["far"].seal_tokens(key, ["edge"], parcel)[0]))

    for count, arcs in enumerate((arcs_as_bytes(range(100_000)), arcs_as_bytes((0, 0)), arcs_as_bytes((1,))), 1):
        comes(arcs)
        assert edge.node.own == {"invalid": count}
    assert not edge.node.tokens.of["prog", 1]._came
    comes(arcs_as_bytes((0,)))
    assert edge.values(1) == [10]


def test_tokens_from_before_their_placement_is_heard_wait_for_it(
    make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = make()
    edge.begin()
    edge.comes(edge.frame("far", 1))
    late = edge.frame("far", 2)
    first = edge.frame("new", 3)
    edge.comes(first)
    assert edge.values(1) == [10]
    edge.comes(late)  # the order in which the new host's tokens wait is kept
    second = edge.frame("new", 4)
    under_way = edge.frame("far", 5)
    edge.place("new")
    edge.comes(second)
    assert edge.values(4) == [10, 20, 30, 40]
    edge.comes(under_way)
    assert edge.values(5)[-1] == 50, "that of the host before was under way"
    monkeypatch.setattr(former_hosts, "LIMIT", -1)
    edge.place("far")
    edge.place("new")
    edge.comes(edge.frame("far", 6))
    edge.node.tokens._tend()
    assert len(edge.values(5)) == 5 and edge.node.own == {"unauthorized": 1}


def test_tokens_wait_for_those_that_their_sq_sent_from_its_host_before(make: Callable[[], Edge]) -> None:
    """They come on another way, and may overtake them."""
    edge = make()
    edge.begin()
    edge.comes(edge.frame("far", 1))
    under_way = [edge.frame("far", 2), edge.frame("far", 3)]
    edge.place("new")
    for value in (4, 5):
        edge.comes(edge.frame("new", value))
    assert edge.values(1) == [10]
    edge.comes(under_way[0])
    assert edge.values(2) == [10, 20]
    edge.comes(under_way[1])
    edge.comes(edge.frame("new", 6))
    assert edge.values(6) == [10, 20, 30, 40, 50, 60]
    assert not edge.node.own and not edge.node.host.contexts["prog", 1].counts


def test_many_tokens_that_wait_for_one_are_each_looked_at_a_few_times(
    make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time is kept meanwhile: each was looked at again whenever one came, and whenever one was taken."""
    monkeypatch.setattr(former_hosts, "UNDER_WAY_LIMIT", 60_000_000)
    looks: list[None] = []
    overtakes = Passing.overtakes

    def look(self: Passing, *arguments: Any) -> bool:
        looks.append(None)
        return overtakes(self, *arguments)

    monkeypatch.setattr(Passing, "overtakes", look)
    edge = make()
    edge.begin()
    edge.comes(edge.frame("far", 1))
    under_way = edge.frame("far", 2)
    edge.place("new")
    count = 100
    for value in range(3, 3 + count):
        edge.comes(edge.frame("new", value))
    assert edge.values(1) == [10]
    edge.comes(under_way)
    assert edge.values(2 + count) == [10 * value for value in range(1, 3 + count)]
    assert len(looks) < 4 * count


def test_tokens_wait_no_longer_for_others_that_are_lost(
    make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_hosts, "UNDER_WAY_LIMIT", 20_000)
    edge = make()
    edge.begin()
    edge.comes(edge.frame("far", 1))
    edge.frame("far", 2)  # lost
    edge.place("new")
    for value in (3, 4):
        edge.comes(edge.frame("new", value))
    assert edge.values(3) == [10, 30, 40]
    assert edge.node.host.contexts["prog", 1].counts == {"src-1": {"lost": 1}}


def test_an_ensemble_that_waits_for_an_sq_gets_its_tokens_and_others_do_not(make: Callable[[], Edge]) -> None:
    """A sender seals for the hosts of the receivers, and for an ensemble to which one will come."""
    edge = make()
    edge.begin()
    edge.place("edge")
    edge.host_of["tenfold-1"] = "far"
    edge.place("edge")
    passing = edge.node.tokens.of["prog", 1]

    def readers() -> set[str]:
        sealed = bytes(passing._way("src-1/0", ["far"]).each[0][1]([(1, 0, b"", 1, 0, 1, b"\x01")]))
        key = arc_key("prog", "src-1/0")
        found = set()
        for name in ("far", "new", "rogue"):
            try:
                found.add(name if edge.guards[name].open_tokens(key, sealed) else "")
            except ValueError:
                continue
        return found

    assert readers() == {"far"}
    edge.node._tell_how_far(HowFar("new", "prog", ["src-1/0", "no-1/0"]))
    assert readers() == {"far", "new"}
    edge.place("edge")
    assert readers() == {"far", "new"}, "a placement for another reason, in the middle of the move"
    edge.node._tell_how_far(HowFar("rogue", "prog", ["src-1/0"]))
    assert readers() == {"far", "new", "rogue"}
    edge.node._tell_how_far(HowFar("rogue", "prog", []))
    assert readers() == {"far", "new"}, "its move was given up"
    edge.node._tell_how_far(HowFar("rogue", "prog", ["src-1/0"]))
    edge.node.receive(message(NetMsg.FORGET, "rogue"))
    assert readers() == {"far", "new"}, "it is gone"
    edge.host_of = {**edge.host_of, "tenfold-1": "new"}
    edge.place("edge")
    assert readers() == {"far"}, "it has come: it is among the receivers that the placement names"


def test_an_ensemble_whose_move_is_given_up_tells_the_senders(
    make: Callable[[], Edge], monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = make()
    edge.host_of["tenfold-1"] = "new"
    edge.place("far")
    asked: list[Any] = []
    monkeypatch.setattr(edge.link, "send", lambda to, each: asked.append((to, each.payload)))
    for sqs in (["tenfold-1"], [], []):
        edge.node.moves.expect(Expect("prog", sqs))
        edge.values(0)
        edge.node.moves._senders.forget("prog")
        edge.node.moves._jobs.clear()
    told = [(to, payload.arcs) for to, payload in asked if isinstance(payload, HowFar)]
    assert told == [("far", ["src-1/0"]), ("far", [])], "once"
