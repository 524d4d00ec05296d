"""Heads-ups: frames without tokens that go ahead of a stream's tokens, on the same way.

After some milliseconds of rest a core sleeps, and its caches have lost what a token needs. A heads-up is sent shortly
before the instant, when the timekeeper is awake anyway. It takes the token's whole way, as far as to the thread that
takes it in. So the token finds both ends awake. It is no token: it has no number on its arc, and nothing counts it.

The first one goes when a context was wired, before its start tick: it declares the key, and keys are agreed on for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ticktalk.engine.context import Context
from ticktalk.engine.firing.base import TTSQSync
from ticktalk.engine.firing.grid import GridSync
from ticktalk.network_interface import TTNetworkInterface
from ticktalk.physical.network.receivers import TokenWay
from ticktalk.time import Tick


class HeadsUps:
    """The heads-ups of one context's streams.

    Args:
        link: the ensemble's end of the network.
    """

    def __init__(self, link: TTNetworkInterface) -> None:
        self._link = link
        self._streams: dict[str, tuple[GridSync, TokenWay]] = {}  # by arc

    def open(self, context: Context, way: Callable[[str, Sequence[str]], TokenWay]) -> None:
        """Send one on the way of each stream's tokens, given by arc and receivers, before the first token goes.

        Tokens of several arcs to the same receivers go together, on the way of the first.
        """
        for name, forward in context.forwards.items():
            if isinstance(context.syncs[name], GridSync):
                ways = {tuple(ensembles): (arc, ensembles) for arc, ensembles in reversed(forward.to_others())}
                for arc, ensembles in ways.values():
                    self._send(way(arc, ensembles), first=True)

    def add(self, sync: TTSQSync | None, arc: str, way: TokenWay) -> None:
        """Tokens of an arc take this way from now on; if they are a stream's, they get heads-ups."""
        if isinstance(sync, GridSync):
            self._streams[arc] = sync, way

    def clear(self) -> None:
        """No way holds any more."""
        self._streams.clear()

    def send(self, tick: Tick) -> bool:
        """Send those for streams whose next instant is `tick`, on ways that tokens took since the last one.

        Returns:
            Whether there are such streams.
        """
        due = [way for sync, way in self._streams.values() if sync.instant == tick]
        for way in due:
            self._send(way)
        return bool(due)

    def _send(self, way: TokenWay, first: bool = False) -> None:
        for key, sealing, ensembles in way.each:
            if first or sealing.used:
                self._link.publish(key, sealing.nothing, None, ensembles)
