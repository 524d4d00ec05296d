"""The search for what a program stands, over processes: `ticktalk explore`, and `ticktalk.explore` in Python.

The next trial depends on what was found, never on which process was faster: so any number of processes finds the
same.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import typer

from ticktalk.cli import arguments
from ticktalk.cli import explore_worker as worker
from ticktalk.cli.simulated_run import SimulatedRun, network_delay_of
from ticktalk.cli.sweep import words_of
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.durations import duration_text
from ticktalk.error_hints import wanted_by
from ticktalk.errors import TTError, writing
from ticktalk.exploration.all_dimensions import SearchBox, corners
from ticktalk.exploration.certificate import AllTogether, AxisBound, Certificate, Counterexample
from ticktalk.exploration.dimensions import (
    KINDS,
    LASTING,
    SEEDS,
    USUAL,
    Dimension,
    Places,
    Point,
    dimensions,
    events_of,
    matching,
    read_range,
)
from ticktalk.exploration.moments import Moments
from ticktalk.exploration.one_dimension import Bound, Trial, bound
from ticktalk.exploration.outcomes import FirstDifference, Outcome
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import DeploymentFile, LinkSpec
from ticktalk.simulation.event_file import FileEvent, events_text

SHARDS = 8
"""Parts of the search with all dimensions at once, each with a seed of its own."""

CORNERS = 8
"""Corners of a box that are tried."""

RUNS = 1_000
"""Points that are tried with all dimensions at once, unless another number is asked for."""


class Axis(NamedTuple):
    """One direction of a dimension.

    Attributes:
        dimension: the dimension.
        sign: 1 or -1.
    """

    dimension: Dimension
    sign: int

    @property
    def name(self) -> str:
        """The dimension's name; with `-` before it, the numbers below 0."""
        return ("-" if self.sign < 0 else "") + self.dimension.name

    @property
    def end(self) -> int:
        """The number at its end, without its sign."""
        return self.dimension.high if self.sign > 0 else -self.dimension.low


class Pool:
    """Processes that do the runs of a job.

    Args:
        job: what is searched.
        jobs: how many processes.
        done: called after each run, with how many.
    """

    def __init__(self, job: worker.SearchJob, jobs: int, done: Callable[[int], None]) -> None:
        context = get_context("spawn")
        self._stopped = context.Event()
        self._executor = ProcessPoolExecutor(jobs, context, worker.begin_process, (job, self._stopped))
        self._done = done
        self.runs = 0

    def submit(self, call: Callable[..., Any], *given: Any) -> Future[Any]:
        """Have a process call a function of `explore_worker`."""
        return self._executor.submit(call, *given)

    def count(self, runs: int) -> None:
        """So many runs are done."""
        self.runs += runs
        self._done(runs)

    def tried(self, points: Sequence[Point]) -> list[FirstDifference | None]:
        """The first difference of each of some points."""
        futures = [self.submit(worker.tried, point) for point in points]
        found = []
        for future in futures:
            found.append(future.result())
            self.count(1)
        return found

    def close(self) -> None:
        """End the processes, each after the run that it does."""
        self._stopped.set()
        # One that is just starting still wants what is shared with it, so all are waited for.
        self._executor.shutdown(wait=True, cancel_futures=True)


