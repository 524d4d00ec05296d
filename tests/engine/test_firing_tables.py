"""Every firing rule on tables worked out by hand.

A table has a line for each tick with an arrival or a firing: `tick | arrivals | firings`. An arrival is
`port [start, stop) value` (`far port ...`: from another ensemble; `B.port ...`: at the plan B's port), several
joined by `;`. A firing is its interval and the values in port order, after `B` if it is the plan B. `error SQ` is a
firing that failed. No line: nothing happens at that tick. The text after `#` says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
import simpy

from ticktalk import TTClock, TTRuntimeManagerSim
from ticktalk.counters import Counters
from ticktalk.defaults import EVICTION_BOUND
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync, PlanBSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing.single_run import SingleRun
from ticktalk.engine.firing_chain import tagged
from ticktalk.graph.sq import TTSQ, TTFiringRule, TTPort
from ticktalk.language.compiler import compile_source
from ticktalk.time import INFINITY, ROOT

ARRIVAL = re.compile(r"(far )?(B\.)?(\S+) \[(\S+), (\S+)\) (\S+)")


def number(text: str) -> Any:
    return float(text) if text in ("inf", "-inf") else int(text) if re.fullmatch(r"-?\d+", text) else text


def parsed(table: str) -> list[tuple[int, list[str], list[str]]]:
    rows = []
    for line in table.strip().splitlines():
        tick, arrivals, fires = (line.split("#")[0] + "||").split("|")[:3]
        rows.append(
            (int(tick), *([entry.strip() for entry in c.split(";") if entry.strip()] for c in (arrivals, fires)))
        )
    return rows


def shown(start: Any, stop: Any, values: tuple[Any, ...]) -> str:
    return " ".join([f"[{start}, {stop})", *map(str, values)])


@dataclass
class Played:
    """The outcome of a table: its firings, and the tokens left."""

    fired: list[tuple[int, str]]
    counters: dict[str, dict[str, int]]
    waiting: dict[str, int]
    sync: TTSQSync


def play(sq: TTSQ, table: str, plan_b: TTSQ | None, clock: TTClock, bound: int) -> Played:
    """Give the arrivals in `table` to the sync part of `sq`."""
    agenda, counters = Agenda(), Counters()
    sync = make_sync(sq, 1, agenda, counters, clock, bound)
    fired: list[tuple[int, str]] = []
    sync.fire = lambda start, stop, values, now: fired.append((now, shown(start, stop, values)))
    second: PlanBSync | None = None
    if isinstance(sync, DeadlineSync):
        sync.pass_on = lambda value, start, stop: fired.append((agenda.now, shown(start, stop, (value,))))
        sync.report = lambda name, start, stop, error: fired.append((agenda.now, f"error {name}"))
        if plan_b is not None:
            second = make_sync(plan_b, 0, agenda, counters, clock, bound)
            second.fire = lambda start, stop, values, now: fired.append((now, "B " + shown(start, stop, values)))
            sync.plan_b, sync.plan_b_fire = second, second.fire
    rows = parsed(table)
    for tick, arrivals, _ in rows:
        for entry in arrivals:
            far, at_plan_b, port, start, stop, value = ARRIVAL.fullmatch(entry).groups()
            target = second if at_plan_b else sync
            index = [port.name for port in target.sq.ports].index(port)
            token = (index, number(start), number(stop), number(value), far is not None)
            agenda.deliver_at(tick, target.receive, *token)
    while (tick := agenda.next_tick()) is not None and tick <= rows[-1][0]:
        agenda.run_tick(tick)
    return Played(fired, counters.by_sq, sync.waiting(), sync)


@dataclass
class Case:
    """A table, with its counts and the tokens that wait at its end."""

    name: str
    sq: TTSQ
    table: str
    counts: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    plan_b: TTSQ | None = None
    clock: TTClock = ROOT
    bound: int = EVICTION_BOUND


def check(case: Case) -> None:
    played = play(case.sq, case.table, case.plan_b, case.clock, case.bound)
    assert played.fired == [(tick, text) for tick, _, fires in parsed(case.table) for text in fires]
    assert played.counters == ({case.sq.name: case.counts} if case.counts else {})
    assert played.waiting == case.waiting


def cases(*table: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", table, ids=[case.name for case in table])


def ports(names: str) -> list[TTPort]:
    """`"a ~k"`: a consuming port `a`, a sticky one `k`."""
    return [TTPort(name.lstrip("~"), sticky=name.startswith("~")) for name in names.split()]


def timed(names: str, **settings: Any) -> TTSQ:
    sq = TTSQ("f-1", "f", body=True, ports=ports(names), **settings)
    assert sq.firing_rule is TTFiringRule.Timed
    return sq


@cases(
    Case(
        "a token waits for one it overlaps; used tokens leave",
        timed("a b"),
        """
          0 | a [0, 100) 1   |
         10 | b [50, 150) 2  | [50, 100) 1 2
         20 | b [60, 90) 3   |                   # a's token has left
         30 | a [0, 60) 4    |                   # only touches
         40 | a [80, 200) 5  | [80, 90) 5 3
        """,
        waiting={"a": 1},
    ),
    Case(
        "one tick of overlap is enough",
        timed("a b"),
        """
          0 | a [0, 10) 1  |
          1 | b [9, 20) 2  | [9, 10) 1 2
        """,
    ),
    Case(
        "the widest overlap wins",
        timed("a b"),
        """
          0 | b [0, 40) x   |
          1 | b [30, 90) y  |
          2 | a [10, 80) 1  | [30, 80) 1 y
          3 | a [10, 80) 2  | [10, 40) 2 x
        """,
    ),
    Case(
        "equally wide: the earlier start, then the earlier arrival",
        timed("a b"),
        """
          0 | b [20, 30) x; b [0, 10) y; b [0, 10) z  |
          1 | a [0, 30) 1                             | [0, 10) 1 y
          2 | a [0, 30) 2                             | [0, 10) 2 z
          3 | a [0, 30) 3                             | [20, 30) 3 x
        """,
    ),
    Case(
        "three ports: the common overlap counts, not that of pairs",
        timed("a b c"),
        """
          0 | b [0, 50) x; b [40, 100) y  |
          1 | c [45, 100) z               |
          2 | a [0, 100) 1                | [45, 100) 1 y z
        """,
        waiting={"b": 1},
    ),
    Case(
        "ties are settled port by port",
        timed("a b c"),
        """
          0 | b [5, 8) late; b [0, 3) early       |
          1 | c [-4, 3) closer; c [-5, 8) longer  |
          2 | a [0, 10) 1                         | [0, 3) 1 early longer
        """,
        waiting={"b": 1, "c": 1},
    ),
    Case(
        "all of one tick is there before the first of it is matched",
        timed("a b"),
        """
          5 | a [0, 10) 1; b [0, 4) x; b [0, 10) y  | [0, 10) 1 y
        """,
        waiting={"b": 1},
    ),
    Case(
        "what comes from other ensembles at a tick comes first",
        timed("a b"),
        """
          5 | b [0, 10) near; far b [0, 10) distant  |
          6 | a [0, 10) 1                            | [0, 10) 1 distant
        """,
        waiting={"b": 1},
    ),
    Case(
        "any order: it may go back in time",
        timed("a b"),
        """
          0 | a [100, 110) 1; b [100, 110) 2  | [100, 110) 1 2
          1 | a [0, 10) 3; b [0, 10) 4        | [0, 10) 3 4
        """,
    ),
    Case(
        "infinite intervals overlap all, and the result carries the finite part",
        timed("a b c"),
        """
          0 | a [-inf, inf) 1; b [-inf, 20) 2  |
          1 | c [10, inf) 3                    | [10, 20) 1 2 3
          2 | a [-inf, inf) 4; b [-inf, inf) 5; c [-inf, inf) 6  | [-inf, inf) 4 5 6
        """,
    ),
    Case(
        "one arc input: every token fires",
        timed("a"),
        """
          0 | a [0, 10) 1; a [-5, 1) 2   | [0, 10) 1; [-5, 1) 2
          1 | a [-inf, inf) 3            | [-inf, inf) 3
        """,
    ),
    Case(
        "a constant on a port takes no part in matching",
        TTSQ("f-1", "f", body=True, ports=[TTPort("a"), TTPort("k", constant=[7]), TTPort("b")]),
        """
          0 | a [0, 10) 1  |
          1 | b [5, 20) 2  | [5, 10) 1 2
        """,
    ),
    Case(
        "an SQ on full tokens gets each with its own interval",
        timed("a b", full_token=True),
        """
          0 | a [0, 10) 1  |
          1 | b [5, 20) 2  | [5, 10) (0, 10, 1) (5, 20, 2)
        """,
    ),
)
def test_timed(case: Case) -> None:
    check(case)


@cases(
    Case(
        "a sticky value is used again, until a newer one replaces it",
        timed("s ~k"),
        """
          0 | k [-inf, inf) x  |
          1 | s [0, 10) 1      | [0, 10) 1 x
          2 | s [10, 20) 2     | [10, 20) 2 x
          3 | k [-inf, inf) y  |
          4 | s [20, 30) 3     | [20, 30) 3 y
        """,
    ),
    Case(
        "tokens that waited are considered again in the order in which they arrived",
        timed("s ~k"),
        """
          0 | s [10, 20) 1     |
          1 | s [0, 10) 2      |
          2 | k [-inf, inf) x  | [10, 20) 1 x; [0, 10) 2 x
        """,
    ),
    Case(
        "a sticky value that comes at the same tick is there",
        timed("s ~k"),
        """
          0 | k [-inf, inf) x                 |
          1 | s [0, 10) 1; k [-inf, inf) y    | [0, 10) 1 y
        """,
    ),
    Case(
        "the sticky interval counts: what it does not overlap waits for another",
        timed("s ~k"),
        """
          0 | k [0, 15) x    |
          1 | s [10, 20) 1   | [10, 15) 1 x
          2 | s [20, 30) 2   |
          3 | s [12, 30) 3   | [12, 15) 3 x
          4 | k [25, 40) y   | [25, 30) 2 y
        """,
    ),
    Case(
        "nothing fires until every sticky port has a value",
        timed("s ~k ~m"),
        """
          0 | s [0, 10) 1      |
          1 | k [-inf, inf) x  |
          2 | m [5, inf) y     | [5, 10) 1 x y
        """,
    ),
    Case(
        "two streams and a sticky value: the set is the widest within it",
        timed("s t ~k"),
        """
          0 | s [0, 100) 1   |
          1 | t [0, 60) x    |
          2 | t [60, 100) y  |
          3 | k [50, inf) z  | [60, 100) 1 y z
        """,
        waiting={"t": 1},
    ),
)
def test_sticky_ports(case: Case) -> None:
    check(case)


def sequential(names: str) -> TTSQ:
    sq = TTSQ("count-1", "count", body=True, ports=ports(names), stateful=True, stream=True, order="forward")
    assert sq.firing_rule is TTFiringRule.SequentialRetrigger
    return sq


@cases(
    Case(
        "a set that starts before the last one fired is dropped",
        sequential("a b"),
        """
          0 | a [100, 110) 1; b [100, 110) 1  | [100, 110) 1 1
          1 | a [105, 110) 2; b [100, 110) 2  | [105, 110) 2 2
          2 | a [101, 106) 3; b [101, 106) 3  |                     # its tokens are gone too
          3 | a [105, 120) 4; b [100, 120) 4  | [105, 120) 4 4      # equal starts are not back in time
        """,
        counts={"out_of_order": 1},
    ),
    Case(
        "with one input",
        sequential("a"),
        """
          0 | a [100, 110) 1                   | [100, 110) 1
          1 | a [99, 200) 2                    |
          2 | a [98, 110) 3; a [100, 101) 4    | [100, 101) 4
        """,
        counts={"out_of_order": 2},
    ),
    Case(
        "the start of the set counts, so a sticky value can set it",
        sequential("s ~k"),
        """
          0 | k [50, inf) x                   |
          1 | s [60, 70) 1                    | [60, 70) 1 x
          2 | s [40, 65) 2                    |
          3 | k [60, inf) y                   |
          4 | s [40, 65) 3                    | [60, 65) 3 y
        """,
        counts={"out_of_order": 1},
    ),
)
def test_sequential_retrigger(case: Case) -> None:
    check(case)


@cases(
    Case(
        "each port fires by itself",
        TTSQ("MERGE-1", "MERGE", ports=ports("a b"), singly=True),
        """
          0 | a [0, 10) 1                 | [0, 10) 1
          1 | b [0, 10) 2                 | [0, 10) 2
          2 | b [5, 6) 3; a [90, 91) 4    | [5, 6) 3; [90, 91) 4
          3 | a [-inf, inf) 5             | [-inf, inf) 5
        """,
    ),
)
def test_merge(case: Case) -> None:
    check(case)


def grid(period: int, phase: int = 0, width: int = 20, names: str = "~w", **settings: Any) -> TTSQ:
    sq = TTSQ(
        "src-1",
        "src",
        body=True,
        stream=True,
        trigger="grid",
        ports=ports(names),
        period=period,
        phase=phase,
        width=width,
        **settings,
    )
    assert sq.firing_rule is TTFiringRule.TimedRetrigger
    return sq


@cases(
    Case(
        "later than the window's start, up to and with its end",
        grid(100),
        """
          0 | w [0, 300) 1  |
        100 |               | [90, 110) 1
        200 |               | [190, 210) 1
        300 |               | [290, 310) 1
        900 |
        """,
    ),
    Case(
        "the start of a window is no instant of it",
        grid(100),
        """
          0 | w [100, 250) 1  |
        200 |                 | [190, 210) 1
        900 |
        """,
    ),
    Case(
        "later than the moment the window was known; past instants are skipped and counted",
        grid(100),
        """
        300 | w [0, 550) 1  |
        400 |               | [390, 410) 1
        500 |               | [490, 510) 1
        900 |
        """,
        counts={"skipped": 3},
    ),
    Case(
        "a window that is wholly past fires nothing",
        grid(100),
        """
        950 | w [0, 550) 1  |
        999 |
        """,
        counts={"skipped": 5},
    ),
    Case(
        "the phase shifts the grid; an odd width is wider behind",
        grid(100, phase=30, width=5),
        """
         10 | w [0, 230) 1  |
         30 |               | [28, 33) 1
        130 |               | [128, 133) 1
        230 |               | [228, 233) 1
        900 |
        """,
    ),
    Case(
        "a width of one tick is the instant itself; one beyond the period overlaps the next",
        grid(100, width=1),
        """
          0 | w [0, 100) 1  |
        100 |               | [100, 101) 1
        """,
    ),
    Case(
        "wider than the period",
        grid(100, width=250),
        """
          0 | w [0, 200) 1  |
        100 |               | [-25, 225) 1
        200 |               | [75, 325) 1
        """,
    ),
    Case(
        "the window is the intersection of all inputs",
        grid(100, names="~w ~v"),
        """
          0 | w [0, 300) 1    |
         50 | v [150, 900) 2  |
        200 |                 | [190, 210) 1 2
        300 |                 | [290, 310) 1 2
        999 |
        """,
    ),
    Case(
        "inputs that do not overlap have no window",
        grid(100, names="~w ~v"),
        """
          0 | w [0, 300) 1; v [300, 900) 2  |
        999 |
        """,
    ),
    Case(
        "all inputs are sticky: a newer value replaces the window",
        grid(100),
        """
          0 | w [0, 1000) 1   |
        100 |                 | [90, 110) 1
        150 | w [0, 220) 2    |
        200 |                 | [190, 210) 2
        310 | w [400, 600) 3  |
        500 |                 | [490, 510) 3
        600 |                 | [590, 610) 3
        999 |
        """,
    ),
    Case(
        "no instant fires or is counted twice",
        grid(100),
        """
          0 | w [0, 100) 1    |
        100 |                 | [90, 110) 1
        450 | w [0, 600) 2    |               # 200, 300, 400 are past; 100 has fired
        500 |                 | [490, 510) 2
        600 |                 | [590, 610) 2
        999 |
        """,
        counts={"skipped": 3},
    ),
    Case(
        "a window that is replaced at an instant: the instant has passed with the old one",
        grid(100),
        """
          0 | w [0, 1000) 1   |
        100 |                 | [90, 110) 1
        150 | w [500, 700) 2  |
        600 |                 | [590, 610) 2
        700 |                 | [690, 710) 2
        999 |
        """,
    ),
    Case(
        "first-instance delay: the next instant is later than the first firing plus the delay",
        grid(100, first_delay=250),
        """
          0 | w [0, 600) 1  |
        100 |               | [90, 110) 1
        400 |               | [390, 410) 1    # later than 350
        500 |               | [490, 510) 1
        600 |               | [590, 610) 1
        999 |
        """,
    ),
    Case(
        "first-instance delay that ends on an instant: later than it",
        grid(100, first_delay=200),
        """
          0 | w [0, 600) 1  |
        100 |               | [90, 110) 1
        400 |               | [390, 410) 1    # later than 300
        500 |               | [490, 510) 1
        600 |               | [590, 610) 1
        999 |
        """,
    ),
    Case(
        "first-instance delay shorter than the period changes nothing",
        grid(100, first_delay=60),
        """
          0 | w [0, 300) 1  |
        100 |               | [90, 110) 1
        200 |               | [190, 210) 1
        300 |               | [290, 310) 1
        999 |
        """,
    ),
)
def test_timed_retrigger(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("width", "now", "fires", "counted"),
    [
        # The instant is 100, the next one 200.
        (20, 100, True, {}),
        (20, 109, True, {}),
        (20, 110, True, {"late_starts": 1}),  # its interval [90, 110) is over
        (20, 199, True, {"late_starts": 1}),
        (20, 200, False, {"skipped": 1}),
        (300, 249, True, {}),  # its interval [-50, 250) is not
        (300, 250, False, {"skipped": 1}),
    ],
)
def test_an_instant_that_is_late(width: int, now: int, fires: bool, counted: dict[str, int]) -> None:
    """In real time a stream's turn may come late: it is skipped from the later of its end and the next instant."""
    agenda, counters = Agenda(), Counters()
    sync = make_sync(grid(100, width=width), 0, agenda, counters)
    fired = []
    sync.fire = lambda start, stop, values, at: fired.append((start, stop, at))
    sync.receive(0, 0, 150, "w")
    agenda.run_until(0)
    agenda.run_until(now)
    start = 100 - width // 2
    assert fired == ([(start, start + width, now)] if fires else [])
    assert counters.by_sq == ({"src-1": counted} if counted else {})


