"""Control messages between an ensemble and the manager are taken once and in order, though sessions lose some."""

from __future__ import annotations

import itertools
import random
from collections import deque

import pytest

from ticktalk.errors import TTError
from ticktalk.heartbeats import ControlState
from ticktalk.network_keys import Path
from ticktalk.physical.network import control_order
from ticktalk.physical.network.control_order import ControlOrder
from ticktalk.physical.network.frames import FrameError
from ticktalk.physical.trust.guard import Guard, Proven
from ticktalk.physical.trust.identity import ByToken

MANAGER = "boss"


class End:
    """One of the two processes: what it has sent is under way, what it has taken is listed."""

    def __init__(self, name: str, other: str) -> None:
        self.other = other
        self.guard = Guard(ByToken(b"token", name, "manager" if name == MANAGER else "ensemble"))
        self.under_way: deque[bytes] = deque()
        self.order = ControlOrder(self.guard, name, MANAGER, lambda ensemble, frame: self.under_way.append(frame))
        self.taken: list[int] = []
        self.sent = self.now = 0

    def send(self, size: int = 0) -> None:
        self.sent += 1
        self.under_way.append(self.order.seal(self.other, str(self.sent).encode().zfill(size), False, Path.CONTROL))

    def take(self, messages: list[Proven]) -> None:
        for each in messages:
            try:
                self.taken.append(int(self.guard.take(each).body))
            except FrameError:
                pass  # it came before

    def came(self, frame: bytes) -> None:
        self.take(self.order.take(self.guard.prove(frame)))


def two_ends() -> tuple[End, End]:
    edge, boss = End("edge", MANAGER), End(MANAGER, "edge")
    edge.guard.admit(boss.guard.badge, MANAGER)
    boss.guard.admit(edge.guard.badge, "edge")
    return edge, boss


def beat(edge: End, boss: End, after: int = control_order.AGAIN_AT_MOST) -> None:
    """A heartbeat, and its answer; so long after the last one, by default long enough for anything to be sent again."""
    edge.now = boss.now = edge.now + after
    boss.take(boss.order.heard("edge", edge.order.says(MANAGER), boss.now))
    edge.take(edge.order.heard(MANAGER, boss.order.says("edge"), edge.now))


def bring(one: End, other: End, lost: bool = False) -> None:
    while one.under_way:
        frame = one.under_way.popleft()
        if not lost:
            other.came(frame)


@pytest.mark.parametrize("seed", range(40))
def test_each_message_is_taken_once_and_in_its_order(seed: int) -> None:
    choice = random.Random(seed)
    edge, boss = two_ends()
    begun = seed % 4 > 0
    if begun:
        beat(edge, boss)
    for _ in range(choice.randint(5, 60)):
        for one, other in ((edge, boss), (boss, edge)):
            for _ in range(choice.randint(0, 4)):
                one.send()
            if choice.random() < 0.7:
                bring(one, other, lost=choice.random() < 0.4)
        if choice.random() < 0.6:
            beat(edge, boss)
    for _ in range(4):
        beat(edge, boss)
        bring(edge, boss)
        bring(boss, edge)
    beat(edge, boss)
    for one, other in ((edge, boss), (boss, edge)):
        # Only before the first heartbeat it is not known which message was the first.
        assert (one.taken if begun else sorted(one.taken)) == list(range(1, other.sent + 1))
        (way,) = one.order._ways.values()
        assert not way.kept and not way.early and not way.size


def test_nothing_is_sent_again_that_came_in_its_time() -> None:
    edge, boss = two_ends()
    for _ in range(20):
        boss.send()
        bring(boss, edge)
        beat(edge, boss)
    assert not boss.under_way and not edge.under_way


def test_a_message_that_was_lost_is_sent_again_and_the_next_waits_for_it() -> None:
    edge, boss = two_ends()
    boss.send()
    bring(boss, edge)
    beat(edge, boss)
    boss.send()
    bring(boss, edge, lost=True)
    boss.send()
    bring(boss, edge)
    assert edge.taken == [1]
    assert not edge.order.is_behind(MANAGER)
    beat(edge, boss)
    assert edge.order.is_behind(MANAGER), "the manager's answer says that it has sent three"
    beat(edge, boss)
    beat(edge, boss)
    bring(boss, edge)
    assert edge.taken == [1, 2, 3]
    assert not edge.order.is_behind(MANAGER)


def test_messages_lost_before_the_first_heartbeat_are_awaited_once_the_first_number_is_told() -> None:
    edge, boss = two_ends()
    boss.send()
    bring(boss, edge, lost=True)
    edge.order.begin(MANAGER, boss.order.first("edge"))
    boss.send()
    bring(boss, edge)
    assert edge.taken == []
    for _ in range(3):
        beat(edge, boss)
        bring(boss, edge)
    assert edge.taken == [1, 2]


def test_a_first_number_that_is_told_late_changes_nothing() -> None:
    edge, boss = two_ends()
    first = boss.order.first("edge")
    for _ in range(2):
        boss.send()
        bring(boss, edge)
        edge.order.begin(MANAGER, first)
    beat(edge, boss)
    edge.order.begin(MANAGER, first)
    boss.send()
    bring(boss, edge)
    assert edge.taken == [1, 2, 3]


