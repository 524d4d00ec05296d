"""The documented processes: thin shells around the rules.

Each has one input queue of `Message`s, a handler for each kind of message, and the callbacks that `setup_proc_intfc`
sets. The driver hosts it: `run_sim` inside a `simpy.Process`, `run_phy` in a thread. A message names its kind
(`msg_type`) and its process (`process_recipient`). One for another process is ignored without notice. Tokens do not
come this way: within an ensemble they go from SQ to SQ by direct call (`ticktalk.engine`).
"""

from __future__ import annotations

import enum
import logging
import queue
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import InvalidMessageError, TTRuntimeError
from ticktalk.manager.driver import Driver
from ticktalk.manager.requests import Requests
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import RECIPIENTS, Envelope, ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg, message
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.payloads import DeployRequest, DrainRequest, Route, SetRequest, StartRequest, StopRequest

if TYPE_CHECKING:
    import simpy

logger = logging.getLogger("TTPython.RuntimeManager")
logger.setLevel(logging.DEBUG)  # as TickTalk's documentation says

UNDER_WAY_LIMIT = 10.0
"""Seconds for which a message is waited for that a `multiprocessing.Queue` was given."""


class TTProcess:
    """The input queue and the two run loops, which all processes share.

    Args:
        input_queue: a `queue.Queue` or `multiprocessing.Queue` of messages for this process.
        ensemble_name: the name of the ensemble it belongs to.

    Attributes:
        handlers: by kind of message, the function that responds to its payload; a driver may put in its own.
    """

    def __init__(self, input_queue: Any, ensemble_name: str | None = None) -> None:
        self.input_queue = input_queue
        self.ensemble_name = ensemble_name
        self.handlers: dict[enum.Enum, Callable[[Any], object]] = {}
        self.sim_process: simpy.Process | None = None
        self.refuse: Callable[[InvalidMessageError], None] = _log  # told of a message that cannot be
        self.wake: Callable[[], None] | None = None  # told that something is in the queue: the driver gives it a turn
        self._waits = False  # in `run_sim`, for an interrupt
        # A `multiprocessing.Queue` shows a message only when its thread has brought it: those under way are counted.
        self._lags = hasattr(input_queue, "cancel_join_thread")
        self._under_way = 0
        self._stopped = False

    def get_next_input(self) -> Message:
        """Pull the next input off the input queue; waits for one if there is none."""
        return self._next(None)

    def _next(self, limit: float | None) -> Message:
        message: Message = self.input_queue.get(timeout=limit)
        if self._under_way:
            self._under_way -= 1
        return message

    def _put(self, message: Message | None) -> None:
        if self._lags:
            self._under_way += 1  # before somebody can take it
        self.input_queue.put(message)

    def input_msg(self, message: Message) -> None:
        """Provide a message to this process's input queue.

        In simulation the process, which otherwise waits indefinitely, is interrupted.
        """
        self._put(message)
        if self.wake is not None:
            self.wake()
        if self.sim_process is not None and self._waits:
            self._waits = False
            self.sim_process.interrupt()

    def handle_message(self, msg: Message) -> None:
        """Respond to a message meant for this process; any other is ignored without notification."""
        if not isinstance(msg, Message) or not isinstance(msg.msg_type, enum.Enum):
            return
        handler = self.handlers.get(msg.msg_type)
        if handler is not None and msg.recipient_name == RECIPIENTS[msg.msg_type.__class__]:
            try:
                handler(msg.payload)
            except InvalidMessageError as error:
                self.refuse(error)

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
        self._put(None)

    def handle_pending(self) -> bool:
        """Respond to all queued messages; true if there were any."""
        any_message = False
        while self._under_way or not self.input_queue.empty():  # nobody else takes from it
            try:
                message = self._next(UNDER_WAY_LIMIT)
            except queue.Empty:  # it could not be pickled: the queue's thread has told so, and dropped it
                self._under_way = 0
                break
            any_message = True
            if message is None:
                self._stopped = True
            else:
                self.handle_message(message)
        return any_message


