"""Outputs reach the manager once, in their order, though messages are lost, the manager dies and disks are full."""

from __future__ import annotations

import enum
from collections import deque
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktalk.hosted import until_taken
from ticktalk.hosted.until_taken import UntilTaken
from ticktalk.manager.driver import Driver
from ticktalk.manager.state import EnsembleState, ManagerState
from ticktalk.manager.taken_outputs import AGAIN_AFTER, AGAIN_AT_MOST, Taking
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import NetMsg, RuntimeMsg, message
from ticktalk.payloads import FiringError, OutputsTaken, OutputToken, OutputTokens, Ping
from ticktalk.physical import to_manager
from ticktalk.physical.spill import SpillFile


class Queue:
    """A spill with room for so many messages; `broken`: what it holds cannot be read."""

    def __init__(self, most: int) -> None:
        self.most, self.broken = most, False
        self.waits: deque[tuple[int, bytes]] = deque()

    def put(self, count: int, frame: bytes) -> bool:
        if len(self.waits) >= self.most:
            return False
        self.waits.append((count, frame))
        return True

    def take(self) -> tuple[int, bytes] | None:
        if self.broken:
            self.waits.clear()
            return None
        return self.waits.popleft()

    def clear(self) -> None:
        self.waits.clear()


class Pair(Driver):
    """An ensemble, the network to its manager, and the manager, which may die and go on with what was written.

    What it takes is written at `commit`, together with the messages that tell of it.
    """

    def __init__(self, room: int = 1_000) -> None:
        self.tick = 0
        self.spill = Queue(room)
        self.network: deque[bytes] = deque()
        self.left_out: list[int] = []
        self.kept = UntilTaken(self.network.append, self.spill, self.left_out.append)
        self.sent: list[int] = []
        self.disk: tuple[bytes, list[int]] = (msgspec.msgpack.encode(ManagerState(EnsembleInfo("m"))), [])
        self.restart()

    def now(self) -> int:
        return self.tick

    def restart(self) -> None:
        self.state = msgspec.msgpack.decode(self.disk[0], type=ManagerState)
        self.log = list(self.disk[1])
        self.state.ensembles = {"a": EnsembleState(EnsembleInfo("a"))}
        self.taking = Taking(self.state, self._send, self)
        self.answers: list[OutputsTaken] = []

    def _send(self, name: str, kind: enum.Enum, payload: Any) -> None:
        assert (name, kind) == ("a", NetMsg.OUTPUTS_TAKEN)
        self.answers.append(payload)

    def output(self, count: int) -> None:
        values = range(len(self.sent) + 1, len(self.sent) + count + 1)
        tokens = [OutputToken("g", value, 0, 1, "f", "a") for value in values]
        if self.kept.add(count, lambda number: msgspec.msgpack.encode([number, [token.value for token in tokens]])):
            self.sent += values
        else:
            self.sent += [-1] * count  # left out

    def arrive(self) -> None:
        number, values = msgspec.msgpack.decode(self.network.popleft())
        tokens = [OutputToken("g", value, 0, 1, "f", "a") for value in values]
        self.log += [token.value for token in self.taking.new(OutputTokens(tokens, number))]

    def commit(self, told: bool = True) -> None:
        """Write; `told`: the messages that tell of it arrive."""
        self.taking.tell()
        self.disk = msgspec.msgpack.encode(self.state), list(self.log)
        for answer in self.answers if told else ():
            if answer.again:
                self.kept.again()
            self.kept.taken(answer.number)
        self.answers.clear()

    def beat(self) -> None:
        self.tick += 500_000
        self.taking.ping(Ping("a", self.tick, first=self.kept.first, number=self.kept.number))

    def settle(self) -> None:
        """No fault any more: all that was not left out comes."""
        for _ in range(400):
            self.beat()
            while self.network:
                self.arrive()
            self.commit()
            if self.kept.first > self.kept.number:
                return
        raise AssertionError("it never comes to rest")


STEPS = st.one_of(
    st.tuples(st.just("output"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["arrive", "lose", "commit", "commit unheard", "beat", "die", "double"]), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=60), st.integers(1, 5))
def test_each_output_is_taken_once_in_order_whatever_is_lost_and_whoever_dies(
    steps: list[tuple[str, int]], under_way: int
) -> None:
    bound, until_taken.UNDER_WAY = until_taken.UNDER_WAY, under_way
    try:
        pair = Pair()
        for what, count in steps:
            if what == "output":
                pair.output(count)
            elif what == "arrive" and pair.network:
                pair.arrive()
            elif what == "lose" and pair.network:
                pair.network.popleft()
            elif what == "double" and pair.network:
                pair.network.append(pair.network[0])
            elif what.startswith("commit"):
                pair.commit(told=what == "commit")
            elif what == "beat":
                pair.beat()
            elif what == "die":
                pair.restart()
                pair.kept.again()
        pair.settle()
        assert pair.log == pair.disk[1] == pair.sent == list(range(1, len(pair.sent) + 1))
    finally:
        until_taken.UNDER_WAY = bound


