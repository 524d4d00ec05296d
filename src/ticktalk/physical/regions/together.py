"""A region on a device, as the timekeeper sees it: its SQs cross to their worker one by one, or together.

The roots' syncs decide their firings, as without a region. A region is *apart* at first: the general engine runs it and
measures its bodies. Once they are known to be fast, it is *closing up*: its roots' firings are kept back until nothing
of it is under way. From then on it is *together*: it crosses once per instant, once per token, once per firing. It goes
apart again when its bodies become slow, and before its SQs are moved, saved by themselves or set anew. So nothing
overtakes anything on the way from the one to the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.firing.arrival import SinglePortSync
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing.grid import GridSync
from ticktalk.physical.regions.device_sq import (
    DeviceSQ,
    RegionTap,
    RegionWorkers,
    bring_up,
    holds_tokens_after,
    settled_values,
)
from ticktalk.physical.regions.formed import RegionShape
from ticktalk.physical.regions.messages import FormRegion, RegionRan, RunRegion, SplitRegion
from ticktalk.physical.workers.results import parts_of
from ticktalk.physical.workers.worker_body import WorkerBody
from ticktalk.time import NEG_INFINITY, Tick
from ticktalk.values.codec import Data, Encoded, encoded, held_bytes

SHARE = 10
"""The bodies of a region may take one of so many parts of the period, so that others still have their turns."""

CROSSING = 50
"""Microseconds that crossing by itself costs about an SQ: a body that takes less gains nothing from overlapping."""

ONCE = 2_000
"""Microseconds more that bodies may take when they are measured one by one: once, and the first time, it may be by
chance. How long they take together is seen then."""

LOOKS_AFTER = 1
"""Firings on the general engine before a region closes up for the first time. The next ones wait for them: else more
and more is under way where tokens come faster than the general engine can take them."""

LOOKS_AGAIN = 8
"""Firings after which a slow region is considered again; each further time after four times as many."""

FEW, RUNS, HELD = 16, 10_000, 64 << 20
"""Runs that may be under way: in any case, in all, and in bytes of their values if all are as long as the latest."""

LOOKS_AT_MOST_AFTER = 4096
"""Firings after which a region is considered again in any case."""

AT_ONCE = 6
"""The most that one run counts for, times the limit: one run that the machine delays splits no region, two do."""

KEPT_BACK = 100_000
"""Microseconds for which firings are kept back although nothing that is under way ends."""

Fired = tuple[int, Tick, Tick, tuple[Any, ...], int]
"""`(root, start, stop, values, now)`"""

Entry = tuple[list[Any], Callable[[], None], Callable[[], None] | None]
"""A run of the region: its command without the number, the call that does the same on the general engine, and what
tells the tap of it, if there is one."""


class Others(Protocol):
    """The owner of all regions of a device, as one region uses it."""

    def register(self, region: DeviceRegion) -> int:
        """A number by which its worker knows a region."""

    def unregister(self, number: int) -> None:
        """No answer about this number will come."""

    def still_run(self, bodies: Iterable[WorkerBody]) -> bool:
        """True if one of these bodies still runs in a region that has been retired."""


class DeviceRegion:
    """A region of one context on this device.

    Args:
        shape: its SQs.
        context: their context.
        workers: those of the device.
        others: the owner of all regions of the device.
        bodies: by member, its body.

    Attributes:
        covers: of kind "token": the arcs of the SQ elsewhere that feed nothing else here.
    """

    def __init__(
        self,
        shape: RegionShape,
        context: ContextParts,
        workers: RegionWorkers,
        others: Others,
        bodies: Iterable[WorkerBody],
    ) -> None:
        self.shape = shape
        self.context = context
        self._workers = workers
        self._others = others
        self.parts = [DeviceSQ(member, body, context) for member, body in zip(shape.members, bodies, strict=True)]
        self._roots = self.parts[: shape.roots]
        self._inside = self.parts[shape.roots :]
        self._grid = self.parts[0].sync if isinstance(self.parts[0].sync, GridSync) else None
        self._ident = 0  # in the worker, while it is together
        self._state = "apart"
        self.runs: deque[tuple[int, int | None]] = deque()  # under way: number, and the instant (monotonic)
        self._kept_back: list[Entry] = []
        self._tries = 0
        self._seen = 0
        self._look_at = LOOKS_AFTER
        self._patience = LOOKS_AGAIN
        self._behind = 0  # runs under way that firings on the general engine must not overtake
        self._cost = 0.0  # microseconds of a run
        self._latest: Tick = NEG_INFINITY  # the start of the latest run
        self._gap = 0.0  # ticks between two tokens
        self._gap_from: Tick = 0
        self._fires: list[Fire] = []
        self._collected: dict[Tick, list[Fired]] = {}  # by start, the firings of its sources at an instant
        self.queued = False
        self.key: tuple[Any, Any] = (max(part.sync.key[0] for part in self.parts) + 0.5, self)
        tap, roots = context.tap, [member.sq for member in shape.members[: shape.roots]]
        self._told = None if tap is None else RegionTap(tap, shape.producer, roots, shape.feeds)
        self._last_starts: dict[int, Tick] = {}  # of roots that a token feeds and that keep order
        self.covers: frozenset[int] = frozenset()
        if shape.kind == "token":
            self._know_last_starts()
            self.covers = frozenset(arc for arc in shape.feeds if self._feeds_only_roots(arc))
        else:
            for index, root in enumerate(self._roots):
                self._fires.append(root.sync.take_over(self._taking(index)))

    def __lt__(self, other: object) -> bool:
        return False  # of several at one place in the order, which is no SQ's, any may go first

    def _know_last_starts(self) -> None:
        for index, root in enumerate(self._roots):
            if isinstance(root.sync, SinglePortSync) and root.sync.forward:
                self._last_starts[index] = root.sync.last_start

    def _feeds_only_roots(self, arc: int) -> bool:
        roots = [root.sync for root in self._roots]
        return all(sync in roots for sync, _ in self.context.incoming.get(f"{self.shape.producer}/{arc}", ()))

    @property
    def worker(self) -> str:
        """The name of its worker."""
        return self.parts[0].body.worker

    # Input of its roots.

    def _taking(self, index: int) -> Fire:
        def fire(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            if self._state == "apart":
                self._fires[index](start, stop, values, now)
                if index == 0:
                    self._saw(start)
            elif self.shape.kind == "firing":
                self._take(start, stop, [(index, start, stop, values, now)])
            else:
                self._collected.setdefault(start, []).append((index, start, stop, values, now))
                if not self.queued:
                    self.context.agenda.make_ready(self)

        return fire

    def step(self, now: int) -> None:
        """All its SQs have had their turn."""
        self._take_collected()
        if self._state == "apart" and self._seen >= self._look_at:
            self._look()
        else:
            self.look_whether_idle(again=False)

    def _take_collected(self) -> None:
        """Take the firings of its sources: at one instant, or at some more that are late."""
        collected, self._collected = self._collected, {}
        for start, fired in collected.items():
            self._take(start, fired[0][2], fired)

    def _take(self, start: Tick, stop: Tick, fired: list[Fired]) -> None:
        """Take the firings of its roots on one interval."""

        def apart() -> None:
            for index, begin, end, values, now in fired:
                self._fires[index](begin, end, values, now)

        given = {index: values for index, _, _, values, _ in fired}
        mark, data = self._workers.mark, list[Any]()
        try:
            for index, root in enumerate(self._roots):
                values = given.get(index)
                data += [None] * len(root.member.arcs) if values is None else [mark(encoded(each)) for each in values]
        except TypeError:
            self.dissolve()
            apart()  # it names the value without codec
            return
        instant, following = (None, None) if self._grid is None else self._workers.due(self._grid, start)
        length = sum(held_bytes(value) for _, _, _, values, _ in fired for value in values)
        self._enter(start, ([start, stop, b"", data, instant, following, fired[0][4]], apart, None), length)

    def takes(self, arcs: Iterable[int]) -> bool:
        """True if a token that came on these arcs is for it, and for nobody else here."""
        return self._state in ("closing up", "together") and self.covers.issuperset(arcs)

    def passes(self, arcs: Iterable[int], start: Tick) -> None:
        """A token that came on these arcs goes by the general engine: it must overtake nothing of the region."""
        if self._state == "apart":
            if self.covers.issuperset(arcs):
                self._saw(start)
        elif not self.covers.isdisjoint(arcs):
            self.dissolve()

    def take(
        self, arcs: int | bytes, indexes: tuple[int, ...], numbers: int | list[int], data: Data, start: Tick,
        stop: Tick, apart: Callable[[], None],
    ) -> None:  # fmt: skip
        """Take a token that came on arcs from another ensemble.

        Args:
            arcs, indexes: the arc's index, or those of several as they came; the same as numbers.
            numbers: of the token on its arc; of each, or the same of all.
            data: the value, or an array of them.
            start, stop: the interval.
            apart: gives it to the general engine.
        """
        if self._last_starts:
            came = set(indexes)
            mine = [index for index in self._last_starts if self.shape.feeds[index] in came]
            if any(start < self._last_starts[index] for index in mine):
                # A set out of order is not for all of them: the general engine handles it.
                self.dissolve()
                apart()
                return
            self._last_starts.update(dict.fromkeys(mine, start))
        tell = None if self._told is None else partial(self._told.taken, indexes, numbers, start, stop)
        self._enter(start, ([start, stop, arcs, self._workers.mark(data), None, None], apart, tell), len(data))

    def _enter(self, start: Tick, entry: Entry, length: int) -> None:
        self._saw(start)
        if len(self.runs) >= FEW and (len(self.runs) >= RUNS or len(self.runs) * length >= HELD):
            self.dissolve()  # its worker is held up, and the general engine bounds what waits for it
        if self._state == "together":
            self._run(entry)
        elif self._state == "apart":
            entry[1]()
        else:
            self._kept_back.append(entry)

    def _run(self, entry: Entry) -> None:
        command = RunRegion(self._ident, *entry[0])
        if entry[2] is not None:
            entry[2]()
        self.runs.append((self._ident, command.instant))
        self._latest = max(self._latest, command.start)
        self._workers.send(self.worker, command)

    # Together or apart.

    def _saw(self, start: Tick) -> None:
        """Something comes to it, with an interval that begins at `start`."""
        self._seen += 1
        if abs(start) != float("inf"):
            gap = abs(start - self._gap_from) if self._seen > 1 else 0
            self._gap += (gap - self._gap) / (8 if self._gap else 1)
            self._gap_from = start
        if self._state == "apart" and self._seen >= self._look_at and not self.queued:
            self.context.agenda.make_ready(self)

    @property
    def _limit(self) -> float:
        """Microseconds that its bodies may take."""
        period = self._gap if self._grid is None else self._grid.period
        return period / SHARE + CROSSING * len(self.parts)

    def _look(self) -> None:
        """Close up, if its bodies are fast as far as is known."""
        if self._slow() or self._waiting():
            self._later()
            return
        self._state = "closing up"
        if self.shape.kind == "token":
            self._know_last_starts()
        self._tries += 1
        self._workers.after(KEPT_BACK, partial(self._go_on_waiting, self._tries, self._left()))
        self.look_whether_idle()

    def _left(self) -> int:
        """The number of firings and saves of its SQs under way on the general engine."""
        return sum(len(part.body.in_flight) + len(part.body.saved) for part in self.parts)

    def _go_on_waiting(self, tries: int, left: int) -> None:
        """Give up closing up if nothing of it has ended meanwhile: some body holds it up."""
        if self._state == "closing up" and self._tries == tries:
            if self._left() < left:
                self._workers.after(KEPT_BACK, partial(self._go_on_waiting, tries, self._left()))
            else:
                self._give_up()

    def _slow(self) -> bool:
        """True if its bodies take too long to run one after the other, as far as they were measured by themselves."""
        return sum(part.body.recent or 0 for part in self.parts) > self._limit + ONCE

    def _later(self) -> None:
        self._look_at = self._seen + self._patience
        self._patience = min(4 * self._patience, LOOKS_AT_MOST_AFTER)

    def look_whether_idle(self, again: bool = True) -> None:
        """While it closes up: go together, if nothing of it is under way; `again`: look after the turns of its SQs."""
        if self._state != "closing up" or self.runs or self._left():
            return
        if self._others.still_run(part.body for part in self.parts):
            return
        considered = self.parts if self.shape.kind == "token" else self._inside
        if any(part.sync.inbox or part.sync.remote for part in considered):
            if again:  # a run done at once ends without an answer
                self.context.agenda.make_ready(self)
        elif self._slow() or self._waiting() or len({part.body.worker for part in self.parts}) > 1:
            self._give_up()
        else:
            self._begin()

    def _waiting(self) -> bool:
        """True if an SQ inside waits for something that only the general engine handles."""
        following = self._gap_from + (0 if self._grid is None else self._grid.period)
        start = self._kept_back[0][0][0] if self._kept_back else following
        return any(holds_tokens_after(part.sync, start) or settled_values(part.sync) is None for part in self._inside)

    def _begin(self) -> None:
        self._ident = self._others.register(self)
        self._state = "together"
        self._cost = 0.0
        members = [part.in_worker(index < self.shape.roots) for index, part in enumerate(self.parts)]
        self._workers.send(self.worker, FormRegion(self._ident, self.shape.roots, members, list(self.shape.feeds)))
        kept_back, self._kept_back = self._kept_back, []
        for entry in kept_back:
            self._run(entry)

    def _give_up(self) -> None:
        """Stay apart: input that was kept back goes by the general engine."""
        self._state = "apart"
        self._later()
        kept_back, self._kept_back = self._kept_back, []
        for _, apart, _ in kept_back:
            apart()

    def dissolve(self) -> None:
        """Let the general engine go on; what is under way in the worker ends there first."""
        self._take_collected()
        if self._state == "together":
            self.flush()
            self._workers.send(self.worker, SplitRegion(self._ident))
            if self.runs:
                self._behind = len(self.runs)
                for root in self._roots:
                    root.body.elsewhere.away(self._behind)
            else:
                self._others.unregister(self._ident)
            self._state = "apart"
            self._later()
        elif self._state == "closing up":
            self._give_up()

    def retire(self) -> None:
        """Dissolve for good: its SQs are looked at anew."""
        self.dissolve()
        for root, fire in zip(self._roots, self._fires, strict=False):
            root.sync.take_over(fire)
        self._state = "retired"

    def flush(self) -> None:
        """Let its syncs know how far it is."""
        for part in self._inside:
            bring_up(part.sync, self._latest)
        for index, start in self._last_starts.items() if self._state == "together" else ():
            sync = self._roots[index].sync
            assert isinstance(sync, SinglePortSync)
            sync.last_start = max(sync.last_start, start)

    def close(self) -> None:
        """Its context has ended."""
        self._state = "closed"
        self._kept_back.clear()
        self._collected.clear()

    # Answers of its worker.

    @property
    def ended(self) -> bool:
        """True if nothing of it is under way or kept back, and no more will be."""
        return self._state in ("closed", "retired") and not self.runs

    def still_runs(self, idents: set[int]) -> bool:
        """True if it was retired, and one of these bodies is still under way in it."""
        return self._state == "retired" and bool(self.runs) and any(part.body.ident in idents for part in self.parts)

    def busy(self, names: Iterable[str] | None) -> str:
        """The SQ (of `names`, if given) that runs or waits to; empty when there is none."""
        if not (self.runs or self._kept_back or self._collected):
            return ""
        mine = [member.sq.name for member in self.shape.members]
        return next((name for name in mine if names is None or name in names), "")

    @property
    def together(self) -> bool:
        """True if its SQs cross to their worker at once at present."""
        return self._state == "together"

    def under_way(self, ident: int) -> bool:
        """True if its worker is still to answer runs by this number, or will get more."""
        return (self.together and ident == self._ident) or any(run == ident for run, _ in self.runs)

    def _ended(self) -> tuple[int, int | None]:
        """A run has ended: its number, and its instant."""
        if self._behind:
            self._behind -= 1
            for root in self._roots:
                root.body.elsewhere.done()
        return self.runs.popleft()

    def _tally(self, kind: str) -> None:
        for root in self._roots:
            root.body.elsewhere.tally(kind)

    def skipped(self) -> None:
        """An instant was past before its bodies could start."""
        self._ended()
        self._tally("skipped")

    def ran(self, answer: RegionRan) -> None:
        """The bodies have run."""
        ident, instant = self._ended()
        if instant is not None:
            for root in self._roots:
                root.body.late(answer.begun - instant)
        if answer.late:
            self._tally("late_starts")
        start, stop = answer.start, answer.stop
        for index, *result in answer.edges:
            part = self.parts[index]
            if not part.body.gone:  # else it is elsewhere now
                forward = part.outside(self.context) if self._state == "retired" else part.forward
                forward.send(parts_of(result, forward), start, stop)
        for index, port, data in answer.leftovers:
            self.parts[index].sync.receive(port, start, stop, Encoded(data))
        for error in answer.errors:
            self._roots[0].body.elsewhere.report(error)
        if self._told is not None:
            self._told.fired(answer, self._workers.at)
        self._cost += (min(answer.ended - answer.begun, AT_ONCE * self._limit) - self._cost) / 8
        if self.together and ident == self._ident and self._cost > self._limit:
            for part in self.parts:
                part.body.recent = None  # slow ones are measured anew
            self._seen = 0
            self.dissolve()

    def lost(self) -> None:
        """Its worker died: runs under way are lost."""
        while self.runs:
            self._ended()
            self._tally("lost")
        self.flush()
        if self._state == "together":
            self._state = "apart"
            self._later()
