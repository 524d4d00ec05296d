"""The way of a graph's version to rest: its ensembles are asked until nothing happens, in two equal rounds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from ticktalk.graph.graph import TTGraph
from ticktalk.hosted.completion import Completion
from ticktalk.manager.state import ContextState, GraphState, LostEnsemble, ReplaceState
from ticktalk.payloads import IdleReport, InstanceState
from ticktalk.replacement import Switch, Switched

STAGES = ("drain", "hold", "back")
"""The stages of a replacement in which a version comes to rest."""

BEFORE = ("prepare", "expect", "drain", "hold", "hand", "try")
"""Those in which nothing has gone to the new version: the old one stands as it is, and can go on."""

NEXT_START = "the manager was started again meanwhile"
"""The reason for the end of a replacement that was under way when the manager was started again."""

ASK_AGAIN = 10
"""Ticks until it is asked again; twice as many from time to time."""

ASK_AT_LEAST = 5_000
"""Ticks between two such questions at most."""

AHEAD = 5
"""By how many times as much as a start a switch is set ahead: all ensembles hear of it before."""

BACK_LIMIT = 2_000_000
"""Ticks in which a new version that failed has to come to rest."""

HEARD_AFTER = 10_000_000
"""Ticks in which each ensemble hears that a version goes on, or is lost."""


def begin(replacement: ReplaceState, leaving: GraphState, stage: str, limit: int) -> None:
    """A version is to come to rest by tick `limit`."""
    replacement.stage, replacement.limit, replacement.pause = stage, limit, ASK_AGAIN
    replacement.fired = {}
    replacement.rounds = {context.number: Completion(set(leaving.hosts)) for context in leaving.live}


def question(replacement: ReplaceState, leaving: GraphState, hosts: Collection[str], now: int) -> Switch:
    """The next question to these ensembles."""
    replacement.round += 1
    replacement.waits_for = set(hosts)
    for completion in replacement.rounds.values():
        completion.ensembles = set(hosts)
        completion.round, completion.answers = replacement.round, {}
    return Switch(leaving.name, now, replacement.round, hold=replacement.stage == "hold")


def take(replacement: ReplaceState, answer: Switched, contexts: Mapping[int, ContextState], now: int) -> None:
    """Take an ensemble's answer."""
    for report in answer.reports:
        completion = replacement.rounds.get(report.context)
        if completion is not None and not completion.done:
            completion.take(report, contexts[report.context].outputs, now)
    for sq, tick in answer.fired.items():
        replacement.fired[sq] = max(tick, replacement.fired.get(sq, 0))
    replacement.waits_for.discard(answer.ensemble)


def answers(replacement: ReplaceState) -> list[IdleReport]:
    """The answers to the last question."""
    return [report for each in replacement.rounds.values() for report in each.answers.values()]


def note_sent(replacement: ReplaceState) -> None:
    """Note how many tokens the version that has come to rest has sent on each arc, as its ensembles answered last."""
    for report in answers(replacement):
        sent = replacement.sent.setdefault(report.context, {})
        for arc, by_host in report.sent.items():
            sent[arc] = max([*by_host.values(), sent.get(arc, 0)])


def rests(replacement: ReplaceState) -> bool:
    """True if it has come to rest, when all have answered."""
    if replacement.stage == "hold":
        return not any(report.busy for report in answers(replacement))
    return all(completion.done for completion in replacement.rounds.values())


def why_not(replacement: ReplaceState) -> str:
    """The reason that it has not."""
    busy = [f"{report.busy} on {report.ensemble!r}" for report in answers(replacement) if report.busy]
    return busy[0] if busy else "tokens are under way"


def pause(replacement: ReplaceState) -> int:
    """The ticks until the next question; the second of two equal answers needs none."""
    replacement.again = not replacement.again and not any(report.busy for report in answers(replacement))
    if replacement.again:
        return 0
    ticks, replacement.pause = replacement.pause, min(2 * replacement.pause, ASK_AT_LEAST)
    return ticks


def note_holders(lost: Mapping[str, LostEnsemble], *graphs: GraphState) -> None:
    """An ensemble that is lost and comes back is told to stop what has ended meanwhile."""
    for graph in graphs:
        for host in graph.hosts if graph.state != "running" else ():
            if host in lost:
                lost[host].holds.add(graph.name)


def lost_holders(lost: Mapping[str, LostEnsemble], graph: GraphState) -> tuple[str, ...]:
    """The ensembles that were lost with a graph before its manager died: orders to them may not have come."""
    return tuple(name for name, each in lost.items() if graph.name in each.holds and name not in graph.hosts)


def heard(graph: GraphState, order: Switch) -> None:
    """All ensembles of a version have heard that it goes on."""
    if graph.goes_on is order:
        graph.goes_on = None


def go_on_from(graph: TTGraph, states: dict[str, InstanceState], order: Switch) -> None:
    """Let the streams of a version that goes on fire at no instant before that of an order."""
    for sq in graph.sqs:
        if sq.trigger == "grid" and sq.name in states:
            sync: Any = dict(states[sq.name].sync)
            sync["considered"] = max(sync["considered"], order.since.get(sq.name, order.at) - 1)
            states[sq.name] = msgspec.structs.replace(states[sq.name], sync=sync)
