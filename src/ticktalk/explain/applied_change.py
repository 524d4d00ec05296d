"""A change of a program that an explanation names, applied to its graph, as if it had been written so."""

from __future__ import annotations

import msgspec

from ticktalk.explain.least_change import Change
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ, TTArc, TTDestination, TTPort


def applied(graph: TTGraph, change: Change) -> TTGraph:
    """The graph with a change; the one that is given stays as it is."""
    if change.setting in ("RESAMPLE", "ADD_TIME_DELAY"):
        return _with_one_before(graph, change)
    sqs = [_changed(graph, sq, change) if sq.name == change.sq else sq for sq in graph.sqs]
    return msgspec.structs.replace(graph, sqs=sqs)


def _changed(graph: TTGraph, sq: TTSQ, change: Change) -> TTSQ:
    clock = graph.clock(sq.clock)
    ticks = change.ticks * int(clock.to_root(1) - clock.to_root(0))
    replace = msgspec.structs.replace
    match change.setting:
        case "TTDataIntervalWidth":
            return replace(sq, width=ticks)
        case "TTPhase":
            return replace(sq, phase=ticks)
        case "TTPeriod":
            return replace(sq, period=ticks, per=1, phase=sq.phase % ticks)
        case "TTMissed":
            return replace(sq, missed="catch-up")
        case "TTTimeDeadline":
            return replace(sq, offset=sq.offset + change.ticks)
        case "TTMaxGap":
            return replace(sq, instruction={**sq.instruction, "TTMaxGap": change.ticks})
    raise ValueError(f"there is no setting {change.setting}")


def _with_one_before(graph: TTGraph, change: Change) -> TTGraph:
    """The graph with an instruction between a port and the arcs that end there."""
    by_name = {sq.name: sq for sq in graph.sqs}
    receiver = by_name[change.sq]
    number = 1
    while f"{change.setting}-{number}" in by_name:
        number += 1
    name, port = f"{change.setting}-{number}", TTDestination(change.sq, change.port)
    made = TTSQ(name, change.setting, arcs=[TTArc(to=[port])], stream=True, constraints=receiver.constraints)
    made.line, made.file = receiver.line, receiver.file
    if change.setting == "RESAMPLE":
        like = by_name[change.like]
        made.ports, made.instruction, made.order = [TTPort("stream")], {"order": 0}, "forward"
        made.period, made.per, made.phase, made.width = like.period, like.per, like.phase, int(like.every)
    else:
        made.ports, made.instruction = [TTPort("a")], {"delay": change.ticks}
    sqs = []
    for sq in graph.sqs:
        arcs = [
            msgspec.structs.replace(arc, to=[TTDestination(name, 0) if to == port else to for to in arc.to])
            for arc in sq.arcs
        ]
        if arcs != sq.arcs:
            made.rank = max(made.rank, 2 * sq.rank + 1)
        sqs.append(msgspec.structs.replace(sq, arcs=arcs, rank=2 * sq.rank))
    inputs = [
        msgspec.structs.replace(each, to=[TTDestination(name, 0) if to == port else to for to in each.to])
        for each in graph.inputs
    ]
    sqs.insert(next(index for index, sq in enumerate(sqs) if sq.name == change.sq), made)
    return msgspec.structs.replace(graph, sqs=sqs, inputs=inputs)
