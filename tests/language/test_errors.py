"""Every problem is reported at its place, with the remedy; all of a file at once."""

import sys
import warnings

import pytest
from snippets import FIRST_LINE, STREAM, compiled, problems

from ticktalk.errors import TTError, TTSyntaxError, TTWarning
from ticktalk.language.compiler import compile_program, compile_source

BODY = [
    # body, line, column, part of the message, part of the remedy
    ("x = a + missing", 1, 9, "`missing` is not defined", ""),
    ("value = f(a)\nf(valu)", 2, 3, "`valu` is not defined", "did you mean `value`?"),
    ("x = READ_CLOCK(a)", 1, 5, "`READ_CLOCK` is not defined", "did you mean `READ_TTCLOCK`?"),
    ("x = y\ny = f(a)", 1, 5, "`y` is used before it is bound", "a graph has no cycle"),
    ("x = a @ b", 1, 5, "`@` is no operator", "write an SQ"),
    ("x = a.real", 1, 5, "`.real` of an arc", "write an SQ that returns `value.real`"),
    ("x = a.mean(1)", 1, 5, "`.mean()` of an arc", "write an SQ that returns `value.mean(...)`"),
    ("x = a(b)", 1, 5, "`a` is an arc, so it cannot be called", ""),
    ("x = 3\nx(a)", 2, 1, "`x` is a constant", ""),
    ("x = plain(a)", 1, 5, "`plain` is not an SQ", "@SQify"),
    ("x = main(a, b)", 1, 5, "`main` is expanded more than 200 times", "`if` over constants"),
    ("x = main(a)", 1, 5, "`main` is missing `b`", "main(a, b)"),
    ("x = f", 1, 5, "`f` is not a value", "`f(...)`"),
    ("x = print(a)", 1, 5, "`print` has no meaning in a graph", "has `print`, and call that, or `SYSLOG(a)`"),
    ("x = range(a)", 1, 11, "`range` is computed at compile time", "give a constant, or write a function with @SQify"),
    ("x = list(enumerate(a))", 1, 20, "`enumerate` is computed at compile time", ""),
    ("x = abs(a, b)", 1, 5, "TypeError: abs(): too many positional arguments", ""),
    ("x = round(a, digits=2)", 1, 5, "TypeError: round(): got an unexpected keyword argument 'digits'", ""),
    ("x = sorted([a, b], key=abs)", 1, 20, "the key of `sorted` is a function", "write an SQ"),
    ("x = max([1, 2], key=lambda y: -y)", 1, 17, "the key of `max` is a function", "write an SQ"),
    ("x = list(map(f, [a]))", 1, 10, "`map` has no meaning in a graph", "`[f(x) for x in xs]`"),
    ("x = filter(None, [a])", 1, 5, "`filter` has no meaning", "`TTEmpty()`"),
    ("x = format(a, '.2f')", 1, 5, "`format` has no meaning in a graph", "`\"{:.2f}\".format(a)`"),
    ("x = isinstance(a, int)", 1, 5, "`isinstance` has no meaning in a graph", "body has `isinstance`, and"),
    ("x = ', '.join([a, b])", 1, 5, "`.join()` is computed at compile time, but there is an arc in it", "an SQ"),
    ("x = SQify(f)", 1, 5, "SQify is a decorator", ""),
    ("x = component('gpu')", 1, 5, "component()", "call it there"),
    ("x = TTClock", 1, 5, "`TTClock` is not a value", ""),
    ("x = f()", 1, 5, "`f` is missing `x`", "`f(x)`"),
    ("x = g(k=1)", 1, 5, "`g` is missing `x`, `y`", "`g(x, y)`"),
    ("x = f(a, b)", 1, 10, "takes 1 argument", "`x`"),
    ("x = h(a)", 1, 7, "takes no argument", ""),
    ("x = g(a, b, kk=2)", 1, 13, "no parameter `kk`", "it takes `x`, `y`, `k`"),
    ("x = g(a, b, x=2)", 1, 13, "`x` is given twice", ""),
    ("x = g(a, b, k=a)", 1, 13, "`k` is fixed at compile time", "remove the default of `k` in the `def`"),
    ("x = g(a, b, k=[1, a])", 1, 13, "`k` is fixed at compile time", "remove the default of `k` in the `def`"),
    ("x = f(a, TTPeriod=5)", 1, 10, "`TTPeriod` is for calls of a @STREAMify function", ""),
    ("x = f(a, TTExecuteOnFullToken=True)", 1, 10, "belongs in the signature", ""),
    ("x = f(a, TTNam='x')", 1, 10, "no parameter `TTNam`", "`TTName`"),
    ("x = f(a, TTName='x y')", 1, 10, "'x y' is no name for an SQ", ""),
    ("x = f(a, TTName='')", 1, 10, "is no name", ""),
    ("x = f(a, TTName=a)", 1, 10, "`TTName` is fixed at compile time", ""),
    ("x = f(a, TTPersistent=1)", 1, 10, "TTPersistent is True or False", ""),
    ("x = g(a, b, TTUnmatched=3)", 1, 13, "takes the name of an @SQify", "def handler(value, interval, missing)"),
    ("x = g(a, b, TTUnmatched=a)", 1, 13, "takes the name of an @SQify", "def handler(value, interval, missing)"),
    ("x = g(a, b, TTUnmatched=g(a, b))", 1, 13, "takes the name of an @SQify function", "give its name"),
    ("x = g(a, b, TTUnmatched=ADD)", 1, 13, "takes the name of an @SQify function", ""),
    ("x = g(a, b, TTUnmatched=plain)", 1, 13, "`plain` is not an SQ", "@SQify"),
    ("x = g(a, b, TTUnmatched=nobody)", 1, 25, "`nobody` is not defined", ""),
    ("x = main(a, b, TTUnmatched=f)", 1, 16, "no parameter `TTUnmatched`: it is for calls of SQs", "calls inside"),
    ("x = g(a, b, TTUnmatched=f)", 1, 13, "`f` is no handler", "def handler(value, interval, missing)"),
    ("x = ADD(a, b, TTUnmatched=src)", 1, 15, "`src` is no handler", "def handler(value, interval, missing)"),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=b, TTUnmatched=g)", 1, 46, "`g` is no handler", ""),
    ("f(a, TTName='f-2')\nf(a)", 2, 1, "two SQs are called `f-2`", "TTName"),
    ("f(a, TTName='x')\nf(a, TTName='x')", 2, 1, "two SQs are called `x`", "TTName"),
    ("for i in range(2): f(a, TTName='x')", 1, 20, "two SQs are called `x`", ""),
    ("x = ADD(a)", 1, 5, "`ADD` is missing `b`", ""),
    ("x = CONST(a)", 1, 5, "`CONST` is missing `const`", ""),
    ("x = CONST(a, const=b)", 1, 14, "`const` is fixed", "give a constant"),
    ("x = ADD_TIME_DELAY(a, delay=0.5)", 1, 23, "delay must be a whole number, not 0.5", ""),
    ("x = READ_TTCLOCK(a, TTClock=3)", 1, 21, "`TTClock` takes a clock", "TTClock.root()"),
    ("x = RESAMPLE(a, TTPeriod=4, order=2)", 1, 29, "order is 0", ""),
    ("x = RESAMPLE(a, TTPeriod=4, TTMaxGap=0)", 1, 29, "TTMaxGap must be at least 1", ""),
    ("s = src(a)", 1, 5, "the stream `src` has no period", "TTPeriod="),
    ("s = src(a, TTPeriod=0)", 1, 12, "TTPeriod must be at least 1", ""),
    ("s = src(a, TTPeriod=2.5)", 1, 12, "whole number, not 2.5", "Hz(60)"),
    ("s = src(a, TTPeriod=b)", 1, 12, "`TTPeriod` is fixed at compile time", ""),
    ("s = src(a, TTPeriod='x')", 1, 12, "whole number, not 'x'", ""),
    ("s = src(a, TTPeriod=2**62)", 1, 12, "TTPeriod is too large", ""),
    ("s = src(a, TTPeriod=10, TTPhase=10)", 1, 25, "less than TTPeriod", "TTPhase=0"),
    ("s = src(a, TTPeriod=10, TTPhase=-1)", 1, 25, "TTPhase must be at least 0", "TTPhase=9"),
    ("s = src(a, TTPeriod=10, TTDataIntervalWidth=0)", 1, 25, "at least 1", ""),
    ("s = src(a, TTPeriod=9, TTDataIntervalWidth=1, TTDataValidityInterval=1)", 1, 47, "given twice", ""),
    ("s = src(a, TTPeriod=9, TTFirstInstanceDelay=-1)", 1, 24, "at least 0", ""),
    ("s = src(a, TTPeriod=9, TTStamp='end')", 1, 24, "TTStamp is", ""),
    ("p, q, r = src(a, TTPeriod=9)", 1, 1, "two values", "`tag, (p, q, r) = ...`"),
    ("p, = src(a, TTPeriod=9)", 1, 1, "two values", "`tag, (p,) = ...`"),
    ("p, *q = two(a)", 1, 4, "not known at compile time", "name each element"),
    ("p, q = y = two(a)\np, (q, r) = y", 2, 1, "unpacked in two different ways", ""),
    ("p, q = [a, b, a]", 1, 1, "2 values are needed to unpack here, but there are 3", ""),
    ("p, q = 5", 1, 1, "cannot be looped over", ""),
    ("p, *q, r = [a]", 1, 1, "at least 2 values", ""),
    ("() = two(a)", 1, 1, "at least one name", ""),
    ("x = 1 / 0", 1, 5, "ZeroDivisionError: division by zero", ""),
    ("x = [a][1]", 1, 9, "index 1 is out of range", ""),
    ("x = [a]['k']", 1, 9, "the index of a list is an int", ""),
    ("x = 'x' + 1", 1, 5, "TypeError", ""),
    ("x = {**a, 1: b}", 1, 8, "what `**` takes apart must be known at compile time", "body of an SQ"),
    ("x = {**[1]}", 1, 8, "`**` takes a dict, not [1]", ""),
    ("x = {*a}", 1, 6, "the length of an arc's value is not known", "loop over a list of arcs"),
    ("x = {[]: 1}", 1, 5, "unhashable", ""),
    ("x = f'{a}'", 1, 8, "must be known at compile time, but this is an arc", "`\"{} m\".format(a)`"),
    ("x = f'{[1, a]}'", 1, 8, "must be known at compile time, but this is an arc", "body of an SQ"),
    ("x = f(a, TTName='{}'.format(a))", 1, 10, "`TTName` is fixed at compile time", ""),
    ("x = [f(y) for y in a]", 1, 20, "length of an arc's value is not known", "loop over a list of arcs"),
    ("x = [f(y) for y in [1] if a]", 1, 27, "condition of a comprehension", ""),
    ("x = f(y for y in [1])", 1, 6, "a generator", "write a list"),
    ("for y in a: f(y)", 1, 10, "length of an arc's value is not known", ""),
    ("for y in 5: f(y)", 1, 10, "cannot be looped over", ""),
    ("for y in [1]: f(a)\nelse: f(b)", 2, 7, "`else` of a `for`", ""),
    ("xs = []\nx = xs.append(a) if b else 1", 2, 5, "cannot be changed in a conditional", "xs.append(a if c else b)"),
    ("xs = (1, [2])[1]\nxs.append(a)", 2, 1, "part of a constant", "list(...)"),
    ("xs = []\nxs.append()", 2, 1, "does not take these arguments", ""),
    ("xs = []\nxs.pop()", 2, 1, "IndexError", ""),
    ("xs = [a]\nxs[3] = b", 2, 4, "index 3 is out of range", ""),
    ("a[0] = b", 1, 1, "only an item of a compile-time list", ""),
    ("a.x = b", 1, 1, "an attribute cannot be set", ""),
    ("a.x += b", 1, 1, "an attribute cannot be set", ""),
    ("x = lambda: a", 1, 5, "a `lambda` has no meaning", "@SQify"),
    ("f(x := a)", 1, 3, "`:=` has no meaning", ""),
    ("if a: f(b)", 1, 4, "an `if` statement needs a condition that is known", "a if condition else b"),
    ("while a: f(b)", 1, 1, "`while` has no meaning", "for i in range(n)"),
    ("try: f(a)\nexcept ValueError: pass", 1, 1, "`try` has no meaning", ""),
    ("def k(x): return x\nk(a)", 1, 1, "`def k` inside a graph", "module level"),
    ("class K: pass", 1, 1, "`class K` inside a graph", ""),
    ("global sq_state", 1, 1, "a graph has no state", ""),
    ("del a", 1, 1, "`del` has no meaning", ""),
    ("raise ValueError", 1, 1, "`raise` has no meaning", ""),
    ("assert a", 1, 1, "`assert` has no meaning", ""),
    ("match a:\n  case 1: pass", 1, 1, "`match` has no meaning", ""),
    ("import random\nx = random.random()", 1, 1, "`random` is imported in a graph", "module level"),
    ("import math\nx = math.sin(a, b)", 2, 5, "TypeError: math.sin(): too many positional arguments", ""),
    ("from ticktalk.Clocks import TTClock", 1, 1, "there is no module `ticktalk.Clocks`", "`from ticktalk import TTCl"),
    ("from math import sqrt\nx = sqrt()", 2, 5, "TypeError", ""),
    ("import math\nx = f(a)\ny = math.sqrt(-1)", 3, 5, "ValueError: math domain error", ""),
    ("import math\nx = math.sqr(2)", 2, 5, "`math` has no `sqr`", "did you mean `sqrt`?"),
    ("from math import sqtr\nx = sqtr(2)", 2, 5, "`math` has no `sqtr`", "did you mean `sqrt`?"),
    ("import math\nx = math", 2, 5, "`math` is a module, not a value", ""),
    ("import numpy\nx = numpy.sum(a)", 2, 5, "`numpy` is imported from elsewhere", "SQ"),
    ("yield a", 1, 1, "`yield` has no meaning", "write `return`"),
    ("with open('x') as y: pass", 1, 6, "`open` has no meaning in a graph", ""),
    ("with f(a) as y: pass", 1, 6, "a `with` in a graph takes", ""),
    ("with TTConstraint(): f(a)", 1, 6, "TTConstraint says nothing", ""),
    ("with TTConstraint(name=3): f(a)", 1, 19, "`name` is a string or a list of strings, not 3", ""),
    ("with TTConstraint(name=a): f(a)", 1, 24, "`name` must be known at compile time", ""),
    ("with TTConstraint('x') as c: f(a)", 1, 27, "TTConstraint binds nothing", ""),
    ("with TTConstraint(ensemble='x'): f(a)", 1, 19, "no parameter `ensemble`", ""),
    ("TTConstraint('x')", 1, 1, "TTConstraint stands in a `with` only", ""),
    ("c = TTClock('c', period=2)", 1, 5, "a clock needs a parent", "TTClock.root()"),
    ("c = TTClock(3)", 1, 5, "a clock needs a parent", ""),
    ("c = TTClock('c', None)", 1, 18, "a clock needs a parent", "TTClock.root()"),
    ("c = TTClock('c', TTClock.root(), 0)", 1, 5, "at least 1 tick", ""),
    ("c = TTClock('c', TTClock.root(), a)", 1, 34, "the period of a clock must be known", ""),
    ("c = TTClock('root', TTClock.root(), 2)", 1, 5, "only the root clock is called 'root'", ""),
    (
        "r = TTClock.root()\nc = TTClock('c', r, 2)\nd = TTClock('c', r, 3)",
        3, 5, "two different clocks are called 'c'", "",
    ),
    ("x = f(TTClock.root())", 1, 7, "a constant of type TTClock cannot be stored", ""),
    ("x = TTFinishByOtherwise(f(a), TTPlanB=h())", 1, 5, "missing `TTTimeDeadline`", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=0.5)", 1, 28, "whole number", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=b)", 1, 46, "TTPlanB takes a call such as g(x)", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=3)", 1, 46, "TTPlanB takes a call", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=lambda: 1)", 1, 46, "TTPlanB takes a call", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=f)", 1, 54, "`f` is missing `x`", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=src(a, TTPeriod=1))", 1, 54, "is a stream", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=plain(a))", 1, 54, "`plain` is not an SQ", ""),
    ("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=h, TTWillContinue=1)", 1, 57, "True or False", ""),
    ("with TTPlanB(3), TTDeadline(TTClock.root(), 3): f(a)", 1, 14, "TTPlanB takes a call", ""),
    ("with TTDeadline(TTClock.root()): f(a)", 1, 6, "missing `deadline`", ""),
    ("x = TTSingleRunTimeout(a, TTTimeout=5)", 1, 24, "takes a call such as g(x)", ""),
    ("x = TTSingleRunTimeout(f(a))", 1, 5, "missing `TTTimeout`", ""),
    ("x = TTSingleRunTimeout(f(a), TTTimeout=0)", 1, 30, "at least 1", ""),
    ("x = f(a, TTTimeout=0)", 1, 10, "TTTimeout must be at least 1, not 0", ""),
    ("x = f(a, TTTimeout=b)", 1, 10, "`TTTimeout` is fixed at compile time", "give a constant"),
    ("x = ADD(a, b, TTTimeout=5)", 1, 15, "for calls of @SQify and @STREAMify functions, not of `ADD`", "leave it out"),
    (STREAM + "x = f(*s)", 2, 8, "length of an arc's value is not known", ""),
    ("x = 'é' + missing", 1, 11, "`missing` is not defined", ""),
    ("with TTConstraint(name='car 1'): f(a)", 1, 19, "'car 1' is no name for an ensemble", ""),
    ("with TTQuery(name=['car', 'a/b']): f(a)", 1, 14, "'a/b' is no name for an ensemble", ""),
    ("x = firing().instant", 1, 5, "`firing()` has a meaning in the body of an SQ only", "call it there"),
    ("x = {}\nx['k'] = f(a)\ny = f(x['k'])", 2, 1, "only an item of a compile-time list", "to a name"),
    ("x = src(a, 100)", 1, 12, "takes 1 argument", "settings are given by name, such as `TTPeriod=...`"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line", "column", "what", "instead"), BODY, ids=[case[0] for case in BODY])
def test_problems_of_a_graph_body(body, line, column, what, instead):
    (found,) = problems(body)
    assert found[:2] == (line, column)
    assert what in found[2]
    assert instead in found[3]


GRAPH = "@GRAPHify\ndef main(a): return a\n"
FILES = [
    # program, line, column, part of the message, part of the remedy
    ("x = (1\n", 1, 5, "'(' was never closed", ""),
    ("def f(:\n", 1, 7, "invalid syntax", ""),
    ("x = 1\n", 1, 1, "no graph", "@GRAPHify"),
    ("", 1, 1, "no graph", ""),
    ("@GRAPHify\ndef main(): pass\n", 2, 1, "the graph `main` has no input", "def main(trigger):"),
    ("@GRAPHify\ndef main(*a): pass\n", 2, 1, "`*a` in `main`", "name each input"),
    ("@GRAPHify\ndef main(a, b=open('x')): pass\n", 2, 15, "`open` has no meaning", ""),
    ("@GRAPHify\ndef main(a, b=TTClock.root()): pass\n", 2, 15, "the default of the input `b`: a constant of type", ""),
    (GRAPH + "@GRAPHify\ndef other(a): pass\n", 4, 1, "`other` is a second graph", "--graph NAME"),
    (GRAPH + "@SQify()\ndef f(a): pass\n", 3, 2, "`@SQify` takes no arguments", "without parentheses"),
    (GRAPH + "@SQify\ndef f(a, *b): pass\n", 4, 1, "`*b` in `f`", "name each input"),
    ("@GRAPHify\ndef main(a): f(a)\n@SQify\ndef f(a, **k): pass\n", 4, 1, "`**k` in `f`", "name each input"),
    (GRAPH + "@SQify\nasync def f(a): pass\n", 4, 1, "`async def`", "plain `def`"),
    ("@SQify\ndef f(a, *, z): pass\n@GRAPHify\ndef main(a): f(a)\n", 4, 14, "`f` is missing `z`", "`f(a, z=...)`"),
    (GRAPH + "@SQify\ndef f(a):\n  yield a\n", 5, 3, "`yield` in `f`", "write `return`"),
    (
        "import ticktalk as tt\n@SQify\ndef f(a): return tt.sq_state\n@GRAPHify\ndef main(a): return f(a)\n",
        3,
        18,
        "`tt.sq_state` in the body of `f`",
        "import sq_state",
    ),
    (
        "from ticktalk import sq_state as s\n@SQify\ndef f(a): return s\n@GRAPHify\ndef main(a): return f(a)\n",
        3,
        18,
        "`s` in the body of `f`",
        "import sq_state",
    ),
    (GRAPH + "@SQify\n@STREAMify\ndef f(a): pass\n", 4, 2, "decorated with @SQify already", "one of the two"),
    (GRAPH + "def f(a, a): pass\n", 3, 10, "duplicate argument 'a'", ""),
    (GRAPH + "return 1\n", 3, 1, "'return' outside function", ""),
    (GRAPH + "@SQify\nclass C: pass\n", 3, 2, "not classes", "`def`"),
    (GRAPH + "@SQify\ndef f(a, TTExecuteOnFullToken=1): pass\n", 4, 31, "True or False", ""),
    (GRAPH + "if 1:\n  @SQify\n  def f(a): pass\n", 5, 3, "inside another statement", "module level"),
    ("N = open('x')\n@GRAPHify\ndef main(a): return a + N\n", 3, 25, "`N` (line 1) is not known at compile", ""),
    ("C = {}\nC['x'] = 1\n@GRAPHify\ndef main(a): return a + C['x']\n", 4, 25, "`C` (line 2) is not known", ""),
    ("for N in [1]: pass\n@GRAPHify\ndef main(a): return a + N\n", 3, 25, "`N` (line 1) is not known", ""),
    ("import numpy as np\n@GRAPHify\ndef main(a): return np.sin(a)\n", 3, 21, "`np` is imported from elsewhere", "SQ"),
    ("from other import f\n@GRAPHify\ndef main(a): return f(a)\n", 3, 21, "`f` is imported from elsewhere", "`other`"),
    ("class C: pass\n@GRAPHify\ndef main(a): return C(a)\n", 3, 21, "`C` is a class", ""),
    ("class C: RATE = 1\n@GRAPHify\ndef main(a): return C.RTE\n", 3, 21, "`C.RTE` is not known at compile", "`RATE`?"),
    ("class C: N = []\nC.N.append(1)\n@GRAPHify\ndef main(a): return C.N\n", 4, 21, "`C` is changed in line 2", ""),
    ("N = [1]\nN += x\n@GRAPHify\ndef main(a): return N\n", 4, 21, "`N` (line 2) is not known", "a literal"),
    ("N = [1]\nN.append(x)\n@GRAPHify\ndef main(a): return N\n", 4, 21, "`N` (line 2) is not known", "a literal"),
    ("class C: N = f()\n@GRAPHify\ndef main(a): return C.N\n", 3, 21, "`C.N` (line 1) is not known", "a literal"),
    ("@made(N=2)\nclass C: N = 1\n@GRAPHify\ndef main(a): return C.N\n", 4, 21, "`C` is a class", ""),
    ("class E(Enum): A = 1\n@GRAPHify\ndef main(a): return E.A\n", 3, 21, "`E.A` is a member of", "`E.A.value`"),
    ("@sqify\ndef f(a): pass\n@GRAPHify\ndef main(a): f(a)\n", 4, 14, "`f` is not an SQ", "`@SQify` for `@sqify`"),
    ("class C:\n  @GRAPHify\n  def main(self, a): pass\n", 3, 3, "`main` is defined inside another", "module level"),
    (GRAPH + "class C:\n  @SQify\n  def f(self, a): pass\n", 5, 3, "`f` is defined inside another", "module level"),
    ("f = SQify(len)\n@GRAPHify\ndef main(a): return f(a)\n", 3, 21, "`f` (line 1) is not known", "above a `def f"),
    ("import datetime as d\n@GRAPHify\ndef main(a): return a + d.timedelta(1)\n", 3, 25, "`d` is imported", "ms(100)"),
    ("from ticktalk import firing\n@GRAPHify\ndef main(a): return firing()\n", 3, 21, "body of an SQ only", "there"),
    ("@SQify\ndef f(*b): pass\n@GRAPHify\ndef main(a): return f(a, a)\n", 2, 1, "`*b` in `f`", "name each input"),
    (
        "@STREAMify\ndef s(a): return 1\n@SQify\ndef f(x): return s(x, TTPeriod=5)\n"
        "@GRAPHify\ndef main(a): return f(a)\n",
        4,
        23,
        "`TTPeriod` in the body of `f`, where `s` is the plain function",
        "call the stream in the graph",
    ),
    (
        "@STREAMify\ndef s(a) -> str: return 'b'\n@GRAPHify\ndef main(a):\n  d, tag = s(a, TTPeriod=100000)\n"
        "  return TTFinishByOtherwise(d, TTTimeDeadline=tag + 50)\n",
        6,
        48,
        "`tag + 50` cannot be computed of `str` and `int`",
        "in `tag, data = stream(...)` the first is the tag",
    ),
    ("from ticktalk.SQs import *\n" + GRAPH, 1, 1, "there is no module `ticktalk.SQs`", "write `import ticktalk`"),
    ("import ticktalkpython.SQs\n" + GRAPH, 1, 1, "there is no module `ticktalkpython.SQs`", "`import ticktalk`"),
    (
        "from ticktalk.Clocks import TTClock as C, x\n" + GRAPH,
        1,
        1,
        "no module `ticktalk.Clocks`",
        "write `from ticktalk import TTClock`",
    ),
    ("from other import SQify\n@SQify\ndef f(x): pass\n@GRAPHify\ndef main(a): return f(a)\n", 5, 21, "not an SQ", ""),
]


@pytest.mark.parametrize(("text", "line", "column", "what", "instead"), FILES, ids=[case[0] for case in FILES])
def test_problems_of_a_file(text, line, column, what, instead):
    with pytest.raises(TTSyntaxError) as caught:
        compile_source(text, "dir/prog.py", "prog")
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.column) == ("dir/prog.py", line, column)
    assert what in problem.what and instead in problem.instead


