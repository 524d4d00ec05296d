"""Simulated time: an agenda of our own beside a SimPy environment, and the network between simulated ensembles.

All ensembles of one environment share a `Simulation`: its agenda holds their timers and the tokens between them, so
one tick runs in graph order across ensembles. The agenda is drained up to SimPy's next event (`env.peek()`), so
that nothing of SimPy is overtaken. When something outside looks at `env.now` (a component's driver, an output
callback), the agenda takes one SimPy timeout per distinct instant instead.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import simpy

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.execution import FiringError, keep_bodies_from_stdout
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.engine.outputs import OutputToken
from ticktalk.engine.region import RegionTimers
from ticktalk.engine.values import PLAIN, ValueFormatError, decode_value, encode_value, handed_on
from ticktalk.processes import Message, TTNetworkManager, TTProcess
from ticktalk.time import Tick


class TTNetworkInterfaceSim:
    """The simulated network as one ensemble sees it: the seam at which the physical one takes its place."""

    def __init__(self, simulation: Simulation, name: str) -> None:
        self._simulation = simulation
        self.name = name

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message; it takes no simulated time."""
        self._simulation.send(ensemble, message)


class _Site:
    """One simulated ensemble: what its contexts talk to (`Outside`)."""

    def __init__(self, simulation: Simulation, name: str, manager: str) -> None:
        self._simulation = simulation
        self.name = name
        self.manager = manager
        self.network_manager: TTNetworkManager | None = None
        self.host: EnsembleHost | None = None
        self.take_output: Any = None  # on the manager's own ensemble
        self.take_error: Any = None
        self.log_error: Any = None

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token over the simulated network, to each ensemble that consumes the arc."""
        data = None if value.__class__ in PLAIN else encode_value(value)
        for ensemble in ensembles:
            self._simulation.carry(ensemble, self._arrive, ensemble, graph, context, arc, value, data, start, stop)

    def _arrive(
        self,
        ensemble: str,
        graph: str,
        context: int,
        arc: str,
        value: Any,
        data: bytes | None,
        start: Tick,
        stop: Tick,
    ) -> None:
        host = self._simulation.sites[ensemble].host
        running = host.contexts.get((graph, context)) if host is not None else None
        if running is not None:
            try:
                received = value if data is None else decode_value(data, running.prepared.code.find_class)
            except ValueFormatError as error:
                running.refuse(arc, start, stop, error)
                return
            running.arrive(arc, received, start, stop)

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        manager = self._simulation.sites[self.manager]
        if manager is self:
            self._log(graph, context, sq, value, None, start, stop)
        else:
            data = None if value.__class__ in PLAIN else encode_value(value)
            self._simulation.carry(self.manager, self._log, graph, context, sq, value, data, start, stop)

    def _log(self, graph: str, context: int, sq: str, value: Any, data: bytes | None, start: Tick, stop: Tick) -> None:
        manager = self._simulation.sites[self.manager]
        if data is not None:
            host = manager.host
            prepared = host.prepared.get(graph) if host is not None else None
            mine = self.host.prepared.get(graph) if self.host is not None else None
            known = mine or prepared
            value = decode_value(data, known.code.find_class if known is not None else None)
        elif value.__class__ not in PLAIN:
            value = handed_on(value)
        arrival = self._simulation.agenda.now
        manager.take_output(OutputToken(graph, value, start, stop, sq, self.name, context, arrival))

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        self._simulation.sites[self.manager].take_error(error)


class Simulation:
    """What the simulated ensembles of one SimPy environment share.

    Attributes:
        agenda: their timers and the tokens between them.
        network_delay: root ticks that a token takes between two ensembles.
        exact: one SimPy timeout per distinct instant, so that `env.now` is always the present tick.
        sites: the ensembles by name.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.agenda = Agenda(int(env.now))
        self._regions = self.agenda.regions = RegionTimers(self.agenda)
        self.network_delay = 0
        self.exact = False
        self.sites: dict[str, _Site] = {}
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

    @property
    def regions(self) -> bool:
        """Whether contexts that start now run what is settled before as generated code."""
        return self._regions.allowed

    @regions.setter
    def regions(self, allowed: bool) -> None:
        self._regions.allowed = allowed

    def now(self) -> int:
        """The present root tick."""
        return max(self.agenda.now, int(self.env.now))

    def add(self, name: str, manager: str) -> _Site:
        """A place on the network for an ensemble."""
        site = _Site(self, name, manager)
        self.sites.setdefault(name, site)
        return site

    def send(self, ensemble: str, message: Message) -> None:
        """Bring a control message to an ensemble; if it is not there yet, when it comes."""
        site = self.sites.get(ensemble)
        if site is None or site.network_manager is None:
            self._undelivered.setdefault(ensemble, []).append(message)
        else:
            site.network_manager.receive(message)

    def arrived(self, name: str) -> None:
        """An ensemble is on the network now: what was sent to it before reaches it."""
        for message in self._undelivered.pop(name, ()):
            self.send(name, message)

    def carry(self, ensemble: str, deliver: Any, *message: Any) -> None:
        """Bring a token to another ensemble: after the network's delay, in the order sent."""
        if self.network_delay:
            self.agenda.deliver_at(self.agenda.now + self.network_delay, deliver, *message)
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
                if agenda.ready:
                    agenda.run_ready(self.now())
                tick = agenda.next_tick()
                if not self.exact:
                    while tick is not None and tick < (limit := env.peek()):
                        agenda.run_tick(tick, limit)
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
