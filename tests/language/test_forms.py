"""Every form of a graph body compiles to the SQs and arcs that the language page says."""

import pytest
from snippets import FIRST_LINE, STREAM, compiled, drawn

from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTArc, TTConstraintSpec, TTDestination
from ticktalk.language.compiler import compile_source


def forms(*table: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("body", "expected"), table, ids=[body for body, _ in table])


def check(body: str, expected: str) -> TTGraph:
    graph = compiled(body)
    assert drawn(graph) == expected.split("; ") if expected else not graph.sqs
    return graph


@forms(
    ("x = a + b", "ADD-1(a, b)*"),
    ("x = a - 1", "SUB-1(a, 1)*"),
    ("x = 2 * a", "MULT-1(2, a)*"),
    ("x = a / b", "DIV-1(a, b)*"),
    ("x = a // b", "FLOORDIV-1(a, b)*"),
    ("x = a % b", "MOD-1(a, b)*"),
    ("x = a ** b", "POW-1(a, b)*"),
    ("x = -a", "NEG-1(a)*"),
    ("x = +a", "POS-1(a)*"),
    ("x = ~a", "INVERT-1(a)*"),
    ("x = not a", "NOT-1(a)*"),
    ("x = a and b and 3", "AND-1(a, b, 3)*"),
    ("x = a or b", "OR-1(a, b)*"),
    ("x = a or b and a", "AND-1(b, a); OR-1(a, AND-1)*"),
    ("x = a & b", "BITAND-1(a, b)*"),
    ("x = a | b", "BITOR-1(a, b)*"),
    ("x = a ^ b", "BITXOR-1(a, b)*"),
    ("x = a << 2", "LSHIFT-1(a, 2)*"),
    ("x = a >> 2", "RSHIFT-1(a, 2)*"),
    ("x = a == b", "EQ-1(a, b)*"),
    ("x = a != b", "NEQ-1(a, b)*"),
    ("x = a < b", "LT-1(a, b)*"),
    ("x = a <= b", "LTE-1(a, b)*"),
    ("x = a > b", "GT-1(a, b)*"),
    ("x = a >= b", "GTE-1(a, b)*"),
    ("x = a is None", "IS-1(a, None)*"),
    ("x = a is not b", "ISNOT-1(a, b)*"),
    ("x = a in (1, 2)", "IN-1(a, (1, 2))*"),
    ("x = a not in b", "NOTIN-1(a, b)*"),
    ("x = a < b <= 7", "LT-1(a, b); LTE-1(b, 7); AND-1(LT-1, LTE-1)*"),
    ("x = 1 < 2 < a", "LT-1(2, a); AND-1(True, LT-1)*"),
    ("x = a[0]", "GETITEM-1(a, 0)*"),
    ("x = a[b]", "GETITEM-1(a, b)*"),
    ("x = a[1:2]", "GETITEM-1(a, slice(1, 2, None))*"),
    ("x = a[1:b]", "GETITEM-1(a, 1, b, None)*"),
    ("x = a[::2, 1:]", "GETITEM-1(a, (slice(None, None, 2), slice(1, None, None)))*"),
    ("x = (1, 2, 3)[a]", "GETITEM-1((1, 2, 3), a)*"),
    ("x = [1, 2][a]", "GETITEM-1([1, 2], a)*"),
    ("x = (a, b, 1)", "TUPLE-1(a, b, 1)*"),
    ("return [a, b]", "LIST-1(a, b)*"),
    ("x = {'k': a, b: 1}", "DICT-1('k', a, b, 1)*"),
    ("x = {a, 1}", "SET-1(a, 1)*"),
    ("x = (a + b) * (a - b) / 2", "ADD-1(a, b); SUB-1(a, b); MULT-1(ADD-1, SUB-1); DIV-1(MULT-1, 2)*"),
    ("x = {i: f(a) for i in range(2)}", "f-1(a); f-2(a); DICT-1(0, f-1, 1, f-2)*"),
    ("x = {f(a) for i in range(2)}", "f-1(a); f-2(a); SET-1(f-1, f-2)*"),
)
def test_operators_and_displays(body, expected):
    check(body, expected)


