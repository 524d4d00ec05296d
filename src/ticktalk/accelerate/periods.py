"""Plans over a common period: what repeats, its traces, and whether all stands so that they can run."""

from __future__ import annotations

from collections import Counter, deque
from math import lcm
from typing import Any

from ticktalk.accelerate.bind import GONE, IN_PLAN
from ticktalk.accelerate.events import ABSENT, Leg, Links, Misfit, Part, TooLong, Unsettled
from ticktalk.accelerate.noted import MOST_NOTED, first_eviction, in_step, staying
from ticktalk.accelerate.settled import Settled
from ticktalk.accelerate.stand_ins import MOST_EVENTS, Lags, World
from ticktalk.accelerate.standing import Standing, ports_of
from ticktalk.accelerate.trace import Trace
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, Tick
from ticktalk.time.grid import repeats_after

MOST_ABSENT = 4
"""Absent values in a row for which there are traces."""

MOST_TRACES = 64

AT_ONCE = 4096
"""Periods in a row, after which tokens out of reach go to the firing rules, which evict them."""

BEGINNING = 16
"""Periods in a row at first, where they are recorded: their values may be long."""

LONGEST_KEPT = 1 << 22
"""Bytes of long values that may wait to be recorded."""


class Plan(Settled):
    """The repeating part of a simulation, with its traces.

    Args:
        sqs: the SQs of contexts with open streams.
        links: the links between their ensembles.
        agenda: theirs; all that is due before its next tick has been done.
        lags: how early tokens begin that arrive, from a plan before.
        apart: they are some of several, and run in turns with others (`apart.py`).

    Attributes:
        main: the events of a period.
        done: traces that have been run since the firing rules were told, their begins, how often.
        wanted: where an absence lets tokens arrive that begin earlier than any in `main`: the lags of a plan for that.

    Raises:
        Unsettled: nothing repeats.
    """

    def __init__(
        self,
        sqs: list[tuple[ContextParts, TTSQ]],
        links: Links,
        agenda: Agenda,
        lags: Lags,
        apart: bool = False,
    ) -> None:
        if not links.still():
            raise Unsettled("SQs come or leave")
        self.contexts = list({id(context): context for context, _ in sqs}.values())
        self.done: deque[tuple[Trace, int, int]] = deque()
        self.wanted: Lags | None = None
        self.traces = 1
        world = World(sqs, links, lags)
        world.begin(agenda)
        periods = [
            part.twin.every for part in world.parts if isinstance(part.twin, GridSync) and part.twin.instant is not None
        ]
        periods += [part.sq.every for part in world.parts if part.keeps]
        tick = agenda.next_tick()
        if not periods or tick is None:
            raise Unsettled("no stream is open")
        period = lcm(*map(repeats_after, periods))
        if sum(period // each for each in periods) > MOST_EVENTS:
            raise TooLong(f"a common period has more than {MOST_EVENTS} events")
        start = world.save()
        while True:
            try:
                super().__init__(world, tick, period, apart)
                self.main = Trace(self, frozenset(), 0)
                chosen = [each for event in self.main.events for each in event.results or () if each.when is not None]
                if world.truths is None and not {id(each.value) for each in chosen} <= self.main.optional:
                    raise Unsettled("others depend on a condition")
                break
            except Unsettled:
                if world.truths is not None or not any(event.asked is not None for event in world.events):
                    raise
            world.truths = {}
            world.load(start)
        self.overtaken = world.overtaken
        numbers = world.standing(self.begin + self.main.length, ABSENT).stickies
        for place in [place for place, number in self.standing.stickies.items() if number != numbers[place]]:
            del self.standing.stickies[place]  # it stays the same token
        self.staying = {part.index: staying(part.sync) for part in self.parts}
        self.at_once = BEGINNING if world.taps else AT_ONCE
        if apart and any(event.kind == "tell" for event in self.main.events):
            raise Unsettled("outputs take a while to the manager")

    def stands(self, base: int, agenda: Agenda, limit: float) -> tuple[list[Any], float]:
        """The values at `base`, if that is the begin of a period; the tick up to which periods from there on may go on.

        Raises:
            Misfit: all stands otherwise, or something that it was made from has changed.
        """
        try:
            standing = self.world.standing(base, GONE, agenda)
        except Unsettled as reason:
            raise Misfit(str(reason)) from None
        values = self.match(standing, GONE) if self.holds() and self.in_step(standing) else None
        if values is None:
            raise Misfit("it does not stand as planned")
        stops: list[Tick] = [base + since for since, place in standing.timers if place not in self.places]
        for part in self.parts if self.world.taps else ():
            used = [len(tokens) for tokens in self.standing.shapes[part.index][: len(ports_of(part.sync))]]
            newest = self.main.newest[part.index] + self.period
            stops.append(first_eviction(part, ports_of(part.sync), used, newest))
        return values, min(limit, standing.others, self.windows_end, *stops)

    def holds(self) -> bool:
        """True if nothing that it was made from has changed, other than how the firing rules stand."""
        links = self.world.links
        return (
            links.still()
            and not any(context.closed for context in self.contexts)
            and all(
                links.crossing(part.context, part.forward.sq.name, receiver) == crossing
                for (part, receiver), crossing in self.world.crossings.items()
            )
            and all(part.stage is not None and part.stage.pace == pace for part, pace in self.world.paces.items())
        )

    def in_step(self, standing: Standing) -> bool:
        """True if the tokens that are under way are all that were sent and have not come."""
        flying = Counter(_way(each.part, each.leg) for _, each in standing.flying if each.leg.host)
        ways = {_way(part, leg): part.context for part in self.parts for leg in part.legs if leg.host}
        if not all(self.world.links.in_step(context, way[1], way[2], flying[way]) for way, context in ways.items()):
            return False
        return not self.world.taps or all(map(self._numbered_as_planned, self.parts))

    def _numbered_as_planned(self, part: Part) -> bool:
        """True if the tokens that wait have the numbers in the notes."""
        moving, now = self.standing.stickies, staying(part.sync)
        stay = {slot for slot in {*now, *self.staying[part.index]} if (part.index, slot) not in moving}
        return in_step(part, ports_of(part.sync)) and all(
            now.get(slot) == self.staying[part.index].get(slot) for slot in stay
        )

    def noted(self, trace: Trace, base: int, times: int) -> None:
        """Let the taps know of so many runs of a trace, from `base` on."""
        if trace.notes is None:
            return
        running.current = None
        size = trace.notes.tell(trace.kept, base - self.begin, times)
        running.current = IN_PLAN
        most = max(1, min(AT_ONCE, MOST_NOTED // (len(trace.taken) + 1)))
        self.at_once = min(most, 2 * self.at_once) if size < LONGEST_KEPT else max(1, self.at_once // 2)

    def most(self, base: int, stop: float) -> int:
        """How many periods fit in from `base` to before `stop`."""
        return int((stop - base) // self.period) if stop < INFINITY else 1 << 40

    @property
    def windows_end(self) -> Tick:
        """The begin of the first period in which the window of a stream closes."""
        streams = [(part.sync.end, part.index) for part in self.parts if isinstance(part.sync, GridSync)]
        instants = [(end, self.standing.shapes[index][0]) for end, index in streams]
        return min([end - instant for end, instant in instants if instant is not None], default=INFINITY)

    def onward(self, trace: Trace, place: int) -> Trace | None:
        """The trace that goes on where the event at a place of `trace` gives no result."""
        if place not in trace.onward:
            trace.onward[place], lags = None, self.world.lags
            if len(trace.absent) < MOST_ABSENT and self.traces < MOST_TRACES:
                try:
                    trace.onward[place] = Trace(self, trace.absent | {place}, place + 1)
                    self.traces += 1
                except Unsettled:
                    pass
                if self.world.lags != lags:  # else what is out of reach in a period could be met after an absence
                    self.wanted, trace.onward[place] = self.world.lags, None
        return trace.onward[place]


def _way(part: Part, leg: Leg) -> tuple[tuple[str, int], str, str]:
    return part.context_key, leg.way.name, leg.host
