"""Matching: which tokens an SQ fires on together.

A waiting token is a tuple `(start, number, stop, value)`: root ticks, the order of arrival at its SQ, and the value. A
list of them sorts by start, then arrival: the order that settles ties.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

from ticktalk.time import INFINITY, Tick

Waiting = tuple[Tick, int, Tick, Any]


class Port:
    """The tokens that wait on one consuming port, by start, then arrival; the last one that left without a partner."""

    __slots__ = ("evicted", "tokens", "widest")

    def __init__(self) -> None:
        self.evicted: Waiting | None = None
        self.tokens: list[Waiting] = []
        self.widest: Tick = 0  # of all tokens ever seen here: bounds how far back an overlap can begin

    def add(self, token: Waiting) -> None:
        """Let `token` wait."""
        tokens = self.tokens
        width = token[2] - token[0]
        if width > self.widest:
            self.widest = width
        if not tokens or tokens[-1] < token:
            tokens.append(token)
        else:
            insort(tokens, token)

    def remove(self, token: Waiting) -> None:
        """Take `token` away; it is here."""
        tokens = self.tokens
        if tokens[-1] is token:
            tokens.pop()
        elif tokens[0] is token:
            del tokens[0]
        else:
            del tokens[bisect_left(tokens, (token[0], token[1]))]

    def holds(self, token: Waiting) -> bool:
        """True if `token` still waits here."""
        tokens = self.tokens
        index = bisect_left(tokens, (token[0], token[1]))
        return index < len(tokens) and tokens[index] is token

    def overlapping(self, start: Tick, stop: Tick) -> list[Waiting]:
        """The tokens that share a tick with [start, stop), by start, then arrival."""
        tokens = self.tokens
        if not tokens:
            return tokens
        if len(tokens) == 1:
            token = tokens[0]
            return tokens if token[0] < stop and token[2] > start else []
        first = 0
        if self.widest != INFINITY and start != -INFINITY:
            reach = start - self.widest  # none that starts by then reaches `start`
            token = tokens[-1]
            if token[0] <= reach:
                return []
            if tokens[-2][0] <= reach:
                return [token] if token[0] < stop and token[2] > start else []
            first = bisect_left(tokens, (reach,))
        return [token for token in tokens[first : bisect_left(tokens, (stop,))] if token[2] > start]

    def evict(self, limit: Tick) -> list[Waiting]:
        """Take away the tokens that end before `limit`."""
        tokens = self.tokens
        begun, count = 0, len(tokens)
        while begun < count and tokens[begun][0] < limit:  # later starts have later ends too
            begun += 1
        gone = [token for token in tokens[:begun] if token[2] < limit]
        if gone:
            self.evicted = gone[-1]
            tokens[:begun] = [token for token in tokens[:begun] if token[2] >= limit]
        return gone

    def first_end(self) -> Tick:
        """The earliest end of a token that waits; `INFINITY`: none waits."""
        earliest: Tick = INFINITY
        for token in self.tokens:
            if token[0] >= earliest:
                break
            if token[2] < earliest:
                earliest = token[2]
        return earliest


def best_set(start: Tick, stop: Tick, ports: Sequence[Sequence[Waiting]]) -> list[Waiting] | None:
    """One token per port, such that their common overlap with [start, stop) is widest.

    `ports` holds for each port the tokens that overlap [start, stop), by start, then arrival. Of sets equally wide
    the one wins whose tokens, compared port by port, start earlier, then arrived earlier. None when no set overlaps.
    """
    if len(ports) == 1:
        best: Waiting | None = None
        width: Tick = 0
        for token in ports[0]:
            overlap = (token[2] if token[2] < stop else stop) - (token[0] if token[0] > start else start)
            if overlap > width:
                best, width = token, overlap
        return None if best is None else [best]
    if all(len(tokens) == 1 for tokens in ports):
        for tokens in ports:
            start, stop = max(start, tokens[0][0]), min(stop, tokens[0][2])
        return [tokens[0] for tokens in ports] if start < stop else None
    width = _widest_overlap(start, stop, ports)
    if width <= 0:
        return None
    chosen: list[Waiting] = []
    for index, tokens in enumerate(ports):
        rest = ports[index + 1 :]
        for token in tokens:
            low, high = max(start, token[0]), min(stop, token[2])
            if high - low >= width and _widest_overlap(low, high, rest) == width:
                chosen.append(token)
                start, stop = low, high
                break
    return chosen


def _widest_overlap(start: Tick, stop: Tick, ports: Sequence[Sequence[Waiting]]) -> Tick:
    """The width of the widest overlap of [start, stop) with one token of each port; 0 or less if there is none.

    For each place where an overlap can begin, every port gives the token that reaches furthest of those begun by
    then: polynomial, where trying all combinations is not.
    """
    if not ports:
        return stop - start
    begins = sorted({max(start, token[0]) for tokens in ports for token in tokens} | {start})
    reach = [-INFINITY] * len(ports)
    position = [0] * len(ports)
    widest: Tick = 0
    for begin in begins:
        if begin >= stop:
            break
        end = stop
        for index, tokens in enumerate(ports):
            at = position[index]
            while at < len(tokens) and tokens[at][0] <= begin:
                if tokens[at][2] > reach[index]:
                    reach[index] = tokens[at][2]
                at += 1
            position[index] = at
            if reach[index] < end:
                end = reach[index]
        if end - begin > widest:
            widest = end - begin
    return widest
