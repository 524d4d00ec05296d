"""Deployment: graphs are mapped, distributed, started, changed and stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from fractions import Fraction
from typing import Any

import msgspec

from ticktalk.defaults import interval_width
from ticktalk.durations import about, duration_text, instant_text, period_text
from ticktalk.errors import TTInputError, TTRuntimeError
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph, check_graph_name
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.completion import Completion
from ticktalk.language.input_types import misfit
from ticktalk.manager.driver import Driver, Send
from ticktalk.manager.heal import DISMISSED, Heal
from ticktalk.manager.outputs import Outputs
from ticktalk.manager.replies import answer
from ticktalk.manager.reports import Losses, Reports
from ticktalk.manager.state import ContextState, GraphState, ManagerState, no_graph
from ticktalk.mapping.mapper import TTMapper
from ticktalk.messages import ExecuteMsg, NetMsg, SyncMsg
from ticktalk.payloads import (
    Deployment,
    DeployRequest,
    ReadyAnswer,
    SetGrid,
    SetRequest,
    StartContext,
    StartRequest,
    StopGraph,
)
from ticktalk.ranges import known
from ticktalk.replacement import is_version_name
from ticktalk.source_problems import no_such
from ticktalk.time.grid import repeats_after
from ticktalk.values.codec import Encoded, NoCodecError, encoded

STOPPED_KEPT = 20
"""Names of graphs that were ended last, of which an ensemble may not have heard should the manager die."""


class Deploy:
    """Maps graphs, distributes them, starts and stops them.

    Args:
        state: all that the manager knows.
        starts: gets the messages that start contexts: their inputs may be values that no codec knows.
        send: how ensembles are reached.
        driver: hosts the manager.
        heal: places SQs anew.
        reports: ends contexts.
        outputs: counts the outputs of contexts.
    """

    def __init__(
        self,
        state: ManagerState,
        starts: dict[int, StartContext],
        send: Send,
        driver: Driver,
        heal: Heal,
        reports: Reports,
        outputs: Outputs,
    ) -> None:
        self._state, self._starts = state, starts
        self._send, self._driver = send, driver
        self._heal, self._reports, self._outputs = heal, reports, outputs
        self._replies: dict[str, Future[GraphState]] = {}  # by graph: of requests that wait for it to be ready
        self.stopped: Callable[[GraphState], None] = lambda state: None  # told of a graph that a requester has ended

    def deploy(self, request: DeployRequest, later: Future[Any]) -> None:
        """Map a graph and send it to its hosts; `later` gets its state when all are ready, or the error.

        With weights, an SQ that is placed anew later goes where it costs least.

        Raises:
            TTMappingError: some SQ cannot be placed; nothing is instantiated.
            TTRuntimeError: the name is in use, or no graph can be called so.
        """
        graph = request.graph
        if request.name is not None and request.name != graph.name:
            graph = msgspec.structs.replace(graph, name=request.name)
        try:
            check_graph_name(graph.name)
        except ValueError as error:
            raise TTRuntimeError(f"{error} (--name)") from None
        if is_version_name(graph.name):
            raise TTRuntimeError(
                f"a graph cannot be called {graph.name!r}: names that end in ~ and a number are those of new versions"
                " of graphs; give it another name (--name)"
            )
        if graph.name in self._state.graphs or graph.name in self._state.versions:
            raise TTRuntimeError(
                f"a graph named {graph.name!r} is already here: stop it first, or give this one another name (--name)"
            )
        mapper = TTMapper(self._state.infos(), drained=[*self._state.draining, *self._state.dismissed])
        host_of = mapper.map(graph) if request.mapping is None else mapper.check(graph, request.mapping)
        hosts = list(dict.fromkeys(host_of.values()))
        self.prepare(GraphState(graph, host_of, hosts, set(hosts), request.weights), later)

    def prepare(self, state: GraphState, later: Future[Any]) -> None:
        """Send a graph to its ensembles; `later` gets its state when all are ready, or the error."""
        self._state.graphs[state.name] = state
        self._replies[state.name] = later
        deployment = Deployment(state.graph, dict(state.host_of))  # a message: without later changes
        for host in state.hosts:
            self._send(host, ExecuteMsg.INSTANTIATE, deployment)
        self._prepared(state)
        if self._driver.patience:
            self._driver.after(self._driver.patience, lambda: self._too_late(state))

    def _too_late(self, state: GraphState) -> None:
        if self._state.graphs.get(state.name) is state and state.state == "preparing":
            why = f"it has not answered within {about(self._driver.patience)}"
            for ensemble in sorted(state.waits_for):
                self.ready(ReadyAnswer(state.name, ensemble, why))

    def ready(self, answer: ReadyAnswer) -> None:
        """An ensemble has prepared a graph for the first time, or says why it cannot."""
        state = self._state.graphs.get(answer.graph)
        if state is not None and state.state == "preparing":
            known([answer.ensemble], state.hosts, f"ensembles that prepare graph {state.name!r} and")
            state.waits_for.discard(answer.ensemble)
            if answer.problem is not None:
                state.problems[answer.ensemble] = answer.problem
            self._prepared(state)

    def again(self, ensemble: str) -> None:
        """Tell an ensemble again what it prepares and runs, or that it may leave: it may have missed that.

        Orders that it knows change nothing.
        """
        for state in self._state.graphs.values():
            if ensemble in state.waits_for:
                self._send(ensemble, ExecuteMsg.INSTANTIATE, Deployment(state.graph, dict(state.host_of)))
            elif ensemble in state.hosts:
                for context in state.live:
                    self._send(ensemble, SyncMsg.START, self._starts[context.number])
        if ensemble in self._state.dismissed:
            self._send(ensemble, NetMsg.SHUT_DOWN, DISMISSED)

    def restarted(self) -> None:
        """Go on with the graphs of the manager before this one; their ensembles are told again as they come back."""
        for state in self._state.graphs.values():
            if state.state == "preparing":
                self._replies[state.name] = Future()
            state.changed_late += 1
            for context in state.contexts.values():
                self._outputs.begin(context)
                context.completion.begin_again()
            for context in state.live:
                inputs = {name: Encoded(value) for name, value in context.inputs.items()}
                rest = inputs, context.until, context.checkpoint
                start = self._starts[context.number] = StartContext(
                    state.name, context.number, context.start_tick, *rest
                )
                self._driver.started(start)

    def all_back(self) -> None:
        """No ensemble is awaited any more: graphs that the manager before this one was to stop are stopped."""
        for title in [state.title for state in self._state.graphs.values() if state.ends]:
            self.stop_when_settled(title, Future())

    def given_up(self, ensemble: str) -> None:
        """An ensemble does not come back as it was: no graph waits for it, and none that it has prepared is ready."""
        for state in list(self._state.graphs.values()):
            if state.state == "preparing" and ensemble in state.hosts:
                self.ready(ReadyAnswer(state.name, ensemble, "it has gone"))

    def ended_there(self, ensemble: str) -> None:
        """All that an ensemble held has ended with its process: a version that may come back does not find its SQs."""
        for state in self._state.graphs.values():
            if state.state == "held" and ensemble in state.hosts:
                state.hosts.remove(ensemble)

    def _prepared(self, state: GraphState) -> None:
        if state.waits_for:
            return
        reply = self._replies.pop(state.name)  # of nobody, if the manager died meanwhile
        if state.problems:
            state.state = "refused"
            self.discard(state)
            reply.set_exception(TTRuntimeError(not_prepared(state)))
        else:
            state.state = "ready"

            def ready() -> GraphState:
                self._heal.deployed(state)
                return state

            answer(reply, ready)

    def start_when_ready(self, request: StartRequest, later: Future[Any]) -> None:
        """Start a context of a graph, once it is ready; `later` gets its number, or the error.

        A `TTRuntimeError` says that there is no such graph, that it is being stopped, that it runs and is not to be
        started `again`, that its length is below 1, or that its start is past. A `TTInputError` says that a value is
        missing, is for no input, or has no codec.
        """
        deployed = self._replies.get(self._state.versions.get(request.graph, request.graph))
        if deployed is None:
            answer(later, lambda: self._start(request))
            return

        def start() -> int:
            deployed.result()
            return self._start(request)

        deployed.add_done_callback(lambda deployed: answer(later, start))

    def _start(self, request: StartRequest) -> int:
        state = self._not_replaced(request.graph)
        if state.ends:
            raise TTRuntimeError(f"graph {state.title!r} is being stopped: deploy it again when that is done")
        goes_on = [context.number for context in state.live if not context.completion.done]
        if goes_on and not request.again:
            raise TTRuntimeError(
                f"graph {state.title!r} runs already (context {', '.join(map(str, goes_on))}): stop it first, or start"
                " another context of it with --again"
            )
        if request.length is not None and request.length < 1:
            what = f"graph {state.title!r} cannot run for {request.length} ticks"
            raise TTRuntimeError(f"{what}: give a length of at least 1, or none at all")
        values = check_inputs(state.title, state.graph, request.inputs)
        tick = self._driver.start_tick() if request.start_tick is None else request.start_tick
        if tick < self._driver.now():
            raise TTRuntimeError(
                f"graph {state.title!r} cannot start at {instant_text(tick)}: that is past, it is"
                f" {instant_text(self._driver.now())} now"
            )
        number = self.begin(state, tick, values, None if request.length is None else tick + request.length)
        state.state = "running"
        self._reports.outgrow(state)
        return number

    def begin(self, state: GraphState, tick: int, values: Mapping[str, Any], until: int | None) -> int:
        """Let a context of a graph begin at a tick, on all ensembles that hold it; its number.

        Raises:
            TTInputError: an input's value has no codec.
        """
        kept = self._kept(values)
        self._state.starts += 1
        number, checkpoint = self._state.starts, self._driver.checkpoint_period()
        completion = Completion(set(state.hosts))
        context = state.contexts[number] = ContextState(number, tick, kept, until, checkpoint, completion)
        self._outputs.begin(context)
        record = self._driver.records
        start = self._starts[number] = StartContext(state.name, number, tick, dict(values), until, checkpoint, record)
        for host in state.hosts:
            self._send(host, SyncMsg.START, start)
        self._driver.started(start)
        return number

    def inputs(self, context: int) -> Mapping[str, Any]:
        """The inputs of a context that goes on."""
        return self._starts[context].inputs

    def _kept(self, inputs: Mapping[str, Any]) -> dict[str, bytes]:
        """The inputs as MessagePack."""
        kept = {}
        for name, value in inputs.items():
            try:
                kept[name] = bytes(encoded(value))
            except (NoCodecError, UnicodeEncodeError) as error:
                raise TTInputError(f"input {name!r}: {error}") from None
        return kept

    def set_grid(self, request: SetRequest) -> SetGrid:
        """Another period and phase (root ticks; None: as it is) for a stream, also for instances made later.

        The interval's width stays, unless it was half the period, as it is by default: then it is so again.

        Raises:
            TTRuntimeError: there is no such graph or stream, or the phase does not fit the period.
        """
        name, sq, period, phase = request.graph, request.sq, request.period, request.phase
        state = self._not_replaced(name)
        found = next((each for each in state.graph.sqs if each.name == sq), None)
        streams = [each.name for each in state.graph.sqs if each.trigger == "grid"]
        if found is None or found.trigger != "grid":
            what = f"graph {name!r} has no SQ {sq!r}" if found is None else f"{sq} is no stream, so it has no period"
            raise TTRuntimeError(no_such(what, sq, "its streams", streams))
        changed = with_grid(found, found.every if period is None else period, found.phase if phase is None else phase)
        state.programmed.setdefault(sq, (found.period, found.per, found.phase))
        sqs = [changed if each.name == sq else each for each in state.graph.sqs]
        state.graph = msgspec.structs.replace(state.graph, sqs=sqs)
        change = state.grids[sq] = grid_of(state.name, changed)
        for host in state.hosts:
            self._send(host, SyncMsg.SET_GRID, change)
        return change

    def set_grids_again(self, ensemble: str) -> None:
        """Tell an ensemble that was cut off of the streams that were changed meanwhile."""
        for state in self._state.graphs.values():
            for change in state.grids.values() if ensemble in state.hosts else ():
                self._send(ensemble, SyncMsg.SET_GRID, change)

    def stop_when_settled(self, name: str, later: Future[Any]) -> None:
        """End a graph when what it has sent has come, or a while later; `later` gets what was lost, and where.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        state = self.state_of(name)

        def settled() -> None:
            now = self._state.graph(name)
            if now is state:
                answer(later, lambda: self.stop(name))
            elif now is not None and now.ends:  # another version has taken its place
                self.stop_when_settled(name, later)
            else:  # another requester has stopped it; that name may be another graph's by now
                later.set_exception(TTRuntimeError(f"graph {name!r} was stopped meanwhile"))

        self._reports.settle(state, settled)

    def stop(self, name: str) -> Losses:
        """End a graph and forget it; what was lost, and where.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        state = self.state_of(name)
        losses = self.discard(state)
        self.stopped(state)
        return losses

    def discard(self, state: GraphState) -> Losses:
        """End one version of a graph and forget it; what was lost, and where."""
        name = state.name
        for host in state.hosts:
            self._send(host, SyncMsg.STOP, StopGraph(name))
        self._state.ended = [*self._state.ended, name][-STOPPED_KEPT:]
        self._outputs.end(name)
        del self._state.graphs[name]  # another graph may be given this name: it counts for itself
        if self._state.versions.get(state.title) == name:
            del self._state.versions[state.title]
        self._heal.forget(state)
        for context in state.contexts.values():
            self._reports.end(state, context)
            self._outputs.forget(context)
        waits = self._replies.pop(name, None)
        if waits is not None:
            waits.set_exception(TTRuntimeError(f"graph {state.title!r} was stopped before it was ready"))
        return self._reports.losses(state)

    def state_of(self, name: str) -> GraphState:
        """The state of a graph.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        state = self._state.graph(name)
        if state is None:
            raise TTRuntimeError(no_graph(name, self._state.titles))
        return state

    def _not_replaced(self, name: str) -> GraphState:
        """The state of a graph that is to be changed: while it is replaced, the change could be lost."""
        if name in self._state.replacements:
            raise TTRuntimeError(f"graph {name!r} is being replaced, and watched: try again when that is done")
        return self.state_of(name)


