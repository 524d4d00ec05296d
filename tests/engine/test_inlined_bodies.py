"""Bodies that stand in the code of a plan, against the general engine, which calls them.

The same outputs, prints, errors with their tracebacks, counters, in the same order (`same`).
"""

from __future__ import annotations

import signal
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_plans import at_once, run, same

from ticktalk.accelerate import chosen, handover, loops
from ticktalk.accelerate.chosen import body_in, is_plain
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source

pytestmark = pytest.mark.filterwarnings("ignore::ticktalk.errors.TTWarning", "ignore::SyntaxWarning")
"""Bodies here do what they should not, and lack names."""

HEADER = """\
from math import sqrt
import math
from ticktalk import GRAPHify, SQify, STREAMify, TTEmpty

GAIN = 3
TABLE = [1, 2]


@STREAMify
def src(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n


@SQify
def show(x):
    print(x)
    return x


def helped(x):
    return x + 1


"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)


def program(functions: str, body: str) -> TTGraph:
    """A program of these functions, and a graph of these lines."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return compile_source(f"{HEADER}{functions}\n\n@GRAPHify\ndef prog(trigger):\n{lines}", "prog.py", "prog")


def inlined(graph: TTGraph, **how: Any) -> set[str]:
    """The SQs whose bodies stand in the code at the end of a run, which does the `same` as one with calls."""
    last: dict[int, set[str]] = {}
    bind = handover.Handover.bind

    def bound(self: handover.Handover, trace: Any) -> None:
        bind(self, trace)
        if not trace.absent:
            last[id(trace.plan)] = {trace.events[body.place].part.sq.name for body in trace.code.bodies}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handover.Handover, "bind", bound)
        same(graph, **how)
    return set().union(*last.values())


BESIDE = "show(src(trigger, TTPeriod=5))\n"
"""Another part of the graph."""

IN_PLACE = {
    "a constant": "return 7",
    "nothing": "pass",
    "an absent result": "return TTEmpty()",
    "a choice": "return x if x % 3 else TTEmpty()",
    "choices in choices": "return x if x % 3 else TTEmpty() if x % 2 else -x",
    "a choice of a constant": "return 'odd' if x % 2 else x",
    "a parameter that is bound anew": "x = x + 1\n    x += 2\n    return x * k",
    "a default": "return x + k",
    "early returns": "if x == 3:\n        return 0\n    if x % 2:\n        y = x * 2\n    else:\n        return 1\n"
    "    return y",
    "nested choices": "if x % 2:\n        if x % 3:\n            return 1\n        y = 5\n    else:\n        y = 6\n"
    "    return y + x",
    "a state": "global sq_state\n    n = sq_state['n'] = sq_state.get('n', 0) + x\n    return n",
    "a state that holds lists": "global sq_state\n    sq_state.setdefault('all', []).append(x)\n"
    "    return len(sq_state['all'])",
    "a state that loses items": "global sq_state\n    sq_state[x % 3] = x\n    if len(sq_state) == 3:\n"
    "        del sq_state[1]\n    return len(sq_state)",
    "a loop": "s = 0\n    for i in range(x % 5):\n        if i == 3:\n            break\n        s += i\n    else:\n"
    "        s += 100\n    return s",
    "a while loop": "s = x\n    while s > 3:\n        s //= 2\n        if s == 4:\n            continue\n    else:\n"
    "        s -= 1\n    return s",
    "several targets": "a, b = x, x + 1\n    (c, d), e = (a, b), 3\n    return f'{a} {b:>4} {c!r} {d} {e}'",
    "a constant of the module": "return x * GAIN",
    "a function of a module": "return sqrt(x) + math.floor(x / 2)",
    "a local name of a function": "sum = x + 1\n    len = sum * 2\n    return len",
    "an error": "return 10 // (x % 3)",
    "an error in the middle": "y = [x,\n         x // (x % 2)]\n    return y[0]",
    "an error that is raised": "if x % 4 == 2:\n        raise ValueError(\n            f'no {x}')\n    return x",
    "an error from another": "if x % 4 == 2:\n        raise KeyError(x) from ValueError(1)\n    return x",
    "an assertion": "assert x % 5, 'not five'\n    return x",
    "an error of a method": "return 'abc'.index(str(x))",
    "an error of unpacking": "a, b = 'abc'[: x % 4]\n    return a",
    "an annotation": "y: int = x + 1\n    z: float\n    z = y / 2\n    return z",
    "is None": "y = None if x % 2 else x\n    return 0 if y is None else y",
}
"""Bodies that stand in the code of a plan."""