def test_a_problem_is_printed_with_its_line_and_a_caret():
    with pytest.raises(TTSyntaxError) as caught:
        compile_source("@GRAPHify\ndef main(a):\n\treturn aa\n", "p.py", "p")
    assert str(caught.value) == "p.py:3:9: error: `aa` is not defined\n    \treturn aa\n    \t       ^"


def test_all_problems_are_reported_at_once_and_none_follows_from_another():
    body = (
        "x = missing(a)\ny = f(x)\nfor i in y: z = f(i)\np, q = y\nw = y.attribute + x[0]\nr = f(a, b)\n"
        "while a: v = 1\nf(v)\nwith TTConstraint(5): u = gone\nxs = [*y]\nh(*y)\nf(u) if x else h()\n"
        "xs = [f(t := a) for _ in [0]]\nreturn x, r, t"
    )
    assert [line for line, *_ in problems(body)] == [1, 6, 7, 9, 9, 13]


def test_a_problem_in_an_unrolled_loop_is_reported_once():
    assert len(problems("for i in range(100): f(missing)")) == 1


@pytest.mark.parametrize(
    "expression",
    [
        "10 ** 10 ** 10", "1 << 10 ** 12", "'a' * 10 ** 12", "[1] * 10 ** 9", "list(range(10 ** 9))",
        "f'{1:>9999999999}'",
        "'%9999999999d' % 1", "round(5, -10 ** 9)", "1.5 in range(10 ** 12)", "(1, ) * 10 ** 9",
        "'{:{}}'.format(1, 10 ** 10)",
        "[0 for i in range(10 ** 7)]", "'x'.ljust(10 ** 10)", "2 ** 20000 * 2 ** 20000 * 2 ** 20000",
        "sum([[1]] * 10000, [])",
        "math.factorial(10 ** 9)", "math.comb(10 ** 9, 10 ** 8)", "math.perm(10 ** 9, 10 ** 8)",
        "math.prod(range(1, 100_000))", "math.prod([[1]], start=10 ** 9)", "math.lcm(*range(1, 100_000))",
    ],
)  # fmt: skip
def test_expressions_that_would_take_forever_are_refused(expression):
    (found,) = problems(f"import math\nx = f({expression})")
    assert "too large" in found[2]


