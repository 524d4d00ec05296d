"""A region at run time: the parts of its SQs that its generated code calls, and its instants in the agenda.

The state stays with the syncs, executes and forwards of the region's SQs, as the general engine has it. While a
region is *armed*, its instants are here, and what its syncs would know is brought to them when somebody asks
(`flush`): how far the sources are, the starts of the latest firings. Tokens that find no partner wait on the ports
of their sync at once. `dissolve` gives the instants back to the sources; the general engine goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush, heapreplace
from math import ceil
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from ticktalk.accelerate.generated import ahead_code, ahead_names, rest_code, rest_inputs, run_code, steps_code
from ticktalk.accelerate.regions import RegionNode, RegionPlan
from ticktalk.accelerate.sends import within
from ticktalk.accelerate.which_runs import IN_REGION
from ticktalk.engine.bodies import NOTHING
from ticktalk.engine.codec import PLAIN, handed_on
from ticktalk.engine.components import Running, running
from ticktalk.engine.execution import GENERATED, TTSQExecute
from ticktalk.engine.firing import ArrivalSync, GridSync, SinglePortSync, TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.graph.constants import decode_constant
from ticktalk.time import INFINITY, NEG_INFINITY, Tick, TTEmpty

if TYPE_CHECKING:
    from ticktalk.engine.agenda import Agenda

GONE = object()
"""What the generated code has where an SQ had nothing to say at an instant."""

ALWAYS: dict[str, Any] = {"gone": GONE, "nothing": NOTHING, "empty": TTEmpty, "plain": PLAIN}
ALWAYS |= {"type": type, "int": int, "float": float}
"""What the generated code calls by these names."""

INSTANTS_BEFORE = 4
"""Instants that run on the general engine before a region's code is made: graphs that hardly run need none."""

MANY = 4
"""Regions from which on it pays to sort their instants beforehand."""

PLANNED = 20  # instants of each, on average: few enough to stay in a cache while they are sorted and run
AT_ONCE = 4096  # instants of regions in a row, after which is looked whether to plan
CALM = 8  # how often in a row those ran undisturbed before it is planned again

FAR = 1 << 40  # ticks that a region runs on for: a range of what fits a machine word is the fastest

NEVER = 1 << 126  # a tick after all others, as an int: comparing ints is what the innermost loop does
_BITS = 24
_MASK = (1 << _BITS) - 1


Run = Callable[[Sequence[int]], int]
"""Runs instants of a region, one or a range; gives the next one."""


class RegionEnded(Exception):
    """The context was closed by somebody whom a firing of the region told something."""


_WRITTEN = {"run": run_code, "steps": steps_code, "ahead": ahead_code}


@lru_cache(64)
def _compiled(text: str) -> CodeType:
    """The code of the function in `text`; many regions are of one shape."""
    module = compile(text, GENERATED, "exec", dont_inherit=True)
    return next(code for code in module.co_consts if isinstance(code, CodeType))


def function_of(text: str, names: dict[str, Any], first: str = "period", own: bool = True) -> FunctionType:
    """The function in `text`, whose last parameters get the names that are known when the region starts.

    `first` is the first of them; `own`: what Python learns of a function's callees is kept in its code, so a region
    has its own of what runs often.
    """
    code = _compiled(text).replace() if own else _compiled(text)
    parameters = code.co_varnames[: code.co_argcount]
    known = parameters[parameters.index(first) :]
    return FunctionType(code, names, code.co_name, tuple([names[name] for name in known]))


def _what_it_does(value: Any) -> int:
    """The same for functions that may stand in for each other: one that names nothing is no other in each instance."""
    if isinstance(value, FunctionType) and not (value.__closure__ or value.__defaults__ or value.__kwdefaults__):
        code = value.__code__
        if not code.co_names and not any(isinstance(constant, CodeType) for constant in code.co_consts):
            return id(code)
    return id(value)


