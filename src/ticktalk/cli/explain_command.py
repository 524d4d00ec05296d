"""`ticktalk explain`: the tokens an output came from, or why none came; from a recording, a log, a running system."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ticktalk.cli import arguments, options
from ticktalk.cli.record import is_recording, recorded_start, tell_lacks, tell_versions
from ticktalk.cli.streams import say
from ticktalk.cli.tables import terminal
from ticktalk.durations import EPOCH_SECONDS, UNITS, instant_text
from ticktalk.errors import TTError, writing
from ticktalk.explain.from_log import explain_output
from ticktalk.explain.history import History, after
from ticktalk.explain.picture import draw_explanation
from ticktalk.explain.silence import silence_line
from ticktalk.explain.which_version import of_any, version_at
from ticktalk.explain.why import Explanation, indented, shown_value, sq_of, token_at, why, why_missing
from ticktalk.graph.graph import TTGraph
from ticktalk.output_log import read_log
from ticktalk.printable import joined, line
from ticktalk.values.classes import as_data
from ticktalk.values.codec import ValueFormatError, decode_value

if TYPE_CHECKING:
    from ticktalk.recording.mcap_file import Version
    from ticktalk.records import AnyRecord


def explain(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE.mcap|LOG]",
            help="A recording (--record), which says all; or a log of outputs, which says what outputs show.",
        ),
    ] = None,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="OUTPUT@TIME", help=f"An SQ or a variable, and when its token holds: {arguments.TIMES}."
        ),
    ] = None,
    missing: Annotated[
        str | None, typer.Option("--missing", metavar="SQ@TIME", help="Say why an SQ gave nothing for a time.")
    ] = None,
    no_tries: Annotated[
        bool, typer.Option("--no-tries", help="Try no changes for --missing: bodies would run again, with all they do.")
    ] = False,
    manager: Annotated[
        str | None,
        typer.Option("--manager", metavar="IP:PORT", help="A running system: what its manager has recorded so far."),
    ] = None,
    context: options.Context = None,
    credentials: options.Credentials = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.svg", help="Draw the tokens on one time axis.")
    ] = None,
) -> None:
    if manager is not None:
        if what is not None:
            raise typer.BadParameter(f"{source} or --manager {manager}: name one of them")
        source, what = None, source
    elif source is None:
        raise typer.BadParameter("name a recording (FILE.mcap), a log of outputs, or --manager IP:PORT")
    if (what is None) == (missing is None):
        raise typer.BadParameter("name either an output and a time, such as ADD-1@2s, or --missing SQ@TIME")
    if output is not None and output.suffix != ".svg":
        raise typer.BadParameter(f"-o {output}: the picture is an SVG; let its name end in .svg")
    name, at, time = (missing or what or "").rpartition("@")
    if not at or not name:
        raise typer.BadParameter(f"{missing or what}: write an SQ and a time, such as ADD-1@2s")
    file = Path(source or "") if manager is None else _recording_of(manager, credentials, name)
    tries: Iterable[tuple[int, str]] = ()
    if is_recording(file):
        made, tries = _recorded(file, name, time, missing is not None, context, manager is not None, not no_tries)
    else:
        made = _logged(file, name, time, missing is not None, context)
    for told in made.text().split("\n"):
        terminal().print(line(told), soft_wrap=True)
    for told in map(indented, tries):  # each change is a run: what is known without stands there already
        terminal().print(line(told), soft_wrap=True)
    if output is not None:
        with writing(f"{output}: the picture"):
            output.write_text(draw_explanation(made), encoding="utf-8")


def _recorded(
    file: Path, name: str, time: str, missing: bool, context: int | None, live: bool, may_try: bool
) -> tuple[Explanation, Iterable[tuple[int, str]]]:
    """The explanation from a recording, and lines that follow it: changes are tried while these are asked for.

    `live`: it is still being written, so that its end is not there is no lack. `may_try`: bodies may run again.
    """
    read, versions = recorded_start(file, context)
    tick = arguments.recorded_tick(time, versions[0].since)
    counts = version_at(versions, tick)
    setup = counts.setup
    if setup.outputs_only:
        from ticktalk.recording.token_rows import rows_of

        return explain_output(rows_of(read), name, tick, missing, setup.context, _row_shown), ()
    if not live:
        tell_lacks(file, read.lacks)
    begun = versions[0].since
    if live and (records := read.records(setup.context)):
        say(f"the run goes on; it is recorded up to {instant_text(max(record.tick for _, record in records))}")
    if begun:
        say(f"times are after the start, {instant_text(begun)}")

    def of(version: Version) -> tuple[list[tuple[str, AnyRecord]], History, Explanation]:
        graph = TTGraph.from_json(version.setup.graph.encode(), str(file))
        records = read.records(version.setup.context)
        history = History(graph, after(begun, records), begun)
        return records, history, _why(history, name, tick - begun, missing)

    try:
        version, (records, history, made) = (counts, of(counts)) if missing else of_any(versions, tick, of)
    except TTError:
        tell_versions(versions, f"looked at first is start {setup.context}")
        raise
    tell_versions(versions, f"explained is start {version.setup.context}")
    first = version is versions[0]  # one that took over began with states of another
    if may_try and made.tries and first and not live:
        from ticktalk.cli.tried_changes import tried

        return made, tried(version.setup, records, history, sq_of(history, name), tick - begun)
    return made, ()


def _why(history: History, name: str, tick: int, missing: bool) -> Explanation:
    return why_missing(history, name, tick, _shown) if missing else why(history, token_at(history, name, tick), _shown)


def _logged(file: Path, name: str, time: str, missing: bool, context: int | None) -> Explanation:
    """The explanation from a log of outputs. It does not say when its run started."""
    rows = read_log(file)
    if not rows:
        raise TTError(f"{file}: the log is empty: no output came in that run, or it is another file")
    first = min((row["arrival"] for row in rows if row["arrival"] is not None), default=0)
    real = first >= EPOCH_SECONDS * 1_000_000
    if real and time.endswith(tuple(UNITS)):
        raise typer.BadParameter(f"a log does not say when its run started: write a clock time: {name}@12:30:05")
    tick = arguments.recorded_tick(time, max(0, first - 1_000_000) if real else 0)
    return explain_output(rows, name, tick, missing, context, _row_shown)


def _recording_of(manager: str, credentials: str | None, name: str) -> Path:
    """The file to which a running manager records.

    Raises:
        TTError: it does not record, or on another host; the message says what is known all the same.
    """
    from ticktalk.cli.remote import Remote

    with Remote(manager, credentials) as remote:
        status = remote.ask(do="status")
    file = status.get("recording")
    if file is None:
        entries = [entry for graph in status["graphs"] for entry in graph["silent"] if entry["sq"] == name]
        known = f" What its status says: {silence_line(entries[0])}." if entries else ""
        raise TTError(
            f"the manager at {manager} does not record, so tokens that have gone are not known.{known}"
            " Let it record: `ticktalk manager --record FILE.mcap`"
        )
    if not Path(file).exists():
        host = manager.rpartition(":")[0]
        raise TTError(f"the manager records on its own host: copy {file} from {host}, and explain the copy")
    return Path(file)


def _shown(data: bytes) -> str:
    if not data:
        return "(a value that was too long to record)"
    try:
        return shown_value(decode_value(data, as_data))
    except ValueFormatError:
        return f"({len(data)} bytes that cannot be read)"


def _row_shown(row: dict[str, Any]) -> str:
    return joined(row["repr"]) or shown_value(row["value"])
