"""Every instruction gives on every kind of value what plain Python gives, simulated and in workers."""

from __future__ import annotations

import math
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest
import simpy
import test_value_kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from test_worker import HEAD, Host, until

from ticktalk.language.compiler import compile_source
from ticktalk.payloads import ReportRequest, StartContext
from ticktalk.physical.manager_node import in_loop
from ticktalk.physical.workers.units import MOST
from ticktalk.physical.workers.worker_body import WorkerBody
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.values.codec import decode_value, encode_value, plain

VALUES = """
import datetime, decimal, enum, fractions, pathlib
from dataclasses import dataclass
from typing import NamedTuple
import numpy as np

class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2

class Rights(enum.Flag):
    READ = 1
    WRITE = 2

class Pair(NamedTuple):
    x: int
    y: int

@dataclass(frozen=True)
class Money:
    cents: int
    def __add__(self, other): return Money(self.cents + other.cents)
    def __sub__(self, other): return Money(self.cents - other.cents)
    def __mul__(self, factor): return Money(self.cents * getattr(factor, "cents", factor))
    def __truediv__(self, other): return Money(self.cents // getattr(other, "cents", other))
    def __lt__(self, other): return self.cents < other.cents
    def __le__(self, other): return self.cents <= other.cents
    def __neg__(self): return Money(-self.cents)
    def __abs__(self): return Money(abs(self.cents))
    def __bool__(self): return self.cents > 0
    def __getitem__(self, key): return ("at", key)
    def __contains__(self, item): return item == self

@dataclass
class Car:
    speed: float

def shown(value):
    return sorted(map(repr, value)) if isinstance(value, (set, frozenset)) else repr(value)

DAY = datetime.datetime(2024, 2, 29)
PAIRS = [
    (7, 3), (True, False), (0.5, -2.0), (2**70, 5), (2**65, 3), (1j, 2 + 1j), (None, 1), ("ab", "b"), ("", "x"),
    (b"ab", b"b"), ([1, 2], [2]), ([], 0), ((1, 2), (1,)), ({1: 2}, {1: 3}), ({1, 2}, {2}), (frozenset([1]), 1),
    (range(5), 2), (DAY, datetime.timedelta(1)), (DAY, DAY), (decimal.Decimal("1.5"), decimal.Decimal(2)),
    (fractions.Fraction(1, 3), 2), (pathlib.PurePosixPath("a"), "b"), (np.uint8(200), np.uint8(100)),
    (np.float16(0.1), np.float16(3)), (np.array([200, 1], "u1"), np.array([100, 2], "u1")), (np.array([1.5]), 2),
    (np.array([3]), np.array([3])), (np.datetime64("2024-02-29"), np.timedelta64(1, "D")), (Level.HIGH, Level.LOW),
    (Rights.READ, Rights.WRITE), (Pair(1, 2), Pair(3, 4)), (Money(5), Money(3)), (Money(0), 4), (Car(1.0), Car(1.0)),
    ([Car(1.0)], [Car(2.0)]), ([], Car(1.0)), ({"car": Car(1.0)}, "car"), ((Money(1), Level.LOW), 0),
]
"""

EXPRESSIONS = [
    "a + b", "a - b", "a * b", "a / b", "a // b", "a % b", "a ** b", "a & b", "a | b", "a ^ b", "a << b", "a >> b",
    "-a", "+a", "~a", "not a", "a == b", "a != b", "a < b", "a <= b", "a > b", "a >= b", "a < b <= a", "a is None",
    "a is not None", "b in a", "b not in a", "a and b", "a or b", "a[0]", "a[b]", "a[0:1]", "a[b:]", "(a, b)", "[a, b]",
    "{a, b}", "{a: b}", "a if b else 'no'", "'no' if a else b", "(a + b) if a < b else (b, a)",
    "ABS(a)", "MIN(a, b)", "MAX(a, b)", "SQRT(a)", "TUPLE_2(a, b)", "TUPLE_3(a, b, a)", "SYSLOG(a)",
    "CONST(a, const=5)", "MERGE(a, a)", "COPY_TTTIME(a, b)",
    "SET_TIMEOUT(ADD_TIME_DELAY(COPY_TTTIME(a, VALUES_TO_TTTIME(k, k + 1)), delay=9))",
]  # fmt: skip