class Part:
    """One SQ of a region: what the generated code calls when more is to be done than to run a body."""

    __slots__ = ("execute", "node", "partial", "send", "silent", "sync")

    def __init__(self, node: RegionNode, sync: TTSQSync, execute: TTSQExecute, forward: TTSQForward) -> None:
        self.node = node
        self.sync = sync
        self.execute = execute
        self.send = within(forward, {(to.sq, to.port): index for index, to in enumerate(node.inner)})
        self.silent = [0] * len(node.inner)  # by wire: firings whose result did not go there
        self.partial: list[Any] | None = None  # where a result has gone before sending it on failed

    def hand(self, value: Any, *when: Tick) -> Any:
        """What each wire gets of a value that is not known to be unchangeable."""
        if value.__class__ is TTEmpty:
            wires = [GONE] * len(self.silent)
        elif value.__class__ in PLAIN:
            wires = [value] * len(self.silent)
        else:
            wires = [GONE] * len(self.silent)
            running.current = None
            try:
                for index in range(len(wires)):
                    wires[index] = handed_on(value)
            except BaseException:
                self.partial = wires
                raise
            running.current = IN_REGION
        return self.on(wires)

    def on(self, wires: list[Any]) -> Any:
        """Values for the wires, as the generated code takes them."""
        silent = self.silent
        for index, value in enumerate(wires):
            if value is GONE:
                silent[index] += 1
        return wires[0] if len(wires) == 1 else wires


class RegionPart(Part):
    """One SQ of a region that begins at sources."""

    __slots__ = ("absences", "before_absence", "last_absence", "region")

    def __init__(
        self, region: StreamRegion, node: RegionNode, sync: TTSQSync, execute: TTSQExecute, forward: TTSQForward
    ) -> None:
        super().__init__(node, sync, execute, forward)
        self.region = region
        self.absences = 0  # instants without a firing
        self.last_absence: Tick = NEG_INFINITY
        self.before_absence: Tick = NEG_INFINITY  # the latest instant with a firing before that

    def edge(self, value: Any, instant: int) -> Any:
        """Send a result along all arcs; what each wire gets of it."""
        region = self.region
        wires = [GONE] * len(self.silent)
        running.current = None
        if value.__class__ is not TTEmpty:  # nor what says so of itself
            region.goes_out(instant)
            start = instant - region.half
            try:
                self.send(value, start, start + region.width, wires)
            except BaseException:
                self.partial = wires
                raise
            if region.closed:
                raise RegionEnded
        running.current = IN_REGION
        return self.on(wires)

    def ended(self, error: BaseException, instant: int) -> Any:
        """Report a firing that raised; what each wire has got of it nevertheless."""
        region = self.region
        if error.__class__ is RegionEnded:
            raise error
        region.goes_out(instant)
        wires, self.partial = self.partial or [GONE] * len(self.silent), None
        start = instant - region.half
        self.execute.failed(error, start, start + region.width)
        if region.closed:
            raise RegionEnded
        running.current = IN_REGION
        return self.on(wires)

    def absent(self, instant: int, *values: Any) -> None:
        """Not all inputs are there at this instant: those that are wait, as they do wherever they come from."""
        region = self.region
        if instant - region.period != self.last_absence:
            self.before_absence = instant - region.period
        self.last_absence = instant
        self.absences += 1
        arrived = [(port, value) for port, value in zip(self.node.wires, values, strict=True) if value is not GONE]
        if arrived:
            start = instant - region.half
            for port, value in arrived:
                self.sync.inbox.append((port, start, start + region.width, value))
            self.sync.step(instant)

    def fired_last(self, latest: int) -> Tick:
        """The latest instant of the region at which it fired, `latest` being the latest of all."""
        instant = self.before_absence if self.last_absence == latest else latest
        return instant if instant >= self.region.begun else NEG_INFINITY


