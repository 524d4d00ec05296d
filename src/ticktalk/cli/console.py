"""Printing: results on stdout, everything else on stderr."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TextIO, cast

from ticktalk.cli.streams import StdoutGone
from ticktalk.counters import KINDS, Counts
from ticktalk.durations import about, instant_text, interval_text
from ticktalk.json_text import shown_repr
from ticktalk.payloads import OutputToken
from ticktalk.physical.output_values import opened
from ticktalk.physical.process_end import FLUSHES
from ticktalk.printable import line

LEAST_STEP = 1_000_000
"""Ticks between two moves of a progress bar: more, where they take less than `STEP_TIME`, and at most 1 % of all."""

STEP_TIME = 0.1
"""Seconds."""

CELL = 20_000
"""Characters of one line of a table's cell."""


CLEAR_LINE = "\r\x1b[2K"
"""The sequence by which a terminal clears the line that the cursor is on."""


class ResultsGone(KeyboardInterrupt):
    """Ends a simulation whose reader is gone, as Ctrl-C would: it is no error of a body."""


def results_gone() -> None:
    """End a simulation whose reader is gone.

    Raises:
        ResultsGone: always.
    """
    raise ResultsGone


@contextmanager
def runs_done(total: int | None = None) -> Iterator[Callable[..., None]]:
    """A function to call after one run, or so many: on a terminal it moves a bar, or counts where there is no end."""
    if not sys.stderr.isatty():
        yield lambda runs=1: None
        return
    from rich import progress
    from rich.console import Console

    columns: tuple[progress.ProgressColumn, ...]
    if total is None:
        running = progress.TextColumn("{task.completed:.0f} runs")
        columns = progress.SpinnerColumn(), running, progress.TimeElapsedColumn()
    else:
        running = progress.TextColumn("runs")
        columns = running, progress.BarColumn(), progress.MofNCompleteColumn(), progress.TimeRemainingColumn()
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda runs=1: bar.advance(task, runs)


class Results:
    """Prints output tokens to stdout, and keeps everything else from it.

    While it is open, all other printing, of C code and subprocesses too, goes to stderr.

    Args:
        jsonl: one JSON object per token; else a line for people.
        end: called once when stdout takes nothing more; it may raise `ResultsGone`.
        flush: seconds between two flushes into a file or a pipe; slower results are flushed one by one. Without end,
            they are flushed before other printing only.

    Attributes:
        elsewhere: takes the other printing.
    """

    def __init__(self, jsonl: bool, end: Callable[[], None], flush: float = math.inf) -> None:
        self._jsonl = jsonl
        self._end = end
        self._gone: StdoutGone | None = None
        self._out: TextIO = sys.stdout
        self._saved: int | None = None
        self._flush = flush
        self._flushed = 0.0  # when the last flush was (monotonic)
        self._below: IO[str] | None = None  # the terminal that shows a progress bar
        self.elsewhere: TextIO = sys.stderr

    def add(self, token: OutputToken) -> None:
        """Print one token."""
        if self._gone is not None:
            return
        text = token.line() if self._jsonl else for_people(token)
        try:
            if self._below is not None and self._out.isatty():
                self._below.write(CLEAR_LINE)  # the bar is drawn again below the result
                self._below.flush()
            self._out.write(text + "\n")
            now = time.monotonic()
            if now - self._flushed >= self._flush:
                self._out.flush()
                self._flushed = now
        except OSError as error:
            self._gone = StdoutGone(error)
            self._end()

    def progress(self, start: int, stop: int) -> Iterator[int]:
        """Ticks up to which to run, the last being `stop`, with a progress bar below the results on a terminal."""
        if not sys.stderr.isatty() or stop - start < 100:
            yield stop
            return
        # Loaded on a terminal only: it takes as long as all else that a small program needs.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        with Progress(
            TextColumn("simulating"),
            BarColumn(),
            TextColumn("{task.fields[at]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=console.is_dumb_terminal,
        ) as bar:
            self._below = None if bar.disable else console.file
            task = bar.add_task("", total=100, at="")
            longest = (stop - start) // 100
            tick, step = start, (least := min(LEAST_STEP, longest))
            while tick < stop:
                done = 100 * (tick - start) / (stop - start)
                bar.update(task, completed=done, at=f"{about(tick - start)} of {about(stop - start)}")
                tick = min(stop, tick + step)
                begun = time.monotonic()
                yield tick
                quick = time.monotonic() - begun < STEP_TIME
                step = min(2 * step, longest) if quick else max(least, step // 2)
            self._below = None

    def check(self) -> None:
        """Check that all prints got through; called after the close.

        Raises:
            StdoutGone: it did not.
        """
        if self._gone is not None:
            raise self._gone

    def __enter__(self) -> Results:
        sys.stdout.flush()
        try:
            self._saved = os.dup(1)
            os.dup2(2, 1)
            self._out = os.fdopen(self._saved, "w", encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError:  # stdout or stderr is no file: then only Python's own printing is kept away
            self._saved = None
        if self._out.isatty():
            self._flush = 0.0
        if self._flush == math.inf:
            self.elsewhere = cast(TextIO, _AfterResults(sys.stderr, self._out))
        FLUSHES.append(self._out.flush)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> bool:
        FLUSHES.clear()
        try:
            self._out.flush()
        except OSError as gone:
            self._gone = self._gone or StdoutGone(gone)
        if self._saved is not None:
            os.dup2(self._saved, 1)
            try:
                self._out.close()
            except OSError:
                pass  # told already
        return kind is not None and issubclass(kind, ResultsGone)


class _AfterResults:
    """Stands in for stderr: the results before what is written stand before it, also where both are one pipe."""

    def __init__(self, stderr: TextIO, results: TextIO) -> None:
        self._stderr = stderr
        self._results = results

    def write(self, text: str) -> int:
        """Write, after the results."""
        with suppress(OSError):  # they have no reader any more: the next result says so
            self._results.flush()
        return self._stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stderr, name)


def started(graph: str, context: int, at: int | None) -> str:
    """The line for a graph that was started: at a root tick, or at once."""
    return f"{graph} starts (context {context})" + ("" if at is None else f" at {instant_text(at)}")


def for_people(token: OutputToken) -> str:
    """The line for an output: its interval, SQ, ensemble and value."""
    shown = token.shown or ""
    # To open a long one may take long.
    value = shown.partition(": ")[2] if len(shown) > CELL else shown_repr(opened(token).value)
    return line(f"{interval_text(token.start, token.stop)}  {token.sq} on {token.ensemble}:  {value}", CELL)


def counter_lines(counts: Counts) -> list[str]:
    """One line per kind that is not zero: `skipped: 3 (src-1 2, src2-1 1) - instants of a stream that ...`."""
    lines = []
    for kind, meaning in KINDS.items():
        at = [(sq, kinds[kind]) for sq, kinds in counts.items() if kinds.get(kind)]
        if at:
            shown = ", ".join(f"{sq} {count}" for sq, count in sorted(at)[:8])
            more = f", and {len(at) - 8} more" if len(at) > 8 else ""
            lines.append(f"{kind}: {sum(count for _, count in at)} ({shown}{more}) - {meaning}")
    return lines