def test_a_skipped_instant_is_no_first_firing() -> None:
    """The first-instance delay counts from the first firing."""
    agenda, counters = Agenda(), Counters()
    sync = make_sync(grid(100, first_delay=250), 0, agenda, counters)
    fired = []
    sync.fire = lambda start, stop, values, at: fired.append((start + stop) // 2)
    sync.receive(0, 0, 1000, "w")
    agenda.run_until(0)
    agenda.run_until(200)  # the instant 100 is skipped; 200 is the first that fires
    for now in range(300, 1001, 100):
        agenda.run_until(now)
    assert fired == [200, 500, 600, 700, 800, 900, 1000]
    assert counters.by_sq == {"src-1": {"skipped": 1}}


def test_a_tag_is_sent_before_the_body_runs() -> None:
    agenda, counters = Agenda(), Counters()
    sync = make_sync(grid(100), 0, agenda, counters)
    assert isinstance(sync, GridSync)
    seen: list[tuple] = []
    sync.fire = tagged(
        lambda start, stop, values, now: seen.append(("body", start, stop, values)),
        lambda instant, start, stop: seen.append(("tag", instant, start, stop)),
        of_grid=True,
    )
    sync.receive(0, 0, 100, "w")
    agenda.run_until(0)
    agenda.run_until(100)
    assert seen == [("tag", 100, 90, 110), ("body", 90, 110, ("w",))]


def test_a_grid_that_is_changed_while_it_runs_goes_on_with_the_new_one() -> None:
    agenda, counters = Agenda(), Counters()
    sync = make_sync(grid(100), 0, agenda, counters)
    assert isinstance(sync, GridSync)
    fired = []
    sync.fire = lambda start, stop, values, now: fired.append((start, stop))
    sync.receive(0, 0, 500, "w")
    agenda.run_until(0)
    for now in range(1, 501):
        if now == 210:
            sync.set_grid(50, 20, 10, now)
        agenda.run_until(now)
    assert fired == [(90, 110), (190, 210), *[(at - 5, at + 5) for at in range(220, 500, 50)]]
    assert not counters.by_sq


def test_a_stream_without_end_says_so() -> None:
    agenda = Agenda()
    told = []
    agenda.on_endless = told.append
    sync = make_sync(grid(100), 0, agenda, Counters())
    assert isinstance(sync, GridSync)
    sync.fire = lambda *firing: None
    sync.receive(0, 0, INFINITY, "w")
    agenda.run_until(0)
    assert told == ["src-1"] and sync.end == INFINITY and sync.pending
    sync.close()
    assert not sync.pending and sync.instant is None


def deadline(names: str = "data deadline", **settings: Any) -> TTSQ:
    sq = TTSQ("TTFinishByOtherwise-1", "TTFinishByOtherwise", ports=ports(names), trigger="deadline", **settings)
    assert sq.firing_rule is TTFiringRule.Deadline
    return sq


def plan_b(names: str = "") -> TTSQ:
    return TTSQ("pb-1", "pb", body=True, ports=ports(names), trigger="plan_b")


@cases(
    Case(
        "data in time passes, with the common interval; plan B does not fire",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        400 | data [50, 150) x       | [50, 100) x
        999 |
        """,
        plan_b=plan_b(),
    ),
    Case(
        "no data: plan B fires at the deadline, once, with the deadline's interval",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        500 |                        | B [0, 100)
        999 |
        """,
        counts={"plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "the last tick before the deadline is in time",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        499 | data [0, 100) x        | [0, 100) x
        999 |
        """,
        plan_b=plan_b(),
    ),
    Case(
        "the deadline itself is late",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        500 | data [0, 100) x        | B [0, 100)
        999 |
        """,
        counts={"late": 1, "plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "late data is dropped and counted",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        500 |                        | B [0, 100)
        600 | data [50, 150) x       |
        999 |
        """,
        counts={"late": 1, "plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "data that was there before its deadline was known passes",
        deadline(),
        """
          0 | data [0, 100) x         |
        300 | deadline [50, 100) 500  | [50, 100) x
        999 |
        """,
        plan_b=plan_b(),
    ),
    Case(
        "even if the deadline's token itself comes after the deadline",
        deadline(),
        """
        400 | data [0, 100) x        |
        700 | deadline [0, 100) 500  | [0, 100) x
        999 |
        """,
        plan_b=plan_b(),
    ),
    Case(
        "a deadline's token that comes after the deadline, without data in time",
        deadline(),
        """
        600 | data [0, 100) late     |
        700 | deadline [0, 100) 500  | B [0, 100)
        999 |
        """,
        counts={"late": 1, "plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "data and deadline of one tick meet, in either order",
        deadline(),
        """
         10 | data [0, 100) x; deadline [0, 100) 500       | [0, 100) x
         20 | deadline [200, 300) 500; data [200, 300) y   | [200, 300) y
        999 |
        """,
        plan_b=plan_b(),
    ),
    Case(
        "a deadline in the past is one: data of this very tick is late",
        deadline(),
        """
         10 | data [0, 100) x; deadline [0, 100) 10  | B [0, 100)
        999 |
        """,
        counts={"late": 1, "plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "each deadline waits for data of its own interval",
        deadline(),
        """
          0 | deadline [0, 100) 500; deadline [100, 200) 600  |
        450 | data [100, 200) y                               | [100, 200) y
        500 |                                                 | B [0, 100)
        999 |
        """,
        counts={"plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "data meets the deadline that it overlaps most",
        deadline(),
        """
          0 | deadline [0, 100) 500; deadline [60, 200) 500  |
        100 | data [50, 150) x                               | [60, 150) x
        500 |                                                | B [0, 100)
        999 |
        """,
        counts={"plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "data that overlaps no deadline waits",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        100 | data [100, 150) x      |
        500 |                        | B [0, 100)
        999 |
        """,
        counts={"plan_b": 1},
        waiting={"data": 1},
        plan_b=plan_b(),
    ),
    Case(
        "no plan B: nothing goes on, and it is counted",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        600 | data [0, 100) x        |
        999 |
        """,
        counts={"missed": 1, "late": 1},
    ),
    Case(
        "a deadline that is still to come is pending",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        499 |
        """,
        waiting={"deadline": 1},
        plan_b=plan_b(),
    ),
    Case(
        "the deadline's value is a tick of the SQ's clock",
        deadline(),
        """
           0 | deadline [0, 100) 3; deadline [200, 300) 3  |
        3049 | data [0, 100) x                             | [0, 100) x
        3050 | data [200, 300) y                           | B [200, 300)
        """,
        counts={"late": 1, "plan_b": 1},
        plan_b=plan_b(),
        clock=TTClock("ms", ROOT, 1000, 50),
    ),
    Case(
        "an offset is added in root ticks",
        deadline(offset=7),
        """
           0 | deadline [0, 100) 500  |
         507 |                        | B [0, 100)
        """,
        counts={"plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "a deadline that is no tick is an error of that firing alone",
        deadline(),
        """
           0 | deadline [0, 100) soon; deadline [0, 50) 500  | error TTFinishByOtherwise-1
         500 |                                               | B [0, 50)
        """,
        counts={"plan_b": 1},
        plan_b=plan_b(),
    ),
    Case(
        "a sticky deadline holds for every token of the stream",
        deadline("data ~deadline"),
        """
          0 | deadline [-inf, inf) 500  |
        100 | data [0, 10) 1            | [0, 10) 1
        200 | data [10, 20) 2           | [10, 20) 2
        600 | data [20, 30) 3           |
        700 | data [30, 40) 4           |
        """,
        counts={"late": 2},
        plan_b=plan_b(),
    ),
    Case(
        "sticky data answers every deadline",
        deadline("~data deadline"),
        """
          0 | data [-inf, inf) x       |
        100 | deadline [0, 10) 500     | [0, 10) x
        200 | deadline [10, 20) 600    | [10, 20) x
        300 | data [-inf, inf) y       |
        400 | deadline [20, 30) 700    | [20, 30) y
        999 |
        """,
        waiting={"data": 1},
        plan_b=plan_b(),
    ),
)
def test_deadline(case: Case) -> None:
    check(case)


@cases(
    Case(
        "its arguments are matched by the deadline's interval, and leave",
        deadline(),
        """
          0 | deadline [0, 100) 500; B.x [200, 300) other  |
         10 | B.x [50, 150) mine                           |
        500 |                                              | B [0, 100) mine
        600 | deadline [60, 100) 700                       |
        700 |                                              | error pb-1        # it has left
        """,
        counts={"plan_b": 1},
        plan_b=plan_b("x"),
    ),
    Case(
        "an argument that comes at the deadline's tick is there",
        deadline(),
        """
          0 | deadline [0, 100) 500  |
        500 | B.x [0, 100) 1         | B [0, 100) 1
        """,
        counts={"plan_b": 1},
        plan_b=plan_b("x"),
    ),
    Case(
        "an argument that is not there is an error of that firing",
        deadline(),
        """
          0 | deadline [0, 100) 500; deadline [100, 200) 600; B.x [100, 200) 1  |
        500 |                                                                   | error pb-1
        600 |                                                                   | B [100, 200) 1
        """,
        counts={"plan_b": 1},
        plan_b=plan_b("x"),
    ),
    Case(
        "arguments of several ports overlap one another within the interval",
        deadline(),
        """
          0 | B.x [0, 50) x0; B.x [50, 100) x1; B.y [60, 90) y0  |
        100 | deadline [0, 100) 500                              |
        500 |                                                    | B [0, 100) x1 y0
        """,
        counts={"plan_b": 1},
        plan_b=plan_b("x y"),
    ),
    Case(
        "a sticky argument is used again",
        deadline(),
        """
          0 | B.k [-inf, inf) k0; deadline [0, 100) 500; deadline [100, 200) 600  |
        500 |                                                                     | B [0, 100) k0
        550 | B.k [-inf, inf) k1                                                  |
        600 |                                                                     | B [100, 200) k1
        """,
        counts={"plan_b": 2},
        plan_b=plan_b("~k"),
    ),
    Case(
        "data in time leaves plan B's arguments waiting",
        deadline(),
        """
          0 | deadline [0, 100) 500; B.x [0, 100) 1  |
        100 | data [0, 100) x                        | [0, 100) x
        999 |
        """,
        plan_b=plan_b("x"),
    ),
)
def test_plan_b(case: Case) -> None:
    check(case)


@cases(
    Case(
        "exactly the bound behind the newest start: it stays",
        timed("a b"),
        """
          0 | a [0, 10) 1   |
          1 | a [40, 50) 2  |
          2 | b [0, 10) x   | [0, 10) 1 x
        """,
        waiting={"a": 1},
        bound=30,
    ),
    Case(
        "more than the bound behind: it goes, and what comes that old goes at once",
        timed("a b"),
        """
          0 | a [0, 10) 1   |
          1 | a [41, 50) 2  |
          2 | b [0, 10) x   |
          3 | b [0, 11) y   |
        """,
        counts={"evicted": 2},
        waiting={"a": 1, "b": 1},
        bound=30,
    ),
    Case(
        "the newest start may be seen on any port, and need not wait",
        timed("a b"),
        """
          0 | a [0, 10) 1                     |
          1 | b [50, 60) x; a [50, 60) 2      | [50, 60) 2 x
        """,
        counts={"evicted": 1},
        bound=30,
    ),
    Case(
        "a sticky port's start counts too",
        timed("s ~k"),
        """
          0 | s [0, 10) 1   |
          1 | k [50, 60) x  |
        """,
        counts={"evicted": 1},
        bound=30,
    ),
    Case(
        "infinite starts evict nobody; infinite ends never go",
        timed("a b"),
        """
          0 | a [0, 10) 1; a [-inf, inf) 2  |
          1 | a [-inf, 5) 3                 |
          2 | a [90, 99) 4                  |
          3 | b [80, 85) x                  | [80, 85) 2 x
        """,
        counts={"evicted": 2},
        waiting={"a": 1},
        bound=30,
    ),
    Case(
        "data that waits for a deadline",
        deadline(),
        """
          0 | data [0, 10) 1   |
          1 | data [40, 50) 2  |
          2 | data [41, 50) 3  |
        """,
        counts={"evicted": 1},
        waiting={"data": 2},
        bound=30,
    ),
    Case(
        "deadlines that never pass; others stay until they do",
        deadline(),
        """
          0 | deadline [0, 10) inf; deadline [0, 10) 90  |
          1 | deadline [40, 50) inf                      |
          2 | deadline [41, 50) inf                      |
          3 | data [40, 50) 1                            | [40, 50) 1
         90 |                                            | B [0, 10)
        """,
        counts={"evicted": 1, "plan_b": 1},
        waiting={"deadline": 1},
        plan_b=plan_b(),
        bound=30,
    ),
)
def test_eviction(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    ("sq", "port", "value"),
    [(timed("a b"), 0, None), (deadline("a b"), 0, None), (deadline("a b"), 1, INFINITY)],
    ids=["Timed", "Deadline, data", "Deadline, never"],
)
def test_memory_is_bounded_if_nothing_ever_matches(sq: TTSQ, port: int, value: float | None) -> None:
    agenda, counters = Agenda(), Counters()
    sync = make_sync(sq, 0, agenda, counters, ROOT, 1000)
    for start in range(0, 100_000, 10):
        sync.receive(port, start, start + 5, value)
        agenda.run_ready(start)
        assert sum(sync.waiting().values()) <= 102
    assert counters.by_sq[sq.name]["evicted"] + sum(sync.waiting().values()) == 10_000


@pytest.mark.parametrize("newest", ["y", "k"])
def test_the_tokens_of_a_plan_b_go_by_the_newest_start_on_any_of_its_ports(newest: str) -> None:
    agenda, counters = Agenda(), Counters()
    sync = make_sync(plan_b("x y ~k"), 0, agenda, counters, ROOT, 30)
    for port, start, left in (("x", 0, 1), ("k", 0, 1), (newest, 40, 1), (newest, 41, 0)):
        sync.receive("xyk".index(port), start, start + 10, None)
        agenda.run_ready(start)
        assert sync.waiting().get("x", 0) == left
    assert counters.by_sq == {"pb-1": {"evicted": 1}}


SINGLE_RUNS = {
    "free again when the body ends": """
          0 | in 1          | takes 1
         50 | in 2          |             # busy
         60 | result A; end | A
         70 | in 3          | takes 3
         70 | in 4          |             # busy
        169 | in 5          |             # busy
    """,
    "free again when the body ends without a result": """
          0 | in 1  | takes 1
         50 | end   |
         50 | in 2  | takes 2
    """,
    "free again after the timeout; the old body's late result is dropped, the new one's is not": """
          0 | in 1           | takes 1
         99 | in 2           |            # busy
        100 | in 3           | takes 3    # waits for the old body to end
        180 | result A; end  |            # late_results
        190 | in 4           |            # busy: 3 is in flight
        195 | result B; end  | B
        196 | in 5           | takes 5
    """,
    "a late result in whose place nothing was taken is sent": """
          0 | in 1           | takes 1
        180 | result A; end  | A
        181 | in 2           | takes 2
    """,
    "the timeout counts from the taking": """
          0 | in 1           | takes 1
        100 | in 2           | takes 2
        199 | in 3           |            # busy
        200 | in 4           | takes 4
        210 | result A; end  |            # late_results
        220 | result B; end  |            # late_results
        230 | result C; end  | C
    """,
    "an old body that ends without a result makes nobody else's late": """
          0 | in 1           | takes 1
        100 | in 2           | takes 2
        120 | end            |
        130 | result B; end  | B
    """,
    "dropped inputs are never made up": """
          0 | in 1           | takes 1
         10 | in 2           |            # busy
         20 | result A; end  | A
        500 |
    """,
}


@pytest.mark.parametrize("name", SINGLE_RUNS)
def test_single_run(name: str) -> None:
    """`in`: a token arrives; `result`, `end`: acts of the body in flight. The timeout is 100 ticks."""
    agenda, counters = Agenda(), Counters()
    sq = timed("x", single_run=100)
    sync = make_sync(sq, 0, agenda, counters)
    seen: list[tuple[int, str]] = []
    single = SingleRun(sq, counters, lambda value, start, stop: seen.append((agenda.now, value)))
    single.fire_body = lambda start, stop, values, now: seen.append((now, f"takes {values[0]}"))
    sync.fire = single.fire
    rows = parsed(SINGLE_RUNS[name])
    for tick, events, _ in rows:
        for event in events:
            match event.split():
                case ["in", value]:
                    agenda.deliver_at(tick, sync.receive, 0, tick, tick + 10, value)
                case ["result", value]:
                    agenda.deliver_at(tick, single.send, value, 0, 10)
                case ["end"]:
                    agenda.deliver_at(tick, single.done)
        while agenda.next_tick() is not None:
            agenda.run_tick(agenda.next_tick())
    assert seen == [(tick, text) for tick, _, fires in rows for text in fires]
    counted = {kind: SINGLE_RUNS[name].count(f"# {kind}") for kind in ("busy", "late_results")}
    assert counters.by_sq.get("f-1", {}) == {kind: count for kind, count in counted.items() if count}


def test_a_single_run_whose_body_raises_is_free_again() -> None:
    program = """
from ticktalk import SQify, STREAMify, GRAPHify
@STREAMify
def src(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return sq_state["n"]
@SQify
def g(x):
    return 6 // (x - 2)
@GRAPHify
def main(trigger):
    window = COPY_TTTIME(1, VALUES_TO_TTTIME(READ_TTCLOCK(trigger), 400))
    return TTSingleRunTimeout(g(src(window, TTPeriod=100)), TTTimeout=100000)
"""
    manager = TTRuntimeManagerSim(None, [], simpy.Environment())
    values = []
    manager.on_output(lambda token: values.append(token.value))
    graph = compile_source(program, "single.py", "single")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run()
    assert values == [-6, 6, 3]
    assert manager.counters(graph) == {"g-1": {"errors": 1}}


def test_a_sync_part_that_is_closed_fires_no_more() -> None:
    for sq in (timed("a b"), sequential("a"), grid(100, names="~a"), deadline("a b")):
        agenda = Agenda()
        sync = make_sync(sq, 0, agenda, Counters())
        fired: list[tuple] = []
        sync.fire = lambda *firing, fired=fired: fired.append(firing)
        for port in range(len(sq.ports)):
            sync.receive(port, 0, 500, 300)
        sync.close()
        agenda.run_until(1000)
        assert not fired and not sync.pending
