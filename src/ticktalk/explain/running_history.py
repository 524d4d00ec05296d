"""The firings of a run that goes on, joined as `History` does, in bounded memory; sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from ticktalk.explain.history import Came, History, Key, NotedFiring
from ticktalk.graph.graph import TTGraph
from ticktalk.records import AnyRecord

KEPT = 20_000
"""Tokens of a run whose senders are known, and those at one SQ whose arcs are; the latest."""


class Following:
    """The firings of one context, as their records come.

    Args:
        graph: its graph.

    Attributes:
        passed: the tokens of which the last call told that no body sent them: they had passed a deadline, or come to
            a handler.
    """

    def __init__(self, graph: TTGraph) -> None:
        self._history = History(graph, ())
        self.passed: list[Key] = []

    def take(self, ensemble: str, records: Iterable[AnyRecord]) -> list[NotedFiring]:
        """Take records of an ensemble; gives the firings whose bodies have run since the last call."""
        history = self._history
        known = len(history.sender)
        for record in records:
            history.take(ensemble, record)
        latest = islice(reversed(history.sender.items()), len(history.sender) - known)
        self.passed = [token for token, sender in latest if sender.how != "fired"]
        ran = [firing for each in history.firings.values() for firing in each if firing.ran is not None]
        for firing in ran:
            for came in firing.took:
                came.used.clear()
        for sq, each in list(history.firings.items()):
            history.firings[sq] = [firing for firing in each if firing.ran is None and firing.how == "fired"][-KEPT:]
        for grown in (history.came, history.deadlines, history.counted):
            grown.clear()
        _forget_oldest(history.tokens)
        _forget_oldest(history.sender)
        for instance in history.instances():
            _forget_used(instance.came)
            _forget_oldest(instance.due)  # of deadlines that never pass, and whose data does not come
            del instance.open[:-KEPT], instance.results[:-KEPT]  # of firings that never run
        return ran

    def origin(self, token: Key) -> Key:
        """A token as a body sent it, as far as is known (`History.origin`)."""
        return self._history.origin(token)


def _forget_oldest(known: dict[Any, Any]) -> None:
    for key in list(islice(known, max(0, len(known) - KEPT))):
        del known[key]


def _forget_used(came: dict[int, Came]) -> None:
    """Forget the oldest tokens at an SQ, but for the last one of each port: that may be used again and again."""
    if len(came) > KEPT:
        last = {each.record.port: number for number, each in came.items()}
        for number in list(came)[: len(came) - KEPT // 2]:
            if last[came[number].record.port] != number:
                del came[number]
