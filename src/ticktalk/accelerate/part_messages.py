"""What the two halves of a part say to each other: commands of the timekeeper, answers of the worker.

`ident` is the number of the part (of a `Member`: of the body). `start` and `stop` are root ticks. The times `instant`,
`following`, `begun` and `ended` are of the host's monotonic clock, in microseconds.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ticktalk.payloads import FiringError
from ticktalk.time import Tick


class Member(msgspec.Struct, array_like=True):
    """One SQ of a part, as its worker has to know it.

    Attributes:
        ident: the number of its body.
        wires: by port that is fed within the part: the place of the SQ that feeds it, the number of that SQ's wire,
            and whether it is the only one.
        inner: by wire that begins here, the path of the part of the result that goes there.
        outer: the paths of the parts of the result that leave, and whether each is an output.
        settled: by port, the value that stays there for good.
    """

    ident: int
    wires: dict[int, tuple[int, int, bool]]
    inner: list[list[int]]
    outer: list[tuple[list[int], bool]]
    settled: dict[int, bytes]


class FormPart(msgspec.Struct, array_like=True, tag="form"):
    """Run these bodies as one part from now on; the first `roots` of them get what comes.

    Attributes:
        feeds: by root, the arc of the SQ elsewhere that feeds it; empty if none does.
    """

    ident: int
    roots: int
    members: list[Member]
    feeds: list[int]


class RunPart(msgspec.Struct, array_like=True, tag="run"):
    """Run a part once.

    Attributes:
        arcs: of a token from elsewhere: the index of its arc, or the bytes of several (`wire.arcs_in`).
        data: the value of that arc, or an array of those of several; else a value for each input of each root (None:
            the root does not fire).
        instant, following: of a source: the instant for which it fires, and the next one; else None.
    """

    ident: int
    start: Tick
    stop: Tick
    arcs: int | bytes
    data: Any
    instant: int | None
    following: int | None


class PartRan(msgspec.Struct, array_like=True, tag="ran"):
    """The answer to `RunPart`.

    Attributes:
        edges: what leaves the part: `[index of the SQ, *result]`.
        leftovers: values that found no partner: `[index of the SQ, port, value]`.
        errors: of firings.
        late: whether it was late (`engine.lateness`).
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


class PartSkipped(msgspec.Struct, array_like=True, tag="part skipped"):
    """The answer to `RunPart` if it was too late to start."""

    ident: int


class SplitPart(msgspec.Struct, array_like=True, tag="split"):
    """Run the bodies one by one again, after what is under way."""

    ident: int
