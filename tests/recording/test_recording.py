"""A recording holds every token of a run, opens with the library's own reader, and says what it lacks."""

from __future__ import annotations

import errno
import io
import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from mcap.writer import Writer

from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.errors import TTError
from ticktalk.language.compiler import compile_source
from ticktalk.recording.columns import Column
from ticktalk.recording.json_values import as_json
from ticktalk.recording.mcap_chunks import McapWriter
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.recording.setup import Setup
from ticktalk.records import (
    Decided,
    Fired,
    FiredTogether,
    Noted,
    Received,
    Records,
    Sent,
    SentTogether,
    TakenTogether,
    Turn,
)
from ticktalk.values.codec import decode_value, encode_value

PROGRAM = (
    HEAD
    + """
@SQify
def shown(x):
    return {"n": x, "odd": bool(x % 2), "text": str(x)}
@SQify
def pair(x):
    return (x, 2 ** 70)
@SQify
def half(x):
    return x / 2
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        x = count(trigger, TTPeriod=1000)
    with TTConstraint(name="b"):
        shown(x)
        pair(x)
        return half(x)
"""
)


def recorded(target: Any, text: str = PROGRAM, until: int = 10_000) -> tuple[list[str], list[tuple[Any, ...]]]:
    """What the recording of a run lacks, and the outputs of the run."""
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, name) for name in "ab"], simpy.Environment(), network_delay=7)
    recording = RecordedSimulation(manager, RecordingWriter(target), {"until": "10ms"})
    outputs: list[tuple[Any, ...]] = []
    manager.on_output(lambda token: outputs.append((token.sq, token.value, token.start, token.stop)))
    graph = compile_source(text, "prog.py", "prog")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(until)
    return recording.finish(), outputs


def test_the_librarys_own_reader_finds_each_token_and_its_schema(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    lacks, outputs = recorded(path)
    assert lacks == []
    tokens: dict[str, list[Any]] = {}
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        for schema, channel, message in reader.iter_messages():
            if channel.topic == "prog/records":
                assert channel.message_encoding == "msgpack"
                continue
            if channel.message_encoding == "json":
                token = json.loads(message.data)
                assert schema is not None and schema.encoding == "jsonschema"
                check(json.loads(schema.data), token)
                value = token["value"]
            else:
                assert schema is None
                token = msgspec.msgpack.decode(message.data, type=dict[str, msgspec.Raw])
                value = decode_value(bytes(token["value"]))
                token = {key: msgspec.msgpack.decode(raw) for key, raw in token.items() if key != "value"}
            assert message.sequence == token["number"] and token["context"] == 1
            sq = channel.topic.split("/")[1]
            assert channel.metadata == {"sq": sq, "ensemble": "a" if sq == "count-1" else "b"}
            tokens.setdefault(channel.topic, []).append((message.log_time, value, token["start"], token["stop"]))
        (setup,) = [json.loads(each.data) for each in reader.iter_attachments()]
        (end,) = [each.metadata for each in reader.iter_metadata()]
    assert end == {"complete": "true", "lacks": ""}
    assert setup["host_of"]["count-1"] == "a" and setup["graph"] and setup["options"] == {"until": "10ms"}
    ticks = range(1000, 10_000, 1000)
    spans = [(tick - 250, tick + 250) for tick in ticks]
    assert tokens["prog/count-1/0"] == [
        (tick * 1000, n, *span) for n, (tick, span) in enumerate(zip(ticks, spans, strict=True), 1)
    ]
    for sq in ("shown-1", "pair-1", "half-1"):
        assert [(value, *span) for _, value, *span in tokens[f"prog/{sq}/0"]] == [
            (value, *span) for name, value, *span in outputs if name == sq
        ]
        assert {time % 1_000_000 for time, *_ in tokens[f"prog/{sq}/0"]} == {7000}


def check(schema: dict[str, Any], token: dict[str, Any]) -> None:
    """A token is as a schema of ours says: a small validator, for the words that are used there."""
    kinds = {
        "integer": int, "number": (int, float), "string": str, "boolean": bool, "object": dict, "array": list,
        "null": type(None),
    }  # fmt: skip
    assert set(schema["required"]) == set(schema["properties"]) == set(token)
    for name, rule in schema["properties"].items():
        allowed = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        assert any(isinstance(token[name], kinds[kind]) for kind in allowed)


def test_a_recording_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recorded(path)
    recording = read_recording(path)
    assert recording.lacks == [] and [setup.name for setup in recording.setups] == ["prog"]
    sent = [each for _, each in recording.records() if isinstance(each, Sent)]
    assert [(each.number, decode_value(each.value)) for each in sent if each.sq == "pair-1"] == [
        (n, (n, 2**70)) for n in range(1, 10)
    ]
    ticks = [each.tick for _, each in recording.records()]
    assert ticks == sorted(ticks)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=8,
)


