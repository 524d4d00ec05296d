"""Builtins, functions of `math` and formats give and raise on arcs what they do in plain Python."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
from snippets import compiled
from test_plans import at_once, run

from ticktalk.language.compiler import compile_source
from ticktalk.runtime_manager import TTRuntimeManagerSim

VALUES = [(7, 3), (2.5, -4), (-3, 2.5), (0, 0), (True, 1.0), (10**20, 7), ("abc", 2), ([3, 1, 2], 1), (1, [4, 4.0])]
PROGRAM = f"""\
import math
from ticktalk import GRAPHify, STREAMify, TTConstraint
VALUES = {VALUES}
@STREAMify
def first(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return VALUES[sq_state["n"] % len(VALUES)][0]
@STREAMify
def second(trigger):
    global sq_state
    sq_state["n"] = sq_state.get("n", 0) + 1
    return VALUES[sq_state["n"] % len(VALUES)][1]
@GRAPHify
def main(trigger):
    with TTConstraint(name="near"):
        x = first(trigger, TTPeriod=10)
        y = second(trigger, TTPeriod=10)
    with TTConstraint(name="far"):
        return """

LAST = 10 * (2 * len(VALUES) + 2)

EXPRESSIONS = """\
sum([x, y]); sum([x, y, 0.1, 0.2]); sum(x); sum(y, 5); sum([x], start=y); sum([[x], [y]], [])
max(x, y); max(x, y, 3); max([x, y]); max(x); max(y, default=3); min(x, y); min(3, x, y); min([x])
abs(x); round(x); round(x, 1); round(y, ndigits=x); pow(x, y); pow(x, 2, 5); pow(exp=2, base=y); divmod(x, y)
len(x); len(y); float(x); int(x); int(x, y); str(x); repr(x); bool(y); complex(y, 1); hex(x); bin(x); chr(x); ord(x)
all([x, y]); any([x, y]); all(x); any(z > 2 for z in [x, y]); sorted(x); sorted([x, y], reverse=True)
max(x, y, key=None); list(x); tuple(y); sorted(set(x)); frozenset([x]); dict([(x, y)]); dict(a=x, key=[y])
x in [7, 2.5]; x in y; x not in (y, 3); x in range(9); not x; x and y; x or y; x and y or 3; 0 < x < y; x == y != 3
x[1]; x[:2]; x[::-1]; y[-1:]; x[0:y]; (x, y)[0]; (x, y)[x]
"{}".format(x); "{}, {!r:>9}".format(x, y); "{:.2f}".format(x); "{:{}}".format(x, y); "{:>{w}.1f}|".format(x, w=y)
"{} {}".format(x, y); "{0:>5}{k}{{}}".format(x, k=y); "%s and %s" % (x, y)
math.sqrt(x); math.sin(x); math.floor(x); math.ceil(y); math.hypot(x, y); math.pow(x, y); math.atan2(x, y)
math.log(x, 2); math.isclose(x, y, rel_tol=0.5); math.fsum([x, y]); math.prod([x, y], start=2); math.copysign(1, y)
sum([max(x, 0), abs(y)]) / 2; round(sum([x, y]) / 2, 2); max(x, y) if x > 2 else min(x, y); -abs(x) ** 2
"""


def plain(expression: str, x: Any, y: Any) -> str:
    """What an expression gives in plain Python, or what it raises."""
    try:
        return repr(eval(expression, {"math": math, "x": x, "y": y}))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def listen(seen: dict[int, str], manager: TTRuntimeManagerSim) -> None:
    manager.on_output(lambda token: seen.update({token.start: repr(token.value)}))
    manager.on_error(lambda error: seen.setdefault(error.start, error.exception))


@pytest.mark.parametrize("how", [{}, {"apart": True}, {"delay": 3}, {"accelerated": False}], ids=str)
@pytest.mark.parametrize("line", EXPRESSIONS.splitlines())
def test_builtins_give_what_plain_python_gives(line: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    for each in line.split("; "):
        expression = f"[{each}, x, y]"  # what nobody uses is an output, too
        graph = compile_source(f"{PROGRAM}{expression}", "prog.py", "prog")
        seen: dict[int, str] = {}
        run(graph, watch=partial(listen, seen), **{"accelerated": True, "until": LAST, **how})
        assert seen == {10 * i - 2: plain(expression, *VALUES[i % 9]) for i in range(1, len(seen) + 1)}, expression
        assert len(seen) >= 2 * len(VALUES)


NAMES = {
    "sum([a, b])": "SUM", "max(a, b)": "MAX", "abs(a)": "ABS", "math.sqrt(a)": "SQRT", "math.pow(a, 2)": "MATH_POW",
    "pow(a, 2)": "POW", "list(a)": "AS_LIST", "'{}'.format(a)": "FORMAT", "len(a)": "LEN", "math.sin(a)": "SIN",
}  # fmt: skip


@pytest.mark.parametrize("expression", NAMES)
def test_the_sq_of_a_builtin_is_named_after_it(expression: str) -> None:
    graph = compiled(f"import math\nreturn {expression}")
    assert graph.sqs[-1].name == f"{NAMES[expression]}-1"


def test_what_is_known_makes_no_sq() -> None:
    graph = compiled("import math\nreturn f(a) + max(2, len([a, b])) + sum([1, 2]) + len(f'{math.floor(2.5)}')")
    assert [sq.function for sq in graph.sqs] == ["f", "ADD", "ADD", "ADD"]
