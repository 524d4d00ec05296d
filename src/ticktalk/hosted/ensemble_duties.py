"""The duties of an ensemble beside running its contexts: moves, checkpoints, reports. The same in both drivers.

Sans-I/O: a driver hands in the ways to send a message, to call at a tick, and to run bodies. Owned by the
timekeeper of the ensemble.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from typing import Any

from ticktalk.engine.context import Context
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.hosted.arc_numbers import ContextArcs
from ticktalk.hosted.body_runner import Bodies
from ticktalk.hosted.checkpoints import Checkpoints, Key
from ticktalk.hosted.completion import EnsembleReports
from ticktalk.hosted.moves import Moves
from ticktalk.hosted.switching import Switching
from ticktalk.messages import NetMsg, RuntimeMsg, SyncMsg
from ticktalk.payloads import ReportRequest, StartContext, StopGraph


class Duties:
    """The duties of one ensemble.

    Args:
        host: the graphs and contexts of the ensemble.
        bodies: theirs.
        manager: the manager's name.
        send: `(ensemble, kind, payload)`: sends a control message.
        listen: see `Moves`.
        at: see `Moves`.
        come_by: see `Moves`.
        saves_at: see `Checkpoints`.
        heard: see `Checkpoints`.
        own: see `EnsembleReports`.
        lost: told of a context, and what `ArcNumbers` tells.

    Attributes:
        arcs: by graph and context, how many tokens passed on its arcs; of contexts whose SQs can move.
    """

    def __init__(
        self,
        host: EnsembleHost,
        bodies: Bodies,
        manager: str,
        send: Callable[[str, Any, object], None],
        listen: Callable[[str, Collection[str], Collection[str]], None],
        at: Callable[[int, Callable[[], None]], None],
        come_by: Callable[[bool], int],
        saves_at: Callable[[int, Callable[[StartContext], None], StartContext], None],
        heard: Callable[[], bool] = lambda: True,
        own: Callable[[], dict[str, int]] = dict,
        lost: Callable[[Context, str, int], None] = lambda context, arc, missing: None,
    ) -> None:
        self._manager, self._send, self._lost = manager, send, lost
        self.arcs: dict[Key, ContextArcs] = {}
        self.checkpoints = Checkpoints(
            host, bodies, self.arcs, self._tell, lambda key: self.reports.busy(key), saves_at, heard
        )
        self.moves = Moves(host, bodies, self.arcs, self.checkpoints, manager, send, listen, at, come_by)
        self.reports = EnsembleReports(host, bodies, self.arcs, self.moves.under_way, own)
        self.switching = Switching(host, bodies, self.reports, self._tell, at)

    def handlers(self, family: type[enum.Enum]) -> dict[enum.Enum, Callable[[Any], object]]:
        """The handlers of the messages of a family that concern these duties."""
        moves = self.moves
        found: dict[enum.Enum, Callable[[Any], object]] = {
            SyncMsg.PLACE: moves.place,
            SyncMsg.EXPECT: moves.expect,
            SyncMsg.HAND_OVER: moves.hand_over,
            SyncMsg.REPORT: self._report,
            SyncMsg.SWITCH: self.switching.switch,
            SyncMsg.TRY: self.switching.try_values,
            NetMsg.HOW_FAR: moves.tell_how_far,
            NetMsg.SO_FAR: moves.so_far,
        }
        return {kind: handler for kind, handler in found.items() if isinstance(kind, family)}

    def add(self, context: Context) -> ContextArcs:
        """A context has been wired: the tokens on its arcs are counted from now on."""

        def lost(arc: str, missing: int) -> None:
            self._lost(context, arc, missing)

        passed = self.arcs[context.prepared.graph.name, context.number] = ContextArcs(context, lost)
        if context.tap is not None:
            context.tap.number_on = lambda arc: passed.numbers.get(arc, 0)
        return passed

    def forget(self, stop: StopGraph) -> None:
        """A graph was stopped, or a context has ended."""
        if stop.context is None:
            self.moves.forget(stop.graph)
        self.checkpoints.forget(stop)
        self.reports.forget(stop)
        for key in [key for key in self.arcs if stop.ends(key)]:
            del self.arcs[key]

    def _report(self, request: ReportRequest) -> None:
        self._tell(RuntimeMsg.REPORT, self.reports.report(request))

    def _tell(self, kind: RuntimeMsg, payload: object) -> None:
        self._send(self._manager, kind, payload)
