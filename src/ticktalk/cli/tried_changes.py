"""`ticktalk explain --missing`: which changes make the output come, tried on the recorded streams."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from pathlib import Path

import msgspec
import typer

from ticktalk.cli.what_if import AFTER_STREAMS, simulated
from ticktalk.durations import interval_text
from ticktalk.errors import TTError
from ticktalk.explain.helping_changes import RUNS, SHOWN, nearest, what_helps
from ticktalk.explain.history import History, after
from ticktalk.graph.graph import TTGraph
from ticktalk.recording.setup import Setup
from ticktalk.records import AnyRecord, Fired

RECORDS = 500_000
"""Records of all runs together, about: of a long recording fewer changes are tried."""

INSTANTS = 2_000_000
"""Instants of streams in all runs together, about: a change with which streams fire far more often is not tried."""

SECONDS = 60
"""Seconds of real time after which no run is begun any more: bodies may be slow."""

FEWEST = 3
"""Runs below which none is begun."""


def tried(
    setup: Setup, records: list[tuple[str, AnyRecord]], history: History, name: str, tick: int
) -> Iterator[tuple[int, str]]:
    """The lines of an explanation that say which changes make a missing output come, each with how deep it stands.

    Ctrl-C ends the trying, not the explanation.

    Args:
        setup, records: of the recorded start.
        history: the same, with times after the start.
        name: the SQ that gave nothing.
        tick: for which tick after the start.
    """
    most = min(RUNS, RECORDS // (1 + sum(record.tick - setup.start_tick <= tick for _, record in records)))
    if most < FEWEST:
        yield 0, "changes were not tried, for the recording is long up to there: record a shorter run"
        return
    files = {option: Path(setup.options[option]) for option in ("deployment", "events") if option in setup.options}
    for option in [option for option, path in files.items() if not path.is_file()]:
        gone = files.pop(option)
        yield 0, f"there is no file {gone} here: runs have no --{option}. Ask in the folder of the recorded run"
    ends, left = time.monotonic() + SECONDS, 0
    raised: set[str] = set()

    def simulate(graph: TTGraph) -> History:
        hosts = dict(setup.host_of)
        for sq in graph.sqs:
            if sq.name not in hosts:  # an instruction before a port: it lives beside the receiver
                hosts[sq.name] = hosts[sq.arcs[0].to[0].sq]
        there = msgspec.structs.replace(setup, host_of=hosts)
        deployment, events = files.get("deployment"), files.get("events")
        with redirect_stderr(io.StringIO()):  # what a run says of its files was said when it was recorded
            found = simulated(there, records, graph, tick + AFTER_STREAMS, deployment=deployment, events=events)
        raised.update(_raised(found))
        return History(graph, after(setup.start_tick, found), setup.start_tick)

    def run(graph: TTGraph) -> History | None:
        nonlocal left
        instants = sum((tick + AFTER_STREAMS) / sq.every for sq in graph.sqs if sq.period)
        if instants * most > INSTANTS or time.monotonic() > ends:
            left += 1
            return None
        return simulate(graph)

    try:
        start, stop = nearest(simulate(history.graph), name, tick)
        if start <= tick < stop:
            there = interval_text(start, stop)
            yield 0, f"the recorded streams alone, simulated, make it come, on {there}: the program is not the cause,"
            yield 0, "but what happened to it: bodies, links or clocks that were slow, failed or lost something"
            return
        helps, runs = what_helps(history, name, tick, run, most)
    except (TTError, typer.BadParameter) as error:
        yield 0, f"changes could not be tried: {error}"
        return
    except KeyboardInterrupt:
        yield 0, "which changes make it come is not known: the trying was interrupted"
        return
    made = f"{runs} run{'s' * (runs != 1)}"
    yield 0, f"tried on the recorded streams ({made}):" + ("" if helps else " no change makes it come")
    for each in helps:
        yield 1, each.text()
    if (new := sorted(raised - _raised(records))) and not helps:
        names = ", ".join(new[:SHOWN]) + (f" and {len(new) - SHOWN} more" if len(new) > SHOWN else "")
        yield 1, f"bodies raised in these runs, but not in the recording: {names}. So it may come all the same."
        yield 1, "These runs have no drivers of components, for example"
    if left:
        yield 1, f"not tried, for it would have taken long: {left} more"


def _raised(records: list[tuple[str, AnyRecord]]) -> set[str]:
    """The SQs of which a body raised."""
    return {record.sq for _, record in records if isinstance(record, Fired) and record.outcome == "failed"}
