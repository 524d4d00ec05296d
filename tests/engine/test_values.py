"""Values: passed by value within an ensemble, and as MessagePack between ensembles."""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime
import enum
import io
import re
import struct
import threading
import warnings
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
import simpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ticktalk import TTEmpty, TTEnsemble, TTRuntimeManagerSim, register_codec
from ticktalk.language.compiler import compile_source
from ticktalk.values.classes import made
from ticktalk.values.codec import (
    EXT_ARRAY,
    EXT_DATETIME,
    EXT_DICT,
    EXT_INT,
    EXT_OBJECT,
    EXT_REGISTERED,
    EXT_SCALAR,
    EXT_SET,
    EXT_TEXT,
    NoCodecError,
    ValueFormatError,
    decode_value,
    encode_pieces,
    encode_value,
    handed_on,
    split,
)


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    at: Point


@dataclasses.dataclass
class Checked:
    """Its `__init__` takes something else than its fields, and must not run on the receiving side."""

    total: int = dataclasses.field(init=False)
    parts: dataclasses.InitVar[list]

    def __post_init__(self, parts: list) -> None:
        self.total = sum(parts)


class Colour(enum.Enum):
    RED = 1
    CRIMSON = RED
    BLUE = "b"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


Old = collections.namedtuple("Old", "a b")


class Outer:
    @dataclasses.dataclass
    class Inner:
        value: int


CLASSES = {
    f"{kind.__module__}:{kind.__qualname__}": kind
    for kind in (Point, Frozen, Checked, Colour, Level, Rights, Pair, Old, Outer.Inner)
}


def crossed(value: Any) -> Any:
    return decode_value(encode_value(value), CLASSES.get)


