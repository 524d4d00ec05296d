"""The accelerator of a device: forms the regions of its contexts, and gives them the answers of their workers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ticktalk.engine.acceleration import ContextParts
from ticktalk.payloads import StopGraph
from ticktalk.physical.regions.device_sq import RegionWorkers
from ticktalk.physical.regions.formed import grids_in, shapes_on_device
from ticktalk.physical.regions.messages import RegionRan, RegionSkipped
from ticktalk.physical.regions.together import DeviceRegion
from ticktalk.physical.workers.worker_body import WorkerBody


class DeviceAccelerator:
    """Owned by the timekeeper (`Accelerator`).

    Args:
        workers: where the bodies run.

    Attributes:
        taking: by graph and context, and by the SQ of another ensemble that feeds it: the region that takes its tokens.
    """

    def __init__(self, workers: RegionWorkers) -> None:
        self._workers = workers
        self._regions: list[DeviceRegion] = []
        self._together: dict[int, DeviceRegion] = {}  # by the number by which its worker knows it
        self.taking: dict[tuple[str, int], dict[str, DeviceRegion]] = {}

    def form(self, context: ContextParts) -> list[DeviceRegion]:
        """The regions, as SQs are placed now; the former ones are retired."""
        self._regions = [region for region in self._regions if not region.ended]
        by_worker: dict[str, dict[str, WorkerBody]] = {}
        for name, body in self._workers.bodies(context).items():
            body.ended = None
            if name in context.syncs and name not in context.one_by_one:
                by_worker.setdefault(body.worker, {})[name] = body
        formed = []
        for mine in by_worker.values():
            sqs = [body.elsewhere.sq for body in mine.values()]
            for shape in shapes_on_device(
                context.prepared.graph, sqs, grids_in(context), lambda name: name not in context.syncs
            ):
                if context.tap is not None and not shape.tells_all:
                    continue
                bodies = [mine[member.sq.name] for member in shape.members]
                region = DeviceRegion(shape, context, self._workers, self, bodies)
                formed.append(region)
                for body in bodies:
                    body.ended = region.look_whether_idle
        self._regions += formed
        key = (context.prepared.graph.name, context.number)
        self.taking[key] = {region.shape.producer: region for region in formed if region.shape.kind == "token"}
        return formed

    def register(self, region: DeviceRegion) -> int:
        """A number by which its worker knows a region."""
        number = self._workers.number()
        self._together[number] = region
        return number

    def unregister(self, number: int) -> None:
        """No answer about this number will come."""
        self._together.pop(number, None)

    def still_run(self, bodies: Iterable[WorkerBody]) -> bool:
        """True if one of these bodies still runs in a region that has been retired."""
        mine = {body.ident for body in bodies}
        return any(region.still_runs(mine) for region in self._regions)

    def together(self, context: ContextParts) -> set[str]:
        """The SQs of a context that cross to their worker at once at present."""
        mine = [region for region in self._regions if region.context is context and region.together]
        return {part.body.elsewhere.sq.name for region in mine for part in region.parts}

    def busy(self, context: ContextParts, names: Collection[str] | None = None) -> str:
        """The SQ (of `names`, if given) that runs or waits to in a region of this context; empty: there is none."""
        for region in self._regions:
            if region.context is context and (name := region.busy(names)):
                return name
        return ""

    def oldest_runs(self, context: ContextParts) -> dict[str, object]:
        """By the first SQ of each region of a context that runs: what stands for its oldest run."""
        return {
            region.busy(None): region.runs[0] for region in self._regions if region.context is context and region.runs
        }

    def answer(self, answer: RegionRan | RegionSkipped) -> None:
        """Take a worker's answer to a run of a region."""
        region = self._together.get(answer.ident)
        if region is None:
            return  # of a graph that was stopped
        if isinstance(answer, RegionRan):
            self._workers.ended_at(answer.ended)
            for index, part in enumerate(region.parts):
                part.body.together += index not in answer.absent
            region.ran(answer)
        else:
            region.skipped()
        if not region.under_way(answer.ident):
            self._together.pop(answer.ident, None)
        region.look_whether_idle()
        if region.ended:
            for other in self._regions:
                other.look_whether_idle()

    def died(self, worker: str) -> None:
        """A worker died: runs under way in its regions are lost."""
        for region in self._regions:
            if region.worker == worker:
                region.lost()
        self._together = {number: region for number, region in self._together.items() if region.worker != worker}

    def stop(self, stop: StopGraph) -> None:
        """Forget the regions of a graph, or of a context that has ended."""
        for key in [key for key in self.taking if stop.ends(key)]:
            del self.taking[key]
        kept = []
        for region in self._regions:
            if not stop.ends((region.context.prepared.graph.name, region.context.number)):
                kept.append(region)
            elif stop.context is not None:
                region.dissolve()  # so that its worker forgets it
        self._regions = kept
        self._together = {number: region for number, region in self._together.items() if region in self._regions}
