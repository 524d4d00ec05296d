"""The processes of `ticktalk explore`, in each of which many runs are done, one after the other."""

from __future__ import annotations

import copy
import io
import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.synchronize import Event as Stopped
from typing import Any, NamedTuple

from ticktalk.cli.simulated_run import SimulatedRun, endless
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.exploration.all_dimensions import SearchBox, least, search
from ticktalk.exploration.dimensions import Dimension, Point, events_of
from ticktalk.exploration.moments import Happenings, Moments
from ticktalk.exploration.outcomes import FirstDifference, Outcome, difference, outcome
from ticktalk.factories import imported
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.hosted.tapping import Tapped
from ticktalk.mapping.deployment_file import DeploymentFile, LinkSpec
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.simulation.driver import Simulation
from ticktalk.simulation.event_file import FileEvent

Check = Callable[[list[OutputToken]], Any]
"""Looks at the outputs of a run; raises an error, or returns False, where something is wrong."""


class SearchJob(NamedTuple):
    """A search, as it goes to the processes.

    Attributes:
        graph: the graph's file.
        settings: of each run, as `SimulatedRun` takes them.
        only: the output SQs that count; none: all.
        check: as `module:function`; None: there is none.
    """

    graph: bytes
    settings: Mapping[str, Any]
    only: Sequence[str]
    check: str | None


class Runs:
    """The runs of one process.

    Args:
        job: what is searched.
        stopped: says whether nobody waits for the results any more.
    """

    def __init__(self, job: SearchJob, stopped: Callable[[], bool]) -> None:
        self._job = job
        self._stopped = stopped
        self._run = SimulatedRun(graph=TTGraph.from_json(job.graph), **job.settings)
        self._deployment = self._run.placed.deployment or DeploymentFile("", (), default=LinkSpec(self._run.delay))
        self._usual: dict[int, Outcome] = {}
        self.host_of: dict[str, str] = {}
        self.happens: Sequence[FileEvent] = ()  # in every run

    def usual(self, seed: int) -> Outcome:
        """The outcome of a run with nothing made worse."""
        if seed not in self._usual:
            self._usual[seed] = self._outcome(Point({}, seed, {}))
        return self._usual[seed]

    def tried(self, point: Point) -> FirstDifference | None:
        """The first difference of a run; None: there is none."""
        if self._stopped():
            raise KeyboardInterrupt
        return difference(self.usual(point.seed), self._outcome(point), self._job.only)

    def moments(self, seed: int, lasting: Sequence[Dimension]) -> dict[str, Moments]:
        """By their names, the moments at which cuts and failures are begun."""
        happenings = Happenings(self._run.graph)

        def watch(simulation: Simulation) -> None:
            simulation.tap = lambda ensemble, _: Tapped(partial(happenings.note, ensemble), simulation.now)

        self._outcome(Point({}, seed, {}), watch)
        return {each.name: happenings.moments(each, self.host_of, DEFAULT_RUNTIME_MANAGER_NAME) for each in lasting}

    def _outcome(self, point: Point, watch: Callable[[Simulation], None] = lambda simulation: None) -> Outcome:
        run = copy.copy(self._run)
        run.seed = point.seed
        run.more_events = events_of(point, self._deployment)
        outputs: list[OutputToken] = []
        failures: list[FiringError] = []
        nowhere = io.StringIO()
        with BodyOutput(nowhere, nowhere), run.manager() as manager:
            manager.on_output(outputs.append, notes=True)
            manager.on_error(failures.append)
            watch(manager.simulation)
            run.begin(streams_end=True)
            manager.simulation.agenda.on_endless = endless
            manager.simulation.run()
            self.host_of = run.host_of
            self.happens = run.happens[: len(run.happens) - len(run.more_events)]
            counters = manager.counters(run.graph)
            broken = self._broken(outputs)
        return outcome(outputs, counters, failures, broken)

    def _broken(self, outputs: list[OutputToken]) -> list[str]:
        name = self._job.check
        if name is None:
            return []
        check: Check = imported(f"--check {name}", name, self._run.near)
        try:
            if check(outputs) is not False:
                return []
            return [f"{name} returned False"]
        except AssertionError as error:
            return [f"{name}: {error}" if str(error) else f"{name}: an assertion does not hold"]
        except Exception as error:  # such as of `outputs[0]`, where none came
            return [f"{name}: {type(error).__name__}: {error}"]


_runs: Runs | None = None


def begin_process(job: SearchJob, stopped: Stopped) -> None:
    """Make a process of its own ready for the runs of a job; Ctrl-C is for the process that waits for them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    begin(job, stopped)


def begin(job: SearchJob, stopped: Stopped) -> None:
    """Make this process ready for the runs of a job, until it is stopped."""
    global _runs
    logging.disable(logging.ERROR)
    nowhere = io.StringIO()
    with BodyOutput(nowhere, nowhere):
        _runs = Runs(job, stopped.is_set)


def usual(seed: int) -> tuple[Outcome, dict[str, str], Sequence[FileEvent]]:
    """The outcome of a run with nothing made worse, where each SQ is then, and the events that happen all the same."""
    assert _runs is not None
    return _runs.usual(seed), _runs.host_of, _runs.happens


def moments(seed: int, lasting: Sequence[Dimension]) -> dict[str, Moments]:
    """By their names, the moments at which cuts and failures are begun."""
    assert _runs is not None
    return _runs.moments(seed, lasting)


def tried(point: Point) -> FirstDifference | None:
    """The first difference of a run; None: there is none."""
    assert _runs is not None
    return _runs.tried(point)


def searched(box: SearchBox, runs: int, chance: int) -> tuple[Point | None, int]:
    """Search a box (`exploration.all_dimensions.search`)."""
    assert _runs is not None
    mine = _runs
    return search(box, runs, chance, lambda point: mine.tried(point) is not None)


def lessened(point: Point) -> tuple[Point, int]:
    """The same made less (`exploration.all_dimensions.least`)."""
    assert _runs is not None
    mine = _runs
    return least(point, lambda point: mine.tried(point) is not None)
