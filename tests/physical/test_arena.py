"""Memory shared with a worker: a value stays as it was written, for as long as anything refers to it."""

from __future__ import annotations

import errno
import gc
import mmap
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from test_worker import STREAM, Host, until

from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.memory import arena
from ticktalk.physical.memory.arena import KEPT, PLACES, SIZE, ArenaWriter, Memory, Reader, SharedValue
from ticktalk.physical.network.frames import LONG
from ticktalk.physical.workers.worker_frames import Frames, by_itself, encode_frame, in_shared_memory
from ticktalk.values.codec import decode_value, encode_value


class Shared:
    """Both ends of a memory each way, as an ensemble and its worker have them: with a mapping each."""

    def __init__(self) -> None:
        there, back = made(), made()
        self.memory = there
        self.reader, self.writer = Reader(back), ArenaWriter(there)
        far_there, far_back = other_end(there), other_end(back)
        self.far_reader, self.far_writer = Reader(far_there), ArenaWriter(far_back)

    def taken(self) -> int:
        """Places in the memory to the worker that are marked."""
        return sum(map(bool, self.memory.row(0)))


def made() -> Memory:
    memory = arena.create()
    assert memory is not None
    return memory


def other_end(memory: Memory) -> Memory:
    """The same memory as another process has it."""
    found = arena.opened(os.getpid(), memory.descriptor, memory.nonce)
    assert found is not None and found.nonce == memory.nonce and found.map is not memory.map
    return found


@pytest.fixture
def shared() -> Iterator[Shared]:
    yield Shared()


def crossed(writer: ArenaWriter, reader: Reader, *pieces: bytes) -> memoryview | None:
    """A value written and read."""
    placed = writer.put(pieces)
    if placed is None:
        return None
    placed.sent = True
    return reader.view(placed.where)


def test_a_value_is_not_overwritten_while_a_reader_refers_to_it(shared: Shared) -> None:
    """Against a list of bytes of our own, with views of views and arrays that come and go in any order."""
    chance = random.Random(7)
    held: list[tuple[Any, bytes]] = []
    for number in range(3_000):
        data = (
            chance.randbytes(chance.choice([LONG, 50_000, 300_000]))
            if number % 10 == 0
            else bytes([number % 251]) * (chance.choice([LONG, 100_001, 1 << 20]))
        )
        cut = chance.randrange(len(data))
        view = crossed(shared.writer, shared.far_reader, data[:cut], data[cut:])
        if view is not None:
            assert len(view) == len(data) and view.readonly
            kind = chance.randrange(3)
            if kind == 0:
                held.append((view, data))
            elif kind == 1:
                held.append((view[7:][3:], data[10:]))
            else:
                held.append((numpy.frombuffer(view, numpy.uint8)[5:].view(), data[5:]))
        del view
        while len(held) > 30 or (held and chance.random() < 0.5):
            value, wanted = held.pop(chance.randrange(len(held)))
            assert bytes(value) == wanted
    for value, wanted in held:
        assert bytes(value) == wanted
    del value
    held.clear()
    assert shared.taken() == 0