class Search:
    """One search.

    Args:
        pool: does the runs.
        space: the dimensions.
        seed: the first seed of runs, and of all that is drawn.
        moments: by the names of cuts and failures, the moments at which they are begun.
        resolution: microseconds by which a duration may be too small.
    """

    def __init__(
        self, pool: Pool, space: list[Dimension], seed: int, moments: Mapping[str, Moments], resolution: int
    ) -> None:
        self._pool, self._space, self._seed, self._moments = pool, space, seed, moments
        self._resolution = resolution
        self._differ: dict[tuple[str, Trial], FirstDifference] = {}  # by axis
        self.axes = [Axis(each, sign) for each in space for sign in (1, -1) if (each.high if sign > 0 else -each.low)]

    def _cases(self, axis: Axis) -> int:
        """The number of moments, or of seeds, with which a number on an axis is tried."""
        if axis.dimension.name in self._moments:
            return len(self._moments[axis.dimension.name].ticks)
        return SEEDS if KINDS[axis.dimension.kind].by_chance else 1

    def point(self, axis: Axis, trial: Trial) -> Point:
        """The run of a number on an axis in one of its cases."""
        value, case = trial
        name = axis.dimension.name
        values = {name: axis.sign * value}
        if name in self._moments:
            return Point(values, self._seed, {name: self._moments[name].ticks[case]})
        return Point(values, self._seed + case, {})

    def cases_in_words(self, axis: Axis) -> str:
        """The cases in which a value is tried: moments of a cut or a failure, seeds of chance; "": there is one."""
        if axis.dimension.name in self._moments:
            return self._moments[axis.dimension.name].words
        return f"with {SEEDS} seeds" if KINDS[axis.dimension.kind].by_chance else ""

    def bounds(self) -> list[tuple[Axis, Bound, int]]:
        """The bound along each axis, and how many runs it took; all axes at the same time."""
        found: dict[int, tuple[Axis, Bound, int]] = {}
        waiting: dict[Future[Any], tuple[int, Trial]] = {}  # to its axis, and what is tried
        searches: dict[int, Generator[list[Trial], Sequence[bool], Bound]] = {}
        asked: dict[int, list[Trial]] = {}
        runs, left = (dict.fromkeys(range(len(self.axes)), 0) for _ in range(2))

        def ask(number: int, trials: list[Trial]) -> None:
            asked[number] = trials
            left[number] = len(trials)
            for trial in trials:
                waiting[self._pool.submit(worker.tried, self.point(self.axes[number], trial))] = (number, trial)

        for number, axis in enumerate(self.axes):
            step = {"duration": self._resolution, "share": 100, "drift": 1}[KINDS[axis.dimension.kind].unit]
            searches[number] = bound(axis.end, self._cases(axis), step, Random(f"{self._seed} {axis.name}"))
            ask(number, next(searches[number]))
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                number, trial = waiting.pop(future)
                name = self.axes[number].name
                if (differs := future.result()) is not None:
                    self._differ[name, trial] = differs
                runs[number] += 1
                left[number] -= 1
                self._pool.count(1)
                if not left[number]:
                    try:
                        ask(number, searches[number].send([(name, each) not in self._differ for each in asked[number]]))
                    except StopIteration as ended:
                        found[number] = (self.axes[number], ended.value, runs[number])
        return [found[number] for number in sorted(found)]

    def first(self, axis: Axis, trial: Trial) -> tuple[Point, FirstDifference]:
        """The run of a number on an axis that was tried for its bound, and how it differed."""
        return self.point(axis, trial), self._differ[axis.name, trial]

    def together(self, bounds: list[tuple[Axis, Bound, int]], runs: int) -> tuple[int, int, Point | None]:
        """All dimensions at once: the percentage of all bounds that stands, in how many runs; the least that differs.

        Its corners are tried first. Where one differs, the largest part of the bounds whose corners do not is searched.
        """
        before, least = self._pool.runs, None
        percent, differing = self._largest_part(bounds)
        if differing is not None:
            least, tried = self._pool.submit(worker.lessened, differing).result()
            self._pool.count(tried)
        while percent:
            point = self._searched(bounds, percent, runs)
            if point is None:
                break
            least = point
            percent //= 2
        return percent, self._pool.runs - before, least

    def _box(self, bounds: list[tuple[Axis, Bound, int]], percent: int) -> SearchBox:
        ranges = {each.name: [0, 0] for each in self._space}
        for axis, found, _ in bounds:
            ranges[axis.dimension.name][axis.sign > 0] = axis.sign * (found.safe * percent // 100)
        moments = {name: found.ticks for name, found in self._moments.items()}
        return SearchBox(self._space, {n: (low, high) for n, (low, high) in ranges.items()}, self._seed, moments)

    def _largest_part(self, bounds: list[tuple[Axis, Bound, int]]) -> tuple[int, Point | None]:
        """The percentage of all bounds whose corners do not differ, and the first corner that does beyond it."""
        low, high, percent = 0, 101, 100
        differing = None
        while high - low > 1:
            worst = corners(self._box(bounds, percent), CORNERS, Random(self._seed))
            found = [point for point, each in zip(worst, self._pool.tried(worst), strict=True) if each]
            if found:
                high, differing = percent, found[0]
            else:
                low = percent
            percent = (low + high) // 2
        return low, differing

    def _searched(self, bounds: list[tuple[Axis, Bound, int]], percent: int, runs: int) -> Point | None:
        """The least point that differs among those that are tried within a part of all bounds, if any."""
        box = self._box(bounds, percent)
        futures = [
            self._pool.submit(worker.searched, box, -(-runs // SHARDS), 1000 * self._seed + shard)
            for shard in range(SHARDS)
        ]
        found = []
        for future in futures:
            point, tried = future.result()
            self._pool.count(tried)
            if point is not None:
                found.append(point)
        return min(found, key=_weight) if found else None


def _weight(point: Point) -> tuple[int, int, str]:
    return len(point.values), sum(abs(value) for value in point.values.values()), str(sorted(point.values.items()))


def explore(
    program: str | Path | TTGraph,
    vary: Mapping[str, str] | None = None,
    *,
    until: str | None = None,
    input: Mapping[str, Any] | None = None,
    graph: str | None = None,
    ensemble: Sequence[str] = (),
    component: Sequence[str] = (),
    deployment: str | Path | None = None,
    mapping: str | Path | None = None,
    network_delay: str | None = None,
    events: str | Path | None = None,
    outputs: Sequence[str] = (),
    check: str | None = None,
    expect: Mapping[str, str] | None = None,
    runs: int = RUNS,
    jobs: int | None = None,
    seed: int = 0,
    resolution: str = "1us",
    folder: str | Path | None = None,
    done: Callable[[int], None] = lambda runs: None,
) -> Certificate:
    """Search for what a program stands: up to which delays, losses, clock errors its outputs stay the same.

    Args:
        program: the program, a compiled graph's file, or a graph.
        vary: what is made worse, and how much: `{"link-delay": "0..200ms", "clock:edge": "-50ms..50ms"}`; None: delay,
            jitter and loss of links, clock errors, and times of bodies.
        until: when streams end; None: with their windows. Tokens that were sent until then still arrive.
        input, graph, ensemble, component, deployment, mapping, network_delay: as for `ticktalk simulate`.
        events: a file of what happens in every run, beside what is made worse.
        outputs: the output SQs that count; none: all.
        check: `module:function` beside the program: it is given the outputs of each run, and asserts what must hold.
        expect: bounds that are expected: `{"clock:edge": "30ms"}`; those that are not there are `unmet`.
        runs: how many points are tried with all dimensions at once.
        jobs: processes; None: one for each processor. The result is the same.
        seed: of the runs and of the search.
        resolution: by how much a duration that is found may be too small.
        folder: where the counterexamples are written; None: nowhere.
        done: called with a number of runs that are done.

    Raises:
        TTError: the program is wrong, cannot be placed, breaks its own assertions as it is, or an argument is wrong.
    """
    with wanted_by("explore"):
        import_module("hypothesis")
    try:
        compiled = program if isinstance(program, TTGraph) else arguments.load_graph(str(program), graph)
        settings: dict[str, Any] = {
            "length": arguments.length(until, 0),
            "near": Path.cwd() if isinstance(program, TTGraph) else Path(program).resolve().parent,
            "inputs": dict(input or {}),
            "ensembles": list(ensemble),
            "components": list(component),
            "deployment": None if deployment is None else Path(deployment),
            "mapping": None if mapping is None else Path(mapping),
            "delay": network_delay_of(network_delay, deployment),
            "events": None if events is None else Path(events).resolve(),
        }
        least_step = arguments.duration(resolution, "--resolution")
    except typer.BadParameter as error:
        raise TTError(error.message) from None
    placed = SimulatedRun(graph=compiled, **settings).placed
    known = {sq.name for sq in compiled.sqs if any(arc.output for arc in sq.arcs)}
    if wrong := [name for name in outputs if name not in known]:
        raise TTError(f"--outputs {wrong[0]}: there is no such output (there are: {', '.join(sorted(known))})")
    job = worker.SearchJob(compiled.to_json(), settings, list(outputs), check)
    pool = Pool(job, jobs or os.cpu_count() or 1, done)
    try:
        usual, host_of, happens = _usual(pool, seed)
        places = Places.of(compiled, host_of, DEFAULT_RUNTIME_MANAGER_NAME)
        asked = vary if vary is not None else {kind: KINDS[kind].usual for kind in USUAL}
        space = dimensions(asked.items(), places)
        expected = _expected(expect or {}, places, space)
        search = Search(pool, space, seed, _moments(pool, space, seed), max(1, least_step))
        deployed = placed.deployment or DeploymentFile("", (), default=LinkSpec(settings["delay"]))
        tell = _Tell(_replay(program, graph, settings, network_delay, until), deployed, happens, folder)
        bounds = search.bounds()
        axes = [_axis_bound(search, tell, *each) for each in bounds]
        several = len({axis.dimension.name for axis, found, _ in bounds if found.safe}) > 1
        together = _together(search, pool, tell, bounds, runs) if several and runs else None
        counts = {name: len(tokens) for name, tokens in usual.outputs.items()}
        return Certificate(compiled.name, counts, pool.runs, axes, together, _unmet(axes, expected))
    except BrokenProcessPool:
        raise TTError("a process that did the runs has ended: a body ends its process, or the memory is full") from None
    finally:
        pool.close()


def _usual(pool: Pool, seed: int) -> tuple[Outcome, dict[str, str], Sequence[FileEvent]]:
    """The outcome of a run with nothing made worse, where each SQ is then, and the events that happen all the same.

    Raises:
        TTError: an assertion does not hold then, or two such runs differ.
    """
    found: tuple[Outcome, dict[str, str], Sequence[FileEvent]] = pool.submit(worker.usual, seed).result()
    pool.count(1)
    if found[0].broken:
        raise TTError(f"an assertion does not hold although nothing is made worse: {found[0].broken[0]}")
    again = pool.submit(worker.tried, Point({}, seed, {})).result()
    if again is not None:
        what = "a body looks at a clock, or at random numbers that no seed sets"
        raise TTError(f"two runs that are alike differ, so nothing can be searched: {what}: {again.what}")
    return found


def _moments(pool: Pool, space: list[Dimension], seed: int) -> dict[str, Moments]:
    """By their names, the moments of cuts and failures, from one more run with nothing made worse."""
    lasting = [each for each in space if each.kind in LASTING]
    if not lasting:
        return {}
    found: dict[str, Moments] = pool.submit(worker.moments, seed, lasting).result()
    pool.count(1)
    return found


def _axis_bound(search: Search, tell: _Tell, axis: Axis, found: Bound, taken: int) -> AxisBound:
    """The bound along an axis, as the certificate has it."""
    safe, first = axis.sign * found.safe, None
    if found.differs is not None:
        first = tell.counterexample(axis.name, *search.first(axis, (found.differs, found.case)))
    text, cases = axis.dimension.text(safe), search.cases_in_words(axis)
    return AxisBound(axis.name, safe, text, first is None, found.steady, found.tried, taken, cases, first)


def _together(search: Search, pool: Pool, tell: _Tell, bounds: list[tuple[Axis, Bound, int]], runs: int) -> AllTogether:
    """The search with all dimensions at once, as the certificate has it."""
    percent, taken, least = search.together(bounds, runs)
    shown = None
    if least is not None:
        (differs,) = pool.tried([least])
        assert differs is not None
        shown = tell.counterexample("together", least, differs)
    return AllTogether(percent, taken, shown)


def _unmet(axes: list[AxisBound], expected: Mapping[str, tuple[int, str]]) -> list[str]:
    """The bounds that are smaller than was expected, a sentence each."""
    return [
        f"{axis.dimension}: {axis.safe_text} stands, {expected[axis.dimension][1]} was expected"
        for axis in axes
        if axis.dimension in expected and abs(axis.safe) < expected[axis.dimension][0]
    ]


def _expected(expect: Mapping[str, str], places: Places, space: list[Dimension]) -> dict[str, tuple[int, str]]:
    """By the name of an axis, the number that is expected, and its text.

    Raises:
        TTError: one is no dimension of the space.
    """
    found: dict[str, tuple[int, str]] = {}
    for name, text in expect.items():
        kind, targets = matching(name, places)
        low, high = read_range(kind, text)
        for target in targets:
            each = Dimension(kind, target, low, high)
            for sign, end in ((1, high), (-1, -low if low or not KINDS[kind].signed else high)):
                if end:
                    found[Axis(each, sign).name] = end, each.text(sign * end)
    for name in (name.lstrip("-") for name in found):
        if name not in {each.name for each in space}:
            raise TTError(f"--expect {name}: it is not searched: give a --vary for it, too")
    return found


def _replay(
    program: str | Path | TTGraph, graph: str | None, settings: Mapping[str, Any], delay: str | None, until: str | None
) -> list[str]:
    """The words of the command that does one run."""
    words = ["ticktalk", "simulate", "PROGRAM" if isinstance(program, TTGraph) else str(program)]
    named = {"graph": graph, "until": until, "deployment": settings["deployment"], "mapping": settings["mapping"]}
    named |= {"network-delay": delay}
    words += words_of({**named, "ensemble": settings["ensembles"], "component": settings["components"]})
    return words + words_of({"input": settings["inputs"]})


class _Tell:
    """Writes counterexamples down.

    Args:
        words: of the command that does a run.
        deployment: what is meant by nothing.
        happens: in every run.
        folder: where they are written; None: nowhere.
    """

    def __init__(
        self, words: list[str], deployment: DeploymentFile, happens: Sequence[FileEvent], folder: str | Path | None
    ) -> None:
        self._words, self._deployment, self._happens = words, deployment, happens
        self._folder = None if folder is None else Path(folder)
        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TTError(f"-o {folder}: there can be no such folder: {error.strerror}") from None

    def counterexample(self, name: str, point: Point, differs: FirstDifference) -> Counterexample:
        """The point as a file of events, and the command that shows what it does."""
        text = events_text([*self._happens, *events_of(point, self._deployment)])
        file = ""
        if self._folder is not None:
            path = self._folder / (name.replace(":", "-").replace(",", "-").replace("--", "-").lstrip("-") + ".yaml")
            if name.startswith("-"):
                path = path.with_stem(path.stem + "-below")
            with writing(f"{path}:"):
                path.write_text(f"# {differs.what}\n{text}", encoding="utf-8")
            file = str(path)
        replay = shlex.join([*self._words, "--seed", str(point.seed), "--events", file or "EVENTS.yaml"])
        worse = {each: _text(each, value, point) for each, value in point.values.items()}
        return Counterexample(worse, differs, text, point.seed, file, replay)


def _text(name: str, value: int, point: Point) -> str:
    kind, _, of = name.partition(":")
    text = Dimension(kind, tuple(of.split(",")), 0, 0).text(value)
    return f"{text} from {duration_text(point.moments[name])} on" if name in point.moments else text
