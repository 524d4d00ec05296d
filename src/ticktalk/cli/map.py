"""`ticktalk map`: choose the host of each SQ, and show the expected times."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from ticktalk.cli import arguments, options
from ticktalk.cli.ending import first
from ticktalk.cli.placement import tell_doubts
from ticktalk.cli.tables import ROWS, add, some, table, terminal
from ticktalk.durations import about
from ticktalk.errors import writing
from ticktalk.mapping.deployment_file import read_deployment
from ticktalk.mapping.expected_use import use_lines, uses
from ticktalk.mapping.schedule import MappingProblem, Objective, ScheduledMapping

STRATEGIES = ("heft", "optimal")

NAMES_SHOWN = 12
"""SQs of a host that the table names; the others are counted."""


def map_command(
    program: options.Program,
    deployment: Annotated[
        Path, typer.Option(metavar="FILE", help="YAML: the ensembles, their links, the costs of SQs.")
    ],
    objective: Annotated[
        Objective, typer.Option(help="latency: when the last SQ ends; balance: the largest load of a host.")
    ] = Objective.latency,
    strategy: Annotated[
        str, typer.Option(metavar="heft|optimal", help="heft: good and fast; optimal: proven, needs OR-Tools.")
    ] = "heft",
    time_limit: Annotated[str, typer.Option(metavar="DURATION", help="How long `optimal` may search.")] = "10s",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="MAPPING.json", help="For `--mapping` of other commands.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, times in microseconds.")] = False,
    of: options.Graph = None,
) -> None:
    if strategy not in STRATEGIES:
        raise typer.BadParameter(f"--strategy {strategy}: it is one of {', '.join(STRATEGIES)}")
    limit = arguments.duration(time_limit, "--time-limit")
    if not limit:
        raise typer.BadParameter(f"--time-limit {time_limit}: give it some time, such as 10s")
    arguments.check_different({"the program": program, "--deployment": deployment}, output=output)
    graph = arguments.load_graph(program, of)
    plan_for = read_deployment(deployment)
    tell_doubts(graph, plan_for)
    problem = MappingProblem(graph, plan_for)
    if strategy == "optimal":
        from ticktalk.mapping.optimal import optimal

        plan = optimal(problem, objective, limit / 1e6)
    else:
        from ticktalk.mapping.heft import heft

        plan = heft(problem, objective)
    found = uses(graph, plan_for, plan.mapping)
    content = {**plan_json(plan), "use": {name: float(share) for name, share in found.items()}}
    if output is not None:
        with writing(f"{output}: the mapping"):
            output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(content))
        return
    terminal().print(hosts_table(problem, plan))
    print(summary(plan))
    for line in first(use_lines(found), "--json"):
        print(line)


def plan_json(plan: ScheduledMapping) -> dict[str, Any]:
    """A plan as `--json` prints it and `-o` writes it; times in microseconds, `bound` of the objective."""
    return {
        "mapping": plan.mapping,
        "schedule": [slot._asdict() for slot in plan.schedule],
        "objective": plan.objective.value,
        "latency": plan.latency,
        "balance": _json_number(plan.balance),
        "bound": _json_number(plan.bound),
        "proven": plan.proven,
    }


def hosts_table(problem: MappingProblem, plan: ScheduledMapping) -> Table:
    """The hosts with their SQs and loads."""
    shown_hosts = table("ensemble")
    shown_hosts.add_column("SQs")
    shown_hosts.add_column("load", justify="right")
    shown_hosts.add_column("busy until", justify="right")
    at = {name: k for k, name in enumerate(problem.hosts)}
    sqs: dict[str, list[str]] = {name: [] for name in problem.hosts}
    until = dict.fromkeys(problem.hosts, 0)
    for slot in plan.schedule:
        sqs[slot.ensemble].append(slot.sq)
        until[slot.ensemble] = max(until[slot.ensemble], slot.end)
    loads = problem.loads([at[plan.mapping[name]] for name in problem.names])
    # Where very many host nothing, those that host something are listed.
    listed, more = some(sorted(sqs, key=lambda host: not sqs[host]) if len(sqs) > ROWS else list(sqs))
    for host in listed:
        names = sqs[host]
        shown = ", ".join(names[:NAMES_SHOWN])
        if len(names) > NAMES_SHOWN:
            shown += f" and {len(names) - NAMES_SHOWN} more"
        add(shown_hosts, host, shown or "-", about(loads[at[host]]), about(until[host]) if names else "-")
    if more:
        add(shown_hosts, more)
    return shown_hosts


def summary(plan: ScheduledMapping) -> str:
    """The predicted objective, and how far it is from the lower bound."""
    if plan.proven:
        distance = "proven: no mapping is better"
    elif plan.bound:
        distance = f"{plan.gap:.1%} above the lower bound {about(plan.bound)}"
    else:
        distance = "no lower bound is known"
    return f"{plan.objective}: {about(plan.value)} ({distance})"


def _json_number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
