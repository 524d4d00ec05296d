"""Annotations are checked along the arcs. A value that is reported is wrong for mypy, too."""

from __future__ import annotations

import ast
import itertools
import random
import re
import sys
import time
from pathlib import Path

import pytest

from ticktalk.errors import TTSyntaxError, TTWarning
from ticktalk.language.annotations import Annotations
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.language.value_types import fits
from type_checker import mypy_errors

NAMES = """\
from __future__ import annotations
import collections
import collections.abc as abc
import datetime
import enum
import typing as t
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Dict, Generic, List, Literal, NamedTuple, NewType, Optional, Protocol
from typing import ClassVar, Required, SupportsFloat, Tuple, TypedDict, TypeVar, Union
if TYPE_CHECKING:
    from fractions import Fraction
T = TypeVar("T")
class Animal:
    legs: int = 4
class Dog(Animal):
    def bark(self) -> str: return "wau"
class Barks(Protocol):
    def bark(self) -> str: ...
class HasLegs(Protocol):
    legs: int
class Long(Protocol):
    def __len__(self) -> int: ...
class AsDict(Protocol):
    def _asdict(self) -> Any: ...
class HasKeys(Protocol):
    def keys(self) -> Any: ...
class HasFields(Protocol):
    __dataclass_fields__: ClassVar[Any]
class HasNames(Protocol):
    __dict__: dict[str, Any]
class Celsius(float): ...
class Color(enum.Enum):
    RED = 1
class Level(enum.IntEnum):
    LOW = 1
class Point(NamedTuple):
    x: int
    y: int
class Movie(TypedDict):
    title: str
    year: int
class Short(TypedDict, total=False):
    title: Required[str]
    length: int
class Film(Movie):
    stars: int
@dataclass
class Car:
    speed: float
class Box(Generic[T]):
    item: T
class Rows(List[int]): ...
class Many:
    def __iter__(self) -> Iterator[int]: return iter([1])
    def __len__(self) -> int: return 1
UserId = NewType("UserId", int)
Number = Union[int, float]
"""
TYPES = """\
int; float; bool; str; bytes; complex; None; object; Any
Optional[int]; int | None; int | str; Number; float | None; t.Optional["Dog"]; "int"; Annotated[int, "m"]
List[Any]; list[int]; List[float]; list[str]; Rows; list[int | str]; list[list[int]]
tuple[Any, ...]; tuple[int, str]; Tuple[int, int]; tuple[int, ...]; tuple[()]; tuple[bool, str]
dict[str, Any]; dict[str, int]; Dict[str, float]; dict[int, str]; collections.Counter[str]
collections.OrderedDict[str, int]; set[int]; frozenset[int]; set[str]; collections.deque[int]; bytearray; range
abc.Sequence[int]; Sequence[str]; Iterable[float]; Collection[int]; Mapping[str, float]; Hashable; Sized; SupportsFloat
Literal[1, 2]; Literal["a", "b"]; Literal["a"]; Literal[True]; Literal[1, 2, 3]; Literal["a", None]
Long; AsDict; HasKeys; HasFields; HasNames
Movie; Short; Film; Point; Animal; Dog; Barks; HasLegs; Car; Celsius; Color; Level; Box[int]; Box[str]; Many; UserId
Decimal; Fraction; datetime.datetime; datetime.date; Path; type[int]; Literal[Color.RED]"""


def _nested() -> list[tuple[str, str]]:
    """Pairs of types within types, the same ones in every run."""
    choose = random.Random(14)
    simple = ["int", "float", "str", "bool", "None", "Dog", "Animal", "Point", "Movie", "Any", "Literal[1]", "UserId"]
    outer = [
        "list[{a}]", "tuple[{a}, {b}]", "tuple[{a}, ...]", "dict[str, {a}]", "{a} | {b}", "Optional[{a}]", "set[{a}]",
        "Sequence[{a}]", "Mapping[str, {a}]", "Iterable[{a}]", "Box[{a}]", "List[{a}]", "Union[{a}, {b}, bytes]",
    ]  # fmt: skip

    def made(depth: int) -> str:
        if depth == 0 or choose.random() < 0.2:
            return choose.choice(simple)
        return choose.choice(outer).format(a=made(depth - 1), b=made(depth - 1))

    pairs = []
    for _ in range(1500):
        first = made(2)
        # Half of the pairs differ in a part only, so that many of them fit.
        other = re.sub(rf"\b{choose.choice(simple[:-2])}\b", choose.choice(simple), first)
        second = other if choose.random() < 0.6 else made(2)
        pairs.append((first, second))
    return pairs


