"""The compiler answers any edited program with a graph or with problems, never with a crash."""

import keyword
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snippets import CLOCK_PROGRAM, program

from ticktalk.errors import TTSyntaxError
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source

SEEDS = [
    CLOCK_PROGRAM,
    program(
        "p, (q, r) = two(a)\nxs = [f(i) for i in range(4)]\nxs.append(g(p, q, k=2 ** 3))\n"
        "y = g(*xs[:2]) if a < b <= 3 else h()\n"
        "for i, x in enumerate(xs):\n  if i > 1: continue\n  z = f(x, TTName=f'n{i}')\n"
        "a, b = b, a\nreturn {'k': y, 'z': (z, not a)}, a[1:b], -r"
    ),
    program(
        "c = TTClock('ms', TTClock.root(), 1000, 5)\ntag, d = src(a, TTClock=c, TTPeriod=10, TTPhase=3)\n"
        "with TTConstraint(name='rsu', components=['camera']), TTPlanB(h):\n  with TTDeadline(c, 5): y = f(d)\n"
        "z = TTFinishByOtherwise(d, TTTimeDeadline=READ_TTCLOCK(tag) + 5, TTPlanB=f(b), TTWillContinue=False)\n"
        "w = TTSingleRunTimeout(count(d), TTTimeout=1e3)\nreturn RESAMPLE(y, TTPeriod=4, order=1), z"
    ),
]
TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
SPICE = [
    *keyword.kwlist, *"()[]{}:,.*=+-@\\\"'#~", "**", "//", ":=", "\n", "    ", "\t", "0", "9" * 30, "1e400", "a", "f",
    "None",
    "lambda: 0", "f'{a}'", "*xs", "**{}", "TTClock", "TTPlanB", "TTPeriod", "TTName", "sq_state", "\0", "\x0c",
    "é", "\ud800", "range",
]  # fmt: skip


@st.composite
def edited(draw):
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 5))):
        split = draw(st.sampled_from([list, TOKEN.findall, lambda text: text.splitlines(keepends=True)]))
        parts = split(text)
        if not parts:
            break
        at = draw(st.integers(0, len(parts) - 1))
        other = draw(st.integers(0, len(parts) - 1))
        match draw(st.sampled_from(["delete", "double", "swap", "copy", "insert"])):
            case "delete":
                del parts[at]
            case "double":
                parts.insert(at, parts[at])
            case "swap":
                parts[at], parts[other] = parts[other], parts[at]
            case "copy":
                parts.insert(at, parts[other])
            case "insert":
                parts.insert(at, draw(st.sampled_from(SPICE)))
        text = "".join(parts)
    return text


@pytest.mark.filterwarnings("ignore::ticktalk.errors.TTWarning", "ignore::SyntaxWarning")  # what it edits is odd
@settings(max_examples=700, suppress_health_check=list(HealthCheck))
@given(edited())
def test_an_edited_program_gives_a_graph_or_problems(text):
    try:
        graph = compile_source(text, "p.py", "p")
    except TTSyntaxError as error:
        assert error.problems
        assert all(problem.line >= 1 and problem.column >= 1 and problem.what for problem in error.problems)
        assert str(error)
    else:
        graph.check()
        assert TTGraph.from_json(graph.to_json()) == graph


def test_the_seeds_are_programs():
    for seed in SEEDS:
        assert compile_source(seed, "p.py", "p").sqs
