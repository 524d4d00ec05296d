"""Links that suffer: IP packets pass from one host to another through this process, which delays, drops, copies them.

It does what `tc netem` does, on systems without it, and with the same faults from the same seed. Both ends of a link
are TUN devices in network namespaces. The rules stand in a file (`Rule`), and may change at any time.
"""

from __future__ import annotations

import fcntl
import heapq
import mmap
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

RULE = struct.Struct("=ddddd")

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

LONGEST = 65_536
"""Bytes of a packet at most."""


class Rule(NamedTuple):
    """What a link does to packets, in each direction.

    Attributes:
        delay, jitter: milliseconds.
        loss, copied, overtakes: the part of the packets that is lost, comes twice, goes without delay.
    """

    delay: float = 0
    jitter: float = 0
    loss: float = 0
    copied: float = 0
    overtakes: float = 0


class Links:
    """The process through which all packets go, and the devices at its ends.

    Args:
        rules: the file of the rules.
        ends: by link, the namespace and the name of the device at each end.
        seed: of what happens to packets.
    """

    def __init__(self, rules: Path, ends: Sequence[tuple[tuple[str, str], tuple[str, str]]], seed: int = 1) -> None:
        self._rules = rules
        rules.write_bytes(bytes(RULE.size * len(ends)))
        descriptors = []
        for number, link in enumerate(ends):
            for side, (namespace, device) in enumerate(link):
                descriptor = os.open("/dev/net/tun", os.O_RDWR)
                descriptors.append(descriptor)
                name = f"tt{os.getpid()}{number}{side}"
                fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
                move = ["ip", "link", "set", name, "netns", namespace, "name", device]
                subprocess.run(move, check=True, capture_output=True, timeout=20)
        numbers = [str(descriptor) for descriptor in descriptors]
        command = [sys.executable, __file__, str(rules), str(seed), *numbers]
        self._process = subprocess.Popen(command, pass_fds=descriptors)
        for descriptor in descriptors:
            os.close(descriptor)

    def set(self, link: int, rule: Rule) -> None:
        """Give a link another rule."""
        with open(self._rules, "r+b") as file:
            file.seek(link * RULE.size)
            file.write(RULE.pack(*rule))

    def end(self) -> None:
        """End the process; the devices go with it."""
        self._process.kill()
        self._process.wait(20)


def serve(rules: str, seed: int, descriptors: list[int]) -> None:
    """Pass packets on, for ever."""
    with open(rules, "rb") as file:
        known = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    chance = random.Random(seed)
    to = {end: descriptors[place ^ 1] for place, end in enumerate(descriptors)}
    link = {end: place // 2 for place, end in enumerate(descriptors)}
    waiting: list[tuple[float, int, int, bytes]] = []  # when it is due, its number, where to, the packet
    last = dict.fromkeys(descriptors, 0.0)
    number = 0
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    while True:
        wait = None if not waiting else max(0.0, (waiting[0][0] - time.monotonic()) * 1000)
        for end, _ in poll.poll(wait):
            packet = os.read(end, LONGEST)
            delay, jitter, loss, copied, overtakes = RULE.unpack_from(known, link[end] * RULE.size)
            if chance.random() < loss:
                continue
            for _ in range(1 + (chance.random() < copied)):
                due = time.monotonic() + max(0.0, delay + chance.uniform(-jitter, jitter)) / 1000
                if chance.random() < overtakes:
                    due = time.monotonic()
                else:
                    due = last[end] = max(last[end], due)
                number += 1
                heapq.heappush(waiting, (due, number, to[end], packet))
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, end, packet = heapq.heappop(waiting)
            try:
                os.write(end, packet)
            except OSError:
                pass  # that end is down


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), [int(number) for number in sys.argv[3:]])
