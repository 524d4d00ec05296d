"""`ticktalk replay`: a recorded run once more, and whether each token comes out as it was."""

from __future__ import annotations

import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.console import Results, results_gone
from ticktalk.cli.record import recorded_start, tell_lacks, tell_versions
from ticktalk.cli.streams import say
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.durations import duration_text
from ticktalk.errors import TTError
from ticktalk.hosted.body_output import BodyOutput, keep_bodies_from_stdout
from ticktalk.payloads import OutputToken
from ticktalk.records import Sent
from ticktalk.source_problems import did_you_mean
from ticktalk.time import INFINITY, NEG_INFINITY, Tick

if TYPE_CHECKING:
    from ticktalk.recording.departures import Departure
    from ticktalk.recording.mcap_file import Recording, Version
    from ticktalk.recording.outputs_compared import Pair
    from ticktalk.recording.replay import Replay

SLICE = 0.02
"""Seconds between two looks at the time, with `--speed`."""

LOOKS = 200
"""Looks at a replay that is as fast as possible (--web)."""

FLUSH = 0.1
"""Seconds between two flushes of results that come in real time."""

SHOWN = 10
"""Departures that are told at most."""


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE.mcap", help="A recording (--record).")],
    speed: Annotated[
        float | None,
        typer.Option(
            metavar="FACTOR", min=0.001, help="So many times as fast as it was; default: as fast as possible."
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help=f"Compare and show from then on: {arguments.TIMES}.")
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Compare and show what is before (as --from).")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Stop there (as --from).")] = None,
    then_live: Annotated[
        bool,
        typer.Option("--then-live", help="Go on in real time where the recording ends (or --to), in this process."),
    ] = False,
    component: options.Components = None,
    web: options.Web = None,
    recorded: Annotated[
        list[str] | None, typer.Option(metavar="SQ", help="Take the results of this SQ from the recording, too.")
    ] = None,
    jsonl: options.Jsonl = False,
    context: options.Context = None,
    program: Annotated[
        str | None, typer.Option(metavar="NEW.py", help="What if this program had run: compare its outputs.")
    ] = None,
    mapping: options.Mapping = None,
    deployment: options.Deployment = None,
    events: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="What if this had failed.")] = None,
    network_delay: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="What if tokens between ensembles had taken this; default: as recorded."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SQ.period=VALUE", help="What if a stream had this period, phase or width."),
    ] = None,
    expect_same: Annotated[
        list[str] | None, typer.Option(metavar="OUTPUT", help="What if: exit with 1 if this output differs.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE.svg", help="What if: draw the outputs over time.")
    ] = None,
    json: options.Json = False,
) -> None:
    gc.disable()  # what is read lives as long as this process
    recording, versions = replayable(file, context)
    setup = versions[0].setup
    first = setup.start_tick
    begin: Tick = NEG_INFINITY if since is None else arguments.recorded_tick(since, first)
    ends = [arguments.recorded_tick(text, first) for text in (to, until) if text is not None]
    end: Tick = min(ends, default=INFINITY)
    if begin >= end:
        raise typer.BadParameter(f"--from {since} is not before the end that --to or --until gives: nothing is between")
    if speed is not None and not math.isfinite(speed):
        raise typer.BadParameter(
            f"--speed {speed}: give a number, such as 2; without --speed it is as fast as possible"
        )
    if component and not then_live:
        raise typer.BadParameter("--component is for --then-live: a replay runs no body that wants a component")
    if any((program, mapping, deployment, events, network_delay, changes, expect_same)):
        from ticktalk.cli.what_if import check_same, tell, what_if, write_picture

        only = {"--speed": speed, "--from": since, "--jsonl": jsonl, "--then-live": then_live, "--web": web}
        if given := [name for name, value in only.items() if value]:
            raise typer.BadParameter(f"{given[0]} is for a replay as it was, not for what would have been")
        check_names(versions[:1], recorded or [])
        if setup.takes_over:
            raise TTError(f"start {setup.context} took over from another version with its state: name the first start")
        if len(versions) > 1:
            tell_versions(versions, f"compared is start {setup.context}, up to there")
            end = min(end, versions[1].since)
        if svg is not None and (svg.suffix != ".svg" or not svg.absolute().parent.is_dir()):
            raise typer.BadParameter(f"--svg {svg}: a file in a folder that is there, whose name ends in .svg")
        gc.freeze()
        gc.enable()  # the simulation's own garbage is another matter
        pairs: dict[str, list[Pair]] = {}
        comparison = what_if(
            setup,
            recording.records(setup.context),
            program=program,
            mapping=mapping,
            deployment=deployment,
            events=events,
            network_delay=network_delay,
            changes=changes or [],
            recorded=recorded or [],
            until=end,
            expected=expect_same or [],
            pairs=pairs,
        )
        tell_lacks(file, recording.lacks)
        tell(comparison, json, first)
        if svg is not None:
            write_picture(svg, comparison, pairs, first)
        check_same(comparison, expect_same or [])
        return
    if json or svg:
        option = "--json" if json else "--svg"
        raise typer.BadParameter(f"{option} is for what would have been: with --program, --network-delay, ...")
    from ticktalk.recording.replay import Replay
    from ticktalk.recording.setup import RULES

    if then_live or web is not None:
        tell_versions(versions, f"replayed is start {versions[-1].setup.context}")
        versions = versions[-1:]
    tell_versions(versions, "each version is replayed")
    setups = {version.setup.context: version.setup for version in versions}
    with (
        Results(jsonl, results_gone, FLUSH if speed or then_live else math.inf) as results,
        BodyOutput(results.elsewhere, results.elsewhere),
        keep_bodies_from_stdout(),
    ):
        check_names(versions, recorded or [])
        records = {number: recording.records(number) for number in setups}
        runs = [Replay(setups[number], of, recorded or [], states=then_live) for number, of in records.items()]
        once_more, last_recorded = runs[-1], max(run.last_tick for run in runs)
        gc.freeze()
        gc.enable()
        if then_live:
            end = min(end if to is not None else INFINITY, last_recorded + 1)
            last = arguments.recorded_tick(until, first) if until is not None else INFINITY
            if last <= end:
                instead = f"the recording goes on up to {duration_text(int(end) - first)}: give a later time, or --to"
                raise typer.BadParameter(f"--until {until} with --then-live: {instead}")
        if begin > last_recorded and not then_live:
            length = duration_text(last_recorded - first)
            raise typer.BadParameter(f"--from {since}: the recording ends {length} after the start")
        outputs: list[tuple[int, OutputToken]] = []
        compared: Counter[str] = Counter()
        for run in runs:
            run.on_token = outputs_of(run, outputs, compared, begin)
        pages = None
        if web is not None:
            from ticktalk.cli.dashboard import ReplayedPages
            from ticktalk.recording.as_system import ReplayedSystem

            pages = ReplayedPages(web, ReplayedSystem(once_more, DEFAULT_RUNTIME_MANAGER_NAME))

        def show(tick: Tick) -> None:
            outputs.sort(key=lambda entry: entry[0])
            for sent, token in outputs:
                if begin <= sent < end:
                    results.add(token)
                if pages is not None:
                    pages.output(msgspec.structs.replace(token, arrival=sent))
            outputs.clear()
            if pages is not None:
                pages.look(int(min(tick, last_recorded)))

        def go(tick: Tick) -> None:
            for run in runs:
                run.go(tick)
            show(tick)

        last_tick = int(min(end, last_recorded + 1))
        for tick in _paced(first, last_tick, speed) if speed else _steps(first, last_tick, pages is not None):
            go(tick)
        go(end)
        ended = False
        found = [each for run in runs for each in run.finish(end) if begin <= each.tick < end or each.tick == INFINITY]
        departures = sorted(found, key=lambda departure: departure.tick)
        if not departures and then_live:
            from ticktalk.cli.then_live import then_live as go_on
            from ticktalk.recording.what_if import usual_delay

            follow = pages.follow if pages is not None else lambda manager: lambda: None
            delay = usual_delay(records[once_more.setup.context])
            ended = go_on(once_more, int(end), last, component or [], delay, results.add, follow)
    results.check()
    tell_lacks(file, recording.lacks)
    overflowed = sum((run.overflowed for run in runs), Counter[str]())
    by_others = {setup.version for setup in setups.values() if setup.rules != RULES}
    sent = [each.tick - first for of in records.values() for _, each in of if isinstance(each, Sent)]
    tell_replayed(overflowed, departures, compared, sent, next(iter(by_others), ""))
    if departures and then_live:
        say("so it does not go on live; --recorded SQ takes the results of an SQ from the recording")
    if pages is not None and not ended:
        pages.stay()
    if departures:
        raise typer.Exit(1)


