"""The door: every request to the manager, and every answer of an ensemble, comes here as a message.

The sender may be Python, the console, a command elsewhere or an ensemble, simulated or real. A request carries a
future, `reply`, which gets the result or the error; without one an error is logged. The rules are in the files beside
this one. All of them write one tree, `state`.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

import msgspec

from ticktalk.engine.forwarding import arc_name
from ticktalk.errors import InvalidMessageError, TTError, TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.manager.deploy import Deploy
from ticktalk.manager.driver import Driver, Send
from ticktalk.manager.events import Defect, Event
from ticktalk.manager.heal import Heal
from ticktalk.manager.liveness import Liveness
from ticktalk.manager.outputs import Errors, Outputs
from ticktalk.manager.replace import Replace
from ticktalk.manager.reports import Costs, Losses, Reports
from ticktalk.manager.request_types import with_plain_numbers, wrong_field, wrong_payload
from ticktalk.manager.state import GraphState, ManagerState
from ticktalk.manager.status import status
from ticktalk.manager.taken_outputs import Taking
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.messages import NetMsg, RuntimeMsg, SyncMsg
from ticktalk.payloads import (
    DeployRequest,
    DrainRequest,
    Handed,
    OutputsRequest,
    Placed,
    ProfileRequest,
    StartContext,
    StartRequest,
    StatusRequest,
    WorkerDeath,
)
from ticktalk.printable import line
from ticktalk.records import WatchArc, WatchRequest
from ticktalk.source_problems import did_you_mean
from ticktalk.time import TTToken

logger = logging.getLogger("TTPython.RuntimeManager")

AT_ONCE = {NetMsg.PONG, NetMsg.REFUSED, SyncMsg.REPORT, SyncMsg.WATCH}
"""Messages to ensembles that say nothing of what the manager has decided: they wait for no writing.

