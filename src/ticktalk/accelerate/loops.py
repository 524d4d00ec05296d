"""The accelerator of a simulation: looks for plans over a common period, and runs them.

While a plan runs, what stands at the begin of its period is with it: the tokens that wait or are under way, the timers.
`Handover` takes them from the general engine, and gives them back at the begin of a later period. Where something
departs within a period, all of it happens again on the general engine (`Again`), with what bodies gave in place of
their calls, until it is where the plan was. The event at which it departed then happens on the general engine: an error
is reported, somebody is told of an output, whatever follows from it follows there.
"""

from __future__ import annotations

from typing import Any

from ticktalk.accelerate.again import Again, go_over, result_of
from ticktalk.accelerate.apart import Apart
from ticktalk.accelerate.bind import IN_PLAN
from ticktalk.accelerate.events import Links, Misfit, TooLong, Unsettled
from ticktalk.accelerate.handover import Handover
from ticktalk.accelerate.periods import AT_ONCE, Plan
from ticktalk.accelerate.stand_ins import Lags
from ticktalk.accelerate.trace import Trace
from ticktalk.engine.acceleration import Accelerated, ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.sq import TTSQ
from ticktalk.no_garbage import no_garbage
from ticktalk.time import TTEmpty

TICKS_BEFORE = 6
"""Ticks on the general engine before the first look for a plan: graphs that hardly run need none."""

TICKS_EACH = 4
"""Ticks for each part on the general engine before the parts have plans of their own."""

LEAST = 3
"""Periods from which on a plan is entered."""

TRIED = 3
"""How often an event gives no result before there is a trace that goes on from there."""

OFTEN = 32
"""How often it departs from a plan before it is looked whether that pays."""

PAYS = 8
"""Periods of a plan, for each time that it departs, from which on it pays."""

MOST_MISFITS = 50
"""Looks in a row at which a plan does not fit, before it is given up."""

LONGEST_WAIT = 1 << 16
"""Ticks between two looks for a plan, where there is none."""


