"""`ticktalk simulate`: the same program in simulated time, deterministic, as fast as the machine allows."""

from __future__ import annotations

import gc
import json
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import Results, results_gone
from ticktalk.cli.ending import tell_end
from ticktalk.cli.firing_errors import FiringErrors
from ticktalk.cli.simulated_run import SimulatedRun, network_delay_of
from ticktalk.cli.streams import say
from ticktalk.defaults import CHECKPOINT_PERIOD
from ticktalk.durations import duration_text
from ticktalk.errors import TTError, writing
from ticktalk.hosted.body_costs import Meter
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.hosted.lease import DEAD_AFTER
from ticktalk.manager.events import Event, Joined, Left
from ticktalk.payloads import OutputToken


def simulate(
    program: options.Program,
    until: options.Until = None,
    start_at: Annotated[
        str,
        typer.Option(
            "--start", "--start-at", metavar="TICK|TIME", help="When it begins: a tick, a duration, a date, a time."
        ),
    ] = "0",
    input: options.Inputs = None,
    ensemble: options.Ensembles = None,
    component: options.Components = None,
    deployment: options.Deployment = None,
    mapping: options.Mapping = None,
    network_delay: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="What every token between two ensembles takes; default: nothing."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="What fails, recovers, joins, is cut off, and when.")
    ] = None,
    notice: Annotated[
        str, typer.Option(metavar="DURATION", help="How long a failure takes to be noticed (--events).")
    ] = duration_text(DEAD_AFTER),
    checkpoint: Annotated[
        str, typer.Option(metavar="DURATION", help="How often what SQs need to go on is saved (--events); 0s: never.")
    ] = duration_text(CHECKPOINT_PERIOD),
    log: options.Log = None,
    jsonl: options.Jsonl = False,
    plot: options.Plot = None,
    profile: options.Profile = None,
    record: options.Record = None,
    record_outputs: options.RecordOutputs = None,
    trace: options.Trace = None,
    otel: options.Otel = None,
    web: options.Web = None,
    strict: options.Strict = False,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            max=2**32 - 1,
            help="Seed the random numbers of bodies (Python's, NumPy's) and of links.",
        ),
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write counters and the number of errors as JSON.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Many runs: the settings of each, or those that vary.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "-j",
            "--jobs",
            metavar="COUNT",
            min=1,
            max=options.MOST_JOBS,
            help="Runs at a time (--runs); default: one a processor.",
        ),
    ] = None,
    dask: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The Dask scheduler that does the runs (--runs).")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.jsonl", help="Write a line for each run (--runs).")
    ] = None,
    of: options.Graph = None,
) -> None:
    files = {"deployment": deployment, "mapping": mapping, "events": events}
    read = {"the program": program, "--runs": runs, **{f"--{name}": path for name, path in files.items()}}
    if runs is not None:
        from ticktalk.cli.simulate_runs import simulate_runs

        alone: dict[str, object] = {"--log": log, "--jsonl": jsonl, "--plot": plot, "--profile": profile}
        alone |= {"--record": record, "--summary": summary, "--trace": trace, "--record-outputs": record_outputs}
        alone |= {"--otel": otel, "--web": web, "--strict": strict}
        if given := [name for name, value in alone.items() if value]:
            what = f"{given[0]} is for one run; with --runs, -o FILE.jsonl has the outputs and errors of all"
            raise typer.BadParameter(what)
        fixed = {
            "until": until,
            "start": start_at,
            "seed": seed,
            "input": arguments.inputs(input or []),
            "ensemble": ensemble,
            "component": component,
            "network-delay": network_delay,
            "notice": notice,
            "checkpoint": checkpoint,
            **{name: str(path) for name, path in files.items() if path is not None},
        }
        arguments.check_different(read, output=output)
        simulate_runs(program, of, runs, fixed, jobs, dask, output)
        return
    if given := [name for name, value in {"-j": jobs, "--dask": dask, "-o": output}.items() if value is not None]:
        raise typer.BadParameter(f"{given[0]} is for many runs: give --runs FILE.yaml, too")
    if summary is not None and not summary.parent.is_dir():
        raise TTError(f"--summary {summary}: there is no folder {summary.parent}")
    if profile is not None:
        from ticktalk.cli.profile import check_profile_file, write_profile

        check_profile_file(profile, deployment)
    arguments.check_different(
        read,
        record=record,
        log=log,
        record_outputs=record_outputs,
        plot=plot,
        profile=profile,
        trace=trace,
        summary=summary,
    )
    start = arguments.start_tick(start_at)
    length = arguments.length(until, start)
    delay = network_delay_of(network_delay, deployment)
    values = arguments.inputs(input or [])
    if start < 0:
        raise typer.BadParameter(f"--start {start_at}: a tick of the root clock is 0 or more")
    if plot is not None:
        from ticktalk.cli.plot import check_plot_file, plot_outputs

        check_plot_file(str(plot))
    noticed_after = arguments.duration(notice, "--notice")
    save_every = arguments.duration(checkpoint, "--checkpoint")
    graph = arguments.load_graph(program, of)
    measured = Meter(lambda: time.perf_counter_ns() // 1_000) if profile is not None else None
    made = SimulatedRun(
        graph=graph,
        start=start,
        length=length,
        near=Path(program).resolve().parent,
        inputs=values,
        ensembles=ensemble or [],
        components=component or [],
        deployment=deployment,
        mapping=mapping,
        delay=delay,
        events=events,
        noticed_after=noticed_after,
        save_every=save_every,
        seed=seed,
        log=log,
        meter=measured,
    )
    tokens: list[OutputToken] = []
    failures = FiringErrors()
    with ExitStack() as stack:
        results = stack.enter_context(Results(jsonl, results_gone))
        stack.enter_context(BodyOutput(results.elsewhere, results.elsewhere))
        manager = stack.enter_context(made.manager())
        gc.freeze()  # the ensembles live as long as this process: to look through them for garbage takes seconds
        if trace is not None:
            from ticktalk.cli.record import also_traced

            record = also_traced(record, trace, stack)
        recording = stack.enter_context(ExitStack())
        asked_for = {"until": until, "network-delay": network_delay}
        asked_for |= {option: str(path) for option, path in files.items() if path is not None}
        if record is not None or otel is not None:
            from ticktalk.cli.record import tell_lacks, writer_to
            from ticktalk.cli.telemetry import telemetry
            from ticktalk.recording.of_simulation import RecordedSimulation

            writer = writer_to(record, None if otel is None else telemetry(otel, manager))
            assert writer is not None
            recorded = RecordedSimulation(manager, writer, {name: value for name, value in asked_for.items() if value})
            recording.callback(lambda: tell_lacks(record or Path(), recorded.finish()))
        if record_outputs is not None:
            from ticktalk.cli.record import record_outputs as outputs_to

            outputs_to(record_outputs, manager, asked_for, recording)
        manager.on_output(results.add, notes=True)
        if plot is not None:
            manager.on_output(tokens.append, notes=True)
        manager.on_error(failures.add)
        if events is not None:
            manager.watch(lambda event: _say(manager.simulation.agenda.now - start, event))
        pages = None
        if web is not None:
            from ticktalk.cli.dashboard import SimulatedPages

            pages = SimulatedPages(web, manager)
            if length is None:
                pages.watch()
        made.begin()
        made.go(results.progress if pages is None else pages.steps)
        failures.tell_repeats()
        counters = tell_end(manager.status(), graph.name)
        errors = manager.process.errors.count
        if summary is not None:
            with writing(f"--summary {summary}:"):
                summary.write_text(json.dumps({"counters": counters, "errors": errors}, sort_keys=True), "utf-8")
        if pages is not None:
            recording.close()  # it is read while the dashboard is still there
            pages.stay()
    results.check()
    if profile is not None and measured is not None:
        placed = made.placed
        write_profile(profile, graph, placed.deployment, placed.ensembles, made.host_of, delay, measured.samples())
    if plot is not None:
        plot_outputs(tokens, str(plot), graph.name)
    if strict and errors:
        raise typer.Exit(1)


def _say(tick: int, event: Event) -> None:
    if not isinstance(event, (Joined, Left)):  # the file of events says so itself
        say(f"{duration_text(tick)}: {event}")
