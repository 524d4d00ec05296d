"""A timeline for Perfetto, read by Perfetto's own Python library; a recording as tables."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from typer.testing import CliRunner

from ticktalk.cli.main import app_of
from ticktalk.errors import TTError

PROGRAM = """
import numpy
from ticktalk import *

@STREAMify
def fast(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]

@STREAMify
def slow(trigger):
    return numpy.arange(3)

@SQify
def both(x, y):
    if x == 8:
        raise ValueError("eight")
    return x + int(y[2])

@GRAPHify
def main(trigger):
    with TTClock.root() as clock:
        with TTConstraint(name="a"):
            x = fast(trigger, TTClock=clock, TTPeriod=100000, TTPhase=0, TTDataIntervalWidth=50000)
        with TTConstraint(name="b"):
            y = slow(trigger, TTClock=clock, TTPeriod=200000, TTPhase=0, TTDataIntervalWidth=50000)
            return both(x, y)
"""


def ticktalk(*words: object) -> Any:
    found = CliRunner().invoke(app_of([str(words[0])]), [str(word) for word in words])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "prog.py"
    path.write_text(PROGRAM)
    return path


def read(path: Path) -> tuple[dict[int, Any], list[Any]]:
    """The tracks of a trace by number, and its events in order."""
    trace = Trace()
    trace.ParseFromString(path.read_bytes())
    tracks = {
        packet.track_descriptor.uuid: packet.track_descriptor
        for packet in trace.packet
        if packet.HasField("track_descriptor")
    }
    return tracks, [packet for packet in trace.packet if packet.HasField("track_event")]


def test_each_firing_is_a_slice_and_each_token_an_arrow(program: Path, tmp_path: Path) -> None:
    ticktalk("simulate", program, "--until", "1050ms", "--network-delay", "5ms", "--trace", tmp_path / "run.pftrace")
    tracks, events = read(tmp_path / "run.pftrace")
    assert {track.process.process_name for track in tracks.values() if track.HasField("process")} == {"a", "b"}
    begun: dict[str, list[Any]] = defaultdict(list)
    open_slices = set()
    flows: dict[int, list[str]] = defaultdict(list)
    for packet in events:
        event, track = packet.track_event, tracks[packet.track_event.track_uuid]
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            place = tracks[track.parent_uuid].process.process_name, track.name
            assert place in {("a", "fast-1"), ("b", "slow-1"), ("b", "both-1")}
            assert track.uuid not in open_slices
            open_slices.add(track.uuid)
            begun[event.name].append(packet)
            for flow in event.flow_ids:
                flows[flow].append(event.name)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            open_slices.remove(track.uuid)
    assert not open_slices
    # By hand: instants at 0.1, 0.2, ... 1.0 s and 0.2, 0.4, ... 1.0 s; both meet 5 times, 5 ms later.
    assert {sq: [packet.timestamp // 1_000_000 for packet in packets] for sq, packets in begun.items()} == {
        "fast-1": [100 * k for k in range(1, 11)],
        "slow-1": [200 * k for k in range(1, 6)],
        "both-1": [200 * k + 5 for k in range(1, 6)],
    }
    notes = [
        {note.name: note.string_value for note in packet.track_event.debug_annotations} for packet in begun["both-1"]
    ]
    assert [note["outcome"] for note in notes] == ["sent", "sent", "sent", "failed", "sent"]
    assert notes[0]["interval"].startswith("[175ms, 225ms)")
    arrows = [ends for ends in flows.values() if len(ends) == 2]
    assert sorted(arrows) == [["fast-1", "both-1"]] * 5 + [["slow-1", "both-1"]] * 5
    instants = [packet.track_event.name for packet in events if packet.track_event.type == TrackEvent.TYPE_INSTANT]
    assert instants == ["errors"]


DEADLINES = """
from ticktalk import *