GRAPH = """
@SQify
def left(k):
    return PAIRS[k][0]
@SQify
def right(k):
    return PAIRS[k][1]
@SQify
def told(x, what):
    return what, shown(x)
@SQify
def halves(x, y, what):
    return what, shown((x, y))
@GRAPHify
def main(k):
    a, b = left(k), right(k)
"""

PROGRAM = (
    VALUES
    + GRAPH
    + "".join(f"    told({each}, what={each!r})\n" for each in EXPRESSIONS)
    + """
    p, q = MERGE(a, a)
    halves(p, q, what="p, q = MERGE(a, a)")
    r, s = COPY_TTTIME(a, b)
    halves(r, s, what="p, q = COPY_TTTIME(a, b)")
    t, u = a if b else b
    halves(t, u, what="p, q = a if b else b")
"""
)


UNPACKED = ["p, q = MERGE(a, a)", "p, q = COPY_TTTIME(a, b)", "p, q = a if b else b"]


def expected(pairs: list[tuple[Any, Any]] | None = None) -> dict[tuple[int, str], Any]:
    """What plain Python gives, by number of the pair and expression; nothing where it raises."""
    names: dict[str, Any] = {"__name__": "prog"}
    exec(compile(VALUES, "values", "exec", dont_inherit=True), names)
    if pairs is not None:
        names["PAIRS"] = pairs
    names |= {"ABS": abs, "MIN": min, "MAX": max, "SQRT": math.sqrt, "SYSLOG": lambda a: a, "MERGE": lambda a, b: a}
    names |= {"TUPLE_2": lambda *a: a, "TUPLE_3": lambda *a: a, "CONST": lambda a, const: const}
    names |= {"COPY_TTTIME": lambda a, b: a}
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k, (a, b) in enumerate(names["PAIRS"]):
            for what in (*EXPRESSIONS, *UNPACKED):
                text = "a" if what.startswith("SET_TIMEOUT") else what.removeprefix("p, q = ")
                try:
                    value = eval(text, {**names, "a": a, "b": b})
                    if what in UNPACKED:
                        x, y = value
                        value = x, y
                    found[k, what] = names["shown"](value)
                except Exception:
                    continue
    return found


def check(found: list[tuple[int, Any]], wanted: dict[tuple[int, str], Any]) -> None:
    """Each output is Python's, and none is missing."""
    assert {(k, what): shown for k, (what, shown) in found} == wanted


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_instruction_on_every_kind_of_value_simulated() -> None:
    wanted = expected()
    pairs = 1 + max(k for k, _ in wanted)
    environment = simpy.Environment()
    found: list[tuple[int, Any]] = []
    with TTRuntimeManagerSim(None, [], environment) as manager:
        manager.process.outputs.listeners.append(lambda token: found.append((token.context - 1, token.value)))
        manager.instantiate_and_map_graph(compile_source(HEAD + PROGRAM, "prog.py", "prog"))
        for k in range(pairs):
            manager.execute_graph("prog", {"k": k})
        environment.run(until=10)
    check(found, wanted)


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "process"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    made = Host(request.param)
    yield made
    made.node.close()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_instruction_on_every_kind_of_value_in_workers(host: Host) -> None:
    wanted = expected()
    pairs = 1 + max(k for k, _ in wanted)
    answer = host.prepare(PROGRAM)
    assert answer.problem is None
    for k in range(pairs):
        host.start(answer.graph, k + 1, k=k)

    def busy() -> bool:
        reports = host.node.duties.reports
        return any(reports.report(ReportRequest(answer.graph, k + 1, 0)).busy for k in range(pairs))

    until(lambda: not in_loop(host.node, busy), "all of them end")
    check([(token.context - 1, plain(token.value)) for token in host.outputs if token.graph == answer.graph], wanted)


SMALL = st.integers(-3, 3) | st.integers() | st.booleans() | st.floats() | st.none() | st.text(max_size=2)
ITEMS = st.one_of(
    SMALL, SMALL, st.binary(max_size=2), st.complex_numbers(), st.decimals(places=2, min_value=-9, max_value=9),
    st.fractions(-3, 3, max_denominator=4), st.timedeltas(), st.datetimes(), st.sets(SMALL, max_size=2),
    st.lists(SMALL, max_size=3), st.lists(SMALL, max_size=3).map(tuple), st.dictionaries(SMALL, SMALL, max_size=2),
    st.lists(SMALL, max_size=2).map(deque), st.builds(range, st.integers(0, 3)), st.frozensets(SMALL, max_size=2),
    st.sampled_from([np.int8(100), np.float32(0.1), np.bool_(True)]),
)  # fmt: skip
GIVEN = PROGRAM.replace("PAIRS[k]", "k[1]").replace(
    "def main(k):\n    a, b = left(k), right(k)", "def main(pair):\n    a, b, k = left(pair), right(pair), pair[0]"
)


