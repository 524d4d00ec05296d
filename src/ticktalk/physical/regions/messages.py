"""Messages between the two halves of a region on a device: commands of the timekeeper, answers of the worker.

`ident` is the number of the region (of a `MemberInWorker`: of the body). `start` and `stop` are root ticks. The times
`instant`, `following`, `begun` and `ended` are of the host's monotonic clock, in microseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ticktalk.payloads import FiringError
from ticktalk.time import Tick

ORDERS_KEPT = 1000
"""Sets of arcs that came together that are remembered, in each half."""


class MemberInWorker(msgspec.Struct, array_like=True):
    """One SQ of a region, as its worker has to know it.

    Attributes:
        ident: the number of its body.
        wires: by port fed within the region, the number of the wire among all.
        inner: by wire that begins here, in order, the path of the part of the result that goes there.
        outer: the paths of the parts of the result that leave, and whether each is an output.
        settled: by port, the value that stays there for good.
    """

    ident: int
    wires: dict[int, int]
    inner: list[list[int]]
    outer: list[tuple[list[int], bool]]
    settled: dict[int, bytes]


class FormRegion(msgspec.Struct, array_like=True, tag="form"):
    """Run these bodies as one region from now on; the first `roots` of them get the input.

    Attributes:
        feeds: by root, the arc of the SQ elsewhere that feeds it; empty if none does.
    """

    ident: int
    roots: int
    members: list[MemberInWorker]
    feeds: list[int]


class RunRegion(msgspec.Struct, array_like=True, tag="run"):
    """Run a region once.

    Attributes:
        arcs: of a token from elsewhere: the index of its arc, or the bytes of several (`token_frames.arcs_in`).
        data: the value of that arc, or an array of those of several; else a value for each input of each root (None:
            the root does not fire).
        instant, following: of a source: the instant for which it fires, and the next one; else None.
        now: of a source: when the firing was decided.
    """

    ident: int
    start: Tick
    stop: Tick
    arcs: int | bytes
    data: Any
    instant: int | None
    following: int | None
    now: int = 0


class RegionRan(msgspec.Struct, array_like=True, tag="ran"):
    """The answer to `RunRegion`.

    Attributes:
        edges: the results that leave the region: `[index of the SQ, *result]`.
        leftovers: values that found no partner: `[index of the SQ, port, value]`.
        errors: of firings.
        late: whether it was late (`engine.lateness`).
        absent: the indexes of the SQs that did not fire.
    """

    ident: int
    edges: list[list[Any]]
    leftovers: list[list[Any]]
    errors: list[FiringError]
    start: Tick
    stop: Tick
    begun: int
    ended: int
    late: bool
    absent: list[int] = []


class RegionSkipped(msgspec.Struct, array_like=True, tag="region skipped"):
    """The answer to `RunRegion` if it was too late to start."""

    ident: int


class SplitRegion(msgspec.Struct, array_like=True, tag="split"):
    """Run the bodies one by one again, after the runs under way."""

    ident: int