def test_a_value_that_does_not_fit_is_refused_until_there_is_room(shared: Shared) -> None:
    assert shared.writer.put([bytes(SIZE)]) is None
    held = [crossed(shared.writer, shared.far_reader, bytes(LONG)) for _ in range(PLACES)]
    assert None not in held
    assert shared.writer.put([bytes(LONG)]) is None
    del held[17]
    assert crossed(shared.writer, shared.far_reader, bytes(LONG)) is not None
    held.clear()
    large = bytes(SIZE - SIZE // 8)
    first = crossed(shared.writer, shared.far_reader, large)
    assert first is not None
    assert shared.writer.put([large]) is None
    del first
    assert crossed(shared.writer, shared.far_reader, large) == large


def test_the_two_directions_do_not_share_places(shared: Shared) -> None:
    there = crossed(shared.writer, shared.far_reader, b"a" * (SIZE - SIZE // 8))
    back = crossed(shared.far_writer, shared.reader, b"b" * (SIZE - SIZE // 8))
    assert there is not None and back is not None
    assert bytes(there[:9]) == bytes(there[-9:]) == b"a" * 9
    assert bytes(back[:9]) == bytes(back[-9:]) == b"b" * 9


def test_a_value_that_is_never_sent_frees_its_place(shared: Shared) -> None:
    placed = shared.writer.put([bytes(LONG)])
    assert placed is not None and shared.taken() == 1
    del placed
    assert shared.taken() == 0


def test_an_empty_memory_gives_pages_back_to_the_kernel(shared: Shared) -> None:
    def here() -> int:
        return os.fstat(shared.memory.descriptor).st_blocks * 512

    most = SIZE - SIZE // 8
    assert most > KEPT + KEPT // 2
    view = crossed(shared.writer, shared.far_reader, b"x" * most)
    assert here() >= most
    del view
    view = crossed(shared.writer, shared.far_reader, b"y" * LONG)
    assert here() <= KEPT + 2 * mmap.PAGESIZE
    del view
    assert crossed(shared.writer, shared.far_reader, b"z" * most) == b"z" * most


def test_a_value_outlives_its_writer_and_its_reader(shared: Shared) -> None:
    """As when a worker is replaced, and its last results are still waiting."""
    other = Shared()
    view = crossed(other.far_writer, other.reader, b"kept" * LONG)
    del other
    gc.collect()
    assert view is not None and view == b"kept" * LONG


def test_a_forked_process_still_reads_the_same_values(shared: Shared) -> None:
    data = b"before" * LONG
    view = crossed(shared.writer, shared.far_reader, data)
    assert view is not None
    gate, opened = os.pipe()
    child = os.fork()
    if not child:
        os.read(gate, 1)
        os._exit(0 if view == data else 1)
    del view
    again = crossed(shared.writer, shared.far_reader, b"after " * LONG)
    os.write(opened, b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert again is None
    os.close(gate)
    os.close(opened)


def through(shared: Shared | None, message: tuple[Any, ...]) -> tuple[Any, ...]:
    """A message sent and received, with or without shared memory."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        buffers = encode_frame(message, (lambda data: shared.writer.put((data,))) if shared else None)
        sender = threading.Thread(target=lambda: [ours.sendall(buffer) for buffer in buffers], daemon=True)
        sender.start()
        frames = Frames({0: shared.far_reader} if shared else None)
        while (got := frames.next()) is None:
            frames.fill(theirs)
        sender.join()
        return got


@pytest.mark.parametrize("memory", [True, False])
def test_a_frame_holds_the_places_of_long_values(shared: Shared, memory: bool) -> None:
    values = [b"short", b"l" * LONG, b"m" * (3 * LONG)]
    got = through(shared if memory else None, ("fire", 3, [by_itself(value) for value in values], None))
    assert got == ("fire", 3, values, None)
    assert shared.taken() == (2 if memory else 0)
    del got
    assert shared.taken() == 0


def test_a_long_value_without_room_is_sent_in_the_frame(shared: Shared) -> None:
    """Long values in shared memory and long values in the frame, in one message."""
    held = [crossed(shared.writer, shared.far_reader, bytes(LONG)) for _ in range(PLACES - 1)]
    values = [b"l" * LONG, b"m" * LONG, b"n" * LONG]
    assert through(shared, ("fire", [by_itself(value) for value in values])) == ("fire", values)
    assert shared.taken() == PLACES - 1
    assert len(held) == PLACES - 1


VALUES: dict[str, Callable[[], Any]] = {
    "floats": lambda: numpy.arange(131_072.0),
    "order": lambda: numpy.asfortranarray(numpy.arange(60_000, dtype=">i4").reshape(200, 300)),
    "strides": lambda: numpy.arange(100_000, dtype=numpy.uint16)[::-3],
    "texts": lambda: numpy.array([str(n) for n in range(30_000)]),
    "times": lambda: numpy.arange(20_000).astype("datetime64[s]"),
    "no items": lambda: numpy.zeros((0, 5)),
    "no dimension": lambda: numpy.array(5.0),
    "complex": lambda: numpy.ones((3, 4, 5_000), dtype=numpy.complex64) * 2j,
    "bytes": lambda: bytes(range(256)) * 4_096,
    "bytearray": lambda: bytearray(range(256)) * 4_096,
    "text": lambda: "täxt" * 100_000,
    "list": lambda: list(range(100_000)),
    "arrays in a dict": lambda: {"a": numpy.arange(50_000), "b": [numpy.ones(9), None]},
    "longer than a memory": lambda: numpy.arange((SIZE >> 3) + 1),
}


def same(left: Any, right: Any) -> bool:
    if isinstance(left, numpy.ndarray):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_arrives_unchanged(shared: Shared, name: str) -> None:
    value = VALUES[name]()
    encoded = in_shared_memory(value, shared.writer, 1 << 30)
    if name not in ("no items", "no dimension", "longer than a memory"):
        assert isinstance(encoded, SharedValue)
    (data,) = through(shared, (encoded,))
    assert bytes(data) == encode_value(value)
    got = decode_value(data)
    assert same(got, value)
    if isinstance(got, numpy.ndarray):
        with pytest.raises(ValueError):
            got.setflags(write=True)
    del data, got, encoded
    assert shared.taken() == 0


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    made = Host(True)
    yield made
    made.node.close()


def marks(host: Host) -> int:
    """Places that are taken in the memories between an ensemble and its main worker."""
    channel = host.worker("main")
    memories = [channel._writer.memory, channel._back]
    return sum(sum(map(bool, memory.row(row))) for memory in memories for row in range(memory.used))


def test_arrays_are_passed_by_value(host: Host) -> None:
    """The sender changes its array after it returned it; its receivers cannot change the values of others."""
    text = """
import numpy
KEPT = numpy.zeros(131_072)
@STREAMify
def src(trigger):
    KEPT[:] += 1
    return KEPT
@SQify
def tries(x):
    first = float(x[0])
    for way in (lambda: x.__setitem__(0, 99), lambda: x.setflags(write=True)):
        try:
            way()
            return "changed"
        except ValueError:
            pass
    mine = x.copy()
    mine[:] = -1
    return first, mine
@SQify
def sees(x, y):
    global sq_state
    sq_state.setdefault("kept", []).append(x)
    first, theirs = y
    return [float(old[0]) for old in sq_state["kept"]], [float(old[-1]) for old in sq_state["kept"]], first, theirs[7]
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 500_000))
        x = src(window, TTPeriod=50_000, TTDataIntervalWidth=20_000)
        return sees(x, tries(x))
"""
    graph = host.shown(text, lambda graph: len(host.values(graph)) > 1, "a run with values")
    values = host.values(graph)
    assert not host.errors_of(graph)
    for firsts, lasts, first, theirs in values:
        assert firsts == lasts == sorted(set(firsts)) and firsts[-1] == first and theirs == -1
    assert len(values[-1][0]) == len(values)
    in_loop(host.node, lambda: host.node.stop_graph(graph))


def test_bodies_give_shared_memory_back(host: Host) -> None:
    text = """
import numpy
@STREAMify
def src(trigger):
    return numpy.ones(60_000)
@SQify
def f(x):
    return x + 1
@SQify
def fails(x):
    raise ValueError(x)
@SQify
def half(x):
    import threading
    return x, threading.Lock()
@SQify
def size(x):
    return len(x)
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 600_000))
        x = src(window, TTPeriod=10_000, TTDataIntervalWidth=5_000)
        a = fails(x)
        b, c = half(x)
        d = size(b)
        return size(f(x))
"""
    graph = host.shown(text, host.values, "a run with values")
    assert set(host.values(graph)) == {60_000}
    fails, half = (host.counts(graph)[sq] for sq in ("fails-1", "half-1"))
    assert fails["errors"] > 0 and half["errors"] > 0
    taken = [each["errors"] + each.get("overflow", 0) for each in (fails, half)]
    assert taken[0] == taken[1], "each array has failed in both, or found no room on a slow machine"
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    tidy = "import gc\n@SQify\ndef f(x):\n    return gc.collect()\n@GRAPHify\ndef main(x):\n    return f(x)\n"

    def free() -> bool:
        # Bodies that have ended, and errors, refer to themselves; a thread refers to its last value until its next one.
        host.finished(host.run(tidy, x=1))
        return marks(host) == 0

    until(free, "every place is free again")


def test_a_body_that_forks_goes_on(host: Host) -> None:
    text = """
import numpy
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return numpy.full(131_072, sq_state["n"])
@SQify
def forks(x):
    import os, time
    child = os.fork()
    if not child:
        time.sleep(0.1)
        os._exit(0 if (x == x[0]).all() else 1)
    return child
@SQify
def total(child, x):
    import os
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), float(x.sum())
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 300_000))
        x = src(window, TTPeriod=50_000, TTDataIntervalWidth=20_000)
        return total(forks(x), x)
