"""Commands that belong together: each story is for a rule of the protocol."""

from __future__ import annotations

import random

from plans import WATCHES, Command
from played_programs import VERSIONS
from played_system import MANAGER, MS, S

RETURNS = (12, 20)
"""Programs in which an SQ may live on `c` and `b`, and its receiver on `a`."""


def story(choice: random.Random, names: tuple[str, ...], calm: bool) -> tuple[list[Command], int | None]:
    """Commands that belong together, from time 0 on: a rule of the protocol is for them. `calm`: they lose nothing.

    With them the program that they are for; None: any.
    """
    program = None
    who, other = choice.sample(names, 2) if len(names) > 1 else (*names, *names)
    to_manager = tuple(sorted((who, MANAGER)))
    pair = tuple(sorted((who, other)))
    soon, later = choice.randrange(150 * MS), choice.randrange(1200 * MS, 3200 * MS)
    found = []
    if len(names) == 1:
        which = 1 if calm else choice.choice([3, 4, 5, 7, 8, 10])
    else:
        which = choice.randrange(3 if calm else 15)
    match which:
        case 0:  # what is sent is under way for long when its SQ moves
            links = [to_manager, tuple(sorted((other, MANAGER)))]
            for link in choice.choice([[pair], [pair], [pair, links[1]], links[:1], links]):
                found.append(Command(0, "slow", link, choice.choice([50, 150, 400]) * MS))
            found.append(Command(200 * MS + soon, "drain", (who,)))
            if choice.random() < 0.7:
                found.append(Command(250 * MS + 3 * soon, "quick", (who,)))
            if choice.random() < 0.2:
                found.append(Command(200 * MS + 4 * soon, "end", (who,)))
        case 1:  # a manager dies with what it has just been asked for
            kind = choice.choice(["deploy", "end", "again", "drain", "join"])
            found += [Command(0, kind, (who,)), Command(soon // 5, "die", (who,))]
            found.append(Command(soon // 5 + choice.choice([soon, 10 * soon]), "follow", (who,)))
        case 2:  # it comes to an ensemble that others learn of late
            found.append(Command(0, "slow", choice.choice([pair, to_manager]), choice.choice([100, 400]) * MS))
            found += [Command(soon, "join", (who,)), Command(2 * soon, "drain", (who,))]
        case 3:  # about as long as a lease
            found += [Command(0, choice.choice(["cut", "lose"]), to_manager), Command(later, "heal", to_manager)]
        case 4:
            still = choice.choice([1600, 2200, 3000]) * MS
            found.append(Command(0, choice.choice(["stop", "busy"]), (who,), still))
        case 5:  # too short to be noticed
            found += [Command(0, "lose", to_manager), Command(200 * MS + 3 * soon, "heal", to_manager)]
        case 6:  # something is begun or ended without one that is cut off
            found += [Command(0, choice.choice(["cut", "lose"]), to_manager)]
            found.append(Command(soon * 10, choice.choice(["join", "end", "again", "deploy", "kill"]), (other,)))
            found.append(Command(later, "heal", to_manager))
        case 7:  # the manager is alone
            links = [tuple(sorted((name, MANAGER))) for name in names]
            how = choice.choice(["cut", "lose"])
            found += [Command(soon * at // 4, how, link) for at, link in enumerate(links)]
            found += [Command(later + 1 * S, "heal", link) for link in links]
        case 8:  # it was far away before it is cut off
            found.append(Command(0, "slow", to_manager, 400 * MS))
            found += [Command(1000 * MS + soon, "lose", to_manager), Command(1 * S + later, "heal", to_manager)]
        case 9:  # its tokens come when others have come from where its SQs are by then
            found.append(Command(0, "cut", pair))
            found.append(Command(300 * MS + soon, *choice.choice([("lose", to_manager), ("kill", (who,))])))
            found += [Command(2 * S + later, "heal", link) for link in (pair, to_manager)]
        case 10:  # it hears what it is to begin, but no answer
            found += [Command(0, "mute", (who, MANAGER)), Command(1 * S + 6 * soon, "again", (who,))]
            found.append(Command(1 * S + later, "heal", to_manager))
        case 11:  # answers to it are under way for about as long as there is between its lease and what others wait
            found.append(Command(0, "late", (MANAGER, who), choice.choice([800, 1000, 1200, 1400]) * MS))
            found.append(Command(1800 * MS + 4 * soon, "lose", to_manager))
            found.append(Command(3 * S + later, "heal", to_manager))
        case 12 | 13:  # its SQs go elsewhere and come back, before what it had sent comes to a third one
            third = choice.choice([name for name in (*names, MANAGER) if name not in (who, other)])
            if len(names) == 3 and choice.random() < 0.7:
                who, other, third, program = "c", "b", "a", choice.choice(RETURNS)
                to_manager = tuple(sorted((who, MANAGER)))
            link = tuple(sorted((who, third)))
            found += [Command(0, "cut", link), Command(300 * MS + soon, "lose", to_manager)]
            found.append(Command(2900 * MS + soon, "heal", to_manager))
            found.append(Command(3100 * MS + 2 * soon, choice.choice(["kill", "drain"]), (other,)))
            found.append(Command(6200 * MS + soon, "heal", link))
        case _:  # a drain that does not come to its end
            found.append(Command(0, "drain", (who,)))
            kind, struck = choice.choice(["kill", "stop", "cut", "lose"]), choice.choice([who, other])
            link = kind in ("cut", "lose")
            found.append(
                Command(
                    soon // 4,
                    kind,
                    tuple(sorted((struck, MANAGER))) if link else (struck,),
                    2200 * MS if kind == "stop" else 0,
                )
            )
    return found, program


STAGES = ("prepare", "expect", "drain", "hold", "hand", "try", "place", "watch", "back", "end")
"""The stages of a replacement, as they are written."""


def replacement(choice: random.Random, names: tuple[str, ...], calm: bool) -> list[Command]:
    """The graph is replaced, and something happens meanwhile; from time 0 on. `calm`: nothing is lost by that."""
    versions, often = list(VERSIONS), list(VERSIONS.values())
    found: list[Command] = []
    at = 0
    for _ in range(choice.choice([1, 1, 1, 2, 3])):
        found.append(_replace(at, choice.choices(versions, often)[0], choice.choice(WATCHES)))
        at += choice.choice([choice.randrange(100 * MS), choice.randrange(800 * MS), choice.randrange(4 * S)])
    who, other = choice.choice(names), choice.choice([*names, MANAGER])
    pair = tuple(sorted((who, MANAGER if who == other else other)))
    soon = choice.choice([choice.randrange(100 * MS), choice.randrange(800 * MS), choice.randrange(3 * S)])
    later = soon + choice.choice([choice.randrange(400 * MS), choice.randrange(3 * S)])
    match choice.randrange(4 if calm else 8):
        case 0:  # nothing else
            pass
        case 1 | 2:  # the manager dies as soon as a stage is written, or shortly after
            stage = choice.choice(STAGES)
            if stage == "back":
                found[0] = _replace(0, "fails", WATCHES[-1])
            found.insert(0, Command(0, "fall", (stage,), choice.choice([0, choice.randrange(6 * MS)])))
            found.append(Command(max(later, 400 * MS), "follow"))
        case 3:  # a request beside it, before or after, and maybe on a slow link
            if choice.random() < 0.5:
                found.insert(0, Command(0, "slow", pair, choice.choice([20, 100, 400]) * MS))
            kind = choice.choice(["drain", "again", "end", "deploy", "set", "join", "die"])
            much = choice.choice([50, 300]) * MS if kind == "set" else 0
            beside = Command(soon, kind, (who,), much)
            if choice.random() < 0.3:  # it comes first
                found = [beside._replace(at=0), *(each._replace(at=each.at + soon) for each in found)]
            else:
                found.append(beside)
        case 4 | 5:  # one of its ensembles, or a link, fails
            kind = choice.choice(["kill", "stop", "busy", "cut", "lose", "revoke"])
            still = choice.choice([200, 1000, 1700, 3000]) * MS if kind in ("stop", "busy") else 0
            found.append(Command(soon, kind, pair if kind in ("cut", "lose") else (who,), still))
            found.append(Command(later, "return", (who,)) if kind == "kill" else Command(later, "heal", pair))
        case 6:  # orders, or answers, come late or not at all
            way = choice.choice([(who, MANAGER), (MANAGER, who)])
            kind = choice.choice(["mute", "late"])
            much = choice.choice([300, 800, 1400]) * MS if kind == "late" else 0
            found.append(Command(soon, kind, way, much))
            found.append(Command(later, "heal", pair) if kind == "mute" else Command(later, "quick", (who,)))
        case _:  # two faults: an ensemble fails, and the manager dies
            kind = choice.choice(["kill", "stop", "lose"])
            link = tuple(sorted((who, MANAGER)))
            found.append(Command(soon, kind, link if kind == "lose" else (who,), 2200 * MS if kind == "stop" else 0))
            found.insert(0, Command(0, "fall", (choice.choice(STAGES),), choice.randrange(300 * MS)))
            found += [Command(max(later, 400 * MS), "follow"), Command(later + soon, "heal", link)]
    return sorted(found, key=lambda each: each.at)


def _replace(at: int, version: str, watch: int) -> Command:
    return Command(at, "replace", (version,), watch)


def renewal(choice: random.Random, names: tuple[str, ...]) -> list[Command]:
    """The authority is renewed, in one step or two: all are given new credentials, and started again with them."""
    found, at = [], 0
    gap = choice.choice([150, 400, 700]) * MS
    for _ in range(choice.choice([1, 2, 2])):
        found.append(Command(at, "rotate"))
        for who in choice.sample((*names, MANAGER), len(names) + 1):
            at += choice.randrange(gap)
            found.append(Command(at, "renew", (who,)))
        at += choice.randrange(gap)
    for _ in range(choice.choice([0, 0, 1, 2])):
        kind = choice.choice(["revoke", "revoke", "join", "kill", "return", "drain", "lose", "heal"])
        who = choice.choice(names)
        link = tuple(sorted((who, MANAGER)))
        found.append(Command(choice.randrange(at + 1), kind, link if kind in ("lose", "heal") else (who,)))
    return sorted(found, key=lambda each: each.at)
