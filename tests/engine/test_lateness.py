"""One rule for lateness, at all three places where a stream's body may start: by the table, tick for tick.

"A `@STREAMify` firing that cannot start before the later of its interval's end and the next instant is skipped and
counted." One that starts at its interval's end or later is counted, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from test_cores import HEAD, Simulated

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.lateness import lateness
from ticktalk.language.compiler import compile_source
from ticktalk.physical.regions.messages import RunRegion
from ticktalk.physical.workers import units
from ticktalk.physical.workers.protocol import BodiesLoaded, FiringEnded, LoadBodies, NewInstance, RunBody, Start
from ticktalk.physical.workers.worker import Worker

PERIOD = 100
INSTANT = 100
TABLE = [
    # width of the interval, tick at which the body can start, how it counts
    (20, 100, None),
    (20, 109, None),
    (20, 110, "late_starts"),  # its interval [90, 110) is over
    (20, 111, "late_starts"),
    (20, 199, "late_starts"),
    (20, 200, "skipped"),
    (20, 201, "skipped"),
    (300, 249, None),  # its interval [-50, 250) is not over
    (300, 250, "skipped"),
    (21, 110, None),  # [90, 111)
    (21, 111, "late_starts"),
]
EACH = pytest.mark.parametrize(("width", "tick", "counted"), TABLE)

STREAM = """
@STREAMify
def s(trigger):
    return 1
@SQify
def f(trigger):
    return 2
@GRAPHify
def main(trigger):
    f(trigger)
    return s(trigger, TTPeriod=100, TTDataIntervalWidth=WIDTH)
"""


@EACH
def test_a_firing_is_in_time_late_or_skipped(width: int, tick: int, counted: str | None) -> None:
    stop = INSTANT - width // 2 + width
    assert lateness(tick, stop, INSTANT + PERIOD) == counted


@EACH
def test_a_turn_that_comes_late(width: int, tick: int, counted: str | None) -> None:
    graph = compile_source(HEAD + STREAM.replace("WIDTH", str(width)), "prog.py", "prog")
    agenda, counters = Agenda(), Counters()
    sync = make_sync(graph.sq("s-1"), 0, agenda, counters)
    fired: list[int] = []
    sync.fire = lambda start, stop, values, now: fired.append(now)
    sync.receive(0, 0, 150, "w")
    agenda.run_until(0)
    agenda.run_until(tick)
    assert fired == ([] if counted == "skipped" else [tick])
    assert counters.by_sq == ({"s-1": {counted: 1}} if counted else {})


@EACH
def test_a_simulated_core_that_is_free_late(tmp_path: Path, width: int, tick: int, counted: str | None) -> None:
    # The only core runs `f` from 0 to `tick`.
    deployment = f"ensembles:\n- {{name: a}}\ncosts:\n  f: {{time: {tick}us}}\n  s: {{time: 1us}}\n"
    found = Simulated(tmp_path, STREAM.replace("WIDTH", str(width)), deployment)
    found.run(tick + 1)
    mine = dict(found.counters.get("s-1", {}))
    assert mine == ({counted: 1} if counted else {})


def worked(monkeypatch: pytest.MonkeyPatch, width: int, fire: RunBody, begun: int) -> str | None:
    """How a worker counts a firing whose body it starts at `begun` of its clock."""
    monkeypatch.setattr(units, "monotonic_us", lambda: begun)
    graph = compile_source(HEAD + STREAM.replace("WIDTH", str(width)), "prog.py", "prog")
    answers: list[Any] = []
    worker = Worker("a", {}, answers.append)
    worker.take(LoadBodies("prog", msgspec.json.encode(graph).decode(), ["s-1"]))
    worker.take(Start("prog", 1, 0, [NewInstance(7, "s-1", [((), False)], None)]))
    unit = worker.take(fire)
    assert unit is not None
    worker.run_waiting(unit)
    assert answers[0] == BodiesLoaded("prog", None)
    (answer,) = answers[1:]
    assert isinstance(answer, FiringEnded)
    return answer.counted


@EACH
def test_a_worker_that_is_free_late(
    monkeypatch: pytest.MonkeyPatch, width: int, tick: int, counted: str | None
) -> None:
    start = INSTANT - width // 2
    before = 5_000_000  # the worker's clock at root tick 0
    data = [msgspec.msgpack.encode(1)]
    fire = RunBody(7, start, start + width, data, INSTANT, before + INSTANT, before + INSTANT + PERIOD)
    assert worked(monkeypatch, width, fire, before + tick) == counted


def test_a_firing_that_was_late_when_it_was_decided_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The timekeeper has counted it; the worker, where it is late as well, does not."""
    fire = RunBody(7, 90, 110, [msgspec.msgpack.encode(1)], now=120, instant=100, following=200)
    assert worked(monkeypatch, 20, fire, 150) is None


@pytest.mark.parametrize(("decided", "late"), [(100, True), (109, True), (110, False), (120, False)])
def test_a_run_of_a_region_is_late_by_the_same_rule(monkeypatch: pytest.MonkeyPatch, decided: int, late: bool) -> None:
    monkeypatch.setattr(units, "monotonic_us", lambda: 150)
    command = RunRegion(9, 90, 110, b"", [], 100, 200, decided)
    answers: list[Any] = []

    class Runs:
        def run(self, *command: Any) -> tuple[list[Any], ...]:
            return [], [], [], []  # edges, leftovers, errors, absent

    units.RegionUnit(9, cast(Any, Runs()), [], answers.append).carry_out(command)
    assert answers[0].late == late
