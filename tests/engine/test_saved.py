"""States of instances: saved in one, restored in another."""

from __future__ import annotations

import pytest

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.state import Saver
from ticktalk.language.compiler import compile_source
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.codec import decode_value

STREAM = """from ticktalk import STREAMify, GRAPHify
@STREAMify
def src(trigger):
    return 1
@GRAPHify
def main(trigger):
    return src(trigger, TTPeriod=100)
"""


def stream(agenda: Agenda) -> tuple[TTSQSync, list[tuple[Tick, Tick]]]:
    """A stream of period 100, and the intervals on which it fires."""
    (sq,) = [sq for sq in compile_source(STREAM, "saved.py", "saved").sqs if sq.trigger == "grid"]
    fired: list[tuple[Tick, Tick]] = []
    sync = make_sync(sq, 0, agenda, Counters())
    sync.fire = lambda start, stop, values, now: fired.append((start, stop))
    return sync, fired


@pytest.mark.parametrize("from_other_ensemble", [False, True])
def test_a_setting_that_has_not_had_its_turn_is_saved(from_other_ensemble: bool) -> None:
    """As of a stream whose host dies before its second checkpoint: the first is made as its context begins."""
    first, _ = stream(Agenda(1000))
    first.receive(0, NEG_INFINITY, INFINITY, 7, from_other_ensemble)
    saver = Saver()
    saved = first.save(saver)
    assert not saver.left_out
    agenda = Agenda(2050)
    second, fired = stream(agenda)
    second.restore(saved, decode_value, 2050)
    agenda.run_ready(2050)
    for tick in (2100, 2200, 2300):
        agenda.run_until(tick)
    assert second.pending and fired == [(2075, 2125), (2175, 2225), (2275, 2325)]