def harmless(pair: tuple[Any, Any]) -> bool:
    """Python itself does not work for long on any of the expressions."""
    numbers = [item for item in pair if isinstance(item, int | float | Fraction | Decimal)]
    return len(numbers) < 2 or all(abs(number) < 99 for number in numbers) or any(n != n for n in numbers)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=25)
@given(st.lists(st.tuples(ITEMS, ITEMS).filter(harmless), min_size=1, max_size=3))
def test_every_instruction_on_any_values_simulated(any_pairs: Any, pairs: list[tuple[Any, Any]]) -> None:
    manager, outputs = any_pairs
    outputs.clear()
    for k, pair in enumerate(pairs):
        manager.execute_graph("prog", {"pair": (k, pair)})
    manager.simulation.run()
    first = min((token.context for token in outputs), default=0)
    check([(token.context - first, token.value) for token in outputs], expected(pairs))


@pytest.fixture(scope="module")
def any_pairs() -> Iterator[Any]:
    outputs: list[Any] = []
    with TTRuntimeManagerSim(None, [], simpy.Environment()) as manager:
        manager.process.outputs.listeners.append(outputs.append)
        manager.instantiate_and_map_graph(compile_source(HEAD + GIVEN, "prog.py", "prog"))
        yield manager, outputs


SAMPLES = """
@SQify
def first(x):
    return x
@SQify
def stamped(samples, before, number=0, TTExecuteOnFullToken=True):
    centre, value = samples.value[number]
    return TTToken(value, TTTime(samples.time.clock, centre - 5, centre + 5))
@SQify
def shown_one(x):
    return shown(x)
@GRAPHify
def main(trigger):
    one = stamped(trigger, trigger)
    other = stamped(trigger, one, number=1)
    return shown_one(RESAMPLE(MERGE(one, other), TTPeriod={period}, order={order}))
"""
"""The second sample is made when the first one is there: bodies run beside each other."""


def money(host: Host, *samples: tuple[int, int], period: int, order: int) -> str:
    """Run a graph that resamples samples of a class of the program's; its name."""
    text = VALUES + SAMPLES.format(period=period, order=order).replace("TTToken(value,", "TTToken(Money(value),")
    return host.finished(host.run(text, trigger=list(samples)))


@pytest.mark.parametrize("order", [0, 1])
def test_samples_of_a_class_of_the_program_are_resampled(host: Host, order: int) -> None:
    graph = money(host, (100, 7), (140, 47), period=10, order=order)
    wanted = [f"Money(cents={7 if order == 0 else cents})" for cents in (7, 17, 27, 37)]
    assert host.values(graph) == wanted
    starts = [(token.start, token.stop) for token in host.outputs if token.graph == graph]
    assert starts == [(95 + 10 * n, 105 + 10 * n) for n in range(4)]
    assert not host.errors_of(graph)


def test_a_gap_is_counted_on_a_device(host: Host) -> None:
    graph = money(host, (0, 7), (30_000_001, 47), period=10, order=1)
    assert host.values(graph) == [] and host.counts(graph)["RESAMPLE-1"] == {"gaps": 1}


