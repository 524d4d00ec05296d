"""The documented processes: thin shells around the rules.

Each has one input queue of `Message`s and is told by `setup_proc_intfc` whom to call. The driver hosts it:
`run_sim` inside a `simpy.Process`, `run_phy` in a thread. A message says itself what it is (`msg_type`) and for whom
(`process_recipient`); one that is not for a process is ignored without notice. Tokens do not come this way: within
an ensemble they go from SQ to SQ by direct call (`ticktalk.engine`).
"""

from __future__ import annotations

import enum
import logging
import queue
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import msgspec

from ticktalk.engine.execution import FiringError
from ticktalk.engine.hosting import (
    Deployment,
    EnsembleHost,
    Expect,
    HandOver,
    Placed,
    Placement,
    ReadyAnswer,
    SetGrid,
    StartContext,
    StopGraph,
    TokenMessage,
)
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.manager.deployments import Deployments, Errors, GraphState, Registry, not_prepared
from ticktalk.manager.healing import Healing
from ticktalk.manager.outputs import OutputLog, OutputToken
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.weights import Weights

if TYPE_CHECKING:
    import simpy

DEFAULT_RUNTIME_MANAGER_NAME = "runtime-manager"
"""The name of the runtime manager's ensemble, unless it is given another; ensembles look for this one."""

logger = logging.getLogger("TTPython.RuntimeManager")


class SyncMsg(enum.Enum):
    """What a `TTInputTokenProcess` is told."""

    INSTANTIATE = enum.auto()  # Deployment: ports and firing rules of the SQs placed here
    START = enum.auto()  # StartContext
    INPUT_TOKEN = enum.auto()  # TokenMessage
    STOP = enum.auto()  # StopGraph: a graph's name
    REPORT = enum.auto()  # ReportRequest: is a context idle, and what passed on its arcs
    PLACE = enum.auto()  # Placement: where the SQs of a graph are from now on
    EXPECT = enum.auto()  # Expect: SQs will come here
    HAND_OVER = enum.auto()  # HandOver: SQs go from here
    SET_GRID = enum.auto()  # SetGrid: another period and phase for a stream


class ExecuteMsg(enum.Enum):
    """What a `TTExecuteProcess` is told."""

    INSTANTIATE = enum.auto()  # Deployment: the bodies of the SQs placed here


class NetMsg(enum.Enum):
    """What a `TTNetworkManager` is told."""

    JOIN = enum.auto()  # EnsembleInfo: ask the manager to let this ensemble join
    ROUTE = enum.auto()  # Route: an ensemble and its address
    FORGET = enum.auto()  # name: an ensemble has left
    REFUSED = enum.auto()  # reason: the manager does not let this ensemble join
    SEND = enum.auto()  # Envelope: send a message to another ensemble's process
    PONG = enum.auto()  # Pong: the manager's half of a clock exchange
    ASK = enum.auto()  # Ask: an ensemble that has lost the manager asks another for how long it has not heard of it
    TELL = enum.auto()  # Tell: the answer
    OFFER = enum.auto()  # Offer: memory in which an ensemble's values can be read by others on its host
    ACCEPTED = enum.auto()  # Accepted: one reads there
    SETTLE = enum.auto()  # Settle: values that were sent to it that way, should it not have them
    HOW_FAR = enum.auto()  # HowFar: one to which SQs will come asks who sends to them how much it has sent
    SO_FAR = enum.auto()  # SoFar: the answer
    SHUT_DOWN = enum.auto()  # reason: the system ends, or this ensemble was drained


class RuntimeMsg(enum.Enum):
    """What a `TTRuntimeManagerProcess` is told."""

    JOIN = enum.auto()  # EnsembleInfo
    LEAVE = enum.auto()  # ensemble name
    INSTANTIATE_AND_MAP_GRAPH = enum.auto()  # TTGraph or DeployRequest
    READY = enum.auto()  # ReadyAnswer
    EXECUTE_GRAPH = enum.auto()  # StartRequest
    OUTPUT_TOKEN = enum.auto()  # OutputToken
    FIRING_ERROR = enum.auto()  # FiringError
    STOP_GRAPH = enum.auto()  # StopRequest
    PING = enum.auto()  # Ping: an ensemble's heartbeat
    REPORT = enum.auto()  # IdleReport
    BACK = enum.auto()  # EnsembleInfo: an ensemble that was cut off is reached again
    DRAIN = enum.auto()  # DrainRequest
    SET_GRID = enum.auto()  # SetRequest
    CHECKPOINT = enum.auto()  # Checkpoint
    PLACED = enum.auto()  # Placed
    HANDED = enum.auto()  # Handed


