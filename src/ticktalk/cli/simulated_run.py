"""One run in simulated time, from its settings to its end: `ticktalk simulate`, and `ticktalk.simulate` in Python."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simpy
import typer

from ticktalk.cli import arguments
from ticktalk.cli.placement import LocalPlacement, placement
from ticktalk.counters import Counts
from ticktalk.defaults import CHECKPOINT_PERIOD, DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.durations import interval_text
from ticktalk.ensemble import TTEnsemble
from ticktalk.errors import TTError
from ticktalk.factories import is_given, make_driver
from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.body_costs import Meter
from ticktalk.hosted.lease import DEAD_AFTER
from ticktalk.payloads import FiringError, OutputToken
from ticktalk.runtime_manager import TTRuntimeManagerSim
from ticktalk.simulation.driver import Simulation
from ticktalk.source_problems import did_you_mean
from ticktalk.time import INFINITY, Tick

if TYPE_CHECKING:
    from ticktalk.simulation.event_file import FileEvent


@dataclass(kw_only=True)
class SimulatedRun:
    """A run: first `manager`, then `begin`, then `go`.

    Attributes:
        graph: the graph.
        start, length: when, and for how long: root ticks; length None: until nothing is left to do.
        near: the program's folder, where the factories of drivers are.
        inputs: by name.
        ensembles, components: as options of `ticktalk simulate`.
        drivers: components that are there already, as `ENSEMBLE.NAME`.
        deployment, mapping, events: files.
        more_events: what happens beside those of the file, in order.
        delay: root ticks that tokens between two ensembles take.
        noticed_after, save_every: as `Faults` has them; root ticks.
        seed: of Python's and NumPy's random numbers.
        log: the file that outputs are appended to.
        meter: measures the bodies.
        happens: all events, once there is a manager.
    """

    graph: TTGraph
    start: int = 0
    length: int | None = None
    near: Path = field(default_factory=Path.cwd)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    ensembles: Sequence[str] = ()
    components: Sequence[str] = ()
    drivers: Mapping[str, Any] = field(default_factory=dict)
    deployment: Path | None = None
    mapping: Path | None = None
    delay: int = 0
    events: Path | None = None
    more_events: Sequence[FileEvent] = ()
    noticed_after: int = DEAD_AFTER
    save_every: int = CHECKPOINT_PERIOD
    seed: int | None = None
    log: Path | None = None
    meter: Meter | None = None

    def __post_init__(self) -> None:
        """Place the SQs.

        Raises:
            typer.BadParameter, TTError: as `placement`.
        """
        self._joining: list[str] = []
        self._looks = False  # a driver has the environment
        if self.events is not None:
            from ticktalk.simulation.event_file import joining_ensembles

            self._joining = joining_ensembles(self.events)
        components = [*self.components, *(f"{place}=drivers:given" for place in self.drivers)]
        self.placed: LocalPlacement = placement(
            self.graph, self.ensembles, components, self.deployment, self.mapping, self._joining
        )

    def manager(self) -> TTRuntimeManagerSim:
        """The runtime manager, its ensembles, and the events that will happen.

        Raises:
            TTError: a driver cannot be made, the log cannot be written, or the file of events is wrong.
        """
        env = simpy.Environment(initial_time=self.start)
        asked = dict(self.placed.ensembles)
        own = asked.pop(DEFAULT_RUNTIME_MANAGER_NAME, None)
        deployment = self.placed.deployment
        told = {spec.name: spec.info().modules for spec in deployment.ensembles} if deployment else {}
        first = {option.partition("=")[0] for option in self.ensembles}
        later = {name: asked.pop(name) for name in self._joining if name in asked and name not in first}
        members = [
            TTEnsemble(None, name, components=self._drivers(option, env), modules=told.get(name, ()))
            for name, option in asked.items()
        ]
        own_drivers = self._drivers(own, env) if own is not None else None
        happens = self.happens = [*self._events([member.name for member in members]), *self.more_events]
        if deployment is None and any(event.kind in ("link", "cost") for event in happens):
            from ticktalk.mapping.deployment_file import DeploymentFile, LinkSpec

            deployment = DeploymentFile("", (), default=LinkSpec(self.delay))
        simulation = Simulation.of(env)
        simulation.seed = self.seed or 0
        simulation.drivers_look = self._looks or bool(later)
        for event in happens:
            if event.kind == "clock":
                simulation.clock_of(event.ensembles[0])
        self._manager = TTRuntimeManagerSim(
            self.log,
            members,
            env,
            network_delay=self.delay,
            deployment=deployment,
            meter=self.meter,
            components=own_drivers,
        )
        if happens:
            self._schedule(happens, {**asked, **later}, env)
        return self._manager

    def _events(self, there: list[str]) -> list[FileEvent]:
        """The events of the file."""
        if self.events is None:
            return []
        from ticktalk.simulation.event_file import read_events

        found = read_events(self.events, there, DEFAULT_RUNTIME_MANAGER_NAME)
        beside = self.events.parent
        return [e._replace(program=str(beside / e.program)) if e.program else e for e in found]

    def _schedule(
        self, happens: list[FileEvent], options: Mapping[str, arguments.EnsembleOption], env: simpy.Environment
    ) -> None:
        from ticktalk.simulation.changes import SystemChanges, schedule
        from ticktalk.simulation.event_file import CHANGES
        from ticktalk.simulation.faults import Faults

        def drivers(name: str, listed: Iterable[str]) -> dict[str, Any]:
            option = options.get(name) or arguments.EnsembleOption(name, {})
            return {**dict.fromkeys(listed), **self._drivers(option, env)}

        simulation = self._manager.simulation
        if any(event.kind in ("link", "cost") for event in happens):
            simulation.change_links()
        self._check_costs(happens)
        if all(event.kind in CHANGES for event in happens):
            happen = SystemChanges(self._manager).happen
        else:
            versions = {e.program: arguments.load_graph(e.program) for e in happens if e.program}
            faults = Faults(self._manager, self.noticed_after, self.save_every, drivers, versions.__getitem__)
            happen = faults.happen
        for event in happens:
            schedule(event, simulation, self.start, happen)

    def _check_costs(self, happens: list[FileEvent]) -> None:
        functions = {sq.function for sq in self.graph.sqs}
        known = set() if self.placed.deployment is None else {*self.placed.deployment.costs}
        for event in happens:
            if event.kind == "cost":
                what = ""
                if event.function not in functions:
                    hint = did_you_mean(event.function, functions)
                    what = f"the graph has no function {event.function!r}" + (f"; {hint}" if hint else "")
                elif event.at and event.function not in known:
                    what = f"{event.function!r} has no costs before: write another entry for it, `at: 0s`"
                if what:
                    raise TTError.at(str(self.events), (event.line, what))
                known.add(event.function)

    def _drivers(self, option: arguments.EnsembleOption, env: simpy.Environment) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, factory in option.components.items():
            place = f"{option.name}.{name}"
            if place in self.drivers or factory is None:
                made[name] = self.drivers.get(place)
                self._looks |= made[name] is not None  # who made it may have the environment, too
            else:
                made[name] = make_driver(option.name, name, factory, self.near, env=env)
                self._looks |= is_given(factory, self.near, "env")
        return made

    def begin(self, streams_end: bool = False) -> None:
        """Instantiate the graph, and start it; `streams_end`: after `length`, and all that was sent still arrives."""
        state = self._manager.instantiate_and_map_graph(
            self.graph, mapping=self.placed.mapping, weights=self.placed.weights
        )
        self.host_of = state.host_of
        if self.seed is not None:
            random.seed(self.seed)
            numpy = sys.modules.get("numpy")  # bodies that use it have loaded it by now
            if numpy is not None:
                numpy.random.seed(self.seed)
        self._manager.execute_graph(self.graph, self.inputs, length=self.length if streams_end else None)

    def go(self, steps: Callable[[int, int], Iterable[int]] = lambda start, stop: (stop,)) -> None:
        """Run to the end.

        Args:
            steps: the ticks between two at which to come up for air; the last is the second.

        Raises:
            TTError: a stream has no end, and so the run has none.
        """
        simulation = self._manager.simulation
        if self.length is None:
            simulation.agenda.on_endless = endless
            simulation.run()
        else:
            for tick in steps(self.start, self.start + self.length):
                simulation.run(tick)


def endless(stream: str) -> None:
    """A stream has no end, and the run is to end by itself.

    Raises:
        TTError: says so.
    """
    raise TTError(f"stream {stream} has no end, so the run would have none: say when it ends, such as --until 20s")


def network_delay_of(text: str | None, deployment: str | Path | None) -> int:
    """The root ticks that every token takes between two ensembles; None: none.

    Raises:
        typer.BadParameter: it is no duration, or a deployment file says it already.
    """
    if text is not None and deployment is not None:
        raise typer.BadParameter(
            f"--network-delay {text} with --deployment: the links of the deployment file say what tokens take."
            f" Write `links: [default: {{latency: {text}}}]` there, or leave --deployment out"
        )
    return arguments.duration(text or "0us", "--network-delay")


WIDTH = 48
"""Characters of a time line."""


class Simulated:
    """The results of a simulated run.

    Attributes:
        graph: the graph; a notebook draws it.
        outputs: the output tokens in order of arrival; `value`, `start`, `stop` (root ticks), `sq`, `ensemble`, ...
        errors: those of firings.
        counters: by SQ, what is not zero.
        waiting: by SQ and port, the tokens that still wait there.
    """

    def __init__(self, graph: TTGraph) -> None:
        self.graph = graph
        self.outputs: list[OutputToken] = []
        self.errors: list[FiringError] = []
        self.counters: Counts = {}
        self.waiting: dict[str, dict[str, int]] = {}

    @property
    def values(self) -> list[Any]:
        """The values of the outputs."""
        return [token.value for token in self.outputs]

    def rows(self) -> list[dict[str, Any]]:
        """The outputs as rows, for `pandas.DataFrame`: values as they are, ticks of the root clock."""
        names = ("graph", "context", "sq", "ensemble", "value", "start", "stop", "arrival")
        return [{name: getattr(token, name) for name in names} for token in self.outputs]

    def timeline(self, tokens: Sequence[OutputToken] | None = None) -> str:
        """The outputs (or some of them) on a line of time, as text: a row for each token."""
        from ticktalk.explain.why import shown_value  # no command needs it

        shown = self.outputs if tokens is None else list(tokens)
        ends = [tick for token in shown for tick in (token.start, token.stop) if abs(tick) != INFINITY]
        low, high = (min(ends), max(ends)) if ends else (0, 1)

        def column(tick: Tick) -> int:
            return int((min(max(tick, low), high) - low) * WIDTH // max(1, high - low))  # it may have no end

        rows = []
        for token in shown:
            first, last = column(token.start), column(token.stop)
            bar = " " * first + "=" * max(1, last - first)
            where = interval_text(token.start, token.stop)
            rows.append(f"  {bar:{WIDTH + 1}} {where}  {token.sq}: {shown_value(token.value)}")
        return "\n".join(rows) if rows else "  (no output)"

    def __repr__(self) -> str:
        told = f"{len(self.outputs)} outputs of {self.graph.name!r}"
        return f"<{told}, {len(self.errors)} of firings failed>" if self.errors else f"<{told}>"


def simulate(
    program: str | Path | TTGraph,
    *,
    until: str | None = None,
    start: str = "0",
    input: Mapping[str, Any] | None = None,
    graph: str | None = None,
    ensemble: Sequence[str] = (),
    component: Mapping[str, Any] | None = None,
    deployment: str | Path | None = None,
    mapping: str | Path | None = None,
    network_delay: str | None = None,
    events: str | Path | None = None,
    seed: int | None = None,
    watch: Callable[[TTRuntimeManagerSim], None] | None = None,
) -> Simulated:
    """Run a program in simulated time: `ticktalk.simulate("prog.py", until="10s").outputs`.

    Args:
        program: the program, a compiled graph's file, or a graph.
        until: how long, such as `"10s"`; None: until nothing is left to do.
        start: a tick of the root clock, a duration, or a date.
        input: the graph's inputs by name; one named `trigger` defaults to 1.
        graph: which graph of the program; None: the outermost one.
        ensemble: `"NAME"` or `"NAME=COMPONENT,..."`; by default one for each name that constraints ask for.
        component: by `"ENSEMBLE.NAME"`: the driver object, or a text `"module:factory"`.
        deployment, mapping, events: files, as for `ticktalk simulate`.
        network_delay: what tokens between two ensembles take.
        seed: of random numbers: Python's, NumPy's, and those of links.
        watch: called with the manager before the graph starts, to add callbacks.

    Raises:
        TTError: the program is wrong (`TTSyntaxError`), cannot be placed, or an argument is wrong.
    """
    times = {"until": until, "start": start, "network_delay": network_delay}
    files = {"deployment": deployment, "mapping": mapping, "events": events}
    _check(times, str, "a text with its unit, such as {name}='10s'")
    _check(files, str | Path, "the name of a file")
    _check({"input": input, "component": component}, Mapping, "a dict, such as {name}={{'NAME': ...}}")
    if seed is not None and not (isinstance(seed, int) and 0 <= seed < 2**32):
        raise TTError(f"seed={seed!r}: write a whole number from 0 to {2**32 - 1}")
    if isinstance(ensemble, str) or not all(isinstance(each, str) for each in ensemble):
        raise TTError(f"ensemble={ensemble!r}: write a list of texts, such as ensemble=['edge=camera', 'hub']")
    given = component or {}
    if wrong := [place for place in given if not all(place.rpartition("."))]:
        raise TTError(f"component {wrong[0]!r}: name it ENSEMBLE.NAME, such as 'edge.camera'")
    try:
        first = arguments.start_tick(start)
        compiled = program if isinstance(program, TTGraph) else arguments.load_graph(str(program), graph)
        run = SimulatedRun(
            graph=compiled,
            start=first,
            length=arguments.length(until, first),
            near=Path.cwd() if isinstance(program, TTGraph) else Path(program).resolve().parent,
            inputs=input or {},
            ensembles=ensemble,
            components=[f"{place}={factory}" for place, factory in given.items() if isinstance(factory, str)],
            drivers={place: driver for place, driver in given.items() if not isinstance(driver, str)},
            deployment=_path(deployment),
            mapping=_path(mapping),
            delay=network_delay_of(network_delay, deployment),
            events=_path(events),
            seed=seed,
        )
    except typer.BadParameter as error:
        raise TTError(error.message) from None
    done = Simulated(compiled)
    with run.manager() as manager:
        manager.on_output(done.outputs.append, notes=True)
        manager.on_error(done.errors.append)
        if watch is not None:
            watch(manager)
        run.begin()
        run.go()
        done.counters, done.waiting = manager.counters(compiled), manager.waiting(compiled)
    return done


def _check(given: Mapping[str, Any], wanted: Any, what: str) -> None:
    """See that arguments are of a type, where they are given; `what` says how they are written."""
    for name, value in given.items():
        if value is not None and not isinstance(value, wanted):
            raise TTError(f"{name}={value!r}: write {what.format(name=name)}")


def _path(name: str | Path | None) -> Path | None:
    return None if name is None else Path(name)
