"""The hosts that SQs had before: tokens that they sent from there may still be under way. Owned by the timekeeper.

Such tokens are taken for a while. Where an SQ goes on with its numbers, as after a drain, its next tokens may overtake
them: they come from another ensemble. So a token waits while earlier ones are missing, but not for long: those may be
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ticktalk.hosted.moves import UNDER_WAY_LIMIT
from ticktalk.physical.timekeeping.root_clock import monotonic_us

LIMIT = 10_000_000
"""Microseconds for which tokens of an SQ are taken from its host before, and wait for its placement on another."""


class Former:
    """The former hosts of all SQs of the graphs here.

    Args:
        after: `(microseconds, call)`: calls `call()` after a time.
        again: told that tokens need not wait any more.

    Attributes:
        awaited: the SQs, by graph, of whose tokens earlier ones are awaited, and until when (microseconds).
    """

    def __init__(self, after: Callable[[int, Callable[[], None]], None], again: Callable[[], None]) -> None:
        self._after, self._again = after, again
        self._host_of: dict[str, Mapping[str, str]] = {}  # by graph: the latest placement of its SQs
        self._former: dict[tuple[str, str], tuple[str, int]] = {}  # by graph and SQ: the host before, until when
        self.awaited: dict[tuple[str, str], int] = {}

    def placed(self, graph: str, host_of: Mapping[str, str]) -> set[str] | None:
        """The SQs of a graph have these hosts now: the new ones, where some have changed; None: nothing was told."""
        before = self._host_of.get(graph)
        if before is host_of:
            return None
        self._host_of[graph] = host_of
        if before is None:
            return None
        now = monotonic_us()
        moved = {(graph, sq): host for sq, host in before.items() if host_of[sq] != host}
        self._former.update({key: (host, now + LIMIT) for key, host in moved.items()})
        if moved:
            until = now + UNDER_WAY_LIMIT
            self.awaited.update(dict.fromkeys(moved, until))
            self._after(UNDER_WAY_LIMIT, lambda: self._await_no_more(until))
        return {host_of[sq] for _, sq in moved}

    def _await_no_more(self, until: int) -> None:
        self.awaited = {key: each for key, each in self.awaited.items() if each > until}
        self._again()

    def takes(self, graph: str, sq: str, sender: str) -> bool:
        """True if a token of an SQ may come from there, though it has another host now."""
        former, until = self._former.get((graph, sq), ("", 0))
        return former == sender and monotonic_us() < until

    def is_host(self, graph: str, sq: str, sender: str) -> bool:
        """True if an SQ has this host."""
        return self._host_of.get(graph, {}).get(sq) == sender

    def tend(self, now: int) -> None:
        """Forget what has passed."""
        self._former = {key: former for key, former in self._former.items() if former[1] > now}

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        self._host_of.pop(graph, None)
        self._former = {key: former for key, former in self._former.items() if key[0] != graph}
        self.awaited = {key: until for key, until in self.awaited.items() if key[0] != graph}


def overtakes(numbers: Iterable[tuple[str, int]], came: Mapping[str, int]) -> bool:
    """True if earlier tokens than these, arc and number, have not come; `came`: by arc, the number of the last one."""
    return any(came.get(arc, number - 1) < number - 1 for arc, number in numbers)