class StreamRegion:
    """A region of one context, from its sources on.

    Attributes:
        armed: its instants are in `RegionTimers`, not with its sources.
        next: the next instant; all before it are done.
        limit: no instant is due from this tick on.
        run: the generated function, once the region was first due.
        key: its turn when it runs step by step.
        last: the place in the order of its last SQ.
    """

    def __init__(
        self,
        plan: RegionPlan,
        syncs: dict[str, TTSQSync],
        executes: dict[str, TTSQExecute],
        forwards: dict[str, TTSQForward],
        agenda: Agenda,
        timers: RegionTimers,
    ) -> None:
        self.plan = plan
        self.agenda = agenda
        self.timers = timers
        self.parts = [
            RegionPart(self, node, syncs[node.sq.name], executes[node.sq.name], forwards[node.sq.name])
            for node in plan.nodes
        ]
        self.sources = [part.sync for part in self.parts[: plan.sources] if isinstance(part.sync, GridSync)]
        self.whole = plan.whole
        self.armed = self.closed = False
        self.index = -1  # among the agenda's regions, while it is armed
        self.waits = INSTANTS_BEFORE
        self.waits_again = 0  # after something of before was in the way
        self.period = self.width = self.half = 0
        self.begun = self.next = self.counted = 0
        self.limit = 0
        self.run: Run = self._run_first
        self.bound = False  # what its code calls is known
        self.settled = False  # it has its `run`
        self.shape = ""  # the text of its function
        self.entry: tuple[Any, ...] = ()  # of the table for `ahead`
        self.queued = False
        self.made = INFINITY  # a sync of the same place was made before, and goes first
        self.key: tuple[Any, Any] = (self.parts[0].sync.key[0], self)
        self.last = self.parts[-1].sync.key[0]
        self._lines: dict[str, list[int]] = {}
        self._names: dict[str, Any] = {}  # what those of the generated code mean
        self._steps: Callable[[int], Any] | None = None
        self._stepping: Any = None  # the generator of the instant that is run step by step
        for source in self.sources:
            source.taker = self

    # A sync of the same place has its turn first: a source takes what arrives before its instant.
    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True

    def source_stepped(self, source: GridSync) -> None:
        """A source had its turn on the general engine: when all had, the region may take over."""
        if source is self.sources[-1] and not self.armed:
            if self.waits:
                self.waits -= 1
            else:
                self.arm()

    def arm(self) -> bool:
        """Take the instants over from the sources, if they agree on them; whether it did."""
        first = self.sources[0]
        instant = first.instant
        if self.closed or self.armed or instant is None or first.width > first.period:
            return False
        grid = (instant, first.end, first.period, first.phase, first.width)
        for source in self.sources:
            mine = (source.instant, source.end, source.period, source.phase, source.width)
            if mine != grid or source.inbox or source.remote:
                return False
        for source in self.sources:
            self.agenda.cancel(instant, source)
        self.period, self.width, self.half = first.period, first.width, first.width // 2
        self.begun = self.next = self.counted = instant
        self.limit = NEVER if first.end == INFINITY else int(first.end) + 1
        for part in self.parts:
            part.last_absence = part.before_absence = NEG_INFINITY
        self.run, self._steps, self.settled, self.bound = self._run_first, None, False, False
        self.armed = True
        self.timers.add(self, instant)
        return True

    def bind(self) -> bool:
        """At the first instant: make the functions, unless something of before is in the way; whether it did."""
        start = self.next - self.half
        names = {**ALWAYS, "region": self, "period": self.period, "ready": self.agenda.ready}
        for index, part in enumerate(self.parts):
            sync = part.sync
            settled: dict[int, Any] = {}
            if isinstance(sync, GridSync):
                settled = dict(zip(sync.arc_ports, sync.values, strict=True))
            elif sync.inbox or sync.remote:
                return False
            elif isinstance(sync, ArrivalSync):
                if any(token[2] > start for port in sync.ports for token in port.tokens):
                    return False
                for slot, token in sync.sticky.items():
                    if token is None or token[0] != NEG_INFINITY or token[2] != INFINITY:
                        return False
                    settled[sync.arc_ports[slot]] = token[3]
            if isinstance(sync, (ArrivalSync, SinglePortSync)) and sync.forward and sync.last_start > start:
                return False
            for port, kind in enumerate(part.node.sq.ports):
                if kind.constant is not None:
                    settled[port] = decode_constant(kind.constant[0])
            names |= {f"a{index}_{port}": value for port, value in settled.items()}
            names |= {f"o{index}": sync.key[0], f"f{index}": part.execute.body, f"arrange{index}": part.execute.arrange}
            names |= {f"hand{index}": part.hand, f"edge{index}": part.edge}
            names |= {f"ended{index}": part.ended, f"absent{index}": part.absent}
        self.shape, lines = run_code(self.plan)
        self._lines = {"run": lines}
        self._names = names
        self.entry = tuple([names[name] for name in ahead_names(self.plan)])
        self.bound = True
        if self.whole:
            self.run, self.settled = function_of(self.shape, names), True
            self.timers.changed(self)
        return True

    def _run_first(self, instants: Sequence[int]) -> int:
        """Stands in for `run` until there is one, and where an instant always has to run step by step."""
        if not self.bound and self.whole and self.bind():
            return self.run(instants)
        instant = instants[0]
        self.agenda.now = instant
        self.timers.left = True
        self.timers.unset(self)
        self.begin(instant)
        return instant

    def at_line(self, function: str, line: int) -> Running:
        """The SQ whose firing is at a line of the generated code."""
        lines = self._lines.get(function)
        if lines is None:
            lines = self._lines[function] = _WRITTEN[function](self.plan).lines
        return self.parts[lines[line]].execute

    def steps(self, instant: int) -> Any:
        """The generator of one instant."""
        if self._steps is None:
            texts = self.timers.steps
            if self.shape not in texts:
                texts[self.shape] = steps_code(self.plan).text
            self._steps = function_of(texts[self.shape], self._names, own=False)
        return self._steps(instant)

    def goes_out(self, instant: int) -> None:
        """Somebody outside is going to be told something at `instant`."""
        self.timers.catch_up(self, instant)
        self.next = instant
        self.agenda.now = instant
        self.timers.left = True
        self.timers.running = self

    def leave(self, index: int, found: dict[str, Any], instant: int) -> None:
        """Let what comes after the SQ at `index` go on in turns; `found`: what the function has."""
        text, lines = rest_code(self.plan, index)
        rest = function_of(text, self._names)
        self._lines[rest.__name__] = lines
        steps = rest(instant, *[found[name] for name in rest_inputs(self.plan, index)])
        order = next(steps, None)
        self.timers.unset(self)
        self.go_on(self.last if order is None else order, steps)

    @property
    def stepping(self) -> bool:
        """Whether an instant is being run in turns, or is to be."""
        return self._stepping is not None

    def go_on(self, order: Any, steps: Any) -> None:
        """Let an instant whose next SQ is that at `order` go on in turns."""
        self._stepping = () if order == self.key[0] else steps
        heappush(self.agenda.ready, (order, self))

    def begin(self, instant: int) -> None:
        """Run an instant step by step, in turns; it is in the timers no more."""
        if not self.bound and not self.bind():
            self.waits = self.waits_again = self.waits_again * 2 + 1
            self._stepping = ()
            self.dissolve()
            return
        self._stepping = ()
        heappush(self.agenda.ready, self.key)

    def step(self, now: int) -> None:
        """One SQ's turn."""
        if self._stepping is None or self.closed:
            return
        if self._stepping == ():
            self._stepping = self.steps(now)
        running.current = IN_REGION
        try:
            order = next(self._stepping, None)
        except RegionEnded:
            order = None
        finally:
            running.current = None
            self.timers.left = False
            self.timers.running = None
        if order is not None:
            heappush(self.agenda.ready, (order, self))
            return
        self._stepping = None
        self.after(now + self.period)

    def after(self, instant: int) -> None:
        """All instants before `instant` are done; the region is not in the timers."""
        self.next = instant
        if not self.armed:
            self.flush()
        elif instant < self.limit:
            self.timers.add(self, instant)
        else:
            self.flush()
            self.armed = False
            self.timers.remove(self)
            for source in self.sources:
                source.instant = None

    def flush(self) -> None:
        """Bring to the syncs and executes what they would know by now."""
        instants = (self.next - self.counted) // self.period if self.period else 0
        if not instants:
            return
        self.counted = self.next
        latest = self.next - self.period
        fired: list[int] = []
        for part in self.parts:
            sync, wires = part.sync, list(part.node.wires.values())
            if isinstance(sync, GridSync):
                sync.considered = latest
                times = instants
            elif len(wires) == 1:
                wire = wires[0]
                times = fired[wire.node] - self.parts[wire.node].silent[wire.way]
            else:
                times = instants - part.absences
            fired.append(times)
            part.execute.fired += times
            if not isinstance(sync, (ArrivalSync, SinglePortSync)):
                continue
            start = part.fired_last(latest) - self.half
            if sync.forward:
                sync.last_start = max(sync.last_start, start)
            if isinstance(sync, ArrivalSync):
                sync.reach(start)
        for part in self.parts:
            part.absences = 0
            part.silent = [0] * len(part.silent)

    def dissolve(self) -> None:
        """Give the instants back to the sources; one that is being run is run to its end."""
        if not self.armed:
            return
        self.flush()
        self.armed = False
        due = self._stepping == ()  # at this tick, but had no turn yet
        begun = self.timers.running is self or (self._stepping is not None and not due)
        if not begun:
            self._stepping = None
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

    def retire(self) -> None:
        """Dissolve for good: its SQs are looked at anew."""
        self.dissolve()
        for source in self.sources:
            source.taker = None

    def close(self) -> None:
        """End it at once."""
        self.flush()
        self.armed, self.closed = False, True
        self.timers.remove(self)