def test_types_that_do_not_fit_do_not_fit_for_mypy_either(tmp_path: Path):
    types = [each.strip() for each in TYPES.replace("\n", ";").split(";")]
    pairs = [*itertools.product(types, repeat=2), *_nested()]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(itertools.chain(*pairs)))}
    lines = NAMES.splitlines()
    lines += [f"def take{number}(x: {text}) -> None: ..." for text, number in numbers.items()]
    lines.append("def check(" + ", ".join(f"v{number}: {text}" for text, number in numbers.items()) + ") -> None:")
    first = len(lines) + 1
    lines += [f"    take{numbers[want]}(v{numbers[have]})" for have, want in pairs]
    source = tmp_path / "pairs.py"
    source.write_text("\n".join(lines))
    found = mypy_errors("--strict", "--cache-dir", str(tmp_path.parent / "mypy"), str(source))
    errors = [line.split(":", 2) for line in found]
    assert all(int(line) >= first and "[arg-type]" in text for _, line, text in errors), errors[:3]
    wrong = {int(line) - first for _, line, _ in errors}

    tree = ast.parse("\n".join(lines[: first - 1]) + " ...")
    annotations = Annotations(lambda name: None if name else (tree, ""))
    known = {text: annotations.type_of("", ast.parse(text, mode="eval").body) for text in numbers}
    reported = {number for number, (have, want) in enumerate(pairs) if not fits(known[have], known[want])}
    assert [pairs[number] for number in sorted(reported - wrong)] == []
    # What mypy finds beside these: invariant containers, typed dicts as dicts, classes of which nothing is known.
    assert len(reported) > 0.93 * len(wrong), (len(reported), len(wrong))


HEAD = """\
from __future__ import annotations
from typing import *
from dataclasses import dataclass
import numpy as np
import numpy.typing as npt
from ticktalk import *
T = TypeVar("T")
N = TypeVar("N", bound=float)
S = TypeVar("S", str, bytes)
class Animal: ...
class Dog(Animal): ...
class Point(NamedTuple):
    x: int
    y: str
class Movie(TypedDict):
    title: str
    year: int
@STREAMify
def floats(trigger) -> float: return 1.0
@STREAMify
def texts(trigger) -> str: return "a"
@SQify
def integer(x) -> int: return 1
@SQify
def text(x) -> str: return "a"
@SQify
def maybe(x) -> int | None: return 1
@SQify
def pair(x) -> tuple[int, str]: return 1, "a"
@SQify
def nested(x) -> tuple[int, tuple[str, int]]: return 1, ("a", 2)
@SQify
def point(x) -> Point: return Point(1, "a")
@SQify
def animal(x) -> Animal: return Dog()
@SQify
def dog(x) -> Dog: return Dog()
@SQify
def rows(x) -> list[int]: return [1]
@SQify
def table(x) -> dict[str, int]: return {}
@SQify
def movie(x) -> Movie: return {"title": "a", "year": 1}
@SQify
def array(x) -> npt.NDArray[np.float64]: return np.zeros(1)
@SQify
def empty(x) -> int | TTEmpty: return TTEmpty()
@SQify
def anything(x): return x
@SQify
def same(x: T) -> T: return x
@SQify
def first(xs: Sequence[T]) -> T: return xs[0]
@SQify
def either(x: T, y: T) -> T: return x
@SQify
def bounded(x: N) -> N: return x
@SQify
def chosen(x: S) -> S: return x
@SQify
def token(x: TTToken, TTExecuteOnFullToken=True) -> TTToken: return x
@SQify
def want_int(x: int): ...
@SQify
def want_float(x: float): ...
@SQify
def want_str(x: str, k: int = 3, m: float = None): ...
@SQify
def want_maybe(x: Optional[int]): ...
@SQify
def want_dog(x: Dog): ...
@SQify
def want_floats(x: list[float]): ...
@SQify
def want_movie(x: Movie): ...
@SQify
def want_array(x: np.ndarray): ...
@SQify
def want_pair(x: Tuple[int, str]): ...
@SQify
def want_either(x: Literal["a", "b"]): ...
@SQify
def lost(value: int, interval: TTTime, missing: tuple[str, ...]) -> str: return "a"
@GRAPHify
def room(x: float, n: int = 2):
    return want_float(x)
@GRAPHify
def main(a, b: str, c: int = 1):
"""

