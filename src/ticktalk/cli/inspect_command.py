"""`ticktalk inspect`: what a recorded run looked like at some time, and steps to what happened before and after."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.record import tell_lacks, tell_versions
from ticktalk.cli.replay import check_names, replayable
from ticktalk.cli.streams import say
from ticktalk.cli.tables import add, table, terminal
from ticktalk.durations import duration_text, interval_and_ticks
from ticktalk.explain.which_version import version_at
from ticktalk.hosted.body_output import BodyOutput, keep_bodies_from_stdout
from ticktalk.printable import line
from ticktalk.recording.moment import Moment, moments
from ticktalk.recording.replay import Replay
from ticktalk.records import Turn

KEYS = "n: next, p: previous, TIME such as 1.5s: go there, q: quit"


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE.mcap", help="A recording (--record).")],
    at: Annotated[str, typer.Option(metavar="TIME", help=f"The moment: {arguments.TIMES}.")] = "0us",
    step: Annotated[
        int, typer.Option(metavar="COUNT", help="So many things that happened later; below 0: earlier.")
    ] = 0,
    sq: Annotated[list[str] | None, typer.Option(metavar="SQ", help="Only these SQs.")] = None,
    json: options.Json = False,
    context: options.Context = None,
) -> None:
    recording, versions = replayable(file, context)
    check_names(versions, sq or [], "--sq")
    tell_lacks(file, recording.lacks)
    tell_versions(versions, "shown is the version of that time")
    begun = versions[0].since
    records = {each.setup.context: recording.records(each.setup.context) for each in versions}
    ticks = sorted({record.tick for of in records.values() for _, record in of if not isinstance(record, Turn)})
    last = max(ticks, default=begun)
    tick = stepped(ticks, arguments.recorded_tick(at, begun), step)

    def show(tick: int) -> None:
        if tick > last:
            say(f"the recording ends {duration_text(last - begun)} after the start: this is how it was then")
        nowhere = io.StringIO()  # what bodies print was printed when they ran
        with BodyOutput(nowhere, nowhere), keep_bodies_from_stdout():
            setup = version_at(versions, tick).setup
            replay = Replay(setup, records[setup.context], states=True)
            replay.go(tick + 1)
            found = [each for each in moments(replay) if not sq or each.sq in sq]
        of = {each.name for each in replay.graph.sqs}
        for name in sq or ():
            if name not in of:
                say(f"{name} is of another version: the graph had no such SQ then")
        if json:
            shown = {"tick": tick, "after_us": tick - begun, "sqs": found}
            print(msgspec.json.encode(shown).decode())
        else:
            _show(found, tick, begun)

    show(tick)
    if json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    while True:
        word = input(f"{KEYS}: ").strip()
        if word in ("q", "quit", "exit"):
            return
        if word in ("n", "p", ""):
            tick = stepped(ticks, tick, -1 if word == "p" else 1)
        else:
            try:
                tick = arguments.recorded_tick(word, begun)
            except typer.BadParameter as error:
                terminal().print(line(error.message))
                continue
        show(tick)


def stepped(ticks: list[int], tick: int, steps: int) -> int:
    """The tick of what happened so many steps later than a tick; the first or the last, if there is none so far."""
    if steps > 0:
        later = [each for each in ticks if each > tick]
        return later[min(steps, len(later)) - 1] if later else tick
    earlier = [each for each in ticks if each < tick]
    return earlier[max(len(earlier) + steps, 0)] if steps and earlier else tick


def _show(found: list[Moment], tick: int, start: int) -> None:
    console = terminal()
    console.print(f"{duration_text(tick - start)} after the start (tick {tick})")
    shown = table("SQ", "on", "at its ports", "open deadlines", "runs", "state", "fired")
    for each in found:
        tokens = [
            f"{token.port}: {token.value} {interval_and_ticks(token.start, token.stop)}" + ", stays" * token.stays
            for token in each.tokens
        ]
        deadlines = [f"{duration_text(due - start)} (in {duration_text(due - tick)})" for _, _, due in each.deadlines]
        if each.instant is not None:
            deadlines.append(f"next instant {duration_text(each.instant - start)}")
        running = [interval_and_ticks(*interval) for interval in each.running]
        cells = ["\n".join(part) for part in (tokens, deadlines, running)]
        add(shown, each.sq, each.ensemble, *cells, each.state, each.firings)
    console.print(shown)
