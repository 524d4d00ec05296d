"""Mapping: which ensemble hosts which SQ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.language.errors import TTMappingError
from ticktalk.mapping.ensembles import EnsembleInfo, why_not


class TTMapper:
    """Gives every SQ an ensemble that satisfies its constraints.

    Args:
        ensembles: those that may host, in the order of joining, the manager's own last.
    """

    def __init__(self, ensembles: Sequence[EnsembleInfo]) -> None:
        self.ensembles = list(ensembles)

    def map(self, graph: TTGraph) -> dict[str, str]:
        """SQ name to ensemble name: each SQ goes to the first ensemble that may host it.

        Raises:
            TTMappingError: some SQ fits nowhere; the message lists each, its constraints, what each ensemble lacks.
        """
        mapping: dict[str, str] = {}
        unplaced: list[TTSQ] = []
        # SQs without constraints (most of a large graph) all go to the same place.
        found: dict[str, str | None] = {}
        for sq in graph.sqs:
            key = repr(sq.constraints)
            if key not in found:
                found[key] = next((e.name for e in self.ensembles if why_not(sq, e) is None), None)
            host = found[key]
            if host is None:
                unplaced.append(sq)
            else:
                mapping[sq.name] = host
        if unplaced:
            raise TTMappingError(self._explain(graph, unplaced))
        return mapping

    def check(self, graph: TTGraph, mapping: Mapping[str, str]) -> dict[str, str]:
        """A mapping made beforehand, if it holds for this graph and these ensembles.

        Raises:
            TTMappingError: an SQ is not mapped, not in the graph, or mapped where it must not be.
        """
        by_name = {ensemble.name: ensemble for ensemble in self.ensembles}
        names = {sq.name for sq in graph.sqs}
        problems = [f"{name}: the graph {graph.name!r} has no such SQ" for name in mapping if name not in names]
        for sq in graph.sqs:
            host = mapping.get(sq.name)
            if host is None:
                problems.append(f"{sq.name}: the mapping gives it no ensemble")
            elif host not in by_name:
                known = ", ".join(by_name) or "none"
                problems.append(f"{sq.name}: mapped to {host!r}, which has not joined (joined: {known})")
            elif (lack := why_not(sq, by_name[host])) is not None:
                problems.append(f"{sq.name}: {host!r} {lack} ({constraints_text(sq)})")
            elif sq.plan_b is not None and mapping.get(sq.plan_b) != host:
                problems.append(
                    f"{sq.name}: a deadline and its plan B are placed together, but {sq.plan_b} is mapped to"
                    f" {mapping.get(sq.plan_b)!r}"
                )
        if problems:
            raise TTMappingError("the mapping cannot be used:\n  " + "\n  ".join(problems))
        return {sq.name: mapping[sq.name] for sq in graph.sqs}

    def place(
        self, graph: TTGraph, names: Collection[str], not_there: Callable[[str, str], bool] = lambda sq, ensemble: False
    ) -> dict[str, str]:
        """Ensembles for some SQs of the graph, by the same rule; those that fit nowhere are left out.

        A deadline and its plan B stay together. `not_there(sq, ensemble)` rules out more than constraints do.
        """
        placed: dict[str, str] = {}
        wanted = set(names)
        for group in groups(graph):
            if not wanted.isdisjoint(sq.name for sq in group):
                for ensemble in self.ensembles:
                    if all(why_not(sq, ensemble) is None and not not_there(sq.name, ensemble.name) for sq in group):
                        placed.update({sq.name: ensemble.name for sq in group})
                        break
        return placed

    def _explain(self, graph: TTGraph, unplaced: list[TTSQ]) -> str:
        lines = [f"no ensemble may host these SQs of graph {graph.name!r}, so nothing was instantiated:"]
        for sq in unplaced:
            lines.append(f"  {sq.name} (line {sq.line}) wants {constraints_text(sq)}")
            lines += [f"    {ensemble.name!r} {why_not(sq, ensemble)}" for ensemble in self.ensembles]
        lines.append("  let an ensemble join that fits, or change the constraint")
        return "\n".join(lines)


def groups(graph: TTGraph) -> list[list[TTSQ]]:
    """The SQs that are placed together: a deadline and its plan B, any other by itself."""
    by_name = {sq.name: sq for sq in graph.sqs}
    plan_bs = {sq.plan_b for sq in graph.sqs if sq.plan_b is not None}
    return [[sq] if sq.plan_b is None else [sq, by_name[sq.plan_b]] for sq in graph.sqs if sq.name not in plan_bs]


def constraints_text(sq: TTSQ) -> str:
    """What an SQ wants of its ensemble, for messages."""
    return " and ".join(str(constraint) for constraint in sq.constraints)