@example(-0.0)
@example(2**64)
@example(math.nan)
@example({"a": b"x"})
@settings(max_examples=150)
@given(plain)
def test_json_is_used_where_it_is_exact(value: Any) -> None:
    try:
        data = encode_value(value)
    except UnicodeEncodeError:
        return
    found = as_json(data)
    if found is not None:
        again = json.loads(found[1])
        assert encode_value(again) == data and repr(again) == repr(value)
    else:
        assert not is_of_json(value)


def is_of_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_of_json, value))
    if isinstance(value, dict):
        return all(map(is_of_json, value.values()))
    small = isinstance(value, int) and -(2**63) <= value < 2**64
    return value is None or isinstance(value, str) or small or (isinstance(value, float) and math.isfinite(value))


class Full(io.BytesIO):
    """A file on a disk that is full after so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)

    def close(self) -> None:
        self.flush()


@pytest.mark.parametrize("room", [9000, 12_000, 20_000])
def test_on_a_full_disk_the_run_goes_on_and_the_recording_is_incomplete(room: int, tmp_path: Path) -> None:
    file = Full(room)
    lacks, outputs = recorded(file, until=300_000)
    assert outputs == recorded(io.BytesIO(), until=300_000)[1]
    assert "No space left on device" in lacks[0] and any("records of count-1/0" in lack for lack in lacks)
    path = tmp_path / "cut.mcap"
    path.write_bytes(file.getvalue())
    assert read_recording(path).lacks == ["the end: it was cut off"]


def test_nothing_is_written_after_what_a_full_disk_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be room again, while more chunks are on their way."""
    monkeypatch.setattr("ticktalk.recording.mcap_chunks.CHUNK", 2000)

    class Once(io.BytesIO):
        def __init__(self, fails: int) -> None:
            super().__init__()
            self.left = fails

        def write(self, data: Any) -> int:
            self.left -= 1
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

        def close(self) -> None:
            self.flush()

    for fails in range(4, 30):
        file = Once(fails)
        lacks, _ = recorded(file, until=100_000)
        assert "No space left on device" in lacks[0]
        (tmp_path / "cut.mcap").write_bytes(file.getvalue())
        assert read_recording(tmp_path / "cut.mcap").lacks == ["the end: it was cut off"]


@pytest.mark.parametrize("what", ["memory", "channels"])
def test_without_memory_or_channels_the_run_goes_on_and_the_recording_says_what_it_lacks(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticktalk.recording.mcap_chunks.CHUNK", 2000)

    def compress(data: bytearray) -> bytes:
        raise MemoryError

    if what == "memory":
        monkeypatch.setattr("lz4.frame.compress", compress)
    else:
        monkeypatch.setattr("ticktalk.recording.mcap_chunks.MOST_CHANNELS", 1)
    file = io.BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]
    lacks, outputs = recorded(file, until=100_000)
    assert outputs
    assert {"memory": "no memory to compress a chunk", "channels": "no more than 1 channels"}[what] in lacks[0]
    assert any("records of count-1/0" in lack for lack in lacks)
    (tmp_path / "cut.mcap").write_bytes(file.getvalue())
    assert read_recording(tmp_path / "cut.mcap").lacks == ["the end: it was cut off"]


def test_a_recording_that_is_cut_off_anywhere_opens_and_says_so(tmp_path: Path) -> None:
    file = io.BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]
    recorded(file)
    whole = file.getvalue()
    path = tmp_path / "cut.mcap"
    opened = 0
    for length in range(1, len(whole), 97):
        path.write_bytes(whole[:length])
        try:
            found = read_recording(path)
        except TTError as error:
            assert "does not say which graph ran" in str(error) or "not a recording" in str(error)
            continue
        opened += 1
        if found.lacks:
            assert found.lacks == ["the end: it was cut off"]
        else:
            assert len(found.records()) == len(read(whole, tmp_path).records())
    assert opened > 10


def read(content: bytes, folder: Path) -> Any:
    path = folder / "whole.mcap"
    path.write_bytes(content)
    return read_recording(path)


