"""Bounds in bytes what waits for a partner, or for the turn of an SQ that is held, on one ensemble.

A token that waits is bounded in time (`EVICTION_BOUND`), which says nothing of long values. So the bytes of arrivals
are summed up. When they may be too many, those that still wait are looked at: the stalest leave, counted. That costs an
addition for each token. Below the bound a program means what it means without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.state import Numbered
from ticktalk.time import Tick
from ticktalk.values.codec import Encoded, held_bytes

WAITING_BYTES = 128 << 20
"""Bytes of encoded values that wait in one SQ; an eighth more until they are looked at again. With its `sq_state` they
fit in one frame, so the SQ can move."""

TOKEN = 200
"""Bytes that a token takes beside its value."""


class WaitingBytes:
    """The bytes that wait at the SQs of one ensemble; owned by the timekeeper.

    Args:
        later: makes a call soon, outside of arrivals.
    """

    def __init__(self, later: Callable[[Callable[[], None]], None]) -> None:
        self._later = later
        self._watched: WeakSet[TTSQSync] = WeakSet()

    def watch(self, context: Context) -> None:
        """Bound the SQs of a context that are not bounded yet."""
        for sync in context.syncs.values():
            if sync not in self._watched:
                self._watched.add(sync)
                self._watch(sync)

    def _watch(self, sync: TTSQSync) -> None:
        receive, later = sync.receive, self._later
        left = most = WAITING_BYTES

        def measured(port: int, start: Tick, stop: Tick, value: Any, from_other_ensemble: bool = False) -> None:
            nonlocal left
            receive(port, start, stop, value, from_other_ensemble)
            left -= TOKEN + (len(value.data) if value.__class__ is Encoded else held_bytes(value))
            if left < 0:
                left = most
                later(look)

        def look() -> None:
            nonlocal left
            left = max(most // 8, most - shed(sync, most))

        sync.receive = measured  # type: ignore[method-assign]  # nothing is asked where nothing is to be bounded


def shed(sync: TTSQSync, most: int) -> int:
    """Let the stalest tokens of an SQ leave, counted, until values of `most` bytes wait there; the bytes left."""
    held = sync.shed(_size, most)
    for tokens in (sync.inbox, sync.remote):  # many only if it is held
        held += sum(_size(token[3]) for token in tokens)
        gone = 0
        while held > most and gone < len(tokens):
            held -= _size(tokens[gone][3])
            gone += 1
        left = tokens[:gone]
        del tokens[:gone]
        sync.counters.add(sync.sq.name, "overflow", gone)
        for _, start, stop, value in left if sync.leave is not None else ():
            assert sync.leave is not None
            sync.leave(value, start, stop, ())
    return held


def _size(value: Any) -> int:
    """The bytes of a waiting token, by its value; one that waits for a deadline has its arrival beside it."""
    if value.__class__ is tuple and value and value[-1].__class__ is Numbered:
        value = value[-1]
    size = held_bytes(value.value if value.__class__ is Numbered else value)
    return size + TOKEN if size else 0
