"""One ensemble on a device: the three documented processes, served by one thread that keeps time.

State and its owner: ports, timers, contexts and counters belong to the thread of `Loop`; the network session to
`Link`; bodies to `Workers`. `Node` wires them and speaks the protocol: tokens on the keys of their arcs, control
messages on the key of the ensemble they are for.
"""

from __future__ import annotations

import functools
import logging
import os
import pkgutil
import platform
import queue
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.arc_numbers import ArcNumbers, Bundle, Numbers
from ticktalk.engine.components import Components
from ticktalk.engine.context import Context
from ticktalk.engine.execution import FiringError
from ticktalk.engine.forwarding import Together, arc_name
from ticktalk.engine.health import IdleReport
from ticktalk.engine.hosting import (
    Deployment,
    EnsembleHost,
    Expect,
    HandOver,
    Placement,
    ReadyAnswer,
    StartContext,
    StopGraph,
)
from ticktalk.engine.outputs import OutputToken
from ticktalk.engine.values import Data, Encoded, ValueFormatError, encoded, split
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.physical.clock import RootClock, monotonic_us
from ticktalk.physical.link import Link
from ticktalk.physical.loop import LOAN, Loop
from ticktalk.physical.memory import keep_memory
from ticktalk.physical.moving import Moves
from ticktalk.physical.wire import (
    LONG,
    FrameError,
    Parcel,
    ReportRequest,
    UnsignedCodeError,
    arcs_as_bytes,
    arcs_in,
    control_frame,
    long_parcel,
    parse_control,
    parse_parcels,
    token_frame,
)
from ticktalk.physical.workers import Workers, cores
from ticktalk.processes import (
    DEFAULT_RUNTIME_MANAGER_NAME,
    Message,
    RuntimeMsg,
    TTExecuteProcess,
    TTInputTokenProcess,
    TTNetworkManager,
    TTProcess,
)
from ticktalk.time import Tick

logger = logging.getLogger("ticktalk")

INBOX = 100_000
"""Token frames that may wait to be taken in; beyond that the stalest goes, counted."""

EARLY_KEPT = 10_000
"""Tokens kept for a context whose start has not reached this ensemble yet."""

BUNDLES_KEPT = 10_000
"""Sets of arcs whose tokens come or go together that are remembered."""

Verify = Callable[[bytes, bytes], bool]
Sign = Callable[[bytes], bytes]


def control_key(ensemble: str) -> str:
    """The key of control messages for an ensemble."""
    return f"ticktalk/ensemble/{ensemble}"


@functools.lru_cache(4096)
def arc_key(graph: str, arc: str) -> str:
    """The key of an arc: one publication reaches every host that consumes it."""
    return f"ticktalk/arc/{key_part(graph)}/{key_part(arc)}"


def key_part(name: str) -> str:
    """`name` as one part of a key: graphs are called as files are, keys know wildcards."""
    return quote(name, safe="")


class _InputTokens(TTInputTokenProcess):
    """The documented process, on a device: contexts begin at their start tick, bodies run in workers."""

    node: Node

    def start(self, start: StartContext) -> None:
        self.node.start_context(start)

    def place(self, placement: Placement) -> None:
        self.node.moves.place(placement)

    def expect(self, expect: Expect) -> None:
        self.node.moves.expect(expect)

    def hand_over(self, order: HandOver) -> None:
        self.node.moves.hand_over(order)

    def stop_graph(self, stop: StopGraph) -> None:
        self.node.stop_graph(stop.graph)

    def report(self, request: ReportRequest) -> None:
        self.node.send_report(request)


class _Bodies(TTExecuteProcess):
    """The documented process, on a device: bodies are compiled where they will run."""

    node: Node

    def prepare(self, deployment: Deployment) -> None:
        self.node.prepare(deployment, self.tell)


class TTNetworkInterfaceZenoh:
    """The network as one ensemble on a device sees it: control messages as frames on the key of their ensemble."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message; one to this ensemble itself is taken at once."""
        node = self._node
        if ensemble == node.name:
            node.receive(message)
        elif node.link is not None:
            node.link.publish(control_key(ensemble), control_frame(message, node.sign))


