"""The host side of a deployment: the graphs an ensemble holds and the contexts that run on it.

Owned by the ensemble, called by its processes. Tokens of other ensembles come in by `arrive`; what goes out goes to
the `Outside` it was given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ticktalk.engine.agenda import Agenda
from ticktalk.engine.bodies import BodyError
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.context import Context, PreparedGraph, RunElsewhere
from ticktalk.engine.counters import Counts
from ticktalk.engine.execution import FiringError
from ticktalk.engine.firing import EVICTION_BOUND
from ticktalk.engine.profile import Meter
from ticktalk.graph.graph import TTGraph
from ticktalk.time import Tick

if TYPE_CHECKING:
    from ticktalk.engine.cores import Cores


class Deployment(msgspec.Struct, frozen=True):
    """A graph on its way to the ensembles: all of it, and who hosts which SQ.

    `generations` says how often an SQ has been placed anew (left out: never): receivers drop tokens of an older one.
    """

    graph: TTGraph
    host_of: dict[str, str]
    generations: dict[str, int] = {}


class ReadyAnswer(msgspec.Struct, frozen=True):
    """What an ensemble says of a deployment: ready, or the problem that keeps it from being so."""

    graph: str
    ensemble: str
    problem: str | None = None


class StartContext(msgspec.Struct, frozen=True):
    """One start of a graph: the same for every ensemble.

    Attributes:
        graph: the graph's name.
        context: the number of the start.
        start_tick: when it starts (root ticks).
        inputs: the graph's inputs.
        until: the root tick from which on no stream fires; None: as long as their windows last.
    """

    graph: str
    context: int
    start_tick: int
    inputs: dict[str, Any]
    until: int | None = None


class StopGraph(msgspec.Struct, frozen=True):
    """End a graph: its contexts fire no more, its name is free."""

    graph: str


class TokenMessage(msgspec.Struct, frozen=True):
    """A token between two ensembles: on which arc of which context, its value and interval (root ticks)."""

    graph: str
    context: int
    arc: str
    value: Any
    start: Tick
    stop: Tick


class Outside(Protocol):
    """What a context on an ensemble talks to."""

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token to every ensemble that consumes the arc."""

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Tell of a firing that raised."""


class EnsembleHost:
    """What one ensemble holds of the graphs placed on it.

    Args:
        name: the ensemble's.
        components: its drivers.
        agenda: its timers.
        outside: where tokens, outputs and errors go.
    """

    def __init__(self, name: str, components: Components, agenda: Agenda, outside: Outside) -> None:
        self.name = name
        self.components = components
        self.agenda = agenda
        self.outside = outside
        self.eviction_bound = EVICTION_BOUND
        self.cores: Cores | None = None  # simulated ones, on which bodies take their time
        self.meter: Meter | None = None  # of bodies that run in place
        self.prepared: dict[str, PreparedGraph] = {}
        self.contexts: dict[tuple[str, int], Context] = {}

    def prepare(self, deployment: Deployment, run_code: bool = True) -> ReadyAnswer:
        """Hold the graph ready to start; the answer says why not if it cannot be."""
        graph = deployment.graph
        running.current = Preparing(graph.name, self.name)
        try:
            prepared = PreparedGraph(graph, deployment.host_of, self.name, self.components, deployment.generations)
            if run_code:
                prepared.prepare_code()
        except BodyError as error:
            return ReadyAnswer(graph.name, self.name, str(error))
        finally:
            running.current = None
        self.prepared[graph.name] = prepared
        return ReadyAnswer(graph.name, self.name)

    def start(self, start: StartContext) -> Context:
        """Start a context: its SQs are wired and the inputs are at their ports."""
        context = self.wire(start)
        context.inject(start.inputs)
        return context

    def wire(self, start: StartContext, run_elsewhere: RunElsewhere | None = None) -> Context:
        """Make the parts of a context, which the inputs are still to reach."""
        graph, number = start.graph, start.context
        outside = self.outside

        def publish(arc: str, ensembles: list[str], value: Any, begin: Tick, end: Tick) -> None:
            outside.publish(graph, number, arc, ensembles, value, begin, end)

        def output(sq: str, value: Any, begin: Tick, end: Tick) -> None:
            outside.output(graph, number, sq, value, begin, end)

        def report(error: FiringError) -> None:
            outside.firing_error(graph, number, error)

        context = Context(
            self.prepared[graph],
            number,
            start.start_tick,
            self.agenda,
            publish,
            output,
            report,
            run_elsewhere,
            self.eviction_bound,
            None if self.cores is None else self.cores.occupy,
            self.meter,
        )
        if start.until is not None:
            context.end_streams(start.until)
        self.contexts[graph, number] = context
        return context

    def arrive(self, message: TokenMessage) -> None:
        """Take a token from another ensemble; one of a context that has ended is ignored."""
        context = self.contexts.get((message.graph, message.context))
        if context is not None:
            context.arrive(message.arc, message.value, message.start, message.stop)

    def stop(self, graph: str) -> None:
        """Forget the graph and its contexts."""
        prepared = self.prepared.pop(graph, None)
        if prepared is not None:
            prepared.code.forget()
        for key in [key for key in self.contexts if key[0] == graph]:
            self.contexts.pop(key).close()

    def counts(self, graph: str) -> list[Counts]:
        """What the contexts of `graph` counted here."""
        return [context.counts for (name, _), context in self.contexts.items() if name == graph]
