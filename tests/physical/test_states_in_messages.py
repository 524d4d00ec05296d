"""Messages with states of SQs: what one may hold, so that it is taken in soon, and that honest ones hold no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk.hosted import checkpoints
from ticktalk.hosted.waiting_bytes import TOKEN as TOKEN_BYTES
from ticktalk.hosted.waiting_bytes import WAITING_BYTES
from ticktalk.messages import OF_GRAPH, Message, RuntimeMsg
from ticktalk.payloads import Checkpoint, Handed, InstanceState
from ticktalk.physical.network import control_frames
from ticktalk.physical.network.control_frames import parse_control
from ticktalk.physical.network.frames import HEAD, InvalidError
from ticktalk.ranges import FARTHEST, LONGEST_TEXT, MOST_LEFT_OUT, MOST_MET, MOST_MET_BY_ONE, MOST_SQS, MOST_WAITING
from ticktalk.time import INFINITY, NEG_INFINITY

OF_STATES = {
    RuntimeMsg.CHECKPOINT: lambda states: {"context": 1, "tick": 1, "states": states},
    RuntimeMsg.HANDED: lambda states: {"states": {1: states}},
}
"""By kind of message with states, its fields for states of a context."""


def of_states(kind: RuntimeMsg, of_a_context: dict[str, Any], **others: Any) -> Message:
    """A message of far's with these states, as its receiver reads it."""
    content = msgspec.msgpack.encode({"graph": "g", "ensemble": "far"} | OF_STATES[kind](of_a_context) | others)
    return parse_control(HEAD + msgspec.msgpack.encode([control_frames._NAMES[kind], "", content]))