def told(value: Any) -> str:
    """A text that two values share only if they are equal in every type and bit; sets in any order."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind is float:
        return f"{name}:{'nan' if value != value else struct.pack('>d', value).hex()}"
    if kind is int:
        return hex(value)
    if kind is complex:
        return f"{name}({told(value.real)},{told(value.imag)})"
    if isinstance(value, (list, tuple)):
        return f"{name}({','.join(map(told, value))})"
    if isinstance(value, (set, frozenset)):
        return f"{name}({','.join(sorted(map(told, value)))})"
    if isinstance(value, dict):
        return f"{name}({','.join(f'{told(key)}:{told(item)}' for key, item in value.items())})"
    if isinstance(value, np.ndarray):
        return f"{name}({value.dtype.str},{value.shape},{value.tobytes().hex()})"
    if isinstance(value, np.generic):
        return f"{name}({value.dtype.str},{value!r})"
    if dataclasses.is_dataclass(value):
        return f"{name}({','.join(told(getattr(value, field.name)) for field in dataclasses.fields(value))})"
    return f"{name}:{value!r}:{getattr(value, 'fold', 0)}"


ZONES = (
    st.none()
    | st.just(datetime.UTC)
    | st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(datetime.timezone)
)
INTS = st.integers() | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, -(2**64), 10**4000])
TEXT = st.text() | st.text(st.characters(categories=["Cs", "L"]), max_size=4)  # halves of surrogate pairs, too
HASHABLE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        INTS,
        st.floats(allow_nan=False),
        TEXT,
        st.binary(),
        st.complex_numbers(allow_nan=False),
        st.datetimes(timezones=ZONES),
        st.dates(),
        st.times(timezones=ZONES),
        st.timedeltas(),
    ),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=6,
)
VALUES = st.recursive(
    HASHABLE | st.floats() | st.complex_numbers() | st.binary().map(bytearray),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT, inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.sets(HASHABLE, max_size=4),
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(VALUES)
@example(-1)
@example({})
@example({1: {(2, "b"): {frozenset([3])}}, "s": [b"", ()]})
@example({"\ud800": ["a", {"\udcff"}, ("\ud83d\ude00",)], "plain": "\udfff"})
@example([1, [2**70, (2**64, {"a": -(2**100)})]])
@example(datetime.datetime(2020, 10, 25, 2, 30, fold=1))
@example(datetime.time(2, 30, fold=1, tzinfo=datetime.UTC))
def test_every_value_crosses_as_itself(value: Any) -> None:
    assert told(crossed(value)) == told(value)
    assert told(handed_on(value)) == told(value)


@given(INTS)
def test_ints_of_any_size_and_their_neighbours(value: int) -> None:
    for near in (value - 1, value, value + 1, -value):
        back = crossed(near)
        assert type(back) is int and back == near


def test_an_int_of_any_size() -> None:
    for value in (10**20_000, -(10**20_000), [2**100_000]):
        assert crossed(value) == value


DTYPES = [*"?bBhHiIlLefdgFD", ">i4", ">f8", "U5", "S3", "M8[us]", "m8[s]", "M8[D]"]


def sample(dtype: str) -> np.ndarray:
    return np.arange(24).astype("i8").astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_cross(dtype: str) -> None:
    line = sample(dtype)
    block = line.reshape(2, 3, 4)
    arrays = {
        "plain": line,
        "block": block,
        "empty": line[:0],
        "empty of two dimensions": np.empty((3, 0, 2), line.dtype),
        "0-d": line[5:6].reshape(()),
        "every second": line[::2],
        "backwards": line[::-1],
        "a column": block[:, 1, :],
        "transposed": block.T,
        "Fortran order": np.asfortranarray(block),
        "broadcast": np.broadcast_to(line[:2], (3, 2)),
        "read-only": handed_on(block),
    }
    for name, array in arrays.items():
        back = crossed(array)
        assert told(back) == told(np.array(array)), name
        assert not back.flags.writeable, name
    inside = crossed({"a": [line, (block,)]})
    assert told(inside) == told({"a": [line, (block,)]})


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_scalars_cross(dtype: str) -> None:
    for scalar in sample(dtype)[[0, 1, 7]]:
        back = crossed([scalar])[0]
        assert isinstance(back, np.generic) and told(back) == told(scalar)


@pytest.mark.parametrize(
    "scalar", [np.float64("nan"), np.datetime64("NaT"), np.float32(-0.0), np.str_("ü"), np.bytes_(b"x")]
)
def test_special_numpy_scalars_cross(scalar: Any) -> None:
    assert told(crossed(scalar)) == told(scalar)


@pytest.mark.parametrize("scalar", [np.str_(""), np.bytes_(b"")])
def test_empty_numpy_texts_cross(scalar: Any) -> None:
    assert told(crossed(scalar)) == told(scalar)


@pytest.mark.parametrize(
    "value",
    [
        Point(1, [2, (3,)]),
        Point(Point(1), {}),
        Frozen("f", Point(2**80)),
        Checked([1, 2, 3]),
        Outer.Inner(5),
        Colour.RED,
        Colour.CRIMSON,
        Colour.BLUE,
        Level.HIGH,
        Rights.READ,
        Pair(1, Pair([2], None)),
        Old(a=1, b={2}),
        {Colour.RED: [Pair(Level.LOW, 2)]},
    ],
    ids=repr,
)
def test_classes_of_the_program_cross(value: Any) -> None:
    back = crossed(value)
    assert told(back) == told(value)
    assert type(back) is type(value)
    with pytest.raises(ValueFormatError, match="known here"):
        decode_value(encode_value(value))


def test_combined_flags_cross() -> None:
    assert crossed(Rights.READ | Rights.WRITE) is Rights.READ | Rights.WRITE
    assert crossed(Rights(0)) is Rights(0)


class Celsius:
    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Hotter(Celsius):
    pass


def test_a_registered_codec() -> None:
    with pytest.raises(NoCodecError):
        encode_value(Celsius(1))
    register_codec(Celsius, lambda value: {"degrees": (value.degrees,)}, lambda data: Celsius(data["degrees"][0]))
    back = crossed([Celsius(20.5)])[0]
    assert type(back) is Celsius and back.degrees == 20.5
    with pytest.raises(NoCodecError, match="Hotter"):
        encode_value(Hotter(1))


class Plain:
    pass


class MyInt(int):
    pass


class Table(collections.OrderedDict):
    pass


class Sparse(np.ndarray):
    def __new__(cls, items):
        return np.asarray(items).view(cls)


@dataclasses.dataclass
class Grown(dict):
    x: int = 0


def inner_class():
    @dataclasses.dataclass
    class Inner:
        x: int

    return Inner


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (threading.Lock(), "lock"),
        (object(), "object"),
        (lambda: 1, "function"),
        (Plain(), "Plain"),
        (MyInt(1), "MyInt"),
        (Table(a=1), "Table"),
        (Sparse([1.0]), "Sparse"),
        (type("Reading", (float,), {})(1), "Reading"),
        (Grown(), "Grown"),
        (inner_class()(1), "inner_class"),
        (np.memmap(__file__, "u1", "r"), "memmap"),
        (collections.defaultdict(lambda: 1), "defaultdict"),
        (iter([]), "list_iterator"),
        (Plain, "type"),
        (np.array([object()]), "dtype object"),
        (np.zeros(2, [("x", "O")]), "dtype"),
        (datetime.datetime(2020, 1, 1, tzinfo=type("Zone", (datetime.tzinfo,), {})()), "datetime"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_without_codec_is_named(value: Any, named: str) -> None:
    for nested in (value, [value], {"deep": [(1, value)]}, Point(value), {1: value}, Pair(1, value)):
        with pytest.raises(NoCodecError, match=named):
            encode_value(nested)
        with pytest.raises(NoCodecError, match=named):
            handed_on(nested)


def test_a_class_has_no_codec_even_if_its_values_have() -> None:
    with pytest.raises(NoCodecError, match="type"):
        encode_value(Point)


def test_a_value_that_holds_itself_has_no_codec() -> None:
    endless: list = []
    endless.append(endless)
    with pytest.raises(NoCodecError, match="holds itself"):
        encode_value(endless)


def ext(code: int, content: Any) -> bytes:
    data = content if isinstance(content, bytes) else msgspec.msgpack.encode(content)
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(code, data))


def array_data(dtype: Any, shape: Any, content: bytes = b"\0" * 8, code: int = EXT_ARRAY) -> bytes:
    header = msgspec.msgpack.encode([dtype, shape])
    return ext(code, bytes([len(header) % 256]) + header + content)  # a longer header is wrong data, too


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode_value([1, 2, 3])[:-1],
        encode_value([1, 2, 3]) + b"\0",
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
        b"\xa1\xff",
        ext(0, b""),
        ext(99, [1]),
        ext(EXT_TEXT, b"\xff"),
        ext(EXT_SET, [[1]]),
        ext(EXT_SET, 5),
        ext(EXT_DICT, [1, 2]),
        ext(EXT_DICT, [[[1], 2]]),
        ext(EXT_DATETIME, ["datetime", "yesterday", 0]),
        ext(EXT_DATETIME, ["tzinfo", "x", 0]),
        ext(EXT_DATETIME, ["datetime", "2020-01-01", 7]),
        ext(EXT_DATETIME, ["date", "2020-01-01", 1]),
        ext(EXT_DATETIME, ["datetime", 5, 0]),
        ext(EXT_DATETIME, []),
        ext(EXT_DATETIME, {}),
        ext(EXT_DATETIME, 5),
        ext(EXT_DATETIME, ["timedelta", "a", 0, 0]),
        ext(EXT_DATETIME, ["timedelta", 10**12, 0, 0]),
        ext(EXT_REGISTERED, ["nobody.Knows", 1]),
        ext(EXT_REGISTERED, [[], 1]),
        ext(EXT_REGISTERED, []),
        ext(EXT_OBJECT, ["Point", "data", {"x": 1}]),
        ext(EXT_OBJECT, ["Point", "data", [1, 2]]),
        ext(EXT_OBJECT, ["Point", "enum", "x"]),
        ext(EXT_OBJECT, ["Point", "class", {}]),
        ext(EXT_OBJECT, ["Colour", "enum", "GREEN"]),
        ext(EXT_OBJECT, ["Colour", "enum", []]),
        ext(EXT_OBJECT, ["Pair", "named", [1]]),
        ext(EXT_OBJECT, ["Pair", "named", 5]),
        ext(EXT_OBJECT, [["Pair"], "named", [1, 2]]),
        ext(EXT_OBJECT, ["os.system", "data", {}]),
        ext(EXT_OBJECT, ["Point"]),
        ext(EXT_ARRAY, b""),
        ext(EXT_ARRAY, b"\xff"),
        array_data("O", [1]),
        array_data("i4,O", [1]),
        array_data("nothing", [1]),
        array_data("<i4", [3]),
        array_data("<i4", [2**62, 2**62]),
        array_data("<i4", "ab"),
        array_data("<i4", [1.5]),
        array_data("<i4", [2], b"\0" * 7),
        array_data("U0", [1]),
        array_data("", [1]),
        array_data("(1,", [1]),
        array_data(["x"], [1]),
        array_data("<i4", [0], b"", EXT_SCALAR),
    ],
    ids=lambda data: data[:24].hex(),
)
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueFormatError):
        decode_value(data, CLASSES.get)


def find_class(name: str) -> Any:
    """As a graph finds its classes: part by part."""
    found: Any = CLASSES
    for part in name.split("."):
        found = found.get(part) if found is CLASSES else getattr(found, part, None)
    return found


WHOLE_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
PACKABLE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | WHOLE_TEXT | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WHOLE_TEXT, inner, max_size=3),
    max_leaves=8,
)
EXTENSIONS = st.one_of(
    st.builds(ext, st.integers(0, 15), PACKABLE),
    st.builds(ext, st.integers(0, 15), st.binary(max_size=30)),
    st.builds(
        lambda head, rest: ext(EXT_OBJECT, [head, *rest]),
        st.sampled_from([*CLASSES]) | PACKABLE,
        st.tuples(st.sampled_from(["enum", "named", "data"]), PACKABLE),
    ),
    st.builds(
        lambda kind, rest: ext(EXT_DATETIME, [kind, *rest]),
        st.sampled_from(["datetime", "date", "time", "timedelta"]),
        st.lists(PACKABLE, max_size=3),
    ),
    st.builds(
        array_data,
        st.sampled_from([*DTYPES, "O", "V4", "i4,f8", "(2,", "3i2", None]) | PACKABLE,
        st.lists(st.integers(-2, 9), max_size=3) | PACKABLE,
        st.binary(max_size=32),
        st.sampled_from([EXT_ARRAY, EXT_SCALAR]),
    ),
)


@settings(max_examples=400)
@given(st.binary(max_size=64) | EXTENSIONS)
def test_any_bytes_are_a_value_or_a_format_error(data: bytes) -> None:
    try:
        decode_value(data, find_class)
    except ValueFormatError:
        pass


@settings(max_examples=200)
@given(VALUES, st.data())
def test_a_damaged_value_is_a_value_or_a_format_error(value: Any, data: st.DataObject) -> None:
    good = bytearray(encode_value(value))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    for damaged in (bytes(good), bytes(good[:cut])):
        try:
            decode_value(damaged, find_class)
        except ValueFormatError:
            pass


def test_an_int_extension_is_read_whole() -> None:
    assert decode_value(ext(EXT_INT, b"\x01" + b"\0" * 5000)) == 2**40_000


# No other receiver sees what a receiver does to a value.


def spoil(value: Any) -> None:
    """Change a mutable value as thoroughly as possible."""
    match value:
        case list():
            for item in value:
                spoil(item)
            value.append("spoilt")
        case tuple():
            for item in value:
                spoil(item)
        case dict():
            for item in value.values():
                spoil(item)
            value["spoilt"] = 1
        case set() | bytearray():
            value.clear()
        case Point():
            spoil(value.x)
            value.y = "spoilt"
        case np.void():
            value["x"] = 99


@pytest.mark.parametrize(
    "value",
    [
        [1, 2],
        [[1], 2],
        (1, [2]),
        ((1, ([2],)), 3),
        {"a": 1},
        {"a": {"b": [1]}},
        {1: (2, {3})},
        {1, 2},
        bytearray(b"ab"),
        Point([1], 2),
        [Point(1)],
        Pair([1], {2: 3}),
        np.array([(1, 2.0)], [("x", "i4"), ("y", "f8")])[0],
    ],
    ids=repr,
)
def test_a_handed_on_value_is_the_receivers_own(value: Any) -> None:
    before = repr(value)
    received = handed_on(value)
    assert type(received) is type(value) and repr(received) == before
    spoil(received)
    assert repr(value) == before
    received = handed_on(value)
    spoil(value)
    assert repr(value) != before and repr(received) == before


@pytest.mark.parametrize(
    "value", [1, 2.5, "s", b"b", None, (1, ("a", 2.0)), range(3), np.float64(1), datetime.date.max]
)
def test_immutable_values_are_shared(value: Any) -> None:
    assert handed_on(value) is value


def test_arrays_are_copied_once_and_handed_on_read_only() -> None:
    mine = np.arange(6.0).reshape(2, 3)
    received = handed_on(mine)
    mine[0, 0] = 99
    assert received[0, 0] == 0 and not received.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        received[0, 0] = 1
    assert handed_on(received) is received, "the second receiver needs no copy"
    part = handed_on(received[:, 1])
    assert not part.flags.writeable and part.tolist() == [1, 4]
    view = mine.view()
    view.flags.writeable = False
    seen = handed_on(view)
    mine[1, 2] = 77
    assert seen[1, 2] == 5, "a read-only view of memory that another can write is copied"


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        ((n for n in range(3)), "return list(...) of it"),
        (map(str, [1]), "return list(...) of it"),
        ({}.values(), "return list(...) of it"),
        (memoryview(b"ab"), "return bytes(...) of it"),
        (io.StringIO("a"), "return what is read from it"),
        (lambda: 1, "return what it computes"),
        (TTEmpty, "return an object, `TTEmpty(...)`, in place of the class"),
    ],
)
def test_a_value_that_is_computed_later_is_refused_with_advice(value: object, instead: str) -> None:
    with pytest.raises(NoCodecError, match=re.escape(instead)):
        handed_on(value)


def test_a_coroutine_that_is_refused_leaves_no_warning_behind() -> None:
    async def body() -> int:
        return 1

    with warnings.catch_warnings(), pytest.raises(NoCodecError, match=r"asyncio\.run"):
        warnings.simplefilter("error")
        handed_on(body())


def test_a_value_that_cannot_be_copied_is_an_error() -> None:
    with pytest.raises(NoCodecError, match=r"lock.*cannot be passed on"):
        handed_on(threading.Lock())


MUTATORS = """
from ticktalk import SQify, GRAPHify
import numpy as np
@SQify
def make(t):
    global sq_state
    sq_state["mine"] = [t, {"k": [t]}]
    return sq_state["mine"]
