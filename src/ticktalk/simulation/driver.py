"""Simulated time: an agenda of our own beside a SimPy environment, and the network between simulated ensembles.

All ensembles of one environment share a `Simulation`: its agenda holds their timers and the tokens between them, so
one tick runs in graph order across ensembles. The agenda is drained up to SimPy's next event (`env.peek()`), so
that nothing of SimPy is overtaken. When something outside looks at `env.now` (a component's driver, an output
callback), the agenda takes one SimPy timeout per distinct instant instead.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import simpy

from ticktalk.accelerate.in_simulation import SimulationAccelerator
from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.codec import PLAIN, ValueFormatError, decode_value, encode_value, handed_on
from ticktalk.engine.execution import keep_bodies_from_stdout
from ticktalk.engine.forwarding import arc_name
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.engine.meter import Meter
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import Message
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.processes import TTNetworkManager, TTProcess
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.simulation.timing import Timing


class TTNetworkInterfaceSim:
    """The simulated network as one ensemble sees it: the seam at which the physical one takes its place."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation = simulation
        self.name = name

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message; it takes no simulated time, but waits while the link is cut."""
        if self._simulation.reachable(self.name, ensemble):
            self._simulation.send(ensemble, message)
        else:
            self._simulation.waiting.append((self.name, ensemble, message))


class _Site:
    """One simulated ensemble: what its contexts talk to (`Outside`).

    Attributes:
        alive: its process has not failed.
        info: what it said of itself when it joined.
    """

    def __init__(self, simulation: Simulation, name: str, manager: str, info: EnsembleInfo) -> None:
        self._simulation = simulation
        self.name = name
        self.manager = manager
        self.info = info
        self.alive = True
        self.network_manager: TTNetworkManager | None = None
        self.host: EnsembleHost | None = None
        self.take_output: Any = None  # on the manager's own ensemble
        self.take_error: Any = None
        self.log_error: Any = None

    @property
    def accelerator(self) -> Accelerator | None:
        """What contexts that start now are given."""
        return self._simulation.accelerator

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token over the simulated network, to each ensemble that consumes the arc."""
        data = None if value.__class__ in PLAIN else encode_value(value)
        simulation, here = self._simulation, self.host
        assert here is not None
        sender = here.contexts[graph, context]
        generation = sender.prepared.generations.get(arc.rpartition("/")[0], 0)
        for ensemble in ensembles:
            token = (ensemble, sender.prepared.host_of, graph, context, generation, arc, value, data, start, stop)
            if simulation.reachable(self.name, ensemble):
                tick = simulation.arrival(self, ensemble, graph, arc, value, data)
                simulation.carry(tick, self._arrive, *token)
            else:
                sender.counters.add(arc.rpartition("/")[0], "lost")

    def _arrive(
        self,
        ensemble: str,
        host_of: dict[str, str],
        graph: str,
        context: int,
        generation: int,
        arc: str,
        value: Any,
        data: bytes | None,
        start: Tick,
        stop: Tick,
    ) -> None:
        sq = arc.rpartition("/")[0]
        site = self._simulation.sites[ensemble]
        host = site.host
        running = host.contexts.get((graph, context)) if host is not None else None
        if running is None or not site.alive:
            if self.host is not None and (graph, context) in self.host.contexts:
                self.host.contexts[graph, context].counters.add(sq, "lost")
            return
        if generation < running.prepared.generations.get(sq, 0):
            running.counters.add(sq, "stale")  # its SQ has been placed elsewhere since
            return
        try:
            received = value if data is None else running.prepared.code.decode(data)
        except ValueFormatError as error:
            running.refuse(arc, start, stop, error)
            return
        assert host is not None
        if not host.movable:
            running.arrive(arc, received, start, stop)
            return
        # It is for the SQs that were here when it was sent; what has moved since it goes after.
        producer = running.prepared.graph.sq(sq)
        for consumer in dict.fromkeys(to.sq for to in producer.arcs[int(arc.rpartition("/")[2])].to):
            if host_of[consumer] != ensemble:
                continue
            if consumer in running.syncs:
                running.arrive_at(consumer, arc, received, start, stop)
            elif not self._simulation.follow(ensemble, graph, context, arc, consumer, value, data, start, stop):
                running.counters.add(sq, "lost")

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        manager = self._simulation.sites[self.manager]
        if manager is self:
            self._log(graph, context, sq, value, None, start, stop)
        elif self._simulation.reachable(self.name, self.manager):
            data = None if value.__class__ in PLAIN else encode_value(value)
            tick = self._simulation.arrival(self, self.manager, graph, arc_name(sq, 0), value, data)
            self._simulation.carry(tick, self._log, graph, context, sq, value, data, start, stop)
        elif self.host is not None:
            self.host.contexts[graph, context].counters.add(sq, "lost")

    def _log(self, graph: str, context: int, sq: str, value: Any, data: bytes | None, start: Tick, stop: Tick) -> None:
        manager = self._simulation.sites[self.manager]
        if data is not None:
            host = manager.host
            prepared = host.prepared.get(graph) if host is not None else None
            mine = self.host.prepared.get(graph) if self.host is not None else None
            known = mine or prepared
            value = known.code.decode(data) if known is not None else decode_value(data)
        elif value.__class__ not in PLAIN:
            value = handed_on(value)
        arrival = self._simulation.agenda.now
        manager.take_output(OutputToken(graph, value, start, stop, sq, self.name, context, arrival))

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        if self._simulation.reachable(self.name, self.manager):
            self._simulation.sites[self.manager].take_error(error)


