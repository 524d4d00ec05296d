"""Ensembles of one host read values in place: values arrive unchanged, and take room only while a process refers to
them."""

from __future__ import annotations

import gc
import os
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from systems import HEAD, LIMIT, System, kill, until

from ticktalk.errors import InvalidMessageError
from ticktalk.memory_payloads import Offer, Settle
from ticktalk.messages import Message, NetMsg
from ticktalk.network_keys import WHOLE
from ticktalk.physical.memory import arena, sharing
from ticktalk.physical.memory.arena import PLACES, ROWS, SENT, SIZE, Memory
from ticktalk.physical.memory.sharing import BLOCK, CROWDED, Sharing
from ticktalk.physical.network.frames import LONG, FrameError
from ticktalk.physical.network.token_frames import Parcel, parse_parcels
from ticktalk.physical.network.tokens import Incoming
from ticktalk.physical.system import boot_id
from ticktalk.physical.trust.guard import Guard
from ticktalk.physical.trust.identity import ByToken
from ticktalk.values.codec import Data, decode_value, encode_value


class Node:
    """An ensemble whose bodies run in threads, as `Sharing` sees it; `network` has all by name."""

    def __init__(self, name: str, network: dict[str, Node]) -> None:
        self.name = name
        self.network = network
        self.sent: deque[tuple[str, Message]] = deque()
        self.later: list[Callable[[], None]] = []  # calls to make after a time
        self.shared: dict[bytes, tuple[Memory, Sequence[int]]] = {}  # memories that workers know
        self.subscribed: set[str] = set()
        self.loop = SimpleNamespace(
            post=lambda call, *arguments: call(*arguments),
            every=lambda pause, call: None,
            after=lambda pause, call: self.later.append(call),
            visit=None,
        )
        self.workers = SimpleNamespace(
            in_processes=False,
            share=lambda memory, rows: self.shared.__setitem__(memory.nonce, (memory, rows)),
            share_no_more=self.shared.pop,
        )
        self.moves = SimpleNamespace(keeps=False)
        self.link: Any = SimpleNamespace(
            unsent=0,
            subscribed=lambda key: any(key in node.subscribed for node in network.values()),
            subscribe=lambda key, receive: self.subscribed.add(key),
            unsubscribe=self.subscribed.discard,
            send=lambda ensemble, message: self.sent.append((ensemble, message)),
        )
        loop: Any = self.loop
        self.sharing = Sharing(name, self.link, loop, lambda: self.workers, lambda: self.moves.keeps)
        guard = Guard(ByToken(b"", name, "ensemble"))
        tokens: Any = SimpleNamespace(loop=self.loop, sharing=self.sharing, guard=guard)
        self.incoming = Incoming(tokens, "graph", "src-1/0")
        network[name] = self

    def deliver(self) -> list[NetMsg]:
        """Let all messages arrive, of everybody; their kinds."""
        kinds = []
        while any(node.sent for node in self.network.values()):
            for node in list(self.network.values()):
                while node.sent:
                    name, message = node.sent.popleft()
                    kinds.append(message.msg_type)
                    if name in self.network:
                        self.network[name].sharing.handlers[message.msg_type](message.payload)
        return kinds

    def value(self, value: Any) -> Data:
        """A value as its bodies return it."""
        return self.sharing.encode(value)

    def publish(self, data: Data, *ensembles: str) -> tuple[Data, bytes]:
        (frame,) = self.sharing.frames(parcel(data), ensembles)
        return frame

    def receive(self, frame: tuple[Data, bytes], sender: str = "a") -> Data | None:
        """The received part of a frame; None: nothing for this ensemble."""
        payload, attached = frame
        parcels = parse_parcels(bytes(payload), attached, partial(self.incoming.find, sender))
        return parcels[0][-1] if parcels else None

    def tend(self) -> None:
        self.sharing._tend()

    @property
    def taken(self) -> int:
        """Places in its memory that a reader has."""
        memory = self.memory
        return sum(any(memory.row(row)[place] for row in range(ROWS)) for place in range(PLACES))

    @property
    def memory(self) -> Memory:
        assert self.sharing._own is not None
        return self.sharing._own[0].memory


