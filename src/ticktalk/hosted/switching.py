"""One ensemble's part in the replacement of a graph by another version: the streams end at one tick, all comes to rest.

The streams of a graph are held at the same tick on every ensemble. Tokens that they have sent before go their way to
the end. When the manager finds that nothing happens any more, it holds the rest. Then the instances are handed over as
ever (`moves`). Those that come instead run the instants that have passed meanwhile, late (`late`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial

import msgspec

from ticktalk.engine.context import Context
from ticktalk.engine.firing.grid import GridSync
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.body_runner import Bodies
from ticktalk.hosted.checkpoints import Tell
from ticktalk.hosted.completion import EnsembleReports
from ticktalk.messages import RuntimeMsg
from ticktalk.payloads import IdleReport, Placed, Placement, ReportRequest
from ticktalk.ranges import known
from ticktalk.replacement import Switch, Switched, TryStates
from ticktalk.time import NEG_INFINITY

At = Callable[[int, Callable[[], None]], None]
"""`(tick, call)`: calls `call()` at a root tick."""

LATE_LIMIT = 10_000_000
"""Root ticks in which streams run the instants that they have missed; after that they skip them."""

SWITCH = "switch"
"""The reason for holding instances whose graph is replaced."""

LOOK = 10_000
"""Root ticks between two looks whether they have."""


class Switching:
    """The replacements in which one ensemble takes part; one of its duties.

    Args:
        host: the graphs and contexts of the ensemble.
        bodies: theirs.
        reports: on its contexts.
        tell: sends the manager a message.
        at: see `At`.
    """

    def __init__(self, host: EnsembleHost, bodies: Bodies, reports: EnsembleReports, tell: Tell, at: At) -> None:
        self._host, self._bodies, self._reports, self._tell, self._at = host, bodies, reports, tell, at
        self._waits: list[Switch] = []  # orders whose tick is still to come

    def switch(self, order: Switch) -> None:
        """Hold the streams of a graph at a tick, or all of it, and answer; or let it go on."""
        if order.cancel:
            self._go_on(order)
        elif order.at > self._host.agenda.now:
            self._waits.append(order)
            self._at(order.at, partial(self._due, order))
        else:
            self._hold(order)

    def _due(self, order: Switch) -> None:
        """The tick of an order has come, unless the graph goes on since."""
        if order in self._waits:
            self._waits.remove(order)
            self._hold(order)

    def _go_on(self, order: Switch) -> None:
        self._waits = [each for each in self._waits if each.graph != order.graph]
        for context in self._host.contexts_of(order.graph):
            streams = [sync for sync in context.syncs.values() if isinstance(sync, GridSync)]
            for sync in streams:
                since = order.since.get(sync.sq.name, order.at)
                _go_on_late(context, sync, self._host.eviction_bound, since)
            context.release(context.syncs, SWITCH)
            in_time_again(context, [sync.sq for sync in streams], self._at)

    def _hold(self, order: Switch) -> None:
        contexts = self._host.contexts_of(order.graph)
        for context in contexts:
            streams = [sq for sq, sync in context.syncs.items() if isinstance(sync, GridSync)]
            context.hold(context.syncs if order.hold else streams, SWITCH)
        if order.round:  # it is a question, too
            reports = [self._report(order, context) for context in contexts]
            fired: dict[str, int] = {}
            for each in (each for context in contexts for each in context.syncs.values()):
                if isinstance(each, GridSync) and each.considered != NEG_INFINITY:
                    fired[each.sq.name] = max(int(each.considered), fired.get(each.sq.name, 0))
            self._tell(RuntimeMsg.SWITCHED, Switched(order.graph, self._host.name, order.round, reports, fired))

    def try_values(self, order: TryStates) -> None:
        """See whether values of SQs that are expected fit the classes that they have here, and answer."""
        graph, sqs = order.graph, list(order.values)
        prepared = self._host.prepared.get(graph)
        if prepared is not None:
            known(sqs, prepared.host_of, f"SQs of graph {graph!r}")

            def tried(problem: str | None) -> None:
                self._tell(RuntimeMsg.PLACED, Placed(graph, self._host.name, sqs, problem, expected=True))

            self._bodies.try_values(graph, order.values, tried)

    def _report(self, order: Switch, context: Context) -> IdleReport:
        found = self._reports.report(ReportRequest(order.graph, context.number, order.round))
        acts = self._reports.acts((order.graph, context.number))
        if self._host.holds and context.syncs.keys() - self._host.alone.get(order.graph, set()):
            acts = "the manager is not heard"  # tokens may wait for SQs that are suspended until it is
        return msgspec.structs.replace(found, busy=acts)


def go_on_late(sync: GridSync, late: int, since: int | None) -> None:
    """Let a stream go on, from the root tick `since` on if it was held; instants at most `late` ticks late are run."""
    sync.catch_up = late
    if since is None:
        return
    sync.considered = max(sync.considered, since - 1)
    if sync.instant is not None and sync.instant < since:
        sync.next_after(since - 1)


def _go_on_late(context: Context, sync: GridSync, late: int, since: int | None) -> None:
    """`go_on_late`, of which the tap is told."""
    go_on_late(sync, late, since)
    if context.tap is not None:
        context.tap.goes_on_late(sync.sq.name, late, since)


def behind(placement: Placement, come: Iterable[TTSQ]) -> list[TTSQ]:
    """Of the SQs that come, the streams that run the instants since their states were saved (`InstanceState.late`)."""
    found = {sq for states in placement.states.values() for sq, state in states.items() if state.late}
    found -= {sq for sq, count in placement.generations.items() if count}  # lost since, where it may have run some
    return [sq for sq in come if sq.trigger == "grid" and sq.name in found]


def late(come: Iterable[TTSQ], streams: Collection[TTSQ]) -> list[TTSQ]:
    """SQs that come, those of `streams` made so that they run the instants that have passed."""
    return [msgspec.structs.replace(sq, missed="catch-up") if sq in streams else sq for sq in come]


def in_time_again(context: Context, sqs: Iterable[TTSQ], at: At) -> None:
    """Let streams skip what they miss, as the program has it, when they have run what they were to run late."""
    limit = context.agenda.now + LATE_LIMIT
    own = {sq.name: sq for sq in sqs if sq.trigger == "grid" and sq.missed != "catch-up"}

    def look() -> None:
        now = context.agenda.now
        for name in list(own):
            sync = context.syncs.get(name)
            if not isinstance(sync, GridSync) or sync.instant is None or sync.instant > now or now > limit:
                sq = own.pop(name)
                if isinstance(sync, GridSync):
                    sync.sq = sq
                    _go_on_late(context, sync, 0, None)
        if own:
            at(now + LOOK, look)
        elif not context.closed:
            context.accelerate()

    if own:
        at(context.agenda.now + 1, look)