A report of a graph that is being stopped is not asked for so: nothing of the graph fires from then on.
One that is refused is sent nothing any more after that message.
"""


class Requests:
    """Answers every message for the manager.

    Args:
        name: the name of the manager's own ensemble.
        log_file: where output tokens are appended: a path, an open file, or None.
        send: how ensembles are reached.
        driver: hosts the manager.

    Attributes:
        handlers: by kind of message, the function that responds to its payload.
        state: all that the manager knows.
        watchers: told every event.
    """

    def __init__(self, name: str, log_file: Any, send: Send, driver: Driver) -> None:
        if driver.keeps_state:
            send = partial(_when_written, driver, send)
        self._send, self._driver = send, driver
        self.watchers: list[Callable[[Event], None]] = []
        self._at_restart: list[Event] = []
        state = self.state = driver.known or ManagerState(EnsembleInfo(name))
        starts: dict[int, StartContext] = {}
        self.outputs = Outputs(state, log_file, driver.rows_kept)
        self.errors = Errors(state)
        self.taking = Taking(state, send, driver)
        self.heal = Heal(state, starts, send, self.tell, driver.one_table)
        self.reports = Reports(state, starts, send, self.tell, driver, self.heal, self.outputs)
        self.deploy = Deploy(state, starts, send, driver, self.heal, self.reports, self.outputs)
        self.replace = Replace(state, send, self.tell, driver, self.heal, self.deploy, self.reports)
        self.liveness = Liveness(
            state, send, self.tell, driver, self.heal, self.deploy, self.taking, self.replace, self.reports
        )
        now = driver.now
        of_ensembles: dict[enum.Enum, Callable[[Any], object]] = {
            RuntimeMsg.FIRING_ERROR: self.errors.take,
            RuntimeMsg.WORKER_DIED: self._worker_died,
            RuntimeMsg.JOIN: self._join,
            RuntimeMsg.LEAVE: self.liveness.left,
            RuntimeMsg.BACK: lambda info: self.liveness.back(info.name),
            RuntimeMsg.PING: lambda ping: self.liveness.ping(ping, now()),
            RuntimeMsg.REPORT: lambda report: self.reports.take(report, now()),
            RuntimeMsg.READY: self._ready,
            RuntimeMsg.CHECKPOINT: self.heal.checkpoint,
            RuntimeMsg.PLACED: self._placed,
            RuntimeMsg.HANDED: self._handed,
            RuntimeMsg.SWITCHED: self.replace.switched,
        }
        self.handlers: dict[enum.Enum, Callable[[Any], object]] = {
            kind: partial(_take, kind, act) for kind, act in of_ensembles.items()
        }
        # Requests whose results come later.
        self._answer_later(RuntimeMsg.INSTANTIATE_AND_MAP_GRAPH, self.deploy.deploy)
        self._answer_later(RuntimeMsg.EXECUTE_GRAPH, self.deploy.start_when_ready)
        deploy = self.deploy
        self._answer_later(RuntimeMsg.STOP_GRAPH, lambda request, later: deploy.stop_when_settled(request.graph, later))
        self._answer_later(RuntimeMsg.SHUT_DOWN, self._shut_down)
        self._answer_later(RuntimeMsg.DRAIN, self._drain)
        self._answer_later(RuntimeMsg.REPLACE, self.replace.replace)
        self._answer_later(RuntimeMsg.PROFILE, self._profile)
        # Requests that have their results at once.
        self._answer(RuntimeMsg.SET_GRID, self.deploy.set_grid, changes=True)
        self._answer(RuntimeMsg.STATUS, lambda request: self._status())
        self._answer(RuntimeMsg.ENSEMBLES, lambda request: msgspec.to_builtins(state.infos()))
        self._answer(RuntimeMsg.OUTPUTS, self._rows)
        self._answer(RuntimeMsg.WATCH_ARC, self._watch)

    def tell(self, event: Event) -> None:
        """Tell the watchers of an event."""
        logger.info("%s", event)
        for watcher in self.watchers:
            watcher(event)

    def stop_all(self, then: Callable[[dict[str, Losses]], None]) -> None:
        """End every graph, and call `then` with what each has lost."""
        titles = self.state.titles
        waits = set(titles)
        losses: dict[str, Losses] = {}
        if not waits:
            then(losses)

        def ended(name: str, stopped: Future[Losses]) -> None:
            waits.discard(name)
            if stopped.exception() is None:
                losses[name] = stopped.result()
            if not waits:
                then(losses)

        for name in titles:
            later: Future[Losses] = Future()
            later.add_done_callback(partial(self._see_error, RuntimeMsg.STOP_GRAPH, True))
            later.add_done_callback(partial(ended, name))
            self.deploy.stop_when_settled(name, later)

    def _shut_down(self, request: StatusRequest, later: Future[dict[str, Losses]]) -> None:
        def ended(losses: dict[str, Losses]) -> None:
            self._driver.shut_down()
            later.set_result(losses)

        self.stop_all(ended)

    def end(self, ensembles: bool) -> None:
        """End every graph; with `ensembles`, the ensembles end, too."""
        for name in self.state.titles:
            self.deploy.stop(name)
        for name in self.state.ensembles if ensembles else ():
            self._send(name, NetMsg.SHUT_DOWN, "the manager ended the system")

    def watch(self, watcher: Callable[[Event], None]) -> None:
        """Tell a watcher every event from now on; before that those of the restart, which came before any watcher."""
        for event in self._at_restart:
            watcher(event)
        self.watchers.append(watcher)

    def restarted(self) -> None:
        """Go on with the state of the manager before this one: its ensembles are awaited."""
        self.watchers.append(self._at_restart.append)
        self.deploy.restarted()
        self.outputs.recover()
        self.liveness.restarted()
        self.watchers.remove(self._at_restart.append)

    def _answer_later(self, kind: RuntimeMsg, act: Callable[[Any, Future[Any]], None], changes: bool = True) -> None:
        """Answer requests: `act` gives the future the result, now or later, or raises the error.

        `changes`: it may change what the manager knows, so the answer waits until that is written.
        """

        def handler(payload: Any) -> None:
            request = _request(payload)
            wrong = wrong_payload(kind, request)
            if not wrong:
                with_plain_numbers(kind, request)
                wrong = wrong_field(kind, request)
            if wrong:
                reply = getattr(request, "reply", None)
                if isinstance(reply, Future):
                    reply.set_exception(TypeError(wrong))
                else:
                    logger.error("%s", line(wrong))
                return
            later: Future[Any] = request.reply or Future()
            if changes and self._driver.keeps_state:
                asked, later = later, Future()
                later.add_done_callback(lambda done: self._driver.when_written(partial(_pass_on, done, asked)))
            later.add_done_callback(partial(self._see_error, kind, request.reply is not None))
            try:
                act(request, later)
            except Exception as error:
                if later.done():
                    raise
                later.set_exception(error)

        self.handlers[kind] = handler

    def _see_error(self, kind: RuntimeMsg, has_requester: bool, later: Future[Any]) -> None:
        """Tell of an error that no requester gets, and of one that is no requester's fault."""
        error = later.exception()
        if error is None:
            return
        if not isinstance(error, TTError):
            logger.error("an error in the manager itself, at a request %s", kind.name, exc_info=error)
            self.tell(Defect(kind.name, f"{type(error).__name__}: {error}"))
        elif not has_requester:
            logger.error("%s", line(error))

    def _answer(self, kind: RuntimeMsg, act: Callable[[Any], Any], changes: bool = False) -> None:
        self._answer_later(kind, lambda request, later: later.set_result(act(request)), changes)

    def _join(self, info: EnsembleInfo) -> None:
        refusal = self.liveness.join(info)
        if refusal is not None:
            logger.warning("refused %r: %s", info.name, line(refusal.text))

    def _worker_died(self, death: WorkerDeath) -> None:
        self.liveness.worker_died(death)
        self.replace.worker_died(death.ensemble, death.how, death.running)

    def _placed(self, answer: Placed) -> None:
        # Without SQs, and without `expected`, it only says that a placement has come.
        if not (answer.sqs or answer.expected) or not self.replace.placed(answer):
            self.heal.placed(answer)

    def _handed(self, handed: Handed) -> None:
        if not self.replace.handed(handed):
            self.heal.handed(handed)

    def _ready(self, answer: Any) -> None:
        self.heal.ready(answer)
        self.deploy.ready(answer)

    def _drain(self, request: DrainRequest, later: Future[None]) -> None:
        why_not = self._driver.cannot_move()
        if why_not is not None:
            raise TTRuntimeError(why_not)

        def done(problem: str | None) -> None:
            if problem is None:
                later.set_result(None)
            else:
                later.set_exception(TTRuntimeError(problem))

        self.heal.drain(request.ensemble, done)

    def _profile(self, request: ProfileRequest, later: Future[Costs]) -> None:
        self.reports.profile(self.deploy.state_of(request.graph), later)

    def _status(self) -> dict[str, Any]:
        self.reports.look()
        counts = {name: self.reports.counts(name) for name in self.state.graphs}
        driver, outputs = self._driver, self.outputs
        return status(
            self.state,
            driver.now(),
            counts,
            outputs.log,
            driver.refused(),
            [*driver.loads(), *self.reports.loads()],
            outputs.latencies,
            driver.recording,
            driver.kept(),
        )

    def _watch(self, request: WatchRequest) -> str:
        graph = self.deploy.state_of(request.graph)
        arc = _arc_of(graph, request.arc)
        for ensemble in graph.hosts:  # its SQ may move there meanwhile
            self._send(ensemble, SyncMsg.WATCH, WatchArc(graph.name, arc))
        return arc

    def _rows(self, request: OutputsRequest) -> list[str]:
        if not self._driver.rows_kept:
            raise TTRuntimeError("a simulation keeps no outputs: take them by on_output, or from the log file")
        return list(self.deploy.state_of(request.graph).rows)


