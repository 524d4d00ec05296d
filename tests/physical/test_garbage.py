"""Garbage of an ensemble's process is collected in rests of its timekeeper."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest
from test_loop import Running, running, settled

from ticktalk.ensemble import TTEnsemble
from ticktalk.physical.ensemble_handle import EnsembleHandle
from ticktalk.physical.timekeeping.garbage import LOOKS, MOST_LOOKS, REST, SOME, Garbage

__all__ = ["running"]


class Knot:
    """Garbage, once nobody has it: only the collector gives it up."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def only_on_request() -> Iterator[None]:
    """Python's own collector stays away."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(0)
    yield
    gc.set_threshold(*before)


def much() -> list[list[int]]:
    return [[number] for number in range(2 * SOME)]


def given_up() -> weakref.ref[Knot]:
    return weakref.ref(Knot())


def test_garbage_is_collected_in_a_rest() -> None:
    gone, kept = given_up(), much()
    assert Garbage().look(REST)
    assert gone() is None and kept


def test_a_short_rest_is_left_alone() -> None:
    gone, kept = given_up(), much()
    assert not Garbage().look(REST - 1)
    assert gone() is not None and kept


def test_a_rest_is_left_alone_where_little_was_made() -> None:
    assert not Garbage().look(1_000_000)


def test_a_collector_that_is_switched_off_stays_off() -> None:
    kept = much()
    gc.disable()
    try:
        assert not Garbage().look(1_000_000) and kept
    finally:
        gc.enable()


@pytest.mark.parametrize(("rest", "looks"), [(1_000_000, LOOKS), (REST, MOST_LOOKS)])
def test_old_garbage_goes_in_a_long_rest_or_after_many_looks(rest: int, looks: int) -> None:
    garbage, knot = Garbage(), Knot()
    gone = weakref.ref(knot)
    gc.collect()  # the knot is old now
    del knot
    for _ in range(looks):
        assert gone() is not None
        kept = much()
        assert garbage.look(rest)
        kept.clear()
    assert gone() is None


def test_the_timekeeper_looks_before_it_sleeps(running: Running) -> None:
    rests: list[int] = []
    looked = threading.Event()

    def look(rest: int) -> bool:
        rests.append(rest)
        if len(rests) == 2:
            looked.set()
        return len(rests) == 1  # then time has passed, and it looks what is due

    running.loop.at_rest = look
    running.begin()
    settled(running)
    assert looked.wait(10)
    assert all(rest > 0 for rest in rests)


def test_loaded_objects_are_left_alone_while_an_ensemble_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = []
    before = gc.get_freeze_count()
    monkeypatch.setattr(EnsembleHandle, "_serve", lambda handle: frozen.append(gc.get_freeze_count()))
    ensemble = TTEnsemble(None, "alone")
    ensemble.run_phy("127.0.0.1:1", workers=0)
    assert frozen[0] > before
    assert gc.get_freeze_count() == 0
    other = threading.Thread(target=TTEnsemble(None, "one-of-many").run_phy, args=("127.0.0.1:1",))
    other.start()
    other.join()
    assert frozen[1] == 0