@pytest.mark.parametrize(
    "body",
    [
        "x=[a]\nfor i in range(60): x=[x,x]\nreturn x",
        "x=(1,)\nfor i in range(60): x=(x,x)\nreturn x",
        "x=(1,)\nfor i in range(5000): x=(x,)\nreturn x",
        "x=[1]\nfor i in range(5000): x=[x]\nreturn x",
        "x='a'\nfor i in range(60): x=x+x\nreturn x",
        "x=3\nfor i in range(60): x=x*x\nreturn x",
        "for i in range(1000):\n  for j in range(1001): pass",
        "x = " + "f(" * 190 + "a" + ")" * 190,
        "x = " + "-" * 900 + "a",
        "x = " + "-" * 90000 + "a",
        "x = " + "(" * 5000,
        "x = a" + "[0]" * 900,
        "x = " + " + ".join(["a"] * 5000),
    ],
    ids=lambda body: body[:40],
)
def test_large_or_deep_programs_end_in_a_message(body):
    found = problems(body)
    if not found:
        assert sys.version_info >= (3, 14) and " + a" in body, "a long sum is a graph there"
        return
    (problem,) = found
    assert "too" in problem[2]


def test_files_that_are_no_programs_are_refused(tmp_path):
    with pytest.raises(TTError, match="cannot be read: No such file"):
        compile_program(tmp_path / "none.py")
    with pytest.raises(TTError, match="it is a directory"):
        compile_program(tmp_path)
    path = tmp_path / "p.py"
    path.write_bytes(b"x = '\xff\xfe'\n")
    with pytest.raises(TTError, match="not text"):
        compile_program(path)
    path.write_bytes(b"# coding: no-such-coding\n")
    with pytest.raises(TTError, match="not text"):
        compile_program(path)
    path.write_bytes(b"x = 1\0\n")
    with pytest.raises(TTSyntaxError, match="null byte"):
        compile_program(path)


