"""The simulated cores of an ensemble, on which bodies take their time.

A firing of an SQ that costs time waits until its instance is idle and a core of the ensemble is free. Firings wait in
the order of their decisions. A run takes the time on the reference divided by the ensemble's speed. Its
body is called when it starts, and its result is sent when it ends, before anything else of that tick. A body without
cost runs at once, without a core. As on a device, plan Bs and SQs with `TTPersistent=True` have a worker of their
own and wait for no core.

A run that takes longer than its SQ's `TTTimeout` ends then, by the error that a device reports. As there, it ends with
its worker: the firings of the worker's other SQs that run or wait are lost. Their states stay as they are.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from fractions import Fraction
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.components import running
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.engine.forwarding import unpacked
from ticktalk.engine.lateness import lateness
from ticktalk.engine.tap import outcome_of
from ticktalk.hosted.assignment import Assignment
from ticktalk.hosted.watchdog import overran
from ticktalk.manager.driver import Usage
from ticktalk.payloads import FiringError
from ticktalk.simulation.clocks import ClockedAgenda
from ticktalk.simulation.resource_use import Use, UseNotes
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import Parts, handed_on, plain


class _Firing(NamedTuple):
    """A firing that was decided at tick `decided`; `following`: a stream's next instant."""

    number: int
    start: Tick
    stop: Tick
    values: tuple[Any, ...]
    decided: int
    following: Tick | None