def with_grid(sq: TTSQ, period: int | Fraction, phase: int) -> TTSQ:
    """A stream with another period and phase; its interval's width is half the period, if it was so before.

    Raises:
        TTRuntimeError: the period is shorter than a tick, or the phase does not fit it.
    """
    changed = with_instants(sq, period, phase)
    width = interval_width(period) if sq.width == interval_width(sq.every) else sq.width
    return msgspec.structs.replace(changed, width=width)


def with_instants(sq: TTSQ, period: int | Fraction, phase: int) -> TTSQ:
    """A stream with another period and phase, and intervals as wide as before.

    Raises:
        TTRuntimeError: the period is shorter than a tick, or the phase does not fit it.
    """
    if period < 1:
        raise TTRuntimeError(f"{sq.name}: a period is at least 1 microsecond, not {period}")
    if not 0 <= phase < repeats_after(period):
        raise TTRuntimeError(
            f"{sq.name}: the phase is {duration_text(phase)}, which is not below the period,"
            f" {period_text(period)}: set phase= too"
        )
    return msgspec.structs.replace(sq, period=period.numerator, per=period.denominator, phase=phase)


def grid_of(graph: str, sq: TTSQ) -> SetGrid:
    """The period and phase of a stream, as its ensembles are told."""
    return SetGrid(graph, sq.name, sq.period, sq.phase, sq.width, sq.per)


