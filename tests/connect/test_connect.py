"""Drivers for MQTT, files with times, rosbag2, serial lines and HTTP, each beside the real thing."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter
from rosbags.typesys import Stores, get_typestore

from ticktalk import TTEmpty
from ticktalk.connect import http
from ticktalk.connect.http import Http, HttpInbox
from ticktalk.connect.mqtt import Mqtt
from ticktalk.connect.newest import Newest
from ticktalk.connect.playback import CsvPlayback, McapPlayback, ParquetPlayback, Playback, RosbagPlayback
from ticktalk.connect.serial_line import SerialLine
from ticktalk.errors import TTError
from ticktalk.testing import run

LIMIT = 30.0

PROGRAM = """
from ticktalk import *

@STREAMify
def sample(trigger):
    return component("source").at(firing().instant)

@SQify
def send(value):
    component("sink").send(value)
    return value

@GRAPHify
def play(trigger):
    return sample(trigger, TTPeriod=ms(100))
"""


def until(read: Callable[[], Any]) -> Any:
    """The first value that is read, within a limit."""
    end = time.monotonic() + LIMIT
    while isinstance(value := read(), TTEmpty):
        assert time.monotonic() < end
        time.sleep(0.01)
    return value


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "play.py").write_text(PROGRAM)
    return tmp_path / "play.py"


# Playback: the instants are 100 ms, 200 ms, ...; the first is the time of the first recorded value.

ROWS = [(5_000_000, 1), (5_100_000, 2), (5_250_000, 3), (5_290_000, 4), (5_500_000, 5)]
AT_INSTANTS = {100_000: 1, 200_000: 2, 400_000: 4, 600_000: 5}
"""By instant, the newest row that is new: at 300 ms there is none, at 400 ms there are two."""


def played(program: Path, source: Playback) -> dict[int, Any]:
    done = run(program, until="750ms", component={"runtime-manager.source": source}, ensemble=["runtime-manager"])
    done.assert_no_errors()
    return {int(token.start + token.stop) // 2: token.value for token in done.outputs}


def test_rows_come_at_their_recorded_times(program: Path) -> None:
    assert played(program, Playback(reversed(ROWS))) == AT_INSTANTS


def test_a_value_may_be_held(program: Path) -> None:
    held = {100_000: 1, 200_000: 2, 300_000: 2, 400_000: 4, 500_000: 4, 600_000: 5, 700_000: 5}
    assert played(program, Playback(ROWS, hold=True)) == held


def test_a_csv_file_is_played(program: Path, tmp_path: Path) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([["t", "value", "name"], *([at / 1000, value, f"2026_{value}"] for at, value in ROWS)])
    assert played(program, CsvPlayback(tmp_path / "rows.csv", "t", "ms", "value")) == AT_INSTANTS
    rows = played(program, CsvPlayback(tmp_path / "rows.csv", "t", "ms"))
    assert rows[400_000] == {"t": 5290.0, "value": 4, "name": "2026_4"}


def test_a_parquet_file_is_played(program: Path, tmp_path: Path) -> None:
    table = pyarrow.table({"t": [at * 1000 for at, _ in ROWS], "value": [value for _, value in ROWS]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    assert played(program, ParquetPlayback(tmp_path / "rows.parquet", "t", "ns", "value")) == AT_INSTANTS


def write_mcap(path: Path, **options: bool) -> None:
    """Write the rows as messages of `/value`, beside others of `/other`."""
    with path.open("wb") as file:
        writer = McapWriter(file, **options)
        writer.start()
        schema = writer.register_schema("any", "jsonschema", b"{}")
        channel = writer.register_channel("/value", "json", schema)
        other = writer.register_channel("/other", "json", schema)
        for at, value in ROWS:
            writer.add_message(channel, at * 1000, json.dumps(value).encode(), at * 1000)
            writer.add_message(other, at * 1000, b"99", at * 1000)
        writer.finish()


def test_an_mcap_file_is_played(program: Path, tmp_path: Path) -> None:
    write_mcap(tmp_path / "rows.mcap")
    assert played(program, McapPlayback(tmp_path / "rows.mcap", "/value")) == AT_INSTANTS
    with pytest.raises(TTError, match="no topic '/none'; there are: /other, /value"):
        McapPlayback(tmp_path / "rows.mcap", "/none")


def test_an_mcap_file_whose_summary_names_no_topics_is_played(program: Path, tmp_path: Path) -> None:
    write_mcap(tmp_path / "rows.mcap", use_chunking=False, repeat_channels=False)
    assert played(program, McapPlayback(tmp_path / "rows.mcap", "/value")) == AT_INSTANTS


@pytest.mark.parametrize("storage", [StoragePlugin.SQLITE3, StoragePlugin.MCAP])
def test_a_rosbag_is_played(program: Path, tmp_path: Path, storage: StoragePlugin) -> None:
    store = get_typestore(Stores.LATEST)
    vector, stamp = store.types["geometry_msgs/msg/Vector3"], store.types["builtin_interfaces/msg/Time"]
    imu, header = store.types["geometry_msgs/msg/Vector3Stamped"], store.types["std_msgs/msg/Header"]
    with BagWriter(tmp_path / "bag", version=9, storage_plugin=storage) as bag:
        connection = bag.add_connection("/imu", imu.__msgtype__, typestore=store)
        for at, value in ROWS:
            message = imu(header(stamp(sec=at // 1_000_000, nanosec=0), frame_id="car"), vector(float(value), 0.0, 1.0))
            bag.write(connection, at * 1000, store.serialize_cdr(message, imu.__msgtype__))
    got = played(program, RosbagPlayback(tmp_path / "bag", "/imu"))
    assert {at: value["vector"]["x"] for at, value in got.items()} == AT_INSTANTS
    assert got[600_000]["header"] == {"stamp": {"sec": 5, "nanosec": 0}, "frame_id": "car"}
    with pytest.raises(TTError, match="no topic '/lidar'; there are: /imu"):
        RosbagPlayback(tmp_path / "bag", "/lidar")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("time",), "no column 'time'; there are: t, value, endless, far, years, farther"),
        (("t", "h"), "the unit of time 'h' is not one of ns, us, ms, s, min"),
        (("value",), "row 1: value is 'x', and no number"),
        (("t", "us", "speed"), "no column 'speed'"),
        (("endless",), "row 1: endless is inf, and no number"),
        (("far",), "row 1: far is too far: times reach to 2305843009213693952 microseconds"),
        (("years", "min"), "row 1: years is too far"),
        (("farther",), "row 1: farther is too far"),
    ],
)
def test_mistakes_in_a_file_are_told(options: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(f"t,value,endless,far,years,farther\n5,x,inf,1e308,{2**60},1{'0' * 400}\n")
    with pytest.raises(TTError, match=told):
        CsvPlayback(tmp_path / "rows.csv", *options)
    (tmp_path / "empty.csv").write_text("t,value\n")
    with pytest.raises(TTError, match=r"empty.csv: there is nothing to play"):
        CsvPlayback(tmp_path / "empty.csv", "t")


def test_a_damaged_file_is_told_or_played_as_it_was(tmp_path: Path) -> None:
    write_mcap(tmp_path / "rows.mcap")
    pyarrow.parquet.write_table(pyarrow.table({"t": [1, 2]}), tmp_path / "rows.parquet")
    plays: list[tuple[str, Callable[[Path], Playback]]] = [
        ("rows.mcap", lambda path: McapPlayback(path, "/value")),
        ("rows.parquet", lambda path: ParquetPlayback(path, "t")),
    ]
    for name, play in plays:
        whole, told = (tmp_path / name).read_bytes(), 0
        expected = play(tmp_path / name)
        for at in range(0, len(whole), 11):
            for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :]):
                (tmp_path / name).write_bytes(damaged)
                try:
                    found = play(tmp_path / name)
                except TTError as error:
                    told += 1
                    assert name in str(error)
                else:
                    same = found._times == expected._times and found._values == expected._values
                    assert same or name == "rows.parquet", "its pages have no checksums"
        assert told > 20
    (tmp_path / "rows.csv").write_bytes(b"t,value\n1,\xb1\n")
    with pytest.raises(TTError, match=r"rows.csv: it cannot be read as CSV \(UnicodeDecodeError: .*it is damaged"):
        CsvPlayback(tmp_path / "rows.csv", "t")


@pytest.mark.parametrize("play", [CsvPlayback, ParquetPlayback, McapPlayback, RosbagPlayback])
def test_a_file_that_is_not_there_is_told_with_the_folder(play: Any) -> None:
    told = f"none: there is nothing of this name in the current folder, {os.getcwd()}"
    with pytest.raises(TTError, match=re.escape(told)):
        play("none", "t")


# MQTT, beside a Mosquitto broker.


@contextmanager
def served(folder: Path, access: str) -> Iterator[int]:
    """A broker, by its port; `access` is the line of its settings that says which clients may connect."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\n{access}\n")
    path = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert path is not None, "install Debian's package mosquitto"
    process = subprocess.Popen([path, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(LIMIT)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with served(tmp_path_factory.mktemp("broker"), "allow_anonymous true") as port:
        yield port


def test_values_go_by_a_broker(broker: int) -> None:
    reader, writer = Mqtt(port=broker, topic="car/+"), Mqtt(port=broker)
    try:
        end = time.monotonic() + LIMIT
        while isinstance(got := reader.read(), TTEmpty):  # until it has subscribed
            assert time.monotonic() < end
            with suppress(OSError):  # until it has connected
                writer.publish("car/speed", {"mps": 12.5})
            time.sleep(0.05)
        assert got == {"mps": 12.5}
        writer.publish("bus/speed", 1)
        writer.publish("car/raw", b"[" * 100_000)  # no JSON: too deep
        writer.publish("car/raw", b"\xff\x00")
        assert until(lambda: got if (got := reader.read()) == b"\xff\x00" else TTEmpty()) == b"\xff\x00"
        with pytest.raises(TypeError):
            writer.publish("car/speed", {1, 2})
    finally:
        reader.close()
        writer.close()


def test_a_broker_that_refuses_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(tmp_path, "allow_anonymous false") as port:
        stranger = Mqtt(port=port, topic="car/+")
        try:
            until(lambda: "refuses" in caplog.text or TTEmpty())
        finally:
            stranger.close()
    assert f"the MQTT broker at 127.0.0.1:{port} refuses the connection: Not authorized" in caplog.text


def test_a_broker_that_is_not_there_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    told = "no MQTT broker answers at 127.0.0.1:1: it is tried again and again"
    lonely = Mqtt(port=1, topic="car/+")
    try:
        until(lambda: told in caplog.text or TTEmpty())
        lonely._found_none(lonely._client, None)  # as after each further try, a second later and more
        assert caplog.text.count(told) == 1
    finally:
        lonely.close()


def test_without_a_broker_values_wait_bounded() -> None:
    lonely = Mqtt(port=1, qos=1, most=5)
    try:
        assert isinstance(lonely.read(), TTEmpty)
        with pytest.raises(OSError, match="too many values wait for a connection"):
            for number in range(100):
                lonely.publish("car/speed", number)
    finally:
        lonely.close()


def test_without_a_broker_a_value_that_may_be_lost_is_told_to_be() -> None:
    lonely = Mqtt(port=1)
    try:
        with pytest.raises(OSError, match="car/speed: not sent, for there is no connection"):
            lonely.publish("car/speed", 1)
    finally:
        lonely.close()


# A serial line, beside a pty.


def test_the_newest_whole_line_is_read_and_lines_are_sent() -> None:
    ours, theirs = pty.openpty()
    line = SerialLine(os.ttyname(theirs))
    try:
        assert isinstance(line.read(), TTEmpty)
        os.write(ours, b"1.5\n2.5\r\n3.")
        assert until(line.read) == "2.5"
        assert isinstance(line.read(), TTEmpty)
        os.write(ours, b"25\n")
        assert until(line.read) == "3.25"
        line.write("on")
        assert os.read(ours, 100) == b"on\n"
    finally:
        line.close()
        os.close(ours)
        os.close(theirs)


# HTTP, beside the server of Python.


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any]]]:
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"/json": b'{"celsius": 20.5}', "/text": b"warm", "/long": b"x" * (2 << 20)}[self.path])

        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b'"thanks"')

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    made = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=made.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{made.server_address[1]}", posted
    made.shutdown()
    made.server_close()


