"""Plans of the parts of a graph that no arc joins, where a common period of all of them would be too long.

Each part has a plan of its own, whose code is a generator: it pauses after each tick. The generators are resumed in the
order of their ticks, which are sorted for a stretch of time. Parts that are due at one tick are resumed event by event,
in the order of the graph. Where one of them departs from its plan, everything is given back to the general engine: each
generator tells by its frame where it stands.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from ticktalk.accelerate.again import Again, go_over
from ticktalk.accelerate.bind import IN_PLAN
from ticktalk.accelerate.events import Links, Misfit, Part, TooLong, Unsettled
from ticktalk.accelerate.handover import Handover
from ticktalk.accelerate.loop_code import paused
from ticktalk.accelerate.periods import Plan
from ticktalk.accelerate.stand_ins import MOST_EVENTS, World
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, Tick

TOO_LONG = f"a common period has more than {MOST_EVENTS} events"

MOST_PARTS = 2000
"""Parts that have plans of their own, at most: each takes a while to find."""

LEAST_EACH = 6
"""Periods of the parts, on average, from which on it pays to take them from the general engine and give them back."""

EACH_GIVEN = 4  # as so many departures it counts, for each part, that all of them are given back

STRETCH = 20  # instants of each part, on average, that are sorted at once: few enough to stay in a cache

AFTER_ALL = 1 << 60  # ticks; a range within a machine word is the fastest

Run = Generator[None, bool, tuple[int, int, dict[str, Any]]]
"""The code of a part while it runs; it ends where it departs, with the place, the begin of the period, the names."""


class Apart:
    """The parts of some SQs that neither an arc nor a deadline joins, and their plans; of each part a stream is open.

    Args:
        sqs: the SQs of contexts with open streams.
        links: the links between their ensembles.

    Attributes:
        sqs: the SQs, by part.
        plans: by part; empty: they are found when it runs.

    Raises:
        Unsettled: all of them have to wait for cores, or for one another on links, or it is one part.
    """

    def __init__(self, sqs: list[tuple[ContextParts, TTSQ]], links: Links) -> None:
        self._links = links
        if any(context.tap is not None for context, _ in sqs):
            raise TooLong(f"{TOO_LONG}, and it is recorded")
        world = World(sqs, links, {})
        if links.timing is not None or any(part.stage is not None for part in world.parts):
            raise TooLong(f"{TOO_LONG}, and SQs share cores and links")
        self.sqs: list[list[tuple[ContextParts, TTSQ]]] = []
        self._of: dict[int, int] = {}  # by id of a firing rule
        self._by_name: dict[tuple[str, int, str], int] = {}
        for part in _joined(world):
            if any(isinstance(each.sync, GridSync) and each.sync.pending for each in part):
                self._of |= {id(each.sync): len(self.sqs) for each in part}
                self._by_name |= {(*each.context_key, each.sq.name): len(self.sqs) for each in part}
                self.sqs.append([(each.context, each.sq) for each in part])
        if not 1 < len(self.sqs) <= MOST_PARTS:
            raise TooLong(TOO_LONG)
        self.plans: list[Plan] = []

    def run(self, handover: Handover, tick: int, limit: float) -> int:
        """Run what is due before `limit`, if all plans fit; `tick` is the next at which something is due.

        `handover` takes everything back.

        Returns:
            How many ticks to leave to the general engine before the next look; 0: it has run.

        Raises:
            Unsettled: a part does not repeat itself.
            Misfit: one does not stand as planned.
        """
        due, others = self.due(handover.agenda)
        stop = min(limit, others)
        if not self.plans:
            self.plans = [self._planned(handover, place, mine) for place, mine in enumerate(due)]
        begun: list[_Begun] = []
        pace = sum(1 / plan.period for plan in self.plans)
        for place, mine in enumerate(due):
            if (stop - tick) * pace < LEAST_EACH * len(due):
                return len(due)  # other things are due soon; a look costs as much as these ticks
            try:
                each = self._begin(handover, place, mine)
            except Unsettled as reason:
                raise Misfit(str(reason)) from None
            stop = min(stop, each.stop)
            begun.append(each)
        if min(each.base + each.plan.main.events[0].tick - each.plan.begin for each in begun) >= stop:
            return 1  # nothing would run
        handover.take(self.plans, lambda *message: self.sender(*message) is not None)
        runs: list[Run] = []
        for plan, base, values, _ in begun:
            runs.append(plan.main.run(base, base + AFTER_ALL, *values))
            next(runs[-1])
        turns = _Turns(begun, runs)
        running.current, error = IN_PLAN, None
        try:
            departed = turns.run(tick, stop)
        except BaseException as interrupted:  # from the keyboard, between two firings
            departed, error = None, interrupted
        running.current = None
        error = _give(handover, begun, runs, departed) or error
        if departed is not None:
            handover.departed += EACH_GIVEN * len(runs)
        if error is not None:
            raise error
        return 0

    def due(self, agenda: Agenda) -> tuple[list[Agenda], Tick]:
        """The turns due of each part, and the first tick at which something else is due."""
        mine = [Agenda(agenda.now) for _ in self.sqs]
        others: Tick = INFINITY
        for tick, turns in agenda._due.items():
            for turn in turns:
                place = self._of.get(id(turn))
                if place is None:
                    others = min(others, tick)
                else:
                    mine[place].at(tick, turn)
        for tick, messages in agenda._arrivals.items():
            for deliver, message in messages:
                place = self.sender(deliver, message)
                if place is None:
                    others = min(others, tick)
                else:
                    mine[place].deliver_at(tick, deliver, *message)
        return mine, others

    def sender(self, deliver: Any, message: tuple[Any, ...]) -> int | None:
        """The part that has sent the token that an arrival brings."""
        opened = self._links.opened(deliver, message)
        return None if opened is None else self._by_name.get((*opened.context, opened.sq))

    def plan(self, place: int, due: Agenda) -> Plan:
        """The plan of a part.

        Raises:
            Unsettled: it does not repeat itself.
        """
        return Plan(self.sqs[place], self._links, due, {}, apart=True)

    def _planned(self, handover: Handover, place: int, due: Agenda) -> Plan:
        plan = self.plan(place, due)
        handover.bind(plan.main)
        return plan

    def _begin(self, handover: Handover, place: int, due: Agenda) -> _Begun:
        """Where the plan of a part begins now.

        Raises:
            Unsettled: it does not stand as planned.
        """
        plan, now, first = self.plans[place], handover.agenda.now, due.next_tick()
        if first is None:
            raise Unsettled("its streams have ended")
        base = first - (first - plan.begin) % plan.period
        if base <= now < first and base != first:  # in the middle of a period: another one begins here
            plan = self.plans[place] = self._planned(handover, place, due)
            base = plan.begin
            if base != first:
                raise Unsettled("it does not repeat itself yet")
        values, stop = plan.stands(base, due, plan.windows_end - plan.period)
        handover.call(plan.main, plan.main.inline.not_ready(values))
        return _Begun(plan, base, values, stop)


class _Begun(NamedTuple):
    """A plan that is to run from `base` on, with the values that stand there, up to before `stop`."""

    plan: Plan
    base: int
    values: list[Any]
    stop: Tick


class _Departed(NamedTuple):
    """The number of the run that departed from its plan, and how it ended."""

    run: int
    ended: tuple[int, int, dict[str, Any]]


class _Due(NamedTuple):
    """A tick in the period of a part: the number of its run, and the turns of its events (`Agenda`).

    With each turn are the number of this, that of the event, and the run.
    """

    run: int
    period: int
    turns: list[tuple[Any, Tick, int, int, Run]]


class _Turns:
    """Resumes the runs of parts in the order of their ticks."""

    def __init__(self, begun: list[_Begun], runs: list[Run]) -> None:
        self._runs = runs
        self._due: list[_Due] = []
        self._next: list[int] = []  # by place there, when it comes next
        for number, (plan, base, _, _) in enumerate(begun):
            former = None
            # Where something happens after all events, the last one stands for the end of the period.
            ticks = [event.tick for event in plan.main.events] + [plan.begin + plan.main.last_tick] * plan.main.tail
            for tick, event in zip(ticks, [*plan.main.events, *plan.main.events[-1:]], strict=False):
                if tick != former:
                    former = tick
                    self._due.append(_Due(number, plan.period, []))
                    self._next.append(base + tick - plan.begin)
                turns, sync = self._due[-1].turns, (event.part.asker or event.part).sync
                # What an event makes ready has its turn after it.
                key = max([(sync.key[0], sync.made), *(turn[:2] for turn in turns[-1:])])
                turns.append((*key, len(self._due) - 1, len(turns), runs[number]))

    def run(self, begin: int, stop: Tick) -> _Departed | None:
        """Resume all that is due from `begin` to before `stop`, or up to where one departs."""
        bits = len(self._due).bit_length()
        mask = (1 << bits) - 1
        pace = sum(1 / due.period for due in self._due)
        # Ints below 2 ** 30 are sorted fastest.
        stretch = min(1 << (30 - bits), int(STRETCH * len(self._due) / pace) + 1)
        runs = [self._runs[due.run] for due in self._due]
        entry = 0
        while begin < stop:
            end = int(min(begin + stretch, stop))
            entries: list[int] = []
            for number, due in enumerate(self._due):
                ticks = range(self._next[number], end, due.period)
                entries += range(ticks.start - begin << bits | number, end - begin << bits, due.period << bits)
                self._next[number] += len(ticks) * due.period
            entries.sort()
            entries.append(stretch + 1 << bits)  # after all others
            coming = iter(entries)
            entry = next(coming)
            try:
                for following in coming:
                    if following - entry > mask or following ^ entry > mask:  # another tick: mostly far away
                        next(runs[entry & mask])
                    else:
                        together = [entry & mask]
                        while following ^ entry <= mask:
                            together.append(following & mask)
                            following = next(coming)
                        departed = self._together(together)
                        if departed is not None:
                            return departed
                    entry = following
            except StopIteration as ended:
                return _Departed(self._due[entry & mask].run, ended.value)
            begin = max(end, min(self._next))
        return None

    def _together(self, numbers: list[int]) -> _Departed | None:
        """Resume what is due at one tick event by event."""
        turns: list[tuple[Any, Tick, int, int, Run]] = []
        for number in numbers:
            turns += self._due[number].turns
        turns.sort()
        try:
            for _, _, number, event, run in turns:  # noqa: B007  # the one at hand where it ends
                run.send(not event)
        except StopIteration as ended:
            return _Departed(self._due[number].run, ended.value)
        return None


def _give(handover: Handover, begun: list[_Begun], runs: list[Run], departed: _Departed | None) -> BaseException | None:
    """Give everything back; what has been in periods that have begun is gone over again.

    Returns:
        An error that no body raised.
    """
    error, periods = None, list[Again]()
    for number, ((plan, begin, values, _), run) in enumerate(zip(begun, runs, strict=True)):
        trace, frame = plan.main, run.gi_frame  # type: ignore[attr-defined]  # a generator has one
        if departed is not None and departed.run == number:
            place, base, found = departed.ended
            handover.call(trace, trace.strange(place, found))
        else:
            found = dict(frame.f_locals)
            place, base = trace.code.place(frame.f_lineno), found["base"]
        before = place <= paused(0)
        if before:
            place = paused(place)
        if place == -2 or (before and place > len(trace.events)):
            base, place = base + plan.period, -2
        values = [found[f"c{index}"] for index in range(len(values))]
        handover.note(plan, trace, begin, (base - begin) // plan.period)
        again = None
        if place > 0 or not before:
            again = Again(trace, base, place, found, before)
            periods.append(again)
        handover.give(plan, base, base > begin, values, again)
    now = handover.agenda.now
    if periods:
        try:
            go_over(periods, handover.agenda, handover.links)
        except BaseException as raised:
            error = raised
        handover.agenda.now = max(handover.agenda.now, now)
    return error


def _joined(world: World) -> list[list[Part]]:
    """The SQs, in order, in parts that neither an arc nor a deadline joins."""
    found = {part: [part] for part in world.parts}
    for part in world.parts:
        for other in [*(taker for leg in part.legs for taker, _ in leg.to), *([part.asker] if part.asker else ())]:
            mine, theirs = found[part], found[other]
            if mine is not theirs:
                mine, theirs = (mine, theirs) if len(mine) >= len(theirs) else (theirs, mine)
                mine += theirs
                found |= dict.fromkeys(theirs, mine)
    each = {id(part): part for part in found.values()}
    return [sorted(part, key=lambda member: member.index) for part in each.values()]