def test_a_slice_with_arcs_is_marked_as_one():
    sq = compiled("x = a[1:b]").sqs[0]
    assert sq.instruction == {"slice": True}
    assert [port.name for port in sq.ports] == ["value", "lower", "upper", "step"]


@forms(
    ("x = f(a)", "f-1(a)*"),
    ("f(a)", "f-1(a)*"),
    ("x = f(f(a))", "f-1(a); f-2(f-1)*"),
    ("x = g(a, b)", "g-1(a, b)*"),
    ("x = g(y=a, x=b)", "g-1(b, a)*"),
    ("x = g(a, b, k=3)", "g-1(a, b)*"),
    ("x = g(a, 5)", "g-1(a, 5)*"),
    ("x = g(*[a, b])", "g-1(a, b)*"),
    ("x = g(a, **{'y': 2, 'k': 3})", "g-1(a, 2)*"),
    ("x = h()", "h-1(!a)*"),
    ("f = f(a)", "f-1(a)*"),
    ("MIN = MIN(a, b)", "MIN-1(a, b)*"),
    ("x = f(7)", "f-1(7, !a)*"),
    ("x = ADD(1, 2)", "ADD-1(1, 2, !a)*"),
    ("x = a\nx = f(x)\nx = f(x)\nreturn x", "f-1(a); f-2(f-1)*"),
    ("return a", "RETURN-1(a)*"),
    ("return 5", "RETURN-1(5, !a)*"),
    ("return None", "RETURN-1(None, !a)*"),
    ("return [1, [2]]", "RETURN-1([1, [2]], !a)*"),
    ("return a, b", "TUPLE-1(a, b)*"),
    ("return", ""),
    ("f(a)\nreturn f(b)", "f-1(a)*; f-2(b)*"),
    ("return f(a)\nf(b)", "f-1(a)*"),
    ("x = f(a)\nf(x)\nreturn x", "f-1(a)*; f-2(f-1)*"),
    ("pass\n'text'\nx: int = f(a)\ny: int", "f-1(a)*"),
    ("x = f(a)\nx += 1", "f-1(a); ADD-1(f-1, 1)*"),
    ("x = y = f(a)\ng(x, y)", "f-1(a); g-1(f-1, f-1)*"),
)
def test_calls_and_returns(body, expected):
    check(body, expected)


def test_a_compile_time_parameter_is_no_port():
    sq = compiled("x = g(a, b, (1, 2))").sqs[0]
    assert sq.parameters == {"k": {"tuple": [1, 2]}}
    assert [port.name for port in sq.ports] == ["x", "y"]
    assert (sq.body, sq.function, sq.line) == (True, "g", FIRST_LINE)


@forms(
    ("p, q = two(a)", "two-1(a)*"),
    ("p, q = two(a)\ng(p, q)", "two-1(a); g-1(two-1[0], two-1[1])*"),
    ("p, (q, r) = two(a)\ng(p, r)", "two-1(a)*; g-1(two-1[0], two-1[1][1])*"),
    ("y = two(a)\np, q = y\ng(p, y)", "two-1(a)*; g-1(two-1[0], two-1)*"),
    ("p, q = a\nf(p)", "UNPACK-1(a)*; f-1(UNPACK-1[0])*"),
    ("p, q = two(a)\nr, s = p", "two-1(a)*; UNPACK-1(two-1[0])*"),
    ("p, q = a, b\np, q = q, p\ng(p, q)", "g-1(b, a)*"),
    ("p, *q = [a, b, 1]\ng(p, q)", "LIST-1(b, 1); g-1(a, LIST-1)*"),
    ("p, q = 1, 2\nf(p + q)", "f-1(3, !a)*"),
    ("p, q = 'xy'\nf(q)", "f-1('y', !a)*"),
)
def test_unpacking(body, expected):
    check(body, expected)