class Message(NamedTuple):
    """What travels between processes.

    Attributes:
        msg_type: a `SyncMsg`, `ExecuteMsg`, `NetMsg` or `RuntimeMsg`.
        payload: what that type says it is.
        process_recipient: the class of the process it is for, or that class's name.
    """

    msg_type: enum.Enum
    payload: Any
    process_recipient: Any


class Route(NamedTuple):
    """An entry of the routing table: who is where."""

    name: str
    address: str


class Envelope(NamedTuple):
    """A message for a process of another ensemble."""

    ensemble: str
    message: Message


class DeployRequest(msgspec.Struct):
    """Map, distribute and prepare `graph`; `reply` gets the `GraphState` when it is ready, or the error.

    `weights`: what its SQs cost where, for when they have to be placed anew.
    """

    graph: TTGraph
    name: str | None = None
    mapping: Mapping[str, str] | None = None
    reply: Any = None
    weights: Weights | None = None


class StartRequest(msgspec.Struct):
    """Start a graph that is ready; `reply` gets the context's number, or the error."""

    graph: str
    inputs: dict[str, Any] = {}
    start_tick: int = 0
    reply: Any = None


class StopRequest(msgspec.Struct):
    """End a graph; `reply` gets None, or the error."""

    graph: str
    reply: Any = None


class DrainRequest(msgspec.Struct):
    """Move all that lives on an ensemble, then let it go; `reply` gets None when it is empty, or the error."""

    ensemble: str
    reply: Any = None


class SetRequest(msgspec.Struct):
    """Change a stream's period and phase (root ticks; None: as it is); `reply` gets the `SetGrid`, or the error."""

    graph: str
    sq: str
    period: int | None = None
    phase: int | None = None
    reply: Any = None


