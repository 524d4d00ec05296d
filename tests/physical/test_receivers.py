"""A receiver of tokens that takes none is left out, counted, and asked until it takes them; all others get theirs.

Two ensembles without sockets: one sends, one receives. The test carries what is published from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fuzz_messages import NoLink, turn

from ticktalk.engine.firing.grid import GridSync
from ticktalk.errors import InvalidMessageError
from ticktalk.language.compiler import compile_source
from ticktalk.messages import Message, NetMsg, message
from ticktalk.network_keys import NOBODY, Path, apart_key, arc_key
from ticktalk.payloads import Deployment, Placement, StartContext, Taken
from ticktalk.physical.network import receivers
from ticktalk.physical.network.receivers import MUCH, STEP, TOLD
from ticktalk.physical.network.token_frames import apart_frame, parse_apart
from ticktalk.physical.node import Node
from ticktalk.physical.trust.guard import Guard, NotForThisError
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.trust.token_seals import sealed_tokens
from ticktalk.physical.trust.user_token import new_token
from ticktalk.saved_state import InstanceState

PROGRAM = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    s = src(trigger, TTPeriod=100000)
    return same(s), same(s)
"""

KEY = arc_key("prog", "src-1/0")
HOSTS = {"src-1": "far", "same-1": "edge", "same-2": "other"}


