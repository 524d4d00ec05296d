"""One run: a plan is carried out in a `World`."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from broken import BrokenError
from plans import BEGIN, NAMES, WATCHES, Command, Plan
from played_keys import Keys, steps
from played_programs import PROGRAMS, drops, program
from played_system import MANAGER, MS, Ensemble, S, World, played
from watch import Watch, Way

from ticktalk.graph.graph import TTGraph
from ticktalk.manager.state import ReplaceState
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import DeployRequest, DrainRequest, SetRequest, StartRequest, StopRequest
from ticktalk.replacement import REST_LIMIT, ReplaceRequest

SETTLES = 13 * S
"""For how long the system has to come to rest after all faults: silence is noticed, answers to a drain are given up."""

AWAITS = 11 * S
"""For how much longer it has where the manager was started again: it awaits its ensembles."""

STARTS = 500 * MS
"""The least time between two processes of one name: all that the former one sent has come by then."""

SEALED = 10
"""Of so many runs one seals what it sends as on a device."""

RESTS = (2, 2, 3, 5)
"""For how many looks in a row, a second apart, it has to be at rest: one of these, by the seed."""


class Run:
    """Carries out a plan. A command that is not possible then is left out: so a shorter plan is a plan, too."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.requests: list[tuple[int, str, Future[Any]]] = []
        self.dead: set[str] = set()
        self.revoked: dict[str, int] = {}
        self.lossy = False  # something was lost, or may have been
        self.restarts = 0
        self.mended = False
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
        kinds = {command.kind for command in plan.commands}
        keeps = not kinds.isdisjoint(("die", "fall")) or any(
            command.kind == "renew" and command.who == (MANAGER,) for command in plan.commands
        )
        if "rotate" in kinds:
            steps()  # before clocks are played
        with played(choice, seals=plan.seed % SEALED == 0):
            keys = Keys() if "rotate" in kinds else None
            self.world = world = World(choice, plan.checkpoint, keeps, keys, plan.rehearses)
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
        if any(command.kind == "replace" for command in self.plan.commands):
            limit += REST_LIMIT + WATCHES[-1]
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
        self.ask(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, DeployRequest(program(number, name)))
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
        if found is not None and name not in self.revoked and found.host.died <= self.world.now - STARTS:
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

    def do_fall(self, command: Command) -> None:
        """The manager dies when a stage of a replacement is written, or so much later."""
        (stage,) = command.who
        begun = False

        def look() -> None:
            nonlocal begun
            found = self.stage_written()
            begun = begun or bool(found)
            if begun and stage == (found or "end"):
                self.world.disk.written = lambda: None
                self.world.at(command.much, None, fall)

        def fall() -> None:
            if not self.mended:
                self.do_die(command)

        self.world.disk.written = look

    def stage_written(self) -> str:
        """The stage of the replacement that the next manager would find."""
        found = self.world.disk.parts.get('["replacement","g"]')
        return "" if found is None else msgspec.msgpack.decode(found, type=ReplaceState).stage

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

    def do_replace(self, command: Command) -> None:
        version, number = command.who[0], self.plan.program
        drop = drops(number, version)
        request = ReplaceRequest(program(number, "g", version), "g", drop_state=drop, watch=command.much)
        self.ask(RuntimeMsg.REPLACE, request)

    def do_rotate(self, command: Command) -> None:
        assert isinstance(self.world.keys, Keys)
        self.world.keys.renew(set(self.revoked))

    def do_renew(self, command: Command) -> None:
        """A process is ended, and started again with the newest credentials."""
        world, (name,) = self.world, command.who
        if not isinstance(world.keys, Keys):
            return
        if name == MANAGER:
            self.do_die(command)
            world.keys.take(name)
            self.do_follow(command)
        elif name in world.ensembles and name not in self.revoked:
            self.do_kill(command)
            world.keys.take(name)
            world.at(STARTS, None, self.do_return, command)

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
        world, self.mended = self.world, True
        world.disk.written = lambda: None
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
            if self.alive(name) is None:  # else it has been started meanwhile, with new credentials
                world.start(name)

    def end(self) -> None:
        """Stop all that still runs, and let that settle."""
        stopped = []
        for name in self.world.state.titles:
            stopped.append((name, self.watch.settled_ways(name), self.watch.renewed(name)))
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