class TTNetworkManager(TTProcess):
    """Carries messages between the processes of this ensemble and those of others.

    Args:
        input_queue: see `TTProcess`.
        ensemble_name: the ensemble's name.
        interface: the link to other ensembles (`TTNetworkInterface`).
        manager: the name of the runtime manager's ensemble.
    """

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
        self.handlers = {
            NetMsg.JOIN: self._join,
            NetMsg.ROUTE: self._route,
            NetMsg.FORGET: lambda name: self.routing_table.pop(name, None),
            NetMsg.REFUSED: self._refused,
            NetMsg.SHUT_DOWN: self._shut_down,
            NetMsg.SEND: self._send,
        }

    def setup_proc_intfc(
        self,
        input_sync_func: Callable[[Message], None] | None = None,
        input_execute_func: Callable[[Message], None] | None = None,
        input_runtime_func: Callable[[Message], None] | None = None,
        sim_process: simpy.Process | None = None,
    ) -> None:
        """Set the inputs of the other processes of this ensemble, and the SimPy process this runs in."""
        callbacks = {
            "TTInputTokenProcess": input_sync_func,
            "TTExecuteProcess": input_execute_func,
            "TTRuntimeManagerProcess": input_runtime_func,
            "TTNetworkManager": self.input_msg,
        }
        self._inputs = {name: callback for name, callback in callbacks.items() if callback is not None}
        self.sim_process = sim_process

    def receive(self, msg: Message) -> None:
        """Take a message from another ensemble to the process it is for."""
        callback = self._inputs.get(msg.recipient_name)
        if callback is not None:
            callback(msg)

    def _over_network(self) -> TTNetworkInterface:
        if self.interface is None:
            raise TTRuntimeError("this process has no network interface yet")
        return self.interface

    def _join(self, info: EnsembleInfo) -> None:
        self._over_network().send(self.manager, message(RuntimeMsg.JOIN, info))

    def _route(self, route: Route) -> None:
        self.routing_table[route.name] = route.address

    def _refused(self, reason: str) -> None:
        self.refused = reason
        logger.error("ensemble %r was refused: %s", self.ensemble_name, reason)

    def _shut_down(self, reason: str) -> None:
        self._over_network().send(self.manager, message(RuntimeMsg.LEAVE, self.ensemble_name))

    def _send(self, envelope: Envelope) -> None:
        if envelope.ensemble == self.ensemble_name:
            self.receive(envelope.message)
        else:
            self._over_network().send(envelope.ensemble, envelope.message)


class _BesideNetworkManager(TTProcess):
    """A process that reaches all others through the `TTNetworkManager` of its ensemble."""

    def __init__(
        self, input_queue: Any, ensemble_name: str | None = None, manager: str = DEFAULT_RUNTIME_MANAGER_NAME
    ) -> None:
        super().__init__(input_queue, ensemble_name)
        self.manager = manager
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

    def send(self, ensemble: str, kind: enum.Enum, payload: Any) -> None:
        """Send a message to the process of an ensemble that it is for."""
        self._network(message(NetMsg.SEND, Envelope(ensemble, message(kind, payload))))

    def tell(self, kind: RuntimeMsg, payload: Any) -> None:
        """Send the manager a message."""
        self.send(self.manager, kind, payload)


class _OfHost(_BesideNetworkManager):
    """A process that hands messages to the SQs of an ensemble."""

    def __init__(
        self,
        input_queue: Any,
        ensemble_name: str | None = None,
        host: EnsembleHost | None = None,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
    ) -> None:
        super().__init__(input_queue, ensemble_name, manager)
        self.host = host
        self.handlers = {} if host is None else self._handlers_of(host)

    def _handlers_of(self, host: EnsembleHost) -> dict[enum.Enum, Callable[[Any], object]]:
        raise NotImplementedError


class TTInputTokenProcess(_OfHost):
    """Ports, firing rules and timers of the SQs placed on this ensemble (`ticktalk.engine.firing`)."""

    def _handlers_of(self, host: EnsembleHost) -> dict[enum.Enum, Callable[[Any], object]]:
        return {
            SyncMsg.START: host.start,
            SyncMsg.INPUT_TOKEN: host.arrive,
            SyncMsg.STOP: host.stop,
            SyncMsg.SET_GRID: host.set_grid,
        }


class TTExecuteProcess(_OfHost):
    """Bodies of the SQs placed on this ensemble (`ticktalk.engine.execution`)."""

    def _handlers_of(self, host: EnsembleHost) -> dict[enum.Enum, Callable[[Any], object]]:
        return {ExecuteMsg.INSTANTIATE: lambda deployment: self.tell(RuntimeMsg.READY, host.prepare(deployment))}


class TTRuntimeManagerProcess(_BesideNetworkManager):
    """The privileged process that only the runtime manager's ensemble has.

    It tells all ensembles of one another, maps graphs and distributes their SQs, sends the first tokens and logs
    the outputs. It only dispatches: the rules and the state are in `ticktalk.manager`.

    Args:
        log_file: where output tokens are appended, one JSON object a line: a path, an open file, or None.
        input_queue: a `queue.Queue` or `multiprocessing.Queue` of messages for this process.
        ensemble_name: the name of this ensemble.
        driver: hosts the manager: its clock and timers, real or simulated.
    """

    def __init__(
        self, log_file: Any, input_queue: Any, ensemble_name: str | None = None, *, driver: Driver | None = None
    ) -> None:
        name = ensemble_name or DEFAULT_RUNTIME_MANAGER_NAME
        super().__init__(input_queue, name, name)
        self.requests = Requests(name, log_file, self.send, driver or Driver())
        self.handlers = self.requests.handlers
        self.state, self.outputs, self.errors = self.requests.state, self.requests.outputs, self.requests.errors


def _log(error: InvalidMessageError) -> None:
    logger.warning("%s", error)


def _nobody(msg: Message) -> None:
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
