"""Forms of TickTalk's own documentation and of its older releases, to the letter."""

import warnings

import pytest
from test_modules import outputs

from ticktalk.errors import TTSyntaxError, TTWarning
from ticktalk.language.compiler import compile_source

OLDER = """\
from SQ import SQify, STREAMify, GRAPHify
from Clock import TTClock
from Instructions import *
from Empty import TTEmpty
@SQify
def odd(x): return x if x % 2 else TTEmpty()
@SQify
def kind(x): return TTEmpty.__module__.partition(".")[0]
@GRAPHify
def main(a):
    with TTClock.root() as c:
        return odd(a), kind(a)
"""

OLDER_MODULES = """\
import SQ, Clock as K
import Instructions
from helper import kind
@SQ.SQify
def odd(x):
    import Empty
    from Time import TTTime
    return Empty.TTEmpty() if x % 2 == 0 else (x, kind(), TTTime.__name__)
@SQ.GRAPHify
def main(a):
    from Clock import TTClock as C
    with K.TTClock.root() as c, C("half", c, 2, 0):
        return odd(Instructions.ADD(a, 2))
"""

PLAN_B = """\
from ticktalk import *
@STREAMify
def pulse(trigger):
    global sq_state
    n = sq_state["n"] = sq_state.get("n", 0) + 1
    return n
@SQify
def never(x): return TTEmpty()
@SQify
def fallback(x): return ("fallback", x)
@GRAPHify
def main(a):
    tag, n = pulse(a, TTPeriod=300_000)
    limit = READ_TTCLOCK(tag) + 20_000
    return TTFinishByOtherwise(
        never(n), TTTimeDeadline=limit, TTPlanB=TTSingleRunTimeout(fallback(n), TTTimeout=30_000), TTWillContinue=True
    )
"""


def test_import_paths_of_older_releases(tmp_path):
    assert outputs(tmp_path, OLDER) == [[1, "ticktalk"]]


def test_modules_of_older_releases_imported_as_modules_and_in_bodies(tmp_path):
    (tmp_path / "helper.py").write_text("from TTToken import TTToken\ndef kind(): return TTToken.__name__\n")
    assert outputs(tmp_path, OLDER_MODULES) == [[3, "TTToken", "TTTime"]]


def test_a_module_of_the_user_goes_before_an_older_path(tmp_path):
    (tmp_path / "Graph.py").write_text("def answer(): return 42\n")
    text = "from ticktalk import *\nfrom Graph import answer\n@SQify\ndef f(x): return answer()\n"
    assert outputs(tmp_path, text + "@GRAPHify\ndef main(a): return f(a)\n") == [42]
    text = "from ticktalk import *\nimport Graph\n@SQify\ndef f(x): return Graph.answer()\n"
    assert outputs(tmp_path, text + "@GRAPHify\ndef main(a): return f(a)\n") == [42]


@pytest.mark.parametrize(
    "first",
    ["import ticktalk as t\nsq = t.SQify\ngraph = t.GRAPHify", "from SQ import *\nsq = SQify\ngraph = GRAPHify"],
)
def test_decorators_by_names_that_assignments_give(tmp_path, first):
    text = first + "\n@sq\ndef f(x): return [x, f.__name__]\ng = f\n@graph\ndef main(a): return g(2)\nsq = g\n"
    assert outputs(tmp_path, text) == [[2, "f"]]


def test_a_single_run_as_plan_b(tmp_path):
    assert outputs(tmp_path, PLAN_B) == [["fallback", n] for n in (1, 2, 3)]
    graph = compile_source(PLAN_B, "prog.py", "prog")
    assert graph.sq("fallback-1").single_run == 30_000 and graph.sq("fallback-1").trigger == "plan_b"


def test_a_clock_with_nothing_but_a_name_is_the_root():
    text = "@STREAMify\ndef s(a): return 1\n@GRAPHify\ndef main(a):\n    with TTClock({}) as c:\n"
    text += "        return s(a, TTClock=c, TTPeriod=5)\n"
    graph = compile_source(text.format("'root'"), "prog.py", "prog")
    assert graph.sqs[0].clock == "root"
    with pytest.warns(TTWarning, match="a clock without a parent is the root clock, so 'other' ticks in microseconds"):
        other = compile_source(text.format("'other'"), "prog.py", "prog")
    assert other.sqs == graph.sqs and not other.clocks


def test_an_unused_sq_with_keywords_is_a_warning():
    text = "@SQify\ndef f(x, **k): return x\n@SQify\ndef g(x): return x\n@GRAPHify\ndef main(a): return g(a)\n"
    with pytest.warns(TTWarning, match=r"prog.py:2:1: warning: `\*\*k` in `f`"):
        compile_source(text, "prog.py", "prog")
    with warnings.catch_warnings(), pytest.raises(TTSyntaxError):
        compile_source(text.replace("g(a)", "f(a)"), "prog.py", "prog")
