"""Tokens that came before what makes them good: the start of their context, or the placement of their SQ.

They are bounded for each sender, so none takes the room of another.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ticktalk.physical.network.token_frames import Parcel

KEPT = 10_000
"""Tokens of one sender that wait."""

KEPT_BYTES = 32 << 20
"""Bytes of such tokens."""

NUMBER = 40
"""Bytes of a number in a list."""


class EarlyToken(NamedTuple):
    """A token that waits: its graph, its sender, what takes it in (`tokens.Incoming`), itself, and when it came."""

    graph: str
    sender: str
    incoming: Any
    parcel: Parcel
    came: int

    def size(self) -> int:
        """The bytes that it takes."""
        _, _, arcs, numbers, _, _, data = self.parcel
        return len(data) + len(arcs) + (NUMBER * len(numbers) if isinstance(numbers, list) else 0)


class Early:
    """The tokens that wait, in the order in which they came."""

    def __init__(self) -> None:
        self.tokens: dict[int, EarlyToken] = {}
        self._numbers = itertools.count()
        self._room: dict[str, list[int]] = {}  # by sender: how many more tokens and bytes

    def add(self, token: EarlyToken) -> bool:
        """Let a token wait; False: there is no room for it."""
        room = self._room.setdefault(token.sender, [KEPT, KEPT_BYTES])
        size = token.size()
        if room[0] < 1 or room[1] < size:
            return False
        room[0] -= 1
        room[1] -= size
        # Its data are a view: the whole frame would wait with it.
        kept = token._replace(parcel=(*token.parcel[:-1], bytes(token.parcel[-1])))
        self.tokens[next(self._numbers)] = kept
        return True

    def take(self, wanted: Callable[[EarlyToken], object]) -> Iterator[EarlyToken]:
        """The tokens that are wanted, one by one; each waits no more. One may be wanted because of the one before."""
        for number, token in list(self.tokens.items()):
            if number in self.tokens and wanted(token):
                del self.tokens[number]
                room = self._room[token.sender]
                room[0] += 1
                room[1] += token.size()
                if room[0] == KEPT:
                    del self._room[token.sender]
                yield token

    def forget(self, graph: str) -> None:
        """Let no token of a graph wait."""
        for _ in self.take(lambda token: token.graph == graph):
            pass