def test_encodings_and_line_ends(tmp_path):
    path = tmp_path / "p.py"
    text = "# coding: latin-1\r\n@GRAPHify\r\ndef main(a):\r\n    return a + 'é' + missing\r\n"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TTSyntaxError) as caught:
        compile_program(path)
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (4, 22)
    path.write_bytes(b"\xef\xbb\xbf@GRAPHify\rdef main(a): return a\r")
    assert compile_program(str(path)).sqs


def test_compiling_runs_nothing(tmp_path):
    path = tmp_path / "p.py"
    path.write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom ticktalk import *\n"
        "@SQify\ndef f(x, y=open('ran', 'w')): pass\n@GRAPHify\ndef main(a): f(a)\n"
    )
    compile_program(path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["p.py"]


def test_an_erroneous_setting_of_a_deadline_gives_no_sq():
    found = problems("x = TTFinishByOtherwise(f(a), TTTimeDeadline=5, TTWillContinue=a)\ny = x.attribute")
    assert [line for line, *_ in found] == [1]


def test_settings_that_a_body_may_give_are_no_problem():
    text = (
        "@STREAMify\ndef s(a, TTPeriod=100000): return 1\n@STREAMify\ndef t(a): return 1\n"
        "@SQify\ndef f(x):\n  def t(y, TTPeriod): return y\n  return s(x, TTPeriod=5) + t(x, TTPeriod=5)\n"
        "@SQify\ndef g(x):\n  from lib import h as t\n  return t(x, TTPeriod=5) + dict(TTPeriod=5)['TTPeriod']\n"
        "t = min\n@SQify\ndef h(x): return t(x, TTPeriod=5)\n"
        "@GRAPHify\ndef main(a): return g(f(h(a)))\n"
    )
    compile_source(text, "p.py", "p")


def test_a_correct_body_has_no_problems():
    assert compiled("return f(a)").sqs


NOTHING = """\
from ticktalk import *
@SQify
def shown(x):
    print(x)
@SQify
def stored(x) -> None:
    print(x)
@SQify
def fails(x):
    raise ValueError
@SQify
def after(x): return 1
@GRAPHify
def main(a):
    after(stored(a))
    after(fails(a))
    shown(a)
    return after(shown(a))
"""


def test_the_result_of_a_function_without_return_is_warned_of_where_it_is_used() -> None:
    with pytest.warns(TTWarning) as told:
        compile_source(NOTHING, "prog.py", "prog")
    (text,) = [str(warning.message) for warning in told]
    assert text.startswith("prog.py:18:18: warning: `shown` returns nothing, so `x` is always None\n")
    assert "write `return` in `shown` (prog.py:3), or `-> None` if that is meant" in text


DOUBTS = [
    ("x = src(a, TTPeriod=100)", 1, 12, "TTPeriod=100 means 100us", "write ms(100), or us(100) if that is meant"),
    ("x = f(a, TTTimeout=20)", 1, 10, "TTTimeout=20 means 20us", "write ms(20)"),
    (
        "tag, x = src(a, TTPeriod=ms(9))\ny = TTFinishByOtherwise(x, TTTimeDeadline=tag + 40)",
        2, 43, "40 added to a tag means 40us", "write ms(40)",
    ),
    (
        "tag, x = src(a, TTPeriod=ms(9))\ny = TTFinishByOtherwise(x, TTTimeDeadline=tag + 0.04)",
        2, 43, "0.04 added to a tag is no whole number of ticks", "write s(0.04) if seconds are meant",
    ),
    (
        "x = TTFinishByOtherwise(f(a), TTTimeDeadline=ms(40))",
        1, 31, "this is a duration: all data is due at tick 40000", "write `tag + ms(40)`",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line", "column", "what", "instead"), DOUBTS)
def test_a_number_whose_unit_may_be_forgotten_is_warned_of(
    body: str, line: int, column: int, what: str, instead: str
) -> None:
    with pytest.warns(TTWarning) as told:
        compiled(body)
    (text,) = [str(warning.message) for warning in told]
    assert f"prog.py:{FIRST_LINE + line - 1}:{column + 4}: warning: " in text and what in text and instead in text


@pytest.mark.parametrize(
    "body",
    [
        "x = src(a, TTPeriod=us(100))",
        "x = src(a, TTPeriod=1000, TTDataIntervalWidth=1)",
        "c = TTClock('c', TTClock.root(), 1000)\nx = src(a, TTPeriod=100, TTClock=c)",
        "tag, x = src(a, TTPeriod=ms(9))\ny = TTFinishByOtherwise(x, TTTimeDeadline=tag + us(40) + 0)",
        "tag, x = src(a, TTPeriod=ms(9))\ny = (x + 40, tag - 1000)",
        "x = TTFinishByOtherwise(f(a), TTTimeDeadline=40)",  # a tick of the root clock
    ],
)
def test_times_with_a_unit_or_not_short_bring_no_warning(body: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled(body)