def test_arcs_are_named_by_the_program():
    graph = compiled("p, (q, r) = two(a)\nx = y = f(p)")
    two, f = graph.sqs
    assert two.unpack == [None, [None, None]]
    assert two.arcs == [
        TTArc("p", path=(0,), to=[TTDestination("f-1", 0)]),
        TTArc("q", path=(1, 0), output=True),
        TTArc("r", path=(1, 1), output=True),
    ]
    assert f.arcs == [TTArc("x", output=True)]


def test_the_whole_value_keeps_its_arc_beside_its_elements():
    (sq,) = compiled("y = two(a)\np, q = y\nreturn y").sqs
    assert [(arc.path, arc.output) for arc in sq.arcs] == [((), True), ((0,), True), ((1,), True)]


@forms(
    (STREAM + "f(s)", "src-1(~a); f-1(src-1)*"),
    (STREAM + "g(s, b)", "src-1(~a); g-1(src-1, ~b)*"),
    (STREAM + "g(s, 1)", "src-1(~a); g-1(src-1, 1)*"),
    (STREAM + "g(f(s), f(s))", "src-1(~a); f-1(src-1); f-2(src-1); g-1(f-1, f-2)*"),
    (STREAM + "MERGE(s, b)", "src-1(~a); MERGE-1(src-1, b)*"),
    ("s = src(1, TTPeriod=5)", "src-1(1, !~a)*"),
    ("tag, d = src(a, TTPeriod=5)", "src-1(~a)*"),
    ("tag, d = src(a, TTPeriod=5)\nf(tag)", "src-1(~a)*; f-1(src-1.tag)*"),
    ("tag, (p, q) = src(a, TTPeriod=5)\ng(tag, q)", "src-1(~a)*; g-1(src-1.tag, src-1[1])*"),
    ("s = src(a, TTPeriod=5)\np, q = s", "src-1(~a)*"),
)
def test_streams(body, expected):
    check(body, expected)


def test_sqs_behind_a_stream_are_streams():
    graph = compiled(STREAM + "x = f(s)\ny = count(s)\nz = count(a)\ntag, d = src(b, TTPeriod=9)\nw = f(tag)")
    src, x, y, z, _, w = graph.sqs
    assert [sq.stream for sq in (src, x, y, z, w)] == [True, True, True, False, True]
    assert (src.firing_rule, x.firing_rule) == ("TimedRetrigger", "Timed")
    assert (y.firing_rule, z.firing_rule) == ("SequentialRetrigger", "Timed")
    assert (y.stateful, z.stateful, x.stateful) == (True, True, False)
    assert [sq.rank for sq in graph.sqs] == [0, 1, 1, 0, 0, 1]


def test_only_stateful_arrivals_drop_tokens_that_go_back_in_time():
    text = (
        "@STREAMify\ndef s(x):\n  global sq_state\n  return x\n@SQify\ndef c(x):\n  global sq_state\n  return x\n"
        "@GRAPHify\ndef main(a):\n  x = s(a, TTPeriod=5)\n  s(x, TTPeriod=5)\n"
        "  TTFinishByOtherwise(c(x), TTTimeDeadline=5, TTPlanB=c(x))\n"
    )
    graph = compile_source(text, "p.py", "p")
    assert [sq.order for sq in graph.sqs] == ["any", "any", "forward", "any", "any"]


def test_a_deadline_ranks_above_its_plan_b():
    graph = compiled("x = TTFinishByOtherwise(a, TTTimeDeadline=5, TTPlanB=f(f(f(b))))")
    assert [sq.rank for sq in graph.sqs] == [0, 1, 2, 3]


def test_an_unused_tag_is_no_arc_and_a_returned_one_is_an_output():
    assert [arc.kind for arc in compiled("tag, d = src(a, TTPeriod=5)").sqs[0].arcs] == ["value"]
    (sq,) = compiled("tag, d = src(a, TTPeriod=5)\nreturn tag").sqs
    assert [(arc.name, arc.kind, arc.output) for arc in sq.arcs] == [("tag", "tag", True), ("d", "value", True)]


