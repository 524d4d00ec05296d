"""The accelerator of a simulation: generated code runs settled SQs; everything goes back to the syncs when needed.

The state of an SQ stays where the general engine has it: waiting tokens, `sq_state`, counters, wiring. A region of kind
"instant" is *armed* once its sources have run a few instants and agree on the next. From then on its instants are with
`InstantTimers`, and its syncs are told late: `flush` brings them up. `dissolve` gives the instants back to the sources.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heappush
from typing import Any
from weakref import WeakKeyDictionary

from ticktalk.accelerate.bind import (
    GONE,
    IN_REGION,
    BoundSQ,
    bring_up,
    function_of,
    holds_tokens_after,
    names_of,
    settled_values,
)
from ticktalk.accelerate.code import (
    ahead_code,
    known_names,
    rest_code,
    rest_inputs,
    run_code,
    steps_code,
)
from ticktalk.accelerate.events import Links
from ticktalk.accelerate.loops import Loops
from ticktalk.accelerate.plan import Member, RegionPlan, grid_as_drawn, grids_in, plans_in_simulation
from ticktalk.accelerate.sends import within
from ticktalk.accelerate.timers import NEVER, ContextClosed, InstantTimers, TimedRegion
from ticktalk.engine.acceleration import Accelerated, ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import Running, running
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.firing.arrival import ArrivalSync, SinglePortSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.prepared_graph import PreparedGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty
from ticktalk.values.codec import handed_on

FIRINGS_BEFORE = 4
"""Instants or firings on the general engine before a region's code is made: graphs that hardly run need none."""

_WRITTEN = {"run": run_code, "steps": steps_code, "ahead": ahead_code}


class SimulationAccelerator:
    """Forms the regions of contexts whose bodies run in place and take no time (`Accelerator`).

    Attributes:
        beside_drivers: the ensembles whose bodies may use drivers: they stay with the general engine.
        regions: there may be regions; not where an instant takes time, or SQs move.
    """

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.beside_drivers: set[str] = set()
        self.regions = True
        self._timers = agenda.others = InstantTimers(agenda)
        self.loops = Loops(agenda, links, self._timers.hold)
        agenda.ahead = self.loops.run
        self._plans: WeakKeyDictionary[PreparedGraph, tuple[list[TTSQ], list[RegionPlan]]] = WeakKeyDictionary()

    def form(self, context: ContextParts) -> list[Accelerated]:
        """The regions, as the sources' grids are now; each takes over when its sources agree."""
        if context.tap is not None:
            return []  # it is told of each token by itself
        prepared = context.prepared
        grid_of = grids_in(context)
        as_drawn = all(grid_of(sq) == grid_as_drawn(sq) for sq in prepared.sqs if sq.trigger == "grid")
        sqs, plans = self._plans.get(prepared, (None, []))
        if not as_drawn or sqs is not prepared.sqs:
            here = [sq for sq in prepared.sqs if not (sq.body and prepared.here in self.beside_drivers)]
            plans = plans_in_simulation(prepared.graph, here, grid_of)
            if as_drawn:
                self._plans[prepared] = prepared.sqs, plans
        self.loops.add(context)
        if not self.regions:
            return []
        return [InstantRegion(plan, context, self._timers) for plan in plans]


class SimulatedSQ(BoundSQ):
    """One SQ of a region: its parts in the general engine."""

    __slots__ = ("member", "region", "send", "sync")

    def __init__(self, region: InstantRegion, member: Member, context: ContextParts) -> None:
        name = member.sq.name
        super().__init__(context.executes[name], len(member.inner))
        self.region = region
        self.member = member
        self.sync = context.syncs[name]
        inside = {(to.sq, to.port): way for way, to in enumerate(member.inner)}
        self.send = within(context.forwards[name], inside)

    def edge(self, value: Any, when: Tick, stop: Tick | None = None) -> Any:
        """Send a result along all arcs."""
        wires = [GONE] * len(self.silent)
        running.current = None
        if value.__class__ is not TTEmpty:  # nor an object that says so of itself
            start, stop = self.region.tells(when, stop)
            try:
                self.send(value, start, stop, wires)
            except BaseException:
                self.partial = wires
                raise
            if self.region.closed:
                raise ContextClosed
        running.current = IN_REGION
        return self._given(wires)

    def copy(self, value: Any, wires: list[Any]) -> None:
        for index in range(len(wires)):  # one by one: an error leaves those before with their copies
            wires[index] = handed_on(value)

    def tell(self, error: BaseException, when: Tick, stop: Tick | None) -> None:
        self.region.failed(self.execute, error, when, stop)


