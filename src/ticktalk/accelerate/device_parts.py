"""All parts of a device's contexts that may cross to their workers at once: they are formed and given answers here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from ticktalk.accelerate.device_region import Body, DeviceRegion
from ticktalk.accelerate.part_messages import FormPart, PartRan, PartSkipped, RunPart, SplitPart
from ticktalk.accelerate.plan import plans_on_device
from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.codec import Data
from ticktalk.engine.firing import GridSync
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.graph.sq import TTSQ
from ticktalk.time import Tick


class Workers(Protocol):
    """What the parts ask of the workers."""

    mark: Callable[[Data], Any]
    """Makes of a value what stands for it in a command."""

    def number(self) -> int:
        """A number by which no body and no part is known yet."""

    def bodies(self, context: ContextParts) -> Mapping[str, Body]:
        """By SQ, a context's bodies in workers."""

    def ended_at(self, microseconds: int) -> None:
        """Bodies ended at this time (monotonic), and what they sent is looked at next."""

    def send(self, worker: str, command: FormPart | RunPart | SplitPart) -> None:
        """Send a command to a worker."""

    def parts_of(self, result: list[Any], sends: TTSQForward) -> Any:
        """A result as it came from a worker, for the forward part of its SQ."""

    def due(self, grid: GridSync, start: Tick) -> tuple[int, int]:
        """The instant of a source's firing, and the next one (monotonic)."""

    def after(self, microseconds: int, call: Callable[[], None]) -> None:
        """Call `call()` after a time."""


class DeviceParts:
    """Owned by the timekeeper.

    Args:
        workers: where the bodies run.

    Attributes:
        taking: by graph and context, and by the SQ of another ensemble that feeds it: the part that takes its tokens.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self.mark, self.send, self.due, self.after = workers.mark, workers.send, workers.due, workers.after
        self.parts_of = workers.parts_of
        self._parts: list[DeviceRegion] = []
        self._together: dict[int, DeviceRegion] = {}  # by the number by which its worker knows it
        self.taking: dict[tuple[str, int], dict[str, DeviceRegion]] = {}

    def form(self, context: ContextParts) -> list[DeviceRegion]:
        """The parts of a context, as its SQs are placed now; the former ones are retired."""
        self._parts = [part for part in self._parts if not part.ended]
        by_worker: dict[str, dict[str, Body]] = {}
        for name, body in self._workers.bodies(context).items():
            body.ended = None
            if name in context.syncs and name not in context.waiting_to_fire:
                by_worker.setdefault(body.worker, {})[name] = body
        formed = []
        for mine in by_worker.values():
            sqs = [body.elsewhere.sq for body in mine.values()]
            for plan in plans_on_device(
                context.prepared.graph, sqs, partial(_grid_of, context), lambda name: name not in context.syncs
            ):
                bodies = [mine[node.sq.name] for node in plan.members]
                part = DeviceRegion(plan, context, self, bodies)
                formed.append(part)
                for body in bodies:
                    body.ended = part.look_whether_idle
        self._parts += formed
        key = (context.prepared.graph.name, context.number)
        self.taking[key] = {part.plan.producer: part for part in formed if part.plan.kind == "token"}
        return formed

    def register(self, part: DeviceRegion) -> int:
        """A number by which its worker knows a part."""
        number = self._workers.number()
        self._together[number] = part
        return number

    def unregister(self, number: int) -> None:
        """No answer about this number will come."""
        self._together.pop(number, None)

    def still_run(self, bodies: list[Body]) -> bool:
        """Whether one of these bodies still runs in a part that has been retired."""
        mine = {body.ident for body in bodies}
        return any(part.still_runs(mine) for part in self._parts)

    def busy(self, context: ContextParts, names: Collection[str] | None = None) -> str:
        """The SQ (of `names`, if given) that runs or waits to run in a part of this context; empty: there is none."""
        for part in self._parts:
            if part.context is context and (name := part.busy(names)):
                return name
        return ""

    def answer(self, answer: PartRan | PartSkipped) -> None:
        """Take a worker's answer to a run of a part."""
        part = self._together.get(answer.ident)
        if part is None:
            return  # of a graph that was stopped
        if isinstance(answer, PartRan):
            self._workers.ended_at(answer.ended)
            part.ran(answer)
        else:
            part.skipped()
        if not part.under_way(answer.ident):
            self._together.pop(answer.ident, None)
        part.look_whether_idle()
        if part.ended:
            for other in self._parts:
                other.look_whether_idle()

    def died(self, worker: str) -> None:
        """A worker died: what was under way in its parts is lost."""
        for part in self._parts:
            if part.worker == worker:
                part.lost()
        self._together = {number: part for number, part in self._together.items() if part.worker != worker}

    def stop(self, graph: str) -> None:
        """Forget the parts of a graph."""
        for key in [key for key in self.taking if key[0] == graph]:
            del self.taking[key]
        self._parts = [part for part in self._parts if part.context.prepared.graph.name != graph]
        self._together = {number: part for number, part in self._together.items() if part in self._parts}


def _grid_of(context: ContextParts, sq: TTSQ) -> tuple[int, int, int]:
    """A source's period, phase and width at present."""
    sync = context.syncs[sq.name]
    assert isinstance(sync, GridSync)
    return sync.period, sync.phase, sync.width
