"""`--profile FILE`: the measured costs of bodies in a run, as a deployment file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from ticktalk.cli.arguments import EnsembleOption
from ticktalk.cli.streams import say
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.errors import TTError, writing
from ticktalk.graph.graph import TTGraph
from ticktalk.mapping.deployment_file import CostSpec, DeploymentFile, EnsembleSpec, LinkSpec, read_deployment
from ticktalk.mapping.measured_costs import completed, costs_of
from ticktalk.mapping.write_deployment import deployment_text

Samples = Iterable[tuple[str, list[int], list[int]]]


def check_profile_file(path: Path, deployment: Path | None) -> None:
    """Make sure, before the run, that its costs can be written to `path`.

    Raises:
        typer.BadParameter: it is the file of `--deployment`, whose comments would be lost.
        TTError: there is no such folder, or a file that is no deployment file.
    """
    if deployment is not None and path.exists() and deployment.exists() and path.samefile(deployment):
        raise typer.BadParameter(
            f"--profile {path}: this is the file of --deployment, whose comments would be lost: choose another name"
            " (what it gives is written there, too)"
        )
    if not path.parent.is_dir():
        raise TTError(f"--profile {path}: there is no folder {path.parent}")
    if path.exists():
        try:
            read_deployment(path)
        except TTError:
            raise TTError(
                f"--profile {path}: there is such a file, and it is no deployment file, so it is not written over:"
                " choose another name"
            ) from None


def write_profile(
    path: Path,
    graph: TTGraph,
    deployment: DeploymentFile | None,
    ensembles: Mapping[str, EnsembleOption],
    host_of: Mapping[str, str],
    delay: int,
    samples: Samples,
) -> None:
    """Write the measured costs of a run.

    Args:
        path: the file to write.
        graph: the graph that ran.
        deployment: the deployment file of the run, whose content is written again; None: there was none.
        ensembles: the ensembles of the run by name.
        host_of: by SQ, the name of its host.
        delay: the delay of every token between two ensembles (us).
        samples: function, times (us) and sizes (bytes) of runs.

    Raises:
        TTError: the file cannot be written.
    """
    if deployment is None:
        own = DEFAULT_RUNTIME_MANAGER_NAME
        names = [*(name for name in ensembles if name != own)]
        if own in ensembles or own in host_of.values() or not names:
            names.append(own)
        specs = [EnsembleSpec(name, tuple(ensembles[name].components) if name in ensembles else ()) for name in names]
        deployment = DeploymentFile(str(path), tuple(specs), default=LinkSpec(delay))
    measured, given = costs_of(samples), deployment.costs
    costs = completed(given, measured)
    bodies = sorted({sq.function for sq in graph.sqs if sq.body})
    unseen = [name for name in bodies if costs.get(name, CostSpec()).time is None]
    head = f"# What {graph.name} cost in a run: the median time of a body and size of a token of each function.\n"
    if kept := [name for name in given if name not in measured and given[name].time is not None]:
        head += f"# Not measured, so they are as {deployment.file} gives them: {', '.join(kept)}.\n"
    with writing(f"--profile {path}: the file"):
        path.write_text(head + deployment_text(deployment._replace(costs=costs)), encoding="utf-8")
    if unseen:
        say(f"{path}: no run of {', '.join(unseen)} was seen, so there is no time of it")
