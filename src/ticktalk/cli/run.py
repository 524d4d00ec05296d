"""`ticktalk run`: the program in real time on this machine, a manager and one OS process per ensemble."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import Results
from ticktalk.cli.dashboard import dashboard
from ticktalk.cli.ending import tell_end
from ticktalk.cli.firing_errors import FiringErrors
from ticktalk.cli.own_ensembles import OwnEnsembles, Settings
from ticktalk.cli.placement import placement
from ticktalk.cli.priority import keep_time
from ticktalk.cli.record import DeviceRecording, also_traced
from ticktalk.cli.record import record_outputs as outputs_to
from ticktalk.cli.signals import on_interrupt
from ticktalk.cli.streams import say
from ticktalk.defaults import CHECKPOINT_PERIOD, DEFAULT_RUNTIME_MANAGER_NAME, MAX_VALUE, WORKERS
from ticktalk.durations import duration_text, instant_text
from ticktalk.errors import TTError
from ticktalk.factories import check_factory
from ticktalk.graph.graph import TTGraph
from ticktalk.manager.events import GraphDone, losses_text
from ticktalk.mapping.mapper import TTMapper
from ticktalk.payloads import OutputToken
from ticktalk.physical.manager_node import Callbacks
from ticktalk.physical.output_values import opened
from ticktalk.physical.trust.user_token import new_token
from ticktalk.physical.workers.native_output import shown_apart
from ticktalk.runtime_manager import TTRuntimeManagerPhysical

JOIN_LIMIT = 30.0
"""Seconds in which every ensemble of this machine has to join."""

FLUSH = 0.1
"""Seconds between two flushes of results that come fast."""

GRACE = 2.0
"""Seconds for tokens that are under way when the streams have ended."""


def run(
    program: options.Program,
    until: options.Until = None,
    start_at: options.StartAt = None,
    input: options.Inputs = None,
    ensemble: options.Ensembles = None,
    component: options.Components = None,
    deployment: options.Deployment = None,
    mapping: options.Mapping = None,
    workers: options.Workers = WORKERS,
    max_value: options.MaxValue = MAX_VALUE,
    worker_memory: options.WorkerMemory = "0",
    realtime: options.Realtime = False,
    checkpoint: options.Checkpoint = duration_text(CHECKPOINT_PERIOD),
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
    of: options.Graph = None,
) -> None:
    if profile is not None:
        from ticktalk.cli.profile import check_profile_file, write_profile

        check_profile_file(profile, deployment)
    arguments.check_different(
        {"the program": program, "--deployment": deployment, "--mapping": mapping},
        record=record,
        log=log,
        record_outputs=record_outputs,
        plot=plot,
        profile=profile,
        trace=trace,
    )
    start_tick = None if start_at is None else arguments.start_tick(start_at)
    length = arguments.length(until, start_tick)
    save_every = arguments.duration(checkpoint, "--checkpoint")
    memory = arguments.worker_memory(worker_memory, workers)
    values = arguments.inputs(input or [])
    if plot is not None:
        from ticktalk.cli.plot import check_plot_file, plot_outputs

        check_plot_file(str(plot))
    graph = arguments.load_graph(program, of)
    placed = placement(graph, ensemble or [], component or [], deployment, mapping)
    asked = dict(placed.ensembles)
    near = str(Path(program).resolve().parent)
    for option in asked.values():
        for name, factory in option.components.items():
            if factory is not None:
                check_factory(option.name, name, factory, near)
    own = asked.pop(DEFAULT_RUNTIME_MANAGER_NAME, None)
    keep_time(realtime, workers=workers)
    token = new_token()  # for this run, and known to its processes only
    stopped = threading.Event()
    tokens: list[OutputToken] = []
    failures = FiringErrors()
    with ExitStack() as stack:
        results = stack.enter_context(Results(jsonl, stopped.set, FLUSH))
        rows = Callbacks()  # to write may block, and the thread that keeps time must not
        stack.callback(rows.close, None)
        manager = TTRuntimeManagerPhysical(
            log,
            "127.0.0.1",
            0,
            0,
            components=own.components if own else None,
            workers=workers,
            max_value=max_value,
            worker_memory=memory,
            near=near,
            token=token,
            checkpoint=save_every,
        )
        stack.callback(manager.stop)
        dashboard(web, manager, stack)
        on_interrupt(stopped.set)
        ensembles = OwnEnsembles(Settings(manager.address, token, near, workers, max_value, memory, realtime))
        stack.callback(ensembles.end)
        for option in asked.values():
            ensembles.start(option.name, option.components)
        manager.process.outputs.listeners.append(rows.wrap(results.add))
        if plot is not None:
            manager.process.outputs.listeners.append(tokens.append)
        manager.on_error(failures.add)
        if trace is not None:
            record = also_traced(record, trace, stack)
        recording = DeviceRecording(record, manager, {"until": until or ""}, otel)
        stack.callback(recording.finish)
        outputs_recorded = outputs_to(record_outputs, manager, {"until": until}, stack)
        _wait_for(manager, ensembles.processes, stopped)
        host_of = placed.mapping if placed.mapping is not None else _mapping(manager, graph, list(asked))
        # The ensembles, which are forked before, have their own.
        stack.enter_context(shown_apart(DEFAULT_RUNTIME_MANAGER_NAME, not workers))
        manager.instantiate_and_map_graph(graph, mapping=host_of, weights=placed.weights)
        over = threading.Event()
        stack.callback(over.set)
        manager.watch(lambda event: None if over.is_set() or isinstance(event, GraphDone) else say(event))
        manager.execute_graph(graph, values, length=length, start_tick=start_tick)
        if start_tick is not None:
            say(f"{graph.name} starts at {instant_text(start_tick)}")
        limit = None if length is None else length / 1e6 + GRACE
        if limit is not None and start_tick is not None:
            limit += max(0.0, start_tick / 1e6 - time.time())
        waited = 0.0
        while not stopped.is_set() and not manager.wait(graph, 0.1):
            waited += 0.1
            if limit is not None and waited > limit:
                _tell_undone(manager, graph)
                break
            for name, process in ensembles.processes.items():
                if (process.exitcode or 0) > 0:  # killed by a signal, its SQs go on elsewhere
                    raise TTError(f"ensemble {name!r} ended by itself, with exit status {process.exitcode}")
        results.check()
        errors = manager.process.errors.count
        status = manager.status()
        recording.look(status)
        tell_end(status, graph.name)
        if profile is not None:
            costs = manager.profile(graph)
            write_profile(profile, graph, placed.deployment, placed.ensembles, host_of, 0, costs)
        outputs_recorded()
        over.set()  # that its own ensembles leave is no news
        lost = manager.stop_graph(graph)
        if lost:
            say(losses_text(lost))
        recording.finish()
        manager.stop(ensembles=True)
    failures.tell_repeats()
    results.check()
    if plot is not None:
        plot_outputs([opened(token) for token in tokens], str(plot), graph.name)
    if strict and errors:
        raise typer.Exit(1)


def _tell_undone(manager: TTRuntimeManagerPhysical, graph: TTGraph) -> None:
    """Say that the run ends though firings wait or run: their outputs are missing."""
    (state,) = [state for state in manager.status()["graphs"] if state["name"] == graph.name]
    busy = ", ".join(f"{why} on {host}" for host, why in state["busy"].items())
    say(
        f"the run ends {duration_text(int(GRACE * 1e6))} after its streams, and not everything is done"
        f" ({busy or 'tokens are under way'}), so outputs are missing: a faster body or a longer period would keep up"
    )


def _wait_for(manager: TTRuntimeManagerPhysical, started: dict[str, BaseProcess], stopped: threading.Event) -> None:
    left = JOIN_LIMIT
    while missing := manager.wait_for_ensembles(started, 0.1):
        left -= 0.1
        ended = [name for name in missing if started[name].exitcode is not None]
        if ended:
            raise TTError(f"ensemble {ended[0]!r} ended before it joined (exit status {started[ended[0]].exitcode})")
        if left <= 0:
            raise TTError(f"these ensembles did not join within {JOIN_LIMIT:.0f} s: {', '.join(missing)}")
        if stopped.is_set():
            raise TTError("interrupted before the start")


def _mapping(manager: TTRuntimeManagerPhysical, graph: TTGraph, order: list[str]) -> dict[str, str]:
    """The mapping of a simulated run: in the requested order, not in the order of joins."""
    state = manager.process.state
    return TTMapper([*(state.ensembles[name].info for name in order), state.manager]).map(graph)
