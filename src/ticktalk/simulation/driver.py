"""Simulated time: an agenda of our own beside a SimPy environment.

All ensembles of one environment share a `Simulation`. Its agenda holds their timers and the tokens between them, so one
tick runs in graph order across ensembles. The agenda is drained up to SimPy's next event (`env.peek()`), so
that nothing of SimPy is overtaken. Before somebody outside may look at `env.now` (a listener, a component's
driver), the environment is brought to the agenda's tick.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeVar

import simpy

from ticktalk.accelerate.loops import Loops
from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing.base import Fire, Send
from ticktalk.engine.firing_chain import Elsewhere, MakeStage, Report
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.engine.tap import Tap
from ticktalk.errors import TTRuntimeError
from ticktalk.hosted.body_costs import Meter
from ticktalk.hosted.body_output import keep_bodies_from_stdout
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.payloads import StartContext
from ticktalk.processes import TTProcess
from ticktalk.records import TookOver
from ticktalk.simulation.clocks import ClockedAgenda, WrongClock
from ticktalk.simulation.network import SimulatedNetwork
from ticktalk.simulation.simulated_ensemble import Site, size_of
from ticktalk.simulation.tick_ends import Ends
from ticktalk.simulation.under_way import UnderWay
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.mapping.deployment_file import DeploymentFile
    from ticktalk.simulation.timing import Timing

_Told = TypeVar("_Told")


class Simulation:
    """The state that the simulated ensembles of one SimPy environment share.

    Attributes:
        agenda: their timers and the tokens between them.
        network: brings messages and tokens from one ensemble to another.
        timing: how long bodies and tokens take, as a deployment file says; None: bodies no time, tokens a delay.
        seed: of the random numbers of links.
        clocks: by ensemble, its root clock, if it is not always that of the manager.
        meter: measures the costs of bodies on this machine.
        accelerator: given to contexts that start; None: not where bodies are measured.
        sites: the ensembles by name.
        former: the contents of ensembles that failed or left: their counters still count.
        movable: SQs may move while their contexts run.
        checkpoint: root ticks between two checkpoints of contexts that start; 0: none.
        flushes: called whenever SimPy goes on: what was written until then can be read by the user's processes.
        tap: `(ensemble, start)`: what takes note of a context there; None: nobody does.
        took_over: told that a graph goes on as another version of itself.
        drivers_look: drivers of components may look at the environment.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.agenda = Agenda(int(env.now))
        self.network = SimulatedNetwork(self.agenda)
        self.sites: dict[str, Site] = {}
        self.under_way = UnderWay(self.network, self.sites)
        self.accelerator: Accelerator | None = Loops(self.agenda, self.under_way)
        self.timing: Timing | None = None
        self.seed = 0
        self.clocks: dict[str, WrongClock] = {}
        self.meter: Meter | None = None
        self.former: list[EnsembleHost] = []
        self.movable = False
        self.checkpoint = 0
        self.flushes: list[Callable[[], None]] = []
        self.tap: Callable[[str, StartContext], Tap | None] = lambda ensemble, start: None
        self.took_over: Callable[[TookOver], None] = lambda note: None
        self.drivers_look = True
        self._ends = Ends(self.agenda)
        self._settling = False
        self._turns = Turns()
        self._waits = False
        self._idle: simpy.Event | None = None
        self._process = env.process(self._run())

    @classmethod
    def of(cls, env: simpy.Environment) -> Simulation:
        """The simulation of `env`, made at the first call.

        Raises:
            TypeError: `env` is no SimPy environment.
        """
        if not isinstance(env, simpy.Environment):
            raise TypeError(f"a simpy.Environment is wanted, not {env!r}: pass sim=simpy.Environment()")
        # Kept by the environment itself, so that both go together.
        found = getattr(env, "_ticktalk_simulation", None)
        if found is None:
            found = cls(env)
            env._ticktalk_simulation = found  # type: ignore[attr-defined]
        return found

    def now(self) -> int:
        """The present root tick."""
        return max(self.agenda.now, int(self.env.now))

    def show_now(self) -> None:
        """Bring the environment to the agenda's tick: somebody outside may look at `env.now`."""
        ahead = self.agenda.now - self.env.now
        if ahead > 0:
            # Nothing of SimPy is due before: the agenda is drained up to SimPy's next event only.
            self.env.timeout(ahead)
            self.env.step()

    def told_in_time(self, listener: Callable[[_Told], None]) -> Callable[[_Told], None]:
        """`listener`, called when `env.now` is the tick of what it is told; what it raises ends the run."""

        def tell(told: _Told) -> None:
            self.show_now()
            try:
                listener(told)
            except Exception as error:
                self.env.event().fail(error)

        return tell

    def beside_drivers(self) -> MakeStage:
        """The maker of the stage of a body that may use a driver."""
        return lambda context, own: _BesideDrivers(self, own) if own.sq.body else None

    def take_times(self, deployment: DeploymentFile) -> None:
        """Let bodies and tokens take the times that a deployment file gives; before anything starts."""
        from ticktalk.simulation.timing import Timing  # few simulations need it

        timing = self.timing = self.network.timing = Timing(deployment, self.agenda, self.seed)
        self.network.size = lambda sent: size_of(sent, timing)
        if timing.by_chance:
            self.change_links()
        for spec in deployment.ensembles:
            if any(spec.clock):
                self.clock_of(spec.name).set(self.now(), *spec.clock, seen=False)

    def change_links(self) -> None:
        """Let links and costs change, and tokens take their ways by chance; before anything starts."""
        assert self.timing is not None
        self.accelerator, self.timing.by_chance = None, True

    def clock_of(self, ensemble: str) -> WrongClock:
        """The clock of an ensemble that has one of its own from now on; before it takes part."""
        self.accelerator = None
        return self.clocks.setdefault(ensemble, WrongClock(self.now()))

    def agenda_of(self, ensemble: str) -> Agenda:
        """The timers of an ensemble."""
        clock = self.clocks.get(ensemble)
        return self.agenda if clock is None else ClockedAgenda(self.agenda, clock)

    def add(self, name: str, manager: str, info: EnsembleInfo) -> Site:
        """A place for an ensemble.

        Raises:
            TTRuntimeError: it is the manager's own, and has a clock of its own.
        """
        if name == manager and name in self.clocks:
            raise TTRuntimeError(f"the clock of {name!r} is the root clock, by which others are wrong: leave it out")
        before = self.sites.get(name)
        if before is not None and before.left:
            before.interface.alive = False
            self._turns.end(name)
            self.remove(name)
        site = Site(self.network, self.sites, name, manager, info, self)
        self.sites.setdefault(name, site)
        return site

    def make_movable(self) -> None:
        """Let SQs move between ensembles while their contexts run.

        Raises:
            TTRuntimeError: a graph is there already, whose arcs are listened to where its SQs are now only.
        """
        if not self.movable and any(host.prepared for host in self.hosts()):
            raise TTRuntimeError("SQs are movable from before the first graph, or not: a graph is here already")
        self.movable = self.network.keeps_arcs_in_order = True
        for site in self.sites.values():
            if site.host is not None:
                site.host.movable = True

    def cannot_move(self) -> str | None:
        """The reason why SQs cannot move; None: they can."""
        if self.movable:
            return None
        return "SQs do not move in this simulation: make its manager with TTRuntimeManagerSim(..., movable=True)"

    def start(self, process: TTProcess) -> simpy.Process:
        """Run a process of an ensemble in this simulation."""
        self._turns.add(process)
        return self.env.process(process.run_sim(self.env))

    def fail(self, name: str) -> None:
        """The process of an ensemble dies: nothing of it fires any more, and nothing reaches it."""
        site = self.sites[name]
        site.interface.alive = False
        self.network.hang_up(name)
        self._turns.end(name)
        if site.host is not None:
            for context in site.host.contexts.values():
                context.close()
            if site.cores is not None:
                site.cores.fail()

    def leave(self, name: str) -> None:
        """An ensemble has left the system: nothing of it fires any more, and its name is free."""
        self.fail(name)
        self.remove(name)

    def slow(self, name: str, factor: Fraction) -> None:
        """The bodies of an ensemble that start from now on take `factor` times as long as at first."""
        if self.timing is not None:
            self.timing.cores_of(name).slow(factor)

    def remove(self, name: str) -> None:
        """Forget an ensemble that has failed or left; its name is free."""
        site = self.sites.pop(name, None)
        self.network.leave(name)
        if site is not None and site.host is not None:
            self.former.append(site.host)

    def hosts(self) -> list[EnsembleHost]:
        """The contents of all ensembles, failed ones too."""
        return [*self.former, *(site.host for site in self.sites.values() if site.host is not None)]

    def at_end_of(self, tick: int, call: Callable[[Any], None], argument: Any) -> None:
        """Call `call(argument)` when all else of a tick is done; that alone keeps no simulation going."""
        self._ends.add(tick, call, argument)

    def settle(self) -> None:
        """Let all control messages take their course; this takes no simulated time."""
        if self._settling:
            return
        self._settling = True
        self.agenda.now = self.now()
        try:
            with keep_bodies_from_stdout():
                self._turns.run()
        finally:
            self._settling = False
        if self._waits and (self.agenda.ready or self.agenda.next_tick() is not None):
            self._waits = False
            self._process.interrupt()

    def run(self, until: int | None = None) -> None:
        """Run the environment: up to the tick `until` (exclusive), or until nothing is left to do here.

        Processes of the user that go on for ever do not keep it from ending.
        """
        if until is not None:
            if until > self.env.now:
                self.env.run(until=until)
            return
        self.settle()
        if self.agenda.ready or self.agenda.next_tick() is not None:
            self._idle = self.env.event()
            self.env.run(until=self._idle)
            self._idle = None

    def _run(self) -> Generator[simpy.Event, Any, None]:
        env, agenda = self.env, self.agenda
        while True:
            self._ends.wake()
            with keep_bodies_from_stdout():
                if agenda.ready and agenda.next_tick() != self.now():  # else all of that tick is done in one go
                    agenda.run_ready(self.now())
                agenda.run_while(env.peek)
                tick = agenda.next_tick()
                while tick is not None and tick <= env.now:
                    agenda.run_tick(tick)
                    tick = agenda.next_tick()
            if tick is None and self._idle is not None and not self._idle.triggered:
                self._idle.succeed()
            for flush in self.flushes:
                flush()
            self._waits = True
            try:
                yield env.event() if tick is None else env.timeout(tick - env.now)
            except simpy.Interrupt:
                pass
            finally:
                self._waits = False