DEADLINE = "with TTClock.root() as k:\n    with TTPlanB(text(a)):\n        with TTDeadline(k, 9):\n"
WRONG = [
    # the graph's body, the column of the problem in its last line, parts of the message
    ("want_int(text(a))", 10, "`want_int` takes `int` as `x` (prog.py:63), but `text` gives `str` (prog.py:25)"),
    ("want_float(text(a))", 12, "`float`"),
    ("want_int(floats(a, TTPeriod=10))", 10, "`floats` gives `float`"),
    ("t, x = texts(a, TTPeriod=10)\nwant_float(x)", 12, "`texts` gives `str`"),
    ("t, x = texts(a, TTPeriod=10)\nwant_str(t)", 10, "a tag is `int`"),
    ("want_int(maybe(a))", 10, "`maybe` gives `int | None`"),
    ("want_str(x=integer(a))", 10, "`integer` gives `int`"),
    ("want_dog(animal(a))", 10, "`animal` gives `Animal`"),
    ("want_floats(table(a))", 13, "`table` gives `dict[str, int]`"),
    ("want_floats(array(a))", 13, "`array` gives"),
    ("want_array(rows(a))", 12, "`rows` gives `list[int]`"),
    ("want_movie(rows(a))", 12, "`Movie`"),
    ("want_str(b, k='x')", 13, "`want_str` takes `int` as `k` (prog.py:67), but 'x' is of type `str`"),
    ("want_str(b, m='x')", 13, "as `m`"),
    ("want_str(3)", 10, "3 is of type `int`"),
    ("want_floats([1, 'a'])", 13, "is of type `list`"),
    ("want_movie(table(a))", 12, "`table` gives `dict[str, int]`"),
    ("want_movie({'title': 'a'})", 12, "is of type `dict`"),
    ("want_either('c')", 13, "'c' is of type `str`"),
    ("want_int(b)", 10, "the input `b` is `str`"),
    ("p, q = pair(a)\nwant_int(q)", 10, "`pair` gives `tuple[int, str]` (prog.py:29), so `str` at [1]"),
    ("p, (q, r) = nested(a)\nwant_int(q)", 10, "so `str` at [1][0]"),
    ("p, q = point(a)\nwant_str(p)", 10, "`point` gives `Point`"),
    ("p, q, r = pair(a)", 1, "3 values are unpacked here, but `pair` gives `tuple[int, str]`"),
    ("p, q = integer(a)", 1, "2 values are unpacked here, but `integer` gives `int`"),
    ("want_pair((text(a), text(a)))", 11, "is `tuple[str, str]`"),
    ("want_floats([text(a)])", 13, "is `list[str]`"),
    ("want_str(integer(a) + 1)", 10, "`integer(a) + 1` is `int`"),
    ("want_str(integer(a) / 2)", 10, "is `float`"),
    ("want_str(integer(a) > 2)", 10, "is `bool`"),
    ("want_str(not text(a))", 10, "is `bool`"),
    ("want_str(MAX(integer(a), 2))", 10, "is `int"),
    ("want_str(ABS(integer(a)))", 10, "`ABS(integer(a))` is `int`"),
    ("want_str(abs(integer(a)))", 10, "`abs(integer(a))` is `int`"),
    ("want_str(max(integer(a), 2))", 10, "is `int"),
    ("want_str(max(rows(a)))", 10, "`max(rows(a))` is `int`"),
    ("want_str(len(rows(a)))", 10, "`len(rows(a))` is `int`"),
    ("want_str(len(rows(a)) + round(2.5 * integer(a)))", 10, "is `int`"),
    ("want_int('{}'.format(integer(a)))", 10, "is `str`"),
    ("len(integer(a))", 1, "`len(integer(a))` cannot be computed of `int`: object of type 'int' has no len()"),
    ("round(text(a), ndigits=1)", 1, "cannot be computed of `str` and `int`"),
    ("want_str(TIME_TOKEN(a))", 10, "is `int`"),
    ("want_str(rows(a)[0])", 10, "`rows(a)[0]` is `int`"),
    ("want_int(pair(a)[1])", 10, "is `str`"),
    ("want_str(table(a)['k'])", 10, "is `int`"),
    ("want_str(rows(a)[1:])", 10, "is `list[int]`"),
    ("text(a) + integer(a)", 1, "`text(a) + integer(a)` cannot be computed of `str` and `int`"),
    ("text(a) ** 2", 1, "cannot be computed of `str` and `int`"),
    ("-text(a)", 1, "cannot be computed of `str`"),
    ("maybe(a) + 1", 1, "cannot be computed of `None` and `int`"),
    ("SQRT(text(a))", 1, "cannot be computed of `str`"),
    ("text(a) < 3", 1, "cannot be computed"),
    ("integer(a)[0]", 1, "cannot be computed of `int` and `int`"),
    ("rows(a)['k']", 1, "cannot be computed of `list[int]` and `str`"),
    ("want_int(MERGE(integer(a), text(a)))", 10, "`text` gives `str`"),
    ("want_int(text(a) if a else integer(a))", 10, "`text` gives `str`"),
    ("want_int(integer(a) if a else 'x')", 10, "'x' is of type `str`"),
    ("x = text(a)\nwant_int(1) if a else want_int(x)", 32, "`text` gives `str`"),
    ("want_str(SYSLOG(integer(a)))", 10, "`integer` gives `int`"),
    ("want_str(RESAMPLE(floats(a, TTPeriod=10), TTPeriod=4))", 10, "`floats` gives `float`"),
    ("want_str(RESAMPLE(floats(a, TTPeriod=10), TTPeriod=4, order=1))", 10, "is `float`"),
    ("want_int(TTFinishByOtherwise(integer(a), TTTimeDeadline=9, TTPlanB=text(a)))", 10, "`text` gives `str`"),
    ("TTFinishByOtherwise(a, TTTimeDeadline=text(a))", 1, "takes a tick, a whole number, as `TTTimeDeadline`, but"),
    ("want_int(TTFinishByOtherwise(text(a), TTTimeDeadline=9))", 10, "`text` gives `str`"),
    ("TTFinishByOtherwise(a, TTTimeDeadline=9, TTPlanB=want_int(text(a)))", 59, "`text` gives `str`"),
    ("want_int(TTSingleRunTimeout(text(a), TTTimeout=9))", 10, "`text` gives `str`"),
    (f"{DEADLINE}            x = integer(a)\nwant_int(x)", 10, "`text` gives `str`"),
    ("want_str(same(integer(a)))", 10, "`same` gives `T` (prog.py:51), here `int`"),
    ("want_str(first(rows(a)))", 10, "`first` gives `T`"),
    ("want_str(either(integer(a), text(a)))", 10, "`either` gives `T`"),
    ("bounded(text(a))", 9, "`bounded` takes `N`"),
    ("chosen(integer(a))", 8, "`chosen` takes `S`"),
    ("room(1, n=text(a))", 9, "`room` takes `int` as `n`"),
    ("want_str(empty(a))", 10, "`empty` gives"),
]  # fmt: skip