class RegionTimers:
    """The next instants of an agenda's regions: ints of the tick and the region's place, so that a heap is fast.

    Attributes:
        idle: no region is due at any time.
        left: a region has told something to somebody outside, who may have done anything.
        running: the region that did.
        steps: by the text of a region's function, that of its generator.
    """

    __slots__ = (
        "_agenda",
        "_changes",
        "_free",
        "_heap",
        "_planned",
        "_regions",
        "_restless",
        "_settled",
        "idle",
        "left",
        "running",
        "steps",
    )

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._heap = [NEVER << _BITS] * 3  # so that the three at the top are always there
        self._regions: list[tuple[Run, int, int, StreamRegion]] = []
        self._free: list[int] = []
        self._changes = 0  # of what is due, other than by running on
        self._planned: list[StreamRegion] | None = None  # whose instants are run from a sorted list
        self._settled = 0  # regions here whose instants run as a whole
        self._restless = 0  # how often to wait before planning ahead again
        self.idle = True
        self.left = False
        self.running: StreamRegion | None = None
        self.steps: dict[str, str] = {}

    def next_tick(self) -> int:
        """The next instant of any region; `NEVER`: there is none."""
        return self._heap[0] >> _BITS

    def add(self, region: StreamRegion, instant: int) -> None:
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

    def changed(self, region: StreamRegion) -> None:
        """`region` has its `run` now."""
        self._settled += 1
        self.left |= self._settled >= MANY  # perhaps it pays to plan now
        self._regions[region.index] = (region.run, region.period << _BITS, region.limit, region)

    def remove(self, region: StreamRegion) -> None:
        """Let `region` be due no more."""
        if region.index >= 0:
            self.unset(region)
            self._settled -= region.settled
            self._free.append(region.index)
            region.index = -1
            self.idle = len(self._free) == len(self._regions)

    def unset(self, region: StreamRegion) -> None:
        """Let `region` not be due for now."""
        self._changes += 1
        kept = [entry for entry in self._heap if entry & _MASK != region.index or entry >> _BITS == NEVER]
        if len(kept) < len(self._heap):
            self._heap[:] = kept
            heapify(self._heap)

    def begin(self, tick: int) -> None:
        """Make ready what is due at `tick`, for its turns between those of others."""
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
            for _ in range(0 if self.left else AT_ONCE):
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
                    if self.left:
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
                    if not self.left and instant < limit:
                        continue
                if self._changes != changes or instant >= limit:
                    self._set(region, instant)
                    changes = self._changes
                if self.left:
                    break
            self._restless -= self._restless > 0 and not self.left
        except RegionEnded:
            pass
        finally:
            running.current = None
            self.left = False
            self.running = None
            self._agenda.now = max(self._agenda.now, tick)

    def _set(self, region: StreamRegion, instant: int) -> None:
        """All before `instant` is done; what is known here of `region` may be of before."""
        if region.stepping:
            return
        if region.index >= 0:
            entry = instant << _BITS | region.index
            if region.armed and instant < region.limit and (self._heap[0] == entry or entry in self._heap):
                region.next = instant
                return
            self.unset(region)
        region.after(instant)

    def _run_planned(self, stop: float) -> None:
        """Run many regions of one shape before `stop`: sorting the instants of a stretch of time beats a heap."""
        bits = len(self._regions).bit_length()
        mask = (1 << bits) - 1
        live = [entry[3] for index, entry in enumerate(self._regions) if entry[3].index == index]
        rate = sum(1 / region.period for region in live)
        # Ints below 2 ** 30 are compared fastest.
        stretch = min(1 << (30 - bits), int(PLANNED * len(live) / rate))
        if stretch * rate < len(live) or any(region.shape != live[0].shape for region in live):
            self._restless = CALM
            return
        ahead = function_of(ahead_code(live[0].plan).text, ALWAYS, "gone", own=False)
        ready = self._agenda.ready
        # While nobody outside is told anything, these stay as they are.
        rows = [(region, region.index, region.period << bits, region.limit) for region in live if region.armed]
        table: list[Any] = [None] * len(self._regions)
        regions = table.copy()
        alike: dict[Any, Any] = {}
        for region, index, _, _ in rows:
            same = [alike.setdefault(_what_it_does(each), each) for each in region.entry]
            table[index], regions[index] = alike.setdefault(tuple(map(id, same)), tuple(same)), region
        try:
            while not self.left:
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
                self._planned = [region for region, _, _, _ in rows]
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
                    if self.left:
                        entry = together[-1]
                        break
                    entry = second
                if self.left:
                    self._bring_up(begin + (entry >> bits), entry & mask)
                else:
                    self._bring_up(end, -1)  # what is due then is not done
                self._planned = None
            self._restless = CALM
        finally:
            self._planned = None
            self._set_all()

    def catch_up(self, region: StreamRegion, instant: int) -> None:
        """`region` is at `instant`: let all know where they are."""
        if self._planned is not None:
            self._bring_up(instant, region.index)

    def _bring_up(self, tick: int, index: int) -> None:
        """What was planned has run up to and with `tick` at the regions up to `index`."""
        assert self._planned is not None
        for region in self._planned:
            due = tick + 1 if region.index <= index else tick
            steps = -((region.next - min(due, region.limit)) // region.period)
            if steps > 0 and not region.stepping:
                region.next += steps * region.period

    def _set_all(self) -> None:
        """Set the timers as the regions are."""
        due = [entry[3] for index, entry in enumerate(self._regions) if entry[3].index == index and entry[3].armed]
        self._heap[:] = [NEVER << _BITS] * 3
        self._changes += 1
        for region in due:
            if not region.stepping:
                if region.next < region.limit:
                    self._heap.append(region.next << _BITS | region.index)
                else:
                    region.after(region.next)
        heapify(self._heap)

    def _run_together(self, tick: int, due: list[StreamRegion]) -> None:
        """Run the regions that are due at `tick`, which are set to their next instants already."""
        self._agenda.now = tick
        changes = self._changes
        turns: list[tuple[Any, Any, StreamRegion]] = []
        for region in due:
            if not region.settled:
                self.left = True
                turns = []
                break
            turns.append((region.key[0], region.steps(tick), region))
        if not turns:
            for region in due:
                self.unset(region)
                region.begin(tick)
            return
        heapify(turns)
        while turns and not self.left:
            _, steps, region = turns[0]
            try:
                order = next(steps, None)
            except RegionEnded:
                order = None
            if order is not None:
                heapreplace(turns, (order, steps, region))
            else:
                heappop(turns)
                region.next = tick + region.period
                if self._changes != changes or region.next >= region.limit:
                    self._set(region, region.next)
        for order, steps, region in turns:
            # Somebody outside may have something to do in between.
            self.unset(region)
            region.go_on(order, steps)
