"""The seam between an ensemble's duties and the runner of its bodies: workers on a device, or simulated cores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from ticktalk.engine.bodies import GraphCode
from ticktalk.engine.context import Context
from ticktalk.engine.state import Load
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.watchdog import OpenFiring
from ticktalk.payloads import Place
from ticktalk.series import BySQ

Loaded = Callable[[str | None], None]
"""Takes the problem that keeps bodies from running here, or None."""

Saved = Callable[[Context, str, bytes | None, list[str]], None]
"""`(context, sq, state, left_out)`: takes an `sq_state`, and names the values in it that have no codec."""


Work = tuple[int, int, int, int]
"""Of an SQ with a body: firings, those that were timed by themselves, microseconds of these, firings that run or wait.
Of a deadline: those that were kept, and three times 0."""


class Measured(NamedTuple):
    """The measurements of the bodies of a context; where nothing is measured, nothing.

    Attributes:
        lateness, profile, work, places: as in `IdleReport`.
        worked: microseconds for which bodies have run.
        metrics: those that bodies have set.
    """

    lateness: dict[str, list[int]] = {}
    worked: int = 0
    profile: dict[str, tuple[list[int], list[int]]] = {}
    work: dict[str, Work] = {}
    metrics: BySQ = {}
    places: dict[str, Place] = {}


class Bodies(Protocol):
    """The bodies of the SQs on one ensemble."""

    @property
    def decode(self) -> Load | None:
        """Makes a context's value from a saved one; None: the value, by the program's own classes."""

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Loaded) -> None:
        """Make the code of SQs ready here; `loaded` is told at once or later."""

    def try_values(self, graph: str, values: Mapping[str, list[bytes]], tried: Loaded) -> None:
        """See whether values, by SQ that is loaded, fit the classes of a graph here; `tried` is told of the problem."""

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

    def under_way(self, context: Context) -> Mapping[str, OpenFiring]:
        """By SQ, the oldest firing that runs or waits to, where that takes real time."""

    def when_idle(self, contexts: list[Context], sqs: Collection[str], then: Callable[[], None]) -> None:
        """Call `then`, at once or later, when no body of these SQs runs; they are given no more."""

    def measured(self, context: Context, profile: bool) -> Measured:
        """The measurements of a context's bodies; costs of functions only if they are asked for (`profile`)."""


def misfits(code: GraphCode, values: Mapping[str, list[bytes]]) -> str | None:
    """The problem with values, by SQ, that cannot be made again with the classes of a graph; None: they all can."""
    problems = {}
    for sq, each in values.items():
        for value in each:
            try:
                code.decode(value)
            except Exception as error:  # a codec that the program registered may raise anything
                problems[sq] = f"{sq} holds a value that does not fit its new version: {error}"
    return "; ".join(problems.values()) or None
