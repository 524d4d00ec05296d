"""`TTEnsemble`: a device that takes part, as its user holds it."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Iterable, Mapping
from textwrap import indent
from typing import TYPE_CHECKING, Any

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME, MAX_VALUE, WORKERS
from ticktalk.engine.components import Components
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.log_file import LogFile, check_target
from ticktalk.mapping.ensembles import EnsembleInfo, check_ensemble_name
from ticktalk.messages import NetMsg, RuntimeMsg, message
from ticktalk.payloads import FiringError
from ticktalk.printable import block, line
from ticktalk.processes import TTExecuteProcess, TTInputTokenProcess, TTNetworkManager

if TYPE_CHECKING:
    import simpy

    from ticktalk.simulation.driver import Simulation

logger = logging.getLogger("ticktalk")


class TTEnsemble:
    """A device taking part: SQs, clocks, components, and three processes that serve them.

    Args:
        log_file: where the tracebacks of bodies that raise are written; None for nowhere.
        name: unique in its system.
        is_runtime_mgr: whether it is the runtime manager's own ensemble.
        components: their names, or names with driver objects.
        modules: (simulated) top-level Python modules that it can import; empty: not told, so any.
        sim: a SimPy environment: the ensemble joins the runtime manager there at once, or as soon as there is one.
            An ensemble given to `TTRuntimeManagerSim` needs none.
        manager: the name of the runtime manager.

    Raises:
        ValueError: the name is empty or holds white space or a slash.
        TypeError: the log is neither a path nor an open text file.
    """

    def __init__(
        self,
        log_file: Any,
        name: str,
        is_runtime_mgr: bool = False,
        *,
        components: Mapping[str, Any] | Iterable[str] | None = None,
        modules: Iterable[str] = (),
        sim: simpy.Environment | None = None,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
    ) -> None:
        check_ensemble_name(name)
        if log_file is not None:
            check_target(log_file)
        self.log_file = log_file
        self.name = name
        self.is_runtime_mgr = is_runtime_mgr
        self.components = as_components(components)
        self.modules = list(modules)
        self.manager = manager
        self.host: EnsembleHost | None = None
        self.network_manager: TTNetworkManager | None = None
        self.input_token_process: TTInputTokenProcess | None = None
        self.execute_process: TTExecuteProcess | None = None
        self._simulation: Simulation | None = None
        self._handle: Any = None
        self._stop_wanted = False
        self._log: LogFile | None = None  # opened at the first error
        self._log_failed = False
        if sim is not None:
            from ticktalk.simulation.driver import Simulation

            self.attach(Simulation.of(sim))
            self.join()

    def attach(self, simulation: Simulation) -> None:
        """Make the ensemble's processes and put them on a simulated network.

        Raises:
            TTRuntimeError: it is on one already.
        """
        if self._simulation is not None:
            raise TTRuntimeError(f"ensemble {self.name!r} takes part in a simulation already: make another one")
        self._simulation = simulation
        site = simulation.add(self.name, self.manager, self.info())
        self.host = EnsembleHost(self.name, self.components, simulation.agenda_of(self.name), site)
        self.host.movable = simulation.movable
        self.host.tap = lambda start: simulation.tap(self.name, start)
        if simulation.timing is not None:
            site.cores = simulation.timing.cores_of(self.name, self.host.agenda)
            self.host.stages["cores"] = site.cores.occupy
        site.log_error = self.log_error
        if simulation.drivers_look and any(driver is not None for driver in self.components.values()):
            self.host.stages["drivers"] = simulation.beside_drivers()
        if simulation.meter is not None:
            self.host.stages["meter"] = simulation.meter.stage
        self.network_manager = TTNetworkManager(queue.SimpleQueue(), self.name, site.interface, self.manager)
        self.input_token_process = TTInputTokenProcess(queue.SimpleQueue(), self.name, self.host, self.manager)
        self.execute_process = TTExecuteProcess(queue.SimpleQueue(), self.name, self.host, self.manager)
        started = [simulation.start(p) for p in (self.network_manager, self.input_token_process, self.execute_process)]
        self.network_manager.setup_proc_intfc(
            self.input_token_process.input_msg, self.execute_process.input_msg, sim_process=started[0]
        )
        self.input_token_process.setup_proc_intfc(self.network_manager.input_msg, started[1])
        self.execute_process.setup_proc_intfc(self.network_manager.input_msg, started[2])
        site.serve(self.host, self.input_token_process, self.execute_process, self.network_manager)
        if not self.is_runtime_mgr:
            site.interface.open(self.network_manager.receive)

    @property
    def processes(self) -> tuple[TTNetworkManager, TTInputTokenProcess, TTExecuteProcess]:
        """The three that serve an ensemble which is on a simulated network."""
        assert self.network_manager and self.input_token_process and self.execute_process
        return self.network_manager, self.input_token_process, self.execute_process

    def info(self) -> EnsembleInfo:
        """The facts that the ensemble sends of itself when it joins."""
        return EnsembleInfo(self.name, self.name, list(self.components), modules=self.modules)

    def join(self) -> None:
        """Ask the runtime manager to take this ensemble in.

        Raises:
            TTRuntimeError: it refuses; the message says why.
        """
        if self._simulation is None or self.network_manager is None:
            raise TTRuntimeError(f"ensemble {self.name!r} is on no network: pass sim=, or give it to a manager")
        if self._simulation.sites[self.name].host is not self.host:
            raise TTRuntimeError(f"the name {self.name!r} is in use by an ensemble that joined before: choose another")
        self.network_manager.input_msg(message(NetMsg.JOIN, self.info()))
        self._simulation.settle()
        if self.network_manager.refused is not None:
            raise TTRuntimeError(f"ensemble {self.name!r} was refused: {self.network_manager.refused}")

    def run_phy(
        self,
        manager: str,
        *,
        ip: str | None = None,
        rx_port: int = 0,
        tx_port: int = 0,
        workers: int = WORKERS,
        credentials: str | None = None,
        token: bytes | None = None,
        clock: str = "manager",
        near: str = "",
        on_event: Callable[[str], None] | None = None,
        max_value: int = MAX_VALUE,
        worker_memory: int = 0,
    ) -> None:
        """Take part on this device, in real time, until `stop` is called or the manager ends the system.

        It keeps asking until the manager answers, and joins again when a manager comes back.

        Args:
            manager: the manager's address, `IP:PORT`.
            ip: the address on which others reach this ensemble; default: the one on the way to the manager.
            rx_port: the port on which it listens; 0: any that is free.
            tx_port: the local port of the lasting connection to the manager; 0: any. After the end of a connection it
                takes a minute until the port is free. Questions before, and a way through the manager, take any port.
            workers: 1: bodies run in worker processes, harmless ones in this one; 2: all in worker processes; 0: all in
                threads of this one.
            credentials: this ensemble's bundle, as `ticktalk keys issue` makes it.
            token: the secret of a manager that was given one; None: on loopback that of the user.
            clock: "manager": the root clock follows the manager's; "system": this host's own is trusted (PTP).
            near: folder beside which modules of component factories are looked for.
            on_event: told a line for everything that happens.
            max_value: bytes of the longest value that a body may send; a longer one is an error of its firing.
            worker_memory: bytes that a worker process may take for itself, else it is replaced; 0: any number.

        Raises:
            ValueError: a port is out of range, or an address is none.
            RefusedError: the manager does not let it join; the message says why.
            TTRuntimeError: the port is in use, this host has no such `ip`, the credentials do not hold, or no worker
                can have this limit of memory.
        """
        from ticktalk.physical.ensemble_handle import EnsembleHandle

        self._handle = EnsembleHandle(
            self.name,
            self.components,
            self.manager,
            manager,
            ip,
            rx_port,
            tx_port,
            workers,
            credentials,
            clock,
            near,
            self.log_error,
            on_event,
            max_value,
            token,
            worker_memory,
        )
        if self._stop_wanted:
            self._handle.stop()
        try:
            self._handle.run()
        finally:
            self._handle = None

    def stop(self) -> None:
        """End `run_phy`, from any thread; in simulation, leave at the present tick: its SQs go on elsewhere.

        Raises:
            TTRuntimeError: (simulation) it is the manager's own ensemble, or SQs live here and cannot move.
        """
        self._stop_wanted = True
        handle = self._handle  # its own thread may end it meanwhile
        if handle is not None:
            handle.stop()
        elif self._simulation is not None:
            self._leave(self._simulation)

    def _leave(self, simulation: Simulation) -> None:
        site = simulation.sites.get(self.name)
        if site is None or site.host is not self.host or not site.alive:
            return  # it has left, or failed
        if self.is_runtime_mgr:
            raise TTRuntimeError(f"{self.name!r} is the manager's own ensemble: it ends with the manager")
        why_not = simulation.cannot_move() if self.host is not None and self.host.prepared else None
        if why_not is not None:
            raise TTRuntimeError(why_not)
        simulation.agenda.now = simulation.now()
        bodies = self.processes[2]
        site.duties.checkpoints.leave(lambda: bodies.tell(RuntimeMsg.LEAVE, self.name))
        simulation.settle()

    @property
    def routing_table(self) -> dict[str, str]:
        """Ensemble name to address, as the manager told."""
        return dict(self.network_manager.routing_table) if self.network_manager is not None else {}

    def log_error(self, error: FiringError) -> None:
        """Write a firing's traceback to the log file."""
        if self.log_file is None:
            return
        try:
            if self._log is None:
                self._log = LogFile(self.log_file)
        except TTError as failure:
            if not self._log_failed:
                self._log_failed = True
                logger.warning("%s", line(failure))
            return
        # Indented, so that no line of a message passes for an entry.
        self._log.write(f"{error}\n{indent(block(error.traceback), '    ')}")
        self._log.flush()

    def __repr__(self) -> str:
        return f"TTEnsemble({self.name!r}, components={sorted(self.components)!r})"


def as_components(components: Mapping[str, Any] | Iterable[str] | None) -> Components:
    """Component names, or names with drivers, as a dict."""
    if components is None:
        return {}
    if isinstance(components, Mapping):
        return dict(components)
    if isinstance(components, str):
        return {components: None}
    return dict.fromkeys(components)
