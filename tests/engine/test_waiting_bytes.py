"""Tokens that wait for a partner, a deadline or a turn are bounded in bytes: the stalest leave, and are counted."""

from __future__ import annotations

from typing import Any

import pytest

from ticktalk.counters import Counters
from ticktalk.engine.agenda import Agenda
from ticktalk.engine.firing import make_sync
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.graph.sq import TTSQ, TTArc, TTPort
from ticktalk.hosted import waiting_bytes
from ticktalk.hosted.tapping import Tapped
from ticktalk.hosted.waiting_bytes import TOKEN, WaitingBytes
from ticktalk.records import AnyRecord
from ticktalk.time import INFINITY, NEG_INFINITY
from ticktalk.values.codec import Encoded

JOIN = TTSQ("join-1", "join", body=True, ports=[TTPort("a"), TTPort("b")])
THREE = TTSQ("three-1", "three", body=True, ports=[TTPort("a"), TTPort("b"), TTPort("s", sticky=True)])
PLAN_B = TTSQ("plan-1", "plan", body=True, trigger="plan_b", ports=[TTPort("a")])
DEADLINE = TTSQ("due-1", "due", trigger="deadline", ports=[TTPort("data"), TTPort("deadline")])


def value(length: int) -> Encoded:
    """One that takes `length` bytes where it waits."""
    return Encoded(bytes(length - TOKEN))


class World:
    """One SQ whose tokens are bounded."""

    def __init__(
        self,
        sq: TTSQ,
        monkeypatch: pytest.MonkeyPatch,
        most: int,
        handled: bool = False,
        recorded: list[AnyRecord] | None = None,
    ) -> None:
        monkeypatch.setattr(waiting_bytes, "WAITING_BYTES", most)
        self.agenda, self.counters = Agenda(), Counters()
        self.sync: TTSQSync = make_sync(sq, 0, self.agenda, self.counters)
        self.fired: list[Any] = []
        self.left: list[Any] = []
        self.sync.fire = lambda start, stop, values, now: self.fired.append((start, stop, values))
        self.sync.pass_on = lambda value, start, stop: self.fired.append((start, stop))  # type: ignore[attr-defined]
        if handled:
            self.sync.leave = lambda value, start, stop, missing: self.left.append((start, stop, tuple(missing)))
        if recorded is not None:
            Tapped(recorded.append, lambda: 0).watch_sync(self.sync)
        later: list[Any] = []
        context: Any = type("", (), {"syncs": {sq.name: self.sync}})
        watch = WaitingBytes(later.append)
        watch.watch(context)
        watch.watch(context)  # it is watched once
        self.later = later

    def come(self, port: int, start: float, stop: float, what: Any) -> None:
        self.sync.receive(port, start, stop, what)
        self.turn()

    def turn(self) -> None:
        self.agenda.run_ready(self.agenda.now)
        for look in self.later:
            look()
        self.later.clear()

    def starts(self) -> list[float]:
        """Of the tokens that wait, on all ports."""
        return sorted(token[0] for _, port in self.sync._consuming() for token in port.tokens)

    @property
    def overflow(self) -> int:
        return self.counters.by_sq.get(self.sync.sq.name, {}).get("overflow", 0)


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("sq", [JOIN, THREE, PLAN_B, DEADLINE], ids=lambda sq: sq.name)
def test_the_stalest_tokens_leave(sq: TTSQ, recorded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 100 tokens of 1,000 bytes, of which 8,000 may wait, and an eighth more until the next look."""
    world = World(sq, monkeypatch, 8_000, recorded=[] if recorded else None)
    for number in range(100):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
        assert len(world.starts()) <= 9
    assert world.overflow == 100 - len(world.starts()) >= 91
    assert world.starts() == [10 * number for number in range(100 - len(world.starts()), 100)], "the newest wait"


def test_below_the_bound_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same arrivals, with a bound that is not reached and without one."""
    found = []
    for most in (300_000, 10**12):
        world = World(JOIN, monkeypatch, most)
        for number in range(200):
            world.come(0, 10 * number, 10 * number + 10, value(1_000))
            if number % 7 == 0:
                world.come(1, 10 * number, 10 * number + 10, Encoded(b"\1"))
        found.append((len(world.fired), world.starts(), world.counters.by_sq))
    assert found[0] == found[1] and found[0][0] == 29


def test_a_token_that_still_waits_finds_its_partner(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(JOIN, monkeypatch, 8_000)
    for number in range(50):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
    world.come(1, 490, 500, Encoded(b"\1"))
    world.come(1, 0, 10, Encoded(b"\1"))
    assert [firing[:2] for firing in world.fired] == [(490, 500)], "the oldest has left"


def test_tokens_that_fire_are_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(JOIN, monkeypatch, 8_000)
    for number in range(100):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
        world.come(1, 10 * number, 10 * number + 10, value(1_000))
    assert len(world.fired) == 100 and not world.overflow


def test_a_token_without_end_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a setting, and comes once."""
    world = World(JOIN, monkeypatch, 8_000)
    world.come(0, NEG_INFINITY, INFINITY, value(7_000))
    for number in range(30):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
    assert world.starts()[0] == NEG_INFINITY and len(world.starts()) <= 3


def test_tokens_that_leave_go_to_the_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    sq = TTSQ("join-1", "join", body=True, ports=JOIN.ports, arcs=[TTArc(kind="unmatched")])
    world = World(sq, monkeypatch, 8_000, handled=True)
    for number in range(20):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
    assert world.left == [(10 * n, 10 * n + 10, ("b",)) for n in range(world.overflow)] and world.overflow >= 11


@pytest.mark.parametrize("sq", [JOIN, TTSQ("one-1", "one", body=True, ports=[TTPort("a")])], ids=lambda sq: sq.name)
def test_an_sq_that_is_held_keeps_the_newest(sq: TTSQ, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ensemble has lost the manager, and tokens go on coming."""
    world = World(sq, monkeypatch, 8_000)
    world.sync.hold()
    for number in range(100):
        world.come(0, 10 * number, 10 * number + 10, value(1_000))
    assert len(world.sync.inbox) <= 9 and world.overflow == 100 - len(world.sync.inbox)
    assert world.sync.inbox[-1][1] == 990
    world.sync.release()
    world.turn()
    assert not world.sync.inbox and len(world.starts()) + len(world.fired) >= 7
