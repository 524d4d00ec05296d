"""A run on devices is recorded by its ensembles: each token, once sent and once at each port that got it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from systems import Process, until

from programs import HEAD
from ticktalk import TTRuntimeManagerPhysical, compile_program
from ticktalk.cli.record import DeviceRecording
from ticktalk.language.compiler import compile_source
from ticktalk.payloads import StartContext, StopGraph
from ticktalk.physical.recording import WAITING, Noting
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.recorder import Recorder
from ticktalk.recording.replay import Replay
from ticktalk.records import Decided, Fired, Received, Recorded, Records, Repeated, Sent
from ticktalk.values.codec import decode_value, encode_value

PROGRAM = (
    HEAD
    + """
@SQify
def twice(x):
    return x * 2
@SQify
def pair(x, y):
    return [x, y]
@SQify
def parts(x):
    return [x, [x], str(x)]
@SQify
def summed(x):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + len(str(x))
    if x == 7:
        raise ValueError(x)
    return sq_state["n"]
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        tag, x = count(trigger, TTPeriod=ms(50))
        due = tag + 20000
        one, two, three = parts(x)  # they go together, and run together there
    with TTConstraint(name="b"):
        y = twice(x)
        z = RESAMPLE(TTSingleRunTimeout(twice(x), TTTimeout=30000), TTPeriod=ms(70))
        pair(z, y)
        for part in [one, two, three]:
            summed(part)
    with TTConstraint(name="a"):
        z = TTFinishByOtherwise(y, TTTimeDeadline=due, TTPlanB=late())
        return pair(z, x)
