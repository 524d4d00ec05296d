"""The accelerator of a simulation: one for its agenda, which all its ensembles share."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from ticktalk.accelerate.regions import RegionPlan, find_regions, find_trees
from ticktalk.accelerate.stream_region import RegionTimers, StreamRegion
from ticktalk.accelerate.token_tree import TokenTree
from ticktalk.engine.acceleration import Accelerated, ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import GridSync
from ticktalk.engine.prepared import PreparedGraph
from ticktalk.graph.sq import TTSQ


class SimulationAccelerator:
    """Forms regions and trees of contexts whose bodies run in place and take no time (`Accelerator`)."""

    def __init__(self, agenda: Agenda) -> None:
        self._timers = agenda.others = RegionTimers(agenda)
        self._plans: WeakKeyDictionary[PreparedGraph, tuple[list[TTSQ], list[RegionPlan]]] = WeakKeyDictionary()

    def form(self, parts: ContextParts) -> list[Accelerated]:
        """Find the regions, as the sources' grids are now; each takes over when its sources agree."""
        prepared = parts.prepared
        grids = {
            name: (sync.period, sync.phase, sync.width)
            for name, sync in parts.syncs.items()
            if isinstance(sync, GridSync)
        }
        as_drawn = all(grid == (sq.period, sq.phase, sq.width) for sq in prepared.sqs if (grid := grids.get(sq.name)))
        sqs, plans = self._plans.get(prepared, (None, []))
        if not as_drawn or sqs is not prepared.sqs:
            grid_of = None if as_drawn else lambda sq: grids.get(sq.name, (sq.period, sq.phase, sq.width))
            plans = find_regions(prepared.graph, prepared.sqs, grid_of)
            plans += find_trees(prepared.graph, prepared.sqs, plans)
            if as_drawn:
                self._plans[prepared] = prepared.sqs, plans
        wired = parts.syncs, parts.executes, parts.forwards, parts.agenda
        return [StreamRegion(plan, *wired, self._timers) if plan.sources else TokenTree(plan, *wired) for plan in plans]
