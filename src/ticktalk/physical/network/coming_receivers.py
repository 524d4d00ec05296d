"""The ensembles to which receivers of an SQ's tokens will come: they get these tokens, too, until they are hosts."""

from __future__ import annotations

from collections.abc import Collection

from ticktalk.payloads import HowFar


class ComingReceivers:
    """Those of all graphs on an ensemble; owned by the timekeeper."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], set[str]] = {}  # by graph and SQ

    def to(self, graph: str, sq: str) -> Collection[str]:
        """The ensembles to which receivers of an SQ's tokens will come."""
        return self._names.get((graph, sq), ())

    def add(self, asked: HowFar, sqs: Collection[str]) -> None:
        """Receivers of what these arcs carry will come to an ensemble; without arcs: none will.

        Args:
            asked: an ensemble's question how far the arcs are.
            sqs: those of its graph, as it is known here.
        """
        if not asked.arcs:
            self.withdraw(asked.name, asked.graph)
        for sq in {arc.rpartition("/")[0] for arc in asked.arcs}:
            if sq in sqs:
                self._names.setdefault((asked.graph, sq), set()).add(asked.name)

    def withdraw(self, ensemble: str, graph: str | None) -> None:
        """No receivers of tokens of a graph (None: of any) will come to an ensemble."""
        for key, names in self._names.items():
            if graph in (None, key[0]):
                names.discard(ensemble)

    def came(self, graph: str, ensembles: Collection[str]) -> None:
        """Ensembles have become hosts. A placement that has other reasons leaves alone what is still to come."""
        for key, names in self._names.items():
            if key[0] == graph:
                names.difference_update(ensembles)

    def forget(self, graph: str) -> None:
        """A graph was stopped."""
        self._names = {key: names for key, names in self._names.items() if key[0] != graph}
