"""The manager's rules: who joined, which graph lives where, what was started, what came back.

Given messages and the time; everything it says goes to the sinks it was given. Four concerns, four classes:
`Registry` (who is where), `Deployments` (map, distribute, start), `OutputLog` (in `outputs`), `Errors`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ticktalk.defaults import interval_width
from ticktalk.errors import TTInputError, TTRuntimeError
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.mapper import TTMapper
from ticktalk.mapping.weights import Weights
from ticktalk.payloads import Deployment, FiringError, ReadyAnswer, SetGrid, StartContext

PROTOCOL = 1
"""The version of the messages between manager and ensembles."""

IN_USE = "is in use"
"""What the refusal of a name says: whoever starts anew after a crash may ask again until the old one is found dead."""

ERRORS_KEPT = 1000
"""How many errors of firings the manager remembers; all are counted."""


class Registry:
    """Which ensembles have joined, in the order of joining.

    Args:
        manager: what the manager says of its own ensemble; it hosts last.
    """

    def __init__(self, manager: EnsembleInfo) -> None:
        self.manager = manager
        self.ensembles: dict[str, EnsembleInfo] = {}

    def refusal(self, info: EnsembleInfo, lingers: bool = False) -> str | None:
        """Why `info` may not join; None when it may.

        `lingers`: nothing was heard lately of the ensemble that has the name, so that a newer start takes it over.
        """
        if info.protocol != PROTOCOL:
            return (
                f"{info.name!r} speaks protocol version {info.protocol}, this manager version {PROTOCOL}:"
                " install the same version of ticktalk on both"
            )
        if info.name == self.manager.name:
            return f"the name {info.name!r} is the manager's own: choose another"
        lingering = self.ensembles.get(info.name)
        if lingering is not None and (lingering.started, lingering.boot_id) == (info.started, info.boot_id) != (0, ""):
            return None  # the very same, asking again
        if lingering is not None and not (lingers and info.started > lingering.started):
            return f"the name {info.name!r} {IN_USE} by an ensemble that joined before: choose another"
        return None

    def add(self, info: EnsembleInfo) -> None:
        """Take an ensemble in."""
        self.ensembles[info.name] = info

    def remove(self, name: str) -> None:
        """An ensemble has left."""
        self.ensembles.pop(name, None)

    def all(self) -> list[EnsembleInfo]:
        """Every ensemble in the order in which mapping tries them: as they joined, the manager's own last."""
        return [*self.ensembles.values(), self.manager]


class GraphState:
    """One graph on this system.

    Attributes:
        state: "preparing", "ready", "refused" (some ensemble cannot prepare it) or "running".
        host_of: SQ to ensemble; "" for one that waits for an ensemble that fits.
        generations: SQ to how often it has been placed anew.
        grids: what was changed of streams since.
        hosts: the ensembles that hold the graph.
        live: the starts that have not ended.
        weights: what its SQs cost, if that is known.
    """

    def __init__(self, graph: TTGraph, host_of: dict[str, str], weights: Weights | None = None) -> None:
        self.weights = weights
        self.graph = graph
        self.host_of = host_of
        self.generations: dict[str, int] = {}
        self.grids: dict[str, SetGrid] = {}
        self.live: dict[int, StartContext] = {}
        self.hosts = list(dict.fromkeys(host_of.values()))
        self.waits_for = set(self.hosts)
        self.problems: dict[str, str] = {}
        self.contexts: list[int] = []
        self.state = "preparing"


