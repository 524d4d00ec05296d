"""The seam between an ensemble's duties and the runner of its bodies: workers on a device, or simulated cores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from ticktalk.engine.context import Context
from ticktalk.engine.state import Load
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.watchdog import UnderWay

Loaded = Callable[[str | None], None]
"""Takes the problem that keeps bodies from running here, or None."""

Saved = Callable[[Context, str, bytes | None, list[str]], None]
"""`(context, sq, state, left_out)`: takes an `sq_state`, and names the values in it that have no codec."""


class Bodies(Protocol):
    """The bodies of the SQs on one ensemble."""

    @property
    def decode(self) -> Load | None:
        """Makes a context's value from a saved one; None: the value, by the program's own classes."""

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Loaded) -> None:
        """Make the code of SQs ready here; `loaded` is told at once or later."""

    def begin(self, context: Context) -> None:
        """Bodies of a context were placed; called before any of them fires."""

    def forget(self, context: Context, sqs: Collection[str]) -> None:
        """Instances have ended; later acts of their bodies have no effect."""

    def restore(self, context: Context, sq: str, state: bytes) -> None:
        """Let a body that runs away from its context go on with an `sq_state`."""

    def save(self, context: Context, sq: str, saved: Saved) -> None:
        """Give `saved` the `sq_state` of a body that runs away from its context, as of all it was given to do."""

    def busy(self, context: Context) -> str:
        """An SQ whose body runs or waits to run; empty when there is none."""

    def under_way(self, context: Context) -> Mapping[str, UnderWay]:
        """By SQ, the oldest firing that runs or waits to, where that takes real time."""

    def when_idle(self, contexts: list[Context], sqs: Collection[str], then: Callable[[], None]) -> None:
        """Call `then`, at once or later, when no body of these SQs runs; they are given no more."""

    def lateness(self, context: Context) -> dict[str, list[int]]:
        """See `IdleReport`."""

    def worked(self, context: Context) -> int:
        """Microseconds for which bodies have run, where that takes real time."""

    def profile(self, context: Context) -> dict[str, tuple[list[int], list[int]]]:
        """See `IdleReport`."""