CLOCKS = "with TTClock.root() as root:\n  with TTClock('ms', root, 1000, 5) as ms:\n    pass\n"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("TTPeriod=100", {"period": 100, "phase": 0, "width": 50, "clock": "root"}),
        ("TTPeriod=1", {"period": 1, "width": 1}),
        ("TTPeriod=1e2, TTPhase=99.0", {"period": 100, "phase": 99}),
        ("TTPeriod=10, TTClock=ms", {"period": 10_000, "phase": 5, "width": 5000, "clock": "ms"}),
        ("TTPeriod=10, TTPhase=3, TTClock=ms", {"period": 10_000, "phase": 3005}),
        ("TTPeriod=10, TTDataIntervalWidth=2, TTClock=ms", {"width": 2000}),
        ("TTPeriod=10, TTDataValidityInterval=7", {"width": 7}),
        ("TTPeriod=10, TTFirstInstanceDelay=4, TTClock=ms", {"first_delay": 4000}),
        ("TTPeriod=10, TTStamp='body'", {"stamp": "body"}),
        ("TTPeriod=10", {"stamp": "instant", "first_delay": 0, "persistent": False, "single_run": None}),
        ("TTPeriod=10, TTPersistent=True", {"persistent": True}),
        ("TTPeriod=10, TTName='wheel'", {"name": "wheel"}),
    ],
)
def test_the_settings_of_a_stream_are_in_root_ticks(settings, expected):
    sq = compiled(CLOCKS + f"src(a, {settings})").sqs[0]
    assert {name: getattr(sq, name) for name in expected} == expected


def test_a_stream_can_have_its_settings_in_its_signature():
    text = (
        "from ticktalk import *\nMS = TTClock('ms', TTClock.root(), 1000, 0)\n"
        "@STREAMify\ndef s(t, TTPeriod=10, *, TTClock=MS): return TTPeriod\n"
        "@GRAPHify\ndef main(a):\n  s(a)\n  s(a, TTPeriod=20)\n"
    )
    first, second = compile_source(text, "p.py", "p").sqs
    assert (first.period, first.clock, first.parameters) == (10_000, "ms", {})
    assert (second.period, second.clock, second.parameters) == (20_000, "ms", {"TTPeriod": 20})


def test_a_clock_is_kept_with_its_parent_and_an_sq_with_its_clock():
    graph = compiled(
        CLOCKS + "with TTClock(parent=ms, name='s', period=1000, epoch=-1) as s: pass\nx = READ_TTCLOCK(a, s)"
    )
    assert [(c.name, c.parent, c.period, c.epoch) for c in graph.clocks] == [
        ("ms", "root", 1000, 5),
        ("s", "ms", 1000, -1),
    ]
    assert graph.sqs[0].clock == "s"
    assert compiled("c = TTClock.root()\nd = TTClock('d', c)\nREAD_TTCLOCK(a, TTClock=d, delay=2.0)").sqs[
        0
    ].instruction == {"delay": 2}
    assert not compiled("with TTClock.root() as c: f(a)").clocks


@pytest.mark.parametrize(
    ("call", "drawing", "fields"),
    [
        ("CONST(a, const=(1, 2))", "CONST-1(a)*", {"instruction": {"const": {"tuple": [1, 2]}}}),
        ("CONST(a, 3)", "CONST-1(a)*", {"instruction": {"const": 3}}),
        ("READ_TTCLOCK(a)", "READ_TTCLOCK-1(a)*", {"instruction": {"delay": 0}, "clock": "root"}),
        ("ADD_TIME_DELAY(a, delay=-3)", "ADD_TIME_DELAY-1(a)*", {"instruction": {"delay": -3}}),
        ("MERGE(a, b)", "MERGE-1(a, b)*", {"singly": True}),
        ("COPY_TTTIME(1, b)", "COPY_TTTIME-1(1, b)*", {}),
        ("TUPLE_3(a, b, 1)", "TUPLE_3-1(a, b, 1)*", {}),
        (
            "RESAMPLE(a, TTClock=ms, TTPeriod=4, TTPhase=1, order=1)",
            "RESAMPLE-1(a)*",
            {
                "period": 4000,
                "phase": 1005,
                "width": 4000,
                "order": "forward",
                "instruction": {"order": 1},
                "clock": "ms",
            },
        ),
    ],
)
def test_instructions(call, drawing, fields):
    graph = compiled(CLOCKS + call)
    assert drawn(graph) == [drawing]
    assert {name: getattr(graph.sqs[0], name) for name in fields} == fields