def test_memory_and_spill_are_bounded_and_beyond_them_the_newest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(until_taken, "UNDER_WAY", 10)
    pair = Pair(room=5)
    for _ in range(20):
        pair.output(2)
    assert len(pair.network) == 10 and len(pair.spill.waits) == 5
    assert sum(pair.left_out) == 10, "two outputs of each message"
    pair.settle()
    assert pair.log == list(range(1, 31)), "those that found room come, once"
    pair.output(1)
    pair.settle()
    assert pair.log[-1] == 41 and len(pair.log) == 31, "there is room again"


def test_bytes_are_bounded_and_a_single_long_message_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(until_taken, "UNDER_WAY_BYTES", 100)
    sent: list[bytes] = []
    kept = UntilTaken(sent.append, Queue(100), lambda count: None)
    for size in (300, 60, 60, 30):
        assert kept.add(1, lambda number, size=size: b"x" * size)
    assert list(map(len, sent)) == [300]
    kept.taken(1)
    assert list(map(len, sent)) == [300, 60, 60], "they follow when the manager has taken those before"
    kept.taken(2)
    assert list(map(len, sent)) == [300, 60, 60, 30]


def test_a_short_message_does_not_overtake_a_long_one_that_found_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(until_taken, "UNDER_WAY_BYTES", 100)
    sent: list[bytes] = []
    kept = UntilTaken(sent.append, Queue(100), lambda count: None)
    for size in (60, 61, 5):
        kept.add(1, lambda number, size=size: b"x" * size)
    assert list(map(len, sent)) == [60]
    kept.taken(1)
    assert list(map(len, sent)) == [60, 61, 5]


def test_outputs_that_cannot_be_read_again_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(until_taken, "UNDER_WAY", 2)
    pair = Pair()
    for _ in range(6):
        pair.output(2)
    pair.spill.broken = True
    pair.settle()
    assert pair.log == [1, 2, 3, 4] and sum(pair.left_out) == 8
    pair.spill.broken = False
    for _ in range(4):
        pair.output(1)
    pair.settle()
    assert pair.log == [1, 2, 3, 4, 13, 14, 15, 16]


def test_an_ensemble_counts_as_overflow_what_finds_no_room_and_what_cannot_be_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spill = Queue(3)
    monkeypatch.setattr(until_taken, "UNDER_WAY", 2)
    monkeypatch.setattr(to_manager, "SpillFile", lambda name: spill)
    link: Any = SimpleNamespace(send_frame=lambda to, kind, frame: None)
    overflow: list[int] = []
    sends = to_manager.ToManager("a", "m", link, SimpleNamespace(after=None), overflow.append)  # type: ignore[arg-type]
    for _ in range(6):
        sends.send(message(RuntimeMsg.FIRING_ERROR, FiringError("f-1", "a", 0, 1, "f.py", 1, "it failed")))
    assert sum(overflow) == 1
    spill.broken = True
    sends.taken(OutputsTaken(0))
    assert sum(overflow) == 4


def test_outputs_in_a_file_that_was_cut_short_are_lost_and_not_sent(caplog: pytest.LogCaptureFixture) -> None:
    spill = SpillFile("a")
    assert spill.put(2, b"outputs") and spill.put(1, b"more")
    assert spill.take() == (2, b"outputs")
    assert spill._file is not None
    spill._file.truncate(9)
    assert spill.take() is None
    assert "are lost: the file is shorter than what was written" in caplog.text


def test_errors_of_firings_keep_their_place_among_the_outputs() -> None:
    sent: list[bytes] = []
    kept = UntilTaken(sent.append, Queue(10), lambda count: None)
    kept.add(2, lambda number: b"outputs")
    kept.add(0, lambda number: b"error")
    kept.add(1, lambda number: b"output")
    kept.again()
    assert sent == [b"outputs", b"error", b"output"] * 2
    kept.taken(2)
    sent.clear()
    kept.again()
    assert sent == [b"output"]


def test_an_ensemble_is_asked_again_more_and_more_rarely() -> None:
    pair = Pair()
    pair.output(1)
    pair.output(1)
    pair.network.popleft()
    asked: list[int] = []
    while pair.tick < 1_000_000_000:
        pair.tick += 500_000
        while pair.network:
            pair.network.popleft()  # nothing comes
        pair.taking.ping(Ping("a", pair.tick, first=pair.kept.first, number=pair.kept.number))
        pair.taking.tell()
        asked += [pair.tick for answer in pair.answers if answer.again]
        pair.answers.clear()
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[0] <= 2 * AGAIN_AFTER and pauses == sorted(pauses) and pauses[-1] >= AGAIN_AT_MOST
    assert len(asked) < 30


def test_a_new_start_of_an_ensemble_counts_from_the_beginning_and_strangers_count_nothing() -> None:
    pair = Pair()
    for _ in range(3):
        pair.output(2)
    pair.settle()
    assert pair.state.taken == {"a": 6}
    pair.taking.forget("a")
    token = OutputToken("g", 1, 0, 1, "f", "a")
    assert pair.taking.new(OutputTokens([token], 1)) == [token]
    assert pair.taking.new(OutputTokens([token], 1)) == []
    stranger = OutputToken("g", 1, 0, 1, "f", "z")
    assert pair.taking.new(OutputTokens([stranger], 1)) == [] and "z" not in pair.state.taken
