"""Two versions of a graph before one replaces the other: how they differ, where the new one goes, why it may not."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from ticktalk.durations import about
from ticktalk.engine.firing_chain import keeps_state
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.manager.deploy import grid_of, with_grid
from ticktalk.manager.driver import Driver
from ticktalk.manager.state import GraphState, ManagerState, ReplaceState
from ticktalk.mapping.mapper import TTMapper, groups
from ticktalk.replacement import Changes
from ticktalk.source_problems import did_you_mean
from ticktalk.time.grid import period_of

OFTEN = 3
"""Outputs of the old version in as long as the new one is watched: from so many on, the new one has to give one."""


def compare(name: str, old: TTGraph, new: TTGraph) -> Changes:
    """The differences between two versions of a graph called `name`."""
    before, after = {sq.name: sq for sq in old.sqs}, {sq.name: sq for sq in new.sqs}
    added = [sq for sq in after if sq not in before]
    removed = [sq for sq in before if sq not in after]
    renamed: dict[str, str] = {}
    for is_it in (_same_function, _alike):
        for sq in [sq for sq in removed if sq not in renamed]:
            same = [a for a in added if a not in renamed.values() and is_it(before[sq], after[a])]
            if same:
                renamed[sq] = same[0]
    return Changes(name, 0, [sq for sq in after if sq in before], added, removed, renamed)


def _same_function(old: TTSQ, new: TTSQ) -> bool:
    return old.function == new.function


def _alike(old: TTSQ, new: TTSQ) -> bool:
    """True if the function may have another name now: both keep state, and their parameters have the same names."""
    names = [[port.name for port in sq.ports] for sq in (old, new)]
    return keeps_state(old) and keeps_state(new) and names[0] == names[1]


def refusals(changes: Changes, old: TTGraph, new: TTGraph, drop: Collection[str]) -> list[str]:
    """The reasons against a new version, a line each: state that would be lost, and is not to be dropped."""
    after = {sq.name: sq for sq in new.sqs}
    names = [sq.name for sq in old.sqs]
    lines = []
    for name in [name for name in drop if name not in names]:
        hint = did_you_mean(name, names)
        lines.append(f"--drop-state {name}: the graph has no such SQ{f'; {hint}' if hint else ''}")
    for sq in old.sqs:
        if keeps_state(sq) and sq.name not in drop:
            now = changes.renamed.get(sq.name)
            if sq.name not in after and now is not None:
                why = f'has no SQ of this name: if it is {now} there, call it TTName="{sq.name}"'
            elif sq.name not in after:
                why = "has no such SQ"
            elif not keeps_state(after[sq.name]):
                why = "keeps none in it"
            else:
                continue
            lines.append(f"{sq.name} keeps state, and the new version {why} (or give --drop-state {sq.name})")
    return lines


def why_not(state: ManagerState, old: GraphState, driver: Driver) -> str | None:
    """The reason that a graph cannot be replaced now, whatever the new version is; None: it can."""
    title = old.title
    if (why := driver.cannot_move()) is not None:
        return why
    if title in state.replacements:
        return f"graph {title!r} is being replaced already: try again when that is done"
    if old.state not in ("ready", "running"):
        return f"graph {title!r} is not ready yet: try again when it is"
    if old.move is not None or old.preparing or old.arriving or state.draining:
        return f"SQs of graph {title!r} are on the move: try again when they have come"
    waiting = ", ".join(sq for sq, host in old.host_of.items() if not host)
    if waiting:
        return f"graph {title!r} waits for an ensemble for {waiting}: it can be replaced when all of it runs"
    return None


def version(old: GraphState, graph: TTGraph, host_of: dict[str, str], changes: Changes) -> GraphState:
    """A new version of a graph. Its streams keep the periods and phases that were set; `changes` is told which do.

    Where the new program's differ from the old program's, the new ones count.
    """
    names, sqs = list(dict.fromkeys(host_of.values())), list(graph.sqs)
    new = GraphState(graph, host_of, names, set(names), version_of=old.title)
    for at, sq in enumerate(sqs):
        if sq.trigger == "grid" and sq.name in old.grids:
            was_set, written = old.grids[sq.name], (sq.period, sq.per, sq.phase)
            if old.programmed.get(sq.name) == written:
                sqs[at] = with_grid(sq, period_of(was_set.period, was_set.per), was_set.phase)
                new.grids[sq.name], new.programmed[sq.name] = grid_of(new.name, sqs[at]), written
                changes.as_set.append(sq.name)
            else:
                changes.as_written.append(sq.name)
    new.graph = msgspec.structs.replace(graph, sqs=sqs)
    return new


def hosts(
    state: ManagerState, old: GraphState, graph: TTGraph, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The ensembles of a new version: as they are given; else SQs stay where they are, as far as they may.

    Raises:
        TTMappingError: some SQ fits nowhere, or not where it is to be.
    """
    mapper = TTMapper(state.infos())
    if given is not None:
        return mapper.check(graph, given)
    host_of = {sq.name: old.host_of[sq.name] for sq in graph.sqs if sq.name in old.host_of}
    wrong = {sq for sq, _ in mapper.problems(graph, host_of)}
    for group in groups(graph):
        if not wrong.isdisjoint(sq.name for sq in group):
            wrong.update(sq.name for sq in group)
    kept = {sq.name: "" if sq.name in wrong else host_of[sq.name] for sq in graph.sqs}
    found = {**kept, **mapper.place(graph, kept, wrong, weights=old.weights)}
    return found if all(found.values()) else mapper.map(graph)


def why_failed(replacement: ReplaceState, new: GraphState, errors: Mapping[str, int], over: bool) -> str | None:
    """The reason that a new version that is watched has failed; None: it has not.

    Args:
        replacement: knows what the old one did.
        new: the new version.
        errors: by SQ, how many errors it has raised.
        over: it has been watched long enough.
    """
    for sq, count in errors.items():
        if sq not in replacement.erred:
            return f"{sq} raised {count} error{'s' * (count != 1)}, and had raised none before"
    gave = any(context.output_count for context in new.contexts.values())
    if over and replacement.before >= OFTEN and not gave:
        before = f"the old version gave {replacement.before:.0f} in as long"
        return f"it gave no output within {about(replacement.watch)}; {before}"
    return None
