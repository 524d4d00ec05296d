"""A simulated system with faults and moves, and all its visible effects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import simpy

import programs
from ticktalk import TTEnsemble, TTRuntimeManagerSim
from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.deadline import DeadlineSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.language.compiler import compile_source
from ticktalk.mapping.deployment_file import parse_deployment
from ticktalk.payloads import OutputToken
from ticktalk.simulation.event_file import parse_events
from ticktalk.simulation.faults import Faults

S = 1_000_000
MS = 1_000
MANAGER = "runtime-manager"

HEAD = (
    programs.HEAD
    + """\
@SQify
def pair(x, y):
    return (x, y)
"""
)


def graph_of(body: str, name: str = "prog", more: str = "", inputs: str = "trigger") -> TTGraph:
    """The graph whose body is `body`; `more` is put before it."""
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return compile_source(f"{HEAD}{more}\n@GRAPHify\ndef main({inputs}):\n{lines}", f"{name}.py", name)


class Firing(NamedTuple):
    """A firing that began: its tick, ensemble, SQ and interval."""

    tick: int
    ensemble: str
    graph: str
    context: int
    sq: str
    start: float
    stop: float


class World:
    """A manager, ensembles and their faults.

    Args:
        ensembles: their names, as `b` or `b=gpu,camera`.
        delay: of the network, ticks.
        notice, checkpoint: as `Faults` takes them.
        deployment: the text of a deployment file, for the times that bodies and tokens take.
    """

    def __init__(
        self,
        ensembles: Iterable[str] = (),
        delay: int = 0,
        notice: int = 2 * S,
        checkpoint: int = 1 * S,
        deployment: str = "",
    ) -> None:
        self.env = simpy.Environment()
        self.members = []
        for text in ensembles:
            name, _, components = text.partition("=")
            self.members.append(TTEnsemble(None, name, components=[c for c in components.split(",") if c]))
        self.manager = TTRuntimeManagerSim(
            None,
            self.members,
            self.env,
            network_delay=delay,
            deployment=parse_deployment(deployment) if deployment else None,
        )
        self.simulation = self.manager.simulation
        self.simulation.accelerator = None  # a plan would not go by way of what watches each firing
        self.faults = Faults(self.manager, notice, checkpoint)
        self.outputs: list[OutputToken] = []
        self.said: list[tuple[int, str]] = []
        self.firings: list[Firing] = []
        self.manager.process.outputs.listeners.append(self.outputs.append)
        self.manager.on_event(lambda text: self.said.append((self.simulation.agenda.now, text)))

    def events(self, text: str) -> None:
        """Let the events of a file happen."""
        names = [member.name for member in self.members]
        for event in parse_events(text, names, MANAGER):
            self.faults.schedule(event, 0)

    def at(self, tick: int, act: Callable[[], Any]) -> None:
        """Call `act` at a tick, as a user's process would."""

        def wait() -> Any:
            yield self.env.timeout(tick - self.env.now)
            act()

        self.env.process(wait())

    def start(
        self,
        graph: TTGraph,
        mapping: Mapping[str, str] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> int:
        self.manager.instantiate_and_map_graph(graph, mapping=mapping)
        with watched(self.firings):
            return self.manager.execute_graph(graph, inputs)

    def start_again(self, graph: TTGraph) -> int:
        with watched(self.firings):
            return self.manager.execute_graph(graph)

    def run(self, until: int | None = None) -> World:
        with watched(self.firings):
            self.simulation.run(until)
        assert not self.manager.errors, [str(error) for error in self.manager.errors]
        return self

    def hosts(self, graph: str = "prog") -> dict[str, str]:
        return self.manager.process.state.graphs[graph].host_of

    def values(self, sq: str | None = None) -> list[Any]:
        return [token.value for token in self.outputs if sq in (None, token.sq)]

    def table(self, sq: str | None = None) -> list[tuple[int, Any, str]]:
        """Arrival tick, value, ensemble of each output."""
        return [(token.arrival, token.value, token.ensemble) for token in self.outputs if sq in (None, token.sq)]

    def counted(self, kind: str, graph: str = "prog") -> dict[str, int]:
        counts = self.manager.counters(graph)
        return {sq: kinds[kind] for sq, kinds in counts.items() if kinds.get(kind)}

    def told(self, part: str) -> list[int]:
        """The ticks of the events whose text holds `part`."""
        return [tick for tick, text in self.said if part in text]

    # Consistency.

    def check(self) -> None:
        """Every SQ of every live graph lives on exactly one live ensemble, or waits; nothing is left behind."""
        state = self.manager.process.state
        lost = set(self.faults._lost_since)
        living = {
            name: site.host
            for name, site in self.simulation.sites.items()
            if site.alive and site.host is not None and (name in state.ensembles or name == MANAGER)
        }
        for name, graph in state.graphs.items():
            if graph.preparing:
                continue  # the graph is told its SQs' hosts when these hold it
            for number in [context.number for context in graph.live]:
                homes: dict[str, list[str]] = {sq: [] for sq in graph.host_of}
                for host_name, host in living.items():
                    context = host.contexts.get((name, number))
                    if host_name in lost:
                        continue  # it may hold SQs that are elsewhere now, until it is reached
                    for sq in context.syncs if context is not None else ():
                        homes[sq].append(host_name)
                    if context is not None:
                        names = set(context.syncs)
                        assert set(context.forwards) == names
                        assert set(context.executes) <= names
                        assert not context.held
                for sq, host_name in graph.host_of.items():
                    if host_name == "" or host_name in lost:
                        assert homes[sq] == [], (sq, host_name, homes[sq])
                    else:
                        assert homes[sq] == [host_name], (sq, host_name, homes[sq])
        live = {(name, context.number) for name, graph in state.graphs.items() for context in graph.live}
        for name, host in living.items():
            if name not in lost:
                assert set(host.contexts) <= live, (name, set(host.contexts) - live)
                assert set(host.prepared) <= set(state.graphs)
        ended = [context for graph in state.graphs.values() for context in graph.contexts.values() if context.ended]
        assert not any(context.checkpoints for context in ended)
        self.check_agenda()

    def check_agenda(self) -> None:
        """No timer of an instance that is gone will ever do anything."""
        instances = {
            id(sync)
            for site in self.simulation.sites.values()
            for context in (site.host.contexts.values() if site.alive and site.host is not None else ())
            for sync in context.syncs.values()
        }
        for turns in self.simulation.agenda._due.values():
            for turn in turns:
                if isinstance(turn, TTSQSync) and id(turn) not in instances:
                    assert not turn.pending and not turn.inbox and not turn.remote, turn.sq.name


class watched:
    """While it is open, every firing is recorded."""

    def __init__(self, firings: list[Firing]) -> None:
        self.firings = firings

    def __enter__(self) -> None:
        firings, wire = self.firings, Context._wire
        self._wire = wire

        def wire_and_watch(context: Context, sq: TTSQ, sync: TTSQSync, forward: TTSQForward) -> None:
            wire(context, sq, sync, forward)
            if isinstance(sync, DeadlineSync):
                return
            fire, prepared = sync.fire, context.prepared

            def fire_and_tell(start: Any, stop: Any, values: tuple[Any, ...], now: int) -> None:
                firings.append(Firing(now, prepared.here, prepared.graph.name, context.number, sq.name, start, stop))
                fire(start, stop, values, now)

            sync.fire = fire_and_tell

        Context._wire = wire_and_watch  # type: ignore[method-assign]

    def __exit__(self, *error: object) -> None:
        Context._wire = self._wire  # type: ignore[method-assign]


def multiset(tokens: Iterable[OutputToken]) -> Counter[tuple[Any, ...]]:
    """The outputs, without arrival times and senders."""
    return Counter((t.graph, t.context, t.sq, repr(t.value), t.start, t.stop) for t in tokens)


def by_sq(tokens: Iterable[OutputToken]) -> dict[tuple[str, int, str], list[tuple[str, Any, Any]]]:
    """The outputs of each SQ in order: value, start, stop."""
    found: dict[tuple[str, int, str], list[tuple[str, Any, Any]]] = {}
    for t in tokens:
        found.setdefault((t.graph, t.context, t.sq), []).append((repr(t.value), t.start, t.stop))
    return found
