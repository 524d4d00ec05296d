"""The use of cores and links that a mapping leads to, from the periods of the streams: what is over 1 falls behind."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec


def rates(graph: TTGraph) -> dict[str, Fraction]:
    """SQ to the firings in a microsecond, if every token finds a partner; 0: it fires once, on the graph's inputs."""
    found: dict[str, Fraction] = {}
    ports: dict[tuple[str, int], Fraction] = {}
    for sq in graph.sqs:
        arrivals = [
            ports[sq.name, port]
            for port, each in enumerate(sq.ports)
            if not each.sticky and each.constant is None and ports.get((sq.name, port))
        ]
        if sq.trigger == "grid" or (sq.function == "RESAMPLE" and not sq.body):
            rate = 1 / Fraction(sq.every)
        elif sq.trigger == "plan_b":
            rate = Fraction(0)  # where all goes well
        else:
            rate = (sum(arrivals, Fraction(0)) if sq.singly else min(arrivals)) if arrivals else Fraction(0)
        found[sq.name] = rate
        for arc in sq.arcs:
            for to in arc.to:
                ports[to.sq, to.port] = ports.get((to.sq, to.port), Fraction(0)) + rate
    return found


def uses(graph: TTGraph, deployment: DeploymentFile, mapping: Mapping[str, str]) -> dict[str, Fraction]:
    """The share of the time for which each ensemble's cores work, and each link (`pole -> rsu`); 0 is left out."""
    specs = {spec.name: spec for spec in deployment.ensembles}
    found: dict[str, Fraction] = {}
    rate = rates(graph)
    for sq in graph.sqs:
        here, cost = mapping[sq.name], deployment.costs.get(sq.function, CostSpec())
        spec = specs.get(here) or EnsembleSpec(here)
        if not sq.persistent:  # it has a worker of its own
            share = rate[sq.name] * (cost.time or 0) / spec.speed / spec.cores
            found[here] = found.get(here, Fraction(0)) + share
        for arc in sq.arcs:
            for other in sorted({mapping[to.sq] for to in arc.to} - {here}):
                link = deployment.link(here, other)
                if link.bandwidth is not None and arc.kind == "value":
                    share = rate[sq.name] * (cost.bytes or 0) * 1_000_000 / link.bandwidth
                    way = f"{here} -> {other}"
                    found[way] = found.get(way, Fraction(0)) + share
    return {name: share for name, share in found.items() if share}


def use_lines(found: Mapping[str, Fraction]) -> list[str]:
    """A line for each that is over 1, and one for the busiest that is not."""
    lines: list[str] = []
    for name, share in sorted(found.items(), key=lambda entry: -entry[1]):
        what = f"the link {name}" if "->" in name else f"the cores of {name}"
        if share <= 1:
            return [*lines, f"with these periods, {what} would be used {float(share):.0%} of the time"]
        lines.append(f"overloaded: with these periods, {what} would have {float(share):.0%} of what can be done")
    return lines
