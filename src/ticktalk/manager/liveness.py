"""Liveness: which ensembles the manager has heard of, and when."""

from __future__ import annotations

from ticktalk.hosted.lease import DEAD_AFTER


class Heartbeats:
    """When each ensemble was last heard of."""

    def __init__(self, dead_after: int = DEAD_AFTER) -> None:
        self.dead_after = dead_after
        self.seen: dict[str, int] = {}

    def take(self, name: str, now: int) -> None:
        """An ensemble was heard of at `now`."""
        self.seen[name] = now

    def forget(self, name: str) -> None:
        """An ensemble has left."""
        self.seen.pop(name, None)

    def excuse(self, ticks: int) -> None:
        """Nobody could be heard for `ticks`: the one who listens was busy."""
        self.seen = {name: seen + ticks for name, seen in self.seen.items()}

    def dead(self, now: int) -> list[str]:
        """Those that were not heard of for too long."""
        return self.silent(now, self.dead_after)

    def silent(self, now: int, ticks: int) -> list[str]:
        """Those that were not heard of for more than `ticks`."""
        return [name for name, seen in self.seen.items() if now - seen > ticks]