def test_pages_are_read_and_values_posted(server: tuple[str, list[Any]]) -> None:
    url, posted = server
    assert Http(f"{url}/json").read() == {"celsius": 20.5}
    assert Http(f"{url}/text").read() == "warm"
    with pytest.raises(ValueError, match="longer than"):
        Http(f"{url}/long").read()
    assert Http(f"{url}/json").post([1, 2]) == "thanks" and posted == [[1, 2]]
    with pytest.raises(OSError, match="refused"):
        Http("http://127.0.0.1:1/").read()
    with socket.create_server(("127.0.0.1", 0)) as wrong:
        Thread(target=lambda: wrong.accept()[0].sendall(b"no answer of HTTP\r\n\r\n"), daemon=True).start()
        with pytest.raises(OSError, match=r"breaks off|BadStatusLine|reset"):
            Http(f"http://127.0.0.1:{wrong.getsockname()[1]}/").read()
    with pytest.raises(TTError, match="begins with http"):
        Http("file:///etc/passwd")


def test_an_inbox_takes_what_others_post() -> None:
    inbox = HttpInbox()
    try:
        address = f"http://127.0.0.1:{inbox.port}/"
        Http(address).post({"n": 1})
        Http(address).post({"n": 2})
        assert inbox.read() == {"n": 2} and isinstance(inbox.read(), TTEmpty)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(urllib.request.Request(address, b"no json"), timeout=LIMIT)
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(urllib.request.Request(address, b"[" * 100_000), timeout=LIMIT)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            Http(address, headers={"Origin": "https://example.org"}).post({"n": 3})
        assert isinstance(inbox.read(), TTEmpty)
    finally:
        inbox.close()


