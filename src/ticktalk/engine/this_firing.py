"""`firing()`: the circumstances of the firing at hand, for bodies that ask for them."""

from __future__ import annotations

from typing import NamedTuple

from ticktalk.engine.components import running, what_runs
from ticktalk.engine.firing.base import Fire
from ticktalk.graph.sq import TTSQ
from ticktalk.time import ROOT, Tick, TTTime


class Firing(NamedTuple):
    """The firing at hand; ticks of the root clock.

    Attributes:
        interval: that of its inputs; of a stream: that of its data.
        instant: of a stream: the instant for which it fires; else the tick at which its inputs matched.
        late_by: how long after its instant its body began.
        deadline: the tick before which its result is due; None: the graph does not say it beforehand.
    """

    interval: TTTime
    instant: int
    late_by: int
    deadline: int | None


def firing() -> Firing:
    """The firing at hand, in the body of an SQ.

    Raises:
        LookupError: no body runs, or the SQ's own module, and those beside the program, do not name `firing`.
    """
    current = what_runs()
    told = getattr(current, "firing", None)
    if not isinstance(told, Firing):
        raise LookupError(
            "firing() tells of the firing at hand, so it works in a running SQ only, whose own source, or a module"
            " beside the program, names it: `from ticktalk import firing`"
        )
    return told


def telling(fire: Fire, sq: TTSQ, holder: object) -> Fire:
    """`fire`, preceded by the `Firing` that `holder.firing` is set to."""
    due = sq.due

    def fire_and_tell(start: Tick, stop: Tick, values: tuple[object, ...], now: int) -> None:
        # An instant lies in the middle of its interval: start = instant - width // 2.
        middle = start + (stop - start) // 2 if stop - start < float("inf") else now
        instant = int(middle) if sq.trigger == "grid" else now
        late, running.late = running.late, None  # a driver that lets firings wait says by how much
        late = now - instant if late is None else late
        ends = {"instant": instant, "now": now, "middle": int(middle), "start": instant + late}
        deadline = min((ends[since] + ticks for since, ticks in due.items()), default=None)
        holder.firing = Firing(TTTime(ROOT, start, stop), instant, late, deadline)  # type: ignore[attr-defined]
        fire(start, stop, values, now)

    return fire_and_tell