class Node:
    """An ensemble's time-keeping process.

    Args:
        name: the ensemble's.
        components: component name to factory text `module:name`, driver object, or None.
        manager: the name of the runtime manager.
        processes: whether bodies run in worker processes; else in threads of this one.
        near: folder beside which factories' modules are looked for.
        sign, verify: the manager's signature on code.
    """

    def __init__(
        self,
        name: str,
        components: Components,
        manager: str = DEFAULT_RUNTIME_MANAGER_NAME,
        processes: bool = True,
        near: str = "",
        sign: Sign | None = None,
        verify: Verify | None = None,
    ) -> None:
        self.name = name
        self.manager = manager
        self.components = components
        self.clock = RootClock()
        self.agenda = Agenda(self.clock.now())
        self.loop = Loop(self.clock, self.agenda)
        self.host = EnsembleHost(name, components, self.agenda, self)
        self.host.movable = True
        self.host.together = self.publish_together
        self.moves = Moves(self)
        self.workers = Workers(
            name, components, self.loop, self.clock, processes, near, self._count_restart, self.moves.last_body
        )
        self.link: Link | None = None
        self.sign = sign
        self.verify = verify
        self.bad_frames = 0
        self.restarts = 0
        self.overflow = 0
        self.take_output: Callable[[OutputToken], None] | None = None  # on the manager's own ensemble
        self.take_error: Callable[[FiringError], None] | None = None
        self.take_control: dict[Any, Callable[[Any, int], None]] = {}  # what is handled with its stamp
        self.log_error: Callable[[FiringError], None] = lambda error: None
        self._passed: dict[tuple[str, int], ArcNumbers] = {}
        self._bundles: dict[
            tuple[tuple[str, int], str, tuple[int, ...] | bytes, str], tuple[bytes, tuple[int, ...], Bundle]
        ] = {}
        self._outputs: dict[tuple[str, int], int] = {}
        self._early: dict[tuple[str, int], list[tuple[str, Parcel]]] = {}
        self._begun: set[tuple[str, int]] = set()
        self._inbox: deque[tuple[str, str, bytes, bytes | None]] = deque()  # token frames that wait for who keeps time
        self._keys: dict[str, list[str]] = {}
        self.interface = TTNetworkInterfaceZenoh(self)
        self.network_manager = TTNetworkManager(queue.Queue(), name, self.interface, manager)
        inputs = _InputTokens(queue.Queue(), name, self.host)
        bodies = _Bodies(queue.Queue(), name, self.host, manager)
        inputs.node = bodies.node = self
        self.input_token_process: TTInputTokenProcess = inputs
        self.execute_process: TTExecuteProcess = bodies
        self.processes: list[TTProcess] = [self.network_manager, inputs, bodies]
        self.network_manager.setup_proc_intfc(inputs.input_msg, bodies.input_msg)
        inputs.setup_proc_intfc(self.network_manager.input_msg)
        bodies.setup_proc_intfc(self.network_manager.input_msg)
        self._drains = False
        self._thread: threading.Thread | None = None
        for process in self.processes:
            process.wake = self._wake

    # What the processes need to be served.

    def serve(self, process: TTProcess) -> None:
        """Let the loop serve one more process."""
        self.processes.append(process)
        process.wake = self._wake

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

    def close(self, grace: float = 1.0) -> None:
        """End: workers exit, sockets close, the loop stops. From any thread but the loop's."""
        self.loop.stop()
        if self._thread is not None:
            self._thread.join(5)
        self.workers.close()
        if self.link is not None:
            self.link.close(grace)
        self.loop.close()

    # The network interface: control messages.

    def send(self, ensemble: str, message: Message) -> None:
        """Send a control message to an ensemble's process."""
        self.interface.send(ensemble, message)

    def receive(self, message: Message, stamp: int | None = None) -> None:
        """Take a control message to the process it is for."""
        direct = self.take_control.get(message.msg_type)
        if direct is not None:
            direct(message.payload, self.clock.at(monotonic_us() if stamp is None else stamp))
            return
        self.network_manager.receive(message)
        self._drain()

    def open(self, link: Link) -> None:
        """Take part on the network through `link`."""
        self.link = link
        link.waiting = self._flush
        link.subscribe(control_key(self.name), self._on_control)

    def _flush(self) -> None:
        link = self.link
        if not self.loop.in_loop:
            self.loop.post(self._flush)
        elif link is not None:
            self.loop.do_aside(lambda: (LOAN, link.flush, ()), first=True)

    def _on_control(self, frame: bytes, attached: bytes | None) -> None:
        self.loop.post(self._control, frame, monotonic_us())

    def _control(self, frame: bytes, stamp: int) -> None:
        try:
            message = parse_control(frame, self.verify)
        except UnsignedCodeError:
            self.bad_frames += 1
            logger.error(
                "ensemble %r refused a deployment: it does not carry the signature of the manager it joined", self.name
            )
        except FrameError as error:
            self.bad_frames += 1
            logger.debug("a bad frame was dropped: %s", error)
        else:
            self.receive(message, stamp)

    # Tokens (`Outside`).

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token to every ensemble that consumes the arc: one publication."""
        data = encoded(value)
        number = self._passed[graph, context].send(arc)
        self._publish(graph, context, arc, arc.rpartition("/")[0], b"", number, start, stop, data)
        if self.moves.keeps:
            self.moves.keep(graph, context, arc, number, start, stop, data)

    def publish_together(
        self, graph: str, context: int, together: Together, data: Data, start: Tick, stop: Tick
    ) -> None:
        """Send a token on each of several arcs to all that consume them: one publication, on the key of the first."""
        arcs, _, bundle = self._bundle((graph, context), together.sq, together.arcs, "out")
        numbers = self._passed[graph, context].send_together(bundle)
        self._publish(graph, context, together.names[0], together.sq, arcs, numbers, start, stop, data)
        if self.moves.keeps:
            self._keep_together(graph, context, together.names, numbers, start, stop, data)

    def _publish(
        self,
        graph: str,
        context: int,
        arc: str,
        sq: str,
        arcs: bytes,
        numbers: Numbers,
        start: Tick,
        stop: Tick,
        data: Data,
    ) -> None:
        if self.link is None:
            return
        prepared = self.host.prepared.get(graph)
        generation = prepared.generations.get(sq, 0) if prepared is not None else 0
        parcel = (context, generation, arcs, numbers, start, stop, data)
        if len(data) < LONG:
            self.link.publish(arc_key(graph, arc), parcel, token_frame)
        else:
            self.link.publish(arc_key(graph, arc), *long_parcel(parcel))

    def _bundle(
        self, key: tuple[str, int], sq: str, arcs: tuple[int, ...] | bytes, way: str
    ) -> tuple[bytes, tuple[int, ...], Bundle]:
        """Arcs of an SQ whose tokens go together: as bytes, their indexes, and how their tokens are counted."""
        known = self._bundles.get((key, sq, arcs, way))
        if known is None:
            if len(self._bundles) >= BUNDLES_KEPT:
                self._bundles.clear()
            indexes = arcs_in(arcs) if isinstance(arcs, bytes) else arcs
            names = [arc_name(sq, index) for index in indexes]
            known = self._bundles[key, sq, arcs, way] = (arcs_as_bytes(indexes), indexes, Bundle(names))
        return known

    def _keep_together(
        self, graph: str, context: int, names: Sequence[str], numbers: Numbers, start: Tick, stop: Tick, data: Data
    ) -> None:
        each = numbers if isinstance(numbers, list) else [numbers] * len(names)
        for name, number, part in zip(names, each, split(data), strict=True):
            self.moves.keep(graph, context, name, number, start, stop, part)

    def _on_tokens(self, graph: str, arc: str, frame: bytes, attached: bytes | None) -> None:
        if not self._inbox and self.loop.visit(monotonic_us(), self._take_tokens, graph, arc, frame, attached):
            return
        self._inbox.append((graph, arc, frame, attached))
        if len(self._inbox) > INBOX:
            self._inbox.popleft()  # the stalest; the call that was posted for it takes the next one
            self.overflow += 1
        else:
            self.loop.post(self._tokens)

    def _tokens(self) -> None:
        self._take_tokens(*self._inbox.popleft())

    def _take_tokens(self, graph: str, arc: str, frame: bytes, attached: bytes | None) -> None:
        try:
            for parcel in parse_parcels(frame, attached):
                self._take(graph, arc, parcel)
        except (FrameError, ValueFormatError) as error:
            self.bad_frames += 1
            logger.debug("a bad frame was dropped: %s", error)

    def _take(self, graph: str, arc: str, parcel: Parcel) -> None:
        context, generation, arcs, numbers, start, stop, data = parcel
        key = (graph, context)
        if key not in self._begun:
            # The start of this context is still on its way from the manager.
            if graph in self.host.prepared:
                early = self._early.setdefault(key, [])
                if len(early) < EARLY_KEPT:
                    early.append((arc, parcel))
            return
        running = self.host.contexts.get(key)
        if running is None:
            return
        sq = arc.rpartition("/")[0]
        passed, incoming = self._passed[key], running.incoming
        bundle = None
        indexes: Sequence[int]
        if arcs:
            _, indexes, bundle = self._bundle(key, sq, arcs, "in")
            if isinstance(numbers, list) and len(numbers) != len(indexes):
                raise FrameError("a parcel with more or fewer numbers than arcs")
        elif isinstance(numbers, int):
            indexes = (int(arc.rpartition("/")[2]),)
        else:
            raise FrameError("a parcel of one arc with several numbers")
        if generation < running.prepared.generations.get(sq, 0):
            running.counters.add(sq, "stale", len(indexes))  # its SQ has been placed elsewhere since
            return
        region = self.workers.taking[key].get(sq)
        if region is not None and not self.moves.keeps and region.takes(indexes):
            # All of it is for what is run together: nobody looks at it on the way.
            if bundle is not None:
                passed.receive_together(bundle, numbers)
            elif isinstance(numbers, int):
                passed.receive(arc, numbers)
            region.take(
                arcs or indexes[0],
                indexes,
                data,
                start,
                stop,
                lambda: self._hand_out(running, sq, arcs, indexes, parcel),
            )
            return
        if region is not None:
            region.saw(start)
        names = bundle.arcs if bundle is not None else (arc,)
        if self.moves.keeps:
            if bundle is not None:
                self._keep_together(graph, context, names, numbers, start, stop, data)
            elif isinstance(numbers, int):
                self.moves.keep(graph, context, arc, numbers, start, stop, data)
        if bundle is not None and all(name in incoming for name in names):
            passed.receive_together(bundle, numbers)
        else:
            each = numbers if isinstance(numbers, list) else [numbers] * len(names)
            for name, number in zip(names, each, strict=True):
                if name in incoming:  # else it is for SQs that have still to come
                    passed.receive(name, number)
        self._hand_out(running, sq, arcs, indexes, parcel)

    def _hand_out(self, context: Context, sq: str, arcs: bytes, indexes: Sequence[int], parcel: Parcel) -> None:
        """Give the tokens of a parcel to the ports that its arcs lead to."""
        _, _, _, _, start, stop, data = parcel
        parts = split(data) if arcs else [data]
        if len(parts) != len(indexes):
            raise FrameError("a parcel with more or fewer values than arcs")
        for index, part in zip(indexes, parts, strict=True):
            context.arrive(arc_name(sq, index), Encoded(part), start, stop)

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""
        key = (graph, context)
        self._outputs[key] = self._outputs.get(key, 0) + 1
        token = OutputToken(graph, value, start, stop, sq, self.name, context, self.clock.now())
        if self.take_output is not None:
            self.take_output(token)
        else:
            self.send(self.manager, Message(RuntimeMsg.OUTPUT_TOKEN, token, "TTRuntimeManagerProcess"))

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Log a firing that raised, and tell the manager."""
        self.log_error(error)
        if self.take_error is not None:
            self.take_error(error)
        else:
            self.send(self.manager, Message(RuntimeMsg.FIRING_ERROR, error, "TTRuntimeManagerProcess"))

    # Deployment.

    def prepare(self, deployment: Deployment, tell: Callable[[ReadyAnswer], None]) -> None:
        """Hold a graph ready: its arcs are subscribed to, its bodies compiled in their workers."""
        graph = deployment.graph
        answer = self.host.prepare(deployment, run_code=False)
        if answer.problem is not None:
            tell(answer)
            return
        prepared = self.host.prepared[graph.name]
        missing = self.missing_components(prepared.sqs)
        if missing:
            tell(ReadyAnswer(graph.name, self.name, missing))
            return
        self.listen(graph.name)

        def loaded(problem: str | None) -> None:
            if problem is not None:
                self.stop_graph(graph.name)
            tell(ReadyAnswer(graph.name, self.name, problem))

        self.workers.load(graph, prepared.sqs, loaded)

    def listen(self, graph: str, expected: Collection[str] = ()) -> None:
        """Subscribe to the arcs that end here, or at SQs that will come here; to no others of the graph."""
        if self.link is None:
            return
        prepared = self.host.prepared[graph]
        wanted: dict[str, str] = {}
        for sq in prepared.graph.sqs:
            if prepared.host_of[sq.name] != self.name:
                # Tokens of arcs that lead to the same ensembles go on the key of one of them.
                all_of_them = any(to.sq in expected for arc in sq.arcs for to in arc.to)
                for index, arc in enumerate(sq.arcs):
                    if all_of_them or any(prepared.host_of[to.sq] == self.name for to in arc.to):
                        arc_at = arc_name(sq.name, index)
                        wanted[arc_key(graph, arc_at)] = arc_at
        known = self._keys.get(graph, [])
        for key in known:
            if key not in wanted:
                self.link.unsubscribe(key)
        for key, arc_at in wanted.items():
            if key not in known:
                self.link.subscribe(key, functools.partial(self._on_tokens, graph, arc_at))
        self._keys[graph] = list(wanted)

    # How many tokens passed on each arc, when SQs move.

    def passed(self, graph: str, context: int) -> ArcNumbers:
        """How many tokens of a context came here and went from here."""
        return self._passed[graph, context]

    def numbers_of(self, graph: str, context: int, sq: str) -> tuple[dict[str, int], dict[str, int]]:
        """What an SQ here has sent, and the number of the last token taken on each arc that ends at it."""
        prepared, passed = self.host.prepared[graph], self._passed[graph, context]
        sent, numbers = passed.sent, passed.numbers
        mine = {arc: count for arc, count in sent.items() if arc.rpartition("/")[0] == sq}
        taken = {}
        for producer in prepared.graph.sqs:
            # What an SQ here has sent to others was taken here too.
            counted = sent if prepared.host_of[producer.name] == self.name else numbers
            for index, arc in enumerate(producer.arcs):
                name = arc_name(producer.name, index)
                if name in counted and any(to.sq == sq for to in arc.to):
                    taken[name] = counted[name]
        return mine, taken

    def missing_components(self, sqs: list[Any]) -> str | None:
        """The component that one of `sqs` needs and this ensemble does not have, as a problem; or None."""
        for sq in sqs:
            for constraint in sq.constraints:
                for name in constraint.components:
                    if name not in self.components:
                        return f"{sq.name} needs component {name!r}, which this ensemble does not have"
        return None

    def start_context(self, start: StartContext) -> None:
        """Wire a context; its inputs reach their ports at its start tick."""
        key = (start.graph, start.context)
        if start.graph not in self.host.prepared or key in self.host.contexts:
            return  # known already: the manager says it again to who was cut off
        context = self.host.wire(start, self.workers.place)
        self.workers.begin(context)

        def count_lost(arc: str, missing: int) -> None:
            context.counters.add(arc.rpartition("/")[0], "lost", missing)

        self._passed[key] = ArcNumbers(count_lost, context.incoming)
        inputs = {name: Encoded(encoded(value)) for name, value in start.inputs.items()}

        def begin() -> None:
            self._begun.add(key)
            context.inject(inputs)
            for arc, parcel in self._early.pop(key, ()):
                self._take(start.graph, arc, parcel)
            if start.checkpoint:
                self._save_again(start)

        if start.start_tick > self.agenda.now:
            self.agenda.deliver_at(start.start_tick, begin)
        else:
            begin()

    def _save_again(self, start: StartContext) -> None:
        """Save the instances of a context, now and at equal distances from its start."""
        if (start.graph, start.context) not in self.host.contexts:
            return
        past = self.agenda.now - start.start_tick
        following = start.start_tick + (past // start.checkpoint + 1) * start.checkpoint
        self.agenda.deliver_at(following, self._save_again, start)
        self.moves.checkpoint(start.graph, start.context)

    def stop_graph(self, graph: str) -> None:
        """Forget a graph: nothing of it fires any more."""
        self.moves.forget(graph)
        self.workers.stop(graph)
        self.host.stop(graph)
        for key in self._keys.pop(graph, ()):
            if self.link is not None:
                self.link.unsubscribe(key)
        tables: list[dict[tuple[str, int], Any]] = [self._passed, self._outputs, self._early]
        for table in tables:
            for context in [context for context in table if context[0] == graph]:
                del table[context]
        self._bundles = {known: bundle for known, bundle in self._bundles.items() if known[0][0] != graph}
        self._begun = {key for key in self._begun if key[0] != graph}

    def send_report(self, request: ReportRequest) -> None:
        """Tell the manager how a context stands here."""
        report = self.report(request.graph, request.context, request.round)
        running = self.host.contexts.get((request.graph, request.context))
        if request.profile:
            profile = self.workers.profile(running) if running is not None else {}
            report = msgspec.structs.replace(report, profile=profile)
        self.send(self.manager, Message(RuntimeMsg.REPORT, report, "TTRuntimeManagerProcess"))

    def report(self, graph: str, context: int, round: int) -> IdleReport:
        """How a context stands here."""
        key = (graph, context)
        running = self.host.contexts.get(key)
        if running is None:
            return IdleReport(graph, context, self.name, round, "not started")
        passed = self._passed[key]
        numbers = passed.sent
        ways = [way for forward in running.forwards.values() for way in forward.to_others()]
        sent = {arc: dict.fromkeys(hosts, numbers[arc]) for arc, hosts in ways if arc in numbers}
        counts = running.counts
        if self.restarts or self.bad_frames or self.overflow:
            own = {"restarts": self.restarts, "bad_frames": self.bad_frames, "overflow": self.overflow}
            counts = {**counts, self.name: {kind: count for kind, count in own.items() if count}}
        return IdleReport(
            graph,
            context,
            self.name,
            round,
            self._busy(key, running),
            sent,
            dict(passed.received),
            self._outputs.get(key, 0),
            counts,
            running.waiting(),
            self.workers.lateness(running),
        )

    def _busy(self, key: tuple[str, int], context: Context) -> str:
        if key not in self._begun:
            return "about to start"
        if self.moves.under_way(key[0]):
            return "SQs come or leave"
        if self.agenda.ready:
            return "firing"
        sq = self.workers.busy(context)
        if sq:
            return f"{sq} runs"
        # What waits to be sent needs no look: the report goes the same way behind it.
        return next((f"{name} is pending" for name, sync in context.syncs.items() if sync.pending), "")

    def count_overflow(self) -> None:
        """A frame was dropped because too many wait to be sent."""
        self.overflow += 1

    def _count_restart(self, worker: str) -> None:
        self.restarts += 1
        logger.warning("ensemble %r: its %s worker died and was replaced", self.name, worker)


def describe_host(
    name: str, components: Components, address: str, zid: str, direct: bool, started: int
) -> EnsembleInfo:
    """What an ensemble on this host says of itself when it joins."""
    return EnsembleInfo(
        name,
        address,
        sorted(components),
        cores(),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        platform.python_version(),
        _modules(),
        boot_id=boot_id(),
        started=started,
        zid=zid,
        direct=direct,
    )


@functools.cache
def _modules() -> list[str]:
    """The top-level modules that bodies can import here, and rather too many: what is missing rules this host out."""
    # Drivers' factories make the current directory importable, too.
    names = {module.name for module in pkgutil.iter_modules([*sys.path, "."])}
    for place in sys.path:
        if os.path.isdir(place):
            with os.scandir(place) as entries:  # a folder without `__init__.py` is a package, too
                names |= {entry.name for entry in entries if entry.name.isidentifier() and entry.is_dir()}
    for finder in [module for name, module in sys.modules.items() if name.startswith("__editable__")]:
        names |= {name.partition(".")[0] for name in getattr(finder, "MAPPING", ())}
    return sorted(names - {"__pycache__"})


def boot_id() -> str:
    """What two processes on one running host have in common; empty where it cannot be told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def free_port(ip: str) -> int:
    """A port nobody listens on at `ip`."""
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
        probe.bind((ip, 0))
        return int(probe.getsockname()[1])