class Kept(NoLink):
    """A link that keeps what is published, and the messages that are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[str, bytes, bytes | None]] = []
        self.sent: list[tuple[str, Message]] = []

    def _put(self, path: Path, key: str, payload: Any, attached: bytes | None) -> None:
        if path is Path.TOKENS:
            self.kept.append((key, bytes(payload), attached))

    def send(self, ensemble: str, message: Message) -> None:
        self.sent.append((ensemble, message))

    def taken(self) -> list[tuple[str, Taken]]:
        return [(to, each.payload) for to, each in self.sent if each.msg_type is NetMsg.TAKEN]


class Pair:
    """`far` sends tokens of a stream to `edge`, which is a node, and to `other`, which is a guard only."""

    def __init__(self, program: str = PROGRAM, hosts: Mapping[str, str] = HOSTS) -> None:
        token = new_token()
        self.guards = {name: Guard(ByToken(token, name, "ensemble")) for name in ("far", "edge", "other")}
        for guard in self.guards.values():
            for name, each in self.guards.items():
                guard.admit(each.badge, name)
        graph = compile_source(program, "prog.py", "prog")
        host_of = {sq.name: hosts.get(sq.name, "far") for sq in graph.sqs}
        self.links = {name: Kept() for name in ("far", "edge")}
        self.nodes = {
            name: Node(name, {}, processes=False, guard=self.guards[name], link=link)
            for name, link in self.links.items()
        }
        for name, node in self.nodes.items():
            node.link.open("peer")
            node.prepare(Deployment(graph, host_of), lambda answer: None)
            turn(node)
            start = node.clock.now() + (3_600_000_000 if name == "far" else 0)  # the stream itself sends nothing
            node.start_context(StartContext("prog", 1, start, {"trigger": 1}))
            turn(node)
        self.passing = self.nodes["far"].tokens.of["prog", 1]
        self.receivers: Sequence[str] = ["edge", "other"]
        self.links["far"].flush()
        self.opened = list(self.links["far"].kept)
        self.links["far"].kept.clear()

    def publish(self, size: int, count: int = 1) -> list[tuple[str, bytes, bytes | None]]:
        """Send tokens of some bytes, each of which `edge` takes; what was published."""
        before = len(self.links["far"].kept)
        for _ in range(count):
            start = 1_000_000 * (self.passing.numbers.sent.get("src-1/0", 0) + 1)
            self.passing.publish("src-1/0", self.receivers, bytes(size), start, start + 1000)
            self.turn()
            self.took("edge")
        return [each for each in self.links["far"].kept[before:] if each[0] != apart_key("other")]  # but for questions

    def turn(self) -> None:
        """Let the sender do its due work."""
        self.links["far"].flush()
        turn(self.nodes["far"])
        self.links["far"].flush()

    def took(self, name: str) -> None:
        """A receiver tells that it has taken all."""
        self.nodes["far"].receive(message(NetMsg.TAKEN, Taken(name, self.guards["far"].tokens_sealed)))
        self.turn()


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    monkeypatch.setattr(receivers, "MUCH", 2)
    monkeypatch.setattr(receivers, "PATIENCE", -1)
    return Pair()


@pytest.mark.parametrize("size", [STEP, STEP // 8], ids=["long values", "short values"])
def test_a_receiver_that_takes_none_is_left_out_and_counted(pair: Pair, size: int) -> None:
    each = max(1, STEP // size)
    for _ in range(2 * each):
        ((key, *_),) = pair.publish(size)
        assert key == KEY, "one publication for both"
    pair.publish(size, each)
    published = pair.publish(size, 4)
    assert {key for key, *_ in published} == {apart_key("edge")}, "one receiver by itself, and the other gets nothing"
    left_out = pair.passing.numbers.left_out
    assert set(left_out) == {"other"} and 4 <= left_out["other"]["src-1"] <= 3 + each
    edge = pair.nodes["edge"]
    before = edge.tokens.of["prog", 1].numbers.came
    for _, payload, attached in published:
        edge.tokens.take_apart(payload, attached)
        turn(edge)
    assert edge.tokens.of["prog", 1].numbers.came == before + 4 and not edge.own


def test_a_receiver_is_asked_on_the_way_of_tokens_and_gets_them_again_when_it_answers(pair: Pair) -> None:
    pair.publish(STEP, 5)
    far = pair.nodes["far"]
    pair.publish(10)
    pair.links["far"].kept.clear()
    (other,) = [each for each in far.tokens.receivers._known.values() if each.stands_still]
    far.tokens.receivers._ask(other)
    pair.turn()
    (question,) = [payload for key, payload, _ in pair.links["far"].kept if key == apart_key("other")]
    key, sealed = parse_apart(question)
    assert pair.guards["other"].open_tokens(key, sealed).number == pair.guards["far"].tokens_sealed
    with pytest.raises(NotForThisError):
        pair.guards["edge"].open_tokens(key, sealed)
    pair.took("other")
    ((key, *_),) = pair.publish(10)
    assert key == KEY
    lost = dict(pair.passing.numbers.left_out["other"])
    pair.publish(10, 5)
    assert pair.passing.numbers.left_out == {"other": lost}, "nothing more is left out"


def test_a_receiver_tells_how_far_it_has_taken_after_many_bytes_and_when_asked(pair: Pair) -> None:
    edge, told = pair.nodes["edge"], pair.links["edge"].taken
    pair.receivers = ["edge"]
    size, sizes = 10_000, 0
    while sizes < TOLD - size:
        ((_, payload, attached),) = pair.publish(size)
        edge.tokens.incoming("prog", "src-1/0")(payload, attached)
        turn(edge)
        sizes += len(payload)
        assert told() == [], "not after each of them"
    for _, payload, attached in pair.publish(size, 2):
        edge.tokens.incoming("prog", "src-1/0")(payload, attached)
        turn(edge)
    ((to, taken),) = told()
    assert to == "far" and taken.name == "edge" and taken.number >= pair.guards["far"].tokens_sealed - 1


def test_one_of_many_that_takes_all_is_not_left_out_though_its_seals_are_longer_than_its_tokens(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender counts what is published: a key for each of the receivers beside a small token."""
    for name, value in (("STEP", STEP >> 8), ("TOLD", TOLD >> 8), ("MUCH", MUCH), ("PATIENCE", -1)):
        monkeypatch.setattr(receivers, name, value)
    far, edge = pair.nodes["far"], pair.nodes["edge"]
    told = 0
    for number in range(1, 400):
        pair.passing.publish("src-1/0", ["edge", "other"], 1, 1_000 * number, 1_000 * number + 10)
        pair.turn()
        for _, payload, attached in pair.links["far"].kept:
            edge.tokens.incoming("prog", "src-1/0")(payload, attached)
        pair.links["far"].kept.clear()
        turn(edge)
        pair.took("other")
        for _, taken in pair.links["edge"].taken()[told:]:
            told += 1
            far.receive(message(NetMsg.TAKEN, taken))
    assert told > 2 and pair.passing.numbers.left_out == {}


