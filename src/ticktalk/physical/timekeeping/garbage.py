"""Garbage of a process that is an ensemble's: it is collected while nothing is due.

Python collects wherever enough was made, so also at an instant. Each tenth time takes it up to 1 ms. All objects that
an ensemble has loaded take it 13 ms. Here few objects are looked at each time, in a rest. Those that were loaded before
time is kept are never looked at. Python's own collector still does its work where there is no rest.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from ticktalk.physical.timekeeping.root_clock import monotonic_us

SOME = 400
"""New objects that are looked at together, for some 100 us; Python by itself does so from 700 on."""

REST = 500
"""Microseconds of a rest in which that is done."""

LOOKS = 100
"""Such looks after which all objects are looked at in a long rest."""

MOST_LOOKS = 5_000
"""Such looks after which all objects are looked at in any rest."""


class Garbage:
    """Looks for garbage in rests of the timekeeper."""

    def __init__(self) -> None:
        self._looks = 0
        self._takes = 20_000  # microseconds to look at all objects, as far as known

    def look(self, rest: int) -> bool:
        """Collect garbage if there may be some and a rest of so many microseconds is enough; whether it was done."""
        if rest < REST or gc.get_count()[0] < SOME or not gc.isenabled():
            return False
        self._looks += 1
        if self._looks >= MOST_LOOKS or (self._looks >= LOOKS and rest > 2 * self._takes):
            began = monotonic_us()
            gc.collect()
            self._looks, self._takes = 0, monotonic_us() - began
        else:
            gc.collect(1)
        return True


@contextmanager
def loaded_before() -> Iterator[None]:
    """The objects of now are no garbage: they are not looked at meanwhile."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
