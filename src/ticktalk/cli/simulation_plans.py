"""The plans over common periods that a simulation of a graph would make: found without running the program's code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ticktalk.accelerate.apart import Apart
from ticktalk.accelerate.events import Links, TooLong, Unsettled
from ticktalk.accelerate.periods import Plan
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.context import Context
from ticktalk.engine.firing_chain import Surroundings
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.recording.replayed_bodies import SomeBodies
from ticktalk.time import Tick


def planned(graph: TTGraph, host_of: Mapping[str, str]) -> list[Plan]:
    """The plan that a simulation of a graph makes, or those of its parts.

    Args:
        graph: the graph.
        host_of: SQ name to ensemble name.

    Raises:
        Unsettled: it makes none; the message says why.
    """
    agenda = Agenda()
    contexts: dict[str, Context] = {}
    bodies = {sq.name for sq in graph.sqs if sq.body}

    def publish(arc: str, ensembles: list[str], value: Any, start: Tick, stop: Tick) -> None:
        for ensemble in ensembles:
            contexts[ensemble].arrive(arc, value, start, stop)

    for host in dict.fromkeys(host_of.values()):
        around = Surroundings(publish, lambda *output: None, lambda error: None)
        prepared = PreparedGraph(graph, dict(host_of), host, {})
        contexts[host] = SomeBodies(prepared, 0, 0, agenda, around, bodies)
    for context in contexts.values():
        context.inject({source.name: 1 for source in graph.inputs})
    agenda.run_ready(0)
    if not contexts:
        raise Unsettled("it has no SQ")
    sqs: list[tuple[ContextParts, TTSQ]] = [
        (context, sq) for context in contexts.values() for sq in context.prepared.sqs
    ]
    links = Links(next(iter(contexts)))
    try:
        return [Plan(sqs, links, agenda, {})]
    except TooLong:
        parts = Apart(sqs, links)
        return [parts.plan(place, due) for place, due in enumerate(parts.due(agenda)[0])]
