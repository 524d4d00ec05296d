"""The ensembles of a run and their SQs, from `--ensemble`, `--component`, `--deployment`, `--mapping`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import typer

from ticktalk.cli.arguments import EnsembleOption, all_ensembles, constraint_names, ensembles
from ticktalk.cli.streams import say
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.errors import TTError, TTMappingError
from ticktalk.graph.graph import TTGraph
from ticktalk.graph.sq import TTSQ
from ticktalk.mapping.deployment_file import DeploymentFile, EnsembleSpec, read_deployment
from ticktalk.mapping.ensembles import EnsembleInfo
from ticktalk.mapping.mapping_file import MappingFile, read_mapping
from ticktalk.mapping.schedule import MappingProblem
from ticktalk.mapping.weights import Weights
from ticktalk.source_problems import did_you_mean


class LocalPlacement(NamedTuple):
    """The ensembles of a run on one machine, and where its SQs are.

    Attributes:
        ensembles: those asked for, by name and in order; the manager's own is there only if something is said of it.
        mapping: SQ to ensemble; None: the first ensemble that fits.
        deployment: the deployment file, if there is one, with the components of the command line.
    """

    ensembles: dict[str, EnsembleOption]
    mapping: dict[str, str] | None
    deployment: DeploymentFile | None

    @property
    def weights(self) -> Weights | None:
        """The costs of SQs by ensemble, if there is a deployment file."""
        return None if self.deployment is None else Weights.of(self.deployment)


def placement(
    graph: TTGraph,
    options: Sequence[str],
    components: Sequence[str],
    deployment: Path | None,
    mapping: Path | None,
    later: Sequence[str] = (),
) -> LocalPlacement:
    """The ensembles and the mapping that the options ask for; no SQ is mapped to ensembles that join `later`.

    Raises:
        typer.BadParameter: an option is malformed, or does not go with another.
        TTError: a file cannot be read or is not valid; `TTMappingError`: the graph cannot be placed so.
    """
    if deployment is not None and options:
        raise typer.BadParameter(
            f"--ensemble {options[0]} with --deployment: the deployment file says which ensembles there are."
            f" Add it to {deployment}, or leave --deployment out"
        )
    made = read_mapping(mapping) if mapping is not None else None
    if deployment is not None:
        return _of_deployment(graph, components, read_deployment(deployment), made, later)
    if made is None:
        asked = all_ensembles(graph, options, components, later)
        _check_components(graph, asked)
        return LocalPlacement(asked, None, None)
    asked = all_ensembles(graph, options, components, later) if options else _made_up(graph, components, made, later)
    infos = [EnsembleInfo(name, name, list(option.components)) for name, option in asked.items()]
    if DEFAULT_RUNTIME_MANAGER_NAME not in asked:
        infos.append(EnsembleInfo(DEFAULT_RUNTIME_MANAGER_NAME))
    return LocalPlacement(asked, made.check(graph, infos, "is no ensemble of this run"), None)


def _check_components(graph: TTGraph, asked: dict[str, EnsembleOption]) -> None:
    """See that each component was given to an ensemble on which constraints ask for it.

    Raises:
        TTMappingError: it was not; a line for each component, however many SQs want it, and what was given instead.
    """
    given = [(name, component) for name, option in asked.items() for component in option.components]
    wanted: dict[str, tuple[list[TTSQ], list[str]]] = {}
    for sq in graph.sqs:
        named = [constraint.names for constraint in sq.constraints if constraint.names]
        listed = dict.fromkeys(name for names in named for name in names)
        places = [name for name in listed if all(name in names for names in named)]
        if named and not places:
            continue  # no ensemble is allowed, whatever components it has
        for component in dict.fromkeys(name for constraint in sq.constraints for name in constraint.components):
            if not any(c == component and (not named or name in places) for name, c in given):
                wanted.setdefault(component, ([], places))[0].append(sq)
    lines = []
    for component, (sqs, places) in wanted.items():
        others = [name for name, c in given if c == component]
        ensemble = next(iter([*places, *asked, DEFAULT_RUNTIME_MANAGER_NAME]))
        first, more = sqs[0], f" and {len(sqs) - 1} more want" if len(sqs) > 1 else " wants"
        where = f" on {' or '.join(map(repr, places))}" if others else ""
        who = f"only {', '.join(map(repr, others))} has" if others else "no ensemble has"
        there = [f"{name}.{c}" for name, c in given]
        lines.append(
            f"{first.name} (line {first.line}){more} component {component!r}{where}, which {who}, so nothing was"
            f" instantiated: add --component {ensemble}.{component}=MODULE:FACTORY"
            + (f" (given: {', '.join(there)})" if there else "")
        )
    if lines:
        raise TTMappingError("\n".join(lines))


def _made_up(
    graph: TTGraph, components: Sequence[str], made: MappingFile, later: Sequence[str]
) -> dict[str, EnsembleOption]:
    """An ensemble for each name that constraints ask for or the mapping gives, with the components wanted there."""
    given = ensembles([], components, later)
    names = dict.fromkeys([*constraint_names(graph), *made.mapping.values(), *given])
    asked = {name: given.get(name) or EnsembleOption(name, {}) for name in names}
    for sq in graph.sqs:
        host = asked.get(made.mapping.get(sq.name, ""))
        if host is not None:
            wanted = [component for constraint in sq.constraints for component in constraint.components]
            host.components.update({name: None for name in wanted if name not in host.components})
    return asked


def _of_deployment(
    graph: TTGraph,
    components: Sequence[str],
    deployment: DeploymentFile,
    made: MappingFile | None,
    later: Sequence[str],
) -> LocalPlacement:
    given = ensembles([], components, later)
    specs = {spec.name: spec for spec in deployment.ensembles}
    for name in given:
        if name not in specs and name not in later:
            hint = did_you_mean(name, specs)
            raise typer.BadParameter(
                f"--component {name}.{next(iter(given[name].components))}: there is no ensemble {name!r} in"
                f" {deployment.file}" + (f"; {hint}" if hint else "")
            )
        specs.setdefault(name, EnsembleSpec(name))
        extra = given[name].components.keys() - set(specs[name].components)
        specs[name] = specs[name]._replace(components=(*specs[name].components, *sorted(extra)))
    deployment = deployment._replace(ensembles=tuple(specs.values()))
    asked = {
        name: EnsembleOption(
            name, {**dict.fromkeys(spec.components), **(given[name].components if name in given else {})}
        )
        for name, spec in specs.items()
    }
    at_first = deployment._replace(ensembles=tuple(spec for name, spec in specs.items() if name not in later))
    return LocalPlacement(asked, mapped(graph, at_first, made, f"is not in {deployment.file}"), deployment)


def mapped(graph: TTGraph, deployment: DeploymentFile, made: MappingFile | None, absent: str) -> dict[str, str]:
    """The mapping made beforehand, checked, else the one that the default strategy makes for the least latency.

    Raises:
        TTMappingError: the graph cannot be placed so.
    """
    tell_doubts(graph, deployment)
    if made is not None:
        needs = {function: cost.memory or 0 for function, cost in deployment.costs.items()}
        return made.check(graph, [spec.info() for spec in deployment.ensembles], absent, needs)
    from ticktalk.mapping.heft import heft

    return heft(MappingProblem(graph, deployment)).mapping


def tell_doubts(graph: TTGraph, deployment: DeploymentFile) -> None:
    """Print the entries of a deployment file that are probably mistakes."""
    for doubt in deployment.doubts((sq.function for sq in graph.sqs), (sq.function for sq in graph.sqs if sq.body)):
        say(doubt)


def over_joined(
    graph: TTGraph, deployment: DeploymentFile, made: MappingFile | None, joined: Iterable[EnsembleInfo], manager: str
) -> dict[str, str]:
    """The mapping over those ensembles of a deployment file that have joined.

    The components and modules that an ensemble reports go before those in the file.

    Raises:
        TTError: an ensemble that is needed has not joined; `TTMappingError`: the graph cannot be placed.
    """
    by_name = {info.name: info for info in joined}
    missing = [spec.name for spec in deployment.ensembles if spec.name not in by_name]
    there = tuple(_as_joined(spec, by_name[spec.name]) for spec in deployment.ensembles if spec.name in by_name)
    hint = (
        f"of the ensembles of {deployment.file} these have not joined: {', '.join(missing)}"
        f" (start one with `ticktalk ensemble {missing[0]} --manager {manager}` on its device)"
        if missing
        else ""
    )
    if not there:
        raise TTError(hint)
    names = {spec.name for spec in there}
    links = {pair: link for pair, link in deployment.links.items() if names.issuperset(pair)}
    try:
        return mapped(graph, deployment._replace(ensembles=there, links=links), made, "has not joined")
    except TTMappingError as error:
        raise TTMappingError(f"{error}\n{hint}" if hint else str(error)) from None


def _as_joined(spec: EnsembleSpec, info: EnsembleInfo) -> EnsembleSpec:
    return spec._replace(components=tuple(info.components), modules=tuple(info.modules) or spec.modules)