@pytest.mark.parametrize("kind", OF_STATES)
def test_a_long_message_with_states_has_one_of_them(kind: RuntimeMsg) -> None:
    """A long value is read at once. Of many small ones 64 MB took 5 to 14 s."""
    long, quarter = {"body": bytes(OF_GRAPH)}, {"body": bytes(OF_GRAPH // 4)}
    only = {"f": InstanceState(body=long["body"])}
    assert of_states(kind, {"f": long}).payload.states in (only, {1: only})
    assert of_states(kind, {f"f-{number}": quarter for number in range(3)}), "it is not long"
    for states in ({"f": long, "g": {}}, {f"f-{number}": quarter for number in range(4)}):
        with pytest.raises(InvalidError, match="length <= 1 "):
            of_states(kind, states)
    with pytest.raises(InvalidError, match=f"length <= {MOST_LEFT_OUT} "):
        of_states(kind, {"f": long}, left_out=[""] * (MOST_LEFT_OUT + 1))


@pytest.mark.parametrize(
    ("kind", "more"),
    [(RuntimeMsg.CHECKPOINT, {"generations": {"f": 1, "g": 1}}), (RuntimeMsg.HANDED, {"states": {1: {}, 2: {}}})],
)
def test_a_long_message_with_states_has_nothing_else_of_others(kind: RuntimeMsg, more: dict[str, Any]) -> None:
    assert of_states(kind, {}, **more)
    more |= {"left_out": ["x" * LONGEST_TEXT] * (1 + OF_GRAPH // LONGEST_TEXT)}
    with pytest.raises(InvalidError, match="length <= 1 "):
        of_states(kind, {}, **more)


TOKEN, ARRIVAL, DEADLINE = (0, 0, 0, 1, b"\x00"), (0, 0, 1, b"\x00"), (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("most", "sync"),
    [
        (MOST_WAITING, lambda many: {"inbox": [ARRIVAL] * many}),
        (MOST_WAITING, lambda many: {"remote": [ARRIVAL] * many}),
        (MOST_WAITING, lambda many: {"ports": [TOKEN] * many}),
        (MOST_WAITING, lambda many: {"data": [(0, TOKEN)] * many}),
        (MOST_WAITING, lambda many: {"due": [DEADLINE] * many}),
        (MOST_WAITING, lambda many: {"missed": [DEADLINE] * many}),
        (MOST_WAITING, lambda many: {"answered": [0] * many}),
        (MOST_SQS, lambda many: {"sticky": [TOKEN] * many}),
        (MOST_SQS, lambda many: {"settled": [None] * many}),
        (MOST_MET, lambda many: {"met": {number: [] for number in range(many)}}),
        (MOST_MET_BY_ONE, lambda many: {"met": {1: [0] * many}}),
    ],
    ids=["inbox", "remote", "ports", "data", "due", "missed", "answered", "sticky", "settled", "met", "met-by-one"],
)
def test_a_state_holds_a_bounded_number_of_tokens(most: int, sync: Callable[[int], dict[str, Any]]) -> None:
    """Each list of it, whatever its length in bytes; an SQ that holds more says so and stays."""
    got = of_states(RuntimeMsg.CHECKPOINT, {"f": {"sync": sync(most)}}).payload.states["f"]
    assert got.fits
    with pytest.raises(InvalidError, match=f"length <= {most}"):
        of_states(RuntimeMsg.CHECKPOINT, {"f": {"sync": sync(most + 1)}})
    more: Any = sync(most + 1)
    assert not InstanceState(more).fits or most == MOST_SQS, "there is one for each port"


def test_as_many_tokens_as_may_wait_at_an_sq_are_in_its_state() -> None:
    assert MOST_WAITING * TOKEN_BYTES > WAITING_BYTES + WAITING_BYTES // 8


ticks = st.sampled_from([-FARTHEST, 0, FARTHEST, NEG_INFINITY, INFINITY, 1.5])
counts = st.sampled_from([0, 200, FARTHEST])
values = st.binary(min_size=1, max_size=40)
tokens = st.tuples(counts, ticks, counts, ticks, values)
arrivals = st.lists(st.tuples(counts, ticks, ticks, values))
deadlines = st.lists(st.tuples(ticks, counts, ticks, ticks))
by_arc = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=40), counts)
states_of_rules = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("newest", "last_start", "considered", "not_before", "known"), ticks),
        **dict.fromkeys(("inbox", "remote"), arrivals),
        **dict.fromkeys(("due", "missed"), deadlines),
        **dict.fromkeys(("sticky", "ports"), st.lists(tokens)),
        "number": counts,
        "met": st.dictionaries(counts, st.lists(counts)),
        "settled": st.lists(st.none() | tokens),
        "answered": st.lists(counts),
        "data": st.lists(st.tuples(ticks, tokens)),
    },
)
instances = st.builds(InstanceState, states_of_rules, st.none() | values, by_arc, by_arc, st.booleans())


BESIDE = 100
"""Bytes of a message beside its states."""


@given(
    st.dictionaries(
        st.integers(0, 3), st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=40), instances, max_size=4)
    )
)
def test_a_message_of_states_is_no_longer_than_was_reckoned(
    states: dict[int, dict[str, InstanceState]],
) -> None:
    """So none of many states is longer than `OF_GRAPH`, where it would be refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "LARGE", 3_000)
        parts = checkpoints.parts_of_contexts(states)
    found: dict[int, dict[str, InstanceState]] = {}
    for part in parts:
        count = sum(map(len, part.values()))
        handed = len(msgspec.msgpack.encode(Handed("", "a", part)))
        short = handed < 3_000 + BESIDE
        for number, saved in part.items():
            generations = dict.fromkeys(saved, FARTHEST)
            checkpoint = Checkpoint("", number, "a", FARTHEST, saved, generations)
            short = short and len(msgspec.msgpack.encode(checkpoint)) < 3_000 + BESIDE
            found.setdefault(number, {}).update(saved)
        assert short or (count == len(part) == 1)
    assert found == states
    for saved in states.values():
        for state in saved.values():
            assert len(msgspec.msgpack.encode(state)) <= state.size
