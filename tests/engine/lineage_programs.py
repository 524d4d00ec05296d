"""Random programs whose values say what they came from: of all that the language can do with tokens in time."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from lineage_oracle import EMPTY

from ticktalk.graph.sq import TTSQ

HEAD = """\
from ticktalk import *
def weigh(value):
    return value if isinstance(value, int) else 1 if isinstance(value, str) else sum(map(weigh, value))
"""


def source(name: str, parameters: str, drop: int, stateful: bool = False) -> str:
    """A function that gives its name, how often it ran (if it counts), and its inputs; or nothing."""
    lines = [f"@SQify\ndef {name}({parameters}):"]
    if stateful:
        lines += ["    global sq_state", "    n = sq_state['n'] = sq_state.get('n', 0) + 1"]
    parts = [repr(name), *(["n"] if stateful else []), *([parameters] if parameters else [])]
    lines += [f"    made = [{', '.join(parts)}]"]
    if drop:
        lines += [f"    if weigh(made) % {drop} == 0:", "        return TTEmpty()"]
    return "\n".join([*lines, "    return made"]) + "\n"


STREAM = """\
@STREAMify
def {name}(t):
    global sq_state
    n = sq_state['n'] = sq_state.get('n', 0) + 1
    if {drop} and n % {drop} == 0:
        return TTEmpty()
    return ['{name}', n]
"""

LONE = """\
@SQify
def lone(value, interval, missing):
    return ['lone', value]
"""


def weigh(value: Any) -> int:
    return value if isinstance(value, int) else 1 if isinstance(value, str) else sum(map(weigh, value))


def body(sq: TTSQ, values: list[Any], count: int) -> Any:
    """What the same bodies give in plain Python; how often one gives nothing is the number in its name."""
    name, drop = sq.function.rpartition(".")[2], int(sq.function.rpartition("_")[2]) if "_" in sq.function else 0
    if sq.trigger == "grid":
        return EMPTY if drop and count % drop == 0 else [name, count]
    if sq.function == "ADD":
        return values[0] + values[1]
    if sq.function in ("MERGE", "RETURN"):
        return values[0]
    if sq.function == "TUPLE":
        return tuple(values)
    if name == "lone":
        return [name, values[0]]
    made = [name, *([count] if name.startswith("c") else []), *values]
    return EMPTY if drop and weigh(made) % drop == 0 else made


@st.composite
def programs(draw: st.DrawFn, hosts: tuple[str, ...] = ("", "'b'", "'c'"), plain: bool = False) -> str:
    """A program.

    `hosts`: what SQs may be constrained to; `plain`: every body gives a result, and no token goes elsewhere.
    """
    functions: dict[str, str] = {}
    lines: list[str] = []
    data: list[str] = []
    tags: list[str] = []

    def drop() -> int:
        return 0 if plain else draw(st.sampled_from([0, 0, 0, 2, 3]))

    def function(kind: str, arity: int) -> str:
        often = drop()
        stateful = draw(st.booleans()) and not plain
        name = f"{'c' if stateful else 'f'}{kind}{arity}_{often}"
        functions[name] = source(name, ", ".join("xyz"[:arity]), often, stateful)
        return name

    def add(*more: str) -> None:
        host = draw(st.sampled_from(hosts))
        lines.extend([f"with TTConstraint(name={host}):", *(f"    {line}" for line in more)] if host else more)

    for number in range(draw(st.integers(1, 3))):
        period = draw(st.integers(2, 12))
        name = f"s{number}_{drop()}"
        functions[name] = STREAM.format(name=name, drop=name.rpartition("_")[2])
        setting = f"TTPeriod={period}, TTPhase={draw(st.integers(0, period - 1))}"
        setting += f", TTDataIntervalWidth={draw(st.integers(1, 2 * period))}"
        tags.append(f"t{number}")
        data.append(f"x{number}")
        add(f"t{number}, x{number} = {name}(trigger, {setting})")
    kinds = ["call", "call", "call", "resample", "deadline", "nested", "merge"]
    for number in range(draw(st.integers(1, 6))):
        kind, to = draw(st.sampled_from(kinds)), f"y{number}"
        pick = [draw(st.sampled_from(data)) for _ in range(3)]
        if kind == "call":
            arity = draw(st.integers(1, 3))
            handled = ", TTUnmatched=lone" if draw(st.booleans()) and not plain else ""
            functions["lone"] = LONE
            add(f"{to} = {function('', arity)}({', '.join(pick[:arity])}{handled})")
        elif kind == "resample":
            period = draw(st.integers(2, 12))
            add(f"{to} = RESAMPLE({pick[0]}, TTPeriod={period}, TTPhase={draw(st.integers(0, period - 1))})")
        elif kind == "deadline":
            tag = draw(st.sampled_from(tags))
            arguments = draw(st.sampled_from(["", tag, pick[1]]))
            plan_b = f"{function('b', int(bool(arguments)))}({arguments})"
            goes_on = draw(st.booleans())
            due = f"TTTimeDeadline={tag} + {draw(st.integers(0, 9))}"
            line = f"{to} = TTFinishByOtherwise({pick[0]}, {due}, TTPlanB={plan_b}, TTWillContinue={goes_on})"
            add(line)
        elif kind == "nested":
            inner = f"g{number}"
            first, second = function("i", 1), function("j", 2)
            functions[inner] = (
                f"@GRAPHify\ndef {inner}(p, q):\n    inside = {first}(p)\n    return {second}(inside, q)\n"
            )
            add(f"{to} = {inner}({pick[0]}, {pick[1]})")
        else:
            add(f"{to} = MERGE({pick[0]}, {pick[1]})")
        data.append(to)
    shown = draw(st.lists(st.sampled_from(data), min_size=1, max_size=2, unique=True))
    lines.append(f"return {', '.join(shown)}" if draw(st.booleans()) else f"return {data[-1]}")
    graph = "@GRAPHify\ndef main(trigger):\n" + "".join(f"    {line}\n" for line in lines)
    return HEAD + "\n".join(functions.values()) + "\n" + graph
