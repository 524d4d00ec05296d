"""A region as who keeps time sees it: its SQs cross to their worker once per instant, once per token.

The rules stay where they are: when its roots fire, their syncs decide. A region is *apart* at first, and all goes on by
the general engine, which measures its bodies. Once they are known to be fast, what its roots fire is kept back until
nothing of it is under way (*closing up*); from then on it is *together*, until its bodies are fast no more or its SQs
are to be moved, saved by themselves or set anew. So nothing overtakes anything on the way from the one to the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sized
from functools import partial
from typing import Any, Protocol

from ticktalk.accelerate.code import once_inputs
from ticktalk.accelerate.part_messages import FormPart, Member, PartRan, RunPart, SplitPart
from ticktalk.accelerate.plan import Plan
from ticktalk.accelerate.sends import outside
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.codec import Data, Encoded, encoded
from ticktalk.engine.context import Elsewhere
from ticktalk.engine.firing import ArrivalSync, Fire, GridSync, SinglePortSync, TTSQSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.time import NEG_INFINITY, Tick

SHARE = 10
"""The bodies of a region may take one of so many parts of the period, so that others still have their turns."""

CROSSING = 50
"""Microseconds that crossing by itself costs about an SQ: a body that takes less gains nothing from overlapping."""

ONCE = 2_000
"""Microseconds more that they may take when they are measured by themselves: once, and the first time, it may be by
chance. How long they take together is seen then."""

LOOKS_AFTER = 1
"""Firings on the general engine before a region closes up for the first time: what comes after them waits for them, so
that not more and more is under way where tokens come faster than the general engine can take them."""

LOOKS_AGAIN = 8
"""Firings after which it is considered again when it was slow; each further time after four times as many."""

LOOKS_LEAST = 4096
"""Firings after which it is considered again in any case."""

AT_ONCE = 6
"""Times the limit that one run counts for at most: one that the machine held up splits no region, two do."""

KEPT_BACK = 100_000
"""Microseconds for which what its roots fire is kept back although nothing that is under way ends."""

Fired = tuple[int, Tick, Tick, tuple[Any, ...], int]
"""`(root, start, stop, values, now)`"""


class Body(Protocol):
    """One body in its worker.

    Attributes:
        ident: the number by which its worker knows it.
        elsewhere: what takes its errors and counts.
        gone: its instance here has ended.
        recent: microseconds of its latest runs by themselves, on average; None: not measured.
        ended: called when a firing or a save of it has ended.
    """

    ident: int
    worker: str
    elsewhere: Elsewhere
    gone: bool
    recent: float | None
    ended: Callable[[], None] | None

    @property
    def in_flight(self) -> Sized:
        """The firings under way."""

    @property
    def saved(self) -> Sized:
        """The saves under way."""

    def late(self, late: int) -> None:
        """Its body started so many microseconds after its instant."""


class Device(Protocol):
    """What a part asks of the workers, and of what knows all parts of its device."""

    mark: Callable[[Data], Any]
    """Makes of a value what stands for it in a command."""

    def send(self, worker: str, command: FormPart | RunPart | SplitPart) -> None:
        """Send a command to a worker."""

    def parts_of(self, result: list[Any], sends: TTSQForward) -> Any:
        """A result as it came from the worker, for the forward part of its SQ."""

    def due(self, grid: GridSync, start: Tick) -> tuple[int, int]:
        """The instant of a source's firing, and the next one (monotonic)."""

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time."""

    def register(self, part: DeviceRegion) -> int:
        """A number by which its worker knows a part."""

    def unregister(self, number: int) -> None:
        """No answer about this number will come."""

    def still_run(self, bodies: list[Body]) -> bool:
        """Whether one of these bodies still runs in a part that has been retired."""


class _LastTurn:
    """A turn after all SQs of a region, at which it looks whether they are idle."""

    def __init__(self, region: DeviceRegion, order: float) -> None:
        self.key: tuple[Any, Any] = (order, self)
        self.queued = False
        self._region = region

    def __lt__(self, other: object) -> bool:
        return False  # as of regions

    def step(self, now: int) -> None:
        self._region.look_whether_idle(again=False)


Entry = tuple[list[Any], Callable[[], None]]
"""A run of the region, as its command without the id, and what does the same on the general engine."""


class DeviceRegion:
    """See above.

    Args:
        plan: which SQs.
        context: their context.
        device: the way to its worker.
        placed: by node, its body in the worker.
    """

    def __init__(self, plan: Plan, context: ContextParts, device: Device, placed: list[Body]) -> None:
        self.plan = plan
        self.context = context
        self._device = device
        self._placed = placed
        self._syncs: list[TTSQSync] = [context.syncs[node.sq.name] for node in plan.members]
        self._forwards = [self._outside(index) for index in range(len(plan.members))]
        self._ident = 0  # in the worker, while it is together
        self._state = "apart"
        self._runs: deque[tuple[int, int | None]] = deque()  # under way: id, and the instant (monotonic)
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
        self._collected: dict[Tick, list[Fired]] = {}  # by start, what its sources fire at an instant
        self.queued = False
        last = context.syncs[plan.members[plan.roots - 1].sq.name]
        self.key: tuple[Any, Any] = (last.key[0] + 0.5, self)
        self._last_turn = _LastTurn(self, max(sync.key[0] for sync in self._syncs) + 0.5)
        self._last_starts: dict[int, Tick] = {}  # of roots that a token feeds and that keep order
        self.covers: frozenset[int] = frozenset()  # arcs of another ensemble that feed nothing else here
        if plan.kind == "token":
            self._last_starts = {
                index: sync.last_start
                for index, sync in enumerate(self._syncs[: plan.roots])
                if isinstance(sync, SinglePortSync) and sync.forward
            }
            self.covers = self._covered()
        else:
            for index in range(plan.roots):
                sync = self._syncs[index]
                self._fires.append(sync.fire)
                sync.fire = self._taking(index)

    def __lt__(self, other: object) -> bool:
        return False  # of several at one place in the order, which is no SQ's, any may go first

    def _outside(self, index: int) -> TTSQForward:
        """Where what an SQ sends out of the region goes, as SQs are placed now."""
        member = self.plan.members[index]
        return outside(self.context.forwards[member.sq.name], {(to.sq, to.port) for to in member.inner})

    def _covered(self) -> frozenset[int]:
        """Arcs all of whose consumers here are roots."""
        roots = {self._syncs[index].sq.name for index in range(self.plan.roots)}
        arcs = set(self.plan.feeds)
        return frozenset(
            arc
            for arc in arcs
            if all(sync.sq.name in roots for sync, _ in self.context.incoming.get(f"{self.plan.producer}/{arc}", ()))
        )

    # What its roots fire.

    def _taking(self, index: int) -> Fire:
        def fire(start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
            if self._state == "apart":
                self._fires[index](start, stop, values, now)
                if index == 0:
                    self._saw(start)
                return
            if self.plan.kind == "firing":
                self._take(start, stop, [(index, start, stop, values, now)])
                return
            self._collected.setdefault(start, []).append((index, start, stop, values, now))
            if not self.queued:
                self.context.agenda.make_ready(self)

        return fire

    def step(self, now: int) -> None:
        """All its sources have had their turn: at one instant, or at some more that are late."""
        collected, self._collected = self._collected, {}
        for start, fired in collected.items():
            self._take(start, fired[0][2], fired)
        if self._state == "apart" and self._seen >= self._look_at:
            self._look()

    def _take(self, start: Tick, stop: Tick, fired: list[Fired]) -> None:
        def apart() -> None:
            for index, begin, end, values, now in fired:
                self._fires[index](begin, end, values, now)

        mark = self._device.mark
        given: dict[int, tuple[Any, ...]] = {index: values for index, _, _, values, _ in fired}
        position: dict[int, int] = {}
        data: list[Any] = []
        try:
            for root, _ in once_inputs(self.plan.members, self.plan.roots):
                place = position[root] = position.get(root, -1) + 1
                data.append(mark(encoded(given[root][place])) if root in given else None)
        except TypeError:
            self.dissolve()
            apart()  # it says what has no codec
            return
        instant = following = None
        sync = self._syncs[0]
        if isinstance(sync, GridSync):
            instant, following = self._device.due(sync, start)
        self._enter(start, ([start, stop, b"", data, instant, following], apart))

    def takes(self, arcs: Iterable[int]) -> bool:
        """Whether what came on these arcs is for it, and for nobody else here."""
        return self._state in ("closing up", "together") and self.covers.issuperset(arcs)

    def passes(self, arcs: Iterable[int], start: Tick) -> None:
        """What came on these arcs goes by the general engine: it must overtake nothing of the region."""
        if self._state == "apart":
            if self.covers.issuperset(arcs):
                self._saw(start)
        elif not self.covers.isdisjoint(arcs):
            self.dissolve()

    def take(
        self, arcs: int | bytes, indexes: Iterable[int], data: Data, start: Tick, stop: Tick, apart: Callable[[], None]
    ) -> None:
        """Take what came on arcs from another ensemble.

        Args:
            arcs: the arc's index, or those of several as they came.
            indexes: the same as numbers.
            data: the value, or an array of them.
            start, stop: the interval.
            apart: gives it to the general engine.
        """
        if self._last_starts:
            came = set(indexes)
            mine = [index for index in self._last_starts if self.plan.feeds[index] in came]
            if any(start < self._last_starts[index] for index in mine):
                # A set out of order is not for all of them: the general engine sees to it.
                self.dissolve()
                apart()
                return
            self._last_starts.update(dict.fromkeys(mine, start))
        self._enter(start, ([start, stop, arcs, self._device.mark(data), None, None], apart))

    def _enter(self, start: Tick, entry: Entry) -> None:
        self._saw(start)
        if self._state == "together":
            self._run(entry)
            return
        if self._state == "apart":
            entry[1]()
            return
        self._kept_back.append(entry)

    def _run(self, entry: Entry) -> None:
        command = entry[0]
        self._runs.append((self._ident, command[4]))
        self._latest = max(self._latest, command[0])
        self._device.send(self._placed[0].worker, RunPart(self._ident, *command))

    # Together or apart.

    def _saw(self, start: Tick) -> None:
        """Something comes to it, with an interval that begins at `start`."""
        self._seen += 1
        if abs(start) != float("inf"):
            gap = abs(start - self._gap_from) if self._seen > 1 else 0
            self._gap += (gap - self._gap) / (8 if self._gap else 1)
            self._gap_from = start
        if self._state == "apart" and self._seen >= self._look_at and not self.queued:
            self.context.agenda.make_ready(self)  # after all its roots

    @property
    def _limit(self) -> float:
        """Microseconds that its bodies may take."""
        sync = self._syncs[0]
        period = sync.period if isinstance(sync, GridSync) else self._gap
        return period / SHARE + CROSSING * len(self._placed)

    def _look(self) -> None:
        """Close up, if its bodies are fast as far as is known."""
        if self._slow() or self._waiting():
            self._later()
            return
        self._state = "closing up"
        for index in self._last_starts:
            root = self._syncs[index]
            assert isinstance(root, SinglePortSync)
            self._last_starts[index] = root.last_start
        self._tries += 1
        self._device.after(KEPT_BACK, partial(self._go_on_waiting, self._tries, self._left()))
        self.look_whether_idle()

    def _left(self) -> int:
        """How much of its SQs is under way on the general engine."""
        return sum(len(placed.in_flight) + len(placed.saved) for placed in self._placed)

    def _go_on_waiting(self, tries: int, left: int) -> None:
        """Give up closing up if nothing of it has ended meanwhile: some body holds it up."""
        if self._state == "closing up" and self._tries == tries:
            if self._left() < left:
                self._device.after(KEPT_BACK, partial(self._go_on_waiting, tries, self._left()))
            else:
                self._give_up()

    def _slow(self) -> bool:
        """Whether its bodies take too long to run one after the other, as far as they were measured by themselves."""
        return sum(placed.recent or 0 for placed in self._placed) > self._limit + ONCE

    def _later(self) -> None:
        self._look_at = self._seen + self._patience
        self._patience = min(4 * self._patience, LOOKS_LEAST)

    def look_whether_idle(self, again: bool = True) -> None:
        """While it closes up: go together, if nothing of it is under way on the general engine.

        Args:
            again: look again after the turns of its SQs, if one of them has still to come.
        """
        if self._state != "closing up":
            return
        inner = self._syncs[self.plan.roots :]
        roots = self._syncs[: self.plan.roots] if self.plan.kind == "token" else []
        if self._runs or self._left():
            return
        if self._device.still_run(self._placed):
            return  # by what was a region before
        if any(sync.inbox or sync.remote for sync in (*inner, *roots)):
            if again:  # what is done here and now ends without an answer
                self.context.agenda.make_ready(self._last_turn)
            return
        if self._slow() or self._waiting():
            self._give_up()
            return
        self._begin()

    def _waiting(self) -> bool:
        """Whether an SQ inside waits for something that only the general engine sees to."""
        first = self._syncs[0]
        following = self._gap_from + (first.period if isinstance(first, GridSync) else 0)
        start = self._kept_back[0][0][0] if self._kept_back else following
        for sync in self._syncs[self.plan.roots :]:
            if isinstance(sync, ArrivalSync):
                if any(token[2] > start for port in sync.ports for token in port.tokens):
                    return True
                if any(token is None or token[0] != NEG_INFINITY for token in sync.sticky.values()):
                    return True
        return False

    def _begin(self) -> None:
        device = self._device
        members = []
        for placed, node, sync, forward in zip(
            self._placed, self.plan.members, self._syncs, self._forwards, strict=True
        ):
            paths = {(to.sq, to.port): arc.path for arc in node.sq.arcs if arc.kind != "tag" for to in arc.to}
            settled: dict[int, bytes] = {}
            if isinstance(sync, ArrivalSync):
                for slot, token in sync.sticky.items():
                    if token is not None and placed not in self._placed[: self.plan.roots]:
                        settled[sync.arc_ports[slot]] = bytes(encoded(token[3]))
            members.append(
                Member(
                    placed.ident,
                    {port: (wire.member, wire.way, wire.alone) for port, wire in node.wires.items()},
                    [list(paths[to.sq, to.port]) for to in node.inner],
                    [(list(path), output) for path, output in forward.paths],
                    settled,
                )
            )
        self._ident = device.register(self)
        self._state = "together"
        self._cost = 0.0
        device.send(self._placed[0].worker, FormPart(self._ident, self.plan.roots, members, list(self.plan.feeds)))
        kept_back, self._kept_back = self._kept_back, []
        for entry in kept_back:
            self._run(entry)

    def _give_up(self) -> None:
        """Stay apart: what was kept back goes by the general engine."""
        self._state = "apart"
        self._later()
        kept_back, self._kept_back = self._kept_back, []
        for _, apart in kept_back:
            apart()

    def dissolve(self) -> None:
        """Let the general engine go on; what is under way in the worker ends there first."""
        if self._collected:
            self.step(self.context.agenda.now)
        if self._state == "together":
            self.flush()
            self._device.send(self._placed[0].worker, SplitPart(self._ident))
            if self._runs:
                self._behind = len(self._runs)
                for placed in self._placed[: self.plan.roots]:
                    placed.elsewhere.away(self._behind)
            else:
                self._device.unregister(self._ident)
            self._state = "apart"
            self._later()
        elif self._state == "closing up":
            self._give_up()

    def retire(self) -> None:
        """Dissolve for good: its SQs are looked at anew."""
        self.dissolve()
        for index, fire in enumerate(self._fires):
            self._syncs[index].fire = fire
        self._state = "retired"

    def flush(self) -> None:
        """Let its syncs know how far it is."""
        for sync in self._syncs[self.plan.roots :]:
            if isinstance(sync, (ArrivalSync, SinglePortSync)) and sync.forward:
                sync.last_start = max(sync.last_start, self._latest)
            if isinstance(sync, ArrivalSync):
                sync.reach(self._latest)
        for index, start in self._last_starts.items() if self._state == "together" else ():
            sync = self._syncs[index]
            assert isinstance(sync, SinglePortSync)
            sync.last_start = max(sync.last_start, start)

    def close(self) -> None:
        """Its context has ended."""
        self._state = "closed"
        self._kept_back.clear()
        self._collected.clear()

    # What its worker says.

    @property
    def ended(self) -> bool:
        """Whether nothing of it is under way or kept back, and no more will be."""
        return self._state in ("closed", "retired") and not self._runs

    def still_runs(self, idents: set[int]) -> bool:
        """Whether it was retired, and one of these instances is still under way in it."""
        return self._state == "retired" and bool(self._runs) and any(one.ident in idents for one in self._placed)

    def busy(self, names: Iterable[str] | None) -> str:
        """The SQ (of `names`, if given) that runs or waits to; empty when there is none."""
        if not (self._runs or self._kept_back or self._collected):
            return ""
        mine = [node.sq.name for node in self.plan.members]
        return next((name for name in mine if names is None or name in names), "")

    @property
    def together(self) -> bool:
        """Whether its SQs cross to their worker at once at present."""
        return self._state == "together"

    def under_way(self, ident: int) -> bool:
        """Whether its worker is still to answer runs by this number, or will get more."""
        together = self._state == "together" and ident == self._ident
        return together or any(run == ident for run, _ in self._runs)

    @property
    def worker(self) -> str:
        """Where it runs."""
        return self._placed[0].worker

    def _ended(self) -> tuple[int, int | None]:
        """A run has ended: its id, and its instant."""
        if self._behind:
            self._behind -= 1
            for placed in self._placed[: self.plan.roots]:
                placed.elsewhere.done()
        return self._runs.popleft()

    def skipped(self) -> None:
        """An instant was past before its bodies could start."""
        self._ended()
        for placed in self._placed[: self.plan.roots]:
            placed.elsewhere.tally("skipped")

    def ran(self, answer: PartRan) -> None:
        """The bodies have run."""
        ident, instant = self._ended()
        roots = self._placed[: self.plan.roots]
        for placed in roots:
            if instant is not None:
                placed.late(answer.begun - instant)
            if answer.late:
                placed.elsewhere.tally("late_starts")
        start, stop = answer.start, answer.stop
        for index, *result in answer.edges:
            if self._placed[index].gone:
                continue  # it is elsewhere now
            forward = self._forwards[index] if self._state != "retired" else self._outside(index)
            forward.send(self._device.parts_of(result, forward), start, stop)
        for index, port, data in answer.leftovers:
            self._syncs[index].receive(port, start, stop, Encoded(data))
        for error in answer.errors:
            roots[0].elsewhere.report(error)
        cost = min(answer.ended - answer.begun, AT_ONCE * self._limit)
        self._cost += (cost - self._cost) / 8
        if self._state == "together" and ident == self._ident and self._cost > self._limit:
            for placed in self._placed:
                placed.recent = None  # who is slow now is measured anew
            self._seen = 0
            self.dissolve()

    def lost(self) -> None:
        """Its worker died: what was under way is lost."""
        while self._runs:
            self._ended()
            for placed in self._placed[: self.plan.roots]:
                placed.elsewhere.tally("lost")
        self.flush()
        if self._state == "together":
            self._state = "apart"
            self._later()