class _Instance:
    """The stage "cores" of one SQ: its body, the firings that wait for it, the results of the one under way."""

    def __init__(
        self, cores: Cores, context: ContextParts, elsewhere: Elsewhere, time: int, number: int, life: int
    ) -> None:
        self._cores = cores
        sq = elsewhere.sq
        sync = context.syncs[sq.name]
        self.context = context
        self.elsewhere = elsewhere
        self.body: Fire
        self.time = time
        self.number = number
        self.life = life
        self.grid = sync if isinstance(sync, GridSync) else None
        self.own = sq.persistent or sq.trigger == "plan_b"
        self.waits: deque[_Firing] = deque()
        self.runs = 0  # the number of the firing under way; 0: none
        self.begun: tuple[Tick, Tick, int] = (0, 0, 0)  # of the run under way: its interval, when it began
        self.ends = 0  # when the run under way ends
        self.results: list[FiringError | tuple[Any, Tick, Tick]] = []

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Let a firing wait for a core."""
        self._cores.take(self, start, stop, values, now)

    def report(self, error: FiringError) -> None:
        """Keep an error until the run ends."""
        self.results.append(error)

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """Keep a result until the run ends, as it is now: later changes do not count."""
        self.keep(self.kept(value), start, stop)

    def kept(self, value: Any) -> Parts:
        """A copy of what is wanted of a result."""
        shape = self.elsewhere.unpack
        parts = value.by_path if value.__class__ is Parts else unpacked(plain(value) if shape else value, shape)
        kept = {path: parts[path] for path, _ in self.elsewhere.paths}
        return Parts({path: part if part.__class__ is TTEmpty else handed_on(part) for path, part in kept.items()})

    # For a plan over a common period (`accelerate.events.TakesTime`).

    @property
    def pace(self) -> tuple[Fraction, bool]:
        """The slowness of its core now; and true, if it fires no more."""
        return self._cores.slowness, self.life != self._cores.life

    def twin(self, twins: dict[int, Any], agenda: Agenda, grid: GridSync | None, elsewhere: Elsewhere) -> _Instance:
        """A copy on copies of the cores, which are in `twins` by the id of those here; it has no values yet."""
        cores = self._cores
        others = twins.get(id(cores))
        if others is None:
            others = twins[id(cores)] = cores.twin(agenda)
        other = copy.copy(self)
        other._cores, other.grid, other.elsewhere = others, grid, elsewhere
        other.runs, other.waits, other.results = 0, deque(), []
        return other

    def stands(self, base: int, values: list[Any], absent: Any) -> tuple[Any, ...] | None:
        """Its state at `base`, all ticks counted from it; None: not as a plan can tell.

        Its values are added to `values`: the inputs of the firings that wait, and the result of the run under way,
        `absent` if there will be none.
        """
        if self._cores.waited_for:
            return None
        waits = []
        for number, start, stop, inputs, decided, following in self.waits:
            after = following if following is None else following - base
            waits.append((number - self._cores.firings, start - base, stop - base, decided - base, after, len(inputs)))
            values += inputs
        if not self.runs:
            return None, waits
        if any(isinstance(result, FiringError) for result in self.results):
            return None
        if self.elsewhere.paths:
            values.append(self._open(self.results[0][0]) if self.results else absent)  # type: ignore[index]
        start, stop, begun = self.begun
        return (self.runs - self._cores.firings, start - base, stop - base, begun - base, self.ends - base), waits

    def _open(self, kept: Any) -> Any:
        """The result itself, where its arcs carry the whole of it."""
        return kept.by_path[()] if kept.__class__ is Parts and self.elsewhere.unpack is None else kept

    def keep(self, value: Any, start: Tick, stop: Tick) -> None:
        """Keep a result, which nobody else holds, until the run ends."""
        self.results.append((value, start, stop))

    def stand(self, base: int, shape: tuple[Any, ...], values: Iterator[Any], absent: Any) -> None:
        """Stand as `stands` has told, at another `base`."""
        cores, (run, waits) = self._cores, shape
        cores.put_away(self)
        self.waits = deque(
            _Firing(
                cores.firings + number, base + start, base + stop, tuple([next(values) for _ in range(inputs)]),
                base + decided, following if following is None else base + following,
            )
            for number, start, stop, decided, following, inputs in waits
        )  # fmt: skip
        self.results.clear()
        if run is not None:
            number, start, stop, begun, ends = run
            self.ends = base + ends
            self.runs, self.begun = cores.firings + number, (base + start, base + stop, base + begun)
            result = next(values) if self.elsewhere.paths else absent
            if result is not absent:
                self.keep(result, base + start, base + stop)
        cores.put_back(self)

    def ends_at(self, tick: int, middle: int | None) -> None:
        """Let the run under way end at `tick`."""
        self._cores.end_at(tick, self, middle)

    def __lt__(self, other: _Instance) -> bool:
        return self.number < other.number


class Cores:
    """The cores of one ensemble.

    Args:
        agenda: the ensemble's timers.
        cores: how many bodies run at once.
        speed: times the reference.
        times: function to the time of a run on the reference (microseconds); left out: nothing.

    Attributes:
        slowness: how many times as long as at first bodies take now.
        firings: so many have been decided.
        life: how often the ensemble has died.
        use: how much of them is used.
    """

    def __init__(self, agenda: Agenda, cores: int, speed: Fraction, times: Mapping[str, int]) -> None:
        self._agenda = agenda
        self._cores = cores
        self.use: Use | UseNotes = Use()
        self._waiting = 0  # firings, for a core or for their instance
        self._speed = speed
        self._times = times
        self.slowness = Fraction(1)
        self._free = cores
        self._ready: list[tuple[int, _Instance]] = []  # idle instances by the number of the firing that is next
        self.firings = 0
        self._instances = 0
        self.life = 0
        self._placed: list[_Instance] = []
        self._idle: list[tuple[ContextParts, Collection[str], Callable[[], None]]] = []  # calls that wait
        self._workers: dict[ContextParts, dict[str, str]] = {}  # by SQ its worker, while none comes or goes

    def occupy(self, context: ContextParts, elsewhere: Elsewhere) -> _Instance | None:
        """The stage in which a body takes its time; None when it takes none (`MakeStage`)."""
        self._workers.clear()
        time = self._times.get(elsewhere.sq.function, 0)
        if not time:
            return None
        self._instances += 1
        instance = _Instance(self, context, elsewhere, time, self._instances, self.life)
        self._placed.append(instance)
        return instance

    def take(self, instance: _Instance, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """A firing has been decided."""
        if instance.life != self.life or instance.context.closed:
            return
        # A stream's instant lies in the middle of its interval: start = instant - width // 2.
        grid = instance.grid
        following = None if grid is None else grid.limit(int(start) + grid.width // 2)
        self.firings += 1
        if not instance.own:
            at_once = self._free and not instance.runs and not instance.waits
            self.use.queued(now, 0 if at_once else self._waiting + 1)
            self._waiting += 1
        instance.waits.append(_Firing(self.firings, start, stop, values, now, following))
        if not instance.runs and len(instance.waits) == 1:
            self._next(instance)

    def slow(self, factor: Fraction | int | float) -> None:
        """From now on bodies take `factor` times as long as at first; running bodies are not affected.

        Raises:
            ValueError: the factor is not above 0.
        """
        if not factor > 0:
            raise ValueError(f"a factor is above 0, not {factor}")
        self.slowness = Fraction(factor)

    def begin_anew(self, agenda: Agenda) -> None:
        """The ensemble has started anew, with this agenda."""
        self._agenda = agenda

    def set_time(self, function: str, time: int) -> None:
        """Let runs of a function that begin from now on take another time on the reference."""
        for instance in self._placed:
            if instance.elsewhere.sq.function == function:
                instance.time = time

    def fail(self) -> None:
        """The ensemble has died: its firings are lost, and its instances fire no more."""
        for instance in self._placed:
            for _ in range(len(instance.waits) + (instance.runs > 0)):
                instance.elsewhere.tally("lost")
        self.life += 1
        self._placed.clear()
        self._workers.clear()
        self._idle.clear()
        self._free = self._cores
        self._waiting = 0
        self._ready.clear()

    def when_idle(self, context: ContextParts, names: Collection[str], then: Callable[[], None]) -> None:
        """Call `then` when none of these instances of a context has anything to do, now or later; they get no more."""
        if self.busy(context, names):
            self._idle.append((context, names, then))
        else:
            then()

    def forget(self, context: ContextParts, names: Collection[str]) -> None:
        """Instances of a context have ended."""
        self._workers.clear()
        self._placed = [i for i in self._placed if i.context is not context or i.elsewhere.sq.name not in names]

    def load(self, ensemble: str, length: int, now: int) -> Usage:
        """Their use in the `length` root ticks up to `now`."""
        assert isinstance(self.use, Use)  # of a copy nobody asks
        shared = [instance for instance in self._placed if not instance.own]
        left = sum(instance.ends - now for instance in shared if instance.runs)
        waiting = [instance for instance in shared if instance.waits]
        first = min((instance.waits[0].decided for instance in waiting), default=now)
        most = max(waiting, key=lambda instance: len(instance.waits)).elsewhere.sq.name if waiting else ""
        since = self.use.since if self._free < self._cores and self.use.grows(now) else None
        used = (self.use.work - left) / (length * self._cores)
        return Usage("cores", ensemble, self._cores, used, now - first, most, since)

    def busy(self, context: ContextParts, names: Collection[str] | None = None) -> str:
        """An SQ (of `names`, if given) of a context that runs or waits for a core; empty when there is none."""
        for instance in self._placed:
            if instance.context is context and (instance.runs or instance.waits):
                name = instance.elsewhere.sq.name
                if names is None or name in names:
                    return name
        return ""

    # For a plan over a common period.

    def twin(self, agenda: Agenda) -> Cores:
        """Cores as these, with nothing on them."""
        other = Cores(agenda, self._cores, self._speed, self._times)
        other.use = UseNotes(self.use)
        other.slowness, other.firings, other.life = self.slowness, self.firings, self.life
        return other

    def stage_of(self, context: ContextParts, sq: str) -> _Instance | None:
        """The stage of an SQ of a context; None: its body takes no time."""
        mine = (each for each in self._placed if each.context is context and each.elsewhere.sq.name == sq)
        return next(mine, None)

    @property
    def waited_for(self) -> bool:
        """True if a call waits for instances to be idle."""
        return bool(self._idle)

    def busy_beside(self, instances: Collection[int]) -> bool:
        """True if other instances than those with these ids run or wait."""
        return any((each.runs or each.waits) and id(each) not in instances for each in self._placed)

    @staticmethod
    def ending(deliver: Callable[..., None], message: tuple[Any, ...]) -> tuple[_Instance, int | None] | None:
        """The instance whose run an arrival in the agenda ends, and the middle (`end_at`); None: it ends none."""
        if getattr(deliver, "__func__", None) is not Cores._end:
            return None
        instance, _, middle = message
        return instance, middle

    def put_away(self, instance: _Instance) -> None:
        """Forget what an instance does and waits for."""
        self._free += instance.runs > 0 and not instance.own
        self._waiting -= 0 if instance.own else len(instance.waits)
        self._ready = [entry for entry in self._ready if entry[1] is not instance]
        heapify(self._ready)
        instance.runs = 0

    def put_back(self, instance: _Instance) -> None:
        """An instance runs or waits again as it says."""
        self._waiting += 0 if instance.own else len(instance.waits)
        if instance.runs:
            self._free -= not instance.own
        elif instance.waits:
            heappush(self._ready, (instance.waits[0].number, instance))

    def _next(self, instance: _Instance) -> None:
        """An idle instance has a firing to run."""
        if instance.own:
            while instance.waits and not self._begin(instance):
                pass
        else:
            heappush(self._ready, (instance.waits[0].number, instance))
            self._fill()

    def _fill(self) -> None:
        """Have the free cores run the firings that wait for them."""
        while self._free and self._ready:
            instance = heappop(self._ready)[1]
            if self._begin(instance):
                self._free -= 1
            elif instance.waits:
                heappush(self._ready, (instance.waits[0].number, instance))

    def _begin(self, instance: _Instance) -> bool:
        """Call the body for the firing that is next; False when it is too late for that."""
        number, start, stop, values, decided, following = instance.waits.popleft()
        self._waiting -= not instance.own
        now = self._agenda.now
        if instance.context.closed:
            return False
        late = None if following is None else lateness(now, stop, following)
        if late == "skipped":
            self.use.missed(now)
            instance.elsewhere.tally(late)
            instance.elsewhere.done()
            return False
        if late is not None and decided < stop:  # else it has been counted
            instance.elsewhere.tally(late)
        length = math.ceil(instance.time * self.slowness / self._speed)
        instance.results.clear()
        instance.runs, instance.begun = number, (start, stop, now)
        timeout = instance.elsewhere.sq.timeout
        instance.ends = now + (min(timeout, length) if timeout else length)
        if not instance.own:
            self.use.works(now, instance.ends, decided < now)
        if 0 < timeout < length:
            self._deliver_at(now + timeout, self._overran, instance, number)
            return True
        running.late = now - (decided if instance.grid is None else int(start) + instance.grid.width // 2)
        try:
            instance.body(start, stop, values, decided)
        finally:
            running.late = None
        middle = None
        if instance.grid is not None and instance.elsewhere.sq.stamp == "body":
            middle = now + length // 2
        self.end_at(now + length, instance, middle)
        return True

    def end_at(self, tick: int, instance: _Instance, middle: int | None) -> None:
        """Let the run of an instance end at `tick`; `middle`: of the interval of its result, if the run says it."""
        self._deliver_at(tick, self._end, instance, instance.runs, middle)

    def _deliver_at(self, tick: int, deliver: Callable[..., None], *message: Any) -> None:
        self._agenda.deliver_at(tick, deliver, *message)

    def _overran(self, instance: _Instance, number: int) -> None:
        """A run has taken all the time that its SQ gives it: it ends, and all that was sent to its worker."""
        context, sq = instance.context, instance.elsewhere.sq
        if instance.life == self.life and instance.runs == number and not context.closed:
            workers = self._workers
            for each in {mate.context for mate in self._placed} - workers.keys():
                workers[each] = Assignment(each.prepared.components, False).assign(each.prepared.sqs)
            worker = workers[context][sq.name]
            for mate in self._placed:
                if workers[mate.context][mate.elsewhere.sq.name] == worker:
                    self._lose(mate, all_of_it=mate is not instance)
            self._ready = [entry for entry in self._ready if entry[1].waits]
            heapify(self._ready)
            for each in {mate.context for mate in self._placed}:
                each.counters.add(each.prepared.here, "restarts")
            instance.results = [overran(sq, context.prepared, *instance.begun[:2])]
        self._end(instance, number, None)

    def _lose(self, instance: _Instance, all_of_it: bool) -> None:
        """Its worker has ended: the firings that wait are lost, and the one that runs, if `all_of_it`."""
        running = all_of_it and instance.runs > 0
        for _ in range(len(instance.waits) + running):
            instance.elsewhere.tally("lost")
            instance.elsewhere.done()
        self._waiting -= 0 if instance.own else len(instance.waits)
        instance.waits.clear()
        if running:
            instance.runs = 0
            self._free += not instance.own

    def _end(self, instance: _Instance, number: int, middle: int | None) -> None:
        """A run ends: its result is sent; the next firing gets its core or its instance."""
        if instance.life != self.life or instance.runs != number:
            return
        instance.runs = 0
        if not instance.own:
            self._free += 1
        if not instance.context.closed:
            self._send(instance, middle)
            instance.elsewhere.done()
            if instance.waits:
                self._next(instance)
        self._fill()
        if self._idle:
            waiting, self._idle = self._idle, []
            for context, names, then in waiting:
                self.when_idle(context, names, then)

    def _send(self, instance: _Instance, middle: int | None) -> None:
        elsewhere = instance.elsewhere
        results = instance.results[:]
        failed = False
        for result in results:
            if isinstance(result, FiringError):
                elsewhere.report(result)
                failed = True
                continue
            parts, start, stop = result
            if middle is not None and instance.grid is not None:
                start = middle - instance.grid.width // 2
                stop = start + instance.grid.width
            try:
                elsewhere.send(parts, start, stop)
            except Exception as error:  # no codec: an error of that firing
                elsewhere.failed(start, stop, error)
                failed = True
        if elsewhere.fired is not None:
            elsewhere.fired(*instance.begun, self._agenda.now, outcome_of(failed, bool(results)))


class ClockedCores(Cores):
    """The cores of an ensemble whose clock is wrong: runs take their time, whatever the clock does meanwhile."""

    _agenda: ClockedAgenda

    def _deliver_at(self, tick: int, deliver: Callable[..., None], *message: Any) -> None:
        self._agenda.deliver_after(tick - self._agenda.now, deliver, *message)

    def load(self, ensemble: str, length: int, now: int) -> Usage:
        return super().load(ensemble, length, self._agenda.clock.read(now))
