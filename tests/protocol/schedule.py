"""The plan of a seed."""

from __future__ import annotations

import random

from plans import BEGIN, NAMES, Command, Plan
from played_programs import PROGRAMS
from played_system import MANAGER, MS, S
from stories import renewal, replacement, story

FAULTS = 5 * S
"""For how long commands are given after that."""

STORIES = 0.75
"""The share of runs with commands that belong together."""

REPLACED, RENEWED = 0.3, 0.1
"""The shares of runs whose graph is replaced, and whose authority is renewed, besides."""

REHEARSES = 10
"""Of so many runs one has heads-ups before later instants of streams, too."""

KINDS = {
    "kill": 6,
    "return": 6,
    "cut": 6,
    "lose": 4,
    "mute": 2,
    "heal": 8,
    "stop": 3,
    "busy": 3,
    "slow": 3,
    "quick": 2,
    "drift": 1,
    "copies": 2,
    "drain": 4,
    "set": 1,
    "deploy": 2,
    "again": 2,
    "end": 2,
    "join": 1,
    "revoke": 1,
    "die": 3,
    "follow": 4,
    "step": 1,
    "utc": 1,
}
"""What may happen, and how often beside the rest."""


CALM = ("drain", "set", "again", "deploy", "slow", "quick", "join", "copies", "drift", "end", "die", "follow", "utc")
"""Kinds by which nothing is lost but what lives on the manager's own ensemble: then each token is looked for."""


def plan(seed: int) -> Plan:
    """The run of a seed."""
    choice = random.Random(seed)
    names = NAMES[: choice.choice([1, 2, 2, 2, 2, 3, 3, 3, 3])]
    everybody = (*names, MANAGER)
    length = choice.choice([0, 0, 3 * S, 6 * S])
    kinds = list(KINDS if seed % 3 else CALM)
    # Few kinds at a time: so some runs have no losses, and all is exact there.
    kinds = choice.sample(kinds, choice.randint(2, len(kinds)))
    weights = [KINDS[kind] for kind in kinds]
    commands, at, wanted = [], BEGIN, None
    for _ in range(choice.randint(1, 10)):
        at += choice.choice([choice.randrange(50 * MS), choice.randrange(500 * MS), choice.randrange(2 * S)])
        if at > BEGIN + FAULTS:
            break
        kind = choice.choices(kinds, weights)[0]
        who: tuple[str, ...] = (choice.choice(names),)
        much = 0
        if kind in ("cut", "lose", "heal", "slow"):
            pair = choice.sample(everybody, 2)
            who = tuple(sorted(pair if choice.random() < 0.5 else {choice.choice(names), MANAGER}))
        if kind == "mute":
            who = tuple(choice.sample(everybody, 2))
        if kind in ("stop", "busy"):
            who = (choice.choice(everybody),)
            much = choice.choice([200 * MS, 1 * S, 1700 * MS, 3 * S])
        elif kind == "slow":
            much = choice.choice([20 * MS, 100 * MS, 400 * MS])
        elif kind == "drift":
            much = choice.choice([-200, 200])
        elif kind == "step":
            who = (choice.choice(everybody),)
            much = choice.choice([20 * MS, 300 * MS, 500 * MS, 900 * MS])
            if who == (MANAGER,):
                much = 20 * MS  # it would take ensembles for silent too soon (`docs/guarantees.md`)
        elif kind == "utc":
            who = (choice.choice(everybody),)
            much = choice.choice([-3600 * S, -500 * MS, 500 * MS, 3600 * S])
        elif kind == "set":
            much = choice.choice([50 * MS, 300 * MS])
        commands.append(Command(at, kind, who, much))
    if choice.random() < STORIES:
        commands = commands[: choice.randint(0, 3)]
        begin = choice.randrange(BEGIN, BEGIN + 2 * S)
        told, wanted = story(choice, names, seed % 3 == 0)
        commands += [each._replace(at=begin + each.at) for each in told]
        commands.sort(key=lambda each: each.at)
    number, checkpoint = choice.randrange(PROGRAMS), choice.choice([0, 300 * MS, 500 * MS])
    if wanted is not None:
        number, length = wanted, 0
    commands += _besides(random.Random(f"{seed} besides"), names, calm=seed % 3 == 0)
    commands.sort(key=lambda each: each.at)
    return Plan(seed, names, number, length, checkpoint, tuple(commands), seed % REHEARSES == 5)


def _besides(choice: random.Random, names: tuple[str, ...], calm: bool) -> list[Command]:
    """Commands that came to the others later: what those are for a seed stays as it was."""
    which, begin = choice.random(), choice.randrange(BEGIN, BEGIN + 2 * S)
    found = []
    if which < REPLACED:
        found = replacement(choice, names, calm)
    elif which < REPLACED + RENEWED:
        found = renewal(choice, names)
    return [each._replace(at=begin + each.at) for each in found]
