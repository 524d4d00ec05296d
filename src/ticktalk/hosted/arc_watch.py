"""The arcs of an ensemble that somebody watches: a copy of each token goes to the manager.

State: until which tick each arc is watched. The manager asks again from time to time, for as long as a command watches;
nobody has to say that it ends. While an arc is watched, its SQ stays with the general engine, and its tokens go one by
one. Nothing lies on the way of tokens of other arcs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ticktalk.engine.context import Context
from ticktalk.engine.forwarding import TTSQForward, Way
from ticktalk.records import ArcToken, WatchArc
from ticktalk.time import NEG_INFINITY, Tick
from ticktalk.values.codec import encoded

WATCHED = 10_000_000
"""Microseconds for which an arc is watched after it was asked for."""

MOST = 100
"""Arcs of an ensemble that are watched at a time."""


class ArcWatch:
    """The watched arcs of one ensemble; owned by the timekeeper.

    Args:
        ensemble: its name.
        contexts: those here, by graph and number.
        now: the present root tick.
        send: sends a token to the manager.
    """

    def __init__(
        self,
        ensemble: str,
        contexts: Mapping[tuple[str, int], Context],
        now: Callable[[], int],
        send: Callable[[ArcToken], None],
    ) -> None:
        self._ensemble, self._contexts, self._now, self._send = ensemble, contexts, now, send
        self._until: dict[tuple[str, str], int] = {}

    def watch(self, asked: WatchArc) -> None:
        """Watch an arc for a while, in all contexts of its graph here, also those that have begun since."""
        if asked.key not in self._until and len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[asked.key] = self._now() + WATCHED
        for (graph, _), context in self._contexts.items():
            if graph == asked.graph:
                self._look(context, asked.arc)

    def _look(self, context: Context, arc: str) -> None:
        sq = arc.rpartition("/")[0]
        forward = context.forwards.get(sq)
        if forward is not None and sq not in context.watched:
            context.watched.add(sq)
            context.accelerate()
            self._wrap(context, forward)

    def _wrap(self, context: Context, forward: TTSQForward) -> None:
        graph, number, sq = context.prepared.graph.name, context.number, forward.sq.name
        along, together = forward.along, forward.publish_together

        def unwrap() -> None:
            forward.along, forward.publish_together = along, together  # type: ignore[method-assign]
            context.watched.discard(sq)
            context.agenda.deliver_at(context.agenda.now, context.accelerate)  # not in the middle of a token's way

        def watched(way: Way, value: Any, start: Tick, stop: Tick) -> None:
            along(way, value, start, stop)
            now = self._now()
            if now < self._until.get((graph, way.name), NEG_INFINITY):
                self._send(ArcToken(graph, number, way.name, self._ensemble, start, stop, now, bytes(encoded(value))))
                return
            # Gone, too, where another context saw its end, or newer arcs took its place.
            self._until.pop((graph, way.name), None)
            if not any(key[0] == graph and key[1].rpartition("/")[0] == sq for key in self._until):
                unwrap()

        forward.along, forward.publish_together = partial(watched), None  # type: ignore[method-assign]