class TTNetworkInterface(Protocol):
    """The seam between the rules and a network: simulated (`TTNetworkInterfaceSim`) or real (`...Zenoh`)."""

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message to a process of an ensemble; never blocks."""


class TTProcess:
    """What the processes share: the input queue and the two run loops.

    Args:
        input_queue: a `queue.Queue` or `multiprocessing.Queue` of messages for this process.
        ensemble_name: the name of the ensemble it belongs to.
    """

    accepts: ClassVar[type[enum.Enum]]

    def __init__(self, input_queue: Any, ensemble_name: str | None = None) -> None:
        self.input_queue = input_queue
        self.ensemble_name = ensemble_name
        self.sim_process: simpy.Process | None = None
        self.wake: Callable[[], None] | None = None  # on a device: tells who serves the queue that something is in it
        self._waits = False  # in `run_sim`, for an interrupt
        self._stopped = False

    def get_next_input(self) -> Message:
        """Pull the next input off the input queue; waits for one if there is none."""
        message: Message = self.input_queue.get()
        return message

    def input_msg(self, message: Message) -> None:
        """Provide a message to this process's input queue.

        In simulation the process, which otherwise waits indefinitely, is interrupted.
        """
        self.input_queue.put(message)
        if self.wake is not None:
            self.wake()
        if self.sim_process is not None and self._waits:
            self._waits = False
            self.sim_process.interrupt()

    def handle_message(self, msg: Message) -> None:
        """Respond to a message meant for this process; any other is ignored without notification."""
        recipient = msg.process_recipient
        recipient = recipient if isinstance(recipient, str) else getattr(recipient, "__name__", None)
        if isinstance(msg.msg_type, self.accepts) and recipient == self._recipient_name():
            self._respond(msg.msg_type, msg.payload)

    def run_sim(self, sim: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        """The run loop in simulation; run it as a `simpy.Process`."""
        import simpy  # a device that takes part for real never needs it

        while not self._stopped:
            self.handle_pending()
            self._waits = True
            try:
                yield sim.event()
            except simpy.Interrupt:
                pass
            finally:
                self._waits = False

    def run_phy(self) -> None:
        """The run loop on a device: waits for messages and responds to them until `stop`."""
        while not self._stopped:
            message = self.get_next_input()
            if message is None:
                self._stopped = True
            else:
                self.handle_message(message)

    def stop(self) -> None:
        """End the run loop after what is in the queue now."""
        self.input_queue.put(None)

    def handle_pending(self) -> bool:
        """Respond to all that is in the queue; whether there was anything."""
        any_message = False
        while True:
            try:
                message = self.input_queue.get_nowait()
            except queue.Empty:
                return any_message
            any_message = True
            if message is None:
                self._stopped = True
            else:
                self.handle_message(message)

    @classmethod
    def _recipient_name(cls) -> str:
        for kind in cls.__mro__:
            if "accepts" in kind.__dict__:
                return kind.__name__
        return cls.__name__

    def _respond(self, kind: enum.Enum, payload: Any) -> None:
        raise NotImplementedError


class TTNetworkManager(TTProcess):
    """Carries messages between the processes of this ensemble and those of others.

    Args:
        input_queue: see `TTProcess`.
        ensemble_name: the ensemble's name.
        interface: what reaches other ensembles (`TTNetworkInterface`).
        manager: the name of the runtime manager's ensemble.
    """

    accepts = NetMsg

    def __init__(
        self,
        input_queue: Any,
        ensemble_name: str | None = None,
        interface: TTNetworkInterface | None = None,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
    ) -> None:
        super().__init__(input_queue, ensemble_name)
        self.interface = interface
        self.manager = manager
        self.routing_table: dict[str, str] = {}
        self.refused: str | None = None
        self._inputs: dict[str, Callable[[Message], None]] = {}

    def setup_proc_intfc(
        self,
        input_sync_func: Callable[[Message], None] | None = None,
        input_execute_func: Callable[[Message], None] | None = None,
        input_runtime_func: Callable[[Message], None] | None = None,
        sim_process: simpy.Process | None = None,
    ) -> None:
        """Set whom messages from other ensembles go to, and the SimPy process this runs in."""
        callbacks = {
            "TTInputTokenProcess": input_sync_func,
            "TTExecuteProcess": input_execute_func,
            "TTRuntimeManagerProcess": input_runtime_func,
            "TTNetworkManager": self.input_msg,
        }
        self._inputs = {name: callback for name, callback in callbacks.items() if callback is not None}
        self.sim_process = sim_process

    def receive(self, message: Message) -> None:
        """Take a message from another ensemble to the process it is for."""
        recipient = message.process_recipient
        name = recipient if isinstance(recipient, str) else recipient.__name__
        callback = self._inputs.get(name)
        if callback is not None:
            callback(message)

    def _respond(self, kind: enum.Enum, payload: Any) -> None:
        if self.interface is None:
            raise TTRuntimeError("this process has no network interface yet")
        if kind is NetMsg.JOIN:
            self.interface.send(self.manager, Message(RuntimeMsg.JOIN, payload, "TTRuntimeManagerProcess"))
        elif kind is NetMsg.ROUTE:
            self.routing_table[payload.name] = payload.address
        elif kind is NetMsg.FORGET:
            self.routing_table.pop(payload, None)
        elif kind is NetMsg.REFUSED:
            self.refused = payload
            logger.error("ensemble %r was refused: %s", self.ensemble_name, payload)
        elif kind is NetMsg.SHUT_DOWN:
            leave = Message(RuntimeMsg.LEAVE, self.ensemble_name, "TTRuntimeManagerProcess")
            self.interface.send(self.manager, leave)
        elif kind is NetMsg.SEND:
            if payload.ensemble == self.ensemble_name:
                self.receive(payload.message)
            else:
                self.interface.send(payload.ensemble, payload.message)


class _BesideNetworkManager(TTProcess):
    """A process that reaches all others through the `TTNetworkManager` of its ensemble."""

    def __init__(self, input_queue: Any, ensemble_name: str | None = None) -> None:
        super().__init__(input_queue, ensemble_name)
        self._network: Callable[[Message], None] = _nobody

    def setup_proc_intfc(
        self, input_network_func: Callable[[Message], None], sim_process: simpy.Process | None = None
    ) -> None:
        """Configure the interface to this process: the callbacks for sending to the other processes.

        Args:
            input_network_func: a callback for providing message inputs to the `TTNetworkManager`.
            sim_process: the simulated process that this class runs inside of, if it does; it is interrupted when a
                message comes.
        """
        self._network = input_network_func
        self.sim_process = sim_process


class TTInputTokenProcess(_BesideNetworkManager):
    """Ports, firing rules and timers of the SQs placed on this ensemble (`ticktalk.engine.firing`)."""

    accepts = SyncMsg

    def __init__(
        self,
        input_queue: Any,
        ensemble_name: str | None = None,
        host: EnsembleHost | None = None,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
    ) -> None:
        super().__init__(input_queue, ensemble_name)
        self.host = host
        self.manager = manager

    def _respond(self, kind: enum.Enum, payload: Any) -> None:
        assert self.host is not None, "this process serves no ensemble yet"
        if kind is SyncMsg.START:
            self.start(payload)
        elif kind is SyncMsg.INPUT_TOKEN:
            self.host.arrive(payload)
        elif kind is SyncMsg.STOP:
            self.stop_graph(payload)
        elif kind is SyncMsg.REPORT:
            self.report(payload)
        elif kind is SyncMsg.PLACE:
            self.place(payload)
        elif kind is SyncMsg.EXPECT:
            self.expect(payload)
        elif kind is SyncMsg.HAND_OVER:
            self.hand_over(payload)
        elif kind is SyncMsg.SET_GRID:
            self.host.set_grid(payload)

    def start(self, start: StartContext) -> None:
        """Start a context here."""
        assert self.host is not None
        self.host.start(start)

    def stop_graph(self, stop: StopGraph) -> None:
        """End a graph here."""
        assert self.host is not None
        self.host.stop(stop.graph)

    def report(self, request: Any) -> None:
        """Tell the manager how a context here stands; simulated ones are seen directly."""

    def place(self, placement: Placement) -> None:
        """Keep to where the SQs of a graph are from now on; tell the manager of those that came."""
        assert self.host is not None
        if placement.graph not in self.host.prepared:
            return
        come = self.host.arriving(placement)
        names = [sq.name for sq in come]
        problem = self.host.try_out(Expect(placement.graph, names))
        self.host.place(placement, [] if problem else come)
        if names:
            self.tell(RuntimeMsg.PLACED, Placed(placement.graph, self.host.name, names, problem))

    def expect(self, expect: Expect) -> None:
        """Prepare for SQs that will come."""
        assert self.host is not None
        if expect.sqs:
            problem = self.host.try_out(expect)
            self.tell(RuntimeMsg.PLACED, Placed(expect.graph, self.host.name, expect.sqs, problem, expected=True))

    def hand_over(self, order: HandOver) -> None:
        """Give up SQs that go elsewhere."""
        host = self.host
        assert host is not None
        host.when_idle(order, lambda: self.tell(RuntimeMsg.HANDED, host.hand_over(order)))

    def tell(self, kind: RuntimeMsg, payload: Any) -> None:
        """Send the manager a message."""
        message = Message(kind, payload, "TTRuntimeManagerProcess")
        self._network(Message(NetMsg.SEND, Envelope(self.manager, message), "TTNetworkManager"))


class TTExecuteProcess(_BesideNetworkManager):
    """Bodies of the SQs placed on this ensemble (`ticktalk.engine.execution`)."""

    accepts = ExecuteMsg

    def __init__(
        self,
        input_queue: Any,
        ensemble_name: str | None = None,
        host: EnsembleHost | None = None,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
    ) -> None:
        super().__init__(input_queue, ensemble_name)
        self.host = host
        self.manager = manager

    def _respond(self, kind: enum.Enum, payload: Any) -> None:
        if kind is ExecuteMsg.INSTANTIATE:
            self.prepare(payload)

    def prepare(self, deployment: Deployment) -> None:
        """Make the bodies placed here ready, and tell the manager."""
        assert self.host is not None
        self.tell(self.host.prepare(deployment))

    def tell(self, answer: ReadyAnswer) -> None:
        """Send the manager this ensemble's answer to a deployment."""
        message = Message(RuntimeMsg.READY, answer, "TTRuntimeManagerProcess")
        self._network(Message(NetMsg.SEND, Envelope(self.manager, message), "TTNetworkManager"))