"""
    graph = host.shown(text, host.values, "a run with values")
    values = host.values(graph)
    assert not host.errors_of(graph)
    assert [value[1] for value in values] == [131_072.0 * n for n in range(1, len(values) + 1)]
    assert {value[0] for value in values} == {0}


def test_a_killed_worker_does_not_damage_values(tmp_path: Path) -> None:
    """Values that had come from it stay as they were, while its successor has memory of its own."""
    own = Host(True)
    text = """
import numpy
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return numpy.full(131_072, sq_state["n"])
@SQify
def same(x):
    return x
""" + STREAM.format(length=60_000_000, last="same", period=10_000, width=5_000)
    try:
        graph = own.run(text)
        for restarts in (1, 2, 3):
            enough = 20 * restarts
            until(lambda enough=enough: len(own.outputs) > enough, "the stream runs")
            os.kill(own.worker("main").process.pid, signal.SIGKILL)
            wanted = {"restarts": restarts}
            until(lambda wanted=wanted: own.counts(graph).get("edge") == wanted, "it is replaced")
        before = len(own.outputs)
        until(lambda: len(own.outputs) > before + 10, "its successor goes on")
        in_loop(own.node, lambda: own.node.stop_graph(graph))
        for value in own.values(graph):
            assert value.shape == (131_072,) and (value == value[0]).all()
    finally:
        own.node.close()


def test_without_shared_memory_values_go_through_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, "this kernel has none")

    monkeypatch.setattr(os, "memfd_create", none)
    own = Host(True)
    try:
        text = """
import numpy
@SQify
def make(x):
    return numpy.arange(131_072.0)
@SQify
def total(x):
    return float(x.sum())
@GRAPHify
def main(trigger):
    return total(make(trigger))
"""
        assert own.values(own.finished(own.run(text))) == [float(numpy.arange(131_072.0).sum())]
        assert own.worker("main")._writer is None
    finally:
        own.node.close()
