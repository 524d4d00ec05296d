"""One sentence for each SQ that never fired, or most of whose tokens left unmatched: why, and what would help."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ticktalk.counters import Counts
from ticktalk.durations import about, instant_text, interval_text, period_text
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.explain.least_change import advice, after, different_rates
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.stuck import Stuck

FEW = 10
"""Tokens that came to an SQ and are too few to say that most of them find no partner."""

LATER = (
    "a later TTTimeDeadline, or less time on the way; `ticktalk explain --missing` on a recording (--record) says"
    " how much"
)

SHOWN = 5
"""SQs behind a silent one that are named."""


def silent(
    graph: TTGraph, stuck: Mapping[str, Stuck], counts: Counts, homeless: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The SQs that never fired, or whose tokens mostly left unmatched, in the order of the graph, as JSON.

    Args:
        graph: the graph, which has run for a while.
        stuck: by SQ, what its ensemble says of what waits there.
        counts: the counters of all ensembles.
        homeless: the SQs that wait for an ensemble that fits.
    """
    found, dry = [], set()
    for sq in graph.sqs:
        told = stuck.get(sq.name)
        if told is None or sq.name in dry or _not_chosen(graph, sq, told):
            continue
        never = not told.used and sq.trigger != "deadline"  # plan B stands in for data
        if not never and not (told.came >= FEW and 2 * told.used < told.came):
            continue
        behind = [name for name in after(graph, sq.name) if name not in dry] if never else []
        dry.update(behind)
        what = "never fired" if never else f"used {told.used} of {told.came} tokens"
        if sq.trigger == "deadline":
            what = f"let {told.used or 'none'} of {told.came} tokens pass"
        found.append({"sq": sq.name, "why": f"{what}: {_why(graph, sq, told, counts, homeless)}", "and": behind})
    return found


def silence_line(entry: Mapping[str, Any]) -> str:
    """An entry of `silent` as one line."""
    behind = entry["and"]
    more = f" and {len(behind) - SHOWN} more" if len(behind) > SHOWN else ""
    so = f"; so nothing came to {', '.join(behind[:SHOWN])}{more}" if behind else ""
    return f"{entry['sq']} {entry['why']}{so}"


def _not_chosen(graph: TTGraph, sq: TTSQ, told: Stuck) -> bool:
    """True if an SQ is of a branch (`a if c else b`) that was not taken: nothing is wrong then."""
    wiring = wiring_of(graph)
    empty = [index for index, port in enumerate(sq.ports) if port.name in told.waits_for]
    feeders = [producer for index in empty for producer, _ in wiring.feeders.get((sq.name, index), ())]
    return bool(feeders) and all(name and wiring.by_name[name].function == "IF" for name in feeders)


def _why(graph: TTGraph, sq: TTSQ, told: Stuck, counts: Counts, homeless: Collection[str]) -> str:
    if sq.trigger == "grid":
        return _why_no_instant(graph, sq, told, homeless)
    if sq.trigger == "deadline" and (late := counts.get(sq.name, {}).get("late", 0)):
        return f"{late} came after their deadlines: {LATER}"
    rates = different_rates(graph, sq.name) if told.used else ""
    if rates:
        return rates
    empty = [name for name, (count, start, _) in told.ports.items() if start is None]
    empty += [name for name in told.waits_for if name not in told.ports]
    if empty:
        waiting = [f"{count} on `{name}`" for name, (count, _, _) in told.ports.items() if count]
        waits = f", while tokens wait: {' and '.join(waiting)}" if waiting else ""
        return f"nothing came on {_ports(empty)}{_from(graph, sq, empty, told, counts, homeless)}{waits}"
    if told.near is None:
        return "no set of its tokens overlapped"
    first, start, stop, second, begin, end = told.near
    gap = "end where the others begin" if begin == stop else f"miss one another by {about(begin - stop)}"
    there = f"`{first}` has {interval_text(start, stop)} and `{second}` has {interval_text(begin, end)}"
    return f"the intervals {gap}: {there}; {advice(graph, sq.name, told.near, told.others)}"


def _why_no_instant(graph: TTGraph, sq: TTSQ, told: Stuck, homeless: Collection[str]) -> str:
    empty = [name for name, (_, start, _) in told.ports.items() if start is None]
    if empty:
        return f"nothing came on {_ports(empty)}{_from(graph, sq, empty, told, {}, homeless)}"
    if told.near is not None:
        first, start, stop, second, begin, end = told.near
        there = f"`{first}` has {interval_text(start, stop)} and `{second}` has {interval_text(begin, end)}"
        return f"its inputs have no interval in common: {there}; {advice(graph, sq.name, told.near, told.others)}"
    if told.instant is not None:
        return f"its first instant is still to come, {instant_text(told.instant)}: a longer run, or a shorter TTPeriod"
    (start, stop) = _window(told)
    return (
        f"its inputs hold for {interval_text(start, stop)}, which has no instant of its period"
        f" {period_text(sq.every)} that was still to come: a shorter TTPeriod, or inputs that hold for longer"
    )


def _window(told: Stuck) -> tuple[Any, Any]:
    starts = [start for _, start, _ in told.ports.values() if start is not None]
    stops = [stop for _, _, stop in told.ports.values() if stop is not None]
    return max(starts, default=None), min(stops, default=None)


def _ports(names: list[str]) -> str:
    return " and ".join(f"`{name}`" for name in names)


def _from(graph: TTGraph, sq: TTSQ, ports: list[str], told: Stuck, counts: Counts, homeless: Collection[str]) -> str:
    """The SQs from which tokens were to come, and what became of them there, or before."""
    wiring = wiring_of(graph)
    found: dict[str, None] = {}
    sending: set[str] = set()  # tokens of these came to other ports
    for index, port in enumerate(sq.ports):
        feeders = [producer for producer, _ in wiring.feeders.get((sq.name, index), ()) if producer]
        if port.name in ports:
            found |= dict.fromkeys(feeders)
        elif told.ports.get(port.name, (0, None, None))[1] is not None:
            sending.update(feeders)
    if not found:
        return ""
    causes: list[str] = []
    empty: dict[str, None] = {}
    seen, waits = set(sending), list(found)
    while waits:
        name = waits.pop(0)
        if name in seen:
            continue
        seen.add(name)
        before = wiring.by_name[name]
        kinds = counts.get(name, {})
        causes += [f"{name} waits for an ensemble that fits"] if name in homeless else []
        causes += [f"{name} raised {kinds['errors']} times"] if kinds.get("errors") else []
        causes += [f"{kinds['lost']} tokens of {name} were lost"] if kinds.get("lost") else []
        if before.body or before.function == "IF":
            empty[name] = None
        if before.trigger != "grid":
            ports_of = range(len(before.ports))
            waits += [producer for port in ports_of for producer, _ in wiring.feeders.get((name, port), ()) if producer]
    if not causes and sending and 0 < len(empty) <= SHOWN:
        causes.append(f"{' or '.join(reversed(empty))} gave nothing so far: TTEmpty, a branch not taken, or under way")
    return f" from {' or '.join(found)}" + (f" ({', '.join(causes)})" if causes else "")
