"""States and tokens that go from one version of a graph to the next, by the names of SQs and ports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, cast

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.prepared_graph import wiring_of
from ticktalk.engine.state import Saver
from ticktalk.graph.constants import decode_constant
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.payloads import InstanceState, SavedSync
from ticktalk.replacement import Changes
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.codec import encoded

NUMBERS = ("newest", "number", "last_start", "considered", "not_before", "known")
"""Parts of a firing rule's state that do not depend on its ports."""

OF_A_DEADLINE = ("due", "missed", "answered", "data")
"""Parts that only a deadline has."""

StreamSetting = tuple[Tick, Tick, bytes]
"""A token without end: its start and stop, the value as MessagePack."""


def carry(
    changes: Changes,
    old: TTGraph,
    new: TTGraph,
    states: Mapping[str, InstanceState],
    inputs: Mapping[str, bytes],
    drop: Collection[str],
) -> dict[str, InstanceState]:
    """The states with which the SQs of a new version begin, in one context.

    Args:
        changes: is told of tokens that have no place there; its tick `at` is that from which new streams fire.
        old, new: the versions.
        states: of the SQs of the old one.
        inputs: the values of the new one's inputs, as MessagePack.
        drop: SQs that begin without their former state; they keep their settings.
    """
    before = {sq.name: sq for sq in old.sqs}
    settings = _settings(old, states)
    feeders, clocks = wiring_of(new).feeders, new.clock_tree()
    given = {(to.sq, to.port): inputs[source.name] for source in new.inputs for to in source.to}
    found = {}
    for sq in new.sqs:
        sync = make_sync(sq, 0, Agenda(0), Counters(), clocks[sq.clock])
        fresh: dict[str, Any] = sync.save(Saver(everything=True))
        was, state = before.get(sq.name), states.get(sq.name)
        left = 0
        if was is not None and state is not None:
            fresh, left = _carried(was, sq, cast(dict[str, Any], state.sync), fresh, sq.name in drop)
        if left:
            changes.dropped[sq.name] = changes.dropped.get(sq.name, 0) + left
        if sq.trigger == "grid" and (was is None or (was.every, was.phase) != (sq.every, sq.phase)):
            fresh["considered"] = max(fresh["considered"], changes.at - 1)
        known = {port.name for port in was.ports if port.constant is None} if was is not None else set()
        come = []
        for index, port in enumerate(sq.ports):
            token = None
            if port.constant is not None:
                if was is None and sq.trigger == "deadline":
                    token = NEG_INFINITY, INFINITY, bytes(encoded(decode_constant(port.constant[0])))
            elif port.name not in known and (sq.name, index) in given:
                token = NEG_INFINITY, INFINITY, given[sq.name, index]
            elif port.name not in known:
                token = next((settings[arc] for arc in feeders.get((sq.name, index), ()) if arc in settings), None)
            if token is not None:
                come.append((index, *token))
        if come:
            fresh["inbox"] = [*fresh.get("inbox", ()), *come]
        body = state.body if state is not None and sq.name not in drop else None
        arcs = {arc for index in range(len(sq.ports)) for arc in feeders.get((sq.name, index), ()) if arc[0]}
        # The first token of each arc is its first: it may come behind a later one, if its sender moves soon.
        received = {f"{sender}/{arc}": 0 for sender, arc in sorted(arcs)}
        found[sq.name] = InstanceState(cast(SavedSync, fresh), body, received=received, late=True)
    for name in changes.removed:
        left = sum(stop != INFINITY for _, _, stop, _ in _tokens(before[name], states[name])) if name in states else 0
        if left:
            changes.dropped[name] = changes.dropped.get(name, 0) + left
    return found


def values_by_host(
    carried: Iterable[Mapping[str, InstanceState]], host_of: Mapping[str, str]
) -> dict[str, dict[str, list[bytes]]]:
    """By ensemble and SQ, the values in these states."""
    found: dict[str, dict[str, list[bytes]]] = {}
    for states in carried:
        for sq, state in states.items():
            if state.values:
                found.setdefault(host_of[sq], {}).setdefault(sq, []).extend(state.values)
    return found


