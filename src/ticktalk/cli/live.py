"""`echo` and `rate`: the tokens of any arc while a graph runs; `top`: a system at a glance, again and again."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from ticktalk.cli import options
from ticktalk.cli.arguments import duration
from ticktalk.cli.remote import FOLLOW_AGAIN, FOLLOW_LIMIT, Remote
from ticktalk.cli.signals import until_interrupted
from ticktalk.cli.streams import say
from ticktalk.cli.tables import add, status_tables, table, terminal
from ticktalk.durations import about, interval_text
from ticktalk.json_text import as_json, shown_repr
from ticktalk.printable import escaped, line
from ticktalk.records import ArcToken
from ticktalk.time import INFINITY, NEG_INFINITY
from ticktalk.values.codec import Encoded, plain

Arc = Annotated[str, typer.Argument(metavar="SQ|SQ/INDEX", help="The arc, by its SQ; one of several by SQ/INDEX.")]
OfGraph = Annotated[str, typer.Argument(metavar="GRAPH", help="The graph's name.")]

BARS = "▁▂▃▄▅▆▇█"
WIDE = 60
"""Values that a plot in the terminal shows."""

WINDOW = 50
"""Tokens over which the rate of an arc is the average."""

SLOWEST = 60.0
"""Seconds after a single token in which the next one may come, for a rate of both."""


class Watch:
    """The tokens of an arc, as they come.

    Args:
        remote: the session with the manager.
        graph, arc: which arc.
    """

    def __init__(self, remote: Remote, graph: str, arc: str) -> None:
        self._remote, self._graph = remote, graph
        self._coming = remote.coming()
        self.arc: str = remote.ask(do="watch", graph=graph, name=arc, follow="begin")["arc"]
        self._asked, self._told = time.monotonic(), 0

    def next(self, limit: float) -> ArcToken | None:
        """The next token; None: there is none within so many seconds."""
        token = self._coming.get(min(limit, FOLLOW_AGAIN))
        if lost := self._coming.lost - self._told:
            say(f"{lost} tokens are left out: they came faster than they are shown")
            self._told += lost
        if time.monotonic() - self._asked >= FOLLOW_AGAIN:
            self._remote.ask(FOLLOW_LIMIT, do="watch", graph=self._graph, name=self.arc, follow="renew")
            self._asked = time.monotonic()
        return token if isinstance(token, ArcToken) else None


def echo(
    graph: OfGraph,
    arc: Arc,
    manager: options.Manager,
    count: Annotated[
        int, typer.Option("--count", metavar="COUNT", min=1, help="End after so many tokens.")
    ] = sys.maxsize,
    plot: Annotated[bool, typer.Option("--plot", help="Draw numbers over time, in one line.")] = False,
    credentials: options.Credentials = None,
    as_json: options.Json = False,
) -> None:
    with Remote(manager, credentials) as remote, until_interrupted():
        watch = Watch(remote, graph, arc)
        drawn = Drawn() if plot else None
        while count:
            token = watch.next(FOLLOW_AGAIN)
            if token is None:
                continue
            count -= 1
            value = plain(Encoded(token.data))
            if drawn is not None:
                print(f"\r\x1b[K{drawn.add(value)}" if sys.stdout.isatty() else drawn.add(value), end="", flush=True)
                if not sys.stdout.isatty():
                    print(flush=True)
            elif as_json:
                print(escaped(_row(token, value)), flush=True)
            else:
                shown = (
                    f"{interval_text(token.start, token.stop)}  {token.arc} on {token.ensemble}:  {shown_repr(value)}"
                )
                print(line(shown), flush=True)
        if drawn is not None and sys.stdout.isatty():
            print()


def _row(token: ArcToken, value: Any) -> str:
    exact, shown = as_json(value)
    return json.dumps(
        {
            "graph": token.graph,
            "context": token.context,
            "arc": token.arc,
            "value" if exact else "repr": shown,
            "start": None if token.start == NEG_INFINITY else token.start,
            "stop": None if token.stop == INFINITY else token.stop,
            "ensemble": token.ensemble,
            "sent": token.tick,
        }
    )


class Drawn:
    """The latest numbers as a line of bars; other values as text."""

    def __init__(self) -> None:
        self._numbers: deque[float] = deque(maxlen=WIDE)

    def add(self, value: Any) -> str:
        """Take a value; the line."""
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            return line(shown_repr(value), WIDE + 40)
        self._numbers.append(number)
        low, high = min(self._numbers), max(self._numbers)
        steps = len(BARS) - 1
        bars = "".join(BARS[round(steps * (each - low) / (high - low)) if high > low else 0] for each in self._numbers)
        return f"{bars:<{WIDE}}  {number:.6g}  ({low:.6g} to {high:.6g})"


class Rate(NamedTuple):
    """The rate of an arc over its latest tokens."""

    tokens: float
    bytes: float
    worst: float

    def __str__(self) -> str:
        return f"{self.tokens:.2f} tokens/s, {self.bytes / 1e3:.1f} kB/s, the longest pause {about(round(self.worst))}"


def rate_of(sent: Sequence[tuple[int, int]]) -> Rate | None:
    """The rate of tokens sent at root ticks with so many bytes, in order; None: there are fewer than two."""
    if len(sent) < 2 or sent[-1][0] <= sent[0][0]:
        return None
    span = (sent[-1][0] - sent[0][0]) / 1e6
    pauses = [after[0] - before[0] for before, after in pairwise(sent)]
    return Rate((len(sent) - 1) / span, sum(size for _, size in sent[1:]) / span, max(pauses))


def rate(
    graph: OfGraph,
    arc: Arc,
    manager: options.Manager,
    count: Annotated[
        int, typer.Option("--count", metavar="COUNT", min=1, help="End after so many lines.")
    ] = sys.maxsize,
    credentials: options.Credentials = None,
) -> None:
    with Remote(manager, credentials) as remote, until_interrupted():
        watch = Watch(remote, graph, arc)
        sent: deque[tuple[int, int]] = deque(maxlen=WINDOW)
        told = came = time.monotonic()
        while count:
            token = watch.next(1.0)
            if token is not None:
                came = time.monotonic()
                sent.append((token.tick, len(token.data)))
            if time.monotonic() - told >= 1.0:
                told, count = time.monotonic(), count - 1
                found = rate_of(list(sent))
                print(f"{watch.arc}: {found or 'no tokens come'}", flush=True)
                # Slow arcs are silent for a while between two tokens.
                if told - came >= (SLOWEST if found is None else max(1.0, 2 * found.worst / 1e6)):
                    sent.clear()


def top(
    manager: options.Manager,
    every: Annotated[str, typer.Option(metavar="DURATION", help="How often to look.")] = "1s",
    count: Annotated[
        int, typer.Option("--count", metavar="COUNT", min=1, help="End after so many looks.")
    ] = sys.maxsize,
    credentials: options.Credentials = None,
) -> None:
    from rich.console import Group
    from rich.live import Live

    pause = duration(every, "--every") / 1e6
    if pause < 0.1:
        raise typer.BadParameter(f"--every {every}: look every 100ms at most, the manager has other things to do")
    console = terminal()
    with Remote(manager, credentials) as remote, until_interrupted():
        before: dict[str, Any] | None = None
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as screen:
            while count:
                found = remote.ask(do="status")
                shown = Group(rates_table(found, before), *status_tables(found))
                if console.is_terminal:
                    screen.update(shown, refresh=True)
                else:
                    console.print(shown)
                before, count = found, count - 1
                if count:
                    time.sleep(pause)


def rates_table(status: dict[str, Any], before: dict[str, Any] | None) -> Table:
    """The outputs a second of each graph, and what its counters gained, since a status before."""
    shown = table("graph", "outputs", "a second", "counted since the last look", title="rates")
    former = {graph["name"]: graph for graph in before["graphs"]} if before is not None else {}
    for graph in status["graphs"]:
        past = former.get(graph["name"])
        span = (status["now"] - before["now"]) / 1e6 if before is not None else 0.0
        rate = f"{(graph['outputs'] - past['outputs']) / span:.1f}" if past is not None and span > 0 else ""
        add(shown, graph["name"], graph["outputs"], rate, "\n".join(_gained(graph, past)) if past is not None else "")
    return shown


def _gained(graph: dict[str, Any], past: dict[str, Any]) -> list[str]:
    found = []
    for sq, kinds in graph["counters"].items():
        for kind, number in kinds.items():
            more = number - past["counters"].get(sq, {}).get(kind, 0)
            if more > 0:
                found.append(f"{sq}: {more} {kind}")
    return found[:10] + [f"and {len(found) - 10} more"] * (len(found) > 10)
