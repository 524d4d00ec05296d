"""The least change of a program with which two tokens would have met: a width, a phase, another rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import gcd
from typing import NamedTuple

from ticktalk.durations import about, duration_text, period_text
from ticktalk.engine.firing.base import takes_full_tokens
from ticktalk.engine.prepared_graph import Wiring, wiring_of
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.hosted.silence import Near
from ticktalk.time import INFINITY, Tick

FAR = 60_000_000
"""Root ticks between two tokens from which on their clocks or programs differ, not their widths."""


class Change(NamedTuple):
    """A change of a program with which an output would have come (`explain.applied_change` makes it).

    Attributes:
        sq: the SQ's name.
        setting: of a stream `TTDataIntervalWidth`, `TTPhase`, `TTPeriod` or `TTMissed`; of a deadline
            `TTTimeDeadline`; of `RESAMPLE` `TTMaxGap`; of any SQ `RESAMPLE` or `ADD_TIME_DELAY`, before a port of it.
        ticks: its value, in ticks of the stream's clock; of a deadline, by how many root ticks it is later.
        text: the same in words.
        port: the index of that port.
        like: (`RESAMPLE`) the stream whose period and phase it has.
    """

    sq: str
    setting: str
    ticks: int
    text: str
    port: int = 0
    like: str = ""


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


def changes(graph: TTGraph, sq: str, near: Near, others: Iterable[tuple[str, Tick, Tick]] = ()) -> list[Change]:
    """The changes that would each have let a set of tokens meet that came closest at an SQ, the least one first.

    Args:
        graph: the graph.
        sq: the SQ.
        near: the tokens that miss each other, with their ports.
        others: those of the other ports.
    """
    wiring = wiring_of(graph)
    ports = {port.name: index for index, port in enumerate(wiring.by_name[sq].ports)}
    first, start, stop, second, begin, end = near
    if _meet_by_the_program(graph, sq, near):
        return []
    tokens = {first: (start, stop), second: (begin, end), **{port: (low, high) for port, low, high in others}}
    if any(abs(tick) == INFINITY for token in tokens.values() for tick in token) or begin - stop > FAR:
        return []
    alone: dict[str, TTSQ] = {}
    for port, (low, high) in tokens.items():
        streams = streams_before(wiring, sq, ports[port]) or []
        if len(streams) == 1 and streams[0].width == high - low and streams[0].trigger == "grid":
            alone[port] = streams[0]
    middle = {port: int(low + (high - low) // 2) for port, (low, high) in tokens.items()}
    one, two = alone.get(first), alone.get(second)

    def meet(change: Change) -> bool:
        ticks, there = change.ticks * _tick(graph, wiring.by_name[change.sq]), []
        for port, (low, high) in tokens.items():
            if port in alone and alone[port].name == change.sq:
                width, centre = alone[port].width, middle[port]
                if change.setting == "TTDataIntervalWidth":
                    width = ticks
                else:  # its instants are those of the other one
                    centre = middle[first if one is None or change.sq != one.name else second]
                low, high = centre - width // 2, centre - width // 2 + width
            there.append((low, high))
        return max(low for low, _ in there) < min(high for _, high in there)

    made: list[tuple[float, Change]] = []
    # The interval [middle - w // 2, middle - w // 2 + w) has to hold the tick where the other begins, or its last one.
    for port, width in ((first, 2 * (int(begin) - middle[first]) + 1), (second, 2 * (middle[second] - int(stop) + 1))):
        if port in alone:
            made.append((width / alone[port].width, _set(graph, alone[port], "TTDataIntervalWidth", width)))
    found = [change for _, change in sorted(made, key=lambda entry: entry[0])]
    if one is not None and two is not None and one.every == two.every and one.phase != two.phase:
        found.append(_set(graph, two, "TTPhase", one.phase))
        if not meet(found[-1]):
            found[-1] = _set(graph, one, "TTPhase", two.phase)
    return [change for change in found if meet(change)]


def _tick(graph: TTGraph, stream: TTSQ) -> int:
    """The root ticks of a tick of a stream's clock."""
    clock = graph.clock(stream.clock)
    return int(clock.to_root(1) - clock.to_root(0))