class Loops:
    """Runs the contexts of a simulation ahead, all of them together (`Accelerator`).

    Args:
        agenda: the simulation's.
        links: the links between its ensembles, and their cores.

    Attributes:
        contexts: all that may have a part in a plan, by id.
        plan: what runs ahead; None: there is none, for now.
        apart: the plans of parts that no arc joins, where there is none of all of them.
        why: why there is none.
    """

    def __init__(self, agenda: Agenda, links: Links) -> None:
        self.contexts: dict[int, ContextParts] = {}
        self.plan: Plan | None = None
        self.apart: Apart | None = None
        self.why = ""
        self.agenda, self.links = agenda, links
        self._handover = Handover(agenda, links)
        self._wait = self._wait_again = TICKS_BEFORE
        self._misfits = 0
        self._lags: Lags = {}
        agenda.ahead = self.run

    def form(self, context: ContextParts) -> list[Accelerated]:
        """Look anew for a plan, with this context as it is now; no SQ is taken from the context itself."""
        if context.tap is None or context.tap.repeats:  # else it is told of each token by itself
            self.contexts[id(context)] = context
            self.plan, self.apart, self._lags = None, None, {}
            self._wait = self._wait_again = TICKS_BEFORE
        return []

    def run(self, tick: int, limit: float) -> bool:
        """Run what is due before `limit`, if there are plans and they fit; `tick` is the next at which something is.

        Returns:
            Whether anything of it has run.
        """
        self._wait -= 1
        if self._wait > 0 or self.agenda.ready:
            return False
        if self.plan is None and self.apart is None:
            self._look()
            if self._wait > 0:
                return False
        try:
            if self.plan is not None:
                rest = self._run_whole(self.plan, tick, limit)
            else:
                assert self.apart is not None
                rest = self.apart.run(self._handover, tick, limit)
        except Misfit:
            self._misfits += 1
            if self._misfits > MOST_MISFITS:
                self._drop("it does not stand as planned any more")
            return False
        except Unsettled as reason:
            self._drop(str(reason))
            return False
        if rest:
            self._wait = rest
            return False
        self._misfits = 0
        self._look_whether_it_pays()
        return True

    def _look(self) -> None:
        """Look for a plan, or for one of each part."""
        self.contexts = {number: context for number, context in self.contexts.items() if not context.closed}
        keys = {
            (context.prepared.graph.name, context.number)
            for context in self.contexts.values()
            if any(isinstance(sync, GridSync) and sync.pending for sync in context.syncs.values())
        }
        of_these = [c for c in self.contexts.values() if (c.prepared.graph.name, c.number) in keys]
        sqs = [(context, sq) for context in of_these for sq in context.prepared.sqs]
        try:
            with no_garbage():
                self._plan(sqs)
        except Unsettled as reason:
            self._drop(str(reason))

    def _plan(self, sqs: list[tuple[ContextParts, TTSQ]]) -> None:
        try:
            self.plan = Plan(sqs, self.links, self.agenda, self._lags)
            self._handover.bind(self.plan.main)
        except TooLong:
            self.apart = Apart(sqs, self.links)
            self._wait = TICKS_EACH * len(self.apart.sqs)

    def _drop(self, why: str) -> None:
        """Give up the plan, and look for another one after a while: the sooner, the better the last one paid."""
        work, self.why, self._misfits = self._handover, why, 0
        self.plan = self.apart = None
        paid = work.periods >= PAYS * max(work.departed, OFTEN)
        self._wait_again = TICKS_BEFORE if paid else min(2 * self._wait_again, LONGEST_WAIT)
        work.periods = work.departed = 0
        self._wait = self._wait_again

    def _look_whether_it_pays(self) -> None:
        work = self._handover
        if work.departed >= OFTEN:
            if work.periods < PAYS * work.departed:
                self._drop("it departs from the plan too often")
            work.departed = work.periods = 0

    # A plan of the whole.

    def _run_whole(self, plan: Plan, tick: int, limit: float) -> int:
        """Run periods, as many as end before `limit`, if the plan fits; gives what `Apart.run` gives."""
        agenda = self.agenda
        base = tick - (tick - plan.begin) % plan.period
        if base <= agenda.now < tick or limit - base < LEAST * plan.period:
            return 1
        values, stop = plan.stands(base, agenda, limit)
        if plan.most(base, stop) < LEAST:
            return 2
        self._handover.take([plan], lambda *message: plan.world.flying(*message) is not None)
        self._run(plan, base, stop, values)
        return 0

    def _run(self, plan: Plan, base: int, stop: float, values: list[Any]) -> None:
        """Run periods from `base` on, up to `stop`, or up to where it departs; give everything back."""
        begun, trace, work = base, plan.main, self._handover
        trimmed = work.periods
        departed: Again | None = None
        running.current = IN_PLAN
        while departed is None and (most := min(plan.most(base, stop), plan.at_once)) > 0:
            trace = plan.main
            work.call(trace, trace.inline.not_ready(values))
            place, at, found = trace.run(base, base + most * plan.period, *values)
            if place == -1:
                values = list(found)
                base = work.note(plan, trace, base, most)
            else:
                values = [found[f"c{index}"] for index in range(len(values))]
                base = work.note(plan, trace, base, (at - base) // plan.period + (place == -2))
                while (onward := self._onward(plan, trace, place, found)) is not None:
                    if onward.length > plan.most(base, stop) * plan.period:
                        break
                    trace = onward
                    place, _, more = trace.run(base, 0, *[found[name] for name in trace.code.parameters[2:]])
                    if place == -1:
                        values = list(more)
                        base = work.note(plan, trace, base, 1)
                        break
                    found = {**found, **more}
                if place != -1:
                    work.call(plan.main, trace.strange(place, found))
                    departed = Again(trace, base, place, found)
            if work.periods > trimmed + AT_ONCE:
                work.trim(plan.done)
                trimmed = work.periods
        running.current = None
        work.give(plan, base, base > begun, values, departed)
        if departed is not None:
            if plan.wanted is not None:
                self._lags, self.plan = plan.wanted, None
            else:
                work.departed += 1
            go_over([departed], self.agenda, self.links)

    def _onward(self, plan: Plan, trace: Trace, place: int, found: dict[str, Any]) -> Trace | None:
        """The trace that goes on where the event at `place` gave no result, if that is what happened."""
        if trace.raised is not None or not 0 <= place < len(trace.events):
            return None
        event = trace.events[place]
        if not event.runs or (event.kind == "fire" and any(leg.told_at_once for leg in event.part.legs)):
            return None
        if result_of(trace, place, found).__class__ is not TTEmpty:
            return None
        trace.tried[place] += 1
        if trace.tried[place] < TRIED:
            return None
        onward = plan.onward(trace, place)
        if onward is not None and onward.run is None:
            self._handover.bind(onward)
        return onward
