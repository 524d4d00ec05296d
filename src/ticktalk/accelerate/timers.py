"""The next instants of all armed regions in a simulation, beside the timers of the agenda.

An instant is an int of its tick and its region's place, so that a heap of them is fast. While nothing else is due, the
region whose instant is next runs on up to the first instant of another. Regions that are due at one tick run step by
step, each SQ in its turn. Many regions of one shape are *planned*: the instants of a stretch of time are sorted once,
and one function runs them all.

A firing that tells a listener something ends all this (`told`): the listener may stop a graph, start one, set a grid.
The agenda goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil
from types import CodeType, FunctionType
from typing import Any

from ticktalk.accelerate.bind import ALWAYS, IN_REGION, function_of
from ticktalk.accelerate.code import ahead_code
from ticktalk.accelerate.plan import RegionPlan
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.grid import GridSync
from ticktalk.time import INFINITY, Tick

MANY = 4
"""Regions from which on it pays to sort their instants beforehand."""

PLANNED = 20  # instants of each, on average: few enough to stay in a cache while they are sorted and run
AT_ONCE = 4096  # instants of regions in a row, after which is looked whether to plan
CALM = 8  # how often in a row those ran undisturbed before it is planned again

FAR = 1 << 40  # ticks that a region runs on for: a range within a machine word is the fastest

NEVER = 1 << 126  # a tick after all others, as an int: the innermost loop compares ints
_BITS = 24
_MASK = (1 << _BITS) - 1

Run = Callable[[Sequence[int]], int]
"""Runs instants of a region, one or a range; gives the next one."""


class ContextClosed(Exception):
    """A listener closed the context of the region whose firing it was told of."""


class TimedRegion:
    """A region of kind "instant", as the timers see it.

    It is *armed* once its sources agree on their next instant: its instants are then here, not with them.

    Attributes:
        key: its turn in the agenda.
        index: its place in the timers; -1: none.
        next: the next instant; all before it are done.
        limit: no instant is due from this tick on.
        run: runs instants as a whole.
        settled: it has the function for that.
        shape: the text of this function.
        entry: the values for the names that `ahead` takes.
        stepping: the instant that is run in turns: its generator, or () before the first turn; None: there is none.
        closed: its context has ended.
    """

    plan: RegionPlan
    run: Run

    def __init__(self, agenda: Agenda, timers: InstantTimers, sources: list[GridSync]) -> None:
        self.agenda = agenda
        self.timers = timers
        self.sources = sources
        self.key: tuple[Any, Any] = (sources[0].key[0], self)
        self.made = INFINITY  # as of syncs: one at the same place in the order was made before
        self.queued = self.armed = self.closed = self.settled = False
        self.index = -1
        self.period = self.width = self.half = self.next = self.limit = 0
        self.shape = ""
        self.entry: tuple[Any, ...] = ()
        self.stepping: Any = None

    # A sync of the same place has its turn first: a source takes tokens that arrive before its instant.
    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True

    def ready_to_run(self) -> bool:
        """True if it has its functions, or could make them now: tokens from before may be in the way."""
        raise NotImplementedError

    def steps(self, instant: int) -> Iterator[Any]:
        """Run an instant in turns: gives the place in the order of each further SQ before it runs."""
        raise NotImplementedError

    def flush(self) -> None:
        """Bring the syncs and executes up to date."""
        raise NotImplementedError

    def tells(self, instant: Tick, _: Tick | None = None) -> tuple[Tick, Tick]:
        """A firing is about to tell a listener something; gives the interval of the instant."""
        timers = self.timers
        if timers.planned is not None:
            timers.bring_up(instant, self.index)  # type: ignore[arg-type]
        self.next = self.agenda.now = instant  # type: ignore[assignment]  # an instant is an int
        timers.told = True
        timers.running = self
        start = instant - self.half
        return start, start + self.width

    def begin(self, instant: int) -> None:
        """Run an instant in turns of the agenda; it is in the timers no more."""
        self.stepping = ()
        if self.ready_to_run():
            heappush(self.agenda.ready, self.key)
        else:
            self.dissolve()

    def step(self, now: int) -> None:
        """One SQ's turn."""
        if self.stepping is None or self.closed:
            return
        if self.stepping == ():
            self.stepping = self.steps(now)
        running.current = IN_REGION
        try:
            order = next(self.stepping, None)
        except ContextClosed:
            order = None
        finally:
            running.current = None
            self.timers.told = False
            self.timers.running = None
        if order is not None:
            heappush(self.agenda.ready, (order, self))
            return
        self.stepping = None
        self.after(now + self.period)

    def after(self, instant: int) -> None:
        """All instants before `instant` are done; the region is not in the timers."""
        self.next = instant
        if self.armed and instant < self.limit:
            self.timers.add(self, instant)
            return
        self.flush()
        if self.armed:
            self.armed = False
            self.timers.remove(self)
            for source in self.sources:
                source.instant = None

    def dissolve(self) -> None:
        """Give the instants back to the sources; one that is being run is run to its end."""
        if not self.armed:
            return
        self.flush()
        self.armed = False
        due = self.stepping == ()  # at this tick, but had no turn yet
        begun = self.timers.running is self or (self.stepping is not None and not due)
        if not begun:
            self.stepping = None
        self.timers.remove(self)
        instant = self.next + self.period if begun else self.next
        for source in self.sources:
            source.instant = instant if instant < self.limit else None
            if begun:
                source.considered = self.next
            if due:
                self.agenda.make_ready(source)
            elif source.instant is not None:
                self.agenda.at(instant, source)

    def close(self) -> None:
        """End it at once."""
        self.flush()
        self.armed, self.closed = False, True
        self.timers.remove(self)