def test_operators_and_calls_of_one_name_are_counted_together():
    assert [sq.name for sq in compiled("x = a + b\ny = ADD(a, b)\nz = a + 1").sqs] == ["ADD-1", "ADD-2", "ADD-3"]
    assert [sq.name for sq in compiled("f(a)\nf(a, TTName='speed')\nf(a)").sqs] == ["f-1", "speed", "f-3"]


def test_an_sq_has_the_constraints_of_all_blocks_around_it():
    body = (
        "with TTConstraint(name='rsu', components=['camera']):\n  f(a)\n"
        "  with TTQuery(['x', 'y']), TTConstraint(components='gpu'):\n    f(a)\nf(a)"
    )
    first, second, third = compiled(body).sqs
    outer = TTConstraintSpec(["rsu"], ["camera"])
    assert first.constraints == [outer]
    assert second.constraints == [outer, TTConstraintSpec(["x", "y"]), TTConstraintSpec([], ["gpu"])]
    assert third.constraints == []


COMPONENTS = """\
import ticktalk as tt
from ticktalk import component as part
CAMERA = "cam" + "era"
def helper(): return part("lidar")
@tt.SQify
def f(x, name=CAMERA):
    component("gpu")
    tt.component(name).read(tt.component("gpu"))
    return helper()
@tt.GRAPHify
def main(a):
    f(a)
    f(a, name="radar")
"""


def test_components_that_a_body_asks_for_are_constraints():
    graph = compile_source(COMPONENTS, "p.py", "p")
    first, second = [[c.components for c in sq.constraints] for sq in graph.sqs]
    assert first == [["gpu"], ["lidar"], ["camera"]]
    assert second == [["gpu"], ["lidar"], ["radar"]]
    assert graph.functions["f"].components == ["gpu", "lidar"]


def test_deadline():
    graph = check(
        "tag, d = src(a, TTPeriod=5)\nt = READ_TTCLOCK(tag) + 2\n"
        "with TTConstraint('near'):\n"
        "  r = TTFinishByOtherwise(f(d), TTTimeDeadline=t, TTPlanB=g(f(d), 1), TTWillContinue=True)",
        "src-1(~a); READ_TTCLOCK-1(src-1.tag); ADD-1(READ_TTCLOCK-1, 2); f-1(src-1); f-2(src-1); g-1(f-2, 1);"
        " TTFinishByOtherwise-1(f-1, ADD-1)*",
    )
    deadline, plan_b = graph.sqs[-1], graph.sqs[-2]
    assert (deadline.trigger, deadline.plan_b, deadline.will_continue) == ("deadline", "g-1", True)
    assert [port.name for port in deadline.ports] == ["data", "deadline"]
    assert (plan_b.trigger, plan_b.arcs) == ("plan_b", [])
    assert plan_b.constraints == deadline.constraints == [TTConstraintSpec(["near"])]
    assert deadline.rank > plan_b.rank > graph.sq("f-2").rank


