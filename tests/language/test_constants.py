"""Constants are computed as Python computes them, and loops are unrolled."""

import math
import re

import pytest
from snippets import compiled, drawn

from ticktalk import ms, us  # noqa: F401 (the expressions use them)
from ticktalk.errors import TTSyntaxError
from ticktalk.graph.constants import decode_constant
from ticktalk.language.compiler import compile_source

SAME = [
    "1 + 2 * 3 - 4 / 5 // 6 % 7",
    "-2 ** 3 + +1 - ~5",
    "2 ** 100",
    "1 << 4 | 3 & 2 ^ 1 >> 0",
    "1 < 2 <= 2 != 3 in (3, 4)",
    "3 in [1, 2, 3] and 'a' not in 'xyz'",
    "0 or '' or 'last'",
    "1 and 0 and missing_is_not_reached if False else 5",
    "not [] and not 0",
    "(1, 'a', None, True, 2.5, 3j, b'x', ...)",
    "[1, [2, (3, [4])], {}]",
    "{'a': [1, 2], 2: {3: 4}}",
    "{3, 1, 2} | {5}",
    "[1, 2, 3][0], [1, 2, 3][-1], [1, 2, 3][::2], 'abc'[1:], {'k': 5}['k'], (1, 2)[1]",
    "[i * j for i in range(3) for j in range(i) if i != j]",
    "{i: str(i) for i in range(3)}",
    "{i % 2 for i in range(5)}",
    "[*range(3), *'ab', *(1, 2)]",
    "{**{'a': 1, 'b': 2}, 'b': [3], **{f'k{i}': i for i in range(2)}}, {*'ab', *range(2), 7}",
    "(*[1, 2], 3)",
    "f'{1 + 1}-{\"x\"!r:>5}-{3.14159:.2f}-{2:{4}d}'",
    "len('abc') + len([1, 2]) + len({1: 2})",
    "list(enumerate('ab')), list(enumerate([5, 6], start=3)), list(zip([1, 2], 'ab')), list(reversed([1, 2, 3]))",
    "sorted([3, 1, 2], reverse=True), min(3, 1), max([1, 2]), sum([1, 2, 3]), sum(i for i in range(4))",
    "abs(-1), int('7'), float(2), str(5), bool([]), round(2.567, 1), divmod(7, 2), pow(2, 5, 7), tuple([1]), hex(255)",
    "'a,b'.split(','), 'x'.upper(), '-'.join(['a', 'b']), '{}:{k}'.format(1, k=2), 'aXb'.replace('X', 'y'), '%s' % 5",
    "[1, 2, 1].count(1), (1, 2).index(2), {'a': 1}.get('b', 7), {'a': 1}.items(), {'a': 1}.keys()",
    "[1] + [2] + [3] * 2, (1,) + (2,), [[0] * 2] * 2",
    "1 if [] else 2",
    "all([1, 2]), any([0, 0]), chr(97), ord('a'), slice(1, 2)",
    "float('inf'), -float('inf'), 1e308 * 10",
    "'\\ud800', {'\\udcff': ['a\\udfffb', {'\\ud83d'}]}, '\\ud83d\\ude00'",
    "[1, 2, 3][us(1)], 'ab' * us(2), list(range(us(3))), (0,) * us(2), 'abc'[us(1):]",
    "f'{ms(250)} {ms(1)!r} {us(5):03}', str(us(9)), hex(us(9)), '%d' % us(9)",
    "[ms(1) + us(5), -us(5), us(7) % us(4), us(7) // us(2), us(7) < ms(1), 2 * us(3), sum([us(2)])]",
    "{us(1): 2}, {us(4)}, max(us(1), us(2)), int(us(3)), bool(us(0)), (us(1), [us(2), {'k': us(3)}])",
    "us(6) / us(4), us(6) == 6, us(2) ** 3, us(6) & 3",
]


