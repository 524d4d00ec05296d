"""The cost of bodies: the time of a run on this machine, and the size of its tokens.

Samples are thinned out evenly once there are many, so that a run of any length needs little room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ticktalk.engine.acceleration import ContextParts
from ticktalk.engine.firing.base import Fire
from ticktalk.engine.firing_chain import Elsewhere
from ticktalk.engine.forwarding import unpacked
from ticktalk.payloads import FiringError
from ticktalk.time import Tick, TTEmpty
from ticktalk.values.codec import encode_value, plain

SAMPLES_KEPT = 200
"""Samples of a kind at most; then every second one goes, and only every second one is taken from then on."""


class BodyCosts:
    """Samples of one function's runs (microseconds), and of the sizes of its output tokens (bytes)."""

    __slots__ = ("every", "seen", "sizes", "times", "total")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.seen = 0
        self.total = 0  # of all runs (microseconds)
        self.every = 1

    @property
    def wanted(self) -> bool:
        """True if the next run is one to keep."""
        return self.seen % self.every == 0

    def add(self, time: int, sizes: Iterable[int]) -> None:
        """Take a run."""
        self.total += time
        if self.wanted:
            self.times.append(time)
            self.sizes.extend(sizes)
            if len(self.times) > SAMPLES_KEPT:
                del self.times[1::2]
                del self.sizes[1::2]
                self.every *= 2
        self.seen += 1


class Meter:
    """Measures bodies that are run in place.

    Args:
        clock: microseconds of a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._costs: dict[str, BodyCosts] = {}

    def stage(self, context: ContextParts, own: Elsewhere) -> _Measured | None:
        """The stage that measures every run of a body; sending its result does not count (`MakeStage`)."""
        if not own.sq.body:
            return None
        return _Measured(self._clock, self._costs.setdefault(own.sq.function, BodyCosts()), own)

    def samples(self) -> list[tuple[str, list[int], list[int]]]:
        """The measured costs, for `mapping.measured_costs`."""
        return [(function, costs.times, costs.sizes) for function, costs in self._costs.items()]


class _Measured:
    """Measures the runs of one body. Runs that raise are left out."""

    def __init__(self, clock: Callable[[], int], costs: BodyCosts, own: Elsewhere) -> None:
        self._clock = clock
        self._costs = costs
        self._own = own
        self.body: Fire
        self._ended: int | None = None
        self._raised = False
        self._sizes: list[int] = []

    def fire(self, start: Tick, stop: Tick, values: tuple[object, ...], now: int) -> None:
        self._ended, self._raised = None, False
        self._sizes.clear()
        begun = self._clock()
        self.body(start, stop, values, now)
        ended = self._clock() if self._ended is None else self._ended
        if not self._raised:
            self._costs.add(ended - begun, self._sizes)

    def send(self, value: object, start: Tick, stop: Tick) -> None:
        if self._ended is None:
            self._ended = self._clock()
        if self._costs.wanted:
            self._sizes.extend(_sizes(value, self._own.paths, self._own.unpack))
        self._own.send(value, start, stop)

    def report(self, error: FiringError) -> None:
        self._raised = True
        self._own.report(error)


def _sizes(value: object, paths: list[tuple[tuple[int, ...], bool]], shape: list[object] | None) -> list[int]:
    try:
        if shape:
            value = tuple(plain(value)) if not isinstance(value, tuple | list) else value
        parts = unpacked(value, shape)
        return [len(encode_value(parts[path])) for path, _ in paths if parts[path].__class__ is not TTEmpty]
    except Exception:  # no sequence of that length, or no codec: the sender reports it
        return []