@pytest.mark.parametrize(
    ("arguments", "plan_b", "will_continue", "names"),
    [
        ("TTTimeDeadline=5, TTPlanB=h", "h-1", True, ["f-1", "h-1", "TTFinishByOtherwise-1"]),
        ("TTTimeDeadline=5, TTPlanB=h()", "h-1", True, ["f-1", "h-1", "TTFinishByOtherwise-1"]),
        ("TTTimeDeadline=5, TTPlanB=h(), TTWillContinue=False", "h-1", False, ["f-1", "h-1", "TTFinishByOtherwise-1"]),
        ("5, ADD(1, 2), False", "ADD-1", False, ["f-1", "ADD-1", "TTFinishByOtherwise-1"]),
        ("TTTimeDeadline=5", None, False, ["f-1", "TTFinishByOtherwise-1"]),
        ("TTTimeDeadline=5, TTName='late'", None, False, ["f-1", "late"]),
    ],
)
def test_forms_of_a_deadline(arguments, plan_b, will_continue, names):
    graph = compiled(f"r = TTFinishByOtherwise(f(a), {arguments})")
    deadline = graph.sqs[-1]
    assert [sq.name for sq in graph.sqs] == names
    assert (deadline.plan_b, deadline.will_continue) == (plan_b, will_continue)
    assert deadline.ports[1].constant == [5]
    if plan_b is not None:
        arcs = graph.sq(plan_b).arcs
        assert [arc.output for arc in arcs] == ([] if will_continue else [True])
        assert not any(port.hidden for port in graph.sq(plan_b).ports)


def test_a_plan_b_and_its_deadline_have_the_same_constraints():
    text = (
        "from ticktalk import *\n@SQify\ndef f(x): return x\n@SQify\ndef brake(): return component('brake')\n"
        "@GRAPHify\ndef main(a):\n  TTFinishByOtherwise(f(a), TTTimeDeadline=5, TTPlanB=brake())\n"
    )
    graph = compile_source(text, "p.py", "p")
    both = [TTConstraintSpec([], ["brake"])]
    assert [sq.constraints for sq in graph.sqs] == [[], both, both]


@pytest.mark.parametrize(
    "blocks",
    [
        "with TTPlanB(h):\n  with TTDeadline(c, 3):\n    ",
        "with TTDeadline(c, 3):\n  with TTPlanB(h()):\n    ",
        "with TTPlanB(h), TTDeadline(c, 3):\n    ",
    ],
)
def test_deadline_block(blocks):
    graph = compiled(STREAM + "c = TTClock('c', TTClock.root(), 10, 0)\n" + blocks + "y = g(f(s), b); f(y)\nreturn y")
    assert drawn(graph) == [
        "src-1(~a)",
        "f-1(src-1)",
        "g-1(f-1, ~b)",
        "h-1()",
        "TTFinishByOtherwise-1(g-1, g-1.tag)*",
        "f-2(TTFinishByOtherwise-1)",
        "h-2()",
        "TTFinishByOtherwise-2(f-2, f-2.tag)*",
    ]
    deadline = graph.sq("TTFinishByOtherwise-1")
    assert (deadline.offset, deadline.plan_b, deadline.will_continue, deadline.clock) == (30, "h-1", True, "root")
    assert deadline.arcs[0].name == "y"


def test_deadline_block_without_plan_b():
    graph = compiled("with TTDeadline(TTClock.root(), 3): y = f(a)")
    assert (graph.sqs[-1].plan_b, graph.sqs[-1].will_continue) == (None, False)


def test_deadline_block_around_a_stream_keeps_its_tag():
    graph = compiled("with TTDeadline(TTClock.root(), 3):\n  tag, y = src(a, TTPeriod=9)\ng(tag, y)")
    assert drawn(graph) == [
        "src-1(~a)",
        "TTFinishByOtherwise-1(src-1, src-1.tag)",
        "g-1(src-1.tag, TTFinishByOtherwise-1)*",
    ]


def test_single_run():
    graph = compiled("c = TTClock('c', TTClock.root(), 10, 0)\nx = TTSingleRunTimeout(f(h()), TTTimeout=7, TTClock=c)")
    assert [(sq.name, sq.single_run) for sq in graph.sqs] == [("h-1", None), ("f-1", 70)]
    assert graph.sqs[1].arcs[0].name == "x"


def test_timeouts_of_bodies_are_in_ticks_of_the_streams_clock():
    graph = compiled(
        "c = TTClock('c', TTClock.root(), 10, 0)\nx = src(a, TTPeriod=9, TTClock=c, TTTimeout=7)\n"
        "f(x, TTTimeout=5.0)\nf(x)"
    )
    assert [(sq.name, sq.timeout) for sq in graph.sqs] == [("src-1", 70), ("f-1", 5), ("f-2", 0)]