@pytest.mark.parametrize("expression", SAME)
def test_constants_are_computed_as_python_computes_them(expression):
    (sq,) = compiled(f"return {expression}").sqs
    assert sq.function == "RETURN"
    expected = eval(expression)  # one of the literals above
    if isinstance(expected, tuple):
        # Views become lists, which a graph file can hold.
        expected = tuple(list(e) if isinstance(e, type({}.items()) | type({}.keys())) else e for e in expected)
    assert decode_constant(sq.ports[0].constant[0]) == expected


def test_not_a_number_is_a_constant_too():
    (sq,) = compiled("return float('nan')").sqs
    assert math.isnan(decode_constant(sq.ports[0].constant[0]))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("for i in range(3): x = f(i)", "f-1(0, !a)*; f-2(1, !a)*; f-3(2, !a)*"),
        ("x = a\nfor i in range(3): x = f(x)", "f-1(a); f-2(f-1); f-3(f-2)*"),
        ("xs = [f(i) for i in range(2)]\nreturn xs", "f-1(0, !a); f-2(1, !a); LIST-1(f-1, f-2)*"),
        (
            "xs = []\nxs.append(a)\nxs.extend([b, 1])\nxs.insert(0, 7)\nx = xs.pop()\nf(xs)",
            "LIST-1(7, a, b); f-1(LIST-1)*",
        ),
        ("xs = [a, b]\nx = g(*xs)", "g-1(a, b)*"),
        ("x = {**{'k': [1]}, 'a': a}", "DICT-1('k', [1], 'a', a)*"),
        ("x = {*[a, 1], b}", "SET-1(a, 1, b)*"),
        ("xs = [a, b]\nx = xs[0] + xs[-1]", "ADD-1(a, b)*"),
        ("xs = [a, b]\nx = f(len(xs))", "f-1(2, !a)*"),
        ("xs = [a] * 2 + [b]\nfor x in xs[1:]: f(x)", "f-1(a)*; f-2(b)*"),
        ("xs = [a]\nys = xs\nys += [b]\ng(*xs)", "g-1(a, b)*"),
        ("xs = [a, b]\nxs[0] = 5\nxs[1] += 1\ng(*xs)", "ADD-1(b, 1); g-1(5, ADD-1)*"),
        ("for i, x in enumerate([a, b]): g(x, i)", "g-1(a, 0)*; g-2(b, 1)*"),
        ("for x, y in zip([a, b], [1, 2]): g(x, y)", "g-1(a, 1)*; g-2(b, 2)*"),
        ("for x, y in [(a, b), (b, a)]: g(x, y)", "g-1(a, b)*; g-2(b, a)*"),
        ("for p in [(a, b)]:\n  f(p)\n  f(p)", "TUPLE-1(a, b); f-1(TUPLE-1)*; f-2(TUPLE-1)*"),
        ("for x in reversed([a, b]): f(x)", "f-1(b)*; f-2(a)*"),
        ("for x in (a, b): f(x)", "f-1(a)*; f-2(b)*"),
        ("for i in range(9):\n  if i == 1: continue\n  if i > 2: break\n  f(i)", "f-1(0, !a)*; f-2(2, !a)*"),
        ("for i in range(9):\n  if i == 1: return f(a)\n  f(b)", "f-1(b)*; f-2(a)*"),
        ("if 1 > 2: f(a)\nelif True: f(b)\nelse: f(1)", "f-1(b)*"),
        ("x = [a] + 'b'", "LIST-1(a); ADD-1(LIST-1, 'b')*"),
        ("x = a in [b, 1]", "LIST-1(b, 1); IN-1(a, LIST-1)*"),
        ("x = [a, b][b]", "LIST-1(a, b); GETITEM-1(LIST-1, b)*"),
        ("f([1, 2])", "f-1([1, 2], !a)*"),
        ("f([[a], 1])", "LIST-1(a); LIST-2(LIST-1, 1); f-1(LIST-2)*"),
        ("xs = [a]\nif not xs: f(b)", ""),
        ("x = f(a, TTName=f'speed{1 + 1}')", "speed2(a)*"),
        ("for n in {'b', 'a'}: f(n)", "f-1('a', !a)*; f-2('b', !a)*"),
    ],
)
def test_unrolling(body, expected):
    assert drawn(compiled(body)) == ([] if not expected else expected.split("; "))


