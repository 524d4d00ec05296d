"""One ensemble on a device: the three documented processes, served by its timekeeper.

`Node` makes the parts and wires them; no part knows the node. The timekeeper (`Loop`) owns ports, timers, contexts and
counters. The network session belongs to `Link`, tokens on their way to `Tokens`, bodies to `Workers`, moves and reports
to `Duties`.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any

from ticktalk.counters import REFUSED
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME, MAX_VALUE
from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import Components
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.errors import InvalidMessageError, TTError
from ticktalk.factories import check_factory
from ticktalk.heartbeats import ControlState
from ticktalk.hosted.arc_watch import ArcWatch
from ticktalk.hosted.ensemble_duties import Duties
from ticktalk.hosted.moves import ANSWER_LIMIT, UNDER_WAY_LIMIT, Moves
from ticktalk.hosted.subscriptions import Listening, arcs_to
from ticktalk.hosted.waiting_bytes import WaitingBytes
from ticktalk.manager.events import WorkerDied
from ticktalk.messages import ExecuteMsg, Message, NetMsg, RuntimeMsg, SyncMsg, message
from ticktalk.network_keys import Path, apart_key, control_key
from ticktalk.payloads import (
    Deployment,
    FiringError,
    Firings,
    HowFar,
    OutputToken,
    ReadyAnswer,
    StartContext,
    StopGraph,
    WorkerDeath,
)
from ticktalk.physical.memory.allocator import keep_memory
from ticktalk.physical.memory.sharing import Sharing
from ticktalk.physical.network import rooms
from ticktalk.physical.network.control_frames import LongerThanKindError, UnsignedCodeError, parse_control
from ticktalk.physical.network.control_order import ControlOrder
from ticktalk.physical.network.frames import FrameError
from ticktalk.physical.network.inboxes import Inboxes
from ticktalk.physical.network.link import Link
from ticktalk.physical.network.tokens import Tokens
from ticktalk.physical.network.zenoh_link import TTNetworkInterfaceZenoh
from ticktalk.physical.recording import Noting
from ticktalk.physical.timekeeping.loop import LOAN, Job, Loop
from ticktalk.physical.timekeeping.root_clock import RootClock, monotonic_us
from ticktalk.physical.to_manager import ToManager
from ticktalk.physical.trust.guard import DroppedError, Guard, Proven
from ticktalk.physical.trust.identity import ByToken
from ticktalk.physical.workers.memory import MemoryLimit
from ticktalk.physical.workers.workers import Workers
from ticktalk.processes import TTExecuteProcess, TTInputTokenProcess, TTNetworkManager, TTProcess
from ticktalk.ranges import known
from ticktalk.repeats import Repeats
from ticktalk.time import Tick
from ticktalk.values.codec import Encoded, encoded

logger = logging.getLogger("ticktalk")


class Node:
    """The process of an ensemble in which its timekeeper runs.

    Args:
        name: the ensemble's.
        components: component name to factory text `module:name`, driver object, or None.
        manager: the name of the runtime manager.
        processes: whether bodies run in worker processes; else in threads of this one.
        near: folder beside which factories' modules are looked for.
        guard: seals and opens control messages; None: nothing is sealed.
        link: its end of the network; None: Zenoh's.
        max_value: bytes of the longest value that a body may send.
        loop: the class of its timekeeper.
        worker_memory: bytes that a worker process may take for itself; 0: any number.

    Raises:
        TTError: a factory is not there.
    """

    def __init__(
        self,
        name: str,
        components: Components,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
        processes: bool = True,
        near: str = "",
        guard: Guard | None = None,
        link: Link | None = None,
        max_value: int = MAX_VALUE,
        loop: type[Loop] = Loop,
        worker_memory: int = 0,
    ) -> None:
        for component, factory in components.items():
            if isinstance(factory, str):
                check_factory(name, component, factory, near)
        self.name = name
        self.link = link or TTNetworkInterfaceZenoh()
        self.manager = manager
        self.components = components
        self.clock = RootClock()
        self.agenda = Agenda(self.clock.now())
        self.loop = loop(self.clock, self.agenda, name)
        self.host = EnsembleHost(name, components, self.agenda, self)
        self.host.movable = True
        self.host.together = lambda graph, context, *token: self.tokens.of[graph, context].publish_together(*token)
        self.own: Counter[str] = Counter()  # counted for the ensemble itself, by kind
        self.take_control: dict[Any, Callable[[Any, int], None]] = {}  # handlers that need the time of arrival
        self.sharing = Sharing(name, self.link, self.loop, lambda: self.workers.memories, lambda: self.moves.keeps)
        self.workers: Workers = Workers(
            name,
            components,
            self.loop,
            self.clock,
            processes,
            near,
            self._worker_died,
            lambda context, sq: self.duties.checkpoints.last_body(context, sq),
            self.sharing.encode,
            max_value,
        )
        self.sharing.max_value = max_value
        self._memory = MemoryLimit(worker_memory, self.workers.memories.processes) if worker_memory else None
        self.duties: Duties = Duties(
            self.host,
            self.workers,
            manager,
            lambda ensemble, kind, payload: self.send(ensemble, message(kind, payload)),
            self.listen,
            self.agenda.deliver_at,
            lambda answers: self.clock.now() + (ANSWER_LIMIT if answers else UNDER_WAY_LIMIT),
            self.agenda.deliver_at,
            own=lambda: self.own,
            lost=lambda context, arc, missing: context.counters.add(arc.rpartition("/")[0], "lost", missing),
        )
        self.moves: Moves = self.duties.moves
        self._waiting = WaitingBytes(self.loop.post)
        self.accelerator: Accelerator | None = self.workers.accelerator
        self.tokens: Tokens = Tokens(
            self.link,
            self.loop,
            self.host.prepared,
            self.sharing,
            self.moves,
            self.workers.accelerator.taking,
            self.own,
            guard or Guard(ByToken(b"", name, "ensemble")),
            self.dropped,
            lambda sender: self.link.mode == "peer" and sender != manager,
        )
        self.loop.before_instant = self.tokens.before_instant
        self.guard = guard
        self._inboxes = Inboxes(self.loop.post, rooms.MESSAGES, rooms.room, self.dropped, self.loop.after)
        self._told, self._told_too_long = Repeats(few=1), Repeats(few=1)
        self.to_manager = ToManager(name, manager, self.link, self.loop, self.count_overflow)
        self.noting = Noting(
            name,
            self.clock.now,
            lambda recorded: self.loop.post(self.send, manager, message(RuntimeMsg.RECORDED, recorded)),
        )
        self.host.tap = self.noting.tap
        self.take_output: Callable[[OutputToken], None] | None = None  # on the manager's own ensemble
        self.take_error: Callable[[FiringError], None] | None = None
        self.log_error: Callable[[FiringError], None] = lambda error: None
        self._listening = Listening(self.link, self.tokens.incoming)
        self.link.name, self.link.take = name, self.receive
        self.order = ControlOrder(guard, name, manager, self.link.send_again)
        self.link.seal = self.order.seal
        self.link.waiting, self.link.overflow = self._flush, self.count_overflow
        self.link.subscribe(control_key(name), self._on_control)
        self.link.subscribe(apart_key(name), self.tokens.take_apart)
        self.network_manager = network = TTNetworkManager(queue.SimpleQueue(), name, self.link, manager)
        self.input_token_process = inputs = TTInputTokenProcess(queue.SimpleQueue(), name, self.host, manager)
        self.execute_process = bodies = TTExecuteProcess(queue.SimpleQueue(), name, self.host, manager)
        # On a device contexts begin at their start tick, bodies are compiled and run in workers, and moves take time.
        self.arc_watch = ArcWatch(
            name,
            self.host.contexts,
            self.clock.now,
            lambda token: self.send(manager, message(RuntimeMsg.ARC_TOKEN, token)),
        )
        inputs.handlers |= {
            SyncMsg.WATCH: self.arc_watch.watch,
            SyncMsg.START: self.start_context,
            SyncMsg.STOP: self.stop,
            **self.duties.handlers(SyncMsg),
        }
        network.handlers |= {**self.sharing.handlers, **self.duties.handlers(NetMsg)}
        network.handlers |= {NetMsg.TAKEN: self.tokens.receivers.took, NetMsg.FORGET: self._forget}
        network.handlers |= {NetMsg.HOW_FAR: self._tell_how_far, NetMsg.OUTPUTS_TAKEN: self.to_manager.taken}
        ready = functools.partial(bodies.tell, RuntimeMsg.READY)
        bodies.handlers[ExecuteMsg.INSTANTIATE] = lambda deployment: self.prepare(deployment, ready)
        self.processes: list[TTProcess] = []
        network.setup_proc_intfc(inputs.input_msg, bodies.input_msg)
        inputs.setup_proc_intfc(network.input_msg)
        bodies.setup_proc_intfc(network.input_msg)
        self._drains = False
        self._thread: threading.Thread | None = None
        for process in (network, inputs, bodies):
            self.serve(process)

    # Serving the processes.

    def serve(self, process: TTProcess) -> None:
        """Let the loop serve one more process."""
        self.processes.append(process)
        process.wake, process.refuse = self._wake, self.refuse

    def _wake(self) -> None:
        if not (self.loop.in_loop and self._drains):
            self.loop.post(self._drain)

    def _drain(self) -> None:
        self._drains = True
        try:
            busy = True
            while busy:
                busy = False
                for process in self.processes:
                    busy = process.handle_pending() or busy
        finally:
            self._drains = False

    def run_in_thread(self) -> None:
        """Keep time in a thread of its own."""
        keep_memory()
        self._thread = threading.Thread(target=self.loop.run, name=f"ticktalk {self.name}", daemon=True)
        self._thread.start()

    def go_on_from(self, offset: int) -> None:
        """Keep the root time that another process of this host kept, before time is kept here."""
        self.clock.step(offset - self.clock.offset)
        self.agenda.now = self.clock.now()

    def close(self, grace: float = 1.0) -> None:
        """End: workers exit, sockets close, the loop stops. From any thread but the loop's."""
        self.noting.close()
        self.loop.stop()
        if self._thread is not None:
            self._thread.join(5)
        self.workers.close()
        if self._memory is not None:
            self._memory.close()
        self.link.close(grace)
        self.loop.close()

    # Control messages.

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message to an ensemble's process; to the manager after the outputs that came before it."""
        if ensemble == self.manager:
            self.to_manager.send(message)
        else:
            self.link.send(ensemble, message)

    def heard(self, ensemble: str, control: ControlState) -> None:
        """A heartbeat of an ensemble says how control messages stand there."""
        now = monotonic_us()
        for proven in self.order.heard(ensemble, control, now):
            self._take(proven, now)

    def receive(self, message: Message, stamp: int | None = None) -> None:
        """Take a control message to the process it is for."""
        direct = self.take_control.get(message.msg_type)
        if direct is not None:
            try:
                direct(message.payload, self.clock.at(monotonic_us() if stamp is None else stamp))
            except InvalidMessageError as error:
                self.refuse(error)
            return
        self.take_in(message)

    def take_in(self, message: Message) -> None:
        """Take a message to its process, and let all processes respond."""
        self.network_manager.receive(message)
        self._drain()

    def _flush(self) -> None:
        if not self.loop.in_loop:
            self.loop.post(self._flush)
        else:
            self.loop.do_aside(lambda: Job(LOAN, self.link.flush), first=True)

    def _on_control(self, frame: bytes, attached: bytes | None) -> None:
        """Open a frame in the network's thread: it waits in the room of its sender, and of no other.

        Outputs are taken in at once if no other thread keeps time now.
        """
        sender = rooms.Sender()
        came: bytes | Proven | FrameError = frame
        try:
            if self.guard is not None:
                came = proven = self.guard.prove(frame)
                sender = rooms.Sender(proven.sender, proven.path)
        except FrameError as error:
            # The timekeeper may have to hear of its sender before. Else it only counts it: opening it takes long.
            if not (isinstance(error, DroppedError) and error.early):
                error.__traceback__ = error.__context__ = None  # they would hold the frame
                came, frame = error, b""
        stamp = monotonic_us()
        # Outputs are many, and nothing has to be sent after them: taken here, they wake no thread.
        at_once = sender.path is Path.OUTPUTS and not self._inboxes.waiting
        if at_once and self.loop.visit(stamp, False, self._control, came, stamp):
            return
        self._inboxes.put(sender, len(frame), self._control, came, stamp)

    def dropped(self, sender: rooms.Sender | str | None, count: int) -> None:
        """Count and tell that so much of a sender's found no room here; None: of nobody that is known."""
        self.own["overflow"] += count
        if self._told.may_tell(monotonic_us()):
            name = sender.name if isinstance(sender, rooms.Sender) else sender
            logger.warning(
                "ensemble %r is sent more than it can take in, by %s: what came first is left out, and counted as"
                " overflow",
                self.name,
                repr(name) if name else "processes that are not known here",
            )

    def refused(self) -> dict[str, int]:
        """By kind, how much came here from outside and was not taken."""
        return {kind: self.own[kind] for kind in REFUSED if self.own[kind]}

    def _control(self, came: bytes | Proven | FrameError, stamp: int) -> None:
        for each in self.order.came(came):
            self._take(each, stamp)

    def _take(self, came: bytes | Proven | FrameError, stamp: int) -> None:
        try:
            message = self._opened(came)
            if message.msg_type is NetMsg.ROUTE and self.guard is not None:
                self.guard.admit(message.payload.badge, message.payload.name)
        except UnsignedCodeError:
            self.own["bad_frames"] += 1
            logger.error(
                "ensemble %r refused a deployment: it does not carry the signature of the manager it joined", self.name
            )
        except TTError as error:
            self.own["forged"] += 1
            logger.debug("a badge was dropped: %s", error)
        except FrameError as error:
            self.own[error.kind] += 1
            tells = isinstance(error, LongerThanKindError) and self._told_too_long.may_tell(monotonic_us())
            level = logging.WARNING if tells else logging.DEBUG
            logger.log(level, "ensemble %r dropped a message, counted as %s: %s", self.name, error.kind, error)
        else:
            self.receive(message, stamp)

    def _opened(self, came: bytes | Proven | FrameError) -> Message:
        if isinstance(came, FrameError):
            raise came
        if isinstance(came, bytes):
            return parse_control(came)
        assert self.guard is not None
        opened = self.guard.take(came)
        return parse_control(opened.body, opened, self.name == self.manager)

    def refuse(self, error: InvalidMessageError) -> None:
        """Count a message that names something absent; it has no other effect."""
        self.own[error.kind] += 1
        logger.debug("a message was dropped: %s", error)

    # Tokens, outputs and errors (`Outside`).

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token to every ensemble that consumes the arc: one publication."""
        self.tokens.of[graph, context].publish(arc, ensembles, value, start, stop)

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        self.duties.reports.outputs[graph, context] += 1
        token = OutputToken(graph, value, start, stop, sq, self.name, context, self.clock.now())
        if self.take_output is not None:
            self.take_output(token)
        else:
            self.to_manager.output(token)

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        if self.take_error is not None:
            self.take_error(error)
        else:
            self.send(self.manager, message(RuntimeMsg.FIRING_ERROR, error))

    # Deployment.

    def prepare(self, deployment: Deployment, tell: Callable[[ReadyAnswer], None]) -> None:
        """Hold a graph ready: its arcs are subscribed to, its bodies compiled in their workers."""
        graph = deployment.graph
        try:
            graph.check()
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidMessageError(f"a deployment of what is no graph: {error}") from None
        answer = self.host.prepare(deployment, run_code=False)
        if answer.problem is not None:
            tell(answer)
            return
        prepared = self.host.prepared[graph.name]
        self.listen(graph.name)

        def loaded(problem: str | None) -> None:
            if problem is not None:
                self.stop_graph(graph.name)
            tell(ReadyAnswer(graph.name, self.name, problem))

        self.workers.load(graph, prepared.sqs, loaded)

    def listen(self, graph: str, expected: Collection[str] = (), arcs: Collection[str] = ()) -> None:
        """Subscribe to the arcs that end here, or at SQs that will come, and to `arcs`; to no others of the graph."""
        if expected:
            self.sharing.want_whole()
        self.tokens.placed(graph)
        self._listening.listen(graph, [*arcs_to(self.host.prepared[graph], expected), *arcs])
        for context in self.host.contexts_of(graph):
            self._waiting.watch(context)  # SQs may have come

    def _forget(self, ensemble: str) -> None:
        self.network_manager.routing_table.pop(ensemble, None)
        self.tokens.receivers.gone(ensemble)
        self.tokens.will_not_come(ensemble)

    def _tell_how_far(self, asked: HowFar) -> None:
        self.tokens.will_come(asked)
        self.moves.tell_how_far(asked)

    def start_context(self, start: StartContext) -> None:
        """Wire a context; its inputs reach their ports at its start tick."""
        key = (start.graph, start.context)
        if start.graph not in self.host.prepared or key in self.host.contexts:
            return  # known already: the manager repeats it to an ensemble that was cut off
        inputs = self.host.prepared[start.graph].graph.inputs
        known((source.name for source in inputs), start.inputs, f"inputs of graph {start.graph!r}, in a start,")
        context = self.host.wire(start, self.workers.place)
        self._waiting.watch(context)
        self.tokens.add(context, self.duties.add(context))
        self.workers.begin(context)
        values = {name: Encoded(encoded(value)) for name, value in start.inputs.items()}

        def begin() -> None:
            if self.host.contexts.get(key) is not context:
                return  # its graph was stopped before
            context.inject(values)
            self.tokens.begin(*key)
            if start.checkpoint and self.agenda.now > start.start_tick:
                self.duties.checkpoints.save(*key)  # the next one due may be a whole period away
            self.duties.checkpoints.begin(start)

        if start.start_tick > self.agenda.now:
            self.agenda.deliver_at(start.start_tick, begin)
        else:
            begin()

    def stop_graph(self, graph: str) -> None:
        """Forget a graph."""
        self.stop(StopGraph(graph))

    def stop(self, stop: StopGraph) -> None:
        """Forget a graph, or a context that has ended: nothing of it fires any more."""
        self.duties.forget(stop)
        self.workers.stop(stop)
        self.host.stop(stop)
        self.noting.stop(stop)
        if stop.context is None:
            self._listening.stop(stop.graph)
        self.tokens.forget(stop)

    def count_overflow(self, count: int = 1) -> None:
        """Frames or outputs were dropped: too many waited to be sent, or they could not be read where they waited."""
        self.own["overflow"] += count

    def _worker_died(self, worker: str, how: str, firings: Firings) -> None:
        self.own["restarts"] += 1
        if not how:
            logger.warning("ensemble %r: its %s worker was ended and is replaced", self.name, worker)
            return
        death = WorkerDeath(self.name, worker, how, firings)
        logger.warning("%s", WorkerDied(death))
        self.send(self.manager, message(RuntimeMsg.WORKER_DIED, death))