@SQify
def spoil(x, mark=0):
    before = repr(x)
    x[1]["k"].append(mark)
    x.append(mark)
    return before
@SQify
def buffer(t):
    global sq_state
    a = sq_state.setdefault("a", np.zeros(3))
    a += t
    return a
@SQify
def write(a):
    try:
        a[0] = -1
    except ValueError:
        return ("read-only", a.tolist())
    return ("written", a.tolist())
@SQify
def again(x):
    x.append("again")
    return x
@GRAPHify
def main(trigger, given):
    with TTConstraint(name=HOSTS[0]):
        m = make(trigger)
        a = buffer(trigger)
    with TTConstraint(name=HOSTS[1]):
        first, second = spoil(m, mark=1), spoil(m, mark=2)
        written = write(a)
        inputs = spoil(given, mark=3)
        more = spoil(given, mark=4)
        kept = again([trigger])
    with TTConstraint(name=HOSTS[2]):
        third = spoil(m, mark=5)
    return m, a, first, second, third, written, inputs, more
"""


@pytest.mark.parametrize(
    "hosts", [["a", "a", "a"], ["a", "b", "b"], ["a", "b", "c"], ["runtime-manager"] * 3, ["a", "runtime-manager", "b"]]
)
def test_no_receiver_sees_the_changes_of_another(hosts: list[str]) -> None:
    program = MUTATORS.replace("@GRAPHify", f"HOSTS = {hosts!r}\n@GRAPHify")
    ensembles = [TTEnsemble(None, name) for name in dict.fromkeys(hosts) if name != "runtime-manager"]
    manager = TTRuntimeManagerSim(None, ensembles, simpy.Environment())
    values = []
    manager.on_output(lambda token: values.append(copy.deepcopy(token.value)))
    manager.on_output(lambda token: spoil(token.value))
    graph = compile_source(program, "spoil.py", "spoil")
    manager.instantiate_and_map_graph(graph)
    given = [0, {"k": [0]}]
    for _ in range(2):
        manager.execute_graph(graph, {"trigger": 1, "given": given})
        manager.simulation.run()
    assert not manager.errors
    assert given == [0, {"k": [0]}]
    returned = [value for value in values if isinstance(value, tuple) and len(value) == 8]
    assert len(returned) == 2
    for m, a, first, second, third, written, inputs, more in returned:
        assert m == [1, {"k": [1]}]
        assert a.tolist() == [1, 1, 1]
        assert first == second == third == "[1, {'k': [1]}]"
        assert inputs == more == "[0, {'k': [0]}]"
        assert written == ("read-only", [1, 1, 1])


# Between ensembles.


def across(program: str, **options: Any) -> tuple[list[Any], TTRuntimeManagerSim]:
    """The outputs of a program whose constraints name the ensembles `a` and `b`."""
    manager = TTRuntimeManagerSim(None, [TTEnsemble(None, "a"), TTEnsemble(None, "b")], simpy.Environment(), **options)
    values: list[Any] = []
    manager.on_output(lambda token: values.append(token.value))
    graph = compile_source("from ticktalk import SQify, GRAPHify\n" + program, "across.py", "across")
    manager.instantiate_and_map_graph(graph)
    manager.execute_graph(graph)
    manager.simulation.run()
    return values, manager


GRAPH = """
@GRAPHify
def main(trigger):
    with TTConstraint(name="a"):
        made = make(trigger)
    with TTConstraint(name="b"):
        return use(made)