def test_constants_of_the_module():
    text = (
        "from ticktalk import *\nN = 3\nM = N * 2\nM += 1\nNAMES = ['x', 'y']\nA, (B, *C) = 1, (2, 3, 4)\n"
        "def N2(): pass\nN2 = 5\nK: int = 9\nif __name__ == '__main__':\n  N = 100\n  NAMES.append('z')\n"
        "@GRAPHify\ndef main(a):\n  return [N, M, NAMES[1], A, B, C, N2, K, a]\n"
    )
    assert drawn(compile_source(text, "p.py", "p")) == ["LIST-1(3, 7, 'y', 1, 2, [3, 4], 5, 9, a)*"]


MATH = """\
from ticktalk import *
import math
import math as m
from math import pi, tau, inf as infinity
N = 8
STEP = 2 * math.pi / N
ANGLES = [k * STEP for k in range(N)]
ROOT = m.sqrt(2)
RADIANS = math.radians
class Filter:
    Q = 1 / math.sqrt(2)
"""
OF_MATH = [
    "STEP, ANGLES, ROOT, Filter.Q, pi / 180, tau, infinity, -m.inf, m.e",
    "math.floor(2.7), m.ceil(2.1), math.sin(STEP), math.hypot(3, 4), RADIANS(90), math.gcd(12, 18), math.isqrt(17)",
    "[round(math.cos(2 * pi * k / N), 6) for k in range(N)], math.log(8, 2), math.isclose(pi, 3.14, abs_tol=0.01)",
    "math.factorial(20), math.comb(10, 3), math.perm(5), math.perm(5, 2), math.lcm(4, 6), math.prod([2, 3], start=4)",
    "math.fsum([0.1] * 10), math.dist([0, 0], [3, 4]), math.modf(2.5), math.frexp(8), math.floor(us(7) / us(2))",
]


@pytest.mark.parametrize("expression", OF_MATH)
def test_math_is_computed_as_python_computes_it(expression):
    graph = compile_source(f"{MATH}@GRAPHify\ndef main(a):\n    return {expression}\n", "p.py", "p")
    namespace: dict[str, object] = {}
    exec(MATH, namespace)
    assert decode_constant(graph.sqs[0].ports[0].constant[0]) == eval(expression, namespace)


def test_all_of_math_is_known_by_a_star_import_too():
    constants = sorted(name for name, value in vars(math).items() if isinstance(value, float) and name != "nan")
    listed = ", ".join(constants)
    text = f"from ticktalk import *\nfrom math import *\n@GRAPHify\ndef main(a):\n  return {listed}, pow(2, 3)\n"
    expected = (*(getattr(math, name) for name in constants), 8.0)
    found = decode_constant(compile_source(text, "p.py", "p").sqs[0].ports[0].constant[0])
    assert found == expected and type(found[-1]) is float


CLASSES = """\
import enum
from dataclasses import dataclass
from ticktalk import *
N = 5
@dataclass(frozen=True)
class Base:
    rate: int = 2 * N
    names: tuple = ("a", "b")
class Config(Base):
    SCALE = 2.5
    rate: int = 3
    BOTH = [SCALE, N]
    class Inner:
        DEEP = {"k": 1}
    def method(self): return SCALE
@enum.unique
class Mode(str, enum.Enum):
    A = "a"
class Counted(enum.Enum):
    C = enum.auto()
class Level(enum.IntEnum):
    LOW = 1
    LEAST = 1
    HIGH = LOW + 4
class Same(enum.Enum):
    ONE = 1
    ALIAS = 1.0
    _own = 3
class Left(Base):
    pass
class Right(Base):
    names = ("c",)
class Both(Left, Right):
    pass
CONFIG = Config
str(Config.SCALE)
"""
OF_CLASSES = [
    "Config.SCALE, Config.rate, Base.rate, Config.names, CONFIG.BOTH[1], Config.Inner.DEEP['k'] + 1",
    "Mode.A.value, Mode.A.name, Counted.C.name, Level.HIGH.value, Level.LEAST.name",
    "[n for n in Config.names], ms(Level.HIGH.value), f'{Config.SCALE}'",
    "Same.ALIAS.value, Same.ALIAS.name, Same._own.value, Both.names, Both.rate",
]