class InstantSQ(SimulatedSQ):
    """One SQ of a region that begins at sources.

    Attributes:
        absences: instants without a firing that are not known to the sync yet.
        last_absence: the latest of all.
        before_absence: the latest instant with a firing before that.
    """

    __slots__ = ("absences", "before_absence", "last_absence")

    acts = ("hand", "edge", "ended", "absent")
    region: InstantRegion

    def __init__(self, region: InstantRegion, member: Member, context: ContextParts) -> None:
        super().__init__(region, member, context)
        self.absences = 0
        self.last_absence: Tick = NEG_INFINITY
        self.before_absence: Tick = NEG_INFINITY

    def absent(self, instant: int, *values: Any) -> None:
        """Not all inputs are there at this instant: those that are wait at the sync."""
        before = instant - self.region.period
        if before != self.last_absence:
            self.before_absence = before
        self.last_absence = instant
        self.absences += 1
        arrived = [(port, value) for port, value in zip(self.member.wires, values, strict=True) if value is not GONE]
        if arrived:
            self.sync.inbox += [(port, *self.region.interval(instant), value) for port, value in arrived]
            self.sync.step(instant)

    def fired_last(self, latest: int, begun: int) -> Tick:
        """The latest instant from `begun` to `latest` at which it fired; `latest` is one of the region."""
        instant = self.before_absence if self.last_absence == latest else latest
        return instant if instant >= begun else NEG_INFINITY


