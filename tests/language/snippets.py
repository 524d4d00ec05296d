"""Short programs for the compiler's tests, and graphs as short text."""

from __future__ import annotations

from ticktalk.errors import TTSyntaxError
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source

HEAD = """\
from ticktalk import SQify, STREAMify, GRAPHify, TTClock
@SQify
def f(x): return x
@SQify
def g(x, y, k=1): return x
@SQify
def h(): return 0
@SQify
def two(x): return (x, x)
@STREAMify
def src(trigger): return 1
@SQify
def count(x):
    global sq_state
    return x
def plain(x): return x
@GRAPHify
def main(a, b):
"""
FIRST_LINE = HEAD.count("\n") + 1
"""The line of a snippet's first line in its program."""
STREAM = "s = src(a, TTPeriod=100)\n"

CLOCK_PROGRAM = """\
import ticktalk as tt
from ticktalk import *
N = 3
CONFIG = {"x": [1, 2]}
class Filter:
    def run(self, x): return x + N
def helper(x, filter=Filter()): return filter.run(x)
@tt.SQify
def f(x, k=CONFIG, *, z=1, TTExecuteOnFullToken=True):
    global sq_state
    component("camera")
    return helper(x)
@STREAMify
def s(trigger, TTPeriod=N): return 1
@GRAPHify
def main(trigger, n=N):
    with TTClock.root() as root:
        start = READ_TTCLOCK(trigger, TTClock=root)
        window = COPY_TTTIME(1, VALUES_TO_TTTIME(start, start + 1000000 * n))
        x = s(window, TTClock=root, TTPhase=N - 1)
        y = s(window, TTPeriod=20, TTDataIntervalWidth=4, TTStamp="body")
        return f(x + y, z=CONFIG["x"][0])
"""


def program(body: str) -> str:
    return HEAD + "".join(f"    {line}\n" for line in body.split("\n"))


def compiled(body: str) -> TTGraph:
    """The graph with inputs `a` and `b` whose body is `body`; it is checked, and survives its file."""
    graph = compile_source(program(body), "prog.py", "prog")
    graph.check()
    assert TTGraph.from_json(graph.to_json()) == graph
    return graph


def problems(body: str) -> list[tuple[int, int, str, str]]:
    """The errors of a graph body: line (its first is 1), column (without indentation), what, instead."""
    try:
        compile_source(program(body), "prog.py", "prog")
    except TTSyntaxError as error:
        found = [p for p in error.problems if not p.harmless]
        return [(p.line - FIRST_LINE + 1, p.column - 4, p.what, p.instead) for p in found]
    return []


def drawn(graph: TTGraph) -> list[str]:
    """One line for each SQ: `NAME(port, ...)`; `*` behind it if a value is an output.

    A port shows its arc or constant. An arc is the name of a graph input or SQ (`two-1[0]` an element, `src-1.tag` its
    tag), a constant is as in Python. `~` before it: sticky. `!`: hidden. A keyword-only port begins with its name.
    """
    ends: dict[tuple[str, int], str] = {}
    for source in graph.inputs:
        ends.update({(to.sq, to.port): source.name for to in source.to})
    for sq in graph.sqs:
        for arc in sq.arcs:
            place = sq.name + "".join(f"[{index}]" for index in arc.path) + (".tag" if arc.kind == "tag" else "")
            ends.update({(to.sq, to.port): place for to in arc.to})
    lines = []
    for sq in graph.sqs:
        ports = []
        for index, port in enumerate(sq.ports):
            constant = port.constant
            text = ends.get((sq.name, index), "?") if constant is None else repr(decode_constant(constant[0]))
            name = f"{port.name}=" if port.keyword else ""
            ports.append("!" * port.hidden + "~" * port.sticky + name + text)
        output = "*" if any(arc.output for arc in sq.arcs) else ""
        lines.append(f"{sq.name}({', '.join(ports)}){output}")
    return lines
