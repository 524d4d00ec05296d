"""The bodies of a simulated ensemble, as its duties see them: they run in place, and take time on cores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ticktalk.engine.context import Context
from ticktalk.engine.hosting import EnsembleHost
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.body_runner import Loaded, Measured, Saved, misfits
from ticktalk.hosted.watchdog import OpenFiring
from ticktalk.simulation.cores import Cores


class SimulatedBodies:
    """Implements `ticktalk.hosted.body_runner.Bodies` over the cores of an ensemble.

    Args:
        host: the ensemble's.
        cores: on which they take their time; None: they take none.
        settle: lets control messages take their course.
    """

    def __init__(self, host: EnsembleHost, cores: Cores | None, settle: Callable[[], None]) -> None:
        self._host, self._cores, self._settle = host, cores, settle
        self.decode = None  # by the program's own code

    def load(self, graph: TTGraph, sqs: list[TTSQ], loaded: Loaded) -> None:
        """Try their code out at once."""
        loaded(self._host.try_out(graph.name, sqs))

    def try_values(self, graph: str, values: Mapping[str, list[bytes]], tried: Loaded) -> None:
        """Decode them at once."""
        tried(misfits(self._host.prepared[graph].code, values))

    def begin(self, context: Context) -> None:
        """The context has them."""

    def forget(self, context: Context, sqs: Collection[str]) -> None:
        """Take instances from their cores."""
        if self._cores is not None:
            self._cores.forget(context, sqs)

    def restore(self, context: Context, sq: str, state: bytes) -> None:
        """The context has done it."""

    def save(self, context: Context, sq: str, saved: Saved) -> None:
        """The context saves bodies that run in place."""
        saved(context, sq, None, [])

    def busy(self, context: Context) -> str:
        """A body that runs or waits for a core; empty when there is none."""
        return "" if self._cores is None else self._cores.busy(context)

    def under_way(self, context: Context) -> dict[str, OpenFiring]:
        """Simulated bodies end when they should."""
        return {}

    def when_idle(self, contexts: list[Context], sqs: Collection[str], then: Callable[[], None]) -> None:
        """Call `then` when the runs of these SQs have ended."""
        if self._cores is None or not contexts:
            then()
            self._settle()
        else:
            self._cores.when_idle(contexts[0], sqs, lambda: self.when_idle(contexts[1:], sqs, then))

    def measured(self, context: Context, profile: bool) -> Measured:
        """Nothing: streams start in their time, cores know how long they work, a deployment file has the costs."""
        return Measured()