CALLED = {
    "a value of the module": "TABLE.append(x)\n    return len(TABLE)",
    "a function of the program": "return helped(x)",
    "a comprehension": "return sum([i for i in range(x % 5)])",
    "a lambda": "return (lambda y: y + x)(1)",
    "a nested function": "def inner():\n        return x\n    return inner()",
    "a binding within an expression": "return (y := x + 1) * y",
    "a name that may be unbound": "if x % 2:\n        y = 1\n    return y",
    "a name that is unbound": "y = 1\n    del y\n    return y",
    "a name of a loop that may be unbound": "for i in range(x % 2):\n        pass\n    return i",
    "an unknown name": "return unknown",
    "a return within a loop": "for i in range(9):\n        if i * i > x:\n            return i\n    return 0",
    "an error that is caught": "try:\n        return 1 // (x % 2)\n    except ZeroDivisionError as error:\n"
    "        return str(error)",
    "a new state": "global sq_state\n    sq_state = {'n': sq_state.get('n', 0) + x}\n    return sq_state['n']",
    "a changed constant": "global GAIN\n    GAIN += 1\n    return GAIN",
    "an absent result as a value": "y = TTEmpty()\n    return y if x % 2 else x",
    "an exception's name that ends": "raise SystemExit(3)",
    "an error that ends generators": "raise GeneratorExit(x) if x % 2 else StopIteration(x)",
    "a print": "print('at', x)\n    return x",
    "attributes of attributes": "return x.__class__.__name__",
    "too many returns": "if x == 1:\n        return 1\n    if x == 2:\n        return 2\n"
    "    if x == 3:\n        return 3\n    if x == 4:\n        return 4\n    return 5",
    "one object or another": "y = 'a'\n    return y is x",
    "another meaning of an absent result": "TTEmpty = list\n    return TTEmpty()",
    "imports": "import os\n    return os.sep",
    "a builtin that runs code": "return eval('x + 1')",
    "what Python warns of where it runs": "return ~(x > 3)",
    "a long chain of choices": "y = 0\n    if x == 0:\n        y = 1\n"
    + "".join(f"    elif x == {n}:\n        y = {n}\n" for n in range(1, 300))
    + "    return y",
    "a long sum": f"return {' + '.join(['x'] * 900)}",
}
"""Bodies that are called."""


@pytest.mark.parametrize("apart", [False, True], ids=["whole", "apart"])
@pytest.mark.parametrize("name", [*IN_PLACE, *CALLED])
def test_a_body_does_the_same_in_place(name: str, apart: bool) -> None:
    body = (IN_PLACE | CALLED)[name]
    graph = program(f"@SQify\ndef body(x, k=2):\n    {body}\n", f"{BESIDE}return show(body(src(trigger, TTPeriod=10)))")
    assert ("body-1" in inlined(graph, until=150, apart=apart)) == (name in IN_PLACE)


@pytest.mark.parametrize("name", CALLED)
def test_a_drawing_shows_calls_where_bodies_are_called(name: str) -> None:
    graph = program(f"@SQify\ndef body(x, k=2):\n    {CALLED[name]}\n", "return body(src(trigger, TTPeriod=10))")
    (sq,) = [sq for sq in graph.sqs if sq.name == "body-1"]
    assert body_in(graph, sq) is None


ARGUMENTS = """
@SQify
def body(x, y, *, k=2, g=GAIN):
    y += k
    return x * 100 + y * 10 + g
"""


@pytest.mark.parametrize("call", ["body(x, 3)", "body(4, x)", "body(x, y=x, k=7)", "body(x, x, g=2.5)", "body(x, [1])"])
def test_constants_and_defaults(call: str) -> None:
    graph = program(ARGUMENTS, f"x = src(trigger, TTPeriod=10)\nreturn {call}")
    assert ("body-1" in inlined(graph)) == ("[1]" not in call)


