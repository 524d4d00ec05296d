"""Values of many types arrive as what they are: between ensembles, on one ensemble, and by way of a worker."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import decimal
import fractions
import ipaddress
import os
import pathlib
import platform
import re
import shutil
import sys
import time
import types
import uuid
import zoneinfo
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from test_bodies import program, run
from test_values import Colour, Level, Pair, Point, Rights, across

from ticktalk.time import ROOT, TTClock, TTTime
from ticktalk.values import classes
from ticktalk.values.classes import as_data, class_in, know_module
from ticktalk.values.codec import EXT_OBJECT, NoCodecError, ValueFormatError, decode_value, encode_value, handed_on
from ticktalk.values.pieces import encode, ext


def find(name: str) -> Any:
    """A class by its name on the wire."""
    module, _, name = name.rpartition(":")
    return class_in(vars(sys.modules[module]), name)


def crossed(value: Any) -> Any:
    return decode_value(encode_value(value), find)


def same(one: Any, other: Any) -> bool:
    """Whether they are of one type and equal, in all their parts, as their own libraries see them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple, collections.deque)):
        return len(one) == len(other) and all(map(same, one, other)) and repr(type(one)) == repr(type(other))
    if isinstance(one, decimal.Decimal):
        return str(one) == str(other)
    if dataclasses.is_dataclass(one) or isinstance(one, types.SimpleNamespace):
        return same(vars(one), vars(other))
    if isinstance(one, dict):
        return all(map(same, one.items(), other.items())) and len(one) == len(other)
    if isinstance(one, np.ma.MaskedArray):
        return same(one.filled(0), other.filled(0)) and repr(one) == repr(other)
    if isinstance(one, np.ndarray):
        bits = repr(one.tolist()) == repr(other.tolist()) if one.dtype.names else one.tobytes() == other.tobytes()
        kinds = one.dtype == other.dtype and one.dtype.type is other.dtype.type
        return kinds and one.shape == other.shape and bits
    if one is pd.NaT or one is pd.NA:
        return other is one
    if isinstance(one, (pd.Index, pd.Series, pd.DataFrame)):
        return same_table(one, other)
    if isinstance(one, BaseException):
        told, came = history(one), history(other)
        return len(told) == len(came) and all(map(same_error, told, came)) and links(one) == links(other)
    if isinstance(one, (datetime.datetime, datetime.time)):
        return repr(one) == repr(other) and one.tzname() == other.tzname()
    return bool(one == other or (one != one and other != other))


def same_table(one: Any, other: Any) -> bool:
    """Objects are compared cell by cell: for pandas two exceptions are equal only if they are one."""
    if isinstance(one, pd.MultiIndex):
        return same(*([i.get_level_values(n) for n in range(i.nlevels)] for i in (one, other)))
    if isinstance(one, (pd.Series, pd.DataFrame)) and not same(*([i.index, i.attrs, i.flags] for i in (one, other))):
        return False
    if isinstance(one, pd.DataFrame):
        return same(*([i.columns, [i.iloc[:, n] for n in range(i.shape[1])]] for i in (one, other)))
    if one.dtype == object:
        return same(*([i.name, i.dtype, [*i]] for i in (one, other)))
    if isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other, check_index=False, check_exact=True)
    else:
        pd.testing.assert_index_equal(one, other, exact=True)
    return getattr(one, "freq", None) == getattr(other, "freq", None)


def same_error(one: BaseException, other: BaseException) -> bool:
    """A layout of records is kept, but not whether NumPy found it by aligning: only its repr tells."""
    (text, came) = ([s.replace(", 'aligned': True", "") for s in (repr(e), str(e))] for e in (one, other))
    return type(one) is type(other) and text == came and same(vars(one), vars(other))


def history(error: BaseException) -> list[BaseException]:
    """An exception, and those that a traceback could show before it."""
    found = [error]
    for each in found:
        found += [o for o in (each.__cause__, each.__context__) if o is not None and all(o is not f for f in found)]
    return found


def links(error: BaseException) -> list[Any]:
    all_of_it = [*history(error), None]
    at = [
        next(i for i, each in enumerate(all_of_it) if each is o)
        for e in history(error)
        for o in (e.__cause__, e.__context__)
    ]
    return [at, [each.__suppress_context__ for each in history(error)]]


