"""Outputs as JSON rows: exact where JSON can hold them, else a repr that is the same in every run."""

from __future__ import annotations

import collections
import dataclasses
import enum
import io
import json
import math
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk.json_text import json_line, stable_repr, value_field
from ticktalk.manager.outputs import Outputs
from ticktalk.manager.state import ManagerState
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import OutputToken
from ticktalk.time import INFINITY, NEG_INFINITY


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass
class Bag:
    items: Any


class Silent:
    pass


class Failing:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def token(value: Any, start: Any = 450_000, stop: Any = 550_000) -> OutputToken:
    return OutputToken("prog", value, start, stop, "ADD-1", "runtime-manager", 3, 600_000)


def line(value: Any) -> str:
    return json_line(token(value).row())


def test_the_documented_row() -> None:
    expected = (
        '{"graph": "prog", "value": 11, "start": 450000, "stop": 550000, "sq": "ADD-1", "ensemble": "runtime-manager"}'
    )
    assert line(11) == expected


def test_the_log_adds_context_and_arrival() -> None:
    row = token(1).log_row()
    assert row == {**token(1).row(), "context": 3, "arrival": 600_000}
    assert list(row)[:-2] == list(token(1).row())


@pytest.mark.parametrize("name", ["plain", 'a "quoted"\\ name', "größer → 5", "bell\x07", "\u202ehidden"])
@pytest.mark.parametrize("ends", [(0, 5), (NEG_INFINITY, 5), (-7, INFINITY)])
def test_a_line_that_was_rendered_in_parts_is_the_row(name: str, ends: tuple[Any, Any]) -> None:
    token = OutputToken(name, {"a": 1.5}, *ends, name, name, 3, 7, value_field({"a": 1.5}))
    for more in [(), ("context",), ("context", "arrival")]:
        line = token.line(*more)
        whole = {"graph": name, "value": {"a": 1.5}, "start": None if ends[0] == NEG_INFINITY else ends[0]}
        whole |= {"stop": None if ends[1] == INFINITY else ends[1], "sq": name, "ensemble": name}
        whole |= {"context": 3} if "context" in more else {}
        whole |= {"arrival": 7} if "arrival" in more else {}
        assert json.loads(line) == whole and list(json.loads(line)) == list(whole)
        assert line.isprintable()