def test_a_timeout_within_a_single_run_and_in_a_plan_b_is_that_of_the_body():
    text = "x = TTSingleRunTimeout(f(a, TTTimeout=3), TTTimeout=7)\nTTFinishByOtherwise(x, 5, h(TTTimeout=2))"
    graph = compiled(text)
    found = {sq.name: (sq.timeout, sq.single_run) for sq in graph.sqs}
    assert (found["f-1"], found["h-1"]) == ((3, 7), (2, None))


@forms(
    ("x = a if True else f(b)\nf(x)", "f-1(a)*"),
    ("x = f(a) if 1 > 2 else f(b)", "f-1(b)*"),
    ("x = a if b else 1", "IF-1(a, b); IF-2(b, b); CONST-1(IF-2); MERGE-1(IF-1, CONST-1)*"),
    ("x = f(a) if b else h()", "IF-1(a, b); f-1(IF-1); IF-2(b, b); h-1(!IF-2); MERGE-1(f-1, h-1)*"),
    ("x = g(a, a) if a < b else a", "LT-1(a, b); IF-1(a, LT-1); g-1(IF-1, IF-1); IF-2(a, LT-1); MERGE-1(g-1, IF-2)*"),
    (
        "x = (f(a) if b else 1) if a else 2",
        "IF-1(b, a); IF-2(a, a); IF-3(IF-2, IF-1); f-1(IF-3); IF-4(IF-1, IF-1); CONST-1(IF-4); MERGE-1(f-1, CONST-1);"
        " IF-5(a, a); CONST-2(IF-5); MERGE-2(MERGE-1, CONST-2)*",
    ),
    ("x = [a, 1] if b else 2", "IF-1(a, b); LIST-1(IF-1, 1); IF-2(b, b); CONST-1(IF-2); MERGE-1(LIST-1, CONST-1)*"),
)
def test_conditional_expressions(body, expected):
    check(body, expected)


def test_the_gates_of_a_conditional():
    graph = compiled(STREAM + "x = s if b else 1")
    gates = {sq.name: sq for sq in graph.sqs if sq.function == "IF"}
    assert [gate.instruction for gate in gates.values()] == [{"when": True}, {"when": False}]
    assert [port.name for port in gates["IF-1"].ports] == ["value", "condition"]
    assert [port.sticky for port in gates["IF-1"].ports] == [False, True]
    merge = graph.sqs[-1]
    assert merge.singly and merge.stream and not any(port.sticky for port in merge.ports)
    assert graph.sq("CONST-1").instruction == {"const": 1}


@pytest.mark.parametrize(
    "imports",
    [
        "from ticktalk import SQify as A, STREAMify as B, GRAPHify as C",
        "import ticktalk as tt\nA, B, C = 1, 2, 3\ndel A, B, C",
        "from ticktalkpython.SQ import *\nA = 1",
        "import ticktalkpython.SQ",
        "from ticktalkpython import SQ",
        "try:\n  from ticktalk import SQify as A, GRAPHify as C\nexcept ImportError:\n  A = C = None",
        "",
    ],
)
def test_decorators_are_found_through_any_import(imports):
    if " as A" in imports:
        sq, graph = "A", "C"
    elif " as tt" in imports:
        sq, graph = "tt.SQify", "tt.GRAPHify"
    elif imports == "import ticktalkpython.SQ":
        sq, graph = "ticktalkpython.SQ.SQify", "ticktalkpython.SQ.GRAPHify"
    elif imports.endswith("import SQ"):
        sq, graph = "SQ.SQify", "SQ.GRAPHify"
    else:
        sq, graph = "SQify", "GRAPHify"
    text = f"{imports}\n@{sq}\ndef f(x): return x\n@{graph}\ndef main(a): return f(a)\n"
    assert drawn(compile_source(text, "p.py", "p")) == ["f-1(a)*"]


