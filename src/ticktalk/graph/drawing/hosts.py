"""The SQs drawn as one host, and the host's colour."""

from __future__ import annotations

from collections.abc import Mapping

from ticktalk.graph.sq import Nodes, TTConstraintSpec

# Okabe and Ito's colours, distinct to any kind of colour vision, without the ones closest to grey and white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#B8A800", "#6A51A3")


def hosts_of(graph: Nodes, host_of: Mapping[str, str] | None) -> dict[str, str]:
    """SQ name to the name of its group, for the SQs that are in one.

    Without `host_of`, the constraints make the groups: `rsu`, `rsu | edge` (either), `needs camera`.
    """
    if host_of is not None:
        return {sq.name: host_of[sq.name] for sq in graph.sqs if sq.name in host_of}
    asked = {sq.name: _asked_for(sq.constraints) for sq in graph.sqs}
    return {name: label for name, label in asked.items() if label}


def colours_of(host: Mapping[str, str]) -> dict[str, str]:
    """The colour of each group, in the order of first mention; after eight groups they come again."""
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(host.values()))}


def _asked_for(constraints: list[TTConstraintSpec]) -> str:
    named = [constraint.names for constraint in constraints if constraint.names]
    if named:
        # All constraints hold, so the host is one that every list names.
        common = [name for name in named[0] if all(name in names for names in named)]
        # No name in common is a graph that cannot be placed; the picture shows why.
        return " | ".join(common) if common else " & ".join(" | ".join(names) for names in named)
    components = dict.fromkeys(name for constraint in constraints for name in constraint.components)
    return "needs " + ", ".join(components) if components else ""