class Simulation:
    """What the simulated ensembles of one SimPy environment share.

    Attributes:
        agenda: their timers and the tokens between them.
        network_delay: root ticks that a token takes between two ensembles.
        timing: how long bodies and tokens take, as a deployment file says; None: bodies no time, tokens that delay.
        meter: measures what bodies cost on this machine.
        exact: one SimPy timeout per distinct instant, so that `env.now` is always the present tick.
        accelerator: given to contexts that start; None: not where bodies take time, are measured, or SQs may move.
        sites: the ensembles by name.
        former: what ensembles held that have failed: their counters still count.
        cuts: the pairs of ensembles between which no message gets through.
        waiting: control messages that wait for a link to be whole: sender, receiver, message.
        movable: SQs may move while their contexts run.
        on_start: told of every context that starts: graph, number, start tick.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.agenda = Agenda(int(env.now))
        self.accelerator: Accelerator | None = SimulationAccelerator(self.agenda)
        self.network_delay = 0
        self.timing: Timing | None = None
        self.meter: Meter | None = None
        self.exact = False
        self.sites: dict[str, _Site] = {}
        self.former: list[EnsembleHost] = []
        self.cuts: set[frozenset[str]] = set()
        self.waiting: list[tuple[str, str, Message]] = []
        self.movable = False
        self.on_start: list[Callable[[str, int, int], None]] = []
        self.processes: list[TTProcess] = []
        self._undelivered: dict[str, list[Message]] = {}
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

    def add(self, name: str, manager: str, info: EnsembleInfo) -> _Site:
        """A place on the network for an ensemble."""
        site = _Site(self, name, manager, info)
        self.sites.setdefault(name, site)
        return site

    def make_movable(self) -> None:
        """Let SQs move between ensembles while their contexts run; before anything starts."""
        self.movable = True
        self.accelerator = None
        for site in self.sites.values():
            if site.host is not None:
                site.host.movable, site.host.under_way = True, self.network_delay

    def reachable(self, one: str, other: str) -> bool:
        """Whether messages get through between two ensembles."""
        return not self.cuts or one == other or frozenset((one, other)) not in self.cuts

    def fail(self, name: str) -> None:
        """The process of an ensemble dies: nothing of it fires any more, and nothing reaches it."""
        site = self.sites[name]
        site.alive = False
        self.hang_up(name)
        self.processes = [process for process in self.processes if process.ensemble_name != name]
        if site.host is not None:
            for context in site.host.contexts.values():
                context.close()
            if site.host.cores is not None:
                site.host.cores.fail()

    def resend(self, one: str, other: str) -> None:
        """Bring the messages that waited for a link to be whole."""
        here = [entry for entry in self.waiting if {entry[0], entry[1]} == {one, other}]
        self.waiting = [entry for entry in self.waiting if {entry[0], entry[1]} != {one, other}]
        for _, ensemble, message in here:
            self.send(ensemble, message)
        self.settle()

    def hang_up(self, name: str) -> None:
        """Drop the messages that wait to get to an ensemble, or from it: its session has ended."""
        self.waiting = [entry for entry in self.waiting if name not in entry[:2]]

    def slow(self, name: str, factor: Fraction) -> None:
        """The bodies of an ensemble that start from now on take `factor` times as long as at first."""
        if self.timing is not None:
            self.timing.cores_of(name).slow(factor)

    def remove(self, name: str) -> None:
        """Forget an ensemble that has failed; its name is free."""
        site = self.sites.pop(name, None)
        if site is not None and site.host is not None:
            self.former.append(site.host)

    def hosts(self) -> list[EnsembleHost]:
        """What all ensembles hold, with those that have failed."""
        return [*self.former, *(site.host for site in self.sites.values() if site.host is not None)]

    def follow(
        self,
        ensemble: str,
        graph: str,
        context: int,
        arc: str,
        consumer: str,
        value: Any,
        data: bytes | None,
        start: Tick,
        stop: Tick,
    ) -> bool:
        """Bring a token to one SQ that was handed over since the token was sent; whether it is found."""
        seen: set[str] = set()
        while ensemble not in seen:
            seen.add(ensemble)
            site = self.sites.get(ensemble)
            if site is None or not site.alive or site.host is None:
                return False
            running = site.host.contexts.get((graph, context))
            if running is not None and consumer in running.syncs:
                received = value if data is None else running.prepared.code.decode(data)
                running.arrive_at(consumer, arc, received, start, stop)
                return True
            ensemble = site.host.handed.get(graph, {}).get(consumer, ensemble)
        return False

    def send(self, ensemble: str, message: Message) -> None:
        """Bring a control message to an ensemble; if it is not there yet, when it comes."""
        site = self.sites.get(ensemble)
        if site is not None and not site.alive:
            return
        if site is None or site.network_manager is None:
            self._undelivered.setdefault(ensemble, []).append(message)
        else:
            site.network_manager.receive(message)

    def arrived(self, name: str) -> None:
        """An ensemble is on the network now: what was sent to it before reaches it."""
        for message in self._undelivered.pop(name, ()):
            self.send(name, message)

    def arrival(self, sender: _Site, receiver: str, graph: str, arc: str, value: Any, data: bytes | None) -> int:
        """When a token sent now on an arc reaches another ensemble."""
        if self.timing is None:
            return self.agenda.now + self.network_delay
        prepared = sender.host.prepared.get(graph) if sender.host is not None else None
        return self.timing.arrival(sender.name, receiver, prepared, arc.rpartition("/")[0], value, data)

    def carry(self, tick: int, deliver: Any, *message: Any) -> None:
        """Bring a token to another ensemble at `tick`, in the order sent."""
        if tick > self.agenda.now:
            self.agenda.deliver_at(tick, deliver, *message)
        else:
            deliver(*message)

    def settle(self) -> None:
        """Let all control messages take their course; this takes no simulated time."""
        self.agenda.now = self.now()
        with keep_bodies_from_stdout():
            busy = True
            while busy:
                busy = False
                for process in self.processes:
                    busy = process.handle_pending() or busy
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
            with keep_bodies_from_stdout():
                if agenda.ready and agenda.next_tick() != self.now():  # else all of that tick is done in one go
                    agenda.run_ready(self.now())
                if not self.exact:
                    agenda.run_while(env.peek)
                tick = agenda.next_tick()
                while tick is not None and tick <= env.now:
                    agenda.run_tick(tick)
                    tick = agenda.next_tick()
            if tick is None and self._idle is not None and not self._idle.triggered:
                self._idle.succeed()
            self._waits = True
            try:
                yield env.event() if tick is None else env.timeout(tick - env.now)
            except simpy.Interrupt:
                pass
            finally:
                self._waits = False