def _set(graph: TTGraph, stream: TTSQ, setting: str, root_ticks: int) -> Change:
    tick = _tick(graph, stream)
    ticks = -(-root_ticks // tick)
    now = {"TTDataIntervalWidth": stream.width, "TTPhase": stream.phase, "TTPeriod": stream.every}[setting]
    value = str(ticks) if tick == 1 else f"{ticks} ticks of {stream.clock}"
    if setting == "TTPeriod" and stream.phase >= root_ticks:
        value += f" and TTPhase={stream.phase % root_ticks // tick}"
    text = f"{setting}={value} of {stream.name} ({duration_text(ticks * tick)}; now {period_text(now)})"
    return Change(stream.name, setting, ticks, text)


def to_hold(graph: TTGraph, stream: TTSQ, centre: int, tick: int, begun: int = 0) -> Iterator[Change]:
    """The changes of a stream with which a token of it may hold at a tick; `centre`: of the instant that is nearest.

    Both are counted from the root tick `begun` on.
    """
    width = 2 * (tick - centre) + 1 if tick >= centre else 2 * (centre - tick)
    yield _set(graph, stream, "TTDataIntervalWidth", max(width, 1))
    phase = (begun + tick) % stream.every
    if phase != stream.phase:
        yield _set(graph, stream, "TTPhase", int(phase))
    if 0 < stream.width < stream.every:
        yield _set(graph, stream, "TTPeriod", stream.width)


def to_meet(graph: TTGraph, sq: str, tick: int, nearest: Mapping[int, tuple[int, int]]) -> Iterator[Change]:
    """The changes with which tokens of all ports of an SQ may meet at a tick, or near it; a run says which do.

    Args:
        graph: the graph.
        sq: the SQ.
        tick: the root tick.
        nearest: by port, the interval of the token that is nearest to it.
    """
    wiring = wiring_of(graph)
    before = {port: streams_before(wiring, sq, port) or [] for port in nearest}
    alone = {port: found[0] for port, found in before.items() if len(found) == 1 and found[0].trigger == "grid"}
    for port, (start, stop) in nearest.items():
        if port in alone and not start <= tick < stop and alone[port].width == stop - start:
            yield next(to_hold(graph, alone[port], start + (stop - start) // 2, tick))
    for stream in alone.values():
        for other in alone.values():
            phase = int(other.phase % stream.every)
            if other.name != stream.name and phase != stream.phase:
                yield _set(graph, stream, "TTPhase", phase)
    ports = wiring.by_name[sq].ports
    for port in nearest:
        for like in {each.name: each for other in before if other != port for each in before[other]}.values():
            if [each.name for each in before[port]] != [like.name]:
                setting = f"TTPeriod={period_text(like.every)}, TTPhase={duration_text(like.phase)}"
                text = f"RESAMPLE(..., {setting}) before `{ports[port].name}` of {sq}"
                yield Change(sq, "RESAMPLE", 0, text, port, like.name)
    for port, (start, stop) in nearest.items():
        delay = tick - (start + (stop - start) // 2)
        if not start <= tick < stop:
            text = f"ADD_TIME_DELAY(..., delay={delay}) before `{ports[port].name}` of {sq}"
            yield Change(sq, "ADD_TIME_DELAY", delay, text, port)
    for stream in {each.name: each for found in before.values() for each in found if each.trigger == "grid"}.values():
        yield _set(graph, stream, "TTDataIntervalWidth", max(2 * stream.width, int(stream.every)) + 1)
        if stream.every > 1:
            yield _set(graph, stream, "TTPeriod", max(1, int(stream.every) // 2))


def later_deadline(sq: str, ticks: int) -> Change:
    """A deadline that is later by some root ticks."""
    return Change(sq, "TTTimeDeadline", ticks, f"a TTTimeDeadline of {sq} that is {duration_text(ticks)} later")


def advice(graph: TTGraph, sq: str, near: Near, others: Iterable[tuple[str, Tick, Tick]] = ()) -> str:
    """The changes that would each have let tokens meet (as `changes` has them), as a sentence."""
    found = changes(graph, sq, near, others)
    if found:
        return "they would meet with " + ", or ".join(change.text for change in found)
    gap = near[4] - near[2]
    if gap > FAR:
        return f"they are {about(gap)} apart, so they are not of one time: look at their clocks, or use ADD_TIME_DELAY"
    if _meet_by_the_program(graph, sq, near):
        return "by the program their instants meet: look at the clocks of their ensembles, or one comes too late"
    return f"they would meet if the intervals of `{near[0]}` or `{near[3]}` were {about(gap + 1)} longer on that side"


def _meet_by_the_program(graph: TTGraph, sq: str, near: Near) -> bool:
    """True if two streams miss each other by more than a period though, by their grids, their instants meet."""
    wiring = wiring_of(graph)
    ports = {port.name: index for index, port in enumerate(wiring.by_name[sq].ports)}
    sides = [streams_before(wiring, sq, ports[name]) or [] for name in (near[0], near[3])]
    if any(len(side) != 1 or side[0].trigger != "grid" for side in sides):
        return False
    one, other = sides[0][0], sides[1][0]
    if one.name == other.name or near[4] - near[2] <= max(one.every, other.every) or one.per != 1 or other.per != 1:
        return False
    common = gcd(one.period, other.period)
    apart = (one.phase - other.phase) % common
    return 2 * min(apart, common - apart) < one.width + other.width


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