def test_an_inbox_without_a_thread_for_a_connection_refuses_that_one_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 1)
    inbox = HttpInbox()
    address = f"http://127.0.0.1:{inbox.port}/"

    def no_thread(*_: Any, **__: Any) -> Any:
        raise RuntimeError("can't start new thread")

    try:
        with monkeypatch.context() as patched:
            patched.setattr(ThreadingHTTPServer, "process_request", no_thread)
            for _ in range(3):
                with pytest.raises(OSError):
                    Http(address).post({"n": 1})
        assert inbox.refused == 3
        Http(address).post({"n": 2})
        assert inbox.read() == {"n": 2}
    finally:
        inbox.close()


def test_a_connection_to_an_inbox_that_breaks_off_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    inbox = HttpInbox()
    ended = Event()
    shut = inbox._server.shutdown_request
    inbox._server.shutdown_request = lambda request: (shut(request), ended.set())[0]  # type: ignore[method-assign]
    try:
        other = socket.create_connection(("127.0.0.1", inbox.port), LIMIT)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # its end is a reset
        other.sendall(b"POST / HTTP/1.0\r\nContent-Length: 100\r\n\r\n{")
        other.close()
        assert ended.wait(LIMIT)
    finally:
        inbox.close()
    assert capfd.readouterr() == ("", "")


