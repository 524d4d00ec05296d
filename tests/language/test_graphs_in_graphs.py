"""Graphs that call graphs: their bodies are expanded there."""

import sys

import pytest
from test_modules import outputs

from ticktalk.errors import TTSyntaxError
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_program, compile_source
from ticktalk.language.graphs_in_graphs import deeper_calls

HEAD = """\
from ticktalk import *
@SQify
def average(xs): return sum(xs) / len(xs)
@SQify
def double(x): return 2 * x
@SQify
def add(x, y): return x + y
@STREAMify
def src(trigger): return 1
"""
ROOM = """\
@GRAPHify
def room(a, n=2, sensors=()):
    xs = [double(a) for i in range(n)] + list(sensors)
    return average(xs), xs
"""


def compiled(text: str, graph: str | None = None) -> TTGraph:
    return compile_source(HEAD + text, "prog.py", "prog", None, graph)


def names(text: str) -> list[str]:
    return [sq.name for sq in compiled(text).sqs]


def test_instances_are_named_after_the_calls_of_their_graphs():
    main = """\
@GRAPHify
def main(a):
    x, xs = room(a)
    y, ys = room(a, n=1, TTName='hall')
    return add(x, ys[0])
"""
    assert names(ROOM + main) == [
        "room-1/double-1", "room-1/double-2", "room-1/LIST-1", "room-1/average-1",
        "hall/double-1", "hall/LIST-1", "hall/average-1", "add-1",
    ]  # fmt: skip


def test_values_are_those_of_the_same_functions_in_python(tmp_path):
    main = """\
@GRAPHify
def main(a):
    x, xs = room(a, 3)
    y, _ = room(xs[0], 1, [a, x])
    z = room(y, sensors=[xs[2]])[0]
    return x, y, z
"""
    python = {}
    plain = (HEAD + ROOM + main).replace("from ticktalk import *", "GRAPHify = SQify = STREAMify = lambda f: f")
    exec(plain, python)
    assert outputs(tmp_path, HEAD + ROOM + main)[-1] == list(python["main"](1))


def test_recursion_over_constants(tmp_path):
    text = """\
@GRAPHify
def tree(a, depth):
    if depth == 0:
        return double(a)
    return add(tree(a, depth - 1), tree(a, depth=depth - 1))
@GRAPHify
def chain(a, n): return a if n == 0 else chain(double(a), n - 1)
@GRAPHify
def main(a): return tree(a, 4), chain(a, 150)
"""
    assert outputs(tmp_path, HEAD + text) == [[32, 2**150]]


def test_recursion_without_an_end_is_reported_at_the_call_in_it():
    text = "@GRAPHify\ndef inner(x, k): return inner(x, k + 1)\n@GRAPHify\ndef main(a): return inner(a, 0)\n"
    with pytest.raises(TTSyntaxError, match=r"prog.py:11:25: error: `inner` is expanded more than 200 times"):
        compiled(text)


def test_forms_of_python_in_called_graphs(tmp_path):
    text = """\
@GRAPHify
def early(x, flag=False):
    if flag:
        return x
    for i in range(3):
        if i == 1:
            return double(x)
    return -x
@GRAPHify
def pairs(x): return {"a": double(x), "b": (x, double(x))}
@GRAPHify
def main(x):
    a = [add(early(x), i) for i in range(3)]
    args = [x, average(a)]
    y = early(*args[:1], **{"flag": True})
    z = early(x) if x > 2 else early(x, flag=True)
    early(y)
    return y, z, pairs(x)["a"], early(early(early(x))), average(a)
"""
    # By hand: early(3) is 6; a is 6, 7, 8.
    assert outputs(tmp_path, HEAD + text, "--input", "x=3")[-1] == [3, 6, 6, 24, 7.0]
    assert outputs(tmp_path, HEAD + text, "--input", "x=1")[-1] == [1, 1, 2, 8, 3.0]


