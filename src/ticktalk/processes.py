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
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import TTError, TTRuntimeError
from ticktalk.manager.deployments import Deployments, Errors, GraphState, Registry, not_prepared
from ticktalk.manager.healing import Healing
from ticktalk.manager.outputs import OutputLog
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RECIPIENTS, Envelope, ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg
from ticktalk.payloads import (
    Deployment,
    DeployRequest,
    DrainRequest,
    Expect,
    HandOver,
    Placed,
    Placement,
    ReadyAnswer,
    Route,
    SetGrid,
    SetRequest,
    StartContext,
    StartRequest,
    StopGraph,
    StopRequest,
)

if TYPE_CHECKING:
    import simpy

logger = logging.getLogger("TTPython.RuntimeManager")


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
        if isinstance(msg.msg_type, self.accepts) and msg.recipient_name == RECIPIENTS[self.accepts]:
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
        self._inputs: dict[str | None, Callable[[Message], None]] = {}

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
        callback = self._inputs.get(message.recipient_name)
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
    "ExecuteMsg",
    "Message",
    "NetMsg",
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
]