def not_prepared(state: GraphState) -> str:
    """The message for a graph that some ensemble cannot prepare."""
    lines = [f"graph {state.title!r} cannot be prepared:"]
    lines += [f"  on {ensemble}: {problem}" for ensemble, problem in state.problems.items()]
    return "\n".join(lines)


def check_inputs(title: str, graph: TTGraph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """One value per input of a graph called `title`: given, its own default, or 1 for an input named `trigger`.

    Raises:
        TTInputError: an input has no value, a value has no input, or does not fit the annotation of its input.
    """
    names = [source.name for source in graph.inputs]
    kind = f"the inputs of graph {title!r}"
    for name in inputs:
        if name not in names:
            raise TTInputError(no_such(f"{name!r} is no input", name, kind, names))
    for source in graph.inputs:
        if source.name in inputs and (wrong := misfit(source.type, inputs[source.name])):
            quoted = " (text that looks like a number is quoted twice: --input NAME='\"5\"')" * ("str" in source.type)
            raise TTInputError(f"input {source.name!r} of graph {title!r} {wrong}: give a value that fits{quoted}")
    values = {**own_values(graph), **inputs}
    missing = [name for name in names if name not in values]
    if missing:
        raise TTInputError(
            f"no value for input {', '.join(repr(name) for name in missing)} ({kind}: {', '.join(names)}):"
            f" give --input {missing[0]}=VALUE"
        )
    return {name: values[name] for name in names}


def own_values(graph: TTGraph) -> dict[str, Any]:
    """The values of inputs that are given none: their defaults, and 1 for an input named `trigger`."""
    values = {s.name: decode_constant(s.default[0]) for s in graph.inputs if s.default is not None}
    return values if all(s.name != "trigger" for s in graph.inputs) else {"trigger": 1, **values}