class InstantRegion(TimedRegion):
    """A region of one context, from its sources on.

    Attributes:
        last: the place in the order of its last SQ.
    """

    def __init__(self, plan: RegionPlan, context: ContextParts, timers: InstantTimers) -> None:
        self.plan = plan
        self.parts: list[InstantSQ] = []  # made when they are needed: a graph starts sooner
        self._context = context
        syncs = [context.syncs[member.sq.name] for member in plan.members]
        super().__init__(context.agenda, timers, [sync for sync in syncs[: plan.roots] if isinstance(sync, GridSync)])
        self.last = syncs[-1].key[0]
        self.run = self._run_first
        self.begun = 0
        self._counted = 0  # the instants before are known to the syncs
        self._waits = FIRINGS_BEFORE
        self._waits_again = 0  # after tokens from before were in the way
        self._names: dict[str, Any] = {}  # of the generated code, once it is bound
        self._lines: dict[str, list[int]] = {}
        self._steps: Callable[[int], Iterator[Any]] | None = None
        for source in self.sources:
            source.taker = self

    def retire(self) -> None:
        """Dissolve for good: its SQs are looked at anew."""
        self.dissolve()
        for source in self.sources:
            source.taker = None

    def source_stepped(self, source: GridSync) -> None:
        """A source had its turn on the general engine: when all had, the region may take over."""
        if source is self.sources[-1] and not self.armed:
            if self._waits:
                self._waits -= 1
            else:
                self._arm()

    def _arm(self) -> None:
        """Take the instants over from the sources, if they agree on them."""
        first = self.sources[0]
        instant = first.instant
        if self.timers.held or self.closed or instant is None or first.width > first.period:
            return
        grid = (instant, first.end, first.period, first.phase, first.width)
        for source in self.sources:
            mine = (source.instant, source.end, source.period, source.phase, source.width)
            if mine != grid or source.inbox or source.remote:
                return
        if not self.parts:
            self.parts = [InstantSQ(self, member, self._context) for member in self.plan.members]
        for source in self.sources:
            self.agenda.cancel(instant, source)
        self.period, self.width, self.half = first.period, first.width, first.width // 2
        self.begun = self.next = self._counted = instant
        self.limit = NEVER if first.end == INFINITY else int(first.end) + 1
        for part in self.parts:
            part.last_absence = part.before_absence = NEG_INFINITY
        self.run, self._steps, self.settled, self._names = self._run_first, None, False, {}
        self.armed = True
        self.timers.add(self, instant)

    def ready_to_run(self) -> bool:
        if not self._names and not self._bind():
            self._waits = self._waits_again = self._waits_again * 2 + 1
        return bool(self._names)

    def _bind(self) -> bool:
        start = self.next - self.half
        names = names_of(self.parts)
        names |= {"region": self, "period": self.period, "ready": self.agenda.ready}
        for index, part in enumerate(self.parts):
            sync = part.sync
            settled = settled_values(sync)
            if settled is None or holds_tokens_after(sync, start):
                return False
            if index >= self.plan.roots and (sync.inbox or sync.remote):
                return False
            if isinstance(sync, (ArrivalSync, SinglePortSync)) and sync.forward and sync.last_start > start:
                return False
            names[f"o{index}"] = sync.key[0]
            names |= {f"a{index}_{port}": value for port, value in settled.items()}
        self.shape, lines = run_code(self.plan)
        self._lines = {"run": lines}
        self._names = names
        self.entry = tuple([names[name] for name in known_names(self.plan.members)])
        if self.plan.whole:
            self.run, self.settled = function_of(self.shape, names), True
            self.timers.changed(self)
        return True

    def _run_first(self, instants: Sequence[int]) -> int:
        """Stands in for `run` until there is one, and where an instant always has to run in turns."""
        if not self._names and self.plan.whole and self._bind():
            return self.run(instants)
        self.agenda.now = instants[0]
        self.timers.told = True
        self.timers.unset(self)
        self.begin(instants[0])
        return instants[0]

    def steps(self, instant: int) -> Iterator[Any]:
        if self._steps is None:
            texts = self.timers.steps
            if self.shape not in texts:
                texts[self.shape] = steps_code(self.plan).text
            self._steps = function_of(texts[self.shape], self._names, own=False)
        return self._steps(instant)

    # Called by the generated code.

    def at_line(self, function: str, line: int) -> Running:
        """The SQ whose firing is at a line of the generated code."""
        lines = self._lines.get(function)
        if lines is None:
            lines = self._lines[function] = _WRITTEN[function](self.plan).lines
        return self.parts[lines[line]].execute

    def interval(self, instant: Tick) -> tuple[Tick, Tick]:
        """The interval of the tokens of an instant."""
        start = instant - self.half
        return start, start + self.width

    def failed(self, execute: TTSQExecute, error: BaseException, instant: Tick, _: Tick | None) -> None:
        """Report the error of a firing."""
        if error.__class__ is ContextClosed:
            raise error
        execute.failed(error, *self.tells(instant))
        if self.closed:
            raise ContextClosed

    def leave(self, index: int, found: dict[str, Any], instant: int) -> None:
        """Let the SQs after that at `index` go on in turns; `found`: the values that the function has."""
        text, lines = rest_code(self.plan, index)
        rest = function_of(text, self._names)
        self._lines[rest.__name__] = lines
        self.stepping = rest(instant, *[found[name] for name in rest_inputs(self.plan, index)])
        order = next(self.stepping, None)
        self.timers.unset(self)
        heappush(self.agenda.ready, (self.last if order is None else order, self))

    # Back to the syncs.

    def flush(self) -> None:
        """Bring the syncs and executes up to date: firings, latest starts."""
        instants = (self.next - self._counted) // self.period if self.period else 0
        if not instants:
            return
        self._counted = self.next
        latest = self.next - self.period
        fired: list[int] = []
        for part in self.parts:
            sync, wires = part.sync, list(part.member.wires.values())
            if not wires:
                times = instants
            elif len(wires) == 1:
                times = fired[wires[0].member] - self.parts[wires[0].member].silent[wires[0].way]
            else:
                times = instants - part.absences
            fired.append(times)
            part.execute.fired += times
            if isinstance(sync, GridSync):
                sync.considered = latest
            else:
                bring_up(sync, part.fired_last(latest, self.begun) - self.half)
        for part in self.parts:
            part.absences = 0
            part.silent = [0] * len(part.silent)