@pytest.mark.filterwarnings("ignore:[^`]*`shown` is not defined")  # the body that calls it is not used
def test_the_timekeeper_takes_only_so_many_results_at_once(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other turns come in between, and no result is lost or overtakes another."""
    taken: list[tuple[int, int]] = []
    turns, ends = 0, False
    take = WorkerBody.sent

    def count() -> None:
        nonlocal turns
        turns += 1
        if not ends:
            host.node.loop.post(count)

    def sent(body: WorkerBody, answer: Any) -> None:
        taken.append((len(answer.results), turns))
        take(body, answer)

    monkeypatch.setattr(WorkerBody, "sent", sent)
    text = SAMPLES.format(period=10, order=1).replace("shown_one(RESAMPLE", "(RESAMPLE")
    host.node.loop.post(count)
    graph = host.finished(host.run(text, trigger=[(0, 0), (50_000, 5_000)]))
    ends = True
    assert host.values(graph) == [float(n) for n in range(5_000)]
    assert max(number for number, _ in taken) == MOST and len(taken) >= 5_000 // MOST
    assert max(Counter(turn for _, turn in taken).values()) <= 2  # the last ones are not waited for


def test_a_graph_ends_while_an_instruction_has_much_left_to_send(host: Host) -> None:
    graph = host.prepare(VALUES + SAMPLES.format(period=1, order=1)).graph
    host.start(graph, trigger=[(0, 0), (30_000_000, 5_000)])
    until(lambda: host.values(graph), "the first results")
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    next_one = money(host, (0, 7), (10, 47), period=10, order=0)  # by the same worker
    assert host.values(next_one) == ["Money(cents=7)"]


def test_the_last_sample_is_saved_and_restored_in_a_worker(host: Host) -> None:
    text = VALUES + SAMPLES.format(period=10, order=1).replace("TTToken(value,", "TTToken(Money(value),")
    graph = host.finished(host.run(text, trigger=[(100, 7), (100, 7)]))
    node = host.node
    saved: list[Any] = []

    def save() -> None:
        context = node.host.contexts[graph, 1]
        node.duties.checkpoints.bodies_of([context], ["RESAMPLE-1"], lambda *states: saved.append(states))

    in_loop(node, save)
    until(lambda: saved, "the state of RESAMPLE")
    ((states, left_out),) = saved
    assert left_out == [] and states[1, "RESAMPLE-1"]

    def start() -> None:
        inputs = {"trigger": [(140, 47), (140, 47)]}
        node.start_context(StartContext(graph, 2, node.clock.now() + 20_000, inputs))
        node.workers.restore(node.host.contexts[graph, 2], "RESAMPLE-1", states[1, "RESAMPLE-1"])

    in_loop(node, start)
    until(lambda: len(host.values(graph)) == 4, "what lies between the two")
    assert host.values(graph) == [f"Money(cents={cents})" for cents in (7, 17, 27, 37)]


def test_a_log_line_of_a_worker_is_shown_once(capfd: pytest.CaptureFixture[str]) -> None:
    made = Host(True)
    try:
        text = "@SQify\ndef text(x):\n    return 'a\\x1b\\nb'\n@GRAPHify\ndef main(trigger):\n"
        graph = made.finished(made.run(text + "    SYSLOG(trigger)\n    return SYSLOG(text(trigger))\n"))
        assert made.values(graph) == [1, "a\x1b\nb"]
        said = ""

        def lines() -> list[str]:
            nonlocal said
            said += capfd.readouterr().err
            return [line for line in said.splitlines() if "SYSLOG" in line]

        until(lambda: len(lines()) == 2, "both values are shown")
        assert lines() == ["ticktalk.SYSLOG: 1", "ticktalk.SYSLOG: a\\x1b"]
    finally:
        made.node.close()


LONG_RESULTS = """
@SQify
def number(x):
    return x
@SQify
def told(x, what):
    return what, len(x) if hasattr(x, "__len__") else x
@GRAPHify
def main(trigger):
    n = number(trigger)
    told(n + 1, what="ADD-1")
    told(n * 3, what="MULT-1")
    told("ab" * n, what="MULT-2")
    told((1, 2) * n, what="MULT-3")
    told(2 ** n, what="POW-1")
    told(1 << n, what="LSHIFT-1")
    told(n in (1, 2, 3), what="IN-1")
    return COPY_TTTIME("text", n)
"""


def test_long_computations_on_small_numbers_are_no_work_of_the_timekeeper(host: Host) -> None:
    graph = host.run(LONG_RESULTS, trigger=10)
    chains = in_loop(host.node, lambda: dict(host.node.host.contexts[graph, 1].chains))
    here = {name for name, chain in chains.items() if "numbers here" in chain.stages}
    assert here == {"ADD-1", "MULT-1"}
    host.finished(graph)
    values = {"ADD-1": 11, "MULT-1": 30, "MULT-2": 20, "MULT-3": 20, "POW-1": 1024, "LSHIFT-1": 1024, "IN-1": False}
    assert sorted(map(str, host.values(graph))) == sorted(["text", *map(str, values.items())])


DEADLINE = """
@STREAMify
def two(trigger):
    return Car(1.0), Car(2.0)
@STREAMify
def three(trigger):
    return 1, 2, 3
@SQify
def late():
    return 0, 0
@SQify
def told(x, what):
    return what, shown(x)
@GRAPHify
def main(trigger):
    with TTClock.root() as root_clock:
        start = READ_TTCLOCK(trigger, TTClock=root_clock)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 5_000_000))
        p, q = TTFinishByOtherwise({stream}(window, TTPeriod=50_000), TTTimeDeadline=start + 10_000_000, TTPlanB=late())
        told(p, what="p")
        told(q, what="q")
