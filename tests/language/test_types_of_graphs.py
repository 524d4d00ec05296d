"""Graphs at random: each value that is reported is wrong for mypy, too, which reads the same graph as plain Python."""

from __future__ import annotations

import random
import re
from pathlib import Path

from ticktalk.errors import TTSyntaxError
from ticktalk.language.compiler import compile_source
from type_checker import mypy_errors

FUNCTIONS = """\
class Animal: ...
class Dog(Animal): ...
class Point(NamedTuple):
    x: int
    y: str
class Movie(TypedDict):
    title: str
    year: int
T = TypeVar("T")
N = TypeVar("N", bound=float)
S = TypeVar("S", str, bytes)
@SQify
def integer(x: Any) -> int: return 1
@SQify
def text(x: Any) -> str: return "a"
@SQify
def maybe(x: Any) -> int | None: return 1
@SQify
def pair(x: Any) -> tuple[int, str]: return 1, "a"
@SQify
def nested(x: Any) -> tuple[int, tuple[str, int]]: return 1, ("a", 2)
@SQify
def point(x: Any) -> Point: return Point(1, "a")
@SQify
def animal(x: Any) -> Animal: return Dog()
@SQify
def rows(x: Any) -> list[int]: return [1]
@SQify
def table(x: Any) -> dict[str, int]: return {}
@SQify
def movie(x: Any) -> Movie: return {"title": "a", "year": 1}
@SQify
def same(x: T) -> T: return x
@SQify
def first(x: Sequence[T]) -> T: return x[0]
@SQify
def bounded(x: N) -> N: return x
@SQify
def chosen(x: S) -> S: return x
@SQify
def either(x: T, y: T) -> T: return x
@SQify
def want_int(x: int) -> None: ...
@SQify
def want_float(x: float) -> None: ...
@SQify
def want_str(x: str) -> None: ...
@SQify
def want_maybe(x: int | None) -> None: ...
@SQify
def want_dog(x: Dog) -> None: ...
@SQify
def want_floats(x: list[float]) -> None: ...
@SQify
def want_movie(x: Movie) -> None: ...
@SQify
def want_pair(x: Tuple[int, str]) -> None: ...
@SQify
def want_either(x: Literal["a", "b"]) -> None: ...
"""
PLAIN = """\
from typing import *
F = TypeVar("F")
A = TypeVar("A")
B = TypeVar("B")
def SQify(function: F) -> F: return function
def MERGE(a: A, b: B) -> A | B: ...
def TUPLE_2(a: A, b: B) -> tuple[A, B]: ...
"""
ONE = re.findall(r"def ((?!want|either)\w+)\(", FUNCTIONS)
TWO = ["either", "MERGE", "TUPLE_2"]
WANT = re.findall(r"def (want\w+)\(", FUNCTIONS)
CONSTANTS = ["1", "'a'", "2.5", "None", "True", "[1]", "(1, 'a')"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "<", "==", "&", "and", "or", "in"]


def _expression(choose: random.Random, names: list[str], depth: int) -> str:
    if depth == 0 or choose.random() < 0.25:
        return choose.choice(names if choose.random() < 0.7 else CONSTANTS)
    a, b, c = (_expression(choose, names, depth - 1) for _ in range(3))
    forms = [f"{choose.choice(ONE)}({a})"] * 4 + [f"{choose.choice(TWO)}({a}, {b})"] * 2
    forms += [f"({a} {choose.choice(OPERATORS)} {b})", f"({a} if {b} else {c})", f"[{a}, {b}]", f"({a}, {b})"]
    return choose.choice([*forms, f"{a}[{choose.choice(['0', '1', repr('k'), '1:'])}]"])


def _graph(choose: random.Random) -> list[str]:
    """The statements of a graph with the input `a`."""
    names, body = ["a"], []
    for number in range(choose.randint(1, 4)):
        if choose.random() < 0.15:
            body.append(f"p{number}, q{number} = {_expression(choose, names, 1)}")
            names += [f"p{number}", f"q{number}"]
        else:
            body.append(f"x{number} = {_expression(choose, names, 2)}")
            names.append(f"x{number}")
        body.append(f"{choose.choice(WANT)}({_expression(choose, names, 1)})")
    return body


def _reported(body: list[str]) -> set[int]:
    """The statements with a value of a wrong type."""
    head = f"from typing import *\nfrom ticktalk import *\n{FUNCTIONS}@GRAPHify\ndef main(a: Any):\n"
    try:
        compile_source(head + "".join(f"    {line}\n" for line in body), "prog.py", "prog")
    except TTSyntaxError as error:
        signs = ("but `", " is of type `", " cannot be computed of ")
        return {p.line - head.count("\n") - 1 for p in error.problems if any(sign in p.what for sign in signs)}
    return set()


def test_problems_reported_in_a_graph_are_wrong_for_mypy_too(tmp_path: Path):
    choose = random.Random(14)
    graphs = [_graph(choose) for _ in range(150)]
    lines = (PLAIN + FUNCTIONS).splitlines()
    place: dict[int, tuple[int, int]] = {}  # of a line: its graph, and the statement in it
    for number, body in enumerate(graphs):
        lines.append(f"def main{number}(a: Any) -> None:")
        for statement, line in enumerate(body):
            lines.append(f"    {line}")
            place[len(lines)] = number, statement
    source = tmp_path / "graphs.py"
    source.write_text("\n".join(lines))
    found = mypy_errors("--strict", "--cache-dir", str(tmp_path.parent / "mypy"), str(source))
    errors = [line.split(":", 2) for line in found]
    wrong = {place[int(line)] for _, line, _ in errors if int(line) in place}
    arguments = {place[int(line)] for _, line, text in errors if "[arg-type]" in text and int(line) in place}
    reported = {(number, statement) for number, body in enumerate(graphs) for statement in _reported(body)}
    assert [(graphs[number], statement) for number, statement in sorted(reported - wrong)] == []
    # What is not found beside these: lists of ints for lists of floats, and what comes of values of other classes.
    assert len(reported & arguments) > 0.85 * len(arguments) > 120, (len(reported & arguments), len(arguments))