def _take(kind: enum.Enum, act: Callable[[Any], object], payload: Any) -> None:
    """Take a message of an ensemble."""
    if wrong := wrong_payload(kind, payload):
        raise InvalidMessageError(wrong)
    act(payload)


def _when_written(driver: Driver, send: Send, ensemble: str, kind: enum.Enum, payload: Any) -> None:
    """Send a message, when what it tells of is written."""
    if kind in AT_ONCE and not (kind is SyncMsg.REPORT and payload.ends):
        send(ensemble, kind, payload)
    else:
        driver.when_written(partial(send, ensemble, kind, payload))


def _pass_on(done: Future[Any], to: Future[Any]) -> None:
    """Give a requester the result, or the error, that another future got."""
    error = done.exception()
    if error is not None:
        to.set_exception(error)
    else:
        to.set_result(done.result())


def _arc_of(state: GraphState, name: str) -> str:
    """The full name of an arc of a graph: `SQ/INDEX`.

    Raises:
        TTRuntimeError: there is none, or the SQ has several.
    """
    graph = state.graph
    arcs = {arc_name(sq.name, at): sq for sq in graph.sqs for at in range(len(sq.arcs))}
    sq = arcs.get(name) or next((sq for sq in graph.sqs if sq.name == name), None)
    if sq is None or not sq.arcs:
        hint = did_you_mean(name, [sq.name for sq in graph.sqs if sq.arcs])
        raise TTRuntimeError(f"graph {state.title!r} has no arc {name!r}; {hint or 'an arc is named by its SQ'}")
    if name != sq.name:
        return name
    if len(sq.arcs) > 1:
        shown = ", ".join(f"{arc_name(sq.name, at)} ({arc.name or arc.kind})" for at, arc in enumerate(sq.arcs))
        raise TTRuntimeError(f"{name} has several arcs: name one of {shown}")
    return arc_name(name, 0)


def _request(payload: Any) -> Any:
    """The request that a payload of TickTalk's documentation stands for: a graph, or a graph and its inputs."""
    match payload:
        case TTGraph():
            return DeployRequest(payload)
        case TTGraph() as graph, Mapping() | list() | tuple() as inputs:
            if not isinstance(inputs, Mapping):  # in the order of the graph's inputs
                names = [port.name for port in graph.inputs]
                names += [f"#{place}" for place in range(len(names) + 1, len(inputs) + 1)]
                inputs = dict(zip(names, inputs, strict=False))
            values = {name: given.value if isinstance(given, TTToken) else given for name, given in inputs.items()}
            return StartRequest(graph.name, values)
    return payload
