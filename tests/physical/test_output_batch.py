"""Outputs on their way to the manager: in order, none held for longer than 10 ms, few frames when they are many."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk.messages import ROWS, Message, RuntimeMsg
from ticktalk.payloads import OutputToken, OutputTokens, Unreadable
from ticktalk.physical.network.control_frames import control_frame, parse_control
from ticktalk.physical.network.frames import FrameError
from ticktalk.physical.output_batch import HELD, MOST, MOST_BYTES, NEARLY, OutputBatch


def output(number: int, ensemble: str = "a") -> OutputToken:
    return OutputToken("g", number, number, number + 1, "f-1", ensemble, 1)


class World:
    """A clock, its timers, and what was sent at which time."""

    def __init__(self) -> None:
        self.now = 0
        self.timers: list[tuple[int, int, Callable[[], None]]] = []
        self.sent: list[tuple[int, list[OutputToken]]] = []
        self.set_by_outputs = 0  # timers that were set when an output came
        self.goes_off = False
        self.batch = OutputBatch(lambda: self.now, self.after, lambda outputs: self.sent.append((self.now, outputs)))

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        self.set_by_outputs += not self.goes_off
        heapq.heappush(self.timers, (self.now + microseconds, len(self.timers), call))

    def pass_to(self, time: int) -> None:
        while self.timers and self.timers[0][0] <= time:
            self.now, _, call = heapq.heappop(self.timers)
            self.goes_off = True
            call()
            self.goes_off = False
        self.now = time


@given(st.lists(st.tuples(st.integers(0, 3 * HELD), st.integers(0, MOST_BYTES)), max_size=60))
def test_outputs_go_in_order_and_none_waits_for_longer_than_it_may(steps: list[tuple[int, int]]) -> None:
    world = World()
    added = []
    for number, (pause, size) in enumerate(steps):
        world.pass_to(world.now + pause)
        added.append(world.now)
        world.batch.add(output(number), size)
    world.pass_to(world.now + HELD)
    assert [each.value for _, outputs in world.sent for each in outputs] == list(range(len(steps)))
    times = [at for at, outputs in world.sent for _ in outputs]
    assert all(0 <= at - came <= HELD for at, came in zip(times, added, strict=True))


def test_a_lone_output_goes_at_once() -> None:
    world = World()
    for number in range(3):
        world.pass_to(number * HELD)
        world.batch.add(output(number), 10)
        assert len(world.sent) == number + 1


def test_a_thousand_a_second_go_in_a_hundred_frames() -> None:
    world = World()
    for number in range(1000):
        world.pass_to(number * 1000)
        world.batch.add(output(number), 10)
    world.batch.flush()
    assert len(world.sent) <= 102


def test_outputs_that_follow_one_another_do_not_each_set_a_timer() -> None:
    """One that is set where a token has come wakes the timekeeper, only to sleep again until it goes off."""
    world = World()
    for number in range(500):
        world.pass_to(number * 2000)
        world.batch.add(output(number), 10)
    assert world.set_by_outputs == 1
    world.pass_to(world.now + 2 * HELD)
    assert not world.timers, "nothing is awaited any more"


def test_one_that_would_wait_for_a_moment_only_goes_at_once() -> None:
    world = World()
    for number in range(100):
        world.pass_to(number * (HELD - NEARLY))
        world.batch.add(output(number), 10)
    assert len(world.sent) == 100 and not world.timers


def test_many_or_long_ones_do_not_wait() -> None:
    world = World()
    for number in range(1 + MOST):
        world.batch.add(output(number), 1)
    assert [len(outputs) for _, outputs in world.sent] == [1, MOST]
    world.batch.add(output(0), MOST_BYTES)
    assert len(world.sent) == 3


def test_outputs_cross_together_and_speak_for_one_ensemble() -> None:
    kind = RuntimeMsg.OUTPUT_TOKENS
    outputs = OutputTokens([output(1), output(2)], 7)
    back = parse_control(control_frame(Message(kind, outputs, "TTRuntimeManagerProcess"))).payload
    assert back.number == 7
    assert [(each.start, each.stop, each.shown) for each in back.tokens] == [(1, 2, '"value": 1'), (2, 3, '"value": 2')]
    own = ROWS[kind].own
    assert own is not None
    assert own(outputs) == "a"
    assert own(OutputTokens([output(1), output(2, "b")])) == own(OutputTokens([])) == ""
    with pytest.raises(ValueError, match="2 outputs, and the last has number 1"):
        control_frame(Message(kind, OutputTokens([output(1), output(2)], 1), "TTRuntimeManagerProcess"))


@pytest.mark.parametrize("shown", ['"value": 1, "sq": 2', "", '"value": 1\n'])
def test_a_value_that_is_more_than_a_field_is_left_out_and_holds_up_no_other(shown: str) -> None:
    wire = [["g", b"\x01", '"value": 1', 0, 1, "f-1", "a", 1], ["g", b"\x01", shown, 0, 1, "f-1", "a", 1]]
    keys = ("graph", "value", "shown", "start", "stop", "sq", "ensemble", "context")
    payload = msgspec.msgpack.encode(([dict(zip(keys, each, strict=True)) for each in wire], 2))
    frame = control_frame(Message(RuntimeMsg.OUTPUT_TOKENS, OutputTokens([output(1)]), "TTRuntimeManagerProcess"))
    head = frame[: frame.index(b"\x93")]
    forged = head + msgspec.msgpack.encode(["RuntimeMsg.OUTPUT_TOKENS", "TTRuntimeManagerProcess", payload])
    good, bad = parse_control(forged).payload.tokens
    assert (good.start, good.sq, good.shown) == (0, "f-1", '"value": 1')
    assert isinstance(bad, Unreadable) and bad.ensemble == "a" and "rendered value" in bad.why
    nameless = msgspec.msgpack.encode(([dict(zip(keys, wire[0], strict=True)), {"shown": shown}], 2))
    with pytest.raises(FrameError):
        parse_control(head + msgspec.msgpack.encode(["RuntimeMsg.OUTPUT_TOKENS", "", nameless]))


def test_an_output_that_its_sender_has_rendered_wrongly_is_left_out_by_the_manager_alone() -> None:
    bad = msgspec.structs.replace(output(2), shown='"value": 2, "sq": 2')
    outputs = OutputTokens([output(1), bad, output(3)], 3)
    one, two, three = parse_control(control_frame(Message(RuntimeMsg.OUTPUT_TOKENS, outputs, ""))).payload.tokens
    assert (one.start, three.start) == (1, 3) and isinstance(two, Unreadable) and two.ensemble == "a"