def test_a_tag_as_an_argument() -> None:
    functions = "@SQify\ndef body(t, x):\n    return t + x\n\n\n@SQify\ndef bound(t):\n    t += 1\n    return t\n"
    graph = program(functions, "t, x = src(trigger, TTPeriod=10)\nreturn body(t, x), bound(t), x")
    assert {"body-1", "bound-1"} <= inlined(graph)


def test_an_annotation_may_name_an_absent_result() -> None:
    function = "@SQify\ndef body(x) -> int | TTEmpty:\n    return TTEmpty() if x % 2 else x\n"
    assert "body-1" in inlined(program(function, f"{BESIDE}return body(src(trigger, TTPeriod=10))"))


DECORATED = """
def named(function):
    function.__name__ = "other"
    return function


@SQify
@named
def body(x):
    return 1 // (x % 2)
"""


def test_an_error_of_a_function_whose_decorator_names_it() -> None:
    assert "body-1" in inlined(program(DECORATED, "return body(src(trigger, TTPeriod=10))"))


@pytest.mark.parametrize(
    "line", ["assert (x, 'always')", "y = 5 [x] if x > 99 else x", "y = '\\d'", "y = 1if x else 0"]
)
def test_a_warning_of_the_compiler_names_its_place(line: str) -> None:
    graph = program(f"@SQify\ndef body(x):\n    {line}\n    return x\n", "return body(src(trigger, TTPeriod=10))")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert "body-1" not in inlined(graph)
    files = [warning.filename for warning in told]
    assert "prog.py" in files and not {"<generated>", "<unknown>"} & {*files}


def test_a_warning_that_is_told_once_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "TICKS_BEFORE", 6)
    function = "@SQify\ndef body(x):\n    warnings.warn('odd')\n    return x\n"
    graph = program(f"import warnings\n\n\n{function}", f"{BESIDE}return body(src(trigger, TTPeriod=10))")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        run(graph, True)
    assert [str(warning.message) for warning in told] == ["odd"]


STRANGE = """
class Odd:
    def __add__(self, other):
        return 5
    def __mod__(self, other):
        return 0


@SQify
def strange(x):
    return {kind} if x in (4, 9) else x


@SQify
def after(x):
    global sq_state
    sq_state["last"] = x
    y = x + x
    return 1 if y else 2


@SQify
def once_more(x):
    return TTEmpty() if x % 2 else x
"""


@pytest.mark.parametrize("apart", [False, True], ids=["whole", "apart"])
@pytest.mark.parametrize("kind", ["[x]", "Odd()", "(x, x)", "np.float64(x)", "np.arange(2)", "{1: x}", "None", "''"])
def test_other_values_are_given_to_calls(kind: str, apart: bool) -> None:
    text = "import numpy as np\n\n" + STRANGE.replace("{kind}", kind)
    graph = program(text, f"{BESIDE}x = strange(src(trigger, TTPeriod=10))\nreturn show(after(x)), once_more(x)")
    found = inlined(graph, until=170, apart=apart)
    assert ("after-1" in found) == (kind in ("None", "''"))


def test_a_value_from_before_the_period() -> None:
    # The slower stream's token waits at the join while the faster one's come.
    text = STRANGE.replace("{kind}", "[x]") + "\n\n@SQify\ndef both(a, b):\n    return f'{a} {b}'\n"
    graph = program(
        text,
        """
x = strange(src(trigger, TTPeriod=30, TTDataIntervalWidth=30))
y = strange(src(trigger, TTPeriod=10, TTPhase=5))
return both(x, y)""",
    )
    assert "both-1" not in inlined(graph, until=600, slices=4)


def test_a_period_holds_so_many_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = program(
        "@SQify\ndef body(x):\n    return 1 // (x % 3)\n",
        "return body(src(trigger, TTPeriod=2)), body(src(trigger, TTPeriod=20))",
    )
    assert {"body-1", "body-2"} <= inlined(graph)
    monkeypatch.setattr(chosen, "MOST_IN_PLACE", 100)  # those of src come first
    assert "src-1" in (found := inlined(graph)) and "body-2" not in found