def parcel(data: Data) -> Parcel:
    return (1, 0, b"", 7, 10, 20, data)


def in_place(frame: tuple[Data, bytes]) -> bool:
    """True if only the place of a value is sent."""
    return len(frame[0]) == 0


Nodes = Callable[..., list[Node]]


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """Makes ensembles that know each other; the first one has offered its memory to the others."""
    network: dict[str, Node] = {}

    def make(*names: str) -> list[Node]:
        found = [Node(name, network) for name in names]
        first = found[0]
        for _ in range(2):  # the first long value says that memory is of use, the second is offered
            first.publish(first.value(bytes(LONG)), *names[1:])
            first.deliver()
        return found

    yield make
    network.clear()


def test_a_value_is_read_in_place(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    array = numpy.arange(50_000.0)
    data = a.value(array)
    frame = a.publish(data, "b")
    assert in_place(frame) and len(frame[1]) < 200
    del data
    assert a.taken == 1  # on its way
    came = b.receive(frame)
    assert came is not None
    got = decode_value(came)
    del came
    array[:] = 0
    assert (got == numpy.arange(50_000.0)).all()
    with pytest.raises(ValueError):
        got.setflags(write=True)
    again = a.value(array)
    assert a.taken == 2 and (got[1:] > 0).all()
    del got, again
    assert a.taken == 0


def test_short_values_and_values_of_another_memory_are_sent(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    assert type(a.value(b"short")) is bytes
    for data in (encode_value(bytes(LONG)), memoryview(a.value(bytes(2 * LONG)))[:LONG]):
        frame = a.publish(data, "b")
        assert frame[0] == data and b.receive(frame) == data
    # An ensemble does not hand on values that came in the memory of another.
    came = b.receive(a.publish(a.value(bytes(LONG)), "b"))
    assert came is not None and not in_place(b.publish(came, "a"))


def test_a_value_is_sent_whole_if_one_receiver_cannot_read_its_place(nodes: Nodes) -> None:
    """A value for several is read by all of them, or sent."""
    a, b, c = nodes("a", "b", "c")
    d = Node("d", a.network)
    data = a.value(bytes(range(256)) * 100)
    wanted = bytes(data)
    frame = a.publish(data, "b", "c")
    assert in_place(frame)
    got = [b.receive(frame), c.receive(frame)]
    assert a.taken == 1
    assert d.receive(frame) is None and WHOLE in d.subscribed  # it wants values from now on
    d.moves.keeps = True
    d.later.pop()()
    assert WHOLE in d.subscribed
    d.moves.keeps = False
    d.later.pop()()
    assert WHOLE not in d.subscribed
    more = a.value(bytes(range(256)) * 101)
    whole = a.publish(more, "b", "d")
    assert not in_place(whole) and a.taken == 2
    assert b.receive(whole) == d.receive(whole) == more
    del data, more, whole
    assert a.taken == 1 and [bytes(view) for view in got if view is not None] == [wanted] * 2
    got.pop(0)
    assert a.taken == 1
    got.clear()
    assert a.taken == 0
    assert a.deliver()  # an offer to d
    assert in_place(a.publish(a.value(bytes(LONG)), "b", "d"))


def test_bodies_are_told_whether_many_bytes_wait_to_be_sent(nodes: Nodes) -> None:
    a, _ = nodes("a", "b")
    for unsent, crowded in ((CROWDED, False), (CROWDED + 1, True), (CROWDED + 2, True), (0, False)):
        a.link.unsent = unsent
        frames = a.sharing.later(parcel(a.value(bytes(LONG))), ["b"])
        assert a.memory.crowded is crowded
        a.link.unsent = 0
        assert [in_place(frame) for frame in frames()] == [True] and not a.memory.crowded


def test_values_are_sent_whole_while_a_receiver_needs_them_so(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    c = Node("c", a.network)
    c.sharing.want_whole()
    frame = a.publish(a.value(bytes(LONG)), "b")
    assert not in_place(frame) and b.receive(frame) is not None
    c.later.pop()()
    assert in_place(a.publish(a.value(bytes(LONG)), "b"))


def test_a_receiver_that_subscribes_meanwhile_gets_the_value_itself(nodes: Nodes) -> None:
    """It announces itself before it takes tokens, so a sender that has just decided corrects itself afterwards."""
    a, b = nodes("a", "b")
    c = Node("c", a.network)
    data = a.value(bytes(range(256)) * 100)
    wanted = bytes(data)
    frames = a.sharing.frames(parcel(data), ["b"])
    place = next(frames)
    assert in_place(place)
    c.sharing.want_whole()
    assert c.receive(place) is None
    ((payload, attached),) = frames
    assert bytes(payload) == wanted
    first = b.receive(place)
    assert first is not None and bytes(first) == wanted
    assert b.receive((payload, attached)) is None  # it has that value
    assert c.receive((payload, attached)) == wanted
    assert c.receive((payload, attached)) is None
    # An ensemble that came between the two took no part before: the value was not for it.
    d = Node("d", a.network)
    assert d.receive((payload, attached)) is None


def test_a_value_on_its_way_is_sent_whole_the_second_time(nodes: Nodes) -> None:
    """One mark says that an ensemble has it: two values under one mark would be freed with the first."""
    a, b = nodes("a", "b")
    data = a.value(bytes(LONG))
    first, second = a.publish(data, "b"), a.publish(data, "b")
    assert in_place(first) and not in_place(second)
    came = b.receive(first)
    assert not in_place(a.publish(data, "b"))
    del came
    assert in_place(a.publish(data, "b"))


def test_a_lost_value_frees_its_place_soon(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    lost = [a.publish(a.value(bytes(LONG)), "b") for _ in range(3)]
    held = b.receive(a.publish(a.value(b"h" * LONG), "b"))
    a.tend()
    assert a.deliver() == [] and a.taken == 4
    late = a.publish(a.value(b"l" * LONG), "b")  # on its way only since the last look
    a.tend()
    assert a.deliver() == [NetMsg.SETTLE]
    assert a.taken == 2
    assert b.receive(late) is not None and held is not None and bytes(held[5:9]) == b"hhhh"
    assert [b.receive(frame) for frame in lost] == [None] * 3  # later than anything can be


def test_a_message_about_a_value_does_not_free_the_next_one_in_its_place(nodes: Nodes) -> None:
    a, b = nodes("a", "b")

    def publish() -> tuple[Data, bytes]:
        frame = a.publish(a.value(bytes(LONG)), "b")
        assert in_place(frame) and a.taken == 1
        return frame

    for _ in range(300):
        assert b.receive(publish()) is not None
    first = publish()
    a.tend()
    assert b.receive(first) is not None
    second = publish()
    a.tend()
    assert not a.sent  # on its way at both looks, but not the same
    a.tend()
    assert [message.msg_type for _, message in a.sent] == [NetMsg.SETTLE]
    assert b.receive(second) is not None  # before it hears of that
    third = publish()
    a.deliver()
    assert b.receive(second) is None
    assert [b.receive(third) is None, a.taken] == [False, 0]


def test_a_lost_ensemble_holds_no_place(nodes: Nodes) -> None:
    a, b, c = nodes("a", "b", "c")
    kept = b.receive(a.publish(a.value(bytes(LONG)), "b"))
    on_its_way = a.publish(a.value(bytes(LONG)), "b")
    held = c.receive(a.publish(a.value(b"c" * LONG), "c"))
    assert a.taken == 3
    b.sharing._theirs[a.memory.nonce][1].close()  # as a process that is killed: it clears no mark
    del a.network["b"], b
    gc.collect()
    a.tend()
    assert a.taken == 3  # a process that it has forked off may go on looking
    del kept
    a.tend()
    assert a.taken == 1 and held is not None and bytes(held[5:9]) == b"cccc"
    assert on_its_way
    assert not in_place(a.publish(a.value(bytes(LONG)), "b"))
    again = Node("b", a.network)
    a.publish(a.value(bytes(LONG)), "b")
    a.deliver()
    frame = a.publish(a.value(bytes(LONG)), "b")
    assert in_place(frame) and again.receive(frame) is not None


def test_the_memory_of_a_lost_ensemble_is_forgotten(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    held = b.receive(a.publish(a.value(b"a" * LONG), "b"))
    b.tend()
    assert len(b.sharing._theirs) == len(b.shared) == 1
    a.sharing._own = None
    a.sharing._mine.clear()
    b.tend()
    assert not b.sharing._theirs and not b.shared
    assert held is not None and bytes(held[5:9]) == b"aaaa"


def test_ensembles_without_a_row_get_whole_values(nodes: Nodes) -> None:
    names = [f"n{number}" for number in range((ROWS - 2) // BLOCK + 3)]
    a, *others = nodes("a", *names)
    reads = [in_place(a.publish(a.value(bytes(LONG)), name)) for name in names]
    assert sum(reads) == (ROWS - 2) // BLOCK and all(reads[: sum(reads)])
    for node in others[:2]:
        node.sharing._theirs.clear()  # they end
        node.shared.clear()
        del a.network[node.name]
        a.publish(a.value(bytes(LONG)), node.name)
    a.sharing._mine[a.memory.nonce].offered.clear()
    a.publish(a.value(bytes(LONG)), names[-1])
    a.deliver()
    assert in_place(a.publish(a.value(bytes(LONG)), names[-1]))


def offered(nodes: Nodes) -> tuple[Node, Node, Offer]:
    """An ensemble, one that could read its memory, and the offer that it did not get."""
    a, b = nodes("a", "b")
    offer = Offer("a", sharing.boot_id(), os.getpid(), a.memory.descriptor, a.memory.nonce, 2 + BLOCK)
    b.sharing._theirs.clear()
    b.shared.clear()
    a.sharing._mine.clear()
    return a, b, offer


def change(offer: Offer, **changes: Any) -> Offer:
    return Offer(**({name: getattr(offer, name) for name in Offer.__struct_fields__} | changes))


def test_a_file_that_is_no_such_memory_is_not_opened(nodes: Nodes, tmp_path: Path) -> None:
    a, b, offer = offered(nodes)
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.truncate(SIZE)
        file.write(offer.nonce)
        file.flush()
        other = os.memfd_create("ticktalk", os.MFD_ALLOW_SEALING)  # may be made shorter while it is read
        os.ftruncate(other, SIZE)
        os.pwrite(other, offer.nonce, 0)
        for changes in (
            {"boot_id": "another"},
            {"boot_id": ""},
            {"process": 2**31 - 1},
            {"descriptor": -1},
            {"descriptor": 99_999},
            {"descriptor": file.fileno()},
            {"descriptor": other},
            {"descriptor": 0},
            {"nonce": bytes(16)},
            {"nonce": b""},
            {"row": -1},
            {"row": 0},
            {"row": ROWS - BLOCK + 1},
            {"row": 10**9},
        ):
            b.sharing.handlers[NetMsg.OFFER](change(offer, **changes))
            assert not b.sent and not b.sharing._theirs and not b.shared, changes
        os.close(other)
    b.sharing.handlers[NetMsg.OFFER](offer)
    assert [message.msg_type for _, message in b.sent] == [NetMsg.ACCEPTED]
    assert next(iter(b.shared.values()))[1] == range(offer.row + 1, offer.row + BLOCK)
    a.deliver()  # no request: no effect
    assert not a.sharing._mine


def test_bad_places_are_refused(nodes: Nodes) -> None:
    a, b = nodes("a", "b")
    _, attached = a.publish(a.value(bytes(LONG)), "b")
    whole = parse_parcels(b"", attached, lambda head, where, payload: where)[0][-1]
    pieces = arena._WHERE.unpack(whole[16:])
    assert b.sharing.view(memoryview(bytes(16) + whole[16:]), "a") is None  # a memory that was not offered
    for wrong in (b"x", bytes(whole) + b"x", bytes(whole[:-1])):
        with pytest.raises(FrameError):
            b.sharing.view(memoryview(wrong), "a")
    for begin, length in ((0, LONG), (SIZE, 1), (SIZE - 5, 6), (2**63, 2**63), (pieces[2], SIZE)):
        with pytest.raises(FrameError):
            b.sharing.view(memoryview(bytes(whole[:16]) + arena._WHERE.pack(*pieces[:2], begin, length)), "a")
    for other in ((0, pieces[1]), (1, pieces[1]), (pieces[0] + 1, pieces[1]), (0, PLACES), (pieces[0], PLACES)):
        assert b.sharing.view(memoryview(bytes(whole[:16]) + arena._WHERE.pack(*other, pieces[2], LONG)), "a") is None
    b.sharing.handlers[NetMsg.SETTLE](Settle("a", bytes(16), [(0, SENT)]))
    wrong_ones = [(place, mark) for place in (-1, PLACES, 10**9) for mark in (0, SENT, 300)]
    b.sharing.handlers[NetMsg.SETTLE](Settle("a", a.memory.nonce, wrong_ones))
    for sender in ("b", "c"):
        with pytest.raises(FrameError, match="a place in the memory of 'a'"):
            b.sharing.view(memoryview(bytes(whole)), sender)
    place = pieces[0]
    right_one = [(place, mark) for mark in range(SENT, 256)]
    with pytest.raises(InvalidMessageError, match="'c' settles values in the memory of 'a'"):
        b.sharing.handlers[NetMsg.SETTLE](Settle("c", a.memory.nonce, right_one))
    offer = Offer("c", boot_id(), os.getpid(), a.memory.descriptor, a.memory.nonce, 2)
    with pytest.raises(InvalidMessageError, match="an offer of 'c' of the memory of 'a'"):
        b.sharing.handlers[NetMsg.OFFER](offer)
    assert b.sharing.view(memoryview(bytes(whole)), "a") is not None


def test_a_value_is_not_overwritten_while_any_process_refers_to_it(nodes: Nodes) -> None:
    """Against a list of bytes of our own: values for any of three, with a worker of each, that come late or never."""
    a, *others = nodes("a", "b", "c", "d")
    names = [node.name for node in others]
    workers = []
    for node in others:
        (memory, rows), *_ = node.shared.values()
        mapped = arena.opened(os.getpid(), memory.descriptor, memory.nonce)
        assert mapped is not None and mapped.claim(rows[0])
        workers.append((arena.Reader(mapped, rows[0]), rows[0]))
    chance = random.Random(11)
    under_way: list[tuple[tuple[Data, bytes], list[Node], bytes]] = []
    held: list[tuple[Any, bytes]] = []
    whole = 0
    for number in range(4_000):
        wanted = bytes([number % 251, number // 251]) * (chance.choice([LONG, 100_001, 1 << 19]) // 2)
        to = chance.sample(others, chance.randint(1, 3))
        data = a.value(wanted)
        frame = a.publish(data, *[node.name for node in to])
        whole += not in_place(frame)
        under_way.append((frame, to, wanted))
        if chance.random() < 0.2:
            held.append((decode_value(data), wanted))
        del data
        while under_way and chance.random() < 0.55:
            frame, to, wanted = under_way.pop(0)
            for node in to:
                came = node.receive(frame)
                assert came is not None
                found = arena.lent(came)
                if found is not None and chance.random() < 0.5:
                    reader, row = workers[names.index(node.name)]
                    placed = found.to(row)
                    if placed is not None:  # from where the ensemble has it on to its worker
                        placed.sent = True
                        came = reader.view(placed.where)
                held.append((decode_value(came), wanted))
                del came
        while len(held) > 40 or (held and chance.random() < 0.6):
            value, wanted = held.pop(chance.randrange(len(held)))
            assert bytes(value) == wanted
        if number % 500 == 0:
            a.tend()
    assert whole < 2_000 and a.sharing.handed > 2_000
    under_way.clear()
    for value, wanted in held:
        assert bytes(value) == wanted
    del value
    held.clear()
    a.deliver()
    for _ in range(2):
        a.tend()
        a.deliver()
    assert a.taken == 0
    assert [node.name for node in others] == names


# With processes.

ARRAYS = (
    HEAD
    + """
import numpy
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return numpy.full(3_000, sq_state["n"])
@SQify
def twice(x):
    global sq_state
    sq_state["sum"] = sq_state.get("sum", 0) + int(x[-1])
    sq_state["last"] = x
    return [2 * x, sq_state["sum"]]
@SQify
def seen(x, total, same):
    global sq_state
    kept = sq_state.setdefault("kept", [])
    kept.append(x)
    del kept[:-5]
    alike = all(bool((array == array[0]).all()) for array in (*kept, same))
    return int(same[0]), [int(array[0]) for array in kept], total, alike, len(x)
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        s = src(trigger, TTPeriod=20000)
    with TTConstraint(name=["b", "d"]):
        x, total = twice(s)
    with TTConstraint(name="c"):
        return seen(x, total, s)
"""
)
"""Arrays at 50 Hz from one ensemble to a second one, whose SQ may move, and from both to a third one."""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_arrays_arrive_unchanged_while_ensembles_come_and_go(workers: str, tmp_path: Path) -> None:
    """Nothing is lost or changed, whether arrays are read in place or sent, through a drain and back; and kill -9."""
    system = System()
    try:
        for name in "abc":
            system.begin(name, "--workers", workers, view=tmp_path / name)
        assert system.manager.wait_for_ensembles(list("abc"), LIMIT) == []
        graph = system.deploy(ARRAYS, "arrays", mapping={"src-1": "a", "twice-1": "b", "seen-1": "c"})
        system.manager.execute_graph(graph)

        def handed(name: str) -> int:
            count: int = system.ensembles[name].view()["handed"]
            return count

        def goes_on(more: int) -> None:
            wanted = len(system.values("arrays")) + more
            until(lambda: len(system.values("arrays")) >= wanted, "it goes on")

        until(lambda: handed("a") > 20 and handed("b") > 20, "arrays are read in place")
        system.begin("d", "--workers", workers, view=tmp_path / "d")
        assert system.manager.wait_for_ensembles(["d"], LIMIT) == []
        process = system.ensembles["b"]
        system.manager.drain("b")
        assert process.wait() == 0
        goes_on(30)
        until(lambda: handed("d") > 20, "by who has taken over, too")
        values = system.values("arrays")
        print(system.manager.counters(graph), [value[:3] for value in values])
        for number, (same, kept, total, alike, length) in enumerate(values, 1):
            assert same == number and alike and length == 3_000
            assert kept == [2 * n for n in range(max(1, number - 4), number + 1)]
            assert total == number * (number + 1) // 2
        counts = system.manager.counters(graph)
        assert not any(kind in kinds for kinds in counts.values() for kind in ("lost", "stale", "overflow"))
        system.begin("b", "--workers", workers, view=tmp_path / "b")
        assert system.manager.wait_for_ensembles(["b"], LIMIT) == []
        kill(system.ensembles["d"].popen.pid)
        goes_on(100)
        for same, kept, _, alike, length in system.values("arrays"):
            assert alike and length == 3_000 and kept[-1] == 2 * same
        before = handed("a")
        until(lambda: handed("a") > before + 20, "and again")
        for process in system.ensembles.values():
            assert "Traceback" not in process.said and "error in the runtime" not in process.said, process.said
    finally:
        system.end()
