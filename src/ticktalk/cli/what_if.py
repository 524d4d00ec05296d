"""`ticktalk replay` with another placement, link, failure or program: what would have come out."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import typer

from ticktalk.cli import arguments
from ticktalk.cli.firing_errors import FiringErrors
from ticktalk.cli.simulated_run import SimulatedRun, network_delay_of
from ticktalk.cli.streams import say
from ticktalk.cli.tables import add, table, terminal
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.durations import duration_text
from ticktalk.engine.firing_chain import MakeStage
from ticktalk.errors import TTError, writing
from ticktalk.explain.what_if_picture import MEANINGS, Mark, draw_comparison
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.body_output import BodyOutput
from ticktalk.hosted.tapping import Tapped
from ticktalk.manager.deploy import own_values, with_instants
from ticktalk.payloads import FiringError
from ticktalk.printable import line
from ticktalk.recording.departures import shown
from ticktalk.recording.outputs_compared import Comparison, Pair, compared, kind_of
from ticktalk.recording.setup import Setup
from ticktalk.recording.what_if import RecordedStreams, usual_delay
from ticktalk.records import AnyRecord, Sent
from ticktalk.time import INFINITY, Tick
from ticktalk.values.codec import decode_value

SHOWN = 10
"""Differences that are told at most."""


AFTER_STREAMS = 2_000_000
"""Ticks after the end of its streams up to which a run on devices waits for tokens."""

AFTER_LAST = 10_000_000
"""Ticks after the last record for which tokens of a run that ended by itself may be late now."""


def what_if(
    setup: Setup,
    records: list[tuple[str, AnyRecord]],
    *,
    program: str | None = None,
    mapping: Path | None = None,
    deployment: Path | None = None,
    events: Path | None = None,
    network_delay: str | None = None,
    changes: Sequence[str] = (),
    recorded: Sequence[str] = (),
    until: Tick = INFINITY,
    expected: Sequence[str] = (),
    pairs: dict[str, list[Pair]] | None = None,
) -> Comparison:
    """Simulate a recorded start under other circumstances, and compare; `pairs` as `compared` has them.

    Raises:
        TTError, typer.BadParameter: something that was given is wrong, or does not go with the graph.
    """
    former = TTGraph.from_json(setup.graph.encode())
    graph = changed(former if program is None else arguments.load_graph(program), changes)
    check_outputs(former, graph, expected)
    last = max((record.tick for _, record in records), default=setup.start_tick)
    length = max(1, int(min(until, max(last + 1, _end(setup, last)))) - setup.start_tick)
    failed: list[FiringError] = []
    found = simulated(
        setup,
        records,
        graph,
        length,
        near=Path.cwd() if program is None else Path(program).resolve().parent,
        mapping=mapping,
        deployment=deployment,
        events=events,
        network_delay=network_delay,
        recorded=recorded,
        on_error=failed.append,
    )
    _tell_failed(failed)
    was, now = ([record for _, record in each] for each in (records, found))
    return compared(former, was, graph, now, setup.start_tick + length, pairs)


def simulated(
    setup: Setup,
    records: list[tuple[str, AnyRecord]],
    graph: TTGraph,
    length: int,
    *,
    near: Path | None = None,
    mapping: Path | None = None,
    deployment: Path | None = None,
    events: Path | None = None,
    network_delay: str | None = None,
    recorded: Sequence[str] = (),
    on_error: Callable[[FiringError], None] = lambda error: None,
) -> list[tuple[str, AnyRecord]]:
    """The records of a graph that the recorded streams drive for so many ticks, with the ensemble of each.

    `on_error` is told each firing that fails.
    """
    former = TTGraph.from_json(setup.graph.encode())
    _check_new(graph, setup)
    delay = network_delay_of(network_delay, deployment)
    if network_delay is None and deployment is None:
        delay = usual_delay(records)
    run = SimulatedRun(
        graph=graph,
        start=setup.start_tick,
        length=length,
        near=near or Path.cwd(),
        inputs=_inputs(setup, graph),
        ensembles=[] if deployment is not None else ensembles_of([*former.sqs, *graph.sqs], setup.host_of),
        deployment=deployment,
        mapping=mapping,
        delay=delay,
        events=events,
    )
    if mapping is None and deployment is None and all(sq.name in setup.host_of for sq in graph.sqs):
        run.placed = run.placed._replace(mapping={sq.name: setup.host_of[sq.name] for sq in graph.sqs})
    streams = dict.fromkeys(recorded, 0) | {sq.name: _served(former, sq) for sq in graph.sqs if sq.trigger == "grid"}
    for name in sorted(streams.keys() - setup.host_of.keys()):
        say(f"{name}: the recording has no stream of that name, so it sends nothing; call it as it was")
    found: list[tuple[str, AnyRecord]] = []
    nowhere = io.StringIO()  # what bodies print was printed when they ran
    with BodyOutput(nowhere, nowhere), run.manager() as manager:
        simulation = manager.simulation
        stage = RecordedStreams(graph, records, streams, simulation.agenda).stage
        simulation.accelerator = None
        for site in simulation.sites.values():
            if site.host is not None:
                others = {name: _but(streams, make) for name, make in site.host.stages.items()}
                site.host.stages = {"recorded": stage, **others}
        simulation.tap = lambda ensemble, start: Tapped(lambda record: found.append((ensemble, record)), simulation.now)
        manager.on_error(on_error)
        run.begin()
        run.go()
    return found


def _check_new(graph: TTGraph, setup: Setup) -> None:
    """Refuse a new SQ that wants a component: there is no driver, and no recorded result.

    Raises:
        TTError: there is one.
    """
    for sq in graph.sqs:
        wanted = [name for constraint in sq.constraints for name in constraint.components]
        if wanted and sq.name not in setup.host_of:
            what = f"{sq.name} (line {sq.line}) wants component {wanted[0]!r}, and the recording has no such SQ"
            raise TTError(f"{what}: a replay has no drivers, so leave it out, or let another SQ stand in for it")


def _inputs(setup: Setup, graph: TTGraph) -> dict[str, Any]:
    """The recorded values of the inputs that a graph has.

    Raises:
        TTError: it has one more, without a default.
    """
    names = [each.name for each in graph.inputs]
    known = {*setup.inputs, *own_values(graph)}
    if new := [name for name in names if name not in known]:
        raise TTError(f"the recording has no value for input {new[0]!r}: give it a default in the program")
    return {name: decode_value(data) for name, data in setup.inputs.items() if name in names}


def _tell_failed(failed: list[FiringError]) -> None:
    """Tell the firings that have failed under the other circumstances; no driver of a component is there."""
    failures = FiringErrors()
    for error in failed:
        failures.add(error)
    failures.tell_repeats()
    if failed:
        say(f"`--recorded {failed[0].sq}` takes its results from the recording, and does not run it")


def _end(setup: Setup, last: int) -> int:
    """The root tick at which a recorded run ended: its last tokens may come later now than all of the recording."""
    if setup.until is not None:
        return setup.until + AFTER_STREAMS
    if (asked := setup.options.get("until")) is not None and setup.driver == "simulation":
        return setup.start_tick + (arguments.length(asked, setup.start_tick) or 0)
    return last + AFTER_LAST  # it ended when nothing was left to do


def _but(recorded: Collection[str], make: MakeStage) -> MakeStage:
    """The maker of a stage for all SQs but those with recorded results: their bodies do not run."""
    return lambda context, own: None if own.sq.name in recorded else make(context, own)


def changed(graph: TTGraph, changes: Sequence[str]) -> TTGraph:
    """A graph with other periods, phases and widths of intervals: `SQ.period=250ms`.

    Raises:
        typer.BadParameter: there is no such stream, or no such duration.
        TTRuntimeError: the phase does not fit the period.
    """
    changes_of: dict[str, list[str]] = {}
    widths: dict[str, int] = {}
    for change in changes:
        place, equals, text = change.partition("=")
        name, dot, setting = place.rpartition(".")
        if not (equals and dot):
            raise typer.BadParameter(f"--set {change}: write SQ.period=250ms, SQ.phase=0 or SQ.width=20ms")
        if all(sq.name != name or sq.trigger != "grid" for sq in graph.sqs):
            there = ", ".join(sq.name for sq in graph.sqs if sq.trigger == "grid")
            raise typer.BadParameter(f"--set {change}: the graph has no stream {name!r} (there are: {there})")
        if setting == "width":
            widths[name] = arguments.duration(text, f"--set {place}=")
            if widths[name] < 1:
                raise typer.BadParameter(f"--set {change}: an interval holds at least 1us")
            continue
        changes_of.setdefault(name, []).append(f"{setting}={text}")
    sqs = list(graph.sqs)
    for at, sq in enumerate(sqs):
        given = arguments.grid_changes(changes_of.get(sq.name, ()))
        if given:
            sqs[at] = with_instants(sq, given.get("period", sq.every), given.get("phase", sq.phase))
        sqs[at] = msgspec.structs.replace(sqs[at], width=widths.get(sq.name, sq.width))
    return msgspec.structs.replace(graph, sqs=sqs)


def _served(former: TTGraph, sq: TTSQ) -> int:
    """The ticks for which a recorded result of a stream serves later instants than its own."""
    was = next((each for each in former.sqs if each.name == sq.name), sq)
    return 0 if (was.every, was.phase, was.width) == (sq.every, sq.phase, sq.width) else int(was.every)


def ensembles_of(sqs: Iterable[TTSQ], host_of: dict[str, str]) -> list[str]:
    """The ensembles of a recorded run, with the components that SQs there want."""
    components: dict[str, dict[str, None]] = {host: {} for host in host_of.values() if host}
    for sq in sqs:
        for spec in sq.constraints:
            components.get(host_of.get(sq.name, ""), {}).update(dict.fromkeys(spec.components))
    return [
        f"{host}={','.join(listed)}" if listed else host
        for host, listed in components.items()
        if listed or host != DEFAULT_RUNTIME_MANAGER_NAME
    ]


def check_outputs(former: TTGraph, graph: TTGraph, names: Sequence[str]) -> None:
    """See that there are the outputs that `--expect-same` names, then or now; before a long run.

    Raises:
        TTError: there is no such output.
    """
    there = list(dict.fromkeys(sq.name for each in (former, graph) for sq, _ in each.outputs()))
    for name in names:
        if name not in there:
            raise TTError(f"--expect-same {name}: there is no such output (there are: {', '.join(there)})")


def write_picture(path: Path, comparison: Comparison, pairs: dict[str, list[Pair]], start: int) -> None:
    """Draw a comparison over time (`--svg`).

    Raises:
        TTError: the file cannot be written.
    """
    rows = []
    for name, found in pairs.items():
        marks = []
        for was, now in found:
            kind, before, after = kind_of((was, now)), _sent(was, start), _sent(now, start)
            if kind == "same" and before != after:
                kind = "later"
            texts = ["(nothing)" if token is None else shown(token) for token in (was, now)]
            told = texts[0] if texts[0] == texts[1] else f"{texts[0]} -> {texts[1]}"
            marks.append(Mark(kind, before, after, f"{name}: {MEANINGS[kind]}: {told}"))
        rows.append((name, marks))
    said = "\n".join(
        f"{each.name}: {each.recorded} recorded, {each.same} with the same value, {each.changed} changed,"
        f" {each.gone} gone, {each.new} new, later by {_later(each.later[0])} (median)"
        for each in comparison.outputs
    )
    with writing(f"--svg {path}: the picture"):
        path.write_text(draw_comparison("Outputs as recorded, and what if", rows, said), encoding="utf-8")


def _sent(token: Sent | None, start: int) -> int | None:
    return None if token is None else token.tick - start


def tell(comparison: Comparison, json: bool, start: int) -> None:
    """Print what is otherwise."""
    if json:
        print(msgspec.json.encode(comparison).decode())
        return
    shown = table("output", "recorded", "same", "changed", "gone", "new", "later: median", "worst")
    for each in comparison.outputs:
        counts = (each.recorded, each.same, each.changed, each.gone, each.new)
        add(shown, each.name, *counts, *map(_later, each.later))
    console = terminal()
    console.print(shown)
    for kind, (before, after) in comparison.counters.items():
        console.print(line(f"{kind}: {before} in the recording, {after} now"))
    listed = [(each.name, difference) for each in comparison.outputs for difference in each.differences]
    listed.sort(key=lambda entry: entry[1].tick)
    for name, difference in listed[:SHOWN]:
        was = difference.was or "(nothing)"
        now = difference.now or "(nothing)"
        console.print(line(f"{duration_text(difference.tick - start)}: {name} {was} -> {now}"))
    if len(listed) > SHOWN:
        console.print(f"and more differences; --json has {len(listed)}")


def _later(ticks: int) -> str:
    return f"-{duration_text(-ticks)}" if ticks < 0 else duration_text(ticks)


def check_same(comparison: Comparison, names: Sequence[str]) -> None:
    """See that outputs are the same; else the command fails.

    Raises:
        typer.Exit: one is not, or there is nothing to compare.
    """
    there = {each.name for each in comparison.outputs}
    if nothing := [name for name in names if name not in there]:
        say(f"nothing was compared: neither run has an output of {', '.join(nothing)}")
        raise typer.Exit(1)
    differ = [each.name for each in comparison.outputs if each.name in names and not each.is_same]
    if differ:
        say(f"not the same as in the recording: {', '.join(differ)}")
        raise typer.Exit(1)
