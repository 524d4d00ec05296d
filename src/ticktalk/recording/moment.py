"""A replayed run at one moment: tokens that wait at ports, states of bodies, open deadlines."""

from __future__ import annotations

import msgspec

from ticktalk.engine.state import Saver, is_empty
from ticktalk.json_text import shown_repr
from ticktalk.recording.replay import Replay
from ticktalk.time import INFINITY, NEG_INFINITY, Tick
from ticktalk.values.classes import as_data
from ticktalk.values.codec import decode_value


class WaitingToken(msgspec.Struct, frozen=True):
    """A token at a port: its interval (None: infinite), its value as text, and whether it stays there (sticky)."""

    port: str
    start: int | None
    stop: int | None
    value: str
    stays: bool


class Moment(msgspec.Struct, frozen=True):
    """One SQ at one moment.

    Attributes:
        sq: its name.
        ensemble: its host.
        tokens: what is at its ports.
        deadlines: open ones: interval and root tick.
        running: the intervals of firings whose bodies have not ended.
        state: its `sq_state` as text; "": it has none.
        instant: (a stream) the root tick at which it is due next; None: none is.
        firings: how many have ended.
    """

    sq: str
    ensemble: str
    tokens: list[WaitingToken]
    deadlines: list[tuple[int | None, int | None, int]]
    running: list[tuple[int | None, int | None]]
    state: str
    instant: int | None
    firings: int


def moments(replay: Replay) -> list[Moment]:
    """Every SQ as it is now, in the order of the program."""
    return [_moment(replay, sq.name) for sq in replay.graph.sqs]


def _moment(replay: Replay, name: str) -> Moment:
    sync = replay.context.syncs[name]
    saved = sync.save(Saver(everything=True))
    ports = sync.sq.ports
    tokens: list[WaitingToken] = []

    def add(port: int, start: Tick, stop: Tick, data: bytes, stays: bool) -> None:
        value = _text(data)
        tokens.append(WaitingToken(ports[port].name, _finite(start), _finite(stop), value, stays))

    for slot, start, _, stop, data in saved.get("ports", ()):
        add(sync.arc_ports[slot], start, stop, data, ports[sync.arc_ports[slot]].sticky)
    for entry in (*saved.get("sticky", ()), *saved.get("settled", ())):
        if entry is not None:
            slot, start, _, stop, data = entry
            add(sync.arc_ports[slot], start, stop, data, True)
    for _, (_, start, _, stop, data) in saved.get("data", ()):
        add(0, start, stop, data, ports[0].sticky)
    for box in ("remote", "inbox"):
        for port, start, stop, data in saved.get(box, ()):
            add(port, start, stop, data, False)
    deadlines = [(_finite(start), _finite(stop), int(due)) for start, _, stop, due in saved.get("due", ())]
    execute = replay.context.executes.get(name)
    memory = getattr(execute, "memory", {})
    return Moment(
        name,
        replay.host_of.get(name, ""),
        tokens,
        [each for each in deadlines if each[2] < INFINITY],
        [(_finite(each.start), _finite(each.stop)) for each in replay.running(name)],
        "" if is_empty(memory) else shown_repr(memory),
        getattr(sync, "instant", None),
        replay.ended.get(name, 0),
    )


def _text(data: bytes) -> str:
    text = shown_repr(decode_value(data, as_data))
    return text if len(text) <= 200 else text[:200] + "..."


def _finite(tick: Tick) -> int | None:
    return None if tick in (INFINITY, NEG_INFINITY) else int(tick)