class Fault(Exception):
    """Its arguments are not those of `__init__`."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{code} at {where}")
        self.code = code


class Short(Exception):
    """It says how it is made again."""

    def __init__(self, need: int, have: int) -> None:
        super().__init__(f"{need} is more than {have}")
        self.need, self.have = need, have

    def __reduce__(self) -> Any:
        return Short, (self.need, self.have)


Item = TypeVar("Item")


@dataclasses.dataclass
class Crate(Generic[Item]):
    item: Item


class Named(Pair):
    """A named tuple with more to it."""


def named() -> Named:
    value = Named(1, [2])
    value.extra = {"a": (1,)}
    return value


def grown() -> Point:
    value = Point(1)
    value.more = [1, 2]
    return value


def noted() -> ValueError:
    error = ValueError("bad", 3)
    error.add_note("look here")
    return error


def raised(how: str) -> BaseException:
    """An exception that came to its cause and context by being raised."""
    try:
        try:
            raise KeyError("first")
        except KeyError as first:
            first.add_note("seen twice")
            if how == "from":
                raise Fault(3, "door") from first
            if how == "from None":
                raise Fault(3, "door") from None
            if how == "from another":
                raise Fault(3, "door") from FileNotFoundError(2, "No such file", "x.txt")
            raise Fault(3, "door")  # noqa: B904 (it has a context, and no cause)
    except Fault as error:
        return error


def in_a_circle() -> BaseException:
    error = ValueError(1)
    error.__context__ = TypeError(2)
    error.__context__.__cause__ = error
    return error


def retried(times: int) -> BaseException:
    error: BaseException = ValueError(0)
    for number in range(1, times):
        last, error = error, ValueError(number)
        error.__cause__ = error.__context__ = last
    return error


def masked(values: Any, **options: Any) -> Any:
    return np.ma.masked_array(values, **options)


ARROW = pd.ArrowDtype
FRAME = pd.DataFrame(
    {
        "ints": [1, 2, 3],
        "small": np.array([1, 2, 3], "u1"),
        "floats": [1.5, float("nan"), -0.0],
        "texts": ["a", None, "ü"],
        "objects": pd.Series([{"a": 1}, (2,), None], dtype=object),
        "when": pd.date_range("2024-03-30", periods=3, freq="D"),
        "zoned": pd.date_range("2024-03-30", periods=3, freq="D", tz="Europe/Vienna"),
        "kind": pd.Categorical(["x", "y", "x"], categories=["y", "x"], ordered=True),
        "maybe": pd.array([1, None, 3], dtype="Int64"),
        "flag": pd.array([True, None, False], dtype="boolean"),
        "took": pd.to_timedelta([1, 2, 3], unit="s"),
    }
)
RECORDS = np.array([(1, 2.5, "a"), (3, 4.5, "bc")], dtype=[("n", "i4"), ("x", "f8"), ("t", "U2")])
RECARRAY = np.rec.array([(1, 2.0)], dtype=[("a", int), ("b", float)])

VALUES: list[Any] = [
    decimal.Decimal("-0.10"), decimal.Decimal("1E+40"), decimal.Decimal("-Infinity"), decimal.Decimal("NaN"),
    fractions.Fraction(-3, 7), pathlib.Path("/tmp/x.csv"), pathlib.PurePosixPath("a/b"),
    ROOT, TTClock("c", TTClock("d", ROOT, 10, 3), 5), TTTime(ROOT, -3, float("inf")), pathlib.PureWindowsPath("c:\\x"),
    TTClock("own"), TTTime(TTClock("e", TTClock("own")), 1, 2),
    uuid.UUID(int=7), zoneinfo.ZoneInfo("Europe/Vienna"), datetime.UTC,
    datetime.timezone(datetime.timedelta(hours=2), "here"),
    datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna")),
    datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "CET")),
    datetime.time(2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("America/New_York")),
    collections.deque([1, [2]], maxlen=3), collections.deque(), collections.OrderedDict(b=1, a=[2]),
    collections.OrderedDict([((1, 2), {3})]), collections.defaultdict(list, a=[1]), collections.defaultdict(None),
    collections.Counter("abca"), range(3, 30, 4), slice(1, None, 2), Ellipsis, re.compile("a+", re.IGNORECASE),
    types.SimpleNamespace(a=1, b=[2]), array.array("d", [1.5, 2.5]), ipaddress.ip_address("10.0.0.1"),
    ipaddress.ip_network("fe80::/64"), *map(ipaddress.ip_interface, ("10.0.0.1/8", "fe80::1/64")), platform.uname(),
    time.gmtime(0), time.localtime(), os.stat("/"), shutil.disk_usage("/"),
    os.terminal_size((80, 24)), Colour.RED, Level.HIGH, Rights.READ | Rights.WRITE, named(), grown(),
    Point(decimal.Decimal(1), collections.deque([Point(1)])), ValueError("x", 1), noted(), Fault(3, "door"),
    Short(5, 1),
    KeyError("k"), FileNotFoundError(2, "No such file", "x.txt"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    StopIteration(5), SystemExit(3), ImportError("no", name="m", path="p"), ExceptionGroup("many", [ValueError(1)]),
    *map(raised, ("from", "from None", "from another", "while")), in_a_circle(), retried(40),
    ExceptionGroup("many", [raised("from"), OSError(1, "x")]), pathlib.Path(os.fsdecode(b"/tmp/\xff")), "\ud800",
    RECORDS, RECORDS[0], RECORDS[:0], np.zeros(2, [("p", "f4", (2, 3)), ("q", [("r", "u1")])]),
    np.zeros(3, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    RECARRAY, RECARRAY[0], RECARRAY.view(np.ndarray),
    masked([1.0, 9999.0, 3.0], mask=[False, True, False]), masked([1, 2]), masked([[1, 2], [3, 4]], mask=True),
    masked([1, 2], mask=[0, 1], fill_value=-1, hard_mask=True), masked(RECORDS, mask=[(0, 1, 0), (1, 0, 0)]),
    np.ma.masked, np.matrix([[1, 2], [3, 4]]), np.array(["2024", "NaT"], "M8[D]"),
    FRAME, FRAME.iloc[:0], FRAME["texts"], FRAME["kind"], FRAME["zoned"].rename(("a", 1)), FRAME.set_index("when"),
    FRAME.set_index(["ints", "texts"]), pd.Series([1, 2], index=pd.RangeIndex(4, 8, 2)), FRAME.set_index("zoned"),
    pd.Series(range(3), index=pd.date_range("2024", periods=3, freq="h", tz="UTC")), pd.Series([], dtype="f4"),
    pd.DataFrame(),
    pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["u", None])),
    pd.DataFrame([[1, "x"]], columns=["same", "same"]), pd.Index([1.5, 2.5], name="i"),
    pd.Series(["a", "b"], dtype=object), pd.Series(["a"], index=pd.Index(["i"], dtype=object), dtype=object).to_frame(),
    pd.Series([1], index=pd.MultiIndex.from_arrays([pd.Index(["x"], dtype=object), pd.Categorical(["y"])])),
    pd.Series([(1, 2), (3, 4)]), pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    pd.Series([1, None], dtype="int64[pyarrow]"), pd.Series([[1], None], dtype=ARROW(pyarrow.list_(pyarrow.int64()))),
    pd.Series(["a", None], index=pd.Index(["x", "y"], dtype=ARROW(pyarrow.string())), dtype=ARROW(pyarrow.string())),
    pd.Series(pd.date_range("2024", periods=2, tz="UTC")).astype(ARROW(pyarrow.timestamp("us", "UTC")))[1:],
    pd.Series(["a", None], dtype="string[python]"), pd.Series(["a", None], dtype="string[pyarrow]"),
    pd.Series(["", ValueError("x", 1), decimal.Decimal("Infinity"), raised("from"), float("nan"), pd.NA], dtype=object),
    pd.DataFrame({"fault": [raised("while")]}, index=pd.Index([ValueError("y")])), pd.Index([ValueError("z"), None]),
    pd.Timestamp("2024-01-01 00:00:00.123456789"),
    pd.Timestamp("2024-10-27 12:30", tz="Europe/Vienna"), pd.Timedelta("3s"), pd.NaT, pd.NA,
]  # fmt: skip


def test_a_value_of_a_class_with_its_parameters_arrives() -> None:
    assert same(crossed(Crate[int](1)), Crate(1)) and same(handed_on(Crate[int](1)), Crate(1))


@pytest.mark.parametrize("place", range(len(VALUES)))
def test_a_value_arrives_as_what_it_is(place: int) -> None:
    value = VALUES[place]
    if value is pd.NA:
        assert crossed([value])[0] is handed_on(value) is value
        return
    for nested in (value, [value], {"deep": (1, value)}, Point(value), collections.deque([value])):
        assert same(crossed(nested), nested), "between ensembles"
        assert same(handed_on(nested), nested), "on one ensemble"
        assert same(crossed(handed_on(crossed(nested))), nested)


LEAVES = st.one_of(
    st.decimals(), st.fractions(), st.uuids(), st.timezones(), st.datetimes(timezones=st.timezones()),
    st.times(timezones=st.timezones()), st.ip_addresses(), st.text(max_size=5), st.integers(), st.floats(),
    st.sampled_from([v for v in VALUES if "pandas" not in type(v).__module__]), st.integers(0, 9).map(range),
)  # fmt: skip
KEYS = st.text(max_size=3) | st.integers() | st.fractions() | st.uuids()
NESTED = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(collections.deque),
        st.dictionaries(KEYS, inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(KEYS, inner, max_size=3).map(lambda items: collections.defaultdict(set, items)),
        st.builds(Point, inner, inner),
        st.builds(Pair, inner, inner),
        st.lists(inner, max_size=2).map(lambda items: ValueError(*items)),
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(NESTED)
def test_every_value_arrives_equal_and_of_its_type(value: Any) -> None:
    try:
        data = encode_value(value)
    except NoCodecError:
        with pytest.raises(NoCodecError):
            handed_on(value)
        return
    assert same(decode_value(data, find), value)
    assert same(handed_on(value), value)


UNKNOWN_TABLES = [
    pd.Series(pd.period_range("2024", periods=3, freq="M")), pd.cut(pd.Series([1, 2, 3]), 2), pd.interval_range(0, 3),
    pd.Series(pd.arrays.SparseArray([0, 0, 1])), pd.Series(pd.interval_range(0, 3)).astype("category"),
    pd.Series(pd.date_range("2024", periods=3, tz="dateutil/Europe/Vienna")), pd.array([1, None]), pd.Period("2024"),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(UNKNOWN_TABLES)))
def test_a_table_that_cannot_be_kept_is_an_error_of_its_producer(place: int) -> None:
    for taken in (encode_value, handed_on):
        with pytest.raises(NoCodecError, match="pandas"):
            taken([UNKNOWN_TABLES[place]])


MOMENTS = pd.date_range("2024-10-27", periods=9, freq="20min", tz="Europe/Vienna")
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
COLUMNS = [  # the items, and what makes a column of them
    (st.floats(width=32), lambda items: np.array(items, "f4")),
    (st.floats(), lambda items: np.array(items, "f8")),
    (st.integers(-100, 100), lambda items: np.array(items, "i2")),
    (st.none() | st.integers(0, 100), lambda items: pd.array(items, "Int8")),
    (st.none() | st.integers(0, 100), lambda items: pd.array(items, "Float64")),
    (st.none() | st.integers(0, 100), lambda items: pd.array(items, "uint16[pyarrow]")),
    (st.none() | st.booleans(), lambda items: pd.array(items, "boolean")),
    (TEXTS, lambda items: pd.array(items, "str")),
    (TEXTS, lambda items: pd.array(items, "string[python]")),
    (TEXTS, lambda items: pd.array(items, ARROW(pyarrow.large_string()))),
    (LEAVES, lambda items: pd.Index(items, dtype=object, tupleize_cols=False)),
    (st.none() | st.sampled_from("abc"), lambda items: pd.Categorical(items, list("cba"), len(items) % 2 == 0)),
    (st.sampled_from(list(MOMENTS)), lambda items: pd.DatetimeIndex(items, tz=MOMENTS.tz).as_unit("ns")),
    (st.sampled_from([*MOMENTS.tz_convert(None), pd.NaT]), lambda items: pd.DatetimeIndex(items).as_unit("s")),
    (st.just(0), lambda items: pd.timedelta_range("1h", periods=len(items), freq="2h")),
]


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(0, 4))

    def column() -> Any:
        items, made = draw(st.sampled_from(COLUMNS))
        return made(draw(st.lists(items, min_size=rows, max_size=rows)))

    try:
        indices = [pd.Index(column(), name=draw(st.none() | st.text(max_size=2)), tupleize_cols=False) for _ in "ab"]
        index = draw(st.sampled_from([pd.RangeIndex(3, 3 + rows), indices[0], pd.MultiIndex.from_arrays(indices)]))
        series = pd.Series(column(), index=index, name=draw(st.none() | st.integers() | st.just(("a", 1))))
        columns = [pd.Series(column(), index=index) for _ in range(draw(st.integers(0, 3)))]
        return draw(st.sampled_from([index, series, pd.DataFrame(dict(enumerate(columns)), index=index)]))
    except (TypeError, ValueError):  # pandas makes no such index
        reject()


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(tables())
def test_any_table_arrives_with_its_dtypes_or_is_an_error(table: Any) -> None:
    try:
        data = encode_value(table)
    except NoCodecError:
        with pytest.raises(NoCodecError):
            handed_on(table)
        return
    assert same(decode_value(data, find), table)
    assert same(handed_on(table), table)


def test_text_of_arrow_is_python_s_where_there_is_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    made = pd.StringDtype

    def without(storage: str | None = None, **options: Any) -> Any:
        if storage == "pyarrow":
            raise ImportError("pyarrow>=13.0.0 is required for PyArrow backed StringArray.")
        return made(storage, **options)

    data = encode_value(pd.Series(["a", None], dtype="str"))
    column = encode_value(pd.Series([1], dtype="int64[pyarrow]"))
    monkeypatch.setattr(pd, "StringDtype", without)
    came = decode_value(data)
    assert str(came.dtype) == "str" and came.dtype.storage == "python" and came[0] == "a" and came.isna()[1]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueFormatError, match="needs pyarrow"):
        decode_value(column)


def test_a_chain_of_errors_is_as_long_as_1000() -> None:
    for taken in (encode_value, handed_on):
        with pytest.raises(NoCodecError, match=r"chain of more than 1000 others .*raise it from None"):
            taken(retried(1100))


@pytest.mark.parametrize("linked", [[[], []], [[], [[1, None, False]]], [[3], [[1, 0, False]] * 2], [None, None], [[]]])
def test_a_chain_that_is_none_is_refused(linked: list[Any]) -> None:
    with pytest.raises(ValueFormatError):
        decode_value(encode(ext(EXT_OBJECT, ["builtins:ValueError", "error", [], {}, *linked])), find)


def test_a_receiver_has_its_own() -> None:
    deque = collections.deque([[1]])
    received = handed_on(deque)
    received[0].append(2)
    received.append(3)
    assert deque == collections.deque([[1]])
    point = grown()
    handed_on(point).more.append(3)
    assert point.more == [1, 2]


def test_where_no_class_is_known_a_value_is_data() -> None:
    for value, shown in (
        (Point(1, [Pair(2, 3)]), "Point(x=1, y=[Pair(left=2, right=3)])"),
        (Colour.RED, "1"),
        (Rights.READ, "1"),
        (Fault(3, "door"), "Fault('3 at door')"),
        (time.gmtime(0)[:3], "(1970, 1, 1)"),
    ):
        assert repr(decode_value(encode_value(value), as_data)) == shown
    assert decode_value(encode_value(Point(1, 2)), as_data).y == 2


@pytest.mark.parametrize("name", ["os:system", "nowhere:Point", ":", "test_values:Plain", "test_values:Point.x"])
def test_a_class_that_is_none_of_these_is_refused(name: str) -> None:
    data = encode_value(Point(1)).replace(b"\xb1test_values:Point", bytes([0xA0 | len(name)]) + name.encode())
    with pytest.raises(ValueFormatError):
        decode_value(data, find)


FILES = {
    "shapes.py": "from dataclasses import dataclass\nfrom enum import Enum\nclass State(Enum):\n    IDLE = 10\n"
    "@dataclass\nclass Reading:\n    celsius: float\n",
    "pack/__init__.py": "",
    "pack/deep.py": "from typing import NamedTuple\nclass Fix(NamedTuple):\n    lat: float\n",
    "coded.py": "from ticktalk import register_codec\nclass Temp:\n    def __init__(self, t): self.t = t\n"
    "register_codec(Temp, lambda v: [v.t], lambda p: Temp(*p))\n",
}
MADE = {
    "imported by a body": ("", "import shapes; x = shapes.Reading(3.0)", "x.celsius == 3.0"),
    "imported from by a body": ("", "from shapes import Reading as R; x = R(3.0)", "x.celsius == 3.0"),
    "of a package": ("", "from pack.deep import Fix; x = Fix(3.0)", "x.lat == 3.0 and x[0] == 3.0"),
    "two of one name": (
        "import shapes\nfrom enum import Enum\nclass State(Enum):\n    IDLE = 'i'\n",
        "x = [shapes.State.IDLE, State.IDLE]",
        "x[0] is shapes.State.IDLE and x[1] is State.IDLE",
    ),
    "of a library": ("", "import shutil; x = shutil.disk_usage('/')", "x.used <= x.total"),
    "a time": ("", "import time; x = time.gmtime(0)", "x.tm_year == 1970"),
    "an exception": ("class E(Exception): pass\n", "x = E(1)", "isinstance(x, E) and x.args == (1,)"),
    "an inner class": (
        "from dataclasses import dataclass\nclass A:\n    @dataclass\n    class B:\n        n: int\n",
        "x = A.B(1)",
        "isinstance(x, A.B)",
    ),
    "a registered class": (
        "from ticktalk import register_codec\nclass T:\n    def __init__(self, t): self.t = t\n"
        "register_codec(T, lambda v: [v.t], lambda p: T(*p))\n",
        "x = T(4)",
        "type(x) is T and x.t == 4",
    ),
    "a registered class of which the receiver knows nothing": (
        "from ticktalk import register_codec\nclass T:\n    def __init__(self, t): self.t = t\n"
        "register_codec(T, lambda v: [v.t], lambda p: T(*p))\n",
        "x = T(4)",
        "type(x).__name__ == 'T' and x.t == 4",
    ),
    "a registered class of a module": (
        "",
        "import coded; x = coded.Temp(4)",
        "type(x).__name__ == 'Temp' and x.t == 4",
    ),
    "a class with a state of its own": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    n: int\n",
        "x = P(1); x.more = [2]",
        "x == P(1) and x.more == [2]",
    ),
}
REFUSED = {
    "a class inside a function": "from typing import NamedTuple\n    class P(NamedTuple): n: int\n    x = P(1)",
    "a subclass of a dict": "class D(dict): pass\n    x = D()",
    "a plain object": "class P: pass\n    x = P()",
    "a generator": "x = iter([1])",
    "an open file": "x = open('/dev/null')",
}


def chain(hosts: tuple[str, str], head: str, make: str, check: str) -> str:
    graph = (
        f'with TTConstraint(name="{hosts[0]}"):\n    x = make(trigger)\n'
        f'with TTConstraint(name="{hosts[1]}"):\n    return use(x)'
    )
    return program(f"{head}@SQify\ndef make(t):\n    {make}\n    return x\n@SQify\ndef use(x): return {check}", graph)


@pytest.mark.parametrize("hosts", [("a", "a"), ("a", "b")], ids=["one ensemble", "two ensembles"])
@pytest.mark.parametrize("what", MADE)
def test_a_class_is_known_wherever_it_is_imported(what: str, hosts: tuple[str, str], tmp_path: pathlib.Path) -> None:
    text = chain(hosts, *MADE[what])
    values, manager = run({**FILES, "prog.py": text}, tmp_path, ensembles=("a", "b"))
    assert not manager.errors
    assert values == [True]


@pytest.mark.parametrize("hosts", [("a", "a"), ("a", "b")], ids=["one ensemble", "two ensembles"])
@pytest.mark.parametrize("what", REFUSED)
def test_a_value_that_cannot_be_kept_is_the_producers_error(
    what: str, hosts: tuple[str, str], tmp_path: pathlib.Path
) -> None:
    values, manager = run({"prog.py": chain(hosts, "", REFUSED[what], "1")}, tmp_path, ensembles=("a", "b"))
    assert not values
    (error,) = manager.errors
    assert error.sq == "make-1" and "NoCodecError" in error.exception


def test_two_ensembles_with_a_registered_class_keep_their_own() -> None:
    values, manager = across(
        "from ticktalk import register_codec, TTConstraint\nclass T:\n    pass\n"
        "register_codec(T, lambda v: None, lambda p: T())\n"
        "@SQify\ndef make(t): return T()\n@SQify\ndef use(x): return type(x) is T\n"
        '@GRAPHify\ndef main(trigger):\n    with TTConstraint(name="a"):\n        x = make(trigger)\n        use(x)\n'
        '    with TTConstraint(name="b"):\n        y = make(trigger)\n        use(x)\n        use(y)\n'
    )
    assert not manager.errors
    assert values == [True, True, True]


def test_an_object_of_the_program_s_class_is_refused_with_advice(tmp_path: Path) -> None:
    text = "class Seen:\n    def __init__(self, x): self.x = x\n@SQify\ndef f(t):\n    return [Seen(t)]"
    _, manager = run({"prog.py": program(text)}, tmp_path)
    (error,) = manager.errors
    assert "prog.Seen has no codec" in error.exception and "make its class a dataclass" in error.exception


def test_of_graphs_that_have_gone_no_module_is_known_by_name() -> None:
    """Each version of a graph that is replaced has a name of its own."""
    for number in range(100):
        know_module(types.ModuleType(f"gone~{number}"), is_program=True)
    stays = types.ModuleType("stays")
    know_module(stays, is_program=True)
    assert [name for name in classes._known if name == "stays" or name.startswith("gone~")] == ["stays"]
