"""The least change of a program with which two tokens would have met: a width, a phase, another rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ticktalk.durations import about, duration_text, period_text
from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.engine.prepared_graph import Wiring, wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.time import INFINITY, Tick

FAR = 60_000_000
"""Root ticks between two tokens from which on their clocks or programs differ, not their widths."""

Near = tuple[str, Tick, Tick, str, Tick, Tick]
"""Two ports, and the intervals of two tokens there; the first one ends before the second one begins."""


class Change(NamedTuple):
    """A setting of a stream with which the two tokens would have met.

    Attributes:
        stream: the SQ's name; `setting`: `TTDataIntervalWidth` or `TTPhase`.
        ticks: its value, in ticks of the stream's clock.
        text: the same in words.
    """

    stream: str
    setting: str
    ticks: int
    text: str


def streams_before(wiring: Wiring, sq: str, port: int) -> list[TTSQ] | None:
    """The streams whose intervals make up those of a port, without graph inputs; None: an SQ makes its own."""
    found: dict[str, TTSQ] = {}
    waits = [producer for producer, _ in wiring.feeders.get((sq, port), ())]
    seen: set[str] = set()
    while waits:
        name = waits.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        before = wiring.by_name[name]
        if before.trigger == "grid" or (before.function == "RESAMPLE" and not before.body):
            found[name] = before
        elif takes_full_tokens(before) and before.function != "IF":
            return None
        else:
            ports = range(len(before.ports))
            waits += [producer for each in ports for producer, _ in wiring.feeders.get((name, each), ())]
    return list(found.values())


def changes(graph: TTGraph, sq: str, near: Near) -> list[Change]:
    """The changes that would each have let two tokens meet that came closest at an SQ, the least one first."""
    wiring = wiring_of(graph)
    ports = {port.name: index for index, port in enumerate(wiring.by_name[sq].ports)}
    first, start, stop, second, begin, end = near
    if INFINITY in (abs(start), abs(stop), abs(begin), abs(end)) or begin - stop > FAR:
        return []
    sides = ((first, int(start), int(stop), int(begin), False), (second, int(begin), int(end), int(stop), True))
    made: list[tuple[float, Change]] = []
    alone: list[TTSQ] = []
    for port, low, high, reach, later in sides:
        streams = streams_before(wiring, sq, ports[port]) or []
        if len(streams) != 1 or streams[0].width != high - low or streams[0].trigger != "grid":
            continue
        stream = streams[0]
        alone.append(stream)
        centre = low + stream.width // 2
        # The interval [centre - w // 2, centre - w // 2 + w) has to hold `reach`, or the tick before it.
        width = 2 * (centre - reach + 1) if later else 2 * (reach - centre) + 1
        made.append((width / stream.width, _set(graph, stream, "TTDataIntervalWidth", width)))
    found = [change for _, change in sorted(made, key=lambda entry: entry[0])]
    if len(alone) == 2 and alone[0].every == alone[1].every and alone[0].phase != alone[1].phase:
        found.append(_set(graph, alone[1], "TTPhase", alone[0].phase))
    return found


def _set(graph: TTGraph, stream: TTSQ, setting: str, root_ticks: int) -> Change:
    clock = graph.clock(stream.clock)
    tick = clock.to_root(1) - clock.to_root(0)
    ticks = int(-(-root_ticks // tick))
    was = {"TTDataIntervalWidth": stream.width, "TTPhase": stream.phase}[setting]
    value = str(ticks) if tick == 1 else f"{ticks} ticks of {stream.clock}"
    text = f"{setting}={value} of {stream.name} ({duration_text(int(ticks * tick))}; now {duration_text(was)})"
    return Change(stream.name, setting, ticks, text)


def advice(graph: TTGraph, sq: str, near: Near) -> str:
    """The change that would have let two tokens meet, as a sentence."""
    found = changes(graph, sq, near)
    if found:
        return "they would meet with " + ", or ".join(change.text for change in found)
    gap = near[4] - near[2]
    if gap > FAR:
        return f"they are {about(gap)} apart, so they are not of one time: look at their clocks, or use ADD_TIME_DELAY"
    return f"they would meet if the intervals of `{near[0]}` or `{near[3]}` were {about(gap + 1)} longer on that side"


def different_rates(graph: TTGraph, sq: str) -> str:
    """The streams at the ports of an SQ that come at other rates, and what to do; empty: they do not."""
    wiring = wiring_of(graph)
    rates: dict[str, TTSQ] = {}
    for index, port in enumerate(wiring.by_name[sq].ports):
        streams = streams_before(wiring, sq, index)
        if streams and len(streams) == 1 and not port.sticky:
            rates[port.name] = streams[0]
    if len({stream.every for stream in rates.values()}) < 2:
        return ""
    told = ", ".join(f"`{port}` each {period_text(stream.every)}" for port, stream in rates.items())
    slow = max(rates.values(), key=lambda stream: stream.every)
    fast = min(rates, key=lambda port: rates[port].every)
    return (
        f"tokens come at different rates ({told}), and each is used once:"
        f" RESAMPLE `{fast}` with TTPeriod={period_text(slow.every)} would give one for each"
    )


def _used(wiring: Wiring, feeders: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those of the arcs to a port whose tokens come of firings: a handler gets the tokens that leave unused, too."""
    return [(name, arc) for name, arc in feeders if not name or wiring.by_name[name].arcs[arc].kind != "unmatched"]


def after(graph: TTGraph, sq: str) -> Iterator[str]:
    """The SQs to which nothing comes if an SQ never fires, in the order of the graph."""
    dry = {sq}
    wiring = wiring_of(graph)
    for each in graph.sqs:
        if each.trigger == "plan_b" or each.name == sq:
            continue
        fed = [_used(wiring, wiring.feeders.get((each.name, port), [])) for port in range(len(each.ports))]
        without = [all(producer in dry for producer, _ in feeders) for feeders in fed if feeders]
        if each.trigger == "deadline":
            without = without[-1:]  # its plan B needs no data
        if without and (all(without) if each.singly else any(without)):
            dry.add(each.name)
            yield each.name