"""


@pytest.mark.parametrize("delay", [0, 5000])
def test_a_value_without_codec_is_an_error_of_that_firing(delay: int) -> None:
    values, manager = across(
        "import threading\n@SQify\ndef make(t): return [threading.Lock()]\n@SQify\ndef use(x): return 1\n" + GRAPH,
        network_delay=delay,
    )
    assert not values
    (error,) = manager.errors
    assert error.sq == "make-1" and error.ensemble == "a"
    assert "NoCodecError" in error.exception and "lock" in error.exception


@pytest.mark.parametrize("delay", [0, 5000])
@pytest.mark.parametrize(
    "body", ["return type(x).__name__, x.x, isinstance(x, Point)", "return type(x).__name__, x.x, True"]
)
def test_a_dataclass_of_the_program_arrives(body: str, delay: int) -> None:
    """The receiving SQ or the manager may name its class or not."""
    values, manager = across(
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n"
        f"@SQify\ndef make(t): return Point(7)\n@SQify\ndef use(x): {body}\n" + GRAPH,
        network_delay=delay,
    )
    assert not manager.errors
    assert values == [("Point", 7, True)]


@pytest.mark.parametrize("shape", [(2**16 - 9,), (2**16 - 2,), (2**16,), (300, 300), (0, 5), (1 << 20,)])
def test_an_array_alone_is_the_same_messagepack_as_an_array_within(shape: tuple[int, ...]) -> None:
    """A long one is put together without MessagePack's encoder."""
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    alone = encode_value(array)
    assert encode_value([array]) == b"\x91" + alone
    for strange in (array.T, array[::2]):
        assert np.array_equal(decode_value(encode_value(strange)), strange)


