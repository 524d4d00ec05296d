"""Frames: messages arrive, other bytes raise a `FrameError`, and no received code is run."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import msgspec
import pytest

from ticktalk.json_text import json_line
from ticktalk.language.compiler import compile_source
from ticktalk.messages import ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg
from ticktalk.network_keys import Path, arc_key, key_part
from ticktalk.payloads import (
    Deployment,
    FiringError,
    IdleReport,
    OutputsTaken,
    OutputToken,
    OutputTokens,
    Ping,
    Pong,
    ReadyAnswer,
    ReportRequest,
    Route,
    StartContext,
    StopGraph,
    Taken,
)
from ticktalk.physical.network import frames
from ticktalk.physical.network.control_frames import control_frame, parse_control
from ticktalk.physical.network.frames import LONG, FrameError
from ticktalk.physical.network.token_frames import arcs_as_bytes, arcs_in, long_parcel, parse_parcels, token_frame
from ticktalk.physical.output_values import opened
from ticktalk.records import Recorded
from ticktalk.replacement import Switch, Switched, TryStates
from ticktalk.values.codec import Encoded, NoCodecError, encode_value, plain

PROGRAM = """
from ticktalk import SQify, GRAPHify
@SQify
def double(x):
    return 2 * x
@GRAPHify
def main(trigger):
    return double(trigger)
"""


def deployment() -> Deployment:
    graph = compile_source(PROGRAM, "prog.py", "prog")
    return Deployment(graph, {sq.name: "edge" for sq in graph.sqs})


MESSAGES = [
    Message(RuntimeMsg.LEAVE, "edge", "TTRuntimeManagerProcess"),
    Message(RuntimeMsg.READY, ReadyAnswer("prog", "edge", "no module named x"), "TTRuntimeManagerProcess"),
    Message(
        RuntimeMsg.FIRING_ERROR,
        FiringError("f-1", "edge", None, 5, "prog.py", 3, "ValueError: \N{SNOWMAN}", "Traceback ..."),
        "TTRuntimeManagerProcess",
    ),
    Message(RuntimeMsg.PING, Ping("edge", 10**16, -5, 7, {"forged": 1}), "TTRuntimeManagerProcess"),
    Message(RuntimeMsg.RECORDED, Recorded("prog", 1, "edge", b"records", True), "TTRuntimeManagerProcess"),
    Message(
        RuntimeMsg.REPORT,
        IdleReport("prog", 1, "edge", 3, "", {"a-1/0": {"b": 2}}, {"c-1/0": 4}, 5, {"a-1": {"late": 1}}),
        "TTRuntimeManagerProcess",
    ),
    Message(NetMsg.ROUTE, Route("edge", "127.0.0.1:5"), "TTNetworkManager"),
    Message(NetMsg.FORGET, "edge", "TTNetworkManager"),
    Message(NetMsg.REFUSED, "why", "TTNetworkManager"),
    Message(NetMsg.PONG, Pong(1, 2, 3), "TTNetworkManager"),
    Message(NetMsg.TAKEN, Taken("edge", 7), "TTNetworkManager"),
    Message(NetMsg.OUTPUTS_TAKEN, OutputsTaken(7, True), "TTNetworkManager"),
    Message(NetMsg.SHUT_DOWN, "the end", "TTNetworkManager"),
    Message(SyncMsg.STOP, StopGraph("prog"), "TTInputTokenProcess"),
    Message(SyncMsg.REPORT, ReportRequest("prog", 1, 2), "TTInputTokenProcess"),
    Message(SyncMsg.SWITCH, Switch("prog", 5, 2, hold=True), "TTInputTokenProcess"),
    Message(SyncMsg.TRY, TryStates("prog", {"f-1": [encode_value(1)]}), "TTInputTokenProcess"),
    Message(
        RuntimeMsg.SWITCHED, Switched("prog", "edge", 2, [IdleReport("prog", 1, "edge", 2)]), "TTRuntimeManagerProcess"
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.msg_type.name)
def test_a_control_message_arrives_as_it_left(message: Message) -> None:
    back = parse_control(control_frame(message))
    assert back == message


def test_a_recipient_may_be_a_class() -> None:
    from ticktalk.processes import TTNetworkManager

    assert parse_control(control_frame(Message(NetMsg.FORGET, "a", TTNetworkManager))).process_recipient == (
        "TTNetworkManager"
    )


def test_inputs_of_any_kind_arrive() -> None:
    inputs = {"a": 1 << 80, "b": (1, {2, 3}), "c": None, "d": -math.inf, "e": {1: 2}}
    start = StartContext("prog", 1, 10**15, inputs, None)
    back = parse_control(control_frame(Message(SyncMsg.START, start, "TTInputTokenProcess"))).payload
    assert all(isinstance(value, Encoded) for value in back.inputs.values()), "nobody opens them on the way"
    assert {name: plain(value) for name, value in back.inputs.items()} == inputs
    assert msgspec.structs.replace(back, inputs=inputs) == start
    with pytest.raises(NoCodecError, match="object"):
        broken = StartContext("prog", 1, 0, {"a": object()})
        control_frame(Message(SyncMsg.START, broken, "TTInputTokenProcess"))


def crossed(token: OutputToken) -> OutputToken:
    """An output as it reaches the manager."""
    sent = Message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens([token], 1), "TTRuntimeManagerProcess")
    (back,) = parse_control(control_frame(sent)).payload.tokens
    assert isinstance(back, OutputToken)
    return back


HALVES = ["a \ud800", {"\udcff": ["\udcff \U0001f600"]}]
"""Text with half a surrogate pair, such as a file's name that is not UTF-8."""