class _BesideDrivers:
    """The stage "drivers" of one SQ: its body finds the environment at its tick."""

    __slots__ = ("_simulation", "body", "report", "send")

    def __init__(self, simulation: Simulation, elsewhere: Elsewhere) -> None:
        self._simulation = simulation
        self.body: Fire
        self.send: Send = elsewhere.send
        self.report: Report = elsewhere.report

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        self._simulation.show_now()
        self.body(start, stop, values, now)


class Turns:
    """The processes of all ensembles, and their turns to respond to messages.

    In a round each process that has messages has a turn, in the order in which they were added. So what it costs is
    the messages, however many processes there are.
    """

    def __init__(self) -> None:
        self._processes: dict[int, TTProcess] = {}
        self._of: dict[str | None, list[int]] = {}  # by ensemble, the numbers of its processes
        self._added = 0
        self._round = 0
        self._now = -1  # the number of the process whose turn it is
        self._due: list[tuple[int, int]] = []  # a heap of rounds and numbers
        self._waiting: set[int] = set()

    def add(self, process: TTProcess) -> None:
        """Give a process turns from now on."""
        number = self._added = self._added + 1
        self._processes[number] = process
        self._of.setdefault(process.ensemble_name, []).append(number)
        process.wake = lambda: self._wake(number)

    def end(self, ensemble: str) -> None:
        """Give the processes of an ensemble no more turns."""
        for number in self._of.pop(ensemble, ()):
            del self._processes[number]

    def _wake(self, number: int) -> None:
        if number not in self._waiting:
            self._waiting.add(number)
            heapq.heappush(self._due, (self._round + (number <= self._now), number))

    def run(self) -> None:
        """Give turns until no process has messages."""
        try:
            while self._due:
                self._round, self._now = heapq.heappop(self._due)
                self._waiting.discard(self._now)
                process = self._processes.get(self._now)
                if process is not None:
                    process.handle_pending()
        except BaseException:
            self._wake(self._now)  # the messages behind the one that failed
            raise
        finally:
            self._now = -1
