"""Zenoh from Python without us: a process that publishes, and one whose callback takes.

Both are peers as plain as can be. The publisher waits when the subscriber does not follow, as a token must not be lost.
A callback is "direct" (in Zenoh's own thread: the least latency) or not (Zenoh's default, in a Python thread that takes
from a queue: many times the messages a second, as Zenoh need not ask for the interpreter's lock for each).
`python -m benchmarks.raw_zenoh ...` are the two processes.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy
import zenoh

from benchmarks.measure import Failure, Latencies
from ticktalk.physical.network.zenoh_link import tls_settings
from ticktalk.physical.trust.authority import init_authority, issue
from ticktalk.physical.trust.credentials import Credentials

RAW_BYTES = 64
LARGE = 10_000
"""Bytes from which a message is taken for an array."""
COMMAND = [sys.executable, "-m", "benchmarks.raw_zenoh"]


def latencies(period: int, seconds: float, bundle: str = "") -> Latencies:
    """From a put to the callback, one message every `period` microseconds; over TLS, if there is a bundle of keys."""
    return Latencies.of(_pair("grid", int(seconds * 1e6) // period, RAW_BYTES, period, bundle))


def bundle(folder: str) -> str:
    """Keys for both processes, in a folder."""
    keys = Path(folder) / "keys"
    init_authority(keys)
    return str(issue(keys, "zenoh", ["127.0.0.1"]))


def messages_per_second(size: int, seconds: float, direct: bool) -> float:
    """Messages of `size` bytes that reach the callback, published one after the other as fast as it goes."""
    (rate,) = _pair("flood", seconds, size, int(direct))
    return rate


def _pair(kind: str, *arguments: float | str) -> list[float]:
    words = [kind, *map(str, arguments)]
    with subprocess.Popen([*COMMAND, "take", *words], stdout=subprocess.PIPE, text=True) as taker:
        assert taker.stdout is not None
        port = taker.stdout.readline().strip()
        with subprocess.Popen([*COMMAND, "give", port, *words]) as giver:
            text = taker.stdout.readline()
        taker.wait(10)
        giver.wait(10)
    if not text:
        raise Failure("Zenoh alone: the process that subscribes gave no figures")
    figures: list[float] = json.loads(text)
    return figures


def _session(way: str, port: str, bundle: str) -> zenoh.Session:
    """A session that listens or connects (`way`) on a port."""
    config = zenoh.Config()
    config.insert_json5("mode", '"peer"')
    for each in ("listen", "connect"):
        endpoints = [f"{'tls' if bundle else 'tcp'}/127.0.0.1:{port}"] if each == way else []
        config.insert_json5(f"{each}/endpoints", json.dumps(endpoints))
    config.insert_json5("scouting/multicast/enabled", "false")
    for key, value in (tls_settings(Credentials.load(bundle).tls) if bundle else {}).items():
        config.insert_json5(key, json.dumps(value))
    return zenoh.open(config)


def _publisher(port: str, express: bool, bundle: str = "") -> tuple[zenoh.Session, zenoh.Publisher]:
    session = _session("connect", port, bundle)
    publisher = session.declare_publisher("bench", express=express, congestion_control=zenoh.CongestionControl.BLOCK)
    limit = time.monotonic() + 10
    while not publisher.matching_status.matching:
        if time.monotonic() > limit:
            raise SystemExit("Zenoh alone: no subscriber in 10 s")
        time.sleep(0.01)
    return session, publisher


def give_grid(port: str, count: int, size: int, period: int, bundle: str) -> None:
    """Publish `count` messages, one a period, each beginning with when it was published."""
    session, publisher = _publisher(port, express=True, bundle=bundle)
    at = time.monotonic()
    for _ in range(count):
        at += period / 1e6
        time.sleep(max(0.0, at - time.monotonic()))
        publisher.put(time.monotonic_ns().to_bytes(8, "little").ljust(size, b"\0"))
    time.sleep(0.5)
    session.close()


def give_flood(port: str, seconds: float, size: int) -> None:
    """Publish without a pause; small messages may share a packet, as Zenoh does of itself."""
    session, publisher = _publisher(port, express=False)
    message = bytes(size)
    until = time.monotonic() + seconds + 0.5
    while time.monotonic() < until:
        for _ in range(100 if size < LARGE else 1):
            publisher.put(message)
    session.close()


def take_grid(count: int, bundle: str) -> list[float]:
    """How many microseconds each message took."""
    took: list[float] = []

    def arrived(sample: zenoh.Sample) -> None:
        now = time.monotonic_ns()
        took.append((now - int.from_bytes(sample.payload.to_bytes()[:8], "little")) / 1000)

    session = _listening(arrived, direct=True, bundle=bundle)
    limit = time.monotonic() + 60
    while len(took) < count and time.monotonic() < limit:
        time.sleep(0.05)
    session.close()
    return took


def take_flood(seconds: float, direct: bool, large: bool) -> list[float]:
    """Messages a second, over so many seconds from 0.3 s after the first."""
    counted = 0

    def arrived(sample: zenoh.Sample) -> None:
        nonlocal counted
        received = sample.payload.to_bytes()
        if large:
            numpy.frombuffer(received)
        counted += 1

    session = _listening(arrived, direct)
    limit = time.monotonic() + 30
    while not counted and time.monotonic() < limit:
        time.sleep(0.01)
    time.sleep(0.3)
    began, first = time.monotonic(), counted
    time.sleep(seconds - 0.3)
    figure = (counted - first) / (time.monotonic() - began)
    session.close()
    return [figure]


def _listening(arrived: object, direct: bool, bundle: str = "") -> zenoh.Session:
    """A session with a subscriber; its port is printed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    session = _session("listen", str(port), bundle)
    session.declare_subscriber("bench", zenoh.handlers.Callback(arrived, indirect=not direct))
    print(port, flush=True)
    return session


def main(arguments: list[str]) -> None:
    """One of the two processes."""
    match arguments:
        case ["take", "grid", count, _, _, bundle]:
            print(json.dumps(take_grid(int(count), bundle)), flush=True)
        case ["take", "flood", seconds, size, direct]:
            print(json.dumps(take_flood(float(seconds), direct == "1", int(size) >= LARGE)), flush=True)
        case ["give", port, "grid", count, size, period, bundle]:
            give_grid(port, int(count), int(size), int(period), bundle)
        case ["give", port, "flood", seconds, size, _]:
            give_flood(port, float(seconds), int(size))


if __name__ == "__main__":
    main(sys.argv[1:])