@STREAMify
def read(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return TTEmpty() if sq_state["n"] == 2 else sq_state["n"]

@SQify
def late(n):
    return -1

@SQify
def use(x):
    return x

@GRAPHify
def main(trigger):
    with TTClock.root() as clock:
        tag, x = read(trigger, TTClock=clock, TTPeriod=100000)
        return use(TTFinishByOtherwise(x, TTTimeDeadline=tag + 50000, TTPlanB=late(tag)))
"""


def test_arrows_lead_past_deadlines_and_from_plan_b(tmp_path: Path) -> None:
    (tmp_path / "prog.py").write_text(DEADLINES)
    ticktalk("simulate", tmp_path / "prog.py", "--until", "350ms", "--trace", tmp_path / "run.pftrace")
    ends: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for packet in read(tmp_path / "run.pftrace")[1]:
        for flow in packet.track_event.flow_ids:
            ends[flow].append((packet.track_event.name, packet.timestamp // 1_000_000))
    to_use = [flow for flow in ends.values() if len(flow) == 2 and flow[-1][0] == "use-1"]
    assert sorted(to_use, key=lambda flow: flow[-1][1]) == [
        [("read-1", 100), ("use-1", 100)], [("late-1", 250), ("use-1", 250)], [("read-1", 300), ("use-1", 300)]
    ]  # fmt: skip


def test_a_recording_is_a_table_of_all_its_tokens(program: Path, tmp_path: Path) -> None:
    run = tmp_path / "run.mcap"
    ticktalk("simulate", program, "--until", "450ms", "--record", run, "--trace", tmp_path / "run.pftrace")
    assert read(tmp_path / "run.pftrace")[1], "a recording and a timeline of one run"
    rows = list(csv.DictReader(io.StringIO(ticktalk("export", run, "--to", "csv").stdout)))
    assert [row["value"] for row in rows if row["sq"] == "fast-1"] == ["1", "2", "3", "4"]
    assert [[row[f"value[{k}]"] for k in range(3)] for row in rows if row["sq"] == "slow-1"] == [["0", "1", "2"]] * 2
    assert [(row["arc"], row["value"], row["start"], row["ensemble"]) for row in rows if row["sq"] == "both-1"] == [
        ("both-1/0", "4", "175000", "b"), ("both-1/0", "6", "375000", "b")
    ]  # fmt: skip
    again = tmp_path / "again.pftrace"
    ticktalk("export", run, "--to", "pftrace", "-o", again)
    assert again.read_bytes() == (tmp_path / "run.pftrace").read_bytes()


def test_a_log_becomes_an_mcap_file(program: Path, tmp_path: Path) -> None:
    from mcap.reader import make_reader

    ticktalk("simulate", program, "--until", "450ms", "--log", tmp_path / "out.jsonl")
    ticktalk("export", tmp_path / "out.jsonl", "--to", "mcap", "-o", tmp_path / "out.mcap")
    with open(tmp_path / "out.mcap", "rb") as file:
        messages = [
            (channel.metadata["sq"], json.loads(message.data))
            for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages()
            if channel.message_encoding == "json"
        ]
    assert [(message["value"], sq, message["start"]) for sq, message in messages] == [
        (4, "both-1", 175_000), (6, "both-1", 375_000)
    ]  # fmt: skip


def test_a_file_that_cannot_be_a_timeline_or_a_table_is_named(program: Path, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_text("")
    with pytest.raises(TTError, match="a timeline is made of a recording"):
        ticktalk("export", tmp_path / "out.jsonl", "--to", "pftrace", "-o", tmp_path / "x.pftrace")
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + b"\x01" * 40)
    with pytest.raises(TTError, match=r"bad\.mcap: not a recording"):
        ticktalk("export", tmp_path / "bad.mcap", "--to", "csv")
    with pytest.raises(TTError, match=r"--trace .*: there is no folder"):
        ticktalk("simulate", program, "--until", "450ms", "--trace", tmp_path / "none" / "x.pftrace")
