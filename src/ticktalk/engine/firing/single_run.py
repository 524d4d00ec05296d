"""At most one firing in flight (`TTSingleRunTimeout`), with any firing rule."""

from __future__ import annotations

from typing import Any

from ticktalk.counters import Counters
from ticktalk.engine.firing.base import Fire, Leave, Send, takes_full_tokens
from ticktalk.graph.sq import TTSQ
from ticktalk.time import NEG_INFINITY, Tick


class SingleRun:
    """At most one firing of an SQ in flight (`TTSingleRunTimeout`).

    Inputs that come meanwhile are dropped and counted. It is free again at any end of the body, or `timeout` root ticks
    after it was taken. A result that comes when another input has been taken is dropped and counted. An
    instance runs its firings one at a time and in order, so the first result is that of the first firing.

    Args:
        sq: the SQ.
        counters: where drops are counted.
        send: where results go.
        leave: takes the inputs that are dropped; with it `fire` is given them with their intervals.
    """

    def __init__(self, sq: TTSQ, counters: Counters, send: Send, leave: Leave | None = None) -> None:
        self._sq = sq.name
        self._counters = counters
        self._send = send
        self.leave = leave
        self._full = takes_full_tokens(sq)
        self._ports = [port for port in sq.ports if port.constant is None]
        self.timeout = sq.single_run or 0
        self.taken = 0  # firings begun, and ended
        self.ended = 0
        self.free_at: Tick = NEG_INFINITY
        self.fire_body: Fire

    def fire(self, start: Tick, stop: Tick, values: tuple[Any, ...], now: int) -> None:
        """Take the set unless a firing is in flight."""
        if self.ended < self.taken and now < self.free_at:
            self._counters.add(self._sq, "busy")
            if self.leave is not None:
                for port, (begin, end, value) in zip(self._ports, values, strict=True):
                    if not port.sticky:
                        self.leave(value, begin, end, ())
            return
        if self.leave is not None and not self._full:
            values = tuple([value for _, _, value in values])
        self.taken += 1
        self.free_at = now + self.timeout
        self.fire_body(start, stop, values, now)

    def send(self, value: Any, start: Tick, stop: Tick) -> None:
        """Pass a result on, unless a later firing has taken its place."""
        if self.ended + 1 < self.taken:
            self._counters.add(self._sq, "late_results")
        else:
            self._send(value, start, stop)

    def done(self) -> None:
        """The body of the oldest firing in flight has ended."""
        self.ended += 1
