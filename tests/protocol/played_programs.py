"""The programs of runs, and their versions."""

from __future__ import annotations

import functools
import random

from plans import NAMES
from played_system import MS

from programs import HEAD
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source

PROGRAMS = 24


def source(number: int) -> str:
    """One of the programs: lines of SQs that each give one token for one, with hosts that are given or free."""
    choice = random.Random(number)
    body = []
    for line in range(choice.randint(1, 2)):
        period = choice.choice([100, 150, 200]) * MS
        source = choice.choice(["count", "count", "ones"])
        steps = [f"{source}(trigger, TTPeriod={period}, TTPhase={choice.randrange(period)})"]
        steps += [f"{choice.choice(['same', 'total'])}(x{line}_{step})" for step in range(choice.randint(1, 2))]
        for step, call in enumerate(steps):
            made = f"x{line}_{step} = {call}"
            chance = choice.random()
            if chance < 0.6:
                allowed = choice.sample(NAMES[:3], 2)
                body.append(f"    with TTConstraint(name={allowed!r}):\n        {made}\n")
            elif chance < 0.7:
                body.append(f"    with TTConstraint(name={choice.choice(NAMES[:2])!r}):\n        {made}\n")
            else:
                body.append(f"    {made}\n")
    return f"{HEAD}@GRAPHify\ndef main(trigger):\n{''.join(body)}"


@functools.cache
def program(number: int, name: str = "g") -> TTGraph:
    """A program, compiled."""
    return compile_source(source(number), f"{name}.py", name)
