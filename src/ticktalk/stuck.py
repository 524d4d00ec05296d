"""The wait of an SQ, as its ensemble reports it to the manager: plain data. Ticks are those of the root clock."""

from __future__ import annotations

import msgspec

from ticktalk.ranges import Count, Name, RootTick, is_interval
from ticktalk.time import Tick


class Stuck(msgspec.Struct, frozen=True):
    """An SQ that waits, or to which tokens came in vain.

    Attributes:
        came: the tokens that came to its ports; `used`: how many of these took part in a firing, or stay there.
        since: the tick since which nothing has changed in what it waits for; None: not seen.
        waits_for: the ports at which nothing waits, while something does at others; empty: no set of them overlaps.
        ports: port to the number of tokens there, and the interval of one of them, or of the last one that left.
        near: of the set of tokens, one of each port, that came closest: the two that miss each other, with their ports.
        instant: of a stream: the next one, which is still to come.
        others: the other tokens of that set, with their ports.
    """

    came: Count
    used: Count
    since: RootTick | None
    waits_for: list[Name]
    ports: dict[Name, tuple[Count, Tick | None, Tick | None]]
    near: tuple[Name, Tick, Tick, Name, Tick, Tick] | None = None
    instant: RootTick | None = None
    others: list[tuple[Name, Tick, Tick]] = []

    def __post_init__(self) -> None:
        near = self.near
        ends = [(start, stop) for _, start, stop in self.ports.values() if start is not None and stop is not None]
        ends += [] if near is None else [near[1:3], near[4:6]]
        ends += [(start, stop) for _, start, stop in self.others]
        if not all(is_interval(start, stop) for start, stop in ends):
            raise ValueError("a token waits on an interval that cannot be")

    def names(self) -> set[str]:
        """The ports that it names."""
        near = [] if self.near is None else [self.near[0], self.near[3], *(port for port, _, _ in self.others)]
        return {*self.waits_for, *self.ports, *near}
