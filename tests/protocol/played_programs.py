"""The programs of runs, and the versions by which they are replaced."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from typing import Any

from plans import NAMES
from played_system import MS

from programs import HEAD
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.language.compiler import compile_source

PROGRAMS = 24

VERSIONS = {
    "same": 4,
    "moved": 3,
    "more": 2,
    "fewer": 1,
    "drops": 2,
    "slower": 1,
    "fails": 4,
    "keeps": 2,
}
"""The versions of a program, and how often each beside the rest.

`moved`: its SQs may be elsewhere. `more`, `fewer`: an SQ is new, or gone. `drops`: one is gone, and the streams begin
anew. `slower`: its streams have longer periods. `fails`: one SQ more, which always raises. `keeps`: sums are values of
a class that no other version has.
"""

FAILS = """@SQify
def fails(x):
    return x // 0
"""

KEEPS = """import dataclasses
@dataclasses.dataclass
class Sum:
    n: int
@SQify
def total(x):
    global sq_state
    found = sq_state.get("sum", 0)
    sq_state["sum"] = Sum((found.n if isinstance(found, Sum) else found) + x)
    return sq_state["sum"].n
"""


def source(number: int, version: str = "same") -> str:
    """One of the programs: lines of SQs that each give one token for one, with hosts that are given or free."""
    choice, elsewhere = random.Random(number), random.Random(number + PROGRAMS)
    body = []
    for line in range(choice.randint(1, 2)):
        period = choice.choice([100, 150, 200]) * MS
        source = choice.choice(["count", "count", "ones"])
        phase = choice.randrange(period)
        every = period + 50 * MS if version == "slower" else period
        steps = [f"{source}(trigger, TTPeriod={every}, TTPhase={phase})"]
        steps += [f"{choice.choice(['same', 'total'])}(x{line}_{step})" for step in range(choice.randint(1, 2))]
        for step, call in enumerate(steps):
            made = f"x{line}_{step} = {call}"
            where = _constraint(choice)
            if version == "moved":
                where = _constraint(elsewhere)
            body.append(f"    with {where}:\n        {made}\n" if where else f"    {made}\n")
    if version in ("fewer", "drops"):
        body.pop()
    if version in ("more", "fails"):
        body.append(f"    y = {'same' if version == 'more' else 'fails'}(x0_0)\n")
    more = {"fails": FAILS, "keeps": KEEPS}.get(version, "")
    return f"{HEAD}{more}@GRAPHify\ndef main(trigger):\n{''.join(body)}"


def _constraint(choice: random.Random) -> str:
    chance = choice.random()
    if chance < 0.6:
        return f"TTConstraint(name={choice.sample(NAMES[:3], 2)!r})"
    return f"TTConstraint(name={choice.choice(NAMES[:2])!r})" if chance < 0.7 else ""


@functools.cache
def program(number: int, name: str = "g", version: str = "same") -> TTGraph:
    """A program, compiled."""
    return compile_source(source(number, version), f"{name}.py", name)


def drops(number: int, version: str) -> list[str]:
    """The SQs of a program that go on without their state in a version of it."""
    before, after = program(number).sqs, program(number, "g", version).sqs
    gone = {sq.name for sq in before} - {sq.name for sq in after}
    return [sq.name for sq in before if sq.name in gone or sq.trigger == "grid"] if version == "drops" else []


def in_plain_python(sq: TTSQ, given: Any, states: dict[str, int]) -> int:
    """The value that an SQ gives; its state is taken from `states`, and put there."""
    match sq.function:
        case "count":
            states[sq.name] = states.get(sq.name, 0) + 1
        case "total":
            states[sq.name] = states.get(sq.name, 0) + given
        case "ones":
            return 1
        case _:
            return int(given)
    return states[sq.name]


def feeders(graph: TTGraph) -> Mapping[str, str]:
    """By SQ, the one whose tokens it gets."""
    return {to.sq: sq.name for sq in graph.sqs for arc in sq.arcs for to in arc.to}
