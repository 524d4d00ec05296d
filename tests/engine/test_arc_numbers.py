"""Numbers of tokens on arcs: bundles count as their arcs do, one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticktalk.counters import Counters
from ticktalk.hosted.arc_numbers import GAPS_KEPT, ArcBundle, ArcNumbers, ContextArcs
from ticktalk.payloads import InstanceState

ARCS = ["s/0", "s/1", "s/2"]
Sent = st.lists(st.sets(st.sampled_from(ARCS), min_size=1), max_size=30)


class OneByOne:
    """The same by plain counting: tokens sent, and numbers that came."""

    def __init__(self) -> None:
        self.sent = dict.fromkeys(ARCS, 0)
        self.came: dict[str, list[int]] = {arc: [] for arc in ARCS}

    def lost(self, arc: str) -> int:
        came = self.came[arc]
        return max(came, default=0) - len(came)


@given(Sent, st.lists(st.booleans(), min_size=30, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_bundles_count_as_single_tokens_do(
    firings: list[set[str]], arrives: list[bool], somebody_asks: list[bool]
) -> None:
    lost = dict.fromkeys(ARCS, 0)

    def count_lost(arc: str, missing: int) -> None:
        lost[arc] += missing

    sender, receiver, truth = ArcNumbers(count_lost), ArcNumbers(count_lost, ARCS), OneByOne()
    bundles: dict[tuple[str, ...], tuple[ArcBundle, ArcBundle]] = {}
    for firing, comes, asks in zip(firings, arrives, somebody_asks, strict=False):
        arcs = tuple(sorted(firing))
        for arc in arcs:
            truth.sent[arc] += 1
            if comes:
                truth.came[arc].append(truth.sent[arc])
        if len(arcs) == 1:
            number = sender.send(arcs[0])
            assert number == truth.sent[arcs[0]]
            if comes:
                receiver.receive(arcs[0], number)
        else:
            out, into = bundles.setdefault(arcs, (ArcBundle(arcs), ArcBundle(arcs)))
            numbers = sender.send_together(out)
            assert [truth.sent[arc] for arc in arcs] == (
                numbers if isinstance(numbers, list) else [numbers] * len(arcs)
            )
            if comes:
                receiver.receive_together(into, numbers)
        if asks:
            assert sender.sent == {arc: count for arc, count in truth.sent.items() if count}
            assert receiver.numbers == {arc: max(came, default=0) for arc, came in truth.came.items()}
    assert receiver.numbers == {arc: max(came, default=0) for arc, came in truth.came.items()}
    assert lost == {arc: truth.lost(arc) for arc in ARCS}


@given(st.lists(st.integers(1, 30), unique=True), st.booleans())
def test_a_token_that_comes_after_later_ones_counts_as_lost_no_more(came: list[int], single: bool) -> None:
    lost: list[int] = []
    numbers = ArcNumbers(lambda arc, count: lost.append(count), ARCS)
    bundle = ArcBundle(ARCS[:1])
    for count, number in enumerate(came, 1):
        assert numbers.is_new("s/0", number)
        if single:
            numbers.receive("s/0", number)
        else:
            numbers.receive_together(bundle, number)
        assert not numbers.is_new("s/0", number)
        assert sum(lost) == max(came[:count]) - count


def test_gaps_are_bounded_when_one_is_parted_too() -> None:
    lost: list[int] = []
    numbers = ArcNumbers(lambda arc, count: lost.append(count), ARCS)
    numbers.receive("s/0", 10_000)
    for number in range(2, 10_000, 2):
        numbers.receive("s/0", number)
    assert sum(lost) == 5_000
    assert sum(numbers.is_new("s/0", number) for number in range(1, 10_000)) <= GAPS_KEPT
    numbers.receive("s/0", 1)
    assert sum(lost) == 5_000, "its gap is forgotten"


def test_a_count_that_is_back_at_nothing_leaves_nothing() -> None:
    counters = Counters()
    counters.add("s", "lost", 2)
    counters.add("s", "lost", -2)
    assert counters.by_sq == {}


def test_gaps_from_before_an_instance_moved_close_no_more() -> None:
    lost: list[int] = []
    numbers = ArcNumbers(lambda arc, count: lost.append(count), ARCS)
    for leave in (lambda: numbers.take_over({}, {"s/0": 5}), lambda: numbers.renew(["s"])):
        numbers.take_over({}, {"s/0": 0})
        numbers.receive("s/0", 3)
        leave()
        numbers.receive("s/0", 1)
    assert lost == [2, 2]


def test_an_instance_that_moved_counts_on() -> None:
    missing: list[tuple[str, int]] = []
    numbers = ArcNumbers(lambda arc, count: missing.append((arc, count)))
    both = ArcBundle(["a/0", "a/1"])
    numbers.receive_together(both, 7)  # not from the start on: earlier tokens were not for this ensemble
    numbers.receive_together(both, 8)
    assert not missing and numbers.numbers == {"a/0": 8, "a/1": 8}
    numbers.receive_together(both, 10)
    assert missing == [("a/0", 1), ("a/1", 1)]
    numbers.take_over({"b/0": 4}, {"a/0": 30, "c/0": 5})
    assert numbers.send("b/0") == 5
    assert numbers.numbers == {"a/0": 30, "a/1": 10, "c/0": 5}
    numbers.renew(["a"])
    assert numbers.numbers == {"c/0": 5}
    assert numbers.send_together(ArcBundle(["b/0", "b/1"])) == [6, 1]


@pytest.mark.parametrize("far, lost", [({}, 0), ({"s/0": 0}, 6)], ids=["after a loss", "moved"])
def test_an_instance_that_came_counts_as_lost_the_tokens_sent_to_it(far: Any, lost: int) -> None:
    """An SQ that moves asks its senders, so that an arc on which nothing was sent begins at 1.

    After a loss nobody is asked. What was sent on the arc before came to the host that was lost.
    """
    found: list[int] = []
    sync: Any = type("", (), {"sq": type("", (), {"name": "f"})})
    context: Any = type("", (), {"incoming": {"s/0": [(sync, 0)]}})
    arcs = ContextArcs(context, lambda arc, missing: found.append(missing))
    arcs._numbers.clear()
    arcs.come({"f"}, {"f": InstanceState()}, {"f"}, far)
    for number in (7, 8, 10):
        arcs.receive("s/0", number)
    assert sum(found) == lost + 1, "a gap later on counts in any case"
