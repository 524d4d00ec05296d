"""What bodies cost: how long a run takes on this machine, how large the tokens are that come of it.

Samples are thinned out evenly once there are many, so that a run of any length needs little room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ticktalk.engine.codec import encode_value, plain
from ticktalk.engine.execution import TTSQExecute
from ticktalk.engine.forwarding import unpacked
from ticktalk.payloads import FiringError
from ticktalk.time import Tick, TTEmpty

SAMPLES_KEPT = 200
"""Samples of a kind at most; then every second one goes, and only every second one is taken from then on."""


class BodyCosts:
    """Samples of one function's runs (microseconds), and of the sizes of its output tokens (bytes)."""

    __slots__ = ("every", "seen", "sizes", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.sizes: list[int] = []
        self.seen = 0
        self.every = 1

    @property
    def wanted(self) -> bool:
        """Whether the next run is one to keep."""
        return self.seen % self.every == 0

    def add(self, time: int, sizes: Iterable[int]) -> None:
        """Take a run."""
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

    def watch(
        self, execute: TTSQExecute, paths: list[tuple[tuple[int, ...], bool]], shape: list[object] | None
    ) -> None:
        """Measure every run of a body; sending its result does not count. Runs that raise are left out."""
        if not execute.sq.body:
            return
        costs = self._costs.setdefault(execute.sq.function, BodyCosts())
        clock, fire, send, report = self._clock, execute.fire, execute.send, execute.report
        ended: int | None = None
        raised = False
        sizes: list[int] = []

        def measured_send(value: object, start: Tick, stop: Tick) -> None:
            nonlocal ended
            if ended is None:
                ended = clock()
            if costs.wanted:
                sizes.extend(_sizes(value, paths, shape))
            send(value, start, stop)

        def noted_report(error: FiringError) -> None:
            nonlocal raised
            raised = True
            report(error)

        def measured_fire(start: Tick, stop: Tick, values: tuple[object, ...], now: int) -> None:
            nonlocal ended, raised
            ended, raised = None, False
            sizes.clear()
            begun = clock()
            fire(start, stop, values, now)
            after = clock() if ended is None else ended
            if not raised:
                costs.add(after - begun, sizes)

        execute.fire, execute.send, execute.report = measured_fire, measured_send, noted_report

    def samples(self) -> list[tuple[str, list[int], list[int]]]:
        """What was measured, for `mapping.measured_costs`."""
        return [(function, costs.times, costs.sizes) for function, costs in self._costs.items()]


def _sizes(value: object, paths: list[tuple[tuple[int, ...], bool]], shape: list[object] | None) -> list[int]:
    try:
        if shape:
            value = tuple(plain(value)) if not isinstance(value, tuple | list) else value
        parts = unpacked(value, shape)
        return [len(encode_value(parts[path])) for path, _ in paths if parts[path].__class__ is not TTEmpty]
    except Exception:  # no sequence of that length, or no codec: whoever sends it says so
        return []
