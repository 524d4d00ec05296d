"""A region runs after the commands that its bodies were given before, however late the threads are that run these."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from programs import HEAD
from ticktalk.language.compiler import compile_source
from ticktalk.physical.regions.messages import FormRegion, MemberInWorker, RegionRan, RunRegion
from ticktalk.physical.workers.home import HomeWorker, LeftHome
from ticktalk.physical.workers.protocol import LoadBodies, NewInstance, Restore, Start
from ticktalk.physical.workers.units import Unit
from ticktalk.physical.workers.worker import Worker
from ticktalk.values.codec import decode_value, encode_value

PROGRAM = (
    HEAD
    + """
@SQify
def first(x):
    global sq_state
    sq_state = (sq_state or 0) + x
    return sq_state
@SQify
def second(x):
    global sq_state
    sq_state = (sq_state or 0) + x
    return sq_state
@GRAPHify
def main(x):
    return second(first(x))
"""
)

STATES = {1: 100, 2: 1000}
"""By number of a body, the `sq_state` with which it goes on."""


class Late:
    """A worker whose threads have taken the states of two bodies, but not carried that out when a region forms."""

    def __init__(self, at_home: bool = False, states: dict[int, Any] = STATES) -> None:
        answers: list[Any] = []
        self.worker = Worker("edge", {}, answers.append)
        graph = msgspec.json.encode(compile_source(PROGRAM, "late.py", "late"))
        self.worker.take(LoadBodies("late", graph, ["first-1", "second-1"], looks=at_home))
        if at_home:
            self.worker = HomeWorker("edge", {}, answers.append)
            self.worker.take(LoadBodies("late", graph, [], "home", harmless=answers.pop().harmless))
        ways: list[list[Any]] = [[[], False]]
        bodies = [NewInstance(1, "first-1", ways, None), NewInstance(2, "second-1", ways, None)]
        self.worker.take(Start("late", 1, 0, bodies))
        self.units = [self.worker.take(Restore(ident, encode_value(state))) for ident, state in states.items()]
        members = [MemberInWorker(1, {}, [[]], [], {}), MemberInWorker(2, {0: 0}, [], [([], True)], {})]
        self.worker.take(FormRegion(3, 1, members, []))
        self.answers = answers

    def take_run(self, value: int) -> Unit | None:
        """Take a run of the region."""
        return self.worker.take(RunRegion(3, 0, 100, b"", [encode_value(value)], None, None))

    @property
    def results(self) -> list[Any]:
        """The results of the runs so far."""
        ran = [answer for answer in self.answers if isinstance(answer, RegionRan)]
        assert not any(each.errors for each in ran)
        return [decode_value(edge[1][0][1]) for each in ran for edge in each.edges]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("most", [1 << 62, 1])
def test_a_region_runs_after_its_bodies_got_their_states(order: tuple[int, int], most: int) -> None:
    late = Late()
    assert [late.take_run(5), late.take_run(7)] == [None, None], "a thread that is late will come to them"
    for index in order:
        assert late.results == []
        unit = late.units[index]
        while unit is not None:
            unit = late.worker.run_waiting(unit, most=most)
    assert late.results == [1000 + 105, 1105 + 112]
    unit = late.take_run(1)
    assert unit is not None
    late.worker.run_waiting(unit)
    assert late.results[2:] == [1217 + 113]


def test_a_region_without_runs_ends_the_turn_of_its_bodies() -> None:
    late = Late()
    for unit in late.units:
        assert unit is not None and late.worker.run_waiting(unit) is None
    unit = late.take_run(5)
    assert unit is not None and late.worker.run_waiting(unit) is None
    assert late.results == [1105]


def test_a_region_runs_though_a_command_before_it_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    late = Late()
    first, second = late.units
    assert first is not None and second is not None
    late.worker.run_waiting(first)

    def interrupted(command: Any) -> None:
        raise SystemExit

    monkeypatch.setattr(type(second), "carry_out", lambda self, command: interrupted(command))
    with pytest.raises(SystemExit):
        late.worker.run_waiting(second)
    monkeypatch.undo()
    unit = late.take_run(5)
    assert unit is not None
    late.worker.run_waiting(unit)
    assert late.results == [105], "the second body has no state"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_region_leaves_home_when_all_its_bodies_have_their_states(order: tuple[int, int]) -> None:
    """The state of the first body is too long for home, and leaves with all of the region."""
    long = "x" * 100_000
    late = Late(True, {1: long, 2: 1000})
    assert isinstance(late.worker, HomeWorker) and late.take_run(5) is None
    found: list[tuple[list[int], list[Any]]] = []
    for index in order:
        unit = late.units[index]
        assert unit is not None and not any(idents for idents, _ in found)
        late.worker.run_waiting(unit)
        found += [late.worker.withdraw(each.ident) for each in late.answers if isinstance(each, LeftHome)]
        late.answers.clear()
    (commands,) = [commands for idents, commands in found if idents == [1, 2]]
    states = {each.ident: decode_value(each.sq_state) for each in commands if isinstance(each, Restore)}
    assert states == {1: long, 2: 1000}
    assert [type(each) for each in commands if isinstance(each, FormRegion | RunRegion)] == [FormRegion, RunRegion]
