"""The lateness of a stream's firing, and the limit for its start: one rule for all places of a body.

A firing that cannot start before the later of its interval's end and the next instant is skipped. One that starts
at its interval's end or later, but before the next instant, runs and is counted.
"""

from __future__ import annotations

from typing import Literal

from ticktalk.time import Tick


def lateness(tick: Tick, stop: Tick, following: Tick) -> Literal["skipped", "late_starts"] | None:
    """The counter for a stream's firing that starts at `tick`; None: it is in time.

    Args:
        tick: when its body can start.
        stop: the end of its interval.
        following: the stream's next instant, or a later limit (`GridSync.limit`). All three are ticks of one clock.
    """
    if tick < stop:
        return None
    return "skipped" if tick >= following else "late_starts"
