"""`ticktalk draw`: a picture of a graph, with the parts that run as one piece, and their code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ticktalk.accelerate.chosen import Inline, body_in
from ticktalk.accelerate.events import Unsettled
from ticktalk.accelerate.loop_code import loop_code
from ticktalk.accelerate.periods import Plan
from ticktalk.cli import arguments, options
from ticktalk.cli.simulation_plans import planned
from ticktalk.cli.streams import say
from ticktalk.counters import Counters
from ticktalk.defaults import DEFAULT_RUNTIME_MANAGER_NAME
from ticktalk.durations import duration_text
from ticktalk.engine.firing_chain import Surroundings, firing_chain
from ticktalk.engine.forwarding import TTSQForward
from ticktalk.errors import writing
from ticktalk.graph.drawing import Format
from ticktalk.graph.drawing import draw as render
from ticktalk.graph.drawing.boxes import collapsed
from ticktalk.graph.drawing.hosts import hosts_of
from ticktalk.graph.graph import TTGraph


def draw(
    program: options.Program,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.svg|.dot|.mmd", help="Its ending says which kind.")
    ] = None,
    regions: Annotated[
        bool, typer.Option("--regions", help="Groups are the SQs that a simulation plans together.")
    ] = False,
    collapse: Annotated[
        bool, typer.Option("--collapse", help="Fold each graph that the graph calls to one node.")
    ] = False,
    show_code: Annotated[
        bool, typer.Option("--show-code", help="Print the code of the plan, and the stages of firings.")
    ] = False,
    of: options.Graph = None,
) -> None:
    if output is None and not show_code:
        raise typer.BadParameter("give -o FILE.svg (or .dot, .mmd) for a picture, or --show-code")
    kind = output.suffix.lstrip(".").lower() if output is not None else ""
    if output is not None and kind not in ("svg", "dot", "mmd"):
        raise typer.BadParameter(f"-o {output}: the file's ending says the kind of picture: .svg, .dot or .mmd")
    graph = arguments.load_graph(program, of)
    if regions and collapse:
        raise typer.BadParameter("--regions shows SQs that --collapse folds: give one of them")
    asked = hosts_of(graph, None)
    host_of = {sq.name: asked.get(sq.name, "") for sq in graph.sqs}
    plans, why_not = list[Plan](), ""
    if regions or show_code:
        try:
            plans = planned(graph, {name: host or DEFAULT_RUNTIME_MANAGER_NAME for name, host in host_of.items()})
        except Unsettled as reason:
            why_not = str(reason)
    if output is not None:
        shown = collapsed(graph) if collapse else graph
        text = render(shown, cast(Format, kind), _as_groups(graph, plans) if regions else None)
        with writing(f"{output}: the picture"):
            output.write_text(text, encoding="utf-8")
    if show_code:
        for number, plan in enumerate(plans):
            events = f"{len(plan.main.events)} events of {len(plan.parts)} of {len(graph.sqs)} SQs"
            print("\n\n" * (number > 0) + f"# A period of {duration_text(plan.period)}: {events}")
            main = plan.main
            main.inline = Inline(main.events, plan.values, main.ends, lambda part: body_in(graph, part.sq))
            print(loop_code(main, say_which=True).shown, end="")
        print("\n\n" * bool(plans) + "# What a firing of each SQ passes on the general engine, up to its body:")
        for name, stages in _stages(graph).items():
            print(f"# {name}: {', '.join(stages)}")
    if why_not:
        say(f"no plan over a common period: {why_not}; every SQ of this graph runs on the general engine")


class _Body:
    """Stands in for the body of an SQ, which is not to be made: that runs the program's statements."""

    def __init__(self, *told: Any) -> None:
        self.fire: Any = None


def _stages(graph: TTGraph) -> dict[str, tuple[str, ...]]:
    """SQ name to the stages of its firings in a simulation in which bodies take no time."""
    nowhere: Any = None
    around = Surroundings(nowhere, nowhere, nowhere)
    waits = dict.fromkeys([sq.name for sq in graph.sqs], "")
    found: dict[str, tuple[str, ...]] = {}
    for sq in graph.sqs:
        if sq.trigger == "deadline":
            found[sq.name] = ("passes its data on",)
            continue
        forward = TTSQForward(sq, {}, waits, "", nowhere, nowhere, nowhere)
        chain = firing_chain(sq, forward, nowhere, around, Counters(), nowhere, nowhere, cast(Any, _Body), None)
        found[sq.name] = chain.stages
    return found


def _as_groups(graph: TTGraph, plans: list[Plan]) -> dict[str, str]:
    """SQ name to the plan it is part of; of an SQ in none, to its host, if constraints ask for one."""
    groups = hosts_of(graph, None)
    for number, plan in enumerate(plans, 1):
        label = f"part {number}, " * (len(plans) > 1) + f"period of {duration_text(plan.period)}"
        for part in plan.parts:
            host = groups.get(part.sq.name)
            groups[part.sq.name] = label + (f", on {host}" if host else "")
    return groups