def test_a_busy_receiver_has_time(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "PATIENCE", 10_000_000)
    assert {key for key, *_ in pair.publish(STEP, 20)} == {KEY}
    assert pair.passing.numbers.left_out == {}


def test_a_receiver_that_is_gone_is_asked_no_more_and_gets_tokens_when_it_comes_back(pair: Pair) -> None:
    pair.publish(STEP, 5)
    far = pair.nodes["far"]
    (other,) = [each for each in far.tokens.receivers._known.values() if each.stands_still]
    far.receive(message(NetMsg.FORGET, "other"))
    pair.turn()
    pair.links["far"].kept.clear()
    far.tokens.receivers._ask(other)
    pair.turn()
    assert not pair.links["far"].kept, "nobody is there to answer"
    ((key, *_),) = pair.publish(10)
    assert key == KEY


def test_a_sender_that_is_gone_is_forgotten(pair: Pair) -> None:
    edge, pair.receivers = pair.nodes["edge"], ["edge"]
    ((_, payload, attached),) = pair.publish(100)
    edge.tokens.incoming("prog", "src-1/0")(payload, attached)
    turn(edge)
    assert edge.tokens.receivers.receipts._since.keys() == {"far"}
    edge.receive(message(NetMsg.FORGET, "far"))
    turn(edge)
    assert not edge.tokens.receivers.receipts._since


def test_tokens_of_an_arc_that_does_not_lead_here_are_counted(pair: Pair) -> None:
    edge = pair.nodes["edge"]
    edge.tokens.take_apart(apart_frame(arc_key("prog", "same-1/0"), b"x"), None)
    turn(edge)
    assert dict(edge.own) == {"untimely": 1}


def test_a_part_of_a_placement_that_is_refused_takes_those_before_it_along(pair: Pair) -> None:
    edge = pair.nodes["edge"]
    prepared = edge.host.prepared["prog"]
    state = InstanceState()

    def part(sq: str) -> Placement:
        return Placement("prog", prepared.host_of, {}, {1: {sq: state}}, more=True)

    edge.moves.place(part("src-1"))
    edge.moves.place(part("same-2"))
    assert edge.moves._states == {"prog": {1: {"src-1": state, "same-2": state}}}
    with pytest.raises(InvalidMessageError, match="nowhere"):
        edge.moves.place(part("nowhere"))
    assert not edge.moves._states


def test_a_token_is_taken_in_by_the_thread_that_brings_it_while_the_timekeeper_sleeps(pair: Pair) -> None:
    """Bodies in threads, too: waking another thread first costs as long as taking the token in."""
    pair.receivers = ["edge"]
    edge = pair.nodes["edge"]
    came = edge.tokens.of["prog", 1].numbers
    first, second = pair.publish(10, 2)
    turn(edge)
    edge.loop._signalled = False  # the timekeeper sleeps
    edge.tokens.incoming("prog", "src-1/0")(*first[1:])
    assert came.came == 1 and not edge.loop._inbox
    with edge.loop._role.mutex:  # another thread keeps time
        edge.tokens.incoming("prog", "src-1/0")(*second[1:])
    assert came.came == 1 and edge.loop._inbox
    turn(edge)
    assert came.came == 2 and not edge.own