class TTRuntimeManagerProcess(_BesideNetworkManager):
    """The privileged process that only the runtime manager's ensemble has.

    It tells all ensembles of one another, maps graphs and distributes their SQs, sends the first tokens and logs
    the outputs. It only dispatches: `registry`, `deployments`, `outputs` and `errors` hold the rules and the state.

    Args:
        log_file: where output tokens are appended, one JSON object a line: a path, an open file, or None.
        input_queue: a `queue.Queue` or `multiprocessing.Queue` of messages for this process.
        ensemble_name: the name of this ensemble.
    """

    accepts = RuntimeMsg

    def __init__(self, log_file: Any, input_queue: Any, ensemble_name: str | None = None) -> None:
        super().__init__(input_queue, ensemble_name or DEFAULT_RUNTIME_MANAGER_NAME)
        self.outputs = OutputLog(log_file)
        self.errors = Errors()
        self.registry = Registry(EnsembleInfo(self.ensemble_name or DEFAULT_RUNTIME_MANAGER_NAME))
        self.deployments = Deployments(self.registry, self._distribute, self._start, self._stop)
        self.healing = Healing(self.registry, self.deployments, _Ways(self))
        self.event: Callable[[str], None] = logger.info  # told a line for what happens to ensembles and their work
        self.join_listeners: list[Callable[[EnsembleInfo], None]] = []
        self._deploy_replies: dict[str, Future[GraphState]] = {}

    def _respond(self, kind: enum.Enum, payload: Any) -> None:
        if kind is RuntimeMsg.OUTPUT_TOKEN:
            self.outputs.add(payload)
        elif kind is RuntimeMsg.FIRING_ERROR:
            self.errors.add(payload)
        elif kind is RuntimeMsg.JOIN:
            if self._join(payload):
                self.healing.joined(payload)
        elif kind is RuntimeMsg.LEAVE:
            self._leave(payload)
        elif kind is RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH:
            request = payload if isinstance(payload, DeployRequest) else DeployRequest(payload)
            self._answer(request, lambda: self._deploy(request))
        elif kind is RuntimeMsg.READY:
            self._ready(payload)
        elif kind is RuntimeMsg.EXECUTE_GRAPH:
            self._answer(payload, lambda: self.deployments.start(payload.graph, payload.inputs, payload.start_tick))
        elif kind is RuntimeMsg.STOP_GRAPH:
            self._answer(payload, lambda: self.stop_graph(payload.graph))
        elif kind is RuntimeMsg.BACK:
            self._join(payload)
            self.healing.back(payload)
            self._set_grids_again(payload.name)
        elif kind is RuntimeMsg.DRAIN:
            self._answer(payload, lambda: self._drain(payload))
        elif kind is RuntimeMsg.SET_GRID:
            self._answer(payload, lambda: self._set_grid(payload))
        elif kind is RuntimeMsg.CHECKPOINT:
            self.healing.checkpoint(payload)
        elif kind is RuntimeMsg.PLACED:
            self.healing.placed(payload)
        elif kind is RuntimeMsg.HANDED:
            self.healing.handed(payload)

    def _answer(self, request: Any, act: Callable[[], Any]) -> None:
        """Do what a request asks for, and tell the one who asks of the result or the error."""
        try:
            result = act()
        except TTError as error:
            if request.reply is None:
                logger.error("%s", error)
            else:
                request.reply.set_exception(error)
        else:
            if request.reply is not None and result is not _LATER:
                request.reply.set_result(result)

    def _join(self, info: EnsembleInfo) -> bool:
        refusal = self.registry.refusal(info)
        if refusal is not None:
            logger.warning("refused %r: %s", info.name, refusal)
            self._send(info.name, Message(NetMsg.REFUSED, refusal, "TTNetworkManager"), info.address)
            return False
        known = self.registry.all()
        self.registry.add(info)
        own = Route(info.name, info.address)
        self._network(Message(NetMsg.ROUTE, own, "TTNetworkManager"))
        for other in known:
            if other.name == info.name:
                continue
            self._send(info.name, Message(NetMsg.ROUTE, Route(other.name, other.address), "TTNetworkManager"))
            if other.name != self.ensemble_name:
                self._send(other.name, Message(NetMsg.ROUTE, own, "TTNetworkManager"))
        for listener in self.join_listeners:
            listener(info)
        return True

    def _leave(self, name: str) -> None:
        if name not in self.registry.ensembles:
            return
        self.registry.remove(name)
        for other in self.registry.all():
            self._send(other.name, Message(NetMsg.FORGET, name, "TTNetworkManager"))
        self.healing.lost(name)

    def given_up(self, name: str) -> None:
        """An ensemble does not come back: what it still prepared is not waited for."""
        for graph, state in list(self.deployments.graphs.items()):
            if name in state.waits_for:
                self._ready(ReadyAnswer(graph, name, "it has gone"))

    def stop_graph(self, graph: str) -> None:
        """End a graph and forget it.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        self.deployments.stop(graph)
        self.healing.forget(graph)

    def _drain(self, request: DrainRequest) -> Any:
        def done(problem: str | None) -> None:
            if request.reply is not None and problem is None:
                request.reply.set_result(None)
            elif request.reply is not None:
                request.reply.set_exception(TTRuntimeError(problem))

        self.healing.drain(request.ensemble, done)
        return _LATER

    def _set_grid(self, request: SetRequest) -> SetGrid:
        change = self.deployments.set_grid(request.graph, request.sq, request.period, request.phase)
        for host in self.deployments.graphs[request.graph].hosts:
            self._send(host, Message(SyncMsg.SET_GRID, change, "TTInputTokenProcess"))
        return change

    def _set_grids_again(self, ensemble: str) -> None:
        """Tell an ensemble that was cut off what was changed meanwhile."""
        for state in self.deployments.graphs.values():
            for change in state.grids.values() if ensemble in state.hosts else ():
                self._send(ensemble, Message(SyncMsg.SET_GRID, change, "TTInputTokenProcess"))

    def _deploy(self, request: DeployRequest) -> Any:
        name = request.name or request.graph.name
        if request.reply is not None and name not in self.deployments.graphs:
            self._deploy_replies[name] = request.reply
        try:
            state = self.deployments.deploy(request.graph, request.name, request.mapping, request.weights)
        except TTError:
            if name not in self.deployments.graphs:
                self._deploy_replies.pop(name, None)
            raise
        self._settle_deployment(name, state)
        return _LATER

    def _ready(self, answer: ReadyAnswer) -> None:
        self.healing.ready(answer)
        self.deployments.answer(answer)
        state = self.deployments.graphs.get(answer.graph)
        if state is not None:
            self._settle_deployment(answer.graph, state)

    def _settle_deployment(self, name: str, state: GraphState) -> None:
        if state.state == "preparing":
            return
        reply = self._deploy_replies.pop(name, None)
        if state.state == "refused":
            message = not_prepared(state)
            self.stop_graph(name)
            if reply is None:
                logger.error("%s", message)
            else:
                reply.set_exception(TTRuntimeError(message))
            return
        if state.state == "ready":
            self.healing.deployed(state)
        if reply is not None:
            reply.set_result(state)

    def _distribute(self, ensemble: str, deployment: Deployment) -> None:
        self._send(ensemble, Message(ExecuteMsg.INSTANTIATE, deployment, "TTExecuteProcess"))

    def _start(self, ensemble: str, start: StartContext) -> None:
        self._send(ensemble, Message(SyncMsg.START, start, "TTInputTokenProcess"))

    def _stop(self, ensemble: str, graph: str) -> None:
        self._send(ensemble, Message(SyncMsg.STOP, StopGraph(graph), "TTInputTokenProcess"))

    def _send(self, ensemble: str, message: Message, address: str = "") -> None:
        self._network(Message(NetMsg.SEND, Envelope(ensemble, message), "TTNetworkManager"))


class _Ways:
    """How `Healing` reaches ensembles and people."""

    def __init__(self, process: TTRuntimeManagerProcess) -> None:
        self._process = process

    def place(self, ensemble: str, placement: Placement) -> None:
        self._sync(ensemble, SyncMsg.PLACE, placement)

    def expect(self, ensemble: str, expect: Expect) -> None:
        self._sync(ensemble, SyncMsg.EXPECT, expect)

    def hand_over(self, ensemble: str, order: HandOver) -> None:
        self._sync(ensemble, SyncMsg.HAND_OVER, order)

    def dismiss(self, ensemble: str) -> None:
        reason = Message(NetMsg.SHUT_DOWN, "it was drained: nothing lives here any more", "TTNetworkManager")
        self._process._send(ensemble, reason)

    def event(self, text: str) -> None:
        self._process.event(text)

    def _sync(self, ensemble: str, kind: SyncMsg, payload: Any) -> None:
        self._process._send(ensemble, Message(kind, payload, "TTInputTokenProcess"))


_LATER = object()


def _nobody(message: Message) -> None:
    raise TTRuntimeError("this process is not connected yet: call setup_proc_intfc first")


__all__ = [
    "DEFAULT_RUNTIME_MANAGER_NAME",
    "DeployRequest",
    "DrainRequest",
    "Envelope",
    "ExecuteMsg",
    "FiringError",
    "Message",
    "NetMsg",
    "OutputToken",
    "Route",
    "RuntimeMsg",
    "SetRequest",
    "StartRequest",
    "StopRequest",
    "SyncMsg",
    "TTExecuteProcess",
    "TTInputTokenProcess",
    "TTNetworkInterface",
    "TTNetworkManager",
    "TTProcess",
    "TTRuntimeManagerProcess",
    "TokenMessage",
]