def tell_replayed(
    overflowed: Counter[str],
    departures: list[Departure],
    compared: Counter[str],
    sent: Sequence[Tick],
    version: str = "",
) -> None:
    """Say whether a replay was as its recording.

    Args:
        overflowed: by SQ, the tokens that were dropped in the recorded run because too many waited.
        departures: what was otherwise.
        compared: by arc, how many tokens were compared.
        sent: when tokens were sent in the recorded run, in microseconds after its start, in any order.
        version: of TickTalk, which recorded by other rules; "": by those of today.
    """
    tokens = f"{compared.total()} tokens on {len(compared)} arcs"
    if not departures:
        if compared:
            say(f"{tokens}: each is as it was recorded")
        elif sent:
            ends = " to ".join(duration_text(int(end)) for end in (min(sent), max(sent)))
            say(f"no token was sent in that time, so there was nothing to compare: tokens were sent from {ends}")
        else:
            say("no token is in the recording, so there was nothing to compare")
        return
    say(f"{tokens}; the run departs from its recording, first here:")
    for each in departures[:SHOWN]:
        say(f"  {each}")
    if len(departures) > SHOWN:
        say(f"  and {len(departures) - SHOWN} more")
    if overflowed:
        dropped = ", ".join(f"{sq} {count}" for sq, count in overflowed.most_common(SHOWN))
        say(f"in the recorded run tokens were dropped where too many waited, here none is ({dropped}): so it departs")
    if version:
        say(
            f"it was recorded by other rules, of TickTalk {version}: tokens that nobody met left at other times there."
            " So it may depart: to compare, record it again"
        )


