"""Hosts the manager's rules in simulated time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ticktalk.counters import merged
from ticktalk.engine.context import Context
from ticktalk.hosted.body_metrics import metrics_of
from ticktalk.hosted.silence import all_stuck
from ticktalk.manager.driver import Driver, Usage
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RuntimeMsg
from ticktalk.network_keys import OUTPUT
from ticktalk.payloads import IdleReport
from ticktalk.processes import TTExecuteProcess, TTInputTokenProcess, TTNetworkManager, TTRuntimeManagerProcess
from ticktalk.records import TookOver
from ticktalk.series import summed
from ticktalk.simulation.driver import Simulation


class SimulationDriver(Driver):
    """A simulation sees every ensemble directly, and the manager's work takes no simulated time."""

    one_table = True

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def host(
        self,
        process: TTRuntimeManagerProcess,
        network: TTNetworkManager,
        inputs: TTInputTokenProcess,
        bodies: TTExecuteProcess,
    ) -> None:
        """Connect the manager's process with the simulation, and with the other processes of its own ensemble."""
        name = process.requests.state.manager.name
        process.handlers[RuntimeMsg.LEAVE] = partial(self._left, process.handlers[RuntimeMsg.LEAVE])
        site = self._simulation.sites[name]
        site.take_output, site.take_error = process.outputs.add, process.errors.add
        self._simulation.flushes.append(process.outputs.flush)
        network.setup_proc_intfc(inputs.input_msg, bodies.input_msg, process.input_msg, network.sim_process)
        process.setup_proc_intfc(network.input_msg, self._simulation.start(process))
        process.requests.liveness.introduce(site.info)
        network.routing_table[name] = site.info.address  # all ensembles read this table
        site.interface.subscribe(OUTPUT, site.take_output_of)
        site.interface.open(network.receive)
        self._simulation.settle()

    def _left(self, forget: Callable[[Any], object], name: Any) -> None:
        """An ensemble leaves by itself; one that the manager has let go is empty, and may join again."""
        forget(name)
        site = self._simulation.sites.get(name)
        if site is not None and not site.left and name != site.manager:
            self._simulation.leave(name)

    def cannot_move(self) -> str | None:
        """The reason why SQs cannot move."""
        return self._simulation.cannot_move()

    def checkpoint_period(self) -> int:
        """Ticks between two checkpoints."""
        return self._simulation.checkpoint

    def now(self) -> int:
        """The present root tick."""
        return self._simulation.now()

    def after(self, ticks: int, act: Callable[[], None]) -> None:
        """Call `act` so much later."""
        self._simulation.agenda.deliver_at(self.now() + ticks, self._do, act)

    def _do(self, act: Callable[[], None]) -> None:
        act()
        self._simulation.settle()

    def hears(self, ensemble: str) -> bool:
        """True if an ensemble is alive, and its link to the manager whole."""
        site, network = self._simulation.sites.get(ensemble), self._simulation.network
        return site is not None and site.alive and network.connected(ensemble, site.manager)

    def if_ended(self, ensemble: EnsembleInfo, act: Callable[[str], None]) -> None:
        """See `Driver.if_ended`."""
        site = self._simulation.sites.get(ensemble.name)
        if site is None or not site.alive:
            act("")

    def took_over(self, note: TookOver) -> None:
        """A graph goes on as another version of itself."""
        self._simulation.took_over(note)

    def loads(self) -> list[Usage]:
        """The use of cores and links, where a deployment file says what bodies and tokens take."""
        timing = self._simulation.timing
        return [] if timing is None else timing.loads(self.now())

    def reports(self, graph: str, context: int) -> list[IdleReport]:
        """The reports of a context on every ensemble; an ensemble that failed counts with the one that started anew."""
        alive = {id(site.host) for site in self._simulation.sites.values() if site.alive}
        found: dict[str, IdleReport] = {}
        for host in self._simulation.hosts():
            running = host.contexts.get((graph, context))
            if running is not None:
                before = found.get(host.name)
                counts = merged([running.counts] if before is None else [before.counts, running.counts])
                busy, waiting = (self._busy(running), running.waiting()) if id(host) in alive else ("", {})
                stuck = all_stuck(running) if id(host) in alive else {}
                metrics = metrics_of(running.executes)
                found[host.name] = IdleReport(
                    graph, context, host.name, 0, busy, counts=counts, waiting=waiting, stuck=stuck,
                    metrics=metrics if before is None else summed([before.metrics, metrics]),
                )  # fmt: skip
        return list(found.values())

    def _busy(self, context: Context) -> str:
        pending = next((f"{name} is pending" for name, sync in context.syncs.items() if sync.pending), "")
        agenda = self._simulation.agenda
        return pending or ("tokens are under way" if agenda.ready or agenda.next_tick() is not None else "")
