"""The runtime manager on a device: health, completion, joins and commands beside the documented process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

import msgspec

from ticktalk.defaults import CHECKPOINT_PERIOD
from ticktalk.engine.codec import Encoded, NoCodecError, encoded
from ticktalk.engine.counters import Counts
from ticktalk.errors import TTError, TTInputError
from ticktalk.hosted.completion import Completion
from ticktalk.hosted.lease import Times
from ticktalk.manager.liveness import Heartbeats
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import Message, NetMsg, RuntimeMsg, SyncMsg
from ticktalk.network_interface import Question
from ticktalk.network_keys import HELLO, JOIN
from ticktalk.payloads import FiringError, IdleReport, OutputToken, Ping, Pong, ReportRequest
from ticktalk.physical.network.control_frames import shown_value
from ticktalk.physical.network.joining import Peer, Welcome
from ticktalk.physical.node import Node
from ticktalk.physical.timekeeping.root_clock import monotonic_us
from ticktalk.physical.trust.trust import ManagerTrust
from ticktalk.processes import TTRuntimeManagerProcess

logger = logging.getLogger("ticktalk")

TIMES = Times()
"""For how long an ensemble may be silent."""

WATCH_PERIOD = 200_000
"""Microseconds between two looks who is silent."""

REPORT_PERIOD = 100_000
"""Microseconds between questions whether a context is done."""

START_LEAD = 100_000
"""Root ticks between a start and its start tick: every ensemble has heard of it by then."""


class RunningContext:
    """A start of a graph, as the manager follows it."""

    def __init__(self, graph: str, number: int, start_tick: int, hosts: list[str]) -> None:
        self.graph = graph
        self.number = number
        self.start_tick = start_tick
        self.completion = Completion(hosts)
        self.outputs = 0
        self.outputs_from: dict[str, int] = {}
        self.told = 0  # how often its ensembles had been told where its SQs are when they were asked last
        self.ended = threading.Event()
        self.profiles: dict[str, dict[str, tuple[list[int], list[int]]] | None] = {}


class ManagerNode:
    """What the manager's node does beside hosting SQs; everything here runs in the thread that keeps time.

    Args:
        node: the manager's own ensemble.
        process: the documented process.
        trust: what it signs code with, and whom it listens to.
    """

    def __init__(self, node: Node, process: TTRuntimeManagerProcess, trust: ManagerTrust) -> None:
        self.node = node
        self.process = process
        self.trust = trust
        self.heartbeats = Heartbeats()
        self._watched_at = node.clock.now()
        self.checkpoint = CHECKPOINT_PERIOD  # microseconds; 0: none
        self.offsets: dict[str, tuple[int, int]] = {}
        self.contexts: dict[int, RunningContext] = {}
        self.events: list[Callable[[str], None]] = []
        self.warned: set[tuple[str, str]] = set()
        self.silent: dict[str, EnsembleInfo] = {}  # gone, but may come back
        node.take_output = self._own_output
        node.take_error = process.errors.add
        node.take_control[RuntimeMsg.PING] = self._ping
        node.take_control[RuntimeMsg.REPORT] = self._report
        node.take_control[RuntimeMsg.LEAVE] = lambda name, stamp: self._left(name, "it has left")
        node.take_control[RuntimeMsg.OUTPUT_TOKEN] = self._output
        process.event = self.event
        node.serve(process)
        node.network_manager.setup_proc_intfc(
            node.input_token_process.input_msg, node.execute_process.input_msg, process.input_msg
        )
        process.setup_proc_intfc(node.network_manager.input_msg)

    def begin(self) -> None:
        """Answer joins, and watch over who joined; once the link is open."""
        link = self.node.link
        link.answer(HELLO, lambda question: self.node.loop.post(self._hello, question, False))
        link.answer(JOIN, lambda question: self.node.loop.post(self._hello, question, True))
        self.node.loop.every(WATCH_PERIOD, self._watch)
        self.node.loop.every(REPORT_PERIOD, self._ask_reports)

    def event(self, text: str) -> None:
        """Tell who listens what happened."""
        logger.debug("%s", text)
        for listener in self.events:
            listener(text)

    # Joins and heartbeats.

    def _hello(self, question: Question, join: bool) -> None:
        try:
            info = msgspec.msgpack.decode(self.trust.open(question.payload), type=EnsembleInfo)
            self.trust.open(question.payload, info.name)
        except (TTError, msgspec.DecodeError) as error:
            self.node.bad_frames += 1
            self.event(f"refused an ensemble: {error}")
            question.refuse(str(error))
            return
        registry = self.process.registry
        heard = self.heartbeats.seen.get(info.name, 0)
        refusal = registry.refusal(info, self.node.clock.now() - heard > TIMES.lingers_after)
        if refusal is not None:
            if join or info.protocol != self.process.registry.manager.protocol:
                self.event(f"refused {info.name!r}: {refusal}")
            question.refuse(refusal)
            return
        peers = [Peer(e.name, e.address, e.zid, e.direct) for e in registry.ensembles.values() if e.name != info.name]
        key, now = self.trust.public_key, self.node.clock.now()
        welcome = Welcome(self.node.name, peers, key, registry.manager.boot_id, now)
        if join:
            self._left(info.name, "a newer start of it takes over its name")
            self.heartbeats.take(info.name, self.node.clock.now())
            self.node.receive(Message(RuntimeMsg.JOIN, info, "TTRuntimeManagerProcess"))
            way = "" if info.direct else ", relayed by the manager"
            self._reunite()
            self.event(f"{info.name!r} joined from {info.address}{way}")
        question.answer(msgspec.msgpack.encode(welcome))

    def _ping(self, ping: Ping, received: int) -> None:
        if ping.name in self.silent:
            self._back(ping.name, received)
        if ping.name not in self.process.registry.ensembles:
            self.node.send(ping.name, Message(NetMsg.FORGET, ping.name, "TTNetworkManager"))
            return
        self.heartbeats.take(ping.name, received)
        self.offsets[ping.name] = (ping.offset, ping.uncertainty)
        pong = Pong(ping.asked, received, self.node.clock.at(monotonic_us()))
        self.node.send(ping.name, Message(NetMsg.PONG, pong, "TTNetworkManager"))
        self._warn_of_offset(ping)

    def _warn_of_offset(self, ping: Ping) -> None:
        error = abs(ping.offset) + ping.uncertainty
        for state in self.process.deployments.graphs.values():
            for sq in state.graph.sqs:
                key = (ping.name, sq.name)
                here = sq.trigger == "grid" and state.host_of[sq.name] == ping.name
                if here and 2 * error > sq.width and key not in self.warned:
                    self.warned.add(key)
                    self.event(
                        f"warning: the clock of {ping.name!r} may be off by {error} us, more than half the"
                        f" {sq.width} us interval of {sq.name}"
                    )

    def _watch(self) -> None:
        now = self.node.clock.now()
        late: int = now - self._watched_at - WATCH_PERIOD
        self._watched_at = now
        if late > TIMES.heartbeat:
            self.heartbeats.excuse(late)
        silent = self.heartbeats.silent(now, TIMES.surely_after)
        if silent:
            connected = self.node.link.reachable()
            dead = set(self.heartbeats.dead(now))
            registry = self.process.registry.ensembles
            for name in silent:
                info = registry.get(name)
                if name in dead or info is None or info.zid not in connected:
                    if len(registry) > 1 and len(self.heartbeats.silent(now, 2 * TIMES.heartbeat)) == len(registry):
                        self.process.healing.isolated = True
                        self.event(
                            "no ensemble is heard of: the manager may be cut off, so it places nothing elsewhere"
                        )
                    self._gone(name, f"no heartbeat for {(now - self.heartbeats.seen[name]) / 1e6:.1f} s", info)
        self.process.outputs.flush()

    def _back(self, name: str, now: int) -> None:
        """An ensemble that was silent is heard of again: it was cut off, and goes on where it was."""
        info = self.silent.pop(name)
        for context in self.contexts.values():
            context.completion.back(name)
        self.heartbeats.take(name, now)
        self.node.receive(Message(RuntimeMsg.BACK, info, "TTRuntimeManagerProcess"))
        self.event(f"{name!r} is back")
        self._reunite()

    def _reunite(self) -> None:
        """Somebody is heard again; the others get the time to be heard too before what they hosted goes elsewhere."""
        healing = self.process.healing
        if healing.isolated:

            def reunited() -> None:
                healing.reunited()
                self.node._drain()

            self.node.loop.after(TIMES.dead_after, reunited)

    def _left(self, name: str, why: str) -> None:
        """An ensemble is gone and does not come back as it was."""
        if name in self.process.registry.ensembles:
            self._gone(name, why)
        self.silent.pop(name, None)
        self.process.given_up(name)

    def _gone(self, name: str, why: str, may_come_back: EnsembleInfo | None = None) -> None:
        self.heartbeats.forget(name)
        self.offsets.pop(name, None)
        if may_come_back is not None:
            self.silent[name] = may_come_back
            self.node.loop.after(
                TIMES.given_up_after, lambda: self.process.given_up(name) if name in self.silent else None
            )
        for context in self.contexts.values():
            context.completion.gone(name)
        self.event(f"{name!r} is gone: {why}")
        self.process.input_msg(Message(RuntimeMsg.LEAVE, name, "TTRuntimeManagerProcess"))
        self.node._drain()

    # Outputs.

    def _output(self, token: OutputToken, stamp: int) -> None:
        sender = token.ensemble
        if sender != self.node.name and sender not in self.process.registry.ensembles and sender not in self.silent:
            return  # of a start under a manager before this one: its sender has still to join
        running = self.contexts.get(token.context)
        if running is not None:
            running.outputs += 1
            running.outputs_from[sender] = running.outputs_from.get(sender, 0) + 1
        self.process.outputs.add(msgspec.structs.replace(token, arrival=stamp))

    def _own_output(self, token: OutputToken) -> None:
        value = token.value
        if value.__class__ is Encoded:
            token = msgspec.structs.replace(token, value=shown_value(value.data, value.shown))
        self._output(token, self.node.clock.now())

    # Starts and ends.

    def start(self, graph: str, inputs: Mapping[str, Any], length: int | None = None) -> RunningContext:
        """Start a graph a little ahead of now, so that it begins everywhere at one tick.

        With `length`, its streams end so many microseconds after that tick (exclusive).

        Raises:
            TTError: it is not ready, or the inputs do not fit.
        """
        for name, value in inputs.items():
            try:
                encoded(value)
            except (NoCodecError, UnicodeEncodeError) as error:
                raise TTInputError(f"input {name!r}: {error}") from None
        start_tick = self.node.clock.now() + START_LEAD
        number = self.process.deployments.start(
            graph, inputs, start_tick, None if length is None else start_tick + length, self.checkpoint
        )
        state = self.process.deployments.state_of(graph)
        running = RunningContext(graph, number, start_tick, state.hosts)
        self.contexts[number] = running
        self.node._drain()
        return running

    def _ask_reports(self) -> None:
        for context in self.contexts.values():
            if context.ended.is_set() or context.completion.done:
                continue
            state = self.process.deployments.graphs[context.graph]
            told = self.process.healing.told.get(context.graph, 0)
            if told != context.told:
                context.told = told
                context.completion.begin_again()
            context.completion.ensembles = set(state.hosts)
            request = ReportRequest(context.graph, context.number, context.completion.ask())
            for name in sorted(context.completion.ensembles):
                self.node.send(name, Message(SyncMsg.REPORT, request, "TTInputTokenProcess"))

    def ask_profiles(self, graph: str) -> None:
        """Ask the ensembles what the bodies of a graph cost; `profiles` gathers the answers."""
        for context in self.contexts.values():
            if context.graph == graph:
                for name in sorted(context.completion.ensembles):
                    request = ReportRequest(graph, context.number, 0, profile=True)
                    context.profiles.setdefault(name, None)
                    self.node.send(name, Message(SyncMsg.REPORT, request, "TTInputTokenProcess"))

    def profiles(self, graph: str) -> list[dict[str, tuple[list[int], list[int]]] | None]:
        """What those that were asked have said; None: nothing yet."""
        return [found for c in self.contexts.values() if c.graph == graph for found in c.profiles.values()]

    def _report(self, report: IdleReport, stamp: int) -> None:
        context = self.contexts.get(report.context)
        if context is not None and report.profile is not None:
            context.profiles[report.ensemble] = report.profile
            return
        if (
            context is not None
            and context.completion.take(report, context.outputs_from, stamp)
            and not context.ended.is_set()
        ):
            healing = self.process.healing
            as_told = context.told == healing.told.get(context.graph, 0)
            if as_told and healing.settled(context.graph, context.number, stamp):
                self._end(context)
            else:
                context.completion.done = False  # what waits for an ensemble, or moves, has still to go on

    def _end(self, context: RunningContext) -> None:
        self.process.outputs.flush()
        lost = f", {context.completion.lost} tokens lost" if context.completion.lost else ""
        self.event(f"graph {context.graph!r} is done: {context.outputs} outputs{lost}")
        self.process.healing.ended(context.graph, context.number)
        context.ended.set()

    def stop_graph(self, graph: str) -> None:
        """End a graph before it is done.

        Raises:
            TTError: there is no such graph.
        """
        self.process.stop_graph(graph)
        self.node._drain()
        for context in [context for context in self.contexts.values() if context.graph == graph]:
            if not context.ended.is_set():
                self._end(context)
            del self.contexts[context.number]  # another graph may be given this name: it counts for itself

    def counts(self, graph: str) -> Counts:
        """What was counted in all contexts of a graph, as last reported."""
        from ticktalk.engine.counters import merged

        found = [c for c in self.contexts.values() if c.graph == graph]
        total = merged(context.completion.counts() for context in found)
        lost = sum(context.completion.lost for context in found)
        counted = sum(kinds.get("lost", 0) for kinds in total.values())
        if lost > counted:
            total.setdefault("(network)", {})["lost"] = lost - counted
        return total

    def status(self) -> dict[str, Any]:
        """Who is there, which graphs live where, how they stand: plain JSON data."""
        registry = self.process.registry
        now = self.node.clock.now()
        ensembles = [
            {
                "name": info.name,
                "address": info.address,
                "components": info.components,
                "cores": info.cores,
                "memory": info.memory,
                "python": info.python,
                "direct": info.direct,
                "clock_offset_us": self.offsets.get(info.name, (0, 0))[0],
                "clock_uncertainty_us": self.offsets.get(info.name, (0, 0))[1],
                "heard_us_ago": max(0, now - self.heartbeats.seen.get(info.name, now)),
            }
            for info in registry.all()
        ]
        graphs = []
        for state in self.process.deployments.graphs.values():
            name = state.graph.name
            contexts = [c for c in self.contexts.values() if c.graph == name]
            lateness: dict[str, list[int]] = {}
            waiting: dict[str, dict[str, int]] = {}
            for context in contexts:
                for report in context.completion.latest.values():
                    lateness.update(report.lateness)
                    waiting.update(report.waiting)
            done = bool(contexts) and all(c.ended.is_set() for c in contexts)
            graphs.append(
                {
                    "name": name,
                    "state": "done" if done else state.state,
                    "mapping": {sq: host for sq, host in state.host_of.items() if host},
                    "waits": [sq for sq, host in state.host_of.items() if not host],
                    "inputs": [source.name for source in state.graph.inputs],
                    "outputs": sum(context.outputs for context in contexts),
                    "busy": {
                        report.ensemble: report.busy
                        for context in contexts
                        if not context.ended.is_set()
                        for report in context.completion.latest.values()
                        if report.busy
                    },
                    "counters": self.counts(name),
                    "waiting": waiting,
                    "lateness_us": {
                        sq: {"firings": n, "mean": total // n, "worst": worst}
                        for sq, (n, total, worst) in lateness.items()
                    },
                }
            )
        errors = self.process.errors
        return {
            "manager": self.node.name,
            "now": now,
            "ensembles": ensembles,
            "graphs": graphs,
            "errors": errors.count,
            "latest_errors": [str(error) for error in errors.kept[-5:]],
        }


def in_loop(node: Node, act: Callable[[], Any]) -> Any:
    """Have the thread that keeps time do something, and wait for the result or the error."""
    reply: Future[Any] = Future()

    def call() -> None:
        try:
            reply.set_result(act())
        except TTError as error:
            reply.set_exception(error)
        except Exception as error:  # a defect of ours: who asked has to hear of it
            reply.set_exception(error)
            raise

    node.loop.post(call)
    return reply.result(30)


class Callbacks:
    """Calls the user's callbacks in a thread of their own: a slow one holds up nobody."""

    def __init__(self) -> None:
        import queue

        self._queue: queue.SimpleQueue[tuple[Callable[[Any], None], Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def wrap(self, callback: Callable[[Any], None]) -> Callable[[Any], None]:
        """`callback`, called there."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ticktalk callbacks", daemon=True)
            self._thread.start()
        return lambda item: self._queue.put((callback, item))

    def _run(self) -> None:
        while (entry := self._queue.get()) is not None:
            callback, item = entry
            try:
                callback(item)
            except Exception:
                logger.exception("a callback raised")

    def close(self) -> None:
        """Make the calls that wait, then end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(5)
            self._thread = None


def firing_error_line(error: FiringError) -> str:
    """One line for people."""
    return str(error)