@pytest.mark.parametrize("value", [1, "x", (1, 2), 1 << 90, {"a": [None]}, float("inf"), *HALVES])
def test_an_output_arrives(value: Any) -> None:
    token = OutputToken("prog", value, -math.inf, 12, "f-1", "edge", 4)
    back = crossed(token)
    assert back.value.__class__ is Encoded, "the manager passes it on unopened"
    assert back.line() == json_line(token.row()) and back.line("context", "arrival") == json_line(token.log_row())
    assert opened(back) == msgspec.structs.replace(token, shown=back.shown)


@dataclasses.dataclass
class Point:
    x: int


def test_an_output_of_an_unknown_class_is_data_and_is_shown_by_its_repr() -> None:
    token = OutputToken("prog", Encoded(encode_value(Point(7)), '"repr": "Point(x=7)"'), 1, 2, "f-1", "edge")
    back = crossed(token)
    assert '"repr": "Point(x=7)"' in back.line()
    assert repr(opened(back).value) == "Point(x=7)" and opened(back).value.x == 7
    assert opened(back).row()["repr"] == "Point(x=7)"


def test_tokens_arrive_with_their_intervals() -> None:
    tokens = [
        (1, 0, b"", 1, -math.inf, math.inf, encode_value(5)),
        (2, 3, b"", 99, -5, 10**16, encode_value(b"x" * 100_000)),
        (2, 3, b"", 100, 7, math.inf, b""),
        (2, 3, arcs_as_bytes([0, 7, 70_000]), [4, 5, 6], 7, math.inf, encode_value([1, "two", {3}])),
        (2, 3, arcs_as_bytes([0, 7, 70_000]), 8, 7, 9, encode_value([1, "two", {3}])),
    ]
    assert parse_parcels(token_frame(tokens)) == tokens
    assert parse_parcels(token_frame([])) == []


def test_the_arcs_of_a_parcel_are_read_as_they_were_written() -> None:
    for arcs in ((), (0,), (3, 1, 2), tuple(range(0, 2**32, 2**28))):
        assert arcs_in(arcs_as_bytes(arcs)) == arcs
    with pytest.raises(FrameError):
        arcs_in(b"\0\0\0\0\0")


@pytest.mark.parametrize("parse", [parse_control, parse_parcels])
def test_another_version_is_refused(parse: Any) -> None:
    frame = control_frame(MESSAGES[1]) if parse is parse_control else token_frame([(1, 0, b"", 1, 2, 3, b"")])
    parse(frame)
    for version in (0, 2, 255):
        with pytest.raises(FrameError, match="version"):
            parse(bytes([version]) + frame[1:])
    with pytest.raises(FrameError):
        parse(b"")
    with pytest.raises(FrameError):
        parse(frame[:1])


@pytest.mark.parametrize("parse", [parse_control, parse_parcels])
def test_a_frame_that_is_too_long_is_not_read(parse: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LONGEST", dict.fromkeys(Path, 100))
    frame = token_frame([(1, 0, b"", 1, 2, 3, bytes(101))])
    with pytest.raises(FrameError, match="longer"):
        parse(frame)


def test_token_frames_and_control_frames_are_not_mistaken_for_each_other() -> None:
    with pytest.raises(FrameError):
        parse_control(token_frame([(1, 0, b"", 1, 2, 3, b"")]))
    with pytest.raises(FrameError):
        parse_parcels(control_frame(MESSAGES[1]))


def test_an_unknown_kind_is_refused() -> None:
    control = msgspec.msgpack.encode(["NetMsg.EXPLODE", "TTNetworkManager", b"", b""])
    with pytest.raises(FrameError, match=r"not a control frame: 'NetMsg\.EXPLODE'"):
        parse_control(bytes([frames.VERSION]) + control)


def test_deep_nesting_is_refused() -> None:
    head = bytes([frames.VERSION])
    for bomb in (b"\x91" * 1_000_000, b"\xdd\xff\xff\xff\xff", b"\x81\xa1a" * 100_000, b"\xc6\xff\xff\xff\xff"):
        with pytest.raises(FrameError):
            parse_control(head + bomb)
        with pytest.raises(FrameError):
            parse_parcels(head + bomb)


def _valid() -> list[bytes]:
    output = OutputToken("prog", {"a": (1, 2.5, {3})}, 1, 2, "f-1", "edge", 1)
    messages = [
        *MESSAGES,
        Message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens([output], 1), "TTRuntimeManagerProcess"),
        Message(SyncMsg.START, StartContext("prog", 1, 5, {"a": (1, {2})}, 9), "TTInputTokenProcess"),
        Message(ExecuteMsg.INSTANTIATE, deployment(), "TTExecuteProcess"),
    ]
    return [control_frame(message) for message in messages] + [
        token_frame([(1, 0, b"", 1, -math.inf, 5, encode_value([1, 2]))]),
        token_frame([(1, 0, b"", number, 2, 3.5, b"abc") for number in range(5)]),
    ]


