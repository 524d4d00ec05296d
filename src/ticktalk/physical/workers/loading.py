"""The graphs whose bodies are in workers: which of their SQs were loaded where, and what is being loaded.

A body is loaded in its worker process first. That says whether it is harmless. If so, it is loaded at home, too, and
runs there until it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from ticktalk.engine.components import Components
from ticktalk.engine.firing_chain import runs_elsewhere
from ticktalk.errors import TTRuntimeError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.assignment import HOME, Assignment, beside, reached
from ticktalk.physical.workers.protocol import BodiesLoaded, Harmless, LoadBodies

Told = Callable[[str | None], None]
"""Takes the problem, or None."""


@dataclass
class LoadedGraph:
    """A graph whose bodies are, or will be, in workers.

    Attributes:
        graph: the graph.
        assigned: by SQ, the name of its worker, or of the one in which it goes on should it leave home.
        home: the SQs of which new instances run at home.
        harmless: those that may, if those beside them are harmless, too; `beside`: which these are.
        loading, number: by worker, its part of the latest load, if it has not answered; the number of that load.
        problems: the problems in the answers so far.
        loaded: takes the problem of the latest load, or None.
    """

    graph: TTGraph
    assigned: dict[str, str] = field(default_factory=dict)
    home: set[str] = field(default_factory=set)
    harmless: dict[str, Harmless] = field(default_factory=dict)
    beside: dict[str, list[set[str]]] = field(default_factory=dict)
    loading: dict[str, LoadBodies] = field(default_factory=dict)
    number: int = 0
    problems: list[str] = field(default_factory=list)
    loaded: Told = lambda problem: None

    def worker_of(self, sq: str) -> str:
        """The worker of a new instance of an SQ."""
        return HOME if sq in self.home else self.assigned[sq]

    def look(self) -> set[str]:
        """The SQs that may run at home, as all bodies beside them are harmless; instructions keep none away."""
        here = {sq.name for sq in self.graph.sqs if sq.body and sq.name in self.assigned}
        self.beside = beside(self.graph.sqs, here)
        return here - reached(self.beside, here - self.harmless.keys())

    def leaves(self, sqs: list[str]) -> None:
        """Let no new instances of these SQs, and of those beside them, run at home."""
        for name in sqs:
            self.harmless.pop(name, None)
        self.home -= reached(self.beside, sqs)


class Loading:
    """Has bodies loaded in their workers; owned by the timekeeper.

    Args:
        components: those of the ensemble.
        in_processes: whether workers are processes.
        send: sends a load to a worker.
        number: gives a new number.

    Attributes:
        graphs: by name.
        assignment: says which worker an SQ has.
        home: whether harmless bodies run at home, as far as others run in processes.
    """

    def __init__(
        self,
        components: Components,
        in_processes: bool,
        send: Callable[[str, LoadBodies], None],
        number: Callable[[], int],
    ) -> None:
        self.graphs: dict[str, LoadedGraph] = {}
        self.assignment = Assignment(components, in_processes)
        self.home = False
        self._in_processes = in_processes
        self._send = send
        self._number = number

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Told) -> list[str]:
        """Have the bodies of `sqs` compiled in their workers.

        Returns:
            The workers whose answers are awaited.
        """
        known = self.graphs.setdefault(graph.name, LoadedGraph(graph))
        known.graph = graph
        new = [sq for sq in sqs if runs_elsewhere(sq) and sq.name not in known.assigned]
        try:
            worker_of = self.assignment.assign([*(sq for sq in graph.sqs if sq.name in known.assigned), *sqs])
        except TTRuntimeError as error:
            loaded(str(error))
            return []
        by_worker: dict[str, list[str]] = {}
        for sq in new:
            known.assigned[sq.name] = worker_of[sq.name]
            by_worker.setdefault(worker_of[sq.name], []).append(sq.name)
        if not by_worker:
            loaded(None)
            return []
        number, text = self._number(), msgspec.json.encode(graph)
        loads = [
            LoadBodies(graph.name, text, names, worker, number=number, looks=self.home and self._in_processes)
            for worker, names in by_worker.items()
        ]
        self._begin(known, loads, number, loaded)
        return [*by_worker]

    def try_values(self, graph: str, values: Mapping[str, list[bytes]], tried: Told) -> None:
        """See whether values fit the classes of a graph that was loaded."""
        known, by_worker = self.graphs[graph], dict[str, dict[str, list[bytes]]]()
        for sq in known.assigned.keys() & values.keys():
            by_worker.setdefault(known.assigned[sq], {})[sq] = values[sq]
        number = self._number()
        loads = [LoadBodies(graph, b"", [], worker, of_worker, number) for worker, of_worker in by_worker.items()]
        self._begin(known, loads, number, tried)
        if not by_worker:
            tried(None)

    def _begin(self, known: LoadedGraph, loads: list[LoadBodies], number: int, loaded: Told) -> None:
        known.loading, known.number, known.problems, known.loaded = {x.worker: x for x in loads}, number, [], loaded
        for load in loads:
            self._send(load.worker, load)

    def again(self, graph: str, sqs: list[str]) -> LoadBodies:
        """A load of bodies that were loaded before; no answer is waited for."""
        return LoadBodies(graph, msgspec.json.encode(self.graphs[graph].graph), sqs)

    def answer(self, answer: BodiesLoaded) -> None:
        """Take a worker's answer to a load."""
        known = self.graphs.get(answer.graph)
        if known is None or answer.worker not in known.loading or answer.number not in (0, known.number):
            return  # that of a graph of this name that has gone, or of a worker that was replaced
        load = known.loading.pop(answer.worker)
        if answer.worker == HOME:
            if answer.problem is None:
                known.home |= load.harmless.keys()
        elif answer.problem is not None:
            known.problems.append(answer.problem)
        else:
            known.harmless |= answer.harmless
        if known.loading:
            return
        new = known.look() - known.home if known.harmless and not known.problems else set[str]()
        if new and answer.worker != HOME:
            harmless = {name: known.harmless[name] for name in sorted(new)}
            text = msgspec.json.encode(known.graph)
            home = LoadBodies(answer.graph, text, [], HOME, number=known.number, harmless=harmless)
            known.loading[HOME] = home
            self._send(HOME, home)
        else:
            known.loaded("; ".join(dict.fromkeys(known.problems)) or None)