RIGHT = [
    "want_float(integer(a))",
    "want_float(integer(a) > 2)",
    "want_int(integer(a) > 2)",
    "want_int(anything(text(a)))",
    "anything(text(a))",
    "want_int(a)",
    "want_int(c)",
    "want_maybe(maybe(a))",
    "want_maybe(None)",
    "want_maybe(integer(a))",
    "want_int(empty(a))",
    "want_dog(dog(a))",
    "want_floats(rows(a))",
    "want_floats([1, 2.5])",
    "want_floats([])",
    "want_floats([integer(a), 2])",
    "want_movie(movie(a))",
    "want_movie({'title': 'a', 'year': 1})",
    "want_movie({'title': text(a), 'year': integer(a)})",
    "want_array(array(a))",
    "want_array(array(a) * 2)",
    "want_pair(pair(a))",
    "want_pair(point(a))",
    "want_pair((1, 'a'))",
    "want_either('a')",
    "want_str(b, k=True, m=None)",
    "want_str(b, m=1)",
    "p, q = pair(a)\nwant_int(p)\nwant_str(q)",
    "p, q = rows(a)\nwant_int(p)",
    "x, y = anything(a)",
    "x = maybe(a)\nwant_int(x if x is not None else 0)",
    "x = maybe(a)\nwant_int(x) if x else 0",
    "x = animal(a)\nwant_dog(x) if anything(x) else 0",
    "want_int(maybe(a) or 3)",
    "want_int(integer(a) ** 2)",
    "text(a) % integer(a)",
    "rows(a) * 2",
    "want_str(text(a)[0])",
    "want_int(same(integer(a)))",
    "want_float(either(integer(a), floats(a, TTPeriod=9)))",
    "want_str(same(anything(a)))",
    "want_float(bounded(integer(a)))",
    "want_str(chosen(text(a)))",
    "want_int(token(text(a)))",
    "want_int(TTFinishByOtherwise(integer(a), TTTimeDeadline=9, TTPlanB=text(a), TTWillContinue=False))",
    "TTFinishByOtherwise(a, TTTimeDeadline=floats(a, TTPeriod=9))",
    "TTFinishByOtherwise(integer(a), TTTimeDeadline=READ_TTCLOCK(a) + 5)",
    "room(integer(a))",
    "want_int(first(anything(a)))",
    "want_int(integer(a), TTUnmatched=lost)",
    "want_int(COPY_TTTIME(integer(a), text(a)))",
]