def test_a_rehearsal_before_an_instant_reaches_nobody_and_takes_no_number(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = pair.nodes["far"]
    sealed: list[str] = []
    real = receivers.seal_tokens

    def seal(sender: str, *rest: Any) -> Any:
        sealed.append(sender)
        return real(sender, *rest)

    monkeypatch.setattr(receivers, "seal_tokens", seal)
    elsewhere = pair.nodes["edge"].loop.before_instant
    assert far.loop.before_instant is not None and elsewhere is not None
    elsewhere(5)
    assert not sealed, "no tokens go from there"
    pair.publish(10)
    number = pair.guards["far"].tokens_sealed
    pair.links["far"].kept.clear()
    far.loop.before_instant(5)
    pair.turn()
    assert sealed == [""] and pair.guards["far"].tokens_sealed == number
    ((key, frame, _),) = pair.links["far"].kept
    assert key == NOBODY and all(key not in link._subscriptions for link in pair.links.values())
    for receiver in ("edge", "other"):
        with pytest.raises(NotForThisError):
            pair.guards[receiver].open_tokens(KEY, frame)
    pair.links["far"].is_open = False
    far.loop.before_instant(5)
    pair.turn()
    assert len(pair.links["far"].kept) == 1, "there is no session"


def test_a_heads_up_goes_ahead_of_a_streams_token_and_is_none(pair: Pair) -> None:
    far, edge = pair.nodes["far"], pair.nodes["edge"]
    link, stream, came = pair.links["far"], pair.passing.context.syncs["src-1"], edge.tokens.of["prog", 1].numbers
    assert isinstance(stream, GridSync) and far.loop.before_instant is not None

    def announced(instant: int) -> list[tuple[str, bytes, bytes | None]]:
        link.kept.clear()
        stream.instant, before = 5_000, far.loop.before_instant
        assert before is not None
        before(instant)
        pair.turn()
        return list(link.kept)

    pair.receivers = ["edge"]
    first = pair.publish(10)
    (heads_up,) = announced(5_000)
    assert heads_up[0] == KEY and not announced(5_000), "the stream has sent nothing since"
    second = pair.publish(10)
    assert [key for key, *_ in announced(6_000)] == [NOBODY], "the instant is another stream's"
    for key, payload, attached in (*first, heads_up, *second):
        assert key == KEY
        edge.tokens.incoming("prog", "src-1/0")(payload, attached)
        turn(edge)
    assert came.came == 2 and came.numbers["src-1/0"] == 2, "it takes no number on the arc"
    assert not edge.own and not pair.links["edge"].taken(), "it is neither counted nor answered"


def test_the_first_heads_up_goes_before_the_start_tick(pair: Pair) -> None:
    edge = pair.nodes["edge"]
    ((key, payload, attached),) = pair.opened
    assert key == KEY and pair.nodes["far"].agenda.now < pair.passing.context.start_tick
    pair.guards["other"].open_tokens(KEY, payload)
    edge.tokens.incoming("prog", "src-1/0")(payload, attached)
    turn(edge)
    assert not edge.tokens.of["prog", 1].numbers.came and not edge.own and not pair.links["edge"].taken()
    (first,) = pair.publish(10)
    edge.tokens.incoming("prog", "src-1/0")(*first[1:])
    turn(edge)
    assert edge.tokens.of["prog", 1].numbers.numbers["src-1/0"] == 1


UNPACKS = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return [1, 2, 3, 4]
@SQify
def same(x):
    return x
@GRAPHify
def main(trigger):
    tag, (a, b, c, d) = src(trigger, TTPeriod=100000)
    return same(a), same(b), same(c), same(d)
"""


def test_arcs_to_the_same_receivers_have_one_first_heads_up() -> None:
    """A stream that unpacks to a thousand arcs sends its tokens as one, too."""
    hosts = {"same-1": "edge", "same-2": "edge", "same-3": "other", "same-4": "edge"}
    pair = Pair(UNPACKS, hosts)
    assert [key for key, *_ in pair.opened] == [arc_key("prog", f"src-1/{index}") for index in (0, 2)]


def test_a_receiver_that_stands_still_gets_no_heads_up_but_the_others_do(pair: Pair) -> None:
    pair.publish(STEP, 5)
    stream, link = pair.passing.context.syncs["src-1"], pair.links["far"]
    pair.publish(10)
    link.kept.clear()
    assert isinstance(stream, GridSync) and pair.nodes["far"].loop.before_instant is not None
    stream.instant = 5_000
    pair.nodes["far"].loop.before_instant(5_000)
    link.flush()
    ((key, frame, _),) = link.kept
    assert key == apart_key("edge")
    pair.nodes["edge"].tokens.take_apart(frame, None)
    turn(pair.nodes["edge"])
    assert not pair.nodes["edge"].own


@pytest.mark.parametrize("insecure", [False, True])
def test_a_rehearsal_warms_the_cipher_only_where_tokens_are_proven(insecure: bool) -> None:
    link = Kept()
    link.open("peer")
    loop: Any = None
    guard = Guard(ByToken(new_token(), "far", "ensemble", insecure))
    sending = receivers.Receivers(link, loop, guard, lambda: None)
    sending.way(KEY, "src-1", ["edge"], [])
    sending.rehearse()
    link.flush()
    ((_, frame, _),) = link.kept
    assert (sealed_tokens(frame).slots == b"") is insecure