class Deployments:
    """Maps graphs, distributes them, starts them.

    Args:
        registry: who joined.
        distribute: sends a `Deployment` to an ensemble.
        start: sends a `StartContext` to an ensemble.
        stop: tells an ensemble to forget a graph.
    """

    def __init__(
        self,
        registry: Registry,
        distribute: Callable[[str, Deployment], None],
        start: Callable[[str, StartContext], None],
        stop: Callable[[str, str], None],
    ) -> None:
        self.registry = registry
        self.send, self.start_on, self.stop_on = distribute, start, stop
        self.graphs: dict[str, GraphState] = {}
        self._contexts = 0

    def deploy(
        self,
        graph: TTGraph,
        name: str | None = None,
        mapping: Mapping[str, str] | None = None,
        weights: Weights | None = None,
    ) -> GraphState:
        """Map the graph and send it to its hosts; with `weights`, what is placed anew later goes where it costs least.

        Raises:
            TTMappingError: some SQ cannot be placed; nothing is instantiated.
            TTRuntimeError: the name is in use.
        """
        if name is not None and name != graph.name:
            graph = msgspec.structs.replace(graph, name=name)
        if graph.name in self.graphs:
            raise TTRuntimeError(
                f"a graph named {graph.name!r} is already here: stop it first, or give this one another name (--name)"
            )
        mapper = TTMapper(self.registry.all())
        host_of = mapper.map(graph) if mapping is None else mapper.check(graph, mapping)
        state = GraphState(graph, host_of, weights)
        self.graphs[graph.name] = state
        deployment = Deployment(graph, dict(host_of))  # a message: what the manager changes later is not in it
        for host in state.hosts:
            self.send(host, deployment)
        if not state.hosts:
            state.state = "ready"
        return state

    def answer(self, answer: ReadyAnswer) -> None:
        """An ensemble is ready, or says why not."""
        state = self.graphs.get(answer.graph)
        if state is None:
            return
        state.waits_for.discard(answer.ensemble)
        if answer.problem is not None:
            state.problems[answer.ensemble] = answer.problem
        if not state.waits_for and state.state == "preparing":
            state.state = "refused" if state.problems else "ready"

    def start(
        self, name: str, inputs: Mapping[str, Any], start_tick: int, until: int | None = None, checkpoint: int = 0
    ) -> int:
        """Start a context of a graph that is ready; its number.

        Args:
            name: the graph's.
            inputs: one value per input.
            start_tick: root ticks.
            until: root ticks; no stream fires then or later.
            checkpoint: root ticks between checkpoints; 0: none.

        Raises:
            TTRuntimeError: there is no such graph, or it is not ready.
            TTInputError: a value is missing, or for no input.
        """
        state = self.state_of(name)
        if state.state == "refused":
            raise TTRuntimeError(not_prepared(state))
        if state.state == "preparing":
            waits_for = ", ".join(sorted(state.waits_for))
            raise TTRuntimeError(f"graph {name!r} is not ready yet: {waits_for} still prepare it")
        values = check_inputs(state.graph, inputs)
        self._contexts += 1
        context = self._contexts
        state.contexts.append(context)
        state.state = "running"
        start = state.live[context] = StartContext(name, context, start_tick, values, until, checkpoint)
        for host in state.hosts:
            self.start_on(host, start)
        return context

    def set_grid(self, name: str, sq: str, period: int | None, phase: int | None) -> SetGrid:
        """Another period and phase (root ticks; None: as it is) for a stream, also for instances made later.

        The interval's width stays, unless it was half the period, as it is by default: then it is so again.

        Raises:
            TTRuntimeError: there is no such graph or stream, or the phase does not fit the period.
        """
        state = self.state_of(name)
        found = next((each for each in state.graph.sqs if each.name == sq), None)
        streams = [each.name for each in state.graph.sqs if each.trigger == "grid"]
        if found is None or found.trigger != "grid":
            what = f"graph {name!r} has no SQ {sq!r}" if found is None else f"{sq} is no stream, so it has no period"
            near = difflib.get_close_matches(sq, streams, 1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise TTRuntimeError(f"{what}{guess} (its streams: {', '.join(streams) or 'none'})")
        new_period = found.period if period is None else period
        new_phase = found.phase if phase is None else phase
        if new_period < 1:
            raise TTRuntimeError(f"{sq}: a period is at least 1 microsecond, not {new_period}")
        if not 0 <= new_phase < new_period:
            raise TTRuntimeError(
                f"{sq}: the phase is {new_phase} us, which is not below the period, {new_period} us: set phase= too"
            )
        width = interval_width(new_period) if found.width == interval_width(found.period) else found.width
        changed = msgspec.structs.replace(found, period=new_period, phase=new_phase, width=width)
        sqs = [changed if each.name == sq else each for each in state.graph.sqs]
        state.graph = msgspec.structs.replace(state.graph, sqs=sqs)
        state.grids[sq] = SetGrid(name, sq, new_period, new_phase, width)
        return state.grids[sq]

    def stop(self, name: str) -> None:
        """End a graph and forget it.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        state = self.state_of(name)
        for host in state.hosts:
            self.stop_on(host, name)
        del self.graphs[name]

    def state_of(self, name: str) -> GraphState:
        """What is known of a graph.

        Raises:
            TTRuntimeError: there is no such graph.
        """
        state = self.graphs.get(name)
        if state is None:
            have = ", ".join(self.graphs) or "none"
            raise TTRuntimeError(f"there is no graph named {name!r} here (graphs: {have})")
        return state


def not_prepared(state: GraphState) -> str:
    """The message for a graph that some ensemble cannot prepare."""
    lines = [f"graph {state.graph.name!r} cannot be prepared:"]
    lines += [f"  on {ensemble}: {problem}" for ensemble, problem in state.problems.items()]
    return "\n".join(lines)


def check_inputs(graph: TTGraph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """One value per graph input: given, its own default, or 1 for an input named `trigger`.

    Raises:
        TTInputError: an input has no value, or a value has no input.
    """
    names = [source.name for source in graph.inputs]
    listed = f"the inputs of graph {graph.name!r}: {', '.join(names)}"
    for name in inputs:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise TTInputError(f"{name!r} is no input{guess} ({listed})")
    values = {s.name: decode_constant(s.default[0]) for s in graph.inputs if s.default is not None}
    values.update(inputs)
    if "trigger" in names:
        values.setdefault("trigger", 1)
    missing = [name for name in names if name not in values]
    if missing:
        raise TTInputError(
            f"no value for input {', '.join(repr(name) for name in missing)} ({listed}):"
            f" give --input {missing[0]}=VALUE"
        )
    return {name: values[name] for name in names}


class Errors:
    """The errors of firings, as told to the manager: the latest are kept, all are counted."""

    def __init__(self) -> None:
        self.kept: list[FiringError] = []
        self.count = 0
        self.listeners: list[Callable[[FiringError], None]] = []

    def add(self, error: FiringError) -> None:
        """Take one."""
        self.count += 1
        self.kept.append(error)
        if len(self.kept) > ERRORS_KEPT:
            del self.kept[: -ERRORS_KEPT // 2]
        for listener in self.listeners:
            listener(error)