def test_an_infinite_end_is_null() -> None:
    row = json.loads(json_line(token(1, -math.inf, math.inf).row()))
    assert row["start"] is None and row["stop"] is None
    row = json.loads(json_line(token(1, -5, math.inf).row()))
    assert row["start"] == -5 and row["stop"] is None


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (None, None),
        (True, True),
        (-3, -3),
        (1.5, 1.5),
        (-0.0, -0.0),
        (1e300, 1e300),
        ("text ü \u2028 \ud800", "text ü \u2028 \ud800"),
        ("", ""),
        ((1, (2, [3])), [1, [2, [3]]]),
        (Pair(1, 2), [1, 2]),
        ({"a": (1,), "b": {}}, {"a": [1], "b": {}}),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.float64(0.1), 0.1),
        (np.float32(0.1), float(np.float32(0.1))),
        ([np.uint8(255), 2**64], [255, 2**64]),
    ],
    ids=repr,
)
def test_values_that_json_holds_exactly_are_values(value: Any, data: Any) -> None:
    row = json.loads(line(value))
    assert "repr" not in row
    assert repr(row["value"]) == repr(data)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        ([1, -math.inf], "[1, -inf]"),
        ({1: "a"}, "{1: 'a'}"),
        ({"a": 1, None: 2}, "{'a': 1, None: 2}"),
        ({3, 1, 2}, "{1, 2, 3}"),
        ({10, 9, 100}, "{9, 10, 100}"),
        ({"b", "a"}, "{'a', 'b'}"),
        (frozenset({"b", "a"}), "frozenset({'a', 'b'})"),
        (set(), "set()"),
        (frozenset(), "frozenset()"),
        ([{"b", "a"}, ({2, 1},)], "[{'a', 'b'}, ({1, 2},)]"),
        ({"k": {2, 1}}, "{'k': {1, 2}}"),
        ({frozenset({2, 1}), frozenset()}, "{frozenset(), frozenset({1, 2})}"),
        ({(2, "x"), (1, "y")}, "{(1, 'y'), (2, 'x')}"),
        (b"ab", "b'ab'"),
        (1 + 2j, "(1+2j)"),
        (Colour.RED, "<Colour.RED: 1>"),
        ([Level.LOW], "[<Level.LOW: 1>]"),
        (Decimal("1.50"), "Decimal('1.50')"),
        (np.array([1, 2]), "array([1, 2])"),
        (np.float64("nan"), "np.float64(nan)"),
        (Bag(1), "Bag(items=1)"),
        (Ellipsis, "Ellipsis"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_values_that_json_cannot_hold_are_reprs(value: Any, shown: str) -> None:
    row = json.loads(line(value))
    assert "value" not in row
    assert row["repr"] == shown


def test_an_int_of_any_size_is_a_number() -> None:
    limit = sys.get_int_max_str_digits()
    big = 10**6000 + 7
    text = line([big, {"n": -big}])
    assert sys.get_int_max_str_digits() == limit
    sys.set_int_max_str_digits(0)
    try:
        assert json.loads(text)["value"] == [big, {"n": -big}]
        assert text.startswith('{"graph": "prog", "value": [1000')
    finally:
        sys.set_int_max_str_digits(limit)


def test_an_int_of_any_size_is_in_a_repr_too() -> None:
    limit = sys.get_int_max_str_digits()
    text = json.loads(line({10**6000}))["repr"]
    assert sys.get_int_max_str_digits() == limit
    assert text == "{1" + "0" * 6000 + "}"


@pytest.mark.parametrize("value", [Silent(), [Silent()], {1: Silent()}, lambda: 1, object(), iter([]), {Silent()}])
def test_the_repr_of_a_value_in_an_output_shows_no_address(value: Any) -> None:
    shown = json.loads(line(value))["repr"]
    assert "0x" not in shown and hex(id(value))[2:] not in shown
    assert " object>" in shown or "<lambda>" in shown


def test_a_text_that_looks_like_an_address_stays_whole() -> None:
    assert stable_repr({"look at 0x1F"}) == "{'look at 0x1F'}"


def test_a_repr_that_raises_is_no_reason_to_stop() -> None:
    assert json.loads(line([Failing()]))["repr"] == "<list whose repr raises RuntimeError>"
    endless: list = []
    endless.append(endless)
    assert isinstance(json.loads(line(endless))["repr"], str)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_data_reads_back_as_it_was_from_one_line(value: Any) -> None:
    text = line(value)
    assert "\n" not in text and "\r" not in text and len(text.splitlines()) == 1
    assert repr(json.loads(text)["value"]) == repr(value)


@given(
    st.sets(st.integers() | st.text() | st.tuples(st.integers()) | st.booleans() | st.none(), max_size=8), st.randoms()
)
def test_a_set_reads_the_same_however_it_was_filled(items: set, random: Any) -> None:
    order = list(items)
    random.shuffle(order)
    again: set = set()
    for item in order:
        again.add(item)
    assert stable_repr(again) == stable_repr(items)


def test_sets_with_nan_are_sorted_too() -> None:
    # Where a NaN lies in a set hangs on its address.
    kept = [float("nan") for _ in range(300)]
    assert len({stable_repr({nan, 1.0, 0.5, 3.0, 7.25, -2.0}) for nan in kept}) == 1


RUN = """
import collections, dataclasses, types
from typing import Any, NamedTuple
from ticktalk.json_text import stable_repr
@dataclasses.dataclass
class Bag:
    items: Any
class Pair(NamedTuple):
    left: Any
    right: Any
words = {"delta", "alpha", "charlie", "bravo", "echo", "foxtrot"}
values = {
    "set": words,
    "frozenset": frozenset(words),
    "nested": [{"k": (words,)}, {frozenset(words), frozenset()}],
    "mixed": words | {1, None, (2, "x"), b"y"},
    "dataclass": Bag(words),
    "named tuple": Pair(words, 1),
    "list of dataclasses": [Bag([Bag(words)])],
    "deque": collections.deque([words]),
    "defaultdict": collections.defaultdict(list, {1: words}),
    "OrderedDict": collections.OrderedDict({1: words}),
    "keys": dict.fromkeys(sorted(words)).keys() & words,
    "namespace": types.SimpleNamespace(a=words),
    "object": Bag(object()),
}
for name, value in values.items():
    print(f"{name}: {stable_repr(value)}")
"""


@pytest.fixture(scope="module")
def reprs_of_three_runs() -> list[dict[str, str]]:
    runs = []
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        runs.append(dict(entry.split(": ", 1) for entry in done.stdout.splitlines()))
    return runs


@pytest.mark.parametrize(
    "kind",
    [
        "set",
        "frozenset",
        "nested",
        "mixed",
        "dataclass",
        "named tuple",
        "list of dataclasses",
        "deque",
        "defaultdict",
        "OrderedDict",
        "keys",
        "namespace",
        "object",
    ],
)
def test_sets_are_sorted_under_every_hash_seed(kind: str, reprs_of_three_runs: list[dict[str, str]]) -> None:
    first, *others = (run[kind] for run in reprs_of_three_runs)
    assert all(other == first for other in others)
    assert first.index("alpha") < first.index("foxtrot") if kind != "object" else "0x" not in first


STATE = ManagerState(EnsembleInfo("manager"))


def test_the_log_takes_a_path_or_an_open_file_and_appends(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    for value in (1, 2):
        log = Outputs(STATE, path)
        log.add(token(value))
        log.close()
    assert [json.loads(entry)["value"] for entry in path.read_text().splitlines()] == [1, 2]
    text = io.StringIO()
    log = Outputs(STATE, text)
    heard: list[Any] = []
    log.listeners.append(lambda given: heard.append(given.value))
    log.add(token({2, 1}))
    log.close()
    assert not text.closed, "a file of the user's stays open"
    assert json.loads(text.getvalue()) == token({2, 1}).log_row()
    assert heard == [{1, 2}] and log.count == 1
    Outputs(STATE).add(token(1))
