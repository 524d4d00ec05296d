"""The host side of a deployment: the graphs an ensemble holds and the contexts that run on it.

Owned by the ensemble, called by its processes. Tokens of other ensembles come in by `arrive`; what goes out goes to
the `Outside` it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from ticktalk.defaults import EVICTION_BOUND
from ticktalk.engine.acceleration import Accelerator
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.bodies import BodyError
from ticktalk.engine.components import Components, Preparing, running
from ticktalk.engine.context import Context
from ticktalk.engine.firing_chain import MakeStage, RunElsewhere, Surroundings
from ticktalk.engine.forwarding import SharedRoute
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.engine.state import Load, Saver
from ticktalk.engine.tap import Tap
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import (
    Checkpoint,
    Deployment,
    FiringError,
    Handed,
    HandOver,
    Placement,
    ReadyAnswer,
    SetGrid,
    StartContext,
    StopGraph,
    TokenMessage,
)
from ticktalk.ranges import known
from ticktalk.time import Tick
from ticktalk.time.grid import period_of
from ticktalk.values.codec import Data

LEASE = "lease"
"""The reason for holding instances that may go on elsewhere."""


class Outside(Protocol):
    """The surroundings that a context on an ensemble talks to."""

    @property
    def accelerator(self) -> Accelerator | None:
        """The accelerator of contexts that start now."""

    def publish(
        self, graph: str, context: int, arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick
    ) -> None:
        """Send a token to every ensemble that consumes the arc."""

    def output(self, graph: str, context: int, sq: str, value: Any, start: Tick, stop: Tick) -> None:
        """Send an output of the graph to the manager."""

    def firing_error(self, graph: str, context: int, error: FiringError) -> None:
        """Tell of a firing that raised."""


class EnsembleHost:
    """One ensemble's share of the graphs placed on it.

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
        self.together: Callable[[str, int, SharedRoute, Data, Tick, Tick], None] | None = None  # sends on several arcs
        self.movable = False  # SQs may come and leave while their contexts run
        self.alone: dict[str, set[str]] = {}  # by graph, the SQs here that nobody else may host
        self.stages: dict[str, MakeStage] = {}  # before bodies that run in place, first to last
        self.tap: Callable[[StartContext], Tap | None] = lambda start: None  # told of what happens in a context
        self.holds = False  # whether it holds whatever could be placed elsewhere
        self.prepared: dict[str, PreparedGraph] = {}
        self.contexts: dict[tuple[str, int], Context] = {}

    def prepare(self, deployment: Deployment, run_code: bool = True) -> ReadyAnswer:
        """Hold the graph ready to start; the answer says why not if it cannot be."""
        graph = deployment.graph
        known((sq.name for sq in graph.sqs), deployment.host_of, f"SQs of graph {graph.name!r} that have no host")

        def prepare() -> None:
            prepared = PreparedGraph(graph, deployment.host_of, self.name, self.components, deployment.generations)
            if run_code:
                prepared.code.try_out(prepared.sqs)
            self.prepared[graph.name] = prepared

        return ReadyAnswer(graph.name, self.name, self._problem(graph.name, prepare))

    def _problem(self, graph: str, act: Callable[[], None]) -> str | None:
        """Run the program's code, marked as that of a graph; the problem if it cannot run here."""
        running.current = Preparing(graph, self.name)
        try:
            act()
        except BodyError as error:
            return str(error)
        finally:
            running.current = None
        return None

    def start(self, start: StartContext) -> Context:
        """Start a context: its SQs are wired and the inputs are at their ports."""
        begun = self.contexts.get((start.graph, start.context))
        if begun is not None:
            return begun  # the manager repeats it for an ensemble that was cut off
        context = self.wire(start)
        context.inject(start.inputs)
        return context

    def wire(self, start: StartContext, run_elsewhere: RunElsewhere | None = None) -> Context:
        """Make the parts of a context, which the inputs are still to reach."""
        key = start.graph, start.context
        outside, together = self.outside, self.together
        around = Surroundings(
            partial(outside.publish, *key),
            partial(outside.output, *key),
            partial(outside.firing_error, *key),
            None if together is None else partial(together, *key),
            run_elsewhere,
            self.stages,
            self.tap(start),
            outside.accelerator,
            self.movable,
            self.eviction_bound,
        )
        context = Context(self.prepared[start.graph], start.context, start.start_tick, self.agenda, around)
        if start.until is not None:
            context.end_streams(start.until)
        self.contexts[key] = context
        if self.holds:
            self.hold()
        return context

    def arrive(self, message: TokenMessage) -> None:
        """Take a token from another ensemble; one of a context that has ended is ignored."""
        context = self.contexts.get((message.graph, message.context))
        if context is not None:
            context.arrive(message.arc, message.value, message.start, message.stop)

    # Instances that come and go.

    def try_out(self, graph: str, sqs: list[TTSQ]) -> str | None:
        """Make the code of SQs that will come ready; the problem if it cannot run here."""
        return self._problem(graph, lambda: self.prepared[graph].code.try_out(sqs))

    def place(self, placement: Placement, come: list[TTSQ], load: Load | None = None) -> None:
        """Keep to a placement: instances of SQs that are elsewhere now end here, those of `come` begin."""
        prepared = self.prepared[placement.graph]
        prepared.place(placement.host_of, placement.generations)
        self.alone[placement.graph] = set(placement.alone)
        for (graph, number), context in self.contexts.items():
            if graph == placement.graph:
                states = placement.states.get(number)
                context.place([] if states is None else come, states or {}, load or prepared.code.decode)
        if self.holds:
            self.hold()

    def hand_over(self, order: HandOver) -> Handed:
        """The states with which instances go on elsewhere; they end here when they are removed."""
        saver = Saver(everything=True)
        states = {}
        for (graph, number), context in self.contexts.items():
            if graph == order.graph:
                names = [name for name in order.to if name in context.syncs]
                states[number] = context.save(names, saver)
        return Handed(order.graph, self.name, states, saver.left_out)

    def checkpoint(self, graph: str, number: int) -> Checkpoint:
        """The instances of a context as they are now; those that are held are not said to be alive."""
        context = self.contexts[graph, number]
        saver = Saver()
        names = [name for name in context.syncs if name not in context.held]
        states = context.save(names, saver)
        generations = {name: context.prepared.generations.get(name, 0) for name in names}
        return Checkpoint(graph, number, self.name, self.agenda.now, states, generations, saver.left_out)

    def hold(self) -> list[str]:
        """Hold every instance that could be placed elsewhere, also those that come; the names of those not held yet."""
        self.holds, names = True, set[str]()
        for (graph, _), context in self.contexts.items():
            names.update(context.hold(context.syncs.keys() - self.alone.get(graph, set()), LEASE))
        return sorted(names)

    def release(self) -> None:
        """Let what `hold` has held go on; an instance that is handed over, or whose graph is replaced, stays held."""
        self.holds = False
        for context in self.contexts.values():
            context.release(context.syncs, LEASE)

    def set_grid(self, change: SetGrid) -> None:
        """Change a stream's grid; from its next instant on."""
        prepared = self.prepared.get(change.graph)
        if prepared is None:
            return
        known([change.sq], [sq.name for sq in prepared.graph.sqs if sq.trigger == "grid"], "streams")
        every = period_of(change.period, change.per)
        prepared.set_grid(change.sq, every, change.phase, change.width)
        for context in self.contexts_of(change.graph):
            context.set_grid(change.sq, every, change.phase, change.width)

    def contexts_of(self, graph: str) -> list[Context]:
        """The contexts of a graph here."""
        return [context for (name, _), context in self.contexts.items() if name == graph]

    def stop(self, stop: StopGraph) -> None:
        """Forget a graph and its contexts, or one context."""
        if stop.context is None:
            self.alone.pop(stop.graph, None)
            prepared = self.prepared.pop(stop.graph, None)
            if prepared is not None:
                prepared.code.forget()
        for key in [key for key in self.contexts if stop.ends(key)]:
            self.contexts.pop(key).close()