"""
)


def command(folder: Path, *more: str) -> list[str]:
    (folder / "prog.py").write_text(PROGRAM)
    return [sys.executable, "-m", "ticktalk.cli.entry", "run", str(folder / "prog.py"), "--jsonl", *more]


def test_a_run_of_two_ensembles_is_recorded_whole(tmp_path: Path) -> None:
    path, alone = tmp_path / "run.mcap", tmp_path / "outputs.mcap"
    done = subprocess.run(
        command(tmp_path, "--until", "1s", "--record", str(path), "--record-outputs", str(alone)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    outputs = [row for row in map(json.loads, done.stdout.splitlines()) if row["sq"] == "pair-2"]
    recording = read_recording(path)
    assert recording.lacks == [] and "incomplete" not in done.stderr
    (setup,) = recording.setups
    assert (setup.driver, setup.host_of["twice-1"], setup.options) == ("devices", "b", {"until": "1s"})
    records = recording.records()
    sent = {(each.arc, each.number): each for _, each in records if isinstance(each, Sent)}
    results = [each for each in sent.values() if each.sq == "pair-2"]
    assert len(outputs) >= 15
    assert [(decode_value(each.value), each.start, each.stop) for each in results] == [
        (row["value"], row["start"], row["stop"]) for row in outputs
    ]
    received = [(ensemble, each) for ensemble, each in records if isinstance(each, Received) and each.arc]
    for ensemble, each in received:
        token = sent[each.arc, each.token]
        assert (each.start, each.stop) == (token.start, token.stop)
        assert ensemble == setup.host_of[each.sq] and each.remote == (setup.host_of[token.sq] != ensemble)
    at = {(each.sq, each.number): each for _, each in received}
    for _, each in records:
        if isinstance(each, Decided) and each.sq == "pair-2":
            x, y = (sent[at["pair-2", number].arc, at["pair-2", number].token] for number in each.tokens)
            value = [decode_value(x.value), decode_value(y.value)]
            assert value in [decode_value(token.value) for token in results if token.start == each.start]
    fired = [each for _, each in records if isinstance(each, Fired)]
    assert all(each.began <= each.ended <= each.tick for each in fired)
    assert all(batch.uncertainty is not None for batch in recording.batches)
    of_manager = [each for _, each in read_recording(alone).records() if isinstance(each, Sent) and each.sq == "pair-2"]
    assert [(each.number, each.value, each.start) for each in of_manager] == [
        (number, each.value, each.start) for number, each in enumerate(results, 1)
    ]
    # The firing rules and bodies do the same again.
    replay = Replay(setup, records)
    replay.go()
    assert [str(each) for each in replay.finish()] == [] and sum(replay.tokens.values()) == len(sent)


def test_a_recording_opens_when_the_run_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    run = subprocess.Popen(command(tmp_path, "--record", str(path)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def there() -> bool:
        try:
            return len(read_recording(path).records()) > 50
        except Exception:
            return False

    try:
        until(there, "records are in the file")
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait(60)
    assert run.stdout is not None
    run.stdout.close()
    assert read_recording(path).lacks == ["the end: it was cut off"]


def start(record: bool = True) -> StartContext:
    return StartContext("prog", 1, 0, {}, record=record)


def batches(sent: list[Recorded]) -> list[Records]:
    return [msgspec.msgpack.decode(each.data, type=Records) for each in sent]


def test_the_timekeeper_notes_no_more_than_has_room_and_the_rest_is_counted() -> None:
    sent: list[Recorded] = []
    noting = Noting("a", lambda: 5, sent.append)
    assert noting.tap(start(record=False)) is None
    noting._wake.wait = lambda timeout: time.sleep(0.01)  # type: ignore[method-assign, assignment]
    noted: Any = None
    tap = noting.tap(start())
    assert tap is not None
    (noted,) = noting._noted.values()
    token = Sent(5, "x-1", "x-1/0", 1, 0, 10, encode_value(1))
    for _ in range(2 * WAITING):
        noted.note(token)
    noting.stop(StopGraph("prog"))
    until(lambda: bool(sent) and sent[-1].last, "all is sent")
    noting.close()
    kept = sum(len(batch.records) for batch in batches(sent))
    missing = sum(count for batch in batches(sent) for count in batch.missing.values())
    assert kept >= WAITING and kept + missing == 2 * WAITING
    assert {arc for batch in batches(sent) for arc in batch.missing} <= {"x-1/0"}
    assert all(len(batch.records) <= 2000 for batch in batches(sent))


def test_the_manager_tells_what_did_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticktalk.recording.recorder.WAIT", 0.05)
    graph = compile_source(PROGRAM, "prog.py", "prog")
    recorder = Recorder(RecordingWriter(tmp_path / "run.mcap"), {})
    recorder.begin(start(), graph, {"count-1": "a", "twice-1": "b"})
    encode = msgspec.msgpack.encode
    token = Sent(5, "x-1", "x-1/0", 1, 0, 10, encode_value(1))
    recorder.take(Recorded("prog", 1, "a", encode(Records("prog", 1, "a", 0, 1, [token])), True))
    recorder.take(Recorded("prog", 1, "c", b"no records"))
    recorder.take(Recorded("prog", 1, "c", encode(Records("prog", 1, "a", 0, 1, [token]))))
    many = Repeated(5, "x-1", [token], [token], 60_000)
    recorder.take(Recorded("prog", 1, "c", encode(Records("prog", 1, "c", 0, 1, [many]))))
    lacks = recorder.finish()
    assert lacks == [
        "what ensemble 'b' noted last of context 1: it did not send it",
        "3 parcels of records of c, which could not be written or read",
    ]
    recording = read_recording(tmp_path / "run.mcap")
    assert recording.lacks == lacks and len(recording.records()) == 1
    assert os.stat(tmp_path / "run.mcap").st_mode & 0o077 == 0


def test_last_records_are_waited_for_while_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(RecordingWriter(tmp_path / "run.mcap"), {})
    recorder.begin(start(), compile_source(PROGRAM, "prog.py", "prog"), {"count-1": "a"})
    numbers = iter(range(1, 4))

    class Waits(threading.Event):
        """Each wait lasts as long as may be, and some records come meanwhile."""

        def wait(self, timeout: float | None = None) -> bool:
            number = next(numbers)
            token = Sent(5, "x-1", "x-1/0", number, 0, 10, encode_value(1))
            batch = msgspec.msgpack.encode(Records("prog", 1, "a", number - 1, 1, [token]))
            recorder.take(Recorded("prog", 1, "a", batch, number == 3))
            return self.is_set()

    monkeypatch.setattr(recorder, "_settled", Waits())
    assert recorder.finish() == []
    assert len(read_recording(tmp_path / "run.mcap").records()) == 3


def test_a_running_system_is_explained_from_what_its_manager_records(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(re.sub('name="[ab]"', 'name="runtime-manager"', PROGRAM))
    outputs: list[Any] = []

    def explain(*words: str) -> Process:
        asked = Process("explain", "--manager", manager.address, *words, cwd=tmp_path)
        asked.wait()
        return asked

    with TTRuntimeManagerPhysical(None, "127.0.0.1", 0, 0, workers=0) as manager, ExitStack() as stack:
        unknown = explain("pair-2@1s")
        assert "does not record, so tokens that have gone are not known" in unknown.said
        assert "ticktalk manager --record FILE.mcap" in unknown.said
        recording = DeviceRecording(tmp_path / "run.mcap", manager, {})
        stack.callback(recording.finish)
        manager.on_output(outputs.append)
        graph = compile_program(tmp_path / "prog.py")
        manager.instantiate_and_map_graph(graph)
        manager.execute_graph(graph)
        stack.callback(manager.stop_graph, graph)
        until(lambda: len(outputs) > 60, "outputs of more than a second have come")
        token = next(token for token in outputs if token.sq == "pair-2")
        until(lambda: len(read_recording(tmp_path / "run.mcap").records()) > 50, "records are in the file")
        told = explain(f"pair-2@{token.start + 1}")
        assert "the run goes on; it is recorded up to" in told.said and "incomplete" not in told.said
        text = "\n".join(told.out)
        assert f"pair-2 gave {token.value!r} on" in text and "y: count-1" in text