def test_kept_messages_are_bounded_and_given_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_order, "KEPT_BYTES", 1_000)
    edge, boss = two_ends()
    boss.send()
    bring(boss, edge)
    beat(edge, boss)
    for _ in range(50):
        boss.send()
    bring(boss, edge, lost=True)
    (way,) = boss.order._ways.values()
    assert way.size <= 1_000
    kept = [number for number, _ in way.kept]
    for _ in range(4):
        beat(edge, boss)
        bring(boss, edge)
    assert edge.taken == [1, *kept]
    assert len(kept) < 50


def test_messages_that_wait_for_others_are_bounded_and_come_when_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_order, "EARLY", 3)
    edge, boss = two_ends()
    beat(edge, boss)
    boss.send()
    boss.under_way.clear()
    for _ in range(10):
        boss.send()
    bring(boss, edge)
    (way,) = edge.order._ways.values()
    assert edge.taken == [] and len(way.early) == 3
    for _ in range(4):
        beat(edge, boss)
        bring(boss, edge)
    assert edge.taken == list(range(1, 12))
    assert not way.early and not way.early_size


def test_a_new_session_begins_anew() -> None:
    edge, boss = two_ends()
    for _ in range(3):
        boss.send()
    bring(boss, edge, lost=True)
    again = End("edge", MANAGER)
    again.guard.admit(boss.guard.badge, MANAGER)
    boss.guard.admit(again.guard.badge, "edge")
    boss.send()
    bring(boss, again)
    for _ in range(3):
        beat(again, boss)
        bring(boss, again)
    assert again.taken == [4]


def test_after_another_session_numbers_go_on_and_the_first_message_is_taken_at_once() -> None:
    _, boss = two_ends()
    for _ in range(3):
        boss.send()
    boss.under_way.clear()
    again = End("edge", MANAGER)
    again.guard.admit(boss.guard.badge, MANAGER)
    boss.guard.admit(again.guard.badge, "edge")
    beat(again, boss)
    boss.send()
    bring(boss, again)
    assert again.taken == [4]


def test_between_ensembles_nothing_waits_and_nothing_is_kept() -> None:
    one, other = End("one", "other"), End("other", "one")
    one.guard.admit(other.guard.badge, "other")
    other.guard.admit(one.guard.badge, "one")
    one.send()
    one.under_way.clear()
    one.send()
    bring(one, other)
    assert other.taken == [2]
    assert not one.order._ways and not other.order._ways


def test_only_known_processes_are_sealed_for() -> None:
    edge, _ = two_ends()
    with pytest.raises((FrameError, TTError)):
        edge.order.seal("nobody", b"", False, Path.CONTROL)


def test_what_is_asked_for_again_and_again_is_sent_a_bounded_number_of_times() -> None:
    """A thousand heartbeats in 20 s, which ask for all that is kept and take nothing of it."""
    edge, boss = two_ends()
    beat(edge, boss)
    for _ in range(5):
        boss.send(1_000)
    boss.under_way.clear()
    came = []
    for number in range(1_000):
        boss.order.heard("edge", ControlState(0, 1, 0, True), number * 20_000)
        came.append(len(boss.under_way))
    times = [number * 20_000 for number, (before, now) in enumerate(itertools.pairwise([0, *came])) if now > before]
    assert times == [0, 500_000, 1_500_000, 3_500_000, 7_500_000, 15_500_000]
    assert came[-1] == 5 * len(times)
    for frame in list(boss.under_way)[:5]:
        edge.came(frame)
    boss.under_way.clear()
    boss.order.heard("edge", ControlState(5, 1, 0), 20_000_000)
    boss.send()
    boss.under_way.clear()
    boss.order.heard("edge", ControlState(5, 1, 0, True), 20_000_000)
    assert len(boss.under_way) == 1, "a message that is lost after that is sent again at once"


def test_messages_that_follow_are_sent_again_at_once_and_those_before_them_are_not() -> None:
    edge, boss = two_ends()
    beat(edge, boss)
    for number in (1, 2, 3):
        boss.send()
        boss.under_way.clear()
        boss.order.heard("edge", ControlState(0, 1, 0, True), number)
        assert len(boss.under_way) == 1


@pytest.mark.parametrize("seed", range(20))
def test_what_a_link_loses_comes_soon_after_it_is_back(seed: int) -> None:
    """Heartbeats go on while a link is down; within as long again, and a second, all is there."""
    choice = random.Random(seed)
    edge, boss = two_ends()
    beat(edge, boss)
    down = choice.randrange(20_000_000)
    period = choice.randrange(50_000, 500_000)
    for _ in range(3):
        boss.send()
    begun = edge.now
    while edge.now < begun + down:
        beat(edge, boss, period)
        bring(boss, edge, lost=True)
        if choice.random() < 0.1:
            boss.send()
    back = edge.now
    while len(edge.taken) < boss.sent:
        assert edge.now <= back + min(down, control_order.AGAIN_AT_MOST) + control_order.AGAIN + 3 * period
        beat(edge, boss, period)
        bring(boss, edge)
    assert edge.taken == list(range(1, boss.sent + 1))