def _arc_ports(sq: TTSQ) -> list[int]:
    return [index for index, port in enumerate(sq.ports) if port.constant is None]


def _carried(
    old: TTSQ, new: TTSQ, saved: Mapping[str, Any], fresh: dict[str, Any], settings_only: bool
) -> tuple[dict[str, Any], int]:
    """The state of a firing rule for the new version of its SQ, and how many tokens have no place there."""
    before, after = _arc_ports(old), _arc_ports(new)
    by_name = {new.ports[index].name: index for index in after}
    ports = {index: by_name[old.ports[index].name] for index in before if old.ports[index].name in by_name}
    slots = {before.index(one): after.index(other) for one, other in ports.items()}
    sync = {**fresh, **{key: saved[key] for key in NUMBERS if key in fresh and key in saved}}
    left = 0

    def stays(start: Tick, stop: Tick) -> bool:
        return stop == INFINITY or not settings_only

    for key in ("inbox", "remote"):
        arrived = saved.get(key, ())
        kept = [(ports[port], *token) for port, *token in arrived if port in ports and stays(token[0], token[1])]
        left += len(arrived) - len(kept)
        if kept:
            sync[key] = kept
    for key in ("ports", "sticky"):
        waiting = saved.get(key, ())
        kept = []
        for slot, *token in waiting:
            to = slots.get(slot)
            fits = to is not None and key in fresh
            if fits and new.trigger == "arrival":
                fits = new.ports[after[cast(int, to)]].sticky == (key == "sticky")
            if fits and stays(token[0], token[2]):
                kept.append((to, *token))
        left += len(waiting) - len(kept)
        if key in fresh:
            sync[key] = kept
    if "settled" in fresh:
        settled: list[Any] = [None] * len(after)
        for slot, entry in enumerate(saved.get("settled", ())):
            if entry is not None and slot in slots and stays(entry[1], entry[3]):
                settled[slots[slot]] = (slots[slot], *entry[1:])
        sync["settled"] = settled
    if "met" in saved:
        met = {number: [slots[slot] for slot in met if slot in slots] for number, met in saved["met"].items()}
        sync["met"] = {number: found for number, found in met.items() if found}
    if "due" in fresh and "due" in saved:
        sync.update({key: saved[key] for key in OF_A_DEADLINE})
        if settings_only:
            sync["data"] = [entry for entry in saved["data"] if entry[1][3] == INFINITY]
            left += len(saved["data"]) - len(sync["data"])
    else:
        left += len(saved.get("data", ()))
    return sync, left


def _tokens(sq: TTSQ, state: InstanceState) -> Iterator[tuple[int, Tick, Tick, bytes]]:
    """The tokens that an instance holds: port, start, stop, value."""
    sync, ports = state.sync, _arc_ports(sq)
    for port, start, stop, data in (*sync.get("inbox", ()), *sync.get("remote", ())):
        yield port, start, stop, data
    entries = [*sync.get("ports", ()), *sync.get("sticky", ()), *sync.get("settled", ())]
    for slot, start, _, stop, data in [entry for entry in entries if entry is not None]:
        yield ports[slot], start, stop, data
    for _, (_, start, _, stop, data) in sync.get("data", ()):
        yield 0, start, stop, data


def _settings(graph: TTGraph, states: Mapping[str, InstanceState]) -> dict[tuple[str, int], StreamSetting]:
    """By the arc that brought them, tokens without end: they came once, and a new receiver is to have them too."""
    feeders = wiring_of(graph).feeders
    found: dict[tuple[str, int], StreamSetting] = {}
    for sq in graph.sqs:
        for port, start, stop, data in _tokens(sq, states[sq.name]) if sq.name in states else ():
            arcs = feeders.get((sq.name, port), ())
            if stop == INFINITY and len(arcs) == 1 and arcs[0][0]:
                found[arcs[0]] = start, stop, data
    return found
