"""`ticktalk explain`: the tokens an output came from, or why none came, from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ticktalk.cli import arguments
from ticktalk.cli.record import is_recording, recording_at
from ticktalk.cli.streams import say
from ticktalk.cli.tables import terminal
from ticktalk.durations import instant_text
from ticktalk.errors import TTError
from ticktalk.explain.history import History, after
from ticktalk.explain.picture import draw_explanation
from ticktalk.explain.why import shown_value, token_at, why, why_missing
from ticktalk.graph.graph import TTGraph
from ticktalk.printable import line
from ticktalk.values.classes import as_data
from ticktalk.values.codec import ValueFormatError, decode_value


def explain(
    recording: Annotated[Path, typer.Argument(metavar="FILE.mcap", help="A recording (--record).")],
    what: Annotated[
        str | None, typer.Argument(metavar="OUTPUT@TIME", help="An SQ or a variable, and a time that its token holds.")
    ] = None,
    missing: Annotated[
        str | None, typer.Option("--missing", metavar="SQ@TIME", help="Say why an SQ gave nothing for a time.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.svg", help="Draw the tokens on one time axis.")
    ] = None,
) -> None:
    if (what is None) == (missing is None):
        raise typer.BadParameter("name either an output and a time, such as ADD-1@2s, or --missing SQ@TIME")
    if output is not None and output.suffix != ".svg":
        raise typer.BadParameter(f"-o {output}: the picture is an SVG; let its name end in .svg")
    if not is_recording(recording):
        raise TTError(
            f"{recording}: this is no recording. A log of outputs has no tokens before them: run again with"
            " `--record FILE.mcap` (simulate, run, manager), and explain that file"
        )
    name, tick = _place(what or missing or "")
    read = recording_at(recording)
    graph = TTGraph.from_json(read.setups[-1].graph.encode(), str(recording))
    start = read.setups[-1].start_tick
    history = History(graph, after(start, read.records()))
    for lack in read.lacks:
        say(f"{recording} is not complete: it lacks {lack}")
    if start:
        say(f"times are after the start, {instant_text(start)}")
    tick -= start if tick >= start else 0
    made = why_missing(history, name, tick, _shown) if missing else why(history, token_at(history, name, tick), _shown)
    for told in made.text().split("\n"):
        terminal().print(line(told), soft_wrap=True)
    if output is not None:
        try:
            output.write_text(draw_explanation(made), encoding="utf-8")
        except OSError as error:
            raise TTError(f"{output}: the picture cannot be written: {error.strerror}") from None


def _place(text: str) -> tuple[str, int]:
    name, at, time = text.rpartition("@")
    if not at or not name:
        raise typer.BadParameter(f"{text}: write an SQ and a time, such as ADD-1@2s, or ADD-1@2000000 (a root tick)")
    try:
        return name, arguments.start_tick(time)
    except typer.BadParameter:
        raise typer.BadParameter(f"{text}: {time!r} is no time: write 2s, a root tick, or a date") from None


def _shown(data: bytes) -> str:
    if not data:
        return "(a value that was too long to record)"
    try:
        return shown_value(decode_value(data, as_data))
    except ValueFormatError:
        return f"({len(data)} bytes that cannot be read)"