def test_constructs_are_found_through_any_import():
    text = (
        "import ticktalk as tt\nfrom ticktalkpython import Instructions as I\nfrom ticktalk import ADD as plus\n"
        "@tt.GRAPHify\ndef main(a):\n  from ticktalk import TTClock as Clock\n"
        "  with tt.TTClock.root() as c, Clock('d', c) as d:\n    x = I.READ_TTCLOCK(a, TTClock=d)\n"
        "  with tt.TTConstraint('n'): return plus(x, 1)\n"
    )
    graph = compile_source(text, "p.py", "p")
    assert drawn(graph) == ["READ_TTCLOCK-1(a)", "ADD-1(READ_TTCLOCK-1, 1)*"]
    assert graph.sqs[1].constraints == [TTConstraintSpec(["n"])]


def test_a_function_of_the_program_goes_before_an_instruction():
    text = "@SQify\ndef ADD(x): return x\n@GRAPHify\ndef main(a):\n  x = a + 1\n  ADD(x)\n"
    graph = compile_source(text, "p.py", "p")
    assert [(sq.name, sq.body) for sq in graph.sqs] == [("ADD-1", False), ("ADD-2", True)]


def test_a_function_of_the_program_has_no_rules_of_an_instruction_of_its_name():
    text = (
        "@STREAMify\ndef s(x): return x\n@SQify\ndef MERGE(x, y): return x\n@SQify\ndef RESAMPLE(x): return x\n"
        "@GRAPHify\ndef main(a, b):\n  x = MERGE(s(a, TTPeriod=5), b)\n  return RESAMPLE(x)\n"
    )
    graph = compile_source(text, "p.py", "p")
    assert drawn(graph) == ["s-1(~a)", "MERGE-1(s-1, ~b)", "RESAMPLE-1(MERGE-1)*"]
    assert graph.sq("RESAMPLE-1").order == "any"


@forms(
    ("ys = []\nx = f([*ys, a])", "LIST-1(a); f-1(LIST-1)*"),
    ("ys = []\nx = f((*ys, a, *()))", "TUPLE-1(a); f-1(TUPLE-1)*"),
    ("ys = []\nys.extend([])\nx = f(ys)", "f-1([], !a)*"),
    ("ys = [a]\nys.extend(())\nys += []\nx = f(ys)", "LIST-1(a); f-1(LIST-1)*"),
)
def test_unpacking_an_empty_list_adds_nothing(body, expected):
    check(body, expected)


def test_parameters_are_bound_as_in_python():
    text = (
        "@SQify\ndef f(x, /, y, k=2, *, z, w=3, TTExecuteOnFullToken=True): return x\n"
        "@SQify\ndef f2(x): return x\n@SQify\ndef f2(x, y): return x\n"
        "@GRAPHify\ndef main(a, b, /, n=2, *, c):\n  f(a, b, 7, z=c, w=2)\n  f2(c, n)\n"
    )
    graph = compile_source(text, "p.py", "p")
    assert [source.name for source in graph.inputs] == ["a", "b", "n", "c"]
    assert [source.default for source in graph.inputs] == [None, None, [2], None]
    assert drawn(graph) == ["f-1(a, b, z=c)*", "f2-1(c, n)*"]
    assert graph.sqs[0].parameters == {"k": 7, "w": 2}
    assert graph.sqs[0].full_token and not graph.sqs[1].full_token


def test_state_in_a_nested_function_counts():
    text = "@SQify\ndef f(x):\n  def g():\n    global sq_state\n  return x\n@GRAPHify\ndef main(a): f(a)\n"
    assert compile_source(text, "p.py", "p").sqs[0].stateful


def test_a_graph_is_named_after_its_file(tmp_path):
    from ticktalk.language.compiler import TTCompile

    path = tmp_path / "my prog.py"
    path.write_text("@GRAPHify\ndef main(a): return a\n")
    graph = TTCompile(path)
    assert (graph.name, graph.file) == ("my prog", "my prog.py")
    graph.check()