def test_an_error_of_a_function_of_that_name() -> None:
    graph = program("@SQify\ndef error(x):\n    return 1 // (x % 3)\n", "return error(src(trigger, TTPeriod=10))")
    assert "error-1" in inlined(graph)


def test_a_state_that_holds_other_values_is_for_calls() -> None:
    text = """
class Mean:
    total = 0
    def add(self, x):
        self.total += x
        return self.total


@SQify
def mean(x):
    global sq_state
    return sq_state["mean"].add(x)


@SQify
def begin(x):
    global sq_state
    if "mean" not in sq_state:
        sq_state["mean"] = Mean()
    return sq_state["mean"].add(x)
"""
    graph = program(text, "x = src(trigger, TTPeriod=10)\nreturn begin(x), mean(x)")
    assert not {"begin-1"} & inlined(graph)


@pytest.mark.parametrize("first", ["a0_0", "helped(a0_0)"])
def test_parameters_that_are_named_as_in_the_code(first: str) -> None:
    text = f"@SQify\ndef body(a0_0, *, f9, a1_0=2, hand0, n1):\n    return [{first}, f9, hand0, n1]\n"
    graph = program(text, "x = src(trigger, TTPeriod=10)\nreturn show(body(x, f9=3, hand0=x, n1=x))")
    assert ("body-1" in inlined(graph)) == (first == "a0_0")


def test_a_function_of_python_that_a_program_has_changed_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "@SQify\ndef body(x):\n    return oct(x)\n\n\n@SQify\ndef root(x):\n    return math.sqrt(x)\n"
    graph = program(text, "x = src(trigger, TTPeriod=10)\nreturn body(x), root(x)")
    assert {"body-1", "root-1"} <= inlined(graph)
    monkeypatch.setattr("builtins.oct", lambda x: f"{x}")
    monkeypatch.setattr("math.cos", lambda x: x)  # the module is another one now
    assert {"body-1", "root-1"}.isdisjoint(inlined(graph))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (1, True),
        ("a", True),
        ([1, (2.5, {"a": {3}})], True),
        ({"a": [None] * 40}, True),
        ([0] * 65, False),
        ([[0] * 40, [0] * 40], False),
        (np.float64(1), False),
        ([np.float64(1)], False),
        ({np.int64(1): 1}, False),
        ([int], False),
        (type("L", (list,), {})(), False),
    ],
)
def test_plain_values(value: Any, plain: bool) -> None:
    assert is_plain([value]) == plain


def test_a_list_that_holds_itself_is_not_plain() -> None:
    held: list[Any] = []
    held.append(held)
    assert not is_plain([held])


def test_a_tracer_sees_calls() -> None:
    seen: list[str] = []

    def follow(frame: Any, event: str, arg: Any) -> None:
        if event == "call" and frame.f_code.co_filename == "prog.py":
            seen.append(frame.f_code.co_name)

    graph = program("@SQify\ndef body(x):\n    return x + 1\n", "return body(src(trigger, TTPeriod=10))")
    run(graph, True)
    before = sys.gettrace()
    sys.settrace(follow)
    try:
        run(graph, True)
    finally:
        sys.settrace(before)
    assert seen.count("body") == seen.count("src") == 6


def test_a_profiler_that_begins_meanwhile_sees_calls_from_then_on() -> None:
    seen: list[str] = []

    def watch(manager: Any) -> None:
        manager.on_output(lambda token: sys.setprofile(lambda frame, event, arg: seen.append(frame.f_code.co_name)))

    graph = program("@SQify\ndef body(x):\n    return x + 1\n", "return body(src(trigger, TTPeriod=10))")
    before = sys.getprofile()
    try:
        run(graph, True, watch=watch)
    finally:
        sys.setprofile(before)
    assert "body" in seen


def test_the_users_ctrl_c_ends_it_in_place() -> None:
    graph = program(
        "@SQify\ndef body(x):\n    while x > 3:\n        x = x\n    return x\n",
        "return body(src(trigger, TTPeriod=10))",
    )

    before = signal.signal(signal.SIGVTALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.2, 2)  # again, where the first one is lost
        with pytest.raises(KeyboardInterrupt):
            run(graph, True)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# Bodies by chance.