class InstantTimers:
    """The instants of an agenda's regions (`OtherInstants`).

    Attributes:
        idle: no region is due at any time.
        held: no region takes its instants now.
        planned: the regions that are run from a sorted list at present.
        told: a firing has told a listener something.
        running: the region that did.
        steps: by the text of a region's `run`, that of its `steps`.
    """

    __slots__ = (
        "_agenda",
        "_changes",
        "_free",
        "_heap",
        "_regions",
        "_restless",
        "_settled",
        "held",
        "idle",
        "planned",
        "running",
        "steps",
        "told",
    )

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._heap = [NEVER << _BITS] * 3  # so that the three at the top are always there
        self._regions: list[tuple[Run, int, int, TimedRegion]] = []
        self._free: list[int] = []
        self._changes = 0  # of the timers, other than by running on
        self.planned: list[TimedRegion] | None = None
        self._settled = 0  # regions here whose instants run as a whole
        self._restless = 0  # how often to wait before planning again
        self.idle = True
        self.held = False
        self.told = False
        self.running: TimedRegion | None = None
        self.steps: dict[str, str] = {}

    def hold(self, held: bool) -> None:
        """Give all instants back to their sources, and take no more; or take them again."""
        self.held = held
        for region in self._live() if held and not self.idle else ():
            region.dissolve()

    def next_tick(self) -> int:
        """The next instant of any region; `NEVER`: there is none."""
        return self._heap[0] >> _BITS

    def add(self, region: TimedRegion, instant: int) -> None:
        """Let `region` be due at `instant`."""
        if region.index < 0:
            entry = (region.run, region.period << _BITS, region.limit, region)
            if self._free:
                region.index = self._free.pop()
                self._regions[region.index] = entry
            else:
                region.index = len(self._regions)
                self._regions.append(entry)
        self._changes += 1
        self.idle = False
        heappush(self._heap, instant << _BITS | region.index)

    def changed(self, region: TimedRegion) -> None:
        """`region` has its function now."""
        self._settled += 1
        self.told |= self._settled >= MANY  # perhaps it pays to plan now
        self._regions[region.index] = (region.run, region.period << _BITS, region.limit, region)

    def remove(self, region: TimedRegion) -> None:
        """Let `region` be due no more."""
        if region.index >= 0:
            self.unset(region)
            self._settled -= region.settled
            self._free.append(region.index)
            region.index = -1
            self.idle = len(self._free) == len(self._regions)

    def unset(self, region: TimedRegion) -> None:
        """Let `region` not be due for now."""
        self._changes += 1
        kept = [entry for entry in self._heap if entry & _MASK != region.index or entry >> _BITS == NEVER]
        if len(kept) < len(self._heap):
            self._heap[:] = kept
            heapify(self._heap)

    def begin(self, tick: int) -> None:
        """Make ready the regions that are due at `tick`, for turns between those of others."""
        heap = self._heap
        while heap[0] >> _BITS == tick:
            self._regions[heappop(heap) & _MASK][3].begin(tick)

    def run_before(self, stop: float) -> None:
        """Run the regions' instants before `stop`, up to one after which others may have something to do.

        Nothing else is due before `stop`.
        """
        heap, regions = self._heap, self._regions
        # An int, as ints are compared with ints faster, and one that is the end of a fast range.
        last = min(ceil(stop) if stop < NEVER else NEVER, (heap[0] >> _BITS) + FAR)
        end = last << _BITS
        tick = self._agenda.now
        changes = self._changes
        running.current = IN_REGION
        try:
            if MANY <= self._settled == len(regions) - len(self._free) and not self._restless:
                self._run_planned(stop)
                changes = self._changes
            for _ in range(0 if self.told else AT_ONCE):
                entry = heap[0]
                if entry >= end:
                    break
                tick = entry >> _BITS
                run, step, limit, region = regions[entry & _MASK]
                again = entry + step
                heapreplace(heap, again)
                first = heap[0]
                if first <= entry | _MASK:
                    together = [region]
                    while heap[0] <= entry | _MASK:
                        other = heap[0]
                        _, step, _, region = regions[other & _MASK]
                        heapreplace(heap, other + step)
                        together.append(region)
                    self._run_together(tick, together)
                    if self.told:
                        break
                    continue
                if first is again:
                    # It is the next one due once more: then it may run on up to the first of the others.
                    second, third = heap[1], heap[2]
                    other = (second if second < third else third) >> _BITS
                    until = other if other < limit else limit
                    instant = run(range(tick, until if until < last else last, region.period))
                    tick = max(tick, instant - region.period)
                    if self._changes == changes and instant < limit:
                        heapreplace(heap, instant << _BITS | entry & _MASK)
                else:
                    instant = run((tick,))
                    if not self.told and instant < limit:
                        continue
                if self._changes != changes or instant >= limit:
                    self._set(region, instant)
                    changes = self._changes
                if self.told:
                    break
            self._restless -= self._restless > 0 and not self.told
        except ContextClosed:
            pass
        finally:
            running.current = None
            self.told = False
            self.running = None
            self._agenda.now = max(self._agenda.now, tick)

    def _set(self, region: TimedRegion, instant: int) -> None:
        """All before `instant` is done; the timer of `region` may be from before."""
        if region.stepping is not None:
            return
        if region.index >= 0:
            entry = instant << _BITS | region.index
            if region.armed and instant < region.limit and (self._heap[0] == entry or entry in self._heap):
                region.next = instant
                return
            self.unset(region)
        region.after(instant)

    def _run_together(self, tick: int, due: list[TimedRegion]) -> None:
        """Run the regions that are due at `tick` step by step; their timers are at their next instants already."""
        self._agenda.now = tick
        changes = self._changes
        turns = []
        for region in due:
            if not region.settled:
                self.told = True
                for other in due:
                    self.unset(other)
                    other.begin(tick)
                return
            region.next, region.stepping = tick, ()
            turns.append((region.key[0], region.steps(tick), region))
        heapify(turns)
        while turns and not self.told:
            _, steps, region = turns[0]
            region.stepping = steps
            try:
                order = next(steps, None)
            except ContextClosed:
                order = None
            if order is not None:
                heapreplace(turns, (order, steps, region))
                continue
            heappop(turns)
            region.stepping = None
            region.next = tick + region.period
            if self._changes != changes or region.next >= region.limit:
                self._set(region, region.next)
        for order, _, region in turns:
            # SQs outside may have turns in between.
            if region.stepping is not None:  # else a listener has given the instant back to the sources
                self.unset(region)
                heappush(self._agenda.ready, (order, region))

    # Instants that are planned.

    def _run_planned(self, stop: float) -> None:
        """Run many regions of one shape before `stop`: sorting the instants of a stretch of time beats a heap."""
        bits = len(self._regions).bit_length()
        mask = (1 << bits) - 1
        live = self._live()
        rate = sum(1 / region.period for region in live)
        # Ints below 2 ** 30 are compared fastest.
        stretch = min(1 << (30 - bits), int(PLANNED * len(live) / rate))
        if stretch * rate < len(live) or any(region.shape != live[0].shape for region in live):
            self._restless = CALM
            return
        ahead = function_of(ahead_code(live[0].plan).text, ALWAYS, own=False)
        ready = self._agenda.ready
        # While no listener is told anything, these stay as they are.
        rows = [(region, region.index, region.period << bits, region.limit) for region in live if region.armed]
        table: list[Any] = [None] * len(self._regions)
        regions = table.copy()
        alike: dict[Any, Any] = {}
        for region, index, _, _ in rows:
            # Regions that may share an entry do: then `ahead` always meets the same objects.
            same = [alike.setdefault(_purpose(each), each) for each in region.entry]
            table[index], regions[index] = alike.setdefault(tuple(map(id, same)), tuple(same)), region
        try:
            while not self.told:
                begin = min([region.next for region, _, _, limit in rows if region.next < limit], default=NEVER)
                if stop - begin < stretch / 4:
                    return
                end = int(min(begin + stretch, stop))
                entries: list[int] = []
                for region, index, step, limit in rows:
                    last = end if end < limit else limit
                    entries += range(region.next - begin << bits | index, last - begin << bits, step)
                entries.sort()
                entries.append(stretch + 1 << bits)  # after all others
                self.planned = [region for region, _, _, _ in rows]
                coming = iter(entries)
                entry = next(coming)
                while True:
                    entry, second = ahead(coming, entry, table, regions, mask, bits, begin, self, ready)
                    if second is None:
                        break
                    together = [entry]
                    while second >> bits == entry >> bits:
                        together.append(second)
                        second = next(coming)
                    self._run_together(begin + (entry >> bits), [regions[each & mask] for each in together])
                    if self.told:
                        entry = together[-1]
                        break
                    entry = second
                if self.told:
                    self.bring_up(begin + (entry >> bits), entry & mask)
                else:
                    self.bring_up(end, -1)  # the instants at `end` are not done
                self.planned = None
            self._restless = CALM
        finally:
            self.planned = None
            self._set_all()

    def bring_up(self, tick: int, index: int) -> None:
        """The planned regions have run up to `tick`, those up to `index` at it, too: let them know."""
        assert self.planned is not None
        for region in self.planned:
            due = tick + 1 if region.index <= index else tick
            steps = -((region.next - min(due, region.limit)) // region.period)
            if steps > 0 and region.armed and region.stepping is None:
                region.next += steps * region.period

    def _live(self) -> list[TimedRegion]:
        return [entry[3] for index, entry in enumerate(self._regions) if entry[3].index == index]

    def _set_all(self) -> None:
        """Set the timers as the regions are."""
        self._heap[:] = [NEVER << _BITS] * 3
        self._changes += 1
        for region in self._live():
            if region.armed and region.stepping is None:
                if region.next < region.limit:
                    self._heap.append(region.next << _BITS | region.index)
                else:
                    region.after(region.next)
        heapify(self._heap)


def _purpose(value: Any) -> int:
    """The same number for functions that may stand in for each other.

    Those are functions that use nothing but their arguments, made of one code for several instances. A call that
    always meets the same object is faster.
    """
    if isinstance(value, FunctionType) and not (value.__closure__ or value.__defaults__ or value.__kwdefaults__):
        code = value.__code__
        if not code.co_names and not any(isinstance(constant, CodeType) for constant in code.co_consts):
            return id(code)
    return id(value)