def replayable(file: Path, context: int | None) -> tuple[Recording, list[Version]]:
    """A recording, and the versions of the start in it that is meant, with all that led to its outputs.

    Raises:
        TTError: it cannot be read, has no such start, or has its outputs only.
    """
    recording, versions = recorded_start(file, context)
    if versions[0].setup.outputs_only:
        raise TTError(
            f"{file}: this recording has outputs only (--record-outputs). A run that was recorded by --record FILE.mcap"
            " can be replayed and inspected"
        )
    return recording, versions


def check_names(versions: list[Version], names: list[str], option: str = "--recorded") -> None:
    """See that there are the SQs that an option names.

    Raises:
        TTError: there is none of that name.
    """
    known = {sq for version in versions for sq in version.setup.host_of}
    for name in names:
        if name not in known:
            instead = did_you_mean(name, known) or "`ticktalk inspect` without --sq lists all"
            raise TTError(f"{option} {name}: the recorded graph has no such SQ; {instead}")


def outputs_of(
    replay: Replay, outputs: list[tuple[int, OutputToken]], compared: Counter[str], begin: Tick
) -> Callable[[Sent], None]:
    """A listener that keeps the outputs among the tokens of a replay, with their ticks.

    It counts, by arc, the tokens that are sent from the tick `begin` on.
    """
    setup = replay.setup
    arcs = {f"{sq.name}/{index}" for sq in replay.graph.sqs for index, arc in enumerate(sq.arcs) if arc.output}

    def listen(token: Sent) -> None:
        if token.tick >= begin:
            compared[token.arc] += 1
        if token.arc in arcs:
            ensemble = replay.host_of.get(token.sq, "")
            value = replay.load(token.value) if token.value else None
            ends = token.start, token.stop
            outputs.append((token.tick, OutputToken(setup.title, value, *ends, token.sq, ensemble, setup.context)))

    return listen


def _paced(first: int, last: int, speed: float) -> Iterator[int]:
    """The ticks up to which to go, so many times as fast as real time."""
    begun, tick = time.monotonic(), first
    while tick < last:
        tick = min(int(first + (time.monotonic() - begun) * 1e6 * speed), last)
        yield tick
        time.sleep(SLICE)


def _steps(first: int, last: int, shown: bool) -> Iterator[int]:
    """The ticks at which to look; only the last one, if nobody does."""
    steps = LOOKS if shown else 1
    yield from (first + (last - first) * step // steps for step in range(1, steps + 1))
