"""A body that leaves home goes on in its worker with all that it had, as if it had been there from the start."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ticktalk.language.compiler import compile_source
from ticktalk.physical.workers.home import HomeWorker, LeftHome
from ticktalk.physical.workers.protocol import Command, Fire, FiringEnded, Load, Loaded, NewInstance, Start
from ticktalk.physical.workers.worker import Worker
from ticktalk.values.codec import decode_value, encode_value


class Hosted:
    """A body `body(x)` in a worker, and at home as long as it may be there; without threads."""

    def __init__(self, source: str, argument: str = "x") -> None:
        self.told: list[Any] = []
        head = "from ticktalk import SQify, GRAPHify\n@SQify\n"
        text = f"{head}{source}\n@GRAPHify\ndef main(x):\n    return body({argument})\n"
        graph = compile_source(text, "prog.py", "prog")
        self._worker = Worker("edge", {}, self.told.append)
        self._home = HomeWorker("edge", {}, self.told.append)
        encoded = msgspec.json.encode(graph)
        self._worker.take(Load("prog", encoded, ["body-1"], "main", looks=True))
        (loaded,) = self.told
        assert isinstance(loaded, Loaded) and loaded.problem is None
        self.at_home = bool(loaded.harmless)
        if self.at_home:
            self._home.take(Load("prog", encoded, [], "home", harmless=loaded.harmless))
        self._carry_out(Start("prog", 1, 0, [NewInstance(1, "body-1", [[[], False]], None)]))

    def _carry_out(self, command: Command) -> None:
        worker = self._home if self.at_home else self._worker
        unit = worker.take(command)
        if unit is not None:
            worker.run_all(unit)

    def fire(self, value: Any) -> Any:
        """The result of the next firing."""
        self.told.clear()
        self._carry_out(Fire(1, 0, 1, [encode_value(value)], 0))
        if isinstance(self.told[-1], LeftHome):
            _, commands = self._home.withdraw(1)
            self.at_home = False
            for command in commands:
                self._carry_out(command)
        ended = self.told[-1]
        assert isinstance(ended, FiringEnded) and isinstance(ended.outcome, list), ended
        return decode_value(ended.outcome[0][0][1])


STATES = {
    "a text": "sq_state['t'] = sq_state.get('t', '') + 'ab'\n    seen = sq_state['t']",
    "a state that is named in a comprehension only": "seen = [sq_state.setdefault(k, x) for k in ('first', 'second')]",
    "a list at two places": (
        "if not sq_state:\n        one = []\n        sq_state['a'] = one\n        sq_state['b'] = (one, 1)\n"
        "    sq_state['a'].append(x)\n    seen = sq_state['b']"
    ),
    "a dict of dicts": "sq_state.setdefault('d', {}).setdefault(x % 3, {1: [x]})[1].append(x)\n    seen = sq_state",
}


@pytest.mark.parametrize("statements", STATES.values(), ids=STATES.keys())
def test_a_state_leaves_whole(statements: str) -> None:
    """The body leaves in its tenth firing, because a loop is too long for home."""
    loop = "for _ in range(x // 10 * 9000):\n        x += 1"
    source = f"def body(x):\n    global sq_state\n    {statements}\n    {loop}\n    return x, seen"
    body, plain = Hosted(source), {"sq_state": {}}
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
