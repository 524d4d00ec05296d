"""Mapping: which ensemble hosts which SQ."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from ticktalk.errors import TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.needed_modules import NONE, needed_modules
from ticktalk.graph.sq import TTSQ
from ticktalk.mapping.ensembles import EnsembleInfo, Hosts, why_not
from ticktalk.mapping.weights import Loads, Weights
from ticktalk.source_problems import did_you_mean

LISTED = 20
"""Ensembles that a message names at most."""


class TTMapper:
    """Gives every SQ an ensemble that satisfies its constraints.

    Args:
        ensembles: the possible hosts, in the order of joining, the manager's own last.
        absent: why any other ensemble cannot host, for messages.
        drained: the names of those that are being drained: they are given nothing.
    """

    def __init__(
        self, ensembles: Iterable[EnsembleInfo], absent: str = "has not joined", drained: Collection[str] = ()
    ) -> None:
        self.ensembles = [ensemble for ensemble in ensembles if ensemble.name not in drained]
        self.absent, self.drained = absent, drained

    def map(self, graph: TTGraph) -> dict[str, str]:
        """SQ name to ensemble name: each SQ goes to the first ensemble that may host it.

        Raises:
            TTMappingError: some SQ fits nowhere; the message lists each, its constraints, what each ensemble lacks.
        """
        mapping: dict[str, str] = {}
        unplaced: list[TTSQ] = []
        needs = modules_of(graph)
        hosts = Hosts(self.ensembles)
        # SQs without constraints (most of a large graph) all go to the same place.
        found: dict[tuple[str, frozenset[str]], str | None] = {}
        for sq in graph.sqs:
            modules = needs[sq.name]
            key = (repr(sq.constraints), modules)
            if key not in found:
                found[key] = next((ensemble.name for ensemble in hosts.of(sq, modules)), None)
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
        problems = self.problems(graph, mapping)
        if problems:
            lines = "\n  ".join(f"{sq}: {what}" for sq, what in problems)
            raise TTMappingError(f"the mapping cannot be used:\n  {lines}")
        return {sq.name: mapping[sq.name] for sq in graph.sqs}

    def problems(self, graph: TTGraph, mapping: Mapping[str, str]) -> list[tuple[str, str]]:
        """The mistakes of a mapping made beforehand: the SQ, and the fault of its place."""
        by_name = {ensemble.name: ensemble for ensemble in self.ensembles}
        known = _listed(by_name)
        names = {sq.name for sq in graph.sqs}
        needs = modules_of(graph)
        problems = []
        for name in mapping:
            if name not in names:
                hint = did_you_mean(name, names - mapping.keys())
                hint = f"; {hint}" if hint else ": leave it out, or map the graph again"
                problems.append((name, f"the graph {graph.name!r} has no such SQ{hint}"))
        for sq in graph.sqs:
            host = mapping.get(sq.name)
            if host is None:
                problems.append((sq.name, "the mapping gives it no ensemble"))
            elif host not in by_name:
                drains = host in self.drained
                hint = "" if drains else did_you_mean(host, by_name)
                hint = f"; {hint}" if hint else ""
                absent = "is being drained" if drains else self.absent
                problems.append((sq.name, f"mapped to {host!r}, which {absent} (there are: {known}){hint}"))
            elif (lack := why_not(sq, by_name[host], needs[sq.name])) is not None:
                problems.append((sq.name, f"{host!r} {lack} (wants {wants_text(sq, needs)})"))
            elif sq.plan_b is not None and mapping.get(sq.plan_b, host) != host:
                problems.append(
                    (
                        sq.name,
                        f"a deadline and its plan B are placed together, but {sq.plan_b} is mapped to"
                        f" {mapping[sq.plan_b]!r}",
                    )
                )
        return problems

    def place(
        self,
        graph: TTGraph,
        host_of: Mapping[str, str],
        names: Collection[str],
        not_there: Callable[[str, str], bool] = lambda sq, ensemble: False,
        weights: Weights | None = None,
    ) -> dict[str, str]:
        """Ensembles for some SQs of a graph whose others are placed; SQs that fit nowhere are left out.

        Each goes to the ensemble that is least busy with it (`weights`); of equals, to the first in the order of
        joining. A deadline and its plan B stay together. `not_there(sq, ensemble)` rules out more than constraints do.
        """
        wanted = set(names)
        needs = modules_of(graph)
        hosts = Hosts(self.ensembles)
        loads = Loads(weights, [(sq, host_of[sq.name]) for sq in graph.sqs if sq.name not in wanted])
        placed: dict[str, str] = {}
        for group in groups(graph):
            if wanted.isdisjoint(sq.name for sq in group):
                continue
            best: tuple[float, str] | None = None
            for ensemble in together(group, hosts, needs):
                if not any(not_there(sq.name, ensemble.name) for sq in group):
                    busy = loads.with_them(group, ensemble.name)
                    if busy is not None and (best is None or busy < best[0]):
                        best = busy, ensemble.name
            if best is not None:
                loads.add(group, best[1])
                placed.update({sq.name: best[1] for sq in group})
        return placed

    def _explain(self, graph: TTGraph, unplaced: list[TTSQ]) -> str:
        needs = modules_of(graph)
        alike: dict[tuple[str, ...], list[str]] = {}
        for sq in unplaced:
            reasons = [f"    {ensemble.name!r} {why_not(sq, ensemble, needs[sq.name])}" for ensemble in self.ensembles]
            reasons += [f"    {name!r} is being drained" for name in self.drained]
            alike.setdefault((f"(line {sq.line}) wants {wants_text(sq, needs)}", *reasons), []).append(sq.name)
        lines = [f"no ensemble may host these SQs of graph {graph.name!r}, so nothing was instantiated:"]
        for (wants, *reasons), names in alike.items():
            lines += [f"  {', '.join(names)} {wants}", *reasons]
        lines.append("  let an ensemble join that fits, or change the constraint")
        return "\n".join(lines)


def groups(graph: TTGraph) -> list[list[TTSQ]]:
    """The SQs that are placed together: a deadline and its plan B, any other by itself."""
    by_name = {sq.name: sq for sq in graph.sqs}
    plan_bs = {sq.plan_b for sq in graph.sqs if sq.plan_b is not None}
    return [[sq] if sq.plan_b is None else [sq, by_name[sq.plan_b]] for sq in graph.sqs if sq.name not in plan_bs]


def together(group: list[TTSQ], hosts: Hosts, needs: Mapping[str, frozenset[str]]) -> Iterator[EnsembleInfo]:
    """The ensembles that may host all SQs of a group."""
    first, *rest = group
    for ensemble in hosts.of(first, needs[first.name]):
        if all(why_not(sq, ensemble, needs[sq.name]) is None for sq in rest):
            yield ensemble


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:LISTED]) + (f" and {len(listed) - LISTED} more" if len(listed) > LISTED else "") or "none"


def modules_of(graph: TTGraph) -> dict[str, frozenset[str]]:
    """The Python modules that each SQ needs where it is placed: a deadline and its plan B are placed together."""
    by_function = needed_modules(graph)
    needs = {sq.name: by_function.get(sq.function, NONE) if sq.body else NONE for sq in graph.sqs}
    together = [(sq.name, sq.plan_b) for sq in graph.sqs if sq.plan_b is not None] if by_function else []
    changed = True
    while changed:  # a plan B may be another deadline's data
        changed = False
        for deadline, plan_b in together:
            both = needs[deadline] | needs[plan_b]
            if needs[deadline] != both or needs[plan_b] != both:
                needs[deadline] = needs[plan_b] = both
                changed = True
    return needs


def wants_text(sq: TTSQ, needs: Mapping[str, frozenset[str]]) -> str:
    """The demands of an SQ on its ensemble, for messages."""
    wants = [text for constraint in sq.constraints if (text := str(constraint))]
    wants += [f"the module {name!r}" for name in sorted(needs[sq.name])]
    return " and ".join(wants) or "any ensemble"