def _problems(body: str) -> list[tuple[int, int, str]]:
    text = HEAD + "".join(f"    {line}\n" for line in body.splitlines())
    try:
        compile_source(text, "prog.py", "prog", None, "main")
    except TTSyntaxError as error:
        return [(p.line - HEAD.count("\n"), p.column - 4, p.what) for p in error.problems if not p.harmless]
    return []


@pytest.mark.parametrize("body, column, part", WRONG)
def test_a_value_that_does_not_fit_is_reported_where_it_is_given(body: str, column: int, part: str):
    ((line, found, what),) = _problems(body)
    assert (line, found) == (body.count("\n") + 1, column), what
    assert part in what


def test_a_value_that_does_not_fit_a_graph_is_reported_at_its_call_and_inside():
    gives = "but `text` gives `str` (prog.py:25)"
    inside, call = _problems("room(text(a))")
    assert call == (1, 6, f"`room` takes `float` as `x` (prog.py:85), {gives}")
    assert inside[2] == f"`want_float` takes `float` as `x` (prog.py:65), {gives}"


@pytest.mark.parametrize("body", RIGHT)
def test_a_value_that_may_fit_is_not_reported(body: str):
    assert _problems(body) == []


def test_both_places_are_named_also_in_other_modules(tmp_path: Path):
    package = tmp_path / "house"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "kinds.py").write_text("class Photo: ...\nclass Film(Photo): ...\n")
    (package / "eye.py").write_text(
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\nfrom ticktalk import SQify\n"
        "if TYPE_CHECKING:\n    from .kinds import Film, Photo\n"
        "@SQify\ndef camera(x) -> Photo: ...\n@SQify\ndef film(x) -> 'Film': ...\n"
    )
    program = tmp_path / "prog.py"
    text = (
        "import house.kinds as kinds\nfrom house import eye\nfrom ticktalk import *\n@SQify\n"
        "def show(film: kinds.Film,\n         photo: kinds.Photo): ...\n"
        "@GRAPHify\ndef main(a):\n    show(eye.film(a), eye.film(a))\n    show(eye.camera(a), eye.camera(a))\n"
    )
    program.write_text(text)
    with pytest.raises(TTSyntaxError) as caught:
        compile_program(program)
    eye = package / "eye.py"
    assert str(caught.value).splitlines() == [
        f"{program}:10:10: error: `show` takes `kinds.Film` as `film` ({program}:5),"
        f" but `camera` gives `Photo` ({eye}:7)",
        "        show(eye.camera(a), eye.camera(a))",
        "             ^",
        "    mend one of the two annotations, or put an SQ between that converts the value",
    ]


