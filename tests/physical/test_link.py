"""What is published arrives, long or short, with and without Zenoh's shared memory."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import zenoh

from ticktalk.physical.link import IN_POOL, POOLS, Link
from ticktalk.physical.wire import LONG

LIMIT = 10.0
"""Seconds after which what should come has not."""


@pytest.fixture(params=[True, False], ids=["one host", "as from another host"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Link, Link, list[bytes]]]:
    """Two links, and what comes to the second on `key`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"tcp/127.0.0.1:{free.getsockname()[1]}"
    second = Link("peer", [at], [], {"transport/shared_memory/enabled": request.param})
    first = Link("peer", [], [at])
    came: list[bytes] = []
    second.subscribe("key", lambda payload, attached: came.append(payload))
    began = time.monotonic()
    while not came and time.monotonic() < began + LIMIT:
        first.publish("key", b"begin")
        time.sleep(0.005)
    wait_for_last(first, came, b"really")
    came.clear()
    yield first, second, came
    first.close()
    second.close()


def wait_for_last(sender: Link, came: list[bytes], last: bytes) -> None:
    sender.publish("key", last)
    end = time.monotonic() + LIMIT
    while last not in came[-1:] and time.monotonic() < end:
        time.sleep(0.005)
    assert came[-1] == last


@pytest.mark.parametrize("missing", [False, True], ids=["shared memory", "no interface to it"])
def test_frames_arrive_as_they_were(
    pair: tuple[Link, Link, list[bytes]], missing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer and shorter than any limit, more at once than the memory holds, and of every kind."""
    if missing:
        monkeypatch.setattr(zenoh, "shm", None)
    chance = random.Random(3)
    edges = [size // IN_POOL + more for size in POOLS for more in (-1, 0, 1)]
    lengths = [0, 1, LONG - 1, LONG, LONG + 1, 1 << 20, *edges, *[1 << 20] * 20]
    kinds: list[Any] = [bytes, bytearray, lambda data: memoryview(bytearray(data))]
    sent = [chance.randbytes(length) for length in lengths]
    first, _, came = pair
    for number, data in enumerate(sent):
        first.publish("key", data if len(data) < LONG else kinds[number % 3](data))
    wait_for_last(first, came, b"end")
    assert came[:-1] == sent
    assert all(type(data) is bytes for data in came)


def test_what_is_sent_is_what_it_was_when_it_was_published(pair: tuple[Link, Link, list[bytes]]) -> None:
    first, _, came = pair
    data = bytearray(1 << 20)
    for number in range(30):
        data[:] = bytes([number]) * len(data)
        first.publish("key", data)
    wait_for_last(first, came, b"end")
    assert [(frame[0], frame[-1], len(frame)) for frame in came[:-1]] == [(n, n, 1 << 20) for n in range(30)]