@pytest.mark.parametrize("numbers", [[4, 4, 4], [4, 4, 9]])
@pytest.mark.parametrize(
    "values",
    [
        [7, {"a": 1.5}, b"bytes"], [7, -80, 2**60], [2**63, 2**64 - 1, 0], [2**64, 1, 2], [0.5, -0.0, 1e-300],
        [0.5, math.nan, 1.0], [b"one", b"two", b"six"], [b"one", b"", b"three"], [True, False, True], [True, 1, 2],
        [1, 2.5, 3], [None, None, None], ["a,b", "", "\u00e9"], [{"a": [1, None]}, {}, {"b": {"c": "]"}}],
        [[1, 2], [], [math.inf]], [(1, 2), (3, 4), (5, 6)], ["long" * 200, "b", "c"], [b"x" * 999] * 3,
    ],
    ids=str,
)  # fmt: skip
def test_tokens_that_were_noted_as_one_are_read_each_by_itself(
    values: list[Any], numbers: list[int], tmp_path: Path
) -> None:
    arcs = [f"x-1/{index}" for index in range(3)]
    together = [
        SentTogether(50, "x-1", arcs, numbers, 40, 60, encode_value(values)),
        TakenTogether(57, "", ["y-1", "z-1"], [0, 1], [4, 8], arcs[:2], [4, 4], 40, 60),
        FiredTogether(59, "", ["y-1", "z-1"], 40, 60, 57, 58, ["sent", "failed"]),
    ]
    alone = [
        *(Sent(50, "x-1", arc, n, 40, 60, encode_value(v)) for arc, n, v in zip(arcs, numbers, values, strict=True)),
        Received(57, "y-1", 0, 4, 40, 60, "x-1/0", 4, True),
        Received(57, "z-1", 1, 8, 40, 60, "x-1/1", 4, True),
        Turn(57, "y-1"),
        Decided(57, "y-1", 40, 60, [4]),
        Turn(57, "z-1"),
        Decided(57, "z-1", 40, 60, [8]),
        Fired(59, "y-1", 40, 60, 57, 58, "sent"),
        Fired(59, "z-1", 40, 60, 57, 58, "failed"),
    ]
    tokens = []
    for name, records in (("together", together), ("alone", alone)):
        writer = RecordingWriter(tmp_path / name)
        writer.begin(Setup("1", "devices", "{}", "prog", 1, 0, None, {}, {}, 0, {}))
        sent = msgspec.msgpack.encode(Records("prog", 1, "a", 0, 3, records))
        writer.add(msgspec.msgpack.decode(sent, type=Records))
        writer.add(Records("prog", 1, "a", len(alone), 3, [Turn(70, "y-1")]))
        assert writer.finish() == []
        assert [each for _, each in read_recording(tmp_path / name).records()] == [*alone, Turn(70, "y-1")]
        with (tmp_path / name).open("rb") as file:
            found = make_reader(file, validate_crcs=True).iter_messages(topics=[f"prog/{arc}" for arc in arcs])
            tokens.append([
                (
                    channel.topic, schema and schema.name, message.log_time, message.sequence,
                    message.data if schema is None else repr(json.loads(message.data)),
                )
                for schema, channel, message in found
            ])  # fmt: skip
    assert tokens[0] == tokens[1] and len(tokens[0]) == 3