def _mutated(chance: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(1, len(data) + 1)
        match chance.randrange(5):
            case 0 if at < len(data):
                data[at] = chance.randrange(256)
            case 1:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                del data[at:]
            case _:
                data[at:at] = data[max(1, at - 16) : at]
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_raise_a_frame_error_only(seed: int) -> None:
    """Frames that are cut, mixed or made up give a message or a FrameError."""
    chance = random.Random(seed)
    valid = _valid()
    refused = 0
    for round in range(6_000):
        if round % 3:
            frame = _mutated(chance, chance.choice(valid))
        else:
            frame = bytes([frames.VERSION]) + chance.randbytes(chance.randint(0, 60))
        for parse in (parse_control, parse_parcels):
            try:
                parse(frame)
            except FrameError:
                refused += 1
    assert refused > 6_000


EVIL = [
    ["timedelta", 10**12, 0, 0],  # beyond the range of a timedelta
    ["timedelta", "a", 0, 0],
    ["datetime", "no date", 0],
    ["system", "x", 0],
    [],
    7,
]


def shown_for(value: bytes) -> str:
    """What callbacks get of an output of this value, which need not be one, and which is shown as 7."""
    rest = {"start": 1, "stop": 2, "sq": "f-1", "ensemble": "e", "context": 1}
    payload = msgspec.msgpack.encode([[{"graph": "g", "value": value, "shown": '"value": 7', **rest}], 1])
    control = ["RuntimeMsg.OUTPUT_TOKENS", "TTRuntimeManagerProcess", payload, b""]
    (token,) = parse_control(bytes([frames.VERSION]) + msgspec.msgpack.encode(control)).payload.tokens
    return repr(opened(token).value)


@pytest.mark.parametrize("content", EVIL, ids=str)
def test_callbacks_get_the_shown_text_of_bytes_that_are_no_value(content: Any) -> None:
    """A payload that parses, around a value that does not."""
    assert shown_for(msgspec.msgpack.encode(msgspec.msgpack.Ext(7, msgspec.msgpack.encode(content)))) == "7"


@pytest.mark.parametrize("dtype", ["i4,(2", "V0", "O", "|S99999999999", "no such", "M8[zz]"])
def test_an_array_of_a_foreign_dtype_is_no_value(dtype: str) -> None:
    header = msgspec.msgpack.encode([dtype, [2]])
    assert shown_for(msgspec.msgpack.encode(msgspec.msgpack.Ext(8, bytes([len(header)]) + header + bytes(16)))) == "7"


@pytest.mark.parametrize("name", ["prog", "my prog", "a/b", "what?", "**", "a#b", "$x", "50%", "ünï", "a%2Fb"])
def test_any_name_makes_one_part_of_a_key(name: str) -> None:
    """Graphs are called as files are; keys know wildcards."""
    from urllib.parse import unquote

    import zenoh

    key = arc_key(name, "f-1/0")
    zenoh.KeyExpr(key)
    assert not any(character in key_part(name) for character in "/*$?#")
    assert unquote(key.split("/")[2]) == name
    assert unquote(key.split("/")[3]) == "f-1/0"


@pytest.mark.parametrize("length", [0, 1, LONG, 1 << 17])
def test_a_long_value_crosses_beside_its_token(length: int) -> None:
    token = (7, 1, b"", 70_000, -5, float("inf"), bytes(range(256)) * (length // 256) + bytes(length % 256))
    payload, attached = long_parcel(token)
    assert payload is token[-1]
    assert [(*head, bytes(data)) for *head, data in parse_parcels(payload, attached)] == [token]


@pytest.mark.parametrize(
    "attached", [b"", b"\x01", b"\x02\x90", token_frame([]), token_frame([(1, 1, b"", 1, 1, 1, b"")] * 2)]
)
def test_a_long_value_belongs_to_exactly_one_token(attached: bytes) -> None:
    with pytest.raises(FrameError):
        parse_parcels(b"value", attached)
