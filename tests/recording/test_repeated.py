"""A recording of a simulation that runs plans is that of the general engine: each message, and each record read."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
import simpy
from mcap.reader import make_reader

from programs import HEAD
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.language.compiler import compile_source
from ticktalk.recording.mcap_file import RecordingWriter, read_recording
from ticktalk.recording.of_simulation import RecordedSimulation
from ticktalk.records import Received, Records, Repeated, Sent, Turn

VALUES = {
    "numbers": "n",
    "floats": "n / 3 if n % 7 else float('nan') if n % 2 else float('-inf')",
    "long numbers": "n * 2 ** 58 * (-1) ** n",
    "texts": "'%d' * (n % 5) + chr(0xd7f0 + n % 20)",
    "of several types": "[n, n / 2, str(n), None, n % 2 == 0, b'x' * n, (n,)][n % 7]",
    "lists that change": "kept(n)",
    "sometimes none": "n if n % 9 else TTEmpty()",
    "sometimes an error": "n // (n % 31)",
}


def program(value: str, rates: tuple[int, int] = (1000, 3000)) -> str:
    return (
        HEAD
        + f"""
def kept(n):
    kept.all.append(n)
    return kept.all[-3:] if n % 2 else kept.all
kept.all = []
@SQify
def made(n):
    return {value}
@SQify
def same(x):
    if type(x) is list:
        x.append('changed')
    return x
@SQify
def both(x, y):
    return [x, y]
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        n = count(trigger, TTPeriod={rates[0]}, TTDataIntervalWidth=3000)
        x = made(n)
        same(x)
    with TTConstraint(name="b"):
        y = same(x)
        late = count(trigger, TTPeriod={rates[1]}, TTDataIntervalWidth={rates[1]})
        return both(same(y), late) if {rates[0]} == {rates[1]} else same(y)
"""
    )


def recorded(text: str, accelerated: bool, delay: int) -> tuple[dict[str, list[Any]], Any]:
    """The messages of each arc, and the file."""
    file = io.BytesIO()
    file.close = lambda: None  # type: ignore[method-assign]
    manager = TTRuntimeManagerSim(
        None, [TTEnsemble(None, name) for name in "ab"], simpy.Environment(), network_delay=delay
    )
    recording = RecordedSimulation(manager, RecordingWriter(file), {})
    if not accelerated:
        manager.simulation.accelerator = None
    graph = compile_source(text, "prog.py", "prog")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run(200_000)
    assert recording.finish() == []
    file.seek(0)
    arcs: dict[str, list[Any]] = {}
    for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False):
        if not channel.topic.endswith("/records"):
            kind = channel.message_encoding, None if schema is None else schema.name
            content = json.loads(message.data) if kind[1] is not None else message.data
            arcs.setdefault(channel.topic, []).append((kind, message.log_time, message.sequence, repr(content)))
    file.seek(0)
    return arcs, file


@pytest.mark.parametrize("delay", [0, 1700])
@pytest.mark.parametrize("value", VALUES)
def test_each_message_is_the_same(value: str, delay: int, tmp_path: Any) -> None:
    text = program(VALUES[value])
    (ours, our_file), (general, file) = (recorded(text, accelerated, delay) for accelerated in (True, False))
    assert ours == general and len(ours) >= 5
    read = []
    for number, each in enumerate((our_file, file)):
        path = tmp_path / f"{number}.mcap"
        path.write_bytes(each.getvalue())
        recording = read_recording(path)
        assert recording.lacks == []
        found: dict[str, list[Any]] = {}
        for ensemble, record in recording.records():
            found.setdefault(ensemble, []).append(record)
        read.append(found)
    assert read[0] == read[1]
    assert value.startswith("sometimes") or len(our_file.getvalue()) < 0.8 * len(file.getvalue())


def test_records_that_come_again_are_as_the_first_and_the_second_say() -> None:
    first = [Turn(3, "x"), Sent(3, "x", "x/0", 7, 1, float("inf"), b""), Received(4, "y", 0, 2, 1, 5, "x/0", 7, False)]
    second = [
        Turn(13, "x"), Sent(13, "x", "x/0", 9, 11, float("inf"), b""), Received(14, "y", 0, 3, 11, 15, "x/0", 9, False),
    ]  # fmt: skip
    again = Repeated(3, "", first, second, 3, [[1, "a", 2.5]])
    assert again.count == 9 and again.names == ["x", "x/0", "y"] * 3
    assert [*again.each()][6:] == [
        Turn(23, "x"), Sent(23, "x", "x/0", 11, 21, float("inf"), b"\xcb\x40\x04" + bytes(6)),
        Received(24, "y", 0, 4, 21, 25, "x/0", 11, False),
    ]  # fmt: skip


@pytest.mark.parametrize("times", [0, -1, 1 << 30])
def test_records_that_repeat_for_ever_are_refused(times: int) -> None:
    with pytest.raises(ValueError, match="times are wanted"):
        Repeated(0, "", [], [], times)
    with pytest.raises(ValueError, match="the same records"):
        Repeated(0, "", [Turn(0, "a")], [], 3)
    assert Records("g", 1, "a", 0, 0, []).records == []