@pytest.mark.parametrize("expression", OF_CLASSES)
def test_constants_of_classes_and_enumerations_are_those_of_python(expression):
    graph = compile_source(f"{CLASSES}@GRAPHify\ndef main(a):\n    return {expression}\n", "p.py", "p")
    namespace: dict[str, object] = {}
    exec(CLASSES, namespace)
    assert decode_constant(graph.sqs[0].ports[0].constant[0]) == eval(expression, namespace)


OTHER_THAN_WRITTEN = [
    ("class C:\n  T = {}\n  T['x'] = 1", "C.T", "`C.T` (line 5)"),
    ("T = []\nclass C:\n  T.append(1)", "T", "`T` (line 5)"),
    ("class C:\n  class D: N = 1\n  D.N = 2", "C.D.N", "`C.D` is changed in line 5"),
    ("class C: N = 1\nclass D(C): pass\nC.N = 2", "D.N", "`C` is changed in line 5"),
    ("class C: N = 1\nD = C\nD.N = 2", "C.N", "`D` is changed in line 5"),
    ("class C: T = []\nC.T.sort()", "C.T", "`C` is changed in line 4"),
    ("class C(NamedTuple): N: int = 1", "C.N", "the base `NamedTuple`"),
    ("class C:\n  N = 1\n  def __init_subclass__(cls): cls.N = 2\nclass D(C): pass", "D.N", "the base `C`"),
    ("@dataclass(slots=True)\nclass C: N: int = 1", "C.N", "`C` is a class"),
    ("class A: pass\nclass B(A): pass\nclass C(A, B): N = 1", "C.N", "`C` is a class"),
    ("class E(str, Enum): A = 1", "E.A.value", "`E.A.value` is not known"),
    ("class E(IntEnum): A = True", "E.A.value", "`E.A.value` is not known"),
    ("class E(Enum):\n  A = 1\n  def __init__(self, x): self._value_ = 2 * x", "E.A.value", "`E.A.value` is not known"),
    ("class B(Enum):\n  def __new__(cls, x): pass\nclass E(B): A = 1", "E.A.value", "`E.A.value` is not known"),
    ("@dataclass\nclass D: x: int\nclass E(D, Enum): A = 1", "E.A.value", "`E.A.value` is not known"),
    ("class E(Enum):\n  A = 1\n  @property\n  def name(self): return 'a'", "E.A.name", "`E.A.name` is not known"),
    ("class E(Enum):\n  A = 1\n  def f(self): pass", "E.f", "`E.f` (line 5)"),
]
"""Code, an expression that may not have the value that is written there, and a part of the message."""


@pytest.mark.parametrize(("code", "expression", "message"), OTHER_THAN_WRITTEN)
def test_attributes_of_classes_that_may_be_others_than_those_written_are_not_known(code, expression, message):
    head = "from enum import *; from dataclasses import *; from typing import *\nfrom ticktalk import *\n"
    with pytest.raises(TTSyntaxError, match=re.escape(message)):
        compile_source(f"{head}{code}\n@GRAPHify\ndef main(a): return [{expression}]\n", "p.py", "p")


def test_a_chain_of_thousands_compiles_quickly():
    graph = compiled("x = a\nfor i in range(3000): x = f(x)\nreturn x")
    assert len(graph.sqs) == 3000
    assert graph.sqs[-1].rank == 2999


def test_large_constants_of_the_module_that_no_graph_uses_are_no_problem():
    text = "from ticktalk import *\nX = [0] * 600_000\nY = X\n@GRAPHify\ndef main(a):\n  return -a\n"
    assert drawn(compile_source(text, "p.py", "p")) == ["NEG-1(a)*"]