NAMES = ["x", "y", "k", "a", "b", "sum", "GAIN"]


def expressions(depth: int) -> st.SearchStrategy[str]:
    """Expressions of numbers, mostly."""
    leaves = st.sampled_from([*NAMES, "x", "x", "1", "2", "0", "2.5", "'t'", "sq_state.get('n', 0)", "len(sq_state)"])
    if not depth:
        return leaves
    inner = expressions(depth - 1)
    return st.one_of(
        leaves,
        st.builds("({} {} {})".format, inner, st.sampled_from(["-", "//", "%", "<", "==", "and", "or"]), inner),
        st.builds("({} + {} % 7)".format, inner, inner),  # so that no text grows from firing to firing
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("abs({})".format, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("[{}, {}][{} % 3]".format, inner, inner, inner),
        st.builds("f'{{{}}}'".format, st.sampled_from(NAMES)),
    )


@st.composite
def blocks(draw: st.DrawFn, depth: int, loop: bool = False) -> list[str]:
    """Statements of a body."""
    lines: list[str] = []

    def under(head: str, inner: bool = loop) -> None:
        lines.extend([head, *("    " + line for line in draw(blocks(depth - 1, inner)))])

    kinds = ["set", "set", "set", "add", "keep", "lose", "return", "raise", "leave", "unpack", "empty"]
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(kinds + (["if", "if", "for", "while"] if depth else [])))
        value = draw(expressions(2))
        name = draw(st.sampled_from(["x", "y", "a", "b", "sum"]))

        if kind == "set":
            lines.append(f"{name} = {value}")
        elif kind == "add":
            lines.append(f"{name} += {value} % 7")
        elif kind == "unpack":
            lines.append(f"{name}, b = {value}, {name}")
        elif kind == "keep":
            lines.append(f"sq_state['n'] = {value}")
        elif kind == "lose":
            lines.append("del sq_state['n']")
        elif kind == "return":
            lines.append(f"return {value}")
        elif kind == "empty":
            lines.append(draw(st.sampled_from(["return TTEmpty()", f"return TTEmpty() if {value} else {name}"])))
        elif kind == "raise":
            lines.append(f"raise ValueError({value})")
        elif kind == "leave" and loop:
            lines.append(draw(st.sampled_from(["break", "continue"])))
        elif kind == "if":
            under(f"if {value}:")
            if draw(st.booleans()):
                under("else:")
        elif kind == "for":
            under(f"for {name} in range(3):", True)
            if draw(st.booleans()):
                under("else:")
        elif kind == "while":
            lines += [f"w{depth} = 0", f"while w{depth} < 3:", f"    w{depth} += 1"]
            lines.extend("    " + line for line in draw(blocks(depth - 1, True)))
            if draw(st.booleans()):
                under("else:")
    return lines or ["pass"]


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """A program of a few SQs with bodies by chance."""
    functions, lines, values = [], [BESIDE.strip(), "x0 = src(trigger, TTPeriod=10)"], ["x0"]
    for number in range(draw(st.integers(1, 3))):
        block = ["global sq_state", *draw(blocks(2))]
        block += draw(st.sampled_from([["return x"], ["return y * 2"], [f"return {draw(expressions(2))}"], []]))
        functions.append(f"@SQify\ndef f{number}(x, y, k=2):\n" + "".join(f"    {line}\n" for line in block))
        given = [draw(st.sampled_from(values)) for _ in range(2)]
        given[1] = draw(st.sampled_from([given[1], given[1], "3"]))
        lines.append(f"x{number + 1} = f{number}({', '.join(given)})")
        values.append(f"x{number + 1}")
    functions.append("@SQify\ndef tell(x):\n    print(repr(x))\n    return TTEmpty()\n")
    lines += [f"tell({value})" for value in values[1:]]
    graph = "@GRAPHify\ndef prog(trigger):\n" + "".join(f"    {line}\n" for line in lines)
    return HEADER + "\n".join(functions) + "\n" + graph


@settings(max_examples=40)
@given(bodies(), st.booleans())
def test_bodies_by_chance(text: str, apart: bool) -> None:
    same(compile_source(text, "prog.py", "prog"), until=100, apart=apart)