def test_constraints_and_deadlines_around_a_graph_hold_inside():
    text = """\
@GRAPHify
def inner(x): return double(x)
@GRAPHify
def main(a):
    k = 7
    s = src(a, TTPeriod=100)
    with TTConstraint(name="edge"):
        with TTClock.root() as c, TTPlanB(add(s, k)), TTDeadline(c, 10):
            y = inner(s)
    return y
"""
    graph = compiled(text)
    assert [sq.name for sq in graph.sqs] == [
        "src-1",
        "inner-1/double-1",
        "inner-1/add-1",
        "inner-1/TTFinishByOtherwise-1",
    ]
    assert all(sq.constraints for sq in graph.sqs[1:])


def test_a_graph_in_one_branch_of_a_condition(tmp_path):
    text = """\
@GRAPHify
def inner(x):
    xs = []
    xs.append(double(x))
    return average(xs)
@GRAPHify
def main(a): return inner(a) if a > 5 else double(double(a))
"""
    assert outputs(tmp_path, HEAD + text) == [4]
    assert outputs(tmp_path, HEAD + text, "--input", "a=6") == [12.0]


def test_the_tag_of_a_stream_that_a_graph_returns():
    inner = "@GRAPHify\ndef inner(x): return src(x, TTPeriod=100)\n"
    graph = compiled(inner + "@GRAPHify\ndef main(a):\n    tag, data = inner(a)\n    return add(tag, data)\n")
    assert [arc.kind for arc in graph.sqs[0].arcs] == ["tag", "value"]


def test_which_graph_is_the_programs():
    text = "@GRAPHify\ndef inner(x): return double(x)\n@GRAPHify\ndef main(a): return inner(a)\n"
    assert names(text) == ["inner-1/double-1"]
    assert [sq.name for sq in compiled(text, "inner").sqs] == ["double-1"]
    with pytest.raises(TTSyntaxError, match=r"no graph `iner`(.|\n)*did you mean `inner`"):
        compiled(text, "iner")
    with pytest.raises(TTSyntaxError, match=r"no graph `other`(.|\n)*it has inner, main"):
        compiled(text, "other")
    with pytest.raises(TTSyntaxError, match="`b` is a second graph"):
        compiled("@GRAPHify\ndef a(x): return x\n@GRAPHify\ndef b(x): return x\n")
    with pytest.raises(TTSyntaxError, match="--graph NAME"):
        compiled("@GRAPHify\ndef a(x): return b(x)\n@GRAPHify\ndef b(x): return a(x)\n")


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("    return inner(a, 1)", 14, "takes 1 argument"),
        ("    return inner()", 14, "`inner` is missing `x`"),
        ("    return inner(a, TTPersistent=True)", 14, "no parameter `TTPersistent`"),
        ("    return TTSingleRunTimeout(inner(a), TTTimeout=5)", 14, "takes a call such as"),
        ("    return add(inner, a)", 14, "`inner` is not a value"),
        ("    inner(a, TTName='x')\n    inner(a, TTName='x')", 15, "two graphs are called `x`"),
    ],
)
def test_problems_of_calls_of_graphs(body, line, what):
    text = "@GRAPHify\ndef inner(x): return double(x)\n@GRAPHify\ndef main(a):\n"
    with pytest.raises(TTSyntaxError) as caught:
        compiled(text + body)
    (problem,) = [problem for problem in caught.value.problems if not problem.harmless]
    assert problem.line == line and what in problem.what


def test_a_graph_of_another_module(tmp_path):
    (tmp_path / "rooms.py").write_text(
        HEAD + "N = 2\n" + ROOM.replace("n=2", "n=N") + "@GRAPHify\ndef one(a): return double(a)\n"
    )
    (tmp_path / "prog.py").write_text(
        "from ticktalk import *\nfrom rooms import room, one\n"
        "@GRAPHify\ndef main(a):\n    x, _ = room(a)\n    return x\n"
    )
    graph = compile_program(tmp_path / "prog.py")
    assert graph.sqs[-1].name == "room-1/average-1"
    assert graph.sqs[0].file == "rooms.py"
    assert compile_program(tmp_path / "prog.py", "one").sqs[0].name == "double-1"


def test_the_limit_of_calls_is_as_before_when_two_threads_have_expanded_graphs():
    before = sys.getrecursionlimit()
    one, other = deeper_calls(), deeper_calls()  # of two threads, one after the other
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert sys.getrecursionlimit() > before
    other.__exit__(None, None, None)
    assert sys.getrecursionlimit() == before