def test_annotations_that_cannot_be_read_are_not_checked(tmp_path: Path):
    (tmp_path / "wrong.py").write_text("class Broken(:\n")
    (tmp_path / "circle.py").write_text("from prog2 import X\nX = X\n")
    (tmp_path / "prog2.py").write_text("from circle import X\n")
    annotations = [
        "missing", "missing.name", "'not an expression ('", "int[", "Broken", "X", "f()", "lambda: 1", "1",
        "Literal[f()]", "list[", "tuple[()]", "Optional", "Union", "dict[int]", "Callable[..., int]", "'\\0'", "Loop",
        "int if 1 else str",
    ]  # fmt: skip
    for each in annotations:
        if "[" in each and "]" not in each:
            each = repr(each)
        text = (
            "from typing import *\nfrom ticktalk import *\nfrom circle import X\nLoop = Loop2\nLoop2 = Loop\n"
            f"@SQify\ndef give(x) -> {each}: ...\n@SQify\ndef take(x: {each}, y: list[{each}]): ...\n"
            "@GRAPHify\ndef main(a):\n    x = give(a)\n    take(x, [x])\n    take(x, [x])\n"
        )
        compile_source(text, "prog.py", "prog", tmp_path)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type` statements and `def f[T]` are of Python 3.12")
def test_type_statements_and_parameters_in_brackets():
    text = (
        "from ticktalk import *\ntype Number = int | float\n@SQify\ndef same[T: Number](x: T) -> T: ...\n"
        "@SQify\ndef want(x: str): ...\n@GRAPHify\ndef main(a):\n    want(same(3))\n    same('a')\n"
    )
    with pytest.raises(TTSyntaxError) as caught:
        compile_source(text, "prog.py", "prog", None, "main")
    assert [problem.line for problem in caught.value.problems] == [9, 10]


@pytest.mark.parametrize("body", [
    "x = integer(a)\nfor i in range(60): x = (x, x)\nwant_int(x)",
    "x = integer(a)\nfor i in range(60): x = [x, text(x)]\nwant_int(x)",
    "x = maybe(a)\nfor i in range(300): x = either(x, i)\nwant_int(x[0])",
    f"x = {' and '.join(['maybe(a)'] * 60)}\nwant_int(x)",
    f"want_int(({', '.join(['either(integer(a), text(a))'] * 60)}) + (1,))",
    "x = [maybe(a), *range(2000)]\nfor i in range(20): x = MAX(x, x[i])",
    "for i in range(500): a = want_int(a) if a else text(a)",
])  # fmt: skip
def test_large_types_take_no_longer_than_their_graph(body: str):
    begin = time.process_time()
    _problems(body)
    assert time.process_time() - begin < 3


def test_a_type_that_is_built_of_itself_ends():
    text = (
        "from typing import *\nfrom ticktalk import *\n"
        "class A(TypedDict):\n    next: 'A'\nclass B(TypedDict):\n    next: 'B'\nclass C(D): ...\nclass D(C): ...\n"
        + "".join(f"T{number} = tuple['T{number + 1}', 'T{number + 1}']\n" for number in range(40))
        + "@SQify\ndef f(x) -> A: ...\n@SQify\ndef g(x: B) -> C: ...\n@SQify\ndef h(x: T0) -> T0: ...\n"
        "@GRAPHify\ndef main(a):\n    h(h(g(f(a))))\n"
    )
    compile_source(text, "prog.py", "prog")


UNDEFINED = """\
from typing import TYPE_CHECKING, Annotated, Literal
import typing as t
from ticktalk import *
if TYPE_CHECKING:
    from nowhere import Photo
@SQify
def f(x: HINT): return x
class Later: ...
@GRAPHify
def main(a): return f(a)
"""


def _problems_of(text: str):
    with pytest.raises(TTSyntaxError) as caught:
        compile_source(text, "prog.py", "prog")
    return caught.value.problems


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        ("Phto", "Phto"), ("list[Phto] | None", "Phto"),
        ("Annotated[Phto, metres]", "Phto"), ("tt.Any", "tt"), ("t.Callable[[Phto], int]", "Phto"),
    ],
)  # fmt: skip
def test_a_name_that_nothing_defines_is_reported_in_an_annotation(hint: str, name: str):
    (problem,) = _problems_of(UNDEFINED.replace("HINT", hint))
    assert problem.what == f"`{name}` is not defined, but an annotation names it"
    assert (problem.line, problem.column) == (7, 10)
    assert name != "Phto" or problem.instead == "did you mean `Photo`?"


@pytest.mark.parametrize(
    "hint",
    ["Photo", "'Photo'", "Later", "t.Any", "Literal['Phto']", "Annotated[int, metres]", "'the speed, in m/s'", "Firing",
     "'list[Later]'", "TTTime"],
)  # fmt: skip
def test_a_name_that_is_defined_somewhere_passes(hint: str):
    compile_source(UNDEFINED.replace("HINT", hint), "prog.py", "prog")


@pytest.mark.parametrize("hint", ["'Phto'", "list['Phto']", "Phto"])
def test_an_undefined_name_that_python_would_not_look_at_is_a_warning(hint: str):
    text = UNDEFINED.replace("HINT", hint)
    if hint == "Phto":
        text = "from __future__ import annotations\n" + text
    with pytest.warns(TTWarning, match=r"(?s)prog.py:\d:10: warning: `Phto` is not defined.*did you mean `Photo`"):
        compile_source(text, "prog.py", "prog")


def test_names_that_stars_and_texts_may_define_pass():
    for line in ("from nowhere import *", "globals()['Phto'] = int", "def g():\n    global Phto\n    Phto = int"):
        compile_source(line + "\n" + UNDEFINED.replace("HINT", "Phto"), "prog.py", "prog")


def test_undefined_names_of_results_and_of_graphs_are_reported():
    text = UNDEFINED.replace("f(x: HINT)", "f(x) -> Phto").replace("main(a)", "main(a: Foto) -> Fotto")
    assert [problem.line for problem in _problems_of(text)] == [7, 10, 10]


HANDLED = """\
from ticktalk import *
@STREAMify
def count(t) -> int: return 1
@STREAMify
def name(t) -> str: return "a"
@SQify
def setting(t) -> bytes: return b""
@SQify
def pair(x, y, z): return x, y
@SQify
def lone(PARAMETERS): return 1
@GRAPHify
def main(t):
    both = pair(count(t, TTPeriod=s(1)), name(t, TTPeriod=s(2)), setting(t), TTUnmatched=lone)
    return both
"""


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ("value: int, interval, missing", ["value"]),
        ("value: bytes, interval: TTTime, missing: tuple[str, ...]", ["value", "value"]),
        ("value, interval: int, missing: list[str]", ["interval", "missing"]),
        ("value, interval: tuple, missing: tuple[int, ...]", ["interval", "missing"]),
        # The value of `setting` stays: it never leaves.
        ("value: int | str, interval: TTTime, missing: tuple[str, ...]", []),
        ("value: int | str, interval: 'TTTime', missing: Any", []),
    ],
)
def test_a_handler_is_given_values_that_leave_their_interval_and_names(parameters: str, wrong: list[str]):
    text = HANDLED.replace("PARAMETERS", parameters).replace("import *\n", "import *\nfrom typing import Any\n", 1)
    for program in (
        text,
        text.replace(", TTUnmatched=lone)\n    return both", ")\n    return TTUnmatched(both, lone)"),
    ):
        if not wrong:
            compile_source(program, "prog.py", "prog")
            continue
        problems = _problems_of(program)
        assert [re.search(r"as `(\w+)`", problem.what)[1] for problem in problems] == wrong
        assert all(
            program.splitlines()[problem.line - 1][problem.column - 1 :].startswith("lone)") for problem in problems
        )
