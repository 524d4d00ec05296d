"""The runtime manager, as its user holds it: the documented handles.

The manager is an ensemble with one process more, `TTRuntimeManagerProcess`; these classes wrap it.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self, cast

import simpy

from ticktalk import payloads as carry
from ticktalk.counters import Counts
from ticktalk.defaults import CHECKPOINT_PERIOD, DEFAULT_RUNTIME_MANAGER_NAME, MAX_VALUE, WORKERS
from ticktalk.ensemble import TTEnsemble, as_components
from ticktalk.errors import TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_costs import Meter
from ticktalk.manager.driver import Driver
from ticktalk.manager.events import Event
from ticktalk.manager.reports import Costs, Losses
from ticktalk.manager.request_types import check_callback
from ticktalk.manager.state import GraphState
from ticktalk.manager.status import entry_of
from ticktalk.mapping.ensembles import check_ensemble_name, check_port
from ticktalk.mapping.weights import Weights
from ticktalk.messages import Message, RuntimeMsg, message
from ticktalk.no_garbage import no_garbage
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.physical.output_values import opened
from ticktalk.processes import TTRuntimeManagerProcess
from ticktalk.replacement import WATCH, Changes, ReplaceRequest
from ticktalk.simulation.driver import Simulation
from ticktalk.simulation.manager_driver import SimulationDriver

if TYPE_CHECKING:
    from ticktalk.mapping.deployment_file import DeploymentFile


class TTRuntimeManager:
    """An entity to manage the environment at run time: programs start from here.

    Technically an ensemble, in that it has a network interface and may host SQs. `TTRuntimeManagerSim` and
    `TTRuntimeManagerPhysical` are its two variants.

    Args:
        log_file: where output tokens are appended, one JSON object a line: a path, an open file, or None.
        name: its name on the network; ensembles look for `runtime-manager`.
        driver: hosts its rules; None: nothing does.
    """

    def __init__(
        self, log_file: Any, name: str = DEFAULT_RUNTIME_MANAGER_NAME, *, driver: Driver | None = None
    ) -> None:
        self.log_file = log_file
        self.name = check_ensemble_name(name)
        self.process = TTRuntimeManagerProcess(log_file, queue.SimpleQueue(), name, driver=driver)

    def instantiate_and_map_graph(
        self,
        graph: TTGraph,
        *,
        name: str | None = None,
        mapping: Mapping[str, str] | None = None,
        weights: Weights | None = None,
    ) -> GraphState:
        """Generate a mapping of the graph's SQs to ensembles and distribute them; returns when all are ready.

        Args:
            graph: the compiled program.
            name: its name here; default: the graph's own name, its program's file stem.
            mapping: SQ name to ensemble name, made beforehand; checked like one made here.
            weights: the costs of SQs: one that has to be placed anew later goes where it costs least.

        Raises:
            TTMappingError: some SQ cannot be placed; nothing is instantiated.
            TTRuntimeError: the name is in use, or an ensemble cannot prepare its SQs (the message says why).
        """
        if not isinstance(graph, TTGraph):
            raise TypeError(f"a TTGraph is wanted, such as compile_program gives, not {graph!r}")
        request = carry.DeployRequest(graph, name, mapping, Future(), weights)
        return cast("GraphState", self._ask(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, request))

    def send_to_runtime(self, msg: Message) -> None:
        """Pass a message to the actual runtime manager process; a proxy for the user-level environment.

        Raises:
            TypeError: it is no `Message`.
        """
        if not isinstance(msg, Message):
            raise TypeError(f"a Message is wanted, not {msg!r}")
        self.process.input_msg(msg)

    def stop_graph(self, graph: TTGraph | str) -> Losses:
        """End a graph: nothing of it fires any more, and its name is free. On devices, what was sent may still come.

        Returns:
            The losses: by the receiving ensemble, and SQ (or the sender of outputs), how many tokens.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        return cast("Losses", self._ask(RuntimeMsg.STOP_GRAPH, carry.StopRequest(_name(graph), Future())))

    def drain(self, ensemble: str) -> None:
        """Move all that lives on an ensemble elsewhere, losing nothing, then let it go; returns when it has left.

        In simulation it goes on in simulated time, while tokens are under way or bodies run; the manager has to be
        made with `movable=True`.

        Raises:
            TTRuntimeError: there is no such ensemble, or something may live nowhere else; then nothing has moved.
        """
        self._ask_later(RuntimeMsg.DRAIN, carry.DrainRequest(ensemble, Future()))

    def replace_graph(
        self,
        graph: TTGraph,
        *,
        name: str | None = None,
        drop_state: Iterable[str] | str = (),
        watch: int = WATCH,
        inputs: Mapping[str, Any] | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> Changes | None:
        """Replace a graph by another version of it while it runs; returns when the new one has been watched.

        SQs of the same name go on with their state. Outputs of data from before one tick are of the old version.
        A simulated manager has to be made with `movable=True`.

        Args:
            graph: the new version.
            name, mapping: as `instantiate_and_map_graph`; without a mapping, SQs stay where they may.
            drop_state: SQs whose state is not carried over; what else cannot be carried is refused.
            watch: root ticks within which the old version comes back if the new one fails; 0: it does not.
            inputs: values for inputs that the old version did not have.

        Returns the differences; None: it goes on in simulated time, and `watch` tells the end.

        Raises:
            TTError: it cannot be replaced, or has failed; then the old version goes on.
        """
        dropped = [drop_state] if isinstance(drop_state, str) else list(drop_state)
        request = ReplaceRequest(graph, name, dropped, watch, inputs or {}, mapping, reply=Future())
        return cast("Changes | None", self._ask_later(RuntimeMsg.REPLACE, request))

    def set_grid(
        self, graph: TTGraph | str, sq: str, *, period: int | Fraction | None = None, phase: int | None = None
    ) -> None:
        """Change a stream's period or phase while it runs, from its next instant on.

        Args:
            graph: the graph, or its name.
            sq: the stream's SQ, such as `sample-1`.
            period: root ticks, or a fraction of them such as `Hz(60)`; None: as it is.
                An interval width of half the period goes with it.
            phase: root ticks, below the period; None: as it is.

        Raises:
            TTRuntimeError: there is no such graph or stream, or the phase does not fit the period.
        """
        self._ask(RuntimeMsg.SET_GRID, carry.SetRequest(_name(graph), sq, period, phase, Future()))

    def status(self) -> dict[str, Any]:
        """The ensembles, where each graph lives, how it stands: plain JSON data."""
        return cast("dict[str, Any]", self._ask(RuntimeMsg.STATUS, carry.StatusRequest(Future())))

    def counters(self, graph: TTGraph | str) -> Counts:
        """The counters, over all ensembles: SQ to kind (skipped, evicted, late, dropped ...) to count.

        As `waiting`, it raises a `TTRuntimeError` if there is no such graph.
        """
        return cast("Counts", entry_of(self.status(), _name(graph))["counters"])

    def waiting(self, graph: TTGraph | str) -> dict[str, dict[str, int]]:
        """The tokens that wait: SQ to port to number."""
        return cast("dict[str, dict[str, int]]", entry_of(self.status(), _name(graph))["waiting"])

    def on_event(self, callback: Callable[[str], None]) -> None:
        """Call `callback` with a line for everything that happens: joins, losses, graphs that are done."""
        check_callback(callback)
        self.watch(lambda event: callback(str(event)))

    def watch(self, callback: Callable[[Event], None]) -> None:
        """Call `callback` with everything that happens as a value (`ticktalk.manager.events`).

        In simulation it is called at the simulated time of that (`sim.now`), on devices in a thread of callbacks.
        """
        self.process.requests.watch(self._called(callback))

    def on_output(self, callback: Callable[[OutputToken], None]) -> None:
        """Call `callback` with every output token that reaches the manager, in order of arrival (as `watch`)."""
        self.process.outputs.listeners.append(self._called(callback))

    def on_error(self, callback: Callable[[FiringError], None]) -> None:
        """Call `callback` with every error of a firing (as `watch`)."""
        self.process.errors.listeners.append(self._called(callback))

    def _called(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        return check_callback(callback)

    @property
    def errors(self) -> list[FiringError]:
        """The latest errors of firings."""
        return list(self.process.errors.kept)

    @property
    def ensembles(self) -> list[str]:
        """The names of the ensembles, in the order of joining, the manager's own last."""
        return [info.name for info in self.process.state.infos()]

    def _leave(self) -> None:
        """End, as at the end of a `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()

    def _ask(self, kind: RuntimeMsg, request: Any) -> Any:
        self.send_to_runtime(message(kind, request))
        return self._result(request.reply)

    def _ask_later(self, kind: RuntimeMsg, request: Any) -> Any:
        return self._ask(kind, request)

    def _result(self, reply: Future[Any]) -> Any:
        raise NotImplementedError("use TTRuntimeManagerSim or TTRuntimeManagerPhysical")


class TTRuntimeManagerSim(TTRuntimeManager):
    """A simulated runtime manager: can directly reach any ensemble, clock or SQ; uses a simulated network.

    Args:
        log_file: see `TTRuntimeManager`.
        ensembles: the ensembles that compose the system, in the order of joining. May be empty, when other
            ensembles are created afterwards and join as any physical one would.
        sim: the SimPy environment, which the user's own processes may share.
        name: see `TTRuntimeManager`.
        network_delay: root ticks (microseconds) that every token takes between two ensembles.
        components: of the manager's own ensemble.
        deployment: how long bodies take on which ensemble, and tokens on their way, in place of `network_delay`.
        meter: measures the costs of bodies on this machine.
        movable: SQs may move while graphs run, as `drain` and `replace_graph` want; firings may then cost more.

    Raises:
        TypeError: `sim` is no environment, or one of `ensembles` no ensemble.
        TTRuntimeError: an ensemble is refused, or it is too late for SQs to be movable; the message says why.
    """

    def __init__(
        self,
        log_file: Any,
        ensembles: Iterable[TTEnsemble],
        sim: simpy.Environment,
        name: str = DEFAULT_RUNTIME_MANAGER_NAME,
        *,
        network_delay: int = 0,
        components: Mapping[str, Any] | Iterable[str] | None = None,
        deployment: DeploymentFile | None = None,
        meter: Meter | None = None,
        movable: bool = False,
    ) -> None:
        ensembles = list(ensembles)
        if strange := [each for each in ensembles if not isinstance(each, TTEnsemble)]:
            raise TypeError(f"a TTEnsemble is wanted, not {strange[0]!r}")
        self.sim = sim
        self.simulation = Simulation.of(sim)
        driver = SimulationDriver(self.simulation)
        super().__init__(log_file, name, driver=driver)
        if not isinstance(network_delay, int) or network_delay < 0:
            raise ValueError(f"a network delay is 0 or more whole microseconds, not {network_delay!r}")
        if movable:
            self.simulation.make_movable()
        self.simulation.network.delay = network_delay or self.simulation.network.delay
        if deployment is not None:
            self.simulation.take_times(deployment)
        self.process.outputs.timed = network_delay > 0 or deployment is not None
        self.simulation.meter = meter
        if meter is not None:
            self.simulation.accelerator = None  # it runs an instant at once, its bodies one after another
        self.ensemble = TTEnsemble(None, name, True, components=components, manager=name)
        if name in self.simulation.sites:
            raise TTRuntimeError(f"there is an ensemble named {name!r} in this simulation already: choose another name")
        self.ensemble.attach(self.simulation)
        self._noting: set[Callable[[OutputToken], None]] = set()
        self.simulation.under_way.told = lambda: not self._noting.issuperset(self.process.outputs.listeners)
        driver.host(self.process, *self.ensemble.processes)
        with no_garbage():
            for ensemble in ensembles:
                ensemble.manager = name
                ensemble.attach(self.simulation)
                ensemble.join()

    def start_ensemble(self, name: str, components: Mapping[str, Any]) -> None:
        """Make an ensemble with these components, and let it join, while the simulation runs."""
        TTEnsemble(None, name, components=components, sim=self.sim, manager=self.name)

    def execute_graph(
        self, graph: TTGraph | str, inputs: Mapping[str, Any] | None = None, *, length: int | None = None
    ) -> int:
        """Start a graph at the environment's present tick; returns the context's number.

        Args:
            graph: the graph, or its name.
            inputs: one value per graph input; one named `trigger` defaults to 1.
            length: root ticks after which its streams end (exclusive); None: as long as their windows last.

        Raises:
            TTRuntimeError: it is not instantiated, or the length is below 1.
            TTInputError: a value is missing, or for no input.
        """
        request = carry.StartRequest(_name(graph), inputs or {}, reply=Future(), length=length)
        return cast("int", self._ask(RuntimeMsg.EXECUTE_GRAPH, request))

    def on_output(self, callback: Callable[[OutputToken], None], *, notes: bool = False) -> None:
        """Call `callback` with every output token, at its simulated time of arrival (`sim.now`).

        Args:
            notes: it takes note and does nothing else: nothing of the simulation is changed or asked, and `sim.now`
                may be of before. That is faster where outputs are many.
        """
        if notes:
            self._noting.add(check_callback(callback))
            self.process.outputs.listeners.append(callback)
        else:
            super().on_output(callback)

    def _called(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        return self.simulation.told_in_time(super()._called(callback))

    def _ask_later(self, kind: RuntimeMsg, request: Any) -> Any:
        self.send_to_runtime(message(kind, request))
        return request.reply.result() if request.reply.done() else None

    def send_to_runtime(self, msg: Message) -> None:
        """Pass a message to the runtime manager process; its effects take no simulated time."""
        super().send_to_runtime(msg)
        self.simulation.settle()

    def close(self) -> None:
        """Close the output log."""
        self.process.outputs.close()

    _leave = close

    def _result(self, reply: Future[Any]) -> Any:
        if not reply.done():
            raise TTRuntimeError("the runtime manager did not answer")  # a rule sent nothing: a defect of ours
        return reply.result()


class TTRuntimeManagerPhysical(TTRuntimeManager):
    """A runtime manager on a physical device; one ensemble takes on this role.

    Args:
        log_file: see `TTRuntimeManager`.
        ip: the address of the runtime manager; accessible by all ensembles that wish to join. On any address but
            loopback, credentials are wanted.
        rx_port: the port on which it listens; 0: any that is free (`address` says which).
        tx_port: the local port of outgoing connections; 0: any. The manager is called by others, so it needs none.
        name: see `TTRuntimeManager`.
        components: of the manager's own ensemble: names, or names with drivers or factory texts `module:name`.
        workers: 1: bodies run in worker processes, harmless ones in this one; 2: all in those; 0: all in this one.
        credentials: the manager's bundle, as `ticktalk keys init` makes it.
        insecure: go without credentials on an address that others can reach.
        token: a secret that ensembles are given, too; None: without credentials, on loopback, that of the user.
        near: folder beside which modules of factories are looked for.
        checkpoint: microseconds between two checkpoints of every instance; 0: none.
        max_value: bytes of the longest value that a body of the manager's own ensemble may send.
        worker_memory: bytes that a worker process of it may take for itself, else it is replaced; 0: any number.
        state: a folder for what the manager knows: if it dies, one made with the same folder goes on; None: not kept.

    Raises:
        ValueError: a port, or another number, is out of range, or the address or the name is none.
        TTRuntimeError: the port is in use, the host has no such address, credentials are missing, or the state's folder
            cannot be used.
    """

    def __init__(
        self,
        log_file: Any,
        ip: str,
        rx_port: int,
        tx_port: int,
        name: str = DEFAULT_RUNTIME_MANAGER_NAME,
        *,
        components: Mapping[str, Any] | Iterable[str] | None = None,
        workers: int = WORKERS,
        credentials: str | None = None,
        insecure: bool = False,
        token: bytes | None = None,
        near: str = "",
        checkpoint: int = CHECKPOINT_PERIOD,
        max_value: int = MAX_VALUE,
        worker_memory: int = 0,
        state: str | None = None,
    ) -> None:
        from ticktalk.physical.manager_handle import ManagerHandle
        from ticktalk.physical.manager_node import ManagerNode

        check_port(rx_port, "rx_port")
        check_port(tx_port, "tx_port")
        with ManagerNode(checkpoint, state, name, f"{ip}:{rx_port}").begins() as node:
            super().__init__(log_file, name, driver=node)
            self.ip, self.rx_port, self.tx_port = ip, rx_port, tx_port
            own, rest = as_components(components), (near, max_value, token, worker_memory)
            self._handle = ManagerHandle(self.process, node, own, ip, rx_port, workers, credentials, insecure, *rest)

    @property
    def address(self) -> str:
        """Its address for ensembles: `IP:PORT`."""
        return self._handle.address

    def execute_graph(
        self,
        graph: TTGraph | str,
        inputs: Mapping[str, Any] | None = None,
        *,
        length: int | None = None,
        again: bool = True,
        start_tick: int | None = None,
    ) -> int:
        """Start a graph, a little ahead of now so that it begins everywhere at one tick; the context's number.

        Args:
            graph: the graph, or its name.
            inputs: one value per graph input; one named `trigger` defaults to 1.
            length: microseconds after which its streams end (exclusive); None: as long as their windows last.
            again: start another context even if one goes on.
            start_tick: when, such as `durations.moment("12:30")` (root ticks); None: at once.

        Raises:
            TTRuntimeError: it is not instantiated, goes on though not `again`, is past, or the length is below 1.
            TTInputError: a value is missing, or for no input.
        """
        start = carry.StartRequest(_name(graph), inputs or {}, start_tick, Future(), length, again)
        return cast("int", self._ask(RuntimeMsg.EXECUTE_GRAPH, start))

    def wait(self, graph: TTGraph | str | None = None, timeout: float | None = None) -> bool:
        """Wait until a graph (or every graph) is done: no stream open, no deadline pending, no token under way.

        Args:
            graph: the graph, or its name.
            timeout: seconds, after which the answer is False if it is not done (or stopped) by then; None: for ever.

        Raises:
            TTRuntimeError: there is no such graph, nor was one of that name stopped lately.
        """
        return self._handle.wait(None if graph is None else _name(graph), timeout)

    def wait_for_ensembles(self, names: Iterable[str] | str, timeout: float | None = None) -> list[str]:
        """Wait until these ensembles have joined; the names of those that have not within `timeout` seconds."""
        return self._handle.wait_for_ensembles(names, timeout)

    def stop(self, ensembles: bool = False) -> None:
        """End: graphs stop, workers exit, sockets close; with `ensembles`, the ensembles end, too."""
        self._handle.close(ensembles)

    _leave = stop

    def profile(self, graph: TTGraph | str) -> Costs:
        """Some of the times (microseconds) and token sizes (bytes) of each function's runs, from every ensemble."""
        return cast("Costs", self._ask(RuntimeMsg.PROFILE, carry.ProfileRequest(_name(graph), Future())))

    def record(self, recorder: Any, file: str = "") -> None:
        """Have a `ticktalk.recording.recorder.Recorder` told all that happens in contexts that start from now on.

        Args:
            recorder: is told; it writes to `file`, which `status` names.
        """
        node = self._handle.manager
        node.recorder, node.records, node.recording = recorder, True, file

    def on_shut_down(self, callback: Callable[[], None]) -> None:
        """Call `callback` when a command from elsewhere asks that the system end."""
        self._handle.manager.on_shut_down = callback

    def on_output(self, callback: Callable[[OutputToken], None]) -> None:
        """Call `callback` with every output token, in order of arrival (as `watch`)."""
        check_callback(callback)
        super().on_output(lambda token: callback(opened(token)))

    def _called(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        return self._handle.callbacks.wrap(super()._called(callback))

    def _result(self, reply: Future[Any]) -> Any:
        return self._handle.result_of(reply)


def _name(graph: TTGraph | GraphState | str) -> str:
    """The name of a graph that is named, compiled or instantiated; the manager refuses anything else."""
    if isinstance(graph, GraphState):
        return graph.title
    return graph.name if isinstance(graph, TTGraph) else graph
