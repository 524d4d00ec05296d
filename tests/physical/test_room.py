"""A body waits for room in shared memory, so that a stream that once filled its memory goes on in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from ticktalk.physical.memory import arena
from ticktalk.physical.memory.arena import CROWDED_PATIENCE, LOOK, PATIENCE, SIZE, ArenaWriter, Reader
from ticktalk.physical.memory.sharing import CROWDED

LARGE = bytes(SIZE // 16)

ROOM = 15
"""So many of them find room: the marks need some, too."""


class Played:
    """Time that passes while a writer sleeps, and only then.

    Attributes:
        now: seconds.
        passes: called after each sleep.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.passes: Callable[[], None] = lambda: None
        monkeypatch.setattr(arena, "time", SimpleNamespace(monotonic=lambda: self.now, sleep=self.sleep))

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.passes()

    def took(self, call: Callable[[], object]) -> float:
        """How long a call takes."""
        began = self.now
        call()
        return self.now - began


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def full() -> tuple[ArenaWriter, Reader, list[memoryview]]:
    """A memory without room, and the values in it."""
    memory = arena.create()
    assert memory is not None
    writer, reader, held = ArenaWriter(memory, waits=True), Reader(memory), list[memoryview]()
    for _ in range(ROOM):
        placed = writer.put([LARGE])
        assert placed is not None
        placed.sent = True
        held.append(reader.view(placed.where))
    return writer, reader, held


def test_a_body_waits_until_a_reader_frees_a_place(played: Played) -> None:
    writer, _, held = full()
    played.passes = lambda: held.clear() if played.now > PATIENCE / 2 else None
    placed = writer.put([LARGE])
    assert placed is not None and PATIENCE / 2 < played.now <= PATIENCE / 2 + 2 * LOOK


def test_a_writer_waits_once_for_a_reader_that_stands_still(played: Played) -> None:
    writer, reader, held = full()
    assert PATIENCE <= played.took(lambda: writer.put([LARGE])) <= PATIENCE + 2 * LOOK
    for _ in range(100):
        assert writer.put([LARGE]) is None
    assert played.now <= PATIENCE + 2 * LOOK
    held.pop()
    placed = writer.put([LARGE])
    assert placed is not None and played.now <= PATIENCE + 2 * LOOK
    held.append(reader.view(placed.where))
    placed.sent = True
    assert played.took(lambda: writer.put([LARGE])) >= PATIENCE, "the reader has gone on, so it is waited for again"


def test_a_writer_waits_longer_while_many_bytes_wait_to_be_sent(played: Played) -> None:
    writer, _, held = full()
    writer.memory.crowd(True)
    for _ in range(3):
        assert CROWDED_PATIENCE <= played.took(lambda: writer.put([LARGE])) <= CROWDED_PATIENCE + 2 * LOOK
    played.passes = lambda: writer.memory.crowd(False)
    assert played.took(lambda: writer.put([LARGE])) <= PATIENCE + 2 * LOOK
    assert len(held) == ROOM


def test_a_writer_that_may_not_wait_does_not(played: Played) -> None:
    writer, _, held = full()
    other = ArenaWriter(writer.memory)
    other._taken = writer._taken
    writer.memory.crowd(True)
    assert other.put([LARGE]) is None and played.now == 0 and len(held) == ROOM


def test_a_stream_whose_receiver_stood_still_goes_on_in_memory(played: Played) -> None:
    """A body returns 4 MB every 0.8 ms. Its receiver stands still for 0.2 s at first, as when it imports NumPy.

    To send a value itself takes the sender 15 ms, and to send its place 0.1 ms. The receiver drops it 0.2 ms later.
    """
    memory = arena.create()
    assert memory is not None
    writer, reader = ArenaWriter(memory, waits=True), Reader(memory)
    queue: deque[memoryview | None] = deque()  # None: a value that is sent itself
    read: deque[tuple[float, memoryview]] = deque()
    free_at = 0.0  # when the sender has sent what it is sending
    whole: list[float] = []

    def passes() -> None:
        nonlocal free_at
        while queue and free_at <= played.now:
            value = queue.popleft()
            began = max(free_at, played.now - LOOK)
            memory.crowd(len(queue) * len(LARGE) > CROWDED)
            free_at = began + (0.015 if value is None else 0.0001)
            if value is None:
                whole.append(began)
            else:
                read.append((free_at, value))
                del value
        while read and played.now > 0.2 and read[0][0] + 0.0002 <= played.now:
            read.popleft()

    played.passes = passes
    fired = 0
    while played.now < 1.0:
        began = played.now
        placed = writer.put([LARGE])
        fired += 1
        if placed is None:
            queue.append(None)
        else:
            placed.sent = True
            queue.append(reader.view(placed.where))
        while played.now < began + 0.0008:
            played.sleep(LOOK)
        memory.crowd(len(queue) * len(LARGE) > CROWDED)
    assert max(whole) < 0.3, "few values wait before the first that is read in place"
    assert fired > 600