"""


def test_data_that_a_deadline_passes_on_is_unpacked_in_a_worker(host: Host) -> None:
    graph = host.run(VALUES + DEADLINE.format(stream="two"))
    until(lambda: len(host.values(graph)) >= 2, "both parts")
    in_loop(host.node, lambda: host.node.stop_graph(graph))
    assert set(host.values(graph)) == {("p", "Car(speed=1.0)"), ("q", "Car(speed=2.0)")}
    assert not host.errors_of(graph)
    graph = host.run(VALUES + DEADLINE.format(stream="three"))
    until(lambda: host.errors_of(graph), "an error")
    assert not host.values(graph)
    assert {error.exception for error in host.errors_of(graph)} == {
        "ValueError: a sequence of 2 is unpacked here, but the body returned 3 values"
    }


ECHO = """
@SQify
def same(x):
    return x
@GRAPHify
def main(x):
    y = same(x)
    return same(y if y else x)
"""
KNOWN = [value for value in test_value_kinds.VALUES if b"test_value" not in encode_value(value)]
"""Values of classes that a worker finds, too."""


@pytest.fixture(scope="module")
def echo(host: Host) -> Callable[[Any], Any]:
    """Sends a value through two bodies and a condition; what comes out."""
    graph = host.prepare(ECHO).graph
    contexts = count(1)

    def echo(value: Any) -> Any:
        context = next(contexts)
        host.start(graph, context, x=value)

        def told() -> list[Any]:
            return [token for token in host.outputs if (token.graph, token.context) == (graph, context)]

        data = until(told, f"an output, not {host.errors[-1:]}")[0].value.data
        return decode_value(data, test_value_kinds.find)

    return echo


@settings(max_examples=25)
@given(
    values=st.lists(
        st.sampled_from(KNOWN) | st.complex_numbers() | st.binary() | st.decimals() | st.fractions() | st.text()
        | st.datetimes(timezones=st.timezones()) | st.integers(-(2**80), 2**80) | st.frozensets(st.integers())
        | st.dictionaries(st.tuples(st.integers(), st.text(max_size=2)), st.lists(st.floats()).map(deque)),
        min_size=1, max_size=12,
    )
)  # fmt: skip
def test_values_come_out_of_workers_as_what_they_are(echo: Callable[[Any], Any], values: list[Any]) -> None:
    found = echo(values)
    for came, sent in zip(found, values, strict=True):
        assert came is sent if sent is pd.NA else test_value_kinds.same(came, sent), sent


AT = """
class Far(enum.IntEnum):
    FUTURE = 2**61
@SQify
def at(x):
    return {value}
@SQify
def late():
    return "late"
@GRAPHify
def main(trigger):
    return TTFinishByOtherwise(trigger, TTTimeDeadline=at(trigger), TTPlanB=late())
"""


@pytest.mark.parametrize("value", ["Far.FUTURE", "np.int64(2**61)", "float(2**61)", "float('inf')"])
def test_a_deadline_is_any_whole_number(host: Host, value: str) -> None:
    graph = host.run(VALUES + AT.format(value=value))
    until(lambda: host.values(graph), "it passes")
    assert host.values(graph) == [1] and not host.errors_of(graph)


@pytest.mark.parametrize("value", ["Car(1.0)", "'soon'", "[0] * 100_000", "0.5", "None"])
def test_any_other_deadline_is_an_error_of_its_sq(host: Host, value: str) -> None:
    graph = host.run(VALUES + AT.format(value=value))
    (error,) = until(lambda: host.errors_of(graph), "an error")
    assert error.sq == "TTFinishByOtherwise-1"
    assert error.exception.startswith("ValueError: a deadline must be a whole number of ticks, not ")
    assert not host.values(graph)