def test_a_file_whose_messages_name_their_ensembles_is_read(tmp_path: Path) -> None:
    """Up to version 0.1.0, each message said what the metadata of its channel say now."""
    records: list[Noted] = [Sent(9, "x-1", "x-1/0", 1, 0, 10, b""), Sent(9, "x-1", "x-1/0", 2, 10, 20, b"")]
    with (tmp_path / "old.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        setup = msgspec.json.encode(Setup("0.1.0", "devices", "{}", "prog", 1, 0, None, {}, {}, 0, {}))
        writer.add_attachment(0, 0, "prog/1.json", "application/json", setup)
        said = {"sq": "x-1", "ensemble": "b", "context": 1}
        first = {"value": 7.5, "start": 0, "stop": 10, "number": 1, **said}
        second = {"value": b"x", "start": 10, "stop": 20, "number": 2, **said}
        for encoding, data in (("json", json.dumps(first).encode()), ("msgpack", msgspec.msgpack.encode(second))):
            writer.add_message(writer.register_channel("prog/x-1/0", encoding, 0), 9000, data, 9000)
        batch = msgspec.msgpack.encode(Records("prog", 1, "b", 0, 3, records))
        writer.add_message(writer.register_channel("prog/records", "msgpack", 0), 9000, batch, 9000)
        writer.finish()
    found = read_recording(tmp_path / "old.mcap").records()
    assert [(ensemble, decode_value(each.value)) for ensemble, each in found if isinstance(each, Sent)] == [
        ("b", 7.5), ("b", b"x")
    ]  # fmt: skip


def test_notes_of_several_with_wrong_lengths_are_refused() -> None:
    for broken in (
        msgspec.msgpack.encode(["sent together", 5, "x", ["x/0"], [1, 2], 0, 1, b""]),
        msgspec.msgpack.encode(["taken together", 5, "", ["y"], [0], [1], ["x/0"], [], 0, 1]),
        msgspec.msgpack.encode(["fired together", 5, "", ["y"], 0, 1, 2, 3, []]),
    ):
        with pytest.raises(msgspec.ValidationError, match="are wanted"):
            msgspec.msgpack.decode(broken, type=Noted)


def test_the_librarys_index_finds_the_messages_of_a_topic(tmp_path: Path) -> None:
    """Chunks, indexes and statistics are those of what was written."""
    path, rng = tmp_path / "run.mcap", random.Random(3)
    written: list[tuple[str, int, bytes]] = []
    with path.open("wb") as file:
        writer = McapWriter(file, "test")
        channels = {f"topic{k}": writer.channel(f"topic{k}", "json", 0) for k in range(5)}
        for n in range(3000):
            topic, time = f"topic{rng.randrange(5)}", 1000 * n + rng.randrange(5000)
            written.append((topic, time, bytes(rng.randrange(700))))
            writer.message(channels[topic], time, written[-1][2], n)
            if n % 7 == 0:
                several, length = rng.sample(sorted(channels), 3), rng.randrange(1, 50)
                texts = [bytes([65 + rng.randrange(26)]) * length for _ in several]
                written += [(each, time, text + b"!") for each, text in zip(several, texts, strict=True)]
                column = Column(b"".join(texts), length, length)
                writer.message_each(tuple(map(channels.get, several)), time, [n] * 3, [column, b"!"])  # type: ignore[arg-type]
            if not rng.randrange(200):
                writer.end_chunk()
        writer.finish()
    with path.open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert summary.statistics.message_count == len(written) > 4000
        assert summary.statistics.chunk_count == len(summary.chunk_indexes)
        assert summary.statistics.message_start_time == min(time for _, time, _ in written)
        assert summary.statistics.message_end_time == max(time for _, time, _ in written)
        counts = summary.statistics.channel_message_counts
        assert {topic: counts[n] for topic, n in channels.items()} == Counter(topic for topic, _, _ in written)
        found = list(reader.iter_messages(topics=["topic3"]))
    of_topic = sorted((each for each in written if each[0] == "topic3"), key=lambda each: each[1])
    assert [(channel.topic, message.log_time, message.data) for _, channel, message in found] == of_topic


def test_records_that_are_missing_are_told_by_arc(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    writer = RecordingWriter(path)
    sent = Sent(5, "x-1", "x-1/0", 1, 0, 10, encode_value(1))
    writer.add(Records("prog", 1, "a", 0, 3, [sent]))
    writer.add(Records("prog", 1, "a", 4, 3, [sent], {"x-1/0": 2}))
    assert writer.finish("ensemble 'b': it did not answer") == [
        "ensemble 'b': it did not answer",
        "1 records of a",
        "2 records of x-1/0",
    ]


def test_a_file_that_is_none_or_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "no.mcap"
    path.write_bytes(b"nothing of that kind")
    with pytest.raises(TTError, match="not a recording of ticktalk"):
        read_recording(path)
    with pytest.raises(TTError, match="cannot be read: No such file"):
        read_recording(tmp_path / "gone.mcap")
    with pytest.raises(TTError, match="cannot be written: No such file"):
        RecordingWriter(tmp_path / "gone" / "x.mcap")


def test_a_recording_with_broken_bytes_is_refused_or_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recorded(path)
    whole, rng = path.read_bytes(), random.Random(5)
    expected, refused = repr(read_recording(path)), 0
    for _ in range(200):
        broken = bytearray(whole)
        broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        path.write_bytes(broken)
        try:
            found = read_recording(path)
        except TTError:
            refused += 1
        else:
            assert found.lacks or repr(found) == expected
    assert refused > 50
