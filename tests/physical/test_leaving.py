"""A body that leaves home goes on in its worker with all that it had, as if it had been there from the start."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import pytest

from ticktalk.language.compiler import compile_source
from ticktalk.physical.regions.messages import FormRegion, MemberInWorker, RegionRan, RunRegion, SplitRegion
from ticktalk.physical.workers.home import HomeWorker, LeftHome
from ticktalk.physical.workers.protocol import (
    BodiesLoaded,
    Command,
    FiringEnded,
    Leave,
    LoadBodies,
    NewInstance,
    Restore,
    RunBody,
    Save,
    SavedState,
    Start,
)
from ticktalk.physical.workers.worker import Worker
from ticktalk.values.codec import decode_value, encode_value


class Hosted:
    """A body `body(x)` in a worker, and at home as long as it may be there; without threads."""

    def __init__(self, source: str, argument: str = "x") -> None:
        self.told: list[Any] = []
        head = "from collections import deque\nfrom ticktalk import SQify, GRAPHify\n@SQify\n"
        text = f"{head}{source}\n@GRAPHify\ndef main(x):\n    return body({argument})\n"
        graph = compile_source(text, "prog.py", "prog")
        self._worker = Worker("edge", {}, self.told.append)
        self._home = HomeWorker("edge", {}, self.told.append)
        encoded = msgspec.json.encode(graph)
        self._worker.take(LoadBodies("prog", encoded, ["body-1"], "main", looks=True))
        (loaded,) = self.told
        assert isinstance(loaded, BodiesLoaded) and loaded.problem is None
        self.at_home = bool(loaded.harmless)
        if self.at_home:
            self._home.take(LoadBodies("prog", encoded, [], "home", harmless=loaded.harmless))
        self._carry_out(Start("prog", 1, 0, [NewInstance(1, "body-1", [[[], False]], None)]))

    def _carry_out(self, command: Command) -> None:
        worker = self._home if self.at_home else self._worker
        unit = worker.take(command)
        if unit is not None:
            worker.run_waiting(unit)

    def fire(self, value: Any) -> Any:
        """The result of the next firing."""
        self.told.clear()
        self._carry_out(RunBody(1, 0, 1, [encode_value(value)], 0))
        self._see_what_left()
        ended = self.told[-1]
        assert isinstance(ended, FiringEnded) and isinstance(ended.outcome, list), ended
        return decode_value(ended.outcome[0][0][1])

    def leave_while_a_region_is_formed(self) -> None:
        """The body is to leave; before that is known, it becomes a region."""
        self.told.clear()
        self._carry_out(Leave(1, "it is told to"))
        self._carry_out(FormRegion(2, 1, [MemberInWorker(1, {}, [], [([], True)], {})], []))
        self._see_what_left()

    def run_as_region(self, value: Any) -> Any:
        """The result of a run of the region."""
        self.told.clear()
        self._carry_out(RunRegion(2, 0, 1, b"", [encode_value(value)], None, None))
        self._see_what_left()
        ran = self.told[-1]
        assert isinstance(ran, RegionRan) and not ran.errors, ran
        return ran.edges

    def split(self) -> None:
        """The region ends."""
        self.told.clear()
        self._carry_out(SplitRegion(2))
        self._see_what_left()

    def _see_what_left(self) -> None:
        """Have what left home carried out in the worker."""
        for left in [each for each in self.told if isinstance(each, LeftHome)]:
            idents, commands = self._home.withdraw(left.ident)
            self.at_home = self.at_home and not idents
            for command in commands:
                if not isinstance(command, Leave):
                    self._carry_out(command)


STATES = {
    "a text": "sq_state['t'] = sq_state.get('t', '') + 'ab'\n    seen = sq_state['t']",
    "a state that is named in a comprehension only": "seen = [sq_state.setdefault(k, x) for k in ('first', 'second')]",
    "a list at two places": (
        "if not sq_state:\n        one = []\n        sq_state['a'] = one\n        sq_state['b'] = (one, 1)\n"
        "    sq_state['a'].append(x)\n    seen = sq_state['b']"
    ),
    "a deque": "sq_state.setdefault('d', deque(maxlen=3)).append(x)\n    seen = [*sq_state['d']]",
    "a deque at two places": (
        "if not sq_state:\n        sq_state['a'] = sq_state['b'] = deque(maxlen=3)\n"
        "    sq_state['a'].append(x)\n    seen = [*sq_state['b']]"
    ),
    "a number": "sq_state = (sq_state or 0) + x\n    seen = sq_state",
    "a dict of dicts": "sq_state.setdefault('d', {}).setdefault(x % 3, {1: [x]})[1].append(x)\n    seen = sq_state",
}


@pytest.mark.parametrize("statements", STATES.values(), ids=STATES.keys())
def test_a_state_leaves_whole(statements: str) -> None:
    """The body leaves in its tenth firing, because a loop is too long for home."""
    loop = "for _ in range(x // 10 * 9000):\n        x += 1"
    source = f"def body(x):\n    global sq_state\n    {statements}\n    {loop}\n    return x, seen"
    body, plain = Hosted(source), {"sq_state": {}, "deque": deque}
    exec(source, plain)
    assert body.at_home
    for x in range(1, 13):
        assert body.fire(x) == plain["body"](x)  # type: ignore[operator]
    assert not body.at_home


def test_a_long_constant_argument_keeps_a_body_away() -> None:
    """It would be made anew for each run."""
    source = "def body(x, table):\n    return table[x]"
    short, long = Hosted(source, "x, [1, 2, 3, 4]"), Hosted(source, f"x, {[*range(300)]}")
    assert short.at_home and short.fire(3) == 4
    assert not long.at_home and long.fire(299) == 299


def test_a_state_that_a_body_does_not_name_leaves_with_it() -> None:
    """It is that of a former version, and may be wanted by the next one."""
    body = Hosted("def body(x):\n    for _ in range(x):\n        pass\n    return x")
    body._carry_out(Restore(1, encode_value({"n": 7})))
    assert body.fire(3) == 3 and body.at_home
    assert body.fire(9_000) == 9_000 and not body.at_home
    body._carry_out(Save(1))
    saved = body.told[-1]
    assert isinstance(saved, SavedState) and saved.sq_state is not None
    assert decode_value(saved.sq_state) == {"n": 7}


COUNTS = "def body(x):\n    global sq_state\n    sq_state['n'] = sq_state.get('n', 0) + x\n    return sq_state['n']"


def test_a_body_that_became_a_region_before_it_left_leaves_with_the_next_run() -> None:
    body, other = Hosted(COUNTS), Hosted(COUNTS)
    assert body.fire(1) == other.fire(1) == 1
    body.leave_while_a_region_is_formed()
    assert body.at_home
    other._carry_out(FormRegion(2, 1, [MemberInWorker(1, {}, [], [([], True)], {})], []))
    for value in (2, 3):
        assert body.run_as_region(value) == other.run_as_region(value)
    assert not body.at_home and other.at_home
    for hosted in (body, other):
        hosted.split()
        assert hosted.fire(4) == 10


def test_a_body_whose_region_ends_before_it_left_leaves_by_itself() -> None:
    body = Hosted(COUNTS)
    assert body.fire(1) == 1
    body.leave_while_a_region_is_formed()
    body.split()
    assert not body.at_home
    assert body.fire(2) == 3
