"""Frames between the timekeeper and a worker process: messages arrive unchanged, however the bytes are cut."""

from __future__ import annotations

import random
import socket
import threading
from typing import Any

import msgspec
import pytest

from ticktalk.physical.network.frames import LONG
from ticktalk.physical.workers.worker_frames import CHUNK, ByItself, Frames, by_itself, encode_frame, unsent


def through(messages: list[tuple[Any, ...]], pieces: random.Random | None = None) -> list[tuple[Any, ...]]:
    """Messages sent and received; with `pieces`, in pieces of random lengths."""
    ours, theirs = socket.socketpair()
    data = b"".join(bytes(buffer) for message in messages for buffer in encode_frame(message))

    def send() -> None:
        at = 0
        while at < len(data):
            length = len(data) if pieces is None else pieces.choice([1, 3, 4, 5, 100, CHUNK - 1, CHUNK, 3 * CHUNK])
            theirs.sendall(data[at : at + length])
            at += length
        theirs.close()

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    frames = Frames()
    got: list[tuple[Any, ...]] = []
    while frames.fill(ours):
        while (message := frames.next()) is not None:
            got.append(message)
    ours.close()
    sender.join()
    return got


def test_messages_arrive_unchanged_however_they_are_cut() -> None:
    chance = random.Random(1)
    lengths = [0, 1, 63, LONG - 1, LONG, CHUNK - 60, CHUNK - 4, CHUNK, 5 * CHUNK]
    for number in range(20):
        sent, wanted = [], []
        for count in range(30):
            values = [chance.randbytes(chance.choice(lengths)) for _ in range(chance.randint(0, 3))]
            if count == 7:  # a frame whose MessagePack is long, too
                values += [b"x" * 100] * 1_000
            sent.append(("fire", count, [by_itself(value) for value in values], None, -1.5))
            wanted.append(("fire", count, values, None, -1.5))
        assert through(sent, chance if number % 2 else None) == wanted


def test_a_long_value_is_not_copied_into_its_frame() -> None:
    value = bytes(LONG)
    marked = by_itself(value)
    assert isinstance(marked, ByItself)
    assert any(buffer is value for buffer in encode_frame(("fire", marked)))
    assert by_itself(value[1:]) == value[1:]


def test_a_plain_frame_is_messagepack_behind_its_length() -> None:
    (frame,) = encode_frame(("stop", "graph"))
    body = bytes(frame)[4:]
    assert int.from_bytes(bytes(frame)[:4], "little") == len(body)
    assert msgspec.msgpack.decode(body) == ["stop", "graph"]


@pytest.mark.parametrize("sent", [0, 1, 3, 4, 5, 9, 10])
def test_unsent_gives_the_bytes_that_were_not_sent(sent: int) -> None:
    left = unsent([b"abc", b"", b"defg", b"hij"], sent)
    assert b"".join(left) == b"abcdefghij"[sent:]
    assert all(len(part) for part in left)