def test_an_array_that_came_cannot_be_written_to() -> None:
    data = bytearray(encode_value(np.arange(100_000)))
    array = decode_value(data)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError):
        array.flags.writeable = True


def test_a_long_array_s_memory_is_a_piece_by_itself() -> None:
    """So that it is copied once, to where it is wanted; short values are whole."""
    array = np.arange(100_000.0)
    head, content = encode_pieces(array)
    assert np.shares_memory(np.frombuffer(content), array)
    assert len(head) < 50
    data = bytes(1 << 20)
    assert encode_pieces(data)[1] is data
    for value in (array, array[::2], data, np.float64(1), [array], "text", bytes(65_535), bytes(65_536)):
        assert b"".join(encode_pieces(value)) == encode_value(value)
    assert decode_value(encode_value(data)) == msgspec.msgpack.decode(encode_value(data)) == data
    assert encode_value(data) == msgspec.msgpack.encode(data)
    assert all(len(encode_pieces(value)) == 1 for value in (1, "a", b"a", array[:9]))


def test_a_list_of_arrays_is_the_same_in_pieces() -> None:
    long = np.arange(100_000).reshape(1000, 100)
    for count in (1, 3, 15, 16, 70_000):
        values: list[Any] = [long, 1, "two", np.float32(3), (4, {5}), np.zeros((0, 3))][:count]
        values += [None] * (count - len(values))
        pieces = encode_pieces(values)
        data = b"".join(pieces)
        assert data == encode_value(values)
        assert any(len(piece) == long.nbytes for piece in pieces)  # its memory is not copied
        back = decode_value(data)
        assert len(back) == count and (back[0] == long).all() and not back[0].flags.writeable
        assert back[1:5] == values[1:5] and back[6:] == values[6:]
        assert [decode_value(part) is None for part in split(data)] == [v is None for v in values]


def test_a_value_of_a_class_that_has_other_fields_here_is_refused() -> None:
    """As of a checkpoint, or a version of the program, whose class is another one."""

    @dataclasses.dataclass
    class Point:
        x: int

    Pair = collections.namedtuple("Pair", ["a", "b"])
    assert made(Point, ["data", ["x"], {"x": 1}]) == Point(1)
    assert made(Pair, ["named", ["a", "b"], [1, 2], {}]) == Pair(1, 2)
    with pytest.raises(ValueFormatError, match=r"Point with the fields x, y; the class here has x"):
        made(Point, ["data", ["x", "y"], {"x": 1, "y": 2}])
    with pytest.raises(ValueFormatError, match=r"Pair with the fields a, c; the class here has a, b"):
        made(Pair, ["named", ["a", "c"], [1, 2], {}])
    for values in ([1], [1, 2, 3]):
        with pytest.raises(ValueFormatError, match=rf"{len(values)} values for the 2 fields of Pair"):
            made(Pair, ["named", ["a", "b"], values, {}])