def test_an_inbox_serves_so_many_connections_and_goes_on_when_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 3)
    inbox = HttpInbox()
    inbox._server.RequestHandlerClass.timeout = 600  # type: ignore[attr-defined]
    idle = [socket.create_connection(("127.0.0.1", inbox.port), LIMIT) for _ in range(7)]
    try:
        assert [connection.recv(1) for connection in idle[3:]] == [b""] * 4, "they are closed at once"
        assert inbox.refused == 4
        for connection in idle:
            connection.close()
        address = f"http://127.0.0.1:{inbox.port}/"

        def taken() -> bool:
            try:
                Http(address).post({"n": 1})
            except OSError:  # the threads of the idle ones have not ended yet
                return False
            return True

        end = time.monotonic() + LIMIT
        while not taken():
            assert time.monotonic() < end
        assert inbox.read() == {"n": 1}
    finally:
        for connection in idle:
            connection.close()
        inbox.close()


def test_values_that_find_no_room_are_counted() -> None:
    newest = Newest(most=3)
    for number in range(5):
        newest.put(number)
    assert newest.dropped == 2
    assert newest.read_all() == [2, 3, 4] and newest.read_all() == []


def test_numpy_values_cross_as_they_are(program: Path) -> None:
    got = played(program, Playback([(0, np.arange(3))]))
    assert got[100_000].tolist() == [0, 1, 2]
