"""Every value of a strategy over all codecs arrives equal and of its type: on one ensemble and across, real and not."""

from __future__ import annotations

import array
import collections
import datetime
import pathlib
import re
import shutil
import time
import types
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kept_values
import numpy as np
import pandas as pd
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kept_values import Coded, Colour, Fault, Frozen, Level, Old, Pair, Point, Rights, told
from systems import LIMIT, System, until

from ticktalk.ensemble import TTEnsemble
from ticktalk.language.compiler import compile_program
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.time import ROOT, TTClock, TTTime

ZONES = st.none() | st.timezones() | st.timedeltas(*map(datetime.timedelta, (-0.9, 0.9))).map(datetime.timezone)
TEXTS = st.text(max_size=4) | st.text(st.characters(categories=["Cs", "L"]), max_size=3)
TICKS = st.integers(-(2**40), 2**40)
HASHABLE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS, st.binary(max_size=4),
    st.complex_numbers(allow_nan=False), st.decimals(allow_nan=False), st.fractions(), st.uuids(), st.ip_addresses(),
    st.datetimes(timezones=ZONES), st.times(timezones=ZONES), st.dates(), st.timedeltas(), st.integers(0, 9).map(range),
    st.sampled_from([*Colour, *Level, *Rights, Rights.READ | Rights.WRITE, Rights(0), ...]),
    st.builds(pathlib.PurePosixPath, TEXTS.map(lambda text: text.replace("\0", ""))), st.builds(Pair, TEXTS, TEXTS),
)  # fmt: skip
DTYPES = hnp.scalar_dtypes() | hnp.array_dtypes(max_size=3, allow_subarrays=False)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_side=0, max_side=3))
NUMBERS = hnp.arrays(st.sampled_from(["f4", "i8", "?"]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=3))
LEAVES = st.one_of(
    HASHABLE, st.floats(), st.decimals(), st.binary().map(bytearray), st.timezones(), st.just(ROOT),
    st.builds(TTClock, st.just("c"), st.just(ROOT), st.integers(1, 99), TICKS), st.sampled_from([*"bBhHiIlLqQ"]).map(
        lambda code: array.array(code, [1, 2])), st.builds(slice, st.none() | TICKS, TICKS), st.sampled_from(
        [re.compile("a+", re.IGNORECASE), re.compile(b"x"), time.gmtime(0), shutil.disk_usage("/"), pathlib.Path("x")]),
    st.builds(TTTime, st.just(ROOT), st.integers(-9, -1), st.integers(0, 9) | st.just(float("inf"))),
    ARRAYS, ARRAYS.filter(lambda a: a.size).map(lambda a: a.reshape(-1)[0]), NUMBERS.map(np.asmatrix),
    NUMBERS.map(lambda a: np.ma.masked_array(a, mask=a == 0)), NUMBERS.map(pd.DataFrame), st.builds(pd.Series, st.lists(
        st.floats() | st.none(), max_size=3), dtype=st.sampled_from(["f8", "Float64", "object"])), st.just(pd.NaT),
    st.lists(TEXTS.filter(str.isascii), max_size=3).map(pd.CategoricalIndex), st.sampled_from([pd.Timestamp(
        "2024-10-27 12:30", tz="Europe/Vienna"), pd.Timedelta("3s"), zoneinfo.ZoneInfo("UTC"), uuid.UUID(int=3)]),
)  # fmt: skip


def raised(how: int, inner: Any) -> BaseException:
    """An exception with a history."""
    try:
        try:
            raise KeyError(inner)
        except KeyError as first:
            if how == 0:
                raise Fault(3, "door") from None
            raise Fault(how, "door") from (first, OSError(2, "x"), ExceptionGroup("g", [ValueError(1)]))[how - 1]
    except Fault as error:
        error.add_note("noted")
        return error


def inside(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists, tables = st.lists(inner, max_size=3), st.dictionaries(HASHABLE, inner, max_size=3)
    return st.one_of(
        lists, lists.map(tuple), tables, st.sets(HASHABLE, max_size=3), st.frozensets(HASHABLE, max_size=3),
        st.builds(collections.deque, lists, st.none() | st.integers(3, 5)), tables.map(collections.OrderedDict),
        tables.map(lambda items: collections.defaultdict(list, items)), lists.map(lambda items: ValueError(*items)),
        st.lists(HASHABLE, max_size=4).map(collections.Counter), st.builds(Coded, inner),
        st.builds(Point, inner, inner), st.builds(Frozen, TEXTS, inner), st.builds(Pair, inner, inner),
        st.builds(Old, inner, inner), st.builds(raised, st.integers(0, 3), inner),
        inner.map(lambda item: types.SimpleNamespace(item=item)),
    )  # fmt: skip


VALUES = st.recursive(LEAVES, inside, max_leaves=8)
Send = Callable[[list[Any]], list[str]]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same program on one ensemble and on two, with the module of the classes beside it."""
    folder = tmp_path_factory.mktemp("kept")
    shutil.copy(kept_values.__file__, folder)
    for name, hosts in (("one", ("near", "near")), ("two", ("near", "far"))):
        (folder / f"{name}.py").write_text(kept_values.PROGRAM.format(*hosts))
    return {name: folder / f"{name}.py" for name in ("one", "two")}


@pytest.fixture(scope="module", params=["one", "two"])
def simulated(request: pytest.FixtureRequest, programs: dict[str, Path]) -> Iterator[Send]:
    outputs: list[Any] = []
    ensembles = [TTEnsemble(None, name) for name in ("near", "far")]
    with TTRuntimeManagerSim(None, ensembles, simpy.Environment()) as manager:
        graph = compile_program(programs[request.param])
        manager.on_output(lambda token: outputs.append(token.value))
        manager.instantiate_and_map_graph(graph)

        def send(values: list[Any]) -> list[str]:
            manager.execute_graph(graph, {"values": values})
            manager.simulation.run()
            assert not manager.errors, manager.errors[-1].traceback
            found: list[str] = outputs.pop()
            return found

        yield send


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    made = System().with_ensembles("near", "far")
    yield made
    made.end()


@pytest.fixture(scope="module", params=["one", "two"])
def real(request: pytest.FixtureRequest, programs: dict[str, Path], system: System) -> Send:
    graph = compile_program(programs[request.param])
    system.manager.instantiate_and_map_graph(graph)

    def send(values: list[Any]) -> list[str]:
        before = len(system.values(graph.name))
        system.manager.execute_graph(graph, {"values": values})
        until(lambda: len(system.values(graph.name)) > before or system.errors, "texts of the values", LIMIT)
        assert not system.errors, system.errors[-1].traceback
        found: list[str] = system.values(graph.name)[-1]
        return found

    return send


QUIET = list(HealthCheck)


@settings(max_examples=60, suppress_health_check=QUIET)
@given(values=st.lists(VALUES, max_size=4))
def test_values_arrive_as_what_they_are_simulated(simulated: Send, values: list[Any]) -> None:
    assert simulated(values) == [told(value) for value in values]


@settings(max_examples=10, suppress_health_check=QUIET)
@given(values=st.lists(VALUES, min_size=10, max_size=40))
def test_values_arrive_as_what_they_are_really(real: Send, values: list[Any]) -> None:
    assert real(values) == [told(value) for value in values]
