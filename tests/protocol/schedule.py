"""What is done to a system in one run: a list of commands, made from a seed, and carried out in a `World`."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from played_system import MANAGER, MS, Ensemble, S, World, played
from watch import BrokenError, Watch, Way

from programs import HEAD
from ticktalk.graph.graph import TTGraph
from ticktalk.language.compiler import compile_source
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, DrainRequest, SetRequest, StartRequest, StopRequest

NAMES = ("a", "b", "c", "d")
PROGRAMS = 24
BEGIN = 600 * MS
"""When the first graph is deployed: the ensembles have joined by then."""

FAULTS = 5 * S
"""For how long commands are given after that."""

SETTLES = 13 * S
"""For how long the system has then to come to rest: silence is noticed, answers to a drain are given up."""

AWAITS = 11 * S
"""For how much longer it has where the manager was started again: it awaits its ensembles."""

STARTS = 500 * MS
"""The least time between two processes of one name: all that the former one sent has come by then."""

STORIES = 0.75
"""The share of runs with commands that belong together."""

SEALED = 10
"""Of so many runs one seals what it sends as on a device."""

RESTS = (2, 2, 3, 5)
"""For how many looks in a row, a second apart, it has to be at rest: one of these, by the seed."""


class Command(NamedTuple):
    """One thing that is done: when (microseconds), what, to whom, and how much."""

    at: int
    kind: str
    who: tuple[str, ...] = ()
    much: int = 0

    def __str__(self) -> str:
        much = f" {self.much}" if self.much else ""
        return f"{self.at / S:.3f}s {self.kind} {' '.join(self.who)}{much}".rstrip()


class Plan(NamedTuple):
    """A whole run: its seed, ensembles, program, the length of its streams (0: without end), and commands."""

    seed: int
    names: tuple[str, ...]
    program: int
    length: int
    checkpoint: int
    commands: tuple[Command, ...]


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
    return Plan(seed, names, number, length, checkpoint, tuple(commands))


class Run:
    """Carries out a plan. A command that is not possible then is left out: so a shorter plan is a plan, too."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests: list[tuple[int, str, Future[Any]]] = []
        self.dead: set[str] = set()
        self.revoked: dict[str, int] = {}
        self.lossy = False  # something was lost, or may have been
        self.restarts = 0
        self.deployed: list[str] = []
        self.losses: list[tuple[str, Any, set[Way], bool]] = []
        self.programs: dict[str, TTGraph] = {}

    def go(self) -> Run:
        """Carry it out.

        Raises:
            AssertionError: an invariant does not hold; the message says which.
        """
        plan = self.plan
        choice = random.Random(plan.seed + 1)
        with played(choice, seals=plan.seed % SEALED == 0):
            keeps = any(command.kind == "die" for command in plan.commands)
            self.world = world = World(choice, plan.checkpoint, keeps)
            self.watch = Watch(self)
            with self.watch:
                for name in plan.names:
                    world.start(name)
                world.run(BEGIN - 100 * MS)
                self.deploy("g", plan.program, plan.length)
                world.run(BEGIN)
                for command in plan.commands:
                    world.run(command.at)
                    self.do(command)
                    self.watch.during()
                self.mend()
                self.settle()
                self.end()
                self.watch.at_end()
        return self

    def settle(self) -> None:
        """Let it come to rest, and see that it stays so."""
        world, rests = self.world, 0
        limit = world.now + SETTLES + (AWAITS if self.restarts else 0)
        while rests < RESTS[self.plan.seed % len(RESTS)]:
            world.run(world.now + S)
            self.watch.during()
            try:
                self.watch.at_rest()
                rests += 1
            except BrokenError:
                if world.now >= limit:
                    raise
                rests = 0

    def ask(self, kind: RuntimeMsg, request: Any) -> None:
        if not self.world.manager_host.alive:
            return
        self.requests.append((self.world.now, kind.name, self.world.request(kind, request)))

    def deploy(self, name: str, number: int, length: int) -> None:
        if not self.world.manager_host.alive:
            return
        self.deployed.append(name)
        self.programs[name] = program(number, name)
        self.ask(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(self.programs[name]))
        self.start(name, length)

    def start(self, name: str, length: int) -> None:
        self.ask(RuntimeMsg.EXECUTE_GRAPH, StartRequest(name, {}, length=length or None, again=True))

    def do(self, command: Command) -> None:
        act: Callable[[Command], None] = getattr(self, f"do_{command.kind}")
        act(command)

    def alive(self, name: str) -> Ensemble | None:
        found = self.world.ensembles.get(name)
        return found if found is not None and found.host.alive and not found.ended else None

    def do_kill(self, command: Command) -> None:
        ensemble = self.alive(command.who[0])
        if ensemble is not None:
            ensemble.host.die()
            self.lossy = True

    def do_return(self, command: Command) -> None:
        name = command.who[0]
        found = self.world.ensembles.get(name)
        if found is not None and name not in self.revoked and found.host.died < self.world.now - STARTS:
            self.world.start(name)

    def do_cut(self, command: Command) -> None:
        self.lossy = True
        self.world.network.cut(*command.who, "holds")

    def do_lose(self, command: Command) -> None:
        self.lossy = True
        self.world.network.cut(*command.who, "loses")

    def do_mute(self, command: Command) -> None:
        self.lossy = True
        self.world.network.mute(*command.who)

    def do_heal(self, command: Command) -> None:
        self.world.network.heal(*command.who)

    def host(self, name: str) -> Any:
        return self.world.manager_host if name == MANAGER else self.world.ensembles[name].host

    def do_stop(self, command: Command) -> None:
        self.lossy = True
        host = self.host(command.who[0])
        host.stand("stopped")
        self.world.at(command.much, None, host.stand, "")

    def do_busy(self, command: Command) -> None:
        self.lossy = True
        host = self.host(command.who[0])
        host.stand("busy")
        self.world.at(command.much, None, host.stand, "")

    def do_slow(self, command: Command) -> None:
        self.world.network.delay[frozenset(command.who)] = command.much

    def do_late(self, command: Command) -> None:
        self.world.network.late[command.who[0], command.who[1]] = command.much

    def do_quick(self, command: Command) -> None:
        self.world.network.delay.clear()
        self.world.network.late.clear()

    def do_die(self, command: Command) -> None:
        if self.world.manager_host.alive:
            self.restarts += 1
            state = self.world.state
            own = any(MANAGER in graph.host_of.values() for graph in state.graphs.values())
            self.lossy |= own or bool(state.draining)  # its SQs end with it, and so does a drain
            self.world.kill_manager()
            self.requests = [each for each in self.requests if each[2].done()]
            self.watch.forget()

    def do_follow(self, command: Command) -> None:
        if not self.world.manager_host.alive:
            self.world.follow_manager()

    def do_step(self, command: Command) -> None:
        self.lossy = True
        self.host(command.who[0]).step(command.much)

    def do_utc(self, command: Command) -> None:
        self.host(command.who[0]).utc += command.much

    def do_drift(self, command: Command) -> None:
        self.host(command.who[0]).drift(command.much)

    def do_copies(self, command: Command) -> None:
        self.world.network.copies = 0.0 if self.world.network.copies else 0.3

    def do_drain(self, command: Command) -> None:
        self.ask(RuntimeMsg.DRAIN, DrainRequest(command.who[0]))

    def do_set(self, command: Command) -> None:
        streams = [sq.name for sq in program(self.plan.program).sqs if sq.trigger == "grid"]
        self.ask(RuntimeMsg.SET_GRID, SetRequest("g", streams[0], command.much, 0))

    def do_deploy(self, command: Command) -> None:
        self.deploy(f"h{len(self.deployed)}", (self.plan.program + 1) % PROGRAMS, 2 * S)

    def do_again(self, command: Command) -> None:
        self.start("g", 2 * S)

    def do_end(self, command: Command) -> None:
        self.ask(RuntimeMsg.STOP_GRAPH, StopRequest(self.deployed[-1]))

    def do_join(self, command: Command) -> None:
        name = next((name for name in NAMES if name not in self.world.ensembles), None)
        if name is not None:
            self.world.start(name)

    def do_revoke(self, command: Command) -> None:
        self.lossy = True
        self.world.revoke(command.who[0])
        self.revoked.setdefault(command.who[0], self.world.now)

    def mend(self) -> None:
        """End all faults."""
        world = self.world
        self.do_follow(Command(world.now, "follow"))
        for host in [world.manager_host, *(ensemble.host for ensemble in world.ensembles.values())]:
            host.stand("")
            host.body_time = 0
        world.network.delay.clear()
        world.network.late.clear()
        world.network.copies = 0.0
        for pair in [*world.network.cuts, *world.network.muted]:
            world.network.heal(*sorted(pair))
        gone = [name for name in world.ensembles if self.alive(name) is None and name not in self.revoked]
        if gone:
            world.run(world.now + STARTS)
        for name in gone:
            world.start(name)

    def end(self) -> None:
        """Stop all that still runs, and let that settle."""
        stopped = []
        for name in list(self.world.state.graphs):
            renewed = any(self.world.state.graphs[name].generations.values())
            stopped.append((name, self.watch.settled_ways(name), renewed))
            self.ask(RuntimeMsg.STOP_GRAPH, StopRequest(name))
        self.world.run(self.world.now + 2 * S)
        for (name, ways, renewed), (*_, reply) in zip(stopped, self.requests[-len(stopped) :], strict=False):
            if reply.done() and not reply.exception():
                self.losses.append((name, reply.result(), ways, renewed))

    def stays(self, name: str) -> bool:
        """True if an ensemble is the process that it was from the beginning, and has joined once."""
        if name == MANAGER:
            return not self.restarts
        found = self.alive(name)
        return found is not None and found.starts == 1 and found.joins == 1 and name not in self.revoked
